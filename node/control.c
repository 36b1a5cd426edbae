/* Happy path: on_accept -> a free place -> run_session on its own thread:
 * RUN -> cmd_run with session_io -> EXIT; the accepting thread is woken and
 * joins it. Failure: any error on the wire is kept in the wire, turns all
 * later I/O into no-ops and shows as "cancelled". Only control_stop and the
 * accepting thread join and close descriptors, so that a descriptor is never
 * shut down after it was closed. */

#define _GNU_SOURCE /* struct ucred, accept4 */

#include "node/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/control_wire.h"
#include "node/log.h"

#define OUT_AGE_MS 50 /* output is not held back for longer */
#define STOP_MS 2000 /* for commands to say a last word to slow users */
#define WHY_BYTES 4096u

struct session {
	struct control *parent;
	pthread_t thread;
	int fd; /* -1: the place is free */
	atomic_bool done; /* the thread has ended */
	atomic_bool stop; /* set by control_stop */
	bool cancelled; /* the user interrupted */
	struct wire wire;
	struct buf out; /* standard output not yet sent */
	int64_t out_ms; /* monotonic time of the oldest byte in it */
};

struct control {
	struct control_options options;
	char *path; /* owned */
	int listener;
	int wake; /* eventfd: stop, or a session has ended */
	pthread_t thread;
	atomic_bool stopping;
	atomic_uint running;
	struct session sessions[CONTROL_THREADS];
};

static int64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- A command's hands, over the socket ------------------------------- */

static void send_out(struct session *s, int fd, struct slice bytes)
{
	while (bytes.n > 0 && s->wire.out_err == ERR_OK) {
		size_t n = bytes.n < CONTROL_CHUNK_BYTES ? bytes.n
							 : CONTROL_CHUNK_BYTES;
		struct enc e = wire_begin(&s->wire, CONTROL_OUT, 2);
		enc_uint(&e, (uint64_t)fd);
		enc_bin(&e, slice_sub(bytes, 0, n));
		wire_send(&s->wire);
		bytes = slice_sub(bytes, n, bytes.n - n);
	}
}

static void flush(struct session *s)
{
	send_out(s, STDOUT_FILENO, buf_slice(&s->out));
	buf_reset(&s->out);
}

static void on_write(void *arg, int fd, struct slice bytes)
{
	struct session *s = arg;
	if (fd != STDOUT_FILENO || s->out.n + bytes.n > CONTROL_CHUNK_BYTES)
		flush(s);
	if (fd != STDOUT_FILENO || bytes.n > CONTROL_CHUNK_BYTES) {
		send_out(s, fd, bytes);
		return;
	}
	if (s->out.n == 0)
		s->out_ms = monotonic_ms();
	buf_put(&s->out, bytes);
}

/* Wait for the DONE of a request. Its error; number and bytes if wanted. */
static enum err await_done(struct session *s, uint64_t *number,
			   struct slice *bytes)
{
	uint32_t type = 0;
	struct dec d;
	do {
		if (wire_recv(&s->wire, &type, &d))
			return ERR_CLOSED;
		if (type == CONTROL_CANCEL)
			s->cancelled = true;
	} while (type == CONTROL_CANCEL);
	uint64_t code = dec_uint_max(&d, 255);
	*number = dec_uint_max(&d, UINT32_MAX);
	*bytes = dec_bin(&d);
	if (type != CONTROL_DONE || dec_finish(&d)) {
		s->wire.in_err = ERR_MALFORMED;
		return ERR_CLOSED;
	}
	return (enum err)(-(int)code);
}

static enum err request(struct session *s, uint64_t *number,
			struct slice *bytes)
{
	*number = 0;
	*bytes = (struct slice){ 0 };
	return wire_send(&s->wire) ? ERR_CLOSED : await_done(s, number, bytes);
}

static enum err request_file(struct session *s, enum control_type type,
			     const char *path, int *handle, struct buf *why)
{
	uint64_t number = 0;
	struct slice text;
	struct enc e = wire_begin(&s->wire, type, 1);
	enc_bin(&e, slice_str(path));
	enum err result = request(s, &number, &text);
	if (result)
		buf_put(why, text.n ? text : slice_str(err_text(result)));
	else
		*handle = (int)number;
	return result;
}

static enum err on_open(void *arg, const char *path, int *handle,
			struct buf *why)
{
	return request_file(arg, CONTROL_OPEN, path, handle, why);
}

