#include "message.h"

#include <assert.h>
#include <string.h>

#include "dec.h"
#include "enc.h"
#include "text.h"

/* The size of a log is below this. */
#define SIZE_MAX_LOG (((uint64_t)1 << LIMIT_SIZE_LOG2) - 1)
#define STORED_BODY_MAX (LIMIT_BODY_BYTES + SEAL_TAG_BYTES)
#define ENTRY_HEAD_BYTES 5u /* u8 leaf length, u32be body length */

static_assert(ENTRY_HEAD_BYTES + LIMIT_LEAF_BYTES + LIMIT_SALT_BYTES +
			      STORED_BODY_MAX <=
		      LIMIT_ENTRY_BYTES,
	      "an entry has room");
static_assert(LIMIT_CHUNK_BYTES >= LIMIT_ENTRY_BYTES,
	      "the largest record fits in a chunk");

enum err frame_split(struct slice *in, uint32_t max, struct slice *frame)
{
	uint32_t n;

	if (in->n < MESSAGE_PREFIX_BYTES)
		return ERR_TRUNCATED;
	n = get_u32be(in->p);
	if (n == 0)
		return ERR_MALFORMED;
	if (n > max)
		return ERR_LIMIT;
	if (in->n - MESSAGE_PREFIX_BYTES < n)
		return ERR_TRUNCATED;
	*frame = slice_sub(*in, MESSAGE_PREFIX_BYTES, n);
	*in = slice_sub(*in, MESSAGE_PREFIX_BYTES + n,
			in->n - MESSAGE_PREFIX_BYTES - n);
	return ERR_OK;
}

const char *message_name(enum message_type t)
{
	switch (t) {
	case MSG_HELLO:
		return "HELLO";
	case MSG_HEADS:
		return "HEADS";
	case MSG_WANT:
		return "WANT";
	case MSG_CHUNK:
		return "CHUNK";
	case MSG_WANT_BODIES:
		return "WANT_BODIES";
	case MSG_BODIES:
		return "BODIES";
	case MSG_ACK:
		return "ACK";
	case MSG_FORK:
		return "FORK";
	case MSG_DOC:
		return "DOC";
	case MSG_WANT_DOC:
		return "WANT_DOC";
	case MSG_PING:
		return "PING";
	case MSG_PONG:
		return "PONG";
	case MSG_ERR:
		return "ERR";
	case MSG_BYE:
		return "BYE";
	case MSG_ASK:
		return "ASK";
	case MSG_ANSWER:
		return "ANSWER";
	case MSG_SUBMIT:
		return "SUBMIT";
	case MSG_RECEIPT:
		return "RECEIPT";
	case MSG_CHANGES:
		return "CHANGES";
	}
	return "unknown";
}

/* Reading. */

/* A frame being read: the cursor, where lists go, the first fault. */
struct reader {
	struct dec d;
	struct arena *arena;
	const char *why; /* clause of the first fault */
};

static void refuse(struct reader *r, enum err err, const char *why)
{
	if (r->d.err != ERR_OK)
		return;
	r->d.err = err;
	r->why = why;
}

static struct slice bounded(struct reader *r, struct slice s, size_t max,
			    const char *why)
{
	if (s.n <= max)
		return s;
	refuse(r, ERR_LIMIT, why);
	return slice_of(NULL, 0);
}

static struct slice take_origin(struct reader *r)
{
	struct slice s = bounded(r, dec_str(&r->d), LIMIT_ORIGIN_BYTES,
				 "9.3: origin too long");

	if (s.n == 0)
		refuse(r, ERR_MALFORMED, "9.3: no origin");
	return s;
}

static struct slice take_member(struct reader *r)
{
	return bounded(r, dec_str(&r->d), LIMIT_DOMAIN_BYTES,
		       "9.2: member too long");
}

static struct slice take_note(struct reader *r)
{
	return bounded(r, dec_str(&r->d), LIMIT_NOTE_BYTES,
		       "9.3: note too long");
}

static struct slice take_text(struct reader *r)
{
	struct slice s = bounded(r, dec_str(&r->d), LIMIT_REASON_BYTES,
				 "9.12: text too long");

	if (!text_is_clean(s))
		refuse(r, ERR_MALFORMED, "9.12: text with control characters");
	return s;
}

