"""The graph as plain torch code: the native reference of the exercise, at whatever sizes it is sampled.

It calls the very operations that torch found in the user's module and knows nothing of the formulas: two ways from
one graph, which `verify` compares. Where a size stands in an argument, the exercise's own size is written.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from sympy import sympify
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.graph import Node, Ref

# calls that torch's users know, where only tensors are given; the others are written as aten's own
SPELT = {
    "linear": "F.linear", "relu": "F.relu", "tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "exp": "torch.exp",
    "log": "torch.log", "sqrt": "torch.sqrt", "cross_entropy_loss": "F.cross_entropy",
    "mse_loss": "F.mse_loss", "gelu": "F.gelu", "silu": "F.silu", "l1_loss": "F.l1_loss", "matmul": "torch.matmul",
    "bmm": "torch.bmm", "mm": "torch.mm", "nll_loss": "F.nll_loss", "abs": "torch.abs", "softplus": "F.softplus",
}  # fmt: skip
# whose backward torch rounds to float32
SPELT_OUT = {
    "hardsigmoid": "F.relu6({x} + 3) / 6",
    "celu": "torch.where({x} > 0, {x}, {alpha} * torch.expm1({x} / {alpha}))",
}
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}
# the result's shape is all they are told
SHAPED = {"view": "reshape", "reshape": "reshape", "_unsafe_view": "reshape", "view_copy": "reshape",
          "expand": "expand", "expand_as": "expand", "broadcast_to": "expand", "unflatten": "reshape",
          "flatten": "reshape"}  # fmt: skip
MADE = {"zeros": "zeros", "ones": "ones", "new_zeros": "zeros", "new_ones": "ones", "empty": "zeros",
        "full": "full", "new_full": "full"}  # fmt: skip
BATCH_NORMS = ("batch_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
               "_batch_norm_with_update_functional")  # fmt: skip
SIZES = ("end", "start", "length", "split_size", "split_sizes", "normalized_shape", "output_size")
TAKEN = ("t", "F", "torch", "aten")  # names of the function's own: x.t() is a node named t
DTYPES = {"float": "torch.float64", "int": "torch.int64", "bool": "torch.bool"}


def source(builder: Builder) -> str:
    """The body of `forward(t)`."""
    return "\n".join([*_imports(_lines(builder)), *_lines(builder)])


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


def _lines(builder: Builder) -> list[str]:
    writer = _Writer(builder)
    body = [writer.line(node) for node in builder.graph.nodes]
    return [*writer.constants, *filter(None, body), writer.ends()]


class _Writer:
    def __init__(self, builder: Builder):
        self.builder = builder
        self.constants: list[str] = []
        self.texts: dict[str, str] = {}
        for leaf in builder.graph.leaves:
            self.texts[leaf.name] = self._leaf(leaf)

    def _leaf(self, leaf: Any) -> str:
        builder = self.builder
        assert builder.exercise is not None
        if not leaf.is_tensor:
            return repr(leaf.value)
        if leaf.name not in builder.values:  # nothing uses it
            return str(leaf.name)
        if leaf.name in builder.declared:
            if builder.exercise is not None and builder.called[leaf.name] not in builder.exercise.quantities:
                shape = _tuple(builder.values[leaf.name])  # nothing depends on it: weights of a state that is zero
                self.constants.append(
                    f"{leaf.name} = torch.zeros({shape}, dtype={DTYPES[builder.values[leaf.name].kind]})"
                )
                return str(leaf.name)
            name = f"t.{builder.called[leaf.name]}"
            return f"({name} > 0.5)" if leaf.value.dtype.__str__() == "torch.bool" else name
        self.constants.append(f"{leaf.name} = {_constant(builder, leaf)}")
        return str(leaf.name)

    def line(self, node: Node) -> str:
        made = self._call(node)
        if made is None:
            return ""
        name = f"{node.name}_" if node.name in TAKEN else node.name
        self.texts[node.name] = name
        return f"{name} = {made}"

    def _call(self, node: Node) -> str | None:
        value = self.builder.values[node.name]
        if node.op == "sym_size" or not node.overload and node.op != "getitem":
            self.texts[node.name] = _grouped(value)
            return None
        args = node.args
        if node.op == "getitem":
            return f"{self._text(args['self'])}[{args['index']}]"
        first = self._text(args[next(iter(args))]) if args else ""
        if node.op in OPERATORS and set(args) - node.defaults <= {"self", "other", "exponent"}:
            right = args.get("other", args.get("exponent"))
            first = f"({first})" if first.startswith("-") else first
            return f"{first} {OPERATORS[node.op]} {self._text(right)}"
        if node.op == "embedding":
            return f"{first}[{self._text(args['indices'])}]"
        if node.op in SPELT_OUT:
            return SPELT_OUT[node.op].format(x=first, **{name: self._text(arg) for name, arg in args.items()})
        if node.op in ("dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"):
            return self._dropout(node, first)
        if node.op in BATCH_NORMS or node.op == "instance_norm":
            return self._batch_norm(node, first)
        if node.op == "scaled_dot_product_attention" and args["dropout_p"]:
            return self._attention(node)
        if node.op in SHAPED:
            return f"{first}.{SHAPED[node.op]}({_shape(value)})"
        if node.op == "copy":  # of aten's own autograd has no derivative
            return f"{self._text(args['src'])}.to({DTYPES[node.kinds[0]]}).expand({_shape(value)})"
        if node.op in MADE:
            filler = f", {self._text(args['fill_value'])}" if "fill_value" in args else ""
            kind = DTYPES[node.kinds[0]]
            return f"torch.{MADE[node.op]}({_tuple(value)}{filler}, dtype={kind})"
        if node.op == "arange":
            by = "" if args.get("step", 1) == 1 else f", {args['step']}"
            start = args.get("start", 0)
            end = _size(value.shape[0]) if start == 0 and not by else self._text(args["end"])
            return f"torch.arange({self._text(start)}, {end}{by})"
        if node.op in ("to", "_to_copy", "type_as", "float", "double"):
            return f"{first}.to({DTYPES[node.kinds[0]]})"
        return self._aten(node, value)

    def _aten(self, node: Node, value: Any) -> str:
        given = {name: arg for name, arg in node.args.items() if name not in node.defaults}
        given = {
            n: a for n, a in given.items() if n not in ("device", "pin_memory", "layout", "dtype", "memory_format")
        }
        texts = {name: self._argument(node, name, arg, value) for name, arg in given.items()}
        plain = all(isinstance(a, Ref) for a in given.values()) and list(given) == list(node.args)[: len(given)]
        if node.op in SPELT and plain:
            return f"{SPELT[node.op]}({', '.join(texts.values())})"
        positional = _positional(node)
        parts = [
            text if list(given)[: n + 1] == positional[: n + 1] else f"{name}={text}"
            for n, (name, text) in enumerate(texts.items())
        ]
        if node.args.get("dtype") is not None:  # zeros_like(mask, dtype=float) are numbers
            parts.append(f"dtype={DTYPES[node.kinds[0]]}")
        return f"aten.{node.op}.{node.overload}({', '.join(parts)})"

    def _argument(self, node: Node, name: str, value: Any, result: Any) -> str:
        """An argument; numbers that are sizes are the exercise's."""
        known = self.builder.written.get((node.name, name))
        return _size_or_list(known) if known is not None else self._text(value)

    def _dropout(self, node: Node, first: str) -> str:
        mask = self.builder.called.get(f"{node.name}.mask")
        axes = "[(...,) + (None,) * " + f"({first}.dim() - 2)]" if node.op == "feature_dropout" else ""
        made = first if mask is None else f"{first} * t.{mask}{axes} / {1 - node.args['p']!r}"
        return f"({made},)" if node.op == "native_dropout" else made

    def _batch_norm(self, node: Node, first: str) -> str:
        """In training without the running statistics, which are no inputs of the exercise then; else by the formula,
        since torch's own operation has no gradient with respect to them."""
        args = node.args
        instance = node.op == "instance_norm"
        if args.get("use_input_stats" if instance else "training", True):
            given = [f"{name}={self._text(args[name])}" for name in ("weight", "bias") if args[name] is not None]
            given.append(f"eps={args['eps']!r}")
            lead = "F.instance_norm(" if instance else "F.batch_norm("
            given = given if instance else ["None", "None", *given, "training=True"]
            made = f"{lead}{first}, {', '.join(given)})"
        else:
            axes = "[:, " + ", ".join(["None"] * (len(node.shapes[0]) - 2)) + "]" if len(node.shapes[0]) > 2 else ""
            mean, var = self._text(args["running_mean"]), self._text(args["running_var"])
            made = f"({first} - {mean}{axes}) / torch.sqrt({var} + {args['eps']!r}){axes}"
            made += f" * {self._text(args['weight'])}{axes}" if args["weight"] is not None else ""
            made += f" + {self._text(args['bias'])}{axes}" if args["bias"] is not None else ""
        return made if node.op in ("batch_norm", "instance_norm") else f"({made},)"

    def _attention(self, node: Node) -> str:
        """With a given mask of dropout, which torch's own would draw."""
        args = node.args
        q, k, v = (self._text(args[name]) for name in ("query", "key", "value"))
        scale = f"{q}.shape[-1] ** 0.5" if args["scale"] is None else repr(1 / args["scale"])
        scores = f"({q} @ {k}.transpose(-2, -1) / {scale})"
        if args["attn_mask"] is not None:
            mask = self._text(args["attn_mask"])
            scores = (
                f"torch.where({mask}, {scores}, float('-inf')) if {mask}.dtype == torch.bool else {scores} + {mask}"
            )
        if args["is_causal"]:
            scores = f"torch.where(torch.ones_like({scores}, dtype=torch.bool).tril(), {scores}, float('-inf'))"
        dropped = f"t.{self.builder.called[f'{node.name}.mask']} / {1 - args['dropout_p']!r}"
        return f"(torch.softmax({scores}, -1) * {dropped}) @ {v}"

    def _text(self, value: Any) -> str:
        if isinstance(value, Ref):
            return self.texts[value.name]
        if isinstance(value, list):
            return f"[{', '.join(map(self._text, value))}]"
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            return f'float("{value}")'
        return str(value) if str(value).startswith("torch.") else repr(value)

    def ends(self) -> str:
        from tutor.torch_import.graph import refs

        kept = dict(zip(self.builder.ends, (self.texts[ref.name] for ref in refs(self.builder.real_ends)), strict=True))
        assert self.builder.exercise is not None
        return f"return {', '.join(kept[q.name] for q in self.builder.exercise.ends)}"  # in the exercise's order


