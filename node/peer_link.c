/* Accepting and dialling; whose key is it?
 *
 *   accept: link -> on_open: key known? -> mesh_link_open
 *   dial:   card -> for each endpoint: look up -> for each address: link ->
 *           on_open: the key in the card? -> mesh_link_open
 *
 * A key is judged after the handshake, so that the other side is told in a
 * BYE why it is refused and both operators can see it. No frame of a stranger
 * is read. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/peer_impl.h"
#include "proto/text.h"

/* One attempt to reach a member, over all its addresses. */
struct dial {
	struct peers *p;
	uint32_t member;
	char name[LIMIT_DOMAIN_BYTES + 1];
	uint32_t endpoint_count, endpoint; /* next to look up */
	char endpoints[LIMIT_ENDPOINTS][LIMIT_ENDPOINT_BYTES + 1];
	struct dial_result found;
	uint32_t address; /* next to connect to */
	struct peer_trouble trouble; /* of the last failure */
};

static const struct link_events events;

/* ---- troubles and refusals, for status ------------------------------------- */

void peer_forget_trouble(struct peers *p, uint32_t member)
{
	if (member >= LIMIT_MEMBERS)
		return;
	free(p->trouble[member]);
	p->trouble[member] = NULL;
}

static void set_trouble(struct peers *p, uint32_t member,
			const struct peer_trouble *t)
{
	if (member >= LIMIT_MEMBERS)
		return;
	if (p->trouble[member] == NULL)
		p->trouble[member] = xcalloc(1, sizeof(*t));
	*p->trouble[member] = *t;
}

static void fill_trouble(struct peer_trouble *t, enum peer_step step,
			 enum err code, bool theirs, const char *text)
{
	t->step = step;
	t->code = code == ERR_OK ? ERR_CLOSED : code;
	t->theirs = theirs;
	t->at_ms = now_ms();
	(void)snprintf(t->text, sizeof(t->text), "%s", text);
}

/* HOST:PORT or [HOST]:PORT; ports change with every connection. */
static bool is_same_host(const char *a, const char *b)
{
	const char *end = strrchr(a, ':');
	size_t n = end == NULL ? strlen(a) : (size_t)(end - a) + 1;

	return strncmp(a, b, n) == 0 && strchr(b + n, ':') == NULL;
}

/* One row for each key, or host without one, and code: what it did wrong
 * last must not hide what it did wrong before. The oldest row gives way. */
static struct peer_refusal *find_refusal(struct peers *p,
					 const struct digest *key,
					 const char *address, enum err code)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < p->refused_count; i++) {
		struct peer_refusal *r = &p->refused[i];

		if (r->code != code || r->has_key != (key != NULL))
			continue;
		if (key != NULL ? digest_equal(&r->key, key)
				: is_same_host(r->address, address))
			return r;
	}
	if (p->refused_count < PEERS_REFUSED)
		return memset(&p->refused[p->refused_count++], 0,
			      sizeof(p->refused[0]));
	for (uint32_t i = 1; i < PEERS_REFUSED; i++)
		if (p->refused[i].at_ms < p->refused[oldest].at_ms)
			oldest = i;
	return memset(&p->refused[oldest], 0, sizeof(p->refused[0]));
}

/* Remember whom we refused; tell the operator the first time. */
static void note_refusal(struct peers *p, const struct link *l,
			 const struct digest *key, enum err code,
			 const char *text)
{
	const char *address = link_address(l);
	struct peer_refusal *r = find_refusal(p, key, address, code);
	bool news = r->count == 0;
	char hex[2 * DIGEST_BYTES + 1] = "none";
	struct buf b;

	(void)snprintf(r->address, sizeof(r->address), "%s", address);
	(void)snprintf(r->text, sizeof(r->text), "%s", text);
	r->has_key = key != NULL;
	if (key != NULL)
		r->key = *key;
	r->code = code;
	r->at_ms = now_ms();
	r->count++;
	if (!news)
		return;
	if (key != NULL) {
		buf_init(&b, sizeof(hex));
		text_put_hex(&b, digest_slice(key));
		memcpy(hex, b.p, sizeof(hex) - 1);
		buf_free(&b);
	}
	log_warn(address, "refused: %s code=%s key=%s", text, err_code(code),
		 hex);
}

/* ---- links ------------------------------------------------------------------ */

static struct peer_link *link_make(struct peers *p, uint32_t member)
{
	struct peer_link *l = xcalloc(1, sizeof(*l));

	l->p = p;
	l->id = MESH_NO_LINK;
	l->member = member;
	l->fresh = true;
	l->next = p->links;
	l->at = &p->links;
	if (p->links != NULL)
		p->links->at = &l->next;
	p->links = l;
	p->link_count++;
	p->fresh_count++;
	return l;
}

