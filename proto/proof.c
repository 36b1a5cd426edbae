#include "proof.h"

#include <string.h>

#include "dec.h"
#include "enc.h"
#include "lines.h"
#include "text.h"

#define PROOF_HEAD "c2sp.org/tlog-proof@v1"
#define EXTRA_VERSION 1u
#define EXTRA_FIELDS 4u
/* Array, version, and three binaries with heads of at most 5 bytes. */
#define EXTRA_BYTES_MAX                                                        \
	(2u + 3u * 5u + LIMIT_LEAF_BYTES + LIMIT_SALT_BYTES + LIMIT_BODY_BYTES)

static_assert(EXTRA_BYTES_MAX / 3 * 4 + 64 * 64 + LIMIT_NOTE_BYTES <
		      PROOF_BYTES_MAX,
	      "every proof fits");

void proof_put(const struct proof *p, struct buf *out)
{
	struct buf extra;
	struct enc e;

	buf_init(&extra, EXTRA_BYTES_MAX);
	enc_init(&e, &extra);
	enc_array(&e, EXTRA_FIELDS);
	enc_uint(&e, EXTRA_VERSION);
	enc_bin(&e, p->leaf);
	enc_bin(&e, p->salt);
	enc_bin(&e, p->body);
	buf_put_str(out, PROOF_HEAD "\nextra ");
	text_put_base64(out, buf_slice(&extra));
	buf_put_str(out, "\nindex ");
	buf_put_dec(out, p->index);
	buf_put_u8(out, '\n');
	for (uint32_t i = 0; i < p->path_count; i++) {
		text_put_base64(out, digest_slice(&p->path[i]));
		buf_put_u8(out, '\n');
	}
	buf_put_u8(out, '\n');
	buf_put(out, p->note.raw);
	if (enc_finish(&e) != ERR_OK)
		out->err = ERR_LIMIT;
	buf_free(&extra);
}

/* Decode @base64 into the arena, at most @max bytes. */
static struct slice take_base64(struct lines *l, struct slice base64,
				size_t max, struct arena *a)
{
	struct slice out = { NULL, 0 };
	struct buf bytes;
	enum err err;

	buf_init(&bytes, max);
	err = l->err == ERR_OK ? text_parse_base64(base64, &bytes) : l->err;
	if (err == ERR_OK)
		err = arena_copy(a, buf_slice(&bytes), &out);
	buf_free(&bytes);
	if (err != ERR_OK)
		lines_fail(l, err, "not base64");
	return out;
}

static void parse_extra(struct lines *l, struct slice s, struct proof *out)
{
	struct dec d;

	if (l->err != ERR_OK)
		return;
	dec_init(&d, s);
	dec_array_of(&d, EXTRA_FIELDS);
	if (dec_uint(&d) != EXTRA_VERSION && d.err == ERR_OK)
		d.err = ERR_UNSUPPORTED;
	out->leaf = dec_bin(&d);
	out->salt = dec_bin(&d);
	out->body = dec_bin(&d);
	if (dec_finish(&d) != ERR_OK) {
		lines_fail(l, dec_finish(&d), "not a proof of a record");
		return;
	}
	if (out->leaf.n == 0 || out->leaf.n > LIMIT_LEAF_BYTES ||
	    out->body.n > LIMIT_BODY_BYTES)
		lines_fail(l, ERR_LIMIT, "leaf or body of an impossible size");
	/* Disclosed whole or not at all. */
	if (out->salt.n != (out->body.n > 0 ? LIMIT_SALT_BYTES : 0))
		lines_fail(l, ERR_MALFORMED, "salt and body do not belong");
}

static void parse_path(struct lines *l, struct arena *a, struct proof *out)
{
	while (l->err == ERR_OK && !lines_at(l, "\n")) {
		struct slice h = lines_take(l, "", "the checkpoint is missing");

		if (out->path_count == LIMIT_PATH_HASHES)
			lines_fail(l, ERR_LIMIT, "too many hashes");
		h = take_base64(l, h, DIGEST_BYTES, a);
		if (h.n != DIGEST_BYTES)
			lines_fail(l, ERR_MALFORMED, "a hash is 32 bytes");
		if (l->err == ERR_OK)
			memcpy(out->path[out->path_count++].b, h.p,
			       DIGEST_BYTES);
	}
}

