"""Kernels that move over arrays, from the index form to what is printed: torch's own calls, windows, blocks, ranges."""

import pytest
import torch
import torch.nn.functional as F
from sympy import Mod, Sum, floor

import tutor
from tutor import Exercise
from tutor.numeric.evaluate import evaluate
from tutor.symbolic.indices import bracket, within
from tutor.symbolic.notation import latex_form, plain_form
from tutor.symbolic.torch_form import torch_form

PRINTED = {
    "conv1d": {
        "dx": "F.pad(dy, (K - 1, K - 1)).unfold(0, K, 1) @ w.flip(0)",
        "dw": "x.unfold(0, K, 1).T @ dy",
    },
    "conv2d": {
        "dxp": "F.conv_transpose2d(dy, w)",
        "dx": "dxp[:, :, 1:-1, 1:-1]",
        "dw": "F.conv2d(xp.transpose(0, 1), dy.transpose(0, 1)).transpose(0, 1)",
        "db": "dy.sum((0, 2, 3))",
    },
    "conv2d:padding=0,stride=2": {
        "dx": "F.conv_transpose2d(dy, w, stride=2)",
        "dw": "F.conv2d(x.transpose(0, 1), dy.transpose(0, 1), dilation=2).transpose(0, 1)",
    },
    "pooling": {
        "dwin": "dy[:, :, :, :, None] * F.one_hot(win.argmax(4), 4)",
        "dx": "dwin.view(N, C, O, Q, 2, 2).transpose(3, 4).reshape(N, C, 2*O, 2*Q)",
    },
}


@pytest.mark.parametrize("address", PRINTED)
def test_gradients_are_printed_as_practitioners_write_them(address):
    gradients = tutor.load(address).derive().gradients
    assert {f"d{name}": gradients[name].torch for name in (n[1:] for n in PRINTED[address])} == PRINTED[address]


def test_the_sum_of_a_convolution_is_over_positions_with_a_range():
    ex = tutor.load("conv1d")
    dx = ex.derive().gradient("x")
    assert plain_form(dx.expr, ex) == "Σo dy[o]·w[i-o]·[0 ≤ i-o < K]"
    assert r"\mathbb{1}[0 \le i-o < K]" in latex_form(dx.expr, ex)
    (local,) = [step for step in dx.step.steps if step.rule == "local"]
    assert [m.id for m in local.messages] == ["linear", "solved"]


def test_of_the_average_each_pixel_gets_a_part():
    ex = tutor.load("pooling:kind=avg")
    dx = ex.derive().gradient("x")
    assert torch_form(dx.closed, dx.indices, ex) == "dy.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4"


def test_ranges_of_indices_are_written_as_in_the_brackets():
    ex = Exercise("c")
    O, K = ex.sizes("O K")  # noqa: E741
    i, o, k = ex.indices(i=2 * O + K, o=O, k=K)
    x = ex.input("x", i)
    assert plain_form(bracket(within(i - 2 * o - 1, K)), ex) == "[0 ≤ i-2·o-1 < K]"
    assert plain_form(bracket(within(2 * o - i, K)), ex) == "[0 ≤ 2·o-i < K]"
    assert plain_form(bracket((x[i] >= -1) & (x[i] < 1)), ex) == "[-1 ≤ x[i] < 1]"
    assert plain_form(bracket(k > 0), ex) == "[k > 0]"


def printed(batch: bool, channel: bool, out: bool, stride: int, padding: int, dilation: int, transposed: bool):
    """The torch form of a convolution with some of its axes, and of what it means, evaluated."""
    ex = Exercise("c")
    N, C, M, O, K = ex.sizes("N C M O K")  # noqa: E741
    n, c, m, o, k = ex.indices(n=N, c=C, m=M, o=O, k=K)
    L = stride * (O - 1) + dilation * (K - 1) + 1 - 2 * padding
    i = ex.indices(i=L)
    y = ex.input("y", *[n] * batch, *[m] * out, o)
    x = ex.input("x", *[n] * batch, *[c] * channel, i)
    w = ex.input("w", *[m] * out, *[c] * channel, k)
    if transposed:
        slot = i - stride * o + padding
        body = y[(*[n] * batch, *[m] * out, o)] * w[(*[m] * out, *[c] * channel, slot)] * bracket(within(slot, K))
        expr, indices = Sum(body, *[m] * out, o), (*[n] * batch, *[c] * channel, i)
    else:
        slot = stride * o + dilation * k - padding
        body = x[(*[n] * batch, *[c] * channel, slot)] * w[(*[m] * out, *[c] * channel, k)] * bracket(within(slot, L))
        expr, indices = Sum(body, *[c] * channel, k), (*[n] * batch, *[m] * out, o)
    sizes = {"N": 2, "C": 3, "M": 4, "O": 5, "K": 3}
    length = stride * 4 + dilation * 2 + 1 - 2 * padding
    shapes = {"y": [2] * batch + [4] * out + [5], "x": [2] * batch + [3] * channel + [length],
              "w": [4] * out + [3] * channel + [3]}  # fmt: skip
    values = {name: torch.randn(*shape, dtype=torch.float64) for name, shape in shapes.items()}
    return torch_form(expr, indices, ex), evaluate(expr, indices, values, sizes), {**sizes, **values}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride, padding, dilation", [(1, 0, 1), (2, 0, 1), (1, 1, 1), (3, 1, 1), (1, 0, 2)])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("channel", [False, True])
@pytest.mark.parametrize("out", [False, True])
def test_every_combination_of_axes_prints_what_it_means(batch, channel, out, stride, padding, dilation, transposed):
    if transposed and dilation != 1:
        pytest.skip("torch's transposed convolutions of that kind are not recognised")
    text, expected, names = printed(batch, channel, out, stride, padding, dilation, transposed)
    if text is None:
        assert not (batch or channel or out)  # two vectors, with a stride or a border
        return
    value = eval(text, {"__builtins__": {}}, {"torch": torch, "F": F, **names})
    assert value.shape == expected.shape, text
    assert torch.allclose(value, expected), text


def test_a_kernel_over_another_range_is_no_convolution():
    ex = Exercise("c")
    O, K = ex.sizes("O K")  # noqa: E741
    i, o, k = ex.indices(i=O + K - 1, o=O, k=K)
    y, w = ex.input("y", o), ex.input("w", k)
    for narrower in (bracket(within(i - o, K)) * bracket(o > 0), bracket((i - o >= 1) & (i - o < K))):
        text = torch_form(Sum(y[o] * w[i - o] * narrower, o), (i,), ex)
        assert text is None or "flip" not in text


def test_digits_of_an_index_that_are_not_a_block_are_left_alone():
    ex = Exercise("c")
    O = ex.sizes("O")  # noqa: E741
    i, o, m = ex.indices(i=2 * O, o=O, m=2)
    d = ex.input("d", o, m)
    assert torch_form(d[floor(i / 2), Mod(i, 2)], (i,), ex) == "d.reshape(2*O)"
    assert torch_form(d[floor(i / 2), 1 - Mod(i, 2)], (i,), ex) != "d.reshape(2*O)"
