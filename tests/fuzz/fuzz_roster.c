/* Rosters, cards and alliance files: what is accepted has one form and obeys
 * the rules that hold for every roster and card. */

#include "proto/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_roster(struct slice raw, struct arena *a)
{
	struct roster r;
	const char *why;
	uint32_t active = 0;

	if (roster_parse(raw, a, &r, &why) != ERR_OK) {
		assert(why[0] != '\0');
		return;
	}
	for (uint32_t i = 0; i < r.member_count; i++) {
		active += r.members[i].state == MEMBER_ACTIVE;
		assert(roster_find(&r, r.members[i].name) == &r.members[i]);
	}
	assert(2 * r.threshold > active && r.threshold <= active);
	(void)roster_check_first(&r, NULL);
	/* Nothing follows itself. */
	assert(roster_check_next(&r, &r, &why) == ERR_CONFLICT);
}

static void check_card(struct slice raw, struct arena *a)
{
	struct descriptor d;
	const char *why;

	if (descriptor_parse(raw, a, &d, &why) != ERR_OK) {
		assert(why[0] != '\0');
		return;
	}
	assert(d.log_count > 0 && d.pin_count > 0);
	for (uint32_t i = 0; i < d.log_count; i++) {
		const struct descriptor_log *g = &d.logs[i];

		assert(descriptor_log_key(&d, g->origin, g->from) == &g->key);
		assert(descriptor_log_key(&d, g->origin, g->to) == &g->key);
	}
}

static void check_bundle(struct slice raw, struct arena *a)
{
	struct bundle b;
	const char *why;
	struct buf again;

	if (bundle_parse(raw, a, &b, &why) != ERR_OK)
		return;
	buf_init(&again, raw.n);
	bundle_put(&b, &again);
	assert(again.err == ERR_OK && slice_equal(buf_slice(&again), raw));
	buf_free(&again);
	check_roster(b.roster, a);
	for (uint32_t i = 0; i < b.card_count; i++)
		check_card(b.cards[i], a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice raw = slice_of(p, n);
	struct arena a;

	arena_init(&a, 1u << 22);
	check_roster(raw, &a);
	check_card(raw, &a);
	check_bundle(raw, &a);
	arena_free(&a);
	return 0;
}
