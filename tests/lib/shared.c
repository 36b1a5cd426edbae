#include "shared.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)

const char *shared_path(const char *name)
{
	static char path[4096];
	const char *base = getenv("SYMBOLON_SHARED");
	int n;

	n = snprintf(path, sizeof(path), "%s/%s",
		     base != NULL ? base : "../shared/data", name);
	if (n < 0 || (size_t)n >= sizeof(path) || access(path, R_OK) != 0)
		return NULL;
	return path;
}

_Noreturn void shared_skip(void)
{
	printf("skipped: no shared data\n");
	fflush(stdout);
	skip();
	abort(); /* skip() does not return, but is not declared so */
}

struct buf shared_read(const char *name)
{
	const char *path = shared_path(name);
	uint8_t piece[65536];
	struct buf b;
	FILE *f;
	size_t n;

	if (path == NULL)
		shared_skip();
	f = fopen(path, "rb");
	assert_non_null(f);
	buf_init(&b, FILE_BYTES_MAX);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_put(&b, slice_of(piece, n));
	assert_false(ferror(f));
	fclose(f);
	assert_int_equal(b.err, ERR_OK);
	return b;
}

json_t *shared_json(const char *name)
{
	struct buf b = shared_read(name);
	json_error_t error;
	json_t *json;

	json = json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, &error);
	buf_free(&b);
	if (json == NULL)
		fail_msg("%s:%d: %s", name, error.line, error.text);
	return json;
}

static unsigned hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, tolower((unsigned char)c));

	assert_true(c != '\0' && at != NULL);
	return (unsigned)(at - digits);
}

struct buf shared_hex(const json_t *hex)
{
	const char *s = json_string_value(hex);
	struct buf b;

	assert_non_null(s);
	buf_init(&b, FILE_BYTES_MAX);
	while (*s != '\0') {
		if (*s == '-') {
			s++;
			continue;
		}
		buf_put_u8(&b,
			   (uint8_t)(hex_digit(s[0]) << 4 | hex_digit(s[1])));
		s += 2;
	}
	return b;
}

const char *shared_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	assert_non_null(s);
	return s;
}

bool shared_has(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}
