#include "recognise_impl.h"

/* Limits of the policies in force, PROTOCOL.md 12.7: they apply to what
 * rules, agreements and policies give, never to decisions. One that bites
 * turns full into partial; one that one answer cannot judge is told. */

enum { L_TOTAL, L_ISSUER, L_AGE, L_OWN, L_SHARE, L_SHARING, L_COUNT };
static const struct slice limit_names[L_COUNT] = {
	NAME("credits_max"),	     NAME("credits_max_issuer"),
	NAME("max_age_months"),	     NAME("own_share_min"),
	NAME("programme_share_max"), NAME("sharing"),
};

static bool is_limited(const struct part *p)
{
	return !slice_is(slice_str(p->standing), "decision") &&
	       (p->outcome == OUTCOME_FULL || p->outcome == OUTCOME_PARTIAL ||
		p->outcome == OUTCOME_CONDITIONAL);
}

static void bite(struct part *p)
{
	if (p->outcome == OUTCOME_FULL)
		p->outcome = OUTCOME_PARTIAL;
}

static void say_limit(struct judge *j, const char *code, bool applied,
		      struct slice text)
{
	struct said *s = judge_say(j, &j->limits, code, text);

	if (s != NULL)
		s->state = applied ? "applied" : "open";
}

bool unit_is_ects(struct slice unit)
{
	return unit.n == 0 || slice_is(unit, "ECTS");
}

/* What counts against a cap in ECTS: what is granted, else what was earned;
 * of the courses in @mask only. */
static uint64_t counted(const struct judge *j, uint64_t mask)
{
	uint64_t sum = 0, ects;

	for (const struct part *p = j->parts; p != NULL; p = p->next) {
		if (!is_limited(p) || (p->used & mask) == 0)
			continue;
		if (p->has_credits && unit_is_ects(p->unit) &&
		    (p->used & ~mask) == 0) {
			sum += p->credits;
			continue;
		}
		for (uint32_t i = 0; i < j->f->held_count; i++) {
			ects = course_ects(&j->courses[i]);
			if ((p->used & mask) >> i & 1 && ects != UINT64_MAX)
				sum += ects;
		}
	}
	return sum;
}

static void bite_all(struct judge *j, uint64_t mask)
{
	for (struct part *p = j->parts; p != NULL; p = p->next) {
		if (is_limited(p) && (p->used & mask) != 0)
			bite(p);
	}
}

static void limit_total(struct judge *j, uint64_t cap)
{
	bool over = counted(j, held_mask(j)) > cap;

	say_limit(j, "credits-max", over,
		  judge_text(j, "at most %h ECTS in all are recognised", cap));
	if (!over)
		return;
	bite_all(j, held_mask(j));
	if (cap < j->cap)
		j->cap = cap;
}

/* The held courses of the issuer of held course @i. */
static uint64_t issuer_mask(const struct judge *j, uint32_t i)
{
	uint64_t mask = 0;

	for (uint32_t k = 0; k < j->f->held_count; k++) {
		if (slice_equal(j->f->held[k].issuer, j->f->held[i].issuer))
			mask |= (uint64_t)1 << k;
	}
	return mask;
}

static void limit_issuer(struct judge *j, uint64_t cap)
{
	uint64_t seen = 0, mask;
	bool over;

	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if (seen >> i & 1)
			continue;
		mask = issuer_mask(j, i);
		seen |= mask;
		over = counted(j, mask) > cap;
		say_limit(j, "credits-max-issuer", over,
			  judge_text(j,
				     "at most %h ECTS from %v are recognised",
				     cap, j->f->held[i].issuer));
		if (!over)
			continue;
		bite_all(j, mask);
		if (mask == held_mask(j) && cap < j->cap)
			j->cap = cap;
	}
}

static void limit_age(struct judge *j, uint64_t months)
{
	uint64_t old = 0;

	for (uint32_t i = 0; i < j->f->held_count; i++) {
		struct slice on = j->f->held[i].achieved_on;

		if (on.n > 0 && months_between(on, j->q->as_of) > months)
			old |= (uint64_t)1 << i;
	}
	say_limit(j, "max-age", old != 0,
		  judge_text(j,
			     "only what was completed in the last %u months "
			     "counts",
			     months));
	bite_all(j, old);
	if (old == held_mask(j))
		j->cap = 0;
}

static void apply_limits(struct judge *j, struct slice limits)
{
	struct slice v[L_COUNT];
	struct dec d;

	fields_read(limits, limit_names, L_COUNT, v);
	if (v[L_TOTAL].n > 0)
		limit_total(j, field_uint(v[L_TOTAL], UINT64_MAX));
	if (v[L_ISSUER].n > 0)
		limit_issuer(j, field_uint(v[L_ISSUER], UINT64_MAX));
	if (v[L_AGE].n > 0)
		limit_age(j, field_uint(v[L_AGE], UINT64_MAX));
	if (v[L_OWN].n > 0)
		say_limit(j, "own-share", false,
			  judge_text(j,
				     "at least %u per cent are to be earned "
				     "at %v",
				     field_uint(v[L_OWN], 0), j->q->by));
	if (v[L_SHARE].n > 0)
		say_limit(j, "programme-share", false,
			  judge_text(j,
				     "at most %u per cent of a programme are "
				     "recognised",
				     field_uint(v[L_SHARE], 0)));
	dec_init(&d, v[L_SHARING]);
	if (v[L_SHARING].n > 0 && !dec_bool(&d))
		say_limit(j, "sharing", false,
			  judge_text(j, "a credential counts once only"));
}

/* Is a part of this ground there to be limited? */
static bool any_limited(const struct judge *j, const struct candidate *policy)
{
	for (const struct part *p = j->parts; p != NULL; p = p->next) {
		if (!is_limited(p))
			continue;
		/* An agreement limits what it gives itself. */
		if (policy->set_size == 0 ||
		    (p->from != NULL && p->from->record == policy->record))
			return true;
	}
	return false;
}

/* ---- The state -------------------------------------------------------- */

void judge_states(struct judge *j)
{
	uint64_t told = 0, now;
	struct said *s;

	for (struct part *p = j->parts; p != NULL; p = p->next) {
		if (p->outcome > OUTCOME_CONDITIONAL)
			continue;
		for (uint32_t i = 0; i < j->f->held_count; i++) {
			const struct recognise_held *h = &j->f->held[i];

			now = (uint64_t)1 << i;
			if (!h->state_unknown || (p->used & now) == 0)
				continue;
			if (p->outcome == OUTCOME_FULL)
				p->outcome = OUTCOME_CONDITIONAL;
			s = (told & now) != 0
				    ? NULL
				    : judge_say(j, &j->conditions,
						"state-unknown",
						judge_text(j,
							   "%v confirms that "
							   "%v is valid: ask "
							   "with --at %v",
							   h->issuer, h->id,
							   h->issuer));
			if (s != NULL)
				s->state = "open";
			told |= now;
		}
	}
}

/* ---- All of them ------------------------------------------------------ */

void judge_limits(struct judge *j)
{
	for (size_t i = 0; i < j->policy_count; i++) {
		struct candidate *c = j->policies[i];

		if (c->conditions.n == 0 || !any_limited(j, c))
			continue;
		c->limits = true;
		apply_limits(j, c->conditions);
	}
}
