"""What learners meet in `torch.nn` and `torch.nn.functional`, as a table: a row per configuration, and what
`tutor.from_torch` makes of it: an exercise (`derived`), or a refusal that says why (`refused`).

`test_torch_configurations.py` imports every row; `python tests/test_torch_docs.py` writes the table that users read,
`docs/torch.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SEED = 7


class Draw:
    """Example inputs: `r(3, 4)` is normal; the others say what they are."""

    def __init__(self) -> None:
        self.source = torch.Generator().manual_seed(SEED)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.source)

    def positive(self, *shape: int) -> Tensor:
        return 0.5 + torch.rand(shape, generator=self.source)

    def fraction(self, *shape: int) -> Tensor:
        return 0.1 + 0.8 * torch.rand(shape, generator=self.source)

    def index(self, below: int, *shape: int) -> Tensor:
        return torch.randint(below, shape, generator=self.source)

    def probabilities(self, *shape: int) -> Tensor:
        return self(*shape).softmax(-1)

    def mask(self, *shape: int) -> Tensor:
        """Both True and False, and the first of each row True."""
        made = torch.arange(torch.tensor(shape).prod().item()).reshape(shape) % 3 != 1
        made[..., 0] = True
        return made

    def signs(self, *shape: int) -> Tensor:
        """1 and -1"""
        return 2.0 * (torch.arange(torch.tensor(shape).prod().item()).reshape(shape) % 2) - 1


Made = tuple[Any, ...]  # the module or function, its inputs, and, if any, options of from_torch


@dataclass(frozen=True)
class Configuration:
    """`expected` is what becomes of it; a refusal names each of `says`."""

    name: str
    group: str
    build: Callable[[Draw], Made] = field(repr=False)
    expected: str = "derived"
    says: tuple[str, ...] = ()

    def make(self) -> tuple[Any, Sequence[Any], dict[str, Any]]:
        """Anew, and always the same; torch's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            module, inputs, *options = self.build(Draw())
        return module, inputs, options[0] if options else {}


CONFIGURATIONS: list[Configuration] = []


def _enter(group: str, builders: dict[str, Callable[[Draw], Made]]) -> None:
    CONFIGURATIONS.extend(Configuration(name, group, build) for name, build in builders.items())


def _refuse(group: str, builders: dict[str, tuple[Callable[[Draw], Made], tuple[str, ...]]]) -> None:
    CONFIGURATIONS.extend(Configuration(n, group, build, "refused", says) for n, (build, says) in builders.items())


def _with(function: Callable[..., Any], *shape: int, **options: Any) -> Callable[[Draw], Made]:
    """The function of one normal input, with options of its own."""
    return lambda r: ((lambda x: function(x, **options)), [r(*shape)])


def _layer(build: Callable[[], nn.Module], *shape: int) -> Callable[[Draw], Made]:
    """A module of one normal input."""
    return lambda r: (build(), [r(*shape)])


# -- elementwise functions --------------------------------------------------------------------------------------------

_enter(
    "Activations",
    {
        "F.relu": _with(F.relu, 3, 4),
        "F.leaky_relu(x, 0.2)": _with(F.leaky_relu, 3, 4, negative_slope=0.2),
        "nn.PReLU()": _layer(nn.PReLU, 3, 4),
        "nn.PReLU(4), a slope for each channel": _layer(lambda: nn.PReLU(4), 3, 4, 2),
        "F.rrelu in eval": _with(F.rrelu, 3, 4),
        "F.elu(x, alpha=0.5)": _with(F.elu, 3, 4, alpha=0.5),
        "F.selu": _with(F.selu, 3, 4),
        "F.celu(x, alpha=2)": _with(F.celu, 3, 4, alpha=2.0),
        "F.gelu": _with(F.gelu, 3, 4),
        'F.gelu(x, approximate="tanh")': _with(F.gelu, 3, 4, approximate="tanh"),
        "F.silu": _with(F.silu, 3, 4),
        "F.mish": _with(F.mish, 3, 4),
        "torch.sigmoid": _with(torch.sigmoid, 3, 4),
        "F.logsigmoid": _with(F.logsigmoid, 3, 4),
        "torch.tanh": _with(torch.tanh, 3, 4),
        "F.softplus": _with(F.softplus, 3, 4),
        "F.softplus(x, beta=2)": _with(F.softplus, 3, 4, beta=2),
        "F.softsign": _with(F.softsign, 3, 4),
        "F.hardtanh": _with(F.hardtanh, 3, 4),
        "F.relu6": _with(F.relu6, 3, 4),
        "F.hardsigmoid": _with(F.hardsigmoid, 3, 4),
        "F.hardswish": _with(F.hardswish, 3, 4),
        "F.tanhshrink": _with(F.tanhshrink, 3, 4),
        "F.softshrink(x, 0.3)": _with(F.softshrink, 3, 4, lambd=0.3),
        "F.hardshrink(x, 0.3)": _with(F.hardshrink, 3, 4, lambd=0.3),
        "F.threshold(x, 0.1, 2)": _with(F.threshold, 3, 4, threshold=0.1, value=2.0),
        "F.glu": _with(F.glu, 3, 4),
        "F.softmax(x, dim=1)": _with(F.softmax, 3, 4, dim=1),
        "F.softmax(x, dim=0)": _with(F.softmax, 3, 4, dim=0),
        "F.log_softmax(x, dim=-1)": _with(F.log_softmax, 3, 4, dim=-1),
        "F.softmin(x, dim=1)": _with(F.softmin, 3, 4, dim=1),
        "relu_ in place": lambda r: (lambda x, W: (x @ W).relu_(), [r(3, 4), r(4, 2)]),
        "nn.ReLU(inplace=True)": lambda r: (nn.Sequential(nn.Linear(4, 2), nn.ReLU(inplace=True)), [r(3, 4)]),
    },
)

