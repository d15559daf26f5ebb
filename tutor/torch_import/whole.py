"""The user's module or function, and the loss behind it, as one module that torch can export."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

from torch import nn


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
