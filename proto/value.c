#include "value.h"

#include <assert.h>
#include <stdlib.h>

#include "dec.h"
#include "enc.h"
#include "limits.h"
#include "text.h"

struct value value_str(struct slice s)
{
	return (struct value){ .type = VALUE_STR, .s = s };
}

struct value value_uint(uint64_t u)
{
	return (struct value){ .type = VALUE_UINT, .u = u };
}

struct value value_bool(bool b)
{
	return (struct value){ .type = VALUE_BOOL, .b = b };
}

enum err value_array(struct arena *a, uint32_t count, struct value *out)
{
	struct value *items = arena_array(a, count, sizeof(*items));

	if (items == NULL)
		return ERR_LIMIT;
	*out = (struct value){ .type = VALUE_ARRAY, .count = count };
	out->items = items;
	return ERR_OK;
}

enum err value_map(struct arena *a, uint32_t count, struct value *out)
{
	struct value_pair *pairs = arena_array(a, count, sizeof(*pairs));

	if (pairs == NULL)
		return ERR_LIMIT;
	*out = (struct value){ .type = VALUE_MAP, .count = count };
	out->pairs = pairs;
	return ERR_OK;
}

const struct value *value_get(const struct value *v, const char *key)
{
	if (v == NULL || v->type != VALUE_MAP)
		return NULL;
	for (uint32_t i = 0; i < v->count; i++) {
		if (slice_is(v->pairs[i].key, key))
			return &v->pairs[i].value;
	}
	return NULL;
}

struct slice value_get_str(const struct value *v, const char *key)
{
	const struct value *field = value_get(v, key);

	if (field == NULL || field->type != VALUE_STR)
		return slice_of(NULL, 0);
	return field->s;
}

uint64_t value_get_uint(const struct value *v, const char *key, uint64_t absent)
{
	const struct value *field = value_get(v, key);

	if (field == NULL || field->type != VALUE_UINT)
		return absent;
	return field->u;
}

/* Encoding. */

struct writer {
	struct enc enc;
	enum err err; /* first fault of the tree itself */
	uint32_t items; /* values written */
	uint32_t depth; /* open containers */
};

static void set_err(struct writer *w, enum err e)
{
	if (w->err == ERR_OK)
		w->err = e;
}

static int compare_keys(const void *a, const void *b)
{
	const struct value_pair *x = a;
	const struct value_pair *y = b;

	return slice_compare(x->key, y->key);
}

static void write_str(struct writer *w, struct slice s)
{
	if (!text_is_utf8(s))
		set_err(w, ERR_MALFORMED);
	enc_str(&w->enc, s);
}

static void write_value(struct writer *w, struct value *v);

static void write_map(struct writer *w, struct value *v)
{
	struct slice key;

	if (v->count > 1)
		qsort(v->pairs, v->count, sizeof(*v->pairs), compare_keys);
	enc_map(&w->enc, v->count);
	for (uint32_t i = 0; i < v->count && w->err == ERR_OK; i++) {
		key = v->pairs[i].key;
		if (i > 0 && slice_equal(v->pairs[i - 1].key, key))
			set_err(w, ERR_MALFORMED);
		w->items++;
		write_str(w, key);
		write_value(w, &v->pairs[i].value);
	}
}

static void write_array(struct writer *w, struct value *v)
{
	enc_array(&w->enc, v->count);
	for (uint32_t i = 0; i < v->count && w->err == ERR_OK; i++)
		write_value(w, &v->items[i]);
}

static void write_container(struct writer *w, struct value *v)
{
	if (v->count > LIMIT_ITEMS || w->depth == LIMIT_DEPTH) {
		set_err(w, ERR_LIMIT);
		return;
	}
	w->depth++;
	if (v->type == VALUE_MAP)
		write_map(w, v);
	else
		write_array(w, v);
	w->depth--;
}

/* Recursive, to LIMIT_DEPTH. */
static void write_value(struct writer *w, struct value *v)
{
	if (w->err != ERR_OK)
		return;
	if (++w->items > LIMIT_ITEMS)
		set_err(w, ERR_LIMIT);
	switch (v->type) {
	case VALUE_UINT:
		enc_uint(&w->enc, v->u);
		break;
	case VALUE_INT:
		enc_int(&w->enc, v->i);
		break;
	case VALUE_DECIMAL:
		set_err(w, ERR_MALFORMED);
		break;
	case VALUE_BOOL:
		enc_bool(&w->enc, v->b);
		break;
	case VALUE_STR:
		write_str(w, v->s);
		break;
	case VALUE_BIN:
		enc_bin(&w->enc, v->s);
		break;
	case VALUE_ARRAY:
	case VALUE_MAP:
		write_container(w, v);
		break;
	}
}

