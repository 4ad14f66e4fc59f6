#!/usr/bin/env python3
"""Measures everything and writes docs/BENCHMARKS.md.

usage: report.py DIR [--runs N] [--parts NAME,NAME..] [--brant FILE]

Parts: start, cold, warm, steady, curve, text, instructions, and the scripts of PRINTED below, whose output the
page shows as it came.

DIR is what build-corpus.sh and install-peers.sh filled. Builds brant first (release).
Parts that are not named keep the figures that the last run stored in DIR/report.json.
The page holds only figures that this script printed on this tree, with date, machine and versions.
`page.py DIR/report.json -o DIR/report.html` makes plots of the same figures.
"""
import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys

import compare
import instructions

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
INTRO = """# Benchmarks

Every figure here was printed by the command named beside it, on the tree of the commits below.
Machines are shared and drift by 2x between minutes, so only ratios inside one interleaved run mean something.
Times are medians over the number of runs that is named below; of a single run they are single samples, and a difference of two of them can come out far off, even negative.
Instruction counts are exact.

Make this page again: `benches/build-corpus.sh DIR && benches/install-peers.sh DIR && benches/report.py DIR`.
"""


# What brant is called in figures, by tier.
OURS = {"brant": "auto", "brant-interp": "interp", "brant-jit": "jit"}


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def options_for(folder, mode, runs, brant, engines=None, programs=None):
    words = [folder, mode, "--runs", str(runs), "--timeout", "300"]
    words += ["--engines", engines] if engines else []
    words += ["--programs", programs] if programs else []
    if mode == "text":
        return compare.parse_options([*words, "--extra", f"brant={brant}"])
    # A warm run finds what the run before it compiled; the interpreter has nothing to find.
    cache = "" if mode == "warm" else "--no-cache "
    for name, tier in OURS.items():
        if (mode, tier) == ("warm", "interp"):
            continue
        words += ["--extra", f"{name}={brant} run {cache}--tier {tier} --dir . {{wasm}} {{args}}"]
    return compare.parse_options(words)


def measure_start(folder, runs, brant):
    """hello.wat from text, hello.wasm, and the limited address space."""
    text = f"{ROOT}/benches/corpus/hello.wat"
    commands = {
        "brant, text": [brant, "run", text],
        "brant, bytecode": [brant, "run", f"{folder}/wasm/hello-wat.wasm"],
        "wasmi, text": [f"{folder}/wasmi/bin/wasmi", "run", text],
        "wasmi, bytecode": [f"{folder}/wasmi/bin/wasmi", "run", f"{folder}/wasm/hello-wat.wasm"],
        "wasmtime, text": [f"{folder}/bin/wasmtime", "run", "-C", "cache=n", text],
    }
    samples = {name: [] for name in commands}
    for _ in range(10 * runs):
        for name, words in commands.items():
            samples[name].append(compare.measure(folder, words, 60))
    rows = {name: {"wall_ms": 1000 * statistics.median(s["wall"] for s in of),
                   "peak_mib": statistics.median(s["peak_kib"] for s in of) / 1024} for name, of in samples.items()}
    for name, row in rows.items():
        print(f"{name:20} {row['wall_ms']:8.2f} ms {row['peak_mib']:8.2f} MiB")
    limited = {}
    for program, args in (("hello", ""), ("lua", "bench.lua 1"), ("sqlite", "1")):
        done = subprocess.run(
            [brant, "run", "--dir", ".", f"{folder}/wasm/{program}.wasm", *args.split()], cwd=f"{folder}/data",
            stdin=subprocess.DEVNULL, capture_output=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (262144 * 1024, 262144 * 1024)))
        limited[program] = done.returncode
    print("ulimit -v 262144:", limited)
    return {"rows": rows, "limited": limited}


def cell(figures, key):
    return "-" if key not in figures else f"{figures[key]:.2f}" if figures[key] < 100 else f"{figures[key]:.0f}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def ratio_line(results, key, other, programs):
    both = [p for p in programs if results[p]["brant"].get(key, 0) > 0 and results[p].get(other, {}).get(key, 0) > 0]
    if not both:
        return ""
    ratios = {p: results[p]["brant"][key] / results[p][other][key] for p in both}
    worst = max(ratios, key=ratios.get)
    return (f"brant / {other}: geometric mean {compare.geomean(ratios.values()):.2f}, "
            f"worst {worst} {ratios[worst]:.2f} ({len(both)} programs).")


def start_section(start):
    yield "## Start\n\n`benches/report.py DIR --parts start`: wall time and peak memory of the smallest program.\n"
    rows = [[n, f"{r['wall_ms']:.2f}", f"{r['peak_mib']:.2f}"] for n, r in start["rows"].items()]
    yield table(["", "wall ms", "peak MiB"], rows) + "\n"
    ended = ", ".join(f"{p} exit {code}" for p, code in start["limited"].items())
    yield f"Under `ulimit -v 262144`: {ended}.\n"


