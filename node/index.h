/* Which index entries a record has, and how values are hashed into them.
 *
 * Keyed hash = HMAC-SHA-256(index key, table || 0 || value), cut to 8 bytes;
 * every hit is confirmed in the opened body. Names of kinds and id fields come
 * from the schema. Positions are in decimal digits. PROTOCOL.md 15.4.
 *
 *   by_id       kind name || '/' || the record's id; value in the own log:
 *               keyed digest of the body, 16 bytes
 *   by_ref      what a record speaks of: a status its credential's position
 *               in the same log ("seq/8211"), a decision each credential as
 *               it names it (MEMBER/ID), a rule each rule it replaces
 *               ("supersedes/<id>"), a learner record its number
 *               ("learner/<number>"); plus "kind/<name>" for the rare kinds
 *               that are walked whole (policy, institution)
 *   by_learner  the learner number, of credentials
 *   by_source   rules: each source as from || '/' || folded code */

#ifndef NODE_INDEX_H
#define NODE_INDEX_H

#include "node/store.h"

struct index_keys {
	struct hmac_key key; /* wipe after use */
};

void index_keys_init(struct index_keys *k, const uint8_t secret[32]);
void index_hash(const struct index_keys *k, enum store_index table,
		struct slice value, uint8_t out[STORE_HASH_BYTES]);
/* 16 bytes of HMAC(index key, "body" || 0 || body). */
void index_body_digest(const struct index_keys *k, struct slice body,
		       uint8_t out[16]);

#define INDEX_ENTRIES_MAX 4096 /* of one record; a rule with many codes */

/* One record to be indexed. */
struct index_item {
	uint32_t log;
	uint64_t seq;
	uint32_t kind;
	bool own; /* of the own log: with digest of the body */
	struct slice body; /* canonical (dec_scan) */
};
typedef void index_cb(void *arg, enum store_index table,
		      const struct store_entry *e);
/* All entries of one record. Records of unknown kind or shape have none.
 * @scratch is emptied and used; it needs room for LIMIT_TEXT_BYTES. */
void index_record(const struct index_keys *k, const struct index_item *item,
		  struct buf *scratch, index_cb *cb, void *arg);

#endif /* NODE_INDEX_H */
