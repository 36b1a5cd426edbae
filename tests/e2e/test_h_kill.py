"""kill -9 at random moments: nothing acknowledged is lost, nothing forks.

--rounds N sets the number of kills; --seed N replays the choices.
"""

import json
import subprocess
import time

import lib
from lib import check, in_sync, in_touch, nothing_frozen, until

FAST = True


def import_some(lab, node, first, count):
    """Start an import; its acknowledgement is its exit status 0."""
    path = lib.ndjson(lab, f"{node.member}-{first}.ndjson", [
        lib.offer(i, node.member) for i in range(first, first + count)])
    return subprocess.Popen(
        [lab.binary, "-C", node.dir, "import", "offers", path],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=lab.env)


def codes_of(node):
    return {json.loads(x)["offer"] for x in node.ok("export", "offers", timeout=120
                                                    ).out.splitlines()}


def kill_rounds(lab, nodes, rounds, choose):
    acknowledged = {n.member: set() for n in nodes}
    sizes = {n.member: 0 for n in nodes}
    first = 0
    for i in range(rounds):
        first += 4000
        count = lab.random.choice([1, 20, 400, 4000])
        started = [(n, import_some(lab, n, first, count)) for n in nodes]
        time.sleep(lab.random.uniform(0, 0.1))
        victims = choose(i)
        for v in victims:
            v.kill()
        for n, p in started:
            try:
                err = p.communicate(timeout=60)[1].decode()
            except subprocess.TimeoutExpired:
                p.kill()
                raise lib.Failure(f"round {i}: an import does not end") from None
            if p.returncode == 0:
                acknowledged[n.member] |= {f"C{k:06d}" for k in
                                           range(first, first + count)}
            else:
                check(p.returncode in (lib.FAILED, lib.UNREACHABLE, lib.REFUSED),
                      f"round {i}: exit {p.returncode}", err)
        for v in victims:
            v.start(wait=False)
        for v in victims:
            until(v.answers, f"round {i}: {v.member} answers", 60)
        until(lambda: all(n.status()["signing"] == "allowed" for n in nodes),
              f"round {i}: all may sign", 60)
        for n in nodes:
            check(n.size() >= sizes[n.member],
                  f"round {i}: the log of {n.member} does not shrink")
            sizes[n.member] = n.size()
    return acknowledged


def judge(nodes, acknowledged):
    in_touch(nodes, 120)
    in_sync(nodes, 300)
    nothing_frozen(nodes)
    for n in nodes:
        lost = acknowledged[n.member] - codes_of(n)
        check(not lost, f"{n.member} lost {len(lost)} acknowledged records",
              sorted(lost)[:10])
        n.ok("log", "check", timeout=300)
    for n in nodes:
        n.stop()


def test_two_nodes_survive_kills_during_import_and_replication(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk")
    rounds = max(1, lab.options.rounds * 3 // 4)
    judge(nodes, kill_rounds(lab, nodes, rounds,
                             lambda i: [lab.random.choice(nodes)]))


def test_three_nodes_survive_kills_of_several_at_once(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    rounds = max(1, lab.options.rounds // 4)
    judge(nodes, kill_rounds(lab, nodes, rounds, lambda i: lab.random.sample(
        nodes, lab.random.choice([1, 2, 3]))))
