#include "replica.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COSIGNATURE_BYTES (8u + SIG_BYTES) /* time, then the signature */

static_assert(REPLICA_WINDOW_MIN_BYTES / 2 >= LIMIT_ENTRY_BYTES,
	      "a source that has not run out can send the largest record");
static_assert(REPLICA_WINDOW_MAX_BYTES < LIMIT_CREDIT_LINK_BYTES,
	      "one log alone does not use up a link");

void replica_init(struct replica *r, struct slice origin, uint32_t owner,
		  bool own)
{
	assert(origin.n > 0 && origin.n <= LIMIT_ORIGIN_BYTES);
	memset(r, 0, sizeof(*r));
	memcpy(r->origin, origin.p, origin.n);
	r->owner = owner;
	r->own = own;
	r->final = UINT64_MAX;
	r->head.root = hash_empty();
	r->source = REPLICA_NO_LINK;
	r->recent_max = own ? REPLICA_RECENT_OWN : REPLICA_RECENT;
	r->recent = xcalloc(r->recent_max, sizeof(*r->recent));
	buf_init(&r->note, LIMIT_NOTE_BYTES);
	buf_init(&r->seen_raw, LIMIT_NOTE_BYTES);
	buf_init(&r->seen_clean, LIMIT_NOTE_BYTES);
	buf_init(&r->evidence, LIMIT_FRAME_BYTES);
	for (uint32_t i = 0; i < LIMIT_CHECKS_LOG; i++)
		buf_init(&r->checks[i].note, LIMIT_NOTE_BYTES);
}

static void free_held(struct held_chunk *h)
{
	buf_free(&h->frame);
	buf_free(&h->note);
	free(h);
}

void replica_free(struct replica *r)
{
	struct held_chunk *next;

	for (struct held_chunk *h = r->held; h != NULL; h = next) {
		next = h->next;
		free_held(h);
	}
	free(r->recent);
	buf_free(&r->note);
	buf_free(&r->seen_raw);
	buf_free(&r->seen_clean);
	buf_free(&r->evidence);
	for (uint32_t i = 0; i < LIMIT_CHECKS_LOG; i++)
		buf_free(&r->checks[i].note);
}

struct slice replica_origin(const struct replica *r)
{
	return slice_str(r->origin);
}

/* Notes. */

static void set_bytes(struct buf *b, struct slice s)
{
	buf_reset(b);
	buf_put(b, s);
	assert(b->err == ERR_OK);
}

/* Is @line one of @checked, a note that was verified before, on the same
 * text? Lines begin behind a newline and end with one. */
static bool has_line(struct slice checked, struct slice text, struct slice line)
{
	size_t at = text.n + 1;

	if (!slice_starts(checked, text))
		return false;
	while (at < checked.n) {
		struct slice rest = slice_sub(checked, at, checked.n - at);
		const uint8_t *end = memchr(rest.p, '\n', rest.n);

		if (slice_starts(rest, line))
			return true;
		if (end == NULL)
			return false;
		at += (size_t)(end - rest.p) + 1;
	}
	return false;
}

/* The signature of @k in @n, or NULL. */
static const struct note_sig *find_sig(const struct note *n,
				       const struct note_key *k)
{
	for (uint32_t i = 0; i < n->sig_count; i++) {
		if (n->sigs[i].id == k->id &&
		    slice_is(n->sigs[i].name, k->name))
			return &n->sigs[i];
	}
	return NULL;
}

/* Append the line of @k to @clean if there is one and it verifies.
 * ERR_NOT_FOUND, ERR_INVALID. */
static enum err take_line(const struct replica *r, const struct note *n,
			  const struct note_key *k, struct buf *clean)
{
	const struct note_sig *sig = find_sig(n, k);
	size_t start = clean->n;
	struct slice line;

	if (sig == NULL)
		return ERR_NOT_FOUND;
	note_put_sig(sig, clean);
	if (clean->err != ERR_OK)
		return ERR_LIMIT;
	line = slice_of(clean->p + start, clean->n - start);
	if (has_line(buf_slice(&r->note), n->text, line) ||
	    has_line(buf_slice(&r->seen_clean), n->text, line))
		return ERR_OK;
	return note_verify(n, k, NULL) == ERR_OK ? ERR_OK : ERR_INVALID;
}

