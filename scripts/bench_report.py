#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turn what guestmem-bench printed into figures.

Usage: bench_report.py DIR BACKING...

DIR/BOOT/job.log, BOOT being count, move, td, walk or pause as far as they were booted,
hold lines
  sample BACKING MEASURE BYTES VARIANT VALUE UNIT
  absent BACKING MEASURE BYTES VARIANT REASON
Written to DIR: bench.csv, samples.csv, and plot/*.dat for bench_plot.gp. Printed:
tables, the goals, and what is missing. Exit status 0 if nothing that BACKING...
can have is missing.

A figure is the median of its samples. Its ratio to zeroing, or to copying, is to doing
that with as many bytes as its range has, by "rep stosb", or "rep movsb", in user space.

The memory of TDs is the one thing that is compared with what was not measured, but
computed: what mainline's way of doing it takes. Its unit in bench.csv says so.
"""

import argparse
import collections
import csv
import os
import statistics
import sys

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

Key = collections.namedtuple("Key", "measure bytes variant")
Row = collections.namedtuple("Row", "label key")
Figure = collections.namedtuple("Figure", "value unit spread")
Goal = collections.namedtuple("Goal", "text key limit")

NATIVE = "native"
REFERENCE = "cpu"
ZEROING = Key("zeroing", GIB, "stosb")
FOLIO_SIZES = (4 * KIB, 2 * MIB, GIB)

# --- what is measured -------------------------------------------------------

ATTRIBUTES_SIZES = (MIB, 16 * MIB, 256 * MIB, GIB, 4 * GIB, 64 * GIB)
PART_SIZES = (4 * KIB, 64 * KIB, 2 * MIB)

# "again" is a second conversion of what a first with a punch has left.
VARIANTS = {
    "keep": "not punched",
    "punch": "punched",
    "again": "punched again",
}
WAYS = {
    "to-shared": "to shared",
    "to-private": "to private, mapped",
}
# What each way consists of; in the table only the sums are shown.
PARTS = {
    "to-shared": ("attributes", "punch"),
    "to-private": ("attributes", "map"),
}


def size_text(size):
    for unit, name in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def conversion_rows(size, variants):
    for variant in variants:
        for way, label in WAYS.items():
            yield Row(f"{size_text(size)} {label}, {VARIANTS[variant]}", Key(way, size, variant))


def part_keys(key):
    """The parts of a conversion; nothing for other measures."""
    for part in PARTS.get(key.measure, ()):
        if part != "punch" or key.variant != "keep":
            yield key._replace(measure=f"{key.measure}.{part}")


def count_rows():
    """Every figure of the first boot, in the order of the table."""
    for size in ATTRIBUTES_SIZES:
        yield Row(f"attributes, {size_text(size)} unmapped", Key("attributes", size, "unmapped"))
    # The same call as a conversion: memory that is mapped can only become shared.
    yield Row("attributes, 1G mapped", Key("to-shared.attributes", GIB, "keep"))
    yield Row("fallocate 1G", Key("fallocate", GIB, "-"))
    yield Row("map 1G, allocated before", Key("map", GIB, "allocated"))
    yield Row("populate and map 1G", Key("map", GIB, "populate"))
    yield Row("page-table pages for 1G", Key("page-tables", GIB, "-"))
    for level in ("4K", "2M", "1G"):
        yield Row(f"entries of {level} for 1G", Key("mappings", GIB, level))
    for size in PART_SIZES:
        yield from conversion_rows(size, VARIANTS)
    yield from conversion_rows(GIB, ("keep", "punch"))
    for size in (2 * MIB, GIB):
        yield Row(f"punch {size_text(size)}", Key("punch", size, "mapped"))
    yield Row("teardown, empty", Key("teardown", GIB, "empty"))
    yield Row("teardown, 1G mapped", Key("teardown", GIB, "full"))


def move_rows():
    for size in FOLIO_SIZES:
        yield Row(f"{size_text(size)} folio, by itself", Key("move", size, "one"))
        if size < GIB:
            yield Row(f"{size_text(size)} folio, among others", Key("move", size, "many"))
        yield Row(f"mapping {size_text(size)} again", Key("remap", size, "one"))


def walk_rows():
    yield Row("random access in 1G", Key("walk", GIB, "random"))


def pause_rows():
    for size in FOLIO_SIZES:
        name = size_text(size)
        yield Row(f"{name} folios: longest gap, moving", Key("pause", size, "moving"))
        yield Row(f"{name} folios: longest gap, still", Key("pause", size, "still"))
        yield Row(f"{name} folios: time for each", Key("move-time", size, "many"))


# What shmem is called where it was asked for 4K; it is measured with 2M, too.
SMALL = "shmem-4K"
TD_STORES = {"shmem": (SMALL, "shmem"), "hugetlb-2M": ("hugetlb-2M",), "hugetlb-1G": ("hugetlb-1G",)}

ADD, SEPT_REMOVE, READ = "TDH.MEM.SEPT.ADD", "TDH.MEM.SEPT.REMOVE", "TDH.MEM.SEPT.RD"
AUG, REMOVE, PROMOTE = "TDH.MEM.PAGE.AUG", "TDH.MEM.PAGE.REMOVE", "TDH.MEM.PAGE.PROMOTE"
DEMOTE, RELOCATE = "TDH.MEM.PAGE.DEMOTE", "TDH.MEM.PAGE.RELOCATE"
BLOCK, UNBLOCK, TRACK = "TDH.MEM.RANGE.BLOCK", "TDH.MEM.RANGE.UNBLOCK", "TDH.MEM.TRACK"
RECLAIM, WBINVD = "TDH.PHYMEM.PAGE.RECLAIM", "TDH.PHYMEM.PAGE.WBINVD"
KICKS = "kicks"

TD_CALLS = (ADD, SEPT_REMOVE, READ, AUG, BLOCK, TRACK, KICKS, UNBLOCK, REMOVE, PROMOTE, DEMOTE,
            RELOCATE, RECLAIM, "others", "repeated", "refused")
TD_OPERATIONS = (
    Row("build 1G", Key("td-build", GIB, None)),
    Row("4K to shared", Key("td-to-shared", 4 * KIB, None)),
    Row("and back", Key("td-to-private", 4 * KIB, None)),
    Row("2M to shared", Key("td-to-shared", 2 * MIB, None)),
    Row("and back", Key("td-to-private", 2 * MIB, None)),
    Row("1G to shared", Key("td-to-shared", GIB, None)),
    Row("and back", Key("td-to-private", GIB, None)),
    Row("punch 1G", Key("td-punch", GIB, None)),
    Row("move 1G", Key("td-migrate", GIB, None)),
    Row("punch what was moved", Key("td-punch-moved", GIB, None)),
    Row("build 1G there", Key("td-rebuild", GIB, None)),
    Row("end, without memory", Key("td-teardown", 0, None)),
    Row("end, with 1G", Key("td-teardown", GIB, None)),
    Row("build 1G, merge", Key("td-build-merge", GIB, None)),
    Row("4K to shared", Key("td-to-shared-merge", 4 * KIB, None)),
    Row("and back, merge", Key("td-to-private-merge", 4 * KIB, None)),
    Row("move 1G, merge", Key("td-migrate-merge", GIB, None)),
)


# Of the latter two the difference, which the memory takes
TD_RECLAIM = Key("td-reclaim", GIB, RECLAIM)


def td_calls(key):
    """What is counted; the counter of kicks goes with the VM."""
    return [call for call in TD_CALLS if call != KICKS or key.measure != "td-teardown"]


def td_rows():
    for label, key in TD_OPERATIONS:
        for call in td_calls(key):
            yield Row(f"{label}: {call}", key._replace(variant=call))


BOOTS = {"count": count_rows, "move": move_rows, "td": td_rows, "walk": walk_rows,
         "pause": pause_rows}

# What is measured for a size of folios, and who has which: native has 4K that do not move.
OF_FOLIOS = ("move", "remap", "pause", "move-time")
FOLIOS = {
    NATIVE: (),
    "shmem": (4 * KIB, 2 * MIB),
    "hugetlb-2M": (2 * MIB,),
    "hugetlb-1G": (GIB,),
}


# What moving them is compared with, for as many bytes
COPYING = {
    "move": Key("copying", 0, "movsb"),
    "pause": Key("copying-time", 0, "words"),
    "move-time": Key("copying-time", 0, "words"),
}


def can_have(backing, key):
    if key.measure.startswith("td-"):
        merges = key.measure.endswith("-merge")
        return backing != NATIVE and not (merges and backing == SMALL)
    if backing == SMALL:
        return False
    return key.measure not in OF_FOLIOS or key.bytes in FOLIOS[backing]


# A hugetlb file of that size takes a pool of that size, and a multiple of its page.
def may_be_absent(backing, key):
    return backing.startswith("hugetlb-") and key.measure == "attributes" and key.bytes != GIB


# --- what was measured ------------------------------------------------------


class Results:
    """Samples by backing and key, and figures made of them."""

    def __init__(self):
        self.samples = collections.defaultdict(list)
        self.units = {}
        self.absent = {}

    def read(self, path):
        """A boot that did not come that far has no log, and so no figures."""
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                words = line.split()
                if len(words) < 6 or words[0] not in ("sample", "absent"):
                    continue
                key = Key(words[2], int(words[3]), words[4])
                if words[0] == "absent":
                    self.absent[words[1], key] = " ".join(words[5:])
                    continue
                self.samples[words[1], key].append(int(words[5]))
                self.units[words[1], key] = words[6]

    def derive(self):
        """What the memory of a TD takes at its end: all that it takes, but for a TD without."""
        for store in td_stores(TD_STORES):
            full, empty = (self.value(store, Key("td-teardown", size, RECLAIM)) for size in (GIB, 0))
            if full is not None and empty is not None:
                self.samples[store, TD_RECLAIM] = [full - empty]
                self.units[store, TD_RECLAIM] = "calls"

    def figure(self, backing, key):
        values = self.samples.get((backing, key))
        if not values:
            return None
        middle = statistics.median(values)
        spread = (max(values) - min(values)) / middle if middle else 0.0
        return Figure(middle, self.units[backing, key], spread)

    def value(self, backing, key):
        figure = self.figure(backing, key)
        return figure.value if figure else None

    def ratio_native(self, backing, key):
        return ratio(self.value(backing, key), self.value(NATIVE, key))

    def ratio_zeroing(self, backing, key):
        figure = self.figure(backing, key)
        if not figure or figure.unit != "instructions":
            return None
        return ratio(figure.value, self.zeroing(key.bytes))

    def has(self, backing):
        return any(b == backing for b, _ in self.samples)

    def zeroing(self, size):
        """Zeroing of that many bytes, at the price per byte of 1G."""
        all_of_it = self.value(REFERENCE, ZEROING)
        return all_of_it and all_of_it * size / ZEROING.bytes

    def copying(self, size):
        return self.value(REFERENCE, Key("copying", size, "movsb"))

    def ratio_copying(self, backing, key):
        reference = COPYING.get(key.measure)
        if not reference or key.variant == "still":
            return None
        return ratio(self.value(backing, key), self.value(REFERENCE, reference._replace(bytes=key.bytes)))


def td_stores(backings):
    return [store for backing in backings for store in TD_STORES.get(backing, ())]


def references(boots, backings):
    """What the figures of these boots are compared with."""
    if "count" in boots:
        yield ZEROING
    sizes = [size for size in FOLIO_SIZES if any(size in FOLIOS[b] for b in backings)]
    for measure in ("move", "pause"):
        if measure in boots:
            yield from (COPYING[measure]._replace(bytes=size) for size in sizes)


def ratio(value, to):
    return value / to if value is not None and to else None


def missing(results, backings, rows):
    """What BACKING... can have and do not, a line each; one for a backing that is not there."""
    keys = dict.fromkeys(key for row in rows for key in (row.key, *part_keys(row.key)))
    for backing in backings:
        if not results.has(backing):
            reasons = [r for (b, _), r in results.absent.items() if b == backing]
            yield f"{backing}: all of it" + (f": {reasons[-1]}" if reasons else "")
            continue
        for key in keys:
            if (backing, key) in results.samples or not can_have(backing, key):
                continue
            reason = results.absent.get((backing, key))
            if reason is None or not may_be_absent(backing, key):
                yield f"{backing}: {' '.join(map(str, key))}" + (f": {reason}" if reason else "")


# --- TDs in mainline --------------------------------------------------------

MAINLINE = "mainline-7.3"
# Of a path through the S-EPT to 1G: tables that are above those of 4K pages
UPPER_TABLES = 2


def mainline_calls(key):
    """Computed: 7.3 has 4K pages only, which do not move, and takes back each by itself.

    Tables stay until the TD ends. It takes back memory that is mapped then while the TD
    still has its key, and reclaims the tables after that.
    """
    pages = key.bytes // (4 * KIB)
    tables = pages // 512 + UPPER_TABLES if pages else 0
    removal = dict.fromkeys((BLOCK, TRACK, KICKS, REMOVE, WBINVD), pages)
    return {
        "td-build": {AUG: pages, ADD: tables},
        "td-rebuild": {AUG: pages},
        "td-to-shared": removal,
        "td-to-private": {AUG: pages},
        "td-punch": removal,
        "td-punch-moved": removal,
        "td-teardown": {**removal, RECLAIM: tables},
    }.get(key.measure.removesuffix("-merge"), {})


def mainline_figures():
    for _, key in TD_OPERATIONS:
        for call, number in mainline_calls(key).items():
            yield key._replace(variant=call), number


# --- files ------------------------------------------------------------------


def rounded(number):
    return "" if number is None else f"{number:.6g}"


def whole(number):
    return f"{number:.0f}" if number == int(number) else f"{number:.1f}"


def write_csv(results, directory, boots):
    with open(os.path.join(directory, "bench.csv"), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(("backing", "measure", "range_bytes", "variant", "value", "unit",
                      "ratio_native", "ratio_zeroing", "ratio_copying"))
        for backing, key in results.samples:
            figure = results.figure(backing, key)
            out.writerow((backing, *key, whole(figure.value), figure.unit,
                          rounded(results.ratio_native(backing, key)),
                          rounded(results.ratio_zeroing(backing, key)),
                          rounded(results.ratio_copying(backing, key))))
        for key, number in mainline_figures() if "td" in boots else ():
            out.writerow((MAINLINE, *key, number, "calls-computed", "", "", ""))
    with open(os.path.join(directory, "samples.csv"), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(("backing", "measure", "range_bytes", "variant", "run", "value", "unit"))
        for (backing, key), values in results.samples.items():
            for run, value in enumerate(values, 1):
                out.writerow((backing, *key, run, value, results.units[backing, key]))


# A plot has a column a backing, named at the top, and a line a key.
PLOTS = {
    "attributes": [(str(size), Key("attributes", size, "unmapped")) for size in ATTRIBUTES_SIZES],
    "populate": [("allocate", Key("fallocate", GIB, "-")),
                 ("map", Key("map", GIB, "allocated")),
                 ("allocate and map at once", Key("map", GIB, "populate"))],
    "convert": [(f"{size_text(size)} {way}", Key(measure, size, "punch"))
                for size in (*PART_SIZES, GIB)
                for way, measure in (("to shared", "to-shared"), ("back", "to-private"))],
    "release": [("punch 2M", Key("punch", 2 * MIB, "mapped")),
                ("punch 1G", Key("punch", GIB, "mapped")),
                ("end of VM, 1G", Key("teardown", GIB, "full"))],
    "move": [(f"{size_text(size)} {text}", Key("move", size, variant))
             for size in FOLIO_SIZES
             for variant, text in (("one", "by itself"), ("many", "among others"))
             if (size, variant) != (GIB, "many")],
    "walk": [("random access", Key("walk", GIB, "random"))],
    "pause": [(f"{size_text(size)} {variant}", Key("pause", size, variant))
              for size in FOLIO_SIZES for variant in ("moving", "still")],
}
# What these are divided by
PLOT_UNIT = {
    "populate": lambda results, key: results.value(REFERENCE, ZEROING),
    "move": lambda results, key: results.copying(key.bytes),
    "walk": lambda results, key: 1000,
    "pause": lambda results, key: 1000,
}


def write_plots(results, directory, backings):
    os.makedirs(os.path.join(directory, "plot"), exist_ok=True)
    for name, lines in PLOTS.items():
        if not any((b, key) in results.samples for b in backings for _, key in lines):
            continue
        unit = PLOT_UNIT.get(name, lambda results, key: 1)
        with open(os.path.join(directory, "plot", name + ".dat"), "w", encoding="utf-8") as f:
            print("what", *backings, file=f)
            for label, key in lines:
                values = (ratio(results.value(b, key), unit(results, key)) for b in backings)
                print(f'"{label}"' if " " in label else label,
                      *("-" if v is None else f"{v:.6g}" for v in values), file=f)


# --- terminal ---------------------------------------------------------------


def short(number):
    """Three digits that count: 987, 12.3k, 4.56M."""
    if number is None:
        return "-"
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= unit:
            number /= unit if name != "k" else 1e3
            digits = 2 if number < 10 else 1 if number < 100 else 0
            return f"{number:.{digits}f} {name}"
    return whole(number)


def time_text(nsecs):
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if nsecs >= unit:
            return f"{nsecs / unit:.3g} {name}"
    return f"{nsecs:.0f} ns"


def text_of(value, unit):
    if unit == "instructions":
        return short(value)
    if unit == "ns":
        return time_text(value)
    return f"{value / 1000:.1f} ns" if unit == "ps" else f"{value:,.0f}"


def times(number):
    if number is None:
        return ""
    if number >= 0.1:
        return f"{number:.2f}x" if number < 100 else f"{number:,.0f}x"
    return f"1/{1 / number:,.0f}" if number else "0"


LABEL, CELL = 38, 20
MISSING_SHOWN = 20


def print_heading(text, backings):
    print(f"\n{text}")
    print(" " * LABEL + "".join(f"{b:>{CELL}}" for b in backings))


def print_rows(rows, backings, cell):
    for row in rows:
        cells = [cell(b, row.key) for b in backings]
        if any(cells):
            print(f"{row.label:<{LABEL}}" + "".join(f"{c:>{CELL}}" for c in cells))


def not_there(results, backing, key):
    return "n/a" if (backing, key) in results.absent or not can_have(backing, key) else "missing"


def print_tables(results, backings, boots):
    def with_native(backing, key):
        value = results.value(backing, key)
        if value is None:
            return not_there(results, backing, key)
        to_native = "" if backing == NATIVE else times(results.ratio_native(backing, key))
        return f"{text_of(value, results.units[backing, key]):>9}{to_native:>10}"

    def with_zeroing(backing, key):
        to_zeroing = results.ratio_zeroing(backing, key)
        return "" if to_zeroing is None else f"{to_zeroing:.3f}x"

    def with_copying(backing, key):
        value = results.value(backing, key)
        if value is None:
            return not_there(results, backing, key)
        to_copying = results.ratio_copying(backing, key)
        digits = 3 if key.measure == "move" else 1
        to_copying = "" if to_copying is None else f"{to_copying:.{digits}f}x"
        return f"{text_of(value, results.units[backing, key]):>9}{to_copying:>10}"

    rows = list(count_rows())
    zeroes = [row for row in rows if row.key in (
        Key("fallocate", GIB, "-"), Key("map", GIB, "populate"),
        Key("to-private", 2 * MIB, "punch"), Key("to-private", GIB, "punch"))]
    print_heading("Instructions, pages and entries; ratio to native", backings)
    print_rows(rows, backings, with_native)
    print_heading("Instructions, ratio to zeroing as many bytes", backings)
    print_rows(zeroes, backings, with_zeroing)
    if "move" in boots:
        print_heading("Instructions to move a mapped folio; ratio to copying", backings)
        print_rows(move_rows(), backings, with_copying)
        print_immovable(results, backings)
        print_beyond(results, backings)
    if "td" in boots:
        print_td(results, backings)
    if "walk" in boots:
        print_heading("Time on an emulated CPU; ratio to native", backings)
        print_rows(walk_rows(), backings, with_native)
        print("An indication only: QEMU's TLB is not a processor's, and it is emptied at every exit.")
    if "pause" in boots:
        print_heading("Time of a guest between two accesses; ratio to copying", backings)
        print_rows(pause_rows(), backings, with_copying)
        print_copying_time(results)


TD_LABEL, TD_CELL = 46, 14


def print_td(results, backings):
    """Calls that nobody makes are left out, and what has none at all."""
    stores = td_stores(backings)
    print("\nCalls of the TDX module for the memory of a TD, counted; on the left computed")
    print(" " * TD_LABEL + "".join(f"{name:>{TD_CELL}}" for name in (MAINLINE, *stores)))
    for label, key in TD_OPERATIONS:
        computed = mainline_calls(key)
        for call in (*TD_CALLS, WBINVD):
            counts = [results.value(store, key._replace(variant=call)) for store in stores]
            if any(counts) or computed.get(call):
                cells = [computed.get(call), *counts]
                print(f"{label:<22}{call:<{TD_LABEL - 22}}" + "".join(
                    f"{'-' if c is None else f'{c:,.0f}':>{TD_CELL}}" for c in cells))
                label = ""
    print(f"{MAINLINE} is computed from its source: 4K pages only, which do not move, each removed\n"
          "by itself; without the TD's control pages. On hardware each 4K that comes back takes a\n"
          "WBINVD here, too; the software module has no caches. Pages are merged only where it is\n"
          "said. Repeated: busy or interrupted, which is chance; all other figures are exact.")


def print_immovable(results, backings):
    for (backing, key), reason in results.absent.items():
        if backing in backings and key.measure == "move":
            print(f"{backing}: n/a, this memory cannot be moved (GUESTMEM_MIGRATE: {reason}).")


def print_beyond(results, backings):
    keys = [Key("move", size, "one") for size in FOLIO_SIZES]
    parts = [f"{backing} {size_text(key.bytes)} {short(results.value(backing, key) - copying)}"
             for key in keys for backing in backings
             for copying in [results.copying(key.bytes)]
             if copying and (backing, key) in results.samples]
    print("Copying alone is an instruction a byte, beyond it a folio by itself takes:\n" +
          ", ".join(parts) + ".")


def print_copying_time(results):
    times = ((size, results.value(REFERENCE, Key("copying-time", size, "words")))
             for size in FOLIO_SIZES)
    print("Copying alone: " +
          ", ".join(f"{size_text(size)} {time_text(time)}" for size, time in times if time) +
          ". An indication only: an emulated CPU,\nand whatever else its host has to do.")


def print_clock(results):
    def clock(variant):
        return results.value(REFERENCE, Key("clock", 0, variant)) or 0

    spreads = sorted((results.figure(*k).spread, k) for k in results.samples
                     if results.units[k] == "instructions" and k[0] != REFERENCE)
    print("\nThe clock, guest TSC under -icount shift=0: a loop of 10,000,000 instructions took "
          f"{clock('loop-10M'):,.0f}\nticks, zeroing of 1G with rep stosb "
          f"{results.value(REFERENCE, ZEROING) or 0:,.0f}. An empty measure counts "
          f"{clock('nothing'):.0f},\nan empty teardown's wait {clock('settled'):,.0f}. "
          "Idle time is not counted. Samples of a figure differ by")
    if spreads:
        most, (backing, key) = spreads[-1]
        print(f"{statistics.median(s for s, _ in spreads):.3%} in the median, "
              f"{most:.1%} at most ({backing} {' '.join(map(str, key))}).")


# --- goals ------------------------------------------------------------------

# What native took on the base kernel when the goals were set. The native of this
# boot has ranges instead of attributes per page, as everybody here.
BASE_2M_TO_SHARED = 1560000
BASE_4K_TO_SHARED = 10000
BASE_4K_TO_PRIVATE = 34000
BASE_TEARDOWN = 2860 * (GIB // (4 * KIB))

TD_GOALS = (
    Goal("TD, build 1G: PAGE.AUG", Key("td-build", GIB, AUG), 520),
    Goal("TD, build 1G: SEPT.ADD", Key("td-build", GIB, ADD), 4),
    Goal("TD, 2M to shared: BLOCK", Key("td-to-shared", 2 * MIB, BLOCK), 1),
    Goal("TD, 2M to shared: TRACK", Key("td-to-shared", 2 * MIB, TRACK), 1),
    Goal("TD, 2M to shared: PAGE.REMOVE", Key("td-to-shared", 2 * MIB, REMOVE), 1),
    Goal("TD, punch 1G: BLOCK", Key("td-punch", GIB, BLOCK), 512),
    Goal("TD, punch 1G: TRACK", Key("td-punch", GIB, TRACK), 1),
    Goal("TD, punch 1G: kicks", Key("td-punch", GIB, KICKS), 1),
    Goal("TD, punch 1G: PAGE.REMOVE", Key("td-punch", GIB, REMOVE), 512),
    Goal("TD, end, beyond control pages: RECLAIM", TD_RECLAIM, 520),
)


def goals(results):
    """The limits; None if what one is made of was not measured."""

    def zeroing(size, factor=1.0, more=0):
        instructions = results.zeroing(size)
        return instructions and instructions * factor + more

    def native(key, part=1):
        instructions = results.value(NATIVE, key)
        return instructions and instructions / part

    yield Goal("populate and map 1G: 1.05 x zeroing", Key("map", GIB, "populate"),
               zeroing(GIB, factor=1.05))
    for size in ATTRIBUTES_SIZES:
        yield Goal(f"attributes of {size_text(size)}: 5,000", Key("attributes", size, "unmapped"), 5000)
    key = Key("to-shared", 2 * MIB, "punch")
    yield Goal("2M to shared, punched: native / 50", key, native(key, 50))
    yield Goal("2M to shared, punched: base's / 50", key, BASE_2M_TO_SHARED / 50)
    yield Goal("2M to private, mapped: zeroing + 30,000", Key("to-private", 2 * MIB, "punch"),
               zeroing(2 * MIB, more=30000))
    for way, base in (("to-shared", BASE_4K_TO_SHARED), ("to-private", BASE_4K_TO_PRIVATE)):
        for variant in ("punch", "again"):
            key = Key(way, 4 * KIB, variant)
            text = f"4K {WAYS[way].split(',')[0]}, {VARIANTS[variant]}"
            yield Goal(f"{text}: native", key, native(key))
            yield Goal(f"{text}: base's", key, base)
    key = Key("teardown", GIB, "full")
    yield Goal("teardown of 1G: native / 50", key, native(key, 50))
    yield Goal("teardown of 1G: base's / 50", key, BASE_TEARDOWN / 50)
    copying = results.copying(2 * MIB)
    yield Goal("2M folio moved: 1.10 x copying", Key("move", 2 * MIB, "one"),
               copying and copying * 1.1)
    yield from TD_GOALS


def print_goals(results, backings):
    backings = [b for b in backings if b != NATIVE]
    print(f"\n{'Goals, at most':<{LABEL + 2}}{'limit':>14}" +
          "".join(f"{b:>{CELL}}" for b in backings))
    for goal in goals(results):
        cells = []
        for backing in backings:
            measured = results.value(backing, goal.key)
            if measured is None or goal.limit is None:
                cells.append(not_there(results, backing, goal.key).replace("missing", "not measured"))
                continue
            cells.append(f"{measured:,.0f} {'yes' if measured <= goal.limit else 'NO':>3}")
        limit = "?" if goal.limit is None else f"{goal.limit:,.0f}"
        print(f"{goal.text:<{LABEL + 2}}{limit:>14}" + "".join(f"{c:>{CELL}}" for c in cells))


def unbelievable(results):
    """Who moves a folio copies it: what is cheaper was compared with another way to copy.

    And what is punched is what was built.
    """
    for backing, key in results.samples:
        to_copying = results.ratio_copying(backing, key)
        if key.measure == "move" and to_copying is not None and to_copying < 1:
            yield f"{backing}: {' '.join(map(str, key))}: cheaper than copying alone"
    for store in td_stores(TD_STORES):
        built, removed = (results.value(store, key) for key in (
            Key("td-build", GIB, AUG), Key("td-punch", GIB, REMOVE)))
        if built != removed:
            yield f"{store}: td-punch removes {removed}, td-build has built {built}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("backings", nargs="+", metavar="BACKING")
    args = parser.parse_args()

    results = Results()
    boots = [boot for boot in BOOTS
             if boot == "count" or os.path.isdir(os.path.join(args.dir, boot))]
    for boot in boots:
        results.read(os.path.join(args.dir, boot, "job.log"))
    results.derive()

    write_csv(results, args.dir, boots)
    there = [b for b in args.backings if results.has(b)]
    write_plots(results, args.dir, there)
    print_tables(results, there, boots)
    print_clock(results)
    print_goals(results, there)

    wanted = args.backings
    if "td" in boots and "shmem" in wanted:
        wanted = wanted + [SMALL]
    lost = list(missing(results, wanted, [row for boot in boots for row in BOOTS[boot]()]))
    lost += [f"{REFERENCE}: {' '.join(map(str, key))}" for key in references(boots, args.backings)
             if (REFERENCE, key) not in results.samples]
    lost += unbelievable(results)
    if lost:
        print(f"\n{len(lost)} figures are missing, or cannot be:")
        print("\n".join(f"    {text}" for text in lost[:MISSING_SHOWN]))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
