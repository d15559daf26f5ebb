"""A sheet to fill in: the exercise's shapes and forward program as comments, then the names that are asked."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.catalogue import is_path, load, split_address
from tutor.errors import UsageError
from tutor.symbolic.notation import SheetWriter, shape_text

if TYPE_CHECKING:
    from tutor.exercise import Exercise, Quantity


@dataclass(frozen=True)
class Written:
    """Where a sheet was written, and what `tutor check` needs beside it."""

    path: Path
    option: str

    def __str__(self) -> str:
        return str(self.path)


def write_sheet(address: str, path: str | None = None) -> Written:
    """Write the sheet of an exercise to `path`, a file or a folder; an existing file is never overwritten."""
    exercise = load(address)
    by_file = is_path(split_address(address)[0])
    name = re.sub(r"[^\w.-]+", "-", exercise.id) + ".answer.py" if by_file else f"{_stem(exercise.id)}.py"
    target = Path(path) if path else Path(name)
    if target.is_dir():
        target = target / name
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(blank(exercise, _command(address, target) if by_file else ""))
    except FileExistsError:
        raise UsageError(
            f"{target} exists and is left as it is: give another path, 'tutor start {address} PATH'"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}; give another path") from None
    return Written(target, f" --exercise {quoted(address)}" if by_file else "")


def sheet_of(address: str) -> str:
    """The sheet of an exercise as text, to be printed."""
    return blank(load(address), _command(address, "SHEET") if is_path(split_address(address)[0]) else "")


def _command(address: str, sheet: str | Path) -> str:
    return f"tutor check {quoted(sheet)} --exercise {quoted(address)}"


def _stem(identity: str) -> str:
    """`mlp:layers=4,loss=mae` as a file's name: mlp-layers-4-loss-mae"""
    return re.sub(r"[^\w.-]+", "-", identity).replace("=", "-")


def quoted(name: str | Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(name))


def blank(exercise: Exercise, command: str = "") -> str:
    """The text of the sheet.

    A path does not belong into a header, since a sheet never has a file run: for an exercise of one's own the sheet
    says with which `command` it is checked.
    """
    lines = [] if command else [f"# exercise: {exercise.id}"]
    lines += [f"# {exercise.title}", "#"]
    lines += [f"# {row}" for row in _program(exercise)]
    lines += [
        "#",
        "# Put your formulas in place of the dots, in torch's spelling (x.T @ dz) or with indices; lines for other",
        f"# gradients may stand in between. Then run {'tutor check on this file.' if not command else 'this:'}",
        *([f"#     {command}"] if command else []),
        "",
    ]
    lines += [f"{exercise.answer_name(name)} = ..." for name in exercise.asked]
    return "\n".join(lines).rstrip() + "\n"


def _program(exercise: Exercise) -> list[str]:
    writer = SheetWriter(exercise)
    given = [q for q in exercise if q.is_leaf]
    rows = [(writer.write(q.entry), shape_text(q.shape), _domain(q)) for q in given]
    rows += [
        (f"{writer.write(q.entry)} = {writer.write(q.expr)}", shape_text(q.shape), "")
        for q in exercise.forward
        if q.expr is not None
    ]
    upstream = [exercise.gradient_quantity(q) for q in exercise.ends if q.kind == "output"]
    rows += [(writer.write(q.entry), shape_text(q.shape), "given from above") for q in upstream]
    wide = min(max(len(row[0]) for row in rows), 70)
    return [f"{formula.ljust(wide)}   {shape}   {domain}".rstrip() for formula, shape, domain in rows]


def _domain(q: Quantity) -> str:
    return "" if q.domain == "real" else f"integers below {q.below}" if q.domain == "index" else q.domain
