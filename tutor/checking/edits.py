"""EDITS, the table of small changes that put a line right: a row looks at one part and offers what could stand there.

Rows stand with the order in which they are tried, which depends on what is wrong with the values: their size, their
shape, or one constant factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import isfinite, prod
from typing import Any, TypeGuard

from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library, pool
from tutor.checking.library import INDEX
from tutor.checking.offers import Offers
from tutor.checking.rewriting import (
    MOST_ADDED,
    Edit,
    Line,
    Place,
    alike,
    all_of,
    attribute,
    binary,
    called,
    constant,
    everywhere,
    foreign,
    is_dim,
    like,
    method,
    named,
    negative,
    number,
    picked,
    with_part,
)


def _is_number(node: lang.Expression) -> bool:
    return isinstance(node.operand if isinstance(node, lang.Unary) else node, lang.Number)


# -- the rows -------------------------------------------------------------------------------------------------------
# each takes the search and a place, and yields what could stand there instead

Offer = Iterator[lang.Expression]


def _unminus(s: Offers, p: Place) -> Offer:
    """-a -> a"""
    if isinstance(p.node, lang.Unary) and p.node.op == "-":
        if isinstance(p.parent, lang.Call) and _is_one(p.node.operand):
            yield number(0)  # an axis or a diagonal: 0 lies nearer than 1
        yield p.node.operand


def _flipped(s: Offers, p: Place) -> Offer:
    """a + b <-> a - b"""
    if isinstance(p.node, lang.Binary) and p.node.op in "+-":
        yield like(p.node, op="-" if p.node.op == "+" else "+")


def _sides(s: Offers, p: Place) -> Offer:
    """a - b -> b - a"""
    if isinstance(p.node, lang.Binary) and p.node.op == "-":
        yield like(p.node, left=p.node.right, right=p.node.left)


def _negated(s: Offers, p: Place) -> Offer:
    """a*b -> -a*b, for a whole product"""
    if _is_chain(s, p) and not isinstance(p.node, lang.Unary):
        parent = p.parent
        summand = isinstance(parent, lang.Binary) and p.node is parent.right and parent.op in "+-"
        compared = isinstance(parent, lang.Binary) and parent.op in _TURNED
        if not summand and not compared:  # there the operator is turned
            yield negative(p.node)


def _is_chain(s: Offers, p: Place) -> bool:
    """A whole product: not a factor of a larger one, and no minus before it."""
    parent = p.parent
    if isinstance(parent, lang.Binary):
        return parent.op not in ("*", "/", "@", "**") or (parent.op == "**" and p.node is parent.right)
    return not isinstance(parent, (lang.Unary, lang.Attribute, lang.Subscript))


def _numbers(s: Offers, p: Place) -> Offer:
    """another number close by"""
    node = p.node
    if not isinstance(node, lang.Number) or isinstance(node.value, bool):
        return
    v = node.value
    power = isinstance(p.parent, lang.Binary) and p.parent.op == "**" and p.parent.right is node
    near = Fraction(v).limit_denominator(6) if isfinite(v) else Fraction(0)
    offered: list[float] = []
    if not float(v).is_integer() and near and float(near) != v and abs(float(near) - v) < 0.05 * abs(v):
        offered.append(float(near))
    offered += [v + 1, v - 1, 2 * v, v / 2, -v] if power else [2 * v, v / 2, v + 1, v - 1, 4 * v, v / 4, 0.5]
    if isinstance(v, float) and v.is_integer() is False:
        offered.append(round(v))
    for other in dict.fromkeys(offered):
        if other != v and (other != 0 or not power):
            yield number(other) if other >= 0 else negative(number(-other))


def _scaled(s: Offers, p: Place) -> Offer:
    """The constant that is missing: 2*a, a/N, ..."""
    summand = isinstance(p.parent, lang.Binary) and p.parent.op in "+-"
    if s.symptom == "scaled" if summand else p.parent is not None:
        return  # the whole where the whole is off, else one of several terms
    if p.parent is None and s.ratio is not None:
        yield from _rescaled(s, p.node, s.ratio, [(), *((n,) for n in s.sizes)])
    for text in (2, 0.5):
        yield binary(number(text), "*", p.node)
    for size in s.sizes:
        yield binary(p.node, "/", named(size))
        yield binary(named(size), "*", p.node)
    for size in s.sizes:
        yield binary(p.node, "/", binary(named(size), "-", number(1)))
        yield binary(p.node, "/", binary(named(size), "**", number(0.5)))


def _scaled_by_two_sizes(s: Offers, p: Place) -> Offer:
    """a -> a/(N*D)"""
    if p.parent is None and s.ratio is not None:
        pairs = [(a, b) for n, a in enumerate(s.sizes) for b in s.sizes[n:]]
        yield from _rescaled(s, p.node, s.ratio, pairs)


def _rescaled(s: Offers, node: lang.Expression, ratio: float, products: Sequence[tuple[str, ...]]) -> Offer:
    """By one over the ratio, where that is a simple number times or over sizes."""
    sizes = s.here.draw.sizes
    for names in products:
        extent = prod(sizes[n] for n in names)
        for op, left in (("/", ratio / extent), ("*", ratio * extent)):
            if not isfinite(left):
                continue
            near = Fraction(left).limit_denominator(12)
            if near and abs(near.numerator) <= 12 and abs(float(near) - left) <= 1e-9 * abs(left):
                made = _times(1 / near, node)
                if names:
                    made = binary(made, op, _product(names))
                if made is not node:
                    yield made
                if not names:
                    break  # over nothing or times nothing is the same


def _product(names: Sequence[str]) -> lang.Expression:
    made: lang.Expression = named(names[0])
    for name in names[1:]:
        made = binary(made, "*", named(name))
    return made


def _times(factor: Fraction, node: lang.Expression) -> lang.Expression:
    """-2*a, 0.5*a, a/3, 2*a/3; of 3*a by 1/3, a"""
    bare = _without_number(node, factor)
    if bare is not None:
        return bare
    size = abs(factor)
    if size.denominator in (1, 2, 4):
        made = node if size == 1 else binary(number(float(size)), "*", node)
    else:
        top = node if size.numerator == 1 else binary(number(size.numerator), "*", node)
        made = binary(top, "/", number(size.denominator))
    return negative(made) if factor < 0 else made


def _without_number(node: lang.Expression, factor: Fraction) -> lang.Expression | None:
    """`a`, where `node` is a times a number that the factor takes away."""
    if not isinstance(node, lang.Binary) or node.op not in "*/" or factor == 1:
        return None
    left, right = node.left, node.right
    if node.op == "*" and isinstance(left, lang.Number) and left.value * factor == 1:
        return right
    if isinstance(right, lang.Number) and right.value == (factor if node.op == "/" else 1 / factor):
        return left
    return None


def _unscaled(s: Offers, p: Place) -> Offer:
    """2*a -> a, a/N -> a"""
    node = p.node
    if not isinstance(node, lang.Binary) or node.op not in "*/":
        return
    if _is_constant(s, node.right):
        yield node.left
    if node.op == "*" and _is_constant(s, node.left):
        yield node.right
    if node.op == "/" and _is_constant(s, node.left) and not _is_one(node.left):
        yield like(node, left=number(1))


def _is_one(node: lang.Expression) -> bool:
    return isinstance(node, lang.Number) and node.value == 1


def _is_constant(s: Offers, node: lang.Expression) -> bool:
    """Numbers and sizes only."""
    return all(
        isinstance(n, (lang.Number, lang.Binary, lang.Unary)) or (isinstance(n, lang.Name) and n.name in s.names.sizes)
        for n in lang.walk(node)
    )


def _is_count(node: lang.Expression) -> TypeGuard[lang.Number]:
    if not isinstance(node, lang.Number) or isinstance(node.value, bool):
        return False
    return node.value > 1 and float(node.value).is_integer()


def _sizes(s: Offers, p: Place) -> Offer:
    """N -> D, N - 1, 1; N - 1 -> N; a number that stands where a size belongs, 3 -> N"""
    node = p.node
    if _is_count(node) and not _is_power(p):
        divides = isinstance(p.parent, lang.Binary) and p.parent.op == "/" and p.parent.right is node
        shown = s.judge.points[0].sizes
        likely = sorted(s.sizes, key=lambda size: shown[size] != node.value)
        yield from (named(size) for size in likely if divides or shown[size] == node.value)
    if isinstance(node, lang.Name) and node.name in s.names.sizes:
        yield from (named(other) for other in s.sizes if other != node.name)
        yield binary(node, "-", number(1))
        if isinstance(p.parent, lang.Binary) and p.parent.op == "/":
            yield from (binary(node, "*", named(other)) for other in s.sizes if other != node.name)
    elif isinstance(node, lang.Binary) and node.op in "+-" and _is_number(node.right) and _is_size(s, node.left):
        yield node.left


def _mean_or_sum(s: Offers, p: Place) -> Offer:
    """.sum <-> .mean"""
    node = p.node
    other = {"sum": "mean", "mean": "sum", "Sum": "Mean", "Mean": "Sum", "prod": "sum"}
    if isinstance(node, lang.Call) and called(node) in other:
        yield like(node, function=like(node.function, name=other[called(node)]))


def _powers(s: Offers, p: Place) -> Offer:
    """a**n -> a; a -> a**2"""
    node = p.node
    if isinstance(node, lang.Binary) and node.op == "**":
        yield node.left
        yield binary(number(1), "/", node.left)
        return
    if not _is_atom(node) or isinstance(node, lang.Number) or _is_size(s, node):
        return
    parent = p.parent
    if isinstance(parent, lang.Binary) and parent.op == "**":
        return
    yield binary(node, "**", number(2))
    yield binary(node, "**", number(3))
    yield binary(node, "**", number(0.5))


def _is_atom(node: lang.Expression) -> bool:
    return isinstance(node, (lang.Name, lang.Number)) or (
        isinstance(node, lang.Subscript) and isinstance(node.value, lang.Name)
    )


def _is_size(s: Offers, node: lang.Expression) -> bool:
    return isinstance(node, lang.Name) and node.name in s.names.sizes


_OTHER_OPERATORS = {"*": "/@+-", "/": "*-", "@": "*", "+": "*", "-": "*/", "**": "*"}


def _operators(s: Offers, p: Place) -> Offer:
    """* <-> /, @, +"""
    if isinstance(p.node, lang.Binary):
        for op in _OTHER_OPERATORS.get(p.node.op, ""):
            if op != "@" or not s.line.indexed:
                yield like(p.node, op=op)


def _near_names(s: Offers, p: Place) -> Offer:
    """a value for its gradient and the reverse, and names that stand near in the program, of the same shape"""
    yield from _swapped_names(s, p, True, True)


def _other_names(s: Offers, p: Place) -> Offer:
    """another name of the same shape"""
    yield from _swapped_names(s, p, False, True)


def _names_of_other_shape(s: Offers, p: Place) -> Offer:
    """another name, of another shape"""
    yield from _swapped_names(s, p, True, False)
    yield from _swapped_names(s, p, False, False)


def _swapped_names(s: Offers, p: Place, near: bool, alike: bool) -> Offer:
    mine = s.names.read(p.node)
    value = s.values.get(mine or "")
    if mine is None or value is None or (p.role == "index" and s.line.indexed):
        return
    if isinstance(p.parent, lang.Attribute) and p.parent.name in ("grad", "data"):
        return
    for name, other in s.offers:
        close = s.close(name) or name == f"d{mine}" or mine == f"d{name}"
        if name == mine or close is not near or (other.shape == value.shape) is not alike:
            continue
        if not s.line.indexed or other.ndim == value.ndim:
            yield s.spell(name)


def _renamed(s: Offers, p: Place) -> Offer:
    """one name for another wherever it stands: the whole line for its root"""
    if p.parent is not None:
        return
    for mine in dict.fromkeys(q.node.name for q in s.line.values() if isinstance(q.node, lang.Name)):
        found = [q for q in s.line.values() if isinstance(q.node, lang.Name) and q.node.name == mine]
        if len(found) > 1:
            for other in (*_near_names(s, found[0]), *_other_names(s, found[0])):
                yield everywhere(p.node, mine, other)


_RELATED = {
    "sin": "cos", "cos": "sin", "exp": "log", "log": "exp", "tanh": "sigmoid", "sigmoid": "tanh", "sqrt": "square",
    "square": "sqrt", "sinh": "cosh", "cosh": "sinh", "sign": "abs", "abs": "sign", "relu": "sign", "softmax": "exp",
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "Max": "Min", "Min": "Max", "amax": "amin",
    "amin": "amax", "erf": "exp", "log1p": "log", "expm1": "exp", "softplus": "sigmoid", "zeros_like": "ones_like",
    "ones_like": "zeros_like", "log_softmax": "softmax", "tan": "cos", "argmax": "argmin", "rsqrt": "sqrt",
}  # fmt: skip
_MORE_RELATED = {
    "sigmoid": ("softmax", "relu"),
    "sign": ("relu",),
    "sqrt": ("rsqrt",),
    "softmax": ("log_softmax", "sigmoid"),
}


def _functions(s: Offers, p: Place) -> Offer:
    """sin <-> cos, exp <-> log, ..."""
    node = p.node
    if not isinstance(node, lang.Call):
        return
    name = called(node)
    for other in (_RELATED.get(name), *_MORE_RELATED.get(name, ())):
        if other is not None:
            yield like(node, function=like(node.function, name=other))


def _unwrapped(s: Offers, p: Place) -> Offer:
    """f(a) -> a"""
    node = p.node
    if isinstance(node, lang.Call):
        entry = library.FUNCTION.get(called(node))
        if entry is not None and entry.elementwise and not node.named:
            if len(node.arguments) == 1:
                yield node.arguments[0]
            elif not node.arguments and isinstance(node.function, lang.Attribute):
                yield node.function.value


def _wrapped(s: Offers, p: Place) -> Offer:
    """a -> f(a), with the functions of the exercise"""
    plain = _is_atom(p.node) or isinstance(p.node, (lang.Binary, lang.Unary))
    if not plain or isinstance(p.node, lang.Number) or _is_size(s, p.node):
        return
    in_torch = any(lang.is_module(q.node) for q in s.line.order if isinstance(q.node, lang.Attribute))
    for name in s.functions:
        function = attribute(named("torch"), name) if in_torch else named(name)
        yield lang.Call(0, 0, 0, function, (p.node,), ())


_TURNED = {">": ("<", ">="), "<": (">", "<="), ">=": ("<=", ">"), "<=": (">=", "<"), "==": ("!=",), "!=": ("==",)}


def _comparisons(s: Offers, p: Place) -> Offer:
    """> -> <, >="""
    if isinstance(p.node, lang.Binary):
        for op in _TURNED.get(p.node.op, ()):
            yield like(p.node, op=op)
    elif isinstance(p.node, lang.Unary) and p.node.op == "~":
        yield p.node.operand


def _as_numbers(s: Offers, p: Place) -> Offer:
    """-(z > 0) -> -(z > 0).double(): torch has no minus for masks"""
    if isinstance(p.parent, lang.Unary) and isinstance(p.node, lang.Binary) and p.node.op in _TURNED:
        yield method(p.node, "double")


def _untransposed(s: Offers, p: Place) -> Offer:
    """a.T -> a"""
    if isinstance(p.node, lang.Attribute) and p.node.name in ("T", "mT"):
        yield p.node.value


def _transposed(s: Offers, p: Place) -> Offer:
    """a -> a.T"""
    if s.line.indexed or isinstance(p.parent, lang.Attribute) or isinstance(p.node, lang.Attribute):
        return
    shape = s.shape(p.node)
    if shape is not None and len(shape) == 2:
        yield attribute(p.node, "T")
    elif shape is not None and len(shape) > 2:
        yield attribute(p.node, "mT")


def _products_sides(s: Offers, p: Place) -> Offer:
    """a @ b -> b @ a; a/b -> b/a"""
    node = p.node
    if isinstance(node, lang.Binary) and node.op in ("@", "/"):
        yield like(node, left=node.right, right=node.left)
    if isinstance(node, lang.Binary) and node.op == "@" and not s.line.indexed:
        yield like(node, left=_toggled(node.right), right=_toggled(node.left))
        yield like(node, left=_toggled(node.left), right=_toggled(node.right))
        yield attribute(node, "T")
        yield like(node, left=_toggled(node.right), right=node.left)
        yield like(node, left=node.right, right=_toggled(node.left))


def _toggled(node: lang.Expression) -> lang.Expression:
    return node.value if isinstance(node, lang.Attribute) and node.name in ("T", "mT") else attribute(node, "T")


def _argument_order(s: Offers, p: Place) -> Offer:
    """f(a, b) -> f(b, a)"""
    node = p.node
    if isinstance(node, lang.Call) and len(node.arguments) >= 2 and called(node) not in INDEX:
        first, *rest = node.arguments
        if isinstance(first, lang.Text) or called(node) == "where":
            if len(rest) == 2:
                yield like(node, arguments=(first, rest[1], rest[0]))
        elif not is_dim(rest[0]):
            yield like(node, arguments=(rest[0], first, *rest[1:]))


def _axes(s: Offers, p: Place) -> Offer:
    """.sum(0) -> .sum(1), .sum(); keepdim"""
    node = p.node
    if not isinstance(node, lang.Call) or not library.traits(called(node)).along:
        return
    function = node.function
    owner = function.value if isinstance(function, lang.Attribute) and not lang.is_module(function.value) else None
    if owner is None and not node.arguments:
        return
    skip = 0 if owner is not None else 1
    shape = s.shape(node.arguments[0] if owner is None else owner)
    ndim = 2 if shape is None else len(shape)
    dim = next((v for n, v in node.named if n in ("dim", "axis")), None)
    if dim is None and len(node.arguments) > skip:
        dim = node.arguments[skip]
    others = [n for n in range(ndim) if not (isinstance(dim, lang.Number) and dim.value in (n, n - ndim))]
    yield from (_with_dim(node, skip, number(other)) for other in others)
    if dim is not None and library.traits(called(node)).reduces:
        left = tuple((n, v) for n, v in node.named if n not in ("dim", "axis", "keepdim", "keepdims"))
        yield like(node, arguments=node.arguments[:skip], named=left)
        if ndim > 2:
            yield from (_with_dim(node, skip, _pair(a, b)) for a in range(ndim) for b in range(a + 1, ndim))
    yield from _kept_axes(node, skip, dim, others)


def _kept_axes(node: lang.Call, skip: int, dim: lang.Expression | None, others: list[int]) -> Offer:
    """keepdim=True, more or less"""
    plain = tuple((n, v) for n, v in node.named if n not in ("keepdim", "keepdims"))
    if len(plain) < len(node.named):
        yield like(node, named=plain)
        yield from (_with_dim(like(node, named=plain), skip, number(other)) for other in others)
    elif len(node.arguments) > skip + 1:
        yield like(node, arguments=node.arguments[: skip + 1])
    elif library.traits(called(node)).reduces:
        kept = like(node, named=(*node.named, ("keepdim", constant(True))))
        if dim is not None:
            yield kept
        yield from (_with_dim(kept, skip, number(other)) for other in others)


def _pair(a: int, b: int) -> lang.Expression:
    return lang.Sequence(0, 0, 0, (number(a), number(b)))


def _with_dim(node: lang.Call, skip: int, dim: lang.Expression) -> lang.Call:
    if any(n in ("dim", "axis") for n, _ in node.named):
        return like(node, named=tuple((n, dim if n in ("dim", "axis") else v) for n, v in node.named))
    return like(node, arguments=(*node.arguments[:skip], dim, *node.arguments[skip + 1 :]))


def _unsummed(s: Offers, p: Place) -> Offer:
    """a.sum(0) -> a; Sum(f, i) -> f"""
    node = p.node
    if not isinstance(node, lang.Call):
        return
    name = called(node)
    known = library.traits(name)
    if name in ("KroneckerDelta", "delta"):
        yield number(1)
    elif name in INDEX and INDEX[name].over:
        yield from node.arguments[:1]
    elif known.along or known.sized or known.shares or name in ("clone", "outer"):
        if isinstance(node.function, lang.Attribute) and not lang.is_module(node.function.value):
            yield node.function.value
        elif node.arguments:
            yield node.arguments[0]


def _summed(s: Offers, p: Place) -> Offer:
    """a -> a.sum(0)"""
    if s.line.indexed:
        yield from _index_summed(s, p)
        return
    if isinstance(p.parent, lang.Attribute) and isinstance(p.node, lang.Name) and p.depth > 1:
        return
    shape = s.shape(p.node)
    if shape is None or not 1 <= len(shape) <= 4 or isinstance(p.node, lang.Attribute):
        return
    if len(shape) == 1:
        yield method(p.node, "sum")
        return
    for keep in (False, True):
        more = {"keepdim": constant(True)} if keep else {}
        for dim in range(len(shape)):
            yield method(p.node, "sum", number(dim), **more)
    if len(shape) > 2:
        yield from (method(p.node, "sum", _pair(a, b)) for a in range(len(shape)) for b in range(a + 1, len(shape)))
    yield method(p.node, "sum")


def _index_summed(s: Offers, p: Place) -> Offer:
    """f[i, k] -> Sum(f[i, k], i)"""
    if not _is_chain(s, p) or _is_number(p.node):
        return
    inside = {n.name for n in lang.walk(p.node) if isinstance(n, lang.Name) and n.name in s.ranges}
    loose = sorted(inside - s.free_labels - set(p.bound)) or (sorted(inside) if p.depth else [])
    for label in loose:
        yield lang.Call(0, 0, 0, named("Sum"), (p.node, named(label)), ())
    if len(loose) == 2:
        yield lang.Call(0, 0, 0, named("Sum"), (p.node, *map(named, loose)), ())


def _one_hot(s: Offers, p: Place) -> Offer:
    """y -> F.one_hot(y, K), for labels that are computed with"""
    quantity = s.exercise.quantities.get(p.node.name) if isinstance(p.node, lang.Name) else None
    if s.line.indexed or quantity is None or quantity.domain != "index" or isinstance(p.parent, lang.Call):
        return
    function = attribute(named("F"), "one_hot")
    yield lang.Call(0, 0, 0, function, (p.node, named(str(quantity.below))), ())


def _columns(s: Offers, p: Place) -> Offer:
    """a[:, None] <-> a; [None, :] <-> [:, None]"""
    if s.line.indexed:
        return
    node = p.node
    if isinstance(node, lang.Subscript) and any(isinstance(i, lang.Constant) and i.value is None for i in node.items):
        if len(node.items) == 2:
            yield like(node, items=node.items[::-1])
        yield node.value
        return
    shape = s.shape(node)
    if isinstance(p.parent, lang.Subscript) or shape is None or not isinstance(p.parent, lang.Binary):
        return
    if len(shape) == 1 or (len(shape) == 2 and isinstance(node, lang.Call)):
        yield picked(node, all_of(), constant(None))


def _left_out_parts(s: Offers, p: Place) -> Offer:
    """a*b -> a, b; a + b -> a, b"""
    node = p.node
    if not isinstance(node, lang.Binary):
        return
    if node.op in ("*", "+", "@", "&", "|"):
        yield node.left
        yield node.right
    elif node.op == "-":
        yield node.left
        yield node.right
        yield negative(node.right)
    elif node.op == "/":
        yield node.left
        if not isinstance(node.left, lang.Number):
            yield binary(number(1), "/", node.right)


def _factors(s: Offers, p: Place) -> Offer:
    """a -> a*b, a/b with a name that stands near"""
    yield from _more_factors(s, p, True)


def _other_factors(s: Offers, p: Place) -> Offer:
    yield from _more_factors(s, p, False)


def _more_factors(s: Offers, p: Place, near: bool) -> Offer:
    one = isinstance(p.node, lang.Number) and p.node.value == 1 and isinstance(p.parent, lang.Binary)
    if not (_is_chain(s, p) or one or _is_factor_site(s, p)):
        return
    shape = s.shape(p.node)
    for name, value in s.offers if not _is_nothing(s, p.node) else ():
        own = s.shape_of(value)
        if s.close(name) is not near or not _fits(own, shape):
            continue
        column = shape is not None and len(shape) == 2 and own == shape[:1]
        for other in s.entries(name, p):
            if column:
                other = picked(other, all_of(), constant(None))
            if one:
                yield other
            else:
                yield binary(p.node, "*", other)
                if not _has_factor(p.node, other):
                    yield binary(p.node, "/", other)


def _has_factor(node: lang.Expression, other: lang.Expression) -> bool:
    """Whether it is among the factors already: to divide by it is to leave it out, which is tried by itself."""
    if alike(node, other):
        return True
    return isinstance(node, lang.Binary) and (
        (node.op in "*/" and _has_factor(node.left, other)) or (node.op == "*" and _has_factor(node.right, other))
    )


def _is_nothing(s: Offers, node: lang.Expression) -> bool:
    """Zeros to be filled: any factor leaves them as they are."""
    made = None if s.line.indexed else s.here.part(node)
    return isinstance(made, Tensor) and not bool(made.any())


def _matrix_factors(s: Offers, p: Place) -> Offer:
    """a -> x.T @ a, a @ W.T, where the shapes fit"""
    shape = s.shape(p.node)
    if shape is None or not 1 <= len(shape) <= 2 or isinstance(p.parent, lang.Attribute):
        return
    if _is_nothing(s, p.node):
        return
    wanted = tuple(s.targets[0].value.shape) if p.parent is None else None
    for name, value in s.offers:
        if not 1 <= value.ndim <= 2 or s.names.read(p.node) == name:
            continue
        straight = s.spell(name)
        for other in (straight, attribute(straight, "T")):
            own = tuple(value.shape) if other is straight else tuple(value.shape)[::-1]
            if own[-1] == shape[0] and wanted in (None, own[:-1] + shape[1:]):
                yield binary(other, "@", p.node)
            if shape[-1] == own[0] and wanted in (None, shape[:-1] + own[1:]):
                yield binary(p.node, "@", other)


def _is_factor_site(s: Offers, p: Place) -> bool:
    """An operand of @, what a method is called on, a denominator: a product of its own."""
    parent = p.parent
    if isinstance(parent, lang.Binary):
        return parent.op == "@" or (parent.op == "/" and p.node is parent.right)
    return parent is not None and s.line.role(parent) == "method"


def _fits(shape: tuple[int, ...], other: tuple[int, ...] | None) -> bool:
    """Whether there is such a product with as many axes as the other has, or that is not known."""
    if other is None:
        return True
    if len(shape) > len(other):
        return other == ()
    tail = other[len(other) - len(shape) :]
    spreads = all(a == b or 1 in (a, b) for a, b in zip(shape, tail, strict=True))
    return spreads or (len(other) == 2 and shape == other[:1])


def _terms(s: Offers, p: Place) -> Offer:
    """p -> p - y, 1 - p, at names and for the whole line"""
    if not _is_term_site(p) or not (_is_atom(p.node) or p.parent is None):
        return
    if not _is_size(s, p.node) and not isinstance(p.node, lang.Number):
        yield binary(number(1), "-", p.node)
        yield binary(p.node, "-", number(1))
    yield from _more_terms(s, p, True)


def _other_terms(s: Offers, p: Place) -> Offer:
    """the same with other names, and at other places"""
    if _is_term_site(p):
        plain = _is_atom(p.node) or p.parent is None
        yield from _more_terms(s, p, not plain)
        if not plain:
            yield binary(number(1), "-", p.node)
            yield binary(p.node, "-", number(1))


def _more_terms(s: Offers, p: Place, near: bool) -> Offer:
    node = p.node
    if _is_size(s, node):
        return
    shape = s.shape(node)
    for name, value in s.offers:
        own = s.shape_of(value)
        column = shape is not None and len(shape) == 2 and own == shape[:1] and p.parent is None
        if s.close(name) is not near or s.names.read(node) == name or not (not shape or own == shape or column):
            continue
        for other in s.entries(name, p):
            other = picked(other, all_of(), constant(None)) if column else other
            yield binary(node, "-", other)
            yield binary(node, "+", other)
            if isinstance(node, lang.Number):
                yield binary(node, "-", binary(other, "**", number(2)))
            elif p.parent is None:
                yield binary(other, "-", node)


def _is_term_site(p: Place) -> bool:
    node = p.node
    if isinstance(node, lang.Unary) or (isinstance(node, lang.Number) and _is_power(p)):
        return False
    if isinstance(p.parent, lang.Attribute):
        return not isinstance(node, lang.Name)
    return not isinstance(p.parent, lang.Subscript)


def _is_power(p: Place) -> bool:
    return isinstance(p.parent, lang.Binary) and p.parent.op == "**" and p.parent.right is p.node


MOST_SOLVED = 40  # places of one line
MOST_RESTORED = 24


def _restored(s: Offers, p: Place) -> Iterator[Any]:
    """a -> a + part, a*part: what the line's slope at a place asks for, over all places of the line"""
    if p.parent is not None:
        return
    found: list[tuple[Any, Edit]] = []
    for place in islice((q for q in s.line.values() if s.line.own(q.node)), MOST_SOLVED):
        found += _restored_at(s, place)
    found.sort(key=lambda keyed: keyed[0])
    yield from (edit for _, edit in found[:MOST_RESTORED])


