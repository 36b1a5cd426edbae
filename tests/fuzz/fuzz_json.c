/* JSON texts: what is taken is written and read again the same, and what a
 * schema takes of it is a good body. */

#include <assert.h>
#include <string.h>

#include "node/json.h"
#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES (64u << 20)

static void check_written(const struct value *v, struct arena *a)
{
	struct json_fault fault;
	struct value again;
	struct buf one;
	struct buf two;

	buf_init(&one, ARENA_BYTES);
	buf_init(&two, ARENA_BYTES);
	value_put_json(v, &one);
	if (one.n <= LIMIT_LINE_BYTES) {
		assert(json_parse(buf_slice(&one), a, &again, &fault) ==
		       ERR_OK);
		value_put_json(&again, &two);
		assert(slice_equal(buf_slice(&one), buf_slice(&two)));
	}
	buf_free(&one);
	buf_free(&two);
}

static void check_kinds(const struct value *v, struct arena *a)
{
	struct schema_context x = {
		.arena = a,
		.today = SLICE_LIT("2026-11-23"),
		.number = SLICE_LIT("00112233445566778899aabbccddeeff"),
		.position = 7,
	};
	const struct schema *s;
	struct complaint c;
	struct buf body;

	buf_init(&body, 2 * LIMIT_BODY_BYTES);
	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		buf_reset(&body);
		memset(&c, 0, sizeof(c));
		if (schema_from_value(s, v, &x, &body, &c) == ERR_OK)
			assert(schema_check_body(s->kind, buf_slice(&body),
						 &c) == BODY_OK);
		else
			assert(c.code != NULL && c.message[0] != '\0' &&
			       body.n == 0);
	}
	buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_fault fault;
	struct arena a;
	struct value v;

	arena_init(&a, ARENA_BYTES);
	if (json_parse(slice_of(data, size), &a, &v, &fault) == ERR_OK) {
		check_written(&v, &a);
		check_kinds(&v, &a);
	} else {
		assert(fault.code[0] != '\0' && fault.message[0] != '\0');
		assert(fault.at <= size);
	}
	arena_free(&a);
	return 0;
}
