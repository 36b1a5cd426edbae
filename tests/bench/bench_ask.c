/* Load for recognition answers over mutual TLS: C connections, each with P
 * questions in flight, uniform over N credentials.
 *
 * Usage: bench_ask DIR ALLIANCE PORT MEMBER BY OWNER CREDENTIALS SECONDS C P
 * DIR is a member's node directory (for its keys) that bears its name,
 * ALLIANCE the alliance file, PORT where MEMBER's node listens on
 * 127.0.0.1, OWNER whose credentials are asked about. Prints
 * "answers_per_second N", "p50_us N", "p99_us N", and "asked N", all
 * questions, of the warm-up too. Every answer is decoded and must have an
 * outcome. */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/keys.h"
#include "node/tls.h"
#include "proto/dec.h"
#include "proto/recognise.h"
#include "proto/roster.h"
#include "proto/session.h"

#define CONNECTIONS_MAX 64
#define PIPELINE_MAX 64
#define SAMPLES_MAX 8000000u

struct conn {
	int fd;
	struct tls *tls;
	struct session session;
	struct buf out; /* ciphertext to send */
	struct buf plain; /* frames that came */
	struct buf frames; /* frames to send */
	bool handshaken;
	unsigned in_flight;
	uint64_t sent_ns[PIPELINE_MAX]; /* by id % PIPELINE_MAX */
	uint64_t next_id;
};

