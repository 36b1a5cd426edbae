#include "proto/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"
#include "tests/lib/shared.h"
#include "tests/lib/signer.h"

#define MEMBERS_MAX 8u

/* Fixture: an alliance whose members are named by their place. */

static const char *const names[MEMBERS_MAX] = {
	"a.example", "b.example", "c.example", "d.example",
	"e.example", "f.example", "g.example", "h.example",
};

/* Governance key @number of member @place: number 0 is the first one. */
static struct signer governor(unsigned place, unsigned number)
{
	char name[64];
	struct signer s;

	(void)snprintf(name, sizeof(name), "%s/governance", names[place]);
	s = a_signer(name, NOTE_ED25519);
	if (number > 0) {
		/* The same name with another secret. */
		s.secret[0] ^= (uint8_t)number;
		sig_public(s.secret, s.key.pub);
		assert_int_equal(note_key_init(&s.key, slice_str(name),
					       NOTE_ED25519, s.key.pub),
				 ERR_OK);
	}
	return s;
}

/* A roster to be written and signed. */
struct draft {
	struct roster r;
	struct roster_member members[MEMBERS_MAX];
	struct arena arena;
	struct buf note; /* signed, once written */
	struct roster parsed;
};

static void a_draft(struct draft *d, uint32_t count, uint32_t threshold)
{
	memset(d, 0, sizeof(*d));
	d->r.alliance = slice_str("Example Alliance");
	d->r.version = 1;
	d->r.threshold = threshold;
	d->r.member_count = count;
	d->r.members = d->members;
	for (uint32_t i = 0; i < count; i++) {
		d->members[i].name = slice_str(names[i]);
		d->members[i].governance = governor(i, 0).key;
	}
}

/* Write @d, signed by those of @signers, and parse it. */
static enum err sign(struct draft *d, const struct signer *signers, size_t n,
		     const char **why)
{
	const struct signer *list[2 * MEMBERS_MAX];
	struct buf text;

	for (size_t i = 0; i < n; i++)
		list[i] = &signers[i];
	buf_init(&text, LIMIT_NOTE_BYTES);
	roster_put(&d->r, &text);
	d->note = a_note(buf_slice(&text), list, n);
	buf_free(&text);
	arena_init(&d->arena, 1u << 20);
	return roster_parse(buf_slice(&d->note), &d->arena, &d->parsed, why);
}

/* As sign, by the first keys of the first @n members; must parse. */
static void sign_by_first(struct draft *d, unsigned n)
{
	struct signer signers[MEMBERS_MAX];
	const char *why;

	for (unsigned i = 0; i < n; i++)
		signers[i] = governor(i, 0);
	assert_int_equal(sign(d, signers, n, &why), ERR_OK);
	assert_string_equal(why, "");
}

static void free_draft(struct draft *d)
{
	buf_free(&d->note);
	arena_free(&d->arena);
}

/* The successor of @now, not yet signed. */
static void follow(const struct draft *now, struct draft *next)
{
	*next = *now;
	next->r.members = next->members;
	next->r.version = now->r.version + 1;
	next->r.prev = now->parsed.hash;
}

static enum err parse_roster(struct slice raw, const char **why)
{
	uint8_t *copy = a_copy(raw);
	struct arena a;
	struct roster r;
	enum err err;

	arena_init(&a, 1u << 20);
	err = roster_parse(slice_of(copy, raw.n), &a, &r, why);
	arena_free(&a);
	free(copy);
	return err;
}

/* A note with @text and one signature line that fits no key. */
static enum err parse_text(const char *text, const char **why,
			   enum err (*parse)(struct slice, const char **))
{
	struct buf b;
	enum err err;

	buf_init(&b, 2 * LIMIT_NOTE_BYTES);
	buf_put_str(&b, text);
	buf_put_str(&b, "\n\xe2\x80\x94 n AAAAAAA=\n");
	err = parse(buf_slice(&b), why);
	buf_free(&b);
	return err;
}

/* @text with the first @from replaced by @to. Static. */
static const char *with(const char *text, const char *from, const char *to)
{
	static char out[8192];
	const char *at = strstr(text, from);

	assert_non_null(at);
	(void)snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to,
		       at + strlen(from));
	return out;
}

/* The committed file, or NULL when it does not exist. */
static struct buf golden(const char *name)
{
	struct buf b;
	FILE *f = fopen(name, "rb");
	uint8_t piece[4096];
	size_t n;

	assert_non_null(f);
	buf_init(&b, 1u << 20);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_put(&b, slice_of(piece, n));
	(void)fclose(f);
	return b;
}

static void assert_golden(const char *name, const struct buf *got)
{
	struct buf want = golden(name);

	assert_int_equal(want.n, got->n);
	assert_memory_equal(want.p, got->p, want.n);
	buf_free(&want);
}

/* Rosters: form. */

static void a_roster_comes_back_as_it_was(void **state)
{
	struct draft d;
	struct buf again;

	(void)state;
	a_draft(&d, 3, 2);
	d.members[1].state = MEMBER_LEARNER;
	d.members[2].state = MEMBER_ACTIVE;
	sign_by_first(&d, 3);
	assert_int_equal(d.parsed.version, 1);
	assert_int_equal(d.parsed.threshold, 2);
	assert_int_equal(d.parsed.member_count, 3);
	assert_true(slice_is(d.parsed.alliance, "Example Alliance"));
	assert_int_equal(d.parsed.members[1].state, MEMBER_LEARNER);
	buf_init(&again, LIMIT_NOTE_BYTES);
	roster_put(&d.parsed, &again);
	assert_true(slice_equal(buf_slice(&again), d.parsed.note.text));
	buf_free(&again);
	free_draft(&d);
}

