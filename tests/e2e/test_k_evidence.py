"""Evidence that leaves the node: proofs, disclosure, states, checks from disk."""

import os
import subprocess

import lib
from lib import check, equal, in_sync

I, R = "dtu.dk", "hku.hk"


def pair(lab, **audience):
    """An issuer with three awards and a recogniser with one rule."""
    issuer, recogniser = nodes = lab.alliance(I, R)
    issuer.ok("import", "offers",
              lib.ndjson(lab, "offers.ndjson", [lib.offer(i) for i in (1, 2)]))
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "awards.ndjson",
                         [lib.credential(I, i, "C000001") for i in (1, 2, 3)]),
              *[x for k, v in audience.items() for x in (f"--{k}", v)])
    recogniser.ok("import", "rules",
                  lib.ndjson(lab, "rules.ndjson", [lib.rule(1, I, "C000001")]))
    in_sync(nodes)
    return nodes


def alter(lab, path, name, change):
    with open(path, "rb") as f:
        text = f.read()
    other = change(text)
    check(other != text, "something was altered")
    return lab.write(name, other)


def next_place(text):
    return b"\n".join(
        b"index %d" % (int(line[6:]) + 1) if line.startswith(b"index ") else line
        for line in text.split(b"\n"))


def proof(node, lab, name, *args):
    return lab.write(name, node.ok("log", "proof", *args).out)


def test_what_a_learner_hands_over_is_recognised_and_nothing_else_is(lab):
    issuer, recogniser = pair(lab, audience="own")
    # The award is its issuer's own: nobody else can tell whether it exists.
    for award in ("A000001", "A999999"):
        doc = recogniser.json("recognise", f"{I}/{award}", "--by", R)
        equal((doc["outcome"], doc["cause"]), ("not-evaluable", "not-visible"))
        equal(doc["incomplete"][0]["member"], I)
        doc = recogniser.json("recognise", f"{I}/{award}", "--by", R,
                              "--at", I)
        equal(doc["outcome"], "not-evaluable", "asked there")
    path = proof(issuer, lab, "mine.proof", "A000001", "--disclose")
    doc = recogniser.json("recognise", path, "--by", R)
    equal((doc["outcome"], doc["targets"][0]["code"]), ("full", "X100"))
    equal(doc["subject"][0]["id"], f"{I}/A000001")
    r = recogniser.ok("recognise", "./mine.proof", "--by", R, cwd=lab.top)
    check("RECOGNISED IN FULL" in r.out, "by its path", r)
    check("Canary1" not in r.out and "Clara" not in r.out,
          "no name of a person", r)
    # A proof that shows nothing, one that was altered, one of another kind.
    bare = proof(issuer, lab, "bare.proof", "A000001")
    recogniser.run("recognise", bare, "--by", R).expect(
        lib.FAILED, err="does not disclose")
    moved = alter(lab, path, "moved.proof", next_place)
    recogniser.run("recognise", moved, "--by", R).expect(
        lib.FAILED, err="the proof is refused")
    rule = proof(recogniser, lab, "rule.proof", f"{R}/r-1", "--disclose")
    recogniser.run("recognise", rule, "--by", R).expect(
        lib.FAILED, err="not of a credential")
    # Once revoked, it cannot tell: the status is the issuer's own, too.
    check("A000001, valid" in r.out and "incomplete" not in r.out, "valid", r)
    issuer.ok("credential", "revoke", "A000001", "--reason", "fraud")
    doc = issuer.json("recognise", "A000001", "--by", R)
    equal((doc["outcome"], doc["cause"]), ("not-evaluable", "revoked"))
    in_sync([issuer, recogniser])
    doc = recogniser.json("recognise", path, "--by", R)
    equal(doc["incomplete"], [{"kinds": ["status"], "member": I}])
    equal((doc["outcome"], doc["subject"][0]["state"]),
          ("conditional", "unknown"))
    equal([x["code"] for x in doc["conditions"]], ["state-unknown"])
    r = recogniser.ok("recognise", path, "--by", R)
    for text in ("CONDITIONAL", "state not known here", f"--at {I}"):
        check(text in r.out, text, r)
    check("valid\n" not in r.out and "complete;" not in r.out, "no claim", r)
    # Its issuer tells whoever can show it, but not why.
    r = recogniser.ok("recognise", path, "--by", R, "--at", I)
    check("is revoked" in r.out and "fraud" not in r.out, "asked there", r)
    r = issuer.ok("recognise", path, "--by", R)
    check("is revoked" in r.out and "fraud" in r.out, "at home", r)
    # One that was logged behind the status cannot be meant by it.
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "later.ndjson",
                         [lib.credential(I, 4, "C000001")]),
              "--audience", "own")
    in_sync([issuer, recogniser])
    late = proof(issuer, lab, "late.proof", "A000004", "--disclose")
    equal(recogniser.json("recognise", late, "--by", R)["outcome"], "full")


