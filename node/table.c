/* Tables for people; see cmd.h. */

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "node/cmd.h"

#define TABLE_COLUMNS 32u
#define TABLE_GAP "  "
#define TABLE_BYTES_MAX (64u << 20)

struct cell {
	size_t from, n; /* in text */
	size_t width; /* columns on the screen */
	bool is_head;
};

struct cmd_table_out {
	size_t columns;
	size_t count, room; /* cells */
	struct cell *cells;
	struct buf text;
};

static size_t width_of(struct slice s)
{
	size_t width = 0;
	while (s.n > 0) {
		utf8proc_int32_t letter = 0;
		utf8proc_ssize_t n =
			utf8proc_iterate(s.p, (utf8proc_ssize_t)s.n, &letter);
		if (n <= 0) { /* not UTF-8: a byte is shown as something */
			n = 1;
			width++;
		} else {
			width += (size_t)utf8proc_charwidth(letter);
		}
		s = slice_sub(s, (size_t)n, s.n - (size_t)n);
	}
	return width;
}

static void add(struct cmd_table_out *t, struct slice s, bool is_head)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = xrealloc(t->cells, t->room * sizeof(*t->cells));
	}
	size_t from = t->text.n;
	buf_put(&t->text, s);
	if (t->text.err)
		s = (struct slice){ 0 };
	t->cells[t->count++] = (struct cell){
		.from = from, .n = s.n, .width = width_of(s), .is_head = is_head
	};
}

struct cmd_table_out *table_open(const char *const *heads, size_t columns)
{
	assert(columns > 0 && columns <= TABLE_COLUMNS);
	struct cmd_table_out *t = xcalloc(1, sizeof(*t));
	t->columns = columns;
	buf_init(&t->text, TABLE_BYTES_MAX);
	for (size_t i = 0; i < columns; i++)
		add(t, slice_str(heads[i]), true);
	return t;
}

void table_cell(struct cmd_table_out *t, const char *format, ...)
{
	va_list ap, again;
	va_start(ap, format);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	char *s = xmalloc((size_t)(n > 0 ? n : 0) + 1);
	s[0] = '\0';
	vsnprintf(s, (size_t)(n > 0 ? n : 0) + 1, format, again);
	va_end(again);
	/* A cell is one line, whatever others wrote into it. */
	for (char *p = s; *p; p++)
		if (*p == '\n' || *p == '\r' || *p == '\t')
			*p = ' ';
	add(t, slice_str(s), false);
	free(s);
}

static struct slice text_of(const struct cmd_table_out *t, const struct cell *c)
{
	return slice_sub(buf_slice(&t->text), c->from, c->n);
}

/* Numbers stand at the right. */
static bool is_number(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != ',' &&
		    s.p[i] != '.')
			return s.n == 1 && s.p[i] == '-';
	return s.n > 0;
}

static void put_row(struct cmd *c, const struct cmd_table_out *t, size_t row,
		    const size_t *widths, const bool *right)
{
	for (size_t i = 0; i < t->columns; i++) {
		size_t at = row * t->columns + i;
		if (at >= t->count)
			break;
		const struct cell *cell = &t->cells[at];
		size_t pad = widths[i] - cell->width;
		bool last = i + 1 == t->columns || at + 1 == t->count;
		if (right[i])
			cmd_out(c, "%*s", (int)pad, "");
		cmd_out_text(c, text_of(t, cell));
		if (!last)
			cmd_out(c, "%*s%s", right[i] ? 0 : (int)pad, "",
				TABLE_GAP);
	}
	cmd_out(c, "\n");
}

void table_print(struct cmd *c, struct cmd_table_out *t)
{
	size_t widths[TABLE_COLUMNS] = { 0 };
	bool right[TABLE_COLUMNS];
	for (size_t i = 0; i < t->columns; i++)
		right[i] = t->count > t->columns;
	for (size_t i = 0; i < t->count; i++) {
		const struct cell *cell = &t->cells[i];
		size_t column = i % t->columns;
		if (cell->width > widths[column])
			widths[column] = cell->width;
		if (!cell->is_head && !is_number(text_of(t, cell)))
			right[column] = false;
	}
	for (size_t row = 0; row * t->columns < t->count; row++)
		put_row(c, t, row, widths, right);
	buf_free(&t->text);
	free(t->cells);
	free(t);
}
