/* credential show|list|revoke|suspend|reinstate: what was awarded, and its
 * state. */

#include <stdlib.h>
#include <string.h>

#include "node/cmds.h"
#include "node/credential_state.h"
#include "proto/dec.h"
#include "proto/schema.h"
#include "proto/text.h"

#define LIST_BATCH 1024u /* records between two looks at the store */
#define IDS_BYTES_MAX (64u << 20) /* a file of ids */
#define CREDENTIALS_TOLD 20u /* of those that could not be changed */

struct call {
	struct cmd *c;
	struct query *query;
	struct arena arena;
	bool person;
};

static int fail(struct call *k, enum err e)
{
	/* Whoever interrupts, or reads no further, knows. */
	if (e == ERR_CLOSED)
		return EXIT_FAILED;
	cmd_msg(k->c, "the store cannot be read: %s", err_text(e));
	return cmd_exit(e);
}

/* ---- show ------------------------------------------------------------- */

/* The learner record behind a learner number, if it may be read. */
static bool find_learner(struct call *k, const struct query_record *credential,
			 struct query_record *r)
{
	struct slice number = dec_find_str(credential->body, "learner");

	return k->person && number.n > 0 &&
	       query_learner(k->query, credential->log, number, r) == ERR_OK;
}

static enum err credential_tree(struct call *k, const struct query_record *r,
				struct value *out)
{
	struct value record, learner;
	struct query_record person;
	struct slice status;
	enum err e = schema_to_value(schema_of(KIND_CREDENTIAL), r->body,
				     k->person, &k->arena, &record);

	if (e != ERR_OK)
		return e;
	status = slice_str(query_state(k->query, r, slice_of(NULL, 0)));
	*out = cmd_map(&k->arena, 6);
	cmd_set(out, "v", value_uint(1));
	cmd_set(out, "member", cmd_str(&k->arena, r->member));
	cmd_set(out, "seq", value_uint(r->seq));
	cmd_set(out, "state", value_str(status));
	cmd_set(out, "record", record);
	if (find_learner(k, r, &person) &&
	    schema_to_value(schema_of(KIND_LEARNER), person.body, true,
			    &k->arena, &learner) == ERR_OK)
		cmd_set(out, "learner", learner);
	return ERR_OK;
}

static void out_field(struct cmd *c, const char *key, const struct value *v)
{
	struct buf b;

	buf_init(&b, 8u * LIMIT_BODY_BYTES);
	if (v->type == VALUE_STR)
		buf_put(&b, v->s);
	else
		value_put_json(v, &b);
	cmd_out(c, "  %-16s", key);
	cmd_out_text(c, buf_slice(&b));
	cmd_out_slice(c, SLICE_LIT("\n"));
	buf_free(&b);
}

static void out_fields(struct cmd *c, const struct value *map)
{
	char key[64];

	for (uint32_t i = 0; map != NULL && i < map->count; i++) {
		size_t n = map->pairs[i].key.n;

		n = n < sizeof(key) ? n : sizeof(key) - 1;
		memcpy(key, map->pairs[i].key.p, n);
		key[n] = '\0';
		out_field(c, key, &map->pairs[i].value);
	}
}

static int run_show(struct call *k)
{
	struct cmd *c = k->c;
	struct query_record r;
	struct value doc;
	struct buf why;
	enum err e;

	k->person = cmd_flag(c, "--person");
	if (!cmd_operands(c, 2, 2))
		return EXIT_USAGE;
	buf_init(&why, LIMIT_LOGS * 600u);
	e = query_find(k->query, KIND_CREDENTIAL, slice_str(c->argv[2]), &r,
		       &why);
	if (e == ERR_NOT_FOUND)
		cmd_msg(c, "there is no credential %s here", c->argv[2]);
	else if (e == ERR_AMBIGUOUS)
		cmd_msg(c, "more than one member has a credential %s:\n%.*s",
			c->argv[2], (int)why.n, (const char *)why.p);
	else if (e == ERR_OK)
		e = credential_tree(k, &r, &doc);
	buf_free(&why);
	if (e != ERR_OK)
		return cmd_exit(e);
	if (c->json) {
		cmd_out_json(c, &doc);
		return EXIT_OK;
	}
	cmd_out_text(c, r.member);
	cmd_out_slice(c, SLICE_LIT("/"));
	cmd_out_text(c, dec_find_str(r.body, "credential"));
	cmd_out(c, ", %s, #%llu\n",
		query_state(k->query, &r, slice_of(NULL, 0)),
		(unsigned long long)r.seq);
	out_fields(c, value_get(&doc, "record"));
	out_fields(c, value_get(&doc, "learner"));
	return EXIT_OK;
}

