#!/usr/bin/env python3
"""Moves clang and CPython in the midst of their work through two nodes, and compares what they make.

usage: moved.py BRANT DIR [--only clang|cpython] [--tier interp|jit] [--mode live|cold|postcopy]

DIR is what build-corpus.sh makes: DIR/wasm and DIR/data. Each program runs unmoved first; then, in
each tier and each way to move, it is moved after about a third of that time, and soon once more.
Output, exit code and files have to be the same. Prints a line for each run; exit code 1 if one
differs, or could not be moved twice before it ended.
"""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

CLANG = (
    "clang -cc1 -triple wasm32-wasip1 -emit-obj -O2 -resource-dir sysroot/lib/clang/22 "
    "-internal-isystem sysroot/include/wasm32-wasip1 -internal-isystem sysroot/include "
    "-o moved.o -x c moved.c"
).split()
# It takes clang several seconds: long enough to be moved twice.
FUNCTIONS = 200
FUNCTION = """
int f{n}(int *a, int n) {{
  int sum = {n}, i, j;
  for (i = 0; i < n; i++) {{
    switch (a[i] % 7) {{
    case 0: sum += a[i] * {n}; break;
    case 1: sum ^= a[(i * 3 + {n}) % n]; break;
    case 2: for (j = 0; j < i; j++) sum += a[j] << (j & 3); break;
    default: a[i] = sum + i;
    }}
  }}
  return sum;
}}
"""
PROGRAMS = {
    "clang": ("llvm.wasm", CLANG, "moved.o"),
    "cpython": ("cpython.wasm", ["bench.py", "20"], None),
}


class Bed:
    """A folder with two nodes."""

    def __init__(self, brant, data):
        self.brant, self.data = os.path.abspath(brant), os.path.abspath(data)
        self.folder = tempfile.mkdtemp(prefix="brant-moved-")
        os.mkdir(os.path.join(self.folder, "run"), 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=os.path.join(self.folder, "run"))
        self.nodes = [self.node(name) for name in ("east", "west")]

    def address(self, name):
        return "unix:" + os.path.join(self.folder, name)

    def node(self, name):
        args = [self.brant, "node", "--listen", self.address(name), "--state", name + ".state"]
        for module, _, _ in PROGRAMS.values():
            args += ["--allow", f"{module}=dir={self.data}::."]
            args += ["--allow", f"{module}=max-memory=4GiB"]
        node = subprocess.Popen(args, cwd=self.folder, env=self.env, stdout=subprocess.PIPE)
        if b"listening" not in node.stdout.readline():
            sys.exit(f"the node {name} does not start")
        return node

    def start(self, program, tier):
        module, args, _ = PROGRAMS[program]
        path = os.path.join(self.data, "..", "wasm", module)
        command = [self.brant, "run", "--tier", tier, "--dir", ".", os.path.normpath(path)]
        out = open(os.path.join(self.folder, "out"), "wb")
        return subprocess.Popen(
            command + args, cwd=self.data, env=self.env, stdout=out, stdin=subprocess.DEVNULL
        )

    def result(self, program, code):
        """All that a run has left behind."""
        with open(os.path.join(self.folder, "out"), "rb") as out:
            parts = [str(code).encode(), out.read()]
        made = PROGRAMS[program][2]
        if made:
            path = os.path.join(self.data, made)
            with open(path, "rb") as file:
                parts.append(file.read())
            os.remove(path)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16], code

    def ask(self, *args):
        told = subprocess.run([self.brant, *args], env=self.env, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(told.stderr.strip())
        return told.stdout

    def moved(self, program, tier, mode, seconds):
        run = self.start(program, tier)
        how = ["--" + mode, "--format", "json"]
        moves = []
        try:
            time.sleep(seconds / 3)
            moves.append(self.ask("migrate", str(run.pid), self.address("east"), *how))
            ident = json.loads(self.ask("ps", self.address("east"), "--format", "json"))["id"]
            # On a node what is hot is compiled, whatever tier it came from: it does not take long.
            time.sleep(seconds / 30)
            east, west = self.address("east"), self.address("west")
            moves.append(self.ask("migrate", ident, west, "--from", east, *how))
        except (RuntimeError, ValueError) as error:
            print(f"  {program} {tier} {mode}: not moved: {error}")
        code = run.wait()
        lines = [json.loads(line) for told in moves for line in told.splitlines()]
        stood = [line["downtime_ns"] / 1e6 for line in lines if line.get("stage") == "moved"]
        return self.result(program, code), stood

    def close(self):
        for node in self.nodes:
            node.kill()
            node.wait()
        shutil.rmtree(self.folder)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("brant")
    parser.add_argument("dir")
    parser.add_argument("--only", choices=PROGRAMS)
    parser.add_argument("--tier", choices=["interp", "jit"])
    parser.add_argument("--mode", choices=["live", "cold", "postcopy"])
    options = parser.parse_args()
    data = os.path.join(options.dir, "data")
    with open(os.path.join(data, "moved.c"), "w") as source:
        source.writelines(FUNCTION.format(n=n) for n in range(FUNCTIONS))
    bed, failed = Bed(options.brant, data), 0
    try:
        for program in [options.only] if options.only else PROGRAMS:
            for tier in [options.tier] if options.tier else ["interp", "jit"]:
                # The second one finds its code, as those that move do.
                for _ in range(2):
                    began = time.monotonic()
                    run = bed.start(program, tier)
                    expected = bed.result(program, run.wait())
                    seconds = time.monotonic() - began
                for mode in [options.mode] if options.mode else ["live", "postcopy"]:
                    found, stood = bed.moved(program, tier, mode, seconds)
                    is_same = found == expected and expected[1] == 0 and len(stood) == 2
                    failed += not is_same
                    times = ", ".join(f"{ms:.1f} ms" for ms in stood)
                    verdict = "the same" if is_same else f"DIFFERS: {found} for {expected}"
                    print(f"{program} {tier} {mode}: {verdict}; it stood for {times}", flush=True)
    finally:
        bed.close()
        os.remove(os.path.join(data, "moved.c"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