def _restored_at(s: Offers, p: Place) -> Iterator[tuple[Any, Edit]]:
    """(how far-fetched it is, the edit)"""
    if isinstance(p.node, lang.Number) and isinstance(p.parent, lang.Unary):
        return  # -4 is one number
    slope = None if isinstance(p.node, lang.Attribute) and lang.is_module(p.node) else s.slope(p)
    if slope is None:
        return
    if slope.vanishing and not _is_constant(s, p.node):
        zeros = not s.line.indexed and not s.stacked and s.shape(p.node)
        nothing = lang.Call(0, 0, 0, attribute(named("torch"), "zeros_like"), (p.node,), ()) if zeros else number(0)
        yield (False, 0, False, -p.depth), Edit(p.node, nothing)
        return
    forms = s.forms(slope)
    found = [(form, c, "*") for form, c in slope.constants(forms, True)]
    if _is_term_site(p):
        found += [(form, c, "+") for form, c in slope.constants(forms, False)]
    found += [(form, c, "/") for form, c in slope.constants(forms.inverse, True)]
    for form, c, op in found:
        if op == "/" and _has_factor(p.node, form):
            continue
        made = _put_in(s, p.node, form, c, op)
        if made is not None:
            folded = op == "*" and _is_number(p.node)
            yield (
                (abs(abs(c) - 1) > 1e-6 and not folded, _length(form) + (op == "/"), not _is_chain(s, p), -p.depth),
                Edit(p.node, made),
            )


