#include "mesh_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (4u << 20) /* lists of one frame */
#define SCRATCH_BYTES (1u << 20) /* one or two notes taken apart */
/* All answers that may be in flight, and whatever else one event makes. */
#define LINK_OUT_BYTES                                                         \
	(LIMIT_ASKS_LINK * LIMIT_ANSWER_BYTES + 2u * LIMIT_FRAME_BYTES)
#define SLOT_BITS 10u /* of a link's number */

static_assert(1u << SLOT_BITS == LIMIT_LINKS, "a link's number has its slot");

/* Small things. */

uint64_t mesh_new_id(struct mesh *m)
{
	return ++m->next_id;
}

/* xorshift64*: jitter need not be secret. */
uint32_t mesh_random(struct mesh *m)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (uint32_t)((m->random * 0x2545F4914F6CDD1Du) >> 32);
}

struct arena *mesh_scratch(struct mesh *m)
{
	arena_reset(&m->scratch);
	return &m->scratch;
}

void mesh_arm(struct mesh *m, uint64_t at_ms)
{
	if (at_ms < m->deadline)
		m->deadline = at_ms;
}

static struct mesh_link *find_any(const struct mesh *m, uint64_t id)
{
	struct mesh_link *k = m->links[id & (LIMIT_LINKS - 1)];

	return k != NULL && k->id == id ? k : NULL;
}

struct mesh_link *mesh_find_link(const struct mesh *m, uint64_t id)
{
	struct mesh_link *k = find_any(m, id);

	return k != NULL && !k->closing ? k : NULL;
}

bool mesh_link_is_up(const struct mesh_link *k)
{
	return !k->closing && k->session.state == SESSION_LIVE &&
	       k->session.role == ROLE_PEER;
}

/* Opening and closing. */

static void queue_free(struct out_queue *q)
{
	free(q->v);
}

struct mesh *mesh_open(const struct mesh_options *o, uint64_t now_ms)
{
	struct mesh *m = xcalloc(1, sizeof(*m));
	uint32_t wait_ms = o->wait_ms != 0 ? o->wait_ms : MESH_OWN_HEAD_MS;

	assert(o->member.n > 0 && o->member.n <= LIMIT_DOMAIN_BYTES);
	assert(o->origin.n > 0 && o->origin.n <= LIMIT_ORIGIN_BYTES);
	m->o = *o;
	if (m->o.ping_ms == 0)
		m->o.ping_ms = SESSION_PING_MS;
	memcpy(m->name, o->member.p, o->member.n);
	memcpy(m->own_origin, o->origin.p, o->origin.n);
	m->o.member = slice_str(m->name);
	m->o.origin = slice_str(m->own_origin);
	m->random = o->seed | 1;
	m->deadline = UINT64_MAX;
	m->signing_ms = now_ms + wait_ms;
	m->hello = (struct message_hello){
		.version_min = MESSAGE_VERSION_MIN,
		.version_max = MESSAGE_VERSION_MAX,
		.role = ROLE_PEER,
		.member = m->o.member,
		.max_frame = LIMIT_FRAME_BYTES,
	};
	memcpy(m->hello.incarnation, o->incarnation, INCARNATION_BYTES);
	arena_init(&m->arena, ARENA_BYTES);
	arena_init(&m->scratch, SCRATCH_BYTES);
	buf_init(&m->sent, LINK_OUT_BYTES);
	mesh_arm(m, m->signing_ms);
	return m;
}

static void free_link(struct mesh *m, struct mesh_link *k)
{
	m->links[k->id & (LIMIT_LINKS - 1)] = NULL;
	m->link_count--;
	buf_free(&k->out);
	free(k->views);
	free(k->cards);
	free(k);
}

void mesh_close(struct mesh *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		if (m->links[i] != NULL)
			free_link(m, m->links[i]);
	}
	for (uint32_t i = 0; i < m->log_count; i++) {
		replica_free(&m->logs[i]->r);
		free(m->logs[i]);
	}
	for (uint32_t i = 0; i < m->peer_count; i++)
		free(m->peers[i]);
	queue_free(&m->store);
	queue_free(&m->dial);
	queue_free(&m->close);
	buf_free(&m->sent);
	arena_free(&m->arena);
	arena_free(&m->scratch);
	free(m);
}

/* Outputs. */

