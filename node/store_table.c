#include "node/store_impl.h"

#include <stdlib.h>
#include <string.h>

#include "proto/dec.h"
#include "proto/enc.h"

/* ---- what all tables share ------------------------------------------------ */

enum err table_get(struct store_txn *t, MDB_dbi dbi, struct slice key,
		   struct slice *value)
{
	MDB_val k = val_of(key);
	MDB_val v;
	enum err err;

	if (t->err != ERR_OK)
		return t->err;
	err = store_keep(t, mdb_get(t->txn, dbi, &k, &v));
	if (err == ERR_OK)
		*value = slice_of_val(v);
	return err;
}

enum err table_put(struct store_txn *t, MDB_dbi dbi, struct slice key,
		   struct slice value)
{
	MDB_val k = val_of(key);
	MDB_val v = val_of(value);

	if (t->err != ERR_OK)
		return t->err;
	return store_keep(t, mdb_put(t->txn, dbi, &k, &v, 0));
}

enum err cursor_take(struct store_txn *t, enum table table, MDB_cursor **out)
{
	MDB_dbi dbi = t->store->table[table];
	enum err err = t->err;

	if (err != ERR_OK)
		return err;
	if (t->busy[table])
		return store_keep(t, mdb_cursor_open(t->txn, dbi, out));
	if (t->cursor[table] == NULL)
		err = store_keep(
			t, mdb_cursor_open(t->txn, dbi, &t->cursor[table]));
	else if (!t->is_write) /* of an earlier turn, or somewhere else */
		err = store_keep(t, mdb_cursor_renew(t->txn, t->cursor[table]));
	if (err != ERR_OK)
		return err;
	t->busy[table] = true;
	*out = t->cursor[table];
	return ERR_OK;
}

void cursor_give(struct store_txn *t, enum table table, MDB_cursor *c)
{
	if (c == t->cursor[table])
		t->busy[table] = false;
	else
		mdb_cursor_close(c);
}

enum err cursor_seek(MDB_cursor *c, struct slice from, MDB_val *key,
		     MDB_val *value)
{
	*key = val_of(from);
	return from_lmdb(mdb_cursor_get(c, key, value, MDB_SET_RANGE));
}

enum err cursor_seek_back(MDB_cursor *c, struct slice from, MDB_val *key,
			  MDB_val *value)
{
	enum err err = cursor_seek(c, from, key, value);

	if (err == ERR_OK && slice_equal(slice_of_val(*key), from))
		return ERR_OK;
	if (err == ERR_OK)
		return from_lmdb(mdb_cursor_get(c, key, value, MDB_PREV));
	if (err == ERR_NOT_FOUND)
		return from_lmdb(mdb_cursor_get(c, key, value, MDB_LAST));
	return err;
}

/* ---- settings ------------------------------------------------------------- */

enum err store_meta_put(struct store_txn *t, const char *name,
			struct slice value)
{
	if (store_begin_change(t) != ERR_OK)
		return t->err;
	return table_put(t, t->store->table[TABLE_META], slice_str(name),
			 value);
}

enum err store_meta_get(struct store_txn *t, const char *name,
			struct slice *value)
{
	return table_get(t, t->store->table[TABLE_META], slice_str(name),
			 value);
}

enum err store_incarnation(struct store_txn *t, uint8_t out[16])
{
	struct slice value;
	enum err err = store_meta_get(t, "incarnation", &value);

	if (err == ERR_OK && value.n == 16)
		memcpy(out, value.p, 16);
	else if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = ERR_CORRUPT;
	return err;
}

/* ---- indexes -------------------------------------------------------------- */

/* u32be log, keyed hash, u64be seq. */
#define ENTRY_PREFIX_BYTES (4u + STORE_HASH_BYTES)
#define ENTRY_KEY_BYTES (ENTRY_PREFIX_BYTES + 8u)

static enum table table_of_index(enum store_index i)
{
	return (enum table)(TABLE_BY_ID + (int)i);
}

