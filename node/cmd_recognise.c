/* recognise: does an institution recognise these credentials, or a course
 * before anyone enrols, as what and why? */

#include <string.h>

#include "node/answer.h"
#include "node/cmds.h"
#include "node/node.h"
#include "node/query.h"
#include "proto/proof.h"
#include "proto/text.h"

#define ASK_TIMEOUT_MS 10000u
#define TREE_BYTES_MAX (64u << 20) /* of one answer, decoded */

struct asking {
	struct cmd *c;
	struct query *query;
	struct recognise_question question;
	struct slice at; /* whose node answers; empty: this one */
	bool all; /* --by all */
	struct buf names; /* resolved credential names */
	struct buf proof; /* the file handed over */
	struct buf encoded, answer;
	struct arena arena;
	char today[TEXT_DATE_BYTES + 1];
};

/* ---- What is asked ---------------------------------------------------- */

static struct slice option(struct cmd *c, const char *name, bool *bad)
{
	const char *value = cmd_option(c, name, bad);

	return value != NULL ? slice_str(value) : slice_of(NULL, 0);
}

static bool read_options(struct asking *a)
{
	struct recognise_question *q = &a->question;
	struct cmd *c = a->c;
	bool bad = false;

	q->by = option(c, "--by", &bad);
	q->purpose = option(c, "--purpose", &bad);
	q->programme = option(c, "--programme", &bad);
	q->as_of = option(c, "--as-of", &bad);
	q->offer = option(c, "--offer", &bad);
	q->achieved_on = option(c, "--achieved-on", &bad);
	a->at = option(c, "--at", &bad);
	q->explain = cmd_flag(c, "--explain");
	if (bad || !cmd_operands(c, q->offer.n > 0 ? 0 : 1,
				 q->offer.n > 0 ? 0 : (int)LIMIT_HELD))
		return false;
	if (q->by.n == 0) {
		cmd_usage(c, "--by MEMBER says who recognises, or --by all");
		return false;
	}
	a->all = slice_is(q->by, "all");
	return true;
}

static void set_today(struct asking *a)
{
	struct buf b = { .p = (uint8_t *)a->today,
			 .cap = TEXT_DATE_BYTES,
			 .max = TEXT_DATE_BYTES };

	text_put_date(&b, now_ms() / 1000);
	if (a->question.as_of.n == 0)
		a->question.as_of = buf_slice(&b);
}

/* Is the operand written as a path? */
static bool is_path(const char *operand)
{
	return operand[0] == '/' || strncmp(operand, "./", 2) == 0 ||
	       strncmp(operand, "../", 3) == 0 || strcmp(operand, "-") == 0;
}

/* Does the file that the operand may name hold a proof? */
static bool read_proof(struct asking *a, const char *operand, enum err *e)
{
	struct cmd *c = a->c;
	struct buf why;
	int handle;
	bool found = false;

	buf_init(&why, 1024);
	*e = ERR_OK;
	if (!is_path(operand)) {
		if (c->io->open(c->io_arg, operand, &handle, &why) != ERR_OK)
			goto out;
		c->io->discard(c->io_arg, handle);
	}
	*e = cmd_read_file(c, operand, PROOF_BYTES_MAX, &a->proof);
	found = *e == ERR_OK &&
		slice_starts(buf_slice(&a->proof), SLICE_LIT("c2sp.org/"));
	if (*e == ERR_OK && !found && is_path(operand)) {
		cmd_msg(c, "%s is not a proof made by log proof --disclose",
			operand);
		*e = ERR_MALFORMED;
	}
out:
	buf_free(&why);
	return found;
}

static bool names_member(struct slice name, struct slice member)
{
	return slice_starts(name, member) && name.n > member.n &&
	       name.p[member.n] == '/';
}

/* Spell out a bare id here, so that every node understands the same; what
 * is not found here is left to the node that answers. */
static enum err name_credential(struct asking *a, const char *operand)
{
	struct recognise_question *q = &a->question;
	struct slice name = slice_str(operand), *out;
	struct query_record r;
	struct buf why;
	size_t at;
	enum err e;

	buf_init(&why, LIMIT_LOGS * 600u);
	out = &q->credentials[q->credential_count++];
	*out = name;
	e = query_find(a->query, KIND_CREDENTIAL, name, &r, &why);
	if (e == ERR_AMBIGUOUS) {
		cmd_msg(a->c, "more than one member has a credential %s:\n%.*s",
			operand, (int)why.n, (const char *)why.p);
	} else if (e == ERR_OK && !names_member(name, r.member)) {
		at = a->names.n;
		buf_put(&a->names, r.member);
		buf_put_u8(&a->names, '/');
		buf_put(&a->names, name);
		*out = slice_of(a->names.p + at, a->names.n - at);
	} else {
		e = ERR_OK;
	}
	buf_free(&why);
	return e;
}

