/* help [COMMAND]: read off the table of commands. */

#include <string.h>

#include "node/cli.h"
#include "node/cmds.h"

#define HELP_BYTES_MAX (1u << 20)

static void put_overview(struct buf *b)
{
	buf_put_str(b, "usage: symbolon [-C DIR] COMMAND\n\n"
		       "Runs a university's node of an alliance and talks to "
		       "it.\n\n");
	for (const struct cmd_entry *e = cmd_table; e->name; e++) {
		buf_put_str(b, "  ");
		buf_put_str(b, e->name);
		for (size_t n = strlen(e->name); n < 12; n++)
			buf_put_u8(b, ' ');
		buf_put_str(b, e->summary);
		buf_put_u8(b, '\n');
	}
	buf_put_str(
		b,
		"\n"
		"  -C DIR      the node's directory; else $SYMBOLON_DIR, else "
		".\n"
		"  --json      for programs, with every command that answers\n"
		"  --help      of a command: its forms and options\n"
		"  --version   of this program\n"
		"\n"
		"Exit status: 0 done, 1 failed, 2 usage, 3 node not "
		"reachable,\n"
		"4 not allowed, 5 warning, 6 critical, 7 partly done,\n"
		"8 refused by a safety limit.\n");
}

static struct value json_entry(struct arena *a, const struct cmd_entry *e)
{
	struct value v;
	if (value_map(a, 3, &v))
		return value_str((struct slice){ 0 });
	v.pairs[0] = (struct value_pair){ SLICE_LIT("name"),
					  value_str(slice_str(e->name)) };
	v.pairs[1] = (struct value_pair){ SLICE_LIT("summary"),
					  value_str(slice_str(e->summary)) };
	v.pairs[2] = (struct value_pair){ SLICE_LIT("synopsis"),
					  value_str(slice_str(e->synopsis)) };
	return v;
}

static void put_json(struct cmd *c)
{
	struct arena a;
	struct value list, doc;
	uint32_t n = 0;
	arena_init(&a, HELP_BYTES_MAX);
	while (cmd_table[n].name)
		n++;
	if (!value_array(&a, n, &list) && !value_map(&a, 2, &doc)) {
		for (uint32_t i = 0; i < n; i++)
			list.items[i] = json_entry(&a, &cmd_table[i]);
		doc.pairs[0] =
			(struct value_pair){ SLICE_LIT("commands"), list };
		doc.pairs[1] =
			(struct value_pair){ SLICE_LIT("v"), value_uint(1) };
		cmd_out_json(c, &doc);
	}
	arena_free(&a);
}

void cli_put_usage(struct buf *out)
{
	put_overview(out);
}

int cmd_help(struct cmd *c)
{
	if (!cmd_operands(c, 0, 1))
		return EXIT_USAGE;
	if (c->json) {
		put_json(c);
		return EXIT_OK;
	}
	struct buf b;
	buf_init(&b, HELP_BYTES_MAX);
	int code = EXIT_OK;
	if (c->argc == 1) {
		put_overview(&b);
	} else {
		const struct cmd_entry *e = cmd_find(c->argv[1]);
		if (e)
			cmd_put_help(e, &b);
		else
			code = cli_unknown(c, c->argv[1]);
	}
	cmd_out_slice(c, buf_slice(&b));
	buf_free(&b);
	return code;
}
