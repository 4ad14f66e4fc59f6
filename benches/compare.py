#!/usr/bin/env python3
"""Runs the corpus under several engines, interleaved, and prints medians and ratios.

usage: compare.py DIR MODE [--runs N] [--cpu] [--engines a,b] [--programs x,y] [--extra 'NAME=COMMAND'] [--json FILE]

DIR is what build-corpus.sh and install-peers.sh filled. MODE is one of
  steady  time of one iteration, (T(big) - T(small)) / iterations: start-up and compilation cancel; native = 1
  cold    one whole run with every cache off: wall ms and peak MiB
  warm    one whole run after a run that filled the engine's own disk cache
  text    assembling and disassembling the printed text of large modules on one core: wall ms and peak MiB

An engine under test joins with --extra, for example
  --extra 'interp=target/release/brant run --tier interp --dir . {wasm} {args}'
In mode text, --extra names the program alone: 'brant=target/release/brant'.
With --cpu steady times are those of the processor, all threads together: what can be said on a machine that is busy.
Commands run in DIR/data. The machine may drift by 2x between minutes, so only ratios of one call count.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# program: (class, arguments of a small run, arguments of a big run, iterations between them)
STEADY = {
    "intmix": ("integer", "2", "400", 398),
    "zstd": ("integer", "1", "6", 5),
    "fpkern": ("float", "1", "16", 15),
    "memchase": ("memory", "1", "4", 3),
    "json": ("memory", "1", "24", 23),
    "calls": ("calls", "1", "80", 79),
    "icalls": ("indirect", "1", "40", 39),
    "lua": ("interpreter", "bench.lua 1", "bench.lua 6", 5),
    "sqlite": ("application", "1", "10", 9),
    "simdmix": ("simd", "1", "300", 299),
    "sysio": ("syscalls", "1000", "100000", 99000),
    "cpython": ("interpreter", "bench.py 1", "bench.py 8", 7),
}
CLANG = (
    "clang -cc1 -triple wasm32-wasip1 -emit-obj -O2 -resource-dir sysroot/lib/clang/22 "
    "-internal-isystem sysroot/include/wasm32-wasip1 -internal-isystem sysroot/include -o sort.o -x c sort.c"
)
COLD = {
    "hello": ("start", ""),
    "hello-wat": ("start", ""),
    "tightloop-wat": ("dispatch", ""),
    "loopmix-wat": ("dispatch", ""),
    "intmix": ("short", "2"),
    "lua": ("short", "bench.lua 1"),
    "json": ("short", "1"),
    "sqlite": ("short", "1"),
    "zstd": ("short", "1"),
    "resvg": ("application", "scene.svg out.png"),
    "cpython": ("huge", "bench.py 1"),
    "llvm": ("huge", CLANG),
}
TEXT = ["sqlite", "cpython"]
# memchase and sysio measure the machine and the kernel more than the engine.
NOT_IN_CPU_GEOMEAN = {"memchase", "sysio"}


def engines(folder, mode):
    """Command templates by engine name. wasmtime's disk cache must always be named: its default is on."""
    cache = "n" if mode == "cold" else "y"
    wasmtime = f"{folder}/bin/wasmtime run -C cache={cache} --dir . {{wasm}} {{args}}"
    table = {
        "native": "{native} {args}",
        "wasmtime": wasmtime,
        "winch": wasmtime.replace(f"cache={cache}", f"cache={cache},compiler=winch"),
        "wasmi": f"{folder}/wasmi/bin/wasmi run --dir . {{wasm}} {{args}}",
        # node 20 miscompiles fast API calls from WASI: its own switch turns them off.
        "node": f"node --no-warnings --no-turbo-fast-api-calls {HERE}/peers/node-wasi.mjs {{wasm}} {{args}}",
    }
    return {"wasmtime": table["wasmtime"]} if mode == "warm" else table


def text_tools(folder):
    """Command templates of assemblers and disassemblers."""
    return {
        "wasm-tools": {"asm": f"{folder}/bin/wasm-tools parse {{wat}} -o {{out}}",
                       "dis": f"{folder}/bin/wasm-tools print {{wasm}} -o {{out}}"},
        "wabt": {"asm": f"{folder}/bin/wat2wasm --enable-all --no-check {{wat}} -o {{out}}",
                 "dis": f"{folder}/bin/wasm2wat --enable-all --no-check {{wasm}} -o {{out}}"},
    }


