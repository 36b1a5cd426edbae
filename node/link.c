#include "node/link.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "proto/message.h"

/* Output that neither TLS nor the kernel has taken: a caller that goes on in
 * spite of link_out_bytes ends the link, not the process. */
#define OUT_BYTES_MAX (32u << 20)

enum state {
	LINK_CONNECTING,
	LINK_HANDSHAKE,
	LINK_OPEN,
	LINK_CLOSING, /* last words are on their way; what comes is dropped */
	LINK_CLOSED, /* handles are being closed */
};

struct link {
	uv_tcp_t tcp;
	uv_timer_t timer; /* deadline: handshake, or lingering */
	uv_connect_t connect;
	uv_shutdown_t shutdown;
	unsigned handles; /* tcp and timer, until they are closed */
	struct loop *loop;
	const struct link_events *events;
	void *arg;
	struct tls *tls;
	enum state state;
	bool dialled, trusted;
	bool held; /* by link_hold */
	bool released; /* frames may be waiting in @in */
	bool reading; /* uv_read_start is in force */
	bool high; /* output went above the high mark */
	bool spoke; /* a frame was delivered */
	bool ended; /* @end is set */
	bool shut; /* uv_shutdown was called */
	struct loop_task turn; /* end of the turn: go on, send */
	struct buf carry; /* ciphertext that came while held */
	struct buf in; /* plaintext, from in_at on undelivered */
	size_t in_at;
	struct buf plain; /* frames of this turn */
	struct buf cipher; /* output of TLS */
	size_t writing; /* bytes given to libuv */
	struct link_end end;
	char address[DIAL_TEXT_BYTES];
};

/* Bytes on their way out; owns them. */
struct out {
	uv_write_t req;
	struct link *link;
	struct buf data;
	size_t bytes;
};

static void on_turn(struct loop_task *t);
static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b);
static void on_written(uv_write_t *req, int status);
static void on_shut(uv_shutdown_t *req, int status);
static void on_handle_closed(uv_handle_t *h);

/* Ends. */

static enum link_step step_of(const struct link *l)
{
	if (l->state == LINK_CONNECTING)
		return LINK_TCP;
	return l->state == LINK_HANDSHAKE ? LINK_TLS : LINK_FRAMES;
}

static void set_end(struct link *l, enum err code, bool theirs,
		    const char *text)
{
	if (l->ended)
		return;
	l->ended = true;
	l->end.step = step_of(l);
	l->end.code = code;
	l->end.theirs = theirs;
	(void)snprintf(l->end.text, sizeof(l->end.text), "%s", text);
}

static void close_handles(struct link *l)
{
	if (l->state == LINK_CLOSED)
		return;
	l->state = LINK_CLOSED;
	uv_close((uv_handle_t *)&l->tcp, on_handle_closed);
	uv_close((uv_handle_t *)&l->timer, on_handle_closed);
}

static void release(struct link *l)
{
	tls_close(l->tls);
	buf_free(&l->carry);
	buf_wipe(&l->in);
	buf_wipe(&l->plain);
	buf_free(&l->cipher);
	free(l);
}

static struct link *link_of(struct loop_task *turn)
{
	return (struct link *)((char *)turn - offsetof(struct link, turn));
}

static void on_last(struct loop_task *t)
{
	struct link *l = link_of(t);

	l->events->on_closed(l, &l->end);
	release(l);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct link *l = h->data;

	if (--l->handles > 0)
		return;
	if (l->turn.queued) /* still in the loop's list: it runs on_turn */
		return;
	on_last(&l->turn);
}

void link_abort(struct link *l, enum err code, const char *text)
{
	set_end(l, code, false, text);
	close_handles(l);
}

/* All is written: say so to the kernel and wait for the other side. */
static void shut(struct link *l)
{
	l->shut = true;
	l->shutdown.data = l;
	if (uv_shutdown(&l->shutdown, (uv_stream_t *)&l->tcp, on_shut) != 0)
		close_handles(l);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	struct link *l = req->data;

	if (status != 0)
		close_handles(l);
}

static void on_linger(uv_timer_t *t)
{
	close_handles(t->data);
}

static void on_deadline(uv_timer_t *t)
{
	struct link *l = t->data;

	set_end(l, ERR_TIMEOUT, true,
		l->state == LINK_CONNECTING  ? "no answer"
		: l->state == LINK_HANDSHAKE ? "the TLS handshake took too long"
					     : "it did not say HELLO in time");
	close_handles(l);
}

/* Reading. */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct link *l = h->data;

	(void)suggested;
	*b = uv_buf_init((char *)loop_read_buffer(l->loop), LOOP_READ_BYTES);
}

