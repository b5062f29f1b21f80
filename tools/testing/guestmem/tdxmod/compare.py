#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare tdxmod-driver with recorded calls.

Usage: compare.py [--show N] DRIVER FILE...

A FILE holds lines "command > answer"; a line "# NAME" starts a new scenario, for which
the driver is started afresh. Prints TAP: one test a scenario, and of each that fails the
first N lines that differ (default 3, 0: all). The exit status is 0 if no line differs.
"""

import argparse
import subprocess
import sys


def scenarios(path):
    """(name, [(line number, command, answer)]) of each scenario."""
    name, lines = path, []
    with open(path, encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if line.startswith("#"):
                if lines:
                    yield name, lines
                name, lines = line[1:].strip(), []
            elif line:
                command, _, answer = line.partition(" > ")
                lines.append((number, command, answer))
    if lines:
        yield name, lines


def differences(driver, lines):
    """(line number, command, expected, answer) where they differ; what the driver complained of."""
    commands = "".join(f"{command}\n" for _, command, _ in lines)
    run = subprocess.run([driver], input=commands, capture_output=True, text=True, check=False)
    answers = run.stdout.splitlines()
    answers += ["(no answer)"] * (len(lines) - len(answers))
    found = [(number, command, expected, answer)
             for (number, command, expected), answer in zip(lines, answers)
             if expected != answer]
    complaints = run.stderr.splitlines()
    if run.returncode:
        complaints.append(f"exit status {run.returncode}")
    return found, complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", type=int, default=3, metavar="N")
    parser.add_argument("driver")
    parser.add_argument("files", nargs="+", metavar="FILE")
    args = parser.parse_args()

    work = [(path, *s) for path in args.files for s in scenarios(path)]
    print(f"TAP version 13\n1..{len(work)}")
    total = same = failed = 0
    for number, (path, name, lines) in enumerate(work, 1):
        found, complaints = differences(args.driver, lines)
        total += len(lines)
        same += len(lines) - len(found)
        failed += bool(found or complaints)
        for line, command, expected, answer in found[:args.show or None]:
            print(f"# {path}:{line}: {command}\n#   expected {expected}\n#   answered {answer}")
        for complaint in complaints[:args.show or None]:
            print(f"# {complaint}")
        print(f"{'not ok' if found or complaints else 'ok'} {number} {name}")
    print(f"# {same} of {total} lines are the same")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