def _length(node: lang.Expression) -> int:
    return sum(1 for _ in lang.walk(node))


def _put_in(
    s: Offers, node: lang.Expression, form: lang.Expression, constant_: float, op: str
) -> lang.Expression | None:
    """node + c*form, node*form*c, node/form*c with a simple c"""
    found = pool.simple(constant_, s.here.draw.sizes)
    if found is None:
        return None
    factor, names, over = found
    if op == "+":
        if isinstance(form, lang.Name) and isinstance(node, lang.Name) and form.name == node.name and not names:
            return _times(1 + factor, node)  # 2*lam rather than lam + lam
        made = form if not names else binary(form, over, _product(names))
        made = _times(abs(factor), made)
        return binary(node, "-" if factor < 0 else "+", made)
    if _is_number(node) and op == "*" and not _is_one(form):  # one number for both
        given = node.operand.value if isinstance(node, lang.Unary) else node.value  # type: ignore[attr-defined]
        whole = factor * Fraction(given).limit_denominator(10**6) * (-1 if isinstance(node, lang.Unary) else 1)
        return _times(whole, form if not names else binary(form, over, _product(names)))
    alone = (_is_number(node) and not isinstance(node, lang.Unary) and node.value == 1) or _is_one(form)  # type: ignore[attr-defined]
    if alone and op == "/":
        return None
    made = (node if _is_one(form) else form) if alone else binary(node, op, form)
    made = made if not names else binary(made, over, _product(names))
    return _times(factor, made)


