#include "node/members.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "node/disk.h"

/* Documents of a whole alliance, and what parsing adds. */
#define MEMBERS_BYTES_MAX (2u * (size_t)LIMIT_BUNDLE_BYTES)

struct members_cell {
	pthread_mutex_t lock;
	struct members *now; /* owned: one reference */
};

const struct descriptor *members_card(const struct members *m,
				      struct slice member)
{
	uint32_t low = 0, high = m->card_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = slice_compare(m->cards[middle].member, member);

		if (order == 0)
			return &m->cards[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool members_has(const struct members *m, struct slice member)
{
	const struct roster_member *r =
		m->roster != NULL ? roster_find(m->roster, member) : NULL;

	return r != NULL && r->state != MEMBER_REMOVED;
}

const struct descriptor *members_by_pin(const struct members *m,
					const struct digest *spki)
{
	for (uint32_t i = 0; i < m->card_count; i++) {
		const struct descriptor *d = &m->cards[i];

		if (descriptor_has_pin(d, spki) && members_has(m, d->member))
			return d;
	}
	return NULL;
}

uint32_t members_count_pin(const struct members *m, const struct digest *spki)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->card_count; i++)
		n += descriptor_has_pin(&m->cards[i], spki) &&
		     members_has(m, m->cards[i].member);
	return n;
}

/* ---- loading -------------------------------------------------------------- */

struct loader {
	struct members *m;
	struct descriptor *cards; /* room for LIMIT_MEMBERS */
	struct buf *why;
	enum err err;
};

static void explain(struct loader *l, const char *what, struct slice member,
		    const char *fault)
{
	say(l->why, "stored %s %.*s: %s", what, (int)member.n,
	    member.n > 0 ? (const char *)member.p : "", fault);
}

static bool load_card(void *arg, struct slice member, uint64_t version,
		      struct slice note)
{
	struct loader *l = arg;
	struct members *m = l->m;
	const char *fault = "";

	(void)version;
	if (m->card_count >= LIMIT_MEMBERS)
		l->err = ERR_LIMIT;
	if (l->err == ERR_OK)
		l->err = arena_copy(&m->arena, note, &note);
	if (l->err == ERR_OK)
		l->err = descriptor_parse(note, &m->arena,
					  &l->cards[m->card_count], &fault);
	if (l->err != ERR_OK)
		explain(l, "card of", member, fault);
	else
		m->card_count++;
	return l->err == ERR_OK;
}

/* Parse one version of the roster (0: the newest); NULL when none is held. */
static const struct roster *load_roster(struct loader *l, struct store_txn *t,
					uint64_t version)
{
	struct arena *a = &l->m->arena;
	struct roster *r = NULL;
	const char *fault = "";
	struct slice note;
	enum err err;

	err = store_doc_get(t, "roster", slice_of(NULL, 0), version, &note);
	if (err == ERR_NOT_FOUND)
		return NULL;
	if (err == ERR_OK)
		err = arena_copy(a, note, &note);
	if (err == ERR_OK) {
		r = arena_alloc(a, sizeof(*r));
		err = r == NULL ? ERR_LIMIT : roster_parse(note, a, r, &fault);
	}
	if (err == ERR_OK)
		return r;
	l->err = err;
	explain(l, "roster", slice_of(NULL, 0), fault);
	return NULL;
}

enum err members_load(struct store_txn *t, struct members **out,
		      struct buf *why)
{
	struct loader l = { .m = xcalloc(1, sizeof(*l.m)), .why = why };
	const struct roster *first;
	enum err err;

	arena_init(&l.m->arena, MEMBERS_BYTES_MAX);
	l.m->refs = 1;
	l.cards = arena_array(&l.m->arena, LIMIT_MEMBERS, sizeof(*l.cards));
	l.m->cards = l.cards;
	l.m->roster = load_roster(&l, t, 0);
	if (l.err == ERR_OK && l.m->roster != NULL) {
		first = load_roster(&l, t, 1);
		if (first != NULL)
			l.m->alliance = first->hash;
		else if (l.err == ERR_OK)
			l.err = ERR_CORRUPT;
	}
	if (l.err == ERR_OK) {
		/* In order of the names: members_card searches. */
		err = store_doc_scan(t, "card", load_card, &l);
		if (l.err == ERR_OK)
			l.err = err;
	}
	if (l.err == ERR_OK)
		*out = l.m;
	else
		members_release(l.m);
	return l.err;
}

/* ---- sharing -------------------------------------------------------------- */

void members_release(struct members *m)
{
	if (m == NULL || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	arena_free(&m->arena);
	free(m);
}

struct members *members_hold(struct members_cell *c)
{
	struct members *m;

	pthread_mutex_lock(&c->lock);
	m = c->now;
	__atomic_add_fetch(&m->refs, 1, __ATOMIC_ACQ_REL);
	pthread_mutex_unlock(&c->lock);
	return m;
}

struct members_cell *members_cell_open(struct members *first)
{
	struct members_cell *c = xcalloc(1, sizeof(*c));

	assert(first != NULL);
	pthread_mutex_init(&c->lock, NULL);
	c->now = first;
	return c;
}

void members_cell_set(struct members_cell *c, struct members *m)
{
	struct members *old;

	assert(m != NULL);
	pthread_mutex_lock(&c->lock);
	old = c->now;
	c->now = m;
	pthread_mutex_unlock(&c->lock);
	members_release(old);
}

void members_cell_close(struct members_cell *c)
{
	if (c == NULL)
		return;
	members_release(c->now);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
