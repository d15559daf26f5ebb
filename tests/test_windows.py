"""Convolutions, pooling and windows in answers mean what they mean in torch and numpy, at any stride and padding."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from tutor.checking import library
from tutor.checking.digits import ManyDigits
from tutor.checking.library import Limits, Refusal, TorchRefuses, call

FLOAT = torch.float64


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=FLOAT)


def ours(name, *args, table=library.FUNCTION, numpy=False, **named):
    return call(table[name], Limits(), list(args), named, numpy)


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-11, atol=1e-12)


X, W, B = random(2, 3, 7, 8), random(4, 3, 3, 2), random(4)
OPTIONS = [{"stride": s, "padding": p, "dilation": d} for s, p, d in product((1, 2, (2, 1)), (0, 1, (1, 2)), (1, 2))]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_convolution_and_its_gradients(options):
    x, w = X.clone().requires_grad_(), W.clone().requires_grad_()
    y = F.conv2d(x, w, B, **options)
    dy = random(*y.shape)
    y.backward(dy)
    assert close(ours("conv2d", X, W, B, **options), y.detach())
    assert close(ours("conv2d", X[0], W, **options), F.conv2d(X[0], W, **options))
    assert close(ours("conv2d_input", tuple(X.shape), W, dy, **options), x.grad)
    assert close(ours("conv2d_weight", X, tuple(W.shape), dy, **options), w.grad)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_transposed_convolution(options):
    y = random(2, 4, 3, 4)
    more = {"output_padding": 1} if options["stride"] == 2 else {}
    expected = F.conv_transpose2d(y, W, **options, **more)
    assert close(ours("conv_transpose2d", y, W, **options, **more), expected)
    line, taps = random(2, 4, 5), random(4, 3, 3)
    single = {key: value if isinstance(value, int) else value[0] for key, value in options.items()}
    assert close(ours("conv_transpose1d", line, taps, **single), F.conv_transpose1d(line, taps, **single))
    assert close(ours("conv1d", line, taps.transpose(0, 1), **single), F.conv1d(line, taps.transpose(0, 1), **single))


@pytest.mark.parametrize("stride, padding", [(None, 0), (1, 0), (2, 1), ((1, 2), (1, 0))])
def test_pooling(stride, padding):
    options = {"stride": stride, "padding": padding}
    assert close(ours("avg_pool2d", X, (3, 2), **options), F.avg_pool2d(X, (3, 2), **options))
    values, places = ours("max_pool2d", X, (3, 2), return_indices=True, **options)
    expected = F.max_pool2d(X, (3, 2), return_indices=True, **options)
    assert close(values, expected[0]) and torch.equal(places, expected[1])
    assert close(ours("max_pool1d", X[0], 2), F.max_pool1d(X[0], 2))


def test_of_equal_entries_the_first_wins():
    x = torch.ones(1, 1, 4, 4, dtype=FLOAT)
    assert torch.equal(ours("max_pool2d", x, 2, return_indices=True)[1], F.max_pool2d(x, 2, return_indices=True)[1])


def test_unpooling_and_blocks():
    values, places = F.max_pool2d(X[:, :, :6], 2, return_indices=True)
    assert close(ours("max_unpool2d", values, places, 2), F.max_unpool2d(values, places, 2))
    assert close(ours("interpolate", values, scale_factor=2), F.interpolate(values, scale_factor=2.0))


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": (1, 0)}, {"dilation": 2}], ids=str)
def test_columns(options):
    columns = F.unfold(X, (3, 2), **options)
    assert close(ours("unfold", X, (3, 2), **options), columns)
    assert close(ours("fold", columns, (7, 8), (3, 2), **options), F.fold(columns, (7, 8), (3, 2), **options))
    assert close(ours("unfold", X, 2, 3, 2, table=library.METHOD), X.unfold(2, 3, 2))


def test_numpy_slides_as_numpy_does():
    a, v = torch.tensor([1.0, 2, 3, 4, 5], dtype=FLOAT), torch.tensor([1.0, 10, 100], dtype=FLOAT)

    def found(name, *args):
        return ours(name, *args, table=library.NUMPY, numpy=True).tolist()

    assert found("convolve", a, v) == [1, 12, 123, 234, 345, 450, 500]
    assert found("convolve", v, a, "full") == [1, 12, 123, 234, 345, 450, 500]
    assert found("convolve", a, v, "same") == [12, 123, 234, 345, 450]
    assert found("convolve", a, v, "valid") == [123, 234, 345]
    assert found("correlate", a, v) == [321, 432, 543]
    assert found("correlate", a, v, "full") == [100, 210, 321, 432, 543, 54, 5]
    assert found("correlate", v, a, "full") == [5, 54, 543, 432, 321, 210, 100]
    assert found("pad", a, 1)[:2] == [0, 1]
    around = ours("pad", X, ((0,), (0,), (1,), (1,)), "constant", table=library.NUMPY, numpy=True)
    assert close(around, F.pad(X, (1, 1, 1, 1)))


@pytest.mark.parametrize("name, args, says", [
    ("conv2d", (X, random(4, 2, 3, 3)), "channels"),
    ("conv2d", (X[0, 0], W), "takes x"),
    ("conv2d", (X, random(4, 3, 9, 9)), "size"),
    ("max_pool2d", (X, 0), "at least 1"),
    ("fold", (X[0], (9, 9), 2), "do not fold"),
])  # fmt: skip
def test_what_torch_refuses_is_refused(name, args, says):
    with pytest.raises(TorchRefuses, match=says):
        ours(name, *args)


def test_large_work_is_refused_before_it_is_done():
    with pytest.raises(Refusal):
        ours("conv2d", random(1, 1, 1, 1).expand(20, 50, 40, 40), random(1, 1, 1, 1).expand(90, 50, 9, 9))


def test_they_keep_their_digits():
    x, w, y = X[:1], W, random(1, 4, 3, 4)
    expected = [F.conv2d(x, w, padding=1), F.conv_transpose2d(y, w, stride=2), F.avg_pool2d(x, 2)]
    with torch.no_grad(), ManyDigits(40) as digits:
        x, w, y = map(digits.exact, (x, w, y))
        made = [ours("conv2d", x, w, padding=1), ours("conv_transpose2d", y, w, stride=2), ours("avg_pool2d", x, 2)]
        found = [[float(v) for v in digits.read(m)] for m in made]
    assert found == [pytest.approx(e.reshape(-1).tolist(), rel=1e-9) for e in expected]


@pytest.mark.parametrize(("call", "expected"), [
    ("np.convolve(x, v, 'same')", [1.0, 3.0, 5.0]),
    ("np.correlate(x, v, 'same')", [1.0, 3.0, 5.0]),
    ("np.convolve(x, v)", [1.0, 3.0, 5.0, 3.0]),
])  # fmt: skip
def test_numpys_own_mode_same(call, expected):
    """numpy's values for x = [1, 2, 3] and v = [1, 1]."""
    from tutor.checking.windows import _convolve, _correlate

    x, v = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    compute = _convolve if "convolve" in call else _correlate
    mode = ("same",) if "same" in call else ()
    assert compute(Limits(), x, v, *mode).tolist() == expected


@pytest.mark.parametrize(("line", "said"), [
    ("dx = F.conv_transpose1d(dy[None, None], w[None, None], output_padding=1)[0, 0]", "output_padding is smaller"),
    ("dx = F.avg_pool1d(x[None, None], 1, padding=3)[0, 0]", "at most half of the window"),
    ("dx = F.avg_pool1d(x[None, None], 10**9, padding=3*10**8)[0, 0]", "more than 2000000 entries"),
    ("dx = F.conv_transpose1d(dy[None, None, :0], w[None, None], stride=3)[0, 0]", "nothing to send back"),
])  # fmt: skip
def test_a_sheet_is_refused_what_torch_refuses(line, said):
    import tutor

    [judged] = tutor.check("conv1d", line).lines
    assert judged.verdict in ("wrong", "unreadable") and said in judged.reason
