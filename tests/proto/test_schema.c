/* One table a kind: what it takes, what it refuses by name, and that the
 * three forms of a record say the same. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/dec.h"
#include "proto/enc.h"
#include "proto/schema.h"
#include "proto/text.h"
#include "tests/lib/shared.h"

#define ok(e) assert_int_equal((e), ERR_OK)
#define ARENA_BYTES (64u << 20)
#define COUNT(x) (sizeof(x) / sizeof((x)[0]))

/* ---- Fixture -------------------------------------------------------------- */

struct fixture {
	struct arena arena;
	struct schema_context x;
	struct buf body;
	struct complaint c;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	arena_init(&f->arena, ARENA_BYTES);
	buf_init(&f->body, 1u << 20);
	f->x = (struct schema_context){
		.arena = &f->arena,
		.today = SLICE_LIT("2026-11-23"),
		.member = SLICE_LIT("dtu.dk"),
		.number = SLICE_LIT("00112233445566778899aabbccddeeff"),
		.position = 4711,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	buf_free(&f->body);
	free(f);
	return 0;
}

/* ---- Helpers -------------------------------------------------------------- */

static struct slice copy(struct arena *a, const char *s)
{
	struct slice out;

	ok(arena_copy(a, slice_str(s), &out));
	return out;
}

/* A document of JSON; single quotes stand for double ones. */
static struct value doc(struct fixture *f, const char *json);

static struct value take(struct fixture *f, json_t *j)
{
	struct value v = { .type = VALUE_BOOL };
	const char *name;
	json_t *member;
	char text[40];
	uint32_t n = 0;

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		ok(value_map(&f->arena, (uint32_t)json_object_size(j), &v));
		json_object_foreach(j, name, member)
		{
			v.pairs[n].key = copy(&f->arena, name);
			v.pairs[n++].value = take(f, member);
		}
		return v;
	case JSON_ARRAY:
		ok(value_array(&f->arena, (uint32_t)json_array_size(j), &v));
		for (; n < v.count; n++)
			v.items[n] = take(f, json_array_get(j, n));
		return v;
	case JSON_STRING:
		return value_str(copy(&f->arena, json_string_value(j)));
	case JSON_INTEGER:
		v.type = json_integer_value(j) < 0 ? VALUE_INT : VALUE_UINT;
		v.i = json_integer_value(j);
		return v;
	case JSON_REAL:
		snprintf(text, sizeof(text), "%.15g", json_real_value(j));
		v.type = VALUE_DECIMAL;
		v.s = copy(&f->arena, text);
		return v;
	case JSON_TRUE:
	case JSON_FALSE:
		return value_bool(json_is_true(j));
	case JSON_NULL:
		break;
	}
	fail_msg("null in a test's document");
	return v;
}

static struct value doc(struct fixture *f, const char *json)
{
	char *text = xstrdup(json);
	json_error_t error;
	struct value v;
	json_t *j;

	for (char *p = text; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	j = json_loads(text, 0, &error);
	if (j == NULL)
		fail_msg("%s: %s", json, error.text);
	v = take(f, j);
	json_decref(j);
	free(text);
	return v;
}

static enum err convert(struct fixture *f, uint32_t kind, const char *json)
{
	struct value v = doc(f, json);

	buf_reset(&f->body);
	return schema_from_value(schema_of(kind), &v, &f->x, &f->body, &f->c);
}

static void taken(struct fixture *f, uint32_t kind, const char *json)
{
	if (convert(f, kind, json) != ERR_OK)
		fail_msg("%s: %s: %s: %s", json, f->c.field, f->c.code,
			 f->c.message);
}

static void refused(struct fixture *f, uint32_t kind, const char *json,
		    const char *field, const char *code)
{
	if (convert(f, kind, json) == ERR_OK)
		fail_msg("%s was taken", json);
	if (strcmp(f->c.code, code) != 0 || strcmp(f->c.field, field) != 0)
		fail_msg("%s: %s: %s: %s", json, f->c.field, f->c.code,
			 f->c.message);
	assert_int_equal(f->body.n, 0);
	assert_int_equal(f->body.err, ERR_OK);
}

/* The body as JSON. */
static const char *shown(struct fixture *f, uint32_t kind, bool person)
{
	struct value v;
	struct slice s;
	struct buf b;

	ok(schema_to_value(schema_of(kind), buf_slice(&f->body), person,
			   &f->arena, &v));
	buf_init(&b, 1u << 20);
	value_put_json(&v, &b);
	buf_put_u8(&b, '\0');
	ok(arena_copy(&f->arena, buf_slice(&b), &s));
	buf_free(&b);
	return (const char *)s.p;
}

/* Plan a header of names separated by ';'. */
static enum err plan(struct fixture *f, uint32_t kind, const char *header,
		     const struct row_plan **out)
{
	struct slice *names =
		arena_array(&f->arena, LIMIT_COLUMNS, sizeof(*names));
	struct slice rest = copy(&f->arena, header);
	size_t n = 0;
	bool more;

	do {
		more = slice_cut(rest, ';', &names[n], &rest);
		n++;
	} while (more);
	return schema_plan_row(schema_of(kind), names, n, &f->arena, out,
			       &f->c);
}

static enum err row(struct fixture *f, uint32_t kind, const char *header,
		    const char *text)
{
	struct slice cells[LIMIT_COLUMNS];
	struct slice rest = slice_str(text);
	const struct row_plan *p;
	size_t n = 0;
	bool more;

	ok(plan(f, kind, header, &p));
	do {
		more = slice_cut(rest, ';', &cells[n], &rest);
		n++;
	} while (more);
	buf_reset(&f->body);
	return schema_from_row(p, cells, &f->x, &f->body, &f->c);
}

/* ---- The tables ----------------------------------------------------------- */

static void check_shape_table(const struct shape *s, unsigned depth)
{
	assert_true(s->count > 0 && s->count < 64);
	assert_true(depth <= LIMIT_DEPTH);
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];

