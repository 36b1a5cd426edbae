/* The event loop: one thread's turns, timers, pool work, and its letter box.
 *
 * Wraps libuv so that most of the node does not see it. Everything is called
 * on the loop's own thread unless it says otherwise. A turn is: timers, then
 * what sockets and other threads brought, then the deferred tasks: the place
 * where a turn's effects are written out together. */

#ifndef NODE_LOOP_H
#define NODE_LOOP_H

#include "proto/bytes.h"

#define LOOP_READ_BYTES 65536u /* one read buffer serves all links */

struct loop;
struct uv_loop_s; /* libuv's, for link and dial */

/* Something to run on the loop thread. Embedded in what it is about; the
 * loop keeps the pointer until @run is called, which may free it. */
struct loop_task {
	struct loop_task *next; /* the loop's */
	void (*run)(struct loop_task *t);
	bool queued; /* by loop_defer; the loop's */
};

struct loop *loop_open(void); /* give */
/* Ends uv's loop; asserts that no handle is left. NULL is fine. */
void loop_close(struct loop *l);
/* Turn until loop_stop was called and all handles are closed. */
void loop_run(struct loop *l);
/* Take nothing more from other threads and let loop_run end when all other
 * handles are closed. What was posted before still runs. */
void loop_stop(struct loop *l);

/* Any thread: run @t on the loop thread, in the order posted. False: the
 * loop has stopped, @t is the caller's again. */
WARN_UNUSED bool loop_post(struct loop *l, struct loop_task *t);
/* Run @t at the end of this turn; does nothing if it is queued already. */
void loop_defer(struct loop *l, struct loop_task *t);

uint64_t loop_now_ms(const struct loop *l); /* monotonic, of this turn */
uint64_t loop_turn(const struct loop *l); /* counts turns */

struct loop_timer;
typedef void loop_cb(void *arg);
struct loop_timer *loop_timer_open(struct loop *l, loop_cb *cb, void *arg);
/* Call back once, in @ms; replaces what was set. */
void loop_timer_set(struct loop_timer *t, uint64_t ms);
void loop_timer_clear(struct loop_timer *t);
void loop_timer_close(struct loop_timer *t); /* take; NULL is fine */

/* Run @work on a thread of the pool, then @done on the loop thread. */
void loop_work(struct loop *l, loop_cb *work, loop_cb *done, void *arg);
uint32_t loop_working(const struct loop *l); /* works not yet done */

/* For link and dial. */
struct uv_loop_s *loop_uv(struct loop *l);
uint8_t *loop_read_buffer(struct loop *l); /* LOOP_READ_BYTES, shared */
/* Words for libuv's error @code, and ours. */
WARN_UNUSED enum err loop_error(int code, char *text, size_t n);

#endif /* NODE_LOOP_H */
