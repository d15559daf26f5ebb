"""How a module or function becomes an exercise: its sizes, its names, what is asked, what is refused and how."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Float, Rational, S, pi, sqrt
from torch import Tensor, nn

import tutor
from tutor.errors import ExerciseError, UsageError
from tutor.exercise import Exercise
from tutor.numeric import autograd
from tutor.numeric.sample import worked_instance
from tutor.torch_import.naming import Names, identifier
from tutor.torch_import.numbers import exact
from tutor.torch_import.sizes import Sizes
from tutor.torch_import.table import reasons, rows

FILE = Path(__file__).name


@pytest.fixture(autouse=True)
def _few_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograd, "BUDGET", 2000)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fresh(build: Callable[[], nn.Module]) -> nn.Module:
    """A module with the same weights every time; torch's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def sound(exercise: Exercise) -> Exercise:
    verification = exercise.verify(seeds=(0,))
    assert verification.agrees, str(verification)
    return exercise


def names(exercise: Exercise) -> list[str]:
    return [q.name for q in exercise]


def kinds(exercise: Exercise) -> dict[str, str]:
    return {q.name: q.kind for q in exercise}


def shape(exercise: Exercise, name: str) -> tuple[str, ...]:
    return tuple(map(str, exercise[name].shape))


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_sizes_that_are_one_have_one_name() -> None:
    sizes = Sizes()
    a, b, c = sizes.new(4), sizes.new(4), sizes.new(4)
    sizes.same(a, b)
    assert sizes.resolve(a) == sizes.resolve(b) != sizes.resolve(c)


def test_a_size_of_one_is_no_symbol() -> None:
    assert Sizes().new(1) == 1


def test_a_size_is_the_product_of_two() -> None:
    sizes = Sizes()
    whole, heads, each = sizes.new(12), sizes.new(3), sizes.new(4)
    sizes.same(whole, heads * each)
    assert sizes.resolve(whole) == heads * each and sizes.number(whole) == 12


def test_products_are_paired_by_their_factors() -> None:
    sizes = Sizes()
    n, t, m, s = sizes.new(2), sizes.new(3), sizes.new(2), sizes.new(3)
    sizes.same(n * t, m * s)
    assert sizes.resolve(m) == sizes.resolve(n) and sizes.resolve(s) == sizes.resolve(t)


def test_common_factors_say_nothing() -> None:
    sizes = Sizes()
    n, c, r, d = sizes.new(5), sizes.new(6), sizes.new(2), sizes.new(3)
    sizes.same(n * c, n * r * d)
    assert sizes.resolve(c) == r * d and sizes.resolve(n) == n


def test_what_symbols_cannot_say_is_the_number_of_the_example() -> None:
    sizes = Sizes()
    a, b = sizes.new(6), sizes.new(4)
    sizes.same(2 * a, 3 * b)
    assert sizes.resolve(a) == 6 and sizes.resolve(b) == 4


def test_a_part_is_never_longer_than_the_whole() -> None:
    sizes = Sizes()
    whole, part = sizes.new(7), sizes.new(3)
    sizes.at_least(whole, part)
    rest = sizes.resolve(whole) - part
    assert sizes.number(rest) == 4 and rest.is_positive


