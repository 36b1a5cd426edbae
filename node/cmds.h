/* The functions behind the table of commands (cmd_table.c), one a command,
 * each in a file of its own name. All return enum exit_code; what they may
 * use is in cmd.h. */

#ifndef NODE_CMDS_H
#define NODE_CMDS_H

#include "node/cmd.h"

int cmd_card(struct cmd *c);
int cmd_changes(struct cmd *c);
int cmd_credential(struct cmd *c);
int cmd_export(struct cmd *c);
int cmd_help(struct cmd *c);
int cmd_import(struct cmd *c);
int cmd_init(struct cmd *c);
int cmd_log(struct cmd *c);
int cmd_peer(struct cmd *c);
int cmd_recognise(struct cmd *c);
int cmd_roster(struct cmd *c);
int cmd_serve(struct cmd *c);
int cmd_status(struct cmd *c);
int cmd_verify(struct cmd *c);

#endif /* NODE_CMDS_H */
