"""What `torch.export` sees of a module: a functional graph of ATen operations, as far as it goes taken apart.

Sizes of the user's inputs are left open where the module allows it, so that a division by `x.shape[0]` is known to be
one by a size. Operations that change a tensor in place are written out of place, or made functional by torch itself.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from tutor.errors import ExerciseError
from tutor.language import said
from tutor.torch_import.places import Place, place_of, place_of_error, where
from tutor.torch_import.table import reasons, rows


def exported(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """The program at these inputs, of operations with a row as far as torch can write it so."""
    program = _exported(module, inputs)
    _refuse_cut_gradients(program)
    _out_of_place(program.graph)
    if any(_mutates(node) for node in program.graph.nodes):
        program = _decomposed(program, {})
        for node in program.graph.nodes:
            if _mutates(node):
                raise _changes(operation_of(node), place_of(node))
    tried: set[Any] = set()
    while known := _decompositions(_missing(program) - tried):  # one may be made of others
        tried |= known.keys()
        program = _decomposed(program, known)
    return program


def _decompositions(operations: set[Any]) -> dict[Any, Any]:
    """What torch itself makes them of."""
    from torch._export.utils import _get_decomp_for_cia

    composite = {made: _get_decomp_for_cia(made) for made in operations if made._can_decompose()}
    return {**composite, **torch._decomp.get_decompositions(list(operations))}


def _missing(program: Any) -> set[Any]:
    """Operations that have neither a row nor a reason why there is none."""
    said_of = rows().keys() | reasons().keys()
    return {
        n.target
        for n in program.graph.nodes
        if n.op == "call_function" and packet_of(n) and operation_of(n) not in said_of
    }


def _decomposed(program: Any, known: dict[Any, Any]) -> Any:
    """With operations taken apart as torch knows; what it cannot take apart stays, and has no row."""
    with _quiet():
        try:
            return program.run_decompositions(known)
        except Exception:
            for one in known if len(known) > 1 else ():
                program = _decomposed(program, {one: known[one]})
            return program


def _refuse_cut_gradients(program: Any) -> None:
    """`detach` and `no_grad` are nothing but a cut in the backward pass: torch's decompositions forget them."""
    from torch.export.graph_signature import InputKind

    learns = {
        spec.arg.name for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.PARAMETER, InputKind.USER_INPUT)
    }  # fmt: skip
    for node in program.graph.nodes:
        if node.op == "placeholder" and not _is_real(node):
            learns.discard(node.name)
        elif any(before.name in learns for before in node.all_input_nodes):
            learns.add(node.name)
            if packet_of(node) and operation_of(node).startswith("detach") and _is_real(node):
                raise _cut("detach", place_of(node))
            if "set_grad_enabled" in str(node.target) and not node.args[0]:
                raise _cut("no_grad", place_of(node))


def _is_real(node: Any) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def _cut(name: str, place: Place | None) -> ExerciseError:
    return ExerciseError(said(
        "{name}{where} stops the gradient, and a formula cannot say that: compute what is held fixed outside of the "
        "module and give it as an input (the maximum that a stable softmax takes off may be left out: the gradient is "
        "the same)",
        name=name, where=where(place),
    ))  # fmt: skip


def _changes(operation: str, place: Place | None) -> ExerciseError:
    return ExerciseError(said(
        "{operation}{where} changes a tensor in place, and torch cannot write that as steps: give the new value a name "
        "of its own",
        operation=operation, where=where(place),
    ))  # fmt: skip


def _exported(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """With the sizes of the inputs open; else, where the module needs them fixed, with those of the example."""
    with _quiet(), _roots_kept():
        try:
            return torch.export.export(module, inputs, dynamic_shapes=(tree_map(_open, inputs),))
        except Exception:
            try:
                return torch.export.export(module, inputs)
            except Exception as error:
                raise _not_exported(error) from error


def _open(x: Any) -> Any:
    return {d: torch.export.Dim.AUTO for d in range(x.dim())} if isinstance(x, Tensor) else None


@contextmanager
def _roots_kept() -> Iterator[None]:
    """`math.sqrt(x.shape[-1])` stays the root of a size: Python's own makes a number of it."""
    plain = math.sqrt
    math.sqrt = lambda x: torch.sym_sqrt(x) if isinstance(x, (torch.SymInt, torch.SymFloat)) else plain(x)
    try:
        yield
    finally:
        math.sqrt = plain


@contextmanager
def _quiet() -> Iterator[None]:
    """Export's own advice is about serving models; what the model prints, its author has seen."""
    import logging

    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._export", "torch.fx", "torch._dynamo")]
    former = [logger.level for logger in loggers]
    nowhere = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, former, strict=True):
                logger.setLevel(level)


