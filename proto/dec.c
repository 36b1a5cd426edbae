#include "dec.h"

#include <string.h>

#include "limits.h"
#include "text.h"

/* The first bytes of a value: its type, and its number, length or count. */
struct head {
	enum dec_type type;
	uint64_t n; /* UINT, BOOL; bytes of STR, BIN; items; pairs */
	int64_t i; /* INT */
	size_t bytes; /* of the head itself */
};

/* How the byte that leads a value is read when it is not a fix form. */
struct form {
	uint8_t type; /* enum dec_type; DEC_END: not allowed */
	uint8_t bytes; /* of the big-endian number that follows */
	bool negative; /* the number is signed and below zero */
	uint64_t least; /* smaller ones have a shorter form */
};

/* Lead bytes 0xc0 to 0xdf (PROTOCOL.md 3.1). nil, floats and ext are not in
 * the table and therefore DEC_END. A signed form is allowed where no shorter
 * one holds the number: @least is then the magnitude. */
static const struct form forms[32] = {
	[0x00] = { .type = DEC_END },
	[0x01] = { .type = DEC_END },
	[0x02] = { .type = DEC_BOOL },
	[0x03] = { .type = DEC_BOOL },
	[0x04] = { .type = DEC_BIN, .bytes = 1 },
	[0x05] = { .type = DEC_BIN, .bytes = 2, .least = 1u << 8 },
	[0x06] = { .type = DEC_BIN, .bytes = 4, .least = 1u << 16 },
	[0x07] = { .type = DEC_END },
	[0x08] = { .type = DEC_END },
	[0x09] = { .type = DEC_END },
	[0x0a] = { .type = DEC_END },
	[0x0b] = { .type = DEC_END },
	[0x0c] = { .type = DEC_UINT, .bytes = 1, .least = 1u << 7 },
	[0x0d] = { .type = DEC_UINT, .bytes = 2, .least = 1u << 8 },
	[0x0e] = { .type = DEC_UINT, .bytes = 4, .least = 1u << 16 },
	[0x0f] = { .type = DEC_UINT, .bytes = 8, .least = 1ull << 32 },
	[0x10] = { DEC_INT, 1, true, 32 },
	[0x11] = { DEC_INT, 2, true, 1u << 7 },
	[0x12] = { DEC_INT, 4, true, 1u << 15 },
	[0x13] = { DEC_INT, 8, true, 1ull << 31 },
	[0x14] = { .type = DEC_END },
	[0x15] = { .type = DEC_END },
	[0x16] = { .type = DEC_END },
	[0x17] = { .type = DEC_END },
	[0x18] = { .type = DEC_END },
	[0x19] = { .type = DEC_STR, .bytes = 1, .least = 32 },
	[0x1a] = { .type = DEC_STR, .bytes = 2, .least = 1u << 8 },
	[0x1b] = { .type = DEC_STR, .bytes = 4, .least = 1u << 16 },
	[0x1c] = { .type = DEC_ARRAY, .bytes = 2, .least = 16 },
	[0x1d] = { .type = DEC_ARRAY, .bytes = 4, .least = 1u << 16 },
	[0x1e] = { .type = DEC_MAP, .bytes = 2, .least = 16 },
	[0x1f] = { .type = DEC_MAP, .bytes = 4, .least = 1u << 16 },
};

static uint64_t get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* The signed number of @bytes bytes whose bits are @v. */
static int64_t sign_extend(uint64_t v, size_t bytes)
{
	uint64_t sign = 1ull << (bytes * 8 - 1);

	return v & sign ? -(int64_t)(sign - (v ^ sign) - 1) - 1 : (int64_t)v;
}

static enum err fail(enum err e, const char **why, const char *clause)
{
	*why = clause;
	return e;
}

/* A value that is led by 0xc0 to 0xdf. */
static enum err read_long(struct slice s, struct head *h, const char **why)
{
	const struct form *f = &forms[s.p[0] & 0x1f];

	h->type = (enum dec_type)f->type;
	h->bytes = 1u + f->bytes;
	if (h->type == DEC_END)
		return fail(ERR_MALFORMED, why, "3.1: nil, float or ext");
	if (h->bytes > s.n)
		return fail(ERR_TRUNCATED, why, "3.1: input ends in a value");
	if (h->type == DEC_BOOL) {
		h->n = s.p[0] & 1;
		return ERR_OK;
	}
	h->n = get_be(s.p + 1, f->bytes);
	if (f->negative) {
		h->i = sign_extend(h->n, f->bytes);
		if (h->i >= 0)
			return fail(ERR_MALFORMED, why,
				    "3.2: non-negative integer in signed form");
		/* Two's complement: the magnitude of -n is ~(-n) + 1. */
		h->n = ~(uint64_t)h->i + 1;
		if (h->n <= f->least)
			return fail(ERR_MALFORMED, why,
				    "3.2: not the shortest form");
		return ERR_OK;
	}
	if (h->n < f->least)
		return fail(ERR_MALFORMED, why, "3.2: not the shortest form");
	return ERR_OK;
}

/* Compare what @h announces with what is left behind it: content that is
 * not there cannot be meant, and is never provided for. */
