/* An alliance file shown to people and programs. */

#ifndef NODE_CMD_ROSTER_SHOW_H
#define NODE_CMD_ROSTER_SHOW_H

#include "node/alliance.h"
#include "node/cmd.h"

#define FINGERPRINT_BYTES 80u /* with the NUL */

void fingerprint_put(char out[FINGERPRINT_BYTES], const struct note_key *k);
/* The same digits, whatever stands between them and in whatever case: it is
 * typed from a telephone call. */
bool fingerprint_is(const char *typed, const char *real);

/* Members, fingerprints and who has signed, on standard error. */
void alliance_tell(struct cmd *c, const struct alliance *a);
/* On standard output. */
void alliance_show_summary(struct cmd *c, const struct alliance *a);
void alliance_show_table(struct cmd *c, const struct alliance *a);
void alliance_show_json(struct cmd *c, const struct alliance *a);

#endif /* NODE_CMD_ROSTER_SHOW_H */
