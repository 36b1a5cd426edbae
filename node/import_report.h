/* What the user sees of an import: bad rows, the rejects file, progress.
 *
 * Personal values never come here: complaints hold none. The rejects file is
 * for mending: it holds the original bytes, is 0600 and imports again. It
 * never overwrites an earlier one. */

#ifndef NODE_IMPORT_REPORT_H
#define NODE_IMPORT_REPORT_H

#include "node/import_row.h"

#define IMPORT_SHOWN 20u /* bad rows told one by one */
#define IMPORT_REJECTS_FILES 99u /* of one file, FILE.rejects-99.csv */
#define IMPORT_CODES 64u /* different codes counted */

struct import_report {
	struct cmd *c;
	const struct import_source *source;
	bool keep; /* write a rejects file */
	uint64_t rejected;
	struct {
		const char *code;
		uint64_t count;
	} codes[IMPORT_CODES];
	uint32_t code_count;
	char *rejects; /* path, once there is one; owned */
	int handle; /* of the rejects file, or -1 */
	enum err err; /* of the rejects file */
	struct buf out; /* rejects not yet written; owned */
	struct csv csv; /* for cutting notes off; owned */
	struct csv_row *cells; /* owned */
	bool bar; /* a progress line stands on the terminal */
	uint64_t begun_ms, shown_ms; /* monotonic */
};

void import_report_init(struct import_report *r, struct cmd *c,
			const struct import_source *source, bool keep);
void import_report_free(struct import_report *r);
/* Tell of one bad record and keep it. */
void import_report_row(struct import_report *r, const struct import_record *rec,
		       const struct complaint *why);
/* The file is refused whole: no rejects file. */
void import_report_drop(struct import_report *r);
/* Counts by code when not all were shown, and close the rejects file, so that
 * it is there. ERR_FULL, ERR_IO, ERR_DENIED: it could not be written. */
WARN_UNUSED enum err import_report_end(struct import_report *r);

/* Show how far it is, at most ten times a second and only on a terminal.
 * @total 0: not known. */
void import_report_begin(struct import_report *r);
void import_report_progress(struct import_report *r, const char *what,
			    uint64_t rows, uint64_t total);
void import_report_clear(struct import_report *r); /* take the bar away */

#endif /* NODE_IMPORT_REPORT_H */
