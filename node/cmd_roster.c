/* roster found|show|sign|install|add: alliances are made by people, who
 * compare fingerprints; the program checks everything else. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cmd_roster_show.h"
#include "node/cmds.h"
#include "node/disk.h"

#define EXPECT_MAX 64
#define WHY_BYTES 65536u

struct call {
	struct cmd *c;
	const char *path; /* of the alliance file */
	uint32_t threshold; /* 0: not given */
	size_t expect_count;
	const char *expect[EXPECT_MAX];
	struct buf file;
	struct buf why;
	struct alliance alliance;
};

/* ---- Fingerprints ----------------------------------------------------- */

static int check_expected(struct call *k)
{
	char real[FINGERPRINT_BYTES];
	const struct roster *r = &k->alliance.roster;
	for (size_t i = 0; i < k->expect_count; i++) {
		const struct roster_member *who = NULL;
		for (uint32_t j = 0; j < r->member_count && !who; j++) {
			fingerprint_put(real, &r->members[j].governance);
			if (fingerprint_is(k->expect[i], real))
				who = &r->members[j];
		}
		if (who == NULL) {
			cmd_msg(k->c,
				"%s: the expected fingerprint %s is nobody's "
				"in this file; do not sign or install it",
				k->path, k->expect[i]);
			return EXIT_NOT_ALLOWED;
		}
		cmd_msg(k->c, "the expected fingerprint %s is that of %.*s",
			k->expect[i], (int)who->name.n,
			(const char *)who->name.p);
	}
	return EXIT_OK;
}

/* ---- Reading and writing files ---------------------------------------- */

static int complain(struct call *k, enum err e)
{
	if (k->why.n > 0)
		cmd_msg(k->c, "%s: %.*s", k->path, (int)k->why.n,
			(const char *)k->why.p);
	else
		cmd_msg(k->c, "%s: %s", k->path, err_text(e));
	return cmd_exit(e);
}

static int load(struct call *k, const char *path)
{
	k->path = path;
	enum err e = cmd_read_file(k->c, path, LIMIT_BUNDLE_BYTES, &k->file);
	if (e)
		return cmd_exit(e);
	e = alliance_parse(&k->alliance, buf_slice(&k->file), &k->why);
	return e ? complain(k, e) : check_expected(k);
}

/* Replace the file: the whole new one or the old one is there. */
static int rewrite(struct call *k, struct slice content)
{
	struct cmd *c = k->c;
	int handle = -1;
	enum err e = c->io->create(c->io_arg, k->path, &handle, &k->why);
	if (e)
		return complain(k, e);
	e = c->io->put(c->io_arg, handle, content);
	enum err closed = c->io->close(c->io_arg, handle);
	e = closed ? closed : e;
	if (e)
		say(&k->why, "cannot write: %s", err_text(e));
	return e ? complain(k, e) : EXIT_OK;
}

/* Print a new alliance file, and its members on standard error. */
static int give(struct call *k, const struct buf *made)
{
	struct alliance a = { 0 };
	enum err e = alliance_parse(&a, buf_slice(made), &k->why);
	if (!e) {
		cmd_out_slice(k->c, buf_slice(made));
		alliance_tell(k->c, &a);
	}
	alliance_free(&a);
	return e ? complain(k, e) : EXIT_OK;
}

/* ---- found, add ------------------------------------------------------- */

static int read_card(struct call *k, const char *path, struct arena *a,
		     struct descriptor *d)
{
	struct slice copy = { 0 };
	k->path = path;
	buf_reset(&k->file);
	enum err e = cmd_read_file(k->c, path, LIMIT_NOTE_BYTES, &k->file);
	if (e)
		return cmd_exit(e);
	e = arena_copy(a, buf_slice(&k->file), &copy);
	if (!e)
		e = card_parse(copy, a, d, &k->why);
	return e ? complain(k, e) : EXIT_OK;
}

