#!/usr/bin/env python3
"""Runs the corpus under several engines, interleaved, and prints medians and ratios.

usage: compare.py DIR MODE [--runs N] [--cpu] [--engines a,b] [--programs x,y] [--extra 'NAME=COMMAND'] [--json FILE]

DIR is what build-corpus.sh and install-peers.sh filled. MODE is one of
  steady  time of one iteration, (T(big) - T(small)) / iterations: start-up and compilation cancel, also that of an
          engine that compiles while the program runs, since the small run is longer than its warm-up; native = 1
  cold    one whole run with every cache off: wall ms and peak MiB
  warm    one whole run after a run that filled the engine's own disk cache
  second  as warm, with the cache of every engine in a folder of its own that is empty at first; an engine that
          fills it ahead of time names that with --fill 'NAME=COMMAND', else its own first run does
  curve   programs that print a line after each of many equal pieces of work: when each line came, from which
          follows how fast an engine is how long after its start
  text    assembling and disassembling the printed text of large modules on one core: wall ms and peak MiB

An engine under test joins with --extra, for example
  --extra 'interp=target/release/brant run --tier interp --dir . {wasm} {args}'
In mode text, --extra names the program alone: 'brant=target/release/brant'.
With --json the figures go to a file, under the name of the mode; page.py makes a page of such files.
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
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# program: (class, arguments of a small run, arguments of a big run, iterations between them). Whoever compiles beside
# the program has done so within the small run: the hot code of json takes ten of its iterations.
STEADY = {
    "intmix": ("integer", "100", "500", 400),
    "zstd": ("integer", "3", "8", 5),
    "fpkern": ("float", "2", "17", 15),
    "memchase": ("memory", "1", "4", 3),
    "json": ("memory", "24", "60", 36),
    "calls": ("calls", "10", "90", 80),
    "icalls": ("indirect", "10", "50", 40),
    "lua": ("interpreter", "bench.lua 4", "bench.lua 10", 6),
    "sqlite": ("application", "10", "24", 14),
    "simdmix": ("simd", "30", "330", 300),
    "sysio": ("syscalls", "1000", "100000", 99000),
    "cpython": ("interpreter", "bench.py 4", "bench.py 11", 7),
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
# Programs that write each line at once, also to a pipe.
CURVE = {
    "lua": ("interpreter", "bench.lua 40"),
    "cpython": ("interpreter", "-u bench.py 20"),
}
TEXT = ["sqlite", "cpython"]
# Modes in which a first run fills a cache on disk.
CACHED = {"warm", "second"}
# memchase and sysio measure the machine and the kernel more than the engine.
NOT_IN_CPU_GEOMEAN = {"memchase", "sysio"}


def engines(folder, mode):
    """Command templates by engine name. wasmtime's disk cache must always be named: its default is on."""
    cache = "n" if mode in ("cold", "curve") else "y"
    wasmtime = f"{folder}/bin/wasmtime run -C cache={cache} --dir . {{wasm}} {{args}}"
    table = {
        "native": "{native} {args}",
        "wasmtime": wasmtime,
        "winch": wasmtime.replace(f"cache={cache}", f"cache={cache},compiler=winch"),
        "wasmi": f"{folder}/wasmi/bin/wasmi run --dir . {{wasm}} {{args}}",
        # node 20 miscompiles fast API calls from WASI: its own switch turns them off.
        "node": f"node --no-warnings --no-turbo-fast-api-calls {HERE}/peers/node-wasi.mjs {{wasm}} {{args}}",
    }
    return {"wasmtime": table["wasmtime"]} if mode in CACHED else table


def text_tools(folder):
    """Command templates of assemblers and disassemblers."""
    return {
        "wasm-tools": {"asm": f"{folder}/bin/wasm-tools parse {{wat}} -o {{out}}",
                       "dis": f"{folder}/bin/wasm-tools print {{wasm}} -o {{out}}"},
        "wabt": {"asm": f"{folder}/bin/wat2wasm --enable-all --no-check {{wat}} -o {{out}}",
                 "dis": f"{folder}/bin/wasm2wat --enable-all --no-check {{wasm}} -o {{out}}"},
    }


def measure(folder, words, timeout_s, cores=None, env=None):
    """One process: wall and cpu seconds, peak KiB, exit status, first bytes of its output."""
    pin = ["taskset", "-c", cores] if cores else []
    with tempfile.TemporaryDirectory() as scratch:
        figures, out, err = (os.path.join(scratch, name) for name in ("figures", "out", "err"))
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            subprocess.run(
                [*pin, f"{folder}/bin/measure", figures, *words],
                cwd=f"{folder}/data", stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                env={**os.environ, **(env or {}), "MEASURE_TIMEOUT": str(timeout_s)},
            )
        wall, user, system, peak_kib, status = open(figures).read().split()
        return {
            "wall": float(wall), "cpu": float(user) + float(system), "peak_kib": int(peak_kib), "status": int(status),
            "out": open(out, "rb").read(4000), "err": open(err, "rb").read()[-200:].decode("utf-8", "replace"),
        }


