/* What the files of the text form share; nobody else includes this.
 *
 * answer_text.c has the answer itself, answer_ground.c what it stands on. */

#ifndef NODE_ANSWER_IMPL_H
#define NODE_ANSWER_IMPL_H

#include <string.h>

#include "node/answer.h"
#include "proto/text.h"

#define LABEL_COLUMNS 12

/* Begin a line with its label. */
static inline void label(struct buf *b, const char *name)
{
	size_t n = strlen(name);

	buf_put_str(b, "  ");
	buf_put_str(b, name);
	for (; n < LABEL_COLUMNS; n++)
		buf_put_u8(b, ' ');
}

static inline void end(struct buf *b)
{
	buf_put_u8(b, '\n');
}

/* Text from a document: no line break may pass for a line of ours. */
static inline void put(struct buf *b, struct slice s)
{
	if (text_is_clean(s)) {
		buf_put(b, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		buf_put_u8(b, s.p[i] < 0x20 || s.p[i] >= 0x7f ? '?' : s.p[i]);
}

static inline void put_field(struct buf *b, const struct value *v,
			     const char *key)
{
	put(b, value_get_str(v, key));
}

static inline void line(struct buf *b, const char *name, struct slice text)
{
	label(b, name);
	put(b, text);
	end(b);
}

static inline bool has(const struct value *v, const char *key)
{
	return value_get(v, key) != NULL;
}

static inline bool is(const struct value *v, const char *key, const char *word)
{
	return slice_is(value_get_str(v, key), word);
}

static inline bool is_true(const struct value *v, const char *key)
{
	const struct value *b = value_get(v, key);

	return b != NULL && b->type == VALUE_BOOL && b->b;
}

static inline uint32_t count(const struct value *v, const char *key)
{
	const struct value *list = value_get(v, key);

	return list != NULL && list->type == VALUE_ARRAY ? list->count : 0;
}

/* The item of a list that is known to be there. */
static inline const struct value *item(const struct value *v, const char *key,
				       uint32_t i)
{
	return &value_get(v, key)->items[i];
}

static inline void put_count(struct buf *b, const struct value *v,
			     const char *key, const char *unit)
{
	text_put_hundredths(b, value_get_uint(v, key, 0));
	buf_put_u8(b, ' ');
	buf_put_str(b, unit);
}

/* answer_ground.c: the lines of evidence, of the copy that was asked, of what
 * is kept back from the asker, and of what was weighed. */
void ground_evidence(struct buf *b, const struct value *doc);
void ground_copy(struct buf *b, const struct value *doc);
void ground_withheld(struct buf *b, const struct value *doc);
void ground_considered(struct buf *b, const struct value *doc);

#endif /* NODE_ANSWER_IMPL_H */
