"""A full disk is a clean refusal; reading goes on; room heals it."""

import os
import subprocess

import lib
from lib import check, equal, in_sync, until


def small_disk(lab, member, megabytes):
    if os.geteuid() != 0:
        raise lib.Skip("needs root to mount a small file system")
    path = lab.path("disk")
    os.mkdir(path)
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m",
                        "tmpfs", path], capture_output=True, check=False)
    if p.returncode != 0:
        raise lib.Skip("cannot mount a small file system here")
    lab.mounts.append(path)
    return lab.node(member, directory=os.path.join(path, member))


def fill(lab, leave_kb):
    path = lab.path("disk", "ballast")
    s = os.statvfs(lab.path("disk"))
    size = max(0, s.f_bavail * s.f_frsize - leave_kb * 1024)
    with open(path, "wb") as f:
        f.write(b"\0" * size)
    return path


def big(lab, name, first, count):
    return lib.ndjson(lab, name, [
        lib.offer(i, "x" * 400) for i in range(first, first + count)])


def test_a_full_disk_refuses_and_recovers(lab):
    n = small_disk(lab, "dtu.dk", 48)
    n.init()
    n.start()
    n.ok("import", "offers", big(lab, "a.ndjson", 0, 500))
    ballast = fill(lab, 300)
    size = n.size()
    r = n.run("import", "offers", big(lab, "b.ndjson", 1000, 20000), timeout=120)
    check(r.code in (lib.FAILED, lib.REFUSED, lib.PARTLY), "refused", r)
    check("room" in r.err or "full" in r.err or "space" in r.err, "why", r)
    # It runs on, and reads.
    n.ok("card")
    equal(len(n.ok("export", "offers").out.splitlines()), n.size(), "records")
    check(n.size() >= size, "nothing is lost")
    n.ok("log", "check")
    os.unlink(ballast)
    r = n.run("import", "offers", big(lab, "c.ndjson", 1000, 3000), "--json",
              timeout=120).expect(lib.OK)
    done = r.lines()[-1]
    equal(done["new"] + done["unchanged"], 3000, "all are in")
    n.ok("log", "check")
    n.stop()
    n.start()
    n.ok("log", "check")
    n.stop()


def test_a_replica_with_a_full_disk_waits_for_room(lab):
    b = small_disk(lab, "hku.hk", 48)
    a = lab.node("dtu.dk")
    for n in (a, b):
        n.init()
    alliance = lab.found([a, b])
    for n in (a, b):
        n.ok("roster", "install", alliance)
        n.start(wait=False)
    lib.in_touch([a, b])
    a.ok("import", "offers", big(lab, "a.ndjson", 0, 500), "--wait", "1")
    ballast = fill(lab, 300)
    a.ok("import", "offers", big(lab, "b.ndjson", 1000, 20000), timeout=120)
    until(lambda: "D-DISK-03" in b.codes() or b.logs()["dtu.dk"]["needed"],
          "it says what is wrong", 60)
    b.ok("card")
    b.ok("log", "check")
    check(b.size("dtu.dk") >= 500, "nothing is lost")
    os.unlink(ballast)
    in_sync([a, b], 120)
    equal(b.size("dtu.dk"), 20500, "all is there")
    b.ok("log", "check", timeout=120)


def test_an_init_on_a_full_disk_leaves_nothing(lab):
    n = small_disk(lab, "dtu.dk", 4)
    ballast = fill(lab, 24)
    r = n.run("init", "--member", "dtu.dk", "--name", "DTU", "--country", "DK",
              "--listen", "127.0.0.1:7410")
    check(r.code == lib.FAILED and r.err, "refused", r)
    os.unlink(ballast)
    n.init()
    n.ok("card")
