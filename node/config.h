/* symbolon.yaml: read whole or refused with line and column.
 *
 * libcyaml's schema names every key; an unknown one is an error. The
 * commented sample, which lists them all, is conf/symbolon.yaml.sample. */

#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "proto/bytes.h"

#define CONFIG_MAP_GIB 256u /* where the file does not say */
#define CONFIG_MAP_GIB_MAX 16384u
#define CONFIG_NAME_BYTES 255u /* of an institution */
#define CONFIG_CONTACT_BYTES 254u /* of a mailbox */

struct config {
	char *member; /* domain */
	char *name; /* for people; clean, NFC */
	char *country; /* ISO 3166-1 alpha-2 */
	char *contact; /* mailbox or NULL */
	char *listen; /* HOST:PORT */
	char *endpoint; /* PUBLICHOST:PORT for partners; = listen */
	char *control; /* socket path; NULL: DIR/control.sock */
	char *log_level; /* error, warn, info, debug */
	struct {
		uint32_t map_gib; /* LMDB map, sparse; 1..16384 */
	} store;
	struct { /* default audience of each kind's bodies: AUDIENCE_* or
		  * -1 = DESIGN section 9 */
		int32_t offers, credentials, rules, policies, decisions,
			institutions;
	} audience;
};

/* Read and check all of it. Give: config_free. @why: path:line:column, key,
 * what is wrong and the cure.
 *   ERR_NOT_FOUND   no such file
 *   ERR_DENIED      not readable
 *   ERR_MALFORMED   syntax, unknown key, value out of range, key missing
 *   ERR_LIMIT       longer than CONFIG_BYTES_MAX
 *   ERR_IO */
WARN_UNUSED enum err config_load(const char *path, struct config *out,
				 struct buf *why);
void config_free(struct config *c); /* safe on zeroed */
/* Default audience of a kind's bodies under this configuration: AUDIENCE_*,
 * AUDIENCE_OWN for kinds that are nobody else's business (learners). */
uint64_t config_audience(const struct config *c, uint32_t kind);

/* The checks of single values, also for `init`. NULL: fine, else what
 * belongs there. */
const char *config_check_member(const char *s);
const char *config_check_name(const char *s);
const char *config_check_country(const char *s);
const char *config_check_contact(const char *s);
const char *config_check_listen(const char *s); /* port 0 is allowed */
const char *config_check_endpoint(const char *s);

#endif /* NODE_CONFIG_H */
