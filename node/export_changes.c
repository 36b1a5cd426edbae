/* The feed of what comes in: see export.h. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/export.h"
#include "proto/text.h"

#define ARENA_BYTES (8u << 20) /* of one line */
#define RENEW_RECORDS 1024u
#define POLL_MS 100
#define CURSOR_BYTES 65536u

/* One log as far as it was told. */
struct told {
	uint32_t log;
	struct slice name; /* MEMBER/GENERATION; in the feed's arena */
	struct slice member;
	uint64_t next;
};

struct feed {
	struct cmd *c;
	const struct changes_options *o;
	struct own own;
	struct arena arena; /* of one line */
	struct arena names;
	struct told *logs; /* by name; owned */
	uint32_t count;
	struct buf out;
	struct buf why;
};

/* Logs. */

/* "dtu.dk/symbolon/1" as "dtu.dk/1". */
static enum err name_of(struct feed *f, struct slice origin, struct told *t)
{
	struct slice middle;
	struct slice rest;
	struct buf b;
	enum err e;

	if (!slice_cut(origin, '/', &t->member, &rest) ||
	    !slice_cut(rest, '/', &middle, &rest))
		return ERR_CORRUPT;
	buf_init(&b, LIMIT_ORIGIN_BYTES);
	buf_put(&b, t->member);
	buf_put_u8(&b, '/');
	buf_put(&b, rest);
	e = arena_copy(&f->names, buf_slice(&b), &t->name);
	buf_free(&b);
	if (e == ERR_OK)
		t->member = slice_sub(t->name, 0, t->member.n);
	return e;
}

static bool is_known(const struct feed *f, uint32_t log)
{
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->logs[i].log == log)
			return true;
	}
	return false;
}

/* Put @t in its place among the logs. */
static void insert(struct feed *f, const struct told *t)
{
	uint32_t at = f->count;

	while (at > 0 && slice_compare(f->logs[at - 1].name, t->name) > 0) {
		f->logs[at] = f->logs[at - 1];
		at--;
	}
	f->logs[at] = *t;
	f->count++;
}

/* Logs that the store has and the feed does not know yet. */
static enum err update_logs(struct feed *f)
{
	uint32_t count = store_log_count(f->own.txn);
	struct slice origin;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < count && i < LIMIT_LOGS && e == ERR_OK; i++) {
		struct told t = { .log = i };

		if (is_known(f, i))
			continue;
		e = store_log_origin(f->own.txn, i, &origin);
		if (e == ERR_OK)
			e = name_of(f, origin, &t);
		if (e == ERR_OK)
			insert(f, &t);
	}
	return e;
}

static enum err size_of(struct feed *f, const struct told *t, uint64_t *size)
{
	struct store_head head;
	enum err e = store_head_get(f->own.txn, t->log, &head);

	*size = e == ERR_OK ? head.frontier.size : 0;
	return e;
}

/* Cursors. */

static void put_cursor(const struct feed *f, struct buf *out)
{
	bool first = true;

	for (uint32_t i = 0; i < f->count; i++) {
		if (f->logs[i].next == 0)
			continue;
		buf_put_str(out, first ? "" : ",");
		buf_put(out, f->logs[i].name);
		buf_put_u8(out, ':');
		buf_put_dec(out, f->logs[i].next);
		first = false;
	}
}

static bool take_part(struct feed *f, struct slice part)
{
	struct slice name;
	struct slice digits;
	uint64_t next;

	if (!slice_cut(part, ':', &name, &digits) ||
	    !text_parse_u64(digits, &next))
		return false;
	for (uint32_t i = 0; i < f->count; i++) {
		if (slice_equal(f->logs[i].name, name)) {
			f->logs[i].next = next;
			return true;
		}
	}
	return false;
}

static enum err start_now(struct feed *f)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < f->count && e == ERR_OK; i++)
		e = size_of(f, &f->logs[i], &f->logs[i].next);
	return e;
}

static enum err read_cursor(struct feed *f)
{
	struct slice rest = slice_str(f->o->since != NULL ? f->o->since : "");
	struct slice part;

