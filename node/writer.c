/* Queue -> take all that waits -> apply -> seal (check, sign, salts, sorted
 * entries, heads) -> salts synced -> commit -> guard -> done -> events.
 *
 * A job that fails before it changed anything is left out. One that fails
 * later, a full disk or a full map spoil the transaction: it is abandoned and
 * the jobs are tried again one by one, so that only the guilty ones fail. */

#include "node/writer_impl.h"

#include <stdlib.h>
#include <string.h>
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

/* ---- logs ----------------------------------------------------------------- */

static struct writer_log *new_log(struct writer *w, uint32_t log,
				  struct slice origin)
{
	struct writer_log *l = xcalloc(1, sizeof(*l));
	uint64_t generation;

	l->log = log;
	l->is_own = log == w->own_log;
	l->origin_text = xstrndup(origin);
	l->origin = slice_of(l->origin_text, origin.n);
	if (log_origin_parse(l->origin, &l->member, &generation) != ERR_OK)
		l->member = slice_of(NULL, 0);
	l->origin_hash = hash_bytes(l->origin);
	buf_init(&l->note, LIMIT_NOTE_BYTES);
	buf_init(&l->cosig, LIMIT_NOTE_BYTES);
	buf_init(&l->salts, SALTS_BYTES_MAX + LIMIT_SALT_BYTES);
	return l;
}

static void free_log(struct writer_log *l)
{
	if (l == NULL)
		return;
	free(l->origin_text);
	buf_free(&l->note);
	buf_free(&l->cosig);
	buf_wipe(&l->salts);
	free(l);
}

static enum err load_head(struct writer_txn *t, struct writer_log *l)
{
	enum err err = store_head_get(t->store, l->log, &l->head);

	if (err != ERR_OK)
		return err;
	/* The slice dies with the next put. */
	buf_reset(&l->note);
	buf_put(&l->note, l->head.note);
	l->head.note = buf_slice(&l->note);
	l->loaded = l->note.err == ERR_OK;
	return l->note.err;
}

enum err writer_touch(struct writer_txn *t, uint32_t log,
		      struct writer_log **out)
{
	struct writer *w = t->w;
	struct writer_log *l;
	struct slice origin;
	enum err err = store_log_origin(t->store, log, &origin);

	if (err != ERR_OK)
		return err;
	if (w->log[log] == NULL)
		w->log[log] = new_log(w, log, origin);
	l = w->log[log];
	if (!l->loaded)
		err = load_head(t, l);
	if (err != ERR_OK)
		return err;
	if (!l->touched) {
		l->touched = true;
		l->before = l->head.frontier.size;
		l->start = l->head.frontier;
		buf_reset(&l->cosig);
		t->touched[t->touched_count++] = l;
	}
	*out = l;
	return ERR_OK;
}

void writer_change(struct writer_txn *t, struct writer_log *l, bool announce)
{
	t->changes++;
	l->changed = true;
	l->announce |= announce;
}

/* ---- index entries -------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct store_entry *x = a, *y = b;
	uint64_t hx, hy;

	if (x->log != y->log)
		return x->log < y->log ? -1 : 1;
	hx = get_u64be(x->hash);
	hy = get_u64be(y->hash);
	if (hx != hy)
		return hx < hy ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Sorted entries touch each page of an index once. */
static enum err put_entries(struct writer_txn *t)
{
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		struct entry_list *list = &t->w->entries[i];

		if (list->n > 1)
			qsort(list->e, list->n, sizeof(*list->e),
			      compare_entries);
		for (size_t k = 0; k < list->n; k++)
			store_index_put(t->store, (enum store_index)i,
					&list->e[k]);
		list->n = 0;
	}
	return store_error(t->store);
}

static size_t entries_waiting(const struct writer *w)
{
	size_t n = 0;

	for (size_t i = 0; i < INDEX_COUNT; i++)
		n += w->entries[i].n;
	return n;
}

/* ---- salts ---------------------------------------------------------------- */

enum err writer_put_salts(struct writer_txn *t, struct writer_log *l)
{
	enum err err;

	if (l->salts.n == 0)
		return t->err;
	t->vault_dirty = true;
	err = vault_put(t->w->o.vault, l->log, l->salts_from, l->salts.p,
			l->salts.n / LIMIT_SALT_BYTES);
	wipe(l->salts.p, l->salts.n);
	buf_reset(&l->salts);
	if (err != ERR_OK && err != ERR_FULL)
		writer_die("writing the vault", err);
	if (t->err == ERR_OK)
		t->err = err;
	return t->err;
}

enum err writer_add_salt(struct writer_txn *t, struct writer_log *l,
			 uint64_t seq, const uint8_t salt[LIMIT_SALT_BYTES])
{
	uint64_t next = l->salts_from + l->salts.n / LIMIT_SALT_BYTES;

	t->changes++;
	if (l->salts.n > 0 && (seq != next || l->salts.n >= SALTS_BYTES_MAX))
		writer_put_salts(t, l);
	if (l->salts.n == 0)
		l->salts_from = seq;
	buf_put(&l->salts, slice_of(salt, LIMIT_SALT_BYTES));
	return t->err;
}

static enum err sync_salts(struct writer_txn *t)
{
	for (uint32_t i = 0; i < t->touched_count && t->err == ERR_OK; i++)
		writer_put_salts(t, t->touched[i]);
	if (t->err != ERR_OK || !t->vault_dirty)
		return t->err;
	t->err = vault_sync(t->w->o.vault);
	if (t->err != ERR_OK && t->err != ERR_FULL)
		writer_die("syncing the vault", t->err);
	return t->err;
}

/* ---- one transaction ------------------------------------------------------ */