static void a_roster_has_the_bytes_of_protocol_8_1(void **state)
{
	struct draft d;
	struct signer signers[3] = { governor(0, 0), governor(1, 0),
				     governor(2, 0) };
	const char *why;

	(void)state;
	a_draft(&d, 3, 2);
	d.r.version = 4;
	d.r.prev = hash_bytes(slice_str("version 3"));
	d.members[2].state = MEMBER_REMOVED;
	d.members[2].final.size = 12;
	d.members[2].final.root = hash_bytes(slice_str("root"));
	assert_int_equal(sign(&d, signers, 2, &why), ERR_OK);
	assert_golden("tests/vectors/roster/roster-4.note", &d.note);
	free_draft(&d);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Three members: active, active, removed. Give: free. */
static char *a_roster_text(void)
{
	struct draft d;
	struct buf text;
	char *out;

	a_draft(&d, 3, 2);
	d.r.version = 2;
	assert_true(text_parse_hex(slice_str(HASH), d.r.prev.b, 32));
	d.members[2].state = MEMBER_REMOVED;
	d.members[2].final.size = 12;
	buf_init(&text, LIMIT_NOTE_BYTES);
	roster_put(&d.r, &text);
	out = xstrndup(buf_slice(&text));
	buf_free(&text);
	return out;
}

static void rosters_in_another_form_are_refused(void **state)
{
	static const struct {
		const char *from, *to;
		enum err err;
	} cases[] = {
		{ "roster v1", "roster v2", ERR_UNSUPPORTED },
		{ "roster v1", "roster v", ERR_UNSUPPORTED },
		{ "symbolon-roster v1\n", "", ERR_MALFORMED },
		{ "symbolon-roster", "Symbolon-roster", ERR_MALFORMED },
		{ "alliance Example", "alliance  Example", ERR_MALFORMED },
		{ "Example Alliance", "Example Alliance ", ERR_MALFORMED },
		{ "Example Alliance", "", ERR_MALFORMED },
		{ "Example Alliance", "e\xcc\x81", ERR_MALFORMED },
		{ "alliance Example Alliance\n", "", ERR_MALFORMED },
		{ "version 2", "version 02", ERR_MALFORMED },
		{ "version 2", "version 0", ERR_MALFORMED },
		{ "version 2", "version 1", ERR_MALFORMED },
		{ "version 2", "version 2 ", ERR_MALFORMED },
		{ "version 2", "version x", ERR_MALFORMED },
		{ "prev 0123", "prev 012", ERR_MALFORMED },
		{ "prev 0123", "prev 012G", ERR_MALFORMED },
		{ "prev " HASH, "prev -", ERR_MALFORMED },
		{ "abcdef\n", "ABCDEF\n", ERR_MALFORMED },
		{ "threshold 2", "threshold 1", ERR_MALFORMED },
		{ "threshold 2", "threshold 3", ERR_MALFORMED },
		{ "threshold 2", "threshold 0", ERR_MALFORMED },
		{ "threshold 2", "threshold 65", ERR_LIMIT },
		{ "threshold 2", "threshold 4294967298", ERR_LIMIT },
		{ "member a.", "member A.", ERR_MALFORMED },
		{ "member a.", "member b.", ERR_MALFORMED },
		{ "member b.", "member a.", ERR_MALFORMED },
		{ "member b.", "member 0.", ERR_MALFORMED },
		{ "b.example active", "b.example  active", ERR_MALFORMED },
		{ "b.example active", "b.example Active", ERR_MALFORMED },
		{ "b.example active", "b.example gone", ERR_MALFORMED },
		{ "b.example active", "b.example removed", ERR_MALFORMED },
		{ "example/governance", "example/witness", ERR_MALFORMED },
		{ "removed", "active", ERR_MALFORMED },
		{ " 12 ", " 012 ", ERR_MALFORMED },
		{ " 12 ", " 9223372036854775808 ", ERR_MALFORMED },
		{ " 12 0", " 12 ", ERR_MALFORMED },
		{ "threshold 2\n", "threshold 2\n\n", ERR_MALFORMED },
		{ "threshold 2\n", "threshold 2\nextra\n", ERR_MALFORMED },
	};
	char *text = a_roster_text();
	const char *why;

	(void)state;
	assert_int_equal(parse_text(text, &why, parse_roster), ERR_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err err =
			parse_text(with(text, cases[i].from, cases[i].to), &why,
				   parse_roster);

		if (err != cases[i].err || why[0] == '\0')
			fail_msg("%s -> %s: %d %s", cases[i].from, cases[i].to,
				 err, why);
	}
	free(text);
}

static void every_prefix_of_a_roster_is_refused(void **state)
{
	struct draft d;
	const char *why;

	(void)state;
	a_draft(&d, 2, 2);
	sign_by_first(&d, 1);
	for (size_t n = 0; n < d.note.n; n++)
		assert_int_equal(parse_roster(slice_of(d.note.p, n), &why),
				 ERR_MALFORMED);
	free_draft(&d);
}

static void every_line_of_a_roster_is_needed(void **state)
{
	char *text = a_roster_text();
	const char *why;

	(void)state;
	for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
		size_t n = (size_t)(strchr(at, '\n') + 1 - at);
		char line[512];

		(void)snprintf(line, sizeof(line), "%.*s", (int)n, at);
		if (strncmp(line, "member c.", 9) == 0)
			continue; /* what is left is a good roster */
		assert_int_not_equal(
			parse_text(with(text, line, ""), &why, parse_roster),
			ERR_OK);
	}
	free(text);
}

static void two_members_with_one_key_are_refused(void **state)
{
	struct draft d;
	struct signer s = governor(0, 0);
	const char *why;

	(void)state;
	a_draft(&d, 2, 2);
	assert_int_equal(note_key_init(&d.members[1].governance,
				       slice_str("b.example/governance"),
				       NOTE_ED25519, s.key.pub),
			 ERR_OK);
	assert_int_equal(sign(&d, &s, 1, &why), ERR_MALFORMED);
	assert_string_equal(why, "two members share one key");
	free_draft(&d);
}

static void a_roster_has_at_most_512_members(void **state)
{
	struct roster_member *members =
		xcalloc(LIMIT_MEMBERS + 1, sizeof(*members));
	static char m_names[LIMIT_MEMBERS + 1][16];
	struct draft d;
	const char *why;

	(void)state;
	for (unsigned i = 0; i <= LIMIT_MEMBERS; i++) {
		char name[64];

		(void)snprintf(m_names[i], sizeof(m_names[i]), "m%03u.xy", i);
		(void)snprintf(name, sizeof(name), "%s/governance", m_names[i]);
		members[i].name = slice_str(m_names[i]);
		members[i].state = i == 0 ? MEMBER_ACTIVE : MEMBER_LEARNER;
		members[i].governance = a_signer(name, NOTE_ED25519).key;
	}
	a_draft(&d, 1, 1);
	d.r.members = members;
	for (uint32_t over = 0; over <= 1; over++) {
		struct signer s = a_signer("m000.xy/governance", NOTE_ED25519);

		d.r.member_count = LIMIT_MEMBERS + over;
		assert_int_equal(sign(&d, &s, 1, &why),
				 over == 0 ? ERR_OK : ERR_LIMIT);
		free_draft(&d);
	}
	free(members);
}

