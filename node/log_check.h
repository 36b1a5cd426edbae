/* One log verified again from what lies on the disk, as if nothing that was
 * ever checked were known.
 *
 * Every leaf is hashed, every body that is held is opened and its commitment
 * recomputed, the root is compared with the signed head and that with the
 * member's key, stored subtrees are compared, and index entries of a sample
 * are looked up. Reads in short transactions: the log may grow meanwhile.
 * PROTOCOL.md section 15. */

#ifndef NODE_LOG_CHECK_H
#define NODE_LOG_CHECK_H

#include "node/home.h"

#define LOG_CHECK_FAULTS 16u /* told one by one */
#define LOG_CHECK_FAULT_BYTES 192u

struct log_report {
	struct slice member; /* into origin */
	char origin[LIMIT_ORIGIN_BYTES + 1];
	uint64_t size; /* records held when the check began */
	uint64_t signed_size; /* of the newest signed head */
	uint64_t opened; /* bodies whose commitment is right */
	uint64_t withheld; /* leaves without a body here */
	uint64_t indexed; /* records whose index entries were looked up */
	uint64_t fault_count;
	uint32_t told; /* of faults */
	char faults[LOG_CHECK_FAULTS][LOG_CHECK_FAULT_BYTES];
};

/* ERR_OK: the check ran to its end, r->fault_count says what it found;
 * ERR_CLOSED: @is_cancelled (may be NULL) returned true; else the store's
 * errors. */
WARN_UNUSED enum err log_check(const struct home *h, uint32_t log,
			       bool (*is_cancelled)(void *arg), void *arg,
			       struct log_report *r);

#endif /* NODE_LOG_CHECK_H */
