/* A few threads that do the slices of one piece of work, over and over.
 *
 * The caller's thread does slice 0 and waits for the others. */

#ifndef NODE_IMPORT_POOL_H
#define NODE_IMPORT_POOL_H

#define IMPORT_SLICES 2u /* threads, with the caller's */

struct import_pool;

typedef void import_pool_cb(void *arg, unsigned slice);

struct import_pool *import_pool_open(void); /* give */
void import_pool_close(struct import_pool *p); /* take; NULL is fine */
/* Call @cb once for each slice in [0, IMPORT_SLICES), at the same time, and
 * return when all have returned. */
void import_pool_run(struct import_pool *p, import_pool_cb *cb, void *arg);

#endif /* NODE_IMPORT_POOL_H */
