/* The writer and the readers of a node: what its driver does with a disk.
 *
 * A job becomes durable as a whole when its commit ends, and only then is it
 * told; a crash before that leaves nothing of it. */

#include <stdlib.h>
#include <string.h>

#include "sim_state.h"

#define COMMIT_MS 15u
#define READ_MS 4u
#define CHUNK_RECORDS 40u /* at most so many: more chunks, less hashing */

/* Jobs. */

static void job_free(struct sim_job *job)
{
	free(job->records);
	free(job->seqs);
	buf_free(&job->note);
	buf_free(&job->line);
	free(job);
}

static struct sim_job *job_new(enum sim_job_type type, uint32_t log,
			       struct slice note)
{
	struct sim_job *job = xcalloc(1, sizeof(*job));

	job->type = type;
	job->log = log;
	buf_init(&job->note, LIMIT_FRAME_BYTES);
	buf_init(&job->line, LIMIT_NOTE_BYTES);
	buf_put(&job->note, note);
	return job;
}

void sim_jobs_drop(struct sim_node *n)
{
	struct sim_job *next;

	for (struct sim_job *job = n->jobs; job != NULL; job = next) {
		next = job->next;
		job_free(job);
	}
	n->jobs = NULL;
	n->jobs_tail = &n->jobs;
	n->job_count = 0;
	n->writing = false;
}

static void begin(struct sim *s, struct sim_node *n);

void sim_job_add(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	*n->jobs_tail = job;
	n->jobs_tail = &job->next;
	n->job_count++;
	begin(s, n);
}

/* Telling the mesh. */

static struct mesh_held held(const struct sim *s, const struct sim_node *n,
			     uint32_t log, struct slice line)
{
	const struct sim_log *l = &n->disk.logs[log];
	uint64_t size = l->n;

	if (s->o.bug == SIM_BUG_RESUME_REMEMBERED && n->remembered[log] > size)
		size = n->remembered[log];
	return (struct mesh_held){ slice_str(l->origin), size,
				   buf_slice(&l->note), line,
				   l->evidence.n > 0 };
}

/* Everything on the disk, as after a start. */
void sim_disk_tell(struct sim *s, struct sim_node *n)
{
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		struct sim_log *l = &n->disk.logs[i];
		struct mesh_held h = held(s, n, i, slice_of(NULL, 0));
		struct message m;
		struct slice frame;
		enum err err;

		err = mesh_set_held(n->mesh, s->now_ms, &h);
		if (err != ERR_OK)
			sim_fail(s, "%s: its own note of %s is refused: %s",
				 n->name, l->origin, err_code(err));
		if (l->evidence.n == 0)
			continue;
		frame = slice_sub(buf_slice(&l->evidence), MESSAGE_PREFIX_BYTES,
				  l->evidence.n - MESSAGE_PREFIX_BYTES);
		if (message_decode(frame, &n->members_arena, &m, NULL) !=
			    ERR_OK ||
		    mesh_set_fork(n->mesh, s->now_ms, &m.fork) != ERR_FORK)
			sim_fail(s, "%s: stored evidence is refused", n->name);
	}
}

/* Verifying. */

static enum err check_apply(struct sim *s, struct sim_node *n,
			    struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];
	struct digest *leaves = xcalloc(job->count, sizeof(*leaves));
	struct merkle_chunk c = { leaves, job->count, job->right,
				  job->right_count };
	enum err err = ERR_BAD_STATE;

	if (job->from != l->n || l->evidence.n > 0)
		goto out;
	for (uint32_t i = 0; i < job->count; i++)
		leaves[i] = sim_leaf_hash(job->records[i]);
	err = merkle_accept(&l->frontier, &c, &job->head, &job->after, NULL,
			    NULL);
	for (uint32_t i = 0; i < job->count && err == ERR_OK; i++) {
		if (!sim_record_is_sound(job->records[i], l->origin))
			err = ERR_INVALID;
	}
	if (s->o.bug == SIM_BUG_SKIP_FOLD_CHECK)
		err = ERR_OK;
