#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Helpers. */

#define SEEDS 200u /* random histories in the ordinary run */
#define SEEDS_BUG 60u /* within which each planted bug must show */
#define SOON_MS 2000u
#define LONG_MS 120000u

enum { A, B, C, D };

static struct sim *alliance(uint32_t nodes)
{
	struct sim_options o = { .seed = 7 + nodes,
				 .nodes = nodes,
				 .verbose = getenv("SIM_TRACE") != NULL };

	return sim_open(&o);
}

static void ok(struct sim *s, bool done)
{
	if (!done)
		print_error("%s\n", sim_violation(s) != NULL
					    ? sim_violation(s)
					    : "it did not happen in time");
	assert_true(done);
}

static bool all_sign(struct sim *s)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (!sim_may_sign(s, i))
			return false;
	}
	return true;
}

static struct sim *started(uint32_t nodes)
{
	struct sim *s = alliance(nodes);

	for (uint32_t i = 0; i < nodes; i++)
		sim_start(s, i);
	ok(s, sim_run_until(s, all_sign, SOON_MS));
	ok(s, sim_run(s, SOON_MS));
	return s;
}

static void converge(struct sim *s, uint64_t within_ms)
{
	ok(s, sim_run_until(s, sim_is_converged, within_ms));
}

static void submit(struct sim *s, uint32_t node, uint32_t records)
{
	uint64_t size = sim_size(s, node, node);

	sim_submit(s, node, records);
	ok(s, sim_run(s, 50));
	assert_int_equal(sim_size(s, node, node), size + records);
}

/* Copies. */

static void a_record_reaches_the_others_at_once(void **state)
{
	struct sim *s = started(3);
	uint64_t begin;

	(void)state;
	begin = sim_now(s);
	sim_submit(s, A, 1);
	assert_false(sim_is_converged(s));
	converge(s, 200);
	assert_true(sim_now(s) - begin < 200);
	sim_close(s);
}

static bool b_has_a(struct sim *s)
{
	return sim_size(s, B, A) == sim_size(s, A, A) && sim_size(s, A, A) > 0;
}

static void a_follower_needs_no_announcement(void **state)
{
	struct sim *s = started(2);
	uint64_t begin;

	(void)state;
	submit(s, A, 1);
	converge(s, SOON_MS);
	begin = sim_now(s);
	submit(s, A, 1);
	ok(s, sim_run_until(s, b_has_a, SOON_MS));
	/* Commit, one way, commit: no round trip. */
	assert_true(sim_now(s) - begin <= 100);
	sim_close(s);
}

static bool a_is_cosigned(struct sim *s)
{
	return sim_cosignatures(s, A, A) == 3 && sim_cosignatures(s, B, A) == 3;
}

static void every_holder_cosigns_and_everybody_learns_it(void **state)
{
	struct sim *s = started(4);

	(void)state;
	submit(s, A, 5);
	ok(s, sim_run_until(s, a_is_cosigned, 5000));
	sim_close(s);
}

static void a_relay_helps_where_the_owner_cannot_be_reached(void **state)
{
	struct sim *s = started(3);

	(void)state;
	sim_cut(s, A, C);
	submit(s, A, 20);
	converge(s, 5000);
	sim_close(s);
}

static void a_late_member_gets_the_log_of_one_who_is_away(void **state)
{
	struct sim *s = alliance(3);

	(void)state;
	sim_start(s, A);
	sim_start(s, B);
	ok(s, sim_run(s, 11000));
	submit(s, A, 300);
	ok(s, sim_run_until(s, b_has_a, 20000));
	sim_crash(s, A);
	sim_start(s, C);
	ok(s, sim_run(s, 20000));
	assert_int_equal(sim_size(s, C, A), 300);
	sim_close(s);
}

static void a_transfer_goes_on_where_it_was_cut(void **state)
{
	struct sim *s = started(2);

	(void)state;
	sim_submit(s, A, 1000);
	for (uint32_t i = 0; i < 10; i++) {
		ok(s, sim_run(s, 60));
		sim_reset(s, A, B);
		ok(s, sim_run(s, 1500));
	}
	converge(s, LONG_MS);
	assert_int_equal(sim_size(s, B, A), 1000);
	sim_close(s);
}