def _local_factors(s: Offers, p: Place) -> Offer:
    """dv -> dv*(1 - v**2), with the local derivative of the true step"""
    if _is_chain(s, p) and (p.depth <= 3 or not s.line.indexed):
        yield from (binary(p.node, "*", form) for form in _true_forms(s)[0])


def _masks(s: Offers, p: Place) -> Offer:
    """da*a -> da*(z > 0): the mask of the true step, for a tensor that stands in its place"""
    factor = isinstance(p.parent, lang.Binary) and p.parent.op == "*"
    if factor and _is_atom(p.node) and not isinstance(p.node, lang.Number):
        yield from (mask for form in _true_forms(s)[0] if (mask := _mask_of(form)) is not None)


def _mask_of(form: lang.Expression) -> lang.Expression | None:
    """z > 0, of where(z > 0, 1, 0)"""
    if not isinstance(form, lang.Call) or called(form) != "where" or len(form.arguments) != 3:
        return None
    condition, *values = form.arguments
    given = [value.value for value in values if isinstance(value, lang.Number)]
    return condition if given == [1, 0] else None


def _paths(s: Offers, p: Place) -> Offer:
    """a -> a + b, with one of several true contributions"""
    if p.parent is None:
        yield from (binary(p.node, "+", form) for form in _true_forms(s)[1])


