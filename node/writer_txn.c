/* One transaction of the writer, from begin to what is told afterwards. */

#include "node/writer_impl.h"

#include <stdlib.h>
#include <string.h>

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

void writer_free_log(struct writer_log *l)
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

enum err writer_put_entries(struct writer_txn *t)
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

size_t writer_waiting_entries(const struct writer *w)
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

enum err writer_begin(struct writer *w, struct writer_txn *t)
{
	enum err err;

	*t = (struct writer_txn){ .w = w, .now_ms = w->o.now_ms() };
	arena_init(&t->docs, DOCS_BYTES_MAX);
	writer_take_members(w);
	err = store_write(w->o.store, &t->store);
	if (err == ERR_IO)
		writer_die("beginning a transaction", err);
	if (err != ERR_OK)
		writer_end(t);
	return err;
}

void writer_end(struct writer_txn *t)
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

void writer_undo(struct writer_txn *t)
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
	writer_end(t);
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
		err = writer_put_entries(t);
	if (err == ERR_OK)
		err = put_heads(t);
	/* What cannot be loaded must not be committed. */
	if (err == ERR_OK && t->docs_changed)
		err = members_load(t->store, next, NULL);
	if (err == ERR_OK)
		err = sync_salts(t);
	return err;
}

void writer_write_guard(struct writer *w, const struct writer_log *own)
{
	struct head head = writer_signed_head(&own->head);
	enum err err =
		guard_write(w->guard, &head, writer_note_base(own->head.note));

	if (err != ERR_OK)
		writer_die("writing the guard file", err);
	atomic_store(&w->guarded, true);
}

enum err writer_commit(struct writer_txn *t)
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
		writer_undo(t);
		return err;
	}
	if (own != NULL && own->changed && writer_signing(w) == SIGNING_ALLOWED)
		writer_write_guard(w, own);
	if (next != NULL)
		members_cell_set(w->o.members, next);
	return ERR_OK;
}

void writer_announce(struct writer_txn *t)
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
