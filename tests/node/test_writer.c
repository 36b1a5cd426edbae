/* What the writer acknowledges is durable and verified; what it refuses
 * leaves no trace. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/disk.h"
#include "proto/enc.h"
#include "tests/lib/tmp.h"
#include "tests/node/lib/nest.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ORIGIN_A SLICE_LIT("a.example/symbolon/1")
#define ORIGIN_B SLICE_LIT("b.example/symbolon/1")

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	char *root;
	struct nest a, b, c;
	struct arena arena;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->root = tmp_make();
	arena_init(&f->arena, 64u << 20);
	nest_make(&f->a, f->root, "a.example");
	nest_make(&f->b, f->root, "b.example");
	nest_make(&f->c, f->root, "c.example");
	nest_open(&f->a);
	*state = f;
	return 0;
}

/* Three members that know each other. */
static int setup_allies(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	nest_open(&f->b);
	nest_open(&f->c);
	nest_ally((struct nest *[]){ &f->a, &f->b, &f->c }, 3);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nest_free(&f->a);
	nest_free(&f->b);
	nest_free(&f->c);
	arena_free(&f->arena);
	tmp_remove(f->root);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static void reopen(struct nest *n)
{
	nest_close(n);
	nest_open(n);
}

static struct nest_chunk chunk_of(struct fixture *f, uint64_t from,
				  uint32_t count)
{
	struct nest_chunk c;

	nest_read(&f->a, ORIGIN_A, from, count, true, &f->arena, &c);
	return c;
}

/* A copy of the records that may be changed. */
static struct record *own_records(struct fixture *f, struct nest_chunk *c)
{
	struct record *r = arena_array(&f->arena, c->chunk.count, sizeof(*r));

	memcpy(r, c->chunk.records, c->chunk.count * sizeof(*r));
	c->chunk.records = r;
	return r;
}

static struct slice flipped(struct fixture *f, struct slice s, size_t at)
{
	uint8_t *p = arena_alloc(&f->arena, s.n);

	memcpy(p, s.p, s.n);
	p[at] ^= 1;
	return slice_of(p, s.n);
}

static uint64_t size_at(struct nest *n, struct slice origin)
{
	return nest_head(n, origin, NULL).frontier.size;
}

static unsigned signatures(struct nest *n, struct slice origin)
{
	struct arena a;
	struct note note;
	struct buf raw;
	unsigned count;

	arena_init(&a, 1u << 20);
	buf_init(&raw, LIMIT_NOTE_BYTES);
	nest_head(n, origin, &raw);
	ok(note_parse(buf_slice(&raw), &a, &note));
	count = note.sig_count;
	buf_free(&raw);
	arena_free(&a);
	return count;
}

/* ---- Own records ---------------------------------------------------------- */

static void records_are_there_signed_and_found_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct store_head head;

	ok(nest_append(&f->a, "x", 1000, AUDIENCE_PUBLIC));
	ok(nest_append(&f->a, "y", 1000, AUDIENCE_MEMBERS));
	assert_int_equal(f->a.last_seq, 1999);
	reopen(&f->a);
	head = nest_head(&f->a, ORIGIN_A, NULL);
	assert_int_equal(head.frontier.size, 2000);
	assert_int_equal(head.noted.size, 2000);
	nest_check(&f->a, ORIGIN_A);
	assert_int_equal(nest_find(&f->a, ORIGIN_A, "x999"), 1);
	assert_int_equal(nest_find(&f->a, ORIGIN_A, "y0"), 1);
	assert_int_equal(nest_find(&f->a, ORIGIN_A, "z0"), 0);
}

static void the_head_verifies_with_the_log_key_alone(void **state)
{
	struct fixture *f = *state;
	struct checkpoint c;
	struct arena a;
	struct note note;
	struct buf raw;

	ok(nest_append(&f->a, "x", 3, AUDIENCE_PUBLIC));
	arena_init(&a, 1u << 20);
	buf_init(&raw, LIMIT_NOTE_BYTES);
	nest_head(&f->a, ORIGIN_A, &raw);
	ok(note_parse(buf_slice(&raw), &a, &note));
	ok(note_verify(&note, &f->a.home.keys.log.key, NULL));
	ok(checkpoint_parse(note.text, &c));
	assert_true(slice_equal(c.origin, ORIGIN_A));
	assert_int_equal(c.head.size, 3);
	buf_free(&raw);
	arena_free(&a);
}

static void sealed_bodies_are_in_no_byte_of_the_store(void **state)
{
	struct fixture *f = *state;
	char *store = path_join(f->a.dir, "data/store/data.mdb");
	struct buf b;

	ok(nest_append(&f->a, "secret-canary-", 50, AUDIENCE_MEMBERS));
	nest_close(&f->a);
	buf_init(&b, 64u << 20);
	ok(disk_read(store, 64u << 20, &b, NULL));
	for (size_t i = 0; i + 13 <= b.n; i++)
		assert_memory_not_equal(b.p + i, "secret-canary", 13);
	buf_free(&b);
	free(store);
	nest_open(&f->a);
}

static void nothing_is_appended_while_recovering(void **state)
{
	struct fixture *f = *state;

	writer_set_signing(f->a.home.writer, SIGNING_RECOVERING);
	assert_int_equal(nest_append(&f->a, "x", 1, AUDIENCE_PUBLIC),
			 ERR_RECOVERING);
	writer_set_signing(f->a.home.writer, SIGNING_WAITING);
	assert_int_equal(nest_append(&f->a, "x", 1, AUDIENCE_PUBLIC),
			 ERR_RECOVERING);
	assert_int_equal(size_at(&f->a, ORIGIN_A), 0);
	writer_set_signing(f->a.home.writer, SIGNING_ALLOWED);
	ok(nest_append(&f->a, "x", 1, AUDIENCE_PUBLIC));
}

