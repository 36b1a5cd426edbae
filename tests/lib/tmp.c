#define _GNU_SOURCE /* nftw */

#include "tmp.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/bytes.h"

#define DESCRIPTORS 16

char *tmp_make(void)
{
	const char *base = getenv("TMPDIR");
	char path[512];

	snprintf(path, sizeof(path), "%s/symbolon-test-XXXXXX",
		 base != NULL ? base : "/tmp");
	if (mkdtemp(path) == NULL)
		fail_msg("cannot make %s", path);
	return xstrdup(path);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tmp_remove(char *dir)
{
	if (dir == NULL)
		return;
	nftw(dir, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

void tmp_copy(const char *from, const char *to)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execlp("cp", "cp", "-a", "--sparse=always", from, to,
		       (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}
