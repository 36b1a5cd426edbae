/* All links and all logs of one node: who gets what from whom.
 *
 * Pure: events are calls with the time inside, outputs are values taken out
 * with mesh_next. Decides dialling, duplicates, sources, announcements, acks,
 * documents, forks and when the own log may be signed. Not responsible for
 * sockets, TLS, storing, folding chunks, or the meaning of questions.
 * PROTOCOL.md section 10.
 *
 * Driver's loop: after every call take all outputs with mesh_next, at the
 * latest before the memory of a frame handed in is used again; arm one timer
 * with mesh_deadline. Answers may be given while outputs are being taken.
 *
 * Names: a link is a number that is never used again (MESH_NO_LINK: none)
 * and carries the driver's own pointer @tag; a log is an index that stays the
 * same while the mesh lives, and so is a member. */

#ifndef PROTO_MESH_H
#define PROTO_MESH_H

#include "replica.h"
#include "session.h"

#define MESH_NO_LINK UINT64_MAX
#define MESH_DIAL_MIN_MS 1000u /* first pause before dialling again */
#define MESH_DIAL_MAX_MS 60000u
#define MESH_RELAY_MS 1000u /* a relay announces no sooner */
#define MESH_OWN_HEAD_MS 10000u /* wait for partners' heads of the own log */
#define MESH_REQUEST_MS 10000u /* for DOC and BODIES that were asked for */
#define MESH_ASK_MS 30000u /* for the answer to a question */

struct mesh;

struct mesh_options {
	struct slice member; /* own name; copied */
	struct slice origin; /* of the own log; copied */
	uint8_t incarnation[INCARNATION_BYTES];
	uint64_t seed; /* for jitter only */
	bool trusted; /* guard, store and vault agree, or new keys:
				 * see writer_is_trusted */
	bool sign_alone; /* the operator decides about silence */
	uint32_t ping_ms; /* 0: SESSION_PING_MS; dead after three */
	uint32_t wait_ms; /* 0: MESH_OWN_HEAD_MS */
};

/* Give: mesh_close. No link is opened or accepted before mesh_set_members. */
struct mesh *mesh_open(const struct mesh_options *o, uint64_t now_ms);
void mesh_close(struct mesh *m); /* NULL is fine */

/* Who is in the alliance now. Everything in @v is borrowed until the next
 * call or mesh_close. Links of removed members are closed at once. */
struct mesh_members {
	const struct roster *roster;
	struct digest alliance; /* id: hash of roster version 1 */
	const struct descriptor *cards; /* newest of each, sorted by member */
	uint32_t card_count;
};
void mesh_set_members(struct mesh *m, uint64_t now_ms,
		      const struct mesh_members *v);

/* What the driver durably holds of a log. Told for every log at the start
 * (after mesh_set_members), and after each commit that mesh_applied does not
 * tell; a countersignature of another's log goes to its owner. */
struct mesh_held {
	struct slice origin;
	uint64_t size; /* records held */
	struct slice note; /* newest complete checkpoint with verified
				 * cosignatures; empty: none yet */
	struct slice cosignature; /* own new line on that head, or empty */
	bool frozen;
};
/* ERR_NOT_FOUND: no member has such a log; otherwise as note_parse. */
WARN_UNUSED enum err mesh_set_held(struct mesh *m, uint64_t now_ms,
				   const struct mesh_held *h);
/* Stored evidence, told again at the start: every link gets it. The same
 * errors as replica_judge. */
WARN_UNUSED enum err mesh_set_fork(struct mesh *m, uint64_t now_ms,
				   const struct message_fork *f);

/* Links. */
struct mesh_link_up {
	void *tag; /* the driver's; comes back in outputs */
	struct slice member; /* whom TLS proved (by pin); copied */
	bool dialled; /* by us */
};
/* A link is up and authenticated; HELLO goes out. Returns its number. Links
 * of members that may not connect are closed with an output. MESH_NO_LINK:
 * LIMIT_LINKS are there already or no members are known; close it. */
uint64_t mesh_link_open(struct mesh *m, uint64_t now_ms,
			const struct mesh_link_up *l);
/* A frame without its length; borrowed until the outputs are taken. */
void mesh_link_frame(struct mesh *m, uint64_t now_ms, uint64_t link,
		     struct slice frame);
/* Largest frame to accept on it now (frame_split). */
uint32_t mesh_link_frame_max(const struct mesh *m, uint64_t link);
/* The bytes could not be split into frames: closes the link. */
void mesh_link_bad(struct mesh *m, uint64_t now_ms, uint64_t link,
		   enum err err);
/* Its queue to the network is above LIMIT_OUT_HIGH_BYTES, or again below
 * LIMIT_OUT_LOW_BYTES: nothing is read for it meanwhile. */
void mesh_link_congested(struct mesh *m, uint64_t now_ms, uint64_t link,
			 bool congested);