static enum err on_create(void *arg, const char *path, int *handle,
			  struct buf *why)
{
	return request_file(arg, CONTROL_CREATE, path, handle, why);
}

static enum err on_read(void *arg, int handle, uint8_t *p, size_t n,
			size_t *got)
{
	struct session *s = arg;
	uint64_t number = 0;
	struct slice bytes;
	*got = 0;
	flush(s); /* a prompt, perhaps */
	n = n < CONTROL_CHUNK_BYTES ? n : CONTROL_CHUNK_BYTES;
	struct enc e = wire_begin(&s->wire, CONTROL_READ, 2);
	enc_uint(&e, (uint64_t)handle);
	enc_uint(&e, n);
	enum err result = request(s, &number, &bytes);
	if (result)
		return result;
	if (bytes.n > n) {
		s->wire.in_err = ERR_MALFORMED;
		return ERR_CLOSED;
	}
	if (bytes.n > 0)
		memcpy(p, bytes.p, bytes.n);
	*got = bytes.n;
	return ERR_OK;
}

static enum err on_put(void *arg, int handle, struct slice bytes)
{
	struct session *s = arg;
	while (bytes.n > 0 && s->wire.out_err == ERR_OK) {
		size_t n = bytes.n < CONTROL_CHUNK_BYTES ? bytes.n
							 : CONTROL_CHUNK_BYTES;
		struct enc e = wire_begin(&s->wire, CONTROL_PUT, 2);
		enc_uint(&e, (uint64_t)handle);
		enc_bin(&e, slice_sub(bytes, 0, n));
		wire_send(&s->wire);
		bytes = slice_sub(bytes, n, bytes.n - n);
	}
	return s->wire.out_err ? ERR_CLOSED : ERR_OK;
}

static enum err on_close(void *arg, int handle)
{
	struct session *s = arg;
	uint64_t number = 0;
	struct slice bytes;
	struct enc e = wire_begin(&s->wire, CONTROL_CLOSE, 1);
	enc_uint(&e, (uint64_t)handle);
	return request(s, &number, &bytes);
}

static void on_discard(void *arg, int handle)
{
	struct session *s = arg;
	struct enc e = wire_begin(&s->wire, CONTROL_DISCARD, 1);
	enc_uint(&e, (uint64_t)handle);
	wire_send(&s->wire);
}

static bool on_is_cancelled(void *arg)
{
	struct session *s = arg;
	if (s->out.n > 0 && monotonic_ms() - s->out_ms > OUT_AGE_MS)
		flush(s);
	while (s->wire.in_err == ERR_OK && wire_wait(&s->wire, 0)) {
		uint32_t type = 0;
		struct dec d;
		enum err e = wire_recv(&s->wire, &type, &d);
		if (!e && type != CONTROL_CANCEL) /* nothing was asked */
			s->wire.in_err = ERR_MALFORMED;
		s->cancelled = true;
	}
	return s->cancelled || s->wire.in_err || s->wire.out_err ||
	       atomic_load(&s->stop);
}

static const struct cmd_io session_io = {
	.write = on_write,
	.open = on_open,
	.create = on_create,
	.read = on_read,
	.put = on_put,
	.close = on_close,
	.discard = on_discard,
	.is_cancelled = on_is_cancelled,
};

/* ---- One command ------------------------------------------------------ */

static void send_exit(struct session *s, int code)
{
	flush(s);
	struct enc e = wire_begin(&s->wire, CONTROL_EXIT, 1);
	enc_uint(&e, (uint64_t)code);
	wire_send(&s->wire);
}

static void refuse(struct session *s, const char *text)
{
	send_out(s, STDERR_FILENO, slice_str("symbolon: "));
	send_out(s, STDERR_FILENO, slice_str(text));
	send_out(s, STDERR_FILENO, slice_str("\n"));
	send_exit(s, EXIT_FAILED);
}

/* argv as C strings, ended by NULL, or NULL when it is no command line. */
static char **take_argv(struct dec *d, int *argc)
{
	uint32_t n = dec_array(d);
	*argc = 0;
	if (n == 0 || n > CONTROL_ARGS)
		return NULL;
	char **argv = xcalloc(n + 1, sizeof(*argv));
	for (uint32_t i = 0; i < n; i++) {
		struct slice word = dec_bin(d);
		if (d->err || memchr(word.p, 0, word.n)) {
			d->err = ERR_MALFORMED;
			word = (struct slice){ 0 };
		}
		argv[i] = xstrndup(word);
		(*argc)++;
	}
	return argv;
}

