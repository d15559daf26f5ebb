"""Plain torch, the exam's own judge: sheets are run by Python itself, truths come from autograd.

Nothing here goes through the tutor's reader, interpreter or derivation. Torch-style lines are executed as they stand;
lines with indices are evaluated on index grids, one dimension for each index.
"""

from __future__ import annotations

import ast
import copy
import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from tutor.numeric.autograd import gradients_by_autograd, gradients_by_reference, reference
from tutor.numeric.evaluate import compile_program, number
from tutor.numeric.sample import sample, worked_instance

EQUAL, DIFFERENT = 1e-9, 1e-7  # what lies between the two is taken for neither
SIDES = {"real": 1e-12, "wrong": 1e-9}  # of the largest gradient: what rounding leaves where all terms cancel


class Broken(Exception):
    """The exam itself is at fault."""


# -- truths ----------------------------------------------------------------------------------------------------


class Case:
    """One instance with the true gradients, by autograd and, for the leaves, by the exercise's native reference."""

    def __init__(self, exercise: Any, instance: Any):
        self.exercise, self.instance = exercise, instance
        self.sizes = dict(instance.sizes)
        self.forward: dict[str, Tensor] = dict(instance.values)

    @cached_property
    def truth(self) -> dict[str, Tensor]:
        with double_precision():
            return self._truth()

    def _truth(self) -> dict[str, Tensor]:
        """`dW`, ... of every quantity, the upstream gradients, and the values computed from them."""
        ours = gradients_by_autograd(self.exercise, self.instance)
        for name, native in gradients_by_reference(self.exercise, self.instance).items():
            if not _close(ours[name], native, EQUAL, SIDES["real"] * _largest(ours)):
                raise Broken(f"{self.exercise.id}: d{name} of the forward program is not that of the native reference")
        known = {f"d{name}": value for name, value in ours.items()}
        known |= {f"d{q.name}": self.forward[f"d{q.name}"] for q in self.exercise.ends if q.kind == "output"}
        known |= {f"d{q.name}": torch.ones(()) for q in self.exercise.ends if q.kind == "loss"}
        if self.exercise.values:
            program = [(q.name, q.indices, q.expr) for q in self.exercise.values]
            made = compile_program(program).run({**self.forward, **known}, self.sizes)
            native_run = reference(self.exercise, self.instance)
            for q in self.exercise.values:
                known[q.name] = made[q.name]
                native_value = native_run.values.get(q.name) if native_run else None
                if native_value is not None and not _close(made[q.name], native_value, EQUAL, 1e-9):
                    raise Broken(f"{self.exercise.id}: {q.name} is not that of the native reference")
        return known

    @cached_property
    def floor(self) -> float:
        return _largest(self.truth)

    def jacobian(self, v: str, u: str) -> Tensor:
        """dv/du through v's own formula: axes of v, then of u."""
        q = self.exercise[v]
        plan = compile_program([(q.name, q.indices, q.expr)], distinct=True)
        with torch.enable_grad():
            given = self.forward[u].clone()
            return torch.autograd.functional.jacobian(lambda x: plan.run({**self.forward, u: x}, self.sizes)[v], given)

    def equal(self, name: str, value: Any) -> bool:
        """Beyond doubt the true value."""
        true = self.truth[name]
        found = as_tensor(value)
        return found is not None and _close(found, true, EQUAL, SIDES["real"] * self.floor)

    def different(self, name: str, value: Any) -> bool:
        """Beyond doubt not the true value."""
        true = self.truth[name]
        found = as_tensor(value)
        return found is None or not _close(found, true, DIFFERENT, SIDES["wrong"] * self.floor)


def as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return _double(value)
    return torch.tensor(float(value), dtype=torch.float64) if isinstance(value, (int, float)) else None


def _double(value: Tensor) -> Tensor:
    """As float64; a root of a negative number, which Python makes complex, is no number here."""
    return torch.full(value.shape, torch.nan, dtype=torch.float64) if value.is_complex() else value.double()


def _close(a: Tensor, b: Tensor, relative: float, floor: float) -> bool:
    if a.shape != b.shape or not bool(torch.isfinite(a).all()):
        return False
    return bool(((a - b).abs() <= relative * torch.maximum(a.abs(), b.abs()) + floor).all())


