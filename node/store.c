#include "node/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/disk.h"
#include "node/keys.h"

#define INCARNATION_NAME "incarnation"
#define INCARNATION_BYTES 16
#define FORMAT_NAME "format"
#define LOGS_ROWS 2u /* of one log in "logs": by number, by origin */
/* A small disk keeps this part of itself free instead of the reserve. */
#define RESERVE_PART 16u

static const char *const table_names[TABLE_COUNT] = {
	[TABLE_META] = "meta",
	[TABLE_LOGS] = "logs",
	[TABLE_HEADS] = "heads",
	[TABLE_NODES] = "nodes",
	[TABLE_DOCS] = "docs",
	[TABLE_COSIGS] = "cosigs",
	[TABLE_BY_ID] = "by_id",
	[TABLE_BY_REF] = "by_ref",
	[TABLE_BY_LEARNER] = "by_learner",
	[TABLE_BY_SOURCE] = "by_source",
	[TABLE_IMPORTS] = "imports",
	[TABLE_FORKS] = "forks",
};

enum err from_lmdb(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return ERR_OK;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND;
	case MDB_KEYEXIST:
		return ERR_EXISTS;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case MDB_READERS_FULL:
		return ERR_BUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
		return ERR_CORRUPT;
	case MDB_VERSION_MISMATCH:
		return ERR_UNSUPPORTED;
	case MDB_BAD_VALSIZE:
	case MDB_DBS_FULL:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}

/* ---- opening -------------------------------------------------------------- */

enum err store_open_rec(struct store *s, MDB_txn *txn, uint32_t log,
			bool create)
{
	char name[16];

	snprintf(name, sizeof(name), "rec/%u", log);
	return from_lmdb(
		mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, &s->rec[log]));
}

/* Open the tables that there always are; @txn writes. */
static enum err open_tables(struct store *s, MDB_txn *txn)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		int rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE,
				      &s->table[i]);
		if (rc != MDB_SUCCESS)
			return from_lmdb(rc);
	}
	return ERR_OK;
}

static enum err get_format(struct store *s, MDB_txn *txn, uint32_t *format)
{
	MDB_val key = val_of(slice_str(FORMAT_NAME));
	MDB_val value;
	int rc = mdb_get(txn, s->table[TABLE_META], &key, &value);

	if (rc == MDB_NOTFOUND || (rc == MDB_SUCCESS && value.mv_size != 4))
		return ERR_CORRUPT;
	if (rc == MDB_SUCCESS)
		*format = get_u32be(value.mv_data);
	return from_lmdb(rc);
}

/* Open a handle for each log's records: all that are ever read exist before
 * the first reader, new ones come with the writer's commit. */
static enum err open_recs(struct store *s, MDB_txn *txn)
{
	MDB_stat stat;
	size_t count;
	int rc = mdb_stat(txn, s->table[TABLE_LOGS], &stat);

	if (rc != MDB_SUCCESS)
		return from_lmdb(rc);
	count = stat.ms_entries / LOGS_ROWS;
	if (count > LIMIT_LOGS || stat.ms_entries % LOGS_ROWS != 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < count; i++) {
		enum err err = store_open_rec(s, txn, i, false);

		if (err != ERR_OK)
			return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
	}
	atomic_store(&s->log_count, (unsigned)count);
	return ERR_OK;
}

static enum err put_meta(struct store *s, MDB_txn *txn, const char *name,
			 struct slice value)
{
	MDB_val key = val_of(slice_str(name));
	MDB_val val = val_of(value);

	return from_lmdb(mdb_put(txn, s->table[TABLE_META], &key, &val, 0));
}

/* What a new store begins with. */
static enum err put_first(struct store *s, MDB_txn *txn)
{
	uint8_t incarnation[INCARNATION_BYTES];
	uint8_t format[4];
	enum err err;

	random_bytes(incarnation, sizeof(incarnation));
	put_u32be(format, STORE_FORMAT);
	err = put_meta(s, txn, INCARNATION_NAME,
		       slice_of(incarnation, sizeof(incarnation)));
	if (err == ERR_OK)
		err = put_meta(s, txn, FORMAT_NAME,
			       slice_of(format, sizeof(format)));
	return err;
}