out:
	free(leaves);
	return err;
}

/* Committing. */

static void sign(struct sim *s, struct sim_node *n, struct sim_log *l)
{
	(void)s;
	l->head = frontier_head(&l->frontier);
	buf_reset(&l->note);
	log_sign_head(slice_str(l->origin), &l->head, &n->log_key,
		      n->secrets[1], &l->note);
}

static void commit_submit(struct sim *s, struct sim_node *n,
			  struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[n->index];
	uint64_t from = l->n;

	for (uint32_t i = 0; i < job->count; i++)
		sim_log_append(l, job->records[i]);
	sign(s, n, l);
	n->disk.trusted = true; /* the guard is written anew */
	sim_check_append(s, n, n->index, from);
	sim_trace(s, "%s signs its head of %llu", n->name,
		  (unsigned long long)l->n);
}

/* The own cosignature takes the place of an older one: a restored node gets
 * back what it had signed before. */
static void add_line(const struct sim_node *n, struct sim_log *l,
		     struct slice line)
{
	struct buf old = l->note;
	struct arena a;
	struct note note;

	arena_init(&a, 1u << 20);
	buf_init(&l->note, LIMIT_NOTE_BYTES);
	if (note_parse(buf_slice(&old), &a, &note) == ERR_OK) {
		buf_put(&l->note, note.text);
		buf_put_u8(&l->note, '\n');
		for (uint32_t i = 0; i < note.sig_count; i++) {
			if (!slice_is(note.sigs[i].name, n->witness.name))
				note_put_sig(&note.sigs[i], &l->note);
		}
		buf_put(&l->note, line);
	}
	buf_free(&old);
	arena_free(&a);
}

/* The newest complete head: take its note, cosign it. */
static void complete(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];

	l->head = job->head;
	buf_reset(&l->note);
	buf_put(&l->note, buf_slice(&job->note));
	if (job->log == n->index ||
	    !log_may_cosign(&l->cosigned, &l->head, s->now_ms))
		return;
	buf_reset(&job->line);
	log_cosign(slice_str(l->origin), &l->head, &n->witness, n->secrets[2],
		   s->now_ms / 1000, &job->line);
	l->cosigned = (struct cosign_state){ l->head, s->now_ms };
	add_line(n, l, buf_slice(&job->line));
}

static void commit_apply(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];
	uint64_t from = l->n;

	for (uint32_t i = 0; i < job->count; i++) {
		struct sim_record *r = job->records[i];

		if (r->body_bytes == 0 &&
		    sim_record_admits(r, job->log == n->index))
			l->missing++;
		sim_log_append(l, r);
	}
	sim_check_append(s, n, job->log, from);
	if (l->n == job->head.size)
		complete(s, n, job);
}

static void commit_bodies(struct sim *s, struct sim_node *n,
			  struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];

	for (uint32_t i = 0; i < job->count; i++) {
		struct sim_record *old, *new = job->records[i];

		if (job->seqs[i] >= l->n)
			continue;
		old = l->records[job->seqs[i]];
		memcpy(new->leaf, old->leaf, sizeof(new->leaf));
		new->leaf_bytes = old->leaf_bytes;
		if (old->body_bytes > 0 ||
		    !sim_record_admits(old, job->log == n->index) ||
		    !sim_record_is_sound(new, l->origin))
			continue;
		l->records[job->seqs[i]] = new;
		l->missing--;
	}
	(void)s;
}

static void commit_note(struct sim_node *n, struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];
	struct checkpoint c;
	struct arena a;
	struct note note;

	arena_init(&a, 1u << 20);
	if (note_parse(buf_slice(&job->note), &a, &note) == ERR_OK &&
	    checkpoint_parse(note.text, &c) == ERR_OK &&
	    c.head.size >= l->head.size && c.head.size <= l->n) {
		l->head = c.head;
		buf_reset(&l->note);
		buf_put(&l->note, buf_slice(&job->note));
	}
	arena_free(&a);
}