def _not_exported(error: Exception) -> ExerciseError:
    place = place_of_error(error)
    text = str(error)
    if "data-dependent" in text or "DataDependent" in type(error).__name__ or "nonzero" in text or "item()" in text:
        return ExerciseError(said(
            "the path through the program depends on the values of a tensor{where}: only a fixed sequence of "
            "operations can be derived; write the branch with torch.where, or import each branch by itself",
            where=where(place),
        ))  # fmt: skip
    if "fake tensor" in text.lower():
        return ExerciseError(said(
            "a gradient taken inside of the program, or x.data, cannot be derived{where}: derive the first gradient, "
            "and import what is computed from it as a program of its own",
            where=where(place),
        ))  # fmt: skip
    if "DynamicOutputShape" in type(error).__name__:
        return shapeless(text.strip(), place)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return ExerciseError(said(
        "torch cannot run or export this{where}: {kind}: {message}", where=where(place), kind=type(error).__name__,
        message=first[:400],
    ))  # fmt: skip


def packet_of(node: Any) -> Any:
    return getattr(node.target, "_overloadpacket", None)


def operation_of(node: Any) -> str:
    return str(packet_of(node)).rsplit(".", 1)[-1]


def _mutates(node: Any) -> bool:
    """Whether it changes one of its arguments; a counter of batches is nobody's gradient."""
    if node.op != "call_function" or not hasattr(node.target, "_schema"):
        return False
    if not node.target._schema.is_mutable:
        return False
    changed = node.args[0]
    return not (getattr(changed, "op", "") == "placeholder" and "num_batches_tracked" in changed.name)


# what they return is a tensor of its own, never one of their arguments
FRESH = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "linear", "matmul", "mm", "bmm", "addmm",
    "batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm", "add", "sub", "mul", "div", "neg", "relu",
    "tanh", "sigmoid", "exp", "gelu", "silu", "leaky_relu", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "cat", "sum", "mean", "softmax", "log_softmax",
})  # fmt: skip


def _out_of_place(graph: Any) -> None:
    """relu_(x) as y = relu(x) where nothing else can see that x has changed: no view of it, no input of the user's.

    Torch's own rewriting takes batch norm apart as well, and fails where that is in eval.
    """
    if not any(_mutates(node) for node in graph.nodes):
        return
    for node in list(graph.nodes):  # in eval dropout returns what it was given, not a copy
        if node.op == "call_function" and operation_of(node).endswith("dropout") and not node.args[2]:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    order = {node: n for n, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        if not _mutates(node):
            continue
        changed, twin = node.args[0], operation_of(node).removesuffix("_")
        packet = getattr(torch.ops.aten, twin, None)
        overload = getattr(packet, node.target._overloadname, None) if twin in FRESH else None
        earlier = [user for user in changed.users if order.get(user, 0) < order[node]]
        if overload is None or not _same_arguments(node, overload):
            continue
        if not all(_is_fresh(n) for n in (changed, *earlier)):
            continue
        node.target = overload
        changed.replace_all_uses_with(node, delete_user_cb=lambda user, n=node: order.get(user, 0) > order[n])


def _is_fresh(node: Any) -> bool:
    return node.op == "call_function" and operation_of(node) in FRESH


def _same_arguments(node: Any, overload: Any) -> bool:
    names = [[a.name for a in target._schema.arguments] for target in (node.target, overload)]
    return names[0] == names[1] and tuple(node.meta["val"].shape) == tuple(node.args[0].meta["val"].shape)


def shapeless(operation: str, place: Place | None) -> ExerciseError:
    return ExerciseError(said(
        "how many entries {operation}{where} has depends on the values of a tensor: only a fixed sequence of "
        "operations on fixed shapes can be derived; keep all entries, and write zero where the mask does not hold "
        "with torch.where",
        operation=operation, where=where(place),
    ))  # fmt: skip
