/* Strangers and bad frames against a running node: what each side learns. */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/nest.h"
#include "node/disk.h"
#include "node/link.h"
#include "node/log.h"
#include "node/node.h"
#include "proto/session.h"
#include "proto/value.h"
#include "tests/lib/identity.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define WAIT_MS 15000

/* ---- fixture: a node of a.example; b.example has keys and no node --------- */

struct fixture {
	char *root;
	struct nest a, b;
	struct node *node;
	struct sockaddr_storage where;
	struct arena arena;
	struct members *members; /* of b's home, as it was */
};

static void set_up(struct fixture *f)
{
	struct nest *both[2] = { &f->a, &f->b };
	struct sockaddr_in *in = (struct sockaddr_in *)&f->where;
	struct node_options o = { .signing_wait_ms = 100 };
	char *yaml;
	FILE *file;
	struct buf why;
	const char *colon;

	memset(f, 0, sizeof(*f));
	f->root = tmp_make();
	arena_init(&f->arena, 64u << 20);
	nest_make(&f->a, f->root, "a.example");
	nest_make(&f->b, f->root, "b.example");
	nest_open(&f->a);
	nest_open(&f->b);
	nest_ally(both, 2);
	nest_close(&f->a);
	yaml = path_join(f->a.dir, "symbolon.yaml");
	file = fopen(yaml, "w");
	assert_non_null(file);
	fputs("member: a.example\nname: Test\ncountry: DK\n"
	      "listen: 127.0.0.1:0\nendpoint: 127.0.0.1:7410\n"
	      "log_level: error\nstore:\n  map_gib: 1\n",
	      file);
	fclose(file);
	free(yaml);
	o.dir = f->a.dir;
	buf_init(&why, 4096);
	if (node_start(&o, &f->node, &why) != ERR_OK)
		fail_msg("%.*s", (int)why.n, (const char *)why.p);
	buf_free(&why);
	colon = strrchr(node_address(f->node), ':');
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void tear_down(struct fixture *f)
{
	node_stop(f->node);
	nest_free(&f->a);
	nest_free(&f->b);
	arena_free(&f->arena);
	tmp_remove(f->root);
}

/* ---- helpers ------------------------------------------------------------------ */

static struct value status(struct fixture *f)
{
	struct value v;
	struct slice copy;
	struct buf out;

	arena_reset(&f->arena);
	buf_init(&out, NODE_DOC_BYTES_MAX);
	ok(node_status(f->node, &out));
	ok(arena_copy(&f->arena, buf_slice(&out), &copy));
	ok(value_decode(copy, &f->arena, &v));
	buf_free(&out);
	return v;
}

/* The newest refusal of strangers that `status` shows has this code. */
static void assert_refused(struct fixture *f, const char *code,
			   const char *reason)
{
	struct value v;
	const struct value *list;

	for (int i = 0; i < 500; i++) {
		struct timespec ts = { .tv_nsec = 10000000 };

		v = status(f);
		list = value_get(&v, "refused");
		for (uint32_t k = 0; k < list->count; k++)
			if (slice_is(value_get_str(&list->items[k], "code"),
				     code) &&
			    slice_is(value_get_str(&list->items[k], "reason"),
				     reason))
				return;
		nanosleep(&ts, NULL);
	}
	fail_msg("no refusal %s: %s", code, reason);
}

/* One link of ours to the node, in a loop of its own. */
struct visit {
	struct fixture *f;
	struct loop *loop;
	struct loop_timer *timer;
	struct tls_config *tls;
	struct link *link;
	struct slice say; /* sent once TLS is up */
	bool open, live, closed, late;
	bool stay; /* do not end when live */
	bool chunks, sent_chunks; /* serve its log, badly in the end */
	struct message_hello hello;
	enum err bye; /* code of the BYE that came */
	struct link_end end;
	struct arena arena;
};

#define GOOD 40u /* chunks before the bad one */

static void put_chunk(struct visit *v, const struct message_want *w, uint64_t i,
		      struct buf *out)
{
	struct message m = { .type = MSG_CHUNK };
	struct nest_chunk c;
	struct buf entries;
	struct arena a;

	arena_init(&a, 1u << 20);
	nest_read(&v->f->b, w->origin, i, 1, true, &a, &c);
	buf_init(&entries, LIMIT_CHUNK_BYTES);
	message_put_entry(&c.chunk.records[0], &entries);
	if (i == GOOD)
		entries.p[20] ^= 1; /* in the leaf */
	m.chunk.origin = w->origin;
	m.chunk.job = w->job;
	m.chunk.from = i;
	m.chunk.note = c.chunk.note;
	m.chunk.right = c.chunk.right;
	m.chunk.right_count = c.chunk.right_count;
	m.chunk.count = 1;
	m.chunk.entries = buf_slice(&entries);
	message_put(&m, out);
	buf_free(&entries);
	arena_free(&a);
}

static void serve_bad(struct visit *v, const struct message_want *w)
{
	struct buf out;

	if (!slice_is(w->origin, "b.example/symbolon/1"))
		return;
	v->sent_chunks = true;
	buf_init(&out, 16u << 20);
	for (uint64_t i = 0; i <= GOOD; i++)
		put_chunk(v, w, i, &out);
	link_send(v->link, buf_slice(&out));
	buf_free(&out);
}

static void on_open(struct link *l, const struct digest *spki)
{
	struct visit *v = link_arg(l);

	(void)spki;
	v->open = true;
	if (v->say.n > 0)
		link_send(l, v->say);
}

static void on_frame(struct link *l, struct slice frame)
{
	struct visit *v = link_arg(l);
	struct message m;

	(void)l;
	arena_reset(&v->arena);
	ok(message_decode(frame, &v->arena, &m, NULL));
	if (m.type == MSG_HELLO)
		v->live = true;
	if (m.type == MSG_BYE)
		v->bye = m.bye.code;
	if (m.type == MSG_WANT && v->chunks && !v->sent_chunks)
		serve_bad(v, &m.want);
}

static void on_room(struct link *l)
{
	(void)l;
}

static void on_closed(struct link *l, const struct link_end *end)
{
	struct visit *v = link_arg(l);

	v->closed = true;
	v->end = *end;
	loop_timer_close(v->timer);
	loop_stop(v->loop);
}

static const struct link_events events = { on_open, on_frame, on_room,
					   on_closed };

static void on_late(void *arg)
{
	struct visit *v = arg;

	v->late = true;
	link_abort(v->link, ERR_TIMEOUT, "test");
}

static void visit_as(struct fixture *f, struct visit *v, const char *cert,
		     const char *key, struct slice say)
{
	struct link_options o = { .events = &events };
	bool chunks = v->chunks;
	struct buf why;

	memset(v, 0, sizeof(*v));
	v->chunks = chunks;
	buf_init(&why, 1000);
	v->f = f;
	v->say = say;
	arena_init(&v->arena, 1u << 20);
	ok(tls_config_open(cert, key, &v->tls, &why));
	v->loop = loop_open();
	v->timer = loop_timer_open(v->loop, on_late, v);
	loop_timer_set(v->timer, WAIT_MS);
	o.loop = v->loop;
	o.tls = v->tls;
	o.arg = v;
	v->link = link_dial(&o, &f->where);
	loop_run(v->loop);
	loop_close(v->loop);
	tls_config_release(v->tls);
	arena_free(&v->arena);
	buf_free(&why);
}

static void visit_as_b(struct fixture *f, struct visit *v, struct slice say)
{
	const struct keys *k = &f->b.home.keys;

	visit_as(f, v, k->tls_cert_pem, k->tls_key_pem, say);
}

/* ---- strangers --------------------------------------------------------------- */

static void a_key_in_no_card_is_refused_by_bye_and_listed(void **state)
{
	struct identity id;
	struct fixture f;
	struct visit v = { 0 };
	struct buf hex;

	(void)state;
	set_up(&f);
	identity_make(&id, "ED25519", "stranger.example");
	visit_as(&f, &v, id.cert_pem, id.key_pem, slice_of(NULL, 0));
	assert_true(v.open);
	assert_int_equal(v.bye, ERR_PIN);
	assert_false(v.late);
	assert_refused(&f, "pin", "its key is in no member's card");
	buf_init(&hex, 100);
	identity_free(&id);
	buf_free(&hex);
	tear_down(&f);
}

struct stranger {
	int max_version;
	const char *alpn;
	const char *code, *reason;
};

/* A TLS client as others write it: blocking, without a certificate. */
static void call_with(struct fixture *f, const struct stranger *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	char c;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (s->max_version != 0)
		SSL_CTX_set_max_proto_version(ctx, s->max_version);
	if (s->alpn != NULL)
		SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)s->alpn,
					(unsigned)strlen(s->alpn));
	assert_int_equal(connect(fd, (struct sockaddr *)&f->where,
				 sizeof(struct sockaddr_in)),
			 0);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1)
		(void)SSL_read(ssl, &c, 1); /* the refusal comes only now */
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	close(fd);
	assert_refused(f, s->code, s->reason);
}

