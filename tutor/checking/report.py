"""What a check found: plain data, the same bytes for the same answer and seed. Neither sympy nor torch is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite, prod
from typing import Any, ClassVar

from tutor.language import N_, Said, for_programs, joined, listed, said, tr
from tutor.shown import Shown

SCHEMA = "tutor.report/1"
LINE_VERDICTS = ("correct", "follows", "wrong", "undecided", "unreadable")
VERDICTS = ("wrong", "unreadable", "undecided", "incomplete", "correct")  # the first that holds
# why an asked quantity earns its points or does not, the first that holds: `charged` pays for a wrong line on another
# quantity, `undecided` reads a line that could not be read, `excused` is what we could not decide
CREDITS = ("wrong", "charged", "unreadable", "undecided", "missing", "excused", "follows", "correct")
EARNS = ("excused", "follows", "correct")

# id -> one sentence about a line; `{...}` are parameters in the learner's own symbols
REASONS: dict[str, str] = {
    "true": N_("equals the true {what}"),
    "diagonal": N_("true where the indices agree; {name} has other entries too, which are not given here"),
    "true-coarse": N_("equals the true {what}, as far as the digits of {dtype} tell"),
    "number": N_("equals the value of the worked instance"),
    "general-number": N_("is the value for every instance"),
    "cancelled": N_("true only because two mistakes cancel: this one and the one on line {line}"),
    "follows": N_("sound, given {names} as it stands on line {line}"),
    "follows-nothing": N_("sound in itself: it reads {names}, which line {line} could not give"),
    "follows-shape": N_("sound in itself: its shapes do not fit {names} as it stands on line {line}"),
    "follows-values": N_("sound, given {names} as you have it"),
    "differs": N_("not the true {what}"),
    "ratio": N_("exactly {ratio} times the true {what}: {causes}"),
    "ratio-alone": N_("exactly {ratio} times the true {what}"),
    "own-ratio": N_("exactly {ratio} times what your earlier lines lead to: {causes}"),
    "own-ratio-alone": N_("exactly {ratio} times what your earlier lines lead to"),
    "coincides": N_("the true {what} only where {sizes}: a number stands where a size belongs"),
    "elsewhere": N_("the true {what} at {where}"),
    "nearly": N_("nearly the true {what}, but off by {gap} of it, which is not rounding: look for a small constant"),
    "nearly-single": N_(
        "nearly the true {what}, but off by {gap} of it, as values computed in float32 are: compute in float64 "
        "throughout; if that changes nothing, look for a small constant"
    ),
    "differs-number": N_("{given} is not the value of {name} at the worked instance"),
    "shape": N_("{given}, but {name} {expected}"),
    "no-value": N_("torch refuses: {error}"),
    "no-value-repair": N_("torch refuses: {error}; write {repair}"),
    "not-finite": N_("is not finite where the true {what} is"),
    "unreadable": "{reason}",
    "reads-unreadable": N_("reads {name}, which could not be read (line {line})"),
    "reads-nothing": N_("reads {name}, which has no value (line {line})"),
    "cut": N_("not decided: {reason}"),
    "too-large": N_("not decided: {name} has too many entries at these sizes; give smaller ones, or leave them out"),
    "few-digits": N_("not decided: {dtype} has too few digits, or too small a range, to tell here; give {finer}"),
    "rounding": N_("not decided: computed this way it loses all its digits here; look for a form that does not"),
    "unstable-before": N_(
        "equals the true {what}; {name} on line {line} overflows, or loses its digits to cancellation"
    ),
    "unstable": N_("equals the true {what}; computed this way it overflows, or loses its digits to cancellation"),
    "kink": N_("equals the true {what}; on the kink {zero} it is another subgradient than torch's, which {takes}"),
    "kink-number": N_("is a subgradient at the worked instance, on the kink {zero}, where torch {takes}"),
    "kink-undefined": N_("equals the true {what}; on the kink {zero} it is not defined, where torch {takes}"),
    "kink-outside": N_("equals the true {what} but on the kink {zero}: there it is no subgradient (torch {takes})"),
    "kink-choice": N_("is a subgradient on the kink {zero}, where torch's choice is asked for: it {takes}"),
    "kink-strict": N_("equals the true {what} but on the kink {zero}, where torch's choice is asked for: it {takes}"),
    "no-truth": N_("there is no finite true value here to compare with"),
    "no-gradient": N_("{name} holds whole numbers and has no gradient: leave the line out"),
    "of-an-own-value": N_("{name} has another value on line {line} than in the exercise, and so has its gradient"),
    "upstream": N_("{name} is the upstream gradient, which is given: leave the line out"),
    "stale": N_("was computed from {name} before its last update on line {line}"),
    "vain-zero": N_("not the true {what}: {name} is zero on line {line}, and nothing follows from that"),
    "vain-infinite": N_("not the true {what}: {name} is not finite on line {line}, and nothing follows from that"),
    "aliasing": N_("{changed} is the same tensor, so this line changes {name} too: write {copy}"),
    "aliasing-before": N_("{changed} is the same tensor, so line {line} changes {name} too: write {copy}"),
    "undecided": N_("could not be decided"),
}

NOTES: dict[str, str] = {
    "worked-values": N_("line {line}: {given} is the worked instance: the lines are judged for every value"),
    "data": N_("line {line}: passed over: {given}; the lines are judged for every value"),
    "goes-on": N_(
        "line {line}: from here on {name} is read as a name of your own: it is {other} now, and no longer {name}"
    ),
    "goes-on-upstream": N_(
        "line {line}: from here on {name} is read as a name of your own: it is no longer the gradient that was given"
    ),
    "one-round": N_("line {line}: one round of the loop is judged: all rounds do the same, from other parameters"),
    "sizes-set": N_(
        "line {line}: passed over: {given}; the lines are judged for every size (to pin one, write '# sizes: N=32' "
        "on top)"
    ),
    "sizes-alone": N_("{lines}: right at {sizes} alone: such sizes hide mistakes that show at others"),
    "own-form": N_(
        "line {line}: {name} has the shape {shape}, and {expected} in full: it is read as a helper of yours"
    ),
    "aliasing": N_("line {line}: {changed} and {name} are the same tensor, so this line changes {name} too"),
    "misnamed": N_(
        "line {line}: {name} is the gradient of {of}, which is given; the lines after use it as {meant}, "
        "and it is read as that"
    ),
    "misnamed-perhaps": N_(
        "line {line}: {name} is the gradient of {of}, which is given: that of {other} is called {meant}"
    ),
    "typo": N_('line {line}: {name} is read as a helper of yours; did you mean "{meant}"?'),
    "forward": N_("line {line}: {name} gets another value here than in the exercise"),
    "moved": N_("line {line} reads {name} as line {changed} left it: gradients are those before a parameter moves"),
    "after": N_("line {line}: {reason}"),
    "many": N_("there are too many wrong lines to look for the cause of each: mend the first ones, then check again"),
}

# id -> what a learner does next
NEXT: dict[str, str] = {
    "wrong": N_("look at {place} again, then check the sheet once more"),
    "wrong-unreadable": N_("look at {place} again and rewrite {unreadable}, then check the sheet once more"),
    "wrong-value": N_("look at {place} again, then check once more"),
    "unreadable": N_("rewrite {unreadable}"),
    "unreadable-value": N_("give {place} another way"),
    "incomplete": N_("give {missing}"),
    "undecided": N_("nothing is held against you on {place}"),
    "undecided-incomplete": N_("nothing is held against you on {place}; give {missing}"),
    "correct": N_("this exercise is done"),
}

_PLACES = {"cell": N_("cell {number}"), "line": N_("line {number}"), "column": N_("column {number}")}


@dataclass(frozen=True)
class Sentence:
    """An id with parameters; a view renders (and may translate) it."""

    id: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def render(self, table: Mapping[str, str]) -> str:
        return said(table[self.id], **self.params)

    def as_mistake(self, id: str) -> Mistake:
        """A line's reason, as its cause too."""
        return Mistake(id, self.render(REASONS), self.params)


