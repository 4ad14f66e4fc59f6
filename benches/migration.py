#!/usr/bin/env python3
"""Moves a process of 256 MiB that writes 50 MB/s back and forth between two nodes of this host.

usage: migration.py BRANT [--moves N] [--transport tls|unix|both] [--megabytes M] [--rate MB] [--cold]

Prints, for each transport, how long the guest stood (p50, p99, max) and how long a move took in all,
as the nodes report them. The machine may drift by 2x between minutes: runs of one call count.
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

WRITER = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") {wasm_pages})
  ;; a clock, a millisecond from now
  (data (i32.const 64)
    "\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\01\\00\\00\\00\\00\\00\\00\\00\\40\\42\\0f\\00\\00\\00\\00\\00")
  (func (export "_start") (local $at i32) (local $n i32) (local $seed i32)
    ;; all of the memory is in use
    (local.set $at (i32.const 65536))
    (loop $fill
      (i32.store (local.get $at) (local.get $at))
      (br_if $fill (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64)))
                             (i32.const {bytes}))))
    ;; each millisecond so many pages, at random
    (loop $for_ever
      (local.set $n (i32.const {pages}))
      (loop $write
        (local.set $seed
          (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store
          (i32.add (i32.const 4096)
            (i32.and (i32.shr_u (local.get $seed) (i32.const 4)) (i32.const {mask})))
          (local.get $seed))
        (br_if $write (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 20)))
      (br $for_ever))))
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Bed:
    """Two nodes and a program, in a folder of their own."""

    def __init__(self, brant, transport, megabytes, rate):
        self.brant = os.path.abspath(brant)
        self.folder = tempfile.mkdtemp()
        run = os.path.join(self.folder, "run")
        os.mkdir(run, 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=run, BRANT_TLS=os.path.join(self.folder, "tls"))
        self.children = []
        self.ask("node", "init", os.path.join(self.folder, "tls"))
        if transport == "tls":
            self.nodes = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        else:
            self.nodes = [f"unix:{self.folder}/{name}" for name in "ab"]
        for number, address in enumerate(self.nodes):
            # A checkpoint would be another thing to measure.
            node = self.start("node", "--listen", address, "--state",
                              os.path.join(self.folder, f"state{number}"),
                              "--checkpoint-every", "24h")
            node.stdout.readline()
        size = megabytes << 20
        text = WRITER.format(wasm_pages=size >> 16, bytes=size, pages=round(rate * 1e6 / 4096 / 1000),
                             mask=hex(size - 8192))
        program = os.path.join(self.folder, "writer.wat")
        with open(program, "w") as file:
            file.write(text)
        self.run = self.start("run", program)
        time.sleep(2)

    def start(self, *args):
        child = subprocess.Popen([self.brant, *args], env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE)
        self.children.append(child)
        return child

    def ask(self, *args):
        done = subprocess.run([self.brant, *args], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(args)}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def moves(self, count, options):
        """Moves the program, and gives the last line of each move."""
        self.ask("migrate", str(self.run.pid), self.nodes[0], *options)
        listed = self.ask("ps", self.nodes[0], "--format", "json")
        at = 0
        for _ in range(count):
            time.sleep(0.5)
            answer = self.ask("migrate", listed[0]["id"], self.nodes[1 - at], "--from",
                              self.nodes[at], "--format", "json", *options)
            at = 1 - at
            yield answer[-1]

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        shutil.rmtree(self.folder)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("brant")
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--transport", choices=["tls", "unix", "both"], default="both")
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    transports = ["unix", "tls"] if options.transport == "both" else [options.transport]
    print(f"{options.megabytes} MiB, {options.rate:g} MB/s written, {options.moves} moves")
    print("transport  stood p50  p99      max      | move p50  max      | MiB sent p50")
    for transport in transports:
        bed = Bed(options.brant, transport, options.megabytes, options.rate)
        try:
            moves = list(bed.moves(options.moves, ["--cold"] if options.cold else []))
        finally:
            bed.close()
        stood = sorted(move["downtime_ns"] / 1e6 for move in moves)
        total = sorted(move["ns"] / 1e6 for move in moves)
        sent = statistics.median(move["bytes"] / 2**20 for move in moves)
        p99 = stood[min(len(stood) - 1, int(len(stood) * 0.99))]
        print(f"{transport:9}  {statistics.median(stood):6.1f} ms  {p99:5.1f} ms {stood[-1]:5.1f} ms"
              f" | {statistics.median(total):6.0f} ms {total[-1]:5.0f} ms | {sent:.0f}")


if __name__ == "__main__":
    main()
