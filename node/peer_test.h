/* `peer test MEMBER`: one connection, step by step, each with its verdict.
 *
 * Dials by itself, on the calling thread, with or without a running node, as
 * a client that asks nothing: config, DNS, TCP, TLS, their key against our
 * pin, our key as they see it (which needs one frame from them), alliance and
 * protocol version, round trip. */

#ifndef NODE_PEER_TEST_H
#define NODE_PEER_TEST_H

#include "node/health.h"
#include "node/home.h"

#define PEER_TEST_MS 15000u /* no test takes longer */

struct peer_test_options {
	const struct home *home;
	struct slice member; /* whom to reach */
	bool (*is_cancelled)(void *arg); /* asked now and then; may be NULL */
	void *arg;
};

/* Append a canonical msgpack map: v, member, ok, address, round_trip_us, and
 * steps [{step, ok, code, side, text, cure}], in order, up to the first that
 * failed. side: "theirs" or "ours", whose operator can mend it. ERR_NOT_FOUND:
 * no such member (nothing is appended); ERR_LIMIT; ERR_MALFORMED,
 * ERR_CONFLICT: our own TLS identity (@why). */
WARN_UNUSED enum err peer_test(const struct peer_test_options *o,
			       struct buf *out, struct buf *why);

#endif /* NODE_PEER_TEST_H */
