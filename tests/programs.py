"""Random exercises for property tests: straight-line programs of index expressions."""

from __future__ import annotations

import random

import sympy
from sympy import Integer, KroneckerDelta, Ne, Piecewise, Rational, Sum, exp, log, sqrt

from tutor.exercise import Exercise
from tutor.functions import sigmoid, softplus
from tutor.symbolic.indices import free_indices, reduce_over

UNARY = [lambda e: sympy.tanh(e), lambda e: sympy.sin(e), lambda e: exp(-(e**2)), lambda e: e**2, lambda e: -e,
         lambda e: sqrt(e**2 + 1), lambda e: 1 / (e**2 + 2), lambda e: log(e**2 + 3), lambda e: 2 * e - 1,
         lambda e: sigmoid(e), lambda e: softplus(e), lambda e: e**3]  # fmt: skip


class Programs:
    """Random straight-line programs: tensors used under several index names, nested sums, sums in products.

    `rich` ones have gathers, masks and deltas on indices, and axes of size 1 that are kept.
    """

    def __init__(self, seed: int, rich: bool = False):
        self.rich = rich
        self.random = random.Random(seed)
        self.ex = Exercise(f"random-{seed}")
        self.N, self.M = self.ex.sizes("N M")
        made = self.ex.indices(i=self.N, i2=self.N, i3=self.N, j=self.M, j2=self.M)
        self.by_size = {self.N: list(made[:3]), self.M: list(made[3:])}
        self.entries = []
        for name, axes in (("A", (0, 1)), ("B", (0, 0)), ("v", (1,)), ("c", ())):
            symbol = self.ex.parameter(name, *self._axes(axes))
            self.entries.append((symbol, [(self.N, self.M)[a] for a in axes]))
        self.gathers = {}
        if rich:
            i, j = self.by_size[self.N][0], self.by_size[self.M][0]
            o = self.ex.indices(o=1)
            self.entries.append((self.ex.parameter("k", o, j), [Integer(1), self.M]))
            self.gathers[self.M] = (self.ex.input("t", i, domain="index", below=self.M), self.N)
            self.gathers[self.N] = (self.ex.input("u", j, domain="index", below=self.N), self.M)

    def _axes(self, axes):
        counts = {self.N: 0, self.M: 0}
        chosen = []
        for a in axes:
            extent = (self.N, self.M)[a]
            chosen.append(self.by_size[extent][counts[extent]])
            counts[extent] += 1
        return chosen

    def leaf(self):
        symbol, extents = self.random.choice(self.entries)
        if not extents:
            return symbol
        return symbol[tuple(self.slot(e) for e in extents)]

    def slot(self, extent):
        """An index of this axis; a gather's."""
        if extent == 1:
            return Integer(0)
        if extent in self.gathers and self.random.random() < 0.25:
            chosen, over = self.gathers[extent]
            return chosen[self.random.choice(self.by_size[over])]
        return self.random.choice(self.by_size[extent])

    def sum(self, inner, over):
        """SymPy's own `Sum` drops a condition on what is summed out of a Piecewise with sums inside."""
        return reduce_over(Sum, inner, over) if self.rich else Sum(inner, *over)

    def masked(self, inner):
        """Half of the entries of one axis, or its diagonal."""
        one, other = self.random.sample(self.by_size[self.N], 2)
        if self.random.random() < 0.4:
            return KroneckerDelta(one, other) * inner
        condition = self.random.choice([one <= other, one > other, Ne(one, other)])
        return Piecewise((inner, condition), (self.random.choice([0, self.leaf()]), True))

    def expression(self, depth: int):
        roll = self.random.random()
        if depth == 0 or roll < 0.15:
            return self.leaf()
        if self.rich and roll < 0.27:
            return self.masked(self.expression(depth - 1))
        if roll < 0.35:
            return self.random.choice(UNARY)(self.expression(depth - 1))
        if roll < 0.55:
            return self.expression(depth - 1) + self.expression(depth - 1)
        if roll < 0.8:
            return self.expression(depth - 1) * self.expression(depth - 1)
        inner = self.expression(depth - 1)
        free = sorted(free_indices(inner), key=str)
        if not free:
            return inner
        return self.sum(inner, self.random.sample(free, self.random.randint(1, len(free)))) / 5

    def build(self) -> Exercise:
        for number in range(self.random.randint(2, 4)):
            expr = self.expression(3)
            free = sorted(free_indices(expr), key=str)
            while len(free) > 2:
                expr = self.sum(expr, [free.pop(self.random.randrange(len(free)))]) / 4
            symbol = self.ex.step(f"q{number}", free, expr)
            self.entries.append((symbol, [i.upper + 1 for i in free]))
        total = Integer(0)
        for quantity in list(self.ex.quantities.values()):
            term = quantity.entry * self.random.choice([1, 2, Rational(1, 3)])
            total += Sum(sympy.sin(term), *quantity.indices) if quantity.indices else sympy.sin(term)
        self.ex.loss("L", total)
        return self.ex
