#include "node/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/config_scan.h"
#include "node/dial.h"
#include "node/disk.h"
#include "node/log.h"
#include "proto/record.h"
#include "proto/text.h"

/* ---- The schema ------------------------------------------------------- */

enum spelled { SPELLED_NOT, SPELLED_PUBLIC, SPELLED_MEMBERS, SPELLED_OWN };

struct raw_store {
	uint32_t map_gib; /* 0: not given */
};

struct raw_audience {
	enum spelled institutions, offers, credentials, rules, policies,
		decisions;
};

/* The file as libcyaml loads it; absent is zero or NULL. */
struct raw {
	char *member, *name, *country, *contact, *listen, *endpoint, *control,
		*log_level;
	struct raw_store *store;
	struct raw_audience *audience;
};

static const cyaml_strval_t audience_words[] = {
	{ "public", SPELLED_PUBLIC },
	{ "members", SPELLED_MEMBERS },
	{ "own", SPELLED_OWN },
};

#define AUDIENCE_FIELD(kind)                                                   \
	CYAML_FIELD_ENUM(#kind, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT,       \
			 struct raw_audience, kind, audience_words,            \
			 CYAML_ARRAY_LEN(audience_words))
#define TEXT_FIELD(flags, key)                                                 \
	CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | (flags), struct raw, \
			       key, 0, CYAML_UNLIMITED)

enum { MEMBER, NAME, COUNTRY, CONTACT, LISTEN, ENDPOINT, CONTROL, LOG_LEVEL };
enum { MAP_GIB };

