"""The names that a file gives to modules, as `import torch.nn.functional as nnf` or `la = torch.linalg`.

They hold for the whole file, for an import often stands in a cell or above a header of its own.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from tutor.answers.language import MODULES

IMPORTED = ("torch", "numpy", "sympy", "math")  # what an answer may import
_ROOTS = {"torch": "torch", "nn": "torch.nn", "np": "numpy", "numpy": "numpy"}  # what `la = torch.linalg` begins with
_INSIDE = {"torch.nn", "torch.nn.functional", "torch.linalg", "torch.special", "numpy.linalg"}
_LINE = re.compile(
    r"^[ \t]*((?:import|from)[ \t].{1,500}|[^\W\d]\w*[ \t]*=[ \t]*(?:torch|nn|np|numpy)\b[.\w]*[ \t]*(?:#.{0,500})?)$",
    re.MULTILINE,
)
_GIVEN = re.compile(r"^[ \t]*([^\W\d]\w*)[ \t]*(?:\*\*|//|[-+*/@])?=(?!=)", re.MULTILINE)


def modules_named(text: str) -> Mapping[str, str]:
    """`{"nnf": "torch.nn.functional"}`; not a name that stands for something else as well, nor one known anyway."""
    found: dict[str, str] = {}
    given: Counter[str] = Counter()
    for line in _LINE.finditer(text):
        for name, path in _named(line[1]):
            if name not in MODULES and found.setdefault(name, path) == path:
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
