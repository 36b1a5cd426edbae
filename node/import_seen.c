#include "node/import_seen.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROWS 4096u
#define PART_BITS 6

static_assert(sizeof(struct import_seen_row) == 24, "24 bytes a row");
static_assert(1u << PART_BITS == IMPORT_SEEN_PARTS, "parts are whole bits");

void import_seen_init(struct import_seen *s, const char *dir)
{
	*s = (struct import_seen){ .dir = dir };
	for (size_t i = 0; i < IMPORT_SEEN_PARTS; i++)
		s->parts[i] = -1;
}

void import_seen_free(struct import_seen *s)
{
	free(s->rows);
	free(s->clashes);
	for (size_t i = 0; i < IMPORT_SEEN_PARTS; i++) {
		if (s->parts[i] >= 0)
			(void)close(s->parts[i]);
	}
	import_seen_init(s, NULL);
}

static int compare(const void *a, const void *b)
{
	const struct import_seen_row *x = a;
	const struct import_seen_row *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* Files. */

static enum err part_open(struct import_seen *s, size_t part)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/seen-XXXXXX", s->dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_LIMIT;
	s->parts[part] = mkstemp(path);
	if (s->parts[part] < 0)
		return ERR_IO;
	(void)unlink(path);
	return ERR_OK;
}

static enum err part_write(struct import_seen *s, size_t part,
			   const struct import_seen_row *rows, size_t count)
{
	const uint8_t *p = (const uint8_t *)rows;
	size_t left = count * sizeof(*rows);
	enum err e = ERR_OK;
	ssize_t n;

	if (count > 0 && s->parts[part] < 0)
		e = part_open(s, part);
	while (e == ERR_OK && left > 0) {
		n = write(s->parts[part], p, left);
		if (n < 0 && errno != EINTR)
			e = errno == ENOSPC ? ERR_FULL : ERR_IO;
		p += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return e;
}

/* All rows in memory go to the files. */
static enum err spill(struct import_seen *s)
{
	uint32_t from = 0;
	uint32_t to = 0;
	enum err e = ERR_OK;

	qsort(s->rows, s->count, sizeof(*s->rows), compare);
	for (size_t part = 0; part < IMPORT_SEEN_PARTS && e == ERR_OK; part++) {
		while (to < s->count &&
		       s->rows[to].id >> (64 - PART_BITS) == part)
			to++;
		e = part_write(s, part, s->rows + from, to - from);
		from = to;
	}
	s->count = 0;
	return e;
}

enum err import_seen_add(struct import_seen *s, const struct import_seen_row *r)
{
	enum err e = ERR_OK;

	if (s->total == IMPORT_ROWS_MAX)
		return ERR_LIMIT;
	if (s->count == IMPORT_SEEN_MAX)
		e = spill(s);
	if (e != ERR_OK)
		return e;
	if (s->count == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : FIRST_ROWS;
		s->rows = xrealloc(s->rows, s->cap * sizeof(*s->rows));
	}
	s->rows[s->count++] = *r;
	s->total++;
	return ERR_OK;
}

/* Groups. */

static enum err add_clash(struct import_seen *s,
			  const struct import_seen_row *r, uint64_t other,
			  bool repeat)
{
	if (s->clash_count == IMPORT_CLASHES_MAX)
		return ERR_LIMIT;
	if (s->clash_count == s->clash_cap) {
		s->clash_cap = s->clash_cap > 0 ? s->clash_cap * 2 : 64;
		s->clashes = xrealloc(s->clashes,
				      s->clash_cap * sizeof(*s->clashes));
	}
	s->clashes[s->clash_count++] = (struct import_clash){
		.line = r->line,
		.other = other,
		.mark = r->mark & (uint8_t)~IMPORT_SEEN_COUNTED,
		.repeat = repeat,
	};
	return ERR_OK;
}

/* @rows [0, count) are of one id, in order of their lines. */
static enum err judge_group(struct import_seen *s,
			    const struct import_seen_row *rows, size_t count)
{
	size_t differs = 0; /* the first that differs from the first row */
	enum err e = ERR_OK;

	for (size_t i = 1; i < count && differs == 0; i++)
		differs = rows[i].content != rows[0].content ? i : 0;
	if (differs == 0 && (rows[0].mark & IMPORT_SEEN_COUNTED) != 0)
		s->counted++;
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		const struct import_seen_row *r = &rows[i];

		if (differs > 0)
			e = add_clash(s, r,
				      r->content == rows[0].content
					      ? rows[differs].line
					      : rows[0].line,
				      false);
		else if (i > 0 && s->with_repeats)
			e = add_clash(s, r, rows[0].line, true);
	}
	return e;
}

static enum err judge(struct import_seen *s, struct import_seen_row *rows,
		      size_t count)
{
	enum err e = ERR_OK;
	size_t from = 0;

	qsort(rows, count, sizeof(*rows), compare);
	for (size_t to = 1; to <= count && e == ERR_OK; to++) {
		if (to < count && rows[to].id == rows[from].id)
			continue;
		e = judge_group(s, rows + from, to - from);
		from = to;
	}
	return e;
}

static enum err judge_part(struct import_seen *s, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	struct import_seen_row *rows;
	size_t bytes = end > 0 ? (size_t)end : 0;
	size_t at = 0;
	ssize_t n = 1;
	enum err e;

	if (end < 0 || lseek(fd, 0, SEEK_SET) != 0 ||
	    bytes > IMPORT_ROWS_MAX * sizeof(*rows))
		return ERR_IO;
	rows = xmalloc(bytes + 1);
	while (at < bytes && n > 0) {
		n = read(fd, (uint8_t *)rows + at, bytes - at);
		at += n > 0 ? (size_t)n : 0;
	}
	e = at == bytes ? judge(s, rows, bytes / sizeof(*rows)) : ERR_IO;
	free(rows);
	return e;
}

enum err import_seen_finish(struct import_seen *s)
{
	enum err e = ERR_OK;

	if (s->total <= IMPORT_SEEN_MAX)
		return s->count > 0 ? judge(s, s->rows, s->count) : ERR_OK;
	e = spill(s);
	free(s->rows);
	s->rows = NULL;
	s->cap = 0;
	for (size_t i = 0; i < IMPORT_SEEN_PARTS && e == ERR_OK; i++) {
		if (s->parts[i] >= 0)
			e = judge_part(s, s->parts[i]);
	}
	return e;
}
