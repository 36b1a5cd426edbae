#include "recognise_impl.h"

/* Conditions of a rule on the courses it uses, PROTOCOL.md 12.5.4: each is
 * met, not met (the rule does not apply), or open where the facts do not
 * say; an open one makes the answer conditional. */

void condition_add(struct judge *j, struct candidate *c, const char *code,
		   const char *state, struct slice text)
{
	struct said *s = judge_say(j, &c->met, code, text);

	if (s != NULL)
		s->state = state;
}

enum verdict { MET, OPEN, UNMET };

enum {
	C_ASSESSMENT,
	C_CLAIM,
	C_ECTS,
	C_EQF,
	C_GRADE,
	C_SCHEME,
	C_IDENTITY,
	C_LANGUAGE,
	C_TEXT,
	C_COUNT
};
static const struct slice condition_names[C_COUNT] = {
	NAME("assessment"),
	NAME("claim_strength_min"),
	NAME("ects_min"),
	NAME("eqf_min"),
	NAME("grade_min"),
	NAME("grade_scheme"),
	NAME("identity_check_min"),
	NAME("language"),
	NAME("text"),
};

/* ---- Grades ----------------------------------------------------------- */

/* Scales whose order is known here, worst grade first. */
struct scale {
	const char *scheme;
	const char *const *grades;
};

static const char *const dk7[] = {
	"-3", "00", "02", "4", "7", "10", "12", NULL
};
static const char *const ects_letters[] = { "F", "FX", "E", "D",
					    "C", "B",  "A", NULL };
static const char *const letters[] = { "F",  "E-", "E", "E+", "D-", "D",
				       "D+", "C-", "C", "C+", "B-", "B",
				       "B+", "A-", "A", "A+", NULL };
static const struct scale scales[] = {
	{ "dk-7", dk7 },
	{ "ects", ects_letters },
};

static int grade_rank(const char *const *grades, struct slice grade)
{
	for (int i = 0; grades[i] != NULL; i++) {
		if (slice_is(grade, grades[i]))
			return i;
	}
	return -1;
}

static enum verdict compare_on(const char *const *grades, struct slice have,
			       struct slice want)
{
	int a = grade_rank(grades, have);
	int b = grade_rank(grades, want);

	if (a < 0 || b < 0)
		return OPEN;
	return a >= b ? MET : UNMET;
}

/* Grades compare within one scheme only; letters without a scheme are the
 * common A+ to F. Anything else stays open: it is for people to judge. */
static enum verdict grade_verdict(const struct course *c, struct slice want,
				  struct slice scheme)
{
	struct slice grade = c->c[CREDENTIAL_GRADE];
	struct slice have = dec_find_str(grade, "value");
	struct slice of = dec_find_str(grade, "scheme");

	if (have.n == 0)
		return OPEN;
	if (scheme.n > 0 && of.n > 0 && !slice_equal(scheme, of))
		return OPEN;
	if (scheme.n == 0)
		scheme = of;
	for (size_t i = 0; i < sizeof(scales) / sizeof(*scales); i++) {
		if (slice_is(scheme, scales[i].scheme))
			return compare_on(scales[i].grades, have, want);
	}
	if (slice_equal(have, want))
		return MET;
	return compare_on(letters, have, want);
}

/* ---- Facts of a course ------------------------------------------------ */

static enum verdict at_least(uint64_t have, uint64_t want)
{
	if (have == UINT64_MAX)
		return OPEN;
	return have >= want ? MET : UNMET;
}

uint64_t course_ects(const struct course *c)
{
	uint64_t own = field_uint(c->c[CREDENTIAL_ECTS], UINT64_MAX);

	return own != UINT64_MAX ? own
				 : field_uint(c->o[OFFER_ECTS], UINT64_MAX);
}

/* Place of @word in the NULL-ended list, weakest first. */
static uint64_t strength(const char *const *words, struct slice word)
{
	for (uint64_t i = 0; words[i] != NULL; i++) {
		if (slice_is(word, words[i]))
			return i;
	}
	return UINT64_MAX;
}

struct slice course_identity_check(const struct course *c)
{
	struct slice own = field_text(c->c[CREDENTIAL_IDENTITY_CHECK]);

	return own.n > 0 ? own : field_text(c->o[OFFER_IDENTITY_CHECK]);
}

bool at_least_as_strong(const char *const *words, struct slice have,
			struct slice want)
{
	uint64_t rank = strength(words, have);

