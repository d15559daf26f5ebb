"""What an answer may call: one row per function or method, with torch's meaning, in float64.

Elementwise functions come from THE FUNCTION TABLE (`symbolic/functions.py`) with all its spellings; here are the
others. A row is a Python function: its parameters are the arguments a learner may give (`axis` is read as `dim`,
`keepdims` as `keepdim`), and a parameter `numpy` learns whether the call is in numpy's spelling.
Sizes are checked before anything is computed: `limits.room(...)`.
"""

from __future__ import annotations

import inspect
import math
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from string import ascii_letters
from typing import Any

import torch
import torch.nn.functional as F
from sympy import Symbol
from torch import Tensor

from tutor.errors import Saying
from tutor.language import joined, said
from tutor.shown import shown_shape
from tutor.symbolic.functions import FUNCTIONS

MAX_TENSOR = 2_000_000  # entries of one tensor
MAX_ENTRIES = 8_000_000  # entries computed in one run of a sheet
MAX_STEPS = 120_000  # operations in one run of a sheet
CALL, ENTRIES, MADE = 12, 8, 2  # operations that a call, a change of some entries, and a tensor count beside their own
MAX_WORK = 200_000_000  # multiplications in one matrix product
MAX_LOOP = 10_000  # rounds of all loops together
DEADLINE = 5.0  # seconds for one run, the last guard

FLOAT = torch.float64


class Refusal(Saying):
    """Not in the language; the interpreter adds line and column."""


class TorchRefuses(Saying):
    """In the language, but torch has no value for it: shapes, or an index out of range."""

    def __init__(self, message: str, shapes: tuple[tuple[int, ...], ...] = ()):
        super().__init__(message)
        self.shapes = shapes


class Cut(Saying):
    """The last guard stopped the work: undecided, never wrong."""


_SLICES = said("write a slice, or a sum over an axis, in place of the innermost loop")


class Limits:
    """Counts what a run costs; it counts and does not time, so that a verdict is the same everywhere.

    An operation takes one or two microseconds, a name or a number in a formula as well as a sum of tensors; what takes
    ten times as long counts as ten. So a naive convolution, a loop in four loops that adds up slices, fits in, and
    what takes most for what it counts stays under half a second at the two draws that a dear sheet is run at.
    """

    def __init__(self) -> None:
        self.steps = self.spent = self.checked = self.entries = self.rounds = 0
        self.until = time.monotonic() + DEADLINE

    def step(self, operations: int = 1) -> None:
        """Once per statement, with the number of its operations."""
        self.steps += operations
        self.spend(operations)

    def spend(self, operations: int) -> None:
        """What takes longer than its one operation."""
        self.spent += operations
        if self.spent > self.checked + 500:
            self.checked = self.spent
            if self.spent > MAX_STEPS:
                says = said("more than {most} operations in one sheet: {advice}", most=MAX_STEPS, advice=_SLICES)
                raise Refusal(says)
            if time.monotonic() > self.until:
                raise Cut(said("stopped after {deadline:.0f} s", deadline=DEADLINE))

    def round(self, count: int) -> None:
        self.rounds += count
        if self.rounds > MAX_LOOP:
            raise Refusal(said("more than {most} rounds in loops: {advice}", most=MAX_LOOP, advice=_SLICES))

    def holds(self, mask: Tensor) -> bool:
        """Whether a condition on values holds for all entries; asked of all draws where they are computed at once."""
        return bool(mask.all())

    def room(self, *extents: int) -> None:
        """Refuse a tensor that would be too large, before it is made."""
        self.spent += MADE
        entries = 1
        for extent in extents:
            entries *= extent if extent > 0 else 0
            if entries > MAX_TENSOR:
                raise Refusal(said("a tensor of more than {most} entries", most=MAX_TENSOR))
        self.entries += entries
        if self.entries > MAX_ENTRIES:
            raise Refusal(said("more than {most} entries computed in one sheet", most=MAX_ENTRIES))

    def work(self, multiplications: int) -> None:
        if multiplications > MAX_WORK:
            raise Refusal(said("more than {most} multiplications in one product", most=MAX_WORK))
        self.entries += multiplications // 64
        if self.entries > MAX_ENTRIES:
            raise Refusal(said("more than {most} entries computed in one sheet", most=MAX_ENTRIES))


