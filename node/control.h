/* The control socket: commands of the user's process run in the node.
 *
 * The node listens on DIR/control.sock (0600) and takes connections of its
 * own user and of root only (SO_PEERCRED). One connection is one command,
 * run on a thread of its own; the user's process is its hands (hands.h):
 * it opens the files, with its own rights, and only files that its command
 * line names. Frames are u32be length | canonical msgpack [type, ...], in
 * lock-step: every request of the node is answered by one DONE; CANCEL may
 * come at any time.
 *
 *   user -> node   RUN     [1, version, [argv...], flags, columns]
 *                  CANCEL  [2]
 *                  DONE    [3, error, number, bytes]
 *   node -> user   OUT     [16, fd, bytes]             no answer
 *                  OPEN    [17, path]                  DONE: handle
 *                  CREATE  [18, path]                  DONE: handle
 *                  READ    [19, handle, most]          DONE: bytes
 *                  PUT     [20, handle, bytes]         no answer
 *                  CLOSE   [21, handle]                DONE
 *                  EXIT    [22, code]                  the last frame
 *                  DISCARD [23, handle]                no answer
 *
 * In a DONE that fails, the bytes say why. PUT reports its failure in the
 * DONE of CLOSE. */

#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include "node/cmd.h"

#define CONTROL_VERSION 1
#define CONTROL_FRAME_BYTES (1u << 18) /* longest frame, either way */
#define CONTROL_CHUNK_BYTES (1u << 16) /* of one OUT, PUT or READ */
#define CONTROL_ARGS 4096u /* words of one command line */
#define CONTROL_THREADS 16u /* commands at once; more: busy */
#define CONTROL_STACK_BYTES (512u << 10)
#define CONTROL_HELLO_MS 10000 /* from accept to RUN */

struct control;

struct control_options {
	const char *path; /* of the socket; any length */
	struct node *node; /* given to the commands */
	struct home *home; /* given to the commands, unless: */
	struct home *(*home_of)(struct node *n); /* asked at each command's
						  * start; may be NULL */
	const struct cmd_entry *table; /* NULL: cmd_table */
};

/* Bind (a stale socket is removed: the caller holds the directory's lock),
 * listen and accept on a thread of its own. ERR_IO; @why. */
WARN_UNUSED enum err control_start(const struct control_options *o,
				   struct control **out, struct buf *why);
/* Take no more commands, cancel those that run, join their threads, remove
 * the socket. NULL is fine. The loop must still run or its queues must still
 * be served if commands wait for them. */
void control_stop(struct control *c);
/* Commands that run now. */
unsigned control_running(struct control *c);

/* In the user's process: run @c in the node that listens at @path; c->io
 * must be hands_io. *code is what the command ended with.
 * ERR_NOT_FOUND: nobody listens there (@why says what was tried);
 * ERR_DENIED: the socket is not ours to use; ERR_CLOSED: the node went away
 * in the middle; ERR_MALFORMED: not a node that speaks this; ERR_VERSION;
 * ERR_IO. */
WARN_UNUSED enum err control_run(const char *path, struct cmd *c, int *code,
				 struct buf *why);

#endif /* NODE_CONTROL_H */
