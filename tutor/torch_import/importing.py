"""`tutor.from_torch`: a module or a function of the user's, at example inputs, as an exercise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from sympy import Expr, Integer, Symbol
from torch import Tensor, nn

from tutor.errors import ExerciseError, UsageError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric.autograd import Given
from tutor.numeric.sample import worked_instance
from tutor.symbolic.indices import size
from tutor.torch_import import reference
from tutor.torch_import.builder import Builder
from tutor.torch_import.graph import trace
from tutor.torch_import.native import Native, own_backward
from tutor.torch_import.table import STEPS
from tutor.torch_import.whole import Whole, parameter_names

CLOSE = 1e-8  # values of the module and ours, relative to the largest
MOST_SMALL = 60  # where no number below keeps the axes apart, they may be equal


def from_torch(
    module: nn.Module | Callable[..., Any],
    *inputs: Any,
    loss: nn.Module | Callable[..., Any] | int | str | None = None,
    names: Sequence[str] | Mapping[str, str] | str = (),
    steps: str = "standard",
    name: str = "",
    title: str = "",
    domains: Mapping[str, str] | None = None,
) -> Exercise:
    """An exercise from a PyTorch module or function: its forward pass as named steps, its gradients to be derived.

        ex = tutor.from_torch(model, x, target, loss=nn.CrossEntropyLoss())
        ex = tutor.from_torch(lambda x, W: torch.tanh(x @ W), x, W)

    The graph is torch's own (`torch.export`); each operation becomes the steps that a textbook has for it. The inputs
    are examples: they say how many axes there are and where values lie, and sizes stay symbols (the batch is N).

    * `loss`: a function of the output and the last input (or inputs); or, if the module computes its loss itself, the
      place or key of it among what the module returns.
    * `names`: of the inputs, in order; or other names for what has one, as `{"fc1.weight": "W1"}`; or "short" for W1,
      b1, W2 in place of fc1_weight, fc1_bias, fc2_weight.
    * `domains`: where inputs lie that are not any real numbers, as `{"p": "probability", "x": "positive"}`.
    * `steps`: "coarse" keeps one step for each operation, "fine" has the smallest.

    What learns is asked: parameters, and inputs that require a gradient; where there is neither, every real input.
    Train or eval is as the module stands; the mask of a dropout is an input. `ex.verify()` compares our derivation
    with the autograd of the module itself, at its own weights and at random ones.

    Raises ExerciseError for what has no derivation here: a path that depends on values, an operation without a row.
    """
    if steps not in STEPS:
        raise UsageError(said('steps="{steps}": give one of {known}', steps=steps, known=", ".join(STEPS)))
    if not callable(module):
        raise UsageError(said("from_torch takes a module or a function, not {kind}", kind=type(module).__name__))
    called, renamed, short = _names(names)
    if len(called) > len(inputs):
        raise UsageError(said("names={names}: there are {count} inputs", names=", ".join(called), count=len(inputs)))
    count = len(inputs) - _loss_inputs(loss, len(inputs))
    known = [*parameter_names(module, count), *_target_names(len(inputs) - count)]
    known = [*called, *known[len(called) :]]
    whole = Whole(module, loss, count)
    if isinstance(module, nn.Module):
        whole.train(module.training)
    graph = trace(whole, inputs, known)
    builder = Builder(graph, steps, renamed, short)
    wanted = domains or {}
    builder.domains |= {leaf.name: wanted[leaf.path] for leaf in graph.leaves if leaf.path in wanted}
    exercise = Exercise(name or _default_name(module), title=title or _default_title(module), tags=["imported"])
    builder.build(exercise)
    free = [leaf.name for leaf in graph.leaves if wanted.get(leaf.path) in ("positive", "fraction")]
    _finish(exercise, builder, [builder.called[name] for name in free])
    return exercise


def _names(names: Any) -> tuple[list[str], dict[str, str], bool]:
    """Names of inputs, other names for what has one, and whether they are to be short."""
    if isinstance(names, str):
        if names == "short":
            return [], {}, True
        return names.replace(",", " ").split(), {}, False
    if isinstance(names, Mapping):
        return [], dict(names), False
    return list(names), {}, False


def _loss_inputs(loss: Any, count: int) -> int:
    """How many of the inputs are the loss's: what it takes besides the output."""
    if loss is None or isinstance(loss, (int, str)):
        return 0
    function = loss.forward if isinstance(loss, nn.Module) else loss
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return min(1, count)
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return min(max(len(needed) - 1, 0), count - 1 if count else 0)


