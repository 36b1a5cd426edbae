/* The second reading of an import: bodies, learners' numbers, batches. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/import_impl.h"
#include "node/node.h"
#include "proto/text.h"

#define ENTRY_ARENA_BYTES 65536u
#define POLL_MS 50
#define SIGNING_WAIT_MS 15000u

struct writing {
	struct import *im;
	struct import_run *run;
	struct import_job *job; /* being filled */
	struct preparer preparers[IMPORT_SLICES];
	struct import_learners learners;
	uint64_t rows; /* good rows read so far, for the progress bar */
	uint64_t bad; /* rows that were good in the first reading */
};

static void pause_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	(void)nanosleep(&t, NULL);
}

bool import_may_sign(struct cmd *c)
{
	enum signing s = writer_signing(c->home->writer);
	struct buf names;

	for (uint32_t ms = 0; s == SIGNING_WAITING && ms < SIGNING_WAIT_MS &&
			      !cmd_is_cancelled(c);
	     ms += POLL_MS) {
		pause_ms(POLL_MS);
		s = writer_signing(c->home->writer);
	}
	if (s == SIGNING_ALLOWED)
		return true;
	buf_init(&names, LIMIT_NOTE_BYTES);
	if (c->node != NULL)
		node_awaited(c->node, &names);
	if (names.n > 0)
		cmd_msg(c,
			"this node may not sign yet: it waits for what these "
			"partners hold of its log: %.*s; they must come up, "
			"or start it with `serve --sign-alone`",
			(int)names.n, (const char *)names.p);
	else
		cmd_msg(c, "this node may not sign: its data may be an older "
			   "copy; run `serve` so that it can ask its partners, "
			   "or start it with `serve --sign-alone`");
	buf_free(&names);
	return false;
}

int import_lock_writing(struct cmd *c, const char *tmp)
{
	int fd = import_lock(tmp);

	if (fd < 0)
		cmd_msg(c, "waiting for another import to end");
	while (fd < 0 && !cmd_is_cancelled(c)) {
		pause_ms(POLL_MS);
		fd = import_lock(tmp);
	}
	if (fd >= 0) /* whoever had it before is not running any more */
		import_lock_sign(fd, slice_of(NULL, 0));
	return fd;
}

/* A file's name as text: whatever is no clean UTF-8 becomes '?'. */
static enum err clean_name(struct arena *a, const char *name, struct slice *out)
{
	struct slice s = slice_str(name);
	uint8_t *p;
	enum err e;

	if (s.n > LIMIT_ID_BYTES * 4)
		s = slice_sub(s, s.n - LIMIT_ID_BYTES * 4, LIMIT_ID_BYTES * 4);
	e = arena_copy(a, s, out);
	if (e != ERR_OK || text_is_clean(*out))
		return e;
	p = arena_alloc(a, s.n);
	if (p == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
	*out = slice_of(p, s.n);
	return ERR_OK;
}

bool import_entry(struct journal_entry *e, struct arena *a, const char *kind,
		  const char *file)
{
	uint8_t random[IMPORT_TOKEN_BYTES / 2];
	struct buf hex;
	enum err err;

	random_bytes(random, sizeof(random));
	buf_init(&hex, IMPORT_TOKEN_BYTES);
	text_put_hex(&hex, slice_of(random, sizeof(random)));
	*e = (struct journal_entry){ .state = JOURNAL_RUNNING,
				     .kind = slice_str(kind),
				     .unix_seconds = now_ms() / 1000 };
	err = arena_copy(a, buf_slice(&hex), &e->token);
	buf_free(&hex);
	return err == ERR_OK && clean_name(a, file, &e->file) == ERR_OK;
}

enum err import_put_status(struct arena *a, uint64_t position,
			   const char *state, const char *reason,
			   struct buf *out)
{
	struct value v;
	struct buf at;
	enum err e = value_map(a, 4, &v);

	if (e != ERR_OK)
		return e;
	buf_init(&at, TEXT_INSTANT_BYTES);
	text_put_instant(&at, now_ms() / 1000);
	v.pairs[0] =
		(struct value_pair){ slice_str("seq"), value_uint(position) };
	v.pairs[1] = (struct value_pair){ slice_str("state"),
					  value_str(slice_str(state)) };
	v.pairs[2] = (struct value_pair){ slice_str("reason"),
					  value_str(slice_str(reason)) };
	v.pairs[3] = (struct value_pair){ slice_str("at"),
					  value_str(buf_slice(&at)) };
	e = value_encode(&v, out);
	buf_free(&at);
	return e;
}

/* Stage A, on all slices: bodies; which learners are known. */

static struct import_item *items_of(const struct writing *w, uint32_t i)
{
	return w->job->items + (size_t)i * ITEMS_OF_A_ROW;
}

static enum err make_row(struct writing *w, unsigned k, uint32_t i)
{
	struct import *im = w->im;
	struct import_maker *m = &im->makers[k];
	struct import_made *made = &w->job->made[i];
	enum err e =
		import_make(m, &im->batch.records[i], &w->job->arenas[k], made);

