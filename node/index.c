#include "node/index.h"

#include <string.h>

#include "proto/dec.h"
#include "proto/schema.h"
#include "proto/text.h"

void index_keys_init(struct index_keys *k, const uint8_t secret[32])
{
	hmac_key_init(&k->key, slice_of(secret, 32));
}

/* Names with the zero byte that separates them from the value. */
static const struct slice table_labels[] = {
	[STORE_BY_ID] = { (const uint8_t *)"by_id", 6 },
	[STORE_BY_REF] = { (const uint8_t *)"by_ref", 7 },
	[STORE_BY_LEARNER] = { (const uint8_t *)"by_learner", 11 },
	[STORE_BY_SOURCE] = { (const uint8_t *)"by_source", 10 },
};

void index_hash(const struct index_keys *k, enum store_index table,
		struct slice value, uint8_t out[STORE_HASH_BYTES])
{
	const struct slice parts[] = { table_labels[table], value };
	struct digest d = hmac_key_hash(&k->key, parts, 2);

	memcpy(out, d.b, STORE_HASH_BYTES);
}

void index_body_digest(const struct index_keys *k, struct slice body,
		       uint8_t out[16])
{
	const struct slice parts[] = { { (const uint8_t *)"body", 5 }, body };
	struct digest d = hmac_key_hash(&k->key, parts, 2);

	memcpy(out, d.b, 16);
}

/* One record on its way into the indexes. */
struct indexer {
	const struct index_keys *keys;
	const struct index_item *item;
	struct buf *value; /* what is hashed, built anew for each entry */
	uint32_t count; /* entries given out */
	index_cb *cb;
	void *arg;
};

/* Begin a value: @prefix || '/'. */
static void begin(struct indexer *x, const char *prefix)
{
	buf_reset(x->value);
	buf_put_str(x->value, prefix);
	buf_put_u8(x->value, '/');
}

/* Give out the entry of the value built, with the body's digest if asked. */
static void emit(struct indexer *x, enum store_index table, bool with_digest)
{
	struct store_entry e = { .log = x->item->log, .seq = x->item->seq };

	if (x->value->err != ERR_OK || x->count >= INDEX_ENTRIES_MAX)
		return;
	x->count++;
	index_hash(x->keys, table, buf_slice(x->value), e.hash);
	if (with_digest) {
		index_body_digest(x->keys, x->item->body, e.value);
		e.value_bytes = 16;
	}
	x->cb(x->arg, table, &e);
}

/* Append the field's text, or its digits; false when it has neither. */
static bool put_field(struct indexer *x, const char *name)
{
	struct slice raw;
	struct dec d;

	if (!dec_find(x->item->body, name, &raw))
		return false;
	dec_init(&d, raw);
	switch (dec_peek(&d)) {
	case DEC_STR:
		buf_put(x->value, dec_str(&d));
		return true;
	case DEC_UINT:
		buf_put_dec(x->value, dec_uint(&d));
		return true;
	case DEC_INT:
	case DEC_BOOL:
	case DEC_BIN:
	case DEC_ARRAY:
	case DEC_MAP:
	case DEC_END:
		break;
	}
	return false;
}

/* prefix || '/' || field */
static void emit_field(struct indexer *x, enum store_index table,
		       const char *prefix, const char *field)
{
	begin(x, prefix);
	if (put_field(x, field))
		emit(x, table, false);
}

static void emit_id(struct indexer *x, const struct schema *s)
{
	begin(x, s->name);
	if (put_field(x, s->id))
		emit(x, STORE_BY_ID, x->item->own);
}

static void emit_kind(struct indexer *x, const struct schema *s)
{
	begin(x, "kind");
	buf_put_str(x->value, s->name);
	emit(x, STORE_BY_REF, false);
}

static void emit_learner(struct indexer *x)
{
	buf_reset(x->value);
	if (put_field(x, "learner"))
		emit(x, STORE_BY_LEARNER, false);
}

/* Each record that a list of references names: @prefix || reference. */
static void emit_list(struct indexer *x, const char *field, const char *prefix)
{
	struct slice raw;
	struct dec d;

	if (!dec_find(x->item->body, field, &raw))
		return;
	dec_init(&d, raw);
	for (uint32_t n = dec_array(&d); n > 0 && d.err == ERR_OK; n--) {
		buf_reset(x->value);
		buf_put_str(x->value, prefix);
		buf_put(x->value, dec_str(&d));
		if (d.err == ERR_OK)
			emit(x, STORE_BY_REF, false);
	}
}

/* Each code of one source of a rule: from || '/' || folded code. */
static void emit_source(struct indexer *x, struct slice source)
{
	struct slice from = dec_find_str(source, "from");
	struct slice raw;
	struct dec d;

	if (from.n == 0 || !dec_find(source, "codes", &raw))
		return;
	dec_init(&d, raw);
	for (uint32_t n = dec_array(&d); n > 0 && d.err == ERR_OK; n--) {
		struct slice code = dec_str(&d);

		buf_reset(x->value);
		buf_put(x->value, from);
		buf_put_u8(x->value, '/');
		if (d.err == ERR_OK && text_fold(code, x->value) == ERR_OK)
			emit(x, STORE_BY_SOURCE, false);
	}
}

static void emit_sources(struct indexer *x)
{
	struct slice raw;
	struct dec d;

	if (!dec_find(x->item->body, "sources", &raw))
		return;
	dec_init(&d, raw);
	for (uint32_t n = dec_array(&d); n > 0 && d.err == ERR_OK; n--)
		emit_source(x, dec_skip(&d));
}

void index_record(const struct index_keys *k, const struct index_item *item,
		  struct buf *scratch, index_cb *cb, void *arg)
{
	const struct schema *s = schema_of(item->kind);
	struct indexer x = {
		.keys = k, .item = item, .value = scratch, .cb = cb, .arg = arg
	};

	if (s == NULL)
		return;
	emit_id(&x, s);
	/* What only some kinds have; others are found by id alone. */
	if (item->kind == KIND_STATUS)
		emit_field(&x, STORE_BY_REF, "seq", "seq");
	else if (item->kind == KIND_LEARNER)
		emit_field(&x, STORE_BY_REF, "learner", "number");
	else if (item->kind == KIND_CREDENTIAL)
		emit_learner(&x);
	else if (item->kind == KIND_DECISION)
		emit_list(&x, "credentials", "");
	else if (item->kind == KIND_RULE) {
		emit_sources(&x);
		emit_list(&x, "supersedes", "supersedes/");
	} else if (item->kind == KIND_POLICY || item->kind == KIND_INSTITUTION)
		emit_kind(&x, s);
}
