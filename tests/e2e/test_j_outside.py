"""What leaves a node verifies with software that nobody here wrote: SHA-256
from Python, Ed25519 from the openssl command, and the C2SP texts."""

import base64
import hashlib
import hmac
import re
import subprocess

import lib
from lib import check, equal

DASH = "\u2014"


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- C2SP signed-note, tlog-cosignature ----

def vkey(text):
    """name+hash+key: (name, key id, type, public key); the id is checked."""
    name, rest = text.split("+", 1)
    digits, key = rest.split("+", 1)
    raw = base64.b64decode(key, validate=True)
    equal(sha(name.encode(), b"\n", raw)[:4].hex(), digits, "key id")
    return name, bytes.fromhex(digits), raw[0], raw[1:]


def ed25519(lab, public, message, signature):
    der = bytes.fromhex("302a300506032b6570032100") + public
    pem = lab.write("pub.pem", "-----BEGIN PUBLIC KEY-----\n" +
                    base64.b64encode(der).decode() +
                    "\n-----END PUBLIC KEY-----\n")
    p = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin",
         "-in", lab.write("message", message),
         "-sigfile", lab.write("signature", signature)],
        capture_output=True, check=False)
    return p.returncode == 0


def signed(lab, note, key):
    """Is @note signed by @key? Its time, for a cosignature."""
    text, sigs = note.rsplit("\n\n", 1)
    text += "\n"
    name, ident, kind, public = key
    for line in sigs.splitlines():
        m = re.fullmatch(f"{DASH} (\\S+) (\\S+)", line)
        check(m, "a signature line", line)
        raw = base64.b64decode(m.group(2), validate=True)
        if m.group(1) != name or raw[:4] != ident:
            continue
        if kind == 1:
            return ed25519(lab, public, text.encode(), raw[4:]) and True
        equal(kind, 4, "type")
        time = int.from_bytes(raw[4:12], "big")
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        return ed25519(lab, public, message, raw[12:]) and time
    return False


# ---- RFC 6962 ----