/* Codes of newer versions have a meaning that is not known here. */
static enum err take_code(struct reader *r)
{
	switch (dec_uint_max(&r->d, UINT32_MAX)) {
	case 0:
		return ERR_OK;
#define X(name, num, code, text)                                               \
	case num:                                                              \
		return name;
		ERR_MAP(X)
#undef X
	default:
		return ERR_UNSUPPORTED;
	}
}

static uint64_t take_size(struct reader *r)
{
	return dec_uint_max(&r->d, SIZE_MAX_LOG);
}

static const struct digest *take_hashes(struct reader *r, uint32_t *count)
{
	struct slice s = dec_bin(&r->d);

	*count = 0;
	if (s.n > LIMIT_COVER_HASHES * sizeof(struct digest))
		refuse(r, ERR_LIMIT, "9.5: too many hashes");
	else if (s.n % sizeof(struct digest) != 0)
		refuse(r, ERR_MALFORMED, "9.5: part of a hash");
	else
		*count = (uint32_t)(s.n / sizeof(struct digest));
	return (const struct digest *)(const void *)s.p;
}

/* Begin a list of at most @max items of @bytes each. */
static void *take_list(struct reader *r, uint32_t max, size_t bytes,
		       uint32_t *count)
{
	uint32_t n = dec_array(&r->d);
	void *list;

	*count = 0;
	if (n > max)
		refuse(r, ERR_LIMIT, "9.1: list too long");
	if (n == 0 || r->d.err != ERR_OK)
		return NULL;
	list = arena_array(r->arena, n, bytes);
	if (list == NULL)
		refuse(r, ERR_LIMIT, "9.1: too much for one frame");
	else
		*count = n;
	return list;
}

static uint64_t *take_seqs(struct reader *r, uint32_t *count)
{
	uint64_t *list = take_list(r, LIMIT_BODIES, sizeof(*list), count);

	for (uint32_t i = 0; i < *count && r->d.err == ERR_OK; i++) {
		list[i] = take_size(r);
		if (i > 0 && list[i] <= list[i - 1])
			refuse(r, ERR_MALFORMED, "9.7: places not ascending");
	}
	return list;
}

static void read_hello(struct reader *r, struct message_hello *m)
{
	uint64_t role;

	m->version_min = dec_uint(&r->d);
	m->version_max = dec_uint(&r->d);
	role = dec_uint(&r->d);
	if (role != ROLE_PEER && role != ROLE_CLIENT)
		refuse(r, ERR_MALFORMED, "9.2: role");
	m->role = role == ROLE_CLIENT ? ROLE_CLIENT : ROLE_PEER;
	dec_bin_into(&r->d, m->alliance.b, sizeof(m->alliance.b));
	m->member = take_member(r);
	dec_bin_into(&r->d, m->incarnation, sizeof(m->incarnation));
	m->roster_version = dec_uint(&r->d);
	dec_bin_into(&r->d, m->roster_hash.b, sizeof(m->roster_hash.b));
	m->max_frame = dec_uint(&r->d);
}

static void read_heads(struct reader *r, struct message_heads *m)
{
	uint64_t part = dec_uint(&r->d);

	if (part > HEADS_LAST)
		refuse(r, ERR_MALFORMED, "9.3: part");
	m->part = (enum heads_part)part;
	m->logs = take_list(r, LIMIT_LOGS, sizeof(*m->logs), &m->log_count);
	for (uint32_t i = 0; i < m->log_count && r->d.err == ERR_OK; i++) {
		dec_array_of(&r->d, 3);
		m->logs[i].origin = take_origin(r);
		m->logs[i].size = take_size(r);
		m->logs[i].note = take_note(r);
	}
	m->docs = take_list(r, LIMIT_MEMBERS + 1, sizeof(*m->docs),
			    &m->doc_count);
	for (uint32_t i = 0; i < m->doc_count && r->d.err == ERR_OK; i++) {
		dec_array_of(&r->d, 3);
		m->docs[i].member = take_member(r);
		m->docs[i].version = dec_uint(&r->d);
		dec_bin_into(&r->d, m->docs[i].hash.b, DIGEST_BYTES);
	}
}

