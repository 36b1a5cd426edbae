#include "judge.h"

#include "enc.h"

/* The answer document, PROTOCOL.md 12.8: canonical, so every map is written
 * in the order of its keys, and its pairs are counted before. */

static void put_text(struct enc *e, const char *key, struct slice text)
{
	if (text.n == 0)
		return;
	enc_cstr(e, key);
	enc_str(e, text);
}

static void put_uint(struct enc *e, const char *key, uint64_t v)
{
	enc_cstr(e, key);
	enc_uint(e, v);
}

static const struct recognise_log *log_of(const struct judge *j,
					  const struct recognise_record *r)
{
	assert(r->log < j->f->log_count);
	return &j->f->logs[r->log];
}

static void put_said(struct enc *e, const char *key, const struct said_list *l)
{
	enc_cstr(e, key);
	enc_array(e, l->count);
	for (const struct said *s = l->first; s != NULL; s = s->next) {
		enc_map(e, 2u + (s->due.n > 0) + (s->side.n > 0) +
				   (s->state != NULL));
		put_text(e, "code", slice_str(s->code));
		put_text(e, "due", s->due);
		put_text(e, "side", s->side);
		if (s->state != NULL)
			put_text(e, "state", slice_str(s->state));
		enc_cstr(e, "text");
		enc_str(e, s->text);
	}
}

/* ---- Targets ---------------------------------------------------------- */

/* Put the items of an encoded list; only count them when @e is NULL. */
static uint32_t put_items(struct enc *e, struct slice list)
{
	uint32_t n, count = 0;
	struct dec d = list_open(list, &n);
	struct slice item;

	for (; n > 0 && d.err == ERR_OK; n--) {
		item = dec_skip(&d);
		if (d.err != ERR_OK)
			break;
		count++;
		if (e != NULL)
			enc_raw(e, item);
	}
	return count;
}

/* A decision's targets are what its mappings lead to. */
static uint32_t put_mapped(struct enc *e, struct slice mapping)
{
	uint32_t n, count = 0;
	struct dec d = list_open(mapping, &n);
	struct slice to;

	for (; n > 0 && d.err == ERR_OK; n--) {
		if (dec_find(dec_skip(&d), "to", &to))
			count += put_items(e, to);
	}
	return count;
}

static uint32_t put_option(struct enc *e, const struct option *o)
{
	if (o->target.n > 0) {
		if (e != NULL)
			enc_raw(e, o->target);
		return 1;
	}
	return o->from->mapping.n > 0 ? put_mapped(e, o->from->mapping)
				      : put_items(e, o->from->targets);
}

/* What is granted: not what is only one of several ways. */
static uint32_t put_granted(struct enc *e, const struct part *p)
{
	if (p->option_count != 1 || p->outcome == OUTCOME_REFUSED)
		return 0;
	return put_option(e, p->options);
}

static void put_targets(struct enc *e, const struct part *parts, bool all)
{
	const struct part *p;
	uint32_t n = 0;

	for (p = parts; p != NULL; p = all ? p->next : NULL)
		n += put_granted(NULL, p);
	enc_cstr(e, "targets");
	enc_array(e, n);
	for (p = parts; p != NULL; p = all ? p->next : NULL)
		put_granted(e, p);
}

static uint32_t twin_count(const struct candidate *c)
{
	uint32_t n = 0;

	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		n++;
	return n;
}

static void put_twins(struct enc *e, const struct candidate *c)
{
	uint32_t n = twin_count(c);

	if (n == 0)
		return;
	enc_cstr(e, "duplicates");
	enc_array(e, n);
	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		enc_str(e, t->id);
}

static void put_alternative(struct judge *j, struct enc *e,
			    const struct option *o)
{
	const struct candidate *c = o->from;

	enc_map(e, 7u + (c->twin != NULL));
	put_said(e, "conditions", &c->met);
	put_twins(e, c);
	enc_cstr(e, "id");
	enc_str(e, c->id);
	put_text(e, "kind", slice_str(c->kind));
	enc_cstr(e, "member");
	enc_str(e, log_of(j, c->record)->member);
	put_text(e, "outcome", slice_str(recognise_outcome_name(c->outcome)));
	put_uint(e, "seq", c->record->seq);
	enc_cstr(e, "targets");
	enc_array(e, put_option(NULL, o));
	put_option(e, o);
}

