/* The file is two slots of SLOT_BYTES. A slot:
 *
 *   0    8  "SYMGUARD"
 *   8    4  u32be format, 1
 *   12   8  u64be counter; the slot with the higher one counts
 *   20   8  u64be inode number of this file
 *   28   8  u64be birth time, seconds
 *   36   4  u32be birth time, nanoseconds
 *   40   8  u64be size of the own log
 *   48  32  root
 *   80   4  u32be bytes of the note
 *   84      note, then zeros
 *   4064 32 SHA-256 of all before */

#define _GNU_SOURCE /* statx */

#include "node/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/disk.h"

#define SLOT_BYTES 4096u
#define SLOTS 2u
#define GUARD_FORMAT 1u
#define SUM_AT (SLOT_BYTES - DIGEST_BYTES)
#define NOTE_AT 84u

static const char magic[] = "SYMGUARD";
#define MAGIC_BYTES (sizeof(magic) - 1)

static_assert(NOTE_AT + GUARD_NOTE_BYTES <= SUM_AT, "a note fits in a slot");

/* What tells a file from its copies. */
struct birth {
	uint64_t inode, seconds;
	uint32_t nanoseconds;
};

struct guard {
	char *path; /* owned */
	char *aside; /* owned; where it is made */
	int fd; /* -1: there is no file yet */
	struct birth birth; /* of the file at @fd */
	uint64_t counter; /* of the newest slot */
};

/* False when the file system does not tell birth times: then no file can be
 * told from its copy. */
static bool birth_of(int fd, struct birth *out)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0 ||
	    (st.stx_mask & (STATX_INO | STATX_BTIME)) !=
		    (STATX_INO | STATX_BTIME))
		return false;
	out->inode = st.stx_ino;
	out->seconds = (uint64_t)st.stx_btime.tv_sec;
	out->nanoseconds = st.stx_btime.tv_nsec;
	return true;
}

static void write_slot(uint8_t slot[SLOT_BYTES], const struct guard *g,
		       const struct head *head, struct slice note)
{
	struct digest sum;

	memset(slot, 0, SLOT_BYTES);
	memcpy(slot, magic, MAGIC_BYTES);
	put_u32be(slot + 8, GUARD_FORMAT);
	put_u64be(slot + 12, g->counter);
	put_u64be(slot + 20, g->birth.inode);
	put_u64be(slot + 28, g->birth.seconds);
	put_u32be(slot + 36, g->birth.nanoseconds);
	put_u64be(slot + 40, head->size);
	memcpy(slot + 48, head->root.b, DIGEST_BYTES);
	put_u32be(slot + 80, (uint32_t)note.n);
	if (note.n > 0)
		memcpy(slot + NOTE_AT, note.p, note.n);
	sum = hash_bytes(slice_of(slot, SUM_AT));
	memcpy(slot + SUM_AT, sum.b, DIGEST_BYTES);
}

static bool is_whole(const uint8_t slot[SLOT_BYTES])
{
	struct digest sum = hash_bytes(slice_of(slot, SUM_AT));

	return memcmp(slot, magic, MAGIC_BYTES) == 0 &&
	       memcmp(slot + SUM_AT, sum.b, DIGEST_BYTES) == 0 &&
	       get_u32be(slot + 8) == GUARD_FORMAT &&
	       get_u32be(slot + 80) <= GUARD_NOTE_BYTES;
}

static bool is_born_here(const uint8_t slot[SLOT_BYTES], struct birth b,
			 bool has_birth)
{
	return has_birth && get_u64be(slot + 20) == b.inode &&
	       get_u64be(slot + 28) == b.seconds &&
	       get_u32be(slot + 36) == b.nanoseconds;
}

static void read_state(struct guard *g, struct guard_state *state,
		       const uint8_t *slots)
{
	const uint8_t *newest = NULL;
	bool has_birth = birth_of(g->fd, &g->birth);

	for (size_t i = 0; i < SLOTS; i++) {
		const uint8_t *slot = slots + i * SLOT_BYTES;

		if (is_whole(slot) &&
		    (newest == NULL || get_u64be(slot + 12) > g->counter)) {
			newest = slot;
			g->counter = get_u64be(slot + 12);
		}
	}
	state->file = GUARD_DAMAGED;
	if (newest == NULL)
		return;
	state->file = is_born_here(newest, g->birth, has_birth) ? GUARD_GENUINE
								: GUARD_COPIED;
	state->head.size = get_u64be(newest + 40);
	memcpy(state->head.root.b, newest + 48, DIGEST_BYTES);
	state->note_bytes = get_u32be(newest + 80);
	memcpy(state->note, newest + NOTE_AT, state->note_bytes);
}

enum err guard_open(const char *path, struct guard **out,
		    struct guard_state *state, struct buf *why)
{
	struct guard *g = xcalloc(1, sizeof(*g));
	uint8_t slots[SLOTS * SLOT_BYTES] = { 0 };
	size_t got;

	*state = (struct guard_state){ .file = GUARD_MISSING };
	g->path = xstrdup(path);
	g->aside = xmalloc(strlen(path) + sizeof(".new"));
	memcpy(g->aside, path, strlen(path));
	memcpy(g->aside + strlen(path), ".new", sizeof(".new"));
	g->fd = open(path, O_RDWR | O_CLOEXEC);
	if (g->fd >= 0 &&
	    disk_pread(g->fd, slots, sizeof(slots), 0, &got) == ERR_OK) {
		read_state(g, state, slots);
	} else if (g->fd >= 0 || errno != ENOENT) {
		say(why, "cannot read %s: %s", path, strerror(errno));
		guard_close(g);
		return ERR_IO;
	}
	*out = g;
	return ERR_OK;
}

void guard_close(struct guard *g)
{
	if (g == NULL)
		return;
	if (g->fd >= 0)
		close(g->fd);
	free(g->path);
	free(g->aside);
	free(g);
}

/* Make the file aside, with all its room, so that a full disk cannot stop a
 * later write. What is killed on the way leaves no guard but none at all. */
static enum err create(struct guard *g)
{
	uint8_t empty[SLOTS * SLOT_BYTES] = { 0 };
	enum err err;

	g->fd = open(g->aside, O_RDWR | O_CLOEXEC | O_CREAT | O_TRUNC, 0600);
	if (g->fd < 0)
		return err_of_errno(errno);
	err = disk_pwrite(g->fd, empty, sizeof(empty), 0);
	if (err == ERR_OK && fsync(g->fd) != 0)
		err = err_of_errno(errno);
	birth_of(g->fd, &g->birth);
	return err;
}

static enum err write_next(struct guard *g, const struct head *head,
			   struct slice note)
{
	uint8_t slot[SLOT_BYTES];
	enum err err;

	g->counter++;
	write_slot(slot, g, head, note);
	err = disk_pwrite(g->fd, slot, sizeof(slot),
			  g->counter % SLOTS * SLOT_BYTES);
	if (err == ERR_OK && fdatasync(g->fd) != 0)
		err = err_of_errno(errno);
	return err;
}

enum err guard_write(struct guard *g, const struct head *head,
		     struct slice note)
{
	bool is_new = g->fd < 0;
	enum err err = ERR_OK;

	if (note.n > GUARD_NOTE_BYTES)
		return ERR_LIMIT;
	if (is_new)
		err = create(g);
	if (err == ERR_OK)
		err = write_next(g, head, note);
	if (err == ERR_OK && is_new)
		err = disk_rename(g->aside, g->path, NULL);
	if (err != ERR_OK && is_new && g->fd >= 0) {
		close(g->fd);
		g->fd = -1;
		unlink(g->aside);
	}
	return err;
}
