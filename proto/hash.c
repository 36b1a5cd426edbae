/* Why the deprecated SHA256_* functions: DECISIONS.md entry 1. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hash.h"

#include <string.h>

#include <openssl/sha.h>

#define BLOCK_BYTES SHA256_CBLOCK
#define LENGTH_BYTES 8
/* The longest message that fits in two blocks with its padding. */
#define SHORT_BYTES_MAX (2 * BLOCK_BYTES - LENGTH_BYTES - 1)

static struct digest from_state(const SHA256_CTX *ctx)
{
	struct digest d;

	for (size_t i = 0; i < 8; i++)
		put_u32be(d.b + 4 * i, ctx->h[i]);
	return d;
}

/* Continue a SHA-256 whose first block led to @state. */
static void resume(SHA256_CTX *ctx, const uint32_t state[8])
{
	SHA256_Init(ctx);
	for (size_t i = 0; i < 8; i++)
		ctx->h[i] = state[i];
	ctx->Nl = BLOCK_BYTES * 8;
}

/* Hash the @n bytes of a message that stands in @m, whose further bytes are
 * free for the padding; @before bytes were hashed already. Padding here
 * saves the library's copying: half the time of a tree node. */
static struct digest finish_short(SHA256_CTX *ctx, uint8_t m[2 * BLOCK_BYTES],
				  size_t n, size_t before)
{
	size_t blocks = n > BLOCK_BYTES - LENGTH_BYTES - 1 ? 2 : 1;
	size_t end = blocks * BLOCK_BYTES;

	m[n] = 0x80;
	memset(m + n + 1, 0, end - n - 1);
	put_u64be(m + end - LENGTH_BYTES, (uint64_t)(before + n) * 8);
	SHA256_Update(ctx, m, end);
	return from_state(ctx);
}

/* SHA-256(@prefix || @s), where @prefix is one byte. */
static struct digest hash_prefixed(uint8_t prefix, struct slice s)
{
	uint8_t m[2 * BLOCK_BYTES];
	struct digest d;
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	if (s.n < SHORT_BYTES_MAX) {
		m[0] = prefix;
		if (s.n > 0)
			memcpy(m + 1, s.p, s.n);
		return finish_short(&ctx, m, s.n + 1, 0);
	}
	SHA256_Update(&ctx, &prefix, 1);
	SHA256_Update(&ctx, s.p, s.n);
	SHA256_Final(d.b, &ctx);
	return d;
}

struct digest hash_bytes(struct slice s)
{
	struct digest d;
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	if (s.n > 0)
		SHA256_Update(&ctx, s.p, s.n);
	SHA256_Final(d.b, &ctx);
	return d;
}

struct digest hash_leaf(struct slice leaf)
{
	return hash_prefixed(0x00, leaf);
}

struct digest hash_node(const struct digest *left, const struct digest *right)
{
	uint8_t m[2 * BLOCK_BYTES];
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	m[0] = 0x01;
	memcpy(m + 1, left->b, DIGEST_BYTES);
	memcpy(m + 1 + DIGEST_BYTES, right->b, DIGEST_BYTES);
	return finish_short(&ctx, m, 1 + 2 * DIGEST_BYTES, 0);
}

struct digest hash_empty(void)
{
	return hash_bytes(slice_of(NULL, 0));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

struct slice digest_slice(const struct digest *d)
{
	return slice_of(d->b, DIGEST_BYTES);
}

struct digest hash_hmac(struct slice key, const struct slice *parts, size_t n)
{
	struct hmac_key k;
	struct digest d;

	hmac_key_init(&k, key);
	d = hmac_key_hash(&k, parts, n);
	wipe(&k, sizeof(k));
	return d;
}

/* The state of SHA-256 after the one block @key ^ @pad. */
static void pad_state(uint32_t state[8], const uint8_t key[BLOCK_BYTES],
		      uint8_t pad)
{
	uint8_t block[BLOCK_BYTES];
	SHA256_CTX ctx;

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		block[i] = key[i] ^ pad;
	SHA256_Init(&ctx);
	SHA256_Transform(&ctx, block);
	for (size_t i = 0; i < 8; i++)
		state[i] = ctx.h[i];
	wipe(block, sizeof(block));
	wipe(&ctx, sizeof(ctx));
}

void hmac_key_init(struct hmac_key *k, struct slice key)
{
	uint8_t block[BLOCK_BYTES] = { 0 };
	struct digest d;

	/* RFC 2104 section 2: a key longer than a block is hashed first. */
	if (key.n > BLOCK_BYTES) {
		d = hash_bytes(key);
		key = digest_slice(&d);
	}
	if (key.n > 0)
		memcpy(block, key.p, key.n);
	pad_state(k->inner, block, 0x36);
	pad_state(k->outer, block, 0x5c);
	wipe(block, sizeof(block));
}

struct digest hmac_key_hash(const struct hmac_key *k, const struct slice *parts,
			    size_t n)
{
	uint8_t m[2 * BLOCK_BYTES];
	struct digest d;
	SHA256_CTX ctx;

	resume(&ctx, k->inner);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n > 0)
			SHA256_Update(&ctx, parts[i].p, parts[i].n);
	}
	SHA256_Final(d.b, &ctx);
	memcpy(m, d.b, DIGEST_BYTES);
	resume(&ctx, k->outer);
	return finish_short(&ctx, m, DIGEST_BYTES, BLOCK_BYTES);
}
