"""How long a learner waits: for the command line to start, and for `tutor watch` after a save.

    python tests/benchmarks/desk_speed.py [--repeats 15]

Starts are measured in pairs, beside a bare Python that imports click. The watch runs in a pseudo-terminal; its time is
that from the save of a sheet of ten lines until the terminal shows what comes last. Exits 1 if a limit is passed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect

ROOT = Path(__file__).resolve().parents[2]
STARTS = 0.2  # seconds above Python with click
WATCH = 0.15  # seconds from a save until it is told
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8"}

RIGHT = """# exercise: mlp
dy_pred = 2 * (y_pred - y) / (N * D2)
dh1 = dy_pred @ W2.T
mask = z1 > 0
dz1 = dh1 * mask
dx = dz1 @ W1.T
dy = 2 * (y - y_pred) / (N * D2)
dW1 = x.T @ dz1
db1 = dz1.sum(0)
dW2 = h1.T @ dy_pred
db2 = dy_pred.sum(0)
"""
WRONG = RIGHT.replace("h1.T @ dy_pred", "2 * h1.T @ dy_pred")

failures: list[str] = []


def row(name: str, figure: float, limit: float) -> None:
    verdict = "ok" if figure <= limit else "TOO MUCH"
    print(f"  {name:<56} {figure * 1e3:>7.0f} ms   at most {limit * 1e3:.0f} ms   {verdict}")
    if figure > limit:
        failures.append(name)


def started(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, env=ENVIRONMENT, cwd=ROOT)
    return time.perf_counter() - start


def starts(repeats: int) -> None:
    print("\nA start, above that of Python with click (medians of pairs)")
    for name in ("--help", "list", "--version"):
        started("-m", "tutor", name)
        extra = [started("-m", "tutor", name) - started("-c", "import click") for _ in range(repeats)]
        row(f"tutor {name}", statistics.median(extra), STARTS)


def watch(repeats: int) -> None:
    print("\ntutor watch: from a save until the terminal shows what comes last (medians, once warm)")
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "mlp.py")
        sheet.write_text(WRONG, encoding="utf-8")
        screen = pexpect.spawn(
            sys.executable, ["-m", "tutor", "watch"], cwd=folder, env=ENVIRONMENT, encoding="utf-8", timeout=60,
            dimensions=(60, 100),
        )  # fmt: skip
        screen.expect("q quit")
        for name, text, shows in (("all right", RIGHT, "4 of 4 points"), ("one line wrong", WRONG, "3 of 4 points")):
            times = []
            for _ in range(repeats + 2):
                sheet.write_text("# exercise: mlp\n", encoding="utf-8")
                screen.expect("incomplete")
                screen.expect("q quit")
                time.sleep(0.5)  # a save of its own, not the tail of the last one
                start = time.perf_counter()
                sheet.write_text(text, encoding="utf-8")
                screen.expect(shows)
                screen.expect("q quit")
                times.append(time.perf_counter() - start)
            row(f"a sheet of ten lines, {name}", statistics.median(times[2:]), WATCH)
        screen.sendcontrol("c")
        screen.close(force=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    starts(options.repeats)
    watch(options.repeats)
    sys.exit(bool(failures))
