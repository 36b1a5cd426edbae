/* Which index entries a record has, and how values are hashed into them.
 *
 * Keyed hash = HMAC-SHA-256(index key, table || 0 || value), cut to 8 bytes;
 * every hit is confirmed in the opened body. PROTOCOL.md 15.4.
 *
 *   by_id       kind name || '/' || the record's id; value: keyed digest of
 *               the body, 16 bytes
 *   by_ref      what a record speaks of: a status its credential's position
 *               in the same log ("seq/8211"), a decision each credential as
 *               MEMBER/ID; plus "kind/<name>" for the rare kinds that are
 *               walked whole (policy, institution)
 *   by_learner  the learner number, of credentials
 *   by_source   rules: each source as from || '/' || folded code */

#ifndef NODE_INDEX_H
#define NODE_INDEX_H

#include "node/store.h"

struct index_keys {
	struct hmac_key key;    /* wipe after use */
};

void index_keys_init(struct index_keys *k, const uint8_t secret[32]);
void index_hash(const struct index_keys *k, enum store_index table,
		struct slice value, uint8_t out[STORE_HASH_BYTES]);
/* 16 bytes of HMAC(index key, "body" || 0 || body). */
void index_body_digest(const struct index_keys *k, struct slice body,
		       uint8_t out[16]);

#define INDEX_ENTRIES_MAX 4096 /* of one record; a rule with many codes */
typedef void index_cb(void *arg, enum store_index table,
		      const struct store_entry *e);
/* All entries of one record (seq is set); the body is canonical. Records of
 * unknown kind or shape have none. */
void index_record(const struct index_keys *k, uint32_t log, uint64_t seq,
		  uint32_t kind, struct slice body, index_cb *cb, void *arg);

#endif /* NODE_INDEX_H */
