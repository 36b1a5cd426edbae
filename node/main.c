/* The program: signals and the way into cli.h. */

#include <signal.h>
#include <stddef.h>

#include "node/cli.h"

/* How often the user asked to stop; the one global of the program. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	if (interrupted < 2)
		interrupted++;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigemptyset(&act.sa_mask);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	/* A reader that goes away is an error of write, not the end. */
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	return cli_main(argc, argv, &interrupted);
}
