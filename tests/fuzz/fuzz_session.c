/* A node with one authenticated but hostile peer: the bytes are what that
 * peer sends, after its HELLO; the mesh must survive and stay in bounds.
 *
 * Before each frame one byte says how the driver behaves: it may tick, apply
 * a chunk well or badly, answer reads, or drop the link. */

#include <assert.h>
#include <string.h>

#include "proto/mesh_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two members whose keys everybody may know: their notes are in the seeds. */
struct world {
	struct roster roster;
	struct roster_member members[2];
	struct descriptor cards[2];
	struct descriptor_log logs[2];
	struct mesh *mesh;
	uint64_t now_ms, link;
	uint8_t mood;
};

static void make_key(struct note_key *k, const char *name, enum note_type type,
		     uint8_t seed)
{
	uint8_t secret[SIG_SECRET_BYTES] = { seed }, pub[SIG_PUBLIC_BYTES];

	sig_public(secret, pub);
	assert(note_key_init(k, slice_str(name), type, pub) == ERR_OK);
}

static void make_world(struct world *w)
{
	static const char *const names[] = { "a.eu", "b.eu" };
	static const char *const origins[] = { "a.eu/symbolon/1",
					       "b.eu/symbolon/1" };
	static const char *const witnesses[] = { "a.eu/witness",
						 "b.eu/witness" };

	memset(w, 0, sizeof(*w));
	w->now_ms = 1000;
	w->roster.version = 1;
	w->roster.member_count = 2;
	w->roster.members = w->members;
	for (uint8_t i = 0; i < 2; i++) {
		w->members[i].name = slice_str(names[i]);
		w->cards[i].member = slice_str(names[i]);
		w->cards[i].version = 1;
		w->cards[i].log_count = 1;
		w->cards[i].logs = &w->logs[i];
		w->cards[i].endpoint_count = 1;
		w->logs[i].origin = slice_str(origins[i]);
		w->logs[i].to = UINT64_MAX;
		make_key(&w->logs[i].key, origins[i], NOTE_ED25519,
			 (uint8_t)(1 + i));
		make_key(&w->cards[i].witness, witnesses[i], NOTE_COSIGNATURE,
			 (uint8_t)(3 + i));
	}
}

static void apply(struct world *w, const struct mesh_out *o)
{
	struct replica *r = &w->mesh->logs[o->log]->r;
	struct mesh_held h = {
		o->origin, r->durable, { NULL, 0 }, { NULL, 0 }, false
	};
	static const enum err results[] = { ERR_OK,	 ERR_OK,
					    ERR_INVALID, ERR_BAD_STATE,
					    ERR_FULL,	 ERR_MALFORMED };
	enum err result = results[w->mood % 6];

	if (r->draining && result == ERR_OK)
		result = ERR_BAD_STATE;
	if (result == ERR_OK) {
		h.size += o->apply.chunk->count;
		if (h.size == o->apply.head.size)
			h.note = o->apply.note;
	}
	mesh_applied(w->mesh, w->now_ms, o->log, o->id, result, &h);
}

static void drain(struct world *w)
{
	struct message_bodies none = { .count = 0 };
	struct mesh_out o;

	while (mesh_next(w->mesh, &o)) {
		uint64_t link = o.link, id = o.id;

		if (o.type == MESH_OUT_APPLY)
			apply(w, &o);
		else if (o.type == MESH_OUT_READ)
			(void)!mesh_read_done(w->mesh, w->now_ms, link, id,
					      ERR_IO, 0, 0);
		else if (o.type == MESH_OUT_CHECK)
			mesh_checked(w->mesh, w->now_ms, o.log, id,
				     w->mood % 2 ? ERR_OK : ERR_NOT_FOUND,
				     NULL);
		else if (o.type == MESH_OUT_READ_DOC)
			mesh_doc_done(w->mesh, w->now_ms, link, NULL);
		else if (o.type == MESH_OUT_DOC)
			mesh_doc_checked(w->mesh, w->now_ms, link, id,
					 ERR_INVALID);
		else if (o.type == MESH_OUT_READ_BODIES) {
			none.origin = o.origin;
			mesh_bodies_done(w->mesh, w->now_ms, link, &none);
		} else if (o.type == MESH_OUT_ASK && w->mood % 3 != 0)
			mesh_answer(w->mesh, w->now_ms, link, id, ERR_OK,
				    slice_str("x"));
		else if (o.type == MESH_OUT_DIAL)
			mesh_dial_failed(w->mesh, w->now_ms, o.member,
					 ERR_CLOSED, false);
	}
}

static void check(const struct world *w)
{
	const struct mesh *m = w->mesh;

	assert(m->held_bytes <= LIMIT_HELD_BYTES);
	assert(mesh_deadline(m) > 0);
	for (uint32_t i = 0; i < m->log_count; i++) {
		const struct replica *r = &m->logs[i]->r;

		assert(r->held_count <= LIMIT_HELD_CHUNKS);
		assert(r->durable <= r->received || r->draining);
		assert(r->granted <= REPLICA_WINDOW_MAX_BYTES);
		assert(r->granted + r->held_bytes <= REPLICA_HELD_MAX_BYTES);
	}
}

static void say_hello(struct world *w)
{
	struct message m = { .type = MSG_HELLO };
	struct buf b;

	m.hello = w->mesh->hello;
	m.hello.member = slice_str("b.eu");
	buf_init(&b, LIMIT_FRAME_NEW_BYTES);
	message_put(&m, &b);
	mesh_link_frame(w->mesh, w->now_ms, w->link,
			slice_sub(buf_slice(&b), 4, b.n - 4));
	drain(w);
	buf_free(&b);
}

static void open_world(struct world *w, uint8_t mood)
{
	struct mesh_options o = { .member = slice_str("a.eu"),
				  .origin = slice_str("a.eu/symbolon/1"),
				  .seed = 1,
				  .trusted = true };
	struct mesh_members v = { .roster = &w->roster,
				  .cards = w->cards,
				  .card_count = 2 };
	struct mesh_link_up up = { .member = slice_str("b.eu") };

	w->mesh = mesh_open(&o, w->now_ms);
	mesh_set_members(w->mesh, w->now_ms, &v);
	drain(w);
	w->link = mesh_link_open(w->mesh, w->now_ms, &up);
	drain(w);
	if (mood % 8 != 0)
		say_hello(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size), frame;
	struct world w;

	if (size == 0)
		return 0;
	make_world(&w);
	open_world(&w, data[0]);
	while (rest.n > 1) {
		uint32_t max = mesh_link_frame_max(w.mesh, w.link);

		w.mood = rest.p[0];
		rest = slice_sub(rest, 1, rest.n - 1);
		if (frame_split(&rest, max, &frame) != ERR_OK)
			break;
		mesh_link_frame(w.mesh, w.now_ms, w.link, frame);
		drain(&w);
		if (w.mood % 16 == 0)
			w.now_ms += 1000u * w.mood;
		mesh_tick(w.mesh, w.now_ms);
		drain(&w);
		if (w.mood == 255) {
			mesh_link_lost(w.mesh, w.now_ms, w.link, ERR_CLOSED);
			drain(&w);
		}
		check(&w);
	}
	mesh_close(w.mesh);
	return 0;
}
