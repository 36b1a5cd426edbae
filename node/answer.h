/* Answers for people and as JSON, from the answer document.
 *
 * Reads documents of recognise.h, also ones that came from another member's
 * node: whatever is in them is shown, never trusted. The text form has one
 * fact a line, the answer first. PROTOCOL.md 12.8, 12.10. */

#ifndef NODE_ANSWER_H
#define NODE_ANSWER_H

#include "proto/value.h"

/* Decode @doc into the arena. Errors as value_decode. */
WARN_UNUSED enum err answer_read(struct slice doc, struct arena *a,
				 struct value *out);
/* Is it the document of a failure? *code is its enum err. */
bool answer_is_error(const struct value *doc, enum err *code);

/* Turn whole hundredths into decimals, for cmd_out_json; in place. */
WARN_UNUSED enum err answer_to_json(struct value *doc, struct arena *a);
/* Append the text form; lines end in '\n'. Of an error document, its message
 * and candidates. */
void answer_put_text(const struct value *doc, struct buf *out);
/* The heading's first words ("RECOGNISED IN FULL"), static, and append what
 * is granted in one line, for answers side by side. */
const char *answer_heading(const struct value *doc);
void answer_put_brief(const struct value *doc, struct buf *out);
/* Append what one of them stands on: who recognises, evidence, copy. */
void answer_put_ground(const struct value *doc, struct buf *out);
/* Append in two lines what copies the undetermined ones of @n answers come
 * from; nothing when none is. */
void answer_put_rest(const struct value *docs, uint32_t n, struct buf *out);

#endif /* NODE_ANSWER_H */