@given(numbers=st.lists(st.integers(2, 6), min_size=2, max_size=5), data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_said_of_sizes_keeps_their_numbers(numbers: list[int], data: st.DataObject) -> None:
    sizes = Sizes()
    made = [sizes.new(n) for n in numbers]
    for _ in range(4):
        left = data.draw(st.lists(st.sampled_from(range(len(made))), min_size=1, max_size=3))
        right = data.draw(st.lists(st.sampled_from(range(len(made))), min_size=1, max_size=3))
        if math.prod(numbers[i] for i in left) == math.prod(numbers[i] for i in right):
            one, other = (math.prod((made[i] for i in side), start=S.One) for side in (left, right))
            sizes.same(one, other)
            assert sizes.resolve(one).expand() == sizes.resolve(other).expand()
    assert [sizes.number(m) for m in made] == numbers


def test_axes_of_equal_length_stay_apart() -> None:
    exercise = tutor.from_torch(lambda x, W: torch.tanh(x @ W), normal(3, 3), normal(3, 3))
    (n, d), (e, m) = shape(exercise, "x"), shape(exercise, "W")
    assert d == e and len({n, d, m}) == 3
    sound(exercise)


def test_the_batch_may_be_one() -> None:
    exercise = tutor.from_torch(lambda x, W: torch.tanh(x @ W), normal(1, 3), normal(3, 2))
    assert shape(exercise, "x")[0] in ("1", "N")
    sound(exercise)


def test_a_division_by_a_size_is_one() -> None:
    exercise = sound(tutor.from_torch(lambda x: (x**2).sum() / x.shape[0], normal(3, 4)))
    assert "N" in map(str, exercise.ends[0].expr.free_symbols)


def test_a_number_that_happens_to_be_a_size_stays_a_number() -> None:
    exercise = sound(tutor.from_torch(lambda x: (x**2).sum() / 3, normal(3, 4)))
    assert "N" not in map(str, exercise.ends[0].expr.free_symbols)


@st.composite
def chains(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Views in a row, as they apply to a tensor of shape (2, 3, 4)."""
    now: list[int] = [2, 3, 4]
    made: list[tuple[Any, ...]] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["permute", "flatten", "unflatten", "slice", "cat", "view", "transpose"]))
        d = draw(st.integers(0, len(now) - 1))
        if kind == "permute":
            order = draw(st.permutations(range(len(now))))
            now, step = [now[k] for k in order], ("permute", tuple(order))
        elif kind == "transpose":
            e = draw(st.integers(0, len(now) - 1))
            now[d], now[e] = now[e], now[d]
            step = ("transpose", d, e)
        elif kind == "flatten" and len(now) > 1:
            d = min(d, len(now) - 2)
            now, step = [*now[:d], now[d] * now[d + 1], *now[d + 2 :]], ("flatten", d, d + 1)
        elif kind == "unflatten" and len(now) < 5 and now[d] in (4, 6, 8, 12, 24):
            by = draw(st.sampled_from([f for f in (2, 3, 4) if now[d] % f == 0 and now[d] // f > 1]))
            now, step = [*now[:d], by, now[d] // by, *now[d + 1 :]], ("unflatten", d, (by, now[d] // by))
        elif kind == "slice" and now[d] > 2:
            start = draw(st.integers(0, 1))
            now, step = [*now[:d], now[d] - 1, *now[d + 1 :]], ("slice", d, start, start + now[d] - 1)
        elif kind == "cat" and math.prod(now) < 80:
            now, step = [*now[:d], 2 * now[d], *now[d + 1 :]], ("cat", d)
        elif kind == "view" and len(now) > 1:
            now = [math.prod(now[:2]), *now[2:]]
            step = ("view", tuple(now))
        else:
            continue
        made.append(step)
    return made


def chained(x: Tensor, chain: list[tuple[Any, ...]]) -> Tensor:
    for kind, *how in chain:
        if kind == "slice":
            d, start, end = how
            x = x[(slice(None),) * d + (slice(start, end),)]
        elif kind == "cat":
            x = torch.cat([x, x * 2], dim=how[0])
        elif kind == "view":
            x = x.reshape(how[0])
        elif kind == "permute":
            x = x.permute(how[0])
        else:
            x = getattr(x, kind)(*how)
    return x


@given(chain=chains())
@settings(max_examples=25, deadline=None)
def test_a_chain_of_views_is_torchs_own(chain: list[tuple[Any, ...]]) -> None:
    """Entry by entry at the example's sizes, where torch itself says what comes out, and at others by its gradient."""
    x = normal(2, 3, 4).double()
    exercise = tutor.from_torch(lambda x: torch.sin(chained(x, chain)), x)
    sizes, values = exercise.own[0]
    ours = worked_instance(exercise, values, sizes)[exercise.ends[0].name]
    assert torch.allclose(ours, torch.sin(chained(x, chain)), atol=1e-14, rtol=0)
    sound(exercise)


# -- names -----------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.blocks = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.fc1(x))
        for block in self.blocks:
            hidden = hidden + torch.relu(block(hidden))
        score = hidden.sum(1)
        return score


def test_parameters_have_the_names_of_the_module() -> None:
    exercise = tutor.from_torch(fresh(Net), normal(3, 4))
    given_names = {
        "x",
        "fc1_weight",
        "fc1_bias",
        "blocks_0_weight",
        "blocks_0_bias",
        "blocks_1_weight",
        "blocks_1_bias",
    }
    assert {q.name for q in exercise.leaves} == given_names


def test_steps_have_the_names_of_the_users_variables_and_modules() -> None:
    made = names(tutor.from_torch(fresh(Net), normal(3, 4)))
    assert "fc1" in made and "score" in made
    assert any(name.startswith("hidden") for name in made)


def test_variables_of_a_plain_function_are_known_as_well() -> None:
    def head(x: Tensor, W: Tensor) -> Tensor:
        scores = x @ W
        weights = torch.softmax(scores, dim=1)
        return weights.log()

    made = names(tutor.from_torch(head, normal(3, 4), normal(4, 5)))
    assert {"x", "W", "scores", "weights"} <= set(made)


def test_short_names() -> None:
    model = fresh(lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)))
    exercise = tutor.from_torch(model, normal(3, 4), names="short")
    assert [q.name for q in exercise.leaves if q.kind == "parameter"] == ["W1", "b1", "W2", "b2"]


