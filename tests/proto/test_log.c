#include "proto/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/signer.h"

#define ORIGIN "a.example/symbolon/1"

/* Fixture: a card that names one key up to size 100 and another behind it. */
struct fixture {
	struct signer first, second;
	struct descriptor_log logs[2];
	struct descriptor d;
};

static void a_fixture(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->first = a_signer(ORIGIN, NOTE_ED25519);
	f->second = f->first;
	f->second.secret[0] ^= 1;
	sig_public(f->second.secret, f->second.key.pub);
	assert_int_equal(note_key_init(&f->second.key, slice_str(ORIGIN),
				       NOTE_ED25519, f->second.key.pub),
			 ERR_OK);
	f->logs[0] = (struct descriptor_log){ .origin = slice_str(ORIGIN),
					      .key = f->first.key,
					      .from = 0,
					      .to = 100 };
	f->logs[1] = (struct descriptor_log){ .origin = slice_str(ORIGIN),
					      .key = f->second.key,
					      .from = 101,
					      .to = UINT64_MAX };
	f->d.logs = f->logs;
	f->d.log_count = 2;
}

static struct head a_head(uint64_t size)
{
	struct head h = { size, hash_empty() };

	if (size > 0)
		h.root = hash_bytes(slice_of(&size, sizeof(size)));
	return h;
}

static enum err verify(const struct fixture *f, struct slice raw,
		       const char *origin, struct head *head)
{
	struct arena a;
	struct note n;
	enum err err;

	arena_init(&a, 1u << 16);
	err = log_verify_head(raw, &f->d, slice_str(origin), &a, &n, head);
	arena_free(&a);
	return err;
}

/* Origins. */

static void origins_come_back_as_they_were(void **state)
{
	static const uint64_t generations[] = { 1, 2, 10, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct slice member;
		uint64_t generation;
		struct buf b;

		buf_init(&b, 100);
		log_origin_put(slice_str("dtu.dk"), generations[i], &b);
		assert_int_equal(
			log_origin_parse(buf_slice(&b), &member, &generation),
			ERR_OK);
		assert_true(slice_is(member, "dtu.dk"));
		assert_int_equal(generation, generations[i]);
		buf_free(&b);
	}
}

static void origins_in_another_form_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"dtu.dk",
		"dtu.dk/",
		"dtu.dk/symbolon",
		"dtu.dk/symbolon/",
		"dtu.dk/symbolon/0",
		"dtu.dk/symbolon/01",
		"dtu.dk/symbolon/-1",
		"dtu.dk/symbolon/1/",
		"dtu.dk/symbolon/1 ",
		"dtu.dk/symbolon/18446744073709551616",
		"dtu.dk//symbolon/1",
		"dtu.dk/Symbolon/1",
		"DTU.dk/symbolon/1",
		"dtu/symbolon/1",
		"/symbolon/1",
		"a/dtu.dk/symbolon/1",
	};
	struct slice member;
	uint64_t generation;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (log_origin_parse(slice_str(bad[i]), &member, &generation) !=
		    ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i]);
	}
}

/* Heads. */

static void a_signed_head_verifies_under_the_key_of_its_size(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 100, 101, 1ull << 40 };
	struct fixture f;

	(void)state;
	a_fixture(&f);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct head head = a_head(sizes[i]), got;

		for (unsigned k = 0; k < 2; k++) {
			const struct signer *s = k == 0 ? &f.first : &f.second;
			bool right = (k == 0) == (sizes[i] <= 100);
			struct buf b;

			buf_init(&b, LIMIT_NOTE_BYTES);
			log_sign_head(slice_str(ORIGIN), &head, &s->key,
				      s->secret, &b);
			assert_int_equal(
				verify(&f, buf_slice(&b), ORIGIN, &got),
				right ? ERR_OK : ERR_INVALID);
			if (right)
				assert_true(head_equal(&got, &head));
			buf_free(&b);
		}
	}
}

static void a_head_of_another_log_or_without_key_is_refused(void **state)
{
	struct fixture f;
	struct head head = a_head(5), got;
	struct buf b;

	(void)state;
	a_fixture(&f);
	buf_init(&b, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(ORIGIN), &head, &f.first.key, f.first.secret,
		      &b);
	assert_int_equal(
		verify(&f, buf_slice(&b), "a.example/symbolon/2", &got),
		ERR_CONFLICT);
	f.logs[0].to = 4;
	assert_int_equal(verify(&f, buf_slice(&b), ORIGIN, &got), ERR_DENIED);
	f.logs[0].to = 100;
	b.p[b.n - 20] ^= 1;
	assert_int_not_equal(verify(&f, buf_slice(&b), ORIGIN, &got), ERR_OK);
	b.p[b.n - 20] ^= 1;
	assert_int_equal(verify(&f, buf_slice(&b), ORIGIN, &got), ERR_OK);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(verify(&f, slice_of(b.p, n), ORIGIN, &got),
				 ERR_MALFORMED);
	buf_free(&b);
}

