#include <string.h>

#include "dec.h"
#include "enc.h"
#include "recognise.h"
#include "schema.h"
#include "text.h"

/* The question document and the document of a failure, PROTOCOL.md 12.1. */

/* One question on its way in. */
struct reading {
	struct recognise_question *q;
	const char *why;
	bool has_version;
};

static enum err fail(struct reading *r, enum err e, const char *why)
{
	r->why = why;
	return e;
}

static bool is_name(struct slice s, size_t max)
{
	return s.n > 0 && s.n <= max && text_is_clean(s);
}

#define REFERENCE_BYTES (LIMIT_DOMAIN_BYTES + 1 + LIMIT_ID_BYTES)

static enum err read_credentials(struct reading *r, struct dec *d)
{
	uint32_t n = dec_array(d);
	struct recognise_question *q = r->q;

	if (d->err != ERR_OK || n == 0)
		return fail(r, ERR_MALFORMED, "12.1: credentials is a list");
	for (; n > 0; n--) {
		struct slice id = dec_str(d);
		bool again = false;

		if (d->err != ERR_OK || !is_name(id, REFERENCE_BYTES))
			return fail(r, ERR_MALFORMED,
				    "12.1: a credential is MEMBER/ID or ID");
		for (uint32_t i = 0; i < q->credential_count; i++)
			again = again || slice_equal(id, q->credentials[i]);
		if (again)
			continue;
		if (q->credential_count == LIMIT_HELD)
			return fail(r, ERR_LIMIT, "12.1: too many credentials");
		q->credentials[q->credential_count++] = id;
	}
	return ERR_OK;
}

/* The text fields, by their place in struct recognise_question. */
static const struct {
	const char *key;
	size_t at;
} texts[] = {
	{ "achieved_on", offsetof(struct recognise_question, achieved_on) },
	{ "as_of", offsetof(struct recognise_question, as_of) },
	{ "by", offsetof(struct recognise_question, by) },
	{ "offer", offsetof(struct recognise_question, offer) },
	{ "programme", offsetof(struct recognise_question, programme) },
	{ "purpose", offsetof(struct recognise_question, purpose) },
};

static enum err read_text(struct reading *r, struct slice key, struct dec *d)
{
	struct slice text;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!slice_is(key, texts[i].key))
			continue;
		text = dec_str(d);
		if (d->err != ERR_OK || !is_name(text, REFERENCE_BYTES))
			return fail(r, ERR_MALFORMED,
				    "12.1: a field is no text, or too long");
		memcpy((uint8_t *)r->q + texts[i].at, &text, sizeof(text));
		return ERR_OK;
	}
	return fail(r, ERR_UNSUPPORTED, "12.1: unknown field");
}

static enum err read_field(struct reading *r, struct slice key, struct dec *d)
{
	if (slice_is(key, "credentials"))
		return read_credentials(r, d);
	if (slice_is(key, "disclosed")) {
		r->q->disclosed = dec_bin(d);
	} else if (slice_is(key, "explain")) {
		r->q->explain = dec_bool(d);
	} else if (slice_is(key, "v")) {
		r->has_version = true;
		if (dec_uint(d) != 1)
			return fail(r, ERR_UNSUPPORTED,
				    "12.1: another version");
	} else {
		return read_text(r, key, d);
	}
	if (d->err != ERR_OK)
		return fail(r, ERR_MALFORMED, "12.1: a field of another type");
	return ERR_OK;
}

/* Is @word one of the purposes that rules can name? */
static bool is_purpose(struct slice word)
{
	const struct field *f = schema_field(schema_of(KIND_RULE)->shape,
					     SLICE_LIT("purposes"));

	return f != NULL && field_rank(f, word) >= 0;
}

static enum err check(struct reading *r)
{
	const struct recognise_question *q = r->q;
	struct slice member, code;

