/* Salts are where they were put, and nowhere once they were erased; the
 * guard file knows itself from its copies. */

#include <fcntl.h>
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
#include "node/guard.h"
#include "node/vault.h"
#include "tests/lib/tmp.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define SALT LIMIT_SALT_BYTES

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	char *dir;
	char *path;
	char *guard;
	struct vault *vault;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = tmp_make();
	f->path = path_join(f->dir, "vault");
	f->guard = path_join(f->dir, "guard");
	ok(vault_open(f->path, &f->vault, NULL));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vault_close(f->vault);
	tmp_remove(f->dir);
	free(f->path);
	free(f->guard);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static void reopen(struct fixture *f)
{
	vault_close(f->vault);
	ok(vault_open(f->path, &f->vault, NULL));
}

static void put(struct fixture *f, uint32_t log, uint64_t seq, uint8_t byte,
		size_t count)
{
	uint8_t salts[64 * SALT];

	memset(salts, byte, sizeof(salts));
	ok(vault_put(f->vault, log, seq, salts, count));
	ok(vault_sync(f->vault));
}

static void has(struct fixture *f, uint32_t log, uint64_t seq, uint8_t byte)
{
	uint8_t salt[SALT], want[SALT];

	memset(want, byte, sizeof(want));
	ok(vault_get(f->vault, log, seq, salt));
	assert_memory_equal(salt, want, SALT);
}

static void has_not(struct fixture *f, uint32_t log, uint64_t seq)
{
	uint8_t salt[SALT];

	assert_int_equal(vault_get(f->vault, log, seq, salt), ERR_NOT_FOUND);
}

/* Is @byte in the file at all? */
static bool file_holds(const char *path, uint8_t byte)
{
	struct buf b;
	bool found = false;

	buf_init(&b, 1u << 20);
	ok(disk_read(path, 1u << 20, &b, NULL));
	for (size_t i = 0; i < b.n; i++)
		found |= b.p[i] == byte;
	buf_free(&b);
	return found;
}

static struct head a_head(uint64_t size, uint8_t byte)
{
	struct head h = { .size = size };

	memset(h.root.b, byte, DIGEST_BYTES);
	return h;
}

static struct guard_state look(const char *path)
{
	struct guard_state state;
	struct guard *g;

	ok(guard_open(path, &g, &state, NULL));
	guard_close(g);
	return state;
}

static void guard_is(const char *path, enum guard_file file, uint64_t size)
{
	struct guard_state state = look(path);

	assert_int_equal(state.file, file);
	assert_int_equal(state.head.size, size);
}

static void write_guard(const char *path, uint64_t size, const char *note)
{
	struct head h = a_head(size, (uint8_t)size);
	struct guard_state state;
	struct guard *g;

	ok(guard_open(path, &g, &state, NULL));
	ok(guard_write(g, &h, slice_str(note)));
	guard_close(g);
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* ---- Vault ---------------------------------------------------------------- */

static void salts_stay_where_they_were_put(void **state)
{
	struct fixture *f = *state;

	put(f, 0, 0, 1, 2);
	put(f, 7, 100, 2, 64);
	reopen(f);
	has(f, 0, 0, 1);
	has(f, 0, 1, 1);
	has(f, 7, 100, 2);
	has(f, 7, 163, 2);
}

static void a_zero_slot_is_no_salt(void **state)
{
	struct fixture *f = *state;

	has_not(f, 3, 0);
	put(f, 3, 10, 5, 1);
	has_not(f, 3, 0);
	has_not(f, 3, 9);
	has(f, 3, 10, 5);
	has_not(f, 3, 11);
}

static void asking_makes_no_file(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->path, "3");

	has_not(f, 3, 0);
	assert_false(disk_exists(path));
	put(f, 3, 0, 1, 1);
	assert_true(disk_exists(path));
	free(path);
}

static void files_are_for_the_owner_only(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->path, "3");
	struct stat st;

	put(f, 3, 0, 1, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	free(path);
}

