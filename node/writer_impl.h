/* What the files of the writer share; nobody else includes this.
 *
 * writer.c runs the thread and its queue; writer_txn.c begins transactions,
 * makes them durable and tells of them; writer_start.c
 * checks what it starts from; writer_own.c appends own records and signs;
 * writer_accept.c takes chunks and bodies from peers, which writer_check.c
 * opens; writer_note.c keeps notes, countersignatures and evidence; writer_member.c keeps rosters and
 * cards; writer_prepare.c prepares own records on other threads. */

#ifndef NODE_WRITER_IMPL_H
#define NODE_WRITER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "node/guard.h"
#include "node/index.h"
#include "node/writer.h"

#define INDEX_COUNT 4u /* of enum store_index */
/* Entries that wait to be sorted; beyond that they go in at once. */
#define ENTRIES_MAX 262144u
/* Salts that wait; beyond that they go into the vault at once. */
#define SALTS_BYTES_MAX (4u << 20)
/* Room in the queue for this many transactions. */
#define QUEUE_TXNS 2u
/* After so many puts, and then this long nothing to do, memory that large
 * transactions took is given back. */
#define TRIM_PUTS 20000u
#define TRIM_IDLE_MS 1000u
/* Parsed documents of one transaction. */
#define DOCS_BYTES_MAX (2u * (size_t)LIMIT_BUNDLE_BYTES)

/* The writer's picture of one log. Kept from one transaction to the next;
 * after a failed one it is read again. */
struct writer_log {
	uint32_t log;
	bool is_own;
	char *origin_text; /* owned */
	struct slice origin; /* the same */
	struct slice member; /* part of @origin */
	struct digest origin_hash;
	bool loaded; /* @head is that of the store */
	struct store_head head; /* its note is in @note */
	struct buf note;

	/* Of the running transaction. */
	bool touched; /* in writer_txn.touched */
	bool changed; /* @head must be put */
	bool announce; /* tell on_commit */
	bool appended; /* own records: sign, then write the guard */
	uint64_t before; /* size when the transaction began */
	struct frontier start; /* frontier at that size */
	struct buf cosig; /* own new line */
	struct buf salts; /* for the vault, from @salts_from on */
	uint64_t salts_from;

	/* The newest note that was verified: chunks come under the same. */
	bool has_verified;
	struct digest verified; /* SHA-256 of the whole note */
	struct head verified_head;
	uint64_t verified_turn; /* writer.members_turn at that time */
};

struct entry_list {
	struct store_entry *e; /* owned */
	size_t n, cap;
};

/* What accepting a chunk needs, kept for the next one. */
struct accept_room {
	struct digest *leaf; /* owned; leaf_cap of them */
	uint8_t *keep; /* owned; enum keep of each record */
	size_t leaf_cap;
	struct writer_node *node; /* owned; completed subtrees */
	size_t node_count, node_cap;
};

struct writer_node {
	struct merkle_pos pos;
	struct digest hash;
};

/* What a thread needs to open bodies. */
struct opener {
	struct sealer *sealer; /* owned */
	struct buf plain; /* one opened body */
	struct buf scratch; /* index values */
};

/* What becomes of a record's body. */
enum keep {
	KEEP_LEAF, /* none came, or it is not for this node */
	KEEP_MISSING, /* none came, though it is for this node */
	KEEP_ROW, /* public: salt and body in the row */
	KEEP_VAULT, /* sealed: salt in the vault, body in the row */
};

/* Bodies [from, to) of a chunk, to be opened. */
struct check_task {
	struct writer *w;
	const struct writer_log *log;
	const struct writer_chunk *chunk;
	uint32_t from, to;
	enum err err; /* the result */
};

/* The thread that opens the second half. */
struct helper {
	struct opener opener;
	struct entry_list entries[INDEX_COUNT]; /* of its half */
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake, ended;
	struct check_task task;
	bool has_task, stopping;
};

struct writer {
	struct writer_options o; /* what it points to is borrowed */
	struct index_keys index;
	struct opener opener;
	struct helper helper;
	struct guard *guard; /* owned */
	uint32_t own_log;
	bool trusted; /* what the start check found */
	atomic_bool guarded; /* the guard is genuine and up to date */
	struct writer_log *log[LIMIT_LOGS]; /* owned; NULL: not met yet */
	struct slice own_member; /* in the name of the log key */
	struct members *members; /* held; newest at the last begin */
	bool is_member; /* of the alliance, by @members */
	uint64_t members_turn; /* counts changes of @members */
	struct accept_room room;
	struct arena arena; /* parsed notes; reset for each use */
	struct entry_list entries[INDEX_COUNT];

	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake; /* the thread: work or stop */
	pthread_cond_t room_made; /* submitters */
	struct writer_job *first, *last; /* the queue */
	uint64_t puts; /* since memory was last given back; the thread's own */
	bool stopping;
	bool adopt; /* signing was allowed: make the guard genuine */
	atomic_size_t queued_records, queued_bytes;
	atomic_int signing; /* enum signing */
};

