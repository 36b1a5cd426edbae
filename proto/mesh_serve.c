#include "mesh_state.h"

#include <assert.h>
#include <string.h>

/* Announcements. */

/* One HEADS after the other, each below MESH_HEADS_BYTES. */
struct heads_list {
	struct message msg;
	struct message_head logs[LIMIT_LOGS];
	struct message_doc_head docs[LIMIT_MEMBERS + 1];
	size_t bytes; /* of notes so far */
};

static void list_init(struct heads_list *h, enum heads_part part)
{
	h->msg = (struct message){ .type = MSG_HEADS };
	h->msg.heads.part = part;
	h->msg.heads.logs = h->logs;
	h->msg.heads.docs = h->docs;
	h->bytes = 0;
}

static void list_flush(struct mesh *m, struct mesh_link *k,
		       struct heads_list *h)
{
	mesh_send(m, k, &h->msg);
	h->msg.heads.log_count = 0;
	h->msg.heads.doc_count = 0;
	h->bytes = 0;
}

static void list_add(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		     struct heads_list *h, uint32_t log)
{
	const struct mesh_log *l = m->logs[log];
	struct view *v = &k->views[log];

	v->announce_ms = UINT64_MAX;
	if (l->r.note.n == 0 || l->r.head.size == 0)
		return;
	if (h->bytes + l->r.note.n > MESH_HEADS_BYTES ||
	    h->msg.heads.log_count == LIMIT_LOGS)
		list_flush(m, k, h);
	h->logs[h->msg.heads.log_count++] =
		(struct message_head){ replica_origin(&l->r), l->r.head.size,
				       buf_slice(&l->r.note) };
	h->bytes += l->r.note.n;
	v->sent_version = l->version;
	v->sent_ms = now_ms;
}

/* PROTOCOL.md 10.10: the owner must know of records that it may have lost,
 * also when they do not make up a head. */
static void list_add_part(struct mesh *m, struct mesh_link *k,
			  struct heads_list *h, uint32_t log)
{
	const struct replica *r = &m->logs[log]->r;

	if (r->owner != k->member || r->received <= r->head.size)
		return;
	if (h->msg.heads.log_count == LIMIT_LOGS)
		list_flush(m, k, h);
	h->logs[h->msg.heads.log_count++] =
		(struct message_head){ replica_origin(r), r->received,
				       slice_of(NULL, 0) };
}

void mesh_send_full(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct heads_list h;

	list_init(&h, HEADS_MORE);
	for (uint32_t i = 0; i < m->log_count; i++)
		list_add_part(m, k, &h, i);
	for (uint32_t i = 0; i < m->log_count; i++)
		list_add(m, now_ms, k, &h, i);
	h.msg.heads.part = HEADS_LAST;
	h.msg.heads.doc_count = mesh_list_docs(m, h.docs);
	list_flush(m, k, &h);
	k->docs_due = false;
	mesh_send_forks(m, k);
}

void mesh_announce_log(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       uint32_t log)
{
	struct heads_list h;

	list_init(&h, HEADS_CHANGE);
	list_add(m, now_ms, k, &h, log);
	if (h.msg.heads.log_count > 0)
		list_flush(m, k, &h);
}

/* PROTOCOL.md 10.7: the owner tells all that is new, cosignatures too; a
 * relay only what the other still lacks. */
static bool is_news(const struct mesh_log *l, const struct view *v)
{
	if (l->r.own)
		return v->sent_version != l->version;
	return v->has < l->r.head.size &&
	       (v->job == 0 || v->next < l->r.head.size);
}

void mesh_announce_due(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct heads_list h;
	uint64_t next = UINT64_MAX;

	list_init(&h, HEADS_CHANGE);
	for (uint32_t i = 0; i < m->log_count; i++) {
		struct view *v = &k->views[i];

		if (v->announce_ms <= now_ms) {
			if (is_news(m->logs[i], v))
				list_add(m, now_ms, k, &h, i);
			v->announce_ms = UINT64_MAX;
		} else if (v->announce_ms < next) {
			next = v->announce_ms;
		}
	}
	k->announce_ms = next;
	if (k->docs_due)
		h.msg.heads.doc_count = mesh_list_docs(m, h.docs);
	k->docs_due = false;
	if (h.msg.heads.log_count + h.msg.heads.doc_count > 0)
		list_flush(m, k, &h);
}

