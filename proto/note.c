#include "note.h"

#include <string.h>

#include "text.h"

#define ID_BYTES 4u /* key id before a sig */
#define TIME_BYTES 8u /* before a cosignature */
#define TYPED_KEY_BYTES (1u + SIG_PUBLIC_BYTES) /* type || pub in a vkey */
#define COSIGNATURE_HEAD "cosignature/v1\ntime "

/* An em dash and a blank begin each signature line. */
static const char dash[] = "\xe2\x80\x94 ";

/* The Unicode spaces beyond ASCII, which a key name must not hold. */
static const char *const spaces[] = {
	"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\x80",
	"\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84",
	"\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
	"\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
	"\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
};

/* @s is UTF-8. */
static bool is_space_at(struct slice s, size_t at)
{
	struct slice rest = slice_sub(s, at, s.n - at);

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		if (slice_starts(rest, slice_str(spaces[i])))
			return true;
	}
	return false;
}

/* PROTOCOL.md 6.1: not empty, no spaces, control characters or plus. */
static bool is_name(struct slice s)
{
	if (s.n == 0 || !text_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] == '+')
			return false;
		if (s.p[i] >= 0xc2 && is_space_at(s, i))
			return false;
	}
	return true;
}

/* Keys. */

static uint32_t key_id(const struct note_key *k)
{
	uint8_t m[LIMIT_NOTE_NAME_BYTES + 1 + TYPED_KEY_BYTES];
	size_t n = strlen(k->name);
	struct digest d;

	memcpy(m, k->name, n);
	m[n++] = '\n';
	m[n++] = (uint8_t)k->type;
	memcpy(m + n, k->pub, SIG_PUBLIC_BYTES);
	d = hash_bytes(slice_of(m, n + SIG_PUBLIC_BYTES));
	return get_u32be(d.b);
}

enum err note_key_init(struct note_key *k, struct slice name,
		       enum note_type type, const uint8_t pub[SIG_PUBLIC_BYTES])
{
	struct note_key made = { .type = type };
	enum err err;

	/* @pub may be that of @k. */
	memcpy(made.pub, pub, SIG_PUBLIC_BYTES);
	memset(k, 0, sizeof(*k));
	if (name.n > LIMIT_NOTE_NAME_BYTES || !is_name(name))
		return ERR_MALFORMED;
	err = sig_vet(made.pub);
	if (err != ERR_OK)
		return err;
	memcpy(made.name, name.p, name.n);
	made.id = key_id(&made);
	*k = made;
	return ERR_OK;
}

/* The key material of a vkey: a type byte and a public key. */
static enum err parse_key(struct slice name, uint32_t id, struct slice base64,
			  struct note_key *k)
{
	struct buf key;
	enum err err;

	buf_init(&key, LIMIT_SIG_BYTES);
	err = text_parse_base64(base64, &key);
	if (err != ERR_OK || key.n == 0) {
		err = ERR_MALFORMED;
		goto out;
	}
	if (key.p[0] != NOTE_ED25519 && key.p[0] != NOTE_COSIGNATURE) {
		err = ERR_UNSUPPORTED;
		goto out;
	}
	if (key.n != TYPED_KEY_BYTES) {
		err = ERR_MALFORMED;
		goto out;
	}
	err = note_key_init(k, name, (enum note_type)key.p[0], key.p + 1);
	if (err == ERR_OK && k->id != id)
		err = ERR_MALFORMED;
out:
	buf_free(&key);
	return err;
}

enum err note_key_parse(struct slice vkey, struct note_key *k)
{
	struct slice name, rest, hex, base64;
	uint8_t id[ID_BYTES];

	memset(k, 0, sizeof(*k));
	if (!slice_cut(vkey, '+', &name, &rest) ||
	    !slice_cut(rest, '+', &hex, &base64) || hex.n != 2 * ID_BYTES ||
	    !text_parse_hex(hex, id, ID_BYTES))
		return ERR_MALFORMED;
	return parse_key(name, get_u32be(id), base64, k);
}

void note_key_put(const struct note_key *k, struct buf *out)
{
	uint8_t id[ID_BYTES], key[TYPED_KEY_BYTES];

	put_u32be(id, k->id);
	key[0] = (uint8_t)k->type;
	memcpy(key + 1, k->pub, SIG_PUBLIC_BYTES);
	buf_put_str(out, k->name);
	buf_put_u8(out, '+');
	text_put_hex(out, slice_of(id, sizeof(id)));
	buf_put_u8(out, '+');
	text_put_base64(out, slice_of(key, sizeof(key)));
}

