/* Answers in words, compared with tests/vectors/answers. To see what a
 * changed program says: SYMBOLON_GOLDEN=DIR writes the texts there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/answer.h"
#include "tests/lib/facts.h"

#define GOLDEN "tests/vectors/answers"

/* ---- The facts -------------------------------------------------------- */

/* hku.hk on 02170 of dtu.dk, as the design shows it. */
static void database_systems(struct world *w)
{
	struct recognise_held *h;

	w->question.by = slice_str("hku.hk");
	w->question.as_of = slice_str("2027-01-01");
	w->logs[0] = (struct recognise_log){ .member = slice_str("hku.hk"),
					     .size = 10352,
					     .heard_ms = 1000,
					     .age_ms = 3000,
					     .complete = true };
	w->logs[1] = (struct recognise_log){ .member = slice_str("dtu.dk"),
					     .size = 8211,
					     .heard_ms = 1000,
					     .own = true,
					     .complete = true };
	w->facts.contact = slice_str("recognition@hku.hk");
	h = world_hold(w,
		       "{\"credential\":\"DTU-2024-006432\",\"offer\":"
		       "\"02170\",\"subject\":{\"id\":\"s\"},\"issued_on\":"
		       "\"2024-01-20\",\"achieved_on\":\"2024-01-20\",\"ects\":"
		       "5,\"grade\":{\"value\":\"10\",\"scheme\":\"dk-7\"}}",
		       "{\"offer\":\"02170\",\"type\":\"course\",\"title\":"
		       "{\"en\":\"Database Systems\"},\"ects\":5}");
	h->id = slice_str("dtu.dk/DTU-2024-006432");
	h->issuer = slice_str("dtu.dk");
}

#define FROM(code)                                                             \
	"\"sources\":[{\"from\":\"i.example\",\"codes\":[\"" code "\"]}]"

static void full(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"hku-10359\"," FROM(
			      "02170") ",\"targets\":[{\"code\":\"IIMT3601\","
				       "\"title\":"
				       "\"Database "
				       "management\",\"match\":\"specific\"}],"
				       "\"outcome\":\"full\"}");
}

static void stated(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"r1\"," FROM(
			      " 02170") ",\"targets\":[{\"code\":\"X\","
					"\"title\":\"Databases\","
					"\"match\":\"specific\",\"credits\":4,"
					"\"unit\":\"AU\","
					"\"counts_as\":\"core\"}],\"outcome\":"
					"\"full\","
					"\"decided_on\":\"2025-08-01\","
					"\"conditions\":{"
					"\"grade_min\":\"7\"}}");
	world_rule(w, "{\"rule\":\"r2\"," FROM(
			      " 02170") ",\"targets\":[{\"code\":\"X\","
					"\"match\":\"specific\","
					"\"credits\":4,\"unit\":\"AU\","
					"\"counts_as\":\"core\"}],"
					"\"outcome\":\"full\",\"conditions\":{"
					"\"grade_min\":"
					"\"7\"}}");
}

static void generic(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"hku-1\"," FROM(
			      "02170") ",\"targets\":[{\"title\":\"Elective\","
				       "\"match\":"
				       "\"generic\"}],\"outcome\":\"full\"}");
}

static void needs_review(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"ntu-1\"," FROM(
			      "02170") ",\"targets\":[{\"code\":\"BC2402\","
				       "\"title\":\"DESIGN "
				       "& DEV "
				       "DATABASES\",\"match\":\"specific\","
				       "\"credits\":4,"
				       "\"unit\":\"AU\",\"counts_as\":\"free-"
				       "elective\"}],"
				       "\"outcome\":\"full\"}");
	world_rule(
		w,
		"{\"rule\":\"ntu-2\"," FROM(
			"02170") ",\"targets\":[{\"code\":\"SC2207\",\"match\":"
				 "\"specific\"}],\"outcome\":\"full\","
				 "\"scope\":{\"text\":"
				 "\"COE Only\"}}");
	world_rule(
		w,
		"{\"rule\":\"ntu-3\"," FROM(
			"02170") ",\"targets\":[{\"code\":\"IE4791\",\"match\":"
				 "\"specific\"}],\"outcome\":\"full\"}");
}

static void learner_chooses(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"r\"," FROM(
			      "02170") ",\"choice\":\"learner\",\"targets\":[{"
				       "\"code\":\"X\","
				       "\"match\":\"specific\"},{\"code\":"
				       "\"Y\",\"match\":"
				       "\"specific\"}],\"outcome\":\"full\"}");
}

