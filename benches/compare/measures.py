#!/usr/bin/env python3
"""What music measures like, by pretty_midi and numpy: to hold `etude evaluate --music` against.

    python3 benches/compare/measures.py FILE.mid ... [--corpus FILE.mid ...] [--fps 8] [--etude ETUDE]

Prints a line of JSON a file, with the names that `etude evaluate --music FILES --json` gives (the
velocities too), and for `--corpus` the longest succession of chords shared with any other file.
With `--etude`, runs that program on the same files and prints where it differs by more than a
billionth; exit status 1 if it does anywhere. Needs pretty_midi (0.2.11 is what was used).

Files in which a key is struck again before it was let go differ in polyphony and in what follows
from it: for pretty_midi the first release ends both notes, for Etude each release the earlier one.
"""

import argparse
import collections
import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pretty_midi

MAJOR = [0, 2, 4, 5, 7, 9, 11]


def notes_of(path):
    music = pretty_midi.PrettyMIDI(path)
    return [note for part in music.instruments if not part.is_drum for note in part.notes]


def frames_of(notes, fps):
    """The pitches of each frame, without silence around the music."""
    frames = collections.defaultdict(set)
    for note in notes:
        for frame in range(int(note.start * fps + 1e-6), int(note.end * fps + 1e-6)):
            frames[frame].add(note.pitch)
    if not frames:
        return []
    return [frozenset(frames.get(t, ())) for t in range(min(frames), max(frames) + 1)]


def distinct(frames, n):
    grams = [tuple(frames[t : t + n]) for t in range(len(frames) - n + 1)]
    return len(set(grams)) / len(grams)


def measures(notes, fps):
    pitches = np.array([note.pitch for note in notes])
    classes = np.bincount(pitches % 12, minlength=12) / len(pitches)
    frames = frames_of(notes, fps)
    sizes = [len(frame) for frame in frames if frame]
    runs = [len(list(run)) for _, run in itertools.groupby(frames)]
    return {
        "notes_per_second": len(notes) / max(note.end for note in notes),
        "polyphony": sum(sizes) / len(sizes),
        "pitch_range": float(pitches.max() - pitches.min()),
        "pitch_class_entropy": -sum(p * math.log2(p) for p in classes if p),
        "scale_consistency": max(sum(classes[(root + step) % 12] for step in MAJOR) for root in range(12)),
        "repeated_frames": sum(a == b for a, b in itertools.pairwise(frames)) / (len(frames) - 1),
        "longest_run_seconds": max(runs) / fps,
        "distinct_1": distinct(frames, 1),
        "distinct_2": distinct(frames, 2),
        "distinct_4": distinct(frames, 4),
        "velocity_spread": float(np.std([note.velocity for note in notes])),
    }


def changes_of(notes, fps):
    """The chords it changes to, without the rests."""
    return [frame for frame, _ in itertools.groupby(frame for frame in frames_of(notes, fps) if frame)]


def longest_common(a, b):
    """The longest succession that both lists have, by dynamic programming."""
    numbers = {}
    a, b = (np.array([numbers.setdefault(chord, len(numbers)) for chord in chords]) for chords in (a, b))
    longest, before = 0, np.zeros(len(b) + 1, int)
    for chord in a:
        now = np.zeros(len(b) + 1, int)
        now[1:] = np.where(b == chord, before[:-1] + 1, 0)
        longest, before = max(longest, int(now.max(initial=0))), now
    return longest


def shared(path, corpus, fps):
    mine = changes_of(notes_of(path), fps)
    others = [other for other in corpus if os.path.realpath(other) != os.path.realpath(path)]
    return max((longest_common(mine, changes_of(notes_of(other), fps)) for other in others), default=None)


def of_etude(program, words):
    words = [program, "evaluate", "--json", *words]
    answer = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return {take["path"]: take for take in answer["takes"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--corpus", nargs="+", default=[])
    parser.add_argument("--fps", type=float, default=8)
    parser.add_argument("--etude", help="the program to compare with")
    args = parser.parse_args()
    found = {}
    for path in args.files:
        found[path] = measures(notes_of(path), args.fps)
        if args.corpus:
            found[path]["shared"] = shared(path, args.corpus, args.fps)
        print(json.dumps({"path": path, **found[path]}))
    if not args.etude:
        return 0
    corpus = ["--corpus", *args.corpus] if args.corpus else []
    theirs = of_etude(args.etude, ["--fps", str(args.fps), "--music", *args.files, *corpus])
    differing = 0
    for path, mine in found.items():
        for name, value in mine.items():
            other = theirs[path][name]
            other = other["chords"] if isinstance(other, dict) else other
            if value is None or other is None or abs(value - other) > 1e-9:
                differing += 1
                print(f"{path}: {name} is {value} by pretty_midi and {other} by Etude")
    print(f"{len(found)} files, {differing} figures differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