static bool wants_input(const struct link *l)
{
	switch (l->state) {
	case LINK_CONNECTING:
	case LINK_CLOSED:
		return false;
	case LINK_CLOSING:
		return true;
	case LINK_HANDSHAKE:
	case LINK_OPEN:
		break;
	}
	return !l->held && l->carry.n == 0 &&
	       link_out_bytes(l) < LINK_OUT_STOP_BYTES;
}

static void update_reading(struct link *l)
{
	bool want = wants_input(l);

	if (want == l->reading || l->state == LINK_CLOSED)
		return;
	l->reading = want;
	if (!want)
		(void)uv_read_stop((uv_stream_t *)&l->tcp);
	else if (uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read) != 0)
		link_abort(l, ERR_CLOSED, "the connection is gone");
}

/* Give back what a large frame or burst left behind. */
static void shrink(struct buf *b)
{
	if (b->cap > LINK_KEEP_BYTES)
		buf_free(b);
	else
		buf_reset(b);
}

static void fail_tls(struct link *l)
{
	const struct tls_failure *f = tls_failure(l->tls);

	if (!l->ended) {
		set_end(l, f->code, f->theirs, f->text);
		/* In TLS 1.3 a client learns only now that it was refused. */
		if (!l->spoke)
			l->end.step = LINK_TLS;
	}
	if (f->theirs || f->code == ERR_TRUNCATED)
		close_handles(l);
	else
		link_close(l, f->code, f->text); /* sends the alert */
}

static void shake_hands(struct link *l)
{
	struct digest spki;
	enum err e = tls_handshake(l->tls);

	if (e == ERR_BUSY)
		return;
	if (e == ERR_OK && tls_peer(l->tls, &spki) == ERR_OK) {
		l->state = LINK_OPEN;
		l->events->on_open(l, &spki);
		return;
	}
	fail_tls(l);
}

/* Frames that are complete. False: nothing more to do now. */
static bool deliver(struct link *l)
{
	uint32_t max = l->trusted ? LIMIT_FRAME_BYTES : LIMIT_FRAME_NEW_BYTES;
	struct slice rest, frame;
	enum err e;

	rest = slice_sub(buf_slice(&l->in), l->in_at, l->in.n - l->in_at);
	e = frame_split(&rest, max, &frame);
	if (e == ERR_OK) {
		l->in_at = l->in.n - rest.n;
		l->spoke = true;
		l->events->on_frame(l, frame);
		return true;
	}
	if (e == ERR_LIMIT)
		link_refuse(l, e, "the frame is longer than allowed");
	else if (e != ERR_TRUNCATED)
		link_refuse(l, e, "the frame is empty");
	return false;
}

/* Drop what was delivered. */
static void settle(struct link *l)
{
	if (l->in_at == 0)
		return;
	buf_drop(&l->in, l->in_at);
	l->in_at = 0;
	if (l->in.n == 0)
		shrink(&l->in);
}

/* One record of plaintext. False: no more now. */
static bool read_plain(struct link *l)
{
	size_t before, got;
	uint8_t *p;
	enum err e;

	settle(l);
	before = l->in.n;
	p = buf_extend(&l->in, TLS_READ_BYTES);
	assert(p != NULL); /* the longest frame and one record fit */
	e = tls_read(l->tls, p, TLS_READ_BYTES, &got);
	l->in.n = before + got;
	if (e == ERR_CLOSED) {
		set_end(l, ERR_CLOSED, true, "it closed");
		link_close(l, ERR_CLOSED, "it closed");
	} else if (e != ERR_OK) {
		fail_tls(l);
	}
	return e == ERR_OK && got > 0;
}

/* Go as far as what came allows. */
static void advance(struct link *l)
{
	if (l->state == LINK_HANDSHAKE)
		shake_hands(l);
	while (l->state == LINK_OPEN && !l->held)
		if (!deliver(l) &&
		    (l->state != LINK_OPEN || l->held || !read_plain(l)))
			break;
	settle(l);
	if (l->in.n == 0)
		shrink(&l->in);
	loop_defer(l->loop, &l->turn);
}

static void take_input(struct link *l, struct slice in)
{
	struct slice left;

	if (l->state == LINK_CLOSING)
		return;
	tls_feed(l->tls, in);
	advance(l);
	left = tls_unread(l->tls);
	if (left.n == 0)
		return;
	/* Held in the middle: the loop's buffer is wanted by others. */
	tls_unfeed(l->tls);
	if (l->state == LINK_OPEN)
		buf_put(&l->carry, left);
	assert(l->carry.err == ERR_OK);
	update_reading(l); /* at once: libuv reads on in the same callback */
}

