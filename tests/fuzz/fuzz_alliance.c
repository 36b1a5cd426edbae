/* An alliance file from a stranger: parsed and judged, shown, and signed
 * again when it is good. */

#include <string.h>

#include "node/alliance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses must still parse with one signature more, by the same rules. */
static void sign_again(const struct alliance *a)
{
	static const uint8_t secret[SIG_SECRET_BYTES] = { 7 };
	struct key_pair pair = { 0 };
	struct alliance again = { 0 };
	struct buf out, why;
	uint8_t pub[SIG_PUBLIC_BYTES];

	sig_public(secret, pub);
	if (note_key_init(&pair.key, SLICE_LIT("fuzz.example/governance"),
			  NOTE_ED25519, pub) != ERR_OK)
		__builtin_trap();
	memcpy(pair.secret, secret, sizeof(secret));
	buf_init(&out, LIMIT_BUNDLE_BYTES);
	buf_init(&why, 65536);
	alliance_sign(a, &pair, &out);
	if (out.err == ERR_OK &&
	    a->roster.note.sig_count + 1 < LIMIT_NOTE_SIGS &&
	    alliance_parse(&again, buf_slice(&out), &why) != ERR_OK)
		__builtin_trap();
	alliance_free(&again);
	buf_free(&why);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct alliance a;
	struct buf why;

	buf_init(&why, 65536);
	if (alliance_parse(&a, slice_of(data, size), &why) == ERR_OK) {
		(void)alliance_is_complete(&a, &why);
		sign_again(&a);
	} else if (why.n == 0) {
		__builtin_trap(); /* every refusal has a reason */
	}
	alliance_free(&a);
	buf_free(&why);
	return 0;
}
