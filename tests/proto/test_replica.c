#include "proto/replica.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/signer.h"

#define ORIGIN "a.eu/symbolon/1"
#define LINK 5u

/* Fixture: a log of 16 leaves, signed at every size, and two witnesses. */

struct fixture {
	struct signer log, witness[2], stranger;
	struct descriptor cards[2];
	struct descriptor_log range;
	struct replica_keys keys;
	struct head heads[17];
	struct frontier frontiers[17];
	struct replica r;
	struct arena arena;
};

static void make_tree(struct fixture *f)
{
	struct frontier at;

	frontier_init(&at);
	for (uint8_t i = 0; i < 17; i++) {
		struct digest leaf = hash_leaf(slice_of(&i, 1));

		f->frontiers[i] = at;
		f->heads[i] = frontier_head(&at);
		frontier_push(&at, &leaf, NULL, NULL);
	}
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->log = a_signer(ORIGIN, NOTE_ED25519);
	f->witness[0] = a_signer("a.eu/witness", NOTE_COSIGNATURE);
	f->witness[1] = a_signer("b.eu/witness", NOTE_COSIGNATURE);
	f->stranger = a_signer("c.eu/witness", NOTE_COSIGNATURE);
	f->range =
		(struct descriptor_log){ slice_str(ORIGIN), f->log.key, 0, 16 };
	f->cards[0].member = slice_str("a.eu");
	f->cards[0].logs = &f->range;
	f->cards[0].log_count = 1;
	f->cards[1].member = slice_str("b.eu");
	for (uint32_t i = 0; i < 2; i++)
		f->cards[i].witness = f->witness[i].key;
	f->keys = (struct replica_keys){ &f->cards[0], f->cards, 2 };
	arena_init(&f->arena, 4u << 20);
	make_tree(f);
	replica_init(&f->r, slice_str(ORIGIN), 0, false);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	replica_free(&f->r);
	arena_free(&f->arena);
	free(f);
	return 0;
}

/* Helpers. */

static struct buf note_of(struct fixture *f, uint64_t size)
{
	struct buf b;

	buf_init(&b, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(ORIGIN), &f->heads[size], &f->log.key,
		      f->log.secret, &b);
	return b;
}

static void cosign(struct fixture *f, struct buf *note, uint64_t size,
		   const struct signer *w, uint64_t at)
{
	log_cosign(slice_str(ORIGIN), &f->heads[size], &w->key, w->secret, at,
		   note);
}

static enum err check(struct fixture *f, struct slice raw, struct head *head,
		      struct slice *clean)
{
	return replica_check_note(&f->r, raw, &f->keys, &f->arena, head, clean);
}

static enum err check_only(struct fixture *f, struct slice raw)
{
	struct slice clean;
	struct head head;

	return check(f, raw, &head, &clean);
}

static void hold_all(struct fixture *f, uint64_t size)
{
	struct buf b = note_of(f, size);

	assert_int_equal(
		replica_set_held(&f->r, size, buf_slice(&b), &f->arena),
		ERR_OK);
	buf_free(&b);
}

static struct message_want start(struct fixture *f, uint64_t target)
{
	struct message_want want;

	assert_true(replica_start(&f->r, LINK, 1, target, 1000,
				  LIMIT_CREDIT_LINK_BYTES, &want));
	return want;
}

static uint8_t frame_bytes[LIMIT_CHUNK_BYTES];

/* A chunk of @bytes in @count records at the place expected. */
static struct message_chunk a_chunk(struct fixture *f, uint32_t count,
				    size_t bytes)
{
	return (struct message_chunk){
		.origin = slice_str(ORIGIN),
		.job = f->r.job,
		.from = f->r.received,
		.count = count,
		.entries = slice_of(frame_bytes, bytes),
	};
}

static const struct held_chunk *hold(struct fixture *f, uint32_t count,
				     size_t bytes, uint64_t id)
{
	struct message_chunk c = a_chunk(f, count, bytes);

	assert_int_equal(replica_admit(&f->r, LINK, &c), ERR_OK);
	return replica_hold(&f->r, slice_of(frame_bytes, bytes), &c,
			    &f->heads[16], SLICE_LIT("note"), id, 2000);
}

