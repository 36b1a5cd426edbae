/* What comes out goes in again unchanged, and the feed tells everything
 * once. */

#define _GNU_SOURCE /* memmem */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/counter.h"
#include "node/cmds.h"
#include "tests/lib/shared.h"

/* ---- Fixture -------------------------------------------------------------- */

static const char offers[] =
	"{\"offer\":\"X\",\"type\":\"course\",\"title\":{\"en\":\"Sums, \\\"1"
	"\\\"\",\"da\":\"\xc3\x98vrigt\"},\"ects\":7.5,\"language\":[\"da\","
	"\"en\"],\"version\":2,\"state\":\"published\"}\n"
	"{\"offer\":\"Y\",\"type\":\"course\",\"title\":{\"fr\":\" x\"}}\n";
static const char credentials[] =
	"credential,offer,subject_id,given_name,birth_date,issued_on,grade\n"
	"C1,X,esi:1,Clara,2000-01-01,2024-01-20,12\n"
	"C2,X,esi:2,\"Li, Bo\",,2024-01-20,\n"
	"C3,Y,esi:1,Clara,2000-01-01,2024-06-20,02\n";
static const char statuses[] =
	"credential,state,reason,at\nC1,suspended,under-investigation,"
	"2026-01-01\n";
static const char micro[] =
	"{\"offer\":\"M\",\"type\":\"micro-credential\",\"title\":{\"en\":\"M\""
	"},\"country\":\"DK\",\"awarding_body\":[\"dtu.dk\"],\"ects\":1,"
	"\"learning_outcomes\":[{\"text\":\"Knows\"}],\"eqf\":6,\"assessment\":"
	"\"project\",\"participation\":[\"online\"],\"qa\":[{\"agency\":\"A\"}]"
	"}\n";

static void import(struct counter *d, const char *words)
{
	if (counter_run(&d->hands, cmd_import, words) != EXIT_OK)
		fail_msg("%.*s", (int)d->hands.err.n,
			 (const char *)d->hands.err.p);
}

static int setup(void **state)
{
	struct counter *d = xcalloc(1, sizeof(*d));

	counter_open(d, "dtu.dk");
	counter_text(&d->hands, "o.ndjson", offers);
	counter_text(&d->hands, "c.csv", credentials);
	counter_text(&d->hands, "s.csv", statuses);
	counter_text(&d->hands, "m.ndjson", micro);
	import(d, "offers o.ndjson");
	import(d, "credentials c.csv");
	import(d, "statuses s.csv");
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	counter_close(*state);
	free(*state);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static void expect_out(struct counter *d, const char *text)
{
	struct buf *out = &d->hands.out;

	buf_put_u8(out, '\0');
	assert_string_equal((const char *)out->p, text);
}

static bool holds(const struct buf *b, const char *text)
{
	return b->n > 0 && memmem(b->p, b->n, text, strlen(text)) != NULL;
}

/* Export twice, compare, import, and expect @rows unchanged. */
static void round_trip(struct counter *d, const char *kind, const char *format,
		       unsigned rows)
{
	char words[128];
	char want[64];

	snprintf(words, sizeof(words), "%s --person --format %s", kind, format);
	assert_int_equal(counter_run(&d->hands, cmd_export, words), EXIT_OK);
	snprintf(words, sizeof(words), "again.%s", format);
	counter_file(&d->hands, words, buf_slice(&d->hands.out));
	snprintf(words, sizeof(words), "%s --format %s --person", kind, format);
	assert_int_equal(counter_run(&d->hands, cmd_export, words), EXIT_OK);
	snprintf(words, sizeof(words), "again.%s", format);
	assert_true(slice_equal(counter_read(&d->hands, words),
				buf_slice(&d->hands.out)));
	snprintf(words, sizeof(words), "%s again.%s", kind, format);
	import(d, words);
	snprintf(want, sizeof(want), "0 new, 0 changed, %u unchanged", rows);
	counter_said(&d->hands, want);
}

/* ---- Exports -------------------------------------------------------------- */

static void exports_import_again_unchanged(void **state)
{
	struct counter *d = *state;
	static const char *const formats[] = { "csv", "ndjson" };

	for (size_t i = 0; i < 2; i++) {
		round_trip(d, "offers", formats[i], 2);
		round_trip(d, "credentials", formats[i], 3);
		round_trip(d, "statuses", formats[i], 1);
	}
}

static void credentials_without_persons_import_again_unchanged(void **state)
{
	struct counter *d = *state;
	static const char *const formats[] = { "csv", "ndjson" };
	char words[128];

	for (size_t i = 0; i < 2; i++) {
		snprintf(words, sizeof(words), "credentials --format %s",
			 formats[i]);
		assert_int_equal(counter_run(&d->hands, cmd_export, words),
				 EXIT_OK);
		snprintf(words, sizeof(words), "again.%s", formats[i]);
		counter_file(&d->hands, words, buf_slice(&d->hands.out));
		snprintf(words, sizeof(words), "credentials again.%s",
			 formats[i]);
		import(d, words);
		counter_said(&d->hands, "0 new, 0 changed, 3 unchanged, "
					"0 rejected\n");
	}
}

static void a_document_reads_like_the_input(void **state)
{
	struct counter *d = *state;

	assert_int_equal(counter_run(&d->hands, cmd_export, "offers"), EXIT_OK);
	expect_out(d, "{\"offer\":\"X\",\"version\":2,\"type\":\"course\","
		      "\"title\":{\"da\":\"\xc3\x98vrigt\",\"en\":\"Sums, "
		      "\\\"1\\\"\"},\"ects\":7.5,\"language\":[\"da\",\"en\"],"
		      "\"state\":\"published\"}\n"
		      "{\"offer\":\"Y\",\"type\":\"course\",\"title\":{\"fr\":"
		      "\" x\"}}\n");
}

static void rows_have_the_columns_in_use(void **state)
{
	struct counter *d = *state;

	assert_int_equal(
		counter_run(&d->hands, cmd_export, "offers --format csv"),
		EXIT_OK);
	expect_out(d, "offer,version,type,title_da,title_en,title_fr,ects,"
		      "language,state\n"
		      "X,2,course,\xc3\x98vrigt,\"Sums, \"\"1\"\"\",,7.5,"
		      "da|en,published\nY,,course,,,\" x\",,,\n");
}

static void only_the_newest_version_is_exported(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "o.csv", "offer,type,title_en\nY,course,New\n");
	import(d, "offers o.csv");
	assert_int_equal(counter_run(&d->hands, cmd_export, "offers"), EXIT_OK);
	assert_true(holds(&d->hands.out, "\"en\":\"New\""));
	assert_false(holds(&d->hands.out, "\"fr\""));
}

