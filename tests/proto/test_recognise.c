/* Recognition, ground by ground: what the gate stops, what binds, how rules
 * stand to each other, and that silence is never a refusal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/dec.h"
#include "tests/lib/facts.h"

/* ---- Fixture ---------------------------------------------------------- */

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	free(*state);
	return 0;
}

/* ---- Builders --------------------------------------------------------- */

#define OFFER                                                                  \
	"{\"offer\":\"A1\",\"type\":\"course\",\"title\":{\"en\":\"Alpha\"},"  \
	"\"ects\":5,\"eqf\":6,\"assessment\":\"written-exam\","                \
	"\"language\":[\"en\"],\"country\":\"DK\",\"isced\":[\"0613\"]}"

#define AWARD(id, offer, on, more)                                             \
	"{\"credential\":\"" id "\",\"offer\":\"" offer                        \
	"\",\"subject\":{\"id\":\"s1\"},\"issued_on\":\"" on "\"" more "}"

/* The award that most tests hold. */
static void hold_a1(struct world *w)
{
	world_hold(w,
		   AWARD("C1", "A1", "2025-06-01",
			 ",\"ects\":5,"
			 "\"grade\":{\"value\":\"7\",\"scheme\":\"dk-7\"}"),
		   OFFER);
}

#define RULE(id, code, target, more)                                           \
	"{\"rule\":\"" id "\",\"sources\":[{\"from\":\"i.example\","           \
	"\"codes\":[\"" code "\"]}],\"outcome\":\"full\",\"targets\":["        \
	"{\"code\":\"" target "\",\"match\":\"specific\"}]" more "}"

#define GENERIC(id, code, more)                                                \
	"{\"rule\":\"" id "\",\"sources\":[{\"from\":\"i.example\","           \
	"\"codes\":[\"" code "\"]}],\"outcome\":\"full\",\"targets\":["        \
	"{\"title\":\"Elective\",\"match\":\"generic\"}]" more "}"

#define REFUSAL(id, code, more)                                                \
	"{\"rule\":\"" id "\",\"sources\":[{\"from\":\"i.example\","           \
	"\"codes\":[\"" code "\"]}],\"outcome\":\"refused\","                  \
	"\"reason\":\"no laboratory\",\"side\":\"profile\","                   \
	"\"appeal\":{\"body\":\"Board\",\"days\":30}" more "}"

#define DECISION(id, credentials, outcome, more)                               \
	"{\"decision\":\"" id "\",\"credentials\":[" credentials "],"          \
	"\"decided_on\":\"2026-01-10\",\"outcome\":\"" outcome "\"" more "}"

/* ---- Assertions ------------------------------------------------------- */

static void expect(struct world *w, const char *outcome)
{
	assert_string_equal(world_outcome(w), outcome);
}

static void expect_target(struct world *w, const char *code)
{
	expect(w, "full");
	assert_int_equal(world_count(w, "targets"), 1);
	assert_string_equal(world_text(w, "targets.0.code"), code);
}

/* The failed test of the rule that --explain lists with this id. */
static const char *failure(struct world *w, const char *id)
{
	char path[32];

	for (int i = 0; i < 9; i++) {
		memcpy(path, "considered.0.id", sizeof("considered.0.id"));
		path[11] = (char)('0' + i);
		if (strcmp(world_text(w, path), id) != 0)
			continue;
		memcpy(path + 13, "failed", sizeof("failed"));
		return world_text(w, path);
	}
	return "";
}

/* ---- Silence ---------------------------------------------------------- */

static void silence_is_undetermined_and_never_refused(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	expect(w, "undetermined");
	assert_true(world_says(w, "reasons", "nothing-published"));
	assert_string_equal(world_text(w, "standing"), "none");
	assert_int_equal(world_count(w, "targets"), 0);
	assert_int_equal(world_uint(w, "credits.earned"), 500);
}

static void a_recogniser_without_a_log_is_undetermined(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->facts.has_log = false;
	expect(w, "undetermined");
	assert_true(world_says(w, "reasons", "no-log"));
	assert_int_equal(world_count(w, "freshness"), 1);
	assert_string_equal(world_text(w, "freshness.0.member"), "i.example");
}

/* ---- A rule ----------------------------------------------------------- */

static void one_rule_that_fits_applies(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X1", ",\"decided_on\":\"2025-01-01\""));
	expect_target(w, "X1");
	assert_string_equal(world_text(w, "basis.0.id"), "r1");
	assert_string_equal(world_text(w, "basis.0.kind"), "rule");
	assert_string_equal(world_text(w, "basis.0.member"), "r.example");
	assert_int_equal(world_uint(w, "basis.0.seq"), 0);
	assert_int_equal(world_uint(w, "basis.0.size"), 1);
	assert_string_equal(world_text(w, "basis.1.kind"), "credential");
	assert_string_equal(world_text(w, "standing"), "rule");
	assert_string_equal(world_text(w, "subject.0.state"), "valid");
	assert_string_equal(world_text(w, "subject.0.title"), "Alpha");
	assert_string_equal(world_text(w, "subject.0.grade.reason"),
			    "no-table");
	assert_int_equal(world_count(w, "conditions"), 0);
	assert_false(world_says(w, "reasons", "decided-after-completion"));
}

static void
credits_not_stated_are_never_copied_from_what_was_earned(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X1", ""));
	expect(w, "full");
	assert_int_equal(world_uint(w, "credits.recognised"), UINT64_MAX);
	assert_int_equal(world_uint(w, "credits.earned"), 500);
}

static void stated_credits_are_added_up_in_their_unit(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, "{\"rule\":\"r1\",\"sources\":[{\"from\":\"i.example\","
		      "\"codes\":[\"A1\"]}],\"outcome\":\"full\",\"targets\":["
		      "{\"code\":\"X\",\"match\":\"specific\",\"credits\":3,"
		      "\"unit\":\"AU\"},{\"code\":\"Y\",\"match\":\"specific\","
		      "\"credits\":1.5,\"unit\":\"AU\"}]}");
	expect(w, "full");
	assert_int_equal(world_uint(w, "credits.recognised"), 450);
	assert_string_equal(world_text(w, "credits.unit"), "AU");
	assert_int_equal(world_count(w, "targets"), 2);
}

static void a_rule_made_after_the_achievement_applies_and_is_told(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X1", ",\"decided_on\":\"2026-01-01\""));
	expect_target(w, "X1");
	assert_true(world_says(w, "reasons", "decided-after-completion"));
}

