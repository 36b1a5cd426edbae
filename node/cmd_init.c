#define _XOPEN_SOURCE 700 /* nftw */

/* init: a new node, made aside and moved into place piece by piece.
 *
 * All is made in DIR/.init. keys and data move out first, symbolon.yaml last:
 * with it DIR is a node. An init that failed removes .init; one that was
 * killed is recognised by what is left in .init, and only what it had moved
 * out itself is removed by the next. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cmds.h"
#include "node/disk.h"
#include "node/own_card.h"
#include "node/sample.h"

#define WHY_BYTES 65536u
#define CONFIG_TEXT_BYTES (1u << 20)
#define REMOVE_DEPTH 16

/* In the order of moving out: with the last one DIR is a node. */
static const char *const parts[] = { "keys", "data", "symbolon.yaml" };
#define PARTS (sizeof(parts) / sizeof(parts[0]))

struct init {
	struct cmd *c;
	const char *member, *name, *country, *listen, *endpoint, *contact;
	char *aside; /* DIR/.init; owned */
	int lock_fd; /* on DIR: one init at a time */
	struct buf why;
};

/* ---- The configuration ------------------------------------------------ */

static void put_quoted(struct buf *b, const char *s)
{
	buf_put_u8(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_put_u8(b, '\\');
		buf_put_u8(b, (uint8_t)*s);
	}
	buf_put_u8(b, '"');
}

/* Is @line "key: ..." or "#key: ..."? */
static bool is_key_line(struct slice line, const char *key)
{
	if (line.n > 0 && line.p[0] == '#')
		line = slice_sub(line, 1, line.n - 1);
	size_t n = strlen(key);
	return line.n > n && memcmp(line.p, key, n) == 0 && line.p[n] == ':';
}

/* The sample with this node's values in it. */
static void put_config(const struct init *in, struct buf *out)
{
	const struct {
		const char *key, *value;
	} values[] = {
		{ "member", in->member },   { "name", in->name },
		{ "country", in->country }, { "contact", in->contact },
		{ "listen", in->listen },   { "endpoint", in->endpoint },
	};
	struct slice rest = sample_config(), line;
	while (rest.n > 0) {
		slice_cut(rest, '\n', &line, &rest);
		size_t i = 0, n = sizeof(values) / sizeof(values[0]);
		while (i < n && (values[i].value == NULL ||
				 !is_key_line(line, values[i].key)))
			i++;
		if (i < n) {
			buf_put_str(out, values[i].key);
			buf_put_str(out, ": ");
			put_quoted(out, values[i].value);
		} else {
			buf_put(out, line);
		}
		buf_put_u8(out, '\n');
	}
}

static enum err write_config(struct init *in)
{
	struct buf text;
	char *path = path_join(in->aside, "symbolon.yaml");
	buf_init(&text, CONFIG_TEXT_BYTES);
	put_config(in, &text);
	enum err e = disk_write_new(path, 0600, buf_slice(&text), &in->why);
	buf_free(&text);
	free(path);
	return e;
}

/* ---- Directories ------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)where;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_tree(const char *path)
{
	if (disk_exists(path))
		nftw(path, remove_one, REMOVE_DEPTH, FTW_DEPTH | FTW_PHYS);
}

static bool has_file(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = disk_exists(path);
	free(path);
	return there;
}

static void remove_from(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	remove_tree(path);
	free(path);
}

/* DIR, made or empty of a node, and locked. */
static enum err open_dir(struct init *in)
{
	const char *dir = in->c->dir;
	enum err e = disk_mkdir(dir, &in->why);
	if (e)
		return e;
	in->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in->lock_fd < 0 || flock(in->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		say(&in->why, "%s: %s", dir,
		    in->lock_fd >= 0 && errno == EWOULDBLOCK
			    ? "another init is at work here"
			    : strerror(errno));
		return ERR_BUSY;
	}
	if (has_file(dir, "symbolon.yaml")) {
		say(&in->why,
		    "%s is a node already; its keys are not made "
		    "twice",
		    dir);
		return ERR_EXISTS;
	}
	return ERR_OK;
}

/* Clear away what a killed init left: it had moved out what is no longer in
 * .init. Keys without that sign are somebody's. */
static enum err clear_remains(struct init *in)
{
	const char *dir = in->c->dir;
	bool killed = has_file(in->aside, "symbolon.yaml");
	for (size_t i = 0; i + 1 < PARTS; i++) {
		if (!has_file(dir, parts[i]))
			continue;
		if (!killed || has_file(in->aside, parts[i])) {
			say(&in->why,
			    "%s/%s is there, but no symbolon.yaml: bring that "
			    "file back, or move %s away",
			    dir, parts[i], parts[i]);
			return ERR_EXISTS;
		}
	}
	for (size_t i = 0; i + 1 < PARTS; i++)
		remove_from(dir, parts[i]);
	remove_tree(in->aside);
	return ERR_OK;
}

static enum err move_out(struct init *in)
{
	enum err e = disk_sync_dir(in->aside, &in->why);
	for (size_t i = 0; !e && i < PARTS; i++) {
		char *from = path_join(in->aside, parts[i]);
		char *to = path_join(in->c->dir, parts[i]);
		e = disk_rename(from, to, &in->why);
		free(from);
		free(to);
	}
	if (!e && rmdir(in->aside) != 0 && errno != ENOENT)
		e = ERR_IO;
	return e;
}

