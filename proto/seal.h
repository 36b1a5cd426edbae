/* Sealing of bodies at rest and between entitled peers: AES-256-GCM.
 *
 * The key comes from the record's own salt and is used once, therefore the
 * nonce is 12 zero bytes: key = HMAC-SHA-256(salt, "symbolon-rest-v1").
 * Whoever destroys the salt destroys the body. PROTOCOL.md section 4.4. */

#ifndef PROTO_SEAL_H
#define PROTO_SEAL_H

#include "hash.h"
#include "limits.h"

#define SEAL_TAG_BYTES 16 /* sealed = body || tag */

struct sealer; /* one for each thread */

struct sealer *sealer_open(void); /* give */
void sealer_close(struct sealer *s); /* take; NULL is fine */
/* Append the sealed form of @body to @out. ERR_LIMIT: @out is full, or the
 * body is over LIMIT_BODY_BYTES. */
WARN_UNUSED enum err seal_body(struct sealer *s,
			       const uint8_t salt[LIMIT_SALT_BYTES],
			       struct slice body, struct buf *out);
/* Append the body. ERR_INVALID: shorter than a tag, or the tag does not fit
 * this salt, and then @out is as before; ERR_LIMIT as seal_body. */
WARN_UNUSED enum err seal_open_body(struct sealer *s,
				    const uint8_t salt[LIMIT_SALT_BYTES],
				    struct slice sealed, struct buf *out);

#endif /* PROTO_SEAL_H */
