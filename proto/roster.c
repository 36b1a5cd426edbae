#include "roster.h"

#include <string.h>

#include "lines.h"
#include "text.h"

#define ROSTER_HEAD "symbolon-roster v"
#define BUNDLE_HEAD "symbolon-alliance v1"

static const char *const state_names[] = {
	[MEMBER_ACTIVE] = "active",
	[MEMBER_LEARNER] = "learner",
	[MEMBER_REMOVED] = "removed",
};

/* Writing. */

void roster_put(const struct roster *r, struct buf *out)
{
	buf_put_str(out, ROSTER_HEAD "1\nalliance ");
	buf_put(out, r->alliance);
	buf_put_str(out, "\nversion ");
	buf_put_dec(out, r->version);
	buf_put_str(out, "\nprev ");
	if (r->version > 1)
		text_put_hex(out, digest_slice(&r->prev));
	else
		buf_put_u8(out, '-');
	buf_put_str(out, "\nthreshold ");
	buf_put_dec(out, r->threshold);
	buf_put_u8(out, '\n');
	for (uint32_t i = 0; i < r->member_count; i++) {
		const struct roster_member *m = &r->members[i];

		buf_put_str(out, "member ");
		buf_put(out, m->name);
		buf_put_u8(out, ' ');
		buf_put_str(out, state_names[m->state]);
		buf_put_u8(out, ' ');
		note_key_put(&m->governance, out);
		if (m->state == MEMBER_REMOVED) {
			buf_put_u8(out, ' ');
			buf_put_dec(out, m->final.size);
			buf_put_u8(out, ' ');
			text_put_hex(out, digest_slice(&m->final.root));
		}
		buf_put_u8(out, '\n');
	}
}

/* Parsing. */

static void parse_state(struct lines *l, struct slice s,
			struct roster_member *m)
{
	for (unsigned i = 0; i < 3; i++) {
		if (slice_is(s, state_names[i])) {
			m->state = (enum member_state)i;
			return;
		}
	}
	lines_fail(l, ERR_MALFORMED,
		   "a member's state is active, learner or removed");
}

/* The key of @member for @purpose ("/governance"). */
static void parse_governance(struct lines *l, struct slice vkey,
			     struct roster_member *m)
{
	static const char suffix[] = "/governance";
	enum err err = note_key_parse(vkey, &m->governance);
	struct slice name = slice_str(m->governance.name);

	if (err != ERR_OK) {
		lines_fail(l, err == ERR_WEAK_KEY ? err : ERR_MALFORMED,
			   "a member's governance key is no good vkey");
		return;
	}
	if (m->governance.type != NOTE_ED25519 ||
	    name.n != m->name.n + sizeof(suffix) - 1 ||
	    !slice_starts(name, m->name) ||
	    !slice_is(slice_sub(name, m->name.n, name.n - m->name.n), suffix))
		lines_fail(l, ERR_MALFORMED,
			   "a governance key is named MEMBER/governance");
}

static void parse_member(struct lines *l, struct roster_member *m)
{
	struct slice line = lines_take(l, "member ", "no member line");

	m->name = lines_word(&line);
	if (!text_is_domain(m->name))
		lines_fail(l, ERR_MALFORMED, "a member's name is no domain");
	parse_state(l, lines_word(&line), m);
	parse_governance(l, lines_word(&line), m);
	if (m->state != MEMBER_REMOVED)
		return;
	m->final.size = lines_u64(l, lines_word(&line),
				  "a removed member's final size is no number");
	if (m->final.size >> LIMIT_SIZE_LOG2 != 0)
		lines_fail(l, ERR_MALFORMED, "a final size is too large");
	m->final.root = lines_digest(l, lines_word(&line),
				     "a final root is not 64 hex digits");
}

static void parse_members(struct lines *l, struct arena *a, struct roster *out)
{
	uint32_t count = lines_count(l, "member ");

	if (l->err != ERR_OK)
		return;
	if (count > LIMIT_MEMBERS) {
		lines_fail(l, ERR_LIMIT, "too many members");
		return;
	}
	out->members = arena_array(a, count, sizeof(*out->members));
	if (out->members == NULL) {
		lines_fail(l, ERR_LIMIT, "the roster is too large");
		return;
	}
	for (uint32_t i = 0; i < count && l->err == ERR_OK; i++) {
		parse_member(l, &out->members[i]);
		if (i > 0 && slice_compare(out->members[i - 1].name,
					   out->members[i].name) >= 0)
			lines_fail(l, ERR_MALFORMED,
				   "members are not sorted or not unique");
	}
	out->member_count = count;
}

