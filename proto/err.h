/* Error codes, one list for the whole program.
 *
 * 0 is success, all others are negative; the number is stable because some
 * travel in ERR and BYE frames (PROTOCOL.md section 14). */

#ifndef PROTO_ERR_H
#define PROTO_ERR_H

/* clang-format off */
#define ERR_MAP(X)                                                        \
	X(ERR_TRUNCATED, 2, "input ends before the value does")           \
	X(ERR_MALFORMED, 3, "input does not have the required form")      \
	X(ERR_LIMIT, 4, "a named limit is exceeded")                      \
	X(ERR_INVALID, 5, "a hash or signature does not verify")          \
	X(ERR_NOT_FOUND, 6, "there is no such thing here")                \
	X(ERR_EXISTS, 7, "it is there already")                           \
	X(ERR_CONFLICT, 8, "it contradicts what is there")                \
	X(ERR_DENIED, 9, "not allowed")                                   \
	X(ERR_STATE, 10, "not possible in the present state")             \
	X(ERR_IO, 11, "the operating system reported an error")           \
	X(ERR_FULL, 12, "no room left")                                   \
	X(ERR_BUSY, 13, "too much is in flight; try again")               \
	X(ERR_TIMEOUT, 14, "it took too long")                            \
	X(ERR_UNSUPPORTED, 15, "a newer or unknown format")               \
	X(ERR_FORK, 16, "two signed histories of one log")                \
	X(ERR_CLOSED, 17, "the other side has closed")                    \
	X(ERR_CORRUPT, 18, "stored data does not verify")                 \
	X(ERR_WEAK_KEY, 19, "the public key is weak or not canonical")    \
	X(ERR_PIN, 20, "the key is not the pinned one")                   \
	X(ERR_ALLIANCE, 21, "another alliance")                           \
	X(ERR_VERSION, 22, "no common protocol version")                  \
	X(ERR_DUPLICATE, 23, "a second link to the same member")          \
	X(ERR_SHUTDOWN, 24, "the node is stopping")                       \
	X(ERR_RECOVERING, 25, "the node may not sign yet")                \
	X(ERR_AMBIGUOUS, 26, "more than one thing fits")
/* clang-format on */

enum err {
	ERR_OK = 0,
#define X(name, num, text) name = -(num),
	ERR_MAP(X)
#undef X
};

/* One sentence about @e, never NULL; static storage. */
const char *err_text(enum err e);

/* The name of @e as written above without the prefix, in lower case with
 * hyphens ("not-found"); static storage. For JSON and logs. */
const char *err_code(enum err e);

#endif /* PROTO_ERR_H */
