"""Instances: random values for an exercise, in its domains, away from its kinks.

The same exercise id, seed and draw give the same numbers on every machine; torch's own random state is not touched.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from random import Random
from typing import Any

import torch
from sympy import Function, Indexed, Piecewise, Pow, S, Sum, Symbol
from torch import Tensor

from tutor.errors import ExerciseError, NotFoundError, UndecidedError, UsageError, did_you_mean
from tutor.exercise import Exercise, Fact, Quantity
from tutor.language import said
from tutor.numeric.evaluate import number
from tutor.numeric.kinks import FAR, beside, hit, kinks_of, margin, whole
from tutor.numeric.programs import backward_plan, fact_plan, forward_plan
from tutor.shown import Shown
from tutor.symbolic.functions import function_row
from tutor.symbolic.indices import quantities_in, size

SMALL = 200  # up to this many numbers in all leaves, an exercise is judged at MANY draws
MANY = 16
FEW = 4
TRIES = 64


# -- sizes ------------------------------------------------------------------------------------------------------


MOST_ENTRIES = 20_000  # of one quantity at the second sizes
MANY_ORDERS = 60  # of the same sizes that are looked at


def default_sizes(exercise: Exercise, draw: int = 0) -> dict[str, int]:
    """The first set of sizes for even draws, the second for odd ones."""
    first = exercise.cached("sizes 0", lambda: _first_sizes(exercise))
    return dict(first if draw % 2 == 0 else exercise.cached("sizes 1", lambda: _second_sizes(exercise, first)))


def _first_sizes(exercise: Exercise) -> dict[str, int]:
    given = exercise.example_sizes
    names = [n for n in exercise.size_symbols if n not in given]
    return _search(exercise, given, names, lambda skip: _primes(len(names), 3, set(given.values()), skip))


def _second_sizes(exercise: Exercise, first: Mapping[str, int]) -> dict[str, int]:
    """Every size changes: distinct primes permuted, examples to the next primes of their own magnitude."""
    fixed: dict[str, int] = {}
    for name in exercise.example_sizes:
        taken = {*first.values(), *fixed.values()}
        fixed[name] = _primes(1, first[name] + 1, taken)[0]
    names = [n for n in exercise.size_symbols if n not in fixed]
    taken = set(fixed.values())
    if exercise.example_sizes and not all(a >= 2 for a in _axes(exercise, {**first, **fixed})):
        return _search(
            exercise, {}, list(exercise.size_symbols), lambda skip: _primes(len(first), 5, set(), skip), first
        )
    grown = _search(exercise, fixed, names, lambda skip: _primes(len(names), 5, taken, skip), first)
    if _entries(exercise, grown) <= MOST_ENTRIES:
        return grown
    return _exchanged(exercise, first)


def _exchanged(exercise: Exercise, first: Mapping[str, int]) -> dict[str, int]:
    """The same numbers at other places: of four axes all cannot grow, if a learner's loops are to come to an end."""
    numbers, source = sorted(first.values()), Random(0)
    best: tuple[tuple[int, int], dict[str, int]] | None = None
    for _ in range(MANY_ORDERS):
        source.shuffle(numbers)
        sizes = dict(zip(first, numbers, strict=True))
        axes = _axes(exercise, sizes)
        if min(axes) < 2:
            continue
        alike = len(axes) - len(set(axes)) + sum(sizes[n] == first[n] for n in first)
        badness = (alike, _entries(exercise, sizes))
        if best is None or badness < best[0]:
            best = (badness, sizes)
    return best[1] if best is not None else dict(first)


def _entries(exercise: Exercise, sizes: Mapping[str, int]) -> int:
    """Of the largest quantity."""
    return max(math.prod(int(number(extent, sizes)) for extent in q.shape) for q in exercise)


