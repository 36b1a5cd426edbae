#include "node/alliance.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/disk.h"
#include "proto/text.h"

/* ---- Reading ---------------------------------------------------------- */

static enum err fail(struct buf *why, enum err e, struct slice who,
		     const char *what)
{
	if (who.n > 0)
		say(why, "%.*s: ", (int)who.n, (const char *)who.p);
	say(why, "%s", what && *what ? what : err_text(e));
	return e;
}

enum err card_parse(struct slice note, struct arena *a, struct descriptor *d,
		    struct buf *why)
{
	const char *fault = "";
	enum err e = descriptor_parse(note, a, d, &fault);
	if (e)
		return fail(why, e, slice_of(NULL, 0), fault);
	if (note_verify(&d->note, &d->governance, NULL))
		return fail(why, ERR_INVALID, d->member,
			    "the card is not signed by the key it names");
	return ERR_OK;
}

/* A roster that nobody has signed stands in the file as its bare text. It is
 * parsed with a signature of nobody, which no key fits. */
static enum err with_placeholder(struct slice text, struct arena *a,
				 struct slice *out)
{
	static const uint8_t nothing[4 + SIG_BYTES];
	struct buf b;
	buf_init(&b, LIMIT_NOTE_BYTES);
	buf_put(&b, text);
	buf_put_str(&b, "\n\xe2\x80\x94 nobody ");
	text_put_base64(&b, slice_of(nothing, sizeof(nothing)));
	buf_put_u8(&b, '\n');
	enum err e = b.err ? b.err : arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return e;
}

static bool has_empty_line(struct slice s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '\n' && s.p[i - 1] == '\n')
			return true;
	return false;
}

static enum err parse_past(struct alliance *a, struct buf *why)
{
	const char *fault = "";
	a->past = arena_array(&a->arena, a->bundle.past_count + 1,
			      sizeof(*a->past));
	if (a->past == NULL)
		return fail(why, ERR_LIMIT, slice_of(NULL, 0), NULL);
	for (uint32_t i = 0; i < a->bundle.past_count; i++) {
		enum err e = roster_parse(a->bundle.past[i], &a->arena,
					  &a->past[i], &fault);
		if (!e && i == 0)
			e = roster_check_first(&a->past[0], NULL);
		else if (!e)
			e = roster_check_next(&a->past[i - 1], &a->past[i],
					      &fault);
		if (!e)
			continue;
		say(why, "earlier roster %u: ", (unsigned)i + 1);
		return fail(why, e, slice_of(NULL, 0), fault);
	}
	return ERR_OK;
}

static enum err parse_roster(struct alliance *a, struct buf *why)
{
	const char *fault = "";
	struct slice note = a->bundle.roster;
	enum err e = ERR_OK;
	a->is_unsigned = !has_empty_line(note);
	if (a->is_unsigned)
		e = with_placeholder(a->bundle.roster, &a->arena, &note);
	if (!e)
		e = roster_parse(note, &a->arena, &a->roster, &fault);
	if (!e && a->roster.version != (uint64_t)a->bundle.past_count + 1)
		return fail(why, ERR_CONFLICT, slice_of(NULL, 0),
			    "the file does not hold all earlier rosters");
	if (!e && a->bundle.past_count > 0) {
		e = roster_check_next(&a->past[a->bundle.past_count - 1],
				      &a->roster, &fault);
		if (e == ERR_DENIED) /* signatures may still come */
			e = ERR_OK;
	}
	for (uint32_t i = 0; !e && i < a->roster.member_count; i++) {
		const struct roster_member *m = &a->roster.members[i];
		if (note_verify(&a->roster.note, &m->governance, NULL) ==
		    ERR_INVALID)
			return fail(why, ERR_INVALID, m->name,
				    "the signature does not verify");
	}
	return e ? fail(why, e, slice_of(NULL, 0), fault) : ERR_OK;
}

static enum err parse_cards(struct alliance *a, struct buf *why)
{
	const char *fault = "";
	a->cards = arena_array(&a->arena, a->bundle.card_count + 1,
			       sizeof(*a->cards));
	if (a->cards == NULL)
		return fail(why, ERR_LIMIT, slice_of(NULL, 0), NULL);
	for (uint32_t i = 0; i < a->bundle.card_count; i++) {
		struct descriptor *d = &a->cards[i];
		enum err e = descriptor_parse(a->bundle.cards[i], &a->arena, d,
					      &fault);
		if (!e)
			e = descriptor_check(d, &a->roster, NULL, &fault);
		if (e)
			return fail(why, e, d->member, fault);
		for (uint32_t j = 0; j < i; j++)
			if (slice_equal(a->cards[j].member, d->member))
				return fail(why, ERR_CONFLICT, d->member,
					    "two cards of one member");
	}
	for (uint32_t i = 0; i < a->roster.member_count; i++) {
		const struct roster_member *m = &a->roster.members[i];
		if (m->state != MEMBER_REMOVED && !alliance_card(a, m->name))
			return fail(why, ERR_NOT_FOUND, m->name,
				    "the member's card is not in the file");
	}
	return ERR_OK;
}

enum err alliance_parse(struct alliance *a, struct slice file, struct buf *why)
{
	const char *fault = "";
	*a = (struct alliance){ .file = file };
	arena_init(&a->arena, ALLIANCE_ARENA_BYTES);
	enum err e = bundle_parse(file, &a->arena, &a->bundle, &fault);
	if (e)
		return fail(why, e, slice_of(NULL, 0), fault);
	e = parse_past(a, why);
	if (!e)
		e = parse_roster(a, why);
	return e ? e : parse_cards(a, why);
}

