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

#include "lib/nest.h"
#include "node/disk.h"
#include "node/log.h"
#include "node/node.h"
#include "node/peer_test.h"
#include "node/status.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define TOWN_MAX 4
#define WAIT_MS 20000
#define DOC_ARENA_BYTES (64u << 20)

/* ---- fixture: universities of one alliance, each with a node ------------- */

static const char *const names[TOWN_MAX] = { "a.example", "b.example",
					     "c.example", "d.example" };

struct town {
	char *root;
	size_t count;
	struct nest nest[TOWN_MAX];
	unsigned port[TOWN_MAX];
	struct node *node[TOWN_MAX]; /* NULL: not running */
	struct arena arena; /* of status documents */
};

static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void write_config(struct town *t, size_t i, const char *more)
{
	char *yaml = path_join(t->nest[i].dir, "symbolon.yaml");
	char text[512];
	FILE *f;

	snprintf(text, sizeof(text),
		 "member: %s\nname: Test\ncountry: DK\n"
		 "listen: 127.0.0.1:%u\nlog_level: error\n"
		 "store:\n  map_gib: 1\n%s",
		 names[i], t->port[i], more);
	f = fopen(yaml, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(yaml);
}

static void town_make(struct town *t, size_t count)
{
	*t = (struct town){ .root = tmp_make(), .count = count };
	arena_init(&t->arena, DOC_ARENA_BYTES);
	for (size_t i = 0; i < count; i++) {
		nest_make(&t->nest[i], t->root, names[i]);
		t->port[i] = free_port();
		write_config(t, i, "");
	}
}

/* One alliance of all of them, with @records in the log of each. */
static void town_open(struct town *t, size_t count, uint32_t records)
{
	struct nest *list[TOWN_MAX];

	town_make(t, count);
	for (size_t i = 0; i < count; i++) {
		nest_open(&t->nest[i]);
		list[i] = &t->nest[i];
	}
	nest_ally(list, count);
	for (size_t i = 0; i < count; i++) {
		if (records > 0)
			ok(nest_append(&t->nest[i], names[i], records,
				       AUDIENCE_MEMBERS));
		nest_close(&t->nest[i]);
	}
}

static void start_with(struct town *t, size_t i, bool sign_alone)
{
	struct node_options o = { .dir = t->nest[i].dir,
				  .sign_alone = sign_alone,
				  .signing_wait_ms = 1500 };
	struct buf why;

	log_set_level(LOG_LEVEL_ERROR);
	buf_init(&why, 4096);
	if (node_start(&o, &t->node[i], &why) != ERR_OK)
		fail_msg("%s: %.*s", names[i], (int)why.n, (const char *)why.p);
	buf_free(&why);
}

static void start(struct town *t, size_t i)
{
	start_with(t, i, false);
}

static void stop(struct town *t, size_t i)
{
	node_stop(t->node[i]);
	t->node[i] = NULL;
}

static void town_close(struct town *t)
{
	for (size_t i = 0; i < t->count; i++) {
		stop(t, i);
		nest_free(&t->nest[i]);
	}
	arena_free(&t->arena);
	tmp_remove(t->root);
}

/* ---- helpers ------------------------------------------------------------------ */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void rest(unsigned ms)
{
	struct timespec ts = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* The status document; valid until the next call. */
static struct value status(struct town *t, size_t i)
{
	struct value v;
	struct slice copy;
	struct buf out;

	arena_reset(&t->arena);
	buf_init(&out, NODE_DOC_BYTES_MAX);
	ok(node_status(t->node[i], &out));
	ok(arena_copy(&t->arena, buf_slice(&out), &copy));
	ok(value_decode(copy, &t->arena, &v));
	buf_free(&out);
	return v;
}

static const struct value *find(const struct value *list, const char *key,
				const char *what)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (slice_is(value_get_str(&list->items[i], key), what))
			return &list->items[i];
	return NULL;
}

static uint64_t log_number(struct town *t, size_t at, size_t of,
			   const char *key)
{
	struct value v = status(t, at);
	const struct value *l =
		find(value_get(&v, "logs"), "member", names[of]);

	return l == NULL ? 0 : value_get_uint(l, key, 0);
}

static bool has_health(struct town *t, size_t at, const char *code)
{
	struct value v = status(t, at);

	return find(value_get(&v, "health"), "code", code) != NULL;
}

static bool peer_is(struct town *t, size_t at, size_t other, const char *key,
		    const char *what)
{
	struct value v = status(t, at);
	const struct value *p =
		find(value_get(&v, "peers"), "member", names[other]);

	return p != NULL && slice_is(value_get_str(p, key), what);
}

/* Wait until @cond holds; a failing test says which. */
#define await(cond)                                                            \
	do {                                                                   \
		uint64_t until_ = now() + WAIT_MS;                             \
		while (!(cond)) {                                              \
			if (now() > until_)                                    \
				fail_msg("waited in vain: %s", #cond);         \
			rest(10);                                              \
		}                                                              \
	} while (0)

/* Append to the own log of a running node. */
struct appending {
	struct writer_job job;
	struct prepared p;
};

static enum err apply_append(struct writer_job *job, struct writer_txn *txn)
{
	struct appending *a = (struct appending *)job;
	uint64_t seq;

	return writer_append(txn, &a->p, &seq);
}

static enum err append(struct town *t, size_t i, const char *id)
{
	struct home *h = node_home(t->node[i]);
	struct appending a = { .job = { .records = 1, .apply = apply_append } };
	struct preparer p;
	struct arena arena;
	enum err err;

	arena_init(&arena, 1u << 20);
	preparer_init(&p, &h->keys, h->own_log);
	a.p.kind = KIND_OFFER;
	a.p.audience = AUDIENCE_PUBLIC;
	a.p.body = nest_body(&arena, id, 100);
	ok(writer_prepare(&p, &arena, &a.p));
	a.job.bytes = a.p.stored.n;
	err = writer_run(h->writer, &a.job);
	preparer_wipe(&p);
	arena_free(&arena);
	return err;
}

/* ---- replication -------------------------------------------------------------- */

static void three_nodes_hold_each_others_logs_and_countersign(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 3, 500);
	for (size_t i = 0; i < 3; i++)
		start(&t, i);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++) {
			await(log_number(&t, i, k, "size") == 500);
			await(log_number(&t, i, k, "cosignatures") == 2);
		}
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++)
			if (i != k)
				assert_true(peer_is(&t, i, k, "state", "up"));
	town_close(&t);
}