def test_names_of_one_layer_have_no_number() -> None:
    exercise = tutor.from_torch(fresh(lambda: nn.Linear(4, 6)), normal(3, 4), names="short")
    assert [q.name for q in exercise.leaves if q.kind == "parameter"] == ["W", "b"]


@pytest.mark.parametrize("given_names", [["a", "U"], "a U", "a, U", {"x": "a", "W": "U"}])
def test_names_are_given_in_any_form(given_names: Any) -> None:
    exercise = tutor.from_torch(lambda x, W: torch.tanh(x @ W), normal(3, 4), normal(4, 5), names=given_names)
    assert [q.name for q in exercise.leaves] == ["a", "U"]


def test_a_parameter_is_renamed_by_its_path() -> None:
    exercise = tutor.from_torch(fresh(Net), normal(3, 4), names={"fc1.weight": "W1", "x": "images"})
    assert {"W1", "images", "fc1_bias"} <= set(names(exercise))


def test_no_quantity_is_called_like_the_gradient_of_another() -> None:
    exercise = sound(
        tutor.from_torch(lambda z, dz, W: torch.tanh(z @ W) * dz, normal(3, 4), normal(3, 5), normal(4, 5))
    )
    made = names(exercise)
    assert not {f"d{name}" for name in made} & set(made)


@pytest.mark.parametrize("taken", ["torch", "t", "N", "D", "pi", "d", "F", "aten"])
def test_a_name_that_means_something_else_is_not_taken_for_it(taken: str) -> None:
    sound(tutor.from_torch(lambda x, W: torch.tanh(x @ W), normal(3, 4), normal(4, 5), names=[taken, "W"]))


def test_identifiers() -> None:
    assert identifier("blocks.0.fc1") == "blocks_0_fc1"
    assert identifier("0.weight") == "layer0_weight"
    assert identifier("lambda") == "lambda_"
    assert identifier("torch") == "torch_"


def test_a_keyword_among_the_modules() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("lambda", nn.Linear(4, 5))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(getattr(self, "lambda")(x))

    exercise = sound(tutor.from_torch(fresh(Odd), normal(3, 4)))
    assert {"lambda_weight", "lambda_bias"} <= set(names(exercise)) and "lambda" not in names(exercise)


def test_one_namespace() -> None:
    made = Names()
    assert made.claim("W") == "W"
    assert made.claim("dW") == "dW2"
    assert made.claim("W") == "W2" or not made.fits("W")
    assert made.claim("lambda", "lam") == "lam"


# -- leaves ----------------------------------------------------------------------------------------------------------


