/* The store keeps what it is handed, tells what it cannot, and is all there
 * after it was opened again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk.h"
#include "node/store.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define MAP_BYTES (256u << 20)

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	char *dir;
	char *path;
	struct store *store;
	struct buf why;
};

static enum err open_store(struct fixture *f, uint64_t map_bytes)
{
	struct store_options o = { f->path, map_bytes, true };

	buf_reset(&f->why);
	return store_open(&o, &f->store, &f->why);
}

static void reopen(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	ok(open_store(f, MAP_BYTES));
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = tmp_make();
	f->path = path_join(f->dir, "store");
	buf_init(&f->why, 4096);
	ok(open_store(f, MAP_BYTES));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	buf_free(&f->why);
	tmp_remove(f->dir);
	free(f->path);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static struct store_txn *writing(struct fixture *f)
{
	struct store_txn *t;

	ok(store_write(f->store, &t));
	return t;
}

static struct store_txn *reading(struct fixture *f)
{
	struct store_txn *t;

	ok(store_read(f->store, &t));
	return t;
}

static uint32_t add_log(struct fixture *f, const char *origin)
{
	struct store_txn *t = writing(f);
	uint32_t log = UINT32_MAX;

	ok(store_log_add(t, slice_str(origin), &log));
	ok(store_commit(t));
	return log;
}

/* A record whose bytes come from its number. */
static struct record a_record(uint64_t seq, size_t body_bytes, bool salted,
			      uint8_t *room)
{
	struct record r;

	memset(room, (int)(seq % 251), 64 + body_bytes);
	put_u64be(room, seq);
	r.leaf = slice_of(room, 40);
	r.salt = slice_of(room, salted ? LIMIT_SALT_BYTES : 0);
	r.body = slice_of(room + 64, body_bytes);
	return r;
}

static void append(struct fixture *f, uint32_t log, uint64_t from, uint64_t to,
		   size_t body_bytes)
{
	uint8_t *room = xmalloc(64 + body_bytes);
	struct store_txn *t = writing(f);

	for (uint64_t i = from; i < to; i++) {
		struct record r = a_record(i, body_bytes, i % 2, room);

		ok(store_record_append(t, log, i, &r));
	}
	ok(store_commit(t));
	free(room);
}

static bool collect_seqs(void *arg, const struct store_entry *e)
{
	struct buf *b = arg;

	buf_put_dec(b, e->seq);
	buf_put_u8(b, e->value_bytes > 0 ? '+' : ' ');
	return b->n < 1000;
}

/* ---- Creation ------------------------------------------------------------- */

static void a_new_store_has_an_incarnation_that_stays(void **state)
{
	struct fixture *f = *state;
	uint8_t first[16], second[16];
	struct store_txn *t = reading(f);

	ok(store_incarnation(t, first));
	store_abort(t);
	reopen(f);
	t = reading(f);
	ok(store_incarnation(t, second));
	store_abort(t);
	assert_memory_equal(first, second, 16);
}

static void an_interrupted_creation_is_made_anew(void **state)
{
	struct fixture *f = *state;
	char *aside = path_join(f->dir, "store.new");
	char *data;

	store_close(f->store);
	f->store = NULL;
	tmp_remove(xstrdup(f->path));
	assert_int_equal(mkdir(aside, 0700), 0);
	data = path_join(aside, "data.mdb");
	ok(disk_write_new(data, 0600, SLICE_LIT("half a page"), NULL));
	ok(open_store(f, MAP_BYTES));
	assert_false(disk_exists(aside));
	free(data);
	free(aside);
}

static void an_absent_store_is_not_found_unless_it_may_be_made(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->dir, "elsewhere");
	struct store_options o = { path, MAP_BYTES, false };
	struct store *s;

	assert_int_equal(store_open(&o, &s, &f->why), ERR_NOT_FOUND);
	assert_true(f->why.n > 0);
	assert_false(disk_exists(path));
	free(path);
}

static void a_newer_format_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	uint8_t newer[4];
	struct store_txn *t = writing(f);

	put_u32be(newer, STORE_FORMAT + 1);
	ok(store_meta_put(t, "format", slice_of(newer, 4)));
	ok(store_commit(t));
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(open_store(f, MAP_BYTES), ERR_UNSUPPORTED);
	buf_put_u8(&f->why, 0);
	assert_non_null(strstr((char *)f->why.p, "newer program"));
	assert_null(f->store);
}

