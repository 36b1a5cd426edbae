#include "node/query_impl.h"

#include <string.h>

#include "proto/text.h"

static void set_defaults(struct gather *g)
{
	struct buf b = { .p = (uint8_t *)g->today,
			 .cap = sizeof(g->today),
			 .max = sizeof(g->today) };

	if (g->question.purpose.n == 0)
		g->question.purpose = SLICE_LIT("credit");
	if (g->question.as_of.n > 0)
		return;
	text_put_date(&b, g->now_ms / 1000);
	g->question.as_of = buf_slice(&b);
}

static void put_failure(enum err e, struct query_failure *f, struct buf *out)
{
	if (f->message.n == 0)
		f->message = slice_str(err_text(e));
	recognise_put_error(e, f->message, f->candidates,
			    e == ERR_AMBIGUOUS ? f->candidate_count : 0, out);
}

static enum err answer(struct query *q, struct slice question, uint64_t now_ms,
		       struct query_failure *f, struct buf *out)
{
	struct gather g;
	const char *why;
	enum err e;

	memset(&g, 0, sizeof(g));
	g.q = q;
	g.now_ms = now_ms;
	g.failure = f;
	e = recognise_question_parse(question, &g.question, &why);
	if (e != ERR_OK) {
		f->message = slice_str(why);
		return e;
	}
	set_defaults(&g);
	e = gather_facts(&g);
	if (e == ERR_OK)
		e = recognise(&g.facts, &q->work, out);
	return e;
}

enum err query_answer(struct query *q, struct slice question,
		      struct slice asker, uint64_t now_ms, struct buf *out)
{
	struct query_failure f = { 0 };
	size_t before = out->n;
	enum err e;

	assert(q->txn != NULL);
	arena_reset(&q->kept);
	arena_reset(&q->work);
	q->asker = asker;
	e = answer(q, question, now_ms, &f, out);
	if (e != ERR_OK) {
		if (e == ERR_LIMIT) /* it may be @out that is full */
			out->err = ERR_OK;
		out->n = before;
		put_failure(e, &f, out);
	}
	q->asker = q->own;
	return e;
}
