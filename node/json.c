#include "node/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/text.h"

static enum err fail(struct json_fault *f, enum err e, const char *code,
		     const char *message)
{
	f->code = code;
	(void)snprintf(f->message, sizeof(f->message), "%s", message);
	return e;
}

/* The scan before the parser: bounds only, no grammar. */

struct scan {
	struct slice in;
	size_t at;
	uint32_t depth;
	uint32_t items;
	struct json_fault *f;
};

static void skip_string(struct scan *s)
{
	for (s->at++; s->at < s->in.n; s->at++) {
		if (s->in.p[s->at] == '\\')
			s->at++;
		else if (s->in.p[s->at] == '"')
			return;
	}
}

static bool is_number_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' ||
	       c == '+' || c == '-';
}

/* A double keeps JSON_DIGITS_MAX digits; more would be lost silently. */
static enum err scan_number(struct scan *s)
{
	size_t digits = 0;
	size_t zeros = 0;
	bool whole = true;
	bool exponent = false;

	for (; s->at < s->in.n && is_number_byte(s->in.p[s->at]); s->at++) {
		uint8_t c = s->in.p[s->at];

		if (c == 'e' || c == 'E')
			exponent = true;
		if (c == '.' || exponent)
			whole = false;
		if (exponent || c < '0' || c > '9')
			continue;
		if (c == '0') {
			zeros += digits > 0;
			continue;
		}
		digits += zeros + 1;
		zeros = 0;
	}
	s->at--;
	if (!whole && digits > JSON_DIGITS_MAX)
		return fail(s->f, ERR_MALFORMED, "too-precise",
			    "a decimal has more than 15 digits");
	return ERR_OK;
}

static enum err scan_byte(struct scan *s)
{
	switch (s->in.p[s->at]) {
	case '{':
	case '[':
		if (++s->depth > LIMIT_DEPTH)
			return fail(s->f, ERR_LIMIT, "too-deep",
				    "values are nested more than 8 deep");
		break;
	case '}':
	case ']':
		s->depth -= s->depth > 0;
		break;
	case ',':
	case ':':
		if (++s->items > LIMIT_ITEMS)
			return fail(s->f, ERR_LIMIT, "too-many",
				    "there are too many values");
		break;
	case '"':
		skip_string(s);
		break;
	case '\0': /* the parser takes one behind a number for the end */
		return fail(s->f, ERR_MALFORMED, "bad-json",
			    "there is a zero byte");
	default:
		if (is_number_byte(s->in.p[s->at]) &&
		    (s->in.p[s->at] == '-' || s->in.p[s->at] <= '9'))
			return scan_number(s);
		break;
	}
	return ERR_OK;
}

static enum err scan(struct slice in, struct json_fault *f)
{
	struct scan s = { .in = in, .f = f };
	enum err e = ERR_OK;

	if (in.n > LIMIT_LINE_BYTES)
		return fail(f, ERR_LIMIT, "too-large",
			    "the text is longer than 1 MiB");
	for (; s.at < in.n && e == ERR_OK; s.at++)
		e = scan_byte(&s);
	if (e != ERR_OK)
		f->at = s.at - 1;
	return e;
}

/* From jansson's tree to ours. */

struct taker {
	struct arena *a;
	struct json_fault *f;
};

static enum err full(struct taker *t)
{
	return fail(t->f, ERR_LIMIT, "too-large", "the text is too large");
}

static enum err take(struct taker *t, json_t *j, struct value *out);

static enum err take_text(struct taker *t, const char *p, size_t n,
			  struct slice *out)
{
	return arena_copy(t->a, slice_of(p, n), out) == ERR_OK ? ERR_OK
							       : full(t);
}

/* The fewest digits that give the same double. */
static enum err take_real(struct taker *t, double d, struct value *out)
{
	char text[40];
	int n;

	d += 0.0; /* there is only one zero */
	n = snprintf(text, sizeof(text), "%.15g", d);

	if (strtod(text, NULL) != d)
		n = snprintf(text, sizeof(text), "%.17g", d);
	out->type = VALUE_DECIMAL;
	return take_text(t, text, (size_t)n, &out->s);
}

static enum err take_array(struct taker *t, json_t *j, struct value *out)
{
	size_t n = json_array_size(j);
	enum err e = ERR_OK;

	if (value_array(t->a, (uint32_t)n, out) != ERR_OK)
		return full(t);
	for (size_t i = 0; i < n && e == ERR_OK; i++)
		e = take(t, json_array_get(j, i), &out->items[i]);
	return e;
}

static enum err take_object(struct taker *t, json_t *j, struct value *out)
{
	const char *name;
	json_t *member;
	struct value_pair *p;
	enum err e = ERR_OK;

	if (value_map(t->a, (uint32_t)json_object_size(j), out) != ERR_OK)
		return full(t);
	out->count = 0;
	json_object_foreach(j, name, member)
	{
		if (json_is_null(member))
			continue;
		p = &out->pairs[out->count++];
		e = take_text(t, name, strlen(name), &p->key);
		if (e == ERR_OK)
			e = take(t, member, &p->value);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* Depth was bounded by scan(). */
static enum err take(struct taker *t, json_t *j, struct value *out)
{
	json_int_t i;

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return take_object(t, j, out);
	case JSON_ARRAY:
		return take_array(t, j, out);
	case JSON_STRING:
		out->type = VALUE_STR;
		return take_text(t, json_string_value(j), json_string_length(j),
				 &out->s);
	case JSON_INTEGER:
		i = json_integer_value(j);
		out->type = i < 0 ? VALUE_INT : VALUE_UINT;
		if (i < 0)
			out->i = i;
		else
			out->u = (uint64_t)i;
		return ERR_OK;
	case JSON_REAL:
		return take_real(t, json_real_value(j), out);
	case JSON_TRUE:
	case JSON_FALSE:
		*out = value_bool(json_is_true(j));
		return ERR_OK;
	case JSON_NULL:
		break;
	}
	return fail(t->f, ERR_MALFORMED, "null-value",
		    "null is no value; leave it out");
}

/* What jansson says ends with "near '...'", which may quote personal
 * data. */
static enum err refuse(struct json_fault *f, const json_error_t *error)
{
	const char *near = strstr(error->text, " near ");
	size_t n = near != NULL ? (size_t)(near - error->text)
				: strlen(error->text);
	const char *code = "bad-json";

	if (json_error_code(error) == json_error_duplicate_key)
		code = "duplicate-name";
	else if (json_error_code(error) == json_error_invalid_utf8)
		code = "bad-encoding";
	f->code = code;
	f->at = error->position > 0 ? (size_t)error->position - 1 : 0;
	(void)snprintf(f->message, sizeof(f->message), "%.*s", (int)n,
		       error->text);
	return ERR_MALFORMED;
}

enum err json_parse(struct slice text, struct arena *a, struct value *out,
		    struct json_fault *fault)
{
	struct taker t = { a, fault };
	json_error_t error;
	json_t *j;
	enum err e;

	*fault = (struct json_fault){ .code = "" };
	*out = (struct value){ .type = VALUE_MAP };
	e = scan(text, fault);
	if (e != ERR_OK)
		return e;
	/* jansson takes an empty text for a NULL pointer. */
	j = json_loadb(text.n > 0 ? (const char *)text.p : "", text.n,
		       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (j == NULL)
		return refuse(fault, &error);
	e = take(&t, j, out);
	json_decref(j);
	return e;
}
