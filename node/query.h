/* Questions answered from the store: look-ups and recognition.
 *
 * A struct query belongs to one thread and holds its reader, sealer, arena
 * and buffers, so that an answer allocates nothing once they have grown.
 * It reads one state of the store from query_begin to query_end; call these
 * around each batch of questions, for an open reader keeps old pages from
 * being used again. PROTOCOL.md section 12. */

#ifndef NODE_QUERY_H
#define NODE_QUERY_H

#include "node/home.h"
#include "proto/recognise.h"

struct query;

/* Give: query_close. Borrows @h's store, vault, index keys, members and
 * configured member for as long as the query lives. */
struct query *query_open(const struct home *h);
void query_close(struct query *q); /* take; NULL is fine */

/* Take up the newest state of the store; cheap. Slices that the query gave
 * before are gone. ERR_BUSY: no reader slot; ERR_IO, ERR_CORRUPT. */
WARN_UNUSED enum err query_begin(struct query *q);
void query_end(struct query *q); /* safe when not begun */

/* Answer the encoded question of member @asker (its domain; the own member
 * for the node's own users) and append the answer document to @out. Only
 * what @asker may read is looked at. @now_ms is Unix time.
 * On failure an error document (recognise_put_error) is appended instead:
 * send that. ERR_MALFORMED, ERR_UNSUPPORTED, ERR_LIMIT: the question;
 * ERR_NOT_FOUND: no such credential; ERR_AMBIGUOUS: the document lists the
 * candidates; ERR_INVALID: a disclosed proof does not verify; ERR_CORRUPT,
 * ERR_IO: the store. */
enum err query_answer(struct query *q, struct slice question,
		      struct slice asker, uint64_t now_ms, struct buf *out);

/* ---- look-ups, for commands ---- */

/* One record, opened. Slices live until the next query_begin, query_end,
 * query_answer or query_forget. */
struct query_record {
	uint32_t log; /* number in the store */
	struct slice member; /* whose log */
	uint64_t seq;
	uint32_t kind;
	uint64_t audience;
	struct slice leaf; /* encoded */
	struct slice body; /* plain */
	bool alone; /* found by its id, and no other version has that id */
};

/* Give back the memory of the slices handed out; a loop over many records
 * calls it in between. */
void query_forget(struct query *q);

/* The record at one place. ERR_NOT_FOUND: none there; ERR_DENIED: its body
 * is not held here (r->leaf is set, kind and audience too); ERR_UNSUPPORTED:
 * a leaf of a newer format (r->leaf is set). */
WARN_UNUSED enum err query_at(struct query *q, uint32_t log, uint64_t seq,
			      struct query_record *r);
/* The newest record of @kind with this id in one log. ERR_NOT_FOUND. */
WARN_UNUSED enum err query_newest(struct query *q, uint32_t log, uint32_t kind,
				  struct slice id, struct query_record *r);
/* By MEMBER/ID, or by a bare ID that one log only has. ERR_AMBIGUOUS: more
 * than one has; @why (may be NULL) lists them, one a line. */
WARN_UNUSED enum err query_find(struct query *q, uint32_t kind,
				struct slice name, struct query_record *r,
				struct buf *why);
/* As query_find, in the own log only: ID or OWN/ID. */
WARN_UNUSED enum err query_find_own(struct query *q, uint32_t kind,
				    struct slice name, struct query_record *r);
/* Place of the first version of @r's record in its log. */
WARN_UNUSED enum err query_first(struct query *q, const struct query_record *r,
				 uint64_t *seq);
/* Is there no newer version of @r's record? */
WARN_UNUSED enum err query_is_newest(struct query *q,
				     const struct query_record *r, bool *is);
/* The newest learner record of a learner number; only in the own log.
 * ERR_NOT_FOUND: none that may be read here. */
WARN_UNUSED enum err query_learner(struct query *q, uint32_t log,
				   struct slice number, struct query_record *r);
/* The status of a credential that counts on @date (YYYY-MM-DD; empty: any
 * date): the newest over all versions of the credential. ERR_NOT_FOUND:
 * there is none, it is valid. */
WARN_UNUSED enum err query_status(struct query *q,
				  const struct query_record *credential,
				  struct slice date, struct query_record *r);
/* "valid", "revoked", ...: the state in the status @r, static text. */
const char *query_state(struct query *q, const struct query_record *credential,
			struct slice date);

/* The log of @member that is used now (the highest generation held).
 * ERR_NOT_FOUND. */
WARN_UNUSED enum err query_log(struct query *q, struct slice member,
			       uint32_t *log);
/* Borrow the reader, for what this file does not offer. NULL before
 * query_begin. */
struct store_txn *query_txn(struct query *q);

#endif /* NODE_QUERY_H */
