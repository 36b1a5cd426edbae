#include "node/import_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/text.h"

#define READ_BYTES (256u << 10)
#define START_BYTES 4u /* marks of encodings are in them */
#define WINDOW_BYTES (LIMIT_LINE_BYTES + READ_BYTES + 4096)

static enum err say(const struct import_source *s, struct buf *why, enum err e,
		    const char *text)
{
	buf_put_str(why, s->path);
	buf_put_str(why, ": ");
	buf_put_str(why, text);
	return e;
}

/* FILE:LINE: text */
static enum err say_at(const struct import_source *s, struct buf *why,
		       enum err e, const char *text)
{
	buf_put_str(why, s->path);
	buf_put_str(why, ":");
	buf_put_dec(why, s->line);
	buf_put_str(why, ": ");
	buf_put_str(why, text);
	return e;
}

enum import_format import_format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot == NULL)
		return IMPORT_UNKNOWN;
	if (strcmp(dot, ".csv") == 0 || strcmp(dot, ".CSV") == 0)
		return IMPORT_CSV;
	if (strcmp(dot, ".ndjson") == 0 || strcmp(dot, ".jsonl") == 0)
		return IMPORT_NDJSON;
	return IMPORT_UNKNOWN;
}

void import_batch_init(struct import_batch *b)
{
	buf_init(&b->raw, IMPORT_BATCH_BYTES + LIMIT_LINE_BYTES);
	b->records = xcalloc(IMPORT_BATCH_RECORDS, sizeof(*b->records));
	b->count = 0;
}

void import_batch_free(struct import_batch *b)
{
	buf_free(&b->raw);
	free(b->records);
	b->records = NULL;
}

/* Reading. */

static enum err read_some(struct import_source *s, uint8_t *p, size_t n,
			  size_t *got)
{
	ssize_t k;

	if (s->spool < 0)
		return s->c->io->read(s->c->io_arg, s->handle, p, n, got);
	do
		k = read(s->spool, p, n);
	while (k < 0 && errno == EINTR);
	*got = k > 0 ? (size_t)k : 0;
	return k < 0 ? ERR_IO : ERR_OK;
}

/* Get more into the window. */
static enum err fill(struct import_source *s, struct buf *why)
{
	struct buf *w = &s->window;
	size_t before;
	size_t got = 0;
	enum err e;

	buf_drop(w, s->at);
	s->at = 0;
	before = w->n;
	if (buf_extend(w, READ_BYTES) == NULL) {
		w->err = ERR_OK;
		w->n = before;
		return ERR_LIMIT;
	}
	e = read_some(s, w->p + before, READ_BYTES, &got);
	w->n = before + got;
	if (e != ERR_OK)
		return say(s, why, e, "cannot be read");
	s->ended = got == 0;
	return ERR_OK;
}

/* A copy of standard input that can be read again; its name is gone at
 * once. */
static enum err spool(struct import_source *s, struct buf *why)
{
	uint8_t *p = xmalloc(READ_BYTES);
	char path[4096];
	size_t got = 1;
	enum err e = ERR_OK;
	int n = snprintf(path, sizeof(path), "%s/input-XXXXXX", s->dir);
	int fd = n > 0 && (size_t)n < sizeof(path) ? mkstemp(path) : -1;

	if (fd < 0) {
		free(p);
		return say(s, why, ERR_IO, "no temporary file can be made");
	}
	(void)unlink(path);
	while (e == ERR_OK && got > 0 && !cmd_is_cancelled(s->c)) {
		e = read_some(s, p, READ_BYTES, &got);
		for (size_t at = 0; e == ERR_OK && at < got;) {
			ssize_t k = write(fd, p + at, got - at);

			if (k < 0 && errno != EINTR)
				e = errno == ENOSPC ? ERR_FULL : ERR_IO;
			at += k > 0 ? (size_t)k : 0;
		}
	}
	s->spool = fd;
	free(p);
	if (e != ERR_OK)
		return say(s, why, e, "cannot be copied aside");
	return ERR_OK;
}

/* Encodings. */

static enum err check_start(struct import_source *s, struct buf *why)
{
	static const char utf16[] =
		"is UTF-16, not UTF-8; save it as \"CSV UTF-8\", or convert "
		"it: iconv -f UTF-16 -t UTF-8";
	const uint8_t *p = s->window.p;
	size_t n = s->window.n;

