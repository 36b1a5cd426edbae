#include "proto/mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mesh_state.h"
#include "tests/lib/signer.h"

/* Fixture: up to three meshes. What one sends goes into the outbox of its
 * link; the test decides when it arrives. Logs are synthetic: a record is
 * one leaf, a head is signed and nobody folds it. */

#define NODES 3u
#define LOGS 72u /* for tests with many */
#define OUTS 4096u
#define LEAF "a leaf of the usual forty bytes or so ..."

struct end {
	uint64_t link;
	struct buf out; /* sent, not yet delivered */
	bool closed;
	enum err why;
	bool by_peer;
};

struct node {
	struct mesh *mesh;
	struct signer log, witness;
	struct descriptor card;
	struct descriptor_log range;
	char name[16], origin[32], witness_name[32];
	struct mesh_out outs[OUTS]; /* all but SEND, oldest first */
	uint32_t out_count;
	struct end end[NODES]; /* by partner */
	uint64_t size[LOGS]; /* records held of each log */
	enum err apply; /* result of the next chunks */
	bool lazy; /* leave chunks and reads to the test */
	uint64_t read_bytes; /* of entries that were sent */
};

struct world {
	struct roster roster;
	struct roster_member members[NODES];
	struct descriptor cards[NODES];
	struct node node[NODES];
	uint64_t now_ms;
};

static void make_node(struct world *w, uint32_t i)
{
	struct node *n = &w->node[i];
	char c = (char)('a' + i);

	snprintf(n->name, sizeof(n->name), "%c.eu", c);
	snprintf(n->origin, sizeof(n->origin), "%c.eu/symbolon/1", c);
	snprintf(n->witness_name, sizeof(n->witness_name), "%c.eu/witness", c);
	n->log = a_signer(n->origin, NOTE_ED25519);
	n->witness = a_signer(n->witness_name, NOTE_COSIGNATURE);
	n->range = (struct descriptor_log){ slice_str(n->origin), n->log.key, 0,
					    UINT64_MAX };
	w->members[i].name = slice_str(n->name);
	w->cards[i] = (struct descriptor){
		.member = slice_str(n->name),
		.version = 1,
		.log_count = 1,
		.logs = &n->range,
		.witness = n->witness.key,
		.endpoint_count = 1,
	};
}

static void open_node(struct world *w, uint32_t i, bool trusted)
{
	struct node *n = &w->node[i];
	struct mesh_options o = { .member = slice_str(n->name),
				  .origin = slice_str(n->origin),
				  .seed = i + 1,
				  .trusted = trusted };

	n->mesh = mesh_open(&o, w->now_ms);
}

static void tell_members(struct world *w, uint32_t i)
{
	struct mesh_members v = { .roster = &w->roster,
				  .alliance = { { 1 } },
				  .cards = w->cards,
				  .card_count = w->roster.member_count };

	mesh_set_members(w->node[i].mesh, w->now_ms, &v);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->now_ms = 100000;
	w->roster.version = 1;
	w->roster.member_count = NODES;
	w->roster.members = w->members;
	for (uint32_t i = 0; i < NODES; i++)
		make_node(w, i);
	for (uint32_t i = 0; i < NODES; i++) {
		open_node(w, i, true);
		for (uint32_t k = 0; k < NODES; k++) {
			w->node[i].end[k].link = MESH_NO_LINK;
			buf_init(&w->node[i].end[k].out, 64u << 20);
		}
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < NODES; i++) {
		mesh_close(w->node[i].mesh);
		for (uint32_t k = 0; k < NODES; k++)
			buf_free(&w->node[i].end[k].out);
	}
	free(w);
	return 0;
}

/* Helpers: the driver. */

static void note_of(struct node *owner, uint64_t size, struct buf *out)
{
	struct head h = { size, { { (uint8_t)size, 1 } } };

	buf_init(out, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(owner->origin), &h, &owner->log.key,
		      owner->log.secret, out);
}

static void do_apply(struct world *w, struct node *n, const struct mesh_out *o)
{
	struct mesh_held h = { .origin = o->origin };

	if (n->apply == ERR_OK) {
		n->size[o->log] = o->apply.chunk->from + o->apply.chunk->count;
		if (n->size[o->log] == o->apply.head.size)
			h.note = o->apply.note;
	}
	h.size = n->size[o->log];
	mesh_applied(n->mesh, w->now_ms, o->log, o->id, n->apply, &h);
}

static void do_read(struct world *w, struct node *n, const struct mesh_out *o)
{
	struct record r = { SLICE_LIT(LEAF), { NULL, 0 }, { NULL, 0 } };
	uint64_t left = o->read.head.size - o->read.from;
	uint64_t count = o->read.bytes / message_entry_bytes(&r);
	struct message m = { .type = MSG_CHUNK };
	struct end *end = &n->end[(uintptr_t)o->tag];
	struct buf entries;

	count = count < left ? count : left;
	count = count < LIMIT_CHUNK_RECORDS ? count : LIMIT_CHUNK_RECORDS;
	buf_init(&entries, LIMIT_CHUNK_BYTES);
	for (uint64_t i = 0; i < count; i++)
		message_put_entry(&r, &entries);
	m.chunk.origin = o->origin;
	m.chunk.job = o->read.job;
	m.chunk.from = o->read.from;
	m.chunk.note = o->read.note;
	m.chunk.count = (uint32_t)count;
	m.chunk.entries = buf_slice(&entries);
	n->read_bytes += entries.n;
	if (mesh_read_done(n->mesh, w->now_ms, o->link, o->id, ERR_OK,
			   o->read.from + count, (uint32_t)entries.n))
		message_put(&m, &end->out);
	buf_free(&entries);
}

static void drain(struct world *w, struct node *n)
{
	struct mesh_out o;

	while (mesh_next(n->mesh, &o)) {
		struct end *end = &n->end[(uintptr_t)o.tag];

		if (o.type == MESH_OUT_SEND) {
			/* What an older link still says is lost. */
			if (o.link == end->link || end->closed ||
			    end->link == MESH_NO_LINK)
				buf_put(&end->out, o.send);
			continue;
		}
		if (o.type == MESH_OUT_CLOSE) {
			end->closed = true;
			end->why = o.close.why;
			end->by_peer = o.close.by_peer;
			if (end->link == o.link) /* not a newer one */
				end->link = MESH_NO_LINK;
		}
		if (n->out_count < OUTS)
			n->outs[n->out_count++] = o;
		if (o.type == MESH_OUT_APPLY && !n->lazy)
			do_apply(w, n, &o);
		if (o.type == MESH_OUT_READ && !n->lazy)
			do_read(w, n, &o);
	}
}

/* Deliver what @from has sent to @to; returns the number of frames. */
static uint32_t deliver(struct world *w, uint32_t from, uint32_t to)
{
	struct end *end = &w->node[from].end[to];
	struct node *n = &w->node[to];
	struct buf bytes = end->out;
	struct slice rest = buf_slice(&bytes), frame;
	uint32_t count = 0;

	buf_init(&end->out, bytes.max);
	while (n->end[from].link != MESH_NO_LINK &&
	       frame_split(&rest, LIMIT_FRAME_BYTES, &frame) == ERR_OK) {
		mesh_link_frame(n->mesh, w->now_ms, n->end[from].link, frame);
		drain(w, n);
		count++;
	}
	buf_free(&bytes);
	return count;
}

static void exchange(struct world *w, uint32_t a, uint32_t b)
{
	while (deliver(w, a, b) + deliver(w, b, a) > 0)
		continue;
}

static void link_up(struct world *w, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t me = i == 0 ? from : to, it = i == 0 ? to : from;
		struct mesh_link_up up = {
			.tag = (void *)(uintptr_t)it,
			.member = slice_str(w->node[it].name),
			.dialled = i == 0,
		};
		struct end *end = &w->node[me].end[it];

		end->closed = false;
		end->link = mesh_link_open(w->node[me].mesh, w->now_ms, &up);
		buf_reset(&end->out);
		drain(w, &w->node[me]);
	}
}

