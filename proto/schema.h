/* What bodies say: one table of fields a record kind, and all that is read
 * off it.
 *
 * Checking, JSON in and out, CSV columns, command help and the written
 * reference come from the tables in schema_kinds.c; nobody lists the fields
 * twice. Not responsible for how files are read (node/json.h, node/csv.h)
 * nor for what a body means to recognition. PROTOCOL.md section 11.
 *
 * Three forms of one record:
 *   document  a JSON-shaped struct value, as users write it
 *   row       CSV cells under a header, nested fields flattened
 *   body      canonical msgpack, what the log commits to
 * In a body decimals are whole hundredths (FIELD_HUNDREDTHS), everything
 * else is the document field for field. */

#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include "limits.h"
#include "record.h"
#include "value.h"

/* What one value (or one item of a list) is. All strings in a body are
 * canonical text (text.h) and never empty. */
enum field_type {
	FIELD_ID, /* text, the record's own id: at most
				 * LIMIT_ID_BYTES, no blank at either end */
	FIELD_CODE, /* text: course code, grade, reference to a
				 * record (ID or MEMBER/ID), LIMIT_ID_BYTES */
	FIELD_TEXT, /* text for people, LIMIT_TEXT_BYTES */
	FIELD_DATE, /* text, YYYY-MM-DD */
	FIELD_INSTANT, /* text, RFC 3339 with Z; input may be a date,
				 * which means its first second */
	FIELD_UINT, /* uint, min..max of the field */
	FIELD_HUNDREDTHS, /* uint, hundredths: ects, credits, fees */
	FIELD_BOOL, /* bool */
	FIELD_ENUM, /* text, one of field.words */
	FIELD_DOMAIN, /* text, lower-case DNS name: an institution */
	FIELD_COUNTRY, /* text, two capital letters, ISO 3166-1 */
	FIELD_LANGUAGE, /* text, BCP 47: "en", "pt-br" in lower case */
	FIELD_ISCED, /* text, 2 to 4 digits of ISCED-F 2013 */
	FIELD_URI, /* text with a scheme, no blanks */
	FIELD_MAILBOX, /* text, local@domain */
	FIELD_SHA256, /* text, 64 lower-case hex digits */
	FIELD_NUMBER, /* text, 32 lower-case hex digits: a learner
				 * number, given by the node */
	FIELD_POSITION, /* uint, place in the own log, given by node */
	FIELD_LANGUAGE_MAP, /* map: language -> text, at least one */
	FIELD_OBJECT, /* map with the fields of field.shape */
};

enum field_flag {
	FIELD_IS_LIST = 1, /* array of these, at least one item */
	FIELD_REQUIRED = 2,
	FIELD_PERSONAL = 4, /* shown only on request; never in messages */
	FIELD_INPUT = 8, /* in documents and rows, never in a body */
	FIELD_STORED = 16, /* set by the node: only in a body */
	FIELD_PAST = 32, /* warned about when in the future */
	FIELD_MEMBER = 64, /* must name the importing member itself */
	FIELD_STANDS = 128, /* of FIELD_STORED: may be given instead of the
				* required FIELD_INPUT object */
};

struct shape;

struct field {
	const char *name; /* in documents and bodies */
	enum field_type type;
	unsigned flags; /* FIELD_* */
	uint64_t min, max; /* FIELD_UINT; max 0: 2^53 */
	const char *const *words; /* FIELD_ENUM: in order of strength where
				 * there is one; ended by NULL */
	const struct shape *shape; /* FIELD_OBJECT */
	const char *column; /* CSV name if not parents joined by '_' */
	const char *about; /* one sentence for help and reference */
};

struct shape {
	const struct field *fields; /* in the order people want to read */
	size_t count;
};

struct complaint;

/* One record kind. */
struct schema {
	uint32_t kind;
	const char *name; /* "offer" */
	const char *plural; /* "offers": what import and export take */
	const char *id; /* the field that is the record's id */
	const struct shape *shape;
	bool importable; /* learners come in through credentials */
	uint64_t audience; /* default audience, DESIGN section 9 */
	/* state for undo of a first version, e.g. "withdrawn"; NULL: none */
	const char *withdrawn;
	/* Requirements across fields, over a body; false fills *c. */
	bool (*check)(struct slice body, struct complaint *c);
};

/* Why a document, row or body is not taken. Never holds a value of a
 * personal field. */
struct complaint {
	const char *code; /* static: "unknown-field", "bad-date", ... */
	char field[128]; /* path: "targets[2].match", or a column */
	char message[256]; /* one sentence, no full stop */
	char cure[512]; /* what to do, no full stop; may be empty; has
			 * room for the words of any enum */
};

/* Things that are taken and told. */
enum schema_warning {
	WARNING_FUTURE_DATE, /* a date of FIELD_PAST after today */
	WARNING_LINE_BREAK, /* line breaks in texts and codes became blanks */
	WARNING_ODD_CODE, /* blanks at the ends, no letter or digit */
	WARNING_MOJIBAKE, /* looks like UTF-8 read as Latin-1 */
	WARNING_UNKNOWN_OFFER, /* counted by the node, not in proto/ */
	WARNING_COUNT,
};
const char *schema_warning_code(enum schema_warning w); /* "future-date" */
const char *schema_warning_text(enum schema_warning w); /* a sentence */

/* What a conversion needs from outside. Warning counts only go up. */
struct schema_context {
	struct arena *arena; /* for text that must be normalised, and trees;
			      * the caller resets it, never this module */
	struct slice today; /* YYYY-MM-DD; empty: no date is future */
	struct slice member; /* for FIELD_MEMBER; empty: not checked */
	bool comma; /* decimal comma in rows */
	struct slice number; /* for a FIELD_NUMBER that is FIELD_STORED */
	uint64_t position; /* for a FIELD_POSITION that is FIELD_STORED */
	uint64_t warnings[WARNING_COUNT];
	/* Told by the last conversion, from the start of its body. */
	uint32_t id_at, id_bytes; /* the text of the id; 0 bytes: none */
	uint32_t number_at; /* the digits of @number; 0: none */
};

