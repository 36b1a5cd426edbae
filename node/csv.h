/* CSV in: one record at a time out of a stretch of bytes.
 *
 * RFC 4180 as spreadsheets write it: separator comma, semicolon or tab, line
 * ends LF or CRLF, quotes with doubled quotes and line breaks inside; a
 * quote inside an unquoted cell is an ordinary character. Copies only cells
 * that need unquoting. Not responsible for reading files, encodings or what
 * the cells mean. PROTOCOL.md 11.4. */

#ifndef NODE_CSV_H
#define NODE_CSV_H

#include "proto/bytes.h"
#include "proto/limits.h"

/* What is wrong with one record; the next one can be read all the same. */
enum csv_fault {
	CSV_GOOD,
	CSV_TEXT_AFTER_QUOTE, /* "abc"def */
	CSV_TOO_MANY_CELLS, /* more than LIMIT_COLUMNS; the rest is dropped */
	CSV_NUL, /* a zero byte */
};

struct csv {
	uint8_t separator;
	uint64_t line; /* physical line of the next record, from 1 */
	struct buf unquoted; /* owned: the last record's unquoted cells */
};

struct csv_row {
	struct slice raw; /* the record with its line end */
	uint64_t line; /* physical line that it begins in */
	enum csv_fault fault;
	uint32_t count; /* of cells; a blank line has one, empty */
	struct slice cells[LIMIT_COLUMNS]; /* borrow from raw or unquoted */
	uint32_t at[LIMIT_COLUMNS]; /* where in raw each cell begins */
};

void csv_init(struct csv *c, uint8_t separator);
void csv_free(struct csv *c);
/* The separator of a header: whichever of , ; tab stands outside quotes most
 * often; a comma when none does. */
uint8_t csv_separator(struct slice header);

/* Find the record at the start of @in: *bytes is its length with line end,
 * *lines the physical lines that it takes. @end: nothing follows @in.
 * ERR_TRUNCATED: it does not end within @in (with @end: its quotes do not);
 * ERR_NOT_FOUND: @in is empty and nothing follows; ERR_LIMIT: longer than
 * LIMIT_LINE_BYTES. */
WARN_UNUSED enum err csv_measure(uint8_t separator, struct slice in, bool end,
				 size_t *bytes, uint64_t *lines);
/* Cut one record, as measured, into cells. c->line is not touched. The cells
 * live until the next call. */
void csv_cut(struct csv *c, struct slice raw, struct csv_row *out);
/* Measure, cut and count lines. Errors as csv_measure. */
WARN_UNUSED enum err csv_next(struct csv *c, struct slice in, bool end,
			      struct csv_row *out);

/* Append one cell, quoted when it has to be. Cells that a spreadsheet would
 * take for a formula are not changed: the file must import again as it is. */
void csv_put_cell(struct buf *out, uint8_t separator, struct slice cell);

#endif /* NODE_CSV_H */
