#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tests/lib/identity.h"

/* ---- fixture: two identities and two ends over two buffers ------------- */

struct side {
	struct identity id;
	struct tls_config *config;
	struct tls *tls;
	struct buf out; /* towards the other */
	struct buf pending; /* from the other, kept while it is fed */
	enum err state; /* of the handshake */
};

struct fixture {
	struct side client, server;
};

static void open_side(struct side *s, const char *type, const char *name)
{
	struct buf why;

	buf_init(&why, 1000);
	identity_make(&s->id, type, name);
	assert_int_equal(tls_config_open(s->id.cert_pem, s->id.key_pem,
					 &s->config, &why),
			 ERR_OK);
	buf_free(&why);
	buf_init(&s->out, 1u << 20);
	buf_init(&s->pending, 1u << 20);
	s->state = ERR_BUSY;
}

static void open_with(struct fixture *f, const char *type)
{
	open_side(&f->client, type, "client.example");
	open_side(&f->server, type, "server.example");
	f->client.tls = tls_open(f->client.config, TLS_CLIENT, &f->client.out);
	f->server.tls = tls_open(f->server.config, TLS_SERVER, &f->server.out);
}

static void close_side(struct side *s)
{
	tls_close(s->tls);
	tls_config_release(s->config);
	identity_free(&s->id);
	buf_free(&s->out);
	buf_free(&s->pending);
}

static void close_both(struct fixture *f)
{
	close_side(&f->client);
	close_side(&f->server);
}

/* ---- helpers ---------------------------------------------------------- */

static void feed(struct side *to, struct side *from)
{
	buf_reset(&to->pending);
	buf_put(&to->pending, buf_slice(&from->out));
	buf_reset(&from->out);
	assert_int_equal(tls_unread(to->tls).n, 0);
	tls_feed(to->tls, buf_slice(&to->pending));
}

static void shake(struct fixture *f)
{
	for (int i = 0; i < 6; i++) {
		if (f->client.state == ERR_BUSY)
			f->client.state = tls_handshake(f->client.tls);
		feed(&f->server, &f->client);
		if (f->server.state == ERR_BUSY)
			f->server.state = tls_handshake(f->server.tls);
		tls_unfeed(f->client.tls);
		feed(&f->client, &f->server);
	}
}

static void open_pair(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	open_with(f, "ED25519");
	shake(f);
	assert_int_equal(f->client.state, ERR_OK);
	assert_int_equal(f->server.state, ERR_OK);
}

static void assert_sent(struct side *from, struct side *to, const char *text)
{
	uint8_t p[100];
	size_t got;

	assert_int_equal(tls_write(from->tls, slice_str(text)), ERR_OK);
	feed(to, from);
	assert_int_equal(tls_read(to->tls, p, sizeof(p), &got), ERR_OK);
	assert_true(slice_is(slice_of(p, got), text));
	assert_int_equal(tls_read(to->tls, p, sizeof(p), &got), ERR_OK);
	assert_int_equal(got, 0);
}

/* ---- what works -------------------------------------------------------- */

static void both_sides_learn_the_key_of_the_other(void **state)
{
	struct fixture f;
	struct digest d;

	(void)state;
	open_pair(&f);
	assert_int_equal(tls_peer(f.client.tls, &d), ERR_OK);
	assert_true(digest_equal(&d, &f.server.id.spki));
	assert_int_equal(tls_peer(f.server.tls, &d), ERR_OK);
	assert_true(digest_equal(&d, &f.client.id.spki));
	assert_sent(&f.client, &f.server, "hello");
	assert_sent(&f.server, &f.client, "and back");
	close_both(&f);
}

static void p256_certificates_work_too(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	open_with(&f, "EC");
	shake(&f);
	assert_int_equal(f.client.state, ERR_OK);
	assert_int_equal(f.server.state, ERR_OK);
	close_both(&f);
}

static void no_session_ticket_is_sent_after_the_handshake(void **state)
{
	struct fixture f;
	uint8_t p[10];
	size_t got;

	(void)state;
	open_pair(&f);
	assert_int_equal(tls_read(f.server.tls, p, sizeof(p), &got), ERR_OK);
	assert_int_equal(f.server.out.n, 0);
	close_both(&f);
}