static void run_command(struct session *s, struct cmd *c)
{
	const struct cmd_entry *table = s->parent->options.table;
	const struct cmd_entry *entry =
		cmd_find_in(table ? table : cmd_table, c->argv[0]);
	if (entry == NULL || cmd_place(entry, c->argc, c->argv) == CMD_HERE) {
		refuse(s, "this command does not run in the node");
		return;
	}
	struct control *parent = s->parent;
	c->io = &session_io;
	c->io_arg = s;
	c->node = parent->options.node;
	c->home = parent->options.home_of ? parent->options.home_of(c->node)
					  : parent->options.home;
	c->dir = c->home ? c->home->dir : ".";
	send_exit(s, cmd_run(c, entry));
}

static void serve(struct session *s)
{
	uint32_t type = 0;
	struct dec d;
	if (!wire_wait(&s->wire, CONTROL_HELLO_MS) ||
	    wire_recv(&s->wire, &type, &d))
		return;
	if (type != CONTROL_RUN || dec_uint(&d) != CONTROL_VERSION) {
		refuse(s, "the running node is of another release than this "
			  "program");
		return;
	}
	struct cmd c = { 0 };
	char **argv = take_argv(&d, &c.argc);
	int argc = c.argc;
	uint64_t flags = dec_uint_max(&d, 255);
	c.columns = (unsigned)dec_uint_max(&d, 65535);
	c.json = flags & CONTROL_JSON;
	c.err_is_tty = flags & CONTROL_ERR_TTY;
	c.out_is_tty = flags & CONTROL_OUT_TTY;
	if (argv && !dec_finish(&d)) {
		/* Options are taken out of a copy of the list. */
		size_t bytes = ((size_t)argc + 1) * sizeof(*argv);
		c.argv = xmalloc(bytes);
		memcpy(c.argv, argv, bytes);
		run_command(s, &c);
		free(c.argv);
	}
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	free(argv);
}

