/* The question document: what is taken, what is refused, and how. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/dec.h"
#include "tests/lib/facts.h"

/* ---- Helpers ---------------------------------------------------------- */

static enum err parse(struct slice in, struct recognise_question *q)
{
	const char *why = NULL;
	enum err e = recognise_question_parse(in, q, &why);

	assert_non_null(why);
	if (e != ERR_OK)
		assert_true(why[0] != '\0');
	return e;
}

static enum err parse_json(const char *json)
{
	struct recognise_question q;
	struct world *w = calloc(1, sizeof(*w));
	enum err e;

	world_init(w);
	e = parse(world_raw(w, json), &q);
	world_free(w);
	free(w);
	return e;
}

/* ---- Taken ------------------------------------------------------------ */

static void every_field_comes_back(void **state)
{
	struct recognise_question q = {
		.by = SLICE_LIT("hku.hk"),
		.purpose = SLICE_LIT("admission"),
		.programme = SLICE_LIT("BEng"),
		.as_of = SLICE_LIT("2027-01-01"),
		.explain = true,
		.credential_count = 2,
		.credentials = { SLICE_LIT("dtu.dk/C1"), SLICE_LIT("C2") },
	};
	struct recognise_question got;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_QUESTION_BYTES);
	recognise_question_put(&q, &b);
	assert_int_equal(dec_scan(buf_slice(&b), NULL), ERR_OK);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	assert_true(slice_equal(got.by, q.by));
	assert_true(slice_equal(got.purpose, q.purpose));
	assert_true(slice_equal(got.programme, q.programme));
	assert_true(slice_equal(got.as_of, q.as_of));
	assert_true(got.explain);
	assert_int_equal(got.credential_count, 2);
	assert_true(slice_is(got.credentials[1], "C2"));
	buf_free(&b);
}

static void an_offer_and_a_proof_come_back(void **state)
{
	struct recognise_question q = { .by = SLICE_LIT("hku.hk"),
					.offer = SLICE_LIT("dtu.dk/02170"),
					.achieved_on =
						SLICE_LIT("2026-01-01") };
	struct recognise_question got;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_QUESTION_BYTES);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	assert_true(slice_equal(got.offer, q.offer));
	assert_true(slice_equal(got.achieved_on, q.achieved_on));
	q = (struct recognise_question){ .by = SLICE_LIT("hku.hk"),
					 .disclosed = SLICE_LIT("\1\2\3") };
	buf_reset(&b);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	assert_true(slice_equal(got.disclosed, q.disclosed));
	buf_free(&b);
}

static void a_credential_named_twice_counts_once(void **state)
{
	struct recognise_question q = {
		.by = SLICE_LIT("hku.hk"),
		.credential_count = 3,
		.credentials = { SLICE_LIT("a"), SLICE_LIT("b"),
				 SLICE_LIT("a") },
	};
	struct recognise_question got;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_QUESTION_BYTES);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	assert_int_equal(got.credential_count, 2);
	buf_free(&b);
}

/* ---- Refused ---------------------------------------------------------- */

static void what_is_no_question_is_refused(void **state)
{
#define Q(more) "{\"by\":\"hku.hk\",\"v\":1" more "}"
	static const struct {
		const char *json;
		enum err want;
	} cases[] = {
		{ Q(",\"offer\":\"dtu.dk/1\""), ERR_OK },
		{ "[]", ERR_MALFORMED },
		{ "{}", ERR_MALFORMED },
		{ "{\"by\":\"hku.hk\",\"offer\":\"dtu.dk/1\"}", ERR_MALFORMED },
		{ "{\"offer\":\"dtu.dk/1\",\"v\":1}", ERR_MALFORMED },
		{ "{\"by\":\"hku.hk\",\"offer\":\"dtu.dk/1\",\"v\":2}",
		  ERR_UNSUPPORTED },
		{ "{\"by\":\"hku.hk\",\"offer\":\"dtu.dk/1\",\"v\":\"1\"}",
		  ERR_UNSUPPORTED },
		{ "{\"by\":\"HKU\",\"offer\":\"dtu.dk/1\",\"v\":1}",
		  ERR_MALFORMED },
		{ "{\"by\":\"all\",\"offer\":\"dtu.dk/1\",\"v\":1}",
		  ERR_MALFORMED },
		{ Q(""), ERR_MALFORMED },
		{ Q(",\"moon\":1,\"offer\":\"dtu.dk/1\""), ERR_UNSUPPORTED },
		{ Q(",\"credentials\":[]"), ERR_MALFORMED },
		{ Q(",\"credentials\":\"C\""), ERR_MALFORMED },
		{ Q(",\"credentials\":[1]"), ERR_MALFORMED },
		{ Q(",\"credentials\":[\"\"]"), ERR_MALFORMED },
		{ Q(",\"credentials\":[\"a\\nb\"]"), ERR_MALFORMED },
		{ Q(",\"credentials\":[\"C\"],\"offer\":\"dtu.dk/1\""),
		  ERR_MALFORMED },
		{ Q(",\"offer\":\"1\""), ERR_MALFORMED },
		{ Q(",\"offer\":\"dtu.dk/\""), ERR_MALFORMED },
		{ Q(",\"offer\":\"dtu/1\""), ERR_MALFORMED },
		{ Q(",\"offer\":1"), ERR_MALFORMED },
		{ Q(",\"as_of\":\"2027-02-30\",\"offer\":\"dtu.dk/1\""),
		  ERR_MALFORMED },
		{ Q(",\"achieved_on\":\"2027\",\"offer\":\"dtu.dk/1\""),
		  ERR_MALFORMED },
		{ Q(",\"achieved_on\":\"2027-01-01\",\"credentials\":[\"C\"]"),
		  ERR_MALFORMED },
		{ Q(",\"purpose\":\"fun\",\"offer\":\"dtu.dk/1\""),
		  ERR_MALFORMED },
		{ Q(",\"explain\":1,\"offer\":\"dtu.dk/1\""), ERR_MALFORMED },
		{ Q(",\"disclosed\":\"text\""), ERR_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum err e = parse_json(cases[i].json);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].json, err_text(e));
	}
}