static struct slice entry_key(uint32_t log,
			      const uint8_t hash[STORE_HASH_BYTES],
			      uint64_t seq, uint8_t out[ENTRY_KEY_BYTES])
{
	put_u32be(out, log);
	memcpy(out + 4, hash, STORE_HASH_BYTES);
	put_u64be(out + ENTRY_PREFIX_BYTES, seq);
	return slice_of(out, ENTRY_KEY_BYTES);
}

enum err store_index_put(struct store_txn *t, enum store_index i,
			 const struct store_entry *e)
{
	enum table table = table_of_index(i);
	uint8_t key[ENTRY_KEY_BYTES];
	MDB_val k, v;
	MDB_cursor *c;

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	if (e->value_bytes > sizeof(e->value))
		return t->err = ERR_LIMIT;
	if (cursor_take(t, table, &c) != ERR_OK)
		return t->err;
	k = val_of(entry_key(e->log, e->hash, e->seq, key));
	v = val_of(slice_of(e->value, e->value_bytes));
	/* The cursor's page is tried first: sorted entries are faster. */
	store_keep(t, mdb_cursor_put(c, &k, &v, 0));
	cursor_give(t, table, c);
	return t->err;
}

enum err store_index_del(struct store_txn *t, enum store_index i,
			 const struct store_entry *e)
{
	uint8_t key[ENTRY_KEY_BYTES];
	MDB_val k;

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	k = val_of(entry_key(e->log, e->hash, e->seq, key));
	store_keep(t, mdb_del(t->txn, t->store->table[table_of_index(i)], &k,
			      NULL));
	return t->err;
}

/* False when the row is not of (log, hash) of @prefix. */
static bool read_entry(MDB_val key, MDB_val value,
		       const uint8_t prefix[ENTRY_PREFIX_BYTES],
		       struct store_entry *out)
{
	const uint8_t *k = key.mv_data;

	if (key.mv_size != ENTRY_KEY_BYTES ||
	    memcmp(k, prefix, ENTRY_PREFIX_BYTES) != 0 ||
	    value.mv_size > sizeof(out->value))
		return false;
	out->log = get_u32be(k);
	memcpy(out->hash, k + 4, STORE_HASH_BYTES);
	out->seq = get_u64be(k + ENTRY_PREFIX_BYTES);
	out->value_bytes = (uint8_t)value.mv_size;
	memset(out->value, 0, sizeof(out->value));
	if (value.mv_size > 0)
		memcpy(out->value, value.mv_data, value.mv_size);
	return true;
}

