#include "node/tls.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proto/sig.h"

/* ALPN wants each name with its length in front. */
static const unsigned char alpn[] = "\x0a" TLS_ALPN;
#define ALPN_BYTES (sizeof(alpn) - 1)

struct tls_config {
	SSL_CTX *ctx;
	BIO_METHOD *bio; /* reads tls->in, appends to tls->out */
	atomic_uint refs;
};

struct tls {
	struct tls_config *config; /* held */
	SSL *ssl;
	enum tls_side side;
	struct slice in; /* fed and not yet read; borrowed */
	struct buf *out; /* borrowed */
	bool open; /* the handshake is done */
	bool finished; /* our close_notify is sent */
	bool failed;
	struct tls_failure failure;
};

void tls_init(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* The transport that OpenSSL sees: two memory areas. */

static struct tls *bio_owner(BIO *bio)
{
	return BIO_get_data(bio);
}

static int on_bio_read(BIO *bio, char *p, int n)
{
	struct tls *t = bio_owner(bio);
	size_t take = t->in.n < (size_t)n ? t->in.n : (size_t)n;

	BIO_clear_retry_flags(bio);
	if (take == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(p, t->in.p, take);
	t->in = slice_sub(t->in, take, t->in.n - take);
	return (int)take;
}

static int on_bio_write(BIO *bio, const char *p, int n)
{
	struct tls *t = bio_owner(bio);

	BIO_clear_retry_flags(bio);
	buf_put(t->out, slice_of(p, (size_t)n));
	return t->out->err == ERR_OK ? n : -1;
}

static long on_bio_ctrl(BIO *bio, int cmd, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *make_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "symbolon");

	assert(m != NULL);
	BIO_meth_set_read(m, on_bio_read);
	BIO_meth_set_write(m, on_bio_write);
	BIO_meth_set_ctrl(m, on_bio_ctrl);
	return m;
}

/* Configuration. */

static bool is_allowed_key(EVP_PKEY *key)
{
	uint8_t pub[SIG_PUBLIC_BYTES];
	size_t n = sizeof(pub);
	char group[32] = "";

	if (key == NULL)
		return false;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return EVP_PKEY_get_raw_public_key(key, pub, &n) == 1 &&
		       n == sizeof(pub) && sig_vet(pub) == ERR_OK;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

/* Form only: which key it is, is the member table's business, which the
 * caller asks after the handshake, so that it can say why it refuses. That
 * the other side has the key is proved by CertificateVerify. Dates and names
 * in the certificate mean nothing. PROTOCOL.md 2.5. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	int ok;

	(void)arg;
	ok = cert != NULL && is_allowed_key(X509_get0_pubkey(cert));
	X509_STORE_CTX_set_error(store,
				 ok ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
	return ok;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		   const unsigned char *in, unsigned in_n, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_n, alpn, ALPN_BYTES, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct tls *t = SSL_get_app_data(ssl);

	if ((where & SSL_CB_ALERT) == 0 || (value & 0xff) == 0)
		return; /* 0 is close_notify */
	if (t->failure.alert >= 0)
		return;
	t->failure.alert = value & 0xff;
	t->failure.theirs = (where & SSL_CB_READ) != 0;
}

static void set_options(SSL_CTX *ctx)
{
	/* OpenSSL's macros cast const away. */
	char groups[] = "X25519:P-256", sigalgs[] = "ed25519:ECDSA+SHA256";
	long ok = 1;

	ok &= SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	ok &= SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	ok &= SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:"
					    "TLS_AES_256_GCM_SHA384:"
					    "TLS_CHACHA20_POLY1305_SHA256");
	ok &= SSL_CTX_set1_groups_list(ctx, groups);
	ok &= SSL_CTX_set1_sigalgs_list(ctx, sigalgs);
	ok &= SSL_CTX_set1_client_sigalgs_list(ctx, sigalgs);
	/* A resumed session would not be asked for its certificate. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	ok &= SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	ok &= SSL_CTX_set_max_early_data(ctx, 0);
	ok &= SSL_CTX_set_recv_max_early_data(ctx, 0);
	SSL_CTX_set_max_cert_list(ctx, TLS_CERT_LIST_BYTES);
	SSL_CTX_set_verify_depth(ctx, 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(
		ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	ok &= SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_BYTES) == 0;
	SSL_CTX_set_info_callback(ctx, on_info);
	assert(ok == 1);
}

static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert =
		bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return cert;
}

static EVP_PKEY *read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key =
		bio == NULL ? NULL
			    : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return key;
}

static enum err use_identity(SSL_CTX *ctx, const char *cert_pem,
			     const char *key_pem, struct buf *why)
{
	X509 *cert = read_cert(cert_pem);
	EVP_PKEY *key = read_key(key_pem);
	enum err e = ERR_MALFORMED;

	if (cert == NULL) {
		buf_put_str(why, "the TLS certificate is not one in PEM");
	} else if (key == NULL) {
		buf_put_str(why, "the TLS key is not a private key in PEM");
	} else if (!is_allowed_key(key)) {
		buf_put_str(why, "the TLS key is neither Ed25519 nor P-256");
	} else if (X509_check_private_key(cert, key) != 1) {
		buf_put_str(why, "the TLS key is not that of the certificate");
		e = ERR_CONFLICT;
	} else if (SSL_CTX_use_certificate(ctx, cert) != 1 ||
		   SSL_CTX_use_PrivateKey(ctx, key) != 1) {
		buf_put_str(why, "OpenSSL does not take the TLS certificate");
	} else {
		e = ERR_OK;
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return e;
}

enum err tls_config_open(const char *cert_pem, const char *key_pem,
			 struct tls_config **out, struct buf *why)
{
	struct tls_config *c;
	SSL_CTX *ctx;
	enum err e;

	tls_init();
	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_method());
	assert(ctx != NULL);
	set_options(ctx);
	e = use_identity(ctx, cert_pem, key_pem, why);
	if (e != ERR_OK) {
		SSL_CTX_free(ctx);
		return e;
	}
	c = xcalloc(1, sizeof(*c));
	c->ctx = ctx;
	c->bio = make_bio_method();
	atomic_init(&c->refs, 1);
	*out = c;
	return ERR_OK;
}

struct tls_config *tls_config_hold(struct tls_config *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void tls_config_release(struct tls_config *c)
{
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ctx);
	BIO_meth_free(c->bio);
	free(c);
}

/* Connections. */

struct tls *tls_open(struct tls_config *c, enum tls_side side, struct buf *out)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *bio = BIO_new(c->bio);

	t->config = tls_config_hold(c);
	t->ssl = SSL_new(c->ctx);
	assert(t->ssl != NULL && bio != NULL);
	t->side = side;
	t->out = out;
	t->failure.alert = -1;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	if (side == TLS_CLIENT)
		SSL_set_connect_state(t->ssl);
	else
		SSL_set_accept_state(t->ssl);
	return t;
}

