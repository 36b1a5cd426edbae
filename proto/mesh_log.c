#include "mesh_state.h"

#include <assert.h>
#include <string.h>

#define BACKOFF_MIN_MS 1000u /* of a source, doubling */
#define BACKOFF_MAX_MS 60000u
#define STARVED_MS 100u /* look again when credit is used up */
#define PAUSE_MS 10000u /* of a log, after trouble of our own */

/* Logs. */

uint32_t mesh_log_count(const struct mesh *m)
{
	return m->log_count;
}

uint32_t mesh_find_log(const struct mesh *m, struct slice origin)
{
	for (uint32_t i = 0; i < m->log_count; i++) {
		if (slice_is(origin, m->logs[i]->r.origin))
			return i;
	}
	return UINT32_MAX;
}

void mesh_log_add(struct mesh *m, struct slice origin, uint32_t owner)
{
	struct mesh_log *l;
	bool own = slice_equal(origin, m->o.origin);

	if (m->log_count == LIMIT_LOGS ||
	    mesh_find_log(m, origin) != UINT32_MAX)
		return;
	l = xcalloc(1, sizeof(*l));
	replica_init(&l->r, origin, owner, own);
	l->bodies_link = MESH_NO_LINK;
	l->bodies_turn = owner;
	if (own)
		m->own = l;
	m->logs[m->log_count++] = l;
}

struct replica_keys mesh_keys(const struct mesh *m, const struct mesh_log *l)
{
	return (struct replica_keys){ m->peers[l->r.owner]->card,
				      m->members.cards, m->members.card_count };
}

void mesh_log_info(const struct mesh *m, uint32_t log,
		   struct mesh_log_info *out)
{
	const struct mesh_link *k;
	const struct mesh_log *l;

	assert(log < m->log_count);
	l = m->logs[log];
	k = mesh_find_link(m, l->r.source);
	*out = (struct mesh_log_info){
		.origin = replica_origin(&l->r),
		.owner = l->r.owner,
		.size = l->r.durable,
		.told = l->r.told,
		.heard_ms = l->heard_ms,
		.source = k == NULL ? UINT32_MAX : k->member,
		.frozen = l->r.frozen,
	};
}

/* Freshness: the owner said how much it has; when we hold that much, we held
 * everything at that time. PROTOCOL.md 10.9. */
static void owner_said(struct mesh_log *l, uint64_t now_ms, uint64_t size)
{
	if (l->r.durable >= size) {
		l->heard_ms = now_ms;
		return;
	}
	l->owner_size = size;
	l->owner_ms = now_ms;
}

static void note_growth(struct mesh_log *l)
{
	if (l->owner_ms != 0 && l->r.durable >= l->owner_size &&
	    l->owner_ms > l->heard_ms)
		l->heard_ms = l->owner_ms;
}

void mesh_on_size(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  uint64_t size)
{
	/* Only the newest of its logs grows. */
	for (uint32_t i = m->log_count; i > 0; i--) {
		struct mesh_log *l = m->logs[i - 1];

		if (l->r.owner != k->member)
			continue;
		if (!l->r.own && k->views[i - 1].told <= size)
			owner_said(l, now_ms, size);
		return;
	}
}

/* Jobs. */

static uint64_t credit_left(const struct mesh *m, const struct mesh_link *k)
{
	uint64_t granted = 0;

	for (uint32_t i = 0; i < m->log_count; i++) {
		if (m->logs[i]->r.source == k->id)
			granted += m->logs[i]->r.granted;
	}
	return granted < LIMIT_CREDIT_LINK_BYTES
		       ? LIMIT_CREDIT_LINK_BYTES - granted
		       : 0;
}

/* What one more log may have of the memory for chunks that wait: half of what
 * the others leave, so that all get the same in the end. */
static uint64_t held_left(const struct mesh *m)
{
	uint64_t taken = m->held_bytes;

	for (uint32_t i = 0; i < m->log_count; i++) {
		if (replica_is_busy(&m->logs[i]->r))
			taken += m->logs[i]->r.granted;
	}
	return taken < LIMIT_HELD_BYTES ? (LIMIT_HELD_BYTES - taken) / 2 : 0;
}

