#include "tests/lib/identity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static EVP_PKEY *make_key(const char *type)
{
	if (strcmp(type, "EC") == 0)
		return EVP_EC_gen("P-256");
	if (strcmp(type, "RSA") == 0)
		return EVP_RSA_gen(2048);
	return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

static X509 *make_cert(EVP_PKEY *key, const char *type, const char *name)
{
	X509 *cert = X509_new();
	X509_NAME *dn = X509_get_subject_name(cert);
	const EVP_MD *md = strcmp(type, "ED25519") == 0 ? NULL : EVP_sha256();
	int ok = 1;

	ok &= X509_set_version(cert, X509_VERSION_3);
	ok &= ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	ok &= X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL;
	ok &= X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL;
	ok &= X509_NAME_add_entry_by_txt(dn, "CN", MBSTRING_UTF8,
					 (const unsigned char *)name, -1, -1,
					 0);
	ok &= X509_set_issuer_name(cert, dn);
	ok &= X509_set_pubkey(cert, key);
	ok &= X509_sign(cert, key, md) > 0;
	assert(ok == 1);
	return cert;
}

static char *take_text(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	char *out = xstrndup(slice_of(p, (size_t)n));

	BIO_free(bio);
	return out;
}

void identity_make(struct identity *id, const char *type, const char *name)
{
	EVP_PKEY *key = make_key(type);
	X509 *cert = make_cert(key, type, name);
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	int ok, n;

	ok = PEM_write_bio_X509(cert_bio, cert);
	ok &= PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL,
					    NULL);
	assert(ok == 1);
	id->cert_pem = take_text(cert_bio);
	id->key_pem = take_text(key_bio);
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	assert(n > 0);
	id->spki = hash_bytes(slice_of(der, (size_t)n));
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void identity_free(struct identity *id)
{
	free(id->cert_pem);
	free(id->key_pem);
}
