#include "node/import_row.h"

#include <stdlib.h>
#include <string.h>

#include "node/json.h"
#include "proto/dec.h"
#include "proto/text.h"

#define SCRATCH_BYTES (32u << 20) /* a line of 1 MiB as a tree */
#define NUMBER_BYTES 32u /* hex digits */

static const char zeros[] = "00000000000000000000000000000000";

void import_maker_init(struct import_maker *m, const struct home *home)
{
	*m = (struct import_maker){ .plan = NULL };
	own_init(&m->own, home);
	arena_init(&m->scratch, SCRATCH_BYTES);
	csv_init(&m->csv, ',');
	m->cells = xcalloc(1, sizeof(*m->cells));
	buf_init(&m->body, LIMIT_BODY_BYTES + 1024);
	buf_init(&m->last.merged, LIMIT_BODY_BYTES + 1024);
}

void import_maker_free(struct import_maker *m)
{
	own_free(&m->own);
	arena_free(&m->scratch);
	csv_free(&m->csv);
	free(m->cells);
	import_offers_free(&m->offers);
	buf_wipe(&m->body);
	buf_wipe(&m->last.merged);
}

void import_maker_use(struct import_maker *m, const struct import_plan *plan)
{
	m->plan = plan;
	m->last.begun = 0;
	import_offers_use(&m->offers, &plan->key);
	m->csv.separator = plan->separator;
	m->x = (struct schema_context){
		.arena = &m->scratch,
		.today = slice_str(plan->today),
		.member = slice_str(plan->home->config.member),
		.comma = plan->separator == ';',
		.number = slice_of(zeros, NUMBER_BYTES),
	};
}

/* Either form of one record while it is being made. */
struct making {
	struct import_maker *m;
	struct slice raw; /* without line end */
	struct value doc; /* NDJSON */
	struct arena *keep;
	struct import_made *out;
	struct complaint c;
};

static enum err refuse(struct making *k, const char *code, const char *message,
		       const char *cure)
{
	complain(&k->c, code, "", message, cure);
	return ERR_MALFORMED;
}

/* Encoding. Which one it is shows in the bytes 0x80 to 0x9f: letters and
 * quotes in Windows-1252, control characters in ISO 8859-1. */
static enum err refuse_encoding(struct making *k)
{
	bool windows = false;

	for (size_t i = 0; i < k->raw.n; i++)
		windows =
			windows || (k->raw.p[i] >= 0x80 && k->raw.p[i] <= 0x9f);
	return refuse(k, "bad-encoding",
		      windows ? "the line is not UTF-8; it looks like "
				"Windows-1252"
			      : "the line is not UTF-8; it looks like "
				"ISO 8859-1 (Latin-1)",
		      windows ? "save as \"CSV UTF-8\", or: iconv -f "
				"WINDOWS-1252 -t UTF-8"
			      : "save as \"CSV UTF-8\", or: iconv -f "
				"ISO-8859-1 -t UTF-8");
}

static bool is_ascii(struct slice s)
{
	for (; s.n >= 8; s = slice_of(s.p + 8, s.n - 8)) {
		if ((get_u64be(s.p) & 0x8080808080808080u) != 0)
			return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 0x80)
			return false;
	}
	return true;
}

/* CSV. */

static enum err cut_row(struct making *k, const struct import_record *r)
{
	struct import_maker *m = k->m;
	size_t want = m->plan->columns;

	csv_cut(&m->csv, r->raw, m->cells);
	if (m->cells->fault == CSV_NUL)
		return refuse(k, "zero-byte", "the row holds a zero byte",
			      "remove it");
	if (m->cells->fault == CSV_TEXT_AFTER_QUOTE)
		return refuse(k, "text-after-quote",
			      "text follows a closing quote",
			      "double the quotes inside of the text");
	if (m->cells->count == want && m->cells->fault == CSV_GOOD)
		return ERR_OK;
	if (m->cells->count < want)
		return refuse(k, "too-few-cells",
			      "the row has fewer cells than the header",
			      "add the missing separators");
	return refuse(k, "too-many-cells",
		      "the row has more cells than the header",
		      "quote texts that hold the separator, or remove extra "
		      "ones");
}

/* NDJSON. */

/* A rejects file keeps a line that was no object as text. */
static enum err unwrap(struct making *k, struct arena *a)
{
	const struct value *v = value_get(&k->doc, "_original");
	struct json_fault fault;
	enum err e;

	if (v == NULL || v->type != VALUE_STR)
		return ERR_OK;
	e = json_parse(v->s, a, &k->doc, &fault);
	if (e == ERR_OK)
		return ERR_OK;
	return refuse(k, fault.code, fault.message,
		      "mend the text in _original");
}