static int found(struct call *k)
{
	struct cmd *c = k->c;
	if (!cmd_operands(c, 3, 2 + (int)LIMIT_MEMBERS))
		return EXIT_USAGE;
	struct arena a;
	struct buf out;
	uint32_t count = (uint32_t)(c->argc - 3);
	int code = EXIT_OK;
	arena_init(&a, ALLIANCE_ARENA_BYTES);
	buf_init(&out, LIMIT_BUNDLE_BYTES);
	struct descriptor *cards = xcalloc(count, sizeof(*cards));
	for (uint32_t i = 0; !code && i < count; i++)
		code = read_card(k, c->argv[3 + i], &a, &cards[i]);
	k->path = c->argv[2];
	if (!code) {
		enum err e = alliance_found(slice_str(c->argv[2]), cards, count,
					    k->threshold, &out, &k->why);
		code = e ? complain(k, e) : give(k, &out);
	}
	free(cards);
	buf_free(&out);
	arena_free(&a);
	return code;
}

static int add(struct call *k)
{
	struct cmd *c = k->c;
	if (!cmd_operands(c, 3, 3))
		return EXIT_USAGE;
	struct arena a;
	struct buf out, card;
	struct descriptor d;
	arena_init(&a, ALLIANCE_ARENA_BYTES);
	buf_init(&out, LIMIT_BUNDLE_BYTES);
	buf_init(&card, LIMIT_BUNDLE_BYTES);
	int code = load(k, c->argv[2]);
	if (!code && !alliance_is_complete(&k->alliance, &k->why)) {
		say(&k->why, ": a successor needs a file that all have signed");
		code = complain(k, ERR_DENIED);
	}
	if (!code) {
		/* The alliance's documents lie in k->file. */
		struct buf file = k->file;
		k->file = card;
		code = read_card(k, c->argv[3], &a, &d);
		card = k->file;
		k->file = file;
	}
	if (!code) {
		enum err e = alliance_add(&k->alliance, &d, k->threshold, &out,
					  &k->why);
		code = e ? complain(k, e) : give(k, &out);
	}
	buf_free(&card);
	buf_free(&out);
	arena_free(&a);
	return code;
}

static int show(struct call *k)
{
	if (!cmd_operands(k->c, 2, 2))
		return EXIT_USAGE;
	int code = load(k, k->c->argv[2]);
	if (code)
		return code;
	if (k->c->json) {
		alliance_show_json(k->c, &k->alliance);
	} else {
		alliance_show_summary(k->c, &k->alliance);
		alliance_show_table(k->c, &k->alliance);
	}
	return EXIT_OK;
}

/* ---- sign ------------------------------------------------------------- */

/* Does the file fit what this node holds? */
static enum err check_follows(struct call *k)
{
	const struct alliance *a = &k->alliance;
	struct members *m = members_hold(k->c->home->members);
	const struct roster *now = m->roster;
	enum err e = ERR_OK;
	uint64_t next = a->roster.version;
	if (now && now->version >= next) {
		say(&k->why,
		    "version %llu of alliance %.*s is installed here already",
		    (unsigned long long)now->version, (int)now->alliance.n,
		    (const char *)now->alliance.p);
		e = ERR_CONFLICT;
	} else if (now && memcmp(&a->past[now->version - 1].hash, &now->hash,
				 sizeof(now->hash)) != 0) {
		say(&k->why, "it does not follow the roster that is installed "
			     "here: another alliance, or another history");
		e = ERR_CONFLICT;
	}
	members_release(m);
	return e;
}

/* The own member is in it, with the key and the card that are in use. */
static enum err check_own(struct call *k)
{
	struct home *h = k->c->home;
	struct slice self = slice_str(h->config.member), note;
	const struct roster_member *m = roster_find(&k->alliance.roster, self);
	const struct descriptor *d = alliance_card(&k->alliance, self);
	if (m == NULL || d == NULL || m->state == MEMBER_REMOVED) {
		say(&k->why, "%s is no member of this alliance",
		    h->config.member);
		return ERR_DENIED;
	}
	if (memcmp(m->governance.pub, h->keys.governance.key.pub,
		   SIG_PUBLIC_BYTES) != 0) {
		say(&k->why, "%s stands in it with another governance key",
		    h->config.member);
		return ERR_DENIED;
	}
	struct store_txn *t = NULL;
	enum err e = store_read(h->store, &t);
	if (!e)
		e = store_doc_get(t, "card", self, 0, &note);
	if (!e && !slice_equal(note, d->note.raw)) {
		say(&k->why,
		    "the card of %s in it is not its newest; hand "
		    "out: symbolon card",
		    h->config.member);
		e = ERR_CONFLICT;
	}
	store_abort(t);
	return e;
}

