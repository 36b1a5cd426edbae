#include "proto/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/enc.h"
#include "proto/text.h"
#include "tests/lib/signer.h"

#define ARENA_MAX (4u << 20)
/* A slice in the initialiser of something static. */
#define LIT(s)                                                                 \
	{                                                                      \
		(const uint8_t *)(s), sizeof(s) - 1                            \
	}

/* Fixture: one message of each type. */

static uint8_t salt[LIMIT_SALT_BYTES] = { 1, 2, 3 };
static struct digest hashes[LIMIT_COVER_HASHES];
static struct message_head heads[] = {
	{ LIT("dtu.dk/symbolon/1"), 7, LIT("note\n") },
	{ LIT("hku.hk/symbolon/1"), 0, { NULL, 0 } },
};
static struct message_doc_head docs[] = {
	{ { NULL, 0 }, 3, { { 9 } } },
	{ LIT("dtu.dk"), 1, { { 8 } } },
};
static uint64_t seqs[] = { 0, 5, 300 };
static struct message_body bodies[] = {
	{ 5, { salt, sizeof(salt) }, LIT("sealed") },
	{ 6, { salt, sizeof(salt) }, LIT("too") },
};

static struct buf some_entries(uint32_t count)
{
	struct record r = { SLICE_LIT("leaf"),
			    { salt, sizeof(salt) },
			    SLICE_LIT("body") };
	struct buf b;

	buf_init(&b, LIMIT_CHUNK_BYTES);
	for (uint32_t i = 0; i < count; i++) {
		r.body = i % 2 == 0 ? slice_str("body") : slice_of(NULL, 0);
		message_put_entry(&r, &b);
	}
	return b;
}

static struct message a_hello(void)
{
	return (struct message){
		.type = MSG_HELLO,
		.hello = { .version_min = 1,
			   .version_max = 2,
			   .role = ROLE_PEER,
			   .alliance = { { 1 } },
			   .member = SLICE_LIT("dtu.dk"),
			   .incarnation = { 4 },
			   .roster_version = 3,
			   .roster_hash = { { 5 } },
			   .max_frame = LIMIT_FRAME_BYTES },
	};
}

static struct message a_chunk(const struct buf *entries, uint32_t count)
{
	return (struct message){
		.type = MSG_CHUNK,
		.chunk = { SLICE_LIT("dtu.dk/symbolon/1"), 9, 70,
			   SLICE_LIT("note\n"), 2, hashes, count,
			   buf_slice(entries) },
	};
}

#define SAMPLES 17u

static void make_samples(struct message out[SAMPLES], const struct buf *entries)
{
	struct slice origin = SLICE_LIT("dtu.dk/symbolon/1");
	uint32_t n = 0;

	out[n++] = a_hello();
	out[n++] =
		(struct message){ .type = MSG_HEADS,
				  .heads = { HEADS_LAST, 2, heads, 2, docs } };
	out[n++] = (struct message){ .type = MSG_WANT,
				     .want = { origin, 9, 70, 1000 } };
	out[n++] = a_chunk(entries, 3);
	out[n++] = (struct message){ .type = MSG_WANT_BODIES,
				     .want_bodies = { origin, 3, seqs } };
	out[n++] = (struct message){ .type = MSG_BODIES,
				     .bodies = { origin, 2, bodies, 3, seqs } };
	out[n++] = (struct message){ .type = MSG_ACK,
				     .ack = { origin, 70, SLICE_LIT("line") } };
	out[n++] = (struct message){
		.type = MSG_FORK,
		.fork = { origin, SLICE_LIT("a\n"), SLICE_LIT("b\n"), 1, 3,
			  hashes, hashes },
	};
	out[n++] = (struct message){ .type = MSG_DOC,
				     .doc = { DOC_CARD, SLICE_LIT("dtu.dk"), 2,
					      SLICE_LIT("card\n") } };
	out[n++] = (struct message){
		.type = MSG_DOC,
		.doc = { DOC_ROSTER, { NULL, 0 }, 2, SLICE_LIT("roster\n") }
	};
	out[n++] = (struct message){ .type = MSG_WANT_DOC,
				     .want_doc = { DOC_CARD,
						   SLICE_LIT("dtu.dk"), 0 } };
	out[n++] = (struct message){ .type = MSG_PING, .ping = { 12 } };
	out[n++] = (struct message){ .type = MSG_PONG, .ping = { 1u << 31 } };
	out[n++] = (struct message){ .type = MSG_ERR,
				     .err = { ERR_BUSY, MSG_ASK, 4,
					      SLICE_LIT("later") } };
	out[n++] = (struct message){ .type = MSG_BYE,
				     .bye = { ERR_ALLIANCE, SLICE_LIT("no") } };
	out[n++] = (struct message){ .type = MSG_ASK,
				     .ask = { 4, SLICE_LIT("what?") } };
	out[n++] =
		(struct message){ .type = MSG_ANSWER,
				  .answer = { 4, ERR_OK, SLICE_LIT("that") } };
	assert_int_equal(n, SAMPLES);
}

