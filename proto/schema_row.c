/* CSV rows into bodies, by a plan compiled from the header. */

#include "schema.h"

#include <assert.h>
#include <string.h>

#include "enc.h"
#include "schema_text.h"
#include "text.h"

#define ABSENT (-1) /* a required field without a column */
#define NODES_MAX 64 /* fields of a shape, languages of a map */
#define NEAR_BYTES 48 /* longer names have no nearest one */

/* What goes into one place of the body, in canonical order. */
struct node {
	const struct field *f;
	struct slice key; /* name, or language within a map */
	struct slice encoded; /* the key, as it goes into the body */
	int column; /* of the cell, ABSENT, or unused */
	bool is_id; /* the record's id, a text */
	struct node *children; /* of an object or language map */
	uint32_t count;
};

struct row_plan {
	const struct schema *schema;
	const struct slice *names; /* header; borrowed */
	size_t columns;
	struct schema_column *found; /* for each column; depth 0: ignored */
	struct node root; /* the body; its f is NULL */
	struct node *inputs; /* scalars that are checked only */
	uint32_t input_count;
	size_t *unnamed; /* columns that must be empty */
	size_t unnamed_count;
};

/* Columns. */

/* What follows "@name_" in @s, or an empty slice. */
static struct slice after(struct slice s, const char *name)
{
	size_t n = strlen(name);

	if (s.n <= n + 1 || memcmp(s.p, name, n) != 0 || s.p[n] != '_')
		return slice_of(NULL, 0);
	return slice_sub(s, n + 1, s.n - n - 1);
}

struct finder {
	struct slice full; /* the whole name */
	struct schema_column *out;
};

static bool find(struct finder *k, const struct shape *s, struct slice rest,
		 uint32_t depth)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];
		const char *name = f->column != NULL ? f->column : f->name;
		struct slice at = f->column != NULL ? k->full : rest;
		bool list = (f->flags & FIELD_IS_LIST) != 0;

		if (((f->flags & FIELD_STORED) != 0 &&
		     (f->flags & FIELD_STANDS) == 0) ||
		    (f->type == FIELD_OBJECT && list))
			continue;
		assert(depth < SCHEMA_PATH_MAX);
		k->out->path[depth] = f;
		k->out->depth = depth + 1;
		if (f->type == FIELD_OBJECT) {
			if (find(k, f->shape, after(at, name), depth + 1))
				return true;
		} else if (f->type == FIELD_LANGUAGE_MAP) {
			k->out->language = after(at, name);
			if (text_is_language(k->out->language))
				return true;
			k->out->language = slice_of(NULL, 0);
		} else if (at.n > 0 && slice_is(at, name)) {
			return true;
		}
	}
	return false;
}

enum err schema_column(const struct schema *s, struct slice name,
		       struct schema_column *out)
{
	struct finder k = { name, out };

	*out = (struct schema_column){ .name = name };
	if (!find(&k, s->shape, name, 0)) {
		*out = (struct schema_column){ .name = name };
		return ERR_NOT_FOUND;
	}
	return ERR_OK;
}

/* Complaints about a header. */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, for short names. */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[NEAR_BYTES + 1];
	size_t above;
	size_t corner;

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			above = row[j];
			row[j] = least(least(row[j], row[j - 1]) + 1,
				       corner + (a.p[i - 1] != b.p[j - 1]));
			corner = above;
		}
	}
	return row[b.n];
}

static struct slice nearest(const struct schema *s, struct slice name,
			    struct arena *a)
{
	struct schema_column *all = arena_array(a, LIMIT_COLUMNS, sizeof(*all));
	struct slice best = { NULL, 0 };
	size_t count;
	size_t d;
	size_t least_d = name.n / 2 + 1;

	if (all == NULL || name.n > NEAR_BYTES)
		return best;
	count = schema_columns(s, true, a, all, LIMIT_COLUMNS);
	for (size_t i = 0; i < count; i++) {
		if (all[i].name.n > NEAR_BYTES)
			continue;
		d = distance(name, all[i].name);
		if (d < least_d) {
			least_d = d;
			best = all[i].name;
		}
	}
	return best;
}