static void a_file_that_was_cut_short_is_refused(void **state)
{
	struct fixture *f = *state;
	char *data = path_join(f->path, "data.mdb");
	uint32_t log = add_log(f, "a.example/symbolon/1");
	struct stat before, after;

	append(f, log, 0, 2000, 3000);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(stat(data, &before), 0);
	assert_int_equal(truncate(data, before.st_size / 2), 0);
	assert_int_equal(open_store(f, MAP_BYTES), ERR_CORRUPT);
	/* and again: opening has changed nothing */
	assert_int_equal(open_store(f, MAP_BYTES), ERR_CORRUPT);
	assert_int_equal(stat(data, &after), 0);
	assert_int_equal(after.st_size, before.st_size / 2);
	free(data);
}

/* Leave free pages at the end of the file: fill an index and empty it. */
static void free_the_tail(struct fixture *f)
{
	struct store_entry e = { .log = 0 };

	for (int turn = 0; turn < 2; turn++) {
		struct store_txn *t = writing(f);

		for (uint64_t i = 0; i < 20000; i++) {
			put_u64be(e.hash, i * 0x9e3779b97f4a7c15u);
			if (turn == 0)
				ok(store_index_put(t, STORE_BY_ID, &e));
			else
				ok(store_index_del(t, STORE_BY_ID, &e));
		}
		ok(store_commit(t));
	}
	for (int i = 0; i < 4; i++) {
		struct store_txn *t = writing(f);

		ok(store_meta_put(t, "turn", slice_of(&i, sizeof(i))));
		ok(store_commit(t));
	}
}

static void a_file_that_lacks_only_free_pages_is_taken(void **state)
{
	struct fixture *f = *state;
	char *data = path_join(f->path, "data.mdb");
	struct store_txn *t;
	struct slice value;
	struct stat st;

	free_the_tail(f);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(stat(data, &st), 0);
	assert_int_equal(truncate(data, st.st_size - 3 * 4096), 0);
	ok(open_store(f, MAP_BYTES));
	t = reading(f);
	ok(store_meta_get(t, "turn", &value));
	store_abort(t);
	add_log(f, "a.example/symbolon/1");
	append(f, 0, 0, 2000, 3000);
	free(data);
}

static void a_file_that_is_no_store_is_refused(void **state)
{
	struct fixture *f = *state;
	char *data = path_join(f->path, "data.mdb");

	store_close(f->store);
	f->store = NULL;
	unlink(data);
	ok(disk_write_new(data, 0600, SLICE_LIT("hello"), NULL));
	assert_int_equal(open_store(f, MAP_BYTES), ERR_CORRUPT);
	free(data);
}

/* ---- Transactions --------------------------------------------------------- */

static void what_is_aborted_never_was(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = writing(f);
	struct slice value;
	uint32_t log;

	ok(store_meta_put(t, "x", SLICE_LIT("1")));
	ok(store_log_add(t, SLICE_LIT("a.example/symbolon/1"), &log));
	store_abort(t);
	t = reading(f);
	assert_int_equal(store_meta_get(t, "x", &value), ERR_NOT_FOUND);
	assert_int_equal(store_log_count(t), 0);
	store_abort(t);
	/* the number and the table are free again */
	assert_int_equal(add_log(f, "b.example/symbolon/1"), 0);
	append(f, 0, 0, 3, 10);
}

static void a_reader_may_not_put(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = reading(f);

	assert_int_equal(store_meta_put(t, "x", SLICE_LIT("1")), ERR_BAD_STATE);
	assert_int_equal(store_error(t), ERR_BAD_STATE);
	store_abort(t);
}

static void the_first_failure_sticks_and_stops_the_commit(void **state)
{
	struct fixture *f = *state;
	uint32_t log = add_log(f, "a.example/symbolon/1");
	uint8_t room[128];
	struct record r = a_record(0, 10, true, room);
	struct store_txn *t = writing(f);
	struct slice value;

	ok(store_record_append(t, log, 5, &r));
	/* behind what is there */
	assert_int_equal(store_record_append(t, log, 4, &r), ERR_EXISTS);
	assert_int_equal(store_meta_put(t, "x", SLICE_LIT("1")), ERR_EXISTS);
	assert_int_equal(store_meta_get(t, "x", &value), ERR_EXISTS);
	assert_int_equal(store_commit(t), ERR_EXISTS);
	t = reading(f);
	assert_int_equal(store_record_get(t, log, 5, &r), ERR_NOT_FOUND);
	store_abort(t);
}

