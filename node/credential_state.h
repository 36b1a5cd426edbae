/* Changing the state of own credentials: statuses appended to the own log.
 *
 * A record is never changed; a status says since when a credential is
 * suspended, revoked or valid again. Each status points at the first record
 * of its credential, so that it holds for every version of it. */

#ifndef NODE_CREDENTIAL_STATE_H
#define NODE_CREDENTIAL_STATE_H

#include "node/query.h"

#define STATE_BATCH 256u /* credentials of one writer job */

struct state_change {
	const char *state; /* "revoked", "suspended", "valid" */
	const char *reason; /* of schema_status_reasons; NULL with valid */
	bool dry; /* say what would happen, change nothing */
};

enum state_result {
	STATE_CHANGED,
	STATE_SAME, /* it was so already */
	STATE_UNKNOWN, /* no such own credential */
	STATE_CONTRARY, /* not possible from the state it is in */
};

/* One credential of a batch. */
struct state_item {
	struct slice id; /* as given: ID or MEMBER/ID */
	enum state_result result;
	const char *before; /* the state it was in, static */
	uint64_t seq; /* of the new status */
	uint64_t audience; /* as the credential's */
	uint64_t first; /* place of its first record */
};

/* Judge and, unless dry, append one status for each of @count items (at most
 * STATE_BATCH) in one transaction; the query is begun anew. All items have
 * their results. ERR_RECOVERING: this node may not sign now; else the
 * store's errors: nothing was changed. */
WARN_UNUSED enum err state_apply(const struct home *h, struct query *q,
				 const struct state_change *change,
				 struct state_item *items, uint32_t count);

/* Is @code a reason that a status can give? */
bool state_is_reason(const char *code);

#endif /* NODE_CREDENTIAL_STATE_H */