/* The transport is gone (@why for status). No MESH_OUT_CLOSE follows. */
void mesh_link_lost(struct mesh *m, uint64_t now_ms, uint64_t link,
		    enum err why);
/* MESH_OUT_DIAL came to nothing: refused, no TLS, wrong pin ... @by_peer:
 * they refused. Otherwise mesh_link_open answers it. */
void mesh_dial_failed(struct mesh *m, uint64_t now_ms, uint32_t member,
		      enum err why, bool by_peer);
/* Someone without a link was refused before there was one (wrong pin, no
 * certificate ...): kept for status. */
void mesh_refused(struct mesh *m, uint64_t now_ms, struct slice member,
		  enum err why);
/* Dial at the next opportunity, whatever the pause (peer test). */
void mesh_dial_now(struct mesh *m, uint64_t now_ms, uint32_t member);
/* Say BYE(ERR_SHUTDOWN) on all links; none is opened any more. */
void mesh_shutdown(struct mesh *m, uint64_t now_ms);

/* Time. */
uint64_t mesh_deadline(const struct mesh *m); /* UINT64_MAX: none */
void mesh_tick(struct mesh *m, uint64_t now_ms);

/* Outputs, in the fixed order: store, send, dial, close. */
enum mesh_out_type {
	MESH_OUT_APPLY, /* verify and store a chunk: mesh_applied */
	MESH_OUT_READ, /* read records for a peer: mesh_read_done */
	MESH_OUT_CHECK, /* compare a head with the own tree:
				 * mesh_checked */
	MESH_OUT_NOTE, /* a note of a head that is held completely, checked
			 * against the own tree, with verified cosignatures:
			 * store it unless a larger head is noted already */
	MESH_OUT_ACKED, /* a member holds a log durably */
	MESH_OUT_FORK, /* evidence: store it, freeze the log */
	MESH_OUT_READ_BODIES, /* mesh_bodies_done */
	MESH_OUT_BODIES, /* answer to mesh_want_bodies: store them */
	MESH_OUT_READ_DOC, /* mesh_doc_done */
	MESH_OUT_DOC, /* a newer document: check, install, then
				 * mesh_set_members, then mesh_doc_checked */
	MESH_OUT_ASK, /* a question: mesh_answer */
	MESH_OUT_ANSWER, /* to mesh_ask */
	MESH_OUT_SIGNING, /* may the own log be signed? */
	MESH_OUT_SEND, /* bytes for a link */
	MESH_OUT_LIVE, /* a link's HELLO was accepted */
	MESH_OUT_DIAL, /* connect to a member */
	MESH_OUT_CLOSE, /* send what is queued, then close; the link's
				 * number is gone already */
};

enum mesh_signing {
	MESH_SIGNING_WAITING, /* for partners' heads of the own log */
	MESH_SIGNING_ALLOWED,
	MESH_SIGNING_RECOVERING, /* only partners can tell what was signed */
};

/* Slices and pointers live until the next call of mesh_next; those of APPLY
 * until mesh_applied, those of CHECK until mesh_checked. */
struct mesh_out {
	enum mesh_out_type type;
	uint64_t link; /* MESH_NO_LINK where none is concerned */
	void *tag; /* of the link */
	uint32_t member; /* of the link, or whom to dial, or the signer
				 * of an ack */
	uint32_t log; /* APPLY READ CHECK NOTE ACKED FORK *BODIES */
	struct slice origin; /* of the log */
	uint64_t id; /* to be handed back with the answer */
	union {
		struct { /* notes have been verified */
			const struct message_chunk *chunk;
			struct slice note; /* to store: verified lines only */
			struct head head; /* what it states */
		} apply;
		struct { /* encode one CHUNK of [from, ...): as many
			  * records as fit in @bytes of entries (one always
			  * does) and lie below head.size, under @note */
			uint64_t job, from;
			uint32_t bytes;
			struct head head;
			struct slice note;
			struct slice reader; /* member who will get it */
		} read;
		struct {
			struct head head;
			struct slice note; /* signed by the log's key */
		} check;
		struct slice note;
		struct {
			uint64_t size;
			bool cosigned; /* with a cosignature that verifies */
		} acked;
		const struct message_fork *fork;
		struct {
			const struct message_want_bodies *want;
			struct slice reader;
		} read_bodies;
		const struct message_bodies *bodies;
		const struct message_want_doc *read_doc;
		const struct message_doc *doc;
		struct {
			struct slice question;
			struct slice asker; /* member */
		} ask;
		struct {
			enum err code;
			struct slice answer;
		} answer;
		struct {
			enum mesh_signing state;
			uint32_t answered, partners;
		} signing;
		struct slice send;
		struct {
			struct slice member; /* name */
		} dial;
		struct {
			enum err why;
			bool by_peer;
		} close;
	};
};
/* The next output, or false: none left. */
bool mesh_next(struct mesh *m, struct mesh_out *out);

/* Answers to outputs. Late ones for links that are gone are harmless. */

