#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run QEMU, show what the guest's job does, and never wait for ever.

Usage: supervise.py --job FILE --kernel FILE [--limit S] [--idle S] [--live] -- QEMU...

--live prints the job's output as it comes; otherwise a line a program is printed
when it ends, and one before that if it takes long. Exit status: 0 the guest said
"done", 2 it did not (the reason is on the last line of the job file too), 130
interrupted. What the job's programs returned is for results.py to judge.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time

MARK = "@@gm "
# Seconds after which a program that still runs is named.
PATIENCE = 5
SKIP = re.compile(r"#\s*SKIP\b[\s:-]*(.*)$")


class JobReader:
    """Follows the job's file and turns complete lines into progress."""

    def __init__(self, path, live):
        self.path = path
        self.live = live
        self.pos = 0
        self.partial = ""
        self.done = False
        self.running = None
        self.started = 0.0
        self.limit = 0
        self.announced = False
        self.reason = ""

    def poll(self):
        """True if something new came."""
        try:
            with open(self.path, "rb") as f:
                f.seek(self.pos)
                data = f.read()
        except FileNotFoundError:
            return False
        self.pos += len(data)
        text = self.partial + data.decode(errors="replace").replace("\r", "")
        lines = text.split("\n")
        self.partial = lines.pop()
        for line in lines:
            self.line(line)
        return bool(data)

    def line(self, line):
        if line.startswith(MARK):
            self.marker(line[len(MARK):].split())
        elif self.live and self.running:
            self.show(line)
        elif SKIP.search(line):
            self.reason = SKIP.search(line)[1]

    blank = False

    def show(self, line):
        # A marker brings an empty line of its own: hold it back.
        if self.blank:
            print(flush=True)
        self.blank = not line
        if line:
            print(line, flush=True)

    def marker(self, words):
        kind, rest = words[0], words[1:]
        fields = dict(w.split("=", 1) for w in rest if "=" in w)
        if kind == "begin":
            self.running, self.started = rest[0], time.monotonic()
            self.limit = int(fields.get("limit", 0))
            self.blank = self.announced = False
            self.reason = ""
        elif kind == "end":
            self.running = None
            if not self.live:
                self.report(rest[0], fields.get("rc", "?"), fields.get("s", "?"))
        elif kind == "leak" and not self.live:
            print(f"   LEAK  {' '.join(rest)}", flush=True)
        elif kind == "done":
            self.done = True

    def report(self, name, rc, seconds):
        word = {"0": "ok", "4": "skip"}.get(rc, f"rc={rc}")
        reason = f"  {self.reason}" if rc == "4" else ""
        print(f"   {word:<6} {name:<56} {seconds:>7} s{reason}", flush=True)

    def announce(self, now):
        if self.live or self.announced or not self.running or now - self.started < PATIENCE:
            return
        self.announced = True
        print(f"   ...    {self.running}", flush=True)


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def stop(qemu):
    if qemu.poll() is None:
        qemu.terminate()
        try:
            qemu.wait(5)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait()


def supervise(args, command):
    """Returns why the guest did not finish, or None."""
    reader = JobReader(args.job, args.live)
    # timeout(1) ends QEMU even if this supervisor is killed.
    command = ["timeout", "-k", "5", str(args.limit + 60)] + command
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = heard = time.monotonic()
    kernel = 0
    try:
        while qemu.poll() is None:
            time.sleep(0.1)
            now = time.monotonic()
            new = reader.poll()
            reader.announce(now)
            if new or size(args.kernel) != kernel:
                heard, kernel = now, size(args.kernel)
            if now - began > args.limit:
                return f"the guest was stopped after {args.limit} s"
            # A silent program has its own limit in the guest; only past that is the guest dead.
            if now - heard > args.idle + (reader.limit if reader.running else 0):
                return f"the guest was stopped after {now - heard:.0f} s of silence"
        reader.poll()
    finally:
        stop(qemu)
    if qemu.returncode:
        return f"QEMU ended with status {qemu.returncode}"
    if not reader.done:
        where = f" while {reader.running} was running" if reader.running else ""
        return f"the guest ended early{where}: a panic, see {args.kernel}"
    return None


def main():
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--limit", type=int, default=600)
    parser.add_argument("--idle", type=int, default=120)
    parser.add_argument("--live", action="store_true")
    args = parser.parse_args(argv[:split])
    try:
        reason = supervise(args, argv[split + 1:])
    except KeyboardInterrupt:
        return 130
    if reason:
        print(f"   {reason}", file=sys.stderr)
        with open(args.job, "a", encoding="utf-8") as f:
            f.write(f"\n{MARK}broken {reason}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
