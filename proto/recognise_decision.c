#include "recognise_impl.h"

/* Individual decisions, PROTOCOL.md 12.4: the most binding ground. One on
 * exactly these credentials, in force, last of its chain, answers. */

enum {
	D_APPEAL,
	D_APPEAL_STATE,
	D_CONDITIONS,
	D_CREDENTIALS,
	D_CREDITS,
	D_DECIDED_ON,
	D_DECISION,
	D_HELP,
	D_MAPPING,
	D_OUTCOME,
	D_PROGRAMME,
	D_PURPOSE,
	D_REASON,
	D_SIDE,
	D_STATE,
	D_SUPERSEDES,
	D_UNIT,
	D_COUNT
};
static const struct slice decision_names[D_COUNT] = {
	NAME("appeal"),	     NAME("appeal_state"), NAME("conditions"),
	NAME("credentials"), NAME("credits"),	   NAME("decided_on"),
	NAME("decision"),    NAME("help"),	   NAME("mapping"),
	NAME("outcome"),     NAME("programme"),	   NAME("purpose"),
	NAME("reason"),	     NAME("side"),	   NAME("state"),
	NAME("supersedes"),  NAME("unit"),
};

static void decision_read(const struct recognise_record *r, struct candidate *c)
{
	struct slice v[D_COUNT];

	fields_read(r->body, decision_names, D_COUNT, v);
	*c = (struct candidate){
		.record = r,
		.kind = "decision",
		.id = field_text(v[D_DECISION]),
		.state = field_text(v[D_STATE]),
		.decided_on = field_text(v[D_DECIDED_ON]),
		.outcome_text = field_text(v[D_OUTCOME]),
		.purpose = field_text(v[D_PURPOSE]),
		.programme = field_text(v[D_PROGRAMME]),
		.sources = v[D_CREDENTIALS],
		.mapping = v[D_MAPPING],
		.conditions = v[D_CONDITIONS],
		.supersedes = v[D_SUPERSEDES],
		.credits = v[D_CREDITS],
		.unit = field_text(v[D_UNIT]),
		.appeal = v[D_APPEAL],
		.appeal_state = field_text(v[D_APPEAL_STATE]),
		.reason = field_text(v[D_REASON]),
		.side = field_text(v[D_SIDE]),
		.help = field_text(v[D_HELP]),
		.body = schema_check_body(KIND_DECISION, r->body, NULL),
	};
}

/* The held courses that the decision names; *others: it names more. */
static uint64_t named(const struct judge *j, struct slice credentials,
		      bool *others)
{
	uint64_t mask = 0;
	uint32_t n;
	struct dec d = list_open(credentials, &n);

	*others = false;
	for (; n > 0 && d.err == ERR_OK; n--) {
		struct slice id = field_text(dec_skip(&d));
		uint64_t before = mask;

		for (uint32_t i = 0; i < j->f->held_count; i++) {
			if (j->f->held[i].credential.body.n > 0 &&
			    slice_equal(j->f->held[i].id, id))
				mask |= (uint64_t)1 << i;
		}
		*others = *others || mask == before;
	}
	return mask;
}

static const char *test_decision(struct judge *j, struct candidate *c)
{
	bool others;

	if (slice_is(c->state, "withdrawn"))
		return "state";
	if (date_after(c->decided_on, j->q->as_of))
		return "decided-later";
	c->used = named(j, c->sources, &others);
	if (c->used != held_mask(j) || others)
		return "credentials";
	if (c->purpose.n > 0 && !slice_equal(c->purpose, j->q->purpose))
		return "purpose";
	if (c->programme.n > 0 && j->q->programme.n == 0)
		return "programme-not-given";
	if (c->programme.n > 0 && !slice_equal(c->programme, j->q->programme))
		return "programme";
	c->for_programme = c->programme.n > 0;
	if (c->body == BODY_INVALID)
		return "invalid-record";
	if (c->body != BODY_OK || !outcome_parse(c->outcome_text, &c->outcome))
		return "newer-format";
	return NULL;
}

/* A decision on other or more credentials, or for a programme, is told. */
static void hint(struct judge *j, const struct candidate *c)
{
	if (slice_is(slice_str(c->failed), "credentials") && c->used != 0)
		judge_say(j, &j->reasons, "other-decision",
			  judge_text(j,
				     "decision %v is on %v; ask about these "
				     "together",
				     c->id, list_join(j, c->sources)));
	if (slice_is(slice_str(c->failed), "programme-not-given"))
		judge_say(j, &j->reasons, "other-decision",
			  judge_text(j,
				     "decision %v is for programme %v; ask "
				     "with it",
				     c->id, c->programme));
}