static void start_all(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++) {
		tell_members(w, i);
		drain(w, &w->node[i]);
	}
}

/* All three know the members; @a and @b are linked and have said all. */
static void linked(struct world *w, uint32_t a, uint32_t b)
{
	link_up(w, a, b);
	exchange(w, a, b);
}

static void hold(struct world *w, uint32_t at, uint32_t log, uint64_t size)
{
	struct node *n = &w->node[at];
	struct mesh_held h = { .origin = slice_str(w->node[log].origin),
			       .size = size };
	struct buf note;

	note_of(&w->node[log], size, &note);
	h.note = buf_slice(&note);
	n->size[log] = size;
	assert_int_equal(mesh_set_held(n->mesh, w->now_ms, &h), ERR_OK);
	drain(w, n);
	buf_free(&note);
}

static void pass_time(struct world *w, uint64_t ms)
{
	w->now_ms += ms;
	for (uint32_t i = 0; i < NODES; i++) {
		mesh_tick(w->node[i].mesh, w->now_ms);
		drain(w, &w->node[i]);
	}
}

/* Assertions. */

static uint32_t count_outs(const struct node *n, enum mesh_out_type type)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n->out_count; i++)
		count += n->outs[i].type == type;
	return count;
}

static const struct mesh_out *last_out(const struct node *n,
				       enum mesh_out_type type)
{
	for (uint32_t i = n->out_count; i > 0; i--) {
		if (n->outs[i - 1].type == type)
			return &n->outs[i - 1];
	}
	fail();
	return NULL;
}

static struct mesh_peer_info peer(const struct world *w, uint32_t at,
				  uint32_t of)
{
	struct mesh_peer_info info;

	mesh_peer_info(w->node[at].mesh, of, &info);
	return info;
}

static void forget(struct world *w)
{
	for (uint32_t i = 0; i < NODES; i++)
		w->node[i].out_count = 0;
}

/* Send a frame to @to as if @from had; a link must be there. */
static void inject(struct world *w, uint32_t from, uint32_t to,
		   struct message m)
{
	struct buf b;

	buf_init(&b, LIMIT_FRAME_BYTES);
	message_put(&m, &b);
	mesh_link_frame(w->node[to].mesh, w->now_ms, w->node[to].end[from].link,
			slice_sub(buf_slice(&b), MESSAGE_PREFIX_BYTES,
				  b.n - MESSAGE_PREFIX_BYTES));
	drain(w, &w->node[to]);
	buf_free(&b);
}

/* The first frame of this type in an outbox, MSG_CHANGES: none. */
static struct message sent(struct world *w, uint32_t from, uint32_t to,
			   enum message_type type, struct arena *a)
{
	struct slice rest = buf_slice(&w->node[from].end[to].out), frame;
	struct message m;

	while (frame_split(&rest, LIMIT_FRAME_BYTES, &frame) == ERR_OK) {
		assert_int_equal(message_decode(frame, a, &m, NULL), ERR_OK);
		if (m.type == type)
			return m;
	}
	m.type = MSG_CHANGES;
	return m;
}

static bool has_sent(struct world *w, uint32_t from, uint32_t to,
		     enum message_type type)
{
	struct arena a;
	bool found;

	arena_init(&a, 4u << 20);
	found = sent(w, from, to, type, &a).type == type;
	arena_free(&a);
	return found;
}

/* Dialling. */

static void every_other_member_is_dialled(void **state)
{
	struct world *w = *state;

	start_all(w);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_DIAL), 2);
	assert_true(peer(w, 0, 1).dialling);
	assert_true(peer(w, 0, 0).self);
}

static void pauses_double_up_to_a_minute(void **state)
{
	struct world *w = *state;
	uint64_t pause = MESH_DIAL_MIN_MS;

	w->roster.member_count = 2;
	tell_members(w, 0);
	drain(w, &w->node[0]);
	for (uint32_t i = 0; i < 9; i++) {
		uint64_t at;

		assert_int_equal(count_outs(&w->node[0], MESH_OUT_DIAL), 1);
		mesh_dial_failed(w->node[0].mesh, w->now_ms, 1, ERR_TIMEOUT,
				 false);
		at = peer(w, 0, 1).next_dial_ms;
		assert_in_range(at - w->now_ms, pause / 2, pause * 3 / 2);
		assert_true(mesh_deadline(w->node[0].mesh) <= at);
		forget(w);
		w->now_ms = at;
		mesh_tick(w->node[0].mesh, w->now_ms);
		drain(w, &w->node[0]);
		pause = pause * 2 < MESH_DIAL_MAX_MS ? pause * 2
						     : MESH_DIAL_MAX_MS;
	}
	assert_int_equal(pause, MESH_DIAL_MAX_MS);
	assert_int_equal(peer(w, 0, 1).refused, ERR_TIMEOUT);
}

static void only_an_accepted_hello_ends_the_back_off(void **state)
{
	struct world *w = *state;

	start_all(w);
	for (uint32_t i = 0; i < 5; i++) {
		link_up(w, 0, 1); /* TLS is up, then it is gone */
		mesh_link_lost(w->node[0].mesh, w->now_ms,
			       w->node[0].end[1].link, ERR_PIN);
		w->now_ms = peer(w, 0, 1).next_dial_ms;
		mesh_tick(w->node[0].mesh, w->now_ms);
		drain(w, &w->node[0]);
	}
	assert_int_equal(peer(w, 0, 1).refused, ERR_PIN);
	assert_true(w->node[0].mesh->peers[1]->pause_ms > 10000);
	linked(w, 0, 1);
	assert_true(peer(w, 0, 1).live);
	assert_int_equal(w->node[0].mesh->peers[1]->pause_ms, MESH_DIAL_MIN_MS);
}

static void who_is_live_is_not_dialled(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 1, 0);
	mesh_dial_failed(w->node[0].mesh, w->now_ms, 1, ERR_CLOSED, false);
	forget(w);
	pass_time(w, 5000);
	exchange(w, 0, 1);
	for (uint32_t i = 0; i < w->node[0].out_count; i++)
		assert_false(w->node[0].outs[i].type == MESH_OUT_DIAL &&
			     w->node[0].outs[i].member == 1);
}

static void peer_test_dials_at_once(void **state)
{
	struct world *w = *state;

	start_all(w);
	mesh_dial_failed(w->node[0].mesh, w->now_ms, 1, ERR_CLOSED, false);
	forget(w);
	mesh_dial_now(w->node[0].mesh, w->now_ms, 1);
	mesh_tick(w->node[0].mesh, w->now_ms);
	drain(w, &w->node[0]);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_DIAL)->member, 1);
}

/* Links. */

static void both_sides_keep_the_link_that_the_smaller_name_dialled(void **state)
{
	struct world *w = *state;
	uint64_t kept[2];

	start_all(w);
	linked(w, 0, 1);
	kept[0] = w->node[0].end[1].link;
	kept[1] = w->node[1].end[0].link;
	linked(w, 1, 0); /* the other way round: refused */
	assert_int_equal(w->node[0].end[1].why, ERR_DUPLICATE);
	assert_int_equal(w->node[1].end[0].why, ERR_DUPLICATE);
	assert_int_equal(peer(w, 0, 1).link, kept[0]);
	assert_int_equal(peer(w, 1, 0).link, kept[1]);
	assert_int_equal(peer(w, 0, 1).refused, ERR_OK);
}

static void a_second_link_from_the_same_side_replaces_the_first(void **state)
{
	struct world *w = *state;
	uint64_t first;

	start_all(w);
	linked(w, 0, 1);
	first = peer(w, 1, 0).link;
	linked(w, 0, 1);
	assert_true(peer(w, 1, 0).live);
	assert_int_not_equal(peer(w, 1, 0).link, first);
}

static void another_alliance_is_refused_and_both_sides_know(void **state)
{
	struct world *w = *state;

	start_all(w);
	w->node[1].mesh->hello.alliance.b[0] = 99;
	linked(w, 0, 1);
	assert_false(peer(w, 0, 1).live);
	assert_int_equal(peer(w, 0, 1).refused, ERR_ALLIANCE);
	assert_int_equal(peer(w, 1, 0).refused, ERR_ALLIANCE);
	assert_true(w->node[0].end[1].closed && w->node[1].end[0].closed);
}

