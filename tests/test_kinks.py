"""Kinks: where they are, draws beside and on them; every subgradient accepted, torch's choice named or asked for."""

import pytest
import torch
from sympy import Abs, Max, Min, Piecewise, Sum

import tutor
from tutor.exercise import Exercise
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.kinks import FAR, hit, kink_plan, kinks_of, margin
from tutor.numeric.sample import beside_kinks, on_kinks, sample, worked_instance
from tutor.operations import AmaxOver, AminOver, MaxOver
from tutor.symbolic.functions import clamp, relu

STEPS = {
    "relu": (relu, torch.relu),
    "abs": (Abs, torch.abs),
    "max": (lambda z: Max(z, 0), lambda z: torch.maximum(z, torch.zeros_like(z))),
    "min": (lambda z: Min(z, 0), lambda z: torch.minimum(z, torch.zeros_like(z))),
    "clamp": (lambda z: Piecewise((z, z >= 0), (0, True)), lambda z: z.clamp(min=0)),
}


def layer(kind, strict=False):
    """h = f(w x + b), squared error"""
    ex = Exercise(f"kink-{kind}", title="a kink", strict_kinks=strict)
    N = ex.sizes("N")
    i = ex.indices(i=N)
    x, y = ex.input("x", i), ex.input("y", i)
    w, b = ex.parameter("w"), ex.parameter("b")
    z = ex.step("z", [i], w * x[i] + b)
    h = ex.step("h", [i], STEPS[kind][0](z[i]))
    ex.loss("L", Sum((h[i] - y[i]) ** 2, i))
    return ex


def absolute(strict=False):
    ex = Exercise("absolute", title="absolute error", strict_kinks=strict)
    w, x, y = ex.parameter("w"), ex.input("x"), ex.input("y")
    y_pred = ex.step("y_pred", [], w * x)
    ex.loss("L", Abs(y_pred - y))
    ex.instance(w=2, x=3, y=6)
    return ex


@pytest.mark.parametrize("kind", STEPS)
def test_on_the_kink_the_truth_is_torchs_choice(kind):
    ex = layer(kind, strict=True)
    t = on_kinks(ex)
    assert margin(ex, t.values, t.sizes) == 0 and hit(ex, t.values, t.sizes)
    z = t.z.clone().requires_grad_(True)
    ((STEPS[kind][1](z) - t.y) ** 2).sum().backward()
    assert t.check(dz=z.grad).lines[0].verdict == "correct"
    assert torch.equal(gradients_by_autograd(ex, t)["z"], z.grad)


@pytest.mark.parametrize(("kind", "choice", "others"), [
    ("relu", "z > 0", ["z >= 0", "0.5*(z > 0) + 0.5*(z >= 0)", "torch.where(z == 0, 0.3, 1.0*(z > 0))"]),
    ("clamp", "z >= 0", ["z > 0"]),
    ("max", "0.5*(z > 0) + 0.5*(z >= 0)", ["z > 0", "z >= 0"]),
    ("min", "0.5*(z < 0) + 0.5*(z <= 0)", ["z < 0", "z <= 0"]),
    ("abs", "torch.sign(z)", ["2.0*(z > 0) - 1", "2.0*(z >= 0) - 1", "z/abs(z)"]),
])  # fmt: skip
def test_any_subgradient_is_right_unless_the_exercise_is_strict(kind, choice, others):
    sheet = "dh = 2*(h - y)\ndz = dh*({})\ndw = (dz*x).sum()\ndb = dz.sum()"
    for strict in (False, True):
        report = tutor.check(layer(kind, strict), sheet.format(choice))
        assert report.verdict == "correct" and not report.lines[1].mistakes
    for other in others:
        report = tutor.check(layer(kind), sheet.format(other))
        assert report.verdict == "correct" and report.score == 2, report
        assert [m.id for m in report.lines[1].mistakes] == ["kink"]
        assert not report.lines[2].mistakes  # said once
        report = tutor.check(layer(kind, strict=True), sheet.format(other))
        assert report.first_divergence.quantity == "dz" and report.score == 1  # it costs once
        assert [m.id for m in report.lines[1].mistakes] == ["kink"]