def _target_names(count: int) -> list[str]:
    return ["target"] if count == 1 else [f"target{n}" for n in range(1, count + 1)]


def _default_name(module: Any) -> str:
    named = type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", "function")
    words = "".join(f"-{c.lower()}" if c.isupper() and n and not named[n - 1].isupper() else c.lower()
                    for n, c in enumerate(named))  # fmt: skip
    kept = "".join(c if c.isalnum() else "-" for c in words).strip("-")
    return kept or "imported"


def _default_title(module: Any) -> str:
    return type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", "")


# -- what belongs to the exercise as a whole ------------------------------------------------------------------


def _finish(exercise: Exercise, builder: Builder, also: Collection[str] = ()) -> None:
    fixed = [
        builder.called[leaf.name] for leaf in builder.graph.leaves
        if leaf.kind in ("constant", "buffer") or (leaf.is_tensor and not leaf.value.is_floating_point())
    ]  # fmt: skip
    _ask(exercise, also, fixed)
    body = reference.source(builder)
    exercise.reference_source = body
    native = Native(builder.graph, list(builder.given.values()))
    exercise.reference(_reference(builder, native, body))
    sizes = builder.sizes.example
    if sizes:
        exercise.example(**small_sizes(exercise))
        exercise.full_size(**sizes)
    exercise.own = [(sizes, values) for values in _own(builder)]
    exercise.validate()
    _judge(exercise, builder, native)


def _ask(exercise: Exercise, also: Collection[str] = (), constants: Collection[str] = ()) -> None:
    """Parameters that are used; without any, every real input, and what is said to be `also` one.

    Numbers that stand in the program, as `torch.tensor([0.3, 0.6])`, and buffers, are no input of the user's; whole
    numbers have no gradient.
    """
    used = frozenset().union(*(q.reads for q in exercise))
    for q in list(exercise):
        if q.is_leaf and q.name not in used:
            del exercise.quantities[q.name]
    if not any(q.kind == "parameter" for q in exercise):
        leaves = [q for q in exercise if q.is_leaf and q.differentiable and q.name not in constants]
        real = [q.name for q in leaves if q.domain == "real" or q.name in also]
        real = real or [q.name for q in leaves]
        if not real:
            raise ExerciseError(said("nothing in it has a gradient: it has no parameter and no input of real numbers"))
        exercise.ask(*real)


def small_sizes(exercise: Exercise) -> dict[str, int]:
    """Small sizes for judging: no two axes are equal by chance, and what multiplies others comes first."""
    extents = {extent for q in exercise for extent in q.shape} | {q.below for q in exercise if q.below is not None}
    extents |= {size(index) for index in exercise.index_symbols.values()}
    symbols = list(exercise.size_symbols.values())
    compound = [extent for extent in extents if not extent.is_Symbol]
    symbols.sort(key=lambda s: -sum(extent.has(s) for extent in compound))
    chosen: dict[Symbol, int] = {}
    for symbol in symbols:
        free = [n for n in range(2, MOST_SMALL) if n not in chosen.values()]
        fitting = [n for n in free if min(_lengths(extents, {**chosen, symbol: n}), default=2) >= 2]
        apart = (n for n in fitting if _all_differ(_lengths(extents, {**chosen, symbol: n})))
        chosen[symbol] = next(apart, (fitting or free)[0])
    return {name: chosen[symbol] for name, symbol in exercise.size_symbols.items()}


def _lengths(extents: Iterable[Expr], chosen: Mapping[Symbol, int]) -> list[int]:
    """Of the axes that are known by now."""
    known = [e for e in extents if e.free_symbols and e.free_symbols <= set(chosen)]
    return [int(e.xreplace({s: Integer(n) for s, n in chosen.items()})) for e in known]


def _all_differ(numbers: Sequence[int]) -> bool:
    return len(set(numbers)) == len(numbers)


def _own(builder: Builder) -> list[dict[str, Tensor]]:
    """The module's own weights with the example's inputs; and the same again with random weights of their size."""
    kept = {name: _exactly(leaf.value.detach().clone(), builder, name) for name, leaf in _given(builder).items()}
    source = torch.Generator().manual_seed(0)
    real = {leaf_name for leaf_name, leaf in _given(builder).items() if leaf.kind == "parameter"}
    random = {name: _alike(x, source) if name in real else x for name, x in kept.items()}
    return [kept, random] if real else [kept]


