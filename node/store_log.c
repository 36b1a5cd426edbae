#include "node/store_impl.h"

#include <string.h>

#include "proto/dec.h"
#include "proto/enc.h"

#define HEAD_VERSION 1u
#define HEAD_FIELDS 14u
#define LOG_KEY_BYTES 4u
#define SEQ_KEY_BYTES 8u
#define NODE_KEY_BYTES (4u + 1u + 8u)

/* ---- logs ----------------------------------------------------------------- */

/* In the table "logs": the number (u32be) -> origin, and the other way round
 * with 'o' before the origin. PROTOCOL.md 15.6. */

static struct slice origin_key(struct slice origin, uint8_t *out)
{
	out[0] = 'o';
	memcpy(out + 1, origin.p, origin.n);
	return slice_of(out, origin.n + 1);
}

static bool is_origin(struct slice origin)
{
	return origin.n > 0 && origin.n <= LIMIT_ORIGIN_BYTES;
}

/* Is @log one that this transaction sees? */
static bool has_log(const struct store_txn *t, uint32_t log)
{
	return log < t->log_count;
}

enum err store_log_find(struct store_txn *t, struct slice origin, uint32_t *log)
{
	uint8_t key[1 + LIMIT_ORIGIN_BYTES];
	struct slice value;
	enum err err;

	if (!is_origin(origin))
		return ERR_NOT_FOUND;
	err = table_get(t, t->store->table[TABLE_LOGS], origin_key(origin, key),
			&value);
	if (err != ERR_OK)
		return err;
	if (value.n != LOG_KEY_BYTES)
		return ERR_CORRUPT;
	*log = get_u32be(value.p);
	/* Committed a moment ago; its table is not usable here yet. */
	return has_log(t, *log) ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_log_add(struct store_txn *t, struct slice origin, uint32_t *log)
{
	struct store *s = t->store;
	uint8_t number[LOG_KEY_BYTES];
	uint8_t key[1 + LIMIT_ORIGIN_BYTES];
	enum err err = store_log_find(t, origin, log);

	if (err != ERR_NOT_FOUND)
		return err;
	if (!is_origin(origin) || t->log_count >= LIMIT_LOGS)
		return ERR_LIMIT;
	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u32be(number, t->log_count);
	table_put(t, s->table[TABLE_LOGS], slice_of(number, sizeof(number)),
		  origin);
	table_put(t, s->table[TABLE_LOGS], origin_key(origin, key),
		  slice_of(number, sizeof(number)));
	if (t->err == ERR_OK)
		t->err = store_open_rec(s, t->txn, t->log_count, true);
	if (t->err == ERR_OK)
		*log = t->log_count++;
	return t->err;
}

enum err store_log_origin(struct store_txn *t, uint32_t log,
			  struct slice *origin)
{
	uint8_t key[LOG_KEY_BYTES];

	if (!has_log(t, log))
		return ERR_NOT_FOUND;
	put_u32be(key, log);
	return table_get(t, t->store->table[TABLE_LOGS],
			 slice_of(key, sizeof(key)), origin);
}

uint32_t store_log_count(struct store_txn *t)
{
	return t->log_count;
}

/* ---- heads ---------------------------------------------------------------- */

static void enc_head(struct enc *e, const struct head *h)
{
	enc_uint(e, h->size);
	enc_bin(e, digest_slice(&h->root));
}

static void dec_head(struct dec *d, struct head *h)
{
	h->size = dec_uint(d);
	dec_bin_into(d, h->root.b, DIGEST_BYTES);
}

static unsigned bit_count(uint64_t v)
{
	return (unsigned)__builtin_popcountll(v);
}

enum err store_head_get(struct store_txn *t, uint32_t log,
			struct store_head *out)
{
	uint8_t key[LOG_KEY_BYTES];
	struct slice value, hashes;
	struct dec d;
	enum err err;

	*out = (struct store_head){ .heard_ms = 0 };
	put_u32be(key, log);
	err = table_get(t, t->store->table[TABLE_HEADS],
			slice_of(key, sizeof(key)), &value);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err != ERR_OK)
		return err;
	dec_init(&d, value);
	dec_array_of(&d, HEAD_FIELDS);
	dec_uint_max(&d, HEAD_VERSION);
	out->frontier.size = dec_uint(&d);
	hashes = dec_bin(&d);
	out->note = dec_bin(&d);
	dec_head(&d, &out->noted);
	dec_head(&d, &out->cosigned.head);
	out->cosigned.at_ms = dec_uint(&d);
	out->heard_ms = dec_uint(&d);
	out->frozen = dec_bool(&d);
	out->missing = dec_uint(&d);
	out->member_kinds = (uint32_t)dec_uint_max(&d, UINT32_MAX);
	out->closed_kinds = (uint32_t)dec_uint_max(&d, UINT32_MAX);
	if (dec_finish(&d) != ERR_OK ||
	    out->frontier.size >> LIMIT_SIZE_LOG2 != 0 ||
	    hashes.n != bit_count(out->frontier.size) * DIGEST_BYTES)
		return t->err = ERR_CORRUPT;
	out->frontier.count = (uint32_t)(hashes.n / DIGEST_BYTES);
	if (hashes.n > 0)
		memcpy(out->frontier.hash, hashes.p, hashes.n);
	return ERR_OK;
}

