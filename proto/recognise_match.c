#include "recognise_impl.h"

/* One rule against the held courses, PROTOCOL.md 12.5: every test that needs
 * no other rule, in the order in which --explain names the first failure. */

enum {
	R_ACHIEVED_FROM,
	R_ACHIEVED_TO,
	R_APPEAL,
	R_CHOICE,
	R_CONDITIONS,
	R_DECIDED_ON,
	R_DENIED,
	R_HELP,
	R_OUTCOME,
	R_PRIORITY,
	R_PURPOSES,
	R_REASON,
	R_RULE,
	R_SCOPE,
	R_SIDE,
	R_SOURCES,
	R_STATE,
	R_SUPERSEDES,
	R_TARGETS,
	R_COUNT
};
static const struct slice rule_names[R_COUNT] = {
	NAME("achieved_from"), NAME("achieved_to"), NAME("appeal"),
	NAME("choice"),	       NAME("conditions"),  NAME("decided_on"),
	NAME("denied"),	       NAME("help"),	    NAME("outcome"),
	NAME("priority"),      NAME("purposes"),    NAME("reason"),
	NAME("rule"),	       NAME("scope"),	    NAME("side"),
	NAME("sources"),       NAME("state"),	    NAME("supersedes"),
	NAME("targets"),
};

static bool any_target_is_specific(struct slice targets)
{
	uint32_t n;
	struct dec d = list_open(targets, &n);

	for (; n > 0 && d.err == ERR_OK; n--) {
		if (target_is_specific(dec_skip(&d)))
			return true;
	}
	return false;
}

void rule_read(const struct recognise_record *r, struct candidate *c)
{
	struct slice v[R_COUNT], choice;

	fields_read(r->body, rule_names, R_COUNT, v);
	choice = field_text(v[R_CHOICE]);
	*c = (struct candidate){
		.record = r,
		.kind = "rule",
		.id = field_text(v[R_RULE]),
		.state = field_text(v[R_STATE]),
		.decided_on = field_text(v[R_DECIDED_ON]),
		.outcome_text = field_text(v[R_OUTCOME]),
		.purposes = v[R_PURPOSES],
		.achieved_from = field_text(v[R_ACHIEVED_FROM]),
		.achieved_to = field_text(v[R_ACHIEVED_TO]),
		.scope = v[R_SCOPE],
		.scope_text = dec_find_str(v[R_SCOPE], "text"),
		.sources = v[R_SOURCES],
		.denied = v[R_DENIED],
		.supersedes = v[R_SUPERSEDES],
		.targets = v[R_TARGETS],
		.conditions = v[R_CONDITIONS],
		.appeal = v[R_APPEAL],
		.reason = field_text(v[R_REASON]),
		.side = field_text(v[R_SIDE]),
		.help = field_text(v[R_HELP]),
		.by_learner = slice_is(choice, "learner"),
		.by_registrar = slice_is(choice, "registrar"),
		.priority = field_uint(v[R_PRIORITY], UINT64_MAX),
		.generic = !any_target_is_specific(v[R_TARGETS]),
		.body = schema_check_body(KIND_RULE, r->body, NULL),
	};
}

/* ---- Sources ---------------------------------------------------------- */

/* How a code of a rule names a held course; larger is worse. */
enum likeness { LIKE_EXACT, LIKE_FOLDED, LIKE_ALIAS, LIKE_NOT };

#define FOLDED_BYTES_MAX (LIMIT_ID_BYTES * 8)

/* A folded code on the stack; longer ones match nothing. */
struct folded {
	struct slice text;
	uint8_t bytes[FOLDED_BYTES_MAX];
};

static bool fold(struct slice code, struct folded *f)
{
	struct buf b = { .p = f->bytes,
			 .cap = sizeof(f->bytes),
			 .max = sizeof(f->bytes) };

	f->text = slice_of(NULL, 0);
	if (text_fold(code, &b) != ERR_OK)
		return false;
	f->text = buf_slice(&b);
	return f->text.n > 0;
}

static enum likeness likeness(const struct recognise_held *h, struct slice from,
			      struct slice code, const struct folded *f)
{
	bool ours = false;

	for (uint32_t i = 0; i < h->domain_count && !ours; i++)
		ours = slice_equal(h->domains[i], from);
	if (!ours || h->folded_count == 0)
		return LIKE_NOT;
	if (slice_equal(h->names[0], code))
		return LIKE_EXACT;
	if (f->text.n == 0)
		return LIKE_NOT;
	if (slice_equal(h->folded[0], f->text))
		return LIKE_FOLDED;
	for (uint32_t i = 1; i < h->folded_count; i++) {
		if (slice_equal(h->folded[i], f->text))
			return LIKE_ALIAS;
	}
	return LIKE_NOT;
}

