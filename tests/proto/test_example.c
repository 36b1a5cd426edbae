/* The worked example of PROTOCOL.md section 16, computed anew: every value
 * that this program makes must stand in the text, blanks aside. */

#include "proto/mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"

#define TEXT "proto/PROTOCOL.md"
#define ORIGIN "a.example/symbolon/1"
#define TIME 1700000000u

/* Helpers. */

static struct buf section; /* of the text, without blanks */

static void read_section(void)
{
	FILE *f = fopen(TEXT, "rb");
	bool inside = false;
	char line[8192];

	buf_init(&section, 1u << 20);
	assert_non_null(f); /* run from the top of the repository */
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "## ", 3) == 0)
			inside = strncmp(line, "## 16.", 6) == 0;
		for (const char *p = line; inside && *p != '\0'; p++) {
			if (*p != ' ' && *p != '\n')
				buf_put_u8(&section, (uint8_t)*p);
		}
	}
	fclose(f);
	buf_put_u8(&section, 0);
}

/* The text says @what; otherwise print what it should say. */
static void assert_says(const char *name, struct slice what)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < what.n; i++) {
		if (what.p[i] != ' ' && what.p[i] != '\n')
			buf_put_u8(&b, what.p[i]);
	}
	buf_put_u8(&b, 0);
	if (strstr((char *)section.p, (char *)b.p) == NULL) {
		print_error("%s: section 16 does not say\n", name);
		for (size_t i = 0; i < what.n; i++)
			print_error("%c%s", what.p[i],
				    i % 76 == 75 ? "\n    " : "");
		print_error("\n");
		fail();
	}
	buf_free(&b);
}

static void assert_says_hex(const char *name, struct slice bytes)
{
	struct buf hex;

	buf_init(&hex, 1u << 20);
	text_put_hex(&hex, bytes);
	assert_says(name, buf_slice(&hex));
	buf_free(&hex);
}

static void assert_says_frame(const char *name, const struct message *m)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	message_put(m, &b);
	assert_int_equal(b.err, ERR_OK);
	assert_says_hex(name, buf_slice(&b));
	buf_free(&b);
}

/* Keys with secrets of 32 equal bytes. */

struct party {
	uint8_t secret[SIG_SECRET_BYTES];
	struct note_key key;
};

static struct party a_party(uint8_t byte, const char *name, enum note_type type)
{
	uint8_t pub[SIG_PUBLIC_BYTES];
	struct party p;

	memset(p.secret, byte, sizeof(p.secret));
	sig_public(p.secret, pub);
	assert_int_equal(note_key_init(&p.key, slice_str(name), type, pub),
			 ERR_OK);
	return p;
}

static void assert_says_key(const struct party *p)
{
	struct buf b;

	buf_init(&b, 4096);
	note_key_put(&p->key, &b);
	assert_says("verifier key", buf_slice(&b));
	buf_free(&b);
}

/* The log of two records. */

struct example {
	struct party log, witness;
	uint8_t leaf[2][LIMIT_LEAF_BYTES];
	struct record record[2];
	uint8_t salt[LIMIT_SALT_BYTES];
	struct head head;
	struct buf note, line;
};

static const uint8_t body[] = { 0x81, 0xa5, 'o', 'f', 'f', 'e', 'r',
				0xa5, '0',  '2', '1', '7', '0' };

static void make_example(struct example *x)
{
	struct digest origin = hash_bytes(slice_str(ORIGIN)), hash[2];
	struct slice plain = slice_of(body, sizeof(body));
	struct leaf public = { .kind = KIND_OFFER };
	struct leaf private = { .kind = KIND_LEARNER,
				.audience = AUDIENCE_OWN };

	memset(x, 0, sizeof(*x));
	x->log = a_party(1, ORIGIN, NOTE_ED25519);
	x->witness = a_party(2, "b.example/witness", NOTE_COSIGNATURE);
	memset(x->salt, 9, sizeof(x->salt));
	public.commitment = record_commit(x->salt, &origin, plain);
	memset(private.commitment.b, 5, sizeof(private.commitment.b));
	x->record[0].leaf =
		slice_of(x->leaf[0], leaf_encode(&public, x->leaf[0]));
	x->record[0].salt = slice_of(x->salt, sizeof(x->salt));
	x->record[0].body = plain;
	x->record[1].leaf =
		slice_of(x->leaf[1], leaf_encode(&private, x->leaf[1]));
	for (int i = 0; i < 2; i++)
		hash[i] = hash_leaf(x->record[i].leaf);
	x->head.size = 2;
	x->head.root = hash_node(&hash[0], &hash[1]);
	buf_init(&x->note, LIMIT_NOTE_BYTES);
	buf_init(&x->line, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(ORIGIN), &x->head, &x->log.key, x->log.secret,
		      &x->note);
	log_cosign(slice_str(ORIGIN), &x->head, &x->witness.key,
		   x->witness.secret, TIME, &x->line);
}