static void put_alternatives(struct judge *j, struct enc *e)
{
	const struct option *o;
	uint32_t n = 0;

	for (const struct part *p = j->parts; p != NULL; p = p->next)
		n += p->option_count > 1 ? p->option_count : 0;
	enc_cstr(e, "alternatives");
	enc_array(e, n);
	for (const struct part *p = j->parts; p != NULL; p = p->next) {
		o = p->option_count > 1 ? p->options : NULL;
		for (; o != NULL; o = o->next)
			put_alternative(j, e, o);
	}
}

/* ---- Evidence --------------------------------------------------------- */

static void put_record(struct judge *j, struct enc *e, const char *kind,
		       struct slice id, const struct recognise_record *r)
{
	const struct recognise_log *log = log_of(j, r);

	put_text(e, "id", id);
	put_text(e, "kind", slice_str(kind));
	put_text(e, "member", log->member);
	put_uint(e, "seq", r->seq);
	put_uint(e, "size", log->size);
}

/* Put the entry, or only count it when @e is NULL. */
static uint32_t put_ground(struct judge *j, struct enc *e,
			   const struct candidate *c)
{
	if (e == NULL)
		return 1;
	enc_map(e,
		4u + (c->id.n > 0) + (c->decided_on.n > 0) + (c->twin != NULL));
	put_text(e, "decided_on", c->decided_on);
	put_twins(e, c);
	put_record(j, e, c->kind, c->id, c->record);
	return 1;
}

static uint32_t put_fact(struct judge *j, struct enc *e, const char *kind,
			 struct slice id, const struct recognise_record *r)
{
	if (r->body.n == 0)
		return 0;
	if (e != NULL) {
		enc_map(e, 4u + (id.n > 0));
		put_record(j, e, kind, id, r);
	}
	return 1;
}

static uint32_t put_part_grounds(struct judge *j, struct enc *e,
				 const struct part *p)
{
	const struct candidate *last = NULL;
	uint32_t n = 0;

	for (const struct option *o = p->options; o != NULL; o = o->next) {
		if (o->from != last)
			n += put_ground(j, e, o->from);
		last = o->from;
	}
	return n;
}

static uint32_t put_held_facts(struct judge *j, struct enc *e, uint32_t i)
{
	const struct recognise_held *h = &j->f->held[i];
	uint32_t n = 0;

	if (j->states[i] != NULL)
		n += put_fact(j, e, "status", slice_of(NULL, 0), j->states[i]);
	n += put_fact(j, e, "credential",
		      dec_find_str(h->credential.body, "credential"),
		      &h->credential);
	n += put_fact(j, e, "offer", dec_find_str(h->offer.body, "offer"),
		      &h->offer);
	return n;
}

static uint32_t put_grounds(struct judge *j, struct enc *e)
{
	uint32_t n = 0;

	for (const struct part *p = j->parts; p != NULL; p = p->next)
		n += put_part_grounds(j, e, p);
	for (size_t i = 0; i < j->policy_count; i++) {
		if (j->policies[i]->limits)
			n += put_ground(j, e, j->policies[i]);
	}
	for (uint32_t i = 0; i < j->f->held_count; i++)
		n += put_held_facts(j, e, i);
	return n;
}

static void put_basis(struct judge *j, struct enc *e)
{
	enc_cstr(e, "basis");
	enc_array(e, put_grounds(j, NULL));
	put_grounds(j, e);
}

static void put_considered(struct judge *j, struct enc *e)
{
	if (!j->q->explain)
		return;
	enc_cstr(e, "considered");
	enc_array(e, j->considered_count);
	for (const struct considered *c = j->considered; c != NULL;
	     c = c->next) {
		enc_map(e, 6);
		put_text(e, "failed", slice_str(c->what->failed));
		enc_cstr(e, "id");
		enc_str(e, c->what->id);
		put_text(e, "kind", slice_str(c->what->kind));
		enc_cstr(e, "member");
		enc_str(e, log_of(j, c->what->record)->member);
		put_uint(e, "seq", c->what->record->seq);
		enc_cstr(e, "text");
		enc_str(e, c->text);
	}
}

/* ---- The copy that was asked ------------------------------------------ */

