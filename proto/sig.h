/* Ed25519 (RFC 8032): sign, verify, and vetting of public keys.
 *
 * OpenSSL accepts keys of low order and non-canonical encodings, so every
 * public key passes sig_vet where it enters. PROTOCOL.md section 2.3. */

#ifndef PROTO_SIG_H
#define PROTO_SIG_H

#include "hash.h"

#define SIG_PUBLIC_BYTES 32
#define SIG_SECRET_BYTES 32 /* the RFC 8032 seed */
#define SIG_BYTES 64

/* ERR_WEAK_KEY: y is not below 2^255-19, the point is not on the curve, or
 * it has low order. */
WARN_UNUSED enum err sig_vet(const uint8_t pub[SIG_PUBLIC_BYTES]);
/* Public key of a secret seed. Neither this nor sig_sign can fail. */
void sig_public(const uint8_t secret[SIG_SECRET_BYTES],
		uint8_t pub[SIG_PUBLIC_BYTES]);
void sig_sign(const uint8_t secret[SIG_SECRET_BYTES], struct slice message,
	      uint8_t out[SIG_BYTES]);
/* ERR_INVALID: the signature does not verify; ERR_WEAK_KEY as sig_vet. */
WARN_UNUSED enum err sig_verify(const uint8_t pub[SIG_PUBLIC_BYTES],
				struct slice message, struct slice signature);

#endif /* PROTO_SIG_H */
