"""The peers' side of compare.py: PyTorch and pretty_midi, doing what Etude does.

Speaks as main.rs does: `ready` when it may begin, then `done` after each line on standard input.

    peer.py THREADS train lstm|gru HIDDEN VOCABULARY BATCH SEQUENCE cpu|cuda[-tf32|-bf16]
    peer.py THREADS compose sample|beam VOCABULARY FRAMES
    peer.py THREADS sgemm              answers `done GFLOPS`
    peer.py THREADS tokenize FOLDER
    peer.py THREADS original TOKENS.json     one training as the original's, a JSON line an epoch
"""

import json
import os
import sys
import time


def main():
    threads, task, *words = sys.argv[1:]
    if task == "tokenize":
        return repeat(tokenize(int(threads), *words))
    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    tasks = {"train": train, "compose": compose, "sgemm": sgemm}
    if task == "original":
        return original(*words)
    repeat(tasks[task](*words))


def repeat(work):
    """Does `work` for each line that comes."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print("done", work() or "", flush=True)


def tied_model(cell, vocabulary, hidden, dropout=0.0):
    """Embedding, two recurrent layers, and the embedding again as the decoder."""
    from torch import nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, hidden)
            layers = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
            self.recurrent = layers(hidden, hidden, 2, batch_first=True, dropout=dropout)
            self.dropout = nn.Dropout(dropout)
            self.bias = nn.Parameter(self.embedding.weight.new_zeros(vocabulary))

        def forward(self, tokens, state):
            out, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
            out = nn.functional.linear(self.dropout(out), self.embedding.weight, self.bias)
            return out, state

    return Tied()


def detached(state):
    if state is None:
        return None
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def train(cell, hidden, vocabulary, batch, sequence, device="cpu"):
    """One step: forward, backward, Adam; random tokens; the state goes on."""
    import torch
    from torch import nn

    device, _, precision = device.partition("-")
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    vocabulary = int(vocabulary)
    model = tied_model(cell, vocabulary, int(hidden)).to(device)
    adam = torch.optim.Adam(model.parameters(), lr=0.002, weight_decay=0.0005, fused=True)
    tokens = torch.randint(vocabulary, (int(batch), int(sequence) + 1), device=device)
    state = None

    def step():
        nonlocal state
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            scores, state = model(tokens[:, :-1], detached(state))
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
        if device == "cuda":
            torch.cuda.synchronize()

    # The first step allocates.
    step()
    return step


def compose(strategy, vocabulary, frames):
    """Step by step; all beams in one batch."""
    import torch

    model = tied_model("lstm", int(vocabulary), 512).eval()
    frames, temperature, width = int(frames), 0.9, 10

    def sample():
        token, state = torch.zeros(1, 1, dtype=torch.long), None
        for _ in range(frames):
            scores, state = model(token, state)
            token = torch.multinomial(torch.softmax(scores[0] / temperature, -1), 1)

    def beam():
        token, state, so_far = torch.zeros(1, 1, dtype=torch.long), None, torch.zeros(1, 1)
        history = []
        for _ in range(frames):
            scores, state = model(token, state)
            total = so_far + torch.log_softmax(scores[:, 0], -1)
            best, flat = total.flatten().topk(width)
            parent, token = flat // total.shape[1], (flat % total.shape[1])[:, None]
            history.append((parent, token))
            state = tuple(part[:, parent].contiguous() for part in state)
            so_far = best[:, None]
        at = int(so_far.argmax())
        for parent, token in reversed(history):
            at = int(parent[at])

    work = {"sample": sample, "beam": beam}[strategy]

    def without_gradients():
        with torch.no_grad():
            work()

    without_gradients()
    return without_gradients


def sgemm():
    """This machine's rate of multiplying matrices, as PyTorch reaches it."""
    import torch

    n = 2048
    a, b = torch.rand(n, n), torch.rand(n, n)
    a @ b

    def product():
        began = time.perf_counter()
        a @ b
        return 2 * n**3 / (time.perf_counter() - began) / 1e9

    return product


def chords_of(path):
    """The original's way from a file to chords."""
    import numpy
    import pretty_midi

    try:
        roll = pretty_midi.PrettyMIDI(path).instruments[0].get_piano_roll(fs=2) > 0
    except Exception:  # It fails on some files; Etude reads them all the same.
        return None
    return [tuple(map(int, numpy.flatnonzero(column))) for column in roll.T]


def tokenize(processes, folder):
    from multiprocessing import Pool

    found = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    paths = sorted(path for path in found if path.lower().endswith((".mid", ".midi")))
    pool = Pool(processes) if processes > 1 else None
    # Each process has imported what it needs before it is timed.
    (pool.map if pool else map)(chords_of, paths[:1])
    list(map(chords_of, paths[:1]))

    def read_all():
        vocabulary = {(): 0}
        for chords in pool.map(chords_of, paths) if pool else map(chords_of, paths):
            for chord in chords or []:
                vocabulary.setdefault(chord, len(vocabulary))

    return read_all


def original(tokens_path):
    """The original's loop: everything in 256 columns, windows of at most 100 frames, plain Adam,
    the held-out part measured after each epoch."""
    import torch
    from torch import nn

    with open(tokens_path) as file:
        data = json.load(file)
    tokens = torch.tensor([token for song in data["songs"] for token in song["tokens"]])
    n_valid = len(tokens) // 5 + (len(tokens) % 5 > 0)
    learned, held_out = tokens[:-n_valid], tokens[-n_valid:]
    batch, sequence = 256, 100
    columns = learned[: len(learned) // batch * batch].view(batch, -1)
    model = tied_model("lstm", len(data["vocabulary"]), 512)
    adam = torch.optim.Adam(model.parameters(), lr=0.002, weight_decay=0.0005)
    began = time.perf_counter()
    for epoch in range(1, 51):
        model.train()
        state = None
        for start in range(0, columns.shape[1] - 1, sequence):
            window = columns[:, start : start + sequence + 1]
            scores, state = model(window[:, :-1], detached(state))
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), window[:, 1:].flatten())
            adam.zero_grad()
            loss.backward()
            adam.step()
        model.eval()
        with torch.no_grad():
            # From a rest on, the state carried.
            known = torch.cat([torch.zeros(1, dtype=torch.long), held_out[:-1]])
            scores, _ = model(known[None], None)
            loss = nn.functional.cross_entropy(scores[0], held_out)
        line = {"seconds": time.perf_counter() - began, "epoch": epoch, "loss": float(loss)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