/* PROTOCOL.md 10.4: the log's line, then those of known witnesses. */
static enum err clean_note(const struct replica *r, const struct note *n,
			   const struct replica_keys *keys,
			   const struct note_key *log_key, struct buf *clean)
{
	enum err err;

	buf_put(clean, n->text);
	buf_put_u8(clean, '\n');
	err = take_line(r, n, log_key, clean);
	if (err == ERR_NOT_FOUND)
		return ERR_INVALID;
	for (uint32_t i = 0; i < keys->card_count && err == ERR_OK; i++) {
		err = take_line(r, n, &keys->cards[i].witness, clean);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
	}
	return err;
}

static enum err check_unseen(struct replica *r, struct slice raw,
			     const struct replica_keys *keys, struct arena *a,
			     struct head *head, struct buf *clean)
{
	const struct note_key *key;
	struct checkpoint c;
	struct note n;
	enum err err = note_parse(raw, a, &n);

	if (err == ERR_OK)
		err = checkpoint_parse(n.text, &c);
	if (err != ERR_OK)
		return err;
	if (!slice_equal(c.origin, replica_origin(r)))
		return ERR_CONFLICT;
	key = keys->owner == NULL
		      ? NULL
		      : descriptor_log_key(keys->owner, c.origin, c.head.size);
	if (key == NULL)
		return ERR_DENIED;
	err = clean_note(r, &n, keys, key, clean);
	*head = c.head;
	return err;
}

enum err replica_check_note(struct replica *r, struct slice raw,
			    const struct replica_keys *keys, struct arena *a,
			    struct head *head, struct slice *clean)
{
	struct buf lines;
	enum err err;

	if (r->note.n > 0 && slice_equal(raw, buf_slice(&r->note))) {
		*head = r->head;
		*clean = buf_slice(&r->note);
		return ERR_OK;
	}
	if (r->seen_raw.n == 0 || !slice_equal(raw, buf_slice(&r->seen_raw))) {
		buf_init(&lines, LIMIT_NOTE_BYTES);
		err = check_unseen(r, raw, keys, a, head, &lines);
		if (err != ERR_OK) {
			buf_free(&lines);
			return err;
		}
		buf_free(&r->seen_clean);
		r->seen_clean = lines;
		set_bytes(&r->seen_raw, raw);
		r->seen_head = *head;
	}
	*head = r->seen_head;
	*clean = buf_slice(&r->seen_clean);
	return ERR_OK;
}

static bool is_cosignature(const struct note_sig *s)
{
	return s->sig.n == COSIGNATURE_BYTES;
}

static bool same_key(const struct note_sig *a, const struct note_sig *b)
{
	return a->id == b->id && slice_equal(a->name, b->name);
}

/* Add the cosignatures of @n to @own, the newer of each witness. The room of
 * @own->sigs is for both. Returns whether something changed. */
static bool add_newer(struct note *own, const struct note *n)
{
	bool changed = false;

	for (uint32_t i = 0; i < n->sig_count; i++) {
		const struct note_sig *s = &n->sigs[i];
		uint32_t at = 0;

		while (at < own->sig_count && !same_key(&own->sigs[at], s))
			at++;
		if (!is_cosignature(s) || at == LIMIT_NOTE_SIGS)
			continue;
		if (at < own->sig_count &&
		    get_u64be(s->sig.p) <= get_u64be(own->sigs[at].sig.p))
			continue;
		own->sigs[at] = *s;
		if (at == own->sig_count)
			own->sig_count++;
		changed = true;
	}
	return changed;
}

