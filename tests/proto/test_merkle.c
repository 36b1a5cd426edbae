#include "proto/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "proto/text.h"
#include "tests/lib/shared.h"

/* Fixture: the leaf hashes of one tree, and roots made from them as RFC 6962
 * 2.1 writes it, slowly and without the code under test. */

#define LEAVES_MAX 2048u
#define LEVELS_MAX 12u

struct tree {
	uint64_t size;
	uint64_t shift; /* leaf from which the source reads */
	struct digest leaf[LEAVES_MAX];
	struct digest node[LEVELS_MAX][LEAVES_MAX]; /* what a push reported */
	struct frontier frontier;
};

static void on_node(void *arg, struct merkle_pos pos, const struct digest *h)
{
	struct tree *t = arg;

	assert_in_range(pos.level, 1, LEVELS_MAX - 1);
	t->node[pos.level][pos.index] = *h;
}

static void grow(struct tree *t, struct slice entry)
{
	t->leaf[t->size] = hash_leaf(entry);
	t->node[0][t->size] = t->leaf[t->size];
	frontier_push(&t->frontier, &t->leaf[t->size], on_node, t);
	t->size++;
}

static struct tree *a_tree(uint64_t size)
{
	struct tree *t = xcalloc(1, sizeof(*t));
	char entry[32];

	frontier_init(&t->frontier);
	while (t->size < size) {
		(void)snprintf(entry, sizeof(entry), "entry %u",
			       (unsigned)t->size);
		grow(t, slice_str(entry));
	}
	return t;
}

static struct digest naive(const struct tree *t, uint64_t from, uint64_t to)
{
	struct digest left, right;
	uint64_t half = 1;

	if (from == to)
		return hash_empty();
	if (to - from == 1)
		return t->leaf[from];
	while (half * 2 < to - from)
		half *= 2;
	left = naive(t, from, from + half);
	right = naive(t, from + half, to);
	return hash_node(&left, &right);
}

static struct head naive_head(const struct tree *t, uint64_t size)
{
	return (struct head){ size, naive(t, 0, size) };
}

static enum err read_tree(void *arg, struct merkle_pos pos, struct digest *out)
{
	struct tree *t = arg;
	uint64_t from = t->shift + (pos.index << pos.level);

	*out = naive(t, from, from + ((uint64_t)1 << pos.level));
	return ERR_OK;
}

static struct merkle_source source_of(struct tree *t)
{
	return (struct merkle_source){ read_tree, t };
}

static void assert_digest(const struct digest *a, const struct digest *b)
{
	assert_memory_equal(a->b, b->b, DIGEST_BYTES);
}

static struct digest from_hex(const char *hex)
{
	struct digest d;

	assert_true(text_parse_hex(slice_str(hex), d.b, DIGEST_BYTES));
	return d;
}

static const char *text_of(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static uint64_t number_of(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_real(v))
		return (uint64_t)json_integer_value(v);
	return json_real_value(v) < 9e18 ? (uint64_t)json_real_value(v)
					 : UINT64_MAX;
}

/* Frontiers and covers. */

static void the_root_of_nothing_is_the_hash_of_nothing(void **state)
{
	struct frontier f;
	struct head h;
	struct digest empty = hash_bytes(slice_of("", 0));

	(void)state;
	frontier_init(&f);
	h = frontier_head(&f);
	assert_int_equal(h.size, 0);
	assert_digest(&h.root, &empty);
}

static void the_reference_tree_has_the_published_roots(void **state)
{
	json_t *doc = shared_json("vectors/tlog/rfc6962-reference-tree.json");
	json_t *inputs = json_object_get(doc, "leaf_inputs_hex");
	json_t *roots = json_object_get(doc, "roots_by_size");
	json_t *hashes = json_object_get(doc, "leaf_hashes");
	struct frontier f;
	uint8_t leaf[64];

	(void)state;
	frontier_init(&f);
	for (size_t i = 0; i < json_array_size(roots); i++) {
		const char *hex = json_string_value(json_array_get(roots, i));
		struct digest want = from_hex(hex), h;
		struct head head = frontier_head(&f);
		size_t n;

		assert_int_equal(head.size, i);
		assert_digest(&head.root, &want);
		if (i == json_array_size(inputs))
			break;
		hex = json_string_value(json_array_get(inputs, i));
		n = strlen(hex) / 2;
		assert_true(text_parse_hex(slice_str(hex), leaf, n));
		h = hash_leaf(slice_of(leaf, n));
		want = from_hex(json_string_value(json_array_get(hashes, i)));
		assert_digest(&h, &want);
		frontier_push(&f, &h, NULL, NULL);
	}
	json_decref(doc);
}

