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
 * should check everything before its first put: else the whole transaction is
 * made again without it. Commit errors other than ERR_FULL end the process:
 * an fsync error is told only once. */

#ifndef NODE_WRITER_H
#define NODE_WRITER_H

#include "node/index.h"
#include "node/keys.h"
#include "node/members.h"
#include "node/store.h"
#include "node/vault.h"

struct writer;
struct writer_txn;
struct writer_wait;

struct writer_job {
	/* Set by the submitter; @done may be NULL. */
	uint32_t records; /* for the bounds of one transaction */
	size_t bytes;
	/* May run more than once: after a failed attempt, whose effects were
	 * undone. */
	enum err (*apply)(struct writer_job *job, struct writer_txn *t);
	void (*done)(struct writer_job *job, enum err result);
	/* The writer's own: zero at first. */
	struct writer_job *next;
	struct writer_wait *wait;
	enum err result;
};

#define WRITER_NO_LOG UINT32_MAX

/* Told after each commit and after the done callbacks, on the writer thread:
 * log @log is now this. Slices live during the call. */
struct writer_event {
	uint32_t log; /* WRITER_NO_LOG: the members changed */
	struct head held; /* records held */
	struct slice note; /* newest complete head with cosignatures */
	struct slice cosignature; /* own new line, or empty */
	bool frozen; /* forked */
};
typedef void writer_event_cb(void *arg, const struct writer_event *e);

struct writer_options {
	struct store *store;
	struct vault *vault;
	const struct keys *keys;
	struct members_cell *members;
	const char *guard_path; /* see guard.h */
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
 * (never call it from the loop thread, from apply or from done without
 * writer_has_room). */
void writer_submit(struct writer *w, struct writer_job *job);
bool writer_has_room(const struct writer *w);
/* As writer_submit, and wait for the result. */
WARN_UNUSED enum err writer_run(struct writer *w, struct writer_job *job);

/* May own records be signed? */
enum signing {
	SIGNING_WAITING, /* partners' heads of the own log awaited */
	SIGNING_ALLOWED,
	SIGNING_RECOVERING, /* a restored copy: only partners can tell */
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

/* What a thread needs to prepare own records; one a thread. Holds keys:
 * wipe after use. */
#define PREPARER_SALTS_BYTES 4096u
struct preparer {
	struct index_keys index;
	struct digest origin_hash;
	uint32_t own_log;
	struct sealer *sealer; /* owned */
	struct buf scratch; /* owned */
	size_t salts_left; /* unused bytes at the end of @salts */
	uint8_t salts[PREPARER_SALTS_BYTES];
};
void preparer_init(struct preparer *p, const struct keys *keys,
		   uint32_t own_log);
void preparer_wipe(struct preparer *p);

/* One own record, prepared on any thread. */
struct prepared_entry {
	enum store_index index;
	struct store_entry entry; /* seq is set by the writer */
};
struct prepared {
	/* Set by the caller. */
	uint32_t kind;
	uint64_t audience;
	struct slice body; /* plain and canonical, borrowed until done */
	/* Set by writer_prepare; pointers into its arena. */
	uint8_t salt[LIMIT_SALT_BYTES];
	uint8_t leaf[LIMIT_LEAF_BYTES];
	uint32_t leaf_bytes;
	struct digest leaf_hash;
	struct slice stored; /* sealed unless public; = body if public */
	uint32_t entry_count; /* index entries, index.h */
	struct prepared_entry *entries;
};
/* Salt, commit, seal, hash and index one own record. ERR_LIMIT: the body is
 * empty or too large, or @a is full. */
WARN_UNUSED enum err writer_prepare(struct preparer *p, struct arena *a,
				    struct prepared *r);
/* Append to the own log; *seq is its place. ERR_RECOVERING: not allowed to
 * sign; else the store's errors. */
WARN_UNUSED enum err writer_append(struct writer_txn *t,
				   const struct prepared *p, uint64_t *seq);

/* A chunk from a peer, of any log but a frozen one; also of the own log
 * while recovering. The note is verified here, once for all chunks under it.
 * On success all records are stored, opened where this node is entitled to
 * the body, checked and indexed; bodies that it is not entitled to are
 * dropped. A chunk without records brings a note for what is held. When the
 * chunk completes the note's head, that is stored and cosigned. */
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
 * body does not match; ERR_LIMIT: a leaf is too long, or beyond the final
 * head of a removed member; ERR_FORK: frozen; ERR_DENIED: note not signed by
 * its key; ERR_NOT_FOUND: no such log, or no card of its member. */
WARN_UNUSED enum err writer_accept(struct writer_txn *t,
				   const struct writer_chunk *c);

/* A body that was missing. ERR_CONFLICT: another leaf; ERR_EXISTS: it is
 * here; ERR_DENIED: not entitled to it; ERR_INVALID: does not match. */
WARN_UNUSED enum err writer_repair(struct writer_txn *t, uint32_t log,
				   uint64_t seq, const struct record *r);

/* A witness's signature line on the head of @size of @log. Kept when it is
 * newer than what is held of this witness; put into the stored note when it
 * is on the same head. ERR_NOT_FOUND: nobody's witness key; ERR_INVALID;
 * ERR_MALFORMED; ERR_BAD_STATE: more than is held here; ERR_EXISTS: an older
 * or the same one. */
WARN_UNUSED enum err writer_add_cosignature(struct writer_txn *t, uint32_t log,
					    uint64_t size, struct slice line);
/* Cosign the stored head of a foreign log now if log_may_cosign. ERR_EXISTS:
 * not yet again; ERR_FORK; ERR_BAD_STATE: there is nothing to cosign, or the
 * log is the own one; ERR_RECOVERING. */
WARN_UNUSED enum err writer_cosign(struct writer_txn *t, uint32_t log);
/* The origin confirmed at @unix_ms that the stored head is its newest. */
WARN_UNUSED enum err writer_heard(struct writer_txn *t, uint32_t log,
				  uint64_t unix_ms);
/* Freeze a log and keep the evidence, which the caller has judged (an
 * encoded document). ERR_EXISTS: it is frozen. */
WARN_UNUSED enum err writer_freeze(struct writer_txn *t, uint32_t log,
				   struct slice evidence);

/* Check and keep a signed roster or card. They take effect (members_cell)
 * after the commit. Version 1 of a roster needs all signatures; another must
 * follow the one that is held. Logs of a card get their numbers. Errors as
 * roster_check_first, roster_check_next, descriptor_check; ERR_EXISTS: it is
 * held already, or an older one; *why. */
WARN_UNUSED enum err writer_put_roster(struct writer_txn *t, struct slice note,
				       const char **why);
WARN_UNUSED enum err writer_put_card(struct writer_txn *t, struct slice note,
				     const char **why);

#endif /* NODE_WRITER_H */
