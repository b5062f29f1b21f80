#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of results.py: a judge that lets something through is worse than none."""

import os
import tempfile
import unittest

from results import (Job, Program, Result, count, find_splats, judge, skip_reason, tap_leaves,
                     total_line)


def tap(text):
    return tap_leaves(text.strip("\n").split("\n"))


def verdicts(text):
    return [(leaf.name, leaf.verdict) for leaf in tap(text)[0]]


def program(text, rc, limit=300, seconds=1):
    p = Program("x", limit)
    p.lines, p.rc, p.seconds = text.split("\n"), rc, seconds
    return [(r.name, r.verdict) for r in p.results()]


def kernel(*texts):
    return find_splats([f"[{i:5d}.000000] {text}" for i, text in enumerate(texts, 1)])


class Tap(unittest.TestCase):
    def test_flat(self):
        self.assertEqual(verdicts("TAP version 13\n1..3\nok 1 a\nnot ok 2 b\nok 3 c # SKIP no numa"),
                         [("a", "passed"), ("b", "failed"), ("c", "skipped")])

    def test_harness(self):
        text = """
TAP version 13
1..2
# Starting 2 tests from 1 test cases.
#  RUN           global.one ...
#            OK  global.one
ok 1 global.one
#  RUN           global.two ...
# two.c:10:two:Expected 1 (1) == 2 (2)
#          FAIL  global.two
not ok 2 global.two
# FAILED: 1 / 2 tests passed.
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
"""
        leaves, complaints = tap(text)
        self.assertEqual([leaf.verdict for leaf in leaves], ["passed", "failed"])
        self.assertIn("# two.c:10:two:Expected 1 (1) == 2 (2)", leaves[1].detail)
        self.assertEqual(complaints, [])

    def test_kunit_nested(self):
        text = """
KTAP version 1
1..1
    KTAP version 1
    # Subtest: guestmem
    1..2
    ok 1 bind
        KTAP version 1
        # Subtest: orders
        ok 1 4k
        not ok 2 2m
    # orders: pass:1 fail:1 skip:0 total:2
    not ok 2 orders
# guestmem: pass:1 fail:1 skip:0 total:2
not ok 1 guestmem
"""
        self.assertEqual(verdicts(text), [("guestmem.bind", "passed"), ("guestmem.orders.4k", "passed"),
                                          ("guestmem.orders.2m", "failed")])

    def test_suite_fails_although_cases_pass(self):
        text = "1..1\n    1..1\n    ok 1 a\nnot ok 1 suite"
        self.assertEqual(verdicts(text), [("suite.a", "passed"), ("suite", "failed")])

    def test_plan_unmet(self):
        self.assertEqual(len(tap("1..3\nok 1 a\nok 2 b")[1]), 1)
        self.assertEqual(len(tap("1..1\n    1..2\n    ok 1 a\nok 1 suite")[1]), 1)

    def test_whole_program_skipped(self):
        self.assertEqual(program("TAP version 13\n1..0 # SKIP no kvm", 4), [("x", "skipped")])

    def test_skip_reasons(self):
        for line, want in (("ok 1 a # SKIP no numa", "no numa"), ("ok 1 a # SKIP - no kvm", "no kvm"),
                           ("ok 1 a # skip", "")):
            self.assertEqual(tap(line)[0], [Result("a", "skipped", [want])])
        self.assertEqual(skip_reason(["TAP version 13", "1..0 # SKIP - Requirement not met"]),
                         "Requirement not met")
        self.assertEqual(skip_reason(["a", "needs root", ""]), "needs root")
        self.assertEqual(skip_reason([]), "")

    def test_xfail_passes(self):
        self.assertEqual(verdicts("ok 1 a # XFAIL known"), [("a", "passed")])

    def test_prose_is_no_result(self):
        self.assertEqual(verdicts("ok then\nok, 3 done\nnot ok at all"), [])


class Programs(unittest.TestCase):
    def test_exit_status_alone(self):
        self.assertEqual(program("hello", 0), [("x", "passed")])
        self.assertEqual(program("hello", 4), [("x", "skipped")])
        self.assertEqual(program("hello", 1), [("x", "failed")])

    def test_dies_after_passing(self):
        self.assertEqual(program("1..1\nok 1 a", 139), [("x:a", "passed"), ("x", "failed")])

    def test_failed_leaf_counts_once(self):
        self.assertEqual(program("1..1\nnot ok 1 a", 1), [("x:a", "failed")])

    def test_lies_about_its_status(self):
        self.assertEqual(program("1..1\nnot ok 1 a", 0), [("x:a", "failed")])

    def test_plan_unmet_with_status_0(self):
        self.assertEqual(program("1..2\nok 1 a", 0), [("x:a", "passed"), ("x", "failed")])

    def test_times_out(self):
        self.assertEqual(program("1..2\nok 1 a", 137, limit=10, seconds=10)[-1], ("x", "failed"))

    def test_bails_out(self):
        self.assertEqual(program("Bail out! no memory", 0), [("x", "failed")])


