/* Membership documents: roster, descriptor, alliance file.
 *
 * Parsing, formatting, and the rules by which a new version is accepted.
 * Keeping them is the caller's business. PROTOCOL.md section 8. */

#ifndef PROTO_ROSTER_H
#define PROTO_ROSTER_H

#include "note.h"

enum member_state { MEMBER_ACTIVE, MEMBER_LEARNER, MEMBER_REMOVED };

struct roster_member {
	struct slice name;      /* domain */
	enum member_state state;
	struct note_key governance;
	struct head final;      /* removed: accepted up to here */
};

struct roster {
	struct slice alliance;  /* its name, for people */
	uint64_t version;       /* from 1 */
	struct digest prev;     /* hash of the previous text; zero in 1 */
	uint32_t threshold;     /* signatures that a successor needs */
	uint32_t member_count;
	struct roster_member *members; /* sorted by name, in the arena */
	struct digest hash;     /* SHA-256 of the text; of version 1: the
				 * alliance's id */
	struct note note;
};

struct descriptor_log {
	struct slice origin;    /* dtu.dk/symbolon/1 */
	struct note_key key;
	uint64_t from;          /* valid for heads of size >= from */
	uint64_t to;            /* and <= to; UINT64_MAX: open */
};

struct descriptor {
	struct slice member;
	struct slice name;      /* for people, one language */
	struct slice country;   /* ISO 3166-1 alpha-2 */
	struct slice contact;   /* mailbox, may be empty */
	uint64_t version;
	struct digest prev;
	uint32_t log_count, pin_count, endpoint_count;
	struct descriptor_log *logs;
	struct note_key witness;
	struct digest pins[LIMIT_TLS_PINS];  /* SPKI SHA-256 */
	struct slice endpoints[LIMIT_ENDPOINTS]; /* HOST:PORT */
	struct note_key governance;
	struct digest hash;     /* of the text */
	struct note note;
};

/* Text of the document, to be signed with note_sign. */
void roster_put(const struct roster *r, struct buf *out);
void descriptor_put(const struct descriptor *d, struct buf *out);
/* Parse a signed note; form only, no signature is checked. ERR_MALFORMED
 * with *why naming the line's fault; ERR_LIMIT; ERR_WEAK_KEY. */
WARN_UNUSED enum err roster_parse(struct slice note, struct arena *a,
				  struct roster *out, const char **why);
WARN_UNUSED enum err descriptor_parse(struct slice note, struct arena *a,
				      struct descriptor *out,
				      const char **why);

const struct roster_member *roster_find(const struct roster *r,
					struct slice member);
/* Does @note's signature set hold this member's governance signature? */
bool roster_is_signed_by(const struct roster *r,
			 const struct roster_member *m);
/* Version 1: every active member has signed. ERR_DENIED: who has not is
 * appended to @missing (may be NULL), separated by blanks. */
WARN_UNUSED enum err roster_check_first(const struct roster *r,
					struct buf *missing);
/* @next may follow @now: version + 1, hash of @now, one change of membership
 * or threshold, signed by the threshold of both (active members only).
 * ERR_CONFLICT: version or hash; ERR_MALFORMED: more than one change or a
 * threshold out of range; ERR_DENIED: signatures are missing; *why says. */
WARN_UNUSED enum err roster_check_next(const struct roster *now,
				       const struct roster *next,
				       const char **why);
/* Largest n such that two sets of n overlap in a majority: 2n/3 + 1. */
uint32_t roster_default_threshold(uint32_t active);

/* @d is signed by the governance key that @r names for its member, and, if
 * @now is not NULL, follows it: higher version, prev, closed key ranges and
 * origins unchanged. ERR_DENIED, ERR_INVALID, ERR_CONFLICT; *why. */
WARN_UNUSED enum err descriptor_check(const struct descriptor *d,
				      const struct roster *r,
				      const struct descriptor *now,
				      const char **why);
/* The key that may sign a head of this size of this log, or NULL. */
const struct note_key *descriptor_log_key(const struct descriptor *d,
					  struct slice origin, uint64_t size);
bool descriptor_has_pin(const struct descriptor *d, const struct digest *spki);

/* Alliance file: a line "symbolon-alliance v1", then each document as
 * "roster BYTES\n" or "card BYTES\n" and its signed note. */
struct bundle {
	struct slice roster;    /* signed note */
	uint32_t card_count;
	struct slice *cards;    /* in the arena */
};
void bundle_put(const struct bundle *b, struct buf *out);
WARN_UNUSED enum err bundle_parse(struct slice file, struct arena *a,
				  struct bundle *out, const char **why);

#endif /* PROTO_ROSTER_H */
