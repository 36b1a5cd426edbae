#include "node/hands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/disk.h"

#define OUT_AGE_MS 50 /* output is not held back for longer */
#define WAIT_MS 200 /* between looks at the interrupt flag */

static enum err say_errno(struct buf *why, const char *what, int code)
{
	say(why, "%s: %s", what, strerror(code));
	return err_of_errno(code);
}

static uint64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_interrupted(const struct hands *h)
{
	return h->interrupted && *h->interrupted > 0;
}

/* Write all of it; waits where the descriptor does not block. */
static enum err write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n >= 0) {
			s = slice_sub(s, (size_t)n, s.n - (size_t)n);
		} else if (errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };
			poll(&p, 1, WAIT_MS);
		} else if (errno != EINTR) {
			return err_of_errno(errno);
		}
	}
	return ERR_OK;
}

/* ---- Standard streams ------------------------------------------------- */

void hands_init(struct hands *h, int argc, char *const *argv,
		const volatile sig_atomic_t *interrupted)
{
	*h = (struct hands){ .argc = argc,
			     .argv = argv,
			     .interrupted = interrupted };
	for (size_t i = 0; i < HANDS_FILES; i++)
		h->files[i].fd = -1;
	buf_init(&h->out, HANDS_OUT_BYTES);
}

void hands_flush(struct hands *h)
{
	if (h->out.n > 0 && !h->gone &&
	    write_all(STDOUT_FILENO, buf_slice(&h->out)))
		h->gone = true;
	buf_reset(&h->out);
}

static void on_write(void *arg, int fd, struct slice bytes)
{
	struct hands *h = arg;
	if (fd != STDOUT_FILENO) {
		hands_flush(h);
		/* Nobody can be told when standard error is gone. */
		if (write_all(STDERR_FILENO, bytes))
			return;
		return;
	}
	if (h->out.n + bytes.n > HANDS_OUT_BYTES)
		hands_flush(h);
	if (bytes.n >= HANDS_OUT_BYTES) {
		if (!h->gone && write_all(STDOUT_FILENO, bytes))
			h->gone = true;
		return;
	}
	if (h->out.n == 0)
		h->out_ms = monotonic_ms();
	buf_put(&h->out, bytes);
}

static bool on_is_cancelled(void *arg)
{
	struct hands *h = arg;
	if (h->out.n > 0 && monotonic_ms() - h->out_ms > OUT_AGE_MS)
		hands_flush(h);
	return h->gone || is_interrupted(h);
}

/* ---- Files ------------------------------------------------------------ */

static struct hand *hand_of(struct hands *h, int handle)
{
	if (handle < 0 || (size_t)handle >= HANDS_FILES ||
	    h->files[handle].fd < 0)
		return NULL;
	return &h->files[handle];
}

int hands_fd(const struct hands *h, int handle)
{
	if (handle < 0 || (size_t)handle >= HANDS_FILES)
		return -1;
	return h->files[handle].fd;
}

/* A free place in the table, or -1 with the reason. */
static int take_place(struct hands *h, const char *path, bool create,
		      struct buf *why, enum err *e)
{
	if (!cmd_names(h->argc, h->argv, path, create)) {
		buf_put_str(why, "the command line does not name this file");
		*e = ERR_DENIED;
		return -1;
	}
	for (int i = 0; i < (int)HANDS_FILES; i++)
		if (h->files[i].fd < 0)
			return i;
	buf_put_str(why, "too many open files");
	*e = ERR_LIMIT;
	return -1;
}

static enum err on_open(void *arg, const char *path, int *handle,
			struct buf *why)
{
	struct hands *h = arg;
	enum err e = ERR_OK;
	int i = take_place(h, path, false, why, &e);
	if (i < 0)
		return e;
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return say_errno(why, "cannot open", errno);
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (!is_stdin)
			close(fd);
		return say_errno(why, "cannot read", EISDIR);
	}
	h->files[i] = (struct hand){ .fd = fd };
	*handle = i;
	return ERR_OK;
}

/* Where a file that is there really is, and its mode; else as given. */
static char *resolve(const char *path, mode_t *mode, bool *special)
{
	struct stat st;
	*mode = S_IRUSR | S_IWUSR;
	*special = false;
	if (stat(path, &st) != 0)
		return xstrdup(path);
	if (!S_ISREG(st.st_mode)) {
		*special = true;
		return xstrdup(path);
	}
	*mode = st.st_mode & 0777;
	char *real = realpath(path, NULL);
	char *copy = xstrdup(real ? real : path);
	free(real);
	return copy;
}

