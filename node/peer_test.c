#include "node/peer_test.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node/report.h"
#include "proto/session.h"
#include "proto/text.h"

#define ARENA_BYTES (1u << 20)
#define STEPS_MAX 12u
#define TIMER_MS 100u

/* One test under way, on a loop of its own. */
struct test {
	const struct peer_test_options *o;
	const struct home *home;
	struct members *members; /* held */
	const struct descriptor *card; /* of the member, or NULL */
	struct slice member;
	struct loop *loop;
	struct loop_timer *timer; /* looks at the time and at the user */
	uint64_t late_ms; /* the loop's time when it took too long */
	struct tls_config *tls;
	struct dial_result found;
	uint32_t endpoint, address; /* next ones */
	struct link *link; /* NULL: none */
	struct message_hello hello;
	struct session session;
	struct buf out; /* frames of the session */
	struct arena arena;
	struct arena frames;
	struct value steps;
	bool ok, ended;
	bool judged; /* this link: the failure is told */
	bool said_tls; /* steps that a later address need not repeat */
	char where[DIAL_TEXT_BYTES];
	uint64_t pinged_us, round_trip_us;
	/* The failure that came furthest over all addresses. */
	enum peer_step step;
	enum err code;
	bool theirs;
	char text[192];
};

static void next_address(struct test *t);

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- steps --------------------------------------------------------------------- */

static const char *const step_names[] = {
	[PEER_STEP_CARD] = "card", [PEER_STEP_DNS] = "name",
	[PEER_STEP_TCP] = "tcp",   [PEER_STEP_TLS] = "tls",
	[PEER_STEP_PIN] = "key",   [PEER_STEP_HELLO] = "hello",
	[PEER_STEP_OPEN] = "ping",
};

static void add_step(struct test *t, enum peer_step step, enum health h,
		     const char *side, const char *text)
{
	struct arena *a = &t->arena;
	struct value v = report_map(a, 6);

	if (t->steps.count >= STEPS_MAX)
		return;
	report_set(&v, "step", report_cstr(a, step_names[step]));
	report_set(&v, "ok", value_bool(h == HEALTH_OK));
	report_set(&v, "code", report_cstr(a, health_entry(h)->code));
	report_set(&v, "side", report_cstr(a, side));
	report_set(&v, "text", report_cstr(a, text));
	report_set(&v, "cure", report_cstr(a, health_entry(h)->cure));
	report_add(&t->steps, v);
}

static void pass(struct test *t, enum peer_step step, const char *text)
{
	add_step(t, step, HEALTH_OK, "", text);
}

/* Keep a failure if it came further than those before. */
static void fail(struct test *t, enum peer_step step, enum err code,
		 bool theirs, const char *text)
{
	if (step < t->step)
		return;
	t->step = step;
	t->code = code;
	t->theirs = theirs;
	(void)snprintf(t->text, sizeof(t->text), "%s", text);
}

/* Who can mend it: refusing a key is judged by one and cured by the other. */
static const char *side_of(enum health h)
{
	return h == HEALTH_TLS_OURS || h == HEALTH_CARD ? "ours" : "theirs";
}

static void end(struct test *t)
{
	if (t->ended)
		return;
	t->ended = true;
	loop_timer_close(t->timer);
	loop_stop(t->loop);
}

static void give_up(struct test *t)
{
	enum health h = health_of(t->step, t->code, t->theirs);
	char line[256];

	(void)snprintf(line, sizeof(line), "%s%s%s", health_entry(h)->what,
		       t->text[0] != '\0' ? ": " : "", t->text);
	add_step(t, t->step, h, side_of(h), line);
	end(t);
}

/* ---- the session ----------------------------------------------------------------- */

static void send_out(struct test *t)
{
	if (t->out.n > 0)
		link_send(t->link, buf_slice(&t->out));
	buf_reset(&t->out);
}

static void step(struct test *t, const struct session_event *ev,
		 struct session_out *out)
{
	out->send = &t->out;
	session_step(&t->session, ev, out);
	send_out(t);
}

