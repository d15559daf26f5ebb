"""The graph as plain torch code: the native reference of the exercise, at whatever sizes it is sampled.

It calls the very operations that torch found in the user's module and knows nothing of the formulas: two ways from
one graph, which `verify` compares. Where a size stands in an argument, the exercise's own size is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from sympy import sympify

from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.graph import Leaf, Node, Ref, refs
from tutor.torch_import.leaves import triangle

# calls that torch's users know, with aten's arguments in aten's order
FUNCTIONS = {
    "linear": "F.linear", "relu": "F.relu", "tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "exp": "torch.exp",
    "log": "torch.log", "sqrt": "torch.sqrt", "cross_entropy_loss": "F.cross_entropy", "mse_loss": "F.mse_loss",
    "gelu": "F.gelu", "silu": "F.silu", "l1_loss": "F.l1_loss", "matmul": "torch.matmul", "bmm": "torch.bmm",
    "mm": "torch.mm", "nll_loss": "F.nll_loss", "abs": "torch.abs", "softplus": "F.softplus", "conv1d": "F.conv1d",
    "conv2d": "F.conv2d", "max_pool1d": "F.max_pool1d", "max_pool2d": "F.max_pool2d", "avg_pool2d": "F.avg_pool2d",
    "layer_norm": "F.layer_norm", "bilinear": "F.bilinear",
}  # fmt: skip
ONLY_TENSORS = (
    "cross_entropy_loss",
    "mse_loss",
    "l1_loss",
    "nll_loss",
    "gelu",
    "softplus",
)  # else aten's order is another
METHODS = ("transpose", "permute", "unsqueeze", "squeeze", "select", "flip", "masked_fill", "softmax", "log_softmax",
           "sum", "mean", "amax", "amin", "split", "chunk", "unbind", "narrow")  # fmt: skip
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}
# of whose results the first alone is known
ONE_OF_MANY = ("native_dropout", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
               "_batch_norm_with_update_functional")  # fmt: skip
SILENT = ("device", "pin_memory", "layout", "dtype", "memory_format", "cudnn_enable")
TAKEN = ("t", "F", "torch", "aten")  # names of the function's own: x.t() is a node named t
DTYPES = {"float": "torch.float64", "int": "torch.int64", "bool": "torch.bool"}


def source(builder: Builder) -> str:
    """The body of `forward(t)`."""
    writer = _Writer(builder)
    lines = writer.ended([*filter(None, map(writer.line, builder.graph.nodes))])
    words = set(re.findall(r"\w+", "\n".join(lines)))
    constants = [line for name, line in writer.constants.items() if name in words]
    return "\n".join([*_imports([*constants, *lines]), *constants, *lines])


def _imports(lines: Sequence[str]) -> list[str]:
    text = "\n".join(lines)
    made = ["import math"] if "math." in text else []
    if "torch." in text or "aten." in text:
        made.append("import torch")
    if "F." in text:
        made.append("import torch.nn.functional as F")
    if "aten." in text:
        made += ["", "aten = torch.ops.aten"]
    return [*made, ""] if made else []


class _Writer:
    """One line for each operation, under the name of the quantity that it is."""

    def __init__(self, builder: Builder):
        self.builder = builder
        self.constants: dict[str, str] = {}
        self.quantities = set(builder.called.values())
        self.texts = {leaf.name: self._leaf(leaf) for leaf in builder.graph.leaves}

    def _leaf(self, leaf: Leaf) -> str:
        builder = self.builder
        assert builder.exercise is not None
        if not leaf.is_tensor:
            return repr(leaf.value)
        if leaf.name not in builder.values:  # nothing uses it
            return leaf.name
        if leaf.name not in builder.declared:
            made = _constant(builder, leaf)
        elif builder.called[leaf.name] in builder.exercise.quantities:
            name = f"t.{builder.called[leaf.name]}"
            return f"({name} > 0.5)" if leaf.value.dtype == torch.bool else name
        else:  # nothing depends on it: weights of a state that is zero
            array = builder.values[leaf.name]
            made = f"torch.zeros({_tuple(array)}, dtype={DTYPES[array.kind]})"
        self.constants[leaf.name] = f"{leaf.name} = {made}"
        return leaf.name

    def line(self, node: Node) -> str:
        if node.op == "sym_size" or (not node.overload and node.op != "getitem"):
            self.texts[node.name] = _grouped(self.builder.values[node.name])
            return ""
        made = self._call(node)
        if made.isidentifier() or node.op in ONE_OF_MANY:  # nothing is done, or what is done is the getitem's
            self.texts[node.name] = made
            return ""
        name = self.texts[node.name] = self._name(node)
        return f"{name} = {made}"

    def _name(self, node: Node) -> str:
        """The quantity's, where the operation is one; else torch's own, which is never a quantity's."""
        owner = node.args["self"].name if node.op == "getitem" and node.args["index"] == 0 else node.name
        single = isinstance(self.builder.values[node.name], Array)
        for key in (owner, f"{node.name}.view"):
            if single and self.builder.called.get(key, "t") not in TAKEN:
                return self.builder.called[key]
        return f"{node.name}_" if node.name in TAKEN or node.name in self.quantities else node.name

    def _call(self, node: Node) -> str:
        if node.op in _WRITTEN:
            found = _WRITTEN[node.op](self, node)
            if found:
                return found
        given = {name: arg for name, arg in node.args.items() if name not in node.defaults and name not in SILENT}
        texts = {name: self.argument(node, name) for name in given}
        in_order = list(given) == list(node.args)[: len(given)]
        tensors = all(isinstance(arg, Ref) for arg in given.values())
        if node.op in FUNCTIONS and in_order and (tensors or node.op not in ONLY_TENSORS):
            return f"{FUNCTIONS[node.op]}({', '.join(texts.values())})"
        if node.op in METHODS and in_order and node.args.get("dtype") is None:
            first, *rest = texts.values()
            return f"{first}.{node.op}({', '.join(rest)})"
        return self._aten(node, texts)

    def _aten(self, node: Node, texts: Mapping[str, str]) -> str:
        """As aten itself is called: what only it takes has its name."""
        positional = _positional(node)
        parts = [
            text if list(texts)[: n + 1] == positional[: n + 1] else f"{name}={text}"
            for n, (name, text) in enumerate(texts.items())
        ]
        if node.args.get("dtype") is not None:  # zeros_like(mask, dtype=float) are numbers
            parts.append(f"dtype={DTYPES[node.kinds[0]]}")
        return f"aten.{node.op}.{node.overload}({', '.join(parts)})"

    def argument(self, node: Node, name: str) -> str:
        """An argument; numbers that are sizes are the exercise's."""
        known = self.builder.written.get((node.name, name))
        return self.text(node.args[name]) if known is None else _size_or_list(known)

    def first(self, node: Node) -> str:
        """The operation's first argument."""
        return self.text(next(iter(node.args.values())))

    def shape(self, node: Node) -> Array:
        """What it makes, for its shape."""
        return self.builder.values[node.name]

    def text(self, value: Any) -> str:
        if isinstance(value, Ref):
            return self.texts[value.name]
        if isinstance(value, list):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            return f'float("{value}")'
        return str(value) if str(value).startswith("torch.") else repr(value)

    def ended(self, lines: list[str]) -> list[str]:
        """With what is returned, in the exercise's order."""
        assert self.builder.exercise is not None
        kept = dict(zip(self.builder.ends, (self.texts[r.name] for r in refs(self.builder.real_ends)), strict=True))
        ends = [kept[q.name] for q in self.builder.exercise.ends]
        name, _, made = lines[-1].partition(" = ") if lines else ("", "", "")
        if ends == [name]:
            return [*lines[:-1], f"return {made}"]
        return [*lines, f"return {', '.join(ends)}"]