static void an_empty_or_huge_body_is_not_prepared(void **state)
{
	static const uint8_t huge[LIMIT_BODY_BYTES + 1];
	struct fixture *f = *state;
	struct prepared p = { .kind = KIND_OFFER };

	assert_int_equal(writer_prepare(&f->a.preparer, &f->arena, &p),
			 ERR_LIMIT);
	p.body = slice_of(huge, sizeof(huge));
	assert_int_equal(writer_prepare(&f->a.preparer, &f->arena, &p),
			 ERR_LIMIT);
}

static void no_two_records_share_a_salt(void **state)
{
	struct fixture *f = *state;
	struct prepared p[300];
	struct slice body = nest_body(&f->arena, "x", 50);

	for (size_t i = 0; i < 300; i++) {
		p[i] = (struct prepared){ .kind = KIND_OFFER, .body = body };
		ok(writer_prepare(&f->a.preparer, &f->arena, &p[i]));
		for (size_t k = 0; k < i; k++) {
			assert_memory_not_equal(p[i].salt, p[k].salt, 32);
			assert_memory_not_equal(p[i].leaf, p[k].leaf,
						p[i].leaf_bytes);
		}
	}
}

/* ---- Jobs ----------------------------------------------------------------- */

static enum err put_then_fail(struct writer_txn *t, void *arg)
{
	(void)arg;
	ok(store_meta_put(writer_store(t), "spoilt", SLICE_LIT("1")));
	return ERR_CONFLICT;
}

static enum err fail_at_once(struct writer_txn *t, void *arg)
{
	(void)t;
	++*(int *)arg;
	return ERR_DENIED;
}

static enum err append_then_fail(struct writer_txn *t, void *arg)
{
	struct prepared *p = arg;
	uint64_t seq;

	ok(writer_append(t, p, &seq));
	return ERR_CONFLICT;
}

static void a_job_that_fails_after_puts_leaves_no_trace(void **state)
{
	struct fixture *f = *state;
	struct prepared p = { .kind = KIND_OFFER,
			      .audience = AUDIENCE_MEMBERS,
			      .body = nest_body(&f->arena, "bad", 50) };
	struct store_txn *t;
	struct slice value;
	uint8_t salt[32];

	assert_int_equal(nest_run(&f->a, put_then_fail, NULL), ERR_CONFLICT);
	ok(writer_prepare(&f->a.preparer, &f->arena, &p));
	assert_int_equal(nest_run(&f->a, append_then_fail, &p), ERR_CONFLICT);
	ok(store_read(f->a.home.store, &t));
	assert_int_equal(store_meta_get(t, "spoilt", &value), ERR_NOT_FOUND);
	store_abort(t);
	assert_int_equal(size_at(&f->a, ORIGIN_A), 0);
	assert_int_equal(vault_get(f->a.home.vault, f->a.home.own_log, 0, salt),
			 ERR_NOT_FOUND);
	assert_int_equal(nest_find(&f->a, ORIGIN_A, "bad"), 0);
	ok(nest_append(&f->a, "good", 2, AUDIENCE_MEMBERS));
	nest_check(&f->a, ORIGIN_A);
}

static void a_job_that_fails_at_once_runs_once(void **state)
{
	struct fixture *f = *state;
	int runs = 0;

	assert_int_equal(nest_run(&f->a, fail_at_once, &runs), ERR_DENIED);
	assert_int_equal(runs, 1);
}

/* Many jobs that wait behind a slow one, so that they share a transaction. */
struct many {
	struct writer_job job;
	struct prepared *p; /* NULL: fails after a put */
	enum err result;
	int *left;
};

static enum err apply_many(struct writer_job *job, struct writer_txn *t)
{
	struct many *m = (struct many *)job;
	uint64_t seq;

	if (m->p == NULL)
		return put_then_fail(t, NULL);
	return writer_append(t, m->p, &seq);
}

static void done_many(struct writer_job *job, enum err result)
{
	struct many *m = (struct many *)job;

	m->result = result;
	--*m->left;
}

static void only_the_guilty_job_of_a_batch_fails(void **state)
{
	struct fixture *f = *state;
	struct many jobs[40];
	struct prepared p[40];
	int left = 40, runs = 0;

	for (size_t i = 0; i < 40; i++) {
		p[i] = (struct prepared){
			.kind = KIND_OFFER,
			.body = nest_body(&f->arena, "x", 50),
		};
		ok(writer_prepare(&f->a.preparer, &f->arena, &p[i]));
		jobs[i] = (struct many){ .job = { .apply = apply_many,
						  .done = done_many,
						  .records = 1 },
					 .p = i % 10 == 3 ? NULL : &p[i],
					 .left = &left };
	}
	for (size_t i = 0; i < 40; i++)
		writer_submit(f->a.home.writer, &jobs[i].job);
	assert_int_equal(nest_run(&f->a, fail_at_once, &runs), ERR_DENIED);
	assert_int_equal(left, 0);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(jobs[i].result,
				 i % 10 == 3 ? ERR_CONFLICT : ERR_OK);
	assert_int_equal(size_at(&f->a, ORIGIN_A), 36);
	nest_check(&f->a, ORIGIN_A);
}

