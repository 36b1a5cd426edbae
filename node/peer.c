#include "node/peer_impl.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/log.h"

/* A question to another member that is not answered yet. */
struct question {
	struct question *next;
	uint64_t id;
	peers_answer_cb *cb;
	void *arg;
};

static void take_answer(struct peers *p, const struct mesh_out *out);

uint64_t peers_now(const struct peers *p)
{
	return loop_now_ms(p->loop);
}

/* ---- outputs ------------------------------------------------------------------ */

static void set_signing(struct peers *p, enum mesh_signing s)
{
	static const struct {
		enum signing state;
		const char *text;
	} states[] = {
		[MESH_SIGNING_WAITING] = { SIGNING_WAITING,
					   "waits for partners" },
		[MESH_SIGNING_ALLOWED] = { SIGNING_ALLOWED, "allowed" },
		[MESH_SIGNING_RECOVERING] = { SIGNING_RECOVERING,
					      "not allowed, recovering" },
	};
	enum signing before = writer_signing(p->home->writer);

	if (before == states[s].state)
		return;
	/* What was allowed without an alliance stays allowed until somebody
	 * proves more: this process has signed. */
	if (before == SIGNING_ALLOWED && s == MESH_SIGNING_WAITING)
		return;
	writer_set_signing(p->home->writer, states[s].state);
	/* Nothing could be countersigned until now. */
	if (s == MESH_SIGNING_ALLOWED)
		p->cosign_ms = 0;
	if (s == MESH_SIGNING_RECOVERING)
		log_warn("node", "signing: %s", states[s].text);
	else
		log_info("node", "signing: %s", states[s].text);
}

