"""What torch refuses, in a learner's words: the learner's tensor and its shape, then what to do.

A row is a pattern of torch's message and the sentence for it. `{it}` is the tensor that the call is about, as the
learner wrote it; `{has}` says its shape, `{axes}` its axes, and `{a}`, `{b}`, ... are what the pattern found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tutor.answers import language as lang
from tutor.language import N_, joined, said
from tutor.shown import has_shape, shown_shape

Shapes = Sequence[tuple[int, ...]]

_SENTENCES: tuple[tuple[str, str], ...] = (
    (r"Dimension out of range .* got (-?\d+)", N_("{it} {has} and no axis {a}: {axes}")),
    (r"must match the size of tensor b",
     N_("{shapes} do not broadcast: sizes agree from the last axis on, or one is 1")),
    (r"dim (\d+) appears multiple times", N_("axis {a} is named twice: name it once")),
    (r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
     N_("index {a} is beyond axis {b} of {it}, which has {c} entries: they count from 0 to {last}")),
    (r"index out of range in self", N_("an index is beyond the rows of {it}: rows count from 0")),
    (r"too many indices for tensor of dimension", N_("{it} {has}: give one index for each axis")),
    (r"invalid index of a 0-dim", N_("{it} is a number and has no entries: leave the brackets out")),
    (r"tensors used as indices must be",
     N_("an index holds whole numbers or is a mask: write x[x > 0] for a mask, or ix.long() for whole numbers")),
    (r"shape of the mask (\[.*?\]) at index \d+ does not match",
     N_("the mask has shape {a}, and {it} {has}: give the mask the shape of what it picks from")),
    (r"indexing tensors could not be broadcast together with shapes (\[.*?\]), (\[.*?\])",
     N_("the indices have the shapes {a} and {b}: give them the same shape")),
    (r"shape '(\[.*?\])' is invalid for input of size (\d+)",
     N_("{it} has {b} entries, and {a} is a shape for another number: give a shape that holds all of them")),
    (r"view size is not compatible", N_("the entries of {it} do not lie in one row in memory: write .reshape(...)")),
    (r"only one dimension can be inferred", N_("-1 stands for one size only: write the others out")),
    (r"expanded size .*Target sizes: (\[.*?\])\. +Tensor sizes: (\[.*?\])",
     N_("a tensor of shape {b} does not fit the shape {a}: only an axis of size 1 grows")),
    (r"the number of sizes provided \((\d+)\)", N_("{it} {has}: give a size for each of its axes")),
    (r"t\(\) expects a tensor with <= 2", N_("{it} {has}: .t() turns a matrix; write .mT for the last two axes")),
    (r"tensor\.mT is only supported", N_("{it} {has}: .mT turns a matrix; leave it out, or write {it}[:, None]")),
    (r"does not match the length of the desired ordering", N_("{it} {has}: permute names each of its axes once")),
    (r"permute\(\): duplicate dims", N_("{it} {has}: permute names each of its axes once")),
    (r"value tensor of shape (\[.*?\]) cannot be broadcast to indexing result of shape (\[.*?\])",
     N_("the values have the shape {a}, and their place {b}: give them the same shape")),
    (r"Tensors must have same number of dimensions|Sizes of tensors must match|stack expects each tensor",
     N_("the tensors to join differ in shape: they may differ along the joined axis alone")),
    (r"must be batches of square matrices", N_("{it} {has}: this is for square matrices")),
    (r"must have at least 2 dimensions|split requires a tensor with at least", N_("{it} {has}: this is for matrices")),
    (r"input matrix is singular", N_("{it} is singular at the drawn values: it has no inverse")),
    (r"Incompatible shapes of A and B", N_("the shapes of solve(A, B) do not fit: B has as many rows as A")),
    (r"Class values must be (smaller|non-negative)",
     N_("one_hot meets a class outside 0 to num_classes - 1: write the size's name in place of the number, or pin it "
        "with a line such as # sizes: K=10")),
    (r"unflatten: Provided sizes (\[.*?\]) don't multiply up to the size of dim (\d+) \((\d+)\)",
     N_("axis {b} of {it} has {c} entries, and {a} is a shape for another number")),
    (r"output with shape (\[.*?\]) doesn't match the broadcast shape (\[.*?\])",
     N_("{it} keeps its shape {a} in place, and this needs {b}")),
    (r"(?:Index tensor must|input and indices should) have the same number of dimensions",
     N_("the index has as many axes as the tensor it picks from: write index[:, None]")),
    (r"Expected dtype int", N_("an index holds whole numbers: write ix.long()")),
    (r"expected index (\[.*?\]) to be no larger than self (\[.*?\])",
     N_("the index has shape {a}, and the tensor {b}: the index is no larger except along the picked axis")),
    (r"Number of indices \((\d+)\) should be equal to source.size\(dim\): \((\d+)\)",
     N_("there are {a} indices for {b} rows to add: one index for each row")),
    (r"source tensor shape must match self .*Got self.shape = (\[.*?\]) source.shape = (\[.*?\])",
     N_("what is added has shape {b}, and {it} {a}: they may differ along the indexed axis alone")),
    (r'"bitwise_(\w+?)_cpu" not implemented', N_("& | ~ take masks: write (a > 0) & (b > 0), ~(a > 0)")),
    (r"a Tensor with (\d+) elements cannot be converted", N_("{it} has {a} entries: .item() is for a single one")),
    (r"expected a matrix|Expected 1-D argument|Supports 1D or 2D", N_("{it} {has}, which does not fit here")),
    (r"Number of dimensions of repeat dims", N_("{it} {has}: repeat takes a number for each of its axes")),
    (r"expects split_sizes to sum exactly to (\d+)",
     N_("the parts have {a} entries together: their sizes add up to it")),
    (r"At least one of 'min' or 'max'", N_("clamp needs a bound: write min=0")),
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
            return said("{it} {has} and {other} {shape}, which do not broadcast", it=names[0], has=has_shape(shapes[0]),
                        other=names[1], shape=shown_shape(shapes[1]))  # fmt: skip
        if found := _INNER.search(error):
            return said("{it} {has} and {other} {shape}: the inner sizes {inner} and {outer} differ", it=names[0],
                        has=has_shape(shapes[0]), other=names[1], shape=shown_shape(shapes[1]), inner=found[1],
                        outer=found[2])  # fmt: skip
    if isinstance(node, lang.Attribute) and node.name == "mT":
        return said("{it} {has}: .mT turns a matrix; leave it out", **_about(names, shapes))
    if (found := _NEW_AXIS.search(error)) and shapes and 0 < len(shapes[0]) == int(found[1]):
        it = _about(names, shapes)["it"]
        return said("a new axis of {it} stands at 0 to {last}, not at {at}", it=it, last=found[1], at=found[2])
    for pattern, sentence in _TABLE:
        if found := pattern.search(error):
            groups = dict(zip("abc", (_from_torch(text or "") for text in found.groups()), strict=False))
            return said(sentence, **groups, **_about(names, shapes), last=_last(found))
    return error


def _about(names: list[str], shapes: Shapes) -> dict[str, str]:
    it = names[0] if names and names[0] else said("this tensor")
    if not shapes:
        unknown = {"has": said("has another shape"), "axes": said("look at its shape"), "shapes": said("the shapes")}
        return {"it": it, **unknown}
    shape = shapes[0]
    axes = [said("it has none"), said("its only axis is 0"), said("its axes are 0 and 1")]
    many = said("its axes are 0 to {last}", last=len(shape) - 1)
    shown = joined([shown_shape(s) for s in shapes if s], said(" and "))
    return {
        "it": it,
        "has": has_shape(shape),
        "axes": axes[len(shape)] if len(shape) < 3 else many,
        "shapes": said("the shapes {shown}", shown=shown),
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
    text = "" if isinstance(statement, lang.Loop) else lang.written(statement, node)
    return text if len(text) <= _LONGEST else ""
