/* TLS 1.3 as a filter: ciphertext in, plaintext out, and back.
 *
 * The only file that knows SSL; it never sees a socket. Both sides show a
 * self-signed certificate, and it is not a chain, a name or a date that
 * decides but the pin: SHA-256 of the SubjectPublicKeyInfo, which the caller
 * compares with the member table after every handshake (tls_peer). Nothing
 * is taken from openssl.cnf. PROTOCOL.md 2.5.
 *
 * The order of calls: tls_feed what came; tls_handshake until ERR_OK; then
 * tls_read until it gives 0 bytes; every call may append to the output
 * buffer, which the caller sends. One thread at a time. */

#ifndef NODE_TLS_H
#define NODE_TLS_H

#include "proto/hash.h"

struct tls_config; /* an identity; shared, counted */
struct tls; /* one connection */

#define TLS_ALPN "symbolon/1"
#define TLS_CERT_LIST_BYTES 16384u /* certificates before authentication */
#define TLS_READ_BYTES 16384u /* plaintext of one record */

enum tls_side { TLS_CLIENT, TLS_SERVER };

/* Why a connection failed, in words of either side. */
struct tls_failure {
	enum err code; /* ERR_TRUNCATED, ERR_VERSION, ERR_PIN, ... */
	bool theirs; /* the other side refused us (alert) */
	int alert; /* alert number got or sent, -1: none */
	char text[160]; /* one sentence without full stop */
};

/* Before any other use of OpenSSL in the process: its configuration file is
 * not to be read. Idempotent. */
void tls_init(void);

/* ERR_MALFORMED: not a certificate or key in PEM, or of another type than
 * Ed25519 or P-256; ERR_CONFLICT: the key is not the certificate's; @why. */
WARN_UNUSED enum err tls_config_open(const char *cert_pem, const char *key_pem,
				     struct tls_config **out,
				     struct buf *why); /* give */
struct tls_config *tls_config_hold(struct tls_config *c); /* give */
void tls_config_release(struct tls_config *c); /* take; NULL is fine */

/* @out: where ciphertext is appended; borrowed until tls_close. */
struct tls *tls_open(struct tls_config *c, enum tls_side side,
		     struct buf *out); /* give */
void tls_close(struct tls *t); /* take; NULL is fine */

/* Ciphertext that came; borrowed until it is used up (tls_unread). Asserts
 * that what was fed before is used up. */
void tls_feed(struct tls *t, struct slice in);
struct slice tls_unread(const struct tls *t);
/* Forget what is unread: the caller keeps it and feeds it again. */
void tls_unfeed(struct tls *t);

/* ERR_OK: done; ERR_BUSY: needs more input; else it failed (tls_failure). */
WARN_UNUSED enum err tls_handshake(struct tls *t);
/* At most @n bytes into @p. ERR_OK with *got 0: all input is used up;
 * ERR_CLOSED: the other side closed in order; else it failed. */
WARN_UNUSED enum err tls_read(struct tls *t, uint8_t *p, size_t n, size_t *got);
/* ERR_LIMIT: the output buffer is full; ERR_BAD_STATE: not open; else failed. */
WARN_UNUSED enum err tls_write(struct tls *t, struct slice plain);
/* Append close_notify; nothing after a failure. Idempotent. */
void tls_finish(struct tls *t);
/* The transport ended. ERR_OK: the other side had closed in order;
 * ERR_TRUNCATED: it had not. */
WARN_UNUSED enum err tls_end(struct tls *t);

const struct tls_failure *tls_failure(const struct tls *t);
/* SHA-256 of the other side's SubjectPublicKeyInfo. ERR_BAD_STATE before the
 * handshake is done. */
WARN_UNUSED enum err tls_peer(const struct tls *t, struct digest *spki);

#endif /* NODE_TLS_H */
