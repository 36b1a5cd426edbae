#include "node/cli.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "node/control.h"
#include "node/hands.h"

#define BUSY_WAIT_MS 10000u /* for a node that starts or stops */
#define BUSY_STEP_MS 50
#define WHY_BYTES 65536u
#define PATH_BYTES 8192u

int cli_unknown(struct cmd *c, const char *name)
{
	struct slice near = cmd_nearest(name, NULL);
	if (near.n > 0)
		cmd_msg(c, "unknown command '%s'; did you mean %.*s?", name,
			(int)near.n, (const char *)near.p);
	else
		cmd_msg(c, "unknown command '%s'; 'symbolon help' lists all",
			name);
	return EXIT_USAGE;
}

/* ---- Where a command runs --------------------------------------------- */

/* Run in the node that serves c->dir, if there is one: at the usual path,
 * else where the configuration says. */
static enum err run_in_node(struct cmd *c, int *code, struct buf *why)
{
	struct buf path;
	buf_init(&path, PATH_BYTES);
	buf_put_str(&path, c->dir);
	buf_put_str(&path, "/control.sock");
	buf_put_u8(&path, '\0');
	enum err e = path.err ? ERR_LIMIT
			      : control_run((const char *)path.p, c, code, why);
	if (e != ERR_NOT_FOUND)
		goto out;
	buf_reset(&path);
	buf_put_str(&path, c->dir);
	buf_put_str(&path, "/symbolon.yaml");
	buf_put_u8(&path, '\0');
	struct config config;
	struct buf ignored; /* home_open says it again where it matters */
	buf_init(&ignored, WHY_BYTES);
	if (!config_load((const char *)path.p, &config, &ignored)) {
		if (config.control) {
			buf_reset(why);
			e = control_run(config.control, c, code, why);
		}
		config_free(&config);
	}
	buf_free(&ignored);
out:
	buf_free(&path);
	return e;
}

static int run_at_home(struct cmd *c, const struct cmd_entry *entry,
		       struct home *home)
{
	c->home = home;
	int code = cmd_run(c, entry);
	home_close(home);
	return code;
}

static int say_why(struct cmd *c, enum err e, const struct buf *why)
{
	if (why->n > 0)
		cmd_msg(c, "%.*s", (int)why->n, (const char *)why->p);
	else
		cmd_msg(c, "%s: %s", c->dir, err_text(e));
	return cmd_exit(e);
}

/* In the node, else on the opened directory. Between the two lies a node
 * that starts or stops: it has the lock and does not listen; wait a little. */
static int run_there(struct cmd *c, const struct cmd_entry *entry)
{
	struct buf why;
	struct home home;
	int code = EXIT_FAILED;
	enum err e = ERR_BUSY;
	buf_init(&why, WHY_BYTES);
	for (unsigned ms = 0; e == ERR_BUSY; ms += BUSY_STEP_MS) {
		e = run_in_node(c, &code, &why);
		if (e != ERR_NOT_FOUND)
			break;
		if (cmd_place(entry, c->argc, c->argv) == CMD_NODE) {
			code = EXIT_UNREACHABLE;
			cmd_msg(c,
				"no node runs in %s; start it with: symbolon "
				"-C %s serve",
				c->dir, c->dir);
			goto out;
		}
		buf_reset(&why);
		e = home_open(&(struct home_options){ .dir = c->dir }, &home,
			      &why);
		if (!e) {
			code = run_at_home(c, entry, &home);
			goto out;
		}
		if (e == ERR_BUSY && ms >= BUSY_WAIT_MS) {
			code = EXIT_UNREACHABLE;
			cmd_msg(c,
				"%s is in use by a process that does not "
				"answer: a node that starts or stops, or "
				"another command; try again",
				c->dir);
			goto out;
		}
		if (e == ERR_BUSY) {
			buf_reset(&why);
			poll(NULL, 0, BUSY_STEP_MS);
		}
		if (cmd_is_cancelled(c)) {
			cmd_msg(c, "interrupted");
			goto out;
		}
	}
	if (e)
		code = say_why(c, e, &why);
out:
	buf_free(&why);
	return code;
}

static int dispatch(struct cmd *c)
{
	const struct cmd_entry *entry = cmd_find(c->argv[0]);
	if (entry == NULL)
		return cli_unknown(c, c->argv[0]);
	c->entry = entry;
	for (int i = 1; i < c->argc && strcmp(c->argv[i], "--") != 0; i++)
		if (strcmp(c->argv[i], "-C") == 0)
			return cmd_usage(c, "-C DIR comes before the command");
	if (cmd_place(entry, c->argc, c->argv) == CMD_HERE)
		return cmd_run(c, entry);
	return run_there(c, entry);
}

/* ---- Global options --------------------------------------------------- */

static unsigned columns_of(int fd)
{
	struct winsize w;
	if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		return w.ws_col;
	return 80;
}

static int overview(struct cmd *c, int fd)
{
	struct buf b;
	buf_init(&b, WHY_BYTES);
	cli_put_usage(&b);
	c->io->write(c->io_arg, fd, buf_slice(&b));
	buf_free(&b);
	return fd == STDOUT_FILENO ? EXIT_OK : EXIT_USAGE;
}

/* Take the options before the command; -1: go on, else the exit status. */
static int take_globals(struct cmd *c)
{
	while (c->argc > 0 && c->argv[0][0] == '-') {
		const char *arg = c->argv[0];
		int used = 1;
		if (strcmp(arg, "-C") == 0 && c->argc > 1) {
			c->dir = c->argv[1];
			used = 2;
		} else if (strcmp(arg, "--json") == 0) {
			c->json = true;
		} else if (strcmp(arg, "--version") == 0) {
			cmd_out(c, "symbolon %s\n", SYMBOLON_VERSION);
			return EXIT_OK;
		} else if (strcmp(arg, "--help") == 0 ||
			   strcmp(arg, "-h") == 0) {
			return overview(c, STDOUT_FILENO);
		} else if (strcmp(arg, "-C") == 0) {
			cmd_msg(c, "-C needs a directory");
			return EXIT_USAGE;
		} else {
			cmd_msg(c,
				"unknown option %s before the command; "
				"'symbolon help' lists all",
				arg);
			return EXIT_USAGE;
		}
		c->argv += used;
		c->argc -= used;
	}
	return c->argc > 0 ? -1 : overview(c, STDERR_FILENO);
}

int cli_main(int argc, char **argv, const volatile sig_atomic_t *interrupted)
{
	struct hands hands;
	hands_init(&hands, argc, argv, interrupted);
	size_t bytes = ((size_t)argc + 1) * sizeof(*argv);
	char **copy = xmalloc(bytes);
	memcpy(copy, argv, bytes);
	const char *dir = getenv("SYMBOLON_DIR");
	struct cmd c = {
		.argc = argc > 0 ? argc - 1 : 0,
		.argv = argc > 0 ? copy + 1 : copy,
		.err_is_tty = isatty(STDERR_FILENO),
		.out_is_tty = isatty(STDOUT_FILENO),
		.io = &hands_io,
		.io_arg = &hands,
		.dir = dir && *dir ? dir : ".",
	};
	c.columns = columns_of(c.out_is_tty ? STDOUT_FILENO : STDERR_FILENO);
	int code = take_globals(&c);
	if (code < 0) {
		if (cmd_flag(&c, "--json"))
			c.json = true;
		code = dispatch(&c);
	}
	/* Who asked for data and cannot be given it must be told. */
	hands_flush(&hands);
	if (hands.gone && code == EXIT_OK)
		code = EXIT_FAILED;
	hands_free(&hands);
	free(copy);
	return code;
}
