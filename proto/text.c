#include "text.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "limits.h"

/* The longest decomposition of one code point is 18 (U+FDFA). */
#define DECOMPOSED_MAX 32
/* Code points that are normalised without allocating. */
#define POINTS_STACK 256

/* Unicode. */

/* The bytes at the beginning of @s that are ASCII without controls. */
static size_t plain_prefix(struct slice s)
{
	size_t i = 0;

	while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7f)
		i++;
	return i;
}

/* Take one code point off @s, which is not empty; negative: not UTF-8. */
static int32_t take_point(struct slice *s)
{
	int32_t c = -1;
	utf8proc_ssize_t n = utf8proc_iterate(s->p, (utf8proc_ssize_t)s->n, &c);

	if (n <= 0)
		return -1;
	*s = slice_sub(*s, (size_t)n, s->n - (size_t)n);
	return c;
}

static bool is_control(int32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

bool text_is_utf8(struct slice s)
{
	while (s.n > 0) {
		if (s.n >= 8 && (get_u64be(s.p) & 0x8080808080808080u) == 0)
			s = slice_of(s.p + 8, s.n - 8);
		else if (s.p[0] < 0x80)
			s = slice_of(s.p + 1, s.n - 1);
		else if (take_point(&s) < 0)
			return false;
	}
	return true;
}

/* Code points that stand in NFC whatever is around them: Latin; Greek and
 * Cyrillic letters; dashes and quotes; the common Chinese characters. Only
 * a short cut, so that most strings need no normalising. */
static bool is_settled(int32_t c)
{
	return c < 0x300 || (c >= 0x388 && c < 0x483) ||
	       (c >= 0x2010 && c < 0x2028) || (c >= 0x4e00 && c < 0xa000);
}

/* Clean, and then *settled says that it is in NFC. */
static bool check_clean(struct slice s, bool *settled)
{
	size_t plain;
	int32_t c;

	*settled = true;
	for (;;) {
		plain = plain_prefix(s);
		s = slice_sub(s, plain, s.n - plain);
		if (s.n == 0)
			return true;
		c = take_point(&s);
		if (c < 0 || is_control(c))
			return false;
		*settled = *settled && is_settled(c);
	}
}

bool text_is_clean(struct slice s)
{
	bool settled;

	return check_clean(s, &settled);
}

/* Code points in the making. */
struct points {
	int32_t *p; /* room for max, and one more for utf8proc */
	size_t n;
	size_t max;
	size_t marks; /* combining marks at the end */
	int32_t *heap; /* owned, or NULL */
	int32_t stack[POINTS_STACK + 1];
};

static void points_init(struct points *t)
{
	t->p = t->stack;
	t->n = 0;
	t->max = POINTS_STACK;
	t->marks = 0;
	t->heap = NULL;
}

static void points_grow(struct points *t)
{
	size_t max = t->max * 4;
	int32_t *p = xrealloc(t->heap, (max + 1) * sizeof(*p));

	if (t->heap == NULL)
		memcpy(p, t->stack, t->n * sizeof(*p));
	t->heap = p;
	t->p = p;
	t->max = max;
}

/* Add @c in canonical order: behind the marks of its class or a lower one.
 * That is quadratic in a run of marks, hence TEXT_MARKS_MAX. */
static bool points_put(struct points *t, int32_t c)
{
	utf8proc_propval_t class = utf8proc_get_property(c)->combining_class;
	size_t at = t->n;

	t->marks = class != 0 ? t->marks + 1 : 0;
	if (t->marks > TEXT_MARKS_MAX)
		return false;
	if (t->n == t->max)
		points_grow(t);
	for (size_t i = 1; i < t->marks; i++) {
		if (utf8proc_get_property(t->p[at - 1])->combining_class <=
		    class)
			break;
		t->p[at] = t->p[at - 1];
		at--;
	}
	t->p[at] = c;
	t->n++;
	return true;
}

static bool is_blank(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	return category == UTF8PROC_CATEGORY_ZS ||
	       category == UTF8PROC_CATEGORY_ZL ||
	       category == UTF8PROC_CATEGORY_ZP ||
	       category == UTF8PROC_CATEGORY_CC;
}

/* Add the decomposition of @c; @fold: without blanks. */
static bool put_decomposed(struct points *t, int32_t c,
			   utf8proc_option_t options, bool fold)
{
	int32_t parts[DECOMPOSED_MAX];
	utf8proc_ssize_t n;

	n = utf8proc_decompose_char(c, parts, DECOMPOSED_MAX, options, NULL);
	if (n < 0 || n > DECOMPOSED_MAX)
		return false;
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		if (fold && is_blank(parts[i]))
			continue;
		if (!points_put(t, parts[i]))
			return false;
	}
	return true;
}

