#include "proto/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"
#include "tests/lib/signer.h"

/* Helpers. */

static struct leaf a_leaf(uint32_t kind, uint64_t audience)
{
	struct leaf l = { .kind = kind, .audience = audience };

	for (unsigned i = 0; i < DIGEST_BYTES; i++)
		l.commitment.b[i] = (uint8_t)i;
	return l;
}

static void assert_leaf(const struct leaf *a, const struct leaf *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->audience, b->audience);
	assert_true(digest_equal(&a->commitment, &b->commitment));
}

/* Decode an exact copy, so that the sanitizer sees a read behind it. */
static enum err decode(const uint8_t *p, size_t n, struct leaf *out)
{
	uint8_t *copy = a_copy(slice_of(p, n));
	enum err err = leaf_decode(slice_of(copy, n), out);

	free(copy);
	return err;
}

/* What a test record consists of. */
struct sample {
	uint8_t salt[LIMIT_SALT_BYTES];
	struct digest origin;
	struct slice body;
	uint8_t leaf[LIMIT_LEAF_BYTES];
	struct buf kept; /* the body as it is kept */
	struct sealer *sealer;
	struct record record;
};

static void a_sample(struct sample *s, uint64_t audience)
{
	struct leaf l = { .kind = KIND_OFFER, .audience = audience };

	memset(s->salt, 7, sizeof(s->salt));
	s->origin = hash_bytes(slice_str("dtu.dk/symbolon/1"));
	s->body = slice_str("\x81\xa5offer\xa5"
			    "02170");
	s->sealer = sealer_open();
	buf_init(&s->kept, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	l.commitment = record_commit(s->salt, &s->origin, s->body);
	if (audience == AUDIENCE_PUBLIC)
		buf_put(&s->kept, s->body);
	else
		assert_int_equal(
			seal_body(s->sealer, s->salt, s->body, &s->kept),
			ERR_OK);
	s->record.leaf = slice_of(s->leaf, leaf_encode(&l, s->leaf));
	s->record.salt = slice_of(s->salt, sizeof(s->salt));
	s->record.body = buf_slice(&s->kept);
}

static void free_sample(struct sample *s)
{
	buf_free(&s->kept);
	sealer_close(s->sealer);
}

/* Leaves. */

static void a_leaf_has_the_bytes_of_protocol_4_1(void **state)
{
	struct leaf l = a_leaf(KIND_CREDENTIAL, AUDIENCE_MEMBERS);
	uint8_t out[LIMIT_LEAF_BYTES];
	static const uint8_t head[] = { 0x94, 0x01, 0x04, 0x01, 0xc4, 0x20 };

	(void)state;
	assert_int_equal(leaf_encode(&l, out), sizeof(head) + DIGEST_BYTES);
	assert_memory_equal(out, head, sizeof(head));
	assert_memory_equal(out + sizeof(head), l.commitment.b, DIGEST_BYTES);
}

static void leaves_come_back_as_they_were(void **state)
{
	static const uint64_t numbers[] = { 0,		 1,	    0x7f,
					    0x80,	 0xff,	    0x100,
					    0xffff,	 0x10000,   0xffffffff,
					    0x100000000, UINT64_MAX };
	size_t n = sizeof(numbers) / sizeof(numbers[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			struct leaf l =
				a_leaf((uint32_t)numbers[i], numbers[j]);
			uint8_t out[LIMIT_LEAF_BYTES];
			size_t bytes = leaf_encode(&l, out);
			struct leaf back;

			assert_int_equal(decode(out, bytes, &back), ERR_OK);
			assert_leaf(&l, &back);
		}
	}
}

static void every_prefix_of_a_leaf_is_truncated(void **state)
{
	struct leaf l = a_leaf(70000, 1ull << 40), back;
	uint8_t out[LIMIT_LEAF_BYTES];
	size_t bytes = leaf_encode(&l, out);

	(void)state;
	for (size_t n = 0; n < bytes; n++)
		assert_int_equal(decode(out, n, &back), ERR_TRUNCATED);
	out[bytes] = 0;
	assert_int_equal(decode(out, bytes + 1, &back), ERR_MALFORMED);
}

static void a_leaf_has_one_form_only(void **state)
{
	/* Heads that stand before 32 bytes of commitment. */
	static const struct {
		const char *head;
		enum err err;
	} cases[] = {
		{ "94010401c420", ERR_OK },
		{ "dc0004010401c420", ERR_MALFORMED }, /* long array */
		{ "dd00000004010401c420", ERR_MALFORMED },
		{ "94cc010401c420", ERR_MALFORMED }, /* long integers */
		{ "9401cc0401c420", ERR_MALFORMED },
		{ "9401cd000401c420", ERR_MALFORMED },
		{ "9401ce0000000401c420", ERR_MALFORMED },
		{ "940104cf0000000000000001c420", ERR_MALFORMED },
		{ "9401d00401c420", ERR_MALFORMED }, /* signed integer */
		{ "9401ff01c420", ERR_MALFORMED }, /* negative one */
		{ "94010401c50020", ERR_MALFORMED }, /* long binary */
		{ "94010401d920", ERR_MALFORMED }, /* string */
		{ "94010401c720", ERR_MALFORMED }, /* ext */
		{ "9401ca0000000001c420", ERR_MALFORMED }, /* float */
		{ "9401c001c420", ERR_MALFORMED }, /* nil */
		{ "84010401c420", ERR_MALFORMED }, /* map of 4 */
		{ "93010401c420", ERR_MALFORMED }, /* 3 fields */
		{ "9501040101c420", ERR_MALFORMED }, /* 5 fields */
		{ "94000401c420", ERR_UNSUPPORTED }, /* version */
		{ "94020401c420", ERR_UNSUPPORTED },
		{ "9503040101c420", ERR_UNSUPPORTED }, /* and fields */
		{ "9401cf000000010000000001c420", ERR_LIMIT }, /* kind 2^32 */
	};
	uint8_t bytes[LIMIT_LEAF_BYTES + 1] = { 0 };
	struct leaf back;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice hex = slice_str(cases[i].head);
		size_t n = hex.n / 2;
		enum err err;

		assert_true(text_parse_hex(hex, bytes, n));
		err = decode(bytes, n + DIGEST_BYTES, &back);
		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].head, err);
	}
	assert_int_equal(decode(bytes, sizeof(bytes), &back), ERR_LIMIT);
}

