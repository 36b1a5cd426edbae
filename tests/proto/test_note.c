#include "proto/note.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"
#include "tests/lib/shared.h"
#include "tests/lib/signer.h"

/* The example of C2SP signed-note.md. */
#define EXAMPLE_KEY                                                            \
	"example.com/"                                                         \
	"foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define EXAMPLE_SIG                                                            \
	"\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXpp"  \
	"zi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
#define EXAMPLE "This is an example message.\n\n" EXAMPLE_SIG

/* Helpers. */

static enum err parse(const char *raw, struct arena *a, struct note *n)
{
	arena_init(a, 1u << 20);
	return note_parse(slice_str(raw), a, n);
}

static enum err parse_only(struct slice raw)
{
	uint8_t *copy = a_copy(raw);
	struct arena a;
	struct note n;
	enum err err;

	arena_init(&a, 1u << 20);
	err = note_parse(slice_of(copy, raw.n), &a, &n);
	arena_free(&a);
	free(copy);
	return err;
}

static struct note_key a_key(const char *vkey)
{
	struct note_key k;

	assert_int_equal(note_key_parse(slice_str(vkey), &k), ERR_OK);
	return k;
}

/* What @k says about the note @raw; the note must parse. */
static enum err verdict(struct slice raw, const struct note_key *k,
			uint64_t *seconds)
{
	struct arena a;
	struct note n;
	enum err err;

	arena_init(&a, 1u << 20);
	assert_int_equal(note_parse(raw, &a, &n), ERR_OK);
	err = note_verify(&n, k, seconds);
	arena_free(&a);
	return err;
}

/* Keys. */

static void a_vkey_comes_back_as_it_was(void **state)
{
	struct note_key k = a_key(EXAMPLE_KEY);
	struct buf out;

	(void)state;
	assert_string_equal(k.name, "example.com/foo");
	assert_int_equal(k.type, NOTE_ED25519);
	assert_int_equal(k.id, 0x530d903a);
	buf_init(&out, 1024);
	note_key_put(&k, &out);
	assert_true(slice_is(buf_slice(&out), EXAMPLE_KEY));
	buf_free(&out);
}

static void every_prefix_of_a_vkey_is_refused(void **state)
{
	struct note_key k;

	(void)state;
	for (size_t n = 0; n < strlen(EXAMPLE_KEY); n++) {
		uint8_t *copy = a_copy(slice_of(EXAMPLE_KEY, n));

		assert_int_equal(note_key_parse(slice_of(copy, n), &k),
				 ERR_MALFORMED);
		free(copy);
	}
}

static void vkeys_in_another_form_are_refused(void **state)
{
	static const struct {
		const char *vkey;
		enum err err;
	} cases[] = {
		{ EXAMPLE_KEY "\n", ERR_MALFORMED },
		{ " " EXAMPLE_KEY, ERR_MALFORMED },
		{ EXAMPLE_KEY "AAAA", ERR_MALFORMED },
		/* upper case, wrong and short ids */
		{ "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANY"
		  "crnKv3U2k",
		  ERR_MALFORMED },
		{ "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANY"
		  "crnKv3U2k",
		  ERR_MALFORMED },
		{ "example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYc"
		  "rnKv3U2k",
		  ERR_MALFORMED },
		/* another name has another id */
		{ "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANY"
		  "crnKv3U2k",
		  ERR_MALFORMED },
		{ "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		  ERR_MALFORMED },
		/* types 2, 5 and 6 */
		{ "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANY"
		  "crnKv3U2k",
		  ERR_UNSUPPORTED },
		{ "example.com/foo+530d903a+BQAA", ERR_UNSUPPORTED },
		{ "example.com/foo+530d903a+BgAA", ERR_UNSUPPORTED },
		/* type 1 without a key, and an empty one */
		{ "example.com/foo+530d903a+AQAA", ERR_MALFORMED },
		{ "example.com/foo+530d903a+", ERR_MALFORMED },
		/* a key of low order */
		{ "example.com/"
		  "foo+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		  "AAAAAAAA",
		  ERR_WEAK_KEY },
	};
	struct note_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err err = note_key_parse(slice_str(cases[i].vkey), &k);

		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].vkey, err);
	}
}

