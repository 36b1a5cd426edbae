#include "node/cmd.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

#define OUT_BYTES_MAX (16u << 20) /* one call of cmd_out */
#define MESSAGE_BYTES_MAX 65536u

/* ---- Output ----------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void
put_format(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	char small[512];
	int n = vsnprintf(small, sizeof(small), format, ap);
	if (n > 0 && (size_t)n < sizeof(small)) {
		buf_put(b, slice_of(small, (size_t)n));
	} else if (n > 0) {
		char *big = xmalloc((size_t)n + 1);
		vsnprintf(big, (size_t)n + 1, format, again);
		buf_put(b, slice_of(big, (size_t)n));
		free(big);
	}
	va_end(again);
}

void cmd_out(struct cmd *c, const char *format, ...)
{
	struct buf b;
	buf_init(&b, OUT_BYTES_MAX);
	va_list ap;
	va_start(ap, format);
	put_format(&b, format, ap);
	va_end(ap);
	cmd_out_slice(c, buf_slice(&b));
	buf_free(&b);
}

void cmd_out_slice(struct cmd *c, struct slice s)
{
	c->io->write(c->io_arg, 1, s);
}

struct value cmd_map(struct arena *a, uint32_t room)
{
	struct value v;
	enum err e = value_map(a, room, &v);
	assert(e == ERR_OK);
	v.count = 0;
	return v;
}

void cmd_set(struct value *map, const char *key, struct value v)
{
	map->pairs[map->count++] = (struct value_pair){ slice_str(key), v };
}

struct value cmd_str(struct arena *a, struct slice s)
{
	struct slice copy = { 0 };
	enum err e = arena_copy(a, s, &copy);
	assert(e == ERR_OK);
	return value_str(copy);
}

void cmd_out_json(struct cmd *c, const struct value *v)
{
	struct buf b;
	buf_init(&b, OUT_BYTES_MAX);
	value_put_json(v, &b);
	buf_put_u8(&b, '\n');
	cmd_out_slice(c, buf_slice(&b));
	buf_free(&b);
}

/* Bytes of the character at @s that must not reach a terminal, 0 if it may:
 * C0, DEL, C1 (as UTF-8), and the marks that turn the direction of text
 * (U+202A..202E, U+2066..2069). A byte that is not UTF-8 is no letter. */
static size_t unsafe_bytes(struct slice s)
{
	const uint8_t *p = s.p;
	if (p[0] < 0x20 || p[0] == 0x7f || p[0] == 0x9b)
		return 1;
	if (p[0] == 0xc2 && s.n > 1 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	if (p[0] != 0xe2 || s.n < 3)
		return 0;
	bool embeds = p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae;
	bool isolates = p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
	return embeds || isolates ? 3 : 0;
}

static void put_escaped(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		/* U+xxDB and the like hold 0x9b as a continuation byte. */
		size_t letter = 1;
		if (s.p[0] >= 0xc0)
			while (letter < s.n && letter < 4 &&
			       (s.p[letter] & 0xc0) == 0x80)
				letter++;
		size_t unsafe = unsafe_bytes(s);
		for (size_t i = 0; i < unsafe; i++) {
			buf_put_str(b, "\\x");
			text_put_hex(b, slice_sub(s, i, 1));
		}
		if (unsafe == 0)
			buf_put(b, slice_sub(s, 0, letter));
		s = slice_sub(s, unsafe ? unsafe : letter,
			      s.n - (unsafe ? unsafe : letter));
	}
}

void cmd_out_text(struct cmd *c, struct slice s)
{
	if (!c->out_is_tty) {
		cmd_out_slice(c, s);
		return;
	}
	struct buf b;
	buf_init(&b, OUT_BYTES_MAX);
	put_escaped(&b, s);
	cmd_out_slice(c, buf_slice(&b));
	buf_free(&b);
}

__attribute__((format(printf, 2, 0))) static void
put_message(struct cmd *c, const char *format, va_list ap)
{
	struct buf raw, line;
	buf_init(&raw, MESSAGE_BYTES_MAX);
	buf_init(&line, 4 * MESSAGE_BYTES_MAX + 64);
	put_format(&raw, format, ap);
	buf_put_str(&line, "symbolon: ");
	struct slice rest = buf_slice(&raw), part;
	/* Several lines are allowed: each is escaped by itself. */
	for (bool more = true; more;) {
		more = slice_cut(rest, '\n', &part, &rest);
		put_escaped(&line, part);
		buf_put_u8(&line, '\n');
		more = more && rest.n > 0;
	}
	c->io->write(c->io_arg, 2, buf_slice(&line));
	buf_free(&raw);
	buf_free(&line);
}

void cmd_msg(struct cmd *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	put_message(c, format, ap);
	va_end(ap);
}

/* "usage: symbolon import KIND FILE" and, below it, the other forms. */
static void put_forms(const struct cmd_entry *e, const char *first,
		      struct buf *out)
{
	struct slice rest = slice_str(e->synopsis), form;
	const char *lead = first;
	while (rest.n > 0) {
		slice_cut(rest, '\n', &form, &rest);
		buf_put_str(out, lead);
		buf_put_str(out, "symbolon ");
		buf_put(out, form);
		buf_put_u8(out, '\n');
		lead = "       ";
	}
}