def _exactly(x: Tensor, builder: Builder, name: str) -> Tensor:
    """Probabilities in float32 sum to 1 but for its rounding."""
    assert builder.exercise is not None
    return x.double() / x.double().sum(-1, keepdim=True) if builder.exercise[name].domain == "probability" else x


def _alike(x: Tensor, source: torch.Generator) -> Tensor:
    """Random numbers with the spread of those there are."""
    spread = float(x.double().square().mean().sqrt()) or 1.0
    return torch.randn(x.shape, generator=source, dtype=torch.float64) * spread


def _given(builder: Builder) -> dict[str, Any]:
    """Quantity -> the leaf that it is."""
    exercise = builder.exercise
    assert exercise is not None
    leaves = [*builder.graph.leaves, *builder.given.values()]
    return {builder.called[leaf.name]: leaf for leaf in leaves if builder.called.get(leaf.name) in exercise.quantities}


def _reference(builder: Builder, native: Native, body: str) -> Callable[[Any], Any]:
    """The user's module where the sizes are its own; at others the same graph."""
    text = "def forward(t):\n" + "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    space: dict[str, Any] = {}
    exec(compile(text, "<the imported graph>", "exec"), space)
    given = _given(builder)
    # masks, which the module draws, and whole numbers: it has no gradient with respect to them
    still = {n for n, leaf in given.items() if leaf.kind == "mask" or not leaf.value.is_floating_point()}
    exercise = builder.exercise
    assert exercise is not None

    def forward(t: Given) -> Any:
        values = {leaf.name: t[name] for name, leaf in given.items()}
        own = all(t[name] == extent for name, extent in builder.sizes.example.items())  # no input may show a size
        if not (own and native.fits(values)):
            return space["forward"](t)
        made = native.outputs(values)
        if still:
            made = [x + extra for x, extra in zip(made, by_still(t), strict=True)]
        return dict(zip(builder.ends, made, strict=True))

    def by_still(t: Given) -> list[Tensor]:
        """Zero, with the graph's gradient with respect to what the module does not vary."""
        held = {name: x if name in still or not isinstance(x, Tensor) else x.detach() for name, x in vars(t).items()}
        made = space["forward"](Given(held))
        ends = dict(zip([q.name for q in exercise.ends], made if isinstance(made, tuple) else (made,), strict=True))
        return [ends[name] - ends[name].detach() for name in builder.ends]

    return forward


def _judge(exercise: Exercise, builder: Builder, native: Native) -> None:
    """The module is run once: what its graph does not say is found here, and not by a learner."""
    sizes, values = exercise.own[0]
    leaves = {leaf.name: values[name].clone() for name, leaf in _given(builder).items()}
    learning = {leaf.name for leaf in _given(builder).values() if leaf.value.is_floating_point()}
    made = _run(native, {n: x.double().requires_grad_() if n in learning else x for n, x in leaves.items()})
    if native.fails is not None:
        exercise.remark = said(
            "the module itself does not run in float64 ({error}), so its graph is the native reference",
            error=str(native.fails).splitlines()[0] if str(native.fails) else type(native.fails).__name__,
        )
    for output in made:
        if name := own_backward(output):
            raise ExerciseError(said(
                "{name} is a torch.autograd.Function with a backward pass of its own, which no formula can say: write "
                "its forward pass with torch's operations",
                name=name,
            ))  # fmt: skip
    ours = worked_instance(exercise, values, sizes)
    for name, theirs in zip(builder.ends, made, strict=False):
        gap = (ours[name] - theirs.detach()).abs()
        if gap.numel() and not bool((gap <= CLOSE * (1 + theirs.detach().abs().max())).all()):
            raise ExerciseError(said(
                "{name} is not what the module computes, off by {gap:.2g}: this is our fault; please report it with "
                "the module",
                name=name, gap=float(gap.max()),
            ))  # fmt: skip


def _run(native: Native, values: Mapping[str, Tensor]) -> list[Tensor]:
    """What the module returns, if torch can differentiate it; nothing where it does not run in float64."""
    try:
        with torch.enable_grad():
            made = native.outputs(values)
    except Exception as error:
        native.fails = error
        return []
    learning = [x for x in values.values() if x.requires_grad]
    ends = [x.sum() for x in made if x.requires_grad]
    try:
        torch.autograd.grad(sum(ends[1:], ends[0]), learning, allow_unused=True, retain_graph=True) if ends else None
    except RuntimeError as error:
        first = str(error).splitlines()[0].partition(". Hint")[0]
        raise ExerciseError(said("torch itself cannot differentiate this: {error}", error=first)) from error
    return made