def _search(
    exercise: Exercise,
    fixed: Mapping[str, int],
    names: Sequence[str],
    primes: Callable[[int], list[int]],
    former: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """The first assignment with every axis >= 2 and the fewest axes that only happen to be equal."""
    best: tuple[tuple[int, int], dict[str, int]] | None = None
    for skip in range(12):
        for order in _orders(primes(skip)):
            sizes = {**fixed, **dict(zip(names, order, strict=True))}
            axes = _axes(exercise, sizes)
            if min(axes, default=2) < 2:
                continue
            same = sum(sizes[n] == former[n] for n in names) if former else 0
            kept = sum(_ranks(sizes)[n] == _ranks(former)[n] for n in names) if former else 0
            badness = (len(axes) - len(set(axes)) + same, kept)
            if best is None or badness < best[0]:
                best = (badness, sizes)
            if badness[0] == 0 and kept <= len(names) // 2:
                return sizes
        if best is not None and skip >= 4:
            break
    if best is not None:
        return best[1]
    raise ExerciseError(
        said(
            "exercise {name}: no sizes make every axis at least 2; give some with exercise.example(...)",
            name=exercise.name,
        )
    )


def _orders(primes: list[int]) -> Iterator[tuple[int, ...]]:
    """All orders of a few; of many, the rotations forwards and backwards."""
    if len(primes) <= 5:
        yield from permutations(primes)
        return
    for turn in range(len(primes)):
        turned = primes[turn:] + primes[:turn]
        yield tuple(turned)
        yield tuple(reversed(turned))


def _ranks(sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(sorted(sizes, key=lambda n: sizes[n]))}


def _axes(exercise: Exercise, sizes: Mapping[str, int]) -> list[int]:
    """The lengths of all axes that depend on sizes, one for each expression."""
    expressions = {size(i) for i in exercise.index_symbols.values()} | {extent for q in exercise for extent in q.shape}
    expressions |= {q.below for q in exercise if q.below is not None}
    lengths = [number(e, sizes) for e in expressions if not e.is_number]
    return [n if isinstance(n, int) else 0 for n in lengths]


def _primes(count: int, start: int, taken: set[int], skip: int = 0) -> list[int]:
    found: list[int] = []
    candidate = start
    while len(found) < count + skip:
        if candidate not in taken and all(candidate % d for d in range(2, math.isqrt(candidate) + 1)):
            found.append(candidate)
        candidate += 1
    return found[skip:]


def checked_sizes(exercise: Exercise, sizes: Mapping[str, int] | None, draw: int) -> dict[str, int]:
    """The default sizes, with those given instead."""
    for name, extent in (sizes or {}).items():
        if name not in exercise.size_symbols:
            hint = did_you_mean(name, exercise.size_symbols)
            known = ", ".join(exercise.size_symbols) or said("none")
            raise UsageError(
                said(
                    "exercise {name} has no size {name2}{hint}: it has {known}",
                    name=exercise.name,
                    name2=name,
                    hint=hint,
                    known=known,
                )
            )
        if isinstance(extent, bool) or not isinstance(extent, int) or extent < 1:
            raise UsageError(
                said("{name}={extent!r} is not a size: give a whole number from 1 up", name=name, extent=extent)
            )
    complete = sizes is not None and set(sizes) == set(exercise.size_symbols)
    made = dict(sizes or {}) if complete else {**default_sizes(exercise, draw), **(sizes or {})}
    short = min(_axes(exercise, made), default=1)
    if short < 1:
        raise UsageError(
            said(
                "with the sizes {made} an axis of {name} has length {short}: give larger ones",
                made=made,
                name=exercise.name,
                short=short,
            )
        )
    return made


def checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError(said("seed={seed!r} is not a seed: give a whole number", seed=seed))
    return seed


# -- values -------------------------------------------------------------------------------------------------------


def generator(*key: Any) -> torch.Generator:
    """A private source of random numbers for one name in one draw."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _normal(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    """Standard normal; a scalar is 0.3 to 3 of either sign, since close to 0 it hides what it multiplies."""
    if shape:
        return torch.randn(tuple(shape), generator=source, dtype=torch.float64) * scale
    u, sign = torch.rand(2, generator=source, dtype=torch.float64)
    return torch.exp((2 * u - 1) * math.log(3.0)) * (1 if sign < 0.5 else -1) * scale


def _positive(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    if not shape:
        return _normal(shape, source, scale).abs()
    return torch.exp(0.7 * torch.randn(tuple(shape), generator=source, dtype=torch.float64)) * scale


def _fraction(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    """Between 0 and 1, at a distance from both."""
    return 0.1 + 0.8 * torch.rand(tuple(shape), generator=source, dtype=torch.float64)


def _probability(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    return torch.randn(tuple(shape), generator=source, dtype=torch.float64).softmax(-1)


def _integers(shape: Sequence[int], source: torch.Generator, below: int) -> Tensor:
    """Under `below`, some repeated, not all equal."""
    flat = torch.randint(below, (math.prod(shape),), generator=source)
    if flat.numel() > 2 and flat.unique().numel() == flat.numel():
        flat[-1] = flat[0]
    if flat.numel() > 1 and below > 1 and flat.unique().numel() == 1:
        flat[-1] = (flat[0] + 1) % below
    return flat.reshape(tuple(shape))


def _one_hot(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    """Every class if there are rows enough, some class twice if there are not."""
    *rows, classes = shape
    count = math.prod(rows)
    picked = torch.randperm(classes, generator=source)[:count]
    more = torch.randint(classes, (max(count - classes, 0),), generator=source)
    picked = torch.cat([picked, more])[torch.randperm(count, generator=source)]
    if 2 < count <= classes:
        picked[-1] = picked[0]
    return torch.nn.functional.one_hot(picked, classes).reshape(tuple(shape)).double()


def _mask(shape: Sequence[int], source: torch.Generator, scale: float) -> Tensor:
    flat = torch.randint(2, (math.prod(shape),), generator=source)
    if flat.numel() > 1 and flat.unique().numel() == 1:
        flat[-1] = 1 - flat[0]
    return flat.reshape(tuple(shape)).double()


DOMAIN_SAMPLERS: dict[str, Callable[[Sequence[int], torch.Generator, float], Tensor]] = {
    "real": _normal,
    "positive": _positive,
    "fraction": _fraction,
    "probability": _probability,
    "one-hot": _one_hot,
    "mask": _mask,
    "constant": _positive,
    "fixed": _normal,
    "sign": lambda shape, source, scale: 2 * _mask(shape, source, scale) - 1,
}


def _leaves(
    exercise: Exercise, sizes: Mapping[str, int], key: tuple[Any, ...], draw: int, scale: float
) -> dict[str, Tensor]:
    made = {}
    for q in (*exercise.leaves, *map(exercise.gradient_quantity, exercise.ends)):
        if q.kind == "gradient":  # the loss has no upstream gradient
            continue
        source = generator(*key, q.name)
        shape = [number(extent, sizes) for extent in q.shape]
        if q.domain == "index":
            made[q.name] = _integers(shape, source, number(q.below, sizes))
            continue
        made[q.name] = DOMAIN_SAMPLERS[q.domain](shape, source, scale * _stretch(source, draw, bool(shape)))
    for fact in exercise.facts:
        _obey(exercise, fact, made, sizes)
    return made


def _stretch(source: torch.Generator, draw: int, array: bool) -> float:
    """1 in the first two draws; then 0.1 to 3, for scalars 0.1 to 10 with what `_normal` adds."""
    if draw < 2:
        return 1.0
    u = float(torch.rand(1, generator=source, dtype=torch.float64))
    return 10 ** (1.5 * u - 1) if array else 3.33 ** (2 * u - 1)


def _obey(exercise: Exercise, fact: Fact, values: dict[str, Tensor], sizes: Mapping[str, int]) -> None:
    """`Sum(a[i, k], k) = c` for an input: positive entries are rescaled, real ones shifted."""
    body = fact.left.args[0] if isinstance(fact.left, Sum) else None
    if not isinstance(body, Indexed) or quantities_in(fact.right) - set(exercise.size_symbols):
        return
    q = exercise.quantities.get(str(body.base.label))
    if q is None or not q.is_leaf or q.domain not in ("real", "positive") or len(set(body.indices)) != len(q.indices):
        return
    dims = [body.indices.index(limit[0]) for limit in fact.left.limits if limit[0] in body.indices]
    x, target = values[q.name], float(number(fact.right, sizes))
    now = x.sum(dims, keepdim=True)
    if q.domain == "positive":
        values[q.name] = x * (target / now)
    else:
        values[q.name] = x + (target - now) / math.prod(x.shape[d] for d in dims)


def _check_facts(exercise: Exercise, values: Mapping[str, Tensor], sizes: Mapping[str, int]) -> None:
    if not exercise.facts:
        return
    known = {name for name in values} | set(sizes)
    if any((quantities_in(f.left) | quantities_in(f.right)) - known for f in exercise.facts):
        return  # about a value after the backward pass
    for fact, gap in zip(exercise.facts, fact_plan(exercise).run(values, sizes).values(), strict=True):
        off = float(gap.abs().max()) if gap.numel() else 0.0
        if not off <= 1e-8 * max(1.0, *(float(values[n].abs().max()) for n in quantities_in(fact.left) if n in values)):
            raise ExerciseError(
                said(
                    "exercise {name}: the fact {left} = {right} ({reason}) does not hold: off by {off:.3g}; "
                    "correct it, or give {quantity} a domain that makes it true",
                    name=exercise.name,
                    left=fact.left,
                    right=fact.right,
                    reason=fact.reason,
                    off=off,
                    quantity=fact.quantity,
                )
            )


# -- instances -----------------------------------------------------------------------------------------------------


class Instance(Shown):
    """Values for every quantity of an exercise: `t.x`, `t["x"]`, sizes too, and `do` for an output `o`.

    Plain tensors that know no gradient: autograd finds nothing to differentiate here.
    """

    shown_as = "instance"

    def __init__(
        self,
        exercise: Exercise,
        sizes: Mapping[str, int],
        values: Mapping[str, Tensor],
        *,
        seed: int = 0,
        draw: int = 0,
        kink_margin: float = math.inf,
    ):
        self.exercise = exercise
        self.sizes = dict(sizes)
        self.values = dict(values)
        self.seed, self.draw = seed, draw
        self.kink_margin = kink_margin
        self._after: dict[str, Tensor] | None = None
        self._lent: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self.values:
            return self._copy(name, self.values)
        if name in self.sizes:
            return self.sizes[name]
        if name in self.exercise.quantities:  # a value from after the backward pass
            return self._copy(name, self.after)
        known = [*self.values, *self.sizes]
        raise NotFoundError(
            said(
                'an instance of {name} has no "{name2}"{hint}: it has {names}',
                name=self.exercise.name,
                name2=name,
                hint=did_you_mean(str(name), known),
                names=", ".join(known),
            )
        )

    def _copy(self, name: str, values: Mapping[str, Tensor]) -> Tensor:
        """The reader's own, the same at every access: what is done to it in place changes nothing that is judged."""
        if name not in self._lent:
            self._lent[name] = values[name].clone()
        return self._lent[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "values" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self[name]
        except NotFoundError as error:
            raise AttributeError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return name in self.values or name in self.sizes

    def __iter__(self) -> Iterator[str]:
        """The names that are `in` it, as those of a dict."""
        return iter([*self.values, *self.sizes])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.values, *self.sizes})

    @property
    def after(self) -> dict[str, Tensor]:
        """Our gradients `dW`, and the values computed from them."""
        if self._after is None:
            self._after = _separate(backward_plan(self.exercise).run(self.values, self.sizes))
        return self._after

    @property
    def leaves(self) -> dict[str, Tensor]:
        """Inputs, parameters and upstream gradients: what the forward pass and the backward pass start from."""
        computed = {q.name for q in self.exercise.forward}
        return {name: value for name, value in self.values.items() if name not in computed}

    def to(self, dtype: torch.dtype | None = None, device: Any = None) -> Instance:
        """The same instance in another precision or on another device; integers stay integers."""

        def move(x: Tensor) -> Tensor:
            return x.to(device=device, dtype=dtype if x.is_floating_point() else None)

        moved = {name: move(value) for name, value in self.values.items()}
        return Instance(self.exercise, self.sizes, moved, seed=self.seed, draw=self.draw, kink_margin=self.kink_margin)

    def clone(self) -> Instance:
        """The same numbers in tensors of their own."""
        held = {name: value.clone() for name, value in self.values.items()}
        return Instance(self.exercise, self.sizes, held, seed=self.seed, draw=self.draw, kink_margin=self.kink_margin)

    def check(self, **tensors: Tensor) -> Any:
        """Judge gradients without any text: `t.check(dW=my_dW)`."""
        import tutor

        return tutor.check(self, tensors)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={extent}" for name, extent in self.sizes.items())
        return f"Instance({self.exercise.id!r}, seed={self.seed}{', ' if sizes else ''}{sizes})"