/* What one source set finds among the held courses. */
struct found {
	uint64_t used;
	uint32_t size; /* distinct courses */
	enum likeness like[LIMIT_HELD]; /* of those used, at best */
	enum likeness worst; /* of like */
	bool edition; /* the set names one, and it is that one */
	const char *failed;
	struct slice detail; /* the code that is not held */
};

/* The held course that @code names best, not one of the set's already. */
static void find_code(const struct judge *j, struct slice from,
		      struct slice code, uint64_t free_held, struct found *out)
{
	enum likeness best = LIKE_NOT, now;
	uint32_t which = 0;
	struct folded f;

	fold(code, &f);
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if ((free_held >> i & 1) == 0)
			continue;
		now = likeness(&j->f->held[i], from, code, &f);
		if (now < best) {
			best = now;
			which = i;
		}
	}
	if (best == LIKE_NOT) {
		out->failed = "sources";
		out->detail = code;
		return;
	}
	/* A repeat, however it is written, is the same course. */
	if ((out->used >> which & 1) == 0) {
		out->size++;
		out->like[which] = best;
	} else if (best < out->like[which]) {
		out->like[which] = best;
	}
	out->used |= (uint64_t)1 << which;
}

/* Is every course of the set of the edition that the source names? */
static bool editions_fit(const struct judge *j, uint64_t used, uint64_t edition)
{
	const struct course *c;
	uint64_t have;

	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if ((used >> i & 1) == 0)
			continue;
		c = &j->courses[i];
		have = field_uint(c->c[CREDENTIAL_OFFER_VERSION], 0);
		if (have == 0)
			have = field_uint(c->o[OFFER_VERSION], 1);
		if (have != edition)
			return false;
	}
	return true;
}

static struct found find_set(const struct judge *j, struct slice source,
			     uint64_t free_held)
{
	struct slice from = dec_find_str(source, "from");
	uint64_t edition = dec_find_uint(source, "version", 0);
	struct found out = { .worst = LIKE_EXACT };
	struct slice codes;
	struct dec d;
	uint32_t n = 0;

	if (dec_find(source, "codes", &codes))
		d = list_open(codes, &n);
	if (n == 0)
		out.failed = "sources";
	for (; n > 0 && out.failed == NULL; n--)
		find_code(j, from, field_text(dec_skip(&d)), free_held, &out);
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if ((out.used >> i & 1) != 0 && out.like[i] > out.worst)
			out.worst = out.like[i];
	}
	if (out.failed != NULL || edition == 0)
		return out;
	out.edition = editions_fit(j, out.used, edition);
	if (!out.edition)
		out.failed = "edition";
	return out;
}

static unsigned broadness(const struct found *f)
{
	return f->edition ? 0 : 1 + (unsigned)f->worst;
}

/* Any one of the sources suffices: take the one that ranks first. */
static bool sources_fit(const struct judge *j, struct candidate *c,
			uint64_t free_held)
{
	struct found best = { .failed = "sources" }, now;
	uint32_t n;
	struct dec d = list_open(c->sources, &n);

	for (; n > 0 && d.err == ERR_OK; n--) {
		now = find_set(j, dec_skip(&d), free_held);
		if (now.failed != NULL) {
			if (best.failed != NULL && best.detail.n == 0)
				best = now;
			continue;
		}
		if (best.failed != NULL || broadness(&now) < broadness(&best) ||
		    (broadness(&now) == broadness(&best) &&
		     now.size > best.size))
			best = now;
	}
	c->failed = best.failed;
	c->detail = best.detail;
	c->used = best.used;
	c->set_size = best.size;
	c->broadness = broadness(&best);
	c->folded = best.worst == LIKE_FOLDED;
	c->alias = best.worst == LIKE_ALIAS;
	return c->failed == NULL;
}

uint64_t sources_mask(const struct judge *j, struct slice sources)
{
	uint64_t mask = 0;
	uint32_t n, codes_left;
	struct dec d = list_open(sources, &n), codes;
	struct slice source, list;
	struct found one;

	for (; n > 0 && d.err == ERR_OK; n--) {
		source = dec_skip(&d);
		if (!dec_find(source, "codes", &list))
			continue;
		codes = list_open(list, &codes_left);
		for (; codes_left > 0 && codes.err == ERR_OK; codes_left--) {
			one = (struct found){ .worst = LIKE_EXACT };
			find_code(j, dec_find_str(source, "from"),
				  field_text(dec_skip(&codes)), held_mask(j),
				  &one);
			mask |= one.used;
		}
	}
	return mask;
}

