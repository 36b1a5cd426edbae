/* Frames between nodes: u32be length, then a canonical msgpack array.
 *
 * Encodes and decodes; what a message means for a link is session.h's
 * business, for the logs mesh.h's. Decoded messages borrow from the frame
 * and from the arena. PROTOCOL.md section 9. */

#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "merkle.h"
#include "record.h"

#define MESSAGE_VERSION_MIN 1 /* protocol versions that are spoken here */
#define MESSAGE_VERSION_MAX 1
#define MESSAGE_PREFIX_BYTES 4u /* u32be length before each frame */
#define INCARNATION_BYTES 16u

/* Numbers travel. */
enum message_type {
	MSG_HELLO = 1,
	MSG_HEADS = 2,
	MSG_WANT = 3,
	MSG_CHUNK = 4,
	MSG_WANT_BODIES = 5,
	MSG_BODIES = 6,
	MSG_ACK = 7,
	MSG_FORK = 8,
	MSG_DOC = 9,
	MSG_WANT_DOC = 10,
	MSG_PING = 11,
	MSG_PONG = 12,
	MSG_ERR = 13,
	MSG_BYE = 14,
	MSG_ASK = 20,
	MSG_ANSWER = 21,
	MSG_SUBMIT = 22, /* 22 to 24: reserved */
	MSG_RECEIPT = 23,
	MSG_CHANGES = 24,
};

enum role {
	ROLE_PEER = 1, /* replicates */
	ROLE_CLIENT = 2, /* asks only */
};

struct message_hello {
	uint64_t version_min, version_max;
	enum role role;
	struct digest alliance;
	struct slice member;
	uint8_t incarnation[INCARNATION_BYTES];
	uint64_t roster_version;
	struct digest roster_hash;
	uint64_t max_frame; /* bytes that the sender takes in one frame */
};

/* One log in HEADS: the newest head that the sender holds completely; or,
 * without a note and only to the log's owner, how many records it holds
 * beyond that. */
struct message_head {
	struct slice origin;
	uint64_t size; /* as the note states */
	struct slice note;
};

/* One document in HEADS; an empty member stands for the roster. */
struct message_doc_head {
	struct slice member;
	uint64_t version;
	struct digest hash; /* of the text */
};

enum heads_part {
	HEADS_CHANGE = 0, /* in addition to what was told */
	HEADS_MORE = 1, /* everything, more parts follow */
	HEADS_LAST = 2, /* everything, last part */
};

struct message_heads {
	enum heads_part part;
	uint32_t log_count; /* <= LIMIT_LOGS */
	struct message_head *logs;
	uint32_t doc_count; /* <= LIMIT_MEMBERS + 1 */
	struct message_doc_head *docs;
};

/* A new @job number starts serving at @from; the number of the running job
 * adds @credit to it. Credit 0 ends the job. */
struct message_want {
	struct slice origin;
	uint64_t job; /* chosen by the receiver, not 0 */
	uint64_t from; /* ignored when the job is running */
	uint64_t credit; /* bytes of entries, <= LIMIT_CREDIT_LINK_BYTES */
};

struct message_chunk {
	struct slice origin;
	uint64_t job;
	uint64_t from; /* place of the first record */
	struct slice note; /* signed head of size >= from + count */
	uint32_t right_count; /* <= LIMIT_COVER_HASHES */
	const struct digest *right; /* cover(from + count, size of the note) */
	uint32_t count; /* 1..LIMIT_CHUNK_RECORDS */
	struct slice entries; /* checked; see message_next_entry */
};

struct message_want_bodies {
	struct slice origin;
	uint32_t count; /* 1..LIMIT_BODIES */
	uint64_t *seqs; /* ascending */
};

struct message_body {
	uint64_t seq;
	struct slice salt; /* LIMIT_SALT_BYTES */
	struct slice body; /* as stored: sealed unless public */
};

struct message_bodies {
	struct slice origin;
	uint32_t count;
	struct message_body *bodies;
	uint32_t absent_count;
	uint64_t *absent; /* asked for, but not held or not for you */
};

