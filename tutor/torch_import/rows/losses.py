"""Losses, as torch reduces them: 0 none, 1 mean, 2 sum."""

from __future__ import annotations

from typing import Any

from sympy import Abs, Expr, Integer, Min, Ne, Piecewise, S, exp, log, pi, sqrt

from tutor.language import N_
from tutor.symbolic.functions import relu, softplus
from tutor.symbolic.indices import bracket
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.softmax import log_probabilities
from tutor.torch_import.table import operation, refused

NONE, MEAN, SUM = 0, 1, 2


def reduced(g: Builder, terms: Array, reduction: int, sign: int = 1) -> Array:
    """Each term by itself, their mean, or their sum; `sign` stands before it."""
    if reduction == NONE:
        return g.step(terms.shape, lambda *ix: sign * terms[ix], "l")
    made = g.mean if reduction == MEAN else g.sum
    return g.step((), lambda: sign * made(lambda *ix: terms[ix], *terms.shape), "L")


@operation("mse_loss", torch="F.mse_loss")
def mse(g: Builder, self: Array, target: Array, reduction: int = MEAN) -> Array:
    """r = y - t, L = the mean of r**2"""
    r = residual(g, self, target)
    q = g.detail("q", r.shape, lambda *ix: r[ix] ** 2)
    return reduced(g, q, reduction)


@operation("l1_loss", torch="F.l1_loss")
def l1(g: Builder, self: Array, target: Array, reduction: int = MEAN) -> Array:
    """r = y - t, L = the mean of |r|"""
    r = residual(g, self, target)
    return reduced(g, g.detail("q", r.shape, lambda *ix: Abs(r[ix])), reduction)


@operation("smooth_l1_loss", torch="F.smooth_l1_loss")
def smooth_l1(g: Builder, self: Array, target: Array, reduction: int = MEAN, beta: Any = 1.0) -> Array:
    """r = y - t, L = the mean of r**2 / (2 beta) where |r| < beta, else |r| - beta/2"""
    if beta == 0:
        return l1(g, self, target, reduction)
    r, b = residual(g, self, target), g.scalar(beta)

    def at(*ix: Expr) -> Expr:
        a = Abs(r[ix])
        return Piecewise((r[ix] ** 2 / (2 * b), a < b), (a - b / 2, True))

    return reduced(g, g.detail("q", r.shape, at), reduction)


@operation("huber_loss", torch="F.huber_loss")
def huber(g: Builder, self: Array, target: Array, reduction: int = MEAN, delta: Any = 1.0) -> Array:
    """r = y - t, L = the mean of r**2 / 2 where |r| < delta, else delta (|r| - delta/2)"""
    r, d = residual(g, self, target), g.scalar(delta)

    def at(*ix: Expr) -> Expr:
        a = Abs(r[ix])
        return Piecewise((r[ix] ** 2 / 2, a < d), (d * (a - d / 2), True))

    return reduced(g, g.detail("q", r.shape, at), reduction)


def residual(g: Builder, y: Array, target: Array) -> Array:
    """r = y - t"""
    shape = g.broadcast(y, target)
    return g.part("r", shape, lambda *ix: y.spread(ix, shape) - target.spread(ix, shape))


# -- classes by their index, or by probabilities --------------------------------------------------------------------


@operation("cross_entropy_loss", torch="F.cross_entropy")
def cross_entropy(g: Builder, self: Array, target: Array, weight: Array | None = None, reduction: int = MEAN,
                  ignore_index: Any = -100, label_smoothing: Any = 0.0) -> Array:  # fmt: skip
    """e = exp(z), s = sum_k e[k], logp = z - log(s), L = -the mean of logp[n, y[n]]; with class weights
    L = -(sum_n w[y[n]] logp[n, y[n]]) / sum_n w[y[n]]; with smoothing the target is (1 - eps) [k = y[n]] + eps/K;
    rows whose target is the ignored index are left out of both sums"""
    classes = 1 if self.dim > 1 else 0
    g.wish(self.shape[classes], "K")
    logp = g.part("logp", self.shape, log_probabilities(g, self, classes))
    return picked(g, logp, target, weight, reduction, classes, ignore_index, label_smoothing)


@operation("nll_loss", "nll_loss_nd", "nll_loss2d", torch="F.nll_loss")
def nll(g: Builder, self: Array, target: Array, weight: Array | None = None, reduction: int = MEAN,
        ignore_index: Any = -100) -> Array:  # fmt: skip
    """L = -the mean of logp[n, y[n]]; with class weights L = -(sum_n w[y[n]] logp[n, y[n]]) / sum_n w[y[n]]"""
    classes = 1 if self.dim > 1 else 0
    g.wish(self.shape[classes], "K")
    return picked(g, self, target, weight, reduction, classes, ignore_index)


