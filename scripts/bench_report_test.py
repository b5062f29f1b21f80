#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of bench_report.py: nothing that is missing may go unnoticed."""

import contextlib
import csv
import io
import os
import subprocess
import sys
import tempfile
import unittest

import bench_report
from bench_report import GIB, KIB, MIB, Key

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench_report.py")
ZEROING_LINE = f"sample cpu zeroing {GIB} stosb {GIB} instructions"
COPYING_LINES = [f"sample cpu copying {size} movsb {size} instructions"
                 for size in bench_report.FOLIO_SIZES]
TIME_LINES = [f"sample cpu copying-time {size} words {size} ns" for size in bench_report.FOLIO_SIZES]


def sample(backing, key, value, unit="instructions"):
    return f"sample {backing} {key.measure} {key.bytes} {key.variant} {value} {unit}"


def all_keys(boot="count"):
    rows = list(bench_report.BOOTS[boot]())
    return dict.fromkeys(key for row in rows for key in (row.key, *bench_report.part_keys(row.key)))


def complete(backing, value=1000):
    return [sample(backing, key, value) for key in all_keys()]


def moved(backing, boot="move", unit="instructions"):
    return [sample(backing, key, 2 * key.bytes, unit) for key in all_keys(boot)
            if bench_report.can_have(backing, key)]