		assert_non_null(f->name);
		assert_non_null(f->about);
		assert_ptr_equal(schema_field(s, slice_str(f->name)), f);
		assert_int_equal(f->type == FIELD_ENUM, f->words != NULL);
		assert_int_equal(f->type == FIELD_OBJECT, f->shape != NULL);
		assert_true(f->max == 0 || f->min <= f->max);
		if (f->shape != NULL)
			check_shape_table(f->shape,
					  depth + 1 +
						  (f->flags & FIELD_IS_LIST));
	}
}

static void tables_are_well_formed(void **state)
{
	const struct schema *s;
	uint32_t last = 0;

	(void)state;
	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		assert_true(s->kind > last);
		last = s->kind;
		assert_ptr_equal(schema_of(s->kind), s);
		assert_ptr_equal(schema_by_name(slice_str(s->name)), s);
		assert_ptr_equal(schema_by_plural(slice_str(s->plural)), s);
		assert_non_null(schema_field(s->shape, slice_str(s->id)));
		check_shape_table(s->shape, 1);
		if (s->withdrawn != NULL)
			assert_true(field_rank(schema_field(s->shape,
							    SLICE_LIT("state")),
					       slice_str(s->withdrawn)) >= 0);
	}
	assert_int_equal(last, KIND_DECISION);
	assert_null(schema_of(0));
	assert_null(schema_of(KIND_PATHWAY));
	assert_null(schema_by_plural(SLICE_LIT("offer")));
}

static void every_column_is_found_by_its_name(void **state)
{
	struct fixture *f = *state;
	struct schema_column all[LIMIT_COLUMNS];
	struct schema_column one;
	const struct schema *s;
	size_t n;

	for (size_t i = 0; (s = schema_at(i)) != NULL; i++) {
		n = schema_columns(s, true, &f->arena, all, LIMIT_COLUMNS);
		assert_true(n > 3 && n < 64);
		for (size_t k = 0; k < n; k++) {
			const struct field *last =
				all[k].path[all[k].depth - 1];

			if (last->type == FIELD_LANGUAGE_MAP)
				continue;
			ok(schema_column(s, all[k].name, &one));
			assert_int_equal(one.depth, all[k].depth);
			assert_ptr_equal(one.path[one.depth - 1], last);
		}
	}
}

static void columns_have_the_names_that_files_use(void **state)
{
	static const struct {
		uint32_t kind;
		const char *name;
		bool found;
	} names[] = {
		{ KIND_CREDENTIAL, "subject_id", true },
		{ KIND_CREDENTIAL, "given_name", true },
		{ KIND_CREDENTIAL, "birth_date", true },
		{ KIND_CREDENTIAL, "grade", true },
		{ KIND_CREDENTIAL, "grade_scheme", true },
		{ KIND_CREDENTIAL, "grade_value", false },
		{ KIND_CREDENTIAL, "subject_given_name", false },
		{ KIND_CREDENTIAL, "learner", true },
		{ KIND_CREDENTIAL, "evidence", false },
		{ KIND_OFFER, "title_en", true },
		{ KIND_OFFER, "title_pt-br", true },
		{ KIND_OFFER, "title", false },
		{ KIND_OFFER, "title_", false },
		{ KIND_OFFER, "title_EN", false },
		{ KIND_STATUS, "credential", true },
		{ KIND_STATUS, "seq", false },
		{ KIND_DECISION, "appeal_body", true },
		{ KIND_POLICY, "limits_credits_max", true },
		{ KIND_RULE, "sources", false },
		{ KIND_RULE, "conditions_grade_min", true },
		{ KIND_RULE, "", false },
	};
	struct schema_column c;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(schema_column(schema_of(names[i].kind),
					       slice_str(names[i].name),
					       &c) == ERR_OK,
				 names[i].found);
}

/* ---- Documents ------------------------------------------------------------ */

struct good {
	uint32_t kind;
	const char *json;
	const char *shown; /* with personal fields */
};

static const struct good good[] = {
	{ KIND_INSTITUTION,
	  "{'member':'dtu.dk','name':{'en':'DTU'},'country':'DK','domains':"
	  "['dtu.example'],'contacts':[{'role':'registrar','mailbox':"
	  "'reg@dtu.dk'}],'did':'did:web:dtu.dk'}",
	  "{'contacts':[{'mailbox':'reg@dtu.dk','role':'registrar'}],"
	  "'country':'DK','did':'did:web:dtu.dk','domains':['dtu.example'],"
	  "'member':'dtu.dk','name':{'en':'DTU'}}" },
	{ KIND_OFFER,
	  "{'offer':'02170','type':'course','title':{'en':'Databases'},"
	  "'ects':7.5,'issuer':'dtu.dk','_line':7,'hours':0,'stackable':[],"
	  "'website':''}",
	  "{'ects':7.5,'hours':0,'offer':'02170','title':{'en':'Databases'},"
	  "'type':'course'}" },
	{ KIND_LEARNER, "{'id':'esi:1','given_name':'Clara'}",
	  "{'given_name':'Clara','id':'esi:1','number':"
	  "'00112233445566778899aabbccddeeff'}" },
	{ KIND_CREDENTIAL,
	  "{'credential':'C1','offer':'02170','offer_version':1,'subject':"
	  "{'id':'esi:1'},'issued_on':'2024-01-20','ects':10,'grade':"
	  "{'value':'12','scheme':'dk-7'}}",
	  "{'credential':'C1','ects':10,'grade':{'scheme':'dk-7','value':"
	  "'12'},'issued_on':'2024-01-20','learner':"
	  "'00112233445566778899aabbccddeeff','offer':'02170',"
	  "'offer_version':1}" },
	{ KIND_STATUS,
	  "{'credential':'C1','state':'revoked','reason':'fraud','at':"
	  "'2026-01-01'}",
	  "{'at':'2026-01-01T00:00:00Z','reason':'fraud','seq':4711,'state':"
	  "'revoked'}" },
	{ KIND_RULE,
	  "{'rule':'r1','sources':[{'from':'dtu.dk','codes':['02170']}],"
	  "'targets':[{'match':'specific','credits':6.25,'unit':'AU'}],"
	  "'outcome':'full','scope':{'text':''}}",
	  "{'outcome':'full','rule':'r1','sources':[{'codes':['02170'],'from':"
	  "'dtu.dk'}],'targets':[{'credits':6.25,'match':'specific','unit':"
	  "'AU'}]}" },
	{ KIND_POLICY,
	  "{'policy':'p1','clauses':[{'when':{'issuers':['dtu.dk'],'ects_max':"
	  "5,'isced':['06']},'effect':{'outcome':'full'}},{'when':{},'effect':"
	  "{'outcome':'individual-assessment'}}],'limits':{'credits_max':24},"
	  "'decision_days':14}",
	  "{'clauses':[{'effect':{'outcome':'full'},'when':{'ects_max':5,"
	  "'isced':['06'],'issuers':['dtu.dk']}},{'effect':{'outcome':"
	  "'individual-assessment'}}],'decision_days':14,'limits':"
	  "{'credits_max':24},'policy':'p1'}" },
	{ KIND_DECISION,
	  "{'decision':'d1','credentials':['hku.hk/C1'],'decided_on':"
	  "'2026-01-01','outcome':'full','mapping':[{'from':['hku.hk/C1'],"
	  "'to':[{'code':'X','match':'specific'}]}]}",
	  "{'credentials':['hku.hk/C1'],'decided_on':'2026-01-01','decision':"
	  "'d1','mapping':[{'from':['hku.hk/C1'],'to':[{'code':'X','match':"
	  "'specific'}]}],'outcome':'full'}" },
};

