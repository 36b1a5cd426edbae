"""Real nodes for end-to-end tests: start, stop, kill, ask, wait.

A Lab is one test's world: a directory of its own, free ports, nodes that are
ended by process id when the test is over. Nothing here waits by the clock:
`until` polls a condition up to a deadline and fails with what it last saw.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLE = os.path.join(TOP, "conf", "sample")

OK, FAILED, USAGE, UNREACHABLE, NOT_ALLOWED = 0, 1, 2, 3, 4
WARNING, CRITICAL, PARTLY, REFUSED = 5, 6, 7, 8

NAMES = {
    "dtu.dk": ("Technical University of Denmark", "DK"),
    "hku.hk": ("The University of Hong Kong", "HK"),
    "ntu.edu.sg": ("Nanyang Technological University", "SG"),
}


class Skip(Exception):
    """The test cannot run here; says why."""


class Failure(Exception):
    """What was promised does not hold."""


def check(condition, text, *details):
    if not condition:
        raise Failure("\n".join([text] + [str(d)[:4000] for d in details]))


def equal(got, want, text=""):
    check(got == want, f"{text}: got {got!r}, wanted {want!r}")


def until(condition, text, seconds=30, pause=0.05):
    """Poll until @condition gives something true; that is returned."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (Failure, OSError, ValueError) as e:
            last = e
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {text}\nlast: {last!r}"[:4000])
        time.sleep(pause)


def shared(path):
    """A file of the shared data; the test is skipped where it is absent."""
    base = os.environ.get("SYMBOLON_SHARED",
                          os.path.join(TOP, "..", "shared", "data"))
    full = os.path.join(base, path)
    if not os.path.exists(full):
        raise Skip("no shared data")
    return full


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Result:
    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __str__(self):
        return (f"$ {' '.join(self.argv)}\nexit {self.code}\n"
                f"out: {self.out[-3000:]}\nerr: {self.err[-3000:]}")

    def expect(self, code=OK, out=None, err=None):
        check(self.code == code, f"wanted exit {code}", self)
        if out is not None:
            check(out in self.out, f"wanted on standard output: {out}", self)
        if err is not None:
            check(err in self.err, f"wanted on standard error: {err}", self)
        return self

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise Failure(f"not JSON: {e}\n{self}") from e

    def lines(self):
        try:
            return [json.loads(x) for x in self.out.splitlines()]
        except ValueError as e:
            raise Failure(f"not JSON lines: {e}\n{self}") from e


class Node:
    """One member's node: its directory and, when it runs, its process."""

    def __init__(self, lab, member, name=None, country=None, directory=None,
                 port=None):
        known = NAMES.get(member, (f"University of {member}", "DK"))
        self.lab, self.member = lab, member
        self.name, self.country = name or known[0], country or known[1]
        self.dir = directory or lab.path(member)
        self.port = port or free_port()
        self.process = None
        self.log_start = 0
        self.log = self.dir.rstrip("/") + ".log"

    # ---- commands ----

    def run(self, *args, timeout=120, **kw):
        return self.lab.run("-C", self.dir, *args, timeout=timeout, **kw)

    def ok(self, *args, **kw):
        return self.run(*args, **kw).expect(OK)

    def init(self, *extra):
        return self.ok("init", "--member", self.member, "--name", self.name,
                       "--country", self.country, "--listen",
                       f"127.0.0.1:{self.port}", *extra)

    def card(self):
        path = self.lab.path(self.member + ".card")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.ok("card").out)
        return path

    def json(self, *args, **kw):
        return self.ok(*args, "--json", **kw).json()

    # ---- the process ----

    def start(self, *args, wait=True, binary=None, prefix=()):
        check(self.process is None, f"{self.member} runs already")
        out = open(self.log, "ab")
        self.log_start = out.tell()
        self.process = subprocess.Popen(
            [*prefix, binary or self.lab.binary, "-C", self.dir, "serve", *args],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=self.lab.env, start_new_session=True)
        out.close()
        self.lab.running.append(self)
        if wait:
            until(self.answers, f"{self.member} answers", 30)
        return self

    def answers(self):
        check(self.process.poll() is None,
              f"{self.member} ended with {self.process.returncode}", self.tail())
        # Not before it listens: a command would open the directory itself.
        with open(self.log, "rb") as f:
            f.seek(self.log_start)
            if b"listening on " not in f.read():
                return False
        return self.run("status", "--json").out.startswith("{")

    def pid(self):
        return self.process.pid

    def ended(self):
        process, self.process = self.process, None
        self.lab.running.remove(self)
        return process.returncode

    def stop(self, seconds=20):
        """A clean stop, which must be one."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.member} did not stop in {seconds} s\n"
                          + self.tail()) from None
        code = self.ended()
        check(code == 0, f"{self.member} stopped with {code}", self.tail())

    def kill(self):
        """As a power cut, but for what the kernel holds."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.ended()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def tail(self, n=4000):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f"--- log of {self.member}\n" + f.read()[-n:]
        except OSError:
            return ""

    # ---- what it says ----

    def status(self):
        r = self.run("status", "--json")
        check(r.code in (OK, UNREACHABLE, WARNING, CRITICAL), "status failed", r)
        return r.json()

    def logs(self):
        return {x["member"]: x for x in self.status()["logs"]}

    def size(self, member=None):
        log = self.logs().get(member or self.member)
        return log["size"] if log else 0

    def head(self, member=None):
        log = self.logs()[member or self.member]
        return log["size"], log["head"]

    def peers(self):
        return {x["member"]: x for x in self.status()["peers"]}

    def codes(self):
        """The health codes shown now."""
        return {h["code"] for h in self.status().get("health", [])}


