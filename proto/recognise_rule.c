#include "recognise_impl.h"

/* Rules against each other, PROTOCOL.md 12.5: what is superseded or denied
 * falls out, the rest is ordered, and what stands first applies, is left to
 * the learner, or needs review. Nothing is chosen silently. */

/* ---- Choosing --------------------------------------------------------- */

struct contest {
	struct candidate *all;
	size_t count;
	struct candidate **group; /* room for count */
	size_t group_count;
	struct candidate *effects[LIMIT_ALTERNATIVES]; /* one of each */
	size_t effect_count;
	bool more_effects; /* than effects has room for */
};

static bool applies(const struct candidate *c)
{
	return c->failed == NULL && !c->settled;
}

/* PROTOCOL.md 12.5.3: a rule may deny courses to rules no narrower. */
static void deny(struct judge *j, struct contest *t)
{
	uint64_t mask;

	for (size_t i = 0; i < t->count; i++) {
		struct candidate *by = &t->all[i];

		/* Also in the rounds after the one it was settled in. */
		if (by->failed != NULL || by->denied.n == 0)
			continue;
		mask = sources_mask(j, by->denied);
		for (size_t k = 0; k < t->count; k++) {
			struct candidate *c = &t->all[k];

			if (c == by || !applies(c) || (c->used & mask) == 0 ||
			    by->broadness > c->broadness)
				continue;
			c->failed = "denied";
			c->detail = by->id;
		}
	}
}

/* Those of equal rank with the first that compete for the same courses.
 * Returns the courses. */
static uint64_t gather(struct contest *t)
{
	struct candidate *first = NULL;
	uint64_t used, before;

	t->group_count = 0;
	for (size_t i = 0; i < t->count; i++) {
		if (applies(&t->all[i]) &&
		    (first == NULL || compare_all(&t->all[i], first) < 0))
			first = &t->all[i];
	}
	if (first == NULL)
		return 0;
	used = first->used;
	do {
		before = used;
		for (size_t i = 0; i < t->count; i++) {
			struct candidate *c = &t->all[i];

			if (applies(c) && compare_rank(c, first) == 0 &&
			    (c->used & used) != 0)
				used |= c->used;
		}
	} while (used != before);
	for (size_t i = 0; i < t->count; i++) {
		struct candidate *c = &t->all[i];

		if (applies(c) && compare_rank(c, first) == 0 &&
		    (c->used & used) != 0)
			t->group[t->group_count++] = c;
	}
	return used;
}

/* Step e: specific before generic, unless one of them refuses, for a refusal
 * is neither: then it is for people to say. */
static void prefer_specific(struct contest *t)
{
	bool refused = false, specific = false;
	size_t kept = 0;

	for (size_t i = 0; i < t->group_count; i++) {
		refused = refused || t->group[i]->outcome == OUTCOME_REFUSED;
		specific = specific || !t->group[i]->generic;
	}
	if (refused || !specific)
		return;
	for (size_t i = 0; i < t->group_count; i++) {
		if (!t->group[i]->generic)
			t->group[kept++] = t->group[i];
	}
	t->group_count = kept;
}

/* Put @c behind the first of its effect, in the order of step f. */
static void add_effect(struct contest *t, struct candidate *c)
{
	struct candidate *old, **at;

	c->twin = NULL;
	for (size_t i = 0; i < t->effect_count; i++) {
		old = t->effects[i];
		if (!same_effect(old, c))
			continue;
		if (compare_age(c, old) < 0) {
			c->twin = old;
			t->effects[i] = c;
			return;
		}
		for (at = &old->twin; *at != NULL; at = &(*at)->twin) {
			if (compare_age(c, *at) < 0)
				break;
		}
		c->twin = *at;
		*at = c;
		return;
	}
	if (t->effect_count == LIMIT_ALTERNATIVES)
		t->more_effects = true;
	else
		t->effects[t->effect_count++] = c;
}

