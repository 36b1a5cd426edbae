/* The control socket: a command in one process, its hands in another. The
 * server runs here; each user is this program again, as a process of its own
 * ("--user PATH WORDS..."), for a child of a threaded process may only exec. */

#define _GNU_SOURCE

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/control.h"
#include "node/control_wire.h"
#include "node/disk.h"
#include "node/hands.h"

#define WAIT_STEPS 500 /* of 20 ms */
#define BIG_BYTES (5u << 20)

/* ---- Commands --------------------------------------------------------- */

static int run_echo(struct cmd *c)
{
	for (int i = 0; i < c->argc; i++)
		cmd_out(c, "[%s]", c->argv[i]);
	cmd_out(c, " json=%d tty=%d%d columns=%u\n", c->json, c->out_is_tty,
		c->err_is_tty, c->columns);
	cmd_msg(c, "a word on standard error");
	return EXIT_PARTLY;
}

/* copy FROM TO: what is read is written, and a file beside it. */
static int run_copy(struct cmd *c)
{
	struct buf data, why;
	int to = -1;
	buf_init(&data, BIG_BYTES);
	buf_init(&why, 4096);
	enum err e = cmd_read_file(c, c->argv[1], BIG_BYTES, &data);
	if (!e)
		e = c->io->create(c->io_arg, c->argv[2], &to, &why);
	if (why.n > 0)
		cmd_msg(c, "%.*s", (int)why.n, (const char *)why.p);
	if (!e)
		e = c->io->put(c->io_arg, to, buf_slice(&data));
	if (!e && c->argc > 3)
		c->io->discard(c->io_arg, to);
	else if (!e)
		e = c->io->close(c->io_arg, to);
	buf_free(&data);
	buf_free(&why);
	return cmd_exit(e);
}

/* reach PATH...: opens "/etc/passwd" and creates "/tmp/x/y", unnamed. */
static int run_reach(struct cmd *c)
{
	struct buf why;
	int handle;
	buf_init(&why, 4096);
	enum err a = c->io->open(c->io_arg, "/etc/passwd", &handle, &why);
	enum err b = c->io->create(c->io_arg, "/tmp/reach/y", &handle, &why);
	buf_free(&why);
	return a == ERR_DENIED && b == ERR_DENIED ? EXIT_OK : EXIT_FAILED;
}

static int run_wait(struct cmd *c)
{
	cmd_out(c, "waiting\n");
	for (int i = 0; i < WAIT_STEPS; i++) {
		if (cmd_is_cancelled(c)) {
			cmd_out(c, "cancelled\n");
			return EXIT_REFUSED;
		}
		poll(NULL, 0, 20);
	}
	return EXIT_FAILED;
}

static int run_big(struct cmd *c)
{
	for (unsigned i = 0; i < BIG_BYTES / 64; i++)
		cmd_out(c, "%063u\n", i);
	return EXIT_OK;
}

static int run_home(struct cmd *c)
{
	return strcmp(c->dir, c->home->dir) == 0 && c->node ? EXIT_OK
							    : EXIT_FAILED;
}

static const struct cmd_entry table[] = {
	{ .name = "echo", .place = CMD_HOME, .run = run_echo },
	{ .name = "copy", .place = CMD_HOME, .run = run_copy },
	{ .name = "reach", .place = CMD_HOME, .run = run_reach },
	{ .name = "wait", .place = CMD_NODE, .run = run_wait },
	{ .name = "big", .place = CMD_HOME, .run = run_big },
	{ .name = "home", .place = CMD_HOME, .run = run_home },
	{ .name = "here", .place = CMD_HERE, .run = run_echo },
	{ .name = NULL },
};

/* ---- Fixture ---------------------------------------------------------- */

struct fixture {
	char dir[64];
	char socket[256];
	struct home home;
	struct control *control;
	struct buf why;
};