static void members_are_found_by_name(void **state)
{
	struct draft d;

	(void)state;
	a_draft(&d, 7, 5);
	sign_by_first(&d, 1);
	for (unsigned i = 0; i < 7; i++)
		assert_ptr_equal(roster_find(&d.parsed, slice_str(names[i])),
				 &d.parsed.members[i]);
	assert_null(roster_find(&d.parsed, slice_str("h.example")));
	assert_null(roster_find(&d.parsed, slice_str("a.exampl")));
	assert_null(roster_find(&d.parsed, slice_str("")));
	free_draft(&d);
}

/* Rosters: rules. */

static void the_default_threshold_is_two_thirds_and_one(void **state)
{
	static const uint32_t want[] = { 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7 };

	(void)state;
	for (uint32_t n = 0; n <= 10; n++)
		assert_int_equal(roster_default_threshold(n), want[n]);
	assert_int_equal(roster_default_threshold(UINT32_MAX), 2863311531u);
}

static void the_first_roster_needs_every_active_member(void **state)
{
	struct draft d;
	struct buf missing;

	(void)state;
	buf_init(&missing, 1024);
	a_draft(&d, 4, 2);
	d.members[3].state = MEMBER_LEARNER;
	sign_by_first(&d, 3);
	assert_int_equal(roster_check_first(&d.parsed, &missing), ERR_OK);
	assert_int_equal(missing.n, 0);
	free_draft(&d);
	sign_by_first(&d, 1);
	assert_int_equal(roster_check_first(&d.parsed, &missing), ERR_DENIED);
	assert_true(slice_is(buf_slice(&missing), "b.example c.example"));
	assert_int_equal(roster_check_first(&d.parsed, NULL), ERR_DENIED);
	assert_true(roster_is_signed_by(&d.parsed, &d.parsed.members[0]));
	assert_false(roster_is_signed_by(&d.parsed, &d.parsed.members[1]));
	free_draft(&d);
	d.r.version = 2;
	sign_by_first(&d, 3);
	assert_int_equal(roster_check_first(&d.parsed, NULL), ERR_CONFLICT);
	free_draft(&d);
	buf_free(&missing);
}

static void an_alliance_may_have_one_member(void **state)
{
	struct draft d;

	(void)state;
	a_draft(&d, 1, 1);
	sign_by_first(&d, 1);
	assert_int_equal(roster_check_first(&d.parsed, NULL), ERR_OK);
	free_draft(&d);
}

/* Check @next, signed by the first @n members, against @now. */
static enum err check_next(const struct draft *now, struct draft *next,
			   unsigned n, const char **why)
{
	enum err err;

	sign_by_first(next, n);
	err = roster_check_next(&now->parsed, &next->parsed, why);
	assert_true((err == ERR_OK) == (why[0][0] == '\0'));
	free_draft(next);
	return err;
}

static void one_change_signed_by_both_thresholds_is_accepted(void **state)
{
	struct draft now, next;
	const char *why;

	(void)state;
	a_draft(&now, 4, 3);
	now.members[3].state = MEMBER_LEARNER;
	now.r.threshold = 2;
	sign_by_first(&now, 3);

	follow(&now, &next); /* nothing changes */
	assert_int_equal(check_next(&now, &next, 2, &why), ERR_OK);
	assert_int_equal(check_next(&now, &next, 1, &why), ERR_DENIED);

	follow(&now, &next); /* the threshold */
	next.r.threshold = 3;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_OK);
	assert_int_equal(check_next(&now, &next, 2, &why), ERR_DENIED);

	follow(&now, &next); /* the learner's state, and the threshold */
	next.members[3].state = MEMBER_ACTIVE;
	next.r.threshold = 3;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_OK);

	follow(&now, &next); /* a new member */
	next.members[4].name = slice_str(names[4]);
	next.members[4].governance = governor(4, 0).key;
	next.members[4].state = MEMBER_LEARNER;
	next.r.member_count = 5;
	assert_int_equal(check_next(&now, &next, 2, &why), ERR_OK);

	follow(&now, &next); /* a removal: its vote counts in the old one */
	next.members[0].state = MEMBER_REMOVED;
	next.members[0].final.size = 7;
	assert_int_equal(check_next(&now, &next, 2, &why), ERR_DENIED);
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_OK);
	free_draft(&now);
}

static void two_changes_or_a_vanished_member_are_refused(void **state)
{
	struct draft now, next;
	const char *why;

	(void)state;
	a_draft(&now, 3, 2);
	sign_by_first(&now, 3);

	follow(&now, &next);
	for (uint32_t i = 3; i < 5; i++) {
		next.members[i].name = slice_str(names[i]);
		next.members[i].governance = governor(i, 0).key;
		next.members[i].state = MEMBER_LEARNER;
	}
	next.r.member_count = 5;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_MALFORMED);
	next.r.member_count = 4;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_OK);
	next.members[2].state = MEMBER_REMOVED;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_MALFORMED);

	follow(&now, &next);
	next.r.member_count = 2;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_MALFORMED);
	next.members[0] = next.members[1];
	next.members[1] = next.members[2];
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_MALFORMED);

	follow(&now, &next);
	next.r.alliance = slice_str("Another Alliance");
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_MALFORMED);
	free_draft(&now);
}

static void only_the_next_version_of_the_same_text_follows(void **state)
{
	struct draft now, next;
	const char *why;

	(void)state;
	a_draft(&now, 3, 2);
	sign_by_first(&now, 3);
	follow(&now, &next);
	next.r.version = 3;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_CONFLICT);
	next.r.version = 1;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_CONFLICT);
	next.r.version = 2;
	next.r.prev.b[31] ^= 1;
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_CONFLICT);
	free_draft(&now);
}

