/* What the files of the store share; nobody else includes this.
 *
 * store.c opens, begins and ends; store_log.c keeps logs, heads, records and
 * nodes; store_table.c keeps settings, indexes, documents and lists. */

#ifndef NODE_STORE_IMPL_H
#define NODE_STORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include "node/store.h"

#define STORE_READERS_MAX 512u /* threads and idle readers in the pool */
#define STORE_POOL_MAX 64u /* readers kept for the next store_read */
#define STORE_TABLES_MAX (LIMIT_LOGS + 32u)
#define STORE_KEY_BYTES 511u /* what LMDB takes */

/* The named tables, except the records, which have one for each log. */
enum table {
	TABLE_META,
	TABLE_LOGS,
	TABLE_HEADS,
	TABLE_NODES,
	TABLE_DOCS,
	TABLE_COSIGS,
	TABLE_BY_ID, /* these four in the order of enum store_index */
	TABLE_BY_REF,
	TABLE_BY_LEARNER,
	TABLE_BY_SOURCE,
	TABLE_IMPORTS, /* these two in the order of enum store_list */
	TABLE_FORKS,
	TABLE_COUNT,
};

struct store {
	MDB_env *env; /* owned */
	char *path; /* owned; the directory */
	uint64_t map_bytes;
	MDB_dbi table[TABLE_COUNT]; /* opened once at start */
	/* Record tables; those below @log_count may be used by anyone who
	 * began after reading it. Only the writer adds. */
	MDB_dbi rec[LIMIT_LOGS];
	atomic_uint log_count; /* committed logs */
	pthread_mutex_t lock; /* guards @env's exchange and what follows */
	unsigned active; /* transactions that run */
	struct store_txn *pool; /* idle readers */
	unsigned pool_count;
};

struct store_txn {
	struct store *store;
	MDB_txn *txn; /* owned */
	bool is_write;
	enum err err; /* sticky */
	uint32_t log_count; /* logs that this transaction sees */
	uint64_t changes; /* puts and deletes */
	MDB_cursor *cursor[TABLE_COUNT]; /* opened when first needed */
	bool busy[TABLE_COUNT]; /* cursor is in use by a scan */
	MDB_cursor *append; /* on the records of @append_log */
	uint32_t append_log;
	struct buf scratch; /* encodings, until the next put */
	struct store_txn *next; /* in the pool */
};

static inline MDB_val val_of(struct slice s)
{
	/* LMDB declares what it only reads without const. */
	union {
		const uint8_t *in;
		void *out;
	} p = { s.p };

	return (MDB_val){ s.n, p.out };
}

static inline struct slice slice_of_val(MDB_val v)
{
	return slice_of(v.mv_data, v.mv_size);
}

/* Map LMDB's and the system's codes; MDB_NOTFOUND is ERR_NOT_FOUND. */
enum err from_lmdb(int rc);
/* Keep @rc as the sticky error unless it is an answer (not found, or, when
 * putting without overwriting, exists). Returns what the caller returns. */
enum err store_keep(struct store_txn *t, int rc);
/* ERR_BAD_STATE on a reader, else the sticky error. Call before each put. */
enum err store_begin_change(struct store_txn *t);

WARN_UNUSED enum err table_get(struct store_txn *t, MDB_dbi dbi,
			       struct slice key, struct slice *value);
enum err table_put(struct store_txn *t, MDB_dbi dbi, struct slice key,
		   struct slice value);
/* A cursor on @table for a scan: the transaction's own, or another when that
 * is busy; give it back. */
WARN_UNUSED enum err cursor_take(struct store_txn *t, enum table table,
				 MDB_cursor **out);
void cursor_give(struct store_txn *t, enum table table, MDB_cursor *c);
/* Go to the first key not less than @key; ERR_NOT_FOUND at the end. */
WARN_UNUSED enum err cursor_seek(MDB_cursor *c, struct slice from, MDB_val *key,
				 MDB_val *value);
/* Go to the last key not greater than @key; ERR_NOT_FOUND before the first. */
WARN_UNUSED enum err cursor_seek_back(MDB_cursor *c, struct slice from,
				      MDB_val *key, MDB_val *value);

/* Open the record table of log @log within @txn. */
WARN_UNUSED enum err store_open_rec(struct store *s, MDB_txn *txn, uint32_t log,
				    bool create);

#endif /* NODE_STORE_IMPL_H */
