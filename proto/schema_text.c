#include "schema_text.h"

#include <string.h>

#include "text.h"

#define SHOWN_BYTES 40 /* of a wrong value */
#define UINT_MAX_DEFAULT (1ull << 53)
#define ISCED_MIN 2
#define ISCED_MAX 4
#define LANGUAGE_MAX 35 /* RFC 5646 4.4.1 */

/* Complaints. */

void cut_put(char *at, size_t max, struct slice s)
{
	size_t n = strlen(at);
	size_t room = max - 1 - n;

	if (s.n < room)
		room = s.n;
	/* Not in the middle of a character. */
	while (room > 0 && room < s.n && (s.p[room] & 0xc0) == 0x80)
		room--;
	if (room > 0)
		memcpy(at + n, s.p, room);
	at[n + room] = '\0';
}

void cut_put_str(char *at, size_t max, const char *s)
{
	cut_put(at, max, slice_str(s));
}

void complain(struct complaint *c, const char *code, const char *field,
	      const char *message, const char *cure)
{
	if (c == NULL)
		return;
	c->code = code;
	c->field[0] = '\0';
	c->message[0] = '\0';
	c->cure[0] = '\0';
	cut_put_str(c->field, sizeof(c->field), field);
	cut_put_str(c->message, sizeof(c->message), message);
	cut_put_str(c->cure, sizeof(c->cure), cure);
}

void complain_under(struct complaint *c, const char *parent)
{
	char inner[sizeof(c->field)];

	memcpy(inner, c->field, sizeof(inner));
	c->field[0] = '\0';
	cut_put_str(c->field, sizeof(c->field), parent);
	if (inner[0] != '\0' && inner[0] != '[')
		cut_put_str(c->field, sizeof(c->field), ".");
	cut_put_str(c->field, sizeof(c->field), inner);
}

enum err complain_value(struct complaint *c, const struct field *f,
			const char *code, struct slice value,
			const char *message)
{
	struct slice shown = value;

	complain(c, code, "", "", "");
	if ((f->flags & FIELD_PERSONAL) != 0 || !text_is_clean(value)) {
		cut_put_str(c->message, sizeof(c->message), "the value ");
	} else {
		if (shown.n > SHOWN_BYTES)
			shown.n = SHOWN_BYTES;
		while (shown.n > 0 && shown.n < value.n &&
		       (value.p[shown.n] & 0xc0) == 0x80)
			shown.n--;
		cut_put_str(c->message, sizeof(c->message), "\"");
		cut_put(c->message, sizeof(c->message), shown);
		cut_put_str(c->message, sizeof(c->message),
			    shown.n < value.n ? "...\" " : "\" ");
	}
	cut_put_str(c->message, sizeof(c->message), message);
	return ERR_MALFORMED;
}

enum err complain_cure(struct complaint *c, const char *cure)
{
	c->cure[0] = '\0';
	cut_put_str(c->cure, sizeof(c->cure), cure);
	return ERR_MALFORMED;
}

enum err complain_size(struct complaint *c)
{
	complain(c, "too-large", "", "the record is larger than 64 KiB",
		 "shorten its texts or lists");
	return ERR_LIMIT;
}

/* Forms. */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || is_upper(c) || is_lower(c);
}

static bool is_country(struct slice s)
{
	return s.n == 2 && is_upper(s.p[0]) && is_upper(s.p[1]);
}

bool text_is_language(struct slice s)
{
	struct slice part;
	struct slice rest = s;
	bool first = true;

	if (s.n > LANGUAGE_MAX || (s.n > 0 && s.p[s.n - 1] == '-'))
		return false;
	do {
		slice_cut(rest, '-', &part, &rest);
		if (part.n == 0 || part.n > 8 || (first && part.n < 2))
			return false;
		for (size_t i = 0; i < part.n; i++) {
			if (!is_lower(part.p[i]) &&
			    (first || !is_digit(part.p[i])))
				return false;
		}
		if (first && part.n > 3)
			return false;
		first = false;
	} while (rest.n > 0);
	return true;
}

static bool is_isced(struct slice s)
{
	if (s.n < ISCED_MIN || s.n > ISCED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return false;
	}
	return true;
}

static bool has_blank(struct slice s)
{
	return s.n > 0 && memchr(s.p, ' ', s.n) != NULL;
}

