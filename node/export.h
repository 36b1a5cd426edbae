/* Export: the newest version of each record of a kind, and the feed of what
 * comes in.
 *
 * An export imports again with nothing changed, and two exports of one state
 * are the same bytes. PROTOCOL.md section 11.7. */

#ifndef NODE_EXPORT_H
#define NODE_EXPORT_H

#include "node/cmd.h"
#include "node/import_own.h"

#define EXPORT_LANGUAGES_MAX 64u /* columns of one language map */

struct export_options {
	const struct schema *schema;
	bool csv;
	bool person; /* with personal fields */
};

/* Write all to standard output, in the order of the log. Returns enum
 * exit_code; says what fails. */
int export_kind(struct cmd *c, const struct export_options *o);

/* One record as a document for export: what only the node sets is left out,
 * what the importer asks for is added (a status's credential; with @person a
 * credential's subject). Top-level fields are in the order of the table. All
 * memory is @a's. ERR_NOT_FOUND: no body here. */
WARN_UNUSED enum err export_document(struct own *o, const struct schema *s,
				     uint64_t seq, bool person, struct arena *a,
				     struct value *out);

struct changes_options {
	const char *since; /* a cursor, "now", or NULL: from the beginning */
	const struct schema *schema; /* NULL: all kinds */
	bool follow;
	bool person;
};

/* One line for each readable record of all logs held here. A cursor is
 * MEMBER/GENERATION:NEXT, one for each log, separated by commas. */
int export_changes(struct cmd *c, const struct changes_options *o);

#endif /* NODE_EXPORT_H */
