/* Questions over the real alliance, answered from stores as its three nodes
 * would hold them: the expected numbers, and the same from every node. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/query.h"
#include "proto/dec.h"
#include "tests/lib/facts.h"
#include "tests/lib/shared.h"
#include "tests/lib/shelf.h"

#define OFFERS_MAX 2000
#define CREDENTIALS_MAX 20001

/* ---- Fixture ---------------------------------------------------------- */

static struct {
	struct world world; /* for bodies */
	struct shelf shelf;
	struct query *query;
	char (*offers)[64];
	size_t offer_count;
	char (*credentials)[64];
	size_t credential_count;
} fx;

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

/* Call @each with every line of a file of the shared data. */
static void each_line(const char *name, void (*each)(char *line))
{
	struct buf file = shared_read(name);
	char *at, *line;

	buf_put_u8(&file, 0);
	at = (char *)file.p;
	while ((line = take_line(&at)) != NULL)
		each(line);
	buf_free(&file);
}

static void add(const char *member, uint32_t kind, uint64_t audience,
		const char *json)
{
	uint32_t log = shelf_log(&fx.shelf, member, 1000);

	shelf_add(&fx.shelf, log, kind, audience,
		  world_body(&fx.world, kind, json));
	arena_reset(&fx.world.arena);
}

static void copy_text(const char *json, const char *key, char out[64])
{
	const char *p = strstr(json, key);
	size_t n;

	assert_non_null(p);
	p += strlen(key);
	n = strcspn(p, "\"");
	assert_true(n < 64);
	memcpy(out, p, n);
	out[n] = '\0';
}

static void add_offer(char *line)
{
	assert_true(fx.offer_count < OFFERS_MAX);
	copy_text(line, "\"offer\":\"", fx.offers[fx.offer_count++]);
	add("dtu.dk", KIND_OFFER, AUDIENCE_PUBLIC, line);
}

/* Line breaks and tabs in cells become blanks, as an import makes them. */
static void flatten(char *line)
{
	for (char *p = line; *p != '\0'; p++) {
		if (p[0] == '\\' && (p[1] == 'n' || p[1] == 't' || p[1] == 'r'))
			p[0] = p[1] = ' ';
	}
}

static void add_hku_rule(char *line)
{
	flatten(line);
	add("hku.hk", KIND_RULE, AUDIENCE_PUBLIC, line);
}

static void add_ntu_rule(char *line)
{
	flatten(line);
	add("ntu.edu.sg", KIND_RULE, AUDIENCE_PUBLIC, line);
}

static void add_credential(char *line)
{
	char *cell[12], json[1024];

	for (int i = 0; i < 12; i++) {
		cell[i] = line;
		line += strcspn(line, ",\r");
		*line++ = '\0';
	}
	if (strcmp(cell[0], "credential") == 0)
		return;
	assert_true(fx.credential_count < CREDENTIALS_MAX);
	snprintf(fx.credentials[fx.credential_count++], 64, "%s", cell[0]);
	snprintf(json, sizeof(json),
		 "{\"credential\":\"%s\",\"offer\":\"%s\","
		 "\"offer_version\":%s,\"subject\":{\"id\":\"%s\"},"
		 "\"issued_on\":\"%s\",\"achieved_on\":\"%s\",\"ects\":%s,"
		 "\"grade\":{\"value\":\"%s\",\"scheme\":\"%s\"}}",
		 cell[0], cell[1], cell[2], cell[3], cell[7], cell[8], cell[9],
		 cell[10], cell[11]);
	add("dtu.dk", KIND_CREDENTIAL, AUDIENCE_MEMBERS, json);
}

/* The alliance as @own's node holds it. */
static void open_node(const char *own)
{
	memset(&fx, 0, sizeof(fx));
	if (shared_path("alliance/offers-dtu.dk.ndjson") == NULL)
		shared_skip();
	fx.offers = calloc(OFFERS_MAX, sizeof(*fx.offers));
	fx.credentials = calloc(CREDENTIALS_MAX, sizeof(*fx.credentials));
	world_init(&fx.world);
	shelf_open(&fx.shelf, own);
	each_line("alliance/offers-dtu.dk.ndjson", add_offer);
	each_line("alliance/credentials-dtu.dk.csv", add_credential);
	each_line("alliance/rules-hku.hk.ndjson", add_hku_rule);
	each_line("alliance/rules-ntu.edu.sg.ndjson", add_ntu_rule);
	shelf_commit(&fx.shelf);
	fx.query = query_open(&fx.shelf.home);
	assert_int_equal(query_begin(fx.query), ERR_OK);
}

