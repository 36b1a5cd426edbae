#include "node/import_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/bytes.h"

struct worker {
	struct import_pool *pool;
	unsigned slice;
	pthread_t thread;
};

struct import_pool {
	pthread_mutex_t mutex;
	pthread_cond_t start;
	pthread_cond_t done;
	import_pool_cb *cb; /* of this round */
	void *arg;
	unsigned long round; /* counts the pieces of work */
	unsigned left; /* slices not yet done */
	bool closing;
	struct worker workers[IMPORT_SLICES]; /* the first is the caller */
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct import_pool *p = w->pool;
	unsigned long round = 0;

	pthread_mutex_lock(&p->mutex);
	for (;;) {
		while (!p->closing && p->round == round)
			pthread_cond_wait(&p->start, &p->mutex);
		if (p->closing)
			break;
		round = p->round;
		pthread_mutex_unlock(&p->mutex);
		p->cb(p->arg, w->slice);
		pthread_mutex_lock(&p->mutex);
		if (--p->left == 0)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

struct import_pool *import_pool_open(void)
{
	struct import_pool *p = xcalloc(1, sizeof(*p));
	int rc = pthread_mutex_init(&p->mutex, NULL);

	rc |= pthread_cond_init(&p->start, NULL);
	rc |= pthread_cond_init(&p->done, NULL);
	assert(rc == 0);
	for (unsigned i = 1; i < IMPORT_SLICES; i++) {
		p->workers[i] = (struct worker){ .pool = p, .slice = i };
		rc = pthread_create(&p->workers[i].thread, NULL, work,
				    &p->workers[i]);
		/* As with memory: without threads there is no going on. */
		assert(rc == 0);
	}
	return p;
}

void import_pool_close(struct import_pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->mutex);
	p->closing = true;
	pthread_cond_broadcast(&p->start);
	pthread_mutex_unlock(&p->mutex);
	for (unsigned i = 1; i < IMPORT_SLICES; i++)
		(void)pthread_join(p->workers[i].thread, NULL);
	pthread_mutex_destroy(&p->mutex);
	pthread_cond_destroy(&p->start);
	pthread_cond_destroy(&p->done);
	free(p);
}

void import_pool_run(struct import_pool *p, import_pool_cb *cb, void *arg)
{
	pthread_mutex_lock(&p->mutex);
	p->cb = cb;
	p->arg = arg;
	p->left = IMPORT_SLICES - 1;
	p->round++;
	pthread_cond_broadcast(&p->start);
	pthread_mutex_unlock(&p->mutex);
	cb(arg, 0);
	pthread_mutex_lock(&p->mutex);
	while (p->left > 0)
		pthread_cond_wait(&p->done, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
}