static enum err parse_line(struct making *k)
{
	struct arena *a = &k->m->scratch;
	struct json_fault fault;
	struct buf at;
	enum err e = json_parse(k->raw, a, &k->doc, &fault);

	if (e == ERR_OK)
		return unwrap(k, a);
	complain(&k->c, fault.code, "", fault.message, "");
	buf_init(&at, sizeof(k->c.cure) - 1);
	buf_put_str(&at, "look at byte ");
	buf_put_dec(&at, fault.at + 1);
	buf_put_str(&at, " of the line");
	memcpy(k->c.cure, at.p, at.n);
	k->c.cure[at.n] = '\0';
	buf_free(&at);
	return ERR_MALFORMED;
}

/* Bodies. */

static enum err convert(struct making *k, const struct schema *s,
			const struct value *doc, struct slice *out,
			struct slice *id)
{
	struct import_maker *m = k->m;
	bool learner = s != m->plan->schema;
	const struct row_plan *plan = learner ? m->plan->subject : m->plan->row;
	uint8_t **number =
		learner ? &k->out->number_in_learner : &k->out->number_in_body;
	enum err e;

	buf_reset(&m->body);
	if (m->plan->format == IMPORT_CSV)
		e = schema_from_row(plan, m->cells->cells, &m->x, &m->body,
				    &k->c);
	else
		e = schema_from_value(s, doc, &m->x, &m->body, &k->c);
	if (e != ERR_OK)
		return ERR_MALFORMED;
	if (arena_copy(k->keep, buf_slice(&m->body), out) != ERR_OK)
		return ERR_LIMIT;
	*id = slice_sub(*out, m->x.id_at, m->x.id_bytes);
	/* The body is the arena's, which is ours to write. */
	*number = m->x.number_at > 0
			  ? (uint8_t *)(uintptr_t)(out->p + m->x.number_at)
			  : NULL;
	return ERR_OK;
}

static enum err make_learner(struct making *k)
{
	const struct import_key *key = &k->m->plan->key;
	const struct schema *s = schema_of(KIND_LEARNER);
	struct import_made *out = k->out;
	const struct value *doc = NULL;
	enum err e;

	if (k->m->plan->format == IMPORT_NDJSON)
		doc = value_get(&k->doc, "subject");
	e = convert(k, s, doc, &out->learner, &out->learner_id);
	if (e == ERR_MALFORMED && doc != NULL)
		complain_under(&k->c, "subject");
	if (e != ERR_OK)
		return e;
	out->person = import_hash(key, out->learner_id);
	out->content = import_hash(key, out->learner);
	return ERR_OK;
}

static bool gives_number(const struct making *k)
{
	const struct import_plan *p = k->m->plan;

	if (p->format == IMPORT_CSV)
		return p->learner_column >= 0;
	return value_get_str(&k->doc, "learner").n > 0;
}

/* The learner that a given number means. */
static enum err check_number(struct making *k)
{
	enum err e =
		own_learner(&k->m->own, dec_find_str(k->out->body, "learner"));

	if (e != ERR_NOT_FOUND)
		return e;
	complain(&k->c, "unknown-learner", "learner",
		 "there is no learner of this number in the own log",
		 "give the subject instead of the number");
	return ERR_MALFORMED;
}

/* The place of the credential that a status is about: of its first record,
 * which stays the same when the credential changes. */
static enum err find_credential(struct making *k)
{
	struct import_maker *m = k->m;
	const struct schema *s = schema_of(KIND_CREDENTIAL);
	struct slice id = { NULL, 0 };
	struct slice member = m->x.member;
	uint32_t kind;
	enum err e;

	if (m->plan->format == IMPORT_NDJSON)
		id = value_get_str(&k->doc, "credential");
	else if (m->plan->credential_column >= 0)
		id = m->cells->cells[m->plan->credential_column];
	if (id.n == 0)
		return ERR_OK; /* the schema says that it is missing */
	if (id.n > member.n && slice_starts(id, member) &&
	    id.p[member.n] == '/')
		id = slice_sub(id, member.n + 1, id.n - member.n - 1);
	if (id.n > LIMIT_ID_BYTES)
		return ERR_OK; /* as above */
	e = own_search(&m->own, s, id, false, UINT64_MAX, &m->x.position);
	if (e == ERR_OK)
		e = own_open(&m->own, m->x.position, &kind, &k->out->audience);
	if (e != ERR_NOT_FOUND)
		return e;
	complain(&k->c, "unknown-credential", "credential",
		 "there is no such credential in the own log",
		 "import the credential first, or mend its number");
	return ERR_MALFORMED;
}

