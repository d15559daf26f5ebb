"""Tensors of many digits: torch's meaning, and more digits than floats have."""

import re

import mpmath
import pytest
import torch
import torch.nn.functional as F

import tutor
from tutor.answers import python
from tutor.catalogue import entries
from tutor.checking import library
from tutor.checking.digits import Beyond, Exact, ManyDigits
from tutor.checking.outline import Names, Outline
from tutor.checking.precision import ManyDigitsRun, NoisyRun
from tutor.checking.truth import points
from tutor.numeric.programs import backward_plan, forward_plan
from tutor.numeric.sample import sample


def changed(x, change):
    x = x.clone()
    change(x)
    return x


INDEX = torch.tensor([1, 0, 1])
OPERATIONS = {
    "arithmetic": lambda a, b: 2 * a + b / 3 - a * b + a**2 - b.abs() ** 1.5 + 1 / a + (a - 1) ** -2 + 2**b,
    "functions": lambda a, b: a.exp() + b.tanh() + a.sigmoid() + b.sin() + a.cos() + b.sinh() + a.erf() + b.expm1(),
    "logarithms": lambda a, b: a.abs().log() + b.abs().log1p() + a.abs().sqrt() + b.abs().rsqrt() + a.reciprocal(),
    "activations": lambda a, b: F.relu(a) + F.softplus(b) + F.silu(a) + F.gelu(b) + a.clamp(min=0) + b.clamp(-0.5, 0.5),
    "comparisons": lambda a, b: torch.where(a > b, a, 0.0) + (a < 0) * b + (a >= b) + torch.sign(b),
    "larger": lambda a, b: torch.maximum(a, b) + torch.minimum(a, b) * 2 + torch.heaviside(a, b),
    "sums": lambda a, b: a.sum() + a.sum(0, keepdim=True) + b.mean(1, keepdim=True) + b.mean() + a.prod(),
    "numbers": lambda a, b: a[0, 0].sum() + b[0, 0].mean() + a[1, 1].amax() + b[2, 1].max() + a[0, 1].logsumexp(0),
    "spreads": lambda a, b: a.var(0) + a.var(0, unbiased=False) + b.std(1, keepdim=True) + b.norm(),
    "extremes": lambda a, b: a.max() + a.max(1, keepdim=True).values + b.min(0).values + a.amax(0) - b.amin(),
    "winners": lambda a, b: F.one_hot(a.argmax(1), 4) * b + a.max(0).indices,
    "softmax": lambda a, b: a.softmax(1) + b.log_softmax(0) + torch.logsumexp(a, 1, keepdim=True) + a.cumsum(1),
    "products": lambda a, b: a @ b.T @ a + torch.einsum("ij,kj->ik", a, b) @ b + torch.outer(a[:, 0], b[0]),
    "vectors": lambda a, b: (a @ b[0])[:, None] + torch.dot(a[0], b[1]) + a[:, 1] @ b,
    "matrices": lambda a, b: torch.linalg.inv(a @ b.T) @ a + torch.linalg.det(a @ b.T)
    + torch.linalg.slogdet(a @ b.T)[1],
    "batches": lambda a, b: (a[None] @ b.T[None].expand(2, -1, -1)).sum(0) @ a
    + torch.baddbmm(a[None], a[None], (b.T @ a)[None])[0],
    "shapes": lambda a, b: a.view(4, 3).T.reshape(3, 4) + b.flatten()[:12].view(3, 4) + a[:, :1].expand(3, 4) + b[-1],
    "moves": lambda a, b: torch.cat([a[:1], b[1:]]) + torch.stack([a[0], b[1], a[2]]) + a.flip(0) + b.roll(1, 0),
    "gathers": lambda a, b: a[INDEX] + b[[0, 1, 2], :] + a.gather(1, torch.zeros(3, 4, dtype=torch.int64)),
    "embeddings": lambda a, b: F.embedding(INDEX, a) + b.index_select(0, INDEX),
    "triangles": lambda a, b: a.tril() + b.triu(1) + F.pad(a[:, 1:3], (1, 1)) + a.masked_fill(b > 0, 7.0),
    "entries": lambda a, b: changed(a, lambda x: x.__setitem__((range(3), INDEX), -1.0)),
    "rows": lambda a, b: changed(a, lambda x: x.__setitem__(0, b[1])),
    "added": lambda a, b: changed(a, lambda x: x.index_add_(0, INDEX, b)),
    "scattered": lambda a, b: a.scatter_add(0, INDEX[:, None].expand(3, 3), b)
    + changed(a, lambda x: x.scatter_add_(1, INDEX[None], b)),
    "on the way": lambda a, b: torch.lerp(a, b, 0.3) + a.lerp(b, b) + changed(a, lambda x: x.lerp_(b, 0.7)),
    "with products": lambda a, b: torch.addcmul(a, b, b, value=0.1) + torch.addcdiv(a, b, b + 9, value=-2)
    + changed(a, lambda x: x.addcmul_(b, a).addcdiv_(a, b + 9, value=0.5)),
    "put": lambda a, b: changed(a, lambda x: x.index_put_((INDEX, INDEX), b[:, 0], accumulate=True)),
    "in place": lambda a, b: changed(a, lambda x: x.add_(b).mul_(2).sub_(a).div_(3).neg_()),
    "views share": lambda a, b: changed(a, lambda x: x.view(-1)[2:5].zero_()),
    "made": lambda a, b: torch.zeros_like(a) + torch.ones(3, 4, dtype=a.dtype) * b
    + torch.full((4,), 0.5) + a.new_ones(4),
    "cast": lambda a, b: (a > 0).double() * b + INDEX[:, None].to(torch.float64) + a.to(torch.float64),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_means_what_it_means_in_torch(name):
    source = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 3, 4, generator=source, dtype=torch.float64)
    expected = OPERATIONS[name](a, b)
    with torch.no_grad(), ManyDigits(40) as digits:
        found = OPERATIONS[name](digits.exact(a), digits.exact(b))
        assert isinstance(found, Exact)
        numbers = [float(v) for v in digits.read(found)]
    assert found.shape == expected.shape
    assert numbers == pytest.approx(expected.reshape(-1).tolist(), rel=1e-12)


