/* Membership documents: roster, descriptor, alliance file.
 *
 * Parsing, formatting, and the rules by which a new version is accepted.
 * Keeping them is the caller's business. PROTOCOL.md section 8. */

#ifndef PROTO_ROSTER_H
#define PROTO_ROSTER_H

#include "note.h"

enum member_state { MEMBER_ACTIVE, MEMBER_LEARNER, MEMBER_REMOVED };

struct roster_member {
	struct slice name; /* domain */
	enum member_state state;
	struct note_key governance;
	struct head final; /* removed: accepted up to here */
};

struct roster {
	struct slice alliance; /* its name, for people */
	uint64_t version; /* from 1 */
	struct digest prev; /* hash of the previous text; zero in 1 */
	uint32_t threshold; /* signatures that a successor needs */
	uint32_t member_count;
	struct roster_member *members; /* sorted by name, in the arena */
	struct digest hash; /* SHA-256 of the text; of version 1: the
				 * alliance's id */
	struct note note;
};

struct descriptor_log {
	struct slice origin; /* dtu.dk/symbolon/1 */
	struct note_key key;
	uint64_t from; /* valid for heads of size >= from */
	uint64_t to; /* and <= to; UINT64_MAX: open */
};

struct descriptor {
	struct slice member;
	struct slice name; /* for people, one language */
	struct slice country; /* ISO 3166-1 alpha-2 */
	struct slice contact; /* mailbox, may be empty */
	uint64_t version;
	struct digest prev;
	uint32_t log_count, pin_count, endpoint_count;
	struct descriptor_log *logs;
	struct note_key witness;
	struct digest pins[LIMIT_TLS_PINS]; /* SPKI SHA-256 */
	struct slice endpoints[LIMIT_ENDPOINTS]; /* HOST:PORT */
	struct note_key governance;
	struct digest hash; /* of the text */
	struct note note;
};

/* Text of the document, to be signed with note_sign. */
void roster_put(const struct roster *r, struct buf *out);
void descriptor_put(const struct descriptor *d, struct buf *out);
/* Parse a signed note; form only, no signature is checked. Strings borrow
 * from @note, lists are in the arena. *why names the fault, "" if there is
 * none. ERR_MALFORMED: a line's fault, writing it again gives other bytes, a
 * threshold that is no majority of the active members, one key in two places;
 * ERR_LIMIT; ERR_WEAK_KEY; ERR_UNSUPPORTED: a newer form. PROTOCOL.md 8.1,
 * 8.2. */
WARN_UNUSED enum err roster_parse(struct slice note, struct arena *a,
				  struct roster *out, const char **why);
WARN_UNUSED enum err descriptor_parse(struct slice note, struct arena *a,
				      struct descriptor *out, const char **why);

const struct roster_member *roster_find(const struct roster *r,
					struct slice member);
/* Does @note's signature set hold this member's governance signature? */
bool roster_is_signed_by(const struct roster *r, const struct roster_member *m);
/* Version 1: every active member has signed. ERR_DENIED: who has not (or not
 * well) is appended to @missing (may be NULL), separated by blanks;
 * ERR_CONFLICT: not version 1. */
WARN_UNUSED enum err roster_check_first(const struct roster *r,
					struct buf *missing);
/* Active members of @voters who signed @note. *err is ERR_INVALID when a
 * signature of one of them does not verify, else ERR_OK. */
uint32_t roster_count_votes(const struct roster *voters,
			    const struct note *note, enum err *err);
/* @next may follow @now: version + 1, hash of @now, the same alliance, at
 * most one member's line changed or new (the threshold may change with it),
 * signed by the threshold of both (active members only). ERR_CONFLICT:
 * version or hash; ERR_MALFORMED: more than one change, a line that is gone;
 * ERR_DENIED: signatures are missing; ERR_INVALID: a signature is bad; *why
 * says. PROTOCOL.md 8.3. */
WARN_UNUSED enum err roster_check_next(const struct roster *now,
				       const struct roster *next,
				       const char **why);
/* 2n/3 + 1: two sets of so many have a third of the members in common. */
uint32_t roster_default_threshold(uint32_t active);

/* @d is signed by the governance key that @r names for its member, and, if
 * @now (what is held) is not NULL, follows it: higher version, prev when it is
 * the next one, closed key ranges and origins unchanged, not removed.
 * ERR_DENIED: not a member, not its key, not signed, removed; ERR_INVALID: the
 * signature is bad; ERR_CONFLICT: does not follow @now; ERR_EXISTS: it is
 * @now; *why says. PROTOCOL.md 8.4. */
WARN_UNUSED enum err descriptor_check(const struct descriptor *d,
				      const struct roster *r,
				      const struct descriptor *now,
				      const char **why);
/* The key that may sign a head of this size of this log, or NULL. */
const struct note_key *descriptor_log_key(const struct descriptor *d,
					  struct slice origin, uint64_t size);
bool descriptor_has_pin(const struct descriptor *d, const struct digest *spki);

/* Alliance file: a line "symbolon-alliance v1", then for each earlier roster,
 * version 1 first, "past BYTES\n" and its signed note, then "roster BYTES\n"
 * and its signed note (its bare text while nobody has signed it), then for
 * each card "card BYTES\n" and its signed note. What is in them is not looked
 * at. ERR_MALFORMED, ERR_TRUNCATED, ERR_LIMIT, ERR_UNSUPPORTED; *why.
 * PROTOCOL.md 8.5. */
struct bundle {
	uint32_t past_count; /* whom a new member needs to follow @roster */
	struct slice *past; /* in the arena */
	struct slice roster;
	uint32_t card_count;
	struct slice *cards; /* in the arena */
};
void bundle_put(const struct bundle *b, struct buf *out);
WARN_UNUSED enum err bundle_parse(struct slice file, struct arena *a,
				  struct bundle *out, const char **why);

#endif /* PROTO_ROSTER_H */