static void a_reader_sees_one_state_until_it_is_renewed(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = reading(f);
	struct slice value;
	uint32_t log;

	add_log(f, "a.example/symbolon/1");
	append(f, 0, 0, 1, 10);
	assert_int_equal(store_log_count(t), 0);
	assert_int_equal(
		store_log_find(t, SLICE_LIT("a.example/symbolon/1"), &log),
		ERR_NOT_FOUND);
	assert_int_equal(store_log_origin(t, 0, &value), ERR_NOT_FOUND);
	ok(store_renew(t));
	ok(store_log_find(t, SLICE_LIT("a.example/symbolon/1"), &log));
	ok(store_log_origin(t, log, &value));
	assert_true(slice_is(value, "a.example/symbolon/1"));
	store_abort(t);
}

static void readers_beyond_the_table_are_told_busy(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t[513];
	size_t n = 0;
	enum err err = ERR_OK;

	while (n < 513 && err == ERR_OK) {
		err = store_read(f->store, &t[n]);
		n += err == ERR_OK;
	}
	assert_int_equal(err, ERR_BUSY);
	assert_int_equal(n, 512);
	while (n > 0)
		store_abort(t[--n]);
	ok(store_read(f->store, &t[0]));
	store_abort(t[0]);
}

static void a_full_map_is_a_clean_refusal(void **state)
{
	struct fixture *f = *state;
	uint8_t *room = xmalloc(LIMIT_BODY_BYTES + 64);
	struct store_txn *t;
	struct record r;
	enum err err = ERR_OK;
	uint32_t log;

	store_close(f->store);
	ok(open_store(f, 4u << 20));
	log = add_log(f, "a.example/symbolon/1");
	append(f, log, 0, 10, 1000);
	t = writing(f);
	for (uint64_t i = 10; err == ERR_OK && i < 1000; i++) {
		r = a_record(i, LIMIT_BODY_BYTES, true, room);
		err = store_record_append(t, log, i, &r);
	}
	assert_int_equal(err, ERR_FULL);
	assert_int_equal(store_commit(t), ERR_FULL);
	t = reading(f);
	ok(store_record_get(t, log, 9, &r));
	assert_int_equal(store_record_get(t, log, 10, &r), ERR_NOT_FOUND);
	store_abort(t);
	append(f, log, 10, 12, 1000);
	free(room);
}

static void memory_is_given_back_only_while_nobody_is_there(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t;
	struct record r;

	add_log(f, "a.example/symbolon/1");
	append(f, 0, 0, 100, 100);
	t = reading(f);
	assert_int_equal(store_trim(f->store), ERR_BUSY);
	store_abort(t);
	t = writing(f);
	assert_int_equal(store_trim(f->store), ERR_BUSY);
	store_abort(t);
	ok(store_trim(f->store));
	t = reading(f);
	assert_int_equal(store_log_count(t), 1);
	ok(store_record_get(t, 0, 99, &r));
	store_abort(t);
	append(f, 0, 100, 200, 100);
	ok(store_trim(f->store));
	add_log(f, "b.example/symbolon/1");
}

/* ---- Logs, heads, records ------------------------------------------------- */

static void a_log_has_one_number_for_ever(void **state)
{
	struct fixture *f = *state;
	uint32_t a = add_log(f, "a.example/symbolon/1");
	uint32_t b = add_log(f, "b.example/symbolon/1");

	assert_int_equal(a, 0);
	assert_int_equal(b, 1);
	assert_int_equal(add_log(f, "a.example/symbolon/1"), 0);
	reopen(f);
	assert_int_equal(add_log(f, "b.example/symbolon/1"), 1);
	assert_int_equal(add_log(f, "c.example/symbolon/1"), 2);
}

static void one_log_more_than_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = writing(f);
	char origin[LIMIT_ORIGIN_BYTES + 2];
	uint32_t log;

	for (unsigned i = 0; i < LIMIT_LOGS; i++) {
		snprintf(origin, sizeof(origin), "m%u.example/symbolon/1", i);
		ok(store_log_add(t, slice_str(origin), &log));
	}
	assert_int_equal(
		store_log_add(t, SLICE_LIT("x.example/symbolon/1"), &log),
		ERR_LIMIT);
	ok(store_commit(t));
	reopen(f);
	t = reading(f);
	assert_int_equal(store_log_count(t), LIMIT_LOGS);
	store_abort(t);
	t = writing(f);
	memset(origin, 'o', sizeof(origin));
	assert_int_equal(
		store_log_add(t, slice_of(origin, sizeof(origin)), &log),
		ERR_LIMIT);
	assert_int_equal(store_log_add(t, SLICE_LIT(""), &log), ERR_LIMIT);
	store_abort(t);
}

