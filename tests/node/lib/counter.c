#define _GNU_SOURCE /* memmem */

#include "counter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/tmp.h"

#define OUT_BYTES (64u << 20)
#define ARGS_MAX 24

/* Hands. */

static struct counter_file *find(struct counter_hands *h, const char *name)
{
	for (size_t i = 0; i < COUNTER_FILES; i++) {
		if (h->files[i].name != NULL &&
		    strcmp(h->files[i].name, name) == 0)
			return &h->files[i];
	}
	return NULL;
}

static struct counter_file *make(struct counter_hands *h, const char *name)
{
	struct counter_file *f = find(h, name);

	for (size_t i = 0; i < COUNTER_FILES && f == NULL; i++) {
		if (h->files[i].name != NULL)
			continue;
		f = &h->files[i];
		f->name = xstrdup(name);
		buf_init(&f->bytes, OUT_BYTES);
	}
	assert_non_null(f);
	return f;
}

static void on_write(void *arg, int fd, struct slice bytes)
{
	struct counter_hands *h = arg;

	buf_put(fd == 1 ? &h->out : &h->err, bytes);
}

static enum err take_handle(struct counter_hands *h, struct counter_file *f,
			    bool write, int *handle)
{
	for (int i = 0; i < 8; i++) {
		if (h->handles[i].file != NULL)
			continue;
		h->handles[i] = (struct counter_handle){ f, 0, write };
		*handle = i;
		return ERR_OK;
	}
	return ERR_LIMIT;
}

static enum err on_open(void *arg, const char *path, int *handle,
			struct buf *why)
{
	struct counter_hands *h = arg;
	struct counter_file *f = find(h, path);

	if (f == NULL) {
		buf_put_str(why, "no such file");
		return ERR_NOT_FOUND;
	}
	h->opens++;
	return take_handle(h, f, false, handle);
}

static enum err on_create(void *arg, const char *path, int *handle,
			  struct buf *why)
{
	struct counter_hands *h = arg;
	struct counter_file *f = make(h, path);

	(void)why;
	buf_reset(&f->bytes);
	return take_handle(h, f, true, handle);
}

static enum err on_read(void *arg, int handle, uint8_t *p, size_t n,
			size_t *got)
{
	struct counter_hands *h = arg;
	struct counter_handle *k = &h->handles[handle];
	size_t left = k->file->bytes.n - k->at;

	assert_false(k->write);
	if (n > left)
		n = left;
	if (h->cut && n > 1)
		n = 1;
	if (n > 0)
		memcpy(p, k->file->bytes.p + k->at, n);
	k->at += n;
	*got = n;
	return ERR_OK;
}

static enum err on_put(void *arg, int handle, struct slice bytes)
{
	struct counter_hands *h = arg;

	assert_true(h->handles[handle].write);
	buf_put(&h->handles[handle].file->bytes, bytes);
	return h->handles[handle].file->bytes.err;
}

static enum err on_close(void *arg, int handle)
{
	struct counter_hands *h = arg;

	h->handles[handle].file = NULL;
	return ERR_OK;
}

static void on_discard(void *arg, int handle)
{
	struct counter_hands *h = arg;
	struct counter_file *f = h->handles[handle].file;

	h->handles[handle].file = NULL;
	if (h->handles[handle].write) {
		buf_free(&f->bytes);
		free(f->name);
		f->name = NULL;
	}
}

static bool on_cancelled(void *arg)
{
	struct counter_hands *h = arg;

	if (h->cancel_after > 0)
		h->cancel_after--;
	return h->cancel_after == 0;
}

static const struct cmd_io counter_io = {
	.write = on_write,
	.open = on_open,
	.create = on_create,
	.read = on_read,
	.put = on_put,
	.close = on_close,
	.discard = on_discard,
	.is_cancelled = on_cancelled,
};

void counter_hands_init(struct counter_hands *h, struct home *home)
{
	*h = (struct counter_hands){ .home = home, .cancel_after = -1 };
	buf_init(&h->out, OUT_BYTES);
	buf_init(&h->err, OUT_BYTES);
}

void counter_hands_free(struct counter_hands *h)
{
	for (size_t i = 0; i < COUNTER_FILES; i++) {
		buf_free(&h->files[i].bytes);
		free(h->files[i].name);
	}
	buf_free(&h->out);
	buf_free(&h->err);
}

void counter_file(struct counter_hands *h, const char *name, struct slice bytes)
{
	struct counter_file *f = make(h, name);

	buf_reset(&f->bytes);
	buf_put(&f->bytes, bytes);
}

void counter_text(struct counter_hands *h, const char *name, const char *text)
{
	counter_file(h, name, slice_str(text));
}

struct slice counter_read(struct counter_hands *h, const char *name)
{
	struct counter_file *f = find(h, name);

	return f != NULL ? buf_slice(&f->bytes) : slice_of(NULL, 0);
}

bool counter_has(struct counter_hands *h, const char *name)
{
	return find(h, name) != NULL;
}

/* Commands. */

static const struct cmd_entry entry = {
	.name = "desk",
	.place = CMD_HOME,
	.summary = "A command under test.",
	.synopsis = "desk",
	.example = "",
};

int counter_run(struct counter_hands *h, int (*run)(struct cmd *c),
		const char *words)
{
	char *text = xstrdup(words);
	char *argv[ARGS_MAX + 1] = { text };
	struct cmd c = { .argc = 1,
			 .argv = argv,
			 .entry = &entry,
			 .columns = 80,
			 .io = &counter_io,
			 .io_arg = h,
			 .home = h->home };
	char *save = NULL;
	int code;

	for (char *w = strtok_r(text, " ", &save); w != NULL;
	     w = strtok_r(NULL, " ", &save)) {
		assert_true(c.argc < ARGS_MAX);
		argv[c.argc++] = w;
	}
	argv[c.argc] = NULL;
	c.json = cmd_flag(&c, "--json");
	buf_reset(&h->out);
	buf_reset(&h->err);
	code = run(&c);
	for (int i = 0; i < 8; i++)
		assert_null(h->handles[i].file);
	free(text);
	return code;
}

static void must_hold(const struct buf *b, const char *text)
{
	if (b->n > 0 && memmem(b->p, b->n, text, strlen(text)) != NULL)
		return;
	fail_msg("\"%s\" is not in:\n%.*s", text, (int)b->n,
		 b->p != NULL ? (const char *)b->p : "");
}

void counter_said(struct counter_hands *h, const char *text)
{
	must_hold(&h->out, text);
}

void counter_told(struct counter_hands *h, const char *text)
{
	must_hold(&h->err, text);
}

/* Desks. */

void counter_open(struct counter *d, const char *member)
{
	d->root = tmp_make();
	nest_make(&d->nest, d->root, member);
	nest_open(&d->nest);
	counter_hands_init(&d->hands, &d->nest.home);
}

void counter_reopen(struct counter *d)
{
	nest_close(&d->nest);
	nest_open(&d->nest);
}

void counter_close(struct counter *d)
{
	counter_hands_free(&d->hands);
	nest_free(&d->nest);
	tmp_remove(d->root);
}

uint64_t counter_size(struct counter *d)
{
	struct store_head head;
	struct store_txn *t;

	assert_int_equal(store_read(d->nest.home.store, &t), ERR_OK);
	assert_int_equal(store_head_get(t, d->nest.home.own_log, &head),
			 ERR_OK);
	store_abort(t);
	return head.frontier.size;
}