static void read_want(struct reader *r, struct message_want *m)
{
	m->origin = take_origin(r);
	m->job = dec_uint(&r->d);
	if (m->job == 0)
		refuse(r, ERR_MALFORMED, "9.4: job 0");
	m->from = take_size(r);
	m->credit = dec_uint_max(&r->d, LIMIT_CREDIT_LINK_BYTES);
}

/* Walk through all entries once, so that nobody meets a bad one later. */
static void check_entries(struct reader *r, const struct message_chunk *m)
{
	struct slice rest = m->entries;
	struct record record;
	uint32_t n = 0;
	enum err err;

	while ((err = message_next_entry(&rest, &record)) == ERR_OK)
		n++;
	if (err != ERR_NOT_FOUND)
		refuse(r, err, "9.6: entry");
	else if (n != m->count)
		refuse(r, ERR_MALFORMED, "9.6: number of entries");
}

static void read_chunk(struct reader *r, struct message_chunk *m)
{
	m->origin = take_origin(r);
	m->job = dec_uint(&r->d);
	m->from = take_size(r);
	m->note = take_note(r);
	m->right = take_hashes(r, &m->right_count);
	m->count = (uint32_t)dec_uint_max(&r->d, LIMIT_CHUNK_RECORDS);
	if (m->count == 0)
		refuse(r, ERR_MALFORMED, "9.5: empty chunk");
	if (m->from > SIZE_MAX_LOG - m->count)
		refuse(r, ERR_LIMIT, "9.5: place too large");
	m->entries = bounded(r, dec_bin(&r->d), LIMIT_CHUNK_BYTES,
			     "9.5: chunk too long");
	if (r->d.err == ERR_OK)
		check_entries(r, m);
}

static void read_want_bodies(struct reader *r, struct message_want_bodies *m)
{
	m->origin = take_origin(r);
	m->seqs = take_seqs(r, &m->count);
	if (m->count == 0)
		refuse(r, ERR_MALFORMED, "9.7: nothing asked for");
}

static void read_bodies(struct reader *r, struct message_bodies *m)
{
	struct message_body *b;

	m->origin = take_origin(r);
	m->bodies = take_list(r, LIMIT_BODIES, sizeof(*m->bodies), &m->count);
	for (uint32_t i = 0; i < m->count && r->d.err == ERR_OK; i++) {
		b = &m->bodies[i];
		dec_array_of(&r->d, 3);
		b->seq = take_size(r);
		b->salt = dec_bin(&r->d);
		b->body = bounded(r, dec_bin(&r->d), STORED_BODY_MAX,
				  "9.7: body too long");
		if (b->salt.n != LIMIT_SALT_BYTES || b->body.n == 0)
			refuse(r, ERR_MALFORMED, "9.7: salt or body");
		if (i > 0 && b->seq <= m->bodies[i - 1].seq)
			refuse(r, ERR_MALFORMED, "9.7: places not ascending");
	}
	m->absent = take_seqs(r, &m->absent_count);
}

static void read_fork(struct reader *r, struct message_fork *m)
{
	m->origin = take_origin(r);
	m->note_a = take_note(r);
	m->note_b = take_note(r);
	m->left = take_hashes(r, &m->left_count);
	m->right = take_hashes(r, &m->right_count);
}

static enum doc_kind take_doc_name(struct reader *r, struct slice *member)
{
	uint64_t kind = dec_uint(&r->d);

	*member = take_member(r);
	if (kind != DOC_ROSTER && kind != DOC_CARD)
		refuse(r, ERR_MALFORMED, "9.10: kind");
	if ((kind == DOC_ROSTER) != (member->n == 0))
		refuse(r, ERR_MALFORMED, "9.10: member");
	return kind == DOC_CARD ? DOC_CARD : DOC_ROSTER;
}

static void read_err(struct reader *r, struct message_err *m)
{
	m->code = take_code(r);
	m->type = dec_uint(&r->d);
	m->id = dec_uint(&r->d);
	m->text = take_text(r);
}

static void read_answer(struct reader *r, struct message_answer *m)
{
	m->id = dec_uint(&r->d);
	m->code = take_code(r);
	m->answer = bounded(r, dec_bin(&r->d), LIMIT_ANSWER_BYTES,
			    "9.13: answer too long");
}

