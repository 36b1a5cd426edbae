"""The command line as a stranger meets it; no node runs unless it says so."""

import os
import re
import shutil
import socket
import stat
import subprocess
import threading

import lib
from lib import check, equal


def test_the_overview_lists_every_command_and_ends_with_usage(lab):
    r = lab.run().expect(lib.USAGE)
    equal(r.out, "", "standard output")
    shown = lab.ok("--help").out
    equal(shown, r.err, "the same overview")
    for name in ("init", "card", "roster", "serve", "status", "import",
                 "recognise", "credential", "export", "changes", "log", "peer",
                 "verify", "help"):
        check(f"\n  {name} " in shown, f"{name} is listed", shown)


def test_every_command_has_help_that_names_it(lab):
    for c in lab.ok("help", "--json").json()["commands"]:
        name = c["name"]
        text = lab.ok("help", name).out
        equal(lab.ok(name, "--help").out, text, f"{name} --help")
        check(text.startswith("usage: symbolon "), "usage first", text)
        check(c["summary"] in text and "\nExample\n" in text, name, text)


def test_the_version_is_one_line(lab):
    r = lab.ok("--version")
    check(r.out.startswith("symbolon ") and r.out.count("\n") == 1, "line", r)


def test_wrong_words_get_the_nearest_right_one(lab):
    lab.run("rooster").expect(lib.USAGE, err="did you mean roster?")
    lab.run("init", "--membre", "x").expect(lib.USAGE, err="--member")
    lab.run("help", "crad").expect(lib.USAGE, err="did you mean card?")
    lab.run("--jsno", "card").expect(lib.USAGE, err="unknown option --jsno")
    lab.run("card", "-C", "x").expect(lib.USAGE, err="before the command")
    lab.run("-C").expect(lib.USAGE, err="needs a directory")
    r = lab.run("card", "one", "two", "--json").expect(lib.FAILED)
    check("symbolon.yaml" in r.err, "no node here", r)


def test_a_directory_without_node_is_told_with_the_cure(lab):
    lab.run("-C", lab.path("nowhere"), "card").expect(lib.FAILED, err="nowhere")
    os.mkdir(lab.path("empty"))
    lab.run("-C", lab.path("empty"), "card").expect(
        lib.FAILED, err="symbolon init")


def test_init_makes_a_private_node_and_says_what_is_next(lab):
    n = lab.node("dtu.dk")
    r = n.init("--contact", "federation@dtu.dk")
    for word in ("dtu.dk/symbolon/1", "governance", "symbolon.yaml", "roster",
                 "Next"):
        check(word in r.out, word, r)
    equal(stat.S_IMODE(os.stat(n.dir).st_mode), 0o700, "mode of DIR")
    for top, _, files in os.walk(os.path.join(n.dir, "keys")):
        for f in files:
            if f.endswith(".key"):
                equal(stat.S_IMODE(os.stat(os.path.join(top, f)).st_mode),
                      0o600, f)
    check(not os.path.exists(os.path.join(n.dir, ".init")), "nothing aside")
    card = n.ok("card").out
    check(card.startswith("symbolon-card v1\nmember dtu.dk\n"), "card", card)
    check("contact federation@dtu.dk\n" in card, "contact", card)
    # The configuration is the sample, with these values.
    with open(os.path.join(lib.TOP, "conf/symbolon.yaml.sample")) as f:
        sample = f.read().splitlines()
    with open(os.path.join(n.dir, "symbolon.yaml")) as f:
        made = f.read().splitlines()
    equal(len(made), len(sample), "lines")
    equal(made[0], sample[0], "first line")
    check('member: "dtu.dk"' in made, "member", made)


def test_init_answers_programs_in_json(lab):
    n = lab.node("dtu.dk")
    doc = n.init("--json").json()
    equal((doc["v"], doc["member"], doc["origin"]),
          (1, "dtu.dk", "dtu.dk/symbolon/1"))
    equal(len(doc["governance"].split("-")), 16, "fingerprint")
    card = n.json("card")
    equal(card["governance"], doc["governance"], "the same key")