static void a_new_record_reaches_the_others_and_is_countersigned(void **state)
{
	struct town t;
	uint32_t have = 0;

	(void)state;
	town_open(&t, 3, 1);
	for (size_t i = 0; i < 3; i++)
		start(&t, i);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	await(peer_is(&t, 0, 1, "state", "up"));
	await(peer_is(&t, 0, 2, "state", "up"));
	for (uint32_t i = 0; i < 5; i++) {
		char id[20];

		snprintf(id, sizeof(id), "new-%u", i);
		ok(append(&t, 0, id));
	}
	ok(node_wait_cosigned(t.node[0], 6, 2, 5000, NULL, NULL, &have));
	assert_int_equal(have, 2);
	assert_int_equal(log_number(&t, 1, 0, "size"), 6);
	assert_int_equal(
		node_wait_cosigned(t.node[0], 7, 1, 300, NULL, NULL, &have),
		ERR_TIMEOUT);
	assert_int_equal(have, 0);
	town_close(&t);
}

static void a_log_is_relayed_while_its_owner_is_away(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 3, 300);
	start(&t, 0);
	start(&t, 1);
	await(log_number(&t, 1, 0, "size") == 300);
	stop(&t, 0);
	start(&t, 2);
	await(log_number(&t, 2, 0, "size") == 300);
	await(log_number(&t, 2, 1, "size") == 300);
	await(peer_is(&t, 2, 0, "code", "P-TCP-02"));
	assert_true(peer_is(&t, 2, 0, "state", "down"));
	town_close(&t);
}