struct user { /* a forked process */
	pid_t pid;
	int out; /* its standard output and error */
	int in; /* its standard input, for writing */
};

static struct home *home_of(struct node *n)
{
	struct fixture *f = (struct fixture *)(void *)n;
	return &f->home;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	strcpy(f->dir, "/tmp/symbolon-control-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	buf_init(&f->why, 65536);
	f->home.dir = f->dir;
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->dir);
	*state = f;
	const struct control_options o = {
		.path = f->socket,
		.node = (struct node *)(void *)f,
		.home_of = home_of,
		.table = table,
	};
	return control_start(&o, &f->control, &f->why) ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	control_stop(f->control);
	int left = access(f->socket, F_OK);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	int rc = system(command);
	buf_free(&f->why);
	free(f);
	return left == 0 || rc != 0 ? -1 : 0;
}

/* ---- Helpers ---------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted++;
}

/* main of a user; argv: program, "--user" or "--nobody", path, words... */
static int be_user(int argc, char **argv)
{
	struct hands hands;
	struct buf why;
	int code = 0;
	struct sigaction act = { .sa_handler = on_signal };
	const char *path = argv[2];
	if (strcmp(argv[1], "--nobody") == 0 && setuid(65534) != 0)
		return 99;
	sigaction(SIGINT, &act, NULL);
	hands_init(&hands, argc - 2, argv + 2, &interrupted);
	buf_init(&why, 4096);
	struct cmd c = { .argc = argc - 3,
			 .argv = argv + 3,
			 .json = true,
			 .out_is_tty = true,
			 .columns = 132,
			 .io = &hands_io,
			 .io_arg = &hands };
	enum err e = control_run(path, &c, &code, &why);
	hands_free(&hands);
	if (why.n > 0)
		dprintf(2, "%.*s\n", (int)why.n, (const char *)why.p);
	buf_free(&why);
	return e ? 100 - (int)e : code;
}

/* @words[0] is "--user" or "--nobody". */
static struct user start_user(const char *path, const char **words)
{
	int out[2], in[2];
	size_t argc = 0;
	while (words[argc])
		argc++;
	char **argv = calloc(argc + 3, sizeof(*argv));
	assert_non_null(argv);
	memcpy(argv + 1, words, argc * sizeof(*argv));
	memmove(argv + 3, argv + 2, (argc - 1) * sizeof(*argv));
	memcpy(argv + 2, &path, sizeof(path));
	argv[0] = argv[1];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		dup2(in[0], 0);
		execv("/proc/self/exe", argv);
		_exit(98);
	}
	close(out[1]);
	close(in[0]);
	free(argv);
	return (struct user){ pid, out[0], in[1] };
}

