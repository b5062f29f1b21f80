#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write recorded calls, as compare.py reads them, whose measurements Python has computed.

Usage: mrtd.py [--seed N] [--scenarios N]

Four of the digests have been seen of a real module; the others are of random sequences of
pages and chunks. All are SHA-384 by hashlib over the blocks that the specification names.
"""

import argparse
import hashlib
import random

TDR, TDVPR, TABLES, PAGES = 0x100000000, 0x100100000, 0x100200000, 0x100600000
PARAMS, SOURCE = 0x10000, 0x20000
ONES = "ffffffffffffffff"

SEEN = {
    "nothing": "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
               "274edebfe76f65fbd51ad2f14898b95b",
    "one page": "8f3e9a8aca6784eab874f7aa4dda5d49104a88047f1f86695ef2a88f5691a90e"
                "34aac48ce45ffa1f5a23c7d62980d570",
    "a page with its content, and one without":
        "8edb5659741d45ae539c3758a0397f52b9a47c48bb7d73d4bc9525f8743ed411"
        "c0d8c6404384939a4473567e8419f1b4",
    "a page of zeroes": "236f0efa607ff8843f1855d7ef80dc3dda8fb455787a186b8787212951eab009"
                        "6e3193bb26f817c2b63c21f5e10f9938",
}


class Scenario:
    """A TD as it is built: what is called, and what must be measured."""

    def __init__(self, name):
        self.name = name
        self.lines = []
        self.digest = hashlib.sha384()
        self.tables = set()
        self.next_table, self.next_page = TABLES, PAGES
        self.start()

    def call(self, leaf, rcx, rdx=0, r8=0, r9=0, out=(0, 0)):
        rcx_out, rdx_out = out
        self.lines.append(f"s {leaf:x} {rcx:x} {rdx:x} {r8:x} {r9:x} > "
                          f"0 {rcx_out:x} {rdx_out:x} {r8:x} {r9:x} {ONES} {ONES}")

    def keep(self, leaf, rcx, rdx=0):
        self.call(leaf, rcx, rdx, out=(rcx, rdx))

    def start(self):
        self.keep(9, TDR, 0x21)
        self.keep(8, TDR)
        for page in range(1, 7):
            self.keep(1, TDR + 0x1000 * page, TDR)
        for offset, value in (0, 1), (8, 3), (0x10, 4), (0x18, 0x1e), (0x28, 80):
            self.lines.append(f"w {PARAMS + offset:x} {value:x} > ok")
        self.call(0x15, TDR, PARAMS, out=(0, PARAMS))
        self.keep(10, TDVPR, TDR)
        for page in range(1, 6):
            self.keep(4, TDVPR + 0x1000 * page, TDVPR)
        self.keep(0x16, TDVPR)

    def table(self, gpa):
        for level in 3, 2, 1:
            entry = gpa >> (12 + 9 * level) << (12 + 9 * level) | level
            if entry not in self.tables:
                self.tables.add(entry)
                self.call(3, entry, TDR, self.next_table)
                self.next_table += 0x1000

    def block(self, what, gpa):
        self.digest.update((what.ljust(16, b"\0") + gpa.to_bytes(8, "little")).ljust(128, b"\0"))

    def add(self, gpa, content):
        self.table(gpa)
        for offset in range(0, 4096, 8):
            word = int.from_bytes(content[offset:offset + 8], "little")
            self.lines.append(f"w {SOURCE + offset:x} {word:x} > ok")
        self.call(2, gpa, TDR, self.next_page, SOURCE)
        self.next_page += 0x1000
        self.block(b"MEM.PAGE.ADD", gpa)

    def extend(self, gpa, content):
        self.call(0x10, gpa, TDR)
        self.block(b"MR.EXTEND", gpa)
        offset = gpa % 4096
        self.digest.update(content[offset:offset + 256])

    def finish(self):
        self.keep(0x11, TDR)
        self.lines.append(f"m {TDR:x} > {self.digest.hexdigest()}")
        self.lines.append("c > ok")
        if self.name in SEEN:
            assert self.digest.hexdigest() == SEEN[self.name], self.name
        print(f"# mrtd {self.name}", *self.lines, sep="\n")


def seen():
    zeroes = bytes(4096)
    pattern = bytes((7 * i + 3) & 0xff for i in range(4096))
    s = Scenario("nothing")
    s.finish()
    s = Scenario("one page")
    s.add(0, zeroes)
    s.finish()
    s = Scenario("a page with its content, and one without")
    s.add(0x1000, pattern)
    for gpa in range(0x1000, 0x2000, 0x100):
        s.extend(gpa, pattern)
    s.add(0x2000, pattern)
    s.finish()
    s = Scenario("a page of zeroes")
    s.add(0, zeroes)
    for gpa in range(0, 0x1000, 0x100):
        s.extend(gpa, zeroes)
    s.finish()


def sequence(rng, number):
    s = Scenario(f"random {number}")
    pages = {}
    for _ in range(rng.randint(1, 6)):
        gpa = rng.randrange(1 << rng.choice((21, 31, 47))) & ~0xfff
        if gpa not in pages:
            pages[gpa] = rng.randbytes(4096)
            s.add(gpa, pages[gpa])
        for _ in range(rng.randint(0, 5)):
            page = rng.choice(sorted(pages))
            s.extend(page + 0x100 * rng.randrange(16), pages[page])
    s.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenarios", type=int, default=12)
    args = parser.parse_args()
    seen()
    rng = random.Random(args.seed)
    for number in range(args.scenarios):
        sequence(rng, number)


if __name__ == "__main__":
    main()
