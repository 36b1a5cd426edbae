#include "proto/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/enc.h"
#include "proto/log.h"
#include "proto/text.h"
#include "tests/lib/signer.h"

#define ORIGIN "a.example/symbolon/1"
#define SIZE 11u
#define INDEX 6u

/* Fixture: a log of 11 records, the seventh of which is proved. */
struct fixture {
	struct signer log, witness[2];
	uint8_t leaf[LIMIT_LEAF_BYTES];
	uint8_t salt[LIMIT_SALT_BYTES];
	struct slice body;
	struct digest hashes[SIZE];
	struct head head;
	struct buf note;
	struct arena arena;
	struct proof proof;
	struct note_key keys[2];
};

static enum err read_leaves(void *arg, struct merkle_pos pos,
			    struct digest *out)
{
	struct fixture *f = arg;
	struct frontier r;

	frontier_init(&r);
	for (uint64_t i = pos.index << pos.level;
	     i < (pos.index + 1) << pos.level; i++)
		frontier_push(&r, &f->hashes[i], NULL, NULL);
	*out = frontier_head(&r).root;
	return ERR_OK;
}

static void a_log(struct fixture *f)
{
	struct digest origin = hash_bytes(slice_str(ORIGIN));
	struct leaf l = { .kind = KIND_OFFER, .audience = AUDIENCE_PUBLIC };
	struct merkle_source src = { read_leaves, f };
	struct frontier r;

	memset(f->salt, 9, sizeof(f->salt));
	f->body = slice_str("\x81\xa5offer\xa5"
			    "02170");
	l.commitment = record_commit(f->salt, &origin, f->body);
	f->proof.leaf = slice_of(f->leaf, leaf_encode(&l, f->leaf));
	frontier_init(&r);
	for (unsigned i = 0; i < SIZE; i++) {
		uint8_t byte = (uint8_t)i;

		f->hashes[i] = i == INDEX ? hash_leaf(f->proof.leaf)
					  : hash_leaf(slice_of(&byte, 1));
		frontier_push(&r, &f->hashes[i], NULL, NULL);
	}
	f->head = frontier_head(&r);
	f->proof.index = INDEX;
	assert_int_equal(merkle_prove_inclusion(&src, INDEX, SIZE,
						f->proof.path,
						&f->proof.path_count),
			 ERR_OK);
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct slice origin = slice_str(ORIGIN);

	f->log = a_signer(ORIGIN, NOTE_ED25519);
	f->witness[0] = a_signer("b.example/witness", NOTE_COSIGNATURE);
	f->witness[1] = a_signer("c.example/witness", NOTE_COSIGNATURE);
	f->keys[0] = f->witness[0].key;
	f->keys[1] = f->witness[1].key;
	a_log(f);
	buf_init(&f->note, LIMIT_NOTE_BYTES);
	log_sign_head(origin, &f->head, &f->log.key, f->log.secret, &f->note);
	for (unsigned i = 0; i < 2; i++)
		log_cosign(origin, &f->head, &f->witness[i].key,
			   f->witness[i].secret, 1700000000 + i, &f->note);
	arena_init(&f->arena, 1u << 20);
	assert_int_equal(
		note_parse(buf_slice(&f->note), &f->arena, &f->proof.note),
		ERR_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->note);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void disclose(struct fixture *f)
{
	f->proof.salt = slice_of(f->salt, sizeof(f->salt));
	f->proof.body = f->body;
}

/* Put the fixture's proof into @text and parse it again. */
static enum err round_trip(struct fixture *f, struct buf *text,
			   struct proof *out)
{
	buf_init(text, PROOF_BYTES_MAX);
	proof_put(&f->proof, text);
	assert_int_equal(text->err, ERR_OK);
	return proof_parse(buf_slice(text), &f->arena, out);
}

static enum err parse_only(struct slice text)
{
	uint8_t *copy = a_copy(text);
	struct arena a;
	struct proof p;
	enum err err;

	arena_init(&a, 1u << 20);
	err = proof_parse(slice_of(copy, text.n), &a, &p);
	arena_free(&a);
	free(copy);
	return err;
}

static enum err verify(const struct fixture *f, const struct proof *p,
		       struct proof_verdict *v)
{
	const char *why;
	enum err err = proof_verify(p, &f->log.key, f->keys, 2, v, &why);

	assert_true((err == ERR_OK) == (why[0] == '\0'));
	return err;
}

/* Form. */

static void a_proof_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;

	for (unsigned disclosed = 0; disclosed <= 1; disclosed++) {
		struct proof p;
		struct buf text, again;

		if (disclosed)
			disclose(f);
		assert_int_equal(round_trip(f, &text, &p), ERR_OK);
		assert_true(slice_equal(p.leaf, f->proof.leaf));
		assert_true(slice_equal(p.salt, f->proof.salt));
		assert_true(slice_equal(p.body, f->proof.body));
		assert_int_equal(p.index, INDEX);
		assert_int_equal(p.path_count, f->proof.path_count);
		assert_true(slice_equal(p.note.raw, f->proof.note.raw));
		buf_init(&again, PROOF_BYTES_MAX);
		proof_put(&p, &again);
		assert_true(slice_equal(buf_slice(&again), buf_slice(&text)));
		buf_free(&again);
		buf_free(&text);
	}
}

