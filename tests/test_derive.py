"""The backward walk against autograd: random programs, every rule, every operation, and rules spoilt on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import Programs
from sympy import Abs, KroneckerDelta, Max, Min, Mod, Piecewise, Product, Rational, Sum, exp, floor

import tutor
from tutor.exercise import Exercise
from tutor.functions import clamp, gelu, log1p, relu, silu
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.evaluate import compile_program, number
from tutor.numeric.sample import sample
from tutor.operations import (
    AmaxOver,
    AminOver,
    AveragePool1d,
    Concatenate,
    Convolution1d,
    Convolution2d,
    CumulativeSum,
    Det,
    Flip,
    Inverse,
    LogDet,
    MaxOver,
    MaxPool1d,
    MaxPool2d,
    MinOver,
    Pad,
    Reshape,
)
from tutor.symbolic import derive as derive_module
from tutor.symbolic import functions as functions_module
from tutor.symbolic.derive import derive
from tutor.symbolic.functions import FUNCTIONS
from tutor.symbolic.operations import OPERATIONS


def values_for(ex: Exercise, sizes: dict[str, int], seed: int = 0, positive: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = {}
    for q in [*ex.leaves, *(ex.gradient_quantity(o) for o in ex.ends if o.kind == "output")]:
        shape = [number(s, sizes) for s in q.shape]
        if q.domain == "index":
            values[q.name] = torch.randint(number(q.below, sizes), shape, generator=generator)
        else:
            made = torch.randn(shape, generator=generator, dtype=torch.float64)
            values[q.name] = made.abs() + 0.2 if positive or q.domain == "positive" else made
    return values


def both(ex: Exercise, sizes: dict[str, int], seed: int = 0, positive: bool = False):
    """Our gradients and autograd's through the same forward program, by name."""
    given_values = values_for(ex, sizes, seed, positive)
    leaves = {
        q.name: given_values[q.name].clone().requires_grad_() if q.differentiable else given_values[q.name]
        for q in ex.leaves
    }
    forward = compile_program([(q.name, q.indices, q.expr) for q in ex.forward], distinct=True)
    computed = forward.run(leaves, sizes)
    upstream = {k: v for k, v in given_values.items() if k not in leaves}
    end = sum((computed[q.name] * upstream.get(f"d{q.name}", 1)).sum() for q in ex.ends)
    named = {**leaves, **computed}
    wanted = [q for q in ex if q.differentiable and named[q.name].requires_grad]  # x - x is a constant
    theirs = torch.autograd.grad(end, [named[q.name] for q in wanted], allow_unused=True, materialize_grads=True)
    plain = {k: v.detach() for k, v in named.items()}
    ours = compile_program(derive(ex).program).run({**plain, **upstream}, sizes)
    ours |= upstream
    return {q.name: (ours[f"d{q.name}"], theirs[n]) for n, q in enumerate(wanted)}


def agree(ex: Exercise, sizes: dict[str, int], **options) -> bool:
    return all(
        mine.shape == yours.shape and torch.allclose(mine, yours, rtol=1e-9, atol=1e-11 * (1 + yours.abs().max()))
        for mine, yours in both(ex, sizes, **options).values()
    )


# -- random programs ----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_random_programs_agree_with_autograd(seed):
    ex = Programs(seed).build()
    assert agree(ex, {"N": 3, "M": 2}, seed=seed % 1000), f"seed {seed}"


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_random_programs_with_gathers_and_masks_agree_with_autograd(seed):
    ex = Programs(seed, rich=True).build()
    t = sample(ex, seed % 1000)
    for name, truth in gradients_by_autograd(ex, t).items():
        assert torch.allclose(t.after[f"d{name}"], truth, rtol=1e-8, atol=1e-10 * (1 + truth.abs().max())), (
            f"seed {seed}"
        )


# -- every function, every operation ----------------------------------------------------------------------


