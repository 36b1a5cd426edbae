#include "nest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "node/disk.h"
#include "node/log.h"
#include "proto/enc.h"
#include "proto/text.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ARENA_BYTES (512u << 20)
#define MEMBERS_MAX 16

/* ---- directories ---------------------------------------------------------- */

void nest_use(struct nest *n, const char *dir)
{
	*n = (struct nest){ .dir = xstrdup(dir), .home.lock_fd = -1 };
	arena_init(&n->arena, ARENA_BYTES);
}

void nest_make(struct nest *n, const char *root, const char *member)
{
	char *dir = path_join(root, member);
	char *keys = path_join(dir, "keys");
	char *yaml = path_join(dir, "symbolon.yaml");
	char text[512];

	nest_use(n, dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(text, sizeof(text),
		 "member: %s\nname: Test\ncountry: DK\n"
		 "listen: 127.0.0.1:7410\nstore:\n  map_gib: 1\n",
		 member);
	ok(disk_write_new(yaml, 0600, slice_str(text), NULL));
	ok(keys_create(keys, slice_str(member), NULL));
	free(yaml);
	free(keys);
	free(dir);
}

static void remember(void *arg, const struct writer_event *e)
{
	struct nest *n = arg;

	if (e->log != WRITER_NO_LOG && n->event_count < NEST_EVENTS)
		n->event_head[n->event_count] = e->held;
	n->event_count++;
}

enum err nest_try(struct nest *n, struct buf *why)
{
	struct home_options o = {
		.dir = n->dir,
		.on_commit = remember,
		.arg = n,
	};
	enum err err;

	log_set_level(LOG_LEVEL_ERROR);
	err = home_open(&o, &n->home, why);
	if (err == ERR_OK)
		preparer_init(&n->preparer, &n->home.keys, n->home.own_log);
	return err;
}

void nest_open(struct nest *n)
{
	struct buf why;
	enum err err;

	buf_init(&why, 4096);
	err = nest_try(n, &why);
	if (err != ERR_OK)
		fail_msg("%.*s", (int)why.n, (const char *)why.p);
	buf_free(&why);
}

void nest_close(struct nest *n)
{
	preparer_wipe(&n->preparer);
	home_close(&n->home);
}

void nest_free(struct nest *n)
{
	if (n->home.dir != NULL)
		nest_close(n);
	arena_free(&n->arena);
	free(n->dir);
}

/* ---- documents ------------------------------------------------------------ */

static struct slice member_of(const struct nest *n)
{
	return slice_str(n->home.config.member);
}

struct buf nest_card(struct nest *n, uint64_t version)
{
	struct keys *k = &n->home.keys;
	struct descriptor_log log = {
		.origin = slice_str(n->home.origin),
		.key = k->log.key,
		.to = UINT64_MAX,
	};
	struct descriptor d = {
		.member = member_of(n),
		.name = SLICE_LIT("Test"),
		.country = SLICE_LIT("DK"),
		.version = version,
		.log_count = 1,
		.logs = &log,
		.pin_count = 1,
		.pins = { k->tls_spki },
		.endpoint_count = 1,
		.endpoints = { slice_str(n->home.config.endpoint) },
		.witness = k->witness.key,
		.governance = k->governance.key,
	};
	struct buf text, note;

	buf_init(&text, LIMIT_NOTE_BYTES);
	buf_init(&note, LIMIT_NOTE_BYTES);
	descriptor_put(&d, &text);
	ok(text.err);
	buf_put(&note, buf_slice(&text));
	buf_put_u8(&note, '\n');
	note_sign(&k->governance.key, k->governance.secret, buf_slice(&text), 0,
		  &note);
	ok(note.err);
	buf_free(&text);
	return note;
}

static struct buf sign_roster(struct roster *r, struct nest *const *n,
			      size_t count)
{
	struct buf text, note;

	buf_init(&text, LIMIT_NOTE_BYTES);
	buf_init(&note, LIMIT_NOTE_BYTES);
	roster_put(r, &text);
	ok(text.err);
	buf_put(&note, buf_slice(&text));
	buf_put_u8(&note, '\n');
	for (size_t i = 0; i < count; i++)
		note_sign(&n[i]->home.keys.governance.key,
			  n[i]->home.keys.governance.secret, buf_slice(&text),
			  0, &note);
	ok(note.err);
	buf_free(&text);
	return note;
}

struct docs {
	struct buf roster;
	struct buf card[MEMBERS_MAX];
	size_t count;
};

static enum err put_docs(struct writer_txn *t, void *arg)
{
	struct docs *d = arg;
	const char *why;
	enum err err = writer_put_roster(t, buf_slice(&d->roster), &why);

	for (size_t i = 0; i < d->count && err == ERR_OK; i++)
		err = writer_put_card(t, buf_slice(&d->card[i]), &why);
	if (err != ERR_OK)
		print_message("documents refused: %s\n", why);
	return err;
}

static int by_name(const void *a, const void *b)
{
	const struct roster_member *x = a, *y = b;

	return slice_compare(x->name, y->name);
}

static struct roster roster_of(struct nest *const *n, size_t count,
			       struct roster_member *members)
{
	for (size_t i = 0; i < count; i++)
		members[i] = (struct roster_member){
			.name = member_of(n[i]),
			.governance = n[i]->home.keys.governance.key,
		};
	return (struct roster){
		.alliance = SLICE_LIT("Test alliance"),
		.version = 1,
		.threshold = roster_default_threshold((uint32_t)count),
		.member_count = (uint32_t)count,
		.members = members,
	};
}

void nest_ally(struct nest *const *n, size_t count)
{
	struct roster_member members[MEMBERS_MAX];
	struct roster r = roster_of(n, count, members);
	struct docs d = { .count = count };

	qsort(members, count, sizeof(members[0]), by_name);
	d.roster = sign_roster(&r, n, count);
	for (size_t i = 0; i < count; i++)
		d.card[i] = nest_card(n[i], 1);
	for (size_t i = 0; i < count; i++)
		ok(nest_run(n[i], put_docs, &d));
	for (size_t i = 0; i < count; i++)
		buf_free(&d.card[i]);
	buf_free(&d.roster);
}

void nest_expel(struct nest *const *n, size_t count, size_t removed,
		const struct head *final)
{
	struct members *m = members_hold(n[0]->home.members);
	struct roster_member members[MEMBERS_MAX];
	struct roster r = roster_of(n, count, members);
	struct docs d = { .count = 0 };

	members[removed].state = MEMBER_REMOVED;
	members[removed].final = *final;
	qsort(members, count, sizeof(members[0]), by_name);
	r.version = 2;
	r.prev = m->roster->hash;
	r.threshold = roster_default_threshold((uint32_t)count - 1);
	d.roster = sign_roster(&r, n, count);
	for (size_t i = 0; i < count; i++)
		ok(nest_run(n[i], put_docs, &d));
	buf_free(&d.roster);
	members_release(m);
}

/* ---- jobs ----------------------------------------------------------------- */

struct job {
	struct writer_job job;
	nest_apply *apply;
	void *arg;
};

static enum err run_job(struct writer_job *job, struct writer_txn *t)
{
	struct job *j = (struct job *)job;

	return j->apply(t, j->arg);
}

enum err nest_run(struct nest *n, nest_apply *apply, void *arg)
{
	struct job j = {
		.job = { .apply = run_job, .records = 1, .bytes = 1000 },
		.apply = apply,
		.arg = arg,
	};

	return writer_run(n->home.writer, &j.job);
}

/* ---- own records ---------------------------------------------------------- */

struct slice nest_body(struct arena *a, const char *id, size_t bytes)
{
	static const char filler[] =
		"Recognition is a matter between institutions. ";
	struct slice body;
	struct enc e;
	struct buf b, text;

	buf_init(&b, LIMIT_BODY_BYTES);
	buf_init(&text, LIMIT_BODY_BYTES);
	while (text.n + 40 < bytes)
		buf_put_str(&text, filler);
	enc_init(&e, &b);
	enc_map(&e, 3);
	enc_cstr(&e, "ects");
	enc_uint(&e, 500);
	enc_cstr(&e, "offer");
	enc_cstr(&e, id);
	enc_cstr(&e, "text");
	enc_str(&e, buf_slice(&text));
	ok(enc_finish(&e));
	ok(arena_copy(a, buf_slice(&b), &body));
	buf_free(&text);
	buf_free(&b);
	return body;
}

struct batch {
	struct nest *n;
	struct prepared *prepared;
	uint32_t count;
};

static enum err append_batch(struct writer_txn *t, void *arg)
{
	struct batch *b = arg;
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < b->count && err == ERR_OK; i++)
		err = writer_append(t, &b->prepared[i], &b->n->last_seq);
	return err;
}