bool replica_merge_note(struct replica *r, struct slice clean, struct arena *a)
{
	struct note_sig sigs[LIMIT_NOTE_SIGS];
	struct note own, n;
	struct buf merged;

	if (slice_equal(clean, buf_slice(&r->note)) ||
	    note_parse(buf_slice(&r->note), a, &own) != ERR_OK ||
	    note_parse(clean, a, &n) != ERR_OK ||
	    !slice_equal(own.text, n.text))
		return false;
	memcpy(sigs, own.sigs, own.sig_count * sizeof(*sigs));
	own.sigs = sigs;
	if (!add_newer(&own, &n))
		return false;
	buf_init(&merged, LIMIT_NOTE_BYTES);
	buf_put(&merged, own.text);
	buf_put_u8(&merged, '\n');
	for (uint32_t i = 0; i < own.sig_count; i++)
		note_put_sig(&own.sigs[i], &merged);
	if (merged.err != ERR_OK) {
		buf_free(&merged);
		return false;
	}
	buf_free(&r->note);
	r->note = merged;
	return true;
}

/* The newest remembered head of @size, or NULL. */
static const struct head *find_recent(const struct replica *r, uint64_t size)
{
	for (uint32_t i = 0; i < r->recent_count; i++) {
		uint32_t at = (r->recent_next + r->recent_max - 1 - i) %
			      r->recent_max;

		if (r->recent[at].size == size)
			return &r->recent[at];
	}
	return NULL;
}

static void remember(struct replica *r, const struct head *h)
{
	const struct head *known = find_recent(r, h->size);

	if (known != NULL && head_equal(known, h))
		return;
	r->recent[r->recent_next] = *h;
	r->recent_next = (r->recent_next + 1) % r->recent_max;
	if (r->recent_count < r->recent_max)
		r->recent_count++;
}

enum err replica_add_cosignature(struct replica *r, uint64_t size,
				 struct slice line,
				 const struct note_key *witness,
				 struct arena *a, bool *changed)
{
	const struct head *head = find_recent(r, size);
	struct checkpoint c;
	struct buf raw;
	struct note n;
	size_t text;
	enum err err;

	*changed = false;
	if (head == NULL)
		return ERR_NOT_FOUND;
	c = (struct checkpoint){ replica_origin(r), *head };
	buf_init(&raw, LIMIT_NOTE_BYTES);
	checkpoint_put(&c, &raw);
	text = raw.n;
	buf_put_u8(&raw, '\n');
	buf_put(&raw, line);
	err = raw.err != ERR_OK ? raw.err : note_parse(buf_slice(&raw), a, &n);
	/* A line with an empty line in it would make another text. */
	if (err == ERR_OK && (n.sig_count != 1 || n.text.n != text))
		err = ERR_MALFORMED;
	if (err == ERR_OK && note_verify(&n, witness, NULL) != ERR_OK)
		err = ERR_INVALID;
	if (err == ERR_OK && head_equal(head, &r->head))
		*changed = replica_merge_note(r, buf_slice(&raw), a);
	buf_free(&raw);
	return err;
}

/* Heads. */

enum head_relation replica_relate(const struct replica *r, const struct head *h)
{
	const struct head *known = find_recent(r, h->size);

	if (known != NULL && head_equal(known, h))
		return HEAD_KNOWN;
	if (h->size > r->final)
		return HEAD_BEYOND_FINAL;
	if (h->size > r->durable)
		return HEAD_AHEAD;
	if (h->size == 0) {
		struct digest none = hash_empty();

		return digest_equal(&h->root, &none) ? HEAD_KNOWN
						     : HEAD_TO_CHECK;
	}
	return HEAD_TO_CHECK;
}

struct head_check *replica_add_check(struct replica *r, const struct head *h,
				     struct slice clean, uint64_t id)
{
	struct head_check *slot = NULL;

	assert(id != 0);
	for (uint32_t i = 0; i < LIMIT_CHECKS_LOG; i++) {
		struct head_check *c = &r->checks[i];

		if (c->id == 0)
			slot = c;
		else if (head_equal(&c->head, h))
			return NULL;
	}
	if (slot == NULL)
		return NULL;
	slot->id = id;
	slot->head = *h;
	set_bytes(&slot->note, clean);
	return slot;
}

