/* kill -9 at any moment: what was acknowledged is there, what was signed is
 * never signed otherwise, and the node goes on by itself.
 *
 * Two nests: "a" appends own records, "b" takes them in chunks. A child works
 * on both, telling through a pipe what was acknowledged; the parent kills it,
 * opens both and compares with all that was ever acknowledged. The parent has
 * no store open while it forks. ROUNDS in the environment: how many times.
 *
 * The same with the power: an ext4 of its own is shut down so that what was
 * not synced is gone. That needs root and a loop device. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk.h"
#include "node/keys.h"
#include "tests/lib/tmp.h"
#include "tests/node/lib/nest.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ROUNDS_USUAL 220
#define CHECK_EVERY 40 /* rounds between checks of every record */
#define SLEEP_US_MAX 8000
#define ACKS_MAX 4 /* awaited before the pause */
#define BATCH_MAX 60
#define POWER_SHARE 5 /* rounds for one power cut */
#define DISK_BYTES (96 << 20)
#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_NO_LOG_FLUSH 2u
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
	char *disk; /* where an ext4 of its own is mounted; else NULL */
	uint64_t random;
};

static void make_nests(struct fixture *f, const char *where)
{
	struct nest a, b;

	nest_make(&a, where, "a.example");
	nest_make(&b, where, "b.example");
	nest_open(&a);
	nest_open(&b);
	nest_ally((struct nest *[]){ &a, &b }, 2);
	f->dir_a = xstrdup(a.dir);
	f->dir_b = xstrdup(b.dir);
	nest_free(&a);
	nest_free(&b);
}

static struct fixture *new_fixture(void)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->root = tmp_make();
	random_bytes(&f->random, sizeof(f->random));
	print_message("seed %llu\n", (unsigned long long)f->random);
	return f;
}

static int setup(void **state)
{
	struct fixture *f = new_fixture();

	make_nests(f, f->root);
	*state = f;
	return 0;
}

static bool run(const char *const argv[])
{
	pid_t pid = fork();
	int status = 1;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		/* execvp does not write to what it is given */
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

static bool mount_disk(struct fixture *f)
{
	char *image = path_join(f->root, "image");
	const char *const argv[] = {
		"mount", "-o", "loop", image, f->disk, NULL
	};
	bool ok_ = run(argv);

	free(image);
	return ok_;
}

/* An ext4 in a file; f->disk stays NULL where there can be none. */
static int setup_disk(void **state)
{
	struct fixture *f = new_fixture();
	char *image = path_join(f->root, "image");
	const char *const mkfs[] = { "mkfs.ext4", "-q", image, NULL };
	int fd = open(image, O_RDWR | O_CREAT, 0600);
	bool ready = fd >= 0 && ftruncate(fd, DISK_BYTES) == 0 && run(mkfs);

	close(fd);
	f->disk = path_join(f->root, "disk");
	ready = ready && mkdir(f->disk, 0700) == 0 && mount_disk(f);
	if (ready) {
		make_nests(f, f->disk);
	} else {
		free(f->disk);
		f->disk = NULL;
	}
	free(image);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->disk != NULL)
		umount(f->disk);
	tmp_remove(f->root);
	free(f->disk);
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

/* The child: work until killed. A program of its own, so that a failed
 * assertion ends it and not just a test. */
static int work(char **argv)
{
	struct fixture f = { .random = strtoull(argv[4], NULL, 10) };
	int fd = (int)strtol(argv[5], NULL, 10);
	struct nest a, b;

	nest_use(&a, argv[2]);
	nest_use(&b, argv[3]);
	if (nest_try(&a, NULL) != ERR_OK || nest_try(&b, NULL) != ERR_OK)
		return 3;
	tell(fd, OPENED, NULL);
	for (;;) {
		uint32_t count = 1 + next_random(&f, BATCH_MAX);
		uint64_t audience =
			next_random(&f, 2) ? AUDIENCE_MEMBERS : AUDIENCE_PUBLIC;
		struct store_head head;

		if (nest_append(&a, "x", count, audience) != ERR_OK)
			return 4;
		head = nest_head(&a, ORIGIN_A, NULL);
		tell(fd, OF_A, &head.noted);
		if (next_random(&f, 3) == 0)
			continue;
		if (nest_sync(&a, &b, 1 + next_random(&f, 50)) != ERR_OK)
			return 5;
		head = nest_head(&b, ORIGIN_A, NULL);
		tell(fd, OF_B, &head.noted);
	}
}

static void start_work(struct fixture *f, int fd)
{
	char seed[32], number[16];
	char program[] = "/proc/self/exe", verb[] = "--work";
	char *argv[] = {
		program, verb, f->dir_a, f->dir_b, seed, number, NULL
	};

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)f->random);
	snprintf(number, sizeof(number), "%d", fd);
	if (f->disk != NULL) /* it will complain of the disk */
		dup2(open("/dev/null", O_RDWR), 2);
	execv(program, argv);
	_exit(127);
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