static void put_column(struct complaint *c, struct slice name)
{
	c->field[0] = '\0';
	if (text_is_clean(name))
		cut_put(c->field, sizeof(c->field), name);
}

static enum err unknown_column(const struct schema *s, struct slice name,
			       struct arena *a, struct complaint *c)
{
	struct slice near = nearest(s, name, a);

	complain(c, "unknown-column", "", "the column is not known",
		 "remove it or mend its name");
	put_column(c, name);
	if (near.n > 0) {
		c->cure[0] = '\0';
		cut_put_str(c->cure, sizeof(c->cure), "did you mean ");
		cut_put(c->cure, sizeof(c->cure), near);
		cut_put_str(c->cure, sizeof(c->cure), "?");
	}
	return ERR_MALFORMED;
}

/* Compiling. */

struct planner {
	struct row_plan *plan;
	struct arena *a;
	struct complaint *c;
};

static enum err full(struct complaint *c)
{
	complain(c, "too-large", "", "the header is too large",
		 "use fewer columns");
	return ERR_LIMIT;
}

static enum err encode_keys(struct planner *k, struct node *nodes,
			    uint32_t count)
{
	struct buf b;
	struct enc enc;
	enum err e = ERR_OK;

	buf_init(&b, LIMIT_ID_BYTES);
	enc_init(&enc, &b);
	for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
		buf_reset(&b);
		enc_str(&enc, nodes[i].key);
		e = arena_copy(k->a, buf_slice(&b), &nodes[i].encoded);
	}
	buf_free(&b);
	return e == ERR_OK ? ERR_OK : full(k->c);
}

static void sort(struct node *nodes, uint32_t count)
{
	struct node n;
	uint32_t at;

	for (uint32_t i = 1; i < count; i++) {
		n = nodes[i];
		for (at = i;
		     at > 0 && slice_compare(nodes[at - 1].key, n.key) > 0;
		     at--)
			nodes[at] = nodes[at - 1];
		nodes[at] = n;
	}
}

/* Column @i leads to @f, which is at @depth of its path. */
static bool leads(const struct row_plan *p, size_t i, const struct field *f,
		  uint32_t depth)
{
	return p->found[i].depth > depth && p->found[i].path[depth] == f;
}

static enum err plan_languages(struct planner *k, struct node *n,
			       uint32_t depth)
{
	struct row_plan *p = k->plan;

	n->children = arena_array(k->a, p->columns + 1, sizeof(*n->children));
	if (n->children == NULL)
		return full(k->c);
	for (size_t i = 0; i < p->columns; i++) {
		if (!leads(p, i, n->f, depth))
			continue;
		n->children[n->count++] = (struct node){
			.f = n->f,
			.key = p->found[i].language,
			.column = (int)i,
		};
	}
	sort(n->children, n->count);
	return encode_keys(k, n->children, n->count);
}

static enum err plan_shape(struct planner *k, struct node *n,
			   const struct shape *s, uint32_t depth);

/* Fill in the node of one field: ERR_NOT_FOUND when no column leads to it
 * and none has to. */
static enum err plan_field(struct planner *k, struct node *n, uint32_t depth)
{
	struct row_plan *p = k->plan;
	const struct field *f = n->f;
	bool found = (f->flags & FIELD_STORED) != 0;

	n->key = slice_str(f->name);
	n->is_id = depth == 0 && f->type != FIELD_POSITION &&
		   strcmp(f->name, p->schema->id) == 0;
	n->column = ABSENT;
	for (size_t i = 0; i < p->columns; i++) {
		if (!leads(p, i, f, depth))
			continue;
		found = true;
		if (p->found[i].depth == depth + 1 &&
		    f->type != FIELD_LANGUAGE_MAP)
			n->column = (int)i;
	}
	if (!found)
		return (f->flags & FIELD_REQUIRED) != 0 ? ERR_OK
							: ERR_NOT_FOUND;
	if (f->type == FIELD_LANGUAGE_MAP)
		return plan_languages(k, n, depth);
	if (f->type == FIELD_OBJECT)
		return plan_shape(k, n, f->shape, depth + 1);
	return ERR_OK;
}

