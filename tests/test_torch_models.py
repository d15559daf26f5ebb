"""Small models that everyone knows, imported: every gradient is autograd's, and one that is not is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_models import GPT, MLP, CharRNN, Downsampling, LeNet, Residual, UNet

import tutor
from tutor.certificate import certify
from tutor.numeric import autograd

ROUNDING = 1e-12


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
    "character RNN": lambda: tutor.from_torch(
        CharRNN(7, 4, 5),
        torch.randint(7, (2, 3)),
        torch.randn(2, 5),
        torch.randint(7, (2, 3)),
        loss=lambda scores, target: F.cross_entropy(scores.flatten(0, 1), target.flatten()),
    ),
    "GPT": lambda: tutor.from_torch(GPT(13, 8, 2, 11), torch.randint(13, (3, 5)), torch.randint(13, (3, 5)), loss=1),
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


def test_saved_and_loaded_it_is_the_same_exercise(model, tmp_path, monkeypatch):
    monkeypatch.setattr(autograd, "differences", lambda *given: {})
    loaded = tutor.load(model.save(tmp_path / "model.py"))
    assert str(loaded.derive()) == str(model.derive())
    verdict = tutor.verify(loaded, seeds=(0,))
    assert verdict.agrees, str(verdict)
    assert all(row.reference is not None for row in verdict.rows if loaded[row.quantity].kind == "parameter")


def test_a_saved_model_can_tell_mistakes_apart(tmp_path):
    """The catalogue's own lint: every known mistake shows, and the true answer earns every point in every form."""
    loaded = tutor.load(MODELS["MLP"]().save(tmp_path / "model.py"))
    certificate = certify(loaded)
    assert certificate.agrees, str(certificate)
    assert certificate.told and certificate.scores == dict.fromkeys(certificate.scores, certificate.points)


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