static bool is_uri(struct slice s)
{
	struct slice scheme;
	struct slice rest;

	if (!slice_cut(s, ':', &scheme, &rest) || scheme.n == 0 ||
	    rest.n == 0 || has_blank(s))
		return false;
	for (size_t i = 0; i < scheme.n; i++) {
		uint8_t b = scheme.p[i];

		if (!is_lower(b) && !is_upper(b) &&
		    (i == 0 ||
		     (!is_digit(b) && b != '+' && b != '-' && b != '.')))
			return false;
	}
	return true;
}

static bool is_mailbox(struct slice s)
{
	struct slice local;
	struct slice domain;

	return slice_cut(s, '@', &local, &domain) && local.n > 0 &&
	       !has_blank(s) && text_is_domain(domain);
}

static bool is_hex(struct slice s, size_t digits)
{
	uint8_t bytes[LIMIT_SALT_BYTES];

	return s.n == digits && text_parse_hex(s, bytes, digits / 2);
}

static bool has_blank_ends(struct slice s)
{
	return s.n > 0 && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');
}

bool field_has_form(const struct field *f, struct slice s)
{
	switch (f->type) {
	case FIELD_ID:
		return s.n <= LIMIT_ID_BYTES && !has_blank_ends(s);
	case FIELD_CODE:
		return s.n <= LIMIT_ID_BYTES;
	case FIELD_TEXT:
	case FIELD_LANGUAGE_MAP:
		return s.n <= LIMIT_TEXT_BYTES;
	case FIELD_DATE:
		return text_is_date(s);
	case FIELD_INSTANT:
		return text_is_instant(s);
	case FIELD_DOMAIN:
		return s.n <= LIMIT_DOMAIN_BYTES && text_is_domain(s);
	case FIELD_COUNTRY:
		return is_country(s);
	case FIELD_LANGUAGE:
		return text_is_language(s);
	case FIELD_ISCED:
		return is_isced(s);
	case FIELD_URI:
		return s.n <= LIMIT_TEXT_BYTES && is_uri(s);
	case FIELD_MAILBOX:
		return s.n <= LIMIT_ID_BYTES && is_mailbox(s);
	case FIELD_SHA256:
		return is_hex(s, 64);
	case FIELD_NUMBER:
		return is_hex(s, 32);
	case FIELD_ENUM:
		return true;
	case FIELD_UINT:
	case FIELD_HUNDREDTHS:
	case FIELD_BOOL:
	case FIELD_POSITION:
	case FIELD_OBJECT:
		break;
	}
	return false;
}

/* What to say about text without the form of its type. */
struct form {
	const char *code;
	const char *message;
	const char *cure;
};

static const struct form forms[] = {
	[FIELD_ID] = { "bad-id", "is no id: too long, or blanks at an end",
		       "at most 255 bytes, no blank at either end" },
	[FIELD_CODE] = { "too-long", "is too long for a code",
			 "at most 255 bytes" },
	[FIELD_TEXT] = { "too-long", "is too long", "at most 16384 bytes" },
	[FIELD_LANGUAGE_MAP] = { "too-long", "is too long",
				 "at most 16384 bytes" },
	[FIELD_DATE] = { "bad-date", "is not a date that exists",
			 "write YYYY-MM-DD, such as 2026-01-31" },
	[FIELD_INSTANT] = { "bad-instant", "is not a time in UTC",
			    "write 2026-01-31T12:00:00Z or 2026-01-31" },
	[FIELD_DOMAIN] = { "bad-domain", "is not a domain name",
			   "write it in lower case, such as dtu.dk" },
	[FIELD_COUNTRY] = { "bad-country", "is not a country code",
			    "two capital letters, such as DK" },
	[FIELD_LANGUAGE] = { "bad-language", "is not a language tag",
			     "lower case, such as en or pt-br" },
	[FIELD_ISCED] = { "bad-isced", "is not an ISCED-F code",
			  "two to four digits, such as 0613" },
	[FIELD_URI] = { "bad-uri", "is not an address with a scheme",
			"such as https://example.org/x" },
	[FIELD_MAILBOX] = { "bad-mailbox", "is not a mailbox",
			    "such as admissions@example.org" },
	[FIELD_SHA256] = { "bad-hash", "is not a SHA-256 hash",
			   "64 hex digits in lower case" },
	[FIELD_NUMBER] = { "bad-number", "is not a learner number",
			   "32 hex digits in lower case" },
	[FIELD_BOOL] = { "bad-boolean", "is neither true nor false",
			 "write true or false" },
	[FIELD_OBJECT] = { NULL, NULL, NULL },
};

static enum err complain_form(struct complaint *c, const struct field *f,
			      struct slice value)
{
	const struct form *form = &forms[f->type];