static void grow_up(struct peer_link *l)
{
	if (l->fresh)
		l->p->fresh_count--;
	l->fresh = false;
}

static void link_free(struct peer_link *l)
{
	grow_up(l);
	l->p->link_count--;
	*l->at = l->next;
	if (l->next != NULL)
		l->next->at = l->at;
	free(l);
}

void peer_on_connection(void *arg, struct listener *from)
{
	struct peers *p = arg;
	struct link_options o = { p->loop, p->tls, &events, NULL };
	bool full = p->fresh_count >= LIMIT_LINKS_NEW ||
		    p->link_count >= LIMIT_LINKS;
	struct peer_link *l = link_make(p, UINT32_MAX);

	o.arg = l;
	l->link = link_accept(&o, from);
	if (full)
		link_abort(l->link, ERR_BUSY, "too many connections");
}

void peer_send(struct peer_link *l, struct slice frames)
{
	link_send(l->link, frames);
	if (l->congested || l->id == MESH_NO_LINK ||
	    link_out_bytes(l->link) < LIMIT_OUT_HIGH_BYTES)
		return;
	l->congested = true;
	mesh_link_congested(l->p->mesh, peers_now(l->p), l->id, true);
}

void peer_live(struct peer_link *l)
{
	char name[LIMIT_DOMAIN_BYTES + 1] = "";
	struct mesh_peer_info info;

	grow_up(l);
	l->live = true;
	link_trust(l->link);
	if (l->member >= mesh_member_count(l->p->mesh))
		return;
	mesh_peer_info(l->p->mesh, l->member, &info);
	l->peer = info.live && info.link == l->id;
	if (!l->peer)
		return;
	peer_forget_trouble(l->p, l->member);
	/* It may have what others had not; first it tells what it has. */
	l->p->seek_ms = peers_now(l->p) + PEERS_CHORES_MS;
	memcpy(name, info.name.p, info.name.n);
	log_info(name, "up address=%s by=%s", link_address(l->link),
		 link_is_dialled(l->link) ? "us" : "them");
}

/* A member's link has ended, or never came up. A client's end is not news. */
static void tell_end(struct peer_link *l, const struct peer_trouble *t)
{
	char name[LIMIT_DOMAIN_BYTES + 1] = "";
	struct mesh_peer_info info;

	if ((l->live && !l->peer) || l->member >= mesh_member_count(l->p->mesh))
		return;
	mesh_peer_info(l->p->mesh, l->member, &info);
	if (info.live)
		return;
	set_trouble(l->p, l->member, t);
	memcpy(name, info.name.p, info.name.n);
	log_warn(name, "%s: %s address=%s code=%s by=%s",
		 l->live ? "up -> down" : "refused", t->text, t->address,
		 health_entry(health_of(t->step, t->code, t->theirs))->code,
		 t->theirs ? "them" : "us");
}

/* The mesh has given the link up; its BYE is queued. */
void peer_shut(struct peer_link *l, enum err why, bool by_peer)
{
	struct peer_trouble t = { 0 };

	l->id = MESH_NO_LINK;
	link_close(l->link, why, why == ERR_OK ? "" : err_text(why));
	if (why == ERR_OK || why == ERR_DUPLICATE || l->p->stopping)
		return;
	(void)snprintf(t.address, sizeof(t.address), "%s",
		       link_address(l->link));
	fill_trouble(&t, l->live ? PEER_STEP_OPEN : PEER_STEP_HELLO, why,
		     by_peer, err_text(why));
	tell_end(l, &t);
}

void peer_links_cut(struct peers *p)
{
	struct peer_link *l, *next;

	for (l = p->links; l != NULL; l = next) {
		next = l->next;
		l->id = MESH_NO_LINK;
		link_abort(l->link, ERR_SHUTDOWN, "the node is stopping");
	}
}

/* Does @name's card pin this key, and is it a member? */
static const struct descriptor *
find_pinned(const struct peers *p, struct slice name, const struct digest *key)
{
	const struct descriptor *card = members_card(p->members, name);

	return card != NULL && members_has(p->members, name) &&
			       descriptor_has_pin(card, key)
		       ? card
		       : NULL;
}

void peer_links_recheck(struct peers *p)
{
	struct mesh_peer_info info;

	for (struct peer_link *l = p->links; l != NULL; l = l->next) {
		if (l->id == MESH_NO_LINK ||
		    l->member >= mesh_member_count(p->mesh))
			continue;
		mesh_peer_info(p->mesh, l->member, &info);
		if (find_pinned(p, info.name, &l->key) != NULL)
			continue;
		mesh_link_lost(p->mesh, peers_now(p), l->id, ERR_PIN);
		l->id = MESH_NO_LINK;
		link_refuse(l->link, ERR_PIN, "your key is pinned no more");
	}
}