/* Commitments. */

static void a_commitment_is_the_hmac_of_protocol_4_2(void **state)
{
	static const char text[] = "symbolon-record-v1\0";
	uint8_t salt[LIMIT_SALT_BYTES], message[128];
	struct digest origin = hash_bytes(slice_str("dtu.dk/symbolon/1"));
	struct digest got, want;
	struct slice body = slice_str("\x80"), part;
	size_t n = 19;

	(void)state;
	memset(salt, 1, sizeof(salt));
	memcpy(message, text, n);
	memcpy(message + n, origin.b, DIGEST_BYTES);
	memcpy(message + n + DIGEST_BYTES, body.p, body.n);
	part = slice_of(message, n + DIGEST_BYTES + body.n);
	want = hash_hmac(slice_of(salt, sizeof(salt)), &part, 1);
	got = record_commit(salt, &origin, body);
	assert_true(digest_equal(&got, &want));
}

static void a_commitment_depends_on_salt_origin_and_body(void **state)
{
	uint8_t salt[LIMIT_SALT_BYTES] = { 0 };
	struct digest a = hash_bytes(slice_str("a")), b = hash_empty();
	struct digest base = record_commit(salt, &a, slice_str("x")), other;

	(void)state;
	other = record_commit(salt, &b, slice_str("x"));
	assert_false(digest_equal(&base, &other));
	other = record_commit(salt, &a, slice_str("y"));
	assert_false(digest_equal(&base, &other));
	salt[31] = 1;
	other = record_commit(salt, &a, slice_str("x"));
	assert_false(digest_equal(&base, &other));
}

/* Audiences. */