/* Helpers. */

static struct buf framed(const struct message *m)
{
	struct buf b;

	buf_init(&b, LIMIT_FRAME_BYTES + MESSAGE_PREFIX_BYTES);
	message_put(m, &b);
	assert_int_equal(b.err, ERR_OK);
	return b;
}

static struct slice inner(const struct buf *b)
{
	return slice_sub(buf_slice(b), MESSAGE_PREFIX_BYTES,
			 b->n - MESSAGE_PREFIX_BYTES);
}

/* Decode an exact copy, so that the sanitizer sees a read behind it. */
static enum err decode(struct slice s)
{
	uint8_t *copy = a_copy(s);
	struct message m;
	struct arena a;
	enum err err;

	arena_init(&a, ARENA_MAX);
	err = message_decode(slice_of(copy, s.n), &a, &m, NULL);
	arena_free(&a);
	free(copy);
	return err;
}

/* The bytes of "[...]" as @put writes them. */
typedef void put_cb(struct enc *e);
static enum err decode_put(put_cb *put)
{
	struct buf b;
	struct enc e;
	enum err err;

	buf_init(&b, LIMIT_FRAME_BYTES * 2);
	enc_init(&e, &b);
	put(&e);
	assert_int_equal(b.err, ERR_OK);
	err = decode(buf_slice(&b));
	buf_free(&b);
	return err;
}

/* Frames. */

static void a_frame_is_split_off_once_it_is_whole(void **state)
{
	uint8_t bytes[] = { 0, 0, 0, 2, 0x91, 0x0b, 0, 0, 0, 1, 0x90 };
	struct slice in = slice_of(bytes, sizeof(bytes)), frame;

	(void)state;
	for (size_t n = 0; n < 6; n++) {
		struct slice part = slice_of(bytes, n);

		assert_int_equal(frame_split(&part, 100, &frame),
				 ERR_TRUNCATED);
		assert_int_equal(part.n, n);
	}
	assert_int_equal(frame_split(&in, 100, &frame), ERR_OK);
	assert_true(slice_equal(frame, slice_of(bytes + 4, 2)));
	assert_int_equal(frame_split(&in, 100, &frame), ERR_OK);
	assert_int_equal(frame.n, 1);
	assert_int_equal(in.n, 0);
}

static void a_frame_of_length_0_or_above_the_maximum_is_refused(void **state)
{
	uint8_t none[] = { 0, 0, 0, 0 }, big[] = { 0xff, 0xff, 0xff, 0xff };
	uint8_t over[] = { 0, 0, 0x10, 0x01 };
	struct slice in = slice_of(none, 4), frame;

	(void)state;
	assert_int_equal(frame_split(&in, 4096, &frame), ERR_MALFORMED);
	in = slice_of(big, 4);
	assert_int_equal(frame_split(&in, LIMIT_FRAME_BYTES, &frame),
			 ERR_LIMIT);
	in = slice_of(over, 4);
	assert_int_equal(frame_split(&in, 4096, &frame), ERR_LIMIT);
	assert_int_equal(frame_split(&in, 4097, &frame), ERR_TRUNCATED);
}

/* All types. */