static void commit(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	struct sim_log *l = &n->disk.logs[job->log];

	switch (job->type) {
	case JOB_SUBMIT:
		commit_submit(s, n, job);
		break;
	case JOB_APPLY:
		commit_apply(s, n, job);
		break;
	case JOB_NOTE:
		commit_note(n, job);
		break;
	case JOB_FORK:
		if (l->evidence.n == 0)
			buf_put(&l->evidence, buf_slice(&job->note));
		break;
	case JOB_BODIES:
		commit_bodies(s, n, job);
		break;
	}
}

static void tell(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	struct mesh_held h = held(s, n, job->log, buf_slice(&job->line));

	if (job->type == JOB_APPLY) {
		mesh_applied(n->mesh, s->now_ms, job->log, job->id, job->result,
			     &h);
		return;
	}
	if (job->result != ERR_OK)
		return;
	if (mesh_set_held(n->mesh, s->now_ms, &h) != ERR_OK)
		sim_fail(s, "%s: its own note is refused", n->name);
}

/* The planted bugs tell what a commit will bring before it has. */
static bool tell_early(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	struct sim_disk real = n->disk;
	bool early = (s->o.bug == SIM_BUG_ACK_BEFORE_COMMIT &&
		      job->type == JOB_APPLY) ||
		     (s->o.bug == SIM_BUG_PUBLISH_BEFORE_COMMIT &&
		      job->type == JOB_SUBMIT);

	if (!early || job->result != ERR_OK)
		return false;
	sim_disk_copy(&n->disk, &real);
	commit(s, n, job);
	tell(s, n, job);
	sim_disk_free(&n->disk);
	n->disk = real;
	return true;
}

static enum err judge(struct sim *s, struct sim_node *n, struct sim_job *job)
{
	if (n->full && job->type != JOB_FORK)
		return ERR_FULL;
	if (job->type == JOB_APPLY)
		return check_apply(s, n, job);
	if (job->type == JOB_SUBMIT &&
	    (n->disk.logs[n->index].evidence.n > 0 ||
	     (n->signing != MESH_SIGNING_ALLOWED &&
	      s->o.bug != SIM_BUG_SIGN_BEFORE_RECOVERY)))
		return ERR_RECOVERING;
	return ERR_OK;
}

static void begin(struct sim *s, struct sim_node *n)
{
	struct sim_job *job = n->jobs;

	if (n->writing || job == NULL)
		return;
	n->writing = true;
	job->result = judge(s, n, job);
	if (job->type == JOB_SUBMIT) {
		job->records = xcalloc(job->count, sizeof(*job->records));
		for (uint32_t i = 0; i < job->count; i++)
			job->records[i] = sim_record_make(
				s, n->disk.logs[n->index].origin);
	}
	sim_plan(s, 1 + sim_random(s, COMMIT_MS), EV_COMMIT, n->index)->id =
		tell_early(s, n, job);
}

void sim_job_done(struct sim *s, struct sim_node *n, bool told)
{
	struct sim_job *job = n->jobs;

	n->jobs = job->next;
	if (n->jobs == NULL)
		n->jobs_tail = &n->jobs;
	n->job_count--;
	n->writing = false;
	if (job->result == ERR_OK)
		commit(s, n, job);
	else
		sim_trace(s, "%s: %s of log %u: %s", n->name,
			  job->type == JOB_APPLY ? "chunk" : "job", job->log,
			  err_code(job->result));
	if (!told)
		tell(s, n, job);
	job_free(job);
	begin(s, n);
}

/* Taking outputs of the mesh. */

static struct sim_record *take_record(struct sim *s, const struct record *r)
{
	struct sim_record *out = sim_record_new(s);