static void an_error_left_by_others_does_not_break_the_connection(void **state)
{
	struct fixture f;
	uint8_t p[10];
	size_t got;

	(void)state;
	open_pair(&f);
	ERR_raise(ERR_LIB_USER, 1);
	assert_int_equal(tls_read(f.client.tls, p, sizeof(p), &got), ERR_OK);
	ERR_raise(ERR_LIB_USER, 1);
	assert_sent(&f.client, &f.server, "still here");
	ERR_clear_error();
	close_both(&f);
}

static void input_is_taken_in_any_pieces(void **state)
{
	struct fixture f;
	uint8_t p[100];
	size_t got, total = 0;

	(void)state;
	open_pair(&f);
	assert_int_equal(tls_write(f.client.tls, SLICE_LIT("in pieces")),
			 ERR_OK);
	for (size_t i = 0; i < f.client.out.n; i++) {
		tls_feed(f.server.tls, slice_of(f.client.out.p + i, 1));
		assert_int_equal(tls_read(f.server.tls, p + total,
					  sizeof(p) - total, &got),
				 ERR_OK);
		total += got;
	}
	assert_true(slice_is(slice_of(p, total), "in pieces"));
	close_both(&f);
}

/* ---- ends -------------------------------------------------------------- */

static void an_orderly_close_is_told_from_a_cut(void **state)
{
	struct fixture f;
	uint8_t p[10];
	size_t got;

	(void)state;
	open_pair(&f);
	tls_finish(f.client.tls);
	tls_finish(f.client.tls);
	feed(&f.server, &f.client);
	assert_int_equal(tls_read(f.server.tls, p, sizeof(p), &got),
			 ERR_CLOSED);
	assert_int_equal(tls_end(f.server.tls), ERR_OK);
	assert_int_equal(tls_end(f.client.tls), ERR_TRUNCATED);
	assert_string_equal(tls_failure(f.client.tls)->text,
			    "the connection was cut");
	close_both(&f);
}

static void a_changed_byte_ends_the_connection(void **state)
{
	struct fixture f;
	uint8_t p[100];
	size_t got;

	(void)state;
	open_pair(&f);
	assert_int_equal(tls_write(f.client.tls, SLICE_LIT("text")), ERR_OK);
	f.client.out.p[f.client.out.n - 1] ^= 1;
	feed(&f.server, &f.client);
	assert_int_equal(tls_read(f.server.tls, p, sizeof(p), &got),
			 ERR_INVALID);
	assert_false(tls_failure(f.server.tls)->theirs);
	/* Sticky: nothing more goes either way. */
	assert_int_equal(tls_read(f.server.tls, p, sizeof(p), &got),
			 ERR_INVALID);
	assert_int_equal(tls_write(f.server.tls, SLICE_LIT("x")), ERR_INVALID);
	close_both(&f);
}

static void too_much_output_is_an_error(void **state)
{
	struct fixture f;
	uint8_t *big = xcalloc(1, 1000);

	(void)state;
	open_pair(&f);
	f.client.out.max = 500;
	assert_int_equal(tls_write(f.client.tls, slice_of(big, 1000)),
			 ERR_LIMIT);
	free(big);
	close_both(&f);
}

/* ---- refusals: an end that is not ours against one that is -------------- */

/* The other side, as a stranger's program might set it up. */
struct stranger {
	SSL_CTX *ctx;
	SSL *ssl;
	int max_version;
	const char *alpn; /* with length; NULL: none */
	const struct identity *id; /* NULL: no certificate */
};

