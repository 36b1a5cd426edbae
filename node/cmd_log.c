/* log head|proof|check: what is signed, a portable proof of one record, and
 * full re-verification from disk. */

#include <stdlib.h>
#include <string.h>

#include "node/cmds.h"
#include "node/log_check.h"
#include "node/query.h"
#include "proto/proof.h"
#include "proto/schema.h"
#include "proto/text.h"

struct log_call {
	struct cmd *c;
	struct query *query;
	struct arena arena;
	struct buf out;
	bool disclose;
	const struct schema *kind; /* --kind, or NULL */
};

static struct slice own_member(const struct cmd *c)
{
	return slice_str(c->home->config.member);
}

/* The log of the member named on the command line, else the own one. */
static enum err find_log(struct log_call *k, const char *member, uint32_t *log)
{
	struct slice name =
		member != NULL ? slice_str(member) : own_member(k->c);
	enum err e = query_log(k->query, name, log);

	if (e == ERR_NOT_FOUND)
		cmd_msg(k->c, "no log of %.*s is held here", (int)name.n,
			(const char *)name.p);
	return e;
}

/* ---- head ------------------------------------------------------------- */

static void show_head_json(struct log_call *k, struct slice member,
			   const struct store_head *h)
{
	struct value doc = cmd_map(&k->arena, 8);
	struct buf root;

	buf_init(&root, 2 * DIGEST_BYTES);
	text_put_hex(&root, digest_slice(&h->noted.root));
	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "member", value_str(member));
	cmd_set(&doc, "size", value_uint(h->noted.size));
	cmd_set(&doc, "root", value_str(buf_slice(&root)));
	cmd_set(&doc, "held", value_uint(h->frontier.size));
	cmd_set(&doc, "heard_ms", value_uint(h->heard_ms));
	cmd_set(&doc, "frozen", value_bool(h->frozen));
	cmd_set(&doc, "note", value_str(h->note));
	cmd_out_json(k->c, &doc);
	buf_free(&root);
}

static enum err run_head(struct log_call *k, const char *member)
{
	struct store_head head;
	struct slice origin, name;
	uint64_t generation;
	uint32_t log;
	enum err e = find_log(k, member, &log);

	if (e == ERR_OK)
		e = store_head_get(query_txn(k->query), log, &head);
	if (e == ERR_OK)
		e = store_log_origin(query_txn(k->query), log, &origin);
	if (e == ERR_OK)
		e = log_origin_parse(origin, &name, &generation);
	if (e != ERR_OK)
		return e;
	if (head.note.n == 0) {
		cmd_msg(k->c, "no signed head of %.*s is held here yet",
			(int)name.n, (const char *)name.p);
		return ERR_NOT_FOUND;
	}
	if (k->c->json)
		show_head_json(k, name, &head);
	else
		cmd_out_slice(k->c, head.note);
	return ERR_OK;
}

/* ---- proof ------------------------------------------------------------ */

/* MEMBER#SEQ names a record by its place. */
static enum err find_place(struct log_call *k, struct slice name,
			   struct query_record *r)
{
	struct slice member, digits;
	uint64_t seq;
	uint32_t log;
	enum err e;

	if (!slice_cut(name, '#', &member, &digits) ||
	    !text_parse_u64(digits, &seq))
		return ERR_NOT_FOUND;
	e = query_log(k->query, member.n > 0 ? member : own_member(k->c), &log);
	if (e == ERR_OK)
		e = query_at(k->query, log, seq, r);
	return e == ERR_DENIED || e == ERR_UNSUPPORTED ? ERR_OK : e;
}

/* A record of any kind by its id. ERR_AMBIGUOUS was said. */
static enum err find_by_id(struct log_call *k, struct slice name,
			   struct query_record *r)
{
	struct query_record one;
	const struct schema *s;
	uint32_t hits = 0;
	struct buf why;
	enum err e = ERR_OK;

	buf_init(&why, LIMIT_LOGS * 600u);
	for (size_t i = 0; (s = schema_at(i)) != NULL && e == ERR_OK; i++) {
		if (s->kind == KIND_STATUS || s->kind == KIND_LEARNER ||
		    (k->kind != NULL && k->kind != s))
			continue;
		e = query_find(k->query, s->kind, name, &one, &why);
		if (e == ERR_OK) {
			hits++;
			*r = one;
			buf_put_str(&why, why.n > 0 ? "\n" : "");
			buf_put_str(&why, "--kind ");
			buf_put_str(&why, s->name);
		} else if (e == ERR_NOT_FOUND) {
			e = ERR_OK;
		}
	}
	if (e == ERR_OK && hits > 1)
		e = ERR_AMBIGUOUS;
	if (e == ERR_AMBIGUOUS)
		cmd_msg(k->c, "more than one record is called %.*s:\n%.*s",
			(int)name.n, (const char *)name.p, (int)why.n,
			(const char *)why.p);
	buf_free(&why);
	return e == ERR_OK && hits == 0 ? ERR_NOT_FOUND : e;
}