/* Number of values of each frame, its type included; 0: reserved. */
static uint32_t arity(enum message_type t)
{
	switch (t) {
	case MSG_HELLO:
		return 10;
	case MSG_CHUNK:
		return 8;
	case MSG_FORK:
		return 6;
	case MSG_WANT:
	case MSG_DOC:
	case MSG_ERR:
		return 5;
	case MSG_HEADS:
	case MSG_BODIES:
	case MSG_ACK:
	case MSG_WANT_DOC:
	case MSG_ANSWER:
		return 4;
	case MSG_WANT_BODIES:
	case MSG_BYE:
	case MSG_ASK:
		return 3;
	case MSG_PING:
	case MSG_PONG:
		return 2;
	case MSG_SUBMIT:
	case MSG_RECEIPT:
	case MSG_CHANGES:
		return 0;
	}
	return 0;
}

static void read_fields(struct reader *r, struct message *m)
{
	switch (m->type) {
	case MSG_HELLO:
		read_hello(r, &m->hello);
		break;
	case MSG_HEADS:
		read_heads(r, &m->heads);
		break;
	case MSG_WANT:
		read_want(r, &m->want);
		break;
	case MSG_CHUNK:
		read_chunk(r, &m->chunk);
		break;
	case MSG_WANT_BODIES:
		read_want_bodies(r, &m->want_bodies);
		break;
	case MSG_BODIES:
		read_bodies(r, &m->bodies);
		break;
	case MSG_ACK:
		m->ack.origin = take_origin(r);
		m->ack.size = take_size(r);
		m->ack.cosignature = take_note(r);
		break;
	case MSG_FORK:
		read_fork(r, &m->fork);
		break;
	case MSG_DOC:
		m->doc.kind = take_doc_name(r, &m->doc.member);
		m->doc.version = dec_uint(&r->d);
		m->doc.note = take_note(r);
		break;
	case MSG_WANT_DOC:
		m->want_doc.kind = take_doc_name(r, &m->want_doc.member);
		m->want_doc.version = dec_uint(&r->d);
		break;
	case MSG_PING:
	case MSG_PONG:
		m->ping.size = take_size(r);
		break;
	case MSG_ERR:
		read_err(r, &m->err);
		break;
	case MSG_BYE:
		m->bye.code = take_code(r);
		m->bye.text = take_text(r);
		break;
	case MSG_ASK:
		m->ask.id = dec_uint(&r->d);
		m->ask.question =
			bounded(r, dec_bin(&r->d), LIMIT_QUESTION_BYTES,
				"9.13: question too long");
		break;
	case MSG_ANSWER:
		read_answer(r, &m->answer);
		break;
	case MSG_SUBMIT:
	case MSG_RECEIPT:
	case MSG_CHANGES:
		break;
	}
}

enum err message_decode(struct slice frame, struct arena *a,
			struct message *out, const char **why)
{
	struct reader r = { .arena = a, .why = "9.1: form of the frame" };
	const char *scan_why = "";
	uint32_t count, want;
	uint64_t type;
	enum err err;

	if (why == NULL)
		why = &scan_why;
	err = dec_scan(frame, why);
	if (err != ERR_OK)
		return err;
	*why = r.why;
	dec_init(&r.d, frame);
	count = dec_array(&r.d);
	type = dec_uint(&r.d);
	if (r.d.err != ERR_OK)
		return ERR_MALFORMED;
	/* PROTOCOL.md 9.14: what is not known is passed over. */
	want = type <= MSG_CHANGES ? arity((enum message_type)type) : 0;
	if (want == 0)
		return ERR_UNSUPPORTED;
	if (count != want)
		return ERR_MALFORMED;
	memset(out, 0, sizeof(*out));
	out->type = (enum message_type)type;
	read_fields(&r, out);
	*why = r.why;
	return dec_finish(&r.d);
}

/* Writing. */

static uint64_t wire_code(enum err e)
{
	return (uint64_t) - (int64_t)e;
}

static void put_hashes(struct enc *e, const struct digest *h, uint32_t n)
{
	assert(n <= LIMIT_COVER_HASHES);
	enc_bin(e, slice_of(h, n * sizeof(*h)));
}