struct message_ack {
	struct slice origin;
	uint64_t size; /* durable at the sender */
	struct slice cosignature; /* line on the head of this size, or empty */
};

/* a.size <= b.size; left = cover(0, a), right = cover(a, b), both from the
 * tree of b: see merkle_judge_fork. */
struct message_fork {
	struct slice origin;
	struct slice note_a, note_b;
	uint32_t left_count, right_count;
	const struct digest *left, *right;
};

enum doc_kind { DOC_ROSTER = 1, DOC_CARD = 2 };

struct message_doc {
	enum doc_kind kind;
	struct slice member; /* empty for the roster */
	uint64_t version;
	struct slice note;
};

struct message_want_doc {
	enum doc_kind kind;
	struct slice member;
	uint64_t version; /* 0: the newest */
};

struct message_ping {
	uint64_t size; /* of the sender's own log */
};

/* A complaint that does not end the link. */
struct message_err {
	enum err code; /* ERR_UNSUPPORTED when not known here */
	uint64_t type; /* of the frame that is answered */
	uint64_t id; /* of the ASK that is answered, else 0 */
	struct slice text; /* clean UTF-8, <= LIMIT_REASON_BYTES */
};

struct message_bye {
	enum err code; /* ERR_OK: nothing is wrong */
	struct slice text;
};

struct message_ask {
	uint64_t id; /* unique among those in flight on this link */
	struct slice question; /* opaque here */
};

struct message_answer {
	uint64_t id;
	enum err code; /* ERR_OK: answered */
	struct slice answer; /* opaque here */
};

struct message {
	enum message_type type;
	union {
		struct message_hello hello;
		struct message_heads heads;
		struct message_want want;
		struct message_chunk chunk;
		struct message_want_bodies want_bodies;
		struct message_bodies bodies;
		struct message_ack ack;
		struct message_fork fork;
		struct message_doc doc;
		struct message_want_doc want_doc;
		struct message_ping ping; /* MSG_PING and MSG_PONG */
		struct message_err err;
		struct message_bye bye;
		struct message_ask ask;
		struct message_answer answer;
	};
};

/* Take one frame off the front of *in, which is left behind it; *frame is
 * without the length. ERR_TRUNCATED: not all there yet (*in is unchanged);
 * ERR_LIMIT: longer than @max; ERR_MALFORMED: length 0. PROTOCOL.md 9.1. */
WARN_UNUSED enum err frame_split(struct slice *in, uint32_t max,
				 struct slice *frame);

/* Decode one frame (without its length). Lists go into @a, everything else
 * is borrowed from @frame. ERR_UNSUPPORTED: well-formed array of an unknown
 * or reserved type, to be ignored; ERR_MALFORMED, ERR_TRUNCATED, ERR_LIMIT:
 * the link has to be closed; *why (may be NULL) names the clause. */
WARN_UNUSED enum err message_decode(struct slice frame, struct arena *a,
				    struct message *out, const char **why);

/* Append the frame, with its length, of what @m says to @out, whose sticky
 * error tells when it did not fit. Asserts the limits of @m. */
void message_put(const struct message *m, struct buf *out);

/* Entries of a chunk: u8 leaf length, leaf, u32be body length, and when that
 * is not 0: salt (32 bytes), body. PROTOCOL.md 9.6. */
size_t message_entry_bytes(const struct record *r);
void message_put_entry(const struct record *r, struct buf *entries);
/* The next entry of *rest, which moves on. ERR_NOT_FOUND: none left;
 * ERR_MALFORMED, ERR_TRUNCATED, ERR_LIMIT. */
WARN_UNUSED enum err message_next_entry(struct slice *rest, struct record *out);
/* All records of a decoded chunk. ERR_LIMIT: the arena is full. */
WARN_UNUSED enum err message_records(const struct message_chunk *c,
				     struct arena *a, struct record **out);

const char *message_name(enum message_type t); /* "HELLO"; for logs */

#endif /* PROTO_MESSAGE_H */
