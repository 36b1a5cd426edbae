/* Offers that credentials name: is there such a one in the own log?
 *
 * Answers are remembered for one reading of one file: a file names few
 * offers many times. */

#ifndef NODE_IMPORT_OFFERS_H
#define NODE_IMPORT_OFFERS_H

#include "node/import_hash.h"
#include "node/import_own.h"

#define IMPORT_OFFERS_SLOTS 16384u /* a later offer may take a slot over */

struct import_offers {
	struct import_key key; /* of the hashes */
	uint64_t *slots; /* owned; hash and answer; NULL until first used */
};

void import_offers_free(struct import_offers *o);
/* Forget the answers; hash with @key from now on. */
void import_offers_use(struct import_offers *o, const struct import_key *key);
/* Does the own log have the offer that the credential @body names, in the
 * version that it names, if any? *known is also true when it is another
 * member's. Between own_begin and own_end; @own->body is used. Errors of the
 * store. */
WARN_UNUSED enum err import_offers_know(struct import_offers *o,
					struct own *own, struct slice body,
					bool *known);

#endif /* NODE_IMPORT_OFFERS_H */