static void documents_of_every_kind_become_bodies(void **state)
{
	struct fixture *f = *state;
	char want[1024];

	for (size_t i = 0; i < COUNT(good); i++) {
		taken(f, good[i].kind, good[i].json);
		ok(dec_scan(buf_slice(&f->body), NULL));
		assert_int_equal(schema_check_body(good[i].kind,
						   buf_slice(&f->body), &f->c),
				 BODY_OK);
		snprintf(want, sizeof(want), "%s", good[i].shown);
		for (char *p = want; *p != '\0'; p++)
			*p = *p == '\'' ? '"' : *p;
		assert_string_equal(shown(f, good[i].kind, true), want);
	}
}

struct bad {
	uint32_t kind;
	const char *json;
	const char *field;
	const char *code;
};

#define OFFER "'offer':'X','type':'course','title':{'en':'T'}"
#define RULE                                                                   \
	"'rule':'r','sources':[{'from':'dtu.dk','codes':['1']}],'targets':"    \
	"[{'match':'generic'}]"

static const struct bad bad[] = {
	{ KIND_OFFER, "{" OFFER ",'tilte':{}}", "tilte", "unknown-field" },
	{ KIND_OFFER, "{" OFFER ",'seq':1}", "seq", "unknown-field" },
	{ KIND_CREDENTIAL, "{'learner':'0011223344'}", "learner",
	  "bad-number" },
	{ KIND_CREDENTIAL,
	  "{'credential':'A','offer':'X','issued_on':'2024-01-20',"
	  "'subject':{'id':'s'},"
	  "'learner':'00112233445566778899aabbccddeeff'}",
	  "subject", "learner-twice" },
	{ KIND_OFFER, "{" OFFER ",'ects':-5}", "ects", "bad-number" },
	{ KIND_OFFER, "{'type':'course','title':{'en':'T'}}", "offer",
	  "missing-field" },
	{ KIND_OFFER, "{'offer':'','type':'course','title':{'en':'T'}}",
	  "offer", "missing-field" },
	{ KIND_OFFER, "{'offer':5}", "offer", "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'ects':'5'}", "ects", "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'ects':2.555}", "ects", "bad-number" },
	{ KIND_OFFER, "{" OFFER ",'ects':9007199254740992}", "ects",
	  "bad-number" },
	{ KIND_OFFER, "{" OFFER ",'eqf':0}", "eqf", "out-of-range" },
	{ KIND_OFFER, "{" OFFER ",'eqf':9}", "eqf", "out-of-range" },
	{ KIND_OFFER, "{" OFFER ",'eqf':6.5}", "eqf", "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'eqf_applicable':'no'}", "eqf_applicable",
	  "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'language':'en'}", "language", "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'language':['EN']}", "language[0]",
	  "bad-language" },
	{ KIND_OFFER, "{" OFFER ",'language':['en','']}", "language[1]",
	  "empty-item" },
	{ KIND_OFFER, "{" OFFER ",'country':'dk'}", "country", "bad-country" },
	{ KIND_OFFER, "{" OFFER ",'awarding_body':['DTU.dk']}",
	  "awarding_body[0]", "bad-domain" },
	{ KIND_OFFER, "{" OFFER ",'isced':['6']}", "isced[0]", "bad-isced" },
	{ KIND_OFFER, "{" OFFER ",'website':'dtu.dk'}", "website", "bad-uri" },
	{ KIND_OFFER, "{" OFFER ",'start_on':'2026-02-29'}", "start_on",
	  "bad-date" },
	{ KIND_OFFER, "{" OFFER ",'issuer':'hku.hk'}", "issuer",
	  "other-member" },
	{ KIND_OFFER, "{'offer':' X','type':'course','title':{'en':'T'}}",
	  "offer", "bad-id" },
	{ KIND_OFFER, "{'offer':'a\\u0007','type':'course'}", "offer",
	  "control-character" },
	{ KIND_OFFER,
	  "{'offer':'X','type':'course','title':{'en':'T',"
	  "'Danish':'D'}}",
	  "title", "bad-language" },
	{ KIND_OFFER, "{'offer':'X','type':'course','title':{'en':5}}", "title",
	  "wrong-type" },
	{ KIND_OFFER, "{" OFFER ",'qa':[{'status':'odd'}]}", "qa[0].status",
	  "unknown-value" },
	{ KIND_OFFER,
	  "{" OFFER ",'learning_outcomes':[{'esco':['https://x.y']"
	  "}]}",
	  "learning_outcomes[0].text", "missing-field" },
	{ KIND_OFFER, "{" OFFER ",'eqf':6,'eqf_applicable':false}",
	  "eqf_applicable", "contradiction" },
	{ KIND_OFFER,
	  "{" OFFER ",'start_on':'2026-02-02','end_on':"
	  "'2026-02-01'}",
	  "end_on", "empty-interval" },
	{ KIND_OFFER,
	  "{'offer':'P','type':'programme','title':{'en':'T'},"
	  "'awarding_body':['dtu.dk']}",
	  "eqf", "missing-element" },
	{ KIND_CREDENTIAL,
	  "{'credential':'C','offer':'X','issued_on':'2024-01-01'}", "subject",
	  "missing-field" },
	{ KIND_CREDENTIAL,
	  "{'credential':'C','offer':'X','issued_on':'2024-01-01','subject':"
	  "{'id':'s'},'grade':{'scheme':'dk-7'}}",
	  "grade.value", "missing-field" },
	{ KIND_CREDENTIAL,
	  "{'credential':'C','offer':'X','issued_on':'2024-01-01','subject':"
	  "{'id':'s'},'grade':'12'}",
	  "grade", "wrong-type" },
	{ KIND_CREDENTIAL,
	  "{'credential':'C','offer':'X','subject':{'id':'s'},'evidence':"
	  "[{'sha256':'00'}]}",
	  "evidence[0].sha256", "bad-hash" },
	{ KIND_STATUS, "{'credential':'C','state':'revoked'}", "reason",
	  "missing-field" },
	{ KIND_STATUS,
	  "{'credential':'C','state':'superseded','reason':'replaced'}",
	  "successor", "missing-field" },
	{ KIND_STATUS, "{'credential':'C','state':'valid','at':'now'}", "at",
	  "bad-instant" },
	{ KIND_RULE, "{" RULE "}", "outcome", "missing-field" },
	{ KIND_RULE, "{'rule':'r','sources':[{'from':'dtu.dk'}]}",
	  "sources[0].codes", "missing-field" },
	{ KIND_RULE,
	  "{'rule':'r','sources':[{'from':'dtu.dk','codes':['1']}],'outcome':"
	  "'full'}",
	  "targets", "missing-field" },
	{ KIND_RULE,
	  "{'rule':'r','sources':[{'from':'dtu.dk','codes':['1']}],'outcome':"
	  "'full','targets':[{'code':'X'}]}",
	  "targets[0].match", "missing-field" },
	{ KIND_RULE,
	  "{" RULE ",'outcome':'full','achieved_from':'2026-01-02',"
	  "'achieved_to':'2026-01-01'}",
	  "achieved_to", "empty-interval" },
	{ KIND_INSTITUTION,
	  "{'member':'hku.hk','name':{'en':'H'},'country':'HK'}", "member",
	  "other-member" },
	{ KIND_INSTITUTION,
	  "{'member':'dtu.dk','name':{'en':'H'},'country':'HK','contacts':"
	  "[{'role':'it','mailbox':'nobody'}]}",
	  "contacts[0].mailbox", "bad-mailbox" },
};