def _true_forms(s: Offers) -> tuple[list[lang.Expression], list[lang.Expression]]:
    """Local factors, and contributions where there are several, as the learner would write them."""
    if s.meaning.kind != "gradient" or s.meaning.of not in s.exercise.quantities:
        return [], []
    key = ("true forms", s.meaning.of, s.line.indexed)
    factors, parts = s.exercise.cached(key, lambda: _forms(s.exercise, s.meaning.of, s.line.indexed))
    if not s.line.indexed:
        return factors, parts
    own = dict(zip((i.name for i in s.exercise[s.meaning.of].indices), s.target_labels, strict=False))
    return [pool.relabelled(f, own) for f in factors], [pool.relabelled(f, own) for f in parts]


def _forms(exercise: Any, of: str, indexed: bool) -> tuple[list[lang.Expression], list[lang.Expression]]:
    from sympy import Add, Mul

    from tutor.symbolic.derive import contributions

    q = exercise[of]
    terms = [t for part in contributions(exercise, q) for t in part.terms]
    factors = [Mul(*t.factors) for t in terms if not t.over]
    inner = {part for t in terms for f in t.factors for part in f.find(lambda n: n.is_Function and len(n.args) == 1)}
    factors += sorted(inner, key=str)[:4]
    parts = [t.expr for t in terms] if len(terms) > 1 else []
    # a sum in a local derivative: what a product rule leaves out
    parts += [t.upstream * a for t in terms if not t.over for f in t.factors if isinstance(f, Add) for a in f.args]
    read = (_form(exercise, q.indices, indexed, expr) for expr in (*factors, *parts))
    made = list(read)
    return [f for f in made[: len(factors)] if f is not None], [f for f in made[len(factors) :] if f is not None]


