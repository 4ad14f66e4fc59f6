#!/usr/bin/env python3
"""Writes vm/start.ld: the functions that a start runs, side by side in the binary.

    cargo build --release && benches/start_order.py

A start runs some four hundred functions out of ten megabytes. The kernel maps code in pieces of
64 KiB around each page that is touched, so wherever those functions lie scattered, a start has
megabytes of memory that it does not use. Names are written without the hashes of the compiler:
what no longer fits a build is where the linker had it before.

Needs valgrind and nm.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "target/release/brant"
SCRIPT = ROOT / "vm/start.ld"
# Each group lies behind the one before; a function belongs to the first one that runs it.
STARTS = {
    "a program without options": [["run", "programs/hello.wat"], ["run", "programs/bin/calc.wasm"]],
    "the command line": [["run", "--dir", ".", "--tier", "auto", "programs/hello.wat"]],
}
# A name without its hash can stand for many functions, most of which a start does not run: they are
# welcome where they are small, all together or each.
BYTES_LIMIT = 12 << 10
SMALL_BYTES, SMALL_BYTES_LIMIT = 512, 96 << 10

HEAD = """\
/* The functions that a start runs, side by side. Made by benches/start_order.py, which says why. */
SECTIONS {
  .text.start : {
"""
TAIL = """\
  }
}
INSERT BEFORE .text;
"""


def pattern(symbol):
    """The name without what changes between compilers; None where nothing would be left of it."""
    if symbol.startswith("_R"):
        return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", symbol)
    found = re.match(r"(_ZN.*)17h[0-9a-f]{16}E", symbol)
    return found and found.group(1) + "17h*"


def functions_run(arguments):
    """The symbols of the functions that one run comes through."""
    with tempfile.NamedTemporaryFile() as profile:
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--demangle=no",
             f"--callgrind-out-file={profile.name}", str(BINARY), *arguments],
            cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        names = re.findall(r"fn=\(\d+\) (_[ZR]N?[^\s']+)", Path(profile.name).read_text())
        return set(names)


def is_small(size, count):
    """Whether functions may come along that share a name with one that is run."""
    tiny = count > 0 and size / count <= SMALL_BYTES and size <= SMALL_BYTES_LIMIT
    return tiny or 0 < size <= BYTES_LIMIT


def main():
    sizes, counts = defaultdict(int), defaultdict(int)
    for line in subprocess.run(["nm", "-S", BINARY], check=True, capture_output=True,
                               text=True).stdout.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tT" and pattern(fields[3]):
            sizes[pattern(fields[3])] += int(fields[1], 16)
            counts[pattern(fields[3])] += 1
    seen = set()
    with SCRIPT.open("w") as script:
        script.write(HEAD)
        for group, starts in STARTS.items():
            names = {pattern(symbol) for start in starts for symbol in functions_run(start)}
            names = sorted(
                name for name in names - seen - {None}
                if counts[name] == 1 or is_small(sizes[name], counts[name]))
            seen |= set(names)
            total = sum(sizes[name] for name in names)
            print(f"{group}: {len(names)} names, {total >> 10} KiB", file=sys.stderr)
            script.write(f"    /* {group} */\n")
            script.writelines(f"    *(.text.{name} .text.unlikely.{name})\n" for name in names)
        script.write(TAIL)


if __name__ == "__main__":
    main()