def test_init_names_what_is_wrong_with_each_option(lab):
    good = {"--member": "dtu.dk", "--name": "DTU", "--country": "DK",
            "--listen": "127.0.0.1:7410"}
    bad = [("--member", "DTU", "lower case"), ("--member", "", "--member"),
           ("--name", "a\x1bb", "control"), ("--country", "Denmark", "capital"),
           ("--listen", "7410", "HOST:PORT"), ("--listen", "h:0", "HOST:PORT"),
           ("--endpoint", "h", "HOST:PORT"), ("--contact", "me", "mailbox")]
    for option, value, word in bad:
        args = [x for o, v in {**good, option: value}.items() for x in (o, v)]
        r = lab.run("-C", lab.path("n"), "init", *args)
        r.expect(lib.USAGE, err=word)
        check(option in r.err, "the option is named", r)
    for option in good:
        args = [x for o, v in good.items() if o != option for x in (o, v)]
        lab.run("-C", lab.path("n"), "init", *args).expect(
            lib.USAGE, err=f"{option} is missing")
    check(not os.path.exists(lab.path("n")), "nothing was made")


def test_init_never_makes_keys_twice(lab):
    n = lab.node("dtu.dk")
    n.init()
    card = n.ok("card").out
    n.run("init", "--member", "dtu.dk", "--name", "x", "--country", "DK",
          "--listen", "127.0.0.1:1").expect(lib.FAILED, err="a node already")
    equal(n.ok("card").out, card, "the card")
    # Keys without configuration are somebody's: they stay.
    os.rename(os.path.join(n.dir, "symbolon.yaml"), lab.path("kept.yaml"))
    n.run("init", "--member", "dtu.dk", "--name", "x", "--country", "DK",
          "--listen", "127.0.0.1:1").expect(lib.FAILED, err="no symbolon.yaml")
    os.rename(lab.path("kept.yaml"), os.path.join(n.dir, "symbolon.yaml"))
    equal(n.ok("card").out, card, "the card")


def test_an_init_killed_at_any_moment_never_blocks_the_next(lab):
    n = lab.node("dtu.dk")
    argv = [lab.binary, "-C", n.dir, "init", "--member", "dtu.dk", "--name",
            "DTU", "--country", "DK", "--listen", f"127.0.0.1:{n.port}"]
    done = 0
    for i in range(40):
        p = subprocess.Popen(argv, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, env=lab.env)
        timer = threading.Timer(lab.random.uniform(0, 0.25), p.kill)
        timer.start()
        out = p.communicate()[0].decode()
        timer.cancel()
        there = os.path.exists(os.path.join(n.dir, "symbolon.yaml"))
        if p.returncode == 0:
            done += 1
        check(p.returncode in (0, -9), f"round {i}", p.returncode, out)
        if there:
            n.ok("card")
            subprocess.run(["rm", "-rf", n.dir], check=True)
    n.init()
    n.ok("card")


def test_moved_out_pieces_of_a_killed_init_are_cleared(lab):
    """What a kill between two renames leaves: keys outside, the rest aside."""
    n = lab.node("dtu.dk")
    n.init()
    aside = os.path.join(n.dir, ".init")
    os.mkdir(aside)
    for part in ("data", "symbolon.yaml"):
        os.rename(os.path.join(n.dir, part), os.path.join(aside, part))
    n.init()
    n.ok("card")
    check(not os.path.exists(aside), "nothing aside")


