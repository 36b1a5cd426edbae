/* The user's end of the control socket: sends the command line, then does
 * what the node's side of the command asks for, until EXIT. */

#define _GNU_SOURCE /* struct ucred */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/control.h"
#include "node/control_wire.h"
#include "node/hands.h"

#define WAIT_MS 200 /* between looks at the interrupt flag */
#define WHY_BYTES 4096u

struct client {
	struct wire wire;
	struct hands *hands;
	uint8_t *chunk; /* CONTROL_CHUNK_BYTES */
	bool cancel_sent;
};

static enum err fail(struct buf *why, enum err e, const char *path,
		     const char *text)
{
	buf_put_str(why, path);
	buf_put_str(why, ": ");
	buf_put_str(why, text);
	return e;
}

/* The node sees our files by their content: it must be ours, or root's, or
 * we must be root, who chose the directory and is protected by cmd_names. */
static bool is_trusted(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return false;
	return who.uid == geteuid() || who.uid == 0 || geteuid() == 0;
}

static enum err dial(const char *path, int *out, struct buf *why)
{
	struct sockaddr_un at;
	int dir = -1;
	enum err e = wire_address(path, &at, &dir);
	if (e)
		return fail(why, ERR_NOT_FOUND, path, "no such directory");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = fd < 0 ? errno : 0;
	if (!failed &&
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		failed = errno;
	if (dir >= 0)
		close(dir);
	if (failed == EACCES || failed == EPERM)
		e = fail(why, ERR_DENIED, path,
			 "the node runs as another user");
	else if (failed == ENOENT || failed == ECONNREFUSED ||
		 failed == ENOTDIR || failed == ENOTSOCK)
		e = fail(why, ERR_NOT_FOUND, path, "no node listens here");
	else if (failed)
		e = fail(why, ERR_IO, path, strerror(failed));
	else if (!is_trusted(fd))
		e = fail(why, ERR_DENIED, path,
			 "what listens here runs as another user");
	if (e && fd >= 0)
		close(fd);
	*out = fd;
	return e;
}

static enum err send_run(struct client *k, const struct cmd *c)
{
	struct enc e = wire_begin(&k->wire, CONTROL_RUN, 4);
	enc_uint(&e, CONTROL_VERSION);
	enc_array(&e, (uint32_t)c->argc);
	for (int i = 0; i < c->argc; i++)
		enc_bin(&e, slice_str(c->argv[i]));
	enc_uint(&e, (c->json ? CONTROL_JSON : 0) |
			     (c->err_is_tty ? CONTROL_ERR_TTY : 0) |
			     (c->out_is_tty ? CONTROL_OUT_TTY : 0));
	enc_uint(&e, c->columns);
	return wire_send(&k->wire);
}

static void send_cancel(struct client *k)
{
	if (k->cancel_sent)
		return;
	k->cancel_sent = true;
	wire_begin(&k->wire, CONTROL_CANCEL, 0);
	/* When it cannot be sent, the node's end is gone or going. */
	wire_send(&k->wire);
}

static void send_done(struct client *k, enum err result, uint64_t number,
		      struct slice bytes)
{
	struct enc e = wire_begin(&k->wire, CONTROL_DONE, 3);
	enc_uint(&e, (uint64_t)(-(int)result));
	enc_uint(&e, number);
	enc_bin(&e, bytes);
	wire_send(&k->wire);
}

static enum err do_file(struct client *k, uint32_t type, struct dec *d)
{
	struct slice name = dec_bin(d);
	if (dec_finish(d) || memchr(name.p, 0, name.n))
		return ERR_MALFORMED;
	struct buf why;
	buf_init(&why, WHY_BYTES);
	char *path = xstrndup(name);
	int handle = 0;
	enum err e = type == CONTROL_OPEN
			     ? hands_io.open(k->hands, path, &handle, &why)
			     : hands_io.create(k->hands, path, &handle, &why);
	send_done(k, e, e ? 0 : (uint64_t)handle, buf_slice(&why));
	free(path);
	buf_free(&why);
	return ERR_OK;
}

/* Whoever types may take for ever; a node that stops must be heard meanwhile.
 * In lock-step it says nothing while it awaits an answer. */
static bool is_left_waiting(struct client *k, int handle)
{
	struct pollfd p[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = k->wire.fd, .events = POLLIN },
	};
	if (hands_fd(k->hands, handle) != STDIN_FILENO)
		return false;
	while (poll(p, 2, WAIT_MS) <= 0)
		if (hands_io.is_cancelled(k->hands))
			return false;
	return p[1].revents != 0;
}