static void a_frontier_is_the_cover_of_its_size_up_to_2000(void **state)
{
	struct tree *t = a_tree(0);
	struct merkle_pos pos[LIMIT_COVER_HASHES];
	char entry[32];

	(void)state;
	for (uint64_t n = 0; n <= 2000; n++) {
		uint32_t count = merkle_cover(0, n, pos);
		struct head head = frontier_head(&t->frontier);
		struct digest want = naive(t, 0, n);

		assert_int_equal(t->frontier.size, n);
		assert_int_equal(t->frontier.count, count);
		for (uint32_t i = 0; i < count; i++)
			assert_digest(&t->frontier.hash[i],
				      &t->node[pos[i].level][pos[i].index]);
		assert_digest(&head.root, &want);
		(void)snprintf(entry, sizeof(entry), "%u", (unsigned)n);
		grow(t, slice_str(entry));
	}
	free(t);
}

static void a_push_reports_each_completed_subtree_once(void **state)
{
	struct tree *t = a_tree(300);

	(void)state;
	for (unsigned level = 1; level <= 8; level++) {
		for (uint64_t i = 0; i < 300u >> level; i++) {
			struct digest want =
				naive(t, i << level, (i + 1) << level);

			assert_digest(&t->node[level][i], &want);
		}
	}
	free(t);
}

static void covers_tile_every_range_with_aligned_subtrees(void **state)
{
	struct merkle_pos pos[LIMIT_COVER_HASHES];

	(void)state;
	for (uint64_t from = 0; from <= 130; from++) {
		for (uint64_t to = from; to <= 130; to++) {
			uint32_t n = merkle_cover(from, to, pos);
			uint64_t at = from;

			for (uint32_t i = 0; i < n; i++) {
				assert_int_equal(pos[i].index << pos[i].level,
						 at);
				at += (uint64_t)1 << pos[i].level;
			}
			assert_int_equal(at, to);
		}
	}
}

static void the_longest_cover_fits_its_limit(void **state)
{
	struct merkle_pos pos[LIMIT_COVER_HASHES];
	uint64_t end = ((uint64_t)1 << LIMIT_SIZE_LOG2) - 1;

	(void)state;
	assert_int_equal(merkle_cover(1, end, pos), 2 * 62);
	assert_int_equal(merkle_cover(0, end, pos), 63);
	assert_int_equal(merkle_cover(end, end, pos), 0);
}

static void a_fold_gives_the_root_of_any_two_covers(void **state)
{
	struct tree *t = a_tree(40);
	struct merkle_source src = source_of(t);
	struct merkle_pos pos[2 * LIMIT_COVER_HASHES];
	struct digest hash[2 * LIMIT_COVER_HASHES], root;

	(void)state;
	for (uint64_t size = 0; size <= 40; size++) {
		for (uint64_t a = 0; a <= size; a++) {
			struct digest want = naive(t, 0, size);
			uint32_t l = merkle_cover(0, a, pos), r, n;

			r = merkle_cover(a, size, pos + l);
			assert_int_equal(merkle_range(&src, 0, a, hash, &n),
					 ERR_OK);
			assert_int_equal(
				merkle_range(&src, a, size, hash + l, &n),
				ERR_OK);
			assert_int_equal(merkle_fold(pos, hash, l + r, &root),
					 ERR_OK);
			assert_digest(&root, &want);
		}
	}
	free(t);
}

static void a_fold_refuses_places_that_do_not_tile(void **state)
{
	static const struct merkle_pos bad[][3] = {
		{ { 0, 1 }, { 0, 2 }, { 0, 3 } }, /* begins behind 0 */
		{ { 1, 0 }, { 0, 3 }, { 0, 4 } }, /* a gap */
		{ { 1, 0 }, { 0, 1 }, { 0, 2 } }, /* an overlap */
		{ { 0, 0 }, { 1, 0 }, { 0, 2 } }, /* not aligned */
		{ { 63, 0 }, { 0, 0 }, { 0, 1 } }, /* too high */
		{ { 64, 0 }, { 0, 0 }, { 0, 1 } },
		{ { ~0u, 0 }, { 0, 0 }, { 0, 1 } },
		{ { 62, 0 }, { 62, 1 }, { 0, 0 } }, /* 2^63 leaves */
		{ { 62, 2 }, { 0, 0 }, { 0, 1 } }, /* index wraps around */
	};
	struct digest hash[3] = { hash_empty(), hash_empty(), hash_empty() };
	struct digest root;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(merkle_fold(bad[i], hash, 3, &root),
				 ERR_MALFORMED);
}

/* Acceptance of chunks. */

