/* A fast keyed hash for comparing within one run of an import: SipHash-1-3
 * with 128 bits (Aumasson and Bernstein). Never stored: what goes to disk is
 * hashed by index.h. */

#ifndef NODE_IMPORT_HASH_H
#define NODE_IMPORT_HASH_H

#include "proto/bytes.h"

/* A hash, a hash's key, or a learner's number. */
struct import_key {
	uint8_t b[16];
};

struct import_key import_hash(const struct import_key *key, struct slice s);

#endif /* NODE_IMPORT_HASH_H */
