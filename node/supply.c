#include "node/supply.h"

#include <assert.h>
#include <string.h>

#include "proto/log.h"

/* What one call works on. */
struct reading {
	const struct supply *s;
	struct store_txn *txn;
	uint32_t log;
	bool is_member, own; /* of the reader, for audience_admits */
	uint8_t salt[LIMIT_SALT_BYTES]; /* of the last record */
};

static enum err begin(struct reading *r, const struct supply *s,
		      struct slice origin)
{
	enum err err;

	*r = (struct reading){ .s = s };
	err = store_read(s->store, &r->txn);
	if (err == ERR_OK)
		err = store_log_find(r->txn, origin, &r->log);
	return err;
}

static void end(struct reading *r)
{
	store_abort(r->txn);
	wipe(r->salt, sizeof(r->salt));
}

static void set_reader(struct reading *r, struct slice reader,
		       struct slice origin)
{
	struct members *m = members_hold(r->s->members);
	struct slice owner = { NULL, 0 };
	uint64_t generation;

	r->is_member = members_has(m, reader);
	if (log_origin_parse(origin, &owner, &generation) == ERR_OK)
		r->own = slice_equal(owner, reader);
	members_release(m);
}

static bool may_read(const struct reading *r, const struct leaf *leaf)
{
	return audience_admits(leaf->audience, r->is_member, r->own);
}

/* The record as its reader may have it: with body and salt, or without. */
static enum err get_record(struct reading *r, uint64_t seq, struct record *out)
{
	struct leaf leaf;
	enum err err = store_record_get(r->txn, r->log, seq, out);

	if (err != ERR_OK)
		return err;
	err = out->body.n > 0 ? leaf_decode(out->leaf, &leaf) : ERR_NOT_FOUND;
	if (err == ERR_OK && !may_read(r, &leaf))
		err = ERR_DENIED;
	if (err == ERR_OK && out->salt.n == 0) {
		err = vault_get(r->s->vault, r->log, seq, r->salt);
		out->salt = slice_of(r->salt, sizeof(r->salt));
	}
	if (err == ERR_OK)
		return ERR_OK;
	out->salt = out->body = slice_of(NULL, 0);
	return err == ERR_IO ? err : ERR_OK;
}

/* ---- chunks --------------------------------------------------------------- */

static enum err put_entries(struct reading *r, const struct supply_chunk *c,
			    struct buf *entries, uint64_t *to)
{
	uint64_t end_at = c->head.size;
	struct record record;
	enum err err;

	if (end_at - c->from > LIMIT_CHUNK_RECORDS)
		end_at = c->from + LIMIT_CHUNK_RECORDS;
	for (*to = c->from; *to < end_at; ++*to) {
		err = get_record(r, *to, &record);
		if (err != ERR_OK)
			return err;
		if (*to > c->from &&
		    entries->n + message_entry_bytes(&record) > c->bytes)
			break;
		message_put_entry(&record, entries);
	}
	return entries->err;
}

static enum err put_chunk(struct reading *r, const struct supply_chunk *c,
			  struct slice entries, uint64_t to, struct buf *out)
{
	struct store_source source = { r->txn, r->log };
	struct merkle_source hashes = store_source_of(&source);
	struct digest right[LIMIT_COVER_HASHES];
	struct message m = { .type = MSG_CHUNK };
	uint32_t n = 0;
	enum err err;

	err = merkle_range(&hashes, to, c->head.size, right, &n);
	if (err != ERR_OK)
		return err;
	m.chunk = (struct message_chunk){
		.origin = c->origin,
		.job = c->job,
		.from = c->from,
		.note = c->note,
		.right_count = n,
		.right = right,
		.count = (uint32_t)(to - c->from),
		.entries = entries,
	};
	message_put(&m, out);
	return out->err;
}

enum err supply_chunk(const struct supply *s, const struct supply_chunk *c,
		      struct buf *out, uint64_t *to, uint32_t *bytes)
{
	struct reading r;
	struct buf entries;
	enum err err;

