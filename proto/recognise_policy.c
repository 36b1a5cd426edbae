#include "recognise_impl.h"

/* Agreements and policies, PROTOCOL.md 12.6 and 12.7: standing clauses for
 * what no decision and no rule names, and limits on all but decisions. */

enum {
	P_APPEAL,
	P_CLAUSES,
	P_CONTACT,
	P_DECIDED_ON,
	P_DAYS,
	P_FROM,
	P_TO,
	P_GRADE_METHOD,
	P_LIMITS,
	P_PARTIES,
	P_POLICY,
	P_PURPOSES,
	P_STATE,
	P_SUPERSEDES,
	P_COUNT
};
static const struct slice policy_names[P_COUNT] = {
	NAME("appeal"),	      NAME("clauses"),	     NAME("contact"),
	NAME("decided_on"),   NAME("decision_days"), NAME("effective_from"),
	NAME("effective_to"), NAME("grade_method"),  NAME("limits"),
	NAME("parties"),      NAME("policy"),	     NAME("purposes"),
	NAME("state"),	      NAME("supersedes"),
};

/* ---- Which are in force, in which order ------------------------------- */

static void policy_read(const struct recognise_record *r, struct candidate *c)
{
	struct slice v[P_COUNT];

	fields_read(r->body, policy_names, P_COUNT, v);
	*c = (struct candidate){
		.record = r,
		.kind = "policy",
		.id = field_text(v[P_POLICY]),
		.state = field_text(v[P_STATE]),
		.decided_on = field_text(v[P_DECIDED_ON]),
		.purposes = v[P_PURPOSES],
		.achieved_from = field_text(v[P_FROM]),
		.achieved_to = field_text(v[P_TO]),
		.supersedes = v[P_SUPERSEDES],
		.sources = v[P_PARTIES],
		.set_size = list_count(v[P_PARTIES]),
		.targets = v[P_CLAUSES],
		.conditions = v[P_LIMITS],
		.appeal = v[P_APPEAL],
		.contact = field_text(v[P_CONTACT]),
		.days = field_uint(v[P_DAYS], 0),
		.grade_method = field_text(v[P_GRADE_METHOD]),
		.body = schema_check_body(KIND_POLICY, r->body, NULL),
	};
}

static const char *test_policy(const struct judge *j, const struct candidate *c)
{
	if (c->superseded)
		return "superseded";
	if (slice_is(c->state, "draft") || slice_is(c->state, "suspended") ||
	    slice_is(c->state, "withdrawn"))
		return "state";
	if (date_after(c->decided_on, j->q->as_of))
		return "decided-later";
	if (date_after(c->achieved_from, j->q->as_of))
		return "effective-from";
	if (date_after(j->q->as_of, c->achieved_to))
		return "effective-to";
	if (c->body == BODY_INVALID)
		return "invalid-record";
	if (c->purposes.n > 0 && !list_has(c->purposes, j->q->purpose))
		return c->body == BODY_OK ? "purpose" : "newer-format";
	return c->body == BODY_OK ? NULL : "newer-format";
}

/* Agreements first, those of fewer parties before; then policies; later
 * decisions before earlier ones. */
static int compare_policy(const struct candidate *a, const struct candidate *b)
{
	int order;

	if ((a->set_size == 0) != (b->set_size == 0))
		return a->set_size == 0 ? 1 : -1;
	if (a->set_size != b->set_size)
		return a->set_size < b->set_size ? -1 : 1;
	order = slice_compare(b->decided_on, a->decided_on);
	if (order == 0)
		order = slice_compare(b->achieved_from, a->achieved_from);
	return order != 0 ? order : slice_compare(a->id, b->id);
}

static void keep(struct judge *j, struct candidate *c)
{
	size_t at = j->policy_count++;

	for (; at > 0 && compare_policy(c, j->policies[at - 1]) < 0; at--)
		j->policies[at] = j->policies[at - 1];
	j->policies[at] = c;
}

void judge_load_policies(struct judge *j)
{
	size_t n = j->f->policy_count;
	struct candidate *c;

	if (n == 0)
		return;
	c = judge_alloc(j, n * sizeof(*c));
	j->policies = judge_alloc(j, n * sizeof(struct candidate *));
	if (j->err != ERR_OK)
		return;
	j->all_policies = c;
	for (size_t i = 0; i < n; i++)
		policy_read(&j->f->policies[i], &c[i]);
	judge_supersede(j, c, n);
	for (size_t i = 0; i < n; i++) {
		c[i].failed = test_policy(j, &c[i]);
		if (c[i].failed == NULL)
			keep(j, &c[i]);
	}
}