/* Notes. */

static void a_signed_head_is_taken(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 5);
	struct slice clean;
	struct head head;

	assert_int_equal(check(f, buf_slice(&b), &head, &clean), ERR_OK);
	assert_true(head_equal(&head, &f->heads[5]));
	assert_true(slice_equal(clean, buf_slice(&b)));
	buf_free(&b);
}

static void lines_of_strangers_are_dropped(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 5), want = note_of(f, 5);
	struct slice clean;
	struct head head;

	cosign(f, &b, 5, &f->stranger, 100);
	cosign(f, &b, 5, &f->witness[1], 100);
	cosign(f, &want, 5, &f->witness[1], 100);
	assert_int_equal(check(f, buf_slice(&b), &head, &clean), ERR_OK);
	assert_true(slice_equal(clean, buf_slice(&want)));
	buf_free(&b);
	buf_free(&want);
}

static void a_line_that_does_not_verify_spoils_the_note(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 5);

	/* A cosignature on another head. */
	cosign(f, &b, 6, &f->witness[1], 100);
	assert_int_equal(check_only(f, buf_slice(&b)), ERR_INVALID);
	/* Nothing of it is remembered. */
	assert_int_equal(f->r.seen_raw.n, 0);
	buf_free(&b);
}

static void notes_of_others_and_without_a_key_are_refused(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 16), c;
	struct checkpoint other = { SLICE_LIT("b.eu/symbolon/1"), f->heads[5] };

	/* The key's range ends at 16. */
	assert_int_equal(check_only(f, buf_slice(&b)), ERR_OK);
	f->range.to = 15;
	buf_reset(&f->r.seen_raw);
	assert_int_equal(check_only(f, buf_slice(&b)), ERR_DENIED);
	f->keys.owner = NULL;
	assert_int_equal(check_only(f, buf_slice(&b)), ERR_DENIED);
	buf_init(&c, LIMIT_NOTE_BYTES);
	checkpoint_put(&other, &c);
	buf_put_u8(&c, '\n');
	note_sign(&f->log.key, f->log.secret,
		  slice_sub(buf_slice(&c), 0, c.n - 1), 0, &c);
	assert_int_equal(check_only(f, buf_slice(&c)), ERR_CONFLICT);
	assert_int_equal(check_only(f, SLICE_LIT("no note")), ERR_MALFORMED);
	buf_free(&b);
	buf_free(&c);
}

static void a_note_without_the_logs_signature_is_refused(void **state)
{
	struct fixture *f = *state;
	struct checkpoint c = { SLICE_LIT(ORIGIN), f->heads[5] };
	struct buf b;

	buf_init(&b, LIMIT_NOTE_BYTES);
	checkpoint_put(&c, &b);
	buf_put_u8(&b, '\n');
	cosign(f, &b, 5, &f->witness[0], 100);
	assert_int_equal(check_only(f, buf_slice(&b)), ERR_INVALID);
	buf_free(&b);
}

static void newer_cosignatures_are_merged_in(void **state)
{
	struct fixture *f = *state;
	struct buf own = note_of(f, 5), b = note_of(f, 5), want = note_of(f, 5);

	cosign(f, &own, 5, &f->witness[0], 100);
	cosign(f, &b, 5, &f->witness[0], 200);
	cosign(f, &b, 5, &f->witness[1], 50);
	cosign(f, &want, 5, &f->witness[0], 200);
	cosign(f, &want, 5, &f->witness[1], 50);
	assert_int_equal(replica_set_held(&f->r, 5, buf_slice(&own), &f->arena),
			 ERR_OK);
	assert_true(replica_merge_note(&f->r, buf_slice(&b), &f->arena));
	assert_true(slice_equal(buf_slice(&f->r.note), buf_slice(&want)));
	/* Once more, or an older one: nothing changes. */
	assert_false(replica_merge_note(&f->r, buf_slice(&b), &f->arena));
	assert_false(replica_merge_note(&f->r, buf_slice(&own), &f->arena));
	buf_free(&own);
	buf_free(&b);
	buf_free(&want);
}

