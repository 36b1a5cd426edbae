#include "recognise_impl.h"

#include "enc.h"

/* What an answer is about: the held courses and their credits. */

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

	struct slice state = SLICE_LIT("valid");

	if (h->is_offer || h->unreadable)
		return slice_of(NULL, 0);
	if (j->courses[i].status != NULL)
		state = dec_find_str(j->courses[i].status->body, "state");
	if (!slice_is(state, "valid"))
		return state;
	if (h->newer > 0)
		return slice_str("replaced");
	return h->state_unknown ? slice_str("unknown") : state;
}

/* An offer's, when it is not simply published or running. */
static struct slice offer_state(const struct course *c)
{
	struct slice state = field_text(c->o[OFFER_STATE]);

	return slice_is(state, "published") || slice_is(state, "running")
		       ? slice_of(NULL, 0)
		       : state;
}

static void put_held(struct judge *j, struct enc *e, uint32_t i)
{
	const struct course *c = &j->courses[i];
	const struct recognise_held *h = c->held;
	struct slice title = language_text(c->o[OFFER_TITLE]);
	struct slice grade = c->c[CREDENTIAL_GRADE];
	struct slice state = state_of(j, i);
	struct slice offered = offer_state(c);
	uint64_t ects = course_ects(c);
	uint64_t eqf = field_uint(c->o[OFFER_EQF], UINT64_MAX);

	enc_map(e, 3u + (h->achieved_on.n > 0) + (h->code.n > 0) +
			   (ects != UINT64_MAX) + (eqf != UINT64_MAX) +
			   (grade.n > 0) + (state.n > 0) + (title.n > 0) +
			   (offered.n > 0) + h->edition_missing);
	put_text(e, SLICE_LIT("achieved_on"), h->achieved_on);
	put_text(e, SLICE_LIT("code"), h->code);
	if (ects != UINT64_MAX)
		put_uint(e, SLICE_LIT("ects"), ects);
	if (h->edition_missing)
		put_uint(e, SLICE_LIT("edition_missing"),
			 field_uint(c->c[CREDENTIAL_OFFER_VERSION], 0));
	if (eqf != UINT64_MAX)
		put_uint(e, SLICE_LIT("eqf"), eqf);
	if (grade.n > 0)
		put_grade(j, e, grade);
	if (!h->is_offer)
		put_text(e, SLICE_LIT("id"), h->id);
	put_text(e, SLICE_LIT("issuer"), h->issuer);
	if (h->is_offer)
		put_text(e, SLICE_LIT("offer"), h->id);
	put_text(e, SLICE_LIT("offer_state"), offered);
	put_text(e, SLICE_LIT("state"), state);
	put_text(e, SLICE_LIT("title"), title);
	put_key(e, SLICE_LIT("verified"));
	enc_bool(e, h->offer.body.n > 0 && !h->edition_missing);
}

void put_subject(struct judge *j, struct enc *e)
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

void put_credits(struct judge *j, struct enc *e)
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
