/* Invariants, checked after every step and on every frame of an honest node.
 *
 * - Durable before acknowledged: no HEADS, CHUNK or ACK speaks of more than
 *   the sender's disk holds.
 * - Verified before visible: what is appended is what the owner signed;
 *   every log is a prefix of every other copy of it.
 * - Nothing shrinks: heads, cosigned sizes (while a disk is not put back).
 * - Nobody gets a body that is not for him.
 * - Credit, held chunks and queues stay within their limits. */

#include <string.h>

#include "sim_state.h"

#define JOBS_MAX (LIMIT_HELD_CHUNKS * SIM_NODES_MAX * 2u)

static uint32_t find_log(const struct sim *s, struct slice origin)
{
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		if (slice_is(origin, s->nodes[0].disk.logs[i].origin))
			return i;
	}
	return UINT32_MAX;
}

/* The head that a note states; the signature is checked by the receiver. */
static bool stated_head(struct slice note, struct head *head)
{
	struct arena a;
	struct note n;
	struct checkpoint c;
	bool ok;

	arena_init(&a, 1u << 20);
	ok = note_parse(note, &a, &n) == ERR_OK &&
	     checkpoint_parse(n.text, &c) == ERR_OK;
	if (ok)
		*head = c.head;
	arena_free(&a);
	return ok;
}

/* PROTOCOL.md 10.4: only what is held completely is announced. */
static void check_head(struct sim *s, const struct sim_node *from,
		       struct slice origin, struct slice note, const char *what)
{
	uint32_t log = find_log(s, origin);
	const struct sim_log *l;
	struct merkle_source src;
	struct frontier at;
	struct head head, own;

	if (log == UINT32_MAX || note.n == 0)
		return;
	l = &from->disk.logs[log];
	if (!stated_head(note, &head)) {
		sim_fail(s, "%s sends a bad note in %s", from->name, what);
		return;
	}
	if (head.size > l->n) {
		sim_fail(s, "%s shows a head of %llu in %s and holds %llu",
			 from->name, (unsigned long long)head.size, what,
			 (unsigned long long)l->n);
		return;
	}
	src = sim_log_source(l);
	if (merkle_frontier_at(&src, head.size, &at) != ERR_OK)
		return;
	own = frontier_head(&at);
	if (!head_equal(&own, &head) && l->evidence.n == 0 && !s->forked[log])
		sim_fail(s, "%s shows a head in %s that is not of its tree",
			 from->name, what);
}

static void check_ack(struct sim *s, const struct sim_node *from,
		      const struct message_ack *a)
{
	uint32_t log = find_log(s, a->origin);
	struct sim_node *n = &s->nodes[from->index];

	if (log == UINT32_MAX)
		return;
	if (a->size > from->disk.logs[log].n)
		sim_fail(s, "%s acknowledges %llu of log %u and holds %llu",
			 from->name, (unsigned long long)a->size, log,
			 (unsigned long long)from->disk.logs[log].n);
	if (a->cosignature.n == 0)
		return;
	if (a->size < n->cosigned[log])
		sim_fail(s, "%s cosigns %llu of log %u after %llu", from->name,
			 (unsigned long long)a->size, log,
			 (unsigned long long)n->cosigned[log]);
	n->cosigned[log] = a->size;
}

static void check_chunk(struct sim *s, const struct sim_node *from, uint32_t to,
			const struct message_chunk *c)
{
	uint32_t log = find_log(s, c->origin);
	struct slice rest = c->entries;
	struct record r;
	struct leaf leaf;

	check_head(s, from, c->origin, c->note, "CHUNK");
	if (log == UINT32_MAX)
		return;
	if (c->from + c->count > from->disk.logs[log].n)
		sim_fail(s, "%s sends records that it does not hold",
			 from->name);
	while (message_next_entry(&rest, &r) == ERR_OK) {
		if (r.body.n > 0 && leaf_decode(r.leaf, &leaf) == ERR_OK &&
		    !audience_admits(leaf.audience, true, to == log))
			sim_fail(s, "%s sends a body to %s, who may not see it",
				 from->name, s->nodes[to].name);
	}
}

void sim_check_frame(struct sim *s, const struct sim_node *from, uint32_t to,
		     struct slice frame)
{
	struct message m;
	struct arena a;
	const char *why;
	enum err err;

	arena_init(&a, 4u << 20);
	err = message_decode(frame, &a, &m, &why);
	if (err != ERR_OK)
		sim_fail(s, "%s sends a frame that does not decode: %s",
			 from->name, why);
	else if (m.type == MSG_ACK)
		check_ack(s, from, &m.ack);
	else if (m.type == MSG_CHUNK)
		check_chunk(s, from, to, &m.chunk);
	else if (m.type == MSG_HEADS)
		for (uint32_t i = 0; i < m.heads.log_count; i++)
			check_head(s, from, m.heads.logs[i].origin,
				   m.heads.logs[i].note, "HEADS");
	arena_free(&a);
}

