/* Options, output, tables, help, and the man page beside the table. */

#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/cli.h"
#include "node/cmds.h"
#include "node/disk.h"
#include "node/hands.h"

/* ---- Fixture ---------------------------------------------------------- */

#define ARGS 24

struct fixture {
	struct cmd c;
	char *argv[ARGS];
	char words[ARGS][64];
	struct buf out, err;
};

static void on_write(void *arg, int fd, struct slice bytes)
{
	struct fixture *f = arg;
	buf_put(fd == 1 ? &f->out : &f->err, bytes);
}

static const struct cmd_io fake_io = { .write = on_write };

static int run_nothing(struct cmd *c)
{
	return cmd_operands(c, 0, 2) ? EXIT_OK : EXIT_USAGE;
}

static const struct cmd_entry entry = {
	.name = "try",
	.place = CMD_HERE,
	.run = run_nothing,
	.summary = "Try something.",
	.synopsis = "try [--check]\ntry [--audience A]",
	.options = "  --check        change nothing\n"
		   "  --audience A   who may read\n",
	.home = "sign install",
	.example = "symbolon try --check",
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -1;
	buf_init(&f->out, 1u << 20);
	buf_init(&f->err, 1u << 20);
	f->c = (struct cmd){
		.argv = f->argv, .entry = &entry, .io = &fake_io, .io_arg = f
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	buf_free(&f->out);
	buf_free(&f->err);
	free(f);
	return 0;
}

/* ---- Helpers ---------------------------------------------------------- */

/* The words of @line, separated by blanks, as the command line. */
static struct cmd *with(struct fixture *f, const char *line)
{
	struct slice rest = slice_str(line), word;
	f->c.argc = 0;
	buf_reset(&f->out);
	buf_reset(&f->err);
	while (rest.n > 0) {
		slice_cut(rest, ' ', &word, &rest);
		snprintf(f->words[f->c.argc], 64, "%.*s", (int)word.n,
			 (const char *)word.p);
		f->argv[f->c.argc] = f->words[f->c.argc];
		f->c.argc++;
	}
	f->argv[f->c.argc] = NULL;
	return &f->c;
}

static void assert_line(struct fixture *f, const char *line)
{
	char got[1024] = "";
	for (int i = 0; i < f->c.argc; i++) {
		strcat(got, i ? " " : "");
		strcat(got, f->argv[i]);
	}
	assert_string_equal(got, line);
	assert_null(f->argv[f->c.argc]);
}

static void assert_says(struct buf *b, const char *text)
{
	buf_put_u8(b, '\0');
	if (!strstr((const char *)b->p, text)) {
		print_message("said:\n%s\nnot: %s\n", (const char *)b->p, text);
		fail();
	}
	b->n--;
}

/* ---- Options ---------------------------------------------------------- */

static void flags_are_taken_wherever_they_stand(void **state)
{
	struct fixture *f = *state;
	assert_true(cmd_flag(with(f, "try a --check b"), "--check"));
	assert_line(f, "try a b");
	assert_true(cmd_flag(with(f, "try --check --check"), "--check"));
	assert_line(f, "try");
	assert_false(
		cmd_flag(with(f, "try --checked -check check"), "--check"));
	assert_false(cmd_flag(with(f, "try -- --check"), "--check"));
	assert_line(f, "try -- --check");
	/* The name of the command is none of its options. */
	assert_false(cmd_flag(with(f, "--check"), "--check"));
}

static void values_come_behind_or_with_an_equals_sign(void **state)
{
	struct fixture *f = *state;
	bool bad = false;
	assert_string_equal(cmd_option(with(f, "try --a 1 x"), "--a", &bad),
			    "1");
	assert_line(f, "try x");
	assert_string_equal(cmd_option(with(f, "try --a=1=2"), "--a", &bad),
			    "1=2");
	assert_string_equal(cmd_option(with(f, "try --a="), "--a", &bad), "");
	assert_string_equal(cmd_option(with(f, "try --a -"), "--a", &bad), "-");
	assert_null(cmd_option(with(f, "try --ab 1"), "--a", &bad));
	assert_null(cmd_option(with(f, "try -- --a 1"), "--a", &bad));
	assert_false(bad);
	/* Each call takes one, in order. */
	with(f, "try --a 1 --a=2 --a 3");
	assert_string_equal(cmd_option(&f->c, "--a", &bad), "1");
	assert_string_equal(cmd_option(&f->c, "--a", &bad), "2");
	assert_string_equal(cmd_option(&f->c, "--a", &bad), "3");
	assert_null(cmd_option(&f->c, "--a", &bad));
	assert_false(bad);
}

static void a_missing_value_is_usage(void **state)
{
	struct fixture *f = *state;
	static const char *const lines[] = { "try --a", "try --a --check" };
	for (size_t i = 0; i < 2; i++) {
		bool bad = false;
		assert_null(cmd_option(with(f, lines[i]), "--a", &bad));
		assert_true(bad);
		assert_says(&f->err, "symbolon: --a needs a value\n"
				     "usage: symbolon try [--check]\n"
				     "       symbolon try [--audience A]\n");
	}
}

static void numbers_are_checked_against_their_range(void **state)
{
	struct fixture *f = *state;
	const uint64_t range[2] = { 1, 20 };
	static const struct {
		const char *line;
		uint64_t want;
		bool bad;
	} cases[] = {
		{ "try", 7, false },
		{ "try --n 1", 1, false },
		{ "try --n=20", 20, false },
		{ "try --n 21", 7, true },
		{ "try --n 0", 7, true },
		{ "try --n 1x", 7, true },
		{ "try --n -1", 7, true },
		{ "try --n 01", 7, true },
		{ "try --n=", 7, true },
		{ "try --n", 7, true },
		{ "try --n 18446744073709551616", 7, true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool bad = false;
		assert_int_equal(cmd_option_uint(with(f, cases[i].line), "--n",
						 range, 7, &bad),
				 cases[i].want);
		assert_int_equal(bad, cases[i].bad);
	}
}

static void operands_are_counted_and_strange_options_named(void **state)
{
	struct fixture *f = *state;
	assert_true(cmd_operands(with(f, "try a b"), 1, 2));
	assert_true(cmd_operands(with(f, "try -- --a"), 1, 2));
	assert_line(f, "try --a");
	assert_true(cmd_operands(with(f, "try -"), 1, 1));
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "try a b c", "'c' is more than this command takes" },
		{ "try", "something is missing" },
		{ "try --chekc a", "unknown option --chekc; did you mean "
				   "--check?" },
		{ "try --audi x", "did you mean --audience?" },
		{ "try --frobnicate", "unknown option --frobnicate\n" },
		{ "try -x", "unknown option -x" },
		{ "try --check a", "came twice" },
		{ "try --check=yes a", "--check takes no value" },
		{ "try --help=x", "--help takes no value" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(cmd_operands(with(f, cases[i].line), 1, 2));
		assert_says(&f->err, cases[i].says);
		assert_int_equal(f->out.n, 0);
	}
}

static void a_command_says_where_it_runs(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *line;
		enum cmd_place place;
	} cases[] = {
		{ "try", CMD_HERE },
		{ "try sign x", CMD_HOME },
		{ "try install x", CMD_HOME },
		{ "try sig", CMD_HERE },
		{ "try x sign", CMD_HERE },
		{ "try sign --help", CMD_HERE },
		{ "try sign -- --help", CMD_HOME },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cmd *c = with(f, cases[i].line);
		assert_int_equal(cmd_place(&entry, c->argc, c->argv),
				 cases[i].place);
	}
}