def cold_section(cold):
    engines = list(next(iter(cold.values())))
    yield "## Cold runs\n\n`benches/compare.py DIR cold`: one whole run with every cache off, wall ms.\n"
    for key, before in (("wall_ms", ""), ("peak_mib", "Peak memory, MiB.\n\n")):
        rows = [[p, *(cell(r[e], key) for e in engines)] for p, r in cold.items()]
        yield before + table(["program", *engines], rows) + "\n"
    for engine in engines:
        if engine not in OURS:
            for key, what in (("wall_ms", "Wall"), ("peak_mib", "Peak memory")):
                if line := ratio_line(cold, key, engine, list(cold)):
                    yield f"{what}, {line}\n"


def warm_section(warm):
    engines = list(next(iter(warm.values())))
    yield "## Second start\n\n`benches/compare.py DIR warm`: one whole run after another one, with the engine's cache on disk, wall ms.\n"
    yield table(["program", *engines], [[p, *(cell(r[e], "wall_ms") for e in engines)] for p, r in warm.items()]) + "\n"
    for engine in engines:
        if engine not in OURS and (line := ratio_line(warm, "wall_ms", engine, list(warm))):
            yield f"Wall, {line}\n"


def steady_section(steady):
    engines = list(next(iter(steady.values())))
    yield "## Steady state\n\n`benches/compare.py DIR steady`: time of one iteration against native code (native = 1).\n"
    rows = []
    for p, r in steady.items():
        native = r.get("native", {}).get("steady_ms")
        rows.append([p, *(f"{r[e]['steady_ms'] / native:.2f}" if native and "steady_ms" in r[e] else "-" for e in engines),
                     f"{r['brant']['steady_ms'] / r['wasmi']['steady_ms']:.2f}"
                     if "steady_ms" in r["brant"] and "steady_ms" in r.get("wasmi", {}) else "-"])
    yield table(["program", *engines, "brant / wasmi"], rows) + "\n"
    cpu = [p for p in steady if p not in compare.NOT_IN_CPU_GEOMEAN]
    left_out = ", ".join(sorted(compare.NOT_IN_CPU_GEOMEAN))
    yield f"Means and worst below leave out {left_out}, and figures that are not positive.\n"
    for engine in engines:
        if engine not in OURS:
            yield ratio_line(steady, "steady_ms", engine, cpu) + "\n"


