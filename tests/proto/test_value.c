#include "proto/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/dec.h"
#include "proto/limits.h"

#define S(text) SLICE_LIT(text)
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Fixture. */

struct fixture {
	struct arena arena;
	struct buf out;
};

static int setup(void **state)
{
	static struct fixture f;

	arena_init(&f.arena, 64u << 20);
	buf_init(&f.out, 4u << 20);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	buf_free(&f->out);
	return 0;
}

/* Helpers. */

static struct value a_map(struct fixture *f, uint32_t count)
{
	struct value v;

	assert_int_equal(value_map(&f->arena, count, &v), ERR_OK);
	return v;
}

static struct value an_array(struct fixture *f, uint32_t count)
{
	struct value v;

	assert_int_equal(value_array(&f->arena, count, &v), ERR_OK);
	return v;
}

static struct value an_int(int64_t i)
{
	return (struct value){ .type = VALUE_INT, .i = i };
}

static struct value of_type(enum value_type type, struct slice s)
{
	return (struct value){ .type = type, .s = s };
}

static void set(struct value *map, uint32_t at, const char *key, struct value v)
{
	map->pairs[at].key = slice_str(key);
	map->pairs[at].value = v;
}

/* { "z": [1, -5, true], "a": { "x": "é" }, "m": bin } in this order. */
static struct value a_sample(struct fixture *f)
{
	struct value v = a_map(f, 3);
	struct value list = an_array(f, 3);
	struct value inner = a_map(f, 1);

	list.items[0] = value_uint(1);
	list.items[1] = an_int(-5);
	list.items[2] = value_bool(true);
	set(&inner, 0, "x", value_str(S("\xc3\xa9")));
	set(&v, 0, "z", list);
	set(&v, 1, "a", inner);
	set(&v, 2, "m", of_type(VALUE_BIN, S("\x01\x02")));
	return v;
}

#define SAMPLE                                                                 \
	"\x83\xa1"                                                             \
	"a\x81\xa1x\xa2\xc3\xa9\xa1m\xc4\x02\x01\x02\xa1z\x93\x01\xfb\xc3"

static enum err encode(struct fixture *f, struct value *v)
{
	buf_reset(&f->out);
	return value_encode(v, &f->out);
}

/* Encoding. */

static void keys_are_sorted_when_encoded(void **state)
{
	struct fixture *f = *state;
	struct value v = a_sample(f);

	assert_int_equal(encode(f, &v), ERR_OK);
	assert_true(slice_equal(buf_slice(&f->out), S(SAMPLE)));
	assert_int_equal(dec_scan(buf_slice(&f->out), NULL), ERR_OK);
}

static void a_document_comes_back(void **state)
{
	struct fixture *f = *state;
	struct value v;

	assert_int_equal(value_decode(S(SAMPLE), &f->arena, &v), ERR_OK);
	assert_int_equal(v.type, VALUE_MAP);
	assert_int_equal(v.count, 3);
	assert_true(
		slice_is(value_get_str(value_get(&v, "a"), "x"), "\xc3\xa9"));
	assert_int_equal(value_get(&v, "z")->items[1].i, -5);
	assert_int_equal(value_get(&v, "z")->items[2].type, VALUE_BOOL);
	assert_int_equal(value_get(&v, "m")->type, VALUE_BIN);
	assert_int_equal(encode(f, &v), ERR_OK);
	assert_true(slice_equal(buf_slice(&f->out), S(SAMPLE)));
}

static void duplicate_keys_are_refused(void **state)
{
	struct fixture *f = *state;
	struct value v = a_map(f, 3);

	set(&v, 0, "b", value_uint(1));
	set(&v, 1, "a", value_uint(2));
	set(&v, 2, "b", value_uint(1));
	assert_int_equal(encode(f, &v), ERR_MALFORMED);
}

static void decimals_and_bad_strings_are_refused(void **state)
{
	struct fixture *f = *state;
	struct value v = of_type(VALUE_DECIMAL, S("2.5"));
	struct value map;

	assert_int_equal(encode(f, &v), ERR_MALFORMED);
	v = value_str(S("\xff"));
	assert_int_equal(encode(f, &v), ERR_MALFORMED);
	map = a_map(f, 1);
	set(&map, 0, "\xc3", value_uint(1));
	assert_int_equal(encode(f, &map), ERR_MALFORMED);
	v = an_array(f, 2);
	v.items[0] = of_type(VALUE_DECIMAL, S("2.5"));
	assert_int_equal(encode(f, &v), ERR_MALFORMED);
}

static void an_int_that_is_not_negative_is_written_unsigned(void **state)
{
	struct fixture *f = *state;
	struct value v = an_int(200);

	assert_int_equal(encode(f, &v), ERR_OK);
	assert_true(slice_is(buf_slice(&f->out), "\xcc\xc8"));
}

static struct value nested(struct fixture *f, unsigned depth)
{
	struct value v = value_uint(0);
	struct value outer;

	for (unsigned i = 0; i < depth; i++) {
		outer = i % 2 == 0 ? an_array(f, 1) : a_map(f, 1);
		if (i % 2 == 0)
			outer.items[0] = v;
		else
			set(&outer, 0, "k", v);
		v = outer;
	}
	return v;
}

static void the_depth_limit_holds_both_ways(void **state)
{
	struct fixture *f = *state;
	struct value v = nested(f, LIMIT_DEPTH);

	assert_int_equal(encode(f, &v), ERR_OK);
	assert_int_equal(value_decode(buf_slice(&f->out), &f->arena, &v),
			 ERR_OK);
	v = nested(f, LIMIT_DEPTH + 1);
	assert_int_equal(encode(f, &v), ERR_LIMIT);
}

