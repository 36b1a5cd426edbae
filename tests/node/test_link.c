#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/link.h"
#include "proto/message.h"
#include "tests/lib/identity.h"

/* ---- fixture: a listener, and both ends of one link in one loop --------- */

struct end {
	struct link *link; /* NULL once it is closed */
	struct identity id;
	struct tls_config *config;
	bool open, closed;
	struct digest peer;
	uint32_t frames;
	uint64_t bytes;
	uint32_t rooms; /* calls of on_room */
	struct buf last; /* newest frame */
	struct link_end end;
	enum { KEEP, ECHO, HOLD, CLOSE_IN_FRAME, ABORT_IN_FRAME } mode;
	struct fixture *f;
};

struct fixture {
	struct loop *loop;
	struct listener *listener;
	struct loop_timer *timer;
	struct end client, server;
	bool trust; /* link_trust as soon as it is open */
	bool (*until)(struct fixture *f);
	bool late; /* the timer fired before @until held */
	bool stopping;
};

static void check(struct fixture *f);

static void on_open(struct link *l, const struct digest *spki)
{
	struct end *e = link_arg(l);

	assert_false(e->open);
	e->open = true;
	e->peer = *spki;
	if (e->f->trust)
		link_trust(l);
	check(e->f);
}

static void on_frame(struct link *l, struct slice frame)
{
	struct end *e = link_arg(l);
	struct buf b;

	assert_true(e->open && !e->closed);
	e->frames++;
	e->bytes += frame.n;
	buf_reset(&e->last);
	buf_put(&e->last, frame);
	if (e->mode == HOLD)
		link_hold(l);
	if (e->mode == CLOSE_IN_FRAME)
		link_refuse(l, ERR_DENIED, "not you");
	if (e->mode == ABORT_IN_FRAME)
		link_abort(l, ERR_BUSY, "enough");
	if (e->mode == ECHO) {
		buf_init(&b, frame.n + 4);
		buf_put_u32be(&b, (uint32_t)frame.n);
		buf_put(&b, frame);
		link_send(l, buf_slice(&b));
		buf_free(&b);
	}
	check(e->f);
}

static void on_room(struct link *l)
{
	((struct end *)link_arg(l))->rooms++;
}

static void on_closed(struct link *l, const struct link_end *end)
{
	struct end *e = link_arg(l);

	assert_false(e->closed);
	e->closed = true;
	e->link = NULL;
	e->end = *end;
	check(e->f);
}

static const struct link_events events = { on_open, on_frame, on_room,
					   on_closed };

static void on_connection(void *arg, struct listener *from)
{
	struct fixture *f = arg;
	struct link_options o = { f->loop, f->server.config, &events,
				  &f->server };

	f->server.link = link_accept(&o, from);
}

static void stop(struct fixture *f)
{
	if (f->stopping)
		return;
	f->stopping = true;
	listener_close(f->listener);
	loop_timer_close(f->timer);
	loop_stop(f->loop);
	if (f->client.link != NULL)
		link_abort(f->client.link, ERR_SHUTDOWN, "");
	if (f->server.link != NULL)
		link_abort(f->server.link, ERR_SHUTDOWN, "");
}

static void check(struct fixture *f)
{
	if (!f->stopping && f->until != NULL && f->until(f))
		stop(f);
}

static void on_late(void *arg)
{
	struct fixture *f = arg;

	f->late = true;
	stop(f);
}

static void end_open(struct fixture *f, struct end *e, const char *name)
{
	struct buf why;

	buf_init(&why, 1000);
	e->f = f;
	identity_make(&e->id, "ED25519", name);
	assert_int_equal(tls_config_open(e->id.cert_pem, e->id.key_pem,
					 &e->config, &why),
			 ERR_OK);
	buf_init(&e->last, LIMIT_FRAME_BYTES);
	buf_free(&why);
}

static void end_close(struct end *e)
{
	tls_config_release(e->config);
	identity_free(&e->id);
	buf_free(&e->last);
}

static void fixture_open(struct fixture *f, uint64_t limit_ms)
{
	struct buf why;

	memset(f, 0, sizeof(*f));
	buf_init(&why, 1000);
	f->trust = true;
	f->loop = loop_open();
	end_open(f, &f->client, "client.example");
	end_open(f, &f->server, "server.example");
	assert_int_equal(listener_open(f->loop, SLICE_LIT("127.0.0.1:0"),
				       on_connection, f, &f->listener, &why),
			 ERR_OK);
	f->timer = loop_timer_open(f->loop, on_late, f);
	loop_timer_set(f->timer, limit_ms);
	buf_free(&why);
}