static uint32_t count_jobs(const struct mesh *m, const struct mesh_link *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->log_count; i++)
		n += m->logs[i]->r.source == k->id;
	return n;
}

static void send_want(struct mesh *m, struct mesh_link *k,
		      struct message_want want)
{
	struct message msg = { .type = MSG_WANT, .want = want };

	mesh_send(m, k, &msg);
}

void mesh_cancel_job(struct mesh *m, struct mesh_log *l)
{
	struct mesh_link *k = mesh_find_link(m, l->r.source);
	struct message_want want = { replica_origin(&l->r), l->r.job,
				     l->r.received, 0 };

	if (k != NULL)
		send_want(m, k, want);
	replica_stop(&l->r);
}

static bool is_source(const struct mesh *m, const struct mesh_link *k,
		      uint32_t log, uint64_t now_ms)
{
	const struct replica *r = &m->logs[log]->r;
	const struct view *v;

	if (k == NULL || !mesh_link_is_up(k) || k->congested)
		return false;
	v = &k->views[log];
	if (v->retry_ms > now_ms)
		return false;
	/* The owner is followed also when it has no more than we: its next
	 * record then comes without being asked for. */
	return v->told > r->received || k->member == r->owner;
}

/* PROTOCOL.md 10.5: who has more; among them the owner, else the one with the
 * fewest jobs. Without more to get: the owner, to follow it. */
static struct mesh_link *choose_source(const struct mesh *m, uint32_t log,
				       uint64_t now_ms)
{
	const struct replica *r = &m->logs[log]->r;
	struct mesh_link *best = NULL, *k = m->peers[r->owner]->link;
	uint32_t jobs, fewest = UINT32_MAX;

	if (is_source(m, k, log, now_ms)) {
		if (k->views[log].told > r->received)
			return k;
		best = k;
	}
	for (uint32_t i = 0; i < m->peer_count; i++) {
		k = m->peers[i]->link;
		if (!is_source(m, k, log, now_ms) ||
		    k->views[log].told <= r->received)
			continue;
		jobs = count_jobs(m, k);
		if (jobs < fewest) {
			fewest = jobs;
			best = k;
		}
	}
	return best;
}

static bool has_room(const struct mesh *m, const struct mesh_link *k)
{
	return count_jobs(m, k) < MESH_JOBS_MAX &&
	       credit_left(m, k) >= REPLICA_WINDOW_MIN_BYTES;
}

/* Make room for a job on @k by ending one that only follows. */
static bool make_room(struct mesh *m, const struct mesh_link *k)
{
	if (has_room(m, k))
		return true;
	for (uint32_t i = 0; i < m->log_count; i++) {
		struct mesh_log *l = m->logs[i];

		if (l->r.source == k->id && !replica_is_busy(&l->r)) {
			mesh_cancel_job(m, l);
			return true;
		}
	}
	return false;
}

static void start_job(struct mesh *m, uint64_t now_ms, uint32_t log,
		      struct mesh_link *k)
{
	struct mesh_log *l = m->logs[log];
	uint64_t target = k->views[log].told;
	struct message_want want;

	if (target <= l->r.received && !has_room(m, k))
		return;
	if (!make_room(m, k) ||
	    !replica_start(&l->r, k->id, mesh_new_id(m), target, now_ms,
			   credit_left(m, k), &want)) {
		mesh_arm(m, now_ms + STARVED_MS);
		return;
	}
	send_want(m, k, want);
	mesh_arm(m, replica_deadline(&l->r));
}

/* May anything be fetched for this log now? Of the own log only until it is
 * signed again. */
static bool may_fetch(const struct mesh *m, const struct mesh_log *l,
		      uint64_t now_ms)
{
	if (l->r.frozen || l->r.draining || l->pause_ms > now_ms)
		return false;
	return !l->r.own || m->signing != MESH_SIGNING_ALLOWED;
}

