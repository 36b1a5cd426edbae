/* Links: a byte stream each way, delayed, never reordered, cut anywhere.
 *
 * A cut direction keeps its bytes, as TCP does, until it is healed or the
 * link ends; a broken link loses what is on its way, at any byte. */

#include <string.h>

#include "sim_state.h"

#define DELAY_MS 30u
#define CONNECT_TIMEOUT_MS 3000u

static struct sim_conn *find_conn(struct sim *s, uint64_t id)
{
	for (uint32_t i = 0; i < SIM_CONNS && id != 0; i++) {
		if (s->conns[i].id == id)
			return &s->conns[i];
	}
	return NULL;
}

/* What a mesh knows a link by: connection and end. */
static void *tag_of(const struct sim_conn *c, uint32_t end)
{
	return (void *)(uintptr_t)(c->id * 2 + end);
}

static struct sim_conn *from_tag(struct sim *s, void *tag, uint32_t *end)
{
	uintptr_t v = (uintptr_t)tag;

	*end = (uint32_t)(v & 1);
	return find_conn(s, v / 2);
}

static bool is_cut(const struct sim *s, const struct sim_conn *c,
		   uint32_t sender)
{
	return s->cut[c->node[sender]][c->node[1 - sender]];
}

static void free_conn(struct sim_conn *c)
{
	for (uint32_t i = 0; i < 2; i++) {
		buf_free(&c->pipe[i].in);
		buf_free(&c->pipe[i].waiting);
	}
	memset(c, 0, sizeof(*c));
}

static void free_if_dead(struct sim_conn *c)
{
	if (c->link[0] == MESH_NO_LINK && c->link[1] == MESH_NO_LINK)
		free_conn(c);
}

void sim_net_free(struct sim *s)
{
	for (uint32_t i = 0; i < SIM_CONNS; i++)
		free_conn(&s->conns[i]);
}

/* Setting up. */

void sim_net_dial(struct sim *s, struct sim_node *n, uint32_t to)
{
	sim_plan(s, 1 + sim_random(s, DELAY_MS), EV_CONNECT, n->index)->member =
		to;
}

static void fail_dial(struct sim *s, const struct sim_event *e, uint64_t in_ms,
		      enum err why)
{
	struct sim_event *f = sim_plan(s, in_ms, EV_DIAL_FAILED, e->node);

	f->member = e->member;
	f->from = (uint64_t) - (int64_t)why;
}

static void open_end(struct sim *s, struct sim_conn *c, uint32_t end)
{
	struct sim_node *n = &s->nodes[c->node[end]];
	struct mesh_link_up up = {
		.tag = tag_of(c, end),
		.member = slice_str(s->nodes[c->node[1 - end]].name),
		.dialled = end == 0,
	};
	uint64_t id = c->id;
	uint64_t link = mesh_link_open(n->mesh, s->now_ms, &up);

	c->link[end] = link;
	sim_drain(s, n);
	if (find_conn(s, id) == NULL)
		return;
	if (link == MESH_NO_LINK)
		sim_net_end(s, n, tag_of(c, end));
}

void sim_net_connect(struct sim *s, const struct sim_event *e)
{
	struct sim_conn *c = NULL;

	if (s->cut[e->node][e->member] || s->cut[e->member][e->node]) {
		fail_dial(s, e, CONNECT_TIMEOUT_MS, ERR_TIMEOUT);
		return;
	}
	for (uint32_t i = 0; i < SIM_CONNS && c == NULL; i++) {
		if (s->conns[i].id == 0)
			c = &s->conns[i];
	}
	if (!s->nodes[e->member].up || c == NULL) {
		fail_dial(s, e, 1, ERR_CLOSED);
		return;
	}
	c->id = ++s->next_conn;
	c->node[0] = e->node;
	c->node[1] = e->member;
	c->link[0] = c->link[1] = MESH_NO_LINK - 1; /* not yet opened */
	for (uint32_t i = 0; i < 2; i++) {
		buf_init(&c->pipe[i].in, 16u << 20);
		buf_init(&c->pipe[i].waiting, 64u << 20);
	}
	sim_trace(s, "%s connects to %s", s->nodes[e->node].name,
		  s->nodes[e->member].name);
	open_end(s, c, 1);
	if (find_conn(s, c->id) != NULL)
		open_end(s, c, 0);
}

/* Bytes. */

static void fly(struct sim *s, struct sim_conn *c, uint32_t sender,
		struct slice bytes)
{
	struct sim_pipe *p = &c->pipe[sender];
	uint64_t at = s->now_ms + 1 + sim_random(s, DELAY_MS);
	struct sim_event *e;