static void find_effects(struct contest *t)
{
	struct candidate *c;
	size_t k;

	t->effect_count = 0;
	t->more_effects = false;
	for (size_t i = 0; i < t->group_count; i++)
		add_effect(t, t->group[i]);
	/* By id, so that every node lists them alike. */
	for (size_t i = 1; i < t->effect_count; i++) {
		c = t->effects[i];
		for (k = i;
		     k > 0 && slice_compare(c->id, t->effects[k - 1]->id) < 0;
		     k--)
			t->effects[k] = t->effects[k - 1];
		t->effects[k] = c;
	}
}

/* ---- Parts ------------------------------------------------------------ */

static void split_targets(struct judge *j, struct part *p,
			  const struct candidate *c)
{
	uint32_t n;
	struct dec d = list_open(c->targets, &n);

	for (; n > 0 && d.err == ERR_OK; n--)
		judge_option(j, p, c, dec_skip(&d));
}

static bool has_choice(const struct candidate *c)
{
	return (c->by_learner || c->by_registrar) && list_count(c->targets) > 1;
}

static bool all_by_learner(const struct contest *t)
{
	for (size_t i = 0; i < t->group_count; i++) {
		if (!t->group[i]->by_learner)
			return false;
	}
	return !t->more_effects;
}

/* How well a choice turns out at worst. */
static enum recognise_outcome weakest(const struct contest *t)
{
	enum recognise_outcome worst = OUTCOME_FULL;

	for (size_t i = 0; i < t->effect_count; i++) {
		if (t->effects[i]->outcome > worst)
			worst = t->effects[i]->outcome;
	}
	return worst;
}

static void explain_applied(struct judge *j, const struct candidate *c)
{
	const char *how = c->alias    ? " by another of its codes"
			  : c->folded ? ", its code written differently"
				      : "";
	uint32_t same = 0;

	if (c->set_size > 1)
		judge_say(j, &j->reasons, "rule",
			  judge_text(j, "rule %v names these %u courses%s",
				     c->id, (uint64_t)c->set_size, how));
	else
		judge_say(j, &j->reasons, "rule",
			  judge_text(j, "rule %v names this course%s", c->id,
				     how));
	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		same++;
	if (same > 0)
		judge_say(j, &j->reasons, "duplicates",
			  judge_text(j, "%u more %s the same", (uint64_t)same,
				     same == 1 ? "rule says" : "rules say"));
	if (is_decided_later(j, c))
		judge_say(j, &j->reasons, "decided-after-completion",
			  judge_text(j,
				     "decided on %v, after the course was "
				     "completed",
				     c->decided_on));
}

/* One effect: it applies, unless it leaves a choice. */
static void apply_one(struct judge *j, uint64_t used, const struct candidate *c)
{
	struct part *p = judge_part(j, used, c->outcome, "rule");

	if (p == NULL)
		return;
	if (has_choice(c)) {
		split_targets(j, p, c);
		if (c->by_registrar)
			p->outcome = OUTCOME_NEEDS_REVIEW;
		judge_say(j, &j->reasons,
			  c->by_learner ? "learner-chooses"
					: "registrar-chooses",
			  judge_text(j, "rule %v leaves the choice to the %s",
				     c->id,
				     c->by_learner ? "learner" : "registrar"));
	} else {
		p->from = c;
		judge_option(j, p, c, slice_of(NULL, 0));
	}
	explain_applied(j, c);
	said_join(&j->conditions, &c->met);
	judge_reasons_of(j, c);
	if (c->appeal.n > 0)
		j->appeal = c->appeal;
}

static void offer_several(struct judge *j, uint64_t used,
			  const struct contest *t)
{
	bool learner = all_by_learner(t);
	struct part *p = judge_part(
		j, used, learner ? weakest(t) : OUTCOME_NEEDS_REVIEW, "rule");

	for (size_t i = 0; i < t->effect_count; i++) {
		if (has_choice(t->effects[i]))
			split_targets(j, p, t->effects[i]);
		else
			judge_option(j, p, t->effects[i], slice_of(NULL, 0));
	}
	if (learner) {
		judge_say(j, &j->reasons, "learner-chooses",
			  judge_text(j,
				     "%u rules fit equally, each leaves the "
				     "choice to the learner",
				     (uint64_t)t->group_count));
		return;
	}
	judge_say(j, &j->reasons, "ambiguous",
		  judge_text(j, "%u rules fit equally, none was chosen",
			     (uint64_t)t->group_count));
	judge_say(j, &j->reasons, "settle",
		  judge_text(j,
			     "%v decides, or orders its rules by priority, "
			     "scope.programmes, choice or supersedes",
			     j->q->by));
}