/* One vote a member and version: which roster of a version was signed is
 * kept before the signature leaves. DECISIONS.md 12. */
struct vote_job {
	struct writer_job job;
	char name[48];
	struct digest hash;
	bool again; /* the user gives the former one up */
};

static enum err apply_vote(struct writer_job *job, struct writer_txn *t)
{
	struct vote_job *v = (struct vote_job *)(void *)job;
	struct slice before, now = digest_slice(&v->hash);
	enum err e = store_meta_get(writer_store(t), v->name, &before);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (!e && slice_equal(before, now))
		return ERR_OK;
	if (!e && !v->again)
		return ERR_CONFLICT;
	return store_meta_put(writer_store(t), v->name, now);
}

static enum err vote(struct call *k, bool again)
{
	struct vote_job v = { .job.apply = apply_vote,
			      .job.records = 1,
			      .job.bytes = 64,
			      .hash = k->alliance.roster.hash,
			      .again = again };
	/* A founding is tried until all have agreed. */
	v.again = v.again || k->alliance.roster.version == 1;
	snprintf(v.name, sizeof(v.name), "vote/%llu",
		 (unsigned long long)k->alliance.roster.version);
	enum err e = writer_run(k->c->home->writer, &v.job);
	if (e == ERR_CONFLICT)
		say(&k->why,
		    "another roster of version %llu was signed here; "
		    "when all have given that one up: --again",
		    (unsigned long long)k->alliance.roster.version);
	return e;
}

static int sign(struct call *k, bool again)
{
	if (!cmd_operands(k->c, 2, 2))
		return EXIT_USAGE;
	struct home *h = k->c->home;
	int code = load(k, k->c->argv[2]);
	if (code)
		return code;
	enum err e = check_own(k);
	if (!e)
		e = check_follows(k);
	if (e)
		return complain(k, e);
	const struct roster *r = &k->alliance.roster;
	const struct roster_member *m =
		roster_find(r, slice_str(h->config.member));
	if (roster_is_signed_by(r, m)) {
		cmd_msg(k->c, "%s has the signature of %s already", k->path,
			h->config.member);
		return EXIT_OK;
	}
	if (!h->keys.has_governance) {
		say(&k->why,
		    "the governance key is not in %s/keys; bring it "
		    "back for this",
		    h->dir);
		return complain(k, ERR_DENIED);
	}
	e = vote(k, again);
	if (e)
		return complain(k, e);
	struct buf out;
	buf_init(&out, LIMIT_BUNDLE_BYTES);
	alliance_sign(&k->alliance, &h->keys.governance, &out);
	code = out.err ? complain(k, out.err) : rewrite(k, buf_slice(&out));
	if (!code) {
		struct alliance now = { 0 };
		if (!alliance_parse(&now, buf_slice(&out), &k->why))
			alliance_tell(k->c, &now);
		alliance_free(&now);
	}
	buf_free(&out);
	return code;
}

/* ---- install ---------------------------------------------------------- */

struct install_job {
	struct writer_job job;
	const struct alliance *alliance;
	const char *why; /* static */
	bool changed;
};

/* What is held already, or newer, is no failure. */
static enum err put(struct install_job *j, struct writer_txn *t,
		    struct slice note, bool is_card)
{
	enum err e = is_card ? writer_put_card(t, note, &j->why)
			     : writer_put_roster(t, note, &j->why);
	j->changed = j->changed || e == ERR_OK;
	return e == ERR_EXISTS ? ERR_OK : e;
}

static enum err apply_install(struct writer_job *job, struct writer_txn *t)
{
	struct install_job *j = (struct install_job *)(void *)job;
	const struct bundle *b = &j->alliance->bundle;
	enum err e = ERR_OK;
	j->changed = false;
	for (uint32_t i = 0; !e && i < b->past_count; i++)
		e = put(j, t, b->past[i], false);
	if (!e)
		e = put(j, t, b->roster, false);
	for (uint32_t i = 0; !e && i < b->card_count; i++)
		e = put(j, t, b->cards[i], true);
	return e;
}

/* Version 1 needs the own signature; a later one needs the own membership,
 * and that it follows what is installed. */
