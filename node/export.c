#include "node/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/csv.h"
#include "proto/dec.h"
#include "proto/text.h"

#define ARENA_BYTES (8u << 20) /* of one document */
#define RENEW_RECORDS 1024u /* read under one state of the store */
#define OUT_BYTES (1u << 20)
#define FLUSH_BYTES 65536u

/* Documents. */

static void drop(struct value *doc, const char *key)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < doc->count; i++) {
		if (!slice_is(doc->pairs[i].key, key))
			doc->pairs[kept++] = doc->pairs[i];
	}
	doc->count = kept;
}

/* Is @f part of what goes out? Of what the node set, only what may stand for
 * the person who is left out. */
static bool is_shown(const struct field *f, bool person)
{
	if ((f->flags & FIELD_STANDS) != 0)
		return !person;
	return (f->flags & FIELD_STORED) == 0;
}

/* A copy with room for one more pair, in the order of the table. */
static enum err in_order(const struct schema *s, const struct value *doc,
			 bool person, struct arena *a, struct value *out)
{
	enum err e = value_map(a, doc->count + 1, out);
	uint32_t n = 0;

	if (e != ERR_OK)
		return e;
	for (size_t f = 0; f < s->shape->count; f++) {
		const struct field *field = &s->shape->fields[f];
		const struct value *v = value_get(doc, field->name);

		if (v == NULL || !is_shown(field, person))
			continue;
		out->pairs[n].key = slice_str(field->name);
		out->pairs[n++].value = *v;
	}
	for (uint32_t i = 0; i < doc->count; i++) {
		if (schema_field(s->shape, doc->pairs[i].key) == NULL)
			out->pairs[n++] = doc->pairs[i];
	}
	out->count = n;
	return ERR_OK;
}

static void add_first(struct value *doc, const char *key, struct value v)
{
	memmove(doc->pairs + 1, doc->pairs, doc->count * sizeof(*doc->pairs));
	doc->pairs[0].key = slice_str(key);
	doc->pairs[0].value = v;
	doc->count++;
}

static enum err add_credential(struct own *o, uint64_t position,
			       struct arena *a, struct value *doc)
{
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct slice id;
	uint64_t audience;
	uint32_t kind;
	enum err e = own_open(o, position, &kind, &audience);

	if (e != ERR_OK)
		return e;
	if (!schema_id(kind, buf_slice(&o->body), scratch, &id))
		return ERR_CORRUPT;
	e = arena_copy(a, id, &id);
	if (e == ERR_OK)
		add_first(doc, "credential", value_str(id));
	return e;
}

static enum err add_subject(struct own *o, struct slice number, struct arena *a,
			    struct value *doc)
{
	const struct schema *s = schema_of(KIND_LEARNER);
	struct value subject;
	struct slice body = { NULL, 0 };
	enum err e = own_learner(o, number);

	if (e == ERR_OK)
		e = arena_copy(a, buf_slice(&o->body), &body);
	if (e == ERR_OK)
		e = schema_to_value(s, body, true, a, &subject);
	if (e != ERR_OK)
		return e;
	drop(&subject, "number");
	doc->pairs[doc->count].key = slice_str("subject");
	doc->pairs[doc->count++].value = subject;
	return ERR_OK;
}

enum err export_document(struct own *o, const struct schema *s, uint64_t seq,
			 bool person, struct arena *a, struct value *out)
{
	struct slice body = { NULL, 0 };
	struct value doc;
	uint64_t audience;
	uint32_t kind;
	enum err e = own_open(o, seq, &kind, &audience);

	if (e == ERR_OK)
		e = arena_copy(a, buf_slice(&o->body), &body);
	if (e == ERR_OK)
		e = schema_to_value(s, body, person, a, &doc);
	if (e == ERR_OK)
		e = in_order(s, &doc, person, a, out);
	if (e != ERR_OK)
		return e;
	if (kind == KIND_STATUS)
		return add_credential(o, dec_find_uint(body, "seq", 0), a, out);
	if (kind == KIND_CREDENTIAL && person)
		return add_subject(o, dec_find_str(body, "learner"), a, out);
	return ERR_OK;
}

