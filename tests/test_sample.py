"""Instances: in their domains, of distinct sizes, away from kinks, the same on every machine."""

import math

import pytest
import torch
from sympy import Abs, Max, Mod, Piecewise, Sum, exp, log, sqrt

import tutor
from tutor.catalogue import entries
from tutor.errors import ExerciseError, NotFoundError, UndecidedError, UsageError
from tutor.exercise import Exercise
from tutor.numeric.kinks import FAR, kink_plan, margin
from tutor.numeric.sample import (
    MANY,
    Instance,
    default_sizes,
    instances,
    sample,
    worked,
    worked_instance,
)
from tutor.operations import MaxOver

IDS = [entry.id for entry in entries()]


def made(*names, **sizes):
    """An exercise with sizes N, D, K and indices n, d, k."""
    ex = Exercise("made")
    N, D, K = ex.sizes("N D K")
    ex.n, ex.d, ex.k = ex.indices(n=N, d=D, k=K)
    ex.N, ex.D, ex.K = N, D, K
    if sizes:
        ex.example(**sizes)
    return ex


# -- sizes -----------------------------------------------------------------------------------------


def test_sizes_are_distinct_primes_by_default_and_the_second_set_permutes_and_grows():
    ex = made()
    a = ex.parameter("a", ex.n, ex.d, ex.k)
    ex.loss("L", Sum(a[ex.n, ex.d, ex.k], ex.n, ex.d, ex.k))
    first, second = default_sizes(ex, 0), default_sizes(ex, 1)
    assert first == {"N": 3, "D": 5, "K": 7}
    assert sorted(second.values()) == [5, 7, 11]
    order = sorted(first, key=first.get), sorted(second, key=second.get)
    assert order[0] != order[1] and all(first[n] != second[n] for n in first)


def test_given_sizes_come_first_and_all_change_in_the_second():
    ex = made(N=30, D=4)
    a = ex.parameter("a", ex.n, ex.d, ex.k)
    ex.loss("L", Sum(a[ex.n, ex.d, ex.k], ex.n, ex.d, ex.k))
    first, second = default_sizes(ex, 0), default_sizes(ex, 1)
    assert (first["N"], first["D"]) == (30, 4) and first["K"] not in (30, 4)
    assert (second["N"], second["D"]) == (31, 5) and len(set(second.values())) == 3
    assert all(first[n] != second[n] for n in first)


def test_every_axis_has_room():
    ex = Exercise("made")
    L, K = ex.sizes("L K")
    l, k, o = ex.indices(l=L, k=K, o=L - K + 1)  # noqa: E741
    x, w = ex.input("x", l), ex.parameter("w", k)
    ex.loss("L2", Sum(Sum(x[o + k] * w[k], k) ** 2, o))
    for draw in (0, 1):
        sizes = default_sizes(ex, draw)
        assert sizes["L"] - sizes["K"] + 1 >= 2
        assert len({sizes["L"], sizes["K"], sizes["L"] - sizes["K"] + 1}) == 3
        sample(ex, 0, draw=draw)


def test_many_sizes_are_quick_and_distinct():
    ex = Exercise("made")
    sizes = ex.sizes(" ".join(f"N{m}" for m in range(12)))
    axes = ex.indices(**{f"n{m}": size for m, size in enumerate(sizes)})
    a = [ex.parameter(f"a{m}", axis) for m, axis in enumerate(axes)]
    ex.loss("L", sum(Sum(p[axis], axis) for p, axis in zip(a, axes, strict=True)))
    for draw in (0, 1):
        assert len(set(default_sizes(ex, draw).values())) == 12


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"M": 3}, "has no size M: it has N, D, K"),
        ({"N": 0}, "N=0 is not a size: give a whole number from 1 up"),
        ({"N": 2.0}, "N=2.0 is not a size"),
        ({"N": True}, "N=True is not a size"),
    ],
)
def test_sizes_that_are_refused(sizes, message):
    ex = made()
    a = ex.parameter("a", ex.n)
    ex.loss("L", Sum(a[ex.n], ex.n))
    with pytest.raises(UsageError, match=message):
        sample(ex, sizes=sizes)