/* One rule, one way in which it does not apply. */
static void a_rule_that_fails_a_test_is_silence_and_explained(void **state)
{
	static const struct {
		const char *rule;
		const char *failed;
	} cases[] = {
		{ RULE("r", "A1", "X", ",\"state\":\"draft\""), "state" },
		{ RULE("r", "A1", "X", ",\"state\":\"withdrawn\""), "state" },
		{ RULE("r", "A1", "X", ",\"state\":\"suspended\""), "state" },
		{ RULE("r", "A1", "X", ",\"decided_on\":\"2026-06-02\""),
		  "decided-later" },
		{ RULE("r", "A1", "X", ",\"purposes\":[\"admission\"]"),
		  "purpose" },
		{ RULE("r", "B2", "X", ""), "sources" },
		{ RULE("r", "A1\",\"B2", "X", ""), "sources" },
		{ RULE("r", "A1", "X", ",\"achieved_from\":\"2025-06-02\""),
		  "achieved-from" },
		{ RULE("r", "A1", "X", ",\"achieved_to\":\"2025-05-31\""),
		  "achieved-to" },
		{ RULE("r", "A1", "X", ",\"scope\":{\"programmes\":[\"P\"]}"),
		  "programme-not-given" },
		{ RULE("r", "A1", "X",
		       ",\"conditions\":{\"grade_min\":\"10\"}"),
		  "grade" },
		{ RULE("r", "A1", "X", ",\"conditions\":{\"eqf_min\":7}"),
		  "level" },
		{ RULE("r", "A1", "X", ",\"conditions\":{\"ects_min\":5.01}"),
		  "credits" },
		{ RULE("r", "A1", "X",
		       ",\"conditions\":{\"assessment\":[\"project\"]}"),
		  "assessment" },
		{ RULE("r", "A1", "X",
		       ",\"conditions\":{\"language\":[\"de\"]}"),
		  "language" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		hold_a1(w);
		w->question.explain = true;
		world_rule(w, cases[i].rule);
		expect(w, "undetermined");
		assert_string_equal(failure(w, "r"), cases[i].failed);
		world_free(w);
		free(w);
	}
}

static void the_interval_of_a_rule_is_inclusive(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X",
			   ",\"achieved_from\":\"2025-06-01\","
			   "\"achieved_to\":\"2025-06-01\""));
	expect_target(w, "X");
}

static void the_completion_date_counts_not_the_date_of_issue(void **state)
{
	struct world *w = *state;

	world_hold(w,
		   AWARD("C1", "A1", "2026-01-15",
			 ",\"achieved_on\":\"2025-06-01\""),
		   OFFER);
	world_rule(w, RULE("r", "A1", "X", ",\"achieved_to\":\"2025-12-31\""));
	expect_target(w, "X");
}

/* ---- Codes ------------------------------------------------------------ */

static void a_code_matches_folded_and_says_so(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", " a 1", "X", ""));
	expect_target(w, "X");
	assert_non_null(
		strstr(world_text(w, "reasons.0.text"), "written differently"));
}

static void punctuation_in_codes_counts(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A-1", "X", ""));
	expect(w, "undetermined");
}

static void an_exact_code_stands_before_a_folded_one(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "a1", "FOLDED", ""));
	world_rule(w, RULE("r2", "A1", "EXACT", ""));
	expect_target(w, "EXACT");
}

static void an_alias_of_the_offer_matches_last(void **state)
{
	struct world *w = *state;

	world_hold(w, AWARD("C1", "A1", "2025-06-01", ""),
		   "{\"offer\":\"A1\",\"type\":\"course\",\"title\":"
		   "{\"en\":\"Alpha\"},\"aliases\":[\"OLD1\"]}");
	world_rule(w, RULE("r1", "OLD1", "X", ""));
	expect_target(w, "X");
	assert_non_null(strstr(world_text(w, "reasons.0.text"),
			       "another of its codes"));
}

static void from_matches_further_domains_of_the_institution(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, "{\"rule\":\"r\",\"sources\":[{\"from\":"
		      "\"old.i.example\",\"codes\":[\"A1\"]}],\"outcome\":"
		      "\"full\",\"targets\":[{\"code\":\"X\",\"match\":"
		      "\"specific\"}]}");
	expect_target(w, "X");
}

static void a_set_ignores_repeats_and_does_not_grow_by_them(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1\",\"A1\",\"a1", "X", ""));
	world_rule(w, RULE("r2", "A1", "Y", ""));
	expect(w, "needs-review");
	assert_int_equal(world_count(w, "alternatives"), 2);
}

static void any_one_of_the_sources_suffices(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, "{\"rule\":\"r\",\"sources\":[{\"from\":\"z.example\","
		      "\"codes\":[\"Q\"]},{\"from\":\"i.example\",\"codes\":"
		      "[\"A1\"]}],\"outcome\":\"full\",\"targets\":[{\"code\":"
		      "\"X\",\"match\":\"specific\"}]}");
	expect_target(w, "X");
}

static void a_source_may_name_an_edition(void **state)
{
	struct world *w = *state;

	world_hold(w, AWARD("C1", "A1", "2025-06-01", ",\"offer_version\":2"),
		   OFFER);
	w->question.explain = true;
	world_rule(w,
		   "{\"rule\":\"r1\",\"sources\":[{\"from\":\"i.example\","
		   "\"codes\":[\"A1\"],\"version\":1}],\"outcome\":\"full\","
		   "\"targets\":[{\"code\":\"ONE\",\"match\":\"specific\"}]}");
	world_rule(w,
		   "{\"rule\":\"r2\",\"sources\":[{\"from\":\"i.example\","
		   "\"codes\":[\"A1\"],\"version\":2}],\"outcome\":\"full\","
		   "\"targets\":[{\"code\":\"TWO\",\"match\":\"specific\"}]}");
	world_rule(w, RULE("r3", "A1", "ANY", ""));
	expect_target(w, "TWO");
	assert_string_equal(failure(w, "r1"), "edition");
	assert_string_equal(failure(w, "r3"), "outranked");
}

/* ---- Several courses -------------------------------------------------- */

static void hold_pair(struct world *w)
{
	hold_a1(w);
	world_hold(w, AWARD("C2", "B2", "2025-06-20", ",\"ects\":7.5"), NULL);
}

static void a_set_needs_all_of_its_courses(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	world_rule(w, RULE("r", "A1\",\"B2", "X", ""));
	expect_target(w, "X");
	assert_int_equal(world_uint(w, "credits.earned"), 1250);
	assert_int_equal(world_count(w, "parts"), 0);
}

static void a_larger_set_stands_before_single_courses(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule(w, RULE("r2", "B2", "Y", ""));
	world_rule(w, RULE("r3", "A1\",\"B2", "Z", ""));
	expect_target(w, "Z");
}

static void
courses_that_do_not_compete_are_recognised_side_by_side(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule(w, RULE("r2", "B2", "Y", ""));
	expect(w, "full");
	assert_int_equal(world_count(w, "targets"), 2);
	assert_int_equal(world_count(w, "parts"), 2);
	assert_int_equal(world_count(w, "alternatives"), 0);
}

static void what_no_rule_covers_makes_the_whole_partial(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	expect(w, "partial");
	assert_string_equal(world_text(w, "parts.0.outcome"), "full");
	assert_string_equal(world_text(w, "parts.1.outcome"), "undetermined");
	assert_string_equal(world_text(w, "parts.1.subject.0"), "i.example/C2");
}

static void a_course_used_once_is_not_used_again(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	world_rule(w, RULE("r1", "A1", "X", ",\"priority\":1"));
	world_rule(w, RULE("r2", "A1\",\"B2", "Z", ",\"priority\":2"));
	expect(w, "partial");
	assert_string_equal(world_text(w, "targets.0.code"), "X");
	assert_int_equal(world_count(w, "targets"), 1);
}

/* ---- Order ------------------------------------------------------------ */

static void equal_rank_and_other_effect_needs_review(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r2", "A1", "Y", ",\"decided_on\":\"2026-01-01\""));
	world_rule(w, RULE("r1", "A1", "X", ",\"decided_on\":\"2020-01-01\""));
	expect(w, "needs-review");
	assert_int_equal(world_count(w, "alternatives"), 2);
	assert_string_equal(world_text(w, "alternatives.0.id"), "r1");
	assert_string_equal(world_text(w, "alternatives.0.targets.0.code"),
			    "X");
	assert_string_equal(world_text(w, "alternatives.1.id"), "r2");
	assert_int_equal(world_count(w, "targets"), 0);
	assert_true(world_says(w, "reasons", "ambiguous"));
	assert_true(world_says(w, "reasons", "settle"));
}