static enum err check_room(struct slice s, const struct head *h,
			   const char **why)
{
	size_t left = s.n - h->bytes;
	uint64_t need = 0;

	switch (h->type) {
	case DEC_STR:
	case DEC_BIN:
		need = h->n;
		break;
	case DEC_ARRAY:
	case DEC_MAP:
		if (h->n > LIMIT_ITEMS)
			return fail(ERR_LIMIT, why, "3.3: too many values");
		need = h->type == DEC_MAP ? 2 * h->n : h->n;
		break;
	case DEC_UINT:
	case DEC_INT:
	case DEC_BOOL:
	case DEC_END:
		break;
	}
	if (need > left)
		return fail(ERR_TRUNCATED, why, "3.1: input ends in a value");
	return ERR_OK;
}

/* Read the head of the value that @s begins with, in canonical form. */
static enum err read_head(struct slice s, struct head *h, const char **why)
{
	enum err e;
	uint8_t c;

	if (s.n == 0)
		return fail(ERR_TRUNCATED, why, "3.1: input ends in a value");
	c = s.p[0];
	*h = (struct head){ .type = DEC_UINT, .n = c, .bytes = 1 };
	if (c < 0x80)
		return ERR_OK;
	if (c >= 0xe0) {
		h->type = DEC_INT;
		h->i = (int64_t)c - 0x100;
		return ERR_OK;
	}
	if (c >= 0xc0) {
		e = read_long(s, h, why);
		if (e != ERR_OK)
			return e;
	} else if (c >= 0xa0) {
		h->type = DEC_STR;
		h->n = c & 0x1f;
	} else {
		h->type = c >= 0x90 ? DEC_ARRAY : DEC_MAP;
		h->n = c & 0x0f;
	}
	return check_room(s, h, why);
}

static void advance(struct slice *s, size_t n)
{
	*s = slice_of(s->p + n, s->n - n);
}

/* The scan. */

/* A container that is being read. */
struct level {
	uint32_t left; /* values to come; of a map keys and values */
	bool map;
	bool keyed; /* a key was read in this map */
	struct slice key; /* the last one */
};

struct scan {
	struct slice in; /* what is left */
	uint32_t items; /* values met */
	uint32_t depth; /* open containers */
	struct level levels[LIMIT_DEPTH];
	const char *why;
};

/* The next value is a key of @l: a string above the one before. */
static enum err check_key(struct scan *s, struct level *l, struct head h,
			  struct slice text)
{
	if (h.type != DEC_STR)
		return fail(ERR_MALFORMED, &s->why, "3.2: key is no string");
	if (l->keyed && slice_compare(l->key, text) >= 0)
		return fail(ERR_MALFORMED, &s->why,
			    "3.2: keys not sorted or not unique");
	l->key = text;
	l->keyed = true;
	return ERR_OK;
}

static enum err open_level(struct scan *s, struct head h)
{
	if (s->depth == LIMIT_DEPTH)
		return fail(ERR_LIMIT, &s->why, "3.3: too deep");
	s->levels[s->depth++] = (struct level){
		.left = (uint32_t)(h.type == DEC_MAP ? 2 * h.n : h.n),
		.map = h.type == DEC_MAP,
	};
	return ERR_OK;
}

/* Take one value, or the head of a container, off the input. */
static enum err scan_value(struct scan *s)
{
	struct level *l = s->depth > 0 ? &s->levels[s->depth - 1] : NULL;
	bool key = l != NULL && l->map && l->left % 2 == 0;
	struct slice content = { NULL, 0 };
	struct head h;
	enum err e = read_head(s->in, &h, &s->why);

	if (e != ERR_OK)
		return e;
	if (++s->items > LIMIT_ITEMS)
		return fail(ERR_LIMIT, &s->why, "3.3: too many values");
	advance(&s->in, h.bytes);
	if (h.type == DEC_STR || h.type == DEC_BIN) {
		content = slice_of(s->in.p, (size_t)h.n);
		advance(&s->in, content.n);
	}
	if (h.type == DEC_STR && !text_is_utf8(content))
		return fail(ERR_MALFORMED, &s->why, "3.2: not UTF-8");
	if (key && (e = check_key(s, l, h, content)) != ERR_OK)
		return e;
	if (l != NULL)
		l->left--;
	if (h.type == DEC_ARRAY || h.type == DEC_MAP)
		return open_level(s, h);
	return ERR_OK;
}

enum err dec_scan(struct slice in, const char **why)
{
	struct scan s;
	enum err e;

	s.in = in;
	s.items = 0;
	s.depth = 0;
	s.why = "";
	do {
		e = scan_value(&s);
		while (s.depth > 0 && s.levels[s.depth - 1].left == 0)
			s.depth--;
	} while (e == ERR_OK && s.depth > 0);
	if (e == ERR_OK && s.in.n > 0)
		e = fail(ERR_MALFORMED, &s.why, "3.2: bytes after the value");
	if (why != NULL)
		*why = s.why;
	return e;
}

/* The cursor. */

void dec_init(struct dec *d, struct slice s)
{
	d->in = s;
	d->err = ERR_OK;
}

