"""Tensor operations: what index notation cannot say in one plain expression.

Three kinds, one table. *Reductions* bind an index, like `Sum`: `MaxOver(z[i, k], k)`. *Matrix functions* take a
whole array and are indexed: `Inverse(A)[i, j]`, `LogDet(A)`. *Spelled-out* operations are written in index
arithmetic where they are used, so the index calculus derives them without knowing them: `Convolution1d(x, w)[n, f, o]`.
Arithmetic that leaves an axis counts as zero (padding).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import (
    And,
    Basic,
    Eq,
    Expr,
    Idx,
    Indexed,
    KroneckerDelta,
    Mod,
    Ne,
    Piecewise,
    Product,
    S,
    Sum,
    Tuple,
    floor,
    sympify,
)
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor.errors import ExerciseError
from tutor.language import N_, said
from tutor.symbolic.indices import Tensor, _reduction, bracket, fresh, reduce_over, substitute, within

# -- reductions -----------------------------------------------------------------------------


class Reduction(ExprWithLimits):
    """Binds its indices as `Sum` does."""

    is_commutative = True

    def __new__(cls, body, *indices):
        body = sympify(body)
        if indices and all(isinstance(i, Tuple) and not isinstance(i[0], Idx) for i in indices):
            return _reduction(cls, body, indices)  # SymPy renames bound indices to plain symbols while it compares
        indices = [i[0] if isinstance(i, Tuple) else i for i in indices]  # SymPy rebuilds from (k, 0, K - 1)
        if not indices or not all(isinstance(i, Idx) for i in indices):
            raise ExerciseError(said("{name} needs the indices it runs over: {name}(z[i, k], k)", name=cls.__name__))
        return reduce_over(cls, body, indices)

    is_extended_real = True
    is_finite = None

    def _eval_is_zero(self):
        return None


class MaxOver(Reduction):
    """m = max_k z[k]"""


class MinOver(Reduction):
    """m = min_k z[k]"""


class AmaxOver(MaxOver):
    """m = max_k z[k], torch's amax: at a tie all that are largest share the gradient."""


class AminOver(MinOver):
    """m = min_k z[k], torch's amin: at a tie all that are smallest share the gradient."""


class ArgMaxOver(Reduction):
    """The first index at which the body is largest (one bound index)."""

    is_integer = True


class ArgMinOver(Reduction):
    """The first index at which the body is smallest (one bound index)."""

    is_integer = True


class RunnerUpGap(Reduction):
    """Largest minus second largest: 0 at a tie, where the maximum has a kink."""


# -- matrix functions -------------------------------------------------------------------------


