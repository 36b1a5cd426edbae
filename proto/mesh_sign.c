#include "mesh_state.h"

static void count_partners(const struct mesh *m, uint32_t *answered,
			   uint32_t *partners)
{
	*answered = *partners = 0;
	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct mesh_peer *p = m->peers[i];

		if (p->self || p->state != MEMBER_ACTIVE)
			continue;
		(*partners)++;
		/* Who holds part of what we have lost proves nothing, but
		 * cannot be taken for somebody who knows of no more. */
		*answered += p->answered && p->partial <= m->own->r.durable;
	}
}

/* PROTOCOL.md 10.10. */
static enum mesh_signing judge(const struct mesh *m, uint64_t now_ms,
			       uint32_t answered, uint32_t partners)
{
	const struct replica *r = &m->own->r;
	bool over = now_ms >= m->signing_ms;

	if (r->frozen)
		return MESH_SIGNING_RECOVERING;
	if (r->told > r->durable)
		return over || m->signing != MESH_SIGNING_WAITING
			       ? MESH_SIGNING_RECOVERING
			       : MESH_SIGNING_WAITING;
	if (m->signing == MESH_SIGNING_ALLOWED)
		return MESH_SIGNING_ALLOWED;
	if (r->held_count == 0 && partners > 0 && answered == partners)
		return MESH_SIGNING_ALLOWED;
	if (!over && partners > 0)
		return MESH_SIGNING_WAITING;
	/* The operator decides what silence means, not what was said. */
	if (m->o.trusted || m->o.sign_alone || answered * 2 > partners)
		return MESH_SIGNING_ALLOWED;
	return MESH_SIGNING_RECOVERING;
}

void mesh_judge_signing(struct mesh *m, uint64_t now_ms)
{
	uint32_t answered, partners;
	enum mesh_signing state;
	struct mesh_out *out;

	if (!m->ready || m->own == NULL)
		return;
	if (m->signing_told && m->signing == MESH_SIGNING_ALLOWED &&
	    !m->own->r.frozen && m->own->r.told <= m->own->r.durable)
		return;
	count_partners(m, &answered, &partners);
	state = judge(m, now_ms, answered, partners);
	if (m->signing_told && state == m->signing)
		return;
	m->signing = state;
	m->signing_told = true;
	out = mesh_push(m, &m->dial, MESH_OUT_SIGNING, NULL);
	out->signing.state = state;
	out->signing.answered = answered;
	out->signing.partners = partners;
	if (state != MESH_SIGNING_ALLOWED)
		mesh_pump_logs(m, now_ms);
	else if (m->own->r.source != REPLICA_NO_LINK)
		mesh_cancel_job(m, m->own);
}

enum mesh_signing mesh_signing(const struct mesh *m)
{
	return m->signing;
}
