#include "lines.h"

#include <string.h>

#include "text.h"

void lines_init(struct lines *l, struct slice text)
{
	*l = (struct lines){ .rest = text, .err = ERR_OK, .why = "" };
}

void lines_fail(struct lines *l, enum err err, const char *why)
{
	if (l->err != ERR_OK)
		return;
	l->err = err;
	l->why = why;
}

bool lines_at(const struct lines *l, const char *key)
{
	return l->err == ERR_OK && slice_starts(l->rest, slice_str(key));
}

struct slice lines_take(struct lines *l, const char *key, const char *why)
{
	struct slice line, rest;
	size_t skip = strlen(key);

	if (!lines_at(l, key) || !slice_cut(l->rest, '\n', &line, &rest)) {
		lines_fail(l, ERR_MALFORMED, why);
		return slice_of(NULL, 0);
	}
	l->rest = rest;
	return slice_sub(line, skip, line.n - skip);
}

uint32_t lines_count(const struct lines *l, const char *key)
{
	struct slice lead = slice_str(key), line, rest = l->rest;
	uint32_t n = 0;

	while (slice_starts(rest, lead) && slice_cut(rest, '\n', &line, &rest))
		n++;
	return n;
}

uint64_t lines_u64(struct lines *l, struct slice s, const char *why)
{
	uint64_t v = 0;

	if (!text_parse_u64(s, &v))
		lines_fail(l, ERR_MALFORMED, why);
	return v;
}

struct digest lines_digest(struct lines *l, struct slice s, const char *why)
{
	struct digest d = { { 0 } };

	if (s.n != 2 * DIGEST_BYTES || !text_parse_hex(s, d.b, DIGEST_BYTES))
		lines_fail(l, ERR_MALFORMED, why);
	return d;
}

struct slice lines_word(struct slice *line)
{
	struct slice word;

	(void)slice_cut(*line, ' ', &word, line);
	return word;
}
