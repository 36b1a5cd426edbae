/* Logs and disks of the simulator: records, perfect subtrees, copies. */

#include <stdlib.h>
#include <string.h>

#include "sim_state.h"

void sim_log_init(struct sim_log *l, const char *name)
{
	struct buf origin;

	memset(l, 0, sizeof(*l));
	buf_init(&origin, sizeof(l->origin) - 1);
	log_origin_put(slice_str(name), 1, &origin);
	memcpy(l->origin, origin.p, origin.n);
	buf_free(&origin);
	frontier_init(&l->frontier);
	l->head.root = hash_empty();
	buf_init(&l->note, LIMIT_NOTE_BYTES);
	buf_init(&l->evidence, LIMIT_FRAME_BYTES);
}

void sim_log_free(struct sim_log *l)
{
	free(l->records);
	for (unsigned i = 0; i < SIM_LEVELS; i++)
		free(l->nodes[i]);
	buf_free(&l->note);
	buf_free(&l->evidence);
}

static void *copy_of(const void *p, size_t bytes)
{
	void *q = xmalloc(bytes > 0 ? bytes : 1);

	if (bytes > 0)
		memcpy(q, p, bytes);
	return q;
}

void sim_log_copy(struct sim_log *to, const struct sim_log *from)
{
	*to = *from;
	to->cap = from->n;
	to->records = copy_of(from->records, from->n * sizeof(void *));
	for (unsigned i = 0; i < SIM_LEVELS; i++) {
		to->node_cap[i] = from->node_count[i];
		to->nodes[i] =
			copy_of(from->nodes[i],
				from->node_count[i] * sizeof(struct digest));
	}
	buf_init(&to->note, LIMIT_NOTE_BYTES);
	buf_put(&to->note, buf_slice(&from->note));
	buf_init(&to->evidence, LIMIT_FRAME_BYTES);
	buf_put(&to->evidence, buf_slice(&from->evidence));
}

static void keep_node(void *arg, struct merkle_pos pos,
		      const struct digest *hash)
{
	struct sim_log *l = arg;
	uint64_t *cap = &l->node_cap[pos.level];

	assert(pos.level < SIM_LEVELS && l->node_count[pos.level] == pos.index);
	if (pos.index == *cap) {
		*cap = *cap == 0 ? 16 : *cap * 2;
		l->nodes[pos.level] = xrealloc(l->nodes[pos.level],
					       *cap * sizeof(struct digest));
	}
	l->nodes[pos.level][pos.index] = *hash;
	l->node_count[pos.level]++;
}

struct digest sim_leaf_hash(const struct sim_record *r)
{
	return hash_leaf(slice_of(r->leaf, r->leaf_bytes));
}

void sim_log_append(struct sim_log *l, struct sim_record *r)
{
	struct digest h = sim_leaf_hash(r);

	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : l->cap * 2;
		l->records = xrealloc(l->records, l->cap * sizeof(*l->records));
	}
	keep_node(l, (struct merkle_pos){ 0, l->n }, &h);
	l->records[l->n++] = r;
	frontier_push(&l->frontier, &h, keep_node, l);
}

static enum err read_node(void *arg, struct merkle_pos pos, struct digest *out)
{
	struct sim_log *l = arg;

	if (pos.level >= SIM_LEVELS || pos.index >= l->node_count[pos.level])
		return ERR_NOT_FOUND;
	*out = l->nodes[pos.level][pos.index];
	return ERR_OK;
}

struct merkle_source sim_log_source(const struct sim_log *l)
{
	union {
		const struct sim_log *in;
		struct sim_log *out;
	} u = { l };

	return (struct merkle_source){ read_node, u.out };
}

/* Records. */

struct sim_record *sim_record_new(struct sim *s)
{
	struct sim_record *r = xcalloc(1, sizeof(*r));

	r->next = s->records;
	s->records = r;
	return r;
}

struct sim_record *sim_record_make(struct sim *s, const char *origin)
{
	struct digest origin_hash = hash_bytes(slice_str(origin));
	struct sim_record *r = sim_record_new(s);
	struct leaf leaf = { .kind = KIND_OFFER };

	for (unsigned i = 0; i < LIMIT_SALT_BYTES; i++)
		r->salt[i] = (uint8_t)sim_random(s, 256);
	r->body_bytes = 1 + (uint32_t)sim_random(s, sizeof(r->body));
	for (uint32_t i = 0; i < r->body_bytes; i++)
		r->body[i] = (uint8_t)sim_random(s, 256);
	leaf.audience = sim_random(s, 3);
	leaf.commitment = record_commit(r->salt, &origin_hash,
					slice_of(r->body, r->body_bytes));
	r->leaf_bytes = (uint32_t)leaf_encode(&leaf, r->leaf);
	return r;
}

bool sim_record_is_sound(const struct sim_record *r, const char *origin)
{
	struct digest origin_hash = hash_bytes(slice_str(origin));
	struct digest commitment;
	struct leaf leaf;

	if (r->body_bytes == 0)
		return true;
	if (leaf_decode(slice_of(r->leaf, r->leaf_bytes), &leaf) != ERR_OK)
		return false;
	commitment = record_commit(r->salt, &origin_hash,
				   slice_of(r->body, r->body_bytes));
	return digest_equal(&commitment, &leaf.commitment);
}

bool sim_record_admits(const struct sim_record *r, bool own)
{
	struct leaf leaf;

	if (leaf_decode(slice_of(r->leaf, r->leaf_bytes), &leaf) != ERR_OK)
		return false;
	return audience_admits(leaf.audience, true, own);
}

/* Disks. */

void sim_disk_free(struct sim_disk *d)
{
	for (uint32_t i = 0; i < SIM_NODES_MAX; i++)
		sim_log_free(&d->logs[i]);
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from)
{
	*to = *from;
	for (uint32_t i = 0; i < SIM_NODES_MAX; i++)
		sim_log_copy(&to->logs[i], &from->logs[i]);
}
