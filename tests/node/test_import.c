/* Imports that registrars can trust: what is taken, what is refused and how
 * it is told, and that doing it again changes nothing. */

#define _GNU_SOURCE /* memmem */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/counter.h"
#include "node/cmds.h"
#include "node/import_journal.h"
#include "node/import_seen.h"
#include "tests/lib/shared.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)

/* ---- Fixture -------------------------------------------------------------- */

static int setup(void **state)
{
	struct counter *d = xcalloc(1, sizeof(*d));

	counter_open(d, "dtu.dk");
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

static int import(struct counter *d, const char *words)
{
	return counter_run(&d->hands, cmd_import, words);
}

/* Import and expect this exit code and these counts. */
static void expect(struct counter *d, const char *words, int code,
		   const char *counts)
{
	int got = import(d, words);

	if (got != code)
		fail_msg("%s: exit %d, not %d:\n%.*s", words, got, code,
			 (int)d->hands.err.n, (const char *)d->hands.err.p);
	counter_said(&d->hands, counts);
}

static const char header[] =
	"credential,offer,subject_id,given_name,family_name,issued_on,ects,"
	"grade\n";

static void put_credentials(struct buf *b, unsigned from, unsigned to,
			    const char *grade)
{
	char line[256];

	for (unsigned i = from; i < to; i++) {
		snprintf(line, sizeof(line),
			 "C%u,0%u,s%u,Given%u,Family%u,2024-01-20,7.5,%s\n", i,
			 i % 7, i / 3, i / 3, i / 3, grade);
		buf_put_str(b, line);
	}
}

static void credentials(struct counter *d, const char *name, unsigned from,
			unsigned to, const char *grade)
{
	struct buf b;

	buf_init(&b, 64u << 20);
	buf_put_str(&b, header);
	put_credentials(&b, from, to, grade);
	counter_file(&d->hands, name, buf_slice(&b));
	buf_free(&b);
}

static bool holds(struct slice s, const char *text)
{
	return s.n > 0 && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

/* ---- What is taken -------------------------------------------------------- */

static void the_same_file_twice_changes_nothing(void **state)
{
	struct counter *d = *state;
	uint64_t size;

	credentials(d, "a.csv", 0, 10, "B");
	expect(d, "credentials a.csv", EXIT_OK,
	       "a.csv: 10 new, 0 changed, 0 unchanged, 0 rejected (import 1)");
	size = counter_size(d);
	assert_int_equal(size, 10 + 4); /* and the learners */
	expect(d, "credentials a.csv", EXIT_OK,
	       "0 new, 0 changed, 10 unchanged, 0 rejected\n");
	assert_int_equal(counter_size(d), size);
}

static void changed_content_is_a_new_version(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 10, "B");
	expect(d, "credentials a.csv", EXIT_OK, "10 new");
	credentials(d, "a.csv", 0, 10, "A");
	expect(d, "credentials a.csv", EXIT_OK, "0 new, 10 changed");
	assert_int_equal(counter_size(d), 24);
	expect(d, "credentials a.csv", EXIT_OK, "10 unchanged");
	credentials(d, "a.csv", 0, 10, "B");
	expect(d, "credentials a.csv", EXIT_OK, "0 new, 10 changed");
}

static void a_row_that_repeats_another_is_unchanged(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,issued_on\n"
		     "A1,X,s1,2024-01-01\nA1,X,s1,2024-01-01\n");
	expect(d, "credentials a.csv --check", EXIT_OK,
	       "1 new, 0 changed, 1 unchanged, 0 rejected");
	expect(d, "credentials a.csv", EXIT_OK,
	       "1 new, 0 changed, 1 unchanged, 0 rejected");
	assert_int_equal(counter_size(d), 2);
}

static void check_changes_nothing_and_tells_the_same(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 10, "B");
	expect(d, "credentials a.csv --check", EXIT_OK,
	       "10 new, 0 changed, 0 unchanged, 0 rejected (check");
	assert_int_equal(counter_size(d), 0);
	counter_text(&d->hands, "b.csv", "credential\nx\n");
	assert_int_equal(import(d, "credentials b.csv --check"), EXIT_FAILED);
	counter_text(
		&d->hands, "c.csv",
		"credential,offer,subject_id,issued_on\nA,X,s,2024-02-30\n");
	expect(d, "credentials c.csv --check", EXIT_PARTLY, "1 rejected");
	assert_false(counter_has(&d->hands, "c.csv.rejects.csv"));
}

static void csv_and_ndjson_of_a_record_are_the_same(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "offer,version,type,title_en,title_da,awarding_body,ects,"
		     "language\n"
		     "0101,1,course,\"Maths, \"\"1\"\"\",Matematik,dtu.dk,7.50,"
		     "da|en\n");
	counter_text(
		&d->hands, "a.ndjson",
		"{\"language\":[\"da\",\"en\"],\"offer\":\"0101\","
		"\"version\":1,\"type\":\"course\",\"title\":{\"da\":"
		"\"Matematik\",\"en\":\"Maths, \\\"1\\\"\"},\"awarding_body\""
		":[\"dtu.dk\"],\"ects\":7.5,\"hours\":null}\n");
	expect(d, "offers a.csv", EXIT_OK, "1 new");
	expect(d, "offers a.ndjson", EXIT_OK, "1 unchanged");
}

static void csv_comes_in_many_dresses(void **state)
{
	static const char *const files[] = {
		"credential,offer,subject_id,issued_on,ects,grade\n"
		"A1,X,s1,2024-01-01,2.5,B\nA2,Y,s2,2024-01-02,10,\n",
		"\xef\xbb\xbf"
		"credential;offer;subject_id;issued_on;ects;grade\r\n"
		"A1;X;s1;2024-01-01;2,5;B\r\nA2;Y;s2;2024-01-02;10,00;\r\n",
		"credential\toffer\tsubject_id\tissued_on\tects\tgrade\n"
		"A1\tX\ts1\t2024-01-01\t2.50\tB\n\nA2\tY\ts2\t2024-01-02\t10\t",
		"sep=;\r\n\"credential\";offer;subject_id;issued_on;ects;grade;"
		"_note\r\n\"A1\";X;s1;\"2024-01-01\";2.5;B;hello\r\n;;;;;;\r\n"
		"A2;Y;s2;2024-01-02;10.0;;\"a\r\nb\"",
		"credential,offer,subject_id,issued_on,ects,grade,issuer,\n"
		"A1,X,s1,2024-01-01,2.5,B,dtu.dk,\nA2,Y,s2,2024-01-02,10,,,\n",
	};
	struct counter *d = *state;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		counter_text(&d->hands, "a.csv", files[i]);
		expect(d, "credentials a.csv", EXIT_OK,
		       i == 0 ? "2 new, 0 changed, 0 unchanged, 0 rejected"
			      : "0 new, 0 changed, 2 unchanged, 0 rejected");
	}
}