static enum err open_env(MDB_env **env, const char *path, uint64_t map_bytes)
{
	int rc = mdb_env_create(env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(*env, map_bytes);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(*env, STORE_TABLES_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(*env, STORE_READERS_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(*env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == MDB_SUCCESS)
		return ERR_OK;
	mdb_env_close(*env);
	*env = NULL;
	return from_lmdb(rc);
}

/* The first commit of a new store, in the environment @s->env. */
static enum err fill_new(struct store *s)
{
	MDB_txn *txn;
	enum err err = from_lmdb(mdb_txn_begin(s->env, NULL, 0, &txn));

	if (err != ERR_OK)
		return err;
	err = open_tables(s, txn);
	if (err == ERR_OK)
		err = put_first(s, txn);
	if (err == ERR_OK)
		return from_lmdb(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return err;
}

/* Remove what an interrupted creation left. */
static void remove_aside(const char *aside)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = path_join(aside, names[i]);

		unlink(path);
		free(path);
	}
	rmdir(aside);
}

/* Make a store aside and rename it into place: LMDB takes a half-written
 * first page for ruin. PROTOCOL.md 15.1. */
static enum err create(const struct store_options *o, struct buf *why)
{
	struct store s = { 0 };
	size_t n = strlen(o->path) + sizeof(".new");
	char *aside = xmalloc(n);
	enum err err;

	snprintf(aside, n, "%s.new", o->path);
	remove_aside(aside);
	err = disk_mkdir(aside, why);
	if (err != ERR_OK)
		goto out;
	err = open_env(&s.env, aside, o->map_bytes);
	if (err == ERR_OK)
		err = fill_new(&s);
	if (err != ERR_OK)
		say(why, "cannot create a store in %s: %s", aside,
		    err_text(err));
	if (s.env != NULL)
		mdb_env_close(s.env);
	if (err == ERR_OK)
		err = disk_sync_dir(aside, why);
	if (err == ERR_OK)
		err = disk_rename(aside, o->path, why);
	else
		remove_aside(aside);
out:
	free(aside);
	return err;
}

/* Are all pages from @first up to the last one free? LMDB does not write
 * pages that a transaction took and gave back, so its file may end early. */
static bool tail_is_free(MDB_env *env, size_t first, size_t last)
{
	const MDB_dbi free_pages = 0; /* LMDB's own list of free pages */
	size_t found = 0;
	MDB_cursor *c;
	MDB_val key, value;
	MDB_txn *txn;

	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
		return false;
	if (mdb_cursor_open(txn, free_pages, &c) != MDB_SUCCESS) {
		mdb_txn_abort(txn);
		return false;
	}
	while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
		const uint8_t *list = value.mv_data; /* count, then pages */
		size_t page;

		for (size_t i = sizeof(page); i < value.mv_size;
		     i += sizeof(page)) {
			memcpy(&page, list + i, sizeof(page));
			found += page >= first && page <= last;
		}
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	return found == last - first + 1;
}

/* A file cut short would end the process when a missing page is read. */
static enum err check_length(struct store *s, struct buf *why)
{
	char *path = path_join(s->path, "data.mdb");
	enum err err = ERR_CORRUPT;
	MDB_envinfo info;
	MDB_stat stat_;
	struct stat st;
	uint64_t want;

	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat_);
	want = ((uint64_t)info.me_last_pgno + 1) * stat_.ms_psize;
	if (stat(path, &st) != 0) {
		say(why, "cannot read %s: %s", path, strerror(errno));
		err = ERR_IO;
	} else if ((uint64_t)st.st_size >= want) {
		err = ERR_OK;
	} else if (truncate(path, (off_t)want) == 0) {
		/* Holes read as zeros, which LMDB tells as errors. */
		if (tail_is_free(s->env, (size_t)st.st_size / stat_.ms_psize,
				 info.me_last_pgno))
			err = ERR_OK;
		else if (truncate(path, st.st_size) != 0)
			err = ERR_IO;
	}
	if (err == ERR_CORRUPT)
		say(why,
		    "%s is shorter than its pages (%llu of %llu bytes): "
		    "restore it whole, or remove the directory and let the "
		    "partners fill it again",
		    path, (unsigned long long)st.st_size,
		    (unsigned long long)want);
	free(path);
	return err;
}

static enum err open_existing(struct store *s, struct buf *why)
{
	uint32_t format = 0;
	MDB_txn *txn;
	enum err err;

