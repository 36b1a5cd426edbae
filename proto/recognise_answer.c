#include "recognise_impl.h"

#include "enc.h"

/* The answer document, PROTOCOL.md 12.8: canonical, so every map is written
 * in the order of its keys, and its pairs are counted before. */

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
