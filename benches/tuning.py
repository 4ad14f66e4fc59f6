#!/usr/bin/env python3
"""What the compiler's choices are worth: the corpus in variants of the example `tuned`, in turns.

usage: tuning.py DIR [--tuned FILE] [--rounds N] [--programs a,b] [--wasmtime] VARIANT [VARIANT ..]

DIR is what build-corpus.sh filled. A variant is a string of options of the example, such as '--stops never' or
'--without self-calls'; the empty string is the compiler as it is. Printed are ratios to the first variant: of the
time that the guest's own thread had a processor, compilation left out, the least of all rounds. With --wasmtime
its code, compiled before, is a last variant, of which the whole process counts.
"""
import argparse
import os
import resource
import subprocess

from compare import NOT_IN_CPU_GEOMEAN, STEADY, geomean

# Runs long enough that noise is small beside them: arguments in place of those of compare.py.
LONGER = {"calls": "200", "icalls": "400", "intmix": "1500", "lua": "bench.lua 20", "sqlite": "40", "json": "60",
          "zstd": "20", "fpkern": "40", "simdmix": "1500"}


def tuned(folder, binary, options, program):
    """Nanoseconds of one run."""
    args = LONGER.get(program, STEADY[program][2])
    words = [binary, *options.split(), f"{folder}/wasm/{program}.wasm", *args.split()]
    done = subprocess.run(words, cwd=f"{folder}/data", env={**os.environ, "BRANT_CPU_NS": "1"}, check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return int(done.stderr.split()[-1])


def wasmtime(folder, program):
    """Nanoseconds of one run of code that is there, its start included."""
    code = f"{folder}/data/{program}.cwasm"
    if not os.path.exists(code):
        subprocess.run([f"{folder}/bin/wasmtime", "compile", f"{folder}/wasm/{program}.wasm", "-o", code], check=True)
    args = LONGER.get(program, STEADY[program][2]).split()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([f"{folder}/bin/wasmtime", "run", "--allow-precompiled", "--dir", ".", code, *args], check=True,
                   cwd=f"{folder}/data", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int(1e9 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=os.path.abspath)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--tuned", type=os.path.abspath, default=f"{root}/target/release/examples/tuned")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--programs", help="comma-separated")
    parser.add_argument("--wasmtime", action="store_true")
    options = parser.parse_args()
    programs = options.programs.split(",") if options.programs else [p for p in STEADY if p not in NOT_IN_CPU_GEOMEAN]
    names = [variant or "as it is" for variant in options.variants] + ["wasmtime"] * options.wasmtime
    print(f"{'':10}" + "".join(f"{name:>26}" for name in names))
    ratios = {name: [] for name in names}
    for program in programs:
        least = dict.fromkeys(names, 1 << 62)
        for _ in range(options.rounds):
            for name, variant in zip(names, options.variants):
                least[name] = min(least[name], tuned(options.dir, options.tuned, variant, program))
            if options.wasmtime:
                least["wasmtime"] = min(least["wasmtime"], wasmtime(options.dir, program))
        first = least[names[0]]
        for name in names:
            ratios[name].append(least[name] / first)
        print(f"{program:10}" + "".join(f"{least[name] / first:>26.3f}" for name in names), flush=True)
    print(f"{'geomean':10}" + "".join(f"{geomean(ratios[name]):>26.3f}" for name in names))
    print(f"{'worst':10}" + "".join(f"{max(ratios[name]):>26.3f}" for name in names))


if __name__ == "__main__":
    main()
