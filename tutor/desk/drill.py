"""A drill: the backward pass of an exercise with one planted mistake. The learner names the line and mends it.

A drill is its exercise, its seed and its notation: nothing is hidden in a file, since it is made again to be graded.
The mistake is a row of the mistake table (`checking/spoils.py`), written as the other lines are, and the judge has
called that line wrong, and no other, before it is handed out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from tutor.answers import headers
from tutor.errors import UsageError
from tutor.language import N_, of_exercise, said, tr

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.exercise import Exercise

LARGEST_SEED = 10**6
TRIES = 40  # mistakes that are tried before an exercise is given up
NOTATIONS = ("torch", "index")
KINDS = {  # the ids of the mistake table, in words that do not name a line
    "transposed": N_("a matrix that should be transposed, or should not"),
    "wrong-axis": N_("a sum over another axis than the one that was broadcast"),
    "missing-sum": N_("a sum that is missing"),
    "sign": N_("a sign"),
    "factor": N_("a constant factor"),
    "extra-factor": N_("a factor that does not belong there"),
    "wrong-convention": N_("a convention: mean or sum, biased or not, row or column"),
    "missing-path": N_("a use of the quantity that is not counted"),
    "wrong-point": N_("a derivative taken at another point: before the function instead of behind it, or the reverse"),
    "wrong-mask": N_("a mask made from another tensor"),
    "missing-gradient": N_("a forward value where its gradient belongs"),
    "extra-gradient": N_("a gradient where the forward value belongs"),
    "diagonal-only": N_("entry by entry, where the step couples entries"),
    "missing-local-derivative": N_("a local derivative that is forgotten"),
    "missing-upstream": N_("a local derivative alone, without what comes from above"),
    "wrong-power": N_("a power"),
    "product-rule": N_("a product of derivatives, where the product rule belongs"),
    "missing-scatter": N_("repeated indices whose parts are not added up"),
    "stale-value": N_("a value from another step"),
}
_BLANK = "..."
# `# drill: seed 3, torch, 7-1a2b3c`: which of the tries was planted, and a digest of the lines as handed out
_HEADER = re.compile(
    rf"{headers.DRILL.pattern}\s*seed\s+(\d{{1,7}}),\s*({'|'.join(NOTATIONS)}),\s*(\d{{1,2}})-([0-9a-f]{{6}})\s*$",
    re.MULTILINE,
)
_SAID = re.compile(r"^[ \t]*#[ \t]*wrong line[ \t]*[:：][ \t]*(\S.*?)?[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"(?:line|row|第)?\s*(\d{1,6})(?!\w|\.\d)(?!\s*(?:,|;|/|-|or|and)\s*\d)", re.IGNORECASE)
_INDEXED = re.compile(r"\bSum\(|^\s*d\w+\[[^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*\]\s*=", re.MULTILINE)


@dataclass(frozen=True)
class Drill:
    """The sheet as it is handed out, and where its mistake is."""

    exercise: str
    seed: int
    notation: str
    text: str
    line: int  # of the text, from 1
    quantity: str  # `dW`
    mistake: str  # an id of the mistake table
    lines: tuple[int, int]  # the first and the last of the derivation


@dataclass(frozen=True)
class _Planted:
    """The derivation, line by line, with the mistake in line `at`, which was the `tried`-th that was tried."""

    lines: tuple[str, ...]
    at: int
    quantity: str
    mistake: str
    tried: int

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:6]


def drill(address: str, seed: int = 0, notation: str = NOTATIONS[0]) -> Drill:
    """The drill of an exercise (an id or a file) with a seed; the same for the same three.

    Raises UsageError where no mistake of the table can be written as a line of this exercise.
    """
    from tutor.catalogue import load

    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(said("a drill's seed is a number from 0 to {most}", most=LARGEST_SEED))
    return _written(load(address), address, seed, notation, _planted(address, seed, notation))


def _written(exercise: Exercise, address: str, seed: int, notation: str, planted: _Planted) -> Drill:
    from tutor.catalogue import is_path, split_address

    own = address if is_path(split_address(address)[0]) else ""
    head = _head(exercise, own, f"seed {seed}, {notation}, {planted.tried}-{planted.digest}")
    text = "\n".join([*head, *planted.lines, ""])
    span = (len(head) + 1, len(head) + len(planted.lines))
    return Drill(exercise.id, seed, notation, text, span[0] + planted.at, planted.quantity, planted.mistake, span)


def _head(exercise: Exercise, own: str, made: str) -> list[str]:
    """What stands above the lines; a file of one's own is not named in a sheet."""
    from tutor.answers.blank import WIDTH, program_rows
    from tutor.paragraphs import refilled
    from tutor.shown import quoted

    command = f"tutor check --exercise {quoted(own)}" if own else "tutor check"
    show = f"tutor show {quoted(own or exercise.id)}"
    advice = tr(
        "One of the lines below is wrong. Name it in place of the dots, by its number or by what it gives, and mend "
        "it. '{command}' on this file says whether both are right; '{show}' has the statement.",
        command=command, show=show,
    )  # fmt: skip
    program = [tr("The forward program, with the shapes:"), *program_rows(exercise)]
    rows = [of_exercise(exercise.title), "", *program, "", *refilled(advice, WIDTH).split("\n")]
    header = [] if own else [f"# exercise: {exercise.id}"]
    return [*header, f"# drill: {made}", *(f"# {row}".rstrip() for row in rows), f"# wrong line: {_BLANK}", ""]