static enum err check_install(struct call *k)
{
	const struct roster *r = &k->alliance.roster;
	struct slice self = slice_str(k->c->home->config.member);
	const struct roster_member *m = roster_find(r, self);
	if (!alliance_is_complete(&k->alliance, &k->why)) {
		say(&k->why, ": signatures are missing; each member signs it "
			     "with: symbolon roster sign FILE");
		return ERR_DENIED;
	}
	if (m == NULL) {
		say(&k->why, "%s is no member of this alliance",
		    k->c->home->config.member);
		return ERR_DENIED;
	}
	if (r->version == 1 && !roster_is_signed_by(r, m)) {
		say(&k->why, "the own signature is not in it; sign it with: "
			     "symbolon roster sign FILE");
		return ERR_DENIED;
	}
	return ERR_OK;
}

static bool is_installed(struct call *k)
{
	struct members *m = members_hold(k->c->home->members);
	bool same =
		m->roster && memcmp(&m->roster->hash, &k->alliance.roster.hash,
				    sizeof(m->roster->hash)) == 0;
	members_release(m);
	return same;
}

static int install(struct call *k)
{
	if (!cmd_operands(k->c, 2, 2))
		return EXIT_USAGE;
	int code = load(k, k->c->argv[2]);
	if (code)
		return code;
	enum err e = check_install(k);
	bool again = !e && is_installed(k);
	if (!e && !again)
		e = check_follows(k);
	struct install_job j = { .job.apply = apply_install,
				 .job.records = 1,
				 .job.bytes = k->file.n,
				 .alliance = &k->alliance,
				 .why = "" };
	if (!e) {
		e = writer_run(k->c->home->writer, &j.job);
		if (e)
			buf_put_str(&k->why, j.why);
	}
	if (e)
		return complain(k, e);
	const struct roster *r = &k->alliance.roster;
	cmd_msg(k->c, "alliance %.*s, version %llu with %u members, is %s",
		(int)r->alliance.n, (const char *)r->alliance.p,
		(unsigned long long)r->version, (unsigned)r->member_count,
		again && !j.changed ? "installed already" : "installed");
	if (k->c->json)
		alliance_show_json(k->c, &k->alliance);
	return EXIT_OK;
}

/* ---- The command ------------------------------------------------------ */

static bool take_options(struct call *k)
{
	bool bad = false;
	const char *fp;
	const uint64_t range[2] = { 1, LIMIT_MEMBERS };
	k->threshold =
		(uint32_t)cmd_option_uint(k->c, "--threshold", range, 0, &bad);
	while (!bad && (fp = cmd_option(k->c, "--expect", &bad)) != NULL) {
		if (k->expect_count == EXPECT_MAX) {
			cmd_usage(k->c, "--expect came too often");
			return false;
		}
		k->expect[k->expect_count++] = fp;
	}
	return !bad;
}

static int run(struct call *k)
{
	struct cmd *c = k->c;
	bool again = cmd_flag(c, "--again");
	if (!take_options(k))
		return EXIT_USAGE;
	const char *verb = c->argc > 1 ? c->argv[1] : "";
	bool makes = strcmp(verb, "found") == 0 || strcmp(verb, "add") == 0;
	if (k->threshold && !makes)
		return cmd_usage(c, "--threshold is for found and add");
	if (again && strcmp(verb, "sign") != 0)
		return cmd_usage(c, "--again is for sign");
	bool needs_home =
		strcmp(verb, "sign") == 0 || strcmp(verb, "install") == 0;
	if (needs_home && c->home == NULL)
		return cmd_usage(c, "options stand behind '%s'", verb);
	if (strcmp(verb, "found") == 0)
		return found(k);
	if (strcmp(verb, "add") == 0)
		return add(k);
	if (strcmp(verb, "show") == 0)
		return show(k);
	if (strcmp(verb, "sign") == 0)
		return sign(k, again);
	if (strcmp(verb, "install") == 0)
		return install(k);
	return cmd_usage(c,
			 "roster found, show, sign, install or add; not "
			 "'%s'",
			 verb);
}

int cmd_roster(struct cmd *c)
{
	struct call k = { .c = c, .path = "" };
	buf_init(&k.file, LIMIT_BUNDLE_BYTES);
	buf_init(&k.why, WHY_BYTES);
	int code = run(&k);
	alliance_free(&k.alliance);
	buf_free(&k.file);
	buf_free(&k.why);
	return code;
}
