#include "node/writer_impl.h"

#include <string.h>

static const char witness_suffix[] = "/witness";

struct slice writer_note_base(struct slice note)
{
	const uint8_t *p = note.p, *end = note.p + note.n;

	/* A checkpoint's text has no empty line: the first one ends it. */
	while (p != end && end - p > 1 && !(p[0] == '\n' && p[1] == '\n'))
		p++;
	if (p == end || end - p < 2)
		return slice_of(NULL, 0);
	p = memchr(p + 2, '\n', (size_t)(end - p - 2));
	return p == NULL ? slice_of(NULL, 0)
			 : slice_of(note.p, (size_t)(p + 1 - note.p));
}

/* ---- verifying ------------------------------------------------------------ */

/* The own log's key, as a card would state it: before there is a card. */
static struct descriptor own_card(const struct writer *w,
				  struct descriptor_log *log)
{
	*log = (struct descriptor_log){
		.origin = slice_str(w->o.keys->log.key.name),
		.key = w->o.keys->log.key,
		.to = UINT64_MAX,
	};
	return (struct descriptor){ .log_count = 1, .logs = log };
}

enum err writer_verify_note(struct writer_txn *t, struct writer_log *l,
			    struct slice note, struct head *head)
{
	struct writer *w = t->w;
	const struct descriptor *card = members_card(w->members, l->member);
	struct digest hash = hash_bytes(note);
	struct descriptor_log log;
	struct descriptor own;
	struct note parsed;
	enum err err;

	if (l->has_verified && l->verified_turn == w->members_turn &&
	    digest_equal(&hash, &l->verified)) {
		*head = l->verified_head;
		return ERR_OK;
	}
	if (card == NULL && l->is_own) {
		own = own_card(w, &log);
		card = &own;
	}
	if (card == NULL)
		return ERR_NOT_FOUND;
	arena_reset(&w->arena);
	err = log_verify_head(note, card, l->origin, &w->arena, &parsed, head);
	if (err != ERR_OK)
		return err;
	l->has_verified = true;
	l->verified = hash;
	l->verified_head = *head;
	l->verified_turn = w->members_turn;
	return ERR_OK;
}

/* ---- countersignatures ---------------------------------------------------- */

/* The witness key that @sig claims to be of, or NULL. */
static const struct note_key *find_witness(const struct writer *w,
					   const struct note_sig *sig)
{
	const size_t n = sizeof(witness_suffix) - 1;
	const struct descriptor *card;
	struct slice member;

	if (sig->name.n <= n ||
	    !slice_is(slice_sub(sig->name, sig->name.n - n, n), witness_suffix))
		return NULL;
	member = slice_sub(sig->name, 0, sig->name.n - n);
	card = members_card(w->members, member);
	if (card == NULL || card->witness.id != sig->id ||
	    !members_has(w->members, member))
		return NULL;
	return &card->witness;
}

static bool is_newer(struct writer_txn *t, const struct writer_log *l,
		     const struct store_cosig *c)
{
	struct store_cosig old;

	if (store_cosig_get(t->store, l->log, c->witness, &old) != ERR_OK)
		return true;
	return c->size > old.size ||
	       (c->size == old.size && c->unix_seconds > old.unix_seconds);
}

/* Keep signature @sig of @note, a head of @size, if it is a witness's and
 * newer than what is held. Errors as writer_add_cosignature. */
static enum err keep_cosig(struct writer_txn *t, struct writer_log *l,
			   const struct note *note, const struct note_sig *sig,
			   uint64_t size)
{
	struct writer *w = t->w;
	const struct note_key *key = find_witness(w, sig);
	struct store_cosig c = { .size = size };
	enum err err;

	if (key == NULL)
		return ERR_NOT_FOUND;
	if (key->id == w->o.keys->witness.key.id)
		return ERR_EXISTS; /* the own ones are known here */
	err = note_verify(note, key, &c.unix_seconds);
	if (err != ERR_OK)
		return err;
	buf_reset(&w->opener.scratch);
	note_put_sig(sig, &w->opener.scratch);
	c.witness = slice_str(key->name);
	c.line = buf_slice(&w->opener.scratch);
	if (!is_newer(t, l, &c))
		return ERR_EXISTS;
	return store_cosig_put(t->store, l->log, &c);
}

