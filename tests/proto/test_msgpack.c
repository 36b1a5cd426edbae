/* The reader and msgpack-c against each other, and both against the msgpack
 * test suite: exactly the shortest forms of the supported types pass. */

#include "proto/dec.h"
#include "proto/enc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/shared.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static enum err scan(struct slice s)
{
	return dec_scan(s, NULL);
}

/* What the scan lets through, msgpack-c writes in the same way: decode all
 * short inputs with the cursor and encode them again. */

static void copy_value(struct dec *d, struct enc *e)
{
	uint32_t n;

	switch (dec_peek(d)) {
	case DEC_UINT:
		enc_uint(e, dec_uint(d));
		break;
	case DEC_INT:
		enc_int(e, dec_int(d));
		break;
	case DEC_BOOL:
		enc_bool(e, dec_bool(d));
		break;
	case DEC_STR:
		enc_str(e, dec_str(d));
		break;
	case DEC_BIN:
		enc_bin(e, dec_bin(d));
		break;
	case DEC_ARRAY:
		n = dec_array(d);
		enc_array(e, n);
		for (uint32_t i = 0; i < n; i++)
			copy_value(d, e);
		break;
	case DEC_MAP:
		n = dec_map(d);
		enc_map(e, n);
		for (uint32_t i = 0; i < 2 * n; i++)
			copy_value(d, e);
		break;
	case DEC_END:
		fail_msg("the cursor met what the scan had passed");
	}
}

static void assert_comes_back(struct slice s)
{
	struct buf b;
	struct dec d;
	struct enc e;

	buf_init(&b, s.n);
	dec_init(&d, s);
	enc_init(&e, &b);
	copy_value(&d, &e);
	assert_int_equal(dec_finish(&d), ERR_OK);
	assert_true(slice_equal(buf_slice(&b), s));
	buf_free(&b);
}

static void all_short_inputs_are_refused_or_come_back(void **state)
{
	uint8_t in[3];
	size_t good = 0;

	(void)state;
	for (uint32_t i = 0; i < 1u << 24; i += 1) {
		size_t n = i < 1u << 8 ? 1 : i < 1u << 16 ? 2 : 3;

		in[0] = (uint8_t)(i >> (8 * (n - 1)));
		in[1] = (uint8_t)(i >> (n == 3 ? 8 : 0));
		in[2] = (uint8_t)i;
		/* All lead bytes, and a part of what may follow. */
		if (n == 3 && in[1] % 5 != 0 && in[2] % 7 != 0)
			continue;
		if (scan(slice_of(in, n)) != ERR_OK)
			continue;
		good++;
		assert_comes_back(slice_of(in, n));
	}
	assert_true(good > 1000);
}

/* Outside vectors. */

static bool has_supported_type(const json_t *test)
{
	static const char *const keys[] = { "bool",   "binary", "number",
					    "bignum", "string", "array",
					    "map" };

	for (size_t i = 0; i < COUNT(keys); i++) {
		if (json_object_get(test, keys[i]) != NULL)
			return true;
	}
	return false;
}

/* May @form be canonical? Not if it is a float, or signed and not negative:
 * then its first digit says so. */
static bool is_eligible(const char *form)
{
	if (strncmp(form, "ca", 2) == 0 || strncmp(form, "cb", 2) == 0)
		return false;
	return form[0] != 'd' || form[1] > '3' || form[3] >= '8';
}

/* The shortest of the eligible forms, or NULL. */
static const char *canonical_form(const json_t *forms)
{
	const char *best = NULL;
	const json_t *form;
	const char *text;
	size_t i;

	json_array_foreach(forms, i, form)
	{
		text = json_string_value(form);
		if (!is_eligible(text))
			continue;
		if (best == NULL || strlen(text) < strlen(best))
			best = text;
	}
	return best;
}

static size_t check_suite_case(const json_t *test)
{
	const json_t *forms = json_object_get(test, "msgpack");
	const char *best =
		has_supported_type(test) ? canonical_form(forms) : NULL;
	size_t accepted = 0;
	const json_t *form;
	size_t i;

	json_array_foreach(forms, i, form)
	{
		struct buf b = shared_hex(form);
		const char *text = json_string_value(form);
		bool good = text == best;

		if ((scan(buf_slice(&b)) == ERR_OK) != good)
			fail_msg("%s: wrongly judged", text);
		if (good)
			assert_comes_back(buf_slice(&b));
		accepted += good;
		buf_free(&b);
	}
	return accepted;
}

static void of_the_msgpack_test_suite_only_minimal_forms_pass(void **state)
{
	json_t *file = shared_json("vectors/msgpack-test-suite/dist/"
				   "msgpack-test-suite.json");
	size_t accepted = 0;
	const char *name;
	json_t *group;
	const json_t *test;
	size_t i;

	(void)state;
	json_object_foreach(file, name, group)
	{
		json_array_foreach(group, i, test) accepted +=
			check_suite_case(test);
	}
	assert_in_range(accepted, 45, 60);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_short_inputs_are_refused_or_come_back),
		cmocka_unit_test(
			of_the_msgpack_test_suite_only_minimal_forms_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