static void take_carry(struct link *l)
{
	struct buf in = l->carry;

	buf_init(&l->carry, LOOP_READ_BYTES);
	take_input(l, buf_slice(&in));
	buf_free(&in);
}

static void take_end(struct link *l, int code)
{
	char text[96];
	enum err e;

	if (l->state == LINK_CLOSING) {
		close_handles(l);
		return;
	}
	e = loop_error(code, text, sizeof(text));
	if (code == UV_EOF) {
		e = tls_end(l->tls);
		if (e != ERR_OK) {
			fail_tls(l);
			return;
		}
	}
	set_end(l, e == ERR_OK ? ERR_CLOSED : e, true, text);
	close_handles(l);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct link *l = s->data;

	if (n > 0)
		take_input(l, slice_of(b->base, (size_t)n));
	else if (n < 0)
		take_end(l, (int)n);
}

/* Writing. */

static void note_room(struct link *l)
{
	if (!l->high || link_out_bytes(l) >= LIMIT_OUT_LOW_BYTES)
		return;
	l->high = false;
	if (l->state == LINK_OPEN)
		l->events->on_room(l);
}

static void on_written(uv_write_t *req, int status)
{
	struct out *o = req->data;
	struct link *l = o->link;
	char text[96];
	enum err e;

	l->writing -= o->bytes;
	buf_free(&o->data);
	free(o);
	e = loop_error(status, text, sizeof(text));
	if (e != ERR_OK) {
		set_end(l, e, true, text);
		close_handles(l);
		return;
	}
	note_room(l);
	loop_defer(l->loop, &l->turn);
}

static void write_rest(struct link *l, size_t sent)
{
	struct out *o = xcalloc(1, sizeof(*o));
	uv_buf_t b;
	int bad;

	o->link = l;
	o->data = l->cipher;
	o->bytes = l->cipher.n - sent;
	o->req.data = o;
	buf_init(&l->cipher, OUT_BYTES_MAX);
	b = uv_buf_init((char *)o->data.p + sent, (unsigned)o->bytes);
	l->writing += o->bytes;
	bad = uv_write(&o->req, (uv_stream_t *)&l->tcp, &b, 1, on_written);
	if (bad != 0)
		on_written(&o->req, bad);
}

static void write_cipher(struct link *l)
{
	uv_buf_t b = uv_buf_init((char *)l->cipher.p, (unsigned)l->cipher.n);
	char text[96];
	int sent = 0;
	enum err e;

	if (l->writing == 0)
		sent = uv_try_write((uv_stream_t *)&l->tcp, &b, 1);
	if (sent < 0 && sent != UV_EAGAIN) {
		e = loop_error(sent, text, sizeof(text));
		set_end(l, e, true, text);
		close_handles(l);
	} else if (sent >= 0 && (size_t)sent == l->cipher.n) {
		shrink(&l->cipher);
	} else {
		write_rest(l, sent > 0 ? (size_t)sent : 0);
	}
}

static void encrypt(struct link *l)
{
	enum err e = l->plain.err;

	if (e == ERR_OK && l->plain.n > 0)
		e = tls_write(l->tls, buf_slice(&l->plain));
	shrink(&l->plain);
	if (e != ERR_OK)
		link_abort(l, e, "it does not take what it asked for");
}

static void finish_writing(struct link *l)
{
	if (l->state == LINK_OPEN || l->state == LINK_CLOSING)
		encrypt(l);
	if (l->state == LINK_CLOSING)
		tls_finish(l->tls);
	if (l->state != LINK_CLOSED && l->cipher.n > 0)
		write_cipher(l);
	if (l->state == LINK_CLOSING && l->writing == 0 && !l->shut)
		shut(l);
}

static void on_turn(struct loop_task *t)
{
	struct link *l = link_of(t);

	if (l->state == LINK_CLOSED) {
		if (l->handles == 0)
			on_last(t);
		return;
	}
	if (l->state == LINK_OPEN && !l->held && l->carry.n > 0)
		take_carry(l);
	else if (l->state == LINK_OPEN && !l->held && l->released)
		advance(l);
	l->released = false;
	if (l->state == LINK_CONNECTING || l->state == LINK_CLOSED)
		return;
	finish_writing(l);
	note_room(l);
	update_reading(l);
}

/* Starts. */

static struct link *make(const struct link_options *o, enum tls_side side)
{
	struct link *l = xcalloc(1, sizeof(*l));
	int bad = 0;