static void an_erased_salt_is_in_no_byte_of_the_file(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->path, "0");

	put(f, 0, 0, 0x11, 3);
	put(f, 0, 3, 0x77, 1);
	put(f, 0, 4, 0x11, 1);
	assert_true(file_holds(path, 0x77));
	ok(vault_erase(f->vault, 0, 3));
	assert_false(file_holds(path, 0x77));
	has_not(f, 0, 3);
	has(f, 0, 2, 0x11);
	has(f, 0, 4, 0x11);
	/* what is not there is erased already */
	ok(vault_erase(f->vault, 0, 3));
	ok(vault_erase(f->vault, 0, 99));
	ok(vault_erase(f->vault, 9, 0));
	free(path);
}

static void trimming_zeroes_what_was_not_committed(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->path, "0");

	put(f, 0, 0, 0x11, 10);
	put(f, 0, 10, 0x77, 20);
	ok(vault_trim(f->vault, 0, 10));
	assert_false(file_holds(path, 0x77));
	has(f, 0, 9, 0x11);
	has_not(f, 0, 10);
	ok(vault_trim(f->vault, 0, 1000));
	has(f, 0, 9, 0x11);
	ok(vault_trim(f->vault, 5, 0));
	free(path);
}

/* ---- Guard ---------------------------------------------------------------- */

/* Enough salts that they are read through a view of the file. */
static void a_long_file_is_read_as_it_is_now(void **state)
{
	struct fixture *f = *state;
	uint64_t seq;

	for (seq = 0; seq < 2048; seq += 64)
		put(f, 0, seq, 1, 64);
	for (seq = 2047; seq > 0; seq--)
		has(f, 0, seq, 1);
	put(f, 0, 1500, 2, 1);
	has(f, 0, 1500, 2);
	ok(vault_erase(f->vault, 0, 1501));
	has_not(f, 0, 1501);
	ok(vault_trim(f->vault, 0, 100));
	has(f, 0, 99, 1);
	has_not(f, 0, 100);
	has_not(f, 0, 1500);
	for (seq = 100; seq < 8100; seq += 50)
		put(f, 0, seq, 3, 50);
	for (seq = 100; seq < 8100; seq++)
		has(f, 0, seq, 3);
	has_not(f, 0, 8100);
}

static void an_absent_guard_is_missing_and_not_made_by_looking(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(look(f->guard).file, GUARD_MISSING);
	assert_false(disk_exists(f->guard));
}

static void the_guard_tells_what_was_written_last(void **state)
{
	struct fixture *f = *state;
	struct guard_state s;

	for (uint64_t size = 1; size < 6; size++) {
		write_guard(f->guard, size, "a note\n");
		guard_is(f->guard, GUARD_GENUINE, size);
	}
	s = look(f->guard);
	assert_true(slice_is(slice_of(s.note, s.note_bytes), "a note\n"));
	assert_int_equal(s.head.root.b[31], 5);
}