static void a_node_that_was_away_catches_up(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 2, 10);
	start(&t, 0);
	start(&t, 1);
	await(log_number(&t, 1, 0, "size") == 10);
	stop(&t, 1);
	await(peer_is(&t, 0, 1, "state", "down"));
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	for (uint32_t i = 0; i < 20; i++) {
		char id[20];

		snprintf(id, sizeof(id), "later-%u", i);
		ok(append(&t, 0, id));
	}
	start(&t, 1);
	await(log_number(&t, 1, 0, "size") == 30);
	await(log_number(&t, 0, 0, "cosignatures") == 1);
	town_close(&t);
}

static void a_large_log_is_caught_up_in_many_chunks(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 2, 20000);
	start(&t, 0);
	start(&t, 1);
	await(log_number(&t, 1, 0, "size") == 20000);
	await(log_number(&t, 0, 1, "size") == 20000);
	assert_int_equal(log_number(&t, 1, 0, "missing"), 0);
	stop(&t, 0);
	stop(&t, 1);
	nest_open(&t.nest[1]);
	nest_check(&t.nest[1], SLICE_LIT("a.example/symbolon/1"));
	nest_close(&t.nest[1]);
	town_close(&t);
}

static void bodies_that_are_missing_are_fetched(void **state)
{
	struct nest_chunk chunk;
	struct arena arena;
	struct town t;

	(void)state;
	town_open(&t, 2, 3000);
	arena_init(&arena, 64u << 20);
	nest_open(&t.nest[0]);
	nest_open(&t.nest[1]);
	nest_read(&t.nest[0], SLICE_LIT("a.example/symbolon/1"), 0, 3000, false,
		  &arena, &chunk);
	ok(nest_accept(&t.nest[1], &chunk));
	nest_close(&t.nest[0]);
	nest_close(&t.nest[1]);
	arena_free(&arena);
	start(&t, 1);
	assert_int_equal(log_number(&t, 1, 0, "missing"), 3000);
	assert_true(has_health(&t, 1, "S-MISSING-06"));
	start(&t, 0);
	await(log_number(&t, 1, 0, "missing") == 0);
	town_close(&t);
}

static void
a_question_goes_to_another_node_and_its_answer_comes_back(void **state)
{
	struct town t;
	struct buf answer;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	buf_init(&answer, LIMIT_ANSWER_BYTES);
	assert_int_equal(node_ask(t.node[0], SLICE_LIT("z.example"),
				  SLICE_LIT("?"), 1000, &answer),
			 ERR_NOT_FOUND);
	assert_int_equal(node_ask(t.node[0], slice_str(names[1]),
				  SLICE_LIT("?"), 1000, &answer),
			 ERR_CLOSED);
	start(&t, 1);
	await(peer_is(&t, 0, 1, "state", "up"));
	/* Not a question: the other node says so in a document. */
	assert_int_equal(node_ask(t.node[0], slice_str(names[1]),
				  SLICE_LIT("?"), 5000, &answer),
			 ERR_MALFORMED);
	assert_true(answer.n > 0);
	buf_free(&answer);
	town_close(&t);
}

/* ---- signing ------------------------------------------------------------------ */

static void without_an_alliance_a_new_node_signs_at_once(void **state)
{
	struct town t;

	(void)state;
	town_make(&t, 1);
	start(&t, 0);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "first"));
	assert_true(has_health(&t, 0, "C-ALLIANCE-02"));
	town_close(&t);
}

static void an_old_copy_recovers_from_a_partner_before_it_signs(void **state)
{
	struct town t;
	char *old;

	(void)state;
	town_open(&t, 2, 10);
	old = path_join(t.root, "old");
	tmp_copy(t.nest[0].dir, old);
	start(&t, 0);
	start(&t, 1);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "after the copy"));
	await(log_number(&t, 1, 0, "size") == 11);
	stop(&t, 0);
	stop(&t, 1);
	free(t.nest[0].dir);
	t.nest[0].dir = xstrdup(old);
	start(&t, 0);
	/* Alone it cannot know. */
	await(node_signing(t.node[0]) == SIGNING_RECOVERING);
	assert_int_equal(append(&t, 0, "too early"), ERR_RECOVERING);
	assert_true(has_health(&t, 0, "S-RECOVER-05"));
	start(&t, 1);
	await(log_number(&t, 0, 0, "size") == 11);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "now"));
	await(log_number(&t, 1, 0, "size") == 12);
	assert_false(has_health(&t, 1, "S-FORK-03"));
	town_close(&t);
	free(old);
}

