/* The status document: what is held, who is there, what is wrong.
 *
 * One canonical msgpack map; the commands print it as JSON or as tables.
 *
 *   v             1
 *   member, name
 *   running       bool
 *   alliance      {name, id, version, members}, absent without one
 *   signing       "allowed", "waiting", "recovering"
 *   awaited       names of partners, separated by ", "
 *   listen        address, when running
 *   since         instant of the start, when running
 *   health        [{code, severity, subject, text, cure}], worst first
 *   logs          [{member, origin, size, head, needed, cosignatures,
 *                   frozen, own, missing, heard, source, reason}]; size:
 *                 records held; head: root of the newest signed head held;
 *                 needed: records known of that are not here
 *   peers         [{member, state, since, code, reason, address, heard,
 *                   next, dialled}]; state: "up", "connecting", "down"
 *   refused       [{address, key, code, reason, at, times}]
 *   store         {map_bytes, used_bytes, readers} */

#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include "node/peer.h"

struct status_source {
	const struct home *home;
	const struct peers *peers; /* NULL: the node is not running */
	uint64_t started_ms; /* Unix */
	const char *reload_error; /* NULL: none */
	const char *card_error; /* own card and configuration differ */
};
/* Append the document. With peers, on the loop thread. ERR_LIMIT; errors of
 * the store. */
WARN_UNUSED enum err status_put(const struct status_source *s, struct buf *out);

/* Worst severity in a status document. */
enum severity status_worst(const struct value *status);

#endif /* NODE_STATUS_H */