class TwoUses(nn.Module):
    """One parameter in two places, one that nothing uses, one that does not learn."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(normal(4, 4, seed=1))
        self.idle = nn.Parameter(normal(3, seed=2))
        self.fixed = nn.Parameter(normal(4, seed=3), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.W + self.fixed) @ self.W.T


def test_a_parameter_in_two_places_is_one_quantity() -> None:
    exercise = sound(tutor.from_torch(TwoUses(), normal(3, 4)))
    assert kinds(exercise)["W"] == "parameter"
    assert sum("W" in q.reads for q in exercise) == 2


def test_what_nothing_uses_is_left_out() -> None:
    assert "idle" not in names(tutor.from_torch(TwoUses(), normal(3, 4)))
    unused = tutor.from_torch(lambda x, y: torch.tanh(x), normal(3, 4), normal(2))
    assert "y" not in names(unused)


def test_a_parameter_that_does_not_learn_is_given() -> None:
    exercise = tutor.from_torch(TwoUses(), normal(3, 4))
    assert kinds(exercise)["fixed"] == "input"
    assert list(exercise.asked) == ["W"]


def test_tied_weights_are_one_quantity_with_the_first_name() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.embed(tokens))

    exercise = sound(tutor.from_torch(fresh(Tied), torch.tensor([[0, 5], [3, 2], [1, 1]])))
    assert list(exercise.asked) == ["embed_weight"] and "head_weight" not in names(exercise)


def test_a_module_called_twice_has_one_weight() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.tanh(self.fc(x)))

    exercise = sound(tutor.from_torch(fresh(Twice), normal(3, 4)))
    assert sum("fc_weight" in q.reads for q in exercise) == 2 and set(exercise.asked) == {"fc_weight", "fc_bias"}


def test_an_input_that_requires_a_gradient_is_asked_with_the_parameters() -> None:
    model = fresh(lambda: nn.Linear(4, 2))
    assert set(tutor.from_torch(model, normal(3, 4)).asked) == {"weight", "bias"}
    assert set(tutor.from_torch(model, normal(3, 4).requires_grad_()).asked) == {"input", "weight", "bias"}


def test_without_parameters_every_real_input_is_asked() -> None:
    exercise = tutor.from_torch(lambda E, tokens: E[tokens] ** 2, normal(6, 4), torch.tensor([[0, 5], [3, 2]]))
    assert list(exercise.asked) == ["E"]


def test_an_integer_input_is_a_place_on_an_axis() -> None:
    exercise = tutor.from_torch(fresh(lambda: nn.Embedding(6, 4)), torch.tensor([[0, 5, 2], [3, 3, 1]]))
    tokens = next(q for q in exercise.leaves if q.domain == "index")
    assert tokens.below == exercise["weight"].shape[0]


def test_a_causal_mask_in_a_buffer_is_a_formula() -> None:
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.tril(torch.ones(5, 5)))

        def forward(self, x: Tensor) -> Tensor:
            scores = (x @ x.T).masked_fill(self.mask == 0, float("-inf"))
            return torch.softmax(scores, dim=-1) @ x

    exercise = sound(tutor.from_torch(Causal(), normal(5, 3)))
    assert "mask" not in names(exercise)


def test_running_statistics_are_given() -> None:
    class Standardised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)
            self.register_buffer("mean", normal(4, seed=5))
            self.register_buffer("variance", normal(4, seed=6) ** 2 + 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((x - self.mean) / self.variance.sqrt())

    exercise = sound(tutor.from_torch(fresh(Standardised), normal(5, 4)))
    assert kinds(exercise)["mean"] == kinds(exercise)["variance"] == "input"
    assert exercise["variance"].domain == "positive"


def test_a_python_number_is_written_out() -> None:
    exercise = sound(tutor.from_torch(lambda x, scale: (scale * x).tanh(), normal(3, 4), 0.1))
    assert "scale" not in names(exercise)
    assert any(q.expr.has(Rational(1, 10)) for q in exercise.forward)


def test_a_scalar_tensor_is_a_quantity() -> None:
    exercise = sound(tutor.from_torch(lambda x, scale: (scale * x).tanh(), normal(3, 4), torch.tensor(0.3)))
    assert shape(exercise, "scale") == () and "scale" in exercise.asked


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_single_number_is_the_loss() -> None:
    exercise = sound(tutor.from_torch(lambda x: (x**2).mean(), normal(3, 4)))
    assert [q.kind for q in exercise.ends] == ["loss"]


def test_anything_else_is_an_output_with_a_gradient_from_above() -> None:
    exercise = sound(tutor.from_torch(lambda x: torch.tanh(x), normal(3, 4)))
    assert [q.kind for q in exercise.ends] == ["output"]


def test_several_outputs() -> None:
    exercise = sound(tutor.from_torch(lambda x, W: (torch.tanh(x @ W), W.sum(), x.T), normal(3, 4), normal(4, 5)))
    assert [len(q.shape) for q in exercise.ends] == [2, 0, 2]


def test_a_dict_of_outputs() -> None:
    exercise = sound(tutor.from_torch(lambda x: {"a": x.exp(), "b": x.sum(0)}, normal(3, 4)))
    assert [len(q.shape) for q in exercise.ends] == [2, 1]


class WithLoss(nn.Module):
    def __init__(self, as_dict: bool):
        super().__init__()
        self.fc, self.as_dict = nn.Linear(4, 3), as_dict

    def forward(self, x: Tensor, target: Tensor) -> Any:
        logits = self.fc(x)
        loss = F.cross_entropy(logits, target)
        return {"logits": logits, "loss": loss} if self.as_dict else (logits, loss)


@pytest.mark.parametrize(("as_dict", "loss"), [(False, 1), (False, -1), (True, "loss")])
def test_the_loss_that_a_module_computes_itself(as_dict: bool, loss: Any) -> None:
    model = fresh(lambda: WithLoss(as_dict))
    exercise = sound(tutor.from_torch(model, normal(5, 4), torch.tensor([0, 2, 1, 1, 0]), loss=loss))
    assert [q.kind for q in exercise.ends] == ["loss"] and set(exercise.asked) == {"fc_weight", "fc_bias"}


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), F.cross_entropy, lambda z, y: F.cross_entropy(z, y)])
def test_a_loss_behind_the_module(loss: Any) -> None:
    model = fresh(lambda: nn.Linear(4, 3))
    exercise = sound(tutor.from_torch(model, normal(5, 4), torch.tensor([0, 2, 1, 1, 0]), loss=loss))
    assert [q.kind for q in exercise.ends] == ["loss"] and "target" in names(exercise)


def test_a_loss_of_the_output_alone() -> None:
    model = fresh(lambda: nn.Linear(4, 3))
    exercise = sound(tutor.from_torch(model, normal(5, 4), loss=lambda y: (y**2).sum()))
    assert [q.kind for q in exercise.ends] == ["loss"] and "target" not in names(exercise)


def test_train_and_eval_are_as_the_module_stands() -> None:
    model = fresh(lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)))
    assert "mask" in names(tutor.from_torch(model.train(), normal(5, 4)))
    assert "mask" not in names(tutor.from_torch(model.eval(), normal(5, 4)))


def test_the_module_is_left_as_it_was() -> None:
    model = fresh(lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2))).train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    x = normal(5, 4)
    kept = x.clone()
    tutor.from_torch(model, x).verify(seeds=(0,))
    assert model.training and all(m.training for m in model)
    assert torch.equal(x, kept) and not x.requires_grad
    assert all(torch.equal(before[name], y) for name, y in model.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in model.parameters())


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.1, Rational(1, 10)), (1e-5, Rational(1, 100000)), (3, S(3)), (2.0, S(2)), (-0.25, Rational(-1, 4)),
        (1 / 3, Rational(1, 3)), (8**-0.5, 1 / sqrt(8)), (math.sqrt(2 / math.pi), sqrt(2 / pi)), (math.pi, pi),
        (0.044715, Rational(44715, 1000000)), (float("inf"), S.Infinity), (float("-inf"), S.NegativeInfinity),
        (True, S.One), (0.0, S.Zero), (-math.pi / 2, -pi / 2), (-1 / math.sqrt(3), -1 / sqrt(3)),
    ],
)  # fmt: skip
def test_a_number_is_what_its_author_meant(value: Any, meant: Any) -> None:
    assert exact(value) == meant


def test_a_number_that_nobody_meant_stays_as_it_is() -> None:
    assert isinstance(exact(0.12345678901234567), Float)


@given(value=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
@settings(max_examples=300, deadline=None)
def test_whatever_is_meant_is_the_number(value: float) -> None:
    assert math.isclose(float(exact(value)), value, rel_tol=1e-15, abs_tol=0 if abs(value) > 1e-300 else 1e-300)


# -- errors ----------------------------------------------------------------------------------------------------------


def says(error: Any, *parts: str) -> None:
    missing = [part for part in parts if part not in str(error.value)]
    assert not missing, str(error.value)


def test_a_refusal_names_the_operation_and_the_line() -> None:
    def ranked(x: Tensor) -> Tensor:
        return torch.sort(x, dim=1).values

    with pytest.raises(ExerciseError) as error:
        tutor.from_torch(ranked, normal(3, 4))
    says(error, "aten.sort", FILE, "torch.sort(x, dim=1)", "by hand", "exercise.step")


def test_a_refusal_in_a_module_names_the_line() -> None:
    class Ranked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            return y.sort(dim=1).values

    with pytest.raises(ExerciseError) as error:
        tutor.from_torch(Ranked(), normal(3, 4))
    says(error, "aten.sort", FILE, "y.sort(dim=1)")


def test_a_branch_on_values_names_the_line_and_the_way_out() -> None:
    def branching(x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(ExerciseError) as error:
        tutor.from_torch(branching, normal(3, 4))
    says(error, "if x.sum() > 0", FILE, "torch.where")


def test_a_mistake_of_the_users_is_torchs_own_message_and_the_line() -> None:
    def mistaken(x: Tensor, W: Tensor) -> Tensor:
        return x @ W.T

    with pytest.raises(ExerciseError) as error:
        tutor.from_torch(mistaken, normal(3, 4), normal(4, 5))
    says(error, FILE, "x @ W.T")


def test_what_is_printed_while_tracing_is_kept_from_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExerciseError):
        tutor.from_torch(lambda x: x if x.sum() > 0 else -x, normal(3, 4))
    out, err = capfd.readouterr()
    assert not out and not err


def test_integers_alone_have_no_gradient() -> None:
    with pytest.raises(ExerciseError) as error:
        tutor.from_torch(lambda tokens: tokens + 1, torch.tensor([1, 2]))
    says(error, "nothing to derive")


def test_a_constant_has_no_gradient() -> None:
    with pytest.raises(ExerciseError):
        tutor.from_torch(lambda x: torch.ones(3), normal(3, 4))


@pytest.mark.parametrize(
    ("arguments", "part"), [((3,), "a module or a function"), (("model",), "a module or a function")]
)
def test_only_modules_and_functions_are_imported(arguments: Any, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        tutor.from_torch(*arguments)


def test_steps_are_one_of_three() -> None:
    with pytest.raises(UsageError, match="coarse, standard, fine"):
        tutor.from_torch(lambda x: x.exp(), normal(3), steps="tiny")


def test_too_many_or_too_few_inputs() -> None:
    for inputs in ((), (normal(3), normal(3), normal(3))):
        with pytest.raises((ExerciseError, UsageError)):
            tutor.from_torch(lambda x, y: x * y, *inputs)


def test_too_many_names() -> None:
    with pytest.raises((ExerciseError, UsageError)):
        tutor.from_torch(lambda x: x.exp(), normal(3), names=["x", "y"])


def test_a_name_for_what_is_not_there() -> None:
    with pytest.raises((ExerciseError, UsageError)):
        tutor.from_torch(lambda x: x.exp(), normal(3), names={"fc9.weight": "W"})


# -- the program at other sizes ----------------------------------------------------------------------------------------


def agrees_elsewhere(function: Callable[..., Tensor], *examples: Tensor, **sizes: int) -> Exercise:
    """The exercise at other sizes than the example's computes what the program computes there."""
    exercise = sound(tutor.from_torch(function, *examples))
    elsewhere = {name: sizes.get(name, n + 2) for name, n in exercise.own[0][0].items()}
    instance = exercise.sample(seed=0, sizes=elsewhere)
    inputs = [instance[q.name] for q in exercise if q.kind in ("input", "parameter")]
    made = function(*inputs)
    assert torch.allclose(instance[exercise.ends[0].name], made), elsewhere
    return exercise