struct load {
	struct message_hello hello;
	struct slice member, by, owner;
	uint64_t credentials, deadline_ns, state;
	unsigned connections, pipeline;
	uint32_t *samples_us;
	uint64_t asked, answers, failures;
	bool warm; /* count from now on */
	struct arena arena; /* for one frame */
	struct conn conns[CONNECTIONS_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "bench_ask: %s\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(struct load *l)
{
	l->state ^= l->state << 13;
	l->state ^= l->state >> 7;
	l->state ^= l->state << 17;
	return l->state;
}

static void flush_frames(struct conn *c)
{
	if (c->frames.n == 0)
		return;
	if (tls_write(c->tls, buf_slice(&c->frames)) != ERR_OK)
		die("cannot write");
	buf_reset(&c->frames);
}

static void flush_bytes(struct conn *c)
{
	ssize_t n;

	while (c->out.n > 0) {
		n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			die("the connection broke");
		buf_drop(&c->out, (size_t)n);
	}
}

static void ask(struct load *l, struct conn *c)
{
	struct recognise_question q = { .by = l->by,
					.as_of = SLICE_LIT("2027-01-01") };
	struct message m = { .type = MSG_ASK };
	char id[128];
	struct buf question;

	snprintf(id, sizeof id,
		 "%.*s/BENCH-AWARD-OF-A-LONG-ENOUGH-NAME-%09" PRIu64,
		 (int)l->owner.n, (const char *)l->owner.p,
		 next_random(l) % l->credentials);
	q.credentials[0] = slice_str(id);
	q.credential_count = 1;
	buf_init(&question, 1024);
	recognise_question_put(&q, &question);
	m.ask.id = c->next_id++;
	m.ask.question = buf_slice(&question);
	message_put(&m, &c->frames);
	c->sent_ns[m.ask.id % PIPELINE_MAX] = now_ns();
	c->in_flight++;
	l->asked++;
	buf_free(&question);
}

static void take_answer(struct load *l, struct conn *c,
			const struct message_answer *a)
{
	uint64_t ns = now_ns() - c->sent_ns[a->id % PIPELINE_MAX];

	c->in_flight--;
	if (a->code != ERR_OK || dec_find_str(a->answer, "outcome").n == 0)
		l->failures++;
	if (l->warm && l->answers < SAMPLES_MAX)
		l->samples_us[l->answers++] = (uint32_t)(ns / 1000);
}

static void take_frame(struct load *l, struct conn *c, struct slice frame)
{
	struct session_event ev = { .type = SESSION_MESSAGE };
	struct session_out out = { .send = &c->frames };
	struct message m;
	enum err e;

	arena_reset(&l->arena);
	e = message_decode(frame, &l->arena, &m, NULL);
	if (e == ERR_OK) {
		ev.message = &m;
		ev.now_ms = now_ns() / 1000000;
		session_step(&c->session, &ev, &out);
		if (out.closed)
			die(err_text(out.why));
		if (out.deliver && m.type == MSG_ANSWER)
			take_answer(l, c, &m.answer);
	} else if (e != ERR_UNSUPPORTED) {
		die("a bad frame came");
	}
}

static void take_plain(struct load *l, struct conn *c)
{
	struct slice rest, frame;
	uint8_t p[TLS_READ_BYTES];
	size_t got;

	while (tls_read(c->tls, p, sizeof p, &got) == ERR_OK && got > 0)
		buf_put(&c->plain, slice_of(p, got));
	rest = buf_slice(&c->plain);
	while (frame_split(&rest, LIMIT_FRAME_BYTES, &frame) == ERR_OK)
		take_frame(l, c, frame);
	buf_drop(&c->plain, c->plain.n - rest.n);
}

static void greet(struct load *l, struct conn *c)
{
	struct session_event ev = { .type = SESSION_OPEN,
				    .now_ms = now_ns() / 1000000 };
	struct session_out out = { .send = &c->frames };

	session_init(&c->session, &l->hello, l->member);
	session_step(&c->session, &ev, &out);
}

static void serve_conn(struct load *l, struct conn *c)
{
	uint8_t in[65536];
	ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
	enum err e;

	if (n == 0)
		die("the node closed the connection");
	if (n < 0)
		return;
	tls_feed(c->tls, slice_of(in, (size_t)n));
	if (!c->handshaken) {
		e = tls_handshake(c->tls);
		if (e == ERR_BUSY)
			return;
		if (e != ERR_OK)
			die(tls_failure(c->tls)->text);
		c->handshaken = true;
		greet(l, c);
	}
	take_plain(l, c);
}

static void connect_to(struct conn *c, struct tls_config *tls, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("cannot connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	buf_init(&c->out, 8u << 20);
	buf_init(&c->plain, 8u << 20);
	buf_init(&c->frames, 1u << 20);
	c->tls = tls_open(tls, TLS_CLIENT, &c->out);
	if (tls_handshake(c->tls) != ERR_BUSY)
		die("the handshake did not begin");
}

static void run(struct load *l)
{
	struct pollfd polls[CONNECTIONS_MAX];
	struct conn *c;
	unsigned i;

	while (now_ns() < l->deadline_ns) {
		for (i = 0; i < l->connections; i++) {
			c = &l->conns[i];
			while (c->handshaken &&
			       c->session.state == SESSION_LIVE &&
			       c->in_flight < l->pipeline)
				ask(l, c);
			flush_frames(c);
			flush_bytes(c);
			polls[i].fd = c->fd;
			polls[i].events =
				(short)(POLLIN | (c->out.n ? POLLOUT : 0));
		}
		if (poll(polls, l->connections, 1000) < 0 && errno != EINTR)
			die("poll");
		for (i = 0; i < l->connections; i++)
			if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
				serve_conn(l, &l->conns[i]);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void load_alliance(struct load *l, const char *path, struct arena *a)
{
	static uint8_t file[1u << 20];
	struct roster roster;
	struct bundle bundle;
	const char *why;
	FILE *f = fopen(path, "rb");
	size_t n = f == NULL ? 0 : fread(file, 1, sizeof file, f);

	if (f == NULL || fclose(f) != 0 || n == 0)
		die("cannot read the alliance file");
	if (bundle_parse(slice_of(file, n), a, &bundle, &why) ||
	    roster_parse(bundle.roster, a, &roster, &why))
		die("bad alliance file");
	l->hello.alliance = roster.hash;
	l->hello.roster_hash = roster.hash;
	l->hello.roster_version = roster.version;
}

int main(int argc, char **argv)
{
	static struct load l;
	struct tls_config *tls;
	struct keys keys;
	struct arena a;
	struct buf why;
	char path[4096], *slash;
	double seconds;
	unsigned i;

	if (argc != 11)
		die("usage: DIR ALLIANCE PORT MEMBER BY OWNER CREDENTIALS "
		    "SECONDS C P");
	tls_init();
	arena_init(&a, 16u << 20);
	arena_init(&l.arena, 1u << 20);
	buf_init(&why, 4096);
	load_alliance(&l, argv[2], &a);
	l.member = slice_str(argv[4]);
	l.by = slice_str(argv[5]);
	l.owner = slice_str(argv[6]);
	l.credentials = strtoull(argv[7], NULL, 10);
	seconds = strtod(argv[8], NULL);
	l.connections = (unsigned)strtoul(argv[9], NULL, 10);
	l.pipeline = (unsigned)strtoul(argv[10], NULL, 10);
	if (l.connections > CONNECTIONS_MAX || l.pipeline > PIPELINE_MAX)
		die("too many connections or questions");
	/* The directory bears the name of its member. */
	slash = strrchr(argv[1], '/');
	l.hello.member = slice_str(slash == NULL ? argv[1] : slash + 1);
	snprintf(path, sizeof path, "%s/keys", argv[1]);
	if (keys_load(path, l.hello.member, &keys, &why) ||
	    tls_config_open(keys.tls_cert_pem, keys.tls_key_pem, &tls, &why)) {
		buf_put_u8(&why, 0);
		die((const char *)why.p);
	}
	l.hello.version_min = MESSAGE_VERSION_MIN;
	l.hello.version_max = MESSAGE_VERSION_MAX;
	l.hello.role = ROLE_CLIENT;
	l.hello.max_frame = LIMIT_FRAME_BYTES;
	random_bytes(l.hello.incarnation, sizeof l.hello.incarnation);
	random_bytes(&l.state, sizeof l.state);
	l.state |= 1;
	l.samples_us = xcalloc(SAMPLES_MAX, sizeof *l.samples_us);
	for (i = 0; i < l.connections; i++)
		connect_to(&l.conns[i], tls,
			   (uint16_t)strtoul(argv[3], NULL, 10));

	l.deadline_ns = now_ns() + 2000000000u; /* warm up */
	run(&l);
	l.warm = true;
	l.deadline_ns = now_ns() + (uint64_t)(seconds * 1e9);
	run(&l);

	if (l.answers == 0 || l.failures > 0) {
		fprintf(stderr,
			"bench_ask: %" PRIu64 " answers, %" PRIu64
			" failures\n",
			l.answers, l.failures);
		return 1;
	}
	qsort(l.samples_us, l.answers, sizeof *l.samples_us, by_size);
	printf("answers_per_second %.0f\n", (double)l.answers / seconds);
	printf("p50_us %u\n", l.samples_us[l.answers / 2]);
	printf("p99_us %u\n", l.samples_us[l.answers - l.answers / 100 - 1]);
	printf("asked %" PRIu64 "\n", l.asked);
	return 0;
}
