/* The engine of recognise.h in its parts; for the files recognise_*.c only.
 *
 * Each part reads facts and adds to one struct judge; recognise.c says in
 * which order, recognise_answer.c writes what came out. Everything lives in
 * the arena of the call. PROTOCOL.md 12.3 to 12.8. */

#ifndef PROTO_RECOGNISE_IMPL_H
#define PROTO_RECOGNISE_IMPL_H

#include "dec.h"
#include "recognise.h"
#include "schema.h"
#include "text.h"

/* One sentence for people with its code for machines. */
struct said {
	struct said *next;
	const char *code; /* static, "limit-age" */
	struct slice text;
	const char *state; /* conditions "open", "met"; limits "open",
				 * "applied"; else NULL */
	struct slice due; /* conditions: YYYY-MM-DD or empty */
	struct slice side; /* of a substantial difference, or empty */
};

struct said_list {
	struct said *first, *last;
	uint32_t count;
};

/* A rule or decision as it fares. Fields are encoded values, empty where
 * absent. */
struct candidate {
	const struct recognise_record *record;
	const char *kind; /* "rule", "decision", "policy" */
	struct slice id;
	struct slice decided_on; /* text; empty: not stated */
	struct slice outcome_text;
	struct slice state; /* text; empty: active */
	struct slice purposes; /* encoded list; empty: all */
	struct slice achieved_from, achieved_to; /* text */
	struct slice scope; /* encoded object */
	struct slice targets; /* encoded array */
	struct slice conditions; /* encoded */
	struct slice scope_text; /* text */
	struct slice purpose, programme; /* of a decision; text */
	struct slice mapping; /* of a decision; encoded list */
	struct slice appeal_state; /* of a decision; text */
	struct slice contact, grade_method; /* of a policy; text */
	uint64_t days; /* of a policy */
	struct slice sources, denied, supersedes, credits, unit;
	struct slice appeal, reason, side, help;
	bool by_learner; /* choice: learner */
	bool by_registrar; /* choice: registrar */
	enum body_state body;
	/* matching */
	bool limits; /* of a policy: some were looked at */
	uint64_t used; /* bit i: held[i] is one of its sources */
	bool folded, alias; /* how the codes matched, at worst */
	/* rank: smaller numbers first */
	uint64_t priority; /* absent: UINT64_MAX */
	unsigned broadness; /* 0 edition, 1 exact, 2 folded, 3 alias */
	uint32_t set_size; /* courses in the source set; larger first */
	bool for_programme; /* scope names the programme asked for */
	bool generic; /* no target is specific */
	enum recognise_outcome outcome; /* with open conditions counted in */
	struct said_list met; /* conditions, open and met */
	bool superseded;
	bool settled; /* part of a verdict already */
	const char *failed; /* first test that failed, NULL: applies */
	struct slice detail; /* to it, may be empty */
	struct candidate *twin; /* next one with the same effect */
};

/* One way to recognise: all of a rule's targets, or one of them. */
struct option {
	struct option *next;
	const struct candidate *from; /* its twins are duplicates */
	struct slice target; /* one encoded target; empty: all of them */
};

/* The verdict on some of the held courses. */
struct part {
	struct part *next;
	uint64_t used; /* bit i: about held[i] */
	enum recognise_outcome outcome;
	const char *standing; /* "rule", "decision", "agreement", "policy",
				 * "none" */
	const struct candidate *from; /* NULL: nothing, or several */
	struct option *options; /* alternatives, when more than one */
	uint32_t option_count;
	bool has_credits; /* recognised: stated by R, in hundredths */
	uint64_t credits;
	struct slice unit; /* empty: ECTS */
};

struct considered {
	struct considered *next;
	const struct candidate *what; /* a copy */
	struct slice text; /* why it does not apply */
};

/* What is read of a held course, once; encoded values, empty where absent.
 * In the order of their names, as fields_read wants them. */
