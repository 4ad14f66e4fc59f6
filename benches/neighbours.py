#!/usr/bin/env python3
"""How long an honest program waits for the processor beside a hostile one.

usage: neighbours.py BRANT [--only HOSTILE] [--place run|node|isolate] [--format json]

The honest program wakes up every 5 ms, computes for about a quarter of a millisecond, and notes how
much later than its time it was done: 400 times. It runs alone first, then beside each hostile
program, on the same two cores: in two host processes (`run`), as two programs of one node (`node`),
and as two programs of `brant node --isolate`. Prints p50, p99 and the ratio of the p99 to the one
alone. Where a hostile program makes the machine unusable for the other one, it shows here.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TURNS = 400

HONEST = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $now (result i64)
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 8))) (i64.load (i32.const 8)))
  (func $work (result i64) (local $i i32) (local $x i64)
    (loop $l
      (local.set $x (i64.mul (i64.add (local.get $x) (i64.const 7)) (i64.const 0x5851f42d4c957f2d)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
    (local.get $x))
  (func (export "_start") (local $turn i32) (local $due i64)
    (local.set $due (call $now))
    (loop $l
      (local.set $due (i64.add (local.get $due) (i64.const 5000000)))
      ;; One subscription: the monotonic clock, at a point of time.
      (i32.store (i32.const 48) (i32.const 1))
      (i64.store (i32.const 56) (local.get $due))
      (i32.store16 (i32.const 72) (i32.const 1))
      (drop (call $poll (i32.const 32) (i32.const 128) (i32.const 1) (i32.const 24)))
      (i64.store (i32.const 1016) (call $work))
      (i64.store offset=1024 (i32.shl (local.get $turn) (i32.const 3))
        (i64.sub (call $now) (local.get $due)))
      (br_if $l (i32.lt_u
        (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const TURNS))))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const BYTES))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)))))
""".replace("TURNS", str(TURNS)).replace("BYTES", str(8 * TURNS))

HOSTILE = {
    "loop": '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))',
    "memory": """(module (memory (export "memory") 1)
      (func (export "_start") (local $at i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (loop $again
          (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
          (local.set $at (i32.add (local.get $at) (i32.const 4096)))
          (if (i32.ge_u (local.get $at) (i32.sub (i32.mul (memory.size) (i32.const 65536))
              (i32.const 8192)))
            (then (local.set $at (i32.const 0))))
          (br $again))))""",
    "calls": """(module
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (loop $l (drop (call $random (i32.const 0) (i32.const 64))) (drop (call $yield)) (br $l))))""",
    "output": """(module
      (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 2)
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 60000))
        (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
          (br $l))))""",
    "threads": """(module
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "env" "memory" (memory 1 1 shared))
      (export "memory" (memory 0))
      (func (export "wasi_thread_start") (param i32 i32) (loop (br 0)))
      (func (export "_start") (local $i i32)
        (loop $l (drop (call $spawn (i32.const 0)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16))))
        (loop (br 0))))""",
}


class Place:
    """Where both programs run; one folder and at most one node for each measurement."""

    def __init__(self, brant, kind):
        self.brant, self.kind = os.path.abspath(brant), kind
        self.folder = tempfile.mkdtemp(prefix="brant-neighbours-")
        os.mkdir(self.path("run"), 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.path("run"))
        self.children, self.node = [], "unix:" + self.path("node")
        if kind != "run":
            more = ["--isolate"] if kind == "isolate" else []
            more += ["--allow", "memory.wat=max-memory=1GiB"]
            args = ["node", "--listen", self.node, "--state", self.path("state"), *more]
            node = self.start(args, stdout=subprocess.PIPE)
            if b"listening" not in node.stdout.readline():
                sys.exit("the node does not start")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, args, **how):
        child = subprocess.Popen([self.brant, *args], cwd=self.folder, env=self.env, **how)
        self.children.append(child)
        return child

    def write(self, name, text):
        with open(self.path(name + ".wat"), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name + ".wat")

    def push(self, path):
        asked = [self.brant, "push", "--format", "json", path, self.node]
        out = subprocess.run(asked, env=self.env, check=True, stdout=subprocess.PIPE).stdout
        return json.loads(out)["id"]

    def begin_hostile(self, name):
        path = self.write(name, HOSTILE[name])
        if self.kind == "run":
            limits = ["--max-memory", "1GiB"]
            self.start(["run", *limits, path], stdout=subprocess.DEVNULL)
        else:
            # Its output floods a terminal.
            self.start(["attach", self.node, self.push(path)], stdout=subprocess.DEVNULL)
        time.sleep(1)

    def honest(self):
        """Milliseconds, one for each turn."""
        path = self.write("honest", HONEST)
        args = ["run", path] if self.kind == "run" else ["attach", self.node, self.push(path)]
        done = self.start(args, stdout=subprocess.PIPE)
        out, _ = done.communicate(timeout=120)
        if done.returncode or len(out) != 8 * TURNS:
            sys.exit(f"the honest program ended with {done.returncode} and {len(out)} bytes")
        # The first turns are those in which it is compiled.
        return [ns / 1e6 for ns in struct.unpack(f"<{TURNS}q", out)][20:]

    def end(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGKILL)
            child.wait()
        if self.kind == "isolate":
            # Host processes of a node that was killed bring their programs to the disk, and end.
            time.sleep(2)
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(brant, kind, hostile):
    place = Place(brant, kind)
    try:
        if hostile:
            place.begin_hostile(hostile)
        times = sorted(place.honest())
    finally:
        place.end()
    return {"p50_ms": statistics.median(times), "p99_ms": times[int(len(times) * 0.99)]}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("brant")
    parser.add_argument("--only", choices=HOSTILE)
    parser.add_argument("--place", choices=["run", "node", "isolate"])
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    # Two cores, whatever the machine has: one for each, and what is left over.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    if options.format == "text":
        print(f"{'place':10}{'beside':10}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}")
    for kind in [options.place] if options.place else ["run", "node", "isolate"]:
        alone = None
        for hostile in [None, *([options.only] if options.only else HOSTILE)]:
            found = measure(options.brant, kind, hostile)
            alone = alone or found["p99_ms"]
            found |= {"place": kind, "beside": hostile or "nobody", "ratio": found["p99_ms"] / alone}
            if options.format == "json":
                print(json.dumps(found), flush=True)
            else:
                line = f"{kind:10}{found['beside']:10}{found['p50_ms']:9.2f}{found['p99_ms']:9.2f}"
                print(f"{line}{found['ratio']:8.2f}", flush=True)


if __name__ == "__main__":
    main()
