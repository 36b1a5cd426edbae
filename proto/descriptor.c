#include "roster.h"

#include <string.h>

#include "lines.h"
#include "log.h"
#include "text.h"

#define CARD_HEAD "symbolon-card v"
#define CONTACT_BYTES_MAX 254u /* RFC 5321 4.5.3.1 */

/* Writing. */

static void put_line(struct buf *out, const char *key, struct slice value)
{
	buf_put_str(out, key);
	buf_put(out, value);
	buf_put_u8(out, '\n');
}

static void put_key(struct buf *out, const char *key, const struct note_key *k)
{
	buf_put_str(out, key);
	note_key_put(k, out);
	buf_put_u8(out, '\n');
}

static void put_log(struct buf *out, const struct descriptor_log *g)
{
	buf_put_str(out, "log ");
	buf_put(out, g->origin);
	buf_put_u8(out, ' ');
	note_key_put(&g->key, out);
	buf_put_u8(out, ' ');
	buf_put_dec(out, g->from);
	buf_put_u8(out, ' ');
	if (g->to == UINT64_MAX)
		buf_put_u8(out, '-');
	else
		buf_put_dec(out, g->to);
	buf_put_u8(out, '\n');
}

void descriptor_put(const struct descriptor *d, struct buf *out)
{
	buf_put_str(out, CARD_HEAD "1\n");
	put_line(out, "member ", d->member);
	put_line(out, "name ", d->name);
	put_line(out, "country ", d->country);
	put_line(out, "contact ",
		 d->contact.n > 0 ? d->contact : slice_str("-"));
	buf_put_str(out, "version ");
	buf_put_dec(out, d->version);
	buf_put_str(out, "\nprev ");
	if (d->version > 1)
		text_put_hex(out, digest_slice(&d->prev));
	else
		buf_put_u8(out, '-');
	buf_put_u8(out, '\n');
	put_key(out, "governance ", &d->governance);
	put_key(out, "witness ", &d->witness);
	for (uint32_t i = 0; i < d->log_count; i++)
		put_log(out, &d->logs[i]);
	for (uint32_t i = 0; i < d->pin_count; i++) {
		buf_put_str(out, "tls ");
		text_put_hex(out, digest_slice(&d->pins[i]));
		buf_put_u8(out, '\n');
	}
	for (uint32_t i = 0; i < d->endpoint_count; i++)
		put_line(out, "endpoint ", d->endpoints[i]);
}

/* Parsing. */

/* A key of type @type that is named @owner + @suffix. */
static void parse_key(struct lines *l, struct slice vkey, struct slice owner,
		      const char *suffix, struct note_key *k)
{
	enum err err = note_key_parse(vkey, k);
	struct slice name = slice_str(k->name);

	if (err != ERR_OK) {
		lines_fail(l, err == ERR_WEAK_KEY ? err : ERR_MALFORMED,
			   "a key is no good vkey");
		return;
	}
	if (!slice_starts(name, owner) ||
	    !slice_is(slice_sub(name, owner.n, name.n - owner.n), suffix))
		lines_fail(l, ERR_MALFORMED,
			   "a key has not the name that its purpose asks for");
}

static void parse_keys(struct lines *l, struct descriptor *out)
{
	parse_key(l, lines_take(l, "governance ", "no governance line"),
		  out->member, "/governance", &out->governance);
	if (out->governance.type != NOTE_ED25519)
		lines_fail(l, ERR_MALFORMED, "a governance key has type 1");
	parse_key(l, lines_take(l, "witness ", "no witness line"), out->member,
		  "/witness", &out->witness);
	if (out->witness.type != NOTE_COSIGNATURE)
		lines_fail(l, ERR_MALFORMED, "a witness key has type 4");
}

static void parse_log(struct lines *l, struct slice member,
		      struct descriptor_log *out)
{
	struct slice line = lines_take(l, "log ", "no log line");
	struct slice owner, to;
	uint64_t generation;