# every id of a mistake; in another language a view says what it is called there
MISTAKE_IDS = (
    N_("sign"), N_("factor"), N_("extra-factor"), N_("wrong-power"), N_("missing-upstream"),
    N_("missing-local-derivative"), N_("transposed"), N_("missing-sum"), N_("wrong-axis"), N_("missing-path"),
    N_("diagonal-only"), N_("wrong-point"), N_("wrong-mask"), N_("missing-scatter"), N_("wrong-convention"),
    N_("kink"), N_("unstable"), N_("stale-value"), N_("wrong-shape"), N_("product-rule"), N_("missing-gradient"),
    N_("extra-gradient"), N_("aliasing"),
)  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """What a learner probably did: an id of the mistake table, and its message."""

    id: str
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cause(self) -> str:
        """The message as it stands alone: of one that is said beside another, what comes after the `and`."""
        return self.message.params.get("cause", self.message) if isinstance(self.message, Said) else self.message

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "message": tr(self.message)}


@dataclass(frozen=True)
class Repair:
    """The smallest edit that makes the line right; `line` where it is to be made on an earlier one."""

    column: int
    old: str
    new: str
    line: int | None = None
    cell: int | None = None  # of a notebook, in which `line` counts

    def to_dict(self) -> dict[str, Any]:
        places = {"cell": self.cell, "line": self.line}
        elsewhere = {name: at for name, at in places.items() if at is not None}
        return {**elsewhere, "column": self.column, "from": self.old, "to": self.new}

    @property
    def place(self) -> str:
        """`column 3`, or `line 2, column 3`."""
        at = {"cell": self.cell, "line": self.line, "column": self.column}
        return joined([said(_PLACES[name], number=number) for name, number in at.items() if number is not None])


