"""What names stand for in a whole file: modules, lists that grow, and functions of the learner's own.

An import or a `def` often stands in a cell, or above a header, of its own.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tutor.answers.language import MODULES
from tutor.answers.own_functions import Function, either, function_of

IMPORTED = ("torch", "numpy", "sympy", "math")  # what an answer may import
# what stands above many a sheet, and of which nothing is needed; scipy's softmax is over all axes, and no torch's
BESIDE = (
    "matplotlib", "seaborn", "pandas", "sklearn", "typing", "random", "time", "copy", "functools",
    "itertools", "collections", "dataclasses", "__future__", "IPython", "tqdm",
)  # fmt: skip
MAX_FUNCTIONS = 100
_ROOTS = {"torch": "torch", "nn": "torch.nn", "np": "numpy", "numpy": "numpy"}  # what `la = torch.linalg` begins with
_INSIDE = {"torch.nn", "torch.nn.functional", "torch.linalg", "torch.special", "numpy.linalg"}
_LINE = re.compile(
    r"^[ \t]*((?:import|from)[ \t].{1,500}|[^\W\d]\w*[ \t]*=[ \t]*(?:torch|nn|np|numpy)\b[.\w]*[ \t]*(?:#.{0,500})?)$",
    re.MULTILINE,
)
_GIVEN = re.compile(r"^[ \t]*([^\W\d]\w*)[ \t]*(?:\*\*|//|[-+*/@])?=(?!=)", re.MULTILINE)
_LIST = re.compile(r"^[ \t]*([^\W\d]\w*(?:,[ \t]*[^\W\d]\w*){0,9})[ \t]*=[ \t]*\[", re.MULTILINE)
_APPENDED = re.compile(r"^[ \t]*([^\W\d]\w*)\.(?:append|extend|insert|reverse|pop)\(", re.MULTILINE)
_DEF = re.compile(r"^def[ \t]+([^\W\d]\w{0,60})[ \t]*\([^\n]*(?:\n(?:[ \t]+[^\n]*|[ \t]*(?=\n)))*", re.MULTILINE)
_CALL = re.compile(r"(?<!def )(?<![\w.])([^\W\d]\w*)\(")
_LAMBDA = re.compile(r"^([^\W\d]\w{0,60})[ \t]*=[ \t]*lambda\b[^\n]*", re.MULTILINE)


@dataclass(frozen=True)
class FileNames:
    """`{"nnf": "torch.nn.functional"}`, `{"grads"}`, and functions by their names."""

    modules: Mapping[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    functions: Mapping[str, Function] = field(default_factory=dict)

    def is_formula(self, name: str) -> bool:
        """Whether a function of the learner's own is read where it is called."""
        return name in self.functions and self.functions[name].formula is not None


def names_in(text: str) -> FileNames:
    """What a file's code says of names that stand for something else than a value."""
    return FileNames(modules_named(text), _lists(text), _functions(text))


def modules_named(text: str) -> Mapping[str, str]:
    """`{"nnf": "torch.nn.functional"}`; not a name that stands for something else as well, nor one known anyway."""
    found: dict[str, str] = {}
    given: Counter[str] = Counter()
    for line in _LINE.finditer(text):
        for name, path in _named(line[1]):
            if name not in MODULES:
                given[name] += found.setdefault(name, path) != path
                given[name] -= 1 if _GIVEN.match(line[1]) else 0
    if found:
        given.update(_GIVEN.findall(text))
    return {name: path for name, path in found.items() if given[name] <= 0}


def _named(line: str) -> Iterator[tuple[str, str]]:
    try:
        [node] = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if isinstance(node, ast.Import):
        yield from ((each.asname, each.name) for each in node.names if each.asname and _imported(each.name))
    elif isinstance(node, ast.ImportFrom) and not node.level:
        paths = ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)
        yield from (found for found in paths if found[1] in _INSIDE)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        root, _, rest = ast.unparse(node.value).partition(".")
        path = f"{_ROOTS[root]}.{rest}".rstrip(".")
        if path in _INSIDE or (path in IMPORTED and root != "nn"):
            yield node.targets[0].id, path


def _imported(path: str) -> bool:
    return path.split(".")[0] in IMPORTED


def _lists(text: str) -> frozenset[str]:
    """Lists that grow line by line; not one that only keeps what is plotted later, as of losses."""
    grown = set(_APPENDED.findall(text))
    if not grown:
        return frozenset()
    begun = {name.strip() for names in _LIST.findall(text) for name in names.split(",")}
    mentioned = Counter(re.findall(r"[^\W\d]\w*", text))
    changed = Counter(_APPENDED.findall(text)) + Counter(_GIVEN.findall(text))
    return frozenset(name for name in grown & begun if mentioned[name] > changed[name])


def _functions(text: str) -> dict[str, Function]:
    """Those that are called; an answer inside of a function that nobody calls is none."""
    found: dict[str, Function] = {}
    if "def " not in text and "lambda" not in text:
        return found
    called = set(_CALL.findall(text))
    for pattern in (_DEF, _LAMBDA):
        for written in pattern.finditer(text):
            name = written[1]
            if name in called and len(found) < MAX_FUNCTIONS and (made := function_of(written[0])) is not None:
                found[name] = either(found[name], made) if name in found else made
    return found