	assert(r->body.n <= sizeof(out->body));
	memcpy(out->leaf, r->leaf.p, r->leaf.n);
	out->leaf_bytes = (uint32_t)r->leaf.n;
	if (r->body.n == 0)
		return out;
	memcpy(out->salt, r->salt.p, LIMIT_SALT_BYTES);
	memcpy(out->body, r->body.p, r->body.n);
	out->body_bytes = (uint32_t)r->body.n;
	return out;
}

static void take_apply(struct sim *s, struct sim_node *n,
		       const struct mesh_out *o)
{
	const struct message_chunk *c = o->apply.chunk;
	struct sim_job *job = job_new(JOB_APPLY, o->log, o->apply.note);
	struct slice rest = c->entries;
	struct record r;

	job->id = o->id;
	job->from = c->from;
	job->head = o->apply.head;
	job->count = c->count;
	job->records = xcalloc(c->count, sizeof(*job->records));
	for (uint32_t i = 0; i < c->count; i++) {
		if (message_next_entry(&rest, &r) != ERR_OK)
			sim_fail(s, "an entry that was checked is bad");
		job->records[i] = take_record(s, &r);
	}
	if (c->right_count > 0)
		memcpy(job->right, c->right,
		       c->right_count * sizeof(*c->right));
	job->right_count = c->right_count;
	sim_job_add(s, n, job);
}

static void take_fork(struct sim *s, struct sim_node *n,
		      const struct mesh_out *o)
{
	struct message m = { .type = MSG_FORK, .fork = *o->fork };
	struct sim_job *job = job_new(JOB_FORK, o->log, slice_of(NULL, 0));

	sim_trace(s, "%s has evidence of a fork of %s", n->name,
		  n->disk.logs[o->log].origin);
	message_put(&m, &job->note);
	sim_job_add(s, n, job);
}

static void take_bodies(struct sim *s, struct sim_node *n,
			const struct mesh_out *o)
{
	const struct message_bodies *b = o->bodies;
	struct sim_job *job = job_new(JOB_BODIES, o->log, slice_of(NULL, 0));
	struct record r = { SLICE_LIT("?"), { NULL, 0 }, { NULL, 0 } };

	job->count = b->count;
	job->records = xcalloc(b->count + 1, sizeof(*job->records));
	job->seqs = xcalloc(b->count + 1, sizeof(*job->seqs));
	for (uint32_t i = 0; i < b->count; i++) {
		r.salt = b->bodies[i].salt;
		r.body = b->bodies[i].body;
		job->seqs[i] = b->bodies[i].seq;
		job->records[i] = take_record(s, &r);
	}
	sim_job_add(s, n, job);
}

static void plan_read(struct sim *s, struct sim_node *n,
		      const struct mesh_out *o)
{
	struct sim_event *e =
		sim_plan(s, sim_random(s, READ_MS), EV_READ, n->index);
	uint32_t member = mesh_find_member(n->mesh, o->read.reader);

	e->conn = (uint64_t)(uintptr_t)o->tag;
	e->link = o->link;
	e->id = o->id;
	e->log = o->log;
	e->member = member;
	e->job = o->read.job;
	e->from = o->read.from;
	e->bytes = o->read.bytes;
	e->head = o->read.head;
	buf_init(&e->data, LIMIT_NOTE_BYTES);
	buf_put(&e->data, o->read.note);
}

