/* The LMDB environment of one node: the only file that knows LMDB.
 *
 * Tables of DESIGN: meta, logs, docs, rec of each log, nodes, heads, four
 * indexes, import journal. Does no hashing, signing or checking: it keeps
 * what verified code hands it. PROTOCOL.md section 15.
 *
 * Transactions carry a sticky error: after the first failure every call on
 * it is a no-op that returns the cause, and commit refuses; not finding
 * something is an answer, not a failure. Slices that a
 * transaction gives live until it ends or, in a write transaction, until the
 * next put. One writer thread; readers may be any thread. */

#ifndef NODE_STORE_H
#define NODE_STORE_H

#include "proto/log.h"
#include "proto/record.h"

#define STORE_FORMAT 1 /* an older program refuses a newer one */
#define STORE_NODE_LEVEL 8 /* roots of smaller subtrees are recomputed */
#define STORE_HASH_BYTES 8 /* keyed hashes in index keys */

struct store;
struct store_txn;

struct store_options {
	const char *path; /* directory, made (aside, then renamed) */
	uint64_t map_bytes; /* fixed at open */
	bool create; /* else ERR_NOT_FOUND when absent */
};

/* ERR_NOT_FOUND; ERR_UNSUPPORTED: newer format; ERR_CORRUPT: file shorter
 * than its pages; ERR_IO; @why gets a sentence with path and cure. */
WARN_UNUSED enum err store_open(const struct store_options *o,
				struct store **out, struct buf *why);
void store_close(struct store *s); /* NULL is fine */

/* Readers: ERR_BUSY when LMDB's reader table is full. Keep them short. */
WARN_UNUSED enum err store_read(struct store *s, struct store_txn **out);
/* Begins and ends on one thread; a second writer waits for the first. */
WARN_UNUSED enum err store_write(struct store *s, struct store_txn **out);
enum err store_error(const struct store_txn *t);
/* Number of puts and deletes so far: has something been changed? */
uint64_t store_changes(const struct store_txn *t);
/* Ends @t in any case. ERR_FULL: map or disk full, nothing was changed;
 * ERR_IO: the process must end (an fsync error is told only once). */
WARN_UNUSED enum err store_commit(struct store_txn *t);
void store_abort(struct store_txn *t); /* NULL is fine */
/* Give a reader up to the newest state without a new allocation. */
WARN_UNUSED enum err store_renew(struct store_txn *t);

/* Has the disk room for @bytes more and for what must stay free besides
 * (STORE_RESERVE_BYTES, on a small disk a sixteenth of it)? ERR_FULL. */
#define STORE_RESERVE_BYTES (64u << 20)
WARN_UNUSED enum err store_room(struct store *s, uint64_t bytes);

/* Random id of this database, made at creation. */
WARN_UNUSED enum err store_incarnation(struct store_txn *t, uint8_t out[16]);

/* Small named values: settings that live with the data. */
enum err store_meta_put(struct store_txn *t, const char *name,
			struct slice value);
WARN_UNUSED enum err store_meta_get(struct store_txn *t, const char *name,
				    struct slice *value);

/* Logs: origin <-> number that is local to this store (from 0 up). */
/* Finds an existing one. ERR_LIMIT: LIMIT_LOGS are there, or @origin is
 * empty or too long. */
WARN_UNUSED enum err store_log_add(struct store_txn *t, struct slice origin,
				   uint32_t *log);
WARN_UNUSED enum err store_log_find(struct store_txn *t, struct slice origin,
				    uint32_t *log);
WARN_UNUSED enum err store_log_origin(struct store_txn *t, uint32_t log,
				      struct slice *origin);
uint32_t store_log_count(struct store_txn *t);

/* Head of one log as far as it is held here. */
struct store_head {
	struct frontier frontier; /* of all records held */
	struct slice note; /* newest checkpoint that is fully held, with
				 * verified cosignatures; empty: none yet */
	struct head noted; /* what @note states */
	struct cosign_state cosigned; /* by this node as witness */
	uint64_t heard_ms; /* Unix ms when the origin last confirmed it */
	bool frozen; /* forked: nothing more is accepted */
	uint64_t missing; /* bodies entitled to but not held */
	/* Bit k: a leaf of kind k (below 32) lies in the log whose body is for
	 * members; or for fewer than all members. store_head_add_leaf. */
	uint32_t member_kinds, closed_kinds;
};
/* Remember the kind and audience of a leaf that is being appended. */
void store_head_add_leaf(struct store_head *h, struct slice leaf);
WARN_UNUSED enum err store_head_get(struct store_txn *t, uint32_t log,
				    struct store_head *out); /* zeroes: new */
enum err store_head_put(struct store_txn *t, uint32_t log,
			const struct store_head *h);

/* Records; @seq must be the next one of its log. */
enum err store_record_append(struct store_txn *t, uint32_t log, uint64_t seq,
			     const struct record *r);
