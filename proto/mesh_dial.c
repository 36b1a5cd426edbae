#include "mesh_state.h"

#include <assert.h>
#include <string.h>

/* Members. */

uint32_t mesh_member_count(const struct mesh *m)
{
	return m->peer_count;
}

uint32_t mesh_find_member(const struct mesh *m, struct slice name)
{
	for (uint32_t i = 0; i < m->peer_count; i++) {
		if (slice_is(name, m->peers[i]->name))
			return i;
	}
	return UINT32_MAX;
}

static const struct descriptor *find_card(const struct mesh_members *v,
					  struct slice name)
{
	for (uint32_t i = 0; i < v->card_count; i++) {
		if (slice_equal(v->cards[i].member, name))
			return &v->cards[i];
	}
	return NULL;
}

static struct mesh_peer *add_peer(struct mesh *m, uint64_t now_ms,
				  struct slice name)
{
	struct mesh_peer *p = xcalloc(1, sizeof(*p));

	assert(name.n <= LIMIT_DOMAIN_BYTES && m->peer_count < LIMIT_MEMBERS);
	memcpy(p->name, name.p, name.n);
	p->self = slice_equal(name, m->o.member);
	p->pause_ms = MESH_DIAL_MIN_MS;
	p->dial_ms = p->self ? UINT64_MAX : now_ms;
	p->since_ms = now_ms;
	m->peers[m->peer_count++] = p;
	return p;
}

/* The largest head of a removed member's newest log that is still accepted;
 * its older ones do not grow. */
static void set_final(struct mesh *m, uint32_t member, uint64_t size)
{
	for (uint32_t i = m->log_count; i > 0; i--) {
		struct replica *r = &m->logs[i - 1]->r;

		if (r->owner != member)
			continue;
		r->final = size;
		size = UINT64_MAX;
	}
}

static void take_member(struct mesh *m, uint64_t now_ms,
			const struct roster_member *rm)
{
	uint32_t at = mesh_find_member(m, rm->name);
	struct mesh_peer *p;

	if (at == UINT32_MAX) {
		if (m->peer_count == LIMIT_MEMBERS)
			return;
		at = m->peer_count;
		(void)add_peer(m, now_ms, rm->name);
	}
	p = m->peers[at];
	p->state = rm->state;
	p->card = find_card(&m->members, rm->name);
	for (uint32_t i = 0; p->card != NULL && i < p->card->log_count; i++)
		mesh_log_add(m, p->card->logs[i].origin, at);
	set_final(m, at,
		  rm->state == MEMBER_REMOVED ? rm->final.size : UINT64_MAX);
}

/* PROTOCOL.md 8.6: removal closes connections at once. */
static void close_removed(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		struct mesh_link *k = m->links[i];

		if (k == NULL || k->closing)
			continue;
		if (k->member >= m->peer_count ||
		    m->peers[k->member]->state == MEMBER_REMOVED)
			mesh_close_link(m, now_ms, k, ERR_DENIED);
		else if (mesh_link_is_up(k))
			k->docs_due = true;
	}
}

void mesh_set_members(struct mesh *m, uint64_t now_ms,
		      const struct mesh_members *v)
{
	assert(v->roster != NULL);
	m->members = *v;
	m->hello.alliance = v->alliance;
	m->hello.roster_version = v->roster->version;
	m->hello.roster_hash = v->roster->hash;
	for (uint32_t i = 0; i < v->roster->member_count; i++)
		take_member(m, now_ms, &v->roster->members[i]);
	m->ready = true;
	close_removed(m, now_ms);
	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		struct mesh_link *k = m->links[i];

		if (k == NULL || !mesh_link_is_up(k))
			continue;
		if (k->docs_due && !k->congested)
			mesh_announce_due(m, now_ms, k);
		mesh_pump_docs(m, now_ms, k);
	}
	mesh_pump_logs(m, now_ms);
	mesh_dial_tick(m, now_ms);
	mesh_judge_signing(m, now_ms);
}

/* Dialling. */

static bool wants_dial(const struct mesh *m, const struct mesh_peer *p)
{
	return m->ready && !m->stopping && !p->self && !p->dialling &&
	       p->link == NULL && p->state != MEMBER_REMOVED &&
	       p->card != NULL && p->card->endpoint_count > 0;
}

/* Is a link that we dialled still waiting for HELLO? */
static bool is_connecting(const struct mesh *m, uint32_t member)
{
	for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
		const struct mesh_link *k = m->links[i];

		if (k != NULL && !k->closing && k->dialled &&
		    k->member == member)
			return true;
	}
	return false;
}