static void a_new_head_is_all_zero_and_a_stored_one_comes_back(void **state)
{
	struct fixture *f = *state;
	uint32_t log = add_log(f, "a.example/symbolon/1");
	struct store_txn *t = writing(f);
	struct store_head h, got;
	struct digest leaf = { { 7 } };

	ok(store_head_get(t, log, &h));
	assert_int_equal(h.frontier.size, 0);
	assert_int_equal(h.note.n, 0);
	for (int i = 0; i < 7; i++)
		frontier_push(&h.frontier, &leaf, NULL, NULL);
	h.note = SLICE_LIT("note\n");
	h.noted = frontier_head(&h.frontier);
	h.cosigned = (struct cosign_state){ h.noted, 123456789 };
	h.heard_ms = UINT64_MAX;
	h.frozen = true;
	h.missing = 3;
	ok(store_head_put(t, log, &h));
	ok(store_commit(t));
	reopen(f);
	t = reading(f);
	ok(store_head_get(t, log, &got));
	assert_int_equal(got.frontier.size, 7);
	assert_int_equal(got.frontier.count, 3);
	assert_memory_equal(got.frontier.hash, h.frontier.hash,
			    3 * DIGEST_BYTES);
	assert_true(slice_is(got.note, "note\n"));
	assert_true(head_equal(&got.noted, &h.noted));
	assert_true(head_equal(&got.cosigned.head, &h.noted));
	assert_int_equal(got.cosigned.at_ms, 123456789);
	assert_true(got.heard_ms == UINT64_MAX);
	assert_true(got.frozen);
	assert_int_equal(got.missing, 3);
	store_abort(t);
}

static void records_come_back_byte_for_byte(void **state)
{
	static const size_t sizes[] = {
		0, 1, 350, 2030, 8192, LIMIT_BODY_BYTES + SEAL_TAG_BYTES
	};
	struct fixture *f = *state;
	uint8_t *room = xmalloc(LIMIT_BODY_BYTES + 128);
	uint32_t log = add_log(f, "a.example/symbolon/1");
	struct store_txn *t = writing(f);
	const size_t count = sizeof(sizes) / sizeof(sizes[0]);
	struct record r, got;

	for (size_t i = 0; i < count; i++) {
		r = a_record(i, sizes[i], i % 2, room);
		ok(store_record_append(t, log, i, &r));
	}
	ok(store_commit(t));
	reopen(f);
	t = reading(f);
	for (size_t i = 0; i < count; i++) {
		r = a_record(i, sizes[i], i % 2, room);
		ok(store_record_get(t, log, i, &got));
		assert_true(slice_equal(got.leaf, r.leaf));
		assert_true(slice_equal(got.salt, r.salt));
		assert_true(slice_equal(got.body, r.body));
	}
	assert_int_equal(store_record_get(t, log, count, &got), ERR_NOT_FOUND);
	assert_int_equal(store_record_get(t, log + 1, 0, &got), ERR_NOT_FOUND);
	store_abort(t);
	free(room);
}

static void a_record_beyond_the_limits_is_not_stored(void **state)
{
	struct fixture *f = *state;
	uint8_t *room = xcalloc(1, LIMIT_BODY_BYTES + 256);
	uint32_t log = add_log(f, "a.example/symbolon/1");
	const struct record bad[] = {
		{ .leaf = slice_of(room, 0) },
		{ .leaf = slice_of(room, LIMIT_LEAF_BYTES + 1) },
		{ .leaf = slice_of(room, 40), .salt = slice_of(room, 31) },
		{ .leaf = slice_of(room, 40),
		  .body = slice_of(room,
				   LIMIT_BODY_BYTES + SEAL_TAG_BYTES + 1) },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct store_txn *t = writing(f);

		assert_int_equal(store_record_append(t, log, 0, &bad[i]),
				 ERR_LIMIT);
		store_abort(t);
	}
	free(room);
}