struct mesh_out *mesh_push(struct mesh *m, struct out_queue *q,
			   enum mesh_out_type type, const struct mesh_link *k)
{
	struct mesh_out *out;

	if (q->at == q->n)
		q->at = q->n = 0;
	if (q->n == q->cap) {
		q->cap = q->cap == 0 ? 16 : q->cap * 2;
		q->v = xrealloc(q->v, q->cap * sizeof(*q->v));
	}
	out = &q->v[q->n++];
	memset(out, 0, sizeof(*out));
	out->type = type;
	out->link = k == NULL ? MESH_NO_LINK : k->id;
	out->tag = k == NULL ? NULL : k->tag;
	out->member = k == NULL ? UINT32_MAX : k->member;
	(void)m;
	return out;
}

static void mark_sending(struct mesh *m, struct mesh_link *k)
{
	if (k->sending || k->out.n == 0)
		return;
	if (m->send_count == 2 * LIMIT_LINKS) {
		/* At most one entry a slot is still waiting. */
		m->send_count -= m->send_at;
		memmove(m->sending, m->sending + m->send_at,
			m->send_count * sizeof(*m->sending));
		m->send_at = 0;
	}
	assert(m->send_count < 2 * LIMIT_LINKS);
	k->sending = true;
	m->sending[m->send_count++] = k->id;
}

void mesh_send(struct mesh *m, struct mesh_link *k, const struct message *msg)
{
	message_put(msg, &k->out);
	mark_sending(m, k);
}

/* Lend a link's frames to the driver. */
static bool next_send(struct mesh *m, struct mesh_out *out)
{
	struct mesh_link *k;
	struct buf empty;

	while (m->send_at < m->send_count) {
		k = find_any(m, m->sending[m->send_at++]);
		if (k == NULL)
			continue;
		k->sending = false;
		empty = m->sent;
		m->sent = k->out;
		k->out = empty;
		buf_reset(&k->out);
		*out = (struct mesh_out){
			.type = MESH_OUT_SEND,
			.link = k->id,
			.tag = k->tag,
			.member = k->member,
			.send = buf_slice(&m->sent),
		};
		return true;
	}
	return false;
}

/* Is there still someone to give it to? Fills what may have changed since it
 * was queued. */
static bool refresh(struct mesh *m, struct mesh_out *out)
{
	struct mesh_link *k = find_any(m, out->link);
	struct mesh_log *l;

	switch (out->type) {
	case MESH_OUT_READ:
		if (k == NULL || k->closing)
			return false;
		l = m->logs[out->log];
		out->read.head = l->r.head;
		out->read.note = buf_slice(&l->r.note);
		k->read_version = l->version;
		return true;
	case MESH_OUT_NOTE:
		l = m->logs[out->log];
		l->note_due = false;
		out->note = buf_slice(&l->r.note);
		return true;
	case MESH_OUT_READ_BODIES:
	case MESH_OUT_READ_DOC:
	case MESH_OUT_ASK:
	case MESH_OUT_LIVE:
		return k != NULL && !k->closing;
	case MESH_OUT_CLOSE:
		return k != NULL;
	case MESH_OUT_APPLY:
	case MESH_OUT_CHECK:
	case MESH_OUT_ACKED:
	case MESH_OUT_FORK:
	case MESH_OUT_BODIES:
	case MESH_OUT_DOC:
	case MESH_OUT_ANSWER:
	case MESH_OUT_SIGNING:
	case MESH_OUT_SEND:
	case MESH_OUT_DIAL:
		break;
	}
	if (k == NULL) {
		out->link = MESH_NO_LINK;
		out->tag = NULL;
	}
	return true;
}

static bool next_queued(struct mesh *m, struct out_queue *q,
			struct mesh_out *out)
{
	while (q->at < q->n) {
		*out = q->v[q->at++];
		if (refresh(m, out))
			return true;
	}
	return false;
}

bool mesh_next(struct mesh *m, struct mesh_out *out)
{
	if (next_queued(m, &m->store, out) || next_send(m, out) ||
	    next_queued(m, &m->dial, out))
		return true;
	if (!next_queued(m, &m->close, out))
		return false;
	free_link(m, find_any(m, out->link));
	return true;
}

/* Links. */

