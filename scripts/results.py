#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Judge what guests left in their logs.

Usage: results.py [--no-total | --shown] DIR...

Each DIR belongs to one boot and holds
  job.log     what the programs printed, between marker lines
  kernel.log  the kernel's console
  expected    the programs that had to run, one name a line

Marker lines begin with "@@gm":
  boot FLAVOUR | begin NAME limit=S | end NAME rc=N s=S | leak NAME what... |
  done | broken reason...

A program's results are its TAP or KTAP leaves; without any its exit status counts:
0 passed, 4 skipped. Failed tests on top: a program that did not run, did not end,
timed out, left its plan or its exit status unmet, leaked; a kernel splat; a boot
that did not reach "done". The last line is "N passed, N failed[, N skipped]", the
exit status is 0 only if something passed and nothing failed. --shown is for a boot
whose output was shown while it ran: no excerpts of that, no last line, and the exit
status is that of the first program that has another than 0.
"""

import argparse
import collections
import os
import re
import sys

MARK = "@@gm "
SKIP_STATUS = 4
EXCERPT = 40

KERNEL_LOG = "kernel log during"

Result = collections.namedtuple("Result", "name verdict detail")
Splat = collections.namedtuple("Splat", "headline lines during")

# --- TAP --------------------------------------------------------------------

RESULT = re.compile(r"^(\s*)(not ok|ok)\s+(\d+)\s*-?\s*(.*)$")
PLAN = re.compile(r"^(\s*)1\.\.(\d+)\s*(#.*)?$")
DIRECTIVE = re.compile(r"\s+#\s*(SKIP|TODO|XFAIL|XPASS)\b[\s:-]*(.*)$", re.IGNORECASE)
SKIP_ALL = re.compile(r"^\s*1\.\.0\s+#\s*SKIP\w*[\s:-]*(.*)$", re.IGNORECASE)


class Level:
    """Results at one indentation since the last result above it."""

    def __init__(self):
        self.plan = None
        self.leaves = []
        self.seen = 0
        self.failed = False


def tap_leaves(lines):
    """(leaves, complaints) of TAP or nested KTAP text.

    A result line that follows deeper ones sums those up and is no leaf; it counts
    only if it fails although they all passed.
    """
    levels = {}
    complaints = []
    text = []

    def close(level, where):
        if level.plan is not None and level.seen != level.plan:
            complaints.append(f"{where}planned {level.plan} tests, {level.seen} reported")

    def close_deeper(indent, name):
        below = [levels.pop(d) for d in sorted(levels) if d > indent]
        for level in below:
            close(level, f"{name}: ")
        return below

    for line in lines:
        plan, result = PLAN.match(line), RESULT.match(line)
        if plan:
            levels.setdefault(len(plan[1]), Level()).plan = int(plan[2])
        elif result:
            indent, name = len(result[1]), result[4].strip()
            directive = DIRECTIVE.search(name)
            name = DIRECTIVE.sub("", name) or f"test {result[3]}"
            below = close_deeper(indent, name)
            level = levels.setdefault(indent, Level())
            level.seen += 1
            verdict = "passed" if result[2] == "ok" else "failed"
            if directive and directive[1].upper() in ("SKIP", "TODO"):
                verdict = "skipped"
            leaves = [leaf for b in below for leaf in b.leaves]
            if leaves:
                level.leaves += [leaf._replace(name=f"{name}.{leaf.name}") for leaf in leaves]
                if verdict == "failed" and not any(b.failed for b in below):
                    level.leaves.append(Result(name, "failed", text[-EXCERPT:]))
                level.failed |= verdict == "failed" or any(b.failed for b in below)
            else:
                detail = [directive[2]] if verdict == "skipped" else text[-EXCERPT:]
                level.leaves.append(Result(name, verdict, detail))
                level.failed |= verdict == "failed"
            text = []
            continue
        elif line.startswith("Bail out!"):
            complaints.append(line)
        text.append(line)

    leaves = []
    for indent in sorted(levels):
        close(levels[indent], "")
        leaves += levels[indent].leaves
    return leaves, complaints


def skip_reason(lines):
    """Why a program without results skipped itself: the TAP way, or its last words."""
    for line in lines:
        match = SKIP_ALL.match(line)
        if match:
            return match[1]
    words = [line.strip() for line in lines if line.strip()]
    return words[-1] if words else ""


# --- the job's log ----------------------------------------------------------


class Program:
    def __init__(self, name, limit):
        self.name = name
        self.limit = limit
        self.rc = None
        self.seconds = 0
        self.lines = []

    def results(self):
        """The program's tests, named NAME or NAME:test."""
        tail = self.lines[-EXCERPT:]
        if self.rc is None:
            return [Result(self.name, "failed", tail + ["did not end"])]
        leaves, complaints = tap_leaves(self.lines)
        results = [leaf._replace(name=f"{self.name}:{leaf.name}") for leaf in leaves]
        failed = any(r.verdict == "failed" for r in results)
        if self.limit and self.seconds >= self.limit and self.rc:
            results.append(Result(self.name, "failed", tail + [f"timed out after {self.limit} s"]))
        elif self.rc not in (0, SKIP_STATUS):
            if not failed:
                complaints.append(f"exit status {self.rc}")
        elif not results and not complaints:
            if self.rc == 0:
                return [Result(self.name, "passed", tail)]
            return [Result(self.name, "skipped", [skip_reason(self.lines)])]
        if complaints:
            results.append(Result(self.name, "failed", tail + complaints))
        return results


