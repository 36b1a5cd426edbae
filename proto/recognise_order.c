#include "recognise_impl.h"

/* How rules stand to each other: which are superseded, which come first,
 * which say the same. PROTOCOL.md 12.5. */

/* ---- Supersession ----------------------------------------------------- */

static void sift(struct candidate **heap, size_t at, size_t n)
{
	struct candidate *moved = heap[at];
	size_t child;

	for (; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n &&
		    slice_compare(heap[child]->id, heap[child + 1]->id) < 0)
			child++;
		if (slice_compare(moved->id, heap[child]->id) >= 0)
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

static void sort_by_id(struct candidate **p, size_t n)
{
	struct candidate *last;

	for (size_t i = n / 2; i > 0; i--)
		sift(p, i - 1, n);
	for (size_t i = n; i > 1; i--) {
		last = p[i - 1];
		p[i - 1] = p[0];
		p[0] = last;
		sift(p, 0, i - 1);
	}
}

static struct candidate *find_id(struct candidate **p, size_t n,
				 struct slice id)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = slice_compare(p[mid]->id, id);

		if (order == 0)
			return p[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void judge_supersede(struct judge *j, struct candidate *c, size_t n)
{
	struct candidate **sorted = NULL, *old;
	uint32_t count;
	struct dec d;

	for (size_t i = 0; i < n && j->err == ERR_OK; i++) {
		d = list_open(c[i].supersedes, &count);
		if (count == 0 || !rule_is_in_force(j, &c[i]))
			continue;
		if (sorted == NULL) {
			sorted = judge_alloc(j, n * sizeof(*sorted));
			if (sorted == NULL)
				return;
			for (size_t k = 0; k < n; k++)
				sorted[k] = &c[k];
			sort_by_id(sorted, n);
		}
		for (; count > 0 && d.err == ERR_OK; count--) {
			old = find_id(sorted, n, field_text(dec_skip(&d)));
			if (old == NULL || old == &c[i])
				continue;
			old->superseded = true;
			old->failed = "superseded";
			old->detail = c[i].id;
		}
	}
}

/* ---- Order ------------------------------------------------------------ */

int compare_rank(const struct candidate *a, const struct candidate *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->broadness != b->broadness)
		return a->broadness < b->broadness ? -1 : 1;
	if (a->set_size != b->set_size)
		return a->set_size > b->set_size ? -1 : 1;
	if (a->for_programme != b->for_programme)
		return a->for_programme ? -1 : 1;
	return 0;
}

int compare_age(const struct candidate *a, const struct candidate *b)
{
	int order = slice_compare(b->decided_on, a->decided_on);

	return order != 0 ? order : slice_compare(a->id, b->id);
}

int compare_all(const struct candidate *a, const struct candidate *b)
{
	int order = compare_rank(a, b);

	if (order == 0 && a->generic != b->generic)
		order = a->generic ? 1 : -1;
	return order != 0 ? order : compare_age(a, b);
}

bool same_effect(const struct candidate *a, const struct candidate *b)
{
	if (a->outcome != b->outcome ||
	    !slice_equal(a->outcome_text, b->outcome_text) ||
	    !slice_equal(a->conditions, b->conditions) ||
	    !slice_equal(a->scope_text, b->scope_text))
		return false;
	if (list_count(a->targets) > 1 && (a->by_learner != b->by_learner ||
					   a->by_registrar != b->by_registrar))
		return false;
	return targets_equal(a->targets, b->targets);
}