static void undetermined(struct world *w)
{
	database_systems(w);
	world_policy(w, "{\"policy\":\"p\",\"contact\":\"office@hku.hk\","
			"\"decision_days\":60}");
}

static void undetermined_explained(struct world *w)
{
	database_systems(w);
	w->question.explain = true;
	w->question.programme = slice_str("BEng");
	w->logs[0].withheld = 1u << KIND_DECISION;
	w->logs[0].complete = false;
	w->logs[0].age_ms = 7200000;
	world_rule(w, "{\"rule\":\"old\"," FROM(
			      "02170") ",\"targets\":[{\"code\":\"X\","
				       "\"match\":\"specific\"}],"
				       "\"outcome\":\"full\",\"achieved_to\":"
				       "\"2020-08-31\"}");
	world_rule(w,
		   "{\"rule\":\"set\"," FROM(
			   "02170\",\"02180") ",\"targets\":[{\"code\":\"Y\","
					      "\"match\":\"specific\"}],"
					      "\"outcome\":\"full\"}");
}

static void refused(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"r\"," FROM(
			      "02170") ",\"outcome\":\"refused\",\"reason\":"
				       "\"No laboratory "
				       "part\",\"side\":\"profile\",\"help\":"
				       "\"Take COMP 10\","
				       "\"appeal\":{\"body\":\"Board of "
				       "Studies\",\"days\":30,"
				       "\"contact\":\"appeals@hku.hk\"}}");
}

static void conditional(struct world *w)
{
	database_systems(w);
	world_rule(w, "{\"rule\":\"r\"," FROM(
			      "02170") ",\"targets\":[{\"code\":\"X\","
				       "\"match\":\"specific\"}],"
				       "\"outcome\":\"full\",\"conditions\":{"
				       "\"text\":\"with an "
				       "interview\"}}");
}

static void not_evaluable(struct world *w)
{
	full(w);
	world_status(w, "{\"credential\":\"DTU-2024-006432\",\"state\":"
			"\"revoked\",\"reason\":\"fraud\",\"at\":"
			"\"2026-05-01\"}");
}

static void revoked_later(struct world *w)
{
	not_evaluable(w);
	w->question.as_of = slice_str("2026-04-30");
}

static void decision(struct world *w)
{
	database_systems(w);
	world_decision(w,
		       "{\"decision\":\"D7\",\"credentials\":["
		       "\"dtu.dk/DTU-2024-006432\"],\"decided_on\":"
		       "\"2026-01-10\",\"outcome\":\"partial\",\"credits\":3,"
		       "\"mapping\":[{\"from\":[\"02170\"],\"to\":[{\"code\":"
		       "\"X\",\"match\":\"specific\"}]}],\"conditions\":[{"
		       "\"text\":\"oral exam\",\"due\":\"2027-06-30\"}],"
		       "\"appeal\":{\"days\":30},\"appeal_state\":\"lodged\"}");
}

static void limited(struct world *w)
{
	full(w);
	world_policy(w, "{\"policy\":\"p\",\"limits\":{\"credits_max\":4,"
			"\"own_share_min\":50},\"appeal\":{\"uri\":"
			"\"https://hku.hk/appeal\"}}");
}

static void offer_unverified(struct world *w)
{
	struct recognise_held *h;

	database_systems(w);
	memset(w->held, 0, sizeof(w->held));
	w->facts.held_count = 0;
	w->facts.log_count = 1;
	h = world_offer(w, "FIN-A0103", NULL, NULL);
	h->id = slice_str("aalto.fi/FIN-A0103");
	h->issuer = slice_str("aalto.fi");
	world_rule(w, "{\"rule\":\"hku-1\"," FROM(
			      "FIN-A0103") ",\"targets\":[{\"code\":"
					   "\"FINA1310\",\"title\":"
					   "\"Corporate "
					   "Finance\",\"match\":\"specific\"}],"
					   "\"outcome\":\"full\"}");
}

static void newer_version(struct world *w)
{
	full(w);
	w->held[0].disclosed = true;
	w->held[0].newer = 8300;
}

static void state_unknown(struct world *w)
{
	full(w);
	w->held[0].disclosed = true;
	w->held[0].state_unknown = true;
	w->logs[1].withheld = 1u << KIND_STATUS;
	w->logs[1].own = false;
}

