/* The guard file: what the last own signature was, outside the store.
 *
 * A store that was restored from a backup does not know what it had signed
 * since; the guard does, or is missing, or is seen to be a copy, because its
 * inode number and birth time are written in it. Fixed size, two slots that
 * alternate, so that a torn write leaves the older one. PROTOCOL.md 15.5. */

#ifndef NODE_GUARD_H
#define NODE_GUARD_H

#include "proto/merkle.h"

#define GUARD_NOTE_BYTES 2048u /* a checkpoint with its own signature */

struct guard;

/* What the file says about itself. */
enum guard_file {
	GUARD_GENUINE, /* the file that was written here */
	GUARD_COPIED, /* another inode or birth time */
	GUARD_MISSING,
	GUARD_DAMAGED, /* neither slot is whole */
};

struct guard_state {
	enum guard_file file;
	struct head head; /* last own head; undefined when missing or
				 * damaged */
	uint32_t note_bytes;
	uint8_t note[GUARD_NOTE_BYTES]; /* as signed; none at size 0 */
};

/* Read the guard at @path, if there is one. ERR_IO; @why. */
WARN_UNUSED enum err guard_open(const char *path, struct guard **out,
				struct guard_state *state, struct buf *why);
void guard_close(struct guard *g); /* NULL is fine */
/* Write and sync; made when missing. Afterwards the file is genuine.
 * ERR_FULL: only at creation; ERR_IO; ERR_LIMIT: the note. */
WARN_UNUSED enum err guard_write(struct guard *g, const struct head *head,
				 struct slice note);

#endif /* NODE_GUARD_H */