_enter(
    "Arithmetic",
    {
        "x ** 3 + 2 / x": lambda r: (lambda x: x**3 + 2 / x, [r.positive(3, 4)]),
        "exp, log, sqrt, rsqrt": lambda r: (
            lambda x: torch.exp(-x) + torch.log(x) * torch.sqrt(x) - torch.rsqrt(x),
            [r.positive(3, 4)],
        ),
        "sin, cos, atan, erf": lambda r: (
            lambda x: torch.sin(x) * torch.cos(x) + torch.atan(x) - torch.erf(x),
            [r(3, 4)],
        ),
        "torch.log1p, torch.expm1": lambda r: (lambda x: torch.log1p(x) - torch.expm1(x), [r.positive(3, 4)]),
        "x.abs().mean()": lambda r: (lambda x: x.abs().mean(), [r(3, 4)]),
        "torch.clamp(x, -1, 0.5)": _with(torch.clamp, 3, 4, min=-1.0, max=0.5),
        "torch.maximum, torch.minimum": lambda r: (
            lambda a, b: torch.maximum(a, b) - 2 * torch.minimum(a, b),
            [r(3, 4), r(3, 4)],
        ),
        "torch.where(x > 0, x, a * x)": lambda r: (lambda x, a: torch.where(x > 0, x, a * x), [r(3, 4), r(4)]),
        "x.masked_fill(mask, 0)": lambda r: (lambda x, mask: x.masked_fill(mask, 0.0), [r(3, 4), r.mask(3, 4)]),
        "torch.pow(x, y)": lambda r: (torch.pow, [r.positive(3, 4), r(3, 4)]),
        "torch.lerp(a, b, 0.3)": lambda r: (lambda a, b: torch.lerp(a, b, 0.3), [r(3, 4), r(3, 4)]),
        "torch.addcmul": lambda r: (lambda a, b, c: torch.addcmul(a, b, c, value=0.5), [r(3, 4), r(3, 4), r(4)]),
        "torch.logaddexp": lambda r: (torch.logaddexp, [r(3, 4), r(3, 4)]),
        "broadcasting (3, 1) with (4)": lambda r: (lambda a, b: a * b + b, [r(3, 1), r(4)]),
        "x / x.shape[0]": lambda r: (lambda x: (x / x.shape[0]).sum(), [r(3, 4)]),
        "a scalar parameter": lambda r: (lambda x, s: s * torch.tanh(x), [r(3, 4), r()]),
    },
)

# -- losses -----------------------------------------------------------------------------------------------------------


def _loss(function: Callable[..., Tensor], target: Callable[[Draw], Tensor], shape: tuple[int, ...] = (3, 5),
          **options: Any) -> Callable[[Draw], Made]:  # fmt: skip
    """A loss of normal outputs, whose gradient is asked, and a target."""
    return lambda r: ((lambda y, target: function(y, target, **options)), [r(*shape).requires_grad_(), target(r)])


def _classes(r: Draw) -> Tensor:
    return torch.tensor([4, 0, 2])


def _real(r: Draw) -> Tensor:
    return r(3, 5)


def _both(r: Draw) -> Tensor:
    return r.index(2, 3, 5).float()


_enter(
    "Losses",
    {
        **{f'F.mse_loss, reduction="{n}"': _loss(F.mse_loss, _real, reduction=n) for n in ("mean", "sum", "none")},
        **{f'F.l1_loss, reduction="{n}"': _loss(F.l1_loss, _real, reduction=n) for n in ("mean", "sum", "none")},
        "F.smooth_l1_loss": _loss(F.smooth_l1_loss, _real),
        "F.smooth_l1_loss(beta=0.5)": _loss(F.smooth_l1_loss, _real, beta=0.5, reduction="sum"),
        "F.huber_loss(delta=0.7)": _loss(F.huber_loss, _real, delta=0.7),
        **{
            f'F.cross_entropy, class indices, reduction="{n}"': _loss(F.cross_entropy, _classes, reduction=n)
            for n in ("mean", "sum", "none")
        },
        **{
            f'F.cross_entropy, class probabilities, reduction="{n}"': _loss(
                F.cross_entropy, lambda r: r.probabilities(3, 5), reduction=n
            )
            for n in ("mean", "sum", "none")
        },
        "F.cross_entropy, label_smoothing=0.1": _loss(F.cross_entropy, _classes, label_smoothing=0.1),
        "F.cross_entropy, probabilities and label_smoothing": _loss(
            F.cross_entropy, lambda r: r.probabilities(3, 5), label_smoothing=0.1
        ),
        **{
            f'F.cross_entropy, class weights, reduction="{n}"': lambda r, n=n: (
                lambda z, target, w: F.cross_entropy(z, target, weight=w, reduction=n),
                [r(3, 5).requires_grad_(), _classes(r), r.positive(5)],
            )
            for n in ("mean", "sum")
        },
        "nn.CrossEntropyLoss(weight=...) behind a model": lambda r: (
            nn.Linear(4, 5),
            [r(3, 4), _classes(r)],
            {"loss": nn.CrossEntropyLoss(weight=r.positive(5))},
        ),
        "F.cross_entropy, weights and label smoothing": lambda r: (
            lambda z, target, w: F.cross_entropy(z, target, weight=w, label_smoothing=0.2),
            [r(3, 5).requires_grad_(), _classes(r), r.positive(5)],
        ),
        "F.cross_entropy, ignore_index=0": _loss(F.cross_entropy, _classes, ignore_index=0),
        "F.cross_entropy, ignore_index=-100 (its default)": _loss(F.cross_entropy, _classes, ignore_index=-100),
        "F.cross_entropy of sequences (N, K, T)": _loss(
            F.cross_entropy, lambda r: torch.tensor([[1, 2, 0, 4], [3, 3, 1, 0]]), (2, 5, 4)
        ),
        "F.cross_entropy of (B*T, K)": lambda r: (
            lambda z, target: F.cross_entropy(z.view(-1, z.size(-1)), target.view(-1)),
            [r(2, 3, 5).requires_grad_(), torch.tensor([[1, 2, 0], [3, 4, 1]])],
        ),
        "F.cross_entropy of one row": lambda r: (
            lambda z, target: F.cross_entropy(z, target),
            [r(5).requires_grad_(), torch.tensor(3)],
        ),
        **{
            f'F.nll_loss of log_softmax, reduction="{n}"': lambda r, n=n: (
                lambda z, target: F.nll_loss(F.log_softmax(z, dim=1), target, reduction=n),
                [r(3, 5).requires_grad_(), _classes(r)],
            )
            for n in ("mean", "sum", "none")
        },
        "F.nll_loss, class weights": lambda r: (
            lambda z, target, w: F.nll_loss(F.log_softmax(z, dim=1), target, weight=w),
            [r(3, 5).requires_grad_(), _classes(r), r.positive(5)],
        ),
        **{
            f'F.binary_cross_entropy, reduction="{n}"': lambda r, n=n: (
                lambda z, target: F.binary_cross_entropy(torch.sigmoid(z), target, reduction=n),
                [r(3, 5).requires_grad_(), _both(r)],
            )
            for n in ("mean", "sum", "none")
        },
        **{
            f'F.binary_cross_entropy_with_logits, reduction="{n}"': _loss(
                F.binary_cross_entropy_with_logits, _both, reduction=n
            )
            for n in ("mean", "none")
        },
        "F.binary_cross_entropy_with_logits, pos_weight": lambda r: (
            lambda z, target, w: F.binary_cross_entropy_with_logits(z, target, pos_weight=w),
            [r(3, 5).requires_grad_(), _both(r), r.positive(5)],
        ),
        **{
            f'F.kl_div, reduction="{n}"': lambda r, n=n: (
                lambda z, target: F.kl_div(F.log_softmax(z, dim=1), target, reduction=n),
                [r(3, 5).requires_grad_(), r.probabilities(3, 5)],
            )
            for n in ("batchmean", "mean", "sum")
        },
        "F.kl_div, log_target=True": lambda r: (
            lambda z, target: F.kl_div(F.log_softmax(z, dim=1), target, reduction="sum", log_target=True),
            [r(3, 5).requires_grad_(), r.probabilities(3, 5).log()],
        ),
        "F.poisson_nll_loss": _loss(F.poisson_nll_loss, lambda r: r.positive(3, 5)),
        "F.hinge_embedding_loss": _loss(F.hinge_embedding_loss, lambda r: r.signs(3, 5)),
        "F.soft_margin_loss": _loss(F.soft_margin_loss, lambda r: r.signs(3, 5)),
        "F.multilabel_soft_margin_loss": _loss(F.multilabel_soft_margin_loss, _both),
        "F.margin_ranking_loss(margin=0.2)": lambda r: (
            lambda a, b, target: F.margin_ranking_loss(a, b, target, margin=0.2),
            [r(5), r(5), r.signs(5)],
        ),
        "F.triplet_margin_loss": lambda r: (F.triplet_margin_loss, [r(3, 4), r(3, 4), r(3, 4)]),
        "F.cosine_embedding_loss": lambda r: (
            lambda a, b, target: F.cosine_embedding_loss(a, b, target),
            [r(3, 4), r(3, 4), r.signs(3)],
        ),
        "a loss written out: (y - t)**2 and a penalty": lambda r: (
            lambda x, t, W: ((x @ W - t) ** 2).mean() + 0.1 * (W**2).sum(),
            [r(3, 4), r(3, 2), r(4, 2).requires_grad_()],
        ),
    },
)

