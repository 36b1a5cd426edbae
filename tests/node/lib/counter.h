/* A registrar's counter for tests: an open home and commands with files, output
 * and interruptions in memory.
 *
 * Ends the test on failure. One counter may run commands on several threads
 * when each has hands of its own (struct counter_hands). */

#ifndef TESTS_NODE_LIB_COUNTER_H
#define TESTS_NODE_LIB_COUNTER_H

#include "node/cmd.h"
#include "nest.h"

#define COUNTER_FILES 24

struct counter_file {
	char *name; /* owned; NULL: free */
	struct buf bytes;
};

struct counter_handle {
	struct counter_file *file; /* NULL: free */
	size_t at;
	bool write;
};

/* What one user sees. */
struct counter_hands {
	struct home *home;
	struct counter_file files[COUNTER_FILES];
	struct counter_handle handles[8];
	struct buf out, err; /* of the last command */
	bool cut; /* reading is slow: one byte at a time */
	int cancel_after; /* calls of is_cancelled until true; -1: never */
	uint64_t opens;
};

struct counter {
	char *root; /* directory; owned */
	struct nest nest;
	struct counter_hands hands;
};

void counter_open(struct counter *d, const char *member);
void counter_close(struct counter *d);
void counter_reopen(struct counter *d); /* the node is started again */

void counter_hands_init(struct counter_hands *h, struct home *home);
void counter_hands_free(struct counter_hands *h);

/* Put a file on the counter, or another content into it. */
void counter_file(struct counter_hands *h, const char *name,
		  struct slice bytes);
void counter_text(struct counter_hands *h, const char *name, const char *text);
/* Its content; empty when there is none. */
struct slice counter_read(struct counter_hands *h, const char *name);
bool counter_has(struct counter_hands *h, const char *name);

/* Run a command given as words separated by blanks. Returns its exit code;
 * output is in @h. */
int counter_run(struct counter_hands *h, int (*run)(struct cmd *c),
		const char *words);
/* Is @text in the output or in the messages? Shows them when not. */
void counter_said(struct counter_hands *h, const char *text);
void counter_told(struct counter_hands *h, const char *text);
/* Records in the own log. */
uint64_t counter_size(struct counter *d);

#endif /* TESTS_NODE_LIB_COUNTER_H */