	if (e != ERR_OK || made->state == IMPORT_REJECTED)
		return e;
	if (im->plan.undone)
		return import_match(m, &w->job->arenas[k], made);
	if (made->learner.n == 0 ||
	    import_learners_find(&w->learners, &made->person) != NULL)
		return ERR_OK;
	return import_find_learner(m, &w->job->arenas[k], made);
}

static void make_slice(void *arg, unsigned k)
{
	struct writing *w = arg;
	struct import_maker *m = &w->im->makers[k];
	uint32_t from;
	uint32_t to;
	enum err e;

	import_slice(w->im, k, &from, &to);
	e = own_begin(&m->own);
	for (uint32_t i = from; i < to && e == ERR_OK; i++) {
		for (size_t n = 0; n < ITEMS_OF_A_ROW; n++) {
			items_of(w, i)[n].p.kind = 0;
			items_of(w, i)[n].only_after = 0;
		}
		e = make_row(w, k, i);
	}
	own_end(&m->own);
	w->im->slice_err[k] = e;
}

/* Stage B, in the order of the file: every learner has one number. */

static void number_learner(struct writing *w, uint32_t i)
{
	struct import_made *made = &w->job->made[i];
	struct import_learner *e =
		import_learners_find(&w->learners, &made->person);
	struct import_learner fresh = { .person = made->person,
					.content = made->content };
	bool write = false;

	if (e == NULL) {
		fresh.number = made->number;
		if (!made->known)
			random_bytes(fresh.number.b, sizeof(fresh.number.b));
		e = import_learners_add(&w->learners, &fresh);
		write = !made->known || made->differs;
	} else if (memcmp(&e->content, &made->content, sizeof(e->content)) !=
		   0) {
		w->bad++; /* the first reading rejected such rows */
	}
	made->number = e->number;
	if (write)
		items_of(w, i)[ITEM_LEARNER].p.kind = KIND_LEARNER;
}

/* Stage C, on all slices: seal, hash, index. */

static enum err prepare(struct writing *w, unsigned k, struct prepared *p,
			uint64_t audience, struct slice body)
{
	p->audience = audience;
	p->body = body;
	return writer_prepare(&w->preparers[k], &w->job->arenas[k], p);
}

static enum err prepare_status(struct writing *w, unsigned k, uint32_t i)
{
	struct import_made *made = &w->job->made[i];
	struct import_item *item = &items_of(w, i)[ITEM_STATUS];
	struct arena *a = &w->job->arenas[k];
	struct slice body = { NULL, 0 };
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_BODY_BYTES);
	e = import_put_status(a, made->reinstate - 1, "valid", "administrative",
			      &b);
	if (e == ERR_OK)
		e = arena_copy(a, buf_slice(&b), &body);
	buf_free(&b);
	item->p.kind = KIND_STATUS;
	return e == ERR_OK ? prepare(w, k, &item->p, made->audience, body) : e;
}

static enum err prepare_row(struct writing *w, unsigned k, uint32_t i)
{
	struct import_made *made = &w->job->made[i];
	struct import_item *items = items_of(w, i);
	enum err e = ERR_OK;

	if (made->state == IMPORT_REJECTED)
		return ERR_OK;
	if (made->learner.n > 0)
		import_set_number(made, &made->number);
	if (items[ITEM_LEARNER].p.kind != 0)
		e = prepare(w, k, &items[ITEM_LEARNER].p, AUDIENCE_OWN,
			    made->learner);
	items[ITEM_MAIN].p.kind = w->im->plan.schema->kind;
	if (e == ERR_OK)
		e = prepare(w, k, &items[ITEM_MAIN].p, made->audience,
			    made->body);
	if (e == ERR_OK && made->reinstate > 0)
		e = prepare_status(w, k, i);
	return e;
}

static void prepare_slice(void *arg, unsigned k)
{
	struct writing *w = arg;
	enum err e = ERR_OK;
	uint32_t from;
	uint32_t to;

	import_slice(w->im, k, &from, &to);
	for (uint32_t i = from; i < to && e == ERR_OK; i++)
		e = prepare_row(w, k, i);
	w->im->slice_err[k] = e;
}

/* Batches. */

static enum err slices_failed(const struct import *im)
{
	enum err e = ERR_OK;

	for (size_t k = 0; k < IMPORT_SLICES && e == ERR_OK; k++)
		e = im->slice_err[k];
	return e;
}

/* Leave in the batch what is to be applied. */
static void select_rows(struct import *im)
{
	struct import_batch *b = &im->batch;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < b->count; i++) {
		if (import_row_applies(im, b->records[i].index) &&
		    import_conflict_at(im, b->records[i].line) == NULL)
			b->records[kept++] = b->records[i];
	}
	b->count = kept;
}

/* Learners in jobs that are not committed are only in the table: it may
 * forget them when everything is in the store. */
static enum err make_room(struct writing *w)
{
	enum err e;