	err = check_length(s, why);
	if (err != ERR_OK)
		return err;
	mdb_reader_check(s->env, NULL);
	err = from_lmdb(mdb_txn_begin(s->env, NULL, 0, &txn));
	if (err != ERR_OK)
		goto out;
	err = open_tables(s, txn);
	if (err == ERR_OK)
		err = get_format(s, txn, &format);
	if (err == ERR_OK && format > STORE_FORMAT)
		err = ERR_UNSUPPORTED;
	if (err == ERR_OK)
		err = open_recs(s, txn);
	if (err == ERR_OK)
		err = from_lmdb(mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
out:
	if (err == ERR_UNSUPPORTED)
		say(why,
		    "%s has format %u, this program knows %u: use a newer "
		    "program",
		    s->path, format, STORE_FORMAT);
	else if (err != ERR_OK)
		say(why, "cannot open the store in %s: %s", s->path,
		    err_text(err));
	return err;
}

enum err store_open(const struct store_options *o, struct store **out,
		    struct buf *why)
{
	struct store *s;
	enum err err = ERR_OK;

	if (!disk_exists(o->path)) {
		if (!o->create) {
			say(why, "there is no store in %s", o->path);
			return ERR_NOT_FOUND;
		}
		err = create(o, why);
		if (err != ERR_OK)
			return err;
	}
	s = xcalloc(1, sizeof(*s));
	s->path = xstrdup(o->path);
	s->map_bytes = o->map_bytes;
	pthread_mutex_init(&s->lock, NULL);
	err = open_env(&s->env, s->path, o->map_bytes);
	if (err != ERR_OK)
		say(why, "cannot open the store in %s: %s", s->path,
		    err_text(err));
	else
		err = open_existing(s, why);
	if (err != ERR_OK) {
		store_close(s);
		return err;
	}
	*out = s;
	return ERR_OK;
}

/* ---- transactions --------------------------------------------------------- */

static void free_txn(struct store_txn *t)
{
	buf_wipe(&t->scratch);
	free(t);
}

/* End a reader for good; its cursors outlive its turns. */
static void close_reader(struct store_txn *t)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (t->cursor[i] != NULL)
			mdb_cursor_close(t->cursor[i]);
	}
	mdb_txn_abort(t->txn);
	free_txn(t);
}

static void close_env(struct store *s)
{
	while (s->pool != NULL) {
		struct store_txn *t = s->pool;

		s->pool = t->next;
		close_reader(t);
	}
	s->pool_count = 0;
	if (s->env != NULL)
		mdb_env_close(s->env);
	s->env = NULL;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	close_env(s);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

enum err store_trim(struct store *s)
{
	enum err err = ERR_BUSY;

	pthread_mutex_lock(&s->lock);
	if (s->active == 0) {
		close_env(s);
		err = open_env(&s->env, s->path, s->map_bytes);
		if (err == ERR_OK)
			err = open_existing(s, NULL);
		if (err == ERR_BUSY)
			err = ERR_IO;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

static struct store_txn *new_txn(struct store *s, bool is_write)
{
	struct store_txn *t = xcalloc(1, sizeof(*t));

	t->store = s;
	t->is_write = is_write;
	buf_init(&t->scratch, LIMIT_FRAME_BYTES);
	return t;
}

/* One more transaction runs; *pooled is an idle reader if one is wanted and
 * there is one. */
static void begin_active(struct store *s, struct store_txn **pooled)
{
	pthread_mutex_lock(&s->lock);
	s->active++;
	if (pooled != NULL && s->pool != NULL) {
		*pooled = s->pool;
		s->pool = s->pool->next;
		s->pool_count--;
	}
	pthread_mutex_unlock(&s->lock);
}

static void end_active(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->active--;
	pthread_mutex_unlock(&s->lock);
}

/* The count is read before the snapshot is taken: the handles below it are
 * then in the environment for sure. */
static void begin_turn(struct store_txn *t)
{
	t->err = ERR_OK;
	t->log_count = atomic_load(&t->store->log_count);
}

enum err store_read(struct store *s, struct store_txn **out)
{
	struct store_txn *t = NULL;
	enum err err;

	begin_active(s, &t);
	if (t != NULL) {
		begin_turn(t);
		err = from_lmdb(mdb_txn_renew(t->txn));
		if (err != ERR_OK)
			close_reader(t);
	} else {
		t = new_txn(s, false);
		begin_turn(t);
		err = from_lmdb(
			mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t->txn));
		if (err != ERR_OK)
			free_txn(t);
	}
	if (err == ERR_OK)
		*out = t;
	else
		end_active(s);
	return err;
}

enum err store_write(struct store *s, struct store_txn **out)
{
	struct store_txn *t = new_txn(s, true);
	enum err err;

	begin_active(s, NULL);
	err = from_lmdb(mdb_txn_begin(s->env, NULL, 0, &t->txn));
	begin_turn(t); /* after the lock: the other writer may have added */
	if (err == ERR_OK) {
		*out = t;
		return ERR_OK;
	}
	free_txn(t);
	end_active(s);
	return err;
}

enum err store_error(const struct store_txn *t)
{
	return t->err;
}

uint64_t store_changes(const struct store_txn *t)
{
	return t->changes;
}

enum err store_keep(struct store_txn *t, int rc)
{
	enum err err = from_lmdb(rc);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		t->err = err;
	return err;
}

enum err store_begin_change(struct store_txn *t)
{
	if (t->err == ERR_OK && !t->is_write)
		t->err = ERR_BAD_STATE;
	if (t->err == ERR_OK)
		t->changes++;
	return t->err;
}

/* LMDB frees a writer's cursors with it: close them before. */
static void close_cursors(struct store_txn *t)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (t->cursor[i] != NULL)
			mdb_cursor_close(t->cursor[i]);
		t->cursor[i] = NULL;
	}
	if (t->append != NULL)
		mdb_cursor_close(t->append);
	t->append = NULL;
}