static int setup(void **state)
{
	struct example *x = xcalloc(1, sizeof(*x));

	make_example(x);
	read_section();
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct example *x = *state;

	buf_free(&x->note);
	buf_free(&x->line);
	buf_free(&section);
	free(x);
	return 0;
}

/* Tests. */

static void records_and_heads_are_as_in_the_text(void **state)
{
	struct example *x = *state;
	struct digest h[2];

	assert_says_key(&x->log);
	assert_says_key(&x->witness);
	assert_says_hex("body", slice_of(body, sizeof(body)));
	for (int i = 0; i < 2; i++) {
		h[i] = hash_leaf(x->record[i].leaf);
		assert_says_hex("leaf", x->record[i].leaf);
		assert_says_hex("leaf hash", digest_slice(&h[i]));
	}
	assert_says_hex("root", digest_slice(&x->head.root));
	assert_says("checkpoint", buf_slice(&x->note));
	assert_says("cosignature", buf_slice(&x->line));
}

static struct message a_hello(const char *member)
{
	struct message m = { .type = MSG_HELLO };

	m.hello.version_min = 1;
	m.hello.version_max = 1;
	m.hello.role = ROLE_PEER;
	memset(m.hello.alliance.b, 0xaa, DIGEST_BYTES);
	m.hello.member = slice_str(member);
	memset(m.hello.incarnation, member[0], INCARNATION_BYTES);
	m.hello.roster_version = 1;
	memset(m.hello.roster_hash.b, 0xaa, DIGEST_BYTES);
	m.hello.max_frame = LIMIT_FRAME_BYTES;
	return m;
}

static void the_conversation_is_as_in_the_text(void **state)
{
	struct example *x = *state;
	struct slice origin = slice_str(ORIGIN);
	struct message_head head = { origin, 2, buf_slice(&x->note) };
	struct message hello_a = a_hello("a.example");
	struct message hello_b = a_hello("b.example");
	struct message heads = { .type = MSG_HEADS,
				 .heads = { HEADS_LAST, 1, &head, 0, NULL } };
	struct message want = { .type = MSG_WANT,
				.want = { origin, 1, 0, 4u << 20 } };
	struct message chunk = { .type = MSG_CHUNK };
	struct message ack = { .type = MSG_ACK,
			       .ack = { origin, 2, buf_slice(&x->line) } };
	struct message ping = { .type = MSG_PING, .ping = { 2 } };
	struct message bye = { .type = MSG_BYE,
			       .bye = { ERR_SHUTDOWN,
					SLICE_LIT("the node is stopping") } };
	struct buf entries;

	buf_init(&entries, LIMIT_CHUNK_BYTES);
	message_put_entry(&x->record[0], &entries);
	message_put_entry(&x->record[1], &entries);
	chunk.chunk.origin = origin;
	chunk.chunk.job = 1;
	chunk.chunk.note = buf_slice(&x->note);
	chunk.chunk.count = 2;
	chunk.chunk.entries = buf_slice(&entries);
	assert_says_frame("HELLO of A", &hello_a);
	assert_says_frame("HELLO of B", &hello_b);
	assert_says_frame("HEADS", &heads);
	assert_says_frame("WANT", &want);
	assert_says_hex("entries", buf_slice(&entries));
	assert_says_frame("CHUNK", &chunk);
	assert_says_frame("ACK", &ack);
	assert_says_frame("PING", &ping);
	assert_says_frame("BYE", &bye);
	buf_free(&entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			records_and_heads_are_as_in_the_text, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_conversation_is_as_in_the_text, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