static void two_histories_are_proved_and_frozen_everywhere(void **state)
{
	struct town t;
	char *old;

	(void)state;
	town_open(&t, 3, 10);
	old = path_join(t.root, "old");
	tmp_copy(t.nest[0].dir, old);
	start(&t, 0);
	start(&t, 1);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "one history"));
	await(log_number(&t, 1, 0, "size") == 11);
	stop(&t, 0);
	stop(&t, 1);
	/* The operator insists, although b could have told. */
	free(t.nest[0].dir);
	t.nest[0].dir = xstrdup(old);
	start_with(&t, 0, true);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "another history"));
	ok(append(&t, 0, "and more of it"));
	start(&t, 1);
	start(&t, 2);
	for (size_t i = 0; i < 3; i++)
		await(has_health(&t, i, "S-FORK-03"));
	/* It stays so, and c hears of it from the others alone. */
	stop(&t, 0);
	stop(&t, 1);
	start(&t, 1);
	assert_true(has_health(&t, 1, "S-FORK-03"));
	assert_int_equal(log_number(&t, 1, 0, "size"), 11);
	town_close(&t);
	free(old);
}

static void an_old_copy_that_signs_alone_still_recovers_later(void **state)
{
	struct town t;
	struct node_options o = { .sign_alone = true, .signing_wait_ms = 1500 };
	struct buf why;
	char *old;

	(void)state;
	town_open(&t, 2, 10);
	old = path_join(t.root, "old");
	tmp_copy(t.nest[0].dir, old);
	start(&t, 0);
	start(&t, 1);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "after the copy"));
	await(log_number(&t, 1, 0, "size") == 11);
	stop(&t, 0);
	stop(&t, 1);
	free(t.nest[0].dir);
	t.nest[0].dir = xstrdup(old);
	o.dir = t.nest[0].dir;
	buf_init(&why, 4096);
	ok(node_start(&o, &t.node[0], &why));
	buf_free(&why);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	start(&t, 1);
	/* The partner proves more: nothing may be signed before it is here. */
	await(log_number(&t, 0, 0, "size") == 11);
	await(node_signing(t.node[0]) == SIGNING_ALLOWED);
	ok(append(&t, 0, "now"));
	await(log_number(&t, 1, 0, "size") == 12);
	assert_false(has_health(&t, 1, "S-FORK-03"));
	town_close(&t);
	free(old);
}

static void a_pin_copied_into_anothers_card_locks_nobody_out(void **state)
{
	struct nest *list[3];
	char cmd[1024];
	struct town t;

	(void)state;
	town_make(&t, 3);
	/* A, an evil member, states B's TLS key as its own. */
	snprintf(cmd, sizeof(cmd), "cp -p %s/keys/tls* %s/keys/", t.nest[1].dir,
		 t.nest[0].dir);
	assert_int_equal(system(cmd), 0);
	for (size_t i = 0; i < 3; i++) {
		nest_open(&t.nest[i]);
		list[i] = &t.nest[i];
	}
	nest_ally(list, 3);
	ok(nest_append(&t.nest[1], "rec", 10, AUDIENCE_MEMBERS));
	for (size_t i = 0; i < 3; i++)
		nest_close(&t.nest[i]);
	/* B moves: C cannot dial it any more, B has to dial C. */
	t.port[1] = free_port();
	write_config(&t, 1, "");
	start(&t, 2);
	start(&t, 1);
	await(log_number(&t, 2, 1, "size") == 10);
	town_close(&t);
}

/* ---- refusals ------------------------------------------------------------------- */