void note_key_fingerprint(const struct note_key *k, struct buf *out)
{
	struct digest d = hash_bytes(slice_of(k->pub, SIG_PUBLIC_BYTES));

	for (size_t i = 0; i < DIGEST_BYTES; i += 2) {
		if (i > 0)
			buf_put_u8(out, '-');
		text_put_hex(out, slice_of(d.b + i, 2));
	}
}

/* Notes. */

/* PROTOCOL.md 6.1: UTF-8, ending in a newline, no other control character. */
static bool is_note_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' && s.p[i] != '\n')
			return false;
	}
	return s.n > 0 && s.p[s.n - 1] == '\n' && text_is_utf8(s);
}

/* Split at the last empty line: *text keeps its newline. */
static bool split(struct slice raw, struct slice *text, struct slice *sigs)
{
	for (size_t i = raw.n; i >= 2; i--) {
		if (raw.p[i - 2] != '\n' || raw.p[i - 1] != '\n')
			continue;
		*text = slice_sub(raw, 0, i - 1);
		*sigs = slice_sub(raw, i, raw.n - i);
		return sigs->n > 0;
	}
	return false;
}

static uint32_t count_lines(struct slice s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/* One signature line without its newline. @scratch is reused. */
static enum err parse_sig(struct slice line, struct arena *a,
			  struct buf *scratch, struct note_sig *out)
{
	struct slice lead = slice_str(dash), base64;
	enum err err;

	if (!slice_starts(line, lead))
		return ERR_MALFORMED;
	line = slice_sub(line, lead.n, line.n - lead.n);
	if (!slice_cut(line, ' ', &out->name, &base64) || !is_name(out->name))
		return ERR_MALFORMED;
	buf_reset(scratch);
	err = text_parse_base64(base64, scratch);
	if (err != ERR_OK)
		return err;
	if (scratch->n <= ID_BYTES)
		return ERR_MALFORMED;
	out->id = get_u32be(scratch->p);
	return arena_copy(
		a, slice_of(scratch->p + ID_BYTES, scratch->n - ID_BYTES),
		&out->sig);
}

static bool is_repeated(const struct note *n, uint32_t last)
{
	for (uint32_t i = 0; i < last; i++) {
		if (n->sigs[i].id == n->sigs[last].id &&
		    slice_equal(n->sigs[i].name, n->sigs[last].name))
			return true;
	}
	return false;
}

static enum err parse_sigs(struct slice lines, struct arena *a,
			   struct note *out)
{
	struct slice line;
	struct buf scratch;
	enum err err = ERR_OK;

	buf_init(&scratch, ID_BYTES + LIMIT_SIG_BYTES);
	while (lines.n > 0 && err == ERR_OK) {
		struct note_sig *sig = &out->sigs[out->sig_count];

		(void)slice_cut(lines, '\n', &line, &lines);
		err = parse_sig(line, a, &scratch, sig);
		if (err == ERR_OK && is_repeated(out, out->sig_count))
			err = ERR_MALFORMED;
		out->sig_count++;
	}
	buf_free(&scratch);
	return err;
}

enum err note_parse(struct slice raw, struct arena *a, struct note *out)
{
	struct slice lines;
	uint32_t count;

	memset(out, 0, sizeof(*out));
	if (raw.n > LIMIT_NOTE_BYTES)
		return ERR_LIMIT;
	if (!is_note_text(raw) || !split(raw, &out->text, &lines))
		return ERR_MALFORMED;
	count = count_lines(lines);
	if (count > LIMIT_NOTE_SIGS)
		return ERR_LIMIT;
	out->raw = raw;
	out->sigs = arena_array(a, count, sizeof(*out->sigs));
	if (out->sigs == NULL)
		return ERR_LIMIT;
	return parse_sigs(lines, a, out);
}

/* Signatures. */

/* What a cosignature signs (PROTOCOL.md 6.4). */
static void put_cosigned(struct buf *out, uint64_t unix_seconds,
			 struct slice text)
{
	buf_init(out, sizeof(COSIGNATURE_HEAD) + 20 + 1 + text.n);
	buf_put_str(out, COSIGNATURE_HEAD);
	buf_put_dec(out, unix_seconds);
	buf_put_u8(out, '\n');
	buf_put(out, text);
}

static enum err verify_cosignature(const struct note *n,
				   const struct note_key *k, struct slice sig,
				   uint64_t *unix_seconds)
{
	struct buf message;
	enum err err;

	if (sig.n != TIME_BYTES + SIG_BYTES)
		return ERR_INVALID;
	*unix_seconds = get_u64be(sig.p);
	put_cosigned(&message, *unix_seconds, n->text);
	err = sig_verify(k->pub, buf_slice(&message),
			 slice_sub(sig, TIME_BYTES, SIG_BYTES));
	buf_free(&message);
	return err;
}

enum err note_verify(const struct note *n, const struct note_key *k,
		     uint64_t *unix_seconds)
{
	struct slice name = slice_str(k->name);
	uint64_t seconds = 0;
	enum err err = ERR_NOT_FOUND;

	/* A parsed note has at most one line of each key. */
	for (uint32_t i = 0; i < n->sig_count; i++) {
		const struct note_sig *s = &n->sigs[i];

		if (s->id != k->id || !slice_equal(s->name, name))
			continue;
		if (k->type == NOTE_COSIGNATURE)
			err = verify_cosignature(n, k, s->sig, &seconds);
		else
			err = sig_verify(k->pub, n->text, s->sig);
		break;
	}
	if (unix_seconds != NULL)
		*unix_seconds = err == ERR_OK ? seconds : 0;
	return err == ERR_OK || err == ERR_NOT_FOUND ? err : ERR_INVALID;
}

void note_sign(const struct note_key *k, const uint8_t secret[SIG_SECRET_BYTES],
	       struct slice text, uint64_t unix_seconds, struct buf *out)
{
	uint8_t sig[TIME_BYTES + SIG_BYTES];
	struct note_sig line = { slice_str(k->name), k->id, { sig, 0 } };
	struct buf message;

	assert(text.n > 0 && text.p[text.n - 1] == '\n');
	if (k->type == NOTE_COSIGNATURE) {
		put_cosigned(&message, unix_seconds, text);
		put_u64be(sig, unix_seconds);
		sig_sign(secret, buf_slice(&message), sig + TIME_BYTES);
		buf_free(&message);
		line.sig.n = TIME_BYTES + SIG_BYTES;
	} else {
		sig_sign(secret, text, sig);
		line.sig.n = SIG_BYTES;
	}
	note_put_sig(&line, out);
}

void note_put_sig(const struct note_sig *sig, struct buf *out)
{
	struct buf bytes;

	buf_init(&bytes, ID_BYTES + LIMIT_SIG_BYTES);
	buf_put_u32be(&bytes, sig->id);
	buf_put(&bytes, sig->sig);
	buf_put_str(out, dash);
	buf_put(out, sig->name);
	buf_put_u8(out, ' ');
	text_put_base64(out, buf_slice(&bytes));
	buf_put_u8(out, '\n');
	buf_free(&bytes);
}

/* Checkpoints. */

static bool parse_root(struct slice base64, struct digest *out)
{
	struct buf root;
	bool ok;

	buf_init(&root, DIGEST_BYTES);
	ok = text_parse_base64(base64, &root) == ERR_OK &&
	     root.n == DIGEST_BYTES;
	if (ok)
		memcpy(out->b, root.p, DIGEST_BYTES);
	buf_free(&root);
	return ok;
}

enum err checkpoint_parse(struct slice text, struct checkpoint *out)
{
	struct slice size, root, rest = text;
	struct digest empty = hash_empty();

	memset(out, 0, sizeof(*out));
	if (!slice_cut(rest, '\n', &out->origin, &rest) ||
	    !slice_cut(rest, '\n', &size, &rest) ||
	    !slice_cut(rest, '\n', &root, &rest) || rest.n != 0)
		return ERR_MALFORMED;
	if (out->origin.n == 0 || out->origin.n > LIMIT_ORIGIN_BYTES ||
	    !text_parse_u64(size, &out->head.size) ||
	    out->head.size >> LIMIT_SIZE_LOG2 != 0 ||
	    !parse_root(root, &out->head.root))
		return ERR_MALFORMED;
	if (out->head.size == 0 && !digest_equal(&out->head.root, &empty))
		return ERR_MALFORMED;
	return ERR_OK;
}

void checkpoint_put(const struct checkpoint *c, struct buf *out)
{
	buf_put(out, c->origin);
	buf_put_u8(out, '\n');
	buf_put_dec(out, c->head.size);
	buf_put_u8(out, '\n');
	text_put_base64(out, digest_slice(&c->head.root));
	buf_put_u8(out, '\n');
}
