#include "proto/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define S(text) SLICE_LIT(text)

/* Fixture. */

struct fixture {
	struct sealer *sealer;
	struct buf sealed;
	struct buf opened;
	uint8_t salt[LIMIT_SALT_BYTES];
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->sealer = sealer_open();
	buf_init(&f->sealed, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	buf_init(&f->opened, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	for (size_t i = 0; i < sizeof(f->salt); i++)
		f->salt[i] = (uint8_t)(i * 5 + 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sealer_close(f->sealer);
	buf_free(&f->sealed);
	buf_free(&f->opened);
	free(f);
	return 0;
}

/* Helpers. */

static void seal(struct fixture *f, struct slice body)
{
	buf_reset(&f->sealed);
	assert_int_equal(seal_body(f->sealer, f->salt, body, &f->sealed),
			 ERR_OK);
}

static enum err try_open(struct fixture *f, struct slice sealed)
{
	buf_reset(&f->opened);
	return seal_open_body(f->sealer, f->salt, sealed, &f->opened);
}

/* The form. */

/* PROTOCOL.md 4.4 done with other functions: key, nonce, tag. */
static void the_sealed_form_is_aes_256_gcm_under_the_salts_key(void **state)
{
	struct fixture *f = *state;
	struct slice body = S("{\"credential\":\"DTU-2024-006432\"}");
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12] = { 0 };
	uint8_t want[64 + SEAL_TAG_BYTES];
	uint8_t key[32];
	int n;

	HMAC(EVP_sha256(), f->salt, sizeof(f->salt),
	     (const uint8_t *)"symbolon-rest-v1", 16, key, NULL);
	assert_true(EVP_EncryptInit(ctx, EVP_aes_256_gcm(), key, nonce) == 1);
	assert_true(EVP_EncryptUpdate(ctx, want, &n, body.p, (int)body.n));
	assert_true(EVP_EncryptFinal_ex(ctx, want + n, &n));
	assert_true(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
					SEAL_TAG_BYTES, want + body.n));
	EVP_CIPHER_CTX_free(ctx);
	seal(f, body);
	assert_true(slice_equal(buf_slice(&f->sealed),
				slice_of(want, body.n + SEAL_TAG_BYTES)));
}

static void what_was_sealed_opens_again(void **state)
{
	static uint8_t body[LIMIT_BODY_BYTES];
	static const size_t sizes[] = { 0,   1,	  15,	16,    17,   31,
					350, 351, 4096, 65535, 65536 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct slice s = slice_of(body, sizes[i]);

		seal(f, s);
		assert_int_equal(f->sealed.n, s.n + SEAL_TAG_BYTES);
		assert_int_equal(try_open(f, buf_slice(&f->sealed)), ERR_OK);
		assert_true(slice_equal(buf_slice(&f->opened), s));
	}
}

static void sealing_appends(void **state)
{
	struct fixture *f = *state;

	buf_put_str(&f->sealed, "head");
	assert_int_equal(seal_body(f->sealer, f->salt, S("ab"), &f->sealed),
			 ERR_OK);
	assert_int_equal(f->sealed.n, 4 + 2 + SEAL_TAG_BYTES);
	buf_put_str(&f->opened, "head");
	assert_int_equal(seal_open_body(f->sealer, f->salt,
					slice_sub(buf_slice(&f->sealed), 4, 18),
					&f->opened),
			 ERR_OK);
	assert_true(slice_is(buf_slice(&f->opened), "headab"));
}

/* Refusals. */

static void any_changed_bit_is_noticed_and_nothing_is_left(void **state)
{
	struct fixture *f = *state;

	seal(f, S("body"));
	for (size_t i = 0; i < f->sealed.n * 8; i++) {
		f->sealed.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(try_open(f, buf_slice(&f->sealed)),
				 ERR_INVALID);
		assert_int_equal(f->opened.n, 0);
		assert_true(f->opened.p == NULL || f->opened.p[0] == 0);
		f->sealed.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(try_open(f, buf_slice(&f->sealed)), ERR_OK);
}

static void every_prefix_and_an_extra_byte_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t n;

	seal(f, S("a body of a record"));
	n = f->sealed.n;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(try_open(f, slice_of(f->sealed.p, i)),
				 ERR_INVALID);
	assert_int_equal(try_open(f, slice_of(NULL, 0)), ERR_INVALID);
	buf_put_u8(&f->sealed, 0);
	assert_int_equal(try_open(f, buf_slice(&f->sealed)), ERR_INVALID);
}

static void another_salt_does_not_open(void **state)
{
	struct fixture *f = *state;

	seal(f, S("body"));
	f->salt[31] ^= 1;
	assert_int_equal(try_open(f, buf_slice(&f->sealed)), ERR_INVALID);
	memset(f->salt, 0, sizeof(f->salt));
	assert_int_equal(try_open(f, buf_slice(&f->sealed)), ERR_INVALID);
}

static void a_body_over_the_limit_is_refused(void **state)
{
	static uint8_t body[LIMIT_BODY_BYTES + SEAL_TAG_BYTES + 1];
	struct fixture *f = *state;

	assert_int_equal(seal_body(f->sealer, f->salt,
				   slice_of(body, LIMIT_BODY_BYTES + 1),
				   &f->sealed),
			 ERR_LIMIT);
	assert_int_equal(f->sealed.n, 0);
	assert_int_equal(try_open(f, slice_of(body, sizeof(body))), ERR_LIMIT);
}

static void a_full_buffer_is_told(void **state)
{
	struct fixture *f = *state;
	struct buf small;

	seal(f, S("body"));
	buf_init(&small, 3);
	assert_int_equal(seal_open_body(f->sealer, f->salt,
					buf_slice(&f->sealed), &small),
			 ERR_LIMIT);
	buf_free(&small);
	buf_init(&small, 19);
	assert_int_equal(seal_body(f->sealer, f->salt, S("body"), &small),
			 ERR_LIMIT);
	buf_free(&small);
}

static void closing_nothing_is_fine(void **state)
{
	(void)state;
	sealer_close(NULL);
}

#define WITH_SEALER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SEALER(the_sealed_form_is_aes_256_gcm_under_the_salts_key),
		WITH_SEALER(what_was_sealed_opens_again),
		WITH_SEALER(sealing_appends),
		WITH_SEALER(any_changed_bit_is_noticed_and_nothing_is_left),
		WITH_SEALER(every_prefix_and_an_extra_byte_are_refused),
		WITH_SEALER(another_salt_does_not_open),
		WITH_SEALER(a_body_over_the_limit_is_refused),
		WITH_SEALER(a_full_buffer_is_told),
		cmocka_unit_test(closing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