/* The chunk [from, to) of @t against its size @size. */
struct chunk {
	struct frontier before;
	struct digest leaf[80];
	struct digest right[LIMIT_COVER_HASHES];
	struct merkle_chunk c;
	struct head head;
};

static void a_chunk(struct tree *t, uint64_t from, uint64_t to, uint64_t size,
		    struct chunk *out)
{
	struct merkle_source src = source_of(t);

	assert_int_equal(merkle_frontier_at(&src, from, &out->before), ERR_OK);
	memcpy(out->leaf, t->leaf + from, (to - from) * sizeof(t->leaf[0]));
	out->c.leaf = out->leaf;
	out->c.leaf_count = (uint32_t)(to - from);
	out->c.right = out->right;
	assert_int_equal(
		merkle_range(&src, to, size, out->right, &out->c.right_count),
		ERR_OK);
	out->head.size = size;
}

static enum err accept(const struct chunk *k, struct frontier *after)
{
	return merkle_accept(&k->before, &k->c, &k->head, after, NULL, NULL);
}

static void every_split_of_every_size_up_to_70_is_accepted(void **state)
{
	struct tree *t = a_tree(70);
	struct frontier after;
	struct chunk k;

	(void)state;
	for (uint64_t size = 0; size <= 70; size++) {
		struct head head = naive_head(t, size);

		for (uint64_t from = 0; from <= size; from++) {
			for (uint64_t to = from; to <= size; to++) {
				struct head part;

				a_chunk(t, from, to, size, &k);
				k.head = head;
				assert_int_equal(accept(&k, &after), ERR_OK);
				assert_int_equal(after.size, to);
				if (to != size)
					continue;
				part = frontier_head(&after);
				assert_true(head_equal(&part, &head));
			}
		}
	}
	free(t);
}

static void flip(struct digest *d, unsigned bit)
{
	d->b[bit / 8 % DIGEST_BYTES] ^= (uint8_t)(1u << bit % 8);
}

static void assert_flip_is_refused(struct chunk *k, struct digest *d,
				   unsigned *bit)
{
	struct frontier after;

	*bit += 37;
	flip(d, *bit);
	assert_int_equal(accept(k, &after), ERR_INVALID);
	flip(d, *bit);
}

static void one_changed_bit_of_any_hash_is_refused(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 7, 8, 13, 16, 31, 33 };
	struct tree *t = a_tree(33);
	unsigned bit = 0;
	struct chunk k;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct head head = naive_head(t, sizes[s]);

		for (uint64_t from = 0; from <= head.size; from++) {
			for (uint64_t to = from; to <= head.size; to++) {
				a_chunk(t, from, to, head.size, &k);
				k.head = head;
				for (uint32_t i = 0; i < k.before.count; i++)
					assert_flip_is_refused(
						&k, &k.before.hash[i], &bit);
				for (uint32_t i = 0; i < k.c.leaf_count; i++)
					assert_flip_is_refused(&k, &k.leaf[i],
							       &bit);
				for (uint32_t i = 0; i < k.c.right_count; i++)
					assert_flip_is_refused(&k, &k.right[i],
							       &bit);
				assert_flip_is_refused(&k, &k.head.root, &bit);
			}
		}
	}
	free(t);
}

static void wrong_counts_are_refused(void **state)
{
	struct tree *t = a_tree(40);
	struct frontier after;
	struct chunk k;

	(void)state;
	for (uint64_t size = 1; size <= 40; size++) {
		for (uint64_t from = 0; from < size; from++) {
			uint64_t to = from + (size - from + 1) / 2;

			a_chunk(t, from, to, size, &k);
			k.head = naive_head(t, size);
			k.c.leaf_count--;
			assert_int_not_equal(accept(&k, &after), ERR_OK);
			k.c.leaf_count += 2;
			k.leaf[k.c.leaf_count - 1] = k.leaf[0];
			assert_int_not_equal(accept(&k, &after), ERR_OK);
			k.c.leaf_count--;
			k.c.right_count++;
			k.right[k.c.right_count - 1] = k.leaf[0];
			assert_int_equal(accept(&k, &after), ERR_MALFORMED);
			k.c.right_count--;
			if (k.c.right_count == 0)
				continue;
			k.c.right_count--;
			assert_int_equal(accept(&k, &after), ERR_MALFORMED);
		}
	}
	free(t);
}

/* A chunk in the middle does not pin the size: trees of 3 and of 4 can have
 * one root when what is a leaf in the one is a node in the other. That is why
 * the size is signed together with the root. A chunk that ends at the head
 * does pin it. */