/* ---- list ------------------------------------------------------------- */

struct listing {
	struct call *k;
	uint32_t log;
	const char *offer; /* only of this one, or NULL */
	const char *state; /* only in this one, or NULL */
	struct cmd_table_out *table; /* for people */
	uint64_t shown;
};

static void list_row(struct listing *l, const struct query_record *r,
		     const char *state)
{
	struct slice id = dec_find_str(r->body, "credential");
	struct slice offer = dec_find_str(r->body, "offer");
	struct slice on = dec_find_str(r->body, "issued_on");
	struct cmd *c = l->k->c;
	struct value doc;

	l->shown++;
	if (!c->json) {
		table_cell(l->table, "%.*s", (int)id.n, (const char *)id.p);
		table_cell(l->table, "%.*s", (int)offer.n,
			   (const char *)offer.p);
		table_cell(l->table, "%.*s", (int)on.n, (const char *)on.p);
		table_cell(l->table, "%s", state);
		table_cell(l->table, "%llu", (unsigned long long)r->seq);
		return;
	}
	doc = cmd_map(&l->k->arena, 6);
	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "credential", value_str(id));
	cmd_set(&doc, "offer", value_str(offer));
	cmd_set(&doc, "issued_on", value_str(on));
	cmd_set(&doc, "state", value_str(slice_str(state)));
	cmd_set(&doc, "seq", value_uint(r->seq));
	cmd_out_json(c, &doc);
}

static enum err list_place(struct listing *l, uint64_t seq)
{
	struct query *q = l->k->query;
	struct query_record r;
	const char *state;
	bool newest;
	enum err e = query_at(q, l->log, seq, &r);

	if (e == ERR_DENIED || e == ERR_UNSUPPORTED)
		return ERR_OK;
	if (e != ERR_OK || r.kind != KIND_CREDENTIAL)
		return e;
	if (l->offer != NULL &&
	    !slice_is(dec_find_str(r.body, "offer"), l->offer))
		return ERR_OK;
	e = query_is_newest(q, &r, &newest);
	if (e != ERR_OK || !newest)
		return e;
	state = query_state(q, &r, slice_of(NULL, 0));
	if (l->state == NULL || strcmp(l->state, state) == 0)
		list_row(l, &r, state);
	return ERR_OK;
}

static enum err list_all(struct listing *l)
{
	struct store_head head;
	struct query *q = l->k->query;
	enum err e = store_head_get(query_txn(q), l->log, &head);
	uint64_t size = head.frontier.size;

	for (uint64_t seq = 0; e == ERR_OK && seq < size; seq++) {
		if (seq % LIST_BATCH == LIST_BATCH - 1) {
			if (cmd_is_cancelled(l->k->c))
				return ERR_CLOSED;
			e = query_begin(q);
		}
		if (e == ERR_OK)
			e = list_place(l, seq);
		query_forget(q);
		if (l->k->c->json)
			arena_reset(&l->k->arena);
	}
	return e;
}

static bool check_state(struct cmd *c, const char *state)
{
	static const char *const states[] = { "valid", "suspended", "revoked",
					      "superseded" };

	for (size_t i = 0; state != NULL && i < 4; i++) {
		if (strcmp(state, states[i]) == 0)
			return true;
	}
	if (state != NULL)
		cmd_usage(c,
			  "--state %s: valid, suspended, revoked or superseded",
			  state);
	return state == NULL;
}

static int run_list(struct call *k)
{
	static const char *const heads[] = { "CREDENTIAL", "OFFER", "ISSUED",
					     "STATE", "PLACE" };
	struct listing l = { .k = k };
	struct cmd *c = k->c;
	bool bad = false;
	enum err e;

	l.offer = cmd_option(c, "--offer", &bad);
	l.state = cmd_option(c, "--state", &bad);
	if (bad || !cmd_operands(c, 1, 2) || !check_state(c, l.state))
		return EXIT_USAGE;
	e = query_log(
		k->query,
		slice_str(c->argc > 2 ? c->argv[2] : c->home->config.member),
		&l.log);
	if (e == ERR_NOT_FOUND) {
		cmd_msg(c, "no log of %s is held here", c->argv[2]);
		return EXIT_FAILED;
	}
	if (e != ERR_OK)
		return fail(k, e);
	if (!c->json)
		l.table = table_open(heads, 5);
	e = list_all(&l);
	if (!c->json)
		table_print(c, l.table);
	if (e != ERR_OK)
		return fail(k, e);
	return EXIT_OK;
}

