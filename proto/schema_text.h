/* One value of a field, as text: its forms, checked and normalised.
 *
 * Inside of the schema module: others use schema.h. */

#ifndef PROTO_SCHEMA_TEXT_H
#define PROTO_SCHEMA_TEXT_H

#include "schema.h"

/* Turn @text, not empty, into the body value of one item of @f, which is
 * not an object. @row: from a CSV cell, where numbers and booleans are text
 * and spreadsheets leave traces; else from a document, where only the text
 * types come here. ERR_MALFORMED with *c but for its path; ERR_LIMIT. */
WARN_UNUSED enum err field_from_text(const struct field *f, struct slice text,
				     bool row, struct schema_context *x,
				     struct value *out, struct complaint *c);
/* A whole number or a decimal of @f into *out. Errors as above. */
WARN_UNUSED enum err field_from_number(const struct field *f, uint64_t v,
				       struct value *out, struct complaint *c);
/* Text of one language into a canonical string. Errors as above. */
WARN_UNUSED enum err field_from_words(const struct field *f, struct slice text,
				      struct schema_context *x,
				      struct value *out, struct complaint *c);
/* Does canonical @s have the form that @f asks for? An enum's words are
 * field_rank's business. */
bool field_has_form(const struct field *f, struct slice s);
bool text_is_language(struct slice s);

/* Say that @value of @f is wrong: "VALUE" and then @message, or without the
 * value when the field is personal. Returns ERR_MALFORMED. */
enum err complain_value(struct complaint *c, const struct field *f,
			const char *code, struct slice value,
			const char *message);
/* The cure of complain_value, kept apart because most have none of their
 * own. Returns ERR_MALFORMED. */
enum err complain_cure(struct complaint *c, const char *cure);
/* Is there no room left? Returns ERR_LIMIT. */
enum err complain_size(struct complaint *c);

/* Append @s to the NUL-terminated text in @at of @max bytes, cut at a
 * character and never beyond. */
void cut_put(char *at, size_t max, struct slice s);
void cut_put_str(char *at, size_t max, const char *s);

#endif /* PROTO_SCHEMA_TEXT_H */