static struct sockaddr_storage listener_where(struct fixture *f)
{
	struct sockaddr_storage a;
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];

	memset(&a, 0, sizeof(a));
	assert_true(dial_split(slice_str(listener_address(f->listener)), host,
			       port));
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
	return a;
}

static void dial_to(struct fixture *f, const struct sockaddr_storage *to)
{
	struct link_options o = { f->loop, f->client.config, &events,
				  &f->client };

	f->client.link = link_dial(&o, to);
}

static void dial(struct fixture *f)
{
	struct sockaddr_storage to = listener_where(f);

	dial_to(f, &to);
}

static void run(struct fixture *f, bool (*until)(struct fixture *))
{
	f->until = until;
	loop_run(f->loop);
	assert_false(f->late);
}

/* Asserts that no handle is left. */
static void fixture_close(struct fixture *f)
{
	loop_close(f->loop);
	end_close(&f->client);
	end_close(&f->server);
}

static void send_bytes(struct end *e, size_t n)
{
	struct buf b;

	buf_init(&b, n + 4);
	buf_put_u32be(&b, (uint32_t)n);
	memset(buf_extend(&b, n), 'x', n);
	link_send(e->link, buf_slice(&b));
	buf_free(&b);
}

/* ---- conditions ----------------------------------------------------------- */

static bool both_open(struct fixture *f)
{
	return f->client.open && f->server.open;
}

static bool both_closed(struct fixture *f)
{
	return f->client.closed && f->server.closed;
}

static bool client_closed(struct fixture *f)
{
	return f->client.closed;
}

static bool server_closed(struct fixture *f)
{
	return f->server.closed;
}

/* ---- frames ----------------------------------------------------------------*/

static void each_side_learns_the_other_key(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	dial(&f);
	run(&f, both_open);
	assert_true(digest_equal(&f.client.peer, &f.server.id.spki));
	assert_true(digest_equal(&f.server.peer, &f.client.id.spki));
	fixture_close(&f);
}

#define MANY 3000u

static bool many_came_back(struct fixture *f)
{
	if (both_open(f) && f->client.link != NULL && f->client.bytes == 0 &&
	    link_out_bytes(f->client.link) == 0 && f->server.frames == 0) {
		f->server.mode = ECHO;
		for (uint32_t i = 0; i < MANY; i++)
			send_bytes(&f->client, 1 + i % 700);
	}
	return f->client.frames == MANY;
}

static void many_small_frames_come_back_in_order(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 20000);
	dial(&f);
	run(&f, many_came_back);
	assert_int_equal(f.client.last.n, 1 + (MANY - 1) % 700);
	fixture_close(&f);
}

static bool large_came_back(struct fixture *f)
{
	if (both_open(f) && link_out_bytes(f->client.link) == 0 &&
	    f->server.frames == 0 && f->client.rooms == 0) {
		f->server.mode = ECHO;
		send_bytes(&f->client, LIMIT_FRAME_BYTES);
		assert_true(link_out_bytes(f->client.link) >
			    LIMIT_OUT_HIGH_BYTES);
	}
	return f->client.frames == 1;
}

static void the_longest_frame_passes_and_tells_of_room_again(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 20000);
	dial(&f);
	run(&f, large_came_back);
	assert_int_equal(f.client.last.n, LIMIT_FRAME_BYTES);
	assert_int_equal(f.client.rooms, 1);
	fixture_close(&f);
}

/* ---- bad frames ------------------------------------------------------------- */

static const struct {
	const char *what;
	bool trusted;
	uint32_t length; /* as claimed */
	enum err code;
} bad_frames[] = {
	{ "a stranger's frame of 4097 bytes", false, 4097, ERR_LIMIT },
	{ "a member's frame of 4 MiB and a byte", true, LIMIT_FRAME_BYTES + 1,
	  ERR_LIMIT },
	{ "a length of 2^32 - 1", true, UINT32_MAX, ERR_LIMIT },
	{ "an empty frame", true, 0, ERR_MALFORMED },
};

static uint32_t claimed;

