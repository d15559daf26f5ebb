"""Faults while a class is graded: killed a hundred times, workers killed, hostile sheets among good ones.

    python tests/benchmarks/grading_faults.py [--kills 100] [--count 2000] [--good 10000] [--hostile 1000] [--seed 0]

Each is compared with a run in which nothing happened: every file of the results, byte for byte, and every grade in the
gradebook. Hostile sheets are the fuzz's (`fuzz_texts.py`), sheets with code in them that would leave a mark, and files
that are no text. Exits 1 if a byte differs, a mark was left, a hostile sheet took a good one's points, or the hostile
class took more than 1.5 times as long.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(ROOT)]

import fuzz_texts  # noqa: E402
import grading_sheets  # noqa: E402
from grading_speed import ASSIGNMENT  # noqa: E402

from tutor.grading.gradebook import opened  # noqa: E402
from tutor.grading.grades import of_version  # noqa: E402

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(folder: Path, handed: Path, results: Path) -> list[str]:
    assignment = folder / "benchmark.toml"
    assignment.write_text(ASSIGNMENT)
    return [sys.executable, "-m", "tutor", "grade", str(assignment), str(handed), "-o", str(results)]


def run(args: list[str]) -> float:
    """Seconds of a run to its end."""
    began = time.perf_counter()
    subprocess.run(args, env=ENVIRONMENT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def killed(args: list[str], after: float, workers_only: bool) -> None:
    """Start a run and kill it, or its workers, so many seconds later; workers' runs go on to their end."""
    process = subprocess.Popen(args, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    if workers_only:
        subprocess.run(["pkill", "-9", "-P", str(process.pid), "-f", "multiprocessing"], check=False)
        process.wait()
        return
    process.send_signal(signal.SIGKILL)
    process.wait()


def content(results: Path) -> dict[str, bytes]:
    """All that a teacher opens, and the gradebook by what it says."""
    found = {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in results.rglob("*")
        if path.is_file() and not path.name.startswith(("gradebook", "."))
    }
    with opened(results) as book:
        found["gradebook"] = repr(list(of_version(book, book.newest()))).encode()
    return found


def kills(folder: Path, options: argparse.Namespace, workers_only: bool) -> list[str]:
    """Kill at random moments, again and again, then let it end."""
    rng = random.Random(options.seed)
    what = "workers" if workers_only else "runs"
    count = options.worker_kills if workers_only else options.kills
    whole, results = folder / "whole", folder / f"killed-{what}"
    for n in range(count):
        if workers_only:  # each run starts anew, and goes on in spite of it
            results = folder / f"killed-{what}-{n}"
        killed(command(folder, folder / "class", results), rng.uniform(0.5, options.until), workers_only)
        if workers_only and content(results) != content(whole):
            return [f"{what}: run {n} ended with other bytes"]
    run(command(folder, folder / "class", results))
    same = content(results) == content(whole)
    print(f"  {count} {what} killed at random moments: {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
    return [] if same else [f"{what}: other bytes"]


def hostile(at: Path, count: int, seed: int, mark: Path) -> None:
    """Files that mean harm, each from a learner of its own."""
    rng = random.Random(seed)
    words = fuzz_texts.words("softmax-regression")
    code = (f"open({str(mark)!r}, 'w')", f"__import__('os').system('touch {mark}')", f"exec(\"open('{mark}','w')\")")
    makers = [
        lambda: f"{rng.choice(code)}\ndW = {rng.choice(code)}",
        lambda: fuzz_texts.hostile(words, rng),
        lambda: fuzz_texts.hostile(words, rng),
        lambda: fuzz_texts.mutated("\n".join(grading_sheets.TRUE), words, rng, most=10),
        lambda: fuzz_texts.raw_text(words, rng),
        lambda: fuzz_texts.raw_bytes(words, rng).decode("latin-1"),
        lambda: "".join(f"dz = dz + (p - y) * {rng.random()}\n" for _ in range(400)),
        lambda: "# exercise: softmax-regression\n" * 300,
        lambda: '{"cells": [' + '{"cell_type": "code", "source": ["dW = 1"]},' * 3000 + "]}",
    ]
    for n in range(count):
        path = at / f"hostile{n:05}" / "answer.py"
        path.parent.mkdir(parents=True)
        path.write_text(f"{makers[n % len(makers)]()}\n# {n}\n", "utf-8", "replace")  # no two are the same


def among_good_ones(folder: Path, options: argparse.Namespace) -> list[str]:
    mark = folder / "a mark"
    good, both = folder / "good", folder / "both"
    grading_sheets.folder(good, options.good)
    grading_sheets.folder(both, options.good)
    hostile(both, options.hostile, options.seed, mark)
    command(folder, good, folder)  # writes the assignment
    before = {path for path in folder.iterdir()} | {folder / "r-good", folder / "r-both"}
    seconds = {name: run(command(folder, folder / name, folder / f"r-{name}")) for name in ("good", "both")}
    problems = []
    wanted, found = (content(folder / f"r-{name}") for name in ("good", "both"))
    if any(found[name] != page for name, page in wanted.items() if name.startswith("feedback/")):
        problems.append("a good sheet's page changed")
    with opened(folder / "r-both") as book:
        grades = {grade.learner: grade.points for grade in of_version(book, book.newest())}
    for n in range(options.good):
        if grades[f"learner{n:06}"] != grading_sheets.earned(n):
            problems.append(f"learner{n:06} has other points")
    if mark.exists():
        problems.append("something was run")
    if strangers := {path for path in folder.iterdir()} - before:
        problems.append(f"written outside the results: {strangers}")
    ratio = seconds["both"] / seconds["good"]
    if ratio > 1.5:
        problems.append(f"{ratio:.2f} times as long")
    print(f"  {options.good} good sheets: {seconds['good']:.0f} s; with {options.hostile} hostile ones: "
          f"{seconds['both']:.0f} s, {ratio:.2f} times (limit 1.5)")  # fmt: skip
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--worker-kills", type=int, default=20, help="runs in which all workers are killed once")
    parser.add_argument("--until", type=float, default=12.0, help="seconds after which a run is killed at the latest")
    parser.add_argument("--count", type=int, default=2000, help="sheets of the class that is killed")
    parser.add_argument("--good", type=int, default=10_000)
    parser.add_argument("--hostile", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.kills or options.worker_kills:
            grading_sheets.folder(folder / "class", options.count)
            run(command(folder, folder / "class", folder / "whole"))
            problems += kills(folder, options, workers_only=False)
            problems += kills(folder, options, workers_only=True)
        if options.good:
            problems += among_good_ones(folder, options)
    print("\n".join(problems) or "nothing lost, nothing changed")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
