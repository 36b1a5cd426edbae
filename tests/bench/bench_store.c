/* The durable half of the node by itself: preparing own records, writing
 * them, taking them over in chunks; no network, no parsing, one thread each.
 *
 * Usage: bench_store DIR [RECORDS]: prints "name value unit" lines. DIR must
 * exist and be empty. Records are credentials of about 350 bytes, sealed,
 * with two index entries. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "node/disk.h"
#include "node/home.h"
#include "node/log.h"
#include "proto/enc.h"

#define BATCH LIMIT_TXN_RECORDS
#define CHUNK 2400u /* about LIMIT_CHUNK_BYTES */
#define BATCH_ARENA_BYTES ((size_t)256 << 20)
#define MEMBER "bench-a.example"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(enum err err, const char *what)
{
	if (err == ERR_OK)
		return;
	fprintf(stderr, "bench_store: %s: %s\n", what, err_text(err));
	exit(1);
}

static uint64_t scramble(uint64_t x) /* splitmix64, a bijection */
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* ---- set-up --------------------------------------------------------------- */

static void put_config(const char *dir)
{
	char *yaml = path_join(dir, "symbolon.yaml");

	must(disk_write_new(yaml, 0600,
			    SLICE_LIT("member: " MEMBER "\nname: Bench\n"
				      "country: DK\nlisten: 127.0.0.1:7410\n"),
			    NULL),
	     yaml);
	free(yaml);
}

/* Two directories with the same keys: one writes, the other recovers. */
static void make_dirs(const char *a, const char *b)
{
	static const char *const names[] = {
		"governance.key", "governance.pub", "log.key", "witness.key",
		"index.key",	  "tls.key",	    "tls.crt",
	};
	char *from = path_join(a, "keys"), *to = path_join(b, "keys");

	must(disk_mkdir(a, NULL), a);
	must(disk_mkdir(b, NULL), b);
	put_config(a);
	put_config(b);
	must(keys_create(from, slice_str(MEMBER), NULL), from);
	must(disk_mkdir(to, NULL), to);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *source = path_join(from, names[i]);
		char *copy = path_join(to, names[i]);
		struct buf b2;

		buf_init(&b2, 1u << 20);
		must(disk_read(source, 1u << 20, &b2, NULL), source);
		must(disk_write_new(copy, 0600, buf_slice(&b2), NULL), copy);
		buf_free(&b2);
		free(source);
		free(copy);
	}
	free(from);
	free(to);
}

static void open_home(struct home *h, const char *dir)
{
	struct home_options o = { .dir = dir };
	struct buf why;
	enum err err;

	buf_init(&why, 4096);
	err = home_open(&o, h, &why);
	if (err != ERR_OK)
		fprintf(stderr, "%.*s\n", (int)why.n, (const char *)why.p);
	must(err, dir);
	buf_free(&why);
}

/* ---- own records ---------------------------------------------------------- */

static struct slice a_body(struct arena *a, struct buf *b, uint64_t i)
{
	static const char text[] =
		"urn:schac:personalUniqueCode:int:esi:bench-a.example, "
		"Database systems and their use in institutions of higher "
		"education; written examination, supervised, on site, with "
		"identity check";
	char id[64], learner[33];
	struct slice body;
	struct enc e;

	snprintf(id, sizeof(id), "BENCH-%012llu", (unsigned long long)i);
	snprintf(learner, sizeof(learner), "%016llx%016llx",
		 (unsigned long long)scramble(i / 8),
		 (unsigned long long)scramble(i / 8 + 1));
	buf_reset(b);
	enc_init(&e, b);
	enc_map(&e, 7);
	enc_cstr(&e, "achieved_on");
	enc_cstr(&e, "2024-01-20");
	enc_cstr(&e, "credential");
	enc_cstr(&e, id);
	enc_cstr(&e, "ects");
	enc_uint(&e, 500);
	enc_cstr(&e, "issued_on");
	enc_cstr(&e, "2024-02-01");
	enc_cstr(&e, "learner");
	enc_cstr(&e, learner);
	enc_cstr(&e, "offer");
	enc_cstr(&e, "02170");
	enc_cstr(&e, "text");
	enc_cstr(&e, text);
	must(enc_finish(&e), "body");
	must(arena_copy(a, buf_slice(b), &body), "arena");
	return body;
}

