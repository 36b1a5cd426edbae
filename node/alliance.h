/* An alliance file in hand: read, judged, signed, extended.
 *
 * What the commands `roster ...` do with a file before anything is kept.
 * Parsing and the rules are proto/roster.h's. PROTOCOL.md 8.3, 8.5. */

#ifndef NODE_ALLIANCE_H
#define NODE_ALLIANCE_H

#include "node/keys.h"
#include "proto/roster.h"

#define ALLIANCE_ARENA_BYTES (128u << 20)

struct alliance {
	struct arena arena; /* holds what is parsed */
	struct slice file; /* as read, borrowed */
	struct bundle bundle;
	struct roster *past; /* bundle.past_count, version 1 first */
	struct roster roster;
	bool is_unsigned; /* nobody has signed; roster.note has one
			   * signature of nobody */
	struct descriptor *cards; /* bundle.card_count */
};

/* Parse and check all that does not depend on the reader: the earlier
 * rosters follow each other, the last one may follow them but for signatures
 * that are still missing, there is one card for each member that is not
 * removed, signed by the governance key that the roster names.
 * ERR_MALFORMED, ERR_INVALID, ERR_CONFLICT, ERR_DENIED, ERR_LIMIT,
 * ERR_UNSUPPORTED; @why. alliance_free in any case. */
WARN_UNUSED enum err alliance_parse(struct alliance *a, struct slice file,
				    struct buf *why);
void alliance_free(struct alliance *a); /* safe on zeroed */

const struct descriptor *alliance_card(const struct alliance *a,
				       struct slice member);
/* Has whoever must sign done so? Else @missing (may be NULL) says who, or
 * how many. */
bool alliance_is_complete(const struct alliance *a, struct buf *missing);
/* Append the file with one more signature. */
void alliance_sign(const struct alliance *a, const struct key_pair *governance,
		   struct buf *out);

/* One card by itself: parsed, signed by its own governance key. @d borrows
 * from @note. */
WARN_UNUSED enum err card_parse(struct slice note, struct arena *a,
				struct descriptor *d, struct buf *why);

/* Append an unsigned alliance file, version 1. @cards were parsed by
 * card_parse; sorted here. @threshold 0: roster_default_threshold. Errors as
 * alliance_parse; ERR_CONFLICT: two cards of one member. */
WARN_UNUSED enum err alliance_found(struct slice name, struct descriptor *cards,
				    uint32_t count, uint32_t threshold,
				    struct buf *out, struct buf *why);
/* Append the unsigned next version of @a, which is complete, with the member
 * of @card added. ERR_EXISTS: it is in already. */
WARN_UNUSED enum err alliance_add(const struct alliance *a,
				  const struct descriptor *card,
				  uint32_t threshold, struct buf *out,
				  struct buf *why);

#endif /* NODE_ALLIANCE_H */
