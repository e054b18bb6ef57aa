#!/usr/bin/env python3
"""How the cost of training and reading grows, Etude beside its peers, drawn as curves.

    python3 benches/compare/growth.py OUT_FOLDER [--repeats 3] [--data FOLDER]

Writes OUT_FOLDER/growth-*.svg and prints the figures. One thread, LSTM 2 × 512, sequence 100, batch
32 and vocabulary 1,000 where nothing else is said. Both sides are measured in turn, as in
compare.py, whose programs and peers it uses.
"""

import argparse
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import compare

BATCH = 32
COLORS = ["#0969da", "#bc4c00", "#1a7f37"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", default=os.environ.get("ETUDE_TEST_DATA"))
    args = parser.parse_args()
    args.only = None
    bench = compare.Bench(args)
    if bench.peers_python is None:
        sys.exit(bench.why_no_peers)
    print(compare.machine())
    args.out.mkdir(parents=True, exist_ok=True)

    def step(hidden=512, vocabulary=1_000, sequence=100, softmax="full"):
        shape = ("lstm", hidden, vocabulary, BATCH, sequence)
        frames = BATCH * sequence

        def ours():
            return bench.ours(1, "train", *shape, softmax, "cpu")

        def theirs():
            return bench.theirs(1, "train", *shape, "cpu")

        line = compare.Line("", "", 0)
        bench.in_turn(line, ours, theirs)
        return line.ours / frames * 1e6, line.theirs / frames * 1e6

    vocabulary = {n: step(vocabulary=n) + (step(vocabulary=n, softmax="adaptive")[0],)
                  for n in (1_000, 4_000, 16_000, 40_000)}
    names = ["Etude", "PyTorch", "Etude, adaptive softmax"]
    draw(args.out, "vocabulary", "Microseconds a frame by vocabulary", "chords", names, vocabulary)
    hidden = {n: step(hidden=n) for n in (128, 256, 512, 1_024)}
    draw(args.out, "hidden", "Microseconds a frame by units a layer", "units", names[:2], hidden)
    sequence = {n: step(sequence=n) for n in (25, 50, 100, 200, 400)}
    draw(args.out, "sequence", "Microseconds a frame by sequence", "frames a sequence", names[:2], sequence)
    files = reading(bench)
    if files:
        names = ["Etude", "pretty_midi"]
        draw(args.out, "files", "Seconds to tokenize a folder", "files", names, files)


def reading(bench):
    """Seconds by number of files. There are fewer files than the largest folder has, so they come
    again under other names; nothing is remembered between them. The peer reads the smallest
    folders only."""
    try:
        music = bench.data("piano-midi-de")
    except compare.Skipped as reason:
        print(f"tokenizing: not measured: {reason}")
        return {}
    paths = sorted(path for path in music.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    points = {}
    for n in (10, 40, 160, 640, 1_282):
        with tempfile.TemporaryDirectory() as folder:
            for idx in range(n):
                shutil.copy(paths[idx * 7 % len(paths)], Path(folder) / f"{idx:04}.mid")
            times = []
            for repeat in range(bench.args.repeats):
                with tempfile.TemporaryDirectory() as cache:
                    env = {"RAYON_NUM_THREADS": "1", "ETUDE_CACHE_DIR": cache}
                    began = time.perf_counter()
                    compare.run([bench.etude, "tokenize", folder, "--json"], env)
                    times.append(time.perf_counter() - began)
            points[n] = (statistics.median(times),)
            if n <= 160:
                with bench.theirs(1, "tokenize", folder) as peer:
                    points[n] += (peer.turn()[0],)
    return points


def draw(out, name, title, axis, names, points):
    """Lines on two logarithmic axes as one SVG picture, and the figures as text."""
    print(f"\n{title}\n| {axis} | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
    for x, ys in points.items():
        print(f"| {x:,} | {' | '.join(f'{y:.3g}' for y in ys)} |", flush=True)
    width, height, left, right, top, bottom = 640, 360, 64, 24, 44, 48
    xs = [math.log10(x) for x in points]
    all_ys = [math.log10(y) for ys in points.values() for y in ys]
    # 1, 2 and 5 of each power of ten, as far as they are needed.
    marks = [lead * 10.0**power for power in range(-4, 7) for lead in (1, 2, 5)]
    first = max(mark for mark in marks if math.log10(mark) <= min(all_ys))
    last = min(mark for mark in marks if math.log10(mark) >= max(all_ys))
    marks = [mark for mark in marks if first <= mark <= last]
    low, high = math.log10(first), math.log10(last)

    def place(x, y):
        along = (math.log10(x) - xs[0]) / (xs[-1] - xs[0])
        up = (math.log10(y) - low) / (high - low)
        return left + along * (width - left - right), height - bottom - up * (height - top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<style>text{font:13px sans-serif;fill:#24292f}.paper{fill:#fff}.grid{stroke:#d8dee4}'
        '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#161b22}.grid{stroke:#30363d}}</style>',
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text x="{left}" y="24" style="font-size:16px">{title}</text>',
    ]
    for x in points:
        at, _ = place(x, 10**low)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{height - bottom}"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 28}" text-anchor="middle">{x:,}</text>')
    for y in marks:
        _, at = place(next(iter(points)), y)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        text = f"{y:,.0f}" if y >= 1 else f"{y:g}"
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">{axis}</text>')
    for idx, label in enumerate(names):
        line = [place(x, ys[idx]) for x, ys in points.items() if len(ys) > idx]
        if not line:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" stroke="{COLORS[idx]}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS[idx]}"/>' for x, y in line]
        parts.append(
            f'<text x="{left + 12}" y="{top + 18 + 18 * idx}" style="fill:{COLORS[idx]}">{label}</text>'
        )
    parts.append("</svg>\n")
    (out / f"growth-{name}.svg").write_text("\n".join(parts))


if __name__ == "__main__":
    sys.exit(main())
