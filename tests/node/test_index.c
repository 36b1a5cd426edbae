/* A record is found by what its body says, and by nothing that anyone
 * without the index key could compute. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/index.h"
#include "proto/enc.h"

#define ENTRIES 5000

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	struct index_keys keys;
	struct buf body, scratch;
	struct enc e;
	unsigned count;
	enum store_index table[ENTRIES];
	struct store_entry entry[ENTRIES];
};

static int setup(void **state)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	struct fixture *f = xcalloc(1, sizeof(*f));

	index_keys_init(&f->keys, secret);
	buf_init(&f->body, LIMIT_BODY_BYTES);
	buf_init(&f->scratch, LIMIT_FRAME_BYTES);
	enc_init(&f->e, &f->body);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->body);
	buf_free(&f->scratch);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static void collect(void *arg, enum store_index table,
		    const struct store_entry *e)
{
	struct fixture *f = arg;

	assert_true(f->count < ENTRIES);
	f->table[f->count] = table;
	f->entry[f->count++] = *e;
}

static void index_body(struct fixture *f, uint32_t kind, bool own)
{
	struct index_item item = { .log = 3,
				   .seq = 77,
				   .kind = kind,
				   .own = own,
				   .body = buf_slice(&f->body) };

	f->count = 0;
	index_record(&f->keys, &item, &f->scratch, collect, f);
	for (unsigned i = 0; i < f->count; i++) {
		assert_int_equal(f->entry[i].log, 3);
		assert_int_equal(f->entry[i].seq, 77);
	}
}

/* The number of entries with the hash of @value. */
static unsigned found(struct fixture *f, enum store_index table,
		      const char *value)
{
	uint8_t hash[STORE_HASH_BYTES];
	unsigned n = 0;

	index_hash(&f->keys, table, slice_str(value), hash);
	for (unsigned i = 0; i < f->count; i++)
		n += f->table[i] == table &&
		     memcmp(f->entry[i].hash, hash, sizeof(hash)) == 0;
	return n;
}

static void put_pair(struct fixture *f, const char *key, const char *value)
{
	enc_cstr(&f->e, key);
	enc_cstr(&f->e, value);
}

/* ---- Hashes --------------------------------------------------------------- */

static void the_hash_depends_on_key_table_and_value(void **state)
{
	static const uint8_t other_secret[32] = { 9 };
	struct fixture *f = *state;
	struct index_keys other;
	uint8_t h[4][STORE_HASH_BYTES];

	index_keys_init(&other, other_secret);
	index_hash(&f->keys, STORE_BY_ID, SLICE_LIT("x"), h[0]);
	index_hash(&f->keys, STORE_BY_REF, SLICE_LIT("x"), h[1]);
	index_hash(&f->keys, STORE_BY_ID, SLICE_LIT("y"), h[2]);
	index_hash(&other, STORE_BY_ID, SLICE_LIT("x"), h[3]);
	for (int i = 0; i < 4; i++) {
		for (int k = i + 1; k < 4; k++)
			assert_memory_not_equal(h[i], h[k], STORE_HASH_BYTES);
	}
}

static void the_hash_is_the_one_written_down(void **state)
{
	/* PROTOCOL.md 15.4: HMAC-SHA-256(key, "by_id" || 0 || value)[:8] */
	struct fixture *f = *state;
	static const uint8_t secret[32] = { 1, 2, 3 };
	const struct slice parts[] = { { (const uint8_t *)"by_id\0offer/1",
					 13 } };
	struct digest d = hash_hmac(slice_of(secret, 32), parts, 1);
	uint8_t h[STORE_HASH_BYTES];

	index_hash(&f->keys, STORE_BY_ID, SLICE_LIT("offer/1"), h);
	assert_memory_equal(h, d.b, sizeof(h));
}

/* ---- Kinds ---------------------------------------------------------------- */

