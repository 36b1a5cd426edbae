/* Virtual time, events, and the driver of each node's mesh. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_state.h"

#define MEND_MS 2000u

static const char *const bug_names[] = {
	[SIM_BUG_NONE] = "none",
	[SIM_BUG_ACK_BEFORE_COMMIT] = "ack-before-commit",
	[SIM_BUG_SKIP_FOLD_CHECK] = "skip-fold-check",
	[SIM_BUG_RESUME_REMEMBERED] = "resume-from-remembered",
	[SIM_BUG_SIGN_BEFORE_RECOVERY] = "sign-before-recovery",
	[SIM_BUG_PUBLISH_BEFORE_COMMIT] = "publish-before-commit",
};

bool sim_bug_parse(const char *name, enum sim_bug *out)
{
	for (size_t i = 0; i < sizeof(bug_names) / sizeof(*bug_names); i++) {
		if (strcmp(name, bug_names[i]) == 0) {
			*out = (enum sim_bug)i;
			return true;
		}
	}
	return false;
}

const char *sim_bug_name(enum sim_bug bug)
{
	return bug_names[bug];
}

void sim_trace(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->o.verbose)
		return;
	printf("%8llu ", (unsigned long long)s->now_ms);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;
	size_t n;

	if (s->violation[0] != '\0')
		return;
	snprintf(s->violation, sizeof(s->violation),
		 "at %llu ms: ", (unsigned long long)s->now_ms);
	n = strlen(s->violation);
	va_start(args, format);
	vsnprintf(s->violation + n, sizeof(s->violation) - n, format, args);
	va_end(args);
	sim_trace(s, "VIOLATION %s", s->violation);
}

const char *sim_violation(const struct sim *s)
{
	return s->violation[0] == '\0' ? NULL : s->violation;
}

/* splitmix64: every seed is a good one. */
uint64_t sim_random(struct sim *s, uint64_t below)
{
	uint64_t z = s->random += 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return (z ^ (z >> 31)) % below;
}

/* Events: a heap by time, then by order of planning. */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct sim *s, uint32_t a, uint32_t b)
{
	struct sim_event *e = s->heap[a];

	s->heap[a] = s->heap[b];
	s->heap[b] = e;
}

struct sim_event *sim_plan(struct sim *s, uint64_t in_ms,
			   enum sim_event_type type, uint32_t node)
{
	struct sim_event *e = xcalloc(1, sizeof(*e));
	uint32_t i = s->heap_count;

	if (s->heap_count == s->heap_cap) {
		s->heap_cap = s->heap_cap == 0 ? 64 : s->heap_cap * 2;
		s->heap = xrealloc(s->heap, s->heap_cap * sizeof(*s->heap));
	}
	e->at_ms = s->now_ms + in_ms;
	e->order = s->order++;
	e->type = type;
	e->node = node;
	e->epoch = s->nodes[node].epoch;
	s->heap[s->heap_count++] = e;
	for (; i > 0 && before(s->heap[i], s->heap[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(s, i, (i - 1) / 2);
	return e;
}

static struct sim_event *next_event(struct sim *s)
{
	struct sim_event *e = s->heap[0];
	uint32_t i = 0, child;

	s->heap[0] = s->heap[--s->heap_count];
	while ((child = 2 * i + 1) < s->heap_count) {
		if (child + 1 < s->heap_count &&
		    before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], s->heap[i]))
			break;
		swap(s, i, child);
		i = child;
	}
	return e;
}

static void free_event(struct sim_event *e)
{
	buf_free(&e->data);
	free(e);
}

/* Outputs of a mesh. */

static void take_out(struct sim *s, struct sim_node *n,
		     const struct mesh_out *o)
{
	switch (o->type) {
	case MESH_OUT_APPLY:
	case MESH_OUT_READ:
	case MESH_OUT_CHECK:
	case MESH_OUT_NOTE:
	case MESH_OUT_FORK:
	case MESH_OUT_READ_BODIES:
	case MESH_OUT_BODIES:
		sim_disk_take(s, n, o);
		break;
	case MESH_OUT_READ_DOC:
		sim_docs_read(s, n, o);
		break;
	case MESH_OUT_DOC:
		sim_docs_take(s, n, o);
		break;
	case MESH_OUT_ASK: {
		struct sim_event *e =
			sim_plan(s, sim_random(s, 5), EV_ANSWER, n->index);
		e->link = o->link;
		e->id = o->id;
		buf_init(&e->data, LIMIT_ANSWER_BYTES);
		buf_put(&e->data, o->ask.question);
		break;
	}
	case MESH_OUT_ANSWER:
		n->answers++;
		break;
	case MESH_OUT_SIGNING:
		n->signing = o->signing.state;
		sim_trace(s, "%s: signing is %s (%u of %u answered)", n->name,
			  n->signing == MESH_SIGNING_ALLOWED   ? "allowed"
			  : n->signing == MESH_SIGNING_WAITING ? "waited for"
							       : "not allowed",
			  o->signing.answered, o->signing.partners);
		break;
	case MESH_OUT_SEND:
		sim_net_send(s, n, o->tag, o->send);
		break;
	case MESH_OUT_DIAL:
		sim_net_dial(s, n, o->member);
		break;
	case MESH_OUT_CLOSE:
		sim_trace(s, "%s closes a link with %s: %s%s", n->name,
			  o->member < s->o.nodes ? s->nodes[o->member].name
						 : "?",
			  err_code(o->close.why),
			  o->close.by_peer ? " (by peer)" : "");
		sim_net_end(s, n, o->tag);
		break;
	case MESH_OUT_LIVE:
	case MESH_OUT_ACKED:
		break;
	}
}

void sim_drain(struct sim *s, struct sim_node *n)
{
	struct mesh_out o;
	uint64_t at;

	if (!n->up)
		return;
	while (mesh_next(n->mesh, &o))
		take_out(s, n, &o);
	sim_check_node(s, n);
	at = mesh_deadline(n->mesh);
	if (at < n->tick_ms) {
		n->tick_ms = at;
		sim_plan(s, at > s->now_ms ? at - s->now_ms : 0, EV_TICK,
			 n->index);
	}
}

/* Steps. */

static void tick(struct sim *s, struct sim_node *n, const struct sim_event *e)
{
	if (e->at_ms < n->tick_ms)
		return; /* an earlier one was planned meanwhile and ran */
	n->tick_ms = UINT64_MAX;
	mesh_tick(n->mesh, s->now_ms);
	for (uint32_t i = 0; i < s->o.nodes; i++)
		sim_disk_mend(s, n, i);
}

static void step(struct sim *s, struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->node];