void mesh_note_refusal(struct mesh *m, uint64_t now_ms, uint32_t member,
		       enum err why, bool by_peer)
{
	struct mesh_peer *p;

	/* Two links at once and a clean end are nobody's fault. */
	if (member >= m->peer_count || why == ERR_OK || why == ERR_DUPLICATE ||
	    why == ERR_SHUTDOWN)
		return;
	p = m->peers[member];
	p->refused = why;
	p->refused_by_peer = by_peer;
	p->refused_ms = now_ms;
}

/* The link serves nobody any more: give up all that hangs on it. */
static void detach(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct mesh_peer *p =
		k->member < m->peer_count ? m->peers[k->member] : NULL;

	k->closing = true;
	mesh_drop_asks(m, k);
	mesh_leave_source(m, now_ms, k);
	if (p == NULL)
		return;
	if (p->link == k) {
		p->link = NULL;
		p->since_ms = now_ms;
	}
	if (p->link == NULL && (k->dialled || p->dial_ms == UINT64_MAX))
		mesh_dial_later(m, now_ms, p);
	mesh_pump_logs(m, now_ms);
}

/* What the session asked for. Returns false when the link is finished. */
static bool follow(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		   const struct session_out *out)
{
	mark_sending(m, k);
	mesh_arm(m, session_deadline(&k->session));
	if (!out->closed)
		return true;
	mesh_note_refusal(m, now_ms, k->member, out->why, out->by_peer);
	mesh_push(m, &m->close, MESH_OUT_CLOSE, k)->close.why = out->why;
	m->close.v[m->close.n - 1].close.by_peer = out->by_peer;
	detach(m, now_ms, k);
	return false;
}

static bool step(struct mesh *m, struct mesh_link *k, struct session_event ev,
		 struct session_out *out)
{
	out->send = &k->out;
	if (m->own != NULL)
		k->session.own_size = m->own->r.head.size;
	session_step(&k->session, &ev, out);
	return follow(m, ev.now_ms, k, out);
}

void mesh_close_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		     enum err why)
{
	struct session_event ev = { .type = SESSION_CLOSE,
				    .now_ms = now_ms,
				    .err = why };
	struct session_out out;

	if (!k->closing)
		(void)step(m, k, ev, &out);
}

void mesh_strike(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		 enum err why)
{
	mesh_note_refusal(m, now_ms, k->member, why, false);
	if (++k->strikes > MESH_STRIKES_MAX)
		mesh_close_link(m, now_ms, k, why);
}

static uint32_t free_slot(const struct mesh *m)
{
	uint32_t i = 0;

	while (i < LIMIT_LINKS && m->links[i] != NULL)
		i++;
	return i;
}

static struct mesh_link *new_link(struct mesh *m, uint32_t slot,
				  const struct mesh_link_up *l, uint32_t member)
{
	struct mesh_link *k = xcalloc(1, sizeof(*k));

	k->id = mesh_new_id(m) << SLOT_BITS | slot;
	k->tag = l->tag;
	k->member = member;
	k->dialled = l->dialled;
	k->announce_ms = UINT64_MAX;
	k->late_ms = UINT64_MAX;
	buf_init(&k->out, LINK_OUT_BYTES);
	session_init(&k->session, &m->hello,
		     member < m->peer_count ? mesh_peer_name(m->peers[member])
					    : slice_of(NULL, 0));
	k->session.ping_ms = m->o.ping_ms;
	k->session.dead_ms = 3 * (uint64_t)m->o.ping_ms;
	m->links[slot] = k;
	m->link_count++;
	return k;
}

static uint32_t count_links(const struct mesh *m, uint32_t member)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < LIMIT_LINKS; i++)
		n += m->links[i] != NULL && m->links[i]->member == member;
	return n;
}

/* May this member open a link? */
static enum err admit(const struct mesh *m, uint32_t member)
{
	if (member == UINT32_MAX || m->peers[member]->self ||
	    m->peers[member]->state == MEMBER_REMOVED)
		return ERR_DENIED;
	return count_links(m, member) < LIMIT_LINKS_MEMBER ? ERR_OK : ERR_BUSY;
}