static void a_record_is_replaced_only_under_its_own_leaf(void **state)
{
	struct fixture *f = *state;
	uint32_t log = add_log(f, "a.example/symbolon/1");
	uint8_t room[4096];
	struct store_txn *t;
	struct record r, got;

	append(f, log, 0, 5, 100);
	t = writing(f);
	ok(store_record_get(t, log, 3, &got));
	r = got; /* slices of the very page that changes */
	r.salt = slice_of(NULL, 0);
	r.body = slice_sub(got.body, 50, 50);
	ok(store_record_replace(t, log, 3, &r));
	r = a_record(77, 10, false, room);
	assert_int_equal(store_record_replace(t, log, 3, &r), ERR_CONFLICT);
	assert_int_equal(store_record_replace(t, log, 9, &r), ERR_NOT_FOUND);
	ok(store_commit(t));
	t = reading(f);
	ok(store_record_get(t, log, 3, &got));
	assert_int_equal(got.body.n, 50);
	assert_int_equal(got.salt.n, 0);
	store_abort(t);
}

/* ---- Nodes ---------------------------------------------------------------- */

struct tree {
	struct store_txn *t;
	uint32_t log;
};

static void put_node(void *arg, struct merkle_pos pos, const struct digest *h)
{
	struct tree *tree = arg;

	if (pos.level >= STORE_NODE_LEVEL)
		ok(store_node_put(tree->t, tree->log, pos, h));
}

static void frontiers_come_from_stored_nodes_and_leaves(void **state)
{
	static const uint64_t sizes[] = { 0,   1,   2,	 255, 256,
					  257, 511, 700, 768, 1000 };
	struct fixture *f = *state;
	uint32_t log = add_log(f, "a.example/symbolon/1");
	struct frontier at[1001], again;
	struct store_source source;
	struct merkle_source src;
	struct tree tree = { .log = log };
	uint8_t room[128];

	frontier_init(&at[0]);
	tree.t = writing(f);
	for (uint64_t i = 0; i < 1000; i++) {
		struct record r = a_record(i, 10, true, room);
		struct digest leaf = hash_leaf(r.leaf);

		ok(store_record_append(tree.t, log, i, &r));
		at[i + 1] = at[i];
		frontier_push(&at[i + 1], &leaf, put_node, &tree);
	}
	ok(store_commit(tree.t));
	source = (struct store_source){ reading(f), log };
	src = store_source_of(&source);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ok(merkle_frontier_at(&src, sizes[i], &again));
		assert_int_equal(again.count, at[sizes[i]].count);
		assert_memory_equal(again.hash, at[sizes[i]].hash,
				    again.count * DIGEST_BYTES);
	}
	assert_int_equal(merkle_frontier_at(&src, 1001, &again), ERR_CORRUPT);
	store_abort(source.txn);
}

static void small_subtrees_are_not_stored(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = writing(f);
	struct digest h = { { 0 } };

	assert_int_equal(store_node_put(t, 0, (struct merkle_pos){ 7, 0 }, &h),
			 ERR_LIMIT);
	store_abort(t);
}

/* ---- Indexes -------------------------------------------------------------- */

static void put_entries(struct fixture *f, enum store_index index)
{
	struct store_txn *t = writing(f);

	for (uint32_t log = 0; log < 3; log++) {
		for (uint64_t seq = 0; seq < 40; seq++) {
			struct store_entry e = {
				.log = log,
				.hash = { 0, 0, (uint8_t)(seq % 4) },
				.seq = seq,
				.value = { 9 },
				.value_bytes = seq % 8 == 1 ? 16 : 0,
			};

			ok(store_index_put(t, index, &e));
		}
	}
	ok(store_commit(t));
}

static void scan(struct fixture *f, enum store_index index, uint32_t log,
		 uint8_t which, bool newest, const char *want)
{
	const uint8_t hash[STORE_HASH_BYTES] = { 0, 0, which };
	struct store_txn *t = reading(f);
	struct buf b;

	buf_init(&b, 4096);
	ok(store_index_scan(t, index, log, hash, newest, collect_seqs, &b));
	buf_put_u8(&b, 0);
	assert_string_equal((char *)b.p, want);
	buf_free(&b);
	store_abort(t);
}