static void a_smaller_priority_stands_first_and_an_absent_one_last(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "NONE", ""));
	world_rule(w, RULE("r2", "A1", "TEN", ",\"priority\":10"));
	world_rule(w, RULE("r3", "A1", "ZERO", ",\"priority\":0"));
	expect_target(w, "ZERO");
}

static void specific_stands_before_generic(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, GENERIC("r1", "A1", ",\"decided_on\":\"2026-01-01\""));
	world_rule(w, RULE("r2", "A1", "X", ""));
	expect_target(w, "X");
}

static void priority_stands_before_specific(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, GENERIC("r1", "A1", ",\"priority\":1"));
	world_rule(w, RULE("r2", "A1", "X", ",\"priority\":2"));
	expect(w, "full");
	assert_string_equal(world_text(w, "targets.0.match"), "generic");
}

static void a_rule_for_the_programme_stands_before_one_for_all(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->question.programme = slice_str("P");
	world_rule(w, RULE("r1", "A1", "ALL", ""));
	world_rule(w, RULE("r2", "A1", "MINE",
			   ",\"scope\":{\"programmes\":[\"Q\",\"P\"]}"));
	world_rule(w, RULE("r3", "A1", "OTHER",
			   ",\"scope\":{\"programmes\":[\"Q\"]}"));
	expect_target(w, "MINE");
}

static void an_excluded_programme_is_no_match(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->question.programme = slice_str("P");
	world_rule(w, RULE("r", "A1", "X",
			   ",\"scope\":{\"excluded_programmes\":[\"P\"]}"));
	expect(w, "undetermined");
	w->question.programme = slice_str("Q");
	expect_target(w, "X");
}

static void the_same_effect_twice_applies_once_and_is_told(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r3", "A1", "X", ""));
	world_rule(w, RULE("r2", "A1", "X", ",\"decided_on\":\"2024-01-01\""));
	world_rule(w, RULE("r1", "A1", "X", ",\"decided_on\":\"2023-01-01\""));
	expect_target(w, "X");
	assert_string_equal(world_text(w, "basis.0.id"), "r2");
	assert_string_equal(world_text(w, "basis.0.duplicates.0"), "r1");
	assert_string_equal(world_text(w, "basis.0.duplicates.1"), "r3");
	assert_true(world_says(w, "reasons", "duplicates"));
}

/* Two rules of equal rank; do they say the same? */
static void the_effect_is_outcome_conditions_scope_and_targets(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"title\":\"one\",\"match\":\"specific\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"title\":\"two\",\"match\":\"specific\"}]",
		  true },
		{ "\"outcome\":\"full\",\"targets\":[{\"title\":\"one\","
		  "\"match\":\"specific\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"title\":\"two\","
		  "\"match\":\"specific\"}]",
		  false },
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"}]",
		  "\"outcome\":\"partial\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"}]",
		  false },
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\",\"credits\":3}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\",\"credits\":4}]",
		  false },
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\",\"counts_as\":\"core\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"}]",
		  false },
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"},{\"code\":\"Y\",\"match\":"
		  "\"specific\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"Y\","
		  "\"match\":\"specific\"},{\"code\":\"X\",\"match\":"
		  "\"specific\"}]",
		  true },
		{ "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"},{\"code\":\"X\",\"match\":"
		  "\"specific\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"}]",
		  false },
		{ "\"outcome\":\"full\",\"conditions\":{\"eqf_min\":5},"
		  "\"targets\":[{\"code\":\"X\",\"match\":\"specific\"}]",
		  "\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
		  "\"match\":\"specific\"}]",
		  false },
		{ "\"outcome\":\"full\",\"scope\":{\"text\":\"a\"},"
		  "\"targets\":[{\"code\":\"X\",\"match\":\"specific\"}]",
		  "\"outcome\":\"full\",\"scope\":{\"text\":\"b\"},"
		  "\"targets\":[{\"code\":\"X\",\"match\":\"specific\"}]",
		  false },
	};
	char json[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		hold_a1(w);
		for (int k = 0; k < 2; k++) {
			snprintf(json, sizeof(json),
				 "{\"rule\":\"r%d\",\"sources\":[{\"from\":"
				 "\"i.example\",\"codes\":[\"A1\"]}],%s}",
				 k, k == 0 ? cases[i].a : cases[i].b);
			world_rule(w, json);
		}
		world_ask(w);
		assert_int_equal(
			strcmp(world_text(w, "outcome"), "needs-review") != 0,
			cases[i].same);
		world_free(w);
		free(w);
	}
}

static void the_learner_chooses_only_if_all_say_so(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ",\"choice\":\"learner\""));
	world_rule(w, RULE("r2", "A1", "Y", ",\"choice\":\"learner\""));
	expect(w, "full");
	assert_int_equal(world_count(w, "targets"), 0);
	assert_int_equal(world_count(w, "alternatives"), 2);
	assert_true(world_says(w, "reasons", "learner-chooses"));
	world_rule(w, RULE("r3", "A1", "Z", ""));
	expect(w, "needs-review");
	assert_int_equal(world_count(w, "alternatives"), 3);
}

static void a_choice_inside_one_rule_lists_its_targets(void **state)
{
	static const char *const who[] = { "learner", "registrar" };
	static const char *const outcome[] = { "full", "needs-review" };
	char json[512];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		hold_a1(w);
		snprintf(json, sizeof(json),
			 "{\"rule\":\"r\",\"sources\":[{\"from\":"
			 "\"i.example\",\"codes\":[\"A1\"]}],\"outcome\":"
			 "\"full\",\"choice\":\"%s\",\"targets\":[{\"code\":"
			 "\"X\",\"match\":\"specific\"},{\"code\":\"Y\","
			 "\"match\":\"specific\"}]}",
			 who[i]);
		world_rule(w, json);
		expect(w, outcome[i]);
		assert_int_equal(world_count(w, "alternatives"), 2);
		assert_int_equal(world_count(w, "alternatives.0.targets"), 1);
		world_free(w);
		free(w);
	}
}

/* ---- Supersession ----------------------------------------------------- */

static void a_later_rule_replaces_another_only_by_superseding_it(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("old", "A1", "X", ""));
	world_rule(w, RULE("new", "A1", "Y", ",\"supersedes\":[\"old\"]"));
	expect_target(w, "Y");
}

static void
a_superseded_rule_stays_out_when_its_successor_does_not_fit(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->question.explain = true;
	world_rule(w, RULE("old", "A1", "X", ""));
	world_rule(w, RULE("new", "A2", "Y", ",\"supersedes\":[\"old\"]"));
	expect(w, "undetermined");
	assert_string_equal(failure(w, "old"), "superseded");
}

static void a_withdrawn_or_future_rule_supersedes_nothing(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("old", "A1", "X", ""));
	world_rule(w, RULE("n1", "A1", "Y",
			   ",\"supersedes\":[\"old\"],\"state\":"
			   "\"withdrawn\""));
	world_rule(w, RULE("n2", "A1", "Z",
			   ",\"supersedes\":[\"old\"],\"decided_on\":"
			   "\"2027-01-01\""));
	expect_target(w, "X");
}

