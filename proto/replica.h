/* One log as far as this node has verified it, and where more comes from.
 *
 * Decides which source serves the log, how much credit it has, which chunks
 * are acceptable in form, and which heads still have to be compared with the
 * own tree. Verifies notes; folding and storing chunks is the driver's
 * business (it has the frontier). PROTOCOL.md 10.4 to 10.8.
 *
 * Invariants: durable <= received; durable never shrinks; there is a job only
 * when there is a source; held chunks are contiguous from durable to
 * received; granted + held bytes <= window. */

#ifndef PROTO_REPLICA_H
#define PROTO_REPLICA_H

#include "log.h"
#include "message.h"

#define REPLICA_NO_LINK UINT32_MAX
#define REPLICA_WINDOW_MIN_BYTES (256u << 10) /* granted to any job */
#define REPLICA_WINDOW_MAX_BYTES (4u << 20) /* granted to a busy one */
#define REPLICA_STALL_MS 3000u /* no progress: another source */
#define REPLICA_RECENT 64u /* own heads remembered, by size and root */

/* A chunk that was received and not yet applied. */
struct held_chunk {
	struct held_chunk *next;
	uint64_t id; /* names it in mesh_applied */
	uint32_t link; /* where it came from */
	struct buf frame; /* owned copy; @chunk borrows from it */
	struct message_chunk chunk;
	struct slice note; /* verified lines only; in the frame or owned */
	struct buf note_buf;
};

/* An older head that the driver compares with the own tree. */
struct head_check {
	uint64_t id; /* 0: free slot */
	uint32_t link; /* who told it */
	struct head head;
	struct buf note; /* text and the log's own signature line */
};

struct replica {
	char origin[LIMIT_ORIGIN_BYTES + 1]; /* NUL-terminated */
	uint32_t owner; /* member index in the mesh */
	bool own; /* this node's own log */
	bool frozen; /* forked: nothing more is accepted */
	uint64_t final; /* removed member: not beyond; UINT64_MAX */

	uint64_t durable; /* records held, as the driver reported */
	struct head head; /* newest complete one */
	struct buf note; /* its note; empty: none yet */
	struct head recent[REPLICA_RECENT]; /* ring of complete heads */
	uint32_t recent_next;
	struct buf seen_raw; /* last foreign note as received ... */
	struct buf seen_clean; /* ... and its verified lines */
	struct head seen_head;

	uint32_t source; /* link that serves us, or REPLICA_NO_LINK */
	uint64_t job; /* number of the running job */
	uint64_t target; /* largest size that the source has told */
	uint64_t received; /* durable + what is held */
	uint64_t granted; /* credit that the source still has, bytes */
	uint64_t window; /* granted + held bytes stay below */
	uint64_t progress_ms; /* last chunk or grant */
	uint64_t pause_ms; /* no new job before (the own disk is full) */

	struct held_chunk *held, **held_tail; /* oldest first */
	uint32_t held_count;
	uint64_t held_bytes;
	bool draining; /* an apply failed: wait for the rest */

	struct head_check checks[LIMIT_CHECKS_LOG];
	struct buf evidence; /* FORK frame, once there is a fork */
	uint64_t heard_ms; /* when the owner last confirmed our size;
				 * 0: not since the start */
	uint64_t told; /* largest verified size that anyone told */
};

void replica_init(struct replica *r, struct slice origin, uint32_t owner);
void replica_free(struct replica *r);

/* The keys that notes are checked with. */
struct replica_keys {
	const struct descriptor *owner; /* of the log */
	const struct descriptor *cards; /* witnesses: every member's */
	uint32_t card_count;
};

/* Check a note of this log: signature of the log, then each cosignature by a
 * known witness; lines of others are dropped. On success *clean (borrowed
 * until the next call on @r) is the note with its verified lines and *head
 * what it states. A note seen last is not verified again.
 * ERR_MALFORMED, ERR_LIMIT, ERR_CONFLICT: another origin; ERR_DENIED: no key
 * for this size; ERR_INVALID: a line does not verify. */
WARN_UNUSED enum err replica_check_note(struct replica *r, struct slice raw,
					const struct replica_keys *keys,
					struct arena *a, struct head *head,
					struct slice *clean);
/* Bring the cosignatures of a checked note of the size held into the own
 * note, the newer of each witness. Returns whether the note has changed. */
bool replica_merge_note(struct replica *r, struct slice clean,
			const struct replica_keys *keys, struct arena *a);
/* Check one cosignature line on a head that is remembered and, if it is the
 * newest, merge it. ERR_NOT_FOUND: the head of @size is not remembered;
 * ERR_INVALID, ERR_MALFORMED, ERR_DENIED: not a line of @witness. */
WARN_UNUSED enum err replica_add_cosignature(struct replica *r, uint64_t size,
					     struct slice line,
					     const struct note_key *witness,
					     struct arena *a, bool *changed);

/* What a head that was told means for us. */
enum head_relation {
	HEAD_KNOWN, /* one of ours */
	HEAD_AHEAD, /* we do not hold so much */
	HEAD_TO_CHECK, /* not beyond ours, never compared */
	HEAD_BEYOND_FINAL, /* of a removed member: not wanted */
};
enum head_relation replica_relate(const struct replica *r,
				  const struct head *h);
/* The driver's report. Asserts that sizes do not shrink. */
void replica_set_held(struct replica *r, uint64_t durable, struct slice note,
		      const struct head *head);

/* Begin or continue with a source; fills @want. @credit_max is what the link
 * can still take. Returns false when nothing is to be sent. */
bool replica_start(struct replica *r, uint32_t link, uint64_t job,
		   uint64_t now_ms, uint64_t credit_max,
		   struct message_want *want);
bool replica_top_up(struct replica *r, uint64_t now_ms, uint64_t credit_max,
		    struct message_want *want);
/* Forget the source; held chunks stay until the driver has answered. */
void replica_stop(struct replica *r);
/* Has the source had credit and something to send for too long? */
bool replica_is_stalled(const struct replica *r, uint64_t now_ms);
uint64_t replica_deadline(const struct replica *r);

/* May this chunk be kept? Form and place only, no signature.
 * ERR_NOT_FOUND: of an old job, drop it; ERR_LIMIT: more than was granted, or
 * more than may be held (drop, start anew later); ERR_CONFLICT: not at the
 * place expected. */
WARN_UNUSED enum err replica_admit(const struct replica *r, uint32_t link,
				   const struct message_chunk *c);
/* Keep a copy of @frame, which decodes as a chunk; give a borrowed pointer. */
struct held_chunk *replica_hold(struct replica *r, uint32_t link,
				struct slice frame, struct slice note,
				uint64_t id, uint64_t now_ms);
/* Drop the oldest held chunk, which must be @id. */
void replica_release(struct replica *r, uint64_t id);

/* Is @f proof that this log has two histories? ERR_FORK: yes; ERR_OK: no,
 * both heads are of one history; otherwise it proves nothing. */
WARN_UNUSED enum err replica_judge(const struct message_fork *f,
				   const struct replica_keys *keys,
				   struct arena *a);

#endif /* PROTO_REPLICA_H */
