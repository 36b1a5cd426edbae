#include "node/report.h"

#include <assert.h>

#include "proto/text.h"

#define TEXT_BYTES_MAX 4096u

struct value report_map(struct arena *a, uint32_t room)
{
	struct value v;
	enum err err = value_map(a, room, &v);

	assert(err == ERR_OK);
	v.count = 0;
	return v;
}

struct value report_list(struct arena *a, uint32_t room)
{
	struct value v;
	enum err err = value_array(a, room, &v);

	assert(err == ERR_OK);
	v.count = 0;
	return v;
}

void report_set(struct value *map, const char *key, struct value v)
{
	assert(map->type == VALUE_MAP);
	map->pairs[map->count].key = slice_str(key);
	map->pairs[map->count++].value = v;
}

void report_add(struct value *list, struct value v)
{
	assert(list->type == VALUE_ARRAY);
	list->items[list->count++] = v;
}

struct value report_text(struct arena *a, struct slice s)
{
	struct slice copy;
	enum err err;

	if (s.n > TEXT_BYTES_MAX || !text_is_utf8(s))
		s = SLICE_LIT("?");
	err = arena_copy(a, s, &copy);
	assert(err == ERR_OK);
	return value_str(copy);
}

struct value report_cstr(struct arena *a, const char *s)
{
	return report_text(a, slice_str(s));
}

static struct value take(struct arena *a, struct buf *b)
{
	struct value v = report_text(a, buf_slice(b));

	buf_free(b);
	return v;
}

struct value report_hex(struct arena *a, struct slice bytes)
{
	struct buf b;

	buf_init(&b, TEXT_BYTES_MAX);
	text_put_hex(&b, bytes);
	return take(a, &b);
}

struct value report_time(struct arena *a, uint64_t unix_ms)
{
	struct buf b;

	buf_init(&b, TEXT_INSTANT_BYTES);
	text_put_instant(&b, unix_ms / 1000);
	return take(a, &b);
}
