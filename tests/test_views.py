"""Views of torch written as index maps: each gradient is one entry, evaluated as a view, and agrees with torch."""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sympy import Expr, Idx, Mod, Piecewise, S, floor, sympify

import tutor
from tutor import Exercise
from tutor.errors import ExerciseError
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.programs import backward_plan, forward_plan
from tutor.symbolic.indices import free_indices, substitute

GATHERS = {"take", "lookup", "scatter", "inside", "clamped", "where", "compare", "floor_divide", "remainder", "arange"}


def program(name, sizes, indices, example=None):
    ex = Exercise(name)
    ex.sizes(sizes)
    made = indices(**ex.size_symbols)
    ex.indices(**made)
    if example:
        ex.example(**example)
    return ex, {**ex.size_symbols, **ex.index_symbols}


def heads(offset):
    ex, n = program("heads", "B T R D", lambda B, T, R, D: {"b": B, "t": T, "r": R, "d": D, "m": 3 * R * D})
    z = ex.parameter("z", n["b"], n["t"], n["m"])
    R, D = n["R"], n["D"]
    ex.output("q", [n["b"], n["r"], n["t"], n["d"]], z[n["b"], n["t"], offset * R * D + n["r"] * D + n["d"]])
    ex.reference(lambda t: t.z.chunk(3, 2)[offset].unflatten(2, (-1, t.D)).transpose(1, 2))
    return ex


def interleaved():
    """q, k and v of each head stand together."""
    ex, n = program("interleaved", "T R D", lambda T, R, D: {"t": T, "r": R, "d": D, "m": 3 * R * D})
    z = ex.parameter("z", n["t"], n["m"])
    ex.output("k", [n["r"], n["t"], n["d"]], z[n["t"], 3 * n["D"] * n["r"] + n["D"] + n["d"]])
    ex.reference(lambda t: t.z.unflatten(1, (-1, 3, t.D))[:, :, 1].transpose(0, 1))
    return ex


def side_by_side():
    ex, n = program("side", "B T R D", lambda B, T, R, D: {"b": B, "t": T, "r": R, "d": D, "c": R * D})
    o = ex.parameter("o", n["b"], n["r"], n["t"], n["d"])
    ex.output("y", [n["b"], n["t"], n["c"]], o[n["b"], floor(n["c"] / n["D"]), n["t"], Mod(n["c"], n["D"])])
    ex.reference(lambda t: t.o.transpose(1, 2).flatten(2))
    return ex


def flatten(shape, example=None):
    def indices(N, **sizes):
        C, H, W = map(S, shape(**sizes))
        return {"n": N, "c": C, "h": H, "w": W, "m": C * H * W}

    ex, n = program("flatten", f"N {' '.join(example or 'CHW')}", indices, {"N": 2, **example} if example else None)
    h = ex.parameter("x", n["n"], n["c"], n["h"], n["w"])
    _, C, H, W = h.shape
    m = n["m"]
    ex.output("f", [n["n"], m], h[n["n"], floor(m / (H * W)), Mod(floor(m / W), H), Mod(m, W)])
    ex.reference(lambda t: t.x.flatten(1))
    return ex


def concatenation():
    ex, n = program("cat", "N A B", lambda N, A, B: {"n": N, "i": A, "j": B, "m": A + B})
    a, b = ex.parameter("a", n["n"], n["i"]), ex.parameter("b", n["n"], n["j"])
    m = n["m"]
    ex.output("c", [n["n"], m], Piecewise((a[n["n"], m], m < n["A"]), (b[n["n"], m - n["A"]], True)))
    ex.reference(lambda t: torch.cat([t.a, t.b], 1))
    return ex


def prefix():
    ex, n = program("prefix", "T M D", lambda T, M, D: {"t": T, "p": T + M, "d": D})
    P = ex.parameter("P", n["p"], n["d"])
    ex.output("y", [n["t"], n["d"]], P[n["t"], n["d"]])
    ex.reference(lambda t: t.P[: t.T])
    return ex


