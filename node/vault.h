/* Salts of non-public bodies, outside LMDB, because LMDB is copy-on-write
 * and would keep an erased salt in a free page.
 *
 * One flat file a log, 32 bytes a record at seq * 32; a zero slot means no
 * salt. Written and synced before the commit that refers to it; slots at or
 * above the stored size are zeroed at start. PROTOCOL.md 15.3. */

#ifndef NODE_VAULT_H
#define NODE_VAULT_H

#include "proto/bytes.h"
#include "proto/limits.h"

struct vault;

/* @path: directory, made when absent (0700; files 0600). ERR_IO; @why. */
WARN_UNUSED enum err vault_open(const char *path, struct vault **out,
				struct buf *why);
void vault_close(struct vault *v); /* NULL is fine */
/* Put @count consecutive salts from @seq. ERR_FULL, ERR_IO. Writer only. */
WARN_UNUSED enum err vault_put(struct vault *v, uint32_t log, uint64_t seq,
			       const uint8_t *salts, size_t count);
/* Sync what was put since the last sync. */
WARN_UNUSED enum err vault_sync(struct vault *v);
/* ERR_NOT_FOUND: the slot is zero or beyond the file. Any thread. */
WARN_UNUSED enum err vault_get(struct vault *v, uint32_t log, uint64_t seq,
			       uint8_t out[LIMIT_SALT_BYTES]);
/* Zero and sync one slot (erasure). */
WARN_UNUSED enum err vault_erase(struct vault *v, uint32_t log, uint64_t seq);
/* Zero everything from @size up. Nobody asks for salts behind it meanwhile:
 * what is not committed has no readers. Writer only. */
WARN_UNUSED enum err vault_trim(struct vault *v, uint32_t log, uint64_t size);

#endif /* NODE_VAULT_H */