def by_root_of_size(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.T / math.sqrt(q.size(-1))


def in_half(x: Tensor) -> Tensor:
    n, d = x.shape
    return x.view(n, 2, d // 2).sum(1)


def by_entropy(x: Tensor) -> Tensor:
    return x.softmax(1) / math.log(x.shape[1])


def if_square(x: Tensor) -> Tensor:
    return x.exp() if x.shape[0] == x.shape[1] else x.sin()


def if_four(x: Tensor) -> Tensor:
    return x.exp() if x.shape[0] == 4 else x.sin()


def first_chunk(x: Tensor) -> Tensor:
    return x.chunk(2, dim=1)[0] ** 2


@pytest.mark.parametrize("function", [in_half, by_entropy, if_square, if_four, first_chunk])
@pytest.mark.parametrize("shape", [(4, 4), (4, 6)])
def test_what_a_program_does_with_its_sizes_is_kept(function: Callable[..., Tensor], shape: tuple[int, int]) -> None:
    agrees_elsewhere(function, normal(*shape))


def test_the_root_of_a_size_stays_one() -> None:
    exercise = agrees_elsewhere(by_root_of_size, normal(3, 4), normal(5, 4))
    assert len(exercise.size_symbols) == 3


def test_chunks_of_an_odd_axis() -> None:
    assert list(agrees_elsewhere(first_chunk, normal(3, 5)).size_symbols) == ["N"]


def test_a_part_of_what_is_never_written_comes_to_an_end() -> None:
    def half(x: Tensor) -> Tensor:
        h = torch.empty(4, 4)
        h[:, :2] = x[:, 2:]
        return h[:, :2] ** 2

    sound(tutor.from_torch(half, normal(4, 4)))


def test_numbers_of_the_program_are_not_asked() -> None:
    for numbers in ([0.3, 0.6, 0.1], [0.3, -0.6, 0.1]):
        weights = torch.tensor(numbers)
        exercise = sound(tutor.from_torch(lambda x, w=weights: x * w, normal(4, 3)))
        assert list(exercise.asked) == ["x"]


# -- the table of operations -----------------------------------------------------------------------------------------

# they say where or from what something is, which the row knows by other means
UNREAD = {
    "type_as": {"other"}, "gru": {"batch_sizes"}, "lstm": {"batch_sizes"},
    "rnn_tanh": {"batch_sizes"}, "rnn_relu": {"batch_sizes"}, "cdist": {"compute_mode"},
    "native_group_norm": {"N", "C", "HxW"}, "new_zeros": {"self"}, "new_ones": {"self"}, "new_full": {"self"},
    "new_empty": {"self"},
}  # fmt: skip


def test_every_parameter_of_a_row_is_read() -> None:
    for row in rows().values():
        tree = ast.parse(textwrap.dedent(inspect.getsource(row.build)))
        function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert row.takes - read <= UNREAD.get(row.name, set()), row.name


def test_an_operation_has_a_row_or_a_reason() -> None:
    assert rows().keys().isdisjoint(reasons())


def test_results_in_a_list_are_compared_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rows()["split"]
    wrong = dataclasses.replace(right, build=lambda g, self, split_size, dim=0: [self, self])
    monkeypatch.setitem(rows(), "split", wrong)
    with pytest.raises(ExerciseError, match="its row says the shape"):
        tutor.from_torch(lambda x: x.split(2, 1)[0] * x.split(2, 1)[1], normal(3, 4))


def test_one_size_for_two_numbers_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(g: Any, self: Any) -> Any:
        g.same(self.shape[0], self.shape[1])

    monkeypatch.setitem(rows(), "exp", dataclasses.replace(rows()["exp"], build=wrong))
    with pytest.raises(ExerciseError, match="for one size"):
        tutor.from_torch(lambda x: x.exp(), normal(3, 4))


# -- the module is the judge -------------------------------------------------------------------------------------------


class Counted(nn.Module):
    """Counts how often it is run."""

    def __init__(self, then: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc, self.then, self.runs = nn.Linear(4, 3), then, 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        return self.then(self.fc(x))


@pytest.mark.parametrize("then", [
    torch.tanh, lambda h: F.dropout(h, 0.4, True) + F.dropout(h, 0.2, True), lambda h: h.float() ** 2,
    F.hardsigmoid, F.softplus, lambda h: F.rms_norm(h, (3,)), lambda h: h * torch.tensor([1.0, -2.0, 3.0]),
])  # fmt: skip
def test_at_its_own_sizes_the_module_itself_is_run(then: Callable[[Tensor], Tensor]) -> None:
    module = fresh(lambda: Counted(then))
    exercise = tutor.from_torch(module, normal(5, 4))
    module.runs = 0
    sound(exercise)
    assert module.runs == len(exercise.own) == 2


class Straight(torch.autograd.Function):
    """x**2, whose backward pass says 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x**2

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream


@pytest.mark.parametrize("then", [lambda y: y, lambda y: F.dropout(y, 0.5, True), lambda y: y.float()])
def test_a_backward_pass_of_the_users_own_is_refused(then: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ExerciseError, match="Straight is a torch.autograd.Function"):
        tutor.from_torch(lambda x: then(Straight.apply(x)), normal(3, 4))


def test_a_row_that_computes_something_else_is_found_at_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rows()["exp"]
    wrong = dataclasses.replace(right, build=lambda g, self: g.step(self.shape, lambda *ix: self[ix] * 1.001, "e"))
    monkeypatch.setitem(rows(), "exp", wrong)
    with pytest.raises(ExerciseError, match="is not what the module computes"):
        tutor.from_torch(lambda x: x.exp(), normal(3, 4))


def test_what_torch_cannot_differentiate_is_said_at_the_import() -> None:
    def program(x: Tensor) -> Tensor:
        z = (2 * x).exp()
        y = z.sum()
        z.add_(1)  # exp keeps its result for its gradient
        return y + z.sum()

    with pytest.raises(ExerciseError, match="torch itself cannot differentiate this"):
        tutor.from_torch(program, normal(3, 4))


def test_rms_norm_without_eps_has_that_of_the_examples_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        x = 1e-4 * normal(3, 5).to(dtype)
        module = nn.RMSNorm(5, elementwise_affine=False, dtype=dtype)
        exercise = sound(tutor.from_torch(module, x))
        sizes, values = exercise.own[0]
        ours = worked_instance(exercise, values, sizes)[exercise.ends[0].name]
        assert torch.allclose(ours, module(x).double(), rtol=1e-5)


@pytest.mark.parametrize("count", [len, lambda x: int(x.shape[0])])
def test_a_size_that_became_a_number_is_one(count: Callable[[Tensor], int]) -> None:
    exercise = sound(tutor.from_torch(lambda x: (x**2).sum() / count(x), normal(5, 4)))
    assert shape(exercise, "x") == ("5", "D")


@pytest.mark.parametrize("program", [
    lambda x, y: ((x[:, 0] - y.float()) ** 2).mean(), lambda x, y: ((x[:, 0] - y) ** 2).mean(),
    lambda x, y: (x[:, 0] ** 2 * y).sum() / y.sum(),
])  # fmt: skip
@pytest.mark.parametrize("labels", [[0, 1, 1], [3, 1, 2]])
def test_whole_numbers_in_arithmetic_are_given_and_not_asked(program: Callable[..., Tensor], labels: list[int]) -> None:
    exercise = sound(tutor.from_torch(program, normal(3, 4), torch.tensor(labels)))
    assert len(exercise.asked) == 1 and "y" not in exercise.asked