static enum err plan_shape(struct planner *k, struct node *n,
			   const struct shape *s, uint32_t depth)
{
	enum err e;

	assert(s->count < NODES_MAX);
	n->children = arena_array(k->a, s->count, sizeof(*n->children));
	if (n->children == NULL)
		return full(k->c);
	for (size_t i = 0; i < s->count; i++) {
		if ((s->fields[i].flags & FIELD_INPUT) != 0)
			continue;
		n->children[n->count].f = &s->fields[i];
		e = plan_field(k, &n->children[n->count], depth);
		if (e == ERR_NOT_FOUND)
			continue;
		if (e != ERR_OK)
			return e;
		n->count++;
	}
	sort(n->children, n->count);
	return encode_keys(k, n->children, n->count);
}

static enum err plan_inputs(struct planner *k)
{
	struct row_plan *p = k->plan;

	p->inputs = arena_array(k->a, p->columns + 1, sizeof(*p->inputs));
	if (p->inputs == NULL)
		return full(k->c);
	for (size_t i = 0; i < p->columns; i++) {
		if (p->found[i].depth != 1 ||
		    (p->found[i].path[0]->flags & FIELD_INPUT) == 0)
			continue;
		p->inputs[p->input_count++] = (struct node){
			.f = p->found[i].path[0],
			.column = (int)i,
		};
	}
	return ERR_OK;
}

static enum err missing_column(struct complaint *c, const struct field *f,
			       const struct field *parent)
{
	char name[128] = "";
	bool beyond =
		f->type == FIELD_OBJECT && (f->flags & FIELD_IS_LIST) != 0;

	if (parent != NULL && f->column == NULL) {
		cut_put_str(name, sizeof(name), parent->name);
		cut_put_str(name, sizeof(name), "_");
	}
	cut_put_str(name, sizeof(name),
		    f->column != NULL ? f->column : f->name);
	if (f->type == FIELD_LANGUAGE_MAP)
		cut_put_str(name, sizeof(name), "_en");
	if (beyond)
		complain(c, "not-in-rows", name,
			 "a list of objects cannot be written in CSV",
			 "import these records as NDJSON");
	else
		complain(c, "missing-column", name,
			 "a required column is missing", "add it");
	return ERR_MALFORMED;
}

/* Something stands for the required input object; not both. */
static enum err check_stands(const struct row_plan *p, bool *stands,
			     struct complaint *c)
{
	bool subject = false;

	*stands = false;
	for (size_t i = 0; i < p->columns; i++) {
		const struct schema_column *col = &p->found[i];

		if (col->depth == 0)
			continue;
		*stands = *stands || (col->path[0]->flags & FIELD_STANDS) != 0;
		subject = subject || (col->depth > 1 &&
				      (col->path[0]->flags & FIELD_INPUT) != 0);
	}
	if (!*stands || !subject)
		return ERR_OK;
	complain(c, "learner-twice", "learner",
		 "there are columns for both the learner's number and the "
		 "subject",
		 "remove one or the others");
	return ERR_MALFORMED;
}

/* Every required field at the top, and within required objects, has a
 * column. */
