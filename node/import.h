/* Import: files of records into the own log.
 *
 * Two readings: the first checks every row, compares it with the store and
 * finds contradictions within the file; only when the limits are kept does
 * the second append what is new or changed, in batches that are whole or not
 * there. PROTOCOL.md section 11. */

#ifndef NODE_IMPORT_H
#define NODE_IMPORT_H

#include "node/cmd.h"
#include "node/import_source.h"
#include "proto/schema.h"

/* --max-changed counts from this many changed rows on. */
#define IMPORT_CHANGED_FREE 10u
#define IMPORT_CHANGED_PERCENT 20u
#define IMPORT_WAIT_SECONDS 60u

struct import_options {
	const struct schema *schema;
	enum import_format format; /* IMPORT_UNKNOWN: by the name's end */
	bool check; /* change nothing */
	bool audience_given;
	uint64_t audience; /* AUDIENCE_* */
	uint64_t max_rejects; /* UINT64_MAX: no limit */
	uint32_t max_changed; /* per cent of the file's good rows */
	uint32_t wait; /* partners that must countersign */
	uint32_t wait_seconds;
};

/* Import one file and tell the result. Returns enum exit_code. */
int import_file(struct cmd *c, const struct import_options *o,
		const char *path);

/* Undo import @number: what it changed gets its earlier content again, what
 * it added is withdrawn; what was changed since stays, unless it is again as
 * the import left it (a later import was undone). @check: only count.
 * EXIT_PARTLY: something stays. */
int import_undo(struct cmd *c, uint64_t number, bool check);

#endif /* NODE_IMPORT_H */
