/* The mesh's words to the writer, and the writer's to the mesh.
 *
 *   loop: MESH_OUT_APPLY -> (waits for more, for room) -> writer: apply ->
 *   done, kept until the commit is told -> event -> loop: mesh_applied for
 *   each chunk
 *
 * so that the mesh hears of a chunk together with the note and the own
 * countersignature that it brought. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/peer_impl.h"

#define APPLY_ARENA_BYTES (8u << 20) /* LIMIT_CHUNK_RECORDS records */
#define JOB_BYTES_MAX (8u << 20)

static_assert(LIMIT_CHUNK_RECORDS * sizeof(struct record) < APPLY_ARENA_BYTES,
	      "the records of any chunk fit");

/* Something for the writer: waits for room, is done there, comes back. */
struct errand {
	struct writer_job job;
	struct loop_task task;
	struct peers *p;
	struct errand *next; /* in peers.waiting */
	void (*drop)(struct errand *e); /* not wanted any more: free it */
	enum err result;
};

/* One chunk on its way. */
struct apply {
	struct errand e;
	struct apply *next; /* waiting for its commit */
	uint32_t log; /* the mesh's index */
	uint32_t store; /* number in the store */
	uint64_t id;
	const struct message_chunk *chunk; /* the mesh's until it is answered */
	struct slice note; /* the same */
	struct arena arena;
	struct record *records; /* in the arena; NULL: not decoded yet */
};

static void apply_close(struct apply *a)
{
	arena_free(&a->arena);
	free(a);
}

static void drop_apply(struct errand *e)
{
	apply_close((struct apply *)e);
}

static struct errand *errand_of(struct writer_job *job)
{
	return (struct errand *)((char *)job - offsetof(struct errand, job));
}

static struct errand *errand_of_task(struct loop_task *t)
{
	return (struct errand *)((char *)t - offsetof(struct errand, task));
}

/* Back to the loop; peers_stop waits for it. */
static void post_back(struct errand *e, void (*run)(struct loop_task *t))
{
	bool posted;

	e->task.run = run;
	posted = loop_post(e->p->loop, &e->task);
	assert(posted);
}

void peer_pump(struct peers *p)
{
	struct errand *e;

	if (p->gathered > 0 && peers_now(p) < p->gather_ms)
		return;
	p->gathered = 0;
	while ((e = p->waiting) != NULL && writer_has_room(p->home->writer)) {
		p->waiting = e->next;
		if (p->waiting == NULL)
			p->waiting_last = &p->waiting;
		p->jobs++;
		writer_submit(p->home->writer, &e->job);
	}
	if (p->waiting != NULL && p->room != NULL)
		loop_timer_set(p->room, PEERS_ROOM_MS);
}

static void queue(struct peers *p, struct errand *e)
{
	e->p = p;
	e->next = NULL;
	*p->waiting_last = e;
	p->waiting_last = &e->next;
}

static void send_off(struct peers *p, struct errand *e)
{
	p->gathered = 0;
	queue(p, e);
	peer_pump(p);
}

/* More of the same head follows: a transaction for each part would write the
 * pages of the indexes again and again. False: there is enough. */
static bool gather(struct peers *p, struct errand *e)
{
	bool first = p->gathered == 0;
	size_t bytes = p->gathered + e->job.bytes;

	if (p->stopping || bytes > PEERS_GATHER_BYTES ||
	    (first && p->waiting != NULL))
		return false;
	queue(p, e);
	p->gathered = bytes;
	if (first) {
		p->gather_ms = peers_now(p) + PEERS_GATHER_MS;
		loop_timer_set(p->room, PEERS_GATHER_MS);
	}
	return true;
}

void peer_drop_waiting(struct peers *p)
{
	struct errand *e;

	while ((e = p->waiting) != NULL) {
		p->waiting = e->next;
		e->drop(e);
	}
	p->waiting_last = &p->waiting;
	p->gathered = 0;
}

/* ---- the writer's thread --------------------------------------------------- */

static enum err apply_chunk(struct writer_job *job, struct writer_txn *t)
{
	struct apply *a = (struct apply *)errand_of(job);
	const struct message_chunk *c = a->chunk;
	struct writer_chunk chunk = {
		.from = c->from,
		.note = a->note,
		.count = c->count,
		.right = c->right,
		.right_count = c->right_count,
	};
	enum err err = ERR_OK;

