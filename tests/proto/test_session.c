#include "proto/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Fixture: one session, and what it has sent. */

struct fixture {
	struct message_hello own, other;
	struct session s;
	struct session_out out;
	struct buf sent;
	struct arena arena;
	uint64_t now_ms;
};

static struct message_hello a_hello(const char *member)
{
	return (struct message_hello){
		.version_min = 1,
		.version_max = 3,
		.role = ROLE_PEER,
		.alliance = { { 7 } },
		.member = slice_str(member),
		.incarnation = { 1 },
		.roster_version = 5,
		.roster_hash = { { 6 } },
		.max_frame = LIMIT_FRAME_BYTES,
	};
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->own = a_hello("a.eu");
	f->other = a_hello("b.eu");
	buf_init(&f->sent, LIMIT_FRAME_BYTES);
	arena_init(&f->arena, 1u << 20);
	session_init(&f->s, &f->own, slice_str("b.eu"));
	f->now_ms = 1000;
	f->out.send = &f->sent;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->sent);
	arena_free(&f->arena);
	free(f);
	return 0;
}

/* Helpers. */

static void step(struct fixture *f, struct session_event ev)
{
	ev.now_ms = f->now_ms;
	buf_reset(&f->sent);
	session_step(&f->s, &ev, &f->out);
}

static void receive(struct fixture *f, struct message m)
{
	step(f,
	     (struct session_event){ .type = SESSION_MESSAGE, .message = &m });
}

static void simple(struct fixture *f, enum session_event_type type,
		   enum err err)
{
	step(f, (struct session_event){ .type = type, .err = err });
}

static void go_live(struct fixture *f)
{
	simple(f, SESSION_OPEN, ERR_OK);
	receive(f, (struct message){ .type = MSG_HELLO, .hello = f->other });
}

static void tick_at(struct fixture *f, uint64_t now_ms)
{
	f->now_ms = now_ms;
	simple(f, SESSION_TICK, ERR_OK);
}

/* The next frame that was sent, MSG_CHANGES when there is none. */
static struct message sent(struct fixture *f)
{
	struct message m = { .type = MSG_CHANGES };
	struct slice in = buf_slice(&f->sent), frame;

	if (frame_split(&in, LIMIT_FRAME_BYTES, &frame) == ERR_OK)
		assert_int_equal(message_decode(frame, &f->arena, &m, NULL),
				 ERR_OK);
	return m;
}

static void assert_closed(struct fixture *f, enum err why, bool by_peer,
			  bool bye)
{
	struct message m = sent(f);

	assert_int_equal(f->s.state, SESSION_CLOSED);
	assert_true(f->out.closed);
	assert_false(f->out.deliver);
	assert_int_equal(f->out.why, why);
	assert_int_equal(f->out.by_peer, by_peer);
	assert_int_equal(m.type, bye ? MSG_BYE : MSG_CHANGES);
	if (bye)
		assert_int_equal(m.bye.code, why);
	assert_int_equal(session_deadline(&f->s), UINT64_MAX);
}

/* Setting up. */

static void hello_goes_out_first(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->s.state, SESSION_NEW);
	assert_int_equal(session_deadline(&f->s), UINT64_MAX);
	simple(f, SESSION_OPEN, ERR_OK);
	assert_int_equal(f->s.state, SESSION_OFFERED);
	assert_int_equal(sent(f).type, MSG_HELLO);
	assert_true(slice_is(sent(f).hello.member, "a.eu"));
	assert_true(f->sent.n <= LIMIT_FRAME_NEW_BYTES);
}

static void both_hellos_make_it_live(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_int_equal(f->s.state, SESSION_LIVE);
	assert_true(f->out.live);
	assert_false(f->out.deliver);
	assert_int_equal(f->s.role, ROLE_PEER);
	assert_int_equal(f->s.version, 3);
	assert_int_equal(f->s.roster_version, 5);
	assert_int_equal(f->s.incarnation[0], 1);
}

static void the_highest_common_version_is_spoken(void **state)
{
	struct fixture *f = *state;

	f->other.version_max = 2;
	go_live(f);
	assert_int_equal(f->s.version, 2);
}

