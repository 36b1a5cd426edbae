/* CSV records come out of any stretch of bytes as they stand in the file. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/csv.h"

#define ok(e) assert_int_equal((e), ERR_OK)

/* ---- Helpers -------------------------------------------------------------- */

/* The first record of @text as CELL|CELL|CELL; "!" and the fault behind it. */
static void render(uint8_t separator, const char *text, char *out, size_t max)
{
	struct csv_row *row = xcalloc(1, sizeof(*row));
	struct csv c;
	size_t n = 0;

	csv_init(&c, separator);
	ok(csv_next(&c, slice_str(text), true, row));
	out[0] = '\0';
	for (uint32_t i = 0; i < row->count; i++)
		n += (size_t)snprintf(out + n, max - n, "%s%.*s",
				      i > 0 ? "|" : "", (int)row->cells[i].n,
				      row->cells[i].p != NULL
					      ? (const char *)row->cells[i].p
					      : "");
	if (row->fault != CSV_GOOD)
		snprintf(out + n, max - n, "!%d", row->fault);
	csv_free(&c);
	free(row);
}

struct record {
	uint8_t separator;
	const char *text;
	const char *cells;
	size_t bytes;
	uint64_t lines;
};

static const struct record records[] = {
	{ ',', "a,b,c\nd", "a|b|c", 6, 1 },
	{ ',', "a,b,c\r\nd", "a|b|c", 7, 1 },
	{ ',', "a,b,c", "a|b|c", 5, 1 },
	{ ';', "a,b;c\n", "a,b|c", 6, 1 },
	{ '\t', "a b\tc\n", "a b|c", 6, 1 },
	{ ',', ",\n", "|", 2, 1 },
	{ ',', "\n", "", 1, 1 },
	{ ',', "a,\n", "a|", 3, 1 },
	{ ',', "\"a\",\"b,c\"\n", "a|b,c", 10, 1 },
	{ ',', "\"a\"\"b\",c\n", "a\"b|c", 9, 1 },
	{ ',', "\"\"\"\",\"\"\n", "\"|", 8, 1 },
	{ ',', "\"a\nb\r\nc\",d\nx", "a\nb\r\nc|d", 11, 3 },
	{ ',', "a,\"b\nc\"", "a|b\nc", 7, 2 },
	{ ',', "a\"b,c\"d\n", "a\"b|c\"d", 8, 1 },
	{ ',', " \"a\",b\n", " \"a\"|b", 7, 1 },
	{ ',', "\"a\"b,c\n", "a|c!1", 7, 1 },
	{ ',', "a\rb,c\n", "a\rb|c", 6, 1 },
};

/* ---- Reading -------------------------------------------------------------- */

static void records_are_cut_into_cells(void **state)
{
	char cells[256];

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		render(records[i].separator, records[i].text, cells,
		       sizeof(cells));
		assert_string_equal(cells, records[i].cells);
	}
}

static void records_are_measured_in_bytes_and_lines(void **state)
{
	uint64_t lines;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		const struct record *r = &records[i];

		ok(csv_measure(r->separator, slice_str(r->text), true, &bytes,
			       &lines));
		assert_int_equal(bytes, r->bytes);
		assert_int_equal(lines, r->lines);
	}
}

static void every_prefix_asks_for_more(void **state)
{
	uint64_t lines;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		const struct record *r = &records[i];

		for (size_t n = 0; n < r->bytes; n++)
			assert_int_equal(csv_measure(r->separator,
						     slice_of(r->text, n),
						     false, &bytes, &lines),
					 ERR_TRUNCATED);
	}
}

static void quotes_that_are_not_closed_are_told(void **state)
{
	static const char *const texts[] = { "\"", "a,\"b", "\"a\n\"\"b\nc" };
	uint64_t lines;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(csv_measure(',', slice_str(texts[i]), true,
					     &bytes, &lines),
				 ERR_TRUNCATED);
	assert_int_equal(
		csv_measure(',', slice_of(NULL, 0), true, &bytes, &lines),
		ERR_NOT_FOUND);
}

static void lines_are_counted_from_record_to_record(void **state)
{
	static const char text[] = "a\n\"b\nb\"\nc\n\nd";
	static const uint64_t want[] = { 1, 2, 4, 5, 6 };
	struct csv_row *row = xcalloc(1, sizeof(*row));
	struct slice in = SLICE_LIT(text);
	struct csv c;
	size_t n = 0;

	(void)state;
	in = slice_of(text, sizeof(text) - 1);
	csv_init(&c, ',');
	while (csv_next(&c, in, true, row) == ERR_OK) {
		assert_int_equal(row->line, want[n++]);
		in = slice_sub(in, row->raw.n, in.n - row->raw.n);
	}
	assert_int_equal(n, 5);
	csv_free(&c);
	free(row);
}