static void edition_missing(struct world *w)
{
	undetermined(w);
	w->held[0].edition_missing = true;
	w->held[0].credential.body =
		world_body(w, KIND_CREDENTIAL,
			   "{\"credential\":\"DTU-2024-006432\",\"offer\":"
			   "\"02170\",\"offer_version\":99,\"subject\":{\"id\":"
			   "\"s\"},\"issued_on\":\"2024-01-20\"}");
	/* Asked at the recogniser's own node. */
	w->logs[0].own = true;
	w->logs[0].withheld = 1u << KIND_DECISION;
	w->logs[1].own = false;
}

static void offer_retired(struct world *w)
{
	struct recognise_held *h;

	database_systems(w);
	memset(w->held, 0, sizeof(w->held));
	w->facts.held_count = 0;
	h = world_offer(w, "02170",
			"{\"offer\":\"02170\",\"type\":\"course\",\"title\":"
			"{\"en\":\"Database Systems\"},\"state\":\"retired\"}",
			NULL);
	h->id = slice_str("dtu.dk/02170");
	h->issuer = slice_str("dtu.dk");
}

static void two_courses(struct world *w)
{
	struct recognise_held *h;

	full(w);
	h = world_hold(w,
		       "{\"credential\":\"DTU-2\",\"offer\":\"02180\","
		       "\"subject\":{\"id\":\"s\"},\"issued_on\":"
		       "\"2024-06-01\"}",
		       NULL);
	h->id = slice_str("dtu.dk/DTU-2");
	h->issuer = slice_str("dtu.dk");
}

static const struct {
	const char *name;
	void (*build)(struct world *w);
} cases[] = {
	{ "full", full },
	{ "stated", stated },
	{ "generic", generic },
	{ "needs-review", needs_review },
	{ "learner-chooses", learner_chooses },
	{ "undetermined", undetermined },
	{ "undetermined-explained", undetermined_explained },
	{ "refused", refused },
	{ "conditional", conditional },
	{ "not-evaluable", not_evaluable },
	{ "revoked-later", revoked_later },
	{ "decision", decision },
	{ "limited", limited },
	{ "offer-unverified", offer_unverified },
	{ "newer-version", newer_version },
	{ "state-unknown", state_unknown },
	{ "edition-missing", edition_missing },
	{ "offer-retired", offer_retired },
	{ "two-courses", two_courses },
};
#define CASES (sizeof(cases) / sizeof(*cases))

/* ---- Comparing -------------------------------------------------------- */

static void read_golden(const char *name, const char *ending, struct buf *out)
{
	uint8_t piece[4096];
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "/%s.%s", name, ending);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s is missing", path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_put(out, slice_of(piece, n));
	fclose(f);
}

static void write_golden(const char *dir, const char *name, const char *ending,
			 struct slice text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.%s", dir, name, ending);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
}

static void compare(const char *name, const char *ending, struct buf *text)
{
	const char *dir = getenv("SYMBOLON_GOLDEN");
	struct buf golden;

	if (dir != NULL) {
		write_golden(dir, name, ending, buf_slice(text));
		return;
	}
	buf_init(&golden, LIMIT_ANSWER_BYTES);
	read_golden(name, ending, &golden);
	buf_put_u8(&golden, 0);
	buf_put_u8(text, 0);
	assert_string_equal((const char *)text->p, (const char *)golden.p);
	buf_free(&golden);
}

static void answers_are_worded_as_they_are_kept(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 2 * LIMIT_ANSWER_BYTES);
	for (size_t i = 0; i < CASES; i++) {
		struct world *w = calloc(1, sizeof(*w));

		world_init(w);
		cases[i].build(w);
		buf_reset(&text);
		answer_put_text(world_ask(w), &text);
		compare(cases[i].name, "txt", &text);
		world_free(w);
		free(w);
	}
	buf_free(&text);
}

static void json_has_decimals_where_the_document_has_hundredths(void **state)
{
	struct buf text;
	struct world *w = calloc(1, sizeof(*w));

	(void)state;
	world_init(w);
	decision(w);
	world_ask(w);
	assert_int_equal(answer_to_json(&w->tree, &w->arena), ERR_OK);
	buf_init(&text, 2 * LIMIT_ANSWER_BYTES);
	value_put_json(&w->tree, &text);
	buf_put_u8(&text, '\n');
	compare("decision", "json", &text);
	buf_free(&text);
	world_free(w);
	free(w);
}

/* ---- Side by side ----------------------------------------------------- */

