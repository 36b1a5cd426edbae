#include "proto/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "proto/limits.h"

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
	buf_reset(&small);
	assert_int_equal(text_parse_base64(S("AAECAw=="), &small), ERR_LIMIT);
	buf_free(&small);
}

/* Numbers. */

static void whole_numbers_have_one_form(void **state)
{
	static const struct {
		const char *s;
		bool good;
		uint64_t v;
	} rows[] = {
		{ "0", true, 0 },
		{ "1", true, 1 },
		{ "10", true, 10 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "28446744073709551615", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "00", false, 0 },
		{ "01", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "x", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 0;

		assert_int_equal(text_parse_u64(slice_str(rows[i].s), &v),
				 rows[i].good);
		assert_true(v == rows[i].v);
	}
	assert_false(text_parse_u64(slice_of(NULL, 0), &(uint64_t){ 0 }));
}

static void decimals_become_hundredths(void **state)
{
	static const struct {
		const char *s;
		bool comma;
		enum err want;
		uint64_t v;
	} rows[] = {
		{ "10", false, ERR_OK, 1000 },
		{ "10.0", false, ERR_OK, 1000 },
		{ "10.00", false, ERR_OK, 1000 },
		{ "10.000", false, ERR_OK, 1000 },
		{ "2.5", false, ERR_OK, 250 },
		{ "2.50", true, ERR_OK, 250 },
		{ "2,5", true, ERR_OK, 250 },
		{ "2,50", true, ERR_OK, 250 },
		{ "2,500", true, ERR_OK, 250 },
		{ "0", false, ERR_OK, 0 },
		{ "0.01", false, ERR_OK, 1 },
		{ "007.5", false, ERR_OK, 750 },
		{ "90071992547409.92", false, ERR_OK, 1ull << 53 },
		{ "90071992547409.93", false, ERR_LIMIT, 0 },
		{ "90071992547410", false, ERR_LIMIT, 0 },
		{ "99999999999999999999999", false, ERR_LIMIT, 0 },
		{ "2,5", false, ERR_MALFORMED, 0 },
		{ "2.505", false, ERR_MALFORMED, 0 },
		{ "2.5001", false, ERR_MALFORMED, 0 },
		{ "2.", false, ERR_MALFORMED, 0 },
		{ "2,", true, ERR_MALFORMED, 0 },
		{ ".5", false, ERR_MALFORMED, 0 },
		{ "", false, ERR_MALFORMED, 0 },
		{ ".", false, ERR_MALFORMED, 0 },
		{ "-1", false, ERR_MALFORMED, 0 },
		{ "+1", false, ERR_MALFORMED, 0 },
		{ "1e2", false, ERR_MALFORMED, 0 },
		{ "1.000,50", true, ERR_MALFORMED, 0 },
		{ "1.2.3", false, ERR_MALFORMED, 0 },
		{ "5 ECTS", false, ERR_MALFORMED, 0 },
		{ "x", false, ERR_MALFORMED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 0;

		assert_int_equal(text_parse_hundredths(slice_str(rows[i].s),
						       rows[i].comma, &v),
				 rows[i].want);
		assert_true(v == rows[i].v);
	}
}

static void hundredths_are_printed_shortest_and_read_back(void **state)
{
	static const struct {
		uint64_t v;
		const char *s;
	} rows[] = {
		{ 0, "0" },	   { 1, "0.01" },
		{ 10, "0.1" },	   { 11, "0.11" },
		{ 100, "1" },	   { 105, "1.05" },
		{ 250, "2.5" },	   { 1000, "10" },
		{ 1001, "10.01" }, { 1ull << 53, "90071992547409.92" },
	};
	uint64_t back;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&b);
		text_put_hundredths(&b, rows[i].v);
		assert_true(slice_is(buf_slice(&b), rows[i].s));
		assert_int_equal(
			text_parse_hundredths(buf_slice(&b), false, &back),
			ERR_OK);
		assert_true(back == rows[i].v);
	}
	buf_free(&b);
}

/* Base64 and hexadecimal. */

static void base64_agrees_with_rfc_4648(void **state)
{
	static const struct {
		const char *plain;
		const char *coded;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&b);
		text_put_base64(&b, slice_str(rows[i].plain));
		assert_true(slice_is(buf_slice(&b), rows[i].coded));
		buf_reset(&b);
		assert_int_equal(
			text_parse_base64(slice_str(rows[i].coded), &b),
			ERR_OK);
		assert_true(slice_is(buf_slice(&b), rows[i].plain));
	}
	buf_free(&b);
}

