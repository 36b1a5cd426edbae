/* Named limits: the largest of everything that comes from outside.
 *
 * Every length, count, depth and queue has its maximum here, with the reason
 * beside it, and is compared with it before anything is allocated.
 * PROTOCOL.md section 13. */

#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <assert.h>

/* Wire. */
#define LIMIT_FRAME_BYTES (4u << 20) /* one frame between known peers */
#define LIMIT_FRAME_NEW_BYTES 4096u /* before HELLO was accepted */
#define LIMIT_CHUNK_BYTES (1u << 20) /* leaves + bodies of one CHUNK */
#define LIMIT_CHUNK_RECORDS 65535u /* records of one CHUNK */
#define LIMIT_DEPTH 8u /* nesting of any document */
#define LIMIT_ITEMS 262144u /* values in one document, in all */

/* Records. */
#define LIMIT_BODY_BYTES 65536u /* canonical body */
#define LIMIT_LEAF_BYTES 64u /* a leaf is about 40 */
#define LIMIT_SALT_BYTES 32u /* exactly */
#define LIMIT_ID_BYTES 255u /* record ids, course codes */
#define LIMIT_TEXT_BYTES 16384u /* one string in a body */
#define LIMIT_LIST_ITEMS 1024u /* one list in a body */
#define LIMIT_DOMAIN_BYTES 253u /* RFC 1035: a member's name */

/* Logs. */
#define LIMIT_LOGS 512u /* logs that one node holds */
#define LIMIT_MEMBERS 512u /* members of a roster, ever */
#define LIMIT_SIZE_LOG2 63u /* a log has less than 2^63 records */
#define LIMIT_FRONTIER_HASHES 63u /* perfect subtrees of one size */
#define LIMIT_PATH_HASHES 63u /* inclusion proof */
#define LIMIT_COVER_HASHES 126u /* right range of a chunk */
#define LIMIT_NOTE_BYTES 65536u /* a signed note with signatures */
#define LIMIT_NOTE_SIGS 64u /* signature lines of one note */
#define LIMIT_NOTE_NAME_BYTES 300u /* domain + "/governance" */
#define LIMIT_SIG_BYTES 5120u /* room for ML-DSA one day */
#define LIMIT_ORIGIN_BYTES 300u /* domain + "/symbolon/" + number */

/* Members' documents. */
#define LIMIT_LOG_KEYS 64u /* key ranges of one descriptor */
#define LIMIT_TLS_PINS 4u /* current, next, two spare */
#define LIMIT_ENDPOINTS 8u /* addresses of one member */
#define LIMIT_ENDPOINT_BYTES 280u /* HOST:PORT */
#define LIMIT_BUNDLE_BYTES (64u << 20) /* an alliance file with all cards */

/* Replication: memory that a peer can make us hold. */
#define LIMIT_CREDIT_LINK_BYTES (8u << 20) /* granted and not yet received */
#define LIMIT_LINKS 1024u /* links, up or being set up */
#define LIMIT_LINKS_NEW 64u /* not yet authenticated */
#define LIMIT_LINKS_MEMBER 64u /* of one member, clients included */
#define LIMIT_HANDSHAKE_MS 10000u /* from accept to HELLO */
#define LIMIT_OUT_HIGH_BYTES (1u << 20) /* stop reading from that peer */
#define LIMIT_OUT_LOW_BYTES (256u << 10) /* and go on again */
#define LIMIT_DESK_BYTES (32u << 20) /* questions not yet answered */
#define LIMIT_ASKS_LINK 64u /* questions in flight on one link */
#define LIMIT_QUESTION_BYTES 131072u /* a question with a disclosed body */
#define LIMIT_ANSWER_BYTES (1u << 20) /* one answer */
#define LIMIT_ENTRY_BYTES 65664u /* one record in a CHUNK */
#define LIMIT_BODIES 1024u /* bodies asked for in one frame */
#define LIMIT_REASON_BYTES 255u /* text of ERR and BYE */
#define LIMIT_JOBS_LINK 64u /* logs served at once on one link */
#define LIMIT_HELD_CHUNKS 64u /* of one log, not yet applied */
#define LIMIT_HELD_BYTES (64u << 20) /* the same of all logs together */
#define LIMIT_CHECKS_LOG 4u /* older heads to compare, one log */

/* Files. */
#define LIMIT_LINE_BYTES (1u << 20) /* one line of an import */
#define LIMIT_COLUMNS 256u /* of one CSV file */

/* The writer. */
#define LIMIT_TXN_RECORDS 65536u /* records of one transaction */
#define LIMIT_TXN_BYTES (48u << 20) /* bytes of one transaction */

/* Recognition. */
#define LIMIT_CANDIDATES 4096u /* rules weighed for one question */
#define LIMIT_ALTERNATIVES 64u /* listed in one answer */

static_assert(LIMIT_CHUNK_BYTES + LIMIT_BODY_BYTES + LIMIT_NOTE_BYTES +
			      LIMIT_COVER_HASHES * 32u + 4096u <
		      LIMIT_FRAME_BYTES,
	      "a chunk must fit in a frame");
static_assert(LIMIT_CHUNK_BYTES < LIMIT_CREDIT_LINK_BYTES,
	      "credit must allow at least one chunk");
static_assert(LIMIT_ANSWER_BYTES < LIMIT_FRAME_BYTES,
	      "an answer must fit in a frame");

#endif /* PROTO_LIMITS_H */