static void a_whole_chunk_is_refused_for_another_size(void **state)
{
	struct tree *t = a_tree(20);
	struct frontier after;
	struct chunk k;

	(void)state;
	for (uint64_t size = 1; size <= 20; size++) {
		a_chunk(t, size / 2, size, size, &k);
		k.head = naive_head(t, size);
		k.head.size--;
		assert_int_equal(accept(&k, &after), ERR_MALFORMED);
		k.head.size += 2;
		assert_int_equal(accept(&k, &after), ERR_MALFORMED);
	}
	free(t);
}

static void impossible_heads_are_refused(void **state)
{
	struct tree *t = a_tree(5);
	struct frontier after;
	struct chunk k;

	(void)state;
	a_chunk(t, 3, 5, 5, &k);
	k.head.root = naive(t, 0, 5);
	k.head.size = 2; /* shorter than what is held */
	assert_int_equal(accept(&k, &after), ERR_MALFORMED);
	k.head.size = 4; /* shorter than what is sent */
	assert_int_equal(accept(&k, &after), ERR_MALFORMED);
	k.head.size = (uint64_t)1 << 63;
	assert_int_equal(accept(&k, &after), ERR_MALFORMED);
	k.head.size = UINT64_MAX;
	assert_int_equal(accept(&k, &after), ERR_MALFORMED);
	free(t);
}

static void the_published_chunk_proofs_are_accepted(void **state)
{
	json_t *doc = shared_json("vectors/tlog/generated/chunk-proofs.json");
	json_t *one, *chunk, *hash;
	size_t i, j, n, count = 0;

	(void)state;
	json_array_foreach(json_object_get(doc, "cases"), i, one)
	{
		uint64_t size = number_of(one, "size");
		struct tree *t = a_tree(size);
		struct head head = { size, from_hex(text_of(one, "root")) };
		json_t *chunks = json_object_get(one, "chunks");

		json_array_foreach(chunks, j, chunk)
		{
			struct frontier before, after;
			struct digest right[LIMIT_COVER_HASHES];
			struct merkle_pos pos[LIMIT_COVER_HASHES];
			uint64_t from = number_of(chunk, "from");
			uint64_t to = number_of(chunk, "to");
			struct merkle_chunk c = { t->leaf + from,
						  (uint32_t)(to - from), right,
						  0 };
			json_t *levels = json_object_get(chunk, "right_levels");

			before.size = from;
			before.count = 0;
			json_array_foreach(
				json_object_get(chunk, "frontier_before"), n,
				hash) before.hash[before.count++] =
				from_hex(json_string_value(hash));
			json_array_foreach(
				json_object_get(chunk, "right_range"), n, hash)
				right[c.right_count++] =
					from_hex(json_string_value(hash));
			assert_int_equal(merkle_cover(to, size, pos),
					 c.right_count);
			json_array_foreach(levels, n, hash) assert_int_equal(
				pos[n].level, json_integer_value(hash));
			assert_int_equal(merkle_accept(&before, &c, &head,
						       &after, NULL, NULL),
					 ERR_OK);
			count++;
		}
		free(t);
	}
	assert_true(count >= 13);
	json_decref(doc);
}

/* Proofs. */

/* Calls @check for each line of a file of JSON objects; returns their number,
 * not counting those for which it returned false. */
static size_t each_case(const char *name, bool (*check)(json_t *))
{
	struct buf file = shared_read(name);
	struct slice line, rest = buf_slice(&file);
	size_t n = 0;

	while (slice_cut(rest, '\n', &line, &rest)) {
		const char *text = (const char *)line.p;
		json_t *one = json_loadb(text, line.n, 0, NULL);

		/* 2^64 - 1 is beyond what the JSON library reads as integer. */
		if (one == NULL)
			one = json_loadb(text, line.n, JSON_DECODE_INT_AS_REAL,
					 NULL);
		assert_non_null(one);
		n += check(one);
		json_decref(one);
	}
	buf_free(&file);
	return n;
}

/* A hash of a test case. One that has not 32 bytes, which our types cannot
 * hold, is stood for by its hash: equal ones stay equal, none fits a tree. */
static struct digest hash_of(json_t *v)
{
	struct digest d;
	struct buf b;

	buf_init(&b, 64);
	buf_put_u8(&b, 0xff); /* not a prefix of leaf, node or nothing */
	assert_int_equal(text_parse_base64(slice_str(json_string_value(v)), &b),
			 ERR_OK);
	d = hash_bytes(buf_slice(&b));
	if (b.n == 1 + DIGEST_BYTES)
		memcpy(d.b, b.p + 1, DIGEST_BYTES);
	buf_free(&b);
	return d;
}

static bool is_hash(json_t *v)
{
	return json_string_length(v) == 44; /* 32 bytes in base64 */
}

