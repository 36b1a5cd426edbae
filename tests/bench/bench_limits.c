/* The machine's own limits, for one core: what the figures of the node are
 * compared with in the same run.
 *
 * Usage: bench_limits DIR: prints "name value unit" lines. DIR gets a
 * scratch LMDB environment that is removed again. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lmdb.h>

#include "proto/hash.h"
#include "proto/record.h"
#include "proto/seal.h"
#include "proto/sig.h"

#define RECORD_BYTES 350
#define APPENDS 1000000u
#define BATCH 50000u

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *name, double count, double start)
{
	printf("%s %.0f per_second\n", name, count / (seconds() - start));
}

static uint64_t scramble(uint64_t x) /* splitmix64, a bijection */
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void hashing(void)
{
	uint8_t body[RECORD_BYTES] = { 1 };
	uint8_t salt[LIMIT_SALT_BYTES] = { 2 };
	struct digest d = hash_empty(), e = d;
	double start = seconds();
	int i;

	for (i = 0; i < 400000; i++) {
		d = hash_leaf(slice_of(body, 42));
		e = hash_node(&d, &e);
		e = hash_node(&e, &d);
		memcpy(body, d.b, sizeof d.b);
	}
	report("hash_leaf_and_two_nodes", 400000, start);
	start = seconds();
	for (i = 0; i < 400000; i++) {
		d = record_commit(salt, &e, slice_of(body, sizeof body));
		memcpy(body, d.b, sizeof d.b);
	}
	report("commitment", 400000, start);
}

static void sealing(void)
{
	uint8_t body[RECORD_BYTES] = { 1 };
	uint8_t salt[LIMIT_SALT_BYTES] = { 2 };
	struct sealer *s = sealer_open();
	struct buf out;
	double start = seconds();
	int i;

	buf_init(&out, 4096);
	for (i = 0; i < 200000; i++) {
		salt[0] = (uint8_t)i;
		buf_reset(&out);
		if (seal_body(s, salt, slice_of(body, sizeof body), &out))
			abort();
	}
	report("seal_fresh_key", 200000, start);
	buf_free(&out);
	sealer_close(s);
}

static void signing(void)
{
	uint8_t secret[SIG_SECRET_BYTES] = { 3 }, pub[SIG_PUBLIC_BYTES];
	uint8_t sig[SIG_BYTES];
	struct slice text =
		SLICE_LIT("a head of a log, about this long in all");
	double start;
	int i;

	sig_public(secret, pub);
	start = seconds();
	for (i = 0; i < 20000; i++)
		sig_sign(secret, text, sig);
	report("sign", 20000, start);
	start = seconds();
	for (i = 0; i < 10000; i++)
		if (sig_verify(pub, text, slice_of(sig, sizeof sig)))
			abort();
	report("verify", 10000, start);
}

static void check(int rc)
{
	if (rc != 0) {
		fprintf(stderr, "bench_limits: %s\n", mdb_strerror(rc));
		exit(1);
	}
}

/* @random: 20-byte index keys all over; else records at the end. */
static void storing(MDB_env *env, const char *name, bool random)
{
	uint8_t key[20] = { 0 }, data[RECORD_BYTES] = { 0 };
	MDB_val k = { 8, key }, v = { sizeof data, data };
	MDB_txn *txn;
	MDB_dbi dbi;
	double start = seconds();
	uint32_t i, j;

	for (i = 0; i < APPENDS; i += BATCH) {
		check(mdb_txn_begin(env, NULL, 0, &txn));
		check(mdb_dbi_open(txn, name, MDB_CREATE, &dbi));
		for (j = i; j < i + BATCH; j++) {
			put_u64be(key, random ? scramble(j) : j);
			if (random) {
				k.mv_size = sizeof key;
				v.mv_size = 16;
			}
			check(mdb_put(txn, dbi, &k, &v,
				      random ? 0 : MDB_APPEND));
		}
		check(mdb_txn_commit(txn));
	}
	report(random ? "lmdb_random_insert" : "lmdb_append", APPENDS, start);
}

static void disk(const char *dir)
{
	char path[4096];
	MDB_env *env;

	snprintf(path, sizeof path, "%s/limits", dir);
	if (mkdir(path, 0700) != 0)
		exit(1);
	check(mdb_env_create(&env));
	check(mdb_env_set_mapsize(env, (size_t)8 << 30));
	check(mdb_env_set_maxdbs(env, 4));
	check(mdb_env_open(env, path, MDB_NORDAHEAD, 0600));
	storing(env, "append", false);
	storing(env, "random", true);
	mdb_env_close(env);
	snprintf(path, sizeof path, "%s/limits/data.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/limits/lock.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/limits", dir);
	rmdir(path);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: bench_limits DIR\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	hashing();
	sealing();
	signing();
	disk(argv[1]);
	return 0;
}