static void a_zero_byte_is_a_fault(void **state)
{
	struct csv_row *row = xcalloc(1, sizeof(*row));
	struct csv c;

	(void)state;
	csv_init(&c, ',');
	ok(csv_next(&c, slice_of("a\0b,c\n", 6), true, row));
	assert_int_equal(row->fault, CSV_NUL);
	csv_free(&c);
	free(row);
}

static void one_column_too_many_is_a_fault(void **state)
{
	struct csv_row *row = xcalloc(1, sizeof(*row));
	uint8_t text[LIMIT_COLUMNS + 1];
	struct csv c;

	(void)state;
	csv_init(&c, ',');
	memset(text, ',', sizeof(text));
	ok(csv_next(&c, slice_of(text, LIMIT_COLUMNS - 1), true, row));
	assert_int_equal(row->count, LIMIT_COLUMNS);
	assert_int_equal(row->fault, CSV_GOOD);
	ok(csv_next(&c, slice_of(text, LIMIT_COLUMNS), true, row));
	assert_int_equal(row->fault, CSV_TOO_MANY_CELLS);
	csv_free(&c);
	free(row);
}

static void a_record_over_the_limit_is_refused(void **state)
{
	struct buf b;
	uint64_t lines;
	size_t bytes;

	(void)state;
	buf_init(&b, LIMIT_LINE_BYTES + 2);
	memset(buf_extend(&b, LIMIT_LINE_BYTES), 'x', LIMIT_LINE_BYTES);
	b.p[0] = '"';
	b.p[LIMIT_LINE_BYTES - 1] = '"';
	ok(csv_measure(',', buf_slice(&b), true, &bytes, &lines));
	buf_put_u8(&b, '\n');
	assert_int_equal(csv_measure(',', buf_slice(&b), true, &bytes, &lines),
			 ERR_LIMIT);
	b.p[0] = 'x';
	assert_int_equal(csv_measure(',', buf_slice(&b), true, &bytes, &lines),
			 ERR_LIMIT);
	buf_free(&b);
}

static void the_header_tells_the_separator(void **state)
{
	static const struct {
		const char *header;
		uint8_t separator;
	} headers[] = {
		{ "a,b,c", ',' }, { "a;b;c", ';' },	  { "a\tb\tc", '\t' },
		{ "a", ',' },	  { "\"a,b,c\";d", ';' }, { "a b,c", ',' },
		{ "", ',' },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(csv_separator(slice_str(headers[i].header)),
				 headers[i].separator);
}

/* ---- Writing -------------------------------------------------------------- */

static void cells_come_back_as_they_were_written(void **state)
{
	static const char *const cells[] = { "a",	"",	  "a,b",
					     "a\"b",	"a\nb",	  "\"",
					     " lead",	"trail ", "=1+1",
					     "\xc3\xa6" };
	struct csv_row *row = xcalloc(1, sizeof(*row));
	const size_t n = sizeof(cells) / sizeof(cells[0]);
	struct buf b;
	struct csv c;

	(void)state;
	buf_init(&b, 1024);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_put_u8(&b, ',');
		csv_put_cell(&b, ',', slice_str(cells[i]));
	}
	buf_put_u8(&b, '\n');
	csv_init(&c, ',');
	ok(csv_next(&c, buf_slice(&b), true, row));
	assert_int_equal(row->count, n);
	for (size_t i = 0; i < n; i++)
		assert_true(slice_is(row->cells[i], cells[i]));
	csv_free(&c);
	buf_free(&b);
	free(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_cut_into_cells),
		cmocka_unit_test(records_are_measured_in_bytes_and_lines),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(quotes_that_are_not_closed_are_told),
		cmocka_unit_test(lines_are_counted_from_record_to_record),
		cmocka_unit_test(a_zero_byte_is_a_fault),
		cmocka_unit_test(one_column_too_many_is_a_fault),
		cmocka_unit_test(a_record_over_the_limit_is_refused),
		cmocka_unit_test(the_header_tells_the_separator),
		cmocka_unit_test(cells_come_back_as_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
