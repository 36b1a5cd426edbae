/* kill -9 at any moment: what was acknowledged is there, what was signed is
 * never signed otherwise, and the node goes on by itself.
 *
 * Two nests: "a" appends own records, "b" takes them in chunks. A child works
 * on both, telling through a pipe what was acknowledged; the parent kills it,
 * opens both and compares with all that was ever acknowledged. The parent has
 * no store open while it forks. ROUNDS in the environment: how many times. */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk.h"
#include "node/keys.h"
#include "tests/lib/tmp.h"
#include "tests/node/lib/nest.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ROUNDS_USUAL 240
#define CHECK_EVERY 40 /* rounds between checks of every record */
#define SLEEP_US_MAX 20000
#define BATCH_MAX 60
#define ORIGIN_A SLICE_LIT("a.example/symbolon/1")

/* ---- Fixture -------------------------------------------------------------- */

enum who { OPENED, OF_A, OF_B };

/* What the child tells: from then on it must hold. */
struct ack {
	enum who who;
	struct head head;
};

struct fixture {
	char *root, *dir_a, *dir_b;
	struct head *acked; /* of log a, ever; a's and b's alike */
	size_t acked_count, acked_cap;
	uint64_t acked_a, acked_b; /* largest sizes */
	unsigned killed_early; /* before the child had opened */
	uint64_t random;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct nest a, b;

	f->root = tmp_make();
	nest_make(&a, f->root, "a.example");
	nest_make(&b, f->root, "b.example");
	nest_open(&a);
	nest_open(&b);
	nest_ally((struct nest *[]){ &a, &b }, 2);
	f->dir_a = xstrdup(a.dir);
	f->dir_b = xstrdup(b.dir);
	nest_free(&a);
	nest_free(&b);
	random_bytes(&f->random, sizeof(f->random));
	print_message("seed %llu\n", (unsigned long long)f->random);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tmp_remove(f->root);
	free(f->dir_a);
	free(f->dir_b);
	free(f->acked);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static uint32_t next_random(struct fixture *f, uint32_t below)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(f->random >> 33) % below;
}

static void tell(int fd, enum who who, const struct head *head)
{
	struct ack ack;

	memset(&ack, 0, sizeof(ack));
	ack.who = who;
	if (head != NULL)
		ack.head = *head;
	if (write(fd, &ack, sizeof(ack)) != sizeof(ack))
		_exit(3);
}

/* The child: work until killed. */
static void work(struct fixture *f, int fd)
{
	struct nest a, b;

	nest_use(&a, f->dir_a);
	nest_use(&b, f->dir_b);
	nest_open(&a);
	nest_open(&b);
	tell(fd, OPENED, NULL);
	for (;;) {
		uint32_t count = 1 + next_random(f, BATCH_MAX);
		struct store_head head;

		if (nest_append(&a, "x", count,
				next_random(f, 2) ? AUDIENCE_MEMBERS
						  : AUDIENCE_PUBLIC) != ERR_OK)
			_exit(4);
		head = nest_head(&a, ORIGIN_A, NULL);
		tell(fd, OF_A, &head.noted);
		if (next_random(f, 3) == 0)
			continue;
		if (nest_sync(&a, &b, 1 + next_random(f, 50)) != ERR_OK)
			_exit(5);
		head = nest_head(&b, ORIGIN_A, NULL);
		tell(fd, OF_B, &head.noted);
	}
}

static void remember(struct fixture *f, const struct ack *ack)
{
	if (ack->who == OPENED)
		return;
	if (f->acked_count == f->acked_cap) {
		f->acked_cap = f->acked_cap > 0 ? 2 * f->acked_cap : 1024;
		f->acked = xrealloc(f->acked, f->acked_cap * sizeof(*f->acked));
	}
	f->acked[f->acked_count++] = ack->head;
	if (ack->who == OF_A && ack->head.size > f->acked_a)
		f->acked_a = ack->head.size;
	if (ack->who == OF_B && ack->head.size > f->acked_b)
		f->acked_b = ack->head.size;
}