	assert(c->bytes <= LIMIT_CHUNK_BYTES);
	buf_init(&entries, LIMIT_CHUNK_BYTES + LIMIT_ENTRY_BYTES);
	err = begin(&r, s, c->origin);
	if (err == ERR_OK && c->from >= c->head.size)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		set_reader(&r, c->reader, c->origin);
		err = put_entries(&r, c, &entries, to);
	}
	if (err == ERR_OK)
		err = put_chunk(&r, c, buf_slice(&entries), *to, out);
	*bytes = (uint32_t)entries.n;
	end(&r);
	buf_wipe(&entries); /* salts */
	return err;
}

/* ---- bodies --------------------------------------------------------------- */

static enum err take_body(struct reading *r, uint64_t seq, struct arena *a,
			  struct message_bodies *out, size_t *bytes)
{
	struct message_body *b = &out->bodies[out->count];
	struct record record = { 0 };
	enum err err = get_record(r, seq, &record);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	if (err != ERR_OK || record.body.n == 0 ||
	    *bytes + record.body.n > LIMIT_CHUNK_BYTES) {
		out->absent[out->absent_count++] = seq;
		return ERR_OK;
	}
	b->seq = seq;
	*bytes += record.body.n;
	out->count++;
	err = arena_copy(a, record.salt, &b->salt);
	return err == ERR_OK ? arena_copy(a, record.body, &b->body) : err;
}

enum err supply_bodies(const struct supply *s,
		       const struct message_want_bodies *w, struct slice reader,
		       struct arena *a, struct message_bodies *out)
{
	struct reading r;
	size_t bytes = 0;
	enum err err;

	*out = (struct message_bodies){
		.origin = w->origin,
		.bodies = arena_array(a, w->count, sizeof(*out->bodies)),
		.absent = arena_array(a, w->count, sizeof(*out->absent)),
	};
	if (out->bodies == NULL || out->absent == NULL)
		return ERR_LIMIT;
	err = begin(&r, s, w->origin);
	if (err == ERR_OK)
		set_reader(&r, reader, w->origin);
	for (uint32_t i = 0; i < w->count && err == ERR_OK; i++)
		err = take_body(&r, w->seqs[i], a, out, &bytes);
	end(&r);
	return err;
}

/* ---- what is missing -------------------------------------------------------- */

static enum err look(struct reading *r, uint64_t seq, bool *missing)
{
	struct record record;
	struct leaf leaf;
	enum err err = store_record_get(r->txn, r->log, seq, &record);

	*missing = false;
	if (err != ERR_OK || leaf_decode(record.leaf, &leaf) != ERR_OK ||
	    !may_read(r, &leaf))
		return err;
	*missing = record.body.n == 0 ||
		   (record.salt.n == 0 && vault_get(r->s->vault, r->log, seq,
						    r->salt) == ERR_NOT_FOUND);
	return ERR_OK;
}

enum err supply_missing(const struct supply *s, const struct supply_missing *w,
			uint64_t *seqs, uint32_t *count, uint64_t *next)
{
	struct store_head head;
	struct reading r;
	uint64_t at = w->from, stop;
	bool missing;
	enum err err = begin(&r, s, w->origin);

	*count = 0;
	*next = 0;
	if (err == ERR_OK)
		err = store_head_get(r.txn, r.log, &head);
	if (err == ERR_OK && head.missing == 0)
		err = ERR_NOT_FOUND;
	if (err != ERR_OK)
		goto out;
	set_reader(&r, w->self, w->origin);
	stop = head.frontier.size;
	if (at < stop && stop - at > SUPPLY_LOOK)
		stop = at + SUPPLY_LOOK;
	for (; at < stop && *count < w->max && err == ERR_OK; at++) {
		err = look(&r, at, &missing);
		if (err == ERR_OK && missing)
			seqs[(*count)++] = at;
	}
	*next = at < head.frontier.size ? at : 0;
out:
	end(&r);
	return err;
}

/* ---- documents ------------------------------------------------------------ */