static void hellos_that_do_not_fit_are_refused_with_a_code(void **state)
{
	struct fixture *f = *state;
	struct {
		struct message_hello h;
		enum err err;
	} cases[] = {
		{ f->other, ERR_ALLIANCE }, { f->other, ERR_VERSION },
		{ f->other, ERR_VERSION },  { f->other, ERR_PIN },
		{ f->other, ERR_LIMIT },
	};

	cases[0].h.alliance.b[0] ^= 1;
	cases[1].h.version_min = 4;
	cases[1].h.version_max = 9;
	cases[2].h.version_min = 0;
	cases[2].h.version_max = 0;
	cases[3].h.member = slice_str("c.eu");
	cases[4].h.max_frame = LIMIT_FRAME_BYTES - 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		session_init(&f->s, &f->own, slice_str("b.eu"));
		f->other = cases[i].h;
		go_live(f);
		assert_closed(f, cases[i].err, false, true);
	}
}

static void a_hello_of_anyone_is_taken_when_nobody_is_expected(void **state)
{
	struct fixture *f = *state;

	session_init(&f->s, &f->own, slice_of(NULL, 0));
	f->other.member = slice_str("whoever.eu");
	go_live(f);
	assert_true(f->out.live);
}

static void anything_before_hello_closes(void **state)
{
	struct fixture *f = *state;

	for (int type = MSG_HEADS; type <= MSG_ANSWER; type++) {
		if (type == MSG_BYE)
			continue;
		session_init(&f->s, &f->own, slice_str("b.eu"));
		simple(f, SESSION_OPEN, ERR_OK);
		receive(f, (struct message){ .type = (enum message_type)type });
		assert_closed(f, ERR_BAD_STATE, false, true);
	}
}

static void a_frame_of_the_future_before_hello_closes(void **state)
{
	struct fixture *f = *state;

	simple(f, SESSION_OPEN, ERR_OK);
	simple(f, SESSION_BAD_FRAME, ERR_UNSUPPORTED);
	assert_closed(f, ERR_UNSUPPORTED, false, true);
}

static void the_refusal_of_the_other_is_kept(void **state)
{
	struct fixture *f = *state;

	simple(f, SESSION_OPEN, ERR_OK);
	receive(f, (struct message){ .type = MSG_BYE,
				     .bye = { .code = ERR_ALLIANCE } });
	assert_closed(f, ERR_ALLIANCE, true, false);
}

static void silence_before_hello_ends_after_ten_seconds(void **state)
{
	struct fixture *f = *state;

	simple(f, SESSION_OPEN, ERR_OK);
	assert_int_equal(session_deadline(&f->s), 1000 + LIMIT_HANDSHAKE_MS);
	tick_at(f, 1000 + LIMIT_HANDSHAKE_MS - 1);
	assert_int_equal(f->s.state, SESSION_OFFERED);
	tick_at(f, 1000 + LIMIT_HANDSHAKE_MS);
	assert_closed(f, ERR_TIMEOUT, false, true);
}

static void frames_are_small_until_hello(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(session_frame_max(&f->s), LIMIT_FRAME_NEW_BYTES);
	simple(f, SESSION_OPEN, ERR_OK);
	assert_int_equal(session_frame_max(&f->s), LIMIT_FRAME_NEW_BYTES);
	receive(f, (struct message){ .type = MSG_HELLO, .hello = f->other });
	assert_int_equal(session_frame_max(&f->s), LIMIT_FRAME_BYTES);
}

/* Live. */

static void messages_are_delivered(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	receive(f, (struct message){ .type = MSG_ASK });
	assert_true(f->out.deliver);
	assert_int_equal(f->sent.n, 0);
}

static void a_ping_is_answered_and_delivered(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	f->s.own_size = 42;
	receive(f, (struct message){ .type = MSG_PING, .ping = { 3 } });
	assert_true(f->out.deliver);
	assert_int_equal(sent(f).type, MSG_PONG);
	assert_int_equal(sent(f).ping.size, 42);
	receive(f, (struct message){ .type = MSG_PONG, .ping = { 3 } });
	assert_true(f->out.deliver);
	assert_int_equal(f->sent.n, 0);
}