	if (w->learners.count + IMPORT_BATCH_RECORDS <= IMPORT_LEARNERS_MAX)
		return ERR_OK;
	e = import_run_drain(w->run);
	import_learners_clear(&w->learners);
	return e;
}

static enum err write_batch(struct writing *w)
{
	struct import *im = w->im;
	enum err e = make_room(w);

	if (e != ERR_OK)
		return e;
	w->job = import_run_take(w->run);
	if (w->job == NULL)
		return import_run_drain(w->run);
	w->job->rows = im->batch.count;
	import_pool_run(im->pool, make_slice, w);
	e = slices_failed(im);
	if (e != ERR_OK)
		return e;
	for (uint32_t i = 0; i < im->batch.count; i++) {
		const struct import_made *made = &w->job->made[i];

		w->bad += made->state == IMPORT_REJECTED;
		if (made->state != IMPORT_REJECTED && made->learner.n > 0)
			number_learner(w, i);
	}
	import_pool_run(im->pool, prepare_slice, w);
	e = slices_failed(im);
	if (e == ERR_OK)
		import_run_submit(w->run, w->job);
	return e;
}

static enum err write_rows(struct writing *w)
{
	struct import *im = w->im;
	enum err e = import_source_rewind(&im->source, &im->why);

	import_report_begin(&im->report);
	while (e == ERR_OK) {
		e = import_source_next(&im->source, &im->batch, &im->why);
		if (e != ERR_OK)
			break;
		w->rows += im->batch.count;
		select_rows(im);
		if (im->batch.count > 0)
			e = write_batch(w);
		import_report_progress(&im->report, "writing", w->rows,
				       im->rows);
		if (e == ERR_OK && cmd_is_cancelled(im->c))
			e = ERR_CLOSED;
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What to say when not everything came in. */
static void tell_stop(struct import *im, enum err e)
{
	uint64_t in = im->counts[IMPORT_NEW] + im->counts[IMPORT_CHANGED];

	import_report_clear(&im->report);
	if (im->why.n > 0)
		cmd_msg(im->c, "%.*s", (int)im->why.n, (const char *)im->why.p);
	cmd_msg(im->c,
		"%s: %s after %" PRIu64 " rows; run the same command again: "
		"rows that are in stay as they are",
		im->path, e == ERR_CLOSED ? "interrupted" : err_text(e), in);
	im->exit = e == ERR_CLOSED ? EXIT_FAILED : cmd_exit(e);
}

static bool finish(struct writing *w, enum err e)
{
	struct import *im = w->im;
	struct journal_entry end = { .state = JOURNAL_COMPLETE };
	enum err drained = import_run_drain(w->run);
	enum err ended;
	uint64_t good;

	if (e == ERR_OK)
		e = drained;
	if (e == ERR_OK &&
	    (memcmp(&im->seen, &im->source.seen, sizeof(im->seen)) != 0 ||
	     w->bad > 0)) {
		buf_put_str(&im->why, im->path);
		buf_put_str(&im->why, ": the file was changed while it was "
				      "read");
		e = ERR_CONFLICT;
	}
	good = im->rows - im->counts[IMPORT_REJECTED];
	im->counts[IMPORT_NEW] = w->run->added;
	im->counts[IMPORT_CHANGED] = w->run->changed;
	im->counts[IMPORT_UNCHANGED] = good - w->run->added - w->run->changed;
	im->learners_changed = w->run->learners;
	if (e != ERR_OK)
		end.state = JOURNAL_STOPPED;
	end.unchanged = e == ERR_OK ? im->counts[IMPORT_UNCHANGED] : 0;
	end.rejected = im->counts[IMPORT_REJECTED];
	ended = import_run_end(w->run, &end);
	im->number = w->run->entry.number;
	if (e == ERR_OK)
		e = ended;
	if (e != ERR_OK)
		tell_stop(im, e);
	import_report_clear(&im->report);
	return e == ERR_OK;
}

bool import_write(struct import *im)
{
	struct writing w = { .im = im };
	const struct home *h = im->c->home;
	struct journal_entry entry;
	struct arena a;
	bool ok;

	im->exit = EXIT_FAILED;
	if (!import_may_sign(im->c))
		return false;
	im->exit = EXIT_OK;
	im->plan.writing = true;
	arena_init(&a, ENTRY_ARENA_BYTES);
	ok = import_entry(&entry, &a, im->plan.schema->plural, im->path);
	import_lock_sign(im->lock, entry.token);
	w.run = import_run_open(h, &entry);
	w.run->compare_audience = im->plan.audience_given;
	for (size_t k = 0; k < IMPORT_SLICES; k++)
		preparer_init(&w.preparers[k], &h->keys, h->own_log);
	ok = ok && finish(&w, write_rows(&w));
	for (size_t k = 0; k < IMPORT_SLICES; k++)
		preparer_wipe(&w.preparers[k]);
	import_run_close(w.run);
	import_learners_free(&w.learners);
	arena_free(&a);
	return ok;
}
