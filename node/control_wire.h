/* Frames of the control socket over a blocking descriptor, for both ends,
 * and the address of a socket whose path may be long. */

#ifndef NODE_CONTROL_WIRE_H
#define NODE_CONTROL_WIRE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "proto/dec.h"
#include "proto/enc.h"

enum control_type {
	CONTROL_RUN = 1,
	CONTROL_CANCEL = 2,
	CONTROL_DONE = 3,
	CONTROL_OUT = 16,
	CONTROL_OPEN = 17,
	CONTROL_CREATE = 18,
	CONTROL_READ = 19,
	CONTROL_PUT = 20,
	CONTROL_CLOSE = 21,
	CONTROL_EXIT = 22,
	CONTROL_DISCARD = 23,
};

enum control_flag {
	CONTROL_JSON = 1,
	CONTROL_ERR_TTY = 2,
	CONTROL_OUT_TTY = 4,
};

/* One end of a connection. */
struct wire {
	int fd; /* borrowed */
	struct buf in; /* the frame received last, without its length */
	struct buf out; /* the frame being written */
	enum err in_err; /* first failure of receiving; sticky */
	enum err out_err; /* first failure of sending; sticky */
};

void wire_init(struct wire *w, int fd);
void wire_free(struct wire *w);
/* Begin a frame of @fields behind its type; write them with the result. */
struct enc wire_begin(struct wire *w, enum control_type type, uint32_t fields);
/* Send what was begun. The error, also a former one. */
enum err wire_send(struct wire *w);
/* Is there something to read? Waits up to @ms (0: does not, -1: for ever);
 * false also when a signal came. */
bool wire_wait(struct wire *w, int ms);
/* Receive one frame: its type, and a cursor at its fields, whose number is
 * checked by the caller's dec_finish. ERR_CLOSED at an end between frames;
 * ERR_TRUNCATED inside one; ERR_LIMIT, ERR_MALFORMED; ERR_TIMEOUT: the rest
 * of a frame did not follow within CONTROL_HELLO_MS. */
enum err wire_recv(struct wire *w, uint32_t *type, struct dec *fields);

/* The address of a socket at @path of any length: a long one is reached
 * through its directory, which stays open as *dir until the caller closes it
 * (-1: not needed). ERR_NOT_FOUND: no such directory; ERR_LIMIT. */
WARN_UNUSED enum err wire_address(const char *path, struct sockaddr_un *out,
				  int *dir);

#endif /* NODE_CONTROL_WIRE_H */
