#include "shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void ok(enum err e, struct buf *why)
{
	if (e != ERR_OK)
		fail_msg("%s: %.*s", err_text(e), (int)why->n,
			 (const char *)why->p);
}

static void open_members(struct shelf *s, struct buf *why)
{
	struct members *m;
	struct store_txn *t;

	ok(store_read(s->home.store, &t), why);
	ok(members_load(t, &m, why), why);
	store_abort(t);
	s->home.members = members_cell_open(m);
}

void shelf_open(struct shelf *s, const char *own)
{
	static const uint8_t secret[32] = { 7 };
	struct store_options o = { .map_bytes = (uint64_t)4 << 30,
				   .create = true };
	char path[96];
	struct buf why;

	memset(s, 0, sizeof(*s));
	buf_init(&why, 4096);
	snprintf(s->dir, sizeof(s->dir), "/tmp/symbolon-shelf-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(path, sizeof(path), "%s/store", s->dir);
	o.path = path;
	ok(store_open(&o, &s->home.store, &why), &why);
	snprintf(path, sizeof(path), "%s/vault", s->dir);
	ok(vault_open(path, &s->home.vault, &why), &why);
	s->home.config.member = xstrdup(own);
	index_keys_init(&s->home.index, secret);
	open_members(s, &why);
	s->sealer = sealer_open();
	buf_init(&s->sealed, LIMIT_BODY_BYTES + SEAL_TAG_BYTES);
	buf_init(&s->scratch, LIMIT_TEXT_BYTES);
	buf_free(&why);
}

void shelf_close(struct shelf *s)
{
	char command[96];

	store_abort(s->txn);
	store_close(s->home.store);
	vault_close(s->home.vault);
	members_cell_close(s->home.members);
	free(s->home.config.member);
	sealer_close(s->sealer);
	buf_free(&s->sealed);
	buf_free(&s->scratch);
	for (uint32_t i = 0; i < s->log_count; i++)
		free(s->origins[i]);
	snprintf(command, sizeof(command), "rm -r '%s'", s->dir);
	assert_int_equal(system(command), 0);
}

static void begin(struct shelf *s)
{
	if (s->txn == NULL)
		assert_int_equal(store_write(s->home.store, &s->txn), ERR_OK);
}

uint32_t shelf_log(struct shelf *s, const char *member, uint64_t heard_ms)
{
	struct buf origin;
	uint32_t log;

	begin(s);
	buf_init(&origin, LIMIT_ORIGIN_BYTES);
	log_origin_put(slice_str(member), 1, &origin);
	assert_int_equal(store_log_add(s->txn, buf_slice(&origin), &log),
			 ERR_OK);
	assert_true(log < SHELF_LOGS);
	if (log == s->log_count) {
		s->log_count++;
		s->origins[log] = xstrndup(buf_slice(&origin));
		s->origin_hash[log] = hash_bytes(buf_slice(&origin));
		frontier_init(&s->heads[log].frontier);
	}
	s->heads[log].heard_ms = heard_ms;
	buf_free(&origin);
	return log;
}

static void add_entry(void *arg, enum store_index table,
		      const struct store_entry *e)
{
	struct shelf *s = arg;

	assert_int_equal(store_index_put(s->txn, table, e), ERR_OK);
}

static bool is_entitled(const struct shelf *s, uint32_t log, uint64_t audience)
{
	const char *own = s->home.config.member;
	size_t n = strlen(own);

	return audience_admits(audience, true,
			       strncmp(s->origins[log], own, n) == 0 &&
				       s->origins[log][n] == '/');
}

uint64_t shelf_add(struct shelf *s, uint32_t log, uint32_t kind,
		   uint64_t audience, struct slice body)
{
	uint8_t salt[LIMIT_SALT_BYTES], leaf[LIMIT_LEAF_BYTES];
	struct store_head *h = &s->heads[log];
	uint64_t seq = h->frontier.size;
	struct leaf l = { .kind = kind, .audience = audience };
	struct index_item item = {
		.log = log, .seq = seq, .kind = kind, .body = body
	};
	struct record r = { .leaf = { leaf, 0 } };
	struct digest hash;

	begin(s);
	memset(salt, 1, sizeof(salt));
	put_u64be(salt, seq);
	l.commitment = record_commit(salt, &s->origin_hash[log], body);
	r.leaf.n = leaf_encode(&l, leaf);
	if (audience == AUDIENCE_PUBLIC) {
		r.salt = slice_of(salt, sizeof(salt));
		r.body = body;
	} else if (is_entitled(s, log, audience)) {
		buf_reset(&s->sealed);
		assert_int_equal(seal_body(s->sealer, salt, body, &s->sealed),
				 ERR_OK);
		r.body = buf_slice(&s->sealed);
		assert_int_equal(vault_put(s->home.vault, log, seq, salt, 1),
				 ERR_OK);
	}
	assert_int_equal(store_record_append(s->txn, log, seq, &r), ERR_OK);
	if (r.body.n > 0)
		index_record(&s->home.index, &item, &s->scratch, add_entry, s);
	hash = hash_leaf(r.leaf);
	frontier_push(&h->frontier, &hash, NULL, NULL);
	store_head_add_leaf(h, r.leaf);
	return seq;
}

void shelf_commit(struct shelf *s)
{
	begin(s);
	for (uint32_t i = 0; i < s->log_count; i++) {
		s->heads[i].noted = frontier_head(&s->heads[i].frontier);
		assert_int_equal(store_head_put(s->txn, i, &s->heads[i]),
				 ERR_OK);
	}
	assert_int_equal(vault_sync(s->home.vault), ERR_OK);
	assert_int_equal(store_commit(s->txn), ERR_OK);
	s->txn = NULL;
}