def scalar_exercise(make) -> Exercise:
    ex = Exercise("row")
    n = ex.sizes("N")
    i = ex.indices(i=n)
    x = ex.parameter("x", i)
    ex.output("o", [i], make(x[i]))
    return ex


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_row_agrees_with_autograd(name):
    row = FUNCTIONS[name]
    positive = row.domain(sympy.Symbol("x", real=True)) != sympy.true
    assert agree(scalar_exercise(lambda x: row.sympy(x) * x), {"N": 7}, positive=positive)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_row_agrees_with_sympy_diff(name):
    row = FUNCTIONS[name]
    x = sympy.Symbol("x", real=True)
    judge = sympy.diff(row.sympy(x), x)
    ours = row.slope(x, row.sympy(x))
    for point in (Rational(7, 10), Rational(13, 10)):
        value = judge.subs(x, point).doit() if name not in ("Abs", "sign") else {"Abs": 1, "sign": 0}[name]
        assert abs(sympy.N(ours.subs(x, point) - value, 30)) < 1e-20


@pytest.mark.parametrize("name", [n for n in sorted(FUNCTIONS) if n not in ("sign", "Heaviside")])
def test_function_row_spoilt_by_a_thousandth_is_noticed(name, monkeypatch):
    row = FUNCTIONS[name]
    spoilt = replace(row, slope=lambda x, y: row.slope(x, y) * Rational(1001, 1000))
    if name == "sqrt":  # a power in SymPy: its rule is the power rule
        original = derive_module._pow_paths
        monkeypatch.setitem(
            derive_module._STRUCTURE,
            sympy.Pow,
            lambda node, *q: [p.through(Rational(1001, 1000)) for p in original(node, *q)],
        )
    monkeypatch.setitem(functions_module._BY_CLASS, row.sympy, spoilt)
    positive = row.domain(sympy.Symbol("x", real=True)) != sympy.true
    assert not agree(scalar_exercise(lambda x: row.sympy(x) * x), {"N": 7}, positive=positive)


def operation_exercise(name: str) -> tuple[Exercise, dict[str, int]]:
    """One exercise per row of the operations table."""
    ex = Exercise("operation")
    make = {
        "MaxOver": MaxOver,
        "MinOver": MinOver,
        "AmaxOver": AmaxOver,
        "AminOver": AminOver,
        "Product": Product,
    }
    if name in make or name in ("CumulativeSum", "Flip"):
        n, k = ex.sizes("N K")
        i, j = ex.indices(i=n, j=k)
        x = ex.parameter("x", i, j)
        if name in make:
            ex.output("o", [i], make[name](x[i, j] ** 2, j) * x[i, 0])
        else:
            ex.output("o", [i, j], CumulativeSum(sympy.sin(x[i, j]), j) if name == "CumulativeSum" else Flip(x)[i, j])
        return ex, {"N": 3, "K": 4}
    if name in ("Inverse", "LogDet", "Det"):
        n = ex.sizes("N")
        i, j = ex.indices(i=n, j=n)
        a = ex.parameter("A", i, j)
        if name == "Inverse":
            ex.output("o", [i, j], Inverse(a)[i, j])
        else:
            ex.loss("o", {"LogDet": LogDet, "Det": Det}[name](a) ** 2)
        return ex, {"N": 3}
    if name == "Reshape":
        n, t, d = ex.sizes("N T D")
        i, r, c, m = ex.indices(i=n, r=t, c=d, m=t * d)
        x = ex.parameter("x", i, r, c)
        ex.output("o", [i, m], Reshape(x, (n, t * d))[i, m] ** 2)
        return ex, {"N": 2, "T": 3, "D": 4}
    if name == "Concatenate":
        n, a, b = ex.sizes("N A B")
        i, j, k, m = ex.indices(i=n, j=a, k=b, m=a + b)
        x, y = ex.parameter("x", i, j), ex.parameter("y", i, k)
        ex.output("o", [i, m], Concatenate((x, y), axis=1)[i, m] ** 2)
        return ex, {"N": 2, "A": 3, "B": 4}
    if name == "Pad":
        n = ex.sizes("N")
        i, o = ex.indices(i=n, o=n + 3)
        x = ex.parameter("x", i)
        ex.output("y", [o], Pad(x, (1,))[o])
        return ex, {"N": 4}
    return convolution_exercise(name)


