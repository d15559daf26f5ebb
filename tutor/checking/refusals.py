"""What torch refuses, in a learner's words: the learner's tensor and its shape, then what to do.

A row is a pattern of torch's message and the sentence for it. `{it}` is the tensor that the call is about, as the
learner wrote it; `{has}` says its shape, `{axes}` its axes, and `{0}`, `{1}`, ... are what the pattern found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tutor.answers import language as lang
from tutor.shown import has_shape, shown_shape

Shapes = Sequence[tuple[int, ...]]

_SENTENCES: tuple[tuple[str, str], ...] = (
    (r"Dimension out of range .* got (-?\d+)", "{it} {has} and no axis {0}: {axes}"),
    (r"must match the size of tensor b", "{shapes} do not broadcast: sizes agree from the last axis on, or one is 1"),
    (r"dim (\d+) appears multiple times", "axis {0} is named twice: name it once"),
    (r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
     "index {0} is beyond axis {1} of {it}, which has {2} entries: they count from 0 to {last}"),
    (r"index out of range in self", "an index is beyond the rows of {it}: rows count from 0"),
    (r"too many indices for tensor of dimension", "{it} {has}: give one index for each axis"),
    (r"invalid index of a 0-dim", "{it} is a number and has no entries: leave the brackets out"),
    (r"tensors used as indices must be",
     "an index holds whole numbers or is a mask: write x[x > 0] for a mask, or ix.long() for whole numbers"),
    (r"shape of the mask (\[.*?\]) at index \d+ does not match",
     "the mask has shape {0}, and {it} {has}: give the mask the shape of what it picks from"),
    (r"indexing tensors could not be broadcast together with shapes (\[.*?\]), (\[.*?\])",
     "the indices have the shapes {0} and {1}: give them the same shape"),
    (r"shape '(\[.*?\])' is invalid for input of size (\d+)",
     "{it} has {1} entries, and {0} is a shape for another number: give a shape that holds all of them"),
    (r"view size is not compatible", "the entries of {it} do not lie in one row in memory: write .reshape(...)"),
    (r"only one dimension can be inferred", "-1 stands for one size only: write the others out"),
    (r"expanded size .*Target sizes: (\[.*?\])\. +Tensor sizes: (\[.*?\])",
     "a tensor of shape {1} does not fit the shape {0}: only an axis of size 1 grows"),
    (r"the number of sizes provided \((\d+)\)", "{it} {has}: give a size for each of its axes"),
    (r"t\(\) expects a tensor with <= 2", "{it} {has}: .t() turns a matrix; write .mT for the last two axes"),
    (r"tensor\.mT is only supported", "{it} {has}: .mT turns a matrix; leave it out, or write {it}[:, None]"),
    (r"does not match the length of the desired ordering", "{it} {has}: permute names each of its axes once"),
    (r"permute\(\): duplicate dims", "{it} {has}: permute names each of its axes once"),
    (r"value tensor of shape (\[.*?\]) cannot be broadcast to indexing result of shape (\[.*?\])",
     "the values have the shape {0}, and their place {1}: give them the same shape"),
    (r"Tensors must have same number of dimensions|Sizes of tensors must match|stack expects each tensor",
     "the tensors to join differ in shape: they may differ along the joined axis alone"),
    (r"must be batches of square matrices", "{it} {has}: this is for square matrices"),
    (r"must have at least 2 dimensions", "{it} {has}: this is for matrices"),
    (r"input matrix is singular", "{it} is singular at the drawn values: it has no inverse"),
    (r"Incompatible shapes of A and B", "the shapes of solve(A, B) do not fit: B has as many rows as A"),
    (r"Class values must be (smaller|non-negative)",
     "one_hot meets a class outside 0 to num_classes - 1: count the classes again"),
    (r"Index tensor must have the same number of dimensions",
     "the index has as many axes as the tensor it picks from: write index[:, None]"),
    (r"Expected dtype int", "an index holds whole numbers: write ix.long()"),
    (r"expected index (\[.*?\]) to be no larger than self (\[.*?\])",
     "the index has shape {0}, and the tensor {1}: the index is no larger except along the picked axis"),
    (r"Number of indices \((\d+)\) should be equal to source.size\(dim\): \((\d+)\)",
     "there are {0} indices for {1} rows to add: one index for each row"),
    (r"source tensor shape must match self .*Got self.shape = (\[.*?\]) source.shape = (\[.*?\])",
     "what is added has shape {1}, and {it} {0}: they may differ along the indexed axis alone"),
    (r'"bitwise_(\w+?)_cpu" not implemented', "& | ~ take masks: write (a > 0) & (b > 0), ~(a > 0)"),
    (r"a Tensor with (\d+) elements cannot be converted", "{it} has {0} entries: .item() is for a single one"),
    (r"expected a matrix|Expected 1-D argument|Supports 1D or 2D", "{it} {has}, which does not fit here"),
    (r"Number of dimensions of repeat dims", "{it} {has}: repeat takes a number for each of its axes"),
    (r"expects split_sizes to sum exactly to (\d+)", "the parts have {0} entries together: their sizes add up to it"),
    (r"At least one of 'min' or 'max'", "clamp needs a bound: write min=0"),
)  # fmt: skip
_TABLE = [(re.compile(pattern), sentence) for pattern, sentence in _SENTENCES]
_BROADCAST = re.compile(r"must match the size of tensor b|do not broadcast")
_NEW_AXIS = re.compile(r"range of \[-\d+, (\d+)\], but got (-?\d+)")
_INNER = re.compile(r"the inner sizes (\d+) and (\d+) differ")
_LONGEST = 40  # characters of a tensor's own text


def in_words(error: str, shapes: Shapes, node: lang.Expression, statement: lang.Statement) -> str:
    """torch's message about `node`, in the learner's terms; as it is where it says nothing we know."""
    names = [_written(part, statement) for part in _tensors(node)]
    if len(names) == len(shapes) == 2 and all(names):
        if _BROADCAST.search(error):
            return f"{names[0]} {has_shape(shapes[0])} and {names[1]} {shown_shape(shapes[1])}, which do not broadcast"
        if found := _INNER.search(error):
            return (
                f"{names[0]} {has_shape(shapes[0])} and {names[1]} {shown_shape(shapes[1])}: "
                f"the inner sizes {found[1]} and {found[2]} differ"
            )
    if isinstance(node, lang.Attribute) and node.name == "mT":
        return "{it} {has}: .mT turns a matrix; leave it out".format(**_about(names, shapes))
    if (found := _NEW_AXIS.search(error)) and shapes and 0 < len(shapes[0]) == int(found[1]):
        return f"a new axis of {_about(names, shapes)['it']} stands at 0 to {found[1]}, not at {found[2]}"
    for pattern, sentence in _TABLE:
        if found := pattern.search(error):
            groups = [_from_torch(text or "") for text in found.groups()]
            return sentence.format(*groups, **_about(names, shapes), last=_last(found))
    return error


def _about(names: list[str], shapes: Shapes) -> dict[str, str]:
    it = names[0] if names and names[0] else "this tensor"
    if not shapes:
        return {"it": it, "has": "has another shape", "axes": "look at its shape", "shapes": "the shapes"}
    shape = shapes[0]
    axes = ["it has none", "its only axis is 0", "its axes are 0 and 1"]
    many = f"its axes are 0 to {len(shape) - 1}"
    return {
        "it": it,
        "has": has_shape(shape),
        "axes": axes[len(shape)] if len(shape) < 3 else many,
        "shapes": "the shapes " + " and ".join(shown_shape(s) for s in shapes if s),
    }


def _from_torch(text: str) -> str:
    """`[3]` as a shape is written, `(3,)`."""
    if not text.startswith("["):
        return text
    return f"({text[1:-1]}{'' if ',' in text else ','})"


def _last(found: re.Match[str]) -> str:
    numbers = found.groups()
    return str(int(numbers[2]) - 1) if len(numbers) > 2 and (numbers[2] or "").isdigit() else ""


def _tensors(node: lang.Expression) -> list[lang.Expression]:
    """The operands of what torch refused: the owner of a method, the arguments of a function."""
    if isinstance(node, lang.Binary):
        return [node.left, node.right]
    if isinstance(node, (lang.Subscript, lang.Attribute)):
        return [node.value]
    if isinstance(node, lang.Call):
        function = node.function
        if isinstance(function, lang.Attribute) and not lang.is_module(function.value):
            return [function.value, *node.arguments]
        return list(node.arguments)
    return [node]


def _written(node: lang.Expression, statement: lang.Statement) -> str:
    """The learner's own text of a part, where it is short and on the statement's line."""
    if isinstance(node, lang.Name):
        return node.name
    start = node.column - statement.start
    if isinstance(statement, lang.Loop) or node.line != statement.line or node.end <= node.column or start < 0:
        return ""
    text = statement.text[start : node.end - statement.start]
    return text if 0 < len(text) <= _LONGEST else ""