static void documents_are_refused_by_field_and_code(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(bad); i++)
		refused(f, bad[i].kind, bad[i].json, bad[i].field, bad[i].code);
}

static void other_values_than_maps_are_refused(void **state)
{
	struct fixture *f = *state;

	refused(f, KIND_OFFER, "['offer']", "", "wrong-type");
}

static void ten_is_ten_in_every_form(void **state)
{
	static const char *const forms[] = { "10", "10.0", "10.00", "1e1" };
	struct fixture *f = *state;
	struct slice first = { NULL, 0 };
	char json[256];

	for (size_t i = 0; i < COUNT(forms); i++) {
		snprintf(json, sizeof(json), "{" OFFER ",'ects':%s}", forms[i]);
		taken(f, KIND_OFFER, json);
		assert_int_equal(dec_find_uint(buf_slice(&f->body), "ects", 0),
				 1000);
		if (i == 0)
			ok(arena_copy(&f->arena, buf_slice(&f->body), &first));
		assert_true(slice_equal(first, buf_slice(&f->body)));
	}
	taken(f, KIND_OFFER, "{" OFFER ",'ects':0}");
	assert_int_equal(dec_find_uint(buf_slice(&f->body), "ects", 1), 0);
}

static void text_is_normalised(void **state)
{
	struct fixture *f = *state;

	/* e + combining acute; line breaks; a code over two lines. */
	taken(f, KIND_OFFER,
	      "{'offer':'X','type':'course','title':{'en':'Cafe\\u0301\\n\\t "
	      "au lait\\n'},'aliases':['A\\nB\\u0007C']}");
	assert_string_equal(shown(f, KIND_OFFER, false),
			    "{\"aliases\":[\"A B C\"],\"offer\":\"X\","
			    "\"title\":{\"en\":\"Caf\xc3\xa9 au lait\"},"
			    "\"type\":\"course\"}");
	assert_int_equal(f->x.warnings[WARNING_LINE_BREAK], 2);
}