/* ---- revoke, suspend, reinstate --------------------------------------- */

struct changing {
	struct call *k;
	struct state_change change;
	struct state_item items[STATE_BATCH];
	uint32_t count;
	uint64_t changed, same, failed;
	uint64_t foreign; /* of the failed: another member's */
};

static const char *result_text(enum state_result r)
{
	switch (r) {
	case STATE_CHANGED:
		return "changed";
	case STATE_SAME:
		return "unchanged";
	case STATE_UNKNOWN:
		return "unknown";
	case STATE_CONTRARY:
		return "rejected";
	}
	return "unknown";
}

static void tell_json(struct changing *g, const struct state_item *i)
{
	struct call *k = g->k;
	struct value doc = cmd_map(&k->arena, 5);

	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "credential", value_str(i->id));
	cmd_set(&doc, "result", value_str(slice_str(result_text(i->result))));
	if (i->before != NULL)
		cmd_set(&doc, "before", value_str(slice_str(i->before)));
	if (i->result == STATE_CHANGED && !g->change.dry)
		cmd_set(&doc, "seq", value_uint(i->seq));
	cmd_out_json(k->c, &doc);
	arena_reset(&k->arena);
}

/* Is it named as another member's? */
static bool is_foreign(const struct changing *g, struct slice name)
{
	struct slice member, id;
	uint32_t log;

	return slice_cut(name, '/', &member, &id) &&
	       !slice_is(member, g->k->c->home->config.member) &&
	       query_log(g->k->query, member, &log) == ERR_OK;
}

static void tell_unknown(struct changing *g, const struct state_item *i)
{
	struct slice member, id;
	int n = (int)i->id.n;
	const char *name = (const char *)i->id.p;

	if (g->failed > CREDENTIALS_TOLD)
		return;
	if (!is_foreign(g, i->id)) {
		cmd_msg(g->k->c, "%.*s: this member has no such credential", n,
			name);
		return;
	}
	slice_cut(i->id, '/', &member, &id);
	cmd_msg(g->k->c, "%.*s: only %.*s changes the state of its credentials",
		n, name, (int)member.n, (const char *)member.p);
}

static void tell_text(struct changing *g, const struct state_item *i)
{
	struct cmd *c = g->k->c;
	int n = (int)i->id.n;
	const char *id = (const char *)i->id.p;

	switch (i->result) {
	case STATE_CHANGED:
		cmd_out_text(c, i->id);
		if (g->change.dry)
			cmd_out(c, ": %s, would be %s\n", i->before,
				g->change.state);
		else
			cmd_out(c, ": %s, logged as #%llu\n", g->change.state,
				(unsigned long long)i->seq);
		break;
	case STATE_SAME:
		cmd_out_text(c, i->id);
		cmd_out(c, ": %s already\n", g->change.state);
		break;
	case STATE_UNKNOWN:
		tell_unknown(g, i);
		break;
	case STATE_CONTRARY:
		if (g->failed <= CREDENTIALS_TOLD)
			cmd_msg(c, "%.*s: is %s, cannot be %s", n, id,
				i->before, g->change.state);
		break;
	}
}

static enum err flush(struct changing *g)
{
	enum err e = state_apply(g->k->c->home, g->k->query, &g->change,
				 g->items, g->count);

	for (uint32_t i = 0; e == ERR_OK && i < g->count; i++) {
		g->changed += g->items[i].result == STATE_CHANGED;
		g->same += g->items[i].result == STATE_SAME;
		g->failed += g->items[i].result == STATE_UNKNOWN ||
			     g->items[i].result == STATE_CONTRARY;
		g->foreign += g->items[i].result == STATE_UNKNOWN &&
			      is_foreign(g, g->items[i].id);
		if (g->k->c->json)
			tell_json(g, &g->items[i]);
		else
			tell_text(g, &g->items[i]);
	}
	g->count = 0;
	return e;
}

static enum err change_one(struct changing *g, struct slice id)
{
	g->items[g->count++] = (struct state_item){ .id = id };
	return g->count == STATE_BATCH ? flush(g) : ERR_OK;
}

/* One id a line; blank lines are nothing. */
static enum err change_file(struct changing *g, struct slice file)
{
	struct slice line;
	enum err e = ERR_OK;

