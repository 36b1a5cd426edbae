#define _GNU_SOURCE /* memmem */

/* symbolon.yaml: every refusal names the place and the cure. */

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

#include "node/config.h"
#include "node/config_scan.h"
#include "node/sample.h"
#include "proto/record.h"

#define LEAST                                                                  \
	"member: dtu.dk\nname: DTU\n"                                          \
	"country: DK\nlisten: 127.0.0.1:7410\n"

/* ---- Fixture ---------------------------------------------------------- */

struct fixture {
	char dir[64];
	char path[96];
	struct config config;
	struct buf why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/symbolon-config-XXXXXX");
	if (f == NULL || mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/symbolon.yaml", f->dir);
	buf_init(&f->why, 65536);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	config_free(&f->config);
	buf_free(&f->why);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* ---- Helpers ---------------------------------------------------------- */

static enum err load(struct fixture *f, struct slice text)
{
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
	config_free(&f->config);
	buf_reset(&f->why);
	return config_load(f->path, &f->config, &f->why);
}

static void assert_refused(struct fixture *f, const char *text,
			   const char *place, const char *word)
{
	char want[160];
	enum err e = load(f, slice_str(text));
	if (e != ERR_MALFORMED)
		print_message("taken, or refused otherwise:\n%s", text);
	assert_int_equal(e, ERR_MALFORMED);
	buf_put_u8(&f->why, '\0');
	const char *why = (const char *)f->why.p;
	snprintf(want, sizeof(want), "%s%s", f->path, place);
	if (strncmp(why, want, strlen(want)) != 0 || !strstr(why, word)) {
		print_message("%s\nwanted %s ... %s\nfor:\n%s", why, want, word,
			      text);
		fail();
	}
	/* One line, and nothing was taken over. */
	assert_null(strchr(why, '\n'));
	assert_null(f->config.member);
}

/* ---- What is taken ---------------------------------------------------- */

static void the_least_file_gets_all_defaults(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, SLICE_LIT(LEAST)), ERR_OK);
	assert_string_equal(f->config.member, "dtu.dk");
	assert_string_equal(f->config.endpoint, "127.0.0.1:7410");
	assert_string_equal(f->config.log_level, "info");
	assert_null(f->config.contact);
	assert_null(f->config.control);
	assert_int_equal(f->config.store.map_gib, CONFIG_MAP_GIB);
	const struct {
		uint32_t kind;
		uint64_t audience;
	} kinds[] = {
		{ KIND_INSTITUTION, AUDIENCE_PUBLIC },
		{ KIND_OFFER, AUDIENCE_PUBLIC },
		{ KIND_LEARNER, AUDIENCE_OWN },
		{ KIND_CREDENTIAL, AUDIENCE_MEMBERS },
		{ KIND_STATUS, AUDIENCE_MEMBERS },
		{ KIND_RULE, AUDIENCE_PUBLIC },
		{ KIND_POLICY, AUDIENCE_PUBLIC },
		{ KIND_DECISION, AUDIENCE_OWN },
		{ KIND_GRADING, AUDIENCE_PUBLIC },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		assert_int_equal(config_audience(&f->config, kinds[i].kind),
				 kinds[i].audience);
}

static void every_key_is_taken(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(
		load(f,
		     SLICE_LIT(LEAST "contact: a@dtu.dk\n"
				     "endpoint: \"[2001:db8::1]:1\"\n"
				     "control: run/c.sock\nlog_level: debug\n"
				     "store: {map_gib: 16384}\n"
				     "audience:\n  institutions: members\n"
				     "  offers: own\n  credentials: own\n"
				     "  rules: members\n  policies: own\n"
				     "  decisions: public\n")),
		ERR_OK);
	char control[128];
	snprintf(control, sizeof(control), "%s/run/c.sock", f->dir);
	assert_string_equal(f->config.control, control);
	assert_string_equal(f->config.contact, "a@dtu.dk");
	assert_string_equal(f->config.endpoint, "[2001:db8::1]:1");
	assert_string_equal(f->config.log_level, "debug");
	assert_int_equal(f->config.store.map_gib, 16384);
	assert_int_equal(config_audience(&f->config, KIND_INSTITUTION), 1);
	assert_int_equal(config_audience(&f->config, KIND_OFFER), 2);
	assert_int_equal(config_audience(&f->config, KIND_STATUS), 2);
	assert_int_equal(config_audience(&f->config, KIND_RULE), 1);
	assert_int_equal(config_audience(&f->config, KIND_POLICY), 2);
	assert_int_equal(config_audience(&f->config, KIND_DECISION), 0);
}

static void a_section_of_comments_only_is_empty(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(
		load(f, SLICE_LIT(LEAST "store:\n  # none\naudience:\n")),
		ERR_OK);
	assert_int_equal(f->config.store.map_gib, CONFIG_MAP_GIB);
}

static void an_absolute_socket_path_stays(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, SLICE_LIT(LEAST "control: /run/s.sock\n")),
			 ERR_OK);
	assert_string_equal(f->config.control, "/run/s.sock");
}

