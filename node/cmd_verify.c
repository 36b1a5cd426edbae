/* verify: is a portable proof true? Offline; the keys come from an alliance
 * file. */

#include <stdlib.h>

#include "node/alliance.h"
#include "node/cmds.h"
#include "proto/proof.h"
#include "proto/schema.h"
#include "proto/text.h"

#define WHY_BYTES 65536u
#define TREE_BYTES_MAX (16u << 20)

struct verifying {
	struct cmd *c;
	const char *path;
	bool person; /* show personal fields too */
	struct buf file, roster_file, why;
	struct arena arena;
	struct alliance alliance;
	struct proof proof;
	struct checkpoint checkpoint;
	struct slice member;
	struct note_key witnesses[LIMIT_NOTE_SIGS];
	uint32_t witness_count;
	struct proof_verdict verdict;
};

/* ---- Verifying -------------------------------------------------------- */

static enum err refuse(struct verifying *v, enum err e, const char *why)
{
	buf_reset(&v->why);
	buf_put_str(&v->why, why);
	return e;
}

static enum err read_roster(struct verifying *v, const char *path)
{
	enum err e =
		cmd_read_file(v->c, path, LIMIT_BUNDLE_BYTES, &v->roster_file);
	struct buf missing;

	if (e != ERR_OK)
		return e;
	buf_init(&missing, WHY_BYTES);
	e = alliance_parse(&v->alliance, buf_slice(&v->roster_file), &v->why);
	if (e != ERR_OK) {
		cmd_msg(v->c, "%s: %.*s", path, (int)v->why.n,
			(const char *)v->why.p);
	} else if (!alliance_is_complete(&v->alliance, &missing)) {
		cmd_msg(v->c, "%s is not signed by all who must: %.*s", path,
			(int)missing.n, (const char *)missing.p);
		e = ERR_DENIED;
	}
	buf_free(&missing);
	return e;
}

static enum err parse_proof(struct verifying *v)
{
	uint64_t generation;
	enum err e = proof_parse(buf_slice(&v->file), &v->arena, &v->proof);

	if (e != ERR_OK)
		return refuse(v, e, "it is not in the form of a proof");
	e = checkpoint_parse(v->proof.note.text, &v->checkpoint);
	if (e == ERR_OK)
		e = log_origin_parse(v->checkpoint.origin, &v->member,
				     &generation);
	if (e != ERR_OK)
		return refuse(v, e, "its checkpoint is not one of such a log");
	return ERR_OK;
}

/* The other members countersign what they hold. */
static void find_witnesses(struct verifying *v)
{
	for (uint32_t i = 0; i < v->alliance.bundle.card_count; i++) {
		const struct descriptor *d = &v->alliance.cards[i];

		if (v->witness_count < LIMIT_NOTE_SIGS &&
		    !slice_equal(d->member, v->member))
			v->witnesses[v->witness_count++] = d->witness;
	}
}

static enum err check(struct verifying *v)
{
	const struct descriptor *card;
	const struct note_key *key;
	const char *why = "";
	enum err e = parse_proof(v);

	if (e != ERR_OK)
		return e;
	card = alliance_card(&v->alliance, v->member);
	if (card == NULL)
		return refuse(v, ERR_DENIED,
			      "its log is of no member of this alliance");
	key = descriptor_log_key(card, v->checkpoint.origin,
				 v->checkpoint.head.size);
	if (key == NULL)
		return refuse(v, ERR_DENIED,
			      "the member has no key for a log of this name "
			      "and size");
	find_witnesses(v);
	e = proof_verify(&v->proof, key, v->witnesses, v->witness_count,
			 &v->verdict, &why);
	return e == ERR_OK ? ERR_OK : refuse(v, e, why);
}

/* ---- Showing ---------------------------------------------------------- */

static const char *audience_text(uint64_t audience)
{
	switch (audience) {
	case AUDIENCE_PUBLIC:
		return "public";
	case AUDIENCE_MEMBERS:
		return "members";
	case AUDIENCE_OWN:
		return "own";
	default:
		return "named";
	}
}

static const char *kind_text(uint32_t kind)
{
	const struct schema *s = schema_of(kind);

	return s != NULL ? s->name : "unknown";
}

/* The disclosed record as a document; false when it cannot be shown. */
static bool record_tree(struct verifying *v, struct value *out)
{
	const struct schema *s = schema_of(v->verdict.leaf.kind);

	return v->verdict.opened && s != NULL &&
	       schema_to_value(s, v->proof.body, v->person, &v->arena, out) ==
		       ERR_OK;
}

