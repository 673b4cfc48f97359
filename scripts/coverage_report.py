"""Prints the line coverage of product code for each crate and fails under a minimum.

Usage: coverage_report.py FILE.lcov PERCENT

Product code is what ships: no tests, no test kit, no examples. Unit tests stand below the code they test, so in a file
everything from its test module on is left out; the compiler's own exclusion needs a nightly toolchain.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_PRODUCT = re.compile(r"(^|/)(tests|testing|examples|benches)(/|\.rs$)|/target/")
TEST_MODULE = re.compile(r"^#\[cfg\(test\)\]\nmod tests\b", re.MULTILINE)
SHOWN_FILES = 10


def read_lcov(path):
    """Maps each source file to its lines and how often each ran."""
    files, counts = defaultdict(dict), {}
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            counts = files[Path(rest)]
        elif kind == "DA":
            number, hits = rest.split(",")[:2]
            counts[int(number)] = max(counts.get(int(number), 0), int(hits))
    return files


def product_lines(path, counts):
    """The counts of a file's lines above its test module."""
    source = path.read_text()
    tests = TEST_MODULE.search(source)
    end = source.count("\n", 0, tests.start()) + 1 if tests else float("inf")
    return {line: hits for line, hits in counts.items() if line < end}


def percent(covered, total):
    return 100 * covered / total if total else 100.0


def print_row(name, covered, total):
    print(f"  {percent(covered, total):5.1f} %  {covered:6} of {total:6}  {name}")


def main():
    minimum = float(sys.argv[2])
    crates, files = defaultdict(lambda: [0, 0]), []
    for path, counts in read_lcov(Path(sys.argv[1])).items():
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else None
        if name is None or NOT_PRODUCT.search(name):
            continue
        lines = product_lines(path, counts)
        covered = sum(1 for hits in lines.values() if hits)
        files.append((name, covered, len(lines)))
        crate = crates["/".join(name.split("/")[:2])]
        crate[0] += covered
        crate[1] += len(lines)

    print(f"lines of product code that ran, least covered files of {len(files)} first:")
    for row in sorted(files, key=lambda row: percent(*row[1:]))[:SHOWN_FILES]:
        print_row(*row)
    print("crates:")
    for name, (covered, total) in sorted(crates.items()):
        print_row(name, covered, total)
    covered, total = (sum(column) for column in zip(*crates.values()))
    print_row("all", covered, total)
    if percent(covered, total) < minimum:
        sys.exit(f"coverage is under {minimum:g} %")


if __name__ == "__main__":
    main()
