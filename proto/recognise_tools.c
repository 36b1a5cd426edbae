#include "recognise_impl.h"

#include <stdarg.h>
#include <string.h>

#include "dec.h"

/* ---- Memory and text -------------------------------------------------- */

void *judge_alloc(struct judge *j, size_t n)
{
	void *p = j->err == ERR_OK ? arena_alloc(j->a, n) : NULL;

	if (p == NULL)
		j->err = ERR_LIMIT;
	return p;
}

#define NUMBER_BYTES 24

/* Digits of a whole number or of hundredths, shortest form. */
static struct slice number(uint8_t out[NUMBER_BYTES], uint64_t v,
			   bool hundredths)
{
	struct buf b = { .p = out, .cap = NUMBER_BYTES, .max = NUMBER_BYTES };

	if (hundredths)
		text_put_hundredths(&b, v);
	else
		buf_put_dec(&b, v);
	return buf_slice(&b);
}

/* The part of the text that *format begins with; moves *format behind it. */
static struct slice next_part(const char **format, va_list *ap,
			      uint8_t digits[NUMBER_BYTES])
{
	const char *p = *format;
	size_t n = strcspn(p, "%");

	if (n > 0) {
		*format = p + n;
		return slice_of(p, n);
	}
	*format = p + 2;
	if (p[1] == 's')
		return slice_str(va_arg(*ap, const char *));
	if (p[1] == 'v')
		return va_arg(*ap, struct slice);
	assert(p[1] == 'u' || p[1] == 'h');
	return number(digits, va_arg(*ap, uint64_t), p[1] == 'h');
}

