#include "node/answer_impl.h"

/* What an answer stands on: its evidence, what was weighed and fell, and the
 * copy that was asked. */

/* ---- Evidence --------------------------------------------------------- */

static bool is_shown(const struct value *doc, const struct value *ground)
{
	/* The offer of a credential is named in the credential. */
	return !is(ground, "kind", "offer") ||
	       (count(doc, "subject") > 0 &&
		has(item(doc, "subject", 0), "offer"));
}

void ground_evidence(struct buf *b, const struct value *doc)
{
	bool any = false;

	for (uint32_t i = 0; i < count(doc, "basis"); i++) {
		const struct value *g = item(doc, "basis", i);

		if (!is_shown(doc, g))
			continue;
		if (any)
			buf_put_str(b, ", ");
		else
			label(b, "evidence");
		put_field(b, g, "member");
		buf_put_str(b, " #");
		buf_put_dec(b, value_get_uint(g, "seq", 0));
		any = true;
	}
	if (any)
		end(b);
}

void ground_considered(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "considered"); i++) {
		const struct value *c = item(doc, "considered", i);

		label(b, "considered");
		put_field(b, c, "kind");
		buf_put_u8(b, ' ');
		put_field(b, c, "id");
		buf_put_str(b, " (#");
		buf_put_dec(b, value_get_uint(c, "seq", 0));
		buf_put_str(b, "): ");
		put_field(b, c, "text");
		end(b);
	}
}

/* ---- The copy --------------------------------------------------------- */

static void put_age(struct buf *b, uint64_t ms)
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = { { 86400, " d ago" },
		      { 3600, " h ago" },
		      { 60, " min ago" } };
	uint64_t seconds = ms / 1000;

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (seconds < 2 * units[i].seconds)
			continue;
		buf_put_dec(b, seconds / units[i].seconds);
		buf_put_str(b, units[i].unit);
		return;
	}
	buf_put_dec(b, seconds);
	buf_put_str(b, " s ago");
}

static void put_log(struct buf *b, const struct value *log)
{
	put_field(b, log, "member");
	if (is_true(log, "own")) {
		buf_put_str(b, " is the node's own");
	} else if (value_get_uint(log, "heard_ms", 0) == 0) {
		buf_put_str(b, " was never heard");
	} else {
		buf_put_str(b, " heard ");
		put_age(b, value_get_uint(log, "age_ms", 0));
	}
}

void ground_copy(struct buf *b, const struct value *doc)
{
	uint32_t n = count(doc, "freshness"), told = 0;
	bool complete = true;

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		complete = complete &&
			   is_true(item(doc, "freshness", i), "complete");
	label(b, "copy");
	if (!complete)
		buf_put_str(b, "not complete yet");
	else if (count(doc, "incomplete") > 0)
		buf_put_str(b, "up to date, but for what is kept from this "
			       "asker");
	else
		buf_put_str(b, "complete");
	for (uint32_t i = 0; i < n; i++) {
		const struct value *log = item(doc, "freshness", i);

		/* The own log needs no word unless there is no other. */
		if (is_true(log, "own") && (n > 1 || told > 0))
			continue;
		buf_put_str(b, told++ == 0 ? "; " : ", ");
		put_log(b, log);
	}
	end(b);
}

/* Whom to ask: the answer says which log is its own node's. */
static void put_whom(struct buf *b, const struct value *doc,
		     const struct value *w)
{
	for (uint32_t i = 0; i < count(doc, "freshness"); i++) {
		const struct value *log = item(doc, "freshness", i);

		if (is_true(log, "own") &&
		    slice_equal(value_get_str(log, "member"),
				value_get_str(w, "member"))) {
			buf_put_str(b, "; only its own users may ask about "
				       "them");
			return;
		}
	}
	buf_put_str(b, "; ask with --at ");
	put_field(b, w, "member");
}

void ground_withheld(struct buf *b, const struct value *doc)
{
	for (uint32_t i = 0; i < count(doc, "incomplete"); i++) {
		const struct value *w = item(doc, "incomplete", i);

		label(b, "incomplete");
		put_field(b, w, "member");
		buf_put_str(b, " keeps records of these kinds from this "
			       "asker: ");
		for (uint32_t k = 0; k < count(w, "kinds"); k++) {
			buf_put_str(b, k > 0 ? ", " : "");
			put(b, item(w, "kinds", k)->type == VALUE_STR
				       ? item(w, "kinds", k)->s
				       : slice_of(NULL, 0));
		}
		put_whom(b, doc, w);
		end(b);
	}
}

/* ---- Answers side by side --------------------------------------------- */

void answer_put_ground(const struct value *doc, struct buf *out)
{
	enum err code;

	if (answer_is_error(doc, &code))
		return;
	put_field(out, doc, "by");
	end(out);
	ground_evidence(out, doc);
	ground_copy(out, doc);
	ground_withheld(out, doc);
}

/* What is told of many copies at once. */
struct copies {
	uint32_t answers, without; /* of these no log is held here */
	bool partly; /* one is not complete */
	bool unheard; /* one was never heard */
	uint64_t oldest_ms;
};

static void add_copies(struct copies *c, const struct value *doc)
{
	uint32_t n = count(doc, "freshness");
	uint64_t age;

	c->answers++;
	c->without +=
		n == 0 ||
		!slice_equal(value_get_str(item(doc, "freshness", 0), "member"),
			     value_get_str(doc, "by"));
	for (uint32_t i = 0; i < n; i++) {
		const struct value *log = item(doc, "freshness", i);

		c->partly = c->partly || !is_true(log, "complete");
		if (is_true(log, "own"))
			continue;
		age = value_get_uint(log, "age_ms", 0);
		c->unheard =
			c->unheard || value_get_uint(log, "heard_ms", 0) == 0;
		c->oldest_ms = age > c->oldest_ms ? age : c->oldest_ms;
	}
}

void answer_put_rest(const struct value *docs, uint32_t n, struct buf *out)
{
	struct copies c = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		if (is(&docs[i], "outcome", "undetermined"))
			add_copies(&c, &docs[i]);
	}
	if (c.answers == 0)
		return;
	buf_put_str(out, c.answers < n ? "the other " : "all ");
	buf_put_dec(out, c.answers);
	end(out);
	label(out, "copy");
	buf_put_str(out, c.partly ? "not complete yet" : "complete");
	if (c.without > 0) {
		buf_put_str(out, "; no log held of ");
		buf_put_dec(out, c.without);
	}
	if (c.unheard) {
		buf_put_str(out, "; not all were heard");
	} else {
		buf_put_str(out, "; the oldest heard ");
		put_age(out, c.oldest_ms);
	}
	end(out);
}