def asking_torch(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """One torch call alone: its refusal is the learner's, every other error is ours."""
    try:
        return function(*args, **named)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        owner = getattr(function, "__self__", None)
        shapes = tuple(tuple(a.shape) for a in (owner, *args) if isinstance(a, Tensor))
        raise TorchRefuses(str(error).split("\n")[0].rstrip(". ")[:200], shapes) from None


# -- values -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """What `x.max(1)` returns in torch; `slogdet` calls its two otherwise."""

    values: Tensor
    indices: Tensor
    names: tuple[str, str] = ("values", "indices")


@dataclass(frozen=True)
class Kind:
    """A dtype or device named in a sheet: only whether it holds whole numbers matters."""

    whole: bool = False
    truth: bool = False


def real(value: Any) -> Tensor:
    """A number, a mask or an integer tensor as float64; a float64 tensor as it is."""
    if isinstance(value, Tensor):
        return value if value.dtype is FLOAT else value.to(FLOAT)
    if isinstance(value, (int, float)):
        return torch.tensor(value, dtype=FLOAT)
    if isinstance(value, tuple):
        return array(value).to(FLOAT)
    raise Refusal(said("{kind} is not a tensor", kind=kind_of(value)))


def kept(*values: Any) -> list[Tensor]:
    """Tensors as they go together in torch and numpy: masks stay masks, whole numbers whole; all else is float64."""
    made = [array(value) for value in values]
    kinds = {x.dtype for x in made}
    if kinds <= {torch.bool} or kinds <= {torch.int64}:
        return made
    return [x.to(torch.int64 if kinds <= {torch.bool, torch.int64} else FLOAT) for x in made]


def counted(value: Any) -> Tensor:
    """What is added up: whole numbers, and masks, which count 1 each, stay whole."""
    x = array(value)
    return x if x.dtype is FLOAT or x.dtype is torch.int64 else x.to(torch.int64 if is_mask(x) else FLOAT)


def multiplied(*values: Any) -> list[Tensor]:
    """What is multiplied: whole numbers stay whole where all are, else float64."""
    made = [array(value) for value in values]
    return made if {x.dtype for x in made} == {torch.int64} else [real(x) for x in made]


WEIGHT = 16  # entries of a tensor cost as much as one of a list in a list
MAX_LISTS = 8  # lists in lists
LISTED = 100  # items of a list that are copied in the time of one operation


def leaves(value: Any, depth: int = 1) -> int:
    """How many numbers a list of lists holds: `a = [a, a]` in a loop doubles them each time."""
    if depth > MAX_LISTS:
        raise Refusal(said("more than {most} lists inside each other", most=MAX_LISTS))
    return sum(leaves(item, depth + 1) for item in value) if isinstance(value, tuple) else 1


def all_given(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """The members of a list, once it is seen that each has its value: `[None]*n` has none to begin with."""
    if any(member is None for member in members):
        raise Refusal(said("a member of this list has no value yet: it is still None"))
    return members


def array(value: Any) -> Tensor:
    """Nested lists of numbers or tensors as one tensor; all whole numbers stay whole (they may be indices)."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, range):
        if len(value) > MAX_LOOP:
            raise Refusal(said("a range of more than {most} numbers", most=MAX_LOOP))
        return torch.tensor(list(value), dtype=torch.int64)
    if isinstance(value, tuple):
        if not value:
            return torch.zeros(0, dtype=FLOAT)
        if all(type(item) is int and abs(item) < 2**62 for item in value):
            return torch.tensor(value, dtype=torch.int64)
        rows = [array(item) for item in all_given(value)]
        if any(row.shape != rows[0].shape for row in rows):
            raise TorchRefuses(said("the rows of a list differ in shape"), tuple(tuple(r.shape) for r in rows[:2]))
        if len({row.dtype for row in rows}) > 1:
            rows = [row.to(FLOAT) for row in rows]
        return torch.stack(rows)
    if isinstance(value, bool):
        return torch.tensor(value)
    if isinstance(value, int):
        return torch.tensor(value, dtype=torch.int64 if abs(value) < 2**62 else FLOAT)
    if isinstance(value, float):
        return torch.tensor(value, dtype=FLOAT)
    raise Refusal(said("{kind} is not a tensor", kind=kind_of(value)))


_KINDS: dict[type, str] = {
    str: said("a string"),
    Pair: said("a pair: take one of the two, as in .values,"),
    slice: said("a slice"),
    Kind: said("a type"),
    tuple: said("a list"),
    range: said("a range"),
    bool: said("True or False"),
    int: said("a number"),
    float: said("a number"),
    Tensor: said("a tensor"),
}
_THIS, AXIS = said("this"), said("an axis")


def kind_of(value: Any) -> str:
    if value is None:
        return "None"
    return _KINDS.get(type(value), _THIS)


def whole_number(value: Any, what: str = _THIS) -> int:
    """An axis, a size or an index as an int; anything else is refused."""
    if isinstance(value, Tensor) and value.ndim == 0 and not value.is_floating_point():
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        raise Refusal(
            said(
                "{what} must be a whole number: {value} is none, write {whole}, or // for /",
                what=what,
                value=value,
                whole=int(value),
            )
        )
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(said("{what} must be a whole number", what=what))
    return value


def dims(value: Any) -> Any:
    """An axis, or a tuple of axes."""
    if isinstance(value, tuple):
        return tuple(whole_number(v, AXIS) for v in value)
    return whole_number(value, AXIS)


def flag(value: Any) -> bool:
    """True or False, as `keepdim` takes them."""
    if isinstance(value, (bool, int)):
        return bool(value)
    raise Refusal(said("True or False is expected here"))


def finite(value: Any) -> float:
    """One real number that is not infinite."""
    made = scalar(value)
    if not math.isfinite(made):
        raise Refusal(said("a finite number is expected here"))
    return made


def scalar(value: Any) -> float:
    """One real number."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (int, float)):
        raise Refusal(said("one number is expected here"))
    return float(value)


def shape_of(values: tuple[Any, ...]) -> tuple[int, ...]:
    """`view(2, 3)` and `view((2, 3))`"""
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    return tuple(whole_number(v, said("a size")) for v in values)


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the rest of the checking asks of a function; nothing of it for a name that has no row."""

    elementwise: bool = False  # one argument, entry by entry
    broadcasts: bool = False  # several arguments, entry by entry
    rounds: bool = False  # adds up or multiplies
    overflows: bool = False  # in floats, at finite arguments
    underflows: bool = False  # to 0, which it never is
    steps: bool = False  # constant but for jumps: a little noise may make it another
    jumps: bool = False  # it or its slope
    shares: bool = False  # gives the very tensor it takes, perhaps in another layout
    zeros: bool = False  # a tensor to be filled
    along: bool = False  # takes an axis
    reduces: bool = False  # and leaves it out, or keeps it where it is asked to
    sized: bool = False  # what it takes beside its tensor are sizes and axes alone
    at_once: bool = False  # means the same under vmap; what works entry by entry does
    makes: bool = False  # takes no tensor, but sizes


@dataclass(frozen=True)
class Entry(Traits):
    """One function with the arguments it takes; `rest` when it takes any number of them."""

    name: str
    run: Callable[..., Any]
    parameters: tuple[str, ...]
    required: int
    rest: bool
    numpy: bool

    @property
    def usage(self) -> str:
        return f"{self.name}({', '.join([*self.parameters, *(['...'] if self.rest else [])])})"


FUNCTION: dict[str, Entry] = {}
METHOD: dict[str, Entry] = {}
NUMPY: dict[str, Entry] = {}
EFFECT: dict[str, Entry] = {}  # methods that change their tensor in place


@dataclass(frozen=True)
class IndexRow(Traits):
    """A function of index style: what it does over its indices in torch's words, and an entry that changes nothing."""

    over: str = ""
    neutral: float = 0.0


INDEX: dict[str, IndexRow] = {
    "Sum": IndexRow("sum", rounds=True, overflows=True),
    "Mean": IndexRow("mean", rounds=True),
    "Product": IndexRow("prod", 1.0, overflows=True),
    "MaxOver": IndexRow("amax", -torch.inf),
    "MinOver": IndexRow("amin", torch.inf),
    "ArgMaxOver": IndexRow("argmax", -torch.inf),
    "ArgMinOver": IndexRow("argmin", torch.inf),
    "KroneckerDelta": IndexRow(),
    "delta": IndexRow(),
    "Piecewise": IndexRow(jumps=True),
}
_NO_ROW = Traits()


def traits(name: str) -> Traits:
    """What is known of a function or method by its bare name."""
    return FUNCTION.get(name) or METHOD.get(name) or INDEX.get(name) or _NO_ROW


def _entry(name: str, run: Callable[..., Any], **traits: bool) -> Entry:
    every = inspect.signature(run).parameters
    given = [p for p in every.values() if p.name not in ("limits", "numpy")]
    plain = [p for p in given if p.kind is not p.VAR_POSITIONAL]
    return Entry(
        name,
        run,
        tuple(p.name for p in plain),
        sum(p.default is p.empty for p in plain),
        len(plain) < len(given),
        "numpy" in every,
        along="dim" in every,
        reduces="keepdim" in every,
        **traits,
    )


def listed(
    *names: str, function: bool = True, method: bool = True, numpy: bool = False, **traits: bool
) -> Callable[..., Any]:
    """Decorator: put a function into the tables under all its names."""

    def add(run: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            entry = _entry(name, run, **traits)
            for table, wanted in ((NUMPY, numpy), (FUNCTION, function and not numpy), (METHOD, method and not numpy)):
                if wanted:
                    _put(table, name, entry)
        return run

    return add


def _put(table: dict[str, Entry], name: str, entry: Entry) -> None:
    """One row to a name: a second one would silently take the place of the first."""
    if name in table:
        raise ValueError(said("{name} is listed twice", name=name))
    table[name] = entry


def _both(name: str, entry: Entry) -> None:
    _put(FUNCTION, name, entry)
    _put(METHOD, name, entry)


def effect(*names: str) -> Callable[..., Any]:
    """Decorator: the same for calls that change their tensor in place."""

    def add(run: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            entry = _entry(name, run, shares=True)
            _put(EFFECT, name, entry)
            _put(METHOD, name, entry)
        return run

    return add


_WHOLE = ("abs", "neg", "negative", "positive", "square", "sign", "relu", "floor", "ceil")  # of whole numbers: whole


def _elementwise(path: str) -> Callable[..., Any]:
    function: Any = reduce(getattr, path.split(".")[1:], torch)
    convert = counted if path.split(".")[-1] in _WHOLE else real

    def run(limits: Limits, x: Any) -> Any:
        x = convert(x)
        limits.room(x.numel())
        return function(x)

    return run


def _reciprocal(name: str) -> Callable[..., Any]:
    below = _elementwise(f"torch.{name}")

    def run(limits: Limits, x: Any) -> Any:
        return 1 / below(limits, x)

    return run


def _heaviside(limits: Limits, x: Any, values: Any = 0.5) -> Any:
    x, values = real(x), real(values)
    broadcast_room(limits, x, values)
    return asking_torch(torch.heaviside, x, values)


_MORE = {
    "reciprocal": "torch.reciprocal", "rsqrt": "torch.rsqrt", "log2": "torch.log2", "log10": "torch.log10",
    "asin": "torch.asin", "acos": "torch.acos", "arcsin": "torch.asin", "arccos": "torch.acos", "asinh": "torch.asinh",
    "acosh": "torch.acosh", "atanh": "torch.atanh", "arctanh": "torch.atanh", "arcsinh": "torch.asinh",
    "arccosh": "torch.acosh", "neg": "torch.neg", "negative": "torch.neg", "negate": "torch.neg",
    "positive": "torch.positive", "logsigmoid": "torch.nn.functional.logsigmoid", "relu6": "torch.nn.functional.relu6",
    "lgamma": "torch.lgamma", "digamma": "torch.digamma", "expit": "torch.sigmoid", "isnan": "torch.isnan",
}  # fmt: skip
_RECIPROCALS = {"sech": "cosh", "csch": "sinh", "coth": "tanh", "sec": "cos", "csc": "sin", "cot": "tan"}  # SymPy's
_MORE_OVERFLOW = {"square": "torch.square", "exp2": "torch.exp2"}
_MORE_STEPS = {"floor": "torch.floor", "ceil": "torch.ceil"}
_X = Symbol("x", real=True)
for _row in FUNCTIONS.values():
    _run = _heaviside if _row.name == "Heaviside" else _elementwise(_row.torch)
    _known = {
        "overflows": _row.overflows,
        "underflows": _row.underflows,
        "steps": _row.slope(_X, _X) == 0,
        "jumps": bool(_row.kinks(_X)),
    }
    for _name in {_row.name, _row.torch.split(".")[-1], *_row.spellings}:
        _both(_name, _entry(_name, _run, elementwise=True, **_known))
for _paths, _known in (
    (_MORE, {}), (_MORE_OVERFLOW, {"overflows": True}), (_MORE_STEPS, {"steps": True, "jumps": True}),
):  # fmt: skip
    for _name, _path in _paths.items():
        _both(_name, _entry(_name, _elementwise(_path), elementwise=True, **_known))
for _name, _below in _RECIPROCALS.items():
    _both(_name, _entry(_name, _reciprocal(_below), elementwise=True, overflows=_below in ("cosh", "sinh")))


# -- reductions --


def _reduced(
    limits: Limits, x: Any, dim: Any, keepdim: Any, torch_function: Callable[..., Any], convert: Any = real
) -> Tensor:
    x = convert(x)
    limits.room(x.numel())
    if dim is None:
        made = (
            torch_function(x, dim=tuple(range(x.ndim)), keepdim=flag(keepdim)) if x.ndim else torch_function(x, dim=())
        )
        return made
    return asking_torch(torch_function, x, dim=dims(dim), keepdim=flag(keepdim))


@listed("sum", "nansum", rounds=True, overflows=True, at_once=True)
def _sum(limits, x, dim=None, keepdim=False):
    return _reduced(limits, x, dim, keepdim, torch.sum, counted)


@listed("add.reduce", method=False, rounds=True, overflows=True)
def _add_reduce(limits, x, dim=0, keepdim=False):
    """numpy's, along the first axis where none is named."""
    return _sum(limits, x, dim, keepdim)


@listed("mean", "average", rounds=True, at_once=True)
def _mean(limits, x, dim=None, keepdim=False):
    return _reduced(limits, x, dim, keepdim, torch.mean)


@listed("prod", rounds=True, overflows=True, at_once=True)
def _prod(limits, x, dim=None, keepdim=False):
    x = counted(x)
    limits.room(x.numel())
    return torch.prod(x) if dim is None else asking_torch(torch.prod, x, dim=dims(dim), keepdim=flag(keepdim))


@listed("amax", at_once=True)
def _amax(limits, x, dim=None, keepdim=False):
    return _reduced(limits, x, dim, keepdim, _asked(torch.amax), array)


@listed("amin", at_once=True)
def _amin(limits, x, dim=None, keepdim=False):
    return _reduced(limits, x, dim, keepdim, _asked(torch.amin), array)


def _asked(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: asking_torch(function, *args, **named)


def _extreme(limits: Limits, x: Any, dim: Any, keepdim: Any, numpy: bool, largest: bool) -> Any:
    if isinstance(x, (int, float)) and isinstance(dim, (int, float)):  # Python's own
        return max(x, dim) if largest else min(x, dim)
    single = isinstance(x, (int, float)) or (isinstance(x, Tensor) and x.ndim == 0)
    if isinstance(dim, (Tensor, float)) or (single and isinstance(dim, int)):  # torch.max(a, b)
        return _extremes(limits, (x, dim), largest)
    x = array(x)
    limits.room(x.numel())
    if dim is None:
        return asking_torch(torch.max if largest else torch.min, x)
    if numpy:
        return asking_torch(torch.amax if largest else torch.amin, x, dim=dims(dim), keepdim=flag(keepdim))
    made = asking_torch(torch.max if largest else torch.min, x, dim=dims(dim), keepdim=flag(keepdim))
    return Pair(made.values, made.indices)


@listed("max", broadcasts=True, jumps=True)
def _max(limits, x, dim=None, keepdim=False, numpy=False):
    return _extreme(limits, x, dim, keepdim, numpy, True)


@listed("min", broadcasts=True, jumps=True)
def _min(limits, x, dim=None, keepdim=False, numpy=False):
    return _extreme(limits, x, dim, keepdim, numpy, False)


def _extremes(limits: Limits, values: tuple[Any, ...], largest: bool) -> Tensor:
    made, *others = kept(*values)
    for other in others:
        broadcast_room(limits, made, other)
        made = asking_torch(torch.maximum if largest else torch.minimum, made, other)
    return made


@listed("Max", "maximum", "fmax", method=False, broadcasts=True, jumps=True)
def _maximum(limits, x, *others):
    return _extremes(limits, (x, *others), True)


@listed("Min", "minimum", "fmin", method=False, broadcasts=True, jumps=True)
def _minimum(limits, x, *others):
    return _extremes(limits, (x, *others), False)


for _name in ("maximum", "minimum"):
    _put(METHOD, _name, FUNCTION[_name])


def _spread(limits: Limits, x: Any, dim: Any, keepdim: Any, correction: int, root: bool) -> Tensor:
    x = real(x)
    limits.room(x.numel())
    axes = tuple(range(x.ndim)) if dim is None else dims(dim)
    asking_torch(torch.sum, x, axes)  # refuses an axis that x does not have
    entries = math.prod(x.shape[a] for a in (axes if isinstance(axes, tuple) else (axes,)) if -x.ndim <= a < x.ndim)
    if entries <= correction:
        raise TorchRefuses(
            said(
                "a variance of {entries} values, divided by {entries} - {correction}",
                entries=entries,
                correction=correction,
            ),
            (tuple(x.shape),),
        )
    if not x.numel():  # no entries, of which torch warns
        return asking_torch(torch.sum, x, axes, keepdim=flag(keepdim))
    made = asking_torch(torch.var, x, dim=axes, correction=correction, keepdim=flag(keepdim))
    return made.sqrt() if root else made


def _correction(numpy: bool, unbiased: Any, correction: Any, ddof: Any) -> int:
    """numpy divides by n - ddof with ddof=0, torch by n - 1 unless told otherwise."""
    if ddof is not None:
        return whole_number(ddof, "ddof")
    if correction is not None:
        return whole_number(correction, "correction")
    if unbiased is not None:
        return 1 if flag(unbiased) else 0
    return 0 if numpy else 1


@listed("var", rounds=True, at_once=True)
def _var(limits, x, dim=None, unbiased=None, keepdim=False, correction=None, ddof=None, numpy=False):
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return _spread(limits, x, dim, keepdim, _correction(numpy, unbiased, correction, ddof), False)


@listed("std", rounds=True, at_once=True)
def _std(limits, x, dim=None, unbiased=None, keepdim=False, correction=None, ddof=None, numpy=False):
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return _spread(limits, x, dim, keepdim, _correction(numpy, unbiased, correction, ddof), True)


@listed("var_mean", method=False, rounds=True)
def _var_mean(limits, x, dim=None, unbiased=None, keepdim=False, correction=None):
    mean = _mean(limits, x, None if isinstance(dim, bool) else dim, keepdim)
    return _var(limits, x, dim, unbiased, keepdim, correction), mean


@listed("std_mean", method=False, rounds=True)
def _std_mean(limits, x, dim=None, unbiased=None, keepdim=False, correction=None):
    mean = _mean(limits, x, None if isinstance(dim, bool) else dim, keepdim)
    return _std(limits, x, dim, unbiased, keepdim, correction), mean


@listed("logsumexp", rounds=True, at_once=True)
def _logsumexp(limits, x, dim=None, keepdim=False):
    return _reduced(limits, x, dim, keepdim, torch.logsumexp)


@listed("softmax", rounds=True, at_once=True)
def _softmax(limits, x, dim=-1):
    return _along(limits, x, dim, torch.softmax)


@listed("log_softmax", rounds=True, at_once=True)
def _log_softmax(limits, x, dim=-1):
    return _along(limits, x, dim, torch.log_softmax)


@listed("cumsum", rounds=True, at_once=True)
def _cumsum(limits, x, dim=None):
    return _accumulated(limits, x, dim, torch.cumsum)


@listed("cumprod", rounds=True, overflows=True, at_once=True)
def _cumprod(limits, x, dim=None):
    return _accumulated(limits, x, dim, torch.cumprod)


def _accumulated(limits: Limits, x: Any, dim: Any, function: Callable[..., Any]) -> Tensor:
    """Without an axis, which torch asks for, numpy takes the entries one after the other."""
    x = counted(x)
    return _along(limits, x.reshape(-1) if dim is None else x, 0 if dim is None else dim, function, counted)


def _along(limits: Limits, x: Any, dim: Any, function: Callable[..., Any], convert: Any = real) -> Tensor:
    x = convert(x)
    limits.room(x.numel())
    return asking_torch(function, x, dim=dims(dim))


@listed("argmax", at_once=True)
def _argmax(limits, x, dim=None, keepdim=False):
    return asking_torch(torch.argmax, real(x), dim=None if dim is None else dims(dim), keepdim=flag(keepdim))


@listed("argmin", at_once=True)
def _argmin(limits, x, dim=None, keepdim=False):
    return asking_torch(torch.argmin, real(x), dim=None if dim is None else dims(dim), keepdim=flag(keepdim))


@listed("norm", "vector_norm", rounds=True, at_once=True)
def _norm(limits, x, p=2, dim=None, keepdim=False):
    """The root of the sum of the squares, or another order: of all entries as of a vector."""
    x = real(x)
    limits.room(x.numel())
    return asking_torch(
        torch.linalg.vector_norm, x, scalar(p), dim=None if dim is None else dims(dim), keepdim=flag(keepdim)
    )


@listed("linalg.norm", method=False, rounds=True)
def _linalg_norm(limits, x, ord=None, dim=None, keepdim=False):
    x = real(x)
    if ord is not None and dim is None and x.ndim == 2:
        raise Refusal(
            said("of a matrix this is another norm than that of its entries: write torch.linalg.vector_norm(x)")
        )
    return _norm(limits, x, 2 if ord is None else ord, dim, keepdim)


@listed("cosine_similarity", method=False, rounds=True)
def _cosine_similarity(limits, x1, x2, dim=1, eps=1e-8):
    """Of the vectors along an axis; a length below eps counts as eps."""
    product = _sum(limits, elementwise(limits, "*", real(x1), real(x2)), dim)
    for x in (x1, x2):
        product = elementwise(limits, "/", product, _norm(limits, x, 2, dim).clamp(min=scalar(eps)))
    return product


@listed("trace", rounds=True, at_once=True)
def _trace(limits, x):
    return asking_torch(torch.trace, counted(x))


@listed("any")
def _any(limits, x, dim=None, keepdim=False):
    return asking_torch(torch.any, real(x) != 0, *(() if dim is None else (dims(dim), flag(keepdim))))


@listed("all")
def _all(limits, x, dim=None, keepdim=False):
    return asking_torch(torch.all, real(x) != 0, *(() if dim is None else (dims(dim), flag(keepdim))))


@listed("count_nonzero")
def _count_nonzero(limits, x, dim=None):
    return asking_torch(torch.count_nonzero, real(x), dim=None if dim is None else dims(dim))


# -- products --


def broadcast_room(limits: Limits, a: Tensor, b: Tensor) -> None:
    """Account for an elementwise result before it is made."""
    if a.shape == b.shape:
        limits.room(a.numel())
        return
    long, short = (a.shape, b.shape) if a.ndim >= b.ndim else (b.shape, a.shape)
    extents = [max(m, n) for m, n in zip(reversed(long), reversed(short), strict=False)]
    limits.room(*extents, *long[: len(long) - len(short)])


def matmul(limits: Limits, a: Any, b: Any) -> Tensor:
    """`a @ b`; what does not fit is said with both shapes."""
    a, b = multiplied(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise TorchRefuses(
            said("@ multiplies vectors and matrices; a number is multiplied with *"), (tuple(a.shape), tuple(b.shape))
        )
    above = math.prod(b.shape[:-2]) if b.ndim > 2 >= a.ndim else 1
    limits.work(a.numel() * (b.shape[-1] if b.ndim > 1 else 1) * above)
    if a.ndim > 2 or b.ndim > 2:
        batch = max(math.prod(a.shape[:-2]), 1) * max(math.prod(b.shape[:-2]), 1)
        limits.work(batch * a.shape[-1] * (a.shape[-2] if a.ndim > 1 else 1) * (b.shape[-1] if b.ndim > 1 else 1))
    inner = _inner_size(a, b)
    limits.room((a.numel() // max(a.shape[-1], 1)) * (b.numel() // max(inner, 1)) if a.ndim <= 2 and b.ndim <= 2 else 1)
    return asking_torch(torch.matmul, a, b)


def _inner_size(a: Tensor, b: Tensor) -> int:
    """The size that the last axis of a and the last but one of b have in common; others are refused."""
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise TorchRefuses(
            said(
                "{left} @ {right}: the inner sizes {inner} and {outer} differ",
                left=shown_shape(a.shape),
                right=shown_shape(b.shape),
                inner=a.shape[-1],
                outer=inner,
            ),
            (tuple(a.shape), tuple(b.shape)),
        )
    return inner


@listed("matmul", rounds=True, overflows=True, at_once=True)
def _matmul(limits, x, other):
    return matmul(limits, x, other)


_VECTORS, _MATRICES, _BATCHES = said("two vectors"), said("two matrices"), said("two batches of as many matrices")


def _product_of(name: str, axes: tuple[int, int], takes: str) -> Callable[..., Any]:
    """A product that takes tensors of so many axes, and spreads nothing."""

    def run(limits, x, other):
        x, other = multiplied(x, other)
        batches = {v.shape[0] for v in (x, other) if 3 in axes and v.ndim}
        if (x.ndim, other.ndim) != axes or len(batches) > 1:
            shapes = tuple(x.shape), tuple(other.shape)
            shown = joined([shown_shape(s) for s in shapes], said(" and "))
            says = said("torch.{name} takes {what}, not {shown}: write a @ b", name=name, what=takes, shown=shown)
            raise TorchRefuses(says, shapes)
        return matmul(limits, x, other)

    return run


for _name, _axes, _takes in (
    ("mm", (2, 2), _MATRICES), ("mv", (2, 1), said("a matrix and a vector")), ("bmm", (3, 3), _BATCHES),
    ("vdot", (1, 1), _VECTORS),
):  # fmt: skip
    _both(_name, _entry(_name, _product_of(_name, _axes, _takes), rounds=True, overflows=True, at_once=True))


def _added_to_product(name: str, axes: tuple[int, int], takes: str) -> Callable[..., Any]:
    product = _product_of(name, axes, takes)

    def run(limits, x, mat1, mat2, beta=1, alpha=1):
        made = _times(limits, product(limits, mat1, mat2), alpha)
        given = array(_times(limits, array(x), beta))
        return elementwise(limits, "+", asking_torch(given.expand, made.shape), made)

    return run


for _name, _axes, _takes in (("addmm", (2, 2), _MATRICES), ("baddbmm", (3, 3), _BATCHES)):
    _both(_name, _entry(_name, _added_to_product(_name, _axes, _takes), rounds=True, overflows=True))
_dot = _product_of("dot", (1, 1), _VECTORS)
listed("dot", method=False, rounds=True, overflows=True, at_once=True)(_dot)


@listed("linear", method=False, rounds=True, overflows=True, at_once=True)
def _linear(limits, x, weight, bias=None):
    """torch's layer: the weight is (out, in)."""
    weight = real(weight)
    if weight.ndim not in (1, 2):
        raise TorchRefuses(said("the weight of linear has an axis for what goes out and one for what comes in"))
    made = matmul(limits, x, weight if weight.ndim == 1 else weight.T)
    return made if bias is None else asking_torch(torch.add, made, real(bias))


@listed("vdot", numpy=True, rounds=True, overflows=True, at_once=True)
def _numpy_vdot(limits, x, other):
    return _dot(limits, array(x).reshape(-1), array(other).reshape(-1))


@listed("inner", rounds=True, overflows=True, at_once=True)
def _inner(limits, x, other):
    """The sum over the last axes of both."""
    x, other = multiplied(x, other)
    if 0 in (x.ndim, other.ndim):
        return elementwise(limits, "*", x, other)
    if other.ndim <= 2:
        return matmul(limits, x, other.mT if other.ndim == 2 else other)
    limits.work(x.numel() * other.numel() // max(other.shape[-1], 1))
    return asking_torch(torch.inner, x, other)


# a method does not say whose it is: `x.T.dot(dz)` is numpy's product, which on two vectors is torch's as well
@listed("dot", function=False, rounds=True, overflows=True, at_once=True)
@listed("dot", numpy=True, rounds=True, overflows=True, at_once=True)
def _numpy_dot(limits, x, other):
    """The sum over the last axis of the one and the last but one of the other, with all other axes of both."""
    x, other = multiplied(x, other)
    if 0 in (x.ndim, other.ndim):
        return elementwise(limits, "*", x, other)
    if other.ndim <= 2:
        return matmul(limits, x, other)
    inner = max(_inner_size(x, other), 1)
    limits.work(x.numel() * other.numel() // inner)
    limits.room(x.numel() // inner, other.numel() // inner)
    return asking_torch(torch.tensordot, x, other, dims=([x.ndim - 1], [other.ndim - 2]))


@listed("outer", "ger", rounds=True, overflows=True, at_once=True)
def _outer(limits, x, other):
    x, other = multiplied(x, other)
    limits.room(x.numel(), other.numel())
    return asking_torch(torch.outer, x, other)


@listed("outer", numpy=True, rounds=True, overflows=True, at_once=True)
def _numpy_outer(limits, x, other):
    return _outer(limits, array(x).reshape(-1), array(other).reshape(-1))


@listed("kron", rounds=True)
def _kron(limits, x, other):
    x, other = multiplied(x, other)
    limits.room(x.numel(), other.numel())
    return asking_torch(torch.kron, x, other)


@listed("einsum", method=False, rounds=True, overflows=True, at_once=True)
def _einsum(limits, equation, *operands, numpy=False):
    letters = equation.replace("...", "") if isinstance(equation, str) else "?"
    if not all(c.isalpha() and c.isascii() or c in ",-> " for c in letters):
        raise Refusal(said("einsum is written as torch.einsum('ij,jk->ik', a, b)"))
    if len(operands) == 1 and isinstance(operands[0], tuple):
        operands = operands[0]
    tensors = multiplied(*operands)
    extents: dict[str, int] = {}
    equation = _spelt_out(equation, [x.ndim for x in tensors], numpy)
    terms, out = _described(equation)
    if len(terms) != len(tensors):
        raise TorchRefuses(
            said(
                "'{equation}' describes {count} tensors and gets {given}",
                equation=equation,
                count=len(terms),
                given=len(tensors),
            )
        )
    for term, value in zip(terms, tensors, strict=True):
        if len(term) != value.ndim:
            shape = tuple(value.shape)
            raise TorchRefuses(
                said(
                    "'{term}' has {count} letters for a tensor of shape {shape}",
                    term=term,
                    count=len(term),
                    shape=shown_shape(shape),
                ),
                (shape,),
            )
        for letter, extent in zip(term, value.shape, strict=True):
            before = extents.setdefault(letter, extent)
            if before != extent and 1 not in (before, extent):
                says = said("{letter} of '{equation}' has the sizes {before} and {extent}", letter=letter,
                            equation=equation, before=before, extent=extent)  # fmt: skip
                raise TorchRefuses(says, tuple(tuple(t.shape) for t in tensors))
            extents[letter] = max(before, extent)  # an axis of size 1 is broadcast
    limits.work(math.prod(extents.values()))
    for done in range(2, len(terms) + 1):  # torch multiplies from left to right
        needed = {*out, *"".join(terms[done:])}
        limits.room(*(extents[letter] for letter in {*"".join(terms[:done])} & needed))
    limits.room(*(extents.get(letter, 1) for letter in out))
    return asking_torch(torch.einsum, equation, *tensors)


def _spelt_out(equation: str, axes: list[int], numpy: bool) -> str:
    """`...ij,jk->...ik` with letters for the axes that the dots stand for, the last of them in common."""
    if "..." not in equation:
        return equation
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    stand = [n - len(term.replace("...", "")) for term, n in zip(terms, axes, strict=False) if "..." in term]
    if len(terms) != len(axes) or not 0 <= min(stand, default=0) <= max(stand, default=0) <= len(free):
        return equation  # refused for what it is
    letters = "".join(free[: max(stand, default=0)])
    spelt = [
        term.replace("...", letters[len(letters) - (n - len(term.replace("...", ""))) :])
        for term, n in zip(terms, axes, strict=True)
    ]
    if not arrow:
        out = "..." + _described(left.replace("...", ""))[1]
    elif numpy and letters and "..." not in out:  # torch adds up over them
        raise TorchRefuses(said("the axes of '...' are missing in the result of '{equation}'", equation=equation))
    return f"{','.join(spelt)}->{out.replace('...', letters)}"


def _described(equation: str) -> tuple[list[str], str]:
    """Letters of each operand and of the result: without an arrow those that stand once, in order."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    letters = left.replace(",", "")
    return left.split(","), out if arrow else "".join(sorted(c for c in set(letters) if letters.count(c) == 1))


@listed("tensordot", method=False, rounds=True, overflows=True)
def _tensordot(limits, x, other, dims=2):
    x, other = multiplied(x, other)
    limits.work(x.numel() * other.numel())
    return asking_torch(torch.tensordot, x, other, dims=_contracted(dims))


@listed("tensordot", numpy=True, rounds=True, overflows=True)
def _numpy_tensordot(limits, x, other, axes=2):
    """numpy's takes one axis of each as two numbers, (1, 0)."""
    if isinstance(axes, tuple):
        axes = tuple(each if isinstance(each, tuple) else (each,) for each in axes)
    return _tensordot(limits, x, other, axes)


def _contracted(value: Any) -> Any:
    """2, or the axes of both: ([1], [0])."""
    if not isinstance(value, tuple):
        return whole_number(value, "dims")
    if len(value) != 2 or not all(isinstance(each, tuple) for each in value):
        raise Refusal(said("dims is a number of axes, or those of both: ([1], [0])"))
    return tuple(list(dims(each)) for each in value)


# -- elementwise arithmetic, shared with the operators --

OPERATOR: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "//": operator.floordiv, "%": operator.mod, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "&": operator.and_, "|": operator.or_,
}  # fmt: skip
_ARITHMETIC = ("+", "-", "*", "/", "**")
_LOGICAL = ("&", "|")
MOST_POWER = 3  # of whole numbers, that is one
_NO_MINUS = said("masks have no - in torch: write ~mask, or (mask).double()")


def elementwise(limits: Limits, op: str, a: Any, b: Any) -> Any:
    """One operator on tensors and numbers: integers and masks become float64 where floats are meant."""
    a_tensor, b_tensor = isinstance(a, Tensor), isinstance(b, Tensor)
    if a_tensor and b_tensor and a.dtype is FLOAT and b.dtype is FLOAT and a.shape == b.shape and op not in _LOGICAL:
        limits.room(a.numel())  # by far the most frequent case
        return OPERATOR[op](a, b)
    if not (a_tensor or b_tensor):
        return _plain(op, a, b) if not (isinstance(a, tuple) or isinstance(b, tuple)) else _listed(limits, op, a, b)
    if not (_is_float(a) and _is_float(b)):
        masks = is_mask(a) and is_mask(b)
        if masks and op == "-":
            raise TorchRefuses(_NO_MINUS)
        if masks and op == "**":
            op = "!="  # `a ^ b`, which of numbers is read as a power
        if op not in _LOGICAL and not (masks and op in "+*"):  # two masks make a mask, in torch as in numpy
            a, b = _prepared(op, a, b, a_tensor), _prepared(op, b, a, b_tensor)
    if a_tensor and b_tensor:
        broadcast_room(limits, a, b)
    else:
        for value in (a, b):
            if not isinstance(value, (Tensor, int, float)):
                raise Refusal(said("{kind} has no {op}", kind=kind_of(value), op=op))
        limits.room(a.numel() if a_tensor else b.numel())
    try:
        return OPERATOR[op](a, b)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise _refused(op, a, b, error) from None


def _is_float(value: Any) -> bool:
    """A tensor of floats, or a number that goes with one as it is."""
    if isinstance(value, Tensor):
        return value.dtype is FLOAT
    return type(value) is float or (type(value) is int and -(2**62) < value < 2**62)


def is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype is torch.bool


def _refused(op: str, a: Any, b: Any, error: Exception) -> TorchRefuses:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        shapes = (tuple(a.shape), tuple(b.shape))
        try:
            torch.broadcast_tensors(a, b)
        except RuntimeError:
            return TorchRefuses(
                said("the shapes {shapes} and {shapes2} do not broadcast", shapes=shapes[0], shapes2=shapes[1]), shapes
            )
    return TorchRefuses(str(error).split("\n")[0][:200])


def _prepared(op: str, value: Any, other: Any, is_tensor: bool) -> Any:
    if is_tensor:
        if value.dtype is FLOAT:
            return value
        whole = type(other) is int or (isinstance(other, Tensor) and not other.is_floating_point())
        if op == "**":  # a power as large as that may be beyond whole numbers
            whole = type(other) is int and 0 <= other <= MOST_POWER
        if op == "/" or isinstance(other, float) or (is_mask(value) or op == "**") and not whole:
            return value.to(FLOAT)
        return value.to(torch.int64) if is_mask(value) else value
    if isinstance(value, tuple):
        return array(value)
    if isinstance(value, bool):
        return int(value)  # `(i == j) - p[i, j]`, as with a mask
    if isinstance(value, int) and abs(value) >= 2**62:
        return float(value)
    return value


def _listed(limits: Limits, op: str, a: Any, b: Any) -> Any:
    """Lists and shapes: one after the other, or one several times."""
    if isinstance(a, tuple) and isinstance(b, tuple) and op == "+":
        length = len(a) + len(b)
    elif op == "*" and {type(a), type(b)} == {tuple, int}:
        length = (len(a) if isinstance(a, tuple) else a) * (len(b) if isinstance(b, tuple) else b)
    else:
        return _plain(op, a, b)
    if length > MAX_LOOP:
        raise Refusal(said("a list of more than {most} items", most=MAX_LOOP))
    limits.step(length // LISTED)  # each time it is copied
    return a + b if op == "+" else a * b


def _plain(op: str, a: Any, b: Any) -> Any:
    """Numbers in Python's own arithmetic, kept small."""
    for value in (a, b):
        if not isinstance(value, (int, float)):
            raise Refusal(said("{kind} has no {op}", kind=kind_of(value), op=op))
    if op == "**":
        return _power(a, b)
    if op in _LOGICAL and not (isinstance(a, bool) and isinstance(b, bool)):
        raise Refusal(said("{op} combines masks: (a > 0) {op} (b > 0)", op=op))
    try:
        made = OPERATOR[op](a, b)
    except ZeroDivisionError:
        raise Refusal(said("division by zero")) from None
    except OverflowError:
        raise Refusal(said("a number beyond 1e308")) from None
    return made if isinstance(made, bool) else _small(made)


def _small(value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(value)
    if isinstance(value, float) and math.isinf(value):
        raise Refusal(said("a number beyond 1e308"))
    return value


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and b >= 0 and a.bit_length() * b < 1024:
        return _small(a**b)
    try:
        made = float(a) ** float(b)
    except ZeroDivisionError:
        raise Refusal(said("division by zero")) from None
    except OverflowError:
        raise Refusal(said("a number beyond 1e308")) from None
    if isinstance(made, complex):
        raise Refusal(said("a root of a negative number"))
    return _small(made)


def _times(limits: Limits, value: Any, alpha: Any) -> Any:
    factor = scalar(alpha)
    return value if factor == 1 else elementwise(limits, "*", value, factor)


def _binary(op: str) -> Callable[..., Any]:
    def run(limits, x, other, alpha=1):
        return elementwise(limits, op, x, _times(limits, other, alpha))

    return run


def signed(limits: Limits, op: str, x: Tensor) -> Tensor:
    """`-x`, `+x`, and `~x` of a mask or of whole numbers."""
    limits.room(x.numel())
    if op == "+":
        return x
    if op == "-":
        if is_mask(x):
            raise TorchRefuses(_NO_MINUS, (tuple(x.shape),))
        return -x
    return asking_torch(torch.logical_not if is_mask(x) else torch.bitwise_not, x)


def _logical(op: str) -> Callable[..., Any]:
    """Here numbers count as masks, unlike with & and |."""

    def run(limits, x, other):
        return elementwise(limits, op, real(x) != 0, real(other) != 0)

    return run


for _name, _op in {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/",
    "true_divide": "/", "pow": "**", "power": "**", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<",
    "le": "<=", "greater": ">", "less": "<", "equal": "==", "not_equal": "!=", "greater_equal": ">=",
    "less_equal": "<=", "remainder": "%",
}.items():  # fmt: skip
    _both(_name, _entry(_name, _binary(_op), broadcasts=True, rounds=_op in _ARITHMETIC, jumps=_op not in _ARITHMETIC))
for _name, _op in {"logical_and": "&", "logical_or": "|"}.items():
    _both(_name, _entry(_name, _logical(_op)))


@listed("float_power", broadcasts=True, rounds=True)
def _float_power(limits, x, other):
    return elementwise(limits, "**", real(x), other)


@listed("logical_not")
def _logical_not(limits, x):
    return real(x) == 0


@listed("where", method=False, broadcasts=True, jumps=True)
def _where(limits, condition, x, other):
    condition = array(condition)
    if condition.dtype is not torch.bool:
        raise TorchRefuses(said("the condition of torch.where is a mask, as (z > 0)"), (tuple(condition.shape),))
    x, other = kept(x, other)
    broadcast_room(limits, x, other)
    broadcast_room(limits, x, condition)
    broadcast_room(limits, other, condition)
    return asking_torch(torch.where, condition, x, other)


@listed("where", numpy=True, broadcasts=True, jumps=True)
def _numpy_where(limits, condition, x, other):
    return _where(limits, array(condition) != 0, x, other)


@listed("clamp", "clip", broadcasts=True, jumps=True)
def _clamp(limits, x, min=None, max=None):
    x, *ends = kept(x, *(v for v in (min, max) if v is not None))
    limits.room(x.numel())
    low = None if min is None else ends[0]
    return asking_torch(torch.clamp, x, low, None if max is None else ends[-1])


@listed("clamp_min", broadcasts=True, jumps=True)
def _clamp_min(limits, x, min):
    return _clamp(limits, x, min)


@listed("clamp_max", broadcasts=True, jumps=True)
def _clamp_max(limits, x, max):
    return _clamp(limits, x, None, max)


@listed("leaky_relu", method=False, broadcasts=True, jumps=True, rounds=True)
def _leaky_relu(limits, x, negative_slope=0.01):
    x = real(x)
    limits.room(x.numel())
    return F.leaky_relu(x, scalar(negative_slope))


@listed("elu", method=False, broadcasts=True, jumps=True, rounds=True)
def _elu(limits, x, alpha=1.0):
    x = real(x)
    limits.room(x.numel())
    return F.elu(x, scalar(alpha))


@listed("lerp", broadcasts=True, rounds=True)
def _lerp(limits, x, end, weight):
    """As far from x to the end as the weight says."""
    x, end, weight = real(x), real(end), real(weight)
    _spread_room(limits, x, end, weight)
    return asking_torch(torch.lerp, x, end, weight)


@listed("addcmul", broadcasts=True, rounds=True)
def _addcmul(limits, x, tensor1, tensor2, value=1):
    x, tensor1, tensor2 = real(x), real(tensor1), real(tensor2)
    _spread_room(limits, x, tensor1, tensor2)
    return asking_torch(torch.addcmul, x, tensor1, tensor2, value=scalar(value))


@listed("addcdiv", broadcasts=True, rounds=True)
def _addcdiv(limits, x, tensor1, tensor2, value=1):
    x, tensor1, tensor2 = real(x), real(tensor1), real(tensor2)
    _spread_room(limits, x, tensor1, tensor2)
    return asking_torch(torch.addcdiv, x, tensor1, tensor2, value=scalar(value))


def _spread_room(limits: Limits, *values: Tensor) -> None:
    """Account for what three tensors are spread to."""
    limits.room(*(max(extents) for extents in zip_longest(*(reversed(x.shape) for x in values), fillvalue=1)))


@listed("Rational", method=False, broadcasts=True, rounds=True)
def _rational(limits, x, other):
    return _plain("/", x, other)


@listed("atan2", "arctan2", broadcasts=True, rounds=True)
def _atan2(limits, x, other):
    x, other = real(x), real(other)
    broadcast_room(limits, x, other)
    return asking_torch(torch.atan2, x, other)


# -- shapes --


@listed("reshape", shares=True, sized=True, at_once=True)
def _reshape(limits, x, *shape):
    return asking_torch(torch.reshape, array(x), shape_of(shape))


@listed("view", function=False, shares=True, sized=True)
def _view(limits, x, *shape):
    if len(shape) == 1 and isinstance(shape[0], Kind):
        return x
    return asking_torch(x.view, shape_of(shape))


@listed("view_as", "reshape_as", function=False, shares=True)
def _view_as(limits, x, other):
    return asking_torch(torch.reshape, x, real(other).shape)


@listed("flatten", "ravel", shares=True, sized=True, at_once=True)
def _flatten(limits, x, start_dim=0, end_dim=-1):
    return asking_torch(torch.flatten, array(x), whole_number(start_dim), whole_number(end_dim))


@listed("unflatten", shares=True, sized=True)
def _unflatten(limits, x, dim, sizes):
    return asking_torch(torch.unflatten, array(x), whole_number(dim, AXIS), shape_of((sizes,)))


@listed("squeeze", shares=True, at_once=True)
def _squeeze(limits, x, *dim):
    return asking_torch(torch.squeeze, array(x), *((shape_of(dim),) if dim else ()))


@listed("unsqueeze", "expand_dims", shares=True, at_once=True)
def _unsqueeze(limits, x, dim):
    return asking_torch(torch.unsqueeze, array(x), whole_number(dim, AXIS))


@listed("transpose", "swapaxes", "swapdims", shares=True, sized=True, at_once=True)
def _transpose(limits, x, *axes):
    x, order = array(x), shape_of(axes) if axes else ()
    if len(order) == 2 and x.ndim != 2 or (len(order) == 2 and not isinstance(axes[0], tuple)):
        return asking_torch(torch.transpose, x, *order)
    if not order:  # numpy's
        return x.permute(*reversed(range(x.ndim))) if x.ndim > 1 else x
    return asking_torch(torch.permute, x, order)


@listed("permute", shares=True, sized=True, at_once=True)
def _permute(limits, x, *axes):
    return asking_torch(torch.permute, array(x), shape_of(axes))


@listed("t", shares=True, at_once=True)
def _t(limits, x):
    return asking_torch(torch.t, array(x))


@listed("moveaxis", "movedim", shares=True, at_once=True)
def _moveaxis(limits, x, source, destination):
    return asking_torch(torch.movedim, array(x), dims(source), dims(destination))


@listed("expand", function=False, shares=True, sized=True, at_once=True)
def _expand(limits, x, *shape):
    sizes = shape_of(shape)
    limits.room(*(s for s in sizes if s > 0))
    for size in sizes[: max(len(sizes) - x.ndim, 0)]:
        if size < 0:  # torch refuses that of one draw, and takes it of several at once
            raise TorchRefuses(said("a new axis needs its size, and {size} is none", size=size), (tuple(x.shape),))
    return asking_torch(x.expand, sizes)


@listed("expand_as", function=False, shares=True, at_once=True)
def _expand_as(limits, x, other):
    return asking_torch(x.expand, real(other).shape)


@listed("broadcast_to", sized=True, at_once=True)
def _broadcast_to(limits, x, shape):
    return _expand(limits, array(x), shape)


@listed("repeat", function=False, sized=True)
def _repeat(limits, x, *repeats, dim=None):
    if dim is not None and len(repeats) == 1:  # numpy's: every entry, along one axis
        return _repeat_interleave(limits, x, repeats[0], dim)
    counts = shape_of(repeats)
    limits.room(x.numel(), *(abs(c) for c in counts))
    return asking_torch(x.repeat, counts)


@listed("tile", sized=True)
def _tile(limits, x, *repeats):
    x, counts = array(x), shape_of(repeats)
    limits.room(x.numel(), *(abs(c) for c in counts))
    return asking_torch(torch.tile, x, counts)


@listed("repeat_interleave")
def _repeat_interleave(limits, x, repeats, dim=None):
    x, count = array(x), whole_number(repeats, said("the number of repeats"))
    limits.room(x.numel(), abs(count))
    return asking_torch(torch.repeat_interleave, x, count, dim=None if dim is None else dims(dim))


@listed("repeat", numpy=True)
def _numpy_repeat(limits, x, repeats, dim=None):
    return _repeat_interleave(limits, x, repeats, dim)


@listed("flip", at_once=True)
def _flip(limits, x, *dim):
    x = array(x)
    return asking_torch(torch.flip, x, shape_of(dim) if dim else tuple(range(x.ndim)))


@listed("roll")
def _roll(limits, x, shifts, dim=None):
    axes = () if dim is None else shape_of((dim,) if not isinstance(dim, tuple) else dim)
    return asking_torch(torch.roll, array(x), dims(shifts), axes)


def _joined(limits: Limits, tensors: Any, dim: Any, function: Callable[..., Any]) -> Tensor:
    if not isinstance(tensors, tuple):
        raise Refusal(said("the tensors to join are given as a list: torch.cat([a, b], 1)"))
    values = kept(*all_given(tensors))
    limits.room(sum(v.numel() for v in values))
    return asking_torch(function, values, dim=whole_number(dim, AXIS))


@listed("cat", "concatenate", "concat", method=False, at_once=True)
def _cat(limits, tensors, dim=0):
    return _joined(limits, tensors, dim, torch.cat)


@listed("append", numpy=True, at_once=True)
def _append(limits, x, values, dim=None):
    """numpy's: without an axis both are flat."""
    both = array(x), array(values)
    flat = tuple(v.reshape(-1) for v in both)
    return _joined(limits, flat, 0, torch.cat) if dim is None else _joined(limits, both, dim, torch.cat)


@listed("stack", method=False, at_once=True)
def _stack(limits, tensors, dim=0):
    return _joined(limits, tensors, dim, torch.stack)


@listed("vstack", method=False, at_once=True)
def _vstack(limits, tensors):
    return _joined(limits, tensors, 0, lambda values, dim: torch.vstack(values))


@listed("hstack", method=False, at_once=True)
def _hstack(limits, tensors):
    return _joined(limits, tensors, 0, lambda values, dim: torch.hstack(values))


@listed("column_stack", method=False)
def _column_stack(limits, tensors):
    return _joined(limits, tensors, 0, lambda values, dim: torch.column_stack(values))


@listed("chunk")
def _chunk(limits, x, chunks, dim=0):
    x = array(x)
    count = whole_number(chunks, said("the number of parts"))
    if not 1 <= count <= 1000:
        raise Refusal(said("between 1 and 1000 parts"))
    return tuple(asking_torch(torch.chunk, x, count, whole_number(dim, AXIS)))


@listed("split")
def _split(limits, x, split_size, dim=0):
    sizes = dims(split_size)
    if isinstance(sizes, int) and sizes < 1:
        raise Refusal(said("a part has at least one entry"))
    return tuple(asking_torch(torch.split, array(x), list(sizes) if isinstance(sizes, tuple) else sizes, dims(dim)))


@listed("split", numpy=True)
def _numpy_split(limits, x, indices_or_sections, dim=0):
    """A number is that of the parts, which are equal; several numbers are where the parts begin."""
    given, axis = dims(indices_or_sections), whole_number(dim, "an axis")
    if isinstance(given, int) and not 1 <= given <= 1000:
        raise Refusal(said("between 1 and 1000 parts"))
    made = tuple(asking_torch(torch.tensor_split, array(x), given, axis))
    if isinstance(given, int) and made[0].shape != made[-1].shape:
        entries = array(x).shape[axis]
        raise TorchRefuses(
            said(
                "an axis of {entries} entries cannot be divided into {given} equal parts", entries=entries, given=given
            )
        )
    return made


@listed("hsplit")
def _hsplit(limits, x, indices_or_sections):
    return _numpy_split(limits, x, indices_or_sections, 1 if array(x).ndim > 1 else 0)


@listed("vsplit")
def _vsplit(limits, x, indices_or_sections):
    asking_torch(torch.vsplit, array(x), 1)  # refuses what has no rows of several entries
    return _numpy_split(limits, x, indices_or_sections, 0)


@listed("unbind")
def _unbind(limits, x, dim=0):
    x, axis = array(x), whole_number(dim, AXIS)
    if asking_torch(x.size, axis) > 1000:
        raise Refusal(said("between 1 and 1000 parts"))
    return tuple(asking_torch(torch.unbind, x, axis))


@listed("diag", at_once=True)
def _diag(limits, x, diagonal=0):
    x = array(x)
    beside = whole_number(diagonal)
    side = x.numel() + abs(beside)
    limits.room(*((side, side) if x.ndim == 1 else (x.numel(),)))
    return asking_torch(torch.diag, x, beside)


@listed("diag_embed", at_once=True)
def _diag_embed(limits, x):
    x = array(x)
    limits.room(x.numel(), x.shape[-1] if x.ndim else 1)
    return asking_torch(torch.diag_embed, x)


@listed("diagonal", shares=True, at_once=True)
def _diagonal(limits, x, offset=0, dim1=0, dim2=1):
    return asking_torch(torch.diagonal, array(x), whole_number(offset), whole_number(dim1), whole_number(dim2))


def _matrix(x: Any) -> Tensor:
    x = array(x)
    return x if x.ndim > 1 else torch.empty(x.shape)  # which torch refuses, also where vmap sees one axis more


@listed("tril", at_once=True)
def _tril(limits, x, diagonal=0):
    return asking_torch(torch.tril, _matrix(x), whole_number(diagonal))


@listed("triu", at_once=True)
def _triu(limits, x, diagonal=0):
    return asking_torch(torch.triu, _matrix(x), whole_number(diagonal))


@listed("pad", method=False, at_once=True)
def _pad(limits, x, pad, mode=None, value=0):
    x, widths = array(x), shape_of((pad,))
    limits.room(*(s + sum(abs(w) for w in widths) for s in x.shape))
    return asking_torch(F.pad, x, widths, value=scalar(value))


# -- making tensors --


def dtype_of(kind: Any, default: torch.dtype) -> torch.dtype:
    """What a sheet asks for by a type, as far as it matters: masks, whole numbers, or float64."""
    if not isinstance(kind, Kind):
        return default
    return torch.bool if kind.truth else torch.int64 if kind.whole else FLOAT


def _filled(
    limits: Limits, shape: tuple[Any, ...], value: float, kind: Any = None, default: torch.dtype = FLOAT
) -> Tensor:
    if shape and isinstance(shape[-1], Kind):  # numpy's: zeros(n, int)
        *shape, kind = shape  # type: ignore[assignment]
    sizes = shape_of(tuple(shape))
    limits.room(*sizes)
    return asking_torch(torch.full, sizes, value, dtype=dtype_of(kind, default))


def _kind_of_number(value: Any) -> torch.dtype:
    return torch.bool if isinstance(value, bool) else torch.int64 if isinstance(value, int) else FLOAT


@listed("zeros", method=False, zeros=True, makes=True, at_once=True)
def _zeros(limits, *shape, dtype=None, device=None):
    return _filled(limits, shape, 0, dtype)


@listed("ones", method=False, makes=True, at_once=True)
def _ones(limits, *shape, dtype=None, device=None):
    return _filled(limits, shape, 1, dtype)


@listed("new_zeros", function=False, zeros=True)
def _new_zeros(limits, x, *shape, dtype=None):
    return _filled(limits, shape, 0, dtype, x.dtype)


@listed("new_ones", function=False)
def _new_ones(limits, x, *shape, dtype=None):
    return _filled(limits, shape, 1, dtype, x.dtype)


@listed("full", method=False, makes=True, at_once=True)
def _full(limits, shape, fill_value, dtype=None, device=None):
    return _filled(limits, (shape,), scalar(fill_value), dtype, _kind_of_number(fill_value))


@listed("zeros_like", method=False, zeros=True, at_once=True)
def _zeros_like(limits, x, dtype=None, device=None, numpy=False):
    return _filled(limits, (_shape_to_copy(x, numpy),), 0, dtype, array(x).dtype)


@listed("ones_like", method=False, at_once=True)
def _ones_like(limits, x, dtype=None, device=None, numpy=False):
    return _filled(limits, (_shape_to_copy(x, numpy),), 1, dtype, array(x).dtype)


@listed("full_like", method=False, at_once=True)
def _full_like(limits, x, fill_value, dtype=None, device=None, numpy=False):
    return _filled(limits, (_shape_to_copy(x, numpy),), scalar(fill_value), dtype, array(x).dtype)


def _shape_to_copy(x: Any, numpy: bool) -> tuple[int, ...]:
    """numpy takes numbers and lists as well."""
    if not numpy and isinstance(x, (int, float, tuple)):
        raise TorchRefuses(said("this takes the shape of a tensor, and {kind} has none", kind=kind_of(x)))
    return tuple(array(x).shape)


@listed("empty_like", "empty", method=False)
def _empty(limits, *shape, dtype=None, device=None):
    raise Refusal(said("an empty tensor has no values: write zeros"))


@listed("eye", "identity", method=False, makes=True, at_once=True)
def _eye(limits, n, m=None, dtype=None, device=None):
    rows = whole_number(n, said("a size"))
    columns = rows if m is None else whole_number(m, said("a size"))
    limits.room(rows, columns)
    return asking_torch(torch.eye, rows, columns, dtype=dtype_of(dtype, FLOAT))


@listed("arange", method=False, makes=True, at_once=True)
def _arange(limits, *ends, dtype=None, device=None):
    if not 1 <= len(ends) <= 3 or not all(isinstance(e, (int, float)) and math.isfinite(e) for e in ends):
        raise Refusal(said("arange takes numbers: arange(n)"))
    start, stop, step = (0, ends[0], 1) if len(ends) == 1 else (*ends, 1)[:3]
    if step == 0:
        raise Refusal(said("arange needs a step that is not 0"))
    limits.room(int(min(max((stop - start) / step, 0), MAX_TENSOR + 1)) + 1)
    whole = all(isinstance(e, int) for e in ends)
    default = torch.int64 if whole else FLOAT
    return asking_torch(torch.arange, start, stop, step, dtype=dtype_of(dtype, default))


@listed("tensor", "array", method=False, at_once=True)
def _tensor(limits, data, dtype=None, device=None, requires_grad=False):
    made = _as_tensor(limits, data, dtype)
    return made.clone() if made is data else made


@listed("asarray", "as_tensor", "from_numpy", method=False, shares=True, at_once=True)
def _as_tensor(limits, data, dtype=None, device=None):
    """A tensor itself, unless it has another type."""
    made = array(data)
    asked = dtype_of(dtype, made.dtype)
    if asked is made.dtype:
        return made
    return made != 0 if asked is torch.bool else made.to(asked)


@listed("scalar_tensor", "float64", "float32", method=False, at_once=True)
def _number(limits, x, dtype=None):
    return real(x)


@listed("one_hot", method=False, sized=True, at_once=True)
def _one_hot(limits, x, num_classes=-1):
    x = array(x)
    if x.is_floating_point():
        raise TorchRefuses(said("one_hot takes whole numbers"), (tuple(x.shape),))
    classes = whole_number(num_classes, "num_classes")
    limits.room(x.numel(), max(classes, 1) if classes >= 0 else (int(x.max()) + 1 if x.numel() else 1))
    if classes >= 0 and x.numel():
        limits.holds((x >= 0) & (x < classes))  # vmap does not look; torch does
    return asking_torch(F.one_hot, x, classes)


# -- gather and scatter --


@listed("gather")
def _gather(limits, x, dim, index):
    index, dim = (dim, index) if isinstance(dim, Tensor) else (index, dim)
    limits.room(array(index).numel())
    return asking_torch(torch.gather, array(x), whole_number(dim, AXIS), array(index))


@listed("take_along_dim")
def _take_along_dim(limits, x, indices, dim=None):
    """As gather, but for axes of size 1, which are spread; without an axis of all entries, one after the other."""
    x, indices = array(x), array(indices)
    limits.room(*(max(pair) for pair in zip_longest(x.shape, indices.shape, fillvalue=1)))
    return asking_torch(torch.take_along_dim, x, indices, dim=None if dim is None else whole_number(dim, AXIS))


@listed("take_along_axis", numpy=True)
def _take_along_axis(limits, x, indices, dim=-1):
    """numpy counts negative places from the end."""
    x, indices = array(x), array(indices)
    entries = x.numel() if dim is None else asking_torch(x.size, whole_number(dim, AXIS))
    return _take_along_dim(limits, x, torch.where(indices < 0, indices + entries, indices), dim)


@listed("take", method=False)
def _take(limits, x, index):
    """torch's takes the entries one after the other, of whatever shape x is."""
    return _numpy_take(limits, x, index)


@listed("take", function=False)
@listed("take", numpy=True)
def _numpy_take(limits, x, indices, dim=None):
    """`x[:, ix]` for the axis 1."""
    x, at = array(x), array(indices)
    if is_mask(at):
        raise TorchRefuses(said("take is given places, not a mask: write x[mask]"), (tuple(x.shape),))
    x, axis = (x.reshape(-1), 0) if dim is None else (x, whole_number(dim, AXIS))
    limits.room(x.numel() // max(asking_torch(x.size, axis), 1), at.numel())
    return asking_torch(x.__getitem__, (*[slice(None)] * (axis % x.ndim), at))


@listed("delete", numpy=True)
def _delete(limits, x, obj, dim=None):
    """What is left without the entries at some places of an axis, or of all entries one after the other."""
    x, at = array(x), array(obj)
    x, axis = (x.reshape(-1), 0) if dim is None else (x, whole_number(dim, AXIS))
    kept = torch.ones(asking_torch(x.size, axis), dtype=torch.bool)
    if at.numel():
        asking_torch(kept.__setitem__, at, torch.tensor(False))
    return asking_torch(torch.index_select, x, axis, kept.nonzero().reshape(-1))


@listed("index_select")
def _index_select(limits, x, dim, index):
    x, index = array(x), array(index)
    limits.room(x.numel() // max(x.shape[dim], 1) if -x.ndim <= whole_number(dim) < x.ndim else 1, index.numel())
    return asking_torch(torch.index_select, x, dims(dim), index)


@listed("embedding", method=False, at_once=True)
def _embedding(limits, index, weight):
    index, weight = array(index), real(weight)
    limits.room(index.numel(), weight.shape[-1] if weight.ndim else 1)
    if weight.ndim == 2:
        limits.holds((index >= 0) & (index < len(weight)))  # vmap does not look; torch does
    return asking_torch(F.embedding, index, weight)


@listed("masked_fill", at_once=True)
def _masked_fill(limits, x, mask, value):
    x, value = kept(x, value)
    limits.room(x.numel())
    return asking_torch(torch.masked_fill, x, array(mask), value)


def _scattered(name: str) -> Callable[..., Any]:
    def run(limits, x, dim, index, source, alpha=1):
        x = array(x) if not is_mask(x) else real(x)
        limits.room(x.numel())
        values = fitting(x, _times(limits, source, alpha))
        return asking_torch(getattr(torch, name), x, whole_number(dim, AXIS), array(index), values)

    return run


for _name in ("index_add", "scatter_add"):
    _both(_name, _entry(_name, _scattered(_name), at_once=True))


@listed("scatter_reduce")
def _scatter_reduce(limits, x, dim, index, src, reduce, include_self=True):
    return _summing_scatter(limits, x, dim, index, src, reduce, include_self)


def _summing_scatter(limits: Limits, x: Any, dim: Any, index: Any, src: Any, reduce: Any, include_self: Any) -> Tensor:
    if reduce != "sum":
        raise Refusal(said("scatter_reduce adds up here: reduce='sum'"))
    if not flag(include_self):
        x = _scatter(limits, x, dim, index, 0)
    return _scattered("scatter_add")(limits, x, dim, index, src)


@listed("scatter")
def _scatter(limits, x, dim, index, src):
    limits.room(array(x).numel())
    return _scatter_(limits, array(x).clone(), dim, index, src)


@listed("index_put")
def _index_put(limits, x, indices, values, accumulate=False):
    limits.room(array(x).numel())
    return _index_put_(limits, array(x).clone(), indices, values, accumulate)


# -- linear algebra --


@listed("inv", "inverse", "pinv", "Inverse", rounds=True)
def _inv(limits, x):
    x = real(x)
    limits.work(8 * x.numel() * (x.shape[-1] if x.ndim else 1))  # not as fast as a product
    return asking_torch(torch.linalg.inv, x)


@listed("det", "Det", rounds=True)
def _det(limits, x):
    x = real(x)
    limits.work(x.numel() * (x.shape[-1] if x.ndim else 1))
    return asking_torch(torch.linalg.det, x)


@listed("logdet", "LogDet", rounds=True)
def _logdet(limits, x):
    x = real(x)
    limits.work(x.numel() * (x.shape[-1] if x.ndim else 1))
    return asking_torch(torch.linalg.slogdet, x).logabsdet


@listed("slogdet", rounds=True)
def _slogdet(limits, x):
    x = real(x)
    limits.work(x.numel() * (x.shape[-1] if x.ndim else 1))
    made = asking_torch(torch.linalg.slogdet, x)
    return Pair(made.sign, made.logabsdet, ("sign", "logabsdet"))


@listed("solve", method=False, rounds=True)
def _solve(limits, x, other):
    x, other = real(x), real(other)
    limits.work(x.numel() * (x.shape[-1] if x.ndim else 1) + x.numel() * other.numel())
    return asking_torch(torch.linalg.solve, x, other)


# -- copies and kinds --


_COPIES = ("clone", "copy", "contiguous", "detach", "double", "float", "cpu", "numpy", "requires_grad_", "resolve_conj")


@listed(*_COPIES, method=False, at_once=True)
def _copy(limits, x):
    x = array(x)
    limits.room(x.numel())
    return x.to(FLOAT) if not x.is_floating_point() else x.clone()


@listed("clone", "copy", function=False, at_once=True)
def _clone(limits, x):
    return x.clone()


# what follows shares the tensor it is given, as torch's own do


@listed("detach", "cpu", "numpy", "resolve_conj", function=False, shares=True, at_once=True)
def _itself(limits, x):
    return x


@listed("contiguous", function=False, shares=True, at_once=True)
def _contiguous(limits, x):
    return x.contiguous()


@listed("double", "float", "requires_grad_", function=False, shares=True, at_once=True)
def _as_float(limits, x):
    return x if x.dtype is FLOAT else x.to(FLOAT)


@listed("long", "int", "short", function=False, at_once=True)
def _long(limits, x):
    return x.to(torch.int64)


@listed("bool", function=False, at_once=True)
def _bool(limits, x):
    return x != 0


@listed("to", "type", "astype", "type_as", function=False, at_once=True)
def _to(limits, x, *kinds, dtype=None, device=None, copy=False):
    like = (Kind(not k.is_floating_point(), is_mask(k)) if isinstance(k, Tensor) else k for k in (*kinds, dtype))
    kind = next((k for k in like if isinstance(k, Kind)), Kind())
    return x != 0 if kind.truth else x.to(dtype_of(kind, FLOAT))


@listed("item", function=False)
def _item(limits, x):
    return asking_torch(x.item)


@listed("size", function=False, at_once=True)
def _size(limits, x, dim=None):
    return tuple(x.shape) if dim is None else asking_torch(x.size, whole_number(dim, AXIS))


@listed("numel", "nelement", at_once=True)
def _numel(limits, x):
    return array(x).numel()


@listed("dim", "ndimension", function=False, at_once=True)
def _dim(limits, x):
    return x.ndim


# -- in place --


def fitting(x: Tensor, source: Any) -> Tensor:
    """What entries of a tensor are set to, in its own type: a mask takes 0 and 1, whole numbers take no fractions."""
    made = array(source)
    if x.dtype is FLOAT or x.dtype is made.dtype:
        return made if x.dtype is made.dtype else made.to(FLOAT)
    if made.is_floating_point() and bool((made % 1 != 0).any()):
        raise TorchRefuses(said("a tensor of whole numbers cannot take fractions in place: start from .float()"))
    return made != 0 if is_mask(x) else made.to(x.dtype)


def _inplace(op: str) -> Callable[..., Any]:
    def run(limits, x, other, alpha=1):
        return in_place(limits, op, x, _times(limits, other, alpha))

    return run


_IN_PLACE = {"+": "add_", "-": "sub_", "*": "mul_", "/": "div_", "**": "pow_"}


def in_place(limits: Limits, op: str, x: Tensor, other: Any) -> Tensor:
    """`x += other` as torch does it: the same tensor, whatever else it is called."""
    limits.room(x.numel())
    if not isinstance(other, (Tensor, int, float)):
        other = array(other)
    if op in _LOGICAL:
        return asking_torch(x.copy_, elementwise(limits, op, x, other))
    if x.dtype is FLOAT:
        other = real(other)
    elif isinstance(other, float) or op == "/" or (isinstance(other, Tensor) and other.is_floating_point()):
        raise TorchRefuses(said("a tensor of whole numbers cannot take fractions in place: start from .float()"))
    shapes = (tuple(x.shape), tuple(other.shape) if isinstance(other, Tensor) else ())
    try:
        return getattr(x, _IN_PLACE[op])(other)
    except RuntimeError as error:
        grown = said("the shapes {shapes} and {shapes2} do not fit in place", shapes=shapes[0], shapes2=shapes[1])
        raise TorchRefuses(
            grown if "shape" in str(error) or "size" in str(error) else str(error)[:200], shapes
        ) from None


for _op, _name in _IN_PLACE.items():
    effect(_name)(_inplace(_op))


@effect("zero_")
def _zero_(limits, x):
    return asking_torch(x.zero_)


@effect("neg_")
def _neg_(limits, x):
    return asking_torch(x.neg_)


@effect("fill_")
def _fill_(limits, x, value):
    return asking_torch(x.fill_, scalar(value))


@effect("copy_")
def _copy_(limits, x, source):
    return asking_torch(x.copy_, real(source))


@effect("clamp_")
def _clamp_(limits, x, min=None, max=None):
    return asking_torch(x.clamp_, None if min is None else scalar(min), None if max is None else scalar(max))


@effect("lerp_")
def _lerp_(limits, x, end, weight):
    return asking_torch(x.lerp_, fitting(x, end), scalar(weight) if not isinstance(weight, Tensor) else real(weight))


@effect("addcmul_")
def _addcmul_(limits, x, tensor1, tensor2, value=1):
    return asking_torch(x.addcmul_, fitting(x, tensor1), fitting(x, tensor2), value=scalar(value))


@effect("addcdiv_")
def _addcdiv_(limits, x, tensor1, tensor2, value=1):
    return asking_torch(x.addcdiv_, fitting(x, tensor1), fitting(x, tensor2), value=scalar(value))


@effect("masked_fill_")
def _masked_fill_(limits, x, mask, value):
    return asking_torch(x.masked_fill_, array(mask), fitting(x, value))


@effect("fill_diagonal_")
def _fill_diagonal_(limits, x, value):
    return asking_torch(x.fill_diagonal_, scalar(value))


@effect("index_add_")
def _index_add_(limits, x, dim, index, source, alpha=1):
    return _scatter_in_place("index_add_", x, dim, index, source, alpha)


@effect("scatter_add_")
def _scatter_add_(limits, x, dim, index, src):
    return _scatter_in_place("scatter_add_", x, dim, index, src, 1)


@effect("scatter_reduce_")
def _scatter_reduce_(limits, x, dim, index, src, reduce, include_self=True):
    return asking_torch(x.copy_, _summing_scatter(limits, x, dim, index, src, reduce, include_self))


@effect("index_copy_")
def _index_copy_(limits, x, dim, index, source):
    return _scatter_in_place("index_copy_", x, dim, index, source, 1)


def _scatter_in_place(name: str, x: Tensor, dim: Any, index: Any, source: Any, alpha: Any) -> Tensor:
    values = real(source) * scalar(alpha)
    return asking_torch(getattr(x, name), whole_number(dim, AXIS), array(index), values)


@effect("scatter_")
def _scatter_(limits, x, dim, index, src):
    number = isinstance(src, (int, float)) or (isinstance(src, Tensor) and src.ndim == 0)
    value = scalar(src) if number else fitting(x, src)
    return asking_torch(x.scatter_, whole_number(dim, AXIS), array(index), value)


@effect("index_put_")
def _index_put_(limits, x, indices, values, accumulate=False):
    if not isinstance(indices, tuple):
        raise Refusal(said("index_put_ takes a tuple of index tensors: index_put_((ix,), values)"))
    given = tuple(array(i) for i in indices)
    return asking_torch(x.index_put_, given, fitting(x, values), accumulate=flag(accumulate))


@effect("squeeze_", "unsqueeze_", "t_", "transpose_", "resize_", "set_", "normal_", "uniform_", "random_", "bernoulli_")
def _not_part(limits, x, *rest):
    raise Refusal(said("this in-place call is not part of an answer"))


def add_at(limits: Limits, x: Any, index: Any, values: Any) -> Any:
    """np.add.at(x, index, values): repeated indices add up."""
    given = tuple(array(i) for i in (index if isinstance(index, tuple) else (index,)))
    return asking_torch(x.index_put_, given, fitting(x, values), accumulate=True)


# -- calling a row ------------------------------------------------------------------------------------

_REST = ("dim", "dims", "axis", "axes", "shape", "size", "sizes", "repeats")  # the name of what `*rest` takes
_IGNORED = ("requires_grad", "device", "pin_memory")  # every value is a float64 on the sheet's own device
_RENAMED = {
    "axis": "dim", "dims": "dim", "keepdims": "keepdim", "input": "x", "a": "x", "arr": "x", "ary": "x", "a_min": "min",
    "a_max": "max",
}  # fmt: skip


def call(entry: Entry, limits: Limits, arguments: list[Any], named: dict[str, Any], numpy: bool) -> Any:
    """The value of one call; arguments the row does not know are refused with its usage."""
    given: dict[str, Any] = {}
    if named or len(arguments) < entry.required or (len(arguments) > len(entry.parameters) and not entry.rest):
        arguments, given = _placed(entry, arguments, named)
    if entry.numpy:
        given["numpy"] = numpy
    before = limits.entries
    made = entry.run(limits, *arguments, **given)
    if limits.entries == before and isinstance(made, Tensor):
        limits.room(made.numel())  # what only rearranges may still copy
    return made


def _placed(entry: Entry, arguments: list[Any], named: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by their place and by the row's names for them."""
    given: dict[str, Any] = {}
    for name, value in named.items():
        if entry.rest and name in _REST and len(arguments) == entry.required:
            arguments = [*arguments, *(value if isinstance(value, tuple) else (value,))]
            continue
        if entry.rest and name in ("dim0", "dim1"):
            arguments = [*arguments, value]
            continue
        if name in _IGNORED and name not in entry.parameters:
            continue
        name = _RENAMED.get(name, name) if name not in entry.parameters else name
        if name not in entry.parameters or name in given:
            raise Refusal(
                said("{name} has no {name2}=...: it is used as {usage}", name=entry.name, name2=name, usage=entry.usage)
            )
        given[name] = value
    positional = entry.parameters if not entry.rest else entry.parameters[: entry.required]
    if len(arguments) > len(positional) and not entry.rest:
        raise Refusal(said("too many arguments: {usage}", usage=entry.usage))
    taken = set(positional[: len(arguments)])
    if taken & given.keys():
        raise Refusal(said("an argument is given twice: {usage}", usage=entry.usage))
    missing = [p for p in entry.parameters[: entry.required] if p not in taken and p not in given]
    if missing:
        raise Refusal(said("{missing} is missing: {usage}", missing=missing[0], usage=entry.usage))
    return arguments, given


from tutor.checking import windows  # noqa: E402, F401 - more rows, made with `listed`