	bad |= uv_tcp_init(loop_uv(o->loop), &l->tcp);
	bad |= uv_timer_init(loop_uv(o->loop), &l->timer);
	assert(bad == 0);
	l->tcp.data = l->timer.data = l->connect.data = l;
	l->handles = 2;
	l->loop = o->loop;
	l->events = o->events;
	l->arg = o->arg;
	l->turn.run = on_turn;
	l->dialled = side == TLS_CLIENT;
	buf_init(&l->carry, LOOP_READ_BYTES);
	buf_init(&l->in,
		 MESSAGE_PREFIX_BYTES + LIMIT_FRAME_BYTES + 2 * TLS_READ_BYTES);
	buf_init(&l->plain, OUT_BYTES_MAX);
	buf_init(&l->cipher, OUT_BYTES_MAX + OUT_BYTES_MAX / 8);
	l->tls = tls_open(o->tls, side, &l->cipher);
	bad = uv_timer_start(&l->timer, on_deadline, LIMIT_HANDSHAKE_MS, 0);
	assert(bad == 0);
	return l;
}

static void tune(struct link *l)
{
	unsigned stall_ms = LINK_STALL_MS;
	uv_os_fd_t fd;

	(void)uv_tcp_nodelay(&l->tcp, 1);
	if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms,
				 sizeof(stall_ms));
}

static void on_connected(uv_connect_t *req, int status)
{
	struct link *l = req->data;
	char text[96];
	enum err e;

	if (l->state == LINK_CLOSED)
		return;
	e = loop_error(status, text, sizeof(text));
	if (e != ERR_OK) {
		set_end(l, e, false, text);
		close_handles(l);
		return;
	}
	tune(l);
	l->state = LINK_HANDSHAKE;
	advance(l);
}

struct link *link_dial(const struct link_options *o,
		       const struct sockaddr_storage *to)
{
	struct link *l = make(o, TLS_CLIENT);
	int bad;

	l->state = LINK_CONNECTING;
	dial_format(to, l->address);
	bad = uv_tcp_connect(&l->connect, &l->tcp, (const struct sockaddr *)to,
			     on_connected);
	if (bad != 0)
		link_abort(l, ERR_IO, uv_strerror(bad));
	return l;
}

struct link *link_accept(const struct link_options *o, struct listener *from)
{
	struct link *l = make(o, TLS_SERVER);
	struct sockaddr_storage a;
	int n = sizeof(a);

	memset(&a, 0, sizeof(a));
	l->state = LINK_HANDSHAKE;
	if (listener_accept(from, &l->tcp) != ERR_OK ||
	    uv_tcp_getpeername(&l->tcp, (struct sockaddr *)&a, &n) != 0)
		link_abort(l, ERR_CLOSED, "the connection is gone");
	else
		tune(l);
	dial_format(&a, l->address);
	loop_defer(l->loop, &l->turn);
	return l;
}

/* The owner's words. */

void *link_arg(const struct link *l)
{
	return l->arg;
}

const char *link_address(const struct link *l)
{
	return l->address;
}

bool link_is_dialled(const struct link *l)
{
	return l->dialled;
}

void link_trust(struct link *l)
{
	l->trusted = true;
	if (l->state == LINK_OPEN)
		(void)uv_timer_stop(&l->timer);
}

void link_send(struct link *l, struct slice frames)
{
	if (l->state != LINK_OPEN)
		return;
	buf_put(&l->plain, frames);
	if (link_out_bytes(l) >= LIMIT_OUT_HIGH_BYTES)
		l->high = true;
	loop_defer(l->loop, &l->turn);
}

size_t link_out_bytes(const struct link *l)
{
	return l->plain.n + l->cipher.n + l->writing;
}

void link_hold(struct link *l)
{
	l->held = true;
}

void link_release(struct link *l)
{
	l->held = false;
	l->released = true;
	loop_defer(l->loop, &l->turn);
}

void link_close(struct link *l, enum err code, const char *text)
{
	int bad;

	set_end(l, code, false, text);
	if (l->state == LINK_CONNECTING) {
		close_handles(l);
		return;
	}
	if (l->state == LINK_CLOSING || l->state == LINK_CLOSED)
		return;
	l->state = LINK_CLOSING;
	bad = uv_timer_start(&l->timer, on_linger, LINK_LINGER_MS, 0);
	assert(bad == 0);
	loop_defer(l->loop, &l->turn);
}

void link_refuse(struct link *l, enum err code, const char *text)
{
	struct message m = { .type = MSG_BYE };
	struct buf out;

	m.bye.code = code;
	m.bye.text = slice_str(text);
	buf_init(&out, LIMIT_FRAME_NEW_BYTES);
	message_put(&m, &out);
	link_send(l, buf_slice(&out));
	buf_free(&out);
	link_close(l, code, text);
}
