/* What the files of the mesh share: its state and their inner calls.
 *
 * For mesh*.c only; everybody else uses mesh.h. One owner tree: the mesh owns
 * members, links and logs; a link names its member, a log its source link,
 * by number. */

#ifndef PROTO_MESH_STATE_H
#define PROTO_MESH_STATE_H

#include "mesh.h"

#define MESH_JOBS_MAX 32u /* that we run on one link; it serves more */
#define MESH_CHUNK_FIRST_BYTES (128u << 10) /* first chunk of a job */
#define MESH_ANNOUNCE_MS 50u /* own log: at most one in this time */
#define MESH_HEADS_BYTES (512u << 10) /* begin another HEADS frame */
#define MESH_STRIKES_MAX 32u /* things that do not verify, on one link */

static_assert(MESH_JOBS_MAX < LIMIT_JOBS_LINK, "we are no burden");
static_assert(MESH_CHUNK_FIRST_BYTES >= LIMIT_ENTRY_BYTES,
	      "one record always fits");

/* One log as seen on one link. */
struct view {
	uint64_t told; /* largest size it proved to hold completely */
	uint64_t has; /* the same, or less surely: acks, wants */
	/* As a source. */
	uint64_t retry_ms; /* not before, after failures */
	uint32_t fails;
	/* As a reader. */
	uint64_t job; /* that we serve, 0: none */
	uint64_t next; /* place of the next record to send */
	uint64_t credit; /* bytes that we may send */
	uint32_t chunk; /* bytes of the next chunk, doubling */
	/* Announcements. */
	uint64_t sent_version; /* of the note that was sent last */
	uint64_t sent_ms;
	uint64_t announce_ms; /* next one due, UINT64_MAX: none */
	bool ack_due; /* kept back while congested */
};

struct ask_slot {
	uint64_t wire; /* id on the link, 0: free */
	uint64_t id; /* the driver's */
	uint64_t late_ms; /* not answered by then: free again */
};

struct mesh_link {
	uint64_t id;
	void *tag;
	uint32_t member;
	bool dialled; /* by us */
	bool closing; /* MESH_OUT_CLOSE is queued */
	bool sending; /* in the list of links with output */
	bool congested;
	bool docs_due; /* our documents have changed */
	bool unsound; /* a fault about our own log in its heads so far */
	struct session session;
	struct buf out; /* frames for the next MESH_OUT_SEND */
	struct view *views; /* one for each log */
	uint64_t *cards; /* version that it holds, for each member */
	uint64_t roster; /* the same */
	uint64_t announce_ms; /* earliest of the views' */
	/* Serving. */
	uint32_t serving; /* views with a job */
	uint32_t turn; /* log to be served next */
	uint64_t read_id; /* read under way, 0: none */
	uint32_t read_log;
	uint64_t read_job;
	uint64_t read_version; /* of the note that it is read under */
	bool bodies_busy; /* bodies are being read for it */
	bool doc_busy; /* a document is */
	/* A document that we asked for. */
	uint64_t doc_id; /* 0: none */
	uint64_t doc_ms; /* when */
	enum doc_kind doc_kind;
	uint32_t doc_member;
	uint64_t doc_version; /* 0: the newest */
	/* Questions. */
	uint32_t strikes; /* things it sent that do not verify */
	uint32_t asks_in; /* that it waits for */
	uint64_t ask_next; /* wire id of the next one of ours */
	uint64_t late_ms; /* no slot is late before; UINT64_MAX: none used */
	struct ask_slot asks[LIMIT_ASKS_LINK];
};

/* A member of the roster. */
struct mesh_peer {
	char name[LIMIT_DOMAIN_BYTES + 1];
	enum member_state state;
	bool self;
	const struct descriptor *card; /* NULL: not known */
	struct mesh_link *link; /* live peer link or NULL */
	bool dialling; /* MESH_OUT_DIAL is not answered */
	uint64_t dial_ms; /* next attempt */
	uint32_t pause_ms; /* before the one after that */
	uint64_t since_ms, heard_ms;
	enum err refused;
	bool refused_by_peer;
	uint64_t refused_ms;
	uint64_t roster_version;
	uint32_t bad_chunks;
	bool answered; /* has told its head of our own log */
	uint64_t partial; /* it holds so much, not a complete head; 0: no */
};

/* A log, with what the mesh adds to the replica. */
struct mesh_log {
	struct replica r;
	uint64_t version; /* counts changes of the note */
	bool note_due; /* MESH_OUT_NOTE is queued */
	bool forked; /* the evidence in @r was told to everybody */
	struct message_fork fork; /* borrows from r.evidence */
	uint64_t pause_ms; /* no new job before: own trouble */
	uint64_t owner_size, owner_ms; /* what its owner said, and when */
	uint64_t heard_ms; /* when that was last all we needed */
	/* Bodies that we asked for. */
	uint64_t bodies_link; /* MESH_NO_LINK: not asked */
	uint64_t bodies_ms;
	uint32_t bodies_turn; /* member to ask next */
};

struct out_queue {
	struct mesh_out *v;
	uint32_t n, at, cap;
};

struct mesh {
	struct mesh_options o;
	char name[LIMIT_DOMAIN_BYTES + 1];
	char own_origin[LIMIT_ORIGIN_BYTES + 1];
	struct message_hello hello;
	struct mesh_members members; /* borrowed from the driver */
	bool ready; /* members are known */
	bool stopping;
	uint64_t random;
	uint64_t next_id; /* of links, reads, chunks, checks ... */
	uint64_t deadline; /* not later than the next timer */

	uint32_t peer_count;
	struct mesh_peer *peers[LIMIT_MEMBERS];
	uint32_t log_count;
	struct mesh_log *logs[LIMIT_LOGS];
	struct mesh_log *own; /* NULL: not yet known */
	uint32_t link_count;
	struct mesh_link *links[LIMIT_LINKS]; /* NULL: free */
	uint64_t held_bytes; /* of all logs */

