#include "node/query_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/dec.h"
#include "proto/schema.h"

/* ---- Life ------------------------------------------------------------- */

#define VALUE_BYTES_MAX 8192u /* of what is hashed: an id, folded */

struct query *query_open(const struct home *h)
{
	struct query *q = xcalloc(1, sizeof(*q));

	q->home = h;
	q->own = slice_str(h->config.member);
	q->asker = q->own;
	q->sealer = sealer_open();
	arena_init(&q->kept, QUERY_KEPT_BYTES);
	arena_init(&q->work, QUERY_WORK_BYTES);
	buf_init(&q->value, VALUE_BYTES_MAX);
	buf_init(&q->open, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	return q;
}

void query_close(struct query *q)
{
	if (q == NULL)
		return;
	query_end(q);
	logs_free(q);
	sealer_close(q->sealer);
	arena_free(&q->kept);
	arena_free(&q->work);
	buf_free(&q->value);
	buf_wipe(&q->open);
	free(q);
}

void query_end(struct query *q)
{
	store_abort(q->txn);
	q->txn = NULL;
	if (q->members != NULL)
		members_release(q->members);
	q->members = NULL;
}

enum err query_begin(struct query *q)
{
	enum err e;

	query_end(q);
	query_forget(q);
	q->asker = q->own;
	e = store_read(q->home->store, &q->txn);
	if (e != ERR_OK)
		return e;
	q->members = members_hold(q->home->members);
	q->batch++;
	e = logs_update(q);
	if (e != ERR_OK)
		query_end(q);
	return e;
}

void query_forget(struct query *q)
{
	arena_reset(&q->kept);
}

struct store_txn *query_txn(struct query *q)
{
	return q->txn;
}

void fail_with(struct query *q, struct query_failure *f, const char *format,
	       ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		n = (int)sizeof(text) - 1;
	if (arena_copy(&q->kept, slice_of(text, (size_t)n), &f->message) !=
	    ERR_OK)
		f->message = SLICE_LIT("too large");
}

/* ---- Places ----------------------------------------------------------- */

static bool add_place(void *arg, const struct store_entry *e)
{
	struct places *p = arg;

	p->more = p->count == p->max;
	if (!p->more)
		p->seq[p->count++] = e->seq;
	return !p->more;
}

/* Grows by itself: most values have one place, a few have thousands. */
struct growing {
	struct places *places;
	struct arena *arena;
	uint32_t room;
	bool failed; /* the arena is full */
};

static bool add_growing(void *arg, const struct store_entry *e)
{
	struct growing *g = arg;
	struct places *p = g->places;
	uint32_t room = g->room * 8 < p->max ? g->room * 8 : p->max;
	uint64_t *larger;

	if (p->count == g->room && g->room < p->max) {
		larger = arena_array(g->arena, room, sizeof(*larger));
		if (larger == NULL) {
			g->failed = true;
			return false;
		}
		memcpy(larger, p->seq, p->count * sizeof(*larger));
		p->seq = larger;
		g->room = room;
	}
	return add_place(p, e);
}

#define PLACES_FIRST 8u

enum err places_find(struct query *q, enum store_index index, uint32_t log,
		     struct slice value, uint32_t max, struct places *out)
{
	struct growing g = { .places = out, .arena = &q->kept };
	uint8_t hash[STORE_HASH_BYTES];
	enum err e;

	*out = (struct places){ .max = max };
	g.room = max < PLACES_FIRST ? max : PLACES_FIRST;
	out->seq = arena_array(&q->kept, g.room, sizeof(*out->seq));
	if (out->seq == NULL)
		return ERR_LIMIT;
	index_hash(&q->home->index, index, value, hash);
	e = store_index_scan(q->txn, index, log, hash, true, add_growing, &g);
	return e == ERR_OK && g.failed ? ERR_LIMIT : e;
}

struct slice id_value(struct query *q, uint32_t kind, struct slice id)
{
	buf_reset(&q->value);
	buf_put_str(&q->value, schema_of(kind)->name);
	buf_put_u8(&q->value, '/');
	buf_put(&q->value, id);
	return buf_slice(&q->value);
}

/* ---- Records ---------------------------------------------------------- */

static bool may_read(const struct query *q, const struct query_record *r)
{
	return audience_admits(r->audience, q->asker.n > 0,
			       slice_equal(q->asker, r->member));
}

/* The plain body of a sealed record, in q->kept. */
static enum err open_sealed(struct query *q, struct record *row,
			    struct query_record *r)
{
	uint8_t salt[LIMIT_SALT_BYTES];
	enum err e = vault_get(q->home->vault, r->log, r->seq, salt);

