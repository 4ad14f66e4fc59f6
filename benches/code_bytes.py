#!/usr/bin/env python3
"""How many bytes of code it takes that programs can be stopped at every site.

usage: code_bytes.py DIR [--compile-times FILE]

DIR is what build-corpus.sh filled. Every function of every program is compiled with stops and without; printed is
the ratio of the bytes, for all of the code and for what comes before the first block that is for stops alone: nothing
that runs while nobody stops it lies behind. Small loops are there four times over where they can be stopped, for speed,
and once where not; the last column is with each of them there once. Takes the example `compile_times`.
"""
import argparse
import os
import re
import subprocess

from compare import STEADY, geomean


def code_bytes(binary, *words):
    """Bytes of all code, and of that before what is for stops alone."""
    done = subprocess.run([binary, "--top", "0", *words], check=True, capture_output=True, text=True)
    return [int(n) for n in re.search(r"(\d+) bytes of code, (\d+) of them", done.stdout).groups()]


def columns(ratios):
    """Three ratios as they are printed."""
    return "".join(f"{ratio:>{width}.2f}" for ratio, width in zip(ratios, (8, 8, 17)))


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=os.path.abspath)
    parser.add_argument("--compile-times", default=f"{root}/target/release/examples/compile_times")
    options = parser.parse_args()
    ratios = []
    print(f"{'':10}{'never stopped':>16}{'can be stopped':>16}{'all':>8}{'hot':>8}{'hot, loops once':>17}")
    for program in STEADY:
        wasm = f"{options.dir}/wasm/{program}.wasm"
        never, _ = code_bytes(options.compile_times, "--never-stops", wasm)
        whole, hot = code_bytes(options.compile_times, wasm)
        _, once = code_bytes(options.compile_times, "--without", "unrolled-loops", wasm)
        ratios.append((whole / never, hot / never, once / never))
        print(f"{program:10}{never:>16}{whole:>16}" + columns(ratios[-1]), flush=True)
    print(f"{'geomean':42}" + columns(map(geomean, zip(*ratios))))
    print(f"{'worst':42}" + columns(map(max, zip(*ratios))))


if __name__ == "__main__":
    main()