static uint32_t proof_of(json_t *one, struct digest *out)
{
	json_t *proof = json_object_get(one, "proof"), *v;
	uint32_t n = 0;
	size_t i;

	json_array_foreach(proof, i, v)
	{
		assert_true(n < LIMIT_PATH_HASHES);
		out[n++] = hash_of(v);
	}
	return n;
}

static void assert_verdict(json_t *one, bool ok)
{
	bool want = !json_is_true(json_object_get(one, "wantErr"));

	if (ok != want)
		fail_msg("%s: %s", text_of(one, "file"),
			 want ? "refused" : "accepted");
}

static bool verify_inclusion(json_t *one, uint64_t index, uint64_t size)
{
	struct digest leaf = hash_of(json_object_get(one, "leafHash"));
	struct head head = { size, hash_of(json_object_get(one, "root")) };
	struct digest path[LIMIT_PATH_HASHES];
	uint32_t n = proof_of(one, path);

	/* A leaf hash of no bytes is not one, though it equals such a root. */
	return is_hash(json_object_get(one, "leafHash")) &&
	       merkle_verify_inclusion(&leaf, index, &head, path, n) == ERR_OK;
}

static bool check_inclusion(json_t *one)
{
	assert_verdict(one, verify_inclusion(one, number_of(one, "leafIdx"),
					     number_of(one, "treeSize")));
	return true;
}

static void the_published_inclusion_cases_are_judged_right(void **state)
{
	(void)state;
	assert_int_equal(each_case("vectors/tlog/merkle-inclusion.jsonl",
				   check_inclusion),
			 98);
}

/* Is [start, end) a node of some tree (of RFC 6962's shape)? */
static bool is_subtree(uint64_t start, uint64_t end)
{
	uint64_t width = 1;

	if (start >= end || end - start > (uint64_t)1 << 62)
		return false;
	while (width < end - start)
		width *= 2;
	return start % width == 0;
}

/* The path inside a subtree is the path in the tree of its leaves. */
static bool check_subtree_inclusion(json_t *one)
{
	uint64_t start = number_of(one, "start");
	uint64_t end = number_of(one, "end");
	uint64_t index = number_of(one, "leafIdx");

	assert_verdict(
		one, is_subtree(start, end) && index >= start &&
			     verify_inclusion(one, index - start, end - start));
	return true;
}

static void the_published_subtree_paths_are_judged_right(void **state)
{
	(void)state;
	assert_int_equal(each_case("vectors/tlog/merkle-subtreeinclusion.jsonl",
				   check_subtree_inclusion),
			 204);
}

static bool verify_consistency(json_t *one, uint64_t old_size,
			       uint64_t new_size)
{
	struct head old = { old_size, hash_of(json_object_get(one, "root1")) };
	struct head new = { new_size, hash_of(json_object_get(one, "root2")) };
	struct digest proof[LIMIT_PATH_HASHES];
	uint32_t n = proof_of(one, proof);

	return merkle_verify_consistency(&old, &new, proof, n) == ERR_OK;
}

static bool check_consistency(json_t *one)
{
	assert_verdict(one, verify_consistency(one, number_of(one, "size1"),
					       number_of(one, "size2")));
	return true;
}

static void the_published_consistency_cases_are_judged_right(void **state)
{
	(void)state;
	assert_int_equal(each_case("vectors/tlog/merkle-consistency.jsonl",
				   check_consistency),
			 98);
}

/* Subtrees from leaf 0 are old trees. Others, and empty ones, have proofs of
 * a kind that no code here makes or reads. */
static bool check_subtree_consistency(json_t *one)
{
	uint64_t end = number_of(one, "end");

	if (number_of(one, "start") != 0 || end == 0)
		return false;
	assert_verdict(one,
		       verify_consistency(one, end, number_of(one, "size")));
	return true;
}

static void published_subtrees_from_leaf_0_are_judged_right(void **state)
{
	size_t n = each_case("vectors/tlog/merkle-subtreeconsistency.jsonl",
			     check_subtree_consistency);

	(void)state;
	assert_int_equal(n, 91);
}

static void our_inclusion_proofs_are_the_naive_ones_and_verify(void **state)
{
	struct tree *t = a_tree(130);
	struct merkle_source src = source_of(t);
	struct digest path[LIMIT_PATH_HASHES];
	uint32_t n;

	(void)state;
	for (uint64_t size = 1; size <= 130; size++) {
		struct head head = naive_head(t, size);

		for (uint64_t i = 0; i < size; i += 1 + size / 16) {
			uint64_t from = 0, to = size;

			assert_int_equal(
				merkle_prove_inclusion(&src, i, size, path, &n),
				ERR_OK);
			assert_int_equal(merkle_verify_inclusion(&t->leaf[i], i,
								 &head, path,
								 n),
					 ERR_OK);
			/* RFC 6962 2.1.1, from the root downwards. */
			while (to - from > 1) {
				struct digest want;
				uint64_t half = 1;

				while (half * 2 < to - from)
					half *= 2;
				assert_true(n > 0);
				if (i < from + half) {
					want = naive(t, from + half, to);
					to = from + half;
				} else {
					want = naive(t, from, from + half);
					from += half;
				}
				assert_digest(&path[--n], &want);
			}
			assert_int_equal(n, 0);
		}
	}
	free(t);
}

