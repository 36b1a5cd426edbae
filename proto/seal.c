#include "seal.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/evp.h>

#define KEY_BYTES 32
#define NONCE_BYTES 12

/* A cipher context for each direction, so that none changes over. */
struct sealer {
	EVP_CIPHER *cipher; /* owned; fetched once, that is slow */
	EVP_CIPHER_CTX *enc; /* owned */
	EVP_CIPHER_CTX *dec; /* owned */
};

/* One use for each key, so the nonce need not vary (PROTOCOL.md 4.4). */
static const uint8_t nonce[NONCE_BYTES];

struct sealer *sealer_open(void)
{
	struct sealer *s = xcalloc(1, sizeof(*s));
	int ok;

	s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	s->enc = EVP_CIPHER_CTX_new();
	s->dec = EVP_CIPHER_CTX_new();
	ok = s->cipher != NULL && s->enc != NULL && s->dec != NULL;
	ok = ok && EVP_EncryptInit_ex2(s->enc, s->cipher, NULL, NULL, NULL);
	ok = ok && EVP_DecryptInit_ex2(s->dec, s->cipher, NULL, NULL, NULL);
	assert(ok);
	return s;
}

void sealer_close(struct sealer *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->dec);
	EVP_CIPHER_CTX_free(s->enc);
	EVP_CIPHER_free(s->cipher);
	free(s);
}

static struct digest rest_key(const uint8_t salt[LIMIT_SALT_BYTES])
{
	const struct slice label = SLICE_LIT("symbolon-rest-v1");

	static_assert(DIGEST_BYTES == KEY_BYTES, "the key is one digest");
	return hash_hmac(slice_of(salt, LIMIT_SALT_BYTES), &label, 1);
}

enum err seal_body(struct sealer *s, const uint8_t salt[LIMIT_SALT_BYTES],
		   struct slice body, struct buf *out)
{
	struct digest key;
	uint8_t *at;
	int n = 0;
	int ok;

	if (body.n > LIMIT_BODY_BYTES)
		return ERR_LIMIT;
	at = buf_extend(out, body.n + SEAL_TAG_BYTES);
	if (at == NULL)
		return ERR_LIMIT;
	key = rest_key(salt);
	ok = EVP_EncryptInit_ex2(s->enc, NULL, key.b, nonce, NULL);
	wipe(&key, sizeof(key));
	if (body.n > 0)
		ok = ok &&
		     EVP_EncryptUpdate(s->enc, at, &n, body.p, (int)body.n);
	ok = ok && (size_t)n == body.n;
	ok = ok && EVP_EncryptFinal_ex(s->enc, at + body.n, &n) && n == 0;
	ok = ok && EVP_CIPHER_CTX_ctrl(s->enc, EVP_CTRL_AEAD_GET_TAG,
				       SEAL_TAG_BYTES, at + body.n);
	assert(ok);
	return ERR_OK;
}

/* Set the tag that is expected; libcrypto copies it, and only its
 * declaration wants to write to it. */
static int expect_tag(EVP_CIPHER_CTX *ctx, const uint8_t *tag)
{
	uint8_t copy[SEAL_TAG_BYTES];

	for (size_t i = 0; i < sizeof(copy); i++)
		copy[i] = tag[i];
	return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES,
				   copy);
}

enum err seal_open_body(struct sealer *s, const uint8_t salt[LIMIT_SALT_BYTES],
			struct slice sealed, struct buf *out)
{
	struct digest key;
	size_t bytes;
	uint8_t *at;
	int n = 0;
	int ok;

	if (sealed.n < SEAL_TAG_BYTES)
		return ERR_INVALID;
	bytes = sealed.n - SEAL_TAG_BYTES;
	if (bytes > LIMIT_BODY_BYTES)
		return ERR_LIMIT;
	at = buf_extend(out, bytes);
	if (at == NULL)
		return ERR_LIMIT;
	key = rest_key(salt);
	ok = EVP_DecryptInit_ex2(s->dec, NULL, key.b, nonce, NULL);
	wipe(&key, sizeof(key));
	ok = ok && expect_tag(s->dec, sealed.p + bytes);
	if (bytes > 0)
		ok = ok &&
		     EVP_DecryptUpdate(s->dec, at, &n, sealed.p, (int)bytes);
	assert(ok && (size_t)n == bytes);
	if (EVP_DecryptFinal_ex(s->dec, at + bytes, &n) == 1)
		return ERR_OK;
	/* Nobody may see what did not verify. */
	wipe(at, bytes);
	out->n -= bytes;
	return ERR_INVALID;
}