static void who_is_no_member_is_told_so(void **state)
{
	struct world *w = *state;
	struct mesh_link_up up = { .member = SLICE_LIT("x.eu") };
	struct end *end = &w->node[0].end[0];

	start_all(w);
	assert_int_not_equal(mesh_link_open(w->node[0].mesh, w->now_ms, &up),
			     MESH_NO_LINK);
	drain(w, &w->node[0]);
	assert_true(end->closed);
	assert_int_equal(end->why, ERR_DENIED);
	assert_true(has_sent(w, 0, 0, MSG_BYE));
}

static void one_member_does_not_use_up_all_links(void **state)
{
	struct world *w = *state;
	struct mesh_link_up up = { .member = SLICE_LIT("b.eu") };

	start_all(w);
	for (uint32_t i = 0; i < LIMIT_LINKS_MEMBER; i++) {
		(void)mesh_link_open(w->node[0].mesh, w->now_ms, &up);
		drain(w, &w->node[0]);
		assert_false(w->node[0].end[0].closed);
	}
	(void)mesh_link_open(w->node[0].mesh, w->now_ms, &up);
	drain(w, &w->node[0]);
	assert_true(w->node[0].end[0].closed);
	assert_int_equal(w->node[0].end[0].why, ERR_BUSY);
}

static void there_are_no_links_before_there_are_members(void **state)
{
	struct world *w = *state;
	struct mesh_link_up up = { .member = SLICE_LIT("b.eu") };

	assert_int_equal(mesh_link_open(w->node[0].mesh, w->now_ms, &up),
			 MESH_NO_LINK);
}

static void a_removed_member_is_closed_at_once(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	w->members[1].state = MEMBER_REMOVED;
	w->members[1].final.size = 7;
	tell_members(w, 0);
	drain(w, &w->node[0]);
	assert_true(w->node[0].end[1].closed);
	assert_int_equal(w->node[0].end[1].why, ERR_DENIED);
	forget(w);
	pass_time(w, 120000);
	for (uint32_t i = 0; i < w->node[0].out_count; i++)
		assert_false(w->node[0].outs[i].type == MESH_OUT_DIAL &&
			     w->node[0].outs[i].member == 1);
}

static void heads_beyond_the_final_one_are_not_wanted(void **state)
{
	struct world *w = *state;

	w->members[1].state = MEMBER_REMOVED;
	w->members[1].final.size = 7;
	tell_members(w, 0);
	drain(w, &w->node[0]);
	w->members[1].state = MEMBER_ACTIVE;
	tell_members(w, 2);
	drain(w, &w->node[2]);
	hold(w, 2, 1, 9);
	linked(w, 0, 2);
	assert_int_equal(w->node[0].size[1], 0);
	assert_int_equal(w->node[0].mesh->logs[1]->r.told, 0);
}

static void silence_is_asked_about_and_ends_the_link(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	pass_time(w, SESSION_PING_MS);
	assert_true(has_sent(w, 0, 1, MSG_PING));
	pass_time(w, 2 * SESSION_PING_MS);
	assert_true(w->node[0].end[1].closed);
	assert_int_equal(w->node[0].end[1].why, ERR_TIMEOUT);
}

static void shutdown_says_goodbye(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	mesh_shutdown(w->node[0].mesh, w->now_ms);
	drain(w, &w->node[0]);
	deliver(w, 0, 1);
	assert_int_equal(w->node[1].end[0].why, ERR_SHUTDOWN);
	assert_true(w->node[1].end[0].by_peer);
	assert_int_equal(peer(w, 1, 0).refused, ERR_OK);
}

/* Logs. */

static void a_large_log_flows_without_a_pause(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 0, 0, 400000);
	linked(w, 0, 1);
	assert_int_equal(w->node[1].size[0], 400000);
	assert_true(w->node[0].read_bytes > 2u * LIMIT_CREDIT_LINK_BYTES);
	assert_int_equal(peer(w, 1, 0).bad_chunks, 0);
	/* Nothing of the large credit stays with an idle source. */
	assert_true(w->node[1].mesh->logs[0]->r.granted <=
		    2 * REPLICA_WINDOW_MIN_BYTES);
}

static void what_is_new_is_pushed_to_a_follower(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	hold(w, 0, 0, 1);
	assert_true(has_sent(w, 0, 1, MSG_CHUNK));
	assert_false(has_sent(w, 0, 1, MSG_HEADS));
	exchange(w, 0, 1);
	assert_int_equal(w->node[1].size[0], 1);
}

static void a_relay_waits_a_second_and_tells_only_who_lacks_it(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	linked(w, 1, 2);
	hold(w, 0, 0, 5);
	exchange(w, 0, 1);
	assert_int_equal(w->node[1].size[0], 5);
	pass_time(w, MESH_RELAY_MS - 1);
	assert_false(has_sent(w, 1, 2, MSG_HEADS));
	pass_time(w, 1);
	assert_true(has_sent(w, 1, 2, MSG_HEADS));
	exchange(w, 1, 2);
	assert_int_equal(w->node[2].size[0], 5);
	/* The owner has it of course. */
	assert_false(has_sent(w, 1, 0, MSG_HEADS));
}

static void a_stalled_source_is_left_for_another(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 0, 0, 5);
	hold(w, 1, 0, 5);
	w->node[0].lazy = true; /* never reads */
	linked(w, 0, 2);
	linked(w, 1, 2);
	assert_int_equal(w->node[2].size[0], 0);
	pass_time(w, REPLICA_STALL_MS);
	exchange(w, 1, 2);
	assert_int_equal(w->node[2].size[0], 5);
	assert_int_equal(peer(w, 2, 0).bad_chunks, 0);
}

static void a_chunk_that_does_not_fold_is_charged(void **state)
{
	struct world *w = *state;
	struct mesh_log_info info;

	start_all(w);
	hold(w, 0, 0, 5);
	w->node[2].apply = ERR_INVALID;
	linked(w, 0, 2);
	assert_int_equal(w->node[2].size[0], 0);
	assert_int_equal(peer(w, 2, 0).bad_chunks, 1);
	assert_int_equal(peer(w, 2, 0).refused, ERR_INVALID);
	assert_false(peer(w, 2, 0).refused_by_peer);
	assert_true(peer(w, 2, 0).live);
	mesh_log_info(w->node[2].mesh, 0, &info);
	assert_int_equal(info.told, 5);
	assert_int_equal(info.source, UINT32_MAX);
	/* Another source is asked at once, the bad one later. */
	w->node[2].apply = ERR_OK;
	hold(w, 1, 0, 5);
	linked(w, 1, 2);
	assert_int_equal(w->node[2].size[0], 5);
}

static void a_bad_source_is_asked_again_after_a_pause(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 0, 0, 5);
	w->node[2].apply = ERR_INVALID;
	linked(w, 0, 2);
	w->node[2].apply = ERR_OK;
	pass_time(w, 400);
	exchange(w, 0, 2);
	assert_int_equal(w->node[2].size[0], 0);
	pass_time(w, 1200);
	exchange(w, 0, 2);
	assert_int_equal(w->node[2].size[0], 5);
}

static void an_own_full_disk_is_nobodys_fault(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 0, 0, 5);
	w->node[2].apply = ERR_FULL;
	linked(w, 0, 2);
	assert_int_equal(peer(w, 2, 0).bad_chunks, 0);
	assert_int_equal(peer(w, 2, 0).refused, ERR_OK);
	w->node[2].apply = ERR_OK;
	pass_time(w, 11000);
	exchange(w, 0, 2);
	assert_int_equal(w->node[2].size[0], 5);
}