static void our_consistency_proofs_verify_and_bind_both_roots(void **state)
{
	struct tree *t = a_tree(66);
	struct merkle_source src = source_of(t);
	struct digest proof[LIMIT_PATH_HASHES];
	unsigned bit = 0;
	uint32_t n;

	(void)state;
	for (uint64_t size = 1; size <= 66; size++) {
		struct head new = naive_head(t, size);

		for (uint64_t m = 1; m <= size; m++) {
			struct head old = naive_head(t, m);

			assert_int_equal(merkle_prove_consistency(&src, m, size,
								  proof, &n),
					 ERR_OK);
			assert_int_equal(
				merkle_verify_consistency(&old, &new, proof, n),
				ERR_OK);
			bit += 37;
			flip(&old.root, bit);
			assert_int_equal(
				merkle_verify_consistency(&old, &new, proof, n),
				ERR_INVALID);
			flip(&old.root, bit);
			flip(&new.root, bit);
			assert_int_equal(
				merkle_verify_consistency(&old, &new, proof, n),
				ERR_INVALID);
			flip(&new.root, bit);
			for (uint32_t i = 0; i < n; i++) {
				flip(&proof[i], bit);
				assert_int_equal(merkle_verify_consistency(
							 &old, &new, proof, n),
						 ERR_INVALID);
				flip(&proof[i], bit);
			}
			if (n > 0)
				assert_int_equal(
					merkle_verify_consistency(&old, &new,
								  proof, n - 1),
					ERR_MALFORMED);
		}
	}
	free(t);
}

