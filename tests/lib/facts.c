#include "facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "proto/dec.h"
#include "proto/schema.h"
#include "proto/text.h"

#define ARENA_BYTES (64u << 20)

/* ---- JSON to values --------------------------------------------------- */

static struct slice keep(struct world *w, const char *s)
{
	struct slice out;

	assert_int_equal(arena_copy(&w->arena, slice_str(s), &out), ERR_OK);
	return out;
}

static struct value convert(struct world *w, const json_t *in);

static struct value convert_map(struct world *w, const json_t *in)
{
	struct value out;
	const char *key;
	json_t *item;
	uint32_t at = 0;

	assert_int_equal(
		value_map(&w->arena, (uint32_t)json_object_size(in), &out),
		ERR_OK);
	json_object_foreach((json_t *)(uintptr_t)in, key, item)
	{
		out.pairs[at].key = keep(w, key);
		out.pairs[at++].value = convert(w, item);
	}
	return out;
}

static struct value convert(struct world *w, const json_t *in)
{
	struct value out = { .type = VALUE_DECIMAL };
	char number[32];

	if (json_is_string(in))
		return value_str(keep(w, json_string_value(in)));
	if (json_is_boolean(in))
		return value_bool(json_is_true(in));
	if (json_is_integer(in))
		return value_uint((uint64_t)json_integer_value(in));
	if (json_is_real(in)) {
		snprintf(number, sizeof(number), "%.2f", json_real_value(in));
		out.s = keep(w, number);
		return out;
	}
	if (json_is_object(in))
		return convert_map(w, in);
	assert_true(json_is_array(in));
	assert_int_equal(
		value_array(&w->arena, (uint32_t)json_array_size(in), &out),
		ERR_OK);
	for (size_t i = 0; i < json_array_size(in); i++)
		out.items[i] = convert(w, json_array_get(in, i));
	return out;
}

static struct value parse(struct world *w, const char *json)
{
	json_error_t error;
	json_t *in = json_loads(json, 0, &error);
	struct value out;

	if (in == NULL)
		fail_msg("%s: %s", json, error.text);
	out = convert(w, in);
	json_decref(in);
	return out;
}

static struct slice finish(struct world *w, struct buf *b)
{
	struct slice out;

	assert_int_equal(arena_copy(&w->arena, buf_slice(b), &out), ERR_OK);
	buf_free(b);
	return out;
}

struct slice world_raw(struct world *w, const char *json)
{
	struct value v = parse(w, json);
	struct buf b;

	buf_init(&b, LIMIT_BODY_BYTES);
	assert_int_equal(value_encode(&v, &b), ERR_OK);
	return finish(w, &b);
}

struct slice world_body(struct world *w, uint32_t kind, const char *json)
{
	struct schema_context x = { .arena = &w->arena,
				    .number = SLICE_LIT("0123456789abcdef"
							"0123456789abcdef") };
	struct value v = parse(w, json);
	struct complaint c = { 0 };
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_BODY_BYTES);
	e = schema_from_value(schema_of(kind), &v, &x, &b, &c);
	if (e != ERR_OK)
		fail_msg("%s: %s: %s", json, c.field, c.message);
	return finish(w, &b);
}

/* ---- The world -------------------------------------------------------- */

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	arena_init(&w->arena, ARENA_BYTES);
	arena_init(&w->work, ARENA_BYTES);
	buf_init(&w->answer, LIMIT_ANSWER_BYTES);
	w->question.by = slice_str("r.example");
	w->question.purpose = slice_str("credit");
	w->question.as_of = slice_str("2026-06-01");
	w->logs[0] = (struct recognise_log){ .member = slice_str("r.example"),
					     .heard_ms = 1000,
					     .complete = true };
	w->logs[1] = w->logs[0];
	w->logs[1].member = slice_str("i.example");
	w->facts = (struct recognise_facts){ .question = &w->question,
					     .logs = w->logs,
					     .log_count = 2,
					     .has_log = true,
					     .held = w->held,
					     .rules = w->rules,
					     .decisions = w->decisions,
					     .policies = w->policies };
}

void world_free(struct world *w)
{
	arena_free(&w->arena);
	arena_free(&w->work);
	buf_free(&w->answer);
}

static struct recognise_record record(struct world *w, uint32_t log,
				      struct slice body)
{
	return (struct recognise_record){ .body = body,
					  .log = log,
					  .seq = w->logs[log].size++ };
}

void world_rule_body(struct world *w, struct slice body)
{
	assert_true(w->facts.rule_count < WORLD_RULES);
	w->rules[w->facts.rule_count++] = record(w, 0, body);
}

void world_rule(struct world *w, const char *json)
{
	world_rule_body(w, world_body(w, KIND_RULE, json));
}

void world_decision(struct world *w, const char *json)
{
	assert_true(w->facts.decision_count < WORLD_SOME);
	w->decisions[w->facts.decision_count++] =
		record(w, 0, world_body(w, KIND_DECISION, json));
}

void world_policy(struct world *w, const char *json)
{
	assert_true(w->facts.policy_count < WORLD_SOME);
	w->policies[w->facts.policy_count++] =
		record(w, 0, world_body(w, KIND_POLICY, json));
}

void world_status(struct world *w, const char *json)
{
	struct recognise_held *h = &w->held[w->facts.held_count - 1];
	struct recognise_record *s = w->statuses;

	while (s->body.n > 0)
		s++;
	assert_true(s < w->statuses + WORLD_SOME);
	*s = record(w, 1, world_body(w, KIND_STATUS, json));
	if (h->status_count++ == 0)
		h->statuses = s;
	assert_ptr_equal(h->statuses + h->status_count - 1, s);
}

