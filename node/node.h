/* The running node: owner of the home, the loop thread, the links, the
 * query thread and the control server.
 *
 *   struct node -> mesh, peers -> link -> tls
 *
 * One loop thread runs the mesh and all sockets; one query thread answers
 * questions; libuv's pool reads chunks and checks heads; the writer writes.
 * They meet only in queues. Every function below is for other threads (a
 * command, a signal, a test) unless it says otherwise, may be called at any
 * time between node_start and node_stop, and blocks at most as long as it
 * says. PROTOCOL.md sections 9 to 12 are what the node speaks. */

#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "node/home.h"

struct node;

struct node_options {
	const char *dir; /* as given with -C */
	bool sign_alone; /* sign even if partners stay silent */
	uint32_t signing_wait_ms; /* 0: NODE_SIGNING_WAIT_MS; for tests */
};

#define NODE_SIGNING_WAIT_MS 10000u /* for partners' heads of the own log */
#define NODE_STOP_MS 5000u /* a clean stop takes no longer */
#define NODE_DOC_BYTES_MAX (8u << 20) /* of a status or test document */

/* Open the home, bind the listener, start all threads. On success the node
 * is listening. Ignores SIGPIPE and raises the soft descriptor limit.
 * Errors as home_open; ERR_IO: cannot listen (address and cause in @why). */
WARN_UNUSED enum err node_start(const struct node_options *o, struct node **out,
				struct buf *why);
/* Say BYE to the peers, finish what is queued, close every handle (asserted)
 * and the home. At most NODE_STOP_MS plus what the writer has to finish.
 * NULL is fine. */
void node_stop(struct node *n);

/* The home as of the last successful reload. Valid until node_stop, also
 * after a later reload: a command takes it once and works on what it took. */
struct home *node_home(struct node *n);

/* Read configuration and keys again and use them, or keep what is in use:
 * all or nothing. ERR_CONFLICT: something changed that only a restart can
 * change (@why names it); else as config_load and keys_load. A failure stays
 * visible in the status as C-RELOAD-01 until a reload succeeds. */
WARN_UNUSED enum err node_reload(struct node *n, struct buf *why);

/* Append the status document (canonical msgpack map, see status.h) to @out.
 * ERR_LIMIT: @out is full; ERR_SHUTDOWN; the store's errors. */
WARN_UNUSED enum err node_status(struct node *n, struct buf *out);

/* Ask @member's node a question (an encoded question of recognise.h or
 * message.h; at most LIMIT_QUESTION_BYTES) and append its answer.
 * ERR_CLOSED: there is no link to it now, or it broke; ERR_TIMEOUT;
 * ERR_NOT_FOUND: no such member; ERR_BUSY: LIMIT_ASKS_LINK are in flight;
 * ERR_SHUTDOWN; else the coded refusal of the other side. */
WARN_UNUSED enum err node_ask(struct node *n, struct slice member,
			      struct slice question, uint32_t timeout_ms,
			      struct buf *answer);

/* Wait until @partners other members have countersigned that they hold the
 * own log up to @size. *have is their number at the end. @is_cancelled (may
 * be NULL) is asked several times a second. ERR_TIMEOUT, ERR_SHUTDOWN;
 * ERR_CLOSED: cancelled. */
WARN_UNUSED enum err node_wait_cosigned(struct node *n, uint64_t size,
					uint32_t partners, uint32_t timeout_ms,
					bool (*is_cancelled)(void *arg),
					void *arg, uint32_t *have);

/* May own records be signed now? */
enum signing node_signing(struct node *n);
/* Append the members whose answer about the own log is still awaited,
 * separated by ", "; nothing when none is. */
void node_awaited(struct node *n, struct buf *out);

/* Dial @member at once instead of after the pause. Does not wait for it. */
void node_dial_now(struct node *n, struct slice member);
/* Where it listens, with the real port. Before another thread reloads. */
const char *node_address(struct node *n);

#endif /* NODE_NODE_H */
