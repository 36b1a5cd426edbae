#include "proto/dec.h"
#include "proto/enc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/limits.h"

#define S(text) SLICE_LIT(text)
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Helpers. */

/* A document that holds one of everything. */
static void put_sample(struct buf *b)
{
	static uint8_t zeros[300];
	struct enc e;

	enc_init(&e, b);
	enc_map(&e, 5);
	enc_cstr(&e, "array");
	enc_array(&e, 16);
	for (unsigned i = 0; i < 8; i++)
		enc_uint(&e, (uint64_t)1 << (i * 8));
	for (unsigned i = 0; i < 8; i++)
		enc_int(&e, -((int64_t)1 << (i * 8)));
	enc_cstr(&e, "bin");
	enc_bin(&e, slice_of(zeros, sizeof(zeros)));
	enc_cstr(&e, "bool");
	enc_bool(&e, true);
	enc_cstr(&e, "map");
	enc_map(&e, 1);
	enc_cstr(&e, "");
	enc_bool(&e, false);
	enc_cstr(&e, "text");
	enc_cstr(&e, "Gest\xc3\xa3o de bases de dados, a long string");
	assert_int_equal(enc_finish(&e), ERR_OK);
}

/* Scan a copy that ends where the memory does: reading on would crash. */
static enum err scan_guarded(struct slice s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (s.n + page - 1) / page * page;
	uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = map + room - s.n;
	enum err e;

	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	e = dec_scan(slice_of(at, s.n), NULL);
	munmap(map, room + page);
	return e;
}

static enum err scan(struct slice s)
{
	return dec_scan(s, NULL);
}

/* Encoding. */

static void numbers_take_their_shortest_form(void **state)
{
	const struct {
		int64_t v;
		struct slice bytes;
	} rows[] = {
		{ 0, S("\x00") },
		{ 127, S("\x7f") },
		{ 128, S("\xcc\x80") },
		{ 255, S("\xcc\xff") },
		{ 256, S("\xcd\x01\x00") },
		{ 65535, S("\xcd\xff\xff") },
		{ 65536, S("\xce\x00\x01\x00\x00") },
		{ 4294967295, S("\xce\xff\xff\xff\xff") },
		{ 4294967296, S("\xcf\x00\x00\x00\x01\x00\x00\x00\x00") },
		{ INT64_MAX, S("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff") },
		{ -1, S("\xff") },
		{ -32, S("\xe0") },
		{ -33, S("\xd0\xdf") },
		{ -128, S("\xd0\x80") },
		{ -129, S("\xd1\xff\x7f") },
		{ -32768, S("\xd1\x80\x00") },
		{ -32769, S("\xd2\xff\xff\x7f\xff") },
		{ -2147483648, S("\xd2\x80\x00\x00\x00") },
		{ -2147483649, S("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff") },
		{ INT64_MIN, S("\xd3\x80\x00\x00\x00\x00\x00\x00\x00") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;
		struct enc e;
		struct dec d;

		buf_init(&b, 9);
		enc_init(&e, &b);
		enc_int(&e, rows[i].v);
		assert_true(slice_equal(buf_slice(&b), rows[i].bytes));
		assert_int_equal(scan(rows[i].bytes), ERR_OK);
		dec_init(&d, rows[i].bytes);
		assert_int_equal(dec_peek(&d),
				 rows[i].v < 0 ? DEC_INT : DEC_UINT);
		assert_true(dec_int(&d) == rows[i].v);
		assert_int_equal(dec_finish(&d), ERR_OK);
		buf_free(&b);
	}
}

/* The lengths where the form changes, for all that has one. */
static void lengths_take_their_shortest_form(void **state)
{
	static const struct {
		uint32_t n;
		size_t str;
		size_t bin;
		size_t array;
	} rows[] = {
		/* bytes of the head */
		{ 0, 1, 2, 1 },	     { 15, 1, 2, 1 },	 { 16, 1, 2, 3 },
		{ 31, 1, 2, 3 },     { 32, 2, 2, 3 },	 { 255, 2, 2, 3 },
		{ 256, 3, 3, 3 },    { 65535, 3, 3, 3 }, { 65536, 5, 5, 5 },
		{ 100000, 5, 5, 5 },
	};
	static uint8_t content[100000];
	struct buf b;
	struct enc e;

	(void)state;
	buf_init(&b, 1 << 20);
	enc_init(&e, &b);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = slice_of(content, rows[i].n);

		buf_reset(&b);
		enc_str(&e, s);
		assert_int_equal(b.n, rows[i].str + s.n);
		assert_int_equal(scan(buf_slice(&b)), ERR_OK);
		buf_reset(&b);
		enc_bin(&e, s);
		assert_int_equal(b.n, rows[i].bin + s.n);
		assert_int_equal(scan(buf_slice(&b)), ERR_OK);
		buf_reset(&b);
		enc_array(&e, rows[i].n);
		assert_int_equal(b.n, rows[i].array);
		buf_put(&b, s);
		assert_int_equal(scan(buf_slice(&b)), ERR_OK);
		buf_reset(&b);
		enc_map(&e, rows[i].n);
		assert_int_equal(b.n, rows[i].array);
	}
	buf_free(&b);
}