static void put_freshness(struct judge *j, struct enc *e)
{
	uint32_t first = j->f->has_log ? 0 : 1;

	enc_cstr(e, "freshness");
	enc_array(e, j->f->log_count - first);
	for (uint32_t i = first; i < j->f->log_count; i++) {
		const struct recognise_log *l = &j->f->logs[i];

		enc_map(e, 6);
		put_uint(e, "age_ms", l->age_ms);
		enc_cstr(e, "complete");
		enc_bool(e, l->complete);
		put_uint(e, "heard_ms", l->heard_ms);
		put_text(e, "member", l->member);
		enc_cstr(e, "own");
		enc_bool(e, l->own);
		put_uint(e, "size", l->size);
	}
}

/* Kinds whose absence could change the answer, in the order of their names. */
static const struct {
	const char *name;
	uint32_t bit;
} kinds[] = {
	{ "credential", 1u << KIND_CREDENTIAL },
	{ "decision", 1u << KIND_DECISION },
	{ "offer", 1u << KIND_OFFER },
	{ "policy", 1u << KIND_POLICY },
	{ "rule", 1u << KIND_RULE },
	{ "status", 1u << KIND_STATUS },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* Bits of the kinds withheld in log @i that could matter here. */
static uint32_t withheld(const struct judge *j, uint32_t i)
{
	const struct recognise_held *h;
	uint32_t wanted = 0;

	if (i == 0)
		wanted = 1u << KIND_RULE | 1u << KIND_POLICY;
	for (uint32_t k = 0; k < j->f->held_count; k++) {
		h = &j->f->held[k];
		if (i == 0 && !h->is_offer)
			wanted |= 1u << KIND_DECISION;
		if (i != h->log)
			continue;
		if (!h->is_offer)
			wanted |= 1u << KIND_STATUS;
		if (h->unreadable)
			wanted |= 1u << KIND_CREDENTIAL;
		if (h->offer.body.n == 0)
			wanted |= 1u << KIND_OFFER;
	}
	return j->f->logs[i].withheld & wanted;
}

static uint32_t count_kinds(uint32_t bits)
{
	uint32_t n = 0;

	for (size_t k = 0; k < KINDS; k++)
		n += (bits & kinds[k].bit) != 0;
	return n;
}

static void put_incomplete(struct judge *j, struct enc *e)
{
	uint32_t n = 0, bits;

	for (uint32_t i = 0; i < j->f->log_count; i++)
		n += withheld(j, i) != 0;
	enc_cstr(e, "incomplete");
	enc_array(e, n);
	for (uint32_t i = 0; i < j->f->log_count; i++) {
		bits = withheld(j, i);
		if (bits == 0)
			continue;
		enc_map(e, 2);
		enc_cstr(e, "kinds");
		enc_array(e, count_kinds(bits));
		for (size_t k = 0; k < KINDS; k++) {
			if (bits & kinds[k].bit)
				enc_cstr(e, kinds[k].name);
		}
		put_text(e, "member", j->f->logs[i].member);
	}
}

/* ---- The subject ------------------------------------------------------ */

static void put_grade(struct judge *j, struct enc *e, struct slice grade)
{
	struct slice scheme = dec_find_str(grade, "scheme");
	const char *reason = "no-table";

	for (size_t i = 0; i < j->policy_count; i++) {
		if (slice_is(j->policies[i]->grade_method, "pass-only"))
			reason = "pass-only";
	}
	enc_cstr(e, "grade");
	enc_map(e, 3u + (scheme.n > 0));
	enc_cstr(e, "converted");
	enc_bool(e, false);
	put_text(e, "reason", slice_str(reason));
	put_text(e, "scheme", scheme);
	enc_cstr(e, "value");
	enc_str(e, dec_find_str(grade, "value"));
}

static struct slice state_of(const struct judge *j, uint32_t i)
{
	const struct recognise_held *h = &j->f->held[i];

	if (h->is_offer || h->unreadable)
		return slice_of(NULL, 0);
	if (j->states[i] == NULL)
		return slice_str("valid");
	return dec_find_str(j->states[i]->body, "state");
}

static void put_held(struct judge *j, struct enc *e, uint32_t i)
{
	const struct recognise_held *h = &j->f->held[i];
	struct slice title = { NULL, 0 }, grade = { NULL, 0 };
	struct slice state = state_of(j, i);
	uint64_t ects = held_ects(h);
	uint64_t eqf = dec_find_uint(h->offer.body, "eqf", UINT64_MAX);

	if (dec_find(h->offer.body, "title", &title))
		title = language_text(title);
	dec_find(h->credential.body, "grade", &grade);
	enc_map(e, 3u + (h->achieved_on.n > 0) + (h->code.n > 0) +
			   (ects != UINT64_MAX) + (eqf != UINT64_MAX) +
			   (grade.n > 0) + (state.n > 0) + (title.n > 0));
	put_text(e, "achieved_on", h->achieved_on);
	put_text(e, "code", h->code);
	if (ects != UINT64_MAX)
		put_uint(e, "ects", ects);
	if (eqf != UINT64_MAX)
		put_uint(e, "eqf", eqf);
	if (grade.n > 0)
		put_grade(j, e, grade);
	if (!h->is_offer)
		put_text(e, "id", h->id);
	put_text(e, "issuer", h->issuer);
	if (h->is_offer)
		put_text(e, "offer", h->id);
	put_text(e, "state", state);
	put_text(e, "title", title);
	enc_cstr(e, "verified");
	enc_bool(e, h->offer.body.n > 0);
}

static void put_subject(struct judge *j, struct enc *e)
{
	enc_cstr(e, "subject");
	enc_array(e, j->f->held_count);
	for (uint32_t i = 0; i < j->f->held_count; i++)
		put_held(j, e, i);
}

/* What was earned in all; false: one does not say. */
static bool earned(const struct judge *j, uint64_t *sum)
{
	uint64_t ects;

	*sum = 0;
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		ects = held_ects(&j->f->held[i]);
		if (ects == UINT64_MAX)
			return false;
		*sum += ects;
	}
	return true;
}

