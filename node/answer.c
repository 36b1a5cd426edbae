#include "node/answer.h"

#include "proto/text.h"

enum err answer_read(struct slice doc, struct arena *a, struct value *out)
{
	return value_decode(doc, a, out);
}

bool answer_is_error(const struct value *doc, enum err *code)
{
	struct slice name = value_get_str(doc, "error");

	if (name.n == 0)
		return false;
	*code = ERR_MALFORMED;
#define X(e, num, word, text)                                                  \
	if (slice_is(name, word))                                              \
		*code = e;
	ERR_MAP(X)
#undef X
	return true;
}

/* Fields whose values are hundredths wherever they stand in an answer. */
static bool is_hundredths(struct slice key)
{
	static const char *const names[] = { "credits", "earned", "ects",
					     "recognised" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (slice_is(key, names[i]))
			return true;
	}
	return false;
}

static enum err restore_decimal(struct value *v, struct arena *a)
{
	uint8_t digits[24];
	struct buf b = { .p = digits,
			 .cap = sizeof(digits),
			 .max = sizeof(digits) };
	enum err e;

	text_put_hundredths(&b, v->u);
	e = arena_copy(a, buf_slice(&b), &v->s);
	v->type = VALUE_DECIMAL;
	return e;
}

enum err answer_to_json(struct value *doc, struct arena *a)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; doc->type == VALUE_ARRAY && i < doc->count; i++) {
		e = answer_to_json(&doc->items[i], a);
		if (e != ERR_OK)
			return e;
	}
	for (uint32_t i = 0; doc->type == VALUE_MAP && i < doc->count; i++) {
		struct value *v = &doc->pairs[i].value;

		if (v->type == VALUE_UINT && is_hundredths(doc->pairs[i].key))
			e = restore_decimal(v, a);
		else
			e = answer_to_json(v, a);
		if (e != ERR_OK)
			return e;
	}
	return e;
}
