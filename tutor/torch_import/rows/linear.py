"""Products: linear layers, matrix products, einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Expr, Idx, Indexed, Mul, S

from tutor.language import N_, said
from tutor.symbolic.indices import fresh
from tutor.symbolic.operations import Det, Inverse, LogDet
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation, refused


@operation("linear", torch="F.linear")
def linear(g: Builder, input: Array, weight: Array, bias: Array | None = None) -> Array:
    """z[n,k] = sum_d x[n,d] W[k,d] + b[k]"""
    g.same(input.shape[-1], weight.shape[-1])
    shape = (*input.shape[:-1], weight.shape[0]) if weight.dim == 2 else input.shape[:-1]
    g.wish(weight.shape[0], "H", "M", "P", default=True)

    def product(*ix: Expr) -> Expr:
        rows, out = ix[: input.dim - 1], ix[input.dim - 1 :]
        return g.sum(lambda d: input[(*rows, d)] * weight[(*out, d)], input.shape[-1])

    if bias is None:
        return g.step(shape, product, "z")
    if bias.dim:
        g.same(bias.shape[0], weight.shape[0])
    wx = g.detail("wx", shape, product)
    return g.step(shape, lambda *ix: wx[ix] + bias.spread(ix, shape), "z")


@operation("mm", "bmm", torch="torch.mm")
def mm(g: Builder, self: Array, mat2: Array) -> Array:
    """y[..., i, k] = sum_j a[..., i, j] b[..., j, k]"""
    return matmul(g, self, mat2)


@operation("mv", torch="torch.mv")
def mv(g: Builder, self: Array, vec: Array) -> Array:
    """y[i] = sum_j a[i, j] b[j]"""
    return matmul(g, self, vec)


@operation("dot", "vdot", torch="torch.dot")
def dot(g: Builder, self: Array, tensor: Array) -> Array:
    """y = sum_j a[j] b[j]"""
    return matmul(g, self, tensor)


@operation("matmul", torch="a @ b")
def matmul(g: Builder, self: Array, other: Array) -> Array:
    """y[..., i, k] = sum_j a[..., i, j] b[..., j, k]"""
    a, b = self.numbers, other.numbers
    g.same(a.shape[-1], b.shape[-2 if b.dim > 1 else 0])
    lead = g.broadcast(*(Array(x.shape[:-2], x.at) for x in (a, b)))
    rows, columns = a.shape[:-1][-1:], b.shape[1:][-1:]

    def at(*ix: Expr) -> Expr:
        over, rest = ix[: len(lead)], ix[len(lead) :]
        i, k = rest[: len(rows)], rest[len(rows) :]

        def term(j: Expr) -> Expr:
            return a.met(over, lead, *i, j) * b.met(over, lead, j, *k)

        return g.sum(term, a.shape[-1])

    return g.step((*lead, *rows, *columns), at, "z")


@operation("baddbmm", torch="torch.baddbmm")
def baddbmm(g: Builder, self: Array, batch1: Array, batch2: Array, beta: Any = 1, alpha: Any = 1) -> Array:
    """y = beta c + alpha a @ b"""
    g.same(batch1.shape[0], batch2.shape[0])
    return addmm(g, self, batch1, batch2, beta, alpha)


@operation("addmv", torch="torch.addmv")
def addmv(g: Builder, self: Array, mat: Array, vec: Array, beta: Any = 1, alpha: Any = 1) -> Array:
    """y = beta c + alpha A @ v"""
    one, two = g.scalar(beta), g.scalar(alpha)
    g.same(mat.shape[1], vec.shape[0])
    shape = g.broadcast(Array(mat.shape[:1], mat.at), self)
    return g.step(shape, lambda i: one * self.spread((i,), shape) + two * g.sum(lambda j: mat[i, j] * vec[j],
                                                                                mat.shape[1]), "z")  # fmt: skip


@operation("addmm", torch="torch.addmm")
def addmm(g: Builder, self: Array, mat1: Array, mat2: Array, beta: Any = 1, alpha: Any = 1) -> Array:
    """y = beta c + alpha a @ b"""
    one, two = g.scalar(beta), g.scalar(alpha)
    g.same(mat1.shape[-1], mat2.shape[-2])
    shape = (*mat1.shape[:-1], mat2.shape[-1])
    shape = g.broadcast(Array(shape, mat1.at), self)

    def at(*ix: Expr) -> Expr:
        *lead, i, k = ix
        product = g.sum(lambda j: mat1[(*lead, i, j)] * mat2[(*lead, j, k)], mat1.shape[-1])
        return one * self.spread(ix, shape) + two * product

    return g.step(shape, at, "z")


@operation("outer", "ger", torch="torch.outer")
def outer(g: Builder, self: Array, vec2: Array) -> Array:
    """y[i,j] = a[i] b[j]"""
    return g.step((*self.shape, *vec2.shape), lambda i, j: self[i] * vec2[j], "z")


@operation("einsum", torch="torch.einsum")
def einsum(g: Builder, equation: str, tensors: Sequence[Array]) -> Array:
    """y = the sum over the indices that are not in the result, of the product"""
    left, _, right = equation.replace(" ", "").partition("->")
    if "." in equation:
        raise g.refusal(said("{name}={value} is not in its row", name="equation", value=equation))
    parts = left.split(",")
    if "->" not in equation:
        right = "".join(sorted(c for c in set(left.replace(",", "")) if left.count(c) == 1))
    extents: dict[str, Expr] = {}
    for letters, x in zip(parts, tensors, strict=True):
        for letter, extent in zip(letters, x.shape, strict=True):
            known = extents.get(letter, S.One)
            if known != 1 and extent != 1:
                g.same(known, extent)
            extents[letter] = extent if known == 1 else known
    summed = [c for c in extents if c not in right]

    def at(*ix: Expr) -> Expr:
        known = dict(zip(right, ix, strict=True))

        def term(*bound: Expr) -> Expr:
            place = {**known, **dict(zip(summed, bound, strict=True))}
            return Mul(*(x[tuple(S.Zero if n == 1 else place[c] for c, n in zip(letters, x.shape, strict=True))]
                         for letters, x in zip(parts, tensors, strict=True)))  # fmt: skip

        return g.sum(term, *(extents[c] for c in summed))

    return g.step([g.sizes.resolve(extents[c]) for c in right], at, "z")


@operation("bilinear", torch="F.bilinear")
def bilinear(g: Builder, input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """y[n,k] = sum_{i,j} a[n,i] W[k,i,j] b[n,j] + c[k]"""
    g.same(input1.shape[-1], weight.shape[1])
    g.same(input2.shape[-1], weight.shape[2])
    if bias is not None:
        g.same(bias.shape[0], weight.shape[0])
    lead = g.broadcast(Array(input1.shape[:-1], input1.at), Array(input2.shape[:-1], input2.at))

    def at(*ix: Expr) -> Expr:
        *n, k = ix
        made = g.sum(lambda i, j: input1[(*n, i)] * weight[k, i, j] * input2[(*n, j)], *weight.shape[1:])
        return made if bias is None else made + bias[k]

    return g.step((*lead, weight.shape[0]), at, "z")


# -- of a square matrix -----------------------------------------------------------------------------------------------


@operation("trace", torch="torch.trace")
def trace(g: Builder, self: Array) -> Array:
    """y = sum_i x[i,i]"""
    from tutor.torch_import.rows.joining import diagonal

    d = diagonal(g, self)
    return g.step((), lambda: g.sum(lambda i: d[i], d.shape[0]), "y")


def matrix(g: Builder, x: Array) -> Any:
    """The quantity that is the whole matrix, and whether it is seen transposed."""
    if x.dim != 2:
        raise g.refusal(N_("it is of one matrix, not of several at a time"))
    g.same(x.shape[0], x.shape[1])
    for _ in range(2):
        i, j = (fresh(Idx("i", g.sizes.resolve(n))) for n in x.shape)
        entry = x[i, j]
        if isinstance(entry, Indexed) and tuple(entry.indices) in ((i, j), (j, i)):
            return entry.base, tuple(entry.indices) == (j, i)
        x = g.also("A", x.shape, x.at)
    raise g.refusal(N_("its matrix is no quantity of its own"))


@operation("linalg_inv", "inverse", torch="torch.linalg.inv")
def inverse(g: Builder, A: Array | None = None, self: Array | None = None) -> Array:
    """V = A^-1"""
    x = A if A is not None else self
    assert x is not None
    base, turned = matrix(g, x)
    return g.step(x.shape, lambda i, j: Inverse(base)[(j, i) if turned else (i, j)], "V")


@operation("linalg_det", "det", torch="torch.linalg.det")
def det(g: Builder, A: Array | None = None, self: Array | None = None) -> Array:
    """d = det A"""
    x = A if A is not None else self
    assert x is not None
    base, _ = matrix(g, x)
    return g.step((), lambda: Det(base), "d")


@operation("linalg_slogdet", "slogdet", torch="torch.linalg.slogdet")
def slogdet(g: Builder, A: Array | None = None, self: Array | None = None) -> list[Any]:
    """l = log |det A|; the sign has no gradient and is not derived"""
    x = A if A is not None else self
    assert x is not None
    base, _ = matrix(g, x)
    return [None, g.also("l", (), lambda: LogDet(base))]


@operation("linalg_solve", torch="torch.linalg.solve")
def solve(g: Builder, A: Array, B: Array) -> Array:
    """x[i,k] = sum_j (A^-1)[i,j] b[j,k]"""
    base, turned = matrix(g, A)
    g.same(A.shape[1], B.shape[0])
    if B.dim > 2:
        raise g.refusal(N_("it is of one matrix, not of several at a time"))

    def at(i: Expr, *k: Expr) -> Expr:
        return g.sum(lambda j: Inverse(base)[(j, i) if turned else (i, j)] * B[(j, *k)], A.shape[1])

    return g.step(B.shape, at, "x")


refused("logdet", reason=N_("it is no number where the determinant is negative; use torch.linalg.slogdet(A)[1]"))
refused("linalg_cholesky", "cholesky", "linalg_cholesky_ex", "linalg_qr", "linalg_svd", "_linalg_svd", "linalg_eigh",
        "linalg_eig", "_linalg_eigh", "linalg_matrix_exp", "matrix_exp", "linalg_pinv", "linalg_lstsq", "pinverse",
        reason=N_("it is an algorithm on a whole matrix, and no formula of its entries"))  # fmt: skip