static void learners_and_removed_members_have_no_vote(void **state)
{
	struct draft now, next;
	const char *why;

	(void)state;
	a_draft(&now, 5, 2);
	now.members[0].state = MEMBER_LEARNER;
	now.members[1].state = MEMBER_REMOVED;
	sign_by_first(&now, 5);
	follow(&now, &next);
	assert_int_equal(check_next(&now, &next, 3, &why), ERR_DENIED);
	assert_int_equal(check_next(&now, &next, 4, &why), ERR_OK);
	free_draft(&now);
}

static void a_vote_that_does_not_verify_spoils_the_roster(void **state)
{
	struct draft now, next;
	const char *why;

	(void)state;
	a_draft(&now, 3, 2);
	sign_by_first(&now, 3);
	follow(&now, &next);
	sign_by_first(&next, 3);
	/* The third signature is broken; two would do. */
	next.parsed.note.sigs[2].sig = next.parsed.note.sigs[1].sig;
	assert_int_equal(roster_check_next(&now.parsed, &next.parsed, &why),
			 ERR_INVALID);
	free_draft(&next);
	free_draft(&now);
}

/* The published rotation cases: keys by number. A key of both lists stays with
 * its member, others take the places that are free, so that one other key is
 * one change. Lists that differ in more places are never accepted here; of
 * them the votes are compared. */

#define KEYS_MAX 3u

static unsigned find_key(const uint64_t *keys, uint64_t number)
{
	unsigned i = 0;

	while (i < KEYS_MAX && keys[i] != number)
		i++;
	return i;
}

/* The keys of @list by member; @old (or NULL) are those they had before. */
static void place_keys(json_t *list, const uint64_t *old, uint64_t *out)
{
	json_t *v;
	size_t i;

	assert_int_equal(json_array_size(list), KEYS_MAX);
	memset(out, 0, KEYS_MAX * sizeof(*out));
	for (unsigned round = 0; round < 2; round++) {
		json_array_foreach(list, i, v)
		{
			uint64_t number = (uint64_t)json_integer_value(v);
			bool stays =
				old != NULL && find_key(old, number) < KEYS_MAX;

			if (stays && round == 0)
				out[find_key(old, number)] = number;
			if (!stays && round == 1)
				out[find_key(out, 0)] = number;
		}
	}
}

static void a_rotation_draft(struct draft *d, const uint64_t *keys,
			     json_t *spec)
{
	json_t *t = json_object_get(spec, "t");

	a_draft(d, KEYS_MAX, (uint32_t)json_integer_value(t));
	for (unsigned i = 0; i < KEYS_MAX; i++)
		d->members[i].governance = governor(i, (unsigned)keys[i]).key;
}

/* The keys that sign; one that nobody holds is another member's. */
static size_t rotation_signers(json_t *list, const uint64_t *old,
			       const uint64_t *new, struct signer *out)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		uint64_t number = (uint64_t)json_integer_value(v);
		unsigned place = find_key(old, number);

		if (place == KEYS_MAX)
			place = find_key(new, number);
		out[i] = governor(place, (unsigned)number);
	}
	return i;
}

static bool has_both_votes(const struct draft *now, const struct draft *next)
{
	const struct note *note = &next->parsed.note;
	enum err err;

	return roster_count_votes(&now->parsed, note, &err) >=
		       now->parsed.threshold &&
	       roster_count_votes(&next->parsed, note, &err) >=
		       next->parsed.threshold;
}

static void check_rotation(json_t *one, size_t which)
{
	json_t *old = json_object_get(one, "old");
	json_t *new = json_object_get(one, "new");
	json_t *step = json_object_get(one, "version_step");
	uint64_t old_keys[KEYS_MAX], new_keys[KEYS_MAX];
	struct signer signers[2 * MEMBERS_MAX];
	struct draft now, next;
	const char *why = "";
	unsigned changes = 0;
	size_t n;
	enum err err;

	place_keys(json_object_get(old, "keys"), NULL, old_keys);
	place_keys(json_object_get(new, "keys"), old_keys, new_keys);
	for (unsigned i = 0; i < KEYS_MAX; i++)
		changes += old_keys[i] != new_keys[i];
	a_rotation_draft(&now, old_keys, old);
	sign_by_first(&now, 1);
	a_rotation_draft(&next, new_keys, new);
	next.r.version =
		step == NULL ? 2 : 1 + (uint64_t)json_integer_value(step);
	next.r.prev = now.parsed.hash;
	if (json_is_false(json_object_get(one, "prev_hash_ok")))
		next.r.prev.b[0] ^= 1;
	n = rotation_signers(json_object_get(one, "signed"), old_keys, new_keys,
			     signers);
	err = sign(&next, signers, n, &why);
	if (err == ERR_OK)
		err = roster_check_next(&now.parsed, &next.parsed, &why);
	if (changes > 1) {
		assert_int_equal(err, ERR_MALFORMED);
		err = has_both_votes(&now, &next) ? ERR_OK : ERR_DENIED;
	}
	if ((err == ERR_OK) != json_is_true(json_object_get(one, "accept")))
		fail_msg("case %zu: %d %s", which, err, why);
	free_draft(&now);
	free_draft(&next);
}

static void the_published_rotation_cases_are_judged_right(void **state)
{
	json_t *doc =
		shared_json("vectors/tlog/generated/root-rotation-cases.json");
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(doc, "cases"), i, one)
		check_rotation(one, i);
	assert_int_equal(i, 9);
	json_decref(doc);
}

/* Cards. */

struct card {
	struct descriptor d;
	struct descriptor_log logs[4];
	struct arena arena;
	struct buf note;
	struct descriptor parsed;
};

static void add_log(struct card *c, const char *origin, unsigned number,
		    uint64_t from, uint64_t to)
{
	struct descriptor_log *g = &c->logs[c->d.log_count++];
	struct signer s = a_signer(origin, NOTE_ED25519);

	s.secret[0] ^= (uint8_t)number;
	sig_public(s.secret, s.key.pub);
	g->origin = slice_str(origin);
	assert_int_equal(
		note_key_init(&g->key, g->origin, NOTE_ED25519, s.key.pub),
		ERR_OK);
	g->from = from;
	g->to = to;
}