static enum err check_required(const struct row_plan *p, const struct shape *s,
			       const struct field *parent, struct complaint *c)
{
	uint32_t depth = parent == NULL ? 0 : 1;
	bool stands = false;
	enum err e = parent == NULL ? check_stands(p, &stands, c) : ERR_OK;

	for (size_t i = 0; i < s->count && e == ERR_OK; i++) {
		const struct field *f = &s->fields[i];
		bool found = false;

		if ((f->flags & FIELD_REQUIRED) == 0 ||
		    (f->flags & FIELD_STORED) != 0 ||
		    (stands && f->type == FIELD_OBJECT &&
		     (f->flags & FIELD_INPUT) != 0))
			continue;
		for (size_t j = 0; j < p->columns; j++)
			found = found || leads(p, j, f, depth);
		if (f->type == FIELD_OBJECT &&
		    (f->flags & FIELD_IS_LIST) == 0 && parent == NULL)
			e = check_required(p, f->shape, f, c);
		else if (!found)
			e = missing_column(c, f, parent);
	}
	return e;
}

static enum err resolve(struct planner *k, const struct slice *names)
{
	struct row_plan *p = k->plan;
	struct complaint *c = k->c;

	for (size_t i = 0; i < p->columns; i++) {
		if (names[i].n == 0) {
			p->unnamed[p->unnamed_count++] = i;
			continue;
		}
		for (size_t j = 0; j < i; j++) {
			if (!slice_equal(names[i], names[j]))
				continue;
			complain(c, "duplicate-column", "",
				 "the column is there twice", "remove one");
			put_column(c, names[i]);
			return ERR_MALFORMED;
		}
		if (names[i].p[0] == '_')
			continue;
		if (schema_column(p->schema, names[i], &p->found[i]) != ERR_OK)
			return unknown_column(p->schema, names[i], k->a, c);
	}
	return ERR_OK;
}

static enum err plan_make(struct planner *k, const struct schema *s,
			  const struct slice *names, size_t count)
{
	struct row_plan *p = arena_alloc(k->a, sizeof(*p));

	k->plan = p;
	if (p == NULL || count > LIMIT_COLUMNS)
		return full(k->c);
	p->schema = s;
	p->names = names;
	p->columns = count;
	p->found = arena_array(k->a, count + 1, sizeof(*p->found));
	p->unnamed = arena_array(k->a, count + 1, sizeof(*p->unnamed));
	if (p->found == NULL || p->unnamed == NULL)
		return full(k->c);
	return ERR_OK;
}

static enum err plan_finish(struct planner *k)
{
	struct row_plan *p = k->plan;
	enum err e = check_required(p, p->schema->shape, NULL, k->c);

	if (e == ERR_OK)
		e = plan_shape(k, &p->root, p->schema->shape, 0);
	if (e == ERR_OK)
		e = plan_inputs(k);
	return e;
}

enum err schema_plan_row(const struct schema *s, const struct slice *names,
			 size_t count, struct arena *a,
			 const struct row_plan **out, struct complaint *c)
{
	struct planner k = { NULL, a, c };
	enum err e = plan_make(&k, s, names, count);

	if (e == ERR_OK)
		e = resolve(&k, names);
	if (e == ERR_OK)
		e = plan_finish(&k);
	*out = k.plan;
	return e;
}

int schema_plan_column(const struct row_plan *p, const char *name)
{
	for (size_t i = 0; i < p->columns; i++) {
		if (slice_is(p->names[i], name))
			return (int)i;
	}
	return -1;
}

enum err schema_plan_part(const struct row_plan *p, const char *field,
			  const struct schema *s, struct arena *a,
			  const struct row_plan **out)
{
	struct complaint c;
	struct planner k = { NULL, a, &c };
	const struct schema_column *from;
	enum err e = plan_make(&k, s, p->names, p->columns);

	for (size_t i = 0; e == ERR_OK && i < p->columns; i++) {
		from = &p->found[i];
		if (from->depth < 2 || strcmp(from->path[0]->name, field) != 0)
			continue;
		k.plan->found[i] = (struct schema_column){
			.name = from->name,
			.path = { schema_field(
				s->shape, slice_str(from->path[1]->name)) },
			.depth = 1,
			.language = from->language,
		};
		assert(k.plan->found[i].path[0] != NULL);
	}
	if (e == ERR_OK)
		e = plan_finish(&k);
	*out = k.plan;
	return e;
}

