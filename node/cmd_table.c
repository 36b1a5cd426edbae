/* The table of all commands: help, usage, man page and dispatch are read off
 * it. Adding a command is an entry here, a line in cmds.h and its file. */

#include "node/cmds.h"

/* clang-format off */
const struct cmd_entry cmd_table[] = {
{
	.name = "init",
	.place = CMD_HERE,
	.run = cmd_init,
	.summary = "Set up a new node: keys, configuration, store, card.",
	.synopsis =
		"-C DIR init --member DOMAIN --name NAME --country CC "
		"--listen HOST:PORT [--endpoint HOST:PORT] [--contact MAILBOX]",
	.options =
		"  --member DOMAIN       the university's domain, such as dtu.dk\n"
		"  --name NAME           its name, for people\n"
		"  --country CC          two letters of ISO 3166-1\n"
		"  --listen HOST:PORT    where the node listens for partners\n"
		"  --endpoint HOST:PORT  where partners reach it, if that differs\n"
		"  --contact MAILBOX     whom partners write to about this node\n",
	.example =
		"symbolon -C /var/lib/symbolon init --member dtu.dk "
		"--name \"Technical University of Denmark\" --country DK "
		"--listen 0.0.0.0:7410 --endpoint symbolon.dtu.dk:7410",
},
{
	.name = "card",
	.place = CMD_HOME,
	.run = cmd_card,
	.summary = "Print the member's signed card, to hand to the others.",
	.synopsis = "-C DIR card > FILE",
	.example = "symbolon -C DIR card > dtu.card",
},
{
	.name = "roster",
	.place = CMD_HERE,
	.run = cmd_roster,
	.home = "sign install",
	.summary = "Found an alliance, sign its roster, install it, add members.",
	.synopsis =
		"roster found ALLIANCE CARD... [--threshold N] > FILE\n"
		"roster show FILE [--expect FINGERPRINT]...\n"
		"-C DIR roster sign FILE [--expect FINGERPRINT]... [--again]\n"
		"-C DIR roster install FILE [--expect FINGERPRINT]...\n"
		"roster add FILE CARD [--threshold N] > NEW",
	.options =
		"  --threshold N         signatures that a later roster needs; "
		"else two thirds\n"
		"  --expect FINGERPRINT  of a member's governance key, as heard "
		"from its people\n"
		"                        (may come several times); status 4 when "
		"it is nobody's\n"
		"  --again               sign another roster of a version that "
		"was signed\n"
		"                        before, when all have given that one "
		"up\n",
	.example =
		"symbolon roster found \"Example Alliance\" dtu.card hku.card "
		"> alliance\n"
		"symbolon -C DIR roster sign alliance --expect "
		"5a1f-03c2-...\n"
		"symbolon -C DIR roster install alliance",
},
{
	.name = "serve",
	.place = CMD_HERE,
	.run = cmd_serve,
	.summary = "Run the node in the foreground.",
	.synopsis = "-C DIR serve [--sign-alone]",
	.options =
		"  --sign-alone          sign even if partners stay silent: only "
		"when nobody\n"
		"                        can hold records that this directory "
		"has lost\n",
	.example = "symbolon -C DIR serve",
},
{
	.name = "status",
	.place = CMD_HOME,
	.run = cmd_status,
	.summary = "Show the health with cures, the logs and the partners.",
	.synopsis = "-C DIR status [--watch]",
	.options =
		"  --watch               again every two seconds, until "
		"interrupted\n",
	.example = "symbolon -C DIR status",
},
{
	.name = "peer",
	.place = CMD_HOME,
	.run = cmd_peer,
	.summary = "List the partners' nodes, or test the way to one.",
	.synopsis =
		"-C DIR peer list\n"
		"-C DIR peer test MEMBER",
	.options =
		"  --json   each step with its code, the side that can mend "
		"it and the cure\n"
		"\n"
		"  Exit status of peer test: 0 all steps passed; 3 it cannot "
		"be reached (name,\n"
		"  connection, TLS, it is stopping); 4 one side does not "
		"accept the other's key\n"
		"  or alliance; 1 anything else; 2 MEMBER is this node.\n",
	.example = "symbolon -C DIR peer test hku.hk",
},
{
	.name = "import",
	.place = CMD_HOME,
	.run = cmd_import,
	.summary = "Bring records in from CSV or NDJSON; show or undo imports.",
	.synopsis =
		"-C DIR import KIND FILE... [--check] [--audience A] "
		"[--max-rejects N] [--max-changed P] [--wait K]\n"
		"-C DIR import list\n"
		"-C DIR import show N\n"
		"-C DIR import undo N [--check]",
	.options =
		"  --check            change nothing, say what would happen\n"
		"  --audience A       public, members or own: who may read what "
		"is written\n"
		"  --max-rejects N    refuse the file when more rows are bad\n"
		"  --max-changed P    refuse the file when the records and "
		"learners it would\n"
		"                     change are more than P percent of its "
		"good rows; 20 by\n"
		"                     default; 10 changes are always allowed\n"
		"  --wait K           until K partners have countersigned that "
		"they hold it\n"
		"  --wait-seconds N   for at most so long\n"
		"  --format F         csv or ndjson, where the file's ending "
		"does not say\n",
	.example =
		"symbolon -C DIR import credentials awards.csv --check",
},
{
	.name = "export",
	.place = CMD_HOME,
	.run = cmd_export,
	.summary = "Write the own records of a kind, ready to be imported again.",
	.synopsis = "-C DIR export KIND [--format csv|ndjson] [--person]",
	.options =
		"  --format F         csv or ndjson; ndjson by default, and "
		"the only one for\n"
		"                     records with lists of objects, such as "
		"rules\n"
		"  --person           credentials with the learners' personal "
		"fields; without,\n"
		"                     with their numbers, which only this node "
		"can import\n",
	.example =
		"symbolon -C DIR export rules > rules.ndjson\n"
		"symbolon -C DIR export credentials --person --format csv "
		"> awards.csv",
},
{
	.name = "changes",
	.place = CMD_HOME,
	.run = cmd_changes,
	.summary = "Tell what has changed in all logs, one JSON line a record.",
	.synopsis =
		"-C DIR changes [--since CURSOR] [--kind KIND] [--follow] "
		"[--person]",
	.options =
		"  --since CURSOR     go on behind the line that had this cursor; "
		"now: only what is new\n"
		"  --kind KIND        credential, rule, ...: only these\n"
		"  --follow           wait for more, until interrupted\n"
		"  --person           with learners' personal fields, where they "
		"are held\n",
	.example = "symbolon -C DIR changes --since CURSOR --follow",
},
{
	.name = "recognise",
	.place = CMD_HOME,
	.run = cmd_recognise,
	.summary = "Ask whether an institution recognises credentials or a course.",
	.synopsis =
		"-C DIR recognise CREDENTIAL... --by MEMBER|all [--purpose P] "
		"[--programme X] [--as-of DATE] [--at MEMBER] [--explain]\n"
		"-C DIR recognise FILE --by MEMBER|all\n"
		"-C DIR recognise --offer MEMBER/CODE --by MEMBER|all "
		"[--achieved-on DATE]",
	.options =
		"  --by MEMBER        who is to recognise; all: every member, "
		"side by side\n"
		"  --purpose P        credit, admission, ...; credit by default\n"
		"  --programme X      that the learner is in or applies for\n"
		"  --as-of DATE       as the records stand on that day; today by "
		"default\n"
		"  --achieved-on DATE of the course, with --offer\n"
		"  --offer M/CODE     a course, before anyone enrols\n"
		"  --at MEMBER        let that member's node answer\n"
		"  FILE               a proof with content (log proof "
		"--disclose)\n"
		"  --explain          what else was considered and why it did "
		"not count\n"
		"  Up to 16 credentials together are one question: do these "
		"courses, as a set,\n"
		"  count? Ask about each alone to have an answer for each.\n",
	.example =
		"symbolon -C DIR recognise dtu.dk/DTU-2024-006432 --by hku.hk\n"
		"symbolon -C DIR recognise --offer dtu.dk/02170 --by all",
},
{
	.name = "credential",
	.place = CMD_HOME,
	.run = cmd_credential,
	.summary = "Show and list credentials; revoke, suspend, reinstate own ones.",
	.synopsis =
		"-C DIR credential show ID [--person]\n"
		"-C DIR credential list [MEMBER] [--offer CODE] [--state STATE]\n"
		"-C DIR credential revoke|suspend ID...|--from FILE "
		"--reason CODE [--check]\n"
		"-C DIR credential reinstate ID...|--from FILE "
		"[--reason CODE] [--check]",
	.options =
		"  --person           also the learner's personal fields, where "
		"they are held\n"
		"  --offer CODE       only awards of this course\n"
		"  --state STATE      only valid, suspended, revoked or "
		"superseded ones\n"
		"  --from FILE        ids, one a line\n"
		"  --reason CODE      issued-in-error, wrong-person, data-error, "
		"misconduct, ...\n"
		"  --check            say what would change, change nothing\n",
	.example =
		"symbolon -C DIR credential revoke DTU-2024-006432 "
		"--reason issued-in-error",
},
{
	.name = "log",
	.place = CMD_HOME,
	.run = cmd_log,
	.summary = "Signed heads, portable proofs, re-verification from disk.",
	.synopsis =
		"-C DIR log head [MEMBER]\n"
		"-C DIR log proof MEMBER/ID|MEMBER#PLACE [--disclose] "
		"[--kind KIND] > FILE\n"
		"-C DIR log check [MEMBER]",
	.options =
		"  --disclose         put the content into the proof, for whoever "
		"is handed it\n"
		"  --kind KIND        where records of several kinds have the "
		"same id\n",
	.example =
		"symbolon -C DIR log proof DTU-2024-006432 --disclose > my.proof\n"
		"symbolon -C DIR log check",
},
{
	.name = "verify",
	.place = CMD_HERE,
	.run = cmd_verify,
	.summary = "Check a portable proof offline, without any node.",
	.synopsis = "verify FILE --roster ALLIANCE [--person]",
	.options =
		"  --roster ALLIANCE  the alliance file, for the members' keys\n"
		"  --person           show personal fields, too\n",
	.example = "symbolon verify my.proof --roster baltic.alliance",
},
{
	.name = "help",
	.place = CMD_HERE,
	.run = cmd_help,
	.summary = "Show all commands, or one with its options.",
	.synopsis = "help [COMMAND]",
	.example = "symbolon help roster",
},
{ .name = NULL },
};
/* clang-format on */
