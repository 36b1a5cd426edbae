#include "mesh_state.h"

#include <assert.h>

#define DOC_NONE UINT64_MAX /* it has nothing newer that we could use */

static void complain(struct mesh *m, struct mesh_link *k,
		     enum message_type type, uint64_t id, enum err code)
{
	struct message msg = {
		.type = MSG_ERR, .err = { .code = code, .type = type, .id = id }
	};

	mesh_send(m, k, &msg);
}

/* Documents. */

uint32_t mesh_list_docs(struct mesh *m, struct message_doc_head *out)
{
	uint32_t n = 0;

	out[n++] = (struct message_doc_head){ slice_of(NULL, 0),
					      m->members.roster->version,
					      m->members.roster->hash };
	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct descriptor *d = m->peers[i]->card;

		if (d != NULL)
			out[n++] = (struct message_doc_head){ d->member,
							      d->version,
							      d->hash };
	}
	return n;
}

void mesh_on_doc_heads(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       const struct message_heads *h)
{
	for (uint32_t i = 0; i < h->doc_count; i++) {
		const struct message_doc_head *d = &h->docs[i];
		uint32_t member;

		if (d->member.n == 0) {
			k->roster = d->version;
			m->peers[k->member]->roster_version = d->version;
			continue;
		}
		member = mesh_find_member(m, d->member);
		if (member != UINT32_MAX)
			k->cards[member] = d->version;
	}
	mesh_pump_docs(m, now_ms, k);
}

static uint64_t card_version(const struct mesh *m, uint32_t member)
{
	const struct descriptor *d = m->peers[member]->card;

	return d == NULL ? 0 : d->version;
}

/* Which version of this member's card should be asked of @k? */
static bool lacks_card(const struct mesh *m, const struct mesh_link *k,
		       uint32_t member, uint64_t *version)
{
	uint64_t have = card_version(m, member), its = k->cards[member];

	if (its == DOC_NONE)
		return false;
	*version = have == 0 ? 0 : have + 1;
	if (have > 0)
		return its > have;
	/* Someone new: whoever knows the roster should know the card. */
	return its > 0 || (k->roster != DOC_NONE &&
			   k->roster >= m->members.roster->version);
}

static bool is_asked(const struct mesh *m, enum doc_kind kind, uint32_t member)
{
	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct mesh_link *k = m->peers[i]->link;

		if (k != NULL && k->doc_id != 0 && k->doc_kind == kind &&
		    k->doc_member == member)
			return true;
	}
	return false;
}

static void ask_doc(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		    enum doc_kind kind, uint32_t member, uint64_t version)
{
	struct message msg = { .type = MSG_WANT_DOC };

	k->doc_id = mesh_new_id(m);
	k->doc_ms = now_ms;
	k->doc_kind = kind;
	k->doc_member = member;
	k->doc_version = version;
	msg.want_doc.kind = kind;
	msg.want_doc.version = version;
	if (kind == DOC_CARD)
		msg.want_doc.member = mesh_peer_name(m->peers[member]);
	mesh_send(m, k, &msg);
	mesh_arm(m, now_ms + MESH_REQUEST_MS);
}

/* PROTOCOL.md 10.11: one version after the other, the roster first. */
void mesh_pump_docs(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	uint64_t have = m->members.roster->version, version;

	if (!mesh_link_is_up(k) || k->views == NULL || k->congested ||
	    k->doc_id != 0)
		return;
	if (k->roster != DOC_NONE && k->roster > have) {
		if (!is_asked(m, DOC_ROSTER, 0))
			ask_doc(m, now_ms, k, DOC_ROSTER, 0, have + 1);
		return;
	}
	for (uint32_t i = 0; i < m->peer_count; i++) {
		if (lacks_card(m, k, i, &version) &&
		    !is_asked(m, DOC_CARD, i)) {
			ask_doc(m, now_ms, k, DOC_CARD, i, version);
			return;
		}
	}
}

static void pump_all_docs(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->peer_count; i++) {
		if (m->peers[i]->link != NULL)
			mesh_pump_docs(m, now_ms, m->peers[i]->link);
	}
}

