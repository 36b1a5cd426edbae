/* Questions against a store: the newest version counts, only what the asker
 * may read is looked at, and what is withheld is named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/query.h"
#include "proto/dec.h"
#include "tests/lib/facts.h"
#include "tests/lib/shelf.h"

/* ---- Fixture: i.example issues, r.example recognises, o.example looks on - */

struct fixture {
	struct world world; /* bodies, and the answer's tree */
	struct shelf shelf;
	struct query *query;
	uint32_t i, r;
	struct buf question, answer;
	const char *asker;
};

static struct fixture *open_node(const char *own)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	world_init(&f->world);
	shelf_open(&f->shelf, own);
	f->asker = own;
	f->i = shelf_log(&f->shelf, "i.example", 1000);
	f->r = shelf_log(&f->shelf, "r.example", 2000);
	buf_init(&f->question, LIMIT_QUESTION_BYTES);
	buf_init(&f->answer, LIMIT_ANSWER_BYTES);
	return f;
}

static int setup(void **state)
{
	*state = open_node("o.example");
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	query_close(f->query);
	shelf_close(&f->shelf);
	world_free(&f->world);
	buf_free(&f->question);
	buf_free(&f->answer);
	free(f);
	return 0;
}

static uint64_t add(struct fixture *f, uint32_t log, uint32_t kind,
		    uint64_t audience, const char *json)
{
	return shelf_add(&f->shelf, log, kind, audience,
			 world_body(&f->world, kind, json));
}

static void ready(struct fixture *f)
{
	shelf_commit(&f->shelf);
	if (f->query == NULL)
		f->query = query_open(&f->shelf.home);
	assert_int_equal(query_begin(f->query), ERR_OK);
}

/* ---- Builders --------------------------------------------------------- */

static uint64_t add_credential(struct fixture *f, const char *id,
			       const char *offer, uint64_t audience)
{
	char json[256];

	snprintf(json, sizeof(json),
		 "{\"credential\":\"%s\",\"offer\":\"%s\",\"subject\":{\"id\":"
		 "\"s\"},\"issued_on\":\"2025-06-01\"}",
		 id, offer);
	return add(f, f->i, KIND_CREDENTIAL, audience, json);
}

static uint64_t add_rule(struct fixture *f, const char *id, const char *code,
			 const char *target, const char *more)
{
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"rule\":\"%s\",\"sources\":[{\"from\":\"i.example\","
		 "\"codes\":[\"%s\"]}],\"outcome\":\"full\",\"targets\":[{"
		 "\"code\":\"%s\",\"match\":\"specific\"}]%s}",
		 id, code, target, more);
	return add(f, f->r, KIND_RULE, AUDIENCE_PUBLIC, json);
}

static uint64_t add_status(struct fixture *f, uint64_t position,
			   const char *state)
{
	char json[128];

	snprintf(json, sizeof(json),
		 "{\"reason\":\"other\",\"seq\":%u,\"state\":\"%s\"}",
		 (unsigned)position, state);
	return shelf_add(&f->shelf, f->i, KIND_STATUS, AUDIENCE_MEMBERS,
			 world_raw(&f->world, json));
}

/* ---- Asking ----------------------------------------------------------- */

static enum err ask(struct fixture *f, const struct recognise_question *q)
{
	struct slice kept;
	enum err e;

	buf_reset(&f->question);
	buf_reset(&f->answer);
	recognise_question_put(q, &f->question);
	e = query_answer(f->query, buf_slice(&f->question), slice_str(f->asker),
			 5000, &f->answer);
	assert_int_equal(dec_scan(buf_slice(&f->answer), NULL), ERR_OK);
	assert_int_equal(
		arena_copy(&f->world.arena, buf_slice(&f->answer), &kept),
		ERR_OK);
	assert_int_equal(value_decode(kept, &f->world.arena, &f->world.tree),
			 ERR_OK);
	return e;
}

static struct recognise_question about(const char *credential)
{
	struct recognise_question q = { .by = SLICE_LIT("r.example"),
					.as_of = SLICE_LIT("2026-06-01") };

	q.credentials[q.credential_count++] = slice_str(credential);
	return q;
}

static void expect(struct fixture *f, const char *credential,
		   const char *outcome)
{
	struct recognise_question q = about(credential);

	assert_int_equal(ask(f, &q), ERR_OK);
	assert_string_equal(world_text(&f->world, "outcome"), outcome);
}