/* What was not synced until now never was. */
static void cut_power(struct fixture *f)
{
	uint32_t how = EXT4_NO_LOG_FLUSH;
	int fd = open(f->disk, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, EXT4_SHUTDOWN, &how), 0);
	close(fd);
}

static void restore_power(struct fixture *f)
{
	const struct timespec pause = { 0, 10000000 };
	int tries = 0;

	while (umount(f->disk) != 0 && tries++ < 100)
		nanosleep(&pause, NULL);
	assert_true(mount_disk(f));
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
		start_work(f, fds[1]);
	}
	close(fds[1]);
	/* However slow the machine is: at a random place of the work. */
	for (unsigned acks = early ? 0 : 1 + next_random(f, ACKS_MAX);
	     acks > 0 && read(fds[0], &ack, sizeof(ack)) == sizeof(ack);
	     acks--) {
		opened = true;
		remember(f, &ack);
	}
	nanosleep(&pause, NULL);
	if (f->disk != NULL)
		cut_power(f);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (f->disk == NULL &&
	    (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
		fail_msg("the child ended by itself, status %x", status);
	while ((n = read(fds[0], &ack, sizeof(ack))) == sizeof(ack)) {
		opened = true;
		remember(f, &ack);
	}
	assert_int_equal(n, 0);
	f->killed_early += !opened;
	close(fds[0]);
	if (f->disk != NULL)
		restore_power(f);
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

static unsigned rounds_wanted(void)
{
	const char *wanted = getenv("ROUNDS");

	return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10)
			      : ROUNDS_USUAL;
}

static void nothing_acknowledged_is_lost_by_killing_the_process(void **state)
{
	struct fixture *f = *state;
	unsigned rounds = rounds_wanted();

	for (unsigned i = 1; i <= rounds; i++) {
		run_and_kill(f);
		check(f, i % CHECK_EVERY == 0 || i == rounds);
	}
	print_message("%u rounds, %u killed while opening, %zu acknowledged "
		      "heads, %llu records\n",
		      rounds, f->killed_early, f->acked_count,
		      (unsigned long long)f->acked_a);
	assert_true(f->acked_count > rounds / 2);
}

static void nothing_acknowledged_is_lost_by_cutting_the_power(void **state)
{
	struct fixture *f = *state;
	unsigned rounds = rounds_wanted() / POWER_SHARE;

	if (f->disk == NULL) {
		print_message("skipped: no ext4 can be mounted here\n");
		skip();
	}
	for (unsigned i = 1; i <= rounds; i++) {
		run_and_kill(f);
		check(f, i % 10 == 0 || i == rounds);
	}
	print_message("%u power cuts, %zu acknowledged heads\n", rounds,
		      f->acked_count);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_acknowledged_is_lost_by_killing_the_process,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_acknowledged_is_lost_by_cutting_the_power,
			setup_disk, teardown),
		cmocka_unit_test_setup_teardown(
			a_node_killed_in_its_first_start_starts_again, setup,
			teardown),
	};

	if (argc == 6 && strcmp(argv[1], "--work") == 0)
		return work(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