def picked(g: Builder, logp: Array, target: Array, weight: Array | None, reduction: int, classes: int,
           ignored: Any = -100, smoothing: Any = 0.0) -> Array:  # fmt: skip
    """-logp at the class of each row: of class indices the entry, of probabilities the weighted sum."""
    if weight is not None:
        g.same(weight.shape[0], logp.shape[classes])
        g.domain(weight, "constant")
    if target.kind != "int":
        return _mixed(g, logp, target, weight, reduction, classes, smoothing)
    counted = _counted(g, target, weight, ignored)
    g.below(target, logp.shape[classes])
    rows = [n for d, n in enumerate(logp.shape) if d != classes]
    for n, m in zip(rows, target.shape, strict=True):
        g.same(n, m)
    eps, count = g.scalar(smoothing), logp.shape[classes]

    def term(*ix: Expr) -> Expr:
        own = counted(*ix) * logp[_at_class(ix, target[ix], classes)]
        if eps == 0:
            return own
        every = g.sum(lambda k: _of(weight, k) * logp[_at_class(ix, k, classes)], count)
        return (1 - eps) * own + eps * _taken(target[ix], ignored) * every / count

    terms = g.inline(rows, term)
    if reduction != MEAN or counted(*rows) == 1:
        return reduced(g, terms, reduction, -1)
    return g.step((), lambda: -g.sum(term, *rows) / g.sum(counted, *rows), "L")


def _at_class(ix: Any, k: Expr, classes: int) -> tuple[Expr, ...]:
    return (*ix[:classes], k, *ix[classes:])


def _of(weight: Array | None, k: Expr) -> Expr:
    return S.One if weight is None else weight[k]


def _taken(y: Expr, ignored: Any) -> Expr:
    """[y is not ignored]; a negative index is no class, so no target has it."""
    return S.One if ignored < 0 else bracket(Ne(y, Integer(ignored)))


def _counted(g: Builder, target: Array, weight: Array | None, ignored: Any) -> Any:
    """How much a row counts: its class's weight, and 0 if it is ignored."""
    values = g.example(target)
    if ignored < 0 and values is not None and bool((values == ignored).any()):
        raise g.refusal(N_("targets of the example have the index that is ignored, which is no class; leave them out"))
    if weight is None and ignored < 0:
        return lambda *ix: S.One
    return lambda *ix: _of(weight, target[ix]) * _taken(target[ix], ignored)


def _mixed(g: Builder, logp: Array, target: Array, weight: Array | None, reduction: int, classes: int,
           smoothing: Any) -> Array:  # fmt: skip
    """-sum_k t[n,k] w[k] logp[n,k]; the mean is one over rows."""
    g.domain(target, "distribution")
    g.broadcast(logp, target)
    eps, count = g.scalar(smoothing), logp.shape[classes]
    rows = [n for d, n in enumerate(logp.shape) if d != classes]

    def row(*ix: Expr) -> Expr:
        def product(k: Expr) -> Expr:
            place = _at_class(ix, k, classes)
            return ((1 - eps) * target[place] + eps / count) * _of(weight, k) * logp[place]

        return g.sum(product, count)

    return reduced(g, g.inline(rows, row), reduction, -1)


# -- yes or no, by a probability or a logit ---------------------------------------------------------------------------


@operation("binary_cross_entropy", torch="F.binary_cross_entropy")
def binary_cross_entropy(g: Builder, self: Array, target: Array, weight: Array | None = None,
                         reduction: int = MEAN) -> Array:  # fmt: skip
    """L = -the mean of w (t log(p) + (1 - t) log(1 - p)); torch's bound of the logarithm at -100 is out of reach"""
    g.domain(self, "fraction")
    g.domain(target, "labels")
    shape = g.broadcast(self, target)

    def at(*ix: Expr) -> Expr:
        p, t = self.spread(ix, shape), target.spread(ix, shape)
        return t * log(p) + (1 - t) * log(1 - p)

    terms = g.detail("l", shape, at)
    return reduced(g, _weighted(g, terms, weight), reduction, -1)


@operation("binary_cross_entropy_with_logits", torch="F.binary_cross_entropy_with_logits")
def with_logits(g: Builder, self: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None,
                reduction: int = MEAN) -> Array:  # fmt: skip
    """L = the mean of w (log(1 + exp(z)) - t z); with a weight q of the positive
    w ((1 - t) z + (1 + (q - 1) t) log(1 + exp(-z)))"""
    g.domain(target, "labels")
    shape = g.broadcast(self, target)
    if pos_weight is not None:
        g.broadcast(Array(shape, self.at), pos_weight)
        g.domain(pos_weight, "constant")

    def at(*ix: Expr) -> Expr:
        z, t = self.spread(ix, shape), target.spread(ix, shape)
        if pos_weight is None:
            return softplus(z) - t * z
        return (1 - t) * z + (1 + (pos_weight.spread(ix, shape) - 1) * t) * softplus(-z)

    terms = g.detail("l", shape, at)
    return reduced(g, _weighted(g, terms, weight), reduction)