/* Replace body and salt of a stored record (repair, erasure).
 * ERR_CONFLICT: @r has another leaf. */
enum err store_record_replace(struct store_txn *t, uint32_t log, uint64_t seq,
			      const struct record *r);
/* For non-public records @salt is empty: it is in the vault. */
WARN_UNUSED enum err store_record_get(struct store_txn *t, uint32_t log,
				      uint64_t seq, struct record *out);

/* Hashes of the leaves [from, from + count) into @out, read and hashed anew.
 * ERR_CORRUPT: one is not there. */
WARN_UNUSED enum err store_leaf_hashes(struct store_txn *t, uint32_t log,
				       uint64_t from, uint32_t count,
				       struct digest *out);

/* Roots of perfect subtrees at STORE_NODE_LEVEL and above. */
enum err store_node_put(struct store_txn *t, uint32_t log,
			struct merkle_pos pos, const struct digest *h);
/* Hashes of any perfect subtree of a log, recomputed below the level. */
struct store_source {
	struct store_txn *txn;
	uint32_t log;
};
struct merkle_source store_source_of(struct store_source *s); /* borrows */

/* Indexes: (log, keyed hash, seq) -> at most 16 bytes. Entries may be put
 * in any order; sorted is faster. */
enum store_index {
	STORE_BY_ID,
	STORE_BY_REF,
	STORE_BY_LEARNER,
	STORE_BY_SOURCE
};
struct store_entry {
	uint32_t log;
	uint8_t hash[STORE_HASH_BYTES];
	uint64_t seq;
	uint8_t value[16];
	uint8_t value_bytes; /* 0 or 16 */
};
enum err store_index_put(struct store_txn *t, enum store_index i,
			 const struct store_entry *e);
enum err store_index_del(struct store_txn *t, enum store_index i,
			 const struct store_entry *e);
/* Call @cb for the entries of (log, hash), newest seq first when @newest,
 * until it returns false. */
typedef bool store_entry_cb(void *arg, const struct store_entry *e);
WARN_UNUSED enum err store_index_scan(struct store_txn *t, enum store_index i,
				      uint32_t log,
				      const uint8_t hash[STORE_HASH_BYTES],
				      bool newest, store_entry_cb *cb,
				      void *arg);

/* Members' documents, all versions. Kinds: "roster" (of member ""), "card".
 * ERR_LIMIT: kind or member too long for a key. */
enum err store_doc_put(struct store_txn *t, const char *kind,
		       struct slice member, uint64_t version,
		       struct slice note);
/* @version 0: the newest. */
WARN_UNUSED enum err store_doc_get(struct store_txn *t, const char *kind,
				   struct slice member, uint64_t version,
				   struct slice *note);
/* Call @cb with the newest version of each member's document, in order of
 * the names, until it returns false. */
typedef bool store_doc_cb(void *arg, struct slice member, uint64_t version,
			  struct slice note);
WARN_UNUSED enum err store_doc_scan(struct store_txn *t, const char *kind,
				    store_doc_cb *cb, void *arg);

/* The newest countersignature of each witness on one log. */
struct store_cosig {
	struct slice witness; /* key name */
	uint64_t size; /* of the head that it is on */
	uint64_t unix_seconds; /* as signed */
	struct slice line; /* signature line of the note format */
};
enum err store_cosig_put(struct store_txn *t, uint32_t log,
			 const struct store_cosig *c);
WARN_UNUSED enum err store_cosig_get(struct store_txn *t, uint32_t log,
				     struct slice witness,
				     struct store_cosig *out);
typedef bool store_cosig_cb(void *arg, const struct store_cosig *c);
/* Call @cb for each, in order of the names, until it returns false. */
WARN_UNUSED enum err store_cosig_scan(struct store_txn *t, uint32_t log,
				      store_cosig_cb *cb, void *arg);

/* Import journal and fork evidence: numbered msgpack documents. */
enum store_list { STORE_IMPORTS, STORE_FORKS };
WARN_UNUSED enum err store_list_next(struct store_txn *t, enum store_list l,
				     uint64_t *number); /* first free, >= 1 */
enum err store_list_put(struct store_txn *t, enum store_list l, uint64_t number,
			struct slice doc);
WARN_UNUSED enum err store_list_get(struct store_txn *t, enum store_list l,
				    uint64_t number, struct slice *doc);

/* Give back the memory that large transactions left with LMDB, which keeps
 * it: closes and opens the environment while nobody reads or writes; who
 * comes meanwhile waits a few milliseconds. ERR_BUSY: somebody does; else the
 * store is closed and the process must end. */
WARN_UNUSED enum err store_trim(struct store *s);

struct store_stats {
	uint64_t map_bytes, used_bytes;
	uint32_t readers;
};
void store_stat(struct store *s, struct store_stats *out);
/* Give up readers of processes that died; returns their number. */
uint32_t store_check_readers(struct store *s);

#endif /* NODE_STORE_H */
