#include "recognise_impl.h"

/* The gate, PROTOCOL.md 12.3: whether there is anything to recognise. What
 * fails here is not refused, it is not evaluable. */

struct gate_word {
	const char *state; /* in a status */
	const char *cause; /* in the answer */
};

static const struct gate_word gate_words[] = {
	{ "revoked", "revoked" },
	{ "suspended", "suspended" },
	{ "superseded", "superseded" },
};

/* Say why @h cannot be evaluated; the first cause names the answer. */
static void close_gate(struct judge *j, const char *cause, struct slice text)
{
	if (j->cause == NULL)
		j->cause = cause;
	judge_say(j, &j->reasons, cause, text);
}

/* The newest status that was in force on the day asked about. One without a
 * date is in force since it was logged, which is before any question. */
static const struct recognise_record *
status_in_force(const struct judge *j, const struct recognise_held *h)
{
	const struct recognise_record *newest = NULL;
	const struct recognise_record *s;

	for (uint32_t i = 0; i < h->status_count; i++) {
		s = &h->statuses[i];
		if (date_after(dec_find_str(s->body, "at"), j->q->as_of))
			continue;
		if (newest == NULL || s->seq > newest->seq)
			newest = s;
	}
	return newest;
}

static void check_status(struct judge *j, const struct recognise_held *h,
			 const struct recognise_record *s)
{
	struct slice state = dec_find_str(s->body, "state");
	struct slice at = dec_find_str(s->body, "at");
	struct slice reason = dec_find_str(s->body, "reason");
	struct slice next = dec_find_str(s->body, "successor");
	struct slice text;

	for (size_t i = 0; i < sizeof(gate_words) / sizeof(*gate_words); i++) {
		if (!slice_is(state, gate_words[i].state))
			continue;
		text = judge_text(j, "%v is %v", h->id, state);
		if (at.n >= TEXT_DATE_BYTES)
			text = judge_text(j, "%v since %v", text,
					  slice_sub(at, 0, TEXT_DATE_BYTES));
		if (reason.n > 0 && !h->state_only)
			text = judge_text(j, "%v (%v)", text, reason);
		if (next.n > 0)
			text = judge_text(j, "%v; ask about %v", text, next);
		close_gate(j, gate_words[i].cause, text);
	}
}

/* A status in a form that is not known here decides nothing, PROTOCOL.md
 * 12.9: neither that the credential is valid nor that it is not. */
static bool status_is_readable(struct judge *j, const struct recognise_held *h,
			       const struct recognise_record *s)
{
	if (schema_check_body(KIND_STATUS, s->body, NULL) == BODY_OK)
		return true;
	judge_say(j, &j->reasons, "newer-format",
		  judge_text(j,
			     "the status #%u of %v says more than this node "
			     "understands",
			     s->seq, h->id));
	return false;
}

/* What became known after the day asked about is told all the same. */
static void tell_later(struct judge *j, const struct recognise_held *h,
		       const struct recognise_record *in_force)
{
	const struct recognise_record *newest = in_force;
	struct slice at, state;

	for (uint32_t i = 0; i < h->status_count; i++) {
		if (newest == NULL || h->statuses[i].seq > newest->seq)
			newest = &h->statuses[i];
	}
	if (newest == in_force)
		return;
	at = dec_find_str(newest->body, "at");
	state = dec_find_str(newest->body, "state");
	judge_say(j, &j->reasons, "state-later",
		  judge_text(j, "%v is %v since %v, after %v", h->id, state,
			     slice_sub(at, 0, TEXT_DATE_BYTES), j->q->as_of));
}

/* What was handed over may be an old version: the newest counts. */
static void check_newest(struct judge *j, const struct recognise_held *h)
{
	if (h->newer == 0)
		return;
	close_gate(j, "newer-version",
		   judge_text(j,
			      "this proof is of #%u, and %v has a newer "
			      "version, #%u of %v; ask about %v",
			      h->credential.seq, h->id, h->newer, h->issuer,
			      h->id));
}

