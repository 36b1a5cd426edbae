#include "node/health.h"

#include <assert.h>

/* clang-format off */
static const struct health_entry entries[HEALTH_COUNT] = {
	[HEALTH_OK] = { "", HEALTH_INFO, "all is well", "" },
	[HEALTH_DNS] = { "P-DNS-01", HEALTH_WARNING,
		"its name cannot be looked up",
		"check the endpoint in its card and this machine's resolver" },
	[HEALTH_TCP] = { "P-TCP-02", HEALTH_WARNING,
		"no connection to its address",
		"is its node running, and do both firewalls allow the port?" },
	[HEALTH_TLS_THEIRS] = { "P-TLS-03", HEALTH_WARNING,
		"its TLS is not acceptable to us",
		"is it a Symbolon node that answers at this address?" },
	[HEALTH_TLS_OURS] = { "P-TLS-04", HEALTH_WARNING,
		"it refuses our certificate",
		"send it our newest card (symbolon card); its operator sees "
		"the refused key in `status`" },
	[HEALTH_PIN] = { "P-PIN-05", HEALTH_WARNING,
		"its key is not the one in its card",
		"ask its operator by telephone for the newest card; if the key "
		"was not changed there, somebody stands in between" },
	[HEALTH_PROTO] = { "P-PROTO-07", HEALTH_WARNING,
		"it does not speak our protocol as it should",
		"compare the versions of both nodes" },
	[HEALTH_ALLIANCE] = { "P-ALLIANCE-08", HEALTH_WARNING,
		"it belongs to another alliance",
		"compare `roster show` on both sides" },
	[HEALTH_SILENT] = { "P-SILENT-09", HEALTH_WARNING,
		"the connection was lost",
		"it is dialled again; if that lasts, ask its operator" },
	[HEALTH_CARD] = { "P-CARD-10", HEALTH_WARNING,
		"its card is not here or names no endpoint",
		"install the alliance file with its card (roster install)" },
	[HEALTH_STRANGER] = { "P-STRANGER-11", HEALTH_INFO,
		"somebody whose key is in no card was refused",
		"if it is a member, ask for its newest card" },
	[HEALTH_STOPPED] = { "P-STOPPED-12", HEALTH_WARNING,
		"its node was stopped",
		"it is dialled again until it is back" },
	[HEALTH_LAG] = { "S-LAG-01", HEALTH_WARNING,
		"records are known that are not here yet",
		"see the peers that hold this log" },
	[HEALTH_REJECT] = { "S-REJECT-02", HEALTH_WARNING,
		"it sent records that do not verify",
		"ask its operator to run `symbolon log check`" },
	[HEALTH_FORK] = { "S-FORK-03", HEALTH_CRITICAL,
		"there are two signed histories of this log; it is frozen",
		"the alliance must decide; the evidence is kept here" },
	[HEALTH_WAITING] = { "S-WAIT-04", HEALTH_INFO,
		"waiting for partners' heads of our own log before signing",
		"this ends by itself within seconds" },
	[HEALTH_RECOVERING] = { "S-RECOVER-05", HEALTH_CRITICAL,
		"this directory may be an old copy; nothing is signed until "
		"partners have told what was signed before",
		"let a partner's node connect, or, if none can hold newer "
		"records, start once with `serve --sign-alone`" },
	[HEALTH_MISSING] = { "S-MISSING-06", HEALTH_WARNING,
		"contents of records that we may read are not here",
		"they are fetched as soon as a partner offers them" },
	[HEALTH_OWN_CARD] = { "K-CARD-01", HEALTH_WARNING,
		"our own card and our configuration differ",
		"put the governance key in place and restart, so that a new "
		"card is signed" },
	[HEALTH_MAP] = { "D-MAP-01", HEALTH_WARNING,
		"the store has used more than 80 % of its map",
		"raise store.map_gib and restart" },
	[HEALTH_DISK] = { "D-DISK-03", HEALTH_CRITICAL,
		"the disk is nearly full; nothing new is stored",
		"make room; the node goes on by itself" },
	[HEALTH_RELOAD] = { "C-RELOAD-01", HEALTH_WARNING,
		"the last reload failed; the configuration before it is in use",
		"mend the file and send SIGHUP again" },
	[HEALTH_NO_ALLIANCE] = { "C-ALLIANCE-02", HEALTH_INFO,
		"no alliance is installed",
		"install an alliance file (roster install)" },
	[HEALTH_NOT_RUNNING] = { "N-DOWN-01", HEALTH_CRITICAL,
		"the node is not running",
		"start it: symbolon serve" },
};
/* clang-format on */

const struct health_entry *health_entry(enum health h)
{
	assert(h < HEALTH_COUNT);
	return &entries[h];
}

enum health health_find(struct slice code)
{
	unsigned h = HEALTH_OK;

	while (h < HEALTH_COUNT && !slice_is(code, entries[h].code))
		h++;
	return (enum health)h;
}

const char *health_severity(enum severity s)
{
	static const char *const names[] = { "info", "warning", "critical" };

	return names[s];
}

enum peer_step health_step(enum link_step step)
{
	switch (step) {
	case LINK_TCP:
		return PEER_STEP_TCP;
	case LINK_TLS:
		return PEER_STEP_TLS;
	case LINK_FRAMES:
		break;
	}
	return PEER_STEP_HELLO;
}

static enum health of_frames(enum peer_step step, enum err code, bool theirs)
{
	if (code == ERR_PIN)
		return theirs ? HEALTH_TLS_OURS : HEALTH_PIN;
	if (code == ERR_ALLIANCE)
		return HEALTH_ALLIANCE;
	if (code == ERR_SHUTDOWN)
		return HEALTH_STOPPED;
	if (code == ERR_VERSION || code == ERR_MALFORMED || code == ERR_LIMIT ||
	    code == ERR_INVALID || code == ERR_BAD_STATE || code == ERR_DENIED)
		return HEALTH_PROTO;
	return step == PEER_STEP_HELLO && theirs && code != ERR_TIMEOUT
		       ? HEALTH_TLS_OURS
		       : HEALTH_SILENT;
}

enum health health_of(enum peer_step step, enum err code, bool theirs)
{
	switch (step) {
	case PEER_STEP_CARD:
		return HEALTH_CARD;
	case PEER_STEP_DNS:
		return HEALTH_DNS;
	case PEER_STEP_TCP:
		return HEALTH_TCP;
	case PEER_STEP_TLS:
		if (code == ERR_VERSION)
			return HEALTH_PROTO;
		return theirs && code == ERR_PIN ? HEALTH_TLS_OURS
						 : HEALTH_TLS_THEIRS;
	case PEER_STEP_PIN:
		return HEALTH_PIN;
	case PEER_STEP_HELLO:
	case PEER_STEP_OPEN:
		break;
	}
	return of_frames(step, code, theirs);
}
