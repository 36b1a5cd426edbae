/* Error codes, one list for the whole program.
 *
 * 0 is success, all others are negative; the number is stable because some
 * travel in ERR and BYE frames (PROTOCOL.md section 14). The names share
 * their prefix with libcrypto's, hence BAD_STATE: it has an ERR_STATE. */

#ifndef PROTO_ERR_H
#define PROTO_ERR_H

/* clang-format off */
#define ERR_MAP(X)                                                      \
	X(ERR_TRUNCATED, 2, "truncated",                                \
	  "input ends before the value does")                           \
	X(ERR_MALFORMED, 3, "malformed",                                \
	  "input does not have the required form")                      \
	X(ERR_LIMIT, 4, "limit",                                        \
	  "a named limit is exceeded")                                  \
	X(ERR_INVALID, 5, "invalid",                                    \
	  "a hash or signature does not verify")                        \
	X(ERR_NOT_FOUND, 6, "not-found",                                \
	  "there is no such thing here")                                \
	X(ERR_EXISTS, 7, "exists",                                      \
	  "it is there already")                                        \
	X(ERR_CONFLICT, 8, "conflict",                                  \
	  "it contradicts what is there")                               \
	X(ERR_DENIED, 9, "denied",                                      \
	  "not allowed")                                                \
	X(ERR_BAD_STATE, 10, "state",                                       \
	  "not possible in the present state")                          \
	X(ERR_IO, 11, "io",                                             \
	  "the operating system reported an error")                     \
	X(ERR_FULL, 12, "full",                                         \
	  "no room left")                                               \
	X(ERR_BUSY, 13, "busy",                                         \
	  "too much is in flight; try again")                           \
	X(ERR_TIMEOUT, 14, "timeout",                                   \
	  "it took too long")                                           \
	X(ERR_UNSUPPORTED, 15, "unsupported",                           \
	  "a newer or unknown format")                                  \
	X(ERR_FORK, 16, "fork",                                         \
	  "two signed histories of one log")                            \
	X(ERR_CLOSED, 17, "closed",                                     \
	  "the other side has closed")                                  \
	X(ERR_CORRUPT, 18, "corrupt",                                   \
	  "stored data does not verify")                                \
	X(ERR_WEAK_KEY, 19, "weak-key",                                 \
	  "the public key is weak or not canonical")                    \
	X(ERR_PIN, 20, "pin",                                           \
	  "the key is not the pinned one")                              \
	X(ERR_ALLIANCE, 21, "alliance",                                 \
	  "another alliance")                                           \
	X(ERR_VERSION, 22, "version",                                   \
	  "no common protocol version")                                 \
	X(ERR_DUPLICATE, 23, "duplicate",                               \
	  "a second link to the same member")                           \
	X(ERR_SHUTDOWN, 24, "shutdown",                                 \
	  "the node is stopping")                                       \
	X(ERR_RECOVERING, 25, "recovering",                             \
	  "the node may not sign yet")                                  \
	X(ERR_AMBIGUOUS, 26, "ambiguous",                               \
	  "more than one thing fits")
/* clang-format on */

enum err {
	ERR_OK = 0,
#define X(name, num, code, text) name = -(num),
	ERR_MAP(X)
#undef X
};

/* One sentence about @e, never NULL; static storage. */
const char *err_text(enum err e);

/* The short name of @e ("not-found"), never NULL; static storage. For JSON
 * and logs. */
const char *err_code(enum err e);

#endif /* PROTO_ERR_H */
