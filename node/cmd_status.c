/* status [--json] [--watch]: one screen; exit 0 well, 5 warning, 6 critical. */

#include <string.h>
#include <time.h>

#include "node/cmds.h"
#include "node/node.h"
#include "node/status.h"

#define ARENA_BYTES (16u << 20)
#define WATCH_STEP_MS 100
#define WATCH_STEPS 20 /* between two screens */

static int width(struct slice s)
{
	return (int)s.n;
}

static const char *text(struct slice s)
{
	return s.n > 0 ? (const char *)s.p : "";
}

#define TEXT(v, key) width(value_get_str(v, key)), text(value_get_str(v, key))

static unsigned long long number(const struct value *v, const char *key)
{
	return (unsigned long long)value_get_uint(v, key, 0);
}

static bool flag(const struct value *v, const char *key)
{
	const struct value *b = value_get(v, key);

	return b != NULL && b->type == VALUE_BOOL && b->b;
}

static void print_self(struct cmd *c, const struct value *doc)
{
	const struct value *alliance = value_get(doc, "alliance");

	cmd_out(c, "%.*s, %s", TEXT(doc, "member"),
		flag(doc, "running") ? "running" : "NOT RUNNING");
	if (flag(doc, "running"))
		cmd_out(c, " since %.*s on %.*s", TEXT(doc, "since"),
			TEXT(doc, "listen"));
	cmd_out(c, "\n");
	if (alliance != NULL) {
		cmd_out(c, "alliance  ");
		cmd_out_text(c, value_get_str(alliance, "name"));
		cmd_out(c, ", roster %llu, %llu members\n",
			number(alliance, "version"),
			number(alliance, "members"));
	}
	cmd_out(c, "signing   %.*s", TEXT(doc, "signing"));
	if (value_get_str(doc, "awaited").n > 0)
		cmd_out(c, ", awaited: %.*s", TEXT(doc, "awaited"));
	cmd_out(c, "\n");
}

static void print_health(struct cmd *c, const struct value *list)
{
	if (list->count == 0) {
		cmd_out(c, "health    all is well\n");
		return;
	}
	for (uint32_t i = 0; i < list->count; i++) {
		const struct value *h = &list->items[i];

		cmd_out(c, "%-9.*s %.*s %.*s: ", TEXT(h, "severity"),
			TEXT(h, "code"), TEXT(h, "subject"));
		cmd_out_text(c, value_get_str(h, "text"));
		cmd_out(c, "\n          cure: %.*s\n", TEXT(h, "cure"));
	}
}

static void print_logs(struct cmd *c, const struct value *list)
{
	static const char *const heads[] = { "LOG",    "RECORDS", "NEEDED",
					     "COSIGN", "HEARD",	  "WHY" };
	struct cmd_table_out *t = table_open(heads, 6);

	for (uint32_t i = 0; i < list->count; i++) {
		const struct value *l = &list->items[i];

		table_cell(t, "%.*s%s", TEXT(l, "member"),
			   flag(l, "own") ? " (own)" : "");
		table_cell(t, "%llu", number(l, "size"));
		table_cell(t, "%llu", number(l, "needed"));
		table_cell(t, "%llu", number(l, "cosignatures"));
		table_cell(t, "%.*s", TEXT(l, "heard"));
		table_cell(t, "%s%.*s", flag(l, "frozen") ? "FROZEN " : "",
			   TEXT(l, "reason"));
	}
	cmd_out(c, "\n");
	table_print(c, t);
}

static void print_peers(struct cmd *c, const struct value *list)
{
	static const char *const heads[] = { "PEER", "STATE", "SINCE", "CODE",
					     "WHY" };
	struct cmd_table_out *t;

	if (list->count == 0)
		return;
	t = table_open(heads, 5);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct value *p = &list->items[i];

		table_cell(t, "%.*s", TEXT(p, "member"));
		table_cell(t, "%.*s", TEXT(p, "state"));
		table_cell(t, "%.*s", TEXT(p, "since"));
		table_cell(t, "%.*s", TEXT(p, "code"));
		table_cell(t, "%.*s", TEXT(p, "reason"));
	}
	cmd_out(c, "\n");
	table_print(c, t);
}

static void print_refused(struct cmd *c, const struct value *list)
{
	static const char *const heads[] = { "REFUSED", "TIMES", "LAST", "KEY",
					     "WHY" };
	struct cmd_table_out *t;

	if (list->count == 0)
		return;
	t = table_open(heads, 5);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct value *r = &list->items[i];

		table_cell(t, "%.*s", TEXT(r, "address"));
		table_cell(t, "%llu", number(r, "times"));
		table_cell(t, "%.*s", TEXT(r, "at"));
		table_cell(t, "%.*s", TEXT(r, "key"));
		table_cell(t, "%.*s", TEXT(r, "reason"));
	}
	cmd_out(c, "\n");
	table_print(c, t);
}

static void print(struct cmd *c, const struct value *doc)
{
	print_self(c, doc);
	print_health(c, value_get(doc, "health"));
	print_logs(c, value_get(doc, "logs"));
	print_peers(c, value_get(doc, "peers"));
	print_refused(c, value_get(doc, "refused"));
}

static enum err get(struct cmd *c, struct buf *out)
{
	struct status_source s = { .home = c->home };

	return c->node != NULL ? node_status(c->node, out)
			       : status_put(&s, out);
}

static int show(struct cmd *c)
{
	static const int codes[] = { EXIT_OK, EXIT_WARNING, EXIT_CRITICAL };
	struct value doc;
	struct arena a;
	struct buf out;
	int code;
	enum err err;

	arena_init(&a, ARENA_BYTES);
	buf_init(&out, NODE_DOC_BYTES_MAX);
	err = get(c, &out);
	if (err == ERR_OK)
		err = value_decode(buf_slice(&out), &a, &doc);
	code = cmd_exit(err);
	if (err != ERR_OK) {
		cmd_msg(c, "no status: %s", err_text(err));
	} else {
		if (c->json)
			cmd_out_json(c, &doc);
		else
			print(c, &doc);
		code = c->node == NULL ? EXIT_UNREACHABLE
				       : codes[status_worst(&doc)];
	}
	buf_free(&out);
	arena_free(&a);
	return code;
}

static bool pause_a_little(struct cmd *c)
{
	const struct timespec step = { .tv_nsec = WATCH_STEP_MS * 1000000L };

	for (int i = 0; i < WATCH_STEPS; i++) {
		if (cmd_is_cancelled(c))
			return false;
		(void)nanosleep(&step, NULL);
	}
	return !cmd_is_cancelled(c);
}

int cmd_status(struct cmd *c)
{
	bool watch = cmd_flag(c, "--watch");
	int code;

	if (!cmd_operands(c, 0, 0))
		return EXIT_USAGE;
	for (;;) {
		if (watch && !c->json && c->out_is_tty)
			cmd_out(c, "\033[H\033[2J");
		code = show(c);
		if (!watch || code == EXIT_FAILED || !pause_a_little(c))
			return code;
	}
}
