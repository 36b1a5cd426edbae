/* One import in work: shared by import.c (checking) and import_write.c. */

#ifndef NODE_IMPORT_IMPL_H
#define NODE_IMPORT_IMPL_H

#include "node/import.h"
#include "node/import_job.h"
#include "node/import_learners.h"
#include "node/import_pool.h"
#include "node/import_report.h"
#include "node/import_seen.h"

#define IMPORT_BITS_MAX (64u << 20) /* rows whose state is remembered */

/* A row that is not applied because of another. */
struct import_conflict {
	uint64_t line;
	uint64_t other;
	bool repeat; /* says the same, else it is rejected */
	bool learner; /* about the learner, not the record */
	enum import_state state;
};

struct import {
	struct cmd *c;
	const struct import_options *o;
	const char *path;
	char *tmp; /* directory; owned */
	int lock; /* of import_lock_writing, or -1 */
	struct import_source source;
	struct import_report report;
	struct import_plan plan;
	struct arena plan_arena;
	struct import_pool *pool;
	struct import_maker makers[IMPORT_SLICES];
	struct arena keep[IMPORT_SLICES]; /* first reading */
	enum err slice_err[IMPORT_SLICES];
	struct import_batch batch;
	struct import_made *made; /* first reading; owned */
	struct import_seen ids, people;
	struct import_conflict *conflicts; /* by line; owned */
	uint32_t conflict_count;
	uint8_t *apply; /* bit of each row: new or changed; owned */
	uint64_t apply_rows; /* bits there are */
	uint64_t rows; /* good and bad */
	uint64_t counts[IMPORT_REJECTED + 1]; /* by state */
	uint64_t learners_changed; /* learners, not rows */
	uint64_t bad_encoding, letters; /* rows */
	struct import_key seen; /* first reading */
	uint64_t warnings[WARNING_COUNT];
	uint64_t no_offer_line; /* first of WARNING_UNKNOWN_OFFER */
	uint64_t number; /* in the journal; 0: nothing was written */
	struct buf why; /* last message */
	int exit; /* enum exit_code */
};

/* First message and exit code of a failure; false for `return`. */
bool import_fail(struct import *im, int exit, enum err e, const char *what);
bool import_row_applies(const struct import *im, uint64_t index);
/* The conflict of @line or NULL. */
const struct import_conflict *import_conflict_at(const struct import *im,
						 uint64_t line);
/* The slice @k of the batch: [*from, *to). */
void import_slice(const struct import *im, unsigned k, uint32_t *from,
		  uint32_t *to);

/* Second reading: append. False: im->exit says why; counts are what was
 * done. */
bool import_write(struct import *im);

/* Wait until signing is allowed. False: it is not; said. */
bool import_may_sign(struct cmd *c);
/* Hold the lock under which records are compared and appended: the second of
 * two imports sees all of the first. -1: cancelled. */
int import_lock_writing(struct cmd *c, const char *tmp);
/* A fresh journal entry; its slices live in @a. False: @a is full. */
bool import_entry(struct journal_entry *e, struct arena *a, const char *kind,
		  const char *file);
/* A status body. Appended to @out. */
enum err import_put_status(struct arena *a, uint64_t position,
			   const char *state, const char *reason,
			   struct buf *out);

#endif /* NODE_IMPORT_IMPL_H */
