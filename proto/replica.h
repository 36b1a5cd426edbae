/* One log as far as this node has verified it, and where more comes from.
 *
 * Decides which source serves the log, how much credit it has, which chunks
 * are acceptable in form, and which heads still have to be compared with the
 * own tree. Verifies notes; folding and storing chunks is the driver's
 * business (it has the frontier). PROTOCOL.md 10.4 to 10.8.
 *
 * Invariants: durable <= received; durable never shrinks; there is a job only
 * when there is a source; held chunks are contiguous from durable to
 * received; granted <= REPLICA_WINDOW_MAX_BYTES; granted + held bytes <=
 * REPLICA_HELD_MAX_BYTES. */

#ifndef PROTO_REPLICA_H
#define PROTO_REPLICA_H

#include "log.h"
#include "message.h"

#define REPLICA_NO_LINK UINT64_MAX
#define REPLICA_WINDOW_MIN_BYTES (256u << 10) /* granted to any job */
#define REPLICA_WINDOW_MAX_BYTES (4u << 20) /* granted to a busy one */
/* Granted and held: what waits is stored in one transaction, and the larger
 * that is, the fewer pages are written twice. */
#define REPLICA_HELD_MAX_BYTES (LIMIT_HELD_BYTES / 2)
#define REPLICA_STALL_MS 3000u /* no progress: another source */
#define REPLICA_RECENT 16u /* complete heads remembered ... */
#define REPLICA_RECENT_OWN 1024u /* ... of the own log: acks come late */

/* A chunk that was received and not yet applied. */
struct held_chunk {
	struct held_chunk *next;
	uint64_t id; /* names it in mesh_applied */
	uint64_t link; /* where it came from */
	struct buf frame; /* owned copy; @chunk borrows from it */
	struct message_chunk chunk;
	struct buf note; /* verified lines only */
	struct head head; /* what it states */
};

/* An older head that the driver compares with the own tree. */
struct head_check {
	uint64_t id; /* 0: free slot */
	struct head head;
	struct buf note; /* verified lines */
};

struct replica {
	char origin[LIMIT_ORIGIN_BYTES + 1]; /* NUL-terminated */
	uint32_t owner; /* member index in the mesh */
	bool own; /* this node's own log */
	bool frozen; /* forked: nothing more is accepted */
	uint64_t final; /* removed member: not beyond; UINT64_MAX */

	uint64_t durable; /* records held, as the driver reported */
	struct head head; /* newest complete one, size 0: none yet */
	struct buf note; /* its note; empty: none yet */
	struct head *recent; /* ring of complete heads, owned */
	uint32_t recent_count, recent_next, recent_max;
	struct buf seen_raw; /* last foreign note as received ... */
	struct buf seen_clean; /* ... and its verified lines */
	struct head seen_head;
	uint64_t told; /* largest verified size that anyone told */

	uint64_t source; /* link that serves us, or REPLICA_NO_LINK */
	uint64_t job; /* number of the running job */
	uint64_t target; /* largest size that the source has told */
	uint64_t received; /* durable + what is held */
	uint64_t granted; /* credit that the source still has, bytes */
	uint64_t progress_ms; /* last chunk, or begin of the job */

	struct held_chunk *held, *held_last; /* oldest first */
	uint32_t held_count;
	uint64_t held_bytes; /* of entries */
	bool draining; /* an apply failed: wait for the rest */

	struct head_check checks[LIMIT_CHECKS_LOG];
	struct buf evidence; /* FORK frame, once there is a fork */
};

void replica_init(struct replica *r, struct slice origin, uint32_t owner,
		  bool own);
void replica_free(struct replica *r);
struct slice replica_origin(const struct replica *r);

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
 * ERR_MALFORMED, ERR_LIMIT; ERR_CONFLICT: another origin; ERR_DENIED: no key
 * for this size; ERR_INVALID: a line does not verify. */
WARN_UNUSED enum err replica_check_note(struct replica *r, struct slice raw,
					const struct replica_keys *keys,
					struct arena *a, struct head *head,
					struct slice *clean);
/* Bring the cosignatures of a checked note of the head held into the own
 * note, the newer of each witness. Returns whether the note has changed. */
bool replica_merge_note(struct replica *r, struct slice clean, struct arena *a);
/* Check one cosignature line on a head that is remembered and, if it is the
 * newest, merge it (*changed). ERR_NOT_FOUND: the head of @size is not
 * remembered; ERR_INVALID, ERR_MALFORMED: not a line of @witness. */
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
/* Keep a head to compare under @id. Returns NULL when the same one waits
 * already or LIMIT_CHECKS_LOG do. */
struct head_check *replica_add_check(struct replica *r, const struct head *h,
				     struct slice clean, uint64_t id);
struct head_check *replica_find_check(struct replica *r, uint64_t id);
void replica_end_check(struct head_check *c);
/* @h, stated by @clean, was found to belong to the own tree: remember it and,
 * when it is newer than the newest complete head, take it as that. Returns
 * whether it did. */
bool replica_adopt(struct replica *r, const struct head *h, struct slice clean);
/* The driver's report; an empty note or one of a smaller head changes only
 * the size. Errors as note_parse and checkpoint_parse; asserts that nothing
 * shrinks. */
WARN_UNUSED enum err replica_set_held(struct replica *r, uint64_t durable,
				      struct slice note, struct arena *a);

/* Is there a source that has more than was received? */
bool replica_is_busy(const struct replica *r);
/* Begin a job with @link, which has told @target; fills @want (origin
 * borrowed from @r). @credit_max: what the link can still take. Returns
 * false, with nothing changed, when that is too little. */
bool replica_start(struct replica *r, uint64_t link, uint64_t job,
		   uint64_t target, uint64_t now_ms, uint64_t credit_max,
		   struct message_want *want);
/* Grant more before the source runs out. Returns false when nothing is to
 * be sent; *starved: because @credit_max was too small. */
bool replica_top_up(struct replica *r, uint64_t credit_max,
		    struct message_want *want, bool *starved);
/* Forget the source; held chunks stay until the driver has answered. */
void replica_stop(struct replica *r);
/* When the source counts as stalled; UINT64_MAX: it owes nothing. */
uint64_t replica_deadline(const struct replica *r);

/* May this chunk be kept? Job, place and credit; no signature.
 * ERR_NOT_FOUND: of an old job, drop it; ERR_LIMIT: more than was granted;
 * ERR_CONFLICT: not at the place expected; ERR_BUSY: too much is held, drop
 * it and begin anew later. */
WARN_UNUSED enum err replica_admit(const struct replica *r, uint64_t link,
				   const struct message_chunk *c);
/* Keep a copy of @frame, from which @c borrows; returns it (borrowed). */
const struct held_chunk *replica_hold(struct replica *r, struct slice frame,
				      const struct message_chunk *c,
				      const struct head *head,
				      struct slice clean, uint64_t id,
				      uint64_t now_ms);
/* The held chunk @id, or NULL. */
const struct held_chunk *replica_find_held(const struct replica *r,
					   uint64_t id);
/* Drop the held chunk @id; false: there is none. @ok: it was applied;
 * otherwise nothing behind it will be, and no job begins before the driver
 * has answered all that are held. */
bool replica_release(struct replica *r, uint64_t id, bool ok);

/* Is @f proof that the log has two histories? ERR_FORK: yes; ERR_OK: no,
 * both heads are of one history; otherwise it proves nothing. */
WARN_UNUSED enum err replica_judge(const struct message_fork *f,
				   const struct descriptor *owner,
				   struct arena *a);

#endif /* PROTO_REPLICA_H */
