/* Bodies of any kind: the judge never fails, and a body that it finds good
 * becomes a document that becomes the same body. The first byte is the
 * kind. */

#include <assert.h>
#include <string.h>

#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES (32u << 20)

static bool has_stored(const struct schema *s)
{
	for (size_t i = 0; i < s->shape->count; i++) {
		if ((s->shape->fields[i].flags &
		     (FIELD_STORED | FIELD_INPUT)) == FIELD_STORED)
			return true;
	}
	return false;
}

static void check_again(const struct schema *s, struct slice body,
			struct arena *a)
{
	struct schema_context x = { .arena = a };
	struct complaint c;
	struct value doc;
	struct buf out;

	assert(schema_to_value(s, body, true, a, &doc) == ERR_OK);
	if (has_stored(s))
		return;
	buf_init(&out, 2 * LIMIT_BODY_BYTES);
	if (schema_from_value(s, &doc, &x, &out, &c) != ERR_OK)
		assert(body.n > LIMIT_BODY_BYTES);
	else
		assert(slice_equal(buf_slice(&out), body));
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	const struct schema *s;
	enum body_state state;
	struct complaint c;
	struct value doc;
	struct arena a;
	struct slice body;
	struct slice id;

	if (size < 1)
		return 0;
	body = slice_of(data + 1, size - 1);
	state = schema_check_body(data[0], body, &c);
	assert(state == schema_check_body(data[0], body, NULL));
	if (state != BODY_OK)
		assert(c.code != NULL);
	s = schema_of(data[0]);
	if (state == BODY_INVALID || s == NULL)
		return 0;
	(void)schema_id(data[0], body, scratch, &id);
	arena_init(&a, ARENA_BYTES);
	if (state == BODY_OK)
		check_again(s, body, &a);
	else
		assert(schema_to_value(s, body, false, &a, &doc) == ERR_OK);
	arena_free(&a);
	return 0;
}