static void put_hello(struct enc *e, const struct message_hello *m)
{
	enc_uint(e, m->version_min);
	enc_uint(e, m->version_max);
	enc_uint(e, m->role);
	enc_bin(e, digest_slice(&m->alliance));
	enc_str(e, m->member);
	enc_bin(e, slice_of(m->incarnation, sizeof(m->incarnation)));
	enc_uint(e, m->roster_version);
	enc_bin(e, digest_slice(&m->roster_hash));
	enc_uint(e, m->max_frame);
}

static void put_heads(struct enc *e, const struct message_heads *m)
{
	assert(m->log_count <= LIMIT_LOGS && m->doc_count <= LIMIT_MEMBERS + 1);
	enc_uint(e, m->part);
	enc_array(e, m->log_count);
	for (uint32_t i = 0; i < m->log_count; i++) {
		enc_array(e, 3);
		enc_str(e, m->logs[i].origin);
		enc_uint(e, m->logs[i].size);
		enc_str(e, m->logs[i].note);
	}
	enc_array(e, m->doc_count);
	for (uint32_t i = 0; i < m->doc_count; i++) {
		enc_array(e, 3);
		enc_str(e, m->docs[i].member);
		enc_uint(e, m->docs[i].version);
		enc_bin(e, digest_slice(&m->docs[i].hash));
	}
}

static void put_chunk(struct enc *e, const struct message_chunk *m)
{
	assert(m->count > 0 && m->count <= LIMIT_CHUNK_RECORDS &&
	       m->entries.n <= LIMIT_CHUNK_BYTES);
	enc_str(e, m->origin);
	enc_uint(e, m->job);
	enc_uint(e, m->from);
	enc_str(e, m->note);
	put_hashes(e, m->right, m->right_count);
	enc_uint(e, m->count);
	enc_bin(e, m->entries);
}

static void put_seqs(struct enc *e, const uint64_t *seqs, uint32_t n)
{
	assert(n <= LIMIT_BODIES);
	enc_array(e, n);
	for (uint32_t i = 0; i < n; i++)
		enc_uint(e, seqs[i]);
}

static void put_bodies(struct enc *e, const struct message_bodies *m)
{
	assert(m->count <= LIMIT_BODIES);
	enc_str(e, m->origin);
	enc_array(e, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		enc_array(e, 3);
		enc_uint(e, m->bodies[i].seq);
		enc_bin(e, m->bodies[i].salt);
		enc_bin(e, m->bodies[i].body);
	}
	put_seqs(e, m->absent, m->absent_count);
}

static void put_want(struct enc *e, const struct message_want *m)
{
	enc_str(e, m->origin);
	enc_uint(e, m->job);
	enc_uint(e, m->from);
	enc_uint(e, m->credit);
}

static void put_fork(struct enc *e, const struct message_fork *m)
{
	enc_str(e, m->origin);
	enc_str(e, m->note_a);
	enc_str(e, m->note_b);
	put_hashes(e, m->left, m->left_count);
	put_hashes(e, m->right, m->right_count);
}

static void put_err(struct enc *e, const struct message_err *m)
{
	enc_uint(e, wire_code(m->code));
	enc_uint(e, m->type);
	enc_uint(e, m->id);
	enc_str(e, m->text);
}