static void a_card(struct card *c)
{
	memset(c, 0, sizeof(*c));
	c->d.member = slice_str("a.example");
	c->d.name = slice_str("University of A");
	c->d.country = slice_str("DK");
	c->d.contact = slice_str("it@a.example");
	c->d.version = 1;
	c->d.governance = governor(0, 0).key;
	c->d.witness = a_signer("a.example/witness", NOTE_COSIGNATURE).key;
	c->d.logs = c->logs;
	add_log(c, "a.example/symbolon/1", 0, 0, UINT64_MAX);
	c->d.pin_count = 2;
	c->d.pins[0] = hash_bytes(slice_str("current"));
	c->d.pins[1] = hash_bytes(slice_str("next"));
	c->d.endpoint_count = 2;
	c->d.endpoints[0] = slice_str("node.a.example:7440");
	c->d.endpoints[1] = slice_str("[2001:db8::1]:7440");
}

static void sign_card(struct card *c)
{
	struct signer s = governor(0, 0);
	const struct signer *list[] = { &s };
	const char *why;
	struct buf text;

	buf_init(&text, LIMIT_NOTE_BYTES);
	descriptor_put(&c->d, &text);
	c->note = a_note(buf_slice(&text), list, 1);
	buf_free(&text);
	arena_init(&c->arena, 1u << 20);
	assert_int_equal(descriptor_parse(buf_slice(&c->note), &c->arena,
					  &c->parsed, &why),
			 ERR_OK);
}

static void free_card(struct card *c)
{
	buf_free(&c->note);
	arena_free(&c->arena);
}

static enum err parse_card(struct slice raw, const char **why)
{
	uint8_t *copy = a_copy(raw);
	struct arena a;
	struct descriptor d;
	enum err err;

	arena_init(&a, 1u << 20);
	err = descriptor_parse(slice_of(copy, raw.n), &a, &d, why);
	arena_free(&a);
	free(copy);
	return err;
}

static void a_card_has_the_bytes_of_protocol_8_2(void **state)
{
	struct card c;
	struct buf again;

	(void)state;
	a_card(&c);
	c.logs[0].to = 999;
	add_log(&c, "a.example/symbolon/1", 1, 1000, UINT64_MAX);
	c.d.version = 2;
	c.d.prev = hash_bytes(slice_str("version 1"));
	sign_card(&c);
	assert_golden("tests/vectors/roster/card-2.note", &c.note);
	buf_init(&again, LIMIT_NOTE_BYTES);
	descriptor_put(&c.parsed, &again);
	assert_true(slice_equal(buf_slice(&again), c.parsed.note.text));
	buf_free(&again);
	free_card(&c);
}

/* A card with two keys of one log and a second generation. Give: free. */
static char *a_card_text(void)
{
	struct card c;
	struct buf text;
	char *out;

	a_card(&c);
	c.d.version = 2;
	assert_true(text_parse_hex(slice_str(HASH), c.d.prev.b, 32));
	c.logs[0].to = 999;
	add_log(&c, "a.example/symbolon/1", 1, 1000, 2000);
	add_log(&c, "a.example/symbolon/2", 0, 0, UINT64_MAX);
	buf_init(&text, LIMIT_NOTE_BYTES);
	descriptor_put(&c.d, &text);
	out = xstrndup(buf_slice(&text));
	buf_free(&text);
	return out;
}

static void cards_in_another_form_are_refused(void **state)
{
	static const struct {
		const char *from, *to;
		enum err err;
	} cases[] = {
		{ "card v1", "card v2", ERR_UNSUPPORTED },
		{ "symbolon-card", "symbolon-cart", ERR_MALFORMED },
		{ "member a.example", "member b.example", ERR_MALFORMED },
		{ "member a.example", "member example", ERR_MALFORMED },
		{ "name University", "name  University", ERR_MALFORMED },
		{ "University of A", "", ERR_MALFORMED },
		{ "country DK", "country dk", ERR_MALFORMED },
		{ "country DK", "country DNK", ERR_MALFORMED },
		{ "it@a.example", "it", ERR_MALFORMED },
		{ "it@a.example", "", ERR_MALFORMED },
		{ "it@a.example", "i t@a.example", ERR_MALFORMED },
		{ "it@a.example", "-", ERR_OK },
		{ "version 2", "version 1", ERR_MALFORMED },
		{ "version 2", "version 0", ERR_MALFORMED },
		{ "prev 0123", "prev 0-23", ERR_MALFORMED },
		{ "governance a.example/g", "governance a.example/h",
		  ERR_MALFORMED },
		{ "witness a.example/w", "witness b.example/w", ERR_MALFORMED },
		{ "log a.example/symbolon/1", "log a.example/symbolon/01",
		  ERR_MALFORMED },
		{ "log a.example/symbolon/1", "log b.example/symbolon/1",
		  ERR_MALFORMED },
		{ "log a.example/symbolon/1", "log a.example/symbolon/2",
		  ERR_MALFORMED },
		{ " 0 999\n", " 1 999\n", ERR_MALFORMED }, /* from 0 */
		{ " 0 999\n", " 0 998\n", ERR_MALFORMED }, /* a gap */
		{ " 0 999\n", " 0 1000\n", ERR_MALFORMED }, /* an overlap */
		{ " 0 999\n", " 0 -\n", ERR_MALFORMED }, /* open, not last */
		{ " 0 999\n", " 0 0999\n", ERR_MALFORMED },
		{ " 1000 2000\n", " 1000 999\n", ERR_MALFORMED },
		{ " 1000 2000\n", " 1000 9223372036854775808\n",
		  ERR_MALFORMED },
		{ " 1000 2000\n", " 1000 18446744073709551615\n",
		  ERR_MALFORMED },
		{ " 1000 2000\n", " 1000 2000 \n", ERR_MALFORMED },
		{ " 1000 2000\n", " 1000 -\n", ERR_OK },
		{ "tls ", "tlt ", ERR_MALFORMED },
		{ "endpoint node", "endpoint no de", ERR_MALFORMED },
		{ "node.a.example:7440", "node.a.example:0", ERR_MALFORMED },
		{ "node.a.example:7440", "node.a.example:65536",
		  ERR_MALFORMED },
		{ "node.a.example:7440", "node.a.example:07440",
		  ERR_MALFORMED },
		{ "node.a.example:7440", "node.a.example:", ERR_MALFORMED },
		{ "node.a.example:7440", "node.a.example", ERR_MALFORMED },
		{ "node.a.example:7440", ":7440", ERR_MALFORMED },
		{ "node.a.example:7440", "n/e:7440", ERR_MALFORMED },
		{ "node.a.example:7440", "127.0.0.1:7440", ERR_OK },
		{ "[2001:db8::1]:7440", "2001:db8::1:7440", ERR_MALFORMED },
		{ "[2001:db8::1]:7440", "[2001:db8::1:7440", ERR_MALFORMED },
		{ "[2001:db8::1]:7440", "[x]:7440", ERR_MALFORMED },
		{ "[2001:db8::1]:7440", "[]:7440", ERR_MALFORMED },
		{ "endpoint [", "endpoint: [", ERR_MALFORMED },
	};
	char *text = a_card_text();
	const char *why;

	(void)state;
	assert_int_equal(parse_text(text, &why, parse_card), ERR_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err err =
			parse_text(with(text, cases[i].from, cases[i].to), &why,
				   parse_card);

		if (err != cases[i].err || (why[0] == '\0') != (err == ERR_OK))
			fail_msg("%s -> %s: %d %s", cases[i].from, cases[i].to,
				 err, why);
	}
	free(text);
}