def measure(folder, words, timeout_s, cores=None):
    """One process: wall and cpu seconds, peak KiB, exit status, first bytes of its output."""
    pin = ["taskset", "-c", cores] if cores else []
    with tempfile.TemporaryDirectory() as scratch:
        figures, out, err = (os.path.join(scratch, name) for name in ("figures", "out", "err"))
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            subprocess.run(
                [*pin, f"{folder}/bin/measure", figures, *words],
                cwd=f"{folder}/data", stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                env={**os.environ, "MEASURE_TIMEOUT": str(timeout_s)},
            )
        wall, user, system, peak_kib, status = open(figures).read().split()
        return {
            "wall": float(wall), "cpu": float(user) + float(system), "peak_kib": int(peak_kib), "status": int(status),
            "out": open(out, "rb").read(4000), "err": open(err, "rb").read()[-200:].decode("utf-8", "replace"),
        }


def run_program(folder, command, program, args, timeout_s):
    """One run of a corpus program, or None where there is no native build of it."""
    native = f"{folder}/native/{program}"
    if "{native}" in command and not os.path.exists(native):
        return None
    words = command.format(wasm=f"{folder}/wasm/{program}.wasm", native=native, args=args).split()
    return measure(folder, words, timeout_s)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def measure_program(folder, mode, commands, program, runs, timeout_s, clock="wall"):
    """Interleaved runs of one program: {engine: figures or {'error': text}}. Steady times are of `clock`."""
    row = (STEADY if mode == "steady" else COLD)[program]
    sizes = {"small": row[1], "big": row[2]} if mode == "steady" else {"small": row[1]}
    samples = {name: {size: [] for size in sizes} for name in commands}
    failed, reference = {}, {}
    for turn in range(runs + (mode == "warm")):
        for name, command in commands.items():
            for size, args in sizes.items():
                if name in failed:
                    break
                sample = run_program(folder, command, program, args, timeout_s)
                if sample is None:
                    failed[name] = "no native build"
                elif sample["status"]:
                    failed[name] = f"exit {sample['status']}: {sample['err'].strip()}"
                elif reference.setdefault(size, sample["out"]) != sample["out"]:
                    failed[name] = "output differs from the first engine's"
                elif turn or mode != "warm":
                    samples[name][size].append(sample)
    figures = {}
    for name in commands:
        if name in failed:
            figures[name] = {"error": failed[name]}
            continue

        def median(size, key, of=samples[name]):
            return statistics.median(s[key] for s in of[size])

        figures[name] = {
            "wall_ms": 1000 * median("small", "wall"), "cpu_ms": 1000 * median("small", "cpu"),
            "peak_mib": max(s["peak_kib"] for s in samples[name]["small"]) / 1024,
        }
        if mode == "steady":
            figures[name]["steady_ms"] = 1000 * (median("big", clock) - median("small", clock)) / row[3]
    return figures


def measure_text(folder, tools, program, runs, timeout_s):
    """{verb: {tool: figures}}: each tool on one core, on the text that wasm-tools prints."""
    wasm = f"{folder}/wasm/{program}.wasm"
    wat = f"{folder}/data/{program}.printed.wat"
    if not os.path.exists(wat):
        subprocess.run([f"{folder}/bin/wasm-tools", "print", wasm, "-o", wat], check=True)
    results = {"text_mib": os.path.getsize(wat) / 2**20}
    for verb in ("asm", "dis"):
        samples = {name: [] for name in tools}
        for _ in range(runs):
            for name, commands in tools.items():
                words = commands[verb].format(wat=wat, wasm=wasm, out="/dev/null").split()
                sample = measure(folder, words, timeout_s, cores="0")
                if sample["status"]:
                    sys.exit(f"{name} {verb} {program}: exit {sample['status']}: {sample['err']}")
                samples[name].append(sample)
        results[verb] = {
            name: {"wall_ms": 1000 * statistics.median(s["wall"] for s in of),
                   "peak_mib": max(s["peak_kib"] for s in of) / 1024}
            for name, of in samples.items()
        }
    return results


