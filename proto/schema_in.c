/* Documents into bodies. */

#include "schema.h"

#include <assert.h>
#include <string.h>

#include "dec.h"
#include "schema_text.h"
#include "text.h"

struct reader {
	struct schema_context *x;
	struct complaint *c;
};

static enum err read_item(struct reader *r, const struct field *f,
			  const struct value *v, struct value *out);
static enum err read_shape(struct reader *r, const struct shape *s,
			   const struct value *doc, struct value *out);

/* Absent by another name. */
static bool is_empty(const struct value *v)
{
	switch (v->type) {
	case VALUE_STR:
		return v->s.n == 0;
	case VALUE_ARRAY:
	case VALUE_MAP:
		return v->count == 0;
	case VALUE_UINT:
	case VALUE_INT:
	case VALUE_DECIMAL:
	case VALUE_BOOL:
	case VALUE_BIN:
		break;
	}
	return false;
}

static const char *wanted(const struct field *f)
{
	switch (f->type) {
	case FIELD_UINT:
	case FIELD_POSITION:
		return "write a whole number without quotes";
	case FIELD_HUNDREDTHS:
		return "write a number without quotes, such as 2.5";
	case FIELD_BOOL:
		return "write true or false without quotes";
	case FIELD_LANGUAGE_MAP:
		return "write texts by language, such as {\"en\": \"...\"}";
	case FIELD_OBJECT:
		return "write an object, {...}";
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
	return "write a text in quotes";
}

static enum err wrong_type(struct reader *r, const struct field *f)
{
	complain(r->c, "wrong-type", "", "the value is of another type",
		 wanted(f));
	return ERR_MALFORMED;
}

static enum err read_languages(struct reader *r, const struct field *f,
			       const struct value *v, struct value *out)
{
	enum err e;

	if (v->type != VALUE_MAP)
		return wrong_type(r, f);
	if (v->count > LIMIT_LIST_ITEMS ||
	    value_map(r->x->arena, v->count, out) != ERR_OK)
		return complain_size(r->c);
	for (uint32_t i = 0; i < v->count; i++) {
		const struct value_pair *p = &v->pairs[i];

		if (!text_is_language(p->key)) {
			(void)complain_value(r->c, f, "bad-language", p->key,
					     "is not a language tag");
			return complain_cure(r->c, "lower case, such as en or "
						   "pt-br");
		}
		if (p->value.type != VALUE_STR || p->value.s.n == 0) {
			complain(r->c, "wrong-type", "",
				 "the text of a language is no text or empty",
				 "write a text in quotes");
			return ERR_MALFORMED;
		}
		out->pairs[i].key = p->key;
		e = field_from_words(f, p->value.s, r->x, &out->pairs[i].value,
				     r->c);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

static enum err negative(struct reader *r)
{
	complain(r->c, "bad-number", "", "the number is negative",
		 "write one that is not below 0");
	return ERR_MALFORMED;
}

static enum err read_number(struct reader *r, const struct field *f,
			    const struct value *v, struct value *out)
{
	if (v->type == VALUE_INT)
		return negative(r);
	if (f->type == FIELD_UINT)
		return v->type == VALUE_UINT
			       ? field_from_number(f, v->u, out, r->c)
			       : wrong_type(r, f);
	if (v->type == VALUE_DECIMAL)
		return field_from_text(f, v->s, false, r->x, out, r->c);
	if (v->type != VALUE_UINT)
		return wrong_type(r, f);
	if (v->u > (1ull << 53) / 100) {
		complain(r->c, "bad-number", "", "the number is too large",
			 "such as 2.5");
		return ERR_MALFORMED;
	}
	*out = value_uint(v->u * 100);
	return ERR_OK;
}

static enum err read_item(struct reader *r, const struct field *f,
			  const struct value *v, struct value *out)
{
	if (f->type == FIELD_OBJECT)
		return v->type == VALUE_MAP ? read_shape(r, f->shape, v, out)
					    : wrong_type(r, f);
	if (f->type == FIELD_LANGUAGE_MAP)
		return read_languages(r, f, v, out);
	if (f->type == FIELD_UINT || f->type == FIELD_HUNDREDTHS)
		return read_number(r, f, v, out);
	if (f->type == FIELD_BOOL) {
		*out = *v;
		return v->type == VALUE_BOOL ? ERR_OK : wrong_type(r, f);
	}
	if (v->type != VALUE_STR)
		return wrong_type(r, f);
	return field_from_text(f, v->s, false, r->x, out, r->c);
}

static void under_index(struct complaint *c, uint32_t i)
{
	struct buf b;
	char text[24] = "";

	buf_init(&b, sizeof(text) - 1);
	buf_put_str(&b, "[");
	buf_put_dec(&b, i);
	buf_put_str(&b, "]");
	cut_put(text, sizeof(text), buf_slice(&b));
	buf_free(&b);
	complain_under(c, text);
}

static enum err read_list(struct reader *r, const struct field *f,
			  const struct value *v, struct value *out)
{
	enum err e;

	if (v->type != VALUE_ARRAY) {
		complain(r->c, "wrong-type", "", "the value is no list",
			 "write a list, [...]");
		return ERR_MALFORMED;
	}
	if (v->count > LIMIT_LIST_ITEMS) {
		complain(r->c, "too-many", "", "the list is too long",
			 "at most 1024 items");
		return ERR_LIMIT;
	}
	if (value_array(r->x->arena, v->count, out) != ERR_OK)
		return complain_size(r->c);
	for (uint32_t i = 0; i < v->count; i++) {
		e = ERR_OK;
		out->items[i] = v->items[i];
		if (!is_empty(&v->items[i]))
			e = read_item(r, f, &v->items[i], &out->items[i]);
		if (e == ERR_OK && is_empty(&out->items[i])) {
			complain(r->c, "empty-item", "", "the item is empty",
				 "remove it from the list");
			e = ERR_MALFORMED;
		}
		if (e != ERR_OK) {
			under_index(r->c, i);
			return e;
		}
	}
	return ERR_OK;
}

/* What the node sets itself. */
static struct value stored(const struct reader *r, const struct field *f)
{
	if (f->type == FIELD_POSITION)
		return value_uint(r->x->position);
	assert(f->type == FIELD_NUMBER);
	return value_str(r->x->number);
}

static enum err check_member(struct reader *r, const struct field *f,
			     const struct value *v)
{
	if ((f->flags & FIELD_MEMBER) == 0 || r->x->member.n == 0 ||
	    slice_equal(v->s, r->x->member))
		return ERR_OK;
	(void)complain_value(r->c, f, "other-member", v->s,
			     "is not the member whose log this is");
	return complain_cure(r->c, "import it at the node of that member");
}

/* One field of a document: into @out, unless it is input only. */
static enum err read_field(struct reader *r, const struct field *f,
			   const struct value *v, struct value *out)
{
	enum err e;

	if ((f->flags & FIELD_INPUT) != 0 && f->type == FIELD_OBJECT)
		return v->type == VALUE_MAP ? ERR_OK : wrong_type(r, f);
	e = (f->flags & FIELD_IS_LIST) != 0 ? read_list(r, f, v, out)
					    : read_item(r, f, v, out);
	if (e == ERR_OK)
		e = check_member(r, f, out);
	return e;
}

static enum err unknown(struct reader *r, struct slice name)
{
	char field[sizeof(r->c->field)] = "";

	/* A name is no value, but hostile input may put one there. */
	if (text_is_clean(name))
		cut_put(field, sizeof(field), name);
	complain(r->c, "unknown-field", field, "the field is not known",
		 "remove it or mend its name");
	return ERR_MALFORMED;
}

static enum err missing(struct reader *r, const struct field *f)
{
	complain(r->c, "missing-field", f->name, "a required field is missing",
		 "add it");
	return ERR_MALFORMED;
}

static bool is_set_by_node(const struct field *f)
{
	return (f->flags & FIELD_STORED) != 0 && (f->flags & FIELD_STANDS) == 0;
}

/* What nobody gave: set by the node, or missing. @stands: something was given
 * that stands for the input object. */
static enum err read_rest(struct reader *r, const struct shape *s,
			  uint64_t seen, struct value *out)
{
	const struct field *f;
	bool stands = false;

	for (size_t i = 0; i < s->count; i++)
		stands = stands || ((s->fields[i].flags & FIELD_STANDS) != 0 &&
				    (seen & 1ull << i) != 0);
	for (size_t i = 0; i < s->count; i++) {
		bool given = (seen & 1ull << i) != 0;
		bool input;

		f = &s->fields[i];
		input = f->type == FIELD_OBJECT &&
			(f->flags & FIELD_INPUT) != 0;
		if (stands && input && given) {
			complain(r->c, "learner-twice", f->name,
				 "both the learner's number and the subject "
				 "are given",
				 "remove one of them");
			return ERR_MALFORMED;
		}
		if (given || (stands && input))
			continue;
		if ((f->flags & FIELD_STORED) != 0) {
			out->pairs[out->count].key = slice_str(f->name);
			out->pairs[out->count++].value = stored(r, f);
		} else if ((f->flags & FIELD_REQUIRED) != 0) {
			return missing(r, f);
		}
	}
	return ERR_OK;
}

static enum err read_shape(struct reader *r, const struct shape *s,
			   const struct value *doc, struct value *out)
{
	uint64_t seen = 0;
	const struct field *f;
	struct value v;
	enum err e;

	assert(s->count < 64);
	if (value_map(r->x->arena, (uint32_t)s->count, out) != ERR_OK)
		return complain_size(r->c);
	out->count = 0;
	for (uint32_t i = 0; i < doc->count; i++) {
		const struct value_pair *p = &doc->pairs[i];

		f = schema_field(s, p->key);
		if (f == NULL || is_set_by_node(f))
			return unknown(r, p->key);
		if (is_empty(&p->value))
			continue;
		if ((seen & 1ull << (f - s->fields)) != 0) {
			complain(r->c, "duplicate-field", f->name,
				 "the field is there twice", "remove one");
			return ERR_MALFORMED;
		}
		v = p->value;
		e = read_field(r, f, &p->value, &v);
		if (e != ERR_OK) {
			complain_under(r->c, f->name);
			return e;
		}
		if (is_empty(&v))
			continue;
		seen |= 1ull << (f - s->fields);
		if ((f->flags & FIELD_INPUT) != 0)
			continue;
		out->pairs[out->count].key = p->key;
		out->pairs[out->count++].value = v;
	}
	return read_rest(r, s, seen, out);
}

/* Drop the names that begin with '_' at the top: what a rejects file adds. */
static enum err without_notes(const struct value *doc, struct arena *a,
			      struct value *out)
{
	enum err e = value_map(a, doc->count, out);

	if (e != ERR_OK)
		return e;
	out->count = 0;
	for (uint32_t i = 0; i < doc->count; i++) {
		if (doc->pairs[i].key.n == 0 || doc->pairs[i].key.p[0] != '_')
			out->pairs[out->count++] = doc->pairs[i];
	}
	return ERR_OK;
}

/* What rows tell while they are written. */
static void tell_marks(const struct schema *s, struct slice body,
		       struct schema_context *x)
{
	struct slice id = dec_find_str(body, s->id);
	struct slice digits = { NULL, 0 };

	for (size_t i = 0; i < s->shape->count; i++) {
		if (s->shape->fields[i].type == FIELD_NUMBER)
			digits = dec_find_str(body, s->shape->fields[i].name);
	}
	x->id_at = id.n > 0 ? (uint32_t)(id.p - body.p) : 0;
	x->id_bytes = (uint32_t)id.n;
	x->number_at = digits.n > 0 ? (uint32_t)(digits.p - body.p) : 0;
}

enum err schema_from_value(const struct schema *s, const struct value *doc,
			   struct schema_context *x, struct buf *out,
			   struct complaint *c)
{
	struct reader r = { x, c };
	struct value plain;
	struct value body;
	size_t start = out->n;
	enum err e;

	assert(out->err == ERR_OK);
	if (doc->type != VALUE_MAP) {
		complain(c, "wrong-type", "", "the record is no object",
			 "write an object, {...}");
		return ERR_MALFORMED;
	}
	if (without_notes(doc, x->arena, &plain) != ERR_OK)
		return complain_size(c);
	e = read_shape(&r, s->shape, &plain, &body);
	if (e != ERR_OK)
		return e;
	e = value_encode(&body, out);
	if (e == ERR_OK && out->n - start > LIMIT_BODY_BYTES)
		e = ERR_LIMIT;
	if (e != ERR_OK) {
		out->n = start;
		out->err = ERR_OK;
		return complain_size(c);
	}
	if (s->check != NULL &&
	    !s->check(slice_of(out->p + start, out->n - start), c)) {
		out->n = start;
		return ERR_MALFORMED;
	}
	tell_marks(s, slice_of(out->p + start, out->n - start), x);
	return ERR_OK;
}
