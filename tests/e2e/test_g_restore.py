"""An old copy of a node's directory never signs a second history."""

import os
import shutil
import subprocess

import lib
from lib import check, equal, in_sync, in_touch, nothing_frozen, until


def offers(lab, first, count):
    return lib.ndjson(lab, f"o{first}.ndjson", [
        lib.offer(i) for i in range(first, first + count)])


def copy(node, name):
    """As a backup tool would: another inode for every file."""
    target = node.lab.path(name)
    subprocess.run(["cp", "-a", node.dir, target], check=True)
    return target


def put_back(node, saved):
    shutil.rmtree(node.dir)
    subprocess.run(["cp", "-a", saved, node.dir], check=True)


def proof(node, code):
    return node.run("log", "proof", code, "--kind", "offer")


def test_an_old_copy_is_brought_up_to_date_by_its_partners_before_it_signs(lab):
    a, b, c = nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    a.ok("import", "offers", offers(lab, 0, 200), "--wait", "2")
    a.stop()
    saved = copy(a, "saved")
    a.start()
    in_touch(nodes)
    a.ok("import", "offers", offers(lab, 200, 300), "--wait", "2")
    head = a.head()
    a.kill()
    put_back(a, saved)
    a.start()
    # All that was ever acknowledged is there again before anything new.
    until(lambda: a.size() == 500, "the own log is fetched from partners", 60)
    a.ok("import", "offers", offers(lab, 500, 50), "--wait", "2", timeout=120)
    equal(a.size(), 550, "size")
    in_sync(nodes)
    nothing_frozen(nodes)
    check(a.head() != head, "the log went on")
    for n in nodes:
        n.ok("log", "check", "dtu.dk")
    # The bodies of its own came back, too: what it exports is complete.
    equal(len(a.ok("export", "offers").out.splitlines()), 550, "own records")


def test_an_old_copy_alone_does_not_sign(lab):
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 100), "--wait", "1")
    a.stop()
    saved = copy(a, "saved")
    a.start()
    a.ok("import", "offers", offers(lab, 100, 100), "--wait", "1")
    head = b.head("dtu.dk")
    a.stop()
    b.stop()
    put_back(a, saved)
    a.start()
    r = a.run("import", "offers", offers(lab, 900, 10), timeout=60)
    check(r.code in (lib.REFUSED, lib.NOT_ALLOWED, lib.FAILED), "refused", r)
    check("hku.hk" in r.err, "the partners awaited are named", r)
    until(lambda: a.status()["signing"] == "recovering", "it says so", 30)
    equal(a.size(), 100, "nothing was added")
    # Reading goes on.
    equal(len(a.ok("export", "offers").out.splitlines()), 100, "records")
    # The same without a running node.
    a.stop()
    r = a.run("import", "offers", offers(lab, 900, 10))
    check(r.code != lib.OK, "refused", r)
    equal(a.size(), 100, "nothing was added")
    # The partner comes back: so does the rest, and it signs again.
    b.start()
    a.start()
    until(lambda: a.size() == 200, "the own log is back", 60)
    equal(b.head("dtu.dk"), head, "the head that was signed")
    a.ok("import", "offers", offers(lab, 900, 10), "--wait", "1", timeout=60)
    in_sync(nodes)
    nothing_frozen(nodes)


def test_who_overrides_is_found_out(lab):
    """serve --sign-alone on an old copy makes a fork, which is proved."""
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 100), "--wait", "1")
    a.stop()
    saved = copy(a, "saved")
    a.start()
    a.ok("import", "offers", offers(lab, 100, 100), "--wait", "1")
    a.stop()
    b.stop()
    put_back(a, saved)
    a.start("--sign-alone")
    a.ok("import", "offers", offers(lab, 900, 250))
    b.start()
    until(lambda: b.logs()["dtu.dk"]["frozen"], "b has frozen the log", 60)
    check("S-FORK-03" in b.codes(), "and says why", b.status())
    equal(b.size("dtu.dk"), 200, "b keeps what it had verified")
    b.ok("log", "check", "dtu.dk")


def test_a_store_without_its_guard_is_a_restored_copy(lab):
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 50), "--wait", "1")
    a.stop()
    b.stop()
    os.unlink(os.path.join(a.dir, "data", "guard"))
    a.start()
    r = a.run("import", "offers", offers(lab, 50, 5), timeout=60)
    check(r.code != lib.OK, "refused", r)
    b.start()
    until(lambda: a.status()["signing"] == "allowed", "b confirms", 60)
    a.ok("import", "offers", offers(lab, 50, 5), "--wait", "1", timeout=60)
    in_sync(nodes)


def test_a_node_that_lost_its_data_gets_its_own_log_back(lab):
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", offers(lab, 0, 120), "--wait", "1")
    head = a.head()
    a.stop()
    shutil.rmtree(os.path.join(a.dir, "data"))
    # Keys and configuration are there; the alliance is installed again.
    r = a.run("roster", "install", lab.path("alliance"))
    r.expect(lib.OK)
    a.start()
    until(lambda: a.size() == 120, "the own log is back", 60)
    until(lambda: a.head() == head, "the same head", 30)
    a.ok("import", "offers", offers(lab, 120, 5), "--wait", "1", timeout=60)
    in_sync(nodes)
    nothing_frozen(nodes)
