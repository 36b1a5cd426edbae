#include "node/import_own.h"

#include <string.h>

#include "proto/dec.h"

/* Different ids with the same 8-byte hash: more than two are never seen. */
#define HITS_MAX 64u

void own_init(struct own *o, const struct home *home)
{
	*o = (struct own){ .home = home, .sealer = sealer_open() };
	buf_init(&o->key, LIMIT_TEXT_BYTES);
	buf_init(&o->body, LIMIT_BODY_BYTES);
}

void own_free(struct own *o)
{
	own_end(o);
	sealer_close(o->sealer);
	o->sealer = NULL;
	buf_free(&o->key);
	buf_wipe(&o->body);
}

enum err own_begin(struct own *o)
{
	o->begun++;
	return store_read(o->home->store, &o->txn);
}

void own_end(struct own *o)
{
	store_abort(o->txn);
	o->txn = NULL;
}

void own_hash(struct own *o, const struct schema *s, struct slice id,
	      uint8_t out[STORE_HASH_BYTES])
{
	buf_reset(&o->key);
	buf_put_str(&o->key, s->name);
	buf_put_u8(&o->key, '/');
	buf_put(&o->key, id);
	index_hash(&o->home->index, STORE_BY_ID, buf_slice(&o->key), out);
}

enum err own_open_in(struct own *o, uint32_t log, uint64_t seq, uint32_t *kind,
		     uint64_t *audience)
{
	uint8_t salt[LIMIT_SALT_BYTES];
	struct record r;
	struct leaf leaf;
	enum err e = store_record_get(o->txn, log, seq, &r);

	buf_reset(&o->body);
	if (e == ERR_OK)
		e = leaf_decode(r.leaf, &leaf);
	if (e != ERR_OK)
		return e;
	*kind = leaf.kind;
	*audience = leaf.audience;
	if (r.body.n == 0)
		return ERR_NOT_FOUND;
	if (leaf.audience != AUDIENCE_PUBLIC) {
		e = vault_get(o->home->vault, log, seq, salt);
		if (e != ERR_OK)
			return e;
		r.salt = slice_of(salt, sizeof(salt));
	}
	e = record_open_stored(&r, o->sealer, &o->body);
	wipe(salt, sizeof(salt));
	return e;
}

enum err own_open(struct own *o, uint64_t seq, uint32_t *kind,
		  uint64_t *audience)
{
	return own_open_in(o, o->home->own_log, seq, kind, audience);
}

struct hits {
	struct store_entry entries[HITS_MAX];
	uint32_t count;
	uint32_t max;
	uint64_t before; /* only entries below */
};

static bool on_hit(void *arg, const struct store_entry *e)
{
	struct hits *h = arg;

	if (e->seq < h->before)
		h->entries[h->count++] = *e;
	return h->count < h->max;
}

static enum err has_id(struct own *o, const struct schema *s, struct slice id,
		       uint64_t seq)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	uint64_t audience;
	uint32_t kind;
	struct slice found;
	enum err e = own_open(o, seq, &kind, &audience);

	if (e != ERR_OK)
		return e;
	if (kind == s->kind &&
	    schema_id(kind, buf_slice(&o->body), scratch, &found) &&
	    slice_equal(found, id))
		return ERR_OK;
	return ERR_NOT_FOUND;
}

/* The first of the hits that is really of this id. */
static enum err confirm(struct own *o, const struct schema *s, struct slice id,
			const struct hits *h, uint64_t *seq)
{
	enum err e = ERR_NOT_FOUND;

	for (uint32_t i = 0; i < h->count && e == ERR_NOT_FOUND; i++) {
		*seq = h->entries[i].seq;
		e = has_id(o, s, id, *seq);
	}
	return e;
}

enum err own_newest(struct own *o, const uint8_t hash[STORE_HASH_BYTES],
		    struct own_entry *out)
{
	struct hits h;
	enum err e;

	h.count = 0;
	h.max = 1;
	h.before = UINT64_MAX;
	e = store_index_scan(o->txn, STORE_BY_ID, o->home->own_log, hash, true,
			     on_hit, &h);
	if (e != ERR_OK)
		return e;
	if (h.count == 0)
		return ERR_NOT_FOUND;
	out->seq = h.entries[0].seq;
	memcpy(out->digest, h.entries[0].value, sizeof(out->digest));
	return ERR_OK;
}

enum err own_search(struct own *o, const struct schema *s, struct slice id,
		    bool newest, uint64_t before, uint64_t *seq)
{
	uint8_t hash[STORE_HASH_BYTES];
	struct hits h;
	enum err e;

	own_hash(o, s, id, hash);
	h.count = 0;
	h.max = HITS_MAX;
	h.before = before;
	e = store_index_scan(o->txn, STORE_BY_ID, o->home->own_log, hash,
			     newest, on_hit, &h);
	if (e != ERR_OK)
		return e;
	return confirm(o, s, id, &h, seq);
}

enum err own_learner(struct own *o, struct slice number)
{
	uint8_t hash[STORE_HASH_BYTES];
	uint64_t audience;
	uint32_t kind;
	struct hits h;
	enum err e;

	buf_reset(&o->key);
	buf_put_str(&o->key, "learner/");
	buf_put(&o->key, number);
	index_hash(&o->home->index, STORE_BY_REF, buf_slice(&o->key), hash);
	h.count = 0;
	h.max = HITS_MAX;
	h.before = UINT64_MAX;
	e = store_index_scan(o->txn, STORE_BY_REF, o->home->own_log, hash, true,
			     on_hit, &h);
	for (uint32_t i = 0; e == ERR_OK && i < h.count; i++) {
		e = own_open(o, h.entries[i].seq, &kind, &audience);
		if (e == ERR_OK && kind == KIND_LEARNER &&
		    slice_equal(dec_find_str(buf_slice(&o->body), "number"),
				number))
			return ERR_OK;
	}
	return e == ERR_OK ? ERR_NOT_FOUND : e;
}

enum err own_status(struct own *o, uint64_t first, struct slice *state,
		    struct slice *reason)
{
	uint8_t hash[STORE_HASH_BYTES];
	struct hits h;
	uint64_t audience;
	uint32_t kind;
	enum err e;

	*state = slice_of(NULL, 0);
	*reason = slice_of(NULL, 0);
	buf_reset(&o->key);
	buf_put_str(&o->key, "seq/");
	buf_put_dec(&o->key, first);
	index_hash(&o->home->index, STORE_BY_REF, buf_slice(&o->key), hash);
	h.count = 0;
	h.max = HITS_MAX;
	h.before = UINT64_MAX;
	e = store_index_scan(o->txn, STORE_BY_REF, o->home->own_log, hash, true,
			     on_hit, &h);
	for (uint32_t i = 0; i < h.count && e == ERR_OK; i++) {
		e = own_open(o, h.entries[i].seq, &kind, &audience);
		if (e != ERR_OK)
			break;
		if (kind != KIND_STATUS ||
		    dec_find_uint(buf_slice(&o->body), "seq", UINT64_MAX) !=
			    first)
			continue;
		*state = dec_find_str(buf_slice(&o->body), "state");
		*reason = dec_find_str(buf_slice(&o->body), "reason");
		break;
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}
