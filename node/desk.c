#include "node/desk.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "node/query.h"

#define FORM_KEEP_BYTES 16384u /* of a form's buffers between questions */

/* One question on its way through. */
struct form {
	struct form *next;
	uint64_t link, id;
	struct buf asker, question, answer;
	enum err code;
};

struct forms {
	struct form *first;
	struct form **last;
	uint32_t count;
};

struct desk {
	struct loop *loop;
	const struct home *home;
	desk_cb *cb;
	void *arg;
	struct forms fresh; /* loop thread: of this turn */
	struct forms idle; /* loop thread: to be used again */
	uint32_t waiting; /* loop thread */
	size_t bytes; /* loop thread: of their questions */
	struct loop_task hand_in;
	struct loop_task pick_up;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct forms asked, answered;
	bool stopping;
};

static void forms_init(struct forms *q)
{
	q->first = NULL;
	q->last = &q->first;
	q->count = 0;
}

static void forms_put(struct forms *q, struct form *f)
{
	f->next = NULL;
	*q->last = f;
	q->last = &f->next;
	q->count++;
}

static struct form *forms_take(struct forms *q)
{
	struct form *f = q->first;

	if (f == NULL)
		return NULL;
	q->first = f->next;
	q->count--;
	if (q->first == NULL)
		q->last = &q->first;
	return f;
}

/* Put all of @from behind what is in @to. */
static void forms_move(struct forms *to, struct forms *from)
{
	if (from->first == NULL)
		return;
	*to->last = from->first;
	to->last = from->last;
	to->count += from->count;
	forms_init(from);
}

static struct form *form_open(void)
{
	struct form *f = xcalloc(1, sizeof(*f));

	buf_init(&f->asker, LIMIT_DOMAIN_BYTES);
	buf_init(&f->question, LIMIT_QUESTION_BYTES);
	buf_init(&f->answer, LIMIT_ANSWER_BYTES);
	return f;
}

static void form_close(struct form *f)
{
	buf_free(&f->asker);
	buf_free(&f->question);
	buf_free(&f->answer);
	free(f);
}

static void forms_close(struct forms *q)
{
	struct form *f;

	while ((f = forms_take(q)) != NULL)
		form_close(f);
}

static void rest(struct buf *b)
{
	if (b->cap > FORM_KEEP_BYTES)
		buf_free(b);
	else
		buf_reset(b);
}

/* ---- the query thread ------------------------------------------------------ */

static void answer(struct query *q, struct form *f, enum err begun)
{
	f->code = begun;
	if (begun == ERR_OK)
		f->code = query_answer(q, buf_slice(&f->question),
				       buf_slice(&f->asker), now_ms(),
				       &f->answer);
	if (f->answer.err != ERR_OK)
		f->code = f->answer.err;
}

static void answer_all(struct query *q, struct forms *batch)
{
	enum err begun = query_begin(q);

	for (struct form *f = batch->first; f != NULL; f = f->next)
		answer(q, f, begun);
	query_end(q);
}

/* Wait for questions; at most DESK_BATCH of them. False: the desk closes. */
static bool wait_batch(struct desk *d, struct forms *batch)
{
	bool stopping;

	forms_init(batch);
	pthread_mutex_lock(&d->lock);
	while (d->asked.first == NULL && !d->stopping)
		pthread_cond_wait(&d->wake, &d->lock);
	stopping = d->stopping;
	while (!stopping && batch->count < DESK_BATCH && d->asked.first != NULL)
		forms_put(batch, forms_take(&d->asked));
	pthread_mutex_unlock(&d->lock);
	return !stopping;
}

static void *run(void *arg)
{
	struct desk *d = arg;
	struct query *q = query_open(d->home);
	struct forms batch;
	bool post;

	while (wait_batch(d, &batch)) {
		answer_all(q, &batch);
		pthread_mutex_lock(&d->lock);
		post = d->answered.first == NULL;
		forms_move(&d->answered, &batch);
		pthread_mutex_unlock(&d->lock);
		/* Refused: the loop has stopped, desk_close frees them. */
		if (post && !loop_post(d->loop, &d->pick_up))
			break;
	}
	query_close(q);
	return NULL;
}

/* ---- the loop thread ------------------------------------------------------- */

static struct desk *desk_of(struct loop_task *t, size_t offset)
{
	return (struct desk *)((char *)t - offset);
}

static void on_hand_in(struct loop_task *t)
{
	struct desk *d = desk_of(t, offsetof(struct desk, hand_in));
	bool wake;

	pthread_mutex_lock(&d->lock);
	wake = d->asked.first == NULL;
	forms_move(&d->asked, &d->fresh);
	pthread_mutex_unlock(&d->lock);
	/* Behind the lock: who wakes does not run into it. */
	if (wake)
		pthread_cond_signal(&d->wake);
}

static void hand_out(struct desk *d, struct form *f)
{
	struct desk_answer a = { f->link, f->id, f->code,
				 buf_slice(&f->answer) };

	d->waiting--;
	d->bytes -= f->question.n;
	d->cb(d->arg, &a);
	if (d->idle.count >= DESK_KEEP) {
		form_close(f);
		return;
	}
	rest(&f->question);
	rest(&f->answer);
	buf_reset(&f->asker);
	forms_put(&d->idle, f);
}

static void on_pick_up(struct loop_task *t)
{
	struct desk *d = desk_of(t, offsetof(struct desk, pick_up));
	struct forms done;
	struct form *f;

	forms_init(&done);
	pthread_mutex_lock(&d->lock);
	forms_move(&done, &d->answered);
	pthread_mutex_unlock(&d->lock);
	while ((f = forms_take(&done)) != NULL)
		hand_out(d, f);
}

void desk_put(struct desk *d, uint64_t link, uint64_t id, struct slice asker,
	      struct slice question)
{
	struct form *f = forms_take(&d->idle);

	if (f == NULL)
		f = form_open();
	f->link = link;
	f->id = id;
	buf_put(&f->asker, asker);
	buf_put(&f->question, question);
	assert(f->asker.err == ERR_OK && f->question.err == ERR_OK);
	d->waiting++;
	d->bytes += f->question.n;
	forms_put(&d->fresh, f);
	loop_defer(d->loop, &d->hand_in);
}

size_t desk_bytes(const struct desk *d)
{
	return d->bytes;
}

uint32_t desk_waiting(const struct desk *d)
{
	return d->waiting;
}

struct desk *desk_open(struct loop *loop, const struct home *home, desk_cb *cb,
		       void *arg)
{
	struct desk *d = xcalloc(1, sizeof(*d));
	pthread_attr_t attr;
	int bad = 0;

	d->loop = loop;
	d->home = home;
	d->cb = cb;
	d->arg = arg;
	d->hand_in.run = on_hand_in;
	d->pick_up.run = on_pick_up;
	forms_init(&d->fresh);
	forms_init(&d->idle);
	forms_init(&d->asked);
	forms_init(&d->answered);
	bad |= pthread_mutex_init(&d->lock, NULL);
	bad |= pthread_cond_init(&d->wake, NULL);
	bad |= pthread_attr_init(&attr);
	bad |= pthread_attr_setstacksize(&attr, DESK_STACK_BYTES);
	bad |= pthread_create(&d->thread, &attr, run, d);
	assert(bad == 0);
	pthread_attr_destroy(&attr);
	return d;
}

void desk_close(struct desk *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	forms_close(&d->fresh);
	forms_close(&d->idle);
	forms_close(&d->asked);
	forms_close(&d->answered);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