class Lab:
    def __init__(self, options, fast=False):
        self.options = options
        self.binary = (options.fast_binary or options.binary) if fast \
            else options.binary
        self.binary = os.path.abspath(self.binary)
        self.top = tempfile.mkdtemp(prefix="symbolon-e2e-")
        self.running = []
        self.mounts = []
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("SYMBOLON_DIR", "NO_COLOR")}
        self.random = random.Random(options.seed)

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def write(self, name, text):
        path = self.path(name)
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(path, mode) as f:
            f.write(text)
        return path

    def run(self, *args, timeout=120, stdin=None, cwd=None, prefix=()):
        argv = [*prefix, self.binary, *map(str, args)]
        try:
            p = subprocess.run(
                argv, input=stdin, capture_output=True, timeout=timeout,
                env=self.env, cwd=cwd or self.top, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"no end within {timeout} s: {' '.join(argv)}\n"
                          f"{(e.stderr or b'')[-2000:]!r}") from None
        r = Result(["symbolon", *map(str, args)], p.returncode,
                   p.stdout.decode("utf-8", "replace"),
                   p.stderr.decode("utf-8", "replace"))
        check(r.code >= 0 and r.code not in (98, 99),
              "a sanitizer or a signal ended it", r)
        return r

    def ok(self, *args, **kw):
        return self.run(*args, **kw).expect(OK)

    def node(self, member, **kw):
        return Node(self, member, **kw)

    def alliance(self, *members, start=True, name="Test Alliance"):
        """Nodes of @members in one alliance, running and in touch."""
        nodes = [self.node(m) for m in members]
        for n in nodes:
            n.init()
        path = self.found(nodes, name)
        for n in nodes:
            n.ok("roster", "install", path)
        if start:
            for n in nodes:
                n.start(wait=False)
            for n in nodes:
                until(n.answers, f"{n.member} answers")
            in_touch(nodes)
        return nodes

    def found(self, nodes, name="Test Alliance"):
        cards = [n.card() for n in nodes]
        path = self.path("alliance")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.ok("roster", "found", name, *cards).out)
        for n in nodes:
            n.ok("roster", "sign", path)
        return path

    def logs(self):
        return "\n".join(n.tail() for n in self.running)

    def close(self, keep=False):
        for n in list(self.running):
            n.kill()
        for m in self.mounts:
            subprocess.run(["umount", m], check=False)
        if not keep:
            shutil.rmtree(self.top, ignore_errors=True)


# ---- the control socket, spoken here ----

def pack(v):
    """The canonical msgpack of what a RUN needs."""
    if isinstance(v, int):
        return bytes([v]) if v < 128 else \
            (b"\xcc" + bytes([v]) if v < 256 else b"\xcd" + v.to_bytes(2, "big"))
    if isinstance(v, bytes):
        return (b"\xc4" + bytes([len(v)]) if len(v) < 256 else
                b"\xc5" + len(v).to_bytes(2, "big")) + v
    head = bytes([0x90 | len(v)]) if len(v) < 16 else \
        b"\xdc" + len(v).to_bytes(2, "big")
    return head + b"".join(map(pack, v))