def convolution_exercise(name: str) -> tuple[Exercise, dict[str, int]]:
    ex = Exercise("operation")
    n, c, f, k, o = ex.sizes("N C F K O")
    i, h, g, a = ex.indices(i=n, h=c, g=f, a=k)
    if name == "Convolution1d":
        length, p = ex.indices(l=2 * (o - 1) + k - 2, p=o)
        x, w = ex.parameter("x", i, h, length), ex.parameter("w", g, h, a)
        ex.output("y", [i, g, p], Convolution1d(x, w, stride=2, padding=1)[i, g, p])
    elif name == "Convolution2d":
        b, rows, columns, p, q = ex.indices(b=k, r=o + k - 3, s=o + k - 3, p=o, q=o)
        x, w = ex.parameter("x", i, h, rows, columns), ex.parameter("w", g, h, a, b)
        ex.output("y", [i, g, p, q], Convolution2d(x, w, padding=1)[i, g, p, q])
    elif name in ("MaxPool1d", "AveragePool1d"):
        length, p = ex.indices(l=2 * o + 1, p=o)
        x = ex.parameter("x", i, h, length)
        make = MaxPool1d if name == "MaxPool1d" else AveragePool1d
        ex.output("y", [i, h, p], make(x, 3, stride=2)[i, h, p])
    else:
        rows, columns, p, q = ex.indices(r=2 * o, s=2 * o, p=o, q=o)
        x = ex.parameter("x", i, h, rows, columns)
        ex.output("y", [i, h, p, q], MaxPool2d(x, 2)[i, h, p, q])
    return ex, {"N": 2, "C": 3, "F": 2, "K": 4, "O": 5}


TORCH = {
    "MaxOver": lambda v: (v["x"] ** 2).max(1).values * v["x"][:, 0],
    "MinOver": lambda v: (v["x"] ** 2).min(1).values * v["x"][:, 0],
    "AmaxOver": lambda v: (v["x"] ** 2).amax(1) * v["x"][:, 0],
    "AminOver": lambda v: (v["x"] ** 2).amin(1) * v["x"][:, 0],
    "Product": lambda v: (v["x"] ** 2).prod(1) * v["x"][:, 0],
    "CumulativeSum": lambda v: v["x"].sin().cumsum(1),
    "Flip": lambda v: v["x"].flip(1),
    "Inverse": lambda v: torch.linalg.inv(v["A"]),
    "LogDet": lambda v: torch.linalg.slogdet(v["A"]).logabsdet ** 2,
    "Det": lambda v: torch.linalg.det(v["A"]) ** 2,
    "Reshape": lambda v: v["x"].reshape(2, 12) ** 2,
    "Concatenate": lambda v: torch.cat((v["x"], v["y"]), 1) ** 2,
    "Pad": lambda v: torch.nn.functional.pad(v["x"], (1, 2)),
    "Convolution1d": lambda v: torch.nn.functional.conv1d(v["x"], v["w"], stride=2, padding=1),
    "Convolution2d": lambda v: torch.nn.functional.conv2d(v["x"], v["w"], padding=1),
    "MaxPool1d": lambda v: torch.nn.functional.max_pool1d(v["x"], 3, 2),
    "AveragePool1d": lambda v: torch.nn.functional.avg_pool1d(v["x"], 3, 2),
    "MaxPool2d": lambda v: torch.nn.functional.max_pool2d(v["x"], 2),
}