/* The digits of a status's position are not in its body as text. */
static enum err copy_id(struct making *k)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct slice id;

	if (k->out->id.n > 0)
		return ERR_OK;
	if (!schema_id(k->m->plan->schema->kind, k->out->body, scratch, &id))
		return refuse(k, "no-id", "the record has no id", "");
	return arena_copy(k->keep, id, &k->out->id);
}

static enum err make(struct making *k, const struct import_record *r)
{
	struct import_maker *m = k->m;
	const struct schema *s = m->plan->schema;
	struct import_made *out = k->out;
	struct import_key content;
	enum err e;

	if (r->too_long)
		return refuse(k, "too-long", "the line is longer than 1 MiB",
			      "make it shorter");
	out->letters = !is_ascii(k->raw);
	if (out->letters && !text_is_utf8(k->raw)) {
		out->letters = false;
		return refuse_encoding(k);
	}
	e = m->plan->format == IMPORT_CSV ? cut_row(k, r) : parse_line(k);
	if (e == ERR_OK && s->kind == KIND_STATUS)
		e = find_credential(k);
	if (e == ERR_OK)
		e = convert(k, s, &k->doc, &out->body, &out->id);
	if (e == ERR_OK)
		e = copy_id(k);
	if (e == ERR_OK && s->kind == KIND_CREDENTIAL)
		e = gives_number(k) ? check_number(k) : make_learner(k);
	if (e != ERR_OK || (m->plan->writing && !m->plan->undone))
		return e;
	own_hash(&m->own, s, out->id, out->hash);
	content = import_hash(&m->plan->key, out->body);
	out->content_hash = get_u64be(content.b) ^ get_u64be(out->content.b);
	return ERR_OK;
}