static bool bad_length_sent(struct fixture *f)
{
	uint8_t p[8] = { 0 };

	if (both_open(f) && f->client.link != NULL && !f->client.closed &&
	    f->client.rooms++ == 0) {
		put_u32be(p, claimed);
		link_send(f->client.link, slice_of(p, sizeof(p)));
	}
	return both_closed(f);
}

static void assert_bye(struct end *e, enum err code)
{
	struct message m;
	struct arena a;
	const char *why;

	arena_init(&a, 10000);
	assert_int_equal(message_decode(buf_slice(&e->last), &a, &m, &why),
			 ERR_OK);
	assert_int_equal(m.type, MSG_BYE);
	assert_int_equal(m.bye.code, code);
	arena_free(&a);
}

static void bad_lengths_are_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_frames) / sizeof(bad_frames[0]);
	     i++) {
		struct fixture f;

		print_message("   %s\n", bad_frames[i].what);
		fixture_open(&f, 5000);
		f.trust = bad_frames[i].trusted;
		claimed = bad_frames[i].length;
		dial(&f);
		run(&f, bad_length_sent);
		assert_int_equal(f.server.frames, 0);
		assert_int_equal(f.server.end.code, bad_frames[i].code);
		assert_int_equal(f.server.end.step, LINK_FRAMES);
		assert_false(f.server.end.theirs);
		/* The other side is told before the end. */
		assert_int_equal(f.client.frames, 1);
		assert_bye(&f.client, bad_frames[i].code);
		assert_int_equal(f.client.end.code, ERR_CLOSED);
		assert_true(f.client.end.theirs);
		fixture_close(&f);
	}
}

/* ---- holding ---------------------------------------------------------------- */

static bool held_and_released(struct fixture *f)
{
	if (both_open(f) && f->client.rooms == 0) {
		f->client.rooms = 1;
		f->server.mode = HOLD;
		for (int i = 0; i < 200; i++)
			send_bytes(&f->client, 1000);
	}
	return f->server.frames == 200;
}

static void release_one(void *arg)
{
	struct fixture *f = arg;

	if (f->server.link != NULL)
		link_release(f->server.link);
	loop_timer_set(f->timer, 1);
}

static void a_held_link_delivers_one_by_one_and_loses_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	loop_timer_close(f.timer);
	f.timer = loop_timer_open(f.loop, release_one, &f);
	loop_timer_set(f.timer, 1);
	dial(&f);
	run(&f, held_and_released);
	assert_int_equal(f.server.bytes, 200 * 1000);
	fixture_close(&f);
}

/* ---- ends ------------------------------------------------------------------- */

static bool closed_in_frame(struct fixture *f)
{
	if (both_open(f) && f->client.rooms == 0) {
		f->client.rooms = 1;
		send_bytes(&f->client, 10);
		send_bytes(&f->client, 10);
	}
	return both_closed(f);
}

static void closing_inside_a_frame_ends_once_and_tells_why(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	f.server.mode = CLOSE_IN_FRAME;
	dial(&f);
	run(&f, closed_in_frame);
	assert_int_equal(f.server.frames, 1);
	assert_int_equal(f.server.end.code, ERR_DENIED);
	assert_string_equal(f.server.end.text, "not you");
	assert_bye(&f.client, ERR_DENIED);
	fixture_close(&f);
}

static void aborting_inside_a_frame_shows_as_a_cut(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	f.server.mode = ABORT_IN_FRAME;
	dial(&f);
	run(&f, closed_in_frame);
	assert_int_equal(f.server.end.code, ERR_BUSY);
	assert_true(f.client.end.code == ERR_TRUNCATED ||
		    f.client.end.code == ERR_CLOSED);
	assert_true(f.client.end.theirs || f.client.end.code == ERR_TRUNCATED);
	fixture_close(&f);
}

static void a_closed_port_is_told_as_a_failure_to_connect(void **state)
{
	struct sockaddr_storage to;
	socklen_t n = sizeof(struct sockaddr_in);
	struct fixture f;
	int fd;

	(void)state;
	fixture_open(&f, 5000);
	to = listener_where(&f);
	((struct sockaddr_in *)&to)->sin_port = 0;
	fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listens */
	assert_int_equal(bind(fd, (struct sockaddr *)&to, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &n), 0);
	dial_to(&f, &to);
	run(&f, client_closed);
	assert_int_equal(f.client.end.step, LINK_TCP);
	assert_int_equal(f.client.end.code, ERR_IO);
	assert_string_equal(f.client.end.text, "connection refused");
	(void)close(fd);
	fixture_close(&f);
}

