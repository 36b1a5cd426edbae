/* symbolon.yaml: read whole or refused with line and column.
 *
 * libcyaml's schema names every key; an unknown one is an error. The
 * commented sample is conf/symbolon.yaml.sample. */

#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "proto/bytes.h"

struct config {
	char *member;           /* domain */
	char *name;             /* for people */
	char *country;          /* ISO 3166-1 alpha-2 */
	char *contact;          /* mailbox or NULL */
	char *listen;           /* HOST:PORT */
	char *endpoint;         /* PUBLICHOST:PORT for partners; = listen */
	char *control;          /* socket path; NULL: DIR/control.sock */
	char *log_level;        /* error, warn, info, debug */
	struct {
		uint32_t map_gib; /* LMDB map, sparse; 1..16384 */
	} store;
	struct {                /* default audience of each kind's bodies:
				 * AUDIENCE_* or -1 = DESIGN section 9 */
		int32_t offers, credentials, rules, policies, decisions,
			institutions;
	} audience;
	struct cyaml_config_tree *tree; /* owned by config.c */
};

/* ERR_NOT_FOUND, ERR_MALFORMED, ERR_IO; @why: path:line:column, key, cure. */
WARN_UNUSED enum err config_load(const char *path, struct config *out,
				 struct buf *why);
void config_free(struct config *c);
/* Default audience of a kind's bodies under this configuration. */
uint64_t config_audience(const struct config *c, uint32_t kind);

#endif /* NODE_CONFIG_H */