void tls_close(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	tls_config_release(t->config);
	free(t);
}

void tls_feed(struct tls *t, struct slice in)
{
	assert(t->in.n == 0);
	t->in = in;
}

struct slice tls_unread(const struct tls *t)
{
	return t->in;
}

void tls_unfeed(struct tls *t)
{
	t->in = slice_of(NULL, 0);
}

static enum err fail(struct tls *t, enum err code, const char *text)
{
	t->failed = true;
	t->failure.code = code;
	(void)snprintf(t->failure.text, sizeof(t->failure.text), "%s", text);
	return code;
}

/* What the alerts that matter mean for whoever reads them. */
static const struct {
	int alert;
	enum err code;
	const char *got; /* the other side sent it */
	const char *sent; /* we did */
} alerts[] = {
	{ SSL_AD_BAD_CERTIFICATE, ERR_PIN, "it refuses our certificate",
	  "its certificate has a key of a kind that is not accepted" },
	{ SSL_AD_UNKNOWN_CA, ERR_PIN,
	  "it wants a certificate signed by an authority", NULL },
	{ SSL_AD_CERTIFICATE_REQUIRED, ERR_PIN,
	  "it says that we showed no certificate", "it showed no certificate" },
	{ SSL_AD_PROTOCOL_VERSION, ERR_VERSION, "it refuses TLS 1.3",
	  "it does not offer TLS 1.3" },
	{ SSL_AD_NO_APPLICATION_PROTOCOL, ERR_VERSION,
	  "it does not speak " TLS_ALPN, "it does not speak " TLS_ALPN },
	{ SSL_AD_HANDSHAKE_FAILURE, ERR_VERSION, "it found no common algorithm",
	  "there is no common algorithm" },
};

static enum err fail_with_alert(struct tls *t)
{
	const struct tls_failure *f = &t->failure;
	char text[sizeof(f->text)];

	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		const char *words = f->theirs ? alerts[i].got : alerts[i].sent;