/* PROTOCOL.md 10.2: half to one and a half of the pause, which doubles. */
void mesh_dial_later(struct mesh *m, uint64_t now_ms, struct mesh_peer *p)
{
	uint64_t pause = p->pause_ms / 2 + mesh_random(m) % p->pause_ms;

	if (p->self)
		return;
	p->dial_ms = now_ms + pause;
	p->pause_ms = p->pause_ms > MESH_DIAL_MAX_MS / 2 ? MESH_DIAL_MAX_MS
							 : p->pause_ms * 2;
	mesh_arm(m, p->dial_ms);
}

void mesh_dial_tick(struct mesh *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->peer_count; i++) {
		struct mesh_peer *p = m->peers[i];
		struct mesh_out *out;

		if (!wants_dial(m, p) || p->dial_ms > now_ms)
			continue;
		p->dial_ms = UINT64_MAX;
		if (is_connecting(m, i))
			continue;
		p->dialling = true;
		out = mesh_push(m, &m->dial, MESH_OUT_DIAL, NULL);
		out->member = i;
		out->dial.member = mesh_peer_name(p);
	}
}

uint64_t mesh_dial_deadline(const struct mesh *m)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t i = 0; i < m->peer_count; i++) {
		const struct mesh_peer *p = m->peers[i];

		if (wants_dial(m, p) && p->dial_ms < at)
			at = p->dial_ms;
	}
	return at;
}

void mesh_dial_failed(struct mesh *m, uint64_t now_ms, uint32_t member,
		      enum err why, bool by_peer)
{
	if (member >= m->peer_count || !m->peers[member]->dialling)
		return;
	m->peers[member]->dialling = false;
	mesh_note_refusal(m, now_ms, member, why, by_peer);
	mesh_dial_later(m, now_ms, m->peers[member]);
}

void mesh_refused(struct mesh *m, uint64_t now_ms, struct slice member,
		  enum err why)
{
	mesh_note_refusal(m, now_ms, mesh_find_member(m, member), why, false);
}

void mesh_dial_now(struct mesh *m, uint64_t now_ms, uint32_t member)
{
	struct mesh_peer *p;

	if (member >= m->peer_count || m->peers[member]->self)
		return;
	p = m->peers[member];
	p->pause_ms = MESH_DIAL_MIN_MS;
	p->dial_ms = now_ms;
	mesh_arm(m, now_ms);
}

/* Live links. */

static const char *dialler(const struct mesh *m, const struct mesh_link *k)
{
	return k->dialled ? m->name : m->peers[k->member]->name;
}

/* PROTOCOL.md 10.3: of two links the one stays that the smaller name has
 * dialled; of two from one side the newer, since whoever dials has lost the
 * older. */
static bool new_stays(const struct mesh *m, const struct mesh_link *old,
		      const struct mesh_link *new)
{
	if (old->dialled == new->dialled)
		return true;
	return strcmp(dialler(m, new), dialler(m, old)) < 0;
}

bool mesh_enter_link(struct mesh *m, uint64_t now_ms, struct mesh_link *k)
{
	struct mesh_peer *p = m->peers[k->member];
	struct mesh_link *old = p->link;
	struct message ping = { .type = MSG_PING };

	if (old != NULL && !new_stays(m, old, k)) {
		mesh_close_link(m, now_ms, k, ERR_DUPLICATE);
		/* If the old one is dead without our knowledge, the network
		 * will tell. */
		ping.ping.size = m->own == NULL ? 0 : m->own->r.head.size;
		mesh_send(m, old, &ping);
		return false;
	}
	p->link = k;
	p->answered = false; /* it does so anew */
	p->partial = 0;
	p->since_ms = now_ms;
	p->dial_ms = UINT64_MAX;
	p->pause_ms = MESH_DIAL_MIN_MS;
	p->roster_version = k->session.roster_version;
	if (p->roster_version == m->members.roster->version &&
	    !digest_equal(&k->session.roster_hash, &m->members.roster->hash))
		mesh_note_refusal(m, now_ms, k->member, ERR_CONFLICT, false);
	if (old != NULL)
		mesh_close_link(m, now_ms, old, ERR_DUPLICATE);
	return true;
}

/* State. */

void mesh_peer_info(const struct mesh *m, uint32_t member,
		    struct mesh_peer_info *out)
{
	const struct mesh_peer *p;

	assert(member < m->peer_count);
	p = m->peers[member];
	*out = (struct mesh_peer_info){
		.name = mesh_peer_name(p),
		.state = p->state,
		.self = p->self,
		.live = p->link != NULL,
		.dialled = p->link != NULL && p->link->dialled,
		.dialling = p->dialling || is_connecting(m, member),
		.link = p->link != NULL ? p->link->id : MESH_NO_LINK,
		.since_ms = p->since_ms,
		.heard_ms = p->heard_ms,
		.next_dial_ms = wants_dial(m, p) ? p->dial_ms : UINT64_MAX,
		.refused = p->refused,
		.refused_by_peer = p->refused_by_peer,
		.refused_ms = p->refused_ms,
		.roster_version = p->roster_version,
		.bad_chunks = p->bad_chunks,
	};
}