def _separate(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors that share no memory, so that each can be viewed, and changed, by itself."""
    seen: set[int] = set()
    made = {}
    for name, value in values.items():
        value = value.contiguous()
        if value.untyped_storage().data_ptr() in seen or value.untyped_storage().nbytes() > value.nbytes:
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        made[name] = value
    return made


def _complete(exercise: Exercise, leaves: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Leaves, then the forward pass, in the order of the program."""
    given = {name: value for name, value in leaves.items()}
    computed = forward_plan(exercise).run(given, sizes)
    ordered = {n: given.get(n, computed.get(n)) for n in (*exercise.quantities, *given)}
    return _separate({n: v for n, v in ordered.items() if v is not None})


def _sound(quantity: Quantity, value: Tensor) -> bool:
    """Finite throughout, or infinite where the formula itself says so: a masked score is minus infinity."""
    meant = quantity.expr is not None and quantity.expr.has(S.Infinity, S.NegativeInfinity)
    return bool((~torch.isnan(value) if meant else torch.isfinite(value)).all())


def sample(
    exercise: Exercise,
    seed: int = 0,
    *,
    draw: int = 0,
    sizes: Mapping[str, int] | None = None,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
    device: Any = "cpu",
) -> Instance:
    """Random values for every input and parameter, and the forward pass: finite, and away from kinks.

    Even draws have the exercise's first sizes, odd ones the second; from the third on, the magnitudes vary too.
    """
    seed = checked_seed(seed)
    extents = checked_sizes(exercise, sizes, draw)
    best: Instance | None = None
    culprit: Quantity | None = None
    failed = 0
    for attempt in range(TRIES):
        key = (exercise.id, seed, draw, attempt)
        with torch.no_grad():
            smaller = scale / 2 ** max(failed - 3, 0)  # through many layers numbers near 1 overflow an exp
            values = _complete(exercise, _leaves(exercise, extents, key, draw, smaller), extents)
            broken = next((q for q in exercise.forward if not _sound(q, values[q.name])), None)
            if broken is not None:
                culprit, failed = broken, failed + 1
                continue
            if attempt == 0 or best is None:
                _check_facts(exercise, values, extents)
            distance = margin(exercise, values, extents)
        if best is None or distance > best.kink_margin:
            best = Instance(exercise, extents, values, seed=seed, draw=draw, kink_margin=distance)
        if distance > FAR or attempt >= _patience(values):
            break
    if best is None:
        assert culprit is not None
        raise UndecidedError(
            said(
                "exercise {name}: no finite point in the domain of {where}: {name2} was not finite in "
                "{tries} draws; give its inputs a domain such as positive",
                name=exercise.name,
                where=_narrow(culprit),
                name2=culprit.name,
                tries=TRIES,
            )
        )
    return best if dtype == torch.float64 and str(device) == "cpu" else best.to(dtype, device)


def _patience(values: Mapping[str, Tensor]) -> int:
    """Further tries at a point far from every kink: with many entries, one is always close."""
    return TRIES if sum(v.numel() for v in values.values()) <= 2000 else 3


def _narrow(q: Quantity) -> str:
    """The function of its formula that is not defined everywhere."""
    for part in q.expr.atoms(Function, Pow) if q.expr is not None else ():
        if isinstance(part, Pow) and not part.exp.is_Integer and not part.args[0].is_number:
            return "sqrt" if abs(part.exp) == S.Half else said("a power")
        if isinstance(part, Function) and not isinstance(part, Piecewise):
            try:
                if function_row(part).domain(part.args[0]) != S.true:
                    return type(part).__name__
            except ExerciseError:
                continue
    return said("the formula of {name}", name=q.name)


def instances(
    exercise: Exercise, seed: int = 0, count: int | None = None, sizes: Mapping[str, int] | None = None
) -> list[Instance]:
    """The draws used for judging: two of different sizes, or sixteen where a draw is small; then one beside kinks.

    Of sixteen, one has the second sizes: it tells what holds at some sizes only, and the others are computed at once.
    Where cases decide between numbers each draw tells of one case alone: four times as many.
    """
    if count is not None:
        return [sample(exercise, seed, draw=draw, sizes=sizes) for draw in range(count)]
    extents = checked_sizes(exercise, sizes, 0)
    elements = sum(math.prod(number(extent, extents) for extent in q.shape) for q in exercise.leaves)
    many = 4 * MANY if kinks_of(exercise) and not any(q.indices for q in exercise.leaves) else MANY
    draws = (0, 1, *range(2, 2 * many - 2, 2)) if elements <= SMALL else (0, 1)
    made = [sample(exercise, seed, draw=draw, sizes=sizes) for draw in draws]
    return [*made, *beside_kinks(exercise, made[0])]


def beside_kinks(exercise: Exercise, instance: Instance) -> Iterator[Instance]:
    """Draws near by with small distances to kinks, where a slip in a mask shows; of scalars one on each side."""
    scalar = not any(q.indices for q in exercise.leaves)
    kinds = [(n, sign) for n in range(min(len(kinks_of(exercise)), FEW)) for sign in (1, -1)] if scalar else [(None, 0)]
    for only, sign in kinds:
        for attempt in range(FEW):
            source = generator(exercise.id, instance.seed, "beside kinks", only, sign, attempt)
            leaves = beside(exercise, instance.leaves, instance.sizes, source, only, sign)
            found = None if leaves is None else _made(exercise, leaves, instance, FAR / 10)
            if found is not None:
                yield found
            if found is not None or leaves is None:
                break


def on_kinks(exercise: Exercise, seed: int = 0, sizes: Mapping[str, int] | None = None) -> Instance | None:
    """A draw of small whole numbers that lies exactly on kinks, on as many of them as are found; None without any."""
    if not kinks_of(exercise):
        return None
    first = sample(exercise, seed, sizes=sizes)
    best: tuple[int, Instance] | None = None
    scalars = sum(x.numel() for x in first.leaves.values()) <= MANY
    for attempt in range(4 * TRIES if scalars else TRIES // 4):  # one entry is seldom hit, of many some always are
        leaves = whole(first.leaves, exercise, generator(exercise.id, seed, "on kinks", attempt))
        for fact in exercise.facts:
            _obey(exercise, fact, leaves, first.sizes)
        found = _made(exercise, leaves, first, -1.0)
        count = len(hit(exercise, found.values, found.sizes)) if found is not None else 0
        if found is not None and count > (best[0] if best else 0):
            best = count, found
        if best is not None and best[0] == len(kinks_of(exercise)):
            break
    return None if best is None else best[1]


def _made(exercise: Exercise, leaves: Mapping[str, Tensor], like: Instance, least: float) -> Instance | None:
    """An instance from leaves, finite throughout and further than `least` from kinks, or None."""
    with torch.no_grad():
        values = _complete(exercise, leaves, like.sizes)
        if not all(_sound(q, values[q.name]) for q in exercise.forward):
            return None
        distance = margin(exercise, values, like.sizes)
    if not distance > least:
        return None
    return Instance(exercise, like.sizes, values, seed=like.seed, draw=like.draw, kink_margin=distance)


# -- worked examples --------------------------------------------------------------------------------------------------


def worked_instance(exercise: Exercise, values: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Instance:
    """An instance with given values: numbers, nested lists or tensors; a shape (1,) passes for a scalar.

    `sizes`, where the shapes alone do not tell them.
    """
    missing = [q.name for q in exercise.leaves if q.name not in values]
    if missing:
        raise UsageError(
            said("exercise {name}: no value is given for {names}", name=exercise.name, names=", ".join(missing))
        )
    made: dict[str, Tensor] = {}
    for name, value in values.items():
        q = exercise.quantities.get(name)
        if q is None or not q.is_leaf:
            raise UsageError(
                said(
                    "exercise {name}: {name2} is not an input or parameter, so it cannot be given",
                    name=exercise.name,
                    name2=name,
                )
            )
        made[name] = _given(exercise, q, value)
    sizes = dict(sizes) if sizes is not None else _inferred(exercise, made)
    for q in exercise.leaves:
        if q.domain == "index" and made[q.name].numel():
            below = number(q.below, sizes)
            if int(made[q.name].min()) < 0 or int(made[q.name].max()) >= below:
                raise UsageError(
                    said(
                        "exercise {name}: {name2} has entries outside of 0 to {value}",
                        name=exercise.name,
                        name2=q.name,
                        value=below - 1,
                    )
                )
    for q in map(exercise.gradient_quantity, exercise.ends):
        if q.kind == "upstream":
            shape = [number(extent, sizes) for extent in q.shape]
            made[q.name] = _normal(shape, generator(exercise.id, "worked", q.name), 1.0)
    with torch.no_grad():
        complete = _complete(exercise, made, sizes)
        _check_facts(exercise, complete, sizes)
        return Instance(exercise, sizes, complete, kink_margin=margin(exercise, complete, sizes))


def at(exercise: Exercise, values: Mapping[str, Any]) -> Instance:
    """An instance with the values given; without any, the exercise's worked example."""
    if not values and not exercise.instances:
        names = ", ".join(f"{q.name}=..." for q in exercise.leaves)
        raise UsageError(said("{exercise} has no worked example: give at({names})", exercise=exercise.id, names=names))
    return worked_instance(exercise, values or exercise.instances[0])


def worked(exercise: Exercise, number: int = 0) -> Instance:
    """The exercise's own worked example."""
    return worked_instance(exercise, exercise.instances[number])


def _given(exercise: Exercise, q: Quantity, value: Any) -> Tensor:
    try:
        x = value.detach().clone() if isinstance(value, Tensor) else torch.tensor(_plain(value), dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            said(
                "exercise {name}: {name2} = {value!r} is no number, no list of numbers of one length, no tensor",
                name=exercise.name,
                name2=q.name,
                value=value,
            )
        ) from None
    if not q.indices and x.numel() == 1:
        x = x.reshape(())
    if x.dim() != len(q.indices):
        axes = f"{len(q.indices)} {'axis' if len(q.indices) == 1 else 'axes'}"
        raise UsageError(
            said(
                "exercise {name}: {name2} has {axes}, but the value's shape is {given}",
                name=exercise.name,
                name2=q.name,
                axes=axes,
                given=tuple(x.shape),
            )
        )
    if q.domain != "index":
        return x.double()
    if x.is_floating_point() and bool((x != x.round()).any()):
        raise UsageError(
            said(
                "exercise {name}: {name2} is an index: its entries are whole numbers", name=exercise.name, name2=q.name
            )
        )
    return x.long()


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else float(value)


def _inferred(exercise: Exercise, values: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that the shapes of the values imply."""
    sizes: dict[str, int] = {}
    for q in exercise.leaves:
        for extent, length in zip(q.shape, values[q.name].shape, strict=True):
            if isinstance(extent, Symbol):
                known = sizes.setdefault(extent.name, length)
                if known != length:
                    raise UsageError(
                        said(
                            "exercise {name}: {name2} says {extent} = {length}, but it was {known} before",
                            name=exercise.name,
                            name2=q.name,
                            extent=extent,
                            length=length,
                            known=known,
                        )
                    )
    for q in exercise.leaves:
        if isinstance(q.below, Symbol) and q.below.name not in sizes:
            sizes[q.below.name] = int(values[q.name].max()) + 1
    unknown = [n for n in exercise.size_symbols if n not in sizes]
    if unknown:
        raise UsageError(
            said(
                "exercise {name}: the values given do not determine the size {names}",
                name=exercise.name,
                names=", ".join(unknown),
            )
        )
    for q in exercise.leaves:
        shape, given = tuple(number(extent, sizes) for extent in q.shape), tuple(values[q.name].shape)
        if shape != given:
            raise UsageError(
                said(
                    "exercise {name}: {name2} has shape {given}, but its axes have sizes {shape}",
                    name=exercise.name,
                    name2=q.name,
                    given=given,
                    shape=shape,
                )
            )
    return sizes
