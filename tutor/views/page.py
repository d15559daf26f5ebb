"""What a printed derivation consists of, before it takes the form of text, LaTeX or HTML.

A page has one section per gradient; a section says who uses the quantity, then one line per step with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from sympy import Basic, Expr, Tuple

from tutor.exercise import Exercise, Quantity
from tutor.language import N_, listed, ntr, tr
from tutor.pictures.graph import consumers
from tutor.symbolic.derive import Derivation, Gradient, Message, Partial, Step, Total, loss_entry, message
from tutor.symbolic.indices import name_of, quantities_in
from tutor.symbolic.notation import Writer, shape_text


@dataclass(frozen=True)
class Line:
    """`left = right` (left is None on continued lines) and why."""

    left: Expr | None
    right: Expr
    reasons: tuple[Message, ...]


@dataclass(frozen=True)
class Section:
    """One gradient: its number on the page, who uses the quantity, the lines, the forms of the result."""

    number: int
    gradient: Gradient
    consumers: tuple[Quantity, ...]
    lines: tuple[Line, ...]

    @property
    def torch(self) -> str | None:
        form = self.gradient.torch
        return None if form is None else f"{self.gradient.symbol_name} = {form}"

    @property
    def shape(self) -> str:
        return shape_text(self.gradient.shape)


@dataclass(frozen=True)
class Page:
    exercise: Exercise
    headline: str
    given: tuple[Gradient, ...]
    sections: tuple[Section, ...]
    values: tuple[Quantity, ...]


def page(derivation: Derivation) -> Page:
    """The derivation as sections, from the loss back."""
    exercise = derivation.exercise
    sections = tuple(section(n, g) for n, g in enumerate(derivation.needed, 1))
    read = set().union(*(quantities_in(g.expr) for g in derivation.needed)) if sections else set()
    read |= {f"d{name}" for name in derivation.wrt}
    given = tuple(derivation.gradients[q.name] for q in exercise.ends if q.kind == "output" and f"d{q.name}" in read)
    values = (
        tuple(exercise.values)
        if set(derivation.wrt) >= {n for n in exercise.asked if n in derivation.gradients}
        else ()
    )
    return Page(exercise, headline(exercise), given, sections, values)


def headline(exercise: Exercise) -> str:
    ends = exercise.ends
    if ends[0].kind == "loss":
        return tr("the gradient of {loss}, from the loss back to the inputs", loss=ends[0].name)
    names, given = (str(listed([f"{d}{q.name}" for q in ends])) for d in ("", "d"))
    return ntr(
        "the gradients of a layer with output {names}, given the upstream gradient {given}",
        "the gradients of a layer with outputs {names}, given the upstream gradients {given}",
        len(ends),
        names=names,
        given=given,
    )


def section(number: int, gradient: Gradient) -> Section:
    step = gradient.step
    # the formulas have the loss's own part last
    users = tuple(sorted(consumers(gradient), key=lambda v: v.kind == "loss"))
    # where the loss uses q directly as well, the whole is told from that part
    whole = Total(*step.before.args) if any(s.after.has(step.before) for s in step.steps) else step.before
    return Section(number, gradient, users, _lines(whole, step.steps, step.after, step.messages))


def closed_lines(gradient: Gradient) -> tuple[Line, ...]:
    """The lines of a closed form: the asked gradient, then each rewriting."""
    closed = gradient.closed_form
    target = Partial(loss_entry(gradient.derivation.exercise), gradient.derivation.exercise[gradient.name].entry)
    reads = quantities_in(closed.expr) & {g.symbol_name for g in gradient.derivation.needed}
    return _lines(target, closed.steps, closed.expr, (message("too-long" if reads else "nothing-to-insert"),))


def closed_gradients(derivation: Derivation) -> list[Gradient]:
    """The gradients whose closed form is shown: those that are asked, each after those that it puts in."""
    shown: dict[str, Gradient] = {}

    def show(name: str) -> None:
        gradient = derivation.gradients[name]
        told = [m for step in gradient.closed_form.steps for m in step.messages if m.id == "insert-closed"]
        for inner in (derivation.exercise.differentiated(name_of(m.params["name"]) or "") for m in told):
            if inner is not None and inner not in shown and inner not in derivation.wrt:
                show(inner)
        shown.setdefault(name, gradient)

    for name in derivation.wrt:
        if name in derivation.gradients:
            show(name)
    return list(shown.values())


def _lines(target: Expr, steps: Sequence[Step], after: Expr, reasons: tuple[Message, ...]) -> tuple[Line, ...]:
    if not steps:
        return (Line(target, after, reasons),)
    first, *rest = steps
    return (Line(target, first.after, first.messages), *(Line(None, s.after, s.messages) for s in rest))


# -- words ---------------------------------------------------------------------------------------------


Spelling = Callable[[str], str]


def sentence(message: Message, writer: Writer, math: Spelling = str, words: Spelling = str) -> str:
    """A message in words, its formulas written by `writer` and set off by `math` (`$...$` in LaTeX).

    `words` spells all that is no formula: LaTeX has signs of its own.
    """
    made = ""
    for text, name, _, _ in Formatter().parse(tr(message.says)):
        made += words(text) + (_words(message.params[name], writer, math, words) if name else "")
    return made


def sentences(messages: Sequence[Message], writer: Writer, math: Spelling = str, words: Spelling = str) -> str:
    return tr("; ").join(dict.fromkeys(sentence(m, writer, math, words) for m in messages))


def _words(value: Any, writer: Writer, math: Spelling, words: Spelling) -> str:
    if isinstance(value, (list, tuple)) and not isinstance(value, Tuple):
        return str(listed([_words(v, writer, math, words) for v in value]))
    if isinstance(value, Basic):
        return math(writer.write(value))
    return math(writer.name(value)) if writer.is_name(value) else words(str(value))


def used_by(name: str, formula: str) -> str:
    return tr("{name} is used by {formula}", name=name, formula=formula)


def indexed_name(quantity: Quantity, writer: Writer) -> str:
    return writer.write(quantity.entry)


def formula(quantity: Quantity, writer: Writer) -> str:
    """`p[i,k] = e[i,k] / s[i]`"""
    assert quantity.expr is not None
    if quantity.kind == "value":  # an update says `eta·dw`, where a derivation says `dv·local`
        writer = writer.gradients_last()
    return f"{writer.write(quantity.entry)} = {writer.write(quantity.expr)}"


# -- verification -------------------------------------------------------------------------------------------

JUDGES = ("autograd", N_("native torch"), N_("differences"))


@dataclass(frozen=True)
class Compared:
    """One quantity's row: its largest relative error against each of `JUDGES`, `-` where one was not asked."""

    quantity: str
    shape: str
    errors: tuple[str, ...]
    agrees: bool


def verification_rows(verification: Any) -> list[Compared]:
    """What every view of a verification spells, row by row."""
    made = []
    for row in verification.rows:
        errors = (row.autograd, row.reference, row.differences)
        shown = tuple("-" if error is None else f"{error:.1e}" for error in errors)
        made.append(Compared(row.quantity, shape_text(row.shape), shown, row.agrees))
    return made