/* The request on @k has come to nothing: do not ask there again. */
static void give_up_doc(struct mesh_link *k)
{
	if (k->doc_kind == DOC_ROSTER)
		k->roster = DOC_NONE;
	else
		k->cards[k->doc_member] = DOC_NONE;
	k->doc_id = 0;
}

void mesh_on_doc(struct mesh *m, struct mesh_link *k,
		 const struct message_doc *d)
{
	struct mesh_out *out;

	if (k->doc_id == 0 || k->doc_ms == UINT64_MAX ||
	    d->kind != k->doc_kind ||
	    (k->doc_version != 0 && d->version != k->doc_version) ||
	    (d->kind == DOC_CARD &&
	     !slice_is(d->member, m->peers[k->doc_member]->name)))
		return;
	k->doc_ms = UINT64_MAX; /* from now on it is the driver's */
	out = mesh_push(m, &m->store, MESH_OUT_DOC, k);
	out->id = k->doc_id;
	out->doc = d;
}

void mesh_doc_checked(struct mesh *m, uint64_t now_ms, uint64_t link,
		      uint64_t id, enum err result)
{
	struct mesh_link *k = mesh_find_link(m, link);
	uint64_t have;

	if (k != NULL && k->doc_id != 0 && k->doc_id == id) {
		have = k->doc_kind == DOC_ROSTER
			       ? m->members.roster->version
			       : card_version(m, k->doc_member);
		if (result != ERR_OK)
			mesh_note_refusal(m, now_ms, k->member, result, false);
		if (have == 0 || have < k->doc_version)
			give_up_doc(k);
		k->doc_id = 0;
	}
	pump_all_docs(m, now_ms);
}

void mesh_on_want_doc(struct mesh *m, struct mesh_link *k,
		      const struct message_want_doc *w)
{
	struct mesh_out *out;

	if (k->doc_busy) {
		complain(m, k, MSG_WANT_DOC, 0, ERR_BUSY);
		return;
	}
	k->doc_busy = true;
	out = mesh_push(m, &m->store, MESH_OUT_READ_DOC, k);
	out->read_doc = w;
}

void mesh_doc_done(struct mesh *m, uint64_t now_ms, uint64_t link,
		   const struct message_doc *d)
{
	struct mesh_link *k = mesh_find_link(m, link);
	struct message msg = { .type = MSG_DOC };

	(void)now_ms;
	if (k == NULL || !k->doc_busy)
		return;
	k->doc_busy = false;
	if (d == NULL) {
		complain(m, k, MSG_WANT_DOC, 0, ERR_NOT_FOUND);
		return;
	}
	msg.doc = *d;
	mesh_send(m, k, &msg);
}

/* Bodies. */

enum err mesh_want_bodies(struct mesh *m, uint64_t now_ms, uint32_t log,
			  const uint64_t *seqs, uint32_t count)
{
	struct message msg = { .type = MSG_WANT_BODIES };
	struct mesh_log *l = m->logs[log];
	uint64_t copy[LIMIT_BODIES];

	if (count == 0 || count > LIMIT_BODIES)
		return ERR_LIMIT;
	if (l->bodies_link != MESH_NO_LINK)
		return ERR_BUSY;
	for (uint32_t i = 0; i < count; i++)
		copy[i] = seqs[i];
	msg.want_bodies.origin = replica_origin(&l->r);
	msg.want_bodies.count = count;
	msg.want_bodies.seqs = copy;
	for (uint32_t i = 0; i < m->peer_count; i++) {
		uint32_t at = (l->bodies_turn + i) % m->peer_count;
		struct mesh_link *k = m->peers[at]->link;

		if (k == NULL || k->congested || k->views[log].has <= seqs[0])
			continue;
		l->bodies_turn = (at + 1) % m->peer_count;
		l->bodies_link = k->id;
		l->bodies_ms = now_ms;
		mesh_send(m, k, &msg);
		mesh_arm(m, now_ms + MESH_REQUEST_MS);
		return ERR_OK;
	}
	return ERR_CLOSED;
}