/* ---- dialling ---------------------------------------------------------------- */

static void dial_on(struct dial *d);

static void dial_end(struct dial *d)
{
	d->p->dialling--;
	free(d);
}

static void dial_fail(struct dial *d)
{
	struct peers *p = d->p;
	struct peer_trouble *before =
		d->member < LIMIT_MEMBERS ? p->trouble[d->member] : NULL;

	if (p->stopping)
		; /* not their fault */
	else if (before == NULL || before->code != d->trouble.code ||
		 before->step != d->trouble.step)
		log_warn(
			d->name, "cannot be reached: %s address=%s code=%s",
			d->trouble.text, d->trouble.address,
			health_entry(health_of(d->trouble.step, d->trouble.code,
					       d->trouble.theirs))
				->code);
	set_trouble(p, d->member, &d->trouble);
	mesh_dial_failed(p->mesh, peers_now(p), d->member, d->trouble.code,
			 d->trouble.theirs);
	dial_end(d);
	peers_run(p);
	peers_check_stopped(p);
}

static void on_found(void *arg, const struct dial_result *r)
{
	struct dial *d = arg;

	d->found = *r;
	d->address = 0;
	if (r->code != ERR_OK) {
		fill_trouble(&d->trouble, PEER_STEP_DNS, r->code, false,
			     r->why);
		d->found.count = 0;
	}
	dial_on(d);
}

/* The next address, or the next endpoint, or the end. */
static void dial_on(struct dial *d)
{
	struct peers *p = d->p;
	struct link_options o = { p->loop, p->tls, &events, NULL };
	struct peer_link *l;

	if (!p->stopping && d->address < d->found.count) {
		l = link_make(p, d->member);
		l->dial = d;
		o.arg = l;
		l->link = link_dial(&o, &d->found.address[d->address++]);
	} else if (!p->stopping && d->endpoint < d->endpoint_count) {
		const char *endpoint = d->endpoints[d->endpoint++];

		(void)snprintf(d->trouble.address, sizeof(d->trouble.address),
			       "%.63s", endpoint);
		dial_resolve(p->loop, slice_str(endpoint), on_found, d);
	} else {
		dial_fail(d);
	}
}

void peer_dial(struct peers *p, uint32_t member, struct slice name)
{
	const struct descriptor *card = members_card(p->members, name);
	struct dial *d = xcalloc(1, sizeof(*d));

	d->p = p;
	d->member = member;
	p->dialling++;
	assert(name.n <= LIMIT_DOMAIN_BYTES);
	memcpy(d->name, name.p, name.n);
	for (uint32_t i = 0; card != NULL && i < card->endpoint_count; i++) {
		struct slice e = card->endpoints[i];

		if (e.n <= LIMIT_ENDPOINT_BYTES)
			memcpy(d->endpoints[d->endpoint_count++], e.p, e.n);
	}
	fill_trouble(&d->trouble, PEER_STEP_CARD, ERR_NOT_FOUND, false,
		     card == NULL ? "its card is not here"
				  : "its card names no endpoint");
	dial_on(d);
}

/* ---- events of links ---------------------------------------------------------- */

/* Give the link to the mesh, as @member's. */
static void enter(struct peer_link *l, struct slice member,
		  const struct digest *key)
{
	struct mesh_link_up up = { .tag = l,
				   .member = member,
				   .dialled = link_is_dialled(l->link) };
	struct peers *p = l->p;

	l->member = mesh_find_member(p->mesh, member);
	l->key = *key;
	if (l->dial != NULL) {
		dial_end(l->dial);
		l->dial = NULL;
	}
	l->id = mesh_link_open(p->mesh, peers_now(p), &up);
	if (l->id == MESH_NO_LINK)
		link_refuse(l->link, p->stopping ? ERR_SHUTDOWN : ERR_BUSY,
			    p->stopping ? "stopping" : "no room");
	peers_run(p);
}

static void judge_dialled(struct peer_link *l, const struct digest *spki)
{
	struct dial *d = l->dial;
	const struct descriptor *card =
		members_card(l->p->members, slice_str(d->name));

	if (card != NULL && descriptor_has_pin(card, spki)) {
		enter(l, card->member, spki);
		return;
	}
	note_refusal(l->p, l->link, spki, ERR_PIN,
		     "we dialled it and its key is not the one in the card");
	fill_trouble(&d->trouble, PEER_STEP_PIN, ERR_PIN, false,
		     "its key is not the one in its card");
	link_refuse(l->link, ERR_PIN, "your key is not the one in your card");
}