static void every_prefix_of_a_card_is_refused(void **state)
{
	struct card c;
	const char *why;

	(void)state;
	a_card(&c);
	sign_card(&c);
	for (size_t n = 0; n < c.note.n; n++)
		assert_int_equal(parse_card(slice_of(c.note.p, n), &why),
				 ERR_MALFORMED);
	free_card(&c);
}

static void a_card_holds_so_many_lines_of_each_kind(void **state)
{
	static const struct {
		const char *line;
		unsigned max;
	} cases[] = {
		{ "tls " HASH "\n", LIMIT_TLS_PINS },
		{ "endpoint h:1\n", LIMIT_ENDPOINTS },
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (unsigned over = 0; over <= 1; over++) {
			struct card c;
			struct buf text;
			char *s;

			a_card(&c);
			c.d.pin_count = i == 0 ? 0 : 1;
			c.d.endpoint_count = 0;
			buf_init(&text, LIMIT_NOTE_BYTES);
			descriptor_put(&c.d, &text);
			for (unsigned n = 0; n < cases[i].max + over; n++)
				buf_put_str(&text, cases[i].line);
			s = xstrndup(buf_slice(&text));
			assert_int_equal(parse_text(s, &why, parse_card),
					 over == 0 ? ERR_OK : ERR_LIMIT);
			free(s);
			buf_free(&text);
		}
	}
}

static void a_card_holds_sixty_four_log_keys(void **state)
{
	(void)state;
	for (unsigned over = 0; over <= 1; over++) {
		struct descriptor_log logs[LIMIT_LOG_KEYS + 1];
		struct card c, one;
		struct buf text;
		const char *why;
		char *s;

		a_card(&c);
		for (unsigned i = 0; i < LIMIT_LOG_KEYS + over; i++) {
			memset(&one, 0, sizeof(one));
			one.d.logs = one.logs;
			add_log(&one, "a.example/symbolon/1", i, i, i);
			logs[i] = one.logs[0];
		}
		c.d.logs = logs;
		c.d.log_count = LIMIT_LOG_KEYS + over;
		buf_init(&text, LIMIT_NOTE_BYTES);
		descriptor_put(&c.d, &text);
		s = xstrndup(buf_slice(&text));
		assert_int_equal(parse_text(s, &why, parse_card),
				 over == 0 ? ERR_OK : ERR_LIMIT);
		free(s);
		buf_free(&text);
	}
}

/* What the text of @c, unsigned, is refused with. */
static enum err parse_draft(const struct card *c, const char **why)
{
	struct buf text;
	enum err err;
	char *s;

	buf_init(&text, LIMIT_NOTE_BYTES);
	descriptor_put(&c->d, &text);
	s = xstrndup(buf_slice(&text));
	err = parse_text(s, why, parse_card);
	free(s);
	buf_free(&text);
	return err;
}

/* The public part of @of under the name and type of @k. */
static void share(struct note_key *k, const struct note_key *of)
{
	struct slice name = slice_str(k->name);
	struct note_key made;

	assert_int_equal(note_key_init(&made, name, k->type, of->pub), ERR_OK);
	*k = made;
}

static void one_key_for_two_purposes_is_refused(void **state)
{
	struct card c;
	const char *why;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		a_card(&c);
		c.logs[0].to = 9;
		add_log(&c, "a.example/symbolon/1", 1, 10, UINT64_MAX);
		assert_int_equal(parse_draft(&c, &why), ERR_OK);
		if (i == 0)
			share(&c.d.witness, &c.logs[1].key);
		else if (i == 1)
			share(&c.d.witness, &c.d.governance);
		else if (i == 2)
			share(&c.logs[0].key, &c.d.governance);
		else
			share(&c.logs[1].key, &c.logs[0].key);
		assert_int_equal(parse_draft(&c, &why), ERR_MALFORMED);
		assert_string_equal(why, "one key has two purposes");
	}
}

static void log_lines_of_another_kind_are_refused(void **state)
{
	struct card c;
	struct signer s = a_signer("a.example/symbolon/1", NOTE_COSIGNATURE);
	const char *why;

	(void)state;
	a_card(&c);
	c.logs[0].key = s.key;
	assert_int_equal(parse_draft(&c, &why), ERR_MALFORMED);
	assert_string_equal(why, "a log key has type 1");
	a_card(&c);
	c.d.log_count = 0;
	assert_int_equal(parse_draft(&c, &why), ERR_MALFORMED);
	assert_string_equal(why, "no log line");
	a_card(&c);
	c.d.log_count = 0;
	add_log(&c, "a.example/symbolon/10", 0, 0, 5);
	add_log(&c, "a.example/symbolon/2", 0, 0, UINT64_MAX);
	assert_int_equal(parse_draft(&c, &why), ERR_MALFORMED);
	assert_string_equal(why, "generations are not in order");
}