uint64_t mesh_link_open(struct mesh *m, uint64_t now_ms,
			const struct mesh_link_up *l)
{
	struct session_event ev = { .type = SESSION_OPEN, .now_ms = now_ms };
	uint32_t member = mesh_find_member(m, l->member);
	uint32_t slot = free_slot(m);
	struct session_out out;
	struct mesh_link *k;
	enum err err;

	if (l->dialled && member < m->peer_count)
		m->peers[member]->dialling = false;
	if (!m->ready || m->stopping || slot == LIMIT_LINKS) {
		if (l->dialled && member < m->peer_count)
			mesh_dial_later(m, now_ms, m->peers[member]);
		return MESH_NO_LINK;
	}
	err = admit(m, member);
	k = new_link(m, slot, l, member);
	if (err != ERR_OK)
		mesh_close_link(m, now_ms, k, err);
	else
		(void)step(m, k, ev, &out);
	return k->id;
}

uint32_t mesh_link_frame_max(const struct mesh *m, uint64_t link)
{
	const struct mesh_link *k = mesh_find_link(m, link);

	return k == NULL ? LIMIT_FRAME_NEW_BYTES
			 : session_frame_max(&k->session);
}

void mesh_link_bad(struct mesh *m, uint64_t now_ms, uint64_t link, enum err err)
{
	struct mesh_link *k = mesh_find_link(m, link);

	if (k != NULL)
		mesh_close_link(m, now_ms, k, err);
}

void mesh_link_lost(struct mesh *m, uint64_t now_ms, uint64_t link,
		    enum err why)
{
	struct mesh_link *k = find_any(m, link);

	if (k == NULL)
		return;
	if (!k->closing) {
		/* A live link that breaks is no refusal. */
		if (k->session.state != SESSION_LIVE || why != ERR_CLOSED)
			mesh_note_refusal(m, now_ms, k->member, why, true);
		detach(m, now_ms, k);
	}
	free_link(m, k);
}

void mesh_link_congested(struct mesh *m, uint64_t now_ms, uint64_t link,
			 bool congested)
{
	struct mesh_link *k = mesh_find_link(m, link);

	if (k == NULL || k->congested == congested)
		return;
	k->congested = congested;
	if (!congested)
		mesh_resume_link(m, now_ms, k);
}

void mesh_shutdown(struct mesh *m, uint64_t now_ms)
{
	m->stopping = true;
	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		if (m->links[i] != NULL)
			mesh_close_link(m, now_ms, m->links[i], ERR_SHUTDOWN);
	}
}

/* Frames. */

/* Only a peer's link needs room for what it knows of each log. */
static void make_views(struct mesh_link *k)
{
	k->views = xcalloc(LIMIT_LOGS, sizeof(*k->views));
	k->cards = xcalloc(LIMIT_MEMBERS, sizeof(*k->cards));
	for (uint32_t i = 0; i < LIMIT_LOGS; i++)
		k->views[i].announce_ms = UINT64_MAX;
}

static void enter(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	(void)mesh_push(m, &m->dial, MESH_OUT_LIVE, k);
	if (k->session.role == ROLE_CLIENT)
		return;
	make_views(k);
	if (!mesh_enter_link(m, now_ms, k))
		return;
	k->roster = k->session.roster_version;
	mesh_send_full(m, now_ms, k);
	mesh_pump_docs(m, now_ms, k);
	mesh_pump_logs(m, now_ms);
}

/* What a client may not say either is answered, so that it does not wait. */
static void refuse_message(struct mesh *m, struct mesh_link *k,
			   enum message_type type)
{
	struct message msg = { .type = MSG_ERR,
			       .err = { .code = ERR_DENIED, .type = type } };

	mesh_send(m, k, &msg);
}