def unpack(b, i=0):
    t = b[i]
    if t < 0x80:
        return t, i + 1
    if t & 0xf0 == 0x90:
        out, i = [], i + 1
        for _ in range(t & 15):
            v, i = unpack(b, i)
            out.append(v)
        return out, i
    for tag, n, kind in ((0xcc, 1, int), (0xcd, 2, int), (0xce, 4, int),
                         (0xc4, 1, bytes), (0xc5, 2, bytes), (0xc6, 4, bytes)):
        if t == tag:
            size = int.from_bytes(b[i + 1:i + 1 + n], "big")
            i += 1 + n
            return (size, i) if kind is int else (b[i:i + size], i + size)
    raise ValueError(f"unexpected msgpack byte {t:#x}")


def ask(node, *argv):
    """Run a command in the node without a process: (exit code, JSON)."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(os.path.join(node.dir, "control.sock"))
        frame = pack([1, 1, [a.encode() for a in argv], 1, 80])
        s.sendall(len(frame).to_bytes(4, "big") + frame)
        out, buffer = b"", b""
        while True:
            while len(buffer) < 4 or \
                    len(buffer) < 4 + int.from_bytes(buffer[:4], "big"):
                more = s.recv(65536)
                check(more, "the node hung up", argv, buffer)
                buffer += more
            n = int.from_bytes(buffer[:4], "big")
            m, _ = unpack(buffer[4:4 + n])
            buffer = buffer[4 + n:]
            if m[0] in (17, 18):  # a file: there is none
                done = pack([3, 6, 0, b"no such file"])
                s.sendall(len(done).to_bytes(4, "big") + done)
            elif m[0] == 16 and m[1] == 1:
                out += m[2]
            elif m[0] == 16:
                raise Failure(f"{argv}: {m[2].decode()}")
            elif m[0] == 22:
                return m[1], json.loads(out)
            else:
                raise Failure(f"{argv}: unexpected frame {m[0]}")


# ---- conditions on several nodes ----

def in_touch(nodes, seconds=60):
    """Every node is linked to every other one."""
    def linked():
        for n in nodes:
            peers = n.peers()
            for other in nodes:
                if other is not n and (
                        other.member not in peers or
                        peers[other.member]["state"] not in LINKED):
                    return False
        return True
    until(linked, "all nodes are linked", seconds)


# States of a peer with a link that is up.
LINKED = ("up",)


def in_sync(nodes, seconds=120, members=None):
    """All hold the same heads of all logs, and need nothing."""
    members = members or [n.member for n in nodes]

    def same():
        views = [n.logs() for n in nodes]
        heads = []
        for m in members:
            got = {(v[m]["size"], v[m]["head"]) for v in views if m in v}
            if len(got) != 1 or any(m not in v for v in views):
                return False
            if any(v[m]["needed"] for v in views):
                return False
            heads.append(got.pop())
        return heads
    return until(same, "all nodes are in sync", seconds, 0.1)


def nothing_frozen(nodes):
    for n in nodes:
        for log in n.logs().values():
            check(not log["frozen"], f"{n.member}: the log of "
                  f"{log['member']} is frozen", log)


# ---- made-up records ----

def offer(i, title="Course", **more):
    return {"offer": f"C{i:06d}", "version": 1, "type": "course",
            "title": {"en": f"{title} {i}"}, "country": "DK", "ects": 5,
            "state": "published", **more}


def credential(member, i, offer_code, person="Clara", **more):
    return {"credential": f"A{i:06d}", "offer": offer_code, "offer_version": 1,
            "subject": {
                "id": f"urn:schac:personalUniqueCode:int:esi:{member}:s{i:06d}",
                "given_name": person, "family_name": f"Canary{i}",
                "birth_date": "2001-02-03"},
            "issued_on": "2025-02-01", "achieved_on": "2025-01-20", "ects": 5,
            "grade": {"value": "10", "scheme": "dk-7"}, **more}


def rule(i, issuer, code, target="X100", **more):
    return {"rule": f"r-{i}", "sources": [{"from": issuer, "codes": [code]}],
            "targets": [{"code": target, "title": f"Target {target}",
                         "match": "specific"}],
            "outcome": "full", "state": "active", "purposes": ["credit"],
            "title": {"en": "Course"}, **more}


def ndjson(lab, name, records):
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
    return lab.write(name, text.encode())