# -- layers -----------------------------------------------------------------------------------------------------------


def _batch_norm(build: Callable[[], nn.Module], train: bool, *shape: int) -> Callable[[Draw], Made]:
    """With running statistics that are not 0 and 1, and a scale that is not 1."""

    def made(r: Draw) -> Made:
        module = build().train(train)
        with torch.no_grad():
            for name, x in [*module.named_parameters(), *module.named_buffers()]:
                if x.is_floating_point():
                    x.copy_(r.positive(*x.shape) if name != "bias" else r(*x.shape))
        return module, [r(*shape)]

    return made


_enter(
    "Normalisation",
    {
        "nn.LayerNorm(4)": _batch_norm(lambda: nn.LayerNorm(4), True, 3, 4),
        "nn.LayerNorm((4, 5))": _batch_norm(lambda: nn.LayerNorm((4, 5)), True, 2, 4, 5),
        "nn.LayerNorm of (N, T, D), no bias": _batch_norm(lambda: nn.LayerNorm(4, bias=False), True, 2, 3, 4),
        "F.layer_norm without scale": lambda r: (lambda x: F.layer_norm(x, x.shape[-1:]), [r(3, 4)]),
        "nn.BatchNorm1d in training": _batch_norm(lambda: nn.BatchNorm1d(4), True, 3, 4),
        "nn.BatchNorm1d in eval": _batch_norm(lambda: nn.BatchNorm1d(4), False, 3, 4),
        "nn.BatchNorm1d of (N, C, T) in training": _batch_norm(lambda: nn.BatchNorm1d(3), True, 2, 3, 4),
        "nn.BatchNorm1d, affine=False, in training": _batch_norm(lambda: nn.BatchNorm1d(4, affine=False), True, 3, 4),
        "nn.BatchNorm2d in training": _batch_norm(lambda: nn.BatchNorm2d(3), True, 2, 3, 4, 5),
        "nn.BatchNorm2d in eval": _batch_norm(lambda: nn.BatchNorm2d(3), False, 2, 3, 4, 5),
        "nn.GroupNorm(2, 6)": _batch_norm(lambda: nn.GroupNorm(2, 6), True, 3, 6, 4),
        "nn.GroupNorm(3, 6) of images": _batch_norm(lambda: nn.GroupNorm(3, 6), True, 2, 6, 2, 3),
        "nn.InstanceNorm1d": _batch_norm(lambda: nn.InstanceNorm1d(3), True, 2, 3, 4),
        "nn.InstanceNorm2d(affine=True)": _batch_norm(lambda: nn.InstanceNorm2d(3, affine=True), True, 2, 3, 2, 4),
        "nn.RMSNorm(4)": _batch_norm(lambda: nn.RMSNorm(4, eps=1e-5), True, 3, 4),
        "batch norm written out": lambda r: (_written_batch_norm, [r(3, 4), r.positive(4), r(4)]),
        "F.normalize(x, dim=1)": _with(F.normalize, 3, 4, dim=1),
    },
)


def _written_batch_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    mean = x.mean(0, keepdim=True)
    variance = ((x - mean) ** 2).sum(0, keepdim=True) / (x.shape[0] - 1)
    normed = (x - mean) * (variance + 1e-5) ** -0.5
    return gamma * normed + beta


