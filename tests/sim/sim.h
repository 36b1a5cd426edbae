/* A whole alliance in one process: the real mesh, replica, session, Merkle,
 * note and roster code over virtual clocks, links and disks.
 *
 * One seed replays exactly. After every step the invariants of sim_check.c
 * are checked; the first violation is kept and ends the run. Nothing here
 * knows sockets, threads or real time. */

#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "proto/mesh.h"

#define SIM_NODES_MAX 6u

/* Planted bugs, to prove that the checks can find such ones. */
enum sim_bug {
	SIM_BUG_NONE,
	SIM_BUG_ACK_BEFORE_COMMIT, /* tell of a chunk before it is durable */
	SIM_BUG_SKIP_FOLD_CHECK, /* store chunks that do not fold */
	SIM_BUG_RESUME_REMEMBERED, /* go on where the last process was */
	SIM_BUG_SIGN_BEFORE_RECOVERY, /* sign whatever the partners hold */
	SIM_BUG_PUBLISH_BEFORE_COMMIT, /* show a head before it is durable */
};
/* By its name on the command line; false: there is none. */
bool sim_bug_parse(const char *name, enum sim_bug *out);
const char *sim_bug_name(enum sim_bug bug);

struct sim_options {
	uint64_t seed;
	uint32_t nodes; /* 2..SIM_NODES_MAX */
	enum sim_bug bug;
	bool liar; /* the last node lies in what it relays */
	bool verbose; /* trace to stdout */
};

struct sim;

struct sim *sim_open(const struct sim_options *o);
void sim_close(struct sim *s);

/* Verbs. Nodes are numbered from 0. */
void sim_start(struct sim *s, uint32_t node);
void sim_crash(struct sim *s, uint32_t node); /* loses what is not durable */
void sim_snapshot(struct sim *s, uint32_t node); /* a backup of its disk */
void sim_restore(struct sim *s, uint32_t node); /* crash, put it back */
void sim_cut(struct sim *s, uint32_t a, uint32_t b); /* both directions */
void sim_cut_way(struct sim *s, uint32_t from, uint32_t to);
void sim_heal(struct sim *s, uint32_t a, uint32_t b);
void sim_heal_all(struct sim *s);
void sim_reset(struct sim *s, uint32_t a, uint32_t b); /* break TCP links */
void sim_submit(struct sim *s, uint32_t node, uint32_t records);
void sim_rotate(struct sim *s, uint32_t node); /* new version of its card */
void sim_ask(struct sim *s, uint32_t from, uint32_t to);
/* Remove a member by a roster signed by the others; installed at @at. */
void sim_remove(struct sim *s, uint32_t node, uint32_t at);
/* Let it believe that its disk is the one it wrote. */
void sim_trust(struct sim *s, uint32_t node);
/* Two histories of its log are part of the plan: copies may differ. */
void sim_expect_fork(struct sim *s, uint32_t node);
/* A disk full of its own history: bytes are refused until it is called
 * again with false. */
void sim_disk_full(struct sim *s, uint32_t node, bool full);

/* Time, in ms. Both return false once an invariant was violated. */
bool sim_run(struct sim *s, uint64_t ms);
typedef bool sim_cb(struct sim *s);
/* Until @done; false as well when @max_ms pass first. */
bool sim_run_until(struct sim *s, sim_cb *done, uint64_t max_ms);
uint64_t sim_now(const struct sim *s);

/* State. */
const char *sim_violation(const struct sim *s); /* NULL: none */
bool sim_is_up(const struct sim *s, uint32_t node);
uint64_t sim_size(const struct sim *s, uint32_t node, uint32_t log_of);
bool sim_is_frozen(const struct sim *s, uint32_t node, uint32_t log_of);
bool sim_may_sign(const struct sim *s, uint32_t node);
uint32_t sim_cosignatures(const struct sim *s, uint32_t node, uint32_t log_of);
uint64_t sim_missing(const struct sim *s, uint32_t node, uint32_t log_of);
uint64_t sim_card_version(const struct sim *s, uint32_t node, uint32_t of);
uint64_t sim_roster_version(const struct sim *s, uint32_t node);
uint32_t sim_answers(const struct sim *s, uint32_t node);
struct mesh *sim_mesh(const struct sim *s, uint32_t node); /* NULL: down */
/* All who are up and honest hold the same of every log, bodies too. */
bool sim_is_converged(struct sim *s);
uint64_t sim_random(struct sim *s, uint64_t below);

/* A random history of faults, then healing; true: it converged and no
 * invariant was violated. */
bool sim_play(struct sim *s);
/* Open, play, close. *why (static storage) tells what was violated. */
bool sim_run_seed(uint64_t seed, enum sim_bug bug, bool verbose,
		  const char **why);

#endif /* TESTS_SIM_H */