static void a_chain_of_supersession_removes_all_but_the_last(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule(w, RULE("r2", "A1", "Y", ",\"supersedes\":[\"r1\"]"));
	world_rule(w, RULE("r3", "A1", "Z", ",\"supersedes\":[\"r2\"]"));
	expect_target(w, "Z");
}

static void a_rule_may_deny_courses_to_rules_no_narrower(void **state)
{
	struct world *w = *state;

	hold_pair(w);
	w->question.explain = true;
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule(w, RULE("r2", "B2", "Y",
			   ",\"denied\":[{\"from\":\"i.example\","
			   "\"codes\":[\"A1\"]}]"));
	expect(w, "partial");
	assert_string_equal(world_text(w, "targets.0.code"), "Y");
	assert_string_equal(failure(w, "r1"), "denied");
}

/* ---- Refusals --------------------------------------------------------- */

static void a_refusal_carries_reason_side_and_appeal(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, REFUSAL("r", "A1", ",\"help\":\"take the laboratory\""));
	expect(w, "refused");
	assert_true(world_says(w, "reasons", "stated"));
	assert_true(world_says(w, "reasons", "help"));
	assert_string_equal(world_text(w, "reasons.1.side"), "profile");
	assert_string_equal(world_text(w, "appeal.body"), "Board");
	assert_int_equal(world_uint(w, "appeal.days"), 30);
	assert_int_equal(world_count(w, "targets"), 0);
}

static void a_refusal_beside_a_grant_of_equal_rank_needs_review(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, REFUSAL("r1", "A1", ""));
	world_rule(w, RULE("r2", "A1", "X", ""));
	expect(w, "needs-review");
	assert_int_equal(world_count(w, "alternatives"), 2);
}

static void a_refusal_with_priority_wins(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, REFUSAL("r1", "A1", ",\"priority\":1"));
	world_rule(w, RULE("r2", "A1", "X", ""));
	expect(w, "refused");
}

/* ---- Conditions ------------------------------------------------------- */

static void words_of_scope_alone_make_it_conditional(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w,
		   RULE("r", "A1", "X", ",\"scope\":{\"text\":\"COE Only\"}"));
	expect(w, "conditional");
	assert_string_equal(world_text(w, "conditions.0.text"), "COE Only");
	assert_string_equal(world_text(w, "conditions.0.state"), "open");
}

static void words_of_scope_never_raise_the_rank(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ",\"scope\":{\"text\":\"P\"}"));
	world_rule(w, RULE("r2", "A1", "Y", ""));
	expect(w, "needs-review");
}

static void words_beside_a_programme_explain_it_only(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->question.programme = slice_str("P");
	world_rule(w, RULE("r", "A1", "X",
			   ",\"scope\":{\"text\":\"P Only\",\"programmes\":"
			   "[\"P\"]}"));
	expect_target(w, "X");
}

static void a_condition_that_is_met_is_listed_and_stays_full(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X",
			   ",\"conditions\":{\"grade_min\":\"7\","
			   "\"grade_scheme\":\"dk-7\",\"eqf_min\":6}"));
	expect_target(w, "X");
	assert_int_equal(world_count(w, "conditions"), 2);
	assert_string_equal(world_text(w, "conditions.0.state"), "met");
}

static void a_condition_in_words_stays_open(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X",
			   ",\"conditions\":{\"text\":\"with interview\"}"));
	expect(w, "conditional");
}

/* Lowest grade against a grade: met (full), open (conditional), or not. */
static void grades_compare_within_one_scheme_only(void **state)
{
	static const struct {
		const char *grade, *scheme, *min, *min_scheme, *outcome;
	} cases[] = {
		{ "B+", "", "B+", "", "full" },
		{ "B", "", "B+", "", "undetermined" },
		{ "A-", "", "B+", "", "full" },
		{ "02", "dk-7", "4", "", "undetermined" },
		{ "12", "dk-7", "4", "dk-7", "full" },
		{ "-3", "dk-7", "02", "dk-7", "undetermined" },
		{ "12", "dk-7", "B", "letter", "conditional" },
		{ "88", "percent-x", "60", "percent-x", "conditional" },
		{ "60", "percent-x", "60", "percent-x", "full" },
		{ "FX", "ects", "E", "ects", "undetermined" },
		{ "pass", "", "B", "", "conditional" },
	};
	char award[256], rule[512], scheme[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		snprintf(scheme, sizeof(scheme), ",\"scheme\":\"%s\"",
			 cases[i].scheme);
		snprintf(award, sizeof(award),
			 "{\"credential\":\"C\",\"offer\":\"A1\",\"subject\":"
			 "{\"id\":\"s\"},\"issued_on\":\"2025-06-01\","
			 "\"grade\":{\"value\":\"%s\"%s}}",
			 cases[i].grade,
			 *cases[i].scheme != '\0' ? scheme : "");
		world_hold(w, award, OFFER);
		snprintf(scheme, sizeof(scheme), ",\"grade_scheme\":\"%s\"",
			 cases[i].min_scheme);
		snprintf(rule, sizeof(rule),
			 RULE("r", "A1", "X",
			      ",\"conditions\":{\"grade_min\":\"%s\"%s}"),
			 cases[i].min,
			 *cases[i].min_scheme != '\0' ? scheme : "");
		world_rule(w, rule);
		expect(w, cases[i].outcome);
		world_free(w);
		free(w);
	}
}

static void holding_one_of_two_or_too_low_a_grade_is_no_match(void **state)
{
	/* Coquitlam STAT 290 + STAT 291 -> ISOM 2500 with B+ at least. */
	struct world *w = *state;

	world_hold(w,
		   AWARD("C1", "STAT 290", "2025-06-01",
			 ",\"grade\":{\"value\":\"A\"}"),
		   NULL);
	world_rule(w, RULE("B12818", "STAT 290\",\"STAT 291", "ISOM 2500",
			   ",\"conditions\":{\"grade_min\":\"B+\"}"));
	expect(w, "undetermined");
	world_hold(w,
		   AWARD("C2", "STAT 291", "2025-06-01",
			 ",\"grade\":{\"value\":\"B\"}"),
		   NULL);
	expect(w, "undetermined");
	w->facts.held_count = 1;
	world_hold(w,
		   AWARD("C3", "STAT 291", "2025-06-01",
			 ",\"grade\":{\"value\":\"B+\"}"),
		   NULL);
	expect_target(w, "ISOM 2500");
}

static void two_sources_are_needed_as_hku_writes_them(void **state)
{
	/* aalto.fi TU-91.2043 + T-76.5750, ebs L-FIN3-082 + L-FIN3-083. */
	struct world *w = *state;

	world_rule(w, RULE("hku-5", "TU-91.2043\",\"T-76.5750", "E", ""));
	world_rule(w, RULE("hku-1979", "L-FIN3-082\",\"L-FIN3-083", "FINA2312",
			   ""));
	world_hold(w, AWARD("C1", "TU-91.2043", "2019-06-01", ""), NULL);
	expect(w, "undetermined");
	w->facts.held_count = 0;
	world_hold(w, AWARD("C2", "L-FIN3-082", "2019-06-01", ""), NULL);
	expect(w, "undetermined");
	world_hold(w, AWARD("C3", "L-FIN3-083", "2019-06-01", ""), NULL);
	expect_target(w, "FINA2312");
}