struct head_check *replica_find_check(struct replica *r, uint64_t id)
{
	for (uint32_t i = 0; i < LIMIT_CHECKS_LOG; i++) {
		if (id != 0 && r->checks[i].id == id)
			return &r->checks[i];
	}
	return NULL;
}

void replica_end_check(struct head_check *c)
{
	c->id = 0;
	buf_free(&c->note);
}

bool replica_adopt(struct replica *r, const struct head *h, struct slice clean)
{
	assert(h->size <= r->durable);
	remember(r, h);
	if (h->size <= r->head.size)
		return false;
	r->head = *h;
	set_bytes(&r->note, clean);
	return true;
}

static enum err set_note(struct replica *r, struct slice note, struct arena *a)
{
	struct checkpoint c;
	struct note n;
	enum err err = note_parse(note, a, &n);

	if (err == ERR_OK)
		err = checkpoint_parse(n.text, &c);
	if (err != ERR_OK)
		return err;
	if (!slice_equal(c.origin, replica_origin(r)))
		return ERR_CONFLICT;
	if (c.head.size > r->durable)
		return ERR_BAD_STATE;
	remember(r, &c.head);
	if (r->note.n > 0 && head_equal(&c.head, &r->head))
		(void)replica_merge_note(r, note, a);
	else if (r->note.n == 0 || c.head.size > r->head.size) {
		r->head = c.head;
		set_bytes(&r->note, note);
	}
	return ERR_OK;
}

enum err replica_set_held(struct replica *r, uint64_t durable,
			  struct slice note, struct arena *a)
{
	assert(durable >= r->durable);
	r->durable = durable;
	if (r->received < durable)
		r->received = durable;
	if (r->told < durable)
		r->told = durable;
	return note.n > 0 ? set_note(r, note, a) : ERR_OK;
}

/* Jobs and credit. */

bool replica_is_busy(const struct replica *r)
{
	return r->source != REPLICA_NO_LINK && r->target > r->received;
}

/* Credit that a job should have. PROTOCOL.md 10.6. */
static uint64_t window(const struct replica *r, uint64_t credit_max)
{
	uint64_t w = (credit_max + r->granted) / 2;

	if (!replica_is_busy(r) || w < REPLICA_WINDOW_MIN_BYTES)
		return REPLICA_WINDOW_MIN_BYTES;
	return w < REPLICA_WINDOW_MAX_BYTES ? w : REPLICA_WINDOW_MAX_BYTES;
}

static void fill_want(const struct replica *r, uint64_t credit,
		      struct message_want *want)
{
	*want = (struct message_want){ replica_origin(r), r->job, r->received,
				       credit };
}

bool replica_start(struct replica *r, uint64_t link, uint64_t job,
		   uint64_t target, uint64_t now_ms, uint64_t credit_max,
		   struct message_want *want)
{
	assert(r->source == REPLICA_NO_LINK && link != REPLICA_NO_LINK &&
	       job != 0 && !r->frozen && !r->draining);
	if (credit_max < REPLICA_WINDOW_MIN_BYTES ||
	    r->held_bytes > REPLICA_WINDOW_MIN_BYTES / 2)
		return false;
	r->source = link;
	r->job = job;
	r->target = target;
	r->progress_ms = now_ms;
	r->granted = 0;
	r->granted = window(r, credit_max);
	fill_want(r, r->granted, want);
	return true;
}

bool replica_top_up(struct replica *r, uint64_t credit_max,
		    struct message_want *want, bool *starved)
{
	uint64_t w = window(r, credit_max), more, room;

	*starved = false;
	if (r->source == REPLICA_NO_LINK || r->draining ||
	    r->held_count > LIMIT_HELD_CHUNKS / 2 || r->granted > w / 2)
		return false;
	more = w - r->granted;
	room = REPLICA_HELD_MAX_BYTES - r->granted - r->held_bytes;
	if (more > room)
		more = room;
	if (more > credit_max) {
		*starved = true;
		more = credit_max;
	}
	/* Not in crumbs: they make small chunks. */
	if (more < REPLICA_WINDOW_MIN_BYTES / 2)
		return false;
	r->granted += more;
	fill_want(r, more, want);
	return true;
}