static void oddities_are_taken_and_told(void **state)
{
	struct fixture *f = *state;

	taken(f, KIND_CREDENTIAL,
	      "{'credential':'C','offer':' X','subject':{'id':'s'},'issued_on':"
	      "'2026-11-24','valid_until':'2027-01-01','grade':{'value':'-'}}");
	assert_int_equal(f->x.warnings[WARNING_FUTURE_DATE], 1);
	assert_int_equal(f->x.warnings[WARNING_ODD_CODE], 2);
	taken(f, KIND_OFFER,
	      "{'offer':'X','type':'course','title':{'en':'K\\u00c3\\u00b8ben'"
	      "}}");
	assert_int_equal(f->x.warnings[WARNING_MOJIBAKE], 1);
	for (size_t i = 0; i < WARNING_COUNT; i++) {
		assert_non_null(schema_warning_code((enum schema_warning)i));
		assert_non_null(schema_warning_text((enum schema_warning)i));
	}
}

/* ---- Requirements --------------------------------------------------------- */

/* Annex I, with one element left out at a time. */
static void a_micro_credential_names_each_missing_element(void **state)
{
	static const struct {
		const char *json;
		const char *number; /* of the element */
	} parts[] = {
		{ "'country':'DK'", "element 3 " },
		{ "'awarding_body':['dtu.dk']", "element 4 " },
		{ "'learning_outcomes':[{'text':'Knows'}]", "element 6 " },
		{ "'ects':5", "element 7 " },
		{ "'eqf':6", "element 8 " },
		{ "'assessment':'project'", "element 9 " },
		{ "'participation':['online']", "element 10 " },
		{ "'qa':[{'agency':'A'}]", "element 11 " },
	};
	struct fixture *f = *state;
	char json[1024];
	size_t n;

	for (size_t out = 0; out <= COUNT(parts); out++) {
		n = (size_t)snprintf(json, sizeof(json),
				     "{'offer':'M','type':'micro-credential',"
				     "'title':{'en':'T'}");
		for (size_t i = 0; i < COUNT(parts); i++) {
			if (i != out)
				n += (size_t)snprintf(json + n,
						      sizeof(json) - n, ",%s",
						      parts[i].json);
		}
		snprintf(json + n, sizeof(json) - n, "}");
		if (out == COUNT(parts)) {
			taken(f, KIND_OFFER, json);
			continue;
		}
		assert_int_equal(convert(f, KIND_OFFER, json), ERR_MALFORMED);
		assert_string_equal(f->c.code, "missing-element");
		assert_non_null(strstr(f->c.message, parts[out].number));
	}
	/* Elements 1, 2 and 5 are required by the tables. */
	refused(f, KIND_OFFER, "{'offer':'M','type':'micro-credential'}",
		"title", "missing-field");
	refused(f, KIND_CREDENTIAL,
		"{'credential':'C','offer':'M','subject':"
		"{'id':'s'}}",
		"issued_on", "missing-field");
}

static void a_level_may_be_said_not_to_apply(void **state)
{
	struct fixture *f = *state;

	taken(f, KIND_OFFER,
	      "{'offer':'M','type':'micro-credential','title':{'en':'T'},"
	      "'country':'DK','awarding_body':['dtu.dk'],'learning_outcomes':"
	      "[{'text':'Knows'}],'hours':30,'eqf_applicable':false,"
	      "'assessment':'project','participation':['online'],'qa':"
	      "[{'agency':'A'}]}");
}

#define REASONS "'reason':'Too short','side':'workload'"
#define APPEAL "'appeal':{'body':'Board','days':14}"