/* Remove the "#" of every line that shows a default. */
static struct buf uncommented(struct slice text)
{
	struct buf out;
	struct slice line;
	buf_init(&out, 1u << 20);
	while (text.n > 0) {
		slice_cut(text, '\n', &line, &text);
		size_t blanks = 0;
		while (blanks < line.n && line.p[blanks] == ' ')
			blanks++;
		buf_put(&out, slice_sub(line, 0, blanks));
		line = slice_sub(line, blanks, line.n - blanks);
		if (line.n > 1 && line.p[0] == '#' && line.p[1] != ' ')
			line = slice_sub(line, 1, line.n - 1);
		buf_put(&out, line);
		buf_put_u8(&out, '\n');
	}
	return out;
}

static void the_sample_is_taken_with_and_without_its_defaults(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, sample_config()), ERR_OK);
	struct buf all = uncommented(sample_config());
	assert_int_equal(load(f, buf_slice(&all)), ERR_OK);
	buf_free(&all);
	/* It says what the program does without it. */
	assert_string_equal(f->config.log_level, "info");
	assert_int_equal(f->config.store.map_gib, CONFIG_MAP_GIB);
	const struct config none = { .audience = { -1, -1, -1, -1, -1, -1 } };
	for (uint32_t kind = 1; kind <= KIND_EVIDENCE; kind++)
		assert_int_equal(config_audience(&f->config, kind),
				 config_audience(&none, kind));
}

/* ---- What is refused -------------------------------------------------- */

