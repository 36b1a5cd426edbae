/* Queue -> take all that waits -> apply -> seal (check, sign, salts, sorted
 * entries, heads) -> salts synced -> commit -> guard -> done -> events.
 *
 * A job that fails before it changed anything is left out. One that fails
 * later, a full disk or a full map spoil the transaction: it is abandoned and
 * the jobs are tried again one by one, so that only the guilty ones fail. */

#include "node/writer_impl.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/disk.h"
#include "node/log.h"

#define QUEUE_RECORDS_MAX (QUEUE_TXNS * (size_t)LIMIT_TXN_RECORDS)
#define QUEUE_BYTES_MAX (QUEUE_TXNS * (size_t)LIMIT_TXN_BYTES)
/* The store writes each row once, and pages of the indexes besides. */
#define DISK_BYTES_PER_BYTE 2u
#define DISK_BYTES_PER_RECORD 512u

_Noreturn void writer_die(const char *what, enum err err)
{
	log_error("node", "%s failed, the node stops: %s", what, err_text(err));
	_exit(1);
}

/* ---- jobs ----------------------------------------------------------------- */

static size_t records_of(const struct writer_job *job)
{
	return job->records > 0 ? job->records : 1;
}

static void finish(struct writer *w, struct writer_job *job, enum err err)
{
	struct writer_wait *wait = job->wait;

	if (job->done != NULL)
		job->done(job, err);
	if (wait == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	wait->result = err;
	wait->finished = true;
	pthread_cond_signal(&wait->ended);
	pthread_mutex_unlock(&w->lock);
}

/* Jobs taken together. */
struct batch {
	struct writer_job *first; /* linked by next */
	size_t count, bytes, records;
};

/* Is there room on the disk for what this batch may write? */
static enum err check_room(struct writer *w, const struct batch *b)
{
	return store_room(w->o.store,
			  b->bytes * DISK_BYTES_PER_BYTE +
				  b->records * DISK_BYTES_PER_RECORD);
}

/* Apply one job. False: it failed after it had changed something, or the
 * store failed, so that the transaction is spoilt. */
static bool apply(struct writer_txn *t, struct writer_job *job)
{
	size_t mark[INDEX_COUNT];
	uint64_t before = store_changes(t->store) + t->changes;
	enum err err;

	for (size_t i = 0; i < INDEX_COUNT; i++)
		mark[i] = t->w->entries[i].n;
	job->result = job->apply(job, t);
	err = store_error(t->store) != ERR_OK ? store_error(t->store) : t->err;
	if (job->result == ERR_OK && err == ERR_OK) {
		if (writer_waiting_entries(t->w) > ENTRIES_MAX)
			job->result = writer_put_entries(t);
		return job->result == ERR_OK;
	}
	if (job->result == ERR_OK)
		job->result = err;
	for (size_t i = 0; i < INDEX_COUNT; i++)
		t->w->entries[i].n = mark[i];
	return err == ERR_OK && store_changes(t->store) + t->changes == before;
}

/* Run all jobs of @b in one transaction. On failure nothing has happened and
 * no job was finished. */
static enum err run_together(struct writer *w, const struct batch *b)
{
	struct writer_job *job, *next;
	struct writer_txn t;
	enum err err = check_room(w, b);

	if (err != ERR_OK)
		return err;
	err = writer_begin(w, &t);
	if (err != ERR_OK)
		return err;
	for (job = b->first; job != NULL; job = job->next) {
		if (apply(&t, job))
			continue;
		err = job->result;
		store_abort(t.store);
		writer_undo(&t);
		return err;
	}
	w->puts += store_changes(t.store);
	err = writer_commit(&t);
	if (err != ERR_OK)
		return err;
	for (job = b->first; job != NULL; job = next) {
		next = job->next;
		finish(w, job, job->result);
	}
	writer_announce(&t);
	writer_end(&t);
	return ERR_OK;
}

static void run_batch(struct writer *w, const struct batch *b)
{
	struct writer_job *job, *next;
	enum err all = run_together(w, b);

	if (all == ERR_OK)
		return;
	if (b->count == 1) {
		finish(w, b->first, all);
		return;
	}
	for (job = b->first; job != NULL; job = next) {
		struct batch one = { job, 1, job->bytes, records_of(job) };
		enum err err;

		next = job->next;
		job->next = NULL;
		err = run_together(w, &one);
		if (err != ERR_OK)
			finish(w, job, err);
	}
}

/* ---- the thread ----------------------------------------------------------- */

/* Take what waits, as much as one transaction may hold. */
static struct batch take(struct writer *w)
{
	struct batch b = { .first = w->first };
	struct writer_job *last = NULL;

	for (struct writer_job *job = w->first; job != NULL; job = job->next) {
		if (b.count > 0 &&
		    (b.records + records_of(job) > LIMIT_TXN_RECORDS ||
		     b.bytes + job->bytes > LIMIT_TXN_BYTES))
			break;
		b.count++;
		b.records += records_of(job);
		b.bytes += job->bytes;
		last = job;
	}
	if (last == NULL)
		return b;
	w->first = last->next;
	if (w->first == NULL)
		w->last = NULL;
	last->next = NULL;
	atomic_fetch_sub(&w->queued_records, b.records);
	atomic_fetch_sub(&w->queued_bytes, b.bytes);
	return b;
}

static enum err load_own(struct writer_job *job, struct writer_txn *t)
{
	struct writer_log *own;

	(void)job;
	return writer_touch(t, t->w->own_log, &own);
}

/* Signing was allowed on a copied or new directory: from now on its guard
 * is its own. */
static void adopt_guard(struct writer *w)
{
	struct writer_job job = { .apply = load_own };
	struct batch one = { &job, 1, 0, 1 };
	enum err err = run_together(w, &one);

	if (err == ERR_OK)
		writer_write_guard(w, w->log[w->own_log]);
	else
		log_warn("node", "cannot renew the guard file yet: %s",
			 err_text(err));
}

/* After a bulk load: LMDB, the lists and the allocator keep what they once
 * needed, though a node that waits needs none of it. */
static void give_memory_back(struct writer *w)
{
	enum err err = store_trim(w->o.store);

	if (err == ERR_BUSY)
		return; /* someone reads: at the next pause */
	if (err != ERR_OK)
		writer_die("opening the store again", err);
	w->puts = 0;
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		free(w->entries[i].e);
		w->entries[i] = (struct entry_list){ .e = NULL };
		free(w->helper.entries[i].e);
		w->helper.entries[i] = (struct entry_list){ .e = NULL };
	}
	free(w->room.leaf);
	free(w->room.keep);
	free(w->room.node);
	w->room = (struct accept_room){ .leaf = NULL };
	malloc_trim(0);
}