static void persons_are_exported_only_on_request(void **state)
{
	static const char *const canaries[] = { "Clara", "esi:1", "2000-01-01",
						"Li, Bo" };
	struct counter *d = *state;

	assert_int_equal(counter_run(&d->hands, cmd_export, "credentials"),
			 EXIT_OK);
	for (size_t i = 0; i < 4; i++)
		assert_false(holds(&d->hands.out, canaries[i]));
	assert_int_equal(counter_run(&d->hands, cmd_changes, ""), EXIT_OK);
	for (size_t i = 0; i < 4; i++)
		assert_false(holds(&d->hands.out, canaries[i]));
	assert_int_equal(counter_run(&d->hands, cmd_changes, "--person"),
			 EXIT_OK);
	for (size_t i = 0; i < 4; i++)
		assert_true(holds(&d->hands.out, canaries[i]));
}

static void rows_that_cannot_say_it_are_refused(void **state)
{
	struct counter *d = *state;

	import(d, "offers m.ndjson");
	assert_int_equal(
		counter_run(&d->hands, cmd_export, "offers --format csv"),
		EXIT_FAILED);
	counter_told(&d->hands,
		     "offer M: CSV cannot say all of its field "
		     "learning_outcomes; nothing was written; use --format "
		     "ndjson");
	assert_int_equal(d->hands.out.n, 0);
	round_trip(d, "offers", "ndjson", 3);
}

/* ---- The feed ------------------------------------------------------------- */

/* The cursor of the last line of the output. */
static void last_cursor(struct counter *d, char *out, size_t max)
{
	const char *key = "\"cursor\":\"";
	struct slice s = buf_slice(&d->hands.out);
	const uint8_t *at = NULL;
	const uint8_t *p = s.p;

	while (p != NULL) {
		p = memmem(p, (size_t)(s.p + s.n - p), key, strlen(key));
		if (p != NULL) {
			at = p + strlen(key);
			p = at;
		}
	}
	assert_non_null(at);
	for (size_t i = 0; i < max; i++) {
		out[i] = at[i] == '"' ? '\0' : (char)at[i];
		if (out[i] == '\0')
			return;
	}
	fail();
}