static void every_message_decodes_to_what_was_encoded(void **state)
{
	struct buf entries = some_entries(3);
	struct message in[SAMPLES], out;

	(void)state;
	make_samples(in, &entries);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct buf first = framed(&in[i]), second;
		struct arena a;

		arena_init(&a, ARENA_MAX);
		assert_int_equal(message_decode(inner(&first), &a, &out, NULL),
				 ERR_OK);
		assert_int_equal(out.type, in[i].type);
		second = framed(&out);
		assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
		buf_free(&first);
		buf_free(&second);
		arena_free(&a);
	}
	buf_free(&entries);
}

static void every_prefix_and_every_longer_frame_is_refused(void **state)
{
	struct buf entries = some_entries(3);
	struct message in[SAMPLES];

	(void)state;
	make_samples(in, &entries);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct buf b = framed(&in[i]);

		for (size_t n = 0; n < inner(&b).n; n++)
			assert_int_equal(decode(slice_sub(inner(&b), 0, n)),
					 ERR_TRUNCATED);
		buf_put_u8(&b, 0);
		assert_int_equal(decode(inner(&b)), ERR_MALFORMED);
		buf_free(&b);
	}
	buf_free(&entries);
}

static void another_number_of_values_is_refused(void **state)
{
	struct buf entries = some_entries(3);
	struct message in[SAMPLES];

	(void)state;
	make_samples(in, &entries);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct buf b = framed(&in[i]);

		/* One value more, and the count to match. */
		b.p[MESSAGE_PREFIX_BYTES]++;
		buf_put_u8(&b, 1);
		assert_int_equal(decode(inner(&b)), ERR_MALFORMED);
		buf_free(&b);
	}
	buf_free(&entries);
}

static void flipped_bits_never_harm(void **state)
{
	struct buf entries = some_entries(3);
	struct message in[SAMPLES];

	(void)state;
	make_samples(in, &entries);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		struct buf b = framed(&in[i]);

		for (size_t bit = 8 * MESSAGE_PREFIX_BYTES; bit < 8 * b.n;
		     bit++) {
			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			(void)decode(inner(&b));
			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		buf_free(&b);
	}
	buf_free(&entries);
}

static void golden_frames_keep_their_bytes(void **state)
{
	const struct {
		struct message m;
		const char *hex;
	} cases[] = {
		{ { .type = MSG_PING, .ping = { 300 } }, "00000005920bcd012c" },
		{ { .type = MSG_ASK, .ask = { 1, SLICE_LIT("?") } },
		  "0000000693140"
		  "1c4013f" },
		{ { .type = MSG_BYE, .bye = { ERR_ALLIANCE, SLICE_LIT("no") } },
		  "00000006930e15a26e6f" },
		{ { .type = MSG_WANT,
		    .want = { SLICE_LIT("a.eu/symbolon/1"), 2, 3, 65536 } },
		  "0000001995"
		  "03af612e65752f73796d626f6c6f6e2f31"
		  "0203ce00010000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = framed(&cases[i].m), hex;

		buf_init(&hex, 4096);
		text_put_hex(&hex, buf_slice(&b));
		buf_put_u8(&hex, 0);
		assert_string_equal((char *)hex.p, cases[i].hex);
		buf_free(&b);
		buf_free(&hex);
	}
}

static void unknown_and_reserved_types_are_unsupported(void **state)
{
	static const uint8_t types[] = { 0, 15, 19, 22, 23, 24, 25, 127 };
	uint8_t frame[3] = { 0x92, 0, 0xc3 };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		frame[1] = types[i];
		assert_int_equal(decode(slice_of(frame, 3)), ERR_UNSUPPORTED);
	}
	/* Malformed all the same when it is not canonical msgpack. */
	frame[2] = 0xc0;
	assert_int_equal(decode(slice_of(frame, 3)), ERR_MALFORMED);
}