static void a_key_name_has_no_spaces_and_no_plus(void **state)
{
	static const char *const bad[] = {
		"",
		"a b",
		"a+b",
		"a\nb",
		"a\tb",
		"a\xc2\xa0",
		"\xc2\x85y",
		"a\xe2\x80\x83z",
		"\xe3\x80\x80",
		"a\xe1\x9a\x80z",
		"a\xe2\x80\xa8",
		"a\xff",
		"a\xc2",
	};
	static const char *const good[] = { "a", "dtu.dk/governance",
					    "\xc3\xa9t\xc3\xa9.fr",
					    "a\xc2\xa1" };
	struct signer s = a_signer("x", NOTE_ED25519);
	char longest[LIMIT_NOTE_NAME_BYTES + 2];
	struct note_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(note_key_init(&k, slice_str(bad[i]),
					       NOTE_ED25519, s.key.pub),
				 ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(note_key_init(&k, slice_str(good[i]),
					       NOTE_ED25519, s.key.pub),
				 ERR_OK);
	memset(longest, 'n', sizeof(longest));
	assert_int_equal(note_key_init(&k,
				       slice_of(longest, LIMIT_NOTE_NAME_BYTES),
				       NOTE_ED25519, s.key.pub),
			 ERR_OK);
	assert_int_equal(
		note_key_init(&k, slice_of(longest, LIMIT_NOTE_NAME_BYTES + 1),
			      NOTE_ED25519, s.key.pub),
		ERR_MALFORMED);
}

static void a_fingerprint_is_sixteen_groups_of_four(void **state)
{
	struct note_key k = a_key(EXAMPLE_KEY);
	struct digest d = hash_bytes(slice_of(k.pub, sizeof(k.pub)));
	struct buf out;

	(void)state;
	buf_init(&out, 256);
	note_key_fingerprint(&k, &out);
	assert_int_equal(out.n, 16 * 4 + 15);
	for (size_t i = 0; i < out.n; i++) {
		if (i % 5 == 4)
			assert_int_equal(out.p[i], '-');
	}
	for (size_t i = 0; i < 16; i++) {
		uint8_t two[2];

		assert_true(text_parse_hex(slice_of(out.p + 5 * i, 4), two, 2));
		assert_memory_equal(two, d.b + 2 * i, 2);
	}
	buf_free(&out);
}

/* Notes. */

static void the_example_of_c2sp_verifies(void **state)
{
	struct note_key k = a_key(EXAMPLE_KEY);
	struct arena a;
	struct note n;
	uint64_t seconds = 1;

	(void)state;
	assert_int_equal(parse(EXAMPLE, &a, &n), ERR_OK);
	assert_true(slice_is(n.text, "This is an example message.\n"));
	assert_int_equal(n.sig_count, 1);
	assert_true(slice_is(n.sigs[0].name, "example.com/foo"));
	assert_int_equal(note_verify(&n, &k, &seconds), ERR_OK);
	assert_int_equal(seconds, 0);
	arena_free(&a);
}

/* The entries of the index that name files are of other repositories; those
 * that are not here are told. */
static void the_published_notes_verify(void **state)
{
	json_t *doc = shared_json("vectors/tlog/note-cases.json");
	json_t *one;
	size_t i, checked = 0;

	(void)state;
	json_array_foreach(json_object_get(doc, "cases"), i, one)
	{
		struct note_key k = a_key(shared_str(one, "vkey"));
		const char *file =
			json_string_value(json_object_get(one, "file"));
		const char *note =
			json_string_value(json_object_get(one, "note"));
		char path[512];

		if (note != NULL) {
			assert_int_equal(verdict(slice_str(note), &k, NULL),
					 ERR_OK);
			checked++;
			continue;
		}
		(void)snprintf(path, sizeof(path), "vectors/tlog/%s",
			       file != NULL ? file : "?");
		if (shared_path(path) != NULL) {
			struct buf raw = shared_read(path);

			assert_int_equal(verdict(buf_slice(&raw), &k, NULL),
					 ERR_OK);
			buf_free(&raw);
			checked++;
		} else {
			print_message("not here: %s\n",
				      shared_str(one, "name"));
		}
	}
	assert_true(checked >= 1);
	json_decref(doc);
}

static void every_prefix_of_a_note_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(EXAMPLE); n++)
		assert_int_equal(parse_only(slice_of(EXAMPLE, n)),
				 ERR_MALFORMED);
}

