#include "proto/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S(text) SLICE_LIT(text)

/* Slices. */

static void slices_order_like_memcmp_and_the_shorter_first(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		int sign;
	} rows[] = {
		{ "", "", 0 },	   { "", "a", -1 },    { "a", "", 1 },
		{ "a", "a", 0 },   { "a", "ab", -1 },  { "ab", "a", 1 },
		{ "ab", "b", -1 }, { "\xff", "a", 1 }, { "aa", "ab", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice a = slice_str(rows[i].a);
		struct slice b = slice_str(rows[i].b);
		int order = slice_compare(a, b);

		assert_int_equal((order > 0) - (order < 0), rows[i].sign);
		assert_int_equal(slice_equal(a, b), rows[i].sign == 0);
		assert_int_equal(slice_is(a, rows[i].b), rows[i].sign == 0);
	}
}

static void an_empty_slice_may_have_no_address(void **state)
{
	struct slice none = slice_of(NULL, 0);
	struct slice head;
	struct slice rest;

	(void)state;
	assert_true(slice_equal(none, S("")));
	assert_int_equal(slice_compare(none, none), 0);
	assert_true(slice_starts(none, none));
	assert_true(slice_starts(S("a"), none));
	assert_false(slice_starts(none, S("a")));
	assert_int_equal(slice_sub(none, 0, 0).n, 0);
	assert_false(slice_cut(none, '/', &head, &rest));
	assert_int_equal(head.n, 0);
	assert_int_equal(rest.n, 0);
}