static void what_is_no_member_of_ours_is_refused_and_listed(void **state)
{
	static const struct stranger strangers[] = {
		{ 0, "\x0asymbolon/1", "pin", "it showed no certificate" },
		{ TLS1_2_VERSION, "\x0asymbolon/1", "version",
		  "it does not offer TLS 1.3" },
		{ 0, "\x08http/1.1", "version",
		  "it does not speak symbolon/1" },
	};
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		call_with(&f, &strangers[i]);
	tear_down(&f);
}

/* All of them come from one host. */
static void refusals_of_another_code_have_another_row(void **state)
{
	static const struct stranger strangers[] = {
		{ 0, "\x0asymbolon/1", "pin", "it showed no certificate" },
		{ TLS1_2_VERSION, "\x0asymbolon/1", "version",
		  "it does not offer TLS 1.3" },
	};
	struct fixture f;
	struct value v;
	const struct value *list;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < 4; i++)
		call_with(&f, &strangers[i % 2]);
	v = status(&f);
	list = value_get(&v, "refused");
	assert_int_equal(list->count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(slice_is(value_get_str(&list->items[i], "code"),
				     strangers[i].code));
		assert_true(slice_is(value_get_str(&list->items[i], "reason"),
				     strangers[i].reason));
	}
	assert_true(value_get(&list->items[0], "times")->u >= 1);
	tear_down(&f);
}