def test_an_old_version_that_is_handed_over_does_not_count(lab):
    issuer, recogniser = pair(lab, audience="members")
    path = proof(issuer, lab, "v1.proof", "A000001", "--disclose")
    equal(recogniser.json("recognise", path, "--by", R)["outcome"], "full")
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "v2.ndjson", [lib.credential(
                  I, 1, "C000001", ects=2,
                  grade={"value": "-3", "scheme": "dk-7"})]))
    in_sync([issuer, recogniser])
    for node in (issuer, recogniser):
        doc = node.json("recognise", path, "--by", R)
        equal((doc["outcome"], doc["cause"]),
              ("not-evaluable", "newer-version"), node.member)
        check(f"#{issuer.size() - 1} of {I}" in doc["reasons"][0]["text"],
              "its place", doc["reasons"])
        equal(doc["subject"][0]["state"], "replaced")
    new = proof(issuer, lab, "v2.proof", "A000001", "--disclose")
    doc = recogniser.json("recognise", new, "--by", R)
    equal((doc["outcome"], doc["subject"][0]["ects"]), ("full", 2))


def test_offers_that_are_not_there_or_retired_are_said_to_be(lab):
    issuer, recogniser = pair(lab)
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "e.ndjson", [lib.credential(
                  I, 9, "C000001", offer_version=99)]))
    issuer.ok("import", "offers",
              lib.ndjson(lab, "o.ndjson", [lib.offer(3, state="retired")]))
    # A state that is its issuer's own concerns no other credential.
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "own.ndjson", [lib.credential(I, 8, "C000002")]),
              "--audience", "own")
    issuer.ok("credential", "revoke", "A000008", "--reason", "fraud")
    in_sync([issuer, recogniser])
    r = recogniser.ok("recognise", f"{I}/A000009", "--by", R)
    check("edition 99 is not published here" in r.out, "the edition", r)
    check("incomplete" not in r.out, "nothing is kept back", r)
    r = recogniser.ok("recognise", "--offer", f"{I}/C000003", "--by", R)
    check("retired" in r.out and "published by" not in r.out, "retired", r)
    doc = recogniser.json("recognise", f"{I}/A000001", "--by", R)
    equal((doc["outcome"], doc["incomplete"]), ("full", []))


def test_answers_side_by_side_show_what_they_stand_on(lab):
    issuer, _ = pair(lab)
    r = issuer.ok("recognise", "A000002", "--by", "all")
    head, _, rest = r.out.partition(f"\n\n{R}\n")
    check("UNDETERMINED" in head and "RECOGNISED" in head, "rows", r)
    check(rest.startswith(f"  evidence    {R} #"), "evidence", r)
    check("  copy        complete; hku.hk heard" in rest, "its copy", r)
    check("the other 1\n  copy        complete" in rest, "the rest", r)


def test_a_reader_that_goes_away_ends_it_quietly(lab):
    issuer, _ = pair(lab)
    issuer.ok("import", "credentials",
              lib.ndjson(lab, "many.ndjson",
                         [lib.credential(I, i, "C000001")
                          for i in range(10, 4000)]))
    for words in (("changes",), ("credential", "list", "--json"),
                  ("export", "credentials")):
        p = subprocess.Popen([lab.binary, "-C", issuer.dir, *words],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=lab.env)
        p.stdout.readline()
        p.stdout.close()
        err = p.stderr.read()
        equal((p.wait(), err), (1, b""), " ".join(words))