static void events_tell_the_state_after_each_commit(void **state)
{
	struct fixture *f = *state;

	f->a.event_count = 0;
	ok(nest_append(&f->a, "x", 7, AUDIENCE_PUBLIC));
	ok(nest_append(&f->a, "y", 1, AUDIENCE_PUBLIC));
	nest_close(&f->a); /* waits for the writer */
	assert_int_equal(f->a.event_count, 2);
	assert_int_equal(f->a.event_head[0].size, 7);
	assert_int_equal(f->a.event_head[1].size, 8);
	nest_open(&f->a);
}

/* Anonymous memory of this process, in KiB. */
static unsigned long anonymous_kib(void)
{
	FILE *in = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		sscanf(line, "RssAnon: %lu", &kib);
	if (in != NULL)
		fclose(in);
	return kib;
}

static void memory_of_a_bulk_load_is_given_back_when_idle(void **state)
{
	const struct timespec tick = { 0, 50000000 };
	struct fixture *f = *state;
	unsigned long loaded, now = 0;

	for (int i = 0; i < 3; i++)
		ok(nest_append(&f->a, "x", 20000, AUDIENCE_MEMBERS));
	arena_free(&f->a.arena);
	loaded = anonymous_kib();
	for (int i = 0; i < 100; i++) {
		nanosleep(&tick, NULL);
		now = anonymous_kib();
		if (now + 5000 < loaded)
			break;
	}
	print_message("%lu KiB loaded, %lu KiB idle\n", loaded, now);
	assert_int_equal(nest_find(&f->a, ORIGIN_A, "x19999"), 3);
	ok(nest_append(&f->a, "y", 10, AUDIENCE_MEMBERS));
	nest_check(&f->a, ORIGIN_A);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed */
	assert_true(now + 5000 < loaded);
#endif
}

/* ---- Chunks --------------------------------------------------------------- */

static void a_log_travels_in_chunks_of_any_size(void **state)
{
	static const uint32_t sizes[] = { 1, 7, 256, 1000, 5000 };
	struct fixture *f = *state;

	ok(nest_append(&f->a, "x", 700, AUDIENCE_PUBLIC));
	ok(nest_append(&f->a, "y", 300, AUDIENCE_MEMBERS));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ok(nest_sync(&f->a, &f->b, sizes[i]));
		ok(nest_append(&f->a, "z", 100 + (uint32_t)i * 77,
			       AUDIENCE_MEMBERS));
	}
	ok(nest_sync(&f->a, &f->b, 50));
	nest_check(&f->b, ORIGIN_A);
	reopen(&f->b);
	nest_check(&f->b, ORIGIN_A);
	assert_int_equal(size_at(&f->b, ORIGIN_A), size_at(&f->a, ORIGIN_A));
	assert_int_equal(nest_find(&f->b, ORIGIN_A, "y299"), 1);
	assert_int_equal(nest_head(&f->b, ORIGIN_A, NULL).missing, 0);
}

static void a_completed_head_is_cosigned_in_the_same_commit(void **state)
{
	struct fixture *f = *state;
	struct store_head head;

	ok(nest_append(&f->a, "x", 10, AUDIENCE_PUBLIC));
	ok(nest_sync(&f->a, &f->b, 6));
	head = nest_head(&f->b, ORIGIN_A, NULL);
	assert_int_equal(head.noted.size, 10);
	assert_int_equal(head.cosigned.head.size, 10);
	assert_true(head.cosigned.at_ms > 0);
	assert_int_equal(signatures(&f->b, ORIGIN_A), 2);
}

static void
a_head_that_is_not_complete_is_neither_kept_nor_cosigned(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;
	struct store_head head;

	ok(nest_append(&f->a, "x", 10, AUDIENCE_PUBLIC));
	c = chunk_of(f, 0, 9);
	ok(nest_accept(&f->b, &c));
	head = nest_head(&f->b, ORIGIN_A, NULL);
	assert_int_equal(head.frontier.size, 9);
	assert_int_equal(head.noted.size, 0);
	assert_int_equal(head.cosigned.at_ms, 0);
}

static void a_chunk_must_begin_where_the_replica_ends(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;

	ok(nest_append(&f->a, "x", 10, AUDIENCE_PUBLIC));
	c = chunk_of(f, 3, 7);
	assert_int_equal(nest_accept(&f->b, &c), ERR_BAD_STATE);
	c = chunk_of(f, 0, 10);
	ok(nest_accept(&f->b, &c));
	assert_int_equal(nest_accept(&f->b, &c), ERR_BAD_STATE);
}

static void a_changed_leaf_body_salt_hash_or_note_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk good, c;
	struct record *r;
	struct digest *right;

	ok(nest_append(&f->a, "x", 20, AUDIENCE_PUBLIC));
	ok(nest_append(&f->a, "y", 20, AUDIENCE_MEMBERS));
	good = chunk_of(f, 0, 30);
	for (uint32_t at = 0; at < 30; at += 29) {
		c = good;
		r = own_records(f, &c);
		r[at].leaf = flipped(f, r[at].leaf, 10);
		assert_int_equal(nest_accept(&f->b, &c), ERR_INVALID);
		c = good;
		r = own_records(f, &c);
		r[at].body = flipped(f, r[at].body, r[at].body.n - 20);
		assert_int_equal(nest_accept(&f->b, &c), ERR_INVALID);
		c = good;
		r = own_records(f, &c);
		r[at].salt = flipped(f, r[at].salt, 0);
		assert_int_equal(nest_accept(&f->b, &c), ERR_INVALID);
		c = good;
		r = own_records(f, &c);
		r[at].salt = slice_sub(r[at].salt, 0, 31);
		assert_int_equal(nest_accept(&f->b, &c), ERR_MALFORMED);
	}
	c = good;
	right = arena_array(&f->arena, c.chunk.right_count, sizeof(*right));
	memcpy(right, c.chunk.right, c.chunk.right_count * sizeof(*right));
	right[0].b[0] ^= 1;
	c.chunk.right = right;
	assert_int_equal(nest_accept(&f->b, &c), ERR_INVALID);
	c = good;
	c.chunk.right_count--;
	assert_int_equal(nest_accept(&f->b, &c), ERR_MALFORMED);
	c = good;
	c.chunk.note = flipped(f, c.chunk.note, c.chunk.note.n - 10);
	assert_int_not_equal(nest_accept(&f->b, &c), ERR_OK);
	c = good;
	c.chunk.note = slice_of(NULL, 0);
	assert_int_not_equal(nest_accept(&f->b, &c), ERR_OK);
	assert_int_equal(size_at(&f->b, ORIGIN_A), 0);
	ok(nest_accept(&f->b, &good));
	nest_check(&f->b, ORIGIN_A);
}