bool judge_review_policies(struct judge *j)
{
	bool readable = true;

	for (size_t i = 0; i < j->f->policy_count && j->err == ERR_OK; i++) {
		const struct candidate *c = &j->all_policies[i];

		if (c->failed != NULL)
			judge_consider(j, c);
		if (!is_unread(c))
			continue;
		readable = false;
		judge_say(j, &j->reasons, c->failed,
			  judge_text(j,
				     "policy %v (#%u) says something that "
				     "this node does not understand",
				     c->id, c->record->seq));
	}
	if (!readable)
		judge_part(j, held_mask(j), OUTCOME_NEEDS_REVIEW, "policy");
	return readable;
}

/* ---- Clauses ---------------------------------------------------------- */

enum {
	W_ASSESSMENTS,
	W_CLAIM,
	W_COUNTRIES,
	W_ECTS_MAX,
	W_ECTS_MIN,
	W_EQF_MAX,
	W_EQF_MIN,
	W_IDENTITY,
	W_ISCED,
	W_ISSUERS,
	W_LANGUAGES,
	W_AGE,
	W_PARTICIPATION,
	W_QA,
	W_TYPES,
	W_COUNT
};
static const struct slice when_names[W_COUNT] = {
	NAME("assessments"),   NAME("claim_strength_min"),
	NAME("countries"),     NAME("ects_max"),
	NAME("ects_min"),      NAME("eqf_max"),
	NAME("eqf_min"),       NAME("identity_check_min"),
	NAME("isced"),	       NAME("issuers"),
	NAME("languages"),     NAME("max_age_months"),
	NAME("participation"), NAME("qa"),
	NAME("types"),
};

uint64_t months_between(struct slice from, struct slice to)
{
	uint64_t a = 0, b = 0;

	if (!date_after(to, from))
		return 0;
	for (size_t i = 0; i < TEXT_DATE_BYTES; i++) {
		if (i == 4 || i == 7)
			continue;
		a = a * 10 + (uint64_t)(from.p[i] - '0');
		b = b * 10 + (uint64_t)(to.p[i] - '0');
	}
	return b / 10000 * 12 + b / 100 % 100 - a / 10000 * 12 - a / 100 % 100 -
	       (b % 100 < a % 100);
}

static bool any_isced(struct slice fields, struct slice prefixes)
{
	uint32_t n, m;
	struct slice prefix;
	struct dec p = list_open(prefixes, &n), f;

	for (; n > 0 && p.err == ERR_OK; n--) {
		prefix = field_text(dec_skip(&p));
		f = list_open(fields, &m);
		for (; m > 0 && f.err == ERR_OK; m--) {
			if (slice_starts(field_text(dec_skip(&f)), prefix))
				return true;
		}
	}
	return false;
}

static bool issued_by_one_of(const struct recognise_held *h, struct slice list)
{
	for (uint32_t i = 0; i < h->domain_count; i++) {
		if (list_has(list, h->domains[i]))
			return true;
	}
	return false;
}

static struct slice country_of(const struct course *c)
{
	struct slice own = field_text(c->o[OFFER_COUNTRY]);

	return own.n > 0 ? own : c->held->country;
}

static bool has_qa(const struct course *c)
{
	return list_count(c->o[OFFER_QA]) > 0;
}

/* Does one predicate hold? What is not known holds never. */
static bool holds(const struct judge *j, const struct course *c, unsigned which,
		  struct slice v)
{
	uint64_t want = field_uint(v, 0);
	uint64_t eqf = field_uint(c->o[OFFER_EQF], UINT64_MAX);
	uint64_t ects = course_ects(c);
	struct slice on = c->held->achieved_on;
	struct dec d;