enum err nest_append(struct nest *n, const char *prefix, uint32_t count,
		     uint64_t audience)
{
	struct batch b = { .n = n, .count = count };

	arena_reset(&n->arena);
	b.prepared = arena_array(&n->arena, count, sizeof(*b.prepared));
	for (uint32_t i = 0; i < count; i++) {
		struct prepared *p = &b.prepared[i];
		char id[64];

		snprintf(id, sizeof(id), "%s%u", prefix, i);
		p->kind = KIND_OFFER;
		p->audience = audience;
		p->body = nest_body(&n->arena, id, 200);
		ok(writer_prepare(&n->preparer, &n->arena, p));
	}
	return nest_run(n, append_batch, &b);
}

/* ---- chunks --------------------------------------------------------------- */

/* A copy of @s in @a that keeps "none" NULL. */
static struct slice keep(struct arena *a, struct slice s)
{
	struct slice copy = { NULL, 0 };

	if (s.n > 0)
		ok(arena_copy(a, s, &copy));
	return copy;
}

static void read_record(struct nest *n, struct store_txn *t, uint32_t log,
			uint64_t seq, struct arena *a, struct record *out)
{
	uint8_t salt[LIMIT_SALT_BYTES];
	struct record r;

	ok(store_record_get(t, log, seq, &r));
	out->leaf = keep(a, r.leaf);
	out->body = keep(a, r.body);
	out->salt = keep(a, r.salt);
	if (r.body.n > 0 && r.salt.n == 0) {
		ok(vault_get(n->home.vault, log, seq, salt));
		out->salt = keep(a, slice_of(salt, sizeof(salt)));
	}
}

