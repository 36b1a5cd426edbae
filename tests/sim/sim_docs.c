/* Keys, rosters and cards of the simulated members. Every version ever
 * signed is kept in the sim; a disk says which one it has installed. */

#include <stdio.h>
#include <string.h>

#include "sim_state.h"

#define DOC_ARENA_BYTES (1u << 20)

static void make_key(struct sim *s, struct sim_node *n, unsigned which,
		     const char *name, enum note_type type,
		     struct note_key *out)
{
	uint8_t pub[SIG_PUBLIC_BYTES];
	enum err err;

	(void)s;
	memset(n->secrets[which], 0, SIG_SECRET_BYTES);
	n->secrets[which][0] = (uint8_t)(n->index + 1);
	n->secrets[which][1] = (uint8_t)(which + 1);
	sig_public(n->secrets[which], pub);
	err = note_key_init(out, slice_str(name), type, pub);
	assert(err == ERR_OK);
}

static void make_keys(struct sim *s, struct sim_node *n)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/governance", n->name);
	make_key(s, n, 0, name, NOTE_ED25519, &n->governance);
	make_key(s, n, 1, n->disk.logs[n->index].origin, NOTE_ED25519,
		 &n->log_key);
	snprintf(name, sizeof(name), "%s/witness", n->name);
	make_key(s, n, 2, name, NOTE_COSIGNATURE, &n->witness);
}

static void sign_doc(const struct sim_node *n, struct slice text,
		     struct buf *note)
{
	if (note->n == 0) {
		buf_put(note, text);
		buf_put_u8(note, '\n');
	}
	note_sign(&n->governance, n->secrets[0], text, 0, note);
}

/* A new version of a card; only its pins differ from the one before. */
static void make_card(struct sim *s, struct sim_node *n)
{
	uint32_t v = s->card_count[n->index];
	struct descriptor d = { .member = slice_str(n->name),
				.name = slice_str(n->name),
				.country = SLICE_LIT("DK"),
				.version = v + 1 };
	struct descriptor_log log = {
		.origin = slice_str(n->disk.logs[n->index].origin),
		.key = n->log_key,
		.to = UINT64_MAX,
	};
	char endpoint[64];
	struct buf text;

	assert(v < SIM_DOCS);
	buf_init(&text, LIMIT_NOTE_BYTES);
	if (v > 0) {
		struct slice old = buf_slice(&s->cards[n->index][v - 1]);
		struct arena a;
		struct note note;

		arena_init(&a, DOC_ARENA_BYTES);
		assert(note_parse(old, &a, &note) == ERR_OK);
		d.prev = hash_bytes(note.text);
		arena_free(&a);
	}
	snprintf(endpoint, sizeof(endpoint), "%s:7400", n->name);
	d.log_count = 1;
	d.logs = &log;
	d.witness = n->witness;
	d.governance = n->governance;
	d.pin_count = 1;
	d.pins[0] = hash_bytes(slice_of(&v, sizeof(v)));
	d.endpoint_count = 1;
	d.endpoints[0] = slice_str(endpoint);
	descriptor_put(&d, &text);
	assert(text.err == ERR_OK);
	buf_init(&s->cards[n->index][v], LIMIT_NOTE_BYTES);
	sign_doc(n, buf_slice(&text), &s->cards[n->index][v]);
	s->card_count[n->index]++;
	buf_free(&text);
}

/* A roster of all; @removed (or nobody) with its final head. */
static void make_roster(struct sim *s, uint32_t removed)
{
	struct roster_member members[SIM_NODES_MAX];
	struct roster r = { .alliance = SLICE_LIT("Simulated"),
			    .version = s->roster_count + 1,
			    .member_count = s->o.nodes,
			    .members = members };
	struct buf text, *note = &s->rosters[s->roster_count];
	struct note old;
	struct arena a;

	assert(s->roster_count < SIM_DOCS);
	memset(members, 0, sizeof(members));
	arena_init(&a, DOC_ARENA_BYTES);
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		members[i].name = slice_str(s->nodes[i].name);
		members[i].governance = s->nodes[i].governance;
		members[i].state =
			i == removed ? MEMBER_REMOVED : MEMBER_ACTIVE;
		if (i == removed)
			members[i].final = s->nodes[i].disk.logs[i].head;
	}
	r.threshold =
		roster_default_threshold(s->o.nodes - (removed < s->o.nodes));
	if (s->roster_count > 0) {
		assert(note_parse(buf_slice(note - 1), &a, &old) == ERR_OK);
		r.prev = hash_bytes(old.text);
	}
	buf_init(&text, LIMIT_NOTE_BYTES);
	roster_put(&r, &text);
	assert(text.err == ERR_OK);
	buf_init(note, LIMIT_NOTE_BYTES);
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		if (i != removed)
			sign_doc(&s->nodes[i], buf_slice(&text), note);
	}
	s->roster_count++;
	buf_free(&text);
	arena_free(&a);
}

void sim_docs_open(struct sim *s)
{
	const char *why = "";
	struct arena a;
	struct roster r;
	enum err err;

	for (uint32_t i = 0; i < s->o.nodes; i++) {
		make_keys(s, &s->nodes[i]);
		make_card(s, &s->nodes[i]);
	}
	make_roster(s, UINT32_MAX);
	arena_init(&a, DOC_ARENA_BYTES);
	err = roster_parse(buf_slice(&s->rosters[0]), &a, &r, &why);
	if (err == ERR_OK)
		err = roster_check_first(&r, NULL);
	if (err != ERR_OK)
		sim_fail(s, "founding roster: %s %s", err_code(err), why);
	s->alliance = r.hash;
	arena_free(&a);
}

