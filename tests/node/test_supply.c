/* What is read for peers: whole and folding for those who may, leaves only
 * for those who may not; forks proved, honest heads not. */

#define _GNU_SOURCE /* memmem */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/nest.h"
#include "node/disk.h"
#include "node/supply.h"
#include "proto/log.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ORIGIN SLICE_LIT("a.example/symbolon/1")

/* ---- fixture: a's node holds 300 records for all and 50 for itself ------- */

struct fixture {
	char *root;
	struct nest a, b;
	struct supply supply;
	struct arena arena;
	struct buf frame, note;
	struct store_head head;
};

static void set_up(struct fixture *f)
{
	struct nest *both[2] = { &f->a, &f->b };

	memset(f, 0, sizeof(*f));
	f->root = tmp_make();
	nest_make(&f->a, f->root, "a.example");
	nest_make(&f->b, f->root, "b.example");
	nest_open(&f->a);
	nest_open(&f->b);
	nest_ally(both, 2);
	ok(nest_append(&f->a, "shared-", 300, AUDIENCE_MEMBERS));
	ok(nest_append(&f->a, "private-", 50, AUDIENCE_OWN));
	f->supply = (struct supply){ f->a.home.store, f->a.home.vault,
				     f->a.home.members };
	arena_init(&f->arena, 64u << 20);
	buf_init(&f->frame, LIMIT_FRAME_BYTES + MESSAGE_PREFIX_BYTES);
	buf_init(&f->note, LIMIT_NOTE_BYTES);
	f->head = nest_head(&f->a, ORIGIN, &f->note);
}

static void tear_down(struct fixture *f)
{
	nest_free(&f->a);
	nest_free(&f->b);
	arena_free(&f->arena);
	buf_free(&f->frame);
	buf_free(&f->note);
	tmp_remove(f->root);
}

/* ---- helpers ------------------------------------------------------------------ */

static struct supply_chunk a_want(struct fixture *f, uint64_t from,
				  uint32_t bytes, const char *reader)
{
	return (struct supply_chunk){
		.origin = ORIGIN,
		.job = 7,
		.from = from,
		.bytes = bytes,
		.head = f->head.noted,
		.note = buf_slice(&f->note),
		.reader = slice_str(reader),
	};
}

/* Read one chunk and decode it; returns the place behind its last record. */
static uint64_t read_chunk(struct fixture *f, const struct supply_chunk *want,
			   struct message_chunk *c, struct record **records)
{
	struct message m;
	uint32_t bytes;
	uint64_t to;

	buf_reset(&f->frame);
	ok(supply_chunk(&f->supply, want, &f->frame, &to, &bytes));
	ok(message_decode(slice_sub(buf_slice(&f->frame), 4, f->frame.n - 4),
			  &f->arena, &m, NULL));
	assert_int_equal(m.type, MSG_CHUNK);
	assert_int_equal(m.chunk.job, 7);
	assert_int_equal(m.chunk.from, want->from);
	assert_int_equal(m.chunk.from + m.chunk.count, to);
	assert_int_equal(m.chunk.entries.n, bytes);
	ok(message_records(&m.chunk, &f->arena, records));
	*c = m.chunk;
	return to;
}

static uint32_t bodies_in(const struct message_chunk *c,
			  const struct record *records)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		assert_int_equal(records[i].body.n > 0, records[i].salt.n > 0);
		n += records[i].body.n > 0;
	}
	return n;
}

struct accepting {
	const struct message_chunk *c;
	const struct record *records;
};

static enum err accept(struct writer_txn *t, void *arg)
{
	const struct accepting *a = arg;
	struct writer_chunk chunk = {
		.from = a->c->from,
		.note = a->c->note,
		.count = a->c->count,
		.records = a->records,
		.right = a->c->right,
		.right_count = a->c->right_count,
	};
	enum err err = store_log_find(writer_store(t), ORIGIN, &chunk.log);

	return err == ERR_OK ? writer_accept(t, &chunk) : err;
}

/* ---- chunks --------------------------------------------------------------------- */

static void chunks_of_any_size_fold_at_the_receiver(void **state)
{
	static const uint32_t sizes[] = { 1, 500, 5000, LIMIT_CHUNK_BYTES };
	struct record *records;
	struct message_chunk c;
	struct supply_chunk want;
	struct accepting a;
	struct fixture f;
	uint64_t at = 0;

	(void)state;
	set_up(&f);
	for (size_t i = 0; at < 350; i++) {
		want = a_want(&f, at, sizes[i < 30 ? i % 3 : 3], "b.example");
		at = read_chunk(&f, &want, &c, &records);
		a = (struct accepting){ &c, records };
		ok(nest_run(&f.b, accept, &a));
	}
	assert_int_equal(at, 350);
	nest_check(&f.b, ORIGIN);
	tear_down(&f);
}