static void changes_go_on_at_the_cursor(void **state)
{
	struct counter *d = *state;
	char cursor[128];
	char words[192];

	assert_int_equal(counter_run(&d->hands, cmd_changes, ""), EXIT_OK);
	counter_said(&d->hands,
		     "{\"v\":1,\"cursor\":\"dtu.dk/1:1\",\"member\":"
		     "\"dtu.dk\",\"seq\":0,\"kind\":\"offer\","
		     "\"audience\":\"public\",\"id\":\"X\",\"record\":"
		     "{");
	last_cursor(d, cursor, sizeof(cursor));
	assert_string_equal(cursor, "dtu.dk/1:8");
	snprintf(words, sizeof(words), "--since %s", cursor);
	assert_int_equal(counter_run(&d->hands, cmd_changes, words), EXIT_OK);
	assert_int_equal(d->hands.out.n, 0);
	import(d, "offers m.ndjson");
	assert_int_equal(counter_run(&d->hands, cmd_changes, words), EXIT_OK);
	counter_said(&d->hands, "\"id\":\"M\"");
	last_cursor(d, cursor, sizeof(cursor));
	assert_string_equal(cursor, "dtu.dk/1:9");
	assert_int_equal(counter_run(&d->hands, cmd_changes, "--since now"),
			 EXIT_OK);
	assert_int_equal(d->hands.out.n, 0);
}

static void changes_of_one_kind_are_told_alone(void **state)
{
	struct counter *d = *state;

	assert_int_equal(counter_run(&d->hands, cmd_changes, "--kind status"),
			 EXIT_OK);
	expect_out(d, "{\"v\":1,\"cursor\":\"dtu.dk/1:8\",\"member\":\"dtu.dk\""
		      ",\"seq\":7,\"kind\":\"status\",\"audience\":\"members\","
		      "\"credential\":\"C1\",\"record\":{\"at\":"
		      "\"2026-01-01T00:00:00Z\",\"reason\":"
		      "\"under-investigation\",\"seq\":3,\"state\":"
		      "\"suspended\"}}\n");
}

static void following_ends_when_the_user_does(void **state)
{
	struct counter *d = *state;

	d->hands.cancel_after = 4;
	assert_int_equal(counter_run(&d->hands, cmd_changes, "--follow"),
			 EXIT_OK);
	d->hands.cancel_after = -1;
	assert_true(holds(&d->hands.out, "\"seq\":7"));
}

static void wrong_words_are_refused(void **state)
{
	struct counter *d = *state;
	static const char *const cursors[] = { "x", "dtu.dk/1", "dtu.dk/1:x",
					       "hku.hk/1:5", "dtu.dk/1:1,," };
	char words[64];

	assert_int_equal(counter_run(&d->hands, cmd_export, ""), EXIT_USAGE);
	assert_int_equal(counter_run(&d->hands, cmd_export, "learners"),
			 EXIT_USAGE);
	assert_int_equal(
		counter_run(&d->hands, cmd_export, "offers --format xml"),
		EXIT_USAGE);
	assert_int_equal(counter_run(&d->hands, cmd_changes, "--kind x"),
			 EXIT_USAGE);
	for (size_t i = 0; i < 5; i++) {
		snprintf(words, sizeof(words), "--since %s", cursors[i]);
		assert_int_equal(counter_run(&d->hands, cmd_changes, words),
				 EXIT_USAGE);
	}
}

/* ---- Real files ----------------------------------------------------------- */

static void real_files_survive_the_round_trip(void **state)
{
	struct counter *d = *state;
	struct buf o = shared_read("alliance/offers-dtu.dk.ndjson");
	struct buf c = shared_read("alliance/credentials-dtu.dk.csv");
	struct buf r = shared_read("alliance/rules-hku.hk.ndjson");

	counter_file(&d->hands, "o.ndjson", buf_slice(&o));
	counter_file(&d->hands, "c.csv", buf_slice(&c));
	counter_file(&d->hands, "r.ndjson", buf_slice(&r));
	buf_free(&o);
	buf_free(&c);
	buf_free(&r);
	import(d, "offers o.ndjson");
	import(d, "credentials c.csv");
	import(d, "rules r.ndjson");
	round_trip(d, "offers", "csv", 1720);
	round_trip(d, "credentials", "csv", 20003);
	round_trip(d, "rules", "ndjson", 16923);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(exports_import_again_unchanged),
		test(credentials_without_persons_import_again_unchanged),
		test(a_document_reads_like_the_input),
		test(rows_have_the_columns_in_use),
		test(only_the_newest_version_is_exported),
		test(persons_are_exported_only_on_request),
		test(rows_that_cannot_say_it_are_refused),
		test(changes_go_on_at_the_cursor),
		test(changes_of_one_kind_are_told_alone),
		test(following_ends_when_the_user_does),
		test(wrong_words_are_refused),
		test(real_files_survive_the_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