	if (!r->has_version)
		return fail(r, ERR_MALFORMED, "12.1: no version");
	if (!text_is_domain(q->by))
		return fail(r, ERR_MALFORMED,
			    "12.1: by is the domain of an institution");
	if ((q->credential_count > 0) + (q->offer.n > 0) +
		    (q->disclosed.n > 0) !=
	    1)
		return fail(r, ERR_MALFORMED,
			    "12.1: either credentials, offer or disclosed");
	if (q->offer.n > 0 && (!slice_cut(q->offer, '/', &member, &code) ||
			       !text_is_domain(member) || code.n == 0))
		return fail(r, ERR_MALFORMED, "12.1: offer is MEMBER/CODE");
	if ((q->as_of.n > 0 && !text_is_date(q->as_of)) ||
	    (q->achieved_on.n > 0 && !text_is_date(q->achieved_on)))
		return fail(r, ERR_MALFORMED,
			    "12.1: a date is written YYYY-MM-DD");
	if (q->achieved_on.n > 0 && q->offer.n == 0)
		return fail(r, ERR_MALFORMED,
			    "12.1: achieved_on goes with offer only");
	if (q->purpose.n > 0 && !is_purpose(q->purpose))
		return fail(r, ERR_MALFORMED,
			    "12.1: purpose is credit, exemption, admission or "
			    "advanced-standing");
	return ERR_OK;
}

enum err recognise_question_parse(struct slice in,
				  struct recognise_question *out,
				  const char **why)
{
	struct reading r = { .q = out, .why = "" };
	enum err e = ERR_LIMIT;
	struct slice key;
	struct dec d;

	memset(out, 0, sizeof(*out));
	*why = "12.1: longer than LIMIT_QUESTION_BYTES";
	if (in.n > LIMIT_QUESTION_BYTES)
		return e;
	e = dec_scan(in, why);
	if (e != ERR_OK)
		return e;
	dec_init(&d, in);
	*why = "12.1: a question is a map";
	if (dec_peek(&d) != DEC_MAP)
		return ERR_MALFORMED;
	for (uint32_t n = dec_map(&d); n > 0 && e == ERR_OK; n--) {
		key = dec_str(&d);
		e = read_field(&r, key, &d);
	}
	if (e == ERR_OK)
		e = check(&r);
	*why = r.why;
	return e;
}

static void put_text(struct enc *e, const char *key, struct slice s)
{
	if (s.n == 0)
		return;
	enc_cstr(e, key);
	enc_str(e, s);
}

void recognise_question_put(const struct recognise_question *q, struct buf *out)
{
	struct enc e;

	enc_init(&e, out);
	enc_map(&e, 2u + (q->achieved_on.n > 0) + (q->as_of.n > 0) +
			    (q->credential_count > 0) + (q->disclosed.n > 0) +
			    q->explain + (q->offer.n > 0) +
			    (q->programme.n > 0) + (q->purpose.n > 0));
	put_text(&e, "achieved_on", q->achieved_on);
	put_text(&e, "as_of", q->as_of);
	enc_cstr(&e, "by");
	enc_str(&e, q->by);
	if (q->credential_count > 0) {
		enc_cstr(&e, "credentials");
		enc_array(&e, q->credential_count);
		for (uint32_t i = 0; i < q->credential_count; i++)
			enc_str(&e, q->credentials[i]);
	}
	if (q->disclosed.n > 0) {
		enc_cstr(&e, "disclosed");
		enc_bin(&e, q->disclosed);
	}
	if (q->explain) {
		enc_cstr(&e, "explain");
		enc_bool(&e, true);
	}
	put_text(&e, "offer", q->offer);
	put_text(&e, "programme", q->programme);
	put_text(&e, "purpose", q->purpose);
	enc_cstr(&e, "v");
	enc_uint(&e, 1);
}

void recognise_put_error(enum err code, struct slice message,
			 const struct slice *candidates, uint32_t count,
			 struct buf *out)
{
	struct enc e;

	enc_init(&e, out);
	enc_map(&e, count > 0 ? 4 : 3);
	if (count > 0) {
		enc_cstr(&e, "candidates");
		enc_array(&e, count);
		for (uint32_t i = 0; i < count; i++)
			enc_str(&e, candidates[i]);
	}
	enc_cstr(&e, "error");
	enc_cstr(&e, err_code(code));
	enc_cstr(&e, "message");
	enc_str(&e, message);
	enc_cstr(&e, "v");
	enc_uint(&e, 1);
}