def native(ex: Exercise, name: str, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    """Gradients through torch's own operation, which shares nothing with ours."""
    values = values_for(ex, sizes)
    leaves = {q.name: values[q.name].requires_grad_() for q in ex.leaves}
    end = (TORCH[name](leaves) * values.get(f"d{ex.ends[0].name}", 1)).sum()
    return dict(zip(leaves, torch.autograd.grad(end, list(leaves.values())), strict=True))


def agrees_natively(name: str) -> bool:
    ex, sizes = operation_exercise(name)
    ours = both(ex, sizes)
    return all(torch.allclose(ours[q][0], theirs, rtol=1e-9) for q, theirs in native(ex, name, sizes).items())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_row_agrees_with_torch(name):
    ex, sizes = operation_exercise(name)
    assert agree(ex, sizes)
    assert agrees_natively(name)


@pytest.mark.parametrize("name", sorted(n for n, row in OPERATIONS.items() if row.local))
def test_operation_row_spoilt_by_a_thousandth_is_noticed(name, monkeypatch):
    from tutor.symbolic import operations

    row = OPERATIONS[name]
    spoilt = replace(row, local=lambda *a: row.local(*a) * Rational(1001, 1000))
    monkeypatch.setitem(operations._BY_CLASS, row.make, spoilt)
    assert not agrees_natively(name)


@pytest.mark.parametrize("name", sorted(n for n, row in OPERATIONS.items() if not row.local))
def test_spelled_operation_spoilt_by_a_thousandth_is_noticed(name):
    ex, sizes = operation_exercise(name)
    end = ex.ends[0]
    spoilt = Exercise("spoilt")
    spoilt.size_symbols, spoilt.index_symbols = ex.size_symbols, ex.index_symbols
    spoilt.quantities = {**ex.quantities, end.name: replace(end, expr=end.expr * Rational(1001, 1000))}
    ours = both(spoilt, sizes)
    assert not all(torch.allclose(ours[q][0], g, rtol=1e-9) for q, g in native(ex, name, sizes).items())


STRUCTURES = {
    "add": lambda x: x + x**2,
    "product of three": lambda x: x * sympy.sin(x) * exp(x),
    "quotient": lambda x: sympy.sin(x) / (x**2 + 1),
    "power": lambda x: (x**2 + 1) ** Rational(-3, 2),
    "exponential": lambda x: 3**x,
    "power and exponent": lambda x: (x**2 + 1) ** x,
    "Max": lambda x: Max(x, x**2, Rational(1, 2)) * x,
    "Min": lambda x: Min(x, 2 * x) * x,
    "Piecewise": lambda x: Piecewise((x**2 / 2, Abs(x) <= 1), (Abs(x) - Rational(1, 2), True)),
    "relu": lambda x: relu(x) ** 2,
    "gelu of silu": lambda x: gelu(silu(x)),
    "log1p": lambda x: log1p(exp(x)),
    "clamp": lambda x: clamp(x, -1, Rational(1, 2)) * x,
    "another SymPy function": lambda x: sympy.asinh(x),
}


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_structural_rule_agrees_with_autograd(name):
    assert agree(scalar_exercise(STRUCTURES[name]), {"N": 9})


@pytest.mark.parametrize("kind", list(derive_module._STRUCTURE), ids=lambda k: k.__name__)
def test_structural_rule_spoilt_by_a_thousandth_is_noticed(kind, monkeypatch):
    rule = derive_module._STRUCTURE[kind]
    spoilt = lambda node, *q: [p.through(Rational(1001, 1000)) for p in rule(node, *q)]  # noqa: E731
    if rule is derive_module._no_paths:
        pytest.skip("nothing flows through an index")
    monkeypatch.setitem(derive_module._STRUCTURE, kind, spoilt)
    found = [agree(scalar_exercise(make), {"N": 9}) for make in STRUCTURES.values()]
    ex = Exercise("sum")
    n = ex.sizes("N")
    i = ex.indices(i=n)
    x = ex.parameter("x", i)
    ex.loss("L", Sum(x[i] ** 2, i) ** 2)
    assert not all([*found, agree(ex, {"N": 4})])


# -- capture, deltas, diagonals ------------------------------------------------------------------------------


def test_one_array_under_two_index_names():
    ex = Exercise("gram")
    n, d = ex.sizes("N D")
    i, i2, j = ex.indices(i=n, i2=n, j=d)
    x = ex.parameter("x", i, j)
    g = ex.step("g", [i, i2], Sum(x[i, j] * x[i2, j], j))
    ex.loss("L", Sum(sympy.sin(g[i, i2]) * g[i2, i] + g[i, i], i, i2))
    assert agree(ex, {"N": 3, "D": 4})


def test_nested_sums_over_one_axis_and_a_sum_in_a_sum():
    ex = Exercise("nested")
    n = ex.sizes("N")
    i, j = ex.indices(i=n, j=n)
    x = ex.parameter("x", i)
    s = ex.step("s", [i], Sum(x[j] * Sum(x[i] * x[j], i), j) * x[i])
    ex.loss("L", Sum(s[i] * Sum(s[i], i), i))
    assert agree(ex, {"N": 4})


def test_diagonal_index_as_value_and_constant_entry():
    ex = Exercise("odd")
    n = ex.sizes("N")
    i, j = ex.indices(i=n, j=n)
    a = ex.parameter("A", i, j)
    d = ex.step("g", [i], a[i, i] * i + a[0, i])
    ex.loss("L", Sum(d[i] ** 2 * (i + 1), i))
    assert agree(ex, {"N": 4})


def test_keepdim_axes():
    ex = Exercise("keepdim")
    n, h = ex.sizes("N H")
    i, k, o = ex.indices(i=n, k=h, o=1)
    x, g = ex.parameter("x", i, k), ex.parameter("g", o, k)
    m = ex.step("m", [o, k], Sum(x[i, k], i) / n + 0 * g[o, k])
    ex.loss("L", Sum((x[i, k] * g[0, k] - m[0, k]) ** 2, i, k))
    assert agree(ex, {"N": 3, "H": 4})


def test_gather_with_repeated_indices_and_class_picks():
    ex = Exercise("gather")
    n, v, d = ex.sizes("N V D")
    i, r, c = ex.indices(i=n, r=v, c=d)
    table = ex.parameter("E", r, c)
    t = ex.input("t", i, domain="index", below=v)
    k = ex.input("k", i, domain="index", below=d)
    h = ex.step("h", [i, c], sympy.sin(table[t[i], c]))
    ex.loss("L", Sum(h[i, k[i]] ** 2, i) + Sum(h[i, c] * KroneckerDelta(c, k[i]), i, c))
    assert agree(ex, {"N": 7, "V": 3, "D": 4})


# -- the steps are the answer --------------------------------------------------------------------------------


def every_catalogue_exercise():
    import tutor

    return [entry.id for entry in tutor.entries()]


@pytest.mark.parametrize("name", every_catalogue_exercise())
def test_every_line_of_a_derivation_has_the_same_value(name):
    """Each step's `after` is evaluated by itself and equals the gradient it leads to."""
    import tutor
    from tutor.numeric.evaluate import evaluate
    from tutor.symbolic.derive import Partial

    ex = tutor.load(name)
    instance = ex.sample(seed=3)
    values = dict(instance.values)
    derivation = ex.derive()
    values |= compile_program(derivation.program).run(values, instance.sizes)
    seen = 0
    for gradient in derivation.gradients.values():
        true = values[gradient.symbol_name]
        for step in (*gradient.step.steps, *gradient.closed_form.steps):
            if not step.after.has(Partial):
                seen += 1
                value = evaluate(step.after, gradient.indices, values, instance.sizes)
                assert torch.allclose(value.expand(true.shape), true, rtol=1e-8, atol=1e-10), (gradient.name, step.rule)
    assert seen >= 1


def test_the_last_step_is_the_answer():
    import tutor

    for gradient in tutor.load("layer-norm").derive().gradients.values():
        if gradient.step.steps:
            assert gradient.step.steps[-1].after == gradient.expr
        befores = [s.before for s in gradient.step.steps[1:]]
        assert befores == [s.after for s in gradient.step.steps[:-1]]


def test_derivation_is_linear_in_depth():
    import tutor

    counts = [
        sum(
            1
            for g in tutor.load(f"deep-chain:depth={n}").derive().gradients.values()
            for _ in sympy.preorder_traversal(g.expr)
        )
        for n in (20, 80)
    ]
    assert counts[1] < 4.5 * counts[0]


# -- closed forms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "quantity", "wanted"),
    [
        ("softmax-regression", "z", "(p[i,k] - y[i,k]) / N"),
        (
            "layer-norm",
            "x",
            "istd[i]·(dxhat[i,j] - (Σj1 dxhat[i,j1]) / D - xhat[i,j]·(Σj1 dxhat[i,j1]·xhat[i,j1]) / D)",
        ),
        ("attention", "a", "P[n,m]·(dP[n,m] - Σm1 dP[n,m1]·P[n,m1])"),
        ("linear-regression", "w", "2·x·(y_pred - y)"),
        ("sigmoid-bce", "p", "(1 - t) / (1 - p) - t / p"),
        ("sigmoid-bce", "z", "p - t"),
        ("tanh-neuron", "w1", "x1·(1 - o²)"),
        ("sin-exp-cos-chain", "f2", "-2·w3·(f3 - y)·sin(f2)"),
        ("word2vec-softmax", "z", "p[w] - δ(o, w)"),
        ("word2vec-softmax", "v", "Σw U[w,d]·p[w] - U[o,d]"),
        ("tied-embedding-lm", "z", "(p[n,w] - δ(w, y[n])) / N"),
        ("attention:heads=2", "V", "Σn dO[n,i]·P[⌊i / E⌋,n,m]"),
        ("contrastive", "S", "(p[i,j] + q[i,j] - 2·δ(i, j)) / (2·N)"),
        ("logdet-solve", "b", "(Σj b[j]·inv(A)[j,i] + x[i]) / 2"),
        (
            "tied-embedding-lm",
            "E",
            "(Σn h[n,d]·(p[n,w] - δ(w, y[n])) + Σn δ(w, ix[n])·(Σw1 E[w1,d]·p[n,w1] - E[y[n],d])) / N",
        ),
    ],
)
def test_closed_forms_reach_the_textbook(name, quantity, wanted):
    import tutor
    from tutor.symbolic.notation import plain_form

    ex = tutor.load(name)
    assert plain_form(ex.derive().gradient(quantity).closed, ex) == wanted


