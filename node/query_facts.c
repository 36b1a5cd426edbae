#include "node/query_impl.h"

#include <string.h>

#include "proto/dec.h"
#include "proto/schema.h"
#include "proto/text.h"

/* From a question to the facts that recognise() judges: only what the asker
 * may read, only the newest version of each record. */

/* ---- Logs ------------------------------------------------------------- */

/* Bits of the kinds whose bodies in this log the asker may not read. */
static uint32_t withheld_from(const struct query *q, const struct query_log *l)
{
	if (slice_equal(q->asker, l->member))
		return 0;
	return l->closed_kinds | (q->asker.n == 0 ? l->member_kinds : 0);
}

enum err gather_log(struct gather *g, uint32_t log, uint32_t *out)
{
	struct query *q = g->q;
	struct recognise_log *r;
	struct query_log *l;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < g->facts.log_count; i++) {
		if (g->log_numbers[i] == log) {
			*out = i;
			return ERR_OK;
		}
	}
	l = log_use(q, log, &e);
	if (l == NULL)
		return e;
	*out = g->facts.log_count++;
	g->log_numbers[*out] = log;
	r = &g->logs[*out];
	*r = (struct recognise_log){ .member = l->member,
				     .size = l->size,
				     .own = slice_equal(l->member, q->own),
				     .complete = l->complete,
				     .withheld = withheld_from(q, l) };
	r->heard_ms = r->own ? g->now_ms : l->heard_ms;
	if (r->heard_ms < g->now_ms)
		r->age_ms = g->now_ms - r->heard_ms;
	return ERR_OK;
}

static struct recognise_record as_fact(const struct query_record *r,
				       uint32_t log)
{
	return (struct recognise_record){ .body = r->body,
					  .log = log,
					  .seq = r->seq };
}

/* ---- Lists that grow in the arena ------------------------------------- */

struct fact_list {
	struct recognise_record *items;
	uint32_t count, room;
};

#define FACTS_FIRST 8u

static enum err add_fact(struct query *q, struct fact_list *l,
			 struct recognise_record r)
{
	uint32_t room = l->room > 0 ? l->room * 4 : FACTS_FIRST;
	struct recognise_record *larger;

	if (l->count == l->room) {
		larger = arena_array(&q->kept, room, sizeof(*larger));
		if (larger == NULL)
			return ERR_LIMIT;
		if (l->count > 0)
			memcpy(larger, l->items, l->count * sizeof(*larger));
		l->items = larger;
		l->room = room;
	}
	l->items[l->count++] = r;
	return ERR_OK;
}

static bool has_fact(const struct fact_list *l, uint64_t seq)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (l->items[i].seq == seq)
			return true;
	}
	return false;
}

/* Add the records under one index value that are of @kind, readable, and
 * the newest of their id. */
