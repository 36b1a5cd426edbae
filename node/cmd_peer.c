/* peer list, peer test MEMBER. */

#include <string.h>

#include "node/cmds.h"
#include "node/node.h"
#include "node/peer_test.h"
#include "node/status.h"

#define ARENA_BYTES (16u << 20)
#define WHY_BYTES 4096u

static int width(struct slice s)
{
	return (int)s.n;
}

static const char *text(struct slice s)
{
	return s.n > 0 ? (const char *)s.p : "";
}

#define TEXT(v, key) width(value_get_str(v, key)), text(value_get_str(v, key))

/* ---- list ------------------------------------------------------------------------ */

static void print_list(struct cmd *c, const struct value *peers)
{
	static const char *const heads[] = { "MEMBER",	"STATE", "SINCE",
					     "ADDRESS", "CODE",	 "WHY" };
	struct cmd_table_out *t = table_open(heads, 6);

	for (uint32_t i = 0; i < peers->count; i++) {
		const struct value *p = &peers->items[i];

		table_cell(t, "%.*s", TEXT(p, "member"));
		table_cell(t, "%.*s", TEXT(p, "state"));
		table_cell(t, "%.*s", TEXT(p, "since"));
		table_cell(t, "%.*s", TEXT(p, "address"));
		table_cell(t, "%.*s", TEXT(p, "code"));
		table_cell(t, "%.*s", TEXT(p, "reason"));
	}
	table_print(c, t);
}

static void put_list_json(struct cmd *c, struct arena *a,
			  const struct value *doc)
{
	struct value out = cmd_map(a, 2);

	cmd_set(&out, "v", value_uint(1));
	cmd_set(&out, "peers", *value_get(doc, "peers"));
	cmd_out_json(c, &out);
}

static enum err get_status(struct cmd *c, struct arena *a, struct value *doc)
{
	struct status_source s = { .home = c->home };
	struct slice copy = { NULL, 0 };
	struct buf out;
	enum err err;

	buf_init(&out, NODE_DOC_BYTES_MAX);
	err = c->node != NULL ? node_status(c->node, &out)
			      : status_put(&s, &out);
	if (err == ERR_OK)
		err = arena_copy(a, buf_slice(&out), &copy);
	if (err == ERR_OK)
		err = value_decode(copy, a, doc);
	buf_free(&out);
	return err;
}

static int list(struct cmd *c)
{
	struct value doc;
	struct arena a;
	enum err err;

	if (!cmd_operands(c, 1, 1))
		return EXIT_USAGE;
	arena_init(&a, ARENA_BYTES);
	err = get_status(c, &a, &doc);
	if (err != ERR_OK)
		cmd_msg(c, "the peers cannot be listed: %s", err_text(err));
	else if (c->json)
		put_list_json(c, &a, &doc);
	else
		print_list(c, value_get(&doc, "peers"));
	if (err == ERR_OK && c->node == NULL)
		cmd_msg(c, "the node is not running");
	arena_free(&a);
	return err == ERR_OK && c->node == NULL ? EXIT_UNREACHABLE
						: cmd_exit(err);
}

/* ---- test ------------------------------------------------------------------------ */

static void print_step(struct cmd *c, const struct value *s)
{
	const struct value *ok = value_get(s, "ok");
	bool passed = ok != NULL && ok->b;

	cmd_out(c, "%-6.*s %s  ", TEXT(s, "step"), passed ? "ok  " : "FAIL");
	if (!passed)
		cmd_out(c, "%.*s ", TEXT(s, "code"));
	cmd_out_text(c, value_get_str(s, "text"));
	cmd_out(c, "\n");
	if (passed)
		return;
	cmd_out(c, "       side: %.*s\n", TEXT(s, "side"));
	cmd_out(c, "       cure: %.*s\n", TEXT(s, "cure"));
}

/* What a script wants to know: come again later, or somebody must act? */
static int exit_of(struct slice code)
{
	switch ((unsigned)health_find(code)) {
	case HEALTH_DNS:
	case HEALTH_TCP:
	case HEALTH_TLS_THEIRS:
	case HEALTH_SILENT:
	case HEALTH_STOPPED:
		return EXIT_UNREACHABLE;
	case HEALTH_TLS_OURS:
	case HEALTH_PIN:
	case HEALTH_ALLIANCE:
		return EXIT_NOT_ALLOWED;
	default:
		return EXIT_FAILED;
	}
}

static int print_test(struct cmd *c, struct slice doc)
{
	const struct value *steps, *ok;
	struct value v;
	struct arena a;
	int code = EXIT_FAILED;
	enum err err;

	arena_init(&a, ARENA_BYTES);
	err = value_decode(doc, &a, &v);
	if (err == ERR_OK) {
		steps = value_get(&v, "steps");
		ok = value_get(&v, "ok");
		if (ok->b)
			code = EXIT_OK;
		else if (steps->count > 0)
			code = exit_of(value_get_str(
				&steps->items[steps->count - 1], "code"));
		if (c->json)
			cmd_out_json(c, &v);
		for (uint32_t i = 0; !c->json && i < steps->count; i++)
			print_step(c, &steps->items[i]);
	}
	arena_free(&a);
	return code;
}

static bool is_cancelled(void *arg)
{
	return cmd_is_cancelled(arg);
}

static int test(struct cmd *c)
{
	struct peer_test_options o = { .home = c->home,
				       .is_cancelled = is_cancelled,
				       .arg = c };
	struct buf out, why;
	enum err err;
	int code;

	if (!cmd_operands(c, 2, 2))
		return EXIT_USAGE;
	o.member = slice_str(c->argv[2]);
	if (slice_is(o.member, c->home->config.member))
		return cmd_usage(c, "%s is this node: name a partner",
				 c->argv[2]);
	buf_init(&out, NODE_DOC_BYTES_MAX);
	buf_init(&why, WHY_BYTES);
	err = peer_test(&o, &out, &why);
	code = cmd_exit(err);
	if (err == ERR_OK)
		code = print_test(c, buf_slice(&out));
	else if (err == ERR_NOT_FOUND)
		cmd_msg(c, "%s is no member of this alliance", c->argv[2]);
	else
		cmd_msg(c, "%s cannot be tested: %.*s", c->argv[2],
			why.n > 0 ? (int)why.n : (int)strlen(err_text(err)),
			why.n > 0 ? (const char *)why.p : err_text(err));
	/* It answers: do not wait for the end of a pause. */
	if (code == EXIT_OK && c->node != NULL)
		node_dial_now(c->node, o.member);
	buf_free(&why);
	buf_free(&out);
	return code;
}

int cmd_peer(struct cmd *c)
{
	if (c->argc > 1 && strcmp(c->argv[1], "list") == 0)
		return list(c);
	if (c->argc > 1 && strcmp(c->argv[1], "test") == 0)
		return test(c);
	return cmd_usage(c, "peer list, or peer test MEMBER");
}