static void a_note_of_another_head_is_not_merged(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 6);

	hold_all(f, 5);
	assert_false(replica_merge_note(&f->r, buf_slice(&b), &f->arena));
	buf_free(&b);
}

static void a_cosignature_on_a_remembered_head_counts(void **state)
{
	struct fixture *f = *state;
	bool changed;
	struct buf line;
	enum err err;

	buf_init(&line, LIMIT_NOTE_BYTES);
	hold_all(f, 5);
	hold_all(f, 6);
	cosign(f, &line, 5, &f->witness[1], 100);
	err = replica_add_cosignature(&f->r, 5, buf_slice(&line),
				      &f->witness[1].key, &f->arena, &changed);
	assert_int_equal(err, ERR_OK);
	assert_false(changed); /* not the newest head */
	buf_reset(&line);
	cosign(f, &line, 6, &f->witness[1], 100);
	err = replica_add_cosignature(&f->r, 6, buf_slice(&line),
				      &f->witness[1].key, &f->arena, &changed);
	assert_int_equal(err, ERR_OK);
	assert_true(changed);
	/* Not its line; a head that is not remembered; no line at all. */
	assert_int_equal(replica_add_cosignature(&f->r, 6, buf_slice(&line),
						 &f->witness[0].key, &f->arena,
						 &changed),
			 ERR_INVALID);
	assert_int_equal(replica_add_cosignature(&f->r, 4, buf_slice(&line),
						 &f->witness[1].key, &f->arena,
						 &changed),
			 ERR_NOT_FOUND);
	assert_int_equal(replica_add_cosignature(&f->r, 6, SLICE_LIT("x"),
						 &f->witness[1].key, &f->arena,
						 &changed),
			 ERR_MALFORMED);
	buf_free(&line);
}

/* Heads. */

static void heads_are_related_to_what_is_held(void **state)
{
	struct fixture *f = *state;
	struct head other = f->heads[6];

	other.root.b[0] ^= 1;
	hold_all(f, 4);
	hold_all(f, 6);
	assert_int_equal(replica_relate(&f->r, &f->heads[6]), HEAD_KNOWN);
	assert_int_equal(replica_relate(&f->r, &f->heads[4]), HEAD_KNOWN);
	assert_int_equal(replica_relate(&f->r, &f->heads[0]), HEAD_KNOWN);
	assert_int_equal(replica_relate(&f->r, &f->heads[5]), HEAD_TO_CHECK);
	assert_int_equal(replica_relate(&f->r, &other), HEAD_TO_CHECK);
	assert_int_equal(replica_relate(&f->r, &f->heads[7]), HEAD_AHEAD);
	f->r.final = 7;
	assert_int_equal(replica_relate(&f->r, &f->heads[7]), HEAD_AHEAD);
	assert_int_equal(replica_relate(&f->r, &f->heads[8]),
			 HEAD_BEYOND_FINAL);
}

static void checks_are_bounded_and_not_doubled(void **state)
{
	struct fixture *f = *state;
	uint64_t id = 1;

	hold_all(f, 16);
	for (; id <= LIMIT_CHECKS_LOG; id++)
		assert_non_null(replica_add_check(&f->r, &f->heads[id],
						  SLICE_LIT("n"), id));
	assert_null(replica_add_check(&f->r, &f->heads[1], SLICE_LIT("n"), 9));
	assert_null(replica_add_check(&f->r, &f->heads[9], SLICE_LIT("n"), 9));
	replica_end_check(replica_find_check(&f->r, 2));
	assert_null(replica_find_check(&f->r, 2));
	assert_null(replica_find_check(&f->r, 0));
	assert_null(replica_add_check(&f->r, &f->heads[1], SLICE_LIT("n"), 9));
	assert_non_null(
		replica_add_check(&f->r, &f->heads[9], SLICE_LIT("n"), 9));
}