	(void)complain_value(c, f, form->code, value, form->message);
	return complain_cure(c, form->cure);
}

/* Normalising. */

/* 1.23457E+12 and ="001234" are what spreadsheets make of ids. */
static bool is_spreadsheet_trace(struct slice s)
{
	size_t i = 0;

	if (s.n > 2 && s.p[0] == '=' && s.p[1] == '"')
		return true;
	while (i < s.n && (is_digit(s.p[i]) || s.p[i] == '.' || s.p[i] == ','))
		i++;
	if (i == 0 || s.n < i + 3 || (s.p[i] != 'E' && s.p[i] != 'e') ||
	    s.p[i + 1] != '+')
		return false;
	for (i += 2; i < s.n; i++) {
		if (!is_digit(s.p[i]))
			return false;
	}
	return true;
}

/* Which control characters become blanks. */
enum breaks {
	BREAKS_NONE,
	BREAKS_LINES, /* line feed, carriage return, tab */
	BREAKS_ALL, /* C0, DEL and C1 */
};

/* Bytes of the break at @s, 0 if there is none. */
static size_t break_bytes(struct slice s, enum breaks which)
{
	uint8_t b = s.p[0];

	if (which == BREAKS_NONE)
		return 0;
	if (b == '\n' || b == '\r' || b == '\t')
		return 1;
	if (which == BREAKS_LINES)
		return 0;
	if (b < 0x20 || b == 0x7f)
		return 1;
	return b == 0xc2 && s.n > 1 && s.p[1] < 0xa0 ? 2 : 0;
}

/* Text may be set in lines; a body has none (PROTOCOL.md 3.3). A run of
 * breaks becomes one blank, none at the ends. */
static enum err join_lines(struct slice s, enum breaks which,
			   struct schema_context *x, struct slice *out)
{
	uint8_t *p = arena_alloc(x->arena, s.n + 1);
	bool joined = false;
	bool broken = false;
	size_t n = 0;
	size_t k;

	if (p == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i<s.n; i += k> 0 ? k : 1) {
		k = break_bytes(slice_sub(s, i, s.n - i), which);
		broken = broken || k > 0;
		joined = joined || k > 0;
		if (k > 0)
			continue;
		if (broken && n > 0 && p[n - 1] != ' ' && s.p[i] != ' ')
			p[n++] = ' ';
		broken = false;
		p[n++] = s.p[i];
	}
	*out = slice_of(p, n);
	x->warnings[WARNING_LINE_BREAK] += joined;
	return ERR_OK;
}

/* UTF-8 that was read as Latin-1 or lost characters: U+00C3 or U+00C2 before
 * another Latin-1 sign, U+FFFD. */
static bool is_mojibake(struct slice s)
{
	for (size_t i = 0; i + 2 < s.n; i++) {
		if (s.p[i] == 0xef && s.p[i + 1] == 0xbf && s.p[i + 2] == 0xbd)
			return true;
		if (s.p[i] == 0xc3 &&
		    (s.p[i + 1] == 0x83 || s.p[i + 1] == 0x82) &&
		    s.p[i + 2] == 0xc2)
			return true;
	}
	return false;
}

static enum err to_nfc(struct slice s, struct schema_context *x,
		       struct slice *out)
{
	struct buf nfc;
	enum err e;

	/* Composition makes strings at most three times as long. */
	buf_init(&nfc, s.n * 3 + 16);
	e = text_nfc(s, &nfc);
	if (e == ERR_OK)
		e = arena_copy(x->arena, buf_slice(&nfc), out);
	buf_free(&nfc);
	return e;
}

/* Make @s canonical; what is canonical already is borrowed. */
/* Printable ASCII, as nearly everything is: canonical without a look at
 * Unicode. Eight bytes at a time: no byte with the high bit, below 0x20, or
 * 0x7f. */
static bool is_plain(struct slice s)
{
	const uint64_t high = 0x8080808080808080u;
	const uint64_t low = 0x0101010101010101u;
	uint64_t x;

	for (; s.n >= 8; s = slice_of(s.p + 8, s.n - 8)) {
		x = get_u64be(s.p);
		if (((x | (x - low * 0x20) | (x + low)) & high) != 0)
			return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x20 || s.p[i] >= 0x7f)
			return false;
	}
	return true;
}

static enum err canonical(const struct field *f, struct slice s,
			  struct schema_context *x, struct slice *out,
			  struct complaint *c)
{
	enum breaks which =
		f->type == FIELD_TEXT || f->type == FIELD_LANGUAGE_MAP
			? BREAKS_LINES
		: f->type == FIELD_CODE ? BREAKS_ALL
					: BREAKS_NONE;
	enum err e = ERR_OK;