def prefix_of_a_number():
    ex, n = program("prefix-of-a-number", "D", lambda D: {"t": 3, "p": 5, "d": D})
    P = ex.parameter("P", n["p"], n["d"])
    ex.output("y", [n["t"], n["d"]], P[n["t"], n["d"]])
    ex.reference(lambda t: t.P[:3])
    return ex


def moved(slope, start, extent):
    ex, n = program("moved", "N K", lambda N, K: {"n": N, "k": K, "l": extent(K)})
    x = ex.parameter("x", n["n"], n["l"])
    ex.output("s", [n["n"], n["k"]], x[n["n"], slope * n["k"] + start])
    ex.reference(lambda t: t.x[:, start::slope][:, : t.K])
    return ex


def selected():
    ex, n = program("selected", "N K", lambda N, K: {"n": N, "k": K + 2})
    x = ex.parameter("x", n["n"], n["k"])
    ex.output("s", [n["n"]], x[n["n"], 2])
    ex.reference(lambda t: t.x[:, 2])
    return ex


def thinned():
    ex, n = program("thinned", "A B C", lambda A, B, C: {"a": A, "b": B, "m": A * B * C})
    x = ex.parameter("x", n["m"])
    B, C = n["B"], n["C"]
    ex.output("y", [n["b"], n["a"]], x[n["a"] * B * C + n["b"] * C])
    ex.reference(lambda t: t.x.view(t.A, t.B, t.C)[:, :, 0].T)
    return ex


# (exercise, {quantity: what its gradient is})
MAPS = {
    "q of three": (heads(0), {"z": "dq[b,m//D,t,m % D]*where(m < R*D, 1, 0)"}),
    "k of three": (heads(1), {"z": "dq[b,m//D-R,t,m % D]*where((m < 2*R*D) & (m >= R*D), 1, 0)"}),
    "v of three": (heads(2), {"z": "dq[b,m//D-2*R,t,m % D]*where(m >= 2*R*D, 1, 0)"}),
    "interleaved heads": (
        interleaved(),
        {"z": "dk[m//(3*D),t,m % (3*D)-D]*where((m % (3*D) < 2*D) & (m % (3*D) >= D), 1, 0)"},
    ),
    "heads side by side": (side_by_side(), {"o": "dy[b,t,D*r+d]"}),
    "flatten": (flatten(lambda C, H, W: (C, H, W)), {"x": "df[n,H*W*c+W*h+w]"}),
    "flatten of numbers": (flatten(lambda C: (C, 3, 5), {"C": 3}), {"x": "df[n,15*c+5*h+w]"}),
    "flatten of sums": (
        flatten(lambda C, L, K: (C, L - K + 1, L - K + 1), {"C": 3, "L": 13, "K": 7}),
        {"x": "df[n,c*(L+1-K)**2+w+h*(L+1-K)]"},
    ),
    "concatenation": (concatenation(), {"a": "dc[n,i]", "b": "dc[n,A+j]"}),
    "front": (prefix(), {"P": "dy[p,d]*where(p < T, 1, 0)"}),
    "front of a number": (prefix_of_a_number(), {"P": "dy[p,d]*where(p < 3, 1, 0)"}),
    "moved": (moved(1, 1, lambda K: K + 2), {"x": "ds[n,l-1]*where((l < K + 1) & (l >= 1), 1, 0)"}),
    "every second": (moved(2, 0, lambda K: 2 * K), {"x": "ds[n,l//2]*where(l % 2 == 0, 1, 0)"}),
    "every second from the second": (
        moved(2, 1, lambda K: 2 * K + 3),
        {"x": "ds[n,l//2]*where((l % 2 == 1) & (l < 2*K), 1, 0)"},
    ),
    "every third": (
        moved(3, 4, lambda K: 3 * K + 4),
        {"x": "ds[n,l//3-1]*where((l % 3 == 1) & (l >= 3), 1, 0)"},
    ),
    "selected": (selected(), {"x": "ds[n]*KroneckerDelta(2, k)"}),
    "a stride left over": (thinned(), {"x": "dy[(m//C) % B,m//(B*C)]*where(m % C == 0, 1, 0)"}),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_gradient_of_a_view_is_one_entry(name):
    ex, expected = MAPS[name]
    derivation = ex.derive()
    assert {q: derivation.gradient(q).index_form for q in expected} == expected


@pytest.mark.parametrize("name", MAPS)
def test_a_view_agrees_with_torch(name):
    verification = tutor.verify(MAPS[name][0])
    assert verification.agrees, verification
    assert all(row.reference is not None for row in verification.rows)


@pytest.mark.parametrize("name", MAPS)
def test_what_is_printed_is_graded_correct(name):
    ex, expected = MAPS[name]
    derivation = ex.derive()
    gradients = [derivation.gradient(q) for q in expected]
    sheet = "\n".join(f"d{g.name}[{','.join(map(str, g.indices))}] = {g.index_form}" for g in gradients)
    assert ex.check(sheet).verdict == "correct", str(ex.check(sheet))
    if all(g.torch for g in gradients):
        sheet = "\n".join(f"d{g.name} = {g.torch}" for g in gradients)
        assert ex.check(sheet).verdict == "correct", str(ex.check(sheet))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dP[p,d] = dy[p,d]", "p runs over 8 values, but this axis has 3"),
        ("dP[p,d] = dy[p,d]*where(d < T, 1, 0)", "p runs over 8 values, but this axis has 3"),
    ],
)
def test_past_the_end_only_a_condition_allows(line, says):
    report = prefix().check(line)
    assert report.verdict == "unreadable" and says in str(report)