static void files_are_read_in_pieces_of_any_size(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "\xef\xbb\xbf"
		     "credential;offer;subject_id;issued_on;given_name\r\n"
		     "A1;X;s1;2024-01-01;\"Bo \"\"B\"\"\r\nLi\"\r\n"
		     "A2;X;s2;2024-01-01;");
	d->hands.cut = true;
	expect(d, "credentials a.csv", EXIT_OK, "2 new");
	counter_told(&d->hands, "warning: 1 texts were set in lines");
	d->hands.cut = false;
	expect(d, "credentials a.csv", EXIT_OK, "2 unchanged");
}

static void standard_input_needs_a_format(void **state)
{
	struct counter *d = *state;

	credentials(d, "-", 0, 3, "B");
	assert_int_equal(import(d, "credentials -"), EXIT_USAGE);
	expect(d, "credentials - --format csv", EXIT_OK, "3 new");
	assert_int_equal(import(d, "credentials x.txt"), EXIT_USAGE);
	counter_told(&d->hands, "say --format csv or --format ndjson");
}

static void future_dates_are_taken_with_a_warning(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,issued_on,valid_until\n"
		     "A1,X,s1,9999-01-01,9999-12-31\n");
	expect(d, "credentials a.csv --json", EXIT_OK,
	       "\"rejects\":null,\"warnings\":{\"future-date\":1,"
	       "\"unknown-offer\":1},"
	       "\"check\":false,\"import\":1}");
}

static void several_files_are_imported_in_turn(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 3, "B");
	credentials(d, "b.csv", 3, 6, "B");
	counter_text(
		&d->hands, "c.csv",
		"credential,offer,subject_id,issued_on\nA,X,,2024-01-01\n");
	expect(d, "credentials a.csv c.csv b.csv", EXIT_PARTLY, "b.csv: 3 new");
	counter_said(&d->hands, "a.csv: 3 new");
}

/* ---- Learners ------------------------------------------------------------- */

static void a_new_name_is_a_new_version_of_the_same_learner(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,family_name,issued_on\n"
		     "A1,X,s1,Maiden,2024-01-01\nA2,X,s1,Maiden,2024-01-01\n");
	expect(d, "credentials a.csv", EXIT_OK, "2 new");
	assert_int_equal(counter_size(d), 3);
	counter_text(&d->hands, "b.csv",
		     "credential,offer,subject_id,family_name,issued_on\n"
		     "A1,X,s1,Married,2024-01-01\n");
	expect(d, "credentials b.csv --check", EXIT_OK,
	       "0 new, 0 changed, 1 unchanged, 0 rejected, 1 learners changed");
	expect(d, "credentials b.csv", EXIT_OK,
	       "0 new, 0 changed, 1 unchanged, 0 rejected, 1 learners changed");
	assert_int_equal(counter_size(d), 4); /* the credential is the same */
	expect(d, "credentials b.csv", EXIT_OK, "1 unchanged, 0 rejected\n");
	expect(d, "list --json", EXIT_OK, "\"learners_changed\":1");
}

static void what_a_file_does_not_say_about_a_learner_stays(void **state)
{
	struct counter *d = *state;
	uint64_t size;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,given_name,family_name,"
		     "birth_date,issued_on\n"
		     "A1,X,s1,Clara,One,2000-01-01,2024-01-01\n");
	expect(d, "credentials a.csv", EXIT_OK, "1 new");
	size = counter_size(d);
	counter_text(&d->hands, "b.csv",
		     "credential,offer,subject_id,issued_on\n"
		     "A1,X,s1,2024-01-01\n");
	expect(d, "credentials b.csv", EXIT_OK, "1 unchanged, 0 rejected\n");
	counter_text(&d->hands, "c.csv",
		     "credential,offer,subject_id,family_name,issued_on\n"
		     "A2,X,s1,,2024-01-01\n");
	expect(d, "credentials c.csv", EXIT_OK,
	       "1 new, 0 changed, 0 unchanged,"
	       " 0 rejected (");
	assert_int_equal(counter_size(d), size + 1);
	counter_text(&d->hands, "d.ndjson",
		     "{\"credential\":\"A2\",\"offer\":\"X\",\"issued_on\":"
		     "\"2024-01-01\",\"subject\":{\"id\":\"s1\","
		     "\"family_name\":\"Two\"}}\n");
	expect(d, "credentials d.ndjson", EXIT_OK,
	       "1 unchanged, 0 rejected, 1 learners changed");
	assert_int_equal(counter_size(d), size + 2);
	counter_run(&d->hands, cmd_export, "credentials --person");
	counter_said(&d->hands, "{\"birth_date\":\"2000-01-01\",\"family_name"
				"\":\"Two\",\"given_name\":\"Clara\",\"id\":"
				"\"s1\"}");
	/* The first file is now older than what is held. */
	expect(d, "credentials a.csv", EXIT_OK, "1 learners changed");
}

static void changed_learners_count_for_max_changed(void **state)
{
	struct counter *d = *state;
	struct buf b;
	char line[128];

	credentials(d, "a.csv", 0, 60, "B");
	expect(d, "credentials a.csv", EXIT_OK, "60 new");
	buf_init(&b, 1 << 20);
	buf_put_str(&b, "credential,offer,subject_id,given_name,issued_on,"
			"ects,grade\n");
	for (unsigned i = 0; i < 60; i++) {
		snprintf(line, sizeof(line),
			 "C%u,0%u,s%u,Other,2024-01-20,7.5,B\n", i, i % 7,
			 i / 3);
		buf_put_str(&b, line);
	}
	counter_file(&d->hands, "b.csv", buf_slice(&b));
	buf_free(&b);
	assert_int_equal(import(d, "credentials b.csv"), EXIT_REFUSED);
	counter_told(&d->hands, "0 of 60 rows would change records that are "
				"there and 20 learners would change, ");
	expect(d, "credentials b.csv --max-changed 50 --json", EXIT_OK,
	       "\"changed\":0,\"unchanged\":60,\"rejected\":0,"
	       "\"learners_changed\":20,");
}

static void a_learner_may_be_given_by_number(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,learner,issued_on\n"
		     "A1,X,00112233445566778899aabbccddeeff,2024-01-01\n"
		     "A2,X,,2024-01-01\nA3,X,12,2024-01-01\n");
	expect(d, "credentials a.csv", EXIT_PARTLY, "0 new");
	counter_told(&d->hands, "a.csv:2: row 2, column learner: "
				"unknown-learner: there is no learner");
	counter_told(&d->hands,
		     "a.csv:3: row 3, column learner: missing-field");
	counter_told(&d->hands, "a.csv:4: row 4, column learner: bad-number");
	counter_text(&d->hands, "b.csv",
		     "credential,offer,learner,subject_id,issued_on\n");
	assert_int_equal(import(d, "credentials b.csv"), EXIT_FAILED);
	counter_told(&d->hands, "column learner: learner-twice");
}

static void learners_keep_their_number_over_restarts(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 9, "B");
	expect(d, "credentials a.csv", EXIT_OK, "9 new");
	counter_reopen(d);
	expect(d, "credentials a.csv", EXIT_OK, "9 unchanged");
	credentials(d, "b.csv", 0, 12, "B");
	expect(d, "credentials b.csv", EXIT_OK, "3 new, 0 changed, 9 unch");
	assert_int_equal(counter_size(d), 12 + 4);
}