static void announce_at(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
			uint32_t log, uint64_t at_ms)
{
	struct view *v = &k->views[log];

	if (at_ms < v->announce_ms)
		v->announce_ms = at_ms;
	if (v->announce_ms < k->announce_ms)
		k->announce_ms = v->announce_ms;
	if (k->announce_ms > now_ms)
		mesh_arm(m, k->announce_ms);
	else if (!k->congested)
		mesh_announce_due(m, now_ms, k);
}

static void tell(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		 uint32_t log, bool grown)
{
	const struct mesh_log *l = m->logs[log];
	const struct view *v = &k->views[log];
	uint64_t at = v->sent_ms + MESH_ANNOUNCE_MS;

	if (!l->r.own) {
		if (grown)
			announce_at(m, now_ms, k, log, now_ms + MESH_RELAY_MS);
		return;
	}
	/* Who follows gets the head with the record itself. */
	if (v->job != 0 || !grown)
		at = (v->job != 0 ? now_ms : v->sent_ms) + MESH_RELAY_MS;
	announce_at(m, now_ms, k, log, at > now_ms ? at : now_ms);
}

void mesh_note_changed(struct mesh *m, uint64_t now_ms, uint32_t log,
		       bool grown)
{
	for (uint32_t i = 0; i < m->peer_count; i++) {
		struct mesh_link *k = m->peers[i]->link;

		if (k == NULL || k->closing)
			continue;
		tell(m, now_ms, k, log, grown);
		mesh_serve(m, k);
	}
}

/* Serving. */

void mesh_on_want(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  const struct message_want *w)
{
	uint32_t log = mesh_find_log(m, w->origin);
	struct message busy = { .type = MSG_ERR,
				.err = { .code = ERR_BUSY, .type = MSG_WANT } };
	struct view *v;

	(void)now_ms;
	if (log == UINT32_MAX)
		return;
	v = &k->views[log];
	if (v->job == w->job) {
		v->credit += w->credit;
		if (v->credit > LIMIT_CREDIT_LINK_BYTES)
			v->credit = LIMIT_CREDIT_LINK_BYTES;
	} else {
		if (v->job == 0 && k->serving == LIMIT_JOBS_LINK) {
			mesh_send(m, k, &busy);
			return;
		}
		/* What is being read was for another job, even when this one
		 * has its number. */
		if (k->read_id != 0 && k->read_log == log)
			k->read_job = 0;
		k->serving += v->job == 0;
		v->job = w->job;
		v->next = w->from;
		v->credit = w->credit;
		v->chunk = MESH_CHUNK_FIRST_BYTES;
	}
	if (w->credit == 0) {
		v->job = 0;
		k->serving--;
	} else if (w->from > v->has) {
		v->has = w->from;
	}
	mesh_serve(m, k);
}

static bool can_serve(const struct mesh_log *l, const struct view *v)
{
	return v->job != 0 && v->credit >= LIMIT_ENTRY_BYTES &&
	       v->next < l->r.head.size;
}

static uint32_t least(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t v = a < b ? a : b;

	return (uint32_t)(v < c ? v : c);
}

void mesh_serve(struct mesh *m, struct mesh_link *k)
{
	struct mesh_out *out;
	uint32_t log = k->turn, tried = 0;
	struct view *v;

	if (k->read_id != 0 || k->congested || k->serving == 0 ||
	    !mesh_link_is_up(k))
		return;
	/* Logs take turns, so that none waits for a large one. */
	while (tried++ < m->log_count) {
		log = log < m->log_count ? log : 0;
		if (can_serve(m->logs[log], &k->views[log]))
			break;
		log++;
	}
	if (tried > m->log_count)
		return;
	v = &k->views[log];
	k->turn = log + 1;
	k->read_id = mesh_new_id(m);
	k->read_log = log;
	k->read_job = v->job;
	out = mesh_push(m, &m->store, MESH_OUT_READ, k);
	out->log = log;
	out->origin = replica_origin(&m->logs[log]->r);
	out->id = k->read_id;
	out->read.job = v->job;
	out->read.from = v->next;
	out->read.bytes = least(v->credit, v->chunk, LIMIT_CHUNK_BYTES);
	out->read.reader = mesh_peer_name(m->peers[k->member]);
}

/* The log cannot be read for this link: let it look elsewhere. */
static void end_job(struct mesh *m, struct mesh_link *k, struct view *v,
		    enum err why)
{
	struct message msg = { .type = MSG_ERR,
			       .err = { .code = why, .type = MSG_WANT } };

	v->job = 0;
	k->serving--;
	mesh_send(m, k, &msg);
}