static void an_offer_is_found_by_its_id(void **state)
{
	struct fixture *f = *state;
	uint8_t digest[16];

	enc_map(&f->e, 1);
	put_pair(f, "offer", "02170");
	index_body(f, KIND_OFFER, true);
	assert_int_equal(f->count, 1);
	assert_int_equal(found(f, STORE_BY_ID, "offer/02170"), 1);
	index_body_digest(&f->keys, buf_slice(&f->body), digest);
	assert_int_equal(f->entry[0].value_bytes, 16);
	assert_memory_equal(f->entry[0].value, digest, 16);
}

static void only_own_records_carry_the_digest_of_their_body(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 1);
	put_pair(f, "offer", "02170");
	index_body(f, KIND_OFFER, false);
	assert_int_equal(f->entry[0].value_bytes, 0);
}

static void a_credential_is_found_by_its_learner_too(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	put_pair(f, "credential", "DTU-1");
	put_pair(f, "learner", "00112233445566778899aabbccddeeff");
	index_body(f, KIND_CREDENTIAL, true);
	assert_int_equal(f->count, 2);
	assert_int_equal(found(f, STORE_BY_ID, "credential/DTU-1"), 1);
	assert_int_equal(
		found(f, STORE_BY_LEARNER, "00112233445566778899aabbccddeeff"),
		1);
}

static void a_learner_is_found_by_id_and_by_number(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	put_pair(f, "id", "urn:s1");
	put_pair(f, "number", "aabb");
	index_body(f, KIND_LEARNER, true);
	assert_int_equal(found(f, STORE_BY_ID, "learner/urn:s1"), 1);
	assert_int_equal(found(f, STORE_BY_REF, "learner/aabb"), 1);
	assert_int_equal(f->count, 2);
}

static void a_status_is_found_by_the_place_of_its_credential(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	enc_cstr(&f->e, "seq");
	enc_uint(&f->e, 8211);
	put_pair(f, "state", "revoked");
	index_body(f, KIND_STATUS, true);
	assert_int_equal(found(f, STORE_BY_REF, "seq/8211"), 1);
	assert_int_equal(found(f, STORE_BY_ID, "status/8211"), 1);
}

static void a_decision_is_found_by_each_of_its_credentials(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	enc_cstr(&f->e, "credentials");
	enc_array(&f->e, 2);
	enc_cstr(&f->e, "dtu.dk/1");
	enc_cstr(&f->e, "aau.dk/x/2");
	put_pair(f, "decision", "D1");
	index_body(f, KIND_DECISION, true);
	assert_int_equal(f->count, 3);
	assert_int_equal(found(f, STORE_BY_REF, "dtu.dk/1"), 1);
	assert_int_equal(found(f, STORE_BY_REF, "aau.dk/x/2"), 1);
	assert_int_equal(found(f, STORE_BY_ID, "decision/D1"), 1);
}

static void a_rule_is_found_by_every_folded_code_of_every_source(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	put_pair(f, "rule", "hku-1");
	enc_cstr(&f->e, "sources");
	enc_array(&f->e, 2);
	enc_map(&f->e, 2);
	enc_cstr(&f->e, "codes");
	enc_array(&f->e, 2);
	enc_cstr(&f->e, "FIN-A0103");
	enc_cstr(&f->e, "fin a0104");
	put_pair(f, "from", "aalto.fi");
	enc_map(&f->e, 2);
	enc_cstr(&f->e, "codes");
	enc_array(&f->e, 1);
	enc_cstr(&f->e, "02170");
	put_pair(f, "from", "dtu.dk");
	index_body(f, KIND_RULE, true);
	assert_int_equal(f->count, 4);
	assert_int_equal(found(f, STORE_BY_SOURCE, "aalto.fi/fin-a0103"), 1);
	assert_int_equal(found(f, STORE_BY_SOURCE, "aalto.fi/fina0104"), 1);
	assert_int_equal(found(f, STORE_BY_SOURCE, "dtu.dk/02170"), 1);
}