static void from_peer(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		      const struct message *msg, struct slice frame)
{
	switch (msg->type) {
	case MSG_HEADS:
		mesh_on_heads(m, now_ms, k, &msg->heads);
		break;
	case MSG_WANT:
		mesh_on_want(m, now_ms, k, &msg->want);
		break;
	case MSG_CHUNK:
		mesh_on_chunk(m, now_ms, k, &msg->chunk, frame);
		break;
	case MSG_WANT_BODIES:
		mesh_on_want_bodies(m, k, &msg->want_bodies);
		break;
	case MSG_BODIES:
		mesh_on_bodies(m, k, &msg->bodies);
		break;
	case MSG_ACK:
		mesh_on_ack(m, now_ms, k, &msg->ack);
		break;
	case MSG_FORK:
		mesh_on_fork(m, now_ms, k, &msg->fork);
		break;
	case MSG_DOC:
		mesh_on_doc(m, k, &msg->doc);
		break;
	case MSG_WANT_DOC:
		mesh_on_want_doc(m, k, &msg->want_doc);
		break;
	case MSG_PING:
	case MSG_PONG:
		mesh_on_size(m, now_ms, k, msg->ping.size);
		break;
	case MSG_ERR:
		mesh_on_err(m, k, &msg->err);
		break;
	case MSG_ASK:
		mesh_on_ask(m, k, &msg->ask);
		break;
	case MSG_ANSWER:
		mesh_on_answer(m, k, msg->answer.id, msg->answer.code,
			       msg->answer.answer);
		break;
	case MSG_HELLO:
	case MSG_BYE:
	case MSG_SUBMIT:
	case MSG_RECEIPT:
	case MSG_CHANGES:
		break;
	}
}

static void deliver(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		    const struct message *msg, struct slice frame)
{
	if (k->session.role == ROLE_PEER)
		from_peer(m, now_ms, k, msg, frame);
	else if (msg->type == MSG_ASK)
		mesh_on_ask(m, k, &msg->ask);
	else if (msg->type != MSG_PING && msg->type != MSG_PONG &&
		 msg->type != MSG_ERR)
		refuse_message(m, k, msg->type);
}

void mesh_link_frame(struct mesh *m, uint64_t now_ms, uint64_t link,
		     struct slice frame)
{
	struct session_event ev = { .type = SESSION_MESSAGE,
				    .now_ms = now_ms,
				    .message = &m->message };
	struct mesh_link *k = mesh_find_link(m, link);
	struct session_out out;

	/* Outputs borrow from the frame before: they are gone by now. */
	assert(m->store.at == m->store.n);
	if (k == NULL)
		return;
	arena_reset(&m->arena);
	ev.err = message_decode(frame, &m->arena, &m->message, NULL);
	if (ev.err != ERR_OK)
		ev.type = SESSION_BAD_FRAME;
	if (k->member < m->peer_count)
		m->peers[k->member]->heard_ms = now_ms;
	if (!step(m, k, ev, &out))
		return;
	if (out.live)
		enter(m, now_ms, k);
	else if (out.deliver)
		deliver(m, now_ms, k, &m->message, frame);
}

/* Time. */

uint64_t mesh_deadline(const struct mesh *m)
{
	return m->deadline;
}

static void links_tick(struct mesh *m, uint64_t now_ms)
{
	struct session_event ev = { .type = SESSION_TICK, .now_ms = now_ms };
	struct session_out out;

	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		struct mesh_link *k = m->links[i];

		if (k == NULL || k->closing || !step(m, k, ev, &out))
			continue;
		if (k->announce_ms <= now_ms && !k->congested)
			mesh_announce_due(m, now_ms, k);
	}
}

static uint64_t links_deadline(const struct mesh *m)
{
	uint64_t at = UINT64_MAX, t;

	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		const struct mesh_link *k = m->links[i];

		if (k == NULL || k->closing)
			continue;
		t = session_deadline(&k->session);
		if (!k->congested && k->announce_ms < t)
			t = k->announce_ms;
		at = t < at ? t : at;
	}
	return at;
}

void mesh_tick(struct mesh *m, uint64_t now_ms)
{
	uint64_t times[4];

	if (now_ms < m->deadline)
		return;
	links_tick(m, now_ms);
	mesh_asks_tick(m, now_ms);
	mesh_logs_tick(m, now_ms);
	mesh_dial_tick(m, now_ms);
	mesh_judge_signing(m, now_ms);
	times[0] = links_deadline(m);
	times[1] = mesh_asks_deadline(m);
	times[2] = mesh_logs_deadline(m, now_ms);
	times[3] = mesh_dial_deadline(m);
	m->deadline = UINT64_MAX;
	if (m->signing == MESH_SIGNING_WAITING && now_ms < m->signing_ms)
		m->deadline = m->signing_ms;
	for (uint32_t i = 0; i < 4; i++)
		mesh_arm(m, times[i]);
	/* Whatever was due has been done: never spin. */
	if (m->deadline <= now_ms)
		m->deadline = now_ms + 1;
}
