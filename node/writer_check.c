/* Opening the bodies of a chunk: most of what accepting one costs. A second
 * pair of hands takes the second half of a large chunk; both only read the
 * chunk and what does not change during it, and write to their own lists. */

#include "node/writer_impl.h"

#include <stdlib.h>

#include "node/disk.h"
#include "proto/dec.h"

/* Records from which on waking the other thread is worth it. */
#define SHARE_RECORDS 256u

bool writer_is_entitled(const struct writer *w, const struct writer_log *l,
			uint64_t audience)
{
	return audience_admits(audience, w->is_member, l->is_own);
}

void entries_add(struct entry_list lists[INDEX_COUNT], enum store_index table,
		 const struct store_entry *e)
{
	struct entry_list *list = &lists[table];

	if (list->n == list->cap) {
		list->cap = list->cap > 0 ? list->cap * 2 : 1024;
		list->e = xrealloc(list->e, list->cap * sizeof(*list->e));
	}
	list->e[list->n++] = *e;
}

static void collect(void *arg, enum store_index table,
		    const struct store_entry *e)
{
	struct entry_list *lists = arg;

	entries_add(lists, table, e);
}

enum err check_body(struct opener *h, const struct body_check *b,
		    struct entry_list *entries, enum keep *out)
{
	struct index_item item = { .log = b->log->log,
				   .seq = b->seq,
				   .own = b->log->is_own };
	const struct record *r = b->record;
	struct leaf leaf;
	enum err err;

	*out = KEEP_LEAF;
	/* A leaf of another form is stored and relayed and means nothing. */
	if (leaf_decode(r->leaf, &leaf) != ERR_OK ||
	    !writer_is_entitled(b->w, b->log, leaf.audience))
		return ERR_OK;
	*out = KEEP_MISSING;
	if (r->body.n == 0 || r->salt.n == 0)
		return ERR_OK;
	buf_reset(&h->plain);
	err = record_open(r, &b->log->origin_hash, h->sealer, &h->plain);
	if (err != ERR_OK)
		return err;
	*out = leaf.audience == AUDIENCE_PUBLIC ? KEEP_ROW : KEEP_VAULT;
	item.kind = leaf.kind;
	item.body = buf_slice(&h->plain);
	/* A body's own fault never stops replication. */
	if (dec_scan(item.body, NULL) == ERR_OK)
		index_record(&b->w->index, &item, &h->scratch, collect,
			     entries);
	return ERR_OK;
}

static enum err check_range(struct opener *h, const struct check_task *k,
			    struct entry_list *entries)
{
	struct body_check b = { .w = k->w, .log = k->log };

	for (uint32_t i = k->from; i < k->to; i++) {
		enum keep keep;
		enum err err;

		b.seq = k->chunk->from + i;
		b.record = &k->chunk->records[i];
		err = check_body(h, &b, entries, &keep);
		if (err != ERR_OK)
			return err;
		k->w->room.keep[i] = (uint8_t)keep;
	}
	return ERR_OK;
}

/* ---- the second pair of hands --------------------------------------------- */

static void *help(void *arg)
{
	struct helper *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->has_task && !p->stopping)
			pthread_cond_wait(&p->wake, &p->lock);
		if (!p->has_task)
			break;
		pthread_mutex_unlock(&p->lock);
		p->task.err = check_range(&p->opener, &p->task, p->entries);
		pthread_mutex_lock(&p->lock);
		p->has_task = false;
		pthread_cond_signal(&p->ended);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void opener_init(struct opener *h)
{
	h->sealer = sealer_open();
	buf_init(&h->plain, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	buf_init(&h->scratch, LIMIT_FRAME_BYTES);
}

void opener_wipe(struct opener *h)
{
	sealer_close(h->sealer);
	buf_wipe(&h->plain);
	buf_wipe(&h->scratch);
}

enum err helper_start(struct helper *p)
{
	opener_init(&p->opener);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->ended, NULL);
	p->runs = pthread_create(&p->thread, NULL, help, p) == 0;
	return p->runs ? ERR_OK : ERR_IO;
}

void helper_stop(struct helper *p)
{
	if (p->runs) {
		pthread_mutex_lock(&p->lock);
		p->stopping = true;
		pthread_cond_signal(&p->wake);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->thread, NULL);
	}
	for (size_t i = 0; i < INDEX_COUNT; i++)
		free(p->entries[i].e);
	pthread_cond_destroy(&p->ended);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	opener_wipe(&p->opener);
}

static void hand_over(struct helper *p, const struct check_task *k)
{
	for (size_t i = 0; i < INDEX_COUNT; i++)
		p->entries[i].n = 0;
	pthread_mutex_lock(&p->lock);
	p->task = *k;
	p->has_task = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static enum err wait_for(struct helper *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->has_task)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return p->task.err;
}

static void take_entries(struct writer *w, struct helper *p)
{
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		for (size_t k = 0; k < p->entries[i].n; k++)
			entries_add(w->entries, (enum store_index)i,
				    &p->entries[i].e[k]);
	}
}

enum err check_bodies(struct writer *w, const struct writer_log *l,
		      const struct writer_chunk *c)
{
	struct check_task all = { w, l, c, 0, c->count, ERR_OK };
	struct check_task first = all, second = all;
	enum err err, other;

	if (c->count < SHARE_RECORDS)
		return check_range(&w->opener, &all, w->entries);
	first.to = second.from = c->count / 2;
	hand_over(&w->helper, &second);
	err = check_range(&w->opener, &first, w->entries);
	other = wait_for(&w->helper);
	if (err != ERR_OK || other != ERR_OK)
		return err != ERR_OK ? err : other;
	take_entries(w, &w->helper);
	return ERR_OK;
}