void sim_disk_take(struct sim *s, struct sim_node *n, const struct mesh_out *o)
{
	struct sim_event *e;

	if (o->type == MESH_OUT_APPLY)
		take_apply(s, n, o);
	else if (o->type == MESH_OUT_READ)
		plan_read(s, n, o);
	else if (o->type == MESH_OUT_NOTE)
		sim_job_add(s, n, job_new(JOB_NOTE, o->log, o->note));
	else if (o->type == MESH_OUT_FORK)
		take_fork(s, n, o);
	else if (o->type == MESH_OUT_BODIES)
		take_bodies(s, n, o);
	else if (o->type == MESH_OUT_READ_BODIES)
		sim_disk_bodies(s, n, o);
	else if (o->type == MESH_OUT_CHECK) {
		e = sim_plan(s, sim_random(s, READ_MS), EV_CHECK, n->index);
		e->id = o->id;
		e->log = o->log;
		e->head = o->check.head;
		buf_init(&e->data, LIMIT_NOTE_BYTES);
		buf_put(&e->data, o->check.note);
	}
}

/* Reading. */

static struct record as_record(const struct sim_record *r, bool with_body)
{
	struct record out = { slice_of(r->leaf, r->leaf_bytes),
			      { NULL, 0 },
			      { NULL, 0 } };

	if (with_body && r->body_bytes > 0) {
		out.salt = slice_of(r->salt, LIMIT_SALT_BYTES);
		out.body = slice_of(r->body, r->body_bytes);
	}
	return out;
}

void sim_disk_read(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->node];
	struct sim_log *l = &n->disk.logs[e->log];
	struct merkle_source src = sim_log_source(l);
	struct digest right[LIMIT_COVER_HASHES];
	struct message m = { .type = MSG_CHUNK };
	uint64_t most = 1 + sim_random(s, CHUNK_RECORDS), to = e->from;
	struct buf entries, frame;
	enum err err = l->n < e->head.size ? ERR_IO : ERR_OK;

	buf_init(&entries, LIMIT_CHUNK_BYTES);
	buf_init(&frame, LIMIT_FRAME_BYTES);
	while (err == ERR_OK && to < e->head.size && to - e->from < most) {
		struct sim_record *r = l->records[to];
		struct record one =
			as_record(r, sim_record_admits(r, e->member == e->log));

		if (entries.n + message_entry_bytes(&one) > e->bytes)
			break;
		message_put_entry(&one, &entries);
		to++;
	}
	m.chunk.origin = slice_str(l->origin);
	m.chunk.job = e->job;
	m.chunk.from = e->from;
	m.chunk.note = buf_slice(&e->data);
	m.chunk.right = right;
	m.chunk.count = (uint32_t)(to - e->from);
	m.chunk.entries = buf_slice(&entries);
	if (err == ERR_OK)
		err = merkle_range(&src, to, e->head.size, right,
				   &m.chunk.right_count);
	if (err == ERR_OK)
		message_put(&m, &frame);
	if (mesh_read_done(n->mesh, s->now_ms, e->link, e->id, err, to,
			   (uint32_t)entries.n))
		sim_net_send(s, n, (void *)(uintptr_t)e->conn,
			     buf_slice(&frame));
	buf_free(&entries);
	buf_free(&frame);
}

static enum err prove_fork(struct sim_log *l, const struct sim_event *e,
			   struct message_fork *f, struct digest *left,
			   struct digest *right)
{
	struct merkle_source src = sim_log_source(l);
	enum err err;

	if (l->head.size < e->head.size)
		return ERR_NOT_FOUND;
	*f = (struct message_fork){ .origin = slice_str(l->origin),
				    .note_a = buf_slice(&e->data),
				    .note_b = buf_slice(&l->note),
				    .left = left,
				    .right = right };
	err = merkle_range(&src, 0, e->head.size, left, &f->left_count);
	if (err == ERR_OK)
		err = merkle_range(&src, e->head.size, l->head.size, right,
				   &f->right_count);
	return err == ERR_OK ? ERR_FORK : err;
}

