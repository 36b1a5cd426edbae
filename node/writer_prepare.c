#include <string.h>

#include "node/writer.h"

void preparer_init(struct preparer *p, const struct keys *keys,
		   uint32_t own_log)
{
	index_keys_init(&p->index, keys->index);
	/* The log key is named by the origin of the log that it signs. */
	p->origin_hash = hash_bytes(slice_str(keys->log.key.name));
	p->own_log = own_log;
	p->sealer = sealer_open();
	p->salts_left = 0;
	buf_init(&p->scratch, LIMIT_FRAME_BYTES);
}

void preparer_wipe(struct preparer *p)
{
	sealer_close(p->sealer);
	buf_wipe(&p->scratch);
	wipe(p, sizeof(*p));
}

/* Salts in bulk: one call of the generator costs more than 32 bytes. */
static void next_salt(struct preparer *p, uint8_t out[LIMIT_SALT_BYTES])
{
	uint8_t *at;

	if (p->salts_left < LIMIT_SALT_BYTES) {
		random_bytes(p->salts, sizeof(p->salts));
		p->salts_left = sizeof(p->salts);
	}
	at = p->salts + sizeof(p->salts) - p->salts_left;
	memcpy(out, at, LIMIT_SALT_BYTES);
	wipe(at, LIMIT_SALT_BYTES);
	p->salts_left -= LIMIT_SALT_BYTES;
}

static enum err seal(struct preparer *p, struct arena *a, struct prepared *r)
{
	size_t n = r->body.n + SEAL_TAG_BYTES;
	struct buf room;
	enum err err;

	if (r->audience == AUDIENCE_PUBLIC) {
		r->stored = r->body;
		return ERR_OK;
	}
	room = (struct buf){ .p = arena_alloc(a, n), .cap = n, .max = n };
	if (room.p == NULL)
		return ERR_LIMIT;
	err = seal_body(p->sealer, r->salt, r->body, &room);
	r->stored = buf_slice(&room);
	return err;
}

/* Entries on their way into the arena. */
#define ENTRIES_FIRST 4u
struct collector {
	struct arena *arena;
	struct prepared *r;
	uint32_t cap;
	enum err err;
};

static bool grow(struct collector *c)
{
	uint32_t cap = c->cap == 0 ? ENTRIES_FIRST : c->cap * 2;
	struct prepared_entry *more = arena_array(c->arena, cap, sizeof(*more));

	if (more == NULL) {
		c->err = ERR_LIMIT;
		return false;
	}
	if (c->r->entry_count > 0)
		memcpy(more, c->r->entries, c->r->entry_count * sizeof(*more));
	c->r->entries = more;
	c->cap = cap;
	return true;
}

static void collect(void *arg, enum store_index table,
		    const struct store_entry *e)
{
	struct collector *c = arg;

	if (c->err != ERR_OK || (c->r->entry_count == c->cap && !grow(c)))
		return;
	c->r->entries[c->r->entry_count++] =
		(struct prepared_entry){ table, *e };
}

enum err writer_prepare(struct preparer *p, struct arena *a, struct prepared *r)
{
	struct collector c = { .arena = a, .r = r };
	struct index_item item = {
		.log = p->own_log,
		.kind = r->kind,
		.own = true,
		.body = r->body,
	};
	struct leaf leaf = { .kind = r->kind, .audience = r->audience };
	enum err err;

	if (r->body.n == 0 || r->body.n > LIMIT_BODY_BYTES)
		return ERR_LIMIT;
	next_salt(p, r->salt);
	leaf.commitment = record_commit(r->salt, &p->origin_hash, r->body);
	r->leaf_bytes = (uint32_t)leaf_encode(&leaf, r->leaf);
	r->leaf_hash = hash_leaf(slice_of(r->leaf, r->leaf_bytes));
	r->entry_count = 0;
	r->entries = NULL;
	err = seal(p, a, r);
	if (err != ERR_OK)
		return err;
	index_record(&p->index, &item, &p->scratch, collect, &c);
	return c.err;
}