	if (at < p->last_ms)
		at = p->last_ms;
	p->last_ms = at;
	p->flying += bytes.n;
	e = sim_plan(s, at - s->now_ms, EV_BYTES, c->node[1 - sender]);
	e->conn = c->id;
	e->end = 1 - sender;
	buf_init(&e->data, bytes.n);
	buf_put(&e->data, bytes);
}

/* In one or two pieces, so that frames are torn. */
static void put_on_way(struct sim *s, struct sim_conn *c, uint32_t sender,
		       struct slice bytes)
{
	size_t n = bytes.n > 1 && sim_random(s, 4) == 0
			   ? 1 + sim_random(s, bytes.n - 1)
			   : bytes.n;

	if (n > 0)
		fly(s, c, sender, slice_sub(bytes, 0, n));
	if (n < bytes.n)
		fly(s, c, sender, slice_sub(bytes, n, bytes.n - n));
}

static void watch_backlog(struct sim *s, struct sim_conn *c, uint32_t sender)
{
	struct sim_pipe *p = &c->pipe[sender];
	struct sim_node *n = &s->nodes[c->node[sender]];
	uint64_t backlog = p->flying + p->waiting.n;
	bool now = p->congested ? backlog > LIMIT_OUT_LOW_BYTES
				: backlog > LIMIT_OUT_HIGH_BYTES;

	if (now == p->congested || c->link[sender] >= MESH_NO_LINK - 1)
		return;
	p->congested = now;
	mesh_link_congested(n->mesh, s->now_ms, c->link[sender], now);
}

void sim_net_send(struct sim *s, struct sim_node *n, void *tag,
		  struct slice bytes)
{
	struct slice rest = bytes, frame;
	struct buf one;
	uint32_t end;
	struct sim_conn *c = from_tag(s, tag, &end);

	if (c == NULL)
		return;
	buf_init(&one, 2 * LIMIT_FRAME_BYTES);
	while (frame_split(&rest, LIMIT_FRAME_BYTES, &frame) == ERR_OK) {
		buf_reset(&one);
		buf_put_u32be(&one, (uint32_t)frame.n);
		buf_put(&one, frame);
		if (n->liar)
			sim_lie(s, n, &one);
		else
			sim_check_frame(s, n, c->node[1 - end], frame);
		if (is_cut(s, c, end) || c->pipe[end].waiting.n > 0)
			buf_put(&c->pipe[end].waiting, buf_slice(&one));
		else
			put_on_way(s, c, end, buf_slice(&one));
	}
	buf_free(&one);
	watch_backlog(s, c, end);
}

/* Whole frames that have arrived at one end. */
static void feed(struct sim *s, struct sim_conn *c, uint32_t end)
{
	struct sim_node *n = &s->nodes[c->node[end]];
	struct sim_pipe *p = &c->pipe[1 - end];
	uint64_t id = c->id, link = c->link[end];
	struct slice rest, frame;
	struct buf mine;
	enum err err = ERR_OK;

	/* The connection may go while its frames are taken. */
	mine = p->in;
	buf_init(&p->in, mine.max);
	rest = buf_slice(&mine);
	while (find_conn(s, id) == c && c->link[end] == link) {
		err = frame_split(&rest, mesh_link_frame_max(n->mesh, link),
				  &frame);
		if (err != ERR_OK)
			break;
		mesh_link_frame(n->mesh, s->now_ms, link, frame);
		sim_drain(s, n);
	}
	if (err != ERR_OK && err != ERR_TRUNCATED) {
		mesh_link_bad(n->mesh, s->now_ms, link, err);
		sim_drain(s, n);
	}
	if (find_conn(s, id) == c)
		buf_put(&p->in, rest);
	buf_free(&mine);
}

void sim_net_arrive(struct sim *s, struct sim_event *e)
{
	struct sim_conn *c = find_conn(s, e->conn);
	uint32_t sender = 1 - e->end;
	struct sim_pipe *p;

	if (c == NULL)
		return;
	p = &c->pipe[sender];
	p->flying -= e->data.n;
	if (is_cut(s, c, sender) || p->waiting.n > 0) {
		/* Behind it nothing can have waited longer. */
		struct buf all;

		buf_init(&all, p->waiting.max);
		buf_put(&all, buf_slice(&e->data));
		buf_put(&all, buf_slice(&p->waiting));
		buf_free(&p->waiting);
		p->waiting = all;
		return;
	}
	if (c->link[e->end] >= MESH_NO_LINK - 1)
		return;
	buf_put(&p->in, buf_slice(&e->data));
	feed(s, c, e->end);
	c = find_conn(s, e->conn);
	if (c == NULL)
		return;
	watch_backlog(s, c, sender);
	if (c->link[sender] < MESH_NO_LINK - 1)
		sim_drain(s, &s->nodes[c->node[sender]]);
}