static void what_is_not_an_array_with_a_number_first_is_refused(void **state)
{
	static const struct {
		uint8_t bytes[3];
		size_t n;
	} cases[] = {
		{ { 0x90 }, 1 }, /* [] */
		{ { 0x0b }, 1 }, /* 11 */
		{ { 0x80 }, 1 }, /* {} */
		{ { 0x91, 0xa1, 0x61 }, 3 }, /* ["a"] */
		{ { 0x91, 0xff }, 2 }, /* [-1] */
		{ { 0x91, 0xcc, 0x0b }, 3 }, /* 11 in a longer form */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(decode(slice_of(cases[i].bytes, cases[i].n)),
				 ERR_MALFORMED);
}

/* Limits. */

static char many[LIMIT_NOTE_BYTES + 2];

static struct slice chars(size_t n)
{
	memset(many, 'x', sizeof(many));
	return slice_of(many, n);
}

static enum err decode_message(struct message m)
{
	struct buf b;
	enum err err;

	buf_init(&b, LIMIT_FRAME_BYTES + MESSAGE_PREFIX_BYTES);
	message_put(&m, &b);
	assert_int_equal(b.err, ERR_OK);
	err = decode(inner(&b));
	buf_free(&b);
	return err;
}

static void strings_are_taken_up_to_their_limit(void **state)
{
	static const size_t limits[] = { LIMIT_DOMAIN_BYTES, LIMIT_ORIGIN_BYTES,
					 LIMIT_NOTE_BYTES, LIMIT_REASON_BYTES };
	struct slice origin = SLICE_LIT("dtu.dk/symbolon/1");

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		enum err want = over == 0 ? ERR_OK : ERR_LIMIT;
		struct message m = a_hello();

		m.hello.member = chars(limits[0] + over);
		assert_int_equal(decode_message(m), want);
		m = (struct message){ .type = MSG_WANT,
				      .want = { chars(limits[1] + over), 1, 0,
						0 } };
		assert_int_equal(decode_message(m), want);
		m = (struct message){ .type = MSG_ACK,
				      .ack = { origin, 1,
					       chars(limits[2] + over) } };
		assert_int_equal(decode_message(m), want);
		m = (struct message){ .type = MSG_BYE,
				      .bye = { ERR_OK,
					       chars(limits[3] + over) } };
		assert_int_equal(decode_message(m), want);
	}
}

static void numbers_are_taken_up_to_their_limit(void **state)
{
	struct slice origin = SLICE_LIT("dtu.dk/symbolon/1");
	uint64_t end = (uint64_t)1 << LIMIT_SIZE_LOG2;
	struct message m = { .type = MSG_PING, .ping = { end - 1 } };

	(void)state;
	assert_int_equal(decode_message(m), ERR_OK);
	m.ping.size = end;
	assert_int_equal(decode_message(m), ERR_LIMIT);
	m = (struct message){ .type = MSG_WANT,
			      .want = { origin, 1, end - 1,
					LIMIT_CREDIT_LINK_BYTES } };
	assert_int_equal(decode_message(m), ERR_OK);
	m.want.credit++;
	assert_int_equal(decode_message(m), ERR_LIMIT);
	m.want.credit = 0;
	m.want.job = 0;
	assert_int_equal(decode_message(m), ERR_MALFORMED);
}

static void put_too_many_heads(struct enc *e)
{
	enc_array(e, 4);
	enc_uint(e, MSG_HEADS);
	enc_uint(e, 0);
	enc_array(e, LIMIT_LOGS + 1);
	for (uint32_t i = 0; i < LIMIT_LOGS + 1; i++) {
		enc_array(e, 3);
		enc_cstr(e, "a.eu/symbolon/1");
		enc_uint(e, 0);
		enc_cstr(e, "");
	}
	enc_array(e, 0);
}

static void put_too_many_docs(struct enc *e)
{
	enc_array(e, 4);
	enc_uint(e, MSG_HEADS);
	enc_uint(e, 0);
	enc_array(e, 0);
	enc_array(e, LIMIT_MEMBERS + 2);
	for (uint32_t i = 0; i < LIMIT_MEMBERS + 2; i++) {
		enc_array(e, 3);
		enc_cstr(e, "a.eu");
		enc_uint(e, 1);
		enc_bin(e, digest_slice(&hashes[0]));
	}
}

static void put_too_many_seqs(struct enc *e)
{
	enc_array(e, 3);
	enc_uint(e, MSG_WANT_BODIES);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_array(e, LIMIT_BODIES + 1);
	for (uint32_t i = 0; i < LIMIT_BODIES + 1; i++)
		enc_uint(e, i);
}

static void put_huge_list(struct enc *e)
{
	static const uint8_t declared[] = { 0xdd, 0xff, 0xff, 0xff, 0xff };

	enc_array(e, 3);
	enc_uint(e, MSG_WANT_BODIES);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_raw(e, slice_of(declared, sizeof(declared)));
}

