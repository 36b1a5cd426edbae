#include "record.h"

#include <string.h>

#include "dec.h"

#define LEAF_VERSION 1u
#define LEAF_FIELDS 4u

/* The shortest msgpack form of @v; returns the byte behind it. Leaves are
 * made by the million, so they bypass enc.h and its buffer. */
static uint8_t *put_uint(uint8_t *p, uint64_t v)
{
	if (v < 0x80) {
		*p = (uint8_t)v;
		return p + 1;
	}
	if (v <= UINT8_MAX) {
		p[0] = 0xcc;
		p[1] = (uint8_t)v;
		return p + 2;
	}
	if (v <= UINT16_MAX) {
		p[0] = 0xcd;
		put_u16be(p + 1, (uint16_t)v);
		return p + 3;
	}
	if (v <= UINT32_MAX) {
		p[0] = 0xce;
		put_u32be(p + 1, (uint32_t)v);
		return p + 5;
	}
	p[0] = 0xcf;
	put_u64be(p + 1, v);
	return p + 9;
}

size_t leaf_encode(const struct leaf *l, uint8_t out[LIMIT_LEAF_BYTES])
{
	uint8_t *p = out;

	static_assert(1 + 1 + 5 + 9 + 2 + DIGEST_BYTES <= LIMIT_LEAF_BYTES,
		      "every leaf fits");
	*p++ = 0x90 | LEAF_FIELDS;
	*p++ = LEAF_VERSION;
	p = put_uint(p, l->kind);
	p = put_uint(p, l->audience);
	*p++ = 0xc4;
	*p++ = DIGEST_BYTES;
	memcpy(p, l->commitment.b, DIGEST_BYTES);
	return (size_t)(p - out) + DIGEST_BYTES;
}

/* A canonical array that begins with a version that is not ours? */
static bool is_newer(struct slice s)
{
	struct dec d;

	if (dec_scan(s, NULL) != ERR_OK)
		return false;
	dec_init(&d, s);
	return dec_array(&d) > 0 && dec_uint(&d) != LEAF_VERSION &&
	       d.err == ERR_OK;
}

enum err leaf_decode(struct slice s, struct leaf *out)
{
	struct dec d;

	if (s.n > LIMIT_LEAF_BYTES)
		return ERR_LIMIT;
	dec_init(&d, s);
	dec_array_of(&d, LEAF_FIELDS);
	if (dec_uint(&d) != LEAF_VERSION && d.err == ERR_OK)
		d.err = ERR_MALFORMED;
	out->kind = (uint32_t)dec_uint_max(&d, UINT32_MAX);
	out->audience = dec_uint(&d);
	dec_bin_into(&d, out->commitment.b, DIGEST_BYTES);
	if (dec_finish(&d) == ERR_OK)
		return ERR_OK;
	return is_newer(s) ? ERR_UNSUPPORTED : dec_finish(&d);
}

struct digest record_commit(const uint8_t salt[LIMIT_SALT_BYTES],
			    const struct digest *origin_hash, struct slice body)
{
	static const char label[] =
		"symbolon-record-v1"; /* its NUL is hashed */
	struct slice parts[] = {
		slice_of(label, sizeof(label)),
		digest_slice(origin_hash),
		body,
	};

	return hash_hmac(slice_of(salt, LIMIT_SALT_BYTES), parts,
			 sizeof(parts) / sizeof(parts[0]));
}

bool audience_admits(uint64_t audience, bool is_member, bool own)
{
	return own || audience == AUDIENCE_PUBLIC ||
	       (audience == AUDIENCE_MEMBERS && is_member);
}

/* Append the plain body of a record whose leaf is @leaf. */
static enum err open_body(const struct record *r, const struct leaf *leaf,
			  struct sealer *sealer, struct buf *out)
{
	bool sealed = leaf->audience != AUDIENCE_PUBLIC;

	if (r->salt.n == 0 || r->body.n == 0)
		return ERR_NOT_FOUND;
	if (r->salt.n != LIMIT_SALT_BYTES)
		return ERR_MALFORMED;
	if (r->body.n > LIMIT_BODY_BYTES + (sealed ? SEAL_TAG_BYTES : 0))
		return ERR_LIMIT;
	if (sealed && sealer == NULL)
		return ERR_BAD_STATE;
	if (sealed)
		return seal_open_body(sealer, r->salt.p, r->body, out);
	buf_put(out, r->body);
	return out->err;
}

enum err record_open(const struct record *r, const struct digest *origin_hash,
		     struct sealer *sealer, struct buf *out)
{
	size_t start = out->n;
	struct digest commitment;
	struct leaf leaf;
	enum err err = leaf_decode(r->leaf, &leaf);

	if (err == ERR_OK)
		err = open_body(r, &leaf, sealer, out);
	if (err != ERR_OK)
		goto out;
	commitment = record_commit(r->salt.p, origin_hash,
				   slice_of(out->p + start, out->n - start));
	if (!digest_equal(&commitment, &leaf.commitment))
		err = ERR_INVALID;
out:
	/* Nothing that was not verified is left behind. */
	if (err != ERR_OK)
		out->n = start;
	return err;
}

enum err record_open_stored(const struct record *r, struct sealer *sealer,
			    struct buf *out)
{
	size_t start = out->n;
	struct leaf leaf;
	enum err err = leaf_decode(r->leaf, &leaf);

	if (err == ERR_OK)
		err = open_body(r, &leaf, sealer, out);
	if (err != ERR_OK)
		out->n = start;
	return err;
}