	if (e == ERR_NOT_FOUND)
		return ERR_DENIED; /* erased, or not given to us */
	if (e != ERR_OK)
		return e;
	row->salt = slice_of(salt, sizeof(salt));
	buf_reset(&q->open);
	e = record_open_stored(row, q->sealer, &q->open);
	if (e == ERR_OK)
		e = arena_copy(&q->kept, buf_slice(&q->open), &r->body);
	else if (e == ERR_INVALID || e == ERR_MALFORMED)
		e = ERR_CORRUPT;
	wipe(salt, sizeof(salt));
	return e;
}

enum err record_at(struct query *q, uint32_t log, uint64_t seq,
		   struct query_record *r)
{
	struct record row;
	struct leaf leaf;
	enum err e = store_record_get(q->txn, log, seq, &row);

	memset(r, 0, sizeof(*r));
	if (e != ERR_OK)
		return e;
	r->log = log;
	r->member =
		log < q->log_count ? q->logs[log].member : slice_of(NULL, 0);
	r->seq = seq;
	r->leaf = row.leaf;
	e = leaf_decode(row.leaf, &leaf);
	if (e != ERR_OK)
		return e == ERR_UNSUPPORTED ? e : ERR_CORRUPT;
	r->kind = leaf.kind;
	r->audience = leaf.audience;
	if (!may_read(q, r) || row.body.n == 0)
		return ERR_DENIED;
	if (leaf.audience != AUDIENCE_PUBLIC)
		return open_sealed(q, &row, r);
	r->body = row.body;
	return ERR_OK;
}

enum err query_at(struct query *q, uint32_t log, uint64_t seq,
		  struct query_record *r)
{
	return record_at(q, log, seq, r);
}

bool record_has_id(const struct query_record *r, struct slice id)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct slice own;

	return schema_id(r->kind, r->body, scratch, &own) &&
	       slice_equal(own, id);
}

enum err record_newest(struct query *q, uint32_t log, uint32_t kind,
		       struct slice id, struct query_record *r)
{
	struct places p;
	enum err e = places_find(q, STORE_BY_ID, log, id_value(q, kind, id),
				 PLACES_FIRST, &p);

	for (uint32_t i = 0; e == ERR_OK && i < p.count; i++) {
		e = record_at(q, log, p.seq[i], r);
		if (e == ERR_OK && r->kind == kind && record_has_id(r, id)) {
			r->alone = p.count == 1;
			return ERR_OK;
		}
		if (e == ERR_DENIED)
			break; /* there is a newer one that is not for them */
	}
	return e == ERR_OK || e == ERR_DENIED ? ERR_NOT_FOUND : e;
}

enum err query_newest(struct query *q, uint32_t log, uint32_t kind,
		      struct slice id, struct query_record *r)
{
	return record_newest(q, log, kind, id, r);
}

enum err record_is_newest(struct query *q, const struct query_record *r,
			  bool *is)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct places p;
	struct slice id;
	enum err e;

	*is = true;
	if (!schema_id(r->kind, r->body, scratch, &id))
		return ERR_OK;
	e = places_find(q, STORE_BY_ID, r->log, id_value(q, r->kind, id), 1,
			&p);
	*is = p.count == 0 || p.seq[0] == r->seq;
	return e;
}

/* ---- Names ------------------------------------------------------------ */