/* A pin is only a claim: who has put another's key into the own card must
 * not be taken for its holder, who says in HELLO who it is. */
static bool name_by_hello(struct peer_link *l, struct slice frame)
{
	const struct descriptor *card = NULL;
	struct message m;
	struct arena a;

	l->unnamed = false;
	arena_init(&a, LIMIT_FRAME_NEW_BYTES);
	if (message_decode(frame, &a, &m, NULL) == ERR_OK &&
	    m.type == MSG_HELLO)
		card = find_pinned(l->p, m.hello.member, &l->key);
	arena_free(&a);
	if (card == NULL || slice_is(card->member, l->p->home->config.member)) {
		note_refusal(l->p, l->link, &l->key, ERR_PIN,
			     "its key is not in its card");
		link_refuse(l->link, ERR_PIN, "your key is not in your card");
		return false;
	}
	enter(l, card->member, &l->key);
	return l->id != MESH_NO_LINK;
}

static void on_open(struct link *link, const struct digest *spki)
{
	struct peer_link *l = link_arg(link);
	struct peers *p = l->p;
	const struct descriptor *card;

	if (p->stopping) {
		link_refuse(link, ERR_SHUTDOWN, "stopping");
		return;
	}
	if (l->dial != NULL) {
		judge_dialled(l, spki);
		return;
	}
	if (members_count_pin(p->members, spki) > 1) {
		l->unnamed = true;
		l->key = *spki;
		return;
	}
	card = members_by_pin(p->members, spki);
	if (card != NULL && !slice_is(card->member, p->home->config.member)) {
		enter(l, card->member, spki);
		return;
	}
	note_refusal(p, link, spki, ERR_PIN,
		     p->members->roster == NULL
			     ? "no alliance is installed here"
			     : "its key is in no member's card");
	link_refuse(link, ERR_PIN,
		    p->members->roster == NULL
			    ? "no alliance is installed here"
			    : "your key is in no member's card here");
}

static void on_frame(struct link *link, struct slice frame)
{
	struct peer_link *l = link_arg(link);
	struct peers *p = l->p;

	if (l->unnamed && !name_by_hello(l, frame))
		return;
	if (l->id == MESH_NO_LINK)
		return;
	mesh_link_frame(p->mesh, peers_now(p), l->id, frame);
	peers_run(p);
}

static void on_room(struct link *link)
{
	struct peer_link *l = link_arg(link);
	struct peers *p = l->p;

	if (!l->congested || l->id == MESH_NO_LINK)
		return;
	l->congested = false;
	mesh_link_congested(p->mesh, peers_now(p), l->id, false);
	peers_run(p);
}

/* The dial goes on with the next address, unless this one said enough. */
static void dial_lost(struct peer_link *l, const struct link_end *end)
{
	struct dial *d = l->dial;

	l->dial = NULL;
	(void)snprintf(d->trouble.address, sizeof(d->trouble.address), "%s",
		       link_address(l->link));
	/* Of several addresses, the one that came furthest tells most. */
	if (d->trouble.step < PEER_STEP_PIN &&
	    d->trouble.step <= health_step(end->step))
		fill_trouble(&d->trouble, health_step(end->step), end->code,
			     end->theirs, end->text);
	link_free(l);
	dial_on(d);
}

static void link_lost(struct peer_link *l, const struct link_end *end)
{
	struct peers *p = l->p;
	struct peer_trouble t = { 0 };
	enum err code = end->code == ERR_OK ? ERR_CLOSED : end->code;

	(void)snprintf(t.address, sizeof(t.address), "%s",
		       link_address(l->link));
	fill_trouble(&t, l->live ? PEER_STEP_OPEN : health_step(end->step),
		     code, end->theirs, end->text);
	mesh_link_lost(p->mesh, peers_now(p), l->id, code);
	if (!p->stopping)
		tell_end(l, &t);
}

static void on_closed(struct link *link, const struct link_end *end)
{
	struct peer_link *l = link_arg(link);
	struct peers *p = l->p;

	if (l->dial != NULL) {
		dial_lost(l, end);
		return;
	}
	if (l->id != MESH_NO_LINK)
		link_lost(l, end);
	else if (l->member == UINT32_MAX && end->step == LINK_TLS &&
		 !p->stopping)
		note_refusal(p, link, NULL, end->code, end->text);
	link_free(l);
	peers_run(p);
	peers_check_stopped(p);
}

static const struct link_events events = { on_open, on_frame, on_room,
					   on_closed };