def run_program(folder, command, program, args, timeout_s, env=None):
    """One run of a corpus program, or None where there is no native build of it."""
    native = f"{folder}/native/{program}"
    if "{native}" in command and not os.path.exists(native):
        return None
    words = command.format(wasm=f"{folder}/wasm/{program}.wasm", native=native, args=args).split()
    return measure(folder, words, timeout_s, env=env)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def measure_program(folder, mode, commands, program, runs, timeout_s, fill=None, caches=None, clock="wall"):
    """Interleaved runs of one program: {engine: figures or {'error': text}}. `caches` names each engine's folder; steady times are of `clock`."""
    row = (STEADY if mode == "steady" else COLD)[program]
    sizes = {"small": row[1], "big": row[2]} if mode == "steady" else {"small": row[1]}
    samples = {name: {size: [] for size in sizes} for name in commands}
    failed, reference = {}, {}
    env = {name: {"XDG_CACHE_HOME": caches[name]} if caches else {} for name in commands}
    for name, command in (fill or {}).items():
        # A whole module is compiled, which may take as long as many runs.
        if name in commands:
            run_program(folder, command, program, row[1], 20 * timeout_s, env[name])
    for turn in range(runs + (mode in CACHED)):
        for name, command in commands.items():
            for size, args in sizes.items():
                if name in failed:
                    break
                patience_s = timeout_s if turn or mode not in CACHED else 20 * timeout_s
                sample = run_program(folder, command, program, args, patience_s, env[name])
                if sample is None:
                    failed[name] = "no native build"
                elif sample["status"]:
                    failed[name] = f"exit {sample['status']}: {sample['err'].strip()}"
                elif reference.setdefault(size, sample["out"]) != sample["out"]:
                    failed[name] = "output differs from the first engine's"
                elif turn or mode not in CACHED:
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


def read_lines(folder, words, timeout_s):
    """One process whose output is a pipe: seconds from the start to each line, and the lines, or its error."""
    start = time.monotonic()
    child = subprocess.Popen(
        ["timeout", str(timeout_s), *words], cwd=f"{folder}/data", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    times, lines, rest = [], [], b""
    while piece := os.read(child.stdout.fileno(), 1 << 16):
        now = time.monotonic() - start
        *ended, rest = (rest + piece).split(b"\n")
        times += [now] * len(ended)
        lines += ended
    error = child.stderr.read()[-200:].decode("utf-8", "replace").strip()
    return (times, lines, None) if child.wait() == 0 else ([], [], f"exit {child.returncode}: {error}")


def measure_curve(folder, commands, program, runs, timeout_s):
    """Interleaved runs of one program: {engine: {'at_ms': [time of each line]} or {'error': text}}."""
    samples, failed, reference = {name: [] for name in commands}, {}, None
    for _ in range(runs):
        for name, command in commands.items():
            native = f"{folder}/native/{program}"
            if name in failed or ("{native}" in command and not os.path.exists(native)):
                failed.setdefault(name, "no native build")
                continue
            words = command.format(wasm=f"{folder}/wasm/{program}.wasm", native=native, args=CURVE[program][1]).split()
            times, lines, error = read_lines(folder, words, timeout_s)
            reference = reference or lines
            if error or lines != reference:
                failed[name] = error or "output differs from the first engine's"
            samples[name].append(times)
    return {name: {"error": failed[name]} if name in failed
            else {"at_ms": [1000 * statistics.median(at) for at in zip(*of)]} for name, of in samples.items()}


def pieces_ms(at_ms):
    """How long each piece of work took; the first includes the start."""
    return [after - before for before, after in zip([0, *at_ms], at_ms)]


def peak_at_ms(at_ms):
    """When the pace of the second half was reached: the end of the first piece of which the median of it and its
    neighbours is at most a tenth longer."""
    pieces = pieces_ms(at_ms)
    peak = statistics.median(pieces[len(pieces) // 2:])
    around = (statistics.median(pieces[max(0, i - 1):i + 2]) for i in range(len(pieces)))
    return next(at for at, piece in zip(at_ms, around) if piece <= 1.1 * peak)


def print_curves(results):
    for program, figures in results.items():
        for name, f in figures.items():
            if "error" in f:
                print(f"{program:10} {name:12} {f['error']}")
                continue
            last = pieces_ms(f["at_ms"])[len(f["at_ms"]) // 2:]
            print(f"{program:10} {name:12} first line {f['at_ms'][0]:8.1f} ms, peak reached {peak_at_ms(f['at_ms']):8.1f} ms, "
                  f"a piece then {statistics.median(last):8.2f} ms, all {f['at_ms'][-1]:8.1f} ms")


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
    parser.add_argument("mode", choices=["steady", "cold", "warm", "second", "curve", "text"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="steady times of the processor, not of the clock")
    parser.add_argument("--engines", help="comma-separated; those of --extra always run")
    parser.add_argument("--programs", help="comma-separated")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--fill", action="append", default=[], metavar="NAME=COMMAND", help="mode second only")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for one run")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args(arguments)


def compare(options):
    """Runs what the options say, prints the table, gives the figures."""
    extra = dict(item.split("=", 1) for item in options.extra)
    fill = dict(item.split("=", 1) for item in options.fill)
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
    if options.mode == "curve":
        programs = options.programs.split(",") if options.programs else list(CURVE)
        results = {p: measure_curve(options.dir, commands, p, options.runs, options.timeout) for p in programs}
        print_curves(results)
        return results
    table = STEADY if options.mode == "steady" else COLD
    programs = options.programs.split(",") if options.programs else list(table)
    results = {}
    key = "steady_ms" if options.mode == "steady" else "wall_ms"
    print(f"{'program':14}{'class':13}" + "".join(f"{name:>12}" for name in commands))
    for program in programs:
        with tempfile.TemporaryDirectory() as folder:
            caches = {name: os.path.join(folder, name) for name in commands} if options.mode == "second" else None
            for cache in (caches or {}).values():
                os.mkdir(cache, 0o700)
            figures = results[program] = measure_program(
                options.dir, options.mode, commands, program, options.runs, options.timeout, fill, caches,
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
        json.dump({options.mode: results}, open(options.json, "w"), indent=1)


if __name__ == "__main__":
    main()