	switch (which) {
	case W_ASSESSMENTS:
		return list_has(v, field_text(c->o[OFFER_ASSESSMENT]));
	case W_CLAIM:
		return at_least_as_strong(
			schema_claim_strengths,
			field_text(c->o[OFFER_CLAIM_STRENGTH]), field_text(v));
	case W_COUNTRIES:
		return list_has(v, country_of(c));
	case W_ECTS_MAX:
		return ects != UINT64_MAX && ects <= want;
	case W_ECTS_MIN:
		return ects != UINT64_MAX && ects >= want;
	case W_EQF_MAX:
		return eqf != UINT64_MAX && eqf <= want;
	case W_EQF_MIN:
		return eqf != UINT64_MAX && eqf >= want;
	case W_IDENTITY:
		return at_least_as_strong(schema_identity_checks,
					  course_identity_check(c),
					  field_text(v));
	case W_ISCED:
		return any_isced(c->o[OFFER_ISCED], v);
	case W_ISSUERS:
		return issued_by_one_of(c->held, v);
	case W_LANGUAGES:
		return lists_meet(c->o[OFFER_LANGUAGE], v);
	case W_AGE:
		return on.n > 0 && months_between(on, j->q->as_of) <= want;
	case W_PARTICIPATION:
		return lists_meet(c->o[OFFER_PARTICIPATION], v);
	case W_QA:
		dec_init(&d, v);
		return has_qa(c) == dec_bool(&d);
	default:
		return list_has(v, field_text(c->o[OFFER_TYPE]));
	}
}

static bool clause_holds(const struct judge *j, const struct course *c,
			 struct slice clause)
{
	struct slice when, v[W_COUNT];

	if (!dec_find(clause, "when", &when))
		return true;
	fields_read(when, when_names, W_COUNT, v);
	for (unsigned i = 0; i < W_COUNT; i++) {
		if (v[i].n > 0 && !holds(j, c, i, v[i]))
			return false;
	}
	return true;
}

static void add_conditions(struct judge *j, struct candidate *c,
			   struct slice list)
{
	uint32_t n;
	struct dec d = list_open(list, &n);

	for (; n > 0 && d.err == ERR_OK; n--) {
		condition_add(j, c, "clause", "open", field_text(dec_skip(&d)));
		if (c->outcome == OUTCOME_FULL)
			c->outcome = OUTCOME_CONDITIONAL;
	}
}

/* The clause @number of @policy answers for held course @i. */
static void apply_clause(struct judge *j, const struct candidate *policy,
			 struct slice clause, uint64_t number, uint32_t i)
{
	const char *kind = policy->set_size > 0 ? "agreement" : "policy";
	struct candidate *c = judge_alloc(j, sizeof(*c));
	struct slice effect, list, name = dec_find_str(clause, "clause");
	struct part *p;

	if (c == NULL || !dec_find(clause, "effect", &effect))
		return;
	*c = *policy;
	c->used = (uint64_t)1 << i;
	c->targets = slice_of(NULL, 0);
	if (dec_find(effect, "targets", &list))
		c->targets = list;
	if (!outcome_parse(dec_find_str(effect, "outcome"), &c->outcome))
		c->outcome = OUTCOME_UNDETERMINED; /* individual-assessment */
	if (dec_find(effect, "conditions", &list))
		add_conditions(j, c, list);
	c->reason = dec_find_str(effect, "reason");
	c->side = dec_find_str(effect, "side");
	c->help = dec_find_str(effect, "help");
	p = judge_part(j, c->used, c->outcome, kind);
	if (p == NULL)
		return;
	p->from = c;
	judge_option(j, p, c, slice_of(NULL, 0));
	said_join(&j->conditions, &c->met);
	if (name.n == 0)
		name = judge_text(j, "%u", number);
	judge_say(j, &j->reasons, kind,
		  judge_text(j, "clause %v of %s %v covers this course%s", name,
			     kind, c->id,
			     c->outcome == OUTCOME_UNDETERMINED
				     ? ": it is assessed individually"
				     : ""));
	judge_reasons_of(j, c);
}

/* The first clause of @policy that holds for held course @i. */
static bool try_policy(struct judge *j, const struct candidate *policy,
		       uint32_t i)
{
	const struct course *c = &j->courses[i];
	uint32_t n;
	struct dec d = list_open(policy->targets, &n);
	struct slice clause;

	if (policy->set_size > 0 && !issued_by_one_of(c->held, policy->sources))
		return false;
	for (uint32_t k = 1; k <= n && d.err == ERR_OK; k++) {
		clause = dec_skip(&d);
		if (clause_holds(j, c, clause)) {
			apply_clause(j, policy, clause, k, i);
			return true;
		}
	}
	return false;
}

uint64_t judge_policies(struct judge *j, uint64_t left)
{
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		for (size_t k = 0; k < j->policy_count; k++) {
			if ((left >> i & 1) == 0)
				break;
			if (try_policy(j, j->policies[k], i))
				left &= ~((uint64_t)1 << i);
		}
	}
	return left;
}