static void show_json(struct verifying *v)
{
	const struct proof_verdict *d = &v->verdict;
	struct value doc = cmd_map(&v->arena, 12), record;

	cmd_set(&doc, "v", value_uint(1));
	cmd_set(&doc, "verified", value_bool(true));
	cmd_set(&doc, "member", value_str(v->member));
	cmd_set(&doc, "origin", value_str(v->checkpoint.origin));
	cmd_set(&doc, "seq", value_uint(v->proof.index));
	cmd_set(&doc, "size", value_uint(v->checkpoint.head.size));
	cmd_set(&doc, "kind", value_str(slice_str(kind_text(d->leaf.kind))));
	cmd_set(&doc, "audience",
		value_str(slice_str(audience_text(d->leaf.audience))));
	cmd_set(&doc, "cosignatures", value_uint(d->cosignatures));
	cmd_set(&doc, "disclosed", value_bool(d->opened));
	if (record_tree(v, &record))
		cmd_set(&doc, "record", record);
	cmd_out_json(v->c, &doc);
}

static void show_time(struct cmd *c, uint64_t seconds)
{
	uint8_t text[TEXT_INSTANT_BYTES];
	struct buf b = { .p = text, .cap = sizeof(text), .max = sizeof(text) };

	text_put_instant(&b, seconds);
	cmd_out(c, ", newest %.*s", (int)b.n, (const char *)b.p);
}

static void show_text(struct verifying *v)
{
	const struct proof_verdict *d = &v->verdict;
	struct cmd *c = v->c;
	struct value record;
	struct buf b;

	cmd_out(c, "VERIFIED: record #%llu of %.*s\n",
		(unsigned long long)v->proof.index, (int)v->member.n,
		(const char *)v->member.p);
	cmd_out(c, "  log         %.*s, %llu records, signed by its key\n",
		(int)v->checkpoint.origin.n,
		(const char *)v->checkpoint.origin.p,
		(unsigned long long)v->checkpoint.head.size);
	cmd_out(c, "  kind        %s, audience %s\n", kind_text(d->leaf.kind),
		audience_text(d->leaf.audience));
	cmd_out(c, "  included    yes, in that place under that signature\n");
	cmd_out(c, "  cosigned    by %u of %u other members", d->cosignatures,
		v->witness_count);
	if (d->cosignatures > 0)
		show_time(c, d->newest_cosignature);
	cmd_out_slice(c, SLICE_LIT("\n"));
	if (d->leaf.kind == KIND_CREDENTIAL)
		cmd_out(c, "  state       not part of a proof: ask a node "
			   "whether it was revoked since\n");
	if (!record_tree(v, &record)) {
		cmd_out(c, "  content     %s\n",
			d->opened ? "of a kind that is not known here"
				  : "not disclosed");
		return;
	}
	buf_init(&b, 8u * LIMIT_BODY_BYTES);
	value_put_json(&record, &b);
	cmd_out(c, "  content     ");
	cmd_out_text(c, buf_slice(&b));
	cmd_out_slice(c, SLICE_LIT("\n"));
	buf_free(&b);
}

static int judge(struct verifying *v)
{
	enum err e = check(v);

	if (e != ERR_OK) {
		cmd_msg(v->c, "%s does not verify: %.*s", v->path,
			(int)v->why.n, (const char *)v->why.p);
		return EXIT_FAILED;
	}
	if (v->c->json)
		show_json(v);
	else
		show_text(v);
	return EXIT_OK;
}

int cmd_verify(struct cmd *c)
{
	struct verifying *v = xcalloc(1, sizeof(*v));
	const char *roster;
	bool bad = false;
	int code = EXIT_USAGE;

	v->c = c;
	buf_init(&v->file, PROOF_BYTES_MAX);
	buf_init(&v->roster_file, LIMIT_BUNDLE_BYTES);
	buf_init(&v->why, WHY_BYTES);
	arena_init(&v->arena, TREE_BYTES_MAX);
	roster = cmd_option(c, "--roster", &bad);
	v->person = cmd_flag(c, "--person");
	if (bad || !cmd_operands(c, 1, 1))
		goto out;
	if (roster == NULL) {
		cmd_usage(c, "--roster ALLIANCE gives the members' keys");
		goto out;
	}
	v->path = c->argv[1];
	code = cmd_exit(read_roster(v, roster));
	if (code == EXIT_OK)
		code = cmd_exit(
			cmd_read_file(c, v->path, PROOF_BYTES_MAX, &v->file));
	if (code == EXIT_OK)
		code = judge(v);
out:
	alliance_free(&v->alliance);
	buf_free(&v->file);
	buf_free(&v->roster_file);
	buf_free(&v->why);
	arena_free(&v->arena);
	free(v);
	return code;
}
