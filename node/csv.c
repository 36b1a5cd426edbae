#include "node/csv.h"

#include <assert.h>
#include <string.h>

void csv_init(struct csv *c, uint8_t separator)
{
	*c = (struct csv){ .separator = separator, .line = 1 };
	buf_init(&c->unquoted, LIMIT_LINE_BYTES);
}

void csv_free(struct csv *c)
{
	buf_free(&c->unquoted);
}

uint8_t csv_separator(struct slice header)
{
	static const uint8_t known[] = { ',', ';', '\t' };
	size_t counts[sizeof(known)] = { 0 };
	bool quoted = false;
	size_t best = 0;

	for (size_t i = 0; i < header.n; i++) {
		if (header.p[i] == '"')
			quoted = !quoted;
		for (size_t k = 0; k < sizeof(known) && !quoted; k++)
			counts[k] += header.p[i] == known[k];
	}
	for (size_t k = 1; k < sizeof(known); k++) {
		if (counts[k] > counts[best])
			best = k;
	}
	return known[best];
}

/* Measuring. */

struct measure {
	struct slice in;
	size_t at;
	uint64_t breaks; /* line feeds inside of quotes */
	bool open; /* the input ends inside of quotes */
	uint8_t separator;
};

/* Move behind the closing quote of the cell whose opening quote is at
 * m->at. */
static bool pass_quotes(struct measure *m)
{
	for (m->at++; m->at < m->in.n; m->at++) {
		if (m->in.p[m->at] == '\n')
			m->breaks++;
		if (m->in.p[m->at] != '"')
			continue;
		if (m->at + 1 < m->in.n && m->in.p[m->at + 1] == '"') {
			m->at++;
			continue;
		}
		m->at++;
		return true;
	}
	m->open = true;
	return false;
}

/* Move behind the line feed that ends the record. */
static bool pass_record(struct measure *m)
{
	bool fresh = true; /* at the start of a cell */

	while (m->at < m->in.n) {
		uint8_t b = m->in.p[m->at];

		if (fresh && b == '"') {
			if (!pass_quotes(m))
				return false;
			fresh = false;
			continue;
		}
		m->at++;
		if (b == '\n')
			return true;
		fresh = b == m->separator;
	}
	return false;
}

enum err csv_measure(uint8_t separator, struct slice in, bool end,
		     size_t *bytes, uint64_t *lines)
{
	struct measure m = { .in = in, .separator = separator };
	const uint8_t *feed;
	bool whole = true;

	*bytes = 0;
	*lines = 1;
	if (in.n == 0)
		return end ? ERR_NOT_FOUND : ERR_TRUNCATED;
	feed = memchr(in.p, '\n', in.n);
	if (feed != NULL && memchr(in.p, '"', (size_t)(feed - in.p)) == NULL)
		m.at = (size_t)(feed - in.p) + 1;
	else
		whole = pass_record(&m);
	if (m.at > LIMIT_LINE_BYTES)
		return ERR_LIMIT;
	/* The last line of a file needs no line feed. */
	if (!whole && (!end || m.open))
		return ERR_TRUNCATED;
	*bytes = m.at;
	*lines = 1 + m.breaks;
	return ERR_OK;
}

/* Cutting. */

/* The content of the quoted cell that begins at raw[*at]; moves *at to the
 * separator behind it. Text after the closing quote is kept and told. */
static struct slice unquote(struct csv *c, struct slice raw, size_t *at,
			    struct csv_row *out)
{
	size_t start = c->unquoted.n;
	size_t from = *at + 1;
	size_t i = from;
	bool doubled = false;

	while (i < raw.n) {
		if (raw.p[i] != '"') {
			i++;
			continue;
		}
		if (i + 1 >= raw.n || raw.p[i + 1] != '"')
			break;
		/* With the first of the two quotes. */
		buf_put(&c->unquoted, slice_of(raw.p + from, i + 1 - from));
		doubled = true;
		i += 2;
		from = i;
	}
	*at = i < raw.n ? i + 1 : i;
	if (*at < raw.n && raw.p[*at] != c->separator) {
		out->fault = CSV_TEXT_AFTER_QUOTE;
		while (*at < raw.n && raw.p[*at] != c->separator)
			(*at)++;
	}
	if (!doubled)
		return slice_of(raw.p + from, i - from);
	buf_put(&c->unquoted, slice_of(raw.p + from, i - from));
	assert(c->unquoted.err == ERR_OK);
	return slice_of(c->unquoted.p + start, c->unquoted.n - start);
}

static struct slice plain(struct csv *c, struct slice raw, size_t *at)
{
	const uint8_t *from = raw.p + *at;
	size_t left = raw.n - *at;
	const uint8_t *end = left > 0 ? memchr(from, c->separator, left) : NULL;
	size_t n = end != NULL ? (size_t)(end - from) : left;

	*at += n;
	return slice_of(from, n);
}

static struct slice without_line_end(struct slice raw)
{
	if (raw.n > 0 && raw.p[raw.n - 1] == '\n')
		raw.n--;
	if (raw.n > 0 && raw.p[raw.n - 1] == '\r')
		raw.n--;
	return raw;
}

void csv_cut(struct csv *c, struct slice raw, struct csv_row *out)
{
	struct slice text = without_line_end(raw);
	size_t at = 0;

	assert(raw.n <= LIMIT_LINE_BYTES);
	out->raw = raw;
	out->line = c->line;
	out->fault = CSV_GOOD;
	out->count = 0;
	/* All the room at once: cells point into it. */
	buf_reset(&c->unquoted);
	if (memchr(text.p, '"', text.n) != NULL) {
		(void)buf_extend(&c->unquoted, text.n);
		c->unquoted.n = 0;
	}
	for (;;) {
		if (out->count == LIMIT_COLUMNS) {
			out->fault = CSV_TOO_MANY_CELLS;
			break;
		}
		out->at[out->count] = (uint32_t)at;
		out->cells[out->count++] = at < text.n && text.p[at] == '"'
						   ? unquote(c, text, &at, out)
						   : plain(c, text, &at);
		if (at >= text.n)
			break;
		at++;
	}
	if (memchr(raw.p, '\0', raw.n) != NULL)
		out->fault = CSV_NUL;
}

enum err csv_next(struct csv *c, struct slice in, bool end, struct csv_row *out)
{
	uint64_t lines;
	size_t bytes;
	enum err e = csv_measure(c->separator, in, end, &bytes, &lines);

	if (e != ERR_OK)
		return e;
	csv_cut(c, slice_of(in.p, bytes), out);
	c->line += lines;
	return ERR_OK;
}

/* Writing. */

void csv_put_cell(struct buf *out, uint8_t separator, struct slice cell)
{
	bool quote =
		cell.n > 0 && (cell.p[0] == ' ' || cell.p[cell.n - 1] == ' ');

	for (size_t i = 0; i < cell.n && !quote; i++)
		quote = cell.p[i] == '"' || cell.p[i] == separator ||
			cell.p[i] == '\n' || cell.p[i] == '\r';
	if (!quote) {
		buf_put(out, cell);
		return;
	}
	buf_put_u8(out, '"');
	for (size_t i = 0; i < cell.n; i++) {
		if (cell.p[i] == '"')
			buf_put_u8(out, '"');
		buf_put_u8(out, cell.p[i]);
	}
	buf_put_u8(out, '"');
}