void alliance_free(struct alliance *a)
{
	arena_free(&a->arena);
	*a = (struct alliance){ 0 };
}

const struct descriptor *alliance_card(const struct alliance *a,
				       struct slice member)
{
	for (uint32_t i = 0; i < a->bundle.card_count; i++)
		if (slice_equal(a->cards[i].member, member))
			return &a->cards[i];
	return NULL;
}

bool alliance_is_complete(const struct alliance *a, struct buf *missing)
{
	const char *fault = "";
	if (a->bundle.past_count == 0)
		return roster_check_first(&a->roster, missing) == ERR_OK;
	enum err e = roster_check_next(&a->past[a->bundle.past_count - 1],
				       &a->roster, &fault);
	if (e && missing)
		buf_put_str(missing, fault);
	return e == ERR_OK;
}

/* ---- Writing ---------------------------------------------------------- */

void alliance_sign(const struct alliance *a, const struct key_pair *governance,
		   struct buf *out)
{
	struct buf note;
	struct bundle b = a->bundle;
	buf_init(&note, LIMIT_NOTE_BYTES);
	buf_put(&note, a->bundle.roster);
	if (a->is_unsigned)
		buf_put_u8(&note, '\n');
	note_sign(&governance->key, governance->secret, a->roster.note.text, 0,
		  &note);
	b.roster = buf_slice(&note);
	bundle_put(&b, out);
	if (note.err && !out->err)
		out->err = note.err;
	buf_free(&note);
}

static int by_member(const void *a, const void *b)
{
	const struct descriptor *x = a, *y = b;
	return slice_compare(x->member, y->member);
}

static int by_name(const void *a, const void *b)
{
	const struct roster_member *x = a, *y = b;
	return slice_compare(x->name, y->name);
}

static uint32_t threshold_of(const struct roster *r, uint32_t given)
{
	uint32_t active = 0;
	for (uint32_t i = 0; i < r->member_count; i++)
		active += r->members[i].state == MEMBER_ACTIVE;
	return given ? given : roster_default_threshold(active);
}

/* The file of @r and @b's other documents; read back, for what the parser
 * would refuse must not leave the house. */
static enum err put_file(const struct roster *r, struct bundle *b,
			 struct buf *out, struct buf *why)
{
	struct buf text;
	struct alliance check = { 0 };
	size_t before = out->n;
	buf_init(&text, LIMIT_NOTE_BYTES);
	roster_put(r, &text);
	b->roster = buf_slice(&text);
	bundle_put(b, out);
	enum err e = text.err ? text.err : out->err;
	if (e)
		fail(why, e, slice_of(NULL, 0), "the alliance is too large");
	else
		e = alliance_parse(
			&check,
			slice_sub(buf_slice(out), before, out->n - before),
			why);
	alliance_free(&check);
	buf_free(&text);
	return e;
}

enum err alliance_found(struct slice name, struct descriptor *cards,
			uint32_t count, uint32_t threshold, struct buf *out,
			struct buf *why)
{
	struct roster r = { .alliance = name,
			    .version = 1,
			    .member_count = count };
	struct bundle b = { .card_count = count };
	assert(count > 0 && count <= LIMIT_MEMBERS);
	qsort(cards, count, sizeof(*cards), by_member);
	r.members = xcalloc(count, sizeof(*r.members));
	b.cards = xcalloc(count, sizeof(*b.cards));
	enum err e = ERR_OK;
	for (uint32_t i = 0; i < count; i++) {
		r.members[i] = (struct roster_member){
			.name = cards[i].member,
			.state = MEMBER_ACTIVE,
			.governance = cards[i].governance,
		};
		b.cards[i] = cards[i].note.raw;
		if (i > 0 && slice_equal(cards[i - 1].member, cards[i].member))
			e = fail(why, ERR_CONFLICT, cards[i].member,
				 "two cards of one member");
	}
	r.threshold = threshold_of(&r, threshold);
	if (!e)
		e = put_file(&r, &b, out, why);
	free(b.cards);
	free(r.members);
	return e;
}

enum err alliance_add(const struct alliance *a, const struct descriptor *card,
		      uint32_t threshold, struct buf *out, struct buf *why)
{
	struct bundle b = a->bundle;
	struct roster r = a->roster;
	if (roster_find(&a->roster, card->member))
		return fail(why, ERR_EXISTS, card->member,
			    "is in the alliance already");
	if (r.member_count == LIMIT_MEMBERS)
		return fail(why, ERR_LIMIT, card->member,
			    "the alliance is full");
	r.version = a->roster.version + 1;
	r.prev = a->roster.hash;
	r.members = xcalloc(r.member_count + 1, sizeof(*r.members));
	memcpy(r.members, a->roster.members,
	       r.member_count * sizeof(*r.members));
	r.members[r.member_count++] = (struct roster_member){
		.name = card->member,
		.state = MEMBER_ACTIVE,
		.governance = card->governance,
	};
	qsort(r.members, r.member_count, sizeof(*r.members), by_name);
	r.threshold = threshold_of(&r, threshold);
	b.past = xcalloc(b.past_count + 1, sizeof(*b.past));
	memcpy(b.past, a->bundle.past, b.past_count * sizeof(*b.past));
	b.past[b.past_count++] = a->bundle.roster;
	b.cards = xcalloc(b.card_count + 1, sizeof(*b.cards));
	memcpy(b.cards, a->bundle.cards, b.card_count * sizeof(*b.cards));
	b.cards[b.card_count++] = card->note.raw;
	enum err e = put_file(&r, &b, out, why);
	free(b.cards);
	free(b.past);
	free(r.members);
	return e;
}