/* Cosignatures that belong under the note being built. */
struct cosig_sink {
	struct writer_log *l;
	uint32_t lines;
};

static bool put_line(void *arg, const struct store_cosig *c)
{
	struct cosig_sink *sink = arg;
	struct buf *note = &sink->l->note;

	if (c->size != sink->l->head.noted.size)
		return true;
	if (sink->lines >= LIMIT_NOTE_SIGS ||
	    c->line.n > LIMIT_NOTE_BYTES - note->n)
		return false;
	buf_put(note, c->line);
	sink->lines++;
	return true;
}

/* Write the lines of all who countersigned this size under the origin's. */
static enum err rebuild_note(struct writer_txn *t, struct writer_log *l)
{
	struct cosig_sink sink = { l, 1 };
	enum err err;

	l->note.n = writer_note_base(buf_slice(&l->note)).n;
	err = store_cosig_scan(t->store, l->log, put_line, &sink);
	l->head.note = buf_slice(&l->note);
	writer_change(t, l, true);
	return err == ERR_OK ? l->note.err : err;
}

/* ---- cosigning ------------------------------------------------------------ */

/* Sign the stored head as a witness; remember it in the same transaction. */
static enum err cosign(struct writer_txn *t, struct writer_log *l)
{
	const struct key_pair *key = &t->w->o.keys->witness;
	uint64_t seconds = t->now_ms / 1000;
	struct store_cosig c = {
		.witness = slice_str(key->key.name),
		.size = l->head.noted.size,
		.unix_seconds = seconds,
	};

	buf_reset(&l->cosig);
	log_cosign(l->origin, &l->head.noted, &key->key, key->secret, seconds,
		   &l->cosig);
	l->head.cosigned = (struct cosign_state){ l->head.noted, t->now_ms };
	writer_change(t, l, true);
	c.line = buf_slice(&l->cosig);
	return store_cosig_put(t->store, l->log, &c);
}

static bool may_cosign(const struct writer_txn *t, const struct writer_log *l)
{
	return !l->is_own && !l->head.frozen && l->head.noted.size > 0 &&
	       writer_signing(t->w) == SIGNING_ALLOWED &&
	       log_may_cosign(&l->head.cosigned, &l->head.noted, t->now_ms);
}

enum err writer_cosign(struct writer_txn *t, uint32_t log)
{
	struct writer_log *l;
	enum err err = writer_touch(t, log, &l);

	if (err != ERR_OK)
		return err;
	if (l->is_own || l->head.noted.size == 0)
		return ERR_BAD_STATE;
	if (l->head.frozen)
		return ERR_FORK;
	if (writer_signing(t->w) != SIGNING_ALLOWED)
		return ERR_RECOVERING;
	if (!may_cosign(t, l))
		return ERR_EXISTS;
	err = cosign(t, l);
	return err == ERR_OK ? rebuild_note(t, l) : err;
}

/* ---- notes ---------------------------------------------------------------- */

/* The key that signs heads of @size, or NULL. */
static const struct note_key *log_key(const struct writer *w,
				      const struct writer_log *l, uint64_t size)
{
	const struct descriptor *card = members_card(w->members, l->member);

	if (card != NULL)
		return descriptor_log_key(card, l->origin, size);
	return l->is_own ? &w->o.keys->log.key : NULL;
}

/* Begin the stored note: text and the origin's line. */
static enum err put_base(const struct writer *w, struct writer_log *l,
			 const struct note *note, uint64_t size)
{
	const struct note_key *key = log_key(w, l, size);
	const struct note_sig *own = NULL;

	for (uint32_t i = 0; i < note->sig_count && key != NULL; i++) {
		if (slice_is(note->sigs[i].name, key->name) &&
		    note->sigs[i].id == key->id)
			own = &note->sigs[i];
	}
	if (own == NULL)
		return ERR_DENIED;
	buf_reset(&l->note);
	buf_put(&l->note, note->text);
	buf_put_u8(&l->note, '\n');
	note_put_sig(own, &l->note);
	return l->note.err;
}

