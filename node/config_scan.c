#include "node/config_scan.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "proto/text.h"

struct reader {
	struct config_scan *scan;
	yaml_parser_t parser;
	yaml_event_t event; /* the one looked at */
	bool has_event;
	struct buf *why;
};

static enum err fail_at(struct reader *r, yaml_mark_t mark, const char *what)
{
	buf_put_str(r->why, r->scan->path);
	buf_put_u8(r->why, ':');
	buf_put_dec(r->why, mark.line + 1);
	buf_put_u8(r->why, ':');
	buf_put_dec(r->why, mark.column + 1);
	buf_put_str(r->why, ": ");
	buf_put_str(r->why, what);
	return ERR_MALFORMED;
}

static enum err fail_here(struct reader *r, const char *what)
{
	return fail_at(r, r->event.start_mark, what);
}

static enum err next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		yaml_parser_t *p = &r->parser;
		yaml_mark_t mark = p->problem_mark;
		return fail_at(r, mark, p->problem ? p->problem : "not YAML");
	}
	r->has_event = true;
	if (r->event.type == YAML_ALIAS_EVENT)
		return fail_here(r, "references (*name) are not used here; "
				    "write the value out");
	return ERR_OK;
}

static struct slice scalar(const struct reader *r)
{
	return slice_of(r->event.data.scalar.value,
			r->event.data.scalar.length);
}

/* The field that the key under the eyes names. */
static enum err find_field(struct reader *r,
			   const struct cyaml_schema_field *fields,
			   const struct cyaml_schema_field **out)
{
	for (const struct cyaml_schema_field *f = fields; f->key; f++) {
		if (!slice_is(scalar(r), f->key))
			continue;
		for (size_t i = 0; i < r->scan->count; i++)
			if (r->scan->places[i].field == f)
				return fail_here(r, "this key comes twice; "
						    "keep one");
		*out = f;
		return ERR_OK;
	}
	fail_here(r, "unknown key '");
	buf_put(r->why, scalar(r));
	buf_put_str(r->why, "'; the keys are");
	for (const struct cyaml_schema_field *f = fields; f->key; f++) {
		buf_put_str(r->why, f == fields ? " " : ", ");
		buf_put_str(r->why, f->key);
	}
	return ERR_MALFORMED;
}

static enum err scan_mapping(struct reader *r,
			     const struct cyaml_schema_field *fields);

static enum err scan_value(struct reader *r, const struct cyaml_schema_field *f)
{
	struct config_scan *s = r->scan;
	if (s->count == CONFIG_KEYS_MAX)
		return fail_here(r, "too many keys");
	s->places[s->count++] =
		(struct config_place){ f, r->event.start_mark.line + 1,
				       r->event.start_mark.column + 1 };
	bool is_scalar = r->event.type == YAML_SCALAR_EVENT;
	if (f->value.type == CYAML_MAPPING) {
		if (r->event.type == YAML_MAPPING_START_EVENT)
			return scan_mapping(r, f->value.mapping.fields);
		/* Nothing but comments below the key. */
		if (is_scalar && scalar(r).n == 0)
			return ERR_OK;
		return fail_here(r,
				 "keys belong here, indented below this one");
	}
	if (!is_scalar)
		return fail_here(r, "one plain value belongs here");
	if (memchr(scalar(r).p, 0, scalar(r).n))
		return fail_here(r, "a NUL character cannot stand here");
	/* strtoul would take octal, hexadecimal and what stands behind. */
	uint64_t number;
	if (f->value.type == CYAML_UINT && !text_parse_u64(scalar(r), &number))
		return fail_here(r, "a whole number in decimal digits belongs "
				    "here");
	return ERR_OK;
}

static enum err scan_mapping(struct reader *r,
			     const struct cyaml_schema_field *fields)
{
	enum err e = next(r);
	while (!e && r->event.type != YAML_MAPPING_END_EVENT) {
		const struct cyaml_schema_field *f = NULL;
		if (r->event.type != YAML_SCALAR_EVENT)
			return fail_here(r, "a key belongs here");
		e = find_field(r, fields, &f);
		if (!e)
			e = next(r);
		if (!e)
			e = scan_value(r, f);
		if (!e)
			e = next(r);
	}
	return e;
}

static enum err scan_document(struct reader *r,
			      const struct cyaml_schema_field *fields)
{
	enum err e = next(r); /* the stream's start */
	if (!e)
		e = next(r);
	if (!e && r->event.type == YAML_DOCUMENT_START_EVENT)
		e = next(r);
	if (e)
		return e;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fail_here(r, "lines of 'key: value' belong here");
	e = scan_mapping(r, fields);
	if (!e)
		e = next(r); /* the document's end */
	if (!e)
		e = next(r);
	if (!e && r->event.type != YAML_STREAM_END_EVENT)
		return fail_here(r, "a second document; one is expected");
	return e;
}

enum err config_scan(struct config_scan *s, struct slice text,
		     const struct cyaml_schema_field *fields, struct buf *why)
{
	struct reader r = { .scan = s, .why = why };
	s->count = 0;
	if (!yaml_parser_initialize(&r.parser))
		abort(); /* out of memory, as xmalloc */
	yaml_parser_set_input_string(&r.parser, text.p, text.n);
	enum err e = scan_document(&r, fields);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return e;
}

bool config_scan_has(const struct config_scan *s,
		     const struct cyaml_schema_field *field)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->places[i].field == field)
			return true;
	return false;
}

void config_scan_at(const struct config_scan *s,
		    const struct cyaml_schema_field *field, struct buf *why)
{
	buf_put_str(why, s->path);
	for (size_t i = 0; i < s->count; i++) {
		if (s->places[i].field != field)
			continue;
		buf_put_u8(why, ':');
		buf_put_dec(why, s->places[i].line);
		buf_put_u8(why, ':');
		buf_put_dec(why, s->places[i].column);
	}
	buf_put_str(why, ": ");
	buf_put_str(why, field->key);
	buf_put_str(why, ": ");
}