static void notes_in_another_form_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"text\n",
		"text\n\n",
		"text\n" EXAMPLE_SIG, /* no empty line */
		"text\n\n" EXAMPLE_SIG "\n", /* ends in an empty line */
		"text\n\n" EXAMPLE_SIG "x",
		"text\n\nx\n" EXAMPLE_SIG, /* not a signature line */
		"text\n\n" EXAMPLE_SIG "x\n",
		"te\rxt\n\n" EXAMPLE_SIG, /* control characters */
		"text\r\n\r\n" EXAMPLE_SIG,
		"te\txt\n\n" EXAMPLE_SIG,
		"te\x01xt\n\n" EXAMPLE_SIG,
		"te\xffxt\n\n" EXAMPLE_SIG, /* not UTF-8 */
		"te\xed\xa0\x80xt\n\n" EXAMPLE_SIG, /* a surrogate */
		"t\n\n\xe2\x80\x94 n AAAAAA==\n", /* a key id and nothing */
		"t\n\n\xe2\x80\x94 n AAAAAAA\n", /* base64 without padding */
		"t\n\n\xe2\x80\x94 n AAAAAAB=\n", /* with bits left over */
		"t\n\n\xe2\x80\x94 n AAAA AAA=\n", /* with a blank */
		"t\n\n\xe2\x80\x94 n AAAA-_A=\n", /* of the other alphabet */
		"t\n\n\xe2\x80\x94 n  AAAAAAA=\n", /* two blanks */
		"t\n\n\xe2\x80\x94  AAAAAAA=\n", /* no name */
		"t\n\n\xe2\x80\x94 AAAAAAA=\n",
		"t\n\n\xe2\x80\x94 n\n",
		"t\n\n\xe2\x80\x94 n \n",
		"t\n\n\xe2\x80\x94 n+m AAAAAAA=\n",
		"t\n\n\xe2\x80\x94 n\xc2\xa0m AAAAAAA=\n",
		"t\n\n\xe2\x80\x94n AAAAAAA=\n", /* no blank */
		"t\n\n\xe2\x80\x93 n AAAAAAA=\n", /* an en dash */
		"t\n\n-- n AAAAAAA=\n",
		"t\n\n \xe2\x80\x94 n AAAAAAA=\n",
	};

	(void)state;
	assert_int_equal(
		parse_only(slice_str("t\n\n\xe2\x80\x94 n AAAAAAA=\n")),
		ERR_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse_only(slice_str(bad[i])) != ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(parse_only(SLICE_LIT("te\0xt\n\n" EXAMPLE_SIG)),
			 ERR_MALFORMED);
}

static void the_last_empty_line_ends_the_text(void **state)
{
	struct arena a;
	struct note n;

	(void)state;
	assert_int_equal(parse("one\n\ntwo\n\n" EXAMPLE_SIG, &a, &n), ERR_OK);
	assert_true(slice_is(n.text, "one\n\ntwo\n"));
	arena_free(&a);
	/* Lines like signatures before it are text. */
	assert_int_equal(parse("one\n\n" EXAMPLE_SIG "\n" EXAMPLE_SIG, &a, &n),
			 ERR_OK);
	assert_int_equal(n.text.n, 5 + strlen(EXAMPLE_SIG));
	assert_int_equal(n.sig_count, 1);
	arena_free(&a);
	assert_int_equal(parse("\n\n" EXAMPLE_SIG, &a, &n), ERR_OK);
	assert_true(slice_is(n.text, "\n"));
	arena_free(&a);
}

static void a_second_line_of_one_key_makes_a_note_malformed(void **state)
{
	(void)state;
	assert_int_equal(parse_only(slice_str("t\n\n" EXAMPLE_SIG EXAMPLE_SIG)),
			 ERR_MALFORMED);
	/* Also with another signature; other names or ids are other keys. */
	assert_int_equal(parse_only(slice_str("t\n\n\xe2\x80\x94 n AAAAAAA=\n"
					      "\xe2\x80\x94 n AAAAAAE=\n")),
			 ERR_MALFORMED);
	assert_int_equal(parse_only(slice_str("t\n\n\xe2\x80\x94 n AAAAAAA=\n"
					      "\xe2\x80\x94 m AAAAAAA=\n"
					      "\xe2\x80\x94 n BAAAAAA=\n")),
			 ERR_OK);
}

static void put_sig(struct buf *out, uint32_t id, size_t bytes)
{
	uint8_t *zeros = xcalloc(1, bytes);
	struct note_sig s = { slice_str("n"), id, { zeros, bytes } };

	note_put_sig(&s, out);
	free(zeros);
}