/* Is so little of the disk free that a failed write may be due to that? */
static bool disk_is_full(struct store *s)
{
	return store_room(s, 0) == ERR_FULL;
}

enum err store_commit(struct store_txn *t)
{
	struct store *s = t->store;
	uint32_t log_count = t->log_count;
	enum err err = t->err;

	if (!t->is_write || err != ERR_OK) {
		store_abort(t);
		return err;
	}
	close_cursors(t);
	err = from_lmdb(mdb_txn_commit(t->txn));
	/* A short write comes as EIO; nothing was referred to yet, so the
	 * old state stands (PROTOCOL.md 15.2). */
	if (err == ERR_IO && disk_is_full(s))
		err = ERR_FULL;
	if (err == ERR_OK)
		atomic_store(&s->log_count, log_count);
	free_txn(t);
	end_active(s);
	return err;
}

/* Put a reader back for the next one, unless there are enough. */
static void end_reader(struct store_txn *t)
{
	struct store *s = t->store;
	bool taken;

	mdb_txn_reset(t->txn);
	pthread_mutex_lock(&s->lock);
	taken = s->pool_count < STORE_POOL_MAX;
	if (taken) {
		t->next = s->pool;
		s->pool = t;
		s->pool_count++;
		s->active--;
	}
	pthread_mutex_unlock(&s->lock);
	if (taken)
		return;
	close_reader(t);
	end_active(s);
}

void store_abort(struct store_txn *t)
{
	if (t == NULL)
		return;
	if (!t->is_write) {
		end_reader(t);
		return;
	}
	close_cursors(t);
	mdb_txn_abort(t->txn);
	end_active(t->store);
	free_txn(t);
}

enum err store_renew(struct store_txn *t)
{
	enum err err;

	if (t->is_write)
		return ERR_BAD_STATE;
	mdb_txn_reset(t->txn);
	begin_turn(t);
	err = from_lmdb(mdb_txn_renew(t->txn));
	t->err = err;
	return err;
}

/* ---- room ----------------------------------------------------------------- */

enum err store_room(struct store *s, uint64_t bytes)
{
	uint64_t reserve = STORE_RESERVE_BYTES;
	uint64_t total, available;
	struct statvfs v;

	if (statvfs(s->path, &v) != 0)
		return ERR_IO;
	total = (uint64_t)v.f_blocks * v.f_frsize;
	available = (uint64_t)v.f_bavail * v.f_frsize;
	if (reserve > total / RESERVE_PART)
		reserve = total / RESERVE_PART;
	return available < reserve || available - reserve < bytes ? ERR_FULL
								  : ERR_OK;
}

void store_stat(struct store *s, struct store_stats *out)
{
	MDB_envinfo info;
	MDB_stat stat_;

	pthread_mutex_lock(&s->lock);
	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat_);
	pthread_mutex_unlock(&s->lock);
	out->map_bytes = info.me_mapsize;
	out->used_bytes = ((uint64_t)info.me_last_pgno + 1) * stat_.ms_psize;
	out->readers = info.me_numreaders;
}

uint32_t store_check_readers(struct store *s)
{
	int dead = 0;

	pthread_mutex_lock(&s->lock);
	if (mdb_reader_check(s->env, &dead) != MDB_SUCCESS)
		dead = 0;
	pthread_mutex_unlock(&s->lock);
	return (uint32_t)dead;
}