static void encoding_stops_at_the_buffers_maximum(void **state)
{
	struct buf whole;
	struct buf b;
	struct enc e;

	(void)state;
	buf_init(&whole, 10000);
	put_sample(&whole);
	buf_init(&b, whole.n - 1);
	enc_init(&e, &b);
	enc_raw(&e, buf_slice(&whole));
	assert_int_equal(enc_finish(&e), ERR_LIMIT);
	enc_bool(&e, true);
	assert_int_equal(b.n, 0);
	buf_free(&b);
	buf_free(&whole);
}

/* The scan. */

static void a_sample_of_everything_is_canonical(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	put_sample(&b);
	assert_int_equal(scan_guarded(buf_slice(&b)), ERR_OK);
	buf_free(&b);
}

static void every_prefix_is_truncated(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	put_sample(&b);
	for (size_t n = 0; n < b.n; n++) {
		struct dec d;

		assert_int_equal(scan_guarded(slice_of(b.p, n)), ERR_TRUNCATED);
		dec_init(&d, slice_of(b.p, n));
		dec_skip(&d);
		assert_int_equal(d.err, ERR_TRUNCATED);
	}
	assert_int_equal(scan(slice_of(NULL, 0)), ERR_TRUNCATED);
	buf_free(&b);
}

static void bytes_behind_the_value_are_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	put_sample(&b);
	buf_put_u8(&b, 0);
	assert_int_equal(scan_guarded(buf_slice(&b)), ERR_MALFORMED);
	buf_free(&b);
}

struct twin {
	const char *what;
	struct slice bytes;
	enum err want;
};

static void assert_twins(const struct twin *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;
		enum err e = dec_scan(rows[i].bytes, &why);

		if (e != rows[i].want)
			fail_msg("%s: %s (%s)", rows[i].what, err_code(e), why);
		if (e != ERR_OK)
			assert_true(why != NULL && why[0] == '3');
		assert_int_equal(scan_guarded(rows[i].bytes), e);
	}
}

static void what_is_not_the_shortest_form_is_refused(void **state)
{
	const struct twin rows[] = {
		{ "uint8 127", S("\xcc\x7f"), ERR_MALFORMED },
		{ "uint16 255", S("\xcd\x00\xff"), ERR_MALFORMED },
		{ "uint32 65535", S("\xce\0\0\xff\xff"), ERR_MALFORMED },
		{ "uint64 2^32-1", S("\xcf\0\0\0\0\xff\xff\xff\xff"),
		  ERR_MALFORMED },
		{ "int8 0", S("\xd0\x00"), ERR_MALFORMED },
		{ "int8 127", S("\xd0\x7f"), ERR_MALFORMED },
		{ "int16 1000", S("\xd1\x03\xe8"), ERR_MALFORMED },
		{ "int32 100000", S("\xd2\x00\x01\x86\xa0"), ERR_MALFORMED },
		{ "int64 2^40", S("\xd3\0\0\x01\0\0\0\0\0"), ERR_MALFORMED },
		{ "int8 -1", S("\xd0\xff"), ERR_MALFORMED },
		{ "int8 -32", S("\xd0\xe0"), ERR_MALFORMED },
		{ "int8 -33", S("\xd0\xdf"), ERR_OK },
		{ "int16 -128", S("\xd1\xff\x80"), ERR_MALFORMED },
		{ "int32 -32768", S("\xd2\xff\xff\x80\x00"), ERR_MALFORMED },
		{ "int64 -2^31", S("\xd3\xff\xff\xff\xff\x80\0\0\0"),
		  ERR_MALFORMED },
		{ "str8 of 31",
		  S("\xd9\x1f"
		    "0123456789012345678901234567890"),
		  ERR_MALFORMED },
		{ "str16 of 1", S("\xda\x00\x01x"), ERR_MALFORMED },
		{ "str32 of 1", S("\xdb\x00\x00\x00\x01x"), ERR_MALFORMED },
		{ "bin16 of 1", S("\xc5\x00\x01x"), ERR_MALFORMED },
		{ "bin32 of 1", S("\xc6\x00\x00\x00\x01x"), ERR_MALFORMED },
		{ "array16 of 1", S("\xdc\x00\x01\x00"), ERR_MALFORMED },
		{ "array32 of 1", S("\xdd\x00\x00\x00\x01\x00"),
		  ERR_MALFORMED },
		{ "map16 of 1", S("\xde\x00\x01\xa0\x00"), ERR_MALFORMED },
		{ "map32 of 1", S("\xdf\x00\x00\x00\x01\xa0\x00"),
		  ERR_MALFORMED },
	};

	(void)state;
	assert_twins(rows, COUNT(rows));
}