static void put_points(const struct points *t, struct buf *out)
{
	uint8_t utf8[4];
	utf8proc_ssize_t n;

	for (size_t i = 0; i < t->n; i++) {
		n = utf8proc_encode_char(t->p[i], utf8);
		buf_put(out, slice_of(utf8, (size_t)n));
	}
}

/* Decompose, order, compose. utf8proc_map would do it too, but sorts long
 * runs of marks in quadratic time and allocates with malloc. */
static enum err normalise(struct slice s, bool fold, struct buf *out)
{
	utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
	enum err e = ERR_MALFORMED;
	struct points t;
	utf8proc_ssize_t n;
	int32_t c;

	if (fold)
		options |=
			UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
	points_init(&t);
	while (s.n > 0) {
		c = take_point(&s);
		if (c < 0 || !put_decomposed(&t, c, options, fold))
			goto out;
	}
	n = utf8proc_normalize_utf32(t.p, (utf8proc_ssize_t)t.n, options);
	if (n < 0)
		goto out;
	t.n = (size_t)n;
	put_points(&t, out);
	e = out->err;
out:
	free(t.heap);
	return e;
}

bool text_is_canonical(struct slice s)
{
	struct buf nfc;
	bool settled;
	bool same;

	if (!check_clean(s, &settled))
		return false;
	if (settled)
		return true;
	/* What grows over @s is not the same. */
	buf_init(&nfc, s.n);
	same = normalise(s, false, &nfc) == ERR_OK &&
	       slice_equal(buf_slice(&nfc), s);
	buf_free(&nfc);
	return same;
}

enum err text_nfc(struct slice s, struct buf *out)
{
	if (plain_prefix(s) < s.n)
		return normalise(s, false, out);
	buf_put(out, s);
	return out->err;
}

static bool is_ascii_blank(uint8_t c)
{
	return c <= 0x20 || c == 0x7f;
}

enum err text_fold(struct slice s, struct buf *out)
{
	size_t kept = 0;
	uint8_t *at;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 0x80)
			return normalise(s, true, out);
		kept += !is_ascii_blank(s.p[i]);
	}
	at = buf_extend(out, kept);
	if (at == NULL)
		return out->err;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!is_ascii_blank(c))
			*at++ = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
	return ERR_OK;
}

/* Numbers. */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The number that the digits at the beginning of @s form; takes them.
 * ERR_MALFORMED: there is none; ERR_LIMIT: 2^64 or more. */
static enum err take_number(struct slice *s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < s->n && is_digit(s->p[i]); i++) {
		uint64_t digit = s->p[i] - (uint64_t)'0';

		if (v > (UINT64_MAX - digit) / 10)
			return ERR_LIMIT;
		v = v * 10 + digit;
	}
	if (i == 0)
		return ERR_MALFORMED;
	*s = slice_sub(*s, i, s->n - i);
	*out = v;
	return ERR_OK;
}

bool text_parse_u64(struct slice s, uint64_t *out)
{
	uint64_t v;

	if (s.n > 1 && s.p[0] == '0')
		return false;
	if (take_number(&s, &v) != ERR_OK || s.n > 0)
		return false;
	*out = v;
	return true;
}

enum err text_parse_hundredths(struct slice s, bool comma, uint64_t *out)
{
	const uint64_t max = 1ull << 53;
	uint64_t fraction = 0;
	uint64_t whole;
	enum err e = take_number(&s, &whole);

	if (e != ERR_OK)
		return e;
	if (s.n > 0) {
		if (s.p[0] != '.' && !(comma && s.p[0] == ','))
			return ERR_MALFORMED;
		if (s.n == 1)
			return ERR_MALFORMED;
		for (size_t i = 1; i < s.n; i++) {
			if (!is_digit(s.p[i]) || (i > 2 && s.p[i] != '0'))
				return ERR_MALFORMED;
		}
		fraction = (s.p[1] - (uint64_t)'0') * 10;
		if (s.n > 2)
			fraction += s.p[2] - (uint64_t)'0';
	}
	if (whole > max / 100 || whole * 100 + fraction > max)
		return ERR_LIMIT;
	*out = whole * 100 + fraction;
	return ERR_OK;
}

