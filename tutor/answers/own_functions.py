"""Functions that a learner writes for what the exercise names: `def sigmoid(z): return 1/(1 + np.exp(-z))`.

A call of one is read as its formula, with what it is called with in place of its parameters, so that whatever it gives
is judged as it is written, and not as a function of that name that the language has. Only what is one formula can be
read so: lines that give names, and a return.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tutor.answers.touched import in_place
from tutor.errors import ReadingError
from tutor.language import said

MAX_NODES = 300  # of a formula
MAX_TEXT = 4_000  # characters of a function
MAX_CALLS = 6  # inside each other
OWN_CALLS = 60  # in one line
# what gives a tensor of its own, so that changing it in place changes nothing else
_FRESH = (
    "exp", "log", "sqrt", "tanh", "abs", "maximum", "minimum", "where", "copy", "clone", "zeros_like", "ones_like",
)  # fmt: skip


class _NoFormula(Exception):
    """More than names and a formula."""


@dataclass(frozen=True)
class Function:
    """Its formula in terms of its parameters, or None where it is more than that."""

    parameters: tuple[str, ...]
    defaults: Mapping[str, ast.expr]
    formula: ast.expr | None
    refusal: str = said(
        "this function of your own is more than lines of name = formula and a return: write its formula out here"
    )

    @property
    def spelled(self) -> tuple[str, ...]:
        parts = [*self.defaults.values(), *([] if self.formula is None else [self.formula])]
        return (*self.parameters, "", *self.defaults, "", *map(ast.dump, parts))

    def called(self, call: ast.Call) -> ast.expr:
        """The formula of one call, at its place."""
        if self.formula is None:
            raise ReadingError(self.refusal)
        given = dict(zip(self.parameters, call.args, strict=False))
        named = {each.arg: each.value for each in call.keywords if each.arg is not None}
        values = {**self.defaults, **given, **named}
        fits = len(call.args) <= len(self.parameters) and not given.keys() & named.keys()
        if not fits or values.keys() != {*self.parameters} or len(named) != len(call.keywords):
            usage = ", ".join(self.parameters)
            raise ReadingError(said("this function of your own takes {usage}", usage=usage or said("nothing")))
        if any(map(_changes, values.values())):
            raise ReadingError(said("what this function of your own is called with changes a tensor: name that first"))
        if sum(map(_nodes, values.values())) > MAX_NODES:
            raise ReadingError(
                said("a function of your own is called with a long formula: give that a line of its own")
            )
        return _with(_placed(self.formula, call), values)


def either(one: Function, other: Function) -> Function:
    """Of two functions of one name, where they are the same; else their places alone would tell which is called."""
    if one.formula is not None and one.spelled == other.spelled:
        return one
    says = said("this function of your own is given more than once in this file: write its formula out here")
    return replace(one, formula=None, refusal=says)


def function_of(text: str) -> Function | None:
    """Of a `def` with all its lines, or of `name = lambda ...`; None where it is not Python."""
    try:
        [node] = ast.parse(text).body if len(text) <= MAX_TEXT else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    body: list[ast.stmt]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        arguments, body = node.value.args, [ast.Return(node.value.body)]
    elif isinstance(node, ast.FunctionDef):
        arguments, body = node.args, list(node.body)
    else:
        return None
    parameters = tuple(each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    last = parameters[: len(parameters) - len(arguments.kwonlyargs)]
    defaults = dict(zip(reversed(last), reversed(arguments.defaults), strict=False))
    defaults |= {
        each.arg: value
        for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is not None
    }
    try:
        if arguments.vararg or arguments.kwarg or getattr(node, "decorator_list", None):
            raise _NoFormula
        return Function(parameters, defaults, _formula(body))
    except _NoFormula:
        return Function(parameters, defaults, None)


def _formula(body: list[ast.stmt]) -> ast.expr:
    """What a function returns, each of its own names replaced by what it was given."""
    given: dict[str, ast.expr] = {}
    *lines, last = body
    if not isinstance(last, ast.Return) or last.value is None:
        raise _NoFormula
    for line in lines:
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            continue  # what it says of itself
        if isinstance(line, ast.Assign) and len(line.targets) == 1:
            more = _given(line.targets[0], _with(line.value, given))
        elif isinstance(line, ast.AugAssign) and isinstance(line.target, ast.Name):
            before = given.get(line.target.id)
            if before is None or not _is_fresh(before):
                raise _NoFormula  # it may change what it was called with
            more = {line.target.id: ast.BinOp(before, line.op, _with(line.value, given))}
        else:
            raise _NoFormula
        for each in more.values():
            _check(each)
        given |= more
    made = _with(last.value, given)
    _check(made)
    return made


def _given(target: ast.expr, value: ast.expr) -> dict[str, ast.expr]:
    """`x, w = cache` as well, whatever cache is called with."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    names = target.elts if isinstance(target, ast.Tuple) else []
    if not names or not all(isinstance(name, ast.Name) for name in names):
        raise _NoFormula
    if isinstance(value, ast.Tuple) and len(value.elts) != len(names):
        raise _NoFormula
    return {name.id: _member(value, n) for n, name in enumerate(names)}  # type: ignore[attr-defined]


def _member(value: ast.expr, n: int) -> ast.expr:
    if isinstance(value, ast.Tuple) and n < len(value.elts):
        return value.elts[n]
    return ast.Subscript(value, ast.Constant(n), ast.Load())


def _check(made: ast.expr) -> None:
    if _nodes(made) > MAX_NODES:
        raise _NoFormula


def _changes(given: ast.expr) -> bool:
    """`f(x.add_(1))`, which happens once, however often the parameter stands in the formula."""
    calls = (node.func for node in ast.walk(given) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Attribute) and in_place(called.attr) for called in calls)


def _nodes(made: ast.expr) -> int:
    return sum(1 for _ in ast.walk(made))


def _is_fresh(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(node, (ast.BinOp, ast.UnaryOp)) or getattr(called, "attr", getattr(called, "id", "")) in _FRESH


def _with(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """The expression with other expressions in place of names; the given one is left as it is."""

    class Replaced(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return copy.deepcopy(values[name.id]) if name.id in values else name

        def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
            self.generic_visit(node)
            at = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return _member(node.value, at) if type(at) is int and isinstance(node.value, ast.Tuple) else node

        def visit_Lambda(self, _: ast.Lambda) -> ast.expr:
            raise _NoFormula

        visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_Lambda  # type: ignore[assignment]

    return Replaced().visit(copy.deepcopy(node))


def _placed(formula: ast.expr, call: ast.Call) -> ast.expr:
    """A copy of the formula of which every part stands where the call does; numbers keep what they were written as."""
    made = copy.deepcopy(formula)
    for node in ast.walk(made):
        if isinstance(node, ast.Constant):
            node.written = ast.unparse(node)  # type: ignore[attr-defined]
        if isinstance(node, ast.expr):
            ast.copy_location(node, call)
    return made