static void the_guard_never_grows(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	write_guard(f->guard, 0, "");
	assert_int_equal(stat(f->guard, &before), 0);
	for (uint64_t size = 1; size < 9; size++)
		write_guard(f->guard, size, "note\n");
	assert_int_equal(stat(f->guard, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_blocks, after.st_blocks);
	assert_int_equal(after.st_mode & 0777, 0600);
}

static void a_copied_guard_is_known_for_a_copy(void **state)
{
	struct fixture *f = *state;
	char *copy = path_join(f->dir, "copy");

	write_guard(f->guard, 3, "note\n");
	tmp_copy(f->guard, copy);
	guard_is(copy, GUARD_COPIED, 3);
	/* moving it back in place makes it no better */
	assert_int_equal(rename(copy, f->guard), 0);
	guard_is(f->guard, GUARD_COPIED, 3);
	/* writing does: whoever writes has decided to go on here */
	write_guard(f->guard, 4, "note\n");
	guard_is(f->guard, GUARD_GENUINE, 4);
	free(copy);
}

static void a_moved_guard_stays_genuine(void **state)
{
	struct fixture *f = *state;
	char *moved = path_join(f->dir, "moved");

	write_guard(f->guard, 3, "note\n");
	assert_int_equal(rename(f->guard, moved), 0);
	guard_is(moved, GUARD_GENUINE, 3);
	free(moved);
}

static void a_torn_write_leaves_the_one_before(void **state)
{
	struct fixture *f = *state;

	write_guard(f->guard, 3, "note\n");
	write_guard(f->guard, 4, "note\n");
	/* the counter was 1, then 2: the second write is in slot 0 */
	flip(f->guard, 50);
	guard_is(f->guard, GUARD_GENUINE, 3);
	flip(f->guard, 4096 + 50);
	assert_int_equal(look(f->guard).file, GUARD_DAMAGED);
	write_guard(f->guard, 5, "note\n");
	guard_is(f->guard, GUARD_GENUINE, 5);
}

static void every_flipped_byte_of_a_slot_is_noticed(void **state)
{
	struct fixture *f = *state;

	write_guard(f->guard, 3, "note\n");
	for (off_t at = 4096; at < 8192; at += 7) {
		flip(f->guard, at);
		assert_int_equal(look(f->guard).file, GUARD_DAMAGED);
		flip(f->guard, at);
	}
	guard_is(f->guard, GUARD_GENUINE, 3);
}

static void a_guard_is_there_only_when_it_is_whole(void **state)
{
	struct fixture *f = *state;
	char *aside = path_join(f->dir, "guard.new");

	ok(disk_write_new(aside, 0600, SLICE_LIT("half"), NULL));
	assert_int_equal(look(f->guard).file, GUARD_MISSING);
	write_guard(f->guard, 3, "note\n");
	guard_is(f->guard, GUARD_GENUINE, 3);
	assert_false(disk_exists(aside));
	free(aside);
}

static void a_short_guard_is_damaged(void **state)
{
	struct fixture *f = *state;

	write_guard(f->guard, 3, "note\n");
	for (off_t n = 8191; n > 0; n -= 900) {
		assert_int_equal(truncate(f->guard, n), 0);
		assert_int_equal(look(f->guard).file, GUARD_DAMAGED);
	}
}

static void a_note_too_long_for_the_guard_is_refused(void **state)
{
	struct fixture *f = *state;
	static const uint8_t note[GUARD_NOTE_BYTES + 1];
	struct head h = a_head(1, 1);
	struct guard_state s;
	struct guard *g;

	ok(guard_open(f->guard, &g, &s, NULL));
	ok(guard_write(g, &h, slice_of(note, GUARD_NOTE_BYTES)));
	assert_int_equal(
		guard_write(g, &h, slice_of(note, GUARD_NOTE_BYTES + 1)),
		ERR_LIMIT);
	guard_close(g);
	assert_int_equal(look(f->guard).note_bytes, GUARD_NOTE_BYTES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(salts_stay_where_they_were_put),
		T(a_zero_slot_is_no_salt),
		T(asking_makes_no_file),
		T(files_are_for_the_owner_only),
		T(an_erased_salt_is_in_no_byte_of_the_file),
		T(trimming_zeroes_what_was_not_committed),
		T(a_long_file_is_read_as_it_is_now),
		T(an_absent_guard_is_missing_and_not_made_by_looking),
		T(the_guard_tells_what_was_written_last),
		T(the_guard_never_grows),
		T(a_copied_guard_is_known_for_a_copy),
		T(a_moved_guard_stays_genuine),
		T(a_torn_write_leaves_the_one_before),
		T(every_flipped_byte_of_a_slot_is_noticed),
		T(a_guard_is_there_only_when_it_is_whole),
		T(a_short_guard_is_damaged),
		T(a_note_too_long_for_the_guard_is_refused),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