/* Rows. */

struct rower {
	const struct row_plan *p;
	const struct slice *cells;
	struct schema_context *x;
	struct enc enc;
	size_t start; /* of the body in the output */
	struct complaint *c;
};

static bool is_present(const struct rower *r, const struct node *n)
{
	if ((n->f->flags & FIELD_STORED) != 0)
		return true;
	for (uint32_t i = 0; i < n->count; i++) {
		if (is_present(r, &n->children[i]))
			return true;
	}
	return n->children == NULL && n->column >= 0 &&
	       r->cells[n->column].n > 0;
}

static enum err at_column(struct rower *r, const struct node *n, enum err e)
{
	if (e != ERR_OK && r->c != NULL && n->column >= 0)
		put_column(r->c, r->p->names[n->column]);
	return e;
}

static void put_value(struct rower *r, const struct value *v)
{
	if (v->type == VALUE_UINT)
		enc_uint(&r->enc, v->u);
	else if (v->type == VALUE_BOOL)
		enc_bool(&r->enc, v->b);
	else
		enc_str(&r->enc, v->s);
}

static enum err check_input(struct rower *r, const struct field *f,
			    struct slice text)
{
	if ((f->flags & FIELD_MEMBER) == 0 || r->x->member.n == 0 ||
	    slice_equal(text, r->x->member))
		return ERR_OK;
	(void)complain_value(r->c, f, "other-member", text,
			     "is not the member whose log this is");
	return complain_cure(r->c, "import it at the node of that member");
}

static enum err put_cell(struct rower *r, const struct node *n,
			 struct slice text)
{
	struct value v;
	enum err e;

	if (n->f->type == FIELD_LANGUAGE_MAP)
		e = field_from_words(n->f, text, r->x, &v, r->c);
	else
		e = field_from_text(n->f, text, true, r->x, &v, r->c);
	if (e == ERR_OK)
		e = check_input(r, n->f, text);
	if (e == ERR_OK)
		put_value(r, &v);
	return e;
}

static enum err put_list(struct rower *r, const struct node *n,
			 struct slice text)
{
	struct slice rest = text;
	struct slice item;
	uint32_t count = 1;
	enum err e = ERR_OK;

	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == '|';
	if (count > LIMIT_LIST_ITEMS) {
		complain(r->c, "too-many", "", "the list is too long",
			 "at most 1024 items");
		return ERR_LIMIT;
	}
	enc_array(&r->enc, count);
	for (uint32_t i = 0; i < count && e == ERR_OK; i++) {
		slice_cut(rest, '|', &item, &rest);
		if (item.n == 0) {
			complain(r->c, "empty-item", "",
				 "an item of the list is empty",
				 "remove the extra |");
			return ERR_MALFORMED;
		}
		e = put_cell(r, n, item);
	}
	return e;
}

/* Where the last @n bytes written begin in the body. */
static uint32_t mark(const struct rower *r, size_t n)
{
	const struct buf *out = r->enc.out;

	return out->err == ERR_OK ? (uint32_t)(out->n - n - r->start) : 0;
}

static enum err put_id(struct rower *r, const struct node *n)
{
	struct value v;
	enum err e = field_from_text(n->f, r->cells[n->column], true, r->x, &v,
				     r->c);

	if (e == ERR_OK)
		e = check_input(r, n->f, v.s);
	if (e != ERR_OK)
		return at_column(r, n, e);
	enc_str(&r->enc, v.s);
	r->x->id_at = mark(r, v.s.n);
	r->x->id_bytes = (uint32_t)v.s.n;
	return ERR_OK;
}

static enum err missing_cell(struct rower *r, const struct node *n)
{
	complain(r->c, "missing-field", n->f->name,
		 "a required field is missing", "fill it in");
	while (n->count > 0)
		n = &n->children[0];
	return at_column(r, n, ERR_MALFORMED);
}

static enum err put_node(struct rower *r, const struct node *n);