enum err writer_complete(struct writer_txn *t, struct writer_log *l,
			 struct slice note, const struct head *head)
{
	struct writer *w = t->w;
	struct note parsed;
	enum err err;

	arena_reset(&w->arena);
	err = note_parse(note, &w->arena, &parsed);
	if (err == ERR_OK)
		err = put_base(w, l, &parsed, head->size);
	if (err != ERR_OK)
		return err;
	l->head.noted = *head;
	/* Lines that do not verify are nobody's: left out, not complained
	 * about, for the head itself is good. */
	for (uint32_t i = 0; i < parsed.sig_count; i++)
		(void)keep_cosig(t, l, &parsed, &parsed.sigs[i], head->size);
	if (may_cosign(t, l))
		cosign(t, l);
	err = rebuild_note(t, l);
	return err == ERR_OK ? store_error(t->store) : err;
}

/* The head of @l at @size, from the own tree. */
static enum err head_at(struct writer_txn *t, struct writer_log *l,
			uint64_t size, struct head *out)
{
	struct store_source source = { t->store, l->log };
	struct merkle_source src = store_source_of(&source);
	struct frontier f;
	enum err err;

	if (size == l->head.noted.size) {
		*out = l->head.noted;
		return ERR_OK;
	}
	err = merkle_frontier_at(&src, size, &f);
	if (err == ERR_OK)
		*out = frontier_head(&f);
	return err;
}

enum err writer_add_cosignature(struct writer_txn *t, uint32_t log,
				uint64_t size, struct slice line)
{
	struct writer *w = t->w;
	struct checkpoint c;
	struct writer_log *l;
	struct note note;
	struct buf raw;
	size_t text;
	enum err err = writer_touch(t, log, &l);

	if (err != ERR_OK)
		return err;
	if (size == 0 || line.n > LIMIT_NOTE_BYTES / 2)
		return ERR_MALFORMED;
	if (size > l->head.frontier.size)
		return ERR_BAD_STATE;
	buf_init(&raw, LIMIT_NOTE_BYTES);
	c.origin = l->origin;
	err = head_at(t, l, size, &c.head);
	if (err != ERR_OK)
		goto out;
	checkpoint_put(&c, &raw);
	text = raw.n;
	buf_put_u8(&raw, '\n');
	buf_put(&raw, line);
	arena_reset(&w->arena);
	err = note_parse(buf_slice(&raw), &w->arena, &note);
	if (err == ERR_OK && (note.sig_count != 1 || note.text.n != text))
		err = ERR_MALFORMED;
	if (err == ERR_OK)
		err = keep_cosig(t, l, &note, &note.sigs[0], size);
	if (err == ERR_OK && size == l->head.noted.size)
		err = rebuild_note(t, l);
out:
	buf_free(&raw);
	return err;
}

enum err writer_heard(struct writer_txn *t, uint32_t log, uint64_t unix_ms)
{
	struct writer_log *l;
	enum err err = writer_touch(t, log, &l);

	if (err != ERR_OK || unix_ms <= l->head.heard_ms)
		return err;
	l->head.heard_ms = unix_ms;
	writer_change(t, l, false);
	return ERR_OK;
}

enum err writer_freeze(struct writer_txn *t, uint32_t log,
		       struct slice evidence)
{
	struct writer_log *l;
	uint64_t number;
	enum err err = writer_touch(t, log, &l);

	if (err == ERR_OK && l->head.frozen)
		return ERR_EXISTS;
	if (err == ERR_OK)
		err = store_list_next(t->store, STORE_FORKS, &number);
	if (err != ERR_OK)
		return err;
	l->head.frozen = true;
	writer_change(t, l, true);
	return store_list_put(t->store, STORE_FORKS, number, evidence);
}
