/* Reading what peers ask for: chunks, bodies, documents; comparing heads.
 *
 * Made for the pool's threads: each call is one short read transaction, and
 * takes and gives values only. Whoever may not see a body gets the leaf.
 * PROTOCOL.md 9.6, 10.5, 11. */

#ifndef NODE_SUPPLY_H
#define NODE_SUPPLY_H

#include "node/members.h"
#include "node/vault.h"
#include "proto/message.h"

struct supply {
	struct store *store;
	struct vault *vault;
	struct members_cell *members;
};

struct supply_chunk {
	struct slice origin;
	uint64_t job; /* goes into the frame */
	uint64_t from; /* first record; < head.size */
	uint32_t bytes; /* of entries, <= LIMIT_CHUNK_BYTES; one record
			 * may be larger */
	struct head head; /* to prove them under */
	struct slice note; /* that states it */
	struct slice reader; /* member who will get it */
};
/* Append one CHUNK frame with as many records as fit. *to is the place behind
 * the last, *bytes what their entries take. ERR_NOT_FOUND: no such log or
 * record; ERR_LIMIT: @out is full; ERR_BUSY, ERR_CORRUPT, ERR_IO. */
WARN_UNUSED enum err supply_chunk(const struct supply *s,
				  const struct supply_chunk *c, struct buf *out,
				  uint64_t *to, uint32_t *bytes);

/* The bodies that @reader asked for, as far as they are here and for it, at
 * most LIMIT_CHUNK_BYTES together; all others are absent. Lists and bytes are
 * in @a. Errors as supply_chunk. */
WARN_UNUSED enum err supply_bodies(const struct supply *s,
				   const struct message_want_bodies *w,
				   struct slice reader, struct arena *a,
				   struct message_bodies *out);

/* The next places of @origin from @from on whose body this node (@self) may
 * hold and does not: at most @max into @seqs, after looking at no more than
 * SUPPLY_LOOK records. *next is where to go on, 0: the end was reached.
 * ERR_NOT_FOUND: nothing is missing in this log. */
#define SUPPLY_LOOK 50000u
struct supply_missing {
	struct slice origin, self;
	uint64_t from;
	uint32_t max;
};
WARN_UNUSED enum err supply_missing(const struct supply *s,
				    const struct supply_missing *w,
				    uint64_t *seqs, uint32_t *count,
				    uint64_t *next);

/* The document asked for; its note is in @a, its version as the note says.
 * ERR_NOT_FOUND. */
WARN_UNUSED enum err supply_doc(const struct supply *s,
				const struct message_want_doc *w,
				struct arena *a, struct message_doc *out);

/* Does @head, stated by @note, belong to the tree that is held of @origin?
 * ERR_OK: it does. ERR_FORK: it does not, which was looked at twice, and *f,
 * in @a, proves it. ERR_NOT_FOUND: not so much is held here, or there is no
 * larger signed head to prove it with. */
WARN_UNUSED enum err supply_check(const struct supply *s, struct slice origin,
				  const struct head *head, struct slice note,
				  struct arena *a, struct message_fork *f);

#endif /* NODE_SUPPLY_H */