@pytest.mark.parametrize(("part", "text", "torch"), [
    ("repeat", "Σk dy[i+N·k]", "dy.view(K, N).sum(0)"),
    ("shift", "dy[i+1]·[i < N - 1]", "F.pad(dy[1:], (0, 1))"),
    ("slice", "dy[i-1]·[i ≥ 1]", "F.pad(dy, (1, 0))"),
    ("flip", "dy[N-i-1]", "dy.flip(0)"),
    ("cumsum", "Σ{i1 ≥ i} dy[i1]", "dy.flip(0).cumsum(0).flip(0)"),
])  # fmt: skip
def test_what_was_moved_is_moved_back(part, text, torch):
    import tutor
    from tutor.symbolic.notation import plain_form

    ex = tutor.load(f"index-puzzles:part={part}")
    gradient = ex.derive().gradient("x")
    assert (plain_form(gradient.expr, ex), gradient.torch) == (text, torch)


def test_an_entry_repeated_in_blocks_gets_the_sum_of_its_block():
    ex = Exercise("blocks")
    N, K, D = ex.sizes("N K D")
    m, j = ex.indices(m=N * K, j=D)
    x = ex.input("x", ex.indices(i=N), j)
    ex.output("y", [m, j], x[floor(m / K), j] ** 2)
    ex.ask("x")
    assert tutor.verify(ex).agrees
    assert ex.derive().gradient("x").torch == "2 * x * dy.view(N, K, D).sum(1)"


