"""The three judges: each alone, against one another, and against mistakes planted on purpose."""

import math

import pytest
import torch
from sympy import Abs, Float, Max, Piecewise, Sum, exp, log, sin, sqrt

import tutor
from tutor.catalogue import entries
from tutor.errors import ExerciseError
from tutor.exercise import Exercise
from tutor.numeric import compare
from tutor.numeric.autograd import (
    Verification,
    differences,
    gradients_by_autograd,
    gradients_by_differences,
    gradients_by_reference,
    verify,
)
from tutor.numeric.sample import sample, worked
from tutor.operations import MaxOver
from tutor.symbolic.indices import size, tensor

IDS = [entry.id for entry in entries()]


def scalar(formula, **domains):
    """An exercise L = formula(x, y) in two scalars."""
    ex = Exercise("made")
    x, y = ex.parameter("x", **domains), ex.parameter("y")
    z = ex.step("z", [], x * y)
    ex.loss("L", formula(x, y, z))
    return ex


def vector(formula, reference=None):
    """An exercise L = formula(n, a, z) with z = 2*a + c over an axis."""
    ex = Exercise("made")
    N = ex.sizes("N")
    n = ex.indices(n=N)
    a, c = ex.parameter("a", n), ex.parameter("c")
    z = ex.step("z", [n], 2 * a[n] + c)
    ex.loss("L", formula(n, a, z))
    if reference:
        ex.reference(reference)
    return ex


# -- each judge ------------------------------------------------------------------------------------------


def test_autograd_sees_uses_by_name():
    ex = scalar(lambda x, y, z: sin(z) + x * y)  # x*y written out is not z
    t = sample(ex)
    found = gradients_by_autograd(ex, t)
    assert torch.allclose(found["z"], t.z.cos())
    assert torch.allclose(found["x"], (t.z.cos() + 1) * t.y)


def test_what_the_loss_does_not_use_has_gradient_zero():
    ex = vector(lambda n, a, z: Sum(a[n], n))
    assert gradients_by_autograd(ex, sample(ex))["z"].abs().sum() == 0


def test_the_tutorial_by_all_judges():
    ex = tutor.load("linear-regression")
    t = worked(ex)
    for judge in (gradients_by_autograd, gradients_by_reference, gradients_by_differences):
        found = judge(ex, t)
        assert float(found["w"]) == pytest.approx(-8, rel=1e-9)
        assert float(found["b"]) == pytest.approx(-4, rel=1e-9)


@pytest.mark.parametrize("name", IDS)
def test_differences_are_the_slopes_of_autograd(name):
    ex = tutor.load(name)
    t = sample(ex, 5)
    truth = gradients_by_autograd(ex, t)
    found = gradients_by_differences(ex, t)
    assert found and set(found) <= set(truth)
    for q, slopes in found.items():
        seen = slopes.isfinite()
        assert bool(seen.any()), q
        scale = max(float(truth[q].abs().max()), 1e-3 * max(float(g.abs().max()) for g in truth.values()))
        assert float((slopes - truth[q])[seen].abs().max()) <= 1e-6 * scale, q


def test_differences_of_large_tensors_are_samples():
    ex = tutor.load("image-classifier")
    t = sample(ex, sizes={"N": 4, "D": 300, "K": 10})
    slopes = differences(ex, t)["W"]
    assert 1 <= len(slopes.places) <= 40


def test_differences_of_values_of_every_size():
    """A positive quantity of 1e-12 beside one of 1e6: the step fits the entry."""
    ex = vector(lambda n, a, z: Sum(log(a[n] ** 2), n) + Sum(exp(-(z[n] ** 2)), n))
    t = sample(ex, sizes={"N": 4})
    a = torch.tensor([1e-9, 1.0, 1e6, -1e-4]).double()
    t.values.update(a=a, z=2 * a + t.c)
    found = gradients_by_differences(ex, t)["a"]
    truth = 2 / a - 4 * t.z * (-(t.z**2)).exp()
    assert torch.allclose(found, truth, rtol=1e-6)


def test_differences_stop_at_a_kink():
    ex = vector(lambda n, a, z: Sum(Abs(z[n]), n))
    t = sample(ex, sizes={"N": 3})
    c = t.c
    a = torch.stack([-c / 2, 1 - c / 2, -c / 2 + 1e-4])  # z = 0, 2, 2e-4
    t.values.update(a=a, z=2 * a + c)
    slopes = differences(ex, t)["z"]
    assert slopes.at_kinks == 1 and slopes.places == [1, 2]
    assert slopes.slopes == pytest.approx([1, 1], rel=1e-9)


def test_differences_notice_another_winner():
    ex = Exercise("made")
    N = ex.sizes("N")
    n = ex.indices(n=N)
    a = ex.parameter("a", n)
    m = ex.step("m", [], MaxOver(a[n], n))
    ex.loss("L", m**2)
    t = sample(ex, sizes={"N": 3})
    t.values["a"] = torch.tensor([1.0, 1.0 + 1e-4, 0.0]).double()
    found = gradients_by_differences(ex, t)["a"]
    assert found.tolist() == pytest.approx([0, 2 * (1 + 1e-4), 0], abs=1e-6)