void sim_disk_check(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->node];
	struct sim_log *l = &n->disk.logs[e->log];
	struct merkle_source src = sim_log_source(l);
	struct digest left[LIMIT_COVER_HASHES], right[LIMIT_COVER_HASHES];
	struct message_fork f;
	struct frontier at;
	struct head head;
	enum err err = ERR_NOT_FOUND;

	memset(&f, 0, sizeof(f));
	if (e->head.size <= l->n)
		err = merkle_frontier_at(&src, e->head.size, &at);
	if (err == ERR_OK) {
		head = frontier_head(&at);
		if (!head_equal(&head, &e->head))
			err = prove_fork(l, e, &f, left, right);
	}
	mesh_checked(n->mesh, s->now_ms, e->log, e->id, err, &f);
}

/* Bodies. */

void sim_disk_bodies(struct sim *s, struct sim_node *n,
		     const struct mesh_out *o)
{
	const struct message_want_bodies *w = o->read_bodies.want;
	struct sim_log *l = &n->disk.logs[o->log];
	bool own = slice_is(o->read_bodies.reader, s->nodes[o->log].name);
	struct message_body *bodies = xcalloc(w->count, sizeof(*bodies));
	uint64_t *absent = xcalloc(w->count, sizeof(*absent));
	struct message_bodies b = { .origin = w->origin,
				    .bodies = bodies,
				    .absent = absent };

	for (uint32_t i = 0; i < w->count; i++) {
		struct sim_record *r =
			w->seqs[i] < l->n ? l->records[w->seqs[i]] : NULL;

		if (r == NULL || r->body_bytes == 0 ||
		    !sim_record_admits(r, own))
			absent[b.absent_count++] = w->seqs[i];
		else
			bodies[b.count++] = (struct message_body){
				w->seqs[i], slice_of(r->salt, LIMIT_SALT_BYTES),
				slice_of(r->body, r->body_bytes)
			};
	}
	mesh_bodies_done(n->mesh, s->now_ms, o->link, &b);
	free(bodies);
	free(absent);
}

void sim_disk_mend(struct sim *s, struct sim_node *n, uint32_t log)
{
	struct sim_log *l = &n->disk.logs[log];
	uint64_t seqs[16];
	uint32_t count = 0;

	if (l->missing == 0)
		return;
	/* Some may be lost for good: do not always begin with them. */
	for (uint64_t i = sim_random(s, 2) * sim_random(s, l->n);
	     i < l->n && count < 16; i++) {
		if (l->records[i]->body_bytes == 0 &&
		    sim_record_admits(l->records[i], log == n->index))
			seqs[count++] = i;
	}
	if (count == 0)
		return;
	if (mesh_want_bodies(n->mesh, s->now_ms, log, seqs, count) == ERR_OK)
		sim_trace(s, "%s asks for %u bodies of log %u", n->name, count,
			  log);
}

/* Verbs. */

void sim_submit(struct sim *s, uint32_t node, uint32_t records)
{
	struct sim_node *n = &s->nodes[node];
	struct sim_job *job = job_new(JOB_SUBMIT, node, slice_of(NULL, 0));

	job->count = records;
	if (n->up)
		sim_job_add(s, n, job);
	else
		job_free(job);
	if (n->up)
		sim_drain(s, n);
}

void sim_snapshot(struct sim *s, uint32_t node)
{
	struct sim_node *n = &s->nodes[node];

	if (n->has_backup)
		sim_disk_free(&n->backup);
	sim_disk_copy(&n->backup, &n->disk);
	n->has_backup = true;
	sim_trace(s, "%s is backed up", n->name);
}

void sim_restore(struct sim *s, uint32_t node)
{
	struct sim_node *n = &s->nodes[node];

	if (!n->has_backup)
		return;
	sim_crash(s, node);
	sim_disk_free(&n->disk);
	sim_disk_copy(&n->disk, &n->backup);
	n->disk.trusted = false; /* its guard is of a newer state */
	memset(n->cosigned, 0, sizeof(n->cosigned));
	sim_trace(s, "%s is restored with %llu own records", n->name,
		  (unsigned long long)n->disk.logs[node].n);
}
