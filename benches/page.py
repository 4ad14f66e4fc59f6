#!/usr/bin/env python3
"""Makes one static page with plots of what compare.py and report.py measured.

usage: page.py FILE.json... [-o PAGE.html]     e.g. page.py DIR/report.json -o DIR/report.html

A FILE is what `compare.py --json` wrote, or report.py into DIR/report.json; parts of later files replace those of
earlier ones. The page needs nothing but itself: no script, no font, no picture from elsewhere. It adapts to the
width of a phone, to dark mode and to paper. Plots are plain SVG; their colours are the style sheet's.
"""
import argparse
import html
import json
import math
import statistics
import sys

import compare

# Ours first and in colour, then the peers; the order is that of all plots. Names are those of the figures.
ENGINES = {
    "brant": ("brant", "ours auto"), "brant-interp": ("brant interp", "ours interp"),
    "brant-jit": ("brant jit", "ours jit"), "native": ("native", "peer native"),
    "wasmtime": ("wasmtime", "peer wasmtime"), "winch": ("winch", "peer winch"), "wasmi": ("wasmi", "peer wasmi"),
    "node": ("node (V8)", "peer node"),
}
STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5c6773; --line: #d9dee4; --paper: #fdfdfc; --card: #ffffff;
  --auto: #0b63ce; --interp: #6aa5ea; --jit: #0a3a78; --peer: #b9c0c8; --native: #8a939d;
  --wasmtime: #c2410c; --winch: #d99a2b; --wasmi: #7c3aed; --node: #15803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #98a3b0; --line: #333c47; --paper: #14181d;
  --card: #1b2128; --auto: #5aa2ff; --interp: #2f6fbf; --jit: #a9cdff; --peer: #4b5663; --native: #6d7885;
  --wasmtime: #fb923c; --winch: #e7bd62; --wasmi: #b794f6; --node: #5fce8a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.1rem 4rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.15; margin: 0 0 .4rem; letter-spacing: -.02em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; letter-spacing: -.01em; }
h3 { font-size: .95rem; margin: 0 0 .35rem; }
h3 small { color: var(--soft); font-weight: 400; margin-left: .4em; }
p { margin: .3rem 0 .9rem; max-width: 44rem; }
.soft, footer { color: var(--soft); font-size: .9rem; }
code { font: .88em ui-monospace, monospace; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem .9rem .6rem;
  break-inside: avoid; margin: 0; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
text { fill: var(--ink); font: 12px system-ui, sans-serif; }
text.soft { fill: var(--soft); font-size: 11px; }
text.value, text.end { text-anchor: end; font-variant-numeric: tabular-nums; }
text.middle { text-anchor: middle; }
.strong { font-weight: 650; }
.rule { stroke: var(--line); stroke-width: 1; }
.bar.peer { fill: var(--peer); } .bar.native { fill: var(--native); }
.bar.auto { fill: var(--auto); } .bar.interp { fill: var(--interp); } .bar.jit { fill: var(--jit); }
.curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; stroke: var(--of); }
.curve.ours { stroke-width: 2.8; }
.dot { fill: var(--of); stroke: var(--card); stroke-width: 1.5; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .5rem 0 0; list-style: none; font-size: .85rem; }
.key i { display: inline-block; width: 1.1em; height: .28em; border-radius: 1px; background: var(--of); vertical-align: middle;
  margin-right: .45em; }
