#include "node/writer_impl.h"

#include <string.h>

static const char *const roster_kind = "roster";
static const char *const card_kind = "card";

static struct slice nobody(void)
{
	return slice_of(NULL, 0);
}

/* The newest roster of this transaction, parsed once; NULL: none is held. */
static enum err newest_roster(struct writer_txn *t, const struct roster **out)
{
	const char *why;
	struct slice note;
	struct roster *r;
	enum err err;

	*out = t->roster;
	if (t->roster_known)
		return ERR_OK;
	err = store_doc_get(t->store, roster_kind, nobody(), 0, &note);
	if (err == ERR_NOT_FOUND) {
		t->roster_known = true;
		return ERR_OK;
	}
	if (err == ERR_OK)
		err = arena_copy(&t->docs, note, &note);
	if (err != ERR_OK)
		return err;
	r = arena_alloc(&t->docs, sizeof(*r));
	if (r == NULL)
		return ERR_LIMIT;
	err = roster_parse(note, &t->docs, r, &why);
	if (err != ERR_OK)
		return ERR_CORRUPT;
	t->roster = r;
	t->roster_known = true;
	*out = r;
	return ERR_OK;
}

static enum err check_roster(const struct roster *now,
			     const struct roster *next, const char **why)
{
	enum err err;

	if (now == NULL) {
		err = roster_check_first(next, NULL);
		if (err == ERR_DENIED)
			*why = "not all founders have signed it";
		else if (err != ERR_OK)
			*why = "not a first version";
		return err;
	}
	if (next->version <= now->version) {
		*why = "a newer roster is held, or the same";
		return ERR_EXISTS;
	}
	return roster_check_next(now, next, why);
}

enum err writer_put_roster(struct writer_txn *t, struct slice note,
			   const char **why)
{
	const struct roster *now;
	struct roster next;
	enum err err;

	*why = "";
	if (note.n > LIMIT_NOTE_BYTES)
		return ERR_LIMIT;
	err = newest_roster(t, &now);
	if (err == ERR_OK)
		err = roster_parse(note, &t->docs, &next, why);
	if (err == ERR_OK)
		err = check_roster(now, &next, why);
	if (err != ERR_OK)
		return err;
	t->roster_known = false;
	t->docs_changed = true;
	return store_doc_put(t->store, roster_kind, nobody(), next.version,
			     note);
}

/* Before there is a roster only the own card can be checked, and nobody
 * else's is kept. */
static struct roster own_roster(const struct writer *w, struct roster_member *m)
{
	*m = (struct roster_member){
		.name = w->own_member,
		.state = MEMBER_ACTIVE,
		.governance = w->o.keys->governance.key,
	};
	return (struct roster){ .member_count = 1, .members = m };
}

static enum err check_card(struct writer_txn *t, const struct descriptor *d,
			   const struct descriptor *now, const char **why)
{
	const struct roster *roster;
	struct roster_member self;
	struct roster alone;
	enum err err = newest_roster(t, &roster);

	if (err != ERR_OK)
		return err;
	if (roster == NULL) {
		alone = own_roster(t->w, &self);
		roster = &alone;
	}
	return descriptor_check(d, roster, now, why);
}

/* Is there room for the logs that @d names and nobody named before? */
static enum err check_logs(struct writer_txn *t, const struct descriptor *d)
{
	uint32_t count = store_log_count(t->store);

	for (uint32_t i = 0; i < d->log_count; i++) {
		uint32_t log;

		if (store_log_find(t->store, d->logs[i].origin, &log) ==
		    ERR_NOT_FOUND)
			count++;
	}
	return count > LIMIT_LOGS ? ERR_LIMIT : store_error(t->store);
}

/* The card of @member that is held; *out is NULL when there is none. */
static enum err held_card(struct writer_txn *t, struct slice member,
			  struct descriptor *room,
			  const struct descriptor **out)
{
	const char *why;
	struct slice note;
	enum err err = store_doc_get(t->store, card_kind, member, 0, &note);

	*out = NULL;
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK)
		err = arena_copy(&t->docs, note, &note);
	if (err != ERR_OK)
		return err;
	if (descriptor_parse(note, &t->docs, room, &why) != ERR_OK)
		return ERR_CORRUPT;
	*out = room;
	return ERR_OK;
}

enum err writer_put_card(struct writer_txn *t, struct slice note,
			 const char **why)
{
	const struct descriptor *now;
	struct descriptor card, held;
	enum err err;

	*why = "";
	if (note.n > LIMIT_NOTE_BYTES)
		return ERR_LIMIT;
	err = descriptor_parse(note, &t->docs, &card, why);
	if (err == ERR_OK)
		err = held_card(t, card.member, &held, &now);
	if (err == ERR_OK && now != NULL && card.version < now->version) {
		*why = "a newer card is held";
		err = ERR_EXISTS;
	}
	if (err == ERR_OK)
		err = check_card(t, &card, now, why);
	if (err == ERR_OK)
		err = check_logs(t, &card);
	if (err != ERR_OK)
		return err;
	t->docs_changed = true;
	for (uint32_t i = 0; i < card.log_count && err == ERR_OK; i++) {
		uint32_t log;

		err = store_log_add(t->store, card.logs[i].origin, &log);
	}
	if (err != ERR_OK)
		return err;
	return store_doc_put(t->store, card_kind, card.member, card.version,
			     note);
}