/* Would another source be better than the one that has no more to give? */
static bool should_switch(const struct mesh *m, uint32_t log, uint64_t now_ms)
{
	const struct mesh_log *l = m->logs[log];
	const struct mesh_link *k;

	if (l->r.source == REPLICA_NO_LINK || replica_is_busy(&l->r))
		return false;
	k = choose_source(m, log, now_ms);
	return k != NULL && k->id != l->r.source;
}

static void pump_log(struct mesh *m, uint64_t now_ms, uint32_t log)
{
	struct mesh_log *l = m->logs[log];
	struct mesh_link *k;

	if (!may_fetch(m, l, now_ms))
		return;
	if (should_switch(m, log, now_ms))
		mesh_cancel_job(m, l);
	if (l->r.source != REPLICA_NO_LINK)
		return;
	k = choose_source(m, log, now_ms);
	if (k != NULL)
		start_job(m, now_ms, log, k);
}

/* Grant what may be granted; give a large credit back once it is idle. */
static void tend_job(struct mesh *m, uint64_t now_ms, uint32_t log)
{
	struct mesh_log *l = m->logs[log];
	struct mesh_link *k = mesh_find_link(m, l->r.source);
	struct message_want want;
	uint64_t credit;
	bool starved;

	if (k == NULL || k->congested)
		return;
	if (!replica_is_busy(&l->r) && l->r.held_count == 0 &&
	    l->r.granted > 2 * (uint64_t)REPLICA_WINDOW_MIN_BYTES) {
		replica_stop(&l->r);
		if (may_fetch(m, l, now_ms))
			start_job(m, now_ms, log, k);
		return;
	}
	credit = credit_left(m, k);
	if (credit > held_left(m))
		credit = held_left(m);
	if (replica_top_up(&l->r, credit, &want, &starved)) {
		send_want(m, k, want);
		mesh_arm(m, replica_deadline(&l->r));
	}
	if (starved)
		mesh_arm(m, now_ms + STARVED_MS);
}

void mesh_pump_logs(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->log_count; i++) {
		pump_log(m, now_ms, i);
		tend_job(m, now_ms, i);
	}
}

/* This source failed: not again for a while. @bad: it has misbehaved. */
static void fail_source(struct mesh *m, uint64_t now_ms, uint32_t log,
			struct mesh_link *k, enum err why)
{
	struct view *v = &k->views[log];
	uint64_t pause = BACKOFF_MIN_MS;

	for (uint32_t i = 0; i < v->fails && pause < BACKOFF_MAX_MS; i++)
		pause *= 2;
	v->fails++;
	v->retry_ms = now_ms + pause / 2 + mesh_random(m) % pause;
	mesh_arm(m, v->retry_ms);
	if (why == ERR_TIMEOUT)
		return;
	m->peers[k->member]->bad_chunks++;
	mesh_note_refusal(m, now_ms, k->member, why, false);
}

void mesh_leave_source(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	for (uint32_t i = 0; i < m->log_count; i++) {
		struct mesh_log *l = m->logs[i];

		if (l->r.source == k->id)
			replica_stop(&l->r);
		if (l->bodies_link == k->id)
			l->bodies_link = MESH_NO_LINK;
	}
	(void)now_ms;
}

/* Heads. */

static void queue_check(struct mesh *m, uint32_t log, const struct head *h,
			struct slice clean)
{
	struct mesh_log *l = m->logs[log];
	struct head_check *c =
		replica_add_check(&l->r, h, clean, mesh_new_id(m));
	struct mesh_out *out;

	if (c == NULL)
		return;
	out = mesh_push(m, &m->store, MESH_OUT_CHECK, NULL);
	out->log = log;
	out->origin = replica_origin(&l->r);
	out->id = c->id;
	out->check.head = c->head;
	out->check.note = buf_slice(&c->note);
}

void mesh_queue_note(struct mesh *m, uint32_t log)
{
	struct mesh_log *l = m->logs[log];
	struct mesh_out *out;

	if (l->note_due)
		return;
	l->note_due = true;
	out = mesh_push(m, &m->store, MESH_OUT_NOTE, NULL);
	out->log = log;
	out->origin = replica_origin(&l->r);
}

void mesh_tell_note(struct mesh *m, uint32_t log)
{
	mesh_queue_note(m, log);
}

