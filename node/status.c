#include "node/status.h"

#include <stdio.h>
#include <string.h>

#include "node/report.h"
#include "proto/log.h"

#define ARENA_BYTES (16u << 20)
#define MAP_FULL_PERCENT 80u
#define HEALTH_LINES (4u * LIMIT_MEMBERS + 2u * LIMIT_LOGS + 32u)

/* What is being put together. */
struct report {
	const struct status_source *s;
	struct arena arena;
	struct members *members; /* held */
	struct store_txn *txn;
	struct value doc, health, logs, peers, refused;
	enum err err;
};

static void add_health(struct report *r, enum health h, struct slice subject,
		       const char *text)
{
	const struct health_entry *e = health_entry(h);
	struct arena *a = &r->arena;
	struct value v;

	if (r->health.count >= HEALTH_LINES)
		return;
	v = report_map(a, 5);
	report_set(&v, "code", report_cstr(a, e->code));
	report_set(&v, "severity",
		   report_cstr(a, health_severity(e->severity)));
	report_set(&v, "subject", report_text(a, subject));
	report_set(&v, "text",
		   report_cstr(a, text != NULL && text[0] != '\0' ? text
								  : e->what));
	report_set(&v, "cure", report_cstr(a, e->cure));
	report_add(&r->health, v);
}

static struct slice own_name(const struct report *r)
{
	return slice_str(r->s->home->config.member);
}

/* ---- logs -------------------------------------------------------------------- */

static uint32_t count_cosignatures(struct slice raw)
{
	struct note note;
	struct arena a;
	uint32_t n = 0;

	arena_init(&a, 4 * LIMIT_NOTE_BYTES);
	if (raw.n > 0 && note_parse(raw, &a, &note) == ERR_OK)
		n = note.sig_count - 1; /* one is the log's own */
	arena_free(&a);
	return n;
}

static const char *why_needed(const struct report *r, uint32_t log,
			      const struct mesh_log_info *info, char *text,
			      size_t n)
{
	const struct mesh *m = peers_mesh(r->s->peers);
	struct mesh_peer_info peer;

	(void)log;
	if (info->frozen)
		return "two histories: frozen";
	if (info->source != UINT32_MAX) {
		mesh_peer_info(m, info->source, &peer);
		(void)snprintf(text, n, "coming from %.*s", (int)peer.name.n,
			       (const char *)peer.name.p);
		return text;
	}
	return "nobody who is connected has them";
}

/* What only the running node knows of a log. */
static void put_live_log(struct report *r, struct value *v, uint32_t log,
			 struct slice member)
{
	struct mesh_log_info info;
	uint64_t heard, since, needed;
	char text[LIMIT_DOMAIN_BYTES + 32];
	const char *why = "";

	mesh_log_info(peers_mesh(r->s->peers), log, &info);
	needed = info.told > info.size ? info.told - info.size : 0;
	report_set(v, "needed", value_uint(needed));
	if (needed > 0)
		why = why_needed(r, log, &info, text, sizeof(text));
	report_set(v, "reason", report_cstr(&r->arena, why));
	heard = peers_unix_ms(r->s->peers, info.heard_ms);
	if (heard > 0)
		report_set(v, "heard", report_time(&r->arena, heard));
	since = peers_lag_since(r->s->peers, log);
	if (needed > 0 && since > 0 && now_ms() > since + PEERS_LAG_MS)
		add_health(r, HEALTH_LAG, member, why);
}