static struct slice joined(struct world *w, const char *a, struct slice b)
{
	struct slice out;
	struct buf t;

	buf_init(&t, 4096);
	buf_put_str(&t, a);
	buf_put(&t, b);
	assert_int_equal(arena_copy(&w->arena, buf_slice(&t), &out), ERR_OK);
	buf_free(&t);
	return out;
}

static struct slice folded(struct world *w, struct slice code)
{
	struct buf t;

	buf_init(&t, 4096);
	assert_int_equal(text_fold(code, &t), ERR_OK);
	return finish(w, &t);
}

/* Fill the names of @h's course: its code and the offer's aliases. */
static void name(struct world *w, struct recognise_held *h)
{
	struct slice *names =
		arena_array(&w->arena, LIMIT_SOURCE_NAMES, sizeof(*names));
	struct slice *folds =
		arena_array(&w->arena, LIMIT_SOURCE_NAMES, sizeof(*folds));
	struct slice *domains =
		arena_array(&w->arena, LIMIT_SOURCE_NAMES, sizeof(*domains));
	struct slice aliases;
	struct dec d;
	uint32_t n = 0, left = 0;

	names[n++] = h->code;
	if (dec_find(h->offer.body, "aliases", &aliases)) {
		dec_init(&d, aliases);
		left = dec_array(&d);
	}
	for (; left > 0; left--)
		names[n++] = dec_str(&d);
	for (uint32_t i = 0; i < n; i++)
		folds[i] = folded(w, names[i]);
	domains[0] = slice_str("i.example");
	domains[1] = slice_str("old.i.example");
	h->names = names;
	h->folded = folds;
	h->folded_count = n;
	h->domains = domains;
	h->domain_count = 2;
	h->issuer = domains[0];
	h->log = 1;
}

struct recognise_held *world_hold(struct world *w, const char *credential,
				  const char *offer)
{
	struct recognise_held *h = &w->held[w->facts.held_count++];

	h->credential =
		record(w, 1, world_body(w, KIND_CREDENTIAL, credential));
	if (offer != NULL)
		h->offer = record(w, 1, world_body(w, KIND_OFFER, offer));
	h->code = dec_find_str(h->credential.body, "offer");
	h->id = joined(w, "i.example/",
		       dec_find_str(h->credential.body, "credential"));
	h->achieved_on = dec_find_str(h->credential.body, "achieved_on");
	if (h->achieved_on.n == 0)
		h->achieved_on = dec_find_str(h->credential.body, "issued_on");
	name(w, h);
	return h;
}

struct recognise_held *world_offer(struct world *w, const char *code,
				   const char *offer, const char *achieved_on)
{
	struct recognise_held *h = &w->held[w->facts.held_count++];

	h->is_offer = true;
	if (offer != NULL)
		h->offer = record(w, 1, world_body(w, KIND_OFFER, offer));
	h->code = slice_str(code);
	h->id = joined(w, "i.example/", h->code);
	if (achieved_on != NULL)
		h->achieved_on = slice_str(achieved_on);
	name(w, h);
	return h;
}

const struct value *world_ask(struct world *w)
{
	const char *why = "";

	buf_reset(&w->answer);
	arena_reset(&w->work);
	assert_int_equal(recognise(&w->facts, &w->work, &w->answer), ERR_OK);
	if (dec_scan(buf_slice(&w->answer), &why) != ERR_OK)
		fail_msg("the answer is not canonical: %s", why);
	assert_int_equal(
		value_decode(buf_slice(&w->answer), &w->arena, &w->tree),
		ERR_OK);
	return &w->tree;
}

/* ---- Reading the answer ----------------------------------------------- */

static const struct value *find(const struct value *v, const char *path)
{
	char key[64];
	size_t n;

	while (v != NULL && *path != '\0') {
		n = strcspn(path, ".");
		assert_true(n < sizeof(key));
		memcpy(key, path, n);
		key[n] = '\0';
		path += n + (path[n] == '.');
		if (v->type != VALUE_ARRAY)
			v = value_get(v, key);
		else if ((uint32_t)atol(key) < v->count)
			v = &v->items[atol(key)];
		else
			v = NULL;
	}
	return v;
}

const char *world_text(struct world *w, const char *path)
{
	const struct value *v = find(&w->tree, path);
	char *out;

	if (v == NULL)
		return "";
	assert_int_equal(v->type, VALUE_STR);
	out = arena_alloc(&w->arena, v->s.n + 1);
	if (v->s.n > 0)
		memcpy(out, v->s.p, v->s.n);
	return out;
}

uint64_t world_uint(struct world *w, const char *path)
{
	const struct value *v = find(&w->tree, path);

	return v != NULL && v->type == VALUE_UINT ? v->u : UINT64_MAX;
}

uint32_t world_count(struct world *w, const char *path)
{
	const struct value *v = find(&w->tree, path);

	return v != NULL ? v->count : 0;
}

bool world_says(struct world *w, const char *list, const char *code)
{
	const struct value *v = find(&w->tree, list);

	for (uint32_t i = 0; v != NULL && i < v->count; i++) {
		if (slice_is(value_get_str(&v->items[i], "code"), code))
			return true;
	}
	return false;
}

const char *world_outcome(struct world *w)
{
	world_ask(w);
	return world_text(w, "outcome");
}