enum credential_field {
	CREDENTIAL_ID,
	CREDENTIAL_ECTS,
	CREDENTIAL_GRADE,
	CREDENTIAL_IDENTITY_CHECK,
	CREDENTIAL_ISSUED_ON,
	CREDENTIAL_LEARNER,
	CREDENTIAL_OFFER,
	CREDENTIAL_OFFER_VERSION,
	CREDENTIAL_VALID_UNTIL,
	CREDENTIAL_FIELDS
};
enum offer_field {
	OFFER_ASSESSMENT,
	OFFER_CLAIM_STRENGTH,
	OFFER_COUNTRY,
	OFFER_ECTS,
	OFFER_EQF,
	OFFER_IDENTITY_CHECK,
	OFFER_ISCED,
	OFFER_LANGUAGE,
	OFFER_ID,
	OFFER_PARTICIPATION,
	OFFER_QA,
	OFFER_STATE,
	OFFER_TITLE,
	OFFER_TYPE,
	OFFER_VERSION,
	OFFER_FIELDS
};
struct course {
	const struct recognise_held *held;
	const struct recognise_record *status; /* in force; NULL: none */
	struct slice c[CREDENTIAL_FIELDS];
	struct slice o[OFFER_FIELDS];
};

struct judge {
	const struct recognise_facts *f;
	const struct recognise_question *q;
	struct arena *a;
	enum err err; /* sticky: ERR_LIMIT when the arena is full */
	const char *cause; /* not evaluable because, or NULL */
	struct part *parts, *last_part;
	uint32_t part_count;
	struct said_list conditions, reasons, limits;
	struct considered *considered, *last_considered;
	uint32_t considered_count;
	struct candidate *all_policies; /* facts.policy_count of them */
	struct candidate **policies; /* in force, in order */
	size_t policy_count;
	uint64_t cap; /* of what is recognised, ECTS hundredths */
	struct course *courses; /* facts.held_count of them */
	struct slice appeal; /* encoded object, or empty */
	struct slice appeal_state; /* text, or empty */
	struct slice contact; /* where to apply; text, or empty */
	uint64_t decision_days; /* 0: not stated */
	struct slice mapping; /* a decision's, encoded, or empty */
	struct slice grade_method; /* text, or empty */
};

/* All held courses. */
static inline uint64_t held_mask(const struct judge *j)
{
	return ((uint64_t)1 << j->f->held_count) - 1;
}

/* recognise_tools.c */

/* Arena memory, or NULL and the sticky error. */
void *judge_alloc(struct judge *j, size_t n);
/* Text put together: %s C string, %v struct slice, %u uint64_t, %h hundredths
 * (uint64_t) as decimals. Empty on error. */
struct slice judge_text(struct judge *j, const char *format, ...);
/* Add to a list; at most LIMIT_REASONS, the rest is dropped. NULL then. */
struct said *judge_say(struct judge *j, struct said_list *l, const char *code,
		       struct slice text);
/* Move all of @more behind @l. */
void said_join(struct said_list *l, const struct said_list *more);
/* Add the reason that @c states itself, and what would help. */
void judge_reasons_of(struct judge *j, const struct candidate *c);
/* Why @c does not apply, to be read behind "rule X". */
struct slice judge_failure(struct judge *j, const struct candidate *c);
void judge_consider(struct judge *j, const struct candidate *c);
struct part *judge_part(struct judge *j, uint64_t used,
			enum recognise_outcome o, const char *standing);
/* Add a way to recognise; at most LIMIT_ALTERNATIVES. @p may be NULL. */
void judge_option(struct judge *j, struct part *p, const struct candidate *c,
		  struct slice target);
/* The values of @names (sorted) in the encoded map, empty where absent. */
void fields_read(struct slice map, const struct slice *names, size_t n,
		 struct slice *out);
#define NAME(s)                                                                \
	{                                                                      \
		(const uint8_t *)(s), sizeof(s) - 1                            \
	}
/* The text that @value encodes; empty when it is none. */
struct slice field_text(struct slice value);
uint64_t field_uint(struct slice value, uint64_t absent);
/* Walk an encoded array: *left is 0 in the end. */
struct dec list_open(struct slice value, uint32_t *count);
uint32_t list_count(struct slice value);
bool list_has(struct slice value, struct slice word);
/* The words of a list, at most eight, with ", " between them. */
struct slice list_join(struct judge *j, struct slice value);
/* The first entry of a language map, English preferred. */
struct slice language_text(struct slice map);
/* Does the date (or instant) @a lie after the date @b? Empty never does. */
bool date_after(struct slice a, struct slice b);
/* Do two encoded lists of targets grant the same, in any order? */
bool targets_equal(struct slice a, struct slice b);
bool outcome_parse(struct slice word, enum recognise_outcome *out);
bool target_is_specific(struct slice target);
/* Credits and unit that the targets state together. False: one does not. */
bool targets_credits(struct slice targets, uint64_t *sum, struct slice *unit);

