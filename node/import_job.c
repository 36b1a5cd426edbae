#include "node/import_job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Applying, on the writer thread. */

struct newest {
	uint64_t seq_1;
	uint8_t digest[16];
};

static bool on_newest(void *arg, const struct store_entry *e)
{
	struct newest *n = arg;

	n->seq_1 = e->seq + 1;
	if (e->value_bytes == sizeof(n->digest))
		memcpy(n->digest, e->value, sizeof(n->digest));
	return false;
}

enum err import_newest(struct store_txn *t, uint32_t log,
		       const struct prepared *p, uint64_t *seq_1, bool *same)
{
	const struct store_entry *by_id = NULL;
	struct newest n = { .seq_1 = 0 };
	enum err e;

	for (uint32_t i = 0; i < p->entry_count && by_id == NULL; i++) {
		if (p->entries[i].index == STORE_BY_ID)
			by_id = &p->entries[i].entry;
	}
	assert(by_id != NULL);
	e = store_index_scan(t, STORE_BY_ID, log, by_id->hash, true, on_newest,
			     &n);
	*seq_1 = n.seq_1;
	*same = n.seq_1 > 0 &&
		memcmp(n.digest, by_id->value, sizeof(n.digest)) == 0;
	return e;
}

static enum err same_audience(struct store_txn *t, uint32_t log, uint64_t seq,
			      uint64_t audience, bool *same)
{
	struct record r;
	struct leaf leaf;
	enum err e = store_record_get(t, log, seq, &r);

	if (e == ERR_OK)
		e = leaf_decode(r.leaf, &leaf);
	*same = e == ERR_OK && leaf.audience == audience;
	return e;
}

enum put {
	PUT_NOTHING,
	PUT_NEW,
	PUT_VERSION,
};

static enum err put_item(struct import_job *j, struct writer_txn *t,
			 const struct import_item *item, enum put *what)
{
	struct store_txn *txn = writer_store(t);
	uint32_t log = writer_own_log(t);
	uint64_t seq_1;
	uint64_t seq;
	bool same;
	enum err e;

	*what = PUT_NOTHING;
	if (item->p.kind == 0)
		return ERR_OK;
	e = import_newest(txn, log, &item->p, &seq_1, &same);
	if (e == ERR_OK && same && j->run->compare_audience)
		e = same_audience(txn, log, seq_1 - 1, item->p.audience, &same);
	if (e != ERR_OK)
		return e;
	if (item->only_after != 0 ? seq_1 != item->only_after : same)
		return ERR_OK;
	*what = seq_1 == 0 ? PUT_NEW : PUT_VERSION;
	e = writer_append(t, &item->p, &seq);
	if (e != ERR_OK)
		return e;
	if (j->from == j->to)
		j->from = seq;
	j->to = seq + 1;
	return ERR_OK;
}

static enum err put_row(struct import_job *j, struct writer_txn *t,
			const struct import_item *items)
{
	enum put what[ITEMS_OF_A_ROW];
	enum err e = ERR_OK;

	for (size_t i = 0; i < ITEMS_OF_A_ROW && e == ERR_OK; i++)
		e = put_item(j, t, &items[i], &what[i]);
	if (e != ERR_OK)
		return e;
	if (what[ITEM_MAIN] == PUT_NEW)
		j->added++;
	else if (what[ITEM_MAIN] == PUT_VERSION ||
		 what[ITEM_STATUS] != PUT_NOTHING)
		j->changed++;
	j->learners += what[ITEM_LEARNER] == PUT_VERSION;
	return ERR_OK;
}

static enum err apply(struct writer_job *job, struct writer_txn *t)
{
	struct import_job *j = (struct import_job *)job;
	struct journal_extent extent;
	struct journal_entry more = { .extents = &extent };
	enum err e = ERR_OK;

	j->added = 0;
	j->changed = 0;
	j->learners = 0;
	j->from = 0;
	j->to = 0;
	for (uint32_t i = 0; i < j->rows && e == ERR_OK; i++)
		e = put_row(j, t, j->items + (size_t)i * ITEMS_OF_A_ROW);
	if (e != ERR_OK || j->from == j->to)
		return e;
	extent = (struct journal_extent){ j->from, j->to };
	more.added = j->added;
	more.changed = j->changed;
	more.learners = j->learners;
	return import_journal_add(writer_store(t), &j->run->entry, &more);
}

static void done(struct writer_job *job, enum err result)
{
	struct import_job *j = (struct import_job *)job;
	struct import_run *r = j->run;

	pthread_mutex_lock(&r->mutex);
	if (result == ERR_OK) {
		r->added += j->added;
		r->changed += j->changed;
		r->learners += j->learners;
	} else if (r->failed == ERR_OK) {
		r->failed = result;
	}
	j->busy = false;
	r->in_flight--;
	pthread_cond_signal(&r->idle);
	pthread_mutex_unlock(&r->mutex);
}

/* The importing thread. */