static void the_key_of_a_log_is_found_by_size(void **state)
{
	struct card c;
	struct slice origin = slice_str("a.example/symbolon/1");
	const struct note_key *k;

	(void)state;
	a_card(&c);
	c.logs[0].to = 999;
	add_log(&c, "a.example/symbolon/1", 1, 1000, 2000);
	sign_card(&c);
	k = descriptor_log_key(&c.parsed, origin, 0);
	assert_ptr_equal(k, &c.parsed.logs[0].key);
	assert_ptr_equal(descriptor_log_key(&c.parsed, origin, 999), k);
	k = descriptor_log_key(&c.parsed, origin, 1000);
	assert_ptr_equal(k, &c.parsed.logs[1].key);
	assert_ptr_equal(descriptor_log_key(&c.parsed, origin, 2000), k);
	assert_null(descriptor_log_key(&c.parsed, origin, 2001));
	assert_null(descriptor_log_key(&c.parsed,
				       slice_str("a.example/symbolon/2"), 5));
	assert_true(descriptor_has_pin(&c.parsed, &c.d.pins[1]));
	assert_false(descriptor_has_pin(&c.parsed, &c.parsed.hash));
	free_card(&c);
}

static void a_card_is_judged_by_the_roster(void **state)
{
	struct draft r;
	struct card c;
	const char *why;

	(void)state;
	a_draft(&r, 2, 2);
	sign_by_first(&r, 2);
	a_card(&c);
	sign_card(&c);
	assert_int_equal(descriptor_check(&c.parsed, &r.parsed, NULL, &why),
			 ERR_OK);
	c.parsed.note.sigs[0].id ^= 1;
	assert_int_equal(descriptor_check(&c.parsed, &r.parsed, NULL, &why),
			 ERR_DENIED);
	c.parsed.note.sigs[0].id ^= 1;
	c.parsed.note.text.n--;
	assert_int_equal(descriptor_check(&c.parsed, &r.parsed, NULL, &why),
			 ERR_INVALID);
	c.parsed.note.text.n++;
	c.parsed.member = slice_str("c.example");
	assert_int_equal(descriptor_check(&c.parsed, &r.parsed, NULL, &why),
			 ERR_DENIED);
	c.parsed.member = slice_str("b.example");
	assert_int_equal(descriptor_check(&c.parsed, &r.parsed, NULL, &why),
			 ERR_DENIED);
	free_card(&c);
	free_draft(&r);
}

static void the_card_of_another_member_does_not_follow(void **state)
{
	struct draft r;
	struct card c, other;
	const char *why;

	(void)state;
	a_draft(&r, 1, 1);
	sign_by_first(&r, 1);
	a_card(&c);
	sign_card(&c);
	other = c;
	other.parsed.member = slice_str("b.example");
	assert_int_equal(
		descriptor_check(&c.parsed, &r.parsed, &other.parsed, &why),
		ERR_CONFLICT);
	free_card(&c);
	free_draft(&r);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct draft d;
	struct card c;
	const char *why;
	struct slice roster, card, bundle;

	(void)state;
	a_draft(&d, 8, 5);
	sign_by_first(&d, 1);
	a_card(&c);
	sign_card(&c);
	roster = buf_slice(&d.note);
	card = buf_slice(&c.note);
	bundle = slice_str("symbolon-alliance v1\nroster 1\nx");
	for (size_t max = 0; max <= 320; max += 16) {
		struct descriptor out;
		struct roster r;
		struct bundle b;
		struct arena a;

		arena_init(&a, max);
		assert_int_equal(roster_parse(roster, &a, &r, &why), ERR_LIMIT);
		arena_reset(&a);
		assert_int_equal(descriptor_parse(card, &a, &out, &why),
				 ERR_LIMIT);
		arena_reset(&a);
		assert_int_equal(bundle_parse(bundle, &a, &b, &why), ERR_LIMIT);
		arena_free(&a);
	}
	free_card(&c);
	free_draft(&d);
}

/* Check @next, made and signed from @c, against what is held. */
static enum err follow_card(const struct roster *r, const struct card *held,
			    struct card *next)
{
	const char *why;
	enum err err;

	next->d.logs = next->logs;
	sign_card(next);
	err = descriptor_check(&next->parsed, r, &held->parsed, &why);
	assert_true((err == ERR_OK) == (why[0] == '\0'));
	free_card(next);
	return err;
}

static void a_later_card_keeps_the_keys_of_the_past(void **state)
{
	struct draft r;
	struct card held, next;

	(void)state;
	a_draft(&r, 1, 1);
	sign_by_first(&r, 1);
	a_card(&held);
	held.logs[0].to = 999;
	add_log(&held, "a.example/symbolon/1", 1, 1000, UINT64_MAX);
	sign_card(&held);

	next = held; /* the same one */
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_EXISTS);
	next.d.endpoint_count = 1; /* another of the same version */
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_CONFLICT);
	next.d.version = 2;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_CONFLICT);
	next.d.prev = held.parsed.hash;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_OK);
	next.d.version = 9; /* some in between were missed */
	next.d.prev = hash_empty();
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_OK);

	next.logs[1].to = 5000; /* the open range may close */
	add_log(&next, "a.example/symbolon/1", 2, 5001, UINT64_MAX);
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_OK);
	next.logs[0].to = 998; /* a closed one may not move */
	next.logs[1].from = 999;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_CONFLICT);
	next.d.log_count = 1; /* nor a key vanish */
	next.logs[0].to = 999;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_CONFLICT);
	free_card(&held);
	free_draft(&r);
}

static void a_removed_members_card_does_not_change(void **state)
{
	struct draft r;
	struct card held, next;
	const char *why;

	(void)state;
	a_draft(&r, 2, 1);
	r.members[0].state = MEMBER_REMOVED;
	sign_by_first(&r, 2);
	a_card(&held);
	sign_card(&held);
	assert_int_equal(descriptor_check(&held.parsed, &r.parsed, NULL, &why),
			 ERR_OK);
	next = held;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_EXISTS);
	next.d.version = 2;
	next.d.prev = held.parsed.hash;
	assert_int_equal(follow_card(&r.parsed, &held, &next), ERR_DENIED);
	free_card(&held);
	free_draft(&r);
}

/* Alliance files. */

static enum err parse_bundle(struct slice file, const char **why)
{
	uint8_t *copy = a_copy(file);
	struct arena a;
	struct bundle b;
	enum err err;

	arena_init(&a, 1u << 20);
	err = bundle_parse(slice_of(copy, file.n), &a, &b, why);
	arena_free(&a);
	free(copy);
	return err;
}