enum err store_head_put(struct store_txn *t, uint32_t log,
			const struct store_head *h)
{
	uint8_t key[LOG_KEY_BYTES];
	struct enc e;

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u32be(key, log);
	buf_reset(&t->scratch);
	enc_init(&e, &t->scratch);
	enc_array(&e, HEAD_FIELDS);
	enc_uint(&e, HEAD_VERSION);
	enc_uint(&e, h->frontier.size);
	enc_bin(&e, slice_of(h->frontier.hash,
			     h->frontier.count * (size_t)DIGEST_BYTES));
	enc_bin(&e, h->note);
	enc_head(&e, &h->noted);
	enc_head(&e, &h->cosigned.head);
	enc_uint(&e, h->cosigned.at_ms);
	enc_uint(&e, h->heard_ms);
	enc_bool(&e, h->frozen);
	enc_uint(&e, h->missing);
	enc_uint(&e, h->member_kinds);
	enc_uint(&e, h->closed_kinds);
	if (enc_finish(&e) != ERR_OK)
		return t->err = enc_finish(&e);
	return table_put(t, t->store->table[TABLE_HEADS],
			 slice_of(key, sizeof(key)), buf_slice(&t->scratch));
}

void store_head_add_leaf(struct store_head *h, struct slice leaf)
{
	struct leaf l;

	if (leaf_decode(leaf, &l) != ERR_OK || l.kind >= 32)
		return;
	if (l.audience == AUDIENCE_MEMBERS)
		h->member_kinds |= (uint32_t)1 << l.kind;
	else if (l.audience != AUDIENCE_PUBLIC)
		h->closed_kinds |= (uint32_t)1 << l.kind;
}

/* ---- records -------------------------------------------------------------- */

/* A row is u8 leaf length, u8 1 if a salt follows the leaf, leaf, salt,
 * body. PROTOCOL.md 15.6. */
#define ROW_BYTES 2u
#define ROW_HAS_SALT 1u

static size_t row_bytes(const struct record *r)
{
	return ROW_BYTES + r->leaf.n + r->salt.n + r->body.n;
}