static void
more_than_64_silent_connections_do_not_shut_out_a_member(void **state)
{
	struct fixture f;
	struct visit v = { 0 };
	int fd[LIMIT_LINKS_NEW + 20];
	char c;
	size_t cut = 0;
	struct timespec ts = { .tv_nsec = 300000000 };

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&f.where,
					 sizeof(struct sockaddr_in)),
				 0);
	}
	nanosleep(&ts, NULL);
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		cut += recv(fd[i], &c, 1, MSG_DONTWAIT) == 0;
	assert_true(cut >= 20);
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		close(fd[i]);
	nanosleep(&ts, NULL);
	visit_as_b(&f, &v, slice_of("\0\0\0\0", 4));
	assert_true(v.open);
	tear_down(&f);
}

/* ---- a member that does not keep to the protocol ------------------------------- */

static void bad_frames_of_a_member_end_its_link_with_the_code(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t n;
		enum err code;
	} cases[] = {
		{ "a length of 4,097", "\x00\x00\x10\x01", 4, ERR_LIMIT },
		{ "an empty frame", "\x00\x00\x00\x00", 4, ERR_MALFORMED },
		{ "not msgpack", "\x00\x00\x00\x01\xc1", 5, ERR_MALFORMED },
		{ "a map", "\x00\x00\x00\x01\x80", 5, ERR_MALFORMED },
		{ "PING before HELLO", "\x00\x00\x00\x03\x92\x0b\x00", 7,
		  ERR_BAD_STATE },
		{ "HELLO of one value", "\x00\x00\x00\x02\x91\x01", 6,
		  ERR_MALFORMED },
	};
	struct fixture f;
	struct visit v = { 0 };

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("   %s\n", cases[i].what);
		visit_as_b(&f, &v, slice_of(cases[i].bytes, cases[i].n));
		assert_false(v.late);
		assert_true(v.live); /* it said HELLO first */
		assert_int_equal(v.bye, cases[i].code);
	}
	tear_down(&f);
}