static void a_proof_has_the_bytes_of_protocol_7_1(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen("tests/vectors/proof/disclosed.tlog-proof", "rb");
	static uint8_t want[8192];
	struct proof p;
	struct buf text;
	size_t n;

	assert_non_null(file);
	n = fread(want, 1, sizeof(want), file);
	(void)fclose(file);
	disclose(f);
	assert_int_equal(round_trip(f, &text, &p), ERR_OK);
	assert_int_equal(text.n, n);
	assert_memory_equal(text.p, want, n);
	buf_free(&text);
}

static void every_prefix_of_a_proof_is_refused(void **state)
{
	struct fixture *f = *state;
	struct proof p;
	struct buf text;

	assert_int_equal(round_trip(f, &text, &p), ERR_OK);
	/* Behind the first signature line each further one makes a proof. */
	for (size_t n = 0; n < text.n; n++) {
		enum err err = parse_only(slice_of(text.p, n));

		if (err == ERR_OK) {
			assert_int_equal(text.p[n - 1], '\n');
			assert_true(n > text.n - f->note.n + 100);
		}
	}
	buf_free(&text);
}

static void proofs_in_another_form_are_refused(void **state)
{
	static const struct {
		const char *from, *to;
		enum err err;
	} cases[] = {
		{ "@v1", "@v2", ERR_MALFORMED },
		{ "@v1", "@v12", ERR_MALFORMED },
		{ "c2sp.org", " c2sp.org", ERR_MALFORMED },
		{ "extra ", "extra  ", ERR_MALFORMED },
		{ "extra ", "Extra ", ERR_MALFORMED },
		{ "extra ", "index 1\nextra ", ERR_MALFORMED },
		{ "index 6", "index 06", ERR_MALFORMED },
		{ "index 6", "index -6", ERR_MALFORMED },
		{ "index 6", "index  6", ERR_MALFORMED },
		{ "index 6", "index 6 ", ERR_MALFORMED },
		{ "index 6\n", "index 6\nAAAA\n", ERR_MALFORMED },
		{ "index 6\n", "index 6\n \n", ERR_MALFORMED },
		/* The path is then read as text: verification finds no
		 * checkpoint there. */
		{ "index 6\n", "index 6\n\n", ERR_OK },
		{ "index 6\n", "index 6\r\n", ERR_MALFORMED },
		{ "\n\n" ORIGIN, "\n" ORIGIN, ERR_MALFORMED },
	};
	struct fixture *f = *state;
	struct proof p;
	struct buf text;
	char *s;

	assert_int_equal(round_trip(f, &text, &p), ERR_OK);
	s = xstrndup(buf_slice(&text));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static char out[8192];
		const char *at = strstr(s, cases[i].from);
		enum err err;

		assert_non_null(at);
		(void)snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - s), s,
			       cases[i].to, at + strlen(cases[i].from));
		err = parse_only(slice_str(out));
		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].to, err);
	}
	free(s);
	buf_free(&text);
}

/* A proof text around @extra. */
static enum err parse_extra(const struct fixture *f, struct slice extra)
{
	struct buf text;
	enum err err;

	buf_init(&text, 2 * PROOF_BYTES_MAX);
	buf_put_str(&text, "c2sp.org/tlog-proof@v1\nextra ");
	text_put_base64(&text, extra);
	buf_put_str(&text, "\nindex 0\n\n");
	buf_put(&text, buf_slice(&f->note));
	assert_int_equal(text.err, ERR_OK);
	err = parse_only(buf_slice(&text));
	buf_free(&text);
	return err;
}

/* The extra data of a proof with fields of these lengths. */
static enum err parse_sized(const struct fixture *f, uint64_t version,
			    size_t leaf, size_t salt, size_t body)
{
	uint8_t *zeros = xcalloc(1, LIMIT_BODY_BYTES + 1);
	struct buf b;
	struct enc e;
	enum err err;

	buf_init(&b, 2 * LIMIT_BODY_BYTES);
	enc_init(&e, &b);
	enc_array(&e, 4);
	enc_uint(&e, version);
	enc_bin(&e, slice_of(zeros, leaf));
	enc_bin(&e, slice_of(zeros, salt));
	enc_bin(&e, slice_of(zeros, body));
	assert_int_equal(enc_finish(&e), ERR_OK);
	err = parse_extra(f, buf_slice(&b));
	buf_free(&b);
	free(zeros);
	return err;
}

