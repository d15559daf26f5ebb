"""What lines that cannot be read would have done: the names that they give a value, or change in place.

Such a name has no value that can be judged, whatever an earlier line gave it. Nothing here is computed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator

from tutor.answers.language import Touched

_MODULES = ("torch", "np", "numpy", "nn", "F")
# what changes its first argument, or its owner, without saying so by an underscore
CHANGES = ("copyto", "fill", "fill_diagonal", "place", "put", "putmask", "put_along_axis", "itemset", "at")
_HEAD = re.compile(r"(for|with|if|while|def|class|try|async|match|elif|else|except|finally)\b")
_INSIDE = re.compile(r"(async\s+def|def|class)\b")
_NAME = r"[^\W\d][\w.]*"
_CUT = "\N{BULLET}"  # stands for brackets and what is in them
_GIVEN = re.compile(rf"\s*((?:{_NAME}{_CUT}*\s*,\s*)*{_NAME}{_CUT}*)\s*(\*\*|//|[-+*/@])?:?=(?!=)")
_IN_PLACE = re.compile(rf"(?<![\w.])({_NAME})\.(?:\w*[^\W_]_|__\w+__)\s*\(|\bout\s*=\s*\(?\s*({_NAME})")
_BRACKETS = re.compile(r"\[[^\[\]()]*\]|\([^()]*\)")
MOST, MOST_NESTED = 4_000, 40  # characters, and brackets inside each other, that are looked at


def touched(lines: Iterable[tuple[int, str]], parsed: bool = True) -> list[Touched]:
    """`lines` are (indent, code); the first is the refused one, the others stand in its block."""
    made: dict[str, Touched] = {}
    rows: dict[str, list[str]] = {}  # what a loop takes from where
    own: int | None = None  # the indent of a def
    first = True
    for indent, code in lines:
        if own is not None and indent <= own:
            own = None
        plain = first and not _HEAD.match(code)
        _take_rows(code[:MOST], rows)
        for found in _of_line(code[:MOST], parsed, plain):
            inside = own is not None and not found.labels and found.name not in made
            made.setdefault(found.name, Touched(found.name, found.given, inside and _local(code, found.name)))
        if plain and (labelled := _labelled(code)):
            made[labelled.name] = labelled
        if own is None and _INSIDE.match(code):
            own = indent
        first = False
    for name in [name for row in made for name in rows.get(row, ())]:
        made.setdefault(name, Touched(name))
    return list(made.values())


def _take_rows(code: str, rows: dict[str, list[str]]) -> None:
    """`for v, g in zip(t, demb):` changes demb where it changes g."""
    tree = _tree(code) if code.startswith("for") else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.For):
            taken = [part.id for part in ast.walk(node.iter) if isinstance(part, ast.Name)]
            rows.update((part.id, taken) for part in _flat(node.target) if isinstance(part, ast.Name))


def _local(code: str, name: str) -> bool:
    """`e = ...` in a def is the def's own; `dE[i] += ...` changes what stands outside."""
    return re.match(rf"{re.escape(name)}\s*(,|=|\+=|-=|\*=|/=)", code) is not None


def _labelled(code: str) -> Touched | None:
    """`dz[i, k] = ...`, which gives every entry if i and k are indices."""
    found = re.match(rf"({_NAME})\[\s*([^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*)\s*\]\s*=(?!=)", code)
    if found is None:
        return None
    labels = tuple(re.findall(r"\w+", found[2]))
    return Touched(_written(found[1]), labels=labels) if len(set(labels)) == len(labels) else None


def _of_line(code: str, parsed: bool, plain: bool) -> Iterator[Touched]:
    tree = _tree(code) if parsed else None
    if tree is None:
        yield from _as_text(code, plain)
        return
    for node in ast.walk(tree):
        yield from _of_node(node, plain)


def _tree(code: str) -> ast.AST | None:
    code = re.sub(r"^elif\b", "if", code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code + " pass" if code.endswith(":") else code)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        return None


def _of_node(node: ast.AST, plain: bool) -> Iterator[Touched]:
    if isinstance(node, ast.Assign):
        nothing = isinstance(node.value, ast.Constant) and node.value.value is None
        read = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        for target in (part for given in node.targets for part in _flat(given)):
            if name := _base(target):
                if nothing and name.endswith(".grad"):
                    continue  # makes room for the next backward pass
                whole = isinstance(target, (ast.Name, ast.Attribute))
                yield Touched(name, plain and whole and name not in read)
    elif isinstance(node, (ast.AugAssign, ast.NamedExpr)) or (isinstance(node, ast.AnnAssign) and node.value):
        if name := _base(node.target):
            yield Touched(name, plain and isinstance(node, ast.AnnAssign))
    elif isinstance(node, ast.Call):
        yield from map(Touched, _changed_by(node))


def _changed_by(call: ast.Call) -> Iterator[str]:
    """`dw.mul_(2)`, `torch.div(a, b, out=dw)`, `np.copyto(dw, a)`, `nn.init.zeros_(dw)`."""
    for given in call.keywords:
        if given.arg == "out":
            yield from (name for part in _flat(given.value) if (name := _base(part)))
        elif given.arg == "inplace" and call.args and (name := _base(call.args[0])):
            yield name
    if not isinstance(call.func, ast.Attribute) or not in_place(call.func.attr):
        return
    owner = _base(call.func.value)
    if owner in _MODULES and call.args:
        owner = _base(call.args[0]) or owner
    if owner and not (call.func.attr in ("zero_", "requires_grad_") and owner.endswith(".grad")):
        yield owner


def changes(code: str) -> bool:
    """Whether a line that is passed over, as `print(dw.mul_(2))`, changes anything."""
    return bool(_IN_PLACE.search(code[:MOST])) and any(_of_line(code[:MOST], True, False))


def in_place(name: str) -> bool:
    """Whether a function of that name changes what it is called on."""
    if name.startswith("__"):
        return name == "__setitem__" or name.startswith("__i")
    return (name.endswith("_") and name != "requires_grad_") or name in CHANGES


def _flat(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (ast.Tuple, ast.List)):
        for part in node.elts:
            yield from _flat(part)
    else:
        yield node.value if isinstance(node, ast.Starred) else node


def _base(node: ast.AST) -> str:
    """`dE` for `dE[v]`, `dE.T[v].view(-1)`; `W.grad` as it is; "" for what has no name."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.value, ast.Name):
            return f"{node.value.id}.grad"
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return ""
    return node.id


def _as_text(code: str, plain: bool) -> Iterator[Touched]:
    """The same, of what is not even Python."""
    for found in _IN_PLACE.finditer(code):
        yield Touched(_written(found[1] or found[2]))
    bare = code
    for _ in range(MOST_NESTED):
        bare = _BRACKETS.sub(_CUT, bare)
    for piece in re.split(r"[;:](?!=)", bare):
        at = chained = 0
        while chained < MOST_NESTED and (given := _GIVEN.match(piece, at)):
            at, chained = given.end(), chained + 1
            right = set(re.findall(r"[^\W\d]\w*", piece[at:]))
            for name in given[1].split(","):
                written = _written(name.replace(_CUT, "").strip())
                yield Touched(written, plain and not given[2] and _CUT not in name and written not in right)


def _written(name: str) -> str:
    """`W.grad` as it is, `W` for `W.data` or `W.T`."""
    first, _, rest = name.partition(".")
    return f"{first}.grad" if rest.split(".")[0] == "grad" else first
