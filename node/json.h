/* JSON in: one text into a tree of values.
 *
 * jansson parses; before it sees a byte, size, depth, number of values and
 * the precision of decimals were checked, because it recurses and keeps
 * numbers as doubles. Duplicate names are refused. What fields mean is
 * schema.h's business; output is value_put_json. PROTOCOL.md 11.3. */

#ifndef NODE_JSON_H
#define NODE_JSON_H

#include "proto/value.h"

#define JSON_DIGITS_MAX 15 /* of a decimal; a double holds so many exactly */

/* Why a text was refused. */
struct json_fault {
	const char *code; /* static: "bad-json", "too-deep", ... */
	size_t at; /* byte, from 0 */
	char message[160]; /* one sentence without a full stop; holds no
			    * value, at most a name */
};

/* Parse exactly one value, at most LIMIT_LINE_BYTES long; blanks may be
 * around it. Whole numbers become UINT or INT, others DECIMAL with the
 * shortest digits; members that are null are left out. Everything is copied
 * into @a. ERR_MALFORMED, or ERR_LIMIT (size, depth, count, arena); *fault
 * says more. */
WARN_UNUSED enum err json_parse(struct slice text, struct arena *a,
				struct value *out, struct json_fault *fault);

#endif /* NODE_JSON_H */
