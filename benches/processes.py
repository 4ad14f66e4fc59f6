#!/usr/bin/env python3
"""What processes of a program cost: many that wait, a pipe between two, one that is made and ends.

    benches/processes.py [BRANT]          default: target/release/brant

    idle     COUNT copies that wait at a pipe: resident memory and page tables of the host process, the
             difference between COUNT and a quarter of them, for each process; and the time to start
    pipe     a byte there and one back through two pipes between two processes: the difference of
             COUNT and half of them, the least of nine each
    made     fork, exit and wait for it, one after the other, likewise
    ran      fork, exec of a program of 200 bytes, exit and wait for it, likewise

Times depend on the machine and on who else uses it.
"""

import os
import subprocess
import sys
import tempfile
import time

PAIRS = 9
IDLE = 10_000

HEAD = """(module
  (import "wasix_32v1" "proc_fork" (func $fork (param i32 i32) (result i32)))
  (import "wasix_32v1" "proc_join" (func $join (param i32 i32 i32) (result i32)))
  (import "wasix_32v1" "proc_exec3" (func $exec
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasix_32v1" "fd_pipe" (func $pipe (param i32 i32) (result i32)))
  (import "wasix_32v1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasix_32v1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasix_32v1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "/bin/small.wasm")
  ;; 0 iovec, 8 count, 16 pid, 32 to 44 ends of two pipes, 64 option, 80 status, 100 the byte
  (func $check (param $errno i32) (if (local.get $errno) (then (unreachable))))
  (func $forked (result i32)
    (call $check (call $fork (i32.const 1) (i32.const 16))) (i32.load (i32.const 16)))
  (func $wait (i32.store (i32.const 64) (i32.const 0))
    (call $check (call $join (i32.const 64) (i32.const 0) (i32.const 80))))
  (func $byte (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1)))
  (func $get (param $fd i32)
    (call $byte) (call $check (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $put (param $fd i32)
    (call $byte) (call $check (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
"""

# All wait at a pipe to which nobody writes; says so when the last one has been made.
IDLES = HEAD + """
  (func (export "_start") (local $i i32)
    (call $check (call $pipe (i32.const 32) (i32.const 36)))
    (loop $more
      (if (i32.eqz (call $forked)) (then (call $get (i32.load (i32.const 32))) (call $exit (i32.const 0))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT))))
    (i32.store8 (i32.const 100) (i32.const 10))
    (call $put (i32.const 1))
    (call $get (i32.load (i32.const 32)))))
"""

PIPE = HEAD + """
  (func (export "_start") (local $i i32)
    (call $check (call $pipe (i32.const 32) (i32.const 36)))
    (call $check (call $pipe (i32.const 40) (i32.const 44)))
    (if (i32.eqz (call $forked)) (then
      (loop $more
        (call $get (i32.load (i32.const 32)))
        (call $put (i32.load (i32.const 44)))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT))))
      (call $exit (i32.const 0))))
    (loop $more
      (call $put (i32.load (i32.const 36)))
      (call $get (i32.load (i32.const 40)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT))))
    (call $wait)))
"""

MADE = HEAD + """
  (func (export "_start") (local $i i32)
    (loop $more
      (if (i32.eqz (call $forked)) (then (call $exit (i32.const 0))))
      (call $wait)
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT))))))
"""

RAN = HEAD + """
  (func (export "_start") (local $i i32)
    (loop $more
      (if (i32.eqz (call $forked)) (then
        (drop (call $exec (i32.const 512) (i32.const 15) (i32.const 512) (i32.const 15)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $exit (i32.const 1))))
      (call $wait)
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT))))))
"""

SMALL = '(module (memory (export "memory") 1) (func (export "_start")))'


def make(brant, folder, name, text):
    source, module = os.path.join(folder, f"{name}.wat"), os.path.join(folder, f"{name}.wasm")
    with open(source, "w") as file:
        file.write(text)
    subprocess.run([brant, "asm", source, "-o", module], check=True)
    return module


def once(brant, folder, module):
    began = time.perf_counter()
    subprocess.run([brant, "run", "--dir", f"{folder}::/bin:ro", module], check=True)
    return time.perf_counter() - began


def cost(brant, folder, name, text, count):
    """Seconds that one more costs."""
    modules = [make(brant, folder, f"{name}{n}", text.replace("COUNT", str(n))) for n in (count, count // 2)]
    times = [[], []]
    for _ in range(PAIRS):
        for module, found in zip(modules, times):
            found.append(once(brant, folder, module))
    return (min(times[0]) - min(times[1])) / (count - count // 2)


def memory_kib(pid):
    """Resident memory and page tables of a host process."""
    with open(f"/proc/{pid}/status") as file:
        rows = dict(line.split(":", 1) for line in file)
    return sum(int(rows[name].split()[0]) for name in ("VmRSS", "VmPTE"))


def idle(brant, folder, count):
    module = make(brant, folder, f"idle{count}", IDLES.replace("COUNT", str(count)))
    command = [brant, "run", "--max-processes", str(count + 10), "--max-memory", "16GiB", module]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    took, kib = time.perf_counter() - began, memory_kib(process.pid)
    process.kill()
    process.wait()
    return took, kib


def main():
    brant = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/brant")
    with tempfile.TemporaryDirectory() as folder:
        make(brant, folder, "small", SMALL)
        few, many = idle(brant, folder, IDLE // 4), idle(brant, folder, IDLE)
        each = (many[1] - few[1]) / (IDLE - IDLE // 4)
        print(f"idle: {IDLE} processes started in {many[0]:.2f} s, {each:.1f} KiB each")
        for name, text, count in [("pipe", PIPE, 40_000), ("made", MADE, 2_000), ("ran", RAN, 2_000)]:
            print(f"{name}: {cost(brant, folder, name, text, count) * 1e6:.2f} us")


main()
