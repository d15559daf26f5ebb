"""A formula typed on the command line, as an exercise: `(w*x + b - y)**2`.

It is read by the answer sheet's own reader, so it means what it would mean there and is never executed. What stands
under a power or in a function becomes a step of its own, as a teacher would name it:

    q1 = w*x + b - y
    L  = q1**2

Several lines (or `;`) name the steps oneself. `x[i]` is an array; its axis `i` gets a size: `N` for i and n, else the
index's own capital.
"""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sympy import Expr, Float, Idx, Indexed, Integer, KroneckerDelta, Max, Min, Piecewise, Rational, S, Sum, Symbol, pi
from sympy.core.relational import Eq, Ge, Gt, Le, Lt, Ne

from tutor.answers import language as lang
from tutor.answers.python import read
from tutor.catalogue import entries, is_path, load, split_address
from tutor.errors import ReadingError, TutorError, did_you_mean
from tutor.exercise import Exercise
from tutor.language import joined, nsaid, said
from tutor.symbolic.functions import FUNCTIONS
from tutor.symbolic.indices import Tensor, entry, free_indices, quantities_in, reduce_over

MAX_LENGTH = 2_000  # characters
MAX_EXPONENT = 1_000
MAX_BITS = 4_000  # of a number that powers of numbers make
_LETTERS = ("F", "nn", "sp")  # names of modules that a formula may use for a number
_ID = re.compile(r"\w+(-\w+)*(:[\w=,.+-]*)?")
_MALFORMED = said(
    "this cannot be read: something is missing or left over here; a product needs its *, a bracket its partner"
)
_CONSTANTS = {"pi": pi, "π": pi}
_RELATIONS = {"<": Lt, "<=": Le, ">": Gt, ">=": Ge, "==": Eq, "!=": Ne}


def exercise_from(text: str) -> Exercise:
    """What a user names: an exercise file, an exercise of the catalogue, or a formula."""
    text = text.strip()
    name, _ = split_address(text)
    if (is_path(name) and name.endswith(".py")) or os.path.exists(name):
        return load(text)
    return load(text) if _looks_like_an_id(text) else adhoc(text)


def _looks_like_an_id(text: str) -> bool:
    """`linear-regresion` is an id with a slip; `a-b` is a formula, as is anything with an operator or a bracket."""
    if not _ID.fullmatch(text):
        return False
    known = [e.id for e in entries()]
    name, _ = split_address(text)
    words = name.split("-")
    return name in known or bool(did_you_mean(name, known)) or ":" in text or any(len(word) > 3 for word in words)


class FormulaError(ReadingError):
    """A formula that cannot be read, with a caret under the fault."""

    def __init__(self, error: ReadingError, text: str):
        cut = error.message.startswith("this cannot be read")  # the sheet's reader speaks of lines
        super().__init__(_MALFORMED if cut else error.message, error.line, error.column)
        self.text = text

    def __str__(self) -> str:
        if not self.text.strip():
            return str(self.message)
        return str(self.says)

    @property
    def says(self) -> str:
        lines = self.text.splitlines() or [""]
        shown = lines[min(self.line, len(lines)) - 1].expandtabs(1)
        start = max(0, min(self.column - 41, len(shown) - 80))
        caret = " " * (self.column - 1 - start) + "^"
        return said(
            "the formula, column {column}: {message}\n    {shown}\n    {caret}",
            column=self.column,
            message=self.message,
            shown=shown[start : start + 80],
            caret=caret,
        )


def adhoc(text: str) -> Exercise:
    """The exercise that a formula makes: its names are scalar parameters, its value is the loss."""
    try:
        return _exercise(text)
    except ReadingError as error:
        raise FormulaError(error, text) from None


def _exercise(text: str) -> Exercise:
    statements = _statements(text)
    used = {n.name for s in statements for n in lang.walk(s.value) if isinstance(n, lang.Name)}
    builder = _Builder(text, used | {s.name for s in statements})
    for statement in statements[:-1]:
        builder.define(statement)
    return builder.finish(statements[-1])