/* A checked head of @log was told on @k. */
static void hear_head(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		      uint32_t log, const struct head *h, struct slice clean)
{
	struct mesh_log *l = m->logs[log];
	struct view *v = &k->views[log];

	switch (replica_relate(&l->r, h)) {
	case HEAD_BEYOND_FINAL:
		return;
	case HEAD_KNOWN:
		if (replica_merge_note(&l->r, clean, mesh_scratch(m))) {
			l->version++;
			mesh_queue_note(m, log);
		}
		break;
	case HEAD_TO_CHECK:
		queue_check(m, log, h, clean);
		break;
	case HEAD_AHEAD:
		if (h->size > l->r.told)
			l->r.told = h->size;
		break;
	}
	if (h->size > v->told)
		v->told = h->size;
	if (v->told > v->has)
		v->has = v->told;
	if (l->r.source == k->id && v->told > l->r.target) {
		if (!replica_is_busy(&l->r))
			l->r.progress_ms = now_ms;
		l->r.target = v->told;
		mesh_arm(m, replica_deadline(&l->r));
	}
	if (k->member == l->r.owner && !l->r.own)
		owner_said(l, now_ms, h->size);
}

/* Returns whether what was told about the own log can be relied on. */
static bool take_heads(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       const struct message_heads *h)
{
	bool sound = true;

	for (uint32_t i = 0; i < h->log_count && !k->closing; i++) {
		uint32_t log = mesh_find_log(m, h->logs[i].origin);
		struct replica_keys keys;
		struct slice clean;
		struct head head;
		enum err err;

		if (log == UINT32_MAX)
			continue;
		if (h->logs[i].note.n == 0) {
			if (m->logs[log]->r.own)
				m->peers[k->member]->partial = h->logs[i].size;
			continue;
		}
		keys = mesh_keys(m, m->logs[log]);
		err = replica_check_note(&m->logs[log]->r, h->logs[i].note,
					 &keys, mesh_scratch(m), &head, &clean);
		if (err == ERR_OK && head.size != h->logs[i].size)
			err = ERR_MALFORMED;
		if (err == ERR_OK) {
			hear_head(m, now_ms, k, log, &head, clean);
			pump_log(m, now_ms, log);
			tend_job(m, now_ms, log);
			continue;
		}
		/* ERR_DENIED: our copy of the keys may be too old. */
		if (err != ERR_DENIED)
			mesh_strike(m, now_ms, k, err);
		sound = sound && !m->logs[log]->r.own;
	}
	return sound;
}

void mesh_on_heads(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		   const struct message_heads *h)
{
	bool sound = take_heads(m, now_ms, k, h);

	if (k->closing)
		return;
	mesh_on_doc_heads(m, now_ms, k, h);
	/* An answer is the whole list: a fault in any part spoils it. */
	if (h->part != HEADS_CHANGE)
		k->unsound |= !sound;
	if (h->part == HEADS_LAST) {
		if (!k->unsound)
			m->peers[k->member]->answered = true;
		k->unsound = false;
	}
	mesh_judge_signing(m, now_ms);
}

/* Chunks. */

/* The job cannot go on; the next source is chosen when the time has come. */
static void abandon(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		    uint32_t log, enum err why)
{
	mesh_cancel_job(m, m->logs[log]);
	if (why != ERR_OK)
		fail_source(m, now_ms, log, k, why);
	pump_log(m, now_ms, log);
}

static enum err check_chunk(struct mesh *m, struct mesh_log *l,
			    const struct message_chunk *c, struct head *head,
			    struct slice *clean)
{
	struct replica_keys keys = mesh_keys(m, l);
	enum err err = replica_check_note(&l->r, c->note, &keys,
					  mesh_scratch(m), head, clean);

	if (err != ERR_OK)
		return err;
	if (head->size < c->from + c->count)
		return ERR_MALFORMED;
	return head->size > l->r.final ? ERR_DENIED : ERR_OK;
}