	*out = s;
	if (is_plain(s))
		return ERR_OK;
	if (s.n > LIMIT_LINE_BYTES)
		return complain_size(c);
	if (text_is_canonical(s))
		goto out;
	if (!text_is_utf8(s)) {
		(void)complain_value(c, f, "bad-encoding", s, "is not UTF-8");
		return complain_cure(c, "save the file as UTF-8");
	}
	if (which != BREAKS_NONE && !text_is_clean(s))
		e = join_lines(s, which, x, out);
	if (e == ERR_OK && !text_is_clean(*out)) {
		(void)complain_value(c, f, "control-character", s,
				     "holds a control character or a line "
				     "break");
		return complain_cure(c, "remove it");
	}
	if (e == ERR_OK && !text_is_canonical(*out))
		e = to_nfc(*out, x, out);
out:
	if (e == ERR_LIMIT)
		return complain_size(c);
	if (e != ERR_OK) {
		(void)complain_value(c, f, "bad-text", s,
				     "cannot be brought into normal form");
		return complain_cure(c, "remove the long run of accents");
	}
	if (out->n == 0) {
		(void)complain_value(c, f, "empty-text", s,
				     "holds nothing but line breaks");
		return complain_cure(c, "leave it empty");
	}
	if (is_mojibake(*out))
		x->warnings[WARNING_MOJIBAKE]++;
	return ERR_OK;
}

enum err field_from_words(const struct field *f, struct slice text,
			  struct schema_context *x, struct value *out,
			  struct complaint *c)
{
	struct slice s;
	enum err e = canonical(f, text, x, &s, c);

	if (e != ERR_OK)
		return e;
	if (s.n > LIMIT_TEXT_BYTES)
		return complain_form(c, f, s);
	*out = value_str(s);
	return ERR_OK;
}

/* Numbers. */

static enum err complain_range(struct complaint *c, const struct field *f,
			       struct slice value)
{
	struct buf range;

	(void)complain_value(c, f, "out-of-range", value, "is out of range");
	buf_init(&range, sizeof(c->cure) - 1);
	buf_put_str(&range, "give a whole number from ");
	buf_put_dec(&range, f->min);
	buf_put_str(&range, " to ");
	buf_put_dec(&range, f->max != 0 ? f->max : UINT_MAX_DEFAULT);
	c->cure[0] = '\0';
	cut_put(c->cure, sizeof(c->cure), buf_slice(&range));
	buf_free(&range);
	return ERR_MALFORMED;
}

static enum err put_number(const struct field *f, uint64_t v,
			   struct slice shown, struct value *out,
			   struct complaint *c)
{
	uint64_t max = f->max != 0 ? f->max : UINT_MAX_DEFAULT;

	if (v < f->min || v > max)
		return complain_range(c, f, shown);
	*out = value_uint(v);
	return ERR_OK;
}

enum err field_from_number(const struct field *f, uint64_t v, struct value *out,
			   struct complaint *c)
{
	struct buf digits;
	enum err e;

	if (v >= f->min && v <= (f->max != 0 ? f->max : UINT_MAX_DEFAULT)) {
		*out = value_uint(v);
		return ERR_OK;
	}
	buf_init(&digits, 32);
	buf_put_dec(&digits, v);
	e = put_number(f, v, buf_slice(&digits), out, c);
	buf_free(&digits);
	return e;
}

static bool is_negative(struct slice s)
{
	return s.n > 1 && s.p[0] == '-' && is_digit(s.p[1]);
}

static enum err complain_negative(const struct field *f, struct slice s,
				  struct complaint *c)
{
	(void)complain_value(c, f, "bad-number", s, "is negative");
	return complain_cure(c, "write one that is not below 0");
}

static enum err from_uint(const struct field *f, struct slice s,
			  struct value *out, struct complaint *c)
{
	uint64_t v;

	if (text_parse_u64(s, &v))
		return put_number(f, v, s, out, c);
	if (is_negative(s))
		return complain_negative(f, s, c);
	(void)complain_value(c, f, "bad-number", s, "is not a whole number");
	return complain_cure(c, "write digits only");
}

static enum err from_hundredths(const struct field *f, struct slice s,
				bool comma, struct value *out,
				struct complaint *c)
{
	uint64_t v;
	enum err e = text_parse_hundredths(s, comma, &v);