static const cyaml_schema_field_t store_fields[] = {
	[MAP_GIB] = CYAML_FIELD_UINT("map_gib", CYAML_FLAG_OPTIONAL,
				     struct raw_store, map_gib),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t audience_fields[] = {
	AUDIENCE_FIELD(institutions),
	AUDIENCE_FIELD(offers),
	AUDIENCE_FIELD(credentials),
	AUDIENCE_FIELD(rules),
	AUDIENCE_FIELD(policies),
	AUDIENCE_FIELD(decisions),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t fields[] = {
	[MEMBER] = TEXT_FIELD(0, member),
	[NAME] = TEXT_FIELD(0, name),
	[COUNTRY] = TEXT_FIELD(0, country),
	[CONTACT] = TEXT_FIELD(CYAML_FLAG_OPTIONAL, contact),
	[LISTEN] = TEXT_FIELD(0, listen),
	[ENDPOINT] = TEXT_FIELD(CYAML_FLAG_OPTIONAL, endpoint),
	[CONTROL] = TEXT_FIELD(CYAML_FLAG_OPTIONAL, control),
	[LOG_LEVEL] = TEXT_FIELD(CYAML_FLAG_OPTIONAL, log_level),
	CYAML_FIELD_MAPPING_PTR(
		"store", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR,
		struct raw, store, store_fields),
	CYAML_FIELD_MAPPING_PTR(
		"audience", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR,
		struct raw, audience, audience_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t top = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, fields),
};

/* ---- Single values ---------------------------------------------------- */

const char *config_check_member(const char *s)
{
	return text_is_domain(slice_str(s))
		       ? NULL
		       : "the university's domain belongs here, in lower case, "
			 "such as dtu.dk";
}

const char *config_check_name(const char *s)
{
	struct slice t = slice_str(s);
	if (t.n == 0 || t.n > CONFIG_NAME_BYTES || t.p[0] == ' ' ||
	    t.p[t.n - 1] == ' ')
		return "a name of 1 to 255 bytes belongs here, without blanks "
		       "around it";
	return text_is_canonical(t) ? NULL
				    : "the name must be UTF-8 in NFC, without "
				      "control characters";
}

const char *config_check_country(const char *s)
{
	bool ok = strlen(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' &&
		  s[1] <= 'Z';
	return ok ? NULL
		  : "two capital letters of ISO 3166-1 belong here, such as DK";
}

const char *config_check_contact(const char *s)
{
	struct slice t = slice_str(s), local, domain;
	bool ok = t.n <= CONFIG_CONTACT_BYTES &&
		  slice_cut(t, '@', &local, &domain) && local.n > 0 &&
		  text_is_canonical(local) && !memchr(local.p, ' ', local.n) &&
		  text_is_domain(domain);
	return ok ? NULL : "a mailbox belongs here, such as federation@dtu.dk";
}

const char *config_check_listen(const char *s)
{
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];
	return dial_split(slice_str(s), host, port)
		       ? NULL
		       : "HOST:PORT belongs here, such as 0.0.0.0:7410 or "
			 "[::]:7410";
}

const char *config_check_endpoint(const char *s)
{
	char host[LIMIT_ENDPOINT_BYTES + 1], port[8];
	bool ok = dial_split(slice_str(s), host, port) &&
		  strcmp(port, "0") != 0 && !strchr(host, ' ');
	return ok ? NULL
		  : "HOST:PORT as partners can reach it belongs here, such as "
		    "symbolon.dtu.dk:7410";
}

static const char *check_log_level(const char *s)
{
	enum log_level level;
	return log_parse_level(s, &level)
		       ? NULL
		       : "error, warn, info or debug belongs here";
}

static const char *check_control(const char *s)
{
	return s[0] ? NULL : "a path belongs here";
}

/* ---- Loading ---------------------------------------------------------- */

/* What libcyaml says when it refuses a value: its first line is the cause,
 * the first of its backtrace the place. */
struct complaint {
	char cause[256];
	char key[64];
	unsigned line, column;
};

__attribute__((format(printf, 3, 0))) static void
on_log(cyaml_log_t level, void *arg, const char *format, va_list ap)
{
	struct complaint *c = arg;
	char text[256];
	const char *p = text;
	(void)level;
	if (c == NULL)
		return;
	vsnprintf(text, sizeof(text), format, ap);
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(p, "Load: ", 6) == 0)
		p += 6;
	if (c->cause[0] == '\0')
		snprintf(c->cause, sizeof(c->cause), "%s", p);
	else if (c->line == 0 &&
		 sscanf(p, " in mapping field '%63[^']' (line: %u, column: %u)",
			c->key, &c->line, &c->column) != 3)
		c->line = 0;
}

static enum err refuse(const char *path, const struct complaint *c,
		       struct buf *why)
{
	bool missing = strncmp(c->cause, "Missing", 7) == 0;
	buf_put_str(why, path);
	if (c->line > 0 && !missing) {
		buf_put_u8(why, ':');
		buf_put_dec(why, c->line);
		buf_put_u8(why, ':');
		buf_put_dec(why, c->column);
		buf_put_str(why, ": ");
		buf_put_str(why, c->key);
	}
	buf_put_str(why, ": ");
	buf_put_str(why, c->cause[0] ? c->cause : "not a configuration");
	return ERR_MALFORMED;
}

static enum err load_raw(const char *path, struct slice text, struct raw **out,
			 struct buf *why)
{
	struct complaint complaint = { 0 };
	const cyaml_config_t config = {
		.log_fn = on_log,
		.log_ctx = &complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_data_t *data = NULL;
	cyaml_err_t e =
		cyaml_load_data(text.p, text.n, &config, &top, &data, NULL);
	*out = data;
	if (e == CYAML_OK && data)
		return ERR_OK;
	return refuse(path, &complaint, why);
}

static void free_raw(struct raw *raw)
{
	const cyaml_config_t config = { .log_fn = on_log, .mem_fn = cyaml_mem };
	cyaml_free(&config, &top, raw, 0);
}

static enum err check_raw(const struct config_scan *s, const struct raw *r,
			  struct buf *why)
{
	const struct {
		int field;
		const char *value;
		const char *(*check)(const char *);
	} texts[] = {
		{ MEMBER, r->member, config_check_member },
		{ NAME, r->name, config_check_name },
		{ COUNTRY, r->country, config_check_country },
		{ CONTACT, r->contact, config_check_contact },
		{ LISTEN, r->listen, config_check_listen },
		{ ENDPOINT, r->endpoint, config_check_endpoint },
		{ CONTROL, r->control, check_control },
		{ LOG_LEVEL, r->log_level, check_log_level },
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *cure =
			texts[i].value ? texts[i].check(texts[i].value) : NULL;
		if (cure == NULL)
			continue;
		config_scan_at(s, &fields[texts[i].field], why);
		buf_put_str(why, cure);
		return ERR_MALFORMED;
	}
	if (config_scan_has(s, &store_fields[MAP_GIB]) &&
	    (r->store->map_gib < 1 || r->store->map_gib > CONFIG_MAP_GIB_MAX)) {
		config_scan_at(s, &store_fields[MAP_GIB], why);
		buf_put_str(why, "a number from 1 to 16384 belongs here");
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

/* Hand a string over; @absent is copied when there is none. */
static char *take(char **from, const char *absent)
{
	char *s = *from;
	*from = NULL;
	if (s == NULL && absent)
		s = xstrdup(absent);
	return s;
}

/* A relative socket path starts where the file is. */
static char *take_control(char **from, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *given = take(from, NULL);
	if (given == NULL || given[0] == '/' || slash == NULL)
		return given;
	struct buf b;
	buf_init(&b, strlen(path) + strlen(given) + 2);
	buf_put(&b, slice_of(path, (size_t)(slash - path) + 1));
	buf_put_str(&b, given);
	free(given);
	given = xstrndup(buf_slice(&b));
	buf_free(&b);
	return given;
}

static int32_t audience_of(enum spelled s)
{
	switch (s) {
	case SPELLED_PUBLIC:
		return AUDIENCE_PUBLIC;
	case SPELLED_MEMBERS:
		return AUDIENCE_MEMBERS;
	case SPELLED_OWN:
		return AUDIENCE_OWN;
	case SPELLED_NOT:
		break;
	}
	return -1;
}

static void take_raw(struct raw *r, const char *path, struct config *out)
{
	static const struct raw_audience none;
	const struct raw_audience *a = r->audience ? r->audience : &none;
	*out = (struct config){
		.member = take(&r->member, NULL),
		.name = take(&r->name, NULL),
		.country = take(&r->country, NULL),
		.contact = take(&r->contact, NULL),
		.listen = take(&r->listen, NULL),
		.control = take_control(&r->control, path),
		.log_level = take(&r->log_level, "info"),
		.store.map_gib = r->store && r->store->map_gib
					 ? r->store->map_gib
					 : CONFIG_MAP_GIB,
		.audience = {
			.institutions = audience_of(a->institutions),
			.offers = audience_of(a->offers),
			.credentials = audience_of(a->credentials),
			.rules = audience_of(a->rules),
			.policies = audience_of(a->policies),
			.decisions = audience_of(a->decisions),
		},
	};
	out->endpoint = take(&r->endpoint, out->listen);
}

enum err config_load(const char *path, struct config *out, struct buf *why)
{
	struct buf text;
	struct raw *raw = NULL;
	struct config_scan *scan = xcalloc(1, sizeof(*scan));
	*out = (struct config){ 0 };
	scan->path = path;
	buf_init(&text, CONFIG_BYTES_MAX);
	enum err e = disk_read(path, CONFIG_BYTES_MAX, &text, why);
	if (!e)
		e = config_scan(scan, buf_slice(&text), fields, why);
	if (!e)
		e = load_raw(path, buf_slice(&text), &raw, why);
	if (!e)
		e = check_raw(scan, raw, why);
	if (!e)
		take_raw(raw, path, out);
	if (raw)
		free_raw(raw);
	buf_free(&text);
	free(scan);
	return e;
}

void config_free(struct config *c)
{
	free(c->member);
	free(c->name);
	free(c->country);
	free(c->contact);
	free(c->listen);
	free(c->endpoint);
	free(c->control);
	free(c->log_level);
	*c = (struct config){ 0 };
}

uint64_t config_audience(const struct config *c, uint32_t kind)
{
	const struct {
		uint32_t kind;
		int32_t given;
		enum audience absent;
	} kinds[] = {
		{ KIND_INSTITUTION, c->audience.institutions, AUDIENCE_PUBLIC },
		{ KIND_OFFER, c->audience.offers, AUDIENCE_PUBLIC },
		{ KIND_LEARNER, -1, AUDIENCE_OWN },
		{ KIND_CREDENTIAL, c->audience.credentials, AUDIENCE_MEMBERS },
		/* A status is read by whoever reads its credential. */
		{ KIND_STATUS, c->audience.credentials, AUDIENCE_MEMBERS },
		{ KIND_RULE, c->audience.rules, AUDIENCE_PUBLIC },
		{ KIND_POLICY, c->audience.policies, AUDIENCE_PUBLIC },
		{ KIND_DECISION, c->audience.decisions, AUDIENCE_OWN },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind)
			return kinds[i].given >= 0 ? (uint64_t)kinds[i].given
						   : (uint64_t)kinds[i].absent;
	return AUDIENCE_PUBLIC;
}