static enum err do_read(struct client *k, struct dec *d)
{
	int handle = (int)dec_uint_max(d, HANDS_FILES);
	size_t most = (size_t)dec_uint_max(d, CONTROL_CHUNK_BYTES);
	if (dec_finish(d))
		return ERR_MALFORMED;
	if (is_left_waiting(k, handle))
		return ERR_OK;
	size_t got = 0;
	enum err e = hands_io.read(k->hands, handle, k->chunk, most, &got);
	send_done(k, e, 0, slice_of(k->chunk, got));
	return ERR_OK;
}

/* OUT and PUT: bytes without an answer. A failed put is told at close. */
static enum err do_bytes(struct client *k, uint32_t type, struct dec *d)
{
	int to = (int)dec_uint_max(d, HANDS_FILES);
	struct slice bytes = dec_bin(d);
	if (dec_finish(d))
		return ERR_MALFORMED;
	if (type == CONTROL_OUT && to != STDOUT_FILENO && to != STDERR_FILENO)
		return ERR_MALFORMED;
	if (type == CONTROL_OUT) {
		hands_io.write(k->hands, to, bytes);
		hands_flush(k->hands);
	} else if (hands_io.put(k->hands, to, bytes) == ERR_CLOSED) {
		send_cancel(k);
	}
	return ERR_OK;
}

static enum err do_close(struct client *k, uint32_t type, struct dec *d)
{
	int handle = (int)dec_uint_max(d, HANDS_FILES);
	if (dec_finish(d))
		return ERR_MALFORMED;
	if (type == CONTROL_DISCARD)
		hands_io.discard(k->hands, handle);
	else
		send_done(k, hands_io.close(k->hands, handle), 0,
			  (struct slice){ 0 });
	return ERR_OK;
}

/* One frame of the node. *code is set (>= 0) by EXIT. */
static enum err step(struct client *k, int *code)
{
	uint32_t type = 0;
	struct dec d;
	enum err e = wire_recv(&k->wire, &type, &d);
	if (e)
		return e;
	switch (type) {
	case CONTROL_OUT:
	case CONTROL_PUT:
		return do_bytes(k, type, &d);
	case CONTROL_OPEN:
	case CONTROL_CREATE:
		return do_file(k, type, &d);
	case CONTROL_READ:
		return do_read(k, &d);
	case CONTROL_CLOSE:
	case CONTROL_DISCARD:
		return do_close(k, type, &d);
	case CONTROL_EXIT:
		*code = (int)dec_uint_max(&d, 125);
		return dec_finish(&d);
	default:
		return ERR_MALFORMED;
	}
}

enum err control_run(const char *path, struct cmd *c, int *code,
		     struct buf *why)
{
	int fd = -1;
	enum err e = dial(path, &fd, why);
	if (e)
		return e;
	struct client k = { .hands = c->io_arg,
			    .chunk = xmalloc(CONTROL_CHUNK_BYTES) };
	wire_init(&k.wire, fd);
	*code = -1;
	if (send_run(&k, c) == ERR_LIMIT)
		e = fail(why, ERR_LIMIT, path, "the command line is too long");
	while (!e && *code < 0) {
		if (hands_io.is_cancelled(k.hands))
			send_cancel(&k);
		/* Asked twice, the user does not want to wait. */
		if (k.hands->interrupted && *k.hands->interrupted > 1)
			e = fail(why, ERR_CLOSED, path, "interrupted");
		else if (wire_wait(&k.wire, WAIT_MS))
			e = step(&k, code);
		if (e == ERR_MALFORMED || e == ERR_LIMIT)
			fail(why, e, path, "the answer is not a node's");
		else if (e && why->n == 0)
			fail(why, e = ERR_CLOSED, path,
			     "the node went away; what it acknowledged is "
			     "kept: start the node and run the same command "
			     "again");
	}
	wire_free(&k.wire);
	free(k.chunk);
	close(fd);
	return e;
}
