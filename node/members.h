/* Who is in the alliance: roster and descriptors as one immutable snapshot.
 *
 * A snapshot is parsed once from the store's documents and shared by all
 * threads by reference count; a cell holds the current one. */

#ifndef NODE_MEMBERS_H
#define NODE_MEMBERS_H

#include "node/store.h"
#include "proto/roster.h"

struct members {
	const struct roster *roster; /* NULL before roster install */
	struct digest alliance; /* id: hash of roster version 1 */
	uint32_t card_count;
	const struct descriptor *cards; /* newest of each, sorted by member */
	struct arena arena; /* holds all of it */
	unsigned refs; /* atomic; members_hold/release */
};

struct members_cell;

/* The card of @member or NULL. */
const struct descriptor *members_card(const struct members *m,
				      struct slice member);
/* How many members' cards have this pin? */
uint32_t members_count_pin(const struct members *m, const struct digest *spki);
/* Whose TLS key is this, among active members and learners? NULL: nobody's.
 * A pin is only a claim: ask members_count_pin whether others make it. */
const struct descriptor *members_by_pin(const struct members *m,
					const struct digest *spki);
bool members_has(const struct members *m, struct slice member);

/* Build from what @t holds; @own_card is used before any roster is
 * installed. Give: members_release. */
WARN_UNUSED enum err members_load(struct store_txn *t, struct members **out,
				  struct buf *why);
struct members *members_hold(struct members_cell *c); /* give */
void members_release(struct members *m); /* take */
struct members_cell *members_cell_open(struct members *first); /* takes */
void members_cell_set(struct members_cell *c, struct members *m); /* takes */
void members_cell_close(struct members_cell *c);

#endif /* NODE_MEMBERS_H */
