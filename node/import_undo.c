/* Taking back an import, record by record, as new records. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/import.h"
#include "node/import_impl.h"
#include "proto/dec.h"

#define UNDO_ARENA_BYTES (16u << 20)

struct undo {
	struct cmd *c;
	bool check;
	int lock; /* descriptor of the import lock, or -1 */
	struct journal_entry entry; /* what is undone */
	struct arena arena; /* holds the entry */
	struct own own;
	struct preparer preparer;
	struct import_run *run; /* NULL with check */
	struct import_job *job; /* being filled, or NULL */
	uint64_t restored, withdrawn, left; /* records */
};

/* One record of the import. */
struct undone {
	const struct schema *schema;
	struct slice id;
	struct buf body;
	uint64_t audience;
	uint64_t seq;
	uint64_t newest; /* record of this id */
};

static bool is_within(const struct undo *u, uint64_t seq)
{
	for (uint32_t i = 0; i < u->entry.extent_count; i++) {
		if (seq >= u->entry.extents[i].from &&
		    seq < u->entry.extents[i].to)
			return true;
	}
	return false;
}

/* The newest record of this id from before the import. */
static enum err earlier(struct undo *u, const struct schema *s, struct slice id,
			uint64_t seq, uint64_t *found)
{
	enum err e = own_search(&u->own, s, id, true, seq, found);

	while (e == ERR_OK && is_within(u, *found))
		e = own_search(&u->own, s, id, true, *found, found);
	return e;
}

/* Does the record at @seq say what @body does, to the same readers? Then it
 * is as the import left it, even when something came and went since. */