static enum err find_record(struct log_call *k, const char *name,
			    struct query_record *r)
{
	enum err e = find_place(k, slice_str(name), r);

	if (e == ERR_NOT_FOUND)
		e = find_by_id(k, slice_str(name), r);
	if (e == ERR_NOT_FOUND)
		cmd_msg(k->c,
			"there is no record %s here; write MEMBER/ID, or "
			"MEMBER#PLACE",
			name);
	return e;
}

/* Salt and body, if they may leave: public ones, and the member's own. */
static enum err disclose(struct log_call *k, const struct query_record *r,
			 struct proof *p)
{
	struct record row;
	uint8_t salt[LIMIT_SALT_BYTES];
	enum err e;

	if (r->audience != AUDIENCE_PUBLIC &&
	    !slice_equal(r->member, own_member(k->c))) {
		cmd_msg(k->c,
			"only %.*s discloses this record: it is not public",
			(int)r->member.n, (const char *)r->member.p);
		return ERR_DENIED;
	}
	if (r->body.n == 0) {
		cmd_msg(k->c, "the content of this record is not held here");
		return ERR_NOT_FOUND;
	}
	p->body = r->body;
	e = store_record_get(query_txn(k->query), r->log, r->seq, &row);
	if (e != ERR_OK || row.salt.n > 0) {
		p->salt = row.salt;
		return e;
	}
	e = vault_get(k->c->home->vault, r->log, r->seq, salt);
	if (e == ERR_OK)
		e = arena_copy(&k->arena, slice_of(salt, sizeof(salt)),
			       &p->salt);
	wipe(salt, sizeof(salt));
	return e;
}

static enum err build_proof(struct log_call *k, const struct query_record *r)
{
	struct store_source s = { query_txn(k->query), r->log };
	struct merkle_source source = store_source_of(&s);
	struct proof p = { .leaf = r->leaf, .index = r->seq };
	struct store_head head;
	enum err e = store_head_get(s.txn, r->log, &head);

	if (e != ERR_OK)
		return e;
	if (r->seq >= head.noted.size) {
		cmd_msg(k->c, "no signed head covers this record yet");
		return ERR_BAD_STATE;
	}
	e = merkle_prove_inclusion(&source, r->seq, head.noted.size, p.path,
				   &p.path_count);
	if (e == ERR_OK)
		e = note_parse(head.note, &k->arena, &p.note);
	if (e == ERR_OK && k->disclose)
		e = disclose(k, r, &p);
	if (e != ERR_OK)
		return e;
	proof_put(&p, &k->out);
	return k->out.err;
}

static void show_proof(struct log_call *k, const struct query_record *r)
{
	struct value doc;

	if (!k->c->json) {
		cmd_out_slice(k->c, buf_slice(&k->out));
		return;
	}
	doc = cmd_map(&k->arena, 5);
	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "member", value_str(r->member));
	cmd_set(&doc, "seq", value_uint(r->seq));
	cmd_set(&doc, "disclosed", value_bool(k->disclose));
	cmd_set(&doc, "proof", value_str(buf_slice(&k->out)));
	cmd_out_json(k->c, &doc);
}

static enum err run_proof(struct log_call *k, const char *name)
{
	struct query_record r;
	enum err e = find_record(k, name, &r);

	if (e == ERR_OK)
		e = build_proof(k, &r);
	if (e == ERR_OK)
		show_proof(k, &r);
	return e;
}

/* ---- check ------------------------------------------------------------ */

static struct value report_value(struct log_call *k, const struct log_report *r)
{
	struct value doc = cmd_map(&k->arena, 8), faults;

	cmd_set(&doc, "member", cmd_str(&k->arena, r->member));
	cmd_set(&doc, "size", value_uint(r->size));
	cmd_set(&doc, "signed_size", value_uint(r->signed_size));
	cmd_set(&doc, "opened", value_uint(r->opened));
	cmd_set(&doc, "withheld", value_uint(r->withheld));
	cmd_set(&doc, "indexed", value_uint(r->indexed));
	cmd_set(&doc, "fault_count", value_uint(r->fault_count));
	if (value_array(&k->arena, r->told, &faults) != ERR_OK)
		return doc;
	for (uint32_t i = 0; i < r->told; i++)
		faults.items[i] = cmd_str(&k->arena, slice_str(r->faults[i]));
	cmd_set(&doc, "faults", faults);
	return doc;
}

