/* Facts for recognition, written as JSON, and the answer read back.
 *
 * A world has one recogniser, "r.example", and any number of courses that a
 * learner holds; records get places in its logs in the order in which they
 * are added. Ends the test on anything unexpected. */

#ifndef TESTS_LIB_FACTS_H
#define TESTS_LIB_FACTS_H

#include "proto/recognise.h"
#include "proto/value.h"

#define WORLD_RULES 64
#define WORLD_SOME 16

struct world {
	struct arena arena;
	struct arena work; /* of recognise() */
	struct buf answer;
	struct recognise_question question;
	struct recognise_log logs[1 + WORLD_SOME];
	struct recognise_facts facts;
	struct recognise_held held[LIMIT_HELD];
	struct recognise_record rules[WORLD_RULES];
	struct recognise_record decisions[WORLD_SOME];
	struct recognise_record policies[WORLD_SOME];
	struct recognise_record statuses[WORLD_SOME];
	struct value tree; /* of the answer */
};

void world_init(struct world *w);
void world_free(struct world *w);
/* The canonical body of a document; in @w's arena. */
struct slice world_body(struct world *w, uint32_t kind, const char *json);
/* Any JSON as canonical msgpack, checked by no schema. */
struct slice world_raw(struct world *w, const char *json);
void world_rule(struct world *w, const char *json);
void world_rule_body(struct world *w, struct slice body);
void world_decision(struct world *w, const char *json);
void world_policy(struct world *w, const char *json);
/* The status of the course held last. */
void world_status(struct world *w, const char *json);
/* Hold a credential of "i.example" for the offer; either may be NULL: no
 * such record. Returns the course. */
struct recognise_held *world_hold(struct world *w, const char *credential,
				  const char *offer);
/* Ask about an offer of "i.example". @achieved_on may be NULL. */
struct recognise_held *world_offer(struct world *w, const char *code,
				   const char *offer, const char *achieved_on);
/* Answer, check that it is canonical, decode it. */
const struct value *world_ask(struct world *w);
/* The outcome of world_ask. */
const char *world_outcome(struct world *w);
/* Fields of the last answer: "targets.0.code"; "" when absent. */
const char *world_text(struct world *w, const char *path);
uint64_t world_uint(struct world *w, const char *path); /* absent: max */
uint32_t world_count(struct world *w, const char *path); /* items */
/* Is there a reason (or condition, limit) of this code? */
bool world_says(struct world *w, const char *list, const char *code);

#endif /* TESTS_LIB_FACTS_H */