def test_a_wrong_condition_is_wrong():
    assert prefix().check("dP[p,d] = dy[p,d]*where(p < T - 1, 1, 0)").verdict == "wrong"


# a digit whose range is a part of it is still put back by a mask; in two steps, view and slice, it is not
@pytest.mark.parametrize("name", [name for name in MAPS if name != "interleaved heads"])
def test_a_view_is_evaluated_as_one(name):
    ex, _ = MAPS[name]
    used = {made.op for plan in (forward_plan(ex), backward_plan(ex)) for made in plan._instructions}
    assert not used & GATHERS


def test_a_slice_of_each_kind_is_put_back_by_one_cat():
    ex, n = program("three", "B T R D", lambda B, T, R, D: {"b": B, "t": T, "r": R, "d": D, "m": 3 * R * D})
    b, t, r, d, R, D = (n[name] for name in "btrdRD")
    z = ex.parameter("z", b, t, n["m"])
    for number, name in enumerate("qkv"):
        ex.output(name, [b, r, t, d], z[b, t, number * R * D + r * D + d])
    ops = [made.op for made in backward_plan(ex)._instructions]
    assert ops.count("joined") == 1 and not {"place", "add", *GATHERS} & set(ops)
    assert tutor.verify(ex).agrees


@pytest.mark.parametrize(
    ("index", "axis"),
    [
        (lambda N, T: N, lambda N, T: N * T),
        (lambda N, T: N, lambda N, T: N + T - 3),
        (lambda N, T: 1, lambda N, T: 5),
        (lambda N, T: 5, lambda N, T: 3),
    ],
)
def test_what_may_be_a_slip_is_refused(index, axis):
    ex, n = program("slip", "N T", lambda N, T: {"i": index(N, T), "m": axis(N, T)})
    x = ex.parameter("x", n["m"])
    with pytest.raises(ExerciseError, match="axis 1 of x has size .* and i runs over"):
        ex.output("y", [n["i"]], x[n["i"]])


# -- random chains of views ----------------------------------------------------------------------------------