/* What is recognised in all, if every part states it in one unit. */
static bool recognised(const struct judge *j, uint64_t *sum, struct slice *unit)
{
	const struct part *p = j->parts;

	*sum = 0;
	if (j->cap == 0)
		return true;
	for (; p != NULL; p = p->next) {
		if (p->outcome > OUTCOME_CONDITIONAL || !p->has_credits)
			return false;
		if (p != j->parts && !slice_equal(p->unit, *unit))
			return false;
		*unit = p->unit;
		*sum += p->credits;
	}
	if (unit_is_ects(*unit) && *sum > j->cap)
		*sum = j->cap;
	return j->parts != NULL;
}

static void put_credits(struct judge *j, struct enc *e)
{
	uint64_t have, given;
	struct slice unit = { NULL, 0 };
	bool has_earned = earned(j, &have);
	bool has_given = recognised(j, &given, &unit);

	enc_cstr(e, "credits");
	enc_map(e, (uint32_t)has_earned + (has_given ? 2 : 0));
	if (has_earned)
		put_uint(e, "earned", have);
	if (!has_given)
		return;
	put_uint(e, "recognised", given);
	put_text(e, "unit", unit.n > 0 ? unit : slice_str("ECTS"));
}

/* ---- The whole -------------------------------------------------------- */

/* One word for several parts, PROTOCOL.md 12.5.8. */
static enum recognise_outcome overall(const struct judge *j)
{
	uint32_t seen[OUTCOME_NOT_EVALUABLE + 1] = { 0 };
	uint32_t given;

	for (const struct part *p = j->parts; p != NULL; p = p->next)
		seen[p->outcome]++;
	for (unsigned o = 0; o <= OUTCOME_NOT_EVALUABLE; o++) {
		if (seen[o] == j->part_count)
			return (enum recognise_outcome)o;
	}
	if (seen[OUTCOME_NEEDS_REVIEW] > 0)
		return OUTCOME_NEEDS_REVIEW;
	given = seen[OUTCOME_FULL] + seen[OUTCOME_PARTIAL] +
		seen[OUTCOME_CONDITIONAL];
	if (given == 0)
		return OUTCOME_UNDETERMINED;
	if (given < j->part_count || seen[OUTCOME_PARTIAL] > 0)
		return OUTCOME_PARTIAL;
	return OUTCOME_CONDITIONAL;
}

static const char *standing(const struct judge *j)
{
	for (const struct part *p = j->parts->next; p != NULL; p = p->next) {
		if (!slice_is(slice_str(p->standing), j->parts->standing))
			return "several";
	}
	return j->parts->standing;
}