def _weighted(g: Builder, terms: Array, weight: Array | None) -> Array:
    """Each term by its weight; the mean is still one by the number of terms."""
    if weight is None:
        return terms
    shape = g.broadcast(terms, weight)
    g.domain(weight, "constant")
    return g.inline(shape, lambda *ix: weight.spread(ix, shape) * terms.spread(ix, shape))


# -- distributions ---------------------------------------------------------------------------------------------------


@operation("kl_div", torch="F.kl_div")
def kl_div(g: Builder, self: Array, target: Array, reduction: int = MEAN, log_target: bool = False) -> Array:
    """L = the mean of t (log(t) - logq), and 0 where t is 0; of a log target exp(t) (t - logq)"""
    shape = g.broadcast(self, target)
    values = g.example(target)
    if not log_target:
        g.domain(target, "distribution")
        if values is not None and bool((values == 0).any()) and not bool(((values == 0) | (values == 1)).all()):
            raise g.refusal(N_("some probabilities of the example are 0, where t log(t) has no formula; smooth them"))

    def at(*ix: Expr) -> Expr:
        logq, t = self.spread(ix, shape), target.spread(ix, shape)
        if log_target:
            return exp(t) * (t - logq)
        return Piecewise((t * log(t), t > 0), (S.Zero, True)) - t * logq

    return reduced(g, g.detail("l", shape, at), reduction)


@operation("poisson_nll_loss", torch="F.poisson_nll_loss")
def poisson_nll(g: Builder, input: Array, target: Array, log_input: bool, full: bool, eps: Any,
                reduction: int) -> Array:  # fmt: skip
    """L = the mean of exp(x) - t x; of a rate x - t log(x + eps); full: + t log(t) - t + log(2 pi t)/2 where t > 1"""
    shape = g.broadcast(input, target)
    g.domain(target, "constant" if full else "positive")
    if not log_input:
        g.domain(input, "positive")

    def at(*ix: Expr) -> Expr:
        x, t = input.spread(ix, shape), target.spread(ix, shape)
        made = exp(x) - t * x if log_input else x - t * log(x + g.scalar(eps))
        if full:
            made += Piecewise((t * log(t) - t + log(2 * pi * t) / 2, t > 1), (S.Zero, True))
        return made

    return reduced(g, g.detail("l", shape, at), reduction)


# -- margins -----------------------------------------------------------------------------------------------------------


@operation("hinge_embedding_loss", torch="F.hinge_embedding_loss")
def hinge_embedding(g: Builder, self: Array, target: Array, margin: Any = 1.0, reduction: int = MEAN) -> Array:
    """l = x where t = 1, max(0, margin - x) where t = -1; L = the mean of l"""
    shape, m = g.broadcast(self, target), g.scalar(margin)
    _signs(g, target)

    def at(*ix: Expr) -> Expr:
        x = self.spread(ix, shape)
        return Piecewise((x, target.spread(ix, shape) > 0), (relu(m - x), True))

    return reduced(g, g.part("l", shape, at) if reduction else g.inline(shape, at), reduction)


def _signs(g: Builder, target: Array) -> None:
    """Labels are 1 or -1."""
    values = g.example(target)
    if values is None or target.kind != "float" or not bool((values.abs() == 1).all()):
        raise g.refusal(N_("its labels have to be an input of floats that are 1 or -1"))
    g.domain(target, "sign")


@operation("margin_ranking_loss", torch="F.margin_ranking_loss")
def margin_ranking(g: Builder, input1: Array, input2: Array, target: Array, margin: Any = 0.0,
                   reduction: int = MEAN) -> Array:  # fmt: skip
    """m = margin - t (a - b), L = the mean of max(0, m)"""
    shape, width = g.broadcast(input1, input2, target), g.scalar(margin)
    _signs(g, target)

    def at(*ix: Expr) -> Expr:
        a, b, t = (x.spread(ix, shape) for x in (input1, input2, target))
        return width - t * (a - b)

    m = g.part("m", shape, at)
    return reduced(g, g.inline(shape, lambda *ix: relu(m[ix])), reduction)