	out->origin = lines_word(&line);
	if (log_origin_parse(out->origin, &owner, &generation) != ERR_OK ||
	    !slice_equal(owner, member))
		lines_fail(l, ERR_MALFORMED,
			   "an origin is MEMBER/symbolon/GENERATION");
	parse_key(l, lines_word(&line), out->origin, "", &out->key);
	if (out->key.type != NOTE_ED25519)
		lines_fail(l, ERR_MALFORMED, "a log key has type 1");
	out->from = lines_u64(l, lines_word(&line),
			      "a key's first size is no number");
	to = lines_word(&line);
	out->to = slice_is(to, "-")
			  ? UINT64_MAX
			  : lines_u64(l, to, "a key's last size is no number");
	if (out->to != UINT64_MAX && out->to >> LIMIT_SIZE_LOG2 != 0)
		lines_fail(l, ERR_MALFORMED, "a key's last size is too large");
}

/* The keys of one log tile its sizes from 0, so that no later card can put
 * another key into a gap; a log's lines stand together, older first. */
static void check_log_order(struct lines *l, const struct descriptor *d,
			    uint32_t i)
{
	const struct descriptor_log *g = &d->logs[i];
	struct slice owner;
	uint64_t before = 0, generation = 0;

	if (g->from > g->to)
		lines_fail(l, ERR_MALFORMED, "a key ends before it begins");
	if (i > 0 && slice_equal(d->logs[i - 1].origin, g->origin)) {
		if (d->logs[i - 1].to == UINT64_MAX ||
		    g->from != d->logs[i - 1].to + 1)
			lines_fail(l, ERR_MALFORMED,
				   "a key does not begin behind the last one");
		return;
	}
	if (g->from != 0)
		lines_fail(l, ERR_MALFORMED, "a log's first key begins at 0");
	if (i > 0 &&
	    (log_origin_parse(d->logs[i - 1].origin, &owner, &before) !=
		     ERR_OK ||
	     log_origin_parse(g->origin, &owner, &generation) != ERR_OK ||
	     generation <= before))
		lines_fail(l, ERR_MALFORMED, "generations are not in order");
}

static void parse_logs(struct lines *l, struct arena *a, struct descriptor *out)
{
	uint32_t count = lines_count(l, "log ");

	if (l->err != ERR_OK)
		return;
	if (count > LIMIT_LOG_KEYS)
		lines_fail(l, ERR_LIMIT, "too many log keys");
	else if (count == 0)
		lines_fail(l, ERR_MALFORMED, "no log line");
	else
		out->logs = arena_array(a, count, sizeof(*out->logs));
	if (l->err == ERR_OK && out->logs == NULL)
		lines_fail(l, ERR_LIMIT, "the card is too large");
	for (uint32_t i = 0; i < count && l->err == ERR_OK; i++) {
		parse_log(l, out->member, &out->logs[i]);
		if (l->err == ERR_OK)
			check_log_order(l, out, i);
	}
	out->log_count = count;
}

static void parse_pins(struct lines *l, struct descriptor *out)
{
	while (lines_at(l, "tls ")) {
		struct slice s = lines_take(l, "tls ", "");

		if (out->pin_count == LIMIT_TLS_PINS) {
			lines_fail(l, ERR_LIMIT, "too many tls lines");
			return;
		}
		out->pins[out->pin_count++] =
			lines_digest(l, s, "a tls pin is not 64 hex digits");
	}
	if (out->pin_count == 0)
		lines_fail(l, ERR_MALFORMED, "no tls line");
}

static bool is_host_byte(uint8_t c, bool bracketed)
{
	bool digit = c >= '0' && c <= '9';
	bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

	if (bracketed)
		return hex || c == ':' || c == '.';
	return letter || digit || c == '-' || c == '.' || c == '_';
}

/* HOST:PORT with a name, an IPv4 address or an IPv6 one in brackets. */
static bool is_endpoint(struct slice s)
{
	size_t colon = s.n;
	bool bracketed;
	uint64_t port;
	struct slice host;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon < 2 || s.n > LIMIT_ENDPOINT_BYTES)
		return false;
	if (!text_parse_u64(slice_sub(s, colon, s.n - colon), &port) ||
	    port == 0 || port > UINT16_MAX)
		return false;
	host = slice_sub(s, 0, colon - 1);
	bracketed = host.p[0] == '[';
	if (bracketed) {
		if (host.n < 4 || host.p[host.n - 1] != ']')
			return false;
		host = slice_sub(host, 1, host.n - 2);
	}
	for (size_t i = 0; i < host.n; i++) {
		if (!is_host_byte(host.p[i], bracketed))
			return false;
	}
	return true;
}