def test_only_its_issuer_discloses_what_is_not_public(lab):
    issuer, recogniser = pair(lab)
    recogniser.run("log", "proof", f"{I}/A000001", "--disclose").expect(
        lib.NOT_ALLOWED, err="only dtu.dk discloses")
    recogniser.ok("log", "proof", f"{I}/A000001")
    recogniser.ok("log", "proof", f"{I}/C000001", "--disclose")
    issuer.run("log", "proof", "A000009").expect(lib.FAILED, err="no record")


def test_a_proof_verifies_with_an_alliance_file_alone(lab):
    issuer, _ = pair(lab)
    path = proof(issuer, lab, "p.proof", "A000002", "--disclose")
    roster = lab.path("alliance")
    r = lab.ok("verify", path, "--roster", roster)
    for text in ("VERIFIED", "dtu.dk/symbolon/1", "credential", "A000002",
                 "C000001"):
        check(text in r.out, text, r)
    check("Canary" not in r.out, "no person", r)
    doc = lab.ok("verify", path, "--roster", roster, "--json").json()
    equal((doc["v"], doc["verified"], doc["member"], doc["kind"]),
          (1, True, I, "credential"))
    equal(doc["record"]["credential"], "A000002")
    bare = proof(issuer, lab, "bare.proof", "A000002")
    check("not disclosed" in lab.ok("verify", bare, "--roster", roster).out,
          "what is not disclosed is not shown")
    place = lab.ok("verify", path, "--roster", roster, "--json").json()["seq"]
    same = proof(issuer, lab, "place.proof", f"{I}#{place}", "--disclose")
    lab.ok("verify", same, "--roster", roster)
    for name, change in (
            ("moved", next_place),
            ("cut", lambda t: t[:-30]),
            ("root", lambda t: t.replace(b"\ndtu.dk/symbolon/1\n",
                                         b"\ndtu.dk/symbolon/2\n")),
            ("extra", lambda t: t.replace(b"extra ", b"extra A", 1))):
        other = alter(lab, path, name + ".proof", change)
        lab.run("verify", other, "--roster", roster).expect(
            lib.FAILED, err="does not verify")
    # With the file of other members, nobody can have signed it.
    stranger = lab.node("x.example")
    stranger.init()
    with open(lab.path("other"), "w", encoding="utf-8") as f:
        f.write(lab.ok("roster", "found", "Others", stranger.card()).out)
    stranger.ok("roster", "sign", lab.path("other"))
    lab.run("verify", path, "--roster", lab.path("other")).expect(
        lib.FAILED, err="no member")
    lab.run("verify", path).expect(lib.USAGE, err="--roster")