enum err value_encode(struct value *v, struct buf *out)
{
	struct writer w = { .err = ERR_OK };
	enum err e;

	enc_init(&w.enc, out);
	write_value(&w, v);
	e = enc_finish(&w.enc);
	return w.err != ERR_OK ? w.err : e;
}

/* Decoding. */

static enum err read_value(struct dec *d, struct arena *a, struct value *out);

static enum err read_array(struct dec *d, struct arena *a, struct value *out)
{
	uint32_t count = dec_array(d);
	enum err e = value_array(a, count, out);

	for (uint32_t i = 0; i < count && e == ERR_OK; i++)
		e = read_value(d, a, &out->items[i]);
	return e;
}

static enum err read_map(struct dec *d, struct arena *a, struct value *out)
{
	uint32_t count = dec_map(d);
	enum err e = value_map(a, count, out);

	for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
		out->pairs[i].key = dec_str(d);
		e = read_value(d, a, &out->pairs[i].value);
	}
	return e;
}

/* Recursive, to LIMIT_DEPTH: the document was scanned. */
static enum err read_value(struct dec *d, struct arena *a, struct value *out)
{
	switch (dec_peek(d)) {
	case DEC_UINT:
		*out = value_uint(dec_uint(d));
		break;
	case DEC_INT:
		*out = (struct value){ .type = VALUE_INT, .i = dec_int(d) };
		break;
	case DEC_BOOL:
		*out = value_bool(dec_bool(d));
		break;
	case DEC_STR:
		*out = value_str(dec_str(d));
		break;
	case DEC_BIN:
		*out = (struct value){ .type = VALUE_BIN, .s = dec_bin(d) };
		break;
	case DEC_ARRAY:
		return read_array(d, a, out);
	case DEC_MAP:
		return read_map(d, a, out);
	case DEC_END:
		assert(0 && "the scan lets nothing else through");
	}
	return ERR_OK;
}

enum err value_decode(struct slice s, struct arena *a, struct value *out)
{
	enum err e = dec_scan(s, NULL);
	struct dec d;

	if (e != ERR_OK)
		return e;
	dec_init(&d, s);
	e = read_value(&d, a, out);
	return e != ERR_OK ? e : dec_finish(&d);
}

/* JSON. */

/* The letter that follows the backslash, 0 for none. */
static char short_escape(uint8_t c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

static void put_escape(struct buf *out, uint8_t c)
{
	char letter = short_escape(c);

	if (letter != 0) {
		buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)letter);
		return;
	}
	buf_put_str(out, "\\u00");
	text_put_hex(out, slice_of(&c, 1));
}

static void put_json_str(struct buf *out, struct slice s)
{
	size_t from = 0;

	buf_put_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\')
			continue;
		buf_put(out, slice_sub(s, from, i - from));
		put_escape(out, s.p[i]);
		from = i + 1;
	}
	buf_put(out, slice_sub(s, from, s.n - from));
	buf_put_u8(out, '"');
}

static void put_json_array(const struct value *v, struct buf *out)
{
	buf_put_u8(out, '[');
	for (uint32_t i = 0; i < v->count; i++) {
		if (i > 0)
			buf_put_u8(out, ',');
		value_put_json(&v->items[i], out);
	}
	buf_put_u8(out, ']');
}

static void put_json_map(const struct value *v, struct buf *out)
{
	buf_put_u8(out, '{');
	for (uint32_t i = 0; i < v->count; i++) {
		if (i > 0)
			buf_put_u8(out, ',');
		put_json_str(out, v->pairs[i].key);
		buf_put_u8(out, ':');
		value_put_json(&v->pairs[i].value, out);
	}
	buf_put_u8(out, '}');
}

static void put_json_int(struct buf *out, int64_t i)
{
	if (i < 0)
		buf_put_u8(out, '-');
	buf_put_dec(out, i < 0 ? ~(uint64_t)i + 1 : (uint64_t)i);
}

void value_put_json(const struct value *v, struct buf *out)
{
	switch (v->type) {
	case VALUE_UINT:
		buf_put_dec(out, v->u);
		break;
	case VALUE_INT:
		put_json_int(out, v->i);
		break;
	case VALUE_DECIMAL:
		buf_put(out, v->s);
		break;
	case VALUE_BOOL:
		buf_put_str(out, v->b ? "true" : "false");
		break;
	case VALUE_STR:
		put_json_str(out, v->s);
		break;
	case VALUE_BIN:
		buf_put_u8(out, '"');
		text_put_base64(out, v->s);
		buf_put_u8(out, '"');
		break;
	case VALUE_ARRAY:
		put_json_array(v, out);
		break;
	case VALUE_MAP:
		put_json_map(v, out);
		break;
	}
}
