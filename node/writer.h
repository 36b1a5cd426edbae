/* The single writer: takes all jobs that wait, applies them in one
 * transaction, makes it durable in the order of PROTOCOL.md 15.2, answers.
 *
 * Own records: append, hash, sign; then salts synced, LMDB committed, guard
 * synced, and only then done callbacks run and the new head may leave the
 * process. Batches form because work waits, never by a timer.
 *
 * A job is a value with an apply function that runs on the writer thread
 * inside the transaction and a done function that runs there after commit
 * (or after it failed). A job whose apply fails is undone by itself: apply
 * must check everything before its first put. Commit errors other than
 * ERR_FULL end the process. */

#ifndef NODE_WRITER_H
#define NODE_WRITER_H

#include "node/keys.h"
#include "node/members.h"
#include "node/store.h"
#include "node/vault.h"

struct writer;
struct writer_txn;

struct writer_job {
	struct writer_job *next;  /* the queue's */
	uint32_t records;         /* for the bounds of one transaction */
	size_t bytes;
	enum err (*apply)(struct writer_job *job, struct writer_txn *t);
	void (*done)(struct writer_job *job, enum err result);
};

/* Told after each commit, on the writer thread: log @log is now this. */
struct writer_event {
	uint32_t log;
	struct head held;         /* records held */
	struct slice note;        /* newest complete head with cosignatures */
	struct slice cosignature; /* own new line, or empty */
};
typedef void writer_event_cb(void *arg, const struct writer_event *e);

struct writer_options {
	struct store *store;
	struct vault *vault;
	const struct keys *keys;
	struct members_cell *members;
	const char *guard_path;
	uint64_t (*now_ms)(void); /* Unix milliseconds */
	writer_event_cb *on_commit; /* may be NULL */
	void *arg;
};

/* Check the own log as DESIGN section 6 "Start" says, then run the thread.
 * ERR_CORRUPT, ERR_IO; @why. */
WARN_UNUSED enum err writer_start(const struct writer_options *o,
				  struct writer **out, struct buf *why);
/* Finish what is queued, then end the thread. NULL is fine. */
void writer_stop(struct writer *w);
/* Takes the job until done was called. Blocks while the queue is full
 * (never call it from the loop thread without writer_has_room). */
void writer_submit(struct writer *w, struct writer_job *job);
bool writer_has_room(const struct writer *w);
/* As writer_submit, and wait for the result. */
WARN_UNUSED enum err writer_run(struct writer *w, struct writer_job *job);

/* May own records be signed? */
enum signing {
	SIGNING_WAITING,        /* partners' heads of the own log awaited */
	SIGNING_ALLOWED,
	SIGNING_RECOVERING,     /* a restored copy: only partners can tell */
};
enum signing writer_signing(const struct writer *w);
void writer_set_signing(struct writer *w, enum signing s);
/* What the start check found: guard, store and vault agree and the guard
 * file is the one that was written (not a copy), or the keys are new. */
bool writer_is_trusted(const struct writer *w);

/* Inside apply. */
struct store_txn *writer_store(struct writer_txn *t);
uint64_t writer_now_ms(const struct writer_txn *t);
uint32_t writer_own_log(const struct writer_txn *t);

/* One own record, prepared on another thread (writer_prepare). */
struct prepared {
	uint32_t kind;
	uint64_t audience;
	struct slice body;      /* plain, borrowed until done */
	uint8_t salt[LIMIT_SALT_BYTES];
	uint8_t leaf[LIMIT_LEAF_BYTES];
	uint32_t leaf_bytes;
	struct digest leaf_hash;
	struct slice stored;    /* sealed unless public; = body if public */
	uint32_t entry_count;   /* index entries; seq is set by the writer */
	struct { enum store_index index; struct store_entry entry; } entries[8];
};
/* Salt, commit, seal, hash and index one own record. The index key comes
 * from @keys; entries follow index.h. ERR_LIMIT. */
WARN_UNUSED enum err writer_prepare(const struct keys *keys,
				    struct slice origin, uint32_t own_log,
				    struct sealer *sealer, struct arena *a,
				    uint32_t kind, uint64_t audience,
				    struct slice body, struct prepared *out);
/* Append to the own log; *seq is its place. ERR_RECOVERING: not allowed to
 * sign; else the store's errors. */
WARN_UNUSED enum err writer_append(struct writer_txn *t,
				   const struct prepared *p, uint64_t *seq);

/* A chunk from a peer, of any log but a frozen one; also of the own log
 * while recovering. The note must have been verified by the caller or is
 * verified here when @verified is false. On success all records are stored,
 * opened where entitled, checked and indexed. */
struct writer_chunk {
	uint32_t log;
	uint64_t from;
	struct slice note;
	uint32_t count;
	const struct record *records; /* bodies as sent */
	const struct digest *right;
	uint32_t right_count;
};
/* ERR_BAD_STATE: not at @from; ERR_INVALID, ERR_MALFORMED: does not fold or a
 * body does not match; ERR_FORK; ERR_DENIED: note not signed by its key. */
WARN_UNUSED enum err writer_accept(struct writer_txn *t,
				   const struct writer_chunk *c);

#endif /* NODE_WRITER_H */
