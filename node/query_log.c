#include "node/query_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "proto/dec.h"

/* ---- Which logs there are --------------------------------------------- */

enum err logs_update(struct query *q)
{
	uint32_t count = store_log_count(q->txn);
	struct slice origin;
	struct query_log *l;
	enum err e;

	if (count <= q->log_count)
		return ERR_OK;
	q->logs = xrealloc(q->logs, count * sizeof(*q->logs));
	for (; q->log_count < count; q->log_count++) {
		e = store_log_origin(q->txn, q->log_count, &origin);
		if (e != ERR_OK)
			return e;
		l = &q->logs[q->log_count];
		memset(l, 0, sizeof(*l));
		buf_init(&l->names,
			 LIMIT_SOURCE_NAMES * (LIMIT_DOMAIN_BYTES + 1));
		l->origin_text = xstrndup(origin);
		l->origin = slice_str(l->origin_text);
		l->indexed_size = UINT64_MAX;
		if (log_origin_parse(l->origin, &l->member, &l->generation) !=
		    ERR_OK)
			l->member = slice_of(NULL, 0);
	}
	return ERR_OK;
}

void logs_free(struct query *q)
{
	for (uint32_t i = 0; i < q->log_count; i++) {
		free(q->logs[i].origin_text);
		free(q->logs[i].policies.seq);
		buf_free(&q->logs[i].names);
	}
	free(q->logs);
}

bool log_of_member(const struct query *q, struct slice member, uint32_t *log)
{
	bool found = false;

	if (member.n == 0)
		return false;
	for (uint32_t i = 0; i < q->log_count; i++) {
		const struct query_log *l = &q->logs[i];

		if (!slice_equal(l->member, member) ||
		    (found && l->generation < q->logs[*log].generation))
			continue;
		*log = i;
		found = true;
	}
	return found;
}

/* ---- What is in them -------------------------------------------------- */

/* Append a name, kept in l->names, whose memory must not move. */
static void add_domain(struct query_log *l, struct slice domain)
{
	size_t at = l->names.n;

	for (uint32_t i = 0; i < l->domain_count; i++) {
		if (slice_equal(l->domains[i], domain))
			return;
	}
	if (l->domain_count == LIMIT_SOURCE_NAMES ||
	    domain.n > l->names.cap - l->names.n)
		return;
	buf_put(&l->names, domain);
	l->domains[l->domain_count++] = slice_of(l->names.p + at, domain.n);
}

static void read_institution(struct query_log *l, struct slice body)
{
	struct slice country = dec_find_str(body, "country");
	struct slice list;
	struct dec d;

	if (country.n == 2)
		memcpy(l->country, country.p, 2);
	if (!dec_find(body, "domains", &list))
		return;
	dec_init(&d, list);
	for (uint32_t n = dec_array(&d); n > 0 && d.err == ERR_OK; n--)
		add_domain(l, dec_str(&d));
}

/* The newest record of the institution about itself, by its own member. */
static enum err find_institution(struct query *q, uint32_t log)
{
	struct query_log *l = &q->logs[log];
	struct query_record r;
	enum err e;

	l->has_institution = false;
	l->domain_count = 0;
	memset(l->country, 0, sizeof(l->country));
	buf_reset(&l->names);
	if (l->names.p == NULL) { /* all the room at once: see add_domain */
		buf_extend(&l->names, l->names.max);
		buf_reset(&l->names);
	}
	add_domain(l, l->member);
	e = record_newest(q, log, KIND_INSTITUTION, l->member, &r);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (e != ERR_OK || slice_is(dec_find_str(r.body, "state"), "withdrawn"))
		return e;
	l->has_institution = true;
	l->institution = r.seq;
	read_institution(l, r.body);
	return ERR_OK;
}

static enum err find_policies(struct query *q, uint32_t log)
{
	struct query_log *l = &q->logs[log];
	struct places p;
	enum err e = places_find(q, STORE_BY_REF, log, SLICE_LIT("kind/policy"),
				 QUERY_POLICIES, &p);

	if (e != ERR_OK)
		return e;
	l->policies.count = p.count;
	l->policies.more = p.more;
	l->policies.seq = xrealloc(l->policies.seq, p.count * sizeof(*p.seq));
	if (p.count > 0)
		memcpy(l->policies.seq, p.seq, p.count * sizeof(*p.seq));
	return ERR_OK;
}

/* The rare records that every question about the log's member needs. */
static enum err index_log(struct query *q, uint32_t log)
{
	struct query_log *l = &q->logs[log];
	struct slice asker = q->asker;
	enum err e;

	if (l->indexed_size == l->size)
		return ERR_OK;
	q->asker = q->own; /* what this node knows, whoever asks */
	e = find_institution(q, log);
	if (e == ERR_OK)
		e = find_policies(q, log);
	q->asker = asker;
	if (e == ERR_OK)
		l->indexed_size = l->size;
	return e;
}

/* The store keeps the time once a minute; a running node knows it now. */
static uint64_t newest_heard(const struct query *q, uint32_t log,
			     uint64_t stored)
{
	uint64_t live = 0;

	if (q->home->heard_ms != NULL && log < LIMIT_LOGS)
		live = atomic_load_explicit(&q->home->heard_ms[log],
					    memory_order_relaxed);
	return live > stored ? live : stored;
}

struct query_log *log_use(struct query *q, uint32_t log, enum err *e)
{
	struct query_log *l = &q->logs[log];
	struct store_head head;

	if (l->batch == q->batch)
		return l;
	*e = store_head_get(q->txn, log, &head);
	if (*e != ERR_OK)
		return NULL;
	l->size = head.frontier.size;
	l->heard_ms = newest_heard(q, log, head.heard_ms);
	l->complete = head.missing == 0 && !head.frozen &&
		      head.frontier.size == head.noted.size;
	l->member_kinds = head.member_kinds;
	l->closed_kinds = head.closed_kinds;
	*e = index_log(q, log);
	if (*e != ERR_OK)
		return NULL;
	l->batch = q->batch;
	return l;
}
