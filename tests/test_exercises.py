"""Every exercise of the catalogue proves itself, every member of a family with it."""

import re
from functools import cache
from itertools import product

import pytest
import torch

import tutor
from tutor.catalogue import Entry, Parameter, entries, find, normal_id
from tutor.exercise import Exercise

MANY = 200  # a member with more quantities than this is loaded and evaluated, but not verified entry by entry


def extremes(parameter: Parameter) -> list:
    """Every choice, both bounds, and the default."""
    bounds = [b for b in (parameter.low, parameter.high) if b is not None]
    truths = [False, True] if parameter.kind == "bool" else []
    return list(dict.fromkeys([parameter.default, *parameter.choices, *bounds, *truths]))


def members(entry: Entry) -> list[str]:
    names = [p.name for p in entry.parameters]
    combined = product(*map(extremes, entry.parameters))
    return [normal_id(entry, dict(zip(names, values, strict=True))) for values in combined]


IDS = [entry.id for entry in entries()]
MEMBERS = [member for entry in entries() for member in members(entry)]


@cache
def loaded(address: str) -> Exercise:
    return tutor.load(address)


def reference_values(ex: Exercise, t) -> dict[str, torch.Tensor]:
    given = ex.reference_function(t)
    if isinstance(given, dict):
        return given
    given = given if isinstance(given, (tuple, list)) else (given,)
    return dict(zip([q.name for q in ex.ends], given, strict=True))


# -- what a learner reads ---------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_it_is_presentable(name):
    entry, ex = find(name), loaded(name)
    assert ex.title != ex.name and len(ex.title) <= 60
    assert 1 <= ex.level <= 9 and ex.tags
    assert 2 <= len(ex.hints) <= 4 and all(40 <= len(hint) <= 200 for hint in ex.hints)
    paragraphs = entry.statement.split("\n\n")
    assert len(paragraphs) >= 3 and paragraphs[0].endswith((".", ":"))
    assert all(len(line) <= 120 for line in entry.statement.splitlines())


@pytest.mark.parametrize("name", IDS)
def test_the_statement_speaks_of_all_that_is_asked(name):
    entry, ex = find(name), loaded(name)
    for asked in ex.asked:
        assert re.search(rf"\bd?{asked}\b", entry.statement), asked


@pytest.mark.parametrize("name", IDS)
def test_no_hint_gives_a_gradient_away(name):
    ex = loaded(name)
    for hint in ex.hints:
        assert not any(re.search(rf"\bd{q.name}(\[.*?\])? *=", hint) for q in ex), hint


# -- what is true of it -----------------------------------------------------------------------


@pytest.mark.parametrize("address", MEMBERS)
def test_it_loads_under_its_own_name(address):
    ex = loaded(address)
    assert ex.id == address
    ex.validate()
    assert ex.reference_function is not None


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("address", MEMBERS)
def test_the_forward_pass_is_that_of_the_reference(address, seed):
    ex = loaded(address)
    t = ex.sample(seed=seed)
    given = reference_values(ex, t)
    assert {q.name for q in ex.ends} <= set(given)
    for name, value in given.items():
        assert value.shape == t[name].shape, name
        assert torch.allclose(value, t[name], rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("address", [a for a in MEMBERS if len(loaded(a).quantities) <= MANY])
def test_our_gradients_are_those_of_autograd(address):
    verification = tutor.verify(loaded(address))
    assert verification.agrees, str(verification)


@pytest.mark.parametrize("address", [a for a in MEMBERS if loaded(a).full_sizes])
def test_they_are_at_full_size(address):
    ex = loaded(address)
    verification = tutor.verify(ex, seeds=[0], sizes=ex.full_sizes)
    assert verification.agrees, str(verification)
    assert all(sizes in verification.sizes for sizes in ex.full_sizes)


@pytest.mark.parametrize("name", IDS)
def test_a_reference_that_is_off_by_a_thousandth_is_noticed(name):
    ex = tutor.load(name)
    true = ex.reference_function

    def spoilt(t):
        given = true(t)
        if not isinstance(given, dict):
            return given * 1.001
        return {name: value * 1.001 if name == ex.ends[0].name else value for name, value in given.items()}

    ex.reference(spoilt)
    assert not tutor.verify(ex).agrees


# -- the worked instances, by hand --------------------------------------------------------------


def worked(address: str) -> dict[str, float]:
    """All quantities and gradients at the exercise's instance, with SymPy alone."""
    ex = loaded(address)
    known = {ex[name].symbol: value for name, value in ex.instances[0].items()}
    for q in ex.forward:
        known[q.symbol] = q.expr.subs(known)
    derivation = ex.derive()
    for gradient in derivation.gradients.values():
        known[gradient.entry] = 1 if ex[gradient.name].kind == "loss" else gradient.expr.subs(known)
    for q in ex.values:
        known[q.symbol] = q.expr.subs(known)
    return {str(symbol): float(value) for symbol, value in known.items()}


@pytest.mark.parametrize(
    "loss, L, dw, db",
    [
        ("mse", 4, -8, -4),
        ("mae", 2, -2, -1),
        ("huber", 1.5, -2, -1),
        ("log-cosh", 1.3250027473578645, -1.9280551601516338, -0.9640275800758169),
    ],
)
def test_the_gradients_at_the_worked_instance(loss, L, dw, db):
    values = worked(f"linear-regression:loss={loss}")
    assert (values["L"], values["dw"], values["db"]) == pytest.approx((L, dw, db))


def test_two_steps_from_the_worked_instance():
    values = worked("sgd-step")
    expected = {
        "dw": -8, "db": -4, "w_new": 1.08, "b_new": 0.04, "y_pred_new": 2.2, "gw_new": -7.2, "gb_new": -3.6,
        "w_second": 1.152, "b_second": 0.076, "w_accumulated": 1.232, "b_accumulated": 0.116,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == pytest.approx(expected)


def test_the_reference_takes_the_same_two_steps():
    ex = loaded("sgd-step")

    class Given(dict):
        __getattr__ = dict.__getitem__

    t = Given({name: torch.tensor(float(value), dtype=torch.float64) for name, value in ex.instances[0].items()})
    values = worked("sgd-step")
    for name, value in ex.reference_function(t).items():
        assert float(value) == pytest.approx(values[name]), name


def test_the_classifier_declares_the_size_of_the_lesson():
    assert loaded("image-classifier").full_sizes == [{"N": 64, "D": 784, "K": 10}, {"N": 1, "D": 784, "K": 10}]


def test_a_deep_chain_is_as_long_as_it_says():
    for depth in (1, 2, 30):
        assert len(loaded(f"deep-chain:depth={depth}").forward) == depth