void nest_read(struct nest *n, struct slice origin, uint64_t from,
	       uint32_t count, bool with_bodies, struct arena *a,
	       struct nest_chunk *out)
{
	struct writer_chunk *c = &out->chunk;
	struct record *records = arena_array(a, count, sizeof(*records));
	struct digest *right =
		arena_array(a, LIMIT_COVER_HASHES, sizeof(*right));
	struct store_source source = { .log = 0 };
	struct merkle_source src;
	struct store_head head;
	struct store_txn *t;
	uint32_t log;

	ok(store_read(n->home.store, &t));
	ok(store_log_find(t, origin, &log));
	ok(store_head_get(t, log, &head));
	source = (struct store_source){ t, log };
	src = store_source_of(&source);
	*out = (struct nest_chunk){ .origin = keep(a, origin) };
	c->from = from;
	c->count = count;
	c->records = records;
	c->right = right;
	c->note = keep(a, head.note);
	for (uint32_t i = 0; i < count; i++) {
		read_record(n, t, log, from + i, a, &records[i]);
		if (!with_bodies)
			records[i].body = records[i].salt =
				keep(a, slice_of(NULL, 0));
	}
	ok(merkle_range(&src, from + count, head.noted.size, right,
			&c->right_count));
	store_abort(t);
}

static enum err accept_chunk(struct writer_txn *t, void *arg)
{
	const struct nest_chunk *c = arg;
	struct writer_chunk chunk = c->chunk;
	enum err err = store_log_find(writer_store(t), c->origin, &chunk.log);

