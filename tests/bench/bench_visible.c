/* How long until a new record of one node is readable at its partner: both
 * nodes run in this process and link over loopback, one record at a time.
 *
 * Usage: bench_visible DIR_A DIR_B COUNT: prints "p50_us N", "p99_us N". The
 * time is from handing the record to the writer of A until a reader of B's
 * store sees it, verified and durable. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/node.h"
#include "proto/enc.h"

#define KIND_BENCH 1000u /* unknown kinds are stored and relayed */

struct append_job {
	struct writer_job job;
	struct prepared record;
	uint64_t seq;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_visible: %s\n", what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void pause_us(long us)
{
	struct timespec t = { 0, us * 1000 };

	nanosleep(&t, NULL);
}

static enum err apply(struct writer_job *job, struct writer_txn *t)
{
	struct append_job *a = (struct append_job *)job;

	return writer_append(t, &a->record, &a->seq);
}

static void done(struct writer_job *job, enum err result)
{
	(void)job;
	(void)result;
}

/* Append one record to the own log of @h; returns its place. */
static uint64_t append(struct home *h, struct preparer *p, struct arena *arena)
{
	struct append_job a = { .job = { .records = 1,
					 .bytes = 512,
					 .apply = apply,
					 .done = done },
				.record = { .kind = KIND_BENCH,
					    .audience = AUDIENCE_MEMBERS } };
	struct buf body;
	struct enc e;

	arena_reset(arena);
	buf_init(&body, 4096);
	enc_init(&e, &body);
	enc_map(&e, 1);
	enc_cstr(&e, "note");
	enc_cstr(&e, "one record that is on its way to the other node");
	a.record.body = buf_slice(&body);
	if (writer_prepare(p, arena, &a.record) ||
	    writer_run(h->writer, &a.job))
		die("cannot append");
	buf_free(&body);
	return a.seq;
}

static uint64_t size_of(struct home *h, struct slice origin)
{
	struct store_txn *t;
	struct store_head head;
	uint64_t size = 0;
	uint32_t log;

	if (store_read(h->store, &t))
		return 0;
	if (store_log_find(t, origin, &log) == ERR_OK &&
	    store_head_get(t, log, &head) == ERR_OK)
		size = head.frontier.size;
	store_abort(t);
	return size;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static struct node *start(const char *dir)
{
	struct node_options o = { .dir = dir };
	struct node *n;
	struct buf why;

	buf_init(&why, 4096);
	if (node_start(&o, &n, &why)) {
		buf_put_u8(&why, 0);
		die((const char *)why.p);
	}
	buf_free(&why);
	return n;
}

int main(int argc, char **argv)
{
	struct node *a, *b;
	struct home *at, *to;
	struct preparer preparer;
	struct arena arena;
	uint64_t *took, began, seq, limit;
	size_t i, count;

	count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	if (count == 0)
		die("usage: DIR_A DIR_B COUNT");
	arena_init(&arena, 1u << 20);
	took = xcalloc(count, sizeof *took);
	a = start(argv[1]);
	b = start(argv[2]);
	at = node_home(a);
	to = node_home(b);
	preparer_init(&preparer, &at->keys, at->own_log);
	for (limit = now_us() + 60000000u;
	     node_signing(a) != SIGNING_ALLOWED ||
	     size_of(to, slice_str(at->origin)) !=
		     size_of(at, slice_str(at->origin));) {
		if (now_us() > limit)
			die("the nodes do not come into sync");
		pause_us(10000);
	}
	for (i = 0; i < count; i++) {
		pause_us(20000);
		began = now_us();
		seq = append(at, &preparer, &arena);
		limit = began + 10000000u;
		while (size_of(to, slice_str(at->origin)) <= seq) {
			if (now_us() > limit)
				die("a record did not arrive");
			pause_us(20);
		}
		took[i] = now_us() - began;
	}
	qsort(took, count, sizeof *took, by_size);
	printf("p50_us %" PRIu64 "\np99_us %" PRIu64 "\n", took[count / 2],
	       took[count - count / 100 - 1]);
	node_stop(a);
	node_stop(b);
	preparer_wipe(&preparer);
	arena_free(&arena);
	free(took);
	return 0;
}