static void no_refusal_goes_without_reason_and_appeal(void **state)
{
	static const struct bad refusals[] = {
		{ KIND_RULE, "{" RULE ",'outcome':'refused'}", "reason",
		  "bare-refusal" },
		{ KIND_RULE, "{" RULE ",'outcome':'refused','reason':'r'}",
		  "side", "bare-refusal" },
		{ KIND_RULE, "{" RULE ",'outcome':'refused'," REASONS "}",
		  "appeal", "bare-refusal" },
		{ KIND_DECISION,
		  "{'decision':'d','credentials':['C'],'decided_on':"
		  "'2026-01-01','outcome':'refused'," APPEAL "}",
		  "reason", "bare-refusal" },
		{ KIND_POLICY,
		  "{'policy':'p','clauses':[{'effect':{'outcome':'full'}},"
		  "{'effect':{'outcome':'refused'," REASONS "}}]}",
		  "appeal", "bare-refusal" },
		{ KIND_POLICY,
		  "{'policy':'p'," APPEAL ",'clauses':[{'effect':{'outcome':"
		  "'refused','reason':'r'}}]}",
		  "side", "bare-refusal" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(refusals); i++)
		refused(f, refusals[i].kind, refusals[i].json,
			refusals[i].field, refusals[i].code);
	taken(f, KIND_RULE,
	      "{" RULE ",'outcome':'refused'," REASONS "," APPEAL "}");
	taken(f, KIND_POLICY,
	      "{'policy':'p'," APPEAL ",'clauses':[{'effect':{'outcome':"
	      "'refused'," REASONS "}}]}");
}

/* ---- Rows ----------------------------------------------------------------- */

static void rows_and_documents_give_the_same_body(void **state)
{
	static const struct {
		uint32_t kind;
		const char *json;
		const char *header;
		const char *row;
	} pairs[] = {
		{ KIND_OFFER,
		  "{'offer':'X','type':'course','title':{'en':'T','da':'U'},"
		  "'ects':7.5,'eqf':6,'language':['da','en'],'version':2,"
		  "'eqf_applicable':true}",
		  "version;offer;type;title_en;ects;language;title_da;eqf;"
		  "eqf_applicable;_note",
		  "2;X;course;T;7.50;da|en;U;6;true;ignored" },
		{ KIND_CREDENTIAL,
		  "{'credential':'C','offer':'X','subject':{'id':'s'},"
		  "'issued_on':'2024-01-01','grade':{'value':'B','scheme':"
		  "'dk-7'}}",
		  "grade_scheme;credential;offer;subject_id;issued_on;ects;"
		  "grade;achieved_on;",
		  "dk-7;C;X;s;2024-01-01;;B;;" },
		{ KIND_STATUS, "{'credential':'C','state':'valid'}",
		  "credential;state;reason", "C;valid;" },
		{ KIND_DECISION,
		  "{'decision':'d','credentials':['a/1','a/2'],'decided_on':"
		  "'2026-01-01','outcome':'refused'," REASONS "," APPEAL "}",
		  "decision;credentials;decided_on;outcome;reason;side;"
		  "appeal_body;appeal_days",
		  "d;a/1|a/2;2026-01-01;refused;Too short;workload;Board;14" },
	};
	struct fixture *f = *state;
	struct slice body;

	for (size_t i = 0; i < COUNT(pairs); i++) {
		taken(f, pairs[i].kind, pairs[i].json);
		ok(arena_copy(&f->arena, buf_slice(&f->body), &body));
		if (row(f, pairs[i].kind, pairs[i].header, pairs[i].row) !=
		    ERR_OK)
			fail_msg("%s: %s: %s", pairs[i].row, f->c.field,
				 f->c.message);
		assert_true(slice_equal(body, buf_slice(&f->body)));
	}
}

static void rows_are_refused_by_column_and_code(void **state)
{
	static const char header[] =
		"credential;offer;subject_id;issued_on;ects;grade;grade_scheme;"
		"awarding_body;issuer;";
	static const struct {
		const char *row;
		const char *column;
		const char *code;
	} rows[] = {
		{ ";X;s;2024-01-01;;;;;;", "credential", "missing-field" },
		{ "C;X;s;;;;;;;", "issued_on", "missing-field" },
		{ "C;X;s;1.1.2024;;;;;;", "issued_on", "bad-date" },
		{ "C;X;s;2024-01-01;2,5;;;;;", "ects", "bad-number" },
		{ "C;X;s;2024-01-01;2.555;;;;;", "ects", "bad-number" },
		{ "C;X;s;2024-01-01;;;dk-7;;;", "grade", "missing-field" },
		{ "C;X;s;2024-01-01;;;;dtu.dk|;;", "awarding_body",
		  "empty-item" },
		{ "C;X;s;2024-01-01;;;;dtu.dk|DTU;;", "awarding_body",
		  "bad-domain" },
		{ "C;X;s;2024-01-01;;;;;hku.hk;", "issuer", "other-member" },
		{ "C;X;s;2024-01-01;;;;;;x", "", "unnamed-column" },
		{ "1.5E+10;X;s;2024-01-01;;;;;;", "credential",
		  "spreadsheet-id" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(row(f, KIND_CREDENTIAL, header, rows[i].row),
				 ERR_MALFORMED);
		assert_string_equal(f->c.field, rows[i].column);
		assert_string_equal(f->c.code, rows[i].code);
		assert_int_equal(f->body.n, 0);
	}
	f->x.comma = true;
	ok(row(f, KIND_CREDENTIAL, header, "C;X;s;2024-01-01;2,5;;;;;"));
	assert_int_equal(dec_find_uint(buf_slice(&f->body), "ects", 0), 250);
}

static void headers_are_refused_by_column_and_code(void **state)
{
	static const struct bad headers[] = {
		{ KIND_OFFER, "offer;type;title_en;tilte_da", "tilte_da",
		  "unknown-column" },
		{ KIND_OFFER, "offer;type;title_en;offer", "offer",
		  "duplicate-column" },
		{ KIND_OFFER, "offer;type", "title_en", "missing-column" },
		{ KIND_CREDENTIAL, "credential;offer;issued_on", "subject_id",
		  "missing-column" },
		{ KIND_RULE, "rule;outcome", "sources", "not-in-rows" },
		{ KIND_STATUS, "credential;state;seq", "seq",
		  "unknown-column" },
		{ KIND_OFFER, "offer;type;title_en;qa", "qa",
		  "unknown-column" },
	};
	struct fixture *f = *state;
	const struct row_plan *p;

	for (size_t i = 0; i < COUNT(headers); i++) {
		assert_int_equal(plan(f, headers[i].kind, headers[i].json, &p),
				 ERR_MALFORMED);
		assert_string_equal(f->c.field, headers[i].field);
		assert_string_equal(f->c.code, headers[i].code);
	}
	assert_int_equal(plan(f, KIND_CREDENTIAL,
			      "credental;offer;subject_id;issued_on", &p),
			 ERR_MALFORMED);
	assert_string_equal(f->c.cure, "did you mean credential?");
}

static void the_subject_of_a_row_is_a_learner(void **state)
{
	struct slice cells[] = { SLICE_LIT("s1"), SLICE_LIT("Clara"),
				 SLICE_LIT("C"), SLICE_LIT("X"),
				 SLICE_LIT("2024-01-01") };
	struct fixture *f = *state;
	const struct row_plan *p;
	const struct row_plan *part;

	ok(plan(f, KIND_CREDENTIAL,
		"subject_id;given_name;credential;offer;issued_on", &p));
	assert_int_equal(schema_plan_column(p, "credential"), 2);
	assert_int_equal(schema_plan_column(p, "nothing"), -1);
	ok(schema_plan_part(p, "subject", schema_of(KIND_LEARNER), &f->arena,
			    &part));
	buf_reset(&f->body);
	ok(schema_from_row(part, cells, &f->x, &f->body, &f->c));
	assert_string_equal(shown(f, KIND_LEARNER, true),
			    "{\"given_name\":\"Clara\",\"id\":\"s1\","
			    "\"number\":\"00112233445566778899aabbccddeeff\"}");
	cells[0] = slice_of(NULL, 0);
	assert_int_equal(schema_from_row(part, cells, &f->x, &f->body, &f->c),
			 ERR_MALFORMED);
	assert_string_equal(f->c.field, "subject_id");
}

static void cells_come_out_as_they_went_in(void **state)
{
	static const struct {
		const char *column;
		const char *text;
	} cells[] = { { "offer", "X" },	  { "title_en", "T" },
		      { "title_fr", "" }, { "ects", "7.5" },
		      { "hours", "30" },  { "language", "da|en" },
		      { "country", "" },  { "eqf_applicable", "true" } };
	struct fixture *f = *state;
	struct schema_column col;
	struct value v;
	struct buf b;

	taken(f, KIND_OFFER,
	      "{" OFFER ",'ects':7.5,'hours':30,'language':['da','en'],"
	      "'eqf_applicable':true,'eqf':6,'stackable':['a|b']}");
	ok(schema_to_value(schema_of(KIND_OFFER), buf_slice(&f->body), false,
			   &f->arena, &v));
	buf_init(&b, 1024);
	for (size_t i = 0; i < COUNT(cells); i++) {
		buf_reset(&b);
		ok(schema_column(schema_of(KIND_OFFER),
				 slice_str(cells[i].column), &col));
		ok(schema_to_cell(&col, &v, &b));
		assert_true(slice_is(buf_slice(&b), cells[i].text));
	}
	ok(schema_column(schema_of(KIND_OFFER), SLICE_LIT("stackable"), &col));
	assert_int_equal(schema_to_cell(&col, &v, &b), ERR_BAD_STATE);
	assert_null(schema_beyond_rows(schema_of(KIND_OFFER), &v));
	v = doc(f, "{'offer':'X','qa':[{'agency':'A'}]}");
	assert_string_equal(schema_beyond_rows(schema_of(KIND_OFFER), &v),
			    "qa");
	buf_free(&b);
}

/* ---- Privacy -------------------------------------------------------------- */

static void personal_fields_are_shown_only_on_request(void **state)
{
	struct fixture *f = *state;

	taken(f, KIND_LEARNER,
	      "{'id':'esi:1','given_name':'Clara','family_name':'C',"
	      "'birth_date':'2000-01-01'}");
	assert_string_equal(
		shown(f, KIND_LEARNER, false),
		"{\"number\":\"00112233445566778899aabbccddeeff\"}");
}

static void complaints_hold_no_personal_value(void **state)
{
	static const char *const docs[] = {
		"{'id':' Canary'}",
		"{'id':'Canary\\u0007'}",
		"{'id':'s','given_name':'Canary\\u0007'}",
		"{'id':'s','birth_date':'Canary'}",
		"{'id':'s','birth_date':['Canary']}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(docs); i++) {
		assert_int_equal(convert(f, KIND_LEARNER, docs[i]),
				 ERR_MALFORMED);
		assert_null(strstr(f->c.message, "Canary"));
		assert_null(strstr(f->c.cure, "Canary"));
		assert_null(strstr(f->c.field, "Canary"));
	}
}

static void long_values_are_cut_at_a_character(void **state)
{
	struct fixture *f = *state;

	refused(f, KIND_OFFER,
		"{" OFFER ",'country':'0123456789012345678901234567890123456"
		"78\\u00e6\\u00e6'}",
		"country", "bad-country");
	assert_non_null(strstr(f->c.message, "78...\" is not a country"));
	assert_true(text_is_utf8(slice_str(f->c.message)));
}

/* ---- Limits --------------------------------------------------------------- */

static enum err with_text(struct fixture *f, const char *field, size_t bytes)
{
	struct value v = doc(f, "{" OFFER "}");
	struct value more;
	uint8_t *p = arena_alloc(&f->arena, bytes);

	memset(p, 'x', bytes);
	ok(value_map(&f->arena, v.count + 1, &more));
	memcpy(more.pairs, v.pairs, v.count * sizeof(*v.pairs));
	more.count = v.count;
	for (uint32_t i = 0; i < v.count; i++) {
		if (slice_is(v.pairs[i].key, field)) {
			more.pairs[i].value = value_str(slice_of(p, bytes));
			goto convert;
		}
	}
	more.pairs[more.count].key = slice_str(field);
	ok(value_array(&f->arena, 1, &more.pairs[more.count].value));
	more.pairs[more.count++].value.items[0] = value_str(slice_of(p, bytes));
convert:
	buf_reset(&f->body);
	return schema_from_value(schema_of(KIND_OFFER), &more, &f->x, &f->body,
				 &f->c);
}

static void one_byte_over_a_limit_is_refused(void **state)
{
	struct fixture *f = *state;

	ok(with_text(f, "offer", LIMIT_ID_BYTES));
	assert_int_equal(with_text(f, "offer", LIMIT_ID_BYTES + 1),
			 ERR_MALFORMED);
	assert_string_equal(f->c.code, "bad-id");
	ok(with_text(f, "aliases", LIMIT_ID_BYTES));
	assert_int_equal(with_text(f, "aliases", LIMIT_ID_BYTES + 1),
			 ERR_MALFORMED);
	ok(with_text(f, "prerequisites", LIMIT_TEXT_BYTES));
	assert_int_equal(with_text(f, "prerequisites", LIMIT_TEXT_BYTES + 1),
			 ERR_MALFORMED);
	assert_string_equal(f->c.code, "too-long");
}

static enum err with_list(struct fixture *f, uint32_t items, size_t bytes)
{
	struct value v;
	uint8_t *p = arena_alloc(&f->arena, bytes);

	memset(p, 'x', bytes);
	v = doc(f, "{" OFFER ",'prerequisites':['x']}");
	for (uint32_t i = 0; i < v.count; i++) {
		struct value *list = &v.pairs[i].value;

		if (!slice_is(v.pairs[i].key, "prerequisites"))
			continue;
		ok(value_array(&f->arena, items, list));
		for (uint32_t k = 0; k < items; k++)
			list->items[k] = value_str(slice_of(p, bytes));
	}
	buf_reset(&f->body);
	return schema_from_value(schema_of(KIND_OFFER), &v, &f->x, &f->body,
				 &f->c);
}

static void one_item_too_many_is_refused(void **state)
{
	struct fixture *f = *state;

	ok(with_list(f, LIMIT_LIST_ITEMS, 1));
	assert_int_equal(with_list(f, LIMIT_LIST_ITEMS + 1, 1), ERR_LIMIT);
	assert_string_equal(f->c.code, "too-many");
}

static void a_body_over_64_kib_is_refused(void **state)
{
	struct fixture *f = *state;

	ok(with_list(f, 4, 16000));
	assert_true(f->body.n < LIMIT_BODY_BYTES);
	assert_int_equal(with_list(f, 5, 16000), ERR_LIMIT);
	assert_string_equal(f->c.code, "too-large");
	assert_int_equal(f->body.n, 0);
	ok(f->body.err);
}

/* ---- Stored bodies -------------------------------------------------------- */

/* A body encoded as it is, whatever the tables say. */
static struct slice raw(struct fixture *f, const char *json)
{
	struct value v = doc(f, json);

	buf_reset(&f->body);
	ok(value_encode(&v, &f->body));
	return buf_slice(&f->body);
}

static void stored_bodies_are_judged(void **state)
{
	static const struct {
		uint32_t kind;
		const char *json;
		enum body_state want;
	} bodies[] = {
		{ KIND_OFFER, "{" OFFER "}", BODY_OK },
		{ KIND_OFFER, "{" OFFER ",'new':{'a':1}}", BODY_NEWER },
		{ KIND_OFFER, "{'offer':'X','type':'badge','title':{'en':'T'}}",
		  BODY_NEWER },
		{ KIND_OFFER, "{" OFFER ",'qa':[{'new':1}]}", BODY_NEWER },
		{ KIND_OFFER, "{'offer':'X','type':'course'}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'ects':'5'}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'eqf':9}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'language':[]}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'language':'en'}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'country':''}", BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'website':'e\\u0301:x'}",
		  BODY_INVALID },
		{ KIND_OFFER,
		  "{'offer':'X','type':'course','title':{'EN':"
		  "'T'}}",
		  BODY_INVALID },
		{ KIND_OFFER, "{'offer':'X','type':'course','title':{}}",
		  BODY_INVALID },
		{ KIND_OFFER, "{" OFFER ",'issuer':'dtu.dk'}", BODY_NEWER },
		{ KIND_OFFER, "[1]", BODY_INVALID },
		{ KIND_OFFER, "{}", BODY_INVALID },
		{ KIND_RULE, "{" RULE ",'outcome':'refused'}", BODY_INVALID },
		{ KIND_RULE, "{" RULE ",'outcome':'maybe'}", BODY_NEWER },
		{ KIND_STATUS, "{'seq':5,'state':'valid'}", BODY_OK },
		{ KIND_STATUS, "{'state':'valid'}", BODY_INVALID },
		{ KIND_STATUS, "{'seq':5,'state':'lost'}", BODY_NEWER },
		{ KIND_PATHWAY, "{'a':1}", BODY_NEWER },
		{ 4000000000u, "{'a':1}", BODY_NEWER },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct slice s = raw(f, bodies[i].json);

		if (schema_check_body(bodies[i].kind, s, &f->c) !=
		    bodies[i].want)
			fail_msg("%s", bodies[i].json);
		/* The complaint may be left out. */
		assert_int_equal(schema_check_body(bodies[i].kind, s, NULL),
				 bodies[i].want);
	}
}

static void every_prefix_of_a_body_is_invalid(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(good); i++) {
		taken(f, good[i].kind, good[i].json);
		for (size_t n = 0; n < f->body.n; n++)
			assert_int_equal(schema_check_body(
						 good[i].kind,
						 slice_of(f->body.p, n), &f->c),
					 BODY_INVALID);
	}
}

