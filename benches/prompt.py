#!/usr/bin/env python3
"""How long the spreadsheet's prompt takes to answer while it recalculates, under each policy.

    benches/prompt.py [BRANT]           default: target/release/brant

A cell that takes hours is being recalculated; meanwhile another one is asked for 500 times, 5 ms
apart. A time is from writing the line to having its answer, through two pipes.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "programs/bin/spreadsheet.wasm"
QUESTIONS = 500
PAUSE_S = 0.005


def answer_times(brant, policy):
    """The times of all answers in seconds, sorted."""
    command = [brant, "run", "--threads", policy, PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as sheet:
        sheet.stdin.write(b"A1 = 9000000000\nA2 = primes(A1)\nB1 = 1\n")
        time.sleep(1)  # the compiler has done its work
        times = []
        for _ in range(QUESTIONS):
            time.sleep(PAUSE_S)
            began = time.perf_counter()
            sheet.stdin.write(b"B1\n")
            line = sheet.stdout.readline()
            times.append(time.perf_counter() - began)
            assert line == b"B1 = 1 (recalculating)\n", line
        sheet.stdin.write(b"quit\n")
    return sorted(times)


def main():
    brant = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/brant"
    print("policy  p50 ms  p99 ms  most ms")
    for policy in ["user", "kernel", "hybrid"]:
        times = answer_times(brant, policy)
        places = times[QUESTIONS // 2], times[QUESTIONS * 99 // 100], times[-1]
        print(f"{policy:<6}" + "".join(f"  {1000 * place:6.2f}" for place in places))


if __name__ == "__main__":
    main()