static void policies_and_institutions_are_found_by_their_kind(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 1);
	put_pair(f, "policy", "P1");
	index_body(f, KIND_POLICY, true);
	assert_int_equal(found(f, STORE_BY_REF, "kind/policy"), 1);
	assert_int_equal(found(f, STORE_BY_ID, "policy/P1"), 1);
	buf_reset(&f->body);
	enc_map(&f->e, 1);
	put_pair(f, "member", "dtu.dk");
	index_body(f, KIND_INSTITUTION, true);
	assert_int_equal(found(f, STORE_BY_REF, "kind/institution"), 1);
	assert_int_equal(found(f, STORE_BY_ID, "institution/dtu.dk"), 1);
}

/* ---- Odd bodies ----------------------------------------------------------- */

static void an_unknown_kind_has_no_entries(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 1);
	put_pair(f, "offer", "02170");
	index_body(f, 4711, true);
	assert_int_equal(f->count, 0);
	index_body(f, KIND_ERASE, true);
	assert_int_equal(f->count, 0);
}

static void fields_of_another_shape_have_no_entries(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	enc_cstr(&f->e, "rule");
	enc_array(&f->e, 0);
	enc_cstr(&f->e, "sources");
	enc_array(&f->e, 3);
	enc_uint(&f->e, 1);
	enc_map(&f->e, 1);
	enc_cstr(&f->e, "codes");
	enc_bool(&f->e, true);
	enc_map(&f->e, 2);
	enc_cstr(&f->e, "codes");
	enc_array(&f->e, 1);
	enc_uint(&f->e, 3);
	put_pair(f, "from", "dtu.dk");
	index_body(f, KIND_RULE, true);
	assert_int_equal(f->count, 0);
	buf_reset(&f->body);
	enc_array(&f->e, 1);
	enc_cstr(&f->e, "offer");
	index_body(f, KIND_OFFER, true);
	assert_int_equal(f->count, 0);
}

static void every_prefix_of_a_body_is_survived(void **state)
{
	struct fixture *f = *state;
	size_t n;

	enc_map(&f->e, 2);
	put_pair(f, "rule", "hku-1");
	enc_cstr(&f->e, "sources");
	enc_array(&f->e, 1);
	enc_map(&f->e, 2);
	enc_cstr(&f->e, "codes");
	enc_array(&f->e, 1);
	enc_cstr(&f->e, "02170");
	put_pair(f, "from", "dtu.dk");
	n = f->body.n;
	while (n > 0) {
		f->body.n = --n;
		index_body(f, KIND_RULE, true);
		assert_true(f->count <= 2);
	}
}

static void entries_of_one_record_are_limited(void **state)
{
	struct fixture *f = *state;

	enc_map(&f->e, 2);
	enc_cstr(&f->e, "credentials");
	enc_array(&f->e, INDEX_ENTRIES_MAX + 10);
	for (int i = 0; i < INDEX_ENTRIES_MAX + 10; i++)
		enc_cstr(&f->e, "a/b");
	put_pair(f, "decision", "D");
	index_body(f, KIND_DECISION, true);
	assert_int_equal(f->count, INDEX_ENTRIES_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_hash_depends_on_key_table_and_value),
		T(the_hash_is_the_one_written_down),
		T(an_offer_is_found_by_its_id),
		T(only_own_records_carry_the_digest_of_their_body),
		T(a_credential_is_found_by_its_learner_too),
		T(a_learner_is_found_by_id_and_by_number),
		T(a_status_is_found_by_the_place_of_its_credential),
		T(a_decision_is_found_by_each_of_its_credentials),
		T(a_rule_is_found_by_every_folded_code_of_every_source),
		T(policies_and_institutions_are_found_by_their_kind),
		T(an_unknown_kind_has_no_entries),
		T(fields_of_another_shape_have_no_entries),
		T(every_prefix_of_a_body_is_survived),
		T(entries_of_one_record_are_limited),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
