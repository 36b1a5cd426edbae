/* Reading for others, on the pool: one form a request, which comes back to
 * the loop with what was read. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/peer_impl.h"

#define READ_ARENA_BYTES (4u << 20) /* bodies, notes, hashes */

struct reading {
	struct peers *p;
	uint64_t link, id;
	uint32_t log;
	enum err result;
	struct arena arena; /* what was asked, and the answer */
	struct slice reader;
	struct supply_chunk chunk;
	struct buf frame;
	uint64_t to;
	uint32_t bytes;
	struct message_want_bodies want_bodies;
	struct message_bodies bodies;
	struct message_want_doc want_doc;
	struct message_doc doc;
	struct head head;
	struct slice origin, note;
	struct message_fork fork;
	uint64_t missing[LIMIT_BODIES], next;
	uint32_t missing_count;
};

static struct reading *reading_open(struct peers *p, const struct mesh_out *out)
{
	struct reading *r = xcalloc(1, sizeof(*r));

	r->p = p;
	r->link = out->link;
	r->id = out->id;
	r->log = out->log;
	arena_init(&r->arena, READ_ARENA_BYTES);
	return r;
}

static void reading_close(struct reading *r)
{
	struct peers *p = r->p;

	arena_free(&r->arena);
	buf_wipe(&r->frame);
	free(r);
	peers_run(p);
	peers_check_stopped(p);
}

static struct slice keep(struct reading *r, struct slice s)
{
	struct slice copy;
	enum err err = arena_copy(&r->arena, s, &copy);

	assert(err == ERR_OK); /* one note and a few names */
	return copy;
}

/* Chunks. */

static void read_chunk(void *arg)
{
	struct reading *r = arg;

	r->result = supply_chunk(&r->p->supply, &r->chunk, &r->frame, &r->to,
				 &r->bytes);
}

static struct peer_link *find_link(struct peers *p, uint64_t id)
{
	struct peer_link *l = p->links;

	while (l != NULL && l->id != id)
		l = l->next;
	return l;
}

static void on_chunk(void *arg)
{
	struct reading *r = arg;
	struct peers *p = r->p;
	struct peer_link *l = find_link(p, r->link);

	if (r->result != ERR_OK)
		log_warn("node",
			 "cannot read records for a peer: %s log=%.*s "
			 "from=%llu",
			 err_text(r->result), (int)r->chunk.origin.n,
			 (const char *)r->chunk.origin.p,
			 (unsigned long long)r->chunk.from);
	if (mesh_read_done(p->mesh, peers_now(p), r->link, r->id, r->result,
			   r->to, r->bytes) &&
	    l != NULL)
		peer_send(l, buf_slice(&r->frame));
	reading_close(r);
}

void peer_read(struct peers *p, const struct mesh_out *out)
{
	struct reading *r = reading_open(p, out);

	r->chunk = (struct supply_chunk){
		.origin = keep(r, out->origin),
		.job = out->read.job,
		.from = out->read.from,
		.bytes = out->read.bytes,
		.head = out->read.head,
		.note = keep(r, out->read.note),
		.reader = keep(r, out->read.reader),
	};
	if (r->chunk.bytes > LIMIT_CHUNK_BYTES)
		r->chunk.bytes = LIMIT_CHUNK_BYTES;
	buf_init(&r->frame, LIMIT_FRAME_BYTES + MESSAGE_PREFIX_BYTES);
	loop_work(p->loop, read_chunk, on_chunk, r);
}

/* Heads. */

static void check(void *arg)
{
	struct reading *r = arg;

	r->result = supply_check(&r->p->supply, r->origin, &r->head, r->note,
				 &r->arena, &r->fork);
}

static void on_checked(void *arg)
{
	struct reading *r = arg;

	mesh_checked(r->p->mesh, peers_now(r->p), r->log, r->id, r->result,
		     r->result == ERR_FORK ? &r->fork : NULL);
	reading_close(r);
}

void peer_check(struct peers *p, const struct mesh_out *out)
{
	struct reading *r = reading_open(p, out);

	r->origin = keep(r, out->origin);
	r->head = out->check.head;
	r->note = keep(r, out->check.note);
	loop_work(p->loop, check, on_checked, r);
}

