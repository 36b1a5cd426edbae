/* The own log as imports and exports see it: records by id and by place.
 *
 * One struct belongs to one thread; it reads one state of the store from
 * own_begin to own_end. */

#ifndef NODE_IMPORT_OWN_H
#define NODE_IMPORT_OWN_H

#include "node/home.h"
#include "proto/schema.h"

struct own {
	const struct home *home; /* borrowed */
	struct store_txn *txn; /* NULL outside of begin and end */
	uint64_t begun; /* counts own_begin: states of the store seen */
	struct sealer *sealer; /* owned */
	struct buf key; /* scratch for index values; owned */
	struct buf body; /* the record opened last; owned */
};

void own_init(struct own *o, const struct home *home);
void own_free(struct own *o);
/* ERR_BUSY, ERR_IO: as store_read. */
WARN_UNUSED enum err own_begin(struct own *o);
void own_end(struct own *o);

/* Keyed hash of an id in by_id. */
void own_hash(struct own *o, const struct schema *s, struct slice id,
	      uint8_t out[STORE_HASH_BYTES]);

/* The newest entry under this hash, which may be another id's. */
struct own_entry {
	uint64_t seq;
	uint8_t digest[16]; /* of the body */
};
/* ERR_NOT_FOUND: there is none; else the store's errors. */
WARN_UNUSED enum err own_newest(struct own *o,
				const uint8_t hash[STORE_HASH_BYTES],
				struct own_entry *out);
/* The first or newest record of this id that is before @before. */
WARN_UNUSED enum err own_search(struct own *o, const struct schema *s,
				struct slice id, bool newest, uint64_t before,
				uint64_t *seq);

/* Open the record at @seq into o->body; *kind and *audience of its leaf.
 * ERR_NOT_FOUND: no such record, or no body (erased, or not restored). */
WARN_UNUSED enum err own_open(struct own *o, uint64_t seq, uint32_t *kind,
			      uint64_t *audience);
/* As own_open, of any log: own_open is of home->own_log. */
WARN_UNUSED enum err own_open_in(struct own *o, uint32_t log, uint64_t seq,
				 uint32_t *kind, uint64_t *audience);
/* The newest learner record with this number (32 digits), opened into
 * o->body. ERR_NOT_FOUND: there is none. */
WARN_UNUSED enum err own_learner(struct own *o, struct slice number);
/* The state and reason of the newest status on the credential whose first
 * record is at @first, "" when there is none. */
WARN_UNUSED enum err own_status(struct own *o, uint64_t first,
				struct slice *state, struct slice *reason);

#endif /* NODE_IMPORT_OWN_H */