static void two_names_of_one_learner_are_both_told(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,family_name,issued_on\n"
		     "A1,X,s1,One,2024-01-01\nA2,X,s2,Two,2024-01-01\n"
		     "A3,X,s1,Other,2024-01-01\n");
	expect(d, "credentials a.csv", EXIT_PARTLY, "1 new, 0 changed, 0 unch");
	counter_told(&d->hands, "a.csv:2: row 2, column subject_id: "
				"learner-differs: line 4 gives");
	counter_told(&d->hands, "a.csv:4: row 4, column subject_id: "
				"learner-differs: line 2 gives");
}

static void personal_values_are_in_no_message(void **state)
{
	struct counter *d = *state;
	static const char *const canaries[] = { "Canary", "s-4711",
						"1899-99-99" };

	counter_text(
		&d->hands, "a.csv",
		"credential,offer,subject_id,given_name,birth_date,issued_on"
		"\nA1,X,s-4711,Canary,1899-99-99,2024-01-01\n"
		"A2,X,\"s-4711\t\",Canary,,2024-01-01\n"
		"A3,X, s-4711,Canary,,2024-01-01\n"
		"A4,X,s-4711,Canary\x01,,2024-01-01\n"
		"A5,X,s-4711,Canary,2000-01-01,2024-01-01\n"
		"A6,X,s-4711,Canary,2001-01-01,2024-01-01\n");
	counter_text(&d->hands, "a.ndjson",
		     "{\"credential\":\"A1\",\"offer\":\"X\",\"issued_on\":"
		     "\"2024-01-01\",\"subject\":{\"id\":\"s-4711\","
		     "\"birth_date\":\"1899-99-99\"}}\n"
		     "{\"credential\":\"A2\",\"subject\":{\"id\":\"s-4711\"} "
		     "Canary}\n");
	for (size_t f = 0; f < 2; f++) {
		import(d,
		       f == 0 ? "credentials a.csv" : "credentials a.ndjson");
		for (size_t i = 0; i < 3; i++) {
			assert_false(
				holds(buf_slice(&d->hands.out), canaries[i]));
			assert_false(
				holds(buf_slice(&d->hands.err), canaries[i]));
		}
	}
	counter_told(&d->hands,
		     "field subject.birth_date: bad-date: the value");
}

/* ---- What is refused ------------------------------------------------------ */

struct bad_row {
	const char *row;
	const char *told;
};

/* Under: credential;offer;subject_id;given_name;issued_on;ects;grade */
static const struct bad_row bad_rows[] = {
	{ "A;X;s;N;2024-13-01;1;B",
	  "column issued_on: bad-date: \"2024-13-01\" is not a date that "
	  "exists; write YYYY-MM-DD" },
	{ "A;X;s;N;;1;B", "column issued_on: missing-field: a required field" },
	{ "A;X;;N;2024-01-01;1;B", "column subject_id: missing-field" },
	{ ";X;s;N;2024-01-01;1;B", "column credential: missing-field" },
	{ "A;X;s;N;2024-01-01;2,555;B",
	  "column ects: bad-number: \"2,555\" is not a number with at most two "
	  "decimals" },
	{ "A;X;s;N;2024-01-01;-1;B",
	  "column ects: bad-number: \"-1\" is negative; write one that is not "
	  "below 0" },
	{ "A;X;s;N;2024-01-01;1e1;B", "column ects: bad-number" },
	{ "1,23457E+12;X;s;N;2024-01-01;1;B",
	  "column credential: spreadsheet-id: \"1,23457E+12\" was changed by a "
	  "spreadsheet; format the column as text" },
	{ "=\"001\";X;s;N;2024-01-01;1;B",
	  "column credential: spreadsheet-id" },
	{ "A;X;s;N;2024-01-01;1", "too-few-cells" },
	{ "A;X;s;N;2024-01-01;1;B;B", "too-many-cells" },
	{ "A;X;s;\"N\"N;2024-01-01;1;B", "text-after-quote" },
	{ "A ;X;s;N;2024-01-01;1;B", "column credential: bad-id" },
	{ "A;X;s;N\x07;2024-01-01;1;B",
	  "column given_name: control-character" },
	{ "A;X;s;N\xff;2024-01-01;1;B", "bad-encoding" },
};

static void bad_rows_are_told_with_line_column_code_and_cure(void **state)
{
	struct counter *d = *state;
	char file[1024];

	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		snprintf(file, sizeof(file),
			 "credential;offer;subject_id;given_name;issued_on;"
			 "ects;grade\nG1;X;t;\"N\xc3\xb8\nN\";2024-01-01;1;B\n"
			 "%s\n",
			 bad_rows[i].row);
		counter_text(&d->hands, "a.csv", file);
		expect(d, "credentials a.csv --check", EXIT_PARTLY,
		       "1 rejected");
		counter_told(&d->hands, "a.csv:4: row 3");
		counter_told(&d->hands, bad_rows[i].told);
	}
}

struct bad_file {
	const char *name;
	const char *text;
	const char *told;
};

static const struct bad_file bad_files[] = {
	{ "a.csv", "", "is empty; the first line must name the columns" },
	{ "a.csv", "credential,ofer,subject_id,issued_on\n",
	  "a.csv:1: column ofer: unknown-column: the column is not known; did "
	  "you mean offer?" },
	{ "a.csv", "credential,offer,offer,subject_id,issued_on\n",
	  "column offer: duplicate-column" },
	{ "a.csv", "credential,subject_id,issued_on\n",
	  "column offer: missing-column" },
	{ "a.csv", "credential,offer,issued_on\n",
	  "column subject_id: missing-column" },
	{ "a.csv", "credential,offer,subject_id,issued_on\nA,X,s,\"2024\n",
	  "a.csv:2: a quote that is opened in this record is never closed" },
	{ "a.csv",
	  "credential,offer,subject_id,given_name,issued_on\n"
	  "A,X,s,Gr\xfc\xdf"
	  "e,2024-01-01\n",
	  "a.csv:2: row 2: bad-encoding: the line is not UTF-8; it looks like "
	  "ISO 8859-1 (Latin-1); save as \"CSV UTF-8\", or: iconv -f "
	  "ISO-8859-1 -t UTF-8" },
	{ "a.csv",
	  "credential,offer,subject_id,given_name,issued_on\n"
	  "A,X,s,\x8a,2024-01-01\n",
	  "it looks like Windows-1252" },
	{ "a.csv",
	  "\xff\xfe"
	  "c",
	  "is UTF-16, not UTF-8" },
	{ "a.csv", "PK\x03\x04zip", "is a spreadsheet or an archive" },
	{ "a.csv", "credential,offer\rA,B\r", "its lines end with CR alone" },
};

static void files_that_cannot_be_read_are_refused_whole(void **state)
{
	struct counter *d = *state;

	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		counter_text(&d->hands, bad_files[i].name, bad_files[i].text);
		assert_int_equal(import(d, "credentials a.csv"), EXIT_FAILED);
		counter_told(&d->hands, bad_files[i].told);
	}
	assert_int_equal(import(d, "credentials missing.csv"), EXIT_FAILED);
	counter_told(&d->hands, "missing.csv: no such file");
	assert_int_equal(counter_size(d), 0);
}

