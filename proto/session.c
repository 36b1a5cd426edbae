/* Transitions and who performs them:
 *
 *   NEW -> OFFERED      open_link       OPEN: HELLO goes out
 *   OFFERED -> LIVE     take_hello      the other's HELLO fits ours
 *   any -> CLOSED       end             the one way to close
 *
 * What holds: NEW: nothing was sent. OFFERED: exactly one HELLO was sent,
 * nothing was delivered. LIVE: both HELLOs were accepted; messages are
 * delivered. CLOSED: nothing is sent or delivered any more. */

#include "session.h"

#include <assert.h>
#include <string.h>

#define TO(s) (1u << SESSION_##s)

static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[SESSION_NEW] = { "new", TO(OFFERED) | TO(CLOSED) },
	[SESSION_OFFERED] = { "offered", TO(LIVE) | TO(CLOSED) },
	[SESSION_LIVE] = { "live", TO(CLOSED) },
	[SESSION_CLOSED] = { "closed", 0 },
};

static void move(struct session *s, enum session_state to)
{
	assert((states[s->state].next & 1u << to) != 0);
	s->state = to;
}

const char *session_state_name(enum session_state s)
{
	return states[s].name;
}

void session_init(struct session *s, const struct message_hello *own,
		  struct slice expected)
{
	memset(s, 0, sizeof(*s));
	s->state = SESSION_NEW;
	s->own = own;
	s->expected = expected;
	s->ping_ms = SESSION_PING_MS;
	s->dead_ms = SESSION_DEAD_MS;
	s->role = ROLE_PEER;
}

uint32_t session_frame_max(const struct session *s)
{
	return s->state == SESSION_LIVE ? LIMIT_FRAME_BYTES
					: LIMIT_FRAME_NEW_BYTES;
}

uint64_t session_deadline(const struct session *s)
{
	uint64_t ping, dead;

	switch (s->state) {
	case SESSION_NEW:
	case SESSION_CLOSED:
		return UINT64_MAX;
	case SESSION_OFFERED:
		return s->opened_ms + LIMIT_HANDSHAKE_MS;
	case SESSION_LIVE:
		break;
	}
	ping = s->heard_ms > s->pinged_ms ? s->heard_ms : s->pinged_ms;
	ping += s->ping_ms;
	dead = s->heard_ms + s->dead_ms;
	return ping < dead ? ping : dead;
}

static void send_ping(struct session *s, enum message_type type,
		      struct session_out *out)
{
	struct message m = { .type = type, .ping = { s->own_size } };

	message_put(&m, out->send);
}

/* PROTOCOL.md 10.1: whoever closes says why, unless nobody listens. */
static void end(struct session *s, enum err why, bool by_peer, bool say,
		struct session_out *out)
{
	struct message m = { .type = MSG_BYE };

	if (say) {
		m.bye.code = why;
		m.bye.text = slice_str(why == ERR_OK ? "" : err_text(why));
		message_put(&m, out->send);
	}
	move(s, SESSION_CLOSED);
	out->closed = true;
	out->why = why;
	out->by_peer = by_peer;
}

static void open_link(struct session *s, uint64_t now_ms,
		      struct session_out *out)
{
	struct message m = { .type = MSG_HELLO, .hello = *s->own };

	message_put(&m, out->send);
	s->opened_ms = now_ms;
	s->heard_ms = now_ms;
	move(s, SESSION_OFFERED);
}

/* PROTOCOL.md 9.2, in this order. */
static enum err judge_hello(struct session *s, const struct message_hello *h)
{
	uint64_t both = s->own->version_max < h->version_max
				? s->own->version_max
				: h->version_max;

	if (!digest_equal(&s->own->alliance, &h->alliance))
		return ERR_ALLIANCE;
	if (both < s->own->version_min || both < h->version_min)
		return ERR_VERSION;
	if (s->expected.n > 0 && !slice_equal(s->expected, h->member))
		return ERR_PIN;
	if (h->max_frame < LIMIT_FRAME_BYTES)
		return ERR_LIMIT;
	s->version = both;
	return ERR_OK;
}

static void take_hello(struct session *s, const struct message_hello *h,
		       uint64_t now_ms, struct session_out *out)
{
	enum err err = judge_hello(s, h);

	if (err != ERR_OK) {
		end(s, err, false, true, out);
		return;
	}
	s->role = h->role;
	s->max_frame = h->max_frame;
	s->roster_version = h->roster_version;
	s->roster_hash = h->roster_hash;
	memcpy(s->incarnation, h->incarnation, sizeof(s->incarnation));
	s->pinged_ms = now_ms;
	move(s, SESSION_LIVE);
	out->live = true;
}

static void on_offered_message(struct session *s, const struct message *m,
			       uint64_t now_ms, struct session_out *out)
{
	if (m->type == MSG_HELLO)
		take_hello(s, &m->hello, now_ms, out);
	else if (m->type == MSG_BYE)
		end(s, m->bye.code, true, false, out);
	else
		end(s, ERR_BAD_STATE, false, true, out);
}

static void on_live_message(struct session *s, const struct message *m,
			    struct session_out *out)
{
	if (m->type == MSG_BYE) {
		end(s, m->bye.code, true, false, out);
		return;
	}
	if (m->type == MSG_HELLO) {
		end(s, ERR_BAD_STATE, false, true, out);
		return;
	}
	if (m->type == MSG_PING)
		send_ping(s, MSG_PONG, out);
	/* PING and PONG are delivered too: they tell the sender's size. */
	out->deliver = true;
}

static void on_tick(struct session *s, uint64_t now_ms, struct session_out *out)
{
	if (now_ms < session_deadline(s))
		return;
	if (s->state == SESSION_OFFERED || now_ms >= s->heard_ms + s->dead_ms) {
		end(s, ERR_TIMEOUT, false, true, out);
		return;
	}
	s->pinged_ms = now_ms;
	send_ping(s, MSG_PING, out);
}

static void on_message(struct session *s, const struct session_event *ev,
		       struct session_out *out)
{
	s->heard_ms = ev->now_ms;
	if (s->state == SESSION_OFFERED)
		on_offered_message(s, ev->message, ev->now_ms, out);
	else if (s->state == SESSION_LIVE)
		on_live_message(s, ev->message, out);
	else
		assert(0 && "a message before OPEN");
}

void session_step(struct session *s, const struct session_event *ev,
		  struct session_out *out)
{
	struct buf *send = out->send;

	memset(out, 0, sizeof(*out));
	out->send = send;
	if (s->state == SESSION_CLOSED)
		return;
	switch (ev->type) {
	case SESSION_OPEN:
		open_link(s, ev->now_ms, out);
		break;
	case SESSION_MESSAGE:
		on_message(s, ev, out);
		break;
	case SESSION_BAD_FRAME:
		/* PROTOCOL.md 9.14: a type from the future is not a fault. */
		s->heard_ms = ev->now_ms;
		if (s->state != SESSION_LIVE || ev->err != ERR_UNSUPPORTED)
			end(s, ev->err, false, true, out);
		break;
	case SESSION_TICK:
		on_tick(s, ev->now_ms, out);
		break;
	case SESSION_CLOSE:
		end(s, ev->err, false, true, out);
		break;
	case SESSION_LOST:
		end(s, ERR_CLOSED, false, false, out);
		break;
	}
}