static void a_checked_head_is_adopted_when_it_is_the_newest(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 6);

	hold_all(f, 4);
	assert_int_equal(
		replica_set_held(&f->r, 7, slice_of(NULL, 0), &f->arena),
		ERR_OK);
	assert_int_equal(f->r.head.size, 4);
	assert_true(replica_adopt(&f->r, &f->heads[6], buf_slice(&b)));
	assert_int_equal(f->r.head.size, 6);
	assert_false(replica_adopt(&f->r, &f->heads[5], buf_slice(&b)));
	assert_int_equal(replica_relate(&f->r, &f->heads[5]), HEAD_KNOWN);
	buf_free(&b);
}

static void a_note_beyond_what_is_held_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buf b = note_of(f, 6);

	assert_int_equal(replica_set_held(&f->r, 5, buf_slice(&b), &f->arena),
			 ERR_BAD_STATE);
	assert_int_equal(f->r.head.size, 0);
	buf_free(&b);
}

/* Credit. */

static void a_job_begins_at_the_own_size(void **state)
{
	struct fixture *f = *state;
	struct message_want want;

	hold_all(f, 4);
	want = start(f, 16);
	assert_int_equal(want.from, 4);
	assert_int_equal(want.job, 1);
	assert_int_equal(want.credit, REPLICA_WINDOW_MAX_BYTES);
	assert_true(replica_is_busy(&f->r));
	assert_int_equal(replica_deadline(&f->r), 1000 + REPLICA_STALL_MS);
}

static void a_follower_gets_little_credit_and_no_deadline(void **state)
{
	struct fixture *f = *state;
	struct message_want want;

	hold_all(f, 4);
	want = start(f, 4);
	assert_int_equal(want.credit, REPLICA_WINDOW_MIN_BYTES);
	assert_false(replica_is_busy(&f->r));
	assert_int_equal(replica_deadline(&f->r), UINT64_MAX);
}

static void a_link_without_credit_begins_no_job(void **state)
{
	struct fixture *f = *state;
	struct message_want want;

	assert_false(replica_start(&f->r, LINK, 1, 16, 1000,
				   REPLICA_WINDOW_MIN_BYTES - 1, &want));
	assert_int_equal(f->r.source, REPLICA_NO_LINK);
	assert_true(replica_start(&f->r, LINK, 1, 16, 1000,
				  REPLICA_WINDOW_MIN_BYTES, &want));
	assert_int_equal(want.credit, REPLICA_WINDOW_MIN_BYTES);
}

static void credit_is_renewed_before_it_is_used_up(void **state)
{
	struct fixture *f = *state;
	uint64_t sent = 0, granted = start(f, 16).credit;
	struct message_want want;
	bool starved;

	/* A source that sends as much as it may, a node that stores at once:
	 * the stream never stops. */
	for (uint64_t id = 1; id <= 15; id++) {
		size_t bytes = LIMIT_CHUNK_BYTES;

		assert_true(granted - sent >= bytes);
		(void)hold(f, 1, bytes, id);
		sent += bytes;
		f->r.durable++;
		assert_true(replica_release(&f->r, id, true));
		if (replica_top_up(&f->r,
				   LIMIT_CREDIT_LINK_BYTES - f->r.granted,
				   &want, &starved))
			granted += want.credit;
		assert_int_equal(granted - sent, f->r.granted);
		assert_true(f->r.granted <= REPLICA_WINDOW_MAX_BYTES);
	}
}

static void what_waits_to_be_stored_takes_credit(void **state)
{
	struct fixture *f = *state;
	struct message_want want;
	uint64_t id = 0;
	bool starved;

	(void)start(f, 1000);
	/* Nothing is stored: in the end nothing more is granted. */
	while (f->r.granted > 0) {
		(void)hold(f, 1, LIMIT_CHUNK_BYTES, ++id);
		(void)replica_top_up(&f->r, LIMIT_CREDIT_LINK_BYTES, &want,
				     &starved);
		assert_true(f->r.granted + f->r.held_bytes <=
			    REPLICA_HELD_MAX_BYTES);
	}
	assert_int_equal(f->r.held_bytes, REPLICA_HELD_MAX_BYTES);
	assert_false(replica_top_up(&f->r, LIMIT_CREDIT_LINK_BYTES, &want,
				    &starved));
	assert_false(starved);
	f->r.durable++;
	assert_true(replica_release(&f->r, 1, true));
	assert_true(replica_top_up(&f->r, LIMIT_CREDIT_LINK_BYTES, &want,
				   &starved));
	assert_int_equal(want.job, 1);
	assert_int_equal(want.credit, LIMIT_CHUNK_BYTES);
}

