/* Portable proofs: what is accepted has one form; verdicts do not lie. */

#include "proto/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A key whose secret no input knows. */
static struct note_key a_key(void)
{
	static const uint8_t secret[SIG_SECRET_BYTES] = { 0x5e, 0xc4, 0x37 };
	uint8_t pub[SIG_PUBLIC_BYTES];
	struct note_key k;

	sig_public(secret, pub);
	if (note_key_init(&k, slice_str("a.example/symbolon/1"), NOTE_ED25519,
			  pub) != ERR_OK)
		assert(0 && "the key is good");
	return k;
}

static void check_proof(const struct proof *proof, struct slice text)
{
	struct note_key k = a_key();
	struct proof_verdict v;
	const char *why;
	struct buf again;

	buf_init(&again, PROOF_BYTES_MAX);
	proof_put(proof, &again);
	assert(again.err == ERR_OK && slice_equal(buf_slice(&again), text));
	buf_free(&again);
	assert(proof_verify(proof, &k, &k, 1, &v, &why) != ERR_OK);
	assert(!v.log_signed && v.cosignatures == 0 && why[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice text = slice_of(p, n);
	struct arena a;
	struct proof proof;

	arena_init(&a, 1u << 20);
	if (proof_parse(text, &a, &proof) == ERR_OK)
		check_proof(&proof, text);
	arena_free(&a);
	return 0;
}
