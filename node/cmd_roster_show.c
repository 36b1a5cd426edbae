#include "node/cmd_roster_show.h"

#include <stdio.h>

#include "node/disk.h"
#include "proto/text.h"

#define TELL_BYTES_MAX (256u << 10)
#define MISSING_BYTES_MAX 65536u

void fingerprint_put(char out[FINGERPRINT_BYTES], const struct note_key *k)
{
	struct buf b;
	buf_init(&b, FINGERPRINT_BYTES - 1);
	note_key_fingerprint(k, &b);
	snprintf(out, FINGERPRINT_BYTES, "%.*s", (int)b.n, (const char *)b.p);
	buf_free(&b);
}

bool fingerprint_is(const char *typed, const char *real)
{
	for (;;) {
		while (*typed == '-' || *typed == ' ' || *typed == ':')
			typed++;
		while (*real == '-')
			real++;
		char t = *typed >= 'A' && *typed <= 'F'
				 ? (char)(*typed + 'a' - 'A')
				 : *typed;
		if (t != *real)
			return false;
		if (t == '\0')
			return true;
		typed++;
		real++;
	}
}

static const char *state_name(enum member_state s)
{
	switch (s) {
	case MEMBER_ACTIVE:
		return "active";
	case MEMBER_LEARNER:
		return "learner";
	case MEMBER_REMOVED:
		break;
	}
	return "removed";
}

void alliance_tell(struct cmd *c, const struct alliance *a)
{
	const struct roster *r = &a->roster;
	struct buf b;
	char print[FINGERPRINT_BYTES];
	buf_init(&b, TELL_BYTES_MAX);
	say(&b,
	    "alliance %.*s, version %llu, %u members, a change needs %u "
	    "signatures",
	    (int)r->alliance.n, (const char *)r->alliance.p,
	    (unsigned long long)r->version, (unsigned)r->member_count,
	    (unsigned)r->threshold);
	for (uint32_t i = 0; i < r->member_count; i++) {
		const struct roster_member *m = &r->members[i];
		fingerprint_put(print, &m->governance);
		say(&b, "\n  %-24.*s %s%s", (int)m->name.n,
		    (const char *)m->name.p, print,
		    roster_is_signed_by(r, m) ? "  signed" : "");
	}
	say(&b, "\ncompare each fingerprint with its member, by telephone or "
		"in person");
	cmd_msg(c, "%.*s", (int)b.n, (const char *)b.p);
	buf_free(&b);
}

void alliance_show_table(struct cmd *c, const struct alliance *a)
{
	static const char *const heads[] = {
		"MEMBER", "STATE", "SIGNED", "NAME", "ENDPOINT", "FINGERPRINT"
	};
	const struct roster *r = &a->roster;
	char print[FINGERPRINT_BYTES];
	struct cmd_table_out *t = table_open(heads, 6);
	for (uint32_t i = 0; i < r->member_count; i++) {
		const struct roster_member *m = &r->members[i];
		const struct descriptor *d = alliance_card(a, m->name);
		struct slice at = d && d->endpoint_count ? d->endpoints[0]
							 : slice_str("-");
		struct slice name = d ? d->name : slice_str("-");
		fingerprint_put(print, &m->governance);
		table_cell(t, "%.*s", (int)m->name.n, (const char *)m->name.p);
		table_cell(t, "%s", state_name(m->state));
		table_cell(t, "%s", roster_is_signed_by(r, m) ? "yes" : "no");
		table_cell(t, "%.*s", (int)name.n, (const char *)name.p);
		table_cell(t, "%.*s", (int)at.n, (const char *)at.p);
		table_cell(t, "%s", print);
	}
	table_print(c, t);
}

static struct value json_member(const struct alliance *a, struct arena *arena,
				const struct roster_member *m)
{
	char print[FINGERPRINT_BYTES];
	const struct descriptor *d = alliance_card(a, m->name);
	struct value v = cmd_map(arena, 6);
	fingerprint_put(print, &m->governance);
	cmd_set(&v, "member", value_str(m->name));
	cmd_set(&v, "state", value_str(slice_str(state_name(m->state))));
	cmd_set(&v, "signed", value_bool(roster_is_signed_by(&a->roster, m)));
	cmd_set(&v, "fingerprint", cmd_str(arena, slice_str(print)));
	if (d)
		cmd_set(&v, "name", value_str(d->name));
	if (d && d->endpoint_count)
		cmd_set(&v, "endpoint", value_str(d->endpoints[0]));
	return v;
}

void alliance_show_json(struct cmd *c, const struct alliance *a)
{
	const struct roster *r = &a->roster;
	struct arena arena;
	struct buf hash;
	struct value list;
	arena_init(&arena, 8u << 20);
	buf_init(&hash, 64);
	text_put_hex(&hash, digest_slice(&r->hash));
	struct value doc = cmd_map(&arena, 7);
	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "alliance", value_str(r->alliance));
	cmd_set(&doc, "version", value_uint(r->version));
	cmd_set(&doc, "threshold", value_uint(r->threshold));
	cmd_set(&doc, "hash", value_str(buf_slice(&hash)));
	cmd_set(&doc, "complete", value_bool(alliance_is_complete(a, NULL)));
	if (!value_array(&arena, r->member_count, &list)) {
		for (uint32_t i = 0; i < r->member_count; i++)
			list.items[i] = json_member(a, &arena, &r->members[i]);
		cmd_set(&doc, "members", list);
	}
	cmd_out_json(c, &doc);
	buf_free(&hash);
	arena_free(&arena);
}

void alliance_show_summary(struct cmd *c, const struct alliance *a)
{
	const struct roster *r = &a->roster;
	struct buf missing;
	buf_init(&missing, MISSING_BYTES_MAX);
	bool complete = alliance_is_complete(a, &missing);
	cmd_out(c, "alliance   ");
	cmd_out_text(c, r->alliance);
	cmd_out(c, "\nversion    %llu\nthreshold  %u of %u\nsigned     %s",
		(unsigned long long)r->version, (unsigned)r->threshold,
		(unsigned)r->member_count,
		complete ? "completely, ready to install" : "not yet: ");
	if (!complete)
		cmd_out_text(c, buf_slice(&missing));
	cmd_out(c, "\n\n");
	buf_free(&missing);
}
