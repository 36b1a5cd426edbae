/* CSV files: the first byte is the kind, the first record the header. Cells
 * survive writing and reading; rows that a plan takes are good bodies. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/csv.h"
#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES (32u << 20)

struct file {
	struct csv csv;
	struct csv header_csv; /* holds what the header's cells point into */
	struct csv_row header;
	struct csv_row row;
	struct csv again_csv;
	struct csv_row again;
	struct buf out;
	struct arena arena;
	const struct row_plan *plan; /* NULL: the header was refused */
	const struct schema *schema;
};

/* Whatever was cut is written and cut again the same. */
static void check_cells(struct file *f)
{
	const struct csv_row *r = &f->row;

	if (r->fault != CSV_GOOD)
		return;
	buf_reset(&f->out);
	for (uint32_t i = 0; i < r->count; i++) {
		if (i > 0)
			buf_put_u8(&f->out, f->csv.separator);
		csv_put_cell(&f->out, f->csv.separator, r->cells[i]);
	}
	buf_put_u8(&f->out, '\n');
	if (f->out.err != ERR_OK || f->out.n > LIMIT_LINE_BYTES)
		return;
	assert(csv_next(&f->again_csv, buf_slice(&f->out), true, &f->again) ==
	       ERR_OK);
	assert(f->again.count == r->count);
	for (uint32_t i = 0; i < r->count; i++)
		assert(slice_equal(f->again.cells[i], r->cells[i]));
}

static void check_row(struct file *f)
{
	struct schema_context x = {
		.arena = &f->arena,
		.number = SLICE_LIT("00112233445566778899aabbccddeeff"),
		.comma = f->csv.separator == ';',
	};
	struct complaint c = { .code = NULL };

	if (f->plan == NULL || f->row.count != f->header.count)
		return;
	buf_reset(&f->out);
	if (schema_from_row(f->plan, f->row.cells, &x, &f->out, &c) == ERR_OK)
		assert(schema_check_body(f->schema->kind, buf_slice(&f->out),
					 &c) == BODY_OK);
	else
		assert(c.code != NULL && c.message[0] != '\0' && f->out.n == 0);
}

static size_t read_header(struct file *f, struct slice in)
{
	struct complaint c;

	f->csv.separator = csv_separator(in);
	f->header_csv.separator = f->csv.separator;
	f->again_csv.separator = f->csv.separator;
	if (csv_next(&f->header_csv, in, true, &f->header) != ERR_OK)
		return in.n;
	if (f->schema == NULL ||
	    schema_plan_row(f->schema, f->header.cells, f->header.count,
			    &f->arena, &f->plan, &c) != ERR_OK)
		f->plan = NULL;
	return f->header.raw.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file *f;
	struct slice in;
	size_t at;

	if (size < 1)
		return 0;
	f = xcalloc(1, sizeof(*f));
	f->schema = schema_of(data[0]);
	in = slice_of(data + 1, size - 1);
	csv_init(&f->csv, ',');
	csv_init(&f->again_csv, ',');
	csv_init(&f->header_csv, ',');
	buf_init(&f->out, 4 * LIMIT_LINE_BYTES);
	arena_init(&f->arena, ARENA_BYTES);
	at = read_header(f, in);
	for (; at < in.n; at += f->row.raw.n) {
		if (csv_next(&f->csv, slice_sub(in, at, in.n - at), true,
			     &f->row) != ERR_OK)
			break;
		assert(f->row.raw.n > 0);
		check_cells(f);
		check_row(f);
	}
	csv_free(&f->csv);
	csv_free(&f->again_csv);
	csv_free(&f->header_csv);
	buf_free(&f->out);
	arena_free(&f->arena);
	free(f);
	return 0;
}