def test_a_batch_of_one_is_possible():
    t = tutor.load("softmax-regression").sample(sizes={"N": 1})
    assert t.sizes["N"] == t.N == 1 and t.x.shape[0] == 1


# -- domains ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", range(6))
@pytest.mark.parametrize("seed", range(4))
def test_domains(seed, draw):
    ex = made()
    n, d, k = ex.n, ex.d, ex.k
    r = ex.parameter("r", n, d)
    s = ex.parameter("s")
    p = ex.input("p", n, k, domain="positive")
    u = ex.input("u", domain="fraction")
    q = ex.input("q", n, k, domain="probability")
    y = ex.input("y", n, k, domain="one-hot")
    t = ex.input("t", n, domain="index", below=ex.K)
    m = ex.input("m", n, d, domain="mask")
    ex.loss("L", u * Sum(r[n, d] * s * m[n, d] * p[n, t[n]] * q[n, t[n]] * y[n, t[n]], n, d))
    i = sample(ex, seed, draw=draw)
    assert bool((i.p > 0).all()) and 0 < float(i.u) < 1 and not bool(((i.r == 0) | (i.r == 1)).any())
    assert torch.allclose(i.q.sum(-1), torch.ones(i.N).double()) and bool((i.q > 0).all())
    assert torch.equal(i.y.sum(-1), torch.ones(i.N).double()) and set(i.y.unique().tolist()) == {0, 1}
    assert i.t.dtype == torch.int64 and bool(((i.t >= 0) & (i.t < i.K)).all())
    assert 1 < i.t.unique().numel() < i.N
    assert set(i.m.unique().tolist()) == {0, 1}
    classes = i.y.argmax(-1).unique().numel()
    assert classes == i.K if i.N >= i.K else classes < i.N
    assert 0.1 <= abs(float(i.s)) <= 10
    assert i.L.dtype == torch.float64 and not any(v.requires_grad for v in i.values.values())


def test_both_signs_and_all_scales_are_drawn():
    ts = instances(tutor.load("linear-regression"))
    assert len(ts) == MANY
    for name in ("w", "b", "x", "y"):
        drawn = [float(t[name]) for t in ts]
        assert min(drawn) < 0 < max(drawn)
        assert min(map(abs, drawn)) < 0.5 and max(map(abs, drawn)) > 2


def test_large_exercises_have_two_draws_of_different_sizes():
    ts = instances(tutor.load("mlp:layers=4"))
    assert len(ts) == 3 and all(ts[0].sizes[n] != ts[1].sizes[n] for n in ts[0].sizes)


def test_scale():
    ex = tutor.load("linear-regression-batch")
    small, large = sample(ex, scale=0.1), sample(ex, scale=10.0)
    assert torch.allclose(large.X, 100 * small.X)


def test_facts_are_obeyed():
    ex = made()
    n, d = ex.n, ex.d
    a, b = ex.parameter("a", n, d, domain="positive"), ex.parameter("b", n, d)
    ex.loss("L", Sum(a[n, d] * b[n, d], n, d))
    ex.fact(Sum(a[n, d], d), 1)
    ex.fact(Sum(b[n, d], n), ex.N)
    for draw in range(4):
        i = sample(ex, draw=draw)
        assert torch.allclose(i.a.sum(1), torch.ones(i.N).double()) and bool((i.a > 0).all())
        assert torch.allclose(i.b.sum(0), torch.full((i.D,), float(i.N)).double())