static void entries_are_found_in_order_of_their_places(void **state)
{
	struct fixture *f = *state;

	put_entries(f, STORE_BY_REF);
	scan(f, STORE_BY_REF, 1, 1, false, "1+5 9+13 17+21 25+29 33+37 ");
	scan(f, STORE_BY_REF, 1, 1, true, "37 33+29 25+21 17+13 9+5 1+");
	/* the last key of all, and none */
	scan(f, STORE_BY_REF, 2, 3, true, "39 35 31 27 23 19 15 11 7 3 ");
	scan(f, STORE_BY_REF, 2, 4, true, "");
	scan(f, STORE_BY_REF, 7, 0, false, "");
	scan(f, STORE_BY_ID, 1, 1, true, "");
}

static void an_entry_is_deleted_once(void **state)
{
	struct fixture *f = *state;
	struct store_entry e = { .log = 0, .hash = { 0, 0, 2 }, .seq = 18 };
	struct store_txn *t;

	put_entries(f, STORE_BY_ID);
	t = writing(f);
	ok(store_index_del(t, STORE_BY_ID, &e));
	ok(store_index_del(t, STORE_BY_ID, &e));
	ok(store_commit(t));
	scan(f, STORE_BY_ID, 0, 2, true, "38 34 30 26 22 14 10 6 2 ");
}

struct nested {
	struct store_txn *t;
	struct buf all;
};

static bool scan_again(void *arg, const struct store_entry *e)
{
	struct nested *n = arg;

	ok(store_index_scan(n->t, STORE_BY_REF, e->log + 1, e->hash, true,
			    collect_seqs, &n->all));
	buf_put_u8(&n->all, '|');
	return e->seq > 33;
}

static void a_scan_may_run_within_a_scan(void **state)
{
	const uint8_t hash[STORE_HASH_BYTES] = { 0, 0, 1 };
	struct fixture *f = *state;
	struct nested n;

	put_entries(f, STORE_BY_REF);
	n.t = reading(f);
	buf_init(&n.all, 4096);
	ok(store_index_scan(n.t, STORE_BY_REF, 0, hash, true, scan_again, &n));
	buf_put_u8(&n.all, 0);
	assert_string_equal((char *)n.all.p, "37 33+29 25+21 17+13 9+5 1+|"
					     "37 33+29 25+21 17+13 9+5 1+|");
	buf_free(&n.all);
	store_abort(n.t);
}

/* ---- Documents and lists -------------------------------------------------- */

static bool join_docs(void *arg, struct slice member, uint64_t version,
		      struct slice note)
{
	struct buf *b = arg;

	buf_put(b, member);
	buf_put_u8(b, ':');
	buf_put_dec(b, version);
	buf_put(b, note);
	return true;
}

static void documents_keep_all_versions_and_find_the_newest(void **state)
{
	struct fixture *f = *state;
	const struct slice none = { NULL, 0 };
	struct store_txn *t = writing(f);
	struct slice note;
	struct buf b;

	ok(store_doc_put(t, "card", SLICE_LIT("dtu.dk"), 1, SLICE_LIT("a")));
	ok(store_doc_put(t, "card", SLICE_LIT("dtu.dk"), 300, SLICE_LIT("c")));
	ok(store_doc_put(t, "card", SLICE_LIT("dtu.dk"), 2, SLICE_LIT("b")));
	ok(store_doc_put(t, "card", SLICE_LIT("dtu.dkx"), 1, SLICE_LIT("d")));
	ok(store_doc_put(t, "card", SLICE_LIT("aau.dk"), 9, SLICE_LIT("e")));
	ok(store_doc_put(t, "roster", none, 4, SLICE_LIT("r")));
	ok(store_commit(t));
	t = reading(f);
	ok(store_doc_get(t, "card", SLICE_LIT("dtu.dk"), 0, &note));
	assert_true(slice_is(note, "c"));
	ok(store_doc_get(t, "card", SLICE_LIT("dtu.dk"), 2, &note));
	assert_true(slice_is(note, "b"));
	ok(store_doc_get(t, "roster", none, 0, &note));
	assert_true(slice_is(note, "r"));
	assert_int_equal(store_doc_get(t, "card", SLICE_LIT("dtu.d"), 0, &note),
			 ERR_NOT_FOUND);
	assert_int_equal(store_doc_get(t, "card", none, 0, &note),
			 ERR_NOT_FOUND);
	buf_init(&b, 4096);
	ok(store_doc_scan(t, "card", join_docs, &b));
	buf_put_u8(&b, 0);
	assert_string_equal((char *)b.p, "aau.dk:9edtu.dk:300cdtu.dkx:1d");
	buf_free(&b);
	store_abort(t);
}