/* ---- Output ----------------------------------------------------------- */

static void what_others_wrote_is_escaped_on_terminals(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "plain \xc3\xa9 \xe4\xb8\xad",
		  "plain \xc3\xa9 \xe4\xb8\xad" },
		{ "\x1b[2J", "\\x1b[2J" },
		{ "a\tb\rc\x7f", "a\\x09b\\x0dc\\x7f" },
		{ "\xc2\x9b", "\\xc2\\x9b" },
		{ "\x9b"
		  "31m",
		  "\\x9b31m" },
		/* a letter that holds 0x9b as its second byte */
		{ "\xc3\x9b", "\xc3\x9b" },
		{ "\xe2\x80\xae"
		  "dlrow",
		  "\\xe2\\x80\\xaedlrow" },
		{ "\xe2\x81\xa6x", "\\xe2\\x81\\xa6x" },
		{ "\xe2\x80\xb0", "\xe2\x80\xb0" },
		{ "\xe2", "\xe2" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		with(f, "try");
		f->c.out_is_tty = true;
		cmd_out_text(&f->c, slice_str(cases[i].text));
		assert_true(slice_is(buf_slice(&f->out), cases[i].shown));
		with(f, "try");
		f->c.out_is_tty = false;
		cmd_out_text(&f->c, slice_str(cases[i].text));
		assert_true(slice_is(buf_slice(&f->out), cases[i].text));
	}
	/* Messages are, always; their own lines stay. */
	cmd_msg(with(f, "try"), "one \x1b[2J\ntwo\r");
	assert_true(slice_is(buf_slice(&f->err),
			     "symbolon: one \\x1b[2J\ntwo\\x0d\n"));
}