/* Someone in writer_run. */
struct writer_wait {
	pthread_cond_t ended; /* with the writer's lock */
	bool finished;
	enum err result;
};

struct writer_txn {
	struct writer *w;
	struct store_txn *store;
	uint64_t now_ms;
	uint64_t changes; /* of what is not in the store yet */
	enum err err; /* sticky: ERR_FULL of the vault */
	bool vault_dirty; /* something was put into the vault */
	uint32_t touched_count;
	struct writer_log *touched[LIMIT_LOGS];
	bool docs_changed; /* roster or cards */
	struct arena docs; /* parsed ones of this transaction */
	const struct roster *roster; /* newest, parsed in @docs, or NULL */
	bool roster_known; /* @roster was looked for */
};

/* The newest signed head; that of the empty log when there is none. */
static inline struct head writer_signed_head(const struct store_head *h)
{
	struct head none = { .size = 0, .root = hash_empty() };

	return h->noted.size > 0 ? h->noted : none;
}

/* End the process: @what failed and going on could lose data. */
_Noreturn void writer_die(const char *what, enum err err);

/* The picture of @log, up to date. ERR_NOT_FOUND; the store's errors. */
WARN_UNUSED enum err writer_touch(struct writer_txn *t, uint32_t log,
				  struct writer_log **out);
/* Note that the head was changed: it is put before the commit. */
void writer_change(struct writer_txn *t, struct writer_log *l, bool announce);
void writer_free_log(struct writer_log *l); /* NULL is fine */

/* ERR_IO ends the process; else as store_write, and writer_end. */
WARN_UNUSED enum err writer_begin(struct writer *w, struct writer_txn *t);
/* Forget what belonged to this transaction only. */
void writer_end(struct writer_txn *t);
/* After the store's transaction was given up: as if nothing had been. Ends. */
void writer_undo(struct writer_txn *t);
/* Make it durable: PROTOCOL.md 15.2, steps 3 to 7. On failure nothing has
 * happened and it is ended. ERR_FULL, ERR_RECOVERING, ERR_CORRUPT. */
WARN_UNUSED enum err writer_commit(struct writer_txn *t);
/* Tell on_commit about all that changed. */
void writer_announce(struct writer_txn *t);
/* The guard follows the commit, and precedes everything that tells of it. */
void writer_write_guard(struct writer *w, const struct writer_log *own);
/* Put the collected entries, sorted: each page of an index is touched once. */
enum err writer_put_entries(struct writer_txn *t);
size_t writer_waiting_entries(const struct writer *w);

/* Collect one index entry. */
void entries_add(struct entry_list lists[INDEX_COUNT], enum store_index table,
		 const struct store_entry *e);
/* Keep the salt of one record for the vault; of one log in any order, best
 * one after the other. ERR_FULL is sticky in @t; other errors end the
 * process. */
enum err writer_add_salt(struct writer_txn *t, struct writer_log *l,
			 uint64_t seq, const uint8_t salt[LIMIT_SALT_BYTES]);
/* Put the waiting salts of @l into the vault. Errors likewise. */
enum err writer_put_salts(struct writer_txn *t, struct writer_log *l);

/* Check what was appended to the own log and sign its head. */
WARN_UNUSED enum err writer_sign(struct writer_txn *t, struct writer_log *l);
/* Take up the newest members. */
void writer_take_members(struct writer *w);
/* Compare keys, guard, store and vault: writer_start.c. Sets own_log and
 * trusted. */
WARN_UNUSED enum err writer_check_start(struct writer *w, struct buf *why);

/* The part of a stored note that its origin signed: the text and the first
 * signature line. */
struct slice writer_note_base(struct slice note);
/* May this node hold the body of a record of @audience in @l? */
bool writer_is_entitled(const struct writer *w, const struct writer_log *l,
			uint64_t audience);

void opener_init(struct opener *h);
void opener_wipe(struct opener *h);
WARN_UNUSED enum err helper_start(struct helper *p);
void helper_stop(struct helper *p); /* also after a failed start */

/* One body to be opened, checked against its leaf and indexed. */
struct body_check {
	const struct writer *w;
	const struct writer_log *log;
	uint64_t seq;
	const struct record *record;
};
/* ERR_OK: *out says what to keep; entries went into @entries. Else as
 * record_open. */
WARN_UNUSED enum err check_body(struct opener *h, const struct body_check *b,
				struct entry_list *entries, enum keep *out);
/* All bodies of a chunk, into room.keep and the writer's entries. */
WARN_UNUSED enum err check_bodies(struct writer *w, const struct writer_log *l,
				  const struct writer_chunk *c);

/* Verify @note as a head of @l, unless it is the last one that was verified.
 * Errors as writer_accept. */
WARN_UNUSED enum err writer_verify_note(struct writer_txn *t,
					struct writer_log *l, struct slice note,
					struct head *head);
/* @note is verified and fully held now: keep it with the countersignatures
 * that verify, and cosign it if that is due. */
enum err writer_complete(struct writer_txn *t, struct writer_log *l,
			 struct slice note, const struct head *head);

#endif /* NODE_WRITER_IMPL_H */
