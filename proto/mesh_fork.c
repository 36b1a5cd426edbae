#include "mesh_state.h"

/* Evidence is kept as the frame that carries it: it is told to every link
 * that becomes live, since someone may have been away. PROTOCOL.md 10.8. */

void mesh_send_forks(struct mesh *m, struct mesh_link *k)
{
	struct message msg = { .type = MSG_FORK };

	for (uint32_t i = 0; i < m->log_count; i++) {
		if (!m->logs[i]->forked)
			continue;
		msg.fork = m->logs[i]->fork;
		mesh_send(m, k, &msg);
	}
}

/* Copy @f into the replica, so that it lasts. ERR_LIMIT. */
static enum err keep_evidence(struct mesh *m, struct mesh_log *l,
			      const struct message_fork *f)
{
	struct message msg = { .type = MSG_FORK, .fork = *f };
	struct slice frame;
	enum err err;

	buf_reset(&l->r.evidence);
	message_put(&msg, &l->r.evidence);
	if (l->r.evidence.err != ERR_OK)
		return ERR_LIMIT;
	frame = slice_sub(buf_slice(&l->r.evidence), MESSAGE_PREFIX_BYTES,
			  l->r.evidence.n - MESSAGE_PREFIX_BYTES);
	err = message_decode(frame, mesh_scratch(m), &msg, NULL);
	if (err == ERR_OK)
		l->fork = msg.fork;
	return err;
}

/* Freeze the log and tell everybody, once. ERR_EXISTS: known already;
 * ERR_OK: the heads do not conflict; else as replica_judge. */
static enum err take_fork(struct mesh *m, uint64_t now_ms, uint32_t log,
			  const struct message_fork *f)
{
	struct mesh_log *l = m->logs[log];
	enum err err;

	if (l->forked)
		return ERR_EXISTS;
	err = replica_judge(f, m->peers[l->r.owner]->card, mesh_scratch(m));
	if (err != ERR_FORK)
		return err;
	err = keep_evidence(m, l, f);
	if (err != ERR_OK)
		return err;
	l->forked = true;
	l->r.frozen = true;
	if (l->r.source != REPLICA_NO_LINK)
		mesh_cancel_job(m, l);
	for (uint32_t i = 0; i < m->peer_count; i++) {
		struct message msg = { .type = MSG_FORK, .fork = l->fork };

		if (m->peers[i]->link != NULL)
			mesh_send(m, m->peers[i]->link, &msg);
	}
	mesh_judge_signing(m, now_ms);
	return ERR_FORK;
}

static void report(struct mesh *m, uint32_t log)
{
	struct mesh_out *out = mesh_push(m, &m->store, MESH_OUT_FORK, NULL);

	out->log = log;
	out->origin = replica_origin(&m->logs[log]->r);
	out->fork = &m->logs[log]->fork;
}

void mesh_on_fork(struct mesh *m, uint64_t now_ms, struct mesh_link *k,
		  const struct message_fork *f)
{
	uint32_t log = mesh_find_log(m, f->origin);
	enum err err;

	if (log == UINT32_MAX)
		return;
	err = take_fork(m, now_ms, log, f);
	if (err == ERR_FORK)
		report(m, log);
	else if (err != ERR_EXISTS && err != ERR_DENIED)
		mesh_strike(m, now_ms, k, err == ERR_OK ? ERR_INVALID : err);
}

enum err mesh_set_fork(struct mesh *m, uint64_t now_ms,
		       const struct message_fork *f)
{
	uint32_t log = mesh_find_log(m, f->origin);

	return log == UINT32_MAX ? ERR_NOT_FOUND : take_fork(m, now_ms, log, f);
}

void mesh_checked(struct mesh *m, uint64_t now_ms, uint32_t log, uint64_t id,
		  enum err result, const struct message_fork *f)
{
	struct mesh_log *l = m->logs[log];
	struct head_check *c = replica_find_check(&l->r, id);

	if (c == NULL)
		return;
	if (result == ERR_OK &&
	    replica_adopt(&l->r, &c->head, buf_slice(&c->note))) {
		l->version++;
		mesh_queue_note(m, log);
		mesh_note_changed(m, now_ms, log, true);
	}
	if (result == ERR_FORK && f != NULL &&
	    take_fork(m, now_ms, log, f) == ERR_FORK)
		report(m, log);
	replica_end_check(c);
}