static void a_leaf_too_long_is_refused(void **state)
{
	static const uint8_t leaf[LIMIT_LEAF_BYTES + 1];
	struct fixture *f = *state;
	struct nest_chunk c;
	struct record *r;

	ok(nest_append(&f->a, "x", 2, AUDIENCE_PUBLIC));
	c = chunk_of(f, 0, 2);
	r = own_records(f, &c);
	r[1].leaf = slice_of(leaf, sizeof(leaf));
	assert_int_equal(nest_accept(&f->b, &c), ERR_LIMIT);
	r[1].leaf = slice_of(leaf, 0);
	assert_int_equal(nest_accept(&f->b, &c), ERR_LIMIT);
}

static void bodies_that_are_not_for_this_node_are_dropped(void **state)
{
	struct fixture *f = *state;
	struct store_head head;
	struct store_txn *t;
	struct record r;
	uint32_t log;

	ok(nest_append(&f->a, "x", 3, AUDIENCE_OWN));
	ok(nest_sync(&f->a, &f->b, 10));
	head = nest_head(&f->b, ORIGIN_A, NULL);
	assert_int_equal(head.noted.size, 3);
	assert_int_equal(head.missing, 0);
	ok(store_read(f->b.home.store, &t));
	ok(store_log_find(t, ORIGIN_A, &log));
	ok(store_record_get(t, log, 1, &r));
	assert_int_equal(r.body.n, 0);
	assert_int_equal(r.salt.n, 0);
	store_abort(t);
	assert_int_equal(nest_find(&f->b, ORIGIN_A, "x1"), 0);
}

struct repair {
	struct record r;
	uint64_t seq;
};

static enum err repair(struct writer_txn *t, void *arg)
{
	struct repair *p = arg;
	uint32_t log;

	ok(store_log_find(writer_store(t), ORIGIN_A, &log));
	return writer_repair(t, log, p->seq, &p->r);
}

static void bodies_that_did_not_come_are_missing_until_repaired(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk full, bare;
	struct repair p;

	ok(nest_append(&f->a, "x", 2, AUDIENCE_PUBLIC));
	ok(nest_append(&f->a, "y", 2, AUDIENCE_MEMBERS));
	full = chunk_of(f, 0, 4);
	nest_read(&f->a, ORIGIN_A, 0, 4, false, &f->arena, &bare);
	ok(nest_accept(&f->b, &bare));
	assert_int_equal(nest_head(&f->b, ORIGIN_A, NULL).missing, 4);
	assert_int_equal(nest_find(&f->b, ORIGIN_A, "y1"), 0);
	for (uint64_t i = 0; i < 4; i++) {
		p = (struct repair){ full.chunk.records[i], i };
		p.r.body = flipped(f, p.r.body, 0);
		assert_int_equal(nest_run(&f->b, repair, &p), ERR_INVALID);
		p.r = full.chunk.records[(i + 1) % 4];
		assert_int_equal(nest_run(&f->b, repair, &p), ERR_CONFLICT);
		p.r = full.chunk.records[i];
		p.r.leaf = slice_of(NULL, 0);
		ok(nest_run(&f->b, repair, &p));
		assert_int_equal(nest_run(&f->b, repair, &p), ERR_EXISTS);
	}
	assert_int_equal(nest_head(&f->b, ORIGIN_A, NULL).missing, 0);
	assert_int_equal(nest_find(&f->b, ORIGIN_A, "y1"), 1);
	reopen(&f->b);
	nest_check(&f->b, ORIGIN_A);
}

static void a_log_of_nobody_known_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;

	ok(nest_append(&f->a, "x", 2, AUDIENCE_PUBLIC));
	c = chunk_of(f, 0, 2);
	nest_open(&f->b);
	assert_int_equal(nest_accept(&f->b, &c), ERR_NOT_FOUND);
}

static void a_note_of_another_log_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;
	struct buf note;

	ok(nest_append(&f->a, "x", 2, AUDIENCE_PUBLIC));
	ok(nest_append(&f->c, "x", 2, AUDIENCE_PUBLIC));
	c = chunk_of(f, 0, 2);
	buf_init(&note, LIMIT_NOTE_BYTES);
	nest_head(&f->c, SLICE_LIT("c.example/symbolon/1"), &note);
	c.chunk.note = buf_slice(&note);
	assert_int_not_equal(nest_accept(&f->b, &c), ERR_OK);
	assert_int_equal(size_at(&f->b, ORIGIN_A), 0);
	buf_free(&note);
}