def test_the_edge_of_the_domain_is_no_kink():
    ex = scalar(lambda x, y, z: sqrt(x) + y + z, domain="positive")
    t = sample(ex)
    t.values["x"] = torch.tensor(0.0).double()
    slopes = differences(ex, t)["x"]
    assert (slopes.not_finite, slopes.at_kinks, slopes.places) == (1, 0, [])


# -- the reference -------------------------------------------------------------------------------------------


def test_a_reference_may_name_what_it_likes():
    def forward(t):
        z = 2 * t.a + t["c"]
        return {"L": (z**2).sum() / t.N, "z": z}

    ex = vector(lambda n, a, z: Sum(z[n] ** 2, n) / size(n), forward)
    found = verify(ex)
    assert found.agrees and all(row.reference is not None for row in found.rows)


def test_a_reported_copy_is_not_mistaken_for_the_graph():
    """z is computed for show; the loss goes another way: no gradient of it, and no disagreement."""

    def forward(t):
        return {"L": ((2 * t.a + t.c) ** 2).sum(), "z": 2 * t.a + t.c}

    ex = vector(lambda n, a, z: Sum(z[n] ** 2, n), forward)
    assert "z" not in gradients_by_reference(ex, sample(ex))
    assert verify(ex).agrees


def test_outputs_in_their_order():
    ex = Exercise("made")
    N = ex.sizes("N")
    n = ex.indices(n=N)
    a = ex.parameter("a", n)
    ex.output("p", [n], a[n] ** 2)
    ex.output("q", [n], sin(a[n]))
    ex.reference(lambda t: (t.a**2, t.a.sin()))
    found = verify(ex)
    assert found.agrees and [row.quantity for row in found.rows] == ["a"]
    ex.reference(lambda t: (t.a.sin(), t.a**2))
    assert not verify(ex).agrees


@pytest.mark.parametrize(
    "forward, message",
    [
        (lambda t: t.nothing, "made: its reference fails: AttributeError: the reference is given N, a, c, not nothing"),
        (lambda t: 1 / 0, "exercise made: its reference fails: ZeroDivisionError"),
        (lambda t: {"z": t.a}, "its reference does not return L"),
        (lambda t: {"L": t.c, "h": t.a}, "its reference returns h, which is not a quantity of it"),
        (lambda t: (t.c, t.c), "its reference returns 2 values, but it ends in L"),
        (lambda t: 3.0, "its reference returns L as float, no tensor"),
        (lambda t: t.a, r"L has shape \(3,\) in its reference, but \(\) here"),
    ],
)
def test_a_broken_reference_is_said_to_be_one(forward, message):
    ex = vector(lambda n, a, z: Sum(z[n] ** 2, n), forward)
    with pytest.raises(ExerciseError, match=message):
        verify(ex)


def test_another_loss_is_named_with_both_values():
    ex = vector(lambda n, a, z: Sum(z[n] ** 2, n), lambda t: {"z": 2 * t.a + t.c, "L": ((2 * t.a + t.c) ** 2).mean()})
    found = verify(ex)
    assert not found.agrees and found.disputes == ["L"]
    t = sample(ex)
    assert found.notes[0].startswith(f"L is {float((t.z**2).mean()):.9g} in the reference, but {float(t.L):.9g}")


def test_the_entry_that_differs_is_named():
    def forward(t):
        z = (2 * t.a + t.c) * torch.tensor([1, 1.5, 1] + [1] * (t.N - 3)).double()
        return {"z": z, "L": (z**2).sum()}

    found = verify(vector(lambda n, a, z: Sum(z[n] ** 2, n), forward))
    assert found.disputes == ["z", "L"] and found.notes[0].startswith("z[1] is ")


# -- all together ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_every_gradient_spoilt_by_a_thousandth_is_noticed(name):
    ex = tutor.load(name)
    true = verify(ex, seeds=(0,))
    assert true.agrees, str(true)
    spoilt = [row.quantity for row in true.rows if row.autograd is not None and row.quantity not in true.zeros]
    found = verify(ex, seeds=(0,), spoil=dict.fromkeys(spoilt, 1.001))
    assert not found.agrees
    for row in found.rows:
        if row.quantity in spoilt:
            assert not row.agrees and row.autograd > 1e-6, row


def test_three_seeds_and_two_sizes():
    found = verify(tutor.load("softmax-regression"))
    assert found.seeds == (0, 1, 2) and len(found.sizes) == 2 and found.exercise == "softmax-regression"
    assert [row.quantity for row in found.rows] == ["x", "y", "W", "b", "z", "e", "s", "p"]
    assert all(row.autograd <= 1e-9 and row.differences <= 1e-6 for row in found.rows)
    assert isinstance(found, Verification) and "agrees" in str(found)


def test_given_sizes_are_used():
    found = verify(tutor.load("softmax-regression"), seeds=(0,), sizes={"N": 1, "D": 20, "K": 3})
    assert found.sizes == [{"N": 1, "D": 20, "K": 3}] and found.agrees


