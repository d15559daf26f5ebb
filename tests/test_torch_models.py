"""Small models that everyone knows, imported: every gradient is autograd's, and one that is not is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tutor
from tutor.numeric import autograd

ROUNDING = 1e-12


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(7, 6)
        self.fc2 = nn.Linear(6, 5)
        self.fc3 = nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.fc1(x))
        h = F.relu(self.fc2(h))
        return self.fc3(h)


class LeNet(nn.Module):
    """LeCun et al. 1998, with max pooling as it is taught now; `side` of 28, or 20 to be quick."""

    def __init__(self, side: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        left = (side // 2 - 4) // 2
        self.fc1 = nn.Linear(16 * left * left, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class Residual(nn.Module):
    """He et al. 2015: two convolutions with batch norm, and the input added."""

    def __init__(self, channels: int, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + x)


class Downsampling(nn.Module):
    """A residual block that halves the image: the skip is a convolution of its own."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.skip = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=2, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.skip(x))


class UNet(nn.Module):
    """Ronneberger et al. 2015, one level: down, the bottom, up, and the skip beside it."""

    def __init__(self, inside: int, channels: int, classes: int) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(inside, channels, 3, padding=1)
        self.down2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bottom = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.merge = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        skip = F.relu(self.down2(F.relu(self.down1(x))))
        low = F.relu(self.bottom(F.max_pool2d(skip, 2)))
        joined = torch.cat([skip, self.up(low)], dim=1)
        return self.head(F.relu(self.merge(joined)))


def _trained(module: nn.Module) -> nn.Module:
    """In eval, with running statistics that are not those of the first day."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


def _classified(module: nn.Module, *shape: int, classes: int) -> Any:
    target = torch.arange(shape[0]) % classes
    return tutor.from_torch(module, torch.randn(*shape), target, loss=nn.CrossEntropyLoss())


def _pixels(module: nn.Module, *shape: int, classes: int) -> Any:
    target = torch.randint(classes, (shape[0], *shape[2:]))
    return tutor.from_torch(module, torch.randn(*shape), target, loss=nn.CrossEntropyLoss())


MODELS: dict[str, Callable[[], Any]] = {
    "MLP": lambda: _classified(MLP(), 4, 7, classes=3),
    "LeNet-5 at 20x20": lambda: _classified(LeNet(20), 3, 1, 20, 20, classes=10),
    "LeNet-5 at 28x28": lambda: _classified(LeNet(28), 2, 1, 28, 28, classes=10),
    "residual block, training": lambda: tutor.from_torch(Residual(3), torch.randn(2, 3, 4, 5)),
    "residual block, eval": lambda: tutor.from_torch(_trained(Residual(3)), torch.randn(2, 3, 4, 5)),
    "residual block, relu in place": lambda: tutor.from_torch(Residual(3, True), torch.randn(2, 3, 4, 5)),
    "residual block, in place and eval": lambda: tutor.from_torch(_trained(Residual(3, True)), torch.randn(2, 3, 4, 5)),
    "residual block, downsampling": lambda: tutor.from_torch(Downsampling(2, 3), torch.randn(2, 2, 6, 8)),
    "U-Net": lambda: _pixels(UNet(2, 3, 4), 2, 2, 4, 6, classes=4),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]()


def test_gradients_are_autograds(model, monkeypatch):
    """At two sets of small sizes by the graph as torch code, at the module's own sizes and weights by the module."""
    monkeypatch.setattr(autograd, "differences", lambda *given: {})  # they cost a forward pass for each entry
    verdict = model.verify(seeds=(0,))
    assert verdict.agrees, str(verdict)
    rows = {row.quantity: row for row in verdict.rows}
    parameters = [q.name for q in model if q.kind == "parameter"]
    assert parameters
    for name in parameters:
        assert rows[name].autograd <= ROUNDING, str(verdict)
        assert rows[name].reference <= ROUNDING, str(verdict)


def test_a_gradient_that_is_off_by_a_thousandth_is_found(model, monkeypatch):
    monkeypatch.setattr(autograd, "differences", lambda *given: {})
    spoilt = next(q.name for q in model if q.kind == "parameter")
    verdict = model.verify(seeds=(0,), sizes=model.example_sizes or None, spoil={spoilt: 1.001})
    assert [row.quantity for row in verdict.rows if not row.agrees] == [spoilt]


def _seen_by_a_view(x, w):
    h = x @ w
    v = h.t()
    h.relu_()
    return v * 2


def _read_before(x, w):
    h = x @ w
    s = torch.sigmoid(h)
    h.mul_(3.0)
    return s + h


def _behind_dropout(x, w):
    h = x @ w
    d = F.dropout(h, 0.5, False)
    h.relu_()
    return d + 1


@pytest.mark.parametrize("function", [_seen_by_a_view, _read_before, _behind_dropout])
def test_what_changes_in_place_is_seen_where_torch_sees_it(function, monkeypatch):
    monkeypatch.setattr(autograd, "differences", lambda *given: {})
    torch.manual_seed(0)
    verdict = tutor.from_torch(function, torch.randn(3, 4), torch.randn(4, 5)).verify(seeds=(0,))
    assert verdict.agrees, str(verdict)


def test_judging_leaves_the_users_running_statistics_alone():
    module = nn.BatchNorm1d(3).double()
    former = {name: held.clone() for name, held in module.state_dict().items()}
    assert tutor.from_torch(module, torch.randn(4, 3, dtype=torch.float64)).verify(seeds=(0,)).agrees
    assert all(torch.equal(held, former[name]) for name, held in module.state_dict().items())