static void put_log(struct report *r, struct slice origin, uint32_t log,
		    const struct store_head *head)
{
	bool own = slice_is(origin, r->s->home->origin);
	struct slice member = { NULL, 0 };
	struct arena *a = &r->arena;
	uint32_t live = UINT32_MAX;
	uint64_t generation;
	struct value v = report_map(a, 13);

	(void)log;
	if (log_origin_parse(origin, &member, &generation) != ERR_OK)
		return;
	report_set(&v, "member", report_text(a, member));
	report_set(&v, "origin", report_text(a, origin));
	report_set(&v, "size", value_uint(head->frontier.size));
	report_set(&v, "head", report_hex(a, digest_slice(&head->noted.root)));
	report_set(&v, "head_size", value_uint(head->noted.size));
	report_set(&v, "cosignatures",
		   value_uint(count_cosignatures(head->note)));
	report_set(&v, "frozen", value_bool(head->frozen));
	report_set(&v, "own", value_bool(own));
	report_set(&v, "missing", value_uint(head->missing));
	if (r->s->peers != NULL && peers_mesh(r->s->peers) != NULL)
		live = mesh_find_log(peers_mesh(r->s->peers), origin);
	if (live != UINT32_MAX)
		put_live_log(r, &v, live, member);
	else
		report_set(&v, "needed", value_uint(0));
	if (value_get(&v, "heard") == NULL && head->heard_ms > 0)
		report_set(&v, "heard", report_time(a, head->heard_ms));
	if (head->frozen)
		add_health(r, HEALTH_FORK, member, NULL);
	if (head->missing > 0)
		add_health(r, HEALTH_MISSING, member, NULL);
	report_add(&r->logs, v);
}

static void put_logs(struct report *r)
{
	uint32_t n = store_log_count(r->txn);
	struct store_head head;
	struct slice origin;

	r->logs = report_list(&r->arena, n);
	for (uint32_t i = 0; i < n && r->err == ERR_OK; i++) {
		r->err = store_log_origin(r->txn, i, &origin);
		if (r->err == ERR_OK)
			r->err = store_head_get(r->txn, i, &head);
		if (r->err == ERR_OK)
			put_log(r, origin, i, &head);
	}
}

/* ---- peers ------------------------------------------------------------------- */

static void put_trouble(struct report *r, struct value *v,
			const struct mesh_peer_info *info,
			const struct peer_trouble *t)
{
	enum health h = t->code != ERR_OK
				? health_of(t->step, t->code, t->theirs)
				: HEALTH_OK;
	const char *text = t->text[0] != '\0' ? t->text : health_entry(h)->what;
	char line[256];

	if (info->live || info->state == MEMBER_REMOVED)
		h = HEALTH_OK;
	report_set(v, "code", report_cstr(&r->arena, health_entry(h)->code));
	if (h == HEALTH_OK) {
		report_set(v, "reason", report_cstr(&r->arena, ""));
		return;
	}
	(void)snprintf(line, sizeof(line), "%s%s%s", health_entry(h)->what,
		       strcmp(text, health_entry(h)->what) == 0 ? "" : ": ",
		       strcmp(text, health_entry(h)->what) == 0 ? "" : text);
	report_set(v, "reason", report_cstr(&r->arena, line));
	add_health(r, h, info->name, line);
}

static const char *state_name(const struct mesh_peer_info *info)
{
	if (info->state == MEMBER_REMOVED)
		return "removed";
	if (info->live)
		return "up";
	return info->dialling ? "connecting" : "down";
}

static void put_peer(struct report *r, uint32_t member)
{
	const struct peers *p = r->s->peers;
	struct mesh_peer_info info;
	struct arena *a = &r->arena;
	const struct peer_trouble *t = peers_trouble(p, member);
	const char *address;
	struct value v = report_map(a, 10);

	mesh_peer_info(peers_mesh(p), member, &info);
	if (info.self)
		return;
	address = info.live ? peers_link_address(p, info.link) : t->address;
	report_set(&v, "member", report_text(a, info.name));
	report_set(&v, "state", report_cstr(a, state_name(&info)));
	report_set(&v, "since",
		   report_time(a, peers_unix_ms(p, info.since_ms)));
	report_set(&v, "address", report_cstr(a, address));
	report_set(&v, "dialled", value_bool(info.live && info.dialled));
	if (info.heard_ms > 0)
		report_set(&v, "heard",
			   report_time(a, peers_unix_ms(p, info.heard_ms)));
	if (!info.live && info.next_dial_ms != UINT64_MAX)
		report_set(&v, "next",
			   report_time(a, now_ms() + info.next_dial_ms -
						  peers_mesh_now(p)));
	put_trouble(r, &v, &info, t);
	if (info.bad_chunks > 0)
		add_health(r, HEALTH_REJECT, info.name, NULL);
	report_add(&r->peers, v);
}