static void utf16_without_a_mark_is_named(void **state)
{
	struct counter *d = *state;

	counter_file(&d->hands, "a.csv", SLICE_LIT("c\0r\0e\0d\0"));
	assert_int_equal(import(d, "credentials a.csv"), EXIT_FAILED);
	counter_told(&d->hands, "is UTF-16, not UTF-8");
}

static void a_line_over_the_limit_is_refused(void **state)
{
	struct counter *d = *state;
	struct buf b;

	buf_init(&b, 8u << 20);
	buf_put_str(&b, "credential,offer,subject_id,issued_on\nA,");
	memset(buf_extend(&b, LIMIT_LINE_BYTES), 'x', LIMIT_LINE_BYTES);
	counter_file(&d->hands, "a.csv", buf_slice(&b));
	assert_int_equal(import(d, "credentials a.csv"), EXIT_FAILED);
	counter_told(&d->hands,
		     "a.csv:2: the record is longer than 1 MiB (is a "
		     "quote not closed?); nothing was changed");
	buf_free(&b);
}

static void a_long_line_is_passed_over_where_lines_are_records(void **state)
{
	static const size_t sizes[] = { LIMIT_LINE_BYTES,
					LIMIT_LINE_BYTES + 300000,
					3u * LIMIT_LINE_BYTES };
	struct counter *d = *state;
	struct buf b;

	buf_init(&b, 8u << 20);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&b);
		buf_put_str(&b, "{\"offer\":\"A\",\"type\":\"course\","
				"\"title\":{\"en\":\"T\"}}\n{");
		memset(buf_extend(&b, sizes[i]), 'x', sizes[i]);
		buf_put_str(&b, "\n{\"offer\":\"B\",\"type\":\"course\","
				"\"title\":{\"en\":\"T\"}}\n");
		counter_file(&d->hands, "a.ndjson", buf_slice(&b));
		expect(d, "offers a.ndjson", EXIT_PARTLY,
		       i == 0 ? "2 new, 0 changed, 0 unchanged, 1 rejected"
			      : "2 unchanged, 1 rejected");
		counter_told(&d->hands, "a.ndjson:2: row 2: too-long: the line "
					"is longer than 1 MiB");
	}
	buf_free(&b);
}

static void an_offer_that_is_not_there_is_a_warning(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "o2.csv",
		     "offer,type,title_en,version\nX,course,T,3\n");
	counter_text(&d->hands, "o1.csv",
		     "offer,type,title_en,version\nX,course,T,2\nY,course,T,"
		     "\n");
	expect(d, "offers o1.csv", EXIT_OK, "2 new");
	expect(d, "offers o2.csv", EXIT_OK, "1 changed");
	counter_text(&d->hands, "a.csv",
		     "credential,offer,offer_version,subject_id,issued_on\n"
		     "A1,X,2,s1,2024-01-01\nA2,X,3,s1,2024-01-01\n"
		     "A3,X,4,s1,2024-01-01\nA4,dtu.dk/Y,,s1,2024-01-01\n"
		     "A5,Z,,s1,2024-01-01\nA6,hku.hk/Z,,s1,2024-01-01\n"
		     "A7,X,4,s1,2024-01-01\n");
	expect(d, "credentials a.csv", EXIT_OK, "7 new");
	counter_told(&d->hands,
		     "a.csv: warning: 3 credentials name an offer, or a "
		     "version of one, that is not in the own log "
		     "(unknown-offer); the first in line 4");
	counter_text(&d->hands, "b.csv",
		     "credential,offer,subject_id,issued_on\n"
		     "B1,X,s1,2024-01-01\n");
	expect(d, "credentials b.csv --json", EXIT_OK, "\"warnings\":{}");
}

static void no_rejects_file_is_overwritten(void **state)
{
	struct counter *d = *state;
	static const char mended[] = "_line,_code,_message,credential,offer,"
				     "subject_id,issued_on\n"
				     "2,x,y,A1,X,s1,2024-01-01\n";

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,issued_on\nA1,X,s1,2024\n"
		     "A2,X\n");
	expect(d, "credentials a.csv", EXIT_PARTLY, "2 rejected");
	counter_text(&d->hands, "a.csv.rejects.csv", mended);
	expect(d, "credentials a.csv", EXIT_PARTLY, "2 rejected");
	counter_told(&d->hands, "rejected rows are in a.csv.rejects-2.csv");
	assert_true(slice_equal(counter_read(&d->hands, "a.csv.rejects.csv"),
				slice_str(mended)));
	/* A row that was too short comes back in its columns. */
	assert_true(holds(counter_read(&d->hands, "a.csv.rejects-2.csv"),
			  "\n3,too-few-cells,"));
	assert_true(holds(counter_read(&d->hands, "a.csv.rejects-2.csv"),
			  ",A2,X\n"));
	expect(d, "credentials a.csv.rejects.csv", EXIT_OK, "1 new");
	/* A file that is refused whole leaves none. */
	counter_text(&d->hands, "l.csv",
		     "credential,offer,subject_id,given_name,issued_on\n"
		     "A,X,s,Gr\xfc\xdf"
		     "e,2024-01-01\n");
	assert_int_equal(import(d, "credentials l.csv"), EXIT_FAILED);
	assert_false(counter_has(&d->hands, "l.csv.rejects.csv"));
}

static void words_of_an_enum_are_all_named(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 1, "B");
	expect(d, "credentials a.csv", EXIT_OK, "1 new");
	counter_text(&d->hands, "s.csv",
		     "credential,state,reason\nC0,revoked,cause\n");
	expect(d, "statuses s.csv", EXIT_PARTLY, "1 rejected");
	counter_told(&d->hands, "\"cause\" is none of the values; one of "
				"issued-in-error, ");
	counter_told(&d->hands, ", import-undone, other\n");
}

static const struct bad_row bad_lines[] = {
	{ "{\"offer\":\"X\",\"offer\":\"Y\"}", "duplicate-name" },
	{ "{\"offer\":\"X\",\"tpye\":\"course\"}",
	  "field tpye: unknown-field: the field is not known" },
	{ "{\"offer\":1,\"type\":\"course\"}",
	  "field offer: wrong-type: the value is of another type; write a "
	  "text in quotes" },
	{ "{\"offer\":\"X\",\"type\":\"course\",\"title\":\"T\"}",
	  "field title: wrong-type" },
	{ "{\"offer\":\"X\",\"type\":\"curse\",\"title\":{\"en\":\"T\"}}",
	  "field type: unknown-value: \"curse\" is none of the values; one of "
	  "micro-credential, course, module, programme" },
	{ "{\"offer\":\"X\",\"type\":\"course\",\"title\":{\"EN\":\"T\"}}",
	  "field title: bad-language" },
	{ "{\"offer\":\"X\",\"type\":\"course\",\"title\":{\"en\":\"T\"},"
	  "\"ects\":2.555}",
	  "field ects: bad-number" },
	{ "{\"offer\":\"X\",\"type\":\"course\",\"title\":{\"en\":\"T\"},"
	  "\"language\":[\"en\",\"\"]}",
	  "field language[1]: empty-item" },
	{ "{\"offer\":\"X\",\"type\":\"course\",\"title\":{\"en\":\"T\"},"
	  "\"issuer\":\"hku.hk\"}",
	  "field issuer: other-member: \"hku.hk\" is not the member" },
	{ "{\"offer\":\"X\",\"type\":\"micro-credential\",\"title\":{\"en\":"
	  "\"T\"}}",
	  "missing-element: element 3 of Annex I" },
	{ "{\"offer\":\"X\"", "bad-json" },
	{ "[]", "wrong-type: the record is no object" },
	{ "{\"a\":[[[[[[[[1]]]]]]]]}", "too-deep" },
	{ "{\"offer\":\"\xff\"}", "bad-encoding" },
	{ "{\"offer\":\"a\\u0000b\"}", "bad-json" },
};