static void check_credential(struct judge *j, const struct course *c)
{
	static const struct {
		enum credential_field field;
		const char *name;
	} needed[] = {
		{ CREDENTIAL_ID, "credential" },
		{ CREDENTIAL_OFFER, "offer" },
		{ CREDENTIAL_ISSUED_ON, "issued_on" },
		{ CREDENTIAL_LEARNER, "learner" },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (field_text(c->c[needed[i].field]).n > 0)
			continue;
		close_gate(j, "incomplete",
			   judge_text(j, "%v is incomplete: it has no %s",
				      c->held->id, needed[i].name));
	}
	if (!text_is_date(c->held->achieved_on))
		close_gate(j, "incomplete",
			   judge_text(j, "%v is incomplete: it has no date",
				      c->held->id));
}

/* What the type of the offer requires, Annex I for micro-credentials. */
static void check_offer(struct judge *j, const struct course *c)
{
	struct slice type = field_text(c->o[OFFER_TYPE]);
	struct complaint why = { 0 };

	if (c->held->offer.body.n == 0 || slice_is(type, "course") ||
	    slice_is(type, "module"))
		return;
	if (schema_check_body(KIND_OFFER, c->held->offer.body, &why) !=
	    BODY_INVALID)
		return;
	close_gate(j, "incomplete",
		   judge_text(j, "the offer of %v is incomplete: %s",
			      c->held->id, why.message));
}

static void check_dates(struct judge *j, const struct course *c)
{
	const struct recognise_held *h = c->held;
	struct slice until = field_text(c->c[CREDENTIAL_VALID_UNTIL]);

	if (date_after(j->q->as_of, until))
		close_gate(
			j, "expired",
			judge_text(j, "%v was valid until %v", h->id, until));
	if (date_after(h->achieved_on, j->q->as_of))
		close_gate(j, "achieved-later",
			   judge_text(j, "%v was achieved on %v, after %v",
				      h->id, h->achieved_on, j->q->as_of));
}

/* One course; false: its status cannot be understood. */
static bool check_course(struct judge *j, struct course *c)
{
	const struct recognise_held *h = c->held;
	bool readable = true;

	if (h->unreadable) {
		close_gate(j, "not-visible",
			   judge_text(j,
				      "%v cannot be read here: %v keeps "
				      "credentials that this asker may not see",
				      h->id, h->issuer));
		return true;
	}
	if (!h->is_offer)
		check_credential(j, c);
	check_offer(j, c);
	c->status = status_in_force(j, h);
	if (c->status != NULL) {
		readable = status_is_readable(j, h, c->status);
		if (readable)
			check_status(j, h, c->status);
	}
	tell_later(j, h, c->status);
	check_newest(j, h);
	check_dates(j, c);
	return readable;
}

static const struct slice credential_names[CREDENTIAL_FIELDS] = {
	NAME("credential"),	NAME("ects"),	       NAME("grade"),
	NAME("identity_check"), NAME("issued_on"),     NAME("learner"),
	NAME("offer"),		NAME("offer_version"), NAME("valid_until"),
};
static const struct slice offer_names[OFFER_FIELDS] = {
	NAME("assessment"), NAME("claim_strength"),
	NAME("country"),    NAME("ects"),
	NAME("eqf"),	    NAME("identity_check"),
	NAME("isced"),	    NAME("language"),
	NAME("offer"),	    NAME("participation"),
	NAME("qa"),	    NAME("state"),
	NAME("title"),	    NAME("type"),
	NAME("version"),
};

static bool read_courses(struct judge *j)
{
	uint32_t n = j->f->held_count;

	j->courses = judge_alloc(j, n * sizeof(*j->courses));
	for (uint32_t i = 0; i < n && j->courses != NULL; i++) {
		struct course *c = &j->courses[i];

		c->held = &j->f->held[i];
		fields_read(c->held->credential.body, credential_names,
			    CREDENTIAL_FIELDS, c->c);
		fields_read(c->held->offer.body, offer_names, OFFER_FIELDS,
			    c->o);
	}
	return j->courses != NULL;
}

bool judge_gate(struct judge *j)
{
	bool readable = true;

	if (!read_courses(j))
		return false;
	for (uint32_t i = 0; i < j->f->held_count; i++)
		readable = check_course(j, &j->courses[i]) && readable;
	if (j->cause != NULL) {
		judge_part(j, held_mask(j), OUTCOME_NOT_EVALUABLE, "none");
		return false;
	}
	if (!readable)
		judge_part(j, held_mask(j), OUTCOME_NEEDS_REVIEW, "none");
	return readable;
}