# -- what is not called as aten calls it ---------------------------------------------------------------------------

Write = Callable[[_Writer, Node], str]
_WRITTEN: dict[str, Write] = {}


def written(*operations: str) -> Callable[[Write], Write]:
    """Decorator: how calls of these operations are written; "" for as any other."""

    def enter(write: Write) -> Write:
        _WRITTEN.update(dict.fromkeys(operations, write))
        return write

    return enter


@written("getitem")
def _result(w: _Writer, node: Node) -> str:
    made = w.text(node.args["self"])
    return f"{made}[{node.args['index']}]" if made.isidentifier() else made


@written(*OPERATORS)
def _operator(w: _Writer, node: Node) -> str:
    if not set(node.args) - node.defaults <= {"self", "other", "exponent"}:
        return ""
    first, right = w.first(node), w.text(node.args.get("other", node.args.get("exponent")))
    return (
        f"({first}) {OPERATORS[node.op]} {right}" if first.startswith("-") else f"{first} {OPERATORS[node.op]} {right}"
    )


@written("embedding")
def _row(w: _Writer, node: Node) -> str:
    return f"{w.first(node)}[{w.text(node.args['indices'])}]"


@written("contiguous", "clone", "alias", "lift_fresh_copy")
def _nothing(w: _Writer, node: Node) -> str:
    return w.first(node)


