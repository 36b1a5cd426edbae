"""Records reach every partner, whoever is away; bodies only who may read."""

import os
import signal
import subprocess
import time

import lib
from lib import check, equal, in_sync, in_touch, nothing_frozen, until


def offers(lab, first, count, name="offers.ndjson"):
    return lib.ndjson(lab, name, [lib.offer(i) for i in range(first, first + count)])


def checks(nodes):
    """Every node verifies every log from disk."""
    for n in nodes:
        n.ok("log", "check")


def test_records_reach_all_partners_and_are_countersigned(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    a = nodes[0]
    r = a.ok("import", "offers", offers(lab, 0, 500), "--wait", "2", "--json")
    equal(r.lines()[-1]["new"], 500, "new")
    # Acknowledged by both partners: they hold it now, without any wait.
    for n in nodes[1:]:
        equal(n.size("dtu.dk"), 500, n.member)
    in_sync(nodes)
    until(lambda: all(n.logs()["dtu.dk"]["cosignatures"] >= 2 for n in nodes),
          "two countersignatures are on the head everywhere")
    checks(nodes)
    for n in nodes:
        n.stop()


def test_all_write_at_once_and_end_with_the_same_heads(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    running = []
    for n in nodes:
        path = lib.ndjson(lab, n.member + ".ndjson", [
            lib.offer(i, n.member) for i in range(2000)])
        running.append(subprocess.Popen(
            [lab.binary, "-C", n.dir, "import", "offers", path],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=lab.env))
    for p in running:
        err = p.communicate(timeout=120)[1]
        equal(p.returncode, 0, err)
    for size, _ in in_sync(nodes):
        equal(size, 2000, "size")
    nothing_frozen(nodes)
    checks(nodes)


def test_a_node_that_was_away_goes_on_where_it_was(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 300))
    in_sync([a, b])
    b.stop()
    a.ok("import", "offers", offers(lab, 300, 900))
    b.start()
    in_sync([a, b])
    equal(b.size("dtu.dk"), 1200, "size")
    # And the other way round: the origin restarts.
    a.stop()
    a.start()
    a.ok("import", "offers", offers(lab, 1200, 10), "--wait", "1")
    equal(b.size("dtu.dk"), 1210, "size")
    checks([a, b])


def test_catching_up_is_resumed_after_a_kill(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    b.stop()
    a.ok("import", "offers", offers(lab, 0, 30000), timeout=300)
    last = rounds = 0
    while last < 30000:
        check(rounds < 200, "it grows", last)
        rounds += 1
        b.start()
        size = b.size("dtu.dk")
        check(size >= last, "nothing that was verified is lost", last, size)
        time.sleep(lab.random.uniform(0, 0.1))
        last = b.size("dtu.dk")
        b.kill()
    b.start()
    in_sync([a, b])
    equal(b.size("dtu.dk"), 30000, "size")
    checks([b])


def test_a_log_is_relayed_while_its_member_is_away(lab):
    a, b, c = nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    in_sync(nodes)
    c.stop()
    a.ok("import", "offers", offers(lab, 0, 400), "--wait", "1")
    a.kill()
    c.start()
    until(lambda: c.size("dtu.dk") == 400, "c has a's log from b", 60)
    equal(c.head("dtu.dk"), b.head("dtu.dk"), "head")
    log = c.logs()["dtu.dk"]
    equal((log["needed"], log["frozen"]), (0, False))
    c.ok("log", "check", "dtu.dk")
    a.start()
    in_sync(nodes)


def test_a_partner_that_hangs_holds_up_nobody(lab):
    a, b, c = nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    os.kill(c.pid(), signal.SIGSTOP)
    try:
        start = time.monotonic()
        a.ok("import", "offers", offers(lab, 0, 3000), "--wait", "1",
             timeout=60)
        check(time.monotonic() - start < 50, "in time")
        equal(b.size("dtu.dk"), 3000, "at b")
    finally:
        os.kill(c.pid(), signal.SIGCONT)
    in_sync(nodes)
    nothing_frozen(nodes)


def test_waiting_for_partners_who_are_away_ends_with_a_clear_word(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    b.stop()
    r = a.run("import", "offers", offers(lab, 0, 10), "--wait", "1",
              "--wait-seconds", "2", timeout=60)
    check(r.code != 0, "it did not happen", r)
    check("hku.hk" in r.err or "partner" in r.err, "it says so", r)
    equal(a.size(), 10, "the records are in all the same")
    b.start()
    in_sync([a, b])


def files_of(node):
    for top, _, names in os.walk(node.dir):
        for name in names:
            path = os.path.join(top, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    yield path, f.read()


def test_bodies_reach_only_who_may_read_them(lab):
    """Canary strings: learners, and what was imported as own."""
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", lib.ndjson(lab, "public.ndjson", [
        lib.offer(1, "PublicCanary"), lib.offer(2)]))
    a.ok("import", "offers", lib.ndjson(lab, "members.ndjson", [
        lib.offer(3, "MembersCanary")]), "--audience", "members")
    a.ok("import", "offers", lib.ndjson(lab, "own.ndjson", [
        lib.offer(4, "OwnCanary")]), "--audience", "own")
    a.ok("import", "credentials", lib.ndjson(lab, "awards.ndjson", [
        lib.credential("dtu.dk", i, "C000001", f"PersonCanary{i}")
        for i in range(20)]))
    in_sync(nodes)
    shown = "\n".join(x.decode() for x in [b.ok("changes").out.encode()])
    for word in ("PublicCanary", "MembersCanary"):
        check(word in shown, f"{word} is readable at the partner")
    a.ok("log", "check")
    b.ok("log", "check")
    a.stop()
    b.stop()
    for path, data in files_of(b):
        for word in (b"OwnCanary", b"PersonCanary", b"Canary0", b":s000001"):
            check(word not in data, f"{word} is nowhere at the partner", path)
    for path, data in files_of(a):
        if "/data/" in path:
            for word in (b"OwnCanary", b"MembersCanary", b"PersonCanary"):
                check(word not in data, f"{word} is sealed at home, too", path)
    # Nor do messages and logs of operators name anybody.
    for n in nodes:
        for word in ("PersonCanary", "Canary0", ":s000001", "A000001"):
            check(word not in n.tail(1 << 20), f"{word} is in no log")


def test_an_audience_of_the_configuration_is_heeded(lab):
    a, b = nodes = [lab.node("dtu.dk"), lab.node("hku.hk")]
    for n in nodes:
        n.init()
    path = os.path.join(a.dir, "symbolon.yaml")
    with open(path) as f:
        text = f.read()
    check("#offers: public" in text, "the sample has the key")
    with open(path, "w") as f:
        f.write(text.replace("#offers: public", "offers: own"))
    alliance = lab.found(nodes)
    for n in nodes:
        n.ok("roster", "install", alliance)
        n.start(wait=False)
    in_touch(nodes)
    a.ok("import", "offers", lib.ndjson(lab, "o.ndjson", [
        lib.offer(1, "ConfiguredCanary")]))
    in_sync(nodes)
    equal(b.size("dtu.dk"), 1, "the leaf is there")
    check("ConfiguredCanary" not in b.ok("changes").out, "the body is not")


def test_changes_follow_what_comes_in(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 5), "--wait", "1")
    lines = b.ok("changes").lines()
    equal(len(lines), 5, "lines")
    cursor = lines[-1]["cursor"]
    equal(b.ok("changes", "--since", cursor).out, "", "nothing new")
    p = subprocess.Popen([lab.binary, "-C", b.dir, "changes", "--since", cursor,
                          "--follow"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, env=lab.env)
    try:
        a.ok("import", "offers", offers(lab, 5, 3, "more.ndjson"))
        got = [p.stdout.readline() for _ in range(3)]
        check(all(b'"C00000' in x for x in got), "the new lines", got)
        p.send_signal(signal.SIGINT)
        p.wait(20)
    finally:
        p.kill()
        p.wait()
    half = lines[2]["cursor"]
    equal(len(b.ok("changes", "--since", half).lines()), 5, "from the middle")
