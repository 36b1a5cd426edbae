/* The member's keys in DIR/keys: made by init, read at start, wiped at end.
 *
 * Files are 0600 and refused otherwise. One key, one purpose.
 * PROTOCOL.md 2.2. */

#ifndef NODE_KEYS_H
#define NODE_KEYS_H

#include "proto/note.h"

struct key_pair {
	struct note_key key;
	uint8_t secret[SIG_SECRET_BYTES];
};

struct keys {
	struct key_pair governance; /* secret zeroed when the file is away:
				     * kept offline by the member's choice */
	bool has_governance;
	struct key_pair log;
	struct key_pair witness;
	uint8_t index[32]; /* keys the hashes in the indexes */
	char *tls_key_pem; /* owned; PKCS#8 */
	char *tls_cert_pem; /* owned; self-signed */
	struct digest tls_spki; /* SHA-256 of the SubjectPublicKeyInfo */
};

/* Make all keys of @member in @dir (made, 0700, all or none), with the file
 * `unused` that tells home_open that they have signed nothing yet.
 * ERR_EXISTS: there are keys already; ERR_MALFORMED: @member names no log;
 * ERR_FULL, ERR_DENIED, ERR_IO; @why. */
WARN_UNUSED enum err keys_create(const char *dir, struct slice member,
				 struct buf *why);
/* ERR_NOT_FOUND, ERR_DENIED: mode is not 0600 (path and chmod in @why),
 * ERR_MALFORMED (also: keys of another member, named in @why), ERR_WEAK_KEY,
 * ERR_IO. */
WARN_UNUSED enum err keys_load(const char *dir, struct slice member,
			       struct keys *out, struct buf *why);
void keys_wipe(struct keys *k);

/* Random bytes; ends the process when there are none. */
void random_bytes(void *p, size_t n);

#endif /* NODE_KEYS_H */
