#include "log.h"

#include <string.h>

#include "text.h"

#define COSIGN_PAUSE_MS 100u /* at most one in this time */
#define COSIGN_IDLE_MS (600u * 1000u) /* again, though nothing changed */

static const char infix[] = "/symbolon/";

void log_origin_put(struct slice member, uint64_t generation, struct buf *out)
{
	buf_put(out, member);
	buf_put_str(out, infix);
	buf_put_dec(out, generation);
}

enum err log_origin_parse(struct slice origin, struct slice *member,
			  uint64_t *generation)
{
	struct slice rest;
	struct slice lead = slice_str(infix);

	if (origin.n > LIMIT_ORIGIN_BYTES ||
	    !slice_cut(origin, '/', member, &rest) || !text_is_domain(*member))
		return ERR_MALFORMED;
	rest = slice_sub(origin, member->n, origin.n - member->n);
	if (!slice_starts(rest, lead) ||
	    !text_parse_u64(slice_sub(rest, lead.n, rest.n - lead.n),
			    generation) ||
	    *generation == 0)
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err log_verify_head(struct slice raw_note, const struct descriptor *d,
			 struct slice origin, struct arena *a,
			 struct note *note, struct head *head)
{
	const struct note_key *key;
	struct checkpoint c;
	enum err err = note_parse(raw_note, a, note);

	if (err == ERR_OK)
		err = checkpoint_parse(note->text, &c);
	if (err != ERR_OK)
		return err;
	if (!slice_equal(c.origin, origin))
		return ERR_CONFLICT;
	key = descriptor_log_key(d, origin, c.head.size);
	if (key == NULL)
		return ERR_DENIED;
	if (note_verify(note, key, NULL) != ERR_OK)
		return ERR_INVALID;
	*head = c.head;
	return ERR_OK;
}

/* The text of a checkpoint, into a buffer of its own. */
static void put_text(struct slice origin, const struct head *head,
		     struct buf *out)
{
	struct checkpoint c = { origin, *head };

	buf_init(out, LIMIT_NOTE_BYTES);
	checkpoint_put(&c, out);
	assert(out->err == ERR_OK);
}

void log_sign_head(struct slice origin, const struct head *head,
		   const struct note_key *key,
		   const uint8_t secret[SIG_SECRET_BYTES], struct buf *out)
{
	struct buf text;

	put_text(origin, head, &text);
	buf_put(out, buf_slice(&text));
	buf_put_u8(out, '\n');
	note_sign(key, secret, buf_slice(&text), 0, out);
	buf_free(&text);
}

void log_cosign(struct slice origin, const struct head *head,
		const struct note_key *witness,
		const uint8_t secret[SIG_SECRET_BYTES], uint64_t unix_seconds,
		struct buf *out)
{
	struct buf text;

	assert(witness->type == NOTE_COSIGNATURE);
	put_text(origin, head, &text);
	note_sign(witness, secret, buf_slice(&text), unix_seconds, out);
	buf_free(&text);
}

bool log_may_cosign(const struct cosign_state *last, const struct head *head,
		    uint64_t now_ms)
{
	/* A clock that was set back must not silence a witness until it has
	 * caught up: the pauses are about load, the sizes about truth. */
	uint64_t elapsed_ms =
		now_ms >= last->at_ms ? now_ms - last->at_ms : UINT64_MAX;

	if (last->at_ms == 0)
		return true;
	if (head->size > last->head.size)
		return elapsed_ms >= COSIGN_PAUSE_MS;
	return head_equal(head, &last->head) && elapsed_ms >= COSIGN_IDLE_MS;
}