static void types_outside_the_subset_are_refused(void **state)
{
	static const uint8_t leads[] = { 0xc0, 0xc1, 0xc7, 0xc8, 0xc9, 0xca,
					 0xcb, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8 };
	uint8_t bytes[20] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(leads); i++) {
		bytes[0] = leads[i];
		for (size_t n = 1; n <= sizeof(bytes); n++)
			assert_int_equal(scan(slice_of(bytes, n)),
					 ERR_MALFORMED);
	}
}

static void keys_must_be_sorted_unique_strings(void **state)
{
	const struct twin rows[] = {
		{ "a b",
		  S("\x82\xa1"
		    "a\0\xa1"
		    "b\0"),
		  ERR_OK },
		{ "b a",
		  S("\x82\xa1"
		    "b\0\xa1"
		    "a\0"),
		  ERR_MALFORMED },
		{ "a a",
		  S("\x82\xa1"
		    "a\0\xa1"
		    "a\0"),
		  ERR_MALFORMED },
		{ "empty first",
		  S("\x82\xa0\0\xa1"
		    "a\0"),
		  ERR_OK },
		{ "empty twice", S("\x82\xa0\0\xa0\0"), ERR_MALFORMED },
		{ "shorter first",
		  S("\x82\xa1"
		    "a\0\xa2"
		    "ab\0"),
		  ERR_OK },
		{ "longer first",
		  S("\x82\xa2"
		    "ab\0\xa1"
		    "a\0"),
		  ERR_MALFORMED },
		{ "length does not lead",
		  S("\x82\xa2"
		    "ab\0\xa1"
		    "b\0"),
		  ERR_OK },
		{ "bytes are unsigned", S("\x82\xa1z\0\xa2\xc3\xa9\0"),
		  ERR_OK },
		{ "number", S("\x81\0\0"), ERR_MALFORMED },
		{ "bin", S("\x81\xc4\1a\0"), ERR_MALFORMED },
		{ "array", S("\x81\x90\0"), ERR_MALFORMED },
		{ "map", S("\x81\x80\0"), ERR_MALFORMED },
		{ "bool", S("\x81\xc3\0"), ERR_MALFORMED },
		{ "inner map starts anew",
		  S("\x82\xa1m\x81\xa1"
		    "a\0\xa1n\0"),
		  ERR_OK },
		{ "after an inner map",
		  S("\x82\xa1m\x81\xa1z\0\xa1"
		    "a\0"),
		  ERR_MALFORMED },
		{ "in an array of maps",
		  S("\x92\x81\xa1z\0\x81\xa1"
		    "a\0"),
		  ERR_OK },
	};

	(void)state;
	assert_twins(rows, COUNT(rows));
}

