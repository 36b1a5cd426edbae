/* Frames: what is accepted is written back in the same bytes; entries are
 * walked through; a stream is split like a link does it. */

#include <assert.h>
#include <string.h>

#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_entries(const struct message_chunk *c, struct arena *a)
{
	struct record *records;

	assert(message_records(c, a, &records) == ERR_OK);
	for (uint32_t i = 0; i < c->count; i++)
		assert(records[i].leaf.n > 0 &&
		       (records[i].body.n > 0) == (records[i].salt.n > 0));
}

static void read_frame(struct slice frame)
{
	struct message m;
	struct arena a;
	const char *why;
	struct buf out;

	arena_init(&a, 16u << 20);
	if (message_decode(frame, &a, &m, &why) != ERR_OK) {
		assert(why != NULL);
		arena_free(&a);
		return;
	}
	if (m.type == MSG_CHUNK)
		read_entries(&m.chunk, &a);
	buf_init(&out, LIMIT_FRAME_BYTES + MESSAGE_PREFIX_BYTES);
	message_put(&m, &out);
	assert(out.err == ERR_OK && out.n <= MESSAGE_PREFIX_BYTES + frame.n);
	/* Codes of the future lose their number, which may have been longer;
	 * nothing else changes. */
	if (m.type != MSG_BYE && m.type != MSG_ERR && m.type != MSG_ANSWER)
		assert(out.n == MESSAGE_PREFIX_BYTES + frame.n &&
		       memcmp(out.p + MESSAGE_PREFIX_BYTES, frame.p, frame.n) ==
			       0);
	buf_free(&out);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size), rest = in, frame;
	struct record r;

	if (size > LIMIT_FRAME_BYTES)
		return 0;
	read_frame(in);
	while (frame_split(&rest, LIMIT_FRAME_NEW_BYTES, &frame) == ERR_OK)
		read_frame(frame);
	while (message_next_entry(&in, &r) == ERR_OK)
		assert(r.leaf.n <= LIMIT_LEAF_BYTES);
	return 0;
}