@dataclass(frozen=True)
class Entry:
    """One entry of a wrong tensor: where, what the learner has there, and the true value."""

    index: tuple[int, ...]
    given: float
    expected: float


@dataclass(frozen=True)
class Heat:
    """|learner - true| of a tensor: matrices of its last two axes, 0 where the entry is right.

    `block` is how many entries a cell stands for, by its largest, and `shape` the tensor's own.
    """

    shape: tuple[int, ...]
    panels: tuple[tuple[tuple[float, ...], ...], ...]
    block: tuple[int, int] = (1, 1)

    LEVELS: ClassVar[int] = 4

    @property
    def gaps(self) -> list[float]:
        return [gap for panel in self.panels for row in panel for gap in row]

    @property
    def largest(self) -> float:
        """Of the entries that are finite."""
        return max((gap for gap in self.gaps if isfinite(gap)), default=0.0)

    def level(self, gap: float) -> int:
        """0 for right, then quarters of the largest, and one more for what is not finite."""
        if not isfinite(gap):
            return self.LEVELS + 1
        return min(ceil(self.LEVELS * gap / self.largest), self.LEVELS) if gap else 0

    def index(self, panel: int, row: int, column: int) -> tuple[int, ...]:
        """Of a cell's first entry in the tensor."""
        outer: list[int] = []
        for extent in reversed(self.shape[:-2]):
            panel, at = divmod(panel, extent)
            outer.insert(0, at)
        return (*outer, *(row * self.block[0], column * self.block[1])[-len(self.shape) :])

    @property
    def left_out(self) -> int:
        """Matrices that are not shown."""
        return prod(self.shape[:-2]) - len(self.panels)


@dataclass(frozen=True)
class LineReport:
    """One judged line. Beyond the JSON: the worst entries, all that are off, the forward line it belongs to."""

    line: int
    column: int
    text: str
    quantity: str | None
    verdict: str
    sentence: Sentence
    shape: tuple[int, ...] | None = None
    expected_shape: tuple[int, ...] | None = None
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    ratio: float | None = None
    mistakes: tuple[Mistake, ...] = ()
    repair: Repair | None = None
    worst: tuple[Entry, ...] = ()
    heat: Heat | None = None  # of a wrong tensor
    forward: str = ""
    at: str = ""  # where the worst entries are from
    start: int = 0  # the column at which `text` begins
    cell: int | None = None  # of a notebook, in which `line` counts

    @property
    def place(self) -> str:
        """`line 3`, or `cell 2, line 3`."""
        if self.cell is None:
            return said("line {number}", number=self.line)
        return said("cell {cell}, line {line}", cell=self.cell, line=self.line)

    @property
    def named(self) -> str:
        """`line 3`, `line 3 of cell 2`, or the quantity where a value was given without a line."""
        if not self.line:
            return self.quantity or said("this value")
        return _line_named(self.line, self.cell)

    @property
    def to_look_at(self) -> str:
        """The line where the fault is: the one on which the repair is to be made, where that is another."""
        if self.repair is None or self.repair.line is None:
            return self.named
        return _line_named(self.repair.line, self.cell if self.repair.cell is None else self.repair.cell)

    @property
    def reason(self) -> str:
        return self.sentence.render(REASONS)

    def to_dict(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "column": self.column,
            "text": self.text,
            "quantity": self.quantity,
            "verdict": self.verdict,
            "reason": tr(self.reason),
            "shape": None if self.shape is None else list(self.shape),
            "expected_shape": None if self.expected_shape is None else list(self.expected_shape),
            "max_abs_error": rounded(self.max_abs_error),
            "max_rel_error": rounded(self.max_rel_error),
            "ratio": rounded(self.ratio),
            "mistakes": [mistake.to_dict() for mistake in self.mistakes],
            "repair": None if self.repair is None else self.repair.to_dict(),
            **({} if self.cell is None else {"cell": self.cell}),
        }