/* All records of a kind. */

struct exporter {
	struct cmd *c;
	const struct export_options *o;
	struct own own;
	struct arena arena; /* of one record */
	struct arena plan; /* names of columns */
	struct schema_column *columns; /* CSV */
	size_t column_count;
	bool *used; /* of @columns */
	struct slice languages[LIMIT_COLUMNS][EXPORT_LANGUAGES_MAX];
	uint32_t language_counts[LIMIT_COLUMNS];
	struct buf out; /* not yet written */
	uint64_t size; /* of the log: what comes later is not exported */
	const char *beyond; /* a field that rows cannot say */
	struct slice beyond_id; /* of which record; in @plan */
	const char *many; /* a field in too many languages */
};

static void flush(struct exporter *x)
{
	cmd_out_slice(x->c, buf_slice(&x->out));
	buf_reset(&x->out);
}

struct newest {
	uint64_t before;
	uint64_t seq;
};

static bool on_newest(void *arg, const struct store_entry *e)
{
	struct newest *n = arg;

	if (e->seq >= n->before)
		return true;
	n->seq = e->seq;
	return false;
}

/* Is the record at @seq, just opened, the newest of its id? */
static enum err is_newest(struct exporter *x, uint64_t seq, bool *yes)
{
	const struct schema *s = x->o->schema;
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	uint8_t hash[STORE_HASH_BYTES];
	struct newest n = { .before = x->size, .seq = UINT64_MAX };
	struct slice id;
	enum err e;

	*yes = false;
	if (!schema_id(s->kind, buf_slice(&x->own.body), scratch, &id))
		return ERR_OK;
	own_hash(&x->own, s, id, hash);
	e = store_index_scan(x->own.txn, STORE_BY_ID, x->own.home->own_log,
			     hash, true, on_newest, &n);
	if (e != ERR_OK)
		return e;
	if (n.seq == seq) {
		*yes = true;
		return ERR_OK;
	}
	/* Another id may have the same hash. */
	e = arena_copy(&x->arena, id, &id);
	if (e == ERR_OK)
		e = own_search(&x->own, s, id, true, x->size, &n.seq);
	*yes = e == ERR_OK && n.seq == seq;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

typedef enum err export_cb(struct exporter *x, const struct value *doc);

static enum err visit(struct exporter *x, uint64_t seq, export_cb *cb)
{
	struct record r;
	struct leaf leaf;
	struct value doc;
	uint64_t audience;
	uint32_t kind;
	bool yes;
	enum err e =
		store_record_get(x->own.txn, x->own.home->own_log, seq, &r);

	if (e == ERR_OK)
		e = leaf_decode(r.leaf, &leaf);
	if (e == ERR_UNSUPPORTED)
		return ERR_OK;
	if (e != ERR_OK || leaf.kind != x->o->schema->kind)
		return e;
	arena_reset(&x->arena);
	e = own_open(&x->own, seq, &kind, &audience);
	if (e == ERR_NOT_FOUND)
		return ERR_OK; /* erased */
	if (e == ERR_OK)
		e = is_newest(x, seq, &yes);
	if (e != ERR_OK || !yes)
		return e;
	e = export_document(&x->own, x->o->schema, seq, x->o->person, &x->arena,
			    &doc);
	return e == ERR_OK ? cb(x, &doc) : e;
}

/* Every newest record, in the order of the log. */
static enum err visit_all(struct exporter *x, export_cb *cb)
{
	enum err e = ERR_OK;

	for (uint64_t seq = 0; seq < x->size && e == ERR_OK;) {
		e = own_begin(&x->own);
		for (uint32_t n = 0;
		     n < RENEW_RECORDS && seq < x->size && e == ERR_OK; n++)
			e = visit(x, seq++, cb);
		own_end(&x->own);
		if (e == ERR_OK && cmd_is_cancelled(x->c))
			e = ERR_CLOSED;
	}
	return e;
}

static enum err read_size(struct exporter *x)
{
	struct store_head head;
	enum err e = own_begin(&x->own);