static void put_fields(struct enc *e, const struct message *m)
{
	switch (m->type) {
	case MSG_HELLO:
		put_hello(e, &m->hello);
		break;
	case MSG_HEADS:
		put_heads(e, &m->heads);
		break;
	case MSG_WANT:
		put_want(e, &m->want);
		break;
	case MSG_CHUNK:
		put_chunk(e, &m->chunk);
		break;
	case MSG_WANT_BODIES:
		enc_str(e, m->want_bodies.origin);
		put_seqs(e, m->want_bodies.seqs, m->want_bodies.count);
		break;
	case MSG_BODIES:
		put_bodies(e, &m->bodies);
		break;
	case MSG_ACK:
		enc_str(e, m->ack.origin);
		enc_uint(e, m->ack.size);
		enc_str(e, m->ack.cosignature);
		break;
	case MSG_FORK:
		put_fork(e, &m->fork);
		break;
	case MSG_DOC:
		enc_uint(e, m->doc.kind);
		enc_str(e, m->doc.member);
		enc_uint(e, m->doc.version);
		enc_str(e, m->doc.note);
		break;
	case MSG_WANT_DOC:
		enc_uint(e, m->want_doc.kind);
		enc_str(e, m->want_doc.member);
		enc_uint(e, m->want_doc.version);
		break;
	case MSG_PING:
	case MSG_PONG:
		enc_uint(e, m->ping.size);
		break;
	case MSG_ERR:
		put_err(e, &m->err);
		break;
	case MSG_BYE:
		enc_uint(e, wire_code(m->bye.code));
		enc_str(e, m->bye.text);
		break;
	case MSG_ASK:
		enc_uint(e, m->ask.id);
		enc_bin(e, m->ask.question);
		break;
	case MSG_ANSWER:
		enc_uint(e, m->answer.id);
		enc_uint(e, wire_code(m->answer.code));
		enc_bin(e, m->answer.answer);
		break;
	case MSG_SUBMIT:
	case MSG_RECEIPT:
	case MSG_CHANGES:
		break;
	}
}

void message_put(const struct message *m, struct buf *out)
{
	size_t start = out->n, bytes;
	struct enc e;

	assert(arity(m->type) != 0);
	buf_put_u32be(out, 0);
	enc_init(&e, out);
	enc_array(&e, arity(m->type));
	enc_uint(&e, m->type);
	put_fields(&e, m);
	if (out->err != ERR_OK) {
		/* Half a frame must never leave. */
		out->n = start;
		return;
	}
	bytes = out->n - start - MESSAGE_PREFIX_BYTES;
	assert(bytes <= LIMIT_FRAME_BYTES);
	put_u32be(out->p + start, (uint32_t)bytes);
}

/* Entries. */

size_t message_entry_bytes(const struct record *r)
{
	return ENTRY_HEAD_BYTES + r->leaf.n +
	       (r->body.n > 0 ? LIMIT_SALT_BYTES + r->body.n : 0);
}

void message_put_entry(const struct record *r, struct buf *entries)
{
	assert(r->leaf.n > 0 && r->leaf.n <= LIMIT_LEAF_BYTES);
	assert(r->body.n <= STORED_BODY_MAX);
	buf_put_u8(entries, (uint8_t)r->leaf.n);
	buf_put(entries, r->leaf);
	buf_put_u32be(entries, (uint32_t)r->body.n);
	if (r->body.n == 0)
		return;
	assert(r->salt.n == LIMIT_SALT_BYTES);
	buf_put(entries, r->salt);
	buf_put(entries, r->body);
}

static struct slice cut(struct slice *rest, size_t n)
{
	struct slice s = slice_sub(*rest, 0, n);

	*rest = slice_sub(*rest, n, rest->n - n);
	return s;
}

enum err message_next_entry(struct slice *rest, struct record *out)
{
	size_t leaf, body;

	memset(out, 0, sizeof(*out));
	if (rest->n == 0)
		return ERR_NOT_FOUND;
	leaf = rest->p[0];
	if (leaf == 0)
		return ERR_MALFORMED;
	if (leaf > LIMIT_LEAF_BYTES)
		return ERR_LIMIT;
	if (rest->n < ENTRY_HEAD_BYTES + leaf)
		return ERR_TRUNCATED;
	(void)cut(rest, 1);
	out->leaf = cut(rest, leaf);
	body = get_u32be(rest->p);
	(void)cut(rest, 4);
	if (body == 0)
		return ERR_OK;
	if (body > STORED_BODY_MAX)
		return ERR_LIMIT;
	if (rest->n < LIMIT_SALT_BYTES + body)
		return ERR_TRUNCATED;
	out->salt = cut(rest, LIMIT_SALT_BYTES);
	out->body = cut(rest, body);
	return ERR_OK;
}

enum err message_records(const struct message_chunk *c, struct arena *a,
			 struct record **out)
{
	struct slice rest = c->entries;
	enum err err = ERR_OK;

	*out = arena_array(a, c->count, sizeof(**out));
	if (*out == NULL)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < c->count && err == ERR_OK; i++)
		err = message_next_entry(&rest, &(*out)[i]);
	return err;
}