static void use(SSL_CTX *ctx, const struct identity *id)
{
	BIO *bio = BIO_new_mem_buf(id->cert_pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *key;

	BIO_free(bio);
	bio = BIO_new_mem_buf(id->key_pem, -1);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int choose_alpn(SSL *ssl, const unsigned char **out,
		       unsigned char *out_n, const unsigned char *in,
		       unsigned in_n, void *arg)
{
	const char *alpn = arg;

	(void)ssl;
	(void)in;
	(void)in_n;
	if (alpn == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	*out = (const unsigned char *)alpn + 1;
	*out_n = (unsigned char)alpn[0];
	return SSL_TLSEXT_ERR_OK;
}

static void stranger_open(struct stranger *s, bool client)
{
	s->ctx = SSL_CTX_new(TLS_method());
	if (s->max_version != 0)
		SSL_CTX_set_max_proto_version(s->ctx, s->max_version);
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_NONE, NULL);
	if (s->id != NULL)
		use(s->ctx, s->id);
	if (s->alpn != NULL)
		SSL_CTX_set_alpn_protos(s->ctx, (const unsigned char *)s->alpn,
					(unsigned)strlen(s->alpn));
	SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn,
				   (void *)(uintptr_t)s->alpn);
	s->ssl = SSL_new(s->ctx);
	SSL_set_bio(s->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (client)
		SSL_set_connect_state(s->ssl);
	else
		SSL_set_accept_state(s->ssl);
}

static void stranger_close(struct stranger *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	ERR_clear_error();
}

/* Handshake between @s and one of ours; returns what ours ended with. */
static enum err shake_with(struct stranger *s, struct side *ours)
{
	enum err e = ERR_BUSY;
	uint8_t p[8192];
	size_t got;
	char *q;

	for (int i = 0; i < 6 && (e == ERR_BUSY || e == ERR_OK); i++) {
		(void)SSL_do_handshake(s->ssl);
		buf_reset(&ours->pending);
		got = (size_t)BIO_get_mem_data(SSL_get_wbio(s->ssl), &q);
		buf_put(&ours->pending, slice_of(q, got));
		(void)BIO_reset(SSL_get_wbio(s->ssl));
		tls_unfeed(ours->tls);
		tls_feed(ours->tls, buf_slice(&ours->pending));
		if (e == ERR_BUSY)
			e = tls_handshake(ours->tls);
		if (e == ERR_OK)
			e = tls_read(ours->tls, p, sizeof(p), &got);
		if (ours->out.n > 0)
			(void)BIO_write(SSL_get_rbio(s->ssl), ours->out.p,
					(int)ours->out.n);
		buf_reset(&ours->out);
	}
	return e;
}

#define OURS "\x0asymbolon/1"
#define OTHER "\x08http/1.1"

static const struct {
	const char *what;
	bool client; /* the stranger dials us */
	int max_version;
	const char *alpn;
	const char *key; /* type; NULL: shows no certificate */
	enum err code; /* that we end with */
	bool theirs;
	const char *text;
} refusals[] = {
	{ "all is well when it dials", true, 0, OURS, "ED25519", ERR_OK, false,
	  "" },
	{ "all is well when we dial", false, 0, OURS, "ED25519", ERR_OK, false,
	  "" },
	{ "TLS 1.2 client", true, TLS1_2_VERSION, OURS, "ED25519", ERR_VERSION,
	  false, "it does not offer TLS 1.3" },
	{ "TLS 1.2 server", false, TLS1_2_VERSION, OURS, "EC", ERR_VERSION,
	  true, "it refuses TLS 1.3" },
	{ "client of another protocol", true, 0, OTHER, "ED25519", ERR_VERSION,
	  false, "it does not speak symbolon/1" },
	{ "client without a protocol", true, 0, NULL, "ED25519", ERR_VERSION,
	  false, "it does not speak symbolon/1" },
	{ "server without a protocol", false, 0, NULL, "ED25519", ERR_VERSION,
	  false, "it does not speak symbolon/1" },
	{ "client without certificate", true, 0, OURS, NULL, ERR_PIN, false,
	  "it showed no certificate" },
	{ "RSA client", true, 0, OURS, "RSA", ERR_PIN, false,
	  "it showed no certificate" },
	{ "RSA server", false, 0, OURS, "RSA", ERR_VERSION, true, NULL },
};

static void strangers_are_refused_with_a_coded_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct side ours = { 0 };
		struct identity id = { 0 };
		struct stranger s = { .max_version = refusals[i].max_version,
				      .alpn = refusals[i].alpn };
		enum err e;

		print_message("   %s\n", refusals[i].what);
		open_side(&ours, "ED25519", "ours.example");
		ours.tls =
			tls_open(ours.config,
				 refusals[i].client ? TLS_SERVER : TLS_CLIENT,
				 &ours.out);
		if (refusals[i].key != NULL) {
			identity_make(&id, refusals[i].key, "stranger");
			s.id = &id;
		}
		stranger_open(&s, refusals[i].client);
		e = shake_with(&s, &ours);
		if (refusals[i].text != NULL)
			assert_string_equal(tls_failure(ours.tls)->text,
					    refusals[i].text);
		assert_int_equal(e, refusals[i].code);
		assert_int_equal(tls_failure(ours.tls)->theirs,
				 refusals[i].theirs);
		stranger_close(&s);
		close_side(&ours);
		identity_free(&id);
	}
}