@dataclass
class Chain:
    """A tensor's entry under the indices of what views have made of it, and the same views in torch."""

    ex: Exercise
    sizes: dict[str, int]
    axes: list[Idx]
    at: dict[Idx, Expr] = field(default_factory=dict)  # of the axes before the last view
    views: list = field(default_factory=list)
    count: int = 0

    def index(self, extent):
        self.count += 1
        return self.ex.indices(**{f"i{self.count}": extent})

    def replace(self, dims, new, values, view):
        """Axes become others; `values` are the old indices in the new ones."""
        first = dims[0]
        self.at = dict(zip([self.axes[d] for d in dims], values, strict=True))
        self.axes = [a for d, a in enumerate(self.axes) if d not in dims]
        self.axes[first:first] = new
        self.views.append(view)

    def number(self, extent):
        return int(S(extent).subs({symbol: self.sizes[name] for name, symbol in self.ex.size_symbols.items()}))


def merge(chain, draw):
    if len(chain.axes) < 2:
        return False
    dim = draw(st.integers(0, len(chain.axes) - 2))
    a, b = chain.axes[dim : dim + 2]
    size_a, size_b = a.upper + 1, b.upper + 1
    m = chain.index(size_a * size_b)
    chain.replace([dim, dim + 1], [m], [floor(m / size_b), Mod(m, size_b)], lambda x: x.flatten(dim, dim + 1))
    return True


def split(chain, draw):
    dim = draw(st.integers(0, len(chain.axes) - 1))
    extent = chain.axes[dim].upper + 1
    low = next((f for f in extent.as_ordered_factors() if f not in (1, extent)), None)
    if low is None or extent.is_Integer:
        return False
    r, d = chain.index(extent / low), chain.index(low)
    counts = chain.number(extent / low), chain.number(low)
    chain.replace([dim], [r, d], [r * low + d], lambda x: x.unflatten(dim, counts))
    return True


def cut(chain, draw):
    dim = draw(st.integers(0, len(chain.axes) - 1))
    extent = chain.axes[dim].upper + 1
    terms = extent.as_ordered_terms()
    if len(terms) < 2 or any(term.could_extract_minus_sign() for term in terms):
        return False
    place = draw(st.integers(0, len(terms) - 1))
    start, length = sum(terms[:place], S.Zero), terms[place]
    i = chain.index(length)
    numbers = chain.number(start), chain.number(length)
    chain.replace([dim], [i], [i + start], lambda x: x.narrow(dim, *numbers))
    return True


def thin(chain, draw):
    dim = draw(st.integers(0, len(chain.axes) - 1))
    extent = chain.axes[dim].upper + 1
    if extent.as_coeff_Mul()[0] != 2 or extent.is_Integer:
        return False
    start = draw(st.integers(0, 1))
    i = chain.index(extent / 2)
    where = (slice(None),) * dim + (slice(start, None, 2),)
    chain.replace([dim], [i], [2 * i + start], lambda x: x[where])
    return True


