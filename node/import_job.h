/* Batches of own records on their way through the writer.
 *
 * A run belongs to one thread, which fills jobs while the writer applies
 * earlier ones; at most IMPORT_JOBS are in flight. Each job adds itself to
 * the journal entry of the run in its own transaction. */

#ifndef NODE_IMPORT_JOB_H
#define NODE_IMPORT_JOB_H

#include <pthread.h>

#include "node/import_journal.h"
#include "node/import_pool.h"
#include "node/import_row.h"

#define IMPORT_JOBS 6u /* what waits together is one transaction */
#define IMPORT_JOB_ARENA_BYTES (96u << 20) /* of one slice */

/* One record that a job may append. */
struct import_item {
	struct prepared p; /* p.kind 0: there is none */
	/* Position + 1 of the record that must be the newest of its id, else
	 * it is left out; 0: left out only if the newest has this content. */
	uint64_t only_after;
};

/* What belongs to one row of the file. */
enum { ITEM_LEARNER, ITEM_MAIN, ITEM_STATUS, ITEMS_OF_A_ROW };

struct import_run;

struct import_job {
	struct writer_job job;
	struct import_run *run;
	bool busy; /* queued; under the run's mutex */
	struct arena arenas[IMPORT_SLICES]; /* everything below lives here */
	struct import_made *made; /* owned, IMPORT_BATCH_RECORDS */
	struct import_item *items; /* owned; of row i from
				    * i * ITEMS_OF_A_ROW */
	uint32_t rows;
	/* Results of apply. */
	uint64_t added, changed; /* rows */
	uint64_t learners; /* that were there and changed */
	uint64_t from, to; /* extent appended */
};

struct import_run {
	const struct home *home;
	struct journal_entry entry; /* number is set by the first batch */
	bool compare_audience; /* same content, other audience: append */
	pthread_mutex_t mutex;
	pthread_cond_t idle; /* a job came back */
	unsigned in_flight;
	enum err failed; /* first failure */
	uint64_t added, changed; /* rows committed */
	uint64_t learners; /* changed, committed */
	struct import_job jobs[IMPORT_JOBS];
};

/* Give: import_run_close. @entry's slices are borrowed. */
struct import_run *import_run_open(const struct home *home,
				   const struct journal_entry *entry);
void import_run_close(struct import_run *r); /* drains */
/* A job with nothing in it, waiting for one to come back; NULL when a job
 * has failed. */
struct import_job *import_run_take(struct import_run *r);
/* Hand it to the writer. rows and items are set. */
void import_run_submit(struct import_run *r, struct import_job *j);
/* Wait until all have come back; tells the first failure. */
WARN_UNUSED enum err import_run_drain(struct import_run *r);
/* After the drain: state, unchanged and rejected of @end go into the entry,
 * when a batch has made one. Errors of the writer. */
WARN_UNUSED enum err import_run_end(struct import_run *r,
				    const struct journal_entry *end);

/* Of what is committed: entries of the running transaction are not seen,
 * which is why imports append one after the other (import_lock_writing).
 * Position + 1 of the newest record with this by_id entry of @p, and whether
 * its content is the same; 0: none. */
WARN_UNUSED enum err import_newest(struct store_txn *t, uint32_t log,
				   const struct prepared *p, uint64_t *seq_1,
				   bool *same);

#endif /* NODE_IMPORT_JOB_H */
