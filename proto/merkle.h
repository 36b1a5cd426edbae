/* RFC 6962 Merkle trees: frontiers, covers, chunk acceptance, proofs.
 *
 * Pure functions over hashes; where hashes are kept is the caller's
 * business (struct merkle_source). PROTOCOL.md section 5. */

#ifndef PROTO_MERKLE_H
#define PROTO_MERKLE_H

#include "hash.h"
#include "limits.h"

/* A log head: what a checkpoint states. */
struct head {
	uint64_t size; /* records in the log */
	struct digest root; /* SHA-256("") when size is 0 */
};

/* The roots of the perfect subtrees that make up a size, largest first. */
struct frontier {
	uint64_t size; /* records covered */
	uint32_t count; /* = number of 1 bits in size */
	struct digest hash[LIMIT_FRONTIER_HASHES];
};

/* A perfect subtree: leaves [index << level, (index + 1) << level). */
struct merkle_pos {
	unsigned level;
	uint64_t index;
};

/* Called for each perfect subtree that a push completes, small ones first;
 * leaves (level 0) are not reported. */
typedef void merkle_node_cb(void *arg, struct merkle_pos pos,
			    const struct digest *hash);

void frontier_init(struct frontier *f); /* size 0 */
/* Append one leaf hash; @cb may be NULL. Asserts size < 2^63 - 1. */
void frontier_push(struct frontier *f, const struct digest *leaf,
		   merkle_node_cb *cb, void *arg);
struct head frontier_head(const struct frontier *f);
bool head_equal(const struct head *a, const struct head *b);

/* The perfect subtrees that cover [from, to), left to right, into
 * @out[LIMIT_COVER_HASHES]; returns their number. Asserts from <= to and
 * to < 2^63: check sizes that come from outside first. PROTOCOL.md 5.3. */
uint32_t merkle_cover(uint64_t from, uint64_t to, struct merkle_pos *out);

/* The root that @n hashes at the positions of cover(0, a) + cover(a, S) have
 * together: folds neighbours of equal level, then right to left. @hash has
 * the positions @pos. ERR_MALFORMED: they do not tile [0, S). */
WARN_UNUSED enum err merkle_fold(const struct merkle_pos *pos,
				 const struct digest *hash, uint32_t n,
				 struct digest *root);

/* One chunk as it arrives: leaves [frontier.size, + leaf_count) and the right
 * range from there to head.size. */
struct merkle_chunk {
	const struct digest *leaf; /* leaf hashes */
	uint32_t leaf_count;
	const struct digest *right; /* hashes at cover(size + leaf_count, S) */
	uint32_t right_count;
};

/* Accept @c against a signed head: inclusion and consistency in one check.
 * On success @after is the frontier behind the chunk and @cb was called for
 * the completed subtrees; on failure @cb may have been called and @after is
 * undefined, so the caller applies nothing before it sees ERR_OK.
 *   ERR_MALFORMED  wrong number of right hashes, or beyond the head
 *   ERR_INVALID    does not fold to the signed root
 * @after may not alias @before. */
WARN_UNUSED enum err merkle_accept(const struct frontier *before,
				   const struct merkle_chunk *c,
				   const struct head *head,
				   struct frontier *after, merkle_node_cb *cb,
				   void *arg);

/* RFC 6962 2.1.1, 2.1.2. ERR_MALFORMED: index, sizes or number of hashes
 * impossible; ERR_INVALID: does not lead to the root(s). */
WARN_UNUSED enum err merkle_verify_inclusion(const struct digest *leaf,
					     uint64_t index,
					     const struct head *head,
					     const struct digest *path,
					     uint32_t n);
WARN_UNUSED enum err merkle_verify_consistency(const struct head *old,
					       const struct head *new,
					       const struct digest *proof,
					       uint32_t n);

/* Where proofs are built from: the hash of any perfect subtree of a log. */
struct merkle_source {
	enum err (*read)(void *arg, struct merkle_pos pos, struct digest *out);
	void *arg;
};

/* All return the source's error, or ERR_MALFORMED for places and sizes that
 * no tree has: index >= size, from > to, size >= 2^63; for consistency proofs
 * also old == 0 (RFC 6962 has none) and size > 2^62, so that they fit. Paths
 * have room for LIMIT_PATH_HASHES, ranges for LIMIT_COVER_HASHES. @size is
 * that of the tree proved in. */
WARN_UNUSED enum err merkle_prove_inclusion(const struct merkle_source *src,
					    uint64_t index, uint64_t size,
					    struct digest *path, uint32_t *n);
WARN_UNUSED enum err merkle_prove_consistency(const struct merkle_source *src,
					      uint64_t old, uint64_t size,
					      struct digest *proof,
					      uint32_t *n);
/* The hashes at cover(from, to). */
WARN_UNUSED enum err merkle_range(const struct merkle_source *src,
				  uint64_t from, uint64_t to,
				  struct digest *out, uint32_t *n);
WARN_UNUSED enum err merkle_frontier_at(const struct merkle_source *src,
					uint64_t size, struct frontier *out);

/* Fork evidence: two heads of one log and, both from the larger tree,
 * @left = cover(0, a.size), @right = cover(a.size, b.size), a.size <= b.size.
 * ERR_FORK: it proves that both cannot be heads of one history; ERR_OK: the
 * heads are consistent; ERR_MALFORMED, ERR_INVALID: it proves nothing. */
WARN_UNUSED enum err
merkle_judge_fork(const struct head *a, const struct head *b,
		  const struct digest *left, uint32_t left_count,
		  const struct digest *right, uint32_t right_count);

#endif /* PROTO_MERKLE_H */