static struct timespec from_now(uint32_t ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return ts;
}

/* Wait for something to do. False: nothing came for a while after a bulk
 * load. Called with the lock. */
static bool await_work(struct writer *w)
{
	struct timespec until = from_now(TRIM_IDLE_MS);
	int rc = 0;

	while (w->first == NULL && !w->stopping && !w->adopt && rc == 0) {
		if (w->puts < TRIM_PUTS)
			pthread_cond_wait(&w->wake, &w->lock);
		else
			rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
	}
	return rc == 0;
}

static void *run(void *arg)
{
	struct writer *w = arg;
	bool go_on = true;

	while (go_on) {
		bool idle, adopt;
		struct batch b;

		pthread_mutex_lock(&w->lock);
		idle = !await_work(w);
		b = take(w);
		adopt = w->adopt;
		w->adopt = false;
		go_on = !w->stopping || w->first != NULL || b.first != NULL;
		if (b.first != NULL)
			pthread_cond_broadcast(&w->room_made);
		pthread_mutex_unlock(&w->lock);
		if (adopt)
			adopt_guard(w);
		if (b.first != NULL)
			run_batch(w, &b);
		else if (idle)
			give_memory_back(w);
	}
	return NULL;
}

bool writer_has_room(const struct writer *w)
{
	return atomic_load(&w->queued_records) < QUEUE_RECORDS_MAX &&
	       atomic_load(&w->queued_bytes) < QUEUE_BYTES_MAX;
}