static void more_than_was_granted_ends_the_link(void **state)
{
	struct world *w = *state;
	struct node *n = &w->node[1];
	struct message m = { .type = MSG_CHUNK };
	struct record r = { SLICE_LIT(LEAF), { NULL, 0 }, { NULL, 0 } };
	struct buf note, entries;

	start_all(w);
	linked(w, 0, 1); /* B follows A with little credit */
	note_of(&w->node[0], 9000, &note);
	buf_init(&entries, LIMIT_CHUNK_BYTES);
	for (uint32_t i = 0; i < 9000; i++)
		message_put_entry(&r, &entries);
	assert_true(entries.n > REPLICA_WINDOW_MIN_BYTES);
	m.chunk.origin = slice_str(w->node[0].origin);
	m.chunk.job = n->mesh->logs[0]->r.job;
	m.chunk.note = buf_slice(&note);
	m.chunk.count = 9000;
	m.chunk.entries = buf_slice(&entries);
	inject(w, 0, 1, m);
	assert_true(n->end[0].closed);
	assert_int_equal(n->end[0].why, ERR_LIMIT);
	assert_int_equal(n->size[0], 0);
	buf_free(&note);
	buf_free(&entries);
}

static void a_note_that_does_not_verify_is_a_refusal(void **state)
{
	struct world *w = *state;
	struct message_head head = { slice_str(w->node[0].origin),
				     9,
				     { NULL, 0 } };
	struct message m = { .type = MSG_HEADS };
	struct buf note;

	start_all(w);
	linked(w, 0, 1);
	note_of(&w->node[0], 9, &note);
	note.p[note.n - 8] ^= 1;
	head.note = buf_slice(&note);
	m.heads.log_count = 1;
	m.heads.logs = &head;
	inject(w, 0, 1, m);
	assert_int_equal(peer(w, 1, 0).refused, ERR_INVALID);
	assert_true(peer(w, 1, 0).live);
	assert_int_equal(w->node[1].mesh->logs[0]->r.told, 0);
	buf_free(&note);
}

static void too_much_that_does_not_verify_ends_the_link(void **state)
{
	struct world *w = *state;
	struct message_head head = { slice_str(w->node[0].origin),
				     9,
				     { NULL, 0 } };
	struct message m = { .type = MSG_HEADS };
	struct buf note;

	start_all(w);
	linked(w, 0, 1);
	note_of(&w->node[0], 9, &note);
	note.p[note.n - 8] ^= 1;
	head.note = buf_slice(&note);
	m.heads.log_count = 1;
	m.heads.logs = &head;
	for (uint32_t i = 0; i < MESH_STRIKES_MAX; i++)
		inject(w, 0, 1, m);
	assert_false(w->node[1].end[0].closed);
	inject(w, 0, 1, m);
	assert_true(w->node[1].end[0].closed);
	assert_int_equal(w->node[1].end[0].why, ERR_INVALID);
	buf_free(&note);
}

static void a_congested_link_is_served_later(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	mesh_link_congested(w->node[0].mesh, w->now_ms, w->node[0].end[1].link,
			    true);
	hold(w, 0, 0, 5);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_READ), 0);
	assert_int_equal(w->node[0].end[1].out.n, 0);
	mesh_link_congested(w->node[0].mesh, w->now_ms, w->node[0].end[1].link,
			    false);
	drain(w, &w->node[0]);
	exchange(w, 0, 1);
	assert_int_equal(w->node[1].size[0], 5);
}

static void one_read_at_a_time_on_a_link(void **state)
{
	struct world *w = *state;

	start_all(w);
	w->node[0].lazy = true;
	hold(w, 0, 0, 400000);
	hold(w, 0, 2, 5);
	linked(w, 0, 1);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_READ), 1);
	do_read(w, &w->node[0], last_out(&w->node[0], MESH_OUT_READ));
	drain(w, &w->node[0]);
	/* The other log has its turn before the large one goes on. */
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_READ), 2);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_READ)->log, 2);
}

static void a_read_for_a_job_that_is_gone_is_not_sent(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;
	struct message m = { .type = MSG_WANT };

	start_all(w);
	w->node[0].lazy = true;
	hold(w, 0, 0, 50);
	linked(w, 0, 1);
	o = last_out(&w->node[0], MESH_OUT_READ);
	m.want = (struct message_want){ slice_str(w->node[0].origin),
					o->read.job, 0, 0 };
	inject(w, 1, 0, m);
	assert_false(mesh_read_done(w->node[0].mesh, w->now_ms, o->link, o->id,
				    ERR_OK, 50, 1000));
	assert_int_equal(w->node[0].mesh->links[o->link % LIMIT_LINKS]->serving,
			 0);
}

static void a_job_number_used_again_does_not_take_an_old_read(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;
	struct mesh_out first;
	struct message m = { .type = MSG_WANT };

	start_all(w);
	w->node[0].lazy = true;
	hold(w, 0, 0, 50);
	linked(w, 0, 1);
	o = last_out(&w->node[0], MESH_OUT_READ);
	first = *o;
	m.want = (struct message_want){ slice_str(w->node[0].origin),
					first.read.job, 0, 0 };
	inject(w, 1, 0, m);
	m.want.from = 49;
	m.want.credit = LIMIT_ENTRY_BYTES;
	inject(w, 1, 0, m);
	assert_false(mesh_read_done(w->node[0].mesh, w->now_ms, first.link,
				    first.id, ERR_OK, 40, 1000));
}

static void a_fault_in_one_part_of_heads_is_no_answer(void **state)
{
	struct world *w = *state;
	struct message_head head = { slice_str(w->node[0].origin),
				     9,
				     { NULL, 0 } };
	struct message m = { .type = MSG_HEADS };
	struct buf note;

	start_all(w);
	linked(w, 0, 1);
	w->node[0].mesh->peers[1]->answered = false; /* as at the start */
	note_of(&w->node[0], 9, &note);
	note.p[note.n - 8] ^= 1;
	head.note = buf_slice(&note);
	m.heads.part = HEADS_MORE;
	m.heads.log_count = 1;
	m.heads.logs = &head;
	inject(w, 1, 0, m);
	m.heads.part = HEADS_LAST;
	m.heads.log_count = 0;
	inject(w, 1, 0, m);
	assert_false(w->node[0].mesh->peers[1]->answered);
	/* The next list is judged by itself. */
	inject(w, 1, 0, m);
	assert_true(w->node[0].mesh->peers[1]->answered);
	buf_free(&note);
}

static void acks_go_to_the_owner_and_to_the_source(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 1, 0, 5); /* B has A's log; A itself has lost it */
	linked(w, 0, 2);
	linked(w, 1, 2);
	assert_int_equal(w->node[2].size[0], 5);
	pass_time(w, 1);
	assert_true(w->node[1].mesh->peers[2]->link->views[0].has == 5);
	assert_true(has_sent(w, 2, 0, MSG_ACK));
}

static void a_cosignature_is_counted_and_stored(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_ACK };
	struct head h = { 5, { { 5, 1 } } };
	struct buf line;

	start_all(w);
	hold(w, 0, 0, 5);
	linked(w, 0, 1);
	forget(w);
	buf_init(&line, LIMIT_NOTE_BYTES);
	log_cosign(slice_str(w->node[0].origin), &h, &w->node[1].witness.key,
		   w->node[1].witness.secret, 1700000000, &line);
	m.ack = (struct message_ack){ slice_str(w->node[0].origin), 5,
				      buf_slice(&line) };
	inject(w, 1, 0, m);
	assert_true(last_out(&w->node[0], MESH_OUT_ACKED)->acked.cosigned);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_NOTE), 1);
	/* Of somebody else: not counted. */
	forget(w);
	line.p[line.n - 8] ^= 1;
	m.ack.cosignature = buf_slice(&line);
	inject(w, 1, 0, m);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ACKED), 0);
	buf_free(&line);
}