def test_two_commands_on_one_directory_wait_for_each_other(lab):
    n = lab.node("dtu.dk")
    n.init()
    results = []
    threads = [threading.Thread(target=lambda: results.append(n.run("card")))
               for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results:
        r.expect(lib.OK)


def test_a_lock_held_by_a_silent_process_is_told(lab):
    n = lab.node("dtu.dk")
    n.init()
    holder = subprocess.Popen(
        ["flock", os.path.join(n.dir, "data", "lock"), "sleep", "60"])
    try:
        lib.until(lambda: subprocess.run(
            ["flock", "-n", os.path.join(n.dir, "data", "lock"), "true"],
            check=False).returncode != 0, "the lock is held")
        n.run("card", timeout=40).expect(lib.UNREACHABLE, err="in use")
    finally:
        subprocess.run(["pkill", "-P", str(holder.pid)], check=False)
        holder.kill()
        holder.wait()


def test_the_directory_comes_from_the_environment_too(lab):
    n = lab.node("dtu.dk")
    n.init()
    lab.env["SYMBOLON_DIR"] = n.dir
    card = lab.ok("card").out
    del lab.env["SYMBOLON_DIR"]
    equal(lab.ok("card", cwd=n.dir).out, card, "from the current directory")


def test_a_wrong_configuration_names_line_and_column(lab):
    n = lab.node("dtu.dk")
    n.init()
    path = os.path.join(n.dir, "symbolon.yaml")
    with open(path, "a") as f:
        f.write("colour: blue\n")
    with open(path) as f:
        line = len(f.readlines())
    r = n.run("card").expect(lib.FAILED)
    check(f"symbolon.yaml:{line}:1: unknown key 'colour'" in r.err, "place", r)


def test_a_key_file_that_others_can_read_is_refused(lab):
    n = lab.node("dtu.dk")
    n.init()
    os.chmod(os.path.join(n.dir, "keys", "log.key"), 0o640)
    n.run("card").expect(lib.NOT_ALLOWED, err="chmod")


def test_commands_work_in_the_running_node_as_without_it(lab):
    n = lab.node("dtu.dk")
    n.init()
    card = n.ok("card").out
    n.start()
    equal(n.ok("card").out, card, "the card")
    status = n.status()
    equal((status["member"], status["running"]), ("dtu.dk", True))
    n.stop()
    equal(n.ok("card").out, card, "the card")
    equal(n.status()["running"], False, "running")


def test_a_very_long_path_serves_commands_too(lab):
    long = lab.path("d" * 120)
    n = lab.node("dtu.dk", directory=long)
    n.init()
    n.start()
    check(n.ok("card").out.startswith("symbolon-card"), "card")
    n.stop()


def test_a_second_node_on_one_directory_is_refused(lab):
    n = lab.node("dtu.dk")
    n.init()
    n.start()
    r = n.run("serve", timeout=40)
    check(r.code in (lib.FAILED, lib.UNREACHABLE), "refused", r)
    check("another process" in r.err or "in use" in r.err, "why", r)
    n.ok("card")
    n.stop()


def test_a_reload_is_whole_or_not_at_all(lab):
    n = lab.node("dtu.dk")
    n.init()
    n.start()
    path = os.path.join(n.dir, "symbolon.yaml")
    with open(path) as f:
        good = f.read()
    with open(path, "w") as f:
        f.write(good.replace("#log_level: info", "log_level: loud"))
    n.reload()
    lib.until(lambda: "C-RELOAD-01" in n.codes(), "the failed reload is shown")
    n.ok("card")
    with open(path, "w") as f:
        f.write(good)
    n.reload()
    lib.until(lambda: "C-RELOAD-01" not in n.codes(), "all is well again")
    n.stop()


def test_output_that_nobody_reads_is_no_success(lab):
    n = lab.node("dtu.dk")
    n.init()
    with open("/dev/full", "wb") as full:
        p = subprocess.run([lab.binary, "-C", n.dir, "card"], stdout=full,
                           stderr=subprocess.PIPE, env=lab.env, check=False)
    equal(p.returncode, lib.FAILED, "exit status")


def test_systemd_is_told_of_start_reload_and_stop(lab):
    n = lab.node("dtu.dk")
    n.init()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(lab.path("notify"))
        s.settimeout(20)
        lab.env["NOTIFY_SOCKET"] = lab.path("notify")
        n.start()
        equal(s.recv(100), b"READY=1")
        n.reload()
        check(re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", s.recv(100)),
              "a reload begins, with its time")
        equal(s.recv(100), b"READY=1")
        n.stop()
        equal(s.recv(100), b"STOPPING=1")


def test_an_installation_follows_the_prefix(lab):
    to = lab.path("root")
    subprocess.run(
        ["make", "-s", "-o", "all", "install", "DESTDIR=" + to, "PREFIX=/usr",
         "O=" + os.path.dirname(lab.binary)],
        cwd=lib.TOP, check=True, capture_output=True)
    unit = to + "/usr/lib/systemd/system/symbolon.service"
    with open(unit, encoding="utf-8") as f:
        check("\nExecStart=/usr/bin/symbolon -C " in f.read(), "ExecStart")
    for path in ("bin/symbolon", "share/man/man1/symbolon.1",
                 "lib/sysusers.d/symbolon.conf",
                 "share/doc/symbolon/symbolon.yaml.sample"):
        check(os.path.isfile(os.path.join(to, "usr", path)), path)
    if shutil.which("systemd-analyze"):
        p = subprocess.run(["systemd-analyze", "security", "--offline=true",
                            "--threshold=15", unit], capture_output=True,
                           check=False)
        check(p.returncode == 0, "exposure of at most 1.5", p.stdout)
