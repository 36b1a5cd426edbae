#include "node/credential_state.h"

#include <stdlib.h>
#include <string.h>

#include "proto/schema.h"
#include "proto/text.h"

#define ARENA_BYTES (8u << 20)
#define BODY_BYTES 1024u

bool state_is_reason(const char *code)
{
	for (size_t i = 0; schema_status_reasons[i] != NULL; i++) {
		if (strcmp(code, schema_status_reasons[i]) == 0)
			return true;
	}
	return false;
}

/* ---- Judging ---------------------------------------------------------- */

static bool is_contrary(const char *from, const char *to)
{
	if (strcmp(from, "superseded") == 0)
		return true;
	return strcmp(to, "suspended") == 0 && strcmp(from, "revoked") == 0;
}

static bool is_repeated(const struct state_item *items, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++) {
		if (items[k].result == STATE_CHANGED &&
		    items[k].first == items[i].first)
			return true;
	}
	return false;
}

static enum err judge(struct query *q, const struct state_change *change,
		      struct state_item *items, uint32_t i)
{
	struct state_item *item = &items[i];
	struct query_record r;
	enum err e;

	item->result = STATE_UNKNOWN;
	e = query_find_own(q, KIND_CREDENTIAL, item->id, &r);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (e == ERR_OK)
		e = query_first(q, &r, &item->first);
	if (e != ERR_OK)
		return e;
	item->audience = r.audience;
	item->before = query_state(q, &r, slice_of(NULL, 0));
	if (strcmp(item->before, change->state) == 0 || is_repeated(items, i))
		item->result = STATE_SAME;
	else if (is_contrary(item->before, change->state))
		item->result = STATE_CONTRARY;
	else
		item->result = STATE_CHANGED;
	query_forget(q);
	return ERR_OK;
}

/* ---- Writing ---------------------------------------------------------- */

struct state_job {
	struct writer_job job;
	struct prepared *records;
	uint64_t *seqs;
	uint32_t count;
};

static enum err apply(struct writer_job *job, struct writer_txn *t)
{
	struct state_job *j = (struct state_job *)job;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < j->count && e == ERR_OK; i++)
		e = writer_append(t, &j->records[i], &j->seqs[i]);
	return e;
}

/* The body of one status; @a keeps it. */
static enum err put_body(struct arena *a, const struct state_change *change,
			 uint64_t first, struct slice now, struct slice *out)
{
	struct value doc;
	struct buf b;
	enum err e = value_map(a, 4, &doc);

	if (e != ERR_OK)
		return e;
	doc.count = 0;
	doc.pairs[doc.count].key = SLICE_LIT("at");
	doc.pairs[doc.count++].value = value_str(now);
	if (change->reason != NULL) {
		doc.pairs[doc.count].key = SLICE_LIT("reason");
		doc.pairs[doc.count++].value =
			value_str(slice_str(change->reason));
	}
	doc.pairs[doc.count].key = SLICE_LIT("seq");
	doc.pairs[doc.count++].value = value_uint(first);
	doc.pairs[doc.count].key = SLICE_LIT("state");
	doc.pairs[doc.count++].value = value_str(slice_str(change->state));
	buf_init(&b, BODY_BYTES);
	e = value_encode(&doc, &b);
	if (e == ERR_OK)
		e = arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	assert(e != ERR_OK ||
	       schema_check_body(KIND_STATUS, *out, NULL) == BODY_OK);
	return e;
}

static enum err write_all(const struct home *h, struct arena *a,
			  struct preparer *p, struct state_job *j)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < j->count && e == ERR_OK; i++) {
		e = writer_prepare(p, a, &j->records[i]);
		j->job.bytes += j->records[i].stored.n + LIMIT_LEAF_BYTES;
	}
	j->job.records = j->count;
	j->job.apply = apply;
	return e == ERR_OK ? writer_run(h->writer, &j->job) : e;
}

static enum err write_statuses(const struct home *h,
			       const struct state_change *change,
			       struct state_item *items, uint32_t count)
{
	struct prepared *records = xcalloc(count, sizeof(*records));
	uint64_t *seqs = xcalloc(count, sizeof(*seqs));
	struct preparer *p = xcalloc(1, sizeof(*p));
	struct state_job j = { .records = records, .seqs = seqs };
	uint8_t text[TEXT_INSTANT_BYTES];
	struct buf now = { .p = text,
			   .cap = sizeof(text),
			   .max = sizeof(text) };
	struct arena a;
	enum err e = ERR_OK;

	arena_init(&a, ARENA_BYTES);
	preparer_init(p, &h->keys, h->own_log);
	text_put_instant(&now, now_ms() / 1000);
	for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
		if (items[i].result != STATE_CHANGED)
			continue;
		records[j.count].kind = KIND_STATUS;
		records[j.count].audience = items[i].audience;
		e = put_body(&a, change, items[i].first, buf_slice(&now),
			     &records[j.count++].body);
	}
	if (e == ERR_OK && j.count > 0)
		e = write_all(h, &a, p, &j);
	for (uint32_t i = 0, k = 0; i < count && e == ERR_OK; i++) {
		if (items[i].result == STATE_CHANGED)
			items[i].seq = seqs[k++];
	}
	preparer_wipe(p);
	free(p);
	free(records);
	free(seqs);
	arena_free(&a);
	return e;
}

enum err state_apply(const struct home *h, struct query *q,
		     const struct state_change *change,
		     struct state_item *items, uint32_t count)
{
	enum err e = query_begin(q);

	assert(count <= STATE_BATCH);
	for (uint32_t i = 0; i < count && e == ERR_OK; i++)
		e = judge(q, change, items, i);
	query_end(q);
	if (e != ERR_OK || change->dry)
		return e;
	return write_statuses(h, change, items, count);
}