static void a_crash_loses_nothing_that_was_acknowledged(void **state)
{
	struct sim *s = started(3);

	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		sim_submit(s, A, 30);
		ok(s, sim_run(s, 10 + i * 7));
		sim_crash(s, i % 2 == 0 ? B : A);
		ok(s, sim_run(s, 500));
		sim_start(s, A);
		sim_start(s, B);
		ok(s, sim_run(s, 15000));
	}
	converge(s, LONG_MS);
	sim_close(s);
}

static void a_slow_member_holds_up_nobody(void **state)
{
	struct sim *s = started(3);

	(void)state;
	sim_cut_way(s, A, C);
	for (uint32_t i = 0; i < 20; i++) {
		submit(s, A, 50);
		ok(s, sim_run(s, 200));
	}
	ok(s, sim_run_until(s, b_has_a, SOON_MS));
	sim_heal_all(s);
	converge(s, LONG_MS);
	sim_close(s);
}

static void a_full_disk_is_waited_for(void **state)
{
	struct sim *s = started(2);

	(void)state;
	sim_disk_full(s, B, true);
	submit(s, A, 10);
	ok(s, sim_run(s, 30000));
	assert_int_equal(sim_size(s, B, A), 0);
	sim_disk_full(s, B, false);
	converge(s, 30000);
	sim_close(s);
}

static void a_liar_only_delays(void **state)
{
	struct sim_options o = { .seed = 5, .nodes = 4, .liar = true };
	struct sim *s = sim_open(&o);

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		sim_start(s, i);
	ok(s, sim_run(s, 12000));
	/* C hears of A only through B and the liar D. */
	sim_cut(s, A, C);
	sim_submit(s, A, 400);
	ok(s, sim_run(s, 60000));
	sim_heal_all(s);
	converge(s, LONG_MS);
	sim_close(s);
}

/* Signing. */

static void a_lone_founder_signs_on_a_disk_it_can_trust(void **state)
{
	struct sim *s = alliance(2);

	(void)state;
	sim_start(s, A);
	ok(s, sim_run(s, MESH_OWN_HEAD_MS - 100));
	assert_false(sim_may_sign(s, A));
	ok(s, sim_run(s, 200));
	assert_true(sim_may_sign(s, A));
	sim_close(s);
}

static void partners_who_answer_make_waiting_short(void **state)
{
	struct sim *s = alliance(2);

	(void)state;
	sim_start(s, A);
	sim_start(s, B);
	ok(s, sim_run_until(s, all_sign, 1000));
	sim_close(s);
}

static void a_restored_copy_does_not_sign_alone(void **state)
{
	struct sim *s = started(3);

	(void)state;
	submit(s, A, 3);
	converge(s, SOON_MS);
	sim_snapshot(s, A);
	submit(s, A, 4);
	converge(s, SOON_MS);
	sim_restore(s, A);
	sim_cut(s, A, B);
	sim_cut(s, A, C);
	sim_start(s, A);
	sim_submit(s, A, 1);
	ok(s, sim_run(s, 40000));
	assert_false(sim_may_sign(s, A));
	assert_int_equal(sim_size(s, A, A), 3);
	sim_heal_all(s);
	ok(s, sim_run_until(s, all_sign, LONG_MS));
	assert_int_equal(sim_size(s, A, A), 7);
	submit(s, A, 1);
	converge(s, SOON_MS);
	sim_close(s);
}

static void half_of_the_partners_is_not_enough_for_a_restored_copy(void **state)
{
	struct sim *s = started(3);

	(void)state;
	submit(s, A, 3);
	converge(s, SOON_MS);
	sim_snapshot(s, A);
	sim_restore(s, A);
	sim_cut(s, A, C);
	sim_start(s, A);
	ok(s, sim_run(s, 40000));
	assert_false(sim_may_sign(s, A));
	sim_heal_all(s);
	ok(s, sim_run_until(s, all_sign, LONG_MS));
	sim_close(s);
}

