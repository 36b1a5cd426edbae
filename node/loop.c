#include "node/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

/* First and last of a list of tasks. */
struct tasks {
	struct loop_task *first;
	struct loop_task **last; /* &first when empty */
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_prepare_t prepare; /* deferred tasks of timers */
	uv_check_t check; /* and of what poll brought */
	uv_mutex_t lock; /* guards posted, stopped */
	struct tasks posted;
	bool stopped;
	struct tasks deferred;
	uint64_t turn;
	uint32_t working;
	uint8_t read_buffer[LOOP_READ_BYTES];
};

struct loop_timer {
	uv_timer_t uv;
	loop_cb *cb;
	void *arg;
};

struct work {
	uv_work_t uv;
	struct loop *loop;
	loop_cb *work;
	loop_cb *done;
	void *arg;
};

static void tasks_init(struct tasks *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void tasks_put(struct tasks *q, struct loop_task *t)
{
	t->next = NULL;
	*q->last = t;
	q->last = &t->next;
}

static struct loop_task *tasks_take(struct tasks *q)
{
	struct loop_task *t = q->first;

	if (t == NULL)
		return NULL;
	q->first = t->next;
	if (q->first == NULL)
		q->last = &q->first;
	return t;
}

static void run_posted(struct loop *l)
{
	struct loop_task *t, *next;

	uv_mutex_lock(&l->lock);
	t = l->posted.first;
	tasks_init(&l->posted);
	uv_mutex_unlock(&l->lock);
	for (; t != NULL; t = next) {
		next = t->next;
		t->run(t);
	}
}

static void run_deferred(struct loop *l)
{
	struct loop_task *t;

	while ((t = tasks_take(&l->deferred)) != NULL) {
		t->queued = false;
		t->run(t);
	}
}

static void on_wake(uv_async_t *h)
{
	run_posted(h->data);
}

static void on_prepare(uv_prepare_t *h)
{
	run_deferred(h->data);
}

static void on_check(uv_check_t *h)
{
	struct loop *l = h->data;

	l->turn++;
	run_deferred(l);
}

struct loop *loop_open(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	int bad = 0;

	bad |= uv_loop_init(&l->uv);
	bad |= uv_mutex_init(&l->lock);
	bad |= uv_async_init(&l->uv, &l->wake, on_wake);
	bad |= uv_prepare_init(&l->uv, &l->prepare);
	bad |= uv_check_init(&l->uv, &l->check);
	l->wake.data = l->prepare.data = l->check.data = l;
	bad |= uv_prepare_start(&l->prepare, on_prepare);
	bad |= uv_check_start(&l->check, on_check);
	assert(bad == 0);
	tasks_init(&l->posted);
	tasks_init(&l->deferred);
	return l;
}

void loop_close(struct loop *l)
{
	int left;

	if (l == NULL)
		return;
	left = uv_loop_close(&l->uv);
	assert(left == 0);
	uv_mutex_destroy(&l->lock);
	free(l);
}

void loop_run(struct loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
	run_deferred(l);
}

void loop_stop(struct loop *l)
{
	uv_mutex_lock(&l->lock);
	assert(!l->stopped);
	l->stopped = true;
	uv_mutex_unlock(&l->lock);
	run_posted(l);
	run_deferred(l);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
}

bool loop_post(struct loop *l, struct loop_task *t)
{
	bool first, stopped;

	uv_mutex_lock(&l->lock);
	stopped = l->stopped;
	first = l->posted.first == NULL;
	if (!stopped)
		tasks_put(&l->posted, t);
	/* Inside the lock: loop_stop closes the handle after taking it. */
	if (!stopped && first)
		uv_async_send(&l->wake);
	uv_mutex_unlock(&l->lock);
	return !stopped;
}

void loop_defer(struct loop *l, struct loop_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	tasks_put(&l->deferred, t);
}

uint64_t loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}

uint64_t loop_turn(const struct loop *l)
{
	return l->turn;
}

static void on_timer(uv_timer_t *h)
{
	struct loop_timer *t = h->data;

	t->cb(t->arg);
}

struct loop_timer *loop_timer_open(struct loop *l, loop_cb *cb, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));
	int bad = uv_timer_init(&l->uv, &t->uv);

	assert(bad == 0);
	t->uv.data = t;
	t->cb = cb;
	t->arg = arg;
	return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t ms)
{
	int bad = uv_timer_start(&t->uv, on_timer, ms, 0);

	assert(bad == 0);
}

void loop_timer_clear(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_timer_close(struct loop_timer *t)
{
	if (t != NULL)
		uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

static void on_work(uv_work_t *req)
{
	struct work *w = req->data;

	w->work(w->arg);
}

static void on_worked(uv_work_t *req, int status)
{
	struct work *w = req->data;
	struct loop *l = w->loop;
	loop_cb *done = w->done;
	void *arg = w->arg;

	assert(status == 0); /* nothing here cancels */
	free(w);
	l->working--;
	done(arg);
}

void loop_work(struct loop *l, loop_cb *work, loop_cb *done, void *arg)
{
	struct work *w = xcalloc(1, sizeof(*w));
	int bad;

	w->loop = l;
	w->work = work;
	w->done = done;
	w->arg = arg;
	w->uv.data = w;
	l->working++;
	bad = uv_queue_work(&l->uv, &w->uv, on_work, on_worked);
	assert(bad == 0);
}

uint32_t loop_working(const struct loop *l)
{
	return l->working;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

uint8_t *loop_read_buffer(struct loop *l)
{
	return l->read_buffer;
}

enum err loop_error(int code, char *text, size_t n)
{
	if (n > 0) /* uv_strerror allocates for what is no error */
		(void)snprintf(text, n, "%s",
			       code < 0 ? uv_strerror(code) : "");
	switch (code) {
	case 0:
		return ERR_OK;
	case UV_EOF:
	case UV_ECONNRESET:
	case UV_EPIPE:
	case UV_ECANCELED:
		return ERR_CLOSED;
	case UV_ETIMEDOUT:
		return ERR_TIMEOUT;
	case UV_EAI_NONAME:
	case UV_EAI_NODATA:
		return ERR_NOT_FOUND;
	default:
		return ERR_IO;
	}
}