static void a_term_that_has_passed_is_no_refusal(void **state)
{
	/* HKUST: valid until 2019-20 Summer. */
	struct world *w = *state;

	world_rule(w, RULE("ust", "A1", "COMP 3311",
			   ",\"achieved_to\":\"2020-08-31\""));
	world_hold(w, AWARD("C1", "A1", "2020-08-31", ""), NULL);
	expect_target(w, "COMP 3311");
	w->facts.held_count = 0;
	world_hold(w, AWARD("C2", "A1", "2021-01-20", ""), NULL);
	expect(w, "undetermined");
}

/* ---- Offers, before anyone enrols ------------------------------------- */

static void an_offer_is_answered_without_a_credential(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", OFFER, NULL);
	world_rule(w, RULE("r", "A1", "X", ""));
	expect_target(w, "X");
	assert_string_equal(world_text(w, "subject.0.offer"), "i.example/A1");
	assert_string_equal(world_text(w, "basis.1.kind"), "offer");
}

static void
an_offer_of_an_institution_without_records_is_unverified(void **state)
{
	struct world *w = *state;

	world_offer(w, "FIN-A0103", NULL, NULL);
	world_rule(w, RULE("hku-1", "FIN-A0103", "FINA1310", ""));
	expect_target(w, "FINA1310");
	assert_int_equal(world_count(w, "basis"), 1);
	assert_int_equal(world_uint(w, "subject.0.verified"), UINT64_MAX);
}

static void conditions_on_what_is_not_known_yet_stay_open(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", OFFER, NULL);
	world_rule(w, RULE("r", "A1", "X",
			   ",\"conditions\":{\"grade_min\":\"B\"}"));
	expect(w, "conditional");
}

static void
an_interval_that_is_over_excludes_what_is_not_completed(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", OFFER, NULL);
	world_rule(w, RULE("r", "A1", "X", ",\"achieved_to\":\"2026-05-31\""));
	expect(w, "undetermined");
	w->question.as_of = slice_str("2026-05-31");
	expect(w, "conditional");
	assert_true(world_says(w, "conditions", "achieved-to"));
}

static void
a_planned_completion_after_the_day_asked_about_is_not_evaluable(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", OFFER, "2026-06-02");
	world_rule(w, RULE("r", "A1", "X", ""));
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "achieved-later");
	w->question.as_of = slice_str("2026-06-02");
	expect_target(w, "X");
}

/* ---- The gate --------------------------------------------------------- */

#define STATUS(state, at)                                                      \
	"{\"credential\":\"C1\",\"state\":\"" state                            \
	"\",\"reason\":\"other\",\"at\":\"" at "\"}"

static void the_gate_stops_what_is_not_valid(void **state)
{
	static const struct {
		const char *status;
		const char *cause;
	} cases[] = {
		{ STATUS("revoked", "2026-01-01"), "revoked" },
		{ STATUS("suspended", "2026-01-01"), "suspended" },
		{ "{\"credential\":\"C1\",\"state\":\"superseded\",\"reason\":"
		  "\"replaced\",\"successor\":\"C9\"}",
		  "superseded" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		hold_a1(w);
		world_rule(w, RULE("r", "A1", "X", ""));
		world_status(w, cases[i].status);
		expect(w, "not-evaluable");
		assert_string_equal(world_text(w, "cause"), cases[i].cause);
		assert_string_equal(world_text(w, "basis.0.kind"), "status");
		assert_int_equal(world_count(w, "targets"), 0);
		world_free(w);
		free(w);
	}
}

static void an_old_version_that_was_handed_over_is_not_evaluated(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	w->held[0].disclosed = true;
	w->held[0].newer = 9;
	assert_string_equal(world_outcome(w), "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "newer-version");
	assert_string_equal(world_text(w, "subject.0.state"), "replaced");
	assert_non_null(strstr(world_text(w, "reasons.0.text"), "#9 "));
}

static void a_state_that_is_not_known_makes_a_grant_conditional(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->held[0].disclosed = true;
	w->held[0].state_unknown = true;
	w->logs[1].withheld = 1u << KIND_STATUS;
	assert_string_equal(world_outcome(w), "undetermined");
	assert_int_equal(world_count(w, "conditions"), 0);
	world_rule(w, RULE("r1", "A1", "X", ""));
	assert_string_equal(world_outcome(w), "conditional");
	assert_string_equal(world_text(w, "subject.0.state"), "unknown");
	assert_true(world_says(w, "conditions", "state-unknown"));
	assert_int_equal(world_count(w, "conditions"), 1);
	assert_string_equal(world_text(w, "incomplete.0.kinds.0"), "status");
	/* What can be read here and stops it does so all the same. */
	world_status(w, STATUS("revoked", "2026-01-01"));
	assert_string_equal(world_outcome(w), "not-evaluable");
	assert_string_equal(world_text(w, "subject.0.state"), "revoked");
}

static void statuses_of_others_that_are_kept_back_do_not_matter(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	w->logs[1].withheld = 1u << KIND_STATUS;
	assert_string_equal(world_outcome(w), "full");
	assert_string_equal(world_text(w, "subject.0.state"), "valid");
	assert_int_equal(world_count(w, "incomplete"), 0);
}

static void a_holder_learns_a_state_but_not_its_reason(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->held[0].disclosed = true;
	w->held[0].state_only = true;
	world_status(w, STATUS("revoked", "2026-01-01"));
	assert_string_equal(world_outcome(w), "not-evaluable");
	assert_null(strstr(world_text(w, "reasons.0.text"), "("));
	w->held[0].state_only = false;
	world_ask(w);
	assert_non_null(strstr(world_text(w, "reasons.0.text"), "("));
}

static void
an_edition_that_is_not_there_leaves_the_offer_unverified(void **state)
{
	struct world *w = *state;

	world_hold(w, AWARD("C1", "A1", "2025-06-01", ",\"offer_version\":99"),
		   OFFER);
	w->held[0].edition_missing = true;
	w->logs[1].withheld = 1u << KIND_OFFER;
	world_ask(w);
	assert_int_equal(world_uint(w, "subject.0.edition_missing"), 99);
	assert_false(
		value_get(&value_get(&w->tree, "subject")->items[0], "verified")
			->b);
	assert_string_equal(world_text(w, "incomplete.0.kinds.0"), "offer");
}

static void the_state_of_an_offer_is_told_unless_it_is_published(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1",
		    "{\"offer\":\"A1\",\"type\":\"course\",\"title\":{\"en\":"
		    "\"A\"},\"state\":\"retired\"}",
		    NULL);
	world_ask(w);
	assert_string_equal(world_text(w, "subject.0.offer_state"), "retired");
	w->held[0].offer.body = world_body(
		w, KIND_OFFER,
		"{\"offer\":\"A1\",\"type\":\"course\",\"title\":{\"en\":"
		"\"A\"},\"state\":\"published\"}");
	world_ask(w);
	assert_string_equal(world_text(w, "subject.0.offer_state"), "");
}

static void the_newest_status_in_force_counts(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X", ""));
	world_status(w, STATUS("revoked", "2026-01-01"));
	world_status(w, "{\"credential\":\"C1\",\"state\":\"valid\","
			"\"at\":\"2026-02-01\"}");
	expect_target(w, "X");
	w->question.as_of = slice_str("2026-01-31");
	expect(w, "not-evaluable");
}

static void a_status_after_the_day_asked_about_is_told(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X", ""));
	world_status(w, STATUS("revoked", "2026-06-02T08:00:00Z"));
	expect_target(w, "X");
	assert_true(world_says(w, "reasons", "state-later"));
	w->question.as_of = slice_str("2026-06-02");
	expect(w, "not-evaluable");
}

static void an_expired_credential_is_not_evaluable(void **state)
{
	struct world *w = *state;

	world_hold(w,
		   AWARD("C1", "A1", "2025-06-01",
			 ",\"valid_until\":\"2026-05-31\""),
		   OFFER);
	world_rule(w, RULE("r", "A1", "X", ""));
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "expired");
	w->question.as_of = slice_str("2026-05-31");
	expect_target(w, "X");
}

