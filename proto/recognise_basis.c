#include "recognise_impl.h"

#include "enc.h"

/* What an answer stands on: its evidence, what was weighed and fell, and the
 * copy that was asked. PROTOCOL.md 12.8. */

/* ---- Evidence --------------------------------------------------------- */

static void put_record(struct judge *j, struct enc *e, const char *kind,
		       struct slice id, const struct recognise_record *r)
{
	const struct recognise_log *log = log_of(j, r);

	put_text(e, SLICE_LIT("id"), id);
	put_text(e, SLICE_LIT("kind"), slice_str(kind));
	put_text(e, SLICE_LIT("member"), log->member);
	put_uint(e, SLICE_LIT("seq"), r->seq);
	put_uint(e, SLICE_LIT("size"), log->size);
}

/* Put the entry, or only count it when @e is NULL. */
static uint32_t put_ground(struct judge *j, struct enc *e,
			   const struct candidate *c)
{
	if (e == NULL)
		return 1;
	enc_map(e,
		4u + (c->id.n > 0) + (c->decided_on.n > 0) + (c->twin != NULL));
	put_text(e, SLICE_LIT("decided_on"), c->decided_on);
	put_twins(e, c);
	put_record(j, e, c->kind, c->id, c->record);
	return 1;
}

static uint32_t put_fact(struct judge *j, struct enc *e, const char *kind,
			 struct slice id, const struct recognise_record *r)
{
	if (r->body.n == 0)
		return 0;
	if (e != NULL) {
		enc_map(e, 4u + (id.n > 0));
		put_record(j, e, kind, id, r);
	}
	return 1;
}

static uint32_t put_part_grounds(struct judge *j, struct enc *e,
				 const struct part *p)
{
	const struct candidate *last = NULL;
	uint32_t n = 0;

	for (const struct option *o = p->options; o != NULL; o = o->next) {
		if (o->from != last)
			n += put_ground(j, e, o->from);
		last = o->from;
	}
	return n;
}

static uint32_t put_held_facts(struct judge *j, struct enc *e, uint32_t i)
{
	const struct course *c = &j->courses[i];
	const struct recognise_held *h = c->held;
	uint32_t n = 0;

	if (c->status != NULL)
		n += put_fact(j, e, "status", slice_of(NULL, 0), c->status);
	n += put_fact(j, e, "credential", field_text(c->c[CREDENTIAL_ID]),
		      &h->credential);
	n += put_fact(j, e, "offer", field_text(c->o[OFFER_ID]), &h->offer);
	return n;
}

static uint32_t put_grounds(struct judge *j, struct enc *e)
{
	uint32_t n = 0;

	for (const struct part *p = j->parts; p != NULL; p = p->next)
		n += put_part_grounds(j, e, p);
	for (size_t i = 0; i < j->policy_count; i++) {
		if (j->policies[i]->limits)
			n += put_ground(j, e, j->policies[i]);
	}
	for (uint32_t i = 0; i < j->f->held_count; i++)
		n += put_held_facts(j, e, i);
	return n;
}

void put_basis(struct judge *j, struct enc *e)
{
	put_key(e, SLICE_LIT("basis"));
	enc_array(e, put_grounds(j, NULL));
	put_grounds(j, e);
}

void put_considered(struct judge *j, struct enc *e)
{
	if (!j->q->explain)
		return;
	put_key(e, SLICE_LIT("considered"));
	enc_array(e, j->considered_count);
	for (const struct considered *c = j->considered; c != NULL;
	     c = c->next) {
		enc_map(e, 6);
		put_text(e, SLICE_LIT("failed"), slice_str(c->what->failed));
		put_key(e, SLICE_LIT("id"));
		enc_str(e, c->what->id);
		put_text(e, SLICE_LIT("kind"), slice_str(c->what->kind));
		put_key(e, SLICE_LIT("member"));
		enc_str(e, log_of(j, c->what->record)->member);
		put_uint(e, SLICE_LIT("seq"), c->what->record->seq);
		put_key(e, SLICE_LIT("text"));
		enc_str(e, c->text);
	}
}

/* ---- The copy that was asked ------------------------------------------ */

void put_freshness(struct judge *j, struct enc *e)
{
	uint32_t first = j->f->has_log ? 0 : 1;

	put_key(e, SLICE_LIT("freshness"));
	enc_array(e, j->f->log_count - first);
	for (uint32_t i = first; i < j->f->log_count; i++) {
		const struct recognise_log *l = &j->f->logs[i];

		enc_map(e, 6);
		put_uint(e, SLICE_LIT("age_ms"), l->age_ms);
		put_key(e, SLICE_LIT("complete"));
		enc_bool(e, l->complete);
		put_uint(e, SLICE_LIT("heard_ms"), l->heard_ms);
		put_text(e, SLICE_LIT("member"), l->member);
		put_key(e, SLICE_LIT("own"));
		enc_bool(e, l->own);
		put_uint(e, SLICE_LIT("size"), l->size);
	}
}

/* Kinds whose absence could change the answer, in the order of their names. */
static const struct {
	const char *name;
	uint32_t bit;
} kinds[] = {
	{ "credential", 1u << KIND_CREDENTIAL },
	{ "decision", 1u << KIND_DECISION },
	{ "offer", 1u << KIND_OFFER },
	{ "policy", 1u << KIND_POLICY },
	{ "rule", 1u << KIND_RULE },
	{ "status", 1u << KIND_STATUS },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* Bits of the kinds withheld in log @i that could matter here. */
static uint32_t withheld(const struct judge *j, uint32_t i)
{
	const struct recognise_held *h;
	uint32_t wanted = 0;

	if (i == 0)
		wanted = 1u << KIND_RULE | 1u << KIND_POLICY;
	for (uint32_t k = 0; k < j->f->held_count; k++) {
		h = &j->f->held[k];
		if (i == 0 && !h->is_offer)
			wanted |= 1u << KIND_DECISION;
		if (i != h->log)
			continue;
		/* Others' statuses can be read: they go where their
		 * credential goes. */
		if (h->unreadable || h->state_unknown)
			wanted |= 1u << KIND_STATUS;
		if (h->unreadable)
			wanted |= 1u << KIND_CREDENTIAL;
		if (h->offer.body.n == 0 || h->edition_missing)
			wanted |= 1u << KIND_OFFER;
	}
	return j->f->logs[i].withheld & wanted;
}

static uint32_t count_kinds(uint32_t bits)
{
	uint32_t n = 0;

	for (size_t k = 0; k < KINDS; k++)
		n += (bits & kinds[k].bit) != 0;
	return n;
}

void put_incomplete(struct judge *j, struct enc *e)
{
	uint32_t n = 0, bits;

	for (uint32_t i = 0; i < j->f->log_count; i++)
		n += withheld(j, i) != 0;
	put_key(e, SLICE_LIT("incomplete"));
	enc_array(e, n);
	for (uint32_t i = 0; i < j->f->log_count; i++) {
		bits = withheld(j, i);
		if (bits == 0)
			continue;
		enc_map(e, 2);
		put_key(e, SLICE_LIT("kinds"));
		enc_array(e, count_kinds(bits));
		for (size_t k = 0; k < KINDS; k++) {
			if (bits & kinds[k].bit)
				enc_cstr(e, kinds[k].name);
		}
		put_text(e, SLICE_LIT("member"), j->f->logs[i].member);
	}
}