static void one_more_than_the_limit_is_refused(void **state)
{
	struct recognise_question q = { .by = SLICE_LIT("hku.hk") }, got;
	uint8_t *large = calloc(1, LIMIT_QUESTION_BYTES);
	char id[LIMIT_HELD][8];
	struct buf b;

	(void)state;
	assert_non_null(large);
	buf_init(&b, 2 * LIMIT_QUESTION_BYTES);
	for (uint32_t i = 0; i < LIMIT_HELD; i++) {
		snprintf(id[i], sizeof(id[i]), "C%u", i);
		q.credentials[q.credential_count++] = slice_str(id[i]);
	}
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	assert_int_equal(got.credential_count, LIMIT_HELD);
	/* A list of one more, by hand: by, credentials, v. */
	buf_reset(&b);
	buf_put(&b, SLICE_LIT("\x83\xa2"
			      "by\xa6"
			      "hku.hk\xab"
			      "credentials\xdc\0\x11"));
	for (uint32_t i = 0; i <= LIMIT_HELD; i++) {
		buf_put(&b, SLICE_LIT("\xa2"));
		buf_put_u8(&b, 'D');
		buf_put_u8(&b, (uint8_t)('a' + i));
	}
	buf_put(&b, SLICE_LIT("\xa1v\x01"));
	assert_int_equal(parse(buf_slice(&b), &got), ERR_LIMIT);
	/* A reference that is too long. */
	q.credential_count = 1;
	memset(large, 'x', LIMIT_QUESTION_BYTES);
	q.credentials[0] =
		slice_of(large, LIMIT_DOMAIN_BYTES + 1 + LIMIT_ID_BYTES);
	buf_reset(&b);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_OK);
	q.credentials[0].n++;
	buf_reset(&b);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_MALFORMED);
	/* And the whole. */
	q.credential_count = 0;
	q.disclosed = slice_of(large, LIMIT_QUESTION_BYTES - 1);
	buf_reset(&b);
	recognise_question_put(&q, &b);
	assert_int_equal(parse(buf_slice(&b), &got), ERR_LIMIT);
	buf_free(&b);
	free(large);
}

static void every_prefix_and_every_twin_is_refused(void **state)
{
	/* by before as_of; v in two bytes; a key twice; something behind. */
	static const struct slice twins[] = {
		SLICE_INIT("\x83\xa2"
			   "by\xa6"
			   "hku.hk\xa5"
			   "as_of\xaa"
			   "2027-01-01\xa1v\x01"),
		SLICE_INIT("\x83\xa2"
			   "by\xa6"
			   "hku.hk\xa5"
			   "offer\xa8"
			   "dtu.dk/1\xa1v\xcc\x01"),
		SLICE_INIT("\x83\xa2"
			   "by\xa6"
			   "hku.hk\xa2"
			   "by\xa6"
			   "hku.hk\xa1v\x01"),
		SLICE_INIT("\x83\xa2"
			   "by\xa6"
			   "hku.hk\xa5"
			   "offer\xa8"
			   "dtu.dk/1\xa1v\x01\x00"),
	};
	static const struct slice good = SLICE_INIT("\x83\xa2"
						    "by\xa6"
						    "hku.hk\xa5"
						    "offer\xa8"
						    "dtu.dk/1\xa1v\x01");
	struct recognise_question q;

	(void)state;
	assert_int_equal(parse(good, &q), ERR_OK);
	for (size_t n = 0; n < good.n; n++) {
		uint8_t *end = malloc(n > 0 ? n : 1); /* guarded by ASan */

		memcpy(end, good.p, n);
		assert_int_equal(parse(slice_of(end, n), &q), ERR_TRUNCATED);
		free(end);
	}
	for (size_t i = 0; i < sizeof(twins) / sizeof(*twins); i++)
		assert_int_equal(parse(twins[i], &q), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_comes_back),
		cmocka_unit_test(an_offer_and_a_proof_come_back),
		cmocka_unit_test(a_credential_named_twice_counts_once),
		cmocka_unit_test(what_is_no_question_is_refused),
		cmocka_unit_test(one_more_than_the_limit_is_refused),
		cmocka_unit_test(every_prefix_and_every_twin_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