static enum err read_version(struct slice note, enum doc_kind kind,
			     uint64_t *version)
{
	struct descriptor card;
	struct roster roster;
	const char *why;
	struct arena a;
	enum err err;

	arena_init(&a, LIMIT_BUNDLE_BYTES);
	if (kind == DOC_ROSTER) {
		err = roster_parse(note, &a, &roster, &why);
		*version = err == ERR_OK ? roster.version : 0;
	} else {
		err = descriptor_parse(note, &a, &card, &why);
		*version = err == ERR_OK ? card.version : 0;
	}
	arena_free(&a);
	return err;
}

enum err supply_doc(const struct supply *s, const struct message_want_doc *w,
		    struct arena *a, struct message_doc *out)
{
	const char *kind = w->kind == DOC_ROSTER ? "roster" : "card";
	struct store_txn *txn = NULL;
	struct slice note;
	enum err err = store_read(s->store, &txn);

	*out = (struct message_doc){ .kind = w->kind,
				     .member = w->member,
				     .version = w->version };
	if (err == ERR_OK)
		err = store_doc_get(txn, kind, w->member, w->version, &note);
	if (err == ERR_OK)
		err = arena_copy(a, note, &out->note);
	store_abort(txn);
	if (err == ERR_OK && w->version == 0)
		err = read_version(out->note, w->kind, &out->version);
	return err;
}

/* ---- heads ---------------------------------------------------------------- */

/* Hashes of [from, to) of the tree held, in the arena. */
static enum err cover(struct reading *r, uint64_t from, uint64_t to,
		      struct arena *a, const struct digest **hash, uint32_t *n)
{
	struct store_source source = { r->txn, r->log };
	struct merkle_source hashes = store_source_of(&source);
	struct digest *list = arena_array(a, LIMIT_COVER_HASHES, sizeof(*list));

	*hash = list;
	return list == NULL ? ERR_LIMIT
			    : merkle_range(&hashes, from, to, list, n);
}

/* Both heads with what leads from the tree held to the larger one. */
static enum err prove_fork(struct reading *r, const struct store_head *ours,
			   const struct head *head, struct arena *a,
			   struct message_fork *f)
{
	enum err err = arena_copy(a, ours->note, &f->note_b);

	if (err == ERR_OK)
		err = cover(r, 0, head->size, a, &f->left, &f->left_count);
	if (err == ERR_OK)
		err = cover(r, head->size, ours->noted.size, a, &f->right,
			    &f->right_count);
	if (err != ERR_OK)
		return err;
	return merkle_judge_fork(head, &ours->noted, f->left, f->left_count,
				 f->right, f->right_count);
}

static enum err compare(const struct supply *s, struct slice origin,
			const struct head *head, struct arena *a,
			struct message_fork *f)
{
	struct store_source source;
	struct merkle_source hashes;
	struct store_head ours;
	struct frontier at;
	struct digest root;
	struct reading r;
	enum err err = begin(&r, s, origin);

	if (err == ERR_OK)
		err = store_head_get(r.txn, r.log, &ours);
	if (err == ERR_OK && head->size > ours.frontier.size)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		source = (struct store_source){ r.txn, r.log };
		hashes = store_source_of(&source);
		err = merkle_frontier_at(&hashes, head->size, &at);
	}
	if (err == ERR_OK) {
		root = frontier_head(&at).root;
		if (!digest_equal(&root, &head->root))
			err = head->size > ours.noted.size
				      ? ERR_NOT_FOUND
				      : prove_fork(&r, &ours, head, a, f);
	}
	end(&r);
	return err;
}

enum err supply_check(const struct supply *s, struct slice origin,
		      const struct head *head, struct slice note,
		      struct arena *a, struct message_fork *f)
{
	enum err err;

	*f = (struct message_fork){ .origin = origin, .note_a = note };
	err = compare(s, origin, head, a, f);
	if (err != ERR_FORK)
		return err;
	/* Once more from the store, before somebody is accused. */
	return compare(s, origin, head, a, f);
}