def _form(exercise: Any, indices: Any, indexed: bool, expr: Any) -> lang.Expression | None:
    from tutor.answers import python
    from tutor.symbolic.indices import free_indices
    from tutor.symbolic.notation import sheet_form
    from tutor.symbolic.torch_form import torch_form

    if expr.is_number or not set(free_indices(expr)) <= set(indices):
        return None
    form = sheet_form(expr, exercise) if indexed else torch_form(expr, indices, exercise)
    if not form or len(form) > MOST_ADDED:
        return None
    statement = python.read(f"a = {form}")[0].statements[0]
    return foreign(statement.value) if isinstance(statement, lang.Assign) else None


def _labels(s: Offers, p: Place) -> Offer:
    """x[i, j] -> x[j, i], x[k, j]; Sum(f, i) -> Sum(f, k)"""
    node = p.node
    if not s.line.indexed:
        return
    if isinstance(node, lang.Subscript) and p.role in ("value", "target") and len(node.items) >= 2:
        for n in range(len(node.items) - 1):
            items = list(node.items)
            items[n], items[n + 1] = items[n + 1], items[n]
            yield like(node, items=tuple(items))
    if isinstance(node, lang.Name) and p.role == "index":
        axis = s.ranges.get(node.name)
        known = [*dict.fromkeys((*s.ranges, *s.names.indices))]
        for label in known:
            own = s.ranges.get(label) or s.index_sizes.get(label)
            if label != node.name and (axis is None or own == axis or isinstance(p.parent, lang.Call)):
                yield named(label)


