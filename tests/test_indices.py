"""Index calculus: no capture, sums that keep their value, masks that mean what they say, matching up to renaming."""

from __future__ import annotations

import random

import pytest
import sympy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import Programs
from sympy import Add, Idx, KroneckerDelta, Mod, Piecewise, Sum, exp, floor

from tutor.errors import ExerciseError
from tutor.numeric.evaluate import evaluate
from tutor.symbolic.closed import factored, monomials
from tutor.symbolic.derive import meet
from tutor.symbolic.indices import (
    IndexTensor,
    bounds,
    bracket,
    free_indices,
    insert,
    never_negative,
    reduce_over,
    settled,
    solve,
    substitute,
    tensor,
    total,
    within,
)
from tutor.symbolic.rewrite import fold, match, replace_sums

N, M, K = sympy.symbols("N M K", integer=True, positive=True)
i, j, k = (Idx(name, N) for name in "ijk")
a, b = Idx("a", M), Idx("b", M)
x, v, g = tensor("x", [i, a]), tensor("v", [i]), tensor("g", [i, j])
SIZES = {"N": 3, "M": 2}
relaxed = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def values(ex):
    generator = torch.Generator().manual_seed(1)
    return {
        q.name: torch.randn([int(s.xreplace({N: 3, M: 2})) for s in q.shape], generator=generator, dtype=torch.float64)
        for q in ex
    }


def same(one, other, indices, known):
    mine, yours = (evaluate(e, indices, known, SIZES) for e in (one, other))
    return torch.allclose(mine, yours, rtol=1e-9, atol=1e-10)


@relaxed
@given(st.integers(0, 10**9))
def test_total_keeps_the_value_of_a_sum(seed):
    programs = Programs(seed)
    body = programs.expression(3)
    free = sorted(free_indices(body), key=str)
    chosen = random.Random(seed).sample(free, random.Random(seed + 1).randint(0, len(free)))
    left = [f for f in free if f not in chosen]
    known = values(programs.ex)
    plain = reduce_over(Sum, body, chosen)
    assert same(plain, total(body, chosen), left, known)
    terms = monomials(plain)
    if len(terms) < 40:
        assert same(plain, Add(*terms), left, known)
        assert same(plain, factored(Add(*terms)), left, known)


@relaxed
@given(st.integers(0, 10**9))
def test_insertion_never_captures(seed):
    """`q[a, b]` replaced by its formula has the value that evaluating q first gives."""
    programs = Programs(seed)
    formula = programs.expression(2)
    free = sorted(free_indices(formula), key=str)
    while len(free) > 2:
        formula = Sum(formula, free.pop())
    q = tensor("q", free)
    programs.entries = [(q, [f.upper + 1 for f in free])] * 3 + programs.entries
    user = programs.expression(3)
    outer = sorted(free_indices(user), key=str)
    known = values(programs.ex)
    known["q"] = evaluate(formula, free, known, SIZES)
    assert same(user, insert(user, "q", free, formula), outer, known)


def test_substitution_renames_a_bound_index_it_would_capture():
    node = Sum(x[i, a] * v[j], j)
    moved = substitute(node, {i: j})
    assert free_indices(moved) == {j, a}
    assert moved.limits[0][0] != j


def test_insertion_can_swap_indices():
    assert insert(g[i, j], "g", [i, j], tensor("h", [i, j])[j, i]) == tensor("h", [i, j])[j, i]
    assert insert(g[j, i], "g", [i, j], tensor("h", [i, j])[i, j]) == tensor("h", [i, j])[j, i]


@pytest.mark.parametrize(
    ("body", "over", "wanted"),
    [
        (sympy.Integer(1), [i], N),
        (v[i] * v[j], [i, j], Sum(v[i], i) * Sum(v[j], j)),
        (x[i, a] * v[j], [i], v[j] * Sum(x[i, a], i)),
        (v[i] * KroneckerDelta(i, j), [i], v[j]),
        (v[i] / N, [i], Sum(v[i], i) / N),
        (sympy.Integer(1) / N, [i], sympy.Integer(1)),
        (v[j] * 3, [i, a], 3 * N * M * v[j]),
    ],
    ids=str,
)
def test_total(body, over, wanted):
    assert total(body, over) == wanted


