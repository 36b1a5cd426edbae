#include "node/query_impl.h"

#include "proto/dec.h"
#include "proto/proof.h"

/* A credential that a learner handed over with its proof, PROTOCOL.md 12.10:
 * believed only if this node's own verified copy of that log has the same
 * leaf in the same place. */

static enum err refuse(struct gather *g, enum err e, const char *text,
		       struct slice about)
{
	fail_with(g->q, g->failure, "the proof is refused: %s%s%.*s", text,
		  about.n > 0 ? ": " : "", (int)about.n,
		  about.n > 0 ? (const char *)about.p : "");
	return e;
}

/* The key that may sign a checkpoint of this log and size. */
static const struct note_key *
key_for(const struct query *q, struct slice member, const struct checkpoint *c)
{
	const struct descriptor *card = members_card(q->members, member);

	if (card == NULL)
		return NULL;
	return descriptor_log_key(card, c->origin, c->head.size);
}

static enum err verify(struct gather *g, const struct proof *p,
		       const struct checkpoint *c, struct slice member)
{
	const struct note_key *key = key_for(g->q, member, c);
	struct proof_verdict v;
	const char *why = "";
	enum err e;

	if (key == NULL)
		return refuse(g, ERR_DENIED,
			      "no key is known for this log and size",
			      c->origin);
	e = proof_verify(p, key, NULL, 0, &v, &why);
	if (e != ERR_OK)
		return refuse(g, e == ERR_UNSUPPORTED ? e : ERR_INVALID, why,
			      slice_of(NULL, 0));
	if (!v.opened)
		return refuse(g, ERR_INVALID,
			      "it does not disclose the credential",
			      slice_of(NULL, 0));
	if (v.leaf.kind != KIND_CREDENTIAL)
		return refuse(g, ERR_INVALID, "it is not of a credential",
			      slice_of(NULL, 0));
	return ERR_OK;
}

/* Compare with the copy; *r is the record's place there. */
static enum err compare(struct gather *g, const struct proof *p,
			const struct checkpoint *c, struct query_record *r)
{
	uint32_t log;
	enum err e = store_log_find(g->q->txn, c->origin, &log);

	if (e == ERR_NOT_FOUND)
		return refuse(g, e, "this node has no copy of the log",
			      c->origin);
	if (e != ERR_OK)
		return e;
	e = record_at(g->q, log, p->index, r);
	if (e == ERR_NOT_FOUND)
		return refuse(g, e,
			      "this node's copy of the log does not reach as "
			      "far yet",
			      c->origin);
	if (e != ERR_OK && e != ERR_DENIED)
		return e;
	if (!slice_equal(r->leaf, p->leaf))
		return refuse(g, ERR_CONFLICT,
			      "this node's verified copy has another record "
			      "in its place",
			      c->origin);
	return ERR_OK;
}

enum err gather_disclosed(struct gather *g, struct query_record *r)
{
	struct checkpoint c;
	struct slice member, body;
	struct proof p;
	uint64_t generation;
	enum err e = proof_parse(g->question.disclosed, &g->q->kept, &p);

	if (e == ERR_OK)
		e = checkpoint_parse(p.note.text, &c);
	if (e == ERR_OK)
		e = log_origin_parse(c.origin, &member, &generation);
	if (e != ERR_OK)
		return refuse(g, e, "it is not a proof of a record",
			      slice_of(NULL, 0));
	e = verify(g, &p, &c, member);
	if (e == ERR_OK)
		e = compare(g, &p, &c, r);
	if (e != ERR_OK)
		return e;
	if (dec_scan(p.body, NULL) != ERR_OK)
		return refuse(g, ERR_INVALID, "its content has no proper form",
			      slice_of(NULL, 0));
	e = arena_copy(&g->q->kept, p.body, &body);
	r->kind = KIND_CREDENTIAL;
	r->member = member;
	r->body = body;
	return e;
}
