"""A two-block GPT, imported: what that costs beyond torch.export, and our backward pass beside autograd's.

    python tests/benchmarks/import_speed.py

Limits: the import 5 s beyond torch.export itself, the derivation 1 s, the whole symbolic backward pass twice autograd's
own, in float32 at eight sequences of 64 characters and width 128. Both backward passes begin where the forward pass has
been computed; times are the least of many rounds, taken in turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import tutor
from tutor.numeric.programs import backward_plan
from tutor.numeric.sample import worked_instance
from tutor.torch_import import importing

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from torch_models import GPT

ROUNDS = 30
BATCH, TIME, WIDTH, HEADS, WORDS = 8, 64, 128, 4, 65


def main() -> int:
    torch.manual_seed(0)
    model = GPT(WORDS, WIDTH, HEADS, TIME)
    idx, targets = (torch.randint(WORDS, (BATCH, TIME)) for _ in range(2))
    exporting = _timed_trace()
    tutor.from_torch(model, idx, targets, loss=1)  # what is loaded once, as torch.export's own modules
    exporting.clear()
    started = time.perf_counter()
    exercise = tutor.from_torch(model, idx, targets, loss=1)
    imported = time.perf_counter() - started - exporting[0]
    started = time.perf_counter()
    exercise.derive()
    derived = time.perf_counter() - started

    sizes, values = exercise.own[0]
    instance = worked_instance(exercise, values, sizes).to(torch.float32)
    plan = backward_plan(exercise)
    loss, parameters = model(idx, targets)[1], list(model.parameters())

    def ours() -> None:
        with torch.no_grad():
            plan.run(instance.values, instance.sizes)

    def autograds() -> None:
        torch.autograd.grad(loss, parameters, retain_graph=True)

    mine, theirs = _in_turns(ours, autograds)
    rows = [
        ("torch.export", exporting[0], None),
        ("import beyond it", imported, 5.0),
        ("derivation", derived, 1.0),
        ("backward, ours / autograd's", mine / theirs, 2.0),
    ]
    steps, gradients = len(exercise.forward), len(exercise.derive().gradients)
    print(f"two-block GPT: {steps} steps, {gradients} gradients; backward {1e3 * mine:.1f} ms, {1e3 * theirs:.1f} ms")
    for name, figure, limit in rows:
        met = "" if limit is None else f"   limit {limit:g}: {'met' if figure <= limit else 'NOT met'}"
        print(f"{name:<28}{figure:8.2f}{met}")
    return int(any(limit is not None and figure > limit for _, figure, limit in rows))


def _timed_trace() -> list[float]:
    """Seconds of each call that traces a graph."""
    seconds: list[float] = []
    trace = importing.trace

    def timed(*args):
        started = time.perf_counter()
        made = trace(*args)
        seconds.append(time.perf_counter() - started)
        return made

    importing.trace = timed
    return seconds


def _in_turns(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for number, call in enumerate((first, second)):
            started = time.perf_counter()
            call()
            best[number] = min(best[number], time.perf_counter() - started)
    return best[0], best[1]


if __name__ == "__main__":
    sys.exit(main())