	/* What the network carries does not depend on who sent it. */
	if (e->type != EV_BYTES && e->type != EV_END &&
	    (!n->up || e->epoch != n->epoch))
		return;
	switch (e->type) {
	case EV_TICK:
		tick(s, n, e);
		break;
	case EV_CONNECT:
		sim_net_connect(s, e);
		break;
	case EV_BYTES:
		sim_net_arrive(s, e);
		break;
	case EV_END:
		sim_net_ended(s, e);
		break;
	case EV_READ:
		sim_disk_read(s, e);
		break;
	case EV_CHECK:
		sim_disk_check(s, e);
		break;
	case EV_COMMIT:
		sim_job_done(s, n, e->id != 0);
		break;
	case EV_ANSWER:
		mesh_answer(n->mesh, s->now_ms, e->link, e->id, ERR_OK,
			    buf_slice(&e->data));
		break;
	case EV_DIAL_FAILED:
		mesh_dial_failed(n->mesh, s->now_ms, e->member,
				 (enum err) - (int)e->from, false);
		break;
	}
	sim_drain(s, n);
}

static bool run_to(struct sim *s, uint64_t end_ms, sim_cb *done)
{
	while (s->violation[0] == '\0') {
		struct sim_event *e;

		if (done != NULL && done(s))
			return true;
		if (s->heap_count == 0 || s->heap[0]->at_ms > end_ms) {
			s->now_ms = end_ms;
			return done == NULL;
		}
		e = next_event(s);
		s->now_ms = e->at_ms;
		s->steps++;
		step(s, e);
		free_event(e);
	}
	return false;
}

bool sim_run(struct sim *s, uint64_t ms)
{
	return run_to(s, s->now_ms + ms, NULL);
}

bool sim_run_until(struct sim *s, sim_cb *done, uint64_t max_ms)
{
	return run_to(s, s->now_ms + max_ms, done);
}

uint64_t sim_now(const struct sim *s)
{
	return s->now_ms;
}

/* Nodes. */

void sim_start(struct sim *s, uint32_t node)
{
	struct sim_node *n = &s->nodes[node];
	struct mesh_options o = {
		.member = slice_str(n->name),
		.origin = slice_str(n->disk.logs[node].origin),
		.incarnation = { (uint8_t)node, 1 },
		.seed = sim_random(s, UINT64_MAX),
		.trusted = n->disk.trusted,
	};

	if (n->up)
		return;
	sim_trace(s, "%s starts", n->name);
	n->up = true;
	n->epoch++;
	n->tick_ms = UINT64_MAX;
	n->signing = MESH_SIGNING_WAITING;
	n->mesh = mesh_open(&o, s->now_ms);
	sim_docs_load(s, n);
	sim_docs_tell(s, n);
	sim_disk_tell(s, n);
	sim_drain(s, n);
}

