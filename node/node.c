/* Start: home -> loop, peers, listener -> loop thread -> control.
 * Stop, the other way round: control -> peers say BYE and finish -> loop
 * ends -> query thread -> writer -> store. */

#include "node/node.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "node/control.h"
#include "node/disk.h"
#include "node/log.h"
#include "node/own_card.h"
#include "node/status.h"

#define LOOP_STACK_BYTES (512u << 10)
#define WHY_BYTES 4096u
#define COSIGNED_STEP_MS 200u /* between looks at is_cancelled */

struct node {
	struct home *home; /* first one: writer and peers point into it */
	struct loop *loop;
	struct peers *peers;
	struct tls_config *tls; /* of the newest home */
	struct control *control;
	pthread_t thread;
	uint64_t started_ms;
	pthread_mutex_t reload_lock; /* one reload at a time */

	pthread_mutex_t lock; /* guards what follows */
	struct home **homes; /* newest last; all until the stop */
	uint32_t home_count;
	bool stopping;
	struct buf reload_error, card_error; /* NUL-terminated or empty */
};

/* ---- calls into the loop ------------------------------------------------------- */

/* A call that another thread waits for. */
struct call {
	struct loop_task task;
	void (*run)(struct node *n, struct call *c);
	struct node *node;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool finished;
	enum err result;
	/* What the calls take and give. */
	struct buf *out;
	struct buf *why;
	struct slice member, question;
	struct home *home;
	struct tls_config *tls;
	const struct call *asked; /* the question to be forgotten */
};

static void call_init(struct call *c, struct node *n,
		      void (*run)(struct node *n, struct call *c))
{
	int bad = 0;

	*c = (struct call){ .run = run, .node = n };
	bad |= pthread_mutex_init(&c->lock, NULL);
	bad |= pthread_cond_init(&c->ended, NULL);
	assert(bad == 0);
}

static void call_free(struct call *c)
{
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
}

static void call_finish(struct call *c, enum err result)
{
	pthread_mutex_lock(&c->lock);
	c->result = result;
	c->finished = true;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
}

static void on_call(struct loop_task *t)
{
	struct call *c = (struct call *)t;

	c->run(c->node, c);
}

/* Start @c on the loop thread, which ends it with call_finish. */
static bool call_post(struct call *c)
{
	c->task.run = on_call;
	return loop_post(c->node->loop, &c->task);
}

static enum err call_wait(struct call *c)
{
	pthread_mutex_lock(&c->lock);
	while (!c->finished)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return c->result;
}

static struct timespec after_ms(uint32_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

/* False: it took longer. */
static bool call_wait_until(struct call *c, struct timespec at)
{
	bool finished;
	int late = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->finished && late == 0)
		late = pthread_cond_timedwait(&c->ended, &c->lock, &at);
	finished = c->finished;
	pthread_mutex_unlock(&c->lock);
	return finished;
}

static enum err call(struct call *c)
{
	return call_post(c) ? call_wait(c) : ERR_SHUTDOWN;
}

/* ---- what commands ask ---------------------------------------------------------- */

struct home *node_home(struct node *n)
{
	struct home *h;

	pthread_mutex_lock(&n->lock);
	h = n->homes[n->home_count - 1];
	pthread_mutex_unlock(&n->lock);
	return h;
}

static const char *text_or_null(const struct buf *b)
{
	return b->n > 0 ? (const char *)b->p : NULL;
}

static void run_status(struct node *n, struct call *c)
{
	struct status_source s = { .peers = n->peers,
				   .started_ms = n->started_ms };
	enum err err;

	s.home = node_home(n);
	pthread_mutex_lock(&n->lock);
	s.reload_error = text_or_null(&n->reload_error);
	s.card_error = text_or_null(&n->card_error);
	err = status_put(&s, c->out);
	pthread_mutex_unlock(&n->lock);
	call_finish(c, err);
}

enum err node_status(struct node *n, struct buf *out)
{
	struct call c;
	enum err err;

	call_init(&c, n, run_status);
	c.out = out;
	err = call(&c);
	call_free(&c);
	return err;
}

static void on_answer(void *arg, enum err code, struct slice answer)
{
	struct call *c = arg;

	buf_put(c->out, answer);
	call_finish(c, c->out->err != ERR_OK ? c->out->err : code);
}

static void run_ask(struct node *n, struct call *c)
{
	/* The answer may end @c before this returns. */
	peers_ask(n->peers, c->member, c->question, on_answer, c);
}

static void run_forget(struct node *n, struct call *c)
{
	peers_ask_cancel(n->peers, c->asked);
	call_finish(c, ERR_OK);
}