static enum err add_candidate(struct query *q, const struct query_record *r,
			      struct slice id, struct slice *list,
			      uint32_t *count)
{
	enum err e;

	if (*count == LIMIT_LOGS)
		return ERR_OK;
	buf_reset(&q->value);
	buf_put(&q->value, r->member);
	buf_put_u8(&q->value, '/');
	buf_put(&q->value, id);
	e = arena_copy(&q->kept, buf_slice(&q->value), &list[*count]);
	*count += e == ERR_OK;
	return e;
}

/* A bare id: in whose logs is it? */
static enum err find_bare(struct query *q, uint32_t kind, struct slice id,
			  struct query_record *r, struct slice *list,
			  uint32_t *count)
{
	struct query_record one;
	uint32_t newest;
	enum err e = ERR_OK;

	*count = 0;
	for (uint32_t log = 0; log < q->log_count && e == ERR_OK; log++) {
		if (!log_of_member(q, q->logs[log].member, &newest) ||
		    newest != log)
			continue; /* an earlier generation */
		e = record_newest(q, log, kind, id, &one);
		if (e == ERR_OK) {
			*r = one;
			e = add_candidate(q, &one, id, list, count);
		} else if (e == ERR_NOT_FOUND) {
			e = ERR_OK;
		}
	}
	if (e != ERR_OK)
		return e;
	if (*count > 1)
		return ERR_AMBIGUOUS;
	return *count == 1 ? ERR_OK : ERR_NOT_FOUND;
}

enum err record_find(struct query *q, uint32_t kind, struct slice name,
		     struct query_record *r, struct slice *list,
		     uint32_t *count)
{
	struct slice member, id;
	uint32_t log;

	*count = 0;
	if (slice_cut(name, '/', &member, &id) &&
	    log_of_member(q, member, &log))
		return record_newest(q, log, kind, id, r);
	return find_bare(q, kind, name, r, list, count);
}

enum err query_find(struct query *q, uint32_t kind, struct slice name,
		    struct query_record *r, struct buf *why)
{
	struct slice *list = arena_array(&q->kept, LIMIT_LOGS, sizeof(*list));
	uint32_t count = 0;
	enum err e;

	if (list == NULL)
		return ERR_LIMIT;
	e = record_find(q, kind, name, r, list, &count);
	for (uint32_t i = 0; e == ERR_AMBIGUOUS && why != NULL && i < count;
	     i++) {
		buf_put_str(why, i > 0 ? "\n" : "");
		buf_put(why, list[i]);
	}
	return e;
}

enum err query_find_own(struct query *q, uint32_t kind, struct slice name,
			struct query_record *r)
{
	struct slice member, id;
	uint32_t log;

	if (!log_of_member(q, q->own, &log))
		return ERR_NOT_FOUND;
	if (slice_cut(name, '/', &member, &id) && slice_equal(member, q->own))
		return record_newest(q, log, kind, id, r);
	return record_newest(q, log, kind, name, r);
}

enum err query_first(struct query *q, const struct query_record *r,
		     uint64_t *seq)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct query_record old;
	struct places p;
	struct slice id;
	enum err e;

	*seq = r->seq;
	if (!schema_id(r->kind, r->body, scratch, &id))
		return ERR_OK;
	e = places_find(q, STORE_BY_ID, r->log, id_value(q, r->kind, id),
			LIMIT_TXN_RECORDS, &p);
	for (uint32_t i = p.count; e == ERR_OK && i > 0; i--) {
		if (p.seq[i - 1] >= r->seq)
			break;
		e = record_at(q, r->log, p.seq[i - 1], &old);
		if (e == ERR_OK && old.kind == r->kind &&
		    record_has_id(&old, id)) {
			*seq = old.seq;
			break;
		}
		if (e == ERR_DENIED || e == ERR_UNSUPPORTED)
			e = ERR_OK;
	}
	return e;
}

enum err query_is_newest(struct query *q, const struct query_record *r,
			 bool *is)
{
	return record_is_newest(q, r, is);
}

enum err query_learner(struct query *q, uint32_t log, struct slice number,
		       struct query_record *r)
{
	struct places p;
	enum err e;

