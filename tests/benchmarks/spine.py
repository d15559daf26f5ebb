"""Speed and memory of the spine, as ratios against a peer in the same run.

    python tests/benchmarks/spine.py

Derivation time against depth (and `sympy.diff` where it still ends), the five standard tasks, the symbolic backward
of an MLP against autograd's, and the start of the command line. Exits 1 if a limit is passed.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import sympy
import torch
from sympy.core.cache import clear_cache
from torch.profiler import ProfilerActivity, profile

import tutor
from tutor.numeric.evaluate import compile_program
from tutor.symbolic.derive import derive

STANDARD = ["linear-regression-batch", "softmax-regression", "mlp", "layer-norm", "attention"]
failures: list[str] = []


def seconds(call: Callable[[], object], runs: int = 5) -> float:
    """Median wall time of `call`, collected garbage kept out."""
    times = []
    for _ in range(runs):
        gc.collect()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def row(name: str, figure: str, limit: str, holds: bool) -> None:
    print(f"  {name:<58} {figure:>22}   {limit:<22} {'ok' if holds else 'TOO MUCH'}")
    if not holds:
        failures.append(name)


def fresh_derivation(address: str, shown: bool) -> float:
    """Deriving an exercise that was just loaded, SymPy's cache cold; with `shown`, the whole text as well."""
    times = []
    for _ in range(5):
        exercise = tutor.load(address)
        clear_cache()
        gc.collect()
        start = time.perf_counter()
        derivation = derive(exercise)
        if shown:
            str(derivation)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def depth() -> None:
    print("\nDerivation against depth: deep-chain, f <- sin(f)*f")
    times = {n: fresh_derivation(f"deep-chain:depth={n}", shown=False) for n in (40, 80, 160, 320)}
    for n, took in times.items():
        print(f"  depth {n:>4}   {took * 1e3:8.1f} ms")
    row("time at depth 320 over depth 40", f"{times[320] / times[40]:.1f}", "at most 9", times[320] <= 9 * times[40])
    whole = fresh_derivation("deep-chain:depth=320", shown=True)
    row("depth 320, sentences and torch forms included", f"{whole * 1e3:.0f} ms", "under 500 ms", whole < 0.5)
    sizes = {n: _size(tutor.load(f"deep-chain:depth={n}")) for n in (40, 320)}
    row("size at depth 320 over depth 40", f"{sizes[320] / sizes[40]:.1f}", "at most 9", sizes[320] <= 9 * sizes[40])
    print("  the peer: sympy.diff of the whole expression")
    for n in (4, 8, 12):
        f = x = sympy.Symbol("x", real=True)
        for _ in range(n):
            f = sympy.sin(f) * f
        clear_cache()
        start = time.perf_counter()
        sympy.diff(f, x)
        print(f"  depth {n:>4}   {(time.perf_counter() - start) * 1e3:8.1f} ms")


def _size(exercise: tutor.Exercise) -> int:
    return sum(1 for g in derive(exercise).gradients.values() for _ in sympy.preorder_traversal(g.expr))


def standard() -> None:
    print("\nThe five standard tasks, derived with sentences and torch forms; and their closed forms")
    for address in STANDARD:
        took = fresh_derivation(address, shown=True)
        row(f"{address}: derivation", f"{took * 1e3:.1f} ms", "under 50 ms", took < 0.05)
        slowest = 0.0
        for name in derive(tutor.load(address)).wrt:
            gradient = derive(tutor.load(address)).gradient(name)
            start = time.perf_counter()
            gradient.closed  # noqa: B018  computed when first asked
            slowest = max(slowest, time.perf_counter() - start)
        row(f"{address}: slowest closed form", f"{slowest * 1e3:.0f} ms", "under 500 ms", slowest < 0.5)