/* The answer may come while the question is being taken back: then it is
 * kept. */
static enum err forget(struct node *n, struct call *asked)
{
	struct call c;
	enum err err;

	call_init(&c, n, run_forget);
	c.asked = asked;
	err = call(&c);
	call_free(&c);
	/* When the loop has ended it has answered all. */
	if (err != ERR_OK || asked->finished)
		return call_wait(asked);
	return ERR_TIMEOUT;
}

enum err node_ask(struct node *n, struct slice member, struct slice question,
		  uint32_t timeout_ms, struct buf *answer)
{
	struct timespec at = after_ms(timeout_ms);
	struct call c;
	enum err err = ERR_SHUTDOWN;

	if (question.n > LIMIT_QUESTION_BYTES)
		return ERR_LIMIT;
	call_init(&c, n, run_ask);
	c.member = member;
	c.question = question;
	c.out = answer;
	if (call_post(&c))
		err = call_wait_until(&c, at) ? c.result : forget(n, &c);
	call_free(&c);
	return err;
}

static bool is_stopping(struct node *n)
{
	bool yes;

	pthread_mutex_lock(&n->lock);
	yes = n->stopping;
	pthread_mutex_unlock(&n->lock);
	return yes;
}

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

enum err node_wait_cosigned(struct node *n, uint64_t size, uint32_t partners,
			    uint32_t timeout_ms,
			    bool (*is_cancelled)(void *arg), void *arg,
			    uint32_t *have)
{
	uint64_t end = monotonic_ms() + timeout_ms, now;

	for (;;) {
		*have = peers_cosigned(n->peers, size);
		if (*have >= partners)
			return ERR_OK;
		if (is_stopping(n))
			return ERR_SHUTDOWN;
		if (is_cancelled != NULL && is_cancelled(arg))
			return ERR_CLOSED;
		now = monotonic_ms();
		if (now >= end)
			return ERR_TIMEOUT;
		peers_wait_cosigned(n->peers, end - now < COSIGNED_STEP_MS
						      ? (uint32_t)(end - now)
						      : COSIGNED_STEP_MS);
	}
}

enum signing node_signing(struct node *n)
{
	return writer_signing(n->home->writer);
}

static void run_awaited(struct node *n, struct call *c)
{
	peers_awaited(n->peers, c->out);
	call_finish(c, ERR_OK);
}

void node_awaited(struct node *n, struct buf *out)
{
	struct call c;

	if (node_signing(n) == SIGNING_ALLOWED)
		return;
	call_init(&c, n, run_awaited);
	c.out = out;
	if (call(&c) != ERR_OK)
		buf_put_str(out, "nobody: the node is stopping");
	call_free(&c);
}

static void run_dial(struct node *n, struct call *c)
{
	peers_dial_now(n->peers, c->member);
	call_finish(c, ERR_OK);
}

void node_dial_now(struct node *n, struct slice member)
{
	struct call c;

	call_init(&c, n, run_dial);
	c.member = member;
	if (call(&c) != ERR_OK)
		log_debug("node", "stopping, nobody is dialled");
	call_free(&c);
}

/* ---- reload ---------------------------------------------------------------------- */

/* What only a restart can change, or NULL. */
static const char *what_is_fixed(const struct home *now,
				 const struct home *next)
{
	if (strcmp(now->config.member, next->config.member) != 0)
		return "member";
	if (now->config.store.map_gib != next->config.store.map_gib)
		return "store.map_gib";
	if ((now->config.control == NULL) != (next->config.control == NULL) ||
	    (now->config.control != NULL &&
	     strcmp(now->config.control, next->config.control) != 0))
		return "control";
	if (memcmp(now->keys.log.secret, next->keys.log.secret,
		   SIG_SECRET_BYTES) != 0)
		return "the log key";
	if (memcmp(now->keys.witness.secret, next->keys.witness.secret,
		   SIG_SECRET_BYTES) != 0)
		return "the witness key";
	if (memcmp(now->keys.index, next->keys.index,
		   sizeof(now->keys.index)) != 0)
		return "the index key";
	return NULL;
}

/* A view of the same store under a configuration and keys read anew. */
static enum err read_again(const struct home *now, struct home **out,
			   struct buf *why)
{
	struct home *next = xmalloc(sizeof(*next));
	char *config = path_join(now->dir, "symbolon.yaml");
	char *keys = path_join(now->dir, "keys");
	const char *fixed;
	enum err err;

