#include "merkle.h"

#include <string.h>

/* A log has fewer records than this. */
#define SIZE_END ((uint64_t)1 << LIMIT_SIZE_LOG2)

/* Number of bits up to the highest one that is set. */
static unsigned bit_length(uint64_t v)
{
	return v == 0 ? 0 : 64u - (unsigned)__builtin_clzll(v);
}

static unsigned bit_count(uint64_t v)
{
	return (unsigned)__builtin_popcountll(v);
}

void frontier_init(struct frontier *f)
{
	f->size = 0;
	f->count = 0;
}

/* Append the root of a perfect subtree of 2^level leaves. The size is a
 * multiple of 2^level, so that its last hash, if bit @level is set, is the
 * left sibling. */
static void append(struct frontier *f, unsigned level,
		   const struct digest *hash, merkle_node_cb *cb, void *arg)
{
	struct digest h = *hash;
	uint64_t size = f->size;
	uint32_t count = f->count;

	for (unsigned l = level; (size >> l & 1) != 0; l++) {
		h = hash_node(&f->hash[--count], &h);
		if (cb != NULL) {
			struct merkle_pos pos = { l + 1, size >> (l + 1) };
			cb(arg, pos, &h);
		}
	}
	f->hash[count] = h;
	f->count = count + 1;
	f->size = size + ((uint64_t)1 << level);
}

void frontier_push(struct frontier *f, const struct digest *leaf,
		   merkle_node_cb *cb, void *arg)
{
	assert(f->size < SIZE_END - 1);
	append(f, 0, leaf, cb, arg);
}

struct head frontier_head(const struct frontier *f)
{
	struct head head = { .size = f->size };

	if (f->count == 0) {
		head.root = hash_empty();
		return head;
	}
	head.root = f->hash[f->count - 1];
	for (uint32_t i = f->count - 1; i > 0; i--)
		head.root = hash_node(&f->hash[i - 1], &head.root);
	return head;
}

bool head_equal(const struct head *a, const struct head *b)
{
	return a->size == b->size && digest_equal(&a->root, &b->root);
}

uint32_t merkle_cover(uint64_t from, uint64_t to, struct merkle_pos *out)
{
	uint32_t n = 0;

	assert(from <= to && to < SIZE_END);
	while (from < to) {
		unsigned level = bit_length(to - from) - 1;

		if (from != 0 && (unsigned)__builtin_ctzll(from) < level)
			level = (unsigned)__builtin_ctzll(from);
		out[n++] = (struct merkle_pos){ level, from >> level };
		from += (uint64_t)1 << level;
	}
	assert(n <= LIMIT_COVER_HASHES);
	return n;
}

enum err merkle_fold(const struct merkle_pos *pos, const struct digest *hash,
		     uint32_t n, struct digest *root)
{
	struct frontier f;

	frontier_init(&f);
	for (uint32_t i = 0; i < n; i++) {
		unsigned level = pos[i].level;

		if (level >= LIMIT_SIZE_LOG2 ||
		    SIZE_END - f.size <= (uint64_t)1 << level ||
		    f.size != pos[i].index << level ||
		    f.size >> level != pos[i].index)
			return ERR_MALFORMED;
		append(&f, level, &hash[i], NULL, NULL);
	}
	*root = frontier_head(&f).root;
	return ERR_OK;
}

/* Append the hashes of cover(f->size, to). */
static enum err append_range(struct frontier *f, uint64_t to,
			     const struct digest *hash, uint32_t count)
{
	struct merkle_pos pos[LIMIT_COVER_HASHES];

	if (merkle_cover(f->size, to, pos) != count)
		return ERR_MALFORMED;
	for (uint32_t i = 0; i < count; i++)
		append(f, pos[i].level, &hash[i], NULL, NULL);
	return ERR_OK;
}

enum err merkle_accept(const struct frontier *before,
		       const struct merkle_chunk *c, const struct head *head,
		       struct frontier *after, merkle_node_cb *cb, void *arg)
{
	struct frontier whole;
	struct digest root;
	enum err err;