def print_text(results, ours):
    for program, rows in results.items():
        for verb in ("asm", "dis"):
            cells = ", ".join(f"{n} {f['wall_ms']:.0f} ms {f['peak_mib']:.0f} MiB" for n, f in rows[verb].items())
            print(f"{program} {verb} (text {rows['text_mib']:.0f} MiB): {cells}")
            for name in ours:
                best = min(f["wall_ms"] for n, f in rows[verb].items() if n not in ours)
                print(f"  {name}: {best / rows[verb][name]['wall_ms']:.2f}x the faster peer, "
                      f"peak {rows[verb][name]['peak_mib'] / rows['text_mib']:.2f}x the text")


def cpu_geomeans(results, commands):
    """Geometric mean of the ratio to native over the CPU programs that every engine ran: {engine: mean}, count."""
    cpu = [p for p in results if p not in NOT_IN_CPU_GEOMEAN and "steady_ms" in results[p].get("native", {})]
    shared = [p for p in cpu if all(results[p][name].get("steady_ms", 0) > 0 for name in commands)]
    if not shared:
        return {}, 0
    return {n: geomean([results[p][n]["steady_ms"] / results[p]["native"]["steady_ms"] for p in shared])
            for n in commands}, len(shared)


def print_summary(mode, results, commands, ours):
    if mode == "steady" and "native" in commands:
        means, count = cpu_geomeans(results, commands)
        if means:
            print(f"{'geomean':14}{f'{count} programs':13}" + "".join(f"{means[n]:12.2f}" for n in commands))
    if mode != "steady":
        print("(wall ms)")
    key = "steady_ms" if mode == "steady" else "wall_ms"
    # Each engine under test against each other engine, over the programs that both ran.
    for name in ours:
        for other in commands:
            both = [p for p, r in results.items() if r[name].get(key, 0) > 0 and r[other].get(key, 0) > 0
                    and (mode != "steady" or p not in NOT_IN_CPU_GEOMEAN)]
            if other != name and both:
                ratios = {p: results[p][name][key] / results[p][other][key] for p in both}
                worst = max(ratios, key=ratios.get)
                peak = geomean([results[p][name]["peak_mib"] / results[p][other]["peak_mib"] for p in both])
                print(f"{name} / {other}: time {geomean(ratios.values()):.2f}, worst {worst} {ratios[worst]:.2f}, "
                      f"peak memory {peak:.2f} ({len(both)} programs)")


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=os.path.abspath)
    parser.add_argument("mode", choices=["steady", "cold", "warm", "text"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="steady times of the processor, not of the clock")
    parser.add_argument("--engines", help="comma-separated; those of --extra always run")
    parser.add_argument("--programs", help="comma-separated")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for one run")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def compare(options):
    """Runs what the options say, prints the table, gives the figures."""
    extra = dict(item.split("=", 1) for item in options.extra)
    if options.mode == "text":
        tools = text_tools(options.dir)
        tools.update({name: {"asm": f"{program} asm {{wat}} -o {{out}}", "dis": f"{program} dis {{wasm}} -o {{out}}"}
                      for name, program in extra.items()})
        programs = options.programs.split(",") if options.programs else TEXT
        results = {p: measure_text(options.dir, tools, p, options.runs, options.timeout) for p in programs}
        print_text(results, list(extra))
        return results
    commands = engines(options.dir, options.mode)
    if options.engines:
        commands = {name: commands[name] for name in options.engines.split(",")}
    commands.update(extra)
    table = STEADY if options.mode == "steady" else COLD
    programs = options.programs.split(",") if options.programs else list(table)
    results = {}
    key = "steady_ms" if options.mode == "steady" else "wall_ms"
    print(f"{'program':14}{'class':13}" + "".join(f"{name:>12}" for name in commands))
    for program in programs:
        figures = results[program] = measure_program(
            options.dir, options.mode, commands, program, options.runs, options.timeout,
            "cpu" if options.cpu else "wall")
        native = figures.get("native", {}).get(key) if options.mode == "steady" else None
        cells = ["-" if "error" in f else f"{f[key] / (native or 1):.2f}" for f in figures.values()]
        print(f"{program:14}{table[program][0]:13}" + "".join(f"{cell:>12}" for cell in cells), flush=True)
        for name, f in figures.items():
            if "error" in f and name != "native":
                print(f"  {name}: {f['error']}", file=sys.stderr)
    print_summary(options.mode, results, commands, list(extra))
    return results


def main():
    options = parse_options()
    results = compare(options)
    if options.json:
        json.dump(results, open(options.json, "w"), indent=1)


if __name__ == "__main__":
    main()