def _largest(values: dict[str, Tensor]) -> float:
    return max((float(v.abs().max()) for v in values.values() if v.numel()), default=1.0)


def cases(exercise: Any) -> list[Case]:
    """Instances of their own, at other seeds than the judge's: more of them where they are small."""
    count = 3 if exercise.size_symbols else 10
    return [Case(exercise, sample(exercise, seed=901 + n, draw=n % 2)) for n in range(count)]


def worked(exercise: Any) -> Case | None:
    return Case(exercise, worked_instance(exercise, exercise.instances[0])) if exercise.instances else None


# -- names -----------------------------------------------------------------------------------------------------


def _lift(function: Any) -> Any:
    return lambda x, *rest, **named: function(x if isinstance(x, Tensor) else torch.tensor(float(x)), *rest, **named)


def _reduction(function: Any) -> Any:
    def reduce(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return function(x) if axis is None else function(x, dim=axis, keepdim=keepdims)

    return reduce


ELEMENTWISE = ["exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "sigmoid", "sign", "abs", "relu",
               "square", "log1p", "expm1", "erf"]  # fmt: skip
BARE = {name: _lift(getattr(torch, name)) for name in ELEMENTWISE}
BARE |= {"Abs": BARE["abs"], "pi": math.pi, "Rational": lambda a, b=1: a / b}


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """numpy's own, which is no product of batches."""
    return torch.matmul(a, b) if b.ndim <= 2 else torch.tensordot(a, b, ([a.ndim - 1], [b.ndim - 2]))


NUMPY = SimpleNamespace(
    **BARE, dot=_dot, matmul=torch.matmul, outer=torch.outer, newaxis=None, einsum=torch.einsum,
    sum=_reduction(torch.sum), mean=_reduction(torch.mean),
    zeros_like=_lift(torch.zeros_like), ones_like=_lift(torch.ones_like),  # of a number too, in numpy alone
    where=lambda holds, yes, no: torch.where(torch.as_tensor(holds).bool(), yes, no),  # all but 0 holds
    transpose=lambda x: x.permute(*reversed(range(x.ndim))), maximum=torch.maximum,
    multiply=torch.multiply, power=torch.pow, expand_dims=torch.unsqueeze,
)  # fmt: skip
GIVEN = {
    "torch": torch,
    "F": torch.nn.functional,
    "np": NUMPY,
    "math": math,
    "range": range,
    "len": len,
    "abs": BARE["abs"],
}


class _Plain(ast.NodeTransformer):
    """`dL_dW`, `grad_W`, `W.grad` are `dW`."""

    def __init__(self, names: set[str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        for prefix in ("dL_d", "grad_"):
            if node.id.startswith(prefix) and node.id.removeprefix(prefix) in self.names:
                return ast.Name(f"d{node.id.removeprefix(prefix)}", node.ctx)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr == "grad" and isinstance(node.value, ast.Name) and node.value.id in self.names:
            return ast.Name(f"d{node.value.id}", node.ctx)
        return node


def reads_gradient(node: ast.AST, name: str, names: set[str]) -> bool:
    """Whether a gradient, by any of its names, stands in an expression."""
    plain = _Plain(names).visit(copy.deepcopy(node))
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(plain))


# -- running a sheet -------------------------------------------------------------------------------------------


class Ran:
    """What a sheet gave: for each statement the value that its name had after it, or torch's refusal."""

    def __init__(self) -> None:
        self.after: list[Any] = []
        self.errors: list[str | None] = []
        self.names: dict[str, Any] = {}


def namespace(case: Case) -> dict[str, Any]:
    given = {name: value.clone() for name, value in case.forward.items()}
    given |= {f"d{q.name}": case.forward[f"d{q.name}"].clone() for q in case.exercise.ends if q.kind == "output"}
    return {**BARE, **GIVEN, **case.sizes, **given}


@contextmanager
def double_precision() -> Iterator[None]:
    """All values are float64, whatever a call would default to; torch's own default is put back."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@double_precision()
def run(statements: list[ast.stmt], case: Case, *, true_after: bool = False, stop: int | None = None) -> Ran:
    """Execute the statements in order; with `true_after`, each gradient is the true one once its line is done."""
    names = {q.name for q in case.exercise}
    known, made = namespace(case), Ran()
    last = {target_name(s, names): n for n, s in enumerate(statements)}
    for n, statement in enumerate(statements if stop is None else statements[: stop + 1]):
        name = target_name(statement, names)
        try:
            _execute(statement, known, case, names)
            made.errors.append(None)
            value = known.get(name)
            made.after.append(value.clone() if isinstance(value, Tensor) else value)
        except Exception as error:  # noqa: BLE001  whatever Python or torch says: the line has no value
            made.errors.append(f"{type(error).__name__}: {error}")
            made.after.append(None)
            if not isinstance(statement, ast.AugAssign):
                known.pop(name, None)
        if true_after and name in case.truth and last[name] == n:
            known[name] = case.truth[name].clone()
    made.names = known
    return made


def target_name(statement: ast.stmt, names: set[str]) -> str:
    """What a statement gives, under the name that the report uses."""
    if isinstance(statement, ast.For):
        return target_name(statement.body[-1], names)
    if isinstance(statement, ast.With):
        return target_name(statement.body[-1], names)
    if isinstance(statement, ast.Expr):  # dE.index_add_(...)
        node: ast.expr = statement.value.func.value
    else:
        node = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    while isinstance(node, ast.Subscript):
        node = node.value
    plain = _Plain(names).visit(copy.deepcopy(node))
    return plain.id if isinstance(plain, ast.Name) else ""


def _execute(statement: ast.stmt, known: dict[str, Any], case: Case, names: set[str]) -> None:
    code = getattr(statement, "_code", None)
    if code is None:
        plain = _Plain(names).visit(ast.parse(ast.unparse(statement)).body[0])
        plain = ast.fix_missing_locations(plain)
        code = (
            plain
            if getattr(statement, "style", "torch") == "index"
            else compile(ast.Module([plain], []), "<sheet>", "exec")
        )
        statement._code = code
    if isinstance(code, ast.stmt):
        Grid(code, known, case).execute()
    else:
        exec(code, {"__builtins__": {}}, known)  # noqa: S102  our own generated text


# -- index style -----------------------------------------------------------------------------------------------

_BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


BINDERS = ("Sum", "ArgMaxOver", "MaxOver")


class Grid:
    """`dz[i,k] = ...`: every index is a grid on a dimension of its own; a sum adds up along one."""

    def __init__(self, statement: ast.stmt, known: dict[str, Any], case: Case):
        self.statement, self.known, self.case = statement, known, case
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        self.base = target.value.id if isinstance(target, ast.Subscript) else target.id
        self.left = _items(target) if isinstance(target, ast.Subscript) else []
        labels = [item.id for item in self.left if isinstance(item, ast.Name)]
        calls = [n for n in ast.walk(statement.value) if isinstance(n, ast.Call) and _called(n) in BINDERS]
        self.rank = len(labels) + sum(len(call.args) - 1 for call in calls)
        self.dims = {label: n for n, label in enumerate(labels)}
        if len(self.dims) != len(labels):
            raise ValueError("one index twice on the left")
        self.next = len(labels)

    def execute(self) -> None:
        value = self.tensor(self.value(self.statement.value, dict(self.dims)))
        if any(extent != 1 for extent in value.shape[len(self.dims) :]):
            raise ValueError("free on the right only")
        shape = [self.extent(item.id) if isinstance(item, ast.Name) else 1 for item in self.left]
        inner = [self.extent(label) for label in self.dims]
        value = value.reshape(value.shape[: len(self.dims)]).expand(inner).reshape(shape)
        value = _double(value)
        if isinstance(self.statement, ast.AugAssign):
            value = _BINARY[type(self.statement.op)](self.known[self.base], value)
        self.known[self.base] = value.clone()

    def tensor(self, value: Any) -> Tensor:
        value = value if isinstance(value, Tensor) else torch.tensor(float(value))
        return value.reshape([1] * (self.rank - value.ndim) + list(value.shape)) if value.ndim < self.rank else value

    def extent(self, label: str) -> int:
        index = self.case.exercise.index_symbols.get(label)
        if index is not None:
            return int(number(index.upper - index.lower + 1, self.case.sizes))
        for node in ast.walk(self.statement):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                shape = self.shape_of(node.value.id)
                for axis, item in enumerate(_items(node)):
                    if isinstance(item, ast.Name) and item.id == label and axis < len(shape):
                        return shape[axis]
        raise NameError(label)

    def shape_of(self, name: str) -> tuple[int, ...]:
        if name in self.case.truth:
            return tuple(self.case.truth[name].shape)
        value = self.known.get(name)
        return tuple(value.shape) if isinstance(value, Tensor) else ()

    def value(self, node: ast.expr, env: dict[str, int]) -> Any:
        kind = type(node)
        if kind is ast.Constant:
            return node.value
        if kind is ast.Name:
            return self.name(node.id, env)
        if kind is ast.UnaryOp:
            inner = self.value(node.operand, env)
            return -inner if isinstance(node.op, ast.USub) else inner
        if kind is ast.BinOp:
            left, right = self.value(node.left, env), self.value(node.right, env)
            return _BINARY[type(node.op)](left, right)
        if kind is ast.Compare:
            left, right = self.value(node.left, env), self.value(node.comparators[0], env)
            return _BINARY[type(node.ops[0])](left, right)
        if kind is ast.Subscript:
            return self.entry(node, env)
        if kind is ast.Call:
            return self.call(node, env)
        raise TypeError(ast.unparse(node))

    def name(self, name: str, env: dict[str, int]) -> Any:
        if name in env:
            extents = [1] * self.rank
            extents[env[name]] = self.extent(name)
            return torch.arange(extents[env[name]]).reshape(extents)
        value = self.known[name]
        if isinstance(value, Tensor) and value.ndim:
            raise TypeError(f"{name} needs its indices")
        return value

    def entry(self, node: ast.Subscript, env: dict[str, int]) -> Any:
        base: Tensor = self.known[node.value.id]
        items = [self.value(item, env) for item in _items(node)]
        if len(items) != base.ndim:
            raise IndexError(f"{ast.unparse(node)} has another number of axes")
        for written, item, extent in zip(_items(node), items, base.shape, strict=True):
            most, least = (int(item.max()), int(item.min())) if isinstance(item, Tensor) else (item, item)
            dummy = isinstance(written, ast.Name) and written.id in env
            if most >= extent or least < 0 or (dummy and self.extent(written.id) != extent):
                raise IndexError(f"{ast.unparse(node)}: another range")
        return base[tuple(i.long() if isinstance(i, Tensor) else i for i in items)]

    def call(self, node: ast.Call, env: dict[str, int]) -> Any:
        name = _called(node)
        if name == "Sum":
            return self.sum(node, env)
        if name == "KroneckerDelta":
            left, right = (self.value(argument, env) for argument in node.args)
            return self.tensor(left == right).double()
        if name == "Piecewise":
            made: Any = torch.full((), torch.nan)
            for branch in reversed(node.args):
                value, holds = (self.value(part, env) for part in branch.elts)
                made = torch.where(self.tensor(holds).bool(), self.tensor(value).double(), made)
            return made
        if name in ("ArgMaxOver", "MaxOver"):
            dim = self.next
            inner = self.value(node.args[0], {**env, node.args[1].id: self.fresh()})
            found = self.tensor(inner).max(dim, keepdim=True)
            return found.values if name == "MaxOver" else found.indices
        if name == "where":
            holds, yes, no = (self.tensor(self.value(argument, env)) for argument in node.args)
            return torch.where(holds.bool(), yes.double(), no.double())
        return BARE[name](*(self.value(argument, env) for argument in node.args))

    def fresh(self) -> int:
        self.next += 1
        return self.next - 1

    def sum(self, node: ast.Call, env: dict[str, int]) -> Tensor:
        bound = {argument.id: self.fresh() for argument in node.args[1:]}
        inner = self.tensor(self.value(node.args[0], {**env, **bound}))
        extents = list(inner.shape)
        for label, dim in bound.items():
            extents[dim] = self.extent(label)
        return inner.expand(extents).sum(list(bound.values()), keepdim=True)


def _items(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr
