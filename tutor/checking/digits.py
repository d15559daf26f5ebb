"""Tensors of numbers with many digits, for lines that floats cannot decide.

An `Exact` tensor holds, for each entry, where its number stands in a table of mpmath numbers. So torch itself does
whatever only moves entries about (views, transposes, gathers, indexed assignment), with its own aliasing, and this
file does the arithmetic. A sheet, and our own derivation, run on such tensors as they run on floats.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, product
from threading import RLock
from typing import Any

import mpmath  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from tutor.checking.library import Cut

MOST = 1e5  # arguments of functions: beyond it the digits of the result alone fill the memory
MOST_GAMMA = 1e3  # the same of the gamma function
MOST_NUMBERS = 30_000  # of one computation
FLOAT = torch.float64
_PRECISION = RLock()  # mpmath's precision is one for all threads


class Beyond(Cut):
    """Not computed here."""


class Exact(Tensor):
    """float64 by its looks; `at` says where its entries stand in the table of the `ManyDigits` that made it."""

    at: Tensor

    @staticmethod
    def __new__(cls, at: Tensor) -> Exact:
        made = torch.Tensor._make_wrapper_subclass(cls, at.shape, strides=at.stride(), dtype=FLOAT)
        made.at = at
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func in _MATMUL and args[0].ndim == 1 and args[1].ndim > 1:
                # torch drops the row's axis in place, and an exact tensor cannot change its shape
                return torch.matmul(args[0][None], args[1])[..., 0, :]
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise Beyond(f"{func} outside of ManyDigits")


_MATMUL = (torch.matmul, Tensor.matmul, Tensor.__matmul__, operator.matmul)


class ManyDigits(TorchDispatchMode):
    """`with ManyDigits(50) as digits:` torch computes with that many digits; all floats made inside are exact.

    While it handles a call torch is as it is, and so it is for whole numbers and masks at any time.
    """

    def __init__(self, digits: int):
        super().__init__()
        self.digits = digits
        self.numbers: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads its compiler for nothing

    def __enter__(self) -> ManyDigits:
        _PRECISION.acquire()
        self._working = mpmath.workdps(self.digits)
        self._working.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._working.__exit__(*error)
        _PRECISION.release()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        name = func.overloadpacket.__name__
        if name in _MADE:
            return self._made(func, args, named)
        tensors = [x for x in _leaves((args, tuple(named.values()))) if isinstance(x, Tensor)]
        if not any(isinstance(x, Exact) or x.is_floating_point() for x in tensors):
            return func(*args, **named)
        if name in _MOVES:
            return self._moved(func, args, named)
        try:
            return _ARITHMETIC[name](self, *args, **named)
        except KeyError:
            raise Beyond(f"{name} is not computed with many digits") from None

    # -- numbers in and out ------------------------------------------------------------------------------------

    def exact(self, value: Any) -> Exact:
        """A tensor of floats, or a number of mpmath, as an exact tensor."""
        if isinstance(value, Exact):
            return value
        if isinstance(value, Tensor):
            shape = tuple(value.shape)
            self.room(value.numel())
            with _disable_current_modes():
                numbers = value.to(FLOAT).reshape(-1).tolist()
            return self.made([mpmath.mpf(x) for x in numbers], shape)
        return self.made([mpmath.mpf(value)], ())

    def room(self, count: int) -> None:
        """Refuse more numbers than one computation may have, before they are made."""
        if len(self.numbers) + count > MOST_NUMBERS:
            raise Beyond(f"more than {MOST_NUMBERS} numbers")

    def made(self, numbers: Sequence[Any], shape: Sequence[int]) -> Exact:
        start = len(self.numbers)
        self.room(len(numbers))
        self.numbers.extend(numbers)
        return Exact(torch.arange(start, start + len(numbers)).reshape(tuple(shape)))

    def read(self, value: Any) -> list[Any]:
        """The entries, row by row."""
        at = self.exact(value).at
        places = at.reshape(-1).tolist()
        return [self.numbers[n] for n in places]

    # -- what moves entries -----------------------------------------------------------------------------------------

    def _moved(self, func: Any, args: Any, named: Any) -> Any:
        args, named = (
            _mapped(part, lambda x: self.exact(x).at if _float(x) else x) for part in (args, named)
        )  # fmt: skip
        made = func(*args, **named)
        return _mapped(made, lambda x: Exact(x) if isinstance(x, Tensor) else x)

    def _made(self, func: Any, args: Any, named: Any) -> Any:
        """zeros, full, arange, ...: computed as floats, exact where they are floats."""
        like = _mapped(args, lambda x: x.at if isinstance(x, Exact) else x)
        made = func(*like, **({**named, "dtype": FLOAT} if _exact_like(args, named) else named))
        return self.exact(made) if made.is_floating_point() else made


def _float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _exact_like(args: Any, named: Any) -> bool:
    return bool(args) and isinstance(args[0], Exact) and named.get("dtype") is None


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(part, change) for part in value)
    if isinstance(value, dict):
        return {key: _mapped(part, change) for key, part in value.items()}
    return change(value)


_MADE = (
    "zeros", "ones", "full", "empty", "arange", "eye", "scalar_tensor", "zeros_like", "ones_like", "full_like",
    "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "lift_fresh", "lift_fresh_copy",
)  # fmt: skip
_MOVES = (
    "view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "t", "transpose", "unsqueeze", "squeeze",
    "select", "slice", "index", "gather", "index_select", "cat", "stack", "diagonal", "flip", "roll", "repeat",
    "as_strided", "unbind", "split", "split_with_sizes", "unfold", "clone", "detach", "alias", "narrow",
    "chunk", "take", "diagonal_copy",
)  # fmt: skip


# -- arithmetic --------------------------------------------------------------------------------------------------


def _broadcast(digits: ManyDigits, *values: Any) -> tuple[list[list[Any]], tuple[int, ...]]:
    """The entries of all operands, spread to one shape."""
    tensors = [x.at if isinstance(x, Exact) else x for x in values if isinstance(x, Tensor)]
    shape = torch.broadcast_tensors(*tensors)[0].shape
    spread = []
    for x in values:
        if isinstance(x, Tensor) and not x.is_floating_point():
            spread.append(x.expand(shape).reshape(-1).tolist())
        else:
            at = digits.exact(x).at
            places = at.expand(shape).reshape(-1).tolist()
            spread.append([digits.numbers[n] for n in places])
    return spread, tuple(shape)


def _entrywise(function: Callable[..., Any]) -> Callable[..., Any]:
    def compute(digits: ManyDigits, *args: Any) -> Exact:
        operands, shape = _broadcast(digits, *args)
        return digits.made([_finite(function(*entry)) for entry in zip(*operands, strict=True)], shape)

    return compute


def _finite(value: Any) -> Any:
    if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value):
        raise Beyond("not finite")
    return value


def _bounded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def compute(x: Any) -> Any:
        if abs(x) > MOST:
            raise Beyond("a number with too many digits")
        return function(mpmath.mpf(x))

    return compute


def _compare(holds: Callable[[Any, Any], bool]) -> Callable[..., Tensor]:
    def compute(digits: ManyDigits, a: Any, b: Any) -> Tensor:
        (left, right), shape = _broadcast(digits, a, b)
        return torch.tensor([holds(x, y) for x, y in zip(left, right, strict=True)]).reshape(shape)

    return compute


def _added(sign: int) -> Callable[..., Exact]:
    add = _entrywise(lambda a, b: a + sign * b)
    scaled = _entrywise(lambda a, b, by: a + sign * by * b)

    def compute(digits: ManyDigits, a: Any, b: Any, alpha: Any = 1) -> Exact:
        return add(digits, a, b) if alpha == 1 else scaled(digits, a, b, alpha)

    return compute


def _powered(a: Any, b: Any) -> Any:
    if a and abs(b * mpmath.mag(a)) > 2 * MOST:
        raise Beyond("a number with too many digits")
    return mpmath.mpf(a) ** b


def _divided(a: Any, b: Any) -> Any:
    if b == 0:
        raise Beyond("a division by 0")
    return a / mpmath.mpf(b)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    def compute(digits: ManyDigits, x: Any, *args: Any, **named: Any) -> Any:
        if not isinstance(x, Exact):
            raise Beyond("a tensor from outside is changed")
        made = function(digits, x, *args, **named)
        x.at.copy_(made.at.expand(x.at.shape))
        return x

    return compute


def _reduced(function: Callable[[list[Any]], Any]) -> Callable[..., Exact]:
    """Over some axes, or all; `keepdim` as torch has it."""

    def compute(digits: ManyDigits, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Exact:
        at = digits.exact(x).at
        dims = list(range(at.ndim)) if dim is None or dim == [] else [dim] if isinstance(dim, int) else list(dim)
        dims = sorted(d % at.ndim for d in dims) if at.ndim else []  # of a number, torch takes axis 0 as none
        kept = [d for d in range(at.ndim) if d not in dims]
        rows = at.permute([*kept, *dims]).reshape(math.prod(at.shape[d] for d in kept), -1).tolist()
        made = [function([digits.numbers[n] for n in row]) for row in rows]
        shape = [1 if d in dims else extent for d, extent in enumerate(at.shape) if keepdim or d in kept]
        return digits.made(made, shape)

    return compute


def _along(function: Callable[[list[Any]], list[Any]]) -> Callable[..., Exact]:
    """Along one axis, of the same length."""

    def compute(digits: ManyDigits, x: Any, dim: int, *_: Any, **__: Any) -> Exact:
        at = digits.exact(x).at
        if not at.ndim:
            return digits.made(function(digits.read(x)), ())
        turned = at.movedim(dim, -1)
        rows = turned.reshape(-1, turned.shape[-1]).tolist()
        flat = [y for row in rows for y in function([digits.numbers[n] for n in row])]
        made = digits.made(flat, turned.shape)
        return Exact(made.at.movedim(-1, dim))

    return compute


def _winner(largest: bool) -> Callable[..., Any]:
    def compute(digits: ManyDigits, x: Any, dim: int, keepdim: bool = False) -> tuple[Exact, Tensor]:
        where = _argument(largest)(digits, x, dim, keepdim=True)
        at = digits.exact(x).at.gather(dim, where)
        return (Exact(at), where) if keepdim else (Exact(at.squeeze(dim)), where.squeeze(dim))

    return compute


def _argument(largest: bool) -> Callable[..., Tensor]:
    def compute(digits: ManyDigits, x: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
        at = digits.exact(x).at
        turned = at.reshape(-1, 1).T if dim is None else at.movedim(dim, -1)
        rows = turned.reshape(-1, turned.shape[-1]).tolist()
        pick = max if largest else min
        found = [row.index(pick(row, key=digits.numbers.__getitem__)) for row in rows]
        made = torch.tensor(found).reshape(turned.shape[:-1] if dim is not None else ())
        return made.unsqueeze(dim) if keepdim and dim is not None else made

    return compute


def _variance(root: bool) -> Callable[..., Exact]:
    def compute(digits: ManyDigits, x: Any, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Exact:
        def spread(row: list[Any]) -> Any:
            mean = mpmath.fsum(row) / len(row)
            found = _divided(
                mpmath.fsum((v - mean) ** 2 for v in row), len(row) - (1 if correction is None else correction)
            )
            return mpmath.sqrt(found) if root else found

        return _reduced(spread)(digits, x, dim, keepdim)

    return compute


def _product(digits: ManyDigits, a: Any, b: Any) -> Exact:
    """Matrices, batches of them, and vectors."""
    left, right = digits.exact(a).at, digits.exact(b).at
    one, two = left.ndim == 1, right.ndim == 1
    left, right = left[None, :] if one else left, right[:, None] if two else right
    batch = tuple(left.shape[:-2])
    rows = left.reshape(-1, *left.shape[-2:]).tolist()
    columns = right.mT.reshape(-1, right.shape[-1], right.shape[-2]).tolist()
    held = digits.numbers
    if len(rows) * left.shape[-2] * left.shape[-1] * right.shape[-1] > MOST_NUMBERS:
        raise Beyond("a product of large matrices")
    made = [
        mpmath.fdot([held[n] for n in row], [held[n] for n in column])
        for matrix, other in zip(rows, columns, strict=True)
        for row, column in product(matrix, other)
    ]
    shape = [*batch, *([] if one else [left.shape[-2]]), *([] if two else [right.shape[-1]])]
    return digits.made(made, shape)


def _added_product(digits: ManyDigits, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Exact:
    scaled = _entrywise(lambda x, y: beta * x + alpha * y)
    return scaled(digits, c, _product(digits, a, b))


def _with_product(function: Callable[[Any, Any], Any]) -> Callable[..., Exact]:
    """x + value*a*b, or a/b, entry by entry."""

    def compute(digits: ManyDigits, x: Any, a: Any, b: Any, value: Any = 1) -> Exact:
        return _entrywise(lambda x, a, b: x + value * function(a, b))(digits, x, a, b)

    return compute


def _scatter_added(digits: ManyDigits, x: Any, dim: int, index: Tensor, source: Any) -> Exact:
    """One entry after the other, as repeated places want it."""
    part = digits.exact(source).at
    made = digits.exact(x).at.clone()
    taken = part[tuple(slice(extent) for extent in index.shape)]
    for at, n in zip(torch.ones_like(index).nonzero().tolist(), taken.reshape(-1).tolist(), strict=True):
        at[dim] = int(index[tuple(at)])
        made[tuple(at)] = digits.made([digits.numbers[int(made[tuple(at)])] + digits.numbers[n]], ()).at
    return Exact(made)


def _index_added(digits: ManyDigits, x: Any, dim: int, index: Tensor, source: Any, alpha: Any = 1) -> Exact:
    if not isinstance(x, Exact):
        raise Beyond("a tensor from outside is changed")
    part = digits.exact(source).at
    held, given = x.at.movedim(dim, 0), part.movedim(dim, 0)
    for n, place in enumerate(index.reshape(-1).tolist()):
        pairs = zip(held[place].reshape(-1).tolist(), given[n].reshape(-1).tolist(), strict=True)
        sums = [digits.numbers[p] + alpha * digits.numbers[q] for p, q in pairs]
        held[place].copy_(digits.made(sums, held[place].shape).at)
    return x


def _index_put(digits: ManyDigits, x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """`x[ix] = v`; adding, one entry after the other, as repeated indices want it."""
    if not isinstance(x, Exact):
        raise Beyond("a tensor from outside is changed")
    given = digits.exact(values).at
    if not accumulate:
        x.at.index_put_(indices, given)
        return x
    places = torch.arange(x.at.numel()).reshape(x.at.shape)[tuple(slice(None) if i is None else i for i in indices)]
    spread = given.expand(places.shape).reshape(-1).tolist()
    flat = x.at.view(-1)
    for place, n in zip(places.reshape(-1).tolist(), spread, strict=True):
        flat[place] = digits.made([digits.numbers[int(flat[place])] + digits.numbers[n]], ()).at
    return x


def _where(digits: ManyDigits, condition: Tensor, a: Any, b: Any) -> Exact:
    left, right = digits.exact(a).at, digits.exact(b).at
    return Exact(torch.where(condition, left, right))


def _filled(digits: ManyDigits, x: Any, mask: Tensor, value: Any) -> Exact:
    return _where(digits, mask, value, x)


def _clamped(digits: ManyDigits, x: Any, low: Any = None, high: Any = None, **named: Any) -> Exact:
    low, high = named.get("min", low), named.get("max", high)
    made = digits.exact(x)
    made = made if low is None else _entrywise(max)(digits, made, low)
    return made if high is None else _entrywise(min)(digits, made, high)


def _cast(digits: ManyDigits, x: Any, dtype: Any = None, **_: Any) -> Any:
    if dtype is None or dtype.is_floating_point:
        made = digits.exact(x)
        return Exact(made.at.clone())
    (numbers,), shape = _broadcast(digits, x)
    return torch.tensor([int(n) if dtype != torch.bool else bool(n) for n in numbers], dtype=dtype).reshape(shape)


def _number(digits: ManyDigits, x: Any) -> Any:
    return float(digits.read(x)[0])


def _triangle(name: str) -> Callable[..., Exact]:
    def compute(digits: ManyDigits, x: Any, diagonal: int = 0) -> Exact:
        made = digits.exact(x)
        mask = getattr(torch.ones(made.shape, dtype=torch.bool), name)(diagonal)
        return _where(digits, mask, made, 0)

    return compute


def _padded(digits: ManyDigits, x: Any, pad: Sequence[int], value: Any = 0) -> Exact:
    made, filler = digits.exact(x).at, digits.exact(value).at
    return Exact(torch.constant_pad_nd(made, pad, int(filler)))


def _threshold(digits: ManyDigits, gradient: Any, x: Any, threshold: Any) -> Exact:
    return _where(digits, _compare(lambda a, b: a <= b)(digits, x, threshold), 0, gradient)


def _elu(digits: ManyDigits, x: Any, alpha: Any = 1, scale: Any = 1, inner: Any = 1) -> Exact:
    return _entrywise(lambda v: scale * (v if v > 0 else alpha * mpmath.expm1(inner * v)))(digits, x)


def _not_zero(digits: ManyDigits, x: Any, dim: Any = None) -> Tensor:
    return _compare(lambda a, b: a != b)(digits, x, 0).sum(dim)


def _on_the_diagonal(digits: ManyDigits, x: Any, offset: int = 0, one: int = -2, two: int = -1) -> Exact:
    at = digits.exact(x).at
    mask = torch.diag_embed(torch.ones_like(at, dtype=torch.bool), offset, one, two)
    return Exact(torch.where(mask, torch.diag_embed(at, offset, one, two), digits.exact(0).at))


def _trace(digits: ManyDigits, x: Any) -> Exact:
    return _reduced(mpmath.fsum)(digits, Exact(digits.exact(x).at.diagonal()))


def _norm(digits: ManyDigits, x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Exact:
    if ord not in (1, 2):
        raise Beyond("another norm than 1 and 2")

    def size(row: list[Any]) -> Any:
        return mpmath.fsum(map(abs, row)) if ord == 1 else mpmath.sqrt(mpmath.fsum(v * v for v in row))

    return _reduced(size)(digits, x, dim, keepdim)


def _softmax(row: list[Any]) -> list[Any]:
    top = max(row)
    parts = [mpmath.exp(v - top) for v in row]
    total = mpmath.fsum(parts)
    return [p / total for p in parts]


def _log_sum(row: list[Any]) -> Any:
    top = max(row)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(v - top) for v in row))


def _log_softmax(row: list[Any]) -> list[Any]:
    total = _log_sum(row)
    return [v - total for v in row]


def _cumulative(function: Callable[[Any, Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda row: list(accumulate(row, function))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x)) if x > -MOST else mpmath.mpf(0)


def _sign(x: Any) -> Any:
    return mpmath.mpf((x > 0) - (x < 0))


def _root(x: Any) -> Any:
    if x < 0:
        raise Beyond("a root of a negative number")
    return mpmath.sqrt(x)


def _logarithm(x: Any) -> Any:
    if x <= 0:
        raise Beyond("a logarithm of what is not positive")
    return mpmath.log(x)


def _of_gamma(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def compute(x: Any) -> Any:
        if abs(x) > MOST_GAMMA or (x <= 0 and x == mpmath.floor(x)):
            raise Beyond("the gamma function of a large number, or at a pole")
        return function(mpmath.mpf(x))

    return compute


def _leaky(x: Any, slope: Any = 0.01) -> Any:
    return x if x > 0 else slope * x


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": _bounded(mpmath.exp),
    "exp2": _bounded(lambda x: mpmath.mpf(2) ** x),
    "expm1": _bounded(mpmath.expm1),
    "log": _logarithm,
    "log2": lambda x: _logarithm(x) / mpmath.log(2),
    "log10": lambda x: _logarithm(x) / mpmath.log(10),
    "log1p": lambda x: mpmath.log1p(x) if x > -1 else _logarithm(0),
    "sqrt": _root,
    "rsqrt": lambda x: _divided(1, _root(x)),
    "reciprocal": lambda x: _divided(1, x),
    "neg": lambda x: -x,
    "abs": abs,
    "sign": _sign,
    "sgn": _sign,
    "sin": _bounded(mpmath.sin),
    "cos": _bounded(mpmath.cos),
    "tan": _bounded(mpmath.tan),
    "sinh": _bounded(mpmath.sinh),
    "cosh": _bounded(mpmath.cosh),
    "tanh": _bounded(mpmath.tanh),
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": lambda x: _logarithm((1 + x) / (1 - x)) / 2 if x != 1 else _divided(1, 0),
    "lgamma": _of_gamma(lambda x: mpmath.log(abs(mpmath.gamma(x)))),
    "digamma": _of_gamma(mpmath.digamma),
    "erf": _bounded(mpmath.erf),
    "erfc": _bounded(mpmath.erfc),
    "sigmoid": _sigmoid,
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "log_sigmoid": lambda x: -_log_sum([mpmath.mpf(0), -x]),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "round": mpmath.nint,
    "trunc": lambda x: mpmath.floor(x) if x > 0 else mpmath.ceil(x),
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "mul": lambda a, b: a * b,
    "div": _divided,
    "pow": _powered,
    "maximum": max,
    "minimum": min,
    "atan2": mpmath.atan2,
    "remainder": lambda a, b: a - b * mpmath.floor(_divided(a, b)),
    "leaky_relu": _leaky,
    "heaviside": lambda x, y: y if x == 0 else mpmath.mpf(x > 0),
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


def _matrix(digits: ManyDigits, x: Any) -> Any:
    """One square matrix, as mpmath has them."""
    at = digits.exact(x).at
    if at.ndim != 2:
        raise Beyond("a batch of matrices")
    return mpmath.matrix([[digits.numbers[n] for n in row] for row in at.tolist()])


def _inverse(digits: ManyDigits, x: Any, *, check_errors: bool = False) -> tuple[Exact, Tensor]:
    made = _matrix(digits, x) ** -1
    return digits.made(list(made), (made.rows, made.cols)), torch.zeros((), dtype=torch.int32)


def _solved(
    digits: ManyDigits, a: Any, b: Any, *, left: bool = True, check_errors: bool = False
) -> tuple[Exact, Exact, Tensor, Tensor]:
    """`a @ x = b`, with what nothing here reads beside it."""
    if not left:
        raise Beyond("a system solved from the right")
    inverse = digits.made(list(_matrix(digits, a) ** -1), digits.exact(a).shape)
    none = torch.zeros((), dtype=torch.int32)
    return _product(digits, inverse, b), digits.exact(a), none, none


def _determinant(digits: ManyDigits, x: Any) -> tuple[Exact, Exact, Tensor]:
    """torch's way gives a decomposition beside it, which nothing here reads."""
    return digits.made([mpmath.det(_matrix(digits, x))], ()), digits.exact(x), torch.zeros(0, dtype=torch.int32)


