/* What the writer starts from: keys, guard, store and vault must tell one
 * story, else only the partners know what was signed. PROTOCOL.md 15.7. */

#include "node/writer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "node/disk.h"
#include "node/log.h"

/* Newest own records whose salts are looked for. */
#define VAULT_PROBES 256u

static enum err add_own_log(struct writer *w, struct buf *why)
{
	struct slice origin = slice_str(w->o.keys->log.key.name);
	struct store_txn *t;
	enum err err = store_write(w->o.store, &t);

	if (err != ERR_OK)
		goto out;
	err = store_log_add(t, origin, &w->own_log);
	if (err == ERR_OK)
		err = store_commit(t);
	else
		store_abort(t);
out:
	if (err != ERR_OK)
		say(why, "cannot open the own log: %s", err_text(err));
	return err;
}

/* Zero the salts that were written for records that were not committed. */
static enum err trim_vault(struct writer *w, struct store_txn *t,
			   struct buf *why)
{
	uint32_t count = store_log_count(t);
	struct store_head head;
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
		err = store_head_get(t, i, &head);
		if (err == ERR_OK)
			err = vault_trim(w->o.vault, i, head.frontier.size);
	}
	if (err != ERR_OK)
		say(why, "cannot trim the vault: %s", err_text(err));
	return err;
}

static bool frontier_equal(const struct frontier *a, const struct frontier *b)
{
	return a->size == b->size && a->count == b->count &&
	       memcmp(a->hash, b->hash, a->count * sizeof(a->hash[0])) == 0;
}

/* The stored frontier is that of the stored records. */
static enum err check_frontier(struct store_source *source,
			       const struct store_head *head, struct buf *why)
{
	struct merkle_source src = store_source_of(source);
	struct frontier again;
	enum err err = merkle_frontier_at(&src, head->frontier.size, &again);

	if (err == ERR_OK && !frontier_equal(&again, &head->frontier))
		err = ERR_CORRUPT;
	if (err != ERR_OK)
		say(why,
		    "the own log does not lead to its stored head (%s): "
		    "restore the directory, or move it away and let the "
		    "partners fill a new one",
		    err_text(err));
	return err;
}

/* The key that signed own heads of this size: the present one, or one of the
 * own card. */
static bool is_own_signature(struct writer *w, const struct note *note,
			     const struct checkpoint *c)
{
	const struct note_key *key = &w->o.keys->log.key;
	const struct descriptor *card;

	if (!slice_is(c->origin, key->name))
		return false;
	if (note_verify(note, key, NULL) == ERR_OK)
		return true;
	card = members_card(w->members, w->own_member);
	key = card != NULL ? descriptor_log_key(card, c->origin, c->head.size)
			   : NULL;
	return key != NULL && note_verify(note, key, NULL) == ERR_OK;
}

/* The newest own note is ours and states what is stored. */
static enum err check_note(struct writer *w, struct store_source *source,
			   const struct store_head *head, struct buf *why)
{
	struct merkle_source src = store_source_of(source);
	struct checkpoint c;
	struct frontier f;
	struct note note;
	struct head own;
	enum err err;

	if (head->note.n == 0)
		return ERR_OK;
	arena_reset(&w->arena);
	err = note_parse(head->note, &w->arena, &note);
	if (err == ERR_OK)
		err = checkpoint_parse(note.text, &c);
	if (err == ERR_OK && !is_own_signature(w, &note, &c))
		err = ERR_INVALID;
	if (err == ERR_OK && c.head.size > head->frontier.size)
		err = ERR_CORRUPT;
	if (err == ERR_OK)
		err = merkle_frontier_at(&src, c.head.size, &f);
	if (err == ERR_OK) {
		own = frontier_head(&f);
		if (!head_equal(&own, &c.head))
			err = ERR_CORRUPT;
	}
	if (err == ERR_OK)
		return ERR_OK;
	say(why, "the newest own head does not fit the own log: %s",
	    err_text(err));
	return ERR_CORRUPT;
}

/* Are the salts of the newest sealed records where they should be? */
static bool has_salts(struct writer *w, struct store_txn *t, uint64_t size)
{
	uint64_t first = size > VAULT_PROBES ? size - VAULT_PROBES : 0;
	uint8_t salt[LIMIT_SALT_BYTES];
	bool ok = true;

	for (uint64_t i = first; i < size && ok; i++) {
		struct record r;

		if (store_record_get(t, w->own_log, i, &r) != ERR_OK)
			return false;
		if (r.body.n > 0 && r.salt.n == 0)
			ok = vault_get(w->o.vault, w->own_log, i, salt) ==
			     ERR_OK;
	}
	wipe(salt, sizeof(salt));
	return ok;
}

/* Is the guard's head one of this log, at or before its end? Behind the end
 * it is after a crash between commit and guard. */
static bool is_in_log(struct store_source *source, const struct head *head,
		      const struct store_head *now)
{
	struct merkle_source src = store_source_of(source);
	struct frontier f;
	struct head own;

	if (head->size > now->frontier.size ||
	    merkle_frontier_at(&src, head->size, &f) != ERR_OK)
		return false;
	own = frontier_head(&f);
	return head_equal(&own, head);
}

static bool is_trusted(struct writer *w, struct store_source *source,
		       const struct store_head *head,
		       const struct guard_state *guard)
{
	const char *doubt = NULL;

	if (guard->file == GUARD_MISSING)
		doubt = "there is no guard file";
	else if (guard->file == GUARD_DAMAGED)
		doubt = "the guard file is damaged";
	else if (guard->file == GUARD_COPIED)
		doubt = "the guard file is a copy";
	else if (!is_in_log(source, &guard->head, head))
		doubt = "the guard file knows of a later head";
	else if (!has_salts(w, source->txn, head->frontier.size))
		doubt = "salts are missing";
	if (doubt != NULL)
		log_warn("node",
			 "%s: this directory may have been restored, the "
			 "partners are asked before anything is signed",
			 doubt);
	return doubt == NULL;
}

static enum err check_own(struct writer *w, struct store_txn *t,
			  const struct guard_state *guard, struct buf *why)
{
	struct store_source source = { t, w->own_log };
	struct store_head head;
	struct head signed_head;
	enum err err = store_head_get(t, w->own_log, &head);

	if (err == ERR_OK)
		err = check_frontier(&source, &head, why);
	if (err == ERR_OK)
		err = check_note(w, &source, &head, why);
	if (err != ERR_OK)
		return err;
	w->trusted = is_trusted(w, &source, &head, guard);
	signed_head = writer_signed_head(&head);
	atomic_init(&w->guarded,
		    w->trusted && head_equal(&guard->head, &signed_head));
	return ERR_OK;
}

enum err writer_check_start(struct writer *w, struct buf *why)
{
	struct guard_state guard;
	struct store_txn *t;
	uint64_t generation;
	enum err err;

	err = log_origin_parse(slice_str(w->o.keys->log.key.name),
			       &w->own_member, &generation);
	if (err != ERR_OK) {
		say(why, "the log key is not named by an origin");
		return err;
	}
	writer_take_members(w);
	err = guard_open(w->o.guard_path, &w->guard, &guard, why);
	if (err == ERR_OK)
		err = add_own_log(w, why);
	if (err != ERR_OK)
		return err;
	err = store_read(w->o.store, &t);
	if (err != ERR_OK) {
		say(why, "cannot read the store: %s", err_text(err));
		return err;
	}
	err = trim_vault(w, t, why);
	if (err == ERR_OK)
		err = check_own(w, t, &guard, why);
	store_abort(t);
	return err;
}