static void bad_lines_are_told_by_field(void **state)
{
	struct counter *d = *state;
	char file[1024];

	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		snprintf(file, sizeof(file),
			 "\n{\"offer\":\"G\",\"type\":\"course\",\"title\":"
			 "{\"da\":\"\xc3\xb8\"}}\n%s\n",
			 bad_lines[i].row);
		counter_text(&d->hands, "a.ndjson", file);
		expect(d, "offers a.ndjson --check", EXIT_PARTLY, "1 rejected");
		counter_told(&d->hands, "a.ndjson:3: row 3");
		counter_told(&d->hands, bad_lines[i].told);
	}
}

static void one_id_with_two_contents_rejects_both(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "a.csv",
		     "credential,offer,subject_id,issued_on,grade\n"
		     "A1,X,s1,2024-01-01,A\nA2,X,s1,2024-01-01,A\n"
		     "A1,X,s1,2024-01-01,B\nA1,X,s1,2024-01-01,A\n");
	expect(d, "credentials a.csv", EXIT_PARTLY,
	       "1 new, 0 changed, 0 unchanged, 3 rejected");
	counter_told(&d->hands,
		     "a.csv:2: row 2, column credential: id-twice: the "
		     "same id is in line 4 with other content");
	counter_told(&d->hands,
		     "a.csv:4: row 4, column credential: id-twice: the "
		     "same id is in line 2");
	counter_told(&d->hands,
		     "a.csv:5: row 5, column credential: id-twice: the "
		     "same id is in line 4");
	assert_true(holds(counter_read(&d->hands, "a.csv.rejects.csv"),
			  "\n4,id-twice,credential: the same id is in line 2 "
			  "with other content; mend or remove one of them,"
			  "A1,X,s1,2024-01-01,B\n"));
}

/* ---- Rejects -------------------------------------------------------------- */

static void rejected_rows_import_again_once_mended(void **state)
{
	struct counter *d = *state;
	struct slice s;
	char text[2048];
	char *at;

	counter_text(
		&d->hands, "a.csv",
		"credential;offer;subject_id;issued_on;grade\r\n"
		"A1;X;s1;2024-01-01;A\r\n\"A2\";X;s2;2024-99-01;\"A;A\"\r\n");
	expect(d, "credentials a.csv", EXIT_PARTLY, "1 new");
	s = counter_read(&d->hands, "a.csv.rejects.csv");
	snprintf(text, sizeof(text), "%.*s", (int)s.n, (const char *)s.p);
	assert_string_equal(
		text, "_line;_code;_message;credential;offer;subject_id;"
		      "issued_on;grade\r\n"
		      "3;bad-date;\"issued_on: \"\"2024-99-01\"\" is not a "
		      "date that exists; write YYYY-MM-DD, such as "
		      "2026-01-31\";\"A2\";X;s2;2024-99-01;\"A;A\"\r\n");
	expect(d, "credentials a.csv.rejects.csv", EXIT_PARTLY, "1 rejected");
	/* Notes do not pile up. */
	s = counter_read(&d->hands, "a.csv.rejects.csv.rejects.csv");
	assert_true(holds(s, "\n2;bad-date;"));
	assert_true(holds(s, ";\"A2\";X;s2;2024-99-01;\"A;A\"\r\n"));
	assert_false(holds(s, "3;bad-date"));
	at = strstr(text, ";2024-99");
	at[6] = '0';
	counter_text(&d->hands, "b.csv", text);
	expect(d, "credentials b.csv", EXIT_OK, "1 new");
}

static void rejected_lines_import_again_once_mended(void **state)
{
	struct counter *d = *state;
	struct slice s;
	char text[2048];
	char *at;

	counter_text(
		&d->hands, "a.ndjson",
		"{\"offer\":\"A\",\"type\":\"xourse\",\"title\":{\"en\":"
		"\"T\"}}\n"
		"{\"offer\":\"B\",\"type\":\"course\",\"title\":{\"en\":\"x"
		"T\"}\n{ }\n{\"offer\":\"\xe6\"}\n"
		"{\"offer\":\"C\",\"type\":\"course\",\"title\":{\"en\":"
		"\"\xc3\x86\"}}\n");
	expect(d, "offers a.ndjson", EXIT_PARTLY,
	       "1 new, 0 changed, 0 "
	       "unchanged, 4 rejected");
	s = counter_read(&d->hands, "a.ndjson.rejects.ndjson");
	snprintf(text, sizeof(text), "%.*s", (int)s.n, (const char *)s.p);
	assert_non_null(strstr(text, "\"T\"},\"_line\":1,\"_code\":\"unknown-"
				     "value\",\"_message\":\"type: "));
	assert_non_null(strstr(text, "{\"_line\":2,\"_code\":\"bad-json\""));
	assert_non_null(strstr(text, "\n{ \"_line\":3,"));
	assert_non_null(strstr(text, "\n{\"offer\":\"\xe6\"}\n"));
	assert_int_equal(import(d, "offers a.ndjson.rejects.ndjson"),
			 EXIT_FAILED);
	at = strstr(text, "xourse");
	*at = 'c';
	at = strstr(text, "x");
	while (at != NULL && strncmp(at, "xT", 2) != 0)
		at = strstr(at + 1, "x");
	assert_non_null(at);
	/* xT\"} becomes TT\"}} */
	memcpy(at, "\\\\T", 0);
	*at = 'T';
	at = strstr(at, "}\"}");
	assert_non_null(at);
	memmove(at + 1, at, strlen(at) + 1);
	at[1] = '}';
	*strstr(text, "{ \"_line\":3") = '\0';
	counter_text(&d->hands, "b.ndjson", text);
	expect(d, "offers b.ndjson", EXIT_OK, "2 new");
}

static void only_twenty_are_shown_and_all_are_counted(void **state)
{
	struct counter *d = *state;
	struct buf b;
	char line[64];

	buf_init(&b, 1 << 20);
	buf_put_str(&b, "credential,offer,subject_id,issued_on\n");
	for (unsigned i = 0; i < 25; i++) {
		snprintf(line, sizeof(line), "A%u,X,s,2024-02-%u\n", i, 30 + i);
		buf_put_str(&b, line);
	}
	counter_file(&d->hands, "a.csv", buf_slice(&b));
	buf_free(&b);
	expect(d, "credentials a.csv", EXIT_PARTLY, "25 rejected");
	counter_told(&d->hands, "a.csv:21: row 21");
	assert_false(holds(buf_slice(&d->hands.err), "a.csv:22: row 22"));
	counter_told(&d->hands, "a.csv: 5 more rows were rejected");
	counter_told(&d->hands, "25  bad-date");
	assert_true(holds(counter_read(&d->hands, "a.csv.rejects.csv"),
			  "\n26,bad-date,"));
	assert_true(holds(counter_read(&d->hands, "a.csv.rejects.csv"),
			  ",A24,X,s,2024-02-54\n"));
}

