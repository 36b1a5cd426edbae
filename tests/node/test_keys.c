/* Keys are made all or none, are read back as they were made, and are
 * refused where others could have read them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk.h"
#include "node/keys.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	char *dir;
	char *path; /* of the keys */
	struct keys keys;
	struct buf why;
};

static const struct slice member = { (const uint8_t *)"dtu.dk", 6 };

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = tmp_make();
	f->path = path_join(f->dir, "keys");
	buf_init(&f->why, 4096);
	ok(keys_create(f->path, member, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	keys_wipe(&f->keys);
	buf_free(&f->why);
	tmp_remove(f->dir);
	free(f->path);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static enum err load(struct fixture *f)
{
	keys_wipe(&f->keys);
	buf_reset(&f->why);
	return keys_load(f->path, member, &f->keys, &f->why);
}

static bool why_says(struct fixture *f, const char *text)
{
	bool said;

	buf_put_u8(&f->why, 0);
	said = strstr((char *)f->why.p, text) != NULL;
	if (!said)
		print_message("why: %s\n", (char *)f->why.p);
	return said;
}

static char *file(struct fixture *f, const char *name)
{
	return path_join(f->path, name);
}

static void replace(struct fixture *f, const char *name, struct slice content)
{
	char *path = file(f, name);

	unlink(path);
	ok(disk_write_new(path, 0600, content, NULL));
	free(path);
}

static struct buf content_of(struct fixture *f, const char *name)
{
	char *path = file(f, name);
	struct buf b;

	buf_init(&b, 65536);
	ok(disk_read(path, 65536, &b, NULL));
	free(path);
	return b;
}

/* ---- Making --------------------------------------------------------------- */

static void every_key_has_its_own_name_and_purpose(void **state)
{
	struct fixture *f = *state;
	struct keys *k = &f->keys;
	uint8_t pub[SIG_PUBLIC_BYTES];

	ok(load(f));
	assert_string_equal(k->governance.key.name, "dtu.dk/governance");
	assert_string_equal(k->log.key.name, "dtu.dk/symbolon/1");
	assert_string_equal(k->witness.key.name, "dtu.dk/witness");
	assert_int_equal(k->governance.key.type, NOTE_ED25519);
	assert_int_equal(k->log.key.type, NOTE_ED25519);
	assert_int_equal(k->witness.key.type, NOTE_COSIGNATURE);
	assert_true(k->has_governance);
	sig_public(k->log.secret, pub);
	assert_memory_equal(pub, k->log.key.pub, sizeof(pub));
	assert_memory_not_equal(k->log.secret, k->witness.secret, 32);
	assert_memory_not_equal(k->log.secret, k->governance.secret, 32);
	assert_non_null(strstr(k->tls_cert_pem, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(k->tls_key_pem, "BEGIN PRIVATE KEY"));
}

static void secret_files_are_for_the_owner_only(void **state)
{
	static const char *const names[] = { "governance.key", "log.key",
					     "witness.key", "index.key",
					     "tls.key" };
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = file(f, names[i]);

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		free(path);
	}
}

static void keys_are_never_overwritten(void **state)
{
	struct fixture *f = *state;
	struct buf before = content_of(f, "log.key");
	struct buf after;

	assert_int_equal(keys_create(f->path, member, &f->why), ERR_EXISTS);
	after = content_of(f, "log.key");
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	buf_free(&before);
	buf_free(&after);
}

static void an_interrupted_creation_is_made_anew(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->dir, "other");
	char *aside = path_join(f->dir, "other.new");
	char *half;
	struct keys k;

	assert_int_equal(mkdir(aside, 0700), 0);
	half = path_join(aside, "log.key");
	ok(disk_write_new(half, 0600, SLICE_LIT("half"), NULL));
	ok(keys_create(path, member, &f->why));
	ok(keys_load(path, member, &k, &f->why));
	assert_false(disk_exists(aside));
	keys_wipe(&k);
	free(half);
	free(aside);
	free(path);
}

static void a_name_that_is_no_domain_gets_no_keys(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->dir, "other");

	assert_int_not_equal(keys_create(path, SLICE_LIT("dtu dk"), &f->why),
			     ERR_OK);
	assert_false(disk_exists(path));
	free(path);
}

/* ---- Reading -------------------------------------------------------------- */

static void two_loads_give_the_same_keys(void **state)
{
	struct fixture *f = *state;
	struct keys again;

	ok(load(f));
	ok(keys_load(f->path, member, &again, &f->why));
	assert_memory_equal(again.index, f->keys.index, 32);
	assert_memory_equal(again.log.secret, f->keys.log.secret, 32);
	assert_true(digest_equal(&again.tls_spki, &f->keys.tls_spki));
	keys_wipe(&again);
}

