"""A module or function as a graph of ATen operations: what `torch.export` sees, in our own words.

Sizes of the user's inputs are left open where the module allows it, so that a division by `x.shape[0]` is known to be
one by a size. Operations that change a tensor in place are made functional by torch itself.
"""

from __future__ import annotations

import inspect
import io
import linecache
import math
import operator
import re
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from tutor.errors import ExerciseError
from tutor.language import said
from tutor.torch_import.table import reasons, rows

# Python's arithmetic on sizes, as it stands in a graph
ARITHMETIC: dict[Any, str] = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.floordiv: "floordiv",
    operator.truediv: "truediv", operator.pow: "pow", operator.neg: "neg", operator.mod: "mod",
    torch.sym_float: "float", torch.sym_int: "int", getattr(torch, "_sym_sqrt", torch.sym_sqrt): "sqrt",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A line of the user's source."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return str(self.says)

    @property
    def says(self) -> str:
        return said("{file}, line {line}: {text}", file=self.file, line=self.line, text=self.text)


@dataclass(frozen=True)
class Ref:
    """Another node of the graph, as an argument."""

    name: str


@dataclass
class Node:
    """One operation: `args` by the names of ATen's schema; shapes are the example's."""

    name: str
    op: str
    overload: str
    args: dict[str, Any]
    defaults: frozenset[str]  # arguments that have their default
    shapes: list[tuple[int, ...]]
    kinds: list[str]
    dtype: torch.dtype | None  # of its first result
    place: Place | None
    module: str  # the innermost module that computes it: "blocks.0.fc1"
    whole: bool = False  # it is that module's only operation

    @property
    def called(self) -> str:
        return f"aten.{self.op}.{self.overload}" if self.overload else self.op


@dataclass
class Leaf:
    """An input, a parameter, a buffer or a constant of the graph."""

    name: str  # the node's
    kind: str  # input, parameter, buffer, constant
    path: str  # in the module: "fc1.weight"; of an input its name
    value: Any  # the example's tensor, or a number
    target: str = ""  # the path in what was traced, which wraps the module
    lengths: tuple[Any, ...] = ()  # torch's own symbol of each axis that was left open, a number where it is none now

    @property
    def is_tensor(self) -> bool:
        return isinstance(self.value, Tensor)


@dataclass
class Graph:
    """A straight-line program on leaves; `ends` are what it returns."""

    leaves: list[Leaf]
    nodes: list[Node]
    ends: list[Any]  # Ref, or a constant
    module: nn.Module = field(repr=False)
    inputs: tuple[Any, ...] = ()


# -- export ------------------------------------------------------------------------------------------------


def trace(module: nn.Module, inputs: Sequence[Any], names: Sequence[str]) -> Graph:
    """The module's graph at these inputs."""
    program = _exported(module, tuple(inputs))
    _refuse_cut_gradients(program)
    _out_of_place(program.graph)
    if any(_mutates(node) for node in program.graph.nodes):
        program = _decomposed(program, {})
        for node in program.graph.nodes:
            if _mutates(node):
                raise _changes(_op(node), _place(node))
    tried: set[Any] = set()
    while known := _decompositions(_missing(program) - tried):  # one may be made of others
        tried |= known.keys()
        program = _decomposed(program, known)
    return _read(program, module, tuple(inputs), names)


def _decompositions(operations: set[Any]) -> dict[Any, Any]:
    """What torch itself makes them of."""
    from torch._export.utils import _get_decomp_for_cia

    composite = {made: _get_decomp_for_cia(made) for made in operations if made._can_decompose()}
    return {**composite, **torch._decomp.get_decompositions(list(operations))}


def _missing(program: Any) -> set[Any]:
    """Operations that have neither a row nor a reason why there is none."""
    said_of = rows().keys() | reasons().keys()
    return {n.target for n in program.graph.nodes if n.op == "call_function" and _packet(n) and _op(n) not in said_of}


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
            cut = "detach" if node.op == "call_function" and _packet(node) and _op(node).startswith("detach") else ""
            if "set_grad_enabled" in str(node.target) and not node.args[0]:
                cut = "no_grad"
            if cut and (_is_real(node) or cut == "no_grad"):
                raise _cut(cut, _place(node))


