"""A module or function as a graph of ATen operations: what `torch.export` sees, in our own words."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tutor.torch_import.export import exported, operation_of, shapeless
from tutor.torch_import.places import Place, place_of

# Python's arithmetic on sizes, as it stands in a graph
ARITHMETIC: dict[Any, str] = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.floordiv: "floordiv",
    operator.truediv: "truediv", operator.pow: "pow", operator.neg: "neg", operator.mod: "mod",
    torch.sym_float: "float", torch.sym_int: "int", getattr(torch, "_sym_sqrt", torch.sym_sqrt): "sqrt",
}  # fmt: skip


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


# -- reading --------------------------------------------------------------------------------------------------


def trace(module: nn.Module, inputs: Sequence[Any], names: Sequence[str]) -> Graph:
    """The module's graph at these inputs."""
    return _read(exported(module, tuple(inputs)), module, tuple(inputs), names)


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
        raise shapeless(f"aten.{operation_of(node)}", place_of(node))
    shapes = [tuple(map(_number, v.shape)) for v in tensors]
    kinds = [kind_of(v.dtype) for v in tensors]
    op, overload, args, defaults = _called(node)
    if not tensors:
        shapes, kinds = [], ["size"]
    dtype = tensors[0].dtype if tensors else None
    return Node(node.name, op, overload, args, defaults, shapes, kinds, dtype, place_of(node), _module(node))


def _called(node: Any) -> tuple[str, str, dict[str, Any], frozenset[str]]:
    """Operation, overload, arguments by name, and which of them have their default."""
    if node.target is operator.getitem:
        return "getitem", "", {"self": _argument(node.args[0]), "index": node.args[1]}, frozenset()
    if node.target in ARITHMETIC:
        return ARITHMETIC[node.target], "", {"values": [_argument(a) for a in node.args]}, frozenset()
    if (
        hasattr(node.target, "_schema")
        and operation_of(node) in ("max", "min")
        and node.target._overloadname == "other"
    ):
        return f"{operation_of(node)}imum", "default", *_by_schema(node)  # torch.max(a, b)
    if hasattr(node.target, "_schema"):
        return operation_of(node), node.target._overloadname, *_by_schema(node)
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


def kind_of(dtype: torch.dtype) -> str:
    if dtype.is_complex:
        return "complex"
    return "bool" if dtype == torch.bool else "float" if dtype.is_floating_point else "int"


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