static void a_removed_member_ends_at_its_final_head(void **state)
{
	struct fixture *f = *state;
	struct nest *all[] = { &f->a, &f->b, &f->c };
	struct nest_chunk c;
	struct head final;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	final = nest_head(&f->a, ORIGIN_A, NULL).noted;
	c = chunk_of(f, 0, 3);
	ok(nest_accept(&f->b, &c));
	nest_expel(all, 3, 0, &final);
	ok(nest_append(&f->a, "y", 5, AUDIENCE_PUBLIC));
	c = chunk_of(f, 3, 3);
	assert_int_equal(nest_accept(&f->b, &c), ERR_LIMIT);
	c = chunk_of(f, 3, 2);
	ok(nest_accept(&f->b, &c));
	c = chunk_of(f, 5, 1);
	assert_int_equal(nest_accept(&f->b, &c), ERR_LIMIT);
	nest_check(&f->b, ORIGIN_A);
}

/* ---- Forks ---------------------------------------------------------------- */

static enum err freeze(struct writer_txn *t, void *arg)
{
	uint32_t log;

	(void)arg;
	ok(store_log_find(writer_store(t), ORIGIN_A, &log));
	return writer_freeze(t, log, SLICE_LIT("evidence"));
}

static enum err cosign_a(struct writer_txn *t, void *arg)
{
	uint32_t log;

	(void)arg;
	ok(store_log_find(writer_store(t), ORIGIN_A, &log));
	return writer_cosign(t, log);
}

static void a_frozen_log_stays_frozen_over_a_restart(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;
	struct store_txn *t;
	struct slice doc;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	ok(nest_sync(&f->a, &f->b, 5));
	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	ok(nest_run(&f->b, freeze, NULL));
	assert_int_equal(nest_run(&f->b, freeze, NULL), ERR_EXISTS);
	reopen(&f->b);
	assert_true(nest_head(&f->b, ORIGIN_A, NULL).frozen);
	c = chunk_of(f, 5, 5);
	assert_int_equal(nest_accept(&f->b, &c), ERR_FORK);
	assert_int_equal(nest_run(&f->b, cosign_a, NULL), ERR_FORK);
	ok(store_read(f->b.home.store, &t));
	ok(store_list_get(t, STORE_FORKS, 1, &doc));
	assert_true(slice_is(doc, "evidence"));
	store_abort(t);
	/* the own log, too: no more is signed on top of two histories */
	ok(nest_run(&f->a, freeze, NULL));
	assert_int_equal(nest_append(&f->a, "y", 1, AUDIENCE_PUBLIC), ERR_FORK);
}

/* ---- Countersignatures ---------------------------------------------------- */

struct cosignature {
	uint64_t size;
	struct slice line;
};

static enum err add_cosignature(struct writer_txn *t, void *arg)
{
	struct cosignature *c = arg;
	uint32_t log;

	ok(store_log_find(writer_store(t), ORIGIN_A, &log));
	return writer_add_cosignature(t, log, c->size, c->line);
}

/* @n's witness line on the head of @a's log, as @a holds it. */
static struct buf cosignature_of(struct fixture *f, struct nest *n,
				 uint64_t seconds)
{
	struct head head = nest_head(&f->a, ORIGIN_A, NULL).noted;
	struct keys *k = &n->home.keys;
	struct buf line;

	buf_init(&line, 4096);
	log_cosign(ORIGIN_A, &head, &k->witness.key, k->witness.secret, seconds,
		   &line);
	return line;
}

static void countersignatures_come_under_the_note(void **state)
{
	struct fixture *f = *state;
	struct buf b, c;
	struct cosignature of_b, of_c;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	b = cosignature_of(f, &f->b, 1000);
	c = cosignature_of(f, &f->c, 1000);
	of_b = (struct cosignature){ 5, buf_slice(&b) };
	of_c = (struct cosignature){ 5, buf_slice(&c) };
	ok(nest_run(&f->a, add_cosignature, &of_b));
	assert_int_equal(signatures(&f->a, ORIGIN_A), 2);
	assert_int_equal(nest_run(&f->a, add_cosignature, &of_b), ERR_EXISTS);
	ok(nest_run(&f->a, add_cosignature, &of_c));
	assert_int_equal(signatures(&f->a, ORIGIN_A), 3);
	/* one line of a witness: a newer one takes its place */
	buf_free(&b);
	b = cosignature_of(f, &f->b, 2000);
	of_b.line = buf_slice(&b);
	ok(nest_run(&f->a, add_cosignature, &of_b));
	assert_int_equal(signatures(&f->a, ORIGIN_A), 3);
	/* they travel with the note, each checked again */
	ok(nest_sync(&f->a, &f->b, 10));
	assert_int_equal(signatures(&f->b, ORIGIN_A), 3);
	/* a new head has none yet */
	ok(nest_append(&f->a, "y", 1, AUDIENCE_PUBLIC));
	assert_int_equal(signatures(&f->a, ORIGIN_A), 1);
	/* an acknowledgement that comes late still counts */
	buf_free(&c);
	c = cosignature_of(f, &f->c, 3000);
	of_c = (struct cosignature){ 6, buf_slice(&c) };
	ok(nest_append(&f->a, "z", 1, AUDIENCE_PUBLIC));
	ok(nest_run(&f->a, add_cosignature, &of_c));
	assert_int_equal(signatures(&f->a, ORIGIN_A), 1);
	buf_free(&b);
	buf_free(&c);
	reopen(&f->a);
}