static void a_credential_achieved_after_the_day_is_not_evaluable(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X", ""));
	w->question.as_of = slice_str("2025-05-31");
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "achieved-later");
}

static void an_incomplete_micro_credential_is_not_evaluable(void **state)
{
	struct world *w = *state;
	struct recognise_held *h =
		world_hold(w, AWARD("C1", "A1", "2025-06-01", ""), OFFER);

	h->offer.body = world_raw(w, "{\"offer\":\"A1\",\"type\":"
				     "\"micro-credential\",\"title\":{\"en\":"
				     "\"Alpha\"},\"country\":\"DK\"}");
	world_rule(w, RULE("r", "A1", "X", ""));
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "incomplete");
	assert_non_null(strstr(world_text(w, "reasons.0.text"), "Annex I"));
}

static void a_credential_without_its_fields_is_not_evaluable(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->held[0].credential.body =
		world_raw(w, "{\"credential\":\"C1\",\"offer\":\"A1\"}");
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "incomplete");
}

static void a_credential_that_may_not_be_seen_names_whom_to_ask(void **state)
{
	struct world *w = *state;
	struct recognise_held *h = &w->held[w->facts.held_count++];

	*h = (struct recognise_held){ .id = slice_str("i.example/C1"),
				      .issuer = slice_str("i.example"),
				      .log = 1,
				      .unreadable = true };
	w->logs[1].withheld = 1u << KIND_CREDENTIAL;
	expect(w, "not-evaluable");
	assert_string_equal(world_text(w, "cause"), "not-visible");
	assert_string_equal(world_text(w, "incomplete.0.member"), "i.example");
	assert_string_equal(world_text(w, "incomplete.0.kinds.0"),
			    "credential");
}

/* ---- Decisions -------------------------------------------------------- */

static void a_decision_on_exactly_this_credential_binds(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X", ""));
	world_decision(w, DECISION("d", "\"i.example/C1\"", "partial",
				   ",\"credits\":3,\"unit\":\"AU\","
				   "\"mapping\":[{\"from\":[\"A1\"],\"to\":["
				   "{\"code\":\"Y\",\"match\":\"specific\"}]}],"
				   "\"conditions\":[{\"text\":\"oral exam\","
				   "\"due\":\"2026-12-31\"}]"));
	expect(w, "partial");
	assert_string_equal(world_text(w, "standing"), "decision");
	assert_string_equal(world_text(w, "targets.0.code"), "Y");
	assert_int_equal(world_uint(w, "credits.recognised"), 300);
	assert_string_equal(world_text(w, "conditions.0.due"), "2026-12-31");
	assert_int_equal(world_count(w, "mapping"), 1);
}

static void
a_decision_on_more_credentials_is_told_and_does_not_bind(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d", "\"i.example/C1\",\"i.example/C2\"",
				   "full", ""));
	expect(w, "undetermined");
	assert_true(world_says(w, "reasons", "other-decision"));
	world_hold(w, AWARD("C2", "B2", "2025-06-01", ""), NULL);
	expect(w, "full");
}

static void
a_decision_for_another_purpose_or_programme_does_not_bind(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d1", "\"i.example/C1\"", "full",
				   ",\"purpose\":\"admission\""));
	world_decision(w, DECISION("d2", "\"i.example/C1\"", "full",
				   ",\"programme\":\"P\""));
	expect(w, "undetermined");
	assert_true(world_says(w, "reasons", "other-decision"));
	w->question.programme = slice_str("P");
	expect(w, "full");
}

static void the_last_decision_of_a_chain_binds(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d1", "\"i.example/C1\"", "full", ""));
	world_decision(w,
		       DECISION("d2", "\"i.example/C1\"", "refused",
				",\"supersedes\":[\"d1\"],\"reason\":\"x\","
				"\"side\":\"level\",\"appeal\":{\"days\":14}"));
	expect(w, "refused");
	assert_string_equal(world_text(w, "basis.0.id"), "d2");
}

static void two_decisions_in_force_that_differ_need_review(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d1", "\"i.example/C1\"", "full", ""));
	world_decision(w, DECISION("d2", "\"i.example/C1\"", "partial", ""));
	expect(w, "needs-review");
	assert_true(world_says(w, "reasons", "decisions-conflict"));
	assert_int_equal(world_count(w, "alternatives"), 2);
}

static void a_decision_under_appeal_says_so(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d", "\"i.example/C1\"", "full",
				   ",\"appeal_state\":\"lodged\""));
	expect(w, "full");
	assert_true(world_says(w, "reasons", "under-appeal"));
	assert_string_equal(world_text(w, "appeal_state"), "lodged");
}

static void a_decision_of_a_later_day_or_withdrawn_does_not_bind(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->question.as_of = slice_str("2026-01-09");
	world_decision(w, DECISION("d1", "\"i.example/C1\"", "full", ""));
	world_decision(w, "{\"decision\":\"d2\",\"credentials\":["
			  "\"i.example/C1\"],\"decided_on\":\"2025-12-01\","
			  "\"outcome\":\"full\",\"state\":\"withdrawn\"}");
	expect(w, "undetermined");
}

static void decisions_do_not_answer_for_offers(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", OFFER, NULL);
	world_decision(w, DECISION("d", "\"i.example/A1\"", "full", ""));
	expect(w, "undetermined");
}

/* ---- Agreements, policies, limits ------------------------------------- */

#define POLICY(id, clause, more)                                               \
	"{\"policy\":\"" id "\",\"clauses\":[" clause "]" more "}"
#define CLAUSE(when, effect) "{\"when\":{" when "},\"effect\":{" effect "}}"

static void the_first_clause_that_holds_applies(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_policy(
		w,
		POLICY("p",
		       CLAUSE("\"eqf_min\":7", "\"outcome\":\"full\"") "," CLAUSE(
			       "\"issuers\":[\"i.example\"],"
			       "\"isced\":[\"06\"]",
			       "\"outcome\":\"partial\"") "," CLAUSE("\"ects_"
								     "max\":60",
								     "\"outcome"
								     "\":"
								     "\"full"
								     "\""),
		       ""));
	expect(w, "partial");
	assert_string_equal(world_text(w, "standing"), "policy");
	assert_non_null(strstr(world_text(w, "reasons.0.text"), "clause 2"));
}

static void a_rule_stands_before_a_policy(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_policy(w,
		     POLICY("p", "{\"effect\":{\"outcome\":\"partial\"}}", ""));
	world_rule(w, RULE("r", "A1", "X", ""));
	expect_target(w, "X");
}

static void an_agreement_with_the_issuer_stands_before_a_policy(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_policy(w,
		     POLICY("p", "{\"effect\":{\"outcome\":\"partial\"}}", ""));
	world_policy(w, POLICY("a1",
			       "{\"effect\":{\"outcome\":\"full\","
			       "\"reason\":\"broad\"}}",
			       ",\"parties\":[\"r.example\",\"i.example\","
			       "\"z.example\"]"));
	world_policy(w, POLICY("a2",
			       "{\"effect\":{\"outcome\":\"conditional\","
			       "\"conditions\":[\"enrolled\"]}}",
			       ",\"parties\":[\"r.example\",\"i.example\"]"));
	world_policy(w, POLICY("a3", "{\"effect\":{\"outcome\":\"full\"}}",
			       ",\"parties\":[\"r.example\",\"z.example\"]"));
	expect(w, "conditional");
	assert_string_equal(world_text(w, "standing"), "agreement");
	assert_string_equal(world_text(w, "basis.0.id"), "a2");
}

