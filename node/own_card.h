/* Does the own card say what the configuration and the keys say?
 *
 * A member signs its own descriptor, so that moving a node or changing its
 * TLS key needs no vote: a new version is signed at the start, if the
 * governance key is in place, and travels to the partners by itself.
 * PROTOCOL.md 8.2, 8.4. */

#ifndef NODE_OWN_CARD_H
#define NODE_OWN_CARD_H

#include "node/home.h"

/* Sign and keep version 1, for a home that `init` has just made. Errors of the
 * writer; @why. */
WARN_UNUSED enum err own_card_make(const struct home *h, struct buf *why);
/* Compare, and sign and keep a new version when something differs. ERR_OK: it
 * fits now (*changed tells whether a new one was signed); ERR_DENIED: it
 * differs and the governance key is not here; ERR_NOT_FOUND: there is no card
 * to compare with; else the writer's errors. @why: what differs. */
WARN_UNUSED enum err own_card_check(const struct home *h, bool *changed,
				    struct buf *why);

#endif /* NODE_OWN_CARD_H */