class MatrixFunction(Expr):
    """A function of a whole array whose last two axes are a square matrix."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, array):
        if not isinstance(array, Tensor) or len(array.shape) != 2:
            raise ExerciseError(
                said("{name} takes a whole matrix by its name: {name}(A), not A[i, j]", name=cls.__name__)
            )
        if array.shape[0] != array.shape[1]:
            raise ExerciseError(
                said(
                    "{name}({array}) needs a square matrix, not {shape}",
                    name=cls.__name__,
                    array=array,
                    shape=array.shape,
                )
            )
        return Expr.__new__(cls, array)

    def _sympystr(self, printer) -> str:
        return f"{type(self).__name__}({printer._print(self.args[0])})"  # SymPy's own Inverse prints otherwise


class LogDet(MatrixFunction):
    """l = log |det A|"""


class Det(MatrixFunction):
    """d = det A"""


class Inverse(MatrixFunction):
    """V = A^-1, an array: index it, `Inverse(A)[i, j]`."""

    def __getitem__(self, indices):
        return MatrixEntry(self, *indices)


class MatrixEntry(Expr):
    """One entry of a matrix function."""

    is_commutative = True
    is_extended_real = True


# -- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class OperationRow:
    """One operation: how it differentiates, its torch counterpart, the learner's sentence.

    `local` gives the factor by which an entry of the operand is multiplied: for reductions a function of
    (reduction, index of the entry), for matrix functions of (matrix, entry indices, operand indices), and None
    for spelled-out operations, which are their own index expression.
    """

    name: str
    make: Any
    torch: str
    says: str
    local: Callable[..., Expr] | None = None
    kinks: Callable[[Any], tuple[Expr, ...]] = lambda operation: ()
    at_kinks: str = said("gives the whole gradient to the first of what is tied")


def _winner(argument: type) -> Callable[..., Expr]:
    def local(reduction: ExprWithLimits, entered: Sequence[Idx]) -> Expr:
        if len(entered) != 1:
            raise ExerciseError(
                said("the gradient of {name} needs one index at a time: nest them", name=type(reduction).__name__)
            )
        bound = reduction.limits[0][0]
        apart = fresh(bound)
        body = substitute(reduction.args[0], {bound: apart})
        return KroneckerDelta(entered[0], reduce_over(argument, body, [apart]))

    return local


def _shared(reduction: ExprWithLimits, entered: Sequence[Idx]) -> Expr:
    """[x[k] is largest] / (how many are)"""
    apart = [fresh(limit[0]) for limit in reduction.limits]
    body = reduction.args[0]
    others = substitute(body, {limit[0]: other for limit, other in zip(reduction.limits, apart, strict=True)})
    own = substitute(body, {limit[0]: mine for limit, mine in zip(reduction.limits, entered, strict=True)})
    count = reduce_over(Sum, bracket(Eq(others, reduction)), apart)
    return bracket(Eq(own, reduction)) / count


def _leave_one_out(product: Product, entered: Sequence[Idx]) -> Expr:
    apart = {limit[0]: fresh(limit[0]) for limit in product.limits}
    body = substitute(product.args[0], apart)
    others = Ne(list(apart.values())[0], entered[0])
    for index, mine in list(zip(apart.values(), entered, strict=True))[1:]:
        others = others | Ne(index, mine)
    return reduce_over(Product, Piecewise((body, others), (S.One, True)), list(apart.values()))


def _gap(reduction: ExprWithLimits, sign: int) -> tuple[Expr, ...]:
    return (reduce_over(RunnerUpGap, sign * reduction.args[0], [limit[0] for limit in reduction.limits]),)


# -- spelled-out operations ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Spelled:
    """An array given by a rule from output indices to an index expression."""

    at: Callable[..., Expr]

    def __getitem__(self, indices):
        return self.at(*(indices if isinstance(indices, tuple) else (indices,)))


def _axis(array: Tensor, axis: int, name: str) -> Idx:
    """A fresh bound index over one axis of an array."""
    return fresh(Idx(name, array.shape[axis]))


def _padded(array: Tensor, *indices: Expr) -> Expr:
    """An entry, zero where an index leaves its axis."""
    inside = And(*(within(sympify(i), n) for i, n in zip(indices, array.shape, strict=True) if not isinstance(i, Idx)))
    return Indexed(array, *indices) * bracket(inside)


def CumulativeSum(body, index):
    """c[i] = sum_{j <= i} x[j]: `CumulativeSum(x[n, i], i)`."""
    earlier = fresh(index)
    return Sum(substitute(body, {index: earlier}) * bracket(earlier <= index), earlier)


def Flip(array, axis=-1):
    """y[i] = x[n - 1 - i] along one axis: `Flip(x)[n, i]`."""
    axis %= len(array.shape)
    return Spelled(lambda *ix: array[tuple(array.shape[a] - 1 - i if a == axis else i for a, i in enumerate(ix))])


def Reshape(array, shape):
    """The same entries in row-major order under another shape: `Reshape(x, (N, T*D))[n, m]`; torch's `view`."""

    def at(*indices):
        if len(indices) != len(shape):
            raise ExerciseError(
                said(
                    "Reshape to {shape} needs {count} indices, not {given}",
                    shape=tuple(shape),
                    count=len(shape),
                    given=len(indices),
                )
            )
        old, new = list(array.shape), list(shape)
        ends: list[Expr] = []
        ix = list(indices)
        while old and new and old[0] == new[0]:  # leading axes that both share
            ends.append(ix.pop(0))
            old.pop(0)
            new.pop(0)
        flat = S.Zero
        for extent, i in zip(new, ix, strict=True):
            flat = flat * extent + i
        entries: list[Expr] = []
        for extent in reversed(old[1:]):
            entries.insert(0, Mod(flat, extent))
            flat = floor(flat / extent)
        return array[tuple(ends + ([flat] if old else []) + entries)]

    return Spelled(at)


def Concatenate(arrays, axis=0):
    """One array after the other along an axis: `Concatenate((a, b), axis=1)[n, m]`."""

    def at(*indices):
        i, start, branches = indices[axis], S.Zero, []
        for array in arrays:
            place = tuple(i - start if a == axis else other for a, other in enumerate(indices))
            start = start + array.shape[axis]
            branches.append((array[place], i < start))
        branches[-1] = (branches[-1][0], True)
        return Piecewise(*branches)

    return Spelled(at)


def Pad(array, before):
    """Zeros around an array; `before` counts those in front of each axis: `Pad(x, (0, 1))[n, l]`."""
    return Spelled(lambda *ix: _padded(array, *(i - b for i, b in zip(ix, before, strict=True))))


def Convolution1d(x, w, stride=1, padding=0, dilation=1):
    """y[n,f,o] = sum_{c,k} x[n, c, stride*o + dilation*k - padding] w[f,c,k]; x (N,C,L), w (F,C,K): torch's conv1d."""

    def at(n, f, o):
        c, k = _axis(w, 1, "c"), _axis(w, 2, "k")
        return Sum(_padded(x, n, c, stride * o + dilation * k - padding) * w[f, c, k], c, k)

    return Spelled(at)


