#include "proto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "proto/text.h"
#include "tests/lib/shared.h"

#define S(text) SLICE_LIT(text)

/* Assertions. */

static void assert_digest(struct digest d, const char *hex)
{
	uint8_t want[DIGEST_BYTES];

	assert_true(text_parse_hex(slice_str(hex), want, sizeof(want)));
	assert_memory_equal(d.b, want, sizeof(want));
}

/* SHA-256 of @prefix || @s by libcrypto's other interface. */
static struct digest reference(const char *prefix, size_t n, struct slice s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct digest d;

	assert_true(EVP_DigestInit(ctx, EVP_sha256()));
	assert_true(EVP_DigestUpdate(ctx, prefix, n));
	assert_true(EVP_DigestUpdate(ctx, s.p, s.n));
	assert_true(EVP_DigestFinal_ex(ctx, d.b, NULL));
	EVP_MD_CTX_free(ctx);
	return d;
}

static void assert_same(struct digest a, struct digest b)
{
	assert_true(digest_equal(&a, &b));
}

/* Plain hashes. */

static void known_digests_come_out(void **state)
{
	static const struct {
		const char *in;
		const char *hex;
	} rows[] = {
		/* FIPS 180-4 examples */
		{ "", "e3b0c44298fc1c149afbf4c8996fb924"
		      "27ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223"
			 "b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039"
		  "a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_digest(hash_bytes(slice_str(rows[i].in)), rows[i].hex);
	assert_digest(hash_empty(), rows[0].hex);
}

static void leaves_of_every_length_are_hashed_behind_a_zero(void **state)
{
	uint8_t m[300];

	(void)state;
	for (size_t i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)(i * 7 + 1);
	for (size_t n = 0; n <= sizeof(m); n++) {
		struct slice s = slice_of(m, n);

		assert_same(hash_leaf(s), reference("\0", 1, s));
		assert_same(hash_bytes(s), reference("", 0, s));
	}
	assert_same(hash_leaf(slice_of(NULL, 0)), reference("\0", 1, S("")));
}

static void nodes_are_hashed_behind_a_one(void **state)
{
	struct digest pair[2] = { hash_leaf(S("left")), hash_leaf(S("right")) };
	struct slice both = slice_of(pair, sizeof(pair));

	(void)state;
	assert_same(hash_node(&pair[0], &pair[1]), reference("\1", 1, both));
}

static void digests_differ_in_any_byte(void **state)
{
	struct digest a = hash_empty();
	struct digest b = a;

	(void)state;
	assert_true(digest_equal(&a, &b));
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		b.b[i] ^= 0x80;
		assert_false(digest_equal(&a, &b));
		b = a;
	}
	assert_true(slice_equal(digest_slice(&a), slice_of(a.b, 32)));
}

/* HMAC. */

static void hmac_agrees_with_rfc_4231(void **state)
{
	uint8_t aa[131];
	uint8_t key1[20];
	struct slice data;

	(void)state;
	memset(aa, 0xaa, sizeof(aa));
	memset(key1, 0x0b, sizeof(key1));
	data = S("Hi There");
	assert_digest(hash_hmac(slice_of(key1, 20), &data, 1),
		      "b0344c61d8db38535ca8afceaf0bf12b"
		      "881dc200c9833da726e9376c2e32cff7");
	data = S("what do ya want for nothing?");
	assert_digest(hash_hmac(S("Jefe"), &data, 1),
		      "5bdcc146bf60754e6a042426089575c7"
		      "5a003f089d2739839dec58b964ec3843");
	data = S("Test Using Larger Than Block-Size Key - Hash Key First");
	assert_digest(hash_hmac(slice_of(aa, sizeof(aa)), &data, 1),
		      "60e431591ee0b67f0d8a26aacbf5b77f"
		      "8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_parts_are_one_message(void **state)
{
	uint8_t m[200];
	struct slice whole = slice_of(m, sizeof(m));
	struct digest want;

	(void)state;
	for (size_t i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)i;
	want = hash_hmac(S("key"), &whole, 1);
	for (size_t at = 0; at <= sizeof(m); at++) {
		struct slice parts[] = {
			slice_sub(whole, 0, at),
			slice_of(NULL, 0),
			slice_sub(whole, at, sizeof(m) - at),
		};

		assert_same(hash_hmac(S("key"), parts, 3), want);
	}
	assert_same(hash_hmac(S("key"), NULL, 0),
		    hash_hmac(S("key"), &(struct slice){ NULL, 0 }, 1));
}

static void a_kept_key_gives_the_same_codes(void **state)
{
	uint8_t key[130];
	struct slice message = S("by_ref");
	struct hmac_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i + 3);
	for (size_t n = 0; n <= sizeof(key); n++) {
		hmac_key_init(&k, slice_of(key, n));
		for (int again = 0; again < 2; again++)
			assert_same(hmac_key_hash(&k, &message, 1),
				    hash_hmac(slice_of(key, n), &message, 1));
	}
}

static void check_hmac_case(const json_t *test)
{
	struct buf key = shared_hex(json_object_get(test, "key"));
	struct buf msg = shared_hex(json_object_get(test, "msg"));
	struct buf tag = shared_hex(json_object_get(test, "tag"));
	bool valid = strcmp(shared_str(test, "result"), "valid") == 0;
	struct slice part = buf_slice(&msg);
	struct digest d = hash_hmac(buf_slice(&key), &part, 1);

	/* Half of the vectors cut the code to 16 bytes. */
	assert_true(tag.n <= DIGEST_BYTES);
	assert_int_equal(memcmp(d.b, tag.p, tag.n) == 0, valid);
	buf_free(&key);
	buf_free(&msg);
	buf_free(&tag);
}

static void hmac_agrees_with_wycheproof(void **state)
{
	json_t *file = shared_json(
		"vectors/wycheproof/testvectors_v1/hmac_sha256_test.json");
	size_t count = 0;
	const json_t *group;
	const json_t *test;
	size_t i;
	size_t j;

	(void)state;
	json_array_foreach(json_object_get(file, "testGroups"), i, group)
	{
		json_array_foreach(json_object_get(group, "tests"), j, test)
		{
			check_hmac_case(test);
			count++;
		}
	}
	assert_int_equal(count, 174);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digests_come_out),
		cmocka_unit_test(
			leaves_of_every_length_are_hashed_behind_a_zero),
		cmocka_unit_test(nodes_are_hashed_behind_a_one),
		cmocka_unit_test(digests_differ_in_any_byte),
		cmocka_unit_test(hmac_agrees_with_rfc_4231),
		cmocka_unit_test(hmac_parts_are_one_message),
		cmocka_unit_test(a_kept_key_gives_the_same_codes),
		cmocka_unit_test(hmac_agrees_with_wycheproof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