static enum err read_operands(struct asking *a)
{
	struct cmd *c = a->c;
	enum err e = ERR_OK;

	if (c->argc == 2 && read_proof(a, c->argv[1], &e)) {
		a->question.disclosed = buf_slice(&a->proof);
		return ERR_OK;
	}
	for (int i = 1; i < c->argc && e == ERR_OK; i++)
		e = name_credential(a, c->argv[i]);
	return e;
}

/* Is the question one that can be asked? Said before anyone is. */
static bool check_question(struct asking *a)
{
	struct recognise_question q = a->question, parsed;
	const char *why = "", *text;
	struct buf b;
	enum err e;

	if (a->all)
		q.by = slice_str(a->c->home->config.member);
	buf_init(&b, LIMIT_QUESTION_BYTES);
	recognise_question_put(&q, &b);
	e = b.err != ERR_OK
		    ? b.err
		    : recognise_question_parse(buf_slice(&b), &parsed, &why);
	text = strstr(why, ": "); /* behind the number of the clause */
	if (e != ERR_OK)
		cmd_usage(a->c, "%s", text != NULL ? text + 2 : err_text(e));
	buf_free(&b);
	return e == ERR_OK;
}

/* ---- Asking ----------------------------------------------------------- */

static enum err ask_here(struct asking *a)
{
	return query_answer(a->query, buf_slice(&a->encoded),
			    slice_str(a->c->home->config.member), now_ms(),
			    &a->answer);
}

static enum err ask_there(struct asking *a)
{
	struct cmd *c = a->c;
	enum err e;

	if (c->node == NULL) {
		cmd_msg(c, "--at needs the running node: start it with serve");
		return ERR_CLOSED;
	}
	e = node_ask(c->node, a->at, buf_slice(&a->encoded), ASK_TIMEOUT_MS,
		     &a->answer);
	if (e != ERR_OK)
		cmd_msg(c, "%.*s does not answer: %s", (int)a->at.n,
			(const char *)a->at.p, err_text(e));
	return e;
}

/* Ask and decode. *answered: there is a document, if only of a failure. */
static enum err ask(struct asking *a, struct value *doc, bool *answered)
{
	bool there = a->at.n > 0 && !slice_is(a->at, a->c->home->config.member);
	struct slice kept; /* the tree borrows from it */
	enum err code, e;

	*answered = false;
	buf_reset(&a->encoded);
	buf_reset(&a->answer);
	recognise_question_put(&a->question, &a->encoded);
	if (a->encoded.err != ERR_OK) {
		cmd_msg(a->c, "the question is too long");
		return ERR_LIMIT;
	}
	e = there ? ask_there(a) : ask_here(a);
	if (e != ERR_OK && (there || a->answer.n == 0))
		return e;
	e = arena_copy(&a->arena, buf_slice(&a->answer), &kept);
	if (e == ERR_OK)
		e = answer_read(kept, &a->arena, doc);
	if (e != ERR_OK) {
		cmd_msg(a->c, "the answer cannot be read: %s", err_text(e));
		return e;
	}
	*answered = true;
	return answer_is_error(doc, &code) ? code : ERR_OK;
}

/* ---- Showing ---------------------------------------------------------- */

static void out_lines(struct cmd *c, struct slice text)
{
	struct slice line, rest = text;

	while (rest.n > 0) {
		slice_cut(rest, '\n', &line, &rest);
		cmd_out_text(c, line);
		cmd_out_slice(c, SLICE_LIT("\n"));
	}
}

static void show_text(struct cmd *c, const struct value *doc)
{
	struct buf b;

	buf_init(&b, 4u * LIMIT_ANSWER_BYTES);
	answer_put_text(doc, &b);
	out_lines(c, buf_slice(&b));
	buf_free(&b);
}

static void show_failure(struct cmd *c, const struct value *doc)
{
	struct buf b;

	buf_init(&b, 4u * LIMIT_ANSWER_BYTES);
	answer_put_text(doc, &b);
	if (b.n > 0 && b.p[b.n - 1] == '\n')
		b.n--;
	cmd_msg(c, "%.*s", (int)b.n, (const char *)b.p);
	buf_free(&b);
}

static int ask_one(struct asking *a)
{
	struct value doc;
	bool answered;
	enum err e = ask(a, &doc, &answered);

	if (!answered)
		return cmd_exit(e);
	if (e != ERR_OK) {
		show_failure(a->c, &doc);
	} else if (!a->c->json) {
		show_text(a->c, &doc);
	} else {
		e = answer_to_json(&doc, &a->arena);
		if (e == ERR_OK)
			cmd_out_json(a->c, &doc);
	}
	return cmd_exit(e);
}

/* ---- Everybody's answer ----------------------------------------------- */

