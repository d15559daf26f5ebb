"""Names: of quantities from the user's own source, of sizes and indices as the field writes them."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from tutor.torch_import.graph import Graph

ASSIGNED = re.compile(r"(\w+)\s*(?::[^=]+)?=(?!=)")
# names that stand for something else on an answer sheet
TAKEN = frozenset({"torch", "np", "numpy", "F", "nn", "math", "pi", "range", "print", "cmp", "True", "False", "None"})

# size -> letters for its indices, the likeliest first
LETTERS = {
    "N": "nim", "B": "bn", "D": "djq", "E": "ejd", "T": "tsu", "K": "kjl", "H": "hjp", "W": "wvu", "V": "vw",
    "C": "cej", "M": "mf", "F": "fm", "R": "rg", "S": "st", "L": "lu", "O": "op", "Q": "qr",
}  # fmt: skip
ANY = "ijklmnopqrstuvwabcdefgh"


def identifier(text: str) -> str:
    """`blocks.0.fc1` as blocks_0_fc1, `0.weight` as layer0_weight."""
    name = re.sub(r"\W+", "_", text).strip("_") or "x"
    if name[0].isdigit():
        name = f"layer{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in TAKEN else name


def wished(graph: Graph) -> dict[str, str]:
    """Node -> the name that its source gives it: the variable it is assigned to, or the module that it is."""
    once, often = _assigned(graph)
    wishes = {}
    for node in graph.nodes:
        leaf = node.module.rsplit(".", 1)[-1]
        if node.name in once:
            wishes[node.name] = identifier(once[node.name])
        elif node.whole and leaf and not leaf[0].isdigit():
            wishes[node.name] = identifier(node.module if _several(graph, leaf) else leaf)
        elif node.name in often:
            wishes[node.name] = identifier(often[node.name])
    return wishes


def _several(graph: Graph, leaf: str) -> bool:
    return len({node.module for node in graph.nodes if node.module.rsplit(".", 1)[-1] == leaf}) > 1


def _assigned(graph: Graph) -> tuple[dict[str, str], dict[str, str]]:
    """Node -> variable, for the last operation of a line `h = ...`: of variables that one line assigns, and of those
    that several do, as in `x = x + ...`."""
    lines: dict[str, set[tuple[str, int]]] = {}
    last: dict[str, str] = {}
    for node, following in zip_longest(graph.nodes, graph.nodes[1:]):
        found = ASSIGNED.match(node.place.text) if node.place else None
        if found is None or node.place is None:
            continue
        lines.setdefault(found[1], set()).add((node.place.file, node.place.line))
        if following is None or following.place != node.place:
            last[node.name] = found[1]
    taken = {leaf.path for leaf in graph.leaves if leaf.kind == "input"}
    once = {node: v for node, v in last.items() if len(lines[v]) == 1 and v not in taken}
    return once, {node: v for node, v in last.items() if node not in once}


def numbered(wishes: Sequence[tuple[str, str]]) -> dict[str, str]:
    """key -> name; what several wish is numbered from 1: z1, z2."""
    counts = Counter(wish for _, wish in wishes)
    serial: Counter[str] = Counter()
    names = {}
    for key, wish in wishes:
        serial[wish] += 1
        names[key] = wish if counts[wish] == 1 else f"{wish}{serial[wish]}"
    return names


class Names:
    """One namespace: sizes, indices and quantities, and no `dW` beside a `W`."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def fits(self, name: str) -> bool:
        if name in self.taken or keyword.iskeyword(name) or name in TAKEN:
            return False
        return not any(
            prefix + name in self.taken or (name.startswith(prefix) and name[len(prefix) :] in self.taken)
            for prefix in ("d", "dL_d", "grad_")
        )

    def claim(self, *wishes: str) -> str:
        """The first wish that is free; else the last one with a number."""
        for wish in wishes:
            if self.fits(wish):
                self.taken.add(wish)
                return wish
        stem, number = wishes[-1], 2
        while not self.fits(f"{stem}{number}"):
            number += 1
        self.taken.add(f"{stem}{number}")
        return f"{stem}{number}"

    def size(self, wishes: Sequence[str]) -> str:
        return self.claim(*wishes, "M", "P", "Q", "J", "H")

    def letter(self, size: str) -> str:
        """An index over an axis of this size (`N`, or "" for an expression)."""
        own = LETTERS.get(size.rstrip("0123456789"), "") if size else ""
        digits = size[len(size.rstrip("0123456789")) :]
        wishes = [f"{letter}{digits}" for letter in own[:1]] if digits else list(own)
        return self.claim(*wishes, *([size.lower()] if size else []), *ANY, "i")