.auto { --of: var(--auto); } .interp { --of: var(--interp); } .jit { --of: var(--jit); } .native { --of: var(--native); }
.wasmtime { --of: var(--wasmtime); } .winch { --of: var(--winch); } .wasmi { --of: var(--wasmi); } .node { --of: var(--node); }
.narrow { display: none; }
@media (max-width: 40rem) { .narrow { display: block; } .wide { display: none; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #fff;
  --auto: #0b63ce; --interp: #6aa5ea; --jit: #0a3a78; --peer: #c4c9cf; --native: #8a939d;
  --wasmtime: #c2410c; --winch: #d99a2b; --wasmi: #7c3aed; --node: #15803d; }
  body { padding: 0; max-width: none; font-size: 10pt; print-color-adjust: exact; } h3 { font-size: .75rem; } h2 { margin-top: 1.2rem; break-after: avoid; }
  .grid { grid-template-columns: repeat(3, 1fr); gap: .5rem; } .wide { display: block; } .narrow { display: none; } }
"""
BAR_PX, STEP_PX, NAME_PX, VALUE_PX, WIDTH_PX = 14, 20, 82, 58, 300


def escape(text):
    return html.escape(str(text), quote=True)


def show_ms(ms):
    for unit, scale in (("s", 1000), ("ms", 1)):
        if ms >= scale or unit == "ms":
            value = ms / scale
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}" if value >= 10 else f"{value:.2f} {unit}"


def show_mib(mib):
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.1f} MiB"


def show_ratio(ratio):
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def known(figures):
    """The engines of a row, in the order of all plots."""
    return [engine for engine in ENGINES if engine in figures] + [engine for engine in figures if engine not in ENGINES]


def name_of(engine):
    return ENGINES.get(engine, (engine, "peer"))


def bars(title, note, values, show):
    """A card with a bar for each engine: {engine: value, or a word for what it has instead of one}."""
    numbers = [value for value in values.values() if not isinstance(value, str)]
    longest = max(numbers, default=0) or 1
    room = WIDTH_PX - NAME_PX - VALUE_PX
    parts, height = [], STEP_PX * len(values)
    for row, engine in enumerate(known(values)):
        value, (name, kind) = values[engine], name_of(engine)
        y, strong = row * STEP_PX + 3, " strong" if engine == "brant" else ""
        label = value if isinstance(value, str) else show(value)
        if not isinstance(value, str):
            width = max(1.5, room * value / longest)
            parts.append(f'<rect class="bar {kind}" x="{NAME_PX}" y="{y}" width="{width:.1f}" height="{BAR_PX}" rx="2"/>')
        parts.append(f'<text class="name{strong}" x="0" y="{y + 11}">{escape(name)}</text>')
        parts.append(f'<text class="value{strong}" x="{WIDTH_PX}" y="{y + 11}">{escape(label)}</text>')
    spoken = ", ".join(f"{name_of(e)[0]} {v if isinstance(v, str) else show(v)}" for e, v in values.items())
    return (f'<figure class="card"><h3>{escape(title)}<small>{escape(note)}</small></h3>'
            f'<svg viewBox="0 0 {WIDTH_PX} {height}" role="img" aria-label="{escape(f"{title}: {spoken}")}">'
            + "".join(parts) + "</svg></figure>")


def grid(cards):
    return '<div class="grid">' + "".join(cards) + "</div>"


def figure_of(figures, key):
    """A figure, or the word for a run that has none."""
    if figures.get(key, 0) > 0:
        return figures[key]
    return "failed" if figures.get("error", "no native build") != "no native build" else "-"


def classes(mode):
    return {program: row[0] for program, row in (compare.STEADY if mode == "steady" else compare.COLD).items()}


def geomeans(rows, programs, against):
    """Geometric means of the ratio to what `against` says of a row, over the programs that every engine ran."""
    engines = [e for e in known(next(iter(rows.values()), {})) if any(not isinstance(rows[p].get(e, ""), str) for p in rows)]
    shared = [p for p in programs if against(rows[p]) and all(not isinstance(rows[p].get(e, ""), str) for e in engines)]
    if not shared:
        return {}, 0
    return {e: compare.geomean([rows[p][e] / against(rows[p]) for p in shared]) for e in engines}, len(shared)


def values_of(results, key):
    return {p: {e: figure_of(f, key) for e, f in row.items()} for p, row in results.items()}


def steady(results):
    """One iteration against native code."""
    times = values_of(results, "steady_ms")
    rows = {}
    for program, row in times.items():
        native = row.get("native")
        if not isinstance(native, str) and native:
            rows[program] = {e: v if isinstance(v, str) else v / native for e, v in row.items()}
    means, count = geomeans(rows, [p for p in rows if p not in compare.NOT_IN_CPU_GEOMEAN], lambda row: row["native"])
    cards = [bars("All CPU programs", f"geometric mean of {count}", means, show_ratio)] if means else []
    cards += [bars(p, classes("steady").get(p, ""), row, show_ratio) for p, row in rows.items()]
    without = [bars(p, "time of one iteration", row, show_ms) for p, row in times.items() if p not in rows]
    return ("At full speed", "The time of one iteration, start and compilation left out. Native code takes 1; shorter bars "
            "are faster. <code>compare.py DIR steady</code>", grid(cards + without))


def whole_runs(results, key, show):
    """A card for each program, behind one for their mean."""
    rows = values_of(results, key)
    best = lambda row: min((v for v in row.values() if not isinstance(v, str)), default=None)
    means, count = geomeans(rows, rows, best)
    cards = [bars("All programs", f"geometric mean of {count}, best = 1", means, show_ratio)] if means else []
    return grid(cards + [bars(p, classes("cold").get(p, ""), row, show) for p, row in rows.items()])


def cold(results):
    """Whole runs with every cache off."""
    return ("From the start to the end", "One whole run of each program, every cache off: what somebody waits who starts it. "
            "<code>compare.py DIR cold</code>", whole_runs(results, "wall_ms", show_ms))


def memory(results):
    """The peak of the same runs."""
    return ("Memory", "The most memory that each of the runs from the start to the end had, the engine included.",
            whole_runs(results, "peak_mib", show_mib))


def warm(results):
    """Whole runs that find what the run before has compiled."""
    return ("The second start", "The same once more, when the engine finds on disk what the first run compiled. "
            "<code>compare.py DIR warm</code>", whole_runs(results, "wall_ms", show_ms))


def text(results):
    """Assembling and disassembling."""
    names = {"brant": "brant", "wasm-tools": "wasm-tools", "wabt": "wabt"}
    cards = []
    for program, row in results.items():
        for verb, what in (("asm", "text to bytecode"), ("dis", "bytecode to text")):
            for key, show in (("wall_ms", show_ms), ("peak_mib", show_mib)):
                values = {e: row[verb][e][key] for e in names if e in row[verb]}
                cards.append(bars(f"{verb} {program}", f"{what}, {row['text_mib']:.0f} MiB of text", values, show))
    return ("The assembler", "Time and memory on one core. <code>compare.py DIR text</code>", grid(cards))


def pace(at_ms, unit_ms):
    """Points (time, pace): pieces of `unit_ms` are pace 1. Behind the first, each is the median of five."""
    pieces = compare.pieces_ms(at_ms)
    smooth = pieces[:1] + [statistics.median(pieces[max(1, i - 2):i + 3]) for i in range(1, len(pieces))]
    return [(at, unit_ms / piece) for at, piece in zip(at_ms, smooth) if piece > 0]


def curve_svg(curves, kind, width, height):
    """Pace against the time since the start, on a logarithmic scale."""
    left, right, top, bottom = 40, 12, 10, 34
    first = min(points[0][0] for points in curves.values())
    last = max(points[-1][0] for points in curves.values())
    low, high = math.log10(first) - .05, math.log10(last) + .02
    x = lambda ms: left + (width - left - right) * (math.log10(ms) - low) / max(high - low, 1e-9)
    y = lambda pace: top + (height - top - bottom) * (1 - min(pace, 1.1) / 1.1)
    parts = []
    for percent in (0, 25, 50, 75, 100):
        at = y(percent / 100)
        parts.append(f'<line class="rule" x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}"/>'
                     f'<text class="soft end" x="{left - 6}" y="{at + 4:.1f}">{percent} %</text>')
    marks = [m * 10 ** e for e in range(math.floor(low), math.ceil(high) + 1) for m in ((1, 3) if width > 400 else (1,))]
    for ms in marks:
        if low <= math.log10(ms) <= high:
            label = f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"
            parts.append(f'<line class="rule" x1="{x(ms):.1f}" x2="{x(ms):.1f}" y1="{height - bottom}" y2="{height - bottom + 5}"/>'
                         f'<text class="soft middle" x="{x(ms):.1f}" y="{height - bottom + 18}">{label}</text>')
    for engine in reversed(known(curves)):
        points, style = curves[engine], name_of(engine)[1]
        line = " ".join(f"{x(ms):.1f},{y(p):.1f}" for ms, p in points)
        parts.append(f'<polyline class="curve {style}" points="{line}"/>')
        parts.append(f'<circle class="dot {style}" cx="{x(points[0][0]):.1f}" cy="{y(points[0][1]):.1f}" r="3.5"/>')
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-hidden="true">' + "".join(parts) + "</svg>"


def curve(results):
    """How fast each engine is how long after its start."""
    cards = []
    for program, row in results.items():
        at = {e: f["at_ms"] for e, f in row.items() if f.get("at_ms")}
        if not at:
            continue
        unit_ms = min(sorted(pieces[len(pieces) // 2:])[len(pieces) // 4] for pieces in map(compare.pieces_ms, at.values()))
        curves = {e: pace(times, unit_ms) for e, times in at.items()}
        key = "".join(
            f'<li class="{name_of(e)[1]}"><i></i>{escape(name_of(e)[0])} '
            f'<span class="soft">first {show_ms(at[e][0])}, peak after {show_ms(compare.peak_at_ms(at[e]))}</span></li>'
            for e in known(curves))
        cards.append(f'<figure class="card"><h3>{escape(program)}<small>{len(next(iter(at.values())))} equal pieces of work'
                     f'</small></h3>{curve_svg(curves, "wide", 760, 300)}{curve_svg(curves, "narrow", 330, 230)}'
                     f'<ul class="key">{key}</ul></figure>')
    return ("The way to full speed", "How fast each engine works, how long after its start. The fastest pace of all is 100 %; a "
            "line begins when the first piece of work is done. Time runs on a logarithmic scale. "
            "<code>compare.py DIR curve</code>", "".join(cards))


SECTIONS = (("steady", steady), ("curve", curve), ("cold", cold), ("warm", warm), ("cold", memory), ("text", text))


def page(data):
    facts = [data["machine"]] if "machine" in data else []
    versions = sorted({f"{date}, commit {commit}" for date, commit in data.get("trees", {}).values()})
    versions += [data["versions"]] if "versions" in data else []
    runs = ", ".join(f"{part} {count}" for part, count in data.get("runs", {}).items())
    body = []
    for part, section in SECTIONS:
        if data.get(part):
            title, words, plots = section(data[part])
            body.append(f"<section><h2>{title}</h2><p>{words}</p>{plots}</section>")
    lines = [f'<p class="soft">{escape(", ".join(facts))}</p>'] if facts else []
    foot = [*versions, f"Runs behind each figure: {runs}." if runs else "",
            "Medians of interleaved runs on a shared machine: compare bars of one plot, not plots of different days."]
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>brant, measured</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
            f"<h1>brant, measured</h1>{''.join(lines)}"
            f"<p>Brant runs WebAssembly in an interpreter that starts at once (<em>interp</em>), in code that was compiled "
            f"before the start (<em>jit</em>), and by default in both, changing over while the program runs (<em>brant</em>).</p>"
            f"{''.join(body)}<footer>{''.join(f'<p>{escape(line)}</p>' for line in foot if line)}</footer></body></html>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("-o", "--output", default="-", metavar="PAGE.html")
    options = parser.parse_args()
    data = {}
    for file in options.files:
        with open(file) as figures:
            data.update(json.load(figures))
    text = page(data)
    if options.output == "-":
        sys.stdout.write(text)
    else:
        with open(options.output, "w") as out:
            out.write(text)


if __name__ == "__main__":
    main()
