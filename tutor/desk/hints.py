"""Hints for the place where a sheet leaves the path, level by level, from where to look to the rule applied.

For the gradient dq that a learner is stuck at:

1. where a line for it diverges: the line, what it differentiates, what kind of thing to look at;
2. who uses q, so that dq has one part for each;
3. the rules that its local derivatives follow;
4. the exercise's own hints that speak of q or dq;
5. the chain rule written out, its local derivatives not worked out.

None of them is the answer: what the last line of a derivation says, no hint does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tutor.exercise import Exercise
from tutor.language import N_, of_exercise, tr
from tutor.symbolic.derive import Derivation, Gradient, Partial
from tutor.symbolic.notation import Writer
from tutor.views.page import formula, section, sentences

# rules that say how a result is tidied up: they would give its form away
_TIDYING = {"outside", "sign-outside", "named", "multiply", "multiply-out", "factor", "fact", "cancel", "cancelled",
            "meet", "ratio", "solved", "contract", "insert", "insert-closed", "local"}  # fmt: skip

# what to look at for a mistake, by the ids of the mistake table: where it may lie, and not what it is
_AXES = N_("its axes: which there are, and in which order")
_SUMS = N_("what it sums over, and whether every axis that has to go is gone")
_CHAIN = N_("the chain rule: what comes from above, and the local derivative")
_GIVEN = N_("its names: which are forward values, and which gradients")
_ORDER = N_("the order of the lines: what each name holds when it is read")
LOOKS = {
    "sign": N_("its signs"),
    "factor": N_("its constant factors: numbers and sizes"),
    "extra-factor": N_("its factors, one after the other, and where each comes from"),
    "wrong-power": N_("its exponents"),
    "missing-upstream": _CHAIN,
    "missing-local-derivative": _CHAIN,
    "transposed": _AXES,
    "wrong-shape": _AXES,
    "missing-sum": _SUMS,
    "wrong-axis": _SUMS,
    "missing-path": N_("the places where the quantity is used: each has its part"),
    "diagonal-only": N_("which entries of the result each entry has a part in"),
    "wrong-point": N_("where each derivative is taken: at which quantity's values"),
    "wrong-mask": N_("what decides for each entry whether something passes"),
    "missing-scatter": N_("what becomes of an index that occurs more than once"),
    "wrong-convention": N_("the exercise's conventions: sum or mean, rows or columns"),
    "kink": N_("the point at which the function has no derivative"),
    "unstable": N_("numbers that are very large or very small"),
    "product-rule": N_("how a product, or a quotient, is differentiated"),
    "missing-gradient": _GIVEN,
    "extra-gradient": _GIVEN,
    "stale-value": _ORDER,
    "aliasing": _ORDER,
}
_MOST = 2  # of them at a time: more would be no help


@dataclass(frozen=True)
class Hint:
    """The `level`-th of `of` hints for a quantity."""

    exercise: str
    quantity: str
    level: int
    of: int
    text: str


@dataclass(frozen=True)
class Ladder:
    """All hints for one place of a sheet, gentlest first."""

    exercise: str
    quantity: str
    rungs: tuple[str, ...]
    name: str = ""  # under which progress keeps the level, where that is not the quantity

    @property
    def key(self) -> str:
        """Under which progress keeps the level."""
        return f"{self.exercise} {self.name or self.quantity}"

    def rung(self, level: int) -> Hint:
        """One level; beyond the top the last one."""
        at = max(1, min(level, len(self.rungs)))
        return Hint(self.exercise, self.quantity, at, len(self.rungs), self.rungs[at - 1])


def stuck_at(exercise: Exercise, report: Any) -> str | None:
    """The answer's name that help is wanted for: where it diverges, else the first gradient that is missing."""
    first = report.first_divergence
    if first is not None and first.quantity:
        return first.quantity
    if not report.missing:
        return None
    given = {line.quantity for line in report.lines if line.verdict in ("correct", "follows")}
    missing = [name for name in exercise.asked if exercise.answer_name(name) in report.missing]
    gradients = [name for name in missing if exercise[name].kind != "value"]
    if not gradients:
        return exercise.answer_name(missing[0]) if missing else None
    needed = Derivation(exercise, exercise.derive().gradients, (gradients[0],)).needed
    left = [g.symbol_name for g in needed if g.symbol_name not in given]
    return left[0] if left else exercise.answer_name(gradients[0])