static void wake(struct control *c)
{
	uint64_t one = 1;
	while (write(c->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *run_session(void *arg)
{
	struct session *s = arg;
	wire_init(&s->wire, s->fd);
	buf_init(&s->out, CONTROL_CHUNK_BYTES);
	serve(s);
	buf_free(&s->out);
	wire_free(&s->wire);
	shutdown(s->fd, SHUT_WR);
	atomic_store(&s->done, true);
	wake(s->parent);
	return NULL;
}

/* ---- Accepting -------------------------------------------------------- */

static void join(struct session *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	s->fd = -1;
	atomic_fetch_sub(&s->parent->running, 1);
}

static struct session *free_place(struct control *c)
{
	for (size_t i = 0; i < CONTROL_THREADS; i++)
		if (c->sessions[i].fd < 0)
			return &c->sessions[i];
	return NULL;
}

static bool is_allowed(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return false;
	return who.uid == geteuid() || who.uid == 0;
}

/* Tell without waiting for anything that comes from the other side. */
static void turn_away(struct control *c, int fd, const char *text)
{
	struct session s = { .parent = c, .fd = fd };
	wire_init(&s.wire, fd);
	buf_init(&s.out, CONTROL_CHUNK_BYTES);
	refuse(&s, text);
	buf_free(&s.out);
	wire_free(&s.wire);
	close(fd);
}

static bool start_session(struct control *c, struct session *s, int fd)
{
	pthread_attr_t attr;
	s->parent = c;
	s->fd = fd;
	s->cancelled = false;
	atomic_store(&s->done, false);
	atomic_store(&s->stop, false);
	atomic_fetch_add(&c->running, 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CONTROL_STACK_BYTES);
	int failed = pthread_create(&s->thread, &attr, run_session, s);
	pthread_attr_destroy(&attr);
	if (failed) {
		s->fd = -1;
		atomic_fetch_sub(&c->running, 1);
	}
	return !failed;
}

static void on_accept(struct control *c)
{
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		/* Out of descriptors: the listener stays readable. */
		if (errno == EMFILE || errno == ENFILE)
			poll(NULL, 0, 100);
		return;
	}
	struct session *s = free_place(c);
	if (!is_allowed(fd))
		turn_away(c, fd, "the node serves its own user and root only");
	else if (s == NULL)
		turn_away(c, fd,
			  "the node runs 16 commands already; "
			  "try again when one has ended");
	else if (!start_session(c, s, fd))
		turn_away(c, fd, "the node cannot start a thread");
}

static void *run_accept(void *arg)
{
	struct control *c = arg;
	while (!atomic_load(&c->stopping)) {
		struct pollfd p[2] = {
			{ .fd = c->wake, .events = POLLIN },
			{ .fd = c->listener, .events = POLLIN },
		};
		if (poll(p, 2, -1) <= 0)
			continue;
		uint64_t count;
		if (p[0].revents & POLLIN &&
		    read(c->wake, &count, sizeof(count)) < 0)
			continue;
		for (size_t i = 0; i < CONTROL_THREADS; i++)
			if (c->sessions[i].fd >= 0 &&
			    atomic_load(&c->sessions[i].done))
				join(&c->sessions[i]);
		if (p[1].revents & POLLIN && !atomic_load(&c->stopping))
			on_accept(c);
	}
	return NULL;
}

/* ---- Start and stop --------------------------------------------------- */

static enum err fail(struct buf *why, const char *path, const char *what)
{
	buf_put_str(why, path);
	buf_put_str(why, ": ");
	buf_put_str(why, what);
	buf_put_str(why, ": ");
	buf_put_str(why, strerror(errno));
	return ERR_IO;
}

/* A bound, private, listening socket at @path. */
static enum err open_listener(const char *path, int *out, struct buf *why)
{
	struct sockaddr_un at;
	int dir = -1;
	enum err e = wire_address(path, &at, &dir);
	if (e)
		return fail(why, path, "cannot use this path");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;
	if (lstat(at.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(at.sun_path);
	/* Nobody can connect before listen, so the mode is in time. */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
	    chmod(at.sun_path, S_IRUSR | S_IWUSR) != 0 || listen(fd, 64) != 0)
		e = fail(why, path, "cannot listen");
	if (dir >= 0)
		close(dir);
	if (e && fd >= 0)
		close(fd);
	*out = fd;
	return e;
}

enum err control_start(const struct control_options *o, struct control **out,
		       struct buf *why)
{
	struct control *c = xcalloc(1, sizeof(*c));
	enum err e = open_listener(o->path, &c->listener, why);
	if (e)
		goto fail_listener;
	c->options = *o;
	c->path = xstrdup(o->path);
	for (size_t i = 0; i < CONTROL_THREADS; i++)
		c->sessions[i].fd = -1;
	c->wake = eventfd(0, EFD_CLOEXEC);
	if (c->wake < 0) {
		e = fail(why, o->path, "cannot make an eventfd");
		goto fail_wake;
	}
	/* Signals are the main thread's; commands inherit this. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	errno = pthread_create(&c->thread, NULL, run_accept, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno) {
		e = fail(why, o->path, "cannot start a thread");
		goto fail_thread;
	}
	*out = c;
	return ERR_OK;
fail_thread:
	close(c->wake);
fail_wake:
	close(c->listener);
	unlink(c->path);
	free(c->path);
fail_listener:
	free(c);
	return e;
}

/* Shut down the sockets of all commands that still run; returns how many. */
static unsigned hurry(struct control *c, int how)
{
	unsigned left = 0;
	for (size_t i = 0; i < CONTROL_THREADS; i++) {
		struct session *s = &c->sessions[i];
		if (s->fd < 0 || atomic_load(&s->done))
			continue;
		atomic_store(&s->stop, true);
		shutdown(s->fd, how);
		left++;
	}
	return left;
}

void control_stop(struct control *c)
{
	if (c == NULL)
		return;
	atomic_store(&c->stopping, true);
	wake(c);
	pthread_join(c->thread, NULL);
	unlink(c->path);
	close(c->listener);
	/* No more answers from users, then no more words to them. */
	int64_t deadline = monotonic_ms() + STOP_MS;
	while (hurry(c, SHUT_RD) > 0 && monotonic_ms() < deadline)
		poll(NULL, 0, 10);
	hurry(c, SHUT_RDWR);
	for (size_t i = 0; i < CONTROL_THREADS; i++)
		if (c->sessions[i].fd >= 0)
			join(&c->sessions[i]);
	close(c->wake);
	free(c->path);
	free(c);
}

unsigned control_running(struct control *c)
{
	return atomic_load(&c->running);
}