static void long_output_is_not_cut(void **state)
{
	struct fixture *f = *state;
	cmd_out(with(f, "try"), "%100000d", 7);
	assert_int_equal(f->out.n, 100000);
	assert_int_equal(f->out.p[99999], '7');
}

static void a_table_fits_its_columns_to_what_is_in_them(void **state)
{
	struct fixture *f = *state;
	static const char *const heads[] = { "MEMBER", "NEED", "WHY" };
	struct cmd_table_out *t = table_open(heads, 3);
	table_cell(t, "dtu.dk");
	table_cell(t, "%d", 7);
	table_cell(t, "one\nline\t");
	table_cell(t, "\xc3\xbcni.example"); /* 11 letters, 12 bytes */
	table_cell(t, "%d", 12345);
	table_cell(t, "-");
	table_cell(t, "\xe4\xb8\xad\xe6\x96\x87"); /* each two columns wide */
	table_cell(t, "-");
	table_cell(t, "%s", "");
	table_print(with(f, "try"), t);
	assert_true(slice_is(buf_slice(&f->out),
			     "MEMBER        NEED  WHY\n"
			     "dtu.dk           7  one line \n"
			     "\xc3\xbcni.example  12345  -\n"
			     "\xe4\xb8\xad\xe6\x96\x87             -  \n"));
}

static void every_error_has_an_exit_code(void **state)
{
	(void)state;
	const struct {
		enum err err;
		int code;
	} cases[] = {
		{ ERR_OK, EXIT_OK },
		{ ERR_IO, EXIT_FAILED },
		{ ERR_DENIED, EXIT_NOT_ALLOWED },
		{ ERR_CLOSED, EXIT_UNREACHABLE },
		{ ERR_TIMEOUT, EXIT_UNREACHABLE },
		{ ERR_RECOVERING, EXIT_REFUSED },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cmd_exit(cases[i].err), cases[i].code);
}

static void a_file_is_read_up_to_its_limit(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/symbolon-cmd-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
	struct hands hands;
	struct buf b;
	char program[] = "symbolon";
	char *argv[] = { program, path };
	hands_init(&hands, 2, argv, NULL);
	with(f, "try");
	struct cmd c = { .io = &hands_io, .io_arg = &hands };
	buf_init(&b, 10);
	assert_int_equal(cmd_read_file(&c, path, 10, &b), ERR_OK);
	assert_true(slice_is(buf_slice(&b), "0123456789"));
	buf_reset(&b);
	assert_int_equal(cmd_read_file(&c, path, 9, &b), ERR_LIMIT);
	assert_int_equal(cmd_read_file(&c, "/etc/passwd", 9, &b), ERR_DENIED);
	buf_free(&b);
	hands_free(&hands);
	unlink(path);
}

/* ---- Help and man page ------------------------------------------------ */

