#include "node/answer_impl.h"

/* The text form: the answer first, then one fact a line. */

/* The reason with this code, or NULL. */
static const struct value *reason(const struct value *doc, const char *code)
{
	for (uint32_t i = 0; i < count(doc, "reasons"); i++) {
		if (is(item(doc, "reasons", i), "code", code))
			return item(doc, "reasons", i);
	}
	return NULL;
}

static const char *reason_label(const struct value *r)
{
	static const char *const labels[][2] = {
		{ "settle", "to settle" },
		{ "help", "would help" },
		{ "state-later", "but" },
		{ "other-decision", "see also" },
	};

	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
		if (is(r, "code", labels[i][0]))
			return labels[i][1];
	}
	return "because";
}

/* The reason that the heading of an answer that is none gives: not one that
 * only adds to others. */
static uint32_t main_reason(const struct value *doc)
{
	uint32_t n = count(doc, "reasons");

	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(reason_label(item(doc, "reasons", i)), "because") ==
		    0)
			return i;
	}
	return n;
}

/* ---- Heading ---------------------------------------------------------- */

static const struct {
	const char *outcome;
	const char *heading;
} headings[] = {
	{ "full", "RECOGNISED IN FULL" },
	{ "partial", "RECOGNISED IN PART" },
	{ "conditional", "CONDITIONAL" },
	{ "refused", "REFUSED" },
	{ "needs-review", "NEEDS REVIEW" },
	{ "undetermined", "UNDETERMINED" },
	{ "not-evaluable", "NOT EVALUABLE" },
};

const char *answer_heading(const struct value *doc)
{
	for (size_t i = 0; i < sizeof(headings) / sizeof(*headings); i++) {
		if (is(doc, "outcome", headings[i].outcome))
			return headings[i].heading;
	}
	return "UNKNOWN OUTCOME";
}

static void put_occasion(struct buf *b, const struct value *doc)
{
	buf_put_str(b, "for ");
	put_field(b, doc, "purpose");
	if (has(doc, "programme")) {
		buf_put_str(b, ", programme ");
		put_field(b, doc, "programme");
	}
	buf_put_str(b, ", as of ");
	put_field(b, doc, "as_of");
}

/* Is there a rule on the course that does not fit? */
static bool has_near_miss(const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "reasons"); i++) {
		const struct value *r = item(doc, "reasons", i);

		if (!is(r, "code", "nothing-published") &&
		    strcmp(reason_label(r), "because") == 0)
			return true;
	}
	return false;
}

/* What the heading says of an answer that is none. */
static void put_why_open(struct buf *b, const struct value *doc)
{
	const char *things =
		count(doc, "subject") > 1 ? "these courses" : "this course";

	if (is(doc, "outcome", "undetermined")) {
		if (reason(doc, "no-log") != NULL) {
			buf_put_str(b, "no log of it is held here");
		} else if (is(doc, "standing", "none")) {
			buf_put_str(b, has_near_miss(doc)
					       ? "no published rule fits "
					       : "nothing published on ");
			buf_put_str(b, things);
		} else {
			buf_put_str(b, "it assesses ");
			buf_put_str(b, things);
			buf_put_str(b, " individually");
		}
		buf_put_str(b, ". This is not a refusal");
	} else if (main_reason(doc) < count(doc, "reasons")) {
		put_field(b, item(doc, "reasons", main_reason(doc)), "text");
	}
}

static bool is_open(const struct value *doc)
{
	return is(doc, "outcome", "needs-review") ||
	       is(doc, "outcome", "undetermined") ||
	       is(doc, "outcome", "not-evaluable");
}

static void put_heading(struct buf *b, const struct value *doc)
{
	buf_put_str(b, answer_heading(doc));
	buf_put_str(b, " by ");
	put_field(b, doc, "by");
	if (!is_open(doc)) {
		buf_put_str(b, ", ");
		put_occasion(b, doc);
		end(b);
		return;
	}
	buf_put_str(b, ": ");
	put_why_open(b, doc);
	end(b);
	label(b, "asked");
	put_occasion(b, doc);
	end(b);
}

/* ---- The subject ------------------------------------------------------ */

