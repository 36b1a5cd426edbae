/* Reading canonical msgpack: a scan without allocation, then a cursor.
 *
 * dec_scan accepts exactly one document in canonical form (PROTOCOL.md 3.2)
 * within the limits; after it the cursor cannot meet a bad byte. The cursor
 * checks all the same and keeps the first error, so that a sequence of
 * reads needs one check at its end. Strings and binaries are borrowed from
 * the input. */

#ifndef PROTO_DEC_H
#define PROTO_DEC_H

#include "bytes.h"

enum dec_type {
	DEC_UINT, /* any non-negative integer */
	DEC_INT, /* a negative integer */
	DEC_BOOL,
	DEC_STR,
	DEC_BIN,
	DEC_ARRAY,
	DEC_MAP,
	DEC_END, /* nothing left, or an error before */
};

struct dec {
	struct slice in; /* what is left */
	enum err err; /* first failure, else ERR_OK */
};

/* Check that @s is one canonical document: shortest forms, sorted unique
 * string keys, UTF-8 strings, no nil, float or ext, at most LIMIT_DEPTH
 * containers inside one another and LIMIT_ITEMS values (keys count too),
 * nothing behind it. No string, list or map can be announced that the rest
 * of @s could not hold.
 *   ERR_TRUNCATED  @s ends before the value does
 *   ERR_MALFORMED  not canonical, or bytes behind the value
 *   ERR_LIMIT      too deep or too many
 * *why (may be NULL) then begins with the number of the clause; static. */
WARN_UNUSED enum err dec_scan(struct slice s, const char **why);

/* Reads: 0, false or empty on error. The sticky error is ERR_TRUNCATED,
 * ERR_MALFORMED (another type, or not canonical) or ERR_LIMIT. */
void dec_init(struct dec *d, struct slice s);
enum dec_type dec_peek(const struct dec *d);
uint32_t dec_array(struct dec *d); /* count; 0 on error */
/* As dec_array, and ERR_MALFORMED unless the count is @want. */
void dec_array_of(struct dec *d, uint32_t want);
uint32_t dec_map(struct dec *d); /* pairs */
uint64_t dec_uint(struct dec *d);
uint64_t dec_uint_max(struct dec *d, uint64_t max); /* ERR_LIMIT above */
int64_t dec_int(struct dec *d); /* of either sign; ERR_LIMIT over int64 */
bool dec_bool(struct dec *d);
struct slice dec_str(struct dec *d);
struct slice dec_bin(struct dec *d);
void dec_bin_into(struct dec *d, uint8_t *out, size_t n); /* exactly n */
struct slice dec_skip(struct dec *d); /* one value, as bytes */
WARN_UNUSED enum err dec_finish(const struct dec *d); /* nothing left */

/* Look @key up in the map that @map encodes, which was scanned: sorted keys
 * let the search end early. *value borrows its bytes, untouched if absent.
 * Returns false when absent or when @map is not a map. */
bool dec_find(struct slice map, const char *key, struct slice *value);
/* Typed look-ups of one field; the default when absent or of another type. */
struct slice dec_find_str(struct slice map, const char *key);
uint64_t dec_find_uint(struct slice map, const char *key, uint64_t absent);

#endif /* PROTO_DEC_H */
