/* Health codes: what can be wrong, how bad it is, and the cure.
 *
 * Stable: operators and monitoring match on them. One table; status, peer
 * list, peer test and the documentation are read off it. Pure. */

#ifndef NODE_HEALTH_H
#define NODE_HEALTH_H

#include "node/link.h"

enum severity { HEALTH_INFO, HEALTH_WARNING, HEALTH_CRITICAL };

enum health {
	HEALTH_OK,
	HEALTH_DNS, /* P-DNS-01 */
	HEALTH_TCP, /* P-TCP-02 */
	HEALTH_TLS_THEIRS, /* P-TLS-03: their TLS is not acceptable */
	HEALTH_TLS_OURS, /* P-TLS-04: they refuse our certificate */
	HEALTH_PIN, /* P-PIN-05: their key is not the pinned one */
	HEALTH_PROTO, /* P-PROTO-07 */
	HEALTH_ALLIANCE, /* P-ALLIANCE-08 */
	HEALTH_SILENT, /* P-SILENT-09: it was there and is not */
	HEALTH_CARD, /* P-CARD-10: no card, or no endpoint in it */
	HEALTH_STRANGER, /* P-STRANGER-11: someone unknown was refused */
	HEALTH_STOPPED, /* P-STOPPED-12: the other node is stopping */
	HEALTH_LAG, /* S-LAG-01 */
	HEALTH_REJECT, /* S-REJECT-02: chunks that did not verify */
	HEALTH_FORK, /* S-FORK-03 */
	HEALTH_WAITING, /* S-WAIT-04: signing waits for partners */
	HEALTH_RECOVERING, /* S-RECOVER-05 */
	HEALTH_MISSING, /* S-MISSING-06: bodies that should be here */
	HEALTH_OWN_CARD, /* K-CARD-01: own card and configuration differ */
	HEALTH_MAP, /* D-MAP-01 */
	HEALTH_DISK, /* D-DISK-03 */
	HEALTH_RELOAD, /* C-RELOAD-01 */
	HEALTH_NO_ALLIANCE, /* C-ALLIANCE-02: no roster is installed */
	HEALTH_NOT_RUNNING, /* N-DOWN-01 */
	HEALTH_COUNT,
};

struct health_entry {
	const char *code; /* "P-TLS-04" */
	enum severity severity;
	const char *what; /* one sentence, "it" is the peer */
	const char *cure; /* what the operator can do */
};

/* Never NULL. */
const struct health_entry *health_entry(enum health h);
/* The entry that has this code; HEALTH_COUNT: none. */
enum health health_find(struct slice code);
const char *health_severity(enum severity s); /* "warning" */

/* Where a connection to a peer ended. */
enum peer_step {
	PEER_STEP_CARD,
	PEER_STEP_DNS,
	PEER_STEP_TCP,
	PEER_STEP_TLS,
	PEER_STEP_PIN,
	PEER_STEP_HELLO,
	PEER_STEP_OPEN, /* it was up */
};
/* What a failure at @step means. @theirs: the other side ended it. */
enum health health_of(enum peer_step step, enum err code, bool theirs);
enum peer_step health_step(enum link_step step);

#endif /* NODE_HEALTH_H */
