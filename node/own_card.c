#include "node/own_card.h"

#include <string.h>

#include "node/disk.h"

static struct slice text_or_empty(const char *s)
{
	return s == NULL ? slice_of(NULL, 0) : slice_str(s);
}

static void differ(struct buf *why, const char *what)
{
	say(why, "%s%s", why->n > 0 ? ", " : "", what);
}

/* What the card should say; *same when it says so already. */
static struct descriptor wanted(const struct home *h,
				const struct descriptor *now, struct buf *why)
{
	struct descriptor d = *now;

	d.name = text_or_empty(h->config.name);
	d.country = text_or_empty(h->config.country);
	d.contact = text_or_empty(h->config.contact);
	d.endpoint_count = 1;
	d.endpoints[0] = text_or_empty(h->config.endpoint);
	if (!descriptor_has_pin(now, &h->keys.tls_spki)) {
		d.pin_count = 1;
		d.pins[0] = h->keys.tls_spki;
		differ(why, "the TLS key");
	}
	if (now->endpoint_count != 1 ||
	    !slice_equal(now->endpoints[0], d.endpoints[0]))
		differ(why, "the endpoint");
	if (!slice_equal(now->name, d.name) ||
	    !slice_equal(now->country, d.country) ||
	    !slice_equal(now->contact, d.contact))
		differ(why, "name, country or contact");
	return d;
}

struct put_card {
	struct writer_job job;
	struct buf note;
	const char *why;
};

static enum err put_card(struct writer_job *job, struct writer_txn *t)
{
	struct put_card *p = (struct put_card *)job;

	return writer_put_card(t, buf_slice(&p->note), &p->why);
}

static enum err sign(const struct home *h, struct descriptor *d,
		     struct buf *why)
{
	struct put_card p = { .job = { .records = 1, .apply = put_card },
			      .why = "" };
	struct buf text;
	enum err err;

	d->version++;
	buf_init(&text, LIMIT_NOTE_BYTES);
	buf_init(&p.note, LIMIT_NOTE_BYTES);
	descriptor_put(d, &text);
	buf_put(&p.note, buf_slice(&text));
	buf_put_u8(&p.note, '\n');
	note_sign(&h->keys.governance.key, h->keys.governance.secret,
		  buf_slice(&text), 0, &p.note);
	err = p.note.err != ERR_OK ? p.note.err : writer_run(h->writer, &p.job);
	if (err != ERR_OK)
		say(why, "%sa new card was not accepted: %s",
		    why->n > 0 ? "; " : "",
		    p.why[0] != '\0' ? p.why : err_text(err));
	buf_free(&text);
	buf_free(&p.note);
	return err;
}

enum err own_card_make(const struct home *h, struct buf *why)
{
	struct descriptor_log log = { .origin = slice_str(h->origin),
				      .key = h->keys.log.key,
				      .to = UINT64_MAX };
	struct descriptor d = {
		.member = slice_str(h->config.member),
		.name = slice_str(h->config.name),
		.country = slice_str(h->config.country),
		.contact = text_or_empty(h->config.contact),
		.log_count = 1,
		.pin_count = 1,
		.endpoint_count = 1,
		.logs = &log,
		.witness = h->keys.witness.key,
		.pins = { h->keys.tls_spki },
		.endpoints = { slice_str(h->config.endpoint) },
		.governance = h->keys.governance.key,
	};

	return sign(h, &d, why);
}

enum err own_card_check(const struct home *h, bool *changed, struct buf *why)
{
	struct members *m = members_hold(h->members);
	const struct descriptor *now =
		members_card(m, slice_str(h->config.member));
	struct descriptor d;
	enum err err = now == NULL ? ERR_NOT_FOUND : ERR_OK;

	*changed = false;
	if (now != NULL) {
		d = wanted(h, now, why);
		d.prev = now->hash;
	}
	if (err == ERR_OK && why->n > 0 && !h->keys.has_governance)
		err = ERR_DENIED;
	else if (err == ERR_OK && why->n > 0)
		*changed = (err = sign(h, &d, why)) == ERR_OK;
	members_release(m);
	return err;
}
