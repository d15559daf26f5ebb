"""Losses by their names on the command line: one row each, what the target must be, and what torch calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Loss:
    """Targets are class indices, real numbers (in `domain`), either or none."""

    torch: str
    targets: tuple[str, ...] = ("float",)
    domain: str = "real"
    reduction: str = "mean"


LOSSES = {
    "cross-entropy": Loss("cross_entropy", ("index", "float"), "probability"),
    "nll": Loss("nll_loss", ("index",)),
    "mse": Loss("mse_loss"),
    "l1": Loss("l1_loss"),
    "smooth-l1": Loss("smooth_l1_loss"),
    "huber": Loss("huber_loss"),
    "bce": Loss("binary_cross_entropy", domain="fraction"),
    "bce-with-logits": Loss("binary_cross_entropy_with_logits", domain="fraction"),
    "kl-div": Loss("kl_div", domain="probability", reduction="batchmean"),
    "sum": Loss("sum", ()),
    "mean": Loss("mean", ()),
}
NONE = "none"  # the output as it is


def function(name: str, output: Callable[[Any], Any], axis: int | None = None) -> Callable[..., Any]:
    """The loss of what the model returns; `output` takes the tensor from that, whose classes lie on `axis`."""
    row = LOSSES[name]
    if not row.targets:
        return lambda made: getattr(output(made), row.torch)()

    def loss(made: Any, target: Any) -> Any:
        import torch.nn.functional as F

        given, wanted = output(made), target
        if axis is not None and given.dim() > 2 and axis == given.dim() - 1:  # torch has the classes on axis 1
            given = given.flatten(0, -2)
            wanted = wanted.flatten() if wanted.dim() == axis else wanted.flatten(0, -2)
        return getattr(F, row.torch)(given, wanted, reduction=row.reduction)

    return loss