struct batch {
	struct writer_job job;
	struct prepared *p;
	uint32_t count;
};

static enum err append(struct writer_job *job, struct writer_txn *t)
{
	struct batch *b = (struct batch *)job;
	enum err err = ERR_OK;
	uint64_t seq;

	for (uint32_t i = 0; i < b->count && err == ERR_OK; i++)
		err = writer_append(t, &b->p[i], &seq);
	return err;
}

static void write_all(const char *dir, uint64_t records)
{
	double preparing = 0, writing = 0;
	struct preparer preparer;
	struct arena a, bodies;
	struct home h;
	struct buf b;

	open_home(&h, dir);
	preparer_init(&preparer, &h.keys, h.own_log);
	arena_init(&a, BATCH_ARENA_BYTES);
	arena_init(&bodies, BATCH_ARENA_BYTES);
	buf_init(&b, LIMIT_BODY_BYTES);
	for (uint64_t at = 0; at < records; at += BATCH) {
		uint64_t left = records - at;
		struct batch batch = {
			.job = { .apply = append },
			.count = left < BATCH ? (uint32_t)left : BATCH,
		};
		double start;

		arena_reset(&a);
		arena_reset(&bodies);
		batch.p = arena_array(&a, batch.count, sizeof(*batch.p));
		for (uint32_t i = 0; i < batch.count; i++) {
			batch.p[i].kind = KIND_CREDENTIAL;
			batch.p[i].audience = AUDIENCE_MEMBERS;
			batch.p[i].body = a_body(&bodies, &b, at + i);
			batch.job.bytes += batch.p[i].body.n + 64;
		}
		start = seconds();
		for (uint32_t i = 0; i < batch.count; i++)
			must(writer_prepare(&preparer, &a, &batch.p[i]),
			     "prepare");
		preparing += seconds() - start;
		batch.job.records = batch.count;
		start = seconds();
		must(writer_run(h.writer, &batch.job), "write");
		writing += seconds() - start;
	}
	printf("prepare %.0f per_second\n", (double)records / preparing);
	printf("write %.0f per_second\n", (double)records / writing);
	buf_free(&b);
	arena_free(&a);
	arena_free(&bodies);
	preparer_wipe(&preparer);
	home_close(&h);
}

/* ---- chunks --------------------------------------------------------------- */

struct taken {
	struct writer_job job;
	struct writer_chunk chunk;
};

static enum err take(struct writer_job *job, struct writer_txn *t)
{
	struct taken *k = (struct taken *)job;

	return writer_accept(t, &k->chunk);
}

static struct slice keep(struct arena *a, struct slice s)
{
	struct slice copy;

	must(arena_copy(a, s, &copy), "arena");
	return copy;
}

static void read_chunk(struct home *h, uint64_t at, uint32_t count,
		       struct arena *a, struct taken *out)
{
	struct record *r = arena_array(a, count, sizeof(*r));
	struct digest *right =
		arena_array(a, LIMIT_COVER_HASHES, sizeof(*right));
	struct store_source source = { NULL, h->own_log };
	struct merkle_source src;
	struct store_head head;