class Splats(unittest.TestCase):
    def test_each_kind(self):
        for text in ("WARNING: CPU: 1 PID: 77 at mm/guestmem/core.c:10 f+0x1/0x2",
                     "BUG: KASAN: slab-use-after-free in f+0x1/0x2",
                     "BUG: sleeping function called from invalid context at mm/x.c:1",
                     "WARNING: possible circular locking dependency detected",
                     "INFO: possible recursive locking detected",
                     "WARNING: suspicious RCU usage",
                     "Oops: general protection fault, probably for non-canonical address",
                     "INFO: task test:77 blocked for more than 120 seconds.",
                     "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                     "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
                     "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
                     "UBSAN: array-index-out-of-bounds in mm/x.c:1:2",
                     "refcount_t: underflow; use-after-free.",
                     "Call Trace:"):
            self.assertEqual(len(kernel("fine", text, "more")), 1, text)

    def test_harmless(self):
        self.assertEqual(kernel("kasan: KernelAddressSanitizer initialized",
                                "Command line: console=ttyS0 oops=panic",
                                "BUGS are none", "guestmem-test: begin BUG: x"), [])

    def test_only_kernel_lines(self):
        self.assertEqual(find_splats(["BUG: KASAN: says a program", "WARNING: x", "Call Trace:"]), [])

    def test_caller_column(self):
        self.assertEqual(len(find_splats(["[    1.000000][   T77] WARNING: CPU: 0"])), 1)

    def test_asked_for_failure(self):
        self.assertEqual(kernel("FAULT_INJECTION: forcing a failure.", "name failslab, interval 1",
                                "CPU: 0 PID: 1 Comm: x", "Call Trace:", " <TASK>"), [])

    def test_failed_allocation(self):
        self.assertEqual(kernel("kvm_race: vmalloc error: size 4096, vm_struct allocation failed, mode:0x1",
                                "CPU: 0 PID: 1 Comm: x", "Call Trace:", " <TASK>"), [])

    def test_splat_after_asked_for_failure(self):
        self.assertEqual(len(kernel("FAULT_INJECTION: forcing a failure.", "Call Trace:",
                                    "WARNING: CPU: 0 PID: 1 at x")), 1)

    def test_names_the_program(self):
        splats = kernel("guestmem-test: begin a/b[shmem]", "WARNING: CPU: 0", "Call Trace:", " f+0x1/0x2")
        self.assertEqual([s.during for s in splats], ["a/b[shmem]"])
        self.assertEqual(len(splats[0].lines), 3)


class Boots(unittest.TestCase):
    def everything(self, job, kernel_log="", expected=""):
        with tempfile.TemporaryDirectory() as parent:
            d = os.path.join(parent, "debug")
            os.mkdir(d)
            for name, text in (("job.log", job), ("kernel.log", kernel_log), ("expected", expected)):
                with open(os.path.join(d, name), "w", encoding="utf-8") as f:
                    f.write(text)
            return judge(d + "/")

    def judge(self, *args, **kwargs):
        return count(self.everything(*args, **kwargs)[1])

    good = "\n@@gm boot normal\n\n@@gm begin a limit=9\nhello\n\n@@gm end a rc=0 s=1\n\n@@gm done\n"

    def test_good(self):
        self.assertEqual(self.judge(self.good, expected="a\n"), (1, 0, 0))

    def test_missing_program(self):
        self.assertEqual(self.judge(self.good, expected="a\nb\n"), (1, 1, 0))

    def test_missing_kind(self):
        self.assertEqual(self.judge(self.good, expected="kunit/*\n"), (1, 1, 0))

    def test_no_end(self):
        self.assertEqual(self.judge(self.good.replace("@@gm done", "")), (1, 1, 0))

    def test_dies_in_a_program(self):
        self.assertEqual(self.judge(self.good[:self.good.index("@@gm end")]), (0, 2, 0))

    def test_leak(self):
        self.assertEqual(self.judge(self.good + "@@gm leak a files=1\n"), (1, 1, 0))

    def test_splat(self):
        self.assertEqual(self.judge(self.good, "[    1.000000] WARNING: CPU: 0\n"), (1, 1, 0))

    def test_nothing_at_all(self):
        self.assertEqual(self.judge("", expected="a\n"), (0, 2, 0))

    def test_flavour(self):
        self.assertEqual(self.everything(self.good)[0], "normal")
        self.assertEqual(self.everything("")[0], "debug")

    def test_status_of_the_program(self):
        self.assertEqual(self.everything(self.good)[2], 0)
        self.assertEqual(self.everything(self.good.replace("rc=0", "rc=3"))[2], 3)
        self.assertEqual(self.everything(self.good[:self.good.index("@@gm end")])[2], 0)

    def test_fractions_of_a_second(self):
        self.assertEqual(Job(self.good.replace("s=1\n", "s=1.25\n").split("\n")).programs[0].seconds, 1.25)

    def test_output_without_newline(self):
        self.assertEqual(self.judge("\n@@gm begin a limit=9\nok 1 x\n@@gm end a rc=0 s=1\n\n@@gm done\n"),
                         (1, 0, 0))

    def test_total_line(self):
        self.assertEqual(total_line(3, 0, 0), "3 passed, 0 failed")
        self.assertEqual(total_line(3, 1, 2), "3 passed, 1 failed, 2 skipped")

    def test_leading_newline_of_marker_is_not_output(self):
        self.assertEqual(Job(self.good.split("\n")).programs[0].lines, ["hello"])


if __name__ == "__main__":
    unittest.main()
