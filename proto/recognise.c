#include "recognise_impl.h"

/* The order of the grounds, PROTOCOL.md 12.2: gate, decision, rules,
 * agreements and policy, default; then limits. */

/* Nothing binding was found: a case for individual assessment, never a
 * refusal. */
static void leave_open(struct judge *j, uint64_t left)
{
	if (left == 0)
		return;
	judge_part(j, left, OUTCOME_UNDETERMINED, "none");
	if (!j->f->has_log) {
		judge_say(j, &j->reasons, "no-log",
			  judge_text(j,
				     "this node holds no log of %v: nothing "
				     "is known of what it recognises",
				     j->q->by));
		return;
	}
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if ((left >> i & 1) == 0)
			continue;
		judge_say(j, &j->reasons, "nothing-published",
			  j->f->held_count > 1
				  ? judge_text(j,
					       "%v has published nothing that "
					       "covers %v",
					       j->q->by, j->f->held[i].id)
				  : judge_text(j,
					       "%v has published nothing that "
					       "covers this course",
					       j->q->by));
	}
}

/* What decision and targets state about credits. */
static void count_credits(struct part *p)
{
	const struct candidate *c = p->from;

	if (c == NULL || p->outcome == OUTCOME_REFUSED)
		return;
	if (c->credits.n > 0) {
		p->has_credits = true;
		p->credits = field_uint(c->credits, 0);
		p->unit = c->unit;
	} else {
		p->has_credits =
			targets_credits(c->targets, &p->credits, &p->unit);
	}
}

static void judge_grounds(struct judge *j)
{
	uint64_t left = held_mask(j);

	judge_load_policies(j);
	if (judge_decisions(j))
		return;
	if (!judge_review_policies(j))
		return;
	if (j->f->truncated) {
		judge_part(j, left, OUTCOME_NEEDS_REVIEW, "rule");
		judge_say(j, &j->reasons, "too-many-rules",
			  judge_text(j,
				     "%v has more rules on this than this "
				     "node weighs at once",
				     j->q->by));
		return;
	}
	left = judge_rules(j);
	left = judge_policies(j, left);
	leave_open(j, left);
}

enum err recognise(const struct recognise_facts *f, struct arena *a,
		   struct buf *out)
{
	struct judge j = { .f = f,
			   .q = f->question,
			   .a = a,
			   .err = ERR_OK,
			   .cap = UINT64_MAX };

	assert(f->held_count >= 1 && f->held_count <= LIMIT_HELD);
	if (judge_gate(&j))
		judge_grounds(&j);
	for (struct part *p = j.parts; p != NULL; p = p->next)
		count_credits(p);
	judge_limits(&j);
	judge_states(&j);
	if (j.err != ERR_OK)
		return j.err;
	return judge_write(&j, out);
}