static enum err add_places(struct gather *g, const struct places *p,
			   uint32_t kind, struct fact_list *list)
{
	struct query *q = g->q;
	struct query_record r;
	bool newest;
	enum err e;

	for (uint32_t i = 0; i < p->count; i++) {
		if (has_fact(list, p->seq[i]))
			continue;
		e = record_at(q, g->log_numbers[0], p->seq[i], &r);
		if (e == ERR_DENIED || e == ERR_UNSUPPORTED)
			continue;
		if (e == ERR_OK && r.kind == kind)
			e = record_is_newest(q, &r, &newest);
		else
			newest = false;
		if (e == ERR_OK && newest)
			e = add_fact(q, list, as_fact(&r, 0));
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* ---- What is held ----------------------------------------------------- */

/* The names that a rule may use for the course: its code, then aliases. */
static enum err name_course(struct gather *g, struct recognise_held *h)
{
	struct query *q = g->q;
	struct slice *names, *folded, list;
	uint32_t n = 0;
	struct dec d;
	enum err e = ERR_OK;

	dec_init(&d, slice_of(NULL, 0));
	if (dec_find(h->offer.body, "aliases", &list)) {
		dec_init(&d, list);
		n = dec_array(&d);
	}
	n = n < LIMIT_SOURCE_NAMES ? n : LIMIT_SOURCE_NAMES - 1;
	names = arena_array(&q->kept, n + 1, sizeof(*names));
	folded = arena_array(&q->kept, n + 1, sizeof(*folded));
	if (names == NULL || folded == NULL)
		return ERR_LIMIT;
	names[0] = h->code;
	for (uint32_t i = 1; i <= n; i++)
		names[i] = dec_str(&d);
	for (uint32_t i = 0; i <= n && e == ERR_OK; i++) {
		buf_reset(&q->value);
		e = text_fold(names[i], &q->value);
		if (e == ERR_MALFORMED || e == ERR_LIMIT) {
			buf_reset(&q->value); /* matches by no folding */
			e = ERR_OK;
		}
		if (e == ERR_OK)
			e = arena_copy(&q->kept, buf_slice(&q->value),
				       &folded[i]);
	}
	h->names = names;
	h->folded = folded;
	h->folded_count = n + 1;
	return e;
}

/* The issuer's names, and its offer if there is one. */
static enum err find_offer(struct gather *g, struct recognise_held *h)
{
	struct query *q = g->q;
	struct query_record r;
	struct query_log *l;
	uint32_t log;
	enum err e;

	h->log = GATHER_LOGS;
	if (!log_of_member(q, h->issuer, &log)) {
		h->domains = &h->issuer;
		h->domain_count = 1;
		return name_course(g, h);
	}
	e = gather_log(g, log, &h->log);
	if (e != ERR_OK)
		return e;
	l = &q->logs[log];
	h->domains = l->domains;
	h->domain_count = l->domain_count;
	h->country = slice_str(l->country);
	e = record_newest(q, log, KIND_OFFER, h->code, &r);
	if (e == ERR_OK)
		h->offer = as_fact(&r, h->log);
	else if (e != ERR_NOT_FOUND)
		return e;
	return name_course(g, h);
}

/* The offer as it was when the credential was earned, if it says which. */
static enum err find_edition(struct gather *g, struct recognise_held *h)
{
	uint64_t want = dec_find_uint(h->credential.body, "offer_version", 0);
	struct query *q = g->q;
	struct query_record r;
	struct places p;
	uint32_t log;
	enum err e;

	if (want == 0 || h->offer.body.n == 0 ||
	    dec_find_uint(h->offer.body, "version", 1) == want)
		return ERR_OK;
	h->edition_missing = true;
	log = g->log_numbers[h->log];
	e = places_find(q, STORE_BY_ID, log, id_value(q, KIND_OFFER, h->code),
			QUERY_VERSIONS, &p);
	for (uint32_t i = 0; e == ERR_OK && i < p.count; i++) {
		e = record_at(q, log, p.seq[i], &r);
		if (e == ERR_DENIED || e == ERR_UNSUPPORTED) {
			e = ERR_OK;
			continue;
		}
		if (e == ERR_OK && r.kind == KIND_OFFER &&
		    record_has_id(&r, h->code) &&
		    dec_find_uint(r.body, "version", 1) == want) {
			h->offer = as_fact(&r, h->log);
			h->edition_missing = false;
			break;
		}
	}
	return e;
}

static enum err join(struct query *q, struct slice member, struct slice id,
		     struct slice *out)
{
	buf_reset(&q->value);
	buf_put(&q->value, member);
	buf_put_u8(&q->value, '/');
	buf_put(&q->value, id);
	return q->value.err != ERR_OK
		       ? q->value.err
		       : arena_copy(&q->kept, buf_slice(&q->value), out);
}

static enum err hold_statuses(struct gather *g, struct recognise_held *h,
			      const struct query_record *r)
{
	uint32_t log = h->credential.log;
	struct fact_list list = { NULL, 0, 0 };
	struct query_record *all;
	uint32_t count;
	enum err e = statuses_find(g->q, r, &all, &count);

	for (uint32_t i = 0; e == ERR_OK && i < count; i++)
		e = add_fact(g->q, &list, as_fact(&all[i], log));
	h->statuses = list.items;
	h->status_count = list.count;
	return e;
}

/* A version of the credential that was handed over, newer than this one;
 * also one that the asker may not read. */
static enum err find_newer(struct gather *g, const struct query_record *r,
			   uint64_t *newer)
{
	struct slice id = dec_find_str(r->body, "credential");
	struct query *q = g->q;
	struct query_record one;
	struct places p;
	enum err e = places_find(q, STORE_BY_ID, r->log,
				 id_value(q, KIND_CREDENTIAL, id),
				 QUERY_VERSIONS, &p);

	for (uint32_t i = 0; e == ERR_OK && i < p.count; i++) {
		if (p.seq[i] <= r->seq)
			break;
		e = record_at(q, r->log, p.seq[i], &one);
		if (e == ERR_DENIED ||
		    (e == ERR_OK && one.kind == KIND_CREDENTIAL &&
		     record_has_id(&one, id))) {
			*newer = p.seq[i];
			return ERR_OK;
		}
		e = e == ERR_UNSUPPORTED ? ERR_OK : e;
	}
	return e;
}

/* Is the body of a leaf for both the asker and this node? */
static bool is_for_us(const struct query *q, uint64_t audience,
		      struct slice member)
{
	return audience_admits(audience, q->asker.n > 0,
			       slice_equal(q->asker, member)) &&
	       audience_admits(audience, true, slice_equal(q->own, member));
}

/* Does a status that cannot be read lie behind the record? It may be about
 * it. Looks from the newest leaf back; what would take too long to rule out
 * is taken to be there. */
static enum err find_hidden_status(struct gather *g,
				   const struct query_record *r, bool *hidden)
{
	struct query *q = g->q;
	const struct query_log *l = &q->logs[r->log];
	uint64_t seq = l->size;
	struct record row;
	struct leaf leaf;
	enum err e;

	*hidden = false;
	if (is_for_us(q, r->audience, r->member) ||
	    ((l->closed_kinds | l->member_kinds) >> KIND_STATUS & 1) == 0)
		return ERR_OK;
	for (uint32_t n = 0; seq > r->seq + 1 && !*hidden; n++) {
		e = store_record_get(q->txn, r->log, --seq, &row);
		if (e != ERR_OK)
			return e;
		e = leaf_decode(row.leaf, &leaf);
		if (e != ERR_OK && e != ERR_UNSUPPORTED)
			return ERR_CORRUPT;
		*hidden = n == QUERY_LEAVES ||
			  (e == ERR_OK && leaf.kind == KIND_STATUS &&
			   !is_for_us(q, leaf.audience, r->member));
	}
	return ERR_OK;
}

/* What matters of a credential that was handed over: whether it is the
 * newest, and what may have become of it. Whoever can show it may learn its
 * state, and only that, from its issuer. */
static enum err hold_disclosed(struct gather *g, struct recognise_held *h,
			       const struct query_record *r)
{
	struct query *q = g->q;
	struct slice asker = q->asker;
	enum err e = find_newer(g, r, &h->newer);

	if (e == ERR_OK && !slice_equal(r->member, q->own)) {
		e = find_hidden_status(g, r, &h->state_unknown);
	} else if (e == ERR_OK && !slice_equal(r->member, asker)) {
		q->asker = q->own;
		h->state_only = true;
	}
	if (e == ERR_OK)
		e = hold_statuses(g, h, r);
	q->asker = asker;
	return e;
}

static enum err hold_record(struct gather *g, const struct query_record *r,
			    bool disclosed)
{
	struct recognise_held *h = &g->held[g->facts.held_count];
	uint32_t log;
	enum err e;

	for (uint32_t i = 0; i < g->facts.held_count; i++) {
		if (g->credentials[i].log == r->log &&
		    g->credentials[i].seq == r->seq)
			return ERR_OK; /* named in two ways */
	}
	g->credentials[g->facts.held_count++] = *r;
	h->disclosed = disclosed;
	h->issuer = r->member;
	h->code = dec_find_str(r->body, "offer");
	h->achieved_on = dec_find_str(r->body, "achieved_on");
	if (h->achieved_on.n == 0)
		h->achieved_on = dec_find_str(r->body, "issued_on");
	e = join(g->q, r->member, dec_find_str(r->body, "credential"), &h->id);
	if (e == ERR_OK)
		e = gather_log(g, r->log, &log);
	if (e != ERR_OK)
		return e;
	h->credential = as_fact(r, log);
	e = find_offer(g, h);
	if (e == ERR_OK)
		e = find_edition(g, h);
	if (e != ERR_OK)
		return e;
	return disclosed ? hold_disclosed(g, h, r) : hold_statuses(g, h, r);
}

/* One that cannot be found where credentials are kept back: the asker may
 * not know whether there is one. */
static bool hold_unreadable(struct gather *g, struct slice name)
{
	struct recognise_held *h = &g->held[g->facts.held_count];
	struct slice member, id;
	uint32_t log, at;

	if (!slice_cut(name, '/', &member, &id) ||
	    !log_of_member(g->q, member, &log))
		return false;
	if (gather_log(g, log, &at) != ERR_OK ||
	    (g->logs[at].withheld >> KIND_CREDENTIAL & 1) == 0)
		return false;
	g->facts.held_count++;
	h->id = name;
	h->issuer = member;
	h->log = at;
	h->unreadable = true;
	h->domains = g->q->logs[log].domains;
	return true;
}

static enum err hold_named(struct gather *g, struct slice name)
{
	struct query *q = g->q;
	struct query_failure *f = g->failure;
	struct query_record r;
	enum err e;

	f->candidates =
		arena_array(&q->kept, LIMIT_LOGS, sizeof(*f->candidates));
	if (f->candidates == NULL)
		return ERR_LIMIT;
	e = record_find(q, KIND_CREDENTIAL, name, &r, f->candidates,
			&f->candidate_count);
	if (e == ERR_OK)
		return hold_record(g, &r, false);
	if (e == ERR_NOT_FOUND && hold_unreadable(g, name))
		return ERR_OK;
	if (e == ERR_AMBIGUOUS)
		fail_with(q, f, "more than one member has a credential %.*s",
			  (int)name.n, (const char *)name.p);
	if (e == ERR_NOT_FOUND)
		fail_with(q, f,
			  "there is no credential %.*s here; write MEMBER/ID, "
			  "or ask about its course with --offer",
			  (int)name.n, (const char *)name.p);
	return e;
}

static enum err hold_offer(struct gather *g)
{
	struct recognise_held *h = &g->held[g->facts.held_count++];

	h->is_offer = true;
	h->id = g->question.offer;
	h->achieved_on = g->question.achieved_on;
	slice_cut(g->question.offer, '/', &h->issuer, &h->code);
	return find_offer(g, h);
}

static enum err gather_held(struct gather *g)
{
	const struct recognise_question *question = &g->question;
	struct query_record r;
	enum err e = ERR_OK;

	if (question->offer.n > 0)
		return hold_offer(g);
	if (question->disclosed.n > 0) {
		e = gather_disclosed(g, &r);
		return e == ERR_OK ? hold_record(g, &r, true) : e;
	}
	for (uint32_t i = 0; i < question->credential_count && e == ERR_OK; i++)
		e = hold_named(g, question->credentials[i]);
	return e;
}

/* ---- Grounds ---------------------------------------------------------- */

/* Places of the rules that name a course by one of its names. */
static enum err rules_of(struct gather *g, struct slice domain,
			 struct slice folded, struct places *p)
{
	struct query *q = g->q;

	buf_reset(&q->value);
	buf_put(&q->value, domain);
	buf_put_u8(&q->value, '/');
	buf_put(&q->value, folded);
	return places_find(q, STORE_BY_SOURCE, g->log_numbers[0],
			   buf_slice(&q->value), LIMIT_CANDIDATES, p);
}

/* Rules that supersede one of those found: they remove it whatever they
 * are about themselves. */
static enum err add_superseding(struct gather *g, struct fact_list *list)
{
	struct query *q = g->q;
	struct places p;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < list->count && e == ERR_OK; i++) {
		buf_reset(&q->value);
		buf_put_str(&q->value, "supersedes/");
		buf_put(&q->value, dec_find_str(list->items[i].body, "rule"));
		e = places_find(q, STORE_BY_REF, g->log_numbers[0],
				buf_slice(&q->value), QUERY_VERSIONS, &p);
		if (e == ERR_OK)
			e = add_places(g, &p, KIND_RULE, list);
		if (list->count > LIMIT_CANDIDATES)
			break;
	}
	return e;
}

/* Too many to weigh in one answer? Then it is for people. */
static bool is_too_much(const struct fact_list *list)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < list->count; i++)
		bytes += list->items[i].body.n;
	return list->count > LIMIT_CANDIDATES || bytes > QUERY_RULE_BYTES;
}