def root_of(leaf, index, size, path):
    """RFC 9162 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        check(sn != 0, "the path is too long")
        if fn & 1 or fn == sn:
            r = sha(b"\x01", p, r)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            r = sha(b"\x01", r, p)
        fn >>= 1
        sn >>= 1
    equal(sn, 0, "the path is complete")
    return r


# ---- C2SP tlog-proof ----

def parse_proof(text):
    head, checkpoint = text.split("\n\n", 1)
    lines = head.splitlines()
    equal(lines[0], "c2sp.org/tlog-proof@v1", "first line")
    extra, i = None, 1
    if lines[i].startswith("extra "):
        extra = base64.b64decode(lines[i][6:])
        i += 1
    check(lines[i].startswith("index "), "index", lines)
    index = int(lines[i][6:])
    path = [base64.b64decode(x, validate=True) for x in lines[i + 1:]]
    return extra, index, path, checkpoint


def keys_of(card):
    keys = {}
    for line in card.splitlines():
        words = line.split(" ")
        if words[0] in ("governance", "witness"):
            keys[words[0]] = vkey(words[1])
        if words[0] == "log":
            keys["log"] = vkey(words[2])
    return keys


def world(lab):
    nodes = lab.alliance("dtu.dk", "hku.hk", "ntu.edu.sg")
    a = nodes[0]
    a.ok("import", "offers", lib.ndjson(lab, "o.ndjson", [
        lib.offer(i) for i in range(1, 301)]), "--wait", "2")
    a.ok("import", "credentials", lib.ndjson(lab, "c.ndjson", [
        lib.credential("dtu.dk", i, "C000001") for i in range(21)]),
        "--wait", "2")
    lib.in_sync(nodes)
    lib.until(lambda: all(n.logs()["dtu.dk"]["cosignatures"] >= 2
                          for n in nodes), "countersigned")
    return nodes


def test_a_card_is_signed_by_the_key_it_names(lab):
    n = lab.node("dtu.dk")
    made = n.init("--json").json()
    card = n.ok("card").out
    keys = keys_of(card)
    check(signed(lab, card, keys["governance"]), "signed")
    check(not signed(lab, card.replace("DK", "SE"), keys["governance"]),
          "an altered one is not")
    digits = hashlib.sha256(keys["governance"][3]).hexdigest()
    equal(made["governance"].replace("-", ""), digits, "fingerprint")


def test_a_checkpoint_and_its_cosignatures_verify(lab):
    nodes = world(lab)
    for n in nodes:
        note = n.ok("log", "head", "dtu.dk").out
        origin, size, root = note.split("\n")[:3]
        equal((origin, len(base64.b64decode(root))), ("dtu.dk/symbolon/1", 32))
        keys = keys_of(nodes[0].ok("card").out)
        check(signed(lab, note, keys["log"]), "the log's signature")
        for witness in nodes[1:]:
            w = keys_of(witness.ok("card").out)["witness"]
            time = signed(lab, note, w)
            check(time and 1700000000 < time < 1 << 40,
                  f"{witness.member} has countersigned", note)
        check(not signed(lab, note.replace(size, size + "0"), keys["log"]),
              "another size is not signed")


def test_proofs_of_records_verify_without_any_node(lab):
    a, b, c = world(lab)
    keys = keys_of(a.ok("card").out)
    for record in ("C000001", "C000007", "C000300", "A000000", "A000020"):
        text = b.ok("log", "proof", f"dtu.dk/{record}").out
        extra, index, path, checkpoint = parse_proof(text)
        check(signed(lab, checkpoint, keys["log"]), "signed")
        origin, size, root = checkpoint.split("\n")[:3]
        leaf = opened(extra)[0]
        got = root_of(sha(b"\x00", leaf), index, int(size), path)
        equal(base64.b64encode(got).decode(), root, f"{record}: the root")
        # And the program agrees, offline.
        file = lab.write("proof", text)
        lab.ok("verify", file, "--roster", lab.path("alliance"))


def opened(extra):
    """msgpack [1, leaf, salt, body]: PROTOCOL.md 7."""
    check(extra, "there is extra data")
    (version, leaf, salt, body), end = lib.unpack(extra)
    equal((version, end), (1, len(extra)), "extra data")
    return leaf, salt, body


def test_a_disclosed_body_is_what_the_log_commits_to(lab):
    a, b, c = world(lab)
    text = a.ok("log", "proof", "A000003", "--disclose").out
    leaf, salt, body = opened(parse_proof(text)[0])
    (version, kind, audience, commitment), end = lib.unpack(leaf)
    equal((version, kind, audience, end), (1, 4, 1, len(leaf)),
          "a credential for members")
    want = hmac.new(salt, b"symbolon-record-v1\0" + sha(b"dtu.dk/symbolon/1") +
                    body, hashlib.sha256).digest()
    equal(commitment, want, "commitment")
    check(b"A000003" in body and b"Clara" not in body, "no person in it", body)
    # Without --disclose nothing but the leaf is handed over.
    leaf2, salt, body = opened(parse_proof(
        a.ok("log", "proof", "A000003").out)[0])
    equal((leaf2, salt, body), (leaf, b"", b""), "undisclosed")


def test_altered_proofs_are_refused(lab):
    a, b, c = world(lab)
    text = a.ok("log", "proof", "A000003", "--disclose").out
    alliance = lab.path("alliance")
    lab.ok("verify", lab.write("good", text), "--roster", alliance)
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        body = line.rstrip("\n")
        if len(body) < 2 or "witness" in body:
            continue
        at = len(body) // 2
        other = "A" if body[at] != "A" else "B"
        bad = "".join(lines[:i]) + body[:at] + other + body[at + 1:] + "\n" + \
            "".join(lines[i + 1:])
        r = lab.run("verify", lab.write("bad", bad), "--roster", alliance)
        check(r.code != lib.OK, f"line {i + 1} altered", r, line)
    for cut in range(0, len(text), 61):
        r = lab.run("verify", lab.write("bad", text[:cut]), "--roster", alliance)
        check(r.code != lib.OK, f"cut at {cut}", r)
