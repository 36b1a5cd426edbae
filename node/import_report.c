#include "node/import_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/value.h"

#define REJECTS_FLUSH_BYTES 65536u
#define PROGRESS_MS 100u
#define NOTES 3u /* columns that a rejects file adds */

static const char *const notes[NOTES] = { "_line", "_code", "_message" };

void import_report_init(struct import_report *r, struct cmd *c,
			const struct import_source *source, bool keep)
{
	*r = (struct import_report){
		.c = c, .source = source, .keep = keep, .handle = -1
	};
	buf_init(&r->out, 4 * LIMIT_LINE_BYTES);
	csv_init(&r->csv, source->separator);
	r->cells = xcalloc(1, sizeof(*r->cells));
}

void import_report_free(struct import_report *r)
{
	if (r->handle >= 0)
		r->c->io->discard(r->c->io_arg, r->handle);
	r->handle = -1;
	free(r->rejects);
	r->rejects = NULL;
	buf_wipe(&r->out);
	csv_free(&r->csv);
	free(r->cells);
	r->cells = NULL;
}

/* The rejects file. */

static void flush(struct import_report *r)
{
	if (r->err == ERR_OK)
		r->err = r->c->io->put(r->c->io_arg, r->handle,
				       buf_slice(&r->out));
	buf_reset(&r->out);
}

static struct slice line_end(struct slice raw)
{
	size_t n = raw.n;

	while (n > 0 && (raw.p[n - 1] == '\n' || raw.p[n - 1] == '\r'))
		n--;
	return n < raw.n ? slice_sub(raw, n, raw.n - n) : SLICE_LIT("\n");
}

/* Does the header begin with the notes of an earlier rejects file? */
static bool has_notes(const struct import_source *s)
{
	const struct csv_row *names = s->names;

	if (names->count <= NOTES)
		return false;
	for (size_t i = 0; i < NOTES; i++) {
		if (!slice_is(names->cells[i], notes[i]))
			return false;
	}
	return true;
}

/* @raw without its line end and, if @cut, without the first three cells. */
static struct slice without_notes(struct import_report *r, struct slice raw,
				  bool cut)
{
	struct slice end = line_end(raw);
	size_t n =
		end.p >= raw.p && end.p < raw.p + raw.n ? raw.n - end.n : raw.n;
	size_t from = 0;

	if (cut) {
		r->csv.separator = r->source->separator;
		csv_cut(&r->csv, raw, r->cells);
		if (r->cells->count > NOTES)
			from = r->cells->at[NOTES];
	}
	return from < n ? slice_sub(raw, from, n - from) : slice_sub(raw, 0, n);
}

/* In front, so that they stand in their columns even when the row has too
 * few or too many cells. */
static void put_notes(struct import_report *r, const char *line,
		      const char *code, const char *message)
{
	uint8_t sep = r->source->separator;

	buf_put_str(&r->out, line);
	buf_put_u8(&r->out, sep);
	buf_put_str(&r->out, code);
	buf_put_u8(&r->out, sep);
	csv_put_cell(&r->out, sep, slice_str(message));
	buf_put_u8(&r->out, sep);
}

static void put_csv(struct import_report *r, const struct import_record *rec,
		    const char *message, const char *code)
{
	char line[24];

	(void)snprintf(line, sizeof(line), "%" PRIu64, rec->line);
	put_notes(r, line, code, message);
	buf_put(&r->out, without_notes(r, rec->raw, has_notes(r->source)));
	buf_put(&r->out, line_end(rec->raw));
}

static void put_csv_header(struct import_report *r)
{
	struct slice raw = buf_slice(&r->source->header);

	if (r->source->bom)
		buf_put_str(&r->out, "\xef\xbb\xbf");
	put_notes(r, notes[0], notes[1], notes[2]);
	buf_put(&r->out, without_notes(r, raw, has_notes(r->source)));
	buf_put(&r->out, line_end(raw));
}

static void put_json_notes(struct import_report *r, uint64_t line,
			   const char *code, const char *message)
{
	struct value text = value_str(slice_str(message));

	buf_put_str(&r->out, "\"_line\":");
	buf_put_dec(&r->out, line);
	buf_put_str(&r->out, ",\"_code\":\"");
	buf_put_str(&r->out, code);
	buf_put_str(&r->out, "\",\"_message\":");
	value_put_json(&text, &r->out);
}

/* Where the notes of an earlier rejects file begin, or the place of the
 * closing brace. */
static size_t body_end(struct slice s)
{
	static const char mark[] = ",\"_line\":";
	size_t n = sizeof(mark) - 1;

	for (size_t i = s.n; i >= n; i--) {
		if (memcmp(s.p + i - n, mark, n) == 0)
			return i - n;
	}
	return s.n - 1;
}