def Convolution2d(x, w, stride=1, padding=0, dilation=1):
    """y[n,f,o,p] = sum_{c,k,l} x[n, c, s*o + d*k - P, s*p + d*l - P] w[f,c,k,l]: torch's conv2d."""

    def at(n, f, o, p):
        c, k, m = _axis(w, 1, "c"), _axis(w, 2, "k"), _axis(w, 3, "l")
        rows, columns = (stride * a + dilation * b - padding for a, b in ((o, k), (p, m)))
        return Sum(_padded(x, n, c, rows, columns) * w[f, c, k, m], c, k, m)

    return Spelled(at)


def MaxPool1d(x, window, stride=None):
    """y[n,c,o] = max_k x[n, c, stride*o + k], k < window; stride defaults to the window."""
    step = window if stride is None else stride

    def at(n, c, o):
        k = fresh(Idx("k", sympify(window)))
        return MaxOver(x[n, c, step * o + k], k)

    return Spelled(at)


def AveragePool1d(x, window, stride=None):
    """y[n,c,o] = mean_k x[n, c, stride*o + k], k < window."""
    step = window if stride is None else stride

    def at(n, c, o):
        k = fresh(Idx("k", sympify(window)))
        return Sum(x[n, c, step * o + k], k) / window

    return Spelled(at)


def MaxPool2d(x, window, stride=None):
    """y[n,c,o,p] = max_{k,l} x[n, c, s*o + k, s*p + l]; one index runs over the whole window, row by row."""
    step = window if stride is None else stride

    def at(n, c, o, p):
        k = fresh(Idx("k", sympify(window) ** 2))
        return MaxOver(x[n, c, step * o + floor(k / sympify(window)), step * p + Mod(k, window)], k)

    return Spelled(at)


OPERATIONS: dict[str, OperationRow] = {
    entry.name: entry
    for entry in (
        OperationRow("MaxOver", MaxOver, "x.max(dim).values", N_("the largest entry alone is passed through"),
                     _winner(ArgMaxOver), lambda m: _gap(m, 1)),
        OperationRow("MinOver", MinOver, "x.min(dim).values", N_("the smallest entry alone is passed through"),
                     _winner(ArgMinOver), lambda m: _gap(m, -1)),
        OperationRow("AmaxOver", AmaxOver, "x.amax(dim)", N_("the largest entries share the gradient equally"),
                     _shared, lambda m: _gap(m, 1), said("shares the gradient equally among what is tied")),
        OperationRow("AminOver", AminOver, "x.amin(dim)", N_("the smallest entries share the gradient equally"),
                     _shared, lambda m: _gap(m, -1), said("shares the gradient equally among what is tied")),
        OperationRow("Product", Product, "x.prod(dim)", N_("each factor is multiplied by all the others"),
                     _leave_one_out),
        OperationRow("Inverse", Inverse, "torch.linalg.inv(A)", N_("inverse: minus the inverse on both sides"),
                     lambda a, out, at: (
                         -MatrixEntry(Inverse(a), out[0], at[0]) * MatrixEntry(Inverse(a), at[1], out[1])
                     )),
        OperationRow("LogDet", LogDet, "torch.linalg.slogdet(A).logabsdet", N_("log det: the inverse, transposed"),
                     lambda a, out, at: MatrixEntry(Inverse(a), at[1], at[0])),
        OperationRow("Det", Det, "torch.linalg.det(A)", N_("determinant: itself times the inverse, transposed"),
                     lambda a, out, at: Det(a) * MatrixEntry(Inverse(a), at[1], at[0])),
        OperationRow("CumulativeSum", CumulativeSum, "x.cumsum(dim)", N_("every later sum contains the entry")),
        OperationRow("Flip", Flip, "x.flip(dim)", N_("the flip undoes itself")),
        OperationRow("Reshape", Reshape, "x.view(shape)", N_("the same entries under another shape")),
        OperationRow("Concatenate", Concatenate, "torch.cat(arrays, dim)", N_("each array gets back its own slice")),
        OperationRow("Pad", Pad, "F.pad(x, before)", N_("the padding is cut off")),
        OperationRow("Convolution1d", Convolution1d, "F.conv1d(x, w)", N_("each entry meets every tap of the kernel")),
        OperationRow("Convolution2d", Convolution2d, "F.conv2d(x, w)", N_("each entry meets every tap of the kernel")),
        OperationRow("MaxPool1d", MaxPool1d, "F.max_pool1d(x, window)",
                     N_("only the winner of a window gets a gradient")),
        OperationRow("MaxPool2d", MaxPool2d, "F.max_pool2d(x, window)",
                     N_("only the winner of a window gets a gradient")),
        OperationRow("AveragePool1d", AveragePool1d, "F.avg_pool1d(x, window)", N_("the window shares the gradient")),
    )
}  # fmt: skip

_BY_CLASS = {entry.make: entry for entry in OPERATIONS.values() if entry.local}


def operation_row(node: Basic) -> OperationRow | None:
    """The row of a reduction or a matrix function, else None."""
    return _BY_CLASS.get(type(node.args[0]) if isinstance(node, MatrixEntry) else type(node))