static void sixty_four_signatures_are_the_most(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_NOTE_BYTES);
	buf_put_str(&b, "text\n\n");
	for (uint32_t i = 0; i < LIMIT_NOTE_SIGS; i++)
		put_sig(&b, i, 64);
	assert_int_equal(parse_only(buf_slice(&b)), ERR_OK);
	put_sig(&b, LIMIT_NOTE_SIGS, 64);
	assert_int_equal(parse_only(buf_slice(&b)), ERR_LIMIT);
	buf_free(&b);
}

static void notes_and_signatures_have_a_largest_size(void **state)
{
	struct buf b;
	struct slice tail = slice_str("\n\n" EXAMPLE_SIG);

	(void)state;
	buf_init(&b, 2 * LIMIT_NOTE_BYTES);
	while (b.n < LIMIT_NOTE_BYTES - tail.n)
		buf_put_u8(&b, 'x');
	buf_put(&b, tail);
	assert_int_equal(parse_only(buf_slice(&b)), ERR_OK);
	buf_reset(&b);
	while (b.n < LIMIT_NOTE_BYTES - tail.n + 1)
		buf_put_u8(&b, 'x');
	buf_put(&b, tail);
	assert_int_equal(parse_only(buf_slice(&b)), ERR_LIMIT);
	buf_reset(&b);
	buf_put_str(&b, "t\n\n");
	put_sig(&b, 0, LIMIT_SIG_BYTES);
	assert_int_equal(parse_only(buf_slice(&b)), ERR_OK);
	buf_reset(&b);
	buf_put_str(&b, "t\n\n\xe2\x80\x94 n ");
	for (size_t i = 0; i < (LIMIT_SIG_BYTES + 4 + 3) / 3; i++)
		buf_put_str(&b, "AAAA");
	buf_put_u8(&b, '\n');
	assert_int_equal(parse_only(buf_slice(&b)), ERR_LIMIT);
	buf_free(&b);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct arena a;
	struct note n;

	(void)state;
	for (size_t max = 0; max < sizeof(struct note_sig) + 64; max += 8) {
		arena_init(&a, max);
		assert_int_equal(note_parse(slice_str(EXAMPLE), &a, &n),
				 ERR_LIMIT);
		arena_free(&a);
	}
}

/* Signatures. */

static void a_changed_byte_of_the_text_or_signature_is_invalid(void **state)
{
	struct note_key k = a_key(EXAMPLE_KEY);
	struct signer s = a_signer("dtu.dk/governance", NOTE_ED25519);
	const struct signer *signers[] = { &s };
	struct buf b = a_note(slice_str("text\n"), signers, 1);
	struct arena a;
	struct note n;

	(void)state;
	assert_int_equal(verdict(buf_slice(&b), &s.key, NULL), ERR_OK);
	assert_int_equal(verdict(buf_slice(&b), &k, NULL), ERR_NOT_FOUND);
	b.p[0] = 'T';
	assert_int_equal(verdict(buf_slice(&b), &s.key, NULL), ERR_INVALID);
	b.p[0] = 't';
	arena_init(&a, 1u << 16);
	assert_int_equal(note_parse(buf_slice(&b), &a, &n), ERR_OK);
	for (size_t i = 0; i < SIG_BYTES; i++) {
		uint8_t sig[SIG_BYTES];

		memcpy(sig, n.sigs[0].sig.p, SIG_BYTES);
		sig[i] ^= 0x10;
		n.sigs[0].sig = slice_of(sig, SIG_BYTES);
		assert_int_equal(note_verify(&n, &s.key, NULL), ERR_INVALID);
		sig[i] ^= 0x10;
		n.sigs[0].sig.n = i;
		assert_int_equal(note_verify(&n, &s.key, NULL), ERR_INVALID);
		n.sigs[0].sig.n = SIG_BYTES;
		assert_int_equal(note_verify(&n, &s.key, NULL), ERR_OK);
		assert_int_equal(note_parse(buf_slice(&b), &a, &n), ERR_OK);
	}
	arena_free(&a);
	buf_free(&b);
}