static void expect_error(struct fixture *f, const char *credential,
			 const char *code)
{
	struct recognise_question q = about(credential);

	assert_int_not_equal(ask(f, &q), ERR_OK);
	assert_string_equal(world_text(&f->world, "error"), code);
}

/* ---- Finding ---------------------------------------------------------- */

static void a_credential_is_found_by_member_and_id_or_bare(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add_rule(f, "r1", "a 1", "X", "");
	ready(f);
	expect(f, "i.example/C1", "full");
	assert_string_equal(world_text(&f->world, "targets.0.code"), "X");
	expect(f, "C1", "full");
	assert_string_equal(world_text(&f->world, "subject.0.id"),
			    "i.example/C1");
}

static void an_id_may_hold_a_slash(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "2025/C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	expect(f, "i.example/2025/C1", "undetermined");
	expect(f, "2025/C1", "undetermined");
}

static void an_unknown_credential_is_not_found(void **state)
{
	struct fixture *f = *state;

	ready(f);
	expect_error(f, "i.example/C1", "not-found");
	expect_error(f, "nowhere.example/C1", "not-found");
	expect_error(f, "C1", "not-found");
}

static void a_bare_id_that_two_members_have_is_ambiguous(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add(f, f->r, KIND_CREDENTIAL, AUDIENCE_MEMBERS,
	    "{\"credential\":\"C1\",\"offer\":\"A1\",\"subject\":{\"id\":"
	    "\"s\"},\"issued_on\":\"2025-06-01\"}");
	ready(f);
	expect_error(f, "C1", "ambiguous");
	assert_int_equal(world_count(&f->world, "candidates"), 2);
	assert_string_equal(world_text(&f->world, "candidates.0"),
			    "i.example/C1");
	expect(f, "i.example/C1", "undetermined");
}

static void the_same_credential_twice_is_one(void **state)
{
	struct fixture *f = *state;
	struct recognise_question q = about("i.example/C1");

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	q.credentials[q.credential_count++] = slice_str("C1");
	assert_int_equal(ask(f, &q), ERR_OK);
	assert_int_equal(world_count(&f->world, "subject"), 1);
}

static void an_offer_needs_no_record_at_all(void **state)
{
	struct fixture *f = *state;
	struct recognise_question q = { .by = SLICE_LIT("r.example"),
					.offer = SLICE_LIT("aalto.fi/F1") };

	add(f, f->r, KIND_RULE, AUDIENCE_PUBLIC,
	    "{\"rule\":\"r1\",\"sources\":[{\"from\":\"aalto.fi\",\"codes\":"
	    "[\"F1\"]}],\"outcome\":\"full\",\"targets\":[{\"code\":\"X\","
	    "\"match\":\"specific\"}]}");
	ready(f);
	assert_int_equal(ask(f, &q), ERR_OK);
	assert_string_equal(world_text(&f->world, "outcome"), "full");
	assert_int_equal(world_count(&f->world, "freshness"), 1);
}

static void a_recogniser_without_a_log_is_said_to_have_none(void **state)
{
	struct fixture *f = *state;
	struct recognise_question q = about("C1");

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	q.by = slice_str("z.example");
	assert_int_equal(ask(f, &q), ERR_OK);
	assert_string_equal(world_text(&f->world, "outcome"), "undetermined");
	assert_true(world_says(&f->world, "reasons", "no-log"));
}

/* ---- Versions --------------------------------------------------------- */

static void the_newest_version_of_a_rule_counts(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add_rule(f, "r1", "A1", "OLD", "");
	add_rule(f, "r1", "A1", "NEW", "");
	ready(f);
	expect(f, "C1", "full");
	assert_string_equal(world_text(&f->world, "targets.0.code"), "NEW");
	assert_int_equal(world_uint(&f->world, "basis.0.seq"), 1);
}

static void
a_rule_that_moved_to_another_course_is_gone_from_the_old(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add_rule(f, "r1", "A1", "X", "");
	add_rule(f, "r1", "B2", "X", "");
	ready(f);
	expect(f, "C1", "undetermined");
}

static void a_withdrawn_rule_is_gone(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add_rule(f, "r1", "A1", "X", "");
	add_rule(f, "r1", "A1", "X", ",\"state\":\"withdrawn\"");
	ready(f);
	expect(f, "C1", "undetermined");
}