/* ---- Limits --------------------------------------------------------------- */

static void max_rejects_refuses_the_whole_file(void **state)
{
	struct counter *d = *state;

	counter_text(
		&d->hands, "a.csv",
		"credential,offer,subject_id,issued_on\n"
		"A1,X,s,2024-01-01\nA2,X,s,2024-02-30\nA3,X,s,2024-02-31\n");
	assert_int_equal(import(d, "credentials a.csv --max-rejects 1"),
			 EXIT_REFUSED);
	counter_told(&d->hands,
		     "2 rows rejected, --max-rejects allows 1; nothing "
		     "was changed");
	assert_int_equal(counter_size(d), 0);
	assert_true(counter_has(&d->hands, "a.csv.rejects.csv"));
	expect(d, "credentials a.csv --max-rejects 2", EXIT_PARTLY, "1 new");
}

static void max_changed_refuses_the_whole_file(void **state)
{
	struct counter *d = *state;
	uint64_t size;

	credentials(d, "a.csv", 0, 100, "B");
	expect(d, "credentials a.csv", EXIT_OK, "100 new");
	size = counter_size(d);
	credentials(d, "b.csv", 0, 100, "A");
	assert_int_equal(import(d, "credentials b.csv"), EXIT_REFUSED);
	counter_told(&d->hands, "100 of 100 rows would change records that are "
				"there, --max-changed allows 20 %");
	assert_int_equal(counter_size(d), size);
	assert_int_equal(import(d, "credentials b.csv --max-changed 99"),
			 EXIT_REFUSED);
	/* A few rows are never too many. */
	credentials(d, "c.csv", 0, 10, "A");
	expect(d, "credentials c.csv", EXIT_OK, "10 changed");
	expect(d, "credentials b.csv --max-changed 100", EXIT_OK,
	       "90 changed, 10 unchanged");
}

static void
an_interruption_changes_nothing_or_leaves_whole_batches(void **state)
{
	struct counter *d = *state;
	int code;

	credentials(d, "a.csv", 0, 20000, "B");
	d->hands.cancel_after = 2;
	assert_int_equal(import(d, "credentials a.csv"), EXIT_FAILED);
	counter_told(&d->hands, "interrupted; nothing was changed");
	assert_int_equal(counter_size(d), 0);
	d->hands.cancel_after = 7;
	code = import(d, "credentials a.csv");
	d->hands.cancel_after = -1;
	assert_int_equal(code, EXIT_FAILED);
	counter_told(&d->hands,
		     "run the same command again: rows that are in stay "
		     "as they are");
	assert_true(counter_size(d) > 0);
	assert_int_equal(import(d, "list"), EXIT_OK);
	counter_said(&d->hands, "stopped");
	assert_int_equal(import(d, "credentials a.csv"), EXIT_OK);
	expect(d, "credentials a.csv", EXIT_OK, "20000 unchanged");
	assert_int_equal(counter_size(d), 20000 + 6667);
	nest_check(&d->nest, slice_str(d->nest.home.origin));
}

static enum err put_running(struct writer_txn *t, void *arg)
{
	return import_journal_put(writer_store(t), arg);
}

static void an_import_that_was_killed_is_shown_as_interrupted(void **state)
{
	struct counter *d = *state;
	struct journal_entry e = { .state = JOURNAL_RUNNING,
				   .kind = SLICE_LIT("offers"),
				   .file = SLICE_LIT("o.csv"),
				   .token = SLICE_LIT("0123456789abcdef") };
	struct buf why;
	char *tmp;
	int fd;

	buf_init(&why, 4096);
	ok(nest_run(&d->nest, put_running, &e));
	ok(import_tmp_dir(&d->nest.home, &tmp, &why));
	expect(d, "list", EXIT_OK, "interrupted");
	counter_told(&d->hands, "run the same command again");
	fd = import_lock(tmp);
	assert_true(fd >= 0);
	expect(d, "list", EXIT_OK, "interrupted");
	import_lock_sign(fd, e.token);
	expect(d, "list", EXIT_OK, "running");
	assert_int_equal(import_lock(tmp), -1);
	assert_int_equal(import(d, "undo 1"), EXIT_FAILED);
	counter_told(&d->hands, "import 1 is still running");
	close(fd);
	expect(d, "show 1", EXIT_OK, "interrupted");
	free(tmp);
	buf_free(&why);
}

/* ---- Statuses ------------------------------------------------------------- */

static void a_status_needs_its_credential(void **state)
{
	struct counter *d = *state;
	static const char text[] =
		"credential,state,reason,at,successor\n"
		"C1,suspended,under-investigation,2026-01-02,\n"
		"dtu.dk/C2,superseded,replaced,2026-01-02T10:00:00Z,C1\n";

	counter_text(&d->hands, "s.csv", text);
	expect(d, "statuses s.csv", EXIT_PARTLY, "2 rejected");
	counter_told(&d->hands,
		     "s.csv:2: row 2, column credential: "
		     "unknown-credential: there is no such credential");
	credentials(d, "a.csv", 0, 3, "B");
	expect(d, "credentials a.csv", EXIT_OK, "3 new");
	expect(d, "statuses s.csv", EXIT_OK, "2 new");
	expect(d, "statuses s.csv", EXIT_OK, "2 unchanged");
	/* A changed credential keeps its statuses. */
	credentials(d, "a.csv", 0, 3, "A");
	expect(d, "credentials a.csv", EXIT_OK, "3 changed");
	expect(d, "statuses s.csv", EXIT_OK, "2 unchanged");
	assert_int_equal(import(d, "statuses s.csv --audience own"),
			 EXIT_USAGE);
}

static void a_status_needs_its_reason(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 3, "B");
	expect(d, "credentials a.csv", EXIT_OK, "3 new");
	counter_text(
		&d->hands, "s.csv",
		"credential,state,reason\nC0,revoked,\nC1,superseded,replaced"
		"\nC2,valid,\nC2,gone,\n");
	expect(d, "statuses s.csv", EXIT_PARTLY,
	       "1 new, 0 changed, 0 "
	       "unchanged, 3 rejected");
	counter_told(&d->hands, "column reason: missing-field: a status other");
	counter_told(&d->hands, "column successor: missing-field");
	counter_told(&d->hands, "column state: unknown-value: \"gone\"");
}

/* ---- Audience ------------------------------------------------------------- */

static void another_audience_is_a_change(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 3, "B");
	expect(d, "credentials a.csv --audience own", EXIT_OK, "3 new");
	expect(d, "credentials a.csv", EXIT_OK, "3 unchanged");
	expect(d, "credentials a.csv --audience own", EXIT_OK, "3 unchanged");
	expect(d, "credentials a.csv --audience members", EXIT_OK, "3 changed");
	expect(d, "credentials a.csv --audience members", EXIT_OK,
	       "3 unchanged");
	assert_int_equal(import(d, "credentials a.csv --audience all"),
			 EXIT_USAGE);
}

