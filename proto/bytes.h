/* Slices, growable buffers and arenas: all memory handling of the project.
 *
 * Not responsible for what the bytes mean. Running out of memory ends the
 * process in one place (xmalloc); that is allowed because every size that a
 * peer controls is compared with limits.h first. */

#ifndef PROTO_BYTES_H
#define PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Borrowed bytes; never owned, never NUL-terminated. */
struct slice {
	const uint8_t *p; /* may be NULL when n is 0 */
	size_t n; /* bytes */
};

/* Owned bytes that grow up to a stated maximum. Errors are sticky: after
 * the first failure every put is a no-op and @err keeps the cause. */
struct buf {
	uint8_t *p; /* owned */
	size_t n; /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* n never exceeds this */
	enum err err; /* ERR_OK or ERR_LIMIT */
};

struct arena_block;

/* Bump allocator with a cap; everything in it is freed at once. */
struct arena {
	struct arena_block *head; /* newest block */
	size_t used; /* bytes handed out */
	size_t max; /* used never exceeds this */
};

/* Of a string literal, without its NUL: as a value, and as what a static
 * table is initialised with. */
#define SLICE_LIT(s) ((struct slice)SLICE_INIT(s))
#define SLICE_INIT(s)                                                          \
	{                                                                      \
		(const uint8_t *)(s), sizeof(s) - 1                            \
	}

static inline struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}
struct slice slice_str(const char *s); /* without the NUL */
bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *s);
/* memcmp order; the shorter first on a tie. */
int slice_compare(struct slice a, struct slice b);
bool slice_starts(struct slice a, struct slice prefix);
/* The part [from, from + n) of @a; asserts that it lies inside. */
struct slice slice_sub(struct slice a, size_t from, size_t n);
/* Split at the first @c: *head is what is before it, *rest what is after.
 * Returns false, with *head = a and *rest empty, when there is no @c. */
bool slice_cut(struct slice a, uint8_t c, struct slice *head,
	       struct slice *rest);

void buf_init(struct buf *b, size_t max_bytes);
void buf_free(struct buf *b); /* safe on zeroed */
/* Zero the bytes and free. Growing may leave copies behind: for a secret,
 * take all the room with the first buf_extend. */
void buf_wipe(struct buf *b);
void buf_reset(struct buf *b); /* empty, keeps memory, clears the error */
struct slice buf_slice(const struct buf *b); /* borrow until next put */
void buf_put(struct buf *b, struct slice s);
void buf_put_str(struct buf *b, const char *s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u32be(struct buf *b, uint32_t v);
void buf_put_u64be(struct buf *b, uint64_t v);
void buf_put_dec(struct buf *b, uint64_t v); /* decimal digits */
/* Append @n bytes for the caller to fill; NULL (and sticky) over the max. */
uint8_t *buf_extend(struct buf *b, size_t n);
/* Drop the first @n bytes. */
void buf_drop(struct buf *b, size_t n);

void arena_init(struct arena *a, size_t max_bytes);
void arena_free(struct arena *a); /* safe on zeroed */
void arena_reset(struct arena *a); /* keeps one block */
/* @n bytes aligned for any type, zeroed; NULL over the cap (ERR_LIMIT). */
void *arena_alloc(struct arena *a, size_t n);
/* @count elements of @size bytes; NULL over the cap or on overflow. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* A copy of @s in the arena. Returns ERR_LIMIT over the cap. */
WARN_UNUSED enum err arena_copy(struct arena *a, struct slice s,
				struct slice *out);

/* Never return NULL: they end the process when memory is out. */
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(struct slice s); /* NUL-terminated copy */

/* Overwrite memory that held a secret; not removed by the optimiser. */
void wipe(void *p, size_t n);

/* Big-endian integers at @p, which need not be aligned. */
static inline uint16_t get_u16be(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_u32be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t get_u64be(const uint8_t *p)
{
	return (uint64_t)get_u32be(p) << 32 | get_u32be(p + 4);
}

static inline void put_u16be(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_u32be(uint8_t *p, uint32_t v)
{
	put_u16be(p, (uint16_t)(v >> 16));
	put_u16be(p + 2, (uint16_t)v);
}

static inline void put_u64be(uint8_t *p, uint64_t v)
{
	put_u32be(p, (uint32_t)(v >> 32));
	put_u32be(p + 4, (uint32_t)v);
}

#endif /* PROTO_BYTES_H */