# -- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Definition:
    """`name[indices] = value`"""

    name: str
    indices: tuple[str, ...]
    value: lang.Expression


def _statements(text: str) -> list[_Definition]:
    if not text.strip():
        raise ReadingError(said('an empty formula: write one, as in tutor derive "(w*x + b - y)**2" --wrt w'))
    if len(text) > MAX_LENGTH:
        raise ReadingError(
            said(
                "a formula of {count} characters; at most {most}: write an exercise file instead",
                count=len(text),
                most=MAX_LENGTH,
            )
        )
    _refuse_keywords(text)
    named = re.search(r"(?<![=<>!])=(?!=)", re.sub(r"\([^()]*\)", lambda m: "_" * len(m[0]), text)) is not None
    prefix = "" if named else "L = "
    body = text if named else text.replace("\n", " ")
    sheet, *others = read(prefix + body.strip())
    shift = len(prefix) - (len(text) - len(text.lstrip()))
    if others or any("passed over" in note for note in sheet.notes):
        raise ReadingError(said("write one formula, or steps as name = formula, the loss last"))
    for statement in sheet.statements:
        if isinstance(statement, lang.Unreadable):
            raise ReadingError(statement.reason, statement.line, max(statement.column - shift, 1))
    made = [_definition(s, shift) for s in sheet.statements]
    if not made:
        raise ReadingError(said('there is no formula in it: write one, as in "(w*x + b - y)**2"'))
    return made


def _refuse_keywords(text: str) -> None:
    for found in re.finditer(r"(?<![\w.])[^\W\d]\w*", text):
        word = found[0]
        if keyword.iskeyword(word):
            line = text.count("\n", 0, found.start()) + 1
            column = found.start() - text.rfind("\n", 0, found.start())
            raise ReadingError(
                said("{word} is a keyword of Python: use another name, such as {other}_", word=word, other=word[:3]),
                line,
                column,
            )


def _definition(statement: lang.Statement, shift: int) -> _Definition:
    if not isinstance(statement, lang.Assign) or len(statement.targets) != 1:
        raise ReadingError(said("write a formula, or steps as name = formula"), statement.line, 1)
    target = statement.targets[0]
    for node in lang.walk(statement.value):
        node.column -= shift
    if isinstance(target, lang.Name):
        return _Definition(target.name, (), statement.value)
    if isinstance(target, lang.Subscript) and isinstance(target.value, lang.Name):
        names = [item.name for item in target.items if isinstance(item, lang.Name)]
        if len(names) == len(target.items):
            return _Definition(target.value.name, tuple(names), statement.value)
    raise ReadingError(said("the left side is a name, as z or z[i, j]"), statement.line, 1)


# -- axes: which index runs over which axis of which array ------------------------------------------------


@dataclass
class _Axes:
    """Two indices that stand on one axis of an array run over the same size."""

    group: dict[Any, Any] = field(default_factory=dict)

    def find(self, key: Any) -> Any:
        while self.group.setdefault(key, key) != key:
            key = self.group[key]
        return key

    def join(self, a: Any, b: Any) -> None:
        self.group[self.find(a)] = self.find(b)


# -- building ---------------------------------------------------------------------------------------------


