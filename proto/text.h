/* Text forms: UTF-8, NFC, folding, base64, hex, numbers, dates, domains.
 *
 * Pure functions over slices. Unicode is utf8proc's business, base64 is
 * that of RFC 4648 section 4. PROTOCOL.md section 3. */

#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include "bytes.h"

/* Valid UTF-8 without control characters (U+0000..1F, U+007F..9F). */
bool text_is_clean(struct slice s);
bool text_is_utf8(struct slice s);
/* Clean and already in NFC: the only strings a body may hold. */
bool text_is_canonical(struct slice s);
/* More combining marks than this on one letter make a string malformed, for
 * ordering them takes quadratic time. As the stream-safe format of UAX 15. */
#define TEXT_MARKS_MAX 30u
/* Append the NFC of @s. ERR_MALFORMED: not UTF-8, or over TEXT_MARKS_MAX;
 * ERR_LIMIT: @out is full. */
WARN_UNUSED enum err text_nfc(struct slice s, struct buf *out);
/* Append the folded form used to compare course codes: NFKC, case folded,
 * blanks, control and invisible characters dropped, punctuation kept.
 * Folding twice is folding once. Errors as text_nfc. */
WARN_UNUSED enum err text_fold(struct slice s, struct buf *out);

/* Decimal digits without sign or leading zeros, below 2^64. */
bool text_parse_u64(struct slice s, uint64_t *out);

/* Fixed point with two decimals, as hundredths: "10", "2.5", also "2,50"
 * when @comma. ERR_MALFORMED: not a number or a third decimal that is not 0;
 * ERR_LIMIT: above 2^53 hundredths. Never negative. */
WARN_UNUSED enum err text_parse_hundredths(struct slice s, bool comma,
					   uint64_t *out);
/* Shortest form: 1000 -> "10", 250 -> "2.5". */
void text_put_hundredths(struct buf *b, uint64_t v);

/* Standard base64 with padding. Decoding refuses every other form of the
 * same bytes: blanks, missing padding, bits behind the end (ERR_MALFORMED;
 * ERR_LIMIT: @out is full); then @out is as before. */
void text_put_base64(struct buf *b, struct slice s);
WARN_UNUSED enum err text_parse_base64(struct slice s, struct buf *out);
void text_put_hex(struct buf *b, struct slice s); /* lower case */
/* Exactly 2 * n lower-case hex digits into @out. */
bool text_parse_hex(struct slice s, uint8_t *out, size_t n);

/* YYYY-MM-DD, a day that exists, years 1000..9999. Such strings order as
 * bytes, so no date type is needed. */
bool text_is_date(struct slice s);
/* RFC 3339 in UTC with Z and whole seconds: 2026-11-23T10:00:00Z. */
bool text_is_instant(struct slice s);
#define TEXT_DATE_BYTES 10
#define TEXT_INSTANT_BYTES 20
/* Times after the year 9999 are written as its last second. */
void text_put_date(struct buf *b, uint64_t unix_seconds);
void text_put_instant(struct buf *b, uint64_t unix_seconds);
/* Seconds since 1970 of a date (at 00:00) or an instant; years >= 1970. */
bool text_parse_instant(struct slice s, uint64_t *unix_seconds);

/* A lower-case DNS name of at least two labels (A-labels), RFC 1035; the
 * last label is not a number, so that no address is taken for a name. */
bool text_is_domain(struct slice s);

#endif /* PROTO_TEXT_H */