static void a_rule_about_another_course_may_supersede(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add_rule(f, "r1", "A1", "X", "");
	add_rule(f, "r2", "B2", "X", ",\"supersedes\":[\"r1\"]");
	ready(f);
	expect(f, "C1", "undetermined");
}

static void the_offer_is_that_of_the_edition_earned(void **state)
{
	struct fixture *f = *state;

	add(f, f->i, KIND_OFFER, AUDIENCE_PUBLIC,
	    "{\"offer\":\"A1\",\"version\":1,\"type\":\"course\",\"title\":"
	    "{\"en\":\"First\"}}");
	add(f, f->i, KIND_OFFER, AUDIENCE_PUBLIC,
	    "{\"offer\":\"A1\",\"version\":2,\"type\":\"course\",\"title\":"
	    "{\"en\":\"Second\"}}");
	add(f, f->i, KIND_CREDENTIAL, AUDIENCE_MEMBERS,
	    "{\"credential\":\"C1\",\"offer\":\"A1\",\"offer_version\":1,"
	    "\"subject\":{\"id\":\"s\"},\"issued_on\":\"2025-06-01\"}");
	add_credential(f, "C2", "A1", AUDIENCE_MEMBERS);
	ready(f);
	expect(f, "C1", "undetermined");
	assert_string_equal(world_text(&f->world, "subject.0.title"), "First");
	expect(f, "C2", "undetermined");
	assert_string_equal(world_text(&f->world, "subject.0.title"), "Second");
}

static void an_edition_that_is_not_published_is_named(void **state)
{
	struct fixture *f = *state;

	add(f, f->i, KIND_OFFER, AUDIENCE_PUBLIC,
	    "{\"offer\":\"A1\",\"version\":1,\"type\":\"course\",\"title\":"
	    "{\"en\":\"First\"}}");
	add(f, f->i, KIND_CREDENTIAL, AUDIENCE_MEMBERS,
	    "{\"credential\":\"C1\",\"offer\":\"A1\",\"offer_version\":99,"
	    "\"subject\":{\"id\":\"s\"},\"issued_on\":\"2025-06-01\"}");
	ready(f);
	expect(f, "C1", "undetermined");
	assert_int_equal(world_uint(&f->world, "subject.0.edition_missing"),
			 99);
}

/* ---- Statuses --------------------------------------------------------- */

static void a_status_kept_back_is_not_about_what_all_may_read(void **state)
{
	struct fixture *f = *state;
	uint64_t own;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	own = add_credential(f, "C2", "A1", AUDIENCE_OWN);
	shelf_add(&f->shelf, f->i, KIND_STATUS, AUDIENCE_OWN,
		  world_raw(&f->world, "{\"reason\":\"other\",\"seq\":1,"
				       "\"state\":\"revoked\"}"));
	assert_int_equal(own, 1);
	ready(f);
	expect(f, "C1", "undetermined");
	assert_string_equal(world_text(&f->world, "subject.0.state"), "valid");
	assert_int_equal(world_count(&f->world, "incomplete"), 0);
}

static void a_status_of_any_version_counts(void **state)
{
	struct fixture *f = *state;
	uint64_t first = add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);

	add_status(f, first, "revoked");
	add_credential(f, "C1", "A1b", AUDIENCE_MEMBERS);
	ready(f);
	expect(f, "C1", "not-evaluable");
	assert_string_equal(world_text(&f->world, "cause"), "revoked");
}

static void the_newest_status_wins_and_others_are_left_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t a = add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	uint64_t b = add_credential(f, "C2", "A1", AUDIENCE_MEMBERS);

	add_status(f, a, "suspended");
	add_status(f, a, "valid");
	add_status(f, b, "suspended");
	ready(f);
	expect(f, "C1", "undetermined");
	expect(f, "C2", "not-evaluable");
}

/* ---- Institutions and policies ---------------------------------------- */

