/* TLS identities made on the spot, for tests. */

#ifndef TESTS_LIB_IDENTITY_H
#define TESTS_LIB_IDENTITY_H

#include "node/tls.h"

struct identity {
	char *cert_pem; /* owned */
	char *key_pem; /* owned */
	struct digest spki;
};

/* @type: "ED25519", "EC" (P-256) or "RSA". Ends the test on failure. */
void identity_make(struct identity *id, const char *type, const char *name);
void identity_free(struct identity *id);

#endif /* TESTS_LIB_IDENTITY_H */