def test_what_cancels_is_said():
    import tutor

    steps = tutor.load("sigmoid-bce").derive().gradient("z").closed_form.steps
    (said,) = [m for s in steps for m in s.messages if m.id == "multiply-out"]
    assert [str(f) for f in said.params["factors"]] == ["1 - p"] and said.says.endswith("cancels")


def test_a_closed_form_is_built_on_those_that_are_asked_as_well():
    import tutor

    closed = tutor.load("tied-embedding-lm").derive().gradient("E").closed_form
    rules = [m.id for s in closed.steps for m in s.messages]
    assert rules.count("insert-closed") == 2 and "insert" not in rules


def test_a_closed_form_that_nobody_reads_is_left_in_steps():
    import tutor

    gradient = tutor.load("rnn").derive().gradient("Wx")
    assert gradient.closed == gradient.expr
    assert tutor.load("rnn:steps=2").derive().gradient("Wx").closed != gradient.expr


def test_matrix_products_stay_apart_in_closed_forms():
    import tutor
    from tutor.symbolic.torch_form import torch_form

    for address, name, wanted in [
        ("gru-cell", "x", "@ Wn.T"),
        ("tied-embedding-lm", "E", "(p - F.one_hot(y, V)).T @ h"),
        ("rnn:steps=2", "Wh", "h0.T @ (((dy2 * (1 - h2**2)) @ Wh.T + dy1) * (1 - h1**2))"),
    ]:
        ex = tutor.load(address)
        gradient = ex.derive().gradient(name)
        assert wanted in torch_form(gradient.closed, gradient.indices, ex)


