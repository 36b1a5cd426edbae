/* Records: leaf, commitment, body, and how they are stored and sent.
 *
 * Not responsible for what a body says: schema.h. PROTOCOL.md section 4. */

#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include "hash.h"
#include "limits.h"
#include "seal.h"

/* Numbers travel in leaves; unknown ones are stored and relayed. */
enum kind {
	KIND_INSTITUTION = 1,
	KIND_OFFER = 2,
	KIND_LEARNER = 3,
	KIND_CREDENTIAL = 4,
	KIND_STATUS = 5,
	KIND_RULE = 6,
	KIND_POLICY = 7,
	KIND_DECISION = 8,
	KIND_PATHWAY = 9,
	KIND_GRADING = 10,
	KIND_ENDORSEMENT = 11,
	KIND_AUDIENCE = 12,
	KIND_GRANT = 13,
	KIND_ERASE = 14,
	KIND_ERASED = 15,
	KIND_EVIDENCE = 16,
};

enum audience {
	AUDIENCE_PUBLIC = 0,
	AUDIENCE_MEMBERS = 1, /* all members of the alliance */
	AUDIENCE_OWN = 2, /* the institution itself */
	AUDIENCE_NAMED = 16, /* + number of the audience record */
};

/* What the log commits to: msgpack [1, kind, audience, commitment]. */
struct leaf {
	uint32_t kind;
	uint64_t audience;
	struct digest commitment;
};

/* Returns the number of bytes put into @out. */
size_t leaf_encode(const struct leaf *l, uint8_t out[LIMIT_LEAF_BYTES]);
/* Accepts exactly what leaf_encode makes; *out is undefined on failure.
 * ERR_MALFORMED, ERR_TRUNCATED, ERR_LIMIT (too long, kind above 2^32 - 1);
 * ERR_UNSUPPORTED: canonical, but the version is not 1 (such a leaf is stored
 * and relayed and has no meaning here). PROTOCOL.md 4.1. */
WARN_UNUSED enum err leaf_decode(struct slice s, struct leaf *out);

/* HMAC-SHA-256(salt, "symbolon-record-v1" || 0 || origin_hash || body). */
struct digest record_commit(const uint8_t salt[LIMIT_SALT_BYTES],
			    const struct digest *origin_hash,
			    struct slice body);

/* What a holder keeps and a peer sends of one record. */
struct record {
	struct slice leaf; /* encoded, never empty */
	struct slice salt; /* LIMIT_SALT_BYTES, or empty: no body here */
	struct slice body; /* as kept: sealed unless public; or empty */
};

/* Who may hold the body: levels 0 to 2; named audiences are nobody's until
 * their record is known. @own: the asker is the origin's member itself. */
bool audience_admits(uint64_t audience, bool is_member, bool own);

/* Open and check one record of the log whose origin hashes to @origin_hash:
 * append its plain body to @out, or leave @out's bytes as they were. @sealer
 * may be NULL for public ones.
 * ERR_NOT_FOUND: no salt or no body here; ERR_INVALID: it does not match the
 * leaf's commitment (or the seal); ERR_LIMIT: body too large or @out full;
 * ERR_BAD_STATE: sealed, and there is no sealer; else as leaf_decode. */
WARN_UNUSED enum err record_open(const struct record *r,
				 const struct digest *origin_hash,
				 struct sealer *sealer, struct buf *out);
/* As record_open, without recomputing the commitment: for what this node
 * verified before it stored it. */
WARN_UNUSED enum err record_open_stored(const struct record *r,
					struct sealer *sealer, struct buf *out);

#endif /* PROTO_RECORD_H */