static void a_file_that_others_may_read_is_refused_with_the_cure(void **state)
{
	static const mode_t modes[] = { 0644, 0640, 0604, 0660, 0602 };
	struct fixture *f = *state;
	char *path = file(f, "log.key");

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(load(f), ERR_DENIED);
		assert_true(why_says(f, "chmod 600"));
	}
	assert_int_equal(chmod(path, 0400), 0);
	ok(load(f));
	free(path);
}

static void governance_may_be_kept_elsewhere(void **state)
{
	static const uint8_t zeros[SIG_SECRET_BYTES];
	struct fixture *f = *state;
	char *path = file(f, "governance.key");
	struct note_key before;

	ok(load(f));
	before = f->keys.governance.key;
	unlink(path);
	ok(load(f));
	assert_false(f->keys.has_governance);
	assert_memory_equal(f->keys.governance.secret, zeros, sizeof(zeros));
	assert_memory_equal(f->keys.governance.key.pub, before.pub, 32);
	free(path);
}

static void a_missing_file_is_named(void **state)
{
	static const char *const names[] = { "log.key", "witness.key",
					     "index.key", "tls.key",
					     "tls.crt" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf content = content_of(f, names[i]);
		char *path = file(f, names[i]);

		unlink(path);
		assert_int_equal(load(f), ERR_NOT_FOUND);
		assert_true(why_says(f, names[i]));
		replace(f, names[i], buf_slice(&content));
		ok(load(f));
		buf_free(&content);
		free(path);
	}
}

static void every_damaged_byte_of_a_key_file_is_refused(void **state)
{
	static const char *const names[] = { "governance.key", "log.key",
					     "witness.key" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf good = content_of(f, names[i]);

		for (size_t at = 0; at < good.n; at++) {
			good.p[at] ^= 4;
			replace(f, names[i], buf_slice(&good));
			assert_int_not_equal(load(f), ERR_OK);
			good.p[at] ^= 4;
		}
		/* and every prefix, and one byte more */
		for (size_t n = 0; n < good.n; n++) {
			replace(f, names[i], slice_of(good.p, n));
			assert_int_not_equal(load(f), ERR_OK);
		}
		buf_put_u8(&good, '\n');
		replace(f, names[i], buf_slice(&good));
		assert_int_not_equal(load(f), ERR_OK);
		good.n--;
		replace(f, names[i], buf_slice(&good));
		buf_free(&good);
	}
	ok(load(f));
}

static void keys_of_another_member_are_refused(void **state)
{
	struct fixture *f = *state;
	struct keys k;

	buf_reset(&f->why);
	assert_int_equal(keys_load(f->path, SLICE_LIT("tu.dk"), &k, &f->why),
			 ERR_MALFORMED);
	buf_put_u8(&f->why, '\0');
	assert_non_null(strstr((const char *)f->why.p,
			       "symbolon.yaml says member: tu.dk, but "
			       "governance.key is a key of dtu.dk/governance: "
			       "the member is fixed at init"));
	assert_int_equal(keys_load(f->path, SLICE_LIT("dtu.dkx"), &k, &f->why),
			 ERR_MALFORMED);
}

static void a_certificate_of_another_key_is_refused(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->dir, "other");
	struct buf cert;
	char *from;

	ok(keys_create(path, member, &f->why));
	from = path_join(path, "tls.crt");
	buf_init(&cert, 65536);
	ok(disk_read(from, 65536, &cert, NULL));
	replace(f, "tls.crt", buf_slice(&cert));
	assert_int_equal(load(f), ERR_MALFORMED);
	buf_free(&cert);
	free(from);
	free(path);
}

static void random_bytes_differ(void **state)
{
	uint8_t a[64], b[64];

	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_key_has_its_own_name_and_purpose),
		T(secret_files_are_for_the_owner_only),
		T(keys_are_never_overwritten),
		T(an_interrupted_creation_is_made_anew),
		T(a_name_that_is_no_domain_gets_no_keys),
		T(two_loads_give_the_same_keys),
		T(a_file_that_others_may_read_is_refused_with_the_cure),
		T(governance_may_be_kept_elsewhere),
		T(a_missing_file_is_named),
		T(every_damaged_byte_of_a_key_file_is_refused),
		T(keys_of_another_member_are_refused),
		T(a_certificate_of_another_key_is_refused),
		T(random_bytes_differ),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