static struct slice a_hello(struct fixture *f, struct buf *b,
			    const struct digest *alliance, uint64_t version_min,
			    struct slice member)
{
	struct members *m = members_hold(f->b.home.members);
	struct message msg = {
		.type = MSG_HELLO,
		.hello = { .version_min = version_min,
			   .version_max = version_min,
			   .role = ROLE_CLIENT,
			   .alliance =
				   alliance != NULL ? *alliance : m->alliance,
			   .member = member,
			   .roster_version = 1,
			   .roster_hash = m->roster->hash,
			   .max_frame = LIMIT_FRAME_BYTES },
	};

	members_release(m);
	buf_reset(b);
	message_put(&msg, b);
	return buf_slice(b);
}

static void a_hello_that_does_not_fit_is_refused_by_name(void **state)
{
	struct digest other = { .b = { 1 } };
	struct fixture f;
	struct visit v = { 0 };
	struct buf b;

	(void)state;
	set_up(&f);
	buf_init(&b, 4096);
	visit_as_b(&f, &v, a_hello(&f, &b, &other, 1, SLICE_LIT("b.example")));
	assert_int_equal(v.bye, ERR_ALLIANCE);
	visit_as_b(&f, &v, a_hello(&f, &b, NULL, 9, SLICE_LIT("b.example")));
	assert_int_equal(v.bye, ERR_VERSION);
	visit_as_b(&f, &v, a_hello(&f, &b, NULL, 1, SLICE_LIT("c.example")));
	assert_int_equal(v.bye, ERR_PIN);
	buf_free(&b);
	tear_down(&f);
}

static void a_bad_chunk_behind_good_ones_is_only_refused(void **state)
{
	struct message msg = { .type = MSG_HELLO };
	struct visit v = { .chunks = true };
	struct fixture f;
	struct members *m;
	struct buf b;

	(void)state;
	set_up(&f);
	ok(nest_append(&f.b, "rec", 100, AUDIENCE_MEMBERS));
	buf_init(&b, 4096);
	m = members_hold(f.b.home.members);
	msg.hello = (struct message_hello){ .version_min = 1,
					    .version_max = 1,
					    .role = ROLE_PEER,
					    .alliance = m->alliance,
					    .member = SLICE_LIT("b.example"),
					    .roster_version = 1,
					    .roster_hash = m->roster->hash,
					    .max_frame = LIMIT_FRAME_BYTES };
	message_put(&msg, &b);
	visit_as_b(&f, &v, buf_slice(&b));
	assert_true(v.sent_chunks);
	members_release(m);
	buf_free(&b);
	tear_down(&f);
}

static void a_member_that_says_nothing_is_let_go(void **state)
{
	struct fixture f;
	struct visit v;

	(void)state;
	set_up(&f);
	visit_as_b(&f, &v, slice_of(NULL, 0));
	assert_true(v.live);
	assert_false(v.late);
	/* Both sides wait equally long; either may be the first to cut. */
	assert_true(v.end.code == ERR_TIMEOUT || v.end.code == ERR_TRUNCATED);
	tear_down(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_in_no_card_is_refused_by_bye_and_listed),
		cmocka_unit_test(
			what_is_no_member_of_ours_is_refused_and_listed),
		cmocka_unit_test(refusals_of_another_code_have_another_row),
		cmocka_unit_test(
			more_than_64_silent_connections_do_not_shut_out_a_member),
		cmocka_unit_test(
			bad_frames_of_a_member_end_its_link_with_the_code),
		cmocka_unit_test(a_hello_that_does_not_fit_is_refused_by_name),
		cmocka_unit_test(a_bad_chunk_behind_good_ones_is_only_refused),
		cmocka_unit_test(a_member_that_says_nothing_is_let_go),
	};

	if (argc > 1) /* only those that match, with * and ? */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("node_refuse", tests, NULL, NULL);
}