enum err store_index_scan(struct store_txn *t, enum store_index i, uint32_t log,
			  const uint8_t hash[STORE_HASH_BYTES], bool newest,
			  store_entry_cb *cb, void *arg)
{
	enum table table = table_of_index(i);
	uint8_t key[ENTRY_KEY_BYTES];
	struct store_entry e;
	MDB_val k, v;
	MDB_cursor *c;
	enum err err = cursor_take(t, table, &c);

	if (err != ERR_OK)
		return err;
	entry_key(log, hash, newest ? UINT64_MAX : 0, key);
	if (newest)
		err = cursor_seek_back(c, slice_of(key, sizeof(key)), &k, &v);
	else
		err = cursor_seek(c, slice_of(key, sizeof(key)), &k, &v);
	while (err == ERR_OK && read_entry(k, v, key, &e) && cb(arg, &e))
		err = from_lmdb(mdb_cursor_get(c, &k, &v,
					       newest ? MDB_PREV : MDB_NEXT));
	cursor_give(t, table, c);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- documents ------------------------------------------------------------ */

/* kind || 0 || member || 0 || u64be version. */
#define DOC_KIND_BYTES 16u
#define DOC_KEY_BYTES (DOC_KIND_BYTES + 1u + LIMIT_DOMAIN_BYTES + 1u + 8u)

static_assert(DOC_KEY_BYTES <= STORE_KEY_BYTES, "a document's key fits");

/* The key's bytes without the version; 0 when they do not fit. */
static size_t doc_prefix(const char *kind, struct slice member, uint8_t *out)
{
	size_t n = strlen(kind);

	if (n > DOC_KIND_BYTES || member.n > LIMIT_DOMAIN_BYTES)
		return 0;
	memcpy(out, kind, n + 1);
	if (member.n > 0)
		memcpy(out + n + 1, member.p, member.n);
	out[n + 1 + member.n] = 0;
	return n + member.n + 2;
}

enum err store_doc_put(struct store_txn *t, const char *kind,
		       struct slice member, uint64_t version, struct slice note)
{
	uint8_t key[DOC_KEY_BYTES];
	size_t n = doc_prefix(kind, member, key);

	if (n == 0)
		return ERR_LIMIT;
	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u64be(key + n, version);
	return table_put(t, t->store->table[TABLE_DOCS], slice_of(key, n + 8),
			 note);
}

static enum err newest_doc(struct store_txn *t, const uint8_t *key, size_t n,
			   struct slice *note)
{
	MDB_val k, v;
	MDB_cursor *c;
	enum err err = cursor_take(t, TABLE_DOCS, &c);

	if (err != ERR_OK)
		return err;
	err = cursor_seek_back(c, slice_of(key, n + 8), &k, &v);
	if (err == ERR_OK &&
	    (k.mv_size != n + 8 || memcmp(k.mv_data, key, n) != 0))
		err = ERR_NOT_FOUND;
	if (err == ERR_OK)
		*note = slice_of_val(v);
	cursor_give(t, TABLE_DOCS, c);
	return err;
}

enum err store_doc_get(struct store_txn *t, const char *kind,
		       struct slice member, uint64_t version,
		       struct slice *note)
{
	uint8_t key[DOC_KEY_BYTES];
	size_t n = doc_prefix(kind, member, key);

	if (n == 0)
		return ERR_LIMIT;
	if (version == 0) {
		put_u64be(key + n, UINT64_MAX);
		return newest_doc(t, key, n, note);
	}
	put_u64be(key + n, version);
	return table_get(t, t->store->table[TABLE_DOCS], slice_of(key, n + 8),
			 note);
}

/* The member in a key of this kind; false when it is of another kind. */
static bool doc_member(MDB_val key, const uint8_t *kind, size_t kind_bytes,
		       struct slice *member)
{
	const uint8_t *k = key.mv_data;

	if (key.mv_size < kind_bytes + 1 + 8 ||
	    memcmp(k, kind, kind_bytes) != 0)
		return false;
	*member = slice_of(k + kind_bytes, key.mv_size - kind_bytes - 1 - 8);
	return true;
}

enum err store_doc_scan(struct store_txn *t, const char *kind, store_doc_cb *cb,
			void *arg)
{
	uint8_t prefix[DOC_KEY_BYTES], key[DOC_KEY_BYTES];
	size_t kind_bytes = strlen(kind) + 1;
	size_t n = doc_prefix(kind, slice_of(NULL, 0), key);
	struct slice member;
	MDB_val k, v;
	MDB_cursor *c;
	enum err err;

	if (n == 0)
		return ERR_LIMIT;
	memcpy(prefix, kind, kind_bytes);
	err = cursor_take(t, TABLE_DOCS, &c);
	if (err != ERR_OK)
		return err;
	err = cursor_seek(c, slice_of(prefix, kind_bytes), &k, &v);
	while (err == ERR_OK && doc_member(k, prefix, kind_bytes, &member)) {
		/* From any version of a member to its newest. */
		n = doc_prefix(kind, member, key);
		put_u64be(key + n, UINT64_MAX);
		err = cursor_seek_back(c, slice_of(key, n + 8), &k, &v);
		if (err != ERR_OK ||
		    !doc_member(k, prefix, kind_bytes, &member) ||
		    !cb(arg, member, get_u64be((uint8_t *)k.mv_data + n),
			slice_of_val(v)))
			break;
		err = from_lmdb(mdb_cursor_get(c, &k, &v, MDB_NEXT));
	}
	cursor_give(t, TABLE_DOCS, c);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- countersignatures ---------------------------------------------------- */

#define COSIG_FIELDS 3u
#define COSIG_KEY_BYTES (4u + LIMIT_NOTE_NAME_BYTES)

enum err store_cosig_put(struct store_txn *t, uint32_t log,
			 const struct store_cosig *c)
{
	uint8_t key[COSIG_KEY_BYTES];
	struct enc e;

	if (c->witness.n == 0 || c->witness.n > LIMIT_NOTE_NAME_BYTES)
		return ERR_LIMIT;
	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u32be(key, log);
	memcpy(key + 4, c->witness.p, c->witness.n);
	buf_reset(&t->scratch);
	enc_init(&e, &t->scratch);
	enc_array(&e, COSIG_FIELDS);
	enc_uint(&e, c->size);
	enc_uint(&e, c->unix_seconds);
	enc_bin(&e, c->line);
	if (enc_finish(&e) != ERR_OK)
		return t->err = enc_finish(&e);
	return table_put(t, t->store->table[TABLE_COSIGS],
			 slice_of(key, 4 + c->witness.n),
			 buf_slice(&t->scratch));
}

static enum err read_cosig(struct slice value, struct store_cosig *out)
{
	struct dec d;

	dec_init(&d, value);
	dec_array_of(&d, COSIG_FIELDS);
	out->size = dec_uint(&d);
	out->unix_seconds = dec_uint(&d);
	out->line = dec_bin(&d);
	return dec_finish(&d) == ERR_OK ? ERR_OK : ERR_CORRUPT;
}

enum err store_cosig_get(struct store_txn *t, uint32_t log,
			 struct slice witness, struct store_cosig *out)
{
	uint8_t key[COSIG_KEY_BYTES];
	struct slice value;
	enum err err;

	if (witness.n == 0 || witness.n > LIMIT_NOTE_NAME_BYTES)
		return ERR_LIMIT;
	put_u32be(key, log);
	memcpy(key + 4, witness.p, witness.n);
	err = table_get(t, t->store->table[TABLE_COSIGS],
			slice_of(key, 4 + witness.n), &value);
	if (err != ERR_OK)
		return err;
	out->witness = witness;
	return read_cosig(value, out);
}

enum err store_cosig_scan(struct store_txn *t, uint32_t log, store_cosig_cb *cb,
			  void *arg)
{
	struct store_cosig cosig;
	uint8_t key[4];
	MDB_val k, v;
	MDB_cursor *c;
	enum err err = cursor_take(t, TABLE_COSIGS, &c);

	if (err != ERR_OK)
		return err;
	put_u32be(key, log);
	err = cursor_seek(c, slice_of(key, sizeof(key)), &k, &v);
	while (err == ERR_OK && k.mv_size > sizeof(key) &&
	       memcmp(k.mv_data, key, sizeof(key)) == 0) {
		cosig.witness = slice_sub(slice_of_val(k), sizeof(key),
					  k.mv_size - sizeof(key));
		err = read_cosig(slice_of_val(v), &cosig);
		if (err != ERR_OK || !cb(arg, &cosig))
			break;
		err = from_lmdb(mdb_cursor_get(c, &k, &v, MDB_NEXT));
	}
	cursor_give(t, TABLE_COSIGS, c);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- lists ---------------------------------------------------------------- */

static enum table table_of_list(enum store_list l)
{
	return (enum table)(TABLE_IMPORTS + (int)l);
}

enum err store_list_next(struct store_txn *t, enum store_list l,
			 uint64_t *number)
{
	enum table table = table_of_list(l);
	MDB_val k, v;
	MDB_cursor *c;
	enum err err = cursor_take(t, table, &c);

	if (err != ERR_OK)
		return err;
	*number = 1;
	err = from_lmdb(mdb_cursor_get(c, &k, &v, MDB_LAST));
	if (err == ERR_OK && k.mv_size == 8)
		*number = get_u64be(k.mv_data) + 1;
	else if (err == ERR_OK)
		err = ERR_CORRUPT;
	cursor_give(t, table, c);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err store_list_put(struct store_txn *t, enum store_list l, uint64_t number,
			struct slice doc)
{
	uint8_t key[8];

	if (store_begin_change(t) != ERR_OK)
		return t->err;
	put_u64be(key, number);
	return table_put(t, t->store->table[table_of_list(l)],
			 slice_of(key, sizeof(key)), doc);
}

enum err store_list_get(struct store_txn *t, enum store_list l, uint64_t number,
			struct slice *doc)
{
	uint8_t key[8];

	put_u64be(key, number);
	return table_get(t, t->store->table[table_of_list(l)],
			 slice_of(key, sizeof(key)), doc);
}