static void the_limit_of_values_holds(void **state)
{
	struct fixture *f = *state;
	struct value v = an_array(f, LIMIT_ITEMS - 1);

	assert_int_equal(encode(f, &v), ERR_OK);
	assert_int_equal(dec_scan(buf_slice(&f->out), NULL), ERR_OK);
	v = an_array(f, LIMIT_ITEMS);
	assert_int_equal(encode(f, &v), ERR_LIMIT);
}

static void a_full_output_is_told(void **state)
{
	struct fixture *f = *state;
	struct value v = a_sample(f);
	struct buf small;

	for (size_t max = 0; max < sizeof(SAMPLE) - 1; max++) {
		buf_init(&small, max);
		assert_int_equal(value_encode(&v, &small), ERR_LIMIT);
		buf_free(&small);
	}
}

/* Decoding. */

static void every_prefix_is_truncated(void **state)
{
	struct fixture *f = *state;
	struct value v;

	for (size_t n = 0; n < sizeof(SAMPLE) - 1; n++)
		assert_int_equal(
			value_decode(slice_of(SAMPLE, n), &f->arena, &v),
			ERR_TRUNCATED);
	assert_int_equal(
		value_decode(slice_of(SAMPLE, sizeof(SAMPLE)), &f->arena, &v),
		ERR_MALFORMED);
}

static void a_small_arena_stops_decoding(void **state)
{
	struct arena small;
	struct value v;
	size_t max = 0;

	(void)state;
	for (;; max++) {
		enum err e;

		arena_init(&small, max);
		e = value_decode(S(SAMPLE), &small, &v);
		arena_free(&small);
		if (e == ERR_OK)
			break;
		assert_int_equal(e, ERR_LIMIT);
	}
	assert_in_range(max, 4 * sizeof(struct value), 1000);
}

/* Look-ups. */

static void look_ups_give_defaults_for_what_is_not_there(void **state)
{
	struct fixture *f = *state;
	struct value v = a_map(f, 2);

	set(&v, 0, "n", value_uint(7));
	set(&v, 1, "s", value_str(S("text")));
	assert_int_equal(value_get_uint(&v, "n", 9), 7);
	assert_int_equal(value_get_uint(&v, "s", 9), 9);
	assert_int_equal(value_get_uint(&v, "x", 9), 9);
	assert_true(slice_is(value_get_str(&v, "s"), "text"));
	assert_int_equal(value_get_str(&v, "n").n, 0);
	assert_int_equal(value_get_str(&v, "x").n, 0);
	assert_null(value_get(&v, "x"));
	assert_null(value_get(NULL, "x"));
	assert_null(value_get(value_get(&v, "n"), "x"));
}

static void empty_containers_are_legal(void **state)
{
	struct fixture *f = *state;
	struct value v = a_map(f, 0);

	assert_int_equal(encode(f, &v), ERR_OK);
	assert_true(slice_is(buf_slice(&f->out), "\x80"));
	v = an_array(f, 0);
	assert_int_equal(encode(f, &v), ERR_OK);
	assert_int_equal(value_decode(buf_slice(&f->out), &f->arena, &v),
			 ERR_OK);
	assert_int_equal(v.type, VALUE_ARRAY);
}

/* JSON. */

static void json_has_no_blanks_and_keeps_the_order(void **state)
{
	struct fixture *f = *state;
	struct value v = a_sample(f);

	value_put_json(&v, &f->out);
	assert_true(slice_is(buf_slice(&f->out),
			     "{\"z\":[1,-5,true],\"a\":{\"x\":\"\xc3\xa9\"},"
			     "\"m\":\"AQI=\"}"));
}

static void scalars_are_written_in_full(void **state)
{
	struct fixture *f = *state;
	struct value v = an_array(f, 6);

	v.items[0] = value_uint(UINT64_MAX);
	v.items[1] = an_int(INT64_MIN);
	v.items[2] = an_int(5);
	v.items[3] = of_type(VALUE_DECIMAL, S("2.5"));
	v.items[4] = value_bool(false);
	v.items[5] = an_array(f, 0);
	value_put_json(&v, &f->out);
	assert_true(slice_is(buf_slice(&f->out),
			     "[18446744073709551615,-9223372036854775808,5,2.5,"
			     "false,[]]"));
}

static void json_strings_are_escaped(void **state)
{
	const struct {
		struct slice in;
		const char *out;
	} rows[] = {
		{ S(""), "\"\"" },
		{ S("a\"b"), "\"a\\\"b\"" },
		{ S("\\"), "\"\\\\\"" },
		{ S("/"), "\"/\"" },
		{ S("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
		{ S("\0\x1f"), "\"\\u0000\\u001f\"" },
		{ S("\x7f"), "\"\x7f\"" },
		{ S("\xe2\x82\xac"), "\"\xe2\x82\xac\"" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct value v = value_str(rows[i].in);

		buf_reset(&f->out);
		value_put_json(&v, &f->out);
		assert_true(slice_is(buf_slice(&f->out), rows[i].out));
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(keys_are_sorted_when_encoded),
		WITH(a_document_comes_back),
		WITH(duplicate_keys_are_refused),
		WITH(decimals_and_bad_strings_are_refused),
		WITH(an_int_that_is_not_negative_is_written_unsigned),
		WITH(the_depth_limit_holds_both_ways),
		WITH(the_limit_of_values_holds),
		WITH(a_full_output_is_told),
		WITH(every_prefix_is_truncated),
		WITH(a_small_arena_stops_decoding),
		WITH(look_ups_give_defaults_for_what_is_not_there),
		WITH(empty_containers_are_legal),
		WITH(json_has_no_blanks_and_keeps_the_order),
		WITH(scalars_are_written_in_full),
		WITH(json_strings_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
