/* Lines for operators on standard error.
 *
 * A line is: level, subject, one sentence, key=value at the end; no trailing
 * full stop. Contents of records, keys, and ids of credentials and learners
 * are never logged; log positions are. The level is the only mutable global
 * of the program outside main. */

#ifndef NODE_LOG_H
#define NODE_LOG_H

#include "proto/bytes.h"

enum log_level {
	LOG_LEVEL_ERROR, /* the operator must act */
	LOG_LEVEL_WARN, /* a peer misbehaved, or something will need care */
	LOG_LEVEL_INFO, /* changes of state, one line each */
	LOG_LEVEL_DEBUG,
};

#define LOG_LINE_BYTES 1024u /* longer lines are cut, marked with "..." */

/* Lines above @level are dropped. Any thread, any time. */
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug". False: none of them. */
bool log_parse_level(const char *name, enum log_level *out);

/* @subject: whom it concerns, a member or an address; "node" for oneself.
 * Control characters are replaced by '?'. One write a line, so that lines
 * of several threads do not mix. */
void log_error(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void log_warn(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void log_info(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void log_debug(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* NODE_LOG_H */