static void what_the_disk_has_lost_is_fetched_before_signing(void **state)
{
	struct sim *s = started(2);

	(void)state;
	sim_snapshot(s, A);
	submit(s, A, 500);
	converge(s, SOON_MS);
	sim_restore(s, A);
	sim_start(s, A);
	ok(s, sim_run_until(s, all_sign, LONG_MS));
	assert_int_equal(sim_size(s, A, A), 500);
	sim_close(s);
}

/* Forks. */

static bool all_know(struct sim *s)
{
	return sim_is_frozen(s, A, A) && sim_is_frozen(s, B, A) &&
	       sim_is_frozen(s, C, A);
}

static struct sim *forked(void)
{
	struct sim *s = started(3);

	submit(s, A, 3);
	converge(s, SOON_MS);
	sim_snapshot(s, A);
	submit(s, A, 2);
	converge(s, SOON_MS);
	/* A copied directory that was made to look like the real one, and
	 * nobody to tell: it signs another history. */
	sim_restore(s, A);
	sim_trust(s, A);
	sim_expect_fork(s, A);
	sim_cut(s, A, B);
	sim_cut(s, A, C);
	sim_start(s, A);
	ok(s, sim_run(s, MESH_OWN_HEAD_MS + 1000));
	assert_true(sim_may_sign(s, A));
	return s;
}

static void a_fork_is_proved_to_everybody(void **state)
{
	static const uint32_t branch[] = { 1, 2, 7 };

	(void)state;
	/* Shorter, as long as and longer than what the others hold. */
	for (uint32_t i = 0; i < 3; i++) {
		struct sim *s = forked();

		sim_submit(s, A, branch[i]);
		ok(s, sim_run(s, 100));
		sim_heal_all(s);
		ok(s, sim_run_until(s, all_know, LONG_MS));
		assert_false(sim_may_sign(s, A));
		sim_close(s);
	}
}

static void evidence_reaches_who_was_away_and_lasts(void **state)
{
	struct sim *s = forked();

	(void)state;
	sim_crash(s, C);
	sim_submit(s, A, 1);
	ok(s, sim_run(s, 100));
	sim_heal(s, A, B);
	ok(s, sim_run(s, 60000));
	assert_true(sim_is_frozen(s, B, A));
	sim_crash(s, B);
	sim_crash(s, A);
	sim_start(s, B);
	sim_start(s, C);
	ok(s, sim_run(s, 20000));
	assert_true(sim_is_frozen(s, C, A));
	sim_close(s);
}

/* Members. */

static bool cards_are_known(struct sim *s)
{
	return sim_card_version(s, B, A) == 3 && sim_card_version(s, C, A) == 3;
}

static void a_new_card_reaches_all_also_over_a_relay(void **state)
{
	struct sim *s = started(3);

	(void)state;
	sim_cut(s, A, C);
	sim_rotate(s, A);
	ok(s, sim_run(s, 10));
	sim_rotate(s, A);
	ok(s, sim_run_until(s, cards_are_known, 5000));
	sim_close(s);
}

static bool removal_is_known(struct sim *s)
{
	return sim_roster_version(s, A) == 2 && sim_roster_version(s, B) == 2;
}

static void a_removed_member_is_shut_out_at_once(void **state)
{
	struct sim *s = started(4);
	struct mesh_peer_info info;

	(void)state;
	submit(s, C, 4);
	converge(s, SOON_MS);
	sim_remove(s, C, A);
	mesh_peer_info(sim_mesh(s, A), C, &info);
	assert_false(info.live);
	assert_int_equal(info.state, MEMBER_REMOVED);
	ok(s, sim_run_until(s, removal_is_known, SOON_MS));
	sim_submit(s, C, 2);
	ok(s, sim_run(s, 90000));
	assert_int_equal(sim_size(s, A, C), 4);
	assert_int_equal(sim_size(s, B, C), 4);
	mesh_peer_info(sim_mesh(s, B), C, &info);
	assert_false(info.live);
	mesh_peer_info(sim_mesh(s, C), A, &info);
	assert_int_equal(info.refused, ERR_DENIED);
	assert_true(info.refused_by_peer);
	sim_close(s);
}

