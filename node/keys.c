#include "node/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "node/disk.h"
#include "node/guard.h"
#include "proto/log.h"
#include "proto/text.h"

#define FILE_BYTES_MAX (64u << 10)
#define INDEX_KEY_BYTES 32u
#define FIRST_GENERATION 1u
#define SERIAL_BITS 127

static const char private_label[] = "PRIVATE+KEY+";

void random_bytes(void *p, size_t n)
{
	if (n > INT32_MAX || RAND_bytes(p, (int)n) != 1) {
		fputs("symbolon: no random bytes to be had\n", stderr);
		abort();
	}
}

/* ---- text forms ----------------------------------------------------------- */

/* PRIVATE+KEY+name+id+base64(type || seed) LF, as Go's note tools write it.
 * The buffer takes all its room at once: growing leaves copies. */
static void put_private(const struct key_pair *k, struct buf *out)
{
	uint8_t raw[1 + SIG_SECRET_BYTES];
	uint8_t id[4];

	raw[0] = (uint8_t)k->key.type;
	memcpy(raw + 1, k->secret, SIG_SECRET_BYTES);
	put_u32be(id, k->key.id);
	buf_put_str(out, private_label);
	buf_put_str(out, k->key.name);
	buf_put_u8(out, '+');
	text_put_hex(out, slice_of(id, sizeof(id)));
	buf_put_u8(out, '+');
	text_put_base64(out, slice_of(raw, sizeof(raw)));
	buf_put_u8(out, '\n');
	wipe(raw, sizeof(raw));
}

/* A buffer that never moves, for secrets. */
static void secret_init(struct buf *b)
{
	buf_init(b, FILE_BYTES_MAX);
	buf_extend(b, FILE_BYTES_MAX);
	buf_reset(b);
}

static bool cut_newline(struct slice *s)
{
	if (s->n == 0 || s->p[s->n - 1] != '\n')
		return false;
	s->n--;
	return true;
}

static enum err parse_private(struct slice s, enum note_type type,
			      struct key_pair *out)
{
	const struct slice label = slice_str(private_label);
	struct slice name, id_hex, base64;
	uint8_t id[4], pub[SIG_PUBLIC_BYTES];
	struct buf raw;
	enum err err = ERR_MALFORMED;

	secret_init(&raw);
	if (!cut_newline(&s) || !slice_starts(s, label))
		goto out;
	s = slice_sub(s, label.n, s.n - label.n);
	if (!slice_cut(s, '+', &name, &s) ||
	    !slice_cut(s, '+', &id_hex, &base64))
		goto out;
	if (id_hex.n != 8 || !text_parse_hex(id_hex, id, sizeof(id)) ||
	    text_parse_base64(base64, &raw) != ERR_OK ||
	    raw.n != 1 + SIG_SECRET_BYTES || raw.p[0] != type)
		goto out;
	memcpy(out->secret, raw.p + 1, SIG_SECRET_BYTES);
	sig_public(out->secret, pub);
	err = note_key_init(&out->key, name, type, pub);
	if (err == ERR_OK && out->key.id != get_u32be(id))
		err = ERR_MALFORMED;
out:
	buf_wipe(&raw);
	return err;
}

/* ---- making --------------------------------------------------------------- */

static enum err make_pair(struct slice member, const char *suffix,
			  enum note_type type, struct key_pair *out)
{
	uint8_t pub[SIG_PUBLIC_BYTES];
	struct buf name;
	enum err err;

	buf_init(&name, LIMIT_NOTE_NAME_BYTES);
	buf_put(&name, member);
	buf_put_str(&name, suffix);
	random_bytes(out->secret, sizeof(out->secret));
	sig_public(out->secret, pub);
	err = name.err;
	if (err == ERR_OK)
		err = note_key_init(&out->key, buf_slice(&name), type, pub);
	buf_free(&name);
	return err;
}

static enum err make_log_pair(struct slice member, struct key_pair *out)
{
	struct buf origin;
	enum err err;

	buf_init(&origin, LIMIT_ORIGIN_BYTES);
	log_origin_put(member, FIRST_GENERATION, &origin);
	err = origin.err;
	if (err == ERR_OK)
		err = make_pair(buf_slice(&origin), "", NOTE_ED25519, out);
	buf_free(&origin);
	return err;
}

static enum err write_file(const char *dir, const char *name, unsigned mode,
			   struct slice content, struct buf *why)
{
	char *path = path_join(dir, name);
	enum err err = disk_write_new(path, mode, content, why);

	free(path);
	return err;
}

static enum err write_pair(const char *dir, const char *name,
			   const struct key_pair *k, struct buf *why)
{
	struct buf text;
	enum err err;

	secret_init(&text);
	put_private(k, &text);
	err = text.err;
	if (err == ERR_OK)
		err = write_file(dir, name, 0600, buf_slice(&text), why);
	buf_wipe(&text);
	return err;
}