static void each_fault_names_line_column_key_and_cure(void **state)
{
	static const struct {
		const char *text, *place, *word;
	} cases[] = {
		{ LEAST "foo: 1\n", ":5:1: ", "unknown key 'foo'; the keys" },
		{ LEAST "store:\n  bar: 1\n", ":6:3: ", "map_gib" },
		{ LEAST "audience:\n  learners: own\n",
		  ":6:3: ", "'learners'" },
		{ LEAST "audience:\n  offers: all\n", ":6:11: ", "offers" },
		{ LEAST "store: {map_gib: 0}\n", ":5:18: ", "1 to 16384" },
		{ LEAST "store: {map_gib: 16385}\n", ":5:18: ", "16384" },
		{ LEAST "store: {map_gib: 010}\n", ":5:18: ", "decimal" },
		{ LEAST "store: {map_gib: 0x10}\n", ":5:18: ", "decimal" },
		{ LEAST "store: {map_gib: -1}\n", ":5:18: ", "decimal" },
		{ LEAST "store: {map_gib: 4294967296}\n",
		  ":5:18: ", "map_gib" },
		{ LEAST "store: {map_gib: 1x}\n", ":5:18: ", "decimal" },
		{ LEAST "store: {map_gib: [1]}\n", ":5:18: ", "one plain" },
		{ LEAST "store: 5\n", ":5:8: ", "keys belong here" },
		{ LEAST "member: ku.dk\n", ":5:1: ", "twice" },
		{ LEAST "log_level: loud\n", ":5:12: log_level: ", "debug" },
		{ LEAST "contact: nobody\n", ":5:10: contact: ", "mailbox" },
		{ LEAST "contact: a b@dtu.dk\n", ":5:10: ", "mailbox" },
		{ LEAST "endpoint: host\n", ":5:11: endpoint: ", "HOST:PORT" },
		{ LEAST "endpoint: host:0\n", ":5:11: endpoint: ", "HOST" },
		{ LEAST "endpoint: host:65536\n", ":5:11: ", "HOST:PORT" },
		{ LEAST "control: \"\"\n", ":5:10: control: ", "path" },
		{ LEAST "contact: &a x\nendpoint: *a\n",
		  ":6:11: ", "references" },
		{ LEAST "---\nmember: x\n", ":5:1: ", "second document" },
		{ LEAST "contact: \"a\n", ":", "end of stream" },
		{ LEAST "\tcontact: a\n", ":5:1", "tab" },
		{ LEAST "contact: \"a\\0b@dtu.dk\"\n", ":5:10: ", "NUL" },
		{ LEAST "? [a]\n: b\n", ":5:3: ", "a key" },
		{ "", ":1:1: ", "key: value" },
		{ "# nothing\n", ":", "key: value" },
		{ "- a\n", ":1:1: ", "key: value" },
		{ "member: dtu.dk\nname: x\ncountry: DK\n", ": ", "listen" },
		{ "name: x\ncountry: DK\nlisten: a:1\n", ": ", "member" },
		{ "member: DTU.dk\nname: x\ncountry: DK\nlisten: a:1\n",
		  ":1:9: member: ", "lower case" },
		{ "member: dtu\nname: x\ncountry: DK\nlisten: a:1\n",
		  ":1:9: member: ", "domain" },
		{ "member: dtu.dk\nname: \"\"\ncountry: DK\nlisten: a:1\n",
		  ":2:7: name: ", "1 to 255" },
		{ "member: dtu.dk\nname: \"a\\tb\"\ncountry: DK\nlisten: a:1\n",
		  ":2:7: name: ", "control" },
		{ "member: dtu.dk\nname: x\ncountry: dk\nlisten: a:1\n",
		  ":3:10: country: ", "capital" },
		{ "member: dtu.dk\nname: x\ncountry: DNK\nlisten: a:1\n",
		  ":3:10: country: ", "capital" },
		{ "member: dtu.dk\nname: x\ncountry: DK\nlisten: 7410\n",
		  ":4:9: listen: ", "HOST:PORT" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(*state, cases[i].text, cases[i].place,
			       cases[i].word);
}

static void a_missing_file_is_told_with_its_path(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(config_load(f->path, &f->config, &f->why),
			 ERR_NOT_FOUND);
	assert_non_null(memmem(f->why.p, f->why.n, f->path, strlen(f->path)));
}

static void a_file_over_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buf big;
	buf_init(&big, CONFIG_BYTES_MAX + 1);
	buf_put_str(&big, LEAST "#");
	memset(buf_extend(&big, CONFIG_BYTES_MAX - big.n), 'x',
	       CONFIG_BYTES_MAX - strlen(LEAST "#"));
	assert_int_equal(load(f, buf_slice(&big)), ERR_OK);
	buf_put_u8(&big, 'x');
	assert_int_equal(load(f, buf_slice(&big)), ERR_LIMIT);
	buf_free(&big);
}

static void every_prefix_of_the_sample_is_read_without_harm(void **state)
{
	struct fixture *f = *state;
	struct buf all = uncommented(sample_config());
	for (size_t n = 0; n < all.n; n += 7) {
		enum err e = load(f, slice_of(all.p, n));
		assert_true(e == ERR_OK || e == ERR_MALFORMED);
		assert_true(e == ERR_OK || f->why.n > strlen(f->path));
	}
	buf_free(&all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_least_file_gets_all_defaults),
		TEST(every_key_is_taken),
		TEST(a_section_of_comments_only_is_empty),
		TEST(an_absolute_socket_path_stays),
		TEST(the_sample_is_taken_with_and_without_its_defaults),
		TEST(each_fault_names_line_column_key_and_cure),
		TEST(a_missing_file_is_told_with_its_path),
		TEST(a_file_over_the_limit_is_refused),
		TEST(every_prefix_of_the_sample_is_read_without_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