static void cutting_splits_at_the_first_separator(void **state)
{
	static const struct {
		const char *in;
		bool found;
		const char *head;
		const char *rest;
	} rows[] = {
		{ "a/b", true, "a", "b" }, { "a/b/c", true, "a", "b/c" },
		{ "/b", true, "", "b" },   { "a/", true, "a", "" },
		{ "/", true, "", "" },	   { "ab", false, "ab", "" },
		{ "a//", true, "a", "/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice head;
		struct slice rest;

		assert_int_equal(
			slice_cut(slice_str(rows[i].in), '/', &head, &rest),
			rows[i].found);
		assert_true(slice_is(head, rows[i].head));
		assert_true(slice_is(rest, rows[i].rest));
	}
}

static void a_slice_can_be_cut_in_place(void **state)
{
	struct slice s = S("dtu.dk/02170");
	struct slice member;

	(void)state;
	assert_true(slice_cut(s, '/', &member, &s));
	assert_true(slice_is(member, "dtu.dk"));
	assert_true(slice_is(s, "02170"));
}

static void sub_and_starts_look_at_parts(void **state)
{
	(void)state;
	assert_true(slice_is(slice_sub(S("abcd"), 1, 2), "bc"));
	assert_true(slice_is(slice_sub(S("abcd"), 4, 0), ""));
	assert_true(slice_starts(S("abcd"), S("abc")));
	assert_false(slice_starts(S("abcd"), S("abd")));
	assert_false(slice_starts(S("ab"), S("abc")));
}

/* Buffers. */

static void a_buffer_collects_what_is_put(void **state)
{
	static const uint8_t want[] = {
		'a',  'b',  7,	  1,	2,    3,    4,	 0x11, 0x22,
		0x33, 0x44, 0x55, 0x66, 0x77, 0x88, '0', '9',  '9',
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_put_str(&b, "ab");
	buf_put_u8(&b, 7);
	buf_put_u32be(&b, 0x01020304);
	buf_put_u64be(&b, 0x1122334455667788);
	buf_put_dec(&b, 0);
	buf_put_dec(&b, 99);
	assert_int_equal(b.err, ERR_OK);
	assert_true(slice_equal(buf_slice(&b), slice_of(want, sizeof(want))));
	buf_free(&b);
}

static void decimal_digits_cover_the_whole_range(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_put_dec(&b, UINT64_MAX);
	assert_true(slice_is(buf_slice(&b), "18446744073709551615"));
	buf_free(&b);
}

static void a_buffer_takes_its_maximum_and_not_one_byte_more(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 70);
	for (int i = 0; i < 70; i++)
		buf_put_u8(&b, (uint8_t)i);
	assert_int_equal(b.err, ERR_OK);
	assert_int_equal(b.n, 70);
	assert_int_equal(b.cap, 70);
	buf_put_u8(&b, 70);
	assert_int_equal(b.err, ERR_LIMIT);
	assert_int_equal(b.n, 70);
	buf_free(&b);
}

static void the_error_of_a_buffer_is_sticky(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_put_str(&b, "abcde");
	buf_put_str(&b, "a");
	assert_null(buf_extend(&b, 0));
	assert_int_equal(b.err, ERR_LIMIT);
	assert_int_equal(b.n, 0);
	buf_reset(&b);
	buf_put_str(&b, "a");
	assert_int_equal(b.err, ERR_OK);
	assert_true(slice_is(buf_slice(&b), "a"));
	buf_free(&b);
}

static void a_huge_request_does_not_wrap_around(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_put_str(&b, "abc");
	assert_null(buf_extend(&b, SIZE_MAX - 2));
	assert_int_equal(b.err, ERR_LIMIT);
	buf_free(&b);
}

static void dropping_keeps_the_tail(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_drop(&b, 0);
	buf_put_str(&b, "abcdef");
	buf_drop(&b, 2);
	assert_true(slice_is(buf_slice(&b), "cdef"));
	buf_drop(&b, 4);
	assert_int_equal(b.n, 0);
	buf_put_str(&b, "x");
	assert_true(slice_is(buf_slice(&b), "x"));
	buf_free(&b);
}

static void freeing_and_wiping_are_safe_on_zeroed_buffers(void **state)
{
	struct buf b = { .p = NULL };

	(void)state;
	buf_free(&b);
	buf_wipe(&b);
	buf_init(&b, 10);
	buf_put_str(&b, "secret");
	buf_wipe(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 10);
	buf_put_str(&b, "again");
	assert_true(slice_is(buf_slice(&b), "again"));
	buf_free(&b);
}

static void extending_by_nothing_gives_an_address(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_non_null(buf_extend(&b, 0));
	assert_int_equal(b.err, ERR_OK);
	buf_free(&b);
}

/* Arenas. */

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

/* Many sizes, each filled: overlaps and dirty memory would show. */
static void fill(struct arena *a)
{
	static const size_t sizes[] = { 1,   24,   0,	 17,	 4000, 3,
					100, 5000, 8192, 300000, 16,   7 };
	uint8_t *p;

	for (size_t round = 0; round < 40; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			p = arena_alloc(a, sizes[i]);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_true(all_zero(p, sizes[i]));
			memset(p, 0xa5, sizes[i]);
		}
	}
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 64u << 20);
	fill(&a);
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	fill(&a);
	arena_free(&a);
	assert_null(a.head);
	fill(&a);
	arena_free(&a);
	arena_free(&a);
}

static void an_arena_stops_at_its_cap(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 100);
	assert_non_null(arena_alloc(&a, 96));
	assert_null(arena_alloc(&a, 5));
	assert_non_null(arena_alloc(&a, 4));
	assert_null(arena_alloc(&a, 1));
	assert_int_equal(a.used, 100);
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 100));
	arena_reset(&a);
	assert_null(arena_alloc(&a, 101));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_free(&a);
}

static void the_padding_of_an_arena_counts(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 32);
	assert_non_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 17));
	assert_non_null(arena_alloc(&a, 16));
	assert_int_equal(a.used, 32);
	arena_free(&a);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_array(&a, SIZE_MAX / 8 + 1, 8));
	assert_null(arena_array(&a, SIZE_MAX, 2));
	assert_non_null(arena_array(&a, 0, 8));
	assert_non_null(arena_array(&a, 3, 8));
	arena_free(&a);
}