void mesh_on_want_bodies(struct mesh *m, struct mesh_link *k,
			 const struct message_want_bodies *w)
{
	uint32_t log = mesh_find_log(m, w->origin);
	struct mesh_out *out;

	if (log == UINT32_MAX || k->bodies_busy) {
		complain(m, k, MSG_WANT_BODIES, 0,
			 log == UINT32_MAX ? ERR_NOT_FOUND : ERR_BUSY);
		return;
	}
	k->bodies_busy = true;
	out = mesh_push(m, &m->store, MESH_OUT_READ_BODIES, k);
	out->log = log;
	out->origin = replica_origin(&m->logs[log]->r);
	out->read_bodies.want = w;
	out->read_bodies.reader = mesh_peer_name(m->peers[k->member]);
}

/* PROTOCOL.md 9.7: what does not fit is asked for again. */
static uint32_t count_fitting(const struct message_bodies *b)
{
	size_t bytes = 0;
	uint32_t n = 0;

	while (n < b->count) {
		bytes += b->bodies[n].body.n;
		if (n > 0 && bytes > LIMIT_CHUNK_BYTES)
			break;
		n++;
	}
	return n;
}

void mesh_bodies_done(struct mesh *m, uint64_t now_ms, uint64_t link,
		      const struct message_bodies *b)
{
	struct mesh_link *k = mesh_find_link(m, link);
	struct message msg = { .type = MSG_BODIES, .bodies = *b };

	(void)now_ms;
	if (k == NULL || !k->bodies_busy)
		return;
	k->bodies_busy = false;
	msg.bodies.count = count_fitting(b);
	mesh_send(m, k, &msg);
}

void mesh_on_bodies(struct mesh *m, struct mesh_link *k,
		    const struct message_bodies *b)
{
	uint32_t log = mesh_find_log(m, b->origin);
	struct mesh_out *out;

	if (log == UINT32_MAX || m->logs[log]->bodies_link != k->id)
		return;
	m->logs[log]->bodies_link = MESH_NO_LINK;
	out = mesh_push(m, &m->store, MESH_OUT_BODIES, k);
	out->log = log;
	out->origin = replica_origin(&m->logs[log]->r);
	out->bodies = b;
}

/* Questions. */

void mesh_on_ask(struct mesh *m, struct mesh_link *k,
		 const struct message_ask *a)
{
	struct mesh_out *out;

	if (k->asks_in >= LIMIT_ASKS_LINK) {
		complain(m, k, MSG_ASK, a->id, ERR_BUSY);
		return;
	}
	k->asks_in++;
	out = mesh_push(m, &m->store, MESH_OUT_ASK, k);
	out->id = a->id;
	out->ask.question = a->question;
	out->ask.asker = mesh_peer_name(m->peers[k->member]);
}

void mesh_answer(struct mesh *m, uint64_t now_ms, uint64_t link, uint64_t id,
		 enum err code, struct slice answer)
{
	struct mesh_link *k = mesh_find_link(m, link);
	struct message msg = { .type = MSG_ANSWER,
			       .answer = { id, code, answer } };

	(void)now_ms;
	if (k == NULL || k->asks_in == 0)
		return;
	k->asks_in--;
	if (answer.n > LIMIT_ANSWER_BYTES) {
		msg.answer.code = ERR_LIMIT;
		msg.answer.answer = slice_of(NULL, 0);
	}
	mesh_send(m, k, &msg);
}

enum err mesh_ask(struct mesh *m, uint64_t now_ms, uint32_t member, uint64_t id,
		  struct slice question)
{
	struct message msg = { .type = MSG_ASK };
	struct mesh_link *k =
		member < m->peer_count ? m->peers[member]->link : NULL;

	if (question.n > LIMIT_QUESTION_BYTES)
		return ERR_LIMIT;
	if (k == NULL)
		return ERR_CLOSED;
	for (uint32_t i = 0; i < LIMIT_ASKS_LINK; i++) {
		if (k->asks[i].wire != 0)
			continue;
		k->asks[i] = (struct ask_slot){ ++k->ask_next, id,
						now_ms + MESH_ASK_MS };
		msg.ask.id = k->asks[i].wire;
		msg.ask.question = question;
		mesh_send(m, k, &msg);
		if (k->late_ms > now_ms + MESH_ASK_MS)
			k->late_ms = now_ms + MESH_ASK_MS;
		mesh_arm(m, k->late_ms);
		return ERR_OK;
	}
	return ERR_BUSY;
}