/* ---- Undo ----------------------------------------------------------------- */

static void undo_brings_earlier_content_back(void **state)
{
	struct counter *d = *state;
	uint64_t size;

	credentials(d, "a.csv", 0, 9, "B");
	credentials(d, "b.csv", 3, 12, "A");
	expect(d, "credentials a.csv", EXIT_OK, "9 new");
	expect(d, "credentials b.csv", EXIT_OK, "3 new, 6 changed");
	size = counter_size(d);
	expect(d, "undo 2 --check", EXIT_OK,
	       "6 records brought back, 3 "
	       "withdrawn, 0 left");
	assert_int_equal(counter_size(d), size);
	expect(d, "undo 2", EXIT_OK,
	       "6 records brought back, 3 withdrawn, 0 "
	       "left");
	expect(d, "credentials a.csv", EXIT_OK, "9 unchanged");
	size = counter_size(d);
	assert_int_equal(import(d, "undo 2"), EXIT_OK);
	counter_told(&d->hands, "import 2 was undone before (by 3)");
	assert_int_equal(counter_size(d), size);
	expect(d, "list", EXIT_OK, "undone");
	expect(d, "list --json", EXIT_OK, "\"undone_by\":3");
	expect(d, "show 3", EXIT_OK, "undo of 2");
	assert_int_equal(import(d, "show 9"), EXIT_FAILED);
}

static void what_was_changed_since_is_left_alone(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 9, "B");
	credentials(d, "b.csv", 0, 3, "A");
	expect(d, "credentials a.csv", EXIT_OK, "9 new");
	expect(d, "credentials b.csv", EXIT_OK, "3 changed");
	expect(d, "undo 1 --check", EXIT_PARTLY,
	       "would be: 0 records brought back, 6 withdrawn, 3 left");
	expect(d, "undo 1", EXIT_PARTLY,
	       "0 records brought back, 6 withdrawn, 3 "
	       "left");
	expect(d, "credentials b.csv", EXIT_OK, "3 unchanged");
	/* What was left can be undone once its way is free. */
	expect(d, "undo 2", EXIT_OK, "3 records brought back, 0 withdrawn");
	expect(d, "undo 1", EXIT_OK,
	       "0 records brought back, 3 withdrawn, 0 left");
	expect(d, "undo 1", EXIT_OK, "");
	counter_told(&d->hands, "was undone before");
}

static void imports_are_undone_the_last_one_first(void **state)
{
	static const char *const kinds[] = { "credentials", "offers",
					     "statuses" };
	struct counter *d = *state;
	unsigned n = 0;
	char words[64];

	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < 3; i++) {
			const char *grades[] = { "B", "A", "B" };

			counter_text(&d->hands, "o.csv",
				     i == 1 ? "offer,type,title_en\nX,course,"
					      "T\nY,course,T\n"
					    : "offer,type,title_en\nX,course,"
					      "U\nY,course,U\n");
			counter_text(&d->hands, "s.csv",
				     i == 1 ? "credential,state,reason,at\n"
					      "C1,suspended,other,2026-01-02\n"
					    : "credential,state,reason,at\n"
					      "C1,revoked,other,2026-01-01\n");
			credentials(d, "c.csv", 0, 9, grades[i]);
			snprintf(words, sizeof(words), "%s %c.csv", kinds[k],
				 kinds[k][0]);
			assert_int_equal(import(d, words), EXIT_OK);
			n++;
		}
		for (unsigned i = 0; i < 3; i++) {
			snprintf(words, sizeof(words), "undo %u", n - i);
			expect(d, words, EXIT_OK, " 0 left");
			/* The credential had a status before. */
			counter_said(&d->hands, i == 2 && k < 2
							? ": 0 records brought "
							: " 0 withdrawn");
		}
		n += 3;
		if (k == 0) /* for the statuses */
			expect(d, "credentials c.csv", EXIT_OK, "(import 7)");
		n += k == 0;
	}
}

static void a_credential_that_comes_again_is_reinstated(void **state)
{
	struct counter *d = *state;

	credentials(d, "a.csv", 0, 9, "B");
	expect(d, "credentials a.csv", EXIT_OK, "9 new");
	expect(d, "undo 1", EXIT_OK, "9 withdrawn");
	expect(d, "credentials a.csv --check", EXIT_OK, "0 new, 9 changed");
	expect(d, "credentials a.csv", EXIT_OK, "0 new, 9 changed");
	expect(d, "credentials a.csv", EXIT_OK, "9 unchanged");
}

static void offers_and_rules_are_withdrawn(void **state)
{
	struct counter *d = *state;

	counter_text(&d->hands, "o.csv",
		     "offer,type,title_en\nX,course,T\nY,course,T\n");
	expect(d, "offers o.csv", EXIT_OK, "2 new");
	expect(d, "undo 1", EXIT_OK, "2 withdrawn");
	expect(d, "undo 2", EXIT_OK, "2 records brought back");
	expect(d, "offers o.csv", EXIT_OK, "2 unchanged");
}

/* ---- Two at once ---------------------------------------------------------- */

struct importer {
	struct counter_hands hands;
	const char *words;
	int code;
	pthread_t thread;
};

static void *run_importer(void *arg)
{
	struct importer *i = arg;

	i->code = counter_run(&i->hands, cmd_import, i->words);
	return NULL;
}

static void two_imports_at_once_are_both_correct(void **state)
{
	struct counter *d = *state;
	struct importer importers[2] = { { .words = "credentials a.csv" },
					 { .words = "credentials a.csv" } };
	uint64_t size;

	credentials(d, "a.csv", 0, 9000, "B");
	for (size_t i = 0; i < 2; i++) {
		counter_hands_init(&importers[i].hands, &d->nest.home);
		counter_file(&importers[i].hands, "a.csv",
			     counter_read(&d->hands, "a.csv"));
		assert_int_equal(pthread_create(&importers[i].thread, NULL,
						run_importer, &importers[i]),
				 0);
	}
	for (size_t i = 0; i < 2; i++) {
		pthread_join(importers[i].thread, NULL);
		assert_int_equal(importers[i].code, EXIT_OK);
		counter_hands_free(&importers[i].hands);
	}
	size = counter_size(d);
	assert_int_equal(size, 9000 + 3000);
	expect(d, "credentials a.csv", EXIT_OK, "9000 unchanged");
	nest_check(&d->nest, slice_str(d->nest.home.origin));
}