static void unknown_names_and_ids_are_ignored(void **state)
{
	struct signer s = a_signer("dtu.dk/governance", NOTE_ED25519);
	const struct signer *signers[] = { &s };
	struct buf b;
	struct note_sig same_name, same_id;
	uint8_t zeros[SIG_BYTES] = { 0 };

	(void)state;
	same_name.name = slice_str(s.key.name);
	same_name.id = s.key.id ^ 1;
	same_name.sig = slice_of(zeros, sizeof(zeros));
	same_id.name = slice_str("hku.hk/governance");
	same_id.id = s.key.id;
	same_id.sig = same_name.sig;
	buf_init(&b, 1024);
	buf_put_str(&b, "text\n\n");
	note_put_sig(&same_name, &b);
	note_put_sig(&same_id, &b);
	assert_int_equal(verdict(buf_slice(&b), &s.key, NULL), ERR_NOT_FOUND);
	buf_free(&b);
	b = a_note(slice_str("text\n"), signers, 1);
	note_put_sig(&same_name, &b);
	note_put_sig(&same_id, &b);
	assert_int_equal(verdict(buf_slice(&b), &s.key, NULL), ERR_OK);
	buf_free(&b);
}

static void a_line_is_put_as_it_was_parsed(void **state)
{
	struct arena a;
	struct note n;
	struct buf out;

	(void)state;
	assert_int_equal(parse(EXAMPLE, &a, &n), ERR_OK);
	buf_init(&out, 1024);
	note_put_sig(&n.sigs[0], &out);
	assert_true(slice_is(buf_slice(&out), EXAMPLE_SIG));
	buf_free(&out);
	arena_free(&a);
}

/* Cosignatures. */

#define CHECKPOINT                                                             \
	"dtu.dk/symbolon/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

static void a_cosignature_signs_its_time_and_the_checkpoint(void **state)
{
	struct signer s = a_signer("hku.hk/witness", NOTE_COSIGNATURE);
	const struct signer *signers[] = { &s };
	struct buf b = a_note(slice_str(CHECKPOINT), signers, 1);
	struct arena a;
	struct note n;
	uint64_t seconds;

	(void)state;
	arena_init(&a, 1u << 16);
	assert_int_equal(verdict(buf_slice(&b), &s.key, &seconds), ERR_OK);
	assert_int_equal(seconds, 1700000000);
	assert_int_equal(note_parse(buf_slice(&b), &a, &n), ERR_OK);
	assert_int_equal(n.sigs[0].sig.n, 8 + SIG_BYTES);
	assert_int_equal(
		sig_verify(
			s.key.pub,
			slice_str(
				"cosignature/v1\ntime 1700000000\n" CHECKPOINT),
			slice_sub(n.sigs[0].sig, 8, SIG_BYTES)),
		ERR_OK);
	arena_free(&a);
	buf_free(&b);
}

static void a_cosignature_with_another_time_is_invalid(void **state)
{
	struct signer s = a_signer("hku.hk/witness", NOTE_COSIGNATURE);
	const struct signer *signers[] = { &s };
	struct buf b = a_note(slice_str(CHECKPOINT), signers, 1);
	uint8_t sig[8 + SIG_BYTES];
	struct arena a;
	struct note n;
	uint64_t seconds = 1;

	(void)state;
	arena_init(&a, 1u << 16);
	assert_int_equal(note_parse(buf_slice(&b), &a, &n), ERR_OK);
	memcpy(sig, n.sigs[0].sig.p, sizeof(sig));
	n.sigs[0].sig.p = sig;
	sig[7]++;
	assert_int_equal(note_verify(&n, &s.key, &seconds), ERR_INVALID);
	assert_int_equal(seconds, 0);
	sig[7]--;
	assert_int_equal(note_verify(&n, &s.key, &seconds), ERR_OK);
	for (size_t i = 1; i < sizeof(sig); i++) {
		n.sigs[0].sig.n = i;
		assert_int_equal(note_verify(&n, &s.key, NULL), ERR_INVALID);
	}
	arena_free(&a);
	buf_free(&b);
}

static void a_key_of_one_type_is_not_one_of_the_other(void **state)
{
	struct signer s = a_signer("hku.hk/witness", NOTE_COSIGNATURE);
	const struct signer *signers[] = { &s };
	struct buf b = a_note(slice_str(CHECKPOINT), signers, 1);
	struct note_key k;

	(void)state;
	assert_int_equal(note_key_init(&k, slice_str("hku.hk/witness"),
				       NOTE_ED25519, s.key.pub),
			 ERR_OK);
	assert_int_not_equal(k.id, s.key.id);
	assert_int_equal(verdict(buf_slice(&b), &k, NULL), ERR_NOT_FOUND);
	buf_free(&b);
}