	while (file.n > 0 && e == ERR_OK) {
		slice_cut(file, '\n', &line, &file);
		while (line.n > 0 && (line.p[line.n - 1] == '\r' ||
				      line.p[line.n - 1] == ' '))
			line.n--;
		while (line.n > 0 && line.p[0] == ' ')
			line = slice_sub(line, 1, line.n - 1);
		if (line.n > 0)
			e = change_one(g, line);
	}
	return e;
}

static int finish(struct changing *g, enum err e)
{
	struct cmd *c = g->k->c;

	if (e == ERR_OK)
		e = flush(g);
	if (e == ERR_RECOVERING) {
		cmd_msg(c, "this node may not sign now, for its log may have "
			   "grown elsewhere; see status");
		return EXIT_REFUSED;
	}
	if (e != ERR_OK) {
		cmd_msg(c, "the rest was not changed: %s", err_text(e));
		return cmd_exit(e);
	}
	if (!c->json && g->changed + g->same + g->failed > 1)
		cmd_out(c, "%llu changed, %llu unchanged, %llu failed\n",
			(unsigned long long)g->changed,
			(unsigned long long)g->same,
			(unsigned long long)g->failed);
	if (g->failed == 0)
		return EXIT_OK;
	if (g->changed + g->same > 0)
		return EXIT_PARTLY;
	return g->foreign == g->failed ? EXIT_NOT_ALLOWED : EXIT_FAILED;
}

static bool check_reason(struct cmd *c, const struct state_change *change)
{
	struct buf b;

	if (change->reason == NULL && strcmp(change->state, "valid") == 0)
		return true;
	if (change->reason != NULL && state_is_reason(change->reason))
		return true;
	buf_init(&b, 4096);
	for (size_t i = 0; schema_status_reasons[i] != NULL; i++) {
		buf_put_str(&b, i > 0 ? ", " : "");
		buf_put_str(&b, schema_status_reasons[i]);
	}
	cmd_usage(c, "--reason CODE is one of: %.*s", (int)b.n,
		  (const char *)b.p);
	buf_free(&b);
	return false;
}

static int run_change(struct call *k, const char *state)
{
	struct changing *g = xcalloc(1, sizeof(*g));
	struct cmd *c = k->c;
	struct buf file;
	const char *from;
	bool bad = false;
	int code = EXIT_USAGE;
	enum err e = ERR_OK;

	g->k = k;
	g->change.state = state;
	buf_init(&file, IDS_BYTES_MAX);
	g->change.reason = cmd_option(c, "--reason", &bad);
	from = cmd_option(c, "--from", &bad);
	g->change.dry = cmd_flag(c, "--check");
	if (bad || !cmd_operands(c, from != NULL ? 1 : 2, 1 << 20) ||
	    !check_reason(c, &g->change))
		goto out;
	if (from != NULL)
		e = cmd_read_file(c, from, IDS_BYTES_MAX, &file);
	if (e != ERR_OK) {
		code = cmd_exit(e);
		goto out;
	}
	for (int i = 2; i < c->argc && e == ERR_OK; i++)
		e = change_one(g, slice_str(c->argv[i]));
	if (e == ERR_OK)
		e = change_file(g, buf_slice(&file));
	code = finish(g, e);
out:
	buf_free(&file);
	free(g);
	return code;
}

/* ---- The command ------------------------------------------------------ */

static const struct {
	const char *name;
	const char *state;
} changes[] = {
	{ "revoke", "revoked" },
	{ "suspend", "suspended" },
	{ "reinstate", "valid" },
};

static int dispatch(struct call *k)
{
	const char *what = k->c->argc > 1 ? k->c->argv[1] : "";

	if (strcmp(what, "show") == 0)
		return run_show(k);
	if (strcmp(what, "list") == 0)
		return run_list(k);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		if (strcmp(what, changes[i].name) == 0)
			return run_change(k, changes[i].state);
	}
	return cmd_usage(k->c,
			 "credential %s: show, list, revoke, suspend or "
			 "reinstate",
			 what);
}

int cmd_credential(struct cmd *c)
{
	struct call k = { .c = c };
	int code;
	enum err e;

	arena_init(&k.arena, 16u << 20);
	k.query = query_open(c->home);
	e = query_begin(k.query);
	code = e == ERR_OK ? dispatch(&k) : fail(&k, e);
	query_close(k.query);
	arena_free(&k.arena);
	return code;
}
