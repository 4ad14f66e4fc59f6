#!/usr/bin/env python3
"""What threads cost, under each policy: to start one and wait for it, to switch, to have many idle.

    benches/threads.py [BRANT]          default: target/release/brant

Each figure is the difference between a run with many and one with half of them, the least of nine
each, divided by the difference of their numbers, so that start-up does not count. The runs are in
turns for all policies. What a thread that stands in a blocking call costs the others is the time that one
takes which computes alone, against the time that it takes beside one that reads a pipe to which nobody writes,
and beside ten of them. Times depend on the machine and on who else uses it: compare within
one run.
"""

import os
import subprocess
import sys
import tempfile
import time

POLICIES = ["user", "kernel", "hybrid"]
PAIRS = 9

HEAD = """(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "memory" (memory 1 1 shared))
  (func $wait (param $at i32) (param $while i32)
    (loop $again
      (drop (memory.atomic.wait32 (local.get $at) (local.get $while) (i64.const -1)))
      (br_if $again (i32.eq (i32.atomic.load (local.get $at)) (local.get $while)))))
  (func $signal (param $at i32)
    (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
    (drop (memory.atomic.notify (local.get $at) (i32.const -1))))
"""

# One thread after the other.
SPAWN = HEAD + """
  (func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 4)))
  (func (export "_start") (local $i i32)
    (loop $more
      (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
      (call $wait (i32.const 4) (local.get $i))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (i32.const COUNT))))))
"""

# Two threads that wake each other: two switches a round, COUNT switches in all.
SWITCH = HEAD + """
  (func $rounds (param $mine i32) (param $other i32) (local $i i32)
    (loop $more
      (call $wait (local.get $mine) (local.get $i))
      (call $signal (local.get $other))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (i32.const HALF)))))
  (func (export "wasi_thread_start") (param i32 i32)
    (call $rounds (i32.const 4) (i32.const 8)))
  (func (export "_start")
    (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
    (call $signal (i32.const 4))
    (call $rounds (i32.const 8) (i32.const 4))))
"""

# COUNT threads that wait for ever.
IDLE = HEAD + """
  (func (export "wasi_thread_start") (param i32 i32)
    (call $signal (i32.const 4))
    (call $wait (i32.const 8) (i32.const 0)))
  (func (export "_start") (local $i i32)
    (loop $more
      (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (call $exit (i32.const 1))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (i32.const COUNT))))
    (loop $join
      (local.set $i (i32.atomic.load (i32.const 4)))
      (if (i32.lt_u (local.get $i) (i32.const COUNT))
        (then (call $wait (i32.const 4) (local.get $i)) (br $join))))
    (call $exit (i32.const 0))))
"""


# One thread computes, COUNT others stand in a read of standard input.
READ = '  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))\n'
BLOCKED = HEAD.replace('  (import "env"', READ + '  (import "env"') + """
  (func $compute (local $i i32) (local $x i32)
    (loop $more
      (local.set $x (i32.mul (i32.add (local.get $x) (local.get $i)) (i32.const 1664525)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200000000))))
    (i32.store (i32.const 64) (local.get $x)))
  (func (export "wasi_thread_start") (param $id i32) (param $reads i32)
    (if (local.get $reads)
      (then
        (i32.store (i32.const 16) (i32.const 128))
        (i32.store (i32.const 20) (i32.const 8))
        (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
        (unreachable)))
    (call $compute)
    (call $signal (i32.const 4)))
  (func (export "_start") (local $i i32)
    (block $none
      (loop $more
        (br_if $none (i32.ge_u (local.get $i) (i32.const COUNT)))
        (if (i32.lt_s (call $spawn (i32.const 1)) (i32.const 1)) (then (unreachable)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
    (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
    (call $wait (i32.const 4) (i32.const 0))
    (call $exit (i32.const 0))))
"""


def run(brant, text, count, policy, folder):
    """Seconds that a run took, and the most memory that it had, in KiB."""
    path = os.path.join(folder, "threads.wat")
    text = text.replace("COUNT", str(count)).replace("HALF", str(count // 2))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    limits = ["--max-threads", str(count + 1), "--max-instances", str(count + 10)]
    command = [brant, "run", "--threads", policy, *limits, path]
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    _, status, usage = os.wait4(child.pid, 0)
    child.stdin.close()
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {status}")
    return time.monotonic() - began, usage.ru_maxrss


def each(brant, name, text, count, folder):
    """Prints what one of COUNT things costs under each policy."""
    best = {(policy, part): float("inf") for policy in POLICIES for part in (1, 2)}
    for _ in range(PAIRS):
        for policy in POLICIES:
            for part in (1, 2):
                took, _ = run(brant, text, count * part // 2, policy, folder)
                best[policy, part] = min(best[policy, part], took)
    cost = {policy: (best[policy, 2] - best[policy, 1]) / (count // 2) for policy in POLICIES}
    row = "  ".join(f"{policy} {cost[policy] * 1e6:8.2f} us" for policy in POLICIES)
    print(f"{name:16} {row}", flush=True)


def main():
    brant = sys.argv[1] if len(sys.argv) > 1 else "target/release/brant"
    with tempfile.TemporaryDirectory() as folder:
        each(brant, "spawn and join", SPAWN, 4_000, folder)
        each(brant, "switch", SWITCH, 40_000, folder)
        for policy in ["user", "hybrid"]:
            _, few = run(brant, IDLE, 100, policy, folder)
            _, many = run(brant, IDLE, 2_100, policy, folder)
            print(f"idle thread      {policy} {(many - few) / 2_000:.1f} KiB", flush=True)
        for policy in ["user", "hybrid"]:
            took, kib = run(brant, IDLE, 100_000, policy, folder)
            print(f"100,000 idle     {policy} {kib / 1024:.0f} MiB resident, {took:.1f} s", flush=True)
        best = {count: float("inf") for count in (0, 1, 10)}
        for _ in range(PAIRS):
            for count in best:
                best[count] = min(best[count], run(brant, BLOCKED, count, "hybrid", folder)[0])
        beside = "  ".join(f"beside {count}: {best[0] / best[count]:.3f}" for count in (1, 10))
        print(f"who computes     hybrid {best[0] * 1e3:.0f} ms alone; its speed {beside} that block", flush=True)


if __name__ == "__main__":
    main()
