#include "node/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *priority; /* of the journal, sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARN] = { "warn", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

static atomic_int threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	atomic_store(&threshold, (int)level);
}

bool log_parse_level(const char *name, enum log_level *out)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		if (name != NULL && strcmp(name, levels[i].name) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* The journal adds the time itself and wants the priority. */
static size_t put_start(char *line, size_t max, enum log_level level)
{
	char stamp[32] = "";
	struct timespec now;
	struct tm tm;
	int n;

	if (getenv("JOURNAL_STREAM") != NULL) {
		n = snprintf(line, max, "%s", levels[level].priority);
		return (size_t)n;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) != NULL)
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(line, max, "%s.%03dZ %-5s ", stamp,
		     (int)(now.tv_nsec / 1000000), levels[level].name);
	return (size_t)n;
}

static void clean(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			p[i] = '?';
}

__attribute__((format(printf, 3, 0))) static void put_line(enum log_level level,
							   const char *subject,
							   const char *format,
							   va_list args)
{
	char line[LOG_LINE_BYTES + 8];
	size_t n, max = LOG_LINE_BYTES;
	int more;

	if ((int)level > atomic_load(&threshold))
		return;
	n = put_start(line, max, level);
	more = snprintf(line + n, max - n, "%s: ", subject);
	n += more < 0 ? 0 : (size_t)more;
	if (n < max) {
		more = vsnprintf(line + n, max - n, format, args);
		n += more < 0 ? 0 : (size_t)more;
	}
	if (n >= max) {
		memcpy(line + max - 1, "...", 3);
		n = max + 2;
	}
	clean(line, n);
	line[n++] = '\n';
	/* Nobody to tell if standard error is gone. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

#define LOG_AT(name, level)                                                    \
	void name(const char *subject, const char *format, ...)                \
	{                                                                      \
		va_list args;                                                  \
                                                                               \
		va_start(args, format);                                        \
		put_line(level, subject, format, args);                        \
		va_end(args);                                                  \
	}

LOG_AT(log_error, LOG_LEVEL_ERROR)
LOG_AT(log_warn, LOG_LEVEL_WARN)
LOG_AT(log_info, LOG_LEVEL_INFO)
LOG_AT(log_debug, LOG_LEVEL_DEBUG)