static void set_err(struct dec *d, enum err e)
{
	if (d->err == ERR_OK)
		d->err = e;
}

enum dec_type dec_peek(const struct dec *d)
{
	const char *why;
	struct head h;

	if (d->err != ERR_OK || d->in.n == 0)
		return DEC_END;
	return read_head(d->in, &h, &why) == ERR_OK ? h.type : DEC_END;
}

/* Take the head of a value that must be of type @want. */
static bool take_head(struct dec *d, enum dec_type want, struct head *h)
{
	const char *why;

	if (d->err != ERR_OK)
		return false;
	d->err = read_head(d->in, h, &why);
	if (d->err == ERR_OK && h->type != want)
		d->err = ERR_MALFORMED;
	if (d->err != ERR_OK)
		return false;
	advance(&d->in, h->bytes);
	return true;
}

uint32_t dec_array(struct dec *d)
{
	struct head h;

	return take_head(d, DEC_ARRAY, &h) ? (uint32_t)h.n : 0;
}

void dec_array_of(struct dec *d, uint32_t want)
{
	if (dec_array(d) != want)
		set_err(d, ERR_MALFORMED);
}

uint32_t dec_map(struct dec *d)
{
	struct head h;

	return take_head(d, DEC_MAP, &h) ? (uint32_t)h.n : 0;
}

uint64_t dec_uint(struct dec *d)
{
	struct head h;

	return take_head(d, DEC_UINT, &h) ? h.n : 0;
}

uint64_t dec_uint_max(struct dec *d, uint64_t max)
{
	uint64_t v = dec_uint(d);

	if (v <= max)
		return v;
	set_err(d, ERR_LIMIT);
	return 0;
}

int64_t dec_int(struct dec *d)
{
	struct head h;

	if (dec_peek(d) != DEC_INT)
		return (int64_t)dec_uint_max(d, INT64_MAX);
	return take_head(d, DEC_INT, &h) ? h.i : 0;
}

bool dec_bool(struct dec *d)
{
	struct head h;

	return take_head(d, DEC_BOOL, &h) && h.n == 1;
}

static struct slice take_bytes(struct dec *d, enum dec_type want)
{
	struct slice s = { NULL, 0 };
	struct head h;

	if (!take_head(d, want, &h))
		return s;
	s = slice_of(d->in.p, (size_t)h.n);
	advance(&d->in, s.n);
	return s;
}

struct slice dec_str(struct dec *d)
{
	return take_bytes(d, DEC_STR);
}

struct slice dec_bin(struct dec *d)
{
	return take_bytes(d, DEC_BIN);
}

void dec_bin_into(struct dec *d, uint8_t *out, size_t n)
{
	struct slice s = dec_bin(d);

	if (s.n != n)
		set_err(d, ERR_MALFORMED);
	if (n == 0)
		return;
	if (d->err == ERR_OK)
		memcpy(out, s.p, n);
	else
		memset(out, 0, n);
}

struct slice dec_skip(struct dec *d)
{
	struct slice from = d->in;
	uint64_t left = 1; /* values still to be taken */
	const char *why;
	struct head h;

	while (d->err == ERR_OK && left > 0) {
		d->err = read_head(d->in, &h, &why);
		if (d->err != ERR_OK)
			break;
		advance(&d->in, h.bytes);
		left--;
		if (h.type == DEC_STR || h.type == DEC_BIN)
			advance(&d->in, (size_t)h.n);
		else if (h.type == DEC_ARRAY)
			left += h.n;
		else if (h.type == DEC_MAP)
			left += 2 * h.n;
	}
	if (d->err != ERR_OK)
		return slice_of(NULL, 0);
	return slice_of(from.p, from.n - d->in.n);
}

enum err dec_finish(const struct dec *d)
{
	if (d->err == ERR_OK && d->in.n > 0)
		return ERR_MALFORMED;
	return d->err;
}

/* Look-ups. */

bool dec_find(struct slice map, const char *key, struct slice *value)
{
	struct slice want = slice_str(key);
	struct slice skipped;
	struct slice here;
	uint32_t pairs;
	struct dec d;
	int order;

	dec_init(&d, map);
	pairs = dec_map(&d);
	for (uint32_t i = 0; i < pairs; i++) {
		here = dec_str(&d);
		order = slice_compare(here, want);
		/* Keys are sorted: what is not met by now is not there. */
		if (d.err != ERR_OK || order > 0)
			return false;
		skipped = dec_skip(&d);
		if (order == 0) {
			*value = skipped;
			return d.err == ERR_OK;
		}
	}
	return false;
}

struct slice dec_find_str(struct slice map, const char *key)
{
	struct slice value;
	struct dec d;

	if (!dec_find(map, key, &value))
		return slice_of(NULL, 0);
	dec_init(&d, value);
	return dec_str(&d);
}

uint64_t dec_find_uint(struct slice map, const char *key, uint64_t absent)
{
	struct slice value;
	struct dec d;
	uint64_t v;

	if (!dec_find(map, key, &value))
		return absent;
	dec_init(&d, value);
	v = dec_uint(&d);
	return d.err == ERR_OK ? v : absent;
}
