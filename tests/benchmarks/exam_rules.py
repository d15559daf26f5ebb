"""Rules that rewrite one node of a line's syntax tree: other orders, other groupings, other spellings.

A rule offers other ways to write a node. It may be sloppy about when it holds: whoever applies it keeps a rewriting
only if plain torch gives the same values before and after it.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exam_course import Course, Expr, parsed, told
from exam_plain import BINDERS, as_tensor, run
from torch import Tensor

# -- rules -----------------------------------------------------------------------------------------------------

Rule = Callable[["Scene", Any], Iterator[Any]]
RULES: dict[type, list[tuple[str, Rule]]] = {}  # node type -> (style it is for, rule)


def rule(kind: type, style: str = "both") -> Callable[[Rule], Rule]:
    def listed(function: Rule) -> Rule:
        RULES.setdefault(kind, []).append((style, function))
        return function

    return listed


@dataclass
class Scene:
    """Where a rule is applied: the exercise, the dice, and shapes of subexpressions by plain torch."""

    where: Course
    dice: random.Random
    style: str

    def value(self, node: Expr) -> Any:
        line = ast.fix_missing_locations(ast.Assign([ast.Name("probe", ast.Store())], clone(node)))
        line.style = "torch"
        return run([line], told(self.where.cases[0])).after[0]

    def rank(self, node: Expr) -> int:
        found = as_tensor(self.value(node))
        return -1 if found is None else found.ndim

    def sized(self, length: int) -> str | None:
        """A way to write a size: N, or the shape of something that has it."""
        case = self.where.cases[0]
        ways = [n for n, extent in case.sizes.items() if extent == length]
        ways += [
            f"{n}.shape[{a}]" for n, x in case.forward.items() for a, extent in enumerate(x.shape) if extent == length
        ]
        return self.dice.choice(ways) if ways else None

    def fresh(self, tree: ast.AST) -> str:
        used = (
            {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            | self.where.names
            | set(self.where.cases[0].sizes)
        )
        free = [
            n for n in ("i", "j", "k", "l", "m", "a", "b", "c", "q", "u", "i_", "j2", "kk", "alpha") if n not in used
        ]
        return self.dice.choice([n for n in free if n not in self.where.exercise.index_symbols] or ["zz"])


def clone(node: Any) -> Any:
    """A copy of a syntax tree, quicker than `deepcopy`."""
    made = type(node)()
    made.__dict__.update({name: getattr(node, name) for name in node._attributes if hasattr(node, name)})
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            value = [clone(v) if isinstance(v, ast.AST) else v for v in value]
        setattr(made, name, clone(value) if isinstance(value, ast.AST) else value)
    return made


def op(left: Any, sign: str, right: Any) -> Expr:
    kinds = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "**": ast.Pow, "@": ast.MatMult, ">": ast.Gt}
    left, right = (n if isinstance(n, ast.expr) else parsed(str(n)) for n in (left, right))
    return ast.BinOp(left, kinds[sign](), right)


def negated(node: Expr) -> Expr:
    return ast.UnaryOp(ast.USub(), node)


def call(name: str, *arguments: Any, **named: Any) -> Expr:
    made = [n if isinstance(n, ast.expr) else parsed(str(n)) for n in arguments]
    return ast.Call(parsed(name), made, [ast.keyword(k, parsed(str(v))) for k, v in named.items()])


def method(node: Expr, name: str, *arguments: Any, **named: Any) -> Expr:
    made = call("f", *arguments, **named)
    made.func = ast.Attribute(node, name)
    return made


def is_op(node: Any, *signs: type) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, signs)


def same(a: ast.AST, b: ast.AST) -> bool:
    return ast.dump(a) == ast.dump(b)


def number_of(node: Any) -> Any:
    return (
        node.value
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        else None
    )


@rule(ast.BinOp)
def sums(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a + b, a - b: the other order, the other sign, the other grouping."""
    a, b = n.left, n.right
    if is_op(n, ast.Add):
        yield op(b, "+", a)
        yield op(a, "-", negated(b))
        yield negated(op(negated(a), "-", b))
        if is_op(a, ast.Add):
            yield op(a.left, "+", op(a.right, "+", b))
            yield op(op(a.left, "+", b), "+", a.right)
        if is_op(a, ast.Mult, ast.Div) and is_op(b, ast.Mult, ast.Div):
            yield from common(a, b, "+")
    if is_op(n, ast.Sub):
        yield op(a, "+", negated(b))
        yield negated(op(b, "-", a))
        yield op(negated(b), "+", a)
        yield op(op(-1, "*", op(b, "-", a)), "*", 1)
        if is_op(b, ast.Add):
            yield op(op(a, "-", b.left), "-", b.right)
        if is_op(a, ast.Mult, ast.Div) and is_op(b, ast.Mult, ast.Div):
            yield from common(a, b, "-")
        if number_of(a) == 1 and is_op(b, ast.Pow) and number_of(b.right) == 2:
            yield op(op(1, "-", b.left), "*", op(1, "+", b.left))
            yield op(op(b.left, "+", 1), "*", op(1.0, "-", b.left))
        if is_op(a, ast.Pow) and is_op(b, ast.Pow) and number_of(a.right) == number_of(b.right) == 2:
            yield op(op(a.left, "-", b.left), "*", op(a.left, "+", b.left))
    if same(a, b) and is_op(n, ast.Add):
        yield op(2, "*", a)