static void a_head_with_an_extension_line_is_refused(void **state)
{
	struct fixture f;
	const struct signer *list[] = { &f.first };
	struct head got;
	struct buf b;

	(void)state;
	a_fixture(&f);
	b = a_note(slice_str(ORIGIN "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG"
				    "3hSuFU=\nextension\n"),
		   list, 1);
	assert_int_equal(verify(&f, buf_slice(&b), ORIGIN, &got),
			 ERR_MALFORMED);
	buf_free(&b);
}

static void a_cosignature_line_joins_the_signed_head(void **state)
{
	struct fixture f;
	struct signer w = a_signer("b.example/witness", NOTE_COSIGNATURE);
	struct head head = a_head(5), got;
	struct arena a;
	struct note n;
	uint64_t seconds;
	struct buf b;

	(void)state;
	a_fixture(&f);
	buf_init(&b, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(ORIGIN), &head, &f.first.key, f.first.secret,
		      &b);
	log_cosign(slice_str(ORIGIN), &head, &w.key, w.secret, 1234567890, &b);
	assert_int_equal(verify(&f, buf_slice(&b), ORIGIN, &got), ERR_OK);
	arena_init(&a, 1u << 16);
	assert_int_equal(note_parse(buf_slice(&b), &a, &n), ERR_OK);
	assert_int_equal(n.sig_count, 2);
	assert_int_equal(note_verify(&n, &w.key, &seconds), ERR_OK);
	assert_int_equal(seconds, 1234567890);
	arena_free(&a);
	buf_free(&b);
}

/* When one may cosign. */

static void a_witness_signs_no_smaller_size_and_no_second_root(void **state)
{
	struct cosign_state last = { a_head(10), 1000000 };
	struct head other = a_head(10), smaller = a_head(9);
	struct head none = a_head(0);
	uint64_t late = 1000000 + 3600u * 1000u;

	(void)state;
	other.root.b[0] ^= 1;
	assert_false(log_may_cosign(&last, &other, late));
	assert_false(log_may_cosign(&last, &smaller, late));
	assert_false(log_may_cosign(&last, &none, late));
	assert_false(log_may_cosign(&last, &smaller, 1));
	assert_false(log_may_cosign(&last, &other, 1));
}

static void a_witness_waits_100_ms_or_ten_minutes(void **state)
{
	struct cosign_state last = { a_head(10), 1000000 };
	struct head same = a_head(10), larger = a_head(11);

	(void)state;
	assert_false(log_may_cosign(&last, &larger, 1000000));
	assert_false(log_may_cosign(&last, &larger, 1000099));
	assert_true(log_may_cosign(&last, &larger, 1000100));
	assert_false(log_may_cosign(&last, &same, 1000100));
	assert_false(log_may_cosign(&last, &same, 1599999));
	assert_true(log_may_cosign(&last, &same, 1600000));
}

static void a_witness_that_never_signed_may(void **state)
{
	struct cosign_state never = { a_head(0), 0 };
	struct head head = a_head(3), empty = a_head(0);

	(void)state;
	assert_true(log_may_cosign(&never, &head, 5));
	assert_true(log_may_cosign(&never, &empty, 5));
}

static void a_clock_set_back_does_not_silence_a_witness(void **state)
{
	struct cosign_state last = { a_head(10), 1000000 };
	struct head same = a_head(10), larger = a_head(11);

	(void)state;
	assert_true(log_may_cosign(&last, &larger, 500));
	assert_true(log_may_cosign(&last, &same, 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins_come_back_as_they_were),
		cmocka_unit_test(origins_in_another_form_are_refused),
		cmocka_unit_test(
			a_signed_head_verifies_under_the_key_of_its_size),
		cmocka_unit_test(
			a_head_of_another_log_or_without_key_is_refused),
		cmocka_unit_test(a_head_with_an_extension_line_is_refused),
		cmocka_unit_test(a_cosignature_line_joins_the_signed_head),
		cmocka_unit_test(
			a_witness_signs_no_smaller_size_and_no_second_root),
		cmocka_unit_test(a_witness_waits_100_ms_or_ten_minutes),
		cmocka_unit_test(a_witness_that_never_signed_may),
		cmocka_unit_test(a_clock_set_back_does_not_silence_a_witness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