static void keep_chunk(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		       uint32_t log, const struct message_chunk *c,
		       struct slice frame)
{
	struct mesh_log *l = m->logs[log];
	const struct held_chunk *held;
	struct mesh_out *out;
	struct slice clean;
	struct head head;
	enum err err = check_chunk(m, l, c, &head, &clean);

	if (err != ERR_OK) {
		abandon(m, now_ms, k, log, err);
		return;
	}
	held = replica_hold(&l->r, frame, c, &head, clean, mesh_new_id(m),
			    now_ms);
	m->held_bytes += held->frame.n + held->note.n;
	out = mesh_push(m, &m->store, MESH_OUT_APPLY, k);
	out->log = log;
	out->origin = replica_origin(&l->r);
	out->id = held->id;
	out->apply.chunk = &held->chunk;
	out->apply.note = buf_slice(&held->note);
	out->apply.head = head;
	if (head.size > l->r.told)
		l->r.told = head.size;
	if (head.size > k->views[log].told)
		k->views[log].told = head.size;
	if (k->views[log].has < k->views[log].told)
		k->views[log].has = k->views[log].told;
	if (k->member == l->r.owner && !l->r.own)
		owner_said(l, now_ms, head.size);
	tend_job(m, now_ms, log);
	mesh_arm(m, replica_deadline(&l->r));
}

void mesh_on_chunk(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		   const struct message_chunk *c, struct slice frame)
{
	uint32_t log = mesh_find_log(m, c->origin);
	enum err err;

	if (log == UINT32_MAX)
		return;
	err = replica_admit(&m->logs[log]->r, k->id, c);
	if (err == ERR_OK &&
	    m->held_bytes + frame.n + LIMIT_NOTE_BYTES > LIMIT_HELD_BYTES)
		err = ERR_BUSY;
	if (err == ERR_OK)
		keep_chunk(m, now_ms, k, log, c, frame);
	else if (err == ERR_BUSY)
		mesh_cancel_job(m, m->logs[log]); /* again when there is room */
	else if (err == ERR_CONFLICT)
		abandon(m, now_ms, k, log, ERR_MALFORMED);
	else if (err == ERR_LIMIT)
		/* PROTOCOL.md 10.6: more than was granted. */
		mesh_close_link(m, now_ms, k, ERR_LIMIT);
}

/* The driver's word on what is held. */
static enum err take_held(struct mesh *m, uint64_t now_ms, uint32_t log,
			  const struct mesh_held *h)
{
	struct mesh_log *l = m->logs[log];
	struct head before = l->r.head;
	uint64_t durable = l->r.durable;
	enum err err =
		replica_set_held(&l->r, h->size, h->note, mesh_scratch(m));

	if (h->frozen)
		l->r.frozen = true;
	note_growth(l);
	if (err != ERR_OK)
		return err;
	if (l->r.durable > durable || !head_equal(&before, &l->r.head)) {
		l->version++;
		mesh_note_changed(m, now_ms, log, true);
	}
	return ERR_OK;
}

/* To the owner and to whom it came from. PROTOCOL.md 9.8. */
static void send_acks(struct mesh *m, uint64_t from, uint32_t log,
		      struct slice cosignature)
{
	struct mesh_link *owner = m->peers[m->logs[log]->r.owner]->link;
	struct mesh_link *source = mesh_find_link(m, from);

	if (owner != NULL)
		mesh_ack(m, owner, log, cosignature);
	if (source != NULL && source != owner && mesh_link_is_up(source))
		mesh_ack(m, source, log, cosignature);
}

enum err mesh_set_held(struct mesh *m, uint64_t now_ms,
		       const struct mesh_held *h)
{
	uint32_t log = mesh_find_log(m, h->origin);
	enum err err;

	if (log == UINT32_MAX)
		return ERR_NOT_FOUND;
	err = take_held(m, now_ms, log, h);
	if (err == ERR_OK && h->cosignature.n > 0 && m->logs[log] != m->own)
		send_acks(m, MESH_NO_LINK, log, h->cosignature);
	pump_log(m, now_ms, log);
	mesh_judge_signing(m, now_ms);
	return err;
}

