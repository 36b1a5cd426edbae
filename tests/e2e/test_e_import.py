"""Files as they really come, and what is told about what is wrong in them."""

import json
import os
import subprocess

import lib
from lib import check, equal, until

HEAD = ("credential,offer,offer_version,subject_id,given_name,family_name,"
        "birth_date,issued_on,achieved_on,ects,grade,grade_scheme\n")
ESI = "urn:schac:personalUniqueCode:int:esi:dtu.dk:s"


def row(i, **more):
    cells = {"credential": f"A{i:04d}", "offer": "C000001", "version": "1",
             "subject": f"{ESI}{i:04d}", "given": "Clara", "family": "Schmidt",
             "born": "1999-07-27", "issued": "2025-01-20",
             "achieved": "2025-01-20", "ects": "5", "grade": "10",
             "scheme": "dk-7", **more}
    return ",".join(cells.values()) + "\n"


def one(lab):
    n = lab.node("dtu.dk")
    n.init()
    n.ok("import", "offers", lib.ndjson(lab, "offers.ndjson", [
        lib.offer(i) for i in range(1, 6)]))
    return n


def result(r, code=lib.OK):
    return r.expect(code).lines()[-1]


def counts(done):
    return tuple(done[k] for k in ("new", "changed", "unchanged", "rejected"))


def test_importing_twice_changes_nothing_and_content_makes_versions(lab):
    n = one(lab)
    path = lab.write("a.csv", HEAD + row(1) + row(2) + row(3))
    equal(counts(result(n.run("import", "credentials", path, "--json"))),
          (3, 0, 0, 0))
    size = n.size()
    equal(counts(result(n.run("import", "credentials", path, "--json"))),
          (0, 0, 3, 0))
    equal(n.size(), size, "the log")
    changed = lab.write("b.csv", HEAD + row(1) + row(2, grade="12") + row(4))
    done = result(n.run("import", "credentials", changed, "--json"))
    equal(counts(done), (1, 1, 1, 0))
    done = result(n.run("import", "credentials", changed, "--json"))
    equal(counts(done), (0, 0, 3, 0))


def test_a_check_changes_nothing_and_tells_what_would_happen(lab):
    n = one(lab)
    size = n.size()
    path = lab.write("a.csv", HEAD + row(1) + row(2) + row(3, ects="x"))
    done = result(n.run("import", "credentials", path, "--check", "--json"),
                  lib.PARTLY)
    equal(counts(done), (2, 0, 0, 1))
    equal(n.size(), size, "the log")
    check(not [f for f in os.listdir(lab.top) if "reject" in f],
          "no rejects file of a dry run")


def test_csv_as_spreadsheets_write_it(lab):
    n = one(lab)
    plain = HEAD + row(1) + row(2)
    forms = {
        "bom": b"\xef\xbb\xbf" + plain.encode(),
        "crlf": plain.replace("\n", "\r\n").encode(),
        "semicolons": plain.replace(",", ";").replace(";5;", ";5,0;").encode(),
        "tabs": plain.replace(",", "\t").encode(),
        "noend": plain.rstrip("\n").encode(),
        "quotes": plain.replace("Clara", '"Clara"').encode(),
    }
    for name, data in forms.items():
        path = lab.write(name + ".csv", data)
        done = result(n.run("import", "credentials", path, "--json"))
        equal(done["rejected"], 0, name)
        equal(done["new"] + done["unchanged"], 2, name)
    equal(n.size(), 5 + 2 * 2, "all forms are the same records")
    path = lab.write("latin.csv", plain.replace("Clara", "José")
                     .encode("latin-1"))
    r = n.run("import", "credentials", path)
    check(r.code != lib.OK and "UTF-8" in r.err, "another encoding", r)
    path = lab.write("break.csv", HEAD + row(7, given='"Cla\nra"'))
    r = n.run("import", "credentials", path)
    check("line 2" in r.err or ":2" in r.err or r.code == lib.OK,
          "a line break in a cell", r)


def test_each_bad_row_is_named_with_its_line_and_comes_back_mended(lab):
    n = one(lab)
    rows = [row(1), row(2, ects="five"), row(3, issued="2025-02-30"),
            row(4, offer=""), row(5, given='"line\nbreak"', ects="-1"), row(6)]
    path = lab.write("a.csv", HEAD + "".join(rows))
    r = n.run("import", "credentials", path, "--json").expect(lib.PARTLY)
    done = r.lines()[-1]
    equal(counts(done), (2, 0, 0, 4))
    for line in (3, 4, 5, 6):
        check(f"{line}" in r.err, f"line {line} is named", r)
    rejects = done["rejects"]
    equal(os.stat(rejects).st_mode & 0o777, 0o600, "mode of the rejects")
    with open(rejects, encoding="utf-8", newline="") as f:
        text = f.read()
    for word in ("_line", "_code", "_message", "five", "2025-02-30"):
        check(word in text, f"{word} is in the rejects", text)
    check("Schmidt" not in r.err and ESI not in r.err,
          "no personal data in messages", r)
    # Mended in place, the notes left where they are, it imports.
    mended = (text.replace("five", "5").replace("2025-02-30", "2025-02-28")
              .replace("-1", "1").replace("A0004,,", "A0004,C000001,")
              .replace('"line\nbreak"', "line").replace('"line\r\nbreak"', "line"))
    path = lab.write("mended.csv", mended.encode())
    done = result(n.run("import", "credentials", path, "--json"))
    equal((done["new"], done["rejected"]), (4, 0))


