#include "schema.h"

#include <string.h>

#include "dec.h"
#include "schema_text.h"
#include "text.h"

/* Look-ups. */

const struct schema *schema_of(uint32_t kind)
{
	const struct schema *s;

	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		if (s->kind == kind)
			return s;
	}
	return NULL;
}

const struct schema *schema_by_plural(struct slice name)
{
	const struct schema *s;

	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		if (slice_is(name, s->plural))
			return s;
	}
	return NULL;
}

const struct schema *schema_by_name(struct slice name)
{
	const struct schema *s;

	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		if (slice_is(name, s->name))
			return s;
	}
	return NULL;
}

const struct field *schema_field(const struct shape *s, struct slice name)
{
	for (size_t i = 0; i < s->count; i++) {
		if (slice_is(name, s->fields[i].name))
			return &s->fields[i];
	}
	return NULL;
}

int field_rank(const struct field *f, struct slice word)
{
	for (int i = 0; f->words[i] != NULL; i++) {
		if (slice_is(word, f->words[i]))
			return i;
	}
	return -1;
}

const char *schema_warning_code(enum schema_warning w)
{
	static const char *const codes[WARNING_COUNT] = {
		[WARNING_FUTURE_DATE] = "future-date",
		[WARNING_LINE_BREAK] = "line-break",
		[WARNING_ODD_CODE] = "odd-code",
		[WARNING_MOJIBAKE] = "garbled-text",
		[WARNING_UNKNOWN_OFFER] = "unknown-offer",
	};

	return codes[w];
}

const char *schema_warning_text(enum schema_warning w)
{
	static const char *const texts[WARNING_COUNT] = {
		[WARNING_FUTURE_DATE] = "dates lie in the future",
		[WARNING_LINE_BREAK] =
			"texts were set in lines; the breaks became blanks",
		[WARNING_ODD_CODE] = "codes have blanks at an end, or neither "
				     "a letter nor a digit",
		[WARNING_MOJIBAKE] = "texts look as if their letters had been "
				     "read in a wrong encoding",
		[WARNING_UNKNOWN_OFFER] =
			"credentials name an offer, or a version of one, that "
			"is not in the own log",
	};

	return texts[w];
}

/* A stored body against the table. */

struct check {
	bool newer; /* a field or word that the table lacks */
	struct complaint *c; /* may be NULL */
};

static bool bad(struct check *k, const char *field, const char *message)
{
	complain(k->c, "bad-body", field, message, "");
	return false;
}

static bool check_shape(struct check *k, const struct shape *s, struct dec *d);

static bool check_languages(struct check *k, const struct field *f,
			    struct dec *d)
{
	uint32_t pairs = dec_map(d);
	struct slice text;

	for (uint32_t i = 0; i < pairs && d->err == ERR_OK; i++) {
		if (!text_is_language(dec_str(d)))
			return bad(k, f->name, "not a language");
		text = dec_str(d);
		if (text.n == 0 || text.n > LIMIT_TEXT_BYTES ||
		    !text_is_canonical(text))
			return bad(k, f->name, "not a canonical text");
	}
	if (d->err != ERR_OK || pairs == 0)
		return bad(k, f->name, "not texts by language");
	return true;
}

static bool check_text(struct check *k, const struct field *f, struct dec *d)
{
	struct slice s = dec_str(d);

	if (d->err != ERR_OK || s.n == 0 || !text_is_canonical(s))
		return bad(k, f->name, "not a canonical text");
	if (f->type == FIELD_ENUM && field_rank(f, s) < 0) {
		if (!k->newer)
			(void)bad(k, f->name, "a word that is not known here");
		k->newer = true;
		return true;
	}
	if (!field_has_form(f, s))
		return bad(k, f->name, "not of the field's form");
	return true;
}

static bool check_number(struct check *k, const struct field *f, struct dec *d)
{
	uint64_t v = dec_uint(d);
	uint64_t max = UINT64_MAX;

	if (f->type == FIELD_UINT && f->max != 0)
		max = f->max;
	if (d->err != ERR_OK || v < f->min || v > max)
		return bad(k, f->name, "not a number within the field's range");
	return true;
}