static void individual_assessment_is_undetermined_on_that_ground(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_policy(w, POLICY("p",
			       "{\"effect\":{\"outcome\":"
			       "\"individual-assessment\"}}",
			       ",\"contact\":\"office@r.example\","
			       "\"decision_days\":30"));
	expect(w, "undetermined");
	assert_string_equal(world_text(w, "standing"), "policy");
	assert_string_equal(world_text(w, "contact"), "office@r.example");
	assert_int_equal(world_uint(w, "decision_days"), 30);
}

static void a_policy_out_of_its_time_is_no_policy(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_policy(w, POLICY("p1", "{\"effect\":{\"outcome\":\"full\"}}",
			       ",\"effective_from\":\"2026-06-02\""));
	world_policy(w, POLICY("p2", "{\"effect\":{\"outcome\":\"full\"}}",
			       ",\"effective_to\":\"2026-05-31\""));
	expect(w, "undetermined");
}

static void what_is_not_known_holds_no_clause(void **state)
{
	struct world *w = *state;

	world_offer(w, "A1", NULL, NULL);
	world_policy(w, POLICY("p",
			       CLAUSE("\"eqf_max\":8", "\"outcome\":\"full\""),
			       ""));
	expect(w, "undetermined");
}

static void a_cap_turns_full_into_partial_and_is_told(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w,
		   "{\"rule\":\"r\",\"sources\":[{\"from\":\"i.example\","
		   "\"codes\":[\"A1\"]}],\"outcome\":\"full\",\"targets\":["
		   "{\"code\":\"X\",\"match\":\"specific\",\"credits\":5}]}");
	world_policy(w, "{\"policy\":\"p\",\"limits\":{\"credits_max\":4,"
			"\"own_share_min\":25}}");
	expect(w, "partial");
	assert_int_equal(world_uint(w, "credits.recognised"), 400);
	assert_string_equal(world_text(w, "limits.0.state"), "applied");
	assert_string_equal(world_text(w, "limits.1.code"), "own-share");
	assert_string_equal(world_text(w, "limits.1.state"), "open");
	assert_string_equal(world_text(w, "basis.1.id"), "p");
}

static void a_cap_that_is_kept_changes_nothing(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r", "A1", "X", ""));
	world_policy(w, "{\"policy\":\"p\",\"limits\":{\"credits_max\":24}}");
	expect_target(w, "X");
	assert_string_equal(world_text(w, "limits.0.state"), "open");
}

static void age_is_counted_in_whole_months(void **state)
{
	struct world *w = *state;

	hold_a1(w); /* achieved 2025-06-01 */
	world_rule(w, RULE("r", "A1", "X", ""));
	world_policy(w,
		     "{\"policy\":\"p\",\"limits\":{\"max_age_months\":11}}");
	w->question.as_of = slice_str("2026-05-31");
	expect_target(w, "X");
	w->question.as_of = slice_str("2026-06-01");
	expect(w, "partial");
	assert_string_equal(world_text(w, "limits.0.code"), "max-age");
}

static void limits_do_not_touch_decisions(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_decision(w, DECISION("d", "\"i.example/C1\"", "full", ""));
	world_policy(w, "{\"policy\":\"p\",\"limits\":{\"credits_max\":1}}");
	expect(w, "full");
	assert_int_equal(world_count(w, "limits"), 0);
}

/* ---- Newer formats ---------------------------------------------------- */

static void
a_rule_in_a_newer_format_is_never_a_match_nor_an_absence(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule_body(
		w, world_raw(w, RULE("r2", "A1", "Y", ",\"moon\":\"full\"")));
	expect(w, "needs-review");
	assert_true(world_says(w, "reasons", "newer-format"));
}

static void a_newer_rule_that_is_not_about_this_is_nothing(void **state)
{
	static const char *const others[] = {
		RULE("r2", "B2", "Y", ",\"moon\":\"full\""),
		RULE("r2", "A1", "Y",
		     ",\"moon\":\"full\",\"state\":\"withdrawn\""),
		RULE("r2", "A1", "Y",
		     ",\"moon\":\"full\",\"decided_on\":\"2030-01-01\""),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		hold_a1(w);
		world_rule(w, RULE("r1", "A1", "X", ""));
		world_rule_body(w, world_raw(w, others[i]));
		expect_target(w, "X");
		world_free(w);
		free(w);
	}
}

static void
a_status_policy_or_decision_in_a_newer_format_needs_review(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct world *w = calloc(1, sizeof(*w));
		struct recognise_record r = { .log = i == 0, .seq = 5 };

		world_init(w);
		hold_a1(w);
		world_rule(w, RULE("r1", "A1", "X", ""));
		if (i == 0) {
			r.body = world_raw(w, "{\"seq\":0,\"state\":\"frozen\","
					      "\"reason\":\"other\"}");
			w->held[0].statuses = &r;
			w->held[0].status_count = 1;
		} else if (i == 1) {
			r.body = world_raw(w, "{\"policy\":\"p\",\"moon\":1}");
			w->facts.policies = &r;
			w->facts.policy_count = 1;
		} else {
			r.body = world_raw(
				w, "{\"decision\":\"d\",\"credentials\":["
				   "\"i.example/C1\"],\"decided_on\":"
				   "\"2026-01-01\",\"outcome\":\"perhaps\"}");
			w->facts.decisions = &r;
			w->facts.decision_count = 1;
		}
		expect(w, "needs-review");
		assert_true(world_says(w, "reasons", "newer-format"));
		world_free(w);
		free(w);
	}
}

static void an_unknown_field_of_a_credential_changes_nothing(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->held[0].credential.body = world_raw(
		w, "{\"credential\":\"C1\",\"offer\":\"A1\",\"learner\":\"x\","
		   "\"issued_on\":\"2025-06-01\",\"moon\":1}");
	world_rule(w, RULE("r", "A1", "X", ""));
	expect_target(w, "X");
}

/* ---- What is withheld, and the copy ----------------------------------- */

static void kinds_that_are_withheld_and_could_matter_are_named(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->logs[0].withheld = 1u << KIND_DECISION | 1u << KIND_LEARNER;
	expect(w, "undetermined");
	assert_int_equal(world_count(w, "incomplete"), 1);
	assert_int_equal(world_count(w, "incomplete.0.kinds"), 1);
	assert_string_equal(world_text(w, "incomplete.0.kinds.0"), "decision");
	w->held[0].is_offer = true; /* nobody decided on an offer */
	world_ask(w);
	assert_int_equal(world_count(w, "incomplete"), 0);
}

static void too_many_rules_need_review(void **state)
{
	struct world *w = *state;

	hold_a1(w);
	w->facts.truncated = true;
	expect(w, "needs-review");
	assert_true(world_says(w, "reasons", "too-many-rules"));
}