/* The public half stays when the private one is taken offline. */
static enum err write_public(const char *dir, const char *name,
			     const struct note_key *k, struct buf *why)
{
	struct buf text;
	enum err err;

	buf_init(&text, FILE_BYTES_MAX);
	note_key_put(k, &text);
	buf_put_u8(&text, '\n');
	err = write_file(dir, name, 0644, buf_slice(&text), why);
	buf_free(&text);
	return err;
}

static enum err write_index(const char *dir, struct buf *why)
{
	uint8_t key[INDEX_KEY_BYTES];
	struct buf text;
	enum err err;

	secret_init(&text);
	random_bytes(key, sizeof(key));
	text_put_hex(&text, slice_of(key, sizeof(key)));
	buf_put_u8(&text, '\n');
	err = write_file(dir, "index.key", 0600, buf_slice(&text), why);
	wipe(key, sizeof(key));
	buf_wipe(&text);
	return err;
}

/* What is on a memory BIO, into a file. */
static enum err write_bio(const char *dir, const char *name, unsigned mode,
			  BIO *bio, struct buf *why)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return write_file(dir, name, mode, slice_of(p, (size_t)n), why);
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = e != NULL && X509_add_ext(cert, e, -1) == 1;

	X509_EXTENSION_free(e);
	return ok;
}

/* Nobody looks at dates or names, pins decide; the dates are such that no
 * tool calls the certificate expired (RFC 5280 4.1.2.5). */
static bool fill_certificate(X509 *cert, EVP_PKEY *key, const char *member)
{
	X509_NAME *name = X509_get_subject_name(cert);
	BIGNUM *serial = BN_new();
	char san[LIMIT_DOMAIN_BYTES + 8];
	bool ok;

	snprintf(san, sizeof(san), "DNS:%s", member);
	ok = serial != NULL &&
	     BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
	ok = ok && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
	BN_free(serial);
	ok = ok && X509_set_version(cert, 2 /* v3 */);
	ok = ok &&
	     ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z");
	ok = ok &&
	     ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z");
	ok = ok && X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
					      (const unsigned char *)member, -1,
					      -1, 0);
	ok = ok && X509_set_issuer_name(cert, name);
	ok = ok && X509_set_pubkey(cert, key);
	ok = ok && add_extension(cert, NID_subject_alt_name, san);
	ok = ok &&
	     add_extension(cert, NID_basic_constraints, "critical,CA:FALSE");
	return ok && X509_sign(cert, key, NULL) > 0;
}

static enum err write_tls(const char *dir, struct slice member, struct buf *why)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *cert = X509_new();
	BIO *key_pem = BIO_new(BIO_s_secmem());
	BIO *cert_pem = BIO_new(BIO_s_mem());
	char *name = xstrndup(member);
	enum err err = ERR_IO;

	if (key == NULL || cert == NULL || key_pem == NULL ||
	    cert_pem == NULL || !fill_certificate(cert, key, name) ||
	    PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL,
					  NULL) != 1 ||
	    PEM_write_bio_X509(cert_pem, cert) != 1)
		say(why, "cannot make a TLS key");
	else
		err = write_bio(dir, "tls.key", 0600, key_pem, why);
	if (err == ERR_OK)
		err = write_bio(dir, "tls.crt", 0644, cert_pem, why);
	free(name);
	BIO_free(cert_pem);
	BIO_free(key_pem);
	X509_free(cert);
	EVP_PKEY_free(key);
	return err;
}

/* A guard that has seen nothing says that these keys have signed nothing:
 * guard.h. The writer takes it over. */
static enum err write_unused(const char *dir, struct buf *why)
{
	char *path = path_join(dir, "unused");
	const struct head none = { .size = 0, .root = hash_empty() };
	struct guard_state state;
	struct guard *g;
	enum err err = guard_open(path, &g, &state, why);

	if (err == ERR_OK) {
		err = guard_write(g, &none, slice_of(NULL, 0));
		guard_close(g);
	}
	free(path);
	return err;
}

static enum err write_all(const char *dir, struct slice member, struct buf *why)
{
	struct keys k = { .has_governance = true };
	enum err err;

