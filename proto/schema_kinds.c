/* The fields of every record kind: the table that schema.h speaks of. */

#include "schema.h"

#include "dec.h"

#define REQ FIELD_REQUIRED
#define LIST FIELD_IS_LIST
#define PERSON FIELD_PERSONAL
#define PAST FIELD_PAST
#define EQF_MAX 8
#define COUNT(x) (sizeof(x) / sizeof((x)[0]))
#define SHAPE(x)                                                               \
	{                                                                      \
		x, COUNT(x)                                                    \
	}

/* clang-format off */

/* One row of a table. */
#define F(n, t, f, a) { .name = n, .type = FIELD_##t, .flags = f, .about = a }
#define UINT(n, f, lo, hi, a)                                         \
	{ .name = n, .type = FIELD_UINT, .flags = f, .min = lo, .max = hi, \
	  .about = a }
#define ENUM(n, f, w, a) \
	{ .name = n, .type = FIELD_ENUM, .flags = f, .words = w, .about = a }
#define OBJECT(n, f, s, a) \
	{ .name = n, .type = FIELD_OBJECT, .flags = f, .shape = &s, .about = a }
#define COLUMN(n, t, f, c, a)                                          \
	{ .name = n, .type = FIELD_##t, .flags = f, .column = c, .about = a }

/* Words. */

const char *const schema_identity_checks[] = {
	"none", "supervised", "supervised-online-identified",
	"supervised-onsite-identified", NULL
};
const char *const schema_claim_strengths[] = {
	"participation", "learning", "verified-capability", "award-credit", NULL
};
const char *const schema_status_reasons[] = {
	"issued-in-error", "wrong-person", "data-error", "corrected",
	"grade-changed", "misconduct", "fraud", "under-investigation",
	"investigation-closed", "appeal-upheld", "learner-request",
	"replaced", "administrative", "import-undone", "other", NULL
};
static const char *const offer_types[] = {
	"micro-credential", "course", "module", "programme", NULL
};
static const char *const offer_states[] = {
	"originated", "proposed", "designed", "approved", "published",
	"running", "under-review", "revised", "retired", NULL
};
static const char *const assessments[] = {
	"none", "attendance", "written-exam", "oral-exam",
	"written-and-oral-exam", "online-exam", "assignments", "project",
	"portfolio", "practical", "thesis", "presentation", "continuous",
	"recognition-of-prior-learning", "other", NULL
};
static const char *const participations[] = {
	"online", "on-site", "at-work", "blended", NULL
};
static const char *const open_to[] = { "anyone", "alliance", "institution",
				       NULL };
static const char *const cycles[] = { "short", "first", "second", "third",
				      NULL };
static const char *const qa_types[] = {
	"institutional", "institutional-programme", "programme", "joint",
	"internal", "other", NULL
};
static const char *const qa_statuses[] = { "obligatory", "voluntary", NULL };
static const char *const qa_decisions[] = {
	"positive", "positive-with-conditions", "negative", "not-applicable",
	NULL
};
static const char *const contact_roles[] = {
	"registrar", "admissions", "international", "recognition", "quality",
	"it", "data-protection", NULL
};
static const char *const institution_states[] = { "active", "withdrawn",
						  NULL };
static const char *const status_states[] = { "valid", "suspended", "revoked",
					     "superseded", NULL };
static const char *const matches[] = { "specific", "generic", NULL };
static const char *const counts_as[] = {
	"core", "prescribed-elective", "free-elective", "extra-curricular", NULL
};
static const char *const outcomes[] = { "full", "partial", "conditional",
					"refused", NULL };
static const char *const clause_outcomes[] = {
	"full", "partial", "conditional", "refused", "individual-assessment",
	NULL
};
static const char *const defaults[] = { "individual-assessment", NULL };
static const char *const purposes[] = { "credit", "exemption", "admission",
					"advanced-standing", NULL };
static const char *const choices[] = { "registrar", "learner", NULL };
static const char *const rule_states[] = { "draft", "active", "suspended",
					   "withdrawn", NULL };
static const char *const decision_states[] = { "active", "withdrawn", NULL };
static const char *const sides[] = { "level", "workload", "quality", "profile",
				     "learning-outcomes", NULL };
static const char *const appeal_states[] = { "none", "lodged", "upheld",
					     "rejected", NULL };
static const char *const condition_states[] = { "open", "met", NULL };
static const char *const grade_methods[] = {
	"minimum", "average", "maximum", "pass-only", "none", NULL
};

/* Shapes used in several places. */

static const struct field qa_fields[] = {
	ENUM("type", 0, qa_types, "what was evaluated"),
	F("agency", TEXT, 0, "who evaluated"),
	F("reference", TEXT, 0, "number or address of the report"),
	ENUM("status", 0, qa_statuses, "part of an obligatory QA system or not"),
	ENUM("decision", 0, qa_decisions, "the result"),
	F("valid_from", DATE, 0, "first day"),
	F("valid_to", DATE, 0, "last day; absent: six years"),
};
static const struct shape qa_shape = SHAPE(qa_fields);

static const struct field appeal_fields[] = {
	F("body", TEXT, 0, "who decides on an appeal"),
	UINT("days", 0, 0, 3660, "within how many days to appeal"),
	F("contact", TEXT, 0, "where to write"),
	F("uri", URI, 0, "where it is described"),
};
static const struct shape appeal_shape = SHAPE(appeal_fields);

static const struct field target_fields[] = {
	F("code", CODE, 0, "course or group of the recognising institution"),
	F("title", TEXT, 0, "its title"),
	ENUM("match", REQ, matches, "this very course, or credit of a kind"),
	F("credits", HUNDREDTHS, 0, "credits granted; absent: not stated"),
	F("unit", CODE, 0, "unit of the credits; absent: ECTS"),
	ENUM("counts_as", 0, counts_as, "place in the programme"),
};
static const struct shape target_shape = SHAPE(target_fields);

/* 1 institution */

static const struct field contact_fields[] = {
	ENUM("role", REQ, contact_roles, "which office"),
	F("mailbox", MAILBOX, REQ, "its address; never a person's own"),
};
static const struct shape contact_shape = SHAPE(contact_fields);

static const struct field institution_fields[] = {
	F("member", DOMAIN, REQ | FIELD_MEMBER, "the member's domain (SCHAC)"),
	F("name", LANGUAGE_MAP, REQ, "name by language"),
	F("country", COUNTRY, REQ, "ISO 3166-1 alpha-2"),
	F("domains", DOMAIN, LIST, "further domains of the institution"),
	F("erasmus_code", CODE, 0, "Erasmus institutional code"),
	F("pic", CODE, 0, "participant identification code"),
	F("oid", CODE, 0, "organisation id of the European Commission"),
	F("ror", URI, 0, "identifier of ror.org"),
	F("did", URI, 0, "decentralised identifier"),
	F("website", URI, 0, "home page"),
	OBJECT("qa", LIST, qa_shape, "institutional quality assurance"),
	OBJECT("contacts", LIST, contact_shape, "mailboxes by role"),
	ENUM("state", 0, institution_states, "absent: active"),
};
static const struct shape institution_shape = SHAPE(institution_fields);

/* 2 offer */

static const struct field learning_outcome_fields[] = {
	F("text", TEXT, REQ, "what a learner knows or can do"),
	F("language", LANGUAGE, 0, "language of the text"),
	F("esco", URI, LIST, "ESCO skills"),
};
static const struct shape learning_outcome_shape =
	SHAPE(learning_outcome_fields);

static const struct field history_fields[] = {
	ENUM("state", REQ, offer_states, "state reached"),
	F("on", DATE, REQ, "since this day"),
	F("role", TEXT, 0, "role that decided; never a person's name"),
	F("body", TEXT, 0, "committee"),
	F("reference", TEXT, 0, "minutes"),
	F("reason", TEXT, 0, "why"),
};
static const struct shape history_shape = SHAPE(history_fields);

static const struct field offer_fields[] = {
	F("offer", ID, REQ, "course or micro-credential code"),
	UINT("version", 0, 1, 1000000, "edition; credentials name it"),
	ENUM("type", REQ, offer_types, "what it is"),
	F("issuer", DOMAIN, FIELD_INPUT | FIELD_MEMBER, "the member itself"),
	F("title", LANGUAGE_MAP, REQ, "title by language"),
	F("description", LANGUAGE_MAP, 0, "description by language"),
	F("awarding_body", DOMAIN, LIST, "who awards"),
	F("country", COUNTRY, 0, "country of the issuer"),
	OBJECT("learning_outcomes", LIST, learning_outcome_shape,
	       "learning outcomes"),
	F("ects", HUNDREDTHS, 0, "ECTS credits"),
	UINT("hours", 0, 0, 100000, "notional workload in hours"),
	UINT("eqf", 0, 1, EQF_MAX, "level of the EQF"),
	F("eqf_applicable", BOOL, 0, "false: no level applies"),
	ENUM("cycle", 0, cycles, "cycle of the QF-EHEA"),
	F("isced", ISCED, LIST, "fields of study, ISCED-F 2013"),
	ENUM("assessment", 0, assessments, "type of assessment"),
	ENUM("participation", LIST, participations, "form of participation"),
	ENUM("identity_check", 0, schema_identity_checks,
	     "supervision and identity check at the assessment"),
	ENUM("claim_strength", 0, schema_claim_strengths,
	     "what the award stands for"),
	OBJECT("qa", LIST, qa_shape, "quality assurance of the offer"),
	F("prerequisites", TEXT, LIST, "needed to enrol"),
	F("stackable", CODE, LIST, "larger awards it counts towards"),
	F("language", LANGUAGE, LIST, "languages of teaching"),
	F("start_on", DATE, 0, "first day"),
	F("end_on", DATE, 0, "last day"),
	F("apply_by", DATE, 0, "last day to apply"),
	UINT("weeks", 0, 0, 1000, "length"),
	UINT("places", 0, 0, 10000000, "places"),
	F("fee", HUNDREDTHS, 0, "fee"),
	F("fee_currency", CODE, 0, "ISO 4217; absent: EUR"),
	ENUM("open_to", 0, open_to, "who may enrol"),
	F("website", URI, 0, "page for applicants"),
	ENUM("state", 0, offer_states, "absent: published"),
	OBJECT("history", LIST, history_shape, "states passed, oldest first"),
	F("review_by", DATE, 0, "next review"),
	F("aliases", CODE, LIST, "earlier and parallel codes"),
};
static const struct shape offer_shape = SHAPE(offer_fields);

/* 3 learner, and the subject that makes it */

#define PERSON_FIELDS                                                     \
	COLUMN("given_name", TEXT, PERSON, "given_name", "given names"),  \
	COLUMN("family_name", TEXT, PERSON, "family_name",                \
	       "family names"),                                           \
	COLUMN("birth_date", DATE, PERSON | PAST, "birth_date",           \
	       "date of birth")

static const struct field learner_fields[] = {
	F("id", ID, REQ | PERSON, "European Student Identifier or own number"),
	F("number", NUMBER, REQ | FIELD_STORED,
	  "random; stands for the person everywhere else"),
	PERSON_FIELDS,
};
static const struct shape learner_shape = SHAPE(learner_fields);

static const struct field subject_fields[] = {
	F("id", ID, REQ | PERSON, "European Student Identifier or own number"),
	PERSON_FIELDS,
};
static const struct shape subject_shape = SHAPE(subject_fields);

/* 4 credential */

static const struct field grade_fields[] = {
	COLUMN("value", CODE, REQ, "grade", "as awarded, a text"),
	F("scheme", CODE, 0, "grading scheme"),
};
static const struct shape grade_shape = SHAPE(grade_fields);

static const struct field evidence_fields[] = {
	F("sha256", SHA256, REQ, "hash of the file"),
	F("media_type", CODE, 0, "its type"),
	F("uri", URI, 0, "where it is"),
};
static const struct shape evidence_shape = SHAPE(evidence_fields);

static const struct field credential_fields[] = {
	F("credential", ID, REQ, "number of the award"),
	F("offer", CODE, REQ, "what was awarded"),
	UINT("offer_version", 0, 1, 1000000, "edition it was earned under"),
	F("issuer", DOMAIN, FIELD_INPUT | FIELD_MEMBER, "the member itself"),
	OBJECT("subject", REQ | PERSON | FIELD_INPUT, subject_shape,
	       "the learner; kept in a record of its own"),
	F("learner", NUMBER, REQ | FIELD_STORED | FIELD_STANDS,
	  "the learner's number; for a learner that the node holds it may "
	  "stand instead of the subject"),
	F("issued_on", DATE, REQ | PAST, "date of issue"),
	F("achieved_on", DATE, PAST, "completion; absent: date of issue"),
	F("ects", HUNDREDTHS, 0, "ECTS credits earned"),
	OBJECT("grade", 0, grade_shape, "grade achieved"),
	ENUM("identity_check", 0, schema_identity_checks,
	     "supervision and identity check at the assessment"),
	F("awarding_body", DOMAIN, LIST, "who awards; absent: the offer's"),
	OBJECT("evidence", LIST, evidence_shape, "hashes of evidence"),
	F("valid_until", DATE, 0, "last day of validity"),
};
static const struct shape credential_shape = SHAPE(credential_fields);

/* 5 status */

static const struct field status_fields[] = {
	F("credential", CODE, REQ | FIELD_INPUT, "number of the award"),
	F("issuer", DOMAIN, FIELD_INPUT | FIELD_MEMBER, "the member itself"),
	F("seq", POSITION, REQ | FIELD_STORED,
	  "place of the credential in the own log"),
	ENUM("state", REQ, status_states, "state from now on"),
	ENUM("reason", 0, schema_status_reasons, "required unless valid"),
	F("at", INSTANT, PAST, "in force since; absent: since it is logged"),
	F("successor", CODE, 0, "the credential that replaces it"),
};
static const struct shape status_shape = SHAPE(status_fields);

/* 6 rule */

static const struct field source_fields[] = {
	F("from", DOMAIN, REQ, "awarding institution"),
	F("codes", CODE, REQ | LIST, "all of these courses are needed"),
	UINT("version", 0, 1, 1000000, "only this edition of the offer"),
};
static const struct shape source_shape = SHAPE(source_fields);

static const struct field condition_fields[] = {
	F("grade_min", CODE, 0, "lowest grade"),
	F("grade_scheme", CODE, 0, "scheme of the lowest grade"),
	UINT("eqf_min", 0, 1, EQF_MAX, "lowest level"),
	F("ects_min", HUNDREDTHS, 0, "fewest credits earned"),
	ENUM("assessment", LIST, assessments, "one of these assessments"),
	ENUM("identity_check_min", 0, schema_identity_checks,
	     "weakest identity check"),
	ENUM("claim_strength_min", 0, schema_claim_strengths,
	     "weakest claim"),
	F("language", LANGUAGE, LIST, "one of these languages of teaching"),
	F("text", TEXT, 0, "in words; makes the answer conditional"),
};
static const struct shape condition_shape = SHAPE(condition_fields);

static const struct field scope_fields[] = {
	F("text", TEXT, 0, "in words, never interpreted"),
	F("programmes", CODE, LIST, "only for these programmes"),
	F("excluded_programmes", CODE, LIST, "not for these programmes"),
};
static const struct shape scope_shape = SHAPE(scope_fields);

static const struct field rule_fields[] = {
	F("rule", ID, REQ, "the rule's own id"),
	F("recogniser", DOMAIN, FIELD_INPUT | FIELD_MEMBER,
	  "the member itself"),
	OBJECT("sources", REQ | LIST, source_shape, "any one suffices"),
	F("title", LANGUAGE_MAP, 0, "of the source, as it was known"),
	OBJECT("targets", LIST, target_shape,
	       "granted together unless choice says otherwise"),
	ENUM("outcome", REQ, outcomes, "what is recognised"),
	OBJECT("conditions", 0, condition_shape, "all must hold"),
	F("achieved_from", DATE, 0, "earliest completion"),
	F("achieved_to", DATE, 0, "latest completion"),
	OBJECT("scope", 0, scope_shape, "for whom"),
	ENUM("purposes", LIST, purposes, "absent: every purpose"),
	UINT("priority", 0, 0, 1000000, "small first; absent: after all"),
	ENUM("choice", 0, choices, "who chooses among the targets"),
	F("decided_on", DATE, PAST, "date of the decision"),
	OBJECT("denied", LIST, source_shape,
	       "courses that rules no narrower than this may not count"),
	F("supersedes", CODE, LIST, "rules that this one replaces"),
	ENUM("state", 0, rule_states, "absent: active"),
	F("reason", TEXT, 0, "why; required for a refusal"),
	ENUM("side", 0, sides, "side of the substantial difference"),
	F("help", TEXT, 0, "what would help"),
	OBJECT("appeal", 0, appeal_shape, "required for a refusal"),
	F("review_by", DATE, 0, "next review"),
};
static const struct shape rule_shape = SHAPE(rule_fields);

/* 7 policy */

static const struct field when_fields[] = {
	F("issuers", DOMAIN, LIST, "issued by one of these"),
	F("countries", COUNTRY, LIST, "issuer in one of these countries"),
	ENUM("types", LIST, offer_types, "offer of one of these types"),
	UINT("eqf_min", 0, 1, EQF_MAX, "lowest level"),
	UINT("eqf_max", 0, 1, EQF_MAX, "highest level"),
	F("ects_min", HUNDREDTHS, 0, "fewest credits"),
	F("ects_max", HUNDREDTHS, 0, "most credits"),
	F("isced", ISCED, LIST, "field begins with one of these"),
	ENUM("assessments", LIST, assessments, "assessed in one of these ways"),
	ENUM("participation", LIST, participations, "one of these forms"),
	ENUM("identity_check_min", 0, schema_identity_checks,
	     "weakest identity check"),
	ENUM("claim_strength_min", 0, schema_claim_strengths,
	     "weakest claim"),
	F("languages", LANGUAGE, LIST, "taught in one of these"),
	F("qa", BOOL, 0, "true: with quality assurance stated"),
	UINT("max_age_months", 0, 0, 1200, "completed at most so long ago"),
};
static const struct shape when_shape = SHAPE(when_fields);

static const struct field effect_fields[] = {
	ENUM("outcome", REQ, clause_outcomes, "what is recognised"),
	OBJECT("targets", LIST, target_shape, "as what"),
	F("conditions", TEXT, LIST, "in words; make the answer conditional"),
	F("reason", TEXT, 0, "why; required for a refusal"),
	ENUM("side", 0, sides, "side of the substantial difference"),
	F("help", TEXT, 0, "what would help"),
};
static const struct shape effect_shape = SHAPE(effect_fields);

static const struct field clause_fields[] = {
	F("clause", CODE, 0, "its number or name"),
	OBJECT("when", 0, when_shape, "all must hold; absent: always"),
	OBJECT("effect", REQ, effect_shape, "then"),
};
static const struct shape clause_shape = SHAPE(clause_fields);

static const struct field limit_fields[] = {
	F("credits_max", HUNDREDTHS, 0, "recognised in total, ECTS"),
	F("credits_max_issuer", HUNDREDTHS, 0, "from one issuer, ECTS"),
	UINT("own_share_min", 0, 0, 100, "per cent earned here at least"),
	UINT("programme_share_max", 0, 0, 100, "per cent of the programme"),
	UINT("max_age_months", 0, 0, 1200, "completed at most so long ago"),
	F("sharing", BOOL, 0, "may a credential count twice"),
};
static const struct shape limit_shape = SHAPE(limit_fields);

static const struct field policy_fields[] = {
	F("policy", ID, REQ, "the policy's own id"),
	F("recogniser", DOMAIN, FIELD_INPUT | FIELD_MEMBER,
	  "the member itself"),
	F("parties", DOMAIN, LIST, "members of an agreement; absent: policy"),
	F("title", LANGUAGE_MAP, 0, "title by language"),
	F("legal_basis", TEXT, 0, "law or regulation"),
	ENUM("purposes", LIST, purposes, "absent: every purpose"),
	F("effective_from", DATE, 0, "first day"),
	F("effective_to", DATE, 0, "last day"),
	OBJECT("clauses", LIST, clause_shape, "the first that holds applies"),
	OBJECT("limits", 0, limit_shape, "caps on what is recognised"),
	ENUM("grade_method", 0, grade_methods, "how grades are converted"),
	UINT("decision_days", 0, 1, 3660, "a decision takes at most"),
	OBJECT("appeal", 0, appeal_shape, "how to appeal"),
	F("contact", TEXT, 0, "where to apply"),
	F("documents", TEXT, LIST, "what to bring"),
	ENUM("default", 0, defaults, "when no clause holds"),
	F("decided_on", DATE, PAST, "date of the decision"),
	F("supersedes", CODE, LIST, "policies that this one replaces"),
	ENUM("state", 0, rule_states, "absent: active"),
};
static const struct shape policy_shape = SHAPE(policy_fields);

/* 8 decision */

static const struct field mapping_fields[] = {
	F("from", CODE, REQ | LIST, "credentials or courses, together"),
	OBJECT("to", LIST, target_shape, "counted as"),
	ENUM("outcome", 0, outcomes, "absent: the decision's"),
};
static const struct shape mapping_shape = SHAPE(mapping_fields);

static const struct field decided_condition_fields[] = {
	F("text", TEXT, REQ, "in words"),
	F("code", CODE, 0, "for machines"),
	F("due", DATE, 0, "until"),
	ENUM("state", 0, condition_states, "absent: open"),
};
static const struct shape decided_condition_shape =
	SHAPE(decided_condition_fields);

static const struct field decision_fields[] = {
	F("decision", ID, REQ, "the decision's own id"),
	F("recogniser", DOMAIN, FIELD_INPUT | FIELD_MEMBER,
	  "the member itself"),
	F("credentials", CODE, REQ | LIST, "MEMBER/ID of what was decided on"),
	ENUM("purpose", 0, purposes, "absent: every purpose"),
	F("programme", CODE, 0, "only for this programme"),
	F("requested_on", DATE, PAST, "date of the application"),
	F("decided_on", DATE, REQ | PAST, "date of the decision"),
	ENUM("outcome", REQ, outcomes, "what is recognised"),
	OBJECT("mapping", LIST, mapping_shape, "what counts as what"),
	F("credits", HUNDREDTHS, 0, "credits granted in all"),
	F("unit", CODE, 0, "unit of the credits; absent: ECTS"),
	OBJECT("conditions", LIST, decided_condition_shape, "conditions"),
	F("applied", CODE, LIST, "rules and policies that were applied"),
	F("reason", TEXT, 0, "why; required for a refusal"),
	ENUM("side", 0, sides, "side of the substantial difference"),
	F("help", TEXT, 0, "what would help"),
	OBJECT("appeal", 0, appeal_shape, "required for a refusal"),
	ENUM("appeal_state", 0, appeal_states, "absent: none"),
	F("supersedes", CODE, LIST, "decisions that this one replaces"),
	ENUM("state", 0, decision_states, "absent: active"),
};
static const struct shape decision_shape = SHAPE(decision_fields);

/* clang-format on */

/* Requirements across fields. */

struct need {
	const char *field; /* one of the two must be there */
	const char *or_field; /* or NULL */
	const char *message;
};

static bool has(struct slice map, const char *field)
{
	struct slice v;

	return field != NULL && dec_find(map, field, &v);
}

/* Annex I of the Council Recommendation of 16 June 2022; learner (1) and
 * date of issue (5) are the credential's, required by its table. */
static const struct need micro_credential[] = {
	{ "title", NULL, "element 2 of Annex I, the title, is missing" },
	{ "country", NULL, "element 3 of Annex I, the country, is missing" },
	{ "awarding_body", NULL,
	  "element 4 of Annex I, the awarding body, is missing" },
	{ "learning_outcomes", NULL,
	  "element 6 of Annex I, the learning outcomes, is missing" },
	{ "ects", "hours", "element 7 of Annex I, the workload, is missing" },
	{ "eqf", "eqf_applicable",
	  "element 8 of Annex I, the level, is missing" },
	{ "assessment", NULL,
	  "element 9 of Annex I, the type of assessment, is missing" },
	{ "participation", NULL,
	  "element 10 of Annex I, the form of participation, is missing" },
	{ "qa", NULL,
	  "element 11 of Annex I, the quality assurance, "
	  "is missing" },
};

static const struct need programme[] = {
	{ "awarding_body", NULL, "a programme needs its awarding body" },
	{ "eqf", NULL, "a programme needs its level" },
};

static bool check_needs(struct slice body, const struct need *needs,
			size_t count, struct complaint *c)
{
	for (size_t i = 0; i < count; i++) {
		if (has(body, needs[i].field) || has(body, needs[i].or_field))
			continue;
		complain(c, "missing-element", needs[i].field, needs[i].message,
			 "add it, or say another type");
		return false;
	}
	return true;
}

static bool check_order(struct slice body, const char *first, const char *last,
			struct complaint *c)
{
	struct slice from = dec_find_str(body, first);
	struct slice to = dec_find_str(body, last);

	if (from.n == 0 || to.n == 0 || slice_compare(from, to) <= 0)
		return true;
	complain(c, "empty-interval", last,
		 "the interval ends before it begins",
		 "exchange the two dates or mend one");
	return false;
}

static bool check_level(struct slice body, struct complaint *c)
{
	struct slice v;
	struct dec d;

	if (!dec_find(body, "eqf_applicable", &v))
		return true;
	dec_init(&d, v);
	if (dec_bool(&d) != has(body, "eqf")) {
		complain(c, "contradiction", "eqf_applicable",
			 "eqf and eqf_applicable contradict each other",
			 "give eqf, or eqf_applicable false");
		return false;
	}
	return true;
}

static bool check_offer(struct slice body, struct complaint *c)
{
	struct slice type = dec_find_str(body, "type");

	if (slice_is(type, "micro-credential") &&
	    !check_needs(body, micro_credential, COUNT(micro_credential), c))
		return false;
	if (slice_is(type, "programme") &&
	    !check_needs(body, programme, COUNT(programme), c))
		return false;
	return check_level(body, c) &&
	       check_order(body, "start_on", "end_on", c);
}

static bool check_status(struct slice body, struct complaint *c)
{
	struct slice state = dec_find_str(body, "state");

	if (!slice_is(state, "valid") && !has(body, "reason")) {
		complain(c, "missing-field", "reason",
			 "a status other than valid needs a reason",
			 "add a reason code");
		return false;
	}
	if (slice_is(state, "superseded") && !has(body, "successor")) {
		complain(c, "missing-field", "successor",
			 "a superseded credential needs its successor",
			 "add the number of the new credential");
		return false;
	}
	return true;
}

/* Lisbon Recognition Convention: reason, substantial difference, appeal. */
static bool check_refusal(struct slice map, const char *prefix,
			  struct complaint *c)
{
	static const char *const wanted[] = { "reason", "side" };

	if (!slice_is(dec_find_str(map, "outcome"), "refused"))
		return true;
	for (size_t i = 0; i < COUNT(wanted); i++) {
		if (has(map, wanted[i]))
			continue;
		complain(c, "bare-refusal", wanted[i],
			 "a refusal needs a reason, the side of the "
			 "substantial difference and a way to appeal",
			 prefix);
		return false;
	}
	return true;
}

static bool check_appeal(struct slice body, struct complaint *c)
{
	if (has(body, "appeal"))
		return true;
	complain(c, "bare-refusal", "appeal",
		 "a refusal needs a reason, the side of the substantial "
		 "difference and a way to appeal",
		 "add appeal with body, days or contact");
	return false;
}

static bool check_refusal_here(struct slice body, struct complaint *c)
{
	if (!check_refusal(body, "add reason and side", c))
		return false;
	return !slice_is(dec_find_str(body, "outcome"), "refused") ||
	       check_appeal(body, c);
}

static bool check_rule(struct slice body, struct complaint *c)
{
	if (!slice_is(dec_find_str(body, "outcome"), "refused") &&
	    !has(body, "targets")) {
		complain(c, "missing-field", "targets",
			 "a rule that recognises needs a target",
			 "add targets, each with match");
		return false;
	}
	return check_refusal_here(body, c) &&
	       check_order(body, "achieved_from", "achieved_to", c);
}

static bool check_clause(struct slice body, struct slice clause,
			 struct complaint *c)
{
	struct slice effect;

	if (!dec_find(clause, "effect", &effect) ||
	    !slice_is(dec_find_str(effect, "outcome"), "refused"))
		return true;
	return check_refusal(effect,
			     "add reason and side to the clause's "
			     "effect",
			     c) &&
	       check_appeal(body, c);
}

static bool check_policy(struct slice body, struct complaint *c)
{
	struct slice clauses;
	struct dec d;
	uint32_t count;

	if (dec_find(body, "clauses", &clauses)) {
		dec_init(&d, clauses);
		count = dec_array(&d);
		for (uint32_t i = 0; i < count && d.err == ERR_OK; i++) {
			if (!check_clause(body, dec_skip(&d), c))
				return false;
		}
	}
	return check_order(body, "effective_from", "effective_to", c);
}

static bool check_decision(struct slice body, struct complaint *c)
{
	return check_refusal_here(body, c) &&
	       check_order(body, "requested_on", "decided_on", c);
}

/* The kinds. */

static const struct schema schemas[] = {
	{ KIND_INSTITUTION, "institution", "institutions", "member",
	  &institution_shape, true, AUDIENCE_PUBLIC, "withdrawn", NULL },
	{ KIND_OFFER, "offer", "offers", "offer", &offer_shape, true,
	  AUDIENCE_PUBLIC, "retired", check_offer },
	{ KIND_LEARNER, "learner", "learners", "id", &learner_shape, false,
	  AUDIENCE_OWN, NULL, NULL },
	{ KIND_CREDENTIAL, "credential", "credentials", "credential",
	  &credential_shape, true, AUDIENCE_MEMBERS, NULL, NULL },
	{ KIND_STATUS, "status", "statuses", "seq", &status_shape, true,
	  AUDIENCE_MEMBERS, NULL, check_status },
	{ KIND_RULE, "rule", "rules", "rule", &rule_shape, true,
	  AUDIENCE_PUBLIC, "withdrawn", check_rule },
	{ KIND_POLICY, "policy", "policies", "policy", &policy_shape, true,
	  AUDIENCE_PUBLIC, "withdrawn", check_policy },
	{ KIND_DECISION, "decision", "decisions", "decision", &decision_shape,
	  true, AUDIENCE_OWN, "withdrawn", check_decision },
};

const struct schema *schema_at(size_t i)
{
	return i < COUNT(schemas) ? &schemas[i] : NULL;
}
