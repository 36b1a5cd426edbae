/* sim [--seed N | --seeds A..B] [--bug NAME] [-v]
 *
 * Runs random histories. Without --bug every one must be free of violations;
 * with it at least one must show the bug. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static int usage(void)
{
	fprintf(stderr, "usage: sim [--seed N | --seeds A..B] [--bug NAME] "
			"[-v]\n");
	return 2;
}

static int run(uint64_t from, uint64_t to, enum sim_bug bug, bool verbose)
{
	uint64_t bad = 0;
	const char *why;

	for (uint64_t seed = from; seed <= to; seed++) {
		if (sim_run_seed(seed, bug, verbose, &why))
			continue;
		printf("seed %llu: %s\n", (unsigned long long)seed, why);
		bad++;
		if (bug != SIM_BUG_NONE)
			break;
	}
	if (bug != SIM_BUG_NONE) {
		printf("%s: %s\n", sim_bug_name(bug),
		       bad > 0 ? "found" : "NOT FOUND");
		return bad > 0 ? 0 : 1;
	}
	printf("%llu seeds, %llu with violations\n",
	       (unsigned long long)(to - from + 1), (unsigned long long)bad);
	return bad > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t from = 1, to = 200;
	enum sim_bug bug = SIM_BUG_NONE;
	bool verbose = false;
	char *end;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--seed") == 0) {
			from = to = strtoull(value, &end, 10);
			if (*end != '\0' || end == value)
				return usage();
			i++;
		} else if (strcmp(argv[i], "--seeds") == 0) {
			from = strtoull(value, &end, 10);
			if (end == value || strncmp(end, "..", 2) != 0)
				return usage();
			to = strtoull(end + 2, &end, 10);
			if (*end != '\0' || to < from)
				return usage();
			i++;
		} else if (strcmp(argv[i], "--bug") == 0) {
			if (!sim_bug_parse(value, &bug))
				return usage();
			i++;
		} else {
			return usage();
		}
	}
	return run(from, to, bug, verbose);
}
