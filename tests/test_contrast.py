"""Two exercises side by side: formulas, numbers, and what differs."""

from __future__ import annotations

import pytest
import torch

import tutor
from tutor.catalogue import entries
from tutor.errors import TutorError
from tutor.numeric.contrast import contrast, merged

IDS = [entry.id for entry in entries()]


def test_another_loss_changes_one_formula_and_every_number():
    found = contrast("linear-regression", "linear-regression:loss=mae")
    assert dict(found.point) == {"w": 1, "b": 0, "x": 2, "y": 4}
    assert found.row("dy_pred").same_formula is False
    for name, (left, right) in {"dw": (-8, -2), "db": (-4, -1)}.items():
        row = found.row(name)
        assert row.same_formula and not row.same_value
        assert (row.left.number, row.right.number) == (left, right)


@pytest.mark.parametrize("loss", ["mae", "huber", "log-cosh"])
def test_numbers_are_those_of_autograd(loss):
    found = contrast("linear-regression", f"linear-regression:loss={loss}")
    exercise = tutor.load(f"linear-regression:loss={loss}")
    leaves = {n: torch.tensor(float(v), dtype=torch.float64, requires_grad=True) for n, v in found.point.items()}

    class Given(dict):
        __getattr__ = dict.__getitem__

    exercise.reference_function(Given(leaves)).backward()
    for name in ("w", "b"):
        assert found.row(f"d{name}").right.number == pytest.approx(float(leaves[name].grad), rel=1e-12)


@pytest.mark.parametrize("name", IDS)
def test_an_exercise_does_not_differ_from_itself(name):
    found = contrast(name, name)
    assert found.rows and all(row.same for row in found.rows)
    assert "  ≠  " not in str(found).replace("≠ different", "")


def test_added_layers_show_the_size_of_each_gradient():
    found = contrast("image-classifier", "image-classifier:layers=3")
    assert found.point is None
    assert found.row("dW1").left is None and found.row("dW1").right.norm > 0
    order = [row.name for row in found.rows if row.kind == "gradient"]
    assert order.index("dz") < order.index("dh2") < order.index("dz2") < order.index("dz1")
    shown = str(found)
    assert "only in image-classifier:layers=3: dh2, dz2, dh1, dz1, dW1" in " ".join(shown.split())
    assert "norm" in shown and "per entry" in shown


def test_shared_names_have_equal_values():
    found = contrast("mlp:activation=relu", "mlp:activation=tanh")
    assert found.row("z1").same, "x, W1 and b1 are the same on both sides"
    assert not found.row("h1").same_formula and not found.row("h1").same_value
    assert found.row("dh1").same_formula, "the activation does not change the formula behind it"


@pytest.mark.parametrize("other", IDS)
def test_every_pair_is_shown_in_100_columns(other):
    shown = str(contrast("layer-norm", other, seed=3))
    assert max(map(len, shown.splitlines())) <= 100


def test_norms():
    side = contrast("softmax-regression", "softmax-regression").row("dW").left
    assert side.norm == pytest.approx(float(side.value.pow(2).sum().sqrt()))
    assert side.typical == pytest.approx(float(side.value.pow(2).mean().sqrt()))
    assert side.number is None and side.shape == tuple(side.value.shape)


def test_the_seed_counts_and_repeats():
    first, again, other = (contrast("mlp", "mlp:loss=mae", seed=seed) for seed in (1, 1, 2))
    assert str(first) == str(again) != str(other)


def test_worked_examples_that_disagree_are_not_mixed():
    a, b = tutor.load("linear-regression"), tutor.load("linear-regression")
    b.instances[0] = {**b.instances[0], "w": 5}
    assert contrast(a, b).point is None


def test_orders_are_merged():
    assert merged(["a", "b", "c"], ["x", "b", "y", "c", "z"]) == ["x", "a", "b", "y", "c", "z"]
    assert merged([], ["a"]) == ["a"] and merged(["a"], []) == ["a"]


def test_errors():
    with pytest.raises(TutorError, match="did you mean"):
        contrast("mlp", "mpl")
    with pytest.raises(LookupError, match="no row dQ: there are"):
        contrast("mlp", "mlp").row("dQ")


def test_as_data():
    found = tutor.compare("linear-regression", "linear-regression:loss=mae").to_dict()
    assert found["schema"] == "tutor.contrast/1"
    dw = next(row for row in found["rows"] if row["name"] == "dw")
    assert (dw["left"]["value"], dw["right"]["value"], dw["same_formula"]) == (-8.0, -2.0, True)