static enum err is_same(struct undo *u, const struct undone *r, uint64_t seq,
			bool *same)
{
	uint64_t audience;
	uint32_t kind;
	enum err e = own_open(&u->own, seq, &kind, &audience);

	*same = e == ERR_OK && kind == r->schema->kind &&
		audience == r->audience &&
		slice_equal(buf_slice(&u->own.body), buf_slice(&r->body));
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Put one body into the job. @only_after: see struct import_item. */
static enum err put(struct undo *u, uint32_t kind, uint64_t audience,
		    struct slice body, uint64_t only_after)
{
	struct import_item *items;
	struct arena *a;
	enum err e;

	if (u->check)
		return ERR_OK;
	if (u->job == NULL)
		u->job = import_run_take(u->run);
	if (u->job == NULL)
		return import_run_drain(u->run);
	a = &u->job->arenas[0];
	items = u->job->items + (size_t)u->job->rows * ITEMS_OF_A_ROW;
	memset(items, 0, ITEMS_OF_A_ROW * sizeof(*items));
	e = arena_copy(a, body, &body);
	if (e != ERR_OK)
		return e;
	items[ITEM_MAIN].only_after = only_after;
	items[ITEM_MAIN].p.kind = kind;
	items[ITEM_MAIN].p.audience = audience;
	items[ITEM_MAIN].p.body = body;
	e = writer_prepare(&u->preparer, a, &items[ITEM_MAIN].p);
	if (e == ERR_OK)
		u->job->rows++;
	return e;
}

/* The body with another state. */
static enum err put_state(struct undo *u, const struct schema *s,
			  struct slice body, uint64_t audience, uint64_t seq)
{
	struct arena a;
	struct value v;
	struct value more;
	struct buf out;
	uint32_t n = 0;
	enum err e;

	arena_init(&a, UNDO_ARENA_BYTES);
	buf_init(&out, LIMIT_BODY_BYTES + 64);
	e = value_decode(body, &a, &v);
	if (e == ERR_OK)
		e = value_map(&a, v.count + 1, &more);
	for (uint32_t i = 0; e == ERR_OK && i < v.count; i++) {
		if (!slice_is(v.pairs[i].key, "state"))
			more.pairs[n++] = v.pairs[i];
	}
	if (e == ERR_OK) {
		more.pairs[n].key = slice_str("state");
		more.pairs[n++].value = value_str(slice_str(s->withdrawn));
		more.count = n;
		e = value_encode(&more, &out);
	}
	if (e == ERR_OK)
		e = put(u, s->kind, audience, buf_slice(&out), seq + 1);
	buf_free(&out);
	arena_free(&a);
	return e;
}

static enum err put_status(struct undo *u, uint64_t position, const char *state,
			   uint64_t audience)
{
	struct arena a;
	struct buf out;
	enum err e;

	arena_init(&a, 4096);
	buf_init(&out, 1024);
	e = import_put_status(&a, position, state, "import-undone", &out);
	if (e == ERR_OK)
		e = put(u, KIND_STATUS, audience, buf_slice(&out), 0);
	buf_free(&out);
	arena_free(&a);
	return e;
}

/* Revoke, unless the credential is revoked for a reason of its own. */
static enum err revoke_credential(struct undo *u, uint64_t seq,
				  uint64_t audience)
{
	struct slice state;
	struct slice reason;
	enum err e = own_status(&u->own, seq, &state, &reason);

	if (e != ERR_OK)
		return e;
	if (slice_is(state, "revoked")) {
		u->left += !slice_is(reason, "import-undone");
		return ERR_OK;
	}
	u->withdrawn++;
	return put_status(u, seq, "revoked", audience);
}

static enum err withdraw(struct undo *u, const struct undone *r)
{
	struct slice body = buf_slice(&r->body);
	uint32_t kind = r->schema->kind;

	if (kind == KIND_CREDENTIAL)
		return revoke_credential(u, r->seq, r->audience);
	if (kind == KIND_LEARNER)
		return ERR_OK; /* says nothing without credentials */
	u->withdrawn++;
	if (kind == KIND_STATUS)
		return put_status(u, dec_find_uint(body, "seq", 0), "valid",
				  r->audience);
	return put_state(u, r->schema, body, r->audience, r->newest);
}

static enum err restore(struct undo *u, const struct undone *r, uint64_t from)
{
	uint64_t audience;
	uint32_t kind;
	enum err e = own_open(&u->own, from, &kind, &audience);

	if (e != ERR_OK)
		return e;
	u->restored++;
	return put(u, r->schema->kind, audience, buf_slice(&u->own.body),
		   r->newest + 1);
}

/* Is the newest record, opened, what an undo of this one would write? An
 * undo that was broken off, or that left others, was here before. */
static enum err is_undone(struct undo *u, const struct undone *r,
			  uint64_t before, bool *yes)
{
	struct slice newest = buf_slice(&u->own.body);
	struct undone was = { .schema = r->schema };
	uint32_t kind;
	enum err e;

	if (before == UINT64_MAX && r->schema->kind == KIND_STATUS)
		*yes = slice_is(dec_find_str(newest, "reason"),
				"import-undone");
	else if (before == UINT64_MAX)
		*yes = r->schema->withdrawn != NULL &&
		       slice_is(dec_find_str(newest, "state"),
				r->schema->withdrawn);
	if (before == UINT64_MAX)
		return ERR_OK;
	e = own_open(&u->own, before, &kind, &was.audience);
	if (e != ERR_OK)
		return e;
	buf_init(&was.body, LIMIT_BODY_BYTES);
	buf_put(&was.body, buf_slice(&u->own.body));
	e = is_same(u, &was, r->newest, yes);
	buf_wipe(&was.body);
	return e;
}

/* Something newer than the import is there. */
static enum err leave(struct undo *u, const struct undone *r, uint64_t before)
{
	bool undone = false;
	uint64_t audience;
	uint32_t kind;
	enum err e;

	if (is_within(u, r->newest))
		return ERR_OK;
	e = own_open(&u->own, r->newest, &kind, &audience);
	if (e == ERR_OK)
		e = is_undone(u, r, before, &undone);
	u->left += !undone;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err undo_one(struct undo *u, struct undone *r)
{
	uint64_t before = UINT64_MAX;
	bool same = true;
	enum err e = own_search(&u->own, r->schema, r->id, true, UINT64_MAX,
				&r->newest);

	if (e == ERR_OK && r->newest != r->seq)
		e = is_same(u, r, r->newest, &same);
	if (e != ERR_OK)
		return e;
	if (same && r->newest != r->seq && is_within(u, r->newest))
		return ERR_OK; /* its turn comes */
	e = earlier(u, r->schema, r->id, r->seq, &before);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	if (e == ERR_NOT_FOUND)
		before = UINT64_MAX;
	if (!same)
		return leave(u, r, before);
	return before != UINT64_MAX ? restore(u, r, before) : withdraw(u, r);
}

static enum err undo_record(struct undo *u, uint64_t seq)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	char text[LIMIT_ID_BYTES + 1];
	struct undone r = { .seq = seq };
	uint32_t kind;
	enum err e = own_open(&u->own, seq, &kind, &r.audience);

	if (e == ERR_NOT_FOUND)
		return ERR_OK; /* erased */
	r.schema = e == ERR_OK ? schema_of(kind) : NULL;
	if (r.schema == NULL ||
	    !schema_id(kind, buf_slice(&u->own.body), scratch, &r.id))
		return e;
	/* The look-ups open other records in the same buffer. */
	memcpy(text, r.id.p, r.id.n);
	r.id = slice_of(text, r.id.n);
	buf_init(&r.body, LIMIT_BODY_BYTES);
	buf_put(&r.body, buf_slice(&u->own.body));
	e = undo_one(u, &r);
	buf_wipe(&r.body);
	return e;
}

/* One look at the store for each batch, so that no old pages are held. */
static enum err undo_batch(struct undo *u, uint64_t *seq, uint64_t to)
{
	uint32_t n = 0;
	enum err e = own_begin(&u->own);

	for (; e == ERR_OK && *seq < to && n < IMPORT_BATCH_RECORDS; n++)
		e = undo_record(u, (*seq)++);
	own_end(&u->own);
	if (e == ERR_OK && u->job != NULL)
		import_run_submit(u->run, u->job);
	u->job = NULL;
	if (e == ERR_OK && cmd_is_cancelled(u->c))
		e = ERR_CLOSED;
	return e;
}

static enum err undo_all(struct undo *u)
{
	enum err e = ERR_OK;
	uint64_t seq;

	for (uint32_t i = 0; i < u->entry.extent_count && e == ERR_OK; i++) {
		seq = u->entry.extents[i].from;
		while (e == ERR_OK && seq < u->entry.extents[i].to)
			e = undo_batch(u, &seq, u->entry.extents[i].to);
	}
	return e;
}

static enum err run(struct undo *u)
{
	struct journal_entry end = { .state = JOURNAL_COMPLETE };
	struct journal_entry entry;
	char kind[64] = "";
	struct arena a;
	enum err drained;
	enum err e;

	if (u->check)
		return undo_all(u);
	if (u->entry.kind.n >= sizeof(kind))
		return ERR_CORRUPT;
	memcpy(kind, u->entry.kind.p, u->entry.kind.n);
	arena_init(&a, 65536);
	if (!import_entry(&entry, &a, kind, "")) {
		arena_free(&a);
		return ERR_LIMIT;
	}
	entry.undo_of = u->entry.number;
	import_lock_sign(u->lock, entry.token);
	u->run = import_run_open(u->c->home, &entry);
	e = undo_all(u);
	drained = import_run_drain(u->run);
	if (e == ERR_OK)
		e = drained;
	if (e != ERR_OK)
		end.state = JOURNAL_STOPPED;
	end.rejected = u->left;
	drained = import_run_end(u->run, &end);
	u->entry.undone_by = u->run->entry.number;
	import_run_close(u->run);
	arena_free(&a);
	return e != ERR_OK ? e : drained;
}

static int tell(struct undo *u, enum err e)
{
	struct cmd *c = u->c;

	if (e == ERR_CLOSED) {
		cmd_msg(c, "interrupted; run the same command again to go on");
		return EXIT_FAILED;
	}
	if (e != ERR_OK) {
		cmd_msg(c, "import %" PRIu64 " cannot be undone: %s",
			u->entry.number, err_text(e));
		return cmd_exit(e);
	}
	if (c->json)
		cmd_out(c,
			"{\"v\":1,\"undo\":%" PRIu64 ",\"restored\":%" PRIu64
			",\"withdrawn\":%" PRIu64 ",\"left\":%" PRIu64
			",\"check\":%s}\n",
			u->entry.number, u->restored, u->withdrawn, u->left,
			u->check ? "true" : "false");
	else
		cmd_out(c,
			"import %" PRIu64 ": %s%" PRIu64
			" records brought back, %" PRIu64 " withdrawn, %" PRIu64
			" left because they were changed since%s\n",
			u->entry.number, u->check ? "would be: " : "",
			u->restored, u->withdrawn, u->left,
			u->check ? " (check: nothing was changed)" : "");
	return u->left > 0 ? EXIT_PARTLY : EXIT_OK;
}

/* EXIT_OK when @u->entry may be undone; -1 when there is nothing to do. */
static int look_up(struct undo *u, uint64_t number, const char *tmp)
{
	enum err e = own_begin(&u->own);

	arena_reset(&u->arena);
	if (e == ERR_OK)
		e = import_journal_get(u->own.txn, number, &u->arena,
				       &u->entry);
	own_end(&u->own);
	if (e != ERR_OK) {
		cmd_msg(u->c, "import %" PRIu64 ": %s", number,
			e == ERR_NOT_FOUND ? "there is none of this number"
					   : err_text(e));
		return cmd_exit(e);
	}
	if (u->entry.undone_by > 0) {
		cmd_msg(u->c,
			"import %" PRIu64 " was undone before (by %" PRIu64 ")",
			number, u->entry.undone_by);
		return -1;
	}
	if (u->entry.state == JOURNAL_RUNNING &&
	    import_is_running(tmp, u->entry.token)) {
		cmd_msg(u->c, "import %" PRIu64 " is still running", number);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* Until the end no import writes, and this one may. */
static int hold(struct undo *u, const char *tmp)
{
	if (!import_may_sign(u->c))
		return EXIT_FAILED;
	u->lock = import_lock_writing(u->c, tmp);
	return u->lock >= 0 ? EXIT_OK : EXIT_FAILED;
}

int import_undo(struct cmd *c, uint64_t number, bool check)
{
	struct undo u = { .c = c, .check = check, .lock = -1 };
	struct buf why;
	char *tmp = NULL;
	int code = EXIT_FAILED;

	buf_init(&why, 4096);
	arena_init(&u.arena, 4 * IMPORT_DOC_BYTES);
	own_init(&u.own, c->home);
	preparer_init(&u.preparer, &c->home->keys, c->home->own_log);
	if (import_tmp_dir(c->home, &tmp, &why) != ERR_OK) {
		cmd_msg(c, "%.*s", (int)why.n, (const char *)why.p);
		goto out;
	}
	code = look_up(&u, number, tmp);
	if (code == EXIT_OK && !check) {
		code = hold(&u, tmp);
		/* Another may have undone it in the meantime. */
		if (code == EXIT_OK)
			code = look_up(&u, number, tmp);
	}
	if (code == -1)
		code = tell(&u, ERR_OK);
	else if (code == EXIT_OK)
		code = tell(&u, run(&u));
out:
	if (u.lock >= 0)
		(void)close(u.lock);
	preparer_wipe(&u.preparer);
	own_free(&u.own);
	arena_free(&u.arena);
	buf_free(&why);
	free(tmp);
	return code;
}
