#!/usr/bin/env python3
"""End-to-end tests with real processes.

Usage: tests/e2e/run.py [--binary FILE] [--fast-binary FILE] [--rounds N]
                        [--seed N] [--keep] [--list] [NAME...]

Runs the tests whose file or function contains one of the NAMEs, all without.
Prints each test's sentence; ends with "N passed, N failed, N skipped".
--fast-binary is used where the data is large. -j N runs N tests at a time (2):
they wait more than they compute, and none depends on being quick.
"""

import argparse
import concurrent.futures
import glob
import importlib
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import lib  # noqa: E402

LABS = set()  # of the tests that run now


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", default=os.path.join(lib.TOP, "build/release/symbolon"))
    p.add_argument("--fast-binary")
    p.add_argument("--rounds", type=int, default=200)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--keep", action="store_true",
                   help="keep the directories of failed tests")
    p.add_argument("--list", action="store_true")
    p.add_argument("-j", type=int, default=2)
    p.add_argument("names", nargs="*")
    return p.parse_args()


def tests():
    here = os.path.dirname(os.path.abspath(__file__))
    for path in sorted(glob.glob(os.path.join(here, "test_*.py"))):
        module = importlib.import_module(os.path.basename(path)[:-3])
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function) and \
                    function.__module__ == module.__name__:
                yield module.__name__[5:], name[5:], function, \
                    getattr(function, "fast", getattr(module, "FAST", False))


def wanted(options, module, name):
    return not options.names or any(
        w in module or w in name or w in f"{module}/{name}"
        for w in options.names)


def run_one(options, module, name, function, fast):
    sentence = f"{module}: {name.replace('_', ' ')}"
    start = time.monotonic()
    lab = lib.Lab(options, fast)
    LABS.add(lab)
    outcome, detail = "ok", ""
    try:
        function(lab)
    except lib.Skip as e:
        outcome, detail = "skipped", f"skipped: {e}"
    except Exception as e:  # a failure of any kind is the test's
        outcome = "FAILED"
        text = str(e) if isinstance(e, lib.Failure) else ""
        where = traceback.extract_tb(e.__traceback__)
        steps = "\n".join(f"  {os.path.basename(f.filename)}:{f.lineno} {f.line}"
                          for f in where if "e2e" in f.filename)
        detail = f"{text or traceback.format_exc()}\nat\n{steps}\n{lab.logs()}"
    finally:
        keep = options.keep and outcome == "FAILED"
        LABS.discard(lab)
        lab.close(keep)
        if keep:
            detail += f"\nkept: {lab.top}"
    seconds = time.monotonic() - start
    text = f"{outcome:8} {sentence} ({seconds:.1f} s)"
    if detail:
        text += "\n" + (detail if outcome == "skipped" else
                        "    " + detail.replace("\n", "\n    "))
    print(text, flush=True)
    return outcome


def end_all(*_):
    """Ended from outside, the tests still end their nodes."""
    for lab in list(LABS):
        lab.close()
    os._exit(143)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, end_all)
    signal.signal(signal.SIGINT, end_all)
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    chosen = [t for t in tests() if wanted(options, t[0], t[1])]
    if options.list:
        for module, name, _, _ in chosen:
            print(f"{module}/{name}")
        return 0
    print(f"seed {options.seed}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(max(1, options.j)) as pool:
        for outcome in pool.map(lambda t: run_one(options, *t), chosen):
            counts[outcome] += 1
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, "
          f"{counts['skipped']} skipped")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