static uint8_t *copy(uint8_t *p, struct slice s)
{
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

static void write_row(uint8_t *p, const struct record *r)
{
	p[0] = (uint8_t)r->leaf.n;
	p[1] = r->salt.n > 0 ? ROW_HAS_SALT : 0;
	p = copy(p + ROW_BYTES, r->leaf);
	p = copy(p, r->salt);
	copy(p, r->body);
}

static enum err read_row(struct slice row, struct record *out)
{
	size_t salt;

	if (row.n < ROW_BYTES || row.p[1] > ROW_HAS_SALT)
		return ERR_CORRUPT;
	salt = row.p[1] == ROW_HAS_SALT ? LIMIT_SALT_BYTES : 0;
	if (row.n < ROW_BYTES + row.p[0] + salt)
		return ERR_CORRUPT;
	out->leaf = slice_sub(row, ROW_BYTES, row.p[0]);
	out->salt = slice_sub(row, ROW_BYTES + out->leaf.n, salt);
	row = slice_sub(row, ROW_BYTES + out->leaf.n + salt,
			row.n - ROW_BYTES - out->leaf.n - salt);
	out->body = row;
	return ERR_OK;
}

static bool is_storable(const struct record *r)
{
	return r->leaf.n > 0 && r->leaf.n <= LIMIT_LEAF_BYTES &&
	       (r->salt.n == 0 || r->salt.n == LIMIT_SALT_BYTES) &&
	       r->body.n <= LIMIT_BODY_BYTES + SEAL_TAG_BYTES;
}

/* One cursor serves a run of appends to one log. */
static enum err append_cursor(struct store_txn *t, uint32_t log)
{
	if (t->append != NULL && t->append_log == log)
		return ERR_OK;
	if (t->append != NULL)
		mdb_cursor_close(t->append);
	t->append = NULL;
	t->append_log = log;
	return store_keep(
		t, mdb_cursor_open(t->txn, t->store->rec[log], &t->append));
}

enum err store_record_append(struct store_txn *t, uint32_t log, uint64_t seq,
			     const struct record *r)
{
	uint8_t key[SEQ_KEY_BYTES];
	MDB_val k, v;
	int rc;

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	if (!has_log(t, log) || !is_storable(r))
		return t->err = has_log(t, log) ? ERR_LIMIT : ERR_NOT_FOUND;
	if (append_cursor(t, log) != ERR_OK)
		return t->err;
	put_u64be(key, seq);
	k = val_of(slice_of(key, sizeof(key)));
	v = (MDB_val){ row_bytes(r), NULL };
	rc = mdb_cursor_put(t->append, &k, &v, MDB_APPEND | MDB_RESERVE);
	if (rc == MDB_SUCCESS)
		write_row(v.mv_data, r);
	return store_keep(t, rc);
}

enum err store_record_get(struct store_txn *t, uint32_t log, uint64_t seq,
			  struct record *out)
{
	uint8_t key[SEQ_KEY_BYTES];
	struct slice row;
	enum err err;

	if (!has_log(t, log))
		return ERR_NOT_FOUND;
	put_u64be(key, seq);
	err = table_get(t, t->store->rec[log], slice_of(key, sizeof(key)),
			&row);
	if (err == ERR_OK)
		err = read_row(row, out);
	return err;
}

enum err store_record_replace(struct store_txn *t, uint32_t log, uint64_t seq,
			      const struct record *r)
{
	uint8_t key[SEQ_KEY_BYTES];
	struct record old;
	enum err err = store_record_get(t, log, seq, &old);

	if (err != ERR_OK)
		return err;
	if (!slice_equal(old.leaf, r->leaf))
		return ERR_CONFLICT;
	if (!is_storable(r))
		return ERR_LIMIT;
	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u64be(key, seq);
	/* The row may point into the page that changes: write it aside. */
	buf_reset(&t->scratch);
	write_row(buf_extend(&t->scratch, row_bytes(r)), r);
	return table_put(t, t->store->rec[log], slice_of(key, sizeof(key)),
			 buf_slice(&t->scratch));
}

enum err store_leaf_hashes(struct store_txn *t, uint32_t log, uint64_t from,
			   uint32_t count, struct digest *out)
{
	uint8_t key[SEQ_KEY_BYTES];
	enum err err = ERR_OK;
	MDB_val k, v;
	MDB_cursor *c;

	if (count == 0)
		return ERR_OK;
	if (t->err != ERR_OK || !has_log(t, log))
		return t->err != ERR_OK ? t->err : ERR_NOT_FOUND;
	err = store_keep(t, mdb_cursor_open(t->txn, t->store->rec[log], &c));
	if (err != ERR_OK)
		return err;
	put_u64be(key, from);
	err = cursor_seek(c, slice_of(key, sizeof(key)), &k, &v);
	for (uint32_t i = 0; err == ERR_OK; i++) {
		struct record r;

		if (k.mv_size != SEQ_KEY_BYTES ||
		    get_u64be(k.mv_data) != from + i ||
		    read_row(slice_of_val(v), &r) != ERR_OK)
			err = ERR_CORRUPT;
		else
			out[i] = hash_leaf(r.leaf);
		if (err != ERR_OK || i + 1 == count)
			break;
		err = from_lmdb(mdb_cursor_get(c, &k, &v, MDB_NEXT));
	}
	mdb_cursor_close(c);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

/* ---- nodes ---------------------------------------------------------------- */

static struct slice node_key(uint32_t log, struct merkle_pos pos,
			     uint8_t out[NODE_KEY_BYTES])
{
	put_u32be(out, log);
	out[4] = (uint8_t)pos.level;
	put_u64be(out + 5, pos.index);
	return slice_of(out, NODE_KEY_BYTES);
}

enum err store_node_put(struct store_txn *t, uint32_t log,
			struct merkle_pos pos, const struct digest *h)
{
	uint8_t key[NODE_KEY_BYTES];

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	if (pos.level < STORE_NODE_LEVEL || pos.level >= LIMIT_SIZE_LOG2)
		return t->err = ERR_LIMIT;
	return table_put(t, t->store->table[TABLE_NODES],
			 node_key(log, pos, key), digest_slice(h));
}

/* The root of a small subtree, from its leaves. */
static enum err hash_leaves(const struct store_source *s, struct merkle_pos pos,
			    struct digest *out)
{
	struct digest leaf[1u << (STORE_NODE_LEVEL - 1)];
	uint32_t count = 1u << pos.level;
	enum err err = store_leaf_hashes(s->txn, s->log, pos.index << pos.level,
					 count, leaf);

	if (err != ERR_OK)
		return err;
	for (; count > 1; count /= 2) {
		for (uint32_t i = 0; i < count; i += 2)
			leaf[i / 2] = hash_node(&leaf[i], &leaf[i + 1]);
	}
	*out = leaf[0];
	return ERR_OK;
}

static enum err read_node(void *arg, struct merkle_pos pos, struct digest *out)
{
	const struct store_source *s = arg;
	uint8_t key[NODE_KEY_BYTES];
	struct slice value;
	enum err err;

	if (pos.level < STORE_NODE_LEVEL)
		return hash_leaves(s, pos, out);
	err = table_get(s->txn, s->txn->store->table[TABLE_NODES],
			node_key(s->log, pos, key), &value);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && value.n != DIGEST_BYTES))
		return ERR_CORRUPT;
	if (err == ERR_OK)
		memcpy(out->b, value.p, DIGEST_BYTES);
	return err;
}

struct merkle_source store_source_of(struct store_source *s)
{
	return (struct merkle_source){ read_node, s };
}