	if (a->records == NULL)
		err = message_records(c, &a->arena, &a->records);
	if (err == ERR_OK)
		err = store_log_find(writer_store(t), c->origin, &a->store);
	chunk.log = a->store;
	chunk.records = a->records;
	return err == ERR_OK ? writer_accept(t, &chunk) : err;
}

static void on_refused(struct loop_task *t)
{
	struct apply *a = (struct apply *)errand_of_task(t);
	struct peers *p = a->e.p;
	enum err why = a->e.result;

	p->jobs--;
	if (why == ERR_FULL || why == ERR_IO)
		log_error("node", "cannot store records of %.*s: %s",
			  (int)a->chunk->origin.n,
			  (const char *)a->chunk->origin.p, err_text(why));
	mesh_applied(p->mesh, peers_now(p), a->log, a->id, why, NULL);
	apply_close(a);
	peers_run(p);
	peer_pump(p);
	peers_check_stopped(p);
}

static void on_chunk_done(struct writer_job *job, enum err result)
{
	struct apply *a = (struct apply *)errand_of(job);
	struct peers *p = a->e.p;

	a->e.result = result;
	if (result != ERR_OK) {
		post_back(&a->e, on_refused);
		return;
	}
	a->next = NULL;
	*p->applied_last = a;
	p->applied_last = &a->next;
}

/* What a commit changed, on its way to the loop. */
struct event {
	struct loop_task task;
	struct peers *p;
	uint32_t store; /* number in the store, or WRITER_NO_LOG */
	uint64_t size;
	bool frozen;
	struct buf note, cosignature;
	struct apply *applied; /* chunks of this log, oldest first */
};

static void on_event(struct loop_task *t);

/* Move the accepted chunks of the event's log into it, in their order. */
static void take_applied(struct peers *p, struct event *e)
{
	struct apply **from = &p->applied, **to = &e->applied, *a;

	p->applied_last = &p->applied;
	while ((a = *from) != NULL) {
		if (a->store != e->store) {
			from = &a->next;
			p->applied_last = from;
			continue;
		}
		*from = a->next;
		a->next = NULL;
		*to = a;
		to = &a->next;
	}
}

static void event_close(struct event *e)
{
	buf_free(&e->note);
	buf_free(&e->cosignature);
	free(e);
}

void peers_on_commit(void *arg, const struct writer_event *w)
{
	struct peers *p = arg;
	struct event *e = xcalloc(1, sizeof(*e));

	e->task.run = on_event;
	e->p = p;
	e->store = w->log;
	e->size = w->held.size;
	e->frozen = w->frozen;
	buf_init(&e->note, LIMIT_NOTE_BYTES);
	buf_init(&e->cosignature, LIMIT_NOTE_BYTES);
	buf_put(&e->note, w->note);
	buf_put(&e->cosignature, w->cosignature);
	take_applied(p, e);
	/* Refused: the node has stopped; then no chunk is under way. */
	if (!loop_post(p->loop, &e->task)) {
		assert(e->applied == NULL);
		event_close(e);
	}
}

/* ---- the writer's events, on the loop -------------------------------------- */

/* The mesh's index of a log of the store, or UINT32_MAX. */
static uint32_t find_log(const struct peers *p, uint32_t store)
{
	uint32_t n = p->mesh == NULL ? 0 : mesh_log_count(p->mesh);

	for (uint32_t i = 0; i < n; i++)
		if (p->logs[i].told && p->logs[i].store == store)
			return i;
	return UINT32_MAX;
}

static void finish_applied(struct peers *p, struct apply *a,
			   const struct mesh_held *held)
{
	struct mesh_held mine = *held;
	struct apply *next;

	for (; a != NULL; a = next) {
		next = a->next;
		/* The countersignature is sent once, with the last. */
		mine.cosignature =
			next == NULL ? held->cosignature : slice_of(NULL, 0);
		p->jobs--;
		mesh_applied(p->mesh, peers_now(p), a->log, a->id, ERR_OK,
			     &mine);
		apply_close(a);
	}
}

static bool is_own(const struct peers *p, uint32_t store)
{
	return store == p->home->own_log;
}