/* The tables. NULL when there is none. */
const struct schema *schema_of(uint32_t kind);
const struct schema *schema_by_plural(struct slice name);
const struct schema *schema_by_name(struct slice name);
/* All of them, in order of kind; NULL at and after the end. */
const struct schema *schema_at(size_t i);
const struct field *schema_field(const struct shape *s, struct slice name);
/* Place of @word among the words of an enum field: 0 is the weakest;
 * -1 when it is none of them. */
int field_rank(const struct field *f, struct slice word);
/* The named enum lists that others compare with. */
extern const char *const schema_identity_checks[]; /* weak to strong */
extern const char *const schema_claim_strengths[]; /* weak to strong */
extern const char *const schema_status_reasons[];

/* Check @doc and append its body to @out. Unknown, missing, mistyped and
 * FIELD_STORED fields are refused by name; text is normalised to NFC;
 * decimals become hundredths; empty strings, lists and maps are absent
 * fields. The inside of a FIELD_INPUT object is not looked at: convert it
 * with the schema it belongs to. @out is unchanged on failure.
 * ERR_MALFORMED: *c says what and how to mend it; ERR_LIMIT: the body, the
 * arena or @out is full, *c says so too. */
WARN_UNUSED enum err schema_from_value(const struct schema *s,
				       const struct value *doc,
				       struct schema_context *x,
				       struct buf *out, struct complaint *c);

/* CSV. One column of a kind: a field that is neither an object nor a list of
 * objects, or one language of a FIELD_LANGUAGE_MAP. */
#define SCHEMA_PATH_MAX 4
struct schema_column {
	struct slice name; /* "title_en", "grade", "subject_id" */
	const struct field *path[SCHEMA_PATH_MAX]; /* outermost first */
	uint32_t depth; /* of path, >= 1 */
	struct slice language; /* of a language map, else empty */
};
/* Find the column named @name; out->name is @name. ERR_NOT_FOUND. */
WARN_UNUSED enum err schema_column(const struct schema *s, struct slice name,
				   struct schema_column *out);
/* All columns of @s in table order, into @out (of @max); language maps once,
 * without language. Fields that only the node sets and FIELD_MEMBER input are
 * left out; personal ones unless @person. Names come from @a. Returns the
 * number, 0 when @a or @out is too small. */
size_t schema_columns(const struct schema *s, bool person, struct arena *a,
		      struct schema_column *out, size_t max);

/* A header, compiled once: which cell goes where in the body. */
struct row_plan;
/* @names (borrowed) and the plan live as long as @a. Columns that begin with
 * '_' are ignored. ERR_MALFORMED: unknown (with the nearest known one),
 * duplicate or missing column; ERR_LIMIT: @a is full. */
WARN_UNUSED enum err schema_plan_row(const struct schema *s,
				     const struct slice *names, size_t count,
				     struct arena *a,
				     const struct row_plan **out,
				     struct complaint *c);
/* As schema_from_value for one row; @cells has as many as the header. An
 * empty cell is an absent field. */
WARN_UNUSED enum err schema_from_row(const struct row_plan *p,
				     const struct slice *cells,
				     struct schema_context *x, struct buf *out,
				     struct complaint *c);
/* Index of the column named @name, or -1. */
int schema_plan_column(const struct row_plan *p, const char *name);
/* The columns of object field @field as rows of @s: how the subject of a
 * credential becomes a learner. Errors as schema_plan_row. */
WARN_UNUSED enum err schema_plan_part(const struct row_plan *p,
				      const char *field, const struct schema *s,
				      struct arena *a,
				      const struct row_plan **out);

/* A body as a document: decimals shortest, personal fields only when
 * @person. Fields and values that the table does not know are kept as they
 * are. Errors as value_decode. */
WARN_UNUSED enum err schema_to_value(const struct schema *s, struct slice body,
				     bool person, struct arena *a,
				     struct value *out);
/* Append the text of one column of a document made by schema_to_value, not
 * quoted; nothing when it is absent. ERR_BAD_STATE: a list item holds '|', which
 * rows cannot say; ERR_LIMIT: @out is full. */
WARN_UNUSED enum err schema_to_cell(const struct schema_column *col,
				    const struct value *doc, struct buf *out);
/* The first field of @doc that no row can say, or NULL. */
const char *schema_beyond_rows(const struct schema *s, const struct value *doc);

enum body_state {
	BODY_OK,
	BODY_NEWER, /* a field or word that this table lacks */
	BODY_INVALID, /* not canonical, wrong type, missing field */
};
/* A stored body against the table; *c (may be NULL) says why not. A kind
 * without a table is BODY_NEWER. */
enum body_state schema_check_body(uint32_t kind, struct slice body,
				  struct complaint *c);

#define SCHEMA_SCRATCH_BYTES 24
/* The record's id: of a status the decimal position of its credential,
 * written into @scratch; else borrowed from @body. False: there is none. */
bool schema_id(uint32_t kind, struct slice body,
	       uint8_t scratch[SCHEMA_SCRATCH_BYTES], struct slice *id);

/* Say what is wrong; @code is static, the rest is copied and cut. */
void complain(struct complaint *c, const char *code, const char *field,
	      const char *message, const char *cure);
/* Put "@parent." before the path of *c. */
void complain_under(struct complaint *c, const char *parent);

#endif /* PROTO_SCHEMA_H */
