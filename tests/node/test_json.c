/* JSON texts become trees, within bounds and without guessing. */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/json.h"
#include "proto/limits.h"
#include "tests/lib/shared.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ARENA_BYTES (64u << 20)

/* ---- Helpers -------------------------------------------------------------- */

/* Parse and write again; the fault's code when it is refused. */
static void again(struct slice in, char *out, size_t max)
{
	struct json_fault fault;
	struct arena a;
	struct value v;
	struct buf b;

	arena_init(&a, ARENA_BYTES);
	buf_init(&b, ARENA_BYTES);
	if (json_parse(in, &a, &v, &fault) == ERR_OK) {
		value_put_json(&v, &b);
		snprintf(out, max, "%.*s", (int)b.n, (const char *)b.p);
	} else {
		snprintf(out, max, "%s", fault.code);
		assert_true(strlen(fault.message) > 0);
		assert_true(fault.at <= in.n);
	}
	buf_free(&b);
	arena_free(&a);
}

struct text {
	const char *in;
	const char *out;
};

static void expect(const struct text *texts, size_t count)
{
	char out[512];

	for (size_t i = 0; i < count; i++) {
		again(slice_str(texts[i].in), out, sizeof(out));
		assert_string_equal(out, texts[i].out);
	}
}

/* ---- What is taken -------------------------------------------------------- */

static void values_come_through(void **state)
{
	static const struct text texts[] = {
		{ "{}", "{}" },
		{ "[]", "[]" },
		{ " { \"a\" : 1 } ", "{\"a\":1}" },
		{ "{\"a\":[true,false,\"x\"]}", "{\"a\":[true,false,\"x\"]}" },
		{ "{\"a\":\"\\u00e6\\n\"}", "{\"a\":\"\xc3\xa6\\n\"}" },
		{ "{\"a\":-5}", "{\"a\":-5}" },
		{ "{\"a\":0}", "{\"a\":0}" },
		{ "{\"a\":9223372036854775807}",
		  "{\"a\":9223372036854775807}" },
		{ "{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}" },
	};

	(void)state;
	expect(texts, sizeof(texts) / sizeof(texts[0]));
}

static void decimals_keep_their_shortest_digits(void **state)
{
	static const struct text texts[] = {
		{ "[10.0]", "[10]" },
		{ "[2.5]", "[2.5]" },
		{ "[2.50]", "[2.5]" },
		{ "[0.1]", "[0.1]" },
		{ "[1e1]", "[10]" },
		{ "[2.555]", "[2.555]" },
		{ "[7.05]", "[7.05]" },
		{ "[-0.0]", "[0]" },
		{ "[100.00]", "[100]" },
		{ "[123456789012.345]", "[123456789012.345]" },
	};

	(void)state;
	expect(texts, sizeof(texts) / sizeof(texts[0]));
}

static void null_members_are_absent(void **state)
{
	static const struct text texts[] = {
		{ "{\"a\":null,\"b\":1}", "{\"b\":1}" },
		{ "{\"a\":{\"b\":null}}", "{\"a\":{}}" },
		{ "[null]", "null-value" },
		{ "null", "null-value" },
	};

	(void)state;
	expect(texts, sizeof(texts) / sizeof(texts[0]));
}

/* ---- What is refused ------------------------------------------------------ */

static void faults_are_named(void **state)
{
	static const struct text texts[] = {
		{ "", "bad-json" },
		{ "{\"a\":1", "bad-json" },
		{ "{\"a\":1}x", "bad-json" },
		{ "{\"a\":1}{}", "bad-json" },
		{ "{'a':1}", "bad-json" },
		{ "{\"a\":01}", "bad-json" },
		{ "{\"a\":1,}", "bad-json" },
		{ "{\"a\":NaN}", "bad-json" },
		{ "{\"a\":\"\\u0000\"}", "bad-json" },
		{ "{\"a\":1,\"a\":1}", "duplicate-name" },
		{ "{\"a\":1,\"\\u0061\":2}", "duplicate-name" },
		{ "{\"a\":null,\"a\":2}", "duplicate-name" },
		{ "{\"b\":{\"a\":1,\"a\":1}}", "duplicate-name" },
		{ "{\"a\":\"\xff\"}", "bad-encoding" },
		{ "{\"a\":\"\\ud800\"}", "bad-json" },
		{ "{\"a\":9223372036854775808}", "bad-json" },
		{ "{\"a\":0.1234567890123456}", "too-precise" },
		{ "{\"a\":1e999}", "bad-json" },
		{ "[[[[[[[[[1]]]]]]]]]", "too-deep" },
		{ "[[[[[[[[[", "too-deep" },
	};

	(void)state;
	expect(texts, sizeof(texts) / sizeof(texts[0]));
}

