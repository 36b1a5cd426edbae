/* Files and directories as durable things, and sentences about failures.
 *
 * PROTOCOL.md section 15. */

#ifndef NODE_DISK_H
#define NODE_DISK_H

#include "proto/bytes.h"

/* Append a formatted sentence to @why; nothing when it is NULL. */
void say(struct buf *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ERR_FULL, ERR_NOT_FOUND, ERR_EXISTS, ERR_DENIED or ERR_IO for an errno. */
enum err err_of_errno(int number);

/* Give: the path of @name in @dir. */
char *path_join(const char *dir, const char *name);

/* Make a directory (0700) and sync its parent; one that exists is fine. */
WARN_UNUSED enum err disk_mkdir(const char *path, struct buf *why);
/* Make durable what was created, renamed or removed in @path. */
WARN_UNUSED enum err disk_sync_dir(const char *path, struct buf *why);
/* The same for the directory that @path is in. */
WARN_UNUSED enum err disk_sync_parent(const char *path, struct buf *why);
/* Rename and make it durable. */
WARN_UNUSED enum err disk_rename(const char *from, const char *to,
				 struct buf *why);
/* Write a new file, synced; its directory is not. ERR_EXISTS. */
WARN_UNUSED enum err disk_write_new(const char *path, unsigned mode,
				    struct slice content, struct buf *why);
/* Append the file to @out, at most @max bytes. */
WARN_UNUSED enum err disk_read(const char *path, size_t max, struct buf *out,
			       struct buf *why);
bool disk_exists(const char *path);

/* All @n bytes at @offset, whatever interrupts. */
WARN_UNUSED enum err disk_pwrite(int fd, const void *p, size_t n,
				 uint64_t offset);
/* *got < n only at the end of the file. */
WARN_UNUSED enum err disk_pread(int fd, void *p, size_t n, uint64_t offset,
				size_t *got);

#endif /* NODE_DISK_H */