	must(store_read(h->store, &source.txn), "read");
	must(store_head_get(source.txn, h->own_log, &head), "head");
	src = store_source_of(&source);
	for (uint32_t i = 0; i < count; i++) {
		struct record row;
		uint8_t salt[LIMIT_SALT_BYTES];

		must(store_record_get(source.txn, h->own_log, at + i, &row),
		     "record");
		must(vault_get(h->vault, h->own_log, at + i, salt), "salt");
		r[i].leaf = keep(a, row.leaf);
		r[i].body = keep(a, row.body);
		r[i].salt = keep(a, slice_of(salt, sizeof(salt)));
		out->job.bytes += row.leaf.n + row.body.n + sizeof(salt);
	}
	out->chunk = (struct writer_chunk){ .from = at,
					    .note = keep(a, head.note),
					    .count = count,
					    .records = r,
					    .right = right };
	out->job.apply = take;
	out->job.records = count;
	must(merkle_range(&src, at + count, head.noted.size, right,
			  &out->chunk.right_count),
	     "range");
	store_abort(source.txn);
}

/* As many chunks as make one transaction are handed in together. */
static void take_all(const char *from, const char *to, uint64_t records)
{
	struct taken chunk[BATCH / CHUNK + 1];
	struct home a, b;
	struct arena arena;
	double taking = 0;
	uint64_t at = 0;

	open_home(&a, from);
	open_home(&b, to);
	arena_init(&arena, BATCH_ARENA_BYTES);
	while (at < records) {
		size_t n = 0;
		double start;

		arena_reset(&arena);
		memset(chunk, 0, sizeof(chunk));
		while (n < sizeof(chunk) / sizeof(chunk[0]) && at < records) {
			uint64_t left = records - at;
			uint32_t count = left < CHUNK ? (uint32_t)left : CHUNK;

			read_chunk(&a, at, count, &arena, &chunk[n]);
			chunk[n++].chunk.log = b.own_log;
			at += count;
		}
		start = seconds();
		for (size_t i = 0; i + 1 < n; i++)
			writer_submit(b.writer, &chunk[i].job);
		must(writer_run(b.writer, &chunk[n - 1].job), "take");
		taking += seconds() - start;
	}
	printf("take_over %.0f per_second\n", (double)records / taking);
	arena_free(&arena);
	home_close(&b);
	home_close(&a);
}

/* ---- small writes --------------------------------------------------------- */

static void write_singly(const char *dir, unsigned count)
{
	struct preparer preparer;
	struct arena a;
	struct home h;
	struct buf b;
	double start;

	open_home(&h, dir);
	preparer_init(&preparer, &h.keys, h.own_log);
	arena_init(&a, BATCH_ARENA_BYTES);
	buf_init(&b, LIMIT_BODY_BYTES);
	start = seconds();
	for (unsigned i = 0; i < count; i++) {
		struct batch one = { .job = { .apply = append, .records = 1 },
				     .count = 1 };

		arena_reset(&a);
		one.p = arena_array(&a, 1, sizeof(*one.p));
		one.p->kind = KIND_CREDENTIAL;
		one.p->audience = AUDIENCE_MEMBERS;
		one.p->body = a_body(&a, &b, (uint64_t)1 << 40 | i);
		must(writer_prepare(&preparer, &a, one.p), "prepare");
		must(writer_run(h.writer, &one.job), "write");
	}
	printf("write_singly %.0f microseconds\n",
	       (seconds() - start) / count * 1e6);
	buf_free(&b);
	arena_free(&a);
	preparer_wipe(&preparer);
	home_close(&h);
}

static void report_size(const char *dir, uint64_t records)
{
	char *path = path_join(dir, "data/store/data.mdb");
	struct stat st;

	if (stat(path, &st) == 0)
		printf("store_bytes %.0f per_record\n",
		       (double)st.st_size / (double)records);
	free(path);
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	char *a, *b;

	if (argc < 2 || records == 0) {
		fprintf(stderr, "usage: bench_store DIR [RECORDS]\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	a = path_join(argv[1], "a");
	b = path_join(argv[1], "b");
	make_dirs(a, b);
	write_all(a, records);
	report_size(a, records);
	take_all(a, b, records);
	write_singly(a, 1000);
	free(a);
	free(b);
	return 0;
}
