/* A registrar's desk for tests: an open home and commands with files, output
 * and interruptions in memory.
 *
 * Ends the test on failure. One desk may run commands on several threads
 * when each has hands of its own (struct desk_hands). */

#ifndef TESTS_NODE_DESK_H
#define TESTS_NODE_DESK_H

#include "node/cmd.h"
#include "nest.h"

#define DESK_FILES 24

struct desk_file {
	char *name; /* owned; NULL: free */
	struct buf bytes;
};

struct desk_handle {
	struct desk_file *file; /* NULL: free */
	size_t at;
	bool write;
};

/* What one user sees. */
struct desk_hands {
	struct home *home;
	struct desk_file files[DESK_FILES];
	struct desk_handle handles[8];
	struct buf out, err; /* of the last command */
	bool cut; /* reading is slow: one byte at a time */
	int cancel_after; /* calls of is_cancelled until true; -1: never */
	uint64_t opens;
};

struct desk {
	char *root; /* directory; owned */
	struct nest nest;
	struct desk_hands hands;
};

void desk_open(struct desk *d, const char *member);
void desk_close(struct desk *d);
void desk_reopen(struct desk *d); /* the node is started again */

void desk_hands_init(struct desk_hands *h, struct home *home);
void desk_hands_free(struct desk_hands *h);

/* Put a file on the desk, or another content into it. */
void desk_file(struct desk_hands *h, const char *name, struct slice bytes);
void desk_text(struct desk_hands *h, const char *name, const char *text);
/* Its content; empty when there is none. */
struct slice desk_read(struct desk_hands *h, const char *name);
bool desk_has(struct desk_hands *h, const char *name);

/* Run a command given as words separated by blanks. Returns its exit code;
 * output is in @h. */
int desk_run(struct desk_hands *h, int (*run)(struct cmd *c),
	     const char *words);
/* Is @text in the output or in the messages? Shows them when not. */
void desk_said(struct desk_hands *h, const char *text);
void desk_told(struct desk_hands *h, const char *text);
/* Records in the own log. */
uint64_t desk_size(struct desk *d);

#endif /* TESTS_NODE_DESK_H */