static void on_open(struct link *l, const struct digest *spki)
{
	struct test *t = link_arg(l);
	struct session_event ev = { .type = SESSION_OPEN,
				    .now_ms = loop_now_ms(t->loop) };
	struct session_out out;
	char text[160];

	if (!descriptor_has_pin(t->card, spki)) {
		struct buf hex;

		buf_init(&hex, 128);
		text_put_hex(&hex, digest_slice(spki));
		(void)snprintf(text, sizeof(text), "it shows the key %.*s",
			       (int)hex.n, (const char *)hex.p);
		buf_free(&hex);
		fail(t, PEER_STEP_PIN, ERR_PIN, false, text);
		t->judged = true;
		link_refuse(l, ERR_PIN, "your key is not the one in your card");
		return;
	}
	if (!t->said_tls) {
		pass(t, PEER_STEP_TLS, "TLS 1.3, " TLS_ALPN);
		pass(t, PEER_STEP_PIN, "its key is the one in its card");
		t->said_tls = true;
	}
	session_init(&t->session, &t->hello, t->member);
	step(t, &ev, &out);
}

static void say_hello(struct test *t)
{
	char text[96];

	(void)snprintf(text, sizeof(text),
		       "it accepts our key, same alliance, protocol %llu",
		       (unsigned long long)t->session.version);
	pass(t, PEER_STEP_HELLO, text);
	link_trust(t->link);
}

static void ping(struct test *t)
{
	struct message m = { .type = MSG_PING };

	t->pinged_us = now_us();
	message_put(&m, &t->out);
	send_out(t);
}

static void say_pong(struct test *t)
{
	char text[64];

	t->round_trip_us = now_us() - t->pinged_us;
	(void)snprintf(text, sizeof(text), "answered after %llu.%03llu ms",
		       (unsigned long long)(t->round_trip_us / 1000),
		       (unsigned long long)(t->round_trip_us % 1000));
	pass(t, PEER_STEP_OPEN, text);
	t->ok = true;
	link_close(t->link, ERR_OK, "");
}

static void on_frame(struct link *l, struct slice frame)
{
	struct test *t = link_arg(l);
	struct session_event ev = { .type = SESSION_MESSAGE,
				    .now_ms = loop_now_ms(t->loop) };
	struct session_out out;
	struct message m;

	arena_reset(&t->frames);
	ev.err = message_decode(frame, &t->frames, &m, NULL);
	ev.message = &m;
	if (ev.err != ERR_OK)
		ev.type = SESSION_BAD_FRAME;
	step(t, &ev, &out);
	if (out.closed) {
		fail(t, PEER_STEP_HELLO, out.why, out.by_peer,
		     err_text(out.why));
		t->judged = true;
		link_close(l, out.why, err_text(out.why));
	} else if (out.live) {
		say_hello(t);
		ping(t);
	} else if (ev.err == ERR_OK && m.type == MSG_PONG && t->pinged_us > 0 &&
		   !t->ok) {
		say_pong(t);
	}
}

static void on_room(struct link *l)
{
	(void)l;
}

static void on_closed(struct link *l, const struct link_end *e)
{
	struct test *t = link_arg(l);

	t->link = NULL;
	if (t->ok) {
		end(t);
		return;
	}
	/* How a link ends whose verdict was given tells nothing more. */
	if (!t->judged)
		fail(t, health_step(e->step),
		     e->code == ERR_OK ? ERR_CLOSED : e->code, e->theirs,
		     e->text);
	if (t->ended || t->step >= PEER_STEP_HELLO)
		give_up(t);
	else
		next_address(t);
}

static const struct link_events events = { on_open, on_frame, on_room,
					   on_closed };

/* ---- reaching it -------------------------------------------------------------------- */

static void on_found(void *arg, const struct dial_result *r)
{
	struct test *t = arg;
	char text[DIAL_TEXT_BYTES + 32];

	t->found = *r;
	t->address = 0;
	if (r->code != ERR_OK) {
		t->found.count = 0;
		fail(t, PEER_STEP_DNS, r->code, false, r->why);
	} else {
		dial_format(&r->address[0], t->where);
		(void)snprintf(text, sizeof(text), "%s, %u address%s", t->where,
			       r->count, r->count == 1 ? "" : "es");
		pass(t, PEER_STEP_DNS, text);
	}
	next_address(t);
}