/* Checkpoints. */

static void a_checkpoint_comes_back_as_it_was(void **state)
{
	static const char text[] =
		"dtu.dk/symbolon/1\n20852163\n"
		"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
	struct checkpoint c;
	struct buf out;

	(void)state;
	assert_int_equal(checkpoint_parse(slice_str(text), &c), ERR_OK);
	assert_true(slice_is(c.origin, "dtu.dk/symbolon/1"));
	assert_int_equal(c.head.size, 20852163);
	assert_int_equal(c.head.root.b[0], 0x0a);
	buf_init(&out, 1024);
	checkpoint_put(&c, &out);
	assert_true(slice_is(buf_slice(&out), text));
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(checkpoint_parse(slice_of(text, n), &c),
				 ERR_MALFORMED);
	buf_free(&out);
}

static void checkpoints_in_another_form_are_refused(void **state)
{
#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
	static const char *const bad[] = {
		"\n5\n" ROOT "\n",
		"o\n05\n" ROOT "\n",
		"o\n+5\n" ROOT "\n",
		"o\n-5\n" ROOT "\n",
		"o\n 5\n" ROOT "\n",
		"o\n5 \n" ROOT "\n",
		"o\n\n" ROOT "\n",
		"o\n0x5\n" ROOT "\n",
		"o\n9223372036854775808\n" ROOT "\n", /* 2^63 */
		"o\n18446744073709551616\n" ROOT "\n", /* 2^64 */
		"o\n5\n" ROOT "\nextension\n",
		"o\n5\n" ROOT "\n\n",
		"o\n5\n" ROOT " \n",
		"o\n5\n\n",
		"o\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n",
		"o\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n",
		"o\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
		"o\n0\n" ROOT "\n", /* not the root of an empty tree */
	};
	char origin[LIMIT_ORIGIN_BYTES + 64];
	struct checkpoint c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (checkpoint_parse(slice_str(bad[i]), &c) != ERR_MALFORMED)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(
		checkpoint_parse(
			slice_str("o\n9223372036854775807\n" ROOT "\n"), &c),
		ERR_OK);
	assert_int_equal(checkpoint_parse(slice_str(CHECKPOINT), &c), ERR_OK);
	for (size_t over = 0; over <= 1; over++) {
		memset(origin, 'o', LIMIT_ORIGIN_BYTES + over);
		(void)snprintf(origin + LIMIT_ORIGIN_BYTES + over, 63,
			       "\n5\n" ROOT "\n");
		assert_int_equal(checkpoint_parse(slice_str(origin), &c),
				 over == 0 ? ERR_OK : ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vkey_comes_back_as_it_was),
		cmocka_unit_test(every_prefix_of_a_vkey_is_refused),
		cmocka_unit_test(vkeys_in_another_form_are_refused),
		cmocka_unit_test(a_key_name_has_no_spaces_and_no_plus),
		cmocka_unit_test(a_fingerprint_is_sixteen_groups_of_four),
		cmocka_unit_test(the_example_of_c2sp_verifies),
		cmocka_unit_test(the_published_notes_verify),
		cmocka_unit_test(every_prefix_of_a_note_is_refused),
		cmocka_unit_test(notes_in_another_form_are_refused),
		cmocka_unit_test(the_last_empty_line_ends_the_text),
		cmocka_unit_test(
			a_second_line_of_one_key_makes_a_note_malformed),
		cmocka_unit_test(sixty_four_signatures_are_the_most),
		cmocka_unit_test(notes_and_signatures_have_a_largest_size),
		cmocka_unit_test(a_small_arena_is_a_limit),
		cmocka_unit_test(
			a_changed_byte_of_the_text_or_signature_is_invalid),
		cmocka_unit_test(unknown_names_and_ids_are_ignored),
		cmocka_unit_test(a_line_is_put_as_it_was_parsed),
		cmocka_unit_test(
			a_cosignature_signs_its_time_and_the_checkpoint),
		cmocka_unit_test(a_cosignature_with_another_time_is_invalid),
		cmocka_unit_test(a_key_of_one_type_is_not_one_of_the_other),
		cmocka_unit_test(a_checkpoint_comes_back_as_it_was),
		cmocka_unit_test(checkpoints_in_another_form_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