	if (n >= 2 &&
	    ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
		return say(s, why, ERR_MALFORMED, utf16);
	if (n >= 2 && (p[0] == 0 || p[1] == 0))
		return say(s, why, ERR_MALFORMED, utf16);
	if (n >= 4 && p[0] == 'P' && p[1] == 'K' && p[2] == 3 && p[3] == 4)
		return say(s, why, ERR_MALFORMED,
			   "is a spreadsheet or an archive, not text; save it "
			   "as \"CSV UTF-8\"");
	if (n >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
		s->at = 3;
	s->bom = s->at > 0;
	s->bytes = s->at;
	return ERR_OK;
}

/* Records. */

static enum err measure(const struct import_source *s, size_t *bytes,
			uint64_t *lines)
{
	struct slice in = slice_of(s->window.p + s->at, s->window.n - s->at);
	const uint8_t *feed;

	if (s->format == IMPORT_CSV)
		return csv_measure(s->separator, in, s->ended, bytes, lines);
	*lines = 1;
	if (in.n == 0)
		return s->ended ? ERR_NOT_FOUND : ERR_TRUNCATED;
	feed = memchr(in.p, '\n', in.n);
	if (feed == NULL && !s->ended)
		return ERR_TRUNCATED;
	*bytes = feed != NULL ? (size_t)(feed - in.p) + 1 : in.n;
	return *bytes > LIMIT_LINE_BYTES ? ERR_LIMIT : ERR_OK;
}

/* Drop the rest of a line that is too long: what follows is good again. */
static enum err pass_over(struct import_source *s, struct import_record *r,
			  struct buf *why)
{
	const uint8_t *feed = NULL;
	enum err e = ERR_OK;
	size_t n = 0;

	while (e == ERR_OK) {
		n = s->window.n - s->at;
		feed = n > 0 ? memchr(s->window.p + s->at, '\n', n) : NULL;
		if (feed != NULL || s->ended)
			break;
		s->at += n;
		s->bytes += n;
		e = fill(s, why);
	}
	if (e != ERR_OK)
		return e;
	if (feed != NULL)
		n = (size_t)(feed - (s->window.p + s->at)) + 1;
	s->at += n;
	s->bytes += n;
	*r = (struct import_record){ .raw = slice_of(s->window.p, 0),
				     .line = s->line++,
				     .row = s->row++,
				     .too_long = true };
	return ERR_OK;
}

static enum err say_too_long(const struct import_source *s, struct buf *why)
{
	return say_at(s, why, ERR_LIMIT,
		      "the record is longer than 1 MiB (is a quote not "
		      "closed?); nothing was changed");
}

/* The next record, blank or not; it stays valid until the window is filled
 * again. */
static enum err take(struct import_source *s, struct import_record *r,
		     struct buf *why)
{
	uint64_t lines = 1;
	size_t bytes = 0;
	enum err e = measure(s, &bytes, &lines);

	while (e == ERR_TRUNCATED && !s->ended) {
		e = fill(s, why);
		if (e == ERR_OK)
			e = measure(s, &bytes, &lines);
		else if (e != ERR_LIMIT)
			return e;
	}
	if (e == ERR_TRUNCATED)
		return say_at(s, why, ERR_MALFORMED,
			      "a quote that is opened in this record is never "
			      "closed; close it, or double the quotes inside "
			      "of texts; nothing was changed");
	if (e == ERR_LIMIT && s->format == IMPORT_NDJSON)
		return pass_over(s, r, why);
	if (e == ERR_LIMIT)
		return say_too_long(s, why);
	if (e != ERR_OK)
		return e;
	r->too_long = false;
	r->raw = slice_of(s->window.p + s->at, bytes);
	r->line = s->line;
	r->row = s->row;
	s->at += bytes;
	s->bytes += bytes;
	s->line += lines;
	s->row++;
	return ERR_OK;
}

/* Nothing but separators, quotes and blanks. */
static bool is_blank(const struct import_source *s, struct slice raw)
{
	for (size_t i = 0; i < raw.n; i++) {
		uint8_t b = raw.p[i];

		if (b == '\n' || b == '\r')
			continue;
		if (s->format == IMPORT_CSV ? b != s->separator
					    : b != ' ' && b != '\t')
			return false;
	}
	return true;
}

enum err import_source_next(struct import_source *s, struct import_batch *b,
			    struct buf *why)
{
	struct import_record r;
	enum err e = ERR_OK;

	buf_reset(&b->raw);
	(void)buf_extend(&b->raw, b->raw.max); /* records point into it */
	b->raw.n = 0;
	b->count = 0;
	while (b->count < IMPORT_BATCH_RECORDS &&
	       b->raw.n < IMPORT_BATCH_BYTES) {
		e = take(s, &r, why);
		if (e != ERR_OK)
			break;
		if (!r.too_long && is_blank(s, r.raw))
			continue;
		r.index = s->index++;
		buf_put(&b->raw, r.raw);
		r.raw.p = b->raw.p + b->raw.n - r.raw.n;
		b->records[b->count++] = r;
	}
	if (e != ERR_OK && (e != ERR_NOT_FOUND || b->count == 0))
		return e;
	/* The hash so far is the key of the next. */
	s->seen = import_hash(&s->seen, buf_slice(&b->raw));
	return ERR_OK;
}

/* Headers. */

/* Excel's first line "sep=;" names the separator. */
static bool is_sep_line(struct slice raw, uint8_t *separator)
{
	if (raw.n < 5 || memcmp(raw.p, "sep=", 4) != 0 ||
	    (raw.n > 5 && raw.p[5] != '\r' && raw.p[5] != '\n'))
		return false;
	*separator = raw.p[4];
	return *separator == ',' || *separator == ';' || *separator == '\t';
}

static enum err read_header(struct import_source *s, struct buf *why)
{
	struct import_record r;
	uint8_t separator = 0;
	enum err e;

	/* Any separator does for finding the end of the line. */
	s->separator = ',';
	do {
		e = take(s, &r, why);
		if (e == ERR_NOT_FOUND)
			return say(s, why, ERR_MALFORMED,
				   "is empty; the first line must name the "
				   "columns");
		if (e != ERR_OK)
			return e;
	} while (is_sep_line(r.raw, &separator) || is_blank(s, r.raw));
	if (!text_is_utf8(r.raw))
		return say(s, why, ERR_MALFORMED,
			   "the header is not UTF-8; save it as \"CSV UTF-8\"");
	s->separator = separator != 0 ? separator : csv_separator(r.raw);
	buf_reset(&s->header);
	buf_put(&s->header, r.raw);
	csv_free(&s->names_csv);
	csv_init(&s->names_csv, s->separator);
	csv_cut(&s->names_csv, buf_slice(&s->header), s->names);
	if (s->names->fault == CSV_TOO_MANY_CELLS)
		return say(s, why, ERR_LIMIT,
			   "the header has more than 256 columns");
	if (s->names->fault != CSV_GOOD)
		return say(s, why, ERR_MALFORMED,
			   "the header has a zero byte, or text after a "
			   "closing quote");
	if (memchr(r.raw.p, '\r', r.raw.n) != NULL &&
	    memchr(r.raw.p, '\n', r.raw.n) == NULL)
		return say(s, why, ERR_MALFORMED,
			   "its lines end with CR alone; save it with CRLF or "
			   "LF");
	return ERR_OK;
}

static enum err begin(struct import_source *s, struct buf *why)
{
	enum err e;

	buf_reset(&s->window);
	s->at = 0;
	s->ended = false;
	s->line = 1;
	s->row = 1;
	s->index = 0;
	s->bytes = 0;
	memset(&s->seen, 0, sizeof(s->seen));
	do
		e = fill(s, why);
	while (e == ERR_OK && !s->ended && s->window.n < START_BYTES);
	if (e == ERR_OK)
		e = check_start(s, why);
	if (e == ERR_OK && s->format == IMPORT_CSV)
		e = read_header(s, why);
	return e;
}

static enum err open_file(struct import_source *s, struct buf *why)
{
	enum err e;

	buf_put_str(why, s->path);
	buf_put_str(why, ": ");
	e = s->c->io->open(s->c->io_arg, s->path, &s->handle, why);
	if (e == ERR_OK)
		buf_reset(why);
	else
		s->handle = -1;
	return e;
}

enum err import_source_open(struct import_source *s, struct cmd *c,
			    const char *path, const char *dir,
			    enum import_format format, struct buf *why)
{
	enum err e;

	*s = (struct import_source){ .c = c,
				     .path = path,
				     .dir = dir,
				     .format = format,
				     .handle = -1,
				     .spool = -1 };
	buf_init(&s->window, WINDOW_BYTES);
	buf_init(&s->header, LIMIT_LINE_BYTES);
	csv_init(&s->names_csv, ',');
	s->names = xcalloc(1, sizeof(*s->names));
	e = open_file(s, why);
	if (e == ERR_OK && strcmp(path, "-") == 0) {
		e = spool(s, why);
		if (e == ERR_OK && lseek(s->spool, 0, SEEK_SET) != 0)
			e = say(s, why, ERR_IO, "cannot be read again");
	}
	if (e == ERR_OK)
		e = begin(s, why);
	return e;
}

static void close_handle(struct import_source *s)
{
	if (s->handle >= 0)
		(void)s->c->io->close(s->c->io_arg, s->handle);
	s->handle = -1;
}

enum err import_source_rewind(struct import_source *s, struct buf *why)
{
	enum err e = ERR_OK;

	if (s->spool >= 0) {
		if (lseek(s->spool, 0, SEEK_SET) != 0)
			return say(s, why, ERR_IO, "cannot be read again");
	} else {
		close_handle(s);
		e = open_file(s, why);
	}
	if (e == ERR_OK)
		e = begin(s, why);
	return e;
}

void import_source_close(struct import_source *s)
{
	close_handle(s);
	if (s->spool >= 0)
		(void)close(s->spool);
	s->spool = -1;
	buf_free(&s->window);
	buf_free(&s->header);
	csv_free(&s->names_csv);
	free(s->names);
	s->names = NULL;
}
