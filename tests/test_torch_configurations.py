"""Every configuration that learners meet in torch is derived and equals autograd, or is refused with a reason.

The table is `torch_configurations.py`; `test_torch_docs.py` writes the outcomes into `docs/torch.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_configurations import CONFIGURATIONS, Configuration

import tutor
from tutor.errors import ExerciseError
from tutor.exercise import Exercise
from tutor.numeric import autograd
from tutor.numeric.sample import worked_instance

DERIVED = [row for row in CONFIGURATIONS if row.expected == "derived"]
REFUSED = [row for row in CONFIGURATIONS if row.expected == "refused"]
FEW = 2000  # torch calls for finite differences: the judges here are autograd and the module itself


def name(row: Configuration) -> str:
    return row.name


def imported(row: Configuration, **more: Any) -> Exercise:
    module, inputs, options = row.make()
    return tutor.from_torch(module, *inputs, **options, **more)


@pytest.fixture(autouse=True)
def _few_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograd, "BUDGET", FEW)


# -- derived -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", DERIVED, ids=name)
def test_derived_and_equal_to_autograd(row: Configuration) -> None:
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    exercise = imported(row)
    verification = exercise.verify(seeds=(0,))
    assert verification.agrees, str(verification)
    judged = {r.quantity for r in verification.rows if r.reference is not None}
    assert set(exercise.asked) <= judged, "the native reference knows every gradient that is asked"
    assert all(sizes in verification.sizes for sizes, _ in exercise.own), "and the module's own sizes are tried"
    agrees_with_the_module(row, exercise)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_default_dtype() == dtype


def agrees_with_the_module(row: Configuration, exercise: Exercise) -> None:
    """Torch's own backward pass through the user's module, in float32 as it stands; nothing of ours but the gradient.

    A tensor of the user's is the quantity that has its values.
    """
    module, inputs, options = row.make()
    sizes, values = exercise.own[0]
    ours = worked_instance(exercise, values, sizes)
    if any(q.domain == "mask" and q.name.endswith("mask") and q.is_leaf for q in exercise) and "Dropout" in row.name:
        return  # torch would draw another mask
    parameters = [p for p in module.parameters() if p.requires_grad] if isinstance(module, nn.Module) else []
    asked = [x for x in inputs if isinstance(x, Tensor) and set(alike(x, values)) & set(exercise.asked)]
    learns = [x.requires_grad_() for x in (*parameters, *asked)]
    made = module(*inputs[: len(inputs) - ("loss" in options)])
    made = options["loss"](made, inputs[-1]) if "loss" in options else made
    ends = [y for y in flat(made) if isinstance(y, Tensor) and y.is_floating_point()]
    assert len(ends) == len(list(exercise.ends))
    total = torch.zeros(())
    for q, y in zip(exercise.ends, ends, strict=True):
        close(ours[q.name], y, q.name)
        total = total + (y * (ours.values[f"d{q.name}"].float() if q.kind == "output" else 1)).sum()
    compared = 0
    for x, gradient in zip(learns, torch.autograd.grad(total, learns, allow_unused=True), strict=True):
        same = alike(x, values)
        if len(same) != 1:  # a scale and a shift of one value, or an input that nothing uses
            assert same or gradient is None or not gradient.any()
            continue
        close(ours.after[f"d{same[0]}"], torch.zeros_like(x) if gradient is None else gradient, f"d{same[0]}")
        compared += 1
    assert compared


def close(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Equal but for float32's rounding."""
    assert ours.shape == theirs.shape, what
    scale = max(float(theirs.detach().abs().max()), 1.0)
    assert float((ours - theirs.detach().double()).abs().max()) < 3e-5 * scale, what


def alike(x: Tensor, values: dict[str, Tensor]) -> list[str]:
    """Quantities that have the values of a tensor of the user's."""
    return [name for name, v in values.items() if v.shape == x.shape and torch.equal(v.to(x), x)]


def flat(value: Any) -> Iterator[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else None
    if parts is None:
        yield value
    else:
        for part in parts:
            yield from flat(part)


@pytest.mark.parametrize("steps", ["coarse", "fine"])
@pytest.mark.parametrize("row", DERIVED[::9], ids=name)
def test_derived_in_larger_and_smaller_steps(row: Configuration, steps: str) -> None:
    exercise, standard = imported(row, steps=steps), imported(row)
    verification = exercise.verify(seeds=(0,))
    assert verification.agrees, str(verification)
    fewer, more = (exercise, standard) if steps == "coarse" else (standard, exercise)
    assert len(fewer.forward) <= len(more.forward)


@pytest.mark.parametrize("row", DERIVED[::9], ids=name)
def test_a_spoiled_gradient_is_found(row: Configuration) -> None:
    exercise = imported(row)
    asked = next(iter(exercise.asked))
    verification = exercise.verify(seeds=(0,), spoil={asked: 1.001})
    assert not verification.agrees
    assert [r.quantity for r in verification.rows if not r.agrees] == [asked]


# -- refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", REFUSED, ids=name)
def test_refused_with_the_reason(row: Configuration) -> None:
    reason = refusal(row)
    assert all(part in reason for part in row.says), reason


def refusal(row: Configuration) -> str:
    with pytest.raises(ExerciseError) as caught:
        imported(row)
    return str(caught.value)


def test_the_table_is_large_and_nearly_all_of_it_is_derived() -> None:
    assert len({row.name for row in CONFIGURATIONS}) == len(CONFIGURATIONS) >= 100
    assert len(DERIVED) >= 0.85 * len(CONFIGURATIONS)