/* The chunk was refused by the driver. */
static void on_refused(struct mesh *m, uint64_t now_ms, uint32_t log,
		       uint64_t from, enum err why)
{
	struct mesh_log *l = m->logs[log];
	struct mesh_link *k = mesh_find_link(m, from);
	bool bad = why == ERR_INVALID || why == ERR_MALFORMED ||
		   why == ERR_DENIED || why == ERR_LIMIT || why == ERR_FORK;

	if (!bad && why != ERR_BAD_STATE) {
		l->pause_ms = now_ms + PAUSE_MS;
		mesh_arm(m, l->pause_ms);
	}
	if (k == NULL || !mesh_link_is_up(k) || !bad)
		return;
	fail_source(m, now_ms, log, k, why);
	/* PROTOCOL.md 10.8: it may hold another history. Whoever has the
	 * larger tree can prove it. */
	mesh_announce_log(m, now_ms, k, log);
}

void mesh_applied(struct mesh *m, uint64_t now_ms, uint32_t log, uint64_t id,
		  enum err result, const struct mesh_held *held)
{
	struct mesh_log *l = m->logs[log];
	const struct held_chunk *h = replica_find_held(&l->r, id);
	struct mesh_link *k;
	uint64_t from;
	bool draining = l->r.draining;

	if (h == NULL)
		return;
	from = h->link;
	m->held_bytes -= h->frame.n + h->note.n;
	if (result == ERR_OK)
		result = take_held(m, now_ms, log, held);
	if (result != ERR_OK && l->r.source != REPLICA_NO_LINK)
		mesh_cancel_job(m, l);
	(void)replica_release(&l->r, id, result == ERR_OK);
	if (result == ERR_OK) {
		k = mesh_find_link(m, from);
		if (k != NULL && mesh_link_is_up(k))
			k->views[log].fails = 0;
		send_acks(m, from, log, held->cosignature);
	} else if (!draining) {
		/* Only the first of a row tells whose fault it was. */
		on_refused(m, now_ms, log, from, result);
	}
	pump_log(m, now_ms, log);
	tend_job(m, now_ms, log);
	mesh_judge_signing(m, now_ms);
}

/* Time. */

void mesh_logs_tick(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->log_count; i++) {
		struct mesh_log *l = m->logs[i];
		struct mesh_link *k = mesh_find_link(m, l->r.source), *other;

		if (k == NULL || replica_deadline(&l->r) > now_ms)
			continue;
		/* A slow source is better than none. */
		fail_source(m, now_ms, i, k, ERR_TIMEOUT);
		other = choose_source(m, i, now_ms);
		if (other != NULL && other->views[i].told > l->r.received)
			mesh_cancel_job(m, l);
		else
			l->r.progress_ms = now_ms;
	}
	mesh_pump_logs(m, now_ms);
}

/* When a log that wants more and has no source should be looked at. */
static uint64_t waiting_deadline(const struct mesh *m, uint64_t now_ms,
				 uint32_t log)
{
	const struct mesh_log *l = m->logs[log];
	uint64_t at = UINT64_MAX;

	if (l->r.frozen || l->r.draining ||
	    (l->r.own && m->signing == MESH_SIGNING_ALLOWED))
		return at;
	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct mesh_link *k = m->peers[i]->link;
		uint64_t t = now_ms + STARVED_MS;

		if (k == NULL || k->views[log].told <= l->r.received)
			continue;
		if (k->views[log].retry_ms > t)
			t = k->views[log].retry_ms;
		if (l->pause_ms > t)
			t = l->pause_ms;
		at = t < at ? t : at;
	}
	return at;
}

uint64_t mesh_logs_deadline(const struct mesh *m, uint64_t now_ms)
{
	uint64_t at = UINT64_MAX, t;

	for (uint32_t i = 0; i < m->log_count; i++) {
		const struct replica *r = &m->logs[i]->r;

		if (r->source == REPLICA_NO_LINK)
			t = waiting_deadline(m, now_ms, i);
		else if (replica_is_busy(r) && r->granted < LIMIT_ENTRY_BYTES)
			t = now_ms + STARVED_MS;
		else
			t = replica_deadline(r);
		at = t < at ? t : at;
	}
	return at;
}
