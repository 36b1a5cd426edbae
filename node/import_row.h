/* One record of a file into one body, or the complaint why not; and what the
 * own log has under its id.
 *
 * A struct import_maker belongs to one thread. PROTOCOL.md section 11. */

#ifndef NODE_IMPORT_ROW_H
#define NODE_IMPORT_ROW_H

#include "node/import_hash.h"
#include "node/import_offers.h"
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
	int learner_column; /* CSV credentials by learner's number, or -1 */
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
	bool no_offer; /* the own log lacks what it names */
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
	struct slice learner; /* body; n 0: its number was given */
	struct slice learner_id; /* in it */
	uint8_t *number_in_body; /* 32 digits each */
	uint8_t *number_in_learner;
	struct import_key person; /* hash of the learner's id */
	struct import_key content; /* of the learner body with zeros */
	bool known; /* the learner is in the store: */
	struct import_key number;
	bool differs; /* known, and what the row says is not in its record */
	uint64_t reinstate; /* position + 1 of an unchanged credential whose
			     * import was undone; 0: none */
};

struct import_maker {
	const struct import_plan *plan;
	struct own own;
	struct {
		uint64_t begun; /* own.begun when it was looked up; 0: none */
		struct import_key person, content;
		bool known, differs;
		struct import_key number;
		struct buf merged; /* when it differs; owned */
	} last; /* learner: a file often has a learner's rows together */
	struct import_offers offers;
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
/* Find the learner of a made credential: known, number, differs. What the row
 * does not say stays as it is in the learner's record: when it differs and
 * the plan is writing, made->learner becomes the record with the row's
 * fields laid over it, in @keep. */
WARN_UNUSED enum err import_find_learner(struct import_maker *m,
					 struct arena *keep,
					 struct import_made *made);
/* Compare a made record with the store: state, reinstate, and its learner.
 * Between own_begin and own_end. */
WARN_UNUSED enum err import_match(struct import_maker *m, struct arena *keep,
				  struct import_made *made);
/* Put @number into both bodies. */
void import_set_number(struct import_made *made,
		       const struct import_key *number);

#endif /* NODE_IMPORT_ROW_H */
