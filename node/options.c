/* Reading a command's options and operands; see cmd.h. */

#include <stdlib.h>
#include <string.h>

#include "node/cmd.h"
#include "proto/text.h"

static void remove_args(struct cmd *c, int at, int count)
{
	for (int i = at; i + count <= c->argc; i++)
		c->argv[i] = c->argv[i + count];
	c->argc -= count;
}

bool cmd_flag(struct cmd *c, const char *name)
{
	bool found = false;
	for (int i = 1; i < c->argc && strcmp(c->argv[i], "--") != 0;) {
		if (strcmp(c->argv[i], name) == 0) {
			remove_args(c, i, 1);
			found = true;
		} else {
			i++;
		}
	}
	return found;
}

const char *cmd_option(struct cmd *c, const char *name, bool *bad)
{
	size_t n = strlen(name);
	for (int i = 1; i < c->argc && strcmp(c->argv[i], "--") != 0; i++) {
		const char *arg = c->argv[i];
		if (strncmp(arg, name, n) != 0)
			continue;
		if (arg[n] == '=') {
			remove_args(c, i, 1);
			return arg + n + 1;
		}
		if (arg[n] != '\0')
			continue;
		const char *value = i + 1 < c->argc ? c->argv[i + 1] : NULL;
		if (value == NULL || strncmp(value, "--", 2) == 0) {
			cmd_usage(c, "%s needs a value", name);
			*bad = true;
			remove_args(c, i, 1);
			return NULL;
		}
		remove_args(c, i, 2);
		return value;
	}
	return NULL;
}

uint64_t cmd_option_uint(struct cmd *c, const char *name,
			 const uint64_t range[2], uint64_t absent, bool *bad)
{
	const char *text = cmd_option(c, name, bad);
	if (text == NULL)
		return absent;
	uint64_t v = 0;
	if (text_parse_u64(slice_str(text), &v) && v >= range[0] &&
	    v <= range[1])
		return v;
	cmd_usage(c, "%s: '%s' is not a number from %llu to %llu", name, text,
		  (unsigned long long)range[0], (unsigned long long)range[1]);
	*bad = true;
	return absent;
}

/* Edit distance of two short words, with transpositions as one step. */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned rows[3][33];
	if (a.n > 32 || b.n > 32)
		return 99;
	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *now = rows[i % 3], *up = rows[(i + 2) % 3],
			 *up2 = rows[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			bool same = a.p[i - 1] == b.p[j - 1];
			unsigned d = up[j - 1] + !same;
			d = up[j] + 1 < d ? up[j] + 1 : d;
			d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && up2[j - 2] + 1 < d)
				d = up2[j - 2] + 1;
			now[j] = d;
		}
	}
	return rows[a.n % 3][b.n];
}

struct nearest {
	struct slice word; /* what was typed */
	struct slice best;
	unsigned score;
};

static void consider(struct nearest *n, struct slice candidate)
{
	unsigned d = distance(n->word, candidate);
	/* A word that was not finished is near, too. */
	if (n->word.n >= 3 && slice_starts(candidate, n->word))
		d = 1;
	if (d < n->score) {
		n->score = d;
		n->best = candidate;
	}
}

/* Each "--name" in the option lines of a command. */
static void consider_options(struct nearest *n, const char *options)
{
	const char *p = options;
	while (p && (p = strstr(p, "--")) != NULL) {
		size_t len = 2 + strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-");
		if (len > 2 && p > options && p[-1] == ' ')
			consider(n, slice_of(p, len));
		p += len;
	}
}

struct slice cmd_nearest(const char *word, const struct cmd_entry *e)
{
	struct nearest n = { .word = slice_str(word), .score = 3 };
	if (strlen(word) <= 4)
		n.score = 2;
	if (e) {
		consider_options(&n, e->options);
		consider(&n, slice_str("--json"));
		consider(&n, slice_str("--help"));
	} else {
		for (e = cmd_table; e->name; e++)
			consider(&n, slice_str(e->name));
	}
	return n.best;
}

static bool refuse_option(struct cmd *c, const char *arg)
{
	size_t n = strcspn(arg, "=");
	char *name = xstrndup(slice_of(arg, n));
	struct slice near =
		c->entry ? cmd_nearest(name, c->entry) : (struct slice){ 0 };
	if (slice_is(near, name) && arg[n] == '=')
		cmd_usage(c, "option %s takes no value", name);
	else if (slice_is(near, name))
		cmd_usage(c, "option %s is not for this form, or came twice",
			  name);
	else if (near.n > 0)
		cmd_usage(c, "unknown option %s; did you mean %.*s?", name,
			  (int)near.n, (const char *)near.p);
	else
		cmd_usage(c, "unknown option %s", name);
	free(name);
	return false;
}

bool cmd_operands(struct cmd *c, int min, int max)
{
	for (int i = 1; i < c->argc; i++) {
		const char *arg = c->argv[i];
		if (strcmp(arg, "--") == 0) {
			remove_args(c, i, 1);
			break;
		}
		if (arg[0] == '-' && arg[1] != '\0')
			return refuse_option(c, arg);
	}
	int count = c->argc - 1;
	if (count < min) {
		cmd_usage(c,
			  count == 0 ? "something is missing"
				     : "something is missing after '%s'",
			  c->argv[count]);
		return false;
	}
	if (count > max) {
		cmd_usage(c, "'%s' is more than this command takes",
			  c->argv[max + 1]);
		return false;
	}
	return true;
}
