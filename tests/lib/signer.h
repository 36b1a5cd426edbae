/* Keys and signed notes for tests: the same name gives the same key. */

#ifndef TESTS_SIGNER_H
#define TESTS_SIGNER_H

#include "proto/note.h"

struct signer {
	uint8_t secret[SIG_SECRET_BYTES];
	struct note_key key;
};

/* Secret = SHA-256("test " || name || type as a byte). */
struct signer a_signer(const char *name, enum note_type type);
/* @text, an empty line and the signatures of @n signers; cosignatures bear
 * the time 1700000000. Give: buf_free. */
struct buf a_note(struct slice text, const struct signer *const *signers,
		  size_t n);
/* A copy in memory of just this size, so that a read behind it is seen.
 * Give: free. */
uint8_t *a_copy(struct slice s);

#endif /* TESTS_SIGNER_H */