	*next = *now;
	next->config = (struct config){ 0 };
	next->keys = (struct keys){ 0 };
	err = config_load(config, &next->config, why);
	if (err == ERR_OK)
		err = keys_load(keys, slice_str(next->config.member),
				&next->keys, why);
	fixed = err == ERR_OK ? what_is_fixed(now, next) : NULL;
	if (fixed != NULL) {
		say(why, "%s has changed, which needs a restart", fixed);
		err = ERR_CONFLICT;
	}
	free(config);
	free(keys);
	*out = next;
	return err;
}

static void drop_view(struct home *h)
{
	keys_wipe(&h->keys);
	config_free(&h->config);
	free(h);
}

/* On the loop thread: nothing can fail but listening, which comes first. */
static void run_reload(struct node *n, struct call *c)
{
	const struct home *now = node_home(n);
	enum err err = ERR_OK;

	if (strcmp(now->config.listen, c->home->config.listen) != 0)
		err = peers_listen(n->peers, slice_str(c->home->config.listen),
				   c->why);
	if (err == ERR_OK)
		peers_set_tls(n->peers, c->tls);
	call_finish(c, err);
}

static void use_level(const struct home *h)
{
	enum log_level level;

	if (log_parse_level(h->config.log_level, &level))
		log_set_level(level);
}

static void use_view(struct node *n, struct home *next)
{
	pthread_mutex_lock(&n->lock);
	n->homes =
		xrealloc(n->homes, (n->home_count + 1) * sizeof(struct home *));
	n->homes[n->home_count++] = next;
	pthread_mutex_unlock(&n->lock);
	use_level(next);
}

static void set_error(struct node *n, struct buf *which, const struct buf *why)
{
	pthread_mutex_lock(&n->lock);
	buf_reset(which);
	if (why != NULL && why->n > 0) {
		buf_put(which, buf_slice(why));
		buf_put_u8(which, '\0');
	}
	pthread_mutex_unlock(&n->lock);
}

/* Sign a new card if it must change; what cannot be done is a warning. */
static void check_card(struct node *n, const struct home *h)
{
	struct buf why;
	bool changed;
	enum err err;

	buf_init(&why, WHY_BYTES);
	err = own_card_check(h, &changed, &why);
	if (changed)
		log_info("node", "our card was renewed, it goes to all: %.*s",
			 (int)why.n, (const char *)why.p);
	if (err == ERR_OK || err == ERR_NOT_FOUND) {
		set_error(n, &n->card_error, NULL);
	} else {
		log_warn("node",
			 "our card does not fit the configuration: %.*s "
			 "reason=\"%s\"",
			 (int)why.n, (const char *)why.p,
			 err == ERR_DENIED ? "the governance key is not here"
					   : err_text(err));
		set_error(n, &n->card_error, &why);
	}
	buf_free(&why);
}

static enum err reload(struct node *n, struct buf *why)
{
	struct home *next;
	struct call c;
	enum err err = read_again(node_home(n), &next, why);

	call_init(&c, n, run_reload);
	c.home = next;
	c.why = why;
	if (err == ERR_OK)
		err = tls_config_open(next->keys.tls_cert_pem,
				      next->keys.tls_key_pem, &c.tls, why);
	if (err == ERR_OK)
		err = call(&c);
	tls_config_release(c.tls);
	call_free(&c);
	if (err != ERR_OK) {
		drop_view(next);
		return err;
	}
	use_view(n, next);
	check_card(n, next);
	return ERR_OK;
}

enum err node_reload(struct node *n, struct buf *why)
{
	enum err err;

	pthread_mutex_lock(&n->reload_lock);
	err = reload(n, why);
	pthread_mutex_unlock(&n->reload_lock);
	if (err == ERR_OK) {
		log_info("node", "configuration and keys were read again");
		set_error(n, &n->reload_error, NULL);
		return ERR_OK;
	}
	if (why->n == 0)
		buf_put_str(why, err_text(err));
	log_error("node", "reload failed, nothing was changed: %.*s",
		  (int)why->n, (const char *)why->p);
	set_error(n, &n->reload_error, why);
	return err;
}

/* ---- start and stop ---------------------------------------------------------------- */

static void *run_loop(void *arg)
{
	struct node *n = arg;

	loop_run(n->loop);
	return NULL;
}

/* A link is a descriptor; the default of 1,024 leaves too few. */
static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		log_warn("node", "cannot raise the limit of descriptors");
}

static enum err open_home(struct node *n, const struct node_options *o,
			  struct buf *why)
{
	struct home_options h = { .dir = o->dir,
				  .on_commit = peers_on_commit,
				  .arg = n->peers };
	struct home *home = xcalloc(1, sizeof(*home));
	enum err err = home_open(&h, home, why);

