/* One id with two contents in one file: found in bounded memory.
 *
 * Takes 24 bytes a row; above IMPORT_SEEN_MAX rows they go to nameless files
 * that are sorted part by part. Knows hashes and lines only. */

#ifndef NODE_IMPORT_SEEN_H
#define NODE_IMPORT_SEEN_H

#include "proto/bytes.h"

#define IMPORT_SEEN_MAX (1u << 20) /* rows held in memory */
#define IMPORT_SEEN_PARTS 64u /* files, by the first bits of the id's hash */
#define IMPORT_ROWS_MAX (1ull << 28) /* rows of one file */
#define IMPORT_CLASHES_MAX (1u << 20) /* rows that clash, of one file */

#define IMPORT_SEEN_COUNTED 0x80u /* in mark: count this id */

struct import_seen_row {
	uint64_t id; /* keyed hash */
	uint64_t content; /* keyed hash */
	uint64_t line : 56;
	uint64_t mark : 8; /* the caller's, told back; and whether to count */
};

/* A row that says something about the same id as @other, which is before it
 * or says something else. */
struct import_clash {
	uint64_t line;
	uint64_t other;
	uint8_t mark;
	bool repeat; /* it says the same */
};

struct import_seen {
	const char *dir; /* for the files; borrowed */
	struct import_seen_row *rows; /* owned */
	uint32_t count, cap;
	uint64_t total;
	int parts[IMPORT_SEEN_PARTS]; /* descriptors, or -1 */
	struct import_clash *clashes; /* owned */
	uint32_t clash_count, clash_cap;
	uint64_t counted; /* ids whose rows agree and are to be counted */
	bool with_repeats; /* set by the caller: repeats are clashes too */
};

void import_seen_init(struct import_seen *s, const char *dir);
void import_seen_free(struct import_seen *s);
/* ERR_LIMIT: IMPORT_ROWS_MAX; ERR_FULL, ERR_IO: the files. */
WARN_UNUSED enum err import_seen_add(struct import_seen *s,
				     const struct import_seen_row *r);
/* After the last row: fill in clashes, in no order. ERR_LIMIT:
 * IMPORT_CLASHES_MAX; ERR_IO. */
WARN_UNUSED enum err import_seen_finish(struct import_seen *s);

#endif /* NODE_IMPORT_SEEN_H */
