/* One record of a file into one body, or the complaint why not; and what the
 * own log has under its id.
 *
 * A struct import_maker belongs to one thread. PROTOCOL.md section 11. */

#ifndef NODE_IMPORT_ROW_H
#define NODE_IMPORT_ROW_H

#include "node/import_hash.h"
#include "node/import_own.h"
#include "node/import_source.h"

/* What all threads of one import share; does not change during a pass. */
struct import_plan {
	const struct home *home;
	const struct schema *schema;
	enum import_format format;
	uint8_t separator; /* CSV */
	size_t columns; /* CSV: cells of a row */
	const struct row_plan *row; /* CSV */
	const struct row_plan *subject; /* CSV credentials: the learner's */
	int credential_column; /* CSV statuses */
	char today[16]; /* YYYY-MM-DD */
	uint64_t audience; /* of new records */
	bool audience_given; /* on the command line: differing ones change */
	bool undone; /* some import of credentials was undone once */
	bool writing; /* second reading: nothing is compared */
	struct import_key key; /* of hashes that are not stored */
};

enum import_state {
	IMPORT_NEW,
	IMPORT_CHANGED,
	IMPORT_UNCHANGED,
	IMPORT_REJECTED,
};

struct import_made {
	enum import_state state;
	bool letters; /* holds valid UTF-8 beyond ASCII */
	const struct complaint *why; /* IMPORT_REJECTED */
	struct slice body; /* in the arena that import_make was given */
	uint64_t audience;
	struct slice id; /* in the body; of a status its digits */
	/* Only for comparing (import_plan.writing is false): */
	uint8_t hash[STORE_HASH_BYTES]; /* of the id, as in by_id */
	uint64_t content_hash; /* of all that the row says */
	/* Credentials only. The body's learner number and the learner body's
	 * number are still zeros: import_set_number. */
	struct slice learner; /* body */
	struct slice learner_id; /* in it */
	uint8_t *number_in_body; /* 32 digits each */
	uint8_t *number_in_learner;
	struct import_key person; /* hash of the learner's id */
	struct import_key content; /* of the learner body with zeros */
	bool known; /* the learner is in the store: */
	struct import_key number;
	struct import_key stored; /* content of the stored learner body */
	uint64_t reinstate; /* position + 1 of an unchanged credential whose
			     * import was undone; 0: none */
};

struct import_maker {
	const struct import_plan *plan;
	struct own own;
	struct {
		uint64_t begun; /* own.begun when it was looked up; 0: none */
		struct import_key person;
		bool known;
		struct import_key number, stored;
	} last; /* learner: a file often has a learner's rows together */
	struct schema_context x;
	struct arena scratch; /* for one record */
	struct csv csv;
	struct csv_row *cells; /* owned */
	struct buf body;
};

void import_maker_init(struct import_maker *m, const struct home *home);
void import_maker_free(struct import_maker *m);
/* Take up @plan for another file; warnings start from 0. */
void import_maker_use(struct import_maker *m, const struct import_plan *plan);

/* Convert @r; bodies and complaint go to @keep. Sets all but state (which is
 * REJECTED or NEW), known and what follows it. Statuses need own_begin.
 * ERR_LIMIT: @keep is full; else the store's errors. */
WARN_UNUSED enum err import_make(struct import_maker *m,
				 const struct import_record *r,
				 struct arena *keep, struct import_made *out);
/* Find the learner of a made credential: known, number, stored. */
WARN_UNUSED enum err import_find_learner(struct import_maker *m,
					 struct import_made *made);
/* Compare a made record with the store: state, reinstate. Between own_begin
 * and own_end. */
WARN_UNUSED enum err import_match(struct import_maker *m,
				  struct import_made *made);
/* Put @number into both bodies. */
void import_set_number(struct import_made *made,
		       const struct import_key *number);

#endif /* NODE_IMPORT_ROW_H */