static void note_ack(struct peers *p, const struct mesh_out *out)
{
	if (!out->acked.cosigned || out->member >= LIMIT_MEMBERS ||
	    !slice_is(out->origin, p->home->origin))
		return;
	pthread_mutex_lock(&p->lock);
	if (out->acked.size > p->cosigned[out->member]) {
		p->cosigned[out->member] = out->acked.size;
		pthread_cond_broadcast(&p->acked);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Links come and go: what waits in all is bounded, too. */
static void take_ask(struct peers *p, const struct mesh_out *out)
{
	if (desk_bytes(p->desk) + out->ask.question.n > LIMIT_DESK_BYTES ||
	    desk_waiting(p->desk) >= LIMIT_LINKS * LIMIT_ASKS_LINK)
		mesh_answer(p->mesh, peers_now(p), out->link, out->id, ERR_BUSY,
			    slice_of(NULL, 0));
	else
		desk_put(p->desk, out->link, out->id, out->ask.asker,
			 out->ask.question);
}

static void execute(struct peers *p, const struct mesh_out *out)
{
	switch (out->type) {
	case MESH_OUT_APPLY:
		peer_apply(p, out);
		break;
	case MESH_OUT_READ:
		peer_read(p, out);
		break;
	case MESH_OUT_CHECK:
		peer_check(p, out);
		break;
	case MESH_OUT_NOTE:
		peer_keep_note(p, out);
		break;
	case MESH_OUT_ACKED:
		note_ack(p, out);
		break;
	case MESH_OUT_FORK:
		peer_keep_fork(p, out);
		break;
	case MESH_OUT_READ_BODIES:
		peer_read_bodies(p, out);
		break;
	case MESH_OUT_BODIES:
		peer_keep_bodies(p, out);
		break;
	case MESH_OUT_READ_DOC:
		peer_read_doc(p, out);
		break;
	case MESH_OUT_DOC:
		peer_install(p, out);
		break;
	case MESH_OUT_ASK:
		take_ask(p, out);
		break;
	case MESH_OUT_ANSWER:
		take_answer(p, out);
		break;
	case MESH_OUT_SIGNING:
		set_signing(p, out->signing.state);
		break;
	case MESH_OUT_SEND:
		peer_send(out->tag, out->send);
		break;
	case MESH_OUT_LIVE:
		peer_live(out->tag);
		break;
	case MESH_OUT_DIAL:
		peer_dial(p, out->member, out->dial.member);
		break;
	case MESH_OUT_CLOSE:
		peer_shut(out->tag, out->close.why, out->close.by_peer);
		break;
	}
}

static void arm(struct peers *p)
{
	uint64_t at = mesh_deadline(p->mesh), now = peers_now(p);

	if (p->heard_late && p->heard_ms < at)
		at = p->heard_ms;
	if (at == UINT64_MAX)
		loop_timer_clear(p->timer);
	else
		loop_timer_set(p->timer, at > now ? at - now : 0);
}

/* For questions, which are answered on other threads. */
static void tell_heard(struct peers *p)
{
	uint32_t n = mesh_log_count(p->mesh);
	struct mesh_log_info info;
	uint64_t now = peers_now(p);

	p->heard_late = now < p->heard_ms;
	if (p->heard_late)
		return;
	p->heard_ms = now + PEERS_HEARD_MS;
	for (uint32_t i = 0; i < n; i++) {
		mesh_log_info(p->mesh, i, &info);
		if (p->logs[i].told && p->logs[i].store < LIMIT_LOGS &&
		    info.heard_ms > 0)
			atomic_store_explicit(
				&p->home->heard_ms[p->logs[i].store],
				peers_unix_ms(p, info.heard_ms),
				memory_order_relaxed);
	}
}

void peers_run(struct peers *p)
{
	struct mesh_out out;

	if (p->running || p->mesh == NULL || p->stopped)
		return;
	p->running = true;
	while (mesh_next(p->mesh, &out))
		execute(p, &out);
	p->running = false;
	tell_heard(p);
	arm(p);
}

/* ---- timers ------------------------------------------------------------------- */

static void on_deadline(void *arg)
{
	struct peers *p = arg;

	mesh_tick(p->mesh, peers_now(p));
	peers_run(p);
}

static void on_room(void *arg)
{
	peer_pump(arg);
}

static void watch_lag(struct peers *p, uint32_t log)
{
	struct peer_log *l = &p->logs[log];
	struct mesh_log_info info;

	mesh_log_info(p->mesh, log, &info);
	if (info.told <= info.size) {
		l->lag_since_ms = 0;
	} else if (l->lag_since_ms == 0 || info.size > l->lag_size) {
		l->lag_since_ms = now_ms();
	}
	l->lag_size = info.size;
}

/* Logs that could not be countersigned at once, and those that are idle. */
static void cosign_due(struct peers *p, bool all)
{
	uint32_t n = mesh_log_count(p->mesh);

	for (uint32_t i = 0; i < n; i++) {
		if (!all && !p->logs[i].cosign_due)
			continue;
		p->logs[i].cosign_due = false;
		peer_cosign_log(p, i);
	}
}

void peers_cosign_soon(struct peers *p, uint32_t log)
{
	p->logs[log].cosign_due = true;
	if (p->cosign_armed || p->stopping)
		return;
	p->cosign_armed = true;
	loop_timer_set(p->chores, PEERS_COSIGN_AGAIN_MS);
}

static void save_heard(struct peers *p)
{
	uint32_t n = mesh_log_count(p->mesh);
	struct mesh_log_info info;

	for (uint32_t i = 0; i < n; i++) {
		mesh_log_info(p->mesh, i, &info);
		if (!p->logs[i].told ||
		    info.heard_ms < p->logs[i].heard_ms + PEERS_MINUTE_MS ||
		    p->logs[i].store == p->home->own_log)
			continue;
		p->logs[i].heard_ms = info.heard_ms;
		peer_save_heard(p, i, peers_unix_ms(p, info.heard_ms));
	}
}

static void every_minute(struct peers *p, uint64_t now)
{
	uint32_t gone = store_check_readers(p->home->store);

	p->minute_ms = now + PEERS_MINUTE_MS;
	p->seek_ms = now;
	if (gone > 0)
		log_warn("node", "readers of processes that died count=%u",
			 gone);
	save_heard(p);
}

static void on_chores(void *arg)
{
	struct peers *p = arg;
	uint64_t now = peers_now(p);
	uint32_t n = mesh_log_count(p->mesh);

	if (p->stopping) {
		if (now >= p->stop_ms)
			peer_links_cut(p);
		loop_timer_set(p->chores, PEERS_COSIGN_AGAIN_MS);
		return;
	}
	p->cosign_armed = false;
	for (uint32_t i = 0; i < n; i++)
		watch_lag(p, i);
	tell_heard(p);
	if (writer_has_room(p->home->writer)) {
		cosign_due(p, now >= p->cosign_ms);
		if (now >= p->cosign_ms)
			p->cosign_ms = now + PEERS_COSIGN_MS;
		if (now >= p->minute_ms)
			every_minute(p, now);
	}
	if (p->seek_ms > 0 && now >= p->seek_ms) {
		p->seek_ms = 0;
		peer_seek(p);
	}
	loop_timer_set(p->chores, PEERS_CHORES_MS);
}

/* ---- questions ----------------------------------------------------------------- */

static void on_desk(void *arg, const struct desk_answer *a)
{
	struct peers *p = arg;

	mesh_answer(p->mesh, peers_now(p), a->link, a->id, a->code, a->answer);
	peers_run(p);
}

static struct question *take_question(struct peers *p, uint64_t id)
{
	struct question **at = &p->questions, *q;

	while ((q = *at) != NULL && q->id != id)
		at = &q->next;
	if (q != NULL)
		*at = q->next;
	return q;
}

static void take_answer(struct peers *p, const struct mesh_out *out)
{
	struct question *q = take_question(p, out->id);

	if (q == NULL)
		return; /* nobody waits any more */
	q->cb(q->arg, out->answer.code, out->answer.answer);
	free(q);
}

void peers_ask(struct peers *p, struct slice member, struct slice question,
	       peers_answer_cb *cb, void *arg)
{
	uint32_t index = mesh_find_member(p->mesh, member);
	struct question *q;
	enum err err = p->silent ? ERR_SHUTDOWN : ERR_NOT_FOUND;
	uint64_t id = ++p->next_question;

	if (!p->silent && index != UINT32_MAX)
		err = mesh_ask(p->mesh, peers_now(p), index, id, question);
	if (err != ERR_OK) {
		cb(arg, err, slice_of(NULL, 0));
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->id = id;
	q->cb = cb;
	q->arg = arg;
	q->next = p->questions;
	p->questions = q;
	peers_run(p);
}

void peers_ask_no_more(struct peers *p)
{
	struct question *q;

	p->silent = true;
	while ((q = p->questions) != NULL) {
		p->questions = q->next;
		q->cb(q->arg, ERR_SHUTDOWN, slice_of(NULL, 0));
		free(q);
	}
}

void peers_ask_cancel(struct peers *p, const void *arg)
{
	struct question *q = p->questions;

	while (q != NULL && q->arg != arg)
		q = q->next;
	if (q != NULL)
		free(take_question(p, q->id));
}

void peers_dial_now(struct peers *p, struct slice member)
{
	uint32_t index = mesh_find_member(p->mesh, member);

	if (index == UINT32_MAX || p->stopping)
		return;
	mesh_dial_now(p->mesh, peers_now(p), index);
	peers_run(p);
}

uint32_t peers_cosigned(struct peers *p, uint64_t size)
{
	uint32_t count = 0;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < LIMIT_MEMBERS; i++)
		count += p->cosigned[i] > 0 && p->cosigned[i] >= size;
	pthread_mutex_unlock(&p->lock);
	return count;
}

void peers_wait_cosigned(struct peers *p, uint32_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	pthread_mutex_lock(&p->lock);
	pthread_cond_timedwait(&p->acked, &p->lock, &at);
	pthread_mutex_unlock(&p->lock);
}

/* ---- state ---------------------------------------------------------------------- */

void peers_awaited(const struct peers *p, struct buf *out)
{
	uint32_t n = mesh_member_count(p->mesh);
	struct mesh_peer_info info;
	bool first = true;

	for (uint32_t i = 0; i < n; i++) {
		mesh_peer_info(p->mesh, i, &info);
		if (info.self || info.live || info.state == MEMBER_REMOVED)
			continue;
		if (!first)
			buf_put_str(out, ", ");
		buf_put(out, info.name);
		first = false;
	}
}

struct mesh *peers_mesh(const struct peers *p)
{
	return p->mesh;
}

const struct peer_trouble *peers_trouble(const struct peers *p, uint32_t member)
{
	static const struct peer_trouble none = { .code = ERR_OK };

	return member < LIMIT_MEMBERS && p->trouble[member] != NULL
		       ? p->trouble[member]
		       : &none;
}

const char *peers_link_address(const struct peers *p, uint64_t link)
{
	for (const struct peer_link *l = p->links; l != NULL; l = l->next)
		if (l->id == link && link != MESH_NO_LINK)
			return link_address(l->link);
	return "";
}

uint32_t peers_refusals(const struct peers *p, const struct peer_refusal **list)
{
	*list = p->refused;
	return p->refused_count;
}

uint64_t peers_unix_ms(const struct peers *p, uint64_t mesh_ms)
{
	uint64_t now = peers_now(p);

	return mesh_ms == 0    ? 0
	       : mesh_ms > now ? now_ms()
			       : now_ms() - (now - mesh_ms);
}

uint64_t peers_mesh_now(const struct peers *p)
{
	return peers_now(p);
}

uint64_t peers_lag_since(const struct peers *p, uint32_t log)
{
	return log < LIMIT_LOGS ? p->logs[log].lag_since_ms : 0;
}

const char *peers_address(const struct peers *p)
{
	return p->listener != NULL ? listener_address(p->listener) : "";
}

enum err peers_listen(struct peers *p, struct slice endpoint, struct buf *why)
{
	struct listener *l;
	enum err err = listener_open(p->loop, endpoint, peer_on_connection, p,
				     &l, why);

	if (err != ERR_OK)
		return err;
	listener_close(p->listener);
	p->listener = l;
	return ERR_OK;
}

void peers_set_tls(struct peers *p, struct tls_config *tls)
{
	tls_config_release(p->tls);
	p->tls = tls_config_hold(tls);
}

/* ---- members --------------------------------------------------------------------- */

/* Without an alliance there is nobody to ask: the own traces decide. */
static void sign_by_trust(struct peers *p)
{
	bool trusted = p->sign_alone || writer_is_trusted(p->home->writer);

	set_signing(p,
		    trusted ? MESH_SIGNING_ALLOWED : MESH_SIGNING_RECOVERING);
}

void peers_set_members(struct peers *p)
{
	struct members *newest = members_hold(p->home->members);
	struct mesh_members v = {
		.roster = newest->roster,
		.alliance = newest->alliance,
		.cards = newest->cards,
		.card_count = newest->card_count,
	};
	struct members *before = p->members;

	if (newest == before) {
		members_release(newest);
		return;
	}
	p->members = newest;
	if (newest->roster == NULL) {
		sign_by_trust(p);
	} else {
		mesh_set_members(p->mesh, peers_now(p), &v);
		if (peer_tell_held(p) != ERR_OK)
			log_error("node", "what is held of a new member's log "
					  "cannot be read");
		peers_run(p); /* removed members are told by the mesh */
		peer_links_recheck(p);
	}
	members_release(before);
}

/* ---- life -------------------------------------------------------------------------- */

struct peers *peers_open(struct loop *loop)
{
	struct peers *p = xcalloc(1, sizeof(*p));
	int bad = 0;

	p->loop = loop;
	p->waiting_last = &p->waiting;
	p->applied_last = &p->applied;
	bad |= pthread_mutex_init(&p->lock, NULL);
	bad |= pthread_cond_init(&p->acked, NULL);
	assert(bad == 0);
	return p;
}

enum err peers_start(struct peers *p, const struct peers_options *o,
		     struct buf *why)
{
	struct mesh_options m = {
		.member = slice_str(o->home->config.member),
		.origin = slice_str(o->home->origin),
		.seed = o->seed,
		.trusted = writer_is_trusted(o->home->writer),
		.sign_alone = o->sign_alone,
		.wait_ms = o->signing_wait_ms,
	};
	struct store_txn *t = NULL;
	enum err err = store_read(o->home->store, &t);

	if (err == ERR_OK)
		err = store_incarnation(t, m.incarnation);
	store_abort(t);
	if (err != ERR_OK) {
		buf_put_str(why, "cannot read the store");
		return err;
	}
	p->home = o->home;
	p->sign_alone = o->sign_alone;
	p->supply = (struct supply){ o->home->store, o->home->vault,
				     o->home->members };
	p->tls = tls_config_hold(o->tls);
	p->desk = desk_open(p->loop, p->home, on_desk, p);
	p->mesh = mesh_open(&m, peers_now(p));
	p->timer = loop_timer_open(p->loop, on_deadline, p);
	p->chores = loop_timer_open(p->loop, on_chores, p);
	p->room = loop_timer_open(p->loop, on_room, p);
	p->minute_ms = peers_now(p) + PEERS_MINUTE_MS;
	p->cosign_ms = peers_now(p) + PEERS_COSIGN_MS;
	loop_timer_set(p->chores, PEERS_COSIGN_AGAIN_MS);
	peers_set_members(p);
	peers_run(p);
	return ERR_OK;
}

static void finish(struct peers *p)
{
	p->stopped = true;
	loop_timer_close(p->timer);
	loop_timer_close(p->chores);
	loop_timer_close(p->room);
	p->timer = p->chores = p->room = NULL;
	p->on_stopped(p->on_stopped_arg);
}

void peers_check_stopped(struct peers *p)
{
	if (!p->stopping || p->stopped || p->running)
		return;
	if (p->link_count == 0 && p->dialling == 0 && p->jobs == 0 &&
	    loop_working(p->loop) == 0 && p->waiting == NULL)
		finish(p);
}

void peers_stop(struct peers *p, loop_cb *done, void *arg)
{
	p->stopping = true;
	p->on_stopped = done;
	p->on_stopped_arg = arg;
	if (p->mesh == NULL) {
		p->stopped = true;
		done(arg);
		return;
	}
	p->stop_ms = peers_now(p) + PEERS_STOP_MS;
	listener_close(p->listener);
	p->listener = NULL;
	mesh_shutdown(p->mesh, peers_now(p));
	peers_run(p);
	peers_ask_no_more(p);
	peer_drop_waiting(p);
	for (struct peer_link *l = p->links; l != NULL; l = l->next)
		link_close(l->link, ERR_SHUTDOWN, "the node is stopping");
	loop_timer_set(p->chores, PEERS_COSIGN_AGAIN_MS);
	peers_check_stopped(p);
}

void peers_end(struct peers *p)
{
	assert(p->mesh == NULL || p->stopped);
	desk_close(p->desk);
	p->desk = NULL;
}

void peers_close(struct peers *p)
{
	if (p == NULL)
		return;
	peers_end(p);
	mesh_close(p->mesh);
	members_release(p->members);
	tls_config_release(p->tls);
	for (uint32_t i = 0; i < LIMIT_MEMBERS; i++)
		free(p->trouble[i]);
	pthread_cond_destroy(&p->acked);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