static void an_alliance_file_comes_back_as_it_was(void **state)
{
	struct slice past[1] = { SLICE_LIT("before\n") };
	struct slice cards[2] = { SLICE_LIT("card one\n"), SLICE_LIT("two") };
	struct bundle b = { 1, past, SLICE_LIT("the roster\n"), 2, cards };
	struct bundle back;
	struct arena a;
	struct buf file;
	const char *why;

	(void)state;
	buf_init(&file, 1024);
	bundle_put(&b, &file);
	assert_true(slice_is(buf_slice(&file),
			     "symbolon-alliance v1\npast 7\nbefore\nroster 11\n"
			     "the roster\n"
			     "card 9\ncard one\ncard 3\ntwo"));
	arena_init(&a, 1u << 16);
	assert_int_equal(bundle_parse(buf_slice(&file), &a, &back, &why),
			 ERR_OK);
	assert_true(slice_equal(back.roster, b.roster));
	assert_int_equal(back.past_count, 1);
	assert_true(slice_equal(back.past[0], past[0]));
	assert_int_equal(back.card_count, 2);
	assert_true(slice_equal(back.cards[0], cards[0]));
	assert_true(slice_equal(back.cards[1], cards[1]));
	arena_free(&a);
	for (size_t n = 0; n < file.n; n++) {
		enum err err = parse_bundle(slice_of(file.p, n), &why);

		/* A file that ends behind a document is a file. */
		if (n == 56 || n == 72)
			assert_int_equal(err, ERR_OK);
		else
			assert_int_not_equal(err, ERR_OK);
	}
	buf_free(&file);
}

static void alliance_files_in_another_form_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum err err;
	} cases[] = {
		{ "symbolon-alliance v1\n", ERR_MALFORMED },
		{ "symbolon-alliance v2\nroster 1\nx", ERR_MALFORMED },
		{ "symbolon-alliance v12\nroster 1\nx", ERR_UNSUPPORTED },
		{ "symbolon-alliance v1\ncard 1\nx", ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 01\nx", ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster -1\nx", ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 2\nx", ERR_TRUNCATED },
		{ "symbolon-alliance v1\nroster 65537\nx", ERR_LIMIT },
		{ "symbolon-alliance v1\nroster 18446744073709551615\nx",
		  ERR_LIMIT },
		{ "symbolon-alliance v1\nroster 1\nxroster 1\nx",
		  ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 1\nx\n", ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 1\nxpast 1\ny", ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 1\nxcard 1\nypast 1\nz",
		  ERR_MALFORMED },
		{ "symbolon-alliance v1\nroster 1\nxcard 1\ny", ERR_OK },
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err err = parse_bundle(slice_str(cases[i].text), &why);

		if (err != cases[i].err)
			fail_msg("%s: %d", cases[i].text, err);
	}
}

static void an_alliance_file_holds_a_card_for_every_member(void **state)
{
	struct buf file;
	struct arena a;
	struct bundle b;
	const char *why;

	(void)state;
	/* Its size is looked at before anything of it is. */
	arena_init(&a, 0);
	assert_int_equal(bundle_parse(slice_of("x", LIMIT_BUNDLE_BYTES + 1), &a,
				      &b, &why),
			 ERR_LIMIT);
	assert_string_equal(why, "the file is too large");
	buf_init(&file, 1u << 20);
	buf_put_str(&file, "symbolon-alliance v1\nroster 1\nx");
	for (unsigned i = 0; i < LIMIT_MEMBERS; i++)
		buf_put_str(&file, "card 1\nx");
	assert_int_equal(parse_bundle(buf_slice(&file), &why), ERR_OK);
	buf_put_str(&file, "card 1\nx");
	assert_int_equal(parse_bundle(buf_slice(&file), &why), ERR_LIMIT);
	buf_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_roster_comes_back_as_it_was),
		cmocka_unit_test(a_roster_has_the_bytes_of_protocol_8_1),
		cmocka_unit_test(rosters_in_another_form_are_refused),
		cmocka_unit_test(every_prefix_of_a_roster_is_refused),
		cmocka_unit_test(every_line_of_a_roster_is_needed),
		cmocka_unit_test(two_members_with_one_key_are_refused),
		cmocka_unit_test(a_roster_has_at_most_512_members),
		cmocka_unit_test(members_are_found_by_name),
		cmocka_unit_test(the_default_threshold_is_two_thirds_and_one),
		cmocka_unit_test(the_first_roster_needs_every_active_member),
		cmocka_unit_test(an_alliance_may_have_one_member),
		cmocka_unit_test(
			one_change_signed_by_both_thresholds_is_accepted),
		cmocka_unit_test(two_changes_or_a_vanished_member_are_refused),
		cmocka_unit_test(
			only_the_next_version_of_the_same_text_follows),
		cmocka_unit_test(learners_and_removed_members_have_no_vote),
		cmocka_unit_test(a_vote_that_does_not_verify_spoils_the_roster),
		cmocka_unit_test(the_published_rotation_cases_are_judged_right),
		cmocka_unit_test(a_card_has_the_bytes_of_protocol_8_2),
		cmocka_unit_test(cards_in_another_form_are_refused),
		cmocka_unit_test(every_prefix_of_a_card_is_refused),
		cmocka_unit_test(a_card_holds_so_many_lines_of_each_kind),
		cmocka_unit_test(a_card_holds_sixty_four_log_keys),
		cmocka_unit_test(one_key_for_two_purposes_is_refused),
		cmocka_unit_test(log_lines_of_another_kind_are_refused),
		cmocka_unit_test(the_key_of_a_log_is_found_by_size),
		cmocka_unit_test(a_card_is_judged_by_the_roster),
		cmocka_unit_test(the_card_of_another_member_does_not_follow),
		cmocka_unit_test(a_small_arena_is_a_limit),
		cmocka_unit_test(a_later_card_keeps_the_keys_of_the_past),
		cmocka_unit_test(a_removed_members_card_does_not_change),
		cmocka_unit_test(an_alliance_file_comes_back_as_it_was),
		cmocka_unit_test(alliance_files_in_another_form_are_refused),
		cmocka_unit_test(
			an_alliance_file_holds_a_card_for_every_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
