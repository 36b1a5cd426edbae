#define _GNU_SOURCE /* O_PATH */

#include "node/control_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/control.h"

void wire_init(struct wire *w, int fd)
{
	*w = (struct wire){ .fd = fd };
	buf_init(&w->in, CONTROL_FRAME_BYTES);
	buf_init(&w->out, CONTROL_FRAME_BYTES + 4);
}

void wire_free(struct wire *w)
{
	buf_free(&w->in);
	buf_free(&w->out);
}

struct enc wire_begin(struct wire *w, enum control_type type, uint32_t fields)
{
	struct enc e;
	buf_reset(&w->out);
	buf_put_u32be(&w->out, 0);
	enc_init(&e, &w->out);
	enc_array(&e, fields + 1);
	enc_uint(&e, type);
	return e;
}

enum err wire_send(struct wire *w)
{
	if (w->out_err == ERR_OK)
		w->out_err = w->out.err;
	if (w->out_err)
		return w->out_err;
	put_u32be(w->out.p, (uint32_t)(w->out.n - 4));
	struct slice s = buf_slice(&w->out);
	while (s.n > 0) {
		ssize_t n = send(w->fd, s.p, s.n, MSG_NOSIGNAL);
		if (n >= 0)
			s = slice_sub(s, (size_t)n, s.n - (size_t)n);
		else if (errno != EINTR)
			return w->out_err = ERR_CLOSED;
	}
	return ERR_OK;
}

bool wire_wait(struct wire *w, int ms)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	return poll(&p, 1, ms) > 0;
}

static int64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Exactly @n bytes. Only the first byte of a frame (@first) may be waited
 * for without end: who sends half a frame and sleeps holds up nobody. */
static enum err take(struct wire *w, uint8_t *p, size_t n, bool first)
{
	int64_t deadline = monotonic_ms() + CONTROL_HELLO_MS;
	size_t got = 0;
	while (got < n) {
		struct pollfd q = { .fd = w->fd, .events = POLLIN };
		int64_t left = deadline - monotonic_ms();
		bool patient = first && got == 0;
		if (!patient && left <= 0)
			return ERR_TIMEOUT;
		if (poll(&q, 1, patient ? -1 : (int)left) <= 0)
			continue;
		ssize_t r = recv(w->fd, p + got, n - got, 0);
		if (r == 0)
			return first && got == 0 ? ERR_CLOSED : ERR_TRUNCATED;
		if (r < 0 && errno != EINTR)
			return ERR_CLOSED;
		got += r > 0 ? (size_t)r : 0;
	}
	return ERR_OK;
}

static enum err take_frame(struct wire *w)
{
	uint8_t head[4];
	enum err e = take(w, head, sizeof(head), true);
	if (e)
		return e;
	uint32_t n = get_u32be(head);
	if (n > CONTROL_FRAME_BYTES)
		return ERR_LIMIT;
	buf_reset(&w->in);
	e = take(w, buf_extend(&w->in, n), n, false);
	return e ? e : dec_scan(buf_slice(&w->in), NULL);
}

enum err wire_recv(struct wire *w, uint32_t *type, struct dec *fields)
{
	*type = 0;
	dec_init(fields, (struct slice){ 0 });
	if (w->in_err == ERR_OK)
		w->in_err = take_frame(w);
	if (w->in_err)
		return w->in_err;
	dec_init(fields, buf_slice(&w->in));
	if (dec_array(fields) == 0)
		return w->in_err = ERR_MALFORMED;
	*type = (uint32_t)dec_uint_max(fields, UINT32_MAX);
	return w->in_err = fields->err;
}

enum err wire_address(const char *path, struct sockaddr_un *out, int *dir)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*dir = -1;
	size_t n = strlen(path);
	if (n < sizeof(out->sun_path)) {
		memcpy(out->sun_path, path, n + 1);
		return ERR_OK;
	}
	/* sun_path has 108 bytes: go through the descriptor. */
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *where =
		slash ? xstrndup(slice_of(path, (size_t)(slash - path) + 1))
		      : xstrdup(".");
	*dir = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(where);
	if (*dir < 0)
		return ERR_NOT_FOUND;
	int len = snprintf(out->sun_path, sizeof(out->sun_path),
			   "/proc/self/fd/%d/%s", *dir, name);
	if (len > 0 && (size_t)len < sizeof(out->sun_path))
		return ERR_OK;
	close(*dir);
	*dir = -1;
	return ERR_LIMIT;
}