def _other_sums(s: Offers, p: Place) -> Offer:
    """Sum(P[l,m]*dP[l,m], l) -> Sum(P[n,l]*dP[n,l], l): the sum runs along the other axis"""
    node = p.node
    if not s.line.indexed or not isinstance(node, lang.Call) or called(node) != "Sum" or len(node.arguments) != 2:
        return
    body, over = node.arguments
    if not isinstance(over, lang.Name) or over.name not in s.ranges:
        return  # what is added up has no such index
    inside = {n.name for n in lang.walk(body) if isinstance(n, lang.Name) and n.name in s.ranges} - {over.name}
    outside = sorted((s.free_labels | set(p.bound)) & set(s.ranges) - {over.name})
    for freed in sorted(inside):
        for kept in outside:
            if kept != freed and s.ranges[kept] == s.ranges[over.name]:
                made = pool.relabelled(foreign(body), {over.name: kept, freed: over.name})
                yield like(node, arguments=(made, over))


def _torch_places(s: Offers, p: Place) -> Offer:
    """a[t] -> a[y]: another tensor of whole numbers"""
    if s.line.indexed or p.role != "index" or not isinstance(p.node, lang.Name):
        return
    for name, value in s.here.draw.values.items():
        if isinstance(value, Tensor) and not value.is_floating_point() and name != p.node.name:
            yield named(name)


@dataclass(frozen=True)
class Row:
    """One kind of edit, the roles of the nodes it looks at, and when it is tried: by what is wrong with the values."""

    offer: Callable[[Offers, Place], Offer]
    values: int
    scaled: int
    shape: int
    roles: tuple[str, ...] = ("value",)


# smaller is tried earlier
EDITS: tuple[Row, ...] = (
    Row(_one_hot, 1, 1, 0),
    Row(_as_numbers, 1, 1, 0),
    Row(_unminus, 1, 1, 1),
    Row(_flipped, 2, 4, 21),
    Row(_sides, 3, 2, 22),
    Row(_negated, 4, 3, 23),
    Row(_unscaled, 5, 5, 24),
    Row(_sizes, 6, 6, 26, ("value", "size")),
    Row(_numbers, 7, 7, 25),
    Row(_mean_or_sum, 8, 8, 12),
    Row(_left_out_parts, 9, 13, 11),
    Row(_operators, 10, 14, 6),
    Row(_powers, 11, 16, 28),
    Row(_near_names, 12, 10, 13, ("value", "index")),
    Row(_renamed, 13, 11, 14),
    Row(_comparisons, 14, 22, 37, ("value", "index")),
    Row(_masks, 14, 22, 37),
    Row(_functions, 15, 12, 27),
    Row(_untransposed, 16, 23, 2),
    Row(_axes, 17, 24, 1),
    Row(_other_names, 18, 32, 18),
    Row(_labels, 19, 25, 3, ("value", "index", "target")),
    Row(_other_sums, 19, 25, 3),
    Row(_products_sides, 20, 26, 5),
    Row(_unwrapped, 21, 17, 29),
    Row(_unsummed, 22, 27, 7),
    Row(_argument_order, 23, 28, 15),
    Row(_columns, 24, 29, 4),
    Row(_transposed, 25, 30, 8),
    Row(_wrapped, 25, 38, 34),
    Row(_restored, 26, 20, 17),
    Row(_local_factors, 26, 20, 31),
    Row(_factors, 27, 18, 17),
    Row(_matrix_factors, 29, 34, 10),
    Row(_terms, 30, 19, 30),
    Row(_paths, 31, 21, 32),
    Row(_scaled, 32, 9, 36),
    Row(_summed, 33, 31, 9),
    Row(_names_of_other_shape, 34, 33, 16),
    Row(_torch_places, 35, 35, 19, ("index",)),
    Row(_other_factors, 36, 36, 33),
    Row(_other_terms, 37, 37, 35),
    Row(_scaled_by_two_sizes, 38, 15, 38),
)  # fmt: skip
_ORDERED = {
    symptom: tuple(sorted(EDITS, key=lambda row: getattr(row, symptom))) for symptom in ("values", "scaled", "shape")
}


