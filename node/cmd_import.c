/* `import`: the command line of import.h and of the journal. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/cmds.h"
#include "node/import.h"
#include "node/import_journal.h"
#include "proto/text.h"

/* The journal, shown. */

static const char *state_text(const struct journal_entry *e, const char *tmp)
{
	if (e->undone_by > 0)
		return "undone";
	if (e->state == JOURNAL_COMPLETE)
		return "complete";
	if (e->state == JOURNAL_STOPPED)
		return "stopped";
	return import_is_running(tmp, e->token) ? "running" : "interrupted";
}

static struct value number(uint64_t v)
{
	return value_uint(v);
}

static void pair(struct value *map, const char *key, struct value v)
{
	map->pairs[map->count].key = slice_str(key);
	map->pairs[map->count++].value = v;
}

static enum err entry_value(const struct journal_entry *e, const char *state,
			    struct arena *a, struct value *out)
{
	struct value extents;
	struct value *at;
	struct slice when = { NULL, 0 };
	struct buf b;
	enum err err = value_map(a, 16, out);

	buf_init(&b, TEXT_INSTANT_BYTES);
	text_put_instant(&b, e->unix_seconds);
	if (err == ERR_OK)
		err = arena_copy(a, buf_slice(&b), &when);
	buf_free(&b);
	if (err == ERR_OK)
		err = value_array(a, e->extent_count, &extents);
	for (uint32_t i = 0; err == ERR_OK && i < e->extent_count; i++) {
		at = &extents.items[i];
		err = value_array(a, 2, at);
		if (err != ERR_OK)
			break;
		at->items[0] = number(e->extents[i].from);
		at->items[1] = number(e->extents[i].to - 1);
	}
	if (err != ERR_OK)
		return err;
	out->count = 0;
	pair(out, "import", number(e->number));
	pair(out, "at", value_str(when));
	pair(out, "kind", value_str(e->kind));
	pair(out, "file", value_str(e->file));
	pair(out, "state", value_str(slice_str(state)));
	pair(out, "new", number(e->added));
	pair(out, "changed", number(e->changed));
	pair(out, "unchanged", number(e->unchanged));
	pair(out, "rejected", number(e->rejected));
	pair(out, "learners_changed", number(e->learners));
	if (e->undo_of > 0)
		pair(out, "undo_of", number(e->undo_of));
	if (e->undone_by > 0)
		pair(out, "undone_by", number(e->undone_by));
	pair(out, "records", extents);
	return ERR_OK;
}

static void put_row(struct cmd_table_out *t, const struct journal_entry *e,
		    const char *state)
{
	struct buf when;

	buf_init(&when, TEXT_INSTANT_BYTES);
	text_put_instant(&when, e->unix_seconds);
	table_cell(t, "%" PRIu64, e->number);
	table_cell(t, "%.*s", (int)when.n, (const char *)when.p);
	table_cell(t, "%.*s", (int)e->kind.n, (const char *)e->kind.p);
	table_cell(t, "%" PRIu64, e->added);
	table_cell(t, "%" PRIu64, e->changed);
	table_cell(t, "%" PRIu64, e->unchanged);
	table_cell(t, "%" PRIu64, e->rejected);
	table_cell(t, "%s", state);
	if (e->undo_of > 0)
		table_cell(t, "undo of %" PRIu64, e->undo_of);
	else
		table_cell(t, "%.*s", (int)e->file.n, (const char *)e->file.p);
	buf_free(&when);
}

struct lister {
	struct cmd *c;
	struct store_txn *txn;
	struct arena arena;
	char *tmp; /* owned */
	struct cmd_table_out *table; /* NULL with --json */
	bool interrupted; /* one of those shown is */
};

static enum err list_one(struct lister *l, uint64_t n, const char *before)
{
	struct journal_entry e;
	struct value v;
	const char *state;
	struct buf json;
	enum err err;