def backward() -> None:
    print("\nThe whole symbolic backward of an MLP 784-512-256-10, batch 256, float32, against autograd's")
    exercise = tutor.load("mlp:layers=3")
    sizes = dict(zip(exercise.size_symbols, (256, 784, 512, 256, 10), strict=True))
    values = {name: value.float() for name, value in _leaves(exercise, sizes).items()}
    forward = compile_program([(q.name, q.indices, q.expr) for q in exercise.forward], distinct=True)
    parameters = [q.name for q in exercise.leaves if q.kind == "parameter"]
    leaves = {k: v.requires_grad_() if k in parameters else v for k, v in values.items()}
    computed = forward.run(leaves, sizes)
    known = {k: v.detach() for k, v in {**leaves, **computed}.items()}
    plan = compile_program(derive(exercise).program)
    keep = [f"d{name}" for name in parameters]

    def ours() -> object:
        return plan.run(known, sizes, keep=keep)

    def theirs() -> object:
        return torch.autograd.grad(computed["L"], [leaves[p] for p in parameters], retain_graph=True)

    for mine, yours in zip(ours().values(), theirs(), strict=True):  # type: ignore[attr-defined,call-overload]
        assert torch.allclose(mine, yours, rtol=1e-3, atol=1e-6)
    ratios = []
    for _ in range(15):
        mine, yours = seconds(ours, 3), seconds(theirs, 3)
        ratios.append(mine / yours)
    ratio = statistics.median(ratios)
    row("time, symbolic over autograd", f"{ratio:.2f}", "at most 1.3", ratio <= 1.3)
    memory = peak(ours) / peak(theirs)
    row("peak memory, symbolic over autograd", f"{memory:.2f}", "at most 1.3", memory <= 1.3)
    print(f"  (peaks: {peak(ours) / 2**20:.1f} MiB and {peak(theirs) / 2**20:.1f} MiB)")


def _leaves(exercise: tutor.Exercise, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    return {q.name: exercise.sample(seed=0, sizes=sizes)[q.name] for q in exercise.leaves}


def peak(call: Callable[[], object]) -> int:
    """Most bytes that torch's allocator held at once during the call."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        result = call()
    events = sorted(
        (e.start_ns(), e.nbytes()) for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"
    )
    held = most = 0
    for _, size in events:
        held += size
        most = max(most, held)
    del result
    return most


def command_line() -> None:
    print("\nThe command line, against an empty click program")
    empty = "import click\n@click.command()\ndef main(): pass\nmain(['--help'], standalone_mode=False)"
    ours = "import sys; sys.argv = ['tutor', '--help']\nfrom tutor.cli import main\nmain()"
    differences = []
    for _ in range(9):
        a = seconds(lambda: subprocess.run([sys.executable, "-c", ours], capture_output=True), 1)
        b = seconds(lambda: subprocess.run([sys.executable, "-c", empty], capture_output=True), 1)
        differences.append(a - b)
    extra = statistics.median(differences)
    row("tutor --help over the empty program", f"{extra * 1e3:+.0f} ms", "at most 100 ms", extra <= 0.1)
    check = "import sys; sys.argv = ['tutor', {}]\nfrom tutor.cli import main\n"
    check += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    check += "print('LOADED', *(m for m in ('torch', 'sympy') if m in sys.modules), file=sys.stderr)"
    for arguments, allowed in (("'--help'", set()), ("'list'", {"sympy"}), ("'show', 'attention'", {"sympy"})):
        code = check.replace("{}", arguments)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
        loaded = set(done.stderr.split("LOADED")[-1].split())
        row(f"tutor {arguments} imports", ", ".join(sorted(loaded)) or "neither", "not torch", loaded <= allowed)


if __name__ == "__main__":
    print(f"torch {torch.__version__}, sympy {sympy.__version__}, {torch.get_num_threads()} threads")
    for part in (depth, standard, backward, command_line):
        part()
    print("\nall within their limits" if not failures else f"\nover the limit: {', '.join(failures)}")
    sys.exit(bool(failures))