class Job:
    """What job.log holds."""

    def __init__(self, lines):
        self.programs = []
        self.leaks = []
        self.done = False
        self.broken = None
        self.flavour = None
        current = None
        for line in lines:
            if not line.startswith(MARK):
                if current:
                    current.lines.append(line)
                continue
            kind, _, rest = line[len(MARK):].partition(" ")
            words = rest.split()
            fields = dict(w.split("=", 1) for w in words if "=" in w)
            if kind == "boot":
                self.flavour = rest
            elif kind == "begin":
                current = Program(words[0], int(fields.get("limit", 0)))
                self.programs.append(current)
            elif kind == "end" and current and current.name == words[0]:
                # The marker's own leading newline is not the program's.
                if current.lines and not current.lines[-1]:
                    current.lines.pop()
                current.rc, current.seconds = int(fields["rc"]), float(fields.get("s", 0))
                current = None
            elif kind == "leak":
                self.leaks.append(Result(words[0], "failed", ["left behind: " + " ".join(words[1:])]))
            elif kind == "done":
                self.done = True
            elif kind == "broken":
                self.broken = rest


# --- the kernel's log -------------------------------------------------------

# Only what the kernel itself printed: a program may print "BUG" as it likes.
KERNEL_LINE = re.compile(r"^\[\s*\d+\.\d{6}\](?:\[\s*[TC]\d+\])? ?(.*)$")
NOTE = re.compile(r"^guestmem-test: (begin|end) (\S+)")

SPLAT = re.compile("|".join((
    r"WARNING: ", r"\bBUG: ", r"kernel BUG at", r"\bKASAN\b.* in ", r"UBSAN: ", r"Oops:",
    r"general protection fault", r"Unable to handle kernel", r"Kernel panic",
    r"INFO: possible ", r"INFO: trying to register non-static key", r"INFO: lockdep is turned off",
    r"suspicious RCU usage", r"INFO: task .* blocked for more than", r"rcu: INFO: .*stall",
    r"soft lockup", r"hard LOCKUP", r"kmemleak: \d+ new suspected", r"refcount_t: ",
    r"list_(add|del) corruption", r"Bad page (state|map)", r"unregister_netdevice: waiting",
    r"scheduling while atomic", r"sysfs: cannot create duplicate",
)))
# The kernel greets with the names of its options; those are not reports.
NO_SPLAT = re.compile(r"^kasan: |KernelAddressSanitizer|Command line:|"
                      r"^WARNING: .*(speculative|mitigation)", re.IGNORECASE)