/* Questions. */

static void questions_are_answered(void **state)
{
	struct sim *s = started(2);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		sim_ask(s, A, B);
	ok(s, sim_run(s, 1000));
	assert_int_equal(sim_answers(s, A), 10);
	sim_close(s);
}

static void a_question_on_a_link_that_ends_is_answered_too(void **state)
{
	struct sim *s = started(2);

	(void)state;
	sim_ask(s, A, B);
	sim_crash(s, B);
	ok(s, sim_run(s, 1000));
	assert_int_equal(sim_answers(s, A), 1);
	sim_close(s);
}

/* Random histories. */

static void random_histories_converge_without_violations(void **state)
{
	const char *why;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		bool good = sim_run_seed(seed, SIM_BUG_NONE, false, &why);

		if (!good)
			print_error("seed %llu: %s\n", (unsigned long long)seed,
				    why);
		assert_true(good);
	}
}

static void one_seed_replays_exactly(void **state)
{
	const char *first, *second;
	char kept[256];

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS_BUG; seed++) {
		if (sim_run_seed(seed, SIM_BUG_SKIP_FOLD_CHECK, false, &first))
			continue;
		snprintf(kept, sizeof(kept), "%s", first);
		assert_false(sim_run_seed(seed, SIM_BUG_SKIP_FOLD_CHECK, false,
					  &second));
		assert_string_equal(kept, second);
		return;
	}
	fail();
}

static void every_planted_bug_is_found(void **state)
{
	static const enum sim_bug bugs[] = {
		SIM_BUG_ACK_BEFORE_COMMIT,     SIM_BUG_SKIP_FOLD_CHECK,
		SIM_BUG_RESUME_REMEMBERED,     SIM_BUG_SIGN_BEFORE_RECOVERY,
		SIM_BUG_PUBLISH_BEFORE_COMMIT,
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(bugs) / sizeof(*bugs); i++) {
		uint64_t seed = 1;

		while (seed <= SEEDS_BUG &&
		       sim_run_seed(seed, bugs[i], false, &why))
			seed++;
		if (seed > SEEDS_BUG)
			print_error("%s was not found\n",
				    sim_bug_name(bugs[i]));
		assert_true(seed <= SEEDS_BUG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_reaches_the_others_at_once),
		cmocka_unit_test(a_follower_needs_no_announcement),
		cmocka_unit_test(every_holder_cosigns_and_everybody_learns_it),
		cmocka_unit_test(
			a_relay_helps_where_the_owner_cannot_be_reached),
		cmocka_unit_test(a_late_member_gets_the_log_of_one_who_is_away),
		cmocka_unit_test(a_transfer_goes_on_where_it_was_cut),
		cmocka_unit_test(a_crash_loses_nothing_that_was_acknowledged),
		cmocka_unit_test(a_slow_member_holds_up_nobody),
		cmocka_unit_test(a_full_disk_is_waited_for),
		cmocka_unit_test(a_liar_only_delays),
		cmocka_unit_test(a_lone_founder_signs_on_a_disk_it_can_trust),
		cmocka_unit_test(partners_who_answer_make_waiting_short),
		cmocka_unit_test(a_restored_copy_does_not_sign_alone),
		cmocka_unit_test(
			half_of_the_partners_is_not_enough_for_a_restored_copy),
		cmocka_unit_test(
			what_the_disk_has_lost_is_fetched_before_signing),
		cmocka_unit_test(a_fork_is_proved_to_everybody),
		cmocka_unit_test(evidence_reaches_who_was_away_and_lasts),
		cmocka_unit_test(a_new_card_reaches_all_also_over_a_relay),
		cmocka_unit_test(a_removed_member_is_shut_out_at_once),
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(
			a_question_on_a_link_that_ends_is_answered_too),
		cmocka_unit_test(random_histories_converge_without_violations),
		cmocka_unit_test(one_seed_replays_exactly),
		cmocka_unit_test(every_planted_bug_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
