"""What a printed derivation consists of, before it takes the form of text, LaTeX or HTML.

A page has one section per gradient; a section says who uses the quantity, then one line per step with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Basic, Expr, Tuple

from tutor.exercise import Exercise, Quantity
from tutor.symbolic.derive import Derivation, Gradient, Message, Partial, Step, loss_entry
from tutor.symbolic.indices import quantities_in
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
        return f"the gradient of {ends[0].name}, from the loss back to the inputs"
    several = "s" if len(ends) > 1 else ""
    names, given = (_listed([f"{d}{q.name}" for q in ends]) for d in ("", "d"))
    return f"the gradients of a layer with output{several} {names}, given the upstream gradient{several} {given}"


def section(number: int, gradient: Gradient) -> Section:
    exercise = gradient.derivation.exercise
    step = gradient.step
    names = {s.consumer for s in step.walk()} | _partials(step)
    consumers = tuple(v for v in reversed(exercise.forward) if v.name in names)
    return Section(number, gradient, consumers, _lines(step.before, step.steps, step.after, step.messages))


def closed_lines(gradient: Gradient) -> tuple[Line, ...]:
    """The lines of a closed form: the asked gradient, then each rewriting."""
    closed = gradient.closed_form
    target = Partial(loss_entry(gradient.derivation.exercise), gradient.derivation.exercise[gradient.name].entry)
    return _lines(target, closed.steps, closed.expr, ())


def _partials(step: Step) -> set[str | None]:
    return {str(p.args[0].base.label) if p.args[0].args else p.args[0].name
            for s in step.walk() for p in s.after.atoms(Partial)}  # fmt: skip


def _lines(target: Expr, steps: Sequence[Step], after: Expr, reasons: tuple[Message, ...]) -> tuple[Line, ...]:
    if not steps:
        return (Line(target, after, reasons),)
    first, *rest = steps
    return (Line(target, first.after, first.messages), *(Line(None, s.after, s.messages) for s in rest))


# -- words ---------------------------------------------------------------------------------------------


def sentence(message: Message, writer: Writer, math: Callable[[str], str] = str) -> str:
    """A message in words, its formulas written by `writer` and set off by `math` (`$...$` in LaTeX)."""
    return message.says.format(**{key: _words(value, writer, math) for key, value in message.params.items()})


def sentences(messages: Sequence[Message], writer: Writer, math: Callable[[str], str] = str) -> str:
    return "; ".join(dict.fromkeys(sentence(m, writer, math) for m in messages))


def _words(value: Any, writer: Writer, math: Callable[[str], str]) -> str:
    if isinstance(value, (list, tuple)) and not isinstance(value, Tuple):
        return _listed([_words(v, writer, math) for v in value])
    if isinstance(value, Basic):
        return math(writer.write(value))
    return math(writer.name(value)) if writer.is_name(value) else str(value)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def indexed_name(quantity: Quantity, writer: Writer) -> str:
    return writer.write(quantity.entry)


def formula(quantity: Quantity, writer: Writer) -> str:
    """`p[i,k] = e[i,k] / s[i]`"""
    assert quantity.expr is not None
    if quantity.kind == "value":  # an update says `eta·dw`, where a derivation says `dv·local`
        writer = writer.gradients_last()
    return f"{writer.write(quantity.entry)} = {writer.write(quantity.expr)}"


# -- verification -------------------------------------------------------------------------------------------

JUDGES = ("autograd", "native torch", "differences")


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
