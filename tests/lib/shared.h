/* Test vectors and data that are too large for this repository.
 *
 * They lie in ../shared/data beside the repository, or where the variable
 * SYMBOLON_SHARED points. A test that needs them skips, and says so, where
 * they are absent. */

#ifndef TESTS_SHARED_H
#define TESTS_SHARED_H

#include <jansson.h>

#include "proto/bytes.h"

/* The path of "vectors/...", or NULL when there is no such file. Static:
 * valid until the next call. */
const char *shared_path(const char *name);

/* Skip the running test: does not return. */
_Noreturn void shared_skip(void);

/* The file's bytes; a test without them is skipped. Give: buf_free. */
struct buf shared_read(const char *name);
/* The file's JSON; a test without it is skipped. Give: json_decref. */
json_t *shared_json(const char *name);

/* The bytes of a hexadecimal JSON string, hyphens ignored. Fails the test
 * when it is none. Give: buf_free. */
struct buf shared_hex(const json_t *hex);
/* The string @key of @object; fails the test when there is none. */
const char *shared_str(const json_t *object, const char *key);
/* Is @text among the strings of the array @list (NULL or null: no)? */
bool shared_has(const json_t *list, const char *text);

#endif /* TESTS_SHARED_H */
