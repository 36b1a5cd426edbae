/* One link between two nodes: HELLO first, liveness, an orderly end.
 *
 * A pure state machine: time and decoded messages in, frames and verdicts
 * out. Not responsible for sockets, TLS or what the messages of a live link
 * mean (mesh.h). A client that only asks uses it without a mesh.
 * PROTOCOL.md section 10.
 *
 *          OPEN                 HELLO taken
 *   NEW ----------> OFFERED ----------------> LIVE
 *    |  sends HELLO    |                        |
 *    |                 | refused, BYE, timeout, | BYE, silence, bad frame,
 *    +-----------------+------> CLOSED <--------+ lost, closed by us
 */

#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include "message.h"

#define SESSION_PING_MS 10000u /* silence after which we ask */
#define SESSION_DEAD_MS 30000u /* silence after which the link is dead */

enum session_state {
	SESSION_NEW, /* nothing sent or received */
	SESSION_OFFERED, /* own HELLO sent, the other's awaited */
	SESSION_LIVE, /* both HELLOs accepted */
	SESSION_CLOSED, /* nothing is sent or taken any more */
};

enum session_event_type {
	SESSION_OPEN, /* the transport is up and authenticated */
	SESSION_MESSAGE, /* a frame was decoded */
	SESSION_BAD_FRAME, /* a frame was not: @err tells why */
	SESSION_TICK, /* time has passed */
	SESSION_CLOSE, /* we want to end it: @err goes into BYE */
	SESSION_LOST, /* the transport is gone */
};

struct session_event {
	enum session_event_type type;
	uint64_t now_ms; /* any clock that never goes back */
	const struct message *message; /* SESSION_MESSAGE; borrowed */
	enum err err; /* SESSION_BAD_FRAME, SESSION_CLOSE */
};

/* What one step asks of the driver, in this order. */
struct session_out {
	struct buf *send; /* borrowed from the caller: frames to send are
				 * appended */
	bool live; /* became LIVE in this step */
	bool deliver; /* the message is for the layer above */
	bool closed; /* became CLOSED in this step */
	bool by_peer; /* closed: they refused, else we did */
	enum err why; /* closed: the reason, ERR_OK: orderly */
};

struct session {
	enum session_state state;
	const struct message_hello *own; /* borrowed; sent on OPEN */
	struct slice expected; /* member that TLS proved; borrowed; empty:
				 * whatever HELLO says (the client's side of a
				 * check by pin) */
	uint64_t ping_ms, dead_ms;
	uint64_t own_size; /* set by the caller: told in PING and PONG */
	uint64_t opened_ms; /* when OPEN came */
	uint64_t heard_ms; /* last frame received */
	uint64_t pinged_ms; /* last PING sent */
	/* From the other's HELLO, valid once LIVE. */
	enum role role;
	uint64_t version; /* spoken on this link */
	uint64_t max_frame; /* bytes that the other takes */
	uint64_t roster_version;
	struct digest roster_hash;
	uint8_t incarnation[INCARNATION_BYTES];
};

/* @own and @expected are borrowed for the life of the session. */
void session_init(struct session *s, const struct message_hello *own,
		  struct slice expected);
/* Clears @out except for @out->send. Never fails: a peer's mistake is an
 * output. Refusals of HELLO: ERR_ALLIANCE, ERR_VERSION, ERR_PIN (another
 * member than TLS proved), ERR_LIMIT (it takes only small frames),
 * ERR_BAD_STATE (something else came first), ERR_TIMEOUT. After CLOSED all events are ignored. */
void session_step(struct session *s, const struct session_event *ev,
		  struct session_out *out);
/* When SESSION_TICK is next needed; UINT64_MAX: never. */
uint64_t session_deadline(const struct session *s);
/* Largest frame to accept now, without its length. PROTOCOL.md 9.1. */
uint32_t session_frame_max(const struct session *s);
const char *session_state_name(enum session_state s);

#endif /* PROTO_SESSION_H */