def arguments():
    """Tensors and numbers that a function of the language may take."""
    source = torch.Generator().manual_seed(5)
    a, b, c = 0.2 + 0.6 * torch.rand(3, 3, 3, generator=source, dtype=torch.float64)
    places = torch.tensor([[0, 2, 1], [1, 1, 0], [2, 0, 0]])
    return [(a,), (1 + a,), (a, b), (a, 1), (a, 0), (a, -0.4), (a - 0.5,), (a, 1, places), (a, b, c), (a[None], 1, 2)]


def tensors_of(value):
    parts = (value.values, value.indices) if isinstance(value, library.Pair) else value
    return [x for x in (parts if isinstance(parts, tuple) else (parts,)) if isinstance(x, torch.Tensor)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", ["FUNCTION", "METHOD", "NUMPY"])
def test_every_function_of_the_language_means_what_it_means_in_torch(table):
    tried, computed = set(), set()
    for name, entry in getattr(library, table).items():
        for given in arguments():
            try:
                expected = tensors_of(library.call(entry, library.Limits(), [copied(x) for x in given], {}, False))
            except (library.Refusal, library.TorchRefuses):
                continue
            if not expected or not all(x.isfinite().all() for x in expected):
                continue
            tried.add(name)
            with torch.no_grad(), ManyDigits(40) as digits:
                exact = [digits.exact(x) if getattr(x, "dtype", None) is torch.float64 else copied(x) for x in given]
                try:
                    found = tensors_of(library.call(entry, library.Limits(), exact, {}, False))
                except Beyond:
                    continue  # in a way that nobody asks for: some arguments are computed of every function
                numbers = [[float(v) for v in digits.read(x)] for x in found]
            computed.add(name)
            assert [tuple(x.shape) for x in found] == [tuple(x.shape) for x in expected], name
            for one, other in zip(numbers, expected, strict=True):
                assert one == pytest.approx(other.double().reshape(-1).tolist(), rel=1e-12, abs=1e-14), name
    assert len(tried) > len(getattr(library, table)) / 2, "the functions are called with what they do not take"
    assert tried == computed


def copied(x):
    return x.clone() if isinstance(x, torch.Tensor) else x


def test_digits_are_kept():
    with torch.no_grad(), ManyDigits(50) as digits:
        x = digits.exact(torch.tensor([1.0, 2.0], dtype=torch.float64))
        (lost, _) = digits.read((x + 1e30) - 1e30)
        third = digits.read(x / 3)[0]
        assert lost == 1 and abs(third - mpmath.mpf(1) / 3) < mpmath.mpf(10) ** -49


@pytest.mark.parametrize("compute", [
    lambda x: torch.exp(torch.exp(torch.exp(x))), lambda x: x / (x - x), lambda x: torch.log(-x),
    lambda x: torch.linalg.inv(x.expand(2, 3, 3)), lambda x: torch.zeros(400, 400, dtype=x.dtype) + x,
    lambda x: torch.ones(200, 300, dtype=x.dtype) @ torch.ones(300, 200, dtype=x.dtype),
])  # fmt: skip
def test_what_is_not_computed_is_said(compute):
    with torch.no_grad(), ManyDigits(50) as digits, pytest.raises(Beyond):
        compute(digits.exact(torch.tensor([5.0], dtype=torch.float64)))


def many_digits(exercise, lines=""):
    """A sheet at the first draw, with 50 digits; and that draw."""
    point = points(exercise, 0)[0]
    [sheet] = python.read(lines)
    return ManyDigitsRun(exercise, Outline(sheet, exercise, Names(exercise)), point, {}, 50), point


@pytest.mark.parametrize("id", [entry.id for entry in entries()])
def test_our_derivations_at_many_digits(id):
    run, point = many_digits(tutor.load(id))
    expected = point.gradients  # floats, made outside
    with torch.no_grad(), run.digits:
        try:
            found = {name: [float(v) for v in run.digits.read(run.truths[name])] for name in expected}
        except Beyond as error:
            if not re.search("more than|large", str(error)):
                raise
            pytest.skip("its tensors are too large for many digits: such lines stay undecided")
    for name, value in found.items():
        assert value == pytest.approx(expected[name].reshape(-1).tolist(), rel=1e-9, abs=1e-12), name


def test_a_line_takes_no_more_than_it_needs():
    """What hangs on neither is not computed: what cannot be computed elsewhere decides nothing here."""
    run, _ = many_digits(
        tutor.load("softmax-regression"), "db = ((p - y)/N).sum(0)\ndW = torch.linalg.solve(x.T @ x, x.T @ p)"
    )
    assert run.gap(("db", 0), 1.0) < 1e-15
    assert {"p", "dz", "db"} <= run.truths.known.keys()
    assert not {"L", "dW", "dx"} & run.truths.known.keys()
    assert run.run.values.keys() == {("db", 0)}
    assert run.gap(("dW", 1), 1.0) is None
    assert run.gap(("db", 0), 1.0) < 1e-15


@pytest.mark.parametrize("power", ["3 - 1", "n - n + 2", "2*3/3"])
def test_a_whole_number_of_numbers_is_exact(power):
    """A power of what is below 0 has no value where 2 is off by a little."""
    ex = tutor.load("makemore-mlp")
    [sheet] = python.read(f"dhpreact[i, g] = dh[i, g]*(1 - h[i, g]**({power}))\ndb1[g] = Sum(dhpreact[i, g]*n, i)")
    point = points(ex, 0)[0]
    run = NoisyRun(Outline(sheet, ex, Names(ex)), point, {("dhpreact", 0): point.gradients["dhpreact"]}, 1)
    run.variables["dh"] = point.gradients["dh"]
    run.execute()
    gap = (run.values["dhpreact", 0] - point.gradients["dhpreact"]).abs().max().item()
    assert 0 < gap < 1e-12


def test_what_a_plan_keeps_is_made_of_floats():
    """Constants of a plan that first ran with many digits are not handed to the runs after it."""
    ex = tutor.load("softmax-regression")
    t = sample(ex)
    with torch.no_grad(), ManyDigits(50) as digits:
        known = {name: digits.exact(x) if x.is_floating_point() else x for name, x in t.leaves.items()}
        known.update(forward_plan(ex).run(known, t.sizes))
        backward_plan(ex).run(known, t.sizes)
    assert not [name for name, x in sample(ex).after.items() if isinstance(x, Exact)]
