/* The query thread: answers peers' questions from the store.
 *
 * Takes all questions of a loop turn together and answers them from one
 * state of the store. Loop thread only, but for the thread inside.
 * PROTOCOL.md section 12. */

#ifndef NODE_DESK_H
#define NODE_DESK_H

#include "node/home.h"
#include "node/loop.h"

#define DESK_STACK_BYTES (512u << 10)
#define DESK_KEEP 256u /* question forms kept for the next questions */
#define DESK_BATCH 256u /* answered from one state of the store */

struct desk;

/* The answer to what desk_put was given; slices live during the call. */
struct desk_answer {
	uint64_t link, id;
	enum err code;
	struct slice answer; /* or the error document */
};
typedef void desk_cb(void *arg, const struct desk_answer *a);

/* Give: desk_close. Borrows @loop and @home. */
struct desk *desk_open(struct loop *loop, const struct home *home, desk_cb *cb,
		       void *arg);
/* Any thread, when the loop takes nothing more: answer what is in hand,
 * drop the rest, end the thread. NULL is fine. */
void desk_close(struct desk *d); /* take */
/* Queue a question; copies it. @cb is called once, unless the loop stops. */
void desk_put(struct desk *d, uint64_t link, uint64_t id, struct slice asker,
	      struct slice question);
uint32_t desk_waiting(const struct desk *d); /* questions not answered yet */
size_t desk_bytes(const struct desk *d); /* of those */

#endif /* NODE_DESK_H */
