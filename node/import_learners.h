/* Learners met during one import: whose number is whose, without asking the
 * store for each row again. Bounded; full means drain and start anew. */

#ifndef NODE_IMPORT_LEARNERS_H
#define NODE_IMPORT_LEARNERS_H

#include "node/import_row.h"

#define IMPORT_LEARNERS_MAX 131072u /* entries; 48 bytes, twice as many slots */

struct import_learner {
	struct import_key person; /* digest of the id */
	struct import_key number; /* all zero: an empty slot */
	struct import_key content; /* of the first row */
};

struct import_learners {
	struct import_learner *slots; /* owned; NULL until first used */
	uint32_t count;
};

void import_learners_free(struct import_learners *l);
void import_learners_clear(struct import_learners *l);
/* NULL: not there. The pointer is good until the next add. */
struct import_learner *import_learners_find(const struct import_learners *l,
					    const struct import_key *person);
/* Add one that is not there; the caller has checked that there is room. */
struct import_learner *import_learners_add(struct import_learners *l,
					   const struct import_learner *e);

#endif /* NODE_IMPORT_LEARNERS_H */