static void leaf_salt_and_body_have_their_sizes(void **state)
{
	static const struct {
		size_t leaf, salt, body;
		enum err err;
	} cases[] = {
		{ 40, 0, 0, ERR_OK },
		{ LIMIT_LEAF_BYTES, 32, LIMIT_BODY_BYTES, ERR_OK },
		{ 0, 0, 0, ERR_LIMIT },
		{ LIMIT_LEAF_BYTES + 1, 0, 0, ERR_LIMIT },
		{ 40, 32, LIMIT_BODY_BYTES + 1, ERR_LIMIT },
		{ 40, 32, 0, ERR_MALFORMED },
		{ 40, 0, 10, ERR_MALFORMED },
		{ 40, 31, 10, ERR_MALFORMED },
		{ 40, 33, 10, ERR_MALFORMED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(parse_sized(f, 1, cases[i].leaf, cases[i].salt,
					     cases[i].body),
				 cases[i].err);
	assert_int_equal(parse_sized(f, 2, 40, 0, 0), ERR_UNSUPPORTED);
}

static void extra_data_in_another_form_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum err err;
	} cases[] = {
		{ "\x94\x01\xc4\x01x\xc4\x00\xc4\x00", 9, ERR_OK },
		{ "\x94\x01\xc4\x01x\xc4\x00\xc4\x00\x00", 10, ERR_MALFORMED },
		{ "\x94\x01\xc4\x01x\xc4\x00", 7, ERR_TRUNCATED },
		{ "\x94\xcc\x01\xc4\x01x\xc4\x00\xc4\x00", 10, ERR_MALFORMED },
		{ "\x94\x01\xc5\x00\x01x\xc4\x00\xc4\x00", 10, ERR_MALFORMED },
		{ "\x94\x01\xa1x\xc4\x00\xc4\x00", 8, ERR_MALFORMED },
		{ "\x93\x01\xc4\x01x\xc4\x00", 7, ERR_MALFORMED },
		{ "\x84\x01\xc4\x01x\xc4\x00\xc4\x00", 9, ERR_MALFORMED },
		{ "", 0, ERR_TRUNCATED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err err =
			parse_extra(f, slice_of(cases[i].bytes, cases[i].n));

		if (err != cases[i].err &&
		    !(cases[i].err == ERR_MALFORMED && err == ERR_TRUNCATED))
			fail_msg("%zu: %d", i, err);
	}
}

static void a_path_has_at_most_63_hashes(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	struct proof p;

	f->proof.path_count = LIMIT_PATH_HASHES;
	assert_int_equal(round_trip(f, &text, &p), ERR_OK);
	assert_int_equal(p.path_count, LIMIT_PATH_HASHES);
	buf_reset(&text);
	buf_put_str(&text, "c2sp.org/tlog-proof@v1\nextra lAHEAXjEAMQA\n"
			   "index 0\n");
	for (unsigned i = 0; i <= LIMIT_PATH_HASHES; i++)
		buf_put_str(&text,
			    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
			    "\n");
	buf_put_u8(&text, '\n');
	buf_put(&text, buf_slice(&f->note));
	assert_int_equal(parse_only(buf_slice(&text)), ERR_LIMIT);
	buf_free(&text);
}

static void a_proof_has_a_largest_size(void **state)
{
	uint8_t *large = xcalloc(1, PROOF_BYTES_MAX + 1);

	(void)state;
	assert_int_equal(parse_only(slice_of(large, PROOF_BYTES_MAX)),
			 ERR_MALFORMED);
	assert_int_equal(parse_only(slice_of(large, PROOF_BYTES_MAX + 1)),
			 ERR_LIMIT);
	free(large);
}

static void what_does_not_fit_is_an_error_of_the_buffer(void **state)
{
	struct fixture *f = *state;
	uint8_t *large = xcalloc(1, LIMIT_BODY_BYTES + 64);
	struct buf text;

	disclose(f);
	f->proof.body = slice_of(large, LIMIT_BODY_BYTES + 64);
	buf_init(&text, 2 * PROOF_BYTES_MAX);
	proof_put(&f->proof, &text);
	assert_int_equal(text.err, ERR_LIMIT);
	buf_free(&text);
	free(large);
}

/* Verdicts. */

static void a_good_proof_tells_all_it_shows(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;

	assert_int_equal(verify(f, &f->proof, &v), ERR_OK);
	assert_true(v.inclusion && v.log_signed && !v.opened);
	assert_int_equal(v.cosignatures, 2);
	assert_int_equal(v.newest_cosignature, 1700000001);
	assert_int_equal(v.leaf.kind, KIND_OFFER);
	assert_int_equal(v.checkpoint.head.size, SIZE);
	assert_true(slice_is(v.checkpoint.origin, ORIGIN));
	disclose(f);
	assert_int_equal(verify(f, &f->proof, &v), ERR_OK);
	assert_true(v.opened);
}

static void another_place_leaf_or_path_is_not_included(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;

	f->proof.index++;
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_true(!v.inclusion && v.log_signed && v.cosignatures == 2);
	f->proof.index = SIZE;
	assert_int_equal(verify(f, &f->proof, &v), ERR_MALFORMED);
	f->proof.index = INDEX;
	f->leaf[20] ^= 1;
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	f->leaf[20] ^= 1;
	for (uint32_t i = 0; i < f->proof.path_count; i++) {
		f->proof.path[i].b[3] ^= 1;
		assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
		assert_false(v.inclusion);
		f->proof.path[i].b[3] ^= 1;
	}
	f->proof.path_count--;
	assert_int_equal(verify(f, &f->proof, &v), ERR_MALFORMED);
}

static void what_is_disclosed_must_be_what_was_committed(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;

	disclose(f);
	f->salt[0] ^= 1;
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_true(v.inclusion && v.log_signed && !v.opened);
	f->salt[0] ^= 1;
	f->proof.body = slice_str("\x80");
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_false(v.opened);
}

static void another_log_key_or_a_bad_signature_is_refused(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;
	const char *why;
	struct signer other = a_signer("a.example/symbolon/2", NOTE_ED25519);

	assert_int_equal(proof_verify(&f->proof, &other.key, NULL, 0, &v, &why),
			 ERR_CONFLICT);
	assert_true(v.inclusion && !v.log_signed && v.cosignatures == 0);
	f->proof.note.sigs[0].id ^= 1; /* the log has not signed */
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_false(v.log_signed);
	f->proof.note.sigs[0].id ^= 1;
	f->proof.note.sigs[1].sig = f->proof.note.sigs[2].sig;
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_true(v.log_signed);
	assert_int_equal(v.cosignatures, 1);
}

static void a_signed_text_that_is_no_checkpoint_is_refused(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;

	f->proof.note.text.n--;
	assert_int_equal(verify(f, &f->proof, &v), ERR_MALFORMED);
	assert_true(!v.log_signed && !v.inclusion && !v.opened);
}

static void cosignatures_of_strangers_do_not_count(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;
	const char *why;

	assert_int_equal(
		proof_verify(&f->proof, &f->log.key, f->keys, 1, &v, &why),
		ERR_OK);
	assert_int_equal(v.cosignatures, 1);
	assert_int_equal(v.newest_cosignature, 1700000000);
}

static void a_newer_leaf_is_included_but_not_understood(void **state)
{
	struct fixture *f = *state;
	struct proof_verdict v;

	f->leaf[1] = 2;
	f->hashes[INDEX] = hash_leaf(f->proof.leaf);
	assert_int_equal(leaf_decode(f->proof.leaf, &v.leaf), ERR_UNSUPPORTED);
	/* The tree above does not hold this leaf, which is told first. */
	assert_int_equal(verify(f, &f->proof, &v), ERR_INVALID);
	assert_false(v.inclusion);
}

int main(void)
{
#define WITH_LOG(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_LOG(a_proof_comes_back_as_it_was),
		WITH_LOG(a_proof_has_the_bytes_of_protocol_7_1),
		WITH_LOG(every_prefix_of_a_proof_is_refused),
		WITH_LOG(proofs_in_another_form_are_refused),
		WITH_LOG(leaf_salt_and_body_have_their_sizes),
		WITH_LOG(extra_data_in_another_form_is_refused),
		WITH_LOG(a_path_has_at_most_63_hashes),
		WITH_LOG(a_proof_has_a_largest_size),
		WITH_LOG(what_does_not_fit_is_an_error_of_the_buffer),
		WITH_LOG(a_signed_text_that_is_no_checkpoint_is_refused),
		WITH_LOG(a_good_proof_tells_all_it_shows),
		WITH_LOG(another_place_leaf_or_path_is_not_included),
		WITH_LOG(what_is_disclosed_must_be_what_was_committed),
		WITH_LOG(another_log_key_or_a_bad_signature_is_refused),
		WITH_LOG(cosignatures_of_strangers_do_not_count),
		WITH_LOG(a_newer_leaf_is_included_but_not_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