/* Put the text to @out, or only count its bytes when @out is NULL. */
static size_t compose(uint8_t *out, const char *format, va_list *ap)
{
	uint8_t digits[NUMBER_BYTES];
	struct slice part;
	size_t n = 0;

	while (*format != '\0') {
		part = next_part(&format, ap, digits);
		if (out != NULL && part.n > 0)
			memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	return n;
}

struct slice judge_text(struct judge *j, const char *format, ...)
{
	va_list ap;
	uint8_t *at;
	size_t n;

	va_start(ap, format);
	n = compose(NULL, format, &ap);
	va_end(ap);
	at = judge_alloc(j, n);
	if (at == NULL)
		return slice_of(NULL, 0);
	va_start(ap, format);
	compose(at, format, &ap);
	va_end(ap);
	return slice_of(at, n);
}

/* ---- Lists ------------------------------------------------------------ */

struct said *judge_say(struct judge *j, struct said_list *l, const char *code,
		       struct slice text)
{
	struct said *s;

	if (l->count == LIMIT_REASONS)
		return NULL;
	s = judge_alloc(j, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->code = code;
	s->text = text;
	if (l->last != NULL)
		l->last->next = s;
	else
		l->first = s;
	l->last = s;
	l->count++;
	return s;
}

void said_join(struct said_list *l, const struct said_list *more)
{
	if (more->first == NULL)
		return;
	if (l->last != NULL)
		l->last->next = more->first;
	else
		l->first = more->first;
	l->last = more->last;
	l->count += more->count;
}

void judge_reasons_of(struct judge *j, const struct candidate *c)
{
	struct said *s;

	if (c->reason.n > 0) {
		s = judge_say(j, &j->reasons, "stated", c->reason);
		if (s != NULL)
			s->side = c->side;
	}
	if (c->help.n > 0)
		judge_say(j, &j->reasons, "help", c->help);
}

static const struct {
	const char *failed;
	const char *text;
} failures[] = {
	{ "state", "is %v" },
	{ "decided-later", "was decided on %v, after the day asked about" },
	{ "superseded", "is superseded by %v" },
	{ "purpose", "is not for the purpose %v" },
	{ "sources", "also needs %v" },
	{ "edition", "is for another edition of the course%v" },
	{ "achieved-from", "covers completion on %v or later" },
	{ "achieved-to", "covers completion up to %v" },
	{ "programme", "is for %v" },
	{ "programme-not-given", "is for %v; ask with a programme" },
	{ "programme-excluded", "is not for %v" },
	{ "denied", "is denied for this course by rule %v" },
	{ "outranked", "stands behind what applies%v" },
	{ "duplicate", "says the same as what applies%v" },
	{ "credentials", "is on other credentials%v" },
	{ "effective-from", "is in force from %v" },
	{ "effective-to", "was in force up to %v" },
	{ "newer-format", "says something this node does not understand%v" },
	{ "invalid-record", "is not in the form of its kind%v" },
};

struct slice judge_failure(struct judge *j, const struct candidate *c)
{
	struct slice why = slice_str(c->failed);

	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		if (slice_is(why, failures[i].failed))
			return judge_text(j, failures[i].text, c->detail);
	}
	return judge_text(j, "asks for: %v", c->detail); /* a condition */
}

void judge_consider(struct judge *j, const struct candidate *c)
{
	struct considered *n;
	struct candidate *copy;

	if (!j->q->explain || j->considered_count == LIMIT_CONSIDERED)
		return;
	n = judge_alloc(j, sizeof(*n));
	copy = judge_alloc(j, sizeof(*copy));
	if (n == NULL || copy == NULL)
		return;
	*copy = *c;
	n->what = copy;
	n->text = judge_failure(j, c);
	if (j->last_considered != NULL)
		j->last_considered->next = n;
	else
		j->considered = n;
	j->last_considered = n;
	j->considered_count++;
}

struct part *judge_part(struct judge *j, uint64_t used,
			enum recognise_outcome o, const char *standing)
{
	struct part *p = judge_alloc(j, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->used = used;
	p->outcome = o;
	p->standing = standing;
	if (j->last_part != NULL)
		j->last_part->next = p;
	else
		j->parts = p;
	j->last_part = p;
	j->part_count++;
	return p;
}

void judge_option(struct judge *j, struct part *p, const struct candidate *c,
		  struct slice target)
{
	struct option *o, **at;

	if (p == NULL || p->option_count == LIMIT_ALTERNATIVES)
		return;
	o = judge_alloc(j, sizeof(*o));
	if (o == NULL)
		return;
	o->from = c;
	o->target = target;
	for (at = &p->options; *at != NULL; at = &(*at)->next)
		continue;
	*at = o;
	p->option_count++;
}

/* ---- Encoded values --------------------------------------------------- */

void fields_read(struct slice map, const struct slice *names, size_t n,
		 struct slice *out)
{
	struct slice key, value;
	struct dec d;
	uint32_t pairs;
	size_t at = 0;
	int order;

	memset(out, 0, n * sizeof(*out));
	dec_init(&d, map);
	pairs = dec_peek(&d) == DEC_MAP ? dec_map(&d) : 0;
	/* Both are sorted: walk them side by side. */
	for (; pairs > 0 && at < n && d.err == ERR_OK; pairs--) {
		key = dec_str(&d);
		value = dec_skip(&d);
		do {
			order = slice_compare(names[at], key);
			if (order == 0)
				out[at] = value;
			at += order <= 0;
		} while (order < 0 && at < n);
	}
}

struct slice field_text(struct slice value)
{
	struct dec d;

	dec_init(&d, value);
	return dec_peek(&d) == DEC_STR ? dec_str(&d) : slice_of(NULL, 0);
}

uint64_t field_uint(struct slice value, uint64_t absent)
{
	struct dec d;

	dec_init(&d, value);
	return dec_peek(&d) == DEC_UINT ? dec_uint(&d) : absent;
}

struct dec list_open(struct slice value, uint32_t *count)
{
	struct dec d;

	dec_init(&d, value);
	*count = dec_peek(&d) == DEC_ARRAY ? dec_array(&d) : 0;
	return d;
}

uint32_t list_count(struct slice value)
{
	uint32_t n;

	list_open(value, &n);
	return n;
}

bool list_has(struct slice value, struct slice word)
{
	uint32_t n;
	struct dec d = list_open(value, &n);

	for (; n > 0 && d.err == ERR_OK; n--) {
		if (slice_equal(field_text(dec_skip(&d)), word))
			return true;
	}
	return false;
}

struct slice list_join(struct judge *j, struct slice value)
{
	struct slice out = { NULL, 0 };
	uint32_t n;
	struct dec d = list_open(value, &n);

	for (uint32_t i = 0; i < n && i < 8 && d.err == ERR_OK; i++)
		out = judge_text(j, "%v%s%v", out, i > 0 ? ", " : "",
				 field_text(dec_skip(&d)));
	return n > 8 ? judge_text(j, "%v, ...", out) : out;
}

struct slice language_text(struct slice map)
{
	struct slice value;
	struct dec d;

	if (dec_find(map, "en", &value))
		return field_text(value);
	dec_init(&d, map);
	if (dec_peek(&d) != DEC_MAP || dec_map(&d) == 0)
		return slice_of(NULL, 0);
	dec_str(&d);
	return field_text(dec_skip(&d));
}

bool date_after(struct slice a, struct slice b)
{
	if (a.n < TEXT_DATE_BYTES || b.n < TEXT_DATE_BYTES)
		return false;
	return memcmp(a.p, b.p, TEXT_DATE_BYTES) > 0;
}

/* ---- Outcomes and targets --------------------------------------------- */

static const char *const outcome_names[] = {
	[OUTCOME_FULL] = "full",
	[OUTCOME_PARTIAL] = "partial",
	[OUTCOME_CONDITIONAL] = "conditional",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_NEEDS_REVIEW] = "needs-review",
	[OUTCOME_UNDETERMINED] = "undetermined",
	[OUTCOME_NOT_EVALUABLE] = "not-evaluable",
};

const char *recognise_outcome_name(enum recognise_outcome o)
{
	return outcome_names[o];
}

bool outcome_parse(struct slice word, enum recognise_outcome *out)
{
	for (unsigned i = 0; i <= OUTCOME_REFUSED; i++) {
		if (slice_is(word, outcome_names[i])) {
			*out = (enum recognise_outcome)i;
			return true;
		}
	}
	return false;
}

/* What must agree for two targets to grant the same, PROTOCOL.md 12.5. */
static const struct slice target_names[] = { NAME("code"),    NAME("counts_as"),
					     NAME("credits"), NAME("match"),
					     NAME("title"),   NAME("unit") };
enum { T_CODE, T_COUNTS_AS, T_CREDITS, T_MATCH, T_TITLE, T_UNIT, T_COUNT };

static bool target_equal(struct slice a, struct slice b)
{
	struct slice x[T_COUNT], y[T_COUNT];

	fields_read(a, target_names, T_COUNT, x);
	fields_read(b, target_names, T_COUNT, y);
	if (!slice_equal(x[T_CODE], y[T_CODE]))
		return false;
	if (x[T_CODE].n == 0 && !slice_equal(x[T_TITLE], y[T_TITLE]))
		return false;
	return slice_equal(x[T_MATCH], y[T_MATCH]) &&
	       slice_equal(x[T_CREDITS], y[T_CREDITS]) &&
	       slice_equal(x[T_UNIT], y[T_UNIT]) &&
	       slice_equal(x[T_COUNTS_AS], y[T_COUNTS_AS]);
}

/* Longer lists are compared as they stand: the other way is quadratic. */
#define TARGETS_ANY_ORDER 16

/* How many of @list grant the same as @target. */
static uint32_t target_times(struct slice list, struct slice target)
{
	uint32_t n, times = 0;
	struct dec d = list_open(list, &n);

	for (; n > 0 && d.err == ERR_OK; n--)
		times += target_equal(dec_skip(&d), target);
	return times;
}

bool targets_equal(struct slice a, struct slice b)
{
	uint32_t n;
	struct dec d = list_open(a, &n);
	struct slice target;

	if (slice_equal(a, b))
		return true;
	if (n != list_count(b) || n > TARGETS_ANY_ORDER)
		return false;
	for (; n > 0 && d.err == ERR_OK; n--) {
		target = dec_skip(&d);
		if (target_times(a, target) != target_times(b, target))
			return false;
	}
	return true;
}

bool target_is_specific(struct slice target)
{
	return slice_is(dec_find_str(target, "match"), "specific");
}

bool targets_credits(struct slice targets, uint64_t *sum, struct slice *unit)
{
	struct slice x[T_COUNT];
	uint32_t n;
	struct dec d = list_open(targets, &n);
	bool first = true;

	*sum = 0;
	*unit = slice_of(NULL, 0);
	if (n == 0)
		return false;
	for (; n > 0 && d.err == ERR_OK; n--, first = false) {
		fields_read(dec_skip(&d), target_names, T_COUNT, x);
		if (x[T_CREDITS].n == 0)
			return false;
		if (!first && !slice_equal(*unit, field_text(x[T_UNIT])))
			return false;
		*unit = field_text(x[T_UNIT]);
		*sum += field_uint(x[T_CREDITS], 0);
	}
	return d.err == ERR_OK;
}
