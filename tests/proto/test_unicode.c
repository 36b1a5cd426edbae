#include "proto/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#define S(text) SLICE_LIT(text)
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Helpers. */

typedef enum err (*map_fn)(struct slice s, struct buf *out);

static void assert_maps(map_fn map, struct slice in, struct slice want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(map(in, &b), ERR_OK);
	if (!slice_equal(buf_slice(&b), want))
		fail_msg("%.*s became %.*s", (int)in.n, (const char *)in.p,
			 (int)b.n, (const char *)b.p);
	buf_free(&b);
}

static enum err mapped(map_fn map, struct slice in)
{
	struct buf b;
	enum err e;

	buf_init(&b, 1 << 20);
	e = map(in, &b);
	buf_free(&b);
	return e;
}

static void put_point(struct buf *b, int32_t c)
{
	uint8_t utf8[4];
	utf8proc_ssize_t n = utf8proc_encode_char(c, utf8);

	buf_put(b, slice_of(utf8, (size_t)n));
}

/* Unicode. */

static void utf8_is_told_from_other_bytes(void **state)
{
	const struct {
		struct slice s;
		bool utf8;
		bool clean;
	} rows[] = {
		{ S(""), true, true },
		{ S("plain ASCII, longer than eight"), true, true },
		{ S("12345678\xc3\xa9"), true, true },
		{ S("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), true, true },
		{ S("tab\t"), true, false },
		{ S("\0"), true, false },
		{ S("new\nline"), true, false },
		{ S("\x1f"), true, false },
		{ S(" "), true, true },
		{ S("~"), true, true },
		{ S("\x7f"), true, false },
		{ S("\xc2\x80"), true, false },
		{ S("\xc2\x9f"), true, false },
		{ S("\xc2\xa0"), true, true },
		{ S("12345678\xc2\x85"), true, false },
		{ S("\x80"), false, false },
		{ S("\xc3"), false, false },
		{ S("\xc0\x80"), false, false },
		{ S("\xc1\xbf"), false, false },
		{ S("\xe0\x9f\xbf"), false, false },
		{ S("\xed\xa0\x80"), false, false },
		{ S("\xed\x9f\xbf"), true, true },
		{ S("\xf0\x8f\xbf\xbf"), false, false },
		{ S("\xf4\x8f\xbf\xbf"), true, true },
		{ S("\xf4\x90\x80\x80"), false, false },
		{ S("\xf8\x88\x80\x80\x80"), false, false },
		{ S("1234567\xff"), false, false },
		{ S("12345678\xe2\x82"), false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(text_is_utf8(rows[i].s), rows[i].utf8);
		assert_int_equal(text_is_clean(rows[i].s), rows[i].clean);
	}
	assert_true(text_is_utf8(slice_of(NULL, 0)));
	assert_true(text_is_canonical(slice_of(NULL, 0)));
}

static void only_nfc_is_canonical(void **state)
{
	const struct {
		struct slice s;
		bool canonical;
	} rows[] = {
		{ S("Databases"), true },
		{ S("caf\xc3\xa9"), true },
		{ S("cafe\xcc\x81"), false },
		{ S("\xe2\x84\xab"), false }, /* Angstrom sign */
		{ S("\xc3\x85"), true }, /* A with ring */
		{ S("\xe2\x80\x93"), true }, /* en dash */
		{ S("\xe2\x80\x81"), false }, /* em quad */
		{ S("\xe6\x95\xb0\xe6\x8d\xae"), true }, /* Chinese */
		{ S("\xea\xb0\x80"), true }, /* Hangul GA */
		{ S("\xe1\x84\x80\xe1\x85\xa1"), false }, /* its parts */
		{ S("\xd0\xb9"), true }, /* Cyrillic short i */
		{ S("\xd0\xb8\xcc\x86"), false }, /* its parts */
		{ S("q\xcc\xa3\xcc\x87"), true }, /* dot below, above */
		{ S("q\xcc\x87\xcc\xa3"), false }, /* the other order */
		{ S("\xef\xa4\x80"), false }, /* compatibility Han */
		{ S("a\tb"), false },
		{ S("\xff"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_is_canonical(rows[i].s),
				 rows[i].canonical);
}

static void nfc_composes_and_orders(void **state)
{
	const struct {
		struct slice in;
		struct slice out;
	} rows[] = {
		{ S(""), S("") },
		{ S("plain"), S("plain") },
		{ S("a\tb"), S("a\tb") },
		{ S("cafe\xcc\x81"), S("caf\xc3\xa9") },
		{ S("\xe2\x84\xab"), S("\xc3\x85") },
		{ S("q\xcc\x87\xcc\xa3"), S("q\xcc\xa3\xcc\x87") },
		{ S("\xe1\x84\x80\xe1\x85\xa1"), S("\xea\xb0\x80") },
		{ S("\xe1\xba\x9b\xcc\xa3"), S("\xe1\xba\x9b\xcc\xa3") },
		{ S("\xef\xac\x81"), S("\xef\xac\x81") }, /* fi stays */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_maps(text_nfc, rows[i].in, rows[i].out);
	assert_int_equal(mapped(text_nfc, S("a\xff")), ERR_MALFORMED);
}

/* utf8proc's own NFC of one code point, for all of them. */
static void nfc_agrees_with_utf8proc_for_every_code_point(void **state)
{
	struct buf in;
	struct buf out;

	(void)state;
	buf_init(&in, 100);
	buf_init(&out, 100);
	for (int32_t c = 1; c < 0x110000; c++) {
		utf8proc_uint8_t *want;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		buf_reset(&in);
		buf_reset(&out);
		put_point(&in, c);
		assert_int_equal(text_nfc(buf_slice(&in), &out), ERR_OK);
		buf_put_u8(&in, 0);
		want = utf8proc_NFC(in.p);
		assert_true(slice_is(buf_slice(&out), (const char *)want));
		assert_int_equal(text_is_canonical(slice_of(in.p, in.n - 1)),
				 !(c < 0x20 || (c >= 0x7f && c < 0xa0)) &&
					 strcmp((const char *)want,
						(const char *)in.p) == 0);
		free(want);
	}
	buf_free(&in);
	buf_free(&out);
}

/* The short cut of text_is_canonical must not pass over a composition: all
 * pairs of a letter and anything that a short cut covers. */
static void settled_code_points_compose_with_nothing(void **state)
{
	static const int32_t letters[] = { 'a',	   0xe2,   0x391, 0x1100,
					   0xac00, 0x4e00, 0x6d2, 0x9c7 };
	struct buf in;
	struct buf out;

	(void)state;
	buf_init(&in, 100);
	buf_init(&out, 100);
	for (size_t i = 0; i < COUNT(letters); i++) {
		for (int32_t c = 0x80; c < 0x3000; c++) {
			buf_reset(&in);
			buf_reset(&out);
			put_point(&in, letters[i]);
			put_point(&in, c);
			assert_int_equal(text_nfc(buf_slice(&in), &out),
					 ERR_OK);
			if (c >= 0xa0)
				assert_int_equal(
					text_is_canonical(buf_slice(&in)),
					slice_equal(buf_slice(&in),
						    buf_slice(&out)));
		}
	}
	buf_free(&in);
	buf_free(&out);
}

static void folding_makes_codes_comparable(void **state)
{
	const struct {
		struct slice in;
		struct slice out;
	} rows[] = {
		{ S(""), S("") },
		{ S("IIMT3601"), S("iimt3601") },
		{ S(" comp 3278 "), S("comp3278") },
		{ S("CS-101/A"), S("cs-101/a") },
		{ S("A\tB\r\nC\x7f"), S("abc") },
		{ S("COMP\xc2\xa0"
		    "3278"),
		  S("comp3278") }, /* no-break space */
		{ S("COMP\xe3\x80\x80"
		    "3278"),
		  S("comp3278") }, /* wide space */
		{ S("\xef\xbc\xa1\xef\xbc\x91"), S("a1") }, /* wide forms */
		{ S("\xef\xac\x81"), S("fi") }, /* ligature */
		{ S("STRASSE"), S("strasse") },
		{ S("Stra\xc3\x9f"
		    "e"),
		  S("strasse") },
		{ S("\xc3\x89"), S("\xc3\xa9") },
		{ S("E\xcc\x81"), S("\xc3\xa9") },
		{ S("A\xc2\xad"
		    "B"),
		  S("ab") }, /* soft hyphen */
		{ S("A\xe2\x80\x8b"
		    "B"),
		  S("ab") }, /* zero width space */
		{ S("\xef\xbb\xbf"
		    "A"),
		  S("a") }, /* byte order mark */
		{ S("a \xcc\x81"), S("\xc3\xa1") }, /* blank dropped first */
		{ S("\xc2\xa8"), S("\xcc\x88") }, /* spacing diaeresis */
		{ S("\xc2\xb2"), S("2") }, /* superscript */
		{ S("\xce\xa3\xcf\x82"), S("\xcf\x83\xcf\x83") }, /* sigmas */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_maps(text_fold, rows[i].in, rows[i].out);
	assert_int_equal(mapped(text_fold, S("a\xff")), ERR_MALFORMED);
}

static void folding_twice_is_folding_once(void **state)
{
	struct buf in;
	struct buf once;
	struct buf twice;

	(void)state;
	buf_init(&in, 100);
	buf_init(&once, 1000);
	buf_init(&twice, 1000);
	for (int32_t c = 0; c < 0x30000; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		buf_reset(&in);
		buf_reset(&once);
		buf_reset(&twice);
		buf_put_str(&in, "e");
		put_point(&in, c);
		put_point(&in, 0x323);
		assert_int_equal(text_fold(buf_slice(&in), &once), ERR_OK);
		assert_int_equal(text_fold(buf_slice(&once), &twice), ERR_OK);
		if (!slice_equal(buf_slice(&once), buf_slice(&twice)))
			fail_msg("U+%04X", (unsigned)c);
	}
	buf_free(&in);
	buf_free(&once);
	buf_free(&twice);
}

/* One letter with @count marks, of which each sorts before the last. */
static void put_marks(struct buf *b, unsigned count)
{
	buf_reset(b);
	buf_put_u8(b, 'x');
	for (unsigned i = 0; i < count; i++)
		put_point(b, i % 2 == 0 ? 0x315 : 0x334); /* classes 232, 1 */
}

static void a_run_of_marks_is_limited(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	put_marks(&b, TEXT_MARKS_MAX);
	assert_int_equal(mapped(text_nfc, buf_slice(&b)), ERR_OK);
	assert_int_equal(mapped(text_fold, buf_slice(&b)), ERR_OK);
	put_marks(&b, TEXT_MARKS_MAX + 1);
	assert_int_equal(mapped(text_nfc, buf_slice(&b)), ERR_MALFORMED);
	assert_int_equal(mapped(text_fold, buf_slice(&b)), ERR_MALFORMED);
	assert_false(text_is_canonical(buf_slice(&b)));
	put_marks(&b, 100000);
	assert_int_equal(mapped(text_nfc, buf_slice(&b)), ERR_MALFORMED);
	/* U+0F73 has class 0 itself, but is made of two marks. */
	buf_reset(&b);
	for (int i = 0; i < 1000; i++)
		put_point(&b, 0xf73);
	assert_int_equal(mapped(text_nfc, buf_slice(&b)), ERR_MALFORMED);
	buf_free(&b);
}

static void long_texts_grow_onto_the_heap(void **state)
{
	struct buf in;
	struct buf want;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&want, 1 << 20);
	for (int i = 0; i < 5000; i++) {
		buf_put_str(&in, "e\xcc\x81 ");
		buf_put_str(&want, "\xc3\xa9 ");
	}
	assert_maps(text_nfc, buf_slice(&in), buf_slice(&want));
	assert_false(text_is_canonical(buf_slice(&in)));
	buf_reset(&want);
	for (int i = 0; i < 5000; i++)
		buf_put_str(&want, "\xc3\xa9");
	assert_maps(text_fold, buf_slice(&in), buf_slice(&want));
	buf_free(&in);
	buf_free(&want);
}

static void a_full_output_is_told(void **state)
{
	struct buf small;

	(void)state;
	buf_init(&small, 3);
	assert_int_equal(text_nfc(S("abcd"), &small), ERR_LIMIT);
	buf_reset(&small);
	assert_int_equal(text_nfc(S("ab\xc3\xa9"), &small), ERR_LIMIT);
	buf_reset(&small);
	assert_int_equal(text_fold(S("abcd"), &small), ERR_LIMIT);
	buf_reset(&small);
	assert_int_equal(text_fold(S("  a b c  "), &small), ERR_OK);
	assert_int_equal(text_fold(S("\xc3\xa9"), &small), ERR_LIMIT);
	buf_free(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(only_nfc_is_canonical),
		cmocka_unit_test(nfc_composes_and_orders),
		cmocka_unit_test(nfc_agrees_with_utf8proc_for_every_code_point),
		cmocka_unit_test(settled_code_points_compose_with_nothing),
		cmocka_unit_test(folding_makes_codes_comparable),
		cmocka_unit_test(folding_twice_is_folding_once),
		cmocka_unit_test(a_run_of_marks_is_limited),
		cmocka_unit_test(long_texts_grow_onto_the_heap),
		cmocka_unit_test(a_full_output_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