	struct out_queue store, dial, close;
	uint32_t send_count, send_at;
	uint64_t sending[2 * LIMIT_LINKS]; /* links with output */
	struct buf sent; /* what the last MESH_OUT_SEND lends */

	enum mesh_signing signing;
	bool signing_told;
	uint64_t signing_ms; /* when waiting ends */

	struct arena arena; /* of the frame in hand */
	struct arena scratch; /* of one note, reset before each use */
	struct message message; /* the frame in hand */
};

/* mesh.c: links and outputs. */
struct mesh_link *mesh_find_link(const struct mesh *m, uint64_t id);
bool mesh_link_is_up(const struct mesh_link *k); /* live, and a peer */
struct mesh_out *mesh_push(struct mesh *m, struct out_queue *q,
			   enum mesh_out_type type, const struct mesh_link *k);
void mesh_send(struct mesh *m, struct mesh_link *k, const struct message *msg);
void mesh_close_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		     enum err why);
/* Keep a refusal by us for status. */
void mesh_note_refusal(struct mesh *m, uint64_t now_ms, uint32_t member,
		       enum err why, bool by_peer);
/* Something that does not verify came on @k. Checking costs, so that a link
 * on which it happens too often is closed; check k->closing afterwards. */
void mesh_strike(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		 enum err why);
void mesh_arm(struct mesh *m, uint64_t at_ms);
uint64_t mesh_new_id(struct mesh *m);
struct arena *mesh_scratch(struct mesh *m); /* emptied */
uint32_t mesh_random(struct mesh *m);
static inline struct slice mesh_peer_name(const struct mesh_peer *p)
{
	return slice_str(p->name);
}

/* mesh_log.c: getting logs. */
void mesh_log_add(struct mesh *m, struct slice origin, uint32_t owner);
struct replica_keys mesh_keys(const struct mesh *m, const struct mesh_log *l);
void mesh_on_heads(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		   const struct message_heads *h);
void mesh_on_chunk(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		   const struct message_chunk *c, struct slice frame);
void mesh_on_size(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  uint64_t size); /* PING, PONG */
void mesh_leave_source(struct mesh *m, uint64_t now_ms, struct mesh_link *k);
void mesh_pump_logs(struct mesh *m, uint64_t now_ms);
void mesh_logs_tick(struct mesh *m, uint64_t now_ms);
uint64_t mesh_logs_deadline(const struct mesh *m, uint64_t now_ms);

/* End a job on both sides. */
void mesh_cancel_job(struct mesh *m, struct mesh_log *l);
/* Have the note of the newest complete head stored. */
void mesh_queue_note(struct mesh *m, uint32_t log);

/* mesh_sign.c: whether the own log may be signed. */
void mesh_judge_signing(struct mesh *m, uint64_t now_ms);

/* mesh_fork.c: two histories of one log. */
void mesh_on_fork(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  const struct message_fork *f);
void mesh_send_forks(struct mesh *m, struct mesh_link *k);

/* mesh_serve.c: giving logs, announcing, acknowledging. */
void mesh_on_want(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  const struct message_want *w);
void mesh_on_ack(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		 const struct message_ack *a);
void mesh_serve(struct mesh *m, struct mesh_link *k);
void mesh_send_full(struct mesh *m, uint64_t now_ms, struct mesh_link *k);
/* Tell everybody who may want to know that the note has changed. */
void mesh_note_changed(struct mesh *m, uint64_t now_ms, uint32_t log,
		       bool grown);
void mesh_announce_log(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       uint32_t log);
void mesh_announce_due(struct mesh *m, uint64_t now_ms, struct mesh_link *k);
void mesh_ack(struct mesh *m, struct mesh_link *k, uint32_t log,
	      struct slice cosignature);
void mesh_resume_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k);

/* mesh_ask.c: documents, bodies, questions. */
void mesh_on_want_bodies(struct mesh *m, struct mesh_link *k,
			 const struct message_want_bodies *w);
void mesh_on_bodies(struct mesh *m, struct mesh_link *k,
		    const struct message_bodies *b);
void mesh_on_want_doc(struct mesh *m, struct mesh_link *k,
		      const struct message_want_doc *w);
void mesh_on_doc(struct mesh *m, struct mesh_link *k,
		 const struct message_doc *d);
void mesh_on_doc_heads(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       const struct message_heads *h);
void mesh_on_ask(struct mesh *m, struct mesh_link *k,
		 const struct message_ask *a);
void mesh_on_answer(struct mesh *m, struct mesh_link *k, uint64_t id,
		    enum err code, struct slice answer);
void mesh_on_err(struct mesh *m, struct mesh_link *k,
		 const struct message_err *e);
void mesh_drop_asks(struct mesh *m, struct mesh_link *k);
void mesh_pump_docs(struct mesh *m, uint64_t now_ms, struct mesh_link *k);
void mesh_asks_tick(struct mesh *m, uint64_t now_ms);
uint64_t mesh_asks_deadline(const struct mesh *m);
/* Append a complete list of the own documents to HEADS. */
uint32_t mesh_list_docs(struct mesh *m, struct message_doc_head *out);

/* mesh_dial.c: members, dialling, duplicates. */
void mesh_dial_tick(struct mesh *m, uint64_t now_ms);
uint64_t mesh_dial_deadline(const struct mesh *m);
void mesh_dial_later(struct mesh *m, uint64_t now_ms, struct mesh_peer *p);
/* A peer link became live: settles duplicates. Returns whether it stays. */
bool mesh_enter_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k);

#endif /* PROTO_MESH_STATE_H */