static void a_starved_job_says_so(void **state)
{
	struct fixture *f = *state;
	struct message_want want;
	bool starved;

	assert_true(replica_start(&f->r, LINK, 1, 16, 1000,
				  REPLICA_WINDOW_MIN_BYTES, &want));
	(void)hold(f, 1, REPLICA_WINDOW_MIN_BYTES, 1);
	f->r.durable++;
	assert_true(replica_release(&f->r, 1, true));
	assert_false(replica_top_up(&f->r, 0, &want, &starved));
	assert_true(starved);
	assert_int_equal(replica_deadline(&f->r), UINT64_MAX);
}

/* Chunks. */

static void chunks_are_admitted_by_job_place_and_credit(void **state)
{
	struct fixture *f = *state;
	struct message_chunk c, good;

	(void)start(f, 16);
	good = a_chunk(f, 3, 1000);
	assert_int_equal(replica_admit(&f->r, LINK, &good), ERR_OK);
	assert_int_equal(replica_admit(&f->r, LINK + 1, &good), ERR_NOT_FOUND);
	c = good;
	c.job++;
	assert_int_equal(replica_admit(&f->r, LINK, &c), ERR_NOT_FOUND);
	c = good;
	c.from++;
	assert_int_equal(replica_admit(&f->r, LINK, &c), ERR_CONFLICT);
	f->r.granted = 999;
	assert_int_equal(replica_admit(&f->r, LINK, &good), ERR_LIMIT);
	f->r.granted = 1000;
	assert_int_equal(replica_admit(&f->r, LINK, &good), ERR_OK);
	f->r.frozen = true;
	assert_int_equal(replica_admit(&f->r, LINK, &good), ERR_NOT_FOUND);
}

static void a_held_chunk_is_a_copy(void **state)
{
	struct fixture *f = *state;
	const struct held_chunk *h;

	(void)start(f, 16);
	memset(frame_bytes, 'x', 100);
	h = hold(f, 3, 100, 7);
	memset(frame_bytes, 'y', 100);
	assert_int_equal(h->chunk.entries.n, 100);
	assert_int_equal(h->chunk.entries.p[99], 'x');
	assert_true(slice_is(h->chunk.note, "note"));
	assert_true(slice_is(h->chunk.origin, ORIGIN));
	assert_int_equal(f->r.received, 3);
	assert_int_equal(f->r.target, 16);
	assert_int_equal(f->r.progress_ms, 2000);
}

static void too_many_held_chunks_are_busy(void **state)
{
	struct fixture *f = *state;
	struct message_chunk c;

	(void)start(f, 1000);
	for (uint64_t id = 1; id <= LIMIT_HELD_CHUNKS; id++)
		(void)hold(f, 1, 10, id);
	c = a_chunk(f, 1, 10);
	assert_int_equal(replica_admit(&f->r, LINK, &c), ERR_BUSY);
}

static void a_failed_chunk_drains_those_behind_it(void **state)
{
	struct fixture *f = *state;
	struct message_chunk c;

	hold_all(f, 2);
	(void)start(f, 16);
	(void)hold(f, 1, 10, 1);
	(void)hold(f, 1, 10, 2);
	assert_true(replica_release(&f->r, 1, false));
	assert_true(f->r.draining);
	assert_int_equal(f->r.source, REPLICA_NO_LINK);
	c = a_chunk(f, 1, 10);
	assert_int_equal(replica_admit(&f->r, LINK, &c), ERR_NOT_FOUND);
	assert_true(replica_release(&f->r, 2, false));
	assert_false(replica_release(&f->r, 2, false)); /* gone */
	assert_false(f->r.draining);
	assert_int_equal(f->r.received, 2);
	assert_int_equal(start(f, 16).from, 2);
}