/* A rule that may say more than this node understands decides nothing and
 * is not passed over either, PROTOCOL.md 12.9. */
static uint64_t review_unread(struct judge *j, struct contest *t)
{
	uint64_t used = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct candidate *c = &t->all[i];
		const char *code = "newer-format";

		if (c->superseded || c->settled || c->failed == NULL ||
		    c->used == 0)
			continue;
		if (!slice_is(slice_str(c->failed), code))
			code = "invalid-record";
		if (!slice_is(slice_str(c->failed), code))
			continue;
		used |= c->used;
		c->settled = true;
		judge_say(j, &j->reasons, code,
			  judge_text(j,
				     "rule %v (#%u) says something that this "
				     "node does not understand",
				     c->id, c->record->seq));
	}
	if (used != 0)
		judge_part(j, used, OUTCOME_NEEDS_REVIEW, "rule");
	return used;
}

/* One round: the courses it settles, 0 when no rule fits. */
static uint64_t settle(struct judge *j, struct contest *t)
{
	uint64_t used = review_unread(j, t);

	if (used != 0)
		return used;
	deny(j, t);
	used = gather(t);
	if (used == 0)
		return 0;
	for (size_t i = 0; i < t->group_count; i++)
		t->group[i]->settled = true;
	prefer_specific(t);
	find_effects(t);
	if (t->effect_count == 1 && !t->more_effects)
		apply_one(j, used, t->effects[0]);
	else
		offer_several(j, used, t);
	return used;
}

static bool is_among(struct candidate *const *list, size_t n,
		     const struct candidate *c)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == c)
			return true;
	}
	return false;
}

/* With --explain: what the first round did not use, and why. */
static void consider_rest(struct judge *j, const struct contest *t)
{
	struct candidate told;

	for (size_t i = 0; i < t->count && j->q->explain; i++) {
		told = t->all[i];
		if (is_among(t->effects, t->effect_count, &t->all[i]))
			continue;
		if (is_among(t->group, t->group_count, &t->all[i]))
			told.failed = "duplicate";
		else if (told.failed == NULL)
			told.failed = "outranked";
		judge_consider(j, &told);
	}
}

#define NEAR_MISSES 4

/* Rules that name a course and do not apply: said when no other does. */
static void say_near(struct judge *j, const struct contest *t, uint64_t left)
{
	uint32_t said = 0;

	for (size_t i = 0; i < t->count && said < NEAR_MISSES; i++) {
		const struct candidate *c = &t->all[i];

		if (c->failed == NULL || c->superseded ||
		    (c->used & left) == 0 || !rule_is_in_force(j, c))
			continue;
		said++;
		judge_say(j, &j->reasons, c->failed,
			  judge_text(j, "rule %v %v", c->id,
				     judge_failure(j, c)));
	}
}

uint64_t judge_rules(struct judge *j)
{
	struct contest t = { .count = j->f->rule_count };
	bool first = true;
	uint64_t left = held_mask(j), used;

	t.all = judge_alloc(j, t.count * sizeof(*t.all));
	t.group = judge_alloc(j, t.count * sizeof(struct candidate *));
	if (j->err != ERR_OK)
		return left;
	for (size_t i = 0; i < t.count; i++)
		rule_read(&j->f->rules[i], &t.all[i]);
	judge_supersede(j, t.all, t.count);
	while (left != 0) {
		for (size_t i = 0; i < t.count && j->err == ERR_OK; i++) {
			if (!t.all[i].superseded && !t.all[i].settled)
				rule_test(j, &t.all[i], left);
		}
		used = settle(j, &t);
		if (first)
			consider_rest(j, &t);
		first = false;
		if (used == 0 || j->err != ERR_OK)
			break;
		left &= ~used;
	}
	if (left != 0)
		say_near(j, &t, left);
	return left;
}