static void strings_must_be_utf8(void **state)
{
	const struct twin rows[] = {
		{ "two bytes", S("\xa2\xc3\xa9"), ERR_OK },
		{ "four bytes", S("\xa4\xf0\x9f\x98\x80"), ERR_OK },
		{ "last code point", S("\xa4\xf4\x8f\xbf\xbf"), ERR_OK },
		{ "behind the last", S("\xa4\xf4\x90\x80\x80"), ERR_MALFORMED },
		{ "lone continuation", S("\xa1\x80"), ERR_MALFORMED },
		{ "cut", S("\xa1\xc3"), ERR_MALFORMED },
		{ "overlong", S("\xa2\xc0\xaf"), ERR_MALFORMED },
		{ "overlong of three", S("\xa3\xe0\x80\xaf"), ERR_MALFORMED },
		{ "overlong of four", S("\xa4\xf0\x80\x80\xaf"),
		  ERR_MALFORMED },
		{ "surrogate", S("\xa3\xed\xa0\x80"), ERR_MALFORMED },
		{ "ff", S("\xa1\xff"), ERR_MALFORMED },
		{ "as a key", S("\x81\xa1\xff\0"), ERR_MALFORMED },
		{ "the same as bin", S("\xc4\x01\xff"), ERR_OK },
		{ "far into a long one",
		  S("\xd9\x28"
		    "0123456789012345678901234567890123456\xe2\x28\xa1"),
		  ERR_MALFORMED },
	};

	(void)state;
	assert_twins(rows, COUNT(rows));
}

static void counts_beyond_the_input_are_not_believed(void **state)
{
	const struct twin rows[] = {
		{ "str32", S("\xdb\xff\xff\xff\xff"), ERR_TRUNCATED },
		{ "bin32", S("\xc6\xff\xff\xff\xff"), ERR_TRUNCATED },
		{ "array32 of 2^32-1", S("\xdd\xff\xff\xff\xff"), ERR_LIMIT },
		{ "map32 of 2^32-1", S("\xdf\xff\xff\xff\xff"), ERR_LIMIT },
		{ "array16", S("\xdc\xff\xff\0"), ERR_TRUNCATED },
		{ "map of 1 in 1 byte", S("\x81\xa0"), ERR_TRUNCATED },
		{ "inner array", S("\x91\x92\0"), ERR_TRUNCATED },
	};

	(void)state;
	assert_twins(rows, COUNT(rows));
}

/* @depth containers inside one another, by turns a list and a map. */
static void put_nested(struct buf *b, unsigned depth)
{
	buf_reset(b);
	for (unsigned i = 0; i < depth; i++)
		buf_put(b, i % 2 == 0 ? S("\x91") : S("\x81\xa0"));
	buf_put_u8(b, 0);
}

static void the_depth_limit_holds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	put_nested(&b, LIMIT_DEPTH);
	assert_int_equal(scan(buf_slice(&b)), ERR_OK);
	put_nested(&b, LIMIT_DEPTH + 1);
	assert_int_equal(scan(buf_slice(&b)), ERR_LIMIT);
	put_nested(&b, 100000);
	assert_int_equal(scan(buf_slice(&b)), ERR_LIMIT);
	buf_free(&b);
}

static void closed_containers_do_not_count_as_depth(void **state)
{
	struct buf b;
	struct enc e;

	(void)state;
	buf_init(&b, 1 << 20);
	enc_init(&e, &b);
	enc_array(&e, 1000);
	for (int i = 0; i < 1000; i++)
		enc_raw(&e, i % 2 == 0 ? S("\x91\x90") : S("\x81\xa0\x80"));
	assert_int_equal(scan(buf_slice(&b)), ERR_OK);
	buf_free(&b);
}

static void the_limit_of_values_holds(void **state)
{
	struct buf b;
	struct enc e;

	(void)state;
	buf_init(&b, 1 << 22);
	enc_init(&e, &b);
	/* Two lists and the one around them count too. */
	for (unsigned extra = 0; extra < 2; extra++) {
		buf_reset(&b);
		enc_array(&e, 2);
		enc_array(&e, 1000);
		memset(buf_extend(&b, 1000), 0, 1000);
		enc_array(&e, LIMIT_ITEMS - 1003 + extra);
		memset(buf_extend(&b, LIMIT_ITEMS - 1003 + extra), 0,
		       LIMIT_ITEMS - 1003 + extra);
		assert_int_equal(scan(buf_slice(&b)),
				 extra == 0 ? ERR_OK : ERR_LIMIT);
	}
	buf_free(&b);
}

static void keys_count_as_values(void **state)
{
	struct buf b;
	struct enc e;

	(void)state;
	buf_init(&b, 1 << 22);
	enc_init(&e, &b);
	enc_map(&e, LIMIT_ITEMS / 2);
	for (uint32_t i = 0; i < LIMIT_ITEMS / 2; i++) {
		uint8_t key[4];

		put_u32be(key, i & 0x7f);
		key[0] = (uint8_t)(i >> 21 & 0x7f);
		key[1] = (uint8_t)(i >> 14 & 0x7f);
		key[2] = (uint8_t)(i >> 7 & 0x7f);
		enc_str(&e, slice_of(key, 4));
		enc_bool(&e, true);
	}
	assert_int_equal(scan(buf_slice(&b)), ERR_LIMIT);
	buf_free(&b);
}

