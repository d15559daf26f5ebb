"""The user's own module as a judge: run in float64 with given weights, and with given masks where it would draw them.

It is the program itself that runs, so it knows nothing of graphs or formulas. What is put right on the way is what
torch leaves in float32, or does not differentiate: `x.float()`, the numbers in the backward pass of a hardsigmoid and
a celu, and running statistics. The only source of chance, dropout, is given its masks in the order of the calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from tutor.torch_import.graph import Graph, Leaf, flat

LOW = (torch.float16, torch.bfloat16, torch.float32)
RANGES = (torch.arange, torch.linspace, torch.logspace)
CASTS = ("float", "half", "bfloat16")


class ChanceError(Exception):
    """The module draws other numbers than its graph does."""


class Native:
    """The module of a graph, as a function of its leaves."""

    def __init__(self, graph: Graph, masks: Sequence[Leaf]):
        self.graph, self.masks = graph, masks
        self.fails: Exception | None = None  # why it does not run in float64, if it does not
        self.epsilon = max((torch.finfo(dtype).eps for dtype in _dtypes(graph)), default=torch.finfo(torch.float32).eps)

    def fits(self, values: Mapping[str, Tensor]) -> bool:
        """Whether the module takes these values of its leaves: its own shapes and constants, whole numbers."""
        if self.fails is not None:
            return False
        leaves = [leaf for leaf in (*self.graph.leaves, *self.masks) if leaf.name in values]
        return all(
            tuple(values[leaf.name].shape) == tuple(leaf.value.shape)
            and (leaf.kind != "constant" or torch.equal(values[leaf.name].double(), leaf.value.double()))
            and (leaf.value.is_floating_point() or _is_whole(values[leaf.name]))
            for leaf in leaves
        )

    def outputs(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """The real tensors that it returns, in its order; leaves that are not given have the example's values."""
        state = {name: _whole(held) for name, held in self.graph.module.named_buffers()}  # a batch norm counts in them
        inputs = []
        for leaf in self.graph.leaves:
            value = _as(leaf, values.get(leaf.name, leaf.value))
            if leaf.kind == "input":
                inputs.append(value)
            elif leaf.kind in ("parameter", "buffer"):
                state[leaf.target] = value
        arguments = tree_unflatten(inputs, tree_flatten(self.graph.inputs)[1])
        drawn = [values.get(leaf.name, leaf.value) for leaf in self.masks]
        with torch.random.fork_rng(devices=[]), _given_chance(drawn), _Doubles(self.epsilon):
            made = torch.func.functional_call(self.graph.module, state, tuple(arguments))
        return [x for x in flat(made) if isinstance(x, Tensor) and x.is_floating_point()]


def _is_whole(x: Tensor) -> bool:
    return not x.is_floating_point() or torch.equal(x, x.round())


def own_backward(output: Tensor) -> str:
    """The name of a `torch.autograd.Function` of the user's on the way to it, whose backward pass is no formula."""
    seen, left = set(), [output.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return type(node).__name__.removesuffix("Backward")
        left += [before for before, _ in node.next_functions]
    return ""


def _dtypes(graph: Graph) -> Iterator[torch.dtype]:
    for leaf in graph.leaves:
        if leaf.is_tensor and leaf.value.is_floating_point():
            yield leaf.value.dtype


def _as(leaf: Leaf, value: Any) -> Any:
    """A copy in the leaf's kind of number: what is real in float64. The module may change it in place."""
    if not (isinstance(value, Tensor) and leaf.is_tensor):
        return value
    return value.double().clone() if leaf.value.is_floating_point() else value.to(leaf.value.dtype).clone()


def _whole(held: Tensor) -> Tensor:
    return (held.double() if held.is_floating_point() else held).detach().clone()


# -- chance -------------------------------------------------------------------------------------------------------


@contextmanager
def _given_chance(masks: Sequence[Tensor]) -> Iterator[None]:
    mode = _Chance(masks)
    with mode:
        yield
    if mode.left:
        raise ChanceError("it draws less")


class _Chance(TorchDispatchMode):
    """Every draw of a dropout is the next given mask."""

    def __init__(self, masks: Sequence[Tensor]):
        super().__init__()
        self.left = list(masks)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.bernoulli_.float:
            return args[0].copy_(self.drawn(args[0]))
        if function is torch.ops.aten.native_dropout.default and args[2]:
            mask = self.drawn(args[0])
            return args[0] * mask / (1 - args[1]), mask.bool()
        return function(*args, **(kwargs or {}))

    def drawn(self, like: Tensor) -> Tensor:
        if not self.left or self.left[0].numel() != like.numel():
            raise ChanceError("it draws more")
        return self.left.pop(0).detach().reshape(like.shape).to(like)


# -- float64 ------------------------------------------------------------------------------------------------------


def _double(x: Any) -> Any:
    return x.double() if type(x) in (Tensor, nn.Parameter) and x.dtype in LOW else x


def _hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    return torch.clamp(x + 3, 0, 6) / 6


def _celu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    return torch.where(x > 0, x, alpha * torch.expm1(x / alpha))


def _softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """Without the jump of 2e-9 to x where beta x is above the usual threshold."""
    if threshold != 20:
        return F.softplus(x, beta, threshold)
    return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta


SPELT_OUT: dict[Any, Callable[..., Tensor]] = {
    F.hardsigmoid: _hardsigmoid, F.celu: _celu, torch.celu: _celu, F.softplus: _softplus,
}  # fmt: skip


class _Doubles(TorchFunctionMode):
    """What the module makes in float32, as `torch.zeros(3)`, is float64 beside our float64 weights."""

    def __init__(self, epsilon: float):
        super().__init__()
        self.epsilon = epsilon  # what rms_norm takes where it is given none: that of the example's dtype

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if getattr(function, "__name__", "") in CASTS and isinstance(args[0], Tensor):
            return _double(args[0])
        args = tuple(torch.float64 if a in LOW else a for a in args) if _casts(function) else tuple(args)
        if _casts(function) and named.get("dtype") in LOW:
            named["dtype"] = torch.float64
        if function in RANGES and named.get("dtype") is None and any(isinstance(a, float) for a in args):
            named["dtype"] = torch.float64  # counted in float32 they are off by 1e-8
        args, named = tree_map(_double, (args, named))
        if function is F.rms_norm and len(args) < 4 and named.get("eps") is None:
            named["eps"] = self.epsilon
        if function in (F.batch_norm, F.instance_norm, torch.batch_norm, torch.instance_norm):
            return _normalised(function, args, named)
        return tree_map(_double, SPELT_OUT.get(function, function)(*args, **named))


def _casts(function: Any) -> bool:
    return getattr(function, "__name__", "") in ("to", "type")


def _normalised(function: Any, args: Any, named: Mapping[str, Any]) -> Tensor:
    """Batch norm in eval by its formula: torch's own has no gradient with respect to the running statistics."""
    if function in (F.batch_norm, F.instance_norm):
        bound = inspect.signature(function).bind(*args, **named)
        bound.apply_defaults()
        x, mean, var, weight, bias, training, _, eps = bound.arguments.values()
    else:
        x, weight, bias, mean, var, training, _, eps, _ = args
    if training:
        return function(*args, **named)
    shape = (-1, *[1] * (x.dim() - 2))
    made = (x - mean.reshape(shape)) / torch.sqrt(var + eps).reshape(shape)
    made = made if weight is None else made * weight.reshape(shape)
    return made if bias is None else made + bias.reshape(shape)
