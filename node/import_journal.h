/* The journal of imports: what came in when, and where it is in the log.
 *
 * An entry grows in the very transactions that bring the records, so that it
 * tells the truth after a crash. PROTOCOL.md section 11.6. */

#ifndef NODE_IMPORT_JOURNAL_H
#define NODE_IMPORT_JOURNAL_H

#include "node/home.h"
#include "proto/value.h"

#define IMPORT_TOKEN_BYTES 16u /* hex digits */
#define IMPORT_DOC_BYTES (8u << 20) /* of one entry */

enum journal_state {
	JOURNAL_RUNNING, /* or interrupted: import_is_running */
	JOURNAL_COMPLETE,
	JOURNAL_STOPPED, /* by the user or an error; nothing is half done */
};

/* Records [from, to) of the own log came from the import. */
struct journal_extent {
	uint64_t from, to;
};

struct journal_entry {
	uint64_t number;
	enum journal_state state;
	struct slice kind; /* plural: "credentials" */
	struct slice file; /* as the user named it */
	struct slice token; /* names this run */
	uint64_t unix_seconds; /* begun */
	uint64_t added, changed, unchanged; /* rows */
	uint64_t rejected; /* rows; of an undo: records left alone */
	uint64_t learners; /* whose records changed */
	uint64_t undo_of; /* the import that this one undid; 0: none */
	uint64_t undone_by; /* 0: not undone, or not all of it */
	struct journal_extent *extents; /* ascending */
	uint32_t extent_count;
};

/* Slices live in @a. ERR_NOT_FOUND; ERR_CORRUPT; ERR_LIMIT: @a is full. */
WARN_UNUSED enum err import_journal_get(struct store_txn *t, uint64_t number,
					struct arena *a,
					struct journal_entry *out);
/* Write @e under its number; 0: give it the next one. */
WARN_UNUSED enum err import_journal_put(struct store_txn *t,
					struct journal_entry *e);
/* Add what one batch brought to the entry of @e's number and token, or make
 * one of @e (e->number is set). In the batch's transaction; may be run again
 * when that was undone. @more: counts and one extent. */
WARN_UNUSED enum err import_journal_add(struct store_txn *t,
					struct journal_entry *e,
					const struct journal_entry *more);

/* DIR/data/tmp, made when it is not there. ERR_IO; @why. Give: free. */
WARN_UNUSED enum err import_tmp_dir(const struct home *h, char **out,
				    struct buf *why);
/* The lock under which records are compared and appended: the descriptor, or
 * -1 when another has it. close() gives it up. */
int import_lock(const char *tmp);
/* Say who has the lock. */
void import_lock_sign(int fd, struct slice token);
/* Has the import of this token the lock? */
bool import_is_running(const char *tmp, struct slice token);

#endif /* NODE_IMPORT_JOURNAL_H */
