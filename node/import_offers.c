#include "node/import_offers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/dec.h"
#include "proto/text.h"

static_assert((IMPORT_OFFERS_SLOTS & (IMPORT_OFFERS_SLOTS - 1)) == 0,
	      "slots are a power of two");

void import_offers_free(struct import_offers *o)
{
	free(o->slots);
	o->slots = NULL;
}

void import_offers_use(struct import_offers *o, const struct import_key *key)
{
	o->key = *key;
	if (o->slots != NULL)
		memset(o->slots, 0, IMPORT_OFFERS_SLOTS * sizeof(*o->slots));
}

/* Of any version when @version is 0. */
static enum err find(struct own *own, struct slice id, uint64_t version)
{
	const struct schema *s = schema_of(KIND_OFFER);
	uint64_t seq = UINT64_MAX;
	uint64_t has;
	enum err e;

	do {
		e = own_search(own, s, id, true, seq, &seq);
		has = e == ERR_OK ? dec_find_uint(buf_slice(&own->body),
						  "version", 0)
				  : 0;
	} while (e == ERR_OK && version != 0 && has != version);
	return e;
}

static enum err look_up(struct own *own, struct slice id, uint64_t version)
{
	struct slice member = slice_str(own->home->config.member);
	struct slice domain;
	struct slice rest;
	enum err e = find(own, id, version);

	if (e != ERR_NOT_FOUND || !slice_cut(id, '/', &domain, &rest) ||
	    rest.n == 0)
		return e;
	if (slice_equal(domain, member))
		return find(own, rest, version);
	return text_is_domain(domain) ? ERR_OK : ERR_NOT_FOUND;
}

static enum err ask(struct own *own, struct slice id, uint64_t version,
		    bool *known)
{
	enum err e = look_up(own, id, version);

	*known = e == ERR_OK;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err import_offers_know(struct import_offers *o, struct own *own,
			    struct slice body, bool *known)
{
	struct slice id = dec_find_str(body, "offer");
	uint64_t version = dec_find_uint(body, "offer_version", 0);
	struct import_key h = import_hash(&o->key, id);
	/* The last bit tells that the offer is there, the one before it that
	 * the slot is taken. */
	uint64_t tag = (get_u64be(h.b) + version * 0x9e3779b97f4a7c15u) | 3;
	uint64_t *slot;
	enum err e;

	if (o->slots == NULL)
		o->slots = xcalloc(IMPORT_OFFERS_SLOTS, sizeof(*o->slots));
	slot = &o->slots[tag >> 32 & (IMPORT_OFFERS_SLOTS - 1)];
	*known = true;
	if (*slot == tag)
		return ERR_OK;
	*known = false;
	if (*slot == tag - 1)
		return ERR_OK;
	e = ask(own, id, version, known);
	if (e == ERR_OK)
		*slot = *known ? tag : tag - 1;
	return e;
}
