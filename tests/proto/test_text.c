#include "proto/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/limits.h"

#define S(text) SLICE_LIT(text)
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

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

static void decoding_into_a_full_output_is_told(void **state)
{
	struct buf small;

	(void)state;
	buf_init(&small, 3);
	assert_int_equal(text_parse_base64(S("AAECAw=="), &small), ERR_LIMIT);
	buf_free(&small);
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
		cmocka_unit_test(whole_numbers_have_one_form),
		cmocka_unit_test(decimals_become_hundredths),
		cmocka_unit_test(hundredths_are_printed_shortest_and_read_back),
		cmocka_unit_test(base64_agrees_with_rfc_4648),
		cmocka_unit_test(other_forms_of_base64_are_refused),
		cmocka_unit_test(decoding_into_a_full_output_is_told),
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
