/* Recognition over real courses and rules: the numbers that independent
 * reading of the same files gives. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "proto/dec.h"
#include "proto/recognise.h"
#include "proto/schema.h"
#include "proto/value.h"

#include "tests/lib/facts.h"
#include "tests/lib/shared.h"

#define ISSUER "dtu.dk"
#define RULES_MAX 512

/* ---- Fixture ---------------------------------------------------------- */

struct table {
	struct world world; /* for its arena */
	struct recognise_record rules[RULES_MAX]; /* those about ISSUER */
	const char *codes[RULES_MAX];
	size_t count;
};

static char *take_line(char **at)
{
	char *line = *at;
	char *end = strchr(line, '\n');

	if (*line == '\0')
		return NULL;
	*at = end != NULL ? end + 1 : line + strlen(line);
	if (end != NULL)
		*end = '\0';
	return line;
}

static struct table *read_rules(const char *name)
{
	struct table *t = calloc(1, sizeof(*t));
	struct buf file = shared_read(name);
	uint64_t seq = 0;
	char *at, *line;

	world_init(&t->world);
	buf_put_u8(&file, 0);
	at = (char *)file.p;
	for (; (line = take_line(&at)) != NULL; seq++) {
		json_t *j;

		if (strstr(line, "\"" ISSUER "\"") == NULL)
			continue;
		j = json_loads(line, 0, NULL);
		assert_non_null(j);
		assert_true(t->count < RULES_MAX);
		t->codes[t->count] = strdup(json_string_value(json_array_get(
			json_object_get(
				json_array_get(json_object_get(j, "sources"),
					       0),
				"codes"),
			0)));
		t->rules[t->count++] = (struct recognise_record){
			.body = world_body(&t->world, KIND_RULE, line),
			.seq = seq
		};
		json_decref(j);
	}
	buf_free(&file);
	return t;
}

static void free_table(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free((char *)(uintptr_t)t->codes[i]);
	world_free(&t->world);
	free(t);
}

/* ---- Counting --------------------------------------------------------- */

struct counts {
	unsigned full_specific, full_generic, review, undetermined;
	unsigned not_evaluable, other;
};

static void count(struct world *w, struct counts *c)
{
	const char *outcome = world_outcome(w);

	if (strcmp(outcome, "needs-review") == 0)
		c->review++;
	else if (strcmp(outcome, "undetermined") == 0)
		c->undetermined++;
	else if (strcmp(outcome, "not-evaluable") == 0)
		c->not_evaluable++;
	else if (strcmp(outcome, "full") != 0)
		c->other++;
	else if (strcmp(world_text(w, "targets.0.match"), "generic") == 0)
		c->full_generic++;
	else
		c->full_specific++;
}

/* A question about one course; @achieved_on may be empty. */
static void put_question(struct world *w, const struct table *t,
			 const char *code, const char *achieved_on)
{
	struct recognise_held *h;
	static struct slice domain = { (const uint8_t *)ISSUER, 6 };

	world_init(w);
	w->question.as_of = slice_str("2027-01-01");
	h = world_offer(w, code, NULL,
			*achieved_on != '\0' ? achieved_on : NULL);
	h->domains = &domain;
	h->domain_count = 1;
	h->issuer = domain;
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->codes[i], code) == 0)
			w->rules[w->facts.rule_count++] = t->rules[i];
	}
}

static void ask(const struct table *t, const char *code,
		const char *achieved_on, struct counts *c)
{
	struct world w;

	put_question(&w, t, code, achieved_on);
	count(&w, c);
	world_free(&w);
}

static struct counts over_offers(const struct table *t)
{
	struct buf file = shared_read("alliance/offers-dtu.dk.ndjson");
	struct counts c = { 0 };
	char *at, *line;

	buf_put_u8(&file, 0);
	at = (char *)file.p;
	while ((line = take_line(&at)) != NULL) {
		json_t *j = json_loads(line, 0, NULL);

		assert_non_null(j);
		ask(t, json_string_value(json_object_get(j, "offer")), "", &c);
		json_decref(j);
	}
	buf_free(&file);
	return c;
}

/* The cell @column of a line without quotes. */
static void cell(const char *line, int column, char out[64])
{
	size_t n;

	for (; column > 0; column--)
		line = strchr(line, ',') + 1;
	n = strcspn(line, ",");
	assert_true(n < 64);
	memcpy(out, line, n);
	out[n] = '\0';
}