void sim_docs_close(struct sim *s)
{
	for (uint32_t i = 0; i < s->roster_count; i++)
		buf_free(&s->rosters[i]);
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		for (uint32_t v = 0; v < s->card_count[i]; v++)
			buf_free(&s->cards[i][v]);
	}
}

/* Parse what is installed on the disk of @n. */
void sim_docs_load(struct sim *s, struct sim_node *n)
{
	const char *why = "";
	enum err err;

	arena_free(&n->members_arena);
	arena_init(&n->members_arena, DOC_ARENA_BYTES);
	err = roster_parse(buf_slice(&s->rosters[n->disk.roster]),
			   &n->members_arena, &n->roster, &why);
	for (uint32_t i = 0; i < s->o.nodes && err == ERR_OK; i++)
		err = descriptor_parse(
			buf_slice(&s->cards[i][n->disk.cards[i]]),
			&n->members_arena, &n->cards[i], &why);
	if (err != ERR_OK)
		sim_fail(s, "document: %s %s", err_code(err), why);
	n->card_count = s->o.nodes;
}

void sim_docs_tell(struct sim *s, struct sim_node *n)
{
	struct mesh_members v = { .roster = &n->roster,
				  .alliance = s->alliance,
				  .cards = n->cards,
				  .card_count = n->card_count };

	mesh_set_members(n->mesh, s->now_ms, &v);
}

void sim_docs_read(struct sim *s, struct sim_node *n, const struct mesh_out *o)
{
	const struct message_want_doc *w = o->read_doc;
	struct message_doc d = { w->kind, w->member, w->version,
				 slice_of(NULL, 0) };
	uint32_t member, have;

	if (w->kind == DOC_ROSTER) {
		have = n->disk.roster + 1;
		if (w->version == 0 || w->version > have)
			d.version = have;
		d.note = buf_slice(&s->rosters[d.version - 1]);
	} else {
		member = mesh_find_member(n->mesh, w->member);
		if (member == UINT32_MAX) {
			mesh_doc_done(n->mesh, s->now_ms, o->link, NULL);
			return;
		}
		have = n->disk.cards[member] + 1;
		if (w->version == 0 || w->version > have)
			d.version = have;
		d.note = buf_slice(&s->cards[member][d.version - 1]);
	}
	mesh_doc_done(n->mesh, s->now_ms, o->link, &d);
}

static enum err take_roster(struct sim *s, struct sim_node *n,
			    struct slice note, struct arena *a)
{
	const char *why = "";
	struct roster r;
	enum err err = roster_parse(note, a, &r, &why);

	if (err == ERR_OK)
		err = roster_check_next(&n->roster, &r, &why);
	if (err == ERR_OK && r.version > s->roster_count)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK)
		n->disk.roster = (uint32_t)r.version - 1;
	else
		sim_trace(s, "%s refuses a roster: %s %s", n->name,
			  err_code(err), why);
	return err;
}

static enum err take_card(struct sim *s, struct sim_node *n, struct slice note,
			  struct arena *a)
{
	const char *why = "";
	struct descriptor d;
	uint32_t member;
	enum err err = descriptor_parse(note, a, &d, &why);

	if (err != ERR_OK)
		return err;
	member = mesh_find_member(n->mesh, d.member);
	if (member == UINT32_MAX)
		return ERR_NOT_FOUND;
	err = descriptor_check(&d, &n->roster, &n->cards[member], &why);
	if (err == ERR_OK)
		n->disk.cards[member] = (uint32_t)d.version - 1;
	else
		sim_trace(s, "%s refuses a card: %s %s", n->name, err_code(err),
			  why);
	return err;
}

void sim_docs_take(struct sim *s, struct sim_node *n, const struct mesh_out *o)
{
	uint64_t link = o->link, id = o->id;
	struct arena a;
	enum err err;

	arena_init(&a, DOC_ARENA_BYTES);
	err = o->doc->kind == DOC_ROSTER ? take_roster(s, n, o->doc->note, &a)
					 : take_card(s, n, o->doc->note, &a);
	arena_free(&a);
	if (err == ERR_OK) {
		sim_docs_load(s, n);
		sim_docs_tell(s, n);
	}
	mesh_doc_checked(n->mesh, s->now_ms, link, id, err);
}

/* Verbs. */

void sim_rotate(struct sim *s, uint32_t node)
{
	struct sim_node *n = &s->nodes[node];

	/* Its newest card must be its own. */
	if (!n->up || s->card_count[node] == SIM_DOCS ||
	    n->disk.cards[node] + 1 != s->card_count[node])
		return;
	make_card(s, n);
	n->disk.cards[node] = s->card_count[node] - 1;
	sim_trace(s, "%s rotates its card to version %u", n->name,
		  s->card_count[node]);
	sim_docs_load(s, n);
	sim_docs_tell(s, n);
	sim_drain(s, n);
}

void sim_remove(struct sim *s, uint32_t node, uint32_t at)
{
	struct sim_node *n = &s->nodes[at];

	make_roster(s, node);
	n->disk.roster = s->roster_count - 1;
	sim_trace(s, "%s installs a roster without %s", n->name,
		  s->nodes[node].name);
	if (!n->up)
		return;
	sim_docs_load(s, n);
	sim_docs_tell(s, n);
	sim_drain(s, n);
}

uint64_t sim_card_version(const struct sim *s, uint32_t node, uint32_t of)
{
	return s->nodes[node].disk.cards[of] + 1;
}

uint64_t sim_roster_version(const struct sim *s, uint32_t node)
{
	return s->nodes[node].disk.roster + 1;
}