static void ids_are_found_in_bodies(void **state)
{
	static const struct {
		uint32_t kind;
		const char *json;
		const char *id; /* NULL: none */
	} ids[] = {
		{ KIND_OFFER, "{'offer':'X'}", "X" },
		{ KIND_INSTITUTION, "{'member':'dtu.dk'}", "dtu.dk" },
		{ KIND_STATUS, "{'seq':0}", "0" },
		{ KIND_STATUS, "{'seq':9007199254740993}", "9007199254740993" },
		{ KIND_OFFER, "{'rule':'X'}", NULL },
		{ KIND_OFFER, "{'offer':''}", NULL },
		{ KIND_OFFER, "{'offer':['X']}", NULL },
		{ KIND_PATHWAY, "{'pathway':'X'}", NULL },
	};
	uint8_t scratch[SCHEMA_SCRATCH_BYTES];
	struct fixture *f = *state;
	struct slice id;

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct slice s = raw(f, ids[i].json);

		assert_int_equal(schema_id(ids[i].kind, s, scratch, &id),
				 ids[i].id != NULL);
		if (ids[i].id != NULL)
			assert_true(slice_is(id, ids[i].id));
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(tables_are_well_formed),
		test(every_column_is_found_by_its_name),
		test(columns_have_the_names_that_files_use),
		test(documents_of_every_kind_become_bodies),
		test(documents_are_refused_by_field_and_code),
		test(other_values_than_maps_are_refused),
		test(ten_is_ten_in_every_form),
		test(text_is_normalised),
		test(oddities_are_taken_and_told),
		test(a_micro_credential_names_each_missing_element),
		test(a_level_may_be_said_not_to_apply),
		test(no_refusal_goes_without_reason_and_appeal),
		test(rows_and_documents_give_the_same_body),
		test(rows_are_refused_by_column_and_code),
		test(headers_are_refused_by_column_and_code),
		test(the_subject_of_a_row_is_a_learner),
		test(cells_come_out_as_they_went_in),
		test(personal_fields_are_shown_only_on_request),
		test(complaints_hold_no_personal_value),
		test(long_values_are_cut_at_a_character),
		test(one_byte_over_a_limit_is_refused),
		test(one_item_too_many_is_refused),
		test(a_body_over_64_kib_is_refused),
		test(stored_bodies_are_judged),
		test(every_prefix_of_a_body_is_invalid),
		test(ids_are_found_in_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