enum err proof_parse(struct slice text, struct arena *a, struct proof *out)
{
	struct lines l;
	struct slice extra;

	memset(out, 0, sizeof(*out));
	lines_init(&l, text);
	if (text.n > PROOF_BYTES_MAX)
		lines_fail(&l, ERR_LIMIT, "the proof is too large");
	if (lines_take(&l, PROOF_HEAD, "this is no proof").n > 0)
		lines_fail(&l, ERR_MALFORMED, "this is no proof");
	extra = lines_take(&l, "extra ", "no extra line");
	extra = take_base64(&l, extra, EXTRA_BYTES_MAX, a);
	parse_extra(&l, extra, out);
	out->index = lines_u64(&l, lines_take(&l, "index ", "no index line"),
			       "the index is no number");
	parse_path(&l, a, out);
	if (lines_take(&l, "", "no empty line").n > 0)
		lines_fail(&l, ERR_MALFORMED, "no empty line");
	return l.err == ERR_OK ? note_parse(l.rest, a, &out->note) : l.err;
}

/* Keep the first failure, and what it was. */
static void keep(enum err *err, enum err found, const char **why,
		 const char *text)
{
	if (*err != ERR_OK || found == ERR_OK)
		return;
	*err = found;
	*why = text;
}

static enum err verify_signature(const struct proof *p,
				 const struct note_key *log_key,
				 struct slice origin, const char **why)
{
	enum err err;

	if (!slice_is(origin, log_key->name)) {
		*why = "the checkpoint is another log's";
		return ERR_CONFLICT;
	}
	err = note_verify(&p->note, log_key, NULL);
	if (err == ERR_OK)
		return ERR_OK;
	*why = err == ERR_NOT_FOUND ? "the log's key has not signed it"
				    : "the log's signature does not verify";
	return ERR_INVALID;
}

static enum err count_cosignatures(const struct proof *p,
				   const struct note_key *witnesses,
				   uint32_t count, struct proof_verdict *v)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t seconds;
		enum err one = note_verify(&p->note, &witnesses[i], &seconds);

		if (one == ERR_NOT_FOUND)
			continue;
		if (one != ERR_OK) {
			err = one;
			continue;
		}
		v->cosignatures++;
		if (seconds > v->newest_cosignature)
			v->newest_cosignature = seconds;
	}
	return err;
}

static bool is_opened(const struct proof *p, const struct proof_verdict *v)
{
	struct digest origin = hash_bytes(v->checkpoint.origin);
	struct digest c = record_commit(p->salt.p, &origin, p->body);

	return digest_equal(&c, &v->leaf.commitment);
}

enum err proof_verify(const struct proof *p, const struct note_key *log_key,
		      const struct note_key *witnesses, uint32_t witness_count,
		      struct proof_verdict *v, const char **why)
{
	struct digest leaf = hash_leaf(p->leaf);
	const char *fault = "";
	enum err err, one;

	memset(v, 0, sizeof(*v));
	*why = "what is signed is no checkpoint";
	err = checkpoint_parse(p->note.text, &v->checkpoint);
	if (err != ERR_OK)
		return err;
	*why = "";
	one = verify_signature(p, log_key, v->checkpoint.origin, &fault);
	v->log_signed = one == ERR_OK;
	keep(&err, one, why, fault);
	one = merkle_verify_inclusion(&leaf, p->index, &v->checkpoint.head,
				      p->path, p->path_count);
	v->inclusion = one == ERR_OK;
	keep(&err, one, why, "the record is not at this place of the log");
	one = count_cosignatures(p, witnesses, witness_count, v);
	keep(&err, one, why, "a witness's cosignature does not verify");
	one = leaf_decode(p->leaf, &v->leaf);
	keep(&err, one, why, "the leaf has a form that is not known here");
	if (one != ERR_OK || p->salt.n == 0)
		return err;
	v->opened = is_opened(p, v);
	keep(&err, v->opened ? ERR_OK : ERR_INVALID, why,
	     "what is disclosed is not what the log committed to");
	return err;
}