def test_one_id_with_two_contents_rejects_both_and_names_both_lines(lab):
    n = one(lab)
    path = lab.write("a.csv", HEAD + row(1) + row(2) + row(1, grade="12"))
    r = n.run("import", "credentials", path, "--json").expect(lib.PARTLY)
    equal(counts(r.lines()[-1]), (1, 0, 0, 2))
    check("2" in r.err and "4" in r.err, "both lines", r)


def test_ndjson_faults_are_named(lab):
    n = one(lab)
    good = json.dumps(lib.offer(10))
    cases = [
        ('{"offer":"X","offer":"Y"}', "duplicate"), ('{"offer":', ""),
        (good[:-1] + ',"colour":"blue"}', "colour"),
        (good.replace('"version": 1', '"version": "1"'), "version"),
        ("[1]", ""), ('"text"', ""), ("{" * 50, ""),
        (good.replace('"ects": 5', '"ects": 5.005'), "ects"),
        (good[:-1] + ',"issuer":"hku.hk"}', "issuer"),
    ]
    for text, word in cases:
        path = lab.write("bad.ndjson", text + "\n" + json.dumps(lib.offer(3)) + "\n")
        r = n.run("import", "offers", path, "--json")
        check(r.code == lib.PARTLY, text[:60], r)
        check(word in r.err, f"{word} is named", r)
        equal(r.lines()[-1]["rejected"], 1, text)


def test_limits_refuse_the_whole_file(lab):
    n = one(lab)
    size = n.size()
    bad = lab.write("bad.csv", HEAD + row(1) + row(2, ects="x") +
                    row(3, ects="y"))
    r = n.run("import", "credentials", bad, "--max-rejects", "1")
    r.expect(lib.REFUSED)
    equal(n.size(), size, "nothing was written")
    first = lab.write("first.csv", HEAD + "".join(row(i) for i in range(100)))
    n.ok("import", "credentials", first)
    size = n.size()
    second = lab.write("second.csv", HEAD + "".join(
        row(i, grade="02") for i in range(100)))
    n.run("import", "credentials", second).expect(lib.REFUSED,
                                                  err="--max-changed")
    equal(n.size(), size, "nothing was written")
    done = result(n.run("import", "credentials", second, "--max-changed",
                        "100", "--json"))
    equal(done["changed"], 100)


def test_an_import_is_listed_shown_and_undone(lab):
    n = one(lab)
    path = lab.write("a.csv", HEAD + row(1) + row(2))
    n.ok("import", "credentials", path)
    changed = lab.write("b.csv", HEAD + row(1, grade="12") + row(3))
    n.ok("import", "credentials", changed)
    listed = n.ok("import", "list")
    check("a.csv" in listed.out and "b.csv" in listed.out, "both", listed)
    n.ok("import", "show", "3")
    n.ok("import", "undo", "3", "--check")
    n.ok("import", "undo", "3")
    doc = n.json("credential", "show", "A0001")
    check('"10"' in json.dumps(doc), "the earlier grade is back", doc)
    doc = n.json("credential", "show", "A0003")
    check("revoked" in json.dumps(doc), "the new one is revoked", doc)
    n.ok("log", "check")


def test_an_export_imports_again_unchanged(lab):
    n = one(lab)
    n.ok("import", "credentials", lab.write("a.csv", HEAD + row(1) + row(2)))
    for kind, count in (("offers", 5), ("credentials", 2)):
        for form in ("ndjson", "csv"):
            args = ["export", kind, "--format", form]
            if kind == "credentials":
                args.append("--person")
            text = n.ok(*args).out
            equal(n.ok(*args).out, text, "two exports")
            path = lab.write(f"out.{form}", text)
            done = result(n.run("import", kind, path, "--json"))
            equal(counts(done), (0, 0, count, 0), f"{kind} {form}")


def test_a_file_of_another_member_is_refused_by_name(lab):
    n = one(lab)
    path = lab.write("a.csv", HEAD.rstrip("\n") + ",issuer\n" +
                     row(1).rstrip("\n") + ",hku.hk\n" +
                     row(2).rstrip("\n") + ",dtu.dk\n")
    r = n.run("import", "credentials", path, "--json").expect(lib.PARTLY)
    equal(counts(r.lines()[-1]), (1, 0, 0, 1))
    check("hku.hk" in r.err or "issuer" in r.err, "why", r)


def test_standard_input_and_missing_files(lab):
    n = one(lab)
    n.run("import", "offers", lab.path("none.ndjson")).expect(
        lib.FAILED, err="none.ndjson")
    n.run("import", "nonsense", lab.path("x.csv")).expect(
        lib.USAGE, err="kinds are")
    n.run("import", "offers", lab.write("x.doc", "x")).expect(
        lib.USAGE, err="format")


def test_a_killed_import_leaves_whole_batches_and_goes_on(lab):
    n = lab.node("dtu.dk")
    n.init()
    n.start()
    path = lib.ndjson(lab, "many.ndjson", [lib.offer(i) for i in range(60000)])
    p = subprocess.Popen([lab.binary, "-C", n.dir, "import", "offers", path],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         env=lab.env)
    until(lambda: n.size() > 0 or p.poll() is not None, "it has begun", 60, 0)
    p.kill()
    p.communicate()
    # The node notices that its user is gone and stops the work.
    last = until(lambda: n.size() if n.size() == n.size() else 0, "it rests")
    check(last <= 60000, "size", last)
    done = result(n.run("import", "offers", path, "--json", timeout=300))
    equal(done["new"] + done["unchanged"], 60000)
    equal(n.size(), 60000, "each record once")
    n.ok("log", "check", timeout=120)
    n.stop()