static enum err make_node(struct init *in, struct home *h)
{
	char *keys = path_join(in->aside, "keys");
	enum err e = disk_mkdir(in->aside, &in->why);
	if (!e)
		e = write_config(in);
	if (!e)
		e = keys_create(keys, slice_str(in->member), &in->why);
	free(keys);
	if (!e)
		e = home_open(&(struct home_options){ .dir = in->aside }, h,
			      &in->why);
	return e ? e : own_card_make(h, &in->why);
}

/* ---- Telling ---------------------------------------------------------- */

static void put_fingerprint(const struct note_key *k, struct buf *out)
{
	buf_reset(out);
	note_key_fingerprint(k, out);
}

static void tell_json(struct init *in, const struct home *h)
{
	struct arena a;
	struct buf g, w;
	arena_init(&a, 1u << 16);
	buf_init(&g, 128);
	buf_init(&w, 128);
	put_fingerprint(&h->keys.governance.key, &g);
	put_fingerprint(&h->keys.witness.key, &w);
	struct value doc = cmd_map(&a, 6);
	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "member", value_str(slice_str(h->config.member)));
	cmd_set(&doc, "directory", value_str(slice_str(in->c->dir)));
	cmd_set(&doc, "origin", value_str(slice_str(h->origin)));
	cmd_set(&doc, "governance", value_str(buf_slice(&g)));
	cmd_set(&doc, "witness", value_str(buf_slice(&w)));
	cmd_out_json(in->c, &doc);
	buf_free(&g);
	buf_free(&w);
	arena_free(&a);
}

static void tell(struct init *in, const struct home *h)
{
	struct buf fp;
	const char *dir = in->c->dir;
	if (in->c->json) {
		tell_json(in, h);
		return;
	}
	buf_init(&fp, 128);
	put_fingerprint(&h->keys.governance.key, &fp);
	cmd_out(in->c,
		"%s is a node of %s\n"
		"  log          %s\n"
		"  governance   %.*s\n",
		dir, h->config.member, h->origin, (int)fp.n,
		(const char *)fp.p);
	put_fingerprint(&h->keys.witness.key, &fp);
	cmd_out(in->c, "  witness      %.*s\n", (int)fp.n, (const char *)fp.p);
	cmd_out(in->c,
		"  settings     %s/symbolon.yaml\n"
		"\n"
		"Next, to found an alliance with the cards of the others:\n"
		"  symbolon -C %s card > %s.card\n"
		"  symbolon roster found \"ALLIANCE\" %s.card OTHER.card... "
		"> alliance\n"
		"  symbolon -C %s roster sign alliance\n"
		"\n"
		"Back up %s/keys/governance.key: it speaks for the "
		"university.\n",
		dir, dir, h->config.member, h->config.member, dir, dir);
	buf_free(&fp);
}

/* ---- The command ------------------------------------------------------ */

static bool check(struct init *in, const char *option, const char *value,
		  const char *(*rule)(const char *))
{
	const char *cure = value ? rule(value) : NULL;
	if (cure)
		cmd_usage(in->c, "%s: %s", option, cure);
	return cure == NULL;
}

static bool take_options(struct init *in)
{
	bool bad = false;
	struct cmd *c = in->c;
	in->member = cmd_option(c, "--member", &bad);
	in->name = cmd_option(c, "--name", &bad);
	in->country = cmd_option(c, "--country", &bad);
	in->listen = cmd_option(c, "--listen", &bad);
	in->endpoint = cmd_option(c, "--endpoint", &bad);
	in->contact = cmd_option(c, "--contact", &bad);
	if (bad || !cmd_operands(c, 0, 0))
		return false;
	if (!in->member || !in->name || !in->country || !in->listen) {
		cmd_usage(c, "%s is missing",
			  !in->member	 ? "--member"
			  : !in->name	 ? "--name"
			  : !in->country ? "--country"
					 : "--listen");
		return false;
	}
	if (!check(in, "--member", in->member, config_check_member) ||
	    !check(in, "--name", in->name, config_check_name) ||
	    !check(in, "--country", in->country, config_check_country) ||
	    !check(in, "--listen", in->listen, config_check_listen) ||
	    !check(in, "--endpoint", in->endpoint, config_check_endpoint) ||
	    !check(in, "--contact", in->contact, config_check_contact))
		return false;
	return in->endpoint ||
	       check(in, "--listen", in->listen, config_check_endpoint);
}

static enum err run(struct init *in)
{
	struct home h = { .lock_fd = -1 };
	enum err e = open_dir(in);
	if (!e)
		e = clear_remains(in);
	if (e)
		return e; /* nothing here is ours */
	e = make_node(in, &h);
	bool made = !e;
	if (made)
		e = move_out(in);
	if (!e)
		tell(in, &h);
	home_close(&h);
	/* None of this was here before, and nobody was told of it. */
	for (size_t i = 0; e && made && i < PARTS; i++)
		remove_from(in->c->dir, parts[i]);
	if (e)
		remove_tree(in->aside);
	return e;
}

int cmd_init(struct cmd *c)
{
	struct init in = { .c = c, .lock_fd = -1 };
	if (!take_options(&in))
		return EXIT_USAGE;
	buf_init(&in.why, WHY_BYTES);
	in.aside = path_join(c->dir, ".init");
	enum err e = run(&in);
	if (e)
		cmd_msg(c, "%.*s", (int)in.why.n, (const char *)in.why.p);
	if (in.lock_fd >= 0)
		close(in.lock_fd);
	free(in.aside);
	buf_free(&in.why);
	return cmd_exit(e);
}