@pytest.mark.parametrize(
    ("address", "name", "wanted"),
    [
        ("attention:causal=true", "a", "torch.tril(db)"),
        ("attention:heads=2", "Q", "dq.transpose(0, 1).reshape(N, 2*D)"),
        ("attention:heads=2", "q", "da @ k / D**0.5"),
        ("attention:heads=2", "k", "da.mT @ q / D**0.5"),
        ("attention:heads=3,causal=true", "o", "dO.view(N, 3, E).transpose(0, 1)"),
        ("attention:heads=3,causal=true", "a", "torch.tril(db)"),
    ],
)
def test_heads_and_masks_in_torch(address, name, wanted):
    import tutor

    assert tutor.load(address).derive().gradient(name).torch == wanted


def test_an_axis_is_split_into_digits_without_a_mask():
    import tutor

    gradient = tutor.load("attention:heads=2").derive().gradient("Q")
    assert not gradient.expr.has(Piecewise) and gradient.expr.has(Mod)


def test_the_diagonal_of_a_matrix_in_torch():
    import tutor

    assert tutor.load("contrastive").derive().gradient("p").torch == "-torch.eye(N) / (2 * N * p.diagonal()[:, None])"


def test_a_scatter_of_scalars_is_made_in_their_dtype():
    import tutor
    from tutor.symbolic.torch_form import torch_form

    ex = tutor.load("word2vec-negative-sampling")
    gradient = ex.derive().gradient("U")
    assert "q.new_zeros(V).index_add(0, neg, q)" in torch_form(gradient.closed, gradient.indices, ex)


def test_a_closed_form_states_the_facts_it_uses():
    import tutor

    closed = tutor.load("softmax-regression").derive().gradient("z").closed_form
    assert [s.rule for s in closed.steps if s.rule in ("fact", "cancel")] == ["cancel", "fact"]
    assert "rows of y are one-hot" in str(closed)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9), st.booleans())
def test_closed_forms_of_random_programs_keep_their_value(seed, rich):
    from tutor.numeric.evaluate import evaluate

    ex = Programs(seed, rich).build()
    sizes = {"N": 3, "M": 2}
    values = sample(ex, sizes=sizes).values
    derivation = derive(ex)
    true = compile_program(derivation.program).run(values, sizes)
    for gradient in derivation.gradients.values():
        value = evaluate(gradient.closed, gradient.indices, values | true, sizes)
        wanted = true[gradient.symbol_name]
        assert torch.allclose(value.expand(wanted.shape), wanted, rtol=1e-7, atol=1e-9 * (1 + wanted.abs().max()))


# -- corners that a reader of the code found -------------------------------------------------------------------


def a_gather_beside_index_arithmetic(ex, n, m):
    i, k, v, w = ex.indices(i=n, k=m, v=m, w=n + m - 1)
    t = ex.input("t", i, domain="index", below=m)
    e = ex.parameter("E", v, w)
    ex.output("o", [i, k], e[t[i], i + k] ** 2)


def a_scalar_index_in_a_condition(ex, n, m):
    i = ex.indices(i=n)
    t = ex.input("t", domain="index", below=m)
    x = ex.parameter("x", i)
    ex.output("o", [i], Piecewise((x[i] ** 2, t > 0), (0, True)) + x[i])


def a_kept_axis_that_the_formula_does_not_mention(ex, n, m):
    i, h, o = ex.indices(i=n, h=m, o=1)
    x = ex.parameter("x", i, h)
    u = ex.step("u", [o, h], exp(Sum(x[i, h], i) / n))
    ex.output("y", [i, h], x[i, h] * u[0, h])


def exponentials_at_two_indices(ex, n, m):
    i, j = ex.indices(i=n, j=n)
    z, a, b = ex.parameter("z", i), ex.parameter("a", i), ex.parameter("b", i)
    v = ex.step("v", [i], exp(z[i]) * a[i] * b[i])
    ex.output("o", [i, j], exp(z[i]) * a[j] * b[j] * v[i])


def a_mask_that_is_zero(ex, n, m):
    i = ex.indices(i=n)
    w = ex.parameter("w", i)
    x = ex.input("x", i)
    t = ex.input("m", i, domain="mask")
    h = ex.step("h", [i], w[i] * x[i])
    v = ex.step("v", [i], t[i] * h[i])
    ex.loss("L", Sum(v[i] ** 2 + h[i] ** 2, i))


CORNERS = [
    a_gather_beside_index_arithmetic,
    a_scalar_index_in_a_condition,
    a_kept_axis_that_the_formula_does_not_mention,
    exponentials_at_two_indices,
    a_mask_that_is_zero,
]