	assert(before != after && before->count == bit_count(before->size));
	if (head->size >= SIZE_END || before->size > head->size ||
	    c->leaf_count > head->size - before->size)
		return ERR_MALFORMED;
	*after = *before;
	for (uint32_t i = 0; i < c->leaf_count; i++)
		append(after, 0, &c->leaf[i], cb, arg);
	whole = *after;
	err = append_range(&whole, head->size, c->right, c->right_count);
	if (err != ERR_OK)
		return err;
	root = frontier_head(&whole).root;
	return digest_equal(&root, &head->root) ? ERR_OK : ERR_INVALID;
}

/* The path of leaf @index in a tree of @size: first @inner siblings up to
 * the level at which the leaf's path joins the right edge, one a level; then
 * @border siblings, all on the left. */
struct path_shape {
	unsigned inner, border;
};

static struct path_shape shape_of_path(uint64_t index, uint64_t size)
{
	unsigned inner = bit_length(index ^ (size - 1));

	return (struct path_shape){ inner, bit_count(index >> inner) };
}

enum err merkle_verify_inclusion(const struct digest *leaf, uint64_t index,
				 const struct head *head,
				 const struct digest *path, uint32_t n)
{
	struct path_shape shape;
	struct digest h = *leaf;

	if (head->size >= SIZE_END || index >= head->size)
		return ERR_MALFORMED;
	shape = shape_of_path(index, head->size);
	if (n != shape.inner + shape.border)
		return ERR_MALFORMED;
	for (unsigned i = 0; i < n; i++) {
		if (i >= shape.inner || (index >> i & 1) != 0)
			h = hash_node(&path[i], &h);
		else
			h = hash_node(&h, &path[i]);
	}
	return digest_equal(&h, &head->root) ? ERR_OK : ERR_INVALID;
}

/* Both sizes differ and are not 0. The proof climbs from the last perfect
 * subtree of the old tree; its root comes first unless it is the old tree. */
static enum err climb(const struct head *old, const struct head *new,
		      const struct digest *proof, uint32_t n)
{
	unsigned low = (unsigned)__builtin_ctzll(old->size);
	struct path_shape shape = shape_of_path(old->size - 1, new->size);
	uint64_t index = (old->size - 1) >> low;
	bool is_perfect = old->size == (uint64_t)1 << low;
	unsigned first = is_perfect ? 0 : 1;
	struct digest old_root, new_root;

	shape.inner -= low;
	if (n != first + shape.inner + shape.border)
		return ERR_MALFORMED;
	old_root = is_perfect ? old->root : proof[0];
	new_root = old_root;
	for (unsigned i = 0; i + first < n; i++) {
		const struct digest *h = &proof[i + first];

		if (i >= shape.inner || (index >> i & 1) != 0) {
			old_root = hash_node(h, &old_root);
			new_root = hash_node(h, &new_root);
		} else {
			new_root = hash_node(&new_root, h);
		}
	}
	return digest_equal(&old_root, &old->root) &&
			       digest_equal(&new_root, &new->root)
		       ? ERR_OK
		       : ERR_INVALID;
}

enum err merkle_verify_consistency(const struct head *old,
				   const struct head *new,
				   const struct digest *proof, uint32_t n)
{
	/* RFC 6962 2.1.2 defines no proof from the empty tree. */
	if (old->size == 0 || old->size > new->size || new->size >= SIZE_END)
		return ERR_MALFORMED;
	if (old->size < new->size)
		return climb(old, new, proof, n);
	if (n != 0)
		return ERR_MALFORMED;
	return digest_equal(&old->root, &new->root) ? ERR_OK : ERR_INVALID;
}

/* The hash of [from, to), a node of the tree: @from is a multiple of a power
 * of two that is not less than the length. */
static enum err read_node(const struct merkle_source *src, uint64_t from,
			  uint64_t to, struct digest *out)
{
	struct merkle_pos pos[LIMIT_COVER_HASHES];
	uint32_t n = merkle_cover(from, to, pos);
	struct digest left;
	enum err err = src->read(src->arg, pos[n - 1], out);

	for (uint32_t i = n - 1; i > 0 && err == ERR_OK; i--) {
		err = src->read(src->arg, pos[i - 1], &left);
		if (err == ERR_OK)
			*out = hash_node(&left, out);
	}
	return err;
}

