#include "node/log_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/index.h"

#define BATCH 4096u /* records of one transaction */
#define SAMPLE_ALL 8192u /* smaller logs: every record is looked up */
#define SAMPLE_EVERY 64u /* larger ones: one in so many */

struct checking {
	const struct home *home;
	uint32_t log;
	struct store_txn *txn;
	struct sealer *sealer;
	struct digest origin_hash;
	struct store_head head; /* when the check began */
	struct buf note; /* of that head; owned */
	struct frontier frontier; /* recomputed */
	struct digest root_at_head;
	struct buf body, scratch;
	struct log_report *r;
	uint64_t seq; /* of the record in hand */
	bool missed; /* one of its index entries */
};

static void fault(struct checking *k, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fault(struct checking *k, const char *format, ...)
{
	struct log_report *r = k->r;
	va_list ap;

	r->fault_count++;
	if (r->told == LOG_CHECK_FAULTS)
		return;
	va_start(ap, format);
	vsnprintf(r->faults[r->told++], LOG_CHECK_FAULT_BYTES, format, ap);
	va_end(ap);
}

/* ---- One record ------------------------------------------------------- */

/* Compare a completed subtree with the stored one. */
static void compare_node(void *arg, struct merkle_pos pos,
			 const struct digest *hash)
{
	struct checking *k = arg;
	struct store_source s = { k->txn, k->log };
	struct merkle_source source = store_source_of(&s);
	struct digest stored;
	enum err e;

	if (pos.level < STORE_NODE_LEVEL)
		return;
	e = source.read(source.arg, pos, &stored);
	if (e != ERR_OK)
		fault(k, "subtree %u/%" PRIu64 " is missing: %s", pos.level,
		      pos.index, err_text(e));
	else if (!digest_equal(&stored, hash))
		fault(k, "subtree %u/%" PRIu64 " is not the one stored",
		      pos.level, pos.index);
}

static bool is_this(void *arg, const struct store_entry *e)
{
	struct checking *k = arg;

	k->missed = e->seq != k->seq;
	return k->missed;
}

static void look_up(void *arg, enum store_index table,
		    const struct store_entry *e)
{
	struct checking *k = arg;
	enum err err;

	k->missed = true;
	err = store_index_scan(k->txn, table, e->log, e->hash, true, is_this,
			       k);
	if (err != ERR_OK || k->missed)
		fault(k, "#%" PRIu64 " is not in index %u", e->seq,
		      (unsigned)table);
}

static void check_index(struct checking *k, uint32_t kind)
{
	struct index_item item = { .log = k->log,
				   .seq = k->seq,
				   .kind = kind,
				   .body = buf_slice(&k->body) };

	if (k->head.frontier.size > SAMPLE_ALL && k->seq % SAMPLE_EVERY != 0)
		return;
	index_record(&k->home->index, &item, &k->scratch, look_up, k);
	k->r->indexed++;
}

/* Open the body and recompute its commitment. */
static void check_body(struct checking *k, struct record *row)
{
	uint8_t salt[LIMIT_SALT_BYTES];
	struct leaf leaf;
	enum err e = leaf_decode(row->leaf, &leaf);

	if (e != ERR_OK && e != ERR_UNSUPPORTED)
		fault(k, "#%" PRIu64 " has no proper leaf", k->seq);
	if (e != ERR_OK || row->body.n == 0) {
		k->r->withheld++;
		return;
	}
	if (row->salt.n == 0) {
		e = vault_get(k->home->vault, k->log, k->seq, salt);
		row->salt = slice_of(salt, sizeof(salt));
	}
	buf_reset(&k->body);
	if (e == ERR_OK)
		e = record_open(row, &k->origin_hash, k->sealer, &k->body);
	wipe(salt, sizeof(salt));
	if (e != ERR_OK) {
		fault(k, "the body of #%" PRIu64 " does not match its leaf: %s",
		      k->seq, err_text(e));
		return;
	}
	k->r->opened++;
	check_index(k, leaf.kind);
}

static void check_record(struct checking *k)
{
	struct record row;
	struct digest hash;
	enum err e = store_record_get(k->txn, k->log, k->seq, &row);

	if (e != ERR_OK) {
		fault(k, "#%" PRIu64 " cannot be read: %s", k->seq,
		      err_text(e));
		hash = hash_leaf(slice_of(NULL, 0));
	} else {
		hash = hash_leaf(row.leaf);
		check_body(k, &row);
	}
	frontier_push(&k->frontier, &hash, compare_node, k);
	if (k->frontier.size == k->head.noted.size)
		k->root_at_head = frontier_head(&k->frontier).root;
}

/* ---- The head --------------------------------------------------------- */

static bool frontiers_equal(const struct frontier *a, const struct frontier *b)
{
	return a->size == b->size && a->count == b->count &&
	       memcmp(a->hash, b->hash, a->count * sizeof(*a->hash)) == 0;
}

/* Is the signed head what was recomputed, and signed by the member's key? */
static void check_head(struct checking *k)
{
	struct members *m = members_hold(k->home->members);
	const struct descriptor *card = members_card(m, k->r->member);
	struct arena arena;
	struct note note;
	struct head head;
	enum err e;

	arena_init(&arena, LIMIT_NOTE_BYTES * 4u);
	if (!frontiers_equal(&k->frontier, &k->head.frontier))
		fault(k, "the stored frontier is not that of the records");
	if (k->note.n == 0) {
		if (k->head.frontier.size > 0)
			fault(k, "no signed head is held");
		goto out;
	}
	if (k->head.noted.size > 0 &&
	    !digest_equal(&k->root_at_head, &k->head.noted.root))
		fault(k,
		      "the root of %" PRIu64 " records is not the signed one",
		      k->head.noted.size);
	if (card == NULL) {
		fault(k,
		      "there is no card of %.*s: its signature cannot be "
		      "checked",
		      (int)k->r->member.n, (const char *)k->r->member.p);
		goto out;
	}
	e = log_verify_head(buf_slice(&k->note), card, slice_str(k->r->origin),
			    &arena, &note, &head);
	if (e != ERR_OK)
		fault(k, "the signed head does not verify: %s", err_text(e));
	else if (!head_equal(&head, &k->head.noted))
		fault(k, "the stored head is not the one that is signed");
out:
	arena_free(&arena);
	members_release(m);
}

/* ---- The whole -------------------------------------------------------- */

static enum err open_log(struct checking *k)
{
	struct slice origin;
	uint64_t generation;
	enum err e = store_log_origin(k->txn, k->log, &origin);

	if (e != ERR_OK)
		return e;
	if (origin.n > LIMIT_ORIGIN_BYTES)
		return ERR_CORRUPT;
	memcpy(k->r->origin, origin.p, origin.n);
	k->r->origin[origin.n] = '\0';
	k->origin_hash = hash_bytes(origin);
	e = log_origin_parse(slice_str(k->r->origin), &k->r->member,
			     &generation);
	if (e == ERR_OK)
		e = store_head_get(k->txn, k->log, &k->head);
	if (e != ERR_OK)
		return e;
	buf_put(&k->note, k->head.note); /* it dies with the transaction */
	k->head.note = slice_of(NULL, 0);
	k->r->size = k->head.frontier.size;
	k->r->signed_size = k->head.noted.size;
	k->root_at_head = hash_empty();
	return ERR_OK;
}

static enum err check_batch(struct checking *k)
{
	uint64_t end = k->seq + BATCH;

	if (end > k->head.frontier.size)
		end = k->head.frontier.size;
	for (; k->seq < end; k->seq++) {
		check_record(k);
		if (store_error(k->txn) != ERR_OK)
			return store_error(k->txn);
	}
	return ERR_OK;
}

static enum err check_all(struct checking *k, bool (*is_cancelled)(void *arg),
			  void *arg)
{
	enum err e = store_read(k->home->store, &k->txn);

	if (e == ERR_OK)
		e = open_log(k);
	while (e == ERR_OK && k->seq < k->head.frontier.size) {
		if (is_cancelled != NULL && is_cancelled(arg))
			return ERR_CLOSED;
		e = check_batch(k);
		if (e == ERR_OK)
			e = store_renew(k->txn);
	}
	return e;
}

enum err log_check(const struct home *h, uint32_t log,
		   bool (*is_cancelled)(void *arg), void *arg,
		   struct log_report *r)
{
	struct checking k = { .home = h, .log = log, .r = r };
	enum err e;

	memset(r, 0, sizeof(*r));
	k.sealer = sealer_open();
	frontier_init(&k.frontier);
	buf_init(&k.note, LIMIT_NOTE_BYTES);
	buf_init(&k.body, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	buf_init(&k.scratch, LIMIT_TEXT_BYTES);
	e = check_all(&k, is_cancelled, arg);
	if (e == ERR_OK)
		check_head(&k);
	store_abort(k.txn);
	sealer_close(k.sealer);
	buf_free(&k.note);
	buf_wipe(&k.body);
	buf_free(&k.scratch);
	return e;
}
