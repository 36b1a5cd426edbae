/* A store filled with records of several members, without a writer: what a
 * node holds once replication has run. Ends the test on any failure. */

#ifndef TESTS_LIB_SHELF_H
#define TESTS_LIB_SHELF_H

#include "node/home.h"
#include "proto/record.h"

#define SHELF_LOGS 8

struct shelf {
	struct home home; /* config.member, store, vault, index, members */
	char dir[64];
	struct sealer *sealer;
	struct buf sealed, scratch;
	struct store_txn *txn; /* while adding */
	uint32_t log_count;
	char *origins[SHELF_LOGS];
	struct digest origin_hash[SHELF_LOGS];
	struct store_head heads[SHELF_LOGS];
};

/* @own: the member whose node this is. */
void shelf_open(struct shelf *s, const char *own);
void shelf_close(struct shelf *s);
/* The log of @member, made when new; @heard_ms: Unix ms. */
uint32_t shelf_log(struct shelf *s, const char *member, uint64_t heard_ms);
/* Append one record; as a replica, the node keeps no body that is not for
 * it. Returns its place. Call shelf_commit after the last. */
uint64_t shelf_add(struct shelf *s, uint32_t log, uint32_t kind,
		   uint64_t audience, struct slice body);
void shelf_commit(struct shelf *s);

#endif /* TESTS_LIB_SHELF_H */