bool mesh_read_done(struct mesh *m, uint64_t now_ms, uint64_t link, uint64_t id,
		    enum err result, uint64_t to, uint32_t bytes)
{
	struct mesh_link *k = mesh_find_link(m, link);
	struct mesh_log *l;
	struct view *v;
	bool wanted;

	(void)now_ms;
	if (k == NULL || k->read_id != id)
		return false;
	k->read_id = 0;
	l = m->logs[k->read_log];
	v = &k->views[k->read_log];
	wanted = v->job != 0 && v->job == k->read_job && result == ERR_OK;
	if (wanted) {
		assert(to > v->next && to <= l->r.head.size &&
		       bytes <= v->credit);
		v->next = to;
		v->credit -= bytes;
		if (v->chunk < LIMIT_CHUNK_BYTES)
			v->chunk *= 2;
		if (to == l->r.head.size)
			v->sent_version = k->read_version;
	} else if (v->job == k->read_job && v->job != 0) {
		end_job(m, k, v, result);
	}
	mesh_serve(m, k);
	return wanted;
}

/* Acknowledgements. */

void mesh_ack(struct mesh *m, struct mesh_link *k, uint32_t log,
	      struct slice cosignature)
{
	const struct mesh_log *l = m->logs[log];
	struct message msg = { .type = MSG_ACK };

	if (k->congested) {
		/* They add up: one is enough once there is room. */
		k->views[log].ack_due = true;
		return;
	}
	msg.ack.origin = replica_origin(&l->r);
	msg.ack.size = cosignature.n > 0 ? l->r.head.size : l->r.durable;
	msg.ack.cosignature = cosignature;
	mesh_send(m, k, &msg);
}

/* Append this node's own line in the note of @l, if it has one. */
static void put_own_line(struct mesh *m, const struct mesh_log *l,
			 struct buf *out)
{
	uint32_t self = mesh_find_member(m, m->o.member);
	const struct descriptor *card =
		self == UINT32_MAX ? NULL : m->peers[self]->card;
	struct note n;

	if (card == NULL || l->r.note.n == 0 ||
	    note_parse(buf_slice(&l->r.note), mesh_scratch(m), &n) != ERR_OK)
		return;
	for (uint32_t i = 0; i < n.sig_count; i++) {
		if (n.sigs[i].id == card->witness.id &&
		    slice_is(n.sigs[i].name, card->witness.name)) {
			note_put_sig(&n.sigs[i], out);
			return;
		}
	}
}

void mesh_resume_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct buf line;

	if (!mesh_link_is_up(k))
		return;
	buf_init(&line, LIMIT_SIG_BYTES * 2);
	for (uint32_t i = 0; i < m->log_count; i++) {
		if (!k->views[i].ack_due)
			continue;
		k->views[i].ack_due = false;
		buf_reset(&line);
		put_own_line(m, m->logs[i], &line);
		mesh_ack(m, k, i, buf_slice(&line));
	}
	buf_free(&line);
	mesh_announce_due(m, now_ms, k);
	mesh_pump_docs(m, now_ms, k);
	mesh_pump_logs(m, now_ms);
	mesh_serve(m, k);
}

/* What an ack says about the own log. */
static void report_ack(struct mesh *m, struct mesh_link *k, uint32_t log,
		       uint64_t size, bool cosigned)
{
	struct mesh_out *out = mesh_push(m, &m->store, MESH_OUT_ACKED, k);

	out->log = log;
	out->origin = replica_origin(&m->logs[log]->r);
	out->acked.size = size;
	out->acked.cosigned = cosigned;
}

void mesh_on_ack(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		 const struct message_ack *a)
{
	const struct descriptor *card = m->peers[k->member]->card;
	uint32_t log = mesh_find_log(m, a->origin);
	struct mesh_log *l;
	bool changed = false;
	enum err err = ERR_NOT_FOUND;

	/* More than we hold ourselves cannot be ours to count. */
	if (log == UINT32_MAX || a->size > m->logs[log]->r.durable)
		return;
	l = m->logs[log];
	if (a->size > k->views[log].has)
		k->views[log].has = a->size;
	if (a->cosignature.n > 0 && card != NULL)
		err = replica_add_cosignature(&l->r, a->size, a->cosignature,
					      &card->witness, mesh_scratch(m),
					      &changed);
	if (err != ERR_OK && err != ERR_NOT_FOUND) {
		mesh_strike(m, now_ms, k, err);
		return;
	}
	if (changed) {
		l->version++;
		mesh_queue_note(m, log);
		mesh_note_changed(m, now_ms, log, false);
	}
	if (l->r.own)
		report_ack(m, k, log, a->size, err == ERR_OK);
}