static void a_refusal_may_overtake_a_success(void **state)
{
	struct fixture *f = *state;

	(void)start(f, 16);
	(void)hold(f, 1, 10, 1);
	(void)hold(f, 1, 10, 2);
	(void)hold(f, 1, 10, 3);
	assert_true(replica_release(&f->r, 2, false));
	f->r.durable = 1;
	assert_true(replica_release(&f->r, 1, true));
	assert_true(f->r.draining);
	assert_true(replica_release(&f->r, 3, false));
	assert_int_equal(f->r.held_bytes, 0);
	assert_int_equal(f->r.received, 1);
	assert_int_equal(start(f, 16).from, 1);
}

/* Forks. */

static void evidence_is_judged(void **state)
{
	struct fixture *f = *state;
	struct head lie = f->heads[4];
	struct buf a, b = note_of(f, 6), honest = note_of(f, 4);
	struct digest right[1];
	struct message_fork fork = { .origin = SLICE_LIT(ORIGIN) };

	lie.root.b[3] ^= 1;
	buf_init(&a, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(ORIGIN), &lie, &f->log.key, f->log.secret, &a);
	right[0] = f->frontiers[6].hash[1]; /* [4, 6) */
	fork.note_a = buf_slice(&a);
	fork.note_b = buf_slice(&b);
	fork.left = f->frontiers[4].hash;
	fork.left_count = 1;
	fork.right = right;
	fork.right_count = 1;
	assert_int_equal(replica_judge(&fork, &f->cards[0], &f->arena),
			 ERR_FORK);
	fork.note_a = buf_slice(&honest);
	assert_int_equal(replica_judge(&fork, &f->cards[0], &f->arena), ERR_OK);
	fork.note_a = buf_slice(&a);
	right[0].b[0] ^= 1;
	assert_int_equal(replica_judge(&fork, &f->cards[0], &f->arena),
			 ERR_INVALID);
	fork.right_count = 0;
	assert_int_equal(replica_judge(&fork, &f->cards[0], &f->arena),
			 ERR_MALFORMED);
	assert_int_equal(replica_judge(&fork, NULL, &f->arena), ERR_DENIED);
	a.p[a.n - 10] ^= 2;
	assert_int_not_equal(replica_judge(&fork, &f->cards[0], &f->arena),
			     ERR_FORK);
	buf_free(&a);
	buf_free(&b);
	buf_free(&honest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_signed_head_is_taken),
		TEST(lines_of_strangers_are_dropped),
		TEST(a_line_that_does_not_verify_spoils_the_note),
		TEST(notes_of_others_and_without_a_key_are_refused),
		TEST(a_note_without_the_logs_signature_is_refused),
		TEST(newer_cosignatures_are_merged_in),
		TEST(a_note_of_another_head_is_not_merged),
		TEST(a_cosignature_on_a_remembered_head_counts),
		TEST(heads_are_related_to_what_is_held),
		TEST(checks_are_bounded_and_not_doubled),
		TEST(a_checked_head_is_adopted_when_it_is_the_newest),
		TEST(a_note_beyond_what_is_held_is_refused),
		TEST(a_job_begins_at_the_own_size),
		TEST(a_follower_gets_little_credit_and_no_deadline),
		TEST(a_link_without_credit_begins_no_job),
		TEST(credit_is_renewed_before_it_is_used_up),
		TEST(what_waits_to_be_stored_takes_credit),
		TEST(a_starved_job_says_so),
		TEST(chunks_are_admitted_by_job_place_and_credit),
		TEST(a_held_chunk_is_a_copy),
		TEST(too_many_held_chunks_are_busy),
		TEST(a_failed_chunk_drains_those_behind_it),
		TEST(a_refusal_may_overtake_a_success),
		TEST(evidence_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
