/* A file that is imported: its records in order, in batches, twice.
 *
 * Opens files as the user's process sees them (cmd.h); standard input is
 * copied aside first, because it can be read only once. Finds out encoding,
 * separator and header. Knows nothing of what the records say. */

#ifndef NODE_IMPORT_SOURCE_H
#define NODE_IMPORT_SOURCE_H

#include "node/cmd.h"
#include "node/csv.h"
#include "node/import_hash.h"

#define IMPORT_BATCH_RECORDS 4096u
#define IMPORT_BATCH_BYTES (2u << 20) /* or so: at most one line more */

enum import_format {
	IMPORT_CSV,
	IMPORT_NDJSON,
	IMPORT_UNKNOWN,
};

/* One record as it stands in the file. */
struct import_record {
	struct slice raw; /* with its line end; lives with the batch */
	uint64_t line; /* physical, from 1 */
	uint64_t row; /* as a spreadsheet counts: header and blank lines too */
	uint64_t index; /* records before it, without header and blanks */
	bool too_long; /* NDJSON: passed over, raw is empty */
};

struct import_batch {
	struct buf raw; /* owned */
	struct import_record *records; /* owned, IMPORT_BATCH_RECORDS */
	uint32_t count;
};
void import_batch_init(struct import_batch *b);
void import_batch_free(struct import_batch *b);

struct import_source {
	struct cmd *c;
	const char *path;
	const char *dir; /* for what has to be copied aside */
	enum import_format format;
	int handle; /* of cmd_io, or -1 */
	int spool; /* descriptor of the copy, or -1 */
	struct buf window; /* bytes read and not yet taken */
	size_t at; /* first byte of the window not taken */
	bool ended; /* nothing to be read any more */
	uint64_t line, row, index; /* of the next record */
	uint64_t bytes; /* taken so far */
	struct import_key seen; /* of all batches, to compare two readings */
	bool bom; /* it begins with a byte order mark */
	uint8_t separator; /* CSV */
	struct buf header; /* CSV: the header's bytes; owned */
	struct csv names_csv; /* CSV: holds the cut header; owned */
	struct csv_row *names; /* CSV: the header; owned */
};

/* By the name's end: .csv, .ndjson, .jsonl. */
enum import_format import_format_of(const char *path);

/* Open @path ("-": standard input) and read up to the first record. @dir:
 * an existing directory for copies. *why: FILE: what and how to mend it.
 * ERR_MALFORMED: not UTF-8, no header, a zero byte; as cmd_io.open. Call
 * import_source_close in any case. */
WARN_UNUSED enum err import_source_open(struct import_source *s, struct cmd *c,
					const char *path, const char *dir,
					enum import_format format,
					struct buf *why);
/* Begin again at the first record. */
WARN_UNUSED enum err import_source_rewind(struct import_source *s,
					  struct buf *why);
void import_source_close(struct import_source *s);

/* The next records, blank ones left out. ERR_NOT_FOUND: there are no more;
 * ERR_LIMIT: a CSV record longer than LIMIT_LINE_BYTES; ERR_MALFORMED: a quote
 * that is not closed; ERR_IO; *why. */
WARN_UNUSED enum err import_source_next(struct import_source *s,
					struct import_batch *b,
					struct buf *why);

#endif /* NODE_IMPORT_SOURCE_H */
