"""The verdicts of two checkouts, on the same sheets: what a change in the judge changes that no test asks for.

    git worktree add ../before main
    python tests/benchmarks/differential.py ../before [--count 2000] [--seed 0] [--sheets FOLDER ...]

The sheets are the golden cases, right answers rewritten at random, and the same with one or two random edits (the
exam's, so that they are equal for both); with `--sheets` also every file in a folder, such as answers of a class. Each
one that gets another verdict, or other points, is printed with both; a person says which is better. Exits 1 if there
is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHOWN = 40


def judge_stdin() -> None:
    """The child: verdicts of the checkout it runs in, sheet by sheet, as JSON."""
    from tutor.checking.sheets import check_sheets
    from tutor.errors import TutorError

    warnings.simplefilter("ignore")
    for row in sys.stdin:
        try:
            reports = check_sheets(json.loads(row))
            found: Any = [
                [report.score, *([line.line, line.quantity, line.verdict, str(line.reason)] for line in report.lines)]
                for report in reports
            ]
        except TutorError as error:
            found = str(error)
        except Exception as error:  # our own fault is a difference too
            found = repr(error)
        print(json.dumps(found), flush=True)


def verdicts(checkout: Path, sheets: list[str]) -> list[Any]:
    env = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--judge"]
    text = "".join(json.dumps(sheet) + "\n" for sheet in sheets)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, env=env, cwd=checkout)
    return [json.loads(row) for row in done.stdout.splitlines()]


def generated(count: int, seed: int) -> Iterator[str]:
    """Half of them right, half with one or two edits."""
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    import exam_right
    import exam_wrong
    from exam import addresses, ready

    everywhere = addresses()
    for n in range(count):
        where, dice = ready(everywhere[n % len(everywhere)]), random.Random(f"{seed}|{n}")
        sheet = exam_right.right_sheet(where, dice, most=6)
        edited = exam_wrong.mutant(sheet, dice, dice.choice([1, 1, 2])) if n // len(everywhere) % 2 else None
        yield (sheet if edited is None else edited.sheet).text


def plain(found: Any) -> Any:
    """Verdicts and points; the reasons are shown, and not compared."""
    if isinstance(found, str):
        return found
    return [[score, *(line[:3] for line in lines)] for score, *lines in found]


def as_text(found: Any) -> str:
    if isinstance(found, str):
        return f"    {found}"
    return "\n".join(
        "    " + "; ".join([f"{score:g} points", *(f"line {n} {name}: {verdict}" for n, name, verdict, _ in lines)])
        for score, *lines in found
    )


def main() -> int:
    if "--judge" in sys.argv:
        judge_stdin()
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheets", type=Path, nargs="*", default=[], help="folders with nothing but further sheets")
    given = parser.parse_args()
    if not (given.other / "tutor").is_dir():
        parser.error(f"{given.other} is no checkout of this project")
    for folder in given.sheets:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    folders = [HERE.parent / "cases", *given.sheets]
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix in (".py", ".md", ".tex", ".txt")]
    sheets = [p.read_text(encoding="utf-8") for p in files] + list(generated(given.count, given.seed))
    before, after = verdicts(given.other, sheets), verdicts(HERE.parents[1], sheets)
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if plain(a) != plain(b)]
    for n in islice(changed, SHOWN):
        print(f"-- before:\n{as_text(before[n])}\n   after:\n{as_text(after[n])}\n\n{sheets[n].rstrip()}\n")
    print(f"{len(sheets):,} sheets, {len(changed)} with another verdict")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
