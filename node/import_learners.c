#include "node/import_learners.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (IMPORT_LEARNERS_MAX * 2)

static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are a power of two");

void import_learners_free(struct import_learners *l)
{
	free(l->slots);
	*l = (struct import_learners){ NULL, 0 };
}

void import_learners_clear(struct import_learners *l)
{
	if (l->slots != NULL)
		memset(l->slots, 0, SLOTS * sizeof(*l->slots));
	l->count = 0;
}

static bool is_empty(const struct import_learner *e)
{
	static const struct import_key zero;

	return memcmp(&e->number, &zero, sizeof(zero)) == 0;
}

/* The slot of @person or the empty one where it belongs. */
static struct import_learner *slot(const struct import_learners *l,
				   const struct import_key *person)
{
	/* A keyed digest: nobody can choose where it falls. */
	size_t i = get_u32be(person->b) & (SLOTS - 1);

	while (!is_empty(&l->slots[i]) &&
	       memcmp(&l->slots[i].person, person, sizeof(*person)) != 0)
		i = (i + 1) & (SLOTS - 1);
	return &l->slots[i];
}

struct import_learner *import_learners_find(const struct import_learners *l,
					    const struct import_key *person)
{
	struct import_learner *e;

	if (l->slots == NULL)
		return NULL;
	e = slot(l, person);
	return is_empty(e) ? NULL : e;
}

struct import_learner *import_learners_add(struct import_learners *l,
					   const struct import_learner *e)
{
	struct import_learner *at;

	assert(l->count < IMPORT_LEARNERS_MAX);
	if (l->slots == NULL)
		l->slots = xcalloc(SLOTS, sizeof(*l->slots));
	at = slot(l, &e->person);
	assert(is_empty(at));
	*at = *e;
	l->count++;
	return at;
}