def curve_section(curve):
    yield ("## The way to full speed\n\n`benches/compare.py DIR curve`: when the first of many equal pieces of work was done, when the "
           "pace of the second half was reached, and how long a piece took then, ms.\n")
    rows = []
    for program, row in curve.items():
        for engine, f in row.items():
            if at := f.get("at_ms"):
                late = statistics.median(compare.pieces_ms(at)[len(at) // 2:])
                rows.append([program, engine, f"{at[0]:.0f}", f"{compare.peak_at_ms(at):.0f}", f"{late:.2f}"])
    yield table(["program", "engine", "first piece", "full speed", "a piece then"], rows) + "\n"


def text_section(text):
    yield "## Assembler\n\n`benches/compare.py DIR text`: one core, on the text that wasm-tools prints.\n"
    rows = []
    for p, r in text.items():
        for verb in ("asm", "dis"):
            best = min(f["wall_ms"] for n, f in r[verb].items() if n != "brant")
            ours = r[verb]["brant"]
            rows.append([f"{verb} {p} ({r['text_mib']:.0f} MiB of text)",
                         *(f"{f['wall_ms']:.0f} ms, {f['peak_mib']:.0f} MiB" for f in r[verb].values()),
                         f"{best / ours['wall_ms']:.2f}x", f"{ours['peak_mib'] / r['text_mib']:.2f}x"])
    names = list(next(iter(text.values()))["asm"])
    yield table(["", *names, "speed against the faster peer", "peak memory / text"], rows) + "\n"


def instructions_section(counts):
    yield "## Instruction counts\n\n`benches/instructions.py`: callgrind, exact.\n"
    engines = list(dict.fromkeys(engine for row in counts.values() for engine in row))
    rows = [[name, *(f"{row[e]:.1f}" if e in row else "-" for e in engines)] for name, row in counts.items()]
    yield table(["", *engines], rows) + "\n"


def measure_mode(mode, engines):
    """A part that is a mode of compare.py."""
    return lambda folder, runs, brant: compare.compare(options_for(folder, mode, runs, brant, engines))


# Parts that are a script's own output: name, heading, and what is run and shown, with DIR and BRANT to be filled in.
PRINTED = [
    ("tuning", "What stops cost", ["benches/tuning.py", "DIR", "--stops never", ""]),
    ("bytes", "Bytes of code", ["benches/code_bytes.py", "DIR"]),
    ("stops", "How soon a stop comes",
     ["cargo", "run", "--release", "-q", "-p", "brant", "--example", "stop_latency", "--", "programs/bin/nbody.wasm",
      "2000000"]),
    ("mobility", "Processes that move", ["benches/mobility.py", "DIR"]),
    ("migration", "Live migration", ["benches/migration.py", "BRANT"]),
    ("moved", "Large programs, moved in mid-work", ["benches/moved.py", "BRANT", "DIR"]),
    ("threads", "Threads", ["benches/threads.py", "BRANT"]),
    ("network", "An echo server", ["benches/network.py", "BRANT"]),
    ("connections", "Connections of a server that moves", ["benches/connections.py", "BRANT"]),
    ("processes", "Processes", ["benches/processes.py", "BRANT"]),
    ("constructions", "A server in three constructions", ["BRANT", "bench", "threads"]),
    ("neighbours", "An honest program beside a hostile one", ["benches/neighbours.py", "BRANT"]),
    ("prompt", "The spreadsheet's prompt", ["benches/prompt.py", "BRANT"]),
]


def measure_printed(words):
    def run(folder, runs, brant):
        examples = ["tuned", "compile_times", "stop_latency"]
        subprocess.run(["cargo", "build", "--release", "--quiet", *(f"--example={name}" for name in examples)], cwd=ROOT,
                       check=True)
        words_here = [{"DIR": folder, "BRANT": brant}.get(word, word) for word in words]
        done = subprocess.run(words_here, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")
        if done.returncode != 0:
            sys.exit(f"{words_here[0]}: exit {done.returncode}")
        return {"text": done.stdout.replace(folder, "DIR").replace(ROOT + "/", "")}
    return run


def printed_section(heading, words):
    command = " ".join(f'"{word}"' if " " in word or not word else word for word in words)
    return lambda part: [f"## {heading}\n\n`{command}`:\n", f"```text\n{part['text'].strip()}\n```\n"]


# Name of a part: how it is measured (folder, runs, binary), and what the page says of it. A new part is
# a line here, with a function that yields its paragraphs.
PARTS = {
    "start": (measure_start, start_section),
    "cold": (measure_mode("cold", "wasmtime,winch,wasmi,node"), cold_section),
    "warm": (measure_mode("warm", "wasmtime"), warm_section),
    "steady": (measure_mode("steady", "native,wasmtime,winch,wasmi,node"), steady_section),
    "curve": (measure_mode("curve", "native,wasmtime,winch,wasmi,node"), curve_section),
    "text": (measure_mode("text", None), text_section),
    "instructions": (
        lambda folder, runs, brant: instructions.measure(brant, f"{folder}/wasmi/bin/wasmi"), instructions_section),
    **{name: (measure_printed(words), printed_section(heading, words)) for name, heading, words in PRINTED},
}

# Parts that say themselves how many runs are behind their figures.
COUNT_THEMSELVES = ["instructions", *(name for name, _, _ in PRINTED)]


def trees(data):
    """When and on which tree each part was measured: in one sentence if that is the same for all."""
    measured = {name: data["trees"][name] for name in PARTS if name in data}
    if len(set(map(tuple, measured.values()))) == 1:
        date, commit = next(iter(measured.values()))
        return f"{date}, commit {commit}"
    return "; ".join(f"{name}: {date}, commit {commit}" for name, (date, commit) in measured.items())


def page(data):
    parts = [INTRO, f"{data['machine']}.\n{data['versions']}.\n\nMeasured: {trees(data)}.\n"]
    if runs := data.get("runs"):
        counts = ", ".join(f"{name} {runs[name]}" for name in PARTS if name in runs and name not in COUNT_THEMSELVES)
        parts.append(f"Runs behind each figure: {counts}.\n")
    for name, (_, section) in PARTS.items():
        if name in data:
            parts += [paragraph for paragraph in section(data[name]) if paragraph.strip()]
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=os.path.abspath)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--brant", type=os.path.abspath, help="measure this binary and build none")
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    wanted = options.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.brant is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    brant = options.brant or f"{ROOT}/target/release/brant"
    store = f"{options.dir}/report.json"
    data = json.load(open(store)) if os.path.exists(store) else {}
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    data["machine"] = f"{cpu}, {os.cpu_count()} cores (shared), Linux {platform.release()}"
    commit = output("git", "rev-parse", "--short=12", "HEAD")
    data["versions"] = ", ".join([
        output("rustc", "--version"), output(f"{options.dir}/bin/wasmtime", "--version"),
        output(f"{options.dir}/wasmi/bin/wasmi", "--version"), output(f"{options.dir}/bin/wasm-tools", "--version"),
        "wabt " + output(f"{options.dir}/bin/wat2wasm", "--version")])
    for part in wanted:
        print(f"--- {part}", file=sys.stderr)
        data[part] = PARTS[part][0](options.dir, options.runs, brant)
        data.setdefault("trees", {})[part] = [datetime.date.today().isoformat(), commit]
        data.setdefault("runs", {})[part] = 10 * options.runs if part == "start" else options.runs
        json.dump(data, open(store, "w"), indent=1)
        with open(f"{ROOT}/docs/BENCHMARKS.md", "w") as out:
            out.write(page(data))


if __name__ == "__main__":
    main()