/* The node does not run: who would be there. */
static void put_absent_peers(struct report *r)
{
	const struct roster *roster = r->members->roster;
	uint32_t n = roster == NULL ? 0 : roster->member_count;
	struct arena *a = &r->arena;

	r->peers = report_list(a, n);
	for (uint32_t i = 0; i < n; i++) {
		struct value v;

		if (slice_equal(roster->members[i].name, own_name(r)))
			continue;
		v = report_map(a, 4);
		report_set(&v, "member",
			   report_text(a, roster->members[i].name));
		report_set(&v, "state",
			   report_cstr(a, roster->members[i].state ==
							  MEMBER_REMOVED
						  ? "removed"
						  : "down"));
		report_set(&v, "code", report_cstr(a, ""));
		report_set(&v, "reason",
			   report_cstr(a, "our node is not running"));
		report_add(&r->peers, v);
	}
}

static void put_peers(struct report *r)
{
	uint32_t n;

	if (r->s->peers == NULL) {
		put_absent_peers(r);
		return;
	}
	n = mesh_member_count(peers_mesh(r->s->peers));
	r->peers = report_list(&r->arena, n);
	for (uint32_t i = 0; i < n; i++)
		put_peer(r, i);
}

static void put_refusal(struct report *r, const struct peer_refusal *f)
{
	struct arena *a = &r->arena;
	struct value v = report_map(a, 6);

	report_set(&v, "address", report_cstr(a, f->address));
	if (f->has_key)
		report_set(&v, "key", report_hex(a, digest_slice(&f->key)));
	report_set(&v, "code", report_cstr(a, err_code(f->code)));
	report_set(&v, "reason", report_cstr(a, f->text));
	report_set(&v, "at", report_time(a, f->at_ms));
	report_set(&v, "times", value_uint(f->count));
	report_add(&r->refused, v);
	add_health(r, HEALTH_STRANGER, slice_str(f->address), f->text);
}

static void put_refused(struct report *r)
{
	const struct peer_refusal *list = NULL;
	uint32_t n = 0;

	if (r->s->peers != NULL)
		n = peers_refusals(r->s->peers, &list);
	r->refused = report_list(&r->arena, n);
	for (uint32_t i = 0; i < n; i++)
		put_refusal(r, &list[i]);
}

/* ---- the rest ------------------------------------------------------------------ */

static void put_alliance(struct report *r)
{
	const struct roster *roster = r->members->roster;
	struct arena *a = &r->arena;
	struct value v;

	if (roster == NULL) {
		add_health(r, HEALTH_NO_ALLIANCE, own_name(r), NULL);
		return;
	}
	v = report_map(a, 4);
	report_set(&v, "name", report_text(a, roster->alliance));
	report_set(&v, "id",
		   report_hex(a, digest_slice(&r->members->alliance)));
	report_set(&v, "version", value_uint(roster->version));
	report_set(&v, "members", value_uint(roster->member_count));
	report_set(&r->doc, "alliance", v);
}

static void put_signing(struct report *r)
{
	static const char *const names[] = {
		[SIGNING_WAITING] = "waiting",
		[SIGNING_ALLOWED] = "allowed",
		[SIGNING_RECOVERING] = "recovering",
	};
	enum signing s = writer_signing(r->s->home->writer);
	struct buf b;

	buf_init(&b, 65536);
	if (r->s->peers != NULL && s != SIGNING_ALLOWED)
		peers_awaited(r->s->peers, &b);
	report_set(&r->doc, "signing", report_cstr(&r->arena, names[s]));
	report_set(&r->doc, "awaited", report_text(&r->arena, buf_slice(&b)));
	buf_free(&b);
	if (s == SIGNING_RECOVERING)
		add_health(r, HEALTH_RECOVERING, own_name(r), NULL);
	if (s == SIGNING_WAITING)
		add_health(r, HEALTH_WAITING, own_name(r), NULL);
}

