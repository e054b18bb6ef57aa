#!/usr/bin/env python3
"""Etude beside the programs that people would otherwise use: one run, one machine, taken in turn.

    python3 benches/compare/compare.py [--only WORDS ...] [--repeats 5] [--json FILE]
                                       [--data FOLDER] [--soundfont FILE]

Builds Etude in release mode, installs PyTorch and pretty_midi from PyPI into target/compare (some
gigabytes, once), and measures both sides alternately: A B A B, medians, the same threads. Prints a
table, and writes it as JSON: [{what, peer, ours, theirs, ratio, bar}], times in seconds. What can't
be measured here is named with the reason. Exit status 1 when a bar is missed.

`--data` is a folder with `schumann`, `piano-midi-de` and `maestro-2004` in it (the default:
ETUDE_TEST_DATA). Rendering wants `fluidsynth` on the PATH, the start of the window a display.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["torch", "numpy", "pretty_midi", "setuptools<81"]
# What rendering is measured with: SF2 first, since decoding a compressed font is no rendering.
FONTS = [Path("/usr/share/sounds/sf2/TimGM6mb.sf2"), ROOT / "soundfonts" / "salamander-grand.sf3"]


class Skipped(Exception):
    """Why a line can't be measured here."""


class Failed(Exception):
    """A side that should have worked didn't: that counts as a missed bar."""


@dataclass
class Line:
    """One line of the table. `ours` and `theirs` are in `unit`; the ratio says how many times
    better Etude is, so that a bar is always a least ratio."""

    what: str
    peer: str
    bar: float
    ours: float | None = None
    theirs: float | None = None
    unit: str = "s"
    notes: list = field(default_factory=list)
    # Something besides the ratio is not as it must be; the notes say what.
    has_failed: bool = False

    @property
    def ratio(self):
        return self.theirs / self.ours if self.ours and self.theirs else None

    @property
    def is_missed(self):
        return self.has_failed or (self.ratio is not None and self.ratio < self.bar)

    def fail(self, why):
        self.has_failed = True
        self.notes.append(why)

    def as_json(self):
        names = ["what", "peer", "ours", "theirs", "ratio", "bar", "unit", "notes"]
        return {name: getattr(self, name) for name in names}


class Process:
    """A side that waits for its turn (see main.rs and peer.py)."""

    def __init__(self, command, threads):
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"RAYON_NUM_THREADS": str(threads)},
            text=True,
        )
        self.hear("ready")

    def hear(self, word):
        answer = self.child.stdout.readline().split()
        if not answer or answer[0] != word:
            raise Failed(f"{' '.join(self.child.args)} ended with {self.child.wait()}")
        return answer[1:]

    def turn(self):
        """Seconds of one turn, and what it answered."""
        began = time.perf_counter()
        self.child.stdin.write("go\n")
        self.child.stdin.flush()
        answer = self.hear("done")
        return time.perf_counter() - began, answer

    def most_memory(self):
        """The most bytes it ever held, where the system says so."""
        try:
            status = Path(f"/proc/{self.child.pid}/status").read_text()
        except OSError:
            return None
        held = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(held[0].split()[1]) * 1024 if held else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Bench:
    """Where the programs are, and how often a thing is measured."""

    def __init__(self, args):
        self.args = args
        self.worker = built("bench", "compare")
        self.player = built("bench", "playing")
        self.etude = built("bin", "etude")
        self.work = ROOT / "target" / "compare"
        self.lines = []
        self.peers_python, self.why_no_peers = installed(self.work)
        self.sgemm_rates = {}

    def ours(self, threads, *words):
        return Process([self.worker, *words], threads)

    def theirs(self, threads, *words):
        if self.peers_python is None:
            raise Skipped(self.why_no_peers)
        return Process([self.peers_python, HERE / "peer.py", threads, *words], threads)

    def data(self, name):
        folder = self.args.data and Path(self.args.data) / name
        if not folder or not folder.is_dir():
            raise Skipped(f"no folder {name} (give --data)")
        return folder

    def line(self, what, peer, bar, measure, unit="s"):
        """Measures one line, unless the words of --only leave it out."""
        if self.args.only and not any(word in what for word in self.args.only):
            return
        line = Line(what, peer, bar, unit=unit)
        try:
            measure(line)
        except Skipped as reason:
            line.notes.append(f"not measured: {reason}")
        except Failed as reason:
            line.fail(f"failed: {reason}")
        self.lines.append(line)
        print(text_of(line), flush=True)

    def in_turn(self, line, ours, theirs):
        """Both sides alternately; fills the line with the medians."""
        with ours() as a, theirs() as b:
            mine, peers = [], []
            for _ in range(self.args.repeats):
                mine.append(a.turn()[0])
                peers.append(b.turn()[0])
            line.ours, line.theirs = statistics.median(mine), statistics.median(peers)
            spread = (max(mine) / min(mine) - 1, max(peers) / min(peers) - 1)
            line.notes.append(f"spread {spread[0]:.0%} and {spread[1]:.0%}")
            return a.most_memory(), b.most_memory()

    def alone(self, line, ours, allowed):
        """Against a limit in seconds; the process says its own."""
        with ours() as process:
            times = [float(process.turn()[1][0]) for _ in range(self.args.repeats)]
        line.ours, line.theirs = statistics.median(times), allowed

    def sgemm(self, threads):
        """GFLOP/s that PyTorch's product reaches with so many threads, measured once a run."""
        if threads not in self.sgemm_rates:
            with self.theirs(threads, "sgemm") as process:
                rates = [float(process.turn()[1][0]) for _ in range(self.args.repeats)]
            self.sgemm_rates[threads] = statistics.median(rates)
        return self.sgemm_rates[threads]