static enum err gather_rules(struct gather *g)
{
	struct fact_list list = { NULL, 0, 0 };
	struct places p;
	enum err e = ERR_OK;
	bool more = false;

	for (uint32_t i = 0; i < g->facts.held_count; i++) {
		const struct recognise_held *h = &g->held[i];
		uint32_t names = h->folded_count * h->domain_count;

		for (uint32_t k = 0; k < names && e == ERR_OK; k++) {
			e = rules_of(g, h->domains[k / h->folded_count],
				     h->folded[k % h->folded_count], &p);
			more = more || p.more;
			if (e == ERR_OK && !is_too_much(&list))
				e = add_places(g, &p, KIND_RULE, &list);
		}
	}
	if (e == ERR_OK)
		e = add_superseding(g, &list);
	g->facts.truncated = more || is_too_much(&list);
	g->facts.rules = list.items;
	g->facts.rule_count = g->facts.truncated ? 0 : list.count;
	return e;
}

static enum err gather_decisions(struct gather *g)
{
	struct fact_list list = { NULL, 0, 0 };
	struct places p;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < g->facts.held_count && e == ERR_OK; i++) {
		if (g->held[i].is_offer)
			continue;
		e = places_find(g->q, STORE_BY_REF, g->log_numbers[0],
				g->held[i].id, QUERY_VERSIONS, &p);
		if (e == ERR_OK)
			e = add_places(g, &p, KIND_DECISION, &list);
	}
	g->facts.decisions = list.items;
	g->facts.decision_count = list.count;
	return e;
}

