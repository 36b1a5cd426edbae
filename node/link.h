/* One framed TLS connection.
 *
 * Bytes in, frames out, and back; what frames mean is peer.h's business, who
 * the other side is too: the link gives the SHA-256 of its public key and
 * waits for a verdict. Loop thread only. PROTOCOL.md 2.5, 9.1.
 *
 * Happy path:   dial: connecting ->+
 *               accept:            +-> handshake -> open -> closing -> closed
 * Failures:     every state but closed -> closed, with a cause
 *
 * What holds:
 *  - on_open is called once, when the handshake is done; on_frame only after
 *    it and only until link_close; on_closed exactly once, as the last call,
 *    from the loop, never from inside another call; then the link is freed.
 *  - Until link_trust, frames are at most LIMIT_FRAME_NEW_BYTES and the
 *    whole must not take longer than LIMIT_HANDSHAKE_MS.
 *  - Memory held for a link at rest is small: buffers that grew are freed
 *    when they are empty. */

#ifndef NODE_LINK_H
#define NODE_LINK_H

#include "node/dial.h"
#include "node/tls.h"

struct link;

#define LINK_KEEP_BYTES 8192u /* a buffer at rest may keep so much */
/* Output at which nothing more is read from the other side. Above what an
 * honest exchange reaches (LIMIT_OUT_HIGH_BYTES and one frame), because two
 * sides that both stopped reading would wait for each other for ever. */
#define LINK_OUT_STOP_BYTES (LIMIT_OUT_HIGH_BYTES + LIMIT_FRAME_BYTES)
#define LINK_LINGER_MS 1000u /* for the other side to read our last words */
#define LINK_STALL_MS 20000u /* unacknowledged data: the link is dead */

/* How far it came; what failed belongs to this step. */
enum link_step { LINK_TCP, LINK_TLS, LINK_FRAMES };

struct link_end {
	enum link_step step;
	enum err code; /* ERR_OK: closed in order */
	bool theirs; /* the other side ended it */
	char text[192]; /* one sentence, may be empty */
};

struct link_events {
	/* TLS is up with the holder of the key @spki. */
	void (*on_open)(struct link *l, const struct digest *spki);
	/* One frame, without its length; borrowed. */
	void (*on_frame)(struct link *l, struct slice frame);
	/* Output fell below LIMIT_OUT_LOW_BYTES after having been above. */
	void (*on_room)(struct link *l);
	void (*on_closed)(struct link *l, const struct link_end *end);
};

struct link_options {
	struct loop *loop;
	struct tls_config *tls; /* held by the link */
	const struct link_events *events;
	void *arg;
};

/* Connect to @to. Never fails at once; failures come through on_closed. */
struct link *link_dial(const struct link_options *o,
		       const struct sockaddr_storage *to);
/* Take the connection that waits at @from. If it is
 * gone already, on_closed says so. */
struct link *link_accept(const struct link_options *o, struct listener *from);

void *link_arg(const struct link *l);
const char *link_address(const struct link *l); /* of the other side */
bool link_is_dialled(const struct link *l);

/* The other side is a member and has said HELLO: full frames, no deadline. */
void link_trust(struct link *l);
/* Queue whole frames, each with its length in front; sent at the end of the
 * turn. Does nothing once the link is closing. */
void link_send(struct link *l, struct slice frames);
/* Bytes queued and not yet taken by the kernel. */
size_t link_out_bytes(const struct link *l);
/* Deliver no frames for now, and again. What came stays; nothing is lost. */
void link_hold(struct link *l);
void link_release(struct link *l);
/* Send what is queued, close in order; @code and @text are what on_closed
 * will tell, unless the other side ended it before. Idempotent. */
void link_close(struct link *l, enum err code, const char *text);
/* Send BYE with @code and @text in front of that. */
void link_refuse(struct link *l, enum err code, const char *text);
/* As link_close, without waiting for anything. */
void link_abort(struct link *l, enum err code, const char *text);

#endif /* NODE_LINK_H */