/* Run the child and kill it at a random moment. */
static void run_and_kill(struct fixture *f)
{
	struct timespec pause = { 0, next_random(f, SLEEP_US_MAX) * 1000L };
	bool early = next_random(f, 8) == 0;
	bool opened = false;
	struct ack ack;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	next_random(f, 2);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		work(f, fds[1]);
	}
	close(fds[1]);
	if (!early && read(fds[0], &ack, sizeof(ack)) == sizeof(ack))
		opened = true;
	nanosleep(&pause, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the child ended by itself, status %x", status);
	while ((n = read(fds[0], &ack, sizeof(ack))) == sizeof(ack)) {
		opened = true;
		remember(f, &ack);
	}
	assert_int_equal(n, 0);
	f->killed_early += !opened;
	close(fds[0]);
}

/* ---- Assertions ----------------------------------------------------------- */

/* Every head that was ever acknowledged up to this size is one of the log:
 * no place was used twice. The newest and some older ones. */
static void check_acked(struct fixture *f, struct nest *n)
{
	struct store_head head = nest_head(n, ORIGIN_A, NULL);
	struct store_source source;
	struct merkle_source src;
	struct frontier at;
	struct head have;
	size_t i = f->acked_count;

	ok(store_read(n->home.store, &source.txn));
	ok(store_log_find(source.txn, ORIGIN_A, &source.log));
	src = store_source_of(&source);
	while (i > 0) {
		const struct head *acked = &f->acked[--i];

		if (acked->size <= head.frontier.size) {
			ok(merkle_frontier_at(&src, acked->size, &at));
			have = frontier_head(&at);
			assert_true(head_equal(&have, acked));
		}
		i -= i < next_random(f, 60) ? i : next_random(f, 60) % (i + 1);
	}
	store_abort(source.txn);
}

static void check(struct fixture *f, bool all)
{
	struct nest a, b;
	struct store_head of_a, of_b;

	nest_use(&a, f->dir_a);
	nest_use(&b, f->dir_b);
	nest_open(&a);
	nest_open(&b);
	of_a = nest_head(&a, ORIGIN_A, NULL);
	of_b = nest_head(&b, ORIGIN_A, NULL);
	/* nothing acknowledged is lost; what is held is signed */
	assert_true(of_a.noted.size >= f->acked_a);
	assert_true(of_b.noted.size >= f->acked_b);
	assert_int_equal(of_a.noted.size, of_a.frontier.size);
	/* nobody holds more than the origin has durable */
	assert_true(of_b.frontier.size <= of_a.frontier.size);
	/* a crash is no reason for doubt */
	assert_true(writer_is_trusted(a.home.writer));
	assert_true(writer_is_trusted(b.home.writer));
	check_acked(f, &a);
	check_acked(f, &b);
	if (all) {
		nest_check(&a, ORIGIN_A);
		nest_check(&b, ORIGIN_A);
		ok(nest_sync(&a, &b, 40));
		assert_int_equal(nest_head(&b, ORIGIN_A, NULL).missing, 0);
	}
	nest_free(&a);
	nest_free(&b);
}

static void nothing_acknowledged_is_lost_by_killing_the_process(void **state)
{
	struct fixture *f = *state;
	const char *wanted = getenv("ROUNDS");
	unsigned rounds = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10)
					 : ROUNDS_USUAL;

	for (unsigned i = 1; i <= rounds; i++) {
		run_and_kill(f);
		check(f, i % CHECK_EVERY == 0 || i == rounds);
	}
	print_message("%u rounds, %u killed while opening, %zu acknowledged "
		      "heads, %llu records\n",
		      rounds, f->killed_early, f->acked_count,
		      (unsigned long long)f->acked_a);
	assert_true(f->acked_count > rounds / 4);
}

/* ---- First start ---------------------------------------------------------- */

static void open_once(const char *dir)
{
	struct nest n;

	nest_use(&n, dir);
	nest_open(&n);
	_exit(0);
}

static void a_node_killed_in_its_first_start_starts_again(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 40; i++) {
		struct timespec pause = { 0, i * 300000L };
		struct nest n;
		char name[32];
		pid_t pid;

		snprintf(name, sizeof(name), "first%u.example", i);
		nest_make(&n, f->root, name);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			open_once(n.dir);
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		nest_open(&n);
		assert_true(writer_is_trusted(n.home.writer));
		ok(nest_append(&n, "x", 3, AUDIENCE_MEMBERS));
		nest_free(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_acknowledged_is_lost_by_killing_the_process,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_node_killed_in_its_first_start_starts_again, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