@written("to", "_to_copy", "type_as", "float", "double")
def _cast(w: _Writer, node: Node) -> str:
    return f"{w.first(node)}.to({DTYPES[node.kinds[0]]})"


@written("view", "reshape", "_unsafe_view", "view_copy", "unflatten", "flatten")
def _reshaped(w: _Writer, node: Node) -> str:
    return f"{w.first(node)}.reshape({_shape(w.shape(node))})"


@written("expand", "expand_as", "broadcast_to")
def _expanded(w: _Writer, node: Node) -> str:
    return f"{w.first(node)}.expand({_shape(w.shape(node))})"


@written("copy")  # of aten's own autograd has no derivative
def _copied(w: _Writer, node: Node) -> str:
    return f"{w.text(node.args['src'])}.to({DTYPES[node.kinds[0]]}).expand({_shape(w.shape(node))})"


@written("zeros", "new_zeros", "empty", "ones", "new_ones", "full", "new_full")
def _filled(w: _Writer, node: Node) -> str:
    name = node.op.removeprefix("new_").replace("empty", "zeros")
    filler = f", {w.text(node.args['fill_value'])}" if "fill_value" in node.args else ""
    return f"torch.{name}({_tuple(w.shape(node))}{filler}, dtype={DTYPES[node.kinds[0]]})"


@written("arange")
def _counted(w: _Writer, node: Node) -> str:
    start, step = node.args.get("start", 0), node.args.get("step", 1)
    by = "" if step == 1 else f", {w.text(step)}"
    end = _size(w.shape(node).shape[0]) if start == 0 and not by else w.text(node.args["end"])
    given = end if start == 0 and not by else f"{w.text(start)}, {end}{by}"
    dtype = "" if node.kinds[0] == "int" else f", dtype={DTYPES[node.kinds[0]]}"
    return f"torch.arange({given}{dtype})"


@written("softplus")  # above the usual threshold torch has x for it
def _softplus(w: _Writer, node: Node) -> str:
    if node.args["threshold"] != 20:
        return ""
    x, beta = w.first(node), node.args["beta"]
    one = f"torch.logaddexp({x} * {beta!r}, torch.zeros_like({x})) / {beta!r}"
    return f"torch.logaddexp({x}, torch.zeros_like({x}))" if beta == 1 else one


@written("rms_norm")  # without an eps torch takes that of the dtype, which is the example's
def _rms_norm(w: _Writer, node: Node) -> str:
    if node.args["eps"] is not None:
        return ""
    weight = "" if node.args["weight"] is None else f", {w.text(node.args['weight'])}"
    assert node.dtype is not None
    shape = w.argument(node, "normalized_shape")
    return f"F.rms_norm({w.first(node)}, {shape}{weight}, eps={torch.finfo(node.dtype).eps!r})"


@written("hardsigmoid")  # of these two torch's own backward has numbers in float32
def _hardsigmoid(w: _Writer, node: Node) -> str:
    return f"F.relu6({w.first(node)} + 3) / 6"


@written("celu")
def _celu(w: _Writer, node: Node) -> str:
    x, alpha = w.first(node), w.text(node.args["alpha"])
    return f"torch.where({x} > 0, {x}, {alpha} * torch.expm1({x} / {alpha}))"