/* A chunk was applied and is durable (@result ERR_OK, @held tells the new
 * state), or not: ERR_INVALID, ERR_MALFORMED, ERR_DENIED charge the source;
 * ERR_BAD_STATE (not at this place) does not; others are the own trouble and the
 * log pauses. Successes of one log come in the order of the outputs; a refusal
 * may overtake them. */
void mesh_applied(struct mesh *m, uint64_t now_ms, uint32_t log, uint64_t id,
		  enum err result, const struct mesh_held *held);
/* The CHUNK for MESH_OUT_READ has been encoded, with the job number given
 * there: records up to @to, @bytes of entries. Returns whether the driver
 * must now queue that frame on the link; false: nobody wants it any more.
 * @result not ERR_OK: could not be read. */
WARN_UNUSED bool mesh_read_done(struct mesh *m, uint64_t now_ms, uint64_t link,
				uint64_t id, enum err result, uint64_t to,
				uint32_t bytes);
/* Give MESH_OUT_NOTE of this log again. */
void mesh_tell_note(struct mesh *m, uint32_t log);
/* ERR_OK: the head belongs to the own tree; ERR_FORK: it does not, a second
 * look at the own data said the same, @f proves it; others: cannot tell. */
void mesh_checked(struct mesh *m, uint64_t now_ms, uint32_t log, uint64_t id,
		  enum err result, const struct message_fork *f);
/* Send the answer to MESH_OUT_READ_BODIES: bodies up to LIMIT_CHUNK_BYTES in
 * all, at least one; the rest is left out and will be asked for again. */
void mesh_bodies_done(struct mesh *m, uint64_t now_ms, uint64_t link,
		      const struct message_bodies *b);
/* Send the answer to MESH_OUT_READ_DOC; NULL: not held. */
void mesh_doc_done(struct mesh *m, uint64_t now_ms, uint64_t link,
		   const struct message_doc *d);
/* What became of MESH_OUT_DOC; not ERR_OK charges the sender. */
void mesh_doc_checked(struct mesh *m, uint64_t now_ms, uint64_t link,
		      uint64_t id, enum err result);
void mesh_answer(struct mesh *m, uint64_t now_ms, uint64_t link, uint64_t id,
		 enum err code, struct slice answer);

/* Requests of the driver. */

/* Ask a member's node; MESH_OUT_ANSWER brings @id back exactly once, also
 * when the link ends (ERR_CLOSED) or MESH_ASK_MS have passed (ERR_TIMEOUT; a
 * later answer is dropped). ERR_CLOSED: there is no live link;
 * ERR_BUSY: LIMIT_ASKS_LINK are in flight; ERR_LIMIT: too long. */
WARN_UNUSED enum err mesh_ask(struct mesh *m, uint64_t now_ms, uint32_t member,
			      uint64_t id, struct slice question);
/* Bodies that this node may hold and its source did not have: ask the next
 * peer that holds the log. @seqs ascending. ERR_BUSY: the last request for
 * this log is not answered; ERR_CLOSED: nobody to ask; ERR_LIMIT. */
WARN_UNUSED enum err mesh_want_bodies(struct mesh *m, uint64_t now_ms,
				      uint32_t log, const uint64_t *seqs,
				      uint32_t count);

/* State, for status and tests; slices live until the next event. */
struct mesh_peer_info {
	struct slice name;
	enum member_state state;
	bool self;
	bool live; /* a peer link is up */
	bool dialled; /* by us */
	bool dialling;
	uint64_t link; /* MESH_NO_LINK */
	uint64_t since_ms; /* live or not live since then */
	uint64_t heard_ms; /* last frame; 0: never */
	uint64_t next_dial_ms; /* UINT64_MAX: not planned */
	enum err refused; /* last refusal, ERR_OK: none */
	bool refused_by_peer; /* they refused, else we did */
	uint64_t refused_ms;
	uint64_t roster_version; /* as it told last */
	uint32_t bad_chunks; /* that did not fold, since the start */
};
uint32_t mesh_member_count(const struct mesh *m);
void mesh_peer_info(const struct mesh *m, uint32_t member,
		    struct mesh_peer_info *out);
/* UINT32_MAX: no such member. */
uint32_t mesh_find_member(const struct mesh *m, struct slice name);

struct mesh_log_info {
	struct slice origin;
	uint32_t owner; /* member */
	uint64_t size; /* durable here */
	uint64_t told; /* largest size that anyone has proved */
	uint64_t heard_ms; /* when the owner last confirmed that we hold
				 * everything; 0: not since the start */
	uint32_t source; /* member that serves it, UINT32_MAX: nobody */
	bool frozen;
};
uint32_t mesh_log_count(const struct mesh *m);
void mesh_log_info(const struct mesh *m, uint32_t log,
		   struct mesh_log_info *out);
uint32_t mesh_find_log(const struct mesh *m, struct slice origin);
enum mesh_signing mesh_signing(const struct mesh *m);

#endif /* PROTO_MESH_H */