static void put_offer_state(struct buf *b, const struct value *s)
{
	if (!is_true(s, "verified")) {
		buf_put_str(b, ", unverified: no record of it is held here");
	} else if (has(s, "offer_state")) {
		buf_put_str(b, ", ");
		put_field(b, s, "offer_state");
		buf_put_str(b, ", says its institution");
	} else {
		buf_put_str(b, ", published by its institution");
	}
}

static void put_subject(struct buf *b, const struct value *s)
{
	if (has(s, "offer")) {
		label(b, "offer");
		put_field(b, s, "offer");
		put_offer_state(b, s);
		end(b);
		return;
	}
	label(b, "credential");
	put_field(b, s, "id");
	if (is(s, "state", "unknown")) {
		buf_put_str(b, ", state not known here");
	} else if (is(s, "state", "replaced")) {
		buf_put_str(b, ", replaced by a newer version");
	} else if (has(s, "state")) {
		buf_put_str(b, ", ");
		put_field(b, s, "state");
	}
	end(b);
}

/* How far the offer of a credential is known. */
static void put_offer(struct buf *b, const struct value *s)
{
	if (has(s, "offer"))
		return;
	if (has(s, "offer_state")) {
		buf_put_str(b, ", offer ");
		put_field(b, s, "offer_state");
	}
	if (is_true(s, "verified"))
		return;
	buf_put_str(b, ", offer unverified");
	if (!has(s, "edition_missing"))
		return;
	buf_put_str(b, ": its edition ");
	buf_put_dec(b, value_get_uint(s, "edition_missing", 0));
	buf_put_str(b, " is not published here");
}

static void put_course(struct buf *b, const struct value *s)
{
	if (!has(s, "code"))
		return;
	label(b, "course");
	put_field(b, s, "code");
	if (has(s, "title"))
		buf_put_u8(b, ' ');
	put_field(b, s, "title");
	if (has(s, "ects")) {
		buf_put_str(b, ", ");
		put_count(b, s, "ects", "ECTS");
	}
	if (has(s, "achieved_on")) {
		buf_put_str(b, ", achieved ");
		put_field(b, s, "achieved_on");
	}
	put_offer(b, s);
	end(b);
}

static void put_subjects(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "subject"); i++) {
		put_subject(b, item(doc, "subject", i));
		put_course(b, item(doc, "subject", i));
	}
}

/* ---- What is granted -------------------------------------------------- */

static void put_target(struct buf *b, const struct value *t)
{
	put_field(b, t, "code");
	if (has(t, "code") && has(t, "title"))
		buf_put_u8(b, ' ');
	put_field(b, t, "title");
	buf_put_str(b, has(t, "code") || has(t, "title") ? " (" : "credit (");
	put_field(b, t, "match");
	if (has(t, "counts_as")) {
		buf_put_str(b, ", ");
		put_field(b, t, "counts_as");
	}
	buf_put_u8(b, ')');
	if (!has(t, "credits"))
		return;
	buf_put_str(b, ", ");
	text_put_hundredths(b, value_get_uint(t, "credits", 0));
	buf_put_u8(b, ' ');
	if (has(t, "unit"))
		put_field(b, t, "unit");
	else
		buf_put_str(b, "ECTS");
}

static void put_targets(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "targets"); i++) {
		label(b, "as");
		put_target(b, item(doc, "targets", i));
		end(b);
	}
}

static void put_said(struct buf *b, const struct value *s)
{
	put_field(b, s, "text");
	if (is(s, "state", "met"))
		buf_put_str(b, ": met");
	if (has(s, "due")) {
		buf_put_str(b, ", by ");
		put_field(b, s, "due");
	}
}

static void put_alternative(struct buf *b, const struct value *o)
{
	label(b, "or");
	for (uint32_t i = 0; i < count(o, "targets"); i++) {
		buf_put_str(b, i > 0 ? " and " : "");
		put_target(b, item(o, "targets", i));
	}
	if (count(o, "targets") == 0)
		put_field(b, o, "outcome");
	buf_put_str(b, ": ");
	put_field(b, o, "kind");
	buf_put_u8(b, ' ');
	put_field(b, o, "id");
	for (uint32_t i = 0; i < count(o, "conditions"); i++) {
		buf_put_str(b, i > 0 ? "; " : ", if ");
		put_said(b, item(o, "conditions", i));
	}
	end(b);
}