static void further_domains_come_from_the_institution_itself(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add(f, f->r, KIND_RULE, AUDIENCE_PUBLIC,
	    "{\"rule\":\"r1\",\"sources\":[{\"from\":\"old.i.example\","
	    "\"codes\":[\"A1\"]}],\"outcome\":\"full\",\"targets\":[{\"code\":"
	    "\"X\",\"match\":\"specific\"}]}");
	ready(f);
	expect(f, "C1", "undetermined");
	add(f, f->i, KIND_INSTITUTION, AUDIENCE_PUBLIC,
	    "{\"member\":\"i.example\",\"name\":{\"en\":\"I\"},\"country\":"
	    "\"DK\",\"domains\":[\"old.i.example\"]}");
	ready(f);
	expect(f, "C1", "full");
	/* One who speaks of others is not believed. */
	add(f, f->r, KIND_INSTITUTION, AUDIENCE_PUBLIC,
	    "{\"member\":\"i.example\",\"name\":{\"en\":\"I\"},\"country\":"
	    "\"DK\",\"domains\":[\"z.example\"]}");
	ready(f);
	expect(f, "C1", "full");
}

static void policies_and_contacts_of_the_recogniser_are_found(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add(f, f->r, KIND_INSTITUTION, AUDIENCE_PUBLIC,
	    "{\"member\":\"r.example\",\"name\":{\"en\":\"R\"},\"country\":"
	    "\"DE\",\"contacts\":[{\"role\":\"it\",\"mailbox\":"
	    "\"it@r.example\"},{\"role\":\"recognition\",\"mailbox\":"
	    "\"rec@r.example\"}]}");
	ready(f);
	expect(f, "C1", "undetermined");
	assert_string_equal(world_text(&f->world, "contact"), "rec@r.example");
	add(f, f->r, KIND_POLICY, AUDIENCE_PUBLIC,
	    "{\"policy\":\"p\",\"clauses\":[{\"effect\":{\"outcome\":"
	    "\"partial\"}}]}");
	add(f, f->i, KIND_POLICY, AUDIENCE_PUBLIC,
	    "{\"policy\":\"q\",\"clauses\":[{\"effect\":{\"outcome\":"
	    "\"full\"}}]}");
	ready(f);
	expect(f, "C1", "partial");
	add(f, f->r, KIND_POLICY, AUDIENCE_PUBLIC,
	    "{\"policy\":\"p\",\"state\":\"withdrawn\"}");
	ready(f);
	expect(f, "C1", "undetermined");
}

/* ---- Audiences -------------------------------------------------------- */

static void what_the_asker_may_not_read_looks_nonexistent(void **state)
{
	struct fixture *f = *state;

	teardown(state);
	*state = f = open_node("i.example");
	add_credential(f, "C1", "A1", AUDIENCE_OWN);
	ready(f);
	expect(f, "i.example/C1", "undetermined");
	f->asker = "r.example";
	expect(f, "i.example/C1", "not-evaluable");
	assert_string_equal(world_text(&f->world, "cause"), "not-visible");
	assert_string_equal(world_text(&f->world, "incomplete.0.member"),
			    "i.example");
	assert_int_equal(world_count(&f->world, "basis"), 0);
	/* The very same for one that does not exist. */
	expect(f, "i.example/C2", "not-evaluable");
	f->asker = "";
	expect(f, "i.example/C1", "not-evaluable");
}

static void a_members_credential_is_for_members(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	expect(f, "i.example/C1", "undetermined");
	f->asker = "";
	expect(f, "i.example/C1", "not-evaluable");
}

static void own_decisions_answer_at_home_and_are_named_elsewhere(void **state)
{
	static const char *const decision =
		"{\"decision\":\"d\",\"credentials\":[\"i.example/C1\"],"
		"\"decided_on\":\"2026-01-01\",\"outcome\":\"partial\"}";
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add(f, f->r, KIND_DECISION, AUDIENCE_OWN, decision);
	ready(f);
	expect(f, "C1", "undetermined");
	assert_string_equal(world_text(&f->world, "incomplete.0.member"),
			    "r.example");
	assert_string_equal(world_text(&f->world, "incomplete.0.kinds.0"),
			    "decision");
	teardown(state);
	*state = f = open_node("r.example");
	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	add(f, f->r, KIND_DECISION, AUDIENCE_OWN, decision);
	ready(f);
	expect(f, "C1", "partial");
	assert_int_equal(world_count(&f->world, "incomplete"), 0);
	f->asker = "i.example"; /* asks r.example's node */
	expect(f, "C1", "undetermined");
	assert_int_equal(world_count(&f->world, "incomplete"), 1);
}

static void an_answer_holds_no_personal_field(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	expect(f, "C1", "undetermined");
	for (size_t i = 0; i + 8 <= f->answer.n; i++)
		assert_memory_not_equal(f->answer.p + i, "01234567", 8);
}