static void silence_is_asked_about_and_ends_the_link(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_int_equal(session_deadline(&f->s), 1000 + SESSION_PING_MS);
	tick_at(f, 1000 + SESSION_PING_MS - 1);
	assert_int_equal(f->sent.n, 0);
	tick_at(f, 1000 + SESSION_PING_MS);
	assert_int_equal(sent(f).type, MSG_PING);
	tick_at(f, 1000 + 2 * SESSION_PING_MS);
	assert_int_equal(sent(f).type, MSG_PING);
	tick_at(f, 1000 + SESSION_DEAD_MS);
	assert_closed(f, ERR_TIMEOUT, false, true);
}

static void a_sound_starts_the_silence_anew(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	f->now_ms = 9000;
	receive(f, (struct message){ .type = MSG_PONG });
	assert_int_equal(session_deadline(&f->s), 9000 + SESSION_PING_MS);
	tick_at(f, 11000);
	assert_int_equal(f->sent.n, 0);
}

static void a_second_hello_closes(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	receive(f, (struct message){ .type = MSG_HELLO, .hello = f->other });
	assert_closed(f, ERR_BAD_STATE, false, true);
}

static void a_frame_of_the_future_is_passed_over_when_live(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	simple(f, SESSION_BAD_FRAME, ERR_UNSUPPORTED);
	assert_int_equal(f->s.state, SESSION_LIVE);
	assert_false(f->out.deliver);
}

static void a_bad_frame_closes(void **state)
{
	static const enum err errs[] = { ERR_MALFORMED, ERR_LIMIT,
					 ERR_TRUNCATED };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(errs) / sizeof(*errs); i++) {
		session_init(&f->s, &f->own, slice_str("b.eu"));
		go_live(f);
		simple(f, SESSION_BAD_FRAME, errs[i]);
		assert_closed(f, errs[i], false, true);
	}
}

/* The end. */

static void we_close_with_a_reason(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	simple(f, SESSION_CLOSE, ERR_SHUTDOWN);
	assert_closed(f, ERR_SHUTDOWN, false, true);
	assert_true(slice_is(sent(f).bye.text, err_text(ERR_SHUTDOWN)));
}

static void a_link_that_is_refused_at_once_hears_why(void **state)
{
	struct fixture *f = *state;

	simple(f, SESSION_CLOSE, ERR_DENIED);
	assert_closed(f, ERR_DENIED, false, true);
}

static void a_lost_link_says_nothing(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	simple(f, SESSION_LOST, ERR_OK);
	assert_closed(f, ERR_CLOSED, false, false);
}

static void after_the_end_nothing_happens(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	simple(f, SESSION_CLOSE, ERR_OK);
	for (int type = SESSION_OPEN; type <= SESSION_LOST; type++) {
		struct message m = { .type = MSG_PING };

		step(f, (struct session_event){
				.type = (enum session_event_type)type,
				.message = &m });
		assert_int_equal(f->s.state, SESSION_CLOSED);
		assert_int_equal(f->sent.n, 0);
		assert_false(f->out.closed);
		assert_false(f->out.deliver);
	}
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(session_state_name(SESSION_NEW), "new");
	assert_string_equal(session_state_name(SESSION_OFFERED), "offered");
	assert_string_equal(session_state_name(SESSION_LIVE), "live");
	assert_string_equal(session_state_name(SESSION_CLOSED), "closed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hello_goes_out_first),
		TEST(both_hellos_make_it_live),
		TEST(the_highest_common_version_is_spoken),
		TEST(hellos_that_do_not_fit_are_refused_with_a_code),
		TEST(a_hello_of_anyone_is_taken_when_nobody_is_expected),
		TEST(anything_before_hello_closes),
		TEST(a_frame_of_the_future_before_hello_closes),
		TEST(the_refusal_of_the_other_is_kept),
		TEST(silence_before_hello_ends_after_ten_seconds),
		TEST(frames_are_small_until_hello),
		TEST(messages_are_delivered),
		TEST(a_ping_is_answered_and_delivered),
		TEST(silence_is_asked_about_and_ends_the_link),
		TEST(a_sound_starts_the_silence_anew),
		TEST(a_second_hello_closes),
		TEST(a_frame_of_the_future_is_passed_over_when_live),
		TEST(a_bad_frame_closes),
		TEST(we_close_with_a_reason),
		TEST(a_link_that_is_refused_at_once_hears_why),
		TEST(a_lost_link_says_nothing),
		TEST(after_the_end_nothing_happens),
		TEST(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
