/* A relay that lies about other members' logs in all the ways we know. It
 * cannot sign, so it can only delay. */

#include <string.h>

#include "sim_state.h"

/* The entries of a chunk, rearranged: one left out, two exchanged, a foreign
 * leaf, or bodies withheld. */
static void spoil_entries(struct sim *s, struct message_chunk *c,
			  struct buf *out)
{
	uint64_t how = sim_random(s, 4), at = sim_random(s, c->count);
	struct slice rest = c->entries;
	struct record r, first = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	uint8_t leaf[LIMIT_LEAF_BYTES];

	for (uint32_t i = 0; i < c->count; i++) {
		if (message_next_entry(&rest, &r) != ERR_OK)
			return;
		if (how == 0 && i == at && c->count > 1)
			continue;
		if (how == 1 && i == 0 && c->count > 1) {
			first = r;
			continue;
		}
		if (how == 2 && i == at) {
			memcpy(leaf, r.leaf.p, r.leaf.n);
			leaf[r.leaf.n - 1] ^= 1;
			r.leaf.p = leaf;
		}
		if (how == 3)
			r.body = r.salt = slice_of(NULL, 0);
		message_put_entry(&r, out);
	}
	if (first.leaf.n > 0)
		message_put_entry(&first, out);
	if (how == 0 && c->count > 1)
		c->count--;
	c->entries = buf_slice(out);
}

static void lie_chunk(struct sim *s, struct sim_node *n, struct message *m,
		      struct buf *frame)
{
	struct digest right[LIMIT_COVER_HASHES];
	struct buf entries, old = n->replay;

	buf_init(&entries, LIMIT_CHUNK_BYTES);
	switch (sim_random(s, 6)) {
	case 0: /* the truth */
		break;
	case 1: /* nothing at all */
		buf_reset(frame);
		break;
	case 2: /* one from before */
		if (old.n > 0) {
			n->replay = *frame;
			*frame = old;
			frame->max = 2 * LIMIT_FRAME_BYTES;
		}
		break;
	case 3: /* a wrong right range */
		if (m->chunk.right_count == 0)
			break;
		memcpy(right, m->chunk.right,
		       m->chunk.right_count * sizeof(*right));
		right[0].b[7] ^= 0x10;
		m->chunk.right = right;
		n->replay = *frame;
		buf_init(frame, 2 * LIMIT_FRAME_BYTES);
		message_put(m, frame);
		buf_free(&old);
		break;
	default:
		spoil_entries(s, &m->chunk, &entries);
		n->replay = *frame;
		buf_init(frame, 2 * LIMIT_FRAME_BYTES);
		message_put(m, frame);
		buf_free(&old);
		break;
	}
	buf_free(&entries);
}

void sim_lie(struct sim *s, struct sim_node *n, struct buf *frame)
{
	struct slice body = slice_sub(buf_slice(frame), MESSAGE_PREFIX_BYTES,
				      frame->n - MESSAGE_PREFIX_BYTES);
	struct message m;
	struct arena a;

	if (s->truth)
		return;
	arena_init(&a, 4u << 20);
	if (message_decode(body, &a, &m, NULL) == ERR_OK) {
		if (m.type == MSG_CHUNK &&
		    !slice_is(m.chunk.origin, n->disk.logs[n->index].origin))
			lie_chunk(s, n, &m, frame);
		else if (m.type == MSG_HEADS && sim_random(s, 4) == 0 &&
			 m.heads.part == HEADS_CHANGE &&
			 m.heads.log_count > 0 && m.heads.logs[0].note.n > 0)
			/* A signature that does not verify. */
			frame->p[frame->n / 2] ^= 1;
		else if (m.type == MSG_WANT && sim_random(s, 16) == 0)
			buf_reset(frame);
	}
	arena_free(&a);
}
