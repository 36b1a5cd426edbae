/* `export` and `changes`: the command lines of export.h. */

#include <string.h>

#include "node/cmds.h"
#include "node/export.h"

static const struct schema *kind_operand(struct cmd *c, const char *name)
{
	const struct schema *s = schema_by_plural(slice_str(name));
	struct buf kinds;

	if (s != NULL && s->importable)
		return s;
	buf_init(&kinds, 1024);
	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		if (!s->importable)
			continue;
		buf_put_str(&kinds, kinds.n > 0 ? ", " : "");
		buf_put_str(&kinds, s->plural);
	}
	cmd_usage(c, "%s: no such kind; kinds are %.*s", name, (int)kinds.n,
		  (const char *)kinds.p);
	buf_free(&kinds);
	return NULL;
}

int cmd_export(struct cmd *c)
{
	bool bad = false;
	const char *format = cmd_option(c, "--format", &bad);
	struct export_options o = { .person = cmd_flag(c, "--person") };

	if (bad || !cmd_operands(c, 1, 1))
		return EXIT_USAGE;
	if (format != NULL && strcmp(format, "csv") != 0 &&
	    strcmp(format, "ndjson") != 0)
		return cmd_usage(c, "--format is csv or ndjson, not %s",
				 format);
	o.csv = format != NULL && strcmp(format, "csv") == 0;
	o.schema = kind_operand(c, c->argv[1]);
	return o.schema != NULL ? export_kind(c, &o) : EXIT_USAGE;
}

int cmd_changes(struct cmd *c)
{
	bool bad = false;
	struct changes_options o = {
		.follow = cmd_flag(c, "--follow"),
		.person = cmd_flag(c, "--person"),
	};
	const char *kind;

	o.since = cmd_option(c, "--since", &bad);
	kind = bad ? NULL : cmd_option(c, "--kind", &bad);
	if (bad || !cmd_operands(c, 0, 0))
		return EXIT_USAGE;
	if (kind != NULL) {
		o.schema = schema_by_name(slice_str(kind));
		if (o.schema == NULL)
			o.schema = schema_by_plural(slice_str(kind));
		if (o.schema == NULL)
			return cmd_usage(c,
					 "--kind %s: no such kind, such as "
					 "credential or rule",
					 kind);
	}
	return export_changes(c, &o);
}