void mesh_on_answer(struct mesh *m, struct mesh_link *k, uint64_t id,
		    enum err code, struct slice answer)
{
	struct mesh_out *out;

	for (uint32_t i = 0; i < LIMIT_ASKS_LINK && id != 0; i++) {
		if (k->asks[i].wire != id)
			continue;
		k->asks[i].wire = 0;
		out = mesh_push(m, &m->store, MESH_OUT_ANSWER, k);
		out->id = k->asks[i].id;
		out->answer.code = code;
		out->answer.answer = answer;
		return;
	}
}

void mesh_drop_asks(struct mesh *m, struct mesh_link *k)
{
	struct slice none = slice_of(NULL, 0);

	for (uint32_t i = 0; i < LIMIT_ASKS_LINK; i++)
		mesh_on_answer(m, k, k->asks[i].wire, ERR_CLOSED, none);
}

/* Who takes a question and never answers must not keep its slot. */
static void drop_late_asks(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct slice none = slice_of(NULL, 0);

	k->late_ms = UINT64_MAX;
	for (uint32_t i = 0; i < LIMIT_ASKS_LINK; i++) {
		struct ask_slot *a = &k->asks[i];

		if (a->wire != 0 && a->late_ms <= now_ms)
			mesh_on_answer(m, k, a->wire, ERR_TIMEOUT, none);
		else if (a->wire != 0 && a->late_ms < k->late_ms)
			k->late_ms = a->late_ms;
	}
}

void mesh_on_err(struct mesh *m, struct mesh_link *k,
		 const struct message_err *e)
{
	if (e->type == MSG_ASK)
		mesh_on_answer(m, k, e->id,
			       e->code == ERR_OK ? ERR_UNSUPPORTED : e->code,
			       slice_of(NULL, 0));
	else if (e->type == MSG_WANT_DOC && k->doc_id != 0 &&
		 k->doc_ms != UINT64_MAX)
		give_up_doc(k);
	else if (e->type == MSG_WANT_BODIES)
		for (uint32_t i = 0; i < m->log_count; i++) {
			if (m->logs[i]->bodies_link == k->id)
				m->logs[i]->bodies_link = MESH_NO_LINK;
		}
}

/* Time. */

static bool is_late(uint64_t since_ms, uint64_t now_ms)
{
	return since_ms != UINT64_MAX && now_ms >= since_ms &&
	       now_ms - since_ms >= MESH_REQUEST_MS;
}

void mesh_asks_tick(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->log_count; i++) {
		struct mesh_log *l = m->logs[i];

		if (l->bodies_link != MESH_NO_LINK &&
		    is_late(l->bodies_ms, now_ms))
			l->bodies_link = MESH_NO_LINK;
	}
	for (uint32_t i = 0; i < m->peer_count; i++) {
		struct mesh_link *k = m->peers[i]->link;

		if (k != NULL && k->doc_id != 0 && is_late(k->doc_ms, now_ms))
			give_up_doc(k);
		if (k != NULL && k->late_ms <= now_ms)
			drop_late_asks(m, now_ms, k);
	}
	if (m->ready)
		pump_all_docs(m, now_ms);
}

uint64_t mesh_asks_deadline(const struct mesh *m)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t i = 0; i < m->log_count; i++) {
		const struct mesh_log *l = m->logs[i];

		if (l->bodies_link != MESH_NO_LINK &&
		    l->bodies_ms + MESH_REQUEST_MS < at)
			at = l->bodies_ms + MESH_REQUEST_MS;
	}
	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct mesh_link *k = m->peers[i]->link;

		if (k != NULL && k->late_ms < at)
			at = k->late_ms;
		if (k != NULL && k->doc_id != 0 && k->doc_ms != UINT64_MAX &&
		    k->doc_ms + MESH_REQUEST_MS < at)
			at = k->doc_ms + MESH_REQUEST_MS;
	}
	return at;
}