def common(a: ast.BinOp, b: ast.BinOp, sign: str) -> Iterator[Expr]:
    """a*c + b*c = (a + b)*c; a/c + b/c = (a + b)/c."""
    if type(a.op) is not type(b.op):
        return
    how = "*" if is_op(a, ast.Mult) else "/"
    if same(a.right, b.right):
        yield op(op(a.left, sign, b.left), how, a.right)
    if how == "*":
        for x, rest in ((a.left, a.right), (a.right, a.left)):
            for y, other in ((b.left, b.right), (b.right, b.left)):
                if same(x, y):
                    yield op(x, "*", op(rest, sign, other))


@rule(ast.BinOp)
def products(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a*b, a/b: the other order and grouping, expanded, with powers of -1."""
    a, b = n.left, n.right
    if is_op(n, ast.Mult):
        yield op(b, "*", a)
        if is_op(a, ast.Mult):
            yield op(a.left, "*", op(a.right, "*", b))
            yield op(op(a.left, "*", b), "*", a.right)
        if is_op(a, ast.Div):
            yield op(op(a.left, "*", b), "/", a.right)
        if is_op(b, ast.Div):
            yield op(op(a, "*", b.left), "/", b.right)
        for x, y in ((a, b), (b, a)):
            if is_op(y, ast.Add, ast.Sub):
                sign = "+" if is_op(y, ast.Add) else "-"
                yield op(op(x, "*", y.left), sign, op(x, "*", y.right))
                yield op(op(y.left, "*", x), sign, op(y.right, "*", x))
        if number_of(a) == 2:
            yield op(b, "+", clone(b))
        if same(a, b):
            yield op(a, "**", 2)
        yield negated(op(negated(a), "*", b))
        if s.style == "torch":
            yield call(s.dice.choice(["torch.mul", "torch.multiply", "np.multiply"]), a, b)
    if is_op(n, ast.Div):
        yield op(a, "*", op(b, "**", -1))
        yield op(a, "*", op(1, "/", b))
        yield op(op(1.0, "/", b), "*", a)
        yield op(op(b, "**", -1), "*", a)
        yield negated(op(a, "/", negated(b)))
        if is_op(b, ast.Mult):
            yield op(op(a, "/", b.left), "/", b.right)
            yield op(op(a, "/", b.right), "/", b.left)
        if is_op(a, ast.Div):
            yield op(a.left, "/", op(a.right, "*", b))
        if is_op(a, ast.Mult):
            yield op(a.left, "*", op(a.right, "/", b))
            yield op(op(a.left, "/", b), "*", a.right)
        if is_op(a, ast.Add, ast.Sub):
            sign = "+" if is_op(a, ast.Add) else "-"
            yield op(op(a.left, "/", b), sign, op(a.right, "/", b))
        if number_of(b) == 2:
            yield op(0.5, "*", a)
            yield op(a, "*", call("Rational", 1, 2) if s.style == "index" else op(1, "/", 2))


@rule(ast.UnaryOp)
def signs(s: Scene, n: ast.UnaryOp) -> Iterator[Expr]:
    if not isinstance(n.op, ast.USub):
        return
    a = n.operand
    yield op(-1, "*", a)
    yield op(0, "-", a)
    if is_op(a, ast.Sub):
        yield op(a.right, "-", a.left)
    if is_op(a, ast.Add):
        yield op(negated(a.left), "-", a.right)
    if is_op(a, ast.Mult, ast.Div, ast.MatMult):
        how = {ast.Mult: "*", ast.Div: "/", ast.MatMult: "@"}[type(a.op)]
        yield op(negated(a.left), how, a.right)
        yield op(a.left, how, negated(a.right))
    if isinstance(a, ast.UnaryOp) and isinstance(a.op, ast.USub):
        yield a.operand


@rule(ast.BinOp)
def powers(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    if not is_op(n, ast.Pow):
        return
    a, power = n.left, n.right
    p = number_of(power)
    torchlike = s.style == "torch" and s.rank(a) >= 0
    if p == 2:
        yield op(a, "*", clone(a))
    if p == 3:
        yield op(op(a, "**", 2), "*", a)
        yield op(op(a, "*", a), "*", a)
    if p is not None and torchlike and isinstance(s.value(a), Tensor):
        yield method(a, "pow", power)
        yield call(s.dice.choice(["torch.pow", "np.power"]), a, power)
        if p == 2:
            yield call("torch.square", a)
            yield method(a, "square")
    if p == 0.5:
        yield call("sqrt", a)
        yield call("np.sqrt", a)
        yield op(a, "**", op(1, "/", 2))
        yield op(a, "/", op(a, "**", 0.5))
    if isinstance(power, ast.UnaryOp) and number_of(power.operand) == 1:
        yield op(1, "/", a)


@rule(ast.Constant)
def numbers(s: Scene, n: ast.Constant) -> Iterator[Expr]:
    value = number_of(n)
    if value is None:
        return
    if isinstance(value, int):
        yield ast.Constant(float(value))
        if value > 1:
            yield op(value + 1, "-", 1)
    elif value == 0.5:
        yield op(1, "/", 2)
        yield parsed("1/2.0")
        if s.style == "index":
            yield parsed("Rational(1, 2)")
    if value == 1e-5 or value == 100000:
        yield ast.Constant(1e-5 if value == 1e-5 else 1e5)


@rule(ast.BinOp, "torch")
def matrix_products(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a @ b: as a call, transposed, as einsum, as a sum."""
    if not is_op(n, ast.MatMult):
        return
    a, b = n.left, n.right
    ranks = s.rank(a), s.rank(b)
    yield call("torch.matmul", a, b)
    yield method(a, "matmul", b)
    if max(ranks) <= 2:
        yield call("np.dot", a, b)
    if ranks == (2, 2):
        yield call("torch.mm", a, b)
        yield method(a, "mm", b)
        yield transposed(s, op(transposed(s, b), "@", transposed(s, a)))
        yield call("torch.einsum", "'ij,jk->ik'", a, b)
        yield call("torch.einsum", "'ab,bc'", a, b)
        yield parsed(f"(({ast.unparse(a)})[:, :, None] * ({ast.unparse(b)})[None, :, :]).sum(1)")
        if (base := untransposed(a)) is not None:
            yield call("torch.einsum", "'ni,nj->ij'", base, b)
            yield parsed(f"(({ast.unparse(base)})[:, :, None] * ({ast.unparse(b)})[:, None, :]).sum(0)")
        if (base := untransposed(b)) is not None:
            yield call("torch.einsum", "'ni,ji->nj'", a, base)
    if ranks == (2, 1):
        yield call("torch.mv", a, b)
        yield call("torch.einsum", "'ij,j->i'", a, b)
        yield op(b, "@", transposed(s, a))
        yield method(op(a, "*", b), "sum", 1)
        if (base := untransposed(a)) is not None:
            yield parsed(f"(({ast.unparse(base)}) * ({ast.unparse(b)})[:, None]).sum(0)")
    for x, y, left in ((a, b, True), (b, a, False)):
        if is_op(x, ast.Mult, ast.Div) and s.rank(x.right) == 0:
            inner = op(x.left, "@", y) if left else op(y, "@", x.left)
            yield op(inner, "*" if is_op(x, ast.Mult) else "/", x.right)
    if is_op(a, ast.MatMult):
        yield op(a.left, "@", op(a.right, "@", b))
    if is_op(a, ast.Sub, ast.Add):
        yield op(op(a.left, "@", b), "-" if is_op(a, ast.Sub) else "+", op(a.right, "@", b))


def untransposed(node: Expr) -> Expr | None:
    return node.value if isinstance(node, ast.Attribute) and node.attr in ("T", "mT") else None


def transposed(s: Scene, node: Expr) -> Expr:
    if (base := untransposed(node)) is not None:
        return base
    return ast.Attribute(node, s.dice.choice(["T", "T", "mT"]))


@rule(ast.Attribute, "torch")
def transposes(s: Scene, n: ast.Attribute) -> Iterator[Expr]:
    if n.attr in ("T", "mT"):
        yield method(n.value, "t")
        yield method(n.value, "transpose", 0, 1)
        yield method(n.value, "transpose", -1, -2)
        yield method(n.value, "permute", 1, 0)
        yield call("torch.transpose", n.value, 0, 1)
        yield call("np.transpose", n.value)
        yield call("torch.t", n.value)
        yield ast.Attribute(n.value, "mT" if n.attr == "T" else "T")
        if is_op(n.value, ast.MatMult):
            a, b = n.value.left, n.value.right
            yield op(ast.Attribute(b, "T"), "@", ast.Attribute(a, "T"))


def reduction(n: ast.Call) -> tuple[Expr, int | None, bool] | None:
    """(x, dim, keepdim) of x.sum(0), torch.sum(x, dim=0)."""
    if not isinstance(n.func, ast.Attribute) or n.func.attr != "sum":
        return None
    given = list(n.args)
    module = isinstance(n.func.value, ast.Name) and n.func.value.id in ("torch", "np")
    x = given.pop(0) if module else n.func.value
    named = {k.arg: k.value for k in n.keywords}
    dim = given[0] if given else named.get("dim", named.get("axis"))
    if isinstance(dim, ast.UnaryOp):
        return None
    keep = named.get("keepdim", named.get("keepdims"))
    axis = number_of(dim) if dim is not None else None
    return (x, axis, isinstance(keep, ast.Constant) and bool(keep.value)) if dim is None or axis is not None else None


@rule(ast.Call, "torch")
def reductions(s: Scene, n: ast.Call) -> Iterator[Expr]:
    """x.sum(0): every spelling, as a product with ones, as einsum, as a mean."""
    found = reduction(n)
    if found is None:
        return
    x, dim, keep = found
    rank = s.rank(x)
    if dim is None:
        yield call("torch.sum", x)
        yield call("np.sum", x)
        yield method(x, "sum")
        yield method(method(x, "flatten"), "sum")
        yield method(method(x, "reshape", -1), "sum")
        if rank == 2:
            yield method(method(x, "sum", 1), "sum", 0)
        if rank == 1:
            yield op(method(x, "mean"), "*", s.sized(s.value(x).shape[0]) or 1)
        if is_op(x, ast.Mult) and rank == 1:
            yield op(x.left, "@", x.right)
            yield call("torch.dot", x.left, x.right)
        return
    kept = {"keepdim": True} if keep else {}
    numpy_kept = {"keepdims": True} if keep else {}
    yield method(x, "sum", dim, **kept)
    yield method(x, "sum", dim=dim, **kept)
    yield method(x, "sum", axis=dim, **kept)
    yield method(x, "sum", dim - rank, **kept)
    yield method(x, "sum", f"({dim},)", **kept)
    yield call("torch.sum", x, dim, **kept)
    yield call("torch.sum", x, dim=dim, **kept)
    yield call("torch.sum", x, axis=dim, **kept)
    yield call("np.sum", x, axis=dim, **numpy_kept)
    value = s.value(x)
    if isinstance(value, Tensor) and (length := s.sized(value.shape[dim])):
        yield op(method(x, "mean", dim, **kept), "*", length)
        yield op(call("torch.mean", x, dim=dim, **kept), "*", length)
        if rank == 2 and dim == 0 and not keep:
            yield op(call("torch.ones", length), "@", x)
    if keep:
        yield method(method(x, "sum", dim), "unsqueeze", dim)
        if rank == 2:
            yield ast.Subscript(method(x, "sum", dim), parsed("a[:, None]" if dim else "a[None, :]").slice)
            yield method(method(x, "sum", dim), "reshape", *((-1, 1) if dim else (1, -1)))
    else:
        yield method(method(x, "sum", dim, keepdim=True), "squeeze", dim)
        if rank == 2:
            yield method(transposed(s, x), "sum", 1 - dim)
            out = "j" if dim == 0 else "i"
            yield call("torch.einsum", f"'ij->{out}'", x)
            if is_op(x, ast.Mult) and s.rank(x.left) == s.rank(x.right) == 2:
                yield call("torch.einsum", f"'ij,ij->{out}'", x.left, x.right)
    if is_op(x, ast.Mult, ast.Div) and s.rank(x.right) == 0:
        yield op(method(x.left, "sum", dim, **kept), "*" if is_op(x, ast.Mult) else "/", x.right)
    if is_op(x, ast.Add, ast.Sub):
        sign = "+" if is_op(x, ast.Add) else "-"
        yield op(method(x.left, "sum", dim, **kept), sign, method(x.right, "sum", dim, **kept))


@rule(ast.Subscript, "torch")
def new_axes(s: Scene, n: ast.Subscript) -> Iterator[Expr]:
    """s[:, None]: unsqueeze, view, keepdim."""
    if ast.unparse(n.slice) not in (":, None", "(slice(None, None, None), None)"):
        return
    x = n.value
    yield method(x, "unsqueeze", 1)
    yield method(x, "unsqueeze", -1)
    yield method(x, "unsqueeze", dim=1)
    yield method(x, "view", -1, 1)
    yield method(x, "reshape", -1, 1)
    yield call("np.expand_dims", x, 1)
    yield call("torch.unsqueeze", x, 1)
    yield ast.Subscript(x, parsed("a[..., None]").slice)
    yield ast.Subscript(x, parsed("a[:, np.newaxis]").slice)
    if isinstance(x, ast.Call) and (found := reduction(x)) and found[1] == 1 and not found[2]:
        yield method(found[0], "sum", 1, keepdim=True)
        yield call("torch.sum", found[0], 1, keepdim=True)
    if is_op(x, ast.Mult, ast.Div, ast.Add, ast.Sub):

        def axis(part: Expr) -> Expr:
            return ast.Subscript(part, n.slice) if s.rank(part) == 1 else part

        yield ast.BinOp(axis(x.left), x.op, axis(x.right))


FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tanh", "cosh", "sinh", "sigmoid", "sign")


@rule(ast.Call)
def functions(s: Scene, n: ast.Call) -> Iterator[Expr]:
    name = n.func.attr if isinstance(n.func, ast.Attribute) else n.func.id if isinstance(n.func, ast.Name) else ""
    module = isinstance(n.func, ast.Name) or (isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
                                              and n.func.value.id in ("torch", "np"))  # fmt: skip
    if name not in FUNCTIONS or not module or len(n.args) != 1:
        return
    x = n.args[0]
    yield call(name, x)
    yield call(f"torch.{name}", x)
    if name not in ("sigmoid",):
        yield call(f"np.{name}", x)
    if s.style == "torch":
        yield method(x, name)
    if name == "exp" and isinstance(x, ast.UnaryOp):
        yield op(1, "/", call("exp", x.operand))
    if name == "tanh":
        yield op(call("sinh", x), "/", call("cosh", x))
    if name == "sqrt":
        yield op(x, "**", 0.5)


@rule(ast.Call, "torch")
def one_hots(s: Scene, n: ast.Call) -> Iterator[Expr]:
    if ast.unparse(n.func) in ("F.one_hot", "torch.nn.functional.one_hot") and len(n.args) == 2:
        t, k = n.args
        yield call("torch.nn.functional.one_hot", t, k)
        yield ast.Call(n.func, [t], [ast.keyword("num_classes", k)])
        yield method(n, "double")
        yield method(n, "float")
        if s.rank(t) == 1:
            yield ast.Subscript(call("torch.eye", k), t)
            yield parsed(f"({ast.unparse(t)}[:, None] == torch.arange({ast.unparse(k)}))")


@rule(ast.Compare)
def masks(s: Scene, n: ast.Compare) -> Iterator[Expr]:
    flip = {ast.Gt: ast.Lt, ast.Lt: ast.Gt}.get(type(n.ops[0]))
    if flip:
        yield ast.Compare(n.comparators[0], [flip()], [n.left])
        if s.style == "torch":
            yield method(n, "double")
            yield method(n, "float")
            yield call("torch.where", n, 1.0, 0.0)
            if not s.where.exercise.strict_kinks:  # 1/2 on the kink, where a strict exercise takes torch's choice alone
                yield op(op(call("torch.sign", op(n.left, "-", n.comparators[0])), "+", 1), "/", 2)


@rule(ast.BinOp, "torch")
def masked(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """d*(z > 0) = torch.where(z > 0, d, 0)."""
    if is_op(n, ast.Mult) and isinstance(n.right, ast.Compare):
        yield call("torch.where", n.right, n.left, 0.0)
        yield call("np.where", n.right, n.left, 0)
        yield call("torch.where", n.right, n.left, call("torch.zeros_like", n.left))


@rule(ast.Name)
def names(s: Scene, n: ast.Name) -> Iterator[Expr]:
    """A size as a shape; a forward value as its formula; nothing added, nothing multiplied."""
    case = s.where.cases[0]
    if n.id in case.sizes and s.style == "torch":
        for q in s.where.exercise:
            for axis, extent in enumerate(q.shape):
                if str(extent) == n.id:
                    yield parsed(f"{q.name}.shape[{axis}]")
                    if axis == 0:
                        yield call("len", q.name)
                    yield parsed(f"{q.name}.size({axis})")
    if s.style == "torch" and ("torch", n.id) in s.where.forward:
        yield parsed(s.where.forward["torch", n.id])
    if s.dice.random() < 0.1 and s.style == "torch" and (n.id in s.where.names or n.id in s.where.order):
        yield op(1, "*", n)
        yield op(n, "+", 0)
        yield op(op(n, "*", 2), "/", 2)


@rule(ast.Subscript, "index")
def unfolded(s: Scene, n: ast.Subscript) -> Iterator[Expr]:
    """z[i,k] as its formula, with the indices put in."""
    name = n.value.id if isinstance(n.value, ast.Name) else ""
    if ("index", name) in s.where.forward:
        yield put_in(s, name, n, parsed(s.where.forward["index", name]))


def put_in(s: Scene, name: str, at: ast.Subscript, formula: Expr) -> Expr:
    """The formula of `name` at the indices of `at`; bound indices get names of their own."""
    labels = [
        index.name for index in s.where.exercise[name.removeprefix("d") if name in s.where.order else name].indices
    ]
    items = list(at.slice.elts) if isinstance(at.slice, ast.Tuple) else [at.slice]
    tree = ast.Module([ast.Expr(clone(formula)), ast.Expr(at), s.tree if hasattr(s, "tree") else ast.Pass()], [])
    formula = renamed_bound(s, clone(formula), tree)
    return substituted(formula, dict(zip(labels, items, strict=True)))


class _Substitute(ast.NodeTransformer):
    def __init__(self, to: dict[str, Expr]):
        self.to = to

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return clone(self.to.get(node.id, node))


def substituted(node: Expr, to: dict[str, Expr]) -> Expr:
    return _Substitute(to).visit(clone(node))


def renamed_bound(s: Scene, formula: Expr, tree: ast.AST) -> Expr:
    for found in [n for n in ast.walk(formula) if is_binder(n)]:
        for argument in list(found.args[1:]):
            label = argument.id
            fresh = s.fresh(ast.Module([ast.Expr(formula), tree], []))
            found.args = [substituted(a, {label: ast.Name(fresh, ast.Load())}) for a in found.args]
    return formula


def is_binder(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BINDERS


def mentions(node: ast.AST, label: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == label for n in ast.walk(node))


@rule(ast.Call, "index")
def index_sums(s: Scene, n: ast.Call) -> Iterator[Expr]:
    """Sum: split, nested, with factors pulled in and out, over another letter."""
    if not (is_binder(n) and n.func.id == "Sum"):
        return
    body, labels = n.args[0], n.args[1:]
    ranged = [label.id for label in labels if label.id not in s.where.exercise.index_symbols]
    if is_op(body, ast.Add, ast.Sub) and all(mentions(p, a) for p in (body.left, body.right) for a in ranged):
        yield ast.BinOp(call("Sum", body.left, *labels), body.op, call("Sum", body.right, *labels))
    if is_op(body, ast.Mult, ast.Div) and not any(mentions(body.right, a.id) for a in labels):
        yield ast.BinOp(call("Sum", body.left, *labels), body.op, body.right)
    if is_op(body, ast.Mult) and not any(mentions(body.left, a.id) for a in labels):
        yield op(body.left, "*", call("Sum", body.right, *labels))
    if isinstance(body, ast.UnaryOp):
        yield negated(call("Sum", body.operand, *labels))
    if len(labels) > 1:
        yield call("Sum", call("Sum", body, labels[0]), *labels[1:])
        yield call("Sum", body, *reversed(labels))
    fresh = ast.Name(s.fresh(s.tree), ast.Load())
    yield call("Sum", substituted(body, {labels[0].id: fresh}), fresh, *labels[1:])


@rule(ast.BinOp, "index")
def into_sums(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    for x, y in ((n.left, n.right), (n.right, n.left)):
        summed = is_op(n, ast.Mult) and is_binder(x) and x.func.id == "Sum"
        if summed and not any(mentions(y, a.id) for a in x.args[1:]):
            yield call("Sum", op(x.args[0], "*", y), *x.args[1:])
    if is_op(n, ast.Div) and is_binder(n.left) and n.left.func.id == "Sum":
        yield call("Sum", op(n.left.args[0], "/", n.right), *n.left.args[1:])


@rule(ast.Call, "index")
def deltas(s: Scene, n: ast.Call) -> Iterator[Expr]:
    if isinstance(n.func, ast.Name) and n.func.id == "KroneckerDelta":
        yield call("KroneckerDelta", *reversed(n.args))
    if isinstance(n.func, ast.Name) and n.func.id == "where":
        yield parsed(
            f"Piecewise(({ast.unparse(n.args[1])}, {ast.unparse(n.args[0])}), ({ast.unparse(n.args[2])}, True))"
        )


# -- places in a tree ------------------------------------------------------------------------------------------


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def replaced(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """A copy of the tree in which the node `old` is `new`."""
    path = list(ast.walk(tree)).index(old)
    made = clone(tree)
    made = _Replace(list(ast.walk(made))[path], clone(new)).visit(made)
    return ast.fix_missing_locations(made)


def rewritable(tree: ast.AST) -> list[ast.AST]:
    """Nodes that stand for a value: no dimensions, no labels, no names of functions."""
    found: list[ast.AST] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            found.append(node)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and not (
                isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F", "np", "math")
            ):
                walk(node.func.value)
            inside = node.args[:1] if is_binder(node) else [] if ast.unparse(node.func) == "torch.einsum" else node.args
            inside = node.args[1:] if ast.unparse(node.func) == "torch.einsum" else inside
            if isinstance(node.func, ast.Attribute) and node.func.attr in _PLAIN_ARGUMENTS and inside:
                inside = inside[:1] if ast.unparse(node.func).startswith(("torch.", "np.")) else []
            for argument in inside:
                walk(argument)
        elif isinstance(node, ast.Subscript):
            if not isinstance(node.value, ast.Name):
                walk(node.value)
        elif isinstance(node, ast.Attribute):
            if node.attr not in ("shape",):
                walk(node.value)
        elif isinstance(node, ast.BinOp):
            walk(node.left)
            walk(node.right)
        elif isinstance(node, ast.UnaryOp):
            walk(node.operand)
        elif isinstance(node, ast.Compare):
            walk(node.left)

    walk(tree)
    return found


_PLAIN_ARGUMENTS = (
    "sum mean unsqueeze squeeze view reshape expand transpose permute one_hot argmax index_add flatten eye arange ones "
    "expand_dims pow max size zeros_like"
).split()  # calls whose arguments, but for the tensor, are dimensions, sizes and labels