_enter(
    "Convolution, pooling, resizing",
    {
        "nn.Conv1d": _layer(lambda: nn.Conv1d(2, 3, 4), 2, 2, 7),
        "nn.Conv1d, stride=2": _layer(lambda: nn.Conv1d(2, 3, 3, stride=2), 2, 2, 7),
        "nn.Conv1d, padding=1": _layer(lambda: nn.Conv1d(2, 3, 3, padding=1), 2, 2, 5),
        "nn.Conv1d, dilation=2": _layer(lambda: nn.Conv1d(2, 3, 2, dilation=2), 2, 2, 6),
        "nn.Conv1d, groups=2": _layer(lambda: nn.Conv1d(4, 6, 2, groups=2), 2, 4, 5),
        "nn.Conv1d, bias=False": _layer(lambda: nn.Conv1d(2, 3, 2, bias=False), 2, 2, 5),
        'nn.Conv1d, padding="same"': _layer(lambda: nn.Conv1d(2, 3, 3, padding="same"), 2, 2, 5),
        "nn.Conv2d": _layer(lambda: nn.Conv2d(2, 3, (2, 3)), 2, 2, 4, 5),
        "nn.Conv2d, stride=2": _layer(lambda: nn.Conv2d(2, 3, 2, stride=2), 2, 2, 4, 6),
        "nn.Conv2d, padding=1": _layer(lambda: nn.Conv2d(2, 3, 3, padding=1), 2, 2, 3, 4),
        "nn.Conv2d, stride=2, padding=1": _layer(lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), 2, 2, 5, 7),
        "nn.Conv2d, dilation=2": _layer(lambda: nn.Conv2d(2, 3, 2, dilation=2), 2, 2, 4, 5),
        "nn.Conv2d, groups=2": _layer(lambda: nn.Conv2d(4, 6, 2, groups=2), 2, 4, 3, 4),
        "nn.Conv2d, depthwise": _layer(lambda: nn.Conv2d(3, 3, 2, groups=3), 2, 3, 3, 4),
        "nn.Conv2d, 1x1": _layer(lambda: nn.Conv2d(3, 2, 1), 2, 3, 4, 5),
        "nn.ConvTranspose1d": _layer(lambda: nn.ConvTranspose1d(2, 3, 3), 2, 2, 4),
        "nn.ConvTranspose2d": _layer(lambda: nn.ConvTranspose2d(2, 3, 2), 2, 2, 3, 4),
        "nn.ConvTranspose2d, stride=2": _layer(lambda: nn.ConvTranspose2d(2, 3, 2, stride=2), 2, 2, 3, 4),
        "nn.ConvTranspose2d, stride=2, padding=1": _layer(
            lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), 2, 2, 3, 4
        ),
        "nn.MaxPool1d(2)": _layer(lambda: nn.MaxPool1d(2), 2, 3, 6),
        "nn.MaxPool2d(2)": _layer(lambda: nn.MaxPool2d(2), 2, 3, 4, 6),
        "nn.MaxPool2d(3, stride=2, padding=1)": _layer(lambda: nn.MaxPool2d(3, stride=2, padding=1), 2, 3, 5, 7),
        "nn.AvgPool1d(2)": _layer(lambda: nn.AvgPool1d(2), 2, 3, 6),
        "nn.AvgPool2d(2)": _layer(lambda: nn.AvgPool2d(2), 2, 3, 4, 6),
        "nn.AvgPool2d(3, stride=2, padding=1)": _layer(lambda: nn.AvgPool2d(3, stride=2, padding=1), 2, 3, 5, 7),
        "nn.AdaptiveAvgPool1d(1)": _layer(lambda: nn.AdaptiveAvgPool1d(1), 2, 3, 4),
        "nn.AdaptiveAvgPool2d((2, 3))": _layer(lambda: nn.AdaptiveAvgPool2d((2, 3)), 2, 3, 4, 6),
        "nn.AdaptiveMaxPool2d(1)": _layer(lambda: nn.AdaptiveMaxPool2d(1), 2, 3, 4, 5),
        'F.interpolate, mode="nearest", scale_factor=2': _with(
            F.interpolate, 2, 3, 4, 5, scale_factor=2, mode="nearest"
        ),
        'F.interpolate, mode="bilinear", scale_factor=2, align_corners=True': _with(
            F.interpolate, 2, 3, 2, 3, scale_factor=2, mode="bilinear", align_corners=True
        ),
        'F.interpolate, mode="bilinear", scale_factor=2': _with(
            F.interpolate, 2, 3, 2, 3, scale_factor=2, mode="bilinear", align_corners=False
        ),
        "F.pixel_shuffle(x, 2)": _with(F.pixel_shuffle, 2, 8, 3, 5, upscale_factor=2),
        "F.pixel_unshuffle(x, 2)": _with(F.pixel_unshuffle, 2, 3, 4, 6, downscale_factor=2),
        "F.pad(x, (1, 2))": _with(F.pad, 3, 4, pad=(1, 2)),
        "F.pad of images, value=1": _with(F.pad, 2, 3, 4, 5, pad=(1, 0, 0, 2), value=1.0),
        "F.unfold of images": _with(F.unfold, 2, 3, 4, 5, kernel_size=(2, 3)),
    },
)


class Tied(nn.Module):
    """One matrix is the embedding and the output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.hidden = nn.Linear(4, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.embed(tokens))))


_enter(
    "Embedding and indexing",
    {
        "nn.Embedding": lambda r: (nn.Embedding(6, 4), [torch.tensor([[0, 5, 2], [3, 3, 1]])]),
        "nn.Embedding tied with the output layer": lambda r: (
            Tied(),
            [torch.tensor([[0, 5, 2], [3, 3, 1]])],
        ),
        "embedding, flattened, linear": lambda r: (
            nn.Sequential(nn.Embedding(6, 4), nn.Flatten(), nn.Linear(12, 5)),
            [torch.tensor([[0, 5, 2], [3, 3, 1]])],
        ),
        "E[tokens]": lambda r: (lambda E, tokens: E[tokens], [r(6, 4), torch.tensor([[0, 5, 2], [3, 3, 1]])]),
        "z[torch.arange(N), y]": lambda r: (
            lambda z, y: z[torch.arange(z.shape[0]), y].mean(),
            [r(3, 5), torch.tensor([4, 0, 2])],
        ),
        "torch.gather(z, 1, y)": lambda r: (
            lambda z, y: torch.gather(z, 1, y),
            [r(3, 5), torch.tensor([[4, 1], [0, 2], [3, 3]])],
        ),
        "torch.index_select": lambda r: (
            lambda x, i: torch.index_select(x, 1, i),
            [r(3, 5), torch.tensor([4, 0])],
        ),
        "F.one_hot(y, 5)": lambda r: (
            lambda y, W: F.one_hot(y, 5).to(W.dtype) @ W,
            [torch.tensor([4, 0, 2]), r(5, 4)],
        ),
        "x[:, 0] and x[:, -1]": lambda r: (lambda x: x[:, 0] * x[:, -1], [r(3, 5)]),
        "x[:, 1:4]": lambda r: (lambda x: x[:, 1:4].exp(), [r(3, 5)]),
        "x[:, ::2]": lambda r: (lambda x: x[:, ::2].exp(), [r(3, 6)]),
        "x[:, :-1] - x[:, 1:]": lambda r: (lambda x: (x[:, :-1] - x[:, 1:]) ** 2, [r(3, 5)]),
        "x[[2, 0]], a constant list": lambda r: (lambda x: x[[2, 0]] ** 2, [r(3, 4)]),
    },
)

_enter(
    "Recurrent cells and layers",
    {
        "nn.RNNCell": lambda r: (nn.RNNCell(3, 4), [r(2, 3), r(2, 4)]),
        'nn.RNNCell(nonlinearity="relu")': lambda r: (nn.RNNCell(3, 4, nonlinearity="relu"), [r(2, 3), r(2, 4)]),
        "nn.GRUCell": lambda r: (nn.GRUCell(3, 4), [r(2, 3), r(2, 4)]),
        "nn.LSTMCell": lambda r: (_cell(nn.LSTMCell(3, 4)), [r(2, 3), r(2, 4), r(2, 4)]),
        "nn.LSTMCell without a state": lambda r: (nn.LSTMCell(3, 4), [r(2, 3)]),
        "nn.RNN, 3 steps": lambda r: (_Output(nn.RNN(3, 4, batch_first=True)), [r(2, 3, 3)]),
        "nn.GRU, 2 steps": lambda r: (_Output(nn.GRU(3, 4, batch_first=True)), [r(3, 2, 3)]),
        "nn.LSTM, 2 steps": lambda r: (_Output(nn.LSTM(3, 4, batch_first=True)), [r(3, 2, 3)]),
        "nn.RNN, 2 layers": lambda r: (_Output(nn.RNN(3, 4, num_layers=2)), [r(2, 2, 3)]),
        "nn.RNN, bidirectional": lambda r: (_Output(nn.RNN(3, 4, bidirectional=True)), [r(2, 2, 3)]),
        "a recurrent loop written out": lambda r: (_recurrence, [r(2, 3, 4), r(4, 5), r(5, 5), r(5)]),
    },
)


class _Output(nn.Module):
    """What a recurrent layer returns first."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def _cell(cell: nn.Module) -> nn.Module:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
            return self.cell(x, (h, c))

    return Cell()


def _recurrence(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    h = torch.zeros(x.shape[0], U.shape[0])
    for step in range(x.shape[1]):
        h = torch.tanh(x[:, step] @ W + h @ U + b)
    return h


# -- attention --------------------------------------------------------------------------------------------------------


class CausalHead(nn.Module):
    """One head of causal attention, written out with a mask in a buffer."""

    def __init__(self, width: int = 4, head: int = 3, length: int = 5):
        super().__init__()
        self.key = nn.Linear(width, head, bias=False)
        self.query = nn.Linear(width, head, bias=False)
        self.value = nn.Linear(width, head, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(length, length)))

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        k, q, v = self.key(x), self.query(x), self.value(x)
        scores = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        scores = scores.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        return F.softmax(scores, dim=-1) @ v


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` of a sequence with itself, causal where asked."""

    def __init__(self, causal: bool = False):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1) if self.causal else None
        return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]


class CrossAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return self.attention(x, memory, memory)[0]


def _attention(**options: Any) -> Callable[[Draw], Made]:
    return lambda r: (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        [r(2, 3, 4), r(2, 3, 4), r(2, 3, 5)],
    )


def _masked_attention(mask: Callable[[Draw], Tensor]) -> Callable[[Draw], Made]:
    return lambda r: (
        lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
        [r(2, 3, 4), r(2, 6, 4), r(2, 6, 5), mask(r)],
    )


def _encoder(**options: Any) -> Callable[[Draw], Made]:
    return lambda r: (nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0, batch_first=True, **options), [r(3, 5, 8)])


_enter(
    "Attention",
    {
        "F.scaled_dot_product_attention": _attention(),
        "F.scaled_dot_product_attention, is_causal=True": _attention(is_causal=True),
        "F.scaled_dot_product_attention, scale=0.3": _attention(scale=0.3),
        "F.scaled_dot_product_attention, a bool mask": _masked_attention(lambda r: r.mask(3, 6)),
        "F.scaled_dot_product_attention, a float mask": _masked_attention(lambda r: r(3, 6)),
        "F.scaled_dot_product_attention with heads": lambda r: (
            F.scaled_dot_product_attention,
            [r(2, 3, 4, 5), r(2, 3, 6, 5), r(2, 3, 6, 7)],
        ),
        "a causal head written out": lambda r: (CausalHead(), [r(2, 5, 4)]),
        "a causal head on a shorter sequence": lambda r: (CausalHead(length=8), [r(2, 5, 4)]),
        "nn.MultiheadAttention, self": lambda r: (SelfAttention(), [r(3, 5, 8)]),
        "nn.MultiheadAttention, self, causal": lambda r: (SelfAttention(causal=True), [r(3, 5, 8)]),
        "nn.MultiheadAttention, cross, with its weights": lambda r: (CrossAttention(), [r(3, 5, 8), r(3, 6, 8)]),
        "nn.TransformerEncoderLayer, norm last": _encoder(),
        "nn.TransformerEncoderLayer, norm first, GELU": _encoder(norm_first=True, activation="gelu"),
    },
)

# -- products, reductions, views --------------------------------------------------------------------------------------

_enter(
    "Products and distances",
    {
        "nn.Linear": _layer(lambda: nn.Linear(4, 5), 3, 4),
        "nn.Linear, bias=False, of (N, T, D)": _layer(lambda: nn.Linear(4, 5, bias=False), 2, 3, 4),
        "nn.Linear of one vector": _layer(lambda: nn.Linear(4, 5), 4),
        "nn.Bilinear": lambda r: (nn.Bilinear(3, 4, 5), [r(2, 3), r(2, 4)]),
        "A @ B": lambda r: (lambda A, B: A @ B, [r(3, 4), r(4, 5)]),
        "A @ v and u @ v": lambda r: (lambda A, u, v: (A @ v) * (u @ v), [r(3, 4), r(4), r(4)]),
        "torch.bmm": lambda r: (torch.bmm, [r(2, 3, 4), r(2, 4, 5)]),
        "matmul of (2, 1, 3, 4) and (5, 4, 6)": lambda r: (torch.matmul, [r(2, 1, 3, 4), r(5, 4, 6)]),
        "torch.addmm": lambda r: (torch.addmm, [r(5), r(3, 4), r(4, 5)]),
        "torch.linalg.inv": lambda r: (lambda x: torch.linalg.inv(x) ** 2, [r(3, 3)]),
        "torch.outer": lambda r: (torch.outer, [r(3), r(4)]),
        'torch.einsum("nd,kd->nk")': lambda r: (lambda x, W: torch.einsum("nd,kd->nk", x, W), [r(3, 4), r(5, 4)]),
        'torch.einsum("ij,kj->ik"), an axis of one entry': lambda r: (
            lambda a, b: torch.einsum("ij,kj->ik", a, b),
            [r(3, 1), r(2, 4)],
        ),
        'torch.einsum("bhqd,bhkd->bhqk")': lambda r: (
            lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k),
            [r(2, 3, 4, 5), r(2, 3, 6, 5)],
        ),
        "F.cosine_similarity": lambda r: (lambda a, b: F.cosine_similarity(a, b, dim=1), [r(3, 4), r(3, 4)]),
        "F.pairwise_distance": lambda r: (F.pairwise_distance, [r(3, 4), r(3, 4)]),
        "distances written out": lambda r: (
            lambda a, b: ((a[:, None] - b[None]) ** 2).sum(-1).sqrt(),
            [r(3, 4), r(5, 4)],
        ),
    },
)

_enter(
    "Sums, means, norms",
    {
        "x.sum(), x.sum(0), x.sum((0, 2))": lambda r: (
            lambda x: x.sum((0, 2)) * x.sum() + x.sum(0).sum(-1),
            [r(2, 3, 4)],
        ),
        "x.mean(-1, keepdim=True)": lambda r: (lambda x: x - x.mean(-1, keepdim=True), [r(3, 4)]),
        "x.var(0)": _with(torch.var, 3, 4, dim=0),
        "x.var(1, correction=0)": _with(torch.var, 3, 4, dim=1, correction=0),
        "x.std()": _with(torch.std, 3, 4),
        "x.std(1, keepdim=True)": _with(torch.std, 3, 4, dim=1, keepdim=True),
        "torch.norm(x)": _with(torch.norm, 3, 4),
        "torch.linalg.vector_norm(x, ord=1, dim=1)": _with(torch.linalg.vector_norm, 3, 4, ord=1, dim=1),
        "torch.linalg.norm(x, dim=1)": _with(torch.linalg.norm, 3, 4, dim=1),
        "torch.logsumexp(x, 1)": _with(torch.logsumexp, 3, 4, dim=1),
        "x.max()": _with(torch.max, 3, 4),
        "x.max(1).values": lambda r: (lambda x: x.max(1).values, [r(3, 4)]),
        "torch.max(a, b), torch.min(a, b)": lambda r: (lambda a, b: torch.max(a, b) * torch.min(a, b), [r(3, 4), r(4)]),
        "x.min(0).values": lambda r: (lambda x: x.min(0).values, [r(3, 4)]),
        "x.amax((0, 1))": _with(torch.amax, 2, 3, 4, dim=(0, 1)),
        "x.prod(1)": _with(torch.prod, 3, 4, dim=1),
        "x.cumsum(1)": _with(torch.cumsum, 3, 4, dim=1),
        "torch.trace": _with(torch.trace, 3, 3),
    },
)

_enter(
    "Views and shapes",
    {
        "x.view(N, -1)": lambda r: (lambda x: x.view(x.shape[0], -1).exp(), [r(2, 3, 4)]),
        "x.view into heads, transposed": lambda r: (
            lambda x: x.view(x.shape[0], x.shape[1], 2, -1).transpose(1, 2).exp(),
            [r(2, 3, 6)],
        ),
        "x.permute(2, 0, 1)": lambda r: (lambda x: x.permute(2, 0, 1).exp(), [r(2, 3, 4)]),
        "x.T @ x": lambda r: (lambda x: x.T @ x, [r(3, 4)]),
        "torch.cat along columns": lambda r: (lambda a, b: torch.cat([a, b], dim=1) ** 2, [r(3, 4), r(3, 5)]),
        "torch.cat along rows": lambda r: (lambda a, b: torch.tanh(torch.cat([a, b])), [r(2, 4), r(3, 4)]),
        "torch.stack": lambda r: (lambda a, b: torch.stack([a, b], dim=1) ** 2, [r(3, 4), r(3, 4)]),
        "x.chunk(2, dim=1)": lambda r: (lambda x: x.chunk(2, dim=1)[0] * x.chunk(2, dim=1)[1].exp(), [r(3, 4)]),
        "x.split([2, 3], dim=1)": lambda r: (
            lambda x: torch.outer(*[part.sum(1) for part in x.split([2, 3], dim=1)]),
            [r(4, 5)],
        ),
        "x.unfold(1, 3, 2)": lambda r: (lambda x: x.unfold(1, 3, 2) ** 2, [r(2, 7)]),
        "nn.Flatten and nn.Unflatten": lambda r: (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 10), nn.Unflatten(1, (2, 5)), nn.Tanh()),
            [r(2, 3, 4)],
        ),
        "x.unsqueeze, x.squeeze, x.expand": lambda r: (
            lambda x: (x.unsqueeze(1).expand(3, 2, 4) ** 2).sum(1, keepdim=True).squeeze(1),
            [r(3, 4)],
        ),
        "x.flip(1)": lambda r: (lambda x: x.flip(1) * x, [r(3, 4)]),
        "torch.roll(x, 1, 1)": lambda r: (lambda x: torch.roll(x, 1, 1) * x, [r(3, 4)]),
        "x.repeat(2, 1)": lambda r: (lambda x: x.repeat(2, 1) ** 2, [r(3, 4)]),
        "x.repeat_interleave(2, dim=1)": lambda r: (lambda x: x.repeat_interleave(2, dim=1) ** 2, [r(3, 4)]),
        "x.unfold(1, 2, 1), a single window": lambda r: (lambda x: x.unfold(1, 2, 1).exp(), [r(3, 2)]),
        "torch.tril, torch.triu": lambda r: (lambda x: torch.tril(x) * x + torch.triu(x, 1).exp(), [r(4, 4)]),
        "torch.diagonal": lambda r: (lambda x: torch.diagonal(x) ** 2, [r(4, 4)]),
        "x.unbind(1)": lambda r: (lambda x: x.unbind(1)[0] * x.unbind(1)[2], [r(2, 3, 4)]),
    },
)

# -- dropout, in-place operations, modules ----------------------------------------------------------------------------


class Twice(nn.Module):
    """A module called twice: its gradients add."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(torch.tanh(self.fc(x))))


class Shared(nn.Module):
    """Two layers with one weight matrix, one of them transposed: a tied autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(5, 3)
        self.bias = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.sigmoid(self.encode(x)), self.encode.weight.t(), self.bias)


class ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.bn, self.fc2 = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.fc2(F.relu(self.bn(self.fc1(x)))))


class SimpleNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(x.view(x.shape[0], -1))))


class Frozen(nn.Module):
    """A layer that does not learn before one that does."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed, self.head = nn.Linear(4, 5), nn.Linear(5, 2)
        self.fixed.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.fixed(x)))


def _added_in_place(x: Tensor, W: Tensor) -> Tensor:
    z = x @ W
    z += x.sum(1, keepdim=True)
    z *= 2
    return z


def _assigned(x: Tensor, W: Tensor) -> Tensor:
    z = x @ W
    z[:, 0] = x.sum(1)
    return z


def _twice_assigned(x: Tensor, W: Tensor) -> Tensor:
    z = x @ W
    z[1:, :2] = 3.0
    z[-1] += x[0, 0]
    return z**2


def _filled_new(x: Tensor, W: Tensor) -> Tensor:
    h = x.new_zeros(x.size(0), W.size(1) + 1)
    h[:, 1:] = x @ W
    return h**2


def _exchanged(x: Tensor) -> Tensor:
    h = torch.empty_like(x)
    h[:, :2] = x[:, 2:]
    h[:, 2:] = x[:, :2]
    return h**2


def _pairs(a: Tensor, b: Tensor) -> Tensor:
    """The loss of SimCLR: a row's class is the row of its partner."""
    n, z = a.shape[0], torch.cat([a, b])
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(z @ z.T, partner)


def _filled(x: Tensor, W: Tensor) -> Tensor:
    z = torch.zeros(x.shape[0], W.shape[1])
    z[:, 1:] = (x @ W)[:, 1:]
    return torch.tanh(z)


_enter(
    "Programs",
    {
        "SimpleNN with nn.CrossEntropyLoss": lambda r: (
            SimpleNN(),
            [r(3, 2, 3), torch.tensor([4, 0, 2])],
            {"loss": nn.CrossEntropyLoss()},
        ),
        "nn.Sequential with nn.MSELoss": lambda r: (
            nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
            [r(3, 4), r(3, 2)],
            {"loss": nn.MSELoss()},
        ),
        "a module called twice": lambda r: (Twice(), [r(3, 4)]),
        "a tied autoencoder": lambda r: (Shared(), [r(2, 5)]),
        "a residual block with batch norm": lambda r: (ResidualBlock(), [r(3, 4)]),
        "frozen parameters": lambda r: (Frozen(), [r(3, 4)]),
        "nn.Dropout in eval": lambda r: (
            nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.3), nn.Linear(5, 2)).eval(),
            [r(3, 4)],
        ),
        "nn.Dropout in training, its mask given": lambda r: (
            nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.25), nn.Linear(5, 2)),
            [r(3, 4)],
        ),
        "an input that requires a gradient": lambda r: (
            lambda x, W: (torch.tanh(x @ W) ** 2).sum(),
            [r(3, 4), r(4, 5).requires_grad_()],
        ),
        "z += y, in place": lambda r: (_added_in_place, [r(3, 4), r(4, 5)]),
        "z[:, 0] = y, in place": lambda r: (_assigned, [r(3, 4), r(4, 5)]),
        "z[1:, :2] = 3 and z[-1] += y, in place": lambda r: (_twice_assigned, [r(3, 4), r(4, 5)]),
        "a slice of x.new_zeros that is filled": lambda r: (_filled_new, [r(3, 4), r(4, 5)]),
        "torch.empty_like, filled by halves": lambda r: (_exchanged, [r(3, 4)]),
        "numbers in the program": lambda r: (lambda x: x * torch.tensor([0.3, 0.6, 0.1]), [r(4, 3)]),
        "a range of numbers that are not whole": lambda r: (lambda x: x * torch.arange(0.0, 2.0, 0.5), [r(3, 4)]),
        "x.bool()": lambda r: (lambda x: x.bool() * x.exp(), [r(3, 4)]),
        "classes that are counted from the size": lambda r: (_pairs, [r(3, 4), r(3, 4)]),
        "a slice of zeros that is filled": lambda r: (_filled, [r(3, 4), r(4, 5)]),
        "two outputs": lambda r: (lambda x, W: (torch.tanh(x @ W), (W**2).sum()), [r(3, 4), r(4, 5)]),
        "a dict of outputs": lambda r: (lambda x, W: {"y": torch.tanh(x @ W), "w": W.exp()}, [r(3, 4), r(4, 5)]),
        "a module list in a loop": lambda r: (_Stack(), [r(2, 4)]),
    },
)


class _Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return x


# -- what cannot be derived -------------------------------------------------------------------------------------------


def _branch(x: Tensor, W: Tensor) -> Tensor:
    y = x @ W
    if y.sum() > 0:
        return y
    return -y


def _until(x: Tensor) -> Tensor:
    while x.norm() > 1:
        x = x / 2
    return x


def _half_fixed(x: Tensor, W: Tensor) -> Tensor:
    with torch.no_grad():
        scale = (x @ W).exp()
    return scale * (x @ W)


@torch.library.custom_op("tutor_tests::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    """An operation of the user's own."""
    return x**3


@cube.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


_refuse(
    "What is refused",
    {
        "if y.sum() > 0": (lambda r: (_branch, [r(3, 4), r(4, 5)]), ("if y.sum() > 0", "torch.where")),
        "while x.norm() > 1": (lambda r: (_until, [r(3, 4)]), ("while x.norm() > 1", "torch.where")),
        "x.sum().item()": (lambda r: (lambda x: x * x.sum().item(), [r(3, 4)]), ("item",)),
        "complex numbers": (
            lambda r: (lambda x, w: (x * torch.exp(1j * w)).abs(), [r(3, 4), r(4)]),
            ("complex", "by hand"),
        ),
        "a complex input": (
            lambda r: (lambda x: (x * x.conj()).real, [torch.complex(r(3, 4), r(3, 4))]),
            ("complex",),
        ),
        "torch.fft.rfft": (lambda r: (lambda x: torch.fft.rfft(x).abs(), [r(3, 4)]), ("fft", "by hand")),
        "torch.sort": (lambda r: (lambda x: x.sort(1).values, [r(3, 4)]), ("sort", "by hand")),
        "torch.topk": (lambda r: (lambda x: x.topk(2, dim=1).values, [r(3, 4)]), ("topk", "by hand")),
        "torch.nonzero": (lambda r: (lambda x: x[torch.nonzero(x > 0)[:, 0]], [r(3, 4)]), ("nonzero",)),
        "x[mask]": (lambda r: (lambda x: x[x > 0].sum(), [r(3, 4)]), ("mask",)),
        "x.long()": (lambda r: (lambda x: x * x.long(), [r(3, 4)]), ("whole", "by hand")),
        "torch.rand_like": (lambda r: (lambda x: x + torch.rand_like(x), [r(3, 4)]), ("rand_like", "by hand")),
        "F.gumbel_softmax": (lambda r: (lambda x: F.gumbel_softmax(x), [r(3, 4)]), ("by hand",)),
        "torch.linalg.eigvalsh": (lambda r: (lambda x: torch.linalg.eigvalsh(x @ x.T), [r(4, 4)]), ("eigh", "by hand")),
        "F.gaussian_nll_loss, which looks at its variances": (
            lambda r: (
                lambda y, target, var: F.gaussian_nll_loss(y, target, var),
                [r(3, 5).requires_grad_(), r(3, 5), r.positive(3, 5)],
            ),
            ("gaussian_nll_loss", "depends on the values"),
        ),
        "x.detach()": (
            lambda r: (lambda x, W: (x @ W) * torch.sigmoid(x @ W).detach(), [r(3, 4), r(4, 5)]),
            ("detach", "give it as an input"),
        ),
        "with torch.no_grad()": (lambda r: (_half_fixed, [r(3, 4), r(4, 5)]), ("no_grad", "give it as an input")),
        "nn.Embedding, padding_idx=0": (
            lambda r: (nn.Embedding(6, 4, padding_idx=0), [torch.tensor([[1, 5, 0], [3, 3, 0]])]),
            ("padding_idx", "leave padding_idx out"),
        ),
        'F.interpolate, mode="bilinear", from (2, 3) to (3, 5)': (
            _with(F.interpolate, 2, 3, 2, 3, size=(3, 5), mode="bilinear", align_corners=True),
            ("upsample_bilinear2d", "by hand"),
        ),
        "F.ctc_loss": (
            lambda r: (
                lambda z, y, a, b: F.ctc_loss(F.log_softmax(z, -1), y, a, b),
                [r(5, 2, 4), r.index(3, 2, 3) + 1, torch.tensor([5, 5]), torch.tensor([3, 2])],
            ),
            ("ctc_loss",),
        ),
        "an operation of the user's own": (lambda r: (lambda x: cube(x).sum(), [r(3, 4)]), ("cube", "by hand")),
    },
)

_CONDITIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "m >= 1": lambda m, n: m >= 1,
    "m <= 0": lambda m, n: m <= 0,
    "m > 0.5": lambda m, n: m > 0.5,
    "m == 2": lambda m, n: m == 2,
    "m == n": lambda m, n: m == n,
    "m < n": lambda m, n: m < n,
    "m * n": lambda m, n: m * n,
    "torch.maximum(m, n)": torch.maximum,
    "torch.where(m, n, ~m)": lambda m, n: torch.where(m, n, ~m),
    "torch.logical_not(m.float())": lambda m, n: torch.logical_not(m.float()),
}

_enter(
    "Conditions",
    {
        **{
            f"torch.where({name}, x, x**2), of masks m and n": lambda r, made=made: (
                lambda x, m, n: torch.where(made(m, n), x, x**2),
                [r(3, 4), r.mask(3, 4), r.mask(4, 3).T],
            )
            for name, made in _CONDITIONS.items()
        },
        "x * (m + n), where True + True is 1": lambda r: (
            lambda x, m, n: x * (m + n),
            [r(3, 4), r.mask(3, 4), r.mask(4, 3).T],
        ),
        "torch.where(x.bool(), x, 1)": lambda r: (lambda x: torch.where(x.bool(), x**2, 1), [r(3, 4)]),
    },
)

_enter(
    "Sizes and numbers",
    {
        "x * torch.full((4,), 1.7, dtype=torch.int64)": lambda r: (
            lambda x: x * torch.full((4,), 1.7, dtype=torch.int64),
            [r(3, 4)],
        ),
        "F.softplus(x, threshold=0.5)": _with(F.softplus, 3, 4, threshold=0.5),
        "x.narrow(1, 1, 3)": lambda r: (lambda x: x.narrow(1, 1, 3) ** 2, [r(2, 7)]),
        "x.narrow(1, -3, 3)": lambda r: (lambda x: x.narrow(1, -3, 3) ** 2, [r(2, 7)]),
        "x.split(3) of 7": lambda r: (
            lambda x: x.split(3, 1)[0] * x.split(3, 1)[1] + x.split(3, 1)[2],
            [r(2, 7)],
        ),
        "x.chunk(2) of 7": lambda r: (lambda x: torch.outer(*[part.sum(1) for part in x.chunk(2, 1)]), [r(2, 7)]),
        "x[:, x.shape[1] // 2] of 7": lambda r: (lambda x: x[:, x.shape[1] // 2] ** 2, [r(2, 7)]),
        "x[:, x.shape[1] // 2] of 6": lambda r: (lambda x: x[:, x.shape[1] // 2] ** 2, [r(2, 6)]),
        "torch.arange(0.5, 7)": lambda r: (lambda x: x * torch.arange(0.5, 7), [r(2, 7)]),
        "torch.arange(0, 0.7, 0.1)": lambda r: (lambda x: x * torch.arange(0, 0.7, 0.1), [r(2, 7)]),
        "x[:, torch.arange(6, -1, -1)]": lambda r: (lambda x: x[:, torch.arange(6, -1, -1)] ** 2, [r(2, 7)]),
        'torch.einsum("ij,jk->ik") of (3, 1) and (4, 5)': lambda r: (
            lambda a, b: torch.einsum("ij,jk->ik", a, b),
            [r(3, 1), r(4, 5)],
        ),
        "x + F.dropout(x, p=1)": lambda r: (lambda x: x + F.dropout(x, 1.0), [r(3, 4)]),
    },
)

_refuse(
    "What is refused",
    {
        "x * x.long()": (lambda r: (lambda x: x * x.long(), [r(3, 4)]), ("whole", "by hand")),
        "x.type_as(t)": (lambda r: (lambda x, t: x * x.type_as(t), [r(3, 4), r.index(3, 3, 4)]), ("whole", "by hand")),
        "x.sum(dtype=torch.int64)": (
            lambda r: (lambda x: x * x.sum(dtype=torch.int64), [r(3, 4)]),
            ("whole", "by hand"),
        ),
        "t & 1": (lambda r: (lambda x, t: x * (t & 1), [r(3, 4), r.index(3, 3, 4)]), ("bits", "by hand")),
        "~t": (lambda r: (lambda x, t: x * ~t, [r(3, 4), r.index(3, 3, 4)]), ("bits", "by hand")),
        "F.interpolate(x, scale_factor=2.05) of 10": (
            _with(F.interpolate, 2, 3, 10, scale_factor=2.05),
            ("2.05", "by hand"),
        ),
        "s.expand(5, 7), returned": (lambda r: (lambda s: s.expand(5, 7), [r()]), ("returns", "axis")),
        "x[:, [-1, 2]]": (lambda r: (lambda x: x[:, [-1, 2]] ** 2, [r(3, 4)]), ("negative", "from the front")),
        "F.scaled_dot_product_attention, dropout_p=1": (_attention(dropout_p=1.0), ("dropout_p", "by hand")),
    },
)