static void a_countersignature_must_be_a_members_on_what_is_held(void **state)
{
	struct fixture *f = *state;
	struct buf b, own;
	struct cosignature c;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	b = cosignature_of(f, &f->b, 1000);
	own = cosignature_of(f, &f->a, 1000);
	c = (struct cosignature){ 4, buf_slice(&b) };
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_INVALID);
	c.size = 6;
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_BAD_STATE);
	c.size = 0;
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_MALFORMED);
	c = (struct cosignature){ 5, slice_of(b.p, b.n - 1) };
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_MALFORMED);
	c = (struct cosignature){ 5, slice_of(NULL, 0) };
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_MALFORMED);
	c.line = flipped(f, buf_slice(&b), b.n - 20);
	assert_int_not_equal(nest_run(&f->a, add_cosignature, &c), ERR_OK);
	c.line = buf_slice(&own);
	assert_int_equal(nest_run(&f->a, add_cosignature, &c), ERR_EXISTS);
	assert_int_equal(signatures(&f->a, ORIGIN_A), 1);
	buf_free(&b);
	buf_free(&own);
}

static void one_head_is_not_cosigned_again_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nest_run(&f->b, cosign_a, NULL), ERR_BAD_STATE);
	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	ok(nest_sync(&f->a, &f->b, 10));
	assert_int_equal(nest_run(&f->b, cosign_a, NULL), ERR_EXISTS);
	assert_int_equal(nest_run(&f->a, cosign_a, NULL), ERR_BAD_STATE);
	writer_set_signing(f->b.home.writer, SIGNING_WAITING);
	assert_int_equal(nest_run(&f->b, cosign_a, NULL), ERR_RECOVERING);
}

static enum err heard(struct writer_txn *t, void *arg)
{
	uint32_t log;

	ok(store_log_find(writer_store(t), ORIGIN_A, &log));
	return writer_heard(t, log, *(uint64_t *)arg);
}

static void hearing_goes_forward_only(void **state)
{
	struct fixture *f = *state;
	uint64_t times[] = { 50, 40, 60 };

	for (int i = 0; i < 3; i++)
		ok(nest_run(&f->b, heard, &times[i]));
	reopen(&f->b);
	assert_int_equal(nest_head(&f->b, ORIGIN_A, NULL).heard_ms, 60);
}

/* ---- Documents ------------------------------------------------------------ */

static enum err put_card(struct writer_txn *t, void *arg)
{
	const char *why;

	return writer_put_card(t, buf_slice(arg), &why);
}

static void only_the_own_card_is_kept_before_there_is_a_roster(void **state)
{
	struct fixture *f = *state;
	struct buf own = nest_card(&f->a, 1), foreign;
	struct members *m;

	nest_open(&f->b);
	foreign = nest_card(&f->b, 1);
	assert_int_equal(nest_run(&f->a, put_card, &foreign), ERR_DENIED);
	ok(nest_run(&f->a, put_card, &own));
	assert_int_equal(nest_run(&f->a, put_card, &own), ERR_EXISTS);
	m = members_hold(f->a.home.members);
	assert_null(m->roster);
	assert_non_null(members_card(m, SLICE_LIT("a.example")));
	assert_null(members_card(m, SLICE_LIT("b.example")));
	members_release(m);
	buf_free(&own);
	buf_free(&foreign);
}

static void cards_and_rosters_take_effect_with_their_commit(void **state)
{
	struct fixture *f = *state;
	struct members *m = members_hold(f->a.home.members);
	const struct descriptor *card;

	assert_non_null(m->roster);
	assert_true(digest_equal(&m->alliance, &m->roster->hash));
	assert_int_equal(m->card_count, 3);
	assert_true(members_has(m, SLICE_LIT("b.example")));
	assert_false(members_has(m, SLICE_LIT("d.example")));
	card = members_by_pin(m, &f->b.home.keys.tls_spki);
	assert_non_null(card);
	assert_true(slice_is(card->member, "b.example"));
	assert_null(members_by_pin(m, &m->alliance));
	assert_int_equal(size_at(&f->a, ORIGIN_B), 0);
	members_release(m);
	reopen(&f->a);
	m = members_hold(f->a.home.members);
	assert_int_equal(m->card_count, 3);
	members_release(m);
}

static void a_spoilt_document_is_refused_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct buf card = nest_card(&f->b, 3);
	struct members *before = members_hold(f->a.home.members), *after;

	card.p[card.n - 20] ^= 1;
	assert_int_not_equal(nest_run(&f->a, put_card, &card), ERR_OK);
	card.p[0] = 'x';
	assert_int_not_equal(nest_run(&f->a, put_card, &card), ERR_OK);
	after = members_hold(f->a.home.members);
	assert_ptr_equal(before, after);
	members_release(before);
	members_release(after);
	buf_free(&card);
}

/* ---- Start ---------------------------------------------------------------- */

static void fresh_keys_and_what_they_signed_are_trusted(void **state)
{
	struct fixture *f = *state;

	assert_true(writer_is_trusted(f->a.home.writer));
	assert_int_equal(writer_signing(f->a.home.writer), SIGNING_ALLOWED);
	reopen(&f->a);
	assert_true(writer_is_trusted(f->a.home.writer));
	ok(nest_append(&f->a, "x", 5, AUDIENCE_MEMBERS));
	reopen(&f->a);
	assert_true(writer_is_trusted(f->a.home.writer));
	ok(nest_append(&f->a, "y", 5, AUDIENCE_MEMBERS));
}

static void two_processes_cannot_have_one_directory(void **state)
{
	struct fixture *f = *state;
	struct nest second;
	struct buf why;

	buf_init(&why, 4096);
	nest_use(&second, f->a.dir);
	assert_int_equal(nest_try(&second, &why), ERR_BUSY);
	assert_true(why.n > 0);
	nest_free(&second);
	buf_free(&why);
}