	arena_reset(&l->arena);
	err = import_journal_get(l->txn, n, &l->arena, &e);
	if (err != ERR_OK)
		return err;
	state = state_text(&e, l->tmp);
	l->interrupted = l->interrupted || strcmp(state, "interrupted") == 0;
	if (l->table != NULL) {
		put_row(l->table, &e, state);
		return ERR_OK;
	}
	err = entry_value(&e, state, &l->arena, &v);
	if (err != ERR_OK)
		return err;
	buf_init(&json, 2 * IMPORT_DOC_BYTES);
	value_put_json(&v, &json);
	cmd_out(l->c, "%s", before);
	cmd_out_slice(l->c, buf_slice(&json));
	buf_free(&json);
	return ERR_OK;
}

static int fail(struct cmd *c, enum err e, const struct buf *why)
{
	if (why != NULL && why->n > 0)
		cmd_msg(c, "%.*s", (int)why->n, (const char *)why->p);
	else
		cmd_msg(c, "the journal of imports: %s", err_text(e));
	return cmd_exit(e);
}

/* Entries from @from on; @only: just that one. */
static int show(struct cmd *c, uint64_t from, bool only)
{
	static const char *const heads[] = { "import",	 "at",	    "kind",
					     "new",	 "changed", "unchanged",
					     "rejected", "state",   "file" };
	struct lister l = { .c = c };
	struct buf why;
	uint64_t n = from;
	enum err e;

	buf_init(&why, 4096);
	arena_init(&l.arena, 4 * IMPORT_DOC_BYTES);
	e = import_tmp_dir(c->home, &l.tmp, &why);
	if (e == ERR_OK)
		e = store_read(c->home->store, &l.txn);
	if (e == ERR_OK && !c->json)
		l.table = table_open(heads, sizeof(heads) / sizeof(heads[0]));
	else if (e == ERR_OK)
		cmd_out(c, "{\"v\":1,\"imports\":[");
	for (; e == ERR_OK && (!only || n == from); n++)
		e = list_one(&l, n, n > from ? "," : "");
	if (e == ERR_NOT_FOUND && !only)
		e = ERR_OK;
	if (l.table != NULL)
		table_print(c, l.table);
	else if (c->json && l.txn != NULL)
		cmd_out(c, "]}\n");
	if (l.interrupted)
		cmd_msg(c, "to go on with what was interrupted, run the same "
			   "command again: rows that are in stay as they are");
	store_abort(l.txn);
	arena_free(&l.arena);
	free(l.tmp);
	if (e == ERR_NOT_FOUND)
		cmd_msg(c, "there is no import %" PRIu64, from);
	else if (e != ERR_OK)
		(void)fail(c, e, &why);
	buf_free(&why);
	return e == ERR_OK ? EXIT_OK : cmd_exit(e);
}

static bool operand_number(struct cmd *c, uint64_t *out)
{
	if (text_parse_u64(slice_str(c->argv[2]), out) && *out > 0)
		return true;
	cmd_usage(c, "%s is not the number of an import; see `import list`",
		  c->argv[2]);
	return false;
}

static int run_undo(struct cmd *c)
{
	bool check = cmd_flag(c, "--check");
	uint64_t n;

	if (!cmd_operands(c, 2, 2) || !operand_number(c, &n))
		return EXIT_USAGE;
	return import_undo(c, n, check);
}

/* Options of an import. */

static bool read_audience(struct cmd *c, struct import_options *o, bool *bad)
{
	static const char *const names[] = { "public", "members", "own" };
	const char *text = cmd_option(c, "--audience", bad);

	if (text == NULL)
		return !*bad;
	for (uint64_t i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		o->audience = i;
		o->audience_given = true;
		return true;
	}
	cmd_usage(c, "--audience is public, members or own, not %s", text);
	*bad = true;
	return false;
}