@operation("soft_margin_loss", torch="F.soft_margin_loss")
def soft_margin(g: Builder, self: Array, target: Array, reduction: int = MEAN) -> Array:
    """m = t x, L = the mean of log(1 + exp(-m))"""
    shape = g.broadcast(self, target)
    _signs(g, target)
    m = g.part("m", shape, lambda *ix: target.spread(ix, shape) * self.spread(ix, shape))
    return reduced(g, g.inline(shape, lambda *ix: softplus(-m[ix])), reduction)


@operation("multi_margin_loss", torch="F.multi_margin_loss")
def multi_margin(g: Builder, self: Array, target: Array, p: Any = 1, margin: Any = 1, weight: Array | None = None,
                 reduction: int = MEAN) -> Array:  # fmt: skip
    """m[n,k] = margin - z[n,y[n]] + z[n,k], l[n] = w[y[n]] sum_{k != y[n]} max(0, m[n,k])**p / K, L = the mean of l"""
    classes, count = self.dim - 1, self.shape[-1]
    g.wish(count, "K")
    g.below(target, count)
    rows, width, power = self.shape[:-1], g.scalar(margin), g.scalar(p)
    for n, m in zip(rows, target.shape, strict=False):
        g.same(n, m)
    if weight is not None:
        g.same(weight.shape[0], count)
        g.domain(weight, "constant")

    def at(*ix: Expr) -> Expr:
        return width - self[(*ix[:classes], target[ix[: target.dim]])] + self[ix]

    m = g.part("m", self.shape, at)

    def row(*ix: Expr) -> Expr:
        y = target[ix]
        others = g.sum(lambda k: bracket(Ne(k, y)) * relu(m[(*ix, k)]) ** power, count)
        return _of(weight, y) * others / count

    return reduced(g, g.detail("l", rows, row) if reduction else g.inline(rows, row), reduction)


# -- distances ---------------------------------------------------------------------------------------------------------


@operation("cosine_embedding_loss", torch="F.cosine_embedding_loss")
def cosine_embedding(g: Builder, input1: Array, input2: Array, target: Array, margin: Any = 0.0,
                     reduction: int = MEAN) -> Array:  # fmt: skip
    """c = a . b / sqrt((a . a + eps) (b . b + eps)); l = 1 - c where t = 1, max(0, c - margin) where t = -1"""
    shape, width, eps = g.broadcast(input1, input2), g.scalar(margin), g.scalar(1e-12)
    rows = shape[:-1]
    _signs(g, target)
    g.broadcast(Array(rows, input1.at), target)

    def dot(x: Array, y: Array) -> Any:
        return lambda *ix: g.sum(lambda d: x.spread((*ix, d), shape) * y.spread((*ix, d), shape), shape[-1])

    ab = g.part("ab", rows, dot(input1, input2))
    aa = g.part("aa", rows, lambda *ix: dot(input1, input1)(*ix) + eps)
    bb = g.part("bb", rows, lambda *ix: dot(input2, input2)(*ix) + eps)
    c = g.part("c", rows, lambda *ix: ab[ix] / sqrt(aa[ix] * bb[ix]))

    def at(*ix: Expr) -> Expr:
        return Piecewise((1 - c[ix], target.spread(ix, rows) > 0), (relu(c[ix] - width), True))

    return reduced(g, g.inline(rows, at), reduction)


@operation("triplet_margin_loss", torch="F.triplet_margin_loss")
def triplet_margin(g: Builder, anchor: Array, positive: Array, negative: Array, margin: Any = 1.0, p: Any = 2.0,
                   eps: Any = 1e-6, swap: bool = False, reduction: int = MEAN) -> Array:  # fmt: skip
    """dp = ||a - p + eps||, dn = ||a - n + eps||, m = dp - dn + margin, L = the mean of max(0, m);
    swap: dn is the smaller one of ||a - n + eps|| and ||p - n + eps||"""
    from tutor.torch_import.rows.reductions import distance

    near = distance(g, "dp", anchor, positive, p, eps)
    far = distance(g, "dn", anchor, negative, p, eps)
    rows, width = near.shape, g.scalar(margin)
    if swap:
        other, own = distance(g, "ds", positive, negative, p, eps), far
        far = g.part("dm", rows, lambda *ix: Min(own[ix], other[ix]))
    m = g.part("m", rows, lambda *ix: near[ix] - far[ix] + width)
    return reduced(g, g.inline(rows, lambda *ix: relu(m[ix])), reduction)


refused("ctc_loss", "_ctc_loss", "_use_cudnn_ctc_loss",
        reason=N_("it is a recursion over alignments, and no formula of a fixed number of steps"))  # fmt: skip
refused("multilabel_margin_loss", "multilabel_margin_loss_forward",
        reason=N_("the list of classes of a row ends where a -1 stands, so its length depends on values"))  # fmt: skip