static struct slice without_line_end(struct slice raw)
{
	while (raw.n > 0 &&
	       (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r'))
		raw.n--;
	return raw;
}

enum err import_make(struct import_maker *m, const struct import_record *r,
		     struct arena *keep, struct import_made *out)
{
	struct making k = { .m = m, .keep = keep, .out = out };
	struct complaint *why;
	enum err e;

	*out = (struct import_made){ .state = IMPORT_NEW,
				     .audience = m->plan->audience };
	k.raw = without_line_end(r->raw);
	arena_reset(&m->scratch);
	e = make(&k, r);
	if (e != ERR_MALFORMED)
		return e;
	why = arena_alloc(keep, sizeof(*why));
	if (why == NULL)
		return ERR_LIMIT;
	*why = k.c;
	out->state = IMPORT_REJECTED;
	out->why = why;
	return ERR_OK;
}

/* Against the store. */

static bool says(const struct value *map, struct slice key)
{
	for (uint32_t i = 0; i < map->count; i++) {
		if (slice_equal(map->pairs[i].key, key))
			return true;
	}
	return false;
}

/* @row laid over @held, both with zeros for the number. */
static enum err overlay(struct import_maker *m, struct slice held,
			struct slice row)
{
	struct arena *a = &m->scratch;
	struct value old;
	struct value new;
	struct value all;
	enum err e = value_decode(held, a, &old);

	if (e == ERR_OK)
		e = value_decode(row, a, &new);
	if (e == ERR_OK && (old.type != VALUE_MAP || new.type != VALUE_MAP))
		e = ERR_CORRUPT;
	if (e == ERR_OK)
		e = value_map(a, old.count + new.count, &all);
	if (e != ERR_OK)
		return e;
	memcpy(all.pairs, new.pairs, new.count * sizeof(*all.pairs));
	all.count = new.count;
	for (uint32_t i = 0; i < old.count; i++) {
		if (!says(&new, old.pairs[i].key))
			all.pairs[all.count++] = old.pairs[i];
	}
	buf_reset(&m->last.merged);
	return value_encode(&all, &m->last.merged);
}

/* Into m->last. */
static enum err find_learner(struct import_maker *m,
			     const struct import_made *made)
{
	const struct schema *s = schema_of(KIND_LEARNER);
	struct buf *body = &m->own.body;
	struct slice digits;
	uint64_t seq;
	enum err e;

	m->last.known = false;
	m->last.differs = false;
	/* Opened, for it holds the number. */
	e = own_search(&m->own, s, made->learner_id, true, UINT64_MAX, &seq);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (e != ERR_OK)
		return e;
	digits = dec_find_str(buf_slice(body), "number");
	if (digits.n != NUMBER_BYTES ||
	    !text_parse_hex(digits, m->last.number.b, sizeof(m->last.number.b)))
		return ERR_CORRUPT;
	m->last.known = true;
	memcpy(body->p + (digits.p - body->p), zeros, NUMBER_BYTES);
	if (slice_equal(buf_slice(body), made->learner))
		return ERR_OK;
	e = overlay(m, buf_slice(body), made->learner);
	m->last.differs =
		e == ERR_OK &&
		!slice_equal(buf_slice(&m->last.merged), buf_slice(body));
	return e;
}

static bool is_last(const struct import_maker *m,
		    const struct import_made *made)
{
	return m->last.begun == m->own.begun &&
	       memcmp(&m->last.person, &made->person, sizeof(made->person)) ==
		       0 &&
	       memcmp(&m->last.content, &made->content,
		      sizeof(made->content)) == 0;
}

enum err import_find_learner(struct import_maker *m, struct arena *keep,
			     struct import_made *made)
{
	enum err e = ERR_OK;

	if (!is_last(m, made)) {
		m->last.begun = 0;
		e = find_learner(m, made);
		if (e != ERR_OK)
			return e;
		m->last.begun = m->own.begun;
		m->last.person = made->person;
		m->last.content = made->content;
	}
	made->known = m->last.known;
	made->number = m->last.number;
	made->differs = m->last.differs;
	if (!made->differs || !m->plan->writing)
		return ERR_OK;
	e = arena_copy(keep, buf_slice(&m->last.merged), &made->learner);
	made->number_in_learner =
		(uint8_t *)(uintptr_t)dec_find_str(made->learner, "number").p;
	return e;
}

/* The own copy of the same content: with another audience it counts as
 * changed; undone, it is to be reinstated. */
static enum err match_same(struct import_maker *m, struct import_made *made,
			   uint64_t seq)
{
	const struct schema *s = m->plan->schema;
	struct slice state;
	struct slice reason;
	uint64_t audience;
	uint32_t kind;
	enum err e = ERR_OK;

	made->state = IMPORT_UNCHANGED;
	if (m->plan->audience_given) {
		e = own_open(&m->own, seq, &kind, &audience);
		if (e == ERR_OK && audience != made->audience)
			made->state = IMPORT_CHANGED;
	}
	if (e != ERR_OK || s->kind != KIND_CREDENTIAL || !m->plan->undone)
		return e;
	e = own_search(&m->own, s, made->id, false, UINT64_MAX, &seq);
	if (e == ERR_OK)
		e = own_status(&m->own, seq, &state, &reason);
	if (e == ERR_OK && slice_is(state, "revoked") &&
	    slice_is(reason, "import-undone")) {
		made->reinstate = seq + 1;
		made->state = IMPORT_CHANGED;
	}
	return e;
}

/* There is an entry under the id's hash. */
static enum err match_entry(struct import_maker *m, struct import_made *made,
			    const struct own_entry *entry)
{
	uint8_t digest[sizeof(entry->digest)];
	uint64_t seq;
	enum err e;

	made->state = IMPORT_CHANGED;
	index_body_digest(&m->own.home->index, made->body, digest);
	if (memcmp(digest, entry->digest, sizeof(digest)) != 0) {
		/* It may be another id's. */
		e = own_search(&m->own, m->plan->schema, made->id, true,
			       UINT64_MAX, &seq);
		if (e != ERR_NOT_FOUND)
			return e;
		made->state = IMPORT_NEW;
		return ERR_OK;
	}
	return match_same(m, made, entry->seq);
}

enum err import_match(struct import_maker *m, struct arena *keep,
		      struct import_made *made)
{
	struct own_entry entry;
	bool known = true;
	enum err e = ERR_OK;

	if (m->plan->schema->kind == KIND_CREDENTIAL && !m->plan->writing)
		e = import_offers_know(&m->offers, &m->own, made->body, &known);
	made->no_offer = !known;
	if (e == ERR_OK && made->learner.n > 0)
		e = import_find_learner(m, keep, made);
	if (e == ERR_OK && made->known)
		import_set_number(made, &made->number);
	if (e == ERR_OK)
		e = own_newest(&m->own, made->hash, &entry);
	made->state = IMPORT_NEW;
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	return e == ERR_OK ? match_entry(m, made, &entry) : e;
}

void import_set_number(struct import_made *made,
		       const struct import_key *number)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hex[NUMBER_BYTES];

	for (size_t i = 0; i < sizeof(number->b); i++) {
		hex[2 * i] = (uint8_t)digits[number->b[i] >> 4];
		hex[2 * i + 1] = (uint8_t)digits[number->b[i] & 15];
	}
	if (made->number_in_body != NULL)
		memcpy(made->number_in_body, hex, NUMBER_BYTES);
	if (made->number_in_learner != NULL)
		memcpy(made->number_in_learner, hex, NUMBER_BYTES);
	made->number = *number;
}
