/* C2SP signed notes, checkpoints (tlog-checkpoint), cosignatures
 * (tlog-cosignature v1) and verifier keys.
 *
 * Text in, values out, and back. What a note means for a log is log.h's
 * business, for membership roster.h's. PROTOCOL.md section 6. */

#ifndef PROTO_NOTE_H
#define PROTO_NOTE_H

#include "limits.h"
#include "merkle.h"
#include "sig.h"

enum note_type {
	NOTE_ED25519 = 1, /* signature over the text */
	NOTE_COSIGNATURE = 4, /* timestamped, cosignature/v1 */
};

/* A public key with its name, as a vkey line states it. */
struct note_key {
	char name[LIMIT_NOTE_NAME_BYTES + 1]; /* NUL-terminated */
	enum note_type type;
	uint8_t pub[SIG_PUBLIC_BYTES];
	uint32_t id; /* SHA-256(name || 0x0A || type || pub)[:4] */
};

struct note_sig {
	struct slice name;
	uint32_t id;
	struct slice sig; /* behind the key id, decoded, in the arena */
};

struct note {
	struct slice raw; /* the whole note */
	struct slice text; /* with its last newline */
	uint32_t sig_count;
	struct note_sig *sigs; /* in the arena */
};

struct checkpoint {
	struct slice origin;
	struct head head;
};

/* Fill @k and compute its id. ERR_MALFORMED: bad name; ERR_WEAK_KEY. */
WARN_UNUSED enum err note_key_init(struct note_key *k, struct slice name,
				   enum note_type type,
				   const uint8_t pub[SIG_PUBLIC_BYTES]);
/* "name+hex(id)+base64(type || pub)". ERR_MALFORMED, ERR_WEAK_KEY,
 * ERR_UNSUPPORTED: another type. */
WARN_UNUSED enum err note_key_parse(struct slice vkey, struct note_key *k);
void note_key_put(const struct note_key *k, struct buf *out);
/* SHA-256(pub) as 16 groups of 4 hex digits with hyphens between them: what
 * people compare by telephone. PROTOCOL.md 2.4. */
void note_key_fingerprint(const struct note_key *k, struct buf *out);

/* Split a signed note at its last empty line. Names and text borrow from
 * @raw, signatures are in the arena. ERR_MALFORMED: not a note, or two lines
 * of one key (PROTOCOL.md 6.1); ERR_LIMIT: larger than LIMIT_NOTE_BYTES, too
 * many or too long signatures, arena full. */
WARN_UNUSED enum err note_parse(struct slice raw, struct arena *a,
				struct note *out);
/* ERR_OK: @k signed it; ERR_NOT_FOUND: no signature of @k; ERR_INVALID: the
 * line of @k does not verify, so that the whole note is bad. For
 * NOTE_COSIGNATURE keys *unix_seconds (may be NULL) is the time signed; for
 * others, and on failure, it is 0. */
WARN_UNUSED enum err note_verify(const struct note *n, const struct note_key *k,
				 uint64_t *unix_seconds);
/* Append "— name base64\n" to @out, which is not where @text lives. @text
 * ends with a newline (asserted); @unix_seconds goes into cosignatures only.
 * One key signs a note once: note_parse refuses a second line. */
void note_sign(const struct note_key *k, const uint8_t secret[SIG_SECRET_BYTES],
	       struct slice text, uint64_t unix_seconds, struct buf *out);
/* Append the line of @sig as it was parsed. */
void note_put_sig(const struct note_sig *sig, struct buf *out);

/* Checkpoint text: origin, size below 2^63, root (SHA-256("") at size 0), no
 * extension lines. ERR_MALFORMED otherwise. PROTOCOL.md 6.3. */
WARN_UNUSED enum err checkpoint_parse(struct slice text,
				      struct checkpoint *out);
void checkpoint_put(const struct checkpoint *c, struct buf *out);

#endif /* PROTO_NOTE_H */