static void a_cosignature_of_another_text_does_not_count(void **state)
{
	struct world *w = *state;
	const struct node *b = &w->node[1];
	struct checkpoint c = { slice_str(w->node[0].origin),
				{ 5, { { 5, 1 } } } };
	struct message m = { .type = MSG_ACK };
	struct buf line, text;

	start_all(w);
	hold(w, 0, 0, 5);
	linked(w, 0, 1);
	forget(w);
	buf_init(&line, 4096);
	buf_init(&text, 4096);
	/* Behind the head, an empty line makes it the end of a longer text. */
	checkpoint_put(&c, &text);
	buf_put_str(&text, "\nanother\n");
	buf_put_str(&line, "another\n\n");
	note_sign(&b->witness.key, b->witness.secret, buf_slice(&text), 77,
		  &line);
	m.ack.origin = c.origin;
	m.ack.size = 5;
	m.ack.cosignature = buf_slice(&line);
	inject(w, 1, 0, m);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_NOTE), 0);
	for (uint32_t i = 0; i < w->node[0].out_count; i++) {
		if (w->node[0].outs[i].type == MESH_OUT_ACKED)
			assert_false(w->node[0].outs[i].acked.cosigned);
	}
	buf_free(&line);
	buf_free(&text);
}

static void a_cosignature_made_later_is_sent_to_the_owner(void **state)
{
	struct world *w = *state;
	struct mesh_held h = { .size = 5 };
	struct arena a;

	start_all(w);
	hold(w, 0, 0, 5);
	linked(w, 0, 1);
	exchange(w, 0, 1);
	h.origin = slice_str(w->node[0].origin);
	h.cosignature = SLICE_LIT("line\n");
	assert_int_equal(mesh_set_held(w->node[1].mesh, w->now_ms, &h), ERR_OK);
	drain(w, &w->node[1]);
	arena_init(&a, 65536);
	assert_true(
		slice_is(sent(w, 1, 0, MSG_ACK, &a).ack.cosignature, "line\n"));
	arena_free(&a);
}

static void a_copy_is_fresh_when_its_owner_says_so(void **state)
{
	struct world *w = *state;
	struct mesh_log_info info;
	uint64_t begin;

	start_all(w);
	hold(w, 1, 0, 5);
	linked(w, 1, 2);
	mesh_log_info(w->node[2].mesh, 0, &info);
	assert_int_equal(info.size, 5);
	assert_int_equal(info.heard_ms, 0);
	hold(w, 0, 0, 5);
	begin = w->now_ms;
	linked(w, 0, 2);
	mesh_log_info(w->node[2].mesh, 0, &info);
	assert_int_equal(info.heard_ms, begin);
	pass_time(w, SESSION_PING_MS);
	exchange(w, 0, 2);
	mesh_log_info(w->node[2].mesh, 0, &info);
	assert_int_equal(info.heard_ms, begin + SESSION_PING_MS);
}

/* Many logs. */

#define MANY 60u

/* Member C has many logs, and has gone; B holds them all. */
static void many_logs(struct world *w, struct descriptor_log *logs,
		      char (*origins)[32])
{
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(origins[i], 32, "c.eu/symbolon/%u", i + 1);
		logs[i] = w->node[2].range;
		logs[i].origin = slice_str(origins[i]);
	}
	w->cards[2].logs = logs;
	w->cards[2].log_count = MANY;
	start_all(w);
	for (uint32_t i = 0; i < MANY; i++) {
		struct head h = { 3, { { 3 } } };
		struct mesh_held held = { .origin = logs[i].origin, .size = 3 };
		struct buf note;

		buf_init(&note, LIMIT_NOTE_BYTES);
		log_sign_head(logs[i].origin, &h, &w->node[2].log.key,
			      w->node[2].log.secret, &note);
		held.note = buf_slice(&note);
		assert_int_equal(
			mesh_set_held(w->node[1].mesh, w->now_ms, &held),
			ERR_OK);
		drain(w, &w->node[1]);
		buf_free(&note);
	}
}

static void one_relay_serves_many_logs_in_turn(void **state)
{
	struct world *w = *state;
	struct descriptor_log logs[MANY];
	char origins[MANY][32];
	struct mesh *m = w->node[0].mesh;
	uint32_t jobs, complete = 0;

	many_logs(w, logs, origins);
	link_up(w, 0, 1);
	for (uint32_t round = 0; round < 100; round++) {
		exchange(w, 0, 1);
		jobs = 0;
		for (uint32_t i = 0; i < mesh_log_count(m); i++)
			jobs += m->logs[i]->r.source != REPLICA_NO_LINK;
		assert_true(jobs <= MESH_JOBS_MAX);
		pass_time(w, 100);
	}
	for (uint32_t i = 0; i < MANY; i++)
		complete += w->node[0].size[2 + i] == 3;
	assert_int_equal(complete, MANY);
}

static void one_job_too_many_is_busy(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_WANT };
	struct mesh_link *k;

	start_all(w);
	linked(w, 0, 1);
	k = w->node[0].mesh->peers[1]->link;
	k->serving = LIMIT_JOBS_LINK; /* as if it had so many */
	m.want = (struct message_want){ slice_str(w->node[2].origin), 5, 0,
					1000 };
	inject(w, 1, 0, m);
	assert_true(has_sent(w, 0, 1, MSG_ERR));
	assert_int_equal(k->views[2].job, 0);
}

static void chunks_that_nobody_stores_are_not_piled_up(void **state)
{
	struct world *w = *state;
	struct node *b = &w->node[1];
	uint32_t taken = 0;

	start_all(w);
	linked(w, 0, 1);
	forget(w);
	b->lazy = true;
	for (uint64_t size = 1; size <= LIMIT_HELD_CHUNKS + 10; size++) {
		hold(w, 0, 0, size);
		exchange(w, 0, 1);
	}
	assert_int_equal(count_outs(b, MESH_OUT_APPLY), LIMIT_HELD_CHUNKS);
	assert_int_equal(b->mesh->logs[0]->r.source, REPLICA_NO_LINK);
	for (uint32_t i = 0; taken < LIMIT_HELD_CHUNKS; i++) {
		if (b->outs[i].type != MESH_OUT_APPLY)
			continue;
		do_apply(w, b, &b->outs[i]);
		taken++;
	}
	b->lazy = false;
	drain(w, b);
	exchange(w, 0, 1);
	assert_int_equal(b->size[0], LIMIT_HELD_CHUNKS + 10);
}

static void a_read_that_fails_ends_the_job(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;

	start_all(w);
	w->node[0].lazy = true;
	hold(w, 0, 0, 5);
	linked(w, 0, 1);
	o = last_out(&w->node[0], MESH_OUT_READ);
	assert_false(mesh_read_done(w->node[0].mesh, w->now_ms, o->link, o->id,
				    ERR_IO, 0, 0));
	drain(w, &w->node[0]);
	assert_true(has_sent(w, 0, 1, MSG_ERR));
	assert_int_equal(w->node[0].mesh->peers[1]->link->serving, 0);
}

static void acks_kept_back_add_up_to_one(void **state)
{
	struct world *w = *state;
	struct node *b = &w->node[1];
	struct arena a;

	start_all(w);
	linked(w, 0, 1);
	mesh_link_congested(b->mesh, w->now_ms, b->end[0].link, true);
	for (uint64_t size = 1; size <= 3; size++) {
		hold(w, 0, 0, size);
		deliver(w, 0, 1);
	}
	assert_int_equal(b->size[0], 3);
	assert_int_equal(b->end[0].out.n, 0);
	mesh_link_congested(b->mesh, w->now_ms, b->end[0].link, false);
	drain(w, b);
	arena_init(&a, 65536);
	assert_int_equal(sent(w, 1, 0, MSG_ACK, &a).ack.size, 3);
	arena_free(&a);
	assert_int_equal(deliver(w, 1, 0), 1);
}

/* Signing. */