/* The members go into the object; a line that is none becomes one, with its
 * text in _original. Bytes that are not UTF-8 stay as they are. */
static void put_ndjson(struct import_report *r, const struct import_record *rec,
		       const char *message, const char *code)
{
	static const char own[] = "{\"_line\":";
	struct slice s = without_notes(r, rec->raw, false);
	struct value text;
	bool wrap;

	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	wrap = strcmp(code, "bad-json") == 0 || s.n < 2 || s.p[0] != '{' ||
	       s.p[s.n - 1] != '}';
	if (strcmp(code, "bad-encoding") == 0 ||
	    slice_starts(s, slice_str(own))) {
		buf_put(&r->out, s);
	} else if (wrap) {
		buf_put_u8(&r->out, '{');
		put_json_notes(r, rec->line, code, message);
		text = value_str(s);
		buf_put_str(&r->out, ",\"_original\":");
		value_put_json(&text, &r->out);
		buf_put_u8(&r->out, '}');
	} else {
		s.n = body_end(s);
		buf_put(&r->out, s);
		while (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')
			s.n--;
		if (s.n > 1) /* not only the brace */
			buf_put_u8(&r->out, ',');
		put_json_notes(r, rec->line, code, message);
		buf_put_u8(&r->out, '}');
	}
	buf_put_u8(&r->out, '\n');
}

static bool is_there(struct import_report *r, const char *path, struct buf *why)
{
	int handle;
	enum err e = r->c->io->open(r->c->io_arg, path, &handle, why);

	buf_reset(why);
	if (e == ERR_OK)
		(void)r->c->io->close(r->c->io_arg, handle);
	return e != ERR_NOT_FOUND;
}

/* FILE.rejects.csv, or FILE.rejects-2.csv and so on: what is there may have
 * been mended and is never overwritten. */
static enum err name_rejects(struct import_report *r, struct buf *why)
{
	const char *path = r->source->path;
	const char *end = r->source->format == IMPORT_CSV ? "csv" : "ndjson";
	size_t n = strlen(path) + 32;

	r->rejects = xmalloc(n);
	for (unsigned i = 1; i <= IMPORT_REJECTS_FILES; i++) {
		if (i == 1)
			(void)snprintf(r->rejects, n, "%s.rejects.%s", path,
				       end);
		else
			(void)snprintf(r->rejects, n, "%s.rejects-%u.%s", path,
				       i, end);
		if (!is_there(r, r->rejects, why))
			return ERR_OK;
	}
	buf_put_str(why, "there are too many rejects files of this file; "
			 "remove those that are done with");
	return ERR_LIMIT;
}

static void open_rejects(struct import_report *r)
{
	struct buf why;

	buf_init(&why, 4096);
	r->err = name_rejects(r, &why);
	if (r->err == ERR_OK)
		r->err = r->c->io->create(r->c->io_arg, r->rejects, &r->handle,
					  &why);
	if (r->err != ERR_OK) {
		r->handle = -1;
		import_report_clear(r);
		cmd_msg(r->c, "%s: %.*s", r->rejects, (int)why.n,
			(const char *)why.p);
	} else if (r->source->format == IMPORT_CSV) {
		put_csv_header(r);
	}
	buf_free(&why);
}

static void keep(struct import_report *r, const struct import_record *rec,
		 const char *message, const char *code)
{
	if (r->rejects == NULL)
		open_rejects(r);
	if (r->err != ERR_OK)
		return;
	if (r->source->format == IMPORT_CSV)
		put_csv(r, rec, message, code);
	else
		put_ndjson(r, rec, message, code);
	if (r->out.n >= REJECTS_FLUSH_BYTES)
		flush(r);
}

/* Messages. */

static void count(struct import_report *r, const char *code)
{
	uint32_t i = 0;

	while (i < r->code_count && strcmp(r->codes[i].code, code) != 0)
		i++;
	if (i == IMPORT_CODES)
		return;
	if (i == r->code_count)
		r->codes[r->code_count++].code = code;
	r->codes[i].count++;
}

/* Text from a file on a terminal: no control characters, and none of the
 * marks that turn its direction (U+202A..202E, U+2066..2069). */
static void put_safe(struct buf *out, struct slice s)
{
	size_t i = 0;

	while (i < s.n) {
		const uint8_t *p = s.p + i;
		bool turns = i + 2 < s.n && p[0] == 0xe2 &&
			     ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			      (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));

		if (turns || p[0] < 0x20 || p[0] == 0x7f)
			buf_put_u8(out, '?');
		else
			buf_put_u8(out, p[0]);
		i += turns ? 3 : 1;
	}
}

