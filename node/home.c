#include "node/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "node/disk.h"
#include "node/guard.h"

#define GIB_SHIFT 30

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* DIR as an absolute path: the process may change its own later. */
static enum err open_dir(struct home *h, const char *dir, struct buf *why)
{
	char *path = realpath(dir, NULL);

	if (path == NULL) {
		enum err err = err_of_errno(errno);

		say(why, "cannot open %s: %s", dir, strerror(errno));
		return err;
	}
	h->dir = path;
	return ERR_OK;
}

static enum err read_config(struct home *h, struct buf *why)
{
	char *path = path_join(h->dir, "symbolon.yaml");
	enum err err;

	if (!disk_exists(path)) {
		say(why, "%s is not there; `symbolon init` makes it", path);
		err = ERR_NOT_FOUND;
	} else {
		err = config_load(path, &h->config, why);
	}
	free(path);
	return err;
}

/* One process at a time: a second one would sign a second history. */
static enum err take_lock(struct home *h, const char *data, struct buf *why)
{
	char *path = path_join(data, "lock");
	enum err err = ERR_OK;

	h->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock_fd < 0) {
		err = err_of_errno(errno);
		say(why, "cannot open %s: %s", path, strerror(errno));
	} else if (flock(h->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		err = errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO;
		say(why, "%s: %s", h->dir,
		    err == ERR_BUSY ? "another process has this directory open"
				    : strerror(errno));
	}
	free(path);
	return err;
}

static enum err read_keys(struct home *h, struct buf *why)
{
	char *path = path_join(h->dir, "keys");
	enum err err =
		keys_load(path, slice_str(h->config.member), &h->keys, why);

	free(path);
	if (err != ERR_OK)
		return err;
	index_keys_init(&h->index, h->keys.index);
	h->origin = xstrdup(h->keys.log.key.name);
	h->origin_hash = hash_bytes(slice_str(h->origin));
	return ERR_OK;
}

static enum err make_guard(const char *path, struct buf *why)
{
	const struct head none = { .size = 0, .root = hash_empty() };
	struct guard_state state;
	struct guard *g;
	enum err err = guard_open(path, &g, &state, why);

	if (err != ERR_OK)
		return err;
	err = guard_write(g, &none, slice_of(NULL, 0));
	guard_close(g);
	return err;
}

/* Keys that `init` has just made carry a guard that says so; the first to
 * open the directory makes the log's guard of it. A copy of it proves
 * nothing and is removed like one that was used. */
static enum err take_over_guard(const char *keys, const char *guard,
				struct buf *why)
{
	char *unused = path_join(keys, "unused");
	struct guard_state state;
	struct guard *g;
	enum err err = guard_open(unused, &g, &state, why);

	if (err != ERR_OK)
		goto out;
	guard_close(g);
	if (state.file == GUARD_MISSING)
		goto out;
	if (state.file == GUARD_GENUINE && !disk_exists(guard))
		err = make_guard(guard, why);
	if (err == ERR_OK && unlink(unused) == 0)
		err = disk_sync_parent(unused, why);
out:
	free(unused);
	return err;
}

static enum err open_guard(struct home *h, const char *guard, struct buf *why)
{
	char *keys = path_join(h->dir, "keys");
	enum err err = take_over_guard(keys, guard, why);

	if (err != ERR_OK)
		say(why, "cannot make %s: %s", guard, err_text(err));
	free(keys);
	return err;
}

static enum err open_data(struct home *h, const char *data, struct buf *why)
{
	struct store_options o = {
		.map_bytes = (uint64_t)h->config.store.map_gib << GIB_SHIFT,
		.create = true,
	};
	char *store = path_join(data, "store");
	char *vault = path_join(data, "vault");
	enum err err;

	o.path = store;
	err = store_open(&o, &h->store, why);
	if (err == ERR_OK)
		err = vault_open(vault, &h->vault, why);
	free(vault);
	free(store);
	return err;
}

static enum err open_members(struct home *h, struct buf *why)
{
	struct store_txn *t;
	struct members *m;
	enum err err = store_read(h->store, &t);

	if (err != ERR_OK)
		return err;
	err = members_load(t, &m, why);
	store_abort(t);
	if (err == ERR_OK)
		h->members = members_cell_open(m);
	return err;
}

static enum err start_writer(struct home *h, const struct home_options *o,
			     const char *guard, struct buf *why)
{
	struct writer_options w = {
		.store = h->store,
		.vault = h->vault,
		.keys = &h->keys,
		.members = h->members,
		.guard_path = guard,
		.now_ms = now_ms,
		.on_commit = o->on_commit,
		.arg = o->arg,
	};
	struct store_txn *t;
	enum err err = writer_start(&w, &h->writer, why);

	if (err != ERR_OK)
		return err;
	writer_set_signing(h->writer, writer_is_trusted(h->writer)
					      ? SIGNING_ALLOWED
					      : SIGNING_RECOVERING);
	err = store_read(h->store, &t);
	if (err != ERR_OK)
		return err;
	err = store_log_find(t, slice_str(h->origin), &h->own_log);
	store_abort(t);
	return err;
}

enum err home_open(const struct home_options *o, struct home *out,
		   struct buf *why)
{
	char *data = NULL, *guard = NULL;
	enum err err;

	*out = (struct home){ .lock_fd = -1 };
	out->heard_ms = xcalloc(LIMIT_LOGS, sizeof(*out->heard_ms));
	err = open_dir(out, o->dir, why);
	if (err == ERR_OK)
		err = read_config(out, why);
	if (err != ERR_OK)
		goto out;
	data = path_join(out->dir, "data");
	guard = path_join(data, "guard");
	err = disk_mkdir(data, why);
	if (err == ERR_OK)
		err = take_lock(out, data, why);
	if (err == ERR_OK)
		err = read_keys(out, why);
	if (err == ERR_OK)
		err = open_guard(out, guard, why);
	if (err == ERR_OK)
		err = open_data(out, data, why);
	if (err == ERR_OK)
		err = open_members(out, why);
	if (err == ERR_OK)
		err = start_writer(out, o, guard, why);
out:
	free(guard);
	free(data);
	if (err != ERR_OK)
		home_close(out);
	return err;
}

void home_close(struct home *h)
{
	writer_stop(h->writer);
	members_cell_close(h->members);
	vault_close(h->vault);
	store_close(h->store);
	wipe(&h->index, sizeof(h->index));
	keys_wipe(&h->keys);
	config_free(&h->config);
	/* Last: until here nobody else may have the directory. */
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	free((void *)(uintptr_t)h->heard_ms);
	free(h->origin);
	free(h->dir);
	*h = (struct home){ .lock_fd = -1 };
}