class _Builder:
    def __init__(self, text: str, used: set[str]):
        self.exercise = Exercise("formula", title=" ".join(text.split()), tags=["ad hoc"])
        self.used = used
        self.axes = _Axes()
        self.indices: dict[str, Idx] = {}
        self.symbols: dict[str, Any] = {}
        self.named: dict[Expr, Any] = {}  # the expression of a step -> its entry

    # -- names --

    def prepare(self, definition: _Definition) -> None:
        """Make the sizes, indices and parameters that the definition is the first to use."""
        arrays = [n for n in lang.walk(definition.value) if isinstance(n, lang.Subscript)]
        sums = [n for n in lang.walk(definition.value) if isinstance(n, lang.Call) and _is_sum(n)]
        bound = {i.name for n in sums for i in lang.bound(n)}
        labels = {
            *definition.indices, *bound,
            *(i.name for a in arrays for item in a.items for i in lang.walk(item) if isinstance(i, lang.Name)),
        }  # fmt: skip
        for array in arrays:
            self._join(array)
        for position, index in enumerate(definition.indices):
            self.axes.join(("index", index), (definition.name, position))
        self._make_indices([label for label in self._in_order(definition, labels) if label not in self.indices])
        functions = {id(n.function) for n in lang.walk(definition.value) if isinstance(n, lang.Call)}
        for node in lang.walk(definition.value):
            if isinstance(node, lang.Subscript):
                self._array(node)
            elif isinstance(node, lang.Attribute):
                functions.add(id(node.value))
        whole = {id(n.value) for n in arrays}
        for node in lang.walk(definition.value):
            if isinstance(node, lang.Name) and id(node) not in functions | whole and node.name not in self.indices:
                self._scalar(node)

    def _in_order(self, definition: _Definition, labels: set[str]) -> list[str]:
        seen = [n.name for n in lang.walk(definition.value) if isinstance(n, lang.Name) and n.name in labels]
        return list(dict.fromkeys([*definition.indices, *seen]))

    def _join(self, array: lang.Subscript) -> None:
        if not isinstance(array.value, lang.Name):
            raise _refusal(array, said("only an array has indices: x[i]"))
        for position, item in enumerate(array.items):
            if isinstance(item, lang.Name):
                self.axes.join(("index", item.name), (array.value.name, position))
            elif not isinstance(item, lang.Number):
                raise _refusal(
                    item, said("an index here is a plain name or a number: x[i, 0]; for more write an exercise file")
                )

    def _make_indices(self, labels: Sequence[str]) -> None:
        for label in labels:
            if label in self.symbols:
                raise ReadingError(
                    said("{label} is an index and also a number: give one of them another name", label=label)
                )
            key = self.axes.find(("index", label))
            known = [i for i in self.indices if self.axes.find(("index", i)) == key]
            extent = self.exercise.size_symbols[self.indices[known[0]].upper.free_symbols.pop().name] if known else None
            if extent is None:
                extent = self.exercise.sizes(self._size_name(label))
            self.indices[label] = self.exercise.indices(**{label: extent})

    def _size_name(self, label: str) -> str:
        wanted = ["N"] if label in ("i", "n") else []
        for name in [*wanted, label.upper(), *(f"N{m}" for m in range(1, 99))]:
            if name != label and name not in self.exercise.size_symbols and name not in self.symbols:
                return name
        raise ReadingError(said("too many indices: write an exercise file instead"))

    def _array(self, node: lang.Subscript) -> None:
        assert isinstance(node.value, lang.Name)
        name = node.value.name
        if name in self.symbols:
            wanted = len(getattr(self.symbols[name], "shape", ()))
            if wanted != len(node.items):
                raise _refusal(
                    node,
                    said(
                        "{name} has {wanted} elsewhere",
                        name=name,
                        wanted=nsaid("{count} index", "{count} indices", wanted, count=wanted),
                    ),
                )
            return
        if any(not isinstance(item, lang.Name) for item in node.items):
            raise _refusal(
                node, said("use {name} with a plain index first, as {name}[i], so that its size has a name", name=name)
            )
        names = [item.name for item in node.items if isinstance(item, lang.Name)]
        if len(set(names)) != len(names):
            raise _refusal(node, said("{name} has one index twice: for a diagonal write an exercise file", name=name))
        self.symbols[name] = self._guard(node, lambda: self.exercise.parameter(name, *(self.indices[n] for n in names)))

    def _scalar(self, node: lang.Name) -> None:
        name = node.name
        if name in self.symbols or name in _CONSTANTS or name in self.exercise.size_symbols:
            return
        if name in lang.MODULES and name not in _LETTERS:
            raise _refusal(node, said("{name} alone is nothing here: write a function, as {name}.exp(x)", name=name))
        self.symbols[name] = self._guard(node, lambda: self.exercise.parameter(name))

    def _guard(self, node: lang.Expression, make: Callable[[], Any]) -> Any:
        """The exercise's own objection, at the place of the name."""
        try:
            return make()
        except TutorError as error:
            raise _refusal(node, getattr(error, "objection", "") or error.says) from None

    # -- definitions --

    def define(self, definition: _Definition) -> None:
        self.prepare(definition)
        expr = self.value(definition.value)
        indices = [self.indices[i] for i in definition.indices]
        step = self._guard(definition.value, lambda: self.exercise.step(definition.name, indices, expr))
        self.symbols[definition.name] = step

    def finish(self, definition: _Definition) -> Exercise:
        self.prepare(definition)
        expr = self.value(definition.value)
        name = definition.name
        if definition.indices:
            raise _refusal(
                definition.value,
                said("the last line is the loss, a scalar: sum over {indices}", indices=definition.indices[0]),
            )
        if name == "L" and "L" in self.symbols:
            name = self._free("loss")
        self._guard(definition.value, lambda: self.exercise.loss(name, expr))
        self._let_go_unused()
        self._guard(definition.value, self.exercise.validate)
        return self.exercise

    def _let_go_unused(self) -> None:
        """`x - x`: what cancelled is still a name one may ask for; its gradient is 0."""
        reads = frozenset().union(*(q.reads for q in self.exercise))
        lost = [q.name for q in self.exercise if q.kind == "parameter" and q.name not in reads]
        kept = [q.name for q in self.exercise if q.kind == "parameter" and q.name in reads]
        if not kept:
            if lost:
                names = joined(lost, said(" and "))
                raise ReadingError(said("nothing is left to differentiate: {names} cancels", names=names))
            raise ReadingError(said("nothing is left to differentiate: the formula is a number"))
        if lost:
            for name in lost:
                self.exercise.quantities[name] = replace(self.exercise.quantities[name], kind="input")

    def _free(self, stem: str) -> str:
        taken = self.used | set(self.symbols) | set(self.exercise.size_symbols)
        names = [stem, *(f"{stem}{n}" for n in range(1, 200))]
        return next(n for n in names if n not in taken and f"d{n}" not in taken and n not in self.exercise.quantities)

    def step(self, expr: Expr) -> Expr:
        """The entry of the step that holds `expr`; equal expressions share one."""
        if expr not in self.named:
            taken = self.used | set(self.exercise.quantities)
            name = next(n for n in (f"q{m}" for m in range(1, 10**6)) if not {n, f"d{n}"} & taken)
            axes = [i for i in self.indices.values() if i in free_indices(expr)]
            self.named[expr] = entry(self.exercise.step(name, axes, expr), axes)
        return self.named[expr]

    def inner(self, expr: Expr) -> Expr:
        """What stands under a power or in a function: named, unless it is as good as a name."""
        return expr if _is_plain(expr) else self.step(expr)

    # -- from the reader's tree to SymPy --

    def value(self, node: lang.Expression) -> Expr:
        made = _VALUES.get(type(node), _no_value)(self, node)
        if made.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity, S.ImaginaryUnit):
            raise _refusal(
                node, said("this has no real value: look for a division by zero or the root of a negative number")
            )
        return made

    def number(self, node: lang.Number) -> Expr:
        if isinstance(node.value, int):
            return Integer(node.value)
        return Rational(repr(node.value)) if 1e-30 < abs(node.value) < 1e30 else Float(node.value)

    def name(self, node: lang.Name) -> Expr:
        if node.name in self.indices:
            raise _refusal(
                node,
                said("{name} is an index: it stands in brackets, or after a comma in Sum(..., {name})", name=node.name),
            )
        if node.name in self.exercise.size_symbols:
            return self.exercise.size_symbols[node.name]
        found = _CONSTANTS.get(node.name) if node.name not in self.symbols else self.symbols[node.name]
        if isinstance(found, Tensor):
            raise _refusal(
                node,
                said(
                    "{name} is an array here: write {name}[{names}]",
                    name=node.name,
                    names=", ".join("ijk"[: len(found.shape)]),
                ),
            )
        assert found is not None
        return found

    def unary(self, node: lang.Unary) -> Expr:
        if node.op == "~":
            raise _refusal(node, said("~ belongs to masks: write 1 - mask"))
        value = self.value(node.operand)
        return -value if node.op == "-" else value

    def binary(self, node: lang.Binary) -> Expr:
        if node.op == "**":
            return self.power(node)
        make = _ARITHMETIC.get(node.op)
        if make is None:
            advice = (
                said("for matrices write Sum(A[i,j]*B[j,k], j)") if node.op == "@" else said("it is + - * / ** here")
            )
            raise _refusal(node, said("{op} is not part of a formula: {advice}", op=node.op, advice=advice))
        left, right = self.value(node.left), self.value(node.right)
        if node.op == "/" and right == 0:
            raise _refusal(node.right, said("this is 0: nothing is divided by it"))
        if node.op == "/" and right.is_Add:  # one over something: a power, as good to name as any other
            right = self.inner(right)
        return make(left, right)

    def power(self, node: lang.Binary) -> Expr:
        base, exponent = self.value(node.left), self.value(node.right)
        if exponent.is_number:
            self._small(node, base, exponent)
        elif base.is_number and base.is_positive is not True:
            raise _refusal(node.left, said("a power with a varying exponent needs a positive base"))
        return self.inner(base) ** self.inner(exponent)

    def _small(self, node: lang.Binary, base: Expr, exponent: Expr) -> None:
        if abs(exponent) > MAX_EXPONENT:
            raise _refusal(node.right, said("an exponent beyond {most}: use a smaller one", most=MAX_EXPONENT))
        if base.is_Rational and max(abs(base.p), base.q).bit_length() * abs(exponent) > MAX_BITS:
            raise _refusal(node, said("a number with too many digits: use a smaller exponent"))

    def subscript(self, node: lang.Subscript) -> Expr:
        assert isinstance(node.value, lang.Name)
        at = [self.indices[i.name] if isinstance(i, lang.Name) else S(i.value) for i in node.items]  # type: ignore[attr-defined]
        return Indexed(self.symbols[node.value.name], *at)

    # -- calls --

    def call(self, node: lang.Call) -> Expr:
        name = self.function_name(node.function)
        if node.named:
            raise _refusal(node, said("{name} takes plain arguments here", name=name))
        if name in _SPECIAL:
            return _SPECIAL[name](self, node, name)
        function = _FUNCTIONS.get(name)
        if function is None:
            known = sorted({*_FUNCTIONS, *_SPECIAL})
            hint = did_you_mean(name, known)
            product = (
                said("; for a product write {name}*(...)", name=name) if name in self.symbols or len(name) == 1 else ""
            )
            raise _refusal(
                node,
                said(
                    "{name} is not a function of the table{product}",
                    name=name,
                    product=product or hint or ": " + ", ".join(FUNCTIONS),
                ),
            )
        (argument,) = self.arguments(node, name, 1)
        return function(self.inner(argument))

    def function_name(self, node: lang.Expression) -> str:
        """`exp` for exp, torch.exp, np.exp."""
        if isinstance(node, lang.Name):
            return node.name
        if isinstance(node, lang.Attribute) and lang.is_module(node):
            return node.name
        name = node.name if isinstance(node, lang.Attribute) else "f"
        raise _refusal(node, said("only functions are called: write {name}(x), not x.{name}()", name=name))

    def arguments(self, node: lang.Call, name: str, least: int, most: int | None = None) -> list[Expr]:
        most = most or least
        if not least <= len(node.arguments) <= most:
            count = str(least) if least == most else said("{least} to {most}", least=least, most=most)
            takes = nsaid("{name} takes {count} argument, not {given}", "{name} takes {count} arguments, not {given}",
                          most, name=name, count=count, given=len(node.arguments))  # fmt: skip
            raise _refusal(node, takes)
        return [self.value(a) for a in node.arguments]

    def summed(self, node: lang.Call, name: str) -> Expr:
        over = [a for a in node.arguments[1:] if isinstance(a, lang.Name)]  # over the whole axis: without limits
        if not over or len(over) != len(node.arguments) - 1:
            raise _refusal(node, said("a sum names its index: Sum(x[i]*w[i], i)"))
        body = self.value(node.arguments[0])
        return reduce_over(Sum, body, [self.indices[i.name] for i in over])

    def extremum(self, node: lang.Call, name: str) -> Expr:
        kind = Max if name.lower().startswith("max") else Min
        return kind(*map(self.inner, self.arguments(node, name, 2, 8)))

    def where(self, node: lang.Call, name: str) -> Expr:
        if len(node.arguments) != 3:
            raise _refusal(node, said("where takes three arguments: where(x > 0, a, b)"))
        condition, *values = node.arguments
        if not isinstance(condition, lang.Binary) or condition.op not in _RELATIONS:
            raise _refusal(condition, said("the condition compares two things: x > 0"))
        holds = _RELATIONS[condition.op](self.value(condition.left), self.value(condition.right))
        yes, no = map(self.value, values)
        return Piecewise((yes, holds), (no, True))

    def rational(self, node: lang.Call, name: str) -> Expr:
        p, q = self.arguments(node, name, 2)
        if not (p.is_Integer and q.is_Integer and q != 0):
            raise _refusal(node, said("Rational takes two whole numbers: Rational(1, 2)"))
        return Rational(p, q)

    def delta(self, node: lang.Call, name: str) -> Expr:
        given = node.arguments
        if len(given) != 2 or not all(isinstance(a, lang.Name) and a.name in self.indices for a in given):
            raise _refusal(node, said("KroneckerDelta takes two indices: KroneckerDelta(i, j)"))
        return KroneckerDelta(*(self.indices[a.name] for a in given))  # type: ignore[attr-defined]


