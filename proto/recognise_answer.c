#include "recognise_impl.h"

#include <string.h>

#include "enc.h"

/* The answer document, PROTOCOL.md 12.8: canonical, so every map is written
 * in the order of its keys, and its pairs are counted before. */

/* Strings below 32 bytes have one byte before them: most of an answer. */
static void put_str(struct enc *e, struct slice s)
{
	uint8_t *at;

	if (s.n >= 32) {
		enc_str(e, s);
		return;
	}
	at = buf_extend(e->out, s.n + 1);
	if (at == NULL)
		return;
	at[0] = (uint8_t)(0xa0 | s.n);
	if (s.n > 0)
		memcpy(at + 1, s.p, s.n);
}

static void put_key(struct enc *e, struct slice key)
{
	put_str(e, key);
}

static void put_text(struct enc *e, struct slice key, struct slice text)
{
	if (text.n == 0)
		return;
	put_key(e, key);
	put_str(e, text);
}

static void put_uint(struct enc *e, struct slice key, uint64_t v)
{
	put_key(e, key);
	enc_uint(e, v);
}

static const struct recognise_log *log_of(const struct judge *j,
					  const struct recognise_record *r)
{
	assert(r->log < j->f->log_count);
	return &j->f->logs[r->log];
}

static void put_said(struct enc *e, struct slice key, const struct said_list *l)
{
	put_key(e, key);
	enc_array(e, l->count);
	for (const struct said *s = l->first; s != NULL; s = s->next) {
		enc_map(e, 2u + (s->due.n > 0) + (s->side.n > 0) +
				   (s->state != NULL));
		put_text(e, SLICE_LIT("code"), slice_str(s->code));
		put_text(e, SLICE_LIT("due"), s->due);
		put_text(e, SLICE_LIT("side"), s->side);
		if (s->state != NULL)
			put_text(e, SLICE_LIT("state"), slice_str(s->state));
		put_key(e, SLICE_LIT("text"));
		put_str(e, s->text);
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
	put_key(e, SLICE_LIT("targets"));
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
	put_key(e, SLICE_LIT("duplicates"));
	enc_array(e, n);
	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		enc_str(e, t->id);
}

static void put_alternative(struct judge *j, struct enc *e,
			    const struct option *o)
{
	const struct candidate *c = o->from;

	enc_map(e, 7u + (c->twin != NULL));
	put_said(e, SLICE_LIT("conditions"), &c->met);
	put_twins(e, c);
	put_key(e, SLICE_LIT("id"));
	enc_str(e, c->id);
	put_text(e, SLICE_LIT("kind"), slice_str(c->kind));
	put_key(e, SLICE_LIT("member"));
	enc_str(e, log_of(j, c->record)->member);
	put_text(e, SLICE_LIT("outcome"),
		 slice_str(recognise_outcome_name(c->outcome)));
	put_uint(e, SLICE_LIT("seq"), c->record->seq);
	put_key(e, SLICE_LIT("targets"));
	enc_array(e, put_option(NULL, o));
	put_option(e, o);
}

static void put_alternatives(struct judge *j, struct enc *e)
{
	const struct option *o;
	uint32_t n = 0;

	for (const struct part *p = j->parts; p != NULL; p = p->next)
		n += p->option_count > 1 ? p->option_count : 0;
	put_key(e, SLICE_LIT("alternatives"));
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

	put_text(e, SLICE_LIT("id"), id);
	put_text(e, SLICE_LIT("kind"), slice_str(kind));
	put_text(e, SLICE_LIT("member"), log->member);
	put_uint(e, SLICE_LIT("seq"), r->seq);
	put_uint(e, SLICE_LIT("size"), log->size);
}

/* Put the entry, or only count it when @e is NULL. */
static uint32_t put_ground(struct judge *j, struct enc *e,
			   const struct candidate *c)
{
	if (e == NULL)
		return 1;
	enc_map(e,
		4u + (c->id.n > 0) + (c->decided_on.n > 0) + (c->twin != NULL));
	put_text(e, SLICE_LIT("decided_on"), c->decided_on);
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
	const struct course *c = &j->courses[i];
	const struct recognise_held *h = c->held;
	uint32_t n = 0;

	if (c->status != NULL)
		n += put_fact(j, e, "status", slice_of(NULL, 0), c->status);
	n += put_fact(j, e, "credential", field_text(c->c[CREDENTIAL_ID]),
		      &h->credential);
	n += put_fact(j, e, "offer", field_text(c->o[OFFER_ID]), &h->offer);
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
	put_key(e, SLICE_LIT("basis"));
	enc_array(e, put_grounds(j, NULL));
	put_grounds(j, e);
}

static void put_considered(struct judge *j, struct enc *e)
{
	if (!j->q->explain)
		return;
	put_key(e, SLICE_LIT("considered"));
	enc_array(e, j->considered_count);
	for (const struct considered *c = j->considered; c != NULL;
	     c = c->next) {
		enc_map(e, 6);
		put_text(e, SLICE_LIT("failed"), slice_str(c->what->failed));
		put_key(e, SLICE_LIT("id"));
		enc_str(e, c->what->id);
		put_text(e, SLICE_LIT("kind"), slice_str(c->what->kind));
		put_key(e, SLICE_LIT("member"));
		enc_str(e, log_of(j, c->what->record)->member);
		put_uint(e, SLICE_LIT("seq"), c->what->record->seq);
		put_key(e, SLICE_LIT("text"));
		enc_str(e, c->text);
	}
}

/* ---- The copy that was asked ------------------------------------------ */

static void put_freshness(struct judge *j, struct enc *e)
{
	uint32_t first = j->f->has_log ? 0 : 1;

	put_key(e, SLICE_LIT("freshness"));
	enc_array(e, j->f->log_count - first);
	for (uint32_t i = first; i < j->f->log_count; i++) {
		const struct recognise_log *l = &j->f->logs[i];

		enc_map(e, 6);
		put_uint(e, SLICE_LIT("age_ms"), l->age_ms);
		put_key(e, SLICE_LIT("complete"));
		enc_bool(e, l->complete);
		put_uint(e, SLICE_LIT("heard_ms"), l->heard_ms);
		put_text(e, SLICE_LIT("member"), l->member);
		put_key(e, SLICE_LIT("own"));
		enc_bool(e, l->own);
		put_uint(e, SLICE_LIT("size"), l->size);
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
	put_key(e, SLICE_LIT("incomplete"));
	enc_array(e, n);
	for (uint32_t i = 0; i < j->f->log_count; i++) {
		bits = withheld(j, i);
		if (bits == 0)
			continue;
		enc_map(e, 2);
		put_key(e, SLICE_LIT("kinds"));
		enc_array(e, count_kinds(bits));
		for (size_t k = 0; k < KINDS; k++) {
			if (bits & kinds[k].bit)
				enc_cstr(e, kinds[k].name);
		}
		put_text(e, SLICE_LIT("member"), j->f->logs[i].member);
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
	put_key(e, SLICE_LIT("grade"));
	enc_map(e, 3u + (scheme.n > 0));
	put_key(e, SLICE_LIT("converted"));
	enc_bool(e, false);
	put_text(e, SLICE_LIT("reason"), slice_str(reason));
	put_text(e, SLICE_LIT("scheme"), scheme);
	put_key(e, SLICE_LIT("value"));
	enc_str(e, dec_find_str(grade, "value"));
}

static struct slice state_of(const struct judge *j, uint32_t i)
{
	const struct recognise_held *h = &j->f->held[i];

	if (h->is_offer || h->unreadable)
		return slice_of(NULL, 0);
	if (j->courses[i].status == NULL)
		return slice_str("valid");
	return dec_find_str(j->courses[i].status->body, "state");
}

static void put_held(struct judge *j, struct enc *e, uint32_t i)
{
	const struct course *c = &j->courses[i];
	const struct recognise_held *h = c->held;
	struct slice title = language_text(c->o[OFFER_TITLE]);
	struct slice grade = c->c[CREDENTIAL_GRADE];
	struct slice state = state_of(j, i);
	uint64_t ects = course_ects(c);
	uint64_t eqf = field_uint(c->o[OFFER_EQF], UINT64_MAX);

	enc_map(e, 3u + (h->achieved_on.n > 0) + (h->code.n > 0) +
			   (ects != UINT64_MAX) + (eqf != UINT64_MAX) +
			   (grade.n > 0) + (state.n > 0) + (title.n > 0));
	put_text(e, SLICE_LIT("achieved_on"), h->achieved_on);
	put_text(e, SLICE_LIT("code"), h->code);
	if (ects != UINT64_MAX)
		put_uint(e, SLICE_LIT("ects"), ects);
	if (eqf != UINT64_MAX)
		put_uint(e, SLICE_LIT("eqf"), eqf);
	if (grade.n > 0)
		put_grade(j, e, grade);
	if (!h->is_offer)
		put_text(e, SLICE_LIT("id"), h->id);
	put_text(e, SLICE_LIT("issuer"), h->issuer);
	if (h->is_offer)
		put_text(e, SLICE_LIT("offer"), h->id);
	put_text(e, SLICE_LIT("state"), state);
	put_text(e, SLICE_LIT("title"), title);
	put_key(e, SLICE_LIT("verified"));
	enc_bool(e, h->offer.body.n > 0);
}

static void put_subject(struct judge *j, struct enc *e)
{
	put_key(e, SLICE_LIT("subject"));
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
		ects = course_ects(&j->courses[i]);
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

	put_key(e, SLICE_LIT("credits"));
	enc_map(e, (uint32_t)has_earned + (has_given ? 2 : 0));
	if (has_earned)
		put_uint(e, SLICE_LIT("earned"), have);
	if (!has_given)
		return;
	put_uint(e, SLICE_LIT("recognised"), given);
	put_text(e, SLICE_LIT("unit"), unit.n > 0 ? unit : slice_str("ECTS"));
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
	put_text(e, SLICE_LIT("outcome"),
		 slice_str(recognise_outcome_name(p->outcome)));
	put_text(e, SLICE_LIT("standing"), slice_str(p->standing));
	put_key(e, SLICE_LIT("subject"));
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
	put_key(e, SLICE_LIT("parts"));
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
		put_key(e, SLICE_LIT("appeal"));
		enc_raw(e, j->appeal);
	}
	put_text(e, SLICE_LIT("appeal_state"), j->appeal_state);
	put_text(e, SLICE_LIT("as_of"), j->q->as_of);
	put_basis(j, e);
	put_text(e, SLICE_LIT("by"), j->q->by);
	if (j->cause != NULL)
		put_text(e, SLICE_LIT("cause"), slice_str(j->cause));
	put_said(e, SLICE_LIT("conditions"), &j->conditions);
	put_considered(j, e);
	put_text(e, SLICE_LIT("contact"), j->contact);
	put_credits(j, e);
	if (j->decision_days > 0)
		put_uint(e, SLICE_LIT("decision_days"), j->decision_days);
	put_freshness(j, e);
	put_incomplete(j, e);
}

static void put_second_half(struct judge *j, struct enc *e)
{
	put_said(e, SLICE_LIT("limits"), &j->limits);
	if (j->mapping.n > 0) {
		put_key(e, SLICE_LIT("mapping"));
		enc_raw(e, j->mapping);
	}
	put_text(e, SLICE_LIT("outcome"),
		 slice_str(recognise_outcome_name(overall(j))));
	put_parts(j, e);
	put_text(e, SLICE_LIT("programme"), j->q->programme);
	put_text(e, SLICE_LIT("purpose"), j->q->purpose);
	put_said(e, SLICE_LIT("reasons"), &j->reasons);
	put_text(e, SLICE_LIT("standing"), slice_str(standing(j)));
	put_subject(j, e);
	put_targets(e, j->parts, true);
	put_uint(e, SLICE_LIT("v"), 1);
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