def test_a_fact_that_does_not_hold_is_named():
    ex = made()
    n, d = ex.n, ex.d
    a = ex.parameter("a", n, d)
    s = ex.step("s", [n], Sum(a[n, d] ** 2, d))
    ex.loss("L", Sum(s[n], n))
    ex.fact(Sum(s[n], n), 1, "as I believe")
    with pytest.raises(ExerciseError, match=r"the fact Sum\(s\[n\].* = 1 \(as I believe\) does not hold: off by"):
        sample(ex)


# -- finite, and away from kinks ------------------------------------------------------------------------------


def test_it_looks_for_a_finite_point():
    ex = Exercise("made")
    a, b = ex.parameter("a"), ex.parameter("b")
    ex.loss("L", log(a) + sqrt(b))
    for seed in range(8):
        assert math.isfinite(sample(ex, seed).L)


@pytest.mark.parametrize("formula, name", [(lambda a: log(-(a**2)), "log"), (lambda a: sqrt(-1 - a**2), "sqrt")])
def test_it_says_where_there_is_none(formula, name):
    ex = Exercise("made")
    a = ex.parameter("a")
    z = ex.step("z", [], formula(a + 0))
    ex.loss("L", z**2)
    with pytest.raises(UndecidedError, match=f"no finite point in the domain of {name}: z was not finite"):
        sample(ex)


def test_it_keeps_away_from_kinks():
    ex = made()
    n, d = ex.n, ex.d
    a, c = ex.parameter("a", n, d), ex.parameter("c")
    ex.step("m", [n], MaxOver(a[n, d], d))
    ex.step("h", [n, d], Piecewise((a[n, d] ** 2, a[n, d] > c), (Abs(a[n, d]), True)))
    ex.loss("L", Sum(Max(ex["m"].entry, c, 0), n) + Sum(ex["h"].entry, n, d))
    assert len(kink_plan(ex).names) == 6
    for seed in range(10):
        assert sample(ex, seed).kink_margin > FAR


def test_a_smooth_exercise_has_no_kinks():
    assert sample(tutor.load("softmax-regression")).kink_margin == math.inf


def test_a_kink_behind_a_condition_is_none():
    ex = made()
    n = ex.n
    a = ex.parameter("a", n)
    ex.loss("L", Sum(Piecewise((Abs(a[n - 1]), n >= 1), (a[n], True)), n) + Sum(a[n] * Mod(n, 2), n))
    t = sample(ex)
    assert t.kink_margin == pytest.approx(float(t.a[:-1].abs().min()))
    zeroed = {**t.values, "a": torch.cat([t.a[:-1], torch.zeros(1).double()])}
    assert margin(ex, zeroed, t.sizes) == pytest.approx(float(t.a[:-1].abs().min()))


# -- the same everywhere, and nothing else changed ----------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_same_seed_same_numbers(name):
    first, again, other = (sample(tutor.load(name), seed, draw=1) for seed in (3, 3, 4))
    assert all(torch.equal(first[n], again[n]) for n in first.values)
    assert not all(torch.equal(first[n], other[n]) for n in first.values)


def test_torch_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    instances(tutor.load("softmax-regression"))
    assert torch.equal(torch.rand(3), expected)


def test_numbers_are_pinned():
    """A change here changes every stored verdict: say so in the changelog."""
    t = tutor.load("linear-regression").sample(seed=0)
    assert [round(float(t[n]), 6) for n in ("w", "b", "x", "y")] == PINNED


PINNED = [-2.437946, 1.518146, 1.39954, 0.362451]


# -- the instance ------------------------------------------------------------------------------------------------------


def test_access():
    t = tutor.load("attention").sample()
    assert t.Q is t["Q"] and t.N == t["N"] == 3
    assert t.dO.shape == t.O.shape and "dO" in t and "N" in t and "nothing" not in t
    assert {"Q", "O", "dO", "N"} <= set(t) and all(name in t for name in t)
    with pytest.raises(NotFoundError, match='has no "0"'):
        t[0]
    assert {"Q", "a", "dO", "N"} <= set(dir(t))
    assert set(t.leaves) == {"Q", "K", "V", "dO"}
    with pytest.raises(NotFoundError, match='an instance of attention has no "dQ"; did you mean "Q"'):
        t["dQ"]
    with pytest.raises(AttributeError, match="no"):
        t.nothing  # noqa: B018