static void parse_text(struct lines *l, struct arena *a, struct roster *out)
{
	struct slice s = lines_take(l, ROSTER_HEAD, "this is no roster");
	uint64_t threshold;

	if (l->err == ERR_OK && !slice_is(s, "1"))
		lines_fail(l, ERR_UNSUPPORTED, "a newer form of roster");
	out->alliance = lines_take(l, "alliance ", "no alliance line");
	out->version =
		lines_u64(l, lines_take(l, "version ", "no version line"),
			  "the version is no number");
	s = lines_take(l, "prev ", "no prev line");
	if (out->version != 1)
		out->prev = lines_digest(l, s, "prev is not 64 hex digits");
	threshold =
		lines_u64(l, lines_take(l, "threshold ", "no threshold line"),
			  "the threshold is no number");
	if (threshold > LIMIT_NOTE_SIGS)
		lines_fail(l, ERR_LIMIT, "the threshold is too high");
	out->threshold = (uint32_t)threshold;
	parse_members(l, a, out);
	if (l->rest.n > 0)
		lines_fail(l, ERR_MALFORMED, "a line does not belong here");
}

static uint32_t count_active(const struct roster *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->member_count; i++)
		n += r->members[i].state == MEMBER_ACTIVE;
	return n;
}

/* Nobody votes twice, not even under two names. */
static bool has_shared_key(const struct roster *r)
{
	for (uint32_t i = 0; i < r->member_count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (memcmp(r->members[i].governance.pub,
				   r->members[j].governance.pub,
				   SIG_PUBLIC_BYTES) == 0)
				return true;
		}
	}
	return false;
}

static void check_roster(struct lines *l, const struct roster *r)
{
	uint32_t active = count_active(r);
	struct slice name = r->alliance;

	if (name.n == 0 || name.n > LIMIT_ID_BYTES ||
	    !text_is_canonical(name) || name.p[0] == ' ' ||
	    name.p[name.n - 1] == ' ')
		lines_fail(l, ERR_MALFORMED, "not a name for an alliance");
	if (r->version == 0)
		lines_fail(l, ERR_MALFORMED, "versions begin at 1");
	/* Two sets of voters must share one (PROTOCOL.md 8.3). */
	if (r->threshold > active || r->threshold < active / 2 + 1)
		lines_fail(l, ERR_MALFORMED,
			   "the threshold is no majority of active members");
	if (has_shared_key(r))
		lines_fail(l, ERR_MALFORMED, "two members share one key");
}

enum err roster_parse(struct slice note, struct arena *a, struct roster *out,
		      const char **why)
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
	if (l.err == ERR_OK)
		check_roster(&l, out);
	buf_init(&again, LIMIT_NOTE_BYTES);
	if (l.err == ERR_OK)
		roster_put(out, &again);
	if (l.err == ERR_OK && !slice_equal(buf_slice(&again), out->note.text))
		lines_fail(&l, ERR_MALFORMED, "a line is not in its one form");
	buf_free(&again);
	out->hash = hash_bytes(out->note.text);
	*why = l.why;
	return l.err;
}

/* Rules. */

const struct roster_member *roster_find(const struct roster *r,
					struct slice member)
{
	uint32_t from = 0, to = r->member_count;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		int order = slice_compare(r->members[mid].name, member);

		if (order == 0)
			return &r->members[mid];
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

bool roster_is_signed_by(const struct roster *r, const struct roster_member *m)
{
	return note_verify(&r->note, &m->governance, NULL) == ERR_OK;
}

uint32_t roster_default_threshold(uint32_t active)
{
	return (uint32_t)((uint64_t)active * 2 / 3 + 1);
}

enum err roster_check_first(const struct roster *r, struct buf *missing)
{
	bool first = true;