static bool check_item(struct check *k, const struct field *f, struct dec *d)
{
	switch (f->type) {
	case FIELD_OBJECT:
		return check_shape(k, f->shape, d);
	case FIELD_LANGUAGE_MAP:
		return check_languages(k, f, d);
	case FIELD_UINT:
	case FIELD_HUNDREDTHS:
	case FIELD_POSITION:
		return check_number(k, f, d);
	case FIELD_BOOL:
		(void)dec_bool(d);
		return d->err == ERR_OK || bad(k, f->name, "not a boolean");
	case FIELD_ID:
	case FIELD_CODE:
	case FIELD_TEXT:
	case FIELD_DATE:
	case FIELD_INSTANT:
	case FIELD_ENUM:
	case FIELD_DOMAIN:
	case FIELD_COUNTRY:
	case FIELD_LANGUAGE:
	case FIELD_ISCED:
	case FIELD_URI:
	case FIELD_MAILBOX:
	case FIELD_SHA256:
	case FIELD_NUMBER:
		break;
	}
	return check_text(k, f, d);
}

static bool check_field(struct check *k, const struct field *f, struct dec *d)
{
	uint32_t items;

	if ((f->flags & FIELD_IS_LIST) == 0)
		return check_item(k, f, d);
	items = dec_array(d);
	if (d->err != ERR_OK || items == 0 || items > LIMIT_LIST_ITEMS)
		return bad(k, f->name, "not a list of 1 to 1024 items");
	for (uint32_t i = 0; i < items; i++) {
		if (!check_item(k, f, d))
			return false;
	}
	return true;
}

/* Depth is bounded by the tables. */
static bool check_shape(struct check *k, const struct shape *s, struct dec *d)
{
	uint32_t pairs = dec_map(d);
	uint64_t seen = 0;
	const struct field *f;

	if (d->err != ERR_OK || pairs == 0)
		return bad(k, "", "not a map with fields");
	for (uint32_t i = 0; i < pairs; i++) {
		f = schema_field(s, dec_str(d));
		if (f == NULL || (f->flags & FIELD_INPUT) != 0) {
			if (!k->newer)
				(void)bad(k, "", "an unknown field");
			k->newer = true;
			(void)dec_skip(d);
			continue;
		}
		seen |= 1ull << (f - s->fields);
		if (!check_field(k, f, d))
			return false;
	}
	for (size_t i = 0; i < s->count; i++) {
		f = &s->fields[i];
		if ((f->flags & (FIELD_REQUIRED | FIELD_INPUT)) ==
			    FIELD_REQUIRED &&
		    (seen & 1ull << i) == 0)
			return bad(k, f->name, "a required field is missing");
	}
	return true;
}

enum body_state schema_check_body(uint32_t kind, struct slice body,
				  struct complaint *c)
{
	const struct schema *s = schema_of(kind);
	struct check k = { .c = c };
	const char *why = "";
	struct dec d;

	if (dec_scan(body, &why) != ERR_OK) {
		complain(c, "bad-body", "", why, "");
		return BODY_INVALID;
	}
	if (s == NULL) {
		complain(c, "unknown-kind", "", "a kind that is not known here",
			 "");
		return BODY_NEWER;
	}
	dec_init(&d, body);
	if (!check_shape(&k, s->shape, &d))
		return BODY_INVALID;
	if (k.newer)
		return BODY_NEWER;
	if (s->check != NULL && !s->check(body, c))
		return BODY_INVALID;
	return BODY_OK;
}

bool schema_id(uint32_t kind, struct slice body,
	       uint8_t scratch[SCHEMA_SCRATCH_BYTES], struct slice *id)
{
	const struct schema *s = schema_of(kind);
	struct slice v;
	struct dec d;
	uint64_t position;
	size_t at = SCHEMA_SCRATCH_BYTES;

	if (s == NULL || !dec_find(body, s->id, &v))
		return false;
	dec_init(&d, v);
	if (dec_peek(&d) != DEC_UINT) {
		*id = dec_str(&d);
		return d.err == ERR_OK && id->n > 0;
	}
	position = dec_uint(&d);
	do {
		scratch[--at] = (uint8_t)('0' + position % 10);
		position /= 10;
	} while (position > 0);
	*id = slice_of(scratch + at, SCHEMA_SCRATCH_BYTES - at);
	return true;
}