# A stack that an asked-for failure prints is none either.
BENIGN_TRACE = re.compile(r"FAULT_INJECTION: forcing a failure|invoked oom-killer|"
                          r"page allocation failure|vmalloc error:|sysrq:", re.IGNORECASE)
TRACE = re.compile(r"^Call Trace:")
QUIET_LINES = 25
SPLAT_LINES = 60


def find_splats(lines):
    splats = []
    during = "boot"
    current = None
    benign_until = -1
    for number, line in enumerate(lines):
        match = KERNEL_LINE.match(line.rstrip("\r"))
        if not match:
            continue
        text = match[1]
        note = NOTE.match(text)
        if note:
            during = note[2] if note[1] == "begin" else f"after {note[2]}"
            continue
        if BENIGN_TRACE.search(text):
            benign_until = number + QUIET_LINES
        head = SPLAT.search(text) and not NO_SPLAT.search(text)
        trace = TRACE.match(text) and number > benign_until
        if current and len(current.lines) < SPLAT_LINES and number - current.lines[-1][0] < 4:
            current.lines.append((number, line))
            if text.startswith("---[ end trace"):
                current = None
        elif head or trace:
            current = Splat(text, [(number, line)], during)
            splats.append(current)
        else:
            current = None
    return [s._replace(lines=[text for _, text in s.lines]) for s in splats]


# --- one boot ---------------------------------------------------------------


def read_lines(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace").replace("\r", "").split("\n")
    except FileNotFoundError:
        return []


def judge(directory):
    """(flavour, results, exit status of the first program without success) of one boot."""
    job = Job(read_lines(os.path.join(directory, "job.log")))
    expected = [line for line in read_lines(os.path.join(directory, "expected")) if line]
    ran = {p.name for p in job.programs}
    results = [r for p in job.programs for r in p.results()]
    results += [r._replace(name=f"{r.name}:leak") for r in job.leaks]
    for name in expected:
        # "kunit/*": at least one program of that kind.
        found = any(n.startswith(name[:-1]) for n in ran) if name.endswith("*") else name in ran
        if not found:
            results.append(Result(name, "failed", ["did not run"]))
    if not job.done:
        results.append(Result("boot", "failed", [job.broken or "the guest did not reach its end"]))
    for splat in find_splats(read_lines(os.path.join(directory, "kernel.log"))):
        results.append(Result(f"{KERNEL_LOG} {splat.during}", "failed", splat.lines))
    flavour = job.flavour or os.path.basename(os.path.normpath(directory))
    return flavour, results, next((p.rc for p in job.programs if p.rc), 0)


def count(results):
    tally = collections.Counter(r.verdict for r in results)
    return tally["passed"], tally["failed"], tally["skipped"]


def total_line(passed, failed, skipped):
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-total", action="store_true", help="failures only, no closing line")
    parser.add_argument("--shown", action="store_true", help="as above; the program's status")
    parser.add_argument("dirs", nargs="+", metavar="DIR")
    args = parser.parse_args()
    total = not (args.no_total or args.shown)
    everything, status = [], 0
    for directory in args.dirs:
        flavour, results, rc = judge(directory)
        everything += results
        status = status or rc
        for r in results:
            if r.verdict == "failed":
                print(f"\nFAILED {flavour} {r.name}")
                shown = args.shown and not r.name.startswith(KERNEL_LOG)
                print("\n".join(f"    {line}" for line in r.detail[-1 if shown else 0:]))
        if total:
            skipped = [r for r in results if r.verdict == "skipped"]
            for r in skipped:
                print(f"skipped {flavour} {r.name}: {r.detail[0] or 'no reason given'}")
            print(f"{flavour}: {total_line(*count(results))}  (logs: {directory})")
    passed, failed, skipped = count(everything)
    if total:
        print(total_line(passed, failed, skipped))
    if args.shown and status:
        return status
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