/* The cursor. */

static void the_cursor_reads_what_was_written(void **state)
{
	struct buf b;
	struct dec d;
	uint8_t zeros[300];

	(void)state;
	buf_init(&b, 10000);
	put_sample(&b);
	dec_init(&d, buf_slice(&b));
	assert_int_equal(dec_map(&d), 5);
	assert_true(slice_is(dec_str(&d), "array"));
	dec_array_of(&d, 16);
	for (unsigned i = 0; i < 8; i++)
		assert_true(dec_uint(&d) == (uint64_t)1 << (i * 8));
	for (unsigned i = 0; i < 8; i++)
		assert_true(dec_int(&d) == -((int64_t)1 << (i * 8)));
	assert_true(slice_is(dec_str(&d), "bin"));
	dec_bin_into(&d, zeros, sizeof(zeros));
	assert_true(slice_is(dec_str(&d), "bool"));
	assert_true(dec_bool(&d));
	assert_true(slice_is(dec_str(&d), "map"));
	assert_int_equal(dec_skip(&d).n, 3);
	assert_true(slice_is(dec_str(&d), "text"));
	assert_int_equal(dec_peek(&d), DEC_STR);
	dec_str(&d);
	assert_int_equal(dec_peek(&d), DEC_END);
	assert_int_equal(dec_finish(&d), ERR_OK);
	buf_free(&b);
}

static void read_uint(struct dec *d)
{
	dec_uint(d);
}

static void read_int(struct dec *d)
{
	dec_int(d);
}

static void read_bool(struct dec *d)
{
	dec_bool(d);
}

static void read_str(struct dec *d)
{
	dec_str(d);
}

static void read_bin(struct dec *d)
{
	dec_bin(d);
}

static void read_array(struct dec *d)
{
	dec_array(d);
}

static void read_map(struct dec *d)
{
	dec_map(d);
}

static void each_reader_takes_its_own_type_only(void **state)
{
	const struct slice inputs[] = {
		[DEC_UINT] = S("\x01"),	 [DEC_INT] = S("\xff"),
		[DEC_BOOL] = S("\xc3"),	 [DEC_STR] = S("\xa0"),
		[DEC_BIN] = S("\xc4\0"), [DEC_ARRAY] = S("\x90"),
		[DEC_MAP] = S("\x80"),	 [DEC_END] = S("\xc0"),
	};
	static void (*const readers[])(struct dec *) = {
		[DEC_UINT] = read_uint, [DEC_INT] = read_int,
		[DEC_BOOL] = read_bool, [DEC_STR] = read_str,
		[DEC_BIN] = read_bin,	[DEC_ARRAY] = read_array,
		[DEC_MAP] = read_map,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(inputs); i++) {
		for (size_t j = 0; j < COUNT(readers); j++) {
			bool fits = i == j || (i == DEC_UINT && j == DEC_INT);
			struct dec d;

			dec_init(&d, inputs[i]);
			readers[j](&d);
			assert_int_equal(dec_finish(&d),
					 fits ? ERR_OK : ERR_MALFORMED);
		}
	}
}

static void the_first_error_stays(void **state)
{
	struct dec d;

	(void)state;
	dec_init(&d, S("\x05\xa1x"));
	assert_int_equal(dec_uint_max(&d, 4), 0);
	assert_int_equal(d.err, ERR_LIMIT);
	assert_int_equal(dec_str(&d).n, 0);
	assert_int_equal(dec_skip(&d).n, 0);
	assert_int_equal(dec_array(&d), 0);
	dec_array_of(&d, 3);
	assert_int_equal(dec_peek(&d), DEC_END);
	assert_int_equal(dec_finish(&d), ERR_LIMIT);
}