void text_put_hundredths(struct buf *b, uint64_t v)
{
	buf_put_dec(b, v / 100);
	if (v % 100 == 0)
		return;
	buf_put_u8(b, '.');
	buf_put_dec(b, v / 10 % 10);
	if (v % 10 != 0)
		buf_put_dec(b, v % 10);
}

/* Base64 (RFC 4648 section 4) and hexadecimal. */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789+/";

void text_put_base64(struct buf *b, struct slice s)
{
	uint8_t *at;

	if (s.n > SIZE_MAX / 4 * 3 - 3) {
		b->err = b->err != ERR_OK ? b->err : ERR_LIMIT;
		return;
	}
	at = buf_extend(b, (s.n + 2) / 3 * 4);
	if (at == NULL)
		return;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)s.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)s.p[i + 1] << 8;
		if (left > 2)
			v |= s.p[i + 2];
		*at++ = (uint8_t)base64_digits[v >> 18];
		*at++ = (uint8_t)base64_digits[v >> 12 & 63];
		*at++ = left > 1 ? (uint8_t)base64_digits[v >> 6 & 63] : '=';
		*at++ = left > 2 ? (uint8_t)base64_digits[v & 63] : '=';
	}
}

/* 64: no digit. */
static uint32_t base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - (uint32_t)'A';
	if (c >= 'a' && c <= 'z')
		return c - (uint32_t)'a' + 26;
	if (is_digit(c))
		return c - (uint32_t)'0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

/* Decode the four digits at @p, of which @pad are padding. */
static bool parse_quad(const uint8_t *p, size_t pad, uint8_t out[3])
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		uint32_t digit = i < 4 - pad ? base64_value(p[i]) : 0;

		if (digit == 64)
			return false;
		v = v << 6 | digit;
	}
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	/* Bits that the padding cuts off must be zero: one form only. */
	return (pad < 1 || out[2] == 0) && (pad < 2 || out[1] == 0);
}

enum err text_parse_base64(struct slice s, struct buf *out)
{
	uint8_t bytes[3];
	size_t pad = 0;
	uint8_t *at;

	if (s.n % 4 != 0)
		return ERR_MALFORMED;
	if (s.n > 0 && s.p[s.n - 1] == '=')
		pad = s.p[s.n - 2] == '=' ? 2 : 1;
	at = buf_extend(out, s.n / 4 * 3 - pad);
	if (at == NULL)
		return out->err;
	for (size_t i = 0; i < s.n; i += 4) {
		size_t cut = i + 4 == s.n ? pad : 0;

		if (!parse_quad(s.p + i, cut, bytes)) {
			out->n -= s.n / 4 * 3 - pad;
			return ERR_MALFORMED;
		}
		memcpy(at, bytes, 3 - cut);
		at += 3 - cut;
	}
	return ERR_OK;
}

void text_put_hex(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *at = NULL;

	if (s.n <= SIZE_MAX / 2)
		at = buf_extend(b, 2 * s.n);
	else
		b->err = b->err != ERR_OK ? b->err : ERR_LIMIT;
	for (size_t i = 0; at != NULL && i < s.n; i++) {
		*at++ = (uint8_t)digits[s.p[i] >> 4];
		*at++ = (uint8_t)digits[s.p[i] & 15];
	}
}

