"""Alliances are founded by people; the program checks what they do."""

import os
import re
import subprocess

import lib
from lib import check, equal, in_sync, in_touch, until


def blocks(lab):
    """The shell blocks of the README: (side, words behind it, text)."""
    with open(os.path.join(lib.TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"<!-- block: (\w+)([^>]*) -->\s*```sh\n(.*?)```", text,
                       re.S)
    check(len(found) >= 8, "the README has the blocks of the first set-up")
    return found


def test_the_ten_minutes_of_the_readme_work_as_written(lab):
    work = lab.path("work")
    os.mkdir(work)
    os.symlink(os.path.join(lib.TOP, "conf"), os.path.join(work, "conf"))
    os.mkdir(lab.path("bin"))
    os.symlink(lab.binary, lab.path("bin", "symbolon"))
    env = {**lab.env, "PATH": lab.path("bin") + ":" + os.environ["PATH"]}
    ports = {"fjordby": lib.free_port(), "lindenau": lib.free_port()}
    # One machine stands for two: directories and addresses differ.
    def local(side, text):
        text = text.replace("/var/lib/symbolon", lab.path(side))
        text = text.replace("0.0.0.0:7410", f"127.0.0.1:{ports[side]}")
        for name, port in ports.items():
            text = text.replace(f"symbolon.{name}.example:7410",
                                f"127.0.0.1:{port}")
        return text
    nodes = []
    for side, words, text in blocks(lab):
        text = local(side, text)
        if "background" in words:
            n = lab.node(f"{side}.example", directory=lab.path(side),
                         port=ports[side])
            check(text.split() == ["symbolon", "-C", lab.path(side), "serve"],
                  "a background block serves", text)
            nodes.append(n.start())
            continue
        def run():
            p = subprocess.run(["sh", "-e", "-c", text], cwd=work, env=env,
                               capture_output=True, timeout=120, check=False)
            lab.last = (p.returncode, p.stdout.decode(), p.stderr.decode())
            return p.returncode == 0
        if "wait" in words:
            until(run, f"this block of the README ends well:\n{text}", 30)
        else:
            check(run(), f"this block of the README ends well:\n{text}",
                  lab.last)
    for n in nodes:
        n.stop()


def examples():
    """The examples of the README's table of commands, as they are printed."""
    with open(os.path.join(lib.TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    table = re.search(r"^\| command \| example.*?\n\n", text, re.S | re.M).group()
    found = re.findall(r"^\|[^|]*\| `(symbolon .*?)` \|", table, re.M)
    check(len(found) >= 16, "the README has a table of examples", found)
    return found


def stage(lab):
    """What the examples speak of: two nodes and the files they name."""
    a, b = lab.alliance("dtu.dk", "hku.hk")
    offer, credential = lib.offer(1), "DTU-2024-006432"
    offer["offer"] = "02170"
    a.ok("import", "offers", lib.ndjson(lab, "o.ndjson", [offer]))
    lab.write("awards.csv",
              "credential,offer,offer_version,subject_id,given_name,"
              "family_name,birth_date,issued_on,achieved_on,ects,grade,"
              "grade_scheme\n" + credential + ",02170,1,urn:schac:"
              "personalUniqueCode:int:esi:dtu.dk:s1,Clara,Schmidt,1999-07-27,"
              "2024-01-20,2024-01-20,5,10,dk-7\n")
    a.ok("import", "credentials", lab.path("awards.csv"))
    in_sync([a, b])
    lab.write("learner.proof", a.ok("log", "proof", credential,
                                    "--disclose").out)
    os.rename(lab.path("alliance"), lab.path("baltic.alliance"))
    cursor = a.ok("changes").lines()[0]["cursor"]
    return a, [(" ID", " " + credential), ("CURSOR", cursor),
               ("undo 7", "undo 2"), ("> dtu.card", "> dtu.dk.card"),
               ("> baltic.alliance", "> other.alliance")]


def test_every_example_of_the_command_table_works_as_written(lab):
    a, words = stage(lab)
    os.mkdir(lab.path("bin"))
    os.symlink(lab.binary, lab.path("bin", "symbolon"))
    env = {**lab.env, "PATH": lab.path("bin") + ":" + os.environ["PATH"]}
    last = ("undo", "revoke")
    for text in sorted(examples(), key=lambda x: any(w in x for w in last)):
        place = a.dir
        if " init " in text:
            place = lab.path("new")
        for old, new in words:
            text = text.replace(old, new)
        text = text.replace("-C DIR", "-C " + place)
        if " serve" in text:
            a.stop()
        endless = re.search(r" serve| --watch| --follow", text)
        if endless: # until somebody interrupts it
            text = "timeout -s INT 2 " + text
        p = subprocess.run(["sh", "-c", text], cwd=lab.top, env=env,
                           capture_output=True, timeout=60, check=False)
        check(p.returncode == (124 if endless else 0), f"works: {text}",
              p.returncode, p.stdout, p.stderr)
        if " serve" in text:
            check(b"listening on" in p.stdout, "it serves", p.stdout)
            a.start()


def test_two_universities_meet(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    in_sync([a, b])
    equal(a.status()["alliance"]["name"], "Test Alliance")
    equal(a.status()["alliance"]["id"], b.status()["alliance"]["id"], "id")
    a.ok("peer", "test", "hku.hk")
    listed = b.ok("peer", "list", "--json").json()["peers"]
    equal([(p["member"], p["state"]) for p in listed], [("dtu.dk", "up")])
    a.stop()
    until(lambda: b.peers()["dtu.dk"]["state"] != "up", "b sees a go")
    a.start()
    in_touch([a, b])
    a.stop()
    b.stop()


def test_an_alliance_needs_every_founders_signature(lab):
    nodes = [lab.node(m) for m in ("dtu.dk", "hku.hk", "ntu.edu.sg")]
    for n in nodes:
        n.init()
    path = lab.path("alliance")
    with open(path, "w") as f:
        f.write(lab.ok("roster", "found", "Three", *[n.card() for n in nodes]
                       ).out)
    doc = lab.ok("roster", "show", path, "--json").json()
    equal((doc["version"], doc["threshold"], doc["complete"]), (1, 3, False))
    for n in nodes[:2]:
        n.ok("roster", "sign", path)
        n.run("roster", "install", path).expect(
            lib.NOT_ALLOWED, err="signatures are missing")
    r = lab.ok("roster", "show", path)
    check("ntu.edu.sg" in r.out.split("not yet")[1].split("\n")[0],
          "who is missing is named", r)
    nodes[2].ok("roster", "sign", path)
    again = nodes[2].ok("roster", "sign", path)
    check("already" in again.err, "signing twice changes nothing", again)
    doc = lab.ok("roster", "show", path, "--json").json()
    equal(doc["complete"], True)
    equal([m["signed"] for m in doc["members"]], [True] * 3)
    for n in nodes:
        n.ok("roster", "install", path)
        r = n.ok("roster", "install", path)
        check("already" in r.err, "installing twice changes nothing", r)


def test_fingerprints_that_were_heard_are_compared(lab):
    a, b = lab.node("dtu.dk"), lab.node("hku.hk")
    fa = a.init("--json").json()["governance"]
    b.init()
    path = lab.path("alliance")
    with open(path, "w") as f:
        f.write(lab.ok("roster", "found", "Two", a.card(), b.card()).out)
    with open(path) as f:
        before = f.read()
    wrong = ("0" if fa[0] != "0" else "1") + fa[1:]
    for verb in ("show", "sign"):
        b.run("roster", verb, path, "--expect", wrong).expect(
            lib.NOT_ALLOWED, err="nobody's")
    with open(path) as f:
        equal(f.read(), before, "the file")
    # As it is typed from the telephone.
    for typed in (fa, fa.upper(), fa.replace("-", ""), fa.replace("-", " ")):
        r = b.ok("roster", "show", path, "--expect", typed)
        check("that of dtu.dk" in r.err, "whose it is", r)
    b.ok("roster", "sign", path, f"--expect={fa}")
    check(fa in b.run("roster", "sign", path).err or
          fa in lab.ok("roster", "show", path).out, "fingerprints are shown")


def test_an_alliance_file_that_was_altered_is_refused(lab):
    nodes = [lab.node("dtu.dk"), lab.node("hku.hk")]
    for n in nodes:
        n.init()
    path = lab.found(nodes)
    with open(path) as f:
        text = f.read()
    cases = [("version 1", "version 2"), ("threshold 2", "threshold 1"),
             ("alliance Test", "alliance Best"), ("hku.hk active", "hku.hk learner"),
             ("127.0.0.1", "127.0.0.2"), ("symbolon-alliance v1", "symbolon-alliance v2"),
             ("country HK", "country HX")]
    for old, new in cases:
        if old not in text:
            old = "country DK" if old.startswith("country") else old
            new = "country DX" if new.startswith("country") else new
        check(old in text, f"{old} is in the file", text)
        other = lab.write("altered", text.replace(old, new, 1))
        r = nodes[0].run("roster", "install", other)
        check(r.code in (lib.FAILED, lib.NOT_ALLOWED), f"{old} -> {new}", r)
        check("altered" in r.err, "the file is named", r)
    for n in range(0, len(text) - 1, 97):
        r = lab.run("roster", "show", lab.write("cut", text[:n]))
        check(r.code == lib.FAILED and r.err, f"cut at {n}", r)
    equal(nodes[0].status().get("alliance"), None, "nothing was installed")


def test_a_stranger_cannot_sign_or_install(lab):
    nodes = [lab.node("dtu.dk"), lab.node("hku.hk")]
    stranger = lab.node("ntu.edu.sg")
    twin = lab.node("dtu.dk", directory=lab.path("twin"))
    for n in (*nodes, stranger, twin):
        n.init()
    path = lab.found(nodes)
    stranger.run("roster", "sign", path).expect(
        lib.NOT_ALLOWED, err="no member")
    stranger.run("roster", "install", path).expect(
        lib.NOT_ALLOWED, err="no member")
    twin.run("roster", "sign", path).expect(
        lib.NOT_ALLOWED, err="another governance key")
    lab.run("roster", "found", "Twins", nodes[0].card(), twin.card()).expect(
        lib.FAILED, err="two cards of one member")


def test_a_node_joins_one_alliance_only(lab):
    a, b, c = [lab.node(m) for m in ("dtu.dk", "hku.hk", "ntu.edu.sg")]
    for n in (a, b, c):
        n.init()
    a.ok("roster", "install", lab.found([a, b]))
    other = lab.path("other")
    with open(other, "w") as f:
        f.write(lab.ok("roster", "found", "Other", a.card(), c.card()).out)
    r = a.run("roster", "sign", other)
    check(r.code == lib.FAILED and "installed here already" in r.err, "why", r)


def test_a_fourth_university_is_added_while_all_run(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    a = nodes[0]
    a.ok("import", "offers",
         lib.ndjson(lab, "offers.ndjson", [lib.offer(i) for i in range(50)]))
    in_sync(nodes)
    fourth = lab.node("ku.example", name="Fourth", country="SE")
    fourth.init()
    new = lab.path("alliance-2")
    with open(new, "w") as f:
        f.write(lab.ok("roster", "add", lab.path("alliance"), fourth.card()
                       ).out)
    doc = lab.ok("roster", "show", new, "--json").json()
    equal((doc["version"], doc["threshold"], len(doc["members"])), (2, 3, 4))
    # Too few signatures: refused, whoever asks.
    for n in nodes[:2]:
        n.ok("roster", "sign", new)
    a.run("roster", "install", new).expect(lib.NOT_ALLOWED)
    nodes[2].ok("roster", "sign", new)
    # One old member installs it; the nodes pass it on.
    a.ok("roster", "install", new)
    fourth.ok("roster", "install", new)
    fourth.start()
    everyone = [*nodes, fourth]
    in_touch(everyone)
    in_sync(everyone)
    for n in everyone:
        equal(n.status()["alliance"]["version"], 2, n.member)
    equal(fourth.size("dtu.dk"), 50, "records of dtu.dk at the fourth")
    # And what it brings in reaches the old ones.
    fourth.ok("import", "offers", lib.ndjson(
        lab, "more.ndjson", [lib.offer(i) for i in range(7)]))
    in_sync(everyone)
    for n in everyone:
        equal(n.size("ku.example"), 7, n.member)
        n.stop()


def test_one_vote_a_member_and_version(lab):
    nodes = [lab.node("dtu.dk"), lab.node("hku.hk")]
    for n in nodes:
        n.init()
    path = lab.found(nodes)
    for n in nodes:
        n.ok("roster", "install", path)
    x, y = lab.node("x.example"), lab.node("y.example")
    files = []
    for n in (x, y):
        n.init()
        files.append(lab.path(n.member + ".alliance"))
        with open(files[-1], "w") as f:
            f.write(lab.ok("roster", "add", path, n.card()).out)
    a = nodes[0]
    a.ok("roster", "sign", files[0])
    r = a.run("roster", "sign", files[1])
    check(r.code != 0 and "another roster of version 2" in r.err, "why", r)
    a.ok("roster", "sign", files[1], "--again")