def _is_real(node: Any) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def _cut(name: str, place: Place | None) -> ExerciseError:
    where = said(" ({place})", place=place.says) if place else ""
    return ExerciseError(said(
        "{name}{where} stops the gradient, and a formula cannot say that: compute what is held fixed outside of the "
        "module and give it as an input",
        name=name, where=where,
    ))  # fmt: skip


def _changes(operation: str, place: Place | None) -> ExerciseError:
    where = said(" ({place})", place=place.says) if place else ""
    return ExerciseError(said(
        "{operation}{where} changes a tensor in place, and torch cannot write that as steps: give the new value a name "
        "of its own",
        operation=operation, where=where,
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
    where = said(" ({place})", place=place.says) if place else ""
    text = str(error)
    if "data-dependent" in text or "DataDependent" in type(error).__name__ or "nonzero" in text or "item()" in text:
        return ExerciseError(said(
            "the path through the program depends on the values of a tensor{where}: only a fixed sequence of "
            "operations can be derived; write the branch with torch.where, or import each branch by itself",
            where=where,
        ))  # fmt: skip
    if "DynamicOutputShape" in type(error).__name__:
        return _shapeless(text.strip(), place)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return ExerciseError(said(
        "torch cannot run or export this{where}: {kind}: {message}", where=where, kind=type(error).__name__,
        message=first[:400],
    ))  # fmt: skip


def place_of_error(error: BaseException) -> Place | None:
    """The innermost line outside of torch and of the tutor."""
    found, at = None, error.__traceback__
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if _is_users(file):
            found = Place(file, at.tb_lineno, linecache.getline(file, at.tb_lineno).strip())
        at = at.tb_next
    if found is None:  # torch's own messages quote the user's code
        quoted = re.findall(r'File "([^"]+)", line (\d+), in \S+\n\s+(.+)', str(error))
        users = [(file, line, text) for file, line, text in quoted if _is_users(file)]
        if users:
            file, line, text = users[-1]
            found = Place(file, int(line), text.strip())
    return found


_OURS = str(Path(__file__).resolve().parent.parent)
_TORCH = str(Path(torch.__file__).resolve().parent)
_PYTHON = str(Path(inspect.__file__).resolve().parent)


def _is_users(file: str) -> bool:
    inside = (_OURS, _TORCH, *((_PYTHON,) if "site-packages" not in file else ()))
    return not file.startswith(inside) and not file.startswith("<frozen") and "site-packages" not in file


# -- reading ------------------------------------------------------------------------------------------------


def _packet(node: Any) -> Any:
    return getattr(node.target, "_overloadpacket", None)


def _op(node: Any) -> str:
    return str(_packet(node)).rsplit(".", 1)[-1]


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
        if node.op == "call_function" and _op(node).endswith("dropout") and not node.args[2]:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    order = {node: n for n, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        if not _mutates(node):
            continue
        changed, twin = node.args[0], _op(node).removesuffix("_")
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
    return node.op == "call_function" and _op(node) in FRESH


def _same_arguments(node: Any, overload: Any) -> bool:
    names = [[a.name for a in target._schema.arguments] for target in (node.target, overload)]
    return names[0] == names[1] and tuple(node.meta["val"].shape) == tuple(node.args[0].meta["val"].shape)


def _read(program: Any, module: nn.Module, inputs: tuple[Any, ...], names: Sequence[str]) -> Graph:
    leaves = list(_leaves(program, module, inputs, names))
    nodes, ends = [], []
    for node in program.graph.nodes:
        if node.op == "call_function":
            nodes.append(_node(node))
        elif node.op == "output":
            ends = _ends(program, node)
    graph = Graph(leaves, nodes, ends, module, inputs)
    graph.nodes = _alive(graph)
    used = {ref.name for node in graph.nodes for ref in refs(node.args)} | {r.name for r in refs(ends)}
    paths = {leaf.path for leaf in leaves if leaf.name in used}
    kept = [
        leaf for leaf in leaves if leaf.name in used or leaf.kind in ("input", "parameter") and leaf.path not in paths
    ]
    graph.leaves = sorted(kept, key=lambda leaf: leaf.kind != "input")  # formulas have x before W
    by_module: dict[str, list[Node]] = {}
    for node in graph.nodes:
        by_module.setdefault(node.module, []).append(node)
    for group in by_module.values():
        group[-1].whole = len(group) == 1
    return graph


def _named(names: Sequence[str], inputs: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The tensors of all inputs; those of a tuple `state` are state1, state2."""
    for name, value in zip(names, inputs, strict=True):
        parts = tree_leaves(value) if isinstance(value, (list, tuple, dict)) else [value]
        for number, part in enumerate(parts, 1):
            yield (name if len(parts) == 1 else f"{name}{number}"), part


def _held(module: nn.Module, path: str) -> Any:
    """The parameter of that path."""
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name, None)


def _leaves(program: Any, module: nn.Module, inputs: tuple[Any, ...], names: Sequence[str]) -> Iterator[Leaf]:
    from torch.export.graph_signature import InputKind

    given = iter(_named(names, inputs))
    first = {id(x): path for path, x in reversed(list(module.named_parameters(remove_duplicate=False)))}  # of tied ones
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind == InputKind.PARAMETER:
            value = program.state_dict[spec.target]
            path = first.get(id(_held(module, spec.target)), spec.target)
            yield Leaf(name, "parameter", _path(path), value, spec.target)
        elif spec.kind == InputKind.BUFFER:
            held = program.state_dict if spec.target in program.state_dict else program.constants
            yield Leaf(name, "buffer", _path(spec.target), held[spec.target], spec.target)
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            yield Leaf(name, "constant", _path(str(spec.target)), program.constants[spec.target], str(spec.target))
        elif name in nodes:
            called, value = next(given)
            yield Leaf(name, "input", called, value, lengths=_lengths(nodes[name]))


def _lengths(node: Any) -> tuple[Any, ...]:
    """Of axes left open. `int(x.shape[0])` makes a number of one, `if x.shape[0] == x.shape[1]` one of two."""
    value = node.meta.get("val")
    shape = value.shape if isinstance(value, Tensor) else ()
    return tuple(n if isinstance(n, int) else n.node.expr for n in shape)


def _path(target: str) -> str:
    """As the user's own module knows it."""
    return target.removeprefix("module.")


def _ends(program: Any, output: Any) -> list[Any]:
    from torch.export.graph_signature import OutputKind

    specs = program.graph_signature.output_specs
    returned = output.args[0]
    kept = [value for value, spec in zip(returned, specs, strict=False) if spec.kind == OutputKind.USER_OUTPUT]
    if len(specs) == len(returned):
        return [_argument(v) for v in kept]
    return [_argument(v) for v in flat(returned)]


def flat(value: Any) -> Iterator[Any]:
    """What lists, tuples and dicts hold, in order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from flat(part)
    else:
        yield value


def _node(node: Any) -> Node:
    vals = node.meta.get("val")
    several = isinstance(vals, (list, tuple))
    values = list(vals) if several else [vals]
    tensors = [v for v in values if isinstance(v, Tensor)]
    if any(_number(n) is None for v in tensors for n in v.shape):
        raise _shapeless(f"aten.{_op(node)}", _place(node))
    shapes = [tuple(map(_number, v.shape)) for v in tensors]
    kinds = [kind_of(v.dtype) for v in tensors]
    op, overload, args, defaults = _called(node)
    if not tensors:
        shapes, kinds = [], ["size"]
    dtype = tensors[0].dtype if tensors else None
    return Node(node.name, op, overload, args, defaults, shapes, kinds, dtype, _place(node), _module(node))


def _called(node: Any) -> tuple[str, str, dict[str, Any], frozenset[str]]:
    """Operation, overload, arguments by name, and which of them have their default."""
    if node.target is operator.getitem:
        return "getitem", "", {"self": _argument(node.args[0]), "index": node.args[1]}, frozenset()
    if node.target in ARITHMETIC:
        return ARITHMETIC[node.target], "", {"values": [_argument(a) for a in node.args]}, frozenset()
    if hasattr(node.target, "_schema") and _op(node) in ("max", "min") and node.target._overloadname == "other":
        return f"{_op(node)}imum", "default", *_by_schema(node)  # torch.max(a, b)
    if hasattr(node.target, "_schema"):
        return _op(node), node.target._overloadname, *_by_schema(node)
    return getattr(node.target, "__name__", str(node.target)), "", {}, frozenset()


def _by_schema(node: Any) -> tuple[dict[str, Any], frozenset[str]]:
    args, defaults = {}, set()
    for position, argument in enumerate(node.target._schema.arguments):
        if position < len(node.args) and not argument.kwarg_only:
            value = node.args[position]
        elif argument.name in node.kwargs:
            value = node.kwargs[argument.name]
        else:
            value = argument.default_value
        args[argument.name] = _argument(value)
        if argument.has_default_value() and _same(value, argument.default_value):
            defaults.add(argument.name)
    return args, frozenset(defaults)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and not hasattr(a, "op") and a == b


def _argument(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        return Ref(value.name)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return [_argument(v) for v in value]
    return value


def _number(extent: Any) -> Any:
    """A size in the example; None where it depends on values."""
    if isinstance(extent, int):
        return extent
    hint = extent.node.hint if extent.node.has_hint() else None
    return None if hint is None else int(hint)


def _shapeless(operation: str, place: Place | None) -> ExerciseError:
    where = said(" ({place})", place=place.says) if place else ""
    return ExerciseError(said(
        "how many entries {operation}{where} has depends on the values of a tensor: only a fixed sequence of "
        "operations on fixed shapes can be derived; keep all entries, and write zero where the mask does not hold "
        "with torch.where",
        operation=operation, where=where,
    ))  # fmt: skip


def kind_of(dtype: torch.dtype) -> str:
    if dtype.is_complex:
        return "complex"
    return "bool" if dtype == torch.bool else "float" if dtype.is_floating_point else "int"


def _place(node: Any) -> Place | None:
    """The user's line: the innermost frame outside of torch."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in \S+\n\s*(.*)', node.meta.get("stack_trace") or "")
    users = [(file, line, text) for file, line, text in frames if _is_users(file)]
    if not users:
        return None
    file, line, text = users[-1]
    return Place(file, int(line), text.strip())


def _module(node: Any) -> str:
    """The innermost module's path, as the user's own module knows it."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    return path.removeprefix("module").removeprefix(".") if path.startswith("module") else ""


def refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from refs(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from refs(part)


def _alive(graph: Graph) -> list[Node]:
    """What the ends need."""
    needed = {ref.name for ref in refs(graph.ends)}
    kept = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            kept.append(node)
            needed |= {ref.name for ref in refs(node.args)}
    return kept[::-1]


# -- what is traced ------------------------------------------------------------------------------------------


class Whole(nn.Module):
    """The user's module or function, and the loss behind it, as one module."""

    def __init__(self, module: Any, loss: Any, count: int):
        super().__init__()
        self.module = as_forward(module)  # a plain function stays an attribute
        self.loss = as_forward(loss)
        self.count = count  # of the inputs that are the module's; the others are the loss's

    def forward(self, *inputs: Any) -> Any:
        made = self.module(*inputs[: self.count])
        if self.loss is None:
            return made
        if isinstance(self.loss, (int, str)):
            return made[self.loss]
        return self.loss(made, *inputs[self.count :])


def as_forward(function: Any) -> Any:
    """A plain function under the name `forward`: export keeps the lines of functions of that name."""
    if isinstance(function, types.MethodType):
        return types.MethodType(as_forward(function.__func__), function.__self__)
    if not isinstance(function, types.FunctionType):
        return function
    code = function.__code__.replace(co_name="forward")
    made = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first positional arguments, as the function calls them."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return [f"x{n}" for n in range(count)]
    names = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind == parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{n}" for n in range(count - len(names))]
    return [*names, *(f"x{n}" for n in range(len(names), count))][:count]