void replica_stop(struct replica *r)
{
	r->source = REPLICA_NO_LINK;
	r->granted = 0;
	r->target = 0;
}

uint64_t replica_deadline(const struct replica *r)
{
	if (!replica_is_busy(r) || r->granted < LIMIT_ENTRY_BYTES)
		return UINT64_MAX;
	return r->progress_ms + REPLICA_STALL_MS;
}

/* Chunks. */

const struct held_chunk *replica_find_held(const struct replica *r, uint64_t id)
{
	const struct held_chunk *h = r->held;

	while (h != NULL && h->id != id)
		h = h->next;
	return h;
}

enum err replica_admit(const struct replica *r, uint64_t link,
		       const struct message_chunk *c)
{
	if (r->source != link || r->job != c->job || r->frozen || r->draining)
		return ERR_NOT_FOUND;
	if (c->entries.n > r->granted)
		return ERR_LIMIT;
	if (c->from != r->received)
		return ERR_CONFLICT;
	return r->held_count < LIMIT_HELD_CHUNKS ? ERR_OK : ERR_BUSY;
}

/* The same place in a copy. */
static struct slice rebase(struct slice s, struct slice from, struct slice to)
{
	if (s.n == 0)
		return slice_of(NULL, 0);
	return slice_sub(to, (size_t)(s.p - from.p), s.n);
}

const struct held_chunk *replica_hold(struct replica *r, struct slice frame,
				      const struct message_chunk *c,
				      const struct head *head,
				      struct slice clean, uint64_t id,
				      uint64_t now_ms)
{
	struct held_chunk *h = xcalloc(1, sizeof(*h));
	struct slice copy,
		right = slice_of(c->right, c->right_count * sizeof(*c->right));

	h->id = id;
	h->link = r->source;
	h->head = *head;
	buf_init(&h->frame, frame.n);
	buf_init(&h->note, LIMIT_NOTE_BYTES);
	set_bytes(&h->frame, frame);
	set_bytes(&h->note, clean);
	copy = buf_slice(&h->frame);
	h->chunk = *c;
	h->chunk.origin = replica_origin(r);
	h->chunk.note = buf_slice(&h->note);
	h->chunk.entries = rebase(c->entries, frame, copy);
	right = rebase(right, frame, copy);
	h->chunk.right = (const struct digest *)(const void *)right.p;
	if (r->held_last != NULL)
		r->held_last->next = h;
	else
		r->held = h;
	r->held_last = h;
	r->held_count++;
	r->held_bytes += c->entries.n;
	r->granted -= c->entries.n;
	r->received += c->count;
	if (head->size > r->target)
		r->target = head->size;
	r->progress_ms = now_ms;
	return h;
}

bool replica_release(struct replica *r, uint64_t id, bool ok)
{
	struct held_chunk *h = r->held, *before = NULL;

	for (; h != NULL && h->id != id; h = h->next)
		before = h;
	if (h == NULL)
		return false;
	if (before == NULL)
		r->held = h->next;
	else
		before->next = h->next;
	if (h->next == NULL)
		r->held_last = before;
	r->held_count--;
	r->held_bytes -= h->chunk.entries.n;
	free_held(h);
	if (!ok) {
		replica_stop(r);
		r->draining = true;
	}
	if (r->held == NULL) {
		r->draining = false;
		r->received = r->durable;
	}
	return true;
}

/* Forks. */

enum err replica_judge(const struct message_fork *f,
		       const struct descriptor *owner, struct arena *a)
{
	struct head head_a, head_b;
	struct note n;
	enum err err;

	if (owner == NULL)
		return ERR_DENIED;
	err = log_verify_head(f->note_a, owner, f->origin, a, &n, &head_a);
	if (err == ERR_OK)
		err = log_verify_head(f->note_b, owner, f->origin, a, &n,
				      &head_b);
	if (err != ERR_OK)
		return err;
	return merkle_judge_fork(&head_a, &head_b, f->left, f->left_count,
				 f->right, f->right_count);
}