static void impossible_places_have_no_proof(void **state)
{
	struct tree *t = a_tree(4);
	struct merkle_source src = source_of(t);
	struct digest out[LIMIT_COVER_HASHES];
	struct frontier f;
	uint64_t end = (uint64_t)1 << 63;
	uint32_t n;

	(void)state;
	assert_int_equal(merkle_prove_inclusion(&src, 4, 4, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_prove_inclusion(&src, 0, 0, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_prove_inclusion(&src, 0, end, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_prove_consistency(&src, 0, 4, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_prove_consistency(&src, 5, 4, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_prove_consistency(&src, 1, end, out, &n),
			 ERR_MALFORMED);
	assert_int_equal(merkle_range(&src, 3, 2, out, &n), ERR_MALFORMED);
	assert_int_equal(merkle_range(&src, 3, end, out, &n), ERR_MALFORMED);
	assert_int_equal(merkle_frontier_at(&src, end, &f), ERR_MALFORMED);
	free(t);
}

static enum err read_zero(void *arg, struct merkle_pos pos, struct digest *out)
{
	(void)arg;
	(void)pos;
	memset(out, 0, sizeof(*out));
	return ERR_OK;
}

static void proofs_in_the_largest_trees_fit_their_limit(void **state)
{
	struct merkle_source src = { read_zero, NULL };
	struct digest path[LIMIT_PATH_HASHES];
	uint64_t half = (uint64_t)1 << 62;
	uint32_t n;

	(void)state;
	assert_int_equal(
		merkle_prove_inclusion(&src, 0, 2 * half - 1, path, &n),
		ERR_OK);
	assert_int_equal(n, LIMIT_PATH_HASHES);
	assert_int_equal(
		merkle_prove_consistency(&src, half - 1, half, path, &n),
		ERR_OK);
	assert_int_equal(n, LIMIT_PATH_HASHES);
}

static enum err read_failing(void *arg, struct merkle_pos pos,
			     struct digest *out)
{
	unsigned *left = arg;

	memset(out, 0, sizeof(*out));
	(void)pos;
	return (*left)-- == 0 ? ERR_IO : ERR_OK;
}

static void an_error_of_the_source_is_passed_on(void **state)
{
	struct digest out[LIMIT_COVER_HASHES];
	struct frontier f;
	unsigned left;
	struct merkle_source src = { read_failing, &left };
	uint32_t n;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		left = i;
		assert_int_equal(merkle_prove_inclusion(&src, 2, 11, out, &n),
				 ERR_IO);
		left = i;
		assert_int_equal(merkle_prove_consistency(&src, 5, 11, out, &n),
				 ERR_IO);
		left = i;
		assert_int_equal(merkle_range(&src, 3, 11, out, &n), ERR_IO);
		left = i;
		assert_int_equal(merkle_frontier_at(&src, 11, &f), ERR_IO);
	}
}

/* The accumulated hashes of draft-ietf-plants-merkle-tree-certs: one SHA-256
 * over a line for every subtree of a tree of 130 leaves. */

static void put_subtree(struct buf *out, uint64_t start, uint64_t end)
{
	buf_put_u8(out, '[');
	buf_put_dec(out, start);
	buf_put_str(out, ", ");
	buf_put_dec(out, end);
	buf_put_u8(out, ')');
}

static void assert_accumulated(json_t *doc, const char *name,
			       const struct buf *lines)
{
	struct digest got = hash_bytes(buf_slice(lines));
	struct digest want =
		from_hex(text_of(json_object_get(doc, name), "sha256"));

	assert_int_equal(lines->err, ERR_OK);
	assert_digest(&got, &want);
}

static void all_subtrees_and_their_paths_have_the_published_hash(void **state)
{
	json_t *doc = shared_json("vectors/tlog/subtree-accumulators.json");
	struct tree *t = a_tree(0);
	struct merkle_source src = source_of(t);
	struct digest path[LIMIT_PATH_HASHES];
	struct buf hashes, paths;
	uint32_t n;

	(void)state;
	buf_init(&hashes, 1u << 26);
	buf_init(&paths, 1u << 26);
	for (unsigned i = 0; i < 130; i++) {
		uint8_t byte = (uint8_t)i;

		grow(t, slice_of(&byte, 1));
	}
	for (uint64_t end = 0; end <= 130; end++) {
		for (uint64_t start = 0; start <= end; start++) {
			struct frontier f;
			struct digest root;

			if (start != end && !is_subtree(start, end))
				continue;
			t->shift = start;
			assert_int_equal(
				merkle_frontier_at(&src, end - start, &f),
				ERR_OK);
			root = frontier_head(&f).root;
			put_subtree(&hashes, start, end);
			buf_put_u8(&hashes, ' ');
			text_put_hex(&hashes, digest_slice(&root));
			buf_put_u8(&hashes, '\n');
			for (uint64_t i = start; i < end; i++) {
				assert_int_equal(merkle_prove_inclusion(
							 &src, i - start,
							 end - start, path, &n),
						 ERR_OK);
				buf_put_dec(&paths, i);
				buf_put_u8(&paths, ' ');
				put_subtree(&paths, start, end);
				for (uint32_t j = 0; j < n; j++) {
					buf_put_u8(&paths, ' ');
					text_put_hex(&paths,
						     digest_slice(&path[j]));
				}
				buf_put_u8(&paths, '\n');
			}
		}
	}
	assert_accumulated(doc, "subtree_hash", &hashes);
	assert_accumulated(doc, "subtree_inclusion", &paths);
	buf_free(&hashes);
	buf_free(&paths);
	free(t);
	json_decref(doc);
}

/* Forks. */

/* The evidence that tree @b gives about the heads (a, A) and (b, B). */
static enum err judge(struct tree *b, const struct head *head_a,
		      const struct head *head_b)
{
	struct merkle_source src = source_of(b);
	struct digest left[LIMIT_COVER_HASHES], right[LIMIT_COVER_HASHES];
	uint32_t l, r;

	assert_int_equal(merkle_range(&src, 0, head_a->size, left, &l), ERR_OK);
	assert_int_equal(
		merkle_range(&src, head_a->size, head_b->size, right, &r),
		ERR_OK);
	return merkle_judge_fork(head_a, head_b, left, l, right, r);
}

static void every_fork_up_to_size_24_gives_evidence_and_no_other(void **state)
{
	struct tree *t = a_tree(24), *u = a_tree(24);

	(void)state;
	for (uint64_t forked = 0; forked < 24; forked++) {
		flip(&u->leaf[forked], 5);
		for (uint64_t a = 1; a <= 24; a++) {
			for (uint64_t b = a; b <= 24; b++) {
				struct head old = naive_head(t, a);
				struct head new = naive_head(u, b);
				bool fork = forked < a;

				assert_int_equal(judge(u, &old, &new),
						 fork ? ERR_FORK : ERR_OK);
			}
		}
		flip(&u->leaf[forked], 5);
	}
	free(t);
	free(u);
}

static void altered_evidence_proves_nothing(void **state)
{
	struct tree *t = a_tree(13);
	struct merkle_source src = source_of(t);
	struct head a = naive_head(t, 6), b = naive_head(t, 13);
	struct digest left[LIMIT_COVER_HASHES], right[LIMIT_COVER_HASHES];
	uint32_t l, r;

	(void)state;
	assert_int_equal(merkle_range(&src, 0, 6, left, &l), ERR_OK);
	assert_int_equal(merkle_range(&src, 6, 13, right, &r), ERR_OK);
	for (uint32_t i = 0; i < l; i++) {
		flip(&left[i], 3);
		assert_int_equal(merkle_judge_fork(&a, &b, left, l, right, r),
				 ERR_INVALID);
		flip(&left[i], 3);
	}
	for (uint32_t i = 0; i < r; i++) {
		flip(&right[i], 3);
		assert_int_equal(merkle_judge_fork(&a, &b, left, l, right, r),
				 ERR_INVALID);
		flip(&right[i], 3);
	}
	assert_int_equal(merkle_judge_fork(&a, &b, left, l - 1, right, r),
			 ERR_MALFORMED);
	assert_int_equal(merkle_judge_fork(&a, &b, left, l, right, r - 1),
			 ERR_MALFORMED);
	assert_int_equal(merkle_judge_fork(&b, &a, left, l, right, r),
			 ERR_MALFORMED);
	a.size = b.size = UINT64_MAX;
	assert_int_equal(merkle_judge_fork(&a, &b, left, l, right, r),
			 ERR_MALFORMED);
	free(t);
}

static void the_published_fork_evidence_is_judged_right(void **state)
{
	json_t *doc = shared_json("vectors/tlog/generated/fork-evidence.json");
	json_t *one, *v;
	size_t i, j;

	(void)state;
	json_array_foreach(json_object_get(doc, "cases"), i, one)
	{
		struct head a = { number_of(one, "size1"),
				  from_hex(text_of(one, "root1")) };
		struct head b = { number_of(one, "size2"),
				  from_hex(text_of(one, "root2")) };
		struct digest left[LIMIT_COVER_HASHES];
		struct digest right[LIMIT_COVER_HASHES];
		bool fork = json_is_true(json_object_get(one, "is_fork"));
		uint32_t l = 0, r = 0;

		json_array_foreach(json_object_get(one, "left"), j, v)
			left[l++] = from_hex(json_string_value(v));
		json_array_foreach(json_object_get(one, "right"), j, v)
			right[r++] = from_hex(json_string_value(v));
		assert_int_equal(merkle_judge_fork(&a, &b, left, l, right, r),
				 fork ? ERR_FORK : ERR_OK);
	}
	assert_true(i >= 8);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_of_nothing_is_the_hash_of_nothing),
		cmocka_unit_test(the_reference_tree_has_the_published_roots),
		cmocka_unit_test(
			a_frontier_is_the_cover_of_its_size_up_to_2000),
		cmocka_unit_test(a_push_reports_each_completed_subtree_once),
		cmocka_unit_test(covers_tile_every_range_with_aligned_subtrees),
		cmocka_unit_test(the_longest_cover_fits_its_limit),
		cmocka_unit_test(a_fold_gives_the_root_of_any_two_covers),
		cmocka_unit_test(a_fold_refuses_places_that_do_not_tile),
		cmocka_unit_test(
			every_split_of_every_size_up_to_70_is_accepted),
		cmocka_unit_test(one_changed_bit_of_any_hash_is_refused),
		cmocka_unit_test(wrong_counts_are_refused),
		cmocka_unit_test(a_whole_chunk_is_refused_for_another_size),
		cmocka_unit_test(impossible_heads_are_refused),
		cmocka_unit_test(the_published_chunk_proofs_are_accepted),
		cmocka_unit_test(
			the_published_inclusion_cases_are_judged_right),
		cmocka_unit_test(the_published_subtree_paths_are_judged_right),
		cmocka_unit_test(
			the_published_consistency_cases_are_judged_right),
		cmocka_unit_test(
			published_subtrees_from_leaf_0_are_judged_right),
		cmocka_unit_test(
			our_inclusion_proofs_are_the_naive_ones_and_verify),
		cmocka_unit_test(
			our_consistency_proofs_verify_and_bind_both_roots),
		cmocka_unit_test(impossible_places_have_no_proof),
		cmocka_unit_test(proofs_in_the_largest_trees_fit_their_limit),
		cmocka_unit_test(an_error_of_the_source_is_passed_on),
		cmocka_unit_test(
			all_subtrees_and_their_paths_have_the_published_hash),
		cmocka_unit_test(
			every_fork_up_to_size_24_gives_evidence_and_no_other),
		cmocka_unit_test(altered_evidence_proves_nothing),
		cmocka_unit_test(the_published_fork_evidence_is_judged_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