static void close_node(void)
{
	query_close(fx.query);
	shelf_close(&fx.shelf);
	world_free(&fx.world);
	free(fx.offers);
	free(fx.credentials);
}

/* ---- Asking ----------------------------------------------------------- */

struct counts {
	unsigned full_specific, full_generic, review, undetermined, other;
};

static void put_question(const char *by, const char *id, bool offer,
			 struct buf *out)
{
	struct recognise_question q = { .as_of = SLICE_LIT("2027-01-01") };
	char name[96];

	snprintf(name, sizeof(name), "dtu.dk/%s", id);
	q.by = slice_str(by);
	if (offer)
		q.offer = slice_str(name);
	else
		q.credentials[q.credential_count++] = slice_str(name);
	buf_reset(out);
	recognise_question_put(&q, out);
}

static void tally(struct slice answer, struct counts *c)
{
	struct slice outcome = dec_find_str(answer, "outcome");
	struct slice targets;
	struct dec d;

	if (slice_is(outcome, "needs-review")) {
		c->review++;
	} else if (slice_is(outcome, "undetermined")) {
		c->undetermined++;
	} else if (!slice_is(outcome, "full") ||
		   !dec_find(answer, "targets", &targets)) {
		c->other++;
	} else {
		dec_init(&d, targets);
		dec_array_of(&d, 1);
		if (slice_is(dec_find_str(dec_skip(&d), "match"), "generic"))
			c->full_generic++;
		else
			c->full_specific++;
	}
}

static struct counts ask_all(const char *by, bool offers)
{
	size_t n = offers ? fx.offer_count : fx.credential_count;
	struct counts c = { 0 };
	struct buf question, answer;
	struct timespec a, b;
	double us;

	buf_init(&question, LIMIT_QUESTION_BYTES);
	buf_init(&answer, LIMIT_ANSWER_BYTES);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t i = 0; i < n; i++) {
		put_question(by, offers ? fx.offers[i] : fx.credentials[i],
			     offers, &question);
		buf_reset(&answer);
		assert_int_equal(query_answer(fx.query, buf_slice(&question),
					      SLICE_LIT("hku.hk"), 5000,
					      &answer),
				 ERR_OK);
		tally(buf_slice(&answer), &c);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	us = (double)(b.tv_sec - a.tv_sec) * 1e6 +
	     (double)(b.tv_nsec - a.tv_nsec) / 1e3;
	printf("%s about %zu %s: %.2f us a question\n", by, n,
	       offers ? "offers" : "credentials", us / (double)n);
	buf_free(&question);
	buf_free(&answer);
	return c;
}

static void expect(struct counts got, struct counts want)
{
	assert_int_equal(got.full_specific, want.full_specific);
	assert_int_equal(got.full_generic, want.full_generic);
	assert_int_equal(got.review, want.review);
	assert_int_equal(got.undetermined, want.undetermined);
	assert_int_equal(got.other, want.other);
}

static void expect_all(const char *own)
{
	open_node(own);
	assert_int_equal(fx.offer_count, 1718);
	assert_int_equal(fx.credential_count, 20000);
	expect(ask_all("hku.hk", true), (struct counts){ 7, 1, 0, 1710, 0 });
	expect(ask_all("ntu.edu.sg", true),
	       (struct counts){ 131, 19, 15, 1553, 0 });
	expect(ask_all("hku.hk", false),
	       (struct counts){ 82, 10, 0, 19908, 0 });
	expect(ask_all("ntu.edu.sg", false),
	       (struct counts){ 1464, 193, 170, 18173, 0 });
	close_node();
}

/* ---- The numbers ------------------------------------------------------ */

static void the_issuer_gives_the_expected_numbers(void **state)
{
	(void)state;
	expect_all("dtu.dk");
}

static void a_recogniser_gives_the_expected_numbers(void **state)
{
	(void)state;
	expect_all("ntu.edu.sg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_issuer_gives_the_expected_numbers),
		cmocka_unit_test(a_recogniser_gives_the_expected_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