static void show(struct import_report *r, const struct import_record *rec,
		 const struct complaint *why)
{
	struct buf line;

	buf_init(&line, 8192);
	put_safe(&line, slice_str(r->source->path));
	buf_put_u8(&line, ':');
	buf_put_dec(&line, rec->line);
	buf_put_str(&line, ": row ");
	buf_put_dec(&line, rec->row);
	if (why->field[0] != '\0') {
		buf_put_str(&line, r->source->format == IMPORT_CSV
					   ? ", column "
					   : ", field ");
		put_safe(&line, slice_str(why->field));
	}
	buf_put_str(&line, ": ");
	buf_put_str(&line, why->code);
	buf_put_str(&line, ": ");
	put_safe(&line, slice_str(why->message));
	if (why->cure[0] != '\0') {
		buf_put_str(&line, "; ");
		put_safe(&line, slice_str(why->cure));
	}
	buf_put_u8(&line, '\n');
	import_report_clear(r);
	r->c->io->write(r->c->io_arg, 2, buf_slice(&line));
	buf_free(&line);
}

void import_report_row(struct import_report *r, const struct import_record *rec,
		       const struct complaint *why)
{
	char message[sizeof(why->message) + sizeof(why->cure) +
		     sizeof(why->field) + 8];

	r->rejected++;
	count(r, why->code);
	if (r->rejected <= IMPORT_SHOWN)
		show(r, rec, why);
	if (!r->keep)
		return;
	(void)snprintf(message, sizeof(message), "%s%s%s%s%s", why->field,
		       why->field[0] != '\0' ? ": " : "", why->message,
		       why->cure[0] != '\0' ? "; " : "", why->cure);
	keep(r, rec, message, why->code);
}

void import_report_drop(struct import_report *r)
{
	if (r->c == NULL)
		return; /* it was never begun */
	if (r->handle >= 0)
		r->c->io->discard(r->c->io_arg, r->handle);
	r->handle = -1;
	free(r->rejects);
	r->rejects = NULL;
	r->err = ERR_OK;
	r->keep = false;
}

enum err import_report_end(struct import_report *r)
{
	import_report_clear(r);
	if (r->rejected > IMPORT_SHOWN) {
		cmd_msg(r->c, "%s: %" PRIu64 " more rows were rejected; all:",
			r->source->path, r->rejected - IMPORT_SHOWN);
		for (uint32_t i = 0; i < r->code_count; i++)
			cmd_msg(r->c, "  %8" PRIu64 "  %s", r->codes[i].count,
				r->codes[i].code);
	}
	if (r->handle < 0)
		return r->err;
	flush(r);
	if (r->err == ERR_OK) {
		r->err = r->c->io->close(r->c->io_arg, r->handle);
		r->handle = -1;
	}
	if (r->err != ERR_OK)
		cmd_msg(r->c, "%s: cannot be written: %s", r->rejects,
			err_text(r->err));
	return r->err;
}

/* Progress. */

static uint64_t monotonic_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void import_report_begin(struct import_report *r)
{
	r->begun_ms = monotonic_ms();
	r->shown_ms = r->begun_ms;
}

void import_report_clear(struct import_report *r)
{
	if (r->bar)
		r->c->io->write(r->c->io_arg, 2, SLICE_LIT("\r\033[K"));
	r->bar = false;
}

void import_report_progress(struct import_report *r, const char *what,
			    uint64_t rows, uint64_t total)
{
	uint64_t now;
	uint64_t ms;
	uint64_t rate;
	char text[160];
	int n;

	if (!r->c->err_is_tty)
		return;
	now = monotonic_ms();
	if (now - r->shown_ms < PROGRESS_MS)
		return;
	r->shown_ms = now;
	ms = now - r->begun_ms + 1;
	rate = rows * 1000 / ms;
	if (total == 0)
		n = snprintf(text, sizeof(text),
			     "\r\033[K%s  %" PRIu64 " rows  %.1f MB  %" PRIu64
			     "/s  %" PRIu64 " rejected",
			     what, rows, (double)r->source->bytes / 1e6, rate,
			     r->rejected);
	else
		n = snprintf(text, sizeof(text),
			     "\r\033[K%s  %" PRIu64 " %%  %" PRIu64
			     " of %" PRIu64 " rows  %" PRIu64 "/s  %" PRIu64
			     " s left",
			     what, rows * 100 / total, rows, total, rate,
			     rate > 0 ? (total - rows) / rate : 0);
	if (n <= 0 || (size_t)n >= sizeof(text))
		return;
	r->c->io->write(r->c->io_arg, 2, slice_of(text, (size_t)n));
	r->bar = true;
}