static void help_shows_forms_options_and_an_example(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(cmd_run(with(f, "try --help"), &entry), EXIT_OK);
	assert_true(slice_is(buf_slice(&f->out),
			     "usage: symbolon try [--check]\n"
			     "       symbolon try [--audience A]\n"
			     "\n"
			     "Try something.\n"
			     "\n"
			     "Options\n"
			     "  --check        change nothing\n"
			     "  --audience A   who may read\n"
			     "\n"
			     "Example\n"
			     "  symbolon try --check\n"));
}

static void a_wrong_name_gets_the_nearest(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *typed, *meant;
	} cases[] = {
		{ "rooster", "roster" }, { "crad", "card" }, { "hlep", "help" },
		{ "intit", "init" },	 { "xyzzy", "" },    { "", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(slice_is(cmd_nearest(cases[i].typed, NULL),
				     cases[i].meant));
	assert_int_equal(cli_unknown(with(f, "rooster"), "rooster"),
			 EXIT_USAGE);
	assert_says(&f->err, "unknown command 'rooster'; did you mean roster?");
}

static void the_table_is_complete_and_well_formed(void **state)
{
	(void)state;
	for (const struct cmd_entry *e = cmd_table; e->name; e++) {
		assert_non_null(e->run);
		assert_ptr_equal(cmd_find(e->name), e);
		assert_non_null(e->summary);
		size_t n = strlen(e->summary);
		assert_true(n > 10 && n < 68 && e->summary[n - 1] == '.');
		assert_non_null(strstr(e->synopsis, e->name));
		assert_null(strstr(e->synopsis, "symbolon"));
		assert_non_null(e->example);
		if (e->options) {
			size_t last = strlen(e->options) - 1;
			assert_int_equal(e->options[last], '\n');
			assert_memory_equal(e->options, "  --", 4);
		}
	}
}

/* Every line of @text stands in the page by itself. */
static void assert_in_page(const char *page, const char *text)
{
	struct slice rest = slice_str(text), line;
	while (rest.n > 0) {
		char want[512];
		slice_cut(rest, '\n', &line, &rest);
		snprintf(want, sizeof(want), "\n%.*s\n", (int)line.n,
			 (const char *)line.p);
		if (!strstr(page, want)) {
			print_message("conf/symbolon.1 has no line: %s", want);
			fail();
		}
	}
}

static void the_man_page_is_in_step_with_the_table(void **state)
{
	(void)state;
	struct buf page;
	buf_init(&page, 1u << 20);
	assert_int_equal(disk_read("conf/symbolon.1", 1u << 20, &page, NULL),
			 ERR_OK);
	buf_put_u8(&page, '\0');
	const char *text = (const char *)page.p;
	for (const struct cmd_entry *e = cmd_table; e->name; e++) {
		char head[64];
		snprintf(head, sizeof(head), ".Ss %s", e->name);
		assert_in_page(text, head);
		assert_in_page(text, e->summary);
		assert_in_page(text, e->synopsis);
		if (e->options)
			assert_in_page(text, e->options);
		assert_in_page(text, e->example);
	}
	/* And nothing that is gone. */
	size_t heads = 0;
	for (const char *p = text; (p = strstr(p, "\n.Ss ")) != NULL; p++)
		heads++;
	size_t count = 0;
	while (cmd_table[count].name)
		count++;
	assert_int_equal(heads, count);
	buf_free(&page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(flags_are_taken_wherever_they_stand),
		TEST(values_come_behind_or_with_an_equals_sign),
		TEST(a_missing_value_is_usage),
		TEST(numbers_are_checked_against_their_range),
		TEST(operands_are_counted_and_strange_options_named),
		TEST(a_command_says_where_it_runs),
		TEST(what_others_wrote_is_escaped_on_terminals),
		TEST(long_output_is_not_cut),
		TEST(a_table_fits_its_columns_to_what_is_in_them),
		TEST(every_error_has_an_exit_code),
		TEST(a_file_is_read_up_to_its_limit),
		TEST(help_shows_forms_options_and_an_example),
		TEST(a_wrong_name_gets_the_nearest),
		TEST(the_table_is_complete_and_well_formed),
		TEST(the_man_page_is_in_step_with_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