static void signing_waits_for_answers_or_time(void **state)
{
	static const struct {
		bool trusted;
		uint32_t links; /* partners that answer */
		enum mesh_signing before, after; /* 10 s */
	} cases[] = {
		{ true, 0, MESH_SIGNING_WAITING, MESH_SIGNING_ALLOWED },
		{ true, 1, MESH_SIGNING_WAITING, MESH_SIGNING_ALLOWED },
		{ true, 2, MESH_SIGNING_ALLOWED, MESH_SIGNING_ALLOWED },
		{ false, 0, MESH_SIGNING_WAITING, MESH_SIGNING_RECOVERING },
		{ false, 1, MESH_SIGNING_WAITING, MESH_SIGNING_RECOVERING },
		{ false, 2, MESH_SIGNING_ALLOWED, MESH_SIGNING_ALLOWED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		void *one = NULL;
		struct world *w;

		setup(&one);
		w = one;
		mesh_close(w->node[0].mesh);
		open_node(w, 0, cases[i].trusted);
		start_all(w);
		for (uint32_t k = 1; k <= cases[i].links; k++)
			linked(w, 0, k);
		assert_int_equal(mesh_signing(w->node[0].mesh),
				 cases[i].before);
		pass_time(w, MESH_OWN_HEAD_MS);
		assert_int_equal(mesh_signing(w->node[0].mesh), cases[i].after);
		teardown(&one);
	}
}

static void what_partners_hold_beyond_is_fetched_first(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 1, 0, 8);
	w->node[0].lazy = true;
	linked(w, 0, 1);
	linked(w, 0, 2);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_WAITING);
	w->node[0].lazy = false;
	do_apply(w, &w->node[0], last_out(&w->node[0], MESH_OUT_APPLY));
	drain(w, &w->node[0]);
	assert_int_equal(w->node[0].size[0], 8);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_ALLOWED);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_SIGNING)->signing.state,
			 MESH_SIGNING_ALLOWED);
}

static void who_holds_part_of_what_was_lost_has_not_answered(void **state)
{
	struct world *w = *state;
	struct mesh_held part = { .size = 12 };

	mesh_close(w->node[0].mesh);
	open_node(w, 0, false);
	start_all(w);
	hold(w, 0, 0, 8);
	hold(w, 1, 0, 8);
	part.origin = slice_str(w->node[0].origin);
	assert_int_equal(mesh_set_held(w->node[1].mesh, w->now_ms, &part),
			 ERR_OK);
	linked(w, 0, 1);
	linked(w, 0, 2);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_WAITING);
	pass_time(w, MESH_OWN_HEAD_MS);
	assert_int_equal(mesh_signing(w->node[0].mesh),
			 MESH_SIGNING_RECOVERING);
	/* Once we hold as much, it has. */
	hold(w, 2, 0, 12);
	linked(w, 0, 2);
	assert_int_equal(w->node[0].size[0], 12);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_ALLOWED);
}

static void a_larger_own_head_that_turns_up_later_stops_signing(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	pass_time(w, MESH_OWN_HEAD_MS);
	exchange(w, 0, 1);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_ALLOWED);
	hold(w, 2, 0, 8);
	linked(w, 0, 2);
	assert_int_equal(w->node[0].size[0], 8);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_ALLOWED);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_SIGNING), 4);
}

static void who_signs_alone_still_hears_those_who_answer(void **state)
{
	struct world *w = *state;
	struct mesh_options o = { .member = slice_str(w->node[0].name),
				  .origin = slice_str(w->node[0].origin),
				  .sign_alone = true };

	mesh_close(w->node[0].mesh);
	w->node[0].mesh = mesh_open(&o, w->now_ms);
	start_all(w);
	hold(w, 1, 0, 8);
	w->node[0].lazy = true;
	linked(w, 0, 1);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_WAITING);
	pass_time(w, MESH_OWN_HEAD_MS);
	assert_int_equal(mesh_signing(w->node[0].mesh),
			 MESH_SIGNING_RECOVERING);
}

static void the_operator_may_decide(void **state)
{
	struct world *w = *state;
	struct mesh_options o = { .member = SLICE_LIT("a.eu"),
				  .origin = SLICE_LIT("a.eu/symbolon/1"),
				  .sign_alone = true };

	mesh_close(w->node[0].mesh);
	w->node[0].mesh = mesh_open(&o, w->now_ms);
	tell_members(w, 0);
	drain(w, &w->node[0]);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_WAITING);
	pass_time(w, MESH_OWN_HEAD_MS);
	assert_int_equal(mesh_signing(w->node[0].mesh), MESH_SIGNING_ALLOWED);
}

/* Questions. */

static void questions_come_with_who_asks_and_go_back_by_id(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;
	struct arena a;
	struct message m;

	start_all(w);
	linked(w, 0, 1);
	assert_int_equal(
		mesh_ask(w->node[0].mesh, w->now_ms, 1, 77, SLICE_LIT("q")),
		ERR_OK);
	drain(w, &w->node[0]);
	deliver(w, 0, 1);
	o = last_out(&w->node[1], MESH_OUT_ASK);
	assert_true(slice_is(o->ask.asker, "a.eu"));
	mesh_answer(w->node[1].mesh, w->now_ms, o->link, o->id, ERR_OK,
		    SLICE_LIT("yes"));
	drain(w, &w->node[1]);
	arena_init(&a, 4096);
	m = sent(w, 1, 0, MSG_ANSWER, &a);
	assert_true(slice_is(m.answer.answer, "yes"));
	arena_free(&a);
	deliver(w, 1, 0);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_ANSWER)->id, 77);
	/* An answer that nobody waits for is dropped. */
	forget(w);
	inject(w, 1, 0,
	       (struct message){ .type = MSG_ANSWER, .answer = { .id = 1 } });
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER), 0);
}

static void one_question_too_many_is_busy(void **state)
{
	struct world *w = *state;
	struct slice q = SLICE_LIT("q");
	struct mesh *m = w->node[0].mesh;

	start_all(w);
	assert_int_equal(mesh_ask(m, w->now_ms, 1, 1, q), ERR_CLOSED);
	linked(w, 0, 1);
	for (uint64_t i = 0; i < LIMIT_ASKS_LINK; i++)
		assert_int_equal(mesh_ask(m, w->now_ms, 1, i, q), ERR_OK);
	assert_int_equal(mesh_ask(m, w->now_ms, 1, 99, q), ERR_BUSY);
	drain(w, &w->node[0]);
	deliver(w, 0, 1);
	/* And the other side does not rely on it. */
	inject(w, 0, 1, (struct message){ .type = MSG_ASK, .ask = { 500, q } });
	assert_int_equal(count_outs(&w->node[1], MESH_OUT_ASK),
			 LIMIT_ASKS_LINK);
	assert_true(has_sent(w, 1, 0, MSG_ERR));
	/* All come back when the link ends, each once. */
	mesh_link_lost(m, w->now_ms, w->node[0].end[1].link, ERR_CLOSED);
	drain(w, &w->node[0]);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER),
			 LIMIT_ASKS_LINK);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_ANSWER)->answer.code,
			 ERR_CLOSED);
}

static void a_question_without_an_answer_does_not_keep_its_place(void **state)
{
	struct world *w = *state;
	struct slice q = SLICE_LIT("q");
	struct mesh *m = w->node[0].mesh;

	start_all(w);
	linked(w, 0, 1);
	for (uint64_t i = 0; i < LIMIT_ASKS_LINK; i++) {
		assert_int_equal(mesh_ask(m, w->now_ms, 1, i, q), ERR_OK);
		if (i == 0) {
			pass_time(w, MESH_ASK_MS / 3);
			exchange(w, 0, 1);
		}
	}
	assert_int_equal(mesh_ask(m, w->now_ms, 1, 99, q), ERR_BUSY);
	pass_time(w, MESH_ASK_MS / 3);
	exchange(w, 0, 1);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER), 0);
	pass_time(w, MESH_ASK_MS / 3);
	exchange(w, 0, 1);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER), 1);
	assert_int_equal(last_out(&w->node[0], MESH_OUT_ANSWER)->answer.code,
			 ERR_TIMEOUT);
	assert_int_equal(mesh_ask(m, w->now_ms, 1, 99, q), ERR_OK);
	/* What comes too late is dropped. */
	inject(w, 1, 0,
	       (struct message){ .type = MSG_ANSWER, .answer = { .id = 1 } });
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER), 1);
	pass_time(w, MESH_ASK_MS / 3);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ANSWER),
			 LIMIT_ASKS_LINK);
}