static void lists_are_numbered_from_one(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = writing(f);
	uint64_t number;
	struct slice doc;

	ok(store_list_next(t, STORE_IMPORTS, &number));
	assert_int_equal(number, 1);
	ok(store_list_put(t, STORE_IMPORTS, number, SLICE_LIT("one")));
	ok(store_list_next(t, STORE_IMPORTS, &number));
	assert_int_equal(number, 2);
	ok(store_list_next(t, STORE_FORKS, &number));
	assert_int_equal(number, 1);
	ok(store_list_get(t, STORE_IMPORTS, 1, &doc));
	assert_true(slice_is(doc, "one"));
	assert_int_equal(store_list_get(t, STORE_FORKS, 1, &doc),
			 ERR_NOT_FOUND);
	ok(store_commit(t));
}

static bool join_cosigs(void *arg, const struct store_cosig *c)
{
	struct buf *b = arg;

	buf_put(b, c->witness);
	buf_put_dec(b, c->size);
	buf_put(b, c->line);
	return true;
}

static void one_countersignature_is_kept_of_each_witness(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = writing(f);
	struct store_cosig got,
		c = { SLICE_LIT("b/witness"), 5, 100, SLICE_LIT("-old") };
	struct buf b;

	ok(store_cosig_put(t, 0, &c));
	c.size = 9;
	c.line = SLICE_LIT("-new");
	ok(store_cosig_put(t, 0, &c));
	c.witness = SLICE_LIT("a/witness");
	ok(store_cosig_put(t, 0, &c));
	ok(store_cosig_put(t, 1, &c));
	ok(store_cosig_get(t, 0, SLICE_LIT("b/witness"), &got));
	assert_int_equal(got.size, 9);
	assert_int_equal(got.unix_seconds, 100);
	assert_int_equal(store_cosig_get(t, 2, c.witness, &got), ERR_NOT_FOUND);
	buf_init(&b, 4096);
	ok(store_cosig_scan(t, 0, join_cosigs, &b));
	buf_put_u8(&b, 0);
	assert_string_equal((char *)b.p, "a/witness9-newb/witness9-new");
	buf_free(&b);
	store_abort(t);
}

/* ---- Room ----------------------------------------------------------------- */

static void room_is_refused_before_the_disk_is_full(void **state)
{
	struct fixture *f = *state;
	struct store_stats stats;

	ok(store_room(f->store, 0));
	assert_int_equal(store_room(f->store, UINT64_MAX / 2), ERR_FULL);
	store_stat(f->store, &stats);
	assert_int_equal(stats.map_bytes, MAP_BYTES);
	assert_true(stats.used_bytes > 0);
	assert_int_equal(store_check_readers(f->store), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_store_has_an_incarnation_that_stays),
		T(an_interrupted_creation_is_made_anew),
		T(an_absent_store_is_not_found_unless_it_may_be_made),
		T(a_newer_format_is_refused_by_name),
		T(a_file_that_was_cut_short_is_refused),
		T(a_file_that_lacks_only_free_pages_is_taken),
		T(a_file_that_is_no_store_is_refused),
		T(what_is_aborted_never_was),
		T(a_reader_may_not_put),
		T(the_first_failure_sticks_and_stops_the_commit),
		T(a_reader_sees_one_state_until_it_is_renewed),
		T(readers_beyond_the_table_are_told_busy),
		T(a_full_map_is_a_clean_refusal),
		T(memory_is_given_back_only_while_nobody_is_there),
		T(a_log_has_one_number_for_ever),
		T(one_log_more_than_the_limit_is_refused),
		T(a_new_head_is_all_zero_and_a_stored_one_comes_back),
		T(records_come_back_byte_for_byte),
		T(a_record_beyond_the_limits_is_not_stored),
		T(a_record_is_replaced_only_under_its_own_leaf),
		T(frontiers_come_from_stored_nodes_and_leaves),
		T(small_subtrees_are_not_stored),
		T(entries_are_found_in_order_of_their_places),
		T(an_entry_is_deleted_once),
		T(a_scan_may_run_within_a_scan),
		T(documents_keep_all_versions_and_find_the_newest),
		T(lists_are_numbered_from_one),
		T(one_countersignature_is_kept_of_each_witness),
		T(room_is_refused_before_the_disk_is_full),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
