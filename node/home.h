/* An opened node directory: lock, configuration, keys, store, vault, writer,
 * members. What `serve` and every command without a running node stand on.
 *
 * DIR holds symbolon.yaml, keys/, data/ (lock, store, vault, guard) and the
 * control socket. */

#ifndef NODE_HOME_H
#define NODE_HOME_H

#include "node/config.h"
#include "node/index.h"
#include "node/writer.h"

struct home {
	char *dir; /* absolute path; owned */
	struct config config;
	struct keys keys;
	struct index_keys index;
	struct store *store;
	struct vault *vault;
	struct members_cell *members;
	struct writer *writer;
	uint32_t own_log; /* number in the store */
	char *origin; /* own log's origin; owned */
	struct digest origin_hash;
	int lock_fd;
	/* By the store's log number, LIMIT_LOGS: Unix ms when a running node
	 * last heard a log's origin; newer than what the store keeps. NULL
	 * or 0: ask the store. */
	_Atomic uint64_t *heard_ms; /* owned */
};

struct home_options {
	const char *dir;
	writer_event_cb *on_commit; /* may be NULL */
	void *arg;
};

/* ERR_NOT_FOUND: no symbolon.yaml (try init); ERR_BUSY: another process has
 * the lock; else as config_load, keys_load, store_open, writer_start.
 * Standing alone (no `serve`), signing is allowed when writer_is_trusted. */
WARN_UNUSED enum err home_open(const struct home_options *o, struct home *out,
			       struct buf *why);
void home_close(struct home *h);
uint64_t now_ms(void); /* Unix milliseconds, wall clock */

#endif /* NODE_HOME_H */