	if (e == ERR_OK)
		e = store_head_get(x->own.txn, x->own.home->own_log, &head);
	own_end(&x->own);
	if (e == ERR_OK)
		x->size = head.frontier.size;
	return e;
}

/* NDJSON. */

static enum err put_line(struct exporter *x, const struct value *doc)
{
	value_put_json(doc, &x->out);
	buf_put_u8(&x->out, '\n');
	if (x->out.err != ERR_OK)
		return x->out.err;
	if (x->out.n > FLUSH_BYTES)
		flush(x);
	return ERR_OK;
}

/* CSV: first which columns there are, then the rows. */

static enum err note_language(struct exporter *x, size_t i, struct slice tag)
{
	struct slice *tags = x->languages[i];
	uint32_t at = 0;
	uint32_t n = x->language_counts[i];
	enum err e;

	while (at < n && slice_compare(tags[at], tag) < 0)
		at++;
	if (at < n && slice_equal(tags[at], tag))
		return ERR_OK;
	if (n == EXPORT_LANGUAGES_MAX) {
		x->many = x->columns[i].path[0]->name;
		return ERR_LIMIT;
	}
	e = arena_copy(&x->plan, tag, &tag);
	if (e != ERR_OK)
		return e;
	memmove(tags + at + 1, tags + at, (n - at) * sizeof(*tags));
	tags[at] = tag;
	x->language_counts[i]++;
	return ERR_OK;
}

static enum err note_column(struct exporter *x, size_t i,
			    const struct value *doc)
{
	const struct schema_column *col = &x->columns[i];
	const struct value *v = doc;
	enum err e = ERR_OK;

	for (uint32_t d = 0; d < col->depth && v != NULL; d++)
		v = value_get(v, col->path[d]->name);
	if (v == NULL)
		return ERR_OK;
	x->used[i] = true;
	if (v->type == VALUE_ARRAY) {
		buf_reset(&x->out);
		e = schema_to_cell(col, doc, &x->out);
		buf_reset(&x->out);
		if (e == ERR_BAD_STATE)
			x->beyond = col->path[0]->name;
		return e;
	}
	if (col->path[col->depth - 1]->type != FIELD_LANGUAGE_MAP ||
	    v->type != VALUE_MAP)
		return ERR_OK;
	for (uint32_t k = 0; k < v->count && e == ERR_OK; k++)
		e = note_language(x, i, v->pairs[k].key);
	return e;
}

static enum err note_columns(struct exporter *x, const struct value *doc)
{
	struct slice id = value_get_str(doc, x->o->schema->id);
	enum err e = ERR_OK;

	x->beyond = schema_beyond_rows(x->o->schema, doc);
	if (x->beyond != NULL)
		e = ERR_UNSUPPORTED;
	for (size_t i = 0; i < x->column_count && e == ERR_OK; i++)
		e = note_column(x, i, doc);
	if (e != ERR_OK && arena_copy(&x->plan, id, &x->beyond_id) != ERR_OK)
		x->beyond_id = slice_of(NULL, 0);
	return e;
}

/* One column for each language of a map. */
static enum err expand(struct exporter *x)
{
	struct schema_column *all =
		arena_array(&x->plan, LIMIT_COLUMNS, sizeof(*all));
	struct buf name;
	size_t n = 0;
	enum err e = all != NULL ? ERR_OK : ERR_LIMIT;