static void take_log_event(struct peers *p, struct event *e)
{
	uint32_t log = find_log(p, e->store);
	struct mesh_log_info info;
	struct mesh_held held = {
		.size = e->size,
		.note = buf_slice(&e->note),
		.cosignature = buf_slice(&e->cosignature),
		.frozen = e->frozen,
	};

	if (log == UINT32_MAX || e->size < p->logs[log].size) {
		assert(e->applied == NULL);
		return;
	}
	p->logs[log].size = e->size;
	mesh_log_info(p->mesh, log, &info);
	held.origin = info.origin;
	if (!is_own(p, e->store) && e->cosignature.n == 0)
		peers_cosign_soon(p, log);
	if (e->applied != NULL)
		finish_applied(p, e->applied, &held);
	else if (mesh_set_held(p->mesh, peers_now(p), &held) != ERR_OK)
		log_warn("node", "the mesh does not take the state of %.*s",
			 (int)info.origin.n, (const char *)info.origin.p);
}

static void on_event(struct loop_task *t)
{
	struct event *e = (struct event *)t;
	struct peers *p = e->p;

	if (p->mesh == NULL)
		; /* peers_start reads the store */
	else if (e->store == WRITER_NO_LOG)
		peers_set_members(p);
	else
		take_log_event(p, e);
	event_close(e);
	peers_run(p);
	peer_pump(p);
	peers_check_stopped(p);
}

/* ---- chunks, on the loop --------------------------------------------------- */

void peer_apply(struct peers *p, const struct mesh_out *out)
{
	struct apply *a = xcalloc(1, sizeof(*a));
	const struct message_chunk *c = out->apply.chunk;
	bool is_part = c->from + c->count < out->apply.head.size;

	a->log = out->log;
	a->id = out->id;
	a->chunk = c;
	a->note = out->apply.note;
	arena_init(&a->arena, APPLY_ARENA_BYTES);
	a->e.job.records = c->count;
	a->e.job.bytes = c->entries.n;
	a->e.job.apply = apply_chunk;
	a->e.job.done = on_chunk_done;
	a->e.drop = drop_apply;
	if (!is_part || !gather(p, &a->e))
		send_off(p, &a->e);
}

/* ---- other jobs ------------------------------------------------------------ */

enum chore_kind {
	CHORE_NOTE,
	CHORE_FORK,
	CHORE_BODIES,
	CHORE_DOC,
	CHORE_COSIGN,
	CHORE_HEARD,
};

/* A job that owns its input, as bytes. */
struct chore {
	struct errand e;
	enum chore_kind what;
	uint32_t log; /* the mesh's index, of a note */
	char origin[LIMIT_ORIGIN_BYTES + 1];
	struct buf data; /* note, frame or document */
	uint64_t unix_ms;
	uint32_t count; /* of bodies */
	uint64_t link, id; /* of a document */
	enum doc_kind kind;
	char why[160];
};

static void drop_chore(struct errand *e)
{
	struct chore *c = (struct chore *)e;

	buf_free(&c->data);
	free(c);
}

/* Each countersignature by itself: of a head that may be an older one. */
static void add_lines(struct writer_txn *t, uint32_t log, struct note *note,
		      uint64_t size)
{
	struct buf line;
	enum err err;

	buf_init(&line, LIMIT_NOTE_BYTES);
	for (uint32_t i = 0; i < note->sig_count; i++) {
		buf_reset(&line);
		note_put_sig(&note->sigs[i], &line);
		/* Not a witness's, or known: nothing to do. */
		err = writer_add_cosignature(t, log, size, buf_slice(&line));
		if (err == ERR_FULL || err == ERR_IO)
			break;
	}
	buf_free(&line);
}

static enum err keep_note(struct chore *c, struct writer_txn *t, uint32_t log)
{
	struct writer_chunk none = { .log = log, .note = buf_slice(&c->data) };
	struct store_head held;
	struct checkpoint point;
	struct note note;
	struct arena a;
	enum err err;

	arena_init(&a, LIMIT_NOTE_BYTES * 4);
	err = note_parse(none.note, &a, &note);
	if (err == ERR_OK)
		err = checkpoint_parse(note.text, &point);
	if (err == ERR_OK)
		err = store_head_get(writer_store(t), log, &held);
	if (err == ERR_OK) {
		none.from = point.head.size;
		if (point.head.size <= held.noted.size ||
		    writer_accept(t, &none) != ERR_OK)
			add_lines(t, log, &note, point.head.size);
	}
	arena_free(&a);
	return err;
}

static enum err keep_bodies(struct chore *c, struct writer_txn *t, uint32_t log)
{
	struct message m;
	struct arena a;
	enum err err;