def permute(chain, draw):
    order = draw(st.permutations(range(len(chain.axes))))
    chain.at = {}
    chain.axes = [chain.axes[d] for d in order]
    chain.views.append(lambda x: x.permute(order))
    return True


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data(), st.booleans())
def test_chains_of_views_agree_with_torch(data, in_one):
    """In one formula, or a step for each view."""
    ex = Exercise("chain")
    A, B, C, D = ex.sizes("A B C D")
    shapes = [A + B, 2 * A * B, A * C, 3 * A * D, 2 * C, B * C + D, A * B * C, D, S(6), C - A + 1, 2 * (C - A + 1)]
    ranges = data.draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=3))
    sizes = {"A": 2, "B": 3, "C": 4, "D": 5}
    axes = [ex.indices(**{f"a{n}": extent}) for n, extent in enumerate(ranges)]
    chain = Chain(ex, sizes, axes)
    x = ex.parameter("x", *axes)
    last, entry = x, x[tuple(axes)]
    for number in range(data.draw(st.integers(1, 4))):
        before = list(chain.axes)
        view = data.draw(st.sampled_from([merge, split, cut, thin, permute]))
        if not view(chain, data.draw):
            continue
        if in_one:
            entry = substitute(entry, chain.at)
        else:
            entry = last[tuple(chain.at.get(a, a) for a in before)]
            last = ex.step(f"s{number}", chain.axes, entry)
            entry = last[tuple(chain.axes)]
    ex.output("y", chain.axes, entry)
    shape = [chain.number(extent) for extent in x.shape]
    given = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    native = given
    for each in chain.views:
        native = each(native)
    above = torch.randn(native.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(native, given, above)
    ours = forward_plan(ex).run({"x": given.detach()}, sizes)
    assert torch.equal(ours["y"], native)
    assert torch.equal(backward_plan(ex).run({**ours, "x": given.detach(), "dy": above}, sizes)["dx"], expected)
    if not in_one:
        used = {made.op for plan in (forward_plan(ex), backward_plan(ex)) for made in plan._instructions}
        assert not used & GATHERS, used & GATHERS


# -- any map of indices, a view or not ---------------------------------------------------------------------------------

EXTENTS = ("A", "B", "C", "2*A", "A*B", "2", "3", "6")
PERIODS = ("2", "3", "A", "B")


@st.composite
def index_maps(draw):
    """`z[2*i + floor(j/3) + 1, Mod(i, B)]`: sums of indices, floors and remainders, that stay on axes long enough."""
    ex = Exercise("map")
    sizes = dict(zip("ABC", ex.sizes("A B C"), strict=True))
    size_of = {text: sympify(text, locals=sizes) for text in (*EXTENTS, *PERIODS)}
    names = "ij"[: draw(st.integers(1, 2))]
    indices = [ex.indices(**{name: size_of[draw(st.sampled_from(EXTENTS))]}) for name in names]

    def term():
        index, period = draw(st.sampled_from(indices)), size_of[draw(st.sampled_from(PERIODS))]
        digit = draw(st.sampled_from((index, index, floor(index / period), Mod(index, period))))
        return draw(st.sampled_from((1, 1, 2, sizes["A"]))) * digit

    slots = [sum(term() for _ in range(draw(st.integers(1, 3)))) for _ in range(draw(st.integers(1, 2)))]
    slots = [slot + (1 if isinstance(slot, Idx) else draw(st.integers(0, 1))) for slot in slots]  # no whole axis
    axes = [ex.indices(**{name: S(150)}) for name, _ in zip("xy", slots, strict=False)]
    z = ex.parameter("z", *axes)
    used = [i for i in indices if any(i in free_indices(slot) for slot in map(sympify, slots))]
    assume(used)
    ex.output("v", used, z[tuple(slots)])
    return ex


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(index_maps())
def test_the_gradient_through_any_map_is_autograds(ex):
    for sizes in ({"A": 2, "B": 3, "C": 4}, {"A": 4, "B": 2, "C": 3}):
        instance = ex.sample(0, sizes=sizes)
        assert torch.allclose(instance.after["dz"], gradients_by_autograd(ex, instance)["z"])


@pytest.mark.parametrize("extent", [2, 4, 6])
def test_a_floor_that_is_always_zero_is_no_digit(extent):
    ex, n = program("lag", "N", lambda N: {"n": N, "k": S(extent), "a": N + (extent - 1) // 2})
    z = ex.parameter("z", n["a"])
    ex.output("v", [n["n"], n["k"]], z[n["n"] + floor(n["k"] / 2)])
    ex.reference(lambda t: torch.stack([t.z[k // 2 : k // 2 + t.N] for k in range(extent)], 1))
    assert tutor.verify(ex, seeds=(0,)).agrees