static enum err put_map(struct rower *r, const struct node *n)
{
	uint64_t present[LIMIT_COLUMNS / 64] = { 0 };
	uint32_t count = 0;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < n->count; i++) {
		const struct node *child = &n->children[i];

		if (is_present(r, child)) {
			present[i / 64] |= 1ull << i % 64;
			count++;
		} else if ((child->f->flags & FIELD_REQUIRED) != 0 &&
			   child->f != n->f) {
			return missing_cell(r, child);
		}
	}
	enc_map(&r->enc, count);
	for (uint32_t i = 0; i < n->count && e == ERR_OK; i++) {
		if ((present[i / 64] >> i % 64 & 1) == 0)
			continue;
		enc_raw(&r->enc, n->children[i].encoded);
		e = put_node(r, &n->children[i]);
	}
	return e;
}

static enum err put_node(struct rower *r, const struct node *n)
{
	enum err e;

	if (n->f->type == FIELD_POSITION) {
		enc_uint(&r->enc, r->x->position);
		return ERR_OK;
	}
	if (n->f->type == FIELD_NUMBER && n->column >= 0) {
		if (r->cells[n->column].n == 0)
			return missing_cell(r, n);
		e = put_cell(r, n, r->cells[n->column]);
		r->x->number_at = e == ERR_OK ? mark(r, r->x->number.n) : 0;
		return at_column(r, n, e);
	}
	if (n->f->type == FIELD_NUMBER) {
		enc_str(&r->enc, r->x->number);
		r->x->number_at = mark(r, r->x->number.n);
		return ERR_OK;
	}
	if (n->children != NULL)
		return put_map(r, n);
	if (n->is_id)
		return put_id(r, n);
	if ((n->f->flags & FIELD_IS_LIST) != 0)
		return at_column(r, n, put_list(r, n, r->cells[n->column]));
	return at_column(r, n, put_cell(r, n, r->cells[n->column]));
}

/* Fields that are checked and do not go into the body: written, then taken
 * back. */
static enum err check_inputs(struct rower *r)
{
	const struct row_plan *p = r->p;
	size_t start = r->enc.out->n;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < p->input_count && e == ERR_OK; i++) {
		const struct node *n = &p->inputs[i];

		if (r->cells[n->column].n > 0)
			e = at_column(r, n,
				      put_cell(r, n, r->cells[n->column]));
		else if ((n->f->flags & FIELD_REQUIRED) != 0)
			e = missing_cell(r, n);
	}
	r->enc.out->n = start;
	return e;
}

static enum err check_unnamed(struct rower *r)
{
	for (size_t i = 0; i < r->p->unnamed_count; i++) {
		if (r->cells[r->p->unnamed[i]].n == 0)
			continue;
		complain(r->c, "unnamed-column", "",
			 "there is a value in a column without a name",
			 "name the column in the first line or remove it");
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

enum err schema_from_row(const struct row_plan *p, const struct slice *cells,
			 struct schema_context *x, struct buf *out,
			 struct complaint *c)
{
	struct rower r = { .p = p, .cells = cells, .x = x, .c = c };
	size_t start = out->n;
	enum err e;

	assert(out->err == ERR_OK);
	r.start = start;
	x->id_bytes = 0;
	x->number_at = 0;
	enc_init(&r.enc, out);
	e = check_unnamed(&r);
	if (e == ERR_OK)
		e = check_inputs(&r);
	if (e == ERR_OK)
		e = put_map(&r, &p->root);
	if (e == ERR_OK &&
	    (out->err != ERR_OK || out->n - start > LIMIT_BODY_BYTES))
		e = complain_size(c);
	if (e == ERR_OK && p->schema->check != NULL &&
	    !p->schema->check(slice_of(out->p + start, out->n - start), c))
		e = ERR_MALFORMED;
	if (e != ERR_OK) {
		out->n = start;
		out->err = ERR_OK;
	}
	return e;
}