static void a_fault_quotes_nothing_of_the_text(void **state)
{
	static const char text[] = "{\"name\":\"Canary\" Canary}";
	struct json_fault fault;
	struct arena a;
	struct value v;

	(void)state;
	arena_init(&a, ARENA_BYTES);
	assert_int_equal(json_parse(slice_str(text), &a, &v, &fault),
			 ERR_MALFORMED);
	assert_null(strstr(fault.message, "Canary"));
	arena_free(&a);
}

static void every_prefix_is_refused(void **state)
{
	static const char text[] =
		"{\"a\":[1,2.5,{\"b\":\"\\u00e6\"},true],\"c\":\"x\"}";
	char out[512];

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		again(slice_of(text, n), out, sizeof(out));
		assert_true(strcmp(out, "bad-json") == 0);
	}
}

static void eight_levels_are_the_most(void **state)
{
	char out[512];

	(void)state;
	again(SLICE_LIT("[[[[[[[[1]]]]]]]]"), out, sizeof(out));
	assert_string_equal(out, "[[[[[[[[1]]]]]]]]");
	/* Brackets in strings do not count. */
	again(SLICE_LIT("[\"[[[[[[[[[[\\\"[[\"]"), out, sizeof(out));
	assert_string_equal(out, "[\"[[[[[[[[[[\\\"[[\"]");
}

static void one_byte_more_than_a_line_is_refused(void **state)
{
	struct buf b;
	char out[64];

	(void)state;
	buf_init(&b, LIMIT_LINE_BYTES + 1);
	memset(buf_extend(&b, LIMIT_LINE_BYTES), ' ', LIMIT_LINE_BYTES);
	b.p[0] = '7';
	again(buf_slice(&b), out, sizeof(out));
	assert_string_equal(out, "7");
	buf_put_u8(&b, ' ');
	again(buf_slice(&b), out, sizeof(out));
	assert_string_equal(out, "too-large");
	buf_free(&b);
}

static void one_value_too_many_is_refused(void **state)
{
	struct buf b;
	char out[64];

	(void)state;
	buf_init(&b, LIMIT_LINE_BYTES);
	buf_put_u8(&b, '[');
	for (size_t i = 0; i <= LIMIT_ITEMS; i++)
		buf_put_str(&b, "1,");
	buf_put_str(&b, "1]");
	again(buf_slice(&b), out, sizeof(out));
	assert_string_equal(out, "too-many");
	buf_free(&b);
}

static void a_full_arena_is_told(void **state)
{
	struct json_fault fault;
	struct arena a;
	struct value v;

	(void)state;
	arena_init(&a, 16);
	assert_int_equal(
		json_parse(SLICE_LIT("[\"abc\",[1,2,3]]"), &a, &v, &fault),
		ERR_LIMIT);
	assert_string_equal(fault.code, "too-large");
	arena_free(&a);
}

/* ---- JSONTestSuite -------------------------------------------------------- */

/* Valid JSON that is not taken here, and why. */
static const char *const stricter[] = {
	"y_array_null.json", /* null is no value */
	"y_array_heterogeneous.json",
	"y_array_with_several_null.json",
	"y_structure_lonely_null.json",
	"y_object_duplicated_key.json", /* names are unique */
	"y_object_duplicated_key_and_value.json",
	"y_object_escaped_null_in_key.json", /* U+0000 */
	"y_string_null_escape.json",
};

static bool is_stricter(const char *name)
{
	for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++) {
		if (strcmp(name, stricter[i]) == 0)
			return true;
	}
	return false;
}

static void check_vector(const char *name)
{
	char path[512];
	char out[64];
	struct json_fault fault;
	struct arena a;
	struct value v;
	struct buf b;
	enum err e;

	snprintf(path, sizeof(path), "vectors/jsontestsuite/test_parsing/%s",
		 name);
	b = shared_read(path);
	arena_init(&a, ARENA_BYTES);
	e = json_parse(buf_slice(&b), &a, &v, &fault);
	snprintf(out, sizeof(out), "%s", e == ERR_OK ? "taken" : fault.code);
	if (name[0] == 'n' && e == ERR_OK)
		fail_msg("%s was taken", name);
	if (name[0] == 'y' && (e == ERR_OK) == is_stricter(name))
		fail_msg("%s: %s", name, out);
	arena_free(&a);
	buf_free(&b);
}

static void outside_vectors_agree(void **state)
{
	const char *path = shared_path("vectors/jsontestsuite/test_parsing");
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	(void)state;
	if (path == NULL)
		shared_skip();
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		check_vector(entry->d_name);
		count++;
	}
	closedir(dir);
	assert_true(count > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_through),
		cmocka_unit_test(decimals_keep_their_shortest_digits),
		cmocka_unit_test(null_members_are_absent),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(a_fault_quotes_nothing_of_the_text),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(eight_levels_are_the_most),
		cmocka_unit_test(one_byte_more_than_a_line_is_refused),
		cmocka_unit_test(one_value_too_many_is_refused),
		cmocka_unit_test(a_full_arena_is_told),
		cmocka_unit_test(outside_vectors_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