		if (alerts[i].alert == f->alert && words != NULL)
			return fail(t, alerts[i].code, words);
	}
	(void)snprintf(text, sizeof(text), "TLS alert %d (%s) %s", f->alert,
		       SSL_alert_desc_string_long(f->alert),
		       f->theirs ? "from the other side" : "sent by us");
	return fail(t, ERR_INVALID, text);
}

/* After a call that returned @ret <= 0: ERR_OK means more input. */
static enum err from_ssl(struct tls *t, int ret)
{
	int kind = SSL_get_error(t->ssl, ret);
	unsigned long code = ERR_peek_error();
	const char *reason;
	char text[120];

	if (t->out->err != ERR_OK)
		return fail(t, ERR_LIMIT, "too much output is waiting");
	if (kind == SSL_ERROR_WANT_READ)
		return ERR_OK;
	if (kind == SSL_ERROR_ZERO_RETURN)
		return ERR_CLOSED;
	if (t->failure.alert >= 0)
		return fail_with_alert(t);
	reason = ERR_reason_error_string(code);
	(void)snprintf(text, sizeof(text), "TLS failed: %s",
		       reason != NULL ? reason : "no reason given");
	return fail(t, ERR_INVALID, text);
}

/* A side that names no protocol at all is let through by OpenSSL. */
static enum err check_alpn(struct tls *t)
{
	const unsigned char *p = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(t->ssl, &p, &n);
	if (!slice_is(slice_of(p, n), TLS_ALPN))
		return fail(t, ERR_VERSION, "it does not speak " TLS_ALPN);
	return ERR_OK;
}

enum err tls_handshake(struct tls *t)
{
	enum err e;
	int ret;

	if (t->failed)
		return t->failure.code;
	if (t->open)
		return ERR_OK;
	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	if (ret != 1) {
		e = from_ssl(t, ret);
		if (e == ERR_CLOSED)
			return fail(t, e, "it closed during the handshake");
		return e == ERR_OK ? ERR_BUSY : e;
	}
	assert(!SSL_session_reused(t->ssl));
	assert(SSL_version(t->ssl) == TLS1_3_VERSION);
	e = check_alpn(t);
	t->open = e == ERR_OK;
	return e;
}

enum err tls_read(struct tls *t, uint8_t *p, size_t n, size_t *got)
{
	enum err e;
	int ret;

	*got = 0;
	if (t->failed)
		return t->failure.code;
	if (!t->open)
		return ERR_BAD_STATE;
	assert(n > 0);
	ERR_clear_error();
	ret = SSL_read(t->ssl, p, n < INT_MAX ? (int)n : INT_MAX);
	if (ret > 0) {
		*got = (size_t)ret;
		return ERR_OK;
	}
	e = from_ssl(t, ret);
	if (e == ERR_CLOSED)
		t->in = slice_of(NULL, 0); /* nothing counts behind it */
	return e;
}

enum err tls_write(struct tls *t, struct slice plain)
{
	int ret;

	if (t->failed)
		return t->failure.code;
	if (!t->open || t->finished)
		return ERR_BAD_STATE;
	assert(plain.n <= INT_MAX);
	if (plain.n == 0)
		return ERR_OK;
	ERR_clear_error();
	ret = SSL_write(t->ssl, plain.p, (int)plain.n);
	if (ret > 0) {
		assert((size_t)ret == plain.n);
		return ERR_OK;
	}
	if (from_ssl(t, ret) == ERR_OK)
		return fail(t, ERR_BAD_STATE, "TLS cannot write now");
	return t->failed ? t->failure.code : fail(t, ERR_CLOSED, "it closed");
}

void tls_finish(struct tls *t)
{
	if (t->failed || t->finished || !t->open)
		return;
	t->finished = true;
	ERR_clear_error();
	/* 0 is no error: the other side's close_notify is not there yet. */
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

enum err tls_end(struct tls *t)
{
	if (t->failed)
		return t->failure.code;
	if ((SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
		return ERR_OK;
	return fail(t, ERR_TRUNCATED,
		    t->open ? "the connection was cut"
			    : "it closed during the handshake");
}

const struct tls_failure *tls_failure(const struct tls *t)
{
	return &t->failure;
}

enum err tls_peer(const struct tls *t, struct digest *spki)
{
	X509 *cert;
	unsigned char *der = NULL;
	int n;

	if (!t->open)
		return ERR_BAD_STATE;
	cert = SSL_get0_peer_certificate(t->ssl);
	if (cert == NULL)
		return ERR_BAD_STATE;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	if (n <= 0)
		return ERR_MALFORMED;
	*spki = hash_bytes(slice_of(der, (size_t)n));
	OPENSSL_free(der);
	return ERR_OK;
}