static enum err gather_policies(struct gather *g)
{
	const struct query_log *l = &g->q->logs[g->log_numbers[0]];
	struct fact_list list = { NULL, 0, 0 };
	enum err e = add_places(g, &l->policies, KIND_POLICY, &list);

	g->facts.policies = list.items;
	g->facts.policy_count = list.count;
	return e;
}

/* The recogniser's own record and where to apply. */
static enum err gather_recogniser(struct gather *g)
{
	const struct query_log *l = &g->q->logs[g->log_numbers[0]];
	struct query_record r;
	enum err e;

	if (!l->has_institution)
		return ERR_OK;
	e = record_at(g->q, g->log_numbers[0], l->institution, &r);
	if (e == ERR_OK)
		g->facts.institution = as_fact(&r, 0);
	return e == ERR_DENIED ? ERR_OK : e;
}

static enum err gather_grounds(struct gather *g)
{
	enum err e = gather_recogniser(g);

	if (e == ERR_OK)
		e = gather_rules(g);
	if (e == ERR_OK)
		e = gather_decisions(g);
	if (e == ERR_OK)
		e = gather_policies(g);
	return e;
}

/* Where to apply when the recogniser's records do not say. */
static struct slice contact_of(const struct query *q, struct slice member)
{
	const struct descriptor *card = members_card(q->members, member);

	return card != NULL ? card->contact : slice_of(NULL, 0);
}

enum err gather_facts(struct gather *g)
{
	struct slice by = g->question.by;
	uint32_t log, at;
	enum err e = ERR_OK;

	g->facts.question = &g->question;
	g->facts.logs = g->logs;
	g->facts.held = g->held;
	g->facts.has_log = log_of_member(g->q, by, &log);
	g->facts.contact = contact_of(g->q, by);
	if (g->facts.has_log) {
		e = gather_log(g, log, &at);
	} else {
		g->logs[0] = (struct recognise_log){ .member = by };
		g->log_numbers[0] = UINT32_MAX;
		g->facts.log_count = 1;
	}
	if (e == ERR_OK)
		e = gather_held(g);
	if (e == ERR_OK && g->facts.has_log)
		e = gather_grounds(g);
	return e;
}