def notation_of(text: str) -> str:
    """How a sheet is written: with indices where a sum or an indexed left side says so."""
    own = re.sub("#.*", "", text)  # the forward program stands above in comments, with its sums
    return "index" if _INDEXED.search(own) else "torch"


# -- planting ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _planted(address: str, seed: int, notation: str) -> _Planted:
    """The first mistake, in the order of the dice, that the judge calls wrong at its line and nowhere else."""
    from tutor.catalogue import load
    from tutor.checking.check import check

    exercise = load(address)
    for planted in _candidates(exercise, seed, notation):
        report = check(exercise, "\n".join(planted.lines), repairs=False)
        wrong = [line for line in report.lines if line.verdict not in ("correct", "follows")]
        if [(line.quantity, line.verdict) for line in wrong] == [(planted.quantity, "wrong")]:
            return planted
    raise UsageError(
        said("{exercise} has no line in which a mistake can be planted: drill another", exercise=exercise.id)
    )


def _candidates(exercise: Exercise, seed: int, notation: str) -> Iterator[_Planted]:
    """What is tried, in its order; the same for the same three."""
    lines = _lines(exercise, notation)
    names = list(lines)
    for n, (name, mistake, line) in enumerate(islice(_spoilt(exercise, lines, Random(seed), notation), TRIES)):
        yield _Planted(tuple({**lines, name: line}.values()), names.index(name), name, mistake, n)


def _lines(exercise: Exercise, notation: str) -> dict[str, str]:
    """The true backward pass and the values after it, line by line, by what each gives.

    With indices where torch has no short way.
    """
    given = [(g.symbol_name, g.expr, g.indices) for g in exercise.derive().needed]
    given += [(q.name, q.expr, q.indices) for q in exercise.values]
    return {
        name: _line(exercise, name, expr, indices, notation) or _line(exercise, name, expr, indices, "index")
        for name, expr, indices in given
    }


def _line(exercise: Exercise, name: str, expr: Any, indices: Any, notation: str) -> str:
    """`dW = x.T @ dz` or `dW[j,k] = Sum(dz[i,k]*x[i,j], i)`; nothing where there is no such form."""
    from tutor.symbolic.indices import entry, tensor
    from tutor.symbolic.notation import sheet_form
    from tutor.symbolic.torch_form import torch_form

    if notation == "torch":
        form = torch_form(expr, indices, exercise)
        return f"{name} = {form}" if form else ""
    return f"{sheet_form(entry(tensor(name, indices), indices), exercise)} = {sheet_form(expr, exercise)}"


def _readable(exercise: Exercise, expr: Any, indices: Any) -> tuple[Any, Any]:
    """Indices by names of the exercise: those that a mistake's making left have serial numbers."""
    from tutor.symbolic.derive import pick_name
    from tutor.symbolic.indices import rename_bound, substitute

    names: dict[Any, Any] = {}
    for index in indices:
        names[index] = pick_name(exercise, index, frozenset(names.values())) if "~" in index.name else index
    expr = substitute(expr, {index: name for index, name in names.items() if index != name})
    return rename_bound(expr, lambda i, taken: pick_name(exercise, i, taken)), tuple(names.values())