struct import_run *import_run_open(const struct home *home,
				   const struct journal_entry *entry)
{
	struct import_run *r = xcalloc(1, sizeof(*r));
	int rc = pthread_mutex_init(&r->mutex, NULL);

	rc |= pthread_cond_init(&r->idle, NULL);
	assert(rc == 0);
	r->home = home;
	r->entry = *entry;
	for (size_t i = 0; i < IMPORT_JOBS; i++) {
		struct import_job *j = &r->jobs[i];

		j->run = r;
		for (size_t k = 0; k < IMPORT_SLICES; k++)
			arena_init(&j->arenas[k], IMPORT_JOB_ARENA_BYTES);
	}
	return r;
}

static enum err drain(struct import_run *r)
{
	enum err e;

	pthread_mutex_lock(&r->mutex);
	while (r->in_flight > 0)
		pthread_cond_wait(&r->idle, &r->mutex);
	e = r->failed;
	pthread_mutex_unlock(&r->mutex);
	return e;
}

void import_run_close(struct import_run *r)
{
	if (r == NULL)
		return;
	drain(r);
	for (size_t i = 0; i < IMPORT_JOBS; i++) {
		for (size_t k = 0; k < IMPORT_SLICES; k++)
			arena_free(&r->jobs[i].arenas[k]);
		free(r->jobs[i].made);
		free(r->jobs[i].items);
	}
	pthread_mutex_destroy(&r->mutex);
	pthread_cond_destroy(&r->idle);
	free(r);
}

static struct import_job *idle_job(struct import_run *r)
{
	for (size_t i = 0; i < IMPORT_JOBS; i++) {
		if (!r->jobs[i].busy)
			return &r->jobs[i];
	}
	return NULL;
}

struct import_job *import_run_take(struct import_run *r)
{
	struct import_job *j;
	enum err failed;

	pthread_mutex_lock(&r->mutex);
	while ((j = idle_job(r)) == NULL)
		pthread_cond_wait(&r->idle, &r->mutex);
	failed = r->failed;
	pthread_mutex_unlock(&r->mutex);
	if (failed != ERR_OK)
		return NULL;
	if (j->items == NULL) {
		j->made = xcalloc(IMPORT_BATCH_RECORDS, sizeof(*j->made));
		j->items = xcalloc(IMPORT_BATCH_RECORDS * ITEMS_OF_A_ROW,
				   sizeof(*j->items));
	}
	for (size_t k = 0; k < IMPORT_SLICES; k++)
		arena_reset(&j->arenas[k]);
	j->rows = 0;
	return j;
}

void import_run_submit(struct import_run *r, struct import_job *j)
{
	uint32_t records = 0;
	size_t bytes = 0;

	for (size_t i = 0; i < (size_t)j->rows * ITEMS_OF_A_ROW; i++) {
		if (j->items[i].p.kind == 0)
			continue;
		records++;
		bytes += j->items[i].p.stored.n + LIMIT_LEAF_BYTES;
	}
	if (records == 0)
		return;
	j->job = (struct writer_job){
		.records = records, .bytes = bytes, .apply = apply, .done = done
	};
	pthread_mutex_lock(&r->mutex);
	j->busy = true;
	r->in_flight++;
	pthread_mutex_unlock(&r->mutex);
	writer_submit(r->home->writer, &j->job);
}

enum err import_run_drain(struct import_run *r)
{
	return drain(r);
}

/* The last word in the journal. */
struct end_job {
	struct writer_job job;
	struct import_run *run;
	const struct journal_entry *end;
};

static enum err mark_undone(struct store_txn *t, const struct journal_entry *by)
{
	struct journal_entry old;
	struct arena a;
	enum err e;

	if (by->undo_of == 0 || by->state != JOURNAL_COMPLETE ||
	    by->rejected > 0)
		return ERR_OK;
	arena_init(&a, IMPORT_DOC_BYTES);
	e = import_journal_get(t, by->undo_of, &a, &old);
	if (e == ERR_OK) {
		old.undone_by = by->number;
		e = import_journal_put(t, &old);
	}
	arena_free(&a);
	return e;
}

static enum err apply_end(struct writer_job *job, struct writer_txn *t)
{
	struct end_job *j = (struct end_job *)job;
	struct store_txn *txn = writer_store(t);
	struct journal_entry e;
	struct arena a;
	enum err err;

	arena_init(&a, IMPORT_DOC_BYTES);
	err = import_journal_get(txn, j->run->entry.number, &a, &e);
	if (err == ERR_OK) {
		e.state = j->end->state;
		e.unchanged = j->end->unchanged;
		e.rejected = j->end->rejected;
		err = import_journal_put(txn, &e);
	}
	if (err == ERR_OK)
		err = mark_undone(txn, &e);
	arena_free(&a);
	return err;
}

static void done_end(struct writer_job *job, enum err result)
{
	(void)job;
	(void)result;
}

enum err import_run_end(struct import_run *r, const struct journal_entry *end)
{
	struct end_job j = { .run = r, .end = end };

	if (r->entry.number == 0)
		return ERR_OK;
	j.job.apply = apply_end;
	j.job.done = done_end;
	return writer_run(r->home->writer, &j.job);
}
