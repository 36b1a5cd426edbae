#include "node/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENTENCE_BYTES 1024u

void say(struct buf *why, const char *format, ...)
{
	char line[SENTENCE_BYTES];
	va_list args;

	if (why == NULL)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buf_put_str(why, line);
}

enum err err_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

/* Tell that @what failed on @path, and why. */
static enum err fail(struct buf *why, const char *what, const char *path)
{
	enum err err = err_of_errno(errno);

	say(why, "cannot %s %s: %s", what, path, strerror(errno));
	return err;
}

char *path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *path = xmalloc(n);

	snprintf(path, n, "%s/%s", dir, name);
	return path;
}

enum err disk_mkdir(const char *path, struct buf *why)
{
	if (mkdir(path, 0700) == 0)
		return disk_sync_parent(path, why);
	return errno == EEXIST ? ERR_OK : fail(why, "make", path);
}

enum err disk_sync_dir(const char *path, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = ERR_OK;

	if (fd < 0)
		return fail(why, "open", path);
	if (fsync(fd) != 0)
		err = fail(why, "sync", path);
	close(fd);
	return err;
}

enum err disk_sync_parent(const char *path, struct buf *why)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	enum err err;

	if (slash == NULL)
		return disk_sync_dir(".", why);
	parent = xstrndup(
		slice_of(path, slash == path ? 1 : (size_t)(slash - path)));
	err = disk_sync_dir(parent, why);
	free(parent);
	return err;
}

enum err disk_rename(const char *from, const char *to, struct buf *why)
{
	if (rename(from, to) != 0)
		return fail(why, "rename to", to);
	return disk_sync_parent(to, why);
}

enum err disk_write_new(const char *path, unsigned mode, struct slice content,
			struct buf *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		      (mode_t)mode);
	enum err err;

	if (fd < 0)
		return fail(why, "create", path);
	err = disk_pwrite(fd, content.p, content.n, 0);
	if (err != ERR_OK || fsync(fd) != 0)
		err = fail(why, "write", path);
	close(fd);
	if (err != ERR_OK)
		unlink(path);
	return err;
}

enum err disk_read(const char *path, size_t max, struct buf *out,
		   struct buf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err err = ERR_OK;
	struct stat st;
	uint8_t *at;
	size_t got;

	if (fd < 0)
		return fail(why, "open", path);
	if (fstat(fd, &st) != 0) {
		err = fail(why, "read", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
		say(why, "%s is not a file of at most %zu bytes", path, max);
		err = ERR_LIMIT;
		goto out;
	}
	at = buf_extend(out, (size_t)st.st_size);
	if (at == NULL) {
		err = ERR_LIMIT;
		goto out;
	}
	err = disk_pread(fd, at, (size_t)st.st_size, 0, &got);
	if (err != ERR_OK)
		err = fail(why, "read", path);
	else
		out->n -= (size_t)st.st_size - got;
out:
	close(fd);
	return err;
}

bool disk_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

enum err disk_pwrite(int fd, const void *p, size_t n, uint64_t offset)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t put = pwrite(fd, at, n, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_of_errno(errno);
		at += put;
		n -= (size_t)put;
		offset += (uint64_t)put;
	}
	return ERR_OK;
}

enum err disk_pread(int fd, void *p, size_t n, uint64_t offset, size_t *got)
{
	uint8_t *at = p;

	*got = 0;
	while (*got < n) {
		ssize_t have =
			pread(fd, at + *got, n - *got, (off_t)(offset + *got));

		if (have < 0 && errno == EINTR)
			continue;
		if (have < 0)
			return err_of_errno(errno);
		if (have == 0)
			break;
		*got += (size_t)have;
	}
	return ERR_OK;
}
