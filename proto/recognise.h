/* Recognition: does an institution recognise these courses, as what, why?
 *
 * A pure function from facts to an answer document. Where the facts come
 * from, and whether the asker may see them, is the caller's business
 * (node/query.h). Question and answer are canonical msgpack maps that read
 * field for field like the JSON of `recognise --json`, but for decimals,
 * which are whole hundredths. PROTOCOL.md section 12. */

#ifndef PROTO_RECOGNISE_H
#define PROTO_RECOGNISE_H

#include "limits.h"
#include "record.h"

#define LIMIT_HELD 16u /* credentials in one question */
#define LIMIT_SOURCE_NAMES 16u /* domains of one issuer, codes of one course */
#define LIMIT_REASONS 64u /* reasons, conditions, limits, each */
#define LIMIT_CONSIDERED 256u /* listed with --explain */

/* ---- the question, PROTOCOL.md 12.1 ---- */

struct recognise_question {
	struct slice by; /* the recogniser's domain */
	struct slice purpose; /* empty: "credit" */
	struct slice programme; /* empty: none in particular */
	struct slice as_of; /* YYYY-MM-DD; empty: the answerer's today */
	bool explain; /* list what was considered */
	uint32_t credential_count; /* one of these three forms: */
	struct slice credentials[LIMIT_HELD]; /* MEMBER/ID, or ID if unique */
	struct slice offer; /* MEMBER/CODE */
	struct slice achieved_on; /* with offer; empty: not achieved yet */
	struct slice disclosed; /* a tlog-proof with body and salt */
};

/* Read a question that came from outside; slices borrow from @in.
 * ERR_TRUNCATED, ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED (a field or
 * version that is not known here); *why is a sentence. */
WARN_UNUSED enum err recognise_question_parse(struct slice in,
					      struct recognise_question *out,
					      const char **why);
/* Append the document. */
void recognise_question_put(const struct recognise_question *q,
			    struct buf *out);

/* ---- the facts ---- */

/* One log that facts come from. */
struct recognise_log {
	struct slice member; /* domain */
	uint64_t size; /* records held here and verified */
	uint64_t heard_ms; /* Unix ms when the origin last confirmed it */
	uint64_t age_ms; /* since then, by the answering node's clock */
	bool own; /* the answering node's own log */
	bool complete; /* all of the newest known head is held */
	uint32_t withheld; /* bit k: leaves of kind k lie in it whose
				 * bodies the asker may not see */
};

/* One record that was found and opened. */
struct recognise_record {
	struct slice body; /* canonical; empty: there is none */
	uint32_t log; /* index into facts.logs */
	uint64_t seq; /* its place there */
};

/* One course that the learner holds, or asks about. */
struct recognise_held {
	struct slice id; /* MEMBER/ID of the credential or MEMBER/CODE
				 * of the offer, for the answer */
	uint32_t log; /* the issuer's, index into facts.logs; log_count: it
				 * keeps none here */
	bool is_offer; /* asked before anyone is awarded it */
	struct recognise_record credential; /* none: an offer is asked for */
	struct recognise_record offer; /* none: unverified */
	/* Statuses of all versions of the credential, any order. */
	const struct recognise_record *statuses;
	uint32_t status_count;
	struct slice issuer; /* domain */
	struct slice country; /* the issuer's, from its own record; or empty */
	struct slice code; /* of the course, as the issuer writes it */
	struct slice achieved_on; /* empty: not achieved yet */
	/* Names a rule may use for the issuer (its domain first) and for the
	 * course (its code first, then aliases), folded with text_fold. */
	const struct slice *domains;
	uint32_t domain_count;
	const struct slice *folded;
	uint32_t folded_count;
	const struct slice *names; /* the codes as written, beside folded */
	bool disclosed; /* the body was handed over with a proof */
	uint64_t newer; /* disclosed: place of a newer version, 0: none */
	bool state_unknown; /* disclosed: a status that the asker may not
				 * read may be about it */
	bool state_only; /* statuses are told without their reasons */
	bool edition_missing; /* @offer is of another edition than the
				 * credential names, which is not there */
	bool unreadable; /* its log has it, the asker may not see it */
};

struct recognise_facts {
	const struct recognise_question *question; /* as_of, purpose set */
	const struct recognise_log *logs;
	uint32_t log_count; /* logs[0] is the recogniser's */
	bool has_log; /* false: the recogniser keeps no log here;
				 * logs[0] then only names it */
	const struct recognise_held *held;
	uint32_t held_count; /* 1..LIMIT_HELD */
	struct recognise_record institution; /* the recogniser's own record */
	struct slice contact; /* fallback: the recogniser's card */
	/* Newest version of each, in any order; all from logs[0]. */
	const struct recognise_record *rules;
	uint32_t rule_count;
	/* Ids of rules that are superseded by a rule that is not in @rules
	 * need not be listed: pass those rules in @rules too. */
	const struct recognise_record *decisions;
	uint32_t decision_count;
	const struct recognise_record *policies; /* agreements as well */
	uint32_t policy_count;
	bool truncated; /* more than LIMIT_CANDIDATES rules fit */
};

/* Judge and append the answer document. The same facts give the same bytes.
 * Memory for the work comes from @a (reset by the caller).
 * ERR_LIMIT: @a or @out is full. */
WARN_UNUSED enum err recognise(const struct recognise_facts *f, struct arena *a,
			       struct buf *out);

/* ---- what else speaks of outcomes ---- */

enum recognise_outcome {
	OUTCOME_FULL,
	OUTCOME_PARTIAL,
	OUTCOME_CONDITIONAL,
	OUTCOME_REFUSED,
	OUTCOME_NEEDS_REVIEW,
	OUTCOME_UNDETERMINED,
	OUTCOME_NOT_EVALUABLE,
};

/* "full", "needs-review"; static. */
const char *recognise_outcome_name(enum recognise_outcome o);

/* The document sent when a question cannot be answered at all:
 * {"candidates":[...],"error":code,"message":text,"v":1}. */
void recognise_put_error(enum err e, struct slice message,
			 const struct slice *candidates, uint32_t count,
			 struct buf *out);

#endif /* PROTO_RECOGNISE_H */
