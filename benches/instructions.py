#!/usr/bin/env python3
"""Exact instruction counts of single operations, as the difference of two callgrind runs.

usage: instructions.py [BRANT [WASMI]]     defaults to target/release/brant; needs valgrind

Each case is a module whose `run` export repeats one operation n times; (count(n2) - count(n1)) / (n2 - n1)
leaves neither start-up nor translation. The loop around the operation is subtracted by a case of its own.
Both tiers of brant are counted. What the compiler does is not quite the same in two runs (hash tables begin at a
random place), so everything in the tier jit is repeated a hundred times as often, and what is left is in the second digit
behind the point.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A loop of 1000 turns around BODY; the counter is local 0.
LOOP = """(module (memory 1) (table 1 funcref) (type $t (func (param i32) (result i32))) (elem (i32.const 0) $id)
  (func $id (param i32) (result i32) (local.get 0))
  (func (export "run") (param $n i32) (result i32) (local $x i32)
    (loop $l %s (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))"""
FIB_NAME = "call and return (fib, all of its instructions)"
FIB = """(module (func $fib (export "run") (param i32) (result i32)
  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"""


def fib_calls(n):
    a, b = 1, 1
    for _ in range(n - 1):
        a, b = b, a + b + 1
    return b if n else 1


def fib_case(small, big):
    """A case of CASES."""
    return FIB, small, big, fib_calls(big) - fib_calls(small), None


# name: (module, small argument, big argument, repetitions between the two, name of the case to subtract)
CASES = {
    "empty loop turn": (LOOP % "", 1000, 11000, 10000, None),
    FIB_NAME: fib_case(10, 20),
    "call and return (identity)": (LOOP % "(local.set $x (call $id (local.get $x)))", 1000, 11000, 10000, "empty loop turn"),
    "call_indirect and return (identity)": (
        LOOP % "(local.set $x (call_indirect (type $t) (local.get $x) (i32.const 0)))", 1000, 11000, 10000, "empty loop turn"),
    "i32.load (address in a local, to a local)": (
        LOOP % "(local.set $x (i32.load (local.get $x)))", 1000, 11000, 10000, "empty loop turn"),
    "i32.load (chained, address in the accumulator)": (
        LOOP % ("(local.set $x " + "(i32.load " * 10 + "(local.get $x)" + ")" * 11), 1000, 11000, 100000, "empty loop turn"),
    "i32.store": (LOOP % "(i32.store (local.get $x) (local.get $n))", 1000, 11000, 10000, "empty loop turn"),
    "i32.add": (LOOP % "(local.set $x (i32.add (local.get $x) (local.get $n)))", 1000, 11000, 10000, "empty loop turn"),
}


TIERS = {"interp": 1, "jit": 100}
# The number of calls of fib does not grow with its argument as loops do: 123 times as many as above.
FIB_OF_TIER = {"jit": fib_case(20, 30)}


def count(words):
    """Instructions of one process."""
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", *words],
            capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not found:
            raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return int(found[1])


def measure(brant, wasmi=None):
    """{case: {engine: instructions for each operation}}; a tier is an engine."""
    commands = {tier: lambda f, n, tier=tier: [brant, "run", "--tier", tier, "--invoke", "run", f, str(n)] for tier in TIERS}
    if wasmi and os.path.exists(wasmi):
        commands["wasmi"] = lambda f, n: [wasmi, "run", "--invoke", "run", f, str(n)]
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (text, small, big, repetitions, base) in CASES.items():
            file = f"{scratch}/case.wat"
            with open(file, "w") as out:
                out.write(text)
            results[name] = {}
            for engine, command in list(commands.items()):
                if name == FIB_NAME:
                    _, small, big, repetitions, _ = FIB_OF_TIER.get(engine, CASES[name])
                times = TIERS.get(engine, 1) if "$l" in text else 1
                loops = times * (big - small) * results[base][engine] if base else 0
                try:
                    difference = count(command(file, times * big)) - count(command(file, times * small)) - loops
                except RuntimeError as error:
                    if engine in TIERS:
                        raise
                    # A peer that was built for this very processor may have instructions that
                    # valgrind does not know.
                    print(f"{engine} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
                    del commands[engine]
                    continue
                results[name][engine] = difference / (times * repetitions)
            print(f"{name:50}" + "".join(f"{e:>8} {v:8.1f}" for e, v in results[name].items()), flush=True)
    return results


if __name__ == "__main__":
    default = f"{ROOT}/target/release/brant"
    measure(*(sys.argv[1:] or [default]))