@pytest.mark.parametrize("build", CORNERS, ids=lambda f: f.__name__)
def test_corner_agrees_with_autograd_closed_form_included(build):
    from tutor.numeric.evaluate import evaluate

    ex, sizes = Exercise("corner"), {"N": 3, "M": 4}
    build(ex, *ex.sizes("N M"))
    assert agree(ex, sizes)
    values = values_for(ex, sizes)
    if "m" in values:
        values["m"] = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    values |= compile_program([(q.name, q.indices, q.expr) for q in ex.forward]).run(values, sizes)
    true = compile_program(derive(ex).program).run(values, sizes)
    for gradient in derive(ex).gradients.values():
        if gradient.symbol_name in true:
            wanted = true[gradient.symbol_name]
            closed = evaluate(gradient.closed, gradient.indices, values | true, sizes)
            assert torch.allclose(closed.expand(wanted.shape), wanted, rtol=1e-8)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_shown(name):
    ex, _ = operation_exercise(name)
    assert str(derive(ex)) and derive(ex)._repr_mimebundle_()


def said(ex, name):
    """Ids of the sentences beside the gradient of one quantity."""
    return [m.id for step in ex.derive().gradients[name].step.walk() for m in step.messages]


def test_numbers_that_cancel_are_said():
    assert "cancelled" in said(tutor.load("affine-half-square"), "r")
    assert "cancelled" not in said(tutor.load("linear-regression"), "y_pred")


def test_a_maximum_is_not_called_a_sum():
    assert "one-term" not in said(tutor.load("softmax"), "z")
    assert "one-term" in said(tutor.load("layer-norm"), "xc")


X = sympy.Symbol("x", real=True)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (sympy.sqrt(2) * X / (2 * sympy.sqrt(sympy.pi)), "x / √(2·π)"),
        (sympy.sqrt(2) * X / 2, "x / √2"),
        (2 * X / sympy.sqrt(sympy.pi), "2·x / √π"),
        (sympy.sqrt(2 / sympy.pi) * X, "√(2 / π)·x"),
        (3 * sympy.sqrt(2) * X, "3·√2·x"),
        (-sympy.sqrt(sympy.pi) * X / sympy.sqrt(8), "-√(π / 2)·x / 2"),
        (Rational(44715, 10**6) * X**3, "0.044715·x³"),
        (Rational(134145, 10**6) * sympy.sqrt(2 / sympy.pi) * X, "0.134145·√(2 / π)·x"),
        (-Rational(44715, 10**6) * X, "-0.044715·x"),
        (X + Rational(44715, 10**6), "x + 0.044715"),
        (X + Rational(1, 10**5), "x + 1/100000"),
        (Rational(7, 3000) * X, "7·x / 3000"),
    ],
)
def test_roots_and_decimals_of_numbers_are_written_as_people_do(expr, text):
    from tutor.symbolic.notation import plain_form

    assert plain_form(expr) == text


def test_a_common_number_is_taken_out_where_all_terms_have_it():
    closed = tutor.load("activations:function=gelu").derive().gradient("x").closed_form
    from tutor.symbolic.notation import plain_form

    assert plain_form(closed.expr, closed.gradient.derivation.exercise) == (
        "dy[i]·(x[i]·exp(-x[i]² / 2) / √(2·π) + Phi[i])"
    )


@pytest.mark.parametrize(
    ("address", "name", "torch_line"),
    [
        ("cross-entropy", "pick", "torch.full((N,), -1 / N)"),
        ("logsumexp", "e", "ds.expand(K)"),
        ("kinks:of=amax", "x", "dy[:, None] * (x == y[:, None]) / (x == y[:, None]).sum(1, keepdim=True)"),
        ("kinks:of=max-of-two", "x", "dy * torch.where(x > t, 1, torch.where(x == t, 1/2, 0))"),
        ("kinks:of=clamp-both", "r", "dy * ((r >= -1) & (r <= 1))"),
        ("multiclass-hinge", "margin", "dh * (1 - F.one_hot(y, K)) * (margin > 0)"),
    ],
)
def test_torch_lines_as_people_write_them(address, name, torch_line):
    assert tutor.load(address).derive().gradient(name).torch == torch_line