void writer_take_members(struct writer *w)
{
	struct members *newest = members_hold(w->o.members);

	if (newest == w->members) {
		members_release(newest);
		return;
	}
	members_release(w->members);
	w->members = newest;
	w->members_turn++;
	w->is_member = members_has(newest, w->own_member);
}

static enum err begin(struct writer *w, struct writer_txn *t)
{
	*t = (struct writer_txn){ .w = w, .now_ms = w->o.now_ms() };
	arena_init(&t->docs, DOCS_BYTES_MAX);
	writer_take_members(w);
	return store_write(w->o.store, &t->store);
}

/* Forget what belonged to this transaction only. */
static void end(struct writer_txn *t)
{
	for (uint32_t i = 0; i < t->touched_count; i++) {
		struct writer_log *l = t->touched[i];

		l->touched = false;
		l->changed = false;
		l->announce = false;
		l->appended = false;
	}
	t->touched_count = 0;
	arena_free(&t->docs);
}

/* Nothing of it happened: no salts, no entries, heads as stored. */
static void undo(struct writer_txn *t)
{
	for (uint32_t i = 0; i < t->touched_count; i++) {
		struct writer_log *l = t->touched[i];

		l->loaded = false;
		wipe(l->salts.p, l->salts.n);
		buf_reset(&l->salts);
		if (t->vault_dirty &&
		    vault_trim(t->w->o.vault, l->log, l->before) == ERR_IO)
			writer_die("trimming the vault", ERR_IO);
	}
	for (size_t i = 0; i < INDEX_COUNT; i++)
		t->w->entries[i].n = 0;
	end(t);
}

static enum err put_heads(struct writer_txn *t)
{
	for (uint32_t i = 0; i < t->touched_count; i++) {
		struct writer_log *l = t->touched[i];

		if (l->changed)
			store_head_put(t->store, l->log, &l->head);
	}
	return store_error(t->store);
}

/* What must be in the store before it is committed. *next: the members as
 * they will be, or NULL. */
static enum err seal(struct writer_txn *t, struct members **next)
{
	enum err err = ERR_OK;

	*next = NULL;
	for (uint32_t i = 0; i < t->touched_count && err == ERR_OK; i++) {
		struct writer_log *l = t->touched[i];

		if (l->appended)
			err = writer_sign(t, l);
	}
	if (err == ERR_OK)
		err = put_entries(t);
	if (err == ERR_OK)
		err = put_heads(t);
	/* What cannot be loaded must not be committed. */
	if (err == ERR_OK && t->docs_changed)
		err = members_load(t->store, next, NULL);
	if (err == ERR_OK)
		err = sync_salts(t);
	return err;
}

/* The guard follows the commit, and precedes everything that tells of it. */
static void write_guard(struct writer *w, const struct writer_log *own)
{
	struct head head = writer_signed_head(&own->head);
	enum err err =
		guard_write(w->guard, &head, writer_note_base(own->head.note));

	if (err != ERR_OK)
		writer_die("writing the guard file", err);
	atomic_store(&w->guarded, true);
}

/* End @t in any case. On ERR_OK everything is durable. */
static enum err commit(struct writer_txn *t)
{
	struct writer *w = t->w;
	struct writer_log *own = w->log[w->own_log];
	struct members *next = NULL;
	enum err err = seal(t, &next);

	if (err == ERR_OK) {
		err = store_commit(t->store);
		if (err != ERR_OK && err != ERR_FULL)
			writer_die("the commit", err);
	} else {
		store_abort(t->store);
	}
	if (err != ERR_OK) {
		members_release(next);
		undo(t);
		return err;
	}
	if (own != NULL && own->changed && writer_signing(w) == SIGNING_ALLOWED)
		write_guard(w, own);
	if (next != NULL)
		members_cell_set(w->o.members, next);
	return ERR_OK;
}

static void announce(struct writer_txn *t)
{
	struct writer_options *o = &t->w->o;

	if (o->on_commit == NULL)
		return;
	if (t->docs_changed) {
		struct writer_event e = { .log = WRITER_NO_LOG };

		o->on_commit(o->arg, &e);
	}
	for (uint32_t i = 0; i < t->touched_count; i++) {
		struct writer_log *l = t->touched[i];
		struct writer_event e = {
			.log = l->log,
			.note = buf_slice(&l->note),
			.cosignature = buf_slice(&l->cosig),
			.frozen = l->head.frozen,
		};

		if (!l->announce)
			continue;
		e.held = frontier_head(&l->head.frontier);
		o->on_commit(o->arg, &e);
	}
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
		if (entries_waiting(t->w) > ENTRIES_MAX)
			job->result = put_entries(t);
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
	err = begin(w, &t);
	if (err == ERR_IO)
		writer_die("beginning a transaction", err);
	if (err != ERR_OK) {
		end(&t);
		return err;
	}
	for (job = b->first; job != NULL; job = job->next) {
		if (apply(&t, job))
			continue;
		err = job->result;
		store_abort(t.store);
		undo(&t);
		return err;
	}
	err = commit(&t);
	if (err != ERR_OK)
		return err;
	for (job = b->first; job != NULL; job = next) {
		next = job->next;
		finish(w, job, job->result);
	}
	announce(&t);
	end(&t);
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
		write_guard(w, w->log[w->own_log]);
	else
		log_warn("node", "cannot renew the guard file yet: %s",
			 err_text(err));
}

static void *run(void *arg)
{
	struct writer *w = arg;
	bool go_on = true;

	while (go_on) {
		struct batch b;
		bool adopt;

		pthread_mutex_lock(&w->lock);
		while (w->first == NULL && !w->stopping && !w->adopt)
			pthread_cond_wait(&w->wake, &w->lock);
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
		free_log(w->log[i]);
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
	enum err err;

	w->o = *o;
	atomic_init(&w->signing, (int)SIGNING_WAITING);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
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