int cmd_usage(struct cmd *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	put_message(c, format, ap);
	va_end(ap);
	const struct cmd_entry *e =
		c->entry ? c->entry : cmd_find(c->argc ? c->argv[0] : "");
	if (e) {
		struct buf b;
		buf_init(&b, MESSAGE_BYTES_MAX);
		put_forms(e, "usage: ", &b);
		c->io->write(c->io_arg, 2, buf_slice(&b));
		buf_free(&b);
	}
	return EXIT_USAGE;
}

int cmd_exit(enum err e)
{
	switch (e) {
	case ERR_OK:
		return EXIT_OK;
	case ERR_DENIED:
	case ERR_PIN:
	case ERR_ALLIANCE:
		return EXIT_NOT_ALLOWED;
	case ERR_CLOSED:
	case ERR_TIMEOUT:
	case ERR_SHUTDOWN:
		return EXIT_UNREACHABLE;
	case ERR_RECOVERING:
		return EXIT_REFUSED;
	case ERR_TRUNCATED:
	case ERR_MALFORMED:
	case ERR_LIMIT:
	case ERR_INVALID:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_BAD_STATE:
	case ERR_IO:
	case ERR_FULL:
	case ERR_BUSY:
	case ERR_UNSUPPORTED:
	case ERR_FORK:
	case ERR_CORRUPT:
	case ERR_WEAK_KEY:
	case ERR_VERSION:
	case ERR_DUPLICATE:
	case ERR_AMBIGUOUS:
		break;
	}
	return EXIT_FAILED;
}

/* ---- Files ------------------------------------------------------------ */

bool cmd_is_cancelled(struct cmd *c)
{
	return c->io->is_cancelled && c->io->is_cancelled(c->io_arg);
}

static bool is_named_by(const char *word, const char *path, bool create)
{
	size_t n = strlen(word);
	if (n == 0 || strncmp(word, path, n) != 0)
		return false;
	/* Reading a rejects file tells whether it is there. */
	if (!create && strncmp(path + n, ".rejects", 8) == 0)
		create = true;
	return path[n] == '\0' || (create && strchr(path + n, '/') == NULL);
}

bool cmd_names(int argc, char *const *argv, const char *path, bool create)
{
	if (strcmp(path, "-") == 0)
		return true;
	for (int i = 1; i < argc; i++) {
		const char *value = strncmp(argv[i], "--", 2) == 0
					    ? strchr(argv[i], '=')
					    : NULL;
		if (is_named_by(argv[i], path, create) ||
		    (value && is_named_by(value + 1, path, create)))
			return true;
	}
	return false;
}

enum err cmd_read_file(struct cmd *c, const char *path, size_t max,
		       struct buf *out)
{
	struct buf why;
	buf_init(&why, MESSAGE_BYTES_MAX);
	int handle = -1;
	enum err e = c->io->open(c->io_arg, path, &handle, &why);
	if (e) {
		cmd_msg(c, "%s: %.*s", path, (int)why.n, (const char *)why.p);
		buf_free(&why);
		return e;
	}
	buf_free(&why);
	uint8_t chunk[4096];
	size_t got = 0, total = 0;
	do {
		e = c->io->read(c->io_arg, handle, chunk, sizeof(chunk), &got);
		total += e ? 0 : got;
		if (!e && total > max)
			e = ERR_LIMIT;
		if (!e)
			buf_put(out, slice_of(chunk, got));
		if (!e)
			e = out->err;
	} while (!e && got > 0);
	c->io->discard(c->io_arg, handle);
	if (e == ERR_LIMIT)
		cmd_msg(c, "%s: longer than %zu bytes", path, max);
	else if (e)
		cmd_msg(c, "%s: cannot read: %s", path, err_text(e));
	return e;
}

/* ---- Running ---------------------------------------------------------- */

const struct cmd_entry *cmd_find_in(const struct cmd_entry *table,
				    const char *name)
{
	for (const struct cmd_entry *e = table; e->name; e++)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

const struct cmd_entry *cmd_find(const char *name)
{
	return cmd_find_in(cmd_table, name);
}

/* Is @word one of the blank-separated words of @list? */
static bool has_word(const char *list, const char *word)
{
	struct slice rest = slice_str(list), head;
	while (rest.n > 0) {
		slice_cut(rest, ' ', &head, &rest);
		if (head.n > 0 && slice_is(head, word))
			return true;
	}
	return false;
}

enum cmd_place cmd_place(const struct cmd_entry *e, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return CMD_HERE;
	if (e->home && argc > 1 && has_word(e->home, argv[1]))
		return CMD_HOME;
	return e->place;
}

void cmd_put_help(const struct cmd_entry *e, struct buf *out)
{
	put_forms(e, "usage: ", out);
	buf_put_u8(out, '\n');
	buf_put_str(out, e->summary);
	buf_put_u8(out, '\n');
	if (e->options) {
		buf_put_str(out, "\nOptions\n");
		buf_put_str(out, e->options);
	}
	if (e->example) {
		buf_put_str(out, "\nExample\n");
		struct slice rest = slice_str(e->example), line;
		while (rest.n > 0) {
			slice_cut(rest, '\n', &line, &rest);
			buf_put_str(out, "  ");
			buf_put(out, line);
			buf_put_u8(out, '\n');
		}
	}
}

int cmd_run(struct cmd *c, const struct cmd_entry *e)
{
	c->entry = e;
	if (!cmd_flag(c, "--help"))
		return e->run(c);
	struct buf b;
	buf_init(&b, MESSAGE_BYTES_MAX);
	cmd_put_help(e, &b);
	cmd_out_slice(c, buf_slice(&b));
	buf_free(&b);
	return EXIT_OK;
}
