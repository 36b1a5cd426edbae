/* Notes, checkpoints and vkeys: what is accepted has one form. */

#include "proto/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Writing the parsed note again gives the same bytes. */
static void check_note(const struct note *note, struct slice raw)
{
	struct buf again;

	buf_init(&again, raw.n);
	buf_put(&again, note->text);
	buf_put_u8(&again, '\n');
	for (uint32_t i = 0; i < note->sig_count; i++)
		note_put_sig(&note->sigs[i], &again);
	assert(again.err == ERR_OK && slice_equal(buf_slice(&again), raw));
	buf_free(&again);
}

static void check_checkpoint(struct slice text)
{
	struct checkpoint c;
	struct buf again;

	if (checkpoint_parse(text, &c) != ERR_OK)
		return;
	buf_init(&again, text.n);
	checkpoint_put(&c, &again);
	assert(slice_equal(buf_slice(&again), text));
	buf_free(&again);
}

/* The key of @vkey, if it is one, has no signature on a stranger's note. */
static void check_key(struct slice vkey, const struct note *note)
{
	struct note_key k;
	struct buf again;

	if (note_key_parse(vkey, &k) != ERR_OK)
		return;
	buf_init(&again, vkey.n);
	note_key_put(&k, &again);
	assert(slice_equal(buf_slice(&again), vkey));
	buf_free(&again);
	(void)note_verify(note, &k, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice raw = slice_of(p, n), line, rest;
	struct arena a;
	struct note note;

	arena_init(&a, 1u << 20);
	if (note_parse(raw, &a, &note) == ERR_OK) {
		check_note(&note, raw);
		check_checkpoint(note.text);
		/* Lines of the text serve as keys. */
		for (rest = note.text; rest.n > 0;) {
			(void)slice_cut(rest, '\n', &line, &rest);
			check_key(line, &note);
		}
	}
	arena_free(&a);
	check_checkpoint(raw);
	return 0;
}