static void
a_chunk_holds_at_least_one_record_and_at_most_what_was_asked(void **state)
{
	struct record *records;
	struct message_chunk c;
	struct supply_chunk want;
	struct fixture f;

	(void)state;
	set_up(&f);
	want = a_want(&f, 0, 1, "b.example");
	assert_int_equal(read_chunk(&f, &want, &c, &records), 1);
	want = a_want(&f, 0, 3000, "b.example");
	assert_true(read_chunk(&f, &want, &c, &records) > 1);
	assert_true(c.entries.n <= 3000);
	want = a_want(&f, 349, LIMIT_CHUNK_BYTES, "b.example");
	assert_int_equal(read_chunk(&f, &want, &c, &records), 350);
	assert_int_equal(c.right_count, 0);
	tear_down(&f);
}

static void bodies_go_only_to_those_who_may_read_them(void **state)
{
	static const struct {
		const char *reader;
		uint32_t bodies; /* of 300 for members, 50 for the owner */
	} cases[] = {
		{ "b.example", 300 },
		{ "a.example", 350 },
		{ "stranger.example", 0 },
	};
	struct record *records;
	struct message_chunk c;
	struct supply_chunk want;
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		want = a_want(&f, 0, LIMIT_CHUNK_BYTES, cases[i].reader);
		assert_int_equal(read_chunk(&f, &want, &c, &records), 350);
		assert_int_equal(bodies_in(&c, records), cases[i].bodies);
	}
	tear_down(&f);
}

static void no_byte_of_a_private_salt_or_body_is_in_the_frame(void **state)
{
	struct record *records;
	struct message_chunk c;
	struct supply_chunk want;
	struct record stored;
	struct store_txn *t;
	struct fixture f;
	uint8_t salt[LIMIT_SALT_BYTES];

	(void)state;
	set_up(&f);
	want = a_want(&f, 300, LIMIT_CHUNK_BYTES, "b.example");
	read_chunk(&f, &want, &c, &records);
	ok(store_read(f.a.home.store, &t));
	for (uint64_t seq = 300; seq < 350; seq++) {
		ok(store_record_get(t, f.a.home.own_log, seq, &stored));
		ok(vault_get(f.a.home.vault, f.a.home.own_log, seq, salt));
		assert_true(stored.body.n > 16);
		assert_null(memmem(f.frame.p, f.frame.n, salt, 16));
		assert_null(memmem(f.frame.p, f.frame.n, stored.body.p, 16));
	}
	store_abort(t);
	tear_down(&f);
}

static void what_is_not_there_is_not_found(void **state)
{
	struct supply_chunk want;
	struct fixture f;
	uint32_t bytes;
	uint64_t to;

	(void)state;
	set_up(&f);
	want = a_want(&f, 350, 1000, "b.example");
	assert_int_equal(supply_chunk(&f.supply, &want, &f.frame, &to, &bytes),
			 ERR_NOT_FOUND);
	want = a_want(&f, 0, 1000, "b.example");
	want.origin = SLICE_LIT("z.example/symbolon/1");
	assert_int_equal(supply_chunk(&f.supply, &want, &f.frame, &to, &bytes),
			 ERR_NOT_FOUND);
	assert_int_equal(f.frame.n, 0);
	tear_down(&f);
}

/* ---- bodies, documents ------------------------------------------------------------- */

static void asked_bodies_come_or_are_told_absent(void **state)
{
	uint64_t seqs[] = { 0, 299, 300, 349, 350, 1000000 };
	struct message_want_bodies want = { ORIGIN, 6, seqs };
	struct message_bodies bodies;
	struct fixture f;

	(void)state;
	set_up(&f);
	ok(supply_bodies(&f.supply, &want, SLICE_LIT("b.example"), &f.arena,
			 &bodies));
	assert_int_equal(bodies.count, 2);
	assert_int_equal(bodies.bodies[1].seq, 299);
	assert_int_equal(bodies.bodies[1].salt.n, LIMIT_SALT_BYTES);
	assert_int_equal(bodies.absent_count, 4);
	assert_int_equal(bodies.absent[0], 300);
	ok(supply_bodies(&f.supply, &want, SLICE_LIT("a.example"), &f.arena,
			 &bodies));
	assert_int_equal(bodies.count, 4);
	tear_down(&f);
}

static void missing_bodies_are_those_that_may_be_here_and_are_not(void **state)
{
	struct supply at_b;
	struct supply_missing want = { .origin = ORIGIN,
				       .self = SLICE_LIT("b.example"),
				       .max = 100 };
	struct nest_chunk chunk;
	uint64_t seqs[100], next;
	uint32_t count;
	struct fixture f;

	(void)state;
	set_up(&f);
	at_b = (struct supply){ f.b.home.store, f.b.home.vault,
				f.b.home.members };
	assert_int_equal(supply_missing(&at_b, &want, seqs, &count, &next),
			 ERR_NOT_FOUND);
	nest_read(&f.a, ORIGIN, 0, 350, false, &f.arena, &chunk);
	ok(nest_accept(&f.b, &chunk));
	ok(supply_missing(&at_b, &want, seqs, &count, &next));
	assert_int_equal(count, 100);
	assert_int_equal(next, 100);
	want.from = 250;
	ok(supply_missing(&at_b, &want, seqs, &count, &next));
	assert_int_equal(count, 50); /* not the private ones */
	assert_int_equal(seqs[49], 299);
	assert_int_equal(next, 0);
	tear_down(&f);
}

