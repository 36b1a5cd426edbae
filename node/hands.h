/* What a command does in the user's process: files and standard streams.
 *
 * The one implementation of struct cmd_io over this process, used by
 * commands that run here and by the control client for those that run in
 * the node. Keeps a small table of open files.
 *
 * A created file is written aside (PATH.tmp-PID) and takes its name when it
 * is closed, synced: whoever reads PATH sees the old content or the whole
 * new one. What is not closed leaves nothing behind. A path that is there
 * and is no regular file (/dev/stdout, a pipe) is written straight. */

#ifndef NODE_HANDS_H
#define NODE_HANDS_H

#include <signal.h>

#include "node/cmd.h"

#define HANDS_FILES 16u /* open at once */
#define HANDS_OUT_BYTES (1u << 15) /* of standard output held back */

struct hand {
	int fd; /* -1: free */
	char *path; /* real path of a created file; owned */
	char *aside; /* where it is written; NULL: straight */
	enum err err; /* first failure of a put */
};

struct hands {
	struct hand files[HANDS_FILES];
	struct buf out; /* standard output not yet written */
	uint64_t out_ms; /* monotonic time of the oldest byte in it */
	bool gone; /* standard output cannot be written */
	int argc; /* the command line: it names the files */
	char *const *argv; /* borrowed */
	const volatile sig_atomic_t *interrupted; /* borrowed; may be NULL */
};

extern const struct cmd_io hands_io; /* io_arg: struct hands */

void hands_init(struct hands *h, int argc, char *const *argv,
		const volatile sig_atomic_t *interrupted);
/* Write what is held back, close all, remove unfinished files. */
void hands_free(struct hands *h);
void hands_flush(struct hands *h);
/* The descriptor behind @handle, or -1. */
int hands_fd(const struct hands *h, int handle);

#endif /* NODE_HANDS_H */