static void parse_endpoints(struct lines *l, struct descriptor *out)
{
	while (lines_at(l, "endpoint ")) {
		struct slice s = lines_take(l, "endpoint ", "");

		if (out->endpoint_count == LIMIT_ENDPOINTS) {
			lines_fail(l, ERR_LIMIT, "too many endpoints");
			return;
		}
		if (!is_endpoint(s))
			lines_fail(l, ERR_MALFORMED,
				   "an endpoint is HOST:PORT");
		out->endpoints[out->endpoint_count++] = s;
	}
}

static bool is_label(struct slice s)
{
	return s.n > 0 && s.n <= LIMIT_ID_BYTES && text_is_canonical(s) &&
	       s.p[0] != ' ' && s.p[s.n - 1] != ' ';
}

static bool is_contact(struct slice s)
{
	struct slice head, rest;

	return s.n <= CONTACT_BYTES_MAX && text_is_canonical(s) &&
	       !slice_cut(s, ' ', &head, &rest) &&
	       slice_cut(s, '@', &head, &rest) && head.n > 0 && rest.n > 0;
}

static void parse_names(struct lines *l, struct descriptor *out)
{
	struct slice c;

	out->member = lines_take(l, "member ", "no member line");
	if (!text_is_domain(out->member))
		lines_fail(l, ERR_MALFORMED, "the member is no domain");
	out->name = lines_take(l, "name ", "no name line");
	if (!is_label(out->name))
		lines_fail(l, ERR_MALFORMED, "not a name for people");
	c = lines_take(l, "country ", "no country line");
	if (c.n != 2 || c.p[0] < 'A' || c.p[0] > 'Z' || c.p[1] < 'A' ||
	    c.p[1] > 'Z')
		lines_fail(l, ERR_MALFORMED,
			   "a country is two capital letters");
	out->country = c;
	c = lines_take(l, "contact ", "no contact line");
	if (!slice_is(c, "-")) {
		if (!is_contact(c))
			lines_fail(l, ERR_MALFORMED,
				   "a contact is a mailbox, or -");
		out->contact = c;
	}
}

static void parse_text(struct lines *l, struct arena *a, struct descriptor *out)
{
	struct slice s = lines_take(l, CARD_HEAD, "this is no card");

	if (l->err == ERR_OK && !slice_is(s, "1"))
		lines_fail(l, ERR_UNSUPPORTED, "a newer form of card");
	parse_names(l, out);
	out->version =
		lines_u64(l, lines_take(l, "version ", "no version line"),
			  "the version is no number");
	if (out->version == 0)
		lines_fail(l, ERR_MALFORMED, "versions begin at 1");
	s = lines_take(l, "prev ", "no prev line");
	if (out->version != 1)
		out->prev = lines_digest(l, s, "prev is not 64 hex digits");
	parse_keys(l, out);
	parse_logs(l, a, out);
	parse_pins(l, out);
	parse_endpoints(l, out);
	if (l->rest.n > 0)
		lines_fail(l, ERR_MALFORMED, "a line does not belong here");
}

static bool is_pub(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->pub, b->pub, SIG_PUBLIC_BYTES) == 0;
}

/* One key, one purpose: a signature for one would be one for the other. */
static bool has_shared_key(const struct descriptor *d)
{
	if (is_pub(&d->governance, &d->witness))
		return true;
	for (uint32_t i = 0; i < d->log_count; i++) {
		const struct note_key *k = &d->logs[i].key;

		if (is_pub(k, &d->governance) || is_pub(k, &d->witness))
			return true;
		for (uint32_t j = 0; j < i; j++) {
			if (is_pub(k, &d->logs[j].key))
				return true;
		}
	}
	return false;
}

enum err descriptor_parse(struct slice note, struct arena *a,
			  struct descriptor *out, const char **why)
{
	struct lines l;
	struct buf again;
	enum err err;