static void a_client_may_only_ask(void **state)
{
	struct world *w = *state;
	struct mesh_link_up up = { .tag = (void *)(uintptr_t)1,
				   .member = SLICE_LIT("b.eu") };
	struct message hello = { .type = MSG_HELLO };

	start_all(w);
	w->node[0].end[1].link =
		mesh_link_open(w->node[0].mesh, w->now_ms, &up);
	drain(w, &w->node[0]);
	hello.hello = w->node[1].mesh->hello;
	hello.hello.role = ROLE_CLIENT;
	inject(w, 1, 0, hello);
	assert_false(peer(w, 0, 1).live);
	assert_false(has_sent(w, 0, 1, MSG_HEADS));
	inject(w, 1, 0,
	       (struct message){ .type = MSG_ASK, .ask = { .id = 1 } });
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_ASK), 1);
	assert_false(has_sent(w, 0, 1, MSG_ERR));
	inject(w, 1, 0,
	       (struct message){ .type = MSG_WANT,
				 .want = { SLICE_LIT("a.eu/symbolon/1"), 1, 0,
					   1000000 } });
	assert_true(has_sent(w, 0, 1, MSG_ERR));
	assert_false(w->node[0].end[1].closed);
}

/* Bodies and documents. */

static void bodies_are_asked_of_one_after_the_other(void **state)
{
	struct world *w = *state;
	struct mesh *m = w->node[2].mesh;
	uint64_t seqs[] = { 1, 3 };
	struct arena a;

	start_all(w);
	hold(w, 0, 0, 5);
	linked(w, 0, 2);
	hold(w, 1, 0, 5);
	linked(w, 1, 2);
	assert_int_equal(mesh_want_bodies(m, w->now_ms, 0, seqs, 2), ERR_OK);
	assert_int_equal(mesh_want_bodies(m, w->now_ms, 0, seqs, 2), ERR_BUSY);
	drain(w, &w->node[2]);
	arena_init(&a, 65536);
	assert_int_equal(sent(w, 2, 0, MSG_WANT_BODIES, &a).want_bodies.count,
			 2);
	arena_free(&a);
	deliver(w, 2, 0);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_READ_BODIES), 1);
	/* It has none of them: the next is asked. */
	inject(w, 0, 2,
	       (struct message){ .type = MSG_BODIES,
				 .bodies = { slice_str(w->node[0].origin), 0,
					     NULL, 2, seqs } });
	assert_int_equal(count_outs(&w->node[2], MESH_OUT_BODIES), 1);
	assert_int_equal(mesh_want_bodies(m, w->now_ms, 0, seqs, 2), ERR_OK);
	drain(w, &w->node[2]);
	assert_true(has_sent(w, 2, 1, MSG_WANT_BODIES));
	/* No answer in ten seconds: it may be asked again. */
	pass_time(w, MESH_REQUEST_MS);
	assert_int_not_equal(mesh_want_bodies(m, w->now_ms, 0, seqs, 2),
			     ERR_BUSY);
}

static void bodies_that_do_not_fit_are_left_out(void **state)
{
	static uint8_t large[LIMIT_BODY_BYTES], salt[LIMIT_SALT_BYTES];
	struct world *w = *state;
	struct message_body list[100];
	struct message_bodies b = { .count = 100, .bodies = list };
	uint64_t seqs[] = { 1 };
	struct arena a;

	start_all(w);
	hold(w, 0, 0, 200);
	linked(w, 0, 1);
	inject(w, 1, 0,
	       (struct message){ .type = MSG_WANT_BODIES,
				 .want_bodies = { slice_str(w->node[0].origin),
						  1, seqs } });
	for (uint64_t i = 0; i < 100; i++)
		list[i] =
			(struct message_body){ i, slice_of(salt, sizeof(salt)),
					       slice_of(large, sizeof(large)) };
	b.origin = slice_str(w->node[0].origin);
	mesh_bodies_done(w->node[0].mesh, w->now_ms, w->node[0].end[1].link,
			 &b);
	drain(w, &w->node[0]);
	arena_init(&a, 1u << 20);
	assert_int_equal(sent(w, 0, 1, MSG_BODIES, &a).bodies.count,
			 LIMIT_CHUNK_BYTES / LIMIT_BODY_BYTES);
	arena_free(&a);
}

static void a_newer_roster_is_asked_for_and_a_bad_one_only_once(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;

	start_all(w);
	w->node[1].mesh->hello.roster_version = 3;
	link_up(w, 0, 1);
	deliver(w, 1, 0);
	assert_true(has_sent(w, 0, 1, MSG_WANT_DOC));
	inject(w, 1, 0,
	       (struct message){ .type = MSG_DOC,
				 .doc = { DOC_ROSTER,
					  { NULL, 0 },
					  2,
					  SLICE_LIT("note") } });
	o = last_out(&w->node[0], MESH_OUT_DOC);
	buf_reset(&w->node[0].end[1].out);
	mesh_doc_checked(w->node[0].mesh, w->now_ms, o->link, o->id,
			 ERR_INVALID);
	drain(w, &w->node[0]);
	assert_int_equal(peer(w, 0, 1).refused, ERR_INVALID);
	assert_false(has_sent(w, 0, 1, MSG_WANT_DOC));
}

static void a_card_that_the_other_has_not_is_not_asked_again(void **state)
{
	struct world *w = *state;

	w->cards[2].member = slice_of(NULL, 0); /* nobody's: C has no card */
	start_all(w);
	link_up(w, 0, 1);
	deliver(w, 1, 0);
	assert_true(has_sent(w, 0, 1, MSG_WANT_DOC));
	deliver(w, 0, 1);
	assert_int_equal(count_outs(&w->node[1], MESH_OUT_READ_DOC), 1);
	/* A second request before the first is answered. */
	inject(w, 0, 1,
	       (struct message){ .type = MSG_WANT_DOC,
				 .want_doc = { DOC_ROSTER, { NULL, 0 }, 1 } });
	assert_int_equal(count_outs(&w->node[1], MESH_OUT_READ_DOC), 1);
	mesh_doc_done(w->node[1].mesh, w->now_ms, w->node[1].end[0].link, NULL);
	drain(w, &w->node[1]);
	deliver(w, 1, 0);
	assert_false(has_sent(w, 0, 1, MSG_WANT_DOC));
	pass_time(w, 2 * MESH_REQUEST_MS);
	assert_false(has_sent(w, 0, 1, MSG_WANT_DOC));
}

static void a_document_that_does_not_come_is_given_up(void **state)
{
	struct world *w = *state;

	start_all(w);
	w->node[1].mesh->hello.roster_version = 3;
	link_up(w, 0, 1);
	deliver(w, 1, 0);
	assert_int_not_equal(w->node[0].mesh->peers[1]->link->doc_id, 0);
	pass_time(w, MESH_REQUEST_MS);
	assert_int_equal(w->node[0].mesh->peers[1]->link->doc_id, 0);
}

static void documents_are_told_when_they_change(void **state)
{
	struct world *w = *state;
	struct arena a;

	start_all(w);
	linked(w, 0, 1);
	w->cards[0].version = 2;
	tell_members(w, 0);
	drain(w, &w->node[0]);
	arena_init(&a, 1u << 20);
	assert_int_equal(sent(w, 0, 1, MSG_HEADS, &a).heads.doc_count, 4);
	arena_free(&a);
}

static void a_document_that_was_not_asked_for_is_dropped(void **state)
{
	struct world *w = *state;

	start_all(w);
	linked(w, 0, 1);
	inject(w, 1, 0,
	       (struct message){ .type = MSG_DOC,
				 .doc = { DOC_ROSTER,
					  { NULL, 0 },
					  2,
					  SLICE_LIT("note") } });
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_DOC), 0);
}

/* Forks. */

static void evidence_that_proves_nothing_is_a_refusal(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_FORK };
	struct buf note;

	start_all(w);
	linked(w, 0, 1);
	note_of(&w->node[2], 5, &note);
	m.fork.origin = slice_str(w->node[2].origin);
	m.fork.note_a = buf_slice(&note);
	m.fork.note_b = buf_slice(&note);
	inject(w, 1, 0, m);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_FORK), 0);
	assert_int_not_equal(peer(w, 0, 1).refused, ERR_OK);
	assert_false(w->node[0].mesh->logs[2]->r.frozen);
	buf_free(&note);
}