/* recognise_gate.c: false: not evaluable or needs review, said why. */
bool judge_gate(struct judge *j);

/* Failed because it cannot be understood? */
bool is_unread(const struct candidate *c);

/* recognise_decision.c: true: a decision answers (or several contradict). */
bool judge_decisions(struct judge *j);

/* recognise_match.c: read one rule and put it to all its tests but those
 * against other rules; sets c->failed and the rank. */
void rule_read(const struct recognise_record *r, struct candidate *c);
void rule_test(struct judge *j, struct candidate *c, uint64_t free_held);

/* The held courses that a list of sources names. */
uint64_t sources_mask(const struct judge *j, struct slice sources);
/* Decided after one of the courses it uses was completed? */
bool is_decided_later(const struct judge *j, const struct candidate *c);
/* Active, and decided by the day asked about. */
bool rule_is_in_force(const struct judge *j, const struct candidate *c);

/* recognise_condition.c: conditions of a rule on the courses it uses. False:
 * one is not met (c->failed is set). Open ones go to c->met. */
bool rule_conditions(struct judge *j, struct candidate *c);
void condition_add(struct judge *j, struct candidate *c, const char *code,
		   const char *state, struct slice text);

/* Facts of a course that clauses ask for too. */
uint64_t course_ects(const struct course *c); /* UINT64_MAX: unknown */
struct slice course_identity_check(const struct course *c); /* text */
bool at_least_as_strong(const char *const *words, struct slice have,
			struct slice want);
bool lists_meet(struct slice a, struct slice b);

/* recognise_order.c */

/* A rule or decision in force removes those it supersedes, whatever it says
 * itself, also when it is superseded in turn: marks them. */
void judge_supersede(struct judge *j, struct candidate *c, size_t n);
/* Negative: @a stands before @b. By the steps a to d of PROTOCOL.md 12.5.5;
 * then also e; and f: among those that say the same. */
int compare_rank(const struct candidate *a, const struct candidate *b);
int compare_all(const struct candidate *a, const struct candidate *b);
int compare_age(const struct candidate *a, const struct candidate *b);
/* PROTOCOL.md 12.5.6: what makes two rules say the same. Who chooses counts
 * where there is something to choose. */
bool same_effect(const struct candidate *a, const struct candidate *b);

/* recognise_rule.c: parts from rules for all held courses that a rule fits.
 * Returns the held courses that none did. */
uint64_t judge_rules(struct judge *j);

/* recognise_policy.c */

/* Read agreements and policies; those in force come into j->policies. */
void judge_load_policies(struct judge *j);
/* False: one that may be in force cannot be understood, which is said. */
bool judge_review_policies(struct judge *j);
/* Agreements, then policies, for each course of @left; returns what no
 * clause covers. */
uint64_t judge_policies(struct judge *j, uint64_t left);
/* Whole months from @from to @to, both dates; 0 if @to is the earlier. */
uint64_t months_between(struct slice from, struct slice to);

/* recognise_limit.c: limits on what rules, agreements and policy gave. */
void judge_limits(struct judge *j);
/* A grant for a credential whose state is not known here is conditional on
 * its issuer's word, PROTOCOL.md 12.10. */
void judge_states(struct judge *j);
bool unit_is_ects(struct slice unit);

/* recognise_put.c: pieces of the answer document. */

struct enc;

/* Strings below 32 bytes have one byte before them: most of an answer. */
void put_str(struct enc *e, struct slice s);
void put_key(struct enc *e, struct slice key);
/* A pair; nothing when @text is empty. */
void put_text(struct enc *e, struct slice key, struct slice text);
void put_uint(struct enc *e, struct slice key, uint64_t v);
void put_said(struct enc *e, struct slice key, const struct said_list *l);
/* The pair "duplicates" if @c has twins. */
void put_twins(struct enc *e, const struct candidate *c);
const struct recognise_log *log_of(const struct judge *j,
				   const struct recognise_record *r);

/* recognise_basis.c, recognise_subject.c: pairs of the document. */
void put_basis(struct judge *j, struct enc *e);
void put_considered(struct judge *j, struct enc *e);
void put_freshness(struct judge *j, struct enc *e);
void put_incomplete(struct judge *j, struct enc *e);
void put_subject(struct judge *j, struct enc *e);
void put_credits(struct judge *j, struct enc *e);

/* recognise_answer.c */
WARN_UNUSED enum err judge_write(struct judge *j, struct buf *out);

#endif /* PROTO_RECOGNISE_IMPL_H */
