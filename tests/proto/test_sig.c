#include "proto/sig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"
#include "tests/lib/shared.h"

#define S(text) SLICE_LIT(text)

/* Helpers. */

static void from_hex(const char *hex, uint8_t *out, size_t n)
{
	assert_true(text_parse_hex(slice_str(hex), out, n));
}

static enum err vet_hex(const char *hex)
{
	uint8_t pub[SIG_PUBLIC_BYTES];

	from_hex(hex, pub, sizeof(pub));
	return sig_vet(pub);
}

/* A key pair that any test may use. */
struct pair {
	uint8_t secret[SIG_SECRET_BYTES];
	uint8_t pub[SIG_PUBLIC_BYTES];
};

static struct pair a_pair(uint8_t seed)
{
	struct pair p;

	memset(p.secret, seed, sizeof(p.secret));
	sig_public(p.secret, p.pub);
	return p;
}

/* Signing and verifying. */

static void rfc_8032_vectors_come_out(void **state)
{
	static const struct {
		const char *secret;
		const char *pub;
		const char *message;
		size_t bytes;
		const char *sig;
	} rows[] = {
		/* RFC 8032 7.1, tests 1 to 3 */
		{ "9d61b19deffd5a60ba844af492ec2cc4"
		  "4449c5697b326919703bac031cae7f60",
		  "d75a980182b10ab7d54bfed3c964073a"
		  "0ee172f3daa62325af021a68f707511a",
		  "", 0,
		  "e5564300c360ac729086e2cc806e828a"
		  "84877f1eb8e5d974d873e06522490155"
		  "5fb8821590a33bacc61e39701cf9b46b"
		  "d25bf5f0595bbe24655141438e7a100b" },
		{ "4ccd089b28ff96da9db6c346ec114e0f"
		  "5b8a319f35aba624da8cf6ed4fb8a6fb",
		  "3d4017c3e843895a92b70aa74d1b7ebc"
		  "9c982ccf2ec4968cc0cd55f12af4660c",
		  "72", 1,
		  "92a009a9f0d4cab8720e820b5f642540"
		  "a2b27b5416503f8fb3762223ebdb69da"
		  "085ac1e43e15996e458f3613d0f11d8c"
		  "387b2eaeb4302aeeb00d291612bb0c00" },
		{ "c5aa8df43f9f837bedb7442f31dcb7b1"
		  "66d38535076f094b85ce3a2e0b4458f7",
		  "fc51cd8e6218a1a38da47ed00230f058"
		  "0816ed13ba3303ac5deb911548908025",
		  "af82", 2,
		  "6291d657deec24024827e69c3abe01a3"
		  "0ce548a284743a445e3680d7db5ac3ac"
		  "18ff9b538d16f290ae67f760984dc659"
		  "4a7c15e9716ed28dc027beceea1ec40a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t secret[SIG_SECRET_BYTES];
		uint8_t want[SIG_BYTES];
		uint8_t pub[SIG_PUBLIC_BYTES];
		uint8_t made[SIG_PUBLIC_BYTES];
		uint8_t message[2];
		uint8_t sig[SIG_BYTES];
		struct slice m = slice_of(message, rows[i].bytes);

		from_hex(rows[i].secret, secret, sizeof(secret));
		from_hex(rows[i].pub, pub, sizeof(pub));
		from_hex(rows[i].message, message, rows[i].bytes);
		from_hex(rows[i].sig, want, sizeof(want));
		sig_public(secret, made);
		assert_memory_equal(made, pub, sizeof(pub));
		sig_sign(secret, m, sig);
		assert_memory_equal(sig, want, sizeof(want));
		assert_int_equal(sig_vet(pub), ERR_OK);
		assert_int_equal(sig_verify(pub, m, slice_of(sig, SIG_BYTES)),
				 ERR_OK);
	}
}

static void any_changed_bit_is_noticed(void **state)
{
	struct pair p = a_pair(1);
	char message[] = "head of dtu.dk";
	struct slice m = slice_str(message);
	uint8_t sig[SIG_BYTES];

	(void)state;
	sig_sign(p.secret, m, sig);
	for (size_t i = 0; i < SIG_BYTES * 8; i++) {
		sig[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(sig_verify(p.pub, m, slice_of(sig, SIG_BYTES)),
				 ERR_INVALID);
		sig[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	message[0] ^= 1;
	assert_int_equal(sig_verify(p.pub, m, slice_of(sig, SIG_BYTES)),
			 ERR_INVALID);
}

static void a_signature_of_another_key_is_refused(void **state)
{
	struct pair one = a_pair(1);
	struct pair two = a_pair(2);
	uint8_t sig[SIG_BYTES];

	(void)state;
	sig_sign(one.secret, S("m"), sig);
	assert_int_equal(sig_verify(two.pub, S("m"), slice_of(sig, SIG_BYTES)),
			 ERR_INVALID);
}

static void a_signature_of_another_length_is_refused(void **state)
{
	struct pair p = a_pair(1);
	uint8_t sig[SIG_BYTES + 1] = { 0 };

	(void)state;
	sig_sign(p.secret, S("m"), sig);
	for (size_t n = 0; n <= SIG_BYTES + 1; n++)
		assert_int_equal(sig_verify(p.pub, S("m"), slice_of(sig, n)),
				 n == SIG_BYTES ? ERR_OK : ERR_INVALID);
	assert_int_equal(sig_verify(p.pub, S("m"), slice_of(NULL, 0)),
			 ERR_INVALID);
}

/* Vetting. */

static void keys_outside_the_field_or_of_low_order_are_weak(void **state)
{
	static const char *const weak[] = {
		/* low order, with either sign */
		"00000000000000000000000000000000000000000000000000000000000000"
		"00",
		"00000000000000000000000000000000000000000000000000000000000000"
		"80",
		"01000000000000000000000000000000000000000000000000000000000000"
		"00",
		"01000000000000000000000000000000000000000000000000000000000000"
		"80",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc"
		"05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc"
		"85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03"
		"7a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03"
		"fa",
		/* y is 2^255 - 19 and above */
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
		/* no x fits y = 2 and y = 7 */
		"02000000000000000000000000000000000000000000000000000000000000"
		"00",
		"07000000000000000000000000000000000000000000000000000000000000"
		"80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		assert_int_equal(vet_hex(weak[i]), ERR_WEAK_KEY);
}

static void good_keys_pass_with_either_sign(void **state)
{
	struct pair p;

	(void)state;
	/* y = 3 is on the curve, and so is the base point, y = 4/5. */
	assert_int_equal(vet_hex("03000000000000000000000000000000"
				 "00000000000000000000000000000000"),
			 ERR_OK);
	assert_int_equal(vet_hex("58666666666666666666666666666666"
				 "66666666666666666666666666666666"),
			 ERR_OK);
	for (unsigned seed = 0; seed < 64; seed++) {
		p = a_pair((uint8_t)seed);
		assert_int_equal(sig_vet(p.pub), ERR_OK);
		p.pub[31] ^= 0x80;
		assert_int_equal(sig_vet(p.pub), ERR_OK);
	}
}

static void half_of_all_numbers_are_on_the_curve(void **state)
{
	uint8_t pub[SIG_PUBLIC_BYTES] = { 0 };
	int good = 0;

	(void)state;
	for (unsigned y = 2; y < 258; y++) {
		pub[0] = (uint8_t)y;
		pub[1] = (uint8_t)(y >> 8);
		good += sig_vet(pub) == ERR_OK;
	}
	assert_in_range(good, 96, 160);
}

static void verification_names_a_weak_key(void **state)
{
	uint8_t sig[SIG_BYTES] = { 0 };
	uint8_t off_curve[SIG_PUBLIC_BYTES] = { 2 };
	uint8_t zero[SIG_PUBLIC_BYTES] = { 0 };

	(void)state;
	assert_int_equal(sig_verify(zero, S("m"), slice_of(sig, SIG_BYTES)),
			 ERR_WEAK_KEY);
	assert_int_equal(
		sig_verify(off_curve, S("m"), slice_of(sig, SIG_BYTES)),
		ERR_WEAK_KEY);
}

/* Outside vectors. */

static void check_cctv_case(const json_t *test)
{
	struct buf key = shared_hex(json_object_get(test, "key"));
	struct buf sig = shared_hex(json_object_get(test, "sig"));
	const json_t *flags = json_object_get(test, "flags");
	bool weak = shared_has(flags, "low_order_A") ||
		    shared_has(flags, "non_canonical_A");
	bool wrong = shared_has(flags, "low_order_residue") ||
		     shared_has(flags, "non_canonical_R");
	enum err want = wrong ? ERR_INVALID : ERR_OK;

	assert_int_equal(sig_vet(key.p), weak ? ERR_WEAK_KEY : ERR_OK);
	assert_int_equal(sig_verify(key.p, slice_str(shared_str(test, "msg")),
				    buf_slice(&sig)),
			 weak ? ERR_WEAK_KEY : want);
	buf_free(&key);
	buf_free(&sig);
}

static void cctv_edge_cases_are_judged_strictly(void **state)
{
	json_t *file =
		shared_json("vectors/tlog/cctv-ed25519/ed25519vectors.json");
	const json_t *test;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(file), 914);
	json_array_foreach(file, i, test) check_cctv_case(test);
	json_decref(file);
}

static void check_wycheproof_case(const uint8_t *pub, const json_t *test)
{
	struct buf msg = shared_hex(json_object_get(test, "msg"));
	struct buf sig = shared_hex(json_object_get(test, "sig"));
	bool valid = strcmp(shared_str(test, "result"), "valid") == 0;

	assert_int_equal(sig_verify(pub, buf_slice(&msg), buf_slice(&sig)),
			 valid ? ERR_OK : ERR_INVALID);
	buf_free(&msg);
	buf_free(&sig);
}

static void wycheproof_results_match(void **state)
{
	json_t *file = shared_json(
		"vectors/wycheproof/testvectors_v1/ed25519_test.json");
	size_t count = 0;
	const json_t *group;
	const json_t *test;
	struct buf pub;
	size_t i;
	size_t j;

	(void)state;
	json_array_foreach(json_object_get(file, "testGroups"), i, group)
	{
		pub = shared_hex(json_object_get(
			json_object_get(group, "publicKey"), "pk"));
		assert_int_equal(pub.n, SIG_PUBLIC_BYTES);
		assert_int_equal(sig_vet(pub.p), ERR_OK);
		json_array_foreach(json_object_get(group, "tests"), j, test)
		{
			check_wycheproof_case(pub.p, test);
			count++;
		}
		buf_free(&pub);
	}
	assert_int_equal(count, 151);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_8032_vectors_come_out),
		cmocka_unit_test(any_changed_bit_is_noticed),
		cmocka_unit_test(a_signature_of_another_key_is_refused),
		cmocka_unit_test(a_signature_of_another_length_is_refused),
		cmocka_unit_test(
			keys_outside_the_field_or_of_low_order_are_weak),
		cmocka_unit_test(good_keys_pass_with_either_sign),
		cmocka_unit_test(half_of_all_numbers_are_on_the_curve),
		cmocka_unit_test(verification_names_a_weak_key),
		cmocka_unit_test(cctv_edge_cases_are_judged_strictly),
		cmocka_unit_test(wycheproof_results_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
