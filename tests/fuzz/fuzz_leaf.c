/* Leaves: what is accepted has one form, and records never open wrongly. */

#include "proto/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t again[LIMIT_LEAF_BYTES];
	struct record r = { .leaf = slice_of(p, n) };
	struct digest origin = hash_empty();
	struct leaf l;
	struct buf out;

	if (leaf_decode(r.leaf, &l) == ERR_OK) {
		assert(leaf_encode(&l, again) == n);
		assert(memcmp(again, p, n) == 0);
	}
	if (n < LIMIT_SALT_BYTES)
		return 0;
	/* The same bytes as salt and body: no body fits any commitment that
	 * was not made from it. */
	r.salt = slice_of(p, LIMIT_SALT_BYTES);
	r.body = slice_of(p, n);
	buf_init(&out, LIMIT_BODY_BYTES);
	assert(record_open(&r, &origin, NULL, &out) != ERR_OK);
	assert(out.n == 0);
	buf_free(&out);
	return 0;
}