def test_values_after_the_backward_pass():
    t = tutor.load("sgd-step").sample()
    assert torch.allclose(t["w_new"], t.w - t.eta * 2 * (t.y_pred - t.y) * t.x)


def test_intermediates_can_be_viewed_and_do_not_share_memory():
    ex = made()
    n, d = ex.n, ex.d
    a = ex.parameter("a", n, d)
    turned = ex.step("turned", [d, n], a[n, d])
    same = ex.step("same", [d, n], turned[d, n])
    ex.loss("L", Sum(exp(same[d, n]), n, d))
    t = sample(ex)
    t.turned.view(-1)[:] = 0
    assert bool((t.same != 0).all()) and bool((t.a != 0).all())


def test_to():
    t = tutor.load("embedding").sample().to(dtype=torch.float32)
    assert t.E.dtype == torch.float32 and t.t.dtype == torch.int64 and t.emb.dtype == torch.float32
    assert t.sizes == tutor.load("embedding").sample().sizes


def test_it_shows_itself():
    t = tutor.load("linear-regression").sample()
    shown = str(t)
    assert shown.startswith("Instance('linear-regression', seed=0)")
    assert [line.split()[:3] for line in shown.splitlines()[1:3]] == [[n, "parameter", "scalar"] for n in "wb"]
    assert t._repr_mimebundle_()["text/plain"] == shown


# -- worked examples --------------------------------------------------------------------------------------------------


def test_the_tutorial():
    t = worked(tutor.load("linear-regression"))
    assert isinstance(t, Instance) and (float(t.y_pred), float(t.L)) == (2, 4)
    assert (float(t.after["dw"]), float(t.after["db"])) == (-8, -4)


def test_its_shapes_are_fine():
    ex = tutor.load("linear-regression")
    t = worked_instance(ex, {"w": torch.ones(1), "b": [0], "x": 2, "y": [[4.0]]})
    assert t.w.shape == () and float(t.L) == 4 and t.w.dtype == torch.float64


def test_sizes_are_inferred():
    ex = tutor.load("embedding")
    t = worked_instance(ex, {"E": [[1, 2], [3, 4], [5, 6]], "t": [2, 0, 2, 2], "y": torch.zeros(4, 2)})
    assert t.sizes == {"V": 3, "N": 4, "D": 2} and t.t.dtype == torch.int64
    assert t.emb.tolist() == [[5, 6], [1, 2], [5, 6], [5, 6]]


@pytest.mark.parametrize(
    "values, message",
    [
        ({"E": [[1, 2]]}, "no value is given for t, y"),
        ({"E": [[1, 2]], "t": [0], "y": [[0, 0]], "emb": 1}, "emb is not an input or parameter"),
        ({"E": [[1, 2], [3]], "t": [0], "y": [[0, 0]]}, "E = .* is no number, no list of numbers"),
        ({"E": "x", "t": [0], "y": [[0, 0]]}, "E = 'x' is no number"),
        ({"E": [1, 2], "t": [0], "y": [[0, 0]]}, r"E has 2 axes, but the value's shape is \(2,\)"),
        ({"E": [[1, 2]], "t": [0], "y": [[0, 0, 0]]}, "y says D = 3, but it was 2 before"),
        ({"E": [[1, 2]], "t": [0.5], "y": [[0, 0]]}, "t is an index: its entries are whole numbers"),
        ({"E": [[1, 2]], "t": [1], "y": [[0, 0]]}, "t has entries outside of 0 to 0"),
    ],
)
def test_values_that_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        worked_instance(tutor.load("embedding"), values)