def _log_determinant(digits: ManyDigits, x: Any) -> tuple[Exact, Exact, Exact, Tensor]:
    det = mpmath.det(_matrix(digits, x))
    sign, size = (digits.made([v], ()) for v in (mpmath.sign(det), mpmath.log(abs(det))))
    return sign, size, digits.exact(x), torch.zeros(0, dtype=torch.int32)


def _softplus(digits: ManyDigits, x: Any, beta: Any = 1, threshold: Any = 20) -> Exact:
    """torch's, without its threshold: the difference is what floats lose anyway."""
    return _entrywise(lambda v: _log_sum([mpmath.mpf(0), beta * v]) / beta)(digits, x)


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    **{name: _entrywise(function) for name, function in _FUNCTIONS.items()},
    **{name: _entrywise(function) for name, function in _BINARY.items()},
    **{name: _compare(holds) for name, holds in _COMPARISONS.items()},
    "add": _added(1),
    "sub": _added(-1),
    "rsub": lambda digits, a, b, alpha=1: _added(-1)(digits, b, a, alpha),
    "sum": _reduced(mpmath.fsum),
    "mean": _reduced(lambda row: mpmath.fsum(row) / len(row)),
    "prod": _reduced(lambda row: mpmath.fprod(row)),
    "amax": _reduced(max),
    "amin": _reduced(min),
    "logsumexp": _reduced(_log_sum),
    "max": lambda digits, x, *dim: _winner(True)(digits, x, *dim) if dim else _reduced(max)(digits, x),
    "min": lambda digits, x, *dim: _winner(False)(digits, x, *dim) if dim else _reduced(min)(digits, x),
    "argmax": _argument(True),
    "argmin": _argument(False),
    "var": _variance(root=False),
    "std": _variance(root=True),
    "linalg_vector_norm": _norm,
    "_softmax": _along(_softmax),
    "_log_softmax": _along(_log_softmax),
    "cumsum": _along(_cumulative(operator.add)),
    "cumprod": _along(_cumulative(operator.mul)),
    "elu": _elu,
    "hardtanh": lambda digits, x, low=-1, high=1: _clamped(digits, x, low, high),
    "log_sigmoid_forward": lambda digits, x: (_ARITHMETIC["log_sigmoid"](digits, x), digits.exact(0)),
    "count_nonzero": _not_zero,
    "isnan": lambda digits, x: torch.zeros(x.shape, dtype=torch.bool),
    "trace": _trace,
    "diag_embed": _on_the_diagonal,
    "softplus": _softplus,
    "linalg_inv_ex": _inverse,
    "_linalg_solve_ex": _solved,
    "_linalg_det": _determinant,
    "_linalg_slogdet": _log_determinant,
    "mm": _product,
    "mv": _product,
    "dot": _product,
    "bmm": _product,
    "addmm": _added_product,
    "baddbmm": _added_product,
    "where": _where,
    "masked_fill": _filled,
    "clamp": _clamped,
    "clamp_min": lambda digits, x, low: _clamped(digits, x, low),
    "clamp_max": lambda digits, x, high: _clamped(digits, x, None, high),
    "threshold_backward": _threshold,
    "tril": _triangle("tril"),
    "triu": _triangle("triu"),
    "constant_pad_nd": _padded,
    "index_add_": _index_added,
    "scatter_add": _scatter_added,
    "lerp": _entrywise(lambda x, end, weight: x + weight * (end - x)),
    "addcmul": _with_product(operator.mul),
    "addcdiv": _with_product(_divided),
    "index_put_": _index_put,
    "_to_copy": _cast,
    "_local_scalar_dense": _number,
    "embedding": lambda digits, weight, index, *_: Exact(digits.exact(weight).at[index]),
}
_ARITHMETIC |= {
    f"{name}_": _in_place(_ARITHMETIC[name])
    for name in (
        "add", "sub", "mul", "div", "pow", "neg", "exp", "log", "sqrt", "clamp", "masked_fill", "relu", "lerp",
        "addcmul", "addcdiv", "scatter_add",
    )
}  # fmt: skip
_ARITHMETIC |= {
    "zero_": _in_place(lambda digits, x: digits.exact(0)),
    "copy_": _in_place(lambda digits, x, source, non_blocking=False: digits.exact(source)),
    "fill_": _in_place(lambda digits, x, value: digits.exact(value)),
}
