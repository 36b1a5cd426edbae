/* SHA-256 in the shapes that the protocol uses.
 *
 * Pure; the only file with sig.c and seal.c that knows libcrypto.
 * PROTOCOL.md section 4 (record), 5 (tree). */

#ifndef PROTO_HASH_H
#define PROTO_HASH_H

#include "bytes.h"

#define DIGEST_BYTES 32

struct digest {
	uint8_t b[DIGEST_BYTES];
};

struct digest hash_bytes(struct slice s); /* SHA-256(s) */
struct digest hash_leaf(struct slice leaf); /* SHA-256(0x00 || leaf) */
/* SHA-256(0x01 || left || right), RFC 6962 2.1. */
struct digest hash_node(const struct digest *left, const struct digest *right);
struct digest hash_empty(void); /* SHA-256("") */
bool digest_equal(const struct digest *a, const struct digest *b);
struct slice digest_slice(const struct digest *d);

/* HMAC-SHA-256 over the parts one after the other. @n parts. */
struct digest hash_hmac(struct slice key, const struct slice *parts, size_t n);

/* An HMAC key whose two inner states were computed once: for many short
 * messages under one key. Holds key material: wipe after use. */
struct hmac_key {
	uint32_t inner[8]; /* SHA-256 state after key ^ ipad */
	uint32_t outer[8]; /* SHA-256 state after key ^ opad */
};
void hmac_key_init(struct hmac_key *k, struct slice key);
struct digest hmac_key_hash(const struct hmac_key *k, const struct slice *parts,
			    size_t n);

#endif /* PROTO_HASH_H */