	buf_reset(&q->value);
	buf_put_str(&q->value, "learner/");
	buf_put(&q->value, number);
	e = places_find(q, STORE_BY_REF, log, buf_slice(&q->value),
			PLACES_FIRST, &p);
	for (uint32_t i = 0; e == ERR_OK && i < p.count; i++) {
		e = record_at(q, log, p.seq[i], r);
		if (e == ERR_OK && r->kind == KIND_LEARNER &&
		    slice_equal(dec_find_str(r->body, "number"), number))
			return ERR_OK;
		if (e == ERR_DENIED)
			e = ERR_OK;
	}
	return e == ERR_OK ? ERR_NOT_FOUND : e;
}

enum err query_log(struct query *q, struct slice member, uint32_t *log)
{
	return log_of_member(q, member, log) ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- Statuses --------------------------------------------------------- */

/* Append the statuses of one version of a credential; most have none. */
static enum err add_statuses(struct query *q, uint32_t log, uint64_t seq,
			     struct query_record **out, uint32_t *count)
{
	struct query_record *r;
	struct places p;
	enum err e;

	buf_reset(&q->value);
	buf_put_str(&q->value, "seq/");
	buf_put_dec(&q->value, seq);
	e = places_find(q, STORE_BY_REF, log, buf_slice(&q->value),
			QUERY_VERSIONS, &p);
	if (e == ERR_OK && p.count > 0 && *out == NULL) {
		*out = arena_array(&q->kept, QUERY_VERSIONS, sizeof(**out));
		e = *out == NULL ? ERR_LIMIT : ERR_OK;
	}
	for (uint32_t i = 0;
	     e == ERR_OK && i < p.count && *count < QUERY_VERSIONS; i++) {
		r = &(*out)[*count];
		e = record_at(q, log, p.seq[i], r);
		if (e == ERR_OK && r->kind == KIND_STATUS &&
		    dec_find_uint(r->body, "seq", UINT64_MAX) == seq)
			++*count;
		if (e == ERR_DENIED)
			e = ERR_OK;
	}
	return e;
}

enum err statuses_find(struct query *q, const struct query_record *credential,
		       struct query_record **out, uint32_t *count)
{
	struct slice id = dec_find_str(credential->body, "credential");
	struct places p;
	uint64_t only = credential->seq;
	bool seen = false;
	enum err e;

	*count = 0;
	*out = NULL;
	if (credential->alone)
		return add_statuses(q, credential->log, only, out, count);
	e = places_find(q, STORE_BY_ID, credential->log,
			id_value(q, KIND_CREDENTIAL, id), QUERY_VERSIONS, &p);
	for (uint32_t i = 0; i < p.count && e == ERR_OK; i++) {
		seen = seen || p.seq[i] == only;
		e = add_statuses(q, credential->log, p.seq[i], out, count);
	}
	/* One that was handed over need not be in the index here. */
	if (e == ERR_OK && !seen)
		e = add_statuses(q, credential->log, only, out, count);
	return e;
}

enum err query_status(struct query *q, const struct query_record *credential,
		      struct slice date, struct query_record *r)
{
	struct query_record *all;
	const struct query_record *newest = NULL;
	struct slice at;
	uint32_t count;
	enum err e = statuses_find(q, credential, &all, &count);

	for (uint32_t i = 0; e == ERR_OK && i < count; i++) {
		at = dec_find_str(all[i].body, "at");
		if (date.n > 0 && at.n >= date.n &&
		    slice_compare(slice_sub(at, 0, date.n), date) > 0)
			continue;
		if (newest == NULL || all[i].seq > newest->seq)
			newest = &all[i];
	}
	if (e == ERR_OK && newest == NULL)
		return ERR_NOT_FOUND;
	if (e == ERR_OK)
		*r = *newest;
	return e;
}

const char *query_state(struct query *q, const struct query_record *credential,
			struct slice date)
{
	static const char *const states[] = { "valid", "suspended", "revoked",
					      "superseded" };
	struct query_record r;
	struct slice state;
	enum err e = query_status(q, credential, date, &r);

	if (e == ERR_NOT_FOUND)
		return states[0];
	state = e == ERR_OK ? dec_find_str(r.body, "state") : slice_of(NULL, 0);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (slice_is(state, states[i]))
			return states[i];
	}
	return "unknown";
}