static void bounds_of_single_reads_are_exact(void **state)
{
	uint8_t out[3];
	struct dec d;

	(void)state;
	dec_init(&d, S("\x05"));
	assert_int_equal(dec_uint_max(&d, 5), 5);
	dec_init(&d, S("\xcf\x80\0\0\0\0\0\0\0"));
	assert_true(dec_int(&d) == 0);
	assert_int_equal(d.err, ERR_LIMIT);
	for (uint8_t n = 0; n < 5; n++) {
		uint8_t in[6] = { 0xc4, n, 1, 2, 3, 4 };

		memset(out, 0xee, sizeof(out));
		dec_init(&d, slice_of(in, 2u + n));
		dec_bin_into(&d, out, 3);
		assert_int_equal(dec_finish(&d),
				 n == 3 ? ERR_OK : ERR_MALFORMED);
		assert_memory_equal(out, n == 3 ? "\1\2\3" : "\0\0\0", 3);
	}
	dec_init(&d, S("\x92\0\0"));
	dec_array_of(&d, 3);
	assert_int_equal(d.err, ERR_MALFORMED);
	dec_init(&d, S("\x01\x02"));
	dec_uint(&d);
	assert_int_equal(dec_finish(&d), ERR_MALFORMED);
}

static void the_cursor_refuses_twins_that_were_not_scanned(void **state)
{
	struct dec d;

	(void)state;
	dec_init(&d, S("\xcc\x01"));
	assert_int_equal(dec_uint(&d), 0);
	assert_int_equal(d.err, ERR_MALFORMED);
	dec_init(&d, S("\x91\xdc\0\0"));
	assert_int_equal(dec_skip(&d).n, 0);
	assert_int_equal(d.err, ERR_MALFORMED);
}

/* Look-ups. */

static void fields_are_found_by_their_key(void **state)
{
	struct slice text = SLICE_LIT("Gest\xc3\xa3o de bases de dados, "
				      "a long string");
	struct slice value = S("untouched");
	struct buf b;
	struct slice map;

	(void)state;
	buf_init(&b, 10000);
	put_sample(&b);
	map = buf_slice(&b);
	assert_true(dec_find(map, "bool", &value));
	assert_true(slice_is(value, "\xc3"));
	value = S("untouched");
	assert_false(dec_find(map, "", &value));
	assert_false(dec_find(map, "boo", &value));
	assert_false(dec_find(map, "zz", &value));
	assert_true(slice_is(value, "untouched"));
	assert_true(slice_equal(dec_find_str(map, "text"), text));
	assert_int_equal(dec_find_str(map, "bool").n, 0);
	assert_int_equal(dec_find_str(map, "none").n, 0);
	assert_true(dec_find(map, "map", &value));
	assert_true(dec_find(value, "", &value));
	buf_free(&b);
}

static void numbers_are_found_or_their_default_given(void **state)
{
	struct slice map = S("\x82\xa1"
			     "a\x05\xa1"
			     "b\xa0");
	struct slice value;

	(void)state;
	assert_int_equal(dec_find_uint(map, "a", 9), 5);
	assert_int_equal(dec_find_uint(map, "b", 9), 9);
	assert_int_equal(dec_find_uint(map, "c", 9), 9);
	assert_false(dec_find(S("\x91\xa1"
				"a"),
			      "a", &value));
	assert_false(dec_find(slice_of(NULL, 0), "a", &value));
	assert_false(dec_find(S("\x81\xa1"
				"a\xdc"),
			      "a", &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_take_their_shortest_form),
		cmocka_unit_test(lengths_take_their_shortest_form),
		cmocka_unit_test(encoding_stops_at_the_buffers_maximum),
		cmocka_unit_test(a_sample_of_everything_is_canonical),
		cmocka_unit_test(every_prefix_is_truncated),
		cmocka_unit_test(bytes_behind_the_value_are_refused),
		cmocka_unit_test(what_is_not_the_shortest_form_is_refused),
		cmocka_unit_test(types_outside_the_subset_are_refused),
		cmocka_unit_test(keys_must_be_sorted_unique_strings),
		cmocka_unit_test(strings_must_be_utf8),
		cmocka_unit_test(counts_beyond_the_input_are_not_believed),
		cmocka_unit_test(the_depth_limit_holds),
		cmocka_unit_test(closed_containers_do_not_count_as_depth),
		cmocka_unit_test(the_limit_of_values_holds),
		cmocka_unit_test(keys_count_as_values),
		cmocka_unit_test(the_cursor_reads_what_was_written),
		cmocka_unit_test(each_reader_takes_its_own_type_only),
		cmocka_unit_test(the_first_error_stays),
		cmocka_unit_test(bounds_of_single_reads_are_exact),
		cmocka_unit_test(
			the_cursor_refuses_twins_that_were_not_scanned),
		cmocka_unit_test(fields_are_found_by_their_key),
		cmocka_unit_test(numbers_are_found_or_their_default_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