static void other_forms_of_base64_are_refused(void **state)
{
	static const char *const bad[] = {
		"Z",	    "Zg",	 "Zg=",	    "Zm8",	    "Zm9",
		"=",	    "====",	 "Z===",    "Zh==",	    "Zm9=",
		"Zg==Zg==", "Zm9v=",	 "Zm9vZg=", "Zm 8",	    "Zm9v\n",
		" Zm9",	    "Zm9v Zm9v", "Zm-_",    "Zm9v\r\nZm9v", "Z=8=",
		"Zg==\n",   "Zm8=A",
	};
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_put_str(&b, "kept");
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(text_parse_base64(slice_str(bad[i]), &b),
				 ERR_MALFORMED);
		assert_true(slice_is(buf_slice(&b), "kept"));
	}
	buf_free(&b);
}

static void every_byte_survives_base64_and_hex(void **state)
{
	uint8_t all[256];
	uint8_t back[256];
	struct buf coded;
	struct buf plain;

	(void)state;
	buf_init(&coded, 1000);
	buf_init(&plain, 1000);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof(all); n++) {
		struct slice s = slice_of(all + sizeof(all) - n, n);

		buf_reset(&coded);
		buf_reset(&plain);
		text_put_base64(&coded, s);
		assert_int_equal(text_parse_base64(buf_slice(&coded), &plain),
				 ERR_OK);
		assert_true(slice_equal(buf_slice(&plain), s));
		buf_reset(&coded);
		text_put_hex(&coded, s);
		assert_true(text_parse_hex(buf_slice(&coded), back, n));
		assert_true(slice_equal(slice_of(back, n), s));
	}
	buf_free(&coded);
	buf_free(&plain);
}

static void hex_is_lower_case_and_of_the_stated_length(void **state)
{
	uint8_t out[2];

	(void)state;
	assert_true(text_parse_hex(S("09af"), out, 2));
	assert_memory_equal(out, "\x09\xaf", 2);
	assert_false(text_parse_hex(S("09AF"), out, 2));
	assert_false(text_parse_hex(S("09a"), out, 2));
	assert_false(text_parse_hex(S("09af0"), out, 2));
	assert_false(text_parse_hex(S("09af00"), out, 2));
	assert_false(text_parse_hex(S("09ag"), out, 2));
	assert_false(text_parse_hex(S("0:af"), out, 2));
	assert_true(text_parse_hex(S(""), out, 0));
}

/* Dates. */

