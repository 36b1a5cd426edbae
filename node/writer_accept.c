/* Check everything, then put: a chunk that fails leaves no trace.
 *
 *   note -> fold (inclusion and consistency in one) -> each body against its
 *   leaf -> rows, salts, nodes, entries, frontier -> head if complete */

#include "node/writer_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- room ----------------------------------------------------------------- */

static void make_room(struct accept_room *r, size_t count)
{
	if (count > r->leaf_cap) {
		r->leaf = xrealloc(r->leaf, count * sizeof(*r->leaf));
		r->keep = xrealloc(r->keep, count);
		r->leaf_cap = count;
	}
	r->node_count = 0;
}

static void collect_node(void *arg, struct merkle_pos pos,
			 const struct digest *hash)
{
	struct accept_room *r = arg;

	if (pos.level < STORE_NODE_LEVEL)
		return;
	if (r->node_count == r->node_cap) {
		r->node_cap = r->node_cap > 0 ? r->node_cap * 2 : 64;
		r->node = xrealloc(r->node, r->node_cap * sizeof(*r->node));
	}
	r->node[r->node_count++] = (struct writer_node){ pos, *hash };
}

/* ---- checks --------------------------------------------------------------- */

/* A removed member's log ends at the head that the roster states. */
static enum err check_final(const struct writer *w, const struct writer_log *l,
			    const struct frontier *after)
{
	const struct roster *roster = w->members->roster;
	const struct roster_member *m =
		roster != NULL ? roster_find(roster, l->member) : NULL;
	struct head head;

	if (m == NULL || m->state != MEMBER_REMOVED ||
	    after->size < m->final.size)
		return ERR_OK;
	if (after->size > m->final.size)
		return ERR_LIMIT;
	head = frontier_head(after);
	return head_equal(&head, &m->final) ? ERR_OK : ERR_INVALID;
}

static enum err fold(struct writer *w, const struct writer_log *l,
		     const struct writer_chunk *c, const struct head *head,
		     struct frontier *after)
{
	struct accept_room *r = &w->room;
	struct merkle_chunk chunk = {
		.leaf = r->leaf,
		.leaf_count = c->count,
		.right = c->right,
		.right_count = c->right_count,
	};
	enum err err;

	for (uint32_t i = 0; i < c->count; i++) {
		struct slice leaf = c->records[i].leaf;

		if (leaf.n == 0 || leaf.n > LIMIT_LEAF_BYTES)
			return ERR_LIMIT;
		r->leaf[i] = hash_leaf(leaf);
	}
	err = merkle_accept(&l->head.frontier, &chunk, head, after,
			    collect_node, r);
	return err == ERR_OK ? check_final(w, l, after) : err;
}

/* ---- puts ----------------------------------------------------------------- */

static void put_record(struct writer_txn *t, struct writer_log *l, uint64_t seq,
		       const struct record *r, enum keep keep)
{
	struct record row = { .leaf = r->leaf };

	if (keep == KEEP_ROW || keep == KEEP_VAULT)
		row.body = r->body;
	if (keep == KEEP_ROW)
		row.salt = r->salt;
	if (keep == KEEP_VAULT)
		writer_add_salt(t, l, seq, r->salt.p);
	if (keep == KEEP_MISSING)
		l->head.missing++;
	store_head_add_leaf(&l->head, r->leaf);
	store_record_append(t->store, l->log, seq, &row);
}

static enum err put_chunk(struct writer_txn *t, struct writer_log *l,
			  const struct writer_chunk *c,
			  const struct frontier *after)
{
	struct accept_room *room = &t->w->room;

	for (uint32_t i = 0; i < c->count; i++)
		put_record(t, l, c->from + i, &c->records[i],
			   (enum keep)room->keep[i]);
	for (size_t i = 0; i < room->node_count; i++)
		store_node_put(t->store, l->log, room->node[i].pos,
			       &room->node[i].hash);
	l->head.frontier = *after;
	writer_change(t, l, true);
	return store_error(t->store) != ERR_OK ? store_error(t->store) : t->err;
}

enum err writer_accept(struct writer_txn *t, const struct writer_chunk *c)
{
	struct frontier after;
	struct writer_log *l;
	struct head head;
	enum err err;

	if (c->count > LIMIT_CHUNK_RECORDS)
		return ERR_LIMIT;
	err = writer_touch(t, c->log, &l);
	if (err != ERR_OK)
		return err;
	if (l->head.frozen)
		return ERR_FORK;
	if (c->from != l->head.frontier.size ||
	    (l->is_own && writer_signing(t->w) == SIGNING_ALLOWED))
		return ERR_BAD_STATE;
	err = writer_verify_note(t, l, c->note, &head);
	if (err != ERR_OK)
		return err;
	make_room(&t->w->room, c->count);
	err = fold(t->w, l, c, &head, &after);
	if (err == ERR_OK)
		err = check_bodies(t->w, l, c);
	if (err == ERR_OK)
		err = put_chunk(t, l, c, &after);
	if (err == ERR_OK && after.size == head.size)
		err = writer_complete(t, l, c->note, &head);
	return err;
}

/* ---- repair --------------------------------------------------------------- */

/* Is the body of stored record @r here and can be opened? */
static bool has_body(struct writer_txn *t, uint32_t log, uint64_t seq,
		     const struct record *r)
{
	uint8_t salt[LIMIT_SALT_BYTES];
	bool has = r->body.n > 0;

	if (has && r->salt.n == 0)
		has = vault_get(t->w->o.vault, log, seq, salt) == ERR_OK;
	wipe(salt, sizeof(salt));
	return has;
}

enum err writer_repair(struct writer_txn *t, uint32_t log, uint64_t seq,
		       const struct record *r)
{
	uint8_t leaf[LIMIT_LEAF_BYTES];
	struct record whole = *r, stored;
	struct body_check check;
	struct writer_log *l;
	bool was_empty;
	enum keep keep;
	enum err err = writer_touch(t, log, &l);

	if (err == ERR_OK)
		err = store_record_get(t->store, log, seq, &stored);
	if (err != ERR_OK)
		return err;
	if (r->leaf.n > 0 && !slice_equal(r->leaf, stored.leaf))
		return ERR_CONFLICT;
	if (has_body(t, log, seq, &stored))
		return ERR_EXISTS;
	/* Slices of the store die with the first put. */
	memcpy(leaf, stored.leaf.p, stored.leaf.n);
	whole.leaf = slice_of(leaf, stored.leaf.n);
	was_empty = stored.body.n == 0;
	check = (struct body_check){ t->w, l, seq, &whole };
	err = check_body(&t->w->opener, &check, t->w->entries, &keep);
	if (err != ERR_OK)
		return err;
	if (keep == KEEP_LEAF || keep == KEEP_MISSING)
		return keep == KEEP_LEAF ? ERR_DENIED : ERR_INVALID;
	if (keep == KEEP_VAULT) {
		writer_add_salt(t, l, seq, whole.salt.p);
		whole.salt = slice_of(NULL, 0);
	}
	if (was_empty && l->head.missing > 0)
		l->head.missing--;
	writer_change(t, l, false);
	return store_record_replace(t->store, log, seq, &whole);
}