def _is_sum(node: lang.Call) -> bool:
    return isinstance(node.function, lang.Name) and node.function.name == "Sum"


def _is_plain(expr: Expr) -> bool:
    """A number, a name, a number times a name, or a name's power by a number: no reader wants a name for it."""
    rest = expr.as_coeff_Mul()[1]
    base = rest.as_base_exp()[0] if rest.as_base_exp()[1].is_number else rest
    return expr.is_number or isinstance(base, (Symbol, Indexed)) or not quantities_in(expr)


def _no_value(builder: _Builder, node: lang.Expression) -> Expr:
    raise _refusal(
        node, said("this is not part of a formula: write names, numbers, + - * / ** and functions such as exp(x)")
    )


def _refusal(node: lang.Expression, reason: str) -> ReadingError:
    return ReadingError(reason, node.line, max(node.column, 1))


_ARITHMETIC: Mapping[str, Callable[[Expr, Expr], Expr]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
_VALUES: dict[type, Callable[[_Builder, Any], Expr]] = {
    lang.Number: _Builder.number,
    lang.Name: _Builder.name,
    lang.Unary: _Builder.unary,
    lang.Binary: _Builder.binary,
    lang.Subscript: _Builder.subscript,
    lang.Call: _Builder.call,
}
_SPECIAL: dict[str, Callable[[_Builder, lang.Call, str], Expr]] = {
    "Sum": _Builder.summed,
    "where": _Builder.where,
    "Rational": _Builder.rational,
    "KroneckerDelta": _Builder.delta,
    **dict.fromkeys(("Max", "maximum", "max", "Min", "minimum", "min"), _Builder.extremum),
}
_FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    spelling: row.sympy for row in FUNCTIONS.values() for spelling in (row.name, *row.spellings)
}
