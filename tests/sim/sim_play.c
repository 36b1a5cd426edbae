/* A random history: faults for a while, then healing, then convergence. */

#include <stdio.h>
#include <string.h>

#include "sim_state.h"

#define FAULT_ROUNDS 24u
#define HEAL_MS 240000u

/* Stop the links of a random subset one by one and restore them in another
 * order: what finds most. */
static void swizzle(struct sim *s, uint64_t round)
{
	uint32_t a = (uint32_t)sim_random(s, s->o.nodes);
	uint32_t b = (uint32_t)sim_random(s, s->o.nodes);

	if (a == b)
		return;
	if (round % 2 == 0)
		sim_cut(s, a, b);
	else
		sim_heal(s, a, b);
}

static bool signs(struct sim *s)
{
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		if (!sim_may_sign(s, i))
			return false;
	}
	return true;
}

static void start_all(struct sim *s)
{
	for (uint32_t i = 0; i < s->o.nodes; i++)
		sim_start(s, i);
}

/* Do all have what this node has signed? */
static bool is_copied(struct sim *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		const struct sim_log *l = &s->nodes[i].disk.logs[node];

		if (l->n != s->nodes[node].disk.logs[node].n ||
		    l->head.size != l->n || s->nodes[i].job_count > 0)
			return false;
	}
	return true;
}

/* An older copy of a disk is told what it lacks only by those who have it.
 * If records were given out that nobody holds completely, PROTOCOL.md 10.10
 * lets the node wait for ever; that is tested by itself. */
static void restore(struct sim *s, uint32_t node)
{
	if (!s->nodes[node].has_backup)
		return;
	sim_heal_all(s);
	for (uint32_t i = 0; i < s->o.nodes; i++)
		sim_disk_full(s, i, false);
	start_all(s);
	for (uint32_t i = 0; i < 60 && !is_copied(s, node); i++) {
		if (!sim_run(s, 500))
			return;
	}
	if (!is_copied(s, node))
		return;
	sim_restore(s, node);
	sim_start(s, node);
	sim_submit(s, node, 1); /* refused unless it may sign */
	/* If only the liar has what was lost, it may take hours. */
	s->truth = true;
	if (!sim_run_until(s, signs, 90000))
		sim_fail(s, "%s does not recover", s->nodes[node].name);
	s->truth = false;
}

static void fault(struct sim *s, uint64_t round)
{
	uint32_t a = (uint32_t)sim_random(s, s->o.nodes);
	uint32_t b = (uint32_t)sim_random(s, s->o.nodes);

	switch (sim_random(s, 14)) {
	case 0:
	case 1:
		sim_crash(s, a);
		break;
	case 2:
	case 3:
	case 4:
		sim_start(s, a);
		break;
	case 5:
		if (a != b)
			sim_cut_way(s, a, b);
		break;
	case 6:
		sim_heal(s, a, b);
		break;
	case 7:
		sim_reset(s, a, b);
		break;
	case 8:
		sim_snapshot(s, a);
		break;
	case 9:
		if (sim_random(s, 2) == 0)
			restore(s, a);
		break;
	case 10:
		sim_rotate(s, a);
		break;
	case 11:
		sim_disk_full(s, a, sim_random(s, 2) == 0);
		break;
	case 12:
		sim_ask(s, a, b);
		break;
	default:
		swizzle(s, round);
		break;
	}
}

static void work(struct sim *s)
{
	uint32_t a = (uint32_t)sim_random(s, s->o.nodes);
	uint32_t n = sim_random(s, 8) == 0 ? 100 + (uint32_t)sim_random(s, 200)
					   : 1 + (uint32_t)sim_random(s, 8);

	sim_submit(s, a, n);
}

/* For whoever looks for the reason. */
static void show(struct sim *s)
{
	for (uint32_t i = 0; i < s->o.nodes; i++) {
		for (uint32_t l = 0; l < s->o.nodes; l++) {
			const struct sim_log *d = &s->nodes[i].disk.logs[l];
			struct mesh_log_info info;

			mesh_log_info(s->nodes[i].mesh, l, &info);
			sim_trace(s,
				  "%s log %u: %llu held, head %llu, told %llu, "
				  "missing %llu, jobs %u, source %d",
				  s->nodes[i].name, l, (unsigned long long)d->n,
				  (unsigned long long)d->head.size,
				  (unsigned long long)info.told,
				  (unsigned long long)d->missing,
				  s->nodes[i].job_count, (int)info.source);
		}
	}
}

static bool heal(struct sim *s)
{
	sim_heal_all(s);
	for (uint32_t i = 0; i < s->o.nodes; i++)
		sim_disk_full(s, i, false);
	start_all(s);
	if (!sim_run_until(s, signs, HEAL_MS) && sim_violation(s) == NULL)
		sim_fail(s, "not everybody may sign after healing");
	for (uint32_t i = 0; i < s->o.nodes; i++)
		sim_submit(s, i, 1);
	if (!sim_run(s, 1000))
		return false;
	if (!sim_run_until(s, sim_is_converged, HEAL_MS) &&
	    sim_violation(s) == NULL) {
		show(s);
		sim_fail(s, "no convergence after healing");
	}
	return sim_violation(s) == NULL;
}

bool sim_play(struct sim *s)
{
	start_all(s);
	for (uint64_t round = 0; round < FAULT_ROUNDS; round++) {
		if (!sim_run(s, sim_random(s, 5000)))
			return false;
		work(s);
		fault(s, round);
	}
	return heal(s);
}

bool sim_run_seed(uint64_t seed, enum sim_bug bug, bool verbose,
		  const char **why)
{
	static char text[256];
	struct sim_options o = {
		.seed = seed,
		.nodes = 2 + (uint32_t)(seed % (SIM_NODES_MAX - 1)),
		.bug = bug,
		.verbose = verbose,
	};
	struct sim *s;
	bool ok;

	o.liar = o.nodes > 2 && seed % 3 == 0;
	s = sim_open(&o);
	ok = sim_play(s);
	if (!ok)
		snprintf(text, sizeof(text), "%s", sim_violation(s));
	*why = ok ? NULL : text;
	sim_close(s);
	return ok;
}