def built(kind, name):
    """Builds a target of the package and answers where it is."""
    command = ["cargo", "build", "--release", f"--{kind}", name, "--message-format=json"]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for message in json_lines(found.stdout):
        target = message.get("target", {})
        if message.get("executable") and (target["kind"], target["name"]) == ([kind], name):
            return Path(message["executable"])
    sys.exit(f"cargo built no {kind} {name}")


def installed(work):
    """The Python that has the peers, or none and why."""
    folder = work / "venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    has_all = [str(python), "-c", "import torch, pretty_midi"]
    if python.exists() and subprocess.run(has_all, capture_output=True).returncode == 0:
        return python, None
    print("Installing PyTorch and pretty_midi …", file=sys.stderr, flush=True)
    try:
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(install, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        return None, f"PyTorch and pretty_midi can't be installed ({error})"
    return python, None


def training(bench):
    """The step of training: (cell, hidden, vocabulary, batch, threads, softmax, bar)."""
    cores = os.cpu_count() or 1
    counts = [1, 2] if cores >= 2 else [1]
    rows = [("lstm", 512, 1_000, batch, n, "full", 1.0) for batch in (64, 256) for n in counts]
    rows += [("lstm", 512, 8_000, 64, n, "full", 1.15) for n in counts]
    rows += [("lstm", 512, 40_000, 64, n, "full", 1.15) for n in counts]
    rows += [("lstm", 512, 40_000, 64, n, "adaptive", 2.0) for n in counts]
    for n in counts:
        rows += [("gru", 512, 1_000, 64, n, "full", 1.05)]
        rows += [("lstm", 256, 1_000, 64, n, "full", 1.15)]
        rows += [("lstm", 128, 1_000, 64, n, "full", 1.3)]
    for cell, hidden, vocabulary, batch, threads, softmax, bar in rows:
        name = (
            f"training step, {cell.upper()} 2 × {hidden}, sequence 100, batch {batch}, "
            f"vocabulary {vocabulary:,}{', adaptive softmax' if softmax == 'adaptive' else ''}, "
            f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"
        )
        shape = (cell, hidden, vocabulary, batch, 100)

        def measure(line, shape=shape, threads=threads, softmax=softmax):
            held = bench.in_turn(
                line,
                lambda: bench.ours(threads, "train", *shape, softmax, "cpu"),
                lambda: bench.theirs(threads, "train", *shape, "cpu"),
            )
            if all(held):
                line.notes.append(f"memory {held[0] / held[1]:.2f} of the peer's")
                if shape[2] >= 8_000 and softmax == "full" and held[0] > held[1] / 2:
                    line.fail("which is over half")
            if softmax == "full":
                rate = matrix_work(*shape) / line.ours / 1e9
                share = rate / bench.sgemm(threads)
                line.notes.append(f"{rate:.0f} GFLOP/s, {share:.0%} of PyTorch's sgemm")
                if shape[:3] == ("lstm", 512, 1_000) and share < 0.8:
                    line.fail("which is under 80 %")

        bench.line(name, "PyTorch, full softmax", bar, measure)


def matrix_work(cell, hidden, vocabulary, batch, sequence):
    """Floating-point operations of the matrix products of a step, forward and backward."""
    gates = 4 if cell == "lstm" else 3
    return 6 * (2 * gates * 2 * hidden**2 + hidden * vocabulary) * batch * sequence


def training_on_a_card(bench):
    for precision in ("tf32", "bf16"):
        def measure(line, precision=precision):
            if shutil.which("nvidia-smi") is None:
                raise Skipped("there is no NVIDIA card")
            shape = ("lstm", 512, 1_000, 256, 100)
            line.notes.append("Etude computes in its default precision")
            bench.in_turn(
                line,
                lambda: bench.ours(1, "train", *shape, "full", "cuda"),
                lambda: bench.theirs(1, "train", *shape, f"cuda-{precision}"),
            )

        name = (
            "training step, LSTM 2 × 512, sequence 100, batch 256, vocabulary 1,000, CUDA, "
            f"the peer in {precision}"
        )
        bench.line(name, "PyTorch with cuDNN", 1.0, measure)


def learning_schumann(bench):
    """Seconds until the held-out loss is as good as the original's loop ever gets, and until each
    side's own best: of the network that is most like the original's, and of the default one."""
    for name, model in (("the same kind of network", ["--model", "lstm"]), ("defaults", [])):
        def measure(line, model=model):
            music = bench.data("schumann")
            if bench.peers_python is None:
                raise Skipped(bench.why_no_peers)
            with tempfile.TemporaryDirectory() as folder:
                tokens = Path(folder) / "tokens.json"
                framing = ["--framing", "original"]
                run([bench.etude, "tokenize", music, *framing, "--out", tokens, "--json"])
                peer = [bench.peers_python, HERE / "peer.py", os.cpu_count(), "original", tokens]
                their_times, our_times = [], []
                for repeat in range(bench.args.repeats):
                    theirs = [(it["seconds"], it["loss"]) for it in json_lines(run(peer))]
                    out = Path(folder) / f"run{repeat}"
                    words = ["train", music, "--out", out, *model, *framing, "--split", "tail", "--json"]
                    epochs = json_lines(run([bench.etude, *words]))
                    ours = [(it["seconds"], it["valid_loss"]) for it in epochs if it["event"] == "epoch"]
                    best = min(loss for _, loss in theirs)
                    their_times.append(next(secs for secs, loss in theirs if loss == best))
                    our_times += [secs for secs, loss in ours if loss <= best][:1]
            line.theirs = statistics.median(their_times)
            line.ours = statistics.median(our_times) if our_times else None
            own_best = min(ours, key=lambda it: it[1])
            if line.ours is None:
                line.fail("Etude never reached it")
            line.notes.append(f"a loss of {best:.3f}; Etude's best, {own_best[1]:.3f}, after {own_best[0]:.1f} s")

        what = f"time to the best held-out loss that the peer reaches, Schumann, {name}"
        bench.line(what, "the original's loop in PyTorch", 3.0, measure)


def composing(bench):
    for strategy, bar in (("sample", 10.0), ("beam", 5.0)):
        def measure(line, strategy=strategy):
            bench.in_turn(
                line,
                lambda: bench.ours(1, "compose", strategy, 1_000, 300),
                lambda: bench.theirs(1, "compose", strategy, 1_000, 300),
            )

        words = "beam of 10" if strategy == "beam" else "sample"
        name = f"composing 300 frames, {words}, vocabulary 1,000, 1 thread"
        bench.line(name, "PyTorch, step by step", bar, measure)


def reading(bench):
    for folder in ("piano-midi-de", "maestro-2004"):
        def measure(line, folder=folder):
            music = bench.data(folder)
            mine, peers = [], []
            with bench.theirs(1, "tokenize", music) as peer, tempfile.TemporaryDirectory() as cache:
                for repeat in range(bench.args.repeats):
                    # Nothing is remembered from one time to the next.
                    env = {"RAYON_NUM_THREADS": "1", "ETUDE_CACHE_DIR": f"{cache}/{repeat}"}
                    began = time.perf_counter()
                    run([bench.etude, "tokenize", music, "--json"], env)
                    mine.append(time.perf_counter() - began)
                    peers.append(peer.turn()[0])
            line.ours, line.theirs = statistics.median(mine), statistics.median(peers)
            n_files = sum(1 for path in music.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
            line.notes.append(f"{n_files / line.ours:,.0f} against {n_files / line.theirs:.1f} files a second")

        bench.line(f"tokenizing {folder}, 1 thread", "pretty_midi, 1 process", 100.0, measure)


def rendering(bench):
    def measure(line):
        if shutil.which("fluidsynth") is None:
            raise Skipped("fluidsynth is not installed")
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            minute = folder / "minute.mid"
            run([bench.worker, "write-minute", minute])
            asked = [Path(bench.args.soundfont)] if bench.args.soundfont else FONTS
            font = next((font for font in asked if font.exists()), None)
            if font is None:
                raise Skipped("no SoundFont was found (give --soundfont)")
            line.notes.append(font.name)
            rate = ["--sample-rate", "44100"]
            etude = [bench.etude, "render", minute, "--out", folder / "a.wav", "--soundfont", font, *rate]
            # Etude writes on a second thread. FluidSynth may use as many as there are too, and its
            # quicker way counts; for one piano that is usually a single thread.
            def fluid(n_threads):
                threads = ["-o", f"synth.cpu-cores={n_threads}"]
                sound = ["-r", "44100", "-R", "1", "-C", "0", "-F", folder / "b.wav"]
                return ["fluidsynth", "-ni", "-q", *threads, *sound, font, minute]

            mine = []
            peers = {n_threads: [] for n_threads in {1, os.cpu_count()}}
            for _ in range(bench.args.repeats):
                turns = [(etude, mine), *((fluid(n_threads), times) for n_threads, times in peers.items())]
                for command, times in turns:
                    (folder / "a.wav").unlink(missing_ok=True)
                    began = time.perf_counter()
                    run(command)
                    times.append(time.perf_counter() - began)
        line.ours = statistics.median(mine)
        line.theirs, n_threads = min((statistics.median(times), n) for n, times in peers.items())
        line.notes.append(f"FluidSynth with {n_threads} of {sorted(peers)} threads")

    name = "rendering one minute of piano to a file, loading the font included"
    bench.line(name, "FluidSynth, reverb on", 1.0, measure)


def waiting(bench):
    def first_note(line):
        bench.alone(line, lambda: bench.ours(os.cpu_count(), "first-note"), 0.150)

    def first_frame(line):
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            raise Skipped("there is no display (xvfb-run makes one)")
        times = [start_of_the_window(bench.etude) for _ in range(bench.args.repeats + 1)]
        # The first start is cold.
        line.ours, line.theirs = statistics.median(times[1:]), 0.500

    bench.line("first note after Compose on the CPU", "a limit of 150 ms", 1.0, first_note)
    bench.line("start of the program to its first painted frame, warm", "a limit of 500 ms", 1.0, first_frame)


def playing(bench):
    """The sound while every core trains."""

    def measure(line):
        minutes = 10 if bench.args.repeats >= 5 else 1
        done = subprocess.run([str(bench.player), str(minutes)], capture_output=True, text=True)
        line.notes.append(done.stdout.strip() or done.stderr.strip())
        if done.returncode != 0:
            line.fail("there were underruns")

    bench.line("playing for ten minutes while training", "a limit of no underruns", 0.0, measure)


def start_of_the_window(etude):
    """Seconds from the start of the process until its log says that the first frame is painted."""
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"ETUDE_DATA_DIR": folder, "ETUDE_LOG": "etude=debug"}
        log = Path(folder) / "logs" / "etude.log"
        began = time.perf_counter()
        child = subprocess.Popen([str(etude)], env=env, stderr=subprocess.DEVNULL)
        try:
            while time.perf_counter() < began + 30 and child.poll() is None:
                if log.exists() and "first frame is painted" in log.read_text():
                    return time.perf_counter() - began
                time.sleep(0.002)
            raise Skipped("the window did not open")
        finally:
            child.kill()
            child.wait()


def run(command, env=None):
    command = [str(word) for word in command]
    done = subprocess.run(command, env=os.environ | (env or {}), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def text_of(line):
    notes = "; ".join(line.notes)
    if line.ratio is None:
        missed = "**missed**" if line.is_missed else ""
        return f"| {line.what} | {line.peer} | | | {missed} | {line.bar:g} × | {notes} |"
    missed = " **missed**" if line.is_missed else ""
    return (
        f"| {line.what} | {line.peer} | {line.ours:.4g} {line.unit} | {line.theirs:.4g} {line.unit} "
        f"| {line.ratio:.2f} ×{missed} | {line.bar:g} × | {notes} |"
    )


def machine():
    """What the figures belong to."""
    names = []
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                names.append(text.split(":")[1].strip())
    except OSError:
        names.append(platform.processor())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    version = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(version, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return (
        f"{names[0] if names else 'unknown'}, {os.cpu_count()} cores, {platform.system()}, "
        f"load {load:.1f}; Etude {commit or 'unknown'}"
    )


def versions(bench):
    """Of the peers."""
    if bench.peers_python is None:
        return bench.why_no_peers
    ask = "import torch, importlib.metadata as m; print('PyTorch', torch.__version__, 'pretty_midi', m.version('pretty_midi'))"
    return run([bench.peers_python, "-c", ask]).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="lines with one of these words in their name")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="where the table goes as JSON")
    parser.add_argument("--data", default=os.environ.get("ETUDE_TEST_DATA"))
    parser.add_argument("--soundfont", help="what both sides render with")
    args = parser.parse_args()
    bench = Bench(args)
    print(f"{machine()}; {versions(bench)}")
    print("| what | peer | Etude | peer's | ratio | bar | notes |\n|---|---|---:|---:|---:|---:|---|")
    for measure in (training, training_on_a_card, learning_schumann, composing, reading, rendering, waiting, playing):
        measure(bench)
    if args.json:
        Path(args.json).write_text(json.dumps([line.as_json() for line in bench.lines], indent=1))
    missed = [line for line in bench.lines if line.is_missed]
    for line in missed:
        print(f"missed: {line.what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
