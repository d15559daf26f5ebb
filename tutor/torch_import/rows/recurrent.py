"""Recurrent cells, and whole layers of them, which are unrolled over the time steps of the example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Integer, tanh

from tutor.language import N_, said
from tutor.symbolic.functions import relu, sigmoid
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.joining import cat, stack
from tutor.torch_import.table import operation

State = list[Array]  # h; of an LSTM h and c


@dataclass(frozen=True)
class Weights:
    """Of one layer in one direction; the rows of its gates stand one below the other."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None

    def sizes(self, g: Builder, x: Array, h: Array, gates: int) -> Expr:
        """What the shapes say of each other; the size of the state."""
        hidden = self.w_hh.shape[1]
        g.wish(hidden, "H")
        g.same(self.w_ih.shape[1], x.shape[-1])
        g.same(h.shape[-1], hidden)
        g.same(h.shape[0], x.shape[0])
        rows = [w.shape[0] for w in (self.w_ih, self.w_hh, self.b_ih, self.b_hh) if w is not None]
        for extent in rows:
            g.same(extent, gates * g.sizes.resolve(hidden))
        return g.sizes.resolve(hidden)


def affine(g: Builder, x: Array, w: Array, b: Array | None) -> Callable[..., Expr]:
    """sum_d x[n,d] W[k,d] + b[k]"""

    def at(n: Expr, k: Expr) -> Expr:
        made = g.sum(lambda d: x[n, d] * w[k, d], w.shape[1])
        return made if b is None else made + b[k]

    return at


# -- one step in time: `mark` stands behind the names of its parts -------------------------------------------------


def plain_step(g: Builder, mark: str, x: Array, state: State, w: Weights, function: Callable[[Expr], Expr]) -> Any:
    """a = W_ih x + b_ih + W_hh h + b_hh, h' = tanh(a)"""
    (h,) = state
    shape = (x.shape[0], w.sizes(g, x, h, 1))
    inner, outer = affine(g, x, w.w_ih, w.b_ih), affine(g, h, w.w_hh, w.b_hh)
    a = g.part(f"a{mark}", shape, lambda *ix: inner(*ix) + outer(*ix))
    return shape, [("h", lambda *ix: function(a[ix]))]


def lstm_step(g: Builder, mark: str, x: Array, state: State, w: Weights) -> Any:
    """a = W_ih x + b_ih + W_hh h + b_hh; i, f, g, o = its quarters under sigmoid, sigmoid, tanh, sigmoid;
    c' = f c + i g, h' = o tanh(c')"""
    h, c = state
    size = w.sizes(g, x, h, 4)
    shape = (x.shape[0], size)
    g.same(c.shape[-1], size)
    g.same(c.shape[0], x.shape[0])
    inner, outer = affine(g, x, w.w_ih, w.b_ih), affine(g, h, w.w_hh, w.b_hh)
    a = g.part(f"a{mark}", (shape[0], 4 * size), lambda *ix: inner(*ix) + outer(*ix))

    def gate(name: str, place: int, function: Callable[[Expr], Expr]) -> Array:
        return g.part(f"{name}{mark}", shape, lambda n, k: function(a[n, k + place * size]))

    i, f, new, o = gate("i", 0, sigmoid), gate("f", 1, sigmoid), gate("g", 2, tanh), gate("o", 3, sigmoid)
    after = g.also(f"c{mark}", shape, lambda *ix: f[ix] * c[ix] + i[ix] * new[ix])
    return shape, [("h", lambda *ix: o[ix] * tanh(after[ix])), after]


def gru_step(g: Builder, mark: str, x: Array, state: State, w: Weights) -> Any:
    """u = W_ih x + b_ih, v = W_hh h + b_hh, in thirds; r = sigmoid(u_r + v_r), z = sigmoid(u_z + v_z),
    n = tanh(u_n + r v_n), h' = (1 - z) n + z h"""
    (h,) = state
    size = w.sizes(g, x, h, 3)
    shape, whole = (x.shape[0], size), (x.shape[0], 3 * size)
    u = g.part(f"u{mark}", whole, affine(g, x, w.w_ih, w.b_ih))
    v = g.part(f"v{mark}", whole, affine(g, h, w.w_hh, w.b_hh))
    r = g.part(f"r{mark}", shape, lambda n, k: sigmoid(u[n, k] + v[n, k]))
    z = g.part(f"z{mark}", shape, lambda n, k: sigmoid(u[n, k + size] + v[n, k + size]))
    new = g.part(f"n{mark}", shape, lambda n, k: tanh(u[n, k + 2 * size] + r[n, k] * v[n, k + 2 * size]))
    return shape, [("h", lambda *ix: (1 - z[ix]) * new[ix] + z[ix] * h[ix])]


def tanh_step(g: Builder, mark: str, x: Array, state: State, w: Weights) -> Any:
    """a = W_ih x + b_ih + W_hh h + b_hh, h' = tanh(a)"""
    return plain_step(g, mark, x, state, w, tanh)


def relu_step(g: Builder, mark: str, x: Array, state: State, w: Weights) -> Any:
    """a = W_ih x + b_ih + W_hh h + b_hh, h' = relu(a)"""
    return plain_step(g, mark, x, state, w, relu)


# -- cells ----------------------------------------------------------------------------------------------------------


@operation("rnn_tanh_cell", torch="nn.RNNCell")
def rnn_tanh_cell(g: Builder, input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None) -> Array:  # fmt: skip
    """a = W_ih x + b_ih + W_hh h + b_hh, h' = tanh(a)"""
    shape, [(name, at)] = tanh_step(g, "", input, [hx], Weights(w_ih, w_hh, b_ih, b_hh))
    return g.step(shape, at, name)