static void enqueue(struct writer *w, struct writer_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&w->lock);
	while (!writer_has_room(w))
		pthread_cond_wait(&w->room_made, &w->lock);
	atomic_fetch_add(&w->queued_records, records_of(job));
	atomic_fetch_add(&w->queued_bytes, job->bytes);
	if (w->last != NULL)
		w->last->next = job;
	else
		w->first = job;
	w->last = job;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void writer_submit(struct writer *w, struct writer_job *job)
{
	job->wait = NULL;
	enqueue(w, job);
}

enum err writer_run(struct writer *w, struct writer_job *job)
{
	struct writer_wait wait = { .finished = false };

	pthread_cond_init(&wait.ended, NULL);
	job->wait = &wait;
	enqueue(w, job);
	pthread_mutex_lock(&w->lock);
	while (!wait.finished)
		pthread_cond_wait(&wait.ended, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&wait.ended);
	return wait.result;
}

enum signing writer_signing(const struct writer *w)
{
	return (enum signing)atomic_load(&w->signing);
}

void writer_set_signing(struct writer *w, enum signing s)
{
	pthread_mutex_lock(&w->lock);
	if (s == SIGNING_ALLOWED && !atomic_load(&w->guarded)) {
		w->adopt = true;
		pthread_cond_signal(&w->wake);
	}
	atomic_store(&w->signing, (int)s);
	pthread_mutex_unlock(&w->lock);
}

bool writer_is_trusted(const struct writer *w)
{
	return w->trusted;
}

struct store_txn *writer_store(struct writer_txn *t)
{
	return t->store;
}

uint64_t writer_now_ms(const struct writer_txn *t)
{
	return t->now_ms;
}

uint32_t writer_own_log(const struct writer_txn *t)
{
	return t->w->own_log;
}

/* ---- start and stop ------------------------------------------------------- */

static void free_writer(struct writer *w)
{
	for (size_t i = 0; i < LIMIT_LOGS; i++)
		writer_free_log(w->log[i]);
	for (size_t i = 0; i < INDEX_COUNT; i++)
		free(w->entries[i].e);
	free(w->room.leaf);
	free(w->room.keep);
	free(w->room.node);
	arena_free(&w->arena);
	members_release(w->members);
	guard_close(w->guard);
	helper_stop(&w->helper);
	opener_wipe(&w->opener);
	wipe(&w->index, sizeof(w->index));
	pthread_cond_destroy(&w->room_made);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum err writer_start(const struct writer_options *o, struct writer **out,
		      struct buf *why)
{
	struct writer *w = xcalloc(1, sizeof(*w));
	pthread_condattr_t monotonic;
	enum err err;

	w->o = *o;
	atomic_init(&w->signing, (int)SIGNING_WAITING);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&w->room_made, NULL);
	index_keys_init(&w->index, o->keys->index);
	opener_init(&w->opener);
	arena_init(&w->arena, LIMIT_FRAME_BYTES);
	err = helper_start(&w->helper);
	if (err != ERR_OK)
		say(why, "cannot start a thread");
	else
		err = writer_check_start(w, why);
	if (err == ERR_OK && pthread_create(&w->thread, NULL, run, w) != 0) {
		say(why, "cannot start the writer's thread");
		err = ERR_IO;
	}
	if (err != ERR_OK) {
		free_writer(w);
		return err;
	}
	*out = w;
	return ERR_OK;
}

void writer_stop(struct writer *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	free_writer(w);
}
