#include "node/vault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/disk.h"

#define FILE_NONE (-1)
#define NAME_BYTES 32u
#define ZEROS_BYTES 4096u

/* A salt is read without a system call where a view of its file reaches. */
#define VIEW_FIRST_BYTES 16384u

struct view {
	struct view *older; /* may be in use until the vault closes */
	const uint8_t *p; /* mapped */
	size_t mapped;
	_Atomic uint64_t bytes; /* may be read; trimming lowers it */
};

struct vault {
	char *path; /* owned */
	pthread_mutex_t lock; /* guards opening, creating and mapping */
	struct view *_Atomic view[LIMIT_LOGS]; /* the widest; NULL: none */
	/* Descriptor of each log's file; FILE_NONE: not opened yet. */
	atomic_int fd[LIMIT_LOGS];
	bool dirty[LIMIT_LOGS]; /* put since the last sync; the writer's */
	bool has_new_file; /* the directory must be synced too */
};

enum err vault_open(const char *path, struct vault **out, struct buf *why)
{
	struct vault *v;
	enum err err = disk_mkdir(path, why);

	if (err != ERR_OK)
		return err;
	v = xcalloc(1, sizeof(*v));
	v->path = xstrdup(path);
	pthread_mutex_init(&v->lock, NULL);
	for (size_t i = 0; i < LIMIT_LOGS; i++) {
		atomic_init(&v->fd[i], FILE_NONE);
		atomic_init(&v->view[i], NULL);
	}
	*out = v;
	return ERR_OK;
}

static void close_views(struct view *newest)
{
	struct view *w, *older;

	for (w = newest; w != NULL; w = older) {
		union {
			const uint8_t *in;
			void *out;
		} p = { w->p };

		older = w->older;
		munmap(p.out, w->mapped);
		free(w);
	}
}

void vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < LIMIT_LOGS; i++) {
		int fd = atomic_load(&v->fd[i]);

		close_views(atomic_load(&v->view[i]));
		if (fd != FILE_NONE)
			close(fd);
	}
	pthread_mutex_destroy(&v->lock);
	free(v->path);
	free(v);
}

static enum err open_file(struct vault *v, uint32_t log, bool create, int *out)
{
	char name[NAME_BYTES];
	enum err err = ERR_OK;
	char *path;
	int fd;

	snprintf(name, sizeof(name), "%u", log);
	path = path_join(v->path, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT, 0600);
		v->has_new_file = true;
	}
	if (fd < 0)
		err = err_of_errno(errno);
	else
		*out = fd;
	free(path);
	return err;
}

/* The descriptor of @log's file. ERR_NOT_FOUND: there is none. */
static enum err file_of(struct vault *v, uint32_t log, bool create, int *fd)
{
	enum err err = ERR_OK;

	assert(log < LIMIT_LOGS);
	*fd = atomic_load_explicit(&v->fd[log], memory_order_acquire);
	if (*fd != FILE_NONE)
		return ERR_OK;
	pthread_mutex_lock(&v->lock);
	*fd = atomic_load(&v->fd[log]);
	if (*fd == FILE_NONE)
		err = open_file(v, log, create, fd);
	if (err == ERR_OK)
		atomic_store_explicit(&v->fd[log], *fd, memory_order_release);
	pthread_mutex_unlock(&v->lock);
	return err;
}

enum err vault_put(struct vault *v, uint32_t log, uint64_t seq,
		   const uint8_t *salts, size_t count)
{
	enum err err;
	int fd;

	err = file_of(v, log, true, &fd);
	if (err != ERR_OK)
		return err;
	v->dirty[log] = true;
	return disk_pwrite(fd, salts, count * LIMIT_SALT_BYTES,
			   seq * LIMIT_SALT_BYTES);
}

static enum err sync_file(int fd)
{
	return fdatasync(fd) == 0 ? ERR_OK : err_of_errno(errno);
}

enum err vault_sync(struct vault *v)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < LIMIT_LOGS && err == ERR_OK; i++) {
		if (!v->dirty[i])
			continue;
		err = sync_file(atomic_load(&v->fd[i]));
		if (err == ERR_OK)
			v->dirty[i] = false;
	}
	if (err == ERR_OK && v->has_new_file) {
		err = disk_sync_dir(v->path, NULL);
		v->has_new_file = err != ERR_OK;
	}
	return err;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

/* Map the file as far as it reaches now; where that fails, salts go on being
 * read by system calls. */