static void put_store(struct report *r)
{
	struct value v = report_map(&r->arena, 3);
	struct store_stats stats = { 0 };

	store_stat(r->s->home->store, &stats);
	report_set(&v, "map_bytes", value_uint(stats.map_bytes));
	report_set(&v, "used_bytes", value_uint(stats.used_bytes));
	report_set(&v, "readers", value_uint(stats.readers));
	report_set(&r->doc, "store", v);
	if (stats.map_bytes > 0 &&
	    stats.used_bytes > stats.map_bytes / 100 * MAP_FULL_PERCENT)
		add_health(r, HEALTH_MAP, own_name(r), NULL);
	if (store_room(r->s->home->store, 0) != ERR_OK)
		add_health(r, HEALTH_DISK, own_name(r), NULL);
}

static void put_self(struct report *r)
{
	const struct home *h = r->s->home;
	struct arena *a = &r->arena;
	bool running = r->s->peers != NULL;

	report_set(&r->doc, "v", value_uint(1));
	report_set(&r->doc, "member", report_cstr(a, h->config.member));
	report_set(&r->doc, "name", report_cstr(a, h->config.name));
	report_set(&r->doc, "running", value_bool(running));
	if (running) {
		report_set(&r->doc, "listen",
			   report_cstr(a, peers_address(r->s->peers)));
		report_set(&r->doc, "since", report_time(a, r->s->started_ms));
	} else {
		add_health(r, HEALTH_NOT_RUNNING, own_name(r), NULL);
	}
	if (r->s->reload_error != NULL)
		add_health(r, HEALTH_RELOAD, own_name(r), r->s->reload_error);
	if (r->s->card_error != NULL)
		add_health(r, HEALTH_OWN_CARD, own_name(r), r->s->card_error);
}

static enum severity severity_of(const struct value *line)
{
	struct slice s = value_get_str(line, "severity");

	return slice_is(s, "critical")	? HEALTH_CRITICAL
	       : slice_is(s, "warning") ? HEALTH_WARNING
					: HEALTH_INFO;
}

/* The worst first, otherwise as found. */
static struct value sort_health(struct report *r)
{
	struct value out = report_list(&r->arena, r->health.count);

	for (int s = HEALTH_CRITICAL; s >= HEALTH_INFO; s--)
		for (uint32_t i = 0; i < r->health.count; i++)
			if ((int)severity_of(&r->health.items[i]) == s)
				report_add(&out, r->health.items[i]);
	return out;
}

enum severity status_worst(const struct value *status)
{
	const struct value *list = value_get(status, "health");

	/* Sorted by put. */
	return list != NULL && list->count > 0 ? severity_of(&list->items[0])
					       : HEALTH_INFO;
}

enum err status_put(const struct status_source *s, struct buf *out)
{
	struct report r = { .s = s };

	arena_init(&r.arena, ARENA_BYTES);
	r.err = store_read(s->home->store, &r.txn);
	if (r.err != ERR_OK)
		goto out;
	r.members = members_hold(s->home->members);
	r.doc = report_map(&r.arena, 16);
	r.health = report_list(&r.arena, HEALTH_LINES);
	put_self(&r);
	put_alliance(&r);
	put_signing(&r);
	put_logs(&r);
	put_peers(&r);
	put_refused(&r);
	put_store(&r);
	report_set(&r.doc, "health", sort_health(&r));
	report_set(&r.doc, "logs", r.logs);
	report_set(&r.doc, "peers", r.peers);
	report_set(&r.doc, "refused", r.refused);
	if (r.err == ERR_OK)
		r.err = value_encode(&r.doc, out);
	members_release(r.members);
out:
	store_abort(r.txn);
	arena_free(&r.arena);
	return r.err;
}
