/* The mesh and its links: what proto/mesh decides is done here.
 *
 * Executes the mesh's outputs in the order in which it gives them; sockets
 * are link.h's business, storing the writer's, answering desk.h's. Loop
 * thread only, unless a function says otherwise. PROTOCOL.md section 10. */

#ifndef NODE_PEER_H
#define NODE_PEER_H

#include "node/health.h"
#include "node/home.h"
#include "proto/mesh.h"
#include "proto/value.h"

#define PEERS_REFUSED 16u /* strangers remembered */
#define PEERS_LAG_MS 60000u /* records known so long and not here: a lag */

struct peers;

/* Give: peers_close. Does nothing yet. */
struct peers *peers_open(struct loop *loop);
/* After peers_stop has called back and the loop has ended: end the query
 * thread, so that the home can be closed; the writer's events are still
 * taken. Idempotent. */
void peers_end(struct peers *p);
/* After peers_end and the writer's end. NULL is fine. */
void peers_close(struct peers *p);

struct peers_options {
	const struct home *home; /* borrowed until peers_close */
	struct tls_config *tls; /* held */
	bool sign_alone;
	uint32_t signing_wait_ms; /* 0: as mesh.h */
	uint64_t seed;
};
/* Read what is held, then dial and serve. Before or in the loop's run.
 * ERR_IO, ERR_CORRUPT, ERR_BUSY: the store; @why. */
WARN_UNUSED enum err peers_start(struct peers *p, const struct peers_options *o,
				 struct buf *why);
/* Say BYE, close all links, wait for what is under way; then @done. */
void peers_stop(struct peers *p, loop_cb *done, void *arg);

/* writer_event_cb, on the writer's thread: @arg is struct peers. */
void peers_on_commit(void *arg, const struct writer_event *e);

/* Listen there instead. On failure what was stays. As listener_open. */
WARN_UNUSED enum err peers_listen(struct peers *p, struct slice endpoint,
				  struct buf *why);
const char *peers_address(const struct peers *p); /* "" when not listening */
/* Use another identity for new links. */
void peers_set_tls(struct peers *p, struct tls_config *tls);

/* Questions to others. @cb is called exactly once, later or at once.
 * Errors as node_ask. */
typedef void peers_answer_cb(void *arg, enum err code, struct slice answer);
void peers_ask(struct peers *p, struct slice member, struct slice question,
	       peers_answer_cb *cb, void *arg);
/* Answer all that is asked, and will be, with ERR_SHUTDOWN. */
void peers_ask_no_more(struct peers *p);
/* Forget the question of this @arg: its callback is not called any more. */
void peers_ask_cancel(struct peers *p, const void *arg);

/* Dial @member at the next opportunity. */
void peers_dial_now(struct peers *p, struct slice member);
/* Append the names of partners that have not told their head of the own log,
 * separated by ", ". */
void peers_awaited(const struct peers *p, struct buf *out);

/* Any thread: how many others have countersigned the own log up to @size? */
uint32_t peers_cosigned(struct peers *p, uint64_t size);
/* Any thread: wait until that may have changed, at most @ms. */
void peers_wait_cosigned(struct peers *p, uint32_t ms);

/* For status.c: the newest trouble with a member or a log. */
struct peer_trouble {
	enum peer_step step;
	enum err code; /* ERR_OK: none */
	bool theirs;
	uint64_t at_ms; /* Unix */
	char address[DIAL_TEXT_BYTES];
	char text[192];
};
/* One for each key, or host without a key, and code; PEERS_REFUSED of them,
 * the oldest gives way. */
struct peer_refusal {
	char address[DIAL_TEXT_BYTES];
	bool has_key;
	struct digest key; /* SPKI that it showed */
	enum err code;
	char text[192];
	uint64_t at_ms; /* Unix, the last time */
	uint32_t count;
};
struct mesh *peers_mesh(const struct peers *p); /* borrowed */
const struct peer_trouble *peers_trouble(const struct peers *p,
					 uint32_t member);
const char *peers_link_address(const struct peers *p, uint64_t link);
uint32_t peers_refusals(const struct peers *p,
			const struct peer_refusal **list);
/* The loop's clock told in Unix milliseconds; 0 stays 0. */
uint64_t peers_unix_ms(const struct peers *p, uint64_t mesh_ms);
uint64_t peers_mesh_now(const struct peers *p); /* the loop's clock */
/* Since when are records known of log @log (mesh index) that are not here?
 * Unix ms, 0: nothing is needed. */
uint64_t peers_lag_since(const struct peers *p, uint32_t log);

#endif /* NODE_PEER_H */