	return err == ERR_OK ? writer_accept(t, &chunk) : err;
}

enum err nest_accept(struct nest *n, const struct nest_chunk *c)
{
	struct nest_chunk copy = *c;

	return nest_run(n, accept_chunk, &copy);
}

enum err nest_sync(struct nest *from, struct nest *to, uint32_t count)
{
	struct slice origin = slice_str(from->home.origin);
	uint64_t want = nest_head(from, origin, NULL).noted.size;
	uint64_t at = nest_head(to, origin, NULL).frontier.size;
	enum err err = ERR_OK;
	struct arena a;

	arena_init(&a, ARENA_BYTES);
	while (at < want && err == ERR_OK) {
		uint32_t step =
			want - at < count ? (uint32_t)(want - at) : count;
		struct nest_chunk c;

		nest_read(from, origin, at, step, true, &a, &c);
		err = nest_accept(to, &c);
		at += step;
		arena_reset(&a);
	}
	arena_free(&a);
	return err;
}

/* ---- looking -------------------------------------------------------------- */

struct store_head nest_head(struct nest *n, struct slice origin,
			    struct buf *note)
{
	struct store_head head;
	struct store_txn *t;
	uint32_t log;

	ok(store_read(n->home.store, &t));
	ok(store_log_find(t, origin, &log));
	ok(store_head_get(t, log, &head));
	if (note != NULL)
		buf_put(note, head.note);
	head.note = slice_of(NULL, 0);
	store_abort(t);
	return head;
}

static void check_body(struct nest *n, struct store_txn *t, uint32_t log,
		       uint64_t seq, const struct digest *origin_hash)
{
	struct arena a;
	struct record r;
	struct buf plain;

	arena_init(&a, 1u << 20);
	buf_init(&plain, LIMIT_BODY_BYTES);
	read_record(n, t, log, seq, &a, &r);
	if (r.body.n > 0)
		ok(record_open(&r, origin_hash, n->preparer.sealer, &plain));
	buf_free(&plain);
	arena_free(&a);
}

void nest_check(struct nest *n, struct slice origin)
{
	struct digest origin_hash = hash_bytes(origin);
	struct store_head head;
	struct store_txn *t;
	struct frontier f;
	struct head want, have;
	uint32_t log;

	ok(store_read(n->home.store, &t));
	ok(store_log_find(t, origin, &log));
	ok(store_head_get(t, log, &head));
	frontier_init(&f);
	for (uint64_t i = 0; i < head.frontier.size; i++) {
		struct digest leaf;

		ok(store_leaf_hashes(t, log, i, 1, &leaf));
		check_body(n, t, log, i, &origin_hash);
		frontier_push(&f, &leaf, NULL, NULL);
		if (f.size == head.noted.size) {
			have = frontier_head(&f);
			assert_true(head_equal(&have, &head.noted));
		}
	}
	want = frontier_head(&head.frontier);
	have = frontier_head(&f);
	assert_true(head_equal(&have, &want));
	assert_true(head.noted.size <= head.frontier.size);
	store_abort(t);
}

static bool count_entry(void *arg, const struct store_entry *e)
{
	(void)e;
	++*(unsigned *)arg;
	return true;
}

unsigned nest_find(struct nest *n, struct slice origin, const char *id)
{
	uint8_t hash[STORE_HASH_BYTES];
	struct store_txn *t;
	struct buf value;
	unsigned count = 0;
	uint32_t log;

	buf_init(&value, 1024);
	buf_put_str(&value, "offer/");
	buf_put_str(&value, id);
	index_hash(&n->home.index, STORE_BY_ID, buf_slice(&value), hash);
	ok(store_read(n->home.store, &t));
	ok(store_log_find(t, origin, &log));
	ok(store_index_scan(t, STORE_BY_ID, log, hash, true, count_entry,
			    &count));
	store_abort(t);
	buf_free(&value);
	return count;
}