/* A range of leaves on the way down from the root. */
struct span {
	uint64_t from, to;
};

/* Halve @s as RFC 6962 2.1 does, keep the half with leaf @index and return
 * the other. */
static struct span descend(struct span *s, uint64_t index)
{
	uint64_t half = (uint64_t)1 << (bit_length(s->to - s->from - 1) - 1);
	uint64_t mid = s->from + half;
	struct span other = *s;

	if (index < mid) {
		other.from = mid;
		s->to = mid;
	} else {
		other.to = mid;
		s->from = mid;
	}
	return other;
}

/* Proofs are collected from the root downwards; they are written upwards. */
static enum err read_upwards(const struct merkle_source *src,
			     const struct span *way, uint32_t n,
			     struct digest *out)
{
	enum err err = ERR_OK;

	for (uint32_t i = 0; i < n && err == ERR_OK; i++)
		err = read_node(src, way[n - 1 - i].from, way[n - 1 - i].to,
				&out[i]);
	return err;
}

enum err merkle_prove_inclusion(const struct merkle_source *src, uint64_t index,
				uint64_t size, struct digest *path, uint32_t *n)
{
	struct span way[LIMIT_PATH_HASHES], s = { 0, size };
	uint32_t count = 0;

	if (size >= SIZE_END || index >= size)
		return ERR_MALFORMED;
	while (s.to - s.from > 1) {
		assert(count < LIMIT_PATH_HASHES);
		way[count++] = descend(&s, index);
	}
	*n = count;
	return read_upwards(src, way, count, path);
}

enum err merkle_prove_consistency(const struct merkle_source *src, uint64_t old,
				  uint64_t size, struct digest *proof,
				  uint32_t *n)
{
	struct span way[LIMIT_PATH_HASHES], s = { 0, size };
	uint32_t count = 0;

	/* One hash more than a path: half the sizes, so that it has room. */
	if (old == 0 || old > size || size > SIZE_END / 2)
		return ERR_MALFORMED;
	while (s.to != old) {
		assert(count < LIMIT_PATH_HASHES);
		way[count++] = descend(&s, old - 1);
	}
	if (s.from != 0) {
		assert(count < LIMIT_PATH_HASHES);
		way[count++] = s;
	}
	*n = count;
	return read_upwards(src, way, count, proof);
}

enum err merkle_range(const struct merkle_source *src, uint64_t from,
		      uint64_t to, struct digest *out, uint32_t *n)
{
	struct merkle_pos pos[LIMIT_COVER_HASHES];
	enum err err = ERR_OK;

	if (from > to || to >= SIZE_END)
		return ERR_MALFORMED;
	*n = merkle_cover(from, to, pos);
	for (uint32_t i = 0; i < *n && err == ERR_OK; i++)
		err = src->read(src->arg, pos[i], &out[i]);
	return err;
}

enum err merkle_frontier_at(const struct merkle_source *src, uint64_t size,
			    struct frontier *out)
{
	/* cover(0, size) has one subtree for each bit of the size: it fits. */
	out->size = size;
	return merkle_range(src, 0, size, out->hash, &out->count);
}

enum err merkle_judge_fork(const struct head *a, const struct head *b,
			   const struct digest *left, uint32_t left_count,
			   const struct digest *right, uint32_t right_count)
{
	struct frontier f;
	struct digest root_a, root_b;
	enum err err;

	if (a->size > b->size || b->size >= SIZE_END)
		return ERR_MALFORMED;
	frontier_init(&f);
	err = append_range(&f, a->size, left, left_count);
	if (err != ERR_OK)
		return err;
	root_a = frontier_head(&f).root;
	err = append_range(&f, b->size, right, right_count);
	if (err != ERR_OK)
		return err;
	root_b = frontier_head(&f).root;
	if (!digest_equal(&root_b, &b->root))
		return ERR_INVALID;
	return digest_equal(&root_a, &a->root) ? ERR_OK : ERR_FORK;
}
