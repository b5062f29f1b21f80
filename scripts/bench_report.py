#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turn what guestmem-bench printed into figures.

Usage: bench_report.py DIR BACKING...

DIR/BOOT/job.log, BOOT being count, move, walk or pause as far as they were booted, hold
lines
  sample BACKING MEASURE BYTES VARIANT VALUE UNIT
  absent BACKING MEASURE BYTES VARIANT REASON
Written to DIR: bench.csv, samples.csv, and plot/*.dat for bench_plot.gp. Printed:
tables, the goals, and what is missing. Exit status 0 if nothing that BACKING...
can have is missing.

A figure is the median of its samples. Its ratio to zeroing, or to copying, is to doing
that with as many bytes as its range has, by "rep stosb", or "rep movsb", in user space.
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


BOOTS = {"count": count_rows, "move": move_rows, "walk": walk_rows, "pause": pause_rows}

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


# --- files ------------------------------------------------------------------


def rounded(number):
    return "" if number is None else f"{number:.6g}"


def whole(number):
    return f"{number:.0f}" if number == int(number) else f"{number:.1f}"


def write_csv(results, directory):
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
    if "walk" in boots:
        print_heading("Time on an emulated CPU; ratio to native", backings)
        print_rows(walk_rows(), backings, with_native)
        print("An indication only: QEMU's TLB is not a processor's, and it is emptied at every exit.")
    if "pause" in boots:
        print_heading("Time of a guest between two accesses; ratio to copying", backings)
        print_rows(pause_rows(), backings, with_copying)
        print_copying_time(results)


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
    """Who moves a folio copies it: what is cheaper was compared with another way to copy."""
    for backing, key in results.samples:
        to_copying = results.ratio_copying(backing, key)
        if key.measure == "move" and to_copying is not None and to_copying < 1:
            yield f"{backing}: {' '.join(map(str, key))}: cheaper than copying alone"


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

    write_csv(results, args.dir)
    there = [b for b in args.backings if results.has(b)]
    write_plots(results, args.dir, there)
    print_tables(results, there, boots)
    print_clock(results)
    print_goals(results, there)

    lost = list(missing(results, args.backings, [row for boot in boots for row in BOOTS[boot]()]))
    lost += [f"{REFERENCE}: {' '.join(map(str, key))}" for key in references(boots, args.backings)
             if (REFERENCE, key) not in results.samples]
    lost += unbelievable(results)
    if lost:
        print(f"\n{len(lost)} figures are missing, or cannot be:")
        print("\n".join(f"    {text}" for text in lost[:MISSING_SHOWN]))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