static void the_same_facts_in_another_order_give_the_same_bytes(void **state)
{
	struct world *w = *state;
	struct recognise_record swap;
	struct slice first;

	hold_a1(w);
	w->question.explain = false;
	world_rule(w, RULE("r1", "A1", "X", ""));
	world_rule(w, RULE("r2", "A1", "Y", ""));
	world_rule(w, RULE("r3", "A1", "X", ",\"decided_on\":\"2020-01-01\""));
	world_ask(w);
	assert_int_equal(arena_copy(&w->arena, buf_slice(&w->answer), &first),
			 ERR_OK);
	swap = w->rules[0];
	w->rules[0] = w->rules[2];
	w->rules[2] = swap;
	world_ask(w);
	assert_true(slice_equal(first, buf_slice(&w->answer)));
}

static void a_full_arena_or_buffer_is_a_limit(void **state)
{
	struct world *w = *state;
	struct arena small;
	struct buf out;

	hold_a1(w);
	world_rule(w, RULE("r1", "A1", "X", ""));
	for (size_t max = 0; max < 4000; max += 97) {
		arena_init(&small, max);
		buf_reset(&w->answer);
		(void)!recognise(&w->facts, &small, &w->answer);
		arena_free(&small);
	}
	arena_init(&small, 16);
	assert_int_equal(recognise(&w->facts, &small, &w->answer), ERR_LIMIT);
	arena_free(&small);
	buf_init(&out, 100);
	assert_int_equal(recognise(&w->facts, &w->work, &out), ERR_LIMIT);
	buf_free(&out);
}

/* ---- Main ------------------------------------------------------------- */

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(silence_is_undetermined_and_never_refused),
		TEST(a_recogniser_without_a_log_is_undetermined),
		TEST(one_rule_that_fits_applies),
		TEST(credits_not_stated_are_never_copied_from_what_was_earned),
		TEST(stated_credits_are_added_up_in_their_unit),
		TEST(a_rule_made_after_the_achievement_applies_and_is_told),
		TEST(a_rule_that_fails_a_test_is_silence_and_explained),
		TEST(the_interval_of_a_rule_is_inclusive),
		TEST(the_completion_date_counts_not_the_date_of_issue),
		TEST(a_code_matches_folded_and_says_so),
		TEST(punctuation_in_codes_counts),
		TEST(an_exact_code_stands_before_a_folded_one),
		TEST(an_alias_of_the_offer_matches_last),
		TEST(from_matches_further_domains_of_the_institution),
		TEST(a_set_ignores_repeats_and_does_not_grow_by_them),
		TEST(any_one_of_the_sources_suffices),
		TEST(a_source_may_name_an_edition),
		TEST(a_set_needs_all_of_its_courses),
		TEST(a_larger_set_stands_before_single_courses),
		TEST(courses_that_do_not_compete_are_recognised_side_by_side),
		TEST(what_no_rule_covers_makes_the_whole_partial),
		TEST(a_course_used_once_is_not_used_again),
		TEST(equal_rank_and_other_effect_needs_review),
		TEST(a_smaller_priority_stands_first_and_an_absent_one_last),
		TEST(specific_stands_before_generic),
		TEST(priority_stands_before_specific),
		TEST(a_rule_for_the_programme_stands_before_one_for_all),
		TEST(an_excluded_programme_is_no_match),
		TEST(the_same_effect_twice_applies_once_and_is_told),
		TEST(the_effect_is_outcome_conditions_scope_and_targets),
		TEST(the_learner_chooses_only_if_all_say_so),
		TEST(a_choice_inside_one_rule_lists_its_targets),
		TEST(a_later_rule_replaces_another_only_by_superseding_it),
		TEST(a_superseded_rule_stays_out_when_its_successor_does_not_fit),
		TEST(a_withdrawn_or_future_rule_supersedes_nothing),
		TEST(a_chain_of_supersession_removes_all_but_the_last),
		TEST(a_rule_may_deny_courses_to_rules_no_narrower),
		TEST(a_refusal_carries_reason_side_and_appeal),
		TEST(a_refusal_beside_a_grant_of_equal_rank_needs_review),
		TEST(a_refusal_with_priority_wins),
		TEST(words_of_scope_alone_make_it_conditional),
		TEST(words_of_scope_never_raise_the_rank),
		TEST(words_beside_a_programme_explain_it_only),
		TEST(a_condition_that_is_met_is_listed_and_stays_full),
		TEST(a_condition_in_words_stays_open),
		TEST(grades_compare_within_one_scheme_only),
		TEST(holding_one_of_two_or_too_low_a_grade_is_no_match),
		TEST(two_sources_are_needed_as_hku_writes_them),
		TEST(a_term_that_has_passed_is_no_refusal),
		TEST(an_offer_is_answered_without_a_credential),
		TEST(an_offer_of_an_institution_without_records_is_unverified),
		TEST(conditions_on_what_is_not_known_yet_stay_open),
		TEST(an_interval_that_is_over_excludes_what_is_not_completed),
		TEST(a_planned_completion_after_the_day_asked_about_is_not_evaluable),
		TEST(the_gate_stops_what_is_not_valid),
		TEST(an_old_version_that_was_handed_over_is_not_evaluated),
		TEST(a_state_that_is_not_known_makes_a_grant_conditional),
		TEST(statuses_of_others_that_are_kept_back_do_not_matter),
		TEST(a_holder_learns_a_state_but_not_its_reason),
		TEST(an_edition_that_is_not_there_leaves_the_offer_unverified),
		TEST(the_state_of_an_offer_is_told_unless_it_is_published),
		TEST(the_newest_status_in_force_counts),
		TEST(a_status_after_the_day_asked_about_is_told),
		TEST(an_expired_credential_is_not_evaluable),
		TEST(a_credential_achieved_after_the_day_is_not_evaluable),
		TEST(an_incomplete_micro_credential_is_not_evaluable),
		TEST(a_credential_without_its_fields_is_not_evaluable),
		TEST(a_credential_that_may_not_be_seen_names_whom_to_ask),
		TEST(a_decision_on_exactly_this_credential_binds),
		TEST(a_decision_on_more_credentials_is_told_and_does_not_bind),
		TEST(a_decision_for_another_purpose_or_programme_does_not_bind),
		TEST(the_last_decision_of_a_chain_binds),
		TEST(two_decisions_in_force_that_differ_need_review),
		TEST(a_decision_under_appeal_says_so),
		TEST(a_decision_of_a_later_day_or_withdrawn_does_not_bind),
		TEST(decisions_do_not_answer_for_offers),
		TEST(the_first_clause_that_holds_applies),
		TEST(a_rule_stands_before_a_policy),
		TEST(an_agreement_with_the_issuer_stands_before_a_policy),
		TEST(individual_assessment_is_undetermined_on_that_ground),
		TEST(a_policy_out_of_its_time_is_no_policy),
		TEST(what_is_not_known_holds_no_clause),
		TEST(a_cap_turns_full_into_partial_and_is_told),
		TEST(a_cap_that_is_kept_changes_nothing),
		TEST(age_is_counted_in_whole_months),
		TEST(limits_do_not_touch_decisions),
		TEST(a_rule_in_a_newer_format_is_never_a_match_nor_an_absence),
		TEST(a_newer_rule_that_is_not_about_this_is_nothing),
		TEST(a_status_policy_or_decision_in_a_newer_format_needs_review),
		TEST(an_unknown_field_of_a_credential_changes_nothing),
		TEST(kinds_that_are_withheld_and_could_matter_are_named),
		TEST(too_many_rules_need_review),
		TEST(the_same_facts_in_another_order_give_the_same_bytes),
		TEST(a_full_arena_or_buffer_is_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