static bool hex_value(uint8_t c, uint8_t *out)
{
	if (is_digit(c))
		*out = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

bool text_parse_hex(struct slice s, uint8_t *out, size_t n)
{
	uint8_t high;
	uint8_t low;

	if (s.n % 2 != 0 || s.n / 2 != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!hex_value(s.p[2 * i], &high) ||
		    !hex_value(s.p[2 * i + 1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Dates. */

/* A civil time; every field checked to exist. */
struct civil {
	uint64_t year;
	uint64_t month; /* 1 to 12 */
	uint64_t day; /* 1 to 31 */
	uint64_t second; /* of the day */
};

static bool is_leap(uint64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint64_t month_days(uint64_t year, uint64_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30,
					31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* The number of the @n digits at @at. */
static bool parse_digits(struct slice s, size_t at, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = at; i < at + n; i++) {
		if (!is_digit(s.p[i]))
			return false;
		v = v * 10 + (s.p[i] - (uint64_t)'0');
	}
	*out = v;
	return true;
}

static bool parse_date(struct slice s, struct civil *c)
{
	if (s.n < TEXT_DATE_BYTES || s.p[4] != '-' || s.p[7] != '-')
		return false;
	if (!parse_digits(s, 0, 4, &c->year) ||
	    !parse_digits(s, 5, 2, &c->month) ||
	    !parse_digits(s, 8, 2, &c->day))
		return false;
	c->second = 0;
	return c->year >= 1000 && c->month >= 1 && c->month <= 12 &&
	       c->day >= 1 && c->day <= month_days(c->year, c->month);
}

static bool parse_instant(struct slice s, struct civil *c)
{
	uint64_t hour;
	uint64_t minute;
	uint64_t second;

	if (s.n != TEXT_INSTANT_BYTES || !parse_date(s, c))
		return false;
	if (s.p[10] != 'T' || s.p[13] != ':' || s.p[16] != ':' ||
	    s.p[19] != 'Z')
		return false;
	if (!parse_digits(s, 11, 2, &hour) ||
	    !parse_digits(s, 14, 2, &minute) ||
	    !parse_digits(s, 17, 2, &second))
		return false;
	/* No leap seconds: the clock of the machine has none either. */
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	c->second = hour * 3600 + minute * 60 + second;
	return true;
}

bool text_is_date(struct slice s)
{
	struct civil c;

	return s.n == TEXT_DATE_BYTES && parse_date(s, &c);
}

bool text_is_instant(struct slice s)
{
	struct civil c;

	return parse_instant(s, &c);
}

/* Days from 0000-03-01 to the day @c. A year that begins in March has its
 * leap day last, so that whole years and months simply add up. */
static uint64_t days_of(const struct civil *c)
{
	uint64_t year = c->month > 2 ? c->year : c->year - 1;
	uint64_t month = c->month > 2 ? c->month - 3 : c->month + 9;

	return 365 * year + year / 4 - year / 100 + year / 400 +
	       (153 * month + 2) / 5 + c->day - 1;
}

#define DAYS_TO_1970 719468u
#define LAST_SECOND 253402300799u /* 9999-12-31T23:59:59Z */

static struct civil civil_of(uint64_t unix_seconds)
{
	uint64_t capped =
		unix_seconds < LAST_SECOND ? unix_seconds : LAST_SECOND;
	uint64_t days = capped / 86400 + DAYS_TO_1970;
	uint64_t cycle = days / 146097; /* 400 years */
	uint64_t day = days % 146097;
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t of_year = day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153; /* from March */
	struct civil c;

	c.month = month < 10 ? month + 3 : month - 9;
	c.year = cycle * 400 + year + (c.month <= 2);
	c.day = of_year - (153 * month + 2) / 5 + 1;
	c.second = capped % 86400;
	return c;
}

static void put_two(struct buf *b, uint64_t v)
{
	buf_put_u8(b, (uint8_t)('0' + v / 10));
	buf_put_u8(b, (uint8_t)('0' + v % 10));
}

static void put_civil_date(struct buf *b, const struct civil *c)
{
	buf_put_dec(b, c->year);
	buf_put_u8(b, '-');
	put_two(b, c->month);
	buf_put_u8(b, '-');
	put_two(b, c->day);
}

void text_put_date(struct buf *b, uint64_t unix_seconds)
{
	struct civil c = civil_of(unix_seconds);

	put_civil_date(b, &c);
}

void text_put_instant(struct buf *b, uint64_t unix_seconds)
{
	struct civil c = civil_of(unix_seconds);

	put_civil_date(b, &c);
	buf_put_u8(b, 'T');
	put_two(b, c.second / 3600);
	buf_put_u8(b, ':');
	put_two(b, c.second / 60 % 60);
	buf_put_u8(b, ':');
	put_two(b, c.second % 60);
	buf_put_u8(b, 'Z');
}

bool text_parse_instant(struct slice s, uint64_t *unix_seconds)
{
	struct civil c;

	if (s.n == TEXT_DATE_BYTES ? !parse_date(s, &c) : !parse_instant(s, &c))
		return false;
	if (c.year < 1970)
		return false;
	*unix_seconds = (days_of(&c) - DAYS_TO_1970) * 86400 + c.second;
	return true;
}

/* Domains. */

static bool is_label(struct slice s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-')
			return false;
	}
	return true;
}

bool text_is_domain(struct slice s)
{
	struct slice label;
	size_t labels = 0;
	bool more = true;
	uint64_t number;

	if (s.n > LIMIT_DOMAIN_BYTES)
		return false;
	while (more) {
		more = slice_cut(s, '.', &label, &s);
		if (!is_label(label))
			return false;
		labels++;
	}
	/* 10.0.0.1 is no name. */
	return labels >= 2 &&
	       (take_number(&label, &number) != ERR_OK || label.n > 0);
}
