/* card: the member's newest signed card, to hand to the others. */

#include "node/cmds.h"

static void put_key_line(struct buf *b, const struct note_key *k)
{
	buf_put_str(b, k->name);
	buf_put_str(b, "\n  ");
	note_key_fingerprint(k, b);
}

static void show(struct cmd *c, struct slice note, const struct keys *keys)
{
	struct buf b;
	buf_init(&b, LIMIT_NOTE_BYTES * 2);
	if (c->json) {
		struct arena a;
		struct buf g, w;
		arena_init(&a, 1u << 20);
		buf_init(&g, 256);
		buf_init(&w, 256);
		note_key_fingerprint(&keys->governance.key, &g);
		note_key_fingerprint(&keys->witness.key, &w);
		struct value doc = cmd_map(&a, 5);
		cmd_set(&doc, "v", value_uint(1));
		cmd_set(&doc, "member",
			value_str(slice_str(c->home->config.member)));
		cmd_set(&doc, "card", value_str(note));
		cmd_set(&doc, "governance", value_str(buf_slice(&g)));
		cmd_set(&doc, "witness", value_str(buf_slice(&w)));
		cmd_out_json(c, &doc);
		buf_free(&g);
		buf_free(&w);
		arena_free(&a);
	} else {
		cmd_out_slice(c, note);
		put_key_line(&b, &keys->governance.key);
		cmd_msg(c,
			"read this fingerprint to the others, by telephone "
			"or in person:\n%.*s",
			(int)b.n, (const char *)b.p);
	}
	buf_free(&b);
}

int cmd_card(struct cmd *c)
{
	if (!cmd_operands(c, 0, 0))
		return EXIT_USAGE;
	struct store_txn *t = NULL;
	struct slice note = { 0 };
	enum err e = store_read(c->home->store, &t);
	if (!e)
		e = store_doc_get(t, "card", slice_str(c->home->config.member),
				  0, &note);
	if (!e)
		show(c, note, &c->home->keys);
	else
		cmd_msg(c, "the member's card cannot be read: %s", err_text(e));
	store_abort(t);
	return cmd_exit(e);
}