static struct counts over_credentials(const struct table *t)
{
	struct buf file = shared_read("alliance/credentials-dtu.dk.csv");
	struct counts c = { 0 };
	char *at, *line, code[64], date[64];

	buf_put_u8(&file, 0);
	at = (char *)file.p;
	take_line(&at);
	while ((line = take_line(&at)) != NULL) {
		assert_null(strchr(line, '"'));
		cell(line, 1, code);
		cell(line, 8, date);
		ask(t, code, date, &c);
	}
	buf_free(&file);
	return c;
}

static void expect(struct counts got, struct counts want)
{
	assert_int_equal(got.full_specific, want.full_specific);
	assert_int_equal(got.full_generic, want.full_generic);
	assert_int_equal(got.review, want.review);
	assert_int_equal(got.undetermined, want.undetermined);
	assert_int_equal(got.not_evaluable, want.not_evaluable);
	assert_int_equal(got.other, want.other);
}

/* ---- The numbers ------------------------------------------------------ */

static void hku_recognises_8_of_1718_offers(void **state)
{
	struct table *t = read_rules("alliance/rules-hku.hk.ndjson");

	(void)state;
	expect(over_offers(t), (struct counts){ 7, 1, 0, 1710, 0, 0 });
	free_table(t);
}

static void ntu_recognises_150_of_1718_offers_and_reviews_15(void **state)
{
	struct table *t = read_rules("alliance/rules-ntu.edu.sg.ndjson");

	(void)state;
	expect(over_offers(t), (struct counts){ 131, 19, 15, 1553, 0, 0 });
	free_table(t);
}

static void hku_recognises_92_of_20000_credentials(void **state)
{
	struct table *t = read_rules("alliance/rules-hku.hk.ndjson");

	(void)state;
	expect(over_credentials(t), (struct counts){ 82, 10, 0, 19908, 0, 0 });
	free_table(t);
}

static void ntu_recognises_1657_of_20000_credentials(void **state)
{
	struct table *t = read_rules("alliance/rules-ntu.edu.sg.ndjson");

	(void)state;
	expect(over_credentials(t),
	       (struct counts){ 1464, 193, 170, 18173, 0, 0 });
	free_table(t);
}

static void ntu_reviews_02450_and_names_all_three_courses(void **state)
{
	struct table *t = read_rules("alliance/rules-ntu.edu.sg.ndjson");
	static const char *const codes[] = { "BC2407", "IE4483", "SC4000" };
	char path[64];
	struct world w;

	(void)state;
	put_question(&w, t, "02450", "");
	assert_string_equal(world_outcome(&w), "needs-review");
	assert_int_equal(world_count(&w, "alternatives"), 3);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "alternatives.%zu.targets.0.code",
			 i);
		assert_string_equal(world_text(&w, path), codes[i]);
	}
	world_free(&w);
	free_table(t);
}

static void ntu_prefers_the_specific_course_for_62198(void **state)
{
	struct table *t = read_rules("alliance/rules-ntu.edu.sg.ndjson");
	struct world w;

	(void)state;
	put_question(&w, t, "62198", "");
	assert_string_equal(world_outcome(&w), "full");
	assert_string_equal(world_text(&w, "targets.0.code"), "HE3112");
	assert_string_equal(world_text(&w, "targets.0.match"), "specific");
	world_free(&w);
	free_table(t);
}

static void ntu_gives_generic_credit_for_25102(void **state)
{
	struct table *t = read_rules("alliance/rules-ntu.edu.sg.ndjson");
	struct world w;

	(void)state;
	put_question(&w, t, "25102", "");
	assert_string_equal(world_outcome(&w), "full");
	assert_string_equal(world_text(&w, "targets.0.code"), "BDE");
	assert_string_equal(world_text(&w, "targets.0.match"), "generic");
	world_free(&w);
	free_table(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hku_recognises_8_of_1718_offers),
		cmocka_unit_test(
			ntu_recognises_150_of_1718_offers_and_reviews_15),
		cmocka_unit_test(hku_recognises_92_of_20000_credentials),
		cmocka_unit_test(ntu_recognises_1657_of_20000_credentials),
		cmocka_unit_test(ntu_reviews_02450_and_names_all_three_courses),
		cmocka_unit_test(ntu_prefers_the_specific_course_for_62198),
		cmocka_unit_test(ntu_gives_generic_credit_for_25102),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
