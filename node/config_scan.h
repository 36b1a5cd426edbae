/* A first reading of a YAML file against a libcyaml schema, for messages
 * that name the place: syntax, unknown and repeated keys, wrong shapes.
 *
 * libcyaml then converts the values; for a key it does not know it reports
 * the place of the value before, and files it does not like as empty. */

#ifndef NODE_CONFIG_SCAN_H
#define NODE_CONFIG_SCAN_H

#include <cyaml/cyaml.h>

#include "proto/bytes.h"

#define CONFIG_BYTES_MAX (1u << 20) /* of a configuration file */
#define CONFIG_KEYS_MAX 64u /* in one file, in all */

/* Where the value of a key stands. */
struct config_place {
	const struct cyaml_schema_field *field; /* of the schema */
	size_t line, column; /* from 1 */
};

struct config_scan {
	const char *path; /* for messages */
	size_t count;
	struct config_place places[CONFIG_KEYS_MAX];
};

/* Read @text, whose top is a mapping of @fields. On ERR_MALFORMED @why is
 * "path:line:column: what, and the cure". */
WARN_UNUSED enum err config_scan(struct config_scan *s, struct slice text,
				 const struct cyaml_schema_field *fields,
				 struct buf *why);
bool config_scan_has(const struct config_scan *s,
		     const struct cyaml_schema_field *field);
/* Start a message about the value of @field: "path:line:column: key: ", or
 * "path: key: " where it is absent. */
void config_scan_at(const struct config_scan *s,
		    const struct cyaml_schema_field *field, struct buf *why);

#endif /* NODE_CONFIG_SCAN_H */