	return rank != UINT64_MAX && rank >= strength(words, want);
}

static enum verdict strength_verdict(const char *const *words,
				     struct slice have, struct slice want)
{
	if (have.n == 0)
		return OPEN;
	return at_least_as_strong(words, have, want) ? MET : UNMET;
}

bool lists_meet(struct slice a, struct slice b)
{
	uint32_t n;
	struct dec d = list_open(a, &n);

	for (; n > 0 && d.err == ERR_OK; n--) {
		if (list_has(b, field_text(dec_skip(&d))))
			return true;
	}
	return false;
}

static enum verdict language_verdict(struct slice taught, struct slice wanted)
{
	if (taught.n == 0)
		return OPEN;
	return lists_meet(taught, wanted) ? MET : UNMET;
}

static enum verdict assessment_verdict(struct slice done, struct slice wanted)
{
	if (done.n == 0)
		return OPEN;
	return list_has(wanted, done) ? MET : UNMET;
}

/* ---- All of them ------------------------------------------------------ */

static enum verdict verdict_on(const struct course *c, unsigned which,
			       const struct slice *v)
{
	struct slice text = field_text(v[which]);

	switch (which) {
	case C_ASSESSMENT:
		return assessment_verdict(field_text(c->o[OFFER_ASSESSMENT]),
					  v[which]);
	case C_CLAIM:
		return strength_verdict(schema_claim_strengths,
					field_text(c->o[OFFER_CLAIM_STRENGTH]),
					text);
	case C_ECTS:
		return at_least(course_ects(c), field_uint(v[which], 0));
	case C_EQF:
		return at_least(field_uint(c->o[OFFER_EQF], UINT64_MAX),
				field_uint(v[which], 0));
	case C_GRADE:
		return grade_verdict(c, text, field_text(v[C_SCHEME]));
	case C_IDENTITY:
		return strength_verdict(schema_identity_checks,
					course_identity_check(c), text);
	case C_LANGUAGE:
		return language_verdict(c->o[OFFER_LANGUAGE], v[which]);
	default:
		return OPEN; /* words are for people */
	}
}

static struct slice condition_text(struct judge *j, unsigned which,
				   const struct slice *v)
{
	struct slice text = field_text(v[which]);
	struct slice scheme = field_text(v[C_SCHEME]);

	switch (which) {
	case C_ASSESSMENT:
		return judge_text(j, "assessed by %v", list_join(j, v[which]));
	case C_CLAIM:
		return judge_text(j, "claim strength at least %v", text);
	case C_ECTS:
		return judge_text(j, "at least %h ECTS",
				  field_uint(v[which], 0));
	case C_EQF:
		return judge_text(j, "EQF level at least %u",
				  field_uint(v[which], 0));
	case C_GRADE:
		if (scheme.n > 0)
			return judge_text(j, "grade at least %v (%v)", text,
					  scheme);
		return judge_text(j, "grade at least %v", text);
	case C_IDENTITY:
		return judge_text(j, "identity check at least %v", text);
	case C_LANGUAGE:
		return judge_text(j, "taught in %v", list_join(j, v[which]));
	default:
		return text;
	}
}

/* The test that --explain names; also the condition's code. */
static const char *const condition_codes[C_COUNT] = {
	"assessment",	  "claim-strength",
	"credits",	  "level",
	"grade",	  NULL, /* grade_scheme belongs to grade_min */
	"identity-check", "language",
	"text",
};

bool rule_conditions(struct judge *j, struct candidate *c)
{
	struct slice v[C_COUNT];
	enum verdict worst, now;

	if (c->conditions.n == 0)
		return true;
	fields_read(c->conditions, condition_names, C_COUNT, v);
	for (unsigned i = 0; i < C_COUNT; i++) {
		if (v[i].n == 0 || condition_codes[i] == NULL)
			continue;
		worst = MET;
		for (uint32_t k = 0; k < j->f->held_count; k++) {
			if ((c->used >> k & 1) == 0)
				continue;
			now = verdict_on(&j->courses[k], i, v);
			worst = now > worst ? now : worst;
		}
		if (worst == UNMET) {
			c->failed = condition_codes[i];
			c->detail = condition_text(j, i, v);
			return false;
		}
		condition_add(j, c, condition_codes[i],
			      worst == MET ? "met" : "open",
			      condition_text(j, i, v));
	}
	return true;
}
