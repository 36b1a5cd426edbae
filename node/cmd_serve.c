/* serve: run the node in the foreground until a signal says otherwise. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "node/cmds.h"
#include "node/log.h"
#include "node/node.h"

#define WHY_BYTES 65536u
#define BUSY_WAIT_MS 3000
#define BUSY_STEP_MS 50
#define POOL_THREADS "4" /* a slow name look-up must not stop the reading */

/* One datagram to systemd, sd_notify(3). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path == NULL ? 0 : strlen(path);
	int fd;

	if (n < 2 || n >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@') /* abstract */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (const struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn("node", "cannot tell systemd: %s", strerror(errno));
	(void)close(fd);
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static uint64_t own_size(struct node *n)
{
	struct home *h = node_home(n);
	struct store_txn *t = NULL;
	struct store_head head = { 0 };

	if (store_read(h->store, &t) == ERR_OK &&
	    store_head_get(t, h->own_log, &head) != ERR_OK)
		head.frontier.size = 0;
	store_abort(t);
	return head.frontier.size;
}

/* Straight to standard output: cmd_out would hold it back. */
static void tell_ready(struct node *n)
{
	if (dprintf(STDOUT_FILENO,
		    "listening on %s, member %s, log size %llu\n",
		    node_address(n), node_home(n)->config.member,
		    (unsigned long long)own_size(n)) < 0)
		log_debug("node", "standard output is closed");
	notify("READY=1");
}

static void reload(struct node *n)
{
	struct timespec now;
	struct buf why;
	char state[64];

	buf_init(&why, WHY_BYTES);
	/* Type=notify-reload wants the time. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify(state);
	/* What was wrong is logged and stays in the status. */
	(void)!node_reload(n, &why);
	notify("READY=1");
	buf_free(&why);
}

static void wait_for_the_end(struct node *n, const sigset_t *set)
{
	int number = 0;

	do {
		if (sigwait(set, &number) == 0 && number == SIGHUP)
			reload(n);
	} while (number != SIGTERM && number != SIGINT);
	log_info("node", "stopping signal=%d", number);
	notify("STOPPING=1");
}

/* A command that works on the directory by itself ends in a moment. */
static enum err start(const struct node_options *o, struct node **n,
		      struct buf *why)
{
	enum err err = node_start(o, n, why);

	for (int ms = 0; err == ERR_BUSY && ms < BUSY_WAIT_MS;
	     ms += BUSY_STEP_MS) {
		poll(NULL, 0, BUSY_STEP_MS);
		buf_reset(why);
		err = node_start(o, n, why);
	}
	return err;
}

int cmd_serve(struct cmd *c)
{
	struct node_options o = { .dir = c->dir,
				  .sign_alone = cmd_flag(c, "--sign-alone") };
	sigset_t set, before;
	struct node *n;
	struct buf why;
	enum err err;

	if (!cmd_operands(c, 0, 0))
		return EXIT_USAGE;
	(void)prctl(PR_SET_DUMPABLE, 0); /* keys are in memory */
	(void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	block_signals(&set);
	buf_init(&why, WHY_BYTES);
	err = start(&o, &n, &why);
	if (err == ERR_OK) {
		tell_ready(n);
		wait_for_the_end(n, &set);
		node_stop(n);
	} else {
		cmd_msg(c, "cannot start: %.*s",
			why.n > 0 ? (int)why.n : (int)strlen(err_text(err)),
			why.n > 0 ? (const char *)why.p : err_text(err));
	}
	buf_free(&why);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return cmd_exit(err);
}