	if (e == ERR_OK) {
		*out = value_uint(v);
		return ERR_OK;
	}
	if (is_negative(s))
		return complain_negative(f, s, c);
	(void)complain_value(c, f, "bad-number", s,
			     e == ERR_LIMIT
				     ? "is too large"
				     : "is not a number with at most two "
				       "decimals");
	return complain_cure(
		c, comma || s.n == 0 || memchr(s.p, ',', s.n) == NULL
			   ? "such as 2.5"
			   : "write 2.5; a decimal comma is for files "
			     "separated by semicolons");
}

/* Texts with a form. */

static enum err from_enum(const struct field *f, struct slice s,
			  struct value *out, struct complaint *c)
{
	if (field_rank(f, s) >= 0) {
		*out = value_str(s);
		return ERR_OK;
	}
	(void)complain_value(c, f, "unknown-value", s, "is none of the values");
	c->cure[0] = '\0';
	for (size_t i = 0; f->words[i] != NULL; i++) {
		cut_put_str(c->cure, sizeof(c->cure), i > 0 ? ", " : "one of ");
		cut_put_str(c->cure, sizeof(c->cure), f->words[i]);
	}
	return ERR_MALFORMED;
}

static bool is_odd_code(struct slice s)
{
	if (has_blank_ends(s))
		return true;
	for (size_t i = 0; i < s.n; i++) {
		if (is_alnum(s.p[i]) || s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static enum err from_id(const struct field *f, struct slice s, bool row,
			struct schema_context *x, struct complaint *c)
{
	if (row && is_spreadsheet_trace(s)) {
		(void)complain_value(c, f, "spreadsheet-id", s,
				     "was changed by a spreadsheet");
		return complain_cure(c, "format the column as text and export "
					"it again");
	}
	if (f->type == FIELD_CODE && is_odd_code(s))
		x->warnings[WARNING_ODD_CODE]++;
	return ERR_OK;
}

static enum err from_instant(struct slice s, struct schema_context *x,
			     struct slice *out)
{
	static const char rest[] = "T00:00:00Z";
	uint8_t *p;

	*out = s;
	if (!text_is_date(s))
		return ERR_OK;
	p = arena_alloc(x->arena, TEXT_INSTANT_BYTES);
	if (p == NULL)
		return ERR_LIMIT;
	memcpy(p, s.p, TEXT_DATE_BYTES);
	memcpy(p + TEXT_DATE_BYTES, rest, sizeof(rest) - 1);
	*out = slice_of(p, TEXT_INSTANT_BYTES);
	return ERR_OK;
}

static void note_future(const struct field *f, struct slice s,
			struct schema_context *x)
{
	if ((f->flags & FIELD_PAST) == 0 || x->today.n != TEXT_DATE_BYTES ||
	    s.n < TEXT_DATE_BYTES)
		return;
	if (memcmp(s.p, x->today.p, TEXT_DATE_BYTES) > 0)
		x->warnings[WARNING_FUTURE_DATE]++;
}

static enum err from_form(const struct field *f, struct slice s, bool row,
			  struct schema_context *x, struct value *out,
			  struct complaint *c)
{
	enum err e = ERR_OK;

	if (f->type == FIELD_INSTANT)
		e = from_instant(s, x, &s);
	else if (f->type == FIELD_ID || f->type == FIELD_CODE)
		e = from_id(f, s, row, x, c);
	if (e == ERR_LIMIT)
		return complain_size(c);
	if (e != ERR_OK)
		return e;
	if (!field_has_form(f, s))
		return complain_form(c, f, s);
	if (f->type == FIELD_DATE || f->type == FIELD_INSTANT)
		note_future(f, s, x);
	*out = value_str(s);
	return ERR_OK;
}

enum err field_from_text(const struct field *f, struct slice text, bool row,
			 struct schema_context *x, struct value *out,
			 struct complaint *c)
{
	struct slice s;
	enum err e;

	if (f->type == FIELD_UINT)
		return from_uint(f, text, out, c);
	if (f->type == FIELD_HUNDREDTHS)
		return from_hundredths(f, text, row && x->comma, out, c);
	if (f->type == FIELD_BOOL) {
		*out = value_bool(slice_is(text, "true"));
		if (out->b || slice_is(text, "false"))
			return ERR_OK;
		return complain_form(c, f, text);
	}
	if (f->type == FIELD_TEXT)
		return field_from_words(f, text, x, out, c);
	e = canonical(f, text, x, &s, c);
	if (e != ERR_OK)
		return e;
	if (f->type == FIELD_ENUM)
		return from_enum(f, s, out, c);
	return from_form(f, s, row, x, out, c);
}
