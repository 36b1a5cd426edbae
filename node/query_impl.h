/* What the files of the query share; nobody else includes this.
 *
 * query.c has the life of a query and its look-ups, query_log.c its picture
 * of each log, query_facts.c gathers the facts of one question,
 * query_proof.c those of a disclosed credential. */

#ifndef NODE_QUERY_IMPL_H
#define NODE_QUERY_IMPL_H

#include "node/query.h"

#define QUERY_KEPT_BYTES (24u << 20) /* bodies opened for one question */
#define QUERY_WORK_BYTES (24u << 20) /* the engine's */
#define QUERY_RULE_BYTES (1u << 20) /* bodies of rules weighed at once */
#define QUERY_VERSIONS 256u /* of one record that are looked at */
#define QUERY_POLICIES 256u /* of one recogniser */
#define QUERY_LEAVES 65536u /* looked at for a status that is kept back */

/* Places of records, newest first. */
struct places {
	uint64_t *seq; /* in the arena */
	uint32_t count;
	uint32_t max;
	bool more; /* there are older ones */
};

/* One log as this query knows it. Refreshed when first used in a batch. */
struct query_log {
	char *origin_text; /* owned */
	struct slice origin, member; /* into it */
	uint64_t generation;
	uint64_t batch; /* in which the rest was read; 0: never */
	uint64_t size; /* records held */
	uint64_t heard_ms;
	bool complete;
	uint32_t member_kinds, closed_kinds;
	/* As of @indexed_size: the institution's record and policies. */
	uint64_t indexed_size;
	bool has_institution;
	uint64_t institution;
	struct places policies; /* seq owned here */
	/* Names of the institution: its member, then further domains. */
	struct buf names; /* their text */
	struct slice domains[LIMIT_SOURCE_NAMES];
	uint32_t domain_count;
	char country[3]; /* "" if not known */
};

struct query {
	const struct home *home;
	struct sealer *sealer;
	struct store_txn *txn; /* NULL: not begun */
	struct members *members; /* of this batch, held */
	uint64_t batch;
	struct query_log *logs; /* by the store's number; owned */
	uint32_t log_count;
	struct arena kept; /* what was handed out */
	struct arena work; /* of recognise() */
	struct buf value; /* to be hashed */
	struct buf open; /* a body being opened */
	struct slice own; /* the configured member */
	struct slice asker; /* who may read what is read now; empty: anyone */
};

/* query_log.c */

/* The log's picture, refreshed. NULL and *e on failure. */
struct query_log *log_use(struct query *q, uint32_t log, enum err *e);
/* As query_log, over the pictures; false when the member has none here. */
bool log_of_member(const struct query *q, struct slice member, uint32_t *log);
/* Learn of logs that were added since; called by query_begin. */
enum err logs_update(struct query *q);
void logs_free(struct query *q);

/* query.c */

/* Places under one index value of one log, newest first, at most @max. */
WARN_UNUSED enum err places_find(struct query *q, enum store_index index,
				 uint32_t log, struct slice value, uint32_t max,
				 struct places *out);
/* The text that an index knows a record by: kind name || '/' || id, in
 * q->value; borrowed until the next such call. */
struct slice id_value(struct query *q, uint32_t kind, struct slice id);
/* As query_at, for q->asker: what it may not read is ERR_DENIED. */
WARN_UNUSED enum err record_at(struct query *q, uint32_t log, uint64_t seq,
			       struct query_record *r);
/* Does the opened record have this id? */
bool record_has_id(const struct query_record *r, struct slice id);
/* As query_newest, for q->asker. */
WARN_UNUSED enum err record_newest(struct query *q, uint32_t log, uint32_t kind,
				   struct slice id, struct query_record *r);
/* Is @r the newest of its id? Compares places only. */
WARN_UNUSED enum err record_is_newest(struct query *q,
				      const struct query_record *r, bool *is);
/* As query_find, for q->asker; candidates go to @list of LIMIT_LOGS. */
WARN_UNUSED enum err record_find(struct query *q, uint32_t kind,
				 struct slice name, struct query_record *r,
				 struct slice *list, uint32_t *count);
/* Statuses of all versions of a credential, newest first, in q->kept. */
WARN_UNUSED enum err statuses_find(struct query *q,
				   const struct query_record *credential,
				   struct query_record **out, uint32_t *count);

/* What went wrong, for the error document. */
struct query_failure {
	struct slice message;
	struct slice *candidates; /* in q->kept; for ERR_AMBIGUOUS */
	uint32_t candidate_count;
};
void fail_with(struct query *q, struct query_failure *f, const char *format,
	       ...) __attribute__((format(printf, 3, 4)));

/* The recogniser's, and two generations of each issuer's. */
#define GATHER_LOGS (1u + 2u * LIMIT_HELD)

/* The facts under construction. */
struct gather {
	struct query *q;
	struct recognise_question question;
	struct recognise_facts facts;
	uint64_t now_ms;
	struct query_failure *failure;
	struct recognise_log logs[GATHER_LOGS];
	uint32_t log_numbers[GATHER_LOGS]; /* the store's */
	struct recognise_held held[LIMIT_HELD];
	struct query_record credentials[LIMIT_HELD];
	char today[11];
};

/* query_facts.c: facts for g->question; ERR_* with g->failure. */
WARN_UNUSED enum err gather_facts(struct gather *g);
/* The entry of facts.logs for the store's log @log; @out its index. */
WARN_UNUSED enum err gather_log(struct gather *g, uint32_t log, uint32_t *out);

/* query_proof.c: the credential of g->question.disclosed, verified against
 * the copy of its log that is held here. */
WARN_UNUSED enum err gather_disclosed(struct gather *g, struct query_record *r);

#endif /* NODE_QUERY_IMPL_H */