def counted(*stores):
    """Calls, so many that no two operations have the same number; all memory is punched."""
    numbers = {measure: 100 * i for i, measure in enumerate(
        dict.fromkeys(key.measure for key in all_keys("td")), 1)}
    numbers["td-punch"] = numbers["td-build"]
    return [sample(store, key, numbers[key.measure] + key.bytes // GIB, "calls")
            for store in stores for key in all_keys("td") if bench_report.can_have(store, key)]


def results_of(lines):
    results = bench_report.Results()
    with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
        f.write("\n".join(lines) + "\n")
        f.flush()
        results.read(f.name)
    return results


def missing_of(lines, *backings):
    return list(bench_report.missing(results_of(lines), backings, list(bench_report.count_rows())))


class Figures(unittest.TestCase):
    key = Key("punch", 2 * MIB, "mapped")

    def test_median(self):
        results = results_of([sample("shmem", self.key, v) for v in (900, 5, 10)])
        self.assertEqual(results.value("shmem", self.key), 10)

    def test_ratios(self):
        results = results_of([ZEROING_LINE, sample("native", self.key, 2 * MIB),
                              sample("shmem", self.key, 4 * MIB)])
        self.assertEqual(results.ratio_native("shmem", self.key), 2)
        self.assertEqual(results.ratio_zeroing("shmem", self.key), 2)

    def test_no_ratio_without_its_base(self):
        results = results_of([sample("shmem", self.key, 7)])
        self.assertIsNone(results.ratio_native("shmem", self.key))
        self.assertIsNone(results.ratio_zeroing("shmem", self.key))

    def test_only_instructions_compare_with_zeroing(self):
        key = Key("page-tables", GIB, "-")
        results = results_of([ZEROING_LINE, sample("shmem", key, 514, "pages")])
        self.assertIsNone(results.ratio_zeroing("shmem", key))

    def test_other_lines_are_no_samples(self):
        self.assertFalse(results_of(["@@gm end x rc=0", "sample shmem", "a sample of text is none"]).samples)


class Missing(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(missing_of(complete("shmem"), "shmem"), [])

    def test_every_single_figure(self):
        lines = complete("shmem")
        for index, line in enumerate(lines):
            with self.subTest(line):
                self.assertEqual(len(missing_of(lines[:index] + lines[index + 1:], "shmem")), 1)

    def test_backing(self):
        lost = missing_of(complete("shmem") +
                          [f"absent hugetlb-1G map {GIB} populate Operation not supported"],
                          "shmem", "hugetlb-1G")
        self.assertEqual(lost, ["hugetlb-1G: all of it: Operation not supported"])

    def test_pool_too_small(self):
        key = Key("attributes", 64 * GIB, "unmapped")
        for backing, allowed in (("hugetlb-2M", True), ("shmem", False)):
            lines = [line for line in complete(backing) if f" {key.measure} {key.bytes} " not in line]
            lines.append(f"absent {backing} {key.measure} {key.bytes} {key.variant} Cannot allocate memory")
            self.assertEqual(missing_of(lines, backing) == [], allowed)

    def test_pool_has_1g(self):
        lines = [line for line in complete("hugetlb-2M") if f" attributes {GIB} " not in line]
        lines.append(f"absent hugetlb-2M attributes {GIB} unmapped Cannot allocate memory")
        self.assertEqual(len(missing_of(lines, "hugetlb-2M")), 1)


class Goals(unittest.TestCase):
    def test_limits(self):
        key = Key("to-shared", 4 * KIB, "punch")
        results = results_of([ZEROING_LINE, sample("native", key, 700)])
        limits = {goal.text: goal.limit for goal in bench_report.goals(results)}
        self.assertEqual(limits["4K to shared, punched: native"], 700)
        self.assertAlmostEqual(limits["populate and map 1G: 1.05 x zeroing"], 1.05 * GIB)
        self.assertIsNone(limits["teardown of 1G: native / 50"])

    def test_verdicts(self):
        key = Key("attributes", MIB, "unmapped")
        results = results_of([ZEROING_LINE, sample("shmem", key, 5000), sample("hugetlb-2M", key, 5001)])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bench_report.print_goals(results, ["native", "shmem", "hugetlb-2M"])
        line = next(text for text in out.getvalue().split("\n") if text.startswith("attributes of 1M"))
        self.assertEqual(line.split()[-4:], ["5,000", "yes", "5,001", "NO"])


class Moves(unittest.TestCase):
    def test_folios(self):
        for backing, sizes in (("native", 0), ("shmem", 2), ("hugetlb-2M", 1), ("hugetlb-1G", 1)):
            keys = [key for key in all_keys("move") if bench_report.can_have(backing, key)]
            self.assertEqual(len({key.bytes for key in keys}), sizes, backing)

    def test_every_single_figure(self):
        rows = list(bench_report.move_rows())
        lines = complete("shmem") + moved("shmem")
        self.assertEqual(list(bench_report.missing(results_of(lines), ["shmem"], rows)), [])
        for index, line in enumerate(lines):
            if " move " in line or " remap " in line:
                with self.subTest(line):
                    results = results_of(lines[:index] + lines[index + 1:])
                    self.assertEqual(len(list(bench_report.missing(results, ["shmem"], rows))), 1)

    def test_ratio_copying(self):
        key = Key("move", 2 * MIB, "one")
        results = results_of(COPYING_LINES + [sample("shmem", key, 3 * MIB),
                                              sample("shmem", key._replace(measure="remap"), 9)])
        self.assertEqual(results.ratio_copying("shmem", key), 1.5)
        self.assertIsNone(results.ratio_copying("shmem", key._replace(measure="remap")))

    def test_goal(self):
        results = results_of(COPYING_LINES)
        limits = {goal.text: goal.limit for goal in bench_report.goals(results)}
        self.assertAlmostEqual(limits["2M folio moved: 1.10 x copying"], 1.1 * 2 * MIB)

    def test_cheaper_than_copying(self):
        key = Key("move", 2 * MIB, "one")
        for value, count in ((2 * MIB, 0), (2 * MIB - 1, 1)):
            results = results_of(COPYING_LINES + [sample("shmem", key, value)])
            self.assertEqual(len(list(bench_report.unbelievable(results))), count)


class Calls(unittest.TestCase):
    def test_mainline_build(self):
        calls = bench_report.mainline_calls(Key("td-build", GIB, None))
        self.assertEqual(calls, {bench_report.AUG: 262144, bench_report.ADD: 514})

    def test_mainline_removal(self):
        calls = bench_report.mainline_calls(Key("td-to-shared-merge", 2 * MIB, None))
        self.assertEqual(set(calls.values()), {512})
        self.assertEqual(len(calls), 5)

    def test_mainline_end(self):
        end = bench_report.mainline_calls(Key("td-teardown", GIB, None))
        self.assertEqual((end[bench_report.REMOVE], end[bench_report.RECLAIM]), (262144, 514))
        end = bench_report.mainline_calls(Key("td-teardown", 0, None))
        self.assertEqual(set(end.values()), {0})

    def test_mainline_does_not_move(self):
        for measure in ("td-migrate", "td-migrate-merge"):
            self.assertEqual(bench_report.mainline_calls(Key(measure, GIB, None)), {})

    def test_stores(self):
        self.assertEqual(bench_report.td_stores(["native", "hugetlb-1G", "shmem"]),
                         ["hugetlb-1G", "shmem-4K", "shmem"])
        self.assertFalse(bench_report.can_have("shmem-4K", Key("td-build-merge", GIB, "kicks")))
        self.assertFalse(bench_report.can_have("native", Key("td-build", GIB, "kicks")))

    def test_every_single_figure(self):
        rows, lines = list(bench_report.td_rows()), counted("hugetlb-2M", "shmem-4K")
        for index, line in enumerate(lines):
            with self.subTest(line):
                results = results_of(lines[:index] + lines[index + 1:])
                lost = list(bench_report.missing(results, ["hugetlb-2M", "shmem-4K"], rows))
                self.assertEqual(len(lost), 1)

    def test_memory_at_the_end(self):
        keys = [Key("td-teardown", size, bench_report.RECLAIM) for size in (0, GIB)]
        results = results_of([sample("shmem", key, value, "calls")
                              for key, value in zip(keys, (13, 533))])
        results.derive()
        self.assertEqual(results.value("shmem", bench_report.TD_RECLAIM), 520)
        self.assertIsNone(results.value("hugetlb-2M", bench_report.TD_RECLAIM))

    def test_punched_is_not_what_was_built(self):
        for removed, count in ((512, 0), (511, 1)):
            results = results_of([
                sample("shmem-4K", Key("td-build", GIB, bench_report.AUG), 512, "calls"),
                sample("shmem-4K", Key("td-punch", GIB, bench_report.REMOVE), removed, "calls")])
            self.assertEqual(len(list(bench_report.unbelievable(results))), count)

    def test_table(self):
        results = results_of([
            sample("shmem", Key("td-build", GIB, bench_report.AUG), 512, "calls"),
            sample("shmem", Key("td-build", GIB, bench_report.UNBLOCK), 0, "calls")])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bench_report.print_td(results, ["native", "shmem"])
        self.assertNotIn(bench_report.UNBLOCK, out.getvalue())
        line = next(text for text in out.getvalue().split("\n") if bench_report.AUG in text)
        self.assertEqual(line.split()[-3:], ["262,144", "-", "512"])


class Program(unittest.TestCase):
    """The whole of it, as scripts/bench calls it."""

    def run_it(self, count, walk, *backings, **more):
        with tempfile.TemporaryDirectory() as top:
            for name, lines in {"count": count, "walk": walk, **more}.items():
                if lines is not None:
                    os.mkdir(os.path.join(top, name))
                    with open(os.path.join(top, name, "job.log"), "w", encoding="utf-8") as f:
                        f.write("\n".join(lines) + "\n")
            done = subprocess.run([sys.executable, SCRIPT, top, *backings],
                                  capture_output=True, text=True, check=False)
            with open(os.path.join(top, "bench.csv"), encoding="utf-8") as f:
                return done, list(csv.DictReader(f))

    def test_complete(self):
        walk = [sample("shmem", Key("walk", GIB, "random"), 440000, "ps")]
        done, rows = self.run_it([ZEROING_LINE] + complete("shmem"), walk, "shmem")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(rows), len(all_keys()) + 2)

    def test_walk_is_missing(self):
        done, _ = self.run_it([ZEROING_LINE] + complete("shmem"), [], "shmem")
        self.assertEqual(done.returncode, 1)
        self.assertIn("shmem: walk", done.stdout)

    def test_zeroing_is_missing(self):
        done, _ = self.run_it(complete("shmem"), None, "shmem")
        self.assertEqual(done.returncode, 1)
        self.assertIn("zeroing", done.stdout)

    def test_all_boots(self):
        absent = "absent native move 4096 one Inappropriate ioctl for device"
        done, rows = self.run_it(
            [ZEROING_LINE] + complete("shmem") + complete("native"),
            [sample(backing, Key("walk", GIB, "random"), 440000, "ps") for backing in ("native", "shmem")],
            "native", "shmem", move=COPYING_LINES + moved("shmem") + [absent],
            pause=TIME_LINES + moved("shmem", "pause", "ns"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("native: n/a, this memory cannot be moved", done.stdout)
        ratios = {row["measure"]: row["ratio_copying"] for row in rows if row["backing"] == "shmem"}
        self.assertEqual((ratios["move"], ratios["remap"], ratios["move-time"]), ("2", "", "2"))

    def test_calls(self):
        done, rows = self.run_it([ZEROING_LINE] + complete("shmem"), None, "shmem",
                                 td=counted("shmem", "shmem-4K"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        units = {(row["backing"], row["unit"]) for row in rows if row["measure"] == "td-build"}
        self.assertEqual(units, {("shmem", "calls"), ("shmem-4K", "calls"),
                                 ("mainline-7.3", "calls-computed")})

    def test_a_store_without_calls(self):
        done, _ = self.run_it([ZEROING_LINE] + complete("shmem"), None, "shmem",
                              td=counted("shmem"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("shmem-4K: all of it", done.stdout)

    def test_copying_is_missing(self):
        for lines, count in ((COPYING_LINES, 0), (COPYING_LINES[1:], 1), ([], 1)):
            done, _ = self.run_it([ZEROING_LINE] + complete("shmem"), None, "shmem",
                                  move=lines + moved("shmem"))
            self.assertEqual(done.returncode, count, done.stdout)

    def test_boot_without_log(self):
        with tempfile.TemporaryDirectory() as top:
            os.mkdir(os.path.join(top, "move"))
            done = subprocess.run([sys.executable, SCRIPT, top, "shmem"],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cpu: copying", done.stdout)

    def test_nothing_at_all(self):
        done, rows = self.run_it([], None, "native", "shmem")
        self.assertEqual((done.returncode, rows), (1, []))
        self.assertIn("native: all of it", done.stdout)


if __name__ == "__main__":
    unittest.main()
