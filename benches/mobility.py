#!/usr/bin/env python3
"""Figures about processes that move, each with what must be reached.

usage: mobility.py [--quick] [--no-build] [DIR]
       DIR is what build-corpus.sh filled; without it CPython is left out

Runs the example `mobility` (checkpoint, restore, fork, frames of compiled code), and adds what only whole
host processes show: the start from a snapshot, a frozen CPython against a cold one, and the instructions
of programs that can be stopped against those of programs that cannot (valgrind).
Figures go to standard output as they are found, and what is done at the moment to standard error.
A checkpoint is "made" when its file has the name, and "durable" when that is on the disk.
--quick takes fewer rounds and programs. --no-build takes what is in target/release, which may be old.
Times are medians; the machine may be shared, so compare only what one call prints.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BRANT = f"{ROOT}/target/release/brant"
EXAMPLE = f"{ROOT}/target/release/examples/mobility"
# They work long enough to be counted and never wait, which code that cannot be stopped cannot either.
COUNTED = ["nbody", "sudoku", "matrix", "mandelbrot"]
BEGAN = time.monotonic()


def tell(what):
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {what}", file=sys.stderr, flush=True)


def first_output_ms(words, stdin=b"", cwd=None):
    """From the start of a process to its first byte."""
    began = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd)
    process.stdin.write(stdin)
    process.stdin.close()
    byte = process.stdout.read(1)
    took = (time.perf_counter() - began) * 1e3
    process.kill()
    process.stdout.close()
    process.wait()
    assert byte, f"{words} has printed nothing"
    return took


def show(what, value, unit):
    print(f"{what:62}{value:9.4f} {unit}", flush=True)


def interleaved(runs, rounds):
    """Medians of several ways of starting, one after the other in each round."""
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, start in runs.items():
            times[name].append(start())
    return {name: statistics.median(list) for name, list in times.items()}


def starts(rounds):
    tell("starts of host processes")
    with tempfile.TemporaryDirectory() as scratch:
        snapshot = f"{scratch}/counter.brant"
        program = f"{ROOT}/programs/counter.wat"
        subprocess.run([BRANT, "run", "--checkpoint-at", "5", "--checkpoint-to", snapshot, "--stop", program],
                       stdout=subprocess.DEVNULL)
        medians = interleaved({
            "true": lambda: first_output_ms(["echo", "x"]),
            "snapshot": lambda: first_output_ms([BRANT, "run", snapshot]),
            "program": lambda: first_output_ms([BRANT, "run", f"{ROOT}/programs/hello.wat"]),
        }, rounds)
        show("new host process, `echo` to its first output", medians["true"], "ms")
        show("new host process, hello.wat to its first output", medians["program"], "ms")
        show("new host process, a snapshot to its first output", medians["snapshot"], "ms")
        show("the same, without what `echo` takes", medians["snapshot"] - medians["true"], "ms")


def cpython(folder, rounds):
    wasm = f"{folder}/wasm/cpython.wasm"
    if not os.path.exists(wasm):
        return
    data = f"{folder}/data"
    code = b"print('x', flush=True)\n"
    with tempfile.TemporaryDirectory() as scratch:
        frozen = f"{scratch}/cpython.brant"
        tell("freezes CPython")
        subprocess.run([BRANT, "freeze", "--dir", ".", wasm, "-i", "-q", "-o", frozen], cwd=data, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Neither finds code that an earlier start has left; a start that does is shown beside them.
        cold = [BRANT, "run", "--no-cache", "--dir", ".", wasm, "-i", "-q"]
        cached = [BRANT, "run", "--dir", ".", wasm, "-i", "-q"]
        warm = [BRANT, "run", "--no-cache", "--dir", ".", frozen]
        tell("starts CPython, cold and frozen")
        medians = interleaved({
            "cold": lambda: first_output_ms(cold, code, data),
            "cached": lambda: first_output_ms(cached, code, data),
            "frozen": lambda: first_output_ms(warm, code, data),
        }, rounds)
        show("CPython cold: start to first output", medians["cold"], "ms")
        show("CPython with cached code: start to first output", medians["cached"], "ms")
        show("CPython frozen: start to first output", medians["frozen"], "ms")
        show("CPython frozen: times quicker than cold", medians["cold"] / medians["frozen"], "")
        print(f"{'CPython: size of the frozen file':62}{os.path.getsize(frozen):9} bytes")


def instructions(words):
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", *words],
                              capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not found:
            raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return int(found[1])


def stops(names):
    if subprocess.run(["which", "valgrind"], capture_output=True).returncode:
        tell("no valgrind: instructions are not counted")
        return
    ratios = []
    for name in names:
        counts = []
        for stops in ("usual", "never"):
            tell(f"counts instructions of {name}, stops: {stops}")
            # Of what comes after the first run: that one compiles.
            once, again = (instructions([EXAMPLE, "run", name, stops, times]) for times in ("1", "4"))
            counts.append((again - once) / 3)
        ratios.append(counts[0] / counts[1])
        show(f"instructions of {name}: with stops / without", ratios[-1], "")
    show("geometric mean", statistics.geometric_mean(ratios), "")


def build():
    tell("builds the release")
    for words in (["-p", "brant"], ["-p", "brant-benches", "--example", "mobility"]):
        subprocess.run(["cargo", "build", "--release", "-q", *words], cwd=ROOT, check=True)


if __name__ == "__main__":
    args = sys.argv[1:]
    is_quick, builds = "--quick" in args, "--no-build" not in args
    folders = [arg for arg in args if not arg.startswith("--")]
    if builds:
        build()
    tell("checkpoint, restore, fork, frames")
    subprocess.run([EXAMPLE, *(["--quick"] if is_quick else [])], check=True)
    starts(8 if is_quick else 40)
    if folders:
        cpython(os.path.abspath(folders[0]), 3 if is_quick else 7)
    stops(COUNTED[:2] if is_quick else COUNTED)
    tell("done")