def candidates(search: Offers) -> Iterator[Edit]:
    """Every edit, likeliest first."""
    yield from _operator_edits(search)
    for row in _ORDERED[search.symptom]:
        yield from _edits(search, row)


_NAMES = (_near_names, _other_names, _names_of_other_shape, _renamed)


def _edits(search: Offers, row: Row) -> Iterator[Edit]:
    for place in search.line.order:
        # only the shape of what stands in zeros_like(...) counts: another name, but nothing computed
        like_it = isinstance(place.parent, lang.Call) and called(place.parent).endswith("_like")
        if place.role in row.roles and search.line.own(place.node) and (not like_it or row.offer in _NAMES):
            for new in row.offer(search, place):
                yield new if isinstance(new, Edit) else Edit(place.node, new)


def _operator_edits(search: Offers) -> Iterator[Edit]:
    """`+=` for `=`, and the reverse"""
    statement = search.line.statement
    if isinstance(statement, lang.Update) and statement.op in "+-*/":
        yield Edit(statement.value, statement.value, {"+": "-", "-": "+", "*": "/", "/": "*"}[statement.op])
        yield Edit(statement.value, statement.value, "=")
    elif isinstance(statement, lang.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        name = search.names.read(lang.root(target))
        nothing = isinstance(statement.value, lang.Number) and not statement.value.value  # 0 added would undo the line
        if name in search.here.before and not isinstance(target, lang.Sequence) and not nothing:
            yield Edit(statement.value, statement.value, "+")
            yield Edit(statement.value, statement.value, "-")


_CONSTANTS: tuple[Callable[[Offers, Place], Offer], ...] = (_unminus, _flipped, _sides, _unscaled, _numbers)


def constants_after(search: Offers, edit: Edit) -> Iterator[Edit]:
    """A constant put right as well: inside the part that the first edit made, around it, or elsewhere on the line."""
    for offer in _CONSTANTS:
        for other in _inside(search, edit.new, offer):
            yield Edit(edit.node, other)
    yield Edit(edit.node, negative(edit.new))
    for offer in _CONSTANTS:
        for place in search.line.values():
            if search.line.own(place.node):
                for new in offer(search, place):
                    both = _together(search.line, edit, Edit(place.node, new))
                    if both is not None:
                        yield both
    for factor in (2, 0.5):
        yield Edit(edit.node, binary(number(factor), "*", edit.new))
    for size in search.sizes:
        yield Edit(edit.node, binary(edit.new, "/", named(size)))
        yield Edit(edit.node, binary(named(size), "*", edit.new))


def _together(line: Line, first: Edit, second: Edit) -> Edit | None:
    """Two edits as one of the smallest part that holds both; None where one lies inside the other."""
    above = line.ancestors(first.node)
    ids = {id(node) for node in above}
    shared = next((node for node in line.ancestors(second.node) if id(node) in ids), None)
    if shared is None or shared is first.node or shared is second.node:
        return None
    made = shared
    for edit in (first, second):
        made = _exchange_within(line, shared, made, edit)
    return Edit(shared, made)


def _exchange_within(line: Line, shared: lang.Expression, made: lang.Expression, edit: Edit) -> lang.Expression:
    """`made`, a copy of `shared` or itself, with one more node replaced along the same way down."""
    way = line.ancestors(edit.node)
    way = way[: next(n for n, node in enumerate(way) if node is shared)][::-1]

    def descend(original: lang.Expression, copy: lang.Expression, rest: list[lang.Expression]) -> lang.Expression:
        if not rest:
            return edit.new
        number_ = next(n for n, part in enumerate(lang.parts(original)) if part is rest[0])
        child = list(lang.parts(copy))[number_]
        return with_part(copy, child, descend(rest[0], child, rest[1:]))

    return descend(shared, made, way)


def _inside(search: Offers, new: lang.Expression, offer: Callable[[Offers, Place], Offer]) -> Iterator[lang.Expression]:
    """The new part with one of its own nodes edited."""
    chain: list[tuple[lang.Expression, lang.Expression | None]] = [(new, None)]
    parents: dict[int, lang.Expression] = {}
    while chain:
        node, parent = chain.pop()
        for other in offer(search, Place(node, parent, "value", 0 if parent is None else 1)):
            yield _rebuilt(parents, node, other)
        for part in lang.parts(node):
            parents[id(part)] = node
            chain.append((part, node))


def _rebuilt(parents: Mapping[int, lang.Expression], old: lang.Expression, new: lang.Expression) -> lang.Expression:
    while id(old) in parents:
        parent = parents[id(old)]
        old, new = parent, with_part(parent, old, new)
    return new
