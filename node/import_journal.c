#include "node/import_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* One extent a batch, two values each, and the fields. */
#define EXTENTS_MAX ((LIMIT_ITEMS - 64) / 2)

static const char *const states[] = {
	[JOURNAL_RUNNING] = "running",
	[JOURNAL_COMPLETE] = "complete",
	[JOURNAL_STOPPED] = "stopped",
};

static enum journal_state state_of(struct slice s)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (slice_is(s, states[i]))
			return (enum journal_state)i;
	}
	return JOURNAL_STOPPED;
}

static enum err read_extents(const struct value *v, struct arena *a,
			     struct journal_entry *out)
{
	uint32_t count;

	if (v == NULL)
		return ERR_OK;
	if (v->type != VALUE_ARRAY || v->count % 2 != 0)
		return ERR_CORRUPT;
	count = v->count / 2;
	out->extents = arena_array(a, count + 1, sizeof(*out->extents));
	if (out->extents == NULL)
		return ERR_LIMIT;
	for (uint32_t i = 0; i < count; i++) {
		if (v->items[2 * i].type != VALUE_UINT ||
		    v->items[2 * i + 1].type != VALUE_UINT)
			return ERR_CORRUPT;
		out->extents[i].from = v->items[2 * i].u;
		out->extents[i].to = v->items[2 * i + 1].u;
	}
	out->extent_count = count;
	return ERR_OK;
}

enum err import_journal_get(struct store_txn *t, uint64_t number,
			    struct arena *a, struct journal_entry *out)
{
	struct slice doc;
	struct value v;
	enum err e = store_list_get(t, STORE_IMPORTS, number, &doc);

	if (e == ERR_OK)
		e = arena_copy(a, doc, &doc);
	if (e == ERR_OK)
		e = value_decode(doc, a, &v);
	if (e != ERR_OK)
		return e == ERR_MALFORMED || e == ERR_TRUNCATED ? ERR_CORRUPT
								: e;
	*out = (struct journal_entry){
		.number = number,
		.state = state_of(value_get_str(&v, "state")),
		.kind = value_get_str(&v, "kind"),
		.file = value_get_str(&v, "file"),
		.token = value_get_str(&v, "token"),
		.unix_seconds = value_get_uint(&v, "at", 0),
		.added = value_get_uint(&v, "new", 0),
		.changed = value_get_uint(&v, "changed", 0),
		.unchanged = value_get_uint(&v, "unchanged", 0),
		.learners = value_get_uint(&v, "learners_changed", 0),
		.rejected = value_get_uint(&v, "rejected", 0),
		.undo_of = value_get_uint(&v, "undo_of", 0),
		.undone_by = value_get_uint(&v, "undone_by", 0),
	};
	return read_extents(value_get(&v, "extents"), a, out);
}

static void put_pair(struct value *map, const char *key, struct value v)
{
	map->pairs[map->count].key = slice_str(key);
	map->pairs[map->count++].value = v;
}

static enum err encode(const struct journal_entry *e, struct arena *a,
		       struct buf *out)
{
	struct value v;
	struct value list;
	enum err err = value_map(a, 16, &v);

	if (err == ERR_OK)
		err = value_array(a, e->extent_count * 2, &list);
	if (err != ERR_OK)
		return err;
	for (uint32_t i = 0; i < e->extent_count; i++) {
		list.items[2 * i] = value_uint(e->extents[i].from);
		list.items[2 * i + 1] = value_uint(e->extents[i].to);
	}
	v.count = 0;
	put_pair(&v, "state", value_str(slice_str(states[e->state])));
	put_pair(&v, "kind", value_str(e->kind));
	put_pair(&v, "file", value_str(e->file));
	put_pair(&v, "token", value_str(e->token));
	put_pair(&v, "at", value_uint(e->unix_seconds));
	put_pair(&v, "new", value_uint(e->added));
	put_pair(&v, "changed", value_uint(e->changed));
	put_pair(&v, "unchanged", value_uint(e->unchanged));
	put_pair(&v, "learners_changed", value_uint(e->learners));
	put_pair(&v, "rejected", value_uint(e->rejected));
	put_pair(&v, "undo_of", value_uint(e->undo_of));
	put_pair(&v, "undone_by", value_uint(e->undone_by));
	put_pair(&v, "extents", list);
	return value_encode(&v, out);
}