static void put_too_many_hashes(struct enc *e)
{
	static uint8_t bytes[(LIMIT_COVER_HASHES + 1) * DIGEST_BYTES];

	enc_array(e, 6);
	enc_uint(e, MSG_FORK);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_cstr(e, "a");
	enc_cstr(e, "b");
	enc_bin(e, slice_of(bytes, sizeof(bytes)));
	enc_bin(e, slice_of(bytes, 0));
}

static void put_question_too_long(struct enc *e)
{
	static uint8_t bytes[LIMIT_QUESTION_BYTES + 1];

	enc_array(e, 3);
	enc_uint(e, MSG_ASK);
	enc_uint(e, 1);
	enc_bin(e, slice_of(bytes, sizeof(bytes)));
}

static void put_answer_too_long(struct enc *e)
{
	static uint8_t bytes[LIMIT_ANSWER_BYTES + 1];

	enc_array(e, 4);
	enc_uint(e, MSG_ANSWER);
	enc_uint(e, 1);
	enc_uint(e, 0);
	enc_bin(e, slice_of(bytes, sizeof(bytes)));
}

static void put_chunk_too_long(struct enc *e)
{
	static uint8_t bytes[LIMIT_CHUNK_BYTES + 1];

	enc_array(e, 8);
	enc_uint(e, MSG_CHUNK);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_uint(e, 1);
	enc_uint(e, 0);
	enc_cstr(e, "note");
	enc_bin(e, slice_of(bytes, 0));
	enc_uint(e, 1);
	enc_bin(e, slice_of(bytes, sizeof(bytes)));
}