bool is_unread(const struct candidate *c)
{
	return c->failed != NULL &&
	       (slice_is(slice_str(c->failed), "newer-format") ||
		slice_is(slice_str(c->failed), "invalid-record"));
}

static bool same_decision(const struct candidate *a, const struct candidate *b)
{
	return slice_equal(a->outcome_text, b->outcome_text) &&
	       slice_equal(a->mapping, b->mapping) &&
	       slice_equal(a->credits, b->credits) &&
	       slice_equal(a->unit, b->unit) &&
	       slice_equal(a->conditions, b->conditions);
}

static void add_conditions(struct judge *j, const struct candidate *c)
{
	uint32_t n;
	struct dec d = list_open(c->conditions, &n);
	struct slice one;
	struct said *s;

	for (; n > 0 && d.err == ERR_OK; n--) {
		one = dec_skip(&d);
		s = judge_say(j, &j->conditions, "decided",
			      dec_find_str(one, "text"));
		if (s == NULL)
			return;
		s->due = dec_find_str(one, "due");
		s->state = slice_is(dec_find_str(one, "state"), "met") ? "met"
								       : "open";
	}
}

static void apply_decision(struct judge *j, const struct candidate *c)
{
	struct part *p = judge_part(j, c->used, c->outcome, "decision");

	if (p == NULL)
		return;
	p->from = c;
	judge_option(j, p, c, slice_of(NULL, 0));
	judge_say(j, &j->reasons, "decision",
		  judge_text(j, "decision %v of %v is on %s", c->id,
			     c->decided_on,
			     j->f->held_count > 1 ? "exactly these credentials"
						  : "this credential"));
	judge_reasons_of(j, c);
	add_conditions(j, c);
	j->appeal = c->appeal;
	j->appeal_state = c->appeal_state;
	if (slice_is(c->appeal_state, "lodged"))
		judge_say(j, &j->reasons, "under-appeal",
			  judge_text(j, "an appeal against it is lodged"));
}

/* Those that apply and are most particular: for the programme before for
 * any. Moves them to the front; returns their number. */
static size_t particular(struct candidate *c, size_t n)
{
	bool programme = false;
	size_t kept = 0;
	struct candidate one;

	for (size_t i = 0; i < n; i++)
		programme = programme ||
			    (c[i].failed == NULL && c[i].for_programme);
	for (size_t i = 0; i < n; i++) {
		if (c[i].failed != NULL || c[i].for_programme != programme)
			continue;
		one = c[i];
		c[i] = c[kept];
		c[kept++] = one;
	}
	return kept;
}

/* Several in force on the same: one answers if they say the same. */
static void settle_decisions(struct judge *j, struct candidate *c, size_t n)
{
	const struct candidate *first = &c[0];
	struct part *p;
	bool same = true;

	for (size_t i = 1; i < n; i++) {
		same = same && same_decision(&c[0], &c[i]);
		if (compare_age(&c[i], first) < 0)
			first = &c[i];
	}
	if (same) {
		apply_decision(j, first);
		return;
	}
	p = judge_part(j, held_mask(j), OUTCOME_NEEDS_REVIEW, "decision");
	for (size_t i = 0; i < n; i++)
		judge_option(j, p, &c[i], slice_of(NULL, 0));
	judge_say(j, &j->reasons, "decisions-conflict",
		  judge_text(j,
			     "%u decisions in force contradict each other, "
			     "none was chosen",
			     (uint64_t)n));
	judge_say(j, &j->reasons, "settle",
		  judge_text(j, "%v states which of them supersedes the other",
			     j->q->by));
}

bool judge_decisions(struct judge *j)
{
	size_t n = j->f->decision_count;
	struct candidate *c;
	bool unread = false;

	if (n == 0)
		return false;
	c = judge_alloc(j, n * sizeof(*c));
	if (c == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		decision_read(&j->f->decisions[i], &c[i]);
	judge_supersede(j, c, n);
	for (size_t i = 0; i < n; i++) {
		if (c[i].superseded)
			continue;
		c[i].failed = test_decision(j, &c[i]);
		unread = unread || is_unread(&c[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (c[i].failed != NULL) {
			judge_consider(j, &c[i]);
			hint(j, &c[i]);
		}
		if (is_unread(&c[i]))
			judge_say(j, &j->reasons, c[i].failed,
				  judge_text(j,
					     "decision #%u says something "
					     "that this node does not "
					     "understand",
					     c[i].record->seq));
	}
	if (unread) {
		judge_part(j, held_mask(j), OUTCOME_NEEDS_REVIEW, "decision");
		return true;
	}
	n = particular(c, n);
	if (n > 0)
		settle_decisions(j, c, n);
	return n > 0;
}
