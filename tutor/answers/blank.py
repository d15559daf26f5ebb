"""A sheet to fill in: statement, shapes and forward program as comments, then the names that are asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.catalogue import is_path, load, split_address
from tutor.errors import UsageError
from tutor.language import of_exercise, said, tr
from tutor.paragraphs import refilled
from tutor.saving import explained
from tutor.shown import quoted
from tutor.symbolic.notation import SheetWriter, shape_text

if TYPE_CHECKING:
    from tutor.exercise import Exercise, Quantity

WIDTH = 76  # of the statement in a sheet


@dataclass(frozen=True)
class Written:
    """Where a sheet was written, and what `tutor check` needs beside it."""

    path: Path
    option: str

    def __str__(self) -> str:
        return str(self.path)


def write_sheet(address: str, path: str | None = None, *, force: bool = False) -> Written:
    """Write the sheet of an exercise to `path`, a file or a folder; an existing file is overwritten by `force` only."""
    exercise = load(address)
    by_file = is_path(split_address(address)[0])
    name = re.sub(r"[^\w.-]+", "-", exercise.id) + ".answer.py" if by_file else f"{_stem(exercise.id)}.py"
    target = Path(path) if path else Path(name)
    if target.is_dir():
        target = target / name
    taken = said("{target} exists and is left as it is: give another path, 'tutor start {address} PATH', or --force",
               target=target, address=address)  # fmt: skip
    write_new(target, blank(exercise, _command(address, target) if by_file else ""), taken, force=force)
    return Written(target, f" --exercise {quoted(address)}" if by_file else "")


def write_new(target: Path, text: str, taken: str, *, force: bool = False) -> None:
    """Write a file that is not there yet, or with `force` over one that is; `taken` says that there is one."""
    with explained(target):
        try:
            with target.open("w" if force else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(taken) from None


def sheet_of(address: str) -> str:
    """The sheet of an exercise as text, to be printed."""
    return blank(load(address), _command(address, "SHEET") if is_path(split_address(address)[0]) else "")


def _command(address: str, sheet: str | Path) -> str:
    return f"tutor check {quoted(sheet)} --exercise {quoted(address)}"


def _stem(identity: str) -> str:
    """`mlp:layers=4,loss=mae` as a file's name: mlp-layers-4-loss-mae"""
    return re.sub(r"[^\w.-]+", "-", identity).replace("=", "-")


def blank(exercise: Exercise, command: str = "") -> str:
    """The text of the sheet.

    A path does not belong into a header, since a sheet never has a file run: for an exercise of one's own the sheet
    says with which `command` it is checked.
    """
    headers = [] if command else [f"# exercise: {exercise.id}"]
    return sheet(exercise, headers, [_advice(command)], command)


def sheet(exercise: Exercise, headers: Sequence[str], advice: Sequence[str], command: str = "", title: str = "") -> str:
    """`headers`, statement and program as comments, `advice` in paragraphs, then a line for each name that is asked."""
    lines = [*headers, f"# {title or of_exercise(exercise.title)}", "#"]
    if exercise.statement:
        again = tr("The same in the letters of a sheet, with the shapes:")
        statement = refilled(of_exercise(exercise.statement.strip()), WIDTH)
        lines += [f"# {row}".rstrip() for row in [*statement.split("\n"), "", again]]
    lines += [f"# {row}" for row in program_rows(exercise)]
    for paragraph in advice:
        lines += ["#", *(f"# {row}" for row in refilled(paragraph, WIDTH).split("\n"))]
    lines += [*([f"#     {command}"] if command else []), ""]
    lines += [f"{name} = ..." for name in exercise.worth]
    return "\n".join(lines).rstrip() + "\n"


def _advice(command: str) -> str:
    if command:
        return tr(
            "Put your formulas in place of the dots, in torch's spelling (x.T @ dz) or with indices; lines for other "
            "gradients may stand in between. Then run this:"
        )
    return tr(
        "Put your formulas in place of the dots, in torch's spelling (x.T @ dz) or with indices; lines for other "
        "gradients may stand in between. Then run tutor check on this file."
    )


def program_rows(exercise: Exercise) -> list[str]:
    """What is given and the forward program in the letters of a sheet, with shapes."""
    writer = SheetWriter(exercise)
    given = [q for q in exercise if q.is_leaf]
    rows = [(writer.write(q.entry), shape_text(q.shape), _domain(q)) for q in given]
    rows += [
        (f"{writer.write(q.entry)} = {writer.write(q.expr)}", shape_text(q.shape), "")
        for q in exercise.forward
        if q.expr is not None
    ]
    upstream = [exercise.gradient_quantity(q) for q in exercise.ends if q.kind == "output"]
    rows += [(writer.write(q.entry), shape_text(q.shape), tr("given from above")) for q in upstream]
    wide = min(max(len(row[0]) for row in rows), 70)
    return [f"{formula.ljust(wide)}   {shape}   {domain}".rstrip() for formula, shape, domain in rows]


def _domain(q: Quantity) -> str:
    return (
        "" if q.domain == "real" else tr("integers below {below}", below=q.below) if q.domain == "index" else q.domain
    )