enum err import_journal_put(struct store_txn *t, struct journal_entry *e)
{
	struct arena a;
	struct buf doc;
	enum err err = ERR_OK;

	arena_init(&a, IMPORT_DOC_BYTES);
	buf_init(&doc, IMPORT_DOC_BYTES);
	if (e->number == 0)
		err = store_list_next(t, STORE_IMPORTS, &e->number);
	if (err == ERR_OK)
		err = encode(e, &a, &doc);
	if (err == ERR_OK)
		err = store_list_put(t, STORE_IMPORTS, e->number,
				     buf_slice(&doc));
	buf_free(&doc);
	arena_free(&a);
	return err;
}

static enum err add_extent(struct journal_entry *e,
			   const struct journal_extent *x)
{
	struct journal_extent *last;

	if (x->from == x->to)
		return ERR_OK;
	last = e->extent_count > 0 ? &e->extents[e->extent_count - 1] : NULL;
	if (last != NULL && last->to == x->from) {
		last->to = x->to;
		return ERR_OK;
	}
	if (e->extent_count == EXTENTS_MAX)
		return ERR_LIMIT;
	e->extents[e->extent_count++] = *x; /* room: read_extents */
	return ERR_OK;
}

enum err import_journal_add(struct store_txn *t, struct journal_entry *e,
			    const struct journal_entry *more)
{
	struct journal_entry old = { .number = 0 };
	struct journal_extent one;
	struct arena a;
	enum err err = ERR_NOT_FOUND;

	arena_init(&a, IMPORT_DOC_BYTES);
	if (e->number > 0)
		err = import_journal_get(t, e->number, &a, &old);
	/* The number may be another's when its transaction was undone. */
	if (err == ERR_NOT_FOUND ||
	    (err == ERR_OK && !slice_equal(old.token, e->token))) {
		old = *e;
		old.number = 0;
		old.extents = &one;
		old.extent_count = 0;
		err = ERR_OK;
	}
	if (err == ERR_OK) {
		old.added += more->added;
		old.changed += more->changed;
		old.learners += more->learners;
		err = add_extent(&old, &more->extents[0]);
	}
	if (err == ERR_OK)
		err = import_journal_put(t, &old);
	if (err == ERR_OK)
		e->number = old.number;
	arena_free(&a);
	return err;
}

/* Files. */

enum err import_tmp_dir(const struct home *h, char **out, struct buf *why)
{
	size_t n = strlen(h->dir) + sizeof("/data/tmp");
	char *path = xmalloc(n);

	(void)snprintf(path, n, "%s/data/tmp", h->dir);
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		buf_put_str(why, path);
		buf_put_str(why, ": cannot be made: ");
		buf_put_str(why, strerror(errno));
		free(path);
		return ERR_IO;
	}
	*out = path;
	return ERR_OK;
}

static int open_lock(const char *tmp, int flags)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/writing.lock", tmp);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	return open(path, O_RDWR | O_CLOEXEC | flags, 0600);
}

int import_lock(const char *tmp)
{
	int fd = open_lock(tmp, O_CREAT);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void import_lock_sign(int fd, struct slice token)
{
	/* Only `import list` reads it; a failure makes it say interrupted. */
	if (ftruncate(fd, 0) != 0 ||
	    pwrite(fd, token.p, token.n, 0) != (ssize_t)token.n)
		return;
}

bool import_is_running(const char *tmp, struct slice token)
{
	uint8_t signed_by[IMPORT_TOKEN_BYTES];
	int fd = open_lock(tmp, 0);
	bool locked;
	ssize_t n;

	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
	n = pread(fd, signed_by, sizeof(signed_by), 0);
	(void)close(fd);
	return locked && n > 0 &&
	       slice_equal(slice_of(signed_by, (size_t)n), token);
}
