/* Commands: one table, one way to read, write and end, wherever they run.
 *
 * A command is a function over a struct cmd. It runs either in the process
 * that the user started (which then opened DIR under its lock) or inside
 * the running node, on a thread of its own, with the user's process as its
 * hands: arguments, files, standard output and error travel over the control
 * socket (control.h). A command cannot tell which.
 *
 * Data goes to cmd_out, messages to cmd_msg; exit codes are enum exit_code. */

#ifndef NODE_CMD_H
#define NODE_CMD_H

#include "node/home.h"
#include "proto/value.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NOT_ALLOWED = 4,
	EXIT_WARNING = 5,
	EXIT_CRITICAL = 6,
	EXIT_PARTLY = 7,
	EXIT_REFUSED = 8,
};

struct node; /* the running node, node.h */
struct cmd;

/* How a command reaches the outside: stdio here, or the control socket.
 * To be used on the command's own thread only. Standard output is held back
 * for a moment; it goes out when there is enough of it, before anything on
 * standard error, in is_cancelled when it is older than 50 ms, at the end.
 * Files are only those that the command line names: open takes the words of
 * argv (also VALUE of --name=VALUE) and rejects files of theirs, create these
 * and words with something appended ("FILE.rejects"), else ERR_DENIED. */
struct cmd_io {
	/* fd 1 or 2. Errors make later writes no-ops (the user is gone). */
	void (*write)(void *arg, int fd, struct slice bytes);
	/* Open a file for reading: "-" is standard input. */
	enum err (*open)(void *arg, const char *path, int *handle,
			 struct buf *why);
	/* Create for writing: 0600, or the mode of the file that is there.
	 * It takes its name, whole and synced, at close; without close
	 * nothing is left. "-" is standard output. */
	enum err (*create)(void *arg, const char *path, int *handle,
			   struct buf *why);
	/* At most @n bytes into @p; *got is 0 at the end. */
	enum err (*read)(void *arg, int handle, uint8_t *p, size_t n,
			 size_t *got);
	enum err (*put)(void *arg, int handle, struct slice bytes);
	/* Of a created file: synced; tells the first failure of a put. */
	enum err (*close)(void *arg, int handle);
	/* Drop a handle; of a created file nothing is left. */
	void (*discard)(void *arg, int handle);
	bool (*is_cancelled)(void *arg); /* user interrupted or went away */
};

struct cmd {
	int argc; /* argv[0] is the command's name */
	char **argv; /* ended by NULL */
	const struct cmd_entry *entry; /* set by cmd_run */
	bool json; /* --json was given (removed from argv) */
	bool err_is_tty; /* progress bars and colour allowed */
	bool out_is_tty;
	unsigned columns; /* of the terminal, 80 if unknown */
	const struct cmd_io *io;
	void *io_arg;
	const char *dir; /* -C DIR as given */
	struct home *home; /* NULL for commands that need none */
	struct node *node; /* NULL unless running inside the node */
};

/* Where a command may run. */
enum cmd_place {
	CMD_HERE, /* always in the user's process, no home */
	CMD_HOME, /* in the running node, else on an opened home */
	CMD_NODE, /* only in a running node: else EXIT_UNREACHABLE */
};

struct cmd_entry {
	const char *name; /* "import", "log" */
	enum cmd_place place;
	int (*run)(struct cmd *c); /* returns enum exit_code */
	const char *synopsis; /* one line a form, separated by '\n' */
	const char *summary; /* one sentence */
	const char *options; /* lines "  --flag ARG  text\n" or NULL */
	const char *home; /* subcommands of a CMD_HERE that run as CMD_HOME,
			   * separated by blanks; NULL: none */
	const char *example; /* one line or more, for help and man page */
};

/* The table of all commands in order, ended by a NULL name (cmd_table.c). */
extern const struct cmd_entry cmd_table[];
/* NULL when there is none. */
const struct cmd_entry *cmd_find(const char *name);
const struct cmd_entry *cmd_find_in(const struct cmd_entry *table,
				    const char *name);
/* Where this call of @e runs: @e->place, CMD_HOME when argv[1] is one of
 * @e->home, CMD_HERE for --help. */
enum cmd_place cmd_place(const struct cmd_entry *e, int argc, char **argv);
/* Run @c as @e; prints the help instead when --help is among the options.
 * Returns enum exit_code. */
int cmd_run(struct cmd *c, const struct cmd_entry *e);
/* Append the help of one command to @out. */
void cmd_put_help(const struct cmd_entry *e, struct buf *out);
bool cmd_is_cancelled(struct cmd *c);
/* May the command open (@create: make) @path? See struct cmd_io. */
bool cmd_names(int argc, char *const *argv, const char *path, bool create);

void cmd_out(struct cmd *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cmd_out_slice(struct cmd *c, struct slice s);
/* Building documents for cmd_out_json: an empty map with room for @room
 * pairs, and one more pair in it. The arena must have the room (asserted). */
struct value cmd_map(struct arena *a, uint32_t room);
void cmd_set(struct value *map, const char *key, struct value v);
/* A copy in the arena. */
struct value cmd_str(struct arena *a, struct slice s);
/* One document and a newline. */
void cmd_out_json(struct cmd *c, const struct value *v);
/* One message line on standard error: "symbolon: ..." */
void cmd_msg(struct cmd *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Print a message and the forms of the running command on standard error;
 * returns EXIT_USAGE. */
int cmd_usage(struct cmd *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Exit code that belongs to @e. */
int cmd_exit(enum err e);
/* Text that others wrote: control characters (and those that reorder text)
 * are escaped when standard output is a terminal. cmd_msg does so always. */
void cmd_out_text(struct cmd *c, struct slice s);

/* Options: call for each; they are removed from argv. */
bool cmd_flag(struct cmd *c, const char *name); /* --check */
/* --name VALUE or --name=VALUE; NULL when absent. Sets *bad, and prints the
 * usage, when VALUE is missing. Call again for an option that may come more
 * than once. Options end at "--". */
const char *cmd_option(struct cmd *c, const char *name, bool *bad);
/* After all options: false (usage was printed) if any "--x" is left or the
 * number of operands (without argv[0]) is not in [min, max]. */
bool cmd_operands(struct cmd *c, int min, int max);
/* The whole of a file, at most @max bytes, into @out; says what failed. */
WARN_UNUSED enum err cmd_read_file(struct cmd *c, const char *path, size_t max,
				   struct buf *out);

/* What @word, an option of @e or, when @e is NULL, a command's name, was
 * probably meant to be; empty when nothing is near. */
struct slice cmd_nearest(const char *word, const struct cmd_entry *e);
/* As cmd_option, for a number in [min, max]; @absent when not given. */
uint64_t cmd_option_uint(struct cmd *c, const char *name,
			 const uint64_t range[2], uint64_t absent, bool *bad);

/* A table for people: columns are sized to what is in them. */
struct cmd_table_out;
struct cmd_table_out *table_open(const char *const *heads, size_t columns);
void table_cell(struct cmd_table_out *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void table_print(struct cmd *c, struct cmd_table_out *t); /* takes */

#endif /* NODE_CMD_H */
