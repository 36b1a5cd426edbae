/* Building documents for status and tests: maps and lists of a value tree.
 *
 * The arena must have the room (asserted): sizes are the caller's. */

#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include "proto/value.h"

/* An empty map or list with room for @room; filled by the calls below. */
struct value report_map(struct arena *a, uint32_t room);
struct value report_list(struct arena *a, uint32_t room);
void report_set(struct value *map, const char *key, struct value v);
void report_add(struct value *list, struct value v);
/* Text, copied into the arena. */
struct value report_text(struct arena *a, struct slice s);
struct value report_cstr(struct arena *a, const char *s);
struct value report_hex(struct arena *a, struct slice bytes);
/* RFC 3339 of Unix milliseconds. */
struct value report_time(struct arena *a, uint64_t unix_ms);

#endif /* NODE_REPORT_H */
