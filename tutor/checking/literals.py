"""Right sides that are numbers alone (`dw = -8`): their value, and how exactly it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library

COARSEST = {False: 0.05, True: 0.15}  # of the largest: how far rounding may go for few digits; True: with decimals
_ARRAYS = ("tensor", "array", "asarray")


@dataclass(frozen=True)
class Literal:
    """`slack` is half a unit of the last digit given, entry by entry; `relative` the same in proportion."""

    value: Tensor
    slack: Tensor
    text: str
    exact: bool = True  # whole numbers alone

    @property
    def relative(self) -> float:
        if not set(self.text.lower()) & set(".e"):
            return 1e-9  # whole numbers: what they are a multiple of is meant exactly
        size = self.value.abs()
        shares = torch.where(size > 0, self.slack / size.clamp(min=1e-300), 0.0)
        return max(1e-9, float(shares.max())) if shares.numel() else 1e-9


def literal(statement: lang.Statement, known: Mapping[str, Literal] = MappingProxyType({})) -> Literal | None:
    """The numbers of `name = numbers`, or None where another name than those of known numbers stands on the right."""
    if not isinstance(statement, lang.Assign) or any(
        isinstance(t, (lang.Subscript, lang.Sequence)) for t in statement.targets
    ):
        return None
    try:
        value, slack = _Numbers(known).value(statement.value)
    except (_Named, library.Refusal, library.TorchRefuses, RuntimeError):
        return None
    text = statement.text.split("=", 1)[-1].strip()
    if value.numel():  # one digit is no licence: 1 is not 1.4, and 0 not 0.02
        coarsest = COARSEST["." in text]
        slack = torch.minimum(slack, coarsest * value.abs().max())
    return Literal(value, slack, text, _Numbers(known).exact(statement.value))


class _Named(Exception):
    """A name, or something else that is not a number."""


class _Numbers:
    """What stands on a right side, with the numbers that names hold."""

    def __init__(self, known: Mapping[str, Literal]):
        self.known = known

    def value(self, node: lang.Expression) -> tuple[Tensor, Tensor]:
        """(value, half a unit of its last digit)"""
        if isinstance(node, lang.Number):
            return _number(node.value), _number(_half_unit(node.text))
        if isinstance(node, lang.Name) and node.name in self.known:
            return self.known[node.name].value, self.known[node.name].slack
        if isinstance(node, lang.Unary) and node.op in "+-":
            value, slack = self.value(node.operand)
            return (-value if node.op == "-" else value), slack
        if isinstance(node, lang.Sequence):
            rows = [self.value(item) for item in node.items]
            if not rows or any(row[0].shape != rows[0][0].shape for row in rows):
                raise _Named
            return torch.stack([v for v, _ in rows]), torch.stack([s for _, s in rows])
        if isinstance(node, lang.Call) and _is_array(node):
            return self.value(node.arguments[0])
        if isinstance(node, lang.Binary) and node.op in ("+", "-", "*", "/", "**"):
            return self.computed(node)
        raise _Named

    def computed(self, node: lang.Binary) -> tuple[Tensor, Tensor]:
        """2*(2 - 4)*2: whole numbers are exact, decimals carry their last digit along."""
        (a, slack_a), (b, slack_b) = self.value(node.left), self.value(node.right)
        if a.ndim or b.ndim:
            raise _Named
        made = library.elementwise(library.Limits(), node.op, float(a), float(b))
        exact_a, exact_b = self.exact(node.left), self.exact(node.right)
        share = 0.0
        for value, slack, exact in ((a, slack_a, exact_a), (b, slack_b, exact_b)):
            if not exact and float(value):
                share += abs(float(slack) / float(value))
        absolute = (0.0 if exact_a else float(slack_a)) + (0.0 if exact_b else float(slack_b))
        unsure = absolute if node.op in "+-" else share * abs(made)
        return _number(made), _number(max(unsure, 1e-9 * abs(made)))

    def exact(self, node: lang.Expression) -> bool:
        """Whole numbers, alone or computed with."""
        parts = list(lang.walk(node))
        return all(isinstance(p.value, int) for p in parts if isinstance(p, lang.Number)) and all(
            self.known[p.name].exact for p in parts if isinstance(p, lang.Name) and p.name in self.known
        )


def _is_array(node: lang.Call) -> bool:
    function = node.function
    return isinstance(function, lang.Attribute) and function.name in _ARRAYS and len(node.arguments) == 1


def _half_unit(text: str) -> float:
    """0.5 for "8", 0.05 for "8.0", 5 for "8e1"."""
    if text[:2].lower() in ("0x", "0o", "0b"):
        return 0.5
    mantissa, _, exponent = text.lower().replace("_", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    if not float(mantissa):
        exponent = ""  # of 0 it says nothing
    return float(f"0.5e{int(exponent or 0) - decimals}")


def _number(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)