static void put_part(struct judge *j, struct enc *e, const struct part *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->f->held_count; i++)
		n += (uint32_t)(p->used >> i & 1);
	enc_map(e, 4);
	put_text(e, "outcome", slice_str(recognise_outcome_name(p->outcome)));
	put_text(e, "standing", slice_str(p->standing));
	enc_cstr(e, "subject");
	enc_array(e, n);
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if (p->used >> i & 1)
			enc_str(e, j->f->held[i].id);
	}
	put_targets(e, p, false);
}

static void put_parts(struct judge *j, struct enc *e)
{
	if (j->part_count < 2)
		return;
	enc_cstr(e, "parts");
	enc_array(e, j->part_count);
	for (const struct part *p = j->parts; p != NULL; p = p->next)
		put_part(j, e, p);
}

/* Where to apply: of a policy, else of the institution's own record. */
static struct slice find_contact(const struct judge *j)
{
	static const char *const roles[] = { "recognition", "admissions",
					     "international", "registrar" };
	struct slice contacts, one;
	uint32_t n;
	struct dec d;

	for (size_t i = 0; i < j->policy_count; i++) {
		if (j->policies[i]->contact.n > 0)
			return j->policies[i]->contact;
	}
	if (!dec_find(j->f->institution.body, "contacts", &contacts))
		return j->f->contact;
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		for (d = list_open(contacts, &n); n > 0 && d.err == ERR_OK;
		     n--) {
			one = dec_skip(&d);
			if (slice_is(dec_find_str(one, "role"), roles[i]))
				return dec_find_str(one, "mailbox");
		}
	}
	return j->f->contact;
}

/* What of the policies in force is told beside any answer. */
static void find_manners(struct judge *j)
{
	j->contact = find_contact(j);
	for (size_t i = 0; i < j->policy_count; i++) {
		const struct candidate *c = j->policies[i];

		if (j->appeal.n == 0)
			j->appeal = c->appeal;
		if (j->decision_days == 0)
			j->decision_days = c->days;
	}
}

static uint32_t count_top(const struct judge *j)
{
	return 16u + (j->appeal.n > 0) + (j->appeal_state.n > 0) +
	       (j->cause != NULL) + j->q->explain + (j->contact.n > 0) +
	       (j->decision_days > 0) + (j->mapping.n > 0) +
	       (j->part_count > 1) + (j->q->programme.n > 0);
}

static void put_first_half(struct judge *j, struct enc *e)
{
	put_alternatives(j, e);
	if (j->appeal.n > 0) {
		enc_cstr(e, "appeal");
		enc_raw(e, j->appeal);
	}
	put_text(e, "appeal_state", j->appeal_state);
	put_text(e, "as_of", j->q->as_of);
	put_basis(j, e);
	put_text(e, "by", j->q->by);
	if (j->cause != NULL)
		put_text(e, "cause", slice_str(j->cause));
	put_said(e, "conditions", &j->conditions);
	put_considered(j, e);
	put_text(e, "contact", j->contact);
	put_credits(j, e);
	if (j->decision_days > 0)
		put_uint(e, "decision_days", j->decision_days);
	put_freshness(j, e);
	put_incomplete(j, e);
}

static void put_second_half(struct judge *j, struct enc *e)
{
	put_said(e, "limits", &j->limits);
	if (j->mapping.n > 0) {
		enc_cstr(e, "mapping");
		enc_raw(e, j->mapping);
	}
	put_text(e, "outcome", slice_str(recognise_outcome_name(overall(j))));
	put_parts(j, e);
	put_text(e, "programme", j->q->programme);
	put_text(e, "purpose", j->q->purpose);
	put_said(e, "reasons", &j->reasons);
	put_text(e, "standing", slice_str(standing(j)));
	put_subject(j, e);
	put_targets(e, j->parts, true);
	put_uint(e, "v", 1);
}

enum err judge_write(struct judge *j, struct buf *out)
{
	size_t before = out->n;
	struct enc e;

	assert(j->parts != NULL);
	if (j->part_count == 1 && j->parts->from != NULL)
		j->mapping = j->parts->from->mapping;
	find_manners(j);
	enc_init(&e, out);
	enc_map(&e, count_top(j));
	put_first_half(j, &e);
	put_second_half(j, &e);
	if (out->err == ERR_OK && out->n - before > LIMIT_ANSWER_BYTES)
		return ERR_LIMIT;
	return enc_finish(&e);
}