static void documents_come_by_version_or_the_newest(void **state)
{
	struct message_want_doc want = { DOC_ROSTER, { NULL, 0 }, 0 };
	struct message_doc doc;
	struct fixture f;

	(void)state;
	set_up(&f);
	ok(supply_doc(&f.supply, &want, &f.arena, &doc));
	assert_int_equal(doc.version, 1);
	assert_true(doc.note.n > 100);
	want = (struct message_want_doc){ DOC_CARD, SLICE_LIT("b.example"), 0 };
	ok(supply_doc(&f.supply, &want, &f.arena, &doc));
	assert_int_equal(doc.version, 1);
	want.version = 2;
	assert_int_equal(supply_doc(&f.supply, &want, &f.arena, &doc),
			 ERR_NOT_FOUND);
	tear_down(&f);
}

/* ---- heads --------------------------------------------------------------------------- */

/* A head of @size of a's log, signed by its key; the root is the tree's own,
 * or another. */
static struct head sign_head(struct fixture *f, uint64_t size, bool honest,
			     struct buf *note)
{
	struct store_source source = { .log = f->a.home.own_log };
	struct merkle_source src;
	struct frontier at;
	struct head head;

	ok(store_read(f->a.home.store, &source.txn));
	src = store_source_of(&source);
	ok(merkle_frontier_at(&src, size, &at));
	head = frontier_head(&at);
	store_abort(source.txn);
	if (!honest)
		head.root.b[0] ^= 1;
	buf_reset(note);
	log_sign_head(ORIGIN, &head, &f->a.home.keys.log.key,
		      f->a.home.keys.log.secret, note);
	return head;
}

static void an_older_head_of_the_same_tree_is_accepted(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 255, 256, 257, 300, 350 };
	struct message_fork fork;
	struct fixture f;
	struct head head;
	struct buf note;

	(void)state;
	set_up(&f);
	buf_init(&note, LIMIT_NOTE_BYTES);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		head = sign_head(&f, sizes[i], true, &note);
		ok(supply_check(&f.supply, ORIGIN, &head, buf_slice(&note),
				&f.arena, &fork));
	}
	buf_free(&note);
	tear_down(&f);
}

static void a_head_of_another_tree_is_proved_a_fork(void **state)
{
	static const uint64_t sizes[] = { 1, 7, 256, 300, 350 };
	struct message_fork fork;
	struct fixture f;
	struct head head;
	struct buf note;

	(void)state;
	set_up(&f);
	buf_init(&note, LIMIT_NOTE_BYTES);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		head = sign_head(&f, sizes[i], false, &note);
		assert_int_equal(supply_check(&f.supply, ORIGIN, &head,
					      buf_slice(&note), &f.arena,
					      &fork),
				 ERR_FORK);
		assert_int_equal(merkle_judge_fork(&head, &f.head.noted,
						   fork.left, fork.left_count,
						   fork.right,
						   fork.right_count),
				 ERR_FORK);
		assert_true(slice_equal(fork.note_b, buf_slice(&f.note)));
	}
	buf_free(&note);
	tear_down(&f);
}

static void a_head_beyond_what_is_held_cannot_be_judged(void **state)
{
	struct head head = { .size = 351 };
	struct message_fork fork;
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(supply_check(&f.supply, ORIGIN, &head,
				      slice_of(NULL, 0), &f.arena, &fork),
			 ERR_NOT_FOUND);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_of_any_size_fold_at_the_receiver),
		cmocka_unit_test(
			a_chunk_holds_at_least_one_record_and_at_most_what_was_asked),
		cmocka_unit_test(bodies_go_only_to_those_who_may_read_them),
		cmocka_unit_test(
			no_byte_of_a_private_salt_or_body_is_in_the_frame),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(asked_bodies_come_or_are_told_absent),
		cmocka_unit_test(
			missing_bodies_are_those_that_may_be_here_and_are_not),
		cmocka_unit_test(documents_come_by_version_or_the_newest),
		cmocka_unit_test(an_older_head_of_the_same_tree_is_accepted),
		cmocka_unit_test(a_head_of_another_tree_is_proved_a_fork),
		cmocka_unit_test(a_head_beyond_what_is_held_cannot_be_judged),
	};

	return cmocka_run_group_tests_name("supply", tests, NULL, NULL);
}