@written("dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def _dropout(w: _Writer, node: Node) -> str:
    x, mask = w.first(node), w.builder.called.get(f"{node.name}.mask")
    axes = f"[(...,) + (None,) * ({x}.dim() - 2)]" if node.op == "feature_dropout" else ""
    if node.args["train"] and node.args["p"] == 1:
        return f"torch.zeros_like({x})"
    return x if mask is None else f"{x} * t.{mask}{axes} / {1 - node.args['p']!r}"


@written("batch_norm", "instance_norm", *ONE_OF_MANY[1:])
def _batch_norm(w: _Writer, node: Node) -> str:
    """In training without the running statistics, which are no inputs of the exercise then; else by the formula,
    since torch's own operation has no gradient with respect to them."""
    args, x, instance = node.args, w.first(node), node.op == "instance_norm"
    weight, bias = (None if args[name] is None else w.text(args[name]) for name in ("weight", "bias"))
    if args.get("use_input_stats" if instance else "training", True):
        given = [f"{name}={text}" for name, text in (("weight", weight), ("bias", bias)) if text is not None]
        given = [*given, f"eps={args['eps']!r}"]
        given = [x, *given] if instance else [x, "None", "None", *given, "training=True"]
        return f"F.{'instance' if instance else 'batch'}_norm({', '.join(given)})"
    axes = f"[:, {', '.join(['None'] * (len(node.shapes[0]) - 2))}]" if len(node.shapes[0]) > 2 else ""
    mean, var = w.text(args["running_mean"]), w.text(args["running_var"])
    made = f"({x} - {mean}{axes}) / torch.sqrt({var} + {args['eps']!r}){axes}"
    made += "" if weight is None else f" * {weight}{axes}"
    return made if bias is None else f"{made} + {bias}{axes}"


@written("scaled_dot_product_attention")
def _attention(w: _Writer, node: Node) -> str:
    """With a given mask of dropout, which torch's own would draw."""
    args = node.args
    q, k, v = (w.text(args[name]) for name in ("query", "key", "value"))
    if not args["dropout_p"]:
        rest = ("attn_mask", "is_causal", "scale", "enable_gqa")
        more = [f"{name}={w.text(args[name])}" for name in rest if name in args and name not in node.defaults]
        return f"F.scaled_dot_product_attention({', '.join([q, k, v, *more])})"
    scale = f"{q}.shape[-1] ** 0.5" if args["scale"] is None else repr(1 / args["scale"])
    scores = f"({q} @ {k}.transpose(-2, -1) / {scale})"
    if args["attn_mask"] is not None:
        mask = w.text(args["attn_mask"])
        scores = f"torch.where({mask}, {scores}, float('-inf')) if {mask}.dtype == torch.bool else {scores} + {mask}"
    if args["is_causal"]:
        scores = f"torch.where(torch.ones_like({scores}, dtype=torch.bool).tril(), {scores}, float('-inf'))"
    dropped = f"t.{w.builder.called[f'{node.name}.mask']} / {1 - args['dropout_p']!r}"
    return f"(torch.softmax({scores}, -1) * {dropped}) @ {v}"


# -- sizes and constants ---------------------------------------------------------------------------------------------


def _positional(node: Node) -> list[str]:
    """The arguments that aten takes without their name."""
    schema = getattr(getattr(torch.ops.aten, node.op), node.overload)._schema
    return [argument.name for argument in schema.arguments if not argument.kwarg_only]


def _size_or_list(value: Any) -> str:
    return f"[{', '.join(map(_size, value))}]" if isinstance(value, (list, tuple)) else _size(value)


def _size(extent: Any) -> str:
    """`t.R * t.D`"""
    extent = sympify(extent)
    text = str(extent.xreplace({s: type(s)(f"t.{s.name}", **s.assumptions0) for s in extent.free_symbols}))
    return re.sub(r"(?<!\*)\*(?!\*)", " * ", text).replace("sqrt(", "math.sqrt(")


def _grouped(extent: Any) -> str:
    """A size as a factor: `(t.N - 1)`"""
    text = _size(extent)
    return text if sympify(extent).is_Atom else f"({text})"


def _shape(value: Array) -> str:
    return ", ".join(map(_size, value.shape)) if value.shape else "()"


def _tuple(value: Array) -> str:
    return f"({', '.join(map(_size, value.shape))}{',' if len(value.shape) == 1 else ''})"


def _constant(builder: Builder, leaf: Any) -> str:
    """A buffer whose formula is known, built anew at the sizes of the day."""
    array = builder.values[leaf.name]
    kind = DTYPES[array.kind]
    x = leaf.value
    shape = _tuple(array)
    if x.numel() and bool((x == x.reshape(-1)[0]).all()):
        return f"torch.full({shape}, {x.reshape(-1)[0].item()!r}, dtype={kind})"
    if array.kind == "int":
        return f"torch.arange({_size(array.below)}).reshape({shape})"
    return _triangle(x, shape, kind)


def _triangle(x: torch.Tensor, shape: str, kind: str) -> str:
    found = triangle(x)
    assert found is not None
    mask = f"torch.ones({shape}, dtype=torch.bool){found.form}"
    if kind == "torch.bool":
        return mask if found.yes else f"~{mask}"
    yes, no = (f'float("{v}")' if math.isinf(v) else repr(v) for v in (found.yes, found.no))
    return f"torch.where({mask}, {yes}, {no}).to({kind})"