	arena_init(&a, 1u << 20);
	err = message_decode(buf_slice(&c->data), &a, &m, NULL);
	for (uint32_t i = 0; err == ERR_OK && i < m.bodies.count; i++) {
		const struct message_body *b = &m.bodies.bodies[i];
		struct record r = { .salt = b->salt, .body = b->body };

		/* One that does not fit harms nobody but who sent it. */
		err = writer_repair(t, log, b->seq, &r);
		if (err != ERR_FULL && err != ERR_IO)
			err = ERR_OK;
	}
	arena_free(&a);
	return err;
}

static enum err install(struct chore *c, struct writer_txn *t)
{
	const char *why = NULL;
	enum err err;

	if (c->kind == DOC_ROSTER)
		err = writer_put_roster(t, buf_slice(&c->data), &why);
	else
		err = writer_put_card(t, buf_slice(&c->data), &why);
	(void)snprintf(c->why, sizeof(c->why), "%s",
		       why != NULL && why[0] != '\0' ? why : err_text(err));
	return err;
}

static enum err do_chore(struct writer_job *job, struct writer_txn *t)
{
	struct chore *c = (struct chore *)errand_of(job);
	uint32_t log = 0;
	enum err err = ERR_OK;

	if (c->what != CHORE_DOC)
		err = store_log_find(writer_store(t), slice_str(c->origin),
				     &log);
	if (err != ERR_OK)
		return err;
	switch (c->what) {
	case CHORE_NOTE:
		return keep_note(c, t, log);
	case CHORE_FORK:
		return writer_freeze(t, log, buf_slice(&c->data));
	case CHORE_BODIES:
		return keep_bodies(c, t, log);
	case CHORE_COSIGN:
		return writer_cosign(t, log);
	case CHORE_HEARD:
		return writer_heard(t, log, c->unix_ms);
	case CHORE_DOC:
		break;
	}
	return install(c, t);
}

static void tell_installed(struct peers *p, const struct chore *c)
{
	const char *what = c->kind == DOC_ROSTER ? "roster" : "card";
	enum err result = c->e.result;

	if (result == ERR_OK)
		log_info("node", "a newer %s was installed", what);
	else if (result != ERR_EXISTS)
		log_warn("node", "a %s from a peer was refused: %s", what,
			 c->why);
	if (result == ERR_OK)
		peers_set_members(p);
	mesh_doc_checked(p->mesh, peers_now(p), c->link, c->id, result);
}

static void on_chore_told(struct loop_task *t)
{
	struct chore *c = (struct chore *)errand_of_task(t);
	struct peers *p = c->e.p;

	p->jobs--;
	if (c->what == CHORE_DOC)
		tell_installed(p, c);
	if (c->what == CHORE_NOTE) {
		p->logs[c->log].note_busy = false;
		if (p->logs[c->log].note_again)
			mesh_tell_note(p->mesh, c->log);
	}
	if (c->what == CHORE_FORK && c->e.result == ERR_OK)
		log_error("node",
			  "two signed histories of %s, the log is frozen",
			  c->origin);
	/* There may be more; from who had nothing nothing more is asked now. */
	if (c->what == CHORE_BODIES && c->e.result == ERR_OK && c->count > 0)
		peer_seek(p);
	drop_chore(&c->e);
	peers_run(p);
	peer_pump(p);
	peers_check_stopped(p);
}

static void on_chore_done(struct writer_job *job, enum err result)
{
	struct errand *e = errand_of(job);

	e->result = result;
	post_back(e, on_chore_told);
}

static struct chore *chore_open(enum chore_kind what, struct slice origin)
{
	struct chore *c = xcalloc(1, sizeof(*c));

	c->what = what;
	assert(origin.n <= LIMIT_ORIGIN_BYTES);
	if (origin.n > 0)
		memcpy(c->origin, origin.p, origin.n);
	buf_init(&c->data, JOB_BYTES_MAX);
	c->e.job.records = 1;
	c->e.job.apply = do_chore;
	c->e.job.done = on_chore_done;
	c->e.drop = drop_chore;
	return c;
}

static void chore_send(struct peers *p, struct chore *c)
{
	c->e.job.bytes = c->data.n;
	send_off(p, &c->e);
}