def _spoilt(exercise: Exercise, lines: dict[str, str], dice: Random, notation: str) -> Iterator[tuple[str, str, str]]:
    """What can be planted: (`dW`, the mistake's id, the line), in the order of the dice, each kind in turn."""
    from tutor.checking.spoils import spoilt

    found: dict[str, list[tuple[str, Any]]] = {}
    for name in (g.symbol_name for g in exercise.derive().needed):
        for variant in spoilt(exercise, name[1:]).variants:
            found.setdefault(variant.id, []).append((name, variant))
    kinds = list(found)
    dice.shuffle(kinds)
    for several in found.values():
        dice.shuffle(several)
    for turn in range(max(map(len, found.values()), default=0)):
        for kind in kinds:
            if turn < len(found[kind]):
                name, variant = found[kind][turn]
                line = _line(exercise, name, *_readable(exercise, variant.expr, variant.indices), notation)
                if line and line != lines[name]:
                    yield name, kind, line


# -- graded -----------------------------------------------------------------------------------------------------


def is_drill(text: str) -> bool:
    """Whether a sheet is a drill, by its header."""
    return headers.DRILL.search(text) is not None


def made_again(text: str, address: str) -> Drill | None:
    """The drill that a sheet was handed out as; None where no drill of this tutor has that header."""
    header = _HEADER.search(text)
    return None if header is None else _made_again(address, int(header[1]), header[2], int(header[3]), header[4])


@lru_cache(maxsize=32)
def _made_again(address: str, seed: int, notation: str, tried: int, digest: str) -> Drill | None:
    """Nothing is judged again: the header says which of the tries it was, and the digest that it is the same."""
    from tutor.catalogue import load

    exercise = load(address)
    planted = next(islice(_candidates(exercise, seed, notation), tried, None), None)
    if planted is None or planted.digest != digest:
        return None
    return _written(exercise, address, seed, notation, planted)


def graded(text: str, reports: list[Report], address: str | None = None) -> list[Report]:
    """The reports of a sheet; where it is a drill, they also say whether the wrong line was named."""
    if not is_drill(text) or len(reports) != 1:
        return reports
    made = made_again(text, address or reports[0].exercise)
    if made is None:
        note = said("the drill: no drill of this tutor has that header, so the lines are judged alone")
        return [replace(reports[0], notes=(*reports[0].notes, note))]
    return [_graded(reports[0], made, said_in(text))]


def said_in(text: str) -> str:
    """What stands after `# wrong line:`; nothing for the dots."""
    found = _SAID.search(text)
    stated = (found[1] or "") if found else ""
    return "" if stated in (_BLANK, "…") else stated


def named(report: Report, made: Drill, stated: str) -> bool:
    """Whether the wrong line was named: what it gives, or its number, as handed out or as it stands now."""
    name = re.match(r"[^\W\d]\w*", stated)
    if name and re.sub(r"^(?:d[^\W\d]\w*_d|grad_)", "d", name[0]) in (made.quantity, made.quantity[1:]):
        return True
    number = _NUMBER.match(stated)
    places = {made.line, *(line.line for line in report.lines if line.quantity == made.quantity)}
    return number is not None and int(number[1]) in places


def _graded(report: Report, made: Drill, stated: str) -> Report:
    """Until the line is named the verdicts are kept back: they would name it."""
    if stated and named(report, made, stated):
        found = said("the drill: line {line}, {name}, was wrong, as you said", line=made.line, name=made.quantity)
        return replace(report, notes=(*report.notes, found))
    if stated:
        note = said("the drill: {said} was right as it was handed out: look again", said=stated)
    else:
        note = said(
            "the drill: name the line, as in '# wrong line: 12' or '# wrong line: dW': then the lines are judged"
        )
    unreadable = tuple(line for line in report.lines if line.verdict == "unreadable")
    return replace(report, score=0, missing=(said("the wrong line"),), lines=unreadable, notes=(note,))


def ladder(made: Drill) -> list[str]:
    """Hints for who looks for the line: the kind of mistake, then ever fewer lines."""
    kind = said(KINDS[made.mistake]) if made.mistake in KINDS else made.mistake
    found: list[str] = [
        said("the mistake is of this kind: {kind}; take one line at a time, given those above it", kind=kind)
    ]
    first, last = made.lines
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if made.line <= middle else (middle + 1, last)
        if last > first:
            found.append(said("it is one of the lines {first} to {last}", first=first, last=last))
    return found
