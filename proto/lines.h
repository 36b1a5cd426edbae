/* Reading documents made of lines "key value": sticky errors with a reason.
 *
 * For members' documents and portable proofs. Knows no document; whoever
 * parses one checks afterwards that writing it again gives the same bytes,
 * so that blanks and leading zeros need no care here. PROTOCOL.md 3.5. */

#ifndef PROTO_LINES_H
#define PROTO_LINES_H

#include "hash.h"

/* The first failure is kept; after it nothing is read any more. */
struct lines {
	struct slice rest; /* what is left, borrowed */
	enum err err; /* first failure, else ERR_OK */
	const char *why; /* static text about it, else "" */
};

void lines_init(struct lines *l, struct slice text);
void lines_fail(struct lines *l, enum err err, const char *why);
/* Does the next line begin with @key? False after a failure. */
bool lines_at(const struct lines *l, const char *key);
/* Take one line that begins with @key and return what is behind it, without
 * the newline. ERR_MALFORMED with @why when it is another. */
struct slice lines_take(struct lines *l, const char *key, const char *why);
/* How many of the next lines in a row begin with @key. */
uint32_t lines_count(const struct lines *l, const char *key);
/* Numbers and hashes (64 hex digits); @why as above. */
uint64_t lines_u64(struct lines *l, struct slice s, const char *why);
struct digest lines_digest(struct lines *l, struct slice s, const char *why);
/* Cut the next word off @line; the rest is empty behind the last one. */
struct slice lines_word(struct slice *line);

#endif /* PROTO_LINES_H */