def test_what_is_no_subgradient_is_wrong():
    report = tutor.check(layer("relu"), "dz = 2*(h - y)*torch.where(z == 0, 5.0, 1.0*(z > 0))")
    assert report.lines[0].verdict == "wrong" and report.lines[0].mistakes[0].id == "kink"
    assert "no subgradient" in report.lines[0].reason


def test_a_zero_elsewhere_is_no_kink():
    """x is 0 in some entries of the draw on kinks: dividing by it is nothing that the kink has to do with."""
    for strict in (False, True):
        report = tutor.check(layer("relu", strict), "dz = 2*(h - y)*(z > 0)*(x/x)\ndw = (dz*x).sum()\ndb = dz.sum()")
        assert report.verdict == "correct", report


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "correct"), (3.0, "correct"), (-1.5, "correct"), (3.2, "wrong")])
def test_tensors_and_numbers_on_a_kink(value, verdict):
    ex = absolute()
    report = worked_instance(ex, ex.instances[0]).check(dw=torch.tensor(value))
    assert report.lines[0].verdict == verdict
    assert ("kink" in [m.id for m in report.lines[0].mistakes]) == (verdict == "correct" and value != 0)
    assert tutor.check(ex, f"dw = {value}").lines[0].verdict == verdict
    strict = absolute(strict=True)
    expected = "correct" if value == 0 else "wrong"
    assert worked_instance(strict, strict.instances[0]).check(dw=torch.tensor(value)).lines[0].verdict == expected
    assert tutor.check(strict, f"dw = {value}").lines[0].verdict == expected


@pytest.mark.parametrize(
    "address", ["mlp", "mlp:loss=mae", "linear-regression:loss=huber", "linear-regression:loss=mae"]
)
def test_a_draw_beside_kinks(address):
    ex = tutor.load(address)
    t = sample(ex)
    plain = [d.abs().median() for d in kink_plan(ex).run(t.values, t.sizes).values()]
    close = list(beside_kinks(ex, t))
    assert close and len(close) <= 2 * len(kinks_of(ex))
    for other in close:
        assert other.kink_margin > FAR / 10 and other.sizes == t.sizes
        near = [d.abs().min() for d in kink_plan(ex).run(other.values, other.sizes).values()]
        assert min(near) < 0.05 * min(plain)


def test_a_slip_inside_a_sign_is_seen():
    """At two ordinary draws, one part in a hundred changes no sign."""
    ex = tutor.load("mlp:loss=mae")
    assert tutor.check(ex, "dy_pred = torch.sign(y_pred - y)/(N*D2)").lines[0].verdict == "correct"
    for slip in ("1.01*y_pred - y", "y_pred - 0.99*y"):
        assert tutor.check(ex, f"dy_pred = torch.sign({slip})/(N*D2)").lines[0].verdict == "wrong"


def test_no_kinks_no_draws():
    ex = tutor.load("attention")
    assert not kinks_of(ex) and on_kinks(ex) is None and not list(beside_kinks(ex, sample(ex)))


def test_a_tied_maximum_over_an_axis_gives_all_to_the_first():
    ex = Exercise("largest", title="the largest entry")
    N, K = ex.sizes("N K")
    i, k = ex.indices(i=N, k=K)
    z = ex.parameter("z", i, k)
    ex.output("m", [i], MaxOver(z[i, k], k))
    t = on_kinks(ex)
    leaf = t.z.clone().requires_grad_(True)
    leaf.max(1).values.backward(t.dm)
    assert t.check(dz=leaf.grad).verdict == "correct"
    shared = t.z.clone().requires_grad_(True)
    shared.amax(1).backward(t.dm)
    assert t.check(dz=shared.grad).lines[0].mistakes[0].id == "kink"
    assert t.check(dz=shared.grad).verdict == "correct"