static void put_alternatives(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "alternatives"); i++)
		put_alternative(b, item(doc, "alternatives", i));
}

static void put_credits(struct buf *b, const struct value *doc)
{
	const struct value *c = value_get(doc, "credits");

	if (is_open(doc) || is(doc, "outcome", "refused"))
		return;
	label(b, "credits");
	if (has(c, "recognised")) {
		text_put_hundredths(b, value_get_uint(c, "recognised", 0));
		buf_put_u8(b, ' ');
		put_field(b, c, "unit");
		if (has(c, "earned")) {
			buf_put_str(b, " for ");
			put_count(b, c, "earned", "ECTS earned");
		}
	} else {
		buf_put_str(b, "not stated by ");
		put_field(b, doc, "by");
	}
	end(b);
}

static void put_grades(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "subject"); i++) {
		const struct value *g =
			value_get(item(doc, "subject", i), "grade");

		if (g == NULL || is_open(doc) || is(doc, "outcome", "refused"))
			continue;
		label(b, "grade");
		put_field(b, g, "value");
		if (has(g, "scheme")) {
			buf_put_str(b, " (");
			put_field(b, g, "scheme");
			buf_put_u8(b, ')');
		}
		buf_put_str(b, is(g, "reason", "pass-only")
				       ? ", not converted: counts as passed"
				       : ", not converted: no table");
		end(b);
	}
}

static void put_conditions(struct buf *b, const struct value *doc)
{
	if (is_open(doc))
		return;
	if (count(doc, "conditions") == 0 && !is(doc, "outcome", "refused"))
		line(b, "conditions", SLICE_LIT("none"));
	for (uint32_t i = 0; i < count(doc, "conditions"); i++) {
		label(b, "condition");
		put_said(b, item(doc, "conditions", i));
		end(b);
	}
	for (uint32_t i = 0; i < count(doc, "limits"); i++) {
		label(b, "limit");
		put_field(b, item(doc, "limits", i), "text");
		if (is(item(doc, "limits", i), "state", "applied"))
			buf_put_str(b, ": applied here");
		end(b);
	}
}

static void put_part(struct buf *b, const struct value *p)
{
	label(b, "part");
	for (uint32_t i = 0; i < count(p, "subject"); i++) {
		buf_put_str(b, i > 0 ? " + " : "");
		put(b, item(p, "subject", i)->type == VALUE_STR
			       ? item(p, "subject", i)->s
			       : slice_of(NULL, 0));
	}
	buf_put_str(b, ": ");
	put_field(b, p, "outcome");
	for (uint32_t i = 0; i < count(p, "targets"); i++) {
		buf_put_str(b, i > 0 ? " and " : ", as ");
		put_target(b, item(p, "targets", i));
	}
	end(b);
}

/* ---- Why, and on what ground ------------------------------------------ */

static void put_reasons(struct buf *b, const struct value *doc)
{
	bool in_heading = is(doc, "outcome", "needs-review") ||
			  is(doc, "outcome", "not-evaluable");
	uint32_t skip = in_heading ? main_reason(doc) : UINT32_MAX;

	for (uint32_t i = 0; i < count(doc, "reasons"); i++) {
		const struct value *r = item(doc, "reasons", i);

		if (i == skip || (is(r, "code", "nothing-published") &&
				  count(doc, "subject") < 2))
			continue;
		label(b, reason_label(r));
		put_field(b, r, "text");
		if (has(r, "side")) {
			buf_put_str(b, " (difference in ");
			put_field(b, r, "side");
			buf_put_u8(b, ')');
		}
		end(b);
	}
}

/* ---- What to do next -------------------------------------------------- */

/* Append the parts of an appeal that are stated. */
static void put_appeal_facts(struct buf *b, const struct value *a)
{
	static const char *const keys[] = { "body", "contact", "uri" };
	bool any = false;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (!has(a, keys[i]))
			continue;
		buf_put_str(b, any ? ", " : "");
		put_field(b, a, keys[i]);
		any = true;
	}
	if (!has(a, "days"))
		return;
	buf_put_str(b, any ? ", within " : "within ");
	buf_put_dec(b, value_get_uint(a, "days", 0));
	buf_put_str(b, " days");
}

