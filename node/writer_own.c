#include "node/writer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "node/log.h"

/* Leaves that are read back at once. */
#define CHECK_LEAVES 512u

/* Where the roots of completed subtrees go. */
struct node_sink {
	struct writer_txn *t;
	uint32_t log;
};

static void put_node(void *arg, struct merkle_pos pos, const struct digest *h)
{
	struct node_sink *sink = arg;

	if (pos.level >= STORE_NODE_LEVEL)
		store_node_put(sink->t->store, sink->log, pos, h);
}

enum err writer_append(struct writer_txn *t, const struct prepared *p,
		       uint64_t *seq)
{
	struct node_sink sink = { t, t->w->own_log };
	struct record r = { .leaf = slice_of(p->leaf, p->leaf_bytes),
			    .body = p->stored };
	struct writer_log *l;
	uint64_t at;
	enum err err;

	if (writer_signing(t->w) != SIGNING_ALLOWED)
		return ERR_RECOVERING;
	err = writer_touch(t, t->w->own_log, &l);
	if (err != ERR_OK)
		return err;
	if (l->head.frozen)
		return ERR_FORK;
	at = l->head.frontier.size;
	if (p->audience == AUDIENCE_PUBLIC)
		r.salt = slice_of(p->salt, LIMIT_SALT_BYTES);
	else
		writer_add_salt(t, l, at, p->salt);
	err = store_record_append(t->store, l->log, at, &r);
	if (err != ERR_OK)
		return err;
	frontier_push(&l->head.frontier, &p->leaf_hash, put_node, &sink);
	store_head_add_leaf(&l->head, r.leaf);
	for (uint32_t i = 0; i < p->entry_count; i++) {
		struct store_entry e = p->entries[i].entry;

		e.seq = at;
		entries_add(t->w->entries, p->entries[i].index, &e);
	}
	l->appended = true;
	writer_change(t, l, true);
	*seq = at;
	return t->err;
}

/* Hash what was serialised anew and compare with what is about to be signed:
 * a flipped bit must not be signed for ever. */
static enum err check_appended(struct writer_txn *t, struct writer_log *l,
			       const struct head *head)
{
	struct digest leaf[CHECK_LEAVES];
	struct frontier f = l->start;
	struct head again;

	while (f.size < head->size) {
		uint64_t left = head->size - f.size;
		uint32_t n =
			left < CHECK_LEAVES ? (uint32_t)left : CHECK_LEAVES;
		enum err err =
			store_leaf_hashes(t->store, l->log, f.size, n, leaf);

		if (err != ERR_OK)
			return err;
		for (uint32_t i = 0; i < n; i++)
			frontier_push(&f, &leaf[i], NULL, NULL);
	}
	again = frontier_head(&f);
	return head_equal(&again, head) ? ERR_OK : ERR_CORRUPT;
}

enum err writer_sign(struct writer_txn *t, struct writer_log *l)
{
	const struct key_pair *key = &t->w->o.keys->log;
	struct head head = frontier_head(&l->head.frontier);
	enum err err;

	if (writer_signing(t->w) != SIGNING_ALLOWED)
		return ERR_RECOVERING;
	err = check_appended(t, l, &head);
	if (err == ERR_CORRUPT)
		writer_die("reading back what was written", err);
	if (err != ERR_OK)
		return err;
	buf_reset(&l->note);
	log_sign_head(l->origin, &head, &key->key, key->secret, &l->note);
	l->head.note = buf_slice(&l->note);
	l->head.noted = head;
	return l->note.err;
}