def _positional(node: Node) -> list[str]:
    """The arguments that aten takes without their name."""
    import torch

    schema = getattr(getattr(torch.ops.aten, node.op), node.overload)._schema
    return [argument.name for argument in schema.arguments if not argument.kwarg_only]


def _size_or_list(value: Any) -> str:
    return f"[{', '.join(map(_size, value))}]" if isinstance(value, (list, tuple)) else _size(value)


def _size(extent: Any) -> str:
    """`t.R*t.D`"""
    extent = sympify(extent)
    text = str(extent.xreplace({s: type(s)(f"t.{s.name}", **s.assumptions0) for s in extent.free_symbols}))
    return text.replace("sqrt(", "math.sqrt(")


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


def _triangle(x: Any, shape: str, kind: str) -> str:
    square = x.reshape([n for n in x.shape if n != 1])
    ones = torch.ones_like(square, dtype=torch.bool)
    forms = {".tril()": ones.tril(), ".tril(-1)": ones.tril(-1), ".triu()": ones.triu(), ".triu(1)": ones.triu(1),
             ".tril().triu()": ones.tril().triu()}  # fmt: skip
    for form, inside in forms.items():
        if inside.all() or not inside.any():
            continue
        yes, no = square[inside].unique(), square[~inside].unique()
        if len(yes) == len(no) == 1:
            mask = f"torch.ones({shape}, dtype=torch.bool){form}"
            if kind == "torch.bool":
                return mask if bool(yes) else f"~{mask}"
            numbers = [
                f'float("{v}")' if v in (float("inf"), float("-inf")) else repr(v) for v in (yes.item(), no.item())
            ]
            return f"torch.where({mask}, {numbers[0]}, {numbers[1]}).to({kind})"
    raise AssertionError("no formula")


class GivenStatistics(TorchFunctionMode):
    """Batch norm in eval by its formula: torch's own has no gradient with respect to the running statistics."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if function in (F.batch_norm, F.instance_norm):
            bound = inspect.signature(function).bind(*args, **named)
            bound.apply_defaults()
            x, mean, var, weight, bias, training, _, eps = bound.arguments.values()
        elif function in (torch.batch_norm, torch.instance_norm):
            x, weight, bias, mean, var, training, _, eps, _ = args
        else:
            return function(*args, **named)
        if training:
            return function(*args, **named)
        shape = (-1, *[1] * (x.dim() - 2))
        made = (x - mean.reshape(shape)) / torch.sqrt(var + eps).reshape(shape)
        made = made if weight is None else made * weight.reshape(shape)
        return made if bias is None else made + bias.reshape(shape)
