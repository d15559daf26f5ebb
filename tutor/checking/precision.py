"""Where floats do not decide: how far rounding moves a line, and the line once more at 50 and 200 digits.

Overflow and cancellation are not mistakes of the learner. A line is in doubt where its distance from the truth is no
more than what a relative 1e-15 in every intermediate result makes of it, or where a finite step of it left the floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.interpret import Run
from tutor.checking.outline import Outline, Unit
from tutor.checking.truth import Point
from tutor.exercise import Exercise
from tutor.numeric.compare import DOUBLE
from tutor.numeric.plan import Plan
from tutor.numeric.programs import backward_steps, step_plans

if TYPE_CHECKING:
    from tutor.checking.index_style import Named

NOISE = 1e-15  # relative; a float64 operation rounds by 1e-16
MARGIN = 3.0  # times the spread that the noise makes
SEEDS = 6  # the noise is a few units in the last place: two such may cancel by chance
RUNS = SEEDS + 2  # and one without noise, and one with rough noise, rarely two
MOST_STEPS = 25_000  # operations of all noisy runs of a sheet
FEW = 8  # entries
ROUGH = 1e-9  # noise that no rounding makes: what it cannot explain, one run tells
RARELY = 0.01  # of the entries: two runs tell
DIGITS = (50, 200)
DRAWS = 4  # that are looked at with many digits, fewer where a sheet is long
SAME = DOUBLE.relative
LEAST = 1e-3  # of what was added up: with SAME, the 1e-12 of every comparison
MOST_NODES = 1_500  # operations of a sheet that is computed with many digits
LARGE = 4_000  # entries of all values: one draw has to do
NODES = 600  # of all draws together, if there are several

_ARITHMETIC = ("+", "-", "*", "/", "**", "@")


class NoisyRun(Run):
    """A run in which every computed value is off by a little; it keeps what was decided, and where floats ended."""

    watches = True

    def __init__(self, outline: Outline, draw: Any, replace: Mapping[tuple[str, int], Tensor], seed: int):
        super().__init__(outline, draw, replace)
        self.generator = torch.Generator().manual_seed(abs(seed)) if seed else None
        self.noise = NOISE if seed >= 0 else ROUGH
        self.decisions: list[tuple[int, Tensor]] = []  # with their units
        self.lost: list[int] = []  # units in which finite operands gave what is not finite, a root of -1 too
        self.left: list[int] = []  # units in which a finite step overflowed, or came out as 0
        self._finite, self._nonzero = [True], [True]  # of the operands of each open operation

    def evaluate(self, node: lang.Expression) -> Any:
        return self.computed(node, self._watched(node, super().evaluate))

    def indexed(self, node: lang.Expression, evaluate: Callable[[Any], Named]) -> Named:
        made = self._watched(node, evaluate)
        return replace(made, tensor=self.computed(node, made.tensor))

    def _watched(self, node: lang.Expression, evaluate: Callable[[Any], Any]) -> Any:
        self._finite.append(True)
        self._nonzero.append(True)
        try:
            made = evaluate(node)
        finally:
            finite, nonzero = self._finite.pop(), self._nonzero.pop()
        value = getattr(made, "tensor", made)  # with its axes, where it has indices
        if isinstance(value, Tensor):
            self._watch(node, value, finite, nonzero)
        elif isinstance(value, (int, float)):
            self._nonzero[-1] &= value != 0
        return made

    def _watch(self, node: lang.Expression, value: Tensor, finite: bool, nonzero: bool) -> None:
        """Note where finite operands gave no finite value, or 0, though nothing was divided by 0."""
        is_finite, is_nonzero = _is_finite(value), bool(value.all())
        op, known = node.op if isinstance(node, lang.Binary) else "", _traits(node)
        grows = op in ("+", "-", "*", "@") or op in ("/", "**") and nonzero or known.overflows
        vanishes = op in ("*", "/", "**") and nonzero or known.underflows
        overflows = grows and not is_finite and not bool(value.isnan().any())  # a root of -1 is none
        if finite and (overflows or vanishes and not is_nonzero):
            self.left.append(self.position)
        if finite and not is_finite:
            self.lost.append(self.position)
        self._finite[-1] &= is_finite
        self._nonzero[-1] &= is_nonzero

    def computed(self, node: lang.Expression, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point() or _traits(node).steps:
            self.decisions.append((self.position, value.detach().clone()))
            return value
        return self._noisy(value) if _computes(node) and not self._is_exact(node, value) else value

    def _is_exact(self, node: lang.Expression, value: Tensor) -> bool:
        """Whole numbers of numbers, sizes and indices: the 2 of `x**(3 - 1)`, of which x below 0 has no other power
        nearby, and the `i + 1` of an entry."""
        if not value.numel() or value.reshape(-1)[0].item() % 1 or bool((value % 1).any()):
            return False
        names = (part.name for part in lang.walk(node) if isinstance(part, lang.Name))
        return all(name in self.names.sizes or not self._has_value(name) for name in names)

    def _has_value(self, name: str) -> bool:
        held = self.variables.get(name)
        return isinstance(held, Tensor) or name in lang.MODULES or (held is None and name in self.names.quantities)

    def _noisy(self, value: Tensor) -> Tensor:
        if self.generator is None:
            return value
        noise = torch.empty(value.shape, dtype=torch.float64)
        return value * noise.uniform_(1 - self.noise, 1 + self.noise, generator=self.generator)

    def _given(self, name: str, node: lang.Expression) -> Any:
        """A forward value was rounded too: what is left of its sum may be nothing else. The same for all its reads."""
        value = super()._given(name, node)
        if isinstance(value, Tensor) and value.is_floating_point() and name in self.variables:
            value = self.variables[name] = self._noisy(value)
        return value


def _is_finite(value: Tensor) -> bool:
    """Whether all entries are; their sum tells it nearly always."""
    if not value.is_floating_point() or math.isfinite(value.sum().item()):
        return True
    return bool(torch.isfinite(value).all())


def _traits(node: lang.Expression) -> library.Traits:
    function = node.function if isinstance(node, lang.Call) else None
    return library.traits(function.name if isinstance(function, (lang.Name, lang.Attribute)) else "")


def _computes(node: lang.Expression) -> bool:
    """Arithmetic: what gives a tensor of its own, not another view of one."""
    if isinstance(node, lang.Binary):
        return node.op in _ARITHMETIC
    return _traits(node).rounds or _traits(node).elementwise


class Doubt:
    """Whether rounding explains the values of a sheet; its noisy runs are made when first asked for."""

    def __init__(
        self,
        exercise: Exercise,
        outline: Outline,
        replace: Callable[[Point], Mapping[tuple[str, int], Tensor]],
        dear: bool = False,
    ):
        """`dear`: one noisy run at a draw is all that this sheet can afford."""
        self.exercise, self.outline, self.replace, self.dear = exercise, outline, replace, dear
        self._runs: dict[tuple[int, int], NoisyRun] = {}
        self._apart: set[tuple[tuple[str, int], int]] = set()  # lines that rough noise leaves where they are, by draw
        self.steps = 0
        self._exact: dict[tuple[int, int], ManyDigitsRun | None] = {}

    def run(self, point: Point, seed: int, position: int) -> NoisyRun:
        """One noisy run, at least as far as this unit."""
        key = (id(point), seed)
        if key not in self._runs:
            self._runs[key] = NoisyRun(self.outline, point, self.replace(point), seed)
        run = self._runs[key]
        self.steps += sum(self.outline.weight.get(id(unit.statement), 1) for unit in run.through(position))
        return run

    @property
    def spent(self) -> bool:
        """Whether noisy runs have taken all that a sheet may cost."""
        return self.dear or self.steps > MOST_STEPS

    def explains(self, key: tuple[str, int], given: Tensor, true: Tensor, point: Point) -> bool:
        """Whether the line that ends at `key`, (name, unit), may be the true one at this draw, for all floats say."""
        if given.shape != true.shape or not bool(torch.isfinite(true).all()):
            return False
        if not bool(torch.isfinite(given).all()):
            return self.left_the_floats(key, point)
        gap, spread = (given - true).abs(), torch.zeros_like(given)
        close = DOUBLE.allows(gap, torch.maximum(given.abs(), true.abs()))
        apart = ~close & self._far(key, given, gap, point, -1)
        # of many entries the noise leaves one where it is by chance, now and then
        if bool(apart.any()) and float(apart.double().mean()) < RARELY:
            apart &= self._far(key, given, gap, point, -2)
        if bool(apart.any()):
            self._apart.add((key, id(point)))
            return False  # most wrong lines
        if self.spent:
            return True  # more digits decide
        for seed in range(1, SEEDS + 1):
            value = self._value(key, point, seed)
            if not isinstance(value, Tensor) or value.shape != given.shape:
                return False
            apart = (library.real(value) - given).abs()
            spread = torch.maximum(spread, apart.nan_to_num(torch.inf, torch.inf))  # at the edge of what is defined
            if seed == 1 and gap.numel() > FEW and float((close | (gap <= 100 * spread)).double().mean()) < 0.5:
                return False  # by far not
        return bool((close | (gap <= MARGIN * spread)).all()) and self._same_decisions(point, key[1])

    def _far(self, key: tuple[str, int], given: Tensor, gap: Tensor, point: Point, seed: int) -> Tensor:
        """The entries that are off by much more than rough noise makes of them; none where it leaves no number."""
        rough = self._value(key, point, seed)
        if not isinstance(rough, Tensor) or rough.shape != given.shape:
            return torch.ones_like(gap, dtype=torch.bool)
        if not bool(torch.isfinite(rough).all()):
            return torch.zeros_like(gap, dtype=torch.bool)
        return gap > 100 * (library.real(rough) - given).abs()

    def _value(self, key: tuple[str, int], point: Point, seed: int) -> Any:
        run = self.run(point, seed, key[1])
        return None if run.failed(key[1]) else run.values.get(key)

    def left_the_floats(self, key: tuple[str, int], point: Point) -> bool:
        """Whether a finite step on the way overflowed, or came out as 0."""
        return any(unit <= key[1] for unit in self.run(point, 0, key[1]).left)

    def lost_the_digits(self, key: tuple[str, int], point: Point) -> bool:
        """Whether more digits might give another value: a variance by cancellation may come out below 0.

        Where rough noise leaves a line as it is, it leaves what the line lost on its way as well.
        """
        run = self.run(point, -1 if (key, id(point)) in self._apart else 0, key[1])
        return any(unit <= key[1] for unit in (*run.left, *run.lost))

    def decided(self, key: tuple[str, int], doubtful: list[tuple[Tensor, Tensor, float, Point]]) -> bool | None:
        """Whether a line is the true one at 50 and at 200 digits; None where that cannot be computed, or is not clear.

        Two expressions are equal if and only if their difference shrinks with the precision; a draw that is too large
        to be computed so is left to the smaller ones.
        """
        weight = sum(self.outline.weight.values())
        if weight > MOST_NODES:
            return None
        decided = None
        large = any(sum(x.numel() for x in point.values.values()) > LARGE for _, _, _, point in doubtful)
        draws = DRAWS if large else max(1, min(DRAWS, NODES // max(weight, 1)))
        for given, true, scale, point in doubtful[:draws]:
            if decided and large:
                break
            for digits in DIGITS:
                run = self._many_digits(point, digits)
                gap = None if run is None else run.gap(key, scale)
                if gap is None:
                    break
                if gap > SAME and digits == DIGITS[-1]:
                    coarse = ((given - true).abs() / torch.maximum(given.abs(), true.abs()).clamp(min=1e-300)).max()
                    return False if gap > 1e-3 * min(float(coarse.nan_to_num(1.0)), 1.0) else None
                if gap <= SAME:
                    decided = True
        return decided

    def too_large(self, key: tuple[str, int], doubtful: list[tuple[Tensor, Tensor, float, Point]]) -> bool:
        """Whether at none of these draws the true value can be computed with many digits: others have to tell."""
        if sum(self.outline.weight.values()) > MOST_NODES:
            return False
        runs = (self._many_digits(point, DIGITS[0]) for *_, point in doubtful[:DRAWS])
        return all(run is None or run.truth(key[0]) is None for run in runs)

    def _many_digits(self, point: Point, digits: int) -> ManyDigitsRun | None:
        """None where what is given at this draw is too much already."""
        key = (id(point), digits)
        if key not in self._exact:
            self._exact[key] = _computed(
                lambda: ManyDigitsRun(self.exercise, self.outline, point, self.replace(point), digits)
            )
        return self._exact[key]

    def _same_decisions(self, point: Point, position: int) -> bool:
        """No mask and no winner up to this unit is another one under the noise: what jumps explains nothing."""
        plain, *noisy = (self._decisions(point, seed, position) for seed in range(SEEDS + 1))
        return all(len(plain) == len(other) and all(map(torch.equal, plain, other)) for other in noisy)

    def _decisions(self, point: Point, seed: int, position: int) -> list[Tensor]:
        return [value for at, value in self.run(point, seed, position).decisions if at <= position]


# -- many digits ---------------------------------------------------------------------------------------------------


class ExactRun(Run):
    """A run on exact tensors; what a learner writes as 0.1 or 1/3 is no float either."""

    def __init__(self, outline: Outline, draw: Any, replace: Mapping[tuple[str, int], Tensor], digits: Any):
        super().__init__(outline, draw, replace)
        self.digits = digits

    def evaluate(self, node: lang.Expression) -> Any:
        import mpmath  # type: ignore[import-untyped]

        value = super().evaluate(node)
        if not isinstance(value, float) or not math.isfinite(value):
            return value
        if isinstance(node, lang.Number) and "j" not in node.text:
            number = mpmath.mpf(node.text.replace("_", ""))
            return value if number == value else self.digits.exact(number)
        if isinstance(node, lang.Binary) and node.op in ("/", "**"):
            left, right = (mpmath.mpf(self.evaluate(part)) for part in (node.left, node.right))
            return self.digits.exact(left / right if node.op == "/" else left**right)
        if isinstance(node, (lang.Name, lang.Attribute)) and value == math.pi:
            return self.digits.exact(+mpmath.pi)
        return value

    def _look_for_aliases(self, unit: Unit) -> None:
        """Said by the run on floats."""


class OnDemand(Mapping[str, Any]):
    """Values of a straight-line program: each is computed when it is first read, after what it reads itself."""

    def __init__(self, known: dict[str, Any], steps: Sequence[tuple[str, Plan]], sizes: Mapping[str, int]):
        self.known, self.steps, self.sizes = known, steps, sizes
        self.names = frozenset(known).union(name for name, _ in steps)

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.known:
            self._compute(name)
        return self.known[name]

    def _compute(self, name: str) -> None:
        needed, used = {name}, []
        for made, plan in reversed(self.steps):
            if made in needed and made not in self.known:
                needed |= plan.inputs
                used.append((made, plan))
        for made, plan in reversed(used):
            self.known[made] = plan.run(self.known, self.sizes)[made]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class _Draw:
    sizes: Mapping[str, int]
    values: Mapping[str, Any]
    gradients: Mapping[str, Any]


class ManyDigitsRun:
    """A sheet and its truths at one draw, with many digits: as much of both as the lines need that are asked about."""

    def __init__(
        self, exercise: Exercise, outline: Outline, point: Point, replace: Mapping[tuple[str, int], Tensor], digits: int
    ):
        from tutor.checking.digits import ManyDigits

        forward = [(q.name, plan) for q, plan in zip(exercise.forward, step_plans(exercise), strict=True)]
        self.digits = ManyDigits(digits)
        with self.digits:
            known = {n: self.digits.exact(x) if x.is_floating_point() else x for n, x in point.instance.leaves.items()}
            self.values = OnDemand(known, forward, point.sizes)
            self.truths = OnDemand(known, [*forward, *backward_steps(exercise)], point.sizes)
            exact = {key: self.digits.exact(x) for key, x in replace.items()}
            self.run = ExactRun(outline, _Draw(point.sizes, self.values, self.truths), exact, self.digits)

    def truth(self, name: str) -> list[Any] | None:
        """Our own value, row by row; None where that cannot be computed."""
        with torch.no_grad(), self.digits:
            return _computed(lambda: self.digits.read(self.truths[name]))

    def gap(self, key: tuple[str, int], scale: float) -> float | None:
        """The largest relative error of a line, what was added up being of this size; None where it has no value."""
        import mpmath

        true = self.truth(key[0])
        with torch.no_grad(), self.digits:
            given = _computed(lambda: self._given(key))
            if true is None or given is None or len(given) != len(true):
                return None
            # sizes and constants of our own formulas are floats: what is 0 by cancellation is not quite
            floor = LEAST * (scale + max((abs(t) for t in true), default=0)) + mpmath.mpf(10) ** -self.digits.digits
            return float(
                max((abs(a - b) / max(abs(a), abs(b), floor) for a, b in zip(given, true, strict=True)), default=0)
            )

    def _given(self, key: tuple[str, int]) -> list[Any] | None:
        self.run.through(key[1])
        value = self.run.values.get(key)
        if not isinstance(value, (Tensor, int, float)):
            return None
        return self.digits.read(value if isinstance(value, Tensor) else torch.tensor(float(value)))


def _computed(compute: Callable[[], Any]) -> Any:
    """None where a computation with many digits cannot be made: not all that torch does is done here."""
    from tutor.checking.digits import Beyond

    try:
        return compute()
    except (Beyond, ArithmeticError, RuntimeError):
        return None  # undecided, never wrong
