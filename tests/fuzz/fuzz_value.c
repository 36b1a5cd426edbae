/* Trees: a canonical document decodes and encodes to the same bytes, and its
 * JSON is JSON. */

#include <assert.h>

#include <jansson.h>

#include "proto/dec.h"
#include "proto/limits.h"
#include "proto/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct value *v, size_t size)
{
	json_error_t error;
	struct buf out;
	json_t *json;

	buf_init(&out, 8 * size + 100);
	value_put_json(v, &out);
	assert(out.err == ERR_OK);
	json = json_loadb((const char *)out.p, out.n,
			  JSON_ALLOW_NUL | JSON_DECODE_ANY |
				  JSON_REJECT_DUPLICATES |
				  JSON_DECODE_INT_AS_REAL,
			  &error);
	/* The one thing that jansson refuses and JSON allows. */
	assert(json != NULL ||
	       json_error_code(&error) == json_error_null_byte_in_key);
	json_decref(json);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct arena arena;
	struct value v;
	struct buf out;
	enum err e;

	arena_init(&arena, 1u << 20);
	e = value_decode(in, &arena, &v);
	if (e == ERR_OK) {
		buf_init(&out, size);
		assert(value_encode(&v, &out) == ERR_OK);
		assert(slice_equal(buf_slice(&out), in));
		buf_free(&out);
		check_json(&v, size);
	} else {
		assert(e == ERR_LIMIT || dec_scan(in, NULL) == e);
	}
	arena_free(&arena);
	return 0;
}