static void put_appeal(struct buf *b, const struct value *doc)
{
	label(b, "appeal");
	if (has(doc, "appeal")) {
		put_appeal_facts(b, value_get(doc, "appeal"));
	} else {
		buf_put_str(b, "not stated");
		if (has(doc, "contact"))
			buf_put_str(b, "; contact ");
		put_field(b, doc, "contact");
	}
	if (has(doc, "appeal_state") && !is(doc, "appeal_state", "none")) {
		buf_put_str(b, "; appeal ");
		put_field(b, doc, "appeal_state");
	}
	end(b);
}

static void put_apply(struct buf *b, const struct value *doc)
{
	const struct value *log;

	if (count(doc, "freshness") > 0 && reason(doc, "no-log") == NULL) {
		log = item(doc, "freshness", 0);
		label(b, "searched");
		buf_put_dec(b, value_get_uint(log, "size", 0));
		buf_put_str(b, " records of ");
		put_field(b, log, "member");
		buf_put_str(b, ": decisions, rules, agreements, policies");
		end(b);
	}
	label(b, "apply");
	if (has(doc, "contact")) {
		buf_put_str(b, "for individual assessment to ");
		put_field(b, doc, "contact");
	} else {
		buf_put_str(b, "for individual assessment; where is not "
			       "stated");
	}
	if (has(doc, "decision_days")) {
		buf_put_str(b, ", decided within ");
		buf_put_dec(b, value_get_uint(doc, "decision_days", 0));
		buf_put_str(b, " days");
	}
	end(b);
}

static void put_standing(struct buf *b, const struct value *doc)
{
	static const struct {
		const char *standing;
		const char *text;
	} texts[] = {
		{ "rule", "published rule, no individual decision" },
		{ "decision", "individual decision" },
		{ "agreement", "agreement, no individual decision" },
		{ "policy", "published policy, no individual decision" },
		{ "several", "several grounds, no individual decision" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (is(doc, "standing", texts[i].standing))
			line(b, "status", slice_str(texts[i].text));
	}
}

/* ---- The whole -------------------------------------------------------- */

static void put_error_text(const struct value *doc, struct buf *b)
{
	put_field(b, doc, "message");
	end(b);
	for (uint32_t i = 0; i < count(doc, "candidates"); i++) {
		const struct value *v = item(doc, "candidates", i);

		buf_put_str(b, "  ");
		put(b, v->type == VALUE_STR ? v->s : slice_of(NULL, 0));
		end(b);
	}
}

void answer_put_text(const struct value *doc, struct buf *out)
{
	enum err code;

	if (answer_is_error(doc, &code)) {
		put_error_text(doc, out);
		return;
	}
	put_heading(out, doc);
	put_subjects(out, doc);
	put_targets(out, doc);
	put_alternatives(out, doc);
	for (uint32_t i = 0; i < count(doc, "parts"); i++)
		put_part(out, item(doc, "parts", i));
	put_credits(out, doc);
	put_grades(out, doc);
	put_conditions(out, doc);
	put_reasons(out, doc);
	ground_evidence(out, doc);
	ground_copy(out, doc);
	ground_withheld(out, doc);
	if (is(doc, "outcome", "undetermined"))
		put_apply(out, doc);
	else if (!is(doc, "outcome", "not-evaluable"))
		put_appeal(out, doc);
	put_standing(out, doc);
	ground_considered(out, doc);
}

void answer_put_brief(const struct value *doc, struct buf *out)
{
	enum err code;

	if (answer_is_error(doc, &code)) {
		put_field(out, doc, "message");
		return;
	}
	for (uint32_t i = 0; i < count(doc, "targets"); i++) {
		buf_put_str(out, i > 0 ? " and " : "");
		put_target(out, item(doc, "targets", i));
	}
	if (count(doc, "targets") > 0)
		return;
	if (is_open(doc))
		put_why_open(out, doc);
	else if (count(doc, "alternatives") > 0)
		buf_put_str(out, "the learner chooses");
}