static void only_days_that_exist_are_dates(void **state)
{
	static const struct {
		const char *s;
		bool good;
	} rows[] = {
		{ "2024-01-20", true },
		{ "2024-02-29", true },
		{ "2023-02-29", false },
		{ "2000-02-29", true },
		{ "1900-02-29", false },
		{ "2100-02-29", false },
		{ "2024-04-31", false },
		{ "2024-12-31", true },
		{ "2024-13-01", false },
		{ "2024-00-01", false },
		{ "2024-01-00", false },
		{ "2024-01-32", false },
		{ "1000-01-01", true },
		{ "0999-12-31", false },
		{ "9999-12-31", true },
		{ "2024-1-20", false },
		{ "2024/01/20", false },
		{ "20240120", false },
		{ "", false },
		{ "2024-01-20 ", false },
		{ "2024-01-2x", false },
		{ "-024-01-20", false },
		{ "2024-01-20T", false },
		{ "20.01.2024", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_is_date(slice_str(rows[i].s)),
				 rows[i].good);
}

static void instants_are_utc_with_whole_seconds(void **state)
{
	static const struct {
		const char *s;
		bool good;
	} rows[] = {
		{ "2026-11-23T10:00:00Z", true },
		{ "2026-11-23T23:59:59Z", true },
		{ "2026-11-23T24:00:00Z", false },
		{ "2026-11-23T10:60:00Z", false },
		{ "2016-12-31T23:59:60Z", false },
		{ "2026-11-23T10:00:00z", false },
		{ "2026-11-23t10:00:00Z", false },
		{ "2026-11-23 10:00:00Z", false },
		{ "2026-11-23T10:00:00", false },
		{ "2026-11-23T10:00:00.0Z", false },
		{ "2026-11-23T10:00:00+00:00", false },
		{ "2026-11-23T10.00.00Z", false },
		{ "2026-02-30T10:00:00Z", false },
		{ "2026-11-23T1x:00:00Z", false },
		{ "2026-11-23T10:0x:00Z", false },
		{ "2026-11-23T10:00:x0Z", false },
		{ "2026-11-23", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_is_instant(slice_str(rows[i].s)),
				 rows[i].good);
}

static void known_instants_have_known_seconds(void **state)
{
	static const struct {
		const char *s;
		uint64_t seconds;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01", 0 },
		{ "2000-03-01", 951868800 },
		{ "2001-09-09T01:46:40Z", 1000000000 },
		{ "2038-01-19T03:14:08Z", 2147483648 },
		{ "2026-11-23T10:00:00Z", 1795428000 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	};
	uint64_t seconds;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = slice_str(rows[i].s);

		assert_true(text_parse_instant(s, &seconds));
		assert_true(seconds == rows[i].seconds);
		buf_reset(&b);
		if (s.n == TEXT_DATE_BYTES)
			text_put_date(&b, seconds);
		else
			text_put_instant(&b, seconds);
		assert_true(slice_equal(buf_slice(&b), s));
	}
	buf_reset(&b);
	text_put_instant(&b, UINT64_MAX);
	assert_true(slice_is(buf_slice(&b), "9999-12-31T23:59:59Z"));
	assert_false(text_parse_instant(S("1969-12-31"), &seconds));
	assert_false(text_parse_instant(S("2023-02-29"), &seconds));
	assert_false(text_parse_instant(S(""), &seconds));
	buf_free(&b);
}

/* Every day to the year 9999, told from the day before it. */
static void every_day_follows_the_one_before(void **state)
{
	char last[TEXT_DATE_BYTES + 1] = "1969-12-31";
	uint64_t seconds;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (uint64_t day = 0; day < 253402300800 / 86400; day++) {
		buf_reset(&b);
		text_put_date(&b, day * 86400 + 86399);
		assert_true(text_parse_instant(buf_slice(&b), &seconds));
		assert_true(seconds == day * 86400);
		assert_true(memcmp(last, b.p, TEXT_DATE_BYTES) < 0);
		memcpy(last, b.p, TEXT_DATE_BYTES);
	}
	assert_string_equal(last, "9999-12-31");
	buf_free(&b);
}

static void dates_and_instants_of_every_prefix_are_refused(void **state)
{
	struct slice s = S("2026-11-23T10:00:00Z");
	uint64_t seconds;

	(void)state;
	for (size_t n = 0; n < s.n; n++) {
		struct slice prefix = slice_sub(s, 0, n);
		bool date = n == TEXT_DATE_BYTES;

		assert_int_equal(text_is_date(prefix), date);
		assert_false(text_is_instant(prefix));
		assert_int_equal(text_parse_instant(prefix, &seconds), date);
	}
}

/* Domains. */

static void domains_are_lower_case_dns_names(void **state)
{
	static const struct {
		const char *s;
		bool good;
	} rows[] = {
		{ "dtu.dk", true },
		{ "cs.hku.hk", true },
		{ "a.b", true },
		{ "xn--bcher-kva.example", true },
		{ "3m.com", true },
		{ "1.2.x3", true },
		{ "dtu", false },
		{ "", false },
		{ ".", false },
		{ ".dk", false },
		{ "dtu.", false },
		{ "dtu.dk.", false },
		{ "dtu..dk", false },
		{ "DTU.dk", false },
		{ "-dtu.dk", false },
		{ "dtu-.dk", false },
		{ "dt_u.dk", false },
		{ "dtu.dk/x", false },
		{ "dtu dk.dk", false },
		{ "b\xc3\xbc"
		  "cher.example",
		  false },
		{ "10.0.0.1", false },
		{ "dtu.7", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(text_is_domain(slice_str(rows[i].s)),
				 rows[i].good);
}

static void lengths_of_domains_and_labels_are_limited(void **state)
{
	char name[LIMIT_DOMAIN_BYTES + 2];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = '.';
	assert_true(text_is_domain(slice_of(name, 64 + 63)));
	assert_false(text_is_domain(slice_of(name, 64 + 64)));
	name[127] = '.';
	name[191] = '.';
	assert_true(text_is_domain(slice_of(name, LIMIT_DOMAIN_BYTES)));
	assert_false(text_is_domain(slice_of(name, LIMIT_DOMAIN_BYTES + 1)));
	name[63] = 'a';
	assert_false(text_is_domain(slice_of(name, LIMIT_DOMAIN_BYTES)));
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
		cmocka_unit_test(whole_numbers_have_one_form),
		cmocka_unit_test(decimals_become_hundredths),
		cmocka_unit_test(hundredths_are_printed_shortest_and_read_back),
		cmocka_unit_test(base64_agrees_with_rfc_4648),
		cmocka_unit_test(other_forms_of_base64_are_refused),
		cmocka_unit_test(every_byte_survives_base64_and_hex),
		cmocka_unit_test(hex_is_lower_case_and_of_the_stated_length),
		cmocka_unit_test(only_days_that_exist_are_dates),
		cmocka_unit_test(instants_are_utc_with_whole_seconds),
		cmocka_unit_test(known_instants_have_known_seconds),
		cmocka_unit_test(every_day_follows_the_one_before),
		cmocka_unit_test(
			dates_and_instants_of_every_prefix_are_refused),
		cmocka_unit_test(domains_are_lower_case_dns_names),
		cmocka_unit_test(lengths_of_domains_and_labels_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