def test_states_of_credentials_change_by_appending(lab):
    issuer, recogniser = pair(lab)
    size = issuer.size()
    r = issuer.ok("credential", "revoke", "A000001", "--reason", "fraud",
                  "--check")
    check("would be revoked" in r.out, "a dry run says so", r)
    equal(issuer.size(), size, "a dry run changes nothing")
    issuer.run("credential", "revoke", "A000001").expect(lib.USAGE,
                                                         err="--reason")
    issuer.run("credential", "revoke", "A000001", "--reason", "whim").expect(
        lib.USAGE, err="issued-in-error")
    ids = lab.write("ids", "A000001\r\n\n A000002 \nA000002\nA000009\n")
    r = issuer.run("credential", "suspend", "--from", ids, "--reason",
                   "under-investigation").expect(lib.PARTLY, err="A000009")
    check("2 changed, 1 unchanged, 1 failed" in r.out, "counts", r)
    equal(issuer.size(), size + 2)
    issuer.ok("credential", "revoke", "A000001", "--reason", "fraud")
    issuer.run("credential", "suspend", "A000001", "--reason",
               "fraud").expect(lib.FAILED, err="is revoked, cannot be")
    issuer.ok("credential", "reinstate", f"{I}/A000002")
    rows = {x["credential"]: x["state"] for x in
            issuer.ok("credential", "list", "--json").lines()}
    equal(rows, {"A000001": "revoked", "A000002": "valid",
                 "A000003": "valid"})
    in_sync([issuer, recogniser])
    r = recogniser.ok("credential", "list", I, "--state", "revoked")
    check("A000001" in r.out and "A000003" not in r.out, "a filter", r)
    doc = recogniser.json("credential", "show", f"{I}/A000001", "--person")
    equal((doc["state"], doc["record"]["offer"]), ("revoked", "C000001"))
    check("learner" not in doc, "partners hold no learner", doc)
    doc = issuer.json("credential", "show", "A000001", "--person")
    equal(doc["learner"]["family_name"], "Canary1")
    r = issuer.ok("credential", "show", "A000001")
    check("Canary1" not in r.out, "a person only when asked for", r)
    recogniser.run("credential", "revoke", f"{I}/A000003", "--reason",
                   "fraud").expect(lib.NOT_ALLOWED, err="only dtu.dk changes")
    recogniser.run("credential", "revoke", "A000003", "--reason",
                   "fraud").expect(lib.FAILED, err="no such credential")
    issuer.run("credential", "list", "--state", "bogus").expect(
        lib.USAGE, err="valid, suspended, revoked or superseded")


def test_a_log_is_checked_from_disk_and_a_flipped_byte_is_found(lab):
    issuer, recogniser = pair(lab)
    head = issuer.ok("log", "head").out
    check(head.startswith("dtu.dk/symbolon/1\n"), "a signed head", head)
    doc = issuer.json("log", "head")
    equal((doc["v"], doc["member"], doc["note"]), (1, I, head))
    doc = recogniser.json("log", "check")
    equal([x["fault_count"] for x in doc["logs"]], [0, 0])
    equal({x["member"] for x in doc["logs"]}, {I, R})
    for x in doc["logs"]:
        equal(x["opened"] + x["withheld"], x["size"], x["member"])
    r = recogniser.ok("log", "check", I)
    check("verifies" in r.out and R not in r.out, "one log", r)
    recogniser.run("log", "check", "z.example").expect(lib.FAILED,
                                                       err="no log")
    recogniser.stop()
    store = os.path.join(recogniser.dir, "data", "store", "data.mdb")
    with open(store, "rb") as f:
        pages = bytearray(f.read())
    at = pages.find(b"Target X100")
    check(at > 0, "a public body lies in the store as it is")
    while at > 0: # all copies, since pages are copied on write
        pages[at] ^= 1
        at = pages.find(b"Target X100")
    with open(store, "wb") as f:
        f.write(pages)
    r = recogniser.run("log", "check", R, "--json").expect(lib.FAILED)
    faults = r.json()["logs"][0]["faults"]
    check(any("does not match its leaf" in x for x in faults), "named", faults)


def test_a_bare_id_is_taken_where_only_one_member_has_it(lab):
    issuer, recogniser = pair(lab)
    recogniser.ok("import", "credentials",
                  lib.ndjson(lab, "more.ndjson",
                             [lib.credential(R, 1, "C000001")]))
    in_sync([issuer, recogniser])
    r = issuer.run("recognise", "A000001", "--by", R).expect(lib.FAILED)
    check(f"{I}/A000001" in r.err and f"{R}/A000001" in r.err,
          "the candidates", r)
    doc = issuer.json("recognise", "A000002", "--by", R)
    equal(doc["subject"][0]["id"], f"{I}/A000002")
    doc = issuer.json("recognise", f"{I}/A000001", f"{I}/A000002", "--by", R)
    equal(len(doc["subject"]), 2, "several at once")
    issuer.run("recognise", "--by", R).expect(lib.USAGE)
    issuer.run("recognise", "A000002").expect(lib.USAGE, err="--by")
    issuer.run("recognise", "A000002", "--by", R, "--as-of",
               "yesterday").expect(lib.USAGE, err="YYYY-MM-DD")
    issuer.run("recognise", "A000002", "--by", R, "--purpose",
               "fun").expect(lib.USAGE, err="purpose")
