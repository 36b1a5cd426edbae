/* Make the data of the bench: an offers file, a credentials file and a rules
 * file, each row from its number alone, so that every run has the same.
 *
 * Usage: bench_data offers|credentials|rules COUNT > FILE */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERS 5000u
#define LEARNERS_SHARE 8u /* awards a learner */

static uint64_t scramble(uint64_t x) /* splitmix64, a bijection */
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void offers(uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		printf("{\"offer\":\"C%05" PRIu64 "\",\"version\":1,"
		       "\"type\":\"course\",\"title\":{\"en\":"
		       "\"Course number %" PRIu64 "\"},"
		       "\"awarding_body\":[\"bench-a.example\"],"
		       "\"country\":\"DK\",\"ects\":%u,"
		       "\"assessment\":\"written-exam\","
		       "\"language\":[\"en\"],\"state\":\"published\","
		       "\"eqf\":%u}\n",
		       i, i, i % 3 ? 5 : 10, 6 + (unsigned)(i & 1));
}

static void credentials(uint64_t count)
{
	static const char *const given[] = { "Clara",	"Eoin",	   "Freja",
					     "Jannis",	"Zuzana",  "Mateus",
					     "Siobhan", "Wojciech" };
	static const char *const family[] = { "Schmidt",      "Garcia",
					      "Eriksson",     "Horvat",
					      "Papadopoulos", "van den Berg",
					      "Kowalska",     "O'Connell" };
	static const char *const grade[] = { "12", "10", "7", "4", "02" };
	uint64_t i, learner, r;

	printf("credential,offer,offer_version,subject_id,given_name,"
	       "family_name,birth_date,issued_on,achieved_on,ects,grade,"
	       "grade_scheme,identity_check,awarding_body,valid_until\n");
	for (i = 0; i < count; i++) {
		learner = i / LEARNERS_SHARE;
		r = scramble(learner);
		printf("BENCH-AWARD-OF-A-LONG-ENOUGH-NAME-%09" PRIu64
		       ",C%05" PRIu64 ",1,urn:schac:personalUniqueCode:int:esi:"
		       "bench-a.example:student-number-%012" PRIu64
		       ",%s Maria Alexandra,%s-%s,%u-%02u-%02u,"
		       "20%02u-%02u-20,20%02u-%02u-20,%u,%s,"
		       "a-grading-scheme-with-a-long-name-dk-7,"
		       "supervised-onsite-identified,bench-a.example|"
		       "faculty-of-engineering.bench-a.example,"
		       "2099-12-31\n",
		       i, scramble(i) % OFFERS, learner, given[r & 7],
		       family[(r >> 3) & 7], family[(r >> 6) & 7],
		       1970 + (unsigned)(r >> 9) % 35,
		       1 + (unsigned)(r >> 20) % 12,
		       1 + (unsigned)(r >> 28) % 28, 10 + (unsigned)(i % 15),
		       1 + (unsigned)(i % 12), 10 + (unsigned)(i % 15),
		       1 + (unsigned)(i % 12), i % 3 ? 5u : 10u, grade[i % 5]);
	}
}

static void rules(uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		printf("{\"rule\":\"bench-%" PRIu64 "\",\"sources\":[{"
		       "\"from\":\"bench-a.example\",\"codes\":[\"C%05" PRIu64
		       "\"]}],\"targets\":[{\"code\":\"T%" PRIu64 "\",\"title\""
		       ":\"Target course %" PRIu64 "\",\"match\":\"%s\"}],"
		       "\"outcome\":\"full\",\"state\":\"active\","
		       "\"purposes\":[\"credit\"]}\n",
		       i, i, i, i, i % 4 ? "specific" : "generic");
}

int main(int argc, char **argv)
{
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	if (count == 0) {
		fprintf(stderr, "usage: bench_data "
				"offers|credentials|rules COUNT\n");
		return 2;
	}
	if (strcmp(argv[1], "offers") == 0)
		offers(count);
	else if (strcmp(argv[1], "credentials") == 0)
		credentials(count);
	else
		rules(count);
	return fflush(stdout) != 0 || ferror(stdout);
}