def test_values_after_the_backward_pass_are_compared():
    found = verify(tutor.load("sgd-step"), seeds=(0,))
    rows = {row.quantity: row for row in found.rows}
    assert rows["w_accumulated"].reference < 1e-9 and rows["w_accumulated"].autograd is None


def test_without_a_reference_it_says_so():
    found = verify(vector(lambda n, a, z: Sum(z[n] ** 2, n)), seeds=(0,))
    assert found.agrees and "there is no native reference: add one with @exercise.reference" in found.notes


def test_kinks_are_mentioned():
    notes = verify(tutor.load("linear-regression:loss=mae"), seeds=(0,)).notes
    assert any(note.startswith("kinks avoided: the nearest is") for note in notes)


def test_an_exact_zero_is_mentioned_and_does_not_fail():
    """The mean is taken off again: the gradient of c is zero, in floats 1e-17."""
    ex = Exercise("made")
    N = ex.sizes("N")
    n = ex.indices(n=N)
    a, c = ex.parameter("a", n), ex.parameter("c")
    z = ex.step("z", [n], exp(a[n]) + c)
    mu = ex.step("mu", [], Sum(z[n], n) / N)
    r = ex.step("r", [n], z[n] - mu)
    ex.loss("L", Sum(sin(r[n]) ** 2 + r[n] ** 3, n))
    ex.reference(lambda t: (lambda r: (r.sin() ** 2 + r**3).sum())((z := t.a.exp() + t.c) - z.mean()))
    found = verify(ex)
    assert found.agrees, str(found)
    assert any(note.startswith("exactly zero") and "dc" in note for note in found.notes)
    assert not verify(ex, spoil={"a": 1 + 1e-7}).agrees


def test_an_error_that_is_not_a_number_is_no_agreement():
    found = verify(vector(lambda n, a, z: Sum(z[n] ** 2, n)), seeds=(0,), spoil={"a": math.nan})
    assert not found.agrees


def test_branches_and_maxima():
    ex = vector(lambda n, a, z: Sum(Piecewise((z[n] ** 2, z[n] > 1), (Max(z[n], -1) * a[n], True)), n))
    found = verify(ex)
    assert found.agrees, str(found)


def test_torch_is_left_as_it_was():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        assert verify(tutor.load("embedding"), seeds=(0,)).agrees
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), before) and torch.get_default_dtype() == torch.float32


# -- comparing -----------------------------------------------------------------------------------------------------


def same(a, b, scale=None, tolerance=compare.DOUBLE):
    return compare.same(a.double(), b.double(), lambda: None if scale is None else torch.tensor(scale), tolerance)


def test_shape_comes_first():
    for a, b in (((64,), (1, 64)), ((4, 1), (1, 4)), ((), (1,))):
        assert same(torch.zeros(a), torch.zeros(b)) == "shape"


def test_then_finiteness():
    one, infinite = torch.tensor([1.0, 2.0]), torch.tensor([1.0, math.nan])
    assert same(infinite, one) == "finite" and same(one, infinite) == same(infinite, infinite) == "unknown"


def test_then_value():
    b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double()
    wrong = b + torch.tensor([[0, 0.1], [0.3, 0]], dtype=torch.float64)
    assert same(wrong, b) == "different"
    assert compare.errors(wrong, b) == (pytest.approx(0.3), pytest.approx(0.3 / 3.3))
    assert compare.worst(wrong, b) == [((1, 0), 3.3, 3.0), ((0, 1), 2.1, 2.0)]
    assert same(b * (1 + 1e-10), b) == "equal" and same(b * (1 + 1e-8), b) == "different"
    assert same(b * (1 + 1e-6), b, tolerance=compare.SINGLE) == "equal"


def test_noise_is_measured_by_what_was_added_up():
    noise, zero = torch.tensor([1e-14, -1e-14]), torch.zeros(2)
    assert same(noise, zero) == "different" and same(noise, zero, scale=1.0) == "equal"


@pytest.mark.parametrize("r", [-0.5, -1.0, 2.0])
def test_ratio(r):
    b = torch.tensor([1.0, -2.0, 0.0]).double()
    assert compare.ratio(r * b, b) == r
    assert compare.ratio(r * b + torch.tensor([0, 0, 1e-3]).double(), b) is None
    assert compare.ratio(b, 0 * b) is None and compare.ratio(b[:2], b) is None and compare.ratio(b, b) is None


def test_magnitude():
    ex = Exercise("made")
    N = ex.sizes("N")
    n = ex.indices(n=N)
    x, y = tensor("x", (n,)), tensor("y", ())
    assert compare.magnitude(x[n] - 2 * y) == Abs(x[n]) + 2 * Abs(y)
    assert compare.magnitude(-Sum(x[n] * y, n) / N) == Sum(Abs(x[n]) * Abs(y), n) / N
    assert compare.magnitude((x[n] - y) ** 2) == (Abs(x[n]) + Abs(y)) ** 2
    assert compare.magnitude(Float(-0.5) * exp(-x[n])) == Float(0.5) * exp(-x[n])