static bool read_format(struct cmd *c, struct import_options *o, bool *bad)
{
	const char *text = cmd_option(c, "--format", bad);

	o->format = IMPORT_UNKNOWN;
	if (text == NULL)
		return !*bad;
	if (strcmp(text, "csv") == 0)
		o->format = IMPORT_CSV;
	else if (strcmp(text, "ndjson") == 0)
		o->format = IMPORT_NDJSON;
	else
		cmd_usage(c, "--format is csv or ndjson, not %s", text);
	*bad = o->format == IMPORT_UNKNOWN;
	return !*bad;
}

static bool read_options(struct cmd *c, struct import_options *o)
{
	static const uint64_t rejects[2] = { 0, UINT64_MAX - 1 };
	static const uint64_t percent[2] = { 0, 100 };
	static const uint64_t partners[2] = { 1, LIMIT_MEMBERS };
	static const uint64_t seconds[2] = { 1, 86400 };
	bool bad = false;

	o->check = cmd_flag(c, "--check");
	if (!read_audience(c, o, &bad) || !read_format(c, o, &bad))
		return false;
	o->max_rejects =
		cmd_option_uint(c, "--max-rejects", rejects, UINT64_MAX, &bad);
	if (!bad)
		o->max_changed =
			(uint32_t)cmd_option_uint(c, "--max-changed", percent,
						  IMPORT_CHANGED_PERCENT, &bad);
	if (!bad)
		o->wait = (uint32_t)cmd_option_uint(c, "--wait", partners, 0,
						    &bad);
	if (!bad)
		o->wait_seconds =
			(uint32_t)cmd_option_uint(c, "--wait-seconds", seconds,
						  IMPORT_WAIT_SECONDS, &bad);
	return !bad;
}

static int unknown_kind(struct cmd *c, const char *name)
{
	struct buf kinds;
	const struct schema *s;
	int code;

	buf_init(&kinds, 1024);
	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		if (!s->importable)
			continue;
		buf_put_str(&kinds, kinds.n > 0 ? ", " : "");
		buf_put_str(&kinds, s->plural);
	}
	code = cmd_usage(c, "%s: no such kind; kinds are %.*s", name,
			 (int)kinds.n, (const char *)kinds.p);
	buf_free(&kinds);
	return code;
}

/* The worse of two ends: a failure before a refusal before half a success. */
static int worse(int a, int b)
{
	static const int order[] = { EXIT_FAILED,      EXIT_USAGE,
				     EXIT_NOT_ALLOWED, EXIT_UNREACHABLE,
				     EXIT_REFUSED,     EXIT_CRITICAL,
				     EXIT_PARTLY,      EXIT_WARNING };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (a == order[i] || b == order[i])
			return order[i];
	}
	return EXIT_OK;
}

static int run_files(struct cmd *c)
{
	struct import_options o = { .schema = NULL };
	int code = EXIT_OK;

	if (!read_options(c, &o) || !cmd_operands(c, 2, 1 << 16))
		return EXIT_USAGE;
	o.schema = schema_by_plural(slice_str(c->argv[1]));
	if (o.schema == NULL || !o.schema->importable)
		return unknown_kind(c, c->argv[1]);
	if (o.schema->kind == KIND_STATUS && o.audience_given)
		return cmd_usage(c, "statuses have the audience of their "
				    "credentials");
	for (int i = 2; i < c->argc && !cmd_is_cancelled(c); i++)
		code = worse(code, import_file(c, &o, c->argv[i]));
	return code;
}

int cmd_import(struct cmd *c)
{
	const char *word = c->argc > 1 ? c->argv[1] : "";
	uint64_t n;

	if (strcmp(word, "list") == 0)
		return cmd_operands(c, 1, 1) ? show(c, 1, false) : EXIT_USAGE;
	if (strcmp(word, "show") == 0) {
		if (!cmd_operands(c, 2, 2) || !operand_number(c, &n))
			return EXIT_USAGE;
		return show(c, n, true);
	}
	if (strcmp(word, "undo") == 0)
		return run_undo(c);
	return run_files(c);
}