static void what_is_not_tls_is_refused(void **state)
{
	struct side ours = { 0 };

	(void)state;
	open_side(&ours, "ED25519", "ours.example");
	ours.tls = tls_open(ours.config, TLS_SERVER, &ours.out);
	tls_feed(ours.tls, SLICE_LIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_int_equal(tls_handshake(ours.tls), ERR_INVALID);
	assert_non_null(strstr(tls_failure(ours.tls)->text, "http request"));
	close_side(&ours);
}

static void a_long_certificate_list_is_refused(void **state)
{
	struct side ours = { 0 };
	struct identity id = { 0 };
	struct stranger s = { .alpn = OURS, .id = &id };
	BIO *bio;

	(void)state;
	open_side(&ours, "ED25519", "ours.example");
	ours.tls = tls_open(ours.config, TLS_SERVER, &ours.out);
	identity_make(&id, "ED25519", "stranger");
	stranger_open(&s, true);
	for (int i = 0; i < 120; i++) {
		bio = BIO_new_mem_buf(id.cert_pem, -1);
		assert_int_equal(SSL_add0_chain_cert(
					 s.ssl, PEM_read_bio_X509(bio, NULL,
								  NULL, NULL)),
				 1);
		BIO_free(bio);
	}
	assert_int_equal(shake_with(&s, &ours), ERR_INVALID);
	stranger_close(&s);
	close_side(&ours);
	identity_free(&id);
}

/* ---- configuration ------------------------------------------------------ */

static void keys_that_do_not_fit_are_refused(void **state)
{
	struct identity a, b, rsa;
	struct tls_config *c;
	struct buf why;

	(void)state;
	buf_init(&why, 1000);
	identity_make(&a, "ED25519", "a.example");
	identity_make(&b, "ED25519", "b.example");
	identity_make(&rsa, "RSA", "r.example");
	assert_int_equal(tls_config_open(a.cert_pem, b.key_pem, &c, &why),
			 ERR_CONFLICT);
	assert_int_equal(tls_config_open(a.cert_pem, "nonsense", &c, &why),
			 ERR_MALFORMED);
	assert_int_equal(tls_config_open("", a.key_pem, &c, &why),
			 ERR_MALFORMED);
	assert_int_equal(tls_config_open(rsa.cert_pem, rsa.key_pem, &c, &why),
			 ERR_MALFORMED);
	assert_true(why.n > 0);
	buf_free(&why);
	identity_free(&a);
	identity_free(&b);
	identity_free(&rsa);
}

/* A configuration file that forbids what we need and allows what we do not
 * want: another process, because OpenSSL reads it once. */
static void nothing_is_taken_from_openssl_cnf(void **state)
{
	static const char conf[] =
		"openssl_conf = init\n[init]\nssl_conf = ssl\n"
		"[ssl]\nsystem_default = d\n[d]\n"
		"MaxProtocol = TLSv1.2\nGroups = P-521\n"
		"SignatureAlgorithms = RSA+SHA256\n"
		"Options = SessionTicket\n";
	char path[] = "/tmp/symbolon-cnf-XXXXXX";
	int fd = mkstemp(path), status = -1;
	pid_t child;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, conf, sizeof(conf) - 1), sizeof(conf) - 1);
	close(fd);
	child = fork();
	if (child == 0) {
		setenv("OPENSSL_CONF", path, 1);
		execl("/proc/self/exe", "test_tls", "both_sides*", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(path);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_learn_the_key_of_the_other),
		cmocka_unit_test(p256_certificates_work_too),
		cmocka_unit_test(no_session_ticket_is_sent_after_the_handshake),
		cmocka_unit_test(
			an_error_left_by_others_does_not_break_the_connection),
		cmocka_unit_test(input_is_taken_in_any_pieces),
		cmocka_unit_test(an_orderly_close_is_told_from_a_cut),
		cmocka_unit_test(a_changed_byte_ends_the_connection),
		cmocka_unit_test(too_much_output_is_an_error),
		cmocka_unit_test(strangers_are_refused_with_a_coded_reason),
		cmocka_unit_test(what_is_not_tls_is_refused),
		cmocka_unit_test(a_long_certificate_list_is_refused),
		cmocka_unit_test(keys_that_do_not_fit_are_refused),
		cmocka_unit_test(nothing_is_taken_from_openssl_cnf),
	};

	if (argc > 1) /* only those that match, with * and ? */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
