/* Bodies into documents, and documents into cells. */

#include "schema.h"

#include <assert.h>
#include <string.h>

#include "schema_text.h"
#include "text.h"

/* Documents. */

struct shower {
	struct arena *a;
	bool person;
};

static enum err show_shape(struct shower *w, const struct shape *s,
			   struct value *v);

static enum err show_hundredths(struct shower *w, struct value *v)
{
	struct buf b;
	enum err e;

	if (v->type != VALUE_UINT)
		return ERR_OK;
	buf_init(&b, 32);
	text_put_hundredths(&b, v->u);
	v->type = VALUE_DECIMAL;
	e = arena_copy(w->a, buf_slice(&b), &v->s);
	buf_free(&b);
	return e;
}

/* In place; what does not have the field's type stays as it is. */
static enum err show_item(struct shower *w, const struct field *f,
			  struct value *v)
{
	if (f->type == FIELD_HUNDREDTHS)
		return show_hundredths(w, v);
	if (f->type == FIELD_OBJECT && v->type == VALUE_MAP)
		return show_shape(w, f->shape, v);
	return ERR_OK;
}

static enum err show_field(struct shower *w, const struct field *f,
			   struct value *v)
{
	enum err e = ERR_OK;

	if ((f->flags & FIELD_IS_LIST) == 0 || v->type != VALUE_ARRAY)
		return show_item(w, f, v);
	for (uint32_t i = 0; i < v->count && e == ERR_OK; i++)
		e = show_item(w, f, &v->items[i]);
	return e;
}

static enum err show_shape(struct shower *w, const struct shape *s,
			   struct value *v)
{
	const struct field *f;
	uint32_t kept = 0;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < v->count && e == ERR_OK; i++) {
		struct value_pair p = v->pairs[i];

		f = schema_field(s, p.key);
		if (f != NULL && (f->flags & FIELD_PERSONAL) != 0 && !w->person)
			continue;
		if (f != NULL)
			e = show_field(w, f, &p.value);
		v->pairs[kept++] = p;
	}
	v->count = kept;
	return e;
}

enum err schema_to_value(const struct schema *s, struct slice body, bool person,
			 struct arena *a, struct value *out)
{
	struct shower w = { a, person };
	enum err e = value_decode(body, a, out);

	if (e == ERR_OK && out->type == VALUE_MAP)
		e = show_shape(&w, s->shape, out);
	return e;
}

/* Columns. */

struct lister {
	struct arena *a;
	bool person;
	struct schema_column *out;
	size_t max;
	size_t count;
	bool full;
};

static struct slice joined(struct lister *l, struct slice prefix,
			   const struct field *f)
{
	struct buf b;
	struct slice name = { NULL, 0 };

	buf_init(&b, LIMIT_ID_BYTES);
	if (f->column != NULL) {
		buf_put_str(&b, f->column);
	} else {
		buf_put(&b, prefix);
		if (prefix.n > 0)
			buf_put_u8(&b, '_');
		buf_put_str(&b, f->name);
	}
	if (arena_copy(l->a, buf_slice(&b), &name) != ERR_OK)
		l->full = true;
	buf_free(&b);
	return name;
}

static bool is_listed(const struct lister *l, const struct field *f)
{
	unsigned member = FIELD_INPUT | FIELD_MEMBER;

	if ((f->flags & FIELD_STANDS) != 0)
		return !l->person;
	if ((f->flags & FIELD_STORED) != 0 || (f->flags & member) == member)
		return false;
	if (f->type == FIELD_OBJECT && (f->flags & FIELD_IS_LIST) != 0)
		return false;
	return l->person || (f->flags & FIELD_PERSONAL) == 0;
}

static void list(struct lister *l, const struct shape *s, struct slice prefix,
		 const struct schema_column *parent)
{
	struct schema_column col = *parent;

	assert(col.depth < SCHEMA_PATH_MAX);
	col.depth++;
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];

		if (!is_listed(l, f))
			continue;
		col.path[col.depth - 1] = f;
		col.name = joined(l, prefix, f);
		if (f->type == FIELD_OBJECT)
			list(l, f->shape, col.name, &col);
		else if (l->count < l->max)
			l->out[l->count++] = col;
		else
			l->full = true;
	}
}

size_t schema_columns(const struct schema *s, bool person, struct arena *a,
		      struct schema_column *out, size_t max)
{
	struct lister l = { .a = a, .person = person, .out = out, .max = max };
	struct schema_column none = { .depth = 0 };

	list(&l, s->shape, slice_of(NULL, 0), &none);
	return l.full ? 0 : l.count;
}

/* Cells. */

static enum err put_scalar(const struct value *v, struct buf *out)
{
	switch (v->type) {
	case VALUE_STR:
	case VALUE_DECIMAL:
		buf_put(out, v->s);
		break;
	case VALUE_UINT:
		buf_put_dec(out, v->u);
		break;
	case VALUE_BOOL:
		buf_put_str(out, v->b ? "true" : "false");
		break;
	case VALUE_INT:
	case VALUE_BIN:
	case VALUE_ARRAY:
	case VALUE_MAP:
		return ERR_BAD_STATE;
	}
	return out->err;
}

static enum err put_items(const struct value *v, struct buf *out)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < v->count && e == ERR_OK; i++) {
		const struct value *item = &v->items[i];

		if (item->type == VALUE_STR && item->s.n > 0 &&
		    memchr(item->s.p, '|', item->s.n) != NULL)
			return ERR_BAD_STATE;
		if (i > 0)
			buf_put_u8(out, '|');
		e = put_scalar(item, out);
	}
	return e;
}

static const struct value *get(const struct value *v, struct slice key)
{
	if (v->type != VALUE_MAP)
		return NULL;
	for (uint32_t i = 0; i < v->count; i++) {
		if (slice_equal(v->pairs[i].key, key))
			return &v->pairs[i].value;
	}
	return NULL;
}

enum err schema_to_cell(const struct schema_column *col,
			const struct value *doc, struct buf *out)
{
	const struct value *v = doc;

	for (uint32_t i = 0; i < col->depth && v != NULL; i++)
		v = value_get(v, col->path[i]->name);
	if (v != NULL && col->language.n > 0)
		v = get(v, col->language);
	if (v == NULL)
		return ERR_OK;
	if (v->type == VALUE_ARRAY)
		return put_items(v, out);
	return put_scalar(v, out);
}

static bool is_beyond(const struct shape *s, const struct value *doc,
		      const char **name)
{
	for (uint32_t i = 0; i < doc->count; i++) {
		const struct value *v = &doc->pairs[i].value;
		const struct field *f = schema_field(s, doc->pairs[i].key);

		if (f == NULL) {
			*name = "a field that this version does not know";
			return true;
		}
		*name = f->name;
		if (f->type != FIELD_OBJECT)
			continue;
		if (v->type != VALUE_MAP || is_beyond(f->shape, v, name))
			return true;
	}
	return false;
}

const char *schema_beyond_rows(const struct schema *s, const struct value *doc)
{
	const char *name = NULL;

	if (doc->type != VALUE_MAP || !is_beyond(s->shape, doc, &name))
		return NULL;
	return name;
}