/* Two heads of C's log, and the proof that they conflict. */
static void fork_of_c(struct world *w, struct buf *a, struct buf *b,
		      struct digest leaf[2], struct message_fork *f)
{
	struct head one = { 1, { { 7 } } }, two = { .size = 2 };
	struct node *c = &w->node[2];

	leaf[0] = hash_leaf(SLICE_LIT("x"));
	leaf[1] = hash_leaf(SLICE_LIT("y"));
	two.root = hash_node(&leaf[0], &leaf[1]);
	buf_init(a, LIMIT_NOTE_BYTES);
	buf_init(b, LIMIT_NOTE_BYTES);
	log_sign_head(slice_str(c->origin), &one, &c->log.key, c->log.secret,
		      a);
	log_sign_head(slice_str(c->origin), &two, &c->log.key, c->log.secret,
		      b);
	*f = (struct message_fork){ slice_str(c->origin),
				    buf_slice(a),
				    buf_slice(b),
				    1,
				    1,
				    &leaf[0],
				    &leaf[1] };
}

static void evidence_freezes_and_goes_to_everybody_once(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_FORK };
	struct digest leaf[2];
	struct buf a, b;

	start_all(w);
	linked(w, 0, 1);
	fork_of_c(w, &a, &b, leaf, &m.fork);
	inject(w, 1, 0, m);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_FORK), 1);
	assert_true(w->node[0].mesh->logs[2]->r.frozen);
	assert_true(has_sent(w, 0, 1, MSG_FORK));
	buf_reset(&w->node[0].end[1].out);
	inject(w, 1, 0, m);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_FORK), 1);
	assert_false(has_sent(w, 0, 1, MSG_FORK));
	/* Who comes later hears of it as well. */
	link_up(w, 0, 2);
	deliver(w, 2, 0);
	assert_true(has_sent(w, 0, 2, MSG_FORK));
	buf_free(&a);
	buf_free(&b);
}

static void stored_evidence_is_taken_at_the_start(void **state)
{
	struct world *w = *state;
	struct message_fork f;
	struct digest leaf[2];
	struct buf a, b;

	start_all(w);
	fork_of_c(w, &a, &b, leaf, &f);
	assert_int_equal(mesh_set_fork(w->node[0].mesh, w->now_ms, &f),
			 ERR_FORK);
	assert_int_equal(mesh_set_fork(w->node[0].mesh, w->now_ms, &f),
			 ERR_EXISTS);
	drain(w, &w->node[0]);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_FORK), 0);
	f.origin = SLICE_LIT("x.eu/symbolon/1");
	assert_int_equal(mesh_set_fork(w->node[0].mesh, w->now_ms, &f),
			 ERR_NOT_FOUND);
	buf_free(&a);
	buf_free(&b);
}

static void a_head_found_elsewhere_in_the_tree_is_kept(void **state)
{
	struct world *w = *state;
	const struct mesh_out *o;

	start_all(w);
	hold(w, 0, 2, 9);
	hold(w, 1, 2, 4);
	linked(w, 0, 1);
	o = last_out(&w->node[0], MESH_OUT_CHECK);
	assert_int_equal(o->check.head.size, 4);
	mesh_checked(w->node[0].mesh, w->now_ms, o->log, o->id, ERR_OK, NULL);
	assert_int_equal(w->node[0].mesh->logs[2]->r.checks[0].id, 0);
	/* Told again, it is known. */
	forget(w);
	linked(w, 0, 1);
	assert_int_equal(count_outs(&w->node[0], MESH_OUT_CHECK), 0);
}

/* Time. */

static void an_idle_mesh_sleeps(void **state)
{
	struct world *w = *state;

	start_all(w);
	hold(w, 0, 0, 5);
	linked(w, 0, 1);
	linked(w, 0, 2);
	linked(w, 1, 2);
	pass_time(w, 2000);
	for (uint32_t i = 0; i < NODES; i++) {
		for (uint32_t k = 0; k < NODES; k++)
			exchange(w, i, k);
	}
	pass_time(w, 1000);
	for (uint32_t i = 0; i < NODES; i++) {
		uint64_t at = mesh_deadline(w->node[i].mesh);

		assert_true(at > w->now_ms + 1000);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_other_member_is_dialled),
		TEST(pauses_double_up_to_a_minute),
		TEST(only_an_accepted_hello_ends_the_back_off),
		TEST(who_is_live_is_not_dialled),
		TEST(peer_test_dials_at_once),
		TEST(both_sides_keep_the_link_that_the_smaller_name_dialled),
		TEST(a_second_link_from_the_same_side_replaces_the_first),
		TEST(another_alliance_is_refused_and_both_sides_know),
		TEST(who_is_no_member_is_told_so),
		TEST(one_member_does_not_use_up_all_links),
		TEST(there_are_no_links_before_there_are_members),
		TEST(a_removed_member_is_closed_at_once),
		TEST(heads_beyond_the_final_one_are_not_wanted),
		TEST(silence_is_asked_about_and_ends_the_link),
		TEST(shutdown_says_goodbye),
		TEST(a_large_log_flows_without_a_pause),
		TEST(what_is_new_is_pushed_to_a_follower),
		TEST(a_relay_waits_a_second_and_tells_only_who_lacks_it),
		TEST(a_stalled_source_is_left_for_another),
		TEST(a_chunk_that_does_not_fold_is_charged),
		TEST(a_bad_source_is_asked_again_after_a_pause),
		TEST(an_own_full_disk_is_nobodys_fault),
		TEST(more_than_was_granted_ends_the_link),
		TEST(a_note_that_does_not_verify_is_a_refusal),
		TEST(too_much_that_does_not_verify_ends_the_link),
		TEST(a_congested_link_is_served_later),
		TEST(one_read_at_a_time_on_a_link),
		TEST(a_read_for_a_job_that_is_gone_is_not_sent),
		TEST(a_job_number_used_again_does_not_take_an_old_read),
		TEST(a_fault_in_one_part_of_heads_is_no_answer),
		TEST(acks_go_to_the_owner_and_to_the_source),
		TEST(a_cosignature_is_counted_and_stored),
		TEST(a_cosignature_of_another_text_does_not_count),
		TEST(a_cosignature_made_later_is_sent_to_the_owner),
		TEST(a_copy_is_fresh_when_its_owner_says_so),
		TEST(one_relay_serves_many_logs_in_turn),
		TEST(one_job_too_many_is_busy),
		TEST(chunks_that_nobody_stores_are_not_piled_up),
		TEST(a_read_that_fails_ends_the_job),
		TEST(acks_kept_back_add_up_to_one),
		TEST(signing_waits_for_answers_or_time),
		TEST(what_partners_hold_beyond_is_fetched_first),
		TEST(who_holds_part_of_what_was_lost_has_not_answered),
		TEST(a_larger_own_head_that_turns_up_later_stops_signing),
		TEST(who_signs_alone_still_hears_those_who_answer),
		TEST(the_operator_may_decide),
		TEST(questions_come_with_who_asks_and_go_back_by_id),
		TEST(one_question_too_many_is_busy),
		TEST(a_question_without_an_answer_does_not_keep_its_place),
		TEST(a_client_may_only_ask),
		TEST(bodies_are_asked_of_one_after_the_other),
		TEST(bodies_that_do_not_fit_are_left_out),
		TEST(a_newer_roster_is_asked_for_and_a_bad_one_only_once),
		TEST(a_card_that_the_other_has_not_is_not_asked_again),
		TEST(a_document_that_does_not_come_is_given_up),
		TEST(documents_are_told_when_they_change),
		TEST(a_document_that_was_not_asked_for_is_dropped),
		TEST(evidence_that_proves_nothing_is_a_refusal),
		TEST(evidence_freezes_and_goes_to_everybody_once),
		TEST(stored_evidence_is_taken_at_the_start),
		TEST(a_head_found_elsewhere_in_the_tree_is_kept),
		TEST(an_idle_mesh_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