static void copy_is_untrusted(struct fixture *f, const char *name)
{
	char *path = path_join(f->root, name);
	struct nest copy;

	nest_use(&copy, path);
	nest_open(&copy);
	assert_false(writer_is_trusted(copy.home.writer));
	assert_int_equal(writer_signing(copy.home.writer), SIGNING_RECOVERING);
	assert_int_equal(nest_append(&copy, "z", 1, AUDIENCE_PUBLIC),
			 ERR_RECOVERING);
	nest_free(&copy);
	free(path);
}

static void a_copied_directory_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->root, "copy");
	struct nest copy;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_MEMBERS));
	nest_close(&f->a);
	tmp_copy(f->a.dir, path);
	copy_is_untrusted(f, "copy");
	copy_is_untrusted(f, "copy"); /* opening it does not cure it */
	/* who decides to go on there makes it genuine */
	nest_use(&copy, path);
	nest_open(&copy);
	writer_set_signing(copy.home.writer, SIGNING_ALLOWED);
	reopen(&copy);
	assert_true(writer_is_trusted(copy.home.writer));
	nest_free(&copy);
	nest_open(&f->a);
	assert_true(writer_is_trusted(f->a.home.writer));
	free(path);
}

static void a_copy_of_unused_keys_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char *path = path_join(f->root, "copy");

	nest_open(&f->b); /* makes nothing but an empty log */
	nest_close(&f->b);
	tmp_copy(f->c.dir, path); /* never opened */
	copy_is_untrusted(f, "copy");
	tmp_remove(path);
}

static void replace_dir(const char *from, const char *to)
{
	tmp_remove(xstrdup(to));
	tmp_copy(from, to);
}

static void an_old_store_under_a_newer_guard_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char *store = path_join(f->a.dir, "data/store");
	char *saved = path_join(f->root, "saved");

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	nest_close(&f->a);
	tmp_copy(store, saved);
	nest_open(&f->a);
	ok(nest_append(&f->a, "y", 5, AUDIENCE_PUBLIC));
	nest_close(&f->a);
	replace_dir(saved, store);
	nest_open(&f->a);
	assert_int_equal(size_at(&f->a, ORIGIN_A), 5);
	assert_false(writer_is_trusted(f->a.home.writer));
	assert_int_equal(nest_append(&f->a, "z", 1, AUDIENCE_PUBLIC),
			 ERR_RECOVERING);
	free(store);
	free(saved);
}

static void an_old_vault_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char *vault = path_join(f->a.dir, "data/vault");
	char *saved = path_join(f->root, "saved");

	ok(nest_append(&f->a, "x", 5, AUDIENCE_MEMBERS));
	nest_close(&f->a);
	tmp_copy(vault, saved);
	nest_open(&f->a);
	ok(nest_append(&f->a, "y", 5, AUDIENCE_MEMBERS));
	nest_close(&f->a);
	replace_dir(saved, vault);
	nest_open(&f->a);
	assert_false(writer_is_trusted(f->a.home.writer));
	free(vault);
	free(saved);
}

static void a_missing_guard_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char *guard = path_join(f->a.dir, "data/guard");

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	nest_close(&f->a);
	unlink(guard);
	nest_open(&f->a);
	assert_false(writer_is_trusted(f->a.home.writer));
	free(guard);
}

static void lost_data_under_used_keys_is_not_trusted(void **state)
{
	struct fixture *f = *state;

	ok(nest_append(&f->a, "x", 5, AUDIENCE_PUBLIC));
	nest_close(&f->a);
	tmp_remove(path_join(f->a.dir, "data"));
	nest_open(&f->a);
	assert_int_equal(size_at(&f->a, ORIGIN_A), 0);
	assert_false(writer_is_trusted(f->a.home.writer));
}

static void a_lost_log_is_recovered_from_a_partner_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct nest_chunk c;
	struct buf raw;

	ok(nest_append(&f->a, "x", 600, AUDIENCE_MEMBERS));
	ok(nest_append(&f->a, "y", 5, AUDIENCE_OWN));
	ok(nest_sync(&f->a, &f->b, 100));
	nest_close(&f->a);
	tmp_remove(path_join(f->a.dir, "data"));
	nest_open(&f->a);
	buf_init(&raw, LIMIT_NOTE_BYTES);
	for (uint64_t at = 0; at < 605; at += 55) {
		nest_read(&f->b, ORIGIN_A, at, 55, true, &f->arena, &c);
		ok(nest_accept(&f->a, &c));
	}
	/* the own bodies that nobody else had are gone, the leaves are not */
	assert_int_equal(nest_head(&f->a, ORIGIN_A, NULL).missing, 5);
	assert_int_equal(nest_head(&f->a, ORIGIN_A, NULL).noted.size, 605);
	writer_set_signing(f->a.home.writer, SIGNING_ALLOWED);
	nest_read(&f->b, ORIGIN_A, 605, 0, true, &f->arena, &c);
	assert_int_equal(nest_accept(&f->a, &c), ERR_BAD_STATE);
	ok(nest_append(&f->a, "z", 5, AUDIENCE_MEMBERS));
	reopen(&f->a);
	assert_true(writer_is_trusted(f->a.home.writer));
	nest_check(&f->a, ORIGIN_A);
	buf_free(&raw);
}

static enum err spoil_frontier(struct writer_txn *t, void *arg)
{
	struct store_head head;
	uint32_t log = writer_own_log(t);