static void only_the_audience_is_admitted(void **state)
{
	static const struct {
		uint64_t audience;
		bool stranger, member;
	} cases[] = {
		{ AUDIENCE_PUBLIC, true, true },
		{ AUDIENCE_MEMBERS, false, true },
		{ AUDIENCE_OWN, false, false },
		{ 3, false, false },
		{ AUDIENCE_NAMED, false, false },
		{ AUDIENCE_NAMED + 5, false, false },
		{ UINT64_MAX, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t a = cases[i].audience;

		assert_int_equal(audience_admits(a, false, false),
				 cases[i].stranger);
		assert_int_equal(audience_admits(a, true, false),
				 cases[i].member);
		assert_true(audience_admits(a, true, true));
	}
}

/* Opening. */

static void a_record_opens_to_its_body(void **state)
{
	static const uint64_t audiences[] = { 0, 1, 2, 16 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct sample s;
		struct buf out;

		a_sample(&s, audiences[i]);
		buf_init(&out, 2 * LIMIT_BODY_BYTES);
		buf_put_str(&out, "before ");
		assert_int_equal(
			record_open(&s.record, &s.origin, s.sealer, &out),
			ERR_OK);
		assert_int_equal(record_open_stored(&s.record, s.sealer, &out),
				 ERR_OK);
		assert_int_equal(out.n, 7 + 2 * s.body.n);
		assert_memory_equal(out.p, "before ", 7);
		assert_memory_equal(out.p + 7, s.body.p, s.body.n);
		assert_memory_equal(out.p + 7 + s.body.n, s.body.p, s.body.n);
		buf_free(&out);
		free_sample(&s);
	}
}

/* Nothing but the error comes back. */
static void assert_open_fails(struct sample *s, enum err want)
{
	struct buf out;

	buf_init(&out, 2 * LIMIT_BODY_BYTES);
	buf_put_str(&out, "x");
	assert_int_equal(record_open(&s->record, &s->origin, s->sealer, &out),
			 want);
	assert_int_equal(out.n, 1);
	if (want != ERR_INVALID) {
		assert_int_equal(
			record_open_stored(&s->record, s->sealer, &out), want);
		assert_int_equal(out.n, 1);
	}
	buf_free(&out);
}

static void what_does_not_match_the_leaf_is_refused(void **state)
{
	static const uint64_t audiences[] = { 0, 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sample s;

		a_sample(&s, audiences[i]);
		for (size_t at = 0; at < s.kept.n; at++) {
			s.kept.p[at] ^= 1;
			assert_open_fails(&s, ERR_INVALID);
			s.kept.p[at] ^= 1;
		}
		s.salt[5] ^= 1;
		assert_open_fails(&s, ERR_INVALID);
		s.salt[5] ^= 1;
		s.origin.b[0] ^= 1; /* copied into another log */
		assert_open_fails(&s, ERR_INVALID);
		s.origin.b[0] ^= 1;
		s.leaf[20] ^= 1;
		assert_open_fails(&s, ERR_INVALID);
		free_sample(&s);
	}
}

static void a_record_without_body_or_salt_is_not_found(void **state)
{
	struct sample s;

	(void)state;
	a_sample(&s, AUDIENCE_MEMBERS);
	s.record.body = slice_of(NULL, 0);
	assert_open_fails(&s, ERR_NOT_FOUND);
	s.record.body = buf_slice(&s.kept);
	s.record.salt = slice_of(NULL, 0);
	assert_open_fails(&s, ERR_NOT_FOUND);
	s.record.salt = slice_of(s.salt, 31);
	assert_open_fails(&s, ERR_MALFORMED);
	free_sample(&s);
}

static void a_sealed_record_needs_a_sealer(void **state)
{
	struct sample s;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	a_sample(&s, AUDIENCE_MEMBERS);
	assert_int_equal(record_open(&s.record, &s.origin, NULL, &out),
			 ERR_BAD_STATE);
	free_sample(&s);
	a_sample(&s, AUDIENCE_PUBLIC);
	assert_int_equal(record_open(&s.record, &s.origin, NULL, &out), ERR_OK);
	free_sample(&s);
	buf_free(&out);
}

static void bodies_beyond_the_limit_are_refused(void **state)
{
	static const uint64_t audiences[] = { 0, 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t most = LIMIT_BODY_BYTES +
			      (audiences[i] == 0 ? 0 : SEAL_TAG_BYTES);
		uint8_t *large = xcalloc(1, most + 1);
		struct sample s;

		a_sample(&s, audiences[i]);
		s.record.body = slice_of(large, most);
		assert_open_fails(&s, ERR_INVALID);
		s.record.body = slice_of(large, most + 1);
		assert_open_fails(&s, ERR_LIMIT);
		free_sample(&s);
		free(large);
	}
}

static void a_full_buffer_is_a_limit_and_stays_as_it_was(void **state)
{
	struct sample s;
	struct buf out;

	(void)state;
	a_sample(&s, AUDIENCE_PUBLIC);
	buf_init(&out, s.body.n - 1);
	assert_int_equal(record_open(&s.record, &s.origin, NULL, &out),
			 ERR_LIMIT);
	assert_int_equal(out.n, 0);
	buf_free(&out);
	free_sample(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_has_the_bytes_of_protocol_4_1),
		cmocka_unit_test(leaves_come_back_as_they_were),
		cmocka_unit_test(every_prefix_of_a_leaf_is_truncated),
		cmocka_unit_test(a_leaf_has_one_form_only),
		cmocka_unit_test(a_commitment_is_the_hmac_of_protocol_4_2),
		cmocka_unit_test(a_commitment_depends_on_salt_origin_and_body),
		cmocka_unit_test(only_the_audience_is_admitted),
		cmocka_unit_test(a_record_opens_to_its_body),
		cmocka_unit_test(what_does_not_match_the_leaf_is_refused),
		cmocka_unit_test(a_record_without_body_or_salt_is_not_found),
		cmocka_unit_test(a_sealed_record_needs_a_sealer),
		cmocka_unit_test(bodies_beyond_the_limit_are_refused),
		cmocka_unit_test(a_full_buffer_is_a_limit_and_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
