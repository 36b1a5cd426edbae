#include "recognise_impl.h"

#include <string.h>

#include "enc.h"

/* Pieces of the answer document that its parts share. */

void put_str(struct enc *e, struct slice s)
{
	uint8_t *at;

	if (s.n >= 32) {
		enc_str(e, s);
		return;
	}
	at = buf_extend(e->out, s.n + 1);
	if (at == NULL)
		return;
	at[0] = (uint8_t)(0xa0 | s.n);
	if (s.n > 0)
		memcpy(at + 1, s.p, s.n);
}

void put_key(struct enc *e, struct slice key)
{
	put_str(e, key);
}

void put_text(struct enc *e, struct slice key, struct slice text)
{
	if (text.n == 0)
		return;
	put_key(e, key);
	put_str(e, text);
}

void put_uint(struct enc *e, struct slice key, uint64_t v)
{
	put_key(e, key);
	enc_uint(e, v);
}

const struct recognise_log *log_of(const struct judge *j,
				   const struct recognise_record *r)
{
	assert(r->log < j->f->log_count);
	return &j->f->logs[r->log];
}

void put_said(struct enc *e, struct slice key, const struct said_list *l)
{
	put_key(e, key);
	enc_array(e, l->count);
	for (const struct said *s = l->first; s != NULL; s = s->next) {
		enc_map(e, 2u + (s->due.n > 0) + (s->side.n > 0) +
				   (s->state != NULL));
		put_text(e, SLICE_LIT("code"), slice_str(s->code));
		put_text(e, SLICE_LIT("due"), s->due);
		put_text(e, SLICE_LIT("side"), s->side);
		if (s->state != NULL)
			put_text(e, SLICE_LIT("state"), slice_str(s->state));
		put_key(e, SLICE_LIT("text"));
		put_str(e, s->text);
	}
}

static uint32_t twin_count(const struct candidate *c)
{
	uint32_t n = 0;

	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		n++;
	return n;
}

void put_twins(struct enc *e, const struct candidate *c)
{
	uint32_t n = twin_count(c);

	if (n == 0)
		return;
	put_key(e, SLICE_LIT("duplicates"));
	enc_array(e, n);
	for (const struct candidate *t = c->twin; t != NULL; t = t->twin)
		enc_str(e, t->id);
}