static void lists_and_binaries_beyond_their_limit_are_refused(void **state)
{
	static put_cb *const cases[] = {
		put_too_many_heads,  put_too_many_docs,	    put_too_many_seqs,
		put_too_many_hashes, put_question_too_long, put_answer_too_long,
		put_chunk_too_long,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(decode_put(cases[i]), ERR_LIMIT);
	/* More declared than could be there: nothing is reserved for it. */
	assert_int_not_equal(decode_put(put_huge_list), ERR_OK);
}

static void put_part_of_a_hash(struct enc *e)
{
	enc_array(e, 6);
	enc_uint(e, MSG_FORK);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_cstr(e, "a");
	enc_cstr(e, "b");
	enc_bin(e, SLICE_LIT("short"));
	enc_bin(e, slice_of(NULL, 0));
}

static void put_seqs_in_disorder(struct enc *e)
{
	enc_array(e, 3);
	enc_uint(e, MSG_WANT_BODIES);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_array(e, 2);
	enc_uint(e, 4);
	enc_uint(e, 4);
}

static void put_nothing_wanted(struct enc *e)
{
	enc_array(e, 3);
	enc_uint(e, MSG_WANT_BODIES);
	enc_cstr(e, "a.eu/symbolon/1");
	enc_array(e, 0);
}

static void put_roster_with_a_member(struct enc *e)
{
	enc_array(e, 4);
	enc_uint(e, MSG_WANT_DOC);
	enc_uint(e, DOC_ROSTER);
	enc_cstr(e, "a.eu");
	enc_uint(e, 1);
}

static void put_card_without_a_member(struct enc *e)
{
	enc_array(e, 4);
	enc_uint(e, MSG_WANT_DOC);
	enc_uint(e, DOC_CARD);
	enc_cstr(e, "");
	enc_uint(e, 1);
}

static void put_bye_with_control_characters(struct enc *e)
{
	enc_array(e, 3);
	enc_uint(e, MSG_BYE);
	enc_uint(e, 0);
	enc_cstr(e, "\x1b[2J");
}

static void put_unknown_part(struct enc *e)
{
	enc_array(e, 4);
	enc_uint(e, MSG_HEADS);
	enc_uint(e, 3);
	enc_array(e, 0);
	enc_array(e, 0);
}

static void put_text_as_binary(struct enc *e)
{
	enc_array(e, 5);
	enc_uint(e, MSG_WANT);
	enc_bin(e, SLICE_LIT("a.eu/symbolon/1"));
	enc_uint(e, 1);
	enc_uint(e, 0);
	enc_uint(e, 0);
}

static void wrong_forms_are_malformed(void **state)
{
	static put_cb *const cases[] = {
		put_part_of_a_hash,	   put_seqs_in_disorder,
		put_nothing_wanted,	   put_roster_with_a_member,
		put_card_without_a_member, put_bye_with_control_characters,
		put_unknown_part,	   put_text_as_binary,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(decode_put(cases[i]), ERR_MALFORMED);
}

static void a_code_of_the_future_is_unsupported_and_not_ok(void **state)
{
	/* [14, 200, ""] */
	uint8_t frame[] = { 0x93, 0x0e, 0xcc, 200, 0xa0 };
	struct message m;
	struct arena a;

	(void)state;
	arena_init(&a, ARENA_MAX);
	assert_int_equal(
		message_decode(slice_of(frame, sizeof(frame)), &a, &m, NULL),
		ERR_OK);
	assert_int_equal(m.bye.code, ERR_UNSUPPORTED);
	arena_free(&a);
}

static void why_names_the_clause(void **state)
{
	struct message m = { .type = MSG_BYE };
	const char *why = NULL;
	struct arena a;
	struct buf b;

	(void)state;
	m.bye.text = chars(LIMIT_REASON_BYTES + 1);
	b = framed(&m);
	arena_init(&a, ARENA_MAX);
	assert_int_equal(message_decode(inner(&b), &a, &m, &why), ERR_LIMIT);
	assert_string_equal(why, "9.12: text too long");
	arena_free(&a);
	buf_free(&b);
}

static void lists_that_the_arena_cannot_hold_are_refused(void **state)
{
	struct message m = { .type = MSG_WANT_BODIES,
			     .want_bodies = { SLICE_LIT("a.eu/symbolon/1"), 3,
					      seqs } };
	struct buf b = framed(&m);
	struct arena a;

	(void)state;
	arena_init(&a, 8);
	assert_int_equal(message_decode(inner(&b), &a, &m, NULL), ERR_LIMIT);
	arena_free(&a);
	buf_free(&b);
}

static void half_a_frame_never_leaves(void **state)
{
	struct message m = a_hello();
	struct buf b;

	(void)state;
	buf_init(&b, 60);
	message_put(&m, &b);
	assert_int_equal(b.err, ERR_LIMIT);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

/* Chunks. */

static void records_come_back_from_a_chunk(void **state)
{
	struct buf entries = some_entries(3), b;
	struct message m = a_chunk(&entries, 3), out;
	struct record *records;
	struct arena a;

	(void)state;
	b = framed(&m);
	arena_init(&a, ARENA_MAX);
	assert_int_equal(message_decode(inner(&b), &a, &out, NULL), ERR_OK);
	assert_int_equal(message_records(&out.chunk, &a, &records), ERR_OK);
	assert_true(slice_is(records[0].leaf, "leaf"));
	assert_true(slice_is(records[0].body, "body"));
	assert_int_equal(records[0].salt.n, LIMIT_SALT_BYTES);
	assert_int_equal(records[1].body.n, 0);
	assert_int_equal(records[1].salt.n, 0);
	assert_true(slice_is(records[2].body, "body"));
	assert_int_equal(out.chunk.right_count, 2);
	arena_free(&a);
	buf_free(&b);
	buf_free(&entries);
}

static void the_largest_record_fits_in_an_entry(void **state)
{
	static uint8_t leaf[LIMIT_LEAF_BYTES],
		body[LIMIT_BODY_BYTES + SEAL_TAG_BYTES];
	struct record r = { { leaf, sizeof(leaf) },
			    { salt, sizeof(salt) },
			    { body, sizeof(body) } };
	struct record out;
	struct slice rest;
	struct buf b;

	(void)state;
	assert_true(message_entry_bytes(&r) <= LIMIT_ENTRY_BYTES);
	buf_init(&b, LIMIT_CHUNK_BYTES);
	message_put_entry(&r, &b);
	assert_int_equal(b.n, message_entry_bytes(&r));
	rest = buf_slice(&b);
	assert_int_equal(message_next_entry(&rest, &out), ERR_OK);
	assert_true(slice_equal(out.body, r.body));
	assert_int_equal(message_next_entry(&rest, &out), ERR_NOT_FOUND);
	/* One byte of body more. */
	put_u32be(b.p + 1 + sizeof(leaf), sizeof(body) + 1);
	rest = buf_slice(&b);
	assert_int_equal(message_next_entry(&rest, &out), ERR_LIMIT);
	buf_free(&b);
}

static void bad_entries_are_refused(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t n;
		enum err err;
	} cases[] = {
		{ { 0 }, 1, ERR_MALFORMED },
		{ { LIMIT_LEAF_BYTES + 1, 1 }, 2, ERR_LIMIT },
		{ { 1 }, 1, ERR_TRUNCATED },
		{ { 1, 'l', 0, 0, 0 }, 5, ERR_TRUNCATED },
		{ { 1, 'l', 0, 0, 0, 0 }, 6, ERR_OK },
		{ { 1, 'l', 0, 0, 0, 1, 9 }, 7, ERR_TRUNCATED },
		{ { 1, 'l', 0xff, 0xff, 0xff, 0xff }, 6, ERR_LIMIT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t *copy = a_copy(slice_of(cases[i].bytes, cases[i].n));
		struct slice rest = slice_of(copy, cases[i].n);
		struct record r;

		assert_int_equal(message_next_entry(&rest, &r), cases[i].err);
		free(copy);
	}
}

static void a_chunk_with_a_wrong_count_is_refused(void **state)
{
	struct buf entries = some_entries(3);

	(void)state;
	assert_int_equal(decode_message(a_chunk(&entries, 3)), ERR_OK);
	assert_int_equal(decode_message(a_chunk(&entries, 2)), ERR_MALFORMED);
	assert_int_equal(decode_message(a_chunk(&entries, 4)), ERR_MALFORMED);
	buf_free(&entries);
}

static void a_chunk_beyond_the_largest_log_is_refused(void **state)
{
	struct buf entries = some_entries(1);
	struct message m = a_chunk(&entries, 1);
	uint64_t end = (uint64_t)1 << LIMIT_SIZE_LOG2;

	(void)state;
	m.chunk.from = end - 2;
	assert_int_equal(decode_message(m), ERR_OK);
	m.chunk.from = end - 1;
	assert_int_equal(decode_message(m), ERR_LIMIT);
	buf_free(&entries);
}

static void every_type_has_a_name(void **state)
{
	(void)state;
	for (int t = MSG_HELLO; t <= MSG_BYE; t++)
		assert_string_not_equal(message_name((enum message_type)t),
					"unknown");
	for (int t = MSG_ASK; t <= MSG_CHANGES; t++)
		assert_string_not_equal(message_name((enum message_type)t),
					"unknown");
	assert_string_equal(message_name((enum message_type)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_split_off_once_it_is_whole),
		cmocka_unit_test(
			a_frame_of_length_0_or_above_the_maximum_is_refused),
		cmocka_unit_test(every_message_decodes_to_what_was_encoded),
		cmocka_unit_test(
			every_prefix_and_every_longer_frame_is_refused),
		cmocka_unit_test(another_number_of_values_is_refused),
		cmocka_unit_test(flipped_bits_never_harm),
		cmocka_unit_test(golden_frames_keep_their_bytes),
		cmocka_unit_test(unknown_and_reserved_types_are_unsupported),
		cmocka_unit_test(
			what_is_not_an_array_with_a_number_first_is_refused),
		cmocka_unit_test(strings_are_taken_up_to_their_limit),
		cmocka_unit_test(numbers_are_taken_up_to_their_limit),
		cmocka_unit_test(
			lists_and_binaries_beyond_their_limit_are_refused),
		cmocka_unit_test(wrong_forms_are_malformed),
		cmocka_unit_test(
			a_code_of_the_future_is_unsupported_and_not_ok),
		cmocka_unit_test(why_names_the_clause),
		cmocka_unit_test(lists_that_the_arena_cannot_hold_are_refused),
		cmocka_unit_test(half_a_frame_never_leaves),
		cmocka_unit_test(records_come_back_from_a_chunk),
		cmocka_unit_test(the_largest_record_fits_in_an_entry),
		cmocka_unit_test(bad_entries_are_refused),
		cmocka_unit_test(a_chunk_with_a_wrong_count_is_refused),
		cmocka_unit_test(a_chunk_beyond_the_largest_log_is_refused),
		cmocka_unit_test(every_type_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