	err = make_pair(member, "/governance", NOTE_ED25519, &k.governance);
	if (err == ERR_OK)
		err = make_log_pair(member, &k.log);
	if (err == ERR_OK)
		err = make_pair(member, "/witness", NOTE_COSIGNATURE,
				&k.witness);
	if (err != ERR_OK)
		say(why, "%.*s cannot name keys: %s", (int)member.n,
		    (const char *)member.p, err_text(err));
	if (err == ERR_OK)
		err = write_pair(dir, "governance.key", &k.governance, why);
	if (err == ERR_OK)
		err = write_public(dir, "governance.pub", &k.governance.key,
				   why);
	if (err == ERR_OK)
		err = write_pair(dir, "log.key", &k.log, why);
	if (err == ERR_OK)
		err = write_pair(dir, "witness.key", &k.witness, why);
	if (err == ERR_OK)
		err = write_index(dir, why);
	if (err == ERR_OK)
		err = write_tls(dir, member, why);
	if (err == ERR_OK)
		err = write_unused(dir, why);
	keys_wipe(&k);
	return err;
}

static const char *const file_names[] = {
	"governance.key", "governance.pub", "log.key",
	"witness.key",	  "index.key",	    "tls.key",
	"tls.crt",	  "unused",	    "unused.new",
};

/* Remove what an interrupted creation left. */
static void remove_aside(const char *aside)
{
	for (size_t i = 0; i < sizeof(file_names) / sizeof(file_names[0]);
	     i++) {
		char *path = path_join(aside, file_names[i]);

		unlink(path);
		free(path);
	}
	rmdir(aside);
}

enum err keys_create(const char *dir, struct slice member, struct buf *why)
{
	size_t n = strlen(dir) + sizeof(".new");
	char *aside;
	enum err err;

	if (disk_exists(dir)) {
		say(why, "there are keys in %s already", dir);
		return ERR_EXISTS;
	}
	/* All keys or none: made aside, then renamed. */
	aside = xmalloc(n);
	snprintf(aside, n, "%s.new", dir);
	remove_aside(aside);
	err = disk_mkdir(aside, why);
	if (err == ERR_OK)
		err = write_all(aside, member, why);
	if (err == ERR_OK)
		err = disk_sync_dir(aside, why);
	if (err == ERR_OK)
		err = disk_rename(aside, dir, why);
	if (err != ERR_OK)
		remove_aside(aside);
	free(aside);
	return err;
}

/* ---- reading -------------------------------------------------------------- */

/* Others must not be able to read a secret. */
static enum err check_mode(const char *path, struct buf *why)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		enum err err = err_of_errno(errno);

		say(why, "cannot read %s: %s", path, strerror(errno));
		return err;
	}
	if ((st.st_mode & 077) != 0) {
		say(why,
		    "%s can be read by others (mode %04o): chmod 600 %s, and "
		    "think about who may have read it",
		    path, st.st_mode & 07777u, path);
		return ERR_DENIED;
	}
	return ERR_OK;
}

static enum err read_secret(const char *dir, const char *name, struct buf *out,
			    struct buf *why)
{
	char *path = path_join(dir, name);
	enum err err = check_mode(path, why);

	if (err == ERR_OK)
		err = disk_read(path, FILE_BYTES_MAX, out, why);
	free(path);
	return err;
}

static enum err wrong_file(const char *dir, const char *name, enum err err,
			   struct buf *why)
{
	say(why, "%s/%s is not the key file that it should be: %s", dir, name,
	    err_text(err));
	return err;
}

/* Of a key that is whole and carries another name. Most likely somebody has
 * changed the configuration; the key says what it was. */
static enum err wrong_member(const char *file, const struct note_key *k,
			     struct slice member, struct buf *why)
{
	say(why,
	    "symbolon.yaml says member: %.*s, but %s is a key of %s: the "
	    "member is fixed at init, because keys and log carry it; put the "
	    "old name back, or set up another directory for another member",
	    (int)member.n, (const char *)member.p, file, k->name);
	return ERR_MALFORMED;
}

/* Is the key's name @owner || @suffix or, without a suffix, an origin of
 * @owner? */
static bool is_named(const struct note_key *k, struct slice owner,
		     const char *suffix)
{
	struct slice name = slice_str(k->name);
	struct slice member;
	uint64_t generation;

	if (suffix == NULL)
		return log_origin_parse(name, &member, &generation) == ERR_OK &&
		       slice_equal(member, owner);
	return slice_starts(name, owner) &&
	       slice_is(slice_sub(name, owner.n, name.n - owner.n), suffix);
}

struct pair_file {
	const char *name; /* of the file */
	const char *suffix; /* of the key's name; NULL: it is an origin */
	enum note_type type;
};

static enum err read_pair(const char *dir, struct slice member,
			  const struct pair_file *f, struct key_pair *out,
			  struct buf *why)
{
	struct buf text;
	enum err err;

	secret_init(&text);
	err = read_secret(dir, f->name, &text, why);
	if (err != ERR_OK)
		goto out;
	err = parse_private(buf_slice(&text), f->type, out);
	if (err != ERR_OK)
		err = wrong_file(dir, f->name, err, why);
	else if (!is_named(&out->key, member, f->suffix))
		err = wrong_member(f->name, &out->key, member, why);
out:
	buf_wipe(&text);
	return err;
}