static void widen(struct vault *v, uint32_t log, int fd)
{
	struct view *old, *w;
	struct stat st;
	void *p;

	pthread_mutex_lock(&v->lock);
	old = atomic_load(&v->view[log]);
	if (fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (old != NULL && (uint64_t)st.st_size <= atomic_load(&old->bytes)))
		goto out;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		goto out;
	w = xcalloc(1, sizeof(*w));
	w->older = old;
	w->p = p;
	w->mapped = (size_t)st.st_size;
	atomic_init(&w->bytes, (uint64_t)st.st_size);
	atomic_store_explicit(&v->view[log], w, memory_order_release);
out:
	pthread_mutex_unlock(&v->lock);
}

/* Copy a salt out of the view; false when it does not reach that far. */
static bool look_up(struct vault *v, uint32_t log, uint64_t at, uint8_t *out,
		    uint64_t *reach)
{
	const struct view *w =
		atomic_load_explicit(&v->view[log], memory_order_acquire);

	*reach = w != NULL
			 ? atomic_load_explicit(&w->bytes, memory_order_relaxed)
			 : 0;
	if (at >= *reach || LIMIT_SALT_BYTES > *reach - at)
		return false;
	memcpy(out, w->p + at, LIMIT_SALT_BYTES);
	return true;
}

enum err vault_get(struct vault *v, uint32_t log, uint64_t seq,
		   uint8_t out[LIMIT_SALT_BYTES])
{
	uint64_t at = seq * LIMIT_SALT_BYTES, reach;
	size_t got = LIMIT_SALT_BYTES;
	enum err err = ERR_OK;
	int fd;

	assert(log < LIMIT_LOGS);
	if (!look_up(v, log, at, out, &reach)) {
		err = file_of(v, log, false, &fd);
		if (err == ERR_OK)
			err = disk_pread(fd, out, LIMIT_SALT_BYTES, at, &got);
		/* A quarter further each time: few views, however it grows. */
		if (err == ERR_OK && got == LIMIT_SALT_BYTES &&
		    at >= reach + reach / 4 + VIEW_FIRST_BYTES)
			widen(v, log, fd);
	}
	if (err != ERR_OK)
		return err;
	if (got < LIMIT_SALT_BYTES || is_zero(out, LIMIT_SALT_BYTES))
		return ERR_NOT_FOUND;
	return ERR_OK;
}

enum err vault_erase(struct vault *v, uint32_t log, uint64_t seq)
{
	static const uint8_t zeros[LIMIT_SALT_BYTES];
	uint8_t salt[LIMIT_SALT_BYTES];
	enum err err = vault_get(v, log, seq, salt);

	wipe(salt, sizeof(salt));
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK)
		err = vault_put(v, log, seq, zeros, 1);
	return err == ERR_OK ? vault_sync(v) : err;
}

/* Overwrite [from, to) with zeros: cutting the file off would leave the
 * salts in freed blocks. */
static enum err overwrite(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[ZEROS_BYTES];
	enum err err = ERR_OK;

	while (from < to && err == ERR_OK) {
		uint64_t n = to - from < ZEROS_BYTES ? to - from : ZEROS_BYTES;

		err = disk_pwrite(fd, zeros, (size_t)n, from);
		from += n;
	}
	return err == ERR_OK ? sync_file(fd) : err;
}

/* No view may reach behind the end of the file: that would be a SIGBUS. Those
 * that were looked up before are of records that stay. */
static void narrow(struct vault *v, uint32_t log, uint64_t bytes)
{
	struct view *w;

	pthread_mutex_lock(&v->lock);
	w = atomic_load(&v->view[log]);
	if (w != NULL && atomic_load(&w->bytes) > bytes)
		atomic_store(&w->bytes, bytes);
	pthread_mutex_unlock(&v->lock);
}

enum err vault_trim(struct vault *v, uint32_t log, uint64_t size)
{
	uint64_t from = size * LIMIT_SALT_BYTES;
	struct stat st;
	enum err err;
	int fd;

	err = file_of(v, log, false, &fd);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err != ERR_OK)
		return err;
	if (fstat(fd, &st) != 0)
		return err_of_errno(errno);
	if ((uint64_t)st.st_size <= from)
		return ERR_OK;
	narrow(v, log, from);
	err = overwrite(fd, from, (uint64_t)st.st_size);
	if (err == ERR_OK && ftruncate(fd, (off_t)from) != 0)
		err = err_of_errno(errno);
	return err == ERR_OK ? sync_file(fd) : err;
}