static void copies_stand_in_the_arena(void **state)
{
	struct arena a;
	struct slice one;
	struct slice two;
	char text[] = "abc";

	(void)state;
	arena_init(&a, 6);
	assert_int_equal(arena_copy(&a, slice_str(text), &one), ERR_OK);
	text[0] = 'x';
	assert_int_equal(arena_copy(&a, slice_of(NULL, 0), &two), ERR_OK);
	assert_int_equal(two.n, 0);
	assert_int_equal(arena_copy(&a, slice_str(text), &two), ERR_OK);
	assert_true(slice_is(one, "abc"));
	assert_true(slice_is(two, "xbc"));
	assert_int_equal(arena_copy(&a, slice_str(text), &two), ERR_LIMIT);
	arena_free(&a);
}

/* Memory and integers. */

static void duplicates_end_with_a_nul(void **state)
{
	char *a = xstrdup("abc");
	char *b = xstrndup(slice_of("abcdef", 3));
	char *c = xstrndup(slice_of(NULL, 0));

	(void)state;
	assert_string_equal(a, "abc");
	assert_string_equal(b, "abc");
	assert_string_equal(c, "");
	free(a);
	free(b);
	free(c);
}

static void integers_are_big_endian(void **state)
{
	uint8_t p[8];

	(void)state;
	put_u16be(p, 0xfedc);
	assert_memory_equal(p, "\xfe\xdc", 2);
	assert_int_equal(get_u16be(p), 0xfedc);
	put_u32be(p, 0xfedcba98);
	assert_memory_equal(p, "\xfe\xdc\xba\x98", 4);
	assert_int_equal(get_u32be(p), 0xfedcba98);
	put_u64be(p, 0xfedcba9876543210);
	assert_memory_equal(p, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
	assert_true(get_u64be(p) == 0xfedcba9876543210);
}

static void wiping_leaves_zeros(void **state)
{
	uint8_t p[4] = { 1, 2, 3, 4 };

	(void)state;
	wipe(p, 3);
	assert_memory_equal(p, "\0\0\0\4", 4);
	wipe(NULL, 0);
}

/* Errors. */

static void every_error_has_a_name_and_a_sentence(void **state)
{
	static const enum err all[] = {
#define X(name, num, code, text) name,
		ERR_MAP(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(all[i] < 0);
		assert_true(strlen(err_text(all[i])) > 0);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(err_code(all[i]),
						err_code(all[j]));
			assert_int_not_equal(all[i], all[j]);
		}
	}
	assert_string_equal(err_code(ERR_NOT_FOUND), "not-found");
	assert_string_equal(err_code(ERR_OK), "ok");
	assert_string_equal(err_text(ERR_OK), "success");
	assert_string_equal(err_code((enum err) - 9999), "unknown");
	assert_non_null(err_text((enum err) - 9999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			slices_order_like_memcmp_and_the_shorter_first),
		cmocka_unit_test(an_empty_slice_may_have_no_address),
		cmocka_unit_test(cutting_splits_at_the_first_separator),
		cmocka_unit_test(a_slice_can_be_cut_in_place),
		cmocka_unit_test(sub_and_starts_look_at_parts),
		cmocka_unit_test(a_buffer_collects_what_is_put),
		cmocka_unit_test(decimal_digits_cover_the_whole_range),
		cmocka_unit_test(
			a_buffer_takes_its_maximum_and_not_one_byte_more),
		cmocka_unit_test(the_error_of_a_buffer_is_sticky),
		cmocka_unit_test(a_huge_request_does_not_wrap_around),
		cmocka_unit_test(dropping_keeps_the_tail),
		cmocka_unit_test(freeing_and_wiping_are_safe_on_zeroed_buffers),
		cmocka_unit_test(extending_by_nothing_gives_an_address),
		cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(an_arena_stops_at_its_cap),
		cmocka_unit_test(the_padding_of_an_arena_counts),
		cmocka_unit_test(an_array_whose_size_overflows_is_refused),
		cmocka_unit_test(copies_stand_in_the_arena),
		cmocka_unit_test(duplicates_end_with_a_nul),
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(wiping_leaves_zeros),
		cmocka_unit_test(every_error_has_a_name_and_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