/* Two honest copies of a log that is not known to be forked agree. */
void sim_check_append(struct sim *s, const struct sim_node *n, uint32_t log,
		      uint64_t from)
{
	const struct sim_log *l = &n->disk.logs[log];

	for (uint32_t i = 0; i < s->o.nodes; i++) {
		const struct sim_log *o = &s->nodes[i].disk.logs[log];
		uint64_t end = l->n < o->n ? l->n : o->n;

		if (o->evidence.n > 0 || l->evidence.n > 0 || s->forked[log])
			continue;
		for (uint64_t at = from; at < end; at++) {
			if (digest_equal(&l->nodes[0][at], &o->nodes[0][at]))
				continue;
			sim_fail(s, "%s and %s differ in log %u at %llu",
				 n->name, s->nodes[i].name, log,
				 (unsigned long long)at);
			return;
		}
	}
}

static void check_links(struct sim *s, const struct sim_node *n)
{
	const struct mesh *m = n->mesh;

	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		const struct mesh_link *k = m->links[i];
		uint64_t granted = 0;
		uint32_t jobs = 0;

		if (k == NULL)
			continue;
		for (uint32_t l = 0; l < m->log_count; l++) {
			if (m->logs[l]->r.source != k->id)
				continue;
			granted += m->logs[l]->r.granted;
			jobs++;
		}
		if (granted > LIMIT_CREDIT_LINK_BYTES || jobs > MESH_JOBS_MAX)
			sim_fail(s, "%s grants %llu bytes in %u jobs", n->name,
				 (unsigned long long)granted, jobs);
		if (k->out.n > 0)
			sim_fail(s, "%s keeps frames back", n->name);
	}
}

void sim_check_node(struct sim *s, const struct sim_node *n)
{
	const struct mesh *m = n->mesh;
	uint64_t held = 0;

	for (uint32_t i = 0; i < m->log_count; i++) {
		const struct replica *r = &m->logs[i]->r;
		uint64_t records = 0;

		for (const struct held_chunk *h = r->held; h != NULL;
		     h = h->next) {
			records += h->chunk.count;
			held += h->frame.n + h->note.n;
		}
		if (r->held_count > LIMIT_HELD_CHUNKS ||
		    r->granted > REPLICA_WINDOW_MAX_BYTES ||
		    r->granted + r->held_bytes > REPLICA_HELD_MAX_BYTES)
			sim_fail(s, "%s holds too much of log %u", n->name, i);
		if (!r->draining && r->durable + records < r->received)
			sim_fail(s, "%s has a gap in what it holds of log %u",
				 n->name, i);
		if (s->o.bug == SIM_BUG_NONE && r->durable > n->disk.logs[i].n)
			sim_fail(s, "%s: the mesh believes in %llu of log %u",
				 n->name, (unsigned long long)r->durable, i);
		if (r->head.size > r->durable)
			sim_fail(s, "%s: head of log %u is not held", n->name,
				 i);
	}
	if (held != m->held_bytes || held > LIMIT_HELD_BYTES)
		sim_fail(s, "%s has lost count of what it holds", n->name);
	if (n->job_count > JOBS_MAX)
		sim_fail(s, "%s: the writer's queue grows", n->name);
	check_links(s, n);
}

/* Convergence. What a member kept to itself is lost with its own disk, and
 * is not waited for. */

static uint32_t newest_card(const struct sim *s, uint32_t of)
{
	uint32_t newest = 0;

	for (uint32_t i = 0; i < s->o.nodes; i++) {
		if (s->nodes[i].disk.cards[of] > newest)
			newest = s->nodes[i].disk.cards[of];
	}
	return newest;
}

bool sim_is_converged(struct sim *s)
{
	for (uint32_t log = 0; log < s->o.nodes; log++) {
		const struct sim_log *first = &s->nodes[log].disk.logs[log];
		uint32_t card = newest_card(s, log);

		for (uint32_t i = 0; i < s->o.nodes; i++) {
			const struct sim_node *n = &s->nodes[i];
			const struct sim_log *l = &n->disk.logs[log];

			if (!n->up || n->liar)
				continue;
			if (l->n != first->n || l->head.size != l->n ||
			    !head_equal(&l->head, &first->head) ||
			    (l->missing > 0 && i != log) || n->job_count > 0 ||
			    n->disk.cards[log] != card)
				return false;
		}
	}
	return true;
}