/* The steps of `peer test`, as names; the last one's code. */
static struct value report_of(struct town *t, size_t from, size_t to)
{
	struct peer_test_options o = { .home = NULL };
	struct value v;
	struct slice copy;
	struct buf out, why;

	arena_reset(&t->arena);
	buf_init(&out, NODE_DOC_BYTES_MAX);
	buf_init(&why, 4096);
	o.home = node_home(t->node[from]);
	o.member = slice_str(names[to]);
	ok(peer_test(&o, &out, &why));
	ok(arena_copy(&t->arena, buf_slice(&out), &copy));
	ok(value_decode(copy, &t->arena, &v));
	buf_free(&out);
	buf_free(&why);
	return v;
}

static void assert_test(struct town *t, size_t from, size_t to,
			const char *step, const char *code, const char *side)
{
	struct value v = report_of(t, from, to);
	const struct value *steps = value_get(&v, "steps");
	const struct value *last = &steps->items[steps->count - 1];

	assert_int_equal(value_get(&v, "ok")->b, code[0] == '\0');
	if (!slice_is(value_get_str(last, "code"), code) ||
	    !slice_is(value_get_str(last, "step"), step) ||
	    !slice_is(value_get_str(last, "side"), side)) {
		struct buf b;

		buf_init(&b, 100000);
		value_put_json(&v, &b);
		fail_msg("%.*s", (int)b.n, (const char *)b.p);
	}
}

static void a_test_of_a_peer_passes_all_steps(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	start(&t, 1);
	await(peer_is(&t, 0, 1, "state", "up"));
	assert_test(&t, 0, 1, "ping", "", "");
	/* The peers' own link is not disturbed. */
	assert_true(peer_is(&t, 0, 1, "state", "up"));
	assert_true(peer_is(&t, 1, 0, "state", "up"));
	town_close(&t);
}

static void a_test_of_a_node_that_is_down_names_the_connection(void **state)
{
	struct town t;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	assert_test(&t, 0, 1, "tcp", "P-TCP-02", "theirs");
	town_close(&t);
}

static void replace_tls_key(struct town *t, size_t i)
{
	char *keys = path_join(t->nest[i].dir, "keys");
	char *other = path_join(t->root, "other-keys");
	static const char *const files[] = { "tls.key", "tls.crt",
					     "governance.key" };

	ok(keys_create(other, slice_str(names[i]), NULL));
	for (size_t k = 0; k < 3; k++) {
		char *from = path_join(other, files[k]);
		char *to = path_join(keys, files[k]);

		/* Without the governance key no new card can be signed. */
		if (k == 2)
			assert_int_equal(unlink(to), 0);
		else
			assert_int_equal(rename(from, to), 0);
		free(from);
		free(to);
	}
	free(other);
	free(keys);
}

static void
a_key_that_is_not_pinned_is_refused_and_both_sides_see_why(void **state)
{
	struct town t;
	struct value v;

	(void)state;
	town_open(&t, 2, 1);
	replace_tls_key(&t, 1);
	start(&t, 0);
	start(&t, 1);
	/* a dials b: the key is not the one in b's card. */
	await(peer_is(&t, 0, 1, "code", "P-PIN-05"));
	/* b dials a and is refused. */
	await(peer_is(&t, 1, 0, "code", "P-TLS-04"));
	assert_true(has_health(&t, 1, "K-CARD-01"));
	v = status(&t, 0);
	assert_true(value_get(&v, "refused")->count > 0);
	assert_int_equal(
		value_get_str(&value_get(&v, "refused")->items[0], "key").n,
		64);
	assert_test(&t, 0, 1, "key", "P-PIN-05", "theirs");
	assert_test(&t, 1, 0, "hello", "P-TLS-04", "ours");
	assert_int_equal(log_number(&t, 1, 0, "size"), 0);
	town_close(&t);
}

