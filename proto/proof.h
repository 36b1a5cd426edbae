/* Portable proof of one record: C2SP tlog-proof, with what a holder adds.
 *
 * `extra` is base64 of msgpack [1, leaf, salt, body] (the last two empty
 * unless disclosed; body in the clear). PROTOCOL.md section 7. */

#ifndef PROTO_PROOF_H
#define PROTO_PROOF_H

#include "note.h"
#include "record.h"

/* extra, path and checkpoint with the longest of everything. */
#define PROOF_BYTES_MAX (LIMIT_NOTE_BYTES + 98304u)

struct proof {
	struct slice leaf; /* encoded leaf */
	struct slice salt; /* empty unless disclosed */
	struct slice body; /* plain canonical body, empty as well */
	uint64_t index; /* place in the log */
	uint32_t path_count;
	struct digest path[LIMIT_PATH_HASHES];
	struct note note; /* the checkpoint with its signatures */
};

/* Write @p; its note is written as it was parsed (note.raw). */
void proof_put(const struct proof *p, struct buf *out);
/* Form only. Slices point into the arena and @text. ERR_MALFORMED;
 * ERR_TRUNCATED: extra ends early; ERR_LIMIT; ERR_UNSUPPORTED: extra of a newer
 * version. PROTOCOL.md 7.1. */
WARN_UNUSED enum err proof_parse(struct slice text, struct arena *a,
				 struct proof *out);
/* What verification found; every field is set. */
struct proof_verdict {
	struct checkpoint checkpoint;
	struct leaf leaf;
	bool inclusion; /* leaf is at index under the root */
	bool log_signed; /* by @log_key */
	bool opened; /* salt and body match the commitment */
	uint32_t cosignatures; /* of the given witnesses that verify */
	uint64_t newest_cosignature; /* Unix seconds, 0: none */
};
/* Check @p with the log's key and witnesses' keys. ERR_OK: everything that
 * is there verifies (opened only if disclosed); otherwise the first failure
 * and *why, static, names it: ERR_MALFORMED, ERR_INVALID, ERR_CONFLICT (the
 * checkpoint of a log that is not @log_key's), ERR_UNSUPPORTED (leaf). How many
 * cosignatures suffice, and whether @log_key may sign this size, is for the
 * caller to say. @p is as parsed. PROTOCOL.md 7.2. */
WARN_UNUSED enum err proof_verify(const struct proof *p,
				  const struct note_key *log_key,
				  const struct note_key *witnesses,
				  uint32_t witness_count,
				  struct proof_verdict *v, const char **why);

#endif /* PROTO_PROOF_H */