/* Bodies. */

static void read_bodies(void *arg)
{
	struct reading *r = arg;

	r->result = supply_bodies(&r->p->supply, &r->want_bodies, r->reader,
				  &r->arena, &r->bodies);
}

static void on_bodies(void *arg)
{
	struct reading *r = arg;

	if (r->result != ERR_OK)
		r->bodies = (struct message_bodies){
			.origin = r->want_bodies.origin,
			.absent = r->want_bodies.seqs,
			.absent_count = r->want_bodies.count,
		};
	mesh_bodies_done(r->p->mesh, peers_now(r->p), r->link, &r->bodies);
	reading_close(r);
}

void peer_read_bodies(struct peers *p, const struct mesh_out *out)
{
	const struct message_want_bodies *w = out->read_bodies.want;
	struct reading *r = reading_open(p, out);

	r->reader = keep(r, out->read_bodies.reader);
	r->want_bodies = *w;
	r->want_bodies.origin = keep(r, w->origin);
	r->want_bodies.seqs =
		arena_array(&r->arena, w->count, sizeof(*w->seqs));
	assert(r->want_bodies.seqs != NULL);
	memcpy(r->want_bodies.seqs, w->seqs, w->count * sizeof(*w->seqs));
	loop_work(p->loop, read_bodies, on_bodies, r);
}

/* Documents. */

static void read_doc(void *arg)
{
	struct reading *r = arg;

	r->result = supply_doc(&r->p->supply, &r->want_doc, &r->arena, &r->doc);
}

static void on_doc(void *arg)
{
	struct reading *r = arg;

	mesh_doc_done(r->p->mesh, peers_now(r->p), r->link,
		      r->result == ERR_OK ? &r->doc : NULL);
	reading_close(r);
}

void peer_read_doc(struct peers *p, const struct mesh_out *out)
{
	struct reading *r = reading_open(p, out);

	r->want_doc = *out->read_doc;
	r->want_doc.member = keep(r, out->read_doc->member);
	loop_work(p->loop, read_doc, on_doc, r);
}

/* Missing bodies. */

static void seek(void *arg)
{
	struct reading *r = arg;
	struct supply_missing w = { .origin = r->origin,
				    .self = r->reader,
				    .from = r->to,
				    .max = LIMIT_BODIES };

	r->result = supply_missing(&r->p->supply, &w, r->missing,
				   &r->missing_count, &r->next);
}

static void seek_log(struct peers *p);

static void on_sought(void *arg)
{
	struct reading *r = arg;
	struct peers *p = r->p;
	struct peer_log *l = &p->logs[r->log];
	enum err asked = ERR_NOT_FOUND;

	p->seeking = false;
	if (r->result == ERR_OK && r->missing_count > 0 && !p->stopping)
		asked = mesh_want_bodies(p->mesh, peers_now(p), r->log,
					 r->missing, r->missing_count);
	/* Those that nobody has now are looked for in the next round. */
	if (r->result == ERR_OK && (r->missing_count == 0 || asked == ERR_OK))
		l->seek_at = r->next;
	/* More of this log, or the next one; else the round is over. */
	if (r->result != ERR_OK || r->next == 0 || r->missing_count > 0)
		p->seek_log++;
	reading_close(r);
	if (!p->stopping && p->seek_log < mesh_log_count(p->mesh)) {
		seek_log(p);
		return;
	}
	p->seek_log = 0;
	if (p->seek_again)
		peer_seek(p);
}

static void seek_log(struct peers *p)
{
	struct mesh_out none = { .log = p->seek_log, .link = MESH_NO_LINK };
	struct mesh_log_info info;
	struct reading *r;

	p->seeking = true;
	mesh_log_info(p->mesh, p->seek_log, &info);
	r = reading_open(p, &none);
	r->origin = keep(r, info.origin);
	r->reader = keep(r, slice_str(p->home->config.member));
	r->to = p->logs[p->seek_log].seek_at;
	loop_work(p->loop, seek, on_sought, r);
}

void peer_seek(struct peers *p)
{
	p->seek_again = p->seeking;
	if (!p->seeking && !p->stopping && mesh_log_count(p->mesh) > 0)
		seek_log(p);
}