/* Everything it says; its exit status is returned. */
static int end_user(struct user *u, struct buf *said)
{
	uint8_t chunk[4096];
	ssize_t n;
	int status = 0;
	close(u->in);
	while ((n = read(u->out, chunk, sizeof(chunk))) > 0)
		buf_put(said, slice_of(chunk, (size_t)n));
	close(u->out);
	waitpid(u->pid, &status, 0);
	buf_put_u8(said, '\0');
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define ARGV(...) ((const char *[]){ "--user", __VA_ARGS__, NULL })

static int run_user(const char *path, const char **argv, const char *want)
{
	struct buf said;
	buf_init(&said, 16u << 20);
	struct user u = start_user(path, argv);
	int code = end_user(&u, &said);
	if (want && !strstr((const char *)said.p, want)) {
		print_message("said:\n%s\n", (const char *)said.p);
		fail();
	}
	buf_free(&said);
	return code;
}

static void await_word(struct user *u, const char *word)
{
	char got[64] = "";
	size_t n = 0;
	while (!strstr(got, word)) {
		assert_true(n + 1 < sizeof(got));
		assert_int_equal(read(u->out, got + n, 1), 1);
		n++;
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void assert_file(const char *path, const char *text)
{
	struct buf b;
	buf_init(&b, 1u << 20);
	assert_int_equal(disk_read(path, 1u << 20, &b, NULL), ERR_OK);
	assert_true(slice_is(buf_slice(&b), text));
	buf_free(&b);
}

static int dial_raw(const struct fixture *f)
{
	struct sockaddr_un at;
	int dir, fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(wire_address(f->socket, &at, &dir), ERR_OK);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void assert_alive(struct fixture *f)
{
	assert_int_equal(run_user(f->socket, ARGV("home"), NULL), EXIT_OK);
}

/* ---- A command and its hands ------------------------------------------ */

static void arguments_flags_output_and_exit_code_travel(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(run_user(f->socket, ARGV("echo", "a b", "\xff\n"),
				  "[echo][a b][\xff\n] json=1 tty=10 "
				  "columns=132\nsymbolon: a word on standard "
				  "error\n"),
			 EXIT_PARTLY);
	assert_alive(f);
}

static void files_are_read_and_written_by_the_user(void **state)
{
	struct fixture *f = *state;
	char from[128], to[128], aside[160];
	snprintf(from, sizeof(from), "%s/from", f->dir);
	snprintf(to, sizeof(to), "%s/to", f->dir);
	write_file(from, "some content");
	assert_int_equal(run_user(f->socket, ARGV("copy", from, to), NULL), 0);
	assert_file(to, "some content");
	struct stat st;
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* A file that is there keeps its mode, and is replaced whole. */
	assert_int_equal(chmod(to, 0640), 0);
	write_file(from, "other");
	assert_int_equal(run_user(f->socket, ARGV("copy", from, to), NULL), 0);
	assert_file(to, "other");
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* What is discarded leaves the old content and nothing beside it. */
	write_file(from, "third");
	assert_int_equal(
		run_user(f->socket, ARGV("copy", from, to, "discard"), NULL),
		0);
	assert_file(to, "other");
	snprintf(aside, sizeof(aside), "ls %s | grep -q tmp-", f->dir);
	assert_int_not_equal(system(aside), 0);
}

static void a_file_that_is_missing_is_told(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(run_user(f->socket, ARGV("copy", "/nowhere/x", "y"),
				  "/nowhere/x: cannot open: No such file"),
			 EXIT_FAILED);
}

static void standard_input_is_a_file(void **state)
{
	struct fixture *f = *state;
	char to[128];
	struct buf said;
	buf_init(&said, 4096);
	snprintf(to, sizeof(to), "%s/to", f->dir);
	struct user u = start_user(f->socket, ARGV("copy", "-", to));
	assert_int_equal(write(u.in, "typed", 5), 5);
	assert_int_equal(end_user(&u, &said), 0);
	assert_file(to, "typed");
	buf_free(&said);
}

static void only_files_that_the_command_line_names_are_opened(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(run_user(f->socket, ARGV("reach", "x"), NULL), 0);
	/* The naming rule itself. */
	char words[5][16] = { "symbolon", "import", "dir/a.csv", "--out=b",
			      "--x" };
	char *argv[] = { words[0], words[1], words[2], words[3], words[4] };
	const struct {
		const char *path;
		bool open, create;
	} cases[] = {
		{ "dir/a.csv", true, true },
		{ "dir/a.csv.rejects.csv", true, true },
		{ "dir/a.csv.other", false, true },
		{ "dir/a.csv/../../x", false, false },
		{ "b", true, true },
		{ "b.tmp", false, true },
		{ "-", true, true },
		{ "symbolon", false, false },
		{ "dir/a", false, false },
		{ "", false, false },
		{ "/etc/passwd", false, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cmd_names(5, argv, cases[i].path, false),
				 cases[i].open);
		assert_int_equal(cmd_names(5, argv, cases[i].path, true),
				 cases[i].create);
	}
}

static void much_output_arrives_whole(void **state)
{
	struct fixture *f = *state;
	struct buf said;
	buf_init(&said, 2 * BIG_BYTES);
	struct user u = start_user(f->socket, ARGV("big"));
	assert_int_equal(end_user(&u, &said), 0);
	assert_int_equal(said.n, BIG_BYTES + 1);
	for (unsigned i = 0; i < BIG_BYTES / 64; i += 1000)
		assert_int_equal(atoi((const char *)said.p + 64 * i), i);
	buf_free(&said);
}

static void a_command_of_the_users_process_is_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(run_user(f->socket, ARGV("here"), "does not run"), 1);
	assert_int_equal(run_user(f->socket, ARGV("no"), "does not run"), 1);
}

/* ---- Ending ----------------------------------------------------------- */

static void an_interrupt_cancels_the_command(void **state)
{
	struct fixture *f = *state;
	struct buf said;
	buf_init(&said, 4096);
	struct user u = start_user(f->socket, ARGV("wait"));
	await_word(&u, "waiting");
	kill(u.pid, SIGINT);
	assert_int_equal(end_user(&u, &said), EXIT_REFUSED);
	assert_non_null(strstr((const char *)said.p, "cancelled"));
	buf_free(&said);
}

static void a_user_who_dies_cancels_the_command(void **state)
{
	struct fixture *f = *state;
	struct buf said;
	buf_init(&said, 4096);
	struct user u = start_user(f->socket, ARGV("wait"));
	await_word(&u, "waiting");
	assert_int_equal(control_running(f->control), 1);
	kill(u.pid, SIGKILL);
	end_user(&u, &said);
	for (int i = 0; i < WAIT_STEPS && control_running(f->control); i++)
		poll(NULL, 0, 10);
	assert_int_equal(control_running(f->control), 0);
	buf_free(&said);
}

static void a_seventeenth_command_is_told_to_wait(void **state)
{
	struct fixture *f = *state;
	struct user users[CONTROL_THREADS];
	struct buf said;
	buf_init(&said, 65536);
	for (size_t i = 0; i < CONTROL_THREADS; i++) {
		users[i] = start_user(f->socket, ARGV("wait"));
		await_word(&users[i], "waiting");
	}
	assert_int_equal(run_user(f->socket, ARGV("echo"), "try again"), 1);
	for (size_t i = 0; i < CONTROL_THREADS; i++)
		kill(users[i].pid, SIGINT);
	for (size_t i = 0; i < CONTROL_THREADS; i++)
		assert_int_equal(end_user(&users[i], &said), EXIT_REFUSED);
	assert_alive(f);
	buf_free(&said);
}

static void stopping_ends_all_commands_within_seconds(void **state)
{
	struct fixture *f = *state;
	struct user users[3], idle;
	struct buf said;
	buf_init(&said, 65536);
	for (size_t i = 0; i < 3; i++) {
		users[i] = start_user(f->socket, ARGV("wait"));
		await_word(&users[i], "waiting");
	}
	/* One that awaits its user's input. */
	idle = start_user(f->socket, ARGV("copy", "-", "/tmp/never"));
	time_t before = time(NULL);
	control_stop(f->control);
	f->control = NULL;
	assert_true(time(NULL) - before <= 4);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(end_user(&users[i], &said), EXIT_REFUSED);
	end_user(&idle, &said);
	assert_int_equal(access("/tmp/never", F_OK), -1);
	assert_int_equal(run_user(f->socket, ARGV("echo"), "no node listens"),
			 100 - ERR_NOT_FOUND);
	buf_free(&said);
}

/* ---- Strangers -------------------------------------------------------- */

static void broken_frames_harm_nobody(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {
		{ "", 0 },
		{ "\0\0", 2 },
		{ "\xff\xff\xff\xff", 4 },
		{ "\0\0\0\0", 4 },
		{ "\0\0\0\1\xc0", 5 },
		{ "\0\0\0\1\x90", 5 },
		{ "\0\0\0\2\x91\1", 6 },
		{ "\0\0\0\2\x91\2", 6 },
		{ "\0\0\0\1\5", 5 },
		{ "\0\0\0\3\x92\1\2", 7 }, /* another release */
		{ "\0\0\0\6\x95\1\1\x90\0\0", 10 }, /* no words */
		{ "\0\0\0\x09\x95\1\1\x91\xc4\1\0\0\0", 13 }, /* NUL */
		{ "\0\0\0\x09\x94\1\1\x91\xc4\1\x41\0\0", 13 },
		{ "\0\0\0\x07\x95\1\1\xdd\xff\xff\xff", 11 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = dial_raw(f);
		char answer[4096];
		assert_int_equal(
			send(fd, cases[i].bytes, cases[i].n, MSG_NOSIGNAL),
			cases[i].n);
		shutdown(fd, SHUT_WR);
		while (recv(fd, answer, sizeof(answer), 0) > 0)
			;
		close(fd);
	}
	assert_alive(f);
}

static void every_prefix_of_a_call_is_refused_quietly(void **state)
{
	struct fixture *f = *state;
	struct wire w;
	wire_init(&w, -1);
	struct enc e = wire_begin(&w, CONTROL_RUN, 4);
	enc_uint(&e, CONTROL_VERSION);
	enc_array(&e, 1);
	enc_bin(&e, SLICE_LIT("home"));
	enc_uint(&e, 0);
	enc_uint(&e, 80);
	put_u32be(w.out.p, (uint32_t)w.out.n - 4);
	for (size_t n = 0; n <= w.out.n; n++) {
		int fd = dial_raw(f);
		char answer[256];
		assert_int_equal(send(fd, w.out.p, n, MSG_NOSIGNAL), n);
		shutdown(fd, SHUT_WR);
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		assert_int_equal(got, n < w.out.n ? 0 : 7); /* EXIT 0 */
		close(fd);
	}
	wire_free(&w);
	assert_alive(f);
}

static void too_many_words_are_refused(void **state)
{
	struct fixture *f = *state;
	const char *argv[CONTROL_ARGS + 3] = { "--user", "echo" };
	for (unsigned i = 2; i < CONTROL_ARGS + 1; i++)
		argv[i] = "x";
	assert_int_equal(run_user(f->socket, argv, "[x][x]"), EXIT_PARTLY);
	argv[CONTROL_ARGS + 1] = "x";
	assert_int_not_equal(run_user(f->socket, argv,
				      "the node went away; what it "
				      "acknowledged is kept: start the node "
				      "and run the same command again"),
			     0);
	assert_alive(f);
}

static void the_socket_is_private_and_checks_who_calls(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	assert_int_equal(stat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	if (geteuid() != 0) {
		print_message("skipped: not root, cannot be another user\n");
		skip();
	}
	/* Even if the modes are opened, another user is turned away. */
	assert_int_equal(chmod(f->dir, 0755) | chmod(f->socket, 0666), 0);
	const char *nobody[] = { "--nobody", "home", NULL };
	assert_int_equal(run_user(f->socket, nobody, "own user and root only"),
			 EXIT_FAILED);
}

static void a_long_path_works(void **state)
{
	struct fixture *f = *state;
	char dir[256], path[300];
	snprintf(dir, sizeof(dir), "%s/%0150d", f->dir, 1);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	struct control *second = NULL;
	const struct control_options o = { .path = path,
					   .node = (struct node *)(void *)f,
					   .home = &f->home,
					   .table = table };
	assert_int_equal(control_start(&o, &second, &f->why), ERR_OK);
	assert_int_equal(run_user(path, ARGV("home"), NULL), EXIT_OK);
	control_stop(second);
	assert_int_equal(access(path, F_OK), -1);
	/* A socket that a dead node left behind is replaced. */
	assert_int_equal(control_start(&o, &second, &f->why), ERR_OK);
	struct control *third = NULL;
	assert_int_equal(control_start(&o, &third, &f->why), ERR_OK);
	assert_int_equal(run_user(path, ARGV("home"), NULL), EXIT_OK);
	control_stop(third);
	control_stop(second);
}

/* ---- A node that lies ------------------------------------------------- */

struct liar {
	int listener;
	struct slice frames; /* sent after RUN came */
};

static void *lie(void *arg)
{
	struct liar *l = arg;
	struct wire w;
	struct dec d;
	uint32_t type;
	int fd = accept(l->listener, NULL, NULL);
	wire_init(&w, fd);
	if (!wire_recv(&w, &type, &d))
		send(fd, l->frames.p, l->frames.n, MSG_NOSIGNAL);
	/* The user hangs up, or the next frame shows that he does not. */
	while (wire_wait(&w, 5000) && !wire_recv(&w, &type, &d))
		;
	wire_free(&w);
	close(fd);
	return NULL;
}

static void a_node_that_lies_is_left(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *bytes;
		size_t n;
		enum err err;
	} cases[] = {
		{ "\xff\xff\xff\xff", 4, ERR_LIMIT },
		{ "\0\0\0\1\xc0", 5, ERR_MALFORMED },
		{ "\0\0\0\5\x93\x10\7\xc4\0", 9, ERR_MALFORMED }, /* OUT 7 */
		{ "\0\0\0\3\x92\x18\1", 7, ERR_MALFORMED }, /* no such type */
		{ "\0\0\0\3\x91\x16\1", 7, ERR_MALFORMED }, /* EXIT */
		{ "\0\0\0\5\x92\x16\xcd\3\xe8", 9, ERR_LIMIT },
		{ "\0\0\0\x08\x93\x13\0\xce\x7f\xff\xff\xff", 12,
		  ERR_MALFORMED }, /* READ 2 GiB */
		{ "\0\0\0\5\x92\x11\xc4\1\0", 9, ERR_MALFORMED }, /* NUL */
	};
	char path[128];
	struct sockaddr_un at;
	int dir;
	snprintf(path, sizeof(path), "%s/liar", f->dir);
	assert_int_equal(wire_address(path, &at, &dir), ERR_OK);
	struct liar l = { .listener = socket(AF_UNIX, SOCK_STREAM, 0) };
	assert_int_equal(bind(l.listener, (struct sockaddr *)&at, sizeof(at)),
			 0);
	assert_int_equal(listen(l.listener, 4), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pthread_t thread;
		l.frames = slice_of(cases[i].bytes, cases[i].n);
		assert_int_equal(pthread_create(&thread, NULL, lie, &l), 0);
		assert_int_equal(run_user(path, ARGV("home"), NULL),
				 100 - (int)cases[i].err);
		pthread_join(thread, NULL);
	}
	close(l.listener);
}

int main(int argc, char **argv)
{
	if (argc > 3)
		return be_user(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(arguments_flags_output_and_exit_code_travel),
		TEST(files_are_read_and_written_by_the_user),
		TEST(a_file_that_is_missing_is_told),
		TEST(standard_input_is_a_file),
		TEST(only_files_that_the_command_line_names_are_opened),
		TEST(much_output_arrives_whole),
		TEST(a_command_of_the_users_process_is_refused),
		TEST(an_interrupt_cancels_the_command),
		TEST(a_user_who_dies_cancels_the_command),
		TEST(a_seventeenth_command_is_told_to_wait),
		TEST(stopping_ends_all_commands_within_seconds),
		TEST(broken_frames_harm_nobody),
		TEST(every_prefix_of_a_call_is_refused_quietly),
		TEST(too_many_words_are_refused),
		TEST(the_socket_is_private_and_checks_who_calls),
		TEST(a_long_path_works),
		TEST(a_node_that_lies_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
