#include "judge.h"

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
		if (reason.n > 0)
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

static void check_form(struct judge *j, const struct recognise_held *h,
		       uint32_t kind, struct slice body)
{
	struct complaint c = { 0 };

	if (body.n == 0 || schema_check_body(kind, body, &c) != BODY_INVALID)
		return;
	close_gate(j, "incomplete",
		   judge_text(j, "%v is incomplete: %s", h->id, c.message));
}

static void check_dates(struct judge *j, const struct recognise_held *h)
{
	struct slice until = dec_find_str(h->credential.body, "valid_until");

	if (date_after(j->q->as_of, until))
		close_gate(
			j, "expired",
			judge_text(j, "%v was valid until %v", h->id, until));
	if (date_after(h->achieved_on, j->q->as_of))
		close_gate(j, "achieved-later",
			   judge_text(j, "%v was achieved on %v, after %v",
				      h->id, h->achieved_on, j->q->as_of));
}

bool judge_gate(struct judge *j)
{
	bool readable = true;

	for (uint32_t i = 0; i < j->f->held_count; i++) {
		const struct recognise_held *h = &j->f->held[i];
		const struct recognise_record *s = status_in_force(j, h);

		if (h->unreadable) {
			close_gate(
				j, "not-visible",
				judge_text(j,
					   "%v cannot be read here: %v keeps "
					   "credentials that this asker may "
					   "not see",
					   h->id, h->issuer));
			continue;
		}
		check_form(j, h, KIND_CREDENTIAL, h->credential.body);
		check_form(j, h, KIND_OFFER, h->offer.body);
		j->states[i] = s;
		if (s != NULL && status_is_readable(j, h, s))
			check_status(j, h, s);
		else if (s != NULL)
			readable = false;
		tell_later(j, h, s);
		check_dates(j, h);
	}
	if (j->cause != NULL) {
		judge_part(j, held_mask(j), OUTCOME_NOT_EVALUABLE, "none");
		return false;
	}
	if (!readable)
		judge_part(j, held_mask(j), OUTCOME_NEEDS_REVIEW, "none");
	return readable;
}
