/* Questions from anywhere, and recognition over records that anyone may have
 * written: never a crash, always a canonical document.
 *
 * Input: one byte; if it is odd the rest is a question, else the rest is a
 * list of records, each u8 kind, u16be bytes, body. */

#include <stdlib.h>

#include "proto/dec.h"
#include "proto/recognise.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define SOME 16
#define ARENA_BYTES (32u << 20)

struct facts {
	struct recognise_question question;
	struct recognise_log logs[2];
	struct recognise_facts facts;
	struct recognise_held held[2];
	struct recognise_record rules[SOME], decisions[SOME], policies[SOME];
	struct recognise_record statuses[SOME];
	uint32_t status_count;
};

static const struct slice domains[] = { SLICE_INIT("i.example") };
static const struct slice names[] = { SLICE_INIT("A1"), SLICE_INIT("B2") };
static const struct slice folded[] = { SLICE_INIT("a1"), SLICE_INIT("b2") };

static void check_question(struct slice in)
{
	struct recognise_question q, again;
	const char *why;
	struct buf b;

	if (recognise_question_parse(in, &q, &why) != ERR_OK)
		return;
	buf_init(&b, LIMIT_QUESTION_BYTES);
	recognise_question_put(&q, &b);
	assert(b.err == ERR_OK && dec_scan(buf_slice(&b), NULL) == ERR_OK);
	assert(recognise_question_parse(buf_slice(&b), &again, &why) == ERR_OK);
	assert(slice_equal(q.by, again.by) &&
	       q.credential_count == again.credential_count);
	buf_free(&b);
}

static void add(struct recognise_record *list, uint32_t *count,
		struct recognise_record r)
{
	if (*count < SOME)
		list[(*count)++] = r;
}

static void put_record(struct facts *f, uint8_t kind, struct slice body)
{
	struct recognise_record r = { .body = body, .seq = body.n };

	if (dec_scan(body, NULL) != ERR_OK)
		return; /* such bodies are in no index */
	if (kind % 8 == KIND_RULE)
		add(f->rules, &f->facts.rule_count, r);
	else if (kind % 8 == KIND_POLICY)
		add(f->policies, &f->facts.policy_count, r);
	else if (kind % 8 == KIND_DECISION % 8)
		add(f->decisions, &f->facts.decision_count, r);
	else if (kind % 8 == KIND_STATUS)
		add(f->statuses, &f->status_count, r);
	else if (kind % 8 == KIND_CREDENTIAL)
		f->held[kind >> 7].credential = r;
	else if (kind % 8 == KIND_OFFER)
		f->held[kind >> 7].offer = r;
	else
		f->facts.institution = r;
}

static void set_up(struct facts *f)
{
	f->question.by = SLICE_LIT("r.example");
	f->question.purpose = SLICE_LIT("credit");
	f->question.as_of = SLICE_LIT("2026-06-01");
	f->question.explain = true;
	f->logs[0].member = f->question.by;
	f->logs[1].member = domains[0];
	f->facts = (struct recognise_facts){ .question = &f->question,
					     .logs = f->logs,
					     .log_count = 2,
					     .has_log = true,
					     .held = f->held,
					     .held_count = 2,
					     .rules = f->rules,
					     .decisions = f->decisions,
					     .policies = f->policies };
	for (size_t i = 0; i < 2; i++)
		f->held[i] = (struct recognise_held){
			.id = SLICE_LIT("i.example/C"),
			.log = 1,
			.issuer = domains[0],
			.code = names[i],
			.achieved_on = SLICE_LIT("2025-06-01"),
			.domains = domains,
			.domain_count = 1,
			.names = &names[i],
			.folded = &folded[i],
			.folded_count = 1,
			.is_offer = i == 1,
		};
}

static void judge(const struct facts *f)
{
	struct arena a;
	struct buf out;
	enum err e;

	arena_init(&a, ARENA_BYTES);
	buf_init(&out, 4u << 20);
	e = recognise(&f->facts, &a, &out);
	assert(e == ERR_OK || e == ERR_LIMIT);
	if (e == ERR_OK) {
		assert(dec_scan(buf_slice(&out), NULL) == ERR_OK);
		assert(dec_find_str(buf_slice(&out), "outcome").n > 0);
	}
	buf_free(&out);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct facts *f;
	size_t at = 1, bytes;

	if (n == 0)
		return 0;
	if (p[0] & 1) {
		check_question(slice_of(p + 1, n - 1));
		return 0;
	}
	f = xcalloc(1, sizeof(*f));
	set_up(f);
	while (n - at >= 3) {
		bytes = get_u16be(p + at + 1);
		bytes = bytes < n - at - 3 ? bytes : n - at - 3;
		put_record(f, p[at], slice_of(p + at + 3, bytes));
		at += 3 + bytes;
	}
	f->held[0].statuses = f->statuses;
	f->held[0].status_count = f->status_count;
	judge(f);
	free(f);
	return 0;
}