/* The end. */

static void plan_end(struct sim *s, struct sim_conn *c, uint32_t end)
{
	struct sim_pipe *p = &c->pipe[1 - end];
	uint64_t at = s->now_ms + 1 + sim_random(s, DELAY_MS);
	struct sim_event *e;

	if (at < p->last_ms)
		at = p->last_ms;
	e = sim_plan(s, at - s->now_ms, EV_END, c->node[end]);
	e->conn = c->id;
	e->end = end;
}

/* This end is closed; the other learns it behind the last byte. */
static void close_end(struct sim *s, struct sim_conn *c, uint32_t end)
{
	c->link[end] = MESH_NO_LINK;
	c->ended[end] = true;
	if (c->link[1 - end] == MESH_NO_LINK) {
		free_conn(c);
		return;
	}
	if (!is_cut(s, c, end) && c->pipe[end].waiting.n == 0)
		plan_end(s, c, 1 - end);
}

void sim_net_end(struct sim *s, struct sim_node *n, void *tag)
{
	uint32_t end;
	struct sim_conn *c = from_tag(s, tag, &end);

	(void)n;
	if (c != NULL)
		close_end(s, c, end);
}

void sim_net_ended(struct sim *s, const struct sim_event *e)
{
	struct sim_conn *c = find_conn(s, e->conn);
	struct sim_node *n;
	uint64_t link;

	if (c == NULL)
		return;
	n = &s->nodes[c->node[e->end]];
	link = c->link[e->end];
	c->link[e->end] = MESH_NO_LINK;
	free_if_dead(c);
	if (link < MESH_NO_LINK - 1 && n->up) {
		mesh_link_lost(n->mesh, s->now_ms, link, ERR_CLOSED);
		sim_drain(s, n);
	}
}

void sim_net_drop_node(struct sim *s, uint32_t node)
{
	for (uint32_t i = 0; i < SIM_CONNS; i++) {
		struct sim_conn *c = &s->conns[i];

		for (uint32_t end = 0; end < 2 && c->id != 0; end++) {
			if (c->node[end] == node &&
			    c->link[end] != MESH_NO_LINK)
				close_end(s, c, end);
		}
	}
}

/* Verbs. */

void sim_reset(struct sim *s, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < SIM_CONNS; i++) {
		struct sim_conn *c = &s->conns[i];

		if (c->id == 0 || !((c->node[0] == a && c->node[1] == b) ||
				    (c->node[0] == b && c->node[1] == a)))
			continue;
		for (uint32_t end = 0; end < 2; end++) {
			/* Not behind the last byte: the rest is lost. */
			struct sim_event *e =
				sim_plan(s, 1 + sim_random(s, DELAY_MS), EV_END,
					 c->node[end]);
			e->conn = c->id;
			e->end = end;
		}
	}
}

void sim_cut_way(struct sim *s, uint32_t from, uint32_t to)
{
	sim_trace(s, "cut %s -> %s", s->nodes[from].name, s->nodes[to].name);
	s->cut[from][to] = true;
}

void sim_cut(struct sim *s, uint32_t a, uint32_t b)
{
	sim_cut_way(s, a, b);
	sim_cut_way(s, b, a);
}

static void heal_way(struct sim *s, uint32_t from, uint32_t to)
{
	if (!s->cut[from][to])
		return;
	sim_trace(s, "heal %s -> %s", s->nodes[from].name, s->nodes[to].name);
	s->cut[from][to] = false;
	for (uint32_t i = 0; i < SIM_CONNS; i++) {
		struct sim_conn *c = &s->conns[i];
		struct buf bytes;
		uint32_t end;

		if (c->id == 0)
			continue;
		end = c->node[0] == from ? 0 : 1;
		if (c->node[end] != from || c->node[1 - end] != to)
			continue;
		bytes = c->pipe[end].waiting;
		buf_init(&c->pipe[end].waiting, bytes.max);
		put_on_way(s, c, end, buf_slice(&bytes));
		buf_free(&bytes);
		if (c->ended[end])
			plan_end(s, c, 1 - end);
	}
}

void sim_heal(struct sim *s, uint32_t a, uint32_t b)
{
	heal_way(s, a, b);
	heal_way(s, b, a);
}

void sim_heal_all(struct sim *s)
{
	for (uint32_t a = 0; a < s->o.nodes; a++) {
		for (uint32_t b = 0; b < s->o.nodes; b++)
			heal_way(s, a, b);
	}
}
