#include "signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct signer a_signer(const char *name, enum note_type type)
{
	uint8_t pub[SIG_PUBLIC_BYTES];
	struct signer s;
	struct digest d;
	struct buf b;

	buf_init(&b, 1024);
	buf_put_str(&b, "test ");
	buf_put_str(&b, name);
	buf_put_u8(&b, (uint8_t)type);
	d = hash_bytes(buf_slice(&b));
	buf_free(&b);
	memcpy(s.secret, d.b, sizeof(s.secret));
	sig_public(s.secret, pub);
	assert_int_equal(note_key_init(&s.key, slice_str(name), type, pub),
			 ERR_OK);
	return s;
}

struct buf a_note(struct slice text, const struct signer *const *signers,
		  size_t n)
{
	struct buf b;

	buf_init(&b, 2 * LIMIT_NOTE_BYTES);
	buf_put(&b, text);
	buf_put_u8(&b, '\n');
	for (size_t i = 0; i < n; i++)
		note_sign(&signers[i]->key, signers[i]->secret, text,
			  1700000000, &b);
	assert_int_equal(b.err, ERR_OK);
	return b;
}

uint8_t *a_copy(struct slice s)
{
	uint8_t *p = xmalloc(s.n);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}