@dataclass(frozen=True)
class Report(Shown):
    """The judgement of one sheet."""

    shown_as = "report"

    exercise: str
    seed: int
    torch: str
    score: float
    max_score: float
    missing: tuple[str, ...] = ()
    lines: tuple[LineReport, ...] = ()
    notes: tuple[str, ...] = ()
    credit: Mapping[str, str] = field(default_factory=dict)  # asked name -> one of CREDITS; beyond the JSON

    @property
    def verdict(self) -> str:
        """The first that holds of: wrong, unreadable, undecided, incomplete, correct."""
        found = {line.verdict for line in self.lines}
        if self.missing:
            found.add("incomplete")
        return next((verdict for verdict in VERDICTS if verdict in found), "correct")

    @property
    def first_divergence(self) -> LineReport | None:
        """The first wrong line, in the order of the sheet."""
        return next((line for line in self.lines if line.verdict == "wrong"), None)

    @property
    def correct(self) -> bool:
        return self.verdict == "correct"

    @property
    def next(self) -> Sentence:
        """What to do now."""
        verdict = id = self.verdict
        params: dict[str, Any] = {"missing": joined(self.missing)}
        unreadable = {line.named: line for line in self.lines if line.verdict == "unreadable"}
        concerned = next((line for line in self.lines if line.verdict == verdict), None)
        if concerned is not None:
            params |= {"place": concerned.to_look_at, "unreadable": _together(list(unreadable.values()))}
            if not concerned.line and verdict in ("wrong", "unreadable"):
                id = f"{verdict}-value"
            elif verdict == "wrong" and unreadable:
                id = "wrong-unreadable"
            elif verdict == "undecided" and self.missing:
                id = "undecided-incomplete"
        return Sentence(id, params)

    def line(self, quantity: str) -> LineReport:
        """The last line for a quantity."""
        found = [line for line in self.lines if line.quantity == quantity]
        if not found:
            there = ", ".join(self.quantities)
            if not there:
                raise LookupError(said("no line gives {quantity}: there are none", quantity=quantity))
            raise LookupError(said("no line gives {quantity}: there are {there}", quantity=quantity, there=there))
        return found[-1]

    @property
    def quantities(self) -> list[str]:
        return list(dict.fromkeys(line.quantity for line in self.lines if line.quantity))

    def __repr__(self) -> str:
        return f"Report({self.exercise!r}, {self.verdict}, {self.score:g} of {self.max_score:g} points)"

    def __iter__(self) -> Iterator[LineReport]:
        return iter(self.lines)

    @for_programs()
    def to_dict(self) -> dict[str, Any]:
        """The JSON form, valid against `report.schema.json`: in English unless a language was chosen."""
        first = self.first_divergence
        return {
            "schema": SCHEMA,
            "exercise": self.exercise,
            "seed": self.seed,
            "torch": self.torch,
            "verdict": self.verdict,
            "score": self.score,
            "max_score": self.max_score,
            "first_divergence": None if first is None else _divergence(first),
            "missing": [tr(name) for name in self.missing],
            "lines": [line.to_dict() for line in self.lines],
            "notes": [tr(note) for note in self.notes],
        }


def _line_named(line: int, cell: int | None) -> str:
    if cell is None:
        return said("line {number}", number=line)
    return said("line {line} of cell {cell}", line=line, cell=cell)


def _together(lines: list[LineReport]) -> str:
    """`line 2`; `lines 2, 4 and 5`; `line 2 of cell 1 and line 1 of cell 3`"""
    if len(lines) > 1 and all(line.line and line.cell is None for line in lines):
        return said("lines {numbers}", numbers=listed([str(line.line) for line in lines]))
    return listed([line.named for line in lines])


def _divergence(first: LineReport) -> dict[str, Any]:
    cell = {} if first.cell is None else {"cell": first.cell}
    return {"line": first.line, "quantity": first.quantity, **cell}


def rounded(value: float | None) -> float | None:
    """Six digits, so that machines agree; what is not finite has no figure in JSON."""
    if value is None or not isfinite(value):
        return None
    return float(f"{value:.6g}")