	if (r->version != 1)
		return ERR_CONFLICT;
	for (uint32_t i = 0; i < r->member_count; i++) {
		const struct roster_member *m = &r->members[i];

		if (m->state != MEMBER_ACTIVE || roster_is_signed_by(r, m))
			continue;
		if (missing != NULL) {
			buf_put_str(missing, first ? "" : " ");
			buf_put(missing, m->name);
		}
		first = false;
	}
	return first ? ERR_OK : ERR_DENIED;
}

uint32_t roster_count_votes(const struct roster *voters,
			    const struct note *note, enum err *err)
{
	uint32_t votes = 0;

	*err = ERR_OK;
	for (uint32_t i = 0; i < voters->member_count; i++) {
		const struct roster_member *m = &voters->members[i];
		enum err vote;

		if (m->state != MEMBER_ACTIVE)
			continue;
		vote = note_verify(note, &m->governance, NULL);
		votes += vote == ERR_OK;
		if (vote == ERR_INVALID)
			*err = ERR_INVALID;
	}
	return votes;
}

static bool is_same(const struct roster_member *a,
		    const struct roster_member *b)
{
	return a->state == b->state && a->governance.id == b->governance.id &&
	       memcmp(a->governance.pub, b->governance.pub, SIG_PUBLIC_BYTES) ==
		       0 &&
	       (a->state != MEMBER_REMOVED || head_equal(&a->final, &b->final));
}

/* At most one member may differ, and none may vanish. Both lists are sorted,
 * so that @next is @now with at most one line put in. */
static enum err check_changes(const struct roster *now,
			      const struct roster *next, const char **why)
{
	uint32_t changes = 0, i = 0;

	for (uint32_t j = 0; j < next->member_count; j++) {
		const struct roster_member *m = &next->members[j];

		if (i < now->member_count &&
		    slice_equal(now->members[i].name, m->name))
			changes += !is_same(&now->members[i++], m);
		else
			changes++;
	}
	if (i < now->member_count) {
		*why = "a member's line is missing; members are marked removed";
		return ERR_MALFORMED;
	}
	if (changes > 1) {
		*why = "more than one member changes in one version";
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

static enum err check_votes(const struct roster *voters,
			    const struct roster *next, const char **why,
			    const char *missing)
{
	enum err err;
	uint32_t votes = roster_count_votes(voters, &next->note, &err);

	if (err != ERR_OK) {
		*why = "a member's signature does not verify";
		return err;
	}
	if (votes < voters->threshold) {
		*why = missing;
		return ERR_DENIED;
	}
	return ERR_OK;
}

enum err roster_check_next(const struct roster *now, const struct roster *next,
			   const char **why)
{
	enum err err;

	*why = "";
	if (next->version != now->version + 1) {
		*why = "not the next version";
		return ERR_CONFLICT;
	}
	if (!digest_equal(&next->prev, &now->hash)) {
		*why = "follows another text than the roster in force";
		return ERR_CONFLICT;
	}
	if (!slice_equal(next->alliance, now->alliance)) {
		*why = "the alliance's name changes";
		return ERR_MALFORMED;
	}
	err = check_changes(now, next, why);
	if (err == ERR_OK)
		err = check_votes(now, next, why,
				  "the threshold of the roster in force is "
				  "not reached");
	if (err == ERR_OK)
		err = check_votes(next, next, why,
				  "the threshold of the new roster is not "
				  "reached");
	return err;
}

/* Alliance files. */

static void put_document(const char *key, struct slice document,
			 struct buf *out)
{
	buf_put_str(out, key);
	buf_put_dec(out, document.n);
	buf_put_u8(out, '\n');
	buf_put(out, document);
}

void bundle_put(const struct bundle *b, struct buf *out)
{
	buf_put_str(out, BUNDLE_HEAD "\n");
	for (uint32_t i = 0; i < b->past_count; i++)
		put_document("past ", b->past[i], out);
	put_document("roster ", b->roster, out);
	for (uint32_t i = 0; i < b->card_count; i++)
		put_document("card ", b->cards[i], out);
}

static struct slice take_document(struct lines *l, const char *key,
				  const char *why)
{
	uint64_t n = lines_u64(l, lines_take(l, key, why),
			       "a document's length is no number");
	struct slice document;

	if (n > LIMIT_NOTE_BYTES)
		lines_fail(l, ERR_LIMIT, "a document is too large");
	if (n > l->rest.n)
		lines_fail(l, ERR_TRUNCATED, "the file ends in a document");
	if (l->err != ERR_OK)
		return slice_of(NULL, 0);
	document = slice_sub(l->rest, 0, (size_t)n);
	l->rest = slice_sub(l->rest, (size_t)n, l->rest.n - (size_t)n);
	return document;
}

static void take_list(struct lines *l, const char *key, struct slice *list,
		      uint32_t *count)
{
	while (lines_at(l, key)) {
		struct slice document = take_document(l, key, "");

		if (*count == LIMIT_MEMBERS)
			lines_fail(l, ERR_LIMIT, "too many documents");
		else
			list[(*count)++] = document;
	}
}

enum err bundle_parse(struct slice file, struct arena *a, struct bundle *out,
		      const char **why)
{
	struct lines l;

	memset(out, 0, sizeof(*out));
	lines_init(&l, file);
	if (file.n > LIMIT_BUNDLE_BYTES)
		lines_fail(&l, ERR_LIMIT, "the file is too large");
	if (lines_take(&l, BUNDLE_HEAD, "this is no alliance file").n > 0)
		lines_fail(&l, ERR_UNSUPPORTED, "a newer alliance file");
	out->past = arena_array(a, LIMIT_MEMBERS, sizeof(*out->past));
	out->cards = arena_array(a, LIMIT_MEMBERS, sizeof(*out->cards));
	if (out->past == NULL || out->cards == NULL)
		lines_fail(&l, ERR_LIMIT, "no room for the documents");
	take_list(&l, "past ", out->past, &out->past_count);
	out->roster = take_document(&l, "roster ", "no roster");
	take_list(&l, "card ", out->cards, &out->card_count);
	if (l.rest.n > 0)
		lines_fail(&l, ERR_MALFORMED, "a card belongs here");
	*why = l.why;
	return l.err;
}
