"""What grading a class costs: sheets a second, two workers against one, memory against the size of the class.

    python tests/benchmarks/grading_speed.py [--count 10000] [--sizes 100 1000 5000 20000] [--dask]

Sheets have five lines, are right, wrong, or have what follows from a mistake, and no two are the same. Each class is
graded by the command itself, `tutor grade`, in a process of its own; the seconds are the clock's from its start to its
end. One worker is compared with two in the same minutes, and a run of two sheets by each is taken off: what starting
costs, the command and its workers, or the command and its way to a cluster that is there.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import grading_sheets  # noqa: E402

ASSIGNMENT = """
format = "tutor.assignment/1"
id = "benchmark"

[[questions]]
exercise = "softmax-regression"
"""


@dataclass(frozen=True)
class Run:
    """One class graded."""

    count: int
    seconds: float
    megabytes: float  # of the process that hands out and keeps

    @property
    def each(self) -> float:
        """Milliseconds a sheet."""
        return 1000 * self.seconds / self.count


def graded(folder: Path, count: int, *how: str) -> Run:
    """Grade a class of so many by the command."""
    handed = folder / f"class-{count}"
    if not handed.exists():
        grading_sheets.folder(handed, count)
    assignment = folder / "benchmark.toml"
    assignment.write_text(ASSIGNMENT)
    results = tempfile.mkdtemp(dir=folder)  # stays: new files take longer where as many were deleted a minute ago
    args = [sys.executable, "-m", "tutor", "grade", str(assignment), str(handed), "-o", results, *how]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(args, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    largest = 0.0
    while process.poll() is None:
        largest = max(largest, held(process.pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    said = process.stdout.read().decode() if process.stdout else ""
    points = sum(map(grading_sheets.earned, range(count))) / count
    assert process.returncode == 0 and f"on average {points:.4g} of 2 points" in said, said
    return Run(count, seconds, largest)


def held(process: int) -> float:
    """The largest resident size of a process so far, in megabytes."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) / 1024 for row in status.splitlines() if row.startswith("VmHWM:")), 0.0)


@contextmanager
def cluster(workers: int):
    """A Dask scheduler with workers of one thread, on loopback."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as made:
        yield made.scheduler_address


def on_processes(folder: Path, count: int, workers: int) -> tuple[float, float]:
    """Seconds of a run of two sheets, which is the start, and of one of so many."""
    start, whole = (graded(folder, number, "--jobs", str(workers)).seconds for number in (2, count))
    return start, whole


def on_dask(folder: Path, count: int, workers: int) -> tuple[float, float]:
    """The same on a cluster that is there already, each of whose workers has imported and derived what it will need."""
    with cluster(workers) as address:
        graded(folder, 64 * workers, "--scheduler", address)
        start, whole = (graded(folder, number, "--scheduler", address).seconds for number in (2, count))
    return start, whole


WAYS = {"processes": on_processes, "Dask": on_dask}


def compared(folder: Path, count: int, way: str) -> None:
    """One worker against two."""
    (start_one, one), (start_two, two) = (WAYS[way](folder, count, workers) for workers in (1, 2))
    print(f"  {way:21} {one:7.1f} s {two:7.1f} s {one / two:6.2f}   whole command")
    one, two = one - start_one, two - start_two
    print(f"  start taken off       {one:7.1f} s {two:7.1f} s {one / two:6.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="sheets that are timed first; 0 for none")
    parser.add_argument("--ratio", type=int, default=2_000, help="sheets with which workers are compared")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1_000, 5_000, 20_000])
    parser.add_argument("--dask", action="store_true", help="two Dask workers against one as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.count:
            print(f"{options.count} sheets on {os.cpu_count()} processors")
            run = graded(folder, options.count)
            print(f"  {run.seconds:.1f} s, {run.each:.2f} ms a sheet (limit 60 s for 10,000 on two cores)\n")
        print(f"workers, {options.ratio} sheets    one       two       ratio (limit 1.8, the start taken off)")
        compared(folder, options.ratio, "processes")
        if options.dask:
            compared(folder, options.ratio, "Dask")
        print("\nclass      seconds   ms a sheet   MB, the process that hands out and keeps")
        for count in options.sizes:
            run = graded(folder, count)
            print(f"{count:6d} {run.seconds:10.1f} {run.each:12.2f} {run.megabytes:12.0f}")
        print(f"\na worker at its largest {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