static char *aside_of(const char *path)
{
	struct buf b;
	buf_init(&b, strlen(path) + 64);
	buf_put_str(&b, path);
	buf_put_str(&b, ".tmp-");
	buf_put_dec(&b, (uint64_t)getpid());
	char *s = xstrndup(buf_slice(&b));
	buf_free(&b);
	return s;
}

static enum err on_create(void *arg, const char *path, int *handle,
			  struct buf *why)
{
	struct hands *h = arg;
	enum err e = ERR_OK;
	int i = take_place(h, path, true, why, &e);
	if (i < 0)
		return e;
	struct hand f = { .fd = STDOUT_FILENO };
	if (strcmp(path, "-") != 0) {
		mode_t mode = 0;
		bool special = false;
		f.path = resolve(path, &mode, &special);
		f.aside = special ? NULL : aside_of(f.path);
		int flags = O_WRONLY | O_CLOEXEC |
			    (special ? 0 : O_CREAT | O_EXCL | O_NOFOLLOW);
		if (f.aside)
			unlink(f.aside); /* of a dead process of this number */
		f.fd = open(f.aside ? f.aside : f.path, flags, mode);
		if (f.fd < 0) {
			e = say_errno(why, "cannot create", errno);
			free(f.path);
			free(f.aside);
			return e;
		}
	}
	h->files[i] = f;
	*handle = i;
	return ERR_OK;
}

static enum err on_read(void *arg, int handle, uint8_t *p, size_t n,
			size_t *got)
{
	struct hands *h = arg;
	struct hand *f = hand_of(h, handle);
	*got = 0;
	if (f == NULL)
		return ERR_BAD_STATE;
	for (;;) {
		if (f->fd == STDIN_FILENO) {
			hands_flush(h); /* a prompt, perhaps */
			struct pollfd w = { .fd = f->fd, .events = POLLIN };
			while (poll(&w, 1, WAIT_MS) <= 0)
				if (is_interrupted(h))
					return ERR_CLOSED;
		}
		ssize_t r = read(f->fd, p, n);
		if (r >= 0) {
			*got = (size_t)r;
			return ERR_OK;
		}
		if (errno == EINTR && is_interrupted(h))
			return ERR_CLOSED;
		if (errno != EINTR && errno != EAGAIN)
			return err_of_errno(errno);
	}
}

static enum err on_put(void *arg, int handle, struct slice bytes)
{
	struct hands *h = arg;
	struct hand *f = hand_of(h, handle);
	if (f == NULL)
		return ERR_BAD_STATE;
	if (f->fd == STDOUT_FILENO) {
		on_write(h, STDOUT_FILENO, bytes);
		return h->gone ? ERR_CLOSED : ERR_OK;
	}
	if (f->err == ERR_OK)
		f->err = write_all(f->fd, bytes);
	return f->err;
}

static void forget(struct hand *f)
{
	if (f->fd > STDERR_FILENO)
		close(f->fd);
	if (f->aside)
		unlink(f->aside);
	free(f->path);
	free(f->aside);
	*f = (struct hand){ .fd = -1 };
}

static enum err on_close(void *arg, int handle)
{
	struct hands *h = arg;
	struct hand *f = hand_of(h, handle);
	if (f == NULL)
		return ERR_BAD_STATE;
	enum err e = f->err;
	if (!e && f->aside) {
		e = fsync(f->fd) ? err_of_errno(errno)
				 : disk_rename(f->aside, f->path, NULL);
		if (!e) {
			free(f->aside);
			f->aside = NULL;
		}
	}
	forget(f);
	return e;
}

static void on_discard(void *arg, int handle)
{
	struct hand *f = hand_of(arg, handle);
	if (f)
		forget(f);
}

void hands_free(struct hands *h)
{
	hands_flush(h);
	for (size_t i = 0; i < HANDS_FILES; i++)
		if (h->files[i].fd >= 0)
			forget(&h->files[i]);
	buf_free(&h->out);
}

const struct cmd_io hands_io = {
	.write = on_write,
	.open = on_open,
	.create = on_create,
	.read = on_read,
	.put = on_put,
	.close = on_close,
	.discard = on_discard,
	.is_cancelled = on_is_cancelled,
};
