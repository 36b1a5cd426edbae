/* What the files of the peers share; nobody else includes this.
 *
 * peer.c starts, stops and executes outputs; peer_link.c accepts, dials and
 * judges keys; peer_store.c hands chunks, notes and documents to the writer
 * and takes its events; peer_read.c reads for others on the pool. */

#ifndef NODE_PEER_IMPL_H
#define NODE_PEER_IMPL_H

#include <pthread.h>

#include "node/desk.h"
#include "node/peer.h"
#include "node/supply.h"

#define PEERS_CHORES_MS 1000u /* looks for what is due */
#define PEERS_MINUTE_MS 60000u
#define PEERS_HEARD_MS 100u /* between two looks at what was heard */
#define PEERS_COSIGN_MS 600000u /* an idle log is cosigned again */
#define PEERS_COSIGN_AGAIN_MS 120u /* after one that came too soon */
#define PEERS_ROOM_MS 5u /* the writer's queue is full: look again */
#define PEERS_STOP_MS 3000u /* then links are cut */
/* Parts of a head are gathered for one transaction, at most so long. */
#define PEERS_GATHER_BYTES (12u << 20)
#define PEERS_GATHER_MS 500u

struct dial;

/* One link, from accept or dial to its end. */
struct peer_link {
	struct peers *p;
	struct peer_link *next, **at; /* in peers.links */
	struct link *link;
	struct dial *dial; /* NULL: accepted, or settled */
	uint64_t id; /* the mesh's, MESH_NO_LINK: not there */
	uint32_t member; /* UINT32_MAX: not known yet */
	bool unnamed; /* several cards pin its key: HELLO tells which */
	bool fresh; /* counts among those not trusted yet */
	bool live;
	bool peer; /* it is the member's link, not a client's */
	bool congested; /* the mesh was told */
	struct digest key; /* SPKI of the other side, once it is in the mesh */
};

/* A log, by the mesh's index. */
struct peer_log {
	bool told; /* the mesh knows what is held */
	uint32_t store; /* its number in the store */
	uint64_t size; /* told last */
	bool note_busy; /* its note is on the way to the writer ... */
	bool note_again; /* ... and has changed since */
	bool cosign_due; /* a head was completed too soon to sign */
	uint64_t heard_ms; /* saved, in the mesh's time */
	uint64_t lag_since_ms; /* Unix; 0: nothing is needed */
	uint64_t lag_size; /* size when that was looked at */
	uint64_t seek_at; /* where to look for missing bodies next */
};

struct apply;
struct errand;
struct question;

struct peers {
	struct loop *loop;
	const struct home *home;
	struct supply supply;
	struct tls_config *tls; /* held */
	struct desk *desk; /* owned */
	struct listener *listener; /* owned */
	struct members *members; /* held; the mesh borrows from it */
	struct mesh *mesh; /* owned */
	bool sign_alone;
	bool running; /* outputs are being executed */

	struct peer_link *links;
	uint32_t link_count, fresh_count;
	uint32_t dialling; /* struct dial in existence */
	struct peer_trouble *trouble[LIMIT_MEMBERS]; /* owned; NULL: none */
	uint32_t refused_count;
	struct peer_refusal refused[PEERS_REFUSED];

	struct peer_log logs[LIMIT_LOGS];
	struct errand *waiting, **waiting_last; /* for room in the writer */
	size_t gathered; /* bytes that wait only for more */
	uint64_t gather_ms; /* at most until then */
	uint32_t jobs; /* at the writer, not posted back */

	struct question *questions;
	uint64_t next_question;

	struct loop_timer *timer; /* the mesh's deadline */
	struct loop_timer *chores;
	struct loop_timer *room; /* set while waiting is not empty */
	uint64_t minute_ms, cosign_ms, heard_ms; /* next ones */
	bool heard_late; /* something was heard since; told at heard_ms */
	bool cosign_armed; /* chores come soon for it */
	bool seeking, seek_again; /* missing bodies; another round then */
	uint32_t seek_log; /* whose turn it is */
	uint64_t seek_ms; /* a round is due then, 0: none */
	bool silent; /* asks nobody any more */
	bool stopping, stopped;
	uint64_t stop_ms; /* links are cut then */
	loop_cb *on_stopped;
	void *on_stopped_arg;

	/* The writer's thread: accepted chunks whose commit is not told. */
	struct apply *applied, **applied_last;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t acked;
	uint64_t cosigned[LIMIT_MEMBERS]; /* own log, by member */
};

/* peer.c */
void peers_run(struct peers *p); /* execute all outputs, arm the timer */
uint64_t peers_now(const struct peers *p);
void peers_check_stopped(struct peers *p);
void peers_set_members(struct peers *p); /* as they are now */
/* A head was completed too soon after the last countersignature. */
void peers_cosign_soon(struct peers *p, uint32_t log);

/* peer_link.c */
void peer_dial(struct peers *p, uint32_t member, struct slice name);
void peer_links_cut(struct peers *p);
/* The members have changed: end the links of keys that are pinned no more. */
void peer_links_recheck(struct peers *p);
void peer_forget_trouble(struct peers *p, uint32_t member);
void peer_send(struct peer_link *l, struct slice frames);
void peer_shut(struct peer_link *l, enum err why, bool by_peer);
void peer_live(struct peer_link *l);
void peer_on_connection(void *arg, struct listener *from);

/* peer_store.c */
void peer_apply(struct peers *p, const struct mesh_out *out);
void peer_pump(struct peers *p); /* give the writer what waits */
void peer_drop_waiting(struct peers *p);
void peer_keep_note(struct peers *p, const struct mesh_out *out);
void peer_keep_fork(struct peers *p, const struct mesh_out *out);
void peer_keep_bodies(struct peers *p, const struct mesh_out *out);
void peer_install(struct peers *p, const struct mesh_out *out);
void peer_cosign_log(struct peers *p, uint32_t log);
void peer_save_heard(struct peers *p, uint32_t log, uint64_t unix_ms);
/* What the store holds of all logs and evidence not told yet. */
WARN_UNUSED enum err peer_tell_held(struct peers *p);

/* peer_read.c */
void peer_read(struct peers *p, const struct mesh_out *out);
void peer_check(struct peers *p, const struct mesh_out *out);
void peer_read_bodies(struct peers *p, const struct mesh_out *out);
void peer_read_doc(struct peers *p, const struct mesh_out *out);
/* Look for missing bodies of all logs, and ask for them. */
void peer_seek(struct peers *p);

#endif /* NODE_PEER_IMPL_H */