void peer_keep_note(struct peers *p, const struct mesh_out *out)
{
	struct peer_log *l = &p->logs[out->log];
	struct chore *c;

	/* One at a time: notes only gain lines, the newest is enough. */
	l->note_again = l->note_busy;
	if (l->note_busy)
		return;
	l->note_busy = true;
	c = chore_open(CHORE_NOTE, out->origin);
	c->log = out->log;
	buf_put(&c->data, out->note);
	chore_send(p, c);
}

/* A frame without its length is one canonical document. */
static void put_document(struct chore *c, const struct message *m)
{
	message_put(m, &c->data);
	buf_drop(&c->data, MESSAGE_PREFIX_BYTES);
}

void peer_keep_fork(struct peers *p, const struct mesh_out *out)
{
	struct chore *c = chore_open(CHORE_FORK, out->origin);
	struct message m = { .type = MSG_FORK, .fork = *out->fork };

	put_document(c, &m);
	chore_send(p, c);
}

void peer_keep_bodies(struct peers *p, const struct mesh_out *out)
{
	struct chore *c = chore_open(CHORE_BODIES, out->origin);
	struct message m = { .type = MSG_BODIES, .bodies = *out->bodies };

	c->count = out->bodies->count;
	put_document(c, &m);
	chore_send(p, c);
}

void peer_install(struct peers *p, const struct mesh_out *out)
{
	struct chore *c = chore_open(CHORE_DOC, slice_of(NULL, 0));

	c->link = out->link;
	c->id = out->id;
	c->kind = out->doc->kind;
	buf_put(&c->data, out->doc->note);
	chore_send(p, c);
}

void peer_cosign_log(struct peers *p, uint32_t log)
{
	struct mesh_log_info info;

	mesh_log_info(p->mesh, log, &info);
	if (!info.frozen && p->logs[log].told && !is_own(p, p->logs[log].store))
		chore_send(p, chore_open(CHORE_COSIGN, info.origin));
}

void peer_save_heard(struct peers *p, uint32_t log, uint64_t unix_ms)
{
	struct mesh_log_info info;
	struct chore *c;

	mesh_log_info(p->mesh, log, &info);
	c = chore_open(CHORE_HEARD, info.origin);
	c->unix_ms = unix_ms;
	chore_send(p, c);
}

/* ---- what is held at the start --------------------------------------------- */

static enum err tell_log(struct peers *p, struct store_txn *t, uint32_t log)
{
	struct mesh_log_info info;
	struct mesh_held held = { 0 };
	struct store_head head;
	enum err err;

	mesh_log_info(p->mesh, log, &info);
	err = store_log_find(t, info.origin, &p->logs[log].store);
	if (err == ERR_NOT_FOUND)
		return ERR_OK; /* its number comes with the first record */
	if (err == ERR_OK)
		err = store_head_get(t, p->logs[log].store, &head);
	if (err != ERR_OK)
		return err;
	held.origin = info.origin;
	held.size = head.frontier.size;
	held.note = head.note;
	held.frozen = head.frozen;
	p->logs[log].told = true;
	p->logs[log].size = held.size;
	return mesh_set_held(p->mesh, peers_now(p), &held);
}

static enum err tell_fork(struct peers *p, struct slice doc)
{
	struct message m;
	struct arena a;
	enum err err;

	arena_init(&a, 1u << 20);
	err = message_decode(doc, &a, &m, NULL);
	if (err == ERR_OK && m.type == MSG_FORK)
		err = mesh_set_fork(p->mesh, peers_now(p), &m.fork);
	arena_free(&a);
	return err;
}

static void tell_forks(struct peers *p, struct store_txn *t)
{
	struct slice doc;
	enum err err;

	for (uint64_t i = 1; store_list_get(t, STORE_FORKS, i, &doc) == ERR_OK;
	     i++) {
		err = tell_fork(p, doc);
		if (err != ERR_FORK && err != ERR_EXISTS)
			log_warn("node", "stored evidence %llu is not usable",
				 (unsigned long long)i);
	}
}

enum err peer_tell_held(struct peers *p)
{
	uint32_t n = mesh_log_count(p->mesh);
	struct store_txn *t = NULL;
	bool first = true;
	enum err err = store_read(p->home->store, &t);

	for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
		first &= !p->logs[i].told;
		if (!p->logs[i].told)
			err = tell_log(p, t, i);
	}
	if (err == ERR_OK && first)
		tell_forks(p, t);
	store_abort(t);
	return err;
}