static int raw_connect(struct fixture *f)
{
	struct sockaddr_storage to = listener_where(f);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&to,
				 sizeof(struct sockaddr_in)),
			 0);
	return fd;
}

static void a_connection_that_ends_without_tls_is_told(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	(void)close(raw_connect(&f));
	run(&f, server_closed);
	assert_int_equal(f.server.end.step, LINK_TLS);
	assert_int_equal(f.server.end.code, ERR_TRUNCATED);
	fixture_close(&f);
}

static void half_open_connections_end_at_the_deadline(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_open(&f, LIMIT_HANDSHAKE_MS + 3000);
	fd = raw_connect(&f);
	assert_true(write(fd, "\x16\x03\x01", 3) == 3);
	run(&f, server_closed);
	assert_int_equal(f.server.end.step, LINK_TLS);
	assert_int_equal(f.server.end.code, ERR_TIMEOUT);
	assert_true(f.server.end.theirs);
	(void)close(fd);
	fixture_close(&f);
}

static void a_peer_that_never_says_hello_ends_at_the_deadline(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, LIMIT_HANDSHAKE_MS + 3000);
	f.trust = false;
	dial(&f);
	run(&f, both_closed);
	/* Both have the same deadline: the first to reach it tells why. */
	assert_true((f.server.end.code == ERR_TIMEOUT &&
		     f.server.end.step == LINK_FRAMES) ||
		    (f.client.end.code == ERR_TIMEOUT &&
		     f.client.end.step == LINK_FRAMES));
	fixture_close(&f);
}

/* ---- addresses -------------------------------------------------------------- */

static void endpoints_are_split_strictly(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} cases[] = {
		{ "dtu.dk:7400", "dtu.dk", "7400" },
		{ "127.0.0.1:1", "127.0.0.1", "1" },
		{ "[::1]:65535", "::1", "65535" },
		{ "::1:80", NULL, NULL },
		{ "dtu.dk", NULL, NULL },
		{ ":80", NULL, NULL },
		{ "dtu.dk:", NULL, NULL },
		{ "dtu.dk:65536", NULL, NULL },
		{ "dtu.dk:+80", NULL, NULL },
		{ "[]:80", NULL, NULL },
		{ "", NULL, NULL },
	};
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = dial_split(slice_str(cases[i].text), host, port);

		assert_int_equal(ok, cases[i].host != NULL);
		if (ok) {
			assert_string_equal(host, cases[i].host);
			assert_string_equal(port, cases[i].port);
		}
	}
}

static void on_resolved(void *arg, const struct dial_result *r)
{
	struct fixture *f = arg;

	f->client.rooms = r->count;
	f->client.end.code = r->code;
	stop(f);
}

static void a_name_that_is_none_is_told(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 5000);
	dial_resolve(f.loop, SLICE_LIT("no port"), on_resolved, &f);
	run(&f, NULL);
	assert_int_equal(f.client.end.code, ERR_MALFORMED);
	fixture_close(&f);
	fixture_open(&f, 5000);
	dial_resolve(f.loop, SLICE_LIT("127.0.0.1:80"), on_resolved, &f);
	run(&f, NULL);
	assert_int_equal(f.client.end.code, ERR_OK);
	assert_int_equal(f.client.rooms, 1);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_side_learns_the_other_key),
		cmocka_unit_test(many_small_frames_come_back_in_order),
		cmocka_unit_test(
			the_longest_frame_passes_and_tells_of_room_again),
		cmocka_unit_test(bad_lengths_are_refused_by_name),
		cmocka_unit_test(
			a_held_link_delivers_one_by_one_and_loses_nothing),
		cmocka_unit_test(
			closing_inside_a_frame_ends_once_and_tells_why),
		cmocka_unit_test(aborting_inside_a_frame_shows_as_a_cut),
		cmocka_unit_test(a_closed_port_is_told_as_a_failure_to_connect),
		cmocka_unit_test(a_connection_that_ends_without_tls_is_told),
		cmocka_unit_test(half_open_connections_end_at_the_deadline),
		cmocka_unit_test(
			a_peer_that_never_says_hello_ends_at_the_deadline),
		cmocka_unit_test(endpoints_are_split_strictly),
		cmocka_unit_test(a_name_that_is_none_is_told),
	};

	if (argc > 1) /* only those that match, with * and ? */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