static void what_rows_stand_on_is_told_and_of_open_ones_in_one(void **state)
{
	static void (*const builds[])(struct world * w) = { undetermined, full,
							    offer_unverified,
							    undetermined };
	struct world *w = calloc(4, sizeof(*w));
	struct value docs[4];
	struct buf text;

	(void)state;
	buf_init(&text, 65536);
	for (size_t i = 0; i < 4; i++) {
		world_init(&w[i]);
		builds[i](&w[i]);
		docs[i] = *world_ask(&w[i]);
	}
	answer_put_ground(&docs[1], &text);
	answer_put_rest(docs, 4, &text);
	answer_put_rest(&docs[1], 2, &text); /* none is open */
	buf_put_u8(&text, 0);
	assert_string_equal(
		(char *)text.p,
		"hku.hk\n"
		"  evidence    hku.hk #10352, dtu.dk #8211\n"
		"  copy        complete; hku.hk heard 3 s ago\n"
		"the other 2\n"
		"  copy        complete; the oldest heard 3 s ago\n");
	for (size_t i = 0; i < 4; i++)
		world_free(&w[i]);
	buf_free(&text);
	free(w);
}

/* ---- Documents that are not ours -------------------------------------- */

static void a_failure_is_its_message_and_its_candidates(void **state)
{
	const struct slice who[] = { SLICE_LIT("a.example/1"),
				     SLICE_LIT("b.example/1") };
	struct arena a;
	struct value doc;
	struct buf b, text;
	enum err code;

	(void)state;
	arena_init(&a, 65536);
	buf_init(&b, 4096);
	buf_init(&text, 4096);
	recognise_put_error(ERR_AMBIGUOUS, SLICE_LIT("two have it"), who, 2,
			    &b);
	assert_int_equal(answer_read(buf_slice(&b), &a, &doc), ERR_OK);
	assert_true(answer_is_error(&doc, &code));
	assert_int_equal(code, ERR_AMBIGUOUS);
	answer_put_text(&doc, &text);
	buf_put_u8(&text, 0);
	assert_string_equal((char *)text.p,
			    "two have it\n  a.example/1\n  b.example/1\n");
	arena_free(&a);
	buf_free(&b);
	buf_free(&text);
}

/* Any document of another node is shown without harm: types are not what
 * they should be, and text tries to pass for lines of ours. */
static void strange_documents_are_shown_without_harm(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"outcome\":5,\"by\":[],\"targets\":{},\"reasons\":\"x\"}",
		"{\"outcome\":\"full\",\"targets\":[1,\"a\",[],{}],"
		"\"subject\":[1,{\"grade\":5}],\"freshness\":[{},1],"
		"\"basis\":[5,{\"seq\":\"x\"}],\"credits\":7}",
		"{\"outcome\":\"undetermined\",\"reasons\":[7],"
		"\"freshness\":[],\"incomplete\":[{\"kinds\":[1]}],"
		"\"parts\":[{\"subject\":[2]}],\"alternatives\":[{}]}",
		"{\"error\":\"made-up\",\"candidates\":[1]}",
	};
	struct buf text;

	(void)state;
	buf_init(&text, 65536);
	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		struct world *w = calloc(1, sizeof(*w));
		struct value doc;

		world_init(w);
		assert_int_equal(answer_read(world_raw(w, documents[i]),
					     &w->arena, &doc),
				 ERR_OK);
		buf_reset(&text);
		answer_put_text(&doc, &text);
		answer_put_brief(&doc, &text);
		answer_put_ground(&doc, &text);
		answer_put_rest(&doc, 1, &text);
		assert_int_equal(text.err, ERR_OK);
		assert_int_equal(answer_to_json(&doc, &w->arena), ERR_OK);
		world_free(w);
		free(w);
	}
	buf_free(&text);
}

static void a_line_break_in_a_document_is_no_new_line(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct value doc;
	struct buf text;

	(void)state;
	world_init(w);
	buf_init(&text, 65536);
	assert_int_equal(
		answer_read(world_raw(w, "{\"outcome\":\"refused\",\"by\":"
					 "\"x\\n  status  full\\u001b[1m\"}"),
			    &w->arena, &doc),
		ERR_OK);
	answer_put_text(&doc, &text);
	buf_put_u8(&text, 0);
	assert_null(strstr((char *)text.p, "\n  status  full"));
	assert_null(strchr((char *)text.p, 0x1b));
	buf_free(&text);
	world_free(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_worded_as_they_are_kept),
		cmocka_unit_test(
			json_has_decimals_where_the_document_has_hundredths),
		cmocka_unit_test(
			what_rows_stand_on_is_told_and_of_open_ones_in_one),
		cmocka_unit_test(a_failure_is_its_message_and_its_candidates),
		cmocka_unit_test(strange_documents_are_shown_without_harm),
		cmocka_unit_test(a_line_break_in_a_document_is_no_new_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