@operation("rnn_relu_cell", torch='nn.RNNCell(nonlinearity="relu")')
def rnn_relu_cell(g: Builder, input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None) -> Array:  # fmt: skip
    """a = W_ih x + b_ih + W_hh h + b_hh, h' = relu(a)"""
    shape, [(name, at)] = relu_step(g, "", input, [hx], Weights(w_ih, w_hh, b_ih, b_hh))
    return g.step(shape, at, name)


@operation("gru_cell", torch="nn.GRUCell")
def gru_cell(g: Builder, input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
             b_hh: Array | None = None) -> Array:  # fmt: skip
    """u = W_ih x + b_ih, v = W_hh h + b_hh, in thirds; r = sigmoid(u_r + v_r), z = sigmoid(u_z + v_z),
    n = tanh(u_n + r v_n), h' = (1 - z) n + z h"""
    shape, [(name, at)] = gru_step(g, "", input, [hx], Weights(w_ih, w_hh, b_ih, b_hh))
    return g.step(shape, at, name)


@operation("lstm_cell", torch="nn.LSTMCell")
def lstm_cell(g: Builder, input: Array, hx: Sequence[Array], w_ih: Array, w_hh: Array, b_ih: Array | None = None,
              b_hh: Array | None = None) -> list[Array]:  # fmt: skip
    """a = W_ih x + b_ih + W_hh h + b_hh; i, f, g, o = its quarters under sigmoid, sigmoid, tanh, sigmoid;
    c' = f c + i g, h' = o tanh(c')"""
    shape, [(name, at), after] = lstm_step(g, "", input, list(hx), Weights(w_ih, w_hh, b_ih, b_hh))
    return [g.also(name, shape, at), after]


# -- layers, unrolled -------------------------------------------------------------------------------------------------


def unrolled(g: Builder, step: Callable[..., Any], input: Array, states: Sequence[Array], params: Sequence[Array],
             has_biases: bool, num_layers: int, dropout: Any, train: bool, bidirectional: bool,
             batch_first: bool) -> list[Array]:  # fmt: skip
    """The outputs of the last layer for every time step, and the last state of each layer and direction."""
    if dropout and train and num_layers > 1:
        raise g.refusal(N_("the dropout between its layers is drawn by chance; use dropout=0 or eval()"))
    directions = 2 if bidirectional else 1
    each = 4 if has_biases else 2
    if len(params) != each * num_layers * directions:
        raise g.refusal(said("{name}={value} is not in its row", name="proj_size", value="..."))
    for state in states:
        g.same(state.shape[0], Integer(num_layers * directions))
    time = 1 if batch_first else 0
    steps = g.sizes.pin(input.shape[time])
    xs = [_place(input, time, t) for t in range(steps)]
    last: list[State] = []
    for layer in range(num_layers):
        made = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = _weights(params[each * number : each * (number + 1)])
            start = [_place(state, 0, number) for state in states]
            mark = f"{'b' if direction else ''}{layer + 1}_" if num_layers > 1 else "b" if direction else ""
            outputs, final = _run(g, step, mark, xs[::-1] if direction else xs, start, weights)
            made.append(outputs[::-1] if direction else outputs)
            last.append(final)
        xs = made[0] if directions == 1 else [cat(g, list(pair), -1) for pair in zip(*made, strict=True)]
    final_states = [stack(g, [state[n] for state in last], 0) for n in range(len(states))]
    return [stack(g, xs, time), *final_states]


def _run(g: Builder, step: Callable[..., Any], mark: str, xs: Sequence[Array], state: State, w: Weights) -> Any:
    """One layer in one direction over all time steps."""
    outputs = []
    for t, x in enumerate(xs, 1):
        shape, [(name, at), *others] = step(g, f"{mark}{t}", x, state, w)
        h = g.also(f"{name}{mark}{t}", shape, at)
        state = [h, *others]
        outputs.append(h)
    return outputs, state


def _weights(params: Sequence[Array]) -> Weights:
    w_ih, w_hh, *biases = params
    b_ih, b_hh = biases or (None, None)
    return Weights(w_ih, w_hh, b_ih, b_hh)


def _place(x: Array, axis: int, index: int) -> Array:
    """One place of an axis."""
    return x.seen((*x.shape[:axis], *x.shape[axis + 1 :]), lambda *ix: x[(*ix[:axis], index, *ix[axis:])])


def _layer(step: Callable[..., Any], several: bool) -> Callable[..., Any]:
    def row(g: Builder, input: Any = None, hx: Any = None, params: Any = (), has_biases: bool = True,
            num_layers: int = 1, dropout: Any = 0.0, train: bool = False, bidirectional: bool = False,
            batch_first: bool = False, data: Any = None, batch_sizes: Any = None) -> list[Array]:  # fmt: skip
        if data is not None:
            raise g.refusal(N_("a packed sequence has another length in every row; give it padded"))
        states = list(hx) if several else [hx]
        layers = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
        return unrolled(g, step, input, states, params, *layers)

    return row


for _name, _step, _torch in (
    ("rnn_tanh", tanh_step, "nn.RNN"),
    ("rnn_relu", relu_step, 'nn.RNN(nonlinearity="relu")'),
    ("gru", gru_step, "nn.GRU"),
    ("lstm", lstm_step, "nn.LSTM"),
):
    _row = _layer(_step, _name == "lstm")
    _row.__doc__ = f"for every time step of the example, layer after layer: {_step.__doc__}"
    operation(_name, torch=_torch)(_row)
