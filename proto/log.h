/* One log's identity and heads: who signs them, when one may cosign.
 *
 * Verifies notes against the keys of a member's descriptor and makes the
 * own ones. The tree is merkle.h's business. PROTOCOL.md 2.1, 6.3 to 6.5. */

#ifndef PROTO_LOG_H
#define PROTO_LOG_H

#include "note.h"
#include "roster.h"

/* "dtu.dk/symbolon/1" from a member and a generation. */
void log_origin_put(struct slice member, uint64_t generation, struct buf *out);
/* ERR_MALFORMED: not a domain, "/symbolon/" and a number from 1. *member
 * borrows from @origin. */
WARN_UNUSED enum err log_origin_parse(struct slice origin, struct slice *member,
				      uint64_t *generation);

/* A head that was checked: note parsed, origin as expected, signed by the
 * key that @d names for this size. ERR_MALFORMED, ERR_CONFLICT: another
 * origin; ERR_DENIED: no key for this size; ERR_INVALID: signature. */
WARN_UNUSED enum err log_verify_head(struct slice raw_note,
				     const struct descriptor *d,
				     struct slice origin, struct arena *a,
				     struct note *note, struct head *head);
/* Append the signed checkpoint of @head (no cosignatures). */
void log_sign_head(struct slice origin, const struct head *head,
		   const struct note_key *key,
		   const uint8_t secret[SIG_SECRET_BYTES], struct buf *out);
/* Append this witness's cosignature line on the checkpoint; the text is
 * made anew from @origin and @head, never copied from what was received. */
void log_cosign(struct slice origin, const struct head *head,
		const struct note_key *witness,
		const uint8_t secret[SIG_SECRET_BYTES], uint64_t unix_seconds,
		struct buf *out);

/* When one may cosign: at most once in 100 ms and again, unchanged, after
 * 10 minutes; never a smaller size, never another root for one size. After
 * the clock was set back the pauses count as over. PROTOCOL.md 6.5. */
struct cosign_state {
	struct head head; /* last cosigned */
	uint64_t at_ms; /* Unix ms, 0: never */
};
bool log_may_cosign(const struct cosign_state *last, const struct head *head,
		    uint64_t now_ms);

#endif /* PROTO_LOG_H */
