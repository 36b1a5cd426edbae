#include "bytes.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* The first block of an arena, and the size up to which blocks double. */
#define ARENA_FIRST_BYTES 4096u
#define ARENA_BLOCK_BYTES (256u << 10)
/* A buffer's first allocation. */
#define BUF_FIRST_BYTES 64u

struct arena_block {
	struct arena_block *next; /* older */
	size_t n; /* bytes handed out, the rest is zero */
	size_t cap; /* bytes in data */
	alignas(max_align_t) uint8_t data[];
};

/* Slices. */

struct slice slice_str(const char *s)
{
	return slice_of(s, strlen(s));
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_is(struct slice a, const char *s)
{
	return slice_equal(a, slice_str(s));
}

int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool slice_starts(struct slice a, struct slice prefix)
{
	return a.n >= prefix.n &&
	       (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

struct slice slice_sub(struct slice a, size_t from, size_t n)
{
	assert(from <= a.n && n <= a.n - from);
	/* NULL + 0 is undefined in C. */
	return slice_of(a.p != NULL ? a.p + from : NULL, n);
}

bool slice_cut(struct slice a, uint8_t c, struct slice *head,
	       struct slice *rest)
{
	const uint8_t *at = a.n > 0 ? memchr(a.p, c, a.n) : NULL;
	size_t n;

	if (at == NULL) {
		*head = a;
		*rest = slice_of(NULL, 0);
		return false;
	}
	n = (size_t)(at - a.p);
	*head = slice_sub(a, 0, n);
	*rest = slice_sub(a, n + 1, a.n - n - 1);
	return true;
}

/* Buffers. */

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max = max_bytes };
}

void buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_wipe(struct buf *b)
{
	wipe(b->p, b->cap);
	buf_free(b);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->err = ERR_OK;
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->p, b->n);
}

static void grow(struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max)
		cap = b->max;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
	uint8_t *at;

	if (b->err != ERR_OK)
		return NULL;
	if (n > b->max - b->n) {
		b->err = ERR_LIMIT;
		return NULL;
	}
	if (n > b->cap - b->n || b->p == NULL)
		grow(b, b->n + n);
	at = b->p + b->n;
	b->n += n;
	return at;
}

void buf_put(struct buf *b, struct slice s)
{
	uint8_t *at = buf_extend(b, s.n);

	if (at != NULL && s.n > 0)
		memcpy(at, s.p, s.n);
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, slice_str(s));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	uint8_t *at = buf_extend(b, 1);

	if (at != NULL)
		*at = v;
}

void buf_put_u32be(struct buf *b, uint32_t v)
{
	uint8_t *at = buf_extend(b, 4);

	if (at != NULL)
		put_u32be(at, v);
}

void buf_put_u64be(struct buf *b, uint64_t v)
{
	uint8_t *at = buf_extend(b, 8);

	if (at != NULL)
		put_u64be(at, v);
}

void buf_put_dec(struct buf *b, uint64_t v)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_put(b, slice_of(digits + at, sizeof(digits) - at));
}

void buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->n);
	if (n > 0 && n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

/* Arenas. */

void arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){ .max = max_bytes };
}

void arena_free(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->head; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	arena_init(a, a->max);
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL;
	struct arena_block *next;

	for (struct arena_block *b = a->head; b != NULL; b = next) {
		next = b->next;
		if (keep == NULL && b->cap <= ARENA_BLOCK_BYTES)
			keep = b;
		else
			free(b);
	}
	if (keep != NULL) {
		memset(keep->data, 0, keep->n);
		keep->n = 0;
		keep->next = NULL;
	}
	a->head = keep;
	a->used = 0;
}

static struct arena_block *block_new(size_t cap)
{
	struct arena_block *b = xcalloc(1, sizeof(*b) + cap);

	b->cap = cap;
	return b;
}

/* A block with room for @n bytes. One that is large for the arena's present
 * block size gets its own, behind the head, whose rest stays usable. */
static struct arena_block *block_for(struct arena *a, size_t n)
{
	size_t cap = a->head != NULL ? a->head->cap * 2 : ARENA_FIRST_BYTES;
	struct arena_block *b;

	if (cap > ARENA_BLOCK_BYTES)
		cap = ARENA_BLOCK_BYTES;
	if (a->head != NULL && n > cap / 4) {
		b = block_new(n);
		b->next = a->head->next;
		a->head->next = b;
		return b;
	}
	b = block_new(n > cap ? n : cap);
	b->next = a->head;
	a->head = b;
	return b;
}

static void *take(struct arena *a, size_t n, size_t align)
{
	struct arena_block *b = a->head;
	size_t pad = b != NULL ? -b->n & (align - 1) : 0;
	void *at;

	if (n > a->max - a->used || pad > a->max - a->used - n)
		return NULL;
	if (b == NULL || n > b->cap - b->n || pad > b->cap - b->n - n) {
		b = block_for(a, n);
		pad = 0;
	}
	at = b->data + b->n + pad;
	b->n += pad + n;
	a->used += pad + n;
	return at;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return take(a, n, alignof(max_align_t));
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, count * size);
}

enum err arena_copy(struct arena *a, struct slice s, struct slice *out)
{
	uint8_t *at = take(a, s.n, 1);

	if (at == NULL)
		return ERR_LIMIT;
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	*out = slice_of(at, s.n);
	return ERR_OK;
}

/* Memory. */

void *xmalloc(size_t n)
{
	void *p = malloc(n > 0 ? n : 1);

	if (p == NULL)
		abort();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

void *xrealloc(void *old, size_t n)
{
	void *p = realloc(old, n > 0 ? n : 1);

	if (p == NULL)
		abort();
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(slice_str(s));
}

char *xstrndup(struct slice s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

void wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}