def ladder(exercise: Exercise, quantity: str) -> tuple[str, ...]:
    """The hints for a quantity of a sheet, `dW` or `w_new`; there is at least one."""
    name = quantity.removeprefix("d")
    gradients = exercise.derive().gradients
    of = _of_gradient(exercise, gradients[name]) if name in gradients and quantity != name else None
    found = dict.fromkeys(of or _of_other(exercise, quantity))
    return tuple(found) or (tr("compare {quantity} with the forward program, one step at a time", quantity=quantity),)


def about(line: Any) -> str:
    """The first hint where a line diverges: which line, what it differentiates, what kind of thing to look at."""
    looks = tr("; then at ").join(_looks(line))
    if not line.forward:
        return tr("{place} is the first that diverges; look at {looks}", place=line.named, looks=looks)
    return tr("{place} is the first that diverges; it goes back through\n    {forward}\nlook at {looks}",
              place=line.named, forward=line.forward, looks=looks)  # fmt: skip


def _looks(line: Any) -> list[str]:
    found = dict.fromkeys(tr(LOOKS[mistake.id]) for mistake in line.mistakes if mistake.id in LOOKS)
    if not found and line.shape is not None and line.shape != line.expected_shape:
        return [tr(_AXES)]
    return list(found)[:_MOST] or [tr("each of its factors, and what it comes from")]


def _of_gradient(exercise: Exercise, gradient: Gradient) -> Iterator[str]:
    writer = Writer(exercise)
    shown = section(1, gradient)
    name, symbol = gradient.name, gradient.symbol_name
    users = [formula(v, writer) for v in shown.consumers]
    if len(users) == 1:
        said = tr("{name} is used in one place, {formula}: {symbol} comes from there alone", name=name,
                  formula=users[0], symbol=symbol)  # fmt: skip
        yield said
    elif users:
        places = "".join(f"\n    {user}" for user in users)
        yield tr("{name} is used in {count} places, and {symbol} has a part from each:{places}", name=name,
                 count=len(users), symbol=symbol, places=places)  # fmt: skip
    told = [m for line in shown.lines for m in line.reasons if m.id not in _TIDYING]
    if told:
        yield tr("the rules for {symbol}: {rules}", symbol=symbol, rules=sentences(told, writer))
    yield from _about(exercise, name)
    first = shown.lines[0]
    if len(shown.lines) > 1 and first.right.has(Partial) and first.left is not None:
        left, right = writer.write(first.left), writer.write(first.right)
        yield tr("the chain rule here:\n    {left} = {right}\nwhat is left is each derivative on the right", left=left,
                 right=right)  # fmt: skip


def _of_other(exercise: Exercise, quantity: str) -> Iterator[str]:
    """A value after the backward pass, a local derivative, a helper."""
    if quantity in exercise.quantities and exercise[quantity].kind == "value":
        read = ", ".join(sorted(exercise[quantity].reads))
        yield tr("{quantity} comes after the backward pass; it is made of {read}", quantity=quantity, read=read)
    elif found := re.fullmatch(r"d(\w+?)_d(\w+)", quantity):
        yield tr("{quantity} is a local derivative: {above} alone, as a function of {below}, nothing from above",
                 quantity=quantity, above=found[1], below=found[2])  # fmt: skip
    yield from _about(exercise, quantity) or [of_exercise(text) for text in exercise.hints]


def _about(exercise: Exercise, name: str) -> list[str]:
    """The exercise's hints that speak of a quantity."""
    about = re.compile(rf"(?<![\w.])d?{re.escape(name)}(?!\w)")
    return [of_exercise(text) for text in exercise.hints if about.search(text)]