/* ---- Freshness -------------------------------------------------------- */

static void freshness_tells_size_age_and_completeness_of_each_log(void **state)
{
	struct fixture *f = *state;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	f->shelf.heads[f->i].missing = 1;
	ready(f);
	expect(f, "C1", "undetermined");
	assert_string_equal(world_text(&f->world, "freshness.0.member"),
			    "r.example");
	assert_int_equal(world_uint(&f->world, "freshness.0.heard_ms"), 2000);
	assert_int_equal(world_uint(&f->world, "freshness.0.age_ms"), 3000);
	assert_int_equal(world_uint(&f->world, "freshness.1.size"), 1);
	assert_false(
		value_get(&value_get(&f->world.tree, "freshness")->items[1],
			  "complete")
			->b);
	assert_true(value_get(&value_get(&f->world.tree, "freshness")->items[0],
			      "complete")
			    ->b);
}

static void as_of_is_today_when_nothing_is_said(void **state)
{
	struct fixture *f = *state;
	struct recognise_question q = { .by = SLICE_LIT("r.example"),
					.offer = SLICE_LIT("i.example/A1") };

	ready(f);
	assert_int_equal(ask(f, &q), ERR_OK);
	assert_string_equal(world_text(&f->world, "as_of"), "1970-01-01");
	assert_string_equal(world_text(&f->world, "purpose"), "credit");
}

/* ---- Bad questions ---------------------------------------------------- */

static void every_prefix_of_a_question_is_refused_with_a_document(void **state)
{
	struct fixture *f = *state;
	struct recognise_question q = about("i.example/C1");
	struct slice whole;

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	ready(f);
	recognise_question_put(&q, &f->question);
	whole = buf_slice(&f->question);
	for (size_t n = 0; n < whole.n; n++) {
		buf_reset(&f->answer);
		assert_int_not_equal(
			query_answer(f->query, slice_sub(whole, 0, n),
				     slice_str(f->asker), 1, &f->answer),
			ERR_OK);
		assert_int_equal(dec_scan(buf_slice(&f->answer), NULL), ERR_OK);
		assert_true(dec_find_str(buf_slice(&f->answer), "error").n > 0);
	}
}

static void thousands_of_rules_on_one_course_need_review(void **state)
{
	struct fixture *f = *state;
	char id[16];

	add_credential(f, "C1", "A1", AUDIENCE_MEMBERS);
	for (unsigned i = 0; i <= LIMIT_CANDIDATES; i++) {
		snprintf(id, sizeof(id), "r%u", i);
		add_rule(f, id, "A1", id, "");
	}
	ready(f);
	expect(f, "C1", "needs-review");
	assert_true(world_says(&f->world, "reasons", "too-many-rules"));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_credential_is_found_by_member_and_id_or_bare),
		TEST(an_id_may_hold_a_slash),
		TEST(an_unknown_credential_is_not_found),
		TEST(a_bare_id_that_two_members_have_is_ambiguous),
		TEST(the_same_credential_twice_is_one),
		TEST(an_offer_needs_no_record_at_all),
		TEST(a_recogniser_without_a_log_is_said_to_have_none),
		TEST(the_newest_version_of_a_rule_counts),
		TEST(a_rule_that_moved_to_another_course_is_gone_from_the_old),
		TEST(a_withdrawn_rule_is_gone),
		TEST(a_rule_about_another_course_may_supersede),
		TEST(the_offer_is_that_of_the_edition_earned),
		TEST(an_edition_that_is_not_published_is_named),
		TEST(a_status_kept_back_is_not_about_what_all_may_read),
		TEST(a_status_of_any_version_counts),
		TEST(the_newest_status_wins_and_others_are_left_alone),
		TEST(further_domains_come_from_the_institution_itself),
		TEST(policies_and_contacts_of_the_recogniser_are_found),
		TEST(what_the_asker_may_not_read_looks_nonexistent),
		TEST(a_members_credential_is_for_members),
		TEST(own_decisions_answer_at_home_and_are_named_elsewhere),
		TEST(an_answer_holds_no_personal_field),
		TEST(freshness_tells_size_age_and_completeness_of_each_log),
		TEST(as_of_is_today_when_nothing_is_said),
		TEST(every_prefix_of_a_question_is_refused_with_a_document),
		TEST(thousands_of_rules_on_one_course_need_review),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