	if (err != ERR_OK) {
		free(home);
		return err;
	}
	n->home = home;
	use_view(n, home);
	/* The mesh will say when partners have told what they hold. */
	writer_set_signing(home->writer, SIGNING_WAITING);
	check_card(n, home);
	return tls_config_open(home->keys.tls_cert_pem, home->keys.tls_key_pem,
			       &n->tls, why);
}

static enum err start_peers(struct node *n, const struct node_options *o,
			    struct buf *why)
{
	struct peers_options p = { .home = n->home,
				   .tls = n->tls,
				   .sign_alone = o->sign_alone,
				   .signing_wait_ms = o->signing_wait_ms };
	enum err err;

	random_bytes(&p.seed, sizeof(p.seed));
	err = peers_start(n->peers, &p, why);
	if (err == ERR_OK)
		err = peers_listen(n->peers, slice_str(n->home->config.listen),
				   why);
	return err;
}

static void start_loop(struct node *n)
{
	pthread_attr_t attr;
	int bad = 0;

	bad |= pthread_attr_init(&attr);
	bad |= pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
	bad |= pthread_create(&n->thread, &attr, run_loop, n);
	assert(bad == 0);
	pthread_attr_destroy(&attr);
}

static enum err start_control(struct node *n, struct buf *why)
{
	char *path = n->home->config.control != NULL
			     ? xstrdup(n->home->config.control)
			     : path_join(n->home->dir, "control.sock");
	struct control_options c = {
		.path = path, .node = n, .home = n->home, .home_of = node_home
	};
	enum err err = control_start(&c, &n->control, why);

	free(path);
	return err;
}

static void on_stopped(void *arg)
{
	struct node *n = arg;

	loop_stop(n->loop);
}

static void run_stop(struct node *n, struct call *c)
{
	call_finish(c, ERR_OK);
	peers_stop(n->peers, on_stopped, n);
}

static void stop_loop(struct node *n)
{
	struct call c;
	enum err err;

	call_init(&c, n, run_stop);
	err = call(&c);
	assert(err == ERR_OK);
	call_free(&c);
	pthread_join(n->thread, NULL);
}

static void close_homes(struct node *n)
{
	/* The first one owns what all share. */
	for (uint32_t i = n->home_count; i > 1; i--)
		drop_view(n->homes[i - 1]);
	if (n->home != NULL)
		home_close(n->home);
	free(n->home);
	free(n->homes);
}

/* After the loop has ended, or before it was started. */
static void node_free(struct node *n)
{
	tls_config_release(n->tls);
	/* The query thread and the writer end before what they use. */
	peers_end(n->peers);
	close_homes(n);
	peers_close(n->peers);
	loop_close(n->loop);
	buf_free(&n->reload_error);
	buf_free(&n->card_error);
	pthread_mutex_destroy(&n->lock);
	pthread_mutex_destroy(&n->reload_lock);
	free(n);
}

static struct node *node_make(void)
{
	struct node *n = xcalloc(1, sizeof(*n));
	int bad = 0;

	bad |= pthread_mutex_init(&n->lock, NULL);
	bad |= pthread_mutex_init(&n->reload_lock, NULL);
	assert(bad == 0);
	buf_init(&n->reload_error, WHY_BYTES);
	buf_init(&n->card_error, WHY_BYTES);
	n->started_ms = now_ms();
	n->loop = loop_open();
	n->peers = peers_open(n->loop);
	return n;
}

enum err node_start(const struct node_options *o, struct node **out,
		    struct buf *why)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct node *n;
	enum err err;

	sigaction(SIGPIPE, &ignore, NULL);
	tls_init();
	raise_descriptors();
	n = node_make();
	err = open_home(n, o, why);
	if (err == ERR_OK)
		err = start_peers(n, o, why);
	/* The loop runs in any case: what was opened is closed in it. */
	start_loop(n);
	if (err == ERR_OK)
		err = start_control(n, why);
	if (err != ERR_OK) {
		stop_loop(n);
		node_free(n);
		return err;
	}
	*out = n;
	return ERR_OK;
}

static void run_silence(struct node *n, struct call *c)
{
	peers_ask_no_more(n->peers);
	call_finish(c, ERR_OK);
}

void node_stop(struct node *n)
{
	struct call c;
	enum err err;

	if (n == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	n->stopping = true;
	pthread_mutex_unlock(&n->lock);
	/* Commands that wait for others' answers must not hold up the end. */
	call_init(&c, n, run_silence);
	err = call(&c);
	assert(err == ERR_OK);
	call_free(&c);
	control_stop(n->control);
	stop_loop(n);
	node_free(n);
}

const char *node_address(struct node *n)
{
	return peers_address(n->peers);
}