void sim_crash(struct sim *s, uint32_t node)
{
	struct sim_node *n = &s->nodes[node];

	if (!n->up)
		return;
	sim_trace(s, "%s crashes", n->name);
	n->up = false;
	n->epoch++;
	for (uint32_t i = 0; i < s->o.nodes; i++)
		n->remembered[i] = n->mesh->logs[i]->r.received;
	sim_jobs_drop(n);
	sim_net_drop_node(s, node);
	mesh_close(n->mesh);
	n->mesh = NULL;
}

void sim_trust(struct sim *s, uint32_t node)
{
	s->nodes[node].disk.trusted = true;
}

void sim_expect_fork(struct sim *s, uint32_t node)
{
	s->forked[node] = true;
}

void sim_disk_full(struct sim *s, uint32_t node, bool full)
{
	s->nodes[node].full = full;
}

void sim_ask(struct sim *s, uint32_t from, uint32_t to)
{
	struct sim_node *n = &s->nodes[from];

	if (!n->up)
		return;
	if (mesh_ask(n->mesh, s->now_ms, to, 7, SLICE_LIT("what?")) != ERR_OK)
		sim_trace(s, "%s has nobody to ask", n->name);
	sim_drain(s, n);
}

struct sim *sim_open(const struct sim_options *o)
{
	struct sim *s = xcalloc(1, sizeof(*s));

	assert(o->nodes >= 2 && o->nodes <= SIM_NODES_MAX);
	s->o = *o;
	s->random = o->seed;
	s->now_ms = 1000;
	for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
		struct sim_node *n = &s->nodes[i];

		n->index = i;
		snprintf(n->name, sizeof(n->name), "%c.example",
			 (char)('a' + i));
		n->jobs_tail = &n->jobs;
		n->disk.trusted = true;
		n->liar = o->liar && i == o->nodes - 1;
		buf_init(&n->replay, LIMIT_FRAME_BYTES);
	}
	for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
		for (uint32_t l = 0; l < SIM_NODES_MAX; l++)
			sim_log_init(&s->nodes[i].disk.logs[l],
				     s->nodes[l].name);
	}
	sim_docs_open(s);
	return s;
}

void sim_close(struct sim *s)
{
	struct sim_record *next;

	s->o.verbose = false;
	for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
		struct sim_node *n = &s->nodes[i];

		sim_crash(s, i);
		sim_disk_free(&n->disk);
		if (n->has_backup)
			sim_disk_free(&n->backup);
		arena_free(&n->members_arena);
		buf_free(&n->replay);
	}
	sim_net_free(s);
	sim_docs_close(s);
	while (s->heap_count > 0)
		free_event(s->heap[--s->heap_count]);
	free(s->heap);
	for (struct sim_record *r = s->records; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
	free(s);
}

/* State. */

bool sim_is_up(const struct sim *s, uint32_t node)
{
	return s->nodes[node].up;
}

uint64_t sim_size(const struct sim *s, uint32_t node, uint32_t log_of)
{
	return s->nodes[node].disk.logs[log_of].n;
}

bool sim_is_frozen(const struct sim *s, uint32_t node, uint32_t log_of)
{
	return s->nodes[node].disk.logs[log_of].evidence.n > 0;
}

bool sim_may_sign(const struct sim *s, uint32_t node)
{
	return s->nodes[node].up &&
	       s->nodes[node].signing == MESH_SIGNING_ALLOWED;
}

uint64_t sim_missing(const struct sim *s, uint32_t node, uint32_t log_of)
{
	return s->nodes[node].disk.logs[log_of].missing;
}

uint32_t sim_answers(const struct sim *s, uint32_t node)
{
	return s->nodes[node].answers;
}

struct mesh *sim_mesh(const struct sim *s, uint32_t node)
{
	return s->nodes[node].mesh;
}

uint32_t sim_cosignatures(const struct sim *s, uint32_t node, uint32_t log_of)
{
	const struct sim_log *l = &s->nodes[node].disk.logs[log_of];
	struct arena a;
	struct note n;
	uint32_t count = 0;

	arena_init(&a, 1u << 20);
	if (l->note.n > 0 && note_parse(buf_slice(&l->note), &a, &n) == ERR_OK)
		count = n.sig_count - 1;
	arena_free(&a);
	return count;
}