bool is_decided_later(const struct judge *j, const struct candidate *c)
{
	for (uint32_t i = 0; i < j->f->held_count; i++) {
		if ((c->used >> i & 1) != 0 &&
		    date_after(c->decided_on, j->f->held[i].achieved_on))
			return true;
	}
	return false;
}

/* ---- The other tests -------------------------------------------------- */

static bool fails(struct candidate *c, const char *test, struct slice detail)
{
	c->failed = test;
	c->detail = detail;
	return false;
}

bool rule_is_in_force(const struct judge *j, const struct candidate *c)
{
	return (c->state.n == 0 || slice_is(c->state, "active")) &&
	       !date_after(c->decided_on, j->q->as_of);
}

static const char *const idle_states[] = { "draft", "suspended", "withdrawn" };

/* The rule itself, whatever is held. A word that is not known here is left
 * to the test of the form. */
static bool rule_is_open(struct judge *j, struct candidate *c)
{
	for (size_t i = 0; i < sizeof(idle_states) / sizeof(*idle_states);
	     i++) {
		if (slice_is(c->state, idle_states[i]))
			return fails(c, "state", c->state);
	}
	if (date_after(c->decided_on, j->q->as_of))
		return fails(c, "decided-later", c->decided_on);
	if (c->purposes.n > 0 && c->body == BODY_OK &&
	    !list_has(c->purposes, j->q->purpose))
		return fails(c, "purpose", j->q->purpose);
	return true;
}

/* Completion must lie in the interval; what is not completed yet may still
 * do so unless the interval is over. */
static bool interval_fits(struct judge *j, struct candidate *c)
{
	bool open = false;

	for (uint32_t i = 0; i < j->f->held_count; i++) {
		struct slice on = j->f->held[i].achieved_on;

		if ((c->used >> i & 1) == 0)
			continue;
		if (date_after(c->achieved_from, on))
			return fails(c, "achieved-from", c->achieved_from);
		if (date_after(on.n > 0 ? on : j->q->as_of, c->achieved_to))
			return fails(c, "achieved-to", c->achieved_to);
		open = open || on.n == 0;
	}
	if (open && c->achieved_from.n > 0)
		condition_add(j, c, "achieved-from", "open",
			      judge_text(j, "completed on %v or later",
					 c->achieved_from));
	if (open && c->achieved_to.n > 0)
		condition_add(j, c, "achieved-to", "open",
			      judge_text(j, "completed by %v", c->achieved_to));
	return true;
}

static bool scope_fits(struct judge *j, struct candidate *c)
{
	struct slice programmes, excluded;
	bool names = dec_find(c->scope, "programmes", &programmes);
	bool excludes;

	if (names && j->q->programme.n == 0)
		return fails(c, "programme-not-given",
			     list_join(j, programmes));
	if (names && !list_has(programmes, j->q->programme))
		return fails(c, "programme", list_join(j, programmes));
	c->for_programme = names;
	excludes = dec_find(c->scope, "excluded_programmes", &excluded);
	if (excludes && list_has(excluded, j->q->programme))
		return fails(c, "programme-excluded", j->q->programme);
	if (excludes && j->q->programme.n == 0)
		condition_add(j, c, "programme-excluded", "open",
			      judge_text(j, "not for programme %v",
					 list_join(j, excluded)));
	/* Words alone are a condition; beside programmes they explain. */
	if (c->scope_text.n > 0 && !names && !excludes)
		condition_add(j, c, "scope", "open", c->scope_text);
	return true;
}

void rule_test(struct judge *j, struct candidate *c, uint64_t free_held)
{
	c->failed = NULL;
	c->met = (struct said_list){ NULL, NULL, 0 };
	if (!rule_is_open(j, c) || !sources_fit(j, c, free_held))
		return;
	if (c->body != BODY_OK ||
	    !outcome_parse(c->outcome_text, &c->outcome)) {
		fails(c,
		      c->body == BODY_INVALID ? "invalid-record"
					      : "newer-format",
		      slice_of(NULL, 0));
		return;
	}
	if (!interval_fits(j, c) || !scope_fits(j, c) || !rule_conditions(j, c))
		return;
	for (struct said *s = c->met.first; s != NULL; s = s->next) {
		if (slice_is(slice_str(s->state), "open") &&
		    c->outcome == OUTCOME_FULL)
			c->outcome = OUTCOME_CONDITIONAL;
	}
}
