"""How fast LaTeX is read: every gradient that the tutor prints, and hostile text.

    python tests/benchmarks/latex_speed.py

Warm, of one core. Exits 1 if a printed line takes more than 20 ms in the median, or hostile text more than a second.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import tutor  # noqa: E402
from tests.test_latex import HOSTILE  # noqa: E402
from tutor.answers import latex  # noqa: E402
from tutor.errors import ReadingError  # noqa: E402


def seconds(text: str, exercise: tutor.Exercise) -> float:
    """The quicker of three, so that what else the machine does counts little."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        with suppress(ReadingError):  # refused is read as well
            latex.read(text, exercise)
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> int:
    lines = []
    for entry in tutor.entries():
        exercise = tutor.load(entry.id)
        lines += [seconds(gradient.latex, exercise) for gradient in exercise.derive().gradients.values()]
    median, longest = statistics.median(lines), max(lines)
    print(f"{len(lines)} printed gradients: median {1000 * median:.1f} ms, longest {1000 * longest:.1f} ms")
    softmax = tutor.load("softmax-regression")
    hostile = {name: seconds(text, softmax) for name, text in HOSTILE.items()}
    worst = max(hostile, key=lambda name: hostile[name])
    print(f"{len(hostile)} hostile texts: the longest, {worst}, {1000 * hostile[worst]:.0f} ms")
    return int(median > 0.02 or hostile[worst] > 1)


if __name__ == "__main__":
    sys.exit(main())