/* Without its private file, the governance key is known by its public one. */
static enum err read_governance(const char *dir, struct slice member,
				struct keys *out, struct buf *why)
{
	static const struct pair_file file = { "governance.key", "/governance",
					       NOTE_ED25519 };
	char *path = path_join(dir, file.name);
	struct buf text;
	struct slice line;
	enum err err;

	buf_init(&text, FILE_BYTES_MAX);
	out->has_governance = disk_exists(path);
	free(path);
	if (out->has_governance)
		return read_pair(dir, member, &file, &out->governance, why);
	path = path_join(dir, "governance.pub");
	err = disk_read(path, FILE_BYTES_MAX, &text, why);
	free(path);
	if (err != ERR_OK)
		goto out;
	line = buf_slice(&text);
	err = cut_newline(&line) ? note_key_parse(line, &out->governance.key)
				 : ERR_MALFORMED;
	if (err != ERR_OK)
		err = wrong_file(dir, "governance.pub", err, why);
	else if (!is_named(&out->governance.key, member, file.suffix))
		err = wrong_member("governance.pub", &out->governance.key,
				   member, why);
out:
	buf_free(&text);
	return err;
}

static enum err read_index(const char *dir, struct keys *out, struct buf *why)
{
	struct slice line;
	struct buf text;
	enum err err;

	secret_init(&text);
	err = read_secret(dir, "index.key", &text, why);
	line = buf_slice(&text);
	if (err == ERR_OK &&
	    (!cut_newline(&line) || line.n != 2 * (size_t)INDEX_KEY_BYTES ||
	     !text_parse_hex(line, out->index, INDEX_KEY_BYTES)))
		err = wrong_file(dir, "index.key", ERR_MALFORMED, why);
	buf_wipe(&text);
	return err;
}

/* SHA-256 of the SubjectPublicKeyInfo; ERR_MALFORMED: not a certificate, or
 * not of this key. */
static enum err read_spki(const char *key_pem, const char *cert_pem,
			  struct digest *out)
{
	BIO *key_bio = BIO_new_mem_buf(key_pem, -1);
	BIO *cert_bio = BIO_new_mem_buf(cert_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
	X509 *cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	enum err err = ERR_MALFORMED;
	unsigned char *der = NULL;
	int n;

	if (key == NULL || cert == NULL ||
	    X509_check_private_key(cert, key) != 1)
		goto out;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	if (n <= 0)
		goto out;
	*out = hash_bytes(slice_of(der, (size_t)n));
	OPENSSL_free(der);
	err = ERR_OK;
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(cert_bio);
	BIO_free(key_bio);
	return err;
}

static enum err read_tls(const char *dir, struct keys *out, struct buf *why)
{
	char *path = path_join(dir, "tls.crt");
	struct buf key, cert;
	enum err err;

	secret_init(&key);
	buf_init(&cert, FILE_BYTES_MAX);
	err = read_secret(dir, "tls.key", &key, why);
	if (err == ERR_OK)
		err = disk_read(path, FILE_BYTES_MAX, &cert, why);
	free(path);
	if (err == ERR_OK) {
		out->tls_key_pem = xstrndup(buf_slice(&key));
		out->tls_cert_pem = xstrndup(buf_slice(&cert));
		err = read_spki(out->tls_key_pem, out->tls_cert_pem,
				&out->tls_spki);
		if (err != ERR_OK)
			err = wrong_file(dir, "tls.crt", err, why);
	}
	buf_free(&cert);
	buf_wipe(&key);
	return err;
}

enum err keys_load(const char *dir, struct slice member, struct keys *out,
		   struct buf *why)
{
	static const struct pair_file log = { "log.key", NULL, NOTE_ED25519 };
	static const struct pair_file witness = { "witness.key", "/witness",
						  NOTE_COSIGNATURE };
	enum err err;

	*out = (struct keys){ .has_governance = false };
	err = read_governance(dir, member, out, why);
	if (err == ERR_OK)
		err = read_pair(dir, member, &log, &out->log, why);
	if (err == ERR_OK)
		err = read_pair(dir, member, &witness, &out->witness, why);
	if (err == ERR_OK)
		err = read_index(dir, out, why);
	if (err == ERR_OK)
		err = read_tls(dir, out, why);
	if (err != ERR_OK)
		keys_wipe(out);
	return err;
}

void keys_wipe(struct keys *k)
{
	if (k->tls_key_pem != NULL)
		wipe(k->tls_key_pem, strlen(k->tls_key_pem));
	free(k->tls_key_pem);
	free(k->tls_cert_pem);
	wipe(k, sizeof(*k));
}