	if (slice_is(rest, "now"))
		return start_now(f);
	while (rest.n > 0) {
		slice_cut(rest, ',', &part, &rest);
		if (take_part(f, part))
			continue;
		buf_put_str(&f->why, "--since: ");
		buf_put(&f->why, part);
		buf_put_str(&f->why, ": no such log here; give a cursor from "
				     "an earlier line, or now");
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

/* Lines. */

static void pair(struct value *map, const char *key, struct value v)
{
	map->pairs[map->count].key = slice_str(key);
	map->pairs[map->count++].value = v;
}

static struct value audience_value(uint64_t audience)
{
	static const char *const names[] = { "public", "members", "own" };

	if (audience <= AUDIENCE_OWN)
		return value_str(slice_str(names[audience]));
	return value_uint(audience);
}

/* A status names its credential where that can be read. */
static enum err add_credential(struct feed *f, const struct told *t,
			       struct slice body, struct value *line)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct value record;
	struct slice id;
	uint64_t audience;
	uint32_t kind;
	enum err e = value_decode(body, &f->arena, &record);

	if (e == ERR_OK)
		e = own_open_in(&f->own, t->log,
				value_get_uint(&record, "seq", UINT64_MAX),
				&kind, &audience);
	if (e != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	if (kind != KIND_CREDENTIAL ||
	    !schema_id(kind, buf_slice(&f->own.body), scratch, &id))
		return ERR_OK;
	e = arena_copy(&f->arena, id, &id);
	if (e == ERR_OK)
		pair(line, "credential", value_str(id));
	return e;
}

static enum err put_line(struct feed *f, const struct told *t, uint64_t seq,
			 const struct schema *s, uint64_t audience)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct value record;
	struct value line;
	struct slice body = { NULL, 0 };
	struct slice id;
	struct buf cursor;
	enum err e;

	e = arena_copy(&f->arena, buf_slice(&f->own.body), &body);
	if (e == ERR_OK)
		e = schema_to_value(s, body, f->o->person, &f->arena, &record);
	if (e == ERR_OK)
		e = value_map(&f->arena, 9, &line);
	if (e != ERR_OK)
		return e;
	line.count = 0;
	buf_init(&cursor, CURSOR_BYTES);
	put_cursor(f, &cursor);
	pair(&line, "v", value_uint(1));
	pair(&line, "cursor", value_str(buf_slice(&cursor)));
	pair(&line, "member", value_str(t->member));
	pair(&line, "seq", value_uint(seq));
	pair(&line, "kind", value_str(slice_str(s->name)));
	pair(&line, "audience", audience_value(audience));
	if (s->kind == KIND_STATUS)
		e = add_credential(f, t, body, &line);
	else if ((s->kind != KIND_LEARNER || f->o->person) &&
		 schema_id(s->kind, body, scratch, &id))
		pair(&line, "id", value_str(id));
	pair(&line, "record", record);
	if (e == ERR_OK) {
		buf_reset(&f->out);
		value_put_json(&line, &f->out);
		buf_put_u8(&f->out, '\n');
		e = f->out.err;
	}
	if (e == ERR_OK)
		cmd_out_slice(f->c, buf_slice(&f->out));
	buf_free(&cursor);
	return e;
}

/* The record at t->next, which is moved on. Without a body that can be read
 * here, or of a kind that is not known here, there is no line. */
static enum err tell(struct feed *f, struct told *t)
{
	uint64_t seq = t->next++;
	const struct schema *s;
	struct record r;
	struct leaf leaf;
	uint64_t audience;
	uint32_t kind;
	enum err e = store_record_get(f->own.txn, t->log, seq, &r);

	if (e == ERR_OK)
		e = leaf_decode(r.leaf, &leaf);
	if (e == ERR_UNSUPPORTED)
		return ERR_OK;
	if (e != ERR_OK)
		return e;
	s = schema_of(leaf.kind);
	if (s == NULL || (f->o->schema != NULL && f->o->schema != s))
		return ERR_OK;
	arena_reset(&f->arena);
	e = own_open_in(&f->own, t->log, seq, &kind, &audience);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	/* A body of another shape than a map is its member's mistake. */
	if (e == ERR_OK)
		e = put_line(f, t, seq, s, audience);
	return e == ERR_MALFORMED ? ERR_OK : e;
}

/* At most RENEW_RECORDS of one log; *more says that there are others. */
static enum err tell_log(struct feed *f, struct told *t, bool *more)
{
	uint64_t size;
	enum err e = size_of(f, t, &size);

	for (uint32_t n = 0; n < RENEW_RECORDS && t->next < size && e == ERR_OK;
	     n++)
		e = tell(f, t);
	*more = *more || (e == ERR_OK && t->next < size);
	return e;
}

/* One log after the other, so that the order is the same each time. */
static enum err tell_all(struct feed *f)
{
	bool more = true;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < f->count && e == ERR_OK;) {
		e = own_begin(&f->own);
		more = false;
		if (e == ERR_OK)
			e = tell_log(f, &f->logs[i], &more);
		own_end(&f->own);
		if (e == ERR_OK && cmd_is_cancelled(f->c))
			return ERR_CLOSED;
		i += !more;
	}
	return e;
}

static enum err follow(struct feed *f)
{
	struct timespec t = { .tv_nsec = POLL_MS * 1000000L };
	enum err e = ERR_OK;

	while (e == ERR_OK && !cmd_is_cancelled(f->c)) {
		(void)nanosleep(&t, NULL);
		e = own_begin(&f->own);
		if (e == ERR_OK)
			e = update_logs(f);
		own_end(&f->own);
		if (e == ERR_OK)
			e = tell_all(f);
	}
	return e == ERR_CLOSED ? ERR_OK : e;
}

int export_changes(struct cmd *c, const struct changes_options *o)
{
	struct feed f = { .c = c, .o = o };
	int code = EXIT_OK;
	enum err e;

	own_init(&f.own, c->home);
	arena_init(&f.arena, ARENA_BYTES);
	arena_init(&f.names, 2 * LIMIT_LOGS * LIMIT_ORIGIN_BYTES);
	buf_init(&f.out, 4 * LIMIT_LINE_BYTES);
	buf_init(&f.why, CURSOR_BYTES);
	f.logs = xcalloc(LIMIT_LOGS, sizeof(*f.logs));
	e = own_begin(&f.own);
	if (e == ERR_OK)
		e = update_logs(&f);
	if (e == ERR_OK)
		e = read_cursor(&f);
	own_end(&f.own);
	if (f.why.n > 0) {
		code = cmd_usage(c, "%.*s", (int)f.why.n,
				 (const char *)f.why.p);
		goto out;
	}
	if (e == ERR_OK)
		e = tell_all(&f);
	if (e == ERR_OK && o->follow)
		e = follow(&f);
	if (e == ERR_CLOSED) {
		/* Whoever stops it, or reads no further, knows. */
		code = o->follow ? EXIT_OK : EXIT_FAILED;
	} else if (e != ERR_OK) {
		cmd_msg(c, "changes: %s", err_text(e));
		code = cmd_exit(e);
	}
out:
	own_free(&f.own);
	arena_free(&f.arena);
	arena_free(&f.names);
	buf_wipe(&f.out);
	buf_free(&f.why);
	free(f.logs);
	return code;
}