static void next_address(struct test *t)
{
	struct link_options o = { t->loop, t->tls, &events, t };

	if (t->address < t->found.count) {
		dial_format(&t->found.address[t->address], t->where);
		t->judged = false;
		t->link = link_dial(&o, &t->found.address[t->address++]);
	} else if (t->endpoint < t->card->endpoint_count) {
		dial_resolve(t->loop, t->card->endpoints[t->endpoint++],
			     on_found, t);
	} else {
		give_up(t);
	}
}

static void on_timer(void *arg)
{
	struct test *t = arg;
	bool cancelled =
		t->o->is_cancelled != NULL && t->o->is_cancelled(t->o->arg);

	if (!cancelled && loop_now_ms(t->loop) < t->late_ms) {
		loop_timer_set(t->timer, TIMER_MS);
		return;
	}
	fail(t, t->said_tls ? PEER_STEP_HELLO : PEER_STEP_TCP, ERR_TIMEOUT,
	     true, cancelled ? "interrupted" : "no answer in time");
	t->endpoint = t->card->endpoint_count;
	t->found.count = 0;
	if (t->link != NULL)
		link_abort(t->link, ERR_TIMEOUT, t->text);
	else
		loop_timer_set(t->timer, TIMER_MS);
}

static void run(struct test *t)
{
	t->loop = loop_open();
	t->timer = loop_timer_open(t->loop, on_timer, t);
	t->late_ms = loop_now_ms(t->loop) + PEER_TEST_MS;
	loop_timer_set(t->timer, TIMER_MS);
	if (t->card == NULL || t->card->endpoint_count == 0) {
		fail(t, PEER_STEP_CARD, ERR_NOT_FOUND, false, "");
		give_up(t);
	} else {
		pass(t, PEER_STEP_CARD, "its card is here");
		next_address(t);
	}
	loop_run(t->loop);
	loop_close(t->loop);
}

static enum err fill_hello(struct test *t)
{
	struct store_txn *txn = NULL;
	enum err err = store_read(t->home->store, &txn);

	t->hello = (struct message_hello){
		.version_min = MESSAGE_VERSION_MIN,
		.version_max = MESSAGE_VERSION_MAX,
		.role = ROLE_CLIENT,
		.alliance = t->members->alliance,
		.member = slice_str(t->home->config.member),
		.roster_version = t->members->roster->version,
		.roster_hash = t->members->roster->hash,
		.max_frame = LIMIT_FRAME_BYTES,
	};
	if (err == ERR_OK)
		err = store_incarnation(txn, t->hello.incarnation);
	store_abort(txn);
	return err;
}

static enum err put_report(struct test *t, struct buf *out)
{
	struct value v = report_map(&t->arena, 6);

	report_set(&v, "v", value_uint(1));
	report_set(&v, "member", report_text(&t->arena, t->member));
	report_set(&v, "ok", value_bool(t->ok));
	report_set(&v, "address", report_cstr(&t->arena, t->where));
	report_set(&v, "round_trip_us", value_uint(t->round_trip_us));
	report_set(&v, "steps", t->steps);
	return value_encode(&v, out);
}

enum err peer_test(const struct peer_test_options *o, struct buf *out,
		   struct buf *why)
{
	const struct home *h = o->home;
	struct test t = { .o = o, .home = h, .member = o->member };
	enum err err = ERR_NOT_FOUND;

	t.members = members_hold(h->members);
	if (members_has(t.members, o->member))
		err = fill_hello(&t);
	if (err == ERR_OK)
		err = tls_config_open(h->keys.tls_cert_pem, h->keys.tls_key_pem,
				      &t.tls, why);
	if (err == ERR_OK) {
		t.card = members_card(t.members, o->member);
		buf_init(&t.out, LIMIT_FRAME_BYTES);
		arena_init(&t.arena, ARENA_BYTES);
		arena_init(&t.frames, LIMIT_FRAME_BYTES);
		t.steps = report_list(&t.arena, STEPS_MAX);
		run(&t);
		err = put_report(&t, out);
		buf_free(&t.out);
		arena_free(&t.frames);
		arena_free(&t.arena);
	}
	tls_config_release(t.tls);
	members_release(t.members);
	return err;
}