static void another_alliance_is_refused_by_name(void **state)
{
	struct nest copy[2], *first[2], *second[3];
	struct town t;
	char *dir;

	(void)state;
	town_make(&t, 3);
	/* The same two universities, with the same keys, in two alliances. */
	for (size_t i = 0; i < 2; i++) {
		dir = path_join(t.root, i == 0 ? "a2" : "b2");
		tmp_copy(t.nest[i].dir, dir);
		nest_use(&copy[i], dir);
		free(dir);
		first[i] = &t.nest[i];
		second[i] = &copy[i];
		nest_open(first[i]);
		nest_open(second[i]);
	}
	second[2] = &t.nest[2];
	nest_open(second[2]);
	nest_ally(first, 2);
	nest_ally(second, 3);
	for (size_t i = 0; i < 3; i++)
		nest_close(second[i]);
	nest_close(first[0]);
	nest_close(first[1]);
	dir = t.nest[1].dir;
	t.nest[1].dir = copy[1].dir;
	start(&t, 0);
	start(&t, 1);
	await(peer_is(&t, 0, 1, "code", "P-ALLIANCE-08"));
	await(peer_is(&t, 1, 0, "code", "P-ALLIANCE-08"));
	assert_test(&t, 0, 1, "hello", "P-ALLIANCE-08", "theirs");
	stop(&t, 1);
	t.nest[1].dir = dir;
	nest_free(&copy[0]);
	nest_free(&copy[1]);
	town_close(&t);
}

/* ---- reload and stop -------------------------------------------------------------- */

static void a_bad_configuration_is_refused_and_the_old_one_stays(void **state)
{
	struct town t;
	struct buf why;

	(void)state;
	town_open(&t, 1, 1);
	start(&t, 0);
	buf_init(&why, 4096);
	write_config(&t, 0, "nonsense: 1\n");
	assert_int_equal(node_reload(t.node[0], &why), ERR_MALFORMED);
	assert_true(why.n > 0);
	assert_true(has_health(&t, 0, "C-RELOAD-01"));
	write_config(&t, 0, "");
	buf_reset(&why);
	ok(node_reload(t.node[0], &why));
	assert_false(has_health(&t, 0, "C-RELOAD-01"));
	buf_free(&why);
	town_close(&t);
}

static void what_needs_a_restart_is_named(void **state)
{
	struct town t;
	struct buf why;

	(void)state;
	town_open(&t, 1, 1);
	start(&t, 0);
	buf_init(&why, 4096);
	write_config(&t, 0, "control: /nowhere\n");
	assert_int_equal(node_reload(t.node[0], &why), ERR_CONFLICT);
	buf_put_u8(&why, 0);
	assert_non_null(strstr((const char *)why.p, "control"));
	buf_free(&why);
	town_close(&t);
}

/* Does anything accept connections at this port? */
static bool is_open(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool yes;

	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	yes = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return yes;
}

static void a_reload_listens_anew_or_changes_nothing(void **state)
{
	struct town t;
	struct buf why;
	unsigned first, taken;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	start(&t, 1);
	buf_init(&why, 4096);
	first = t.port[0];
	taken = t.port[0] = t.port[1];
	write_config(&t, 0, "");
	assert_int_not_equal(node_reload(t.node[0], &why), ERR_OK);
	assert_true(why.n > 0);
	assert_true(is_open(first));
	assert_true(strtoul(strrchr(node_address(t.node[0]), ':') + 1, NULL,
			    10) == first);
	assert_non_null(strrchr(node_home(t.node[0])->config.listen, ':'));
	assert_int_not_equal(
		strtoul(strrchr(node_home(t.node[0])->config.listen, ':') + 1,
			NULL, 10),
		taken);
	t.port[0] = free_port();
	write_config(&t, 0, "");
	buf_reset(&why);
	ok(node_reload(t.node[0], &why));
	assert_true(is_open(t.port[0]));
	assert_false(is_open(first));
	buf_free(&why);
	town_close(&t);
}