	memset(out, 0, sizeof(*out));
	*why = "not a signed note";
	err = note_parse(note, a, &out->note);
	if (err != ERR_OK)
		return err;
	lines_init(&l, out->note.text);
	parse_text(&l, a, out);
	if (l.err == ERR_OK && has_shared_key(out))
		lines_fail(&l, ERR_MALFORMED, "one key has two purposes");
	buf_init(&again, LIMIT_NOTE_BYTES);
	if (l.err == ERR_OK)
		descriptor_put(out, &again);
	if (l.err == ERR_OK && !slice_equal(buf_slice(&again), out->note.text))
		lines_fail(&l, ERR_MALFORMED, "a line is not in its one form");
	buf_free(&again);
	out->hash = hash_bytes(out->note.text);
	*why = l.why;
	return l.err;
}

/* Rules. */

static const struct descriptor_log *find_key(const struct descriptor *d,
					     const struct descriptor_log *like)
{
	for (uint32_t i = 0; i < d->log_count; i++) {
		if (slice_equal(d->logs[i].origin, like->origin) &&
		    is_pub(&d->logs[i].key, &like->key))
			return &d->logs[i];
	}
	return NULL;
}

/* Every key range of @now is still there; only its open end may close. */
static bool keeps_ranges(const struct descriptor *d,
			 const struct descriptor *now)
{
	for (uint32_t i = 0; i < now->log_count; i++) {
		const struct descriptor_log *old = &now->logs[i];
		const struct descriptor_log *kept = find_key(d, old);

		if (kept == NULL || kept->from != old->from)
			return false;
		if (old->to != UINT64_MAX && kept->to != old->to)
			return false;
	}
	return true;
}

static enum err check_follows(const struct descriptor *d,
			      const struct descriptor *now, const char **why)
{
	if (!slice_equal(d->member, now->member)) {
		*why = "the card of another member";
		return ERR_CONFLICT;
	}
	if (digest_equal(&d->hash, &now->hash)) {
		*why = "the card that is held already";
		return ERR_EXISTS;
	}
	if (d->version <= now->version) {
		*why = "not newer than the card that is held";
		return ERR_CONFLICT;
	}
	if (d->version == now->version + 1 &&
	    !digest_equal(&d->prev, &now->hash)) {
		*why = "follows another card than the one that is held";
		return ERR_CONFLICT;
	}
	if (!keeps_ranges(d, now)) {
		*why = "changes the key of a log for sizes in the past";
		return ERR_CONFLICT;
	}
	return ERR_OK;
}

enum err descriptor_check(const struct descriptor *d, const struct roster *r,
			  const struct descriptor *now, const char **why)
{
	const struct roster_member *m = roster_find(r, d->member);
	enum err err;

	*why = "";
	if (m == NULL) {
		*why = "not a member";
		return ERR_DENIED;
	}
	if (!is_pub(&m->governance, &d->governance)) {
		*why = "names another governance key than the roster";
		return ERR_DENIED;
	}
	err = note_verify(&d->note, &m->governance, NULL);
	if (err != ERR_OK) {
		*why = err == ERR_NOT_FOUND
			       ? "not signed by the member's governance key"
			       : "the governance signature does not verify";
		return err == ERR_NOT_FOUND ? ERR_DENIED : ERR_INVALID;
	}
	if (now == NULL)
		return ERR_OK;
	err = check_follows(d, now, why);
	if (err == ERR_OK && m->state == MEMBER_REMOVED) {
		*why = "a removed member's card does not change";
		err = ERR_DENIED;
	}
	return err;
}

const struct note_key *descriptor_log_key(const struct descriptor *d,
					  struct slice origin, uint64_t size)
{
	for (uint32_t i = 0; i < d->log_count; i++) {
		const struct descriptor_log *g = &d->logs[i];

		if (slice_equal(g->origin, origin) && size >= g->from &&
		    size <= g->to)
			return &g->key;
	}
	return NULL;
}

bool descriptor_has_pin(const struct descriptor *d, const struct digest *spki)
{
	for (uint32_t i = 0; i < d->pin_count; i++) {
		if (digest_equal(&d->pins[i], spki))
			return true;
	}
	return false;
}
