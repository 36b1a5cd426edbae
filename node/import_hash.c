#include "node/import_hash.h"

#include <string.h>

static uint64_t get_u64le(const uint8_t *p)
{
	return __builtin_bswap64(get_u64be(p));
}

static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t finish(uint64_t v[4])
{
	mix(v);
	mix(v);
	mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct import_key import_hash(const struct import_key *key, struct slice s)
{
	uint64_t k0 = get_u64le(key->b);
	uint64_t k1 = get_u64le(key->b + 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u,
			  k1 ^ 0x646f72616e646f6du ^ 0xee,
			  k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
	uint8_t last[8] = { 0 };
	struct import_key out;
	size_t n = s.n;
	uint64_t m;

	for (; s.n >= 8; s = slice_of(s.p + 8, s.n - 8)) {
		m = get_u64le(s.p);
		v[3] ^= m;
		mix(v);
		v[0] ^= m;
	}
	if (s.n > 0)
		memcpy(last, s.p, s.n);
	last[7] = (uint8_t)n;
	m = get_u64le(last);
	v[3] ^= m;
	mix(v);
	v[0] ^= m;
	v[2] ^= 0xee;
	put_u64be(out.b, __builtin_bswap64(finish(v)));
	v[1] ^= 0xdd;
	put_u64be(out.b + 8, __builtin_bswap64(finish(v)));
	return out;
}