	(void)arg;
	ok(store_head_get(writer_store(t), log, &head));
	head.frontier.hash[0].b[0] ^= 1;
	return store_head_put(writer_store(t), log, &head);
}

static void
a_stored_head_that_the_records_do_not_lead_to_stops_the_start(void **state)
{
	struct fixture *f = *state;
	struct buf why;

	ok(nest_append(&f->a, "x", 300, AUDIENCE_PUBLIC));
	ok(nest_run(&f->a, spoil_frontier, NULL));
	nest_close(&f->a);
	buf_init(&why, 4096);
	assert_int_equal(nest_try(&f->a, &why), ERR_CORRUPT);
	assert_true(why.n > 0);
	buf_free(&why);
}

/* ---- Full disk ------------------------------------------------------------ */

static void fill_disk(const char *dir, size_t leave)
{
	char *path = path_join(dir, "balloon");
	struct statvfs v;
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(statvfs(dir, &v), 0);
	assert_int_equal(
		posix_fallocate(fd, 0,
				(off_t)(v.f_bavail * v.f_frsize - leave)),
		0);
	close(fd);
	free(path);
}

static void a_full_disk_is_a_clean_refusal_and_passes(void **state)
{
	struct fixture *f = *state;
	char *disk = path_join(f->root, "disk");
	char *balloon = path_join(disk, "balloon");
	struct nest n;

	assert_int_equal(mkdir(disk, 0700), 0);
	if (mount("tmpfs", disk, "tmpfs", 0, "size=32m") != 0) {
		print_message("skipped: no tmpfs can be mounted here\n");
		free(disk);
		free(balloon);
		skip();
	}
	nest_make(&n, disk, "d.example");
	nest_open(&n);
	ok(nest_append(&n, "x", 100, AUDIENCE_MEMBERS));
	for (size_t leave = 0; leave < (4u << 20); leave += 600000) {
		enum err err;
		uint64_t size = size_at(&n, SLICE_LIT("d.example/symbolon/1"));

		fill_disk(disk, leave);
		err = nest_append(&n, "y", 16000, AUDIENCE_MEMBERS);
		if (err != ERR_OK) {
			assert_int_equal(err, ERR_FULL);
			assert_int_equal(
				size_at(&n, SLICE_LIT("d.example/symbolon/1")),
				size);
		}
		assert_int_equal(
			nest_find(&n, SLICE_LIT("d.example/symbolon/1"), "x99"),
			1);
		unlink(balloon);
		ok(nest_append(&n, "z", 10, AUDIENCE_MEMBERS));
	}
	reopen(&n);
	assert_true(writer_is_trusted(n.home.writer));
	nest_check(&n, SLICE_LIT("d.example/symbolon/1"));
	nest_free(&n);
	assert_int_equal(umount(disk), 0);
	free(disk);
	free(balloon);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ALLIES(name)                                                           \
	cmocka_unit_test_setup_teardown(name, setup_allies, teardown)
	const struct CMUnitTest tests[] = {
		T(records_are_there_signed_and_found_after_a_restart),
		T(the_head_verifies_with_the_log_key_alone),
		T(sealed_bodies_are_in_no_byte_of_the_store),
		T(nothing_is_appended_while_recovering),
		T(an_empty_or_huge_body_is_not_prepared),
		T(no_two_records_share_a_salt),
		T(a_job_that_fails_after_puts_leaves_no_trace),
		T(a_job_that_fails_at_once_runs_once),
		T(only_the_guilty_job_of_a_batch_fails),
		T(events_tell_the_state_after_each_commit),
		T(memory_of_a_bulk_load_is_given_back_when_idle),
		ALLIES(a_log_travels_in_chunks_of_any_size),
		ALLIES(a_completed_head_is_cosigned_in_the_same_commit),
		ALLIES(a_head_that_is_not_complete_is_neither_kept_nor_cosigned),
		ALLIES(a_chunk_must_begin_where_the_replica_ends),
		ALLIES(a_changed_leaf_body_salt_hash_or_note_is_refused),
		ALLIES(a_leaf_too_long_is_refused),
		ALLIES(bodies_that_are_not_for_this_node_are_dropped),
		ALLIES(bodies_that_did_not_come_are_missing_until_repaired),
		T(a_log_of_nobody_known_is_refused),
		ALLIES(a_note_of_another_log_is_refused),
		ALLIES(a_removed_member_ends_at_its_final_head),
		ALLIES(a_frozen_log_stays_frozen_over_a_restart),
		ALLIES(countersignatures_come_under_the_note),
		ALLIES(a_countersignature_must_be_a_members_on_what_is_held),
		ALLIES(one_head_is_not_cosigned_again_at_once),
		ALLIES(hearing_goes_forward_only),
		T(only_the_own_card_is_kept_before_there_is_a_roster),
		ALLIES(cards_and_rosters_take_effect_with_their_commit),
		ALLIES(a_spoilt_document_is_refused_and_changes_nothing),
		T(fresh_keys_and_what_they_signed_are_trusted),
		T(two_processes_cannot_have_one_directory),
		T(a_copied_directory_is_not_trusted),
		T(a_copy_of_unused_keys_is_not_trusted),
		T(an_old_store_under_a_newer_guard_is_not_trusted),
		T(an_old_vault_is_not_trusted),
		T(a_missing_guard_is_not_trusted),
		T(lost_data_under_used_keys_is_not_trusted),
		ALLIES(a_lost_log_is_recovered_from_a_partner_and_goes_on),
		T(a_stored_head_that_the_records_do_not_lead_to_stops_the_start),
		T(a_full_disk_is_a_clean_refusal_and_passes),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
