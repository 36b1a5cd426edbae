/* A member's directory for tests: made, opened, filled, and fed with chunks
 * of another's log, with no network in between.
 *
 * Everything ends the test on failure unless it returns an error. */

#ifndef TESTS_NODE_NEST_H
#define TESTS_NODE_NEST_H

#include "node/home.h"

#define NEST_EVENTS 64u

struct nest {
	char *dir; /* owned */
	struct home home; /* while open */
	struct preparer preparer;
	struct arena arena;
	uint64_t last_seq; /* of the newest nest_append */
	unsigned event_count;
	struct head event_head[NEST_EVENTS]; /* held, of the first ones */
};

/* Make keys and configuration of @member in @root/@member; not opened. */
void nest_make(struct nest *n, const char *root, const char *member);
/* Use a directory that is there. */
void nest_use(struct nest *n, const char *dir);
enum err nest_try(struct nest *n, struct buf *why);
void nest_open(struct nest *n);
void nest_close(struct nest *n); /* the directory stays */
void nest_free(struct nest *n); /* closes if open; the directory stays */

/* The signed card of the open nest, without a predecessor: it follows no
 * version but an older one than the last. Give: buf_free. */
struct buf nest_card(struct nest *n, uint64_t version);
/* One alliance of these nests, roster and cards installed in all. */
void nest_ally(struct nest *const *n, size_t count);
/* Sign roster @version with the same members, @removed at @final. */
void nest_expel(struct nest *const *n, size_t count, size_t removed,
		const struct head *final);

/* Run @apply on the writer thread with @arg. */
typedef enum err nest_apply(struct writer_txn *t, void *arg);
enum err nest_run(struct nest *n, nest_apply *apply, void *arg);

/* The body of an offer, @bytes long or a little more. In @a. */
struct slice nest_body(struct arena *a, const char *id, size_t bytes);
/* Append @count offers named "PREFIX<number>" in one job. */
enum err nest_append(struct nest *n, const char *prefix, uint32_t count,
		     uint64_t audience);

/* A chunk as the wire would bring it; memory in @a. */
struct nest_chunk {
	struct writer_chunk chunk;
	struct slice origin;
};
/* Read [from, from + count) of @origin from @n, under its newest note, with
 * the bodies if @with_bodies. */
void nest_read(struct nest *n, struct slice origin, uint64_t from,
	       uint32_t count, bool with_bodies, struct arena *a,
	       struct nest_chunk *out);
/* Give it to @n. */
enum err nest_accept(struct nest *n, const struct nest_chunk *c);
/* All that @to lacks of @from's own log, in chunks of @count. */
enum err nest_sync(struct nest *from, struct nest *to, uint32_t count);

/* Head of @origin at @n; the note goes into @note (may be NULL). */
struct store_head nest_head(struct nest *n, struct slice origin,
			    struct buf *note);
/* Re-verify the stored log of @origin: every leaf, every body, the head. */
void nest_check(struct nest *n, struct slice origin);
/* How many records of @id are found by_id in @origin. */
unsigned nest_find(struct nest *n, struct slice origin, const char *id);

#endif /* TESTS_NODE_NEST_H */