def test_delta_with_another_range_leaves_its_mask():
    assert total(v[i] * KroneckerDelta(i, a), [i]) == v[a] * bracket(a < N)


@pytest.mark.parametrize(
    ("slot", "target", "wanted"),
    [
        (i + j, k, k - j),
        (2 * a + i, k, k - 2 * a),
        (N - 1 - i, k, N - 1 - k),
        (2 * i, k, None),
        (floor(i / 2), k, None),
    ],
    ids=str,
)
def test_solve(slot, target, wanted):
    assert solve(slot, target, i) == wanted


def test_ranges_decide_conditions():
    assert never_negative(N + M - 2) and not never_negative(N - 2) and not never_negative(N - M)
    assert bounds(i + a) == (0, N + M - 2)
    assert bounds(i * a) == (0, M * N - M - N + 1)
    assert bounds(floor(i / 2)) is None
    assert within(i, N) == sympy.true
    assert within(i - 1, N) == (i - 1 >= 0)
    assert settled(i < N) == sympy.true and settled(i < 0) == sympy.false and settled(i < 2) == (i < 2)
    t = IndexTensor("t", (N,), K, integer=True)
    assert within(t[i], K) == sympy.true
    assert within(t[i], M) == (t[i] < M)


def test_meeting_of_a_flattened_axis():
    flat = Idx("m", N * M)
    found = meet((floor(flat / M), Mod(flat, M)), (i, a), [flat])
    assert found.solved == {flat: M * i + a} and not found.masks and not found.deltas


def test_matching_is_up_to_index_names():
    pattern = exp(x[i, a]) / Sum(exp(x[i, b]), b)
    node = exp(x[k, b]) / Sum(exp(x[k, a]), a)
    env = match(pattern, node, {}, frozenset((i, a)))
    assert env == {i: k, a: b}
    assert match(exp(x[i, a]), exp(x[i, a] + 1), {}, frozenset((i, a))) is None


def test_a_bound_index_is_no_value_for_a_free_one():
    assert match(Sum(x[i, a] * v[i], a), Sum(x[i, a] * v[i], i), {}, frozenset((i,))) is None


def test_fold_finds_products_powers_and_negated_sums():
    p, s = tensor("p", [i]), tensor("s", [i])
    pattern = v[i] / s[i]
    assert fold(3 * v[j] * x[j, a] / s[j] ** 2, pattern, p[i], [i]) == 3 * p[j] * x[j, a] / s[j]
    root = (v[i] + 1) ** sympy.Rational(-1, 2)
    assert fold((v[j] + 1) ** sympy.Rational(-3, 2), root, s[i], [i]) == s[j] ** 3
    assert fold((v[j] - s[j]) * 2, s[i] - v[i], p[i], [i]) in (-2 * p[j], 2 * v[j] - 2 * s[j])
    assert fold(v[i] / s[j], pattern, p[i], [i]) == v[i] / s[j]


def test_a_declared_sum_is_replaced_at_any_name():
    assert replace_sums(v[j] * Sum(x[j, b], b), Sum(x[i, a], a), sympy.Integer(1), [i]) == v[j]
    other = Sum(x[j, b] * v[j], b)
    assert replace_sums(other, Sum(x[i, a], a), sympy.Integer(1), [i]) == other


def test_wrong_number_of_indices_is_said():
    with pytest.raises(ExerciseError, match=r"x has 2 axes \(N, M\) but is indexed with 1: write one index per axis"):
        x[i]


def test_masks_on_indices_evaluate():
    expr = Piecewise((v[i], i < 2), (0, True)) + bracket(i >= 1)
    assert evaluate(expr, [i], {"v": torch.tensor([5.0, 6.0, 7.0])}, SIZES).tolist() == [5.0, 7.0, 1.0]