/* Both make their plans while nothing is there; only one may act on it. */
static void the_limits_hold_against_what_another_import_brought(void **state)
{
	struct counter *d = *state;
	struct importer importers[2] = { { .words = "credentials a.csv" },
					 { .words = "credentials b.csv" } };
	unsigned refused = 0;
	struct buf why;
	char *tmp;
	int fd;

	credentials(d, "a.csv", 0, 100, "B");
	credentials(d, "b.csv", 0, 100, "A");
	buf_init(&why, 4096);
	ok(import_tmp_dir(&d->nest.home, &tmp, &why));
	fd = import_lock(tmp);
	assert_true(fd >= 0);
	for (size_t i = 0; i < 2; i++) {
		const char *name = i == 0 ? "a.csv" : "b.csv";

		counter_hands_init(&importers[i].hands, &d->nest.home);
		counter_file(&importers[i].hands, name,
			     counter_read(&d->hands, name));
		assert_int_equal(pthread_create(&importers[i].thread, NULL,
						run_importer, &importers[i]),
				 0);
	}
	usleep(300000);
	close(fd);
	for (size_t i = 0; i < 2; i++) {
		pthread_join(importers[i].thread, NULL);
		refused += importers[i].code == EXIT_REFUSED;
		if (importers[i].code == EXIT_REFUSED)
			counter_told(&importers[i].hands,
				     "100 of 100 rows would change");
		else
			assert_int_equal(importers[i].code, EXIT_OK);
		counter_hands_free(&importers[i].hands);
	}
	assert_int_equal(refused, 1);
	assert_int_equal(counter_size(d), 100 + 34);
	free(tmp);
	buf_free(&why);
}

/* ---- Usage ---------------------------------------------------------------- */

static void wrong_words_are_refused(void **state)
{
	static const char *const words[] = {
		"",
		"learners a.csv",
		"things a.csv",
		"credentials",
		"credentials a.csv --max-changed 101",
		"credentials a.csv --max-rejects x",
		"credentials a.csv --format xml",
		"undo",
		"undo x",
		"show 0",
		"list 1",
		"credentials a.csv --chek",
	};
	struct counter *d = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(import(d, words[i]), EXIT_USAGE);
	assert_int_equal(import(d, "credentials a.csv --wait 1"),
			 EXIT_UNREACHABLE);
	assert_int_equal(import(d, "undo 1"), EXIT_FAILED);
}

/* ---- Clashes in large files ----------------------------------------------- */

static void clashes_are_found_in_files_beyond_memory(void **state)
{
	const uint64_t rows = IMPORT_SEEN_MAX + 1000;
	char *dir = tmp_make();
	struct import_seen s;
	unsigned repeats = 0;

	(void)state;
	import_seen_init(&s, dir);
	for (uint64_t i = 0; i < rows; i++) {
		/* Spread over the parts; the last ten repeat the first. */
		uint64_t id = (i + 10 < rows ? i : i + 10 - rows) *
			      0x9e3779b97f4a7c15u;
		struct import_seen_row r = {
			.id = id,
			.content = i + 5 < rows ? 1 : 2,
			.line = (i + 1) & ((1ull << 56) - 1),
		};

		ok(import_seen_add(&s, &r));
	}
	s.with_repeats = true;
	ok(import_seen_finish(&s));
	assert_int_equal(s.clash_count, 15);
	for (uint32_t i = 0; i < s.clash_count; i++)
		repeats += s.clashes[i].repeat;
	assert_int_equal(repeats, 5);
	import_seen_free(&s);
	tmp_remove(dir);
}

/* ---- Real files ----------------------------------------------------------- */

static void shared_file(struct counter *d, const char *name, const char *as)
{
	struct buf b = shared_read(name);

	counter_file(&d->hands, as, buf_slice(&b));
	buf_free(&b);
}

static void the_catalogue_and_awards_of_dtu_are_taken_as_they_are(void **state)
{
	struct counter *d = *state;

	shared_file(d, "alliance/offers-dtu.dk.ndjson", "o.ndjson");
	shared_file(d, "alliance/credentials-dtu.dk.csv", "c.csv");
	expect(d, "offers o.ndjson", EXIT_OK,
	       "1718 new, 0 changed, 0 unchanged, 0 rejected");
	expect(d, "credentials c.csv", EXIT_OK,
	       "20000 new, 0 changed, 0 unchanged, 0 rejected");
	counter_told(&d->hands, "dates lie in the future (future-date)");
	expect(d, "offers o.ndjson", EXIT_OK, "1718 unchanged");
	expect(d, "credentials c.csv", EXIT_OK, "20000 unchanged");
}

static void the_rules_of_hku_and_ntu_are_taken_as_they_are(void **state)
{
	struct counter *d = *state;

	shared_file(d, "alliance/rules-hku.hk.ndjson", "h.ndjson");
	shared_file(d, "alliance/rules-ntu.edu.sg.ndjson", "n.ndjson");
	expect(d, "rules h.ndjson", EXIT_OK,
	       "16923 new, 0 changed, 0 unchanged, 0 rejected");
	expect(d, "rules n.ndjson", EXIT_OK,
	       "15985 new, 0 changed, 0 unchanged, 0 rejected");
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_same_file_twice_changes_nothing),
		test(changed_content_is_a_new_version),
		test(a_row_that_repeats_another_is_unchanged),
		test(check_changes_nothing_and_tells_the_same),
		test(csv_and_ndjson_of_a_record_are_the_same),
		test(csv_comes_in_many_dresses),
		test(files_are_read_in_pieces_of_any_size),
		test(standard_input_needs_a_format),
		test(future_dates_are_taken_with_a_warning),
		test(several_files_are_imported_in_turn),
		test(a_new_name_is_a_new_version_of_the_same_learner),
		test(what_a_file_does_not_say_about_a_learner_stays),
		test(changed_learners_count_for_max_changed),
		test(a_learner_may_be_given_by_number),
		test(learners_keep_their_number_over_restarts),
		test(two_names_of_one_learner_are_both_told),
		test(personal_values_are_in_no_message),
		test(bad_rows_are_told_with_line_column_code_and_cure),
		test(files_that_cannot_be_read_are_refused_whole),
		test(utf16_without_a_mark_is_named),
		test(a_line_over_the_limit_is_refused),
		test(a_long_line_is_passed_over_where_lines_are_records),
		test(an_offer_that_is_not_there_is_a_warning),
		test(no_rejects_file_is_overwritten),
		test(words_of_an_enum_are_all_named),
		test(bad_lines_are_told_by_field),
		test(one_id_with_two_contents_rejects_both),
		test(rejected_rows_import_again_once_mended),
		test(rejected_lines_import_again_once_mended),
		test(only_twenty_are_shown_and_all_are_counted),
		test(max_rejects_refuses_the_whole_file),
		test(max_changed_refuses_the_whole_file),
		test(an_interruption_changes_nothing_or_leaves_whole_batches),
		test(an_import_that_was_killed_is_shown_as_interrupted),
		test(a_status_needs_its_credential),
		test(a_status_needs_its_reason),
		test(another_audience_is_a_change),
		test(undo_brings_earlier_content_back),
		test(what_was_changed_since_is_left_alone),
		test(imports_are_undone_the_last_one_first),
		test(a_credential_that_comes_again_is_reinstated),
		test(offers_and_rules_are_withdrawn),
		test(two_imports_at_once_are_both_correct),
		test(the_limits_hold_against_what_another_import_brought),
		test(wrong_words_are_refused),
		cmocka_unit_test(clashes_are_found_in_files_beyond_memory),
		test(the_catalogue_and_awards_of_dtu_are_taken_as_they_are),
		test(the_rules_of_hku_and_ntu_are_taken_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