# -- torch's choice, derived and printed --------------------------------------------------------------------

TIES = {
    "max": (lambda x, t: Max(x, t), "(x > t) + 0.5*(x == t)", "x >= t", torch.maximum),
    "min": (lambda x, t: Min(x, t), "(x < t) + 0.5*(x == t)", "x <= t", torch.minimum),
    "clamp": (lambda x, t: clamp(x - t, -1, 1), "(x - t >= -1) & (x - t <= 1)", "(x - t > -1) & (x - t <= 1)",
              lambda x, t: (x - t).clamp(-1, 1)),
    "clamp from below": (lambda x, t: clamp(x - t, 0), "x - t >= 0", "x > t", lambda x, t: (x - t).clamp(min=0)),
    "clamp from above": (lambda x, t: clamp(x - t, high=0), "x - t <= 0", "x < t",
                         lambda x, t: (x - t).clamp(max=0)),
}  # fmt: skip


def tied(kind):
    ex = Exercise("tied", title="ties", strict_kinks=True)
    i = ex.indices(i=ex.sizes("N"))
    x, t = ex.parameter("x", i), ex.input("t", i)
    ex.output("y", [i], TIES[kind][0](x[i], t[i]))
    return ex


@pytest.mark.parametrize("kind", TIES)
def test_a_strict_derivation_says_torchs_choice(kind):
    ex = tied(kind)
    _, right, wrong, in_torch = TIES[kind]
    gradient = ex.derive().gradient("x")
    assert tutor.check(ex, f"dx = {gradient.torch}").verdict == "correct", gradient.torch
    assert tutor.check(ex, f"dx[i] = {gradient.index_form}").verdict == "correct", gradient.index_form
    assert tutor.check(ex, f"dx = dy*({right})").verdict == "correct"
    assert tutor.check(ex, f"dx = dy*({wrong})").lines[0].mistakes[0].id == "kink"
    t = on_kinks(ex)
    leaf = t.x.clone().requires_grad_(True)
    in_torch(leaf, t.t).backward(t.dy)
    assert t.check(dx=leaf.grad).verdict == "correct"
    assert tutor.verify(ex).agrees


def test_elsewhere_a_maximum_stays_short():
    ex = layer("max")
    assert ex.derive().gradient("z").torch == "dh * (z > 0)"


@pytest.mark.parametrize(("kind", "name"), [(AmaxOver, "amax"), (AminOver, "amin")])
def test_amax_shares_among_all_that_are_tied(kind, name):
    ex = Exercise("shared", title="the largest entries", strict_kinks=True)
    i, k = ex.indices(i=ex.sizes("N"), k=ex.sizes("K"))
    z = ex.parameter("z", i, k)
    ex.output("m", [i], kind(z[i, k], k))
    t = on_kinks(ex)
    leaf = t.z.clone().requires_grad_(True)
    getattr(leaf, name)(1).backward(t.dm)
    assert t.check(dz=leaf.grad).verdict == "correct"
    gradient = ex.derive().gradient("z")
    assert tutor.check(ex, f"dz = {gradient.torch}").verdict == "correct", gradient.torch
    report = tutor.check(ex, "dz = dm[:, None]*F.one_hot(z.argmax(1), K)" if name == "amax" else
                         "dz = dm[:, None]*F.one_hot(z.argmin(1), K)")  # fmt: skip
    assert report.lines[0].mistakes[0].id == "kink" and "a tie" in report.lines[0].reason
    assert "shares the gradient" in report.lines[0].reason


def test_clamp_wants_two_numbers_in_their_order():
    from sympy import Symbol

    from tutor.errors import ExerciseError

    with pytest.raises(ExerciseError, match="the lower one first"):
        clamp(Symbol("x"), 1, 0)
    assert clamp(2, 0, 1) == 1 and clamp(-2, 0) == 0