static void the_member_cannot_be_changed(void **state)
{
	struct town t;
	struct buf why;
	char *yaml;
	FILE *f;

	(void)state;
	town_open(&t, 1, 1);
	start(&t, 0);
	yaml = path_join(t.nest[0].dir, "symbolon.yaml");
	f = fopen(yaml, "w");
	assert_non_null(f);
	fprintf(f,
		"member: other.example\nname: Test\ncountry: DK\n"
		"listen: 127.0.0.1:%u\n",
		t.port[0]);
	fclose(f);
	free(yaml);
	buf_init(&why, 4096);
	assert_int_equal(node_reload(t.node[0], &why), ERR_MALFORMED);
	buf_put_u8(&why, 0);
	assert_non_null(
		strstr((const char *)why.p, "the member is fixed at init"));
	buf_free(&why);
	town_close(&t);
}

/* Of @of's card as node @at holds it. */
static uint64_t card_version(struct town *t, size_t at, size_t of)
{
	struct members *m = members_hold(node_home(t->node[at])->members);
	uint64_t version = members_card(m, slice_str(names[of]))->version;

	members_release(m);
	return version;
}

static void a_moved_node_signs_a_new_card_that_reaches_the_others(void **state)
{
	struct town t;
	struct buf why;
	struct value v;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	start(&t, 1);
	await(peer_is(&t, 0, 1, "state", "up"));
	t.port[0] = free_port();
	write_config(&t, 0, "");
	buf_init(&why, 4096);
	ok(node_reload(t.node[0], &why));
	buf_free(&why);
	v = status(&t, 0);
	assert_non_null(
		strchr((const char *)value_get_str(&v, "listen").p, ':'));
	await(card_version(&t, 1, 0) == 2);
	stop(&t, 1);
	start(&t, 1);
	await(peer_is(&t, 1, 0, "state", "up"));
	town_close(&t);
}

static void a_stop_is_quick_with_links_up(void **state)
{
	struct town t;
	uint64_t before;

	(void)state;
	town_open(&t, 2, 1);
	start(&t, 0);
	start(&t, 1);
	await(peer_is(&t, 0, 1, "state", "up"));
	before = now();
	stop(&t, 0);
	assert_true(now() - before < NODE_STOP_MS);
	await(peer_is(&t, 1, 0, "state", "down"));
	assert_true(peer_is(&t, 1, 0, "code", "P-STOPPED-12") ||
		    peer_is(&t, 1, 0, "code", "P-TCP-02"));
	town_close(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			three_nodes_hold_each_others_logs_and_countersign),
		cmocka_unit_test(
			a_new_record_reaches_the_others_and_is_countersigned),
		cmocka_unit_test(a_log_is_relayed_while_its_owner_is_away),
		cmocka_unit_test(a_node_that_was_away_catches_up),
		cmocka_unit_test(a_large_log_is_caught_up_in_many_chunks),
		cmocka_unit_test(
			a_question_goes_to_another_node_and_its_answer_comes_back),
		cmocka_unit_test(bodies_that_are_missing_are_fetched),
		cmocka_unit_test(without_an_alliance_a_new_node_signs_at_once),
		cmocka_unit_test(
			an_old_copy_recovers_from_a_partner_before_it_signs),
		cmocka_unit_test(
			two_histories_are_proved_and_frozen_everywhere),
		cmocka_unit_test(
			an_old_copy_that_signs_alone_still_recovers_later),
		cmocka_unit_test(
			a_pin_copied_into_anothers_card_locks_nobody_out),
		cmocka_unit_test(a_test_of_a_peer_passes_all_steps),
		cmocka_unit_test(
			a_test_of_a_node_that_is_down_names_the_connection),
		cmocka_unit_test(
			a_key_that_is_not_pinned_is_refused_and_both_sides_see_why),
		cmocka_unit_test(another_alliance_is_refused_by_name),
		cmocka_unit_test(
			a_bad_configuration_is_refused_and_the_old_one_stays),
		cmocka_unit_test(what_needs_a_restart_is_named),
		cmocka_unit_test(a_reload_listens_anew_or_changes_nothing),
		cmocka_unit_test(the_member_cannot_be_changed),
		cmocka_unit_test(
			a_moved_node_signs_a_new_card_that_reaches_the_others),
		cmocka_unit_test(a_stop_is_quick_with_links_up),
	};

	if (argc > 1) /* only those that match, with * and ? */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