	buf_init(&name, LIMIT_ID_BYTES * 2);
	for (size_t i = 0; i < x->column_count && e == ERR_OK; i++) {
		uint32_t tags = x->language_counts[i];

		if (!x->used[i])
			continue;
		for (uint32_t k = 0; k < (tags > 0 ? tags : 1); k++) {
			if (n == LIMIT_COLUMNS) {
				e = ERR_LIMIT;
				break;
			}
			all[n] = x->columns[i];
			buf_reset(&name);
			buf_put(&name, all[n].name);
			if (tags > 0) {
				all[n].language = x->languages[i][k];
				buf_put_u8(&name, '_');
				buf_put(&name, all[n].language);
			}
			e = arena_copy(&x->plan, buf_slice(&name),
				       &all[n].name);
			n++;
		}
	}
	buf_free(&name);
	x->columns = all;
	x->column_count = n;
	return e;
}

static enum err put_row(struct exporter *x, const struct value *doc)
{
	struct buf cell;
	enum err e = ERR_OK;

	buf_init(&cell, LIMIT_LINE_BYTES);
	for (size_t i = 0; i < x->column_count && e == ERR_OK; i++) {
		buf_reset(&cell);
		e = schema_to_cell(&x->columns[i], doc, &cell);
		if (i > 0)
			buf_put_u8(&x->out, ',');
		csv_put_cell(&x->out, ',', buf_slice(&cell));
	}
	buf_put_u8(&x->out, '\n');
	buf_free(&cell);
	if (e == ERR_OK && x->out.n > FLUSH_BYTES)
		flush(x);
	return e;
}

static enum err put_header(struct exporter *x)
{
	for (size_t i = 0; i < x->column_count; i++) {
		if (i > 0)
			buf_put_u8(&x->out, ',');
		csv_put_cell(&x->out, ',', x->columns[i].name);
	}
	buf_put_u8(&x->out, '\n');
	return x->out.err;
}

static enum err run_csv(struct exporter *x)
{
	enum err e;

	x->columns = arena_array(&x->plan, LIMIT_COLUMNS, sizeof(*x->columns));
	x->used = arena_array(&x->plan, LIMIT_COLUMNS, sizeof(*x->used));
	if (x->columns == NULL || x->used == NULL)
		return ERR_LIMIT;
	x->column_count = schema_columns(x->o->schema, x->o->person, &x->plan,
					 x->columns, LIMIT_COLUMNS);
	e = visit_all(x, note_columns);
	if (e == ERR_OK)
		e = expand(x);
	if (e == ERR_OK)
		e = put_header(x);
	if (e == ERR_OK)
		e = visit_all(x, put_row);
	return e;
}

static int tell(struct exporter *x, enum err e)
{
	if (e == ERR_OK)
		return EXIT_OK;
	if (x->beyond != NULL)
		cmd_msg(x->c,
			"%s %.*s: CSV cannot say all of its field %s; nothing "
			"was written; use --format ndjson",
			x->o->schema->name, (int)x->beyond_id.n,
			(const char *)x->beyond_id.p, x->beyond);
	else if (x->many != NULL || (x->o->csv && e == ERR_LIMIT))
		cmd_msg(x->c,
			"%s: there are more columns (languages of %s) than CSV "
			"may have; nothing was written; use --format ndjson",
			x->o->schema->plural,
			x->many != NULL ? x->many : "texts");
	else if (e == ERR_CLOSED) /* whoever reads no further knows */
		return EXIT_FAILED;
	else
		cmd_msg(x->c, "%s: %s", x->o->schema->plural, err_text(e));
	return x->beyond != NULL ? EXIT_FAILED : cmd_exit(e);
}

int export_kind(struct cmd *c, const struct export_options *o)
{
	struct exporter *x = xcalloc(1, sizeof(*x));
	enum err e;
	int code;

	x->c = c;
	x->o = o;
	own_init(&x->own, c->home);
	arena_init(&x->arena, ARENA_BYTES);
	arena_init(&x->plan, ARENA_BYTES);
	buf_init(&x->out, OUT_BYTES);
	e = read_size(x);
	if (e == ERR_OK)
		e = o->csv ? run_csv(x) : visit_all(x, put_line);
	if (e == ERR_OK)
		flush(x);
	code = tell(x, e);
	own_free(&x->own);
	arena_free(&x->arena);
	arena_free(&x->plan);
	buf_wipe(&x->out);
	free(x);
	return code;
}