static void show_report(struct cmd *c, const struct log_report *r)
{
	cmd_out(c,
		"%.*s: %llu records, %llu signed, %llu opened and committed "
		"to, %llu without body here, %llu looked up: %s\n",
		(int)r->member.n, (const char *)r->member.p,
		(unsigned long long)r->size, (unsigned long long)r->signed_size,
		(unsigned long long)r->opened, (unsigned long long)r->withheld,
		(unsigned long long)r->indexed,
		r->fault_count == 0 ? "verifies" : "DOES NOT VERIFY");
	for (uint32_t i = 0; i < r->told; i++)
		cmd_out(c, "  %s\n", r->faults[i]);
	if (r->fault_count > r->told)
		cmd_out(c, "  and %llu more\n",
			(unsigned long long)(r->fault_count - r->told));
}

static bool is_cancelled(void *arg)
{
	return cmd_is_cancelled(arg);
}

static enum err check_one(struct log_call *k, uint32_t log, struct value *out)
{
	struct log_report *r = xcalloc(1, sizeof(*r));
	enum err e = log_check(k->c->home, log, is_cancelled, k->c, r);

	if (e != ERR_OK && e != ERR_CLOSED) /* whoever stops it knows */
		cmd_msg(k->c, "the log cannot be read: %s", err_text(e));
	else if (k->c->json)
		*out = report_value(k, r);
	else
		show_report(k->c, r);
	if (e == ERR_OK && r->fault_count > 0)
		e = ERR_CORRUPT;
	free(r);
	return e;
}

static enum err run_check(struct log_call *k, const char *member)
{
	uint32_t log = 0, count = store_log_count(query_txn(k->query));
	struct value whole = cmd_map(&k->arena, 2), list;
	enum err e = ERR_OK, worst = ERR_OK;

	if (member != NULL) {
		e = find_log(k, member, &log);
		count = log + 1;
	}
	query_end(k->query); /* log_check reads in short transactions */
	if (e != ERR_OK || value_array(&k->arena, count - log, &list))
		return e != ERR_OK ? e : ERR_LIMIT;
	for (uint32_t i = 0; i < list.count; i++)
		list.items[i] = cmd_map(&k->arena, 1);
	for (uint32_t i = 0; i < list.count; i++) {
		e = check_one(k, log + i, &list.items[i]);
		if (e != ERR_OK && e != ERR_CORRUPT)
			return e;
		worst = e != ERR_OK ? e : worst;
	}
	cmd_set(&whole, "v", value_uint(1));
	cmd_set(&whole, "logs", list);
	if (k->c->json)
		cmd_out_json(k->c, &whole);
	return worst;
}

/* ---- The command ------------------------------------------------------ */

static enum err dispatch(struct log_call *k, const char *what, const char *arg)
{
	if (strcmp(what, "head") == 0)
		return run_head(k, arg);
	if (strcmp(what, "check") == 0)
		return run_check(k, arg);
	return run_proof(k, arg);
}

static bool read_kind(struct log_call *k, const char *name)
{
	if (name == NULL)
		return true;
	k->kind = schema_by_name(slice_str(name));
	if (k->kind == NULL)
		k->kind = schema_by_plural(slice_str(name));
	if (k->kind == NULL)
		cmd_usage(k->c, "there is no kind %s", name);
	return k->kind != NULL;
}

static bool read_form(struct log_call *k, const char **what)
{
	struct cmd *c = k->c;
	bool bad = false;
	const char *kind = cmd_option(c, "--kind", &bad);

	k->disclose = cmd_flag(c, "--disclose");
	if (bad || !cmd_operands(c, 1, 2) || !read_kind(k, kind))
		return false;
	*what = c->argv[1];
	if (strcmp(*what, "head") != 0 && strcmp(*what, "proof") != 0 &&
	    strcmp(*what, "check") != 0) {
		cmd_usage(c, "log %s: head, proof or check", *what);
		return false;
	}
	if (strcmp(*what, "proof") == 0 && c->argc < 3) {
		cmd_usage(c, "log proof needs the record: MEMBER/ID or "
			     "MEMBER#PLACE");
		return false;
	}
	return true;
}

int cmd_log(struct cmd *c)
{
	struct log_call k = { .c = c };
	const char *what;
	int code = EXIT_USAGE;
	enum err e;

	buf_init(&k.out, PROOF_BYTES_MAX);
	arena_init(&k.arena, 16u << 20);
	if (!read_form(&k, &what))
		goto out;
	k.query = query_open(c->home);
	e = query_begin(k.query);
	if (e == ERR_OK)
		e = dispatch(&k, what, c->argc > 2 ? c->argv[2] : NULL);
	else
		cmd_msg(c, "the store cannot be read: %s", err_text(e));
	code = e == ERR_CLOSED ? EXIT_FAILED : cmd_exit(e);
out:
	query_close(k.query);
	buf_free(&k.out);
	arena_free(&k.arena);
	return code;
}