/* One row for people. */
static void show_row(struct cmd_table_out *t, const struct value *doc)
{
	struct slice by = value_get_str(doc, "by");
	struct buf b;

	buf_init(&b, LIMIT_ANSWER_BYTES);
	answer_put_brief(doc, &b);
	table_cell(t, "%.*s", (int)by.n, (const char *)by.p);
	table_cell(t, "%s", answer_heading(doc));
	table_cell(t, "%.*s", (int)b.n, (const char *)b.p);
	buf_free(&b);
}

/* What the rows stand on; those with nothing to show in one. */
static void show_grounds(struct cmd *c, const struct value *docs, uint32_t n)
{
	struct buf b;

	buf_init(&b, LIMIT_MEMBERS * LIMIT_ANSWER_BYTES);
	buf_put_u8(&b, '\n');
	for (uint32_t i = 0; i < n; i++) {
		if (!slice_is(value_get_str(&docs[i], "outcome"),
			      "undetermined"))
			answer_put_ground(&docs[i], &b);
	}
	answer_put_rest(docs, n, &b);
	out_lines(c, buf_slice(&b));
	buf_free(&b);
}

static enum err out_all(struct asking *a, struct value *docs, uint32_t n)
{
	static const char *const heads[] = { "BY", "ANSWER", "AS" };
	struct value whole = cmd_map(&a->arena, 2), list;
	struct cmd_table_out *t;
	enum err e;

	if (a->c->json) {
		list = (struct value){ .type = VALUE_ARRAY, .count = n };
		list.items = docs;
		cmd_set(&whole, "answers", list);
		cmd_set(&whole, "v", value_uint(1));
		e = answer_to_json(&whole, &a->arena);
		if (e == ERR_OK)
			cmd_out_json(a->c, &whole);
		return e;
	}
	t = table_open(heads, 3);
	for (uint32_t i = 0; i < n; i++)
		show_row(t, &docs[i]);
	table_print(a->c, t);
	if (!a->question.explain)
		show_grounds(a->c, docs, n);
	for (uint32_t i = 0; i < n && a->question.explain; i++) {
		cmd_out_slice(a->c, SLICE_LIT("\n"));
		show_text(a->c, &docs[i]);
	}
	return ERR_OK;
}

/* The members to ask: the active ones of the roster, else this one. */
static uint32_t members_to_ask(const struct asking *a, const struct members *m,
			       struct slice *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; m->roster != NULL && i < m->roster->member_count;
	     i++) {
		if (m->roster->members[i].state == MEMBER_ACTIVE)
			out[n++] = m->roster->members[i].name;
	}
	if (n == 0)
		out[n++] = slice_str(a->c->home->config.member);
	return n;
}

static int ask_all(struct asking *a)
{
	struct members *m = members_hold(a->c->home->members);
	struct slice *by = arena_array(&a->arena, LIMIT_MEMBERS, sizeof(*by));
	struct value *docs =
		arena_array(&a->arena, LIMIT_MEMBERS, sizeof(*docs));
	uint32_t n = members_to_ask(a, m, by);
	bool answered;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < n && e == ERR_OK; i++) {
		a->question.by = by[i];
		e = ask(a, &docs[i], &answered);
		if (e != ERR_OK && answered)
			show_failure(a->c, &docs[i]);
	}
	if (e == ERR_OK)
		e = out_all(a, docs, n);
	members_release(m);
	return cmd_exit(e);
}

/* ---- The command ------------------------------------------------------ */

static void asking_init(struct asking *a, struct cmd *c)
{
	memset(a, 0, sizeof(*a));
	a->c = c;
	buf_init(&a->names, LIMIT_HELD * 600u);
	/* All the room at once: slices point into it. */
	buf_extend(&a->names, a->names.max);
	buf_reset(&a->names);
	buf_init(&a->proof, PROOF_BYTES_MAX);
	buf_init(&a->encoded, LIMIT_QUESTION_BYTES);
	buf_init(&a->answer, LIMIT_ANSWER_BYTES + 4096u);
	arena_init(&a->arena, TREE_BYTES_MAX);
}

static void asking_free(struct asking *a)
{
	query_close(a->query);
	buf_free(&a->names);
	buf_free(&a->proof);
	buf_free(&a->encoded);
	buf_free(&a->answer);
	arena_free(&a->arena);
}

int cmd_recognise(struct cmd *c)
{
	struct asking a;
	int code = EXIT_USAGE;
	enum err e;

	asking_init(&a, c);
	if (!read_options(&a))
		goto out;
	set_today(&a);
	a.query = query_open(c->home);
	e = query_begin(a.query);
	if (e != ERR_OK)
		cmd_msg(c, "the store cannot be read: %s", err_text(e));
	else
		e = read_operands(&a);
	code = cmd_exit(e);
	if (e == ERR_OK && !check_question(&a))
		code = EXIT_USAGE;
	else if (e == ERR_OK)
		code = a.all ? ask_all(&a) : ask_one(&a);
out:
	asking_free(&a);
	return code;
}
