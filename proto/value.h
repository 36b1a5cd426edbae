/* A document as a tree: what JSON, CSV and msgpack have in common.
 *
 * Trees live in an arena and borrow their strings from it or from the
 * input. For building bodies and rendering answers; hot paths read encoded
 * bytes with dec.h instead. */

#ifndef PROTO_VALUE_H
#define PROTO_VALUE_H

#include "bytes.h"

enum value_type {
	VALUE_UINT,
	VALUE_INT, /* negative */
	VALUE_DECIMAL, /* text of a JSON number with a fraction; never
				 * encoded: schema.h turns it into hundredths */
	VALUE_BOOL,
	VALUE_STR,
	VALUE_BIN,
	VALUE_ARRAY,
	VALUE_MAP,
};

struct value_pair;

struct value {
	enum value_type type;
	uint32_t count; /* items or pairs */
	union {
		uint64_t u;
		int64_t i;
		bool b;
		struct slice s; /* STR, BIN, DECIMAL */
		struct value *items; /* ARRAY */
		struct value_pair *pairs; /* MAP, in any order */
	};
};

struct value_pair {
	struct slice key;
	struct value value;
};

struct value value_str(struct slice s);
struct value value_uint(uint64_t u);
struct value value_bool(bool b);
/* Room for @count items or pairs, all zeroed. ERR_LIMIT: arena full. */
WARN_UNUSED enum err value_array(struct arena *a, uint32_t count,
				 struct value *out);
WARN_UNUSED enum err value_map(struct arena *a, uint32_t count,
			       struct value *out);
/* The value of @key, or NULL (also when @v is NULL or not a map). */
const struct value *value_get(const struct value *v, const char *key);
/* The string of @key, empty when absent or not a string. */
struct slice value_get_str(const struct value *v, const char *key);
uint64_t value_get_uint(const struct value *v, const char *key,
			uint64_t absent);

/* Sort the keys of all maps and append canonical msgpack.
 * ERR_MALFORMED: duplicate key, DECIMAL, or a string that is not UTF-8;
 * ERR_LIMIT: too deep, too many, or @out full. */
WARN_UNUSED enum err value_encode(struct value *v, struct buf *out);
/* Read one canonical document. Errors as dec_scan, ERR_LIMIT: arena full. */
WARN_UNUSED enum err value_decode(struct slice s, struct arena *a,
				  struct value *out);
/* Append JSON without blanks, keys in the order of the tree; BIN as base64.
 * Strings are taken to be UTF-8; only what JSON demands is escaped. */
void value_put_json(const struct value *v, struct buf *out);

#endif /* PROTO_VALUE_H */
