"""A function as an answer: trusted code, run here at every draw. What it raises is its own error, and no verdict."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from tutor.errors import UsageError
from tutor.exercise import Exercise
from tutor.language import said, tr
from tutor.numeric.sample import Instance

Answer = Mapping[str, Any]


def answers_of(exercise: Exercise, function: Callable[..., Any], instances: Iterable[Instance]) -> list[Answer]:
    """`{"W": dW, ...}` at every draw, from a function of the instance or a `torch.autograd.Function`.

    Each call gets tensors of its own, and what it returns is copied at once: work in place, and a buffer that is
    filled anew at every call, change no other draw. What the function raises goes on to the caller, with a note.
    """
    __tracebackhide__ = True  # IPython shows the learner's frames, not ours
    run = _of_leaves(exercise, function) if _is_autograd(function) else _of_instance(function)
    answers = []
    for instance in instances:  # no comprehension, which would be a frame of its own
        answers.append(_copied(_run(run, function, instance.clone())))
    return answers


def _run(run: Callable[[Instance], Any], function: Any, instance: Instance) -> Answer:
    __tracebackhide__ = True
    try:
        made = run(instance)
    except Exception as error:
        error.add_note(_whose(error, function, instance))
        raise
    if not isinstance(made, Mapping):
        raise UsageError(said('the function returns {kind}: return {{"W": dW, ...}}', kind=type(made).__name__))
    return made


def _whose(error: Exception, function: Any, instance: Instance) -> str:
    """`raised by your backward, line 3: return ... (at N=3, D=5)`: the last line of the file that it stands in."""
    name = getattr(function, "__name__", type(function).__name__)
    inner = function.backward if _is_autograd(function) else function
    file = getattr(getattr(inner, "__code__", None), "co_filename", None)
    at, walk = None, error.__traceback__
    while walk is not None:
        if walk.tb_frame.f_code.co_filename == file:
            at = walk.tb_lineno
        walk = walk.tb_next
    sizes = ", ".join(f"{size}={extent}" for size, extent in instance.sizes.items())
    where = tr(" (at {sizes})", sizes=sizes) if sizes else ""
    if at is None or file is None:
        return tr("raised by your {name}{where}; an error is no verdict", name=name, where=where)
    text = linecache.getline(file, at).strip()
    return tr(
        "raised by your {name}, line {line}: {text}{where}; an error is no verdict",
        name=name, line=at, text=text, where=where,
    )  # fmt: skip


def _copied(answer: Answer) -> Answer:
    return {name: value.detach().clone() if isinstance(value, Tensor) else value for name, value in answer.items()}


def _of_instance(function: Callable[..., Any]) -> Callable[[Instance], Any]:
    """The function itself, once it is seen to take one argument."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        raise UsageError(
            said("{name} is called with one argument, the values t: write def {name}(t)", name=name)
        ) from None
    except ValueError:  # a built-in without a signature
        pass
    return function


def _is_autograd(function: Any) -> bool:
    return isinstance(function, type) and issubclass(function, torch.autograd.Function)


def _of_leaves(exercise: Exercise, function: Any) -> Callable[[Instance], Any]:
    """A `torch.autograd.Function` is applied to the leaves, in the order of their definition."""

    def backward(t: Instance) -> dict[str, Any]:
        __tracebackhide__ = True
        with torch.enable_grad():
            leaves = {
                q.name: t[q.name].detach().clone().requires_grad_(q.differentiable and t[q.name].is_floating_point())
                for q in exercise.leaves
            }
            made = function.apply(*leaves.values())
            outputs = made if isinstance(made, tuple) else (made,)
            upstream = [None if q.kind == "loss" else t[f"d{q.name}"] for q in exercise.ends]
            wanted = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
            found = torch.autograd.grad(outputs, tuple(wanted.values()), upstream, allow_unused=True)
        return {name: torch.zeros_like(wanted[name]) if g is None else g for name, g in zip(wanted, found, strict=True)}

    return backward
