/* The command line: global options, the place where a command runs, and the
 * way there. */

#ifndef NODE_CLI_H
#define NODE_CLI_H

#include <signal.h>

#include "node/cmd.h"

#define SYMBOLON_VERSION "0.1.0"

/* All of main, but for signals: counts in *interrupted what the user sent.
 * Returns the exit status. */
int cli_main(int argc, char **argv, const volatile sig_atomic_t *interrupted);
/* Append the overview of all commands. */
void cli_put_usage(struct buf *out);
/* Say that there is no such command, and which one is near. EXIT_USAGE. */
int cli_unknown(struct cmd *c, const char *name);

#endif /* NODE_CLI_H */
