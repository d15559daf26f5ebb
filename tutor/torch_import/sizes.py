"""The sizes of a graph's axes: every axis starts with a size of its own, and operations say which are one.

`same(a, b)` is all the inference there is: an axis that a linear layer contracts with another has its size, a view
that splits an axis makes its size a product. What cannot be said with symbols is pinned to the example's number.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from math import gcd, prod

from sympy import Expr, Integer, Mul, S, Symbol, sympify

from tutor.symbolic.indices import never_negative


class Sizes:
    """Size variables with the number each has in the example; `resolve` writes a size with those that are left."""

    def __init__(self) -> None:
        self._numbers: dict[Symbol, int] = {}
        self._known: dict[Symbol, Expr] = {}
        self._wishes: dict[Symbol, list[str]] = {}  # names it would like, those of the first operation first
        self._defaults: dict[Symbol, list[str]] = {}  # and those that will do
        self._named: list[Symbol] = []
        self._serial = count()

    def new(self, number: int, *wishes: str) -> Expr:
        """A size of its own, `number` in the example; `wishes` are names it would like. 1 and 0 are no sizes."""
        if number < 2:
            return Integer(number)
        made = Symbol(f"size_{next(self._serial)}", integer=True, positive=True)
        self._numbers[made] = number
        self._wishes[made], self._defaults[made] = list(wishes), []
        return made

    @property
    def learnt(self) -> int:
        """How many sizes are known by now to be others."""
        return len(self._known)

    def resolve(self, extent: Expr) -> Expr:
        while not self._known.keys().isdisjoint(extent.free_symbols):
            extent = extent.xreplace(self._known)
        return extent

    def number(self, extent: Expr) -> int:
        """What the size is in the example."""
        made = self.resolve(extent).xreplace({s: Integer(n) for s, n in self._numbers.items()})
        assert made.is_integer or made == int(made), f"{made} is no size"
        return int(made)

    def same(self, a: Expr, b: Expr) -> None:
        """Two sizes are one from here on."""
        a, b = self.resolve(sympify(a)).expand(), self.resolve(sympify(b)).expand()
        if a == b:
            return
        assert self.number(a) == self.number(b), f"{a} is no {b}"
        a, b = _without_common_factors(a, b)
        pairs = self._paired(a, b)
        if pairs:
            for one, other in pairs:
                self.same(one, other)
            return
        found = self._solved(a, b)
        if found is None:
            for symbol in sorted(a.free_symbols | b.free_symbols, key=str):
                self.pin(symbol)
            return
        symbol, value = found
        self._known[symbol] = value
        if isinstance(value, Symbol):
            for lists in (self._wishes, self._defaults):
                lists[value] += lists[symbol]

    def pin(self, extent: Expr) -> int:
        """The size is the example's number, in every instance: the program depends on it."""
        for symbol in self.resolve(extent).free_symbols:
            self._known[symbol] = Integer(self._numbers[symbol])
        return self.number(extent)

    def at_least(self, extent: Expr, needed: Expr) -> None:
        """`needed` entries of an axis are used: either all, or it is longer by a size of its own."""
        rest = self.number(extent) - self.number(needed)
        gap = (self.resolve(extent) - self.resolve(needed)).expand()
        if rest and (never_negative(gap) or any(self.resolve(known) == gap for known in self._known.values())):
            return  # it is sure, or it has been said: saying it anew would never come to an end
        self.same(extent, needed + self.new(rest) if rest > 1 else needed + rest)

    def _solved(self, a: Expr, b: Expr) -> tuple[Symbol, Expr] | None:
        """One size by the others: the latest that has the coefficient 1 and is positive whatever they are."""
        if isinstance(a, Symbol) and isinstance(b, Symbol):
            later, earlier = sorted((a, b), key=self._age, reverse=True)
            return later, earlier
        gap = (a - b).expand()
        found = []
        for symbol in sorted(gap.free_symbols, key=self._age, reverse=True):
            slope = gap.coeff(symbol)
            rest = (gap - slope * symbol).expand()
            if abs(slope) == 1 and not rest.has(symbol):
                found.append((symbol, -rest / slope))
        sure = [(symbol, value) for symbol, value in found if never_negative(value - 1)]
        return next(iter([*sure, *found]), None)

    def _paired(self, a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
        """N*T = B*S says N = B and T = S, by the example's numbers; nothing where it is no product of sizes."""
        if not (isinstance(a, Mul) and isinstance(b, Mul) and len(a.args) == len(b.args)):
            return []
        by_number = [sorted(p.args, key=lambda f: (self.number(f), self._age(f))) for p in (a, b)]
        pairs = list(zip(*by_number, strict=True))
        return pairs if all(self.number(m) == self.number(n) for m, n in pairs) else []

    def _age(self, symbol: Expr) -> int:
        serial = str(symbol).removeprefix("size_")
        return int(serial) if serial.isdigit() and symbol.is_Symbol else -1  # the exercise's own are the first

    # -- names -----------------------------------------------------------------------------------------------

    def free(self, extents: Iterable[Expr]) -> list[Symbol]:
        """The sizes that are left in these, in the order in which they occur."""
        seen: dict[Symbol, None] = {}
        for extent in extents:
            for symbol in sorted(self.resolve(extent).free_symbols, key=self._age):
                seen.setdefault(symbol)
        return list(seen)

    def wish(self, extent: Expr, *names: str, default: bool = False) -> None:
        """Names that a size would like, or that will do where nothing else is known of it."""
        extent = self.resolve(extent)
        lists = self._defaults if default else self._wishes
        if isinstance(extent, Symbol) and extent in lists:
            lists[extent] += [name for name in names if name not in lists[extent]]

    def wishes(self, symbol: Symbol) -> list[str]:
        return [*self._wishes[symbol], *self._defaults[symbol]]

    def is_known(self, symbol: Symbol) -> bool:
        """Whether an operation, and not its place alone, says what it is."""
        return bool(self._wishes[symbol])

    def call(self, symbol: Symbol, size: Symbol) -> None:
        """From here on it is the exercise's own size."""
        self._known[symbol] = size
        self._numbers[size] = self._numbers[symbol]
        self._named.append(size)

    @property
    def example(self) -> dict[str, int]:
        """The exercise's sizes, as they are in the example."""
        return {size.name: self._numbers[size] for size in self._named}


def _without_common_factors(a: Expr, b: Expr) -> tuple[Expr, ...]:
    """3*N*C = 3*N*R*D says C = R*D."""
    number = gcd(int(a.primitive()[0]), int(b.primitive()[0]))
    shared = [factor for factor in Mul.make_args(a) if factor in Mul.make_args(b) and not factor.is_number]
    return tuple((side / number).expand() / Mul(*shared) for side in (a, b))


def product(extents: Iterable[Expr]) -> Expr:
    return prod(extents, start=S.One)
