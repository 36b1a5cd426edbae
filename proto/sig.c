#include "sig.h"

#include <assert.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

/* The field prime 2^255 - 19, little-endian as in an encoded point. */
static const uint8_t prime[SIG_PUBLIC_BYTES] = {
	0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
};

/* The y of the eight points of low order, without the sign of x. The two
 * points with x = 0 are among them, and so is "minus zero". */
static const uint8_t low_order_y[][SIG_PUBLIC_BYTES] = {
	/* order 4 */
	{ 0x00 },
	/* order 1 */
	{ 0x01 },
	/* order 2 */
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
	/* order 8 */
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
		0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
		0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	/* order 8 */
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
		0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
		0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
};

/* The coordinate y of @pub: the encoding without the sign of x. */
static void take_y(const uint8_t pub[SIG_PUBLIC_BYTES],
		   uint8_t y[SIG_PUBLIC_BYTES])
{
	memcpy(y, pub, SIG_PUBLIC_BYTES);
	y[SIG_PUBLIC_BYTES - 1] &= 0x7f;
}

static bool below_prime(const uint8_t y[SIG_PUBLIC_BYTES])
{
	for (size_t i = SIG_PUBLIC_BYTES; i-- > 0;) {
		if (y[i] != prime[i])
			return y[i] < prime[i];
	}
	return false;
}

static bool has_low_order(const uint8_t y[SIG_PUBLIC_BYTES])
{
	size_t n = sizeof(low_order_y) / sizeof(low_order_y[0]);

	for (size_t i = 0; i < n; i++) {
		if (memcmp(y, low_order_y[i], SIG_PUBLIC_BYTES) == 0)
			return true;
	}
	return false;
}

/* Does some x fit y? On the curve -x^2 + y^2 = 1 + d x^2 y^2 that is so if
 * (y^2 - 1) / (d y^2 + 1) is a square, or, since only the Legendre symbol
 * counts and d = -121665 / 121666, if (y^2 - 1) (121666 - 121665 y^2) 121666
 * is one. Zero needs x = 0, which has_low_order has already refused. */
static bool on_curve(const uint8_t y[SIG_PUBLIC_BYTES])
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = BN_lebin2bn(prime, SIG_PUBLIC_BYTES, NULL);
	BIGNUM *y2 = BN_lebin2bn(y, SIG_PUBLIC_BYTES, NULL);
	BIGNUM *u = BN_new();
	BIGNUM *v = BN_new();
	int ok = ctx != NULL && p != NULL && y2 != NULL && u != NULL &&
		 v != NULL;
	int symbol = -2;

	ok = ok && BN_mod_sqr(y2, y2, p, ctx);
	ok = ok && BN_copy(u, y2) != NULL && BN_sub_word(u, 1);
	ok = ok && BN_copy(v, y2) != NULL && BN_mul_word(v, 121665);
	ok = ok && BN_sub_word(v, 121666) && BN_mod_mul(u, u, v, p, ctx);
	/* -1 is a square modulo this prime: the sign of v is no matter. */
	ok = ok && BN_mul_word(u, 121666);
	if (ok)
		symbol = BN_kronecker(u, p, ctx);
	BN_free(v);
	BN_free(u);
	BN_free(y2);
	BN_free(p);
	BN_CTX_free(ctx);
	/* Only memory can run out here: treated as in xmalloc. */
	assert(symbol != -2);
	return symbol == 1;
}

enum err sig_vet(const uint8_t pub[SIG_PUBLIC_BYTES])
{
	uint8_t y[SIG_PUBLIC_BYTES];

	take_y(pub, y);
	if (!below_prime(y) || has_low_order(y) || !on_curve(y))
		return ERR_WEAK_KEY;
	return ERR_OK;
}

static EVP_PKEY *secret_key(const uint8_t secret[SIG_SECRET_BYTES])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						     secret, SIG_SECRET_BYTES);

	assert(key != NULL);
	return key;
}

void sig_public(const uint8_t secret[SIG_SECRET_BYTES],
		uint8_t pub[SIG_PUBLIC_BYTES])
{
	EVP_PKEY *key = secret_key(secret);
	size_t n = SIG_PUBLIC_BYTES;
	int ok = EVP_PKEY_get_raw_public_key(key, pub, &n);

	EVP_PKEY_free(key);
	assert(ok == 1 && n == SIG_PUBLIC_BYTES);
}

/* libcrypto takes NULL for a question about sizes, not for "no bytes". */
static const uint8_t *not_null(struct slice s)
{
	static const uint8_t nothing[1];

	return s.n > 0 ? s.p : nothing;
}

void sig_sign(const uint8_t secret[SIG_SECRET_BYTES], struct slice message,
	      uint8_t out[SIG_BYTES])
{
	EVP_PKEY *key = secret_key(secret);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIG_BYTES;
	int ok = ctx != NULL;

	ok = ok && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1;
	ok = ok &&
	     EVP_DigestSign(ctx, out, &n, not_null(message), message.n) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	assert(ok && n == SIG_BYTES);
}

enum err sig_verify(const uint8_t pub[SIG_PUBLIC_BYTES], struct slice message,
		    struct slice signature)
{
	uint8_t y[SIG_PUBLIC_BYTES];
	EVP_MD_CTX *ctx;
	EVP_PKEY *key;
	int ok;

	take_y(pub, y);
	if (!below_prime(y) || has_low_order(y))
		return ERR_WEAK_KEY;
	if (signature.n != SIG_BYTES)
		return ERR_INVALID;
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub,
					  SIG_PUBLIC_BYTES);
	ctx = EVP_MD_CTX_new();
	assert(key != NULL && ctx != NULL);
	ok = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key);
	assert(ok == 1);
	ok = EVP_DigestVerify(ctx, signature.p, signature.n, not_null(message),
			      message.n);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (ok == 1)
		return ERR_OK;
	/* A key off the curve fails above like a wrong signature. */
	return on_curve(y) ? ERR_INVALID : ERR_WEAK_KEY;
}
