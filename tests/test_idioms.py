"""Sheets as people write them in torch and numpy: what Python makes of a line is what it means here."""

import math

import numpy as np
import pytest
import torch

import tutor
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.sample import sample

# name -> exercise, sheet, the verdicts of its lines: correct, wrong, follows, ! unreadable, ? undecided
SHEETS = {
    "a function of what is changed": ("softmax-regression", """
def twice(a):
    return a + a
dz = twice((p - y).mul_(0.5))/N
""", "!"),
    "two functions of one name": ("softmax-regression", """
def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)
dz = (softmax(z) - y)/N
def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=0)
dW = x.T @ (softmax(z) - y)/N
""", "!!!!"),
    "a norm of rows": ("l2-normalize", """
def norm(x):
    return np.sqrt((x**2).sum(axis=1, keepdims=True))
dx = (dh - h * (h*dh).sum(axis=1, keepdims=True)) / norm(x)
""", "c"),
    "a lambda": ("l2-normalize", """
norm = lambda x: np.sqrt((x**2).sum(axis=1, keepdims=True))
dx = (dh - h * (h*dh).sum(axis=1, keepdims=True)) / norm(x)
""", "c"),
    "a dot of rows": ("l2-normalize", """
def dot(a, b):
    # of rows
    return (a*b).sum(axis=1, keepdims=True)


dx = (dh - h*dot(h,dh))/n[:,None]
""", "c"),
    "a softmax over the wrong axis": ("softmax-regression", """
def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)

p = softmax(z)
dz = (p - y) / N
dW = x.T @ dz
db = dz.sum(axis=0)
""", "wff"),
    "a softmax of columns": ("softmax-regression", """
def softmax(z):
    e = np.exp(z - z.max(axis=0))
    e /= e.sum(axis=0)
    return e

p = softmax(z.T).T
dz = (p - y) / N
dW = x.T @ dz
db = dz.sum(axis=0)
""", "ccc"),
    "an argument with a default": ("softmax-regression", """
def softmax(z, axis=-1):
    m = np.max(z, axis=axis, keepdims=True)
    e = np.exp(z - m)
    return e / np.sum(e, axis=axis, keepdims=True)

dz = (softmax(z, axis=1) - y) / N
dW = x.T @ dz
db = dz.sum(axis=0)
""", "ccc"),
    "a function with a loop": ("softmax-regression", """
def softmax(z):
    for i in range(3):
        z = z
    return z

dz = (softmax(z) - y) / N
""", "!!"),
    "a function that calls another": ("mlp:activation=sigmoid", """
def sigmoid(a):
    return 1/(1 + np.exp(-a))

def dsigmoid(a):
    s = sigmoid(a)
    return s*(1-s)

dy_pred = 2*(y_pred-y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1 = dh1*dsigmoid(z1)
dW1 = x.T @ dz1
""", "cccc"),
    "a function that calls itself": ("mlp", """
def f(a):
    return f(a)
dz1 = f(z1)
""", "!"),
    "a list that grows": ("cross-entropy", """
grads = []
for i in range(N):
    gi = e[i] / s[i]
    gi[y[i]] -= 1
    grads.append(gi / N)
dz = torch.stack(grads)
""", "c"),
    "a list turned round": ("rnn:steps=2", """
hs = [h0, h1, h2]
dys = [dy1, dy2]
das = []
carry = 0
for t in range(1, -1, -1):
    d_a = (dys[t] + carry) * (1 - hs[t + 1] ** 2)
    carry = d_a @ Wh.T
    das += [d_a]
das.reverse()
dx1 = das[0] @ Wx.T
dx2 = das[1] @ Wx.T
""", "cc"),
    "a list that grows in front": ("rnn:steps=2", """
hs = [h0, h1, h2]
dys = [dy1, dy2]
das = []
carry = 0
for t in range(1, -1, -1):
    d_a = (dys[t] + carry) * (1 - hs[t + 1] ** 2)
    carry = d_a @ Wh.T
    das.insert(0, d_a)
dx1 = das[0] @ Wx.T
dx2 = das[1] @ Wx.T
""", "cc"),
    "a list whose members are set": ("rnn:steps=2", """
hs = [0]*3
hs[-1] = h2
hs[0] = h0
hs[1] = h1
dys = [dy1, dy2]
dhs = [0]*3
das = [None]*2
for t in range(1, -1, -1):
    dhs[t + 1] += dys[t]
    das[t] = dhs[t + 1] * (1 - hs[t + 1] ** 2)
    dhs[t] = das[t] @ Wh.T
dx1 = das[0] @ Wx.T
dx2 = das[-1] @ Wx.T
dh0 = dhs[0]
""", "ccc"),
    "a list whose members are set, wrongly": ("rnn:steps=2", """
das = [None, None]
das[1] = dy2 * (1 - h2**2)
das[0] = dy1 * (1 - h1**2)
dx1 = das[0] @ Wx.T
dx2 = das[1] @ Wx.T
""", "wc"),
    "a member changed in place": ("softmax-regression", """
d = p - y
gs = [d, None]
gs[0] /= N
dW = x.T @ d
db = gs[0].sum(0)
""", "cc"),
    "a member that is never set": ("rnn:steps=2", """
das = [None]*2
das[1] = dy2 * (1 - h2**2)
dx2 = das[1] @ Wx.T
dx1 = das[0] @ Wx.T
""", "c!"),
    "a step of Adam": ("softmax-regression", """
dz = (p - y)/N
dW = x.T @ dz
db = dz.sum(0)
m, v = torch.zeros_like(W), torch.zeros_like(W)
m.lerp_(dW, 1 - 0.9)
v.mul_(0.999).addcmul_(dW, dW, value=1 - 0.999)
W.data.addcdiv_(m/(1 - 0.9), (v/(1 - 0.999)).sqrt().add_(1e-8), value=-0.001)
""", "ccc"),
    "a list of losses": ("softmax-regression", """
losses = []
dz = (p-y)/N
losses.append(L.item())
plot = 3
""", "c"),
    "a list turned round, wrongly": ("softmax-regression", """
g = [(p - y) / N, y]
g.reverse()
dz = g[0]
""", "w"),
    "numpy's running sum": ("batch-norm:asked=layer", """
dbeta = np.cumsum(dy)[-1]
""", "w"),
    "names still to be given": ("softmax-regression", """
dz, dW, db = None, None, None
dz = (p - y)/N
dW = x.T @ dz
db = dz.sum(0)
""", "ccc"),
    "the larger of two numbers": ("softmax-regression", """
dz = (p - y) / max(N, 1)
dW = x.T @ dz
db=dz.sum(0)
""", "ccc"),
    "ends of a loop": ("conv1d", """
dw = torch.zeros_like(w)
dx = torch.zeros_like(x)
for i in range(K + O - 1):
    for o in range(max(0, i - K + 1), min(O, i + 1)):
        dx[i] += dy[o] * w[i - o]
        dw[i - o] += dy[o] * x[i]
""", "cc"),
    "numpy's inner product": ("affine", """
dX = np.inner(dY, W)
dW = X.T @ dY
db = dY.sum(0)
""", "ccc"),
    "numpy's product of all entries": ("hessian-vector:of=softmax", """
dW = X.T @ (p - F.one_hot(y, K)) / N
LV = np.vdot(dW, V)
""", "cc"),
    "asarray makes no copy": ("softmax-regression", """
dz = np.asarray(p)
dz -= y
dz /= N
dW = x.T @ dz
db = (p - y).sum(0) / N
""", "ccw"),
    "a mask of ones": ("attention:causal=true", """
dV = P.T @ dO
dP = dO @ V.T
db = P * (dP - (P * dP).sum(-1, keepdim=True))
mask = torch.triu(torch.ones(N, N, dtype=torch.bool), diagonal=1)
da = torch.where(mask, torch.zeros_like(db), db)
dQ = da @ K / D ** 0.5
dK = da.T @ Q / D ** 0.5
""", "cccccc"),
    "a mask that is filled": ("attention:causal=true", """
dV = P.T @ dO
dP = dO @ V.T
db = P * (dP - (P * dP).sum(-1, keepdim=True))
mask = torch.zeros(N, N, dtype=torch.bool)
for i in range(N):
    mask[i, i+1:] = True
da = db.masked_fill(mask, 0)
dQ = da @ K / math.sqrt(max(D, 1))
""", "ccccc"),
    "numpy's mask of ones": ("multiclass-hinge", """
mask = np.ones(s.shape, dtype=bool)
mask[np.arange(N), y] = False
dmargin = np.where(mask & (margin > 0), 1 / N, 0)
ds = dmargin - np.eye(K)[y] * dmargin.sum(axis=1, keepdims=True)
""", "cc"),
    "a diagonal of a mask": ("contrastive", """
dS = (p + q) / (2 * N)
dS[torch.eye(N, dtype=torch.bool)] -= 1 / N
dZ = dS @ Y / tau
dY = dS.T @ Z / tau
""", "ccc"),
    "a mask of whole numbers": ("multiclass-hinge", """
mask = (margin > 0).astype(int)
mask[np.arange(N), y] = 0
dmargin = mask / N
mask[np.arange(N), y] = -np.sum(mask, axis=1)
ds = mask / N
""", "cc"),
    "a mask as an array of floats": ("multiclass-hinge", """
m = np.array(h > 0, dtype=np.float32)
m[np.arange(N), y] = 0
dmargin = m / N
m[np.arange(N), y] -= m.sum(1)
ds = m / N
""", "cc"),
    "0 in a mask": ("multiclass-hinge", """
mask = margin > 0
mask[np.arange(N), y] = 0
dmargin = mask / N
ds = dmargin - np.eye(K)[y] * dmargin.sum(1)[:, None]
""", "cc"),
    "whole numbers joined": ("word2vec-negative-sampling", """
indices = torch.cat([o.unsqueeze(0), neg])
sign = torch.ones(K + 1)
sign[1:] = -1
score = torch.sigmoid(sign * (U[indices] @ v))
delta = sign * (score - 1)
da = delta[0]
db = delta[1:]
dv = delta @ U[indices]
duo = delta[0] * v
dun = torch.outer(delta[1:], v)
dU = torch.zeros_like(U).index_add(0, indices, torch.outer(delta, v))
""", "cccccc"),
    "a choice by a shape": ("softmax-regression", """
dz = (p - y) / N
dW = x.T @ dz if x.ndim > 1 else torch.outer(x, dz)
db = dz.sum(0) if dz.ndim == 2 else dz
""", "ccc"),
    "a diagonal is a view": ("contrastive", """
dS = (p + q) / (2 * N)
d = torch.diagonal(dS)
d -= 1 / N
dZ = dS @ Y / tau
dY = dS.T @ Z / tau
""", "ccc"),
    "a list repeated": ("conv2d", """
db = dy.sum((0, 2, 3))
dxp = F.conv2d(F.pad(dy, [K - 1] * 4), w.flip(2, 3).transpose(0, 1))
dx = dxp[:, :, 1:-1, 1:-1]
dw = F.conv2d(xp.transpose(0, 1), dy.transpose(0, 1)).transpose(0, 1)
""", "cccc"),
    "a number scattered": ("cross-entropy-weighted", """
confidence = 1 - alpha
true_dist = torch.zeros_like(z)
true_dist.fill_(alpha / K)
true_dist.scatter_(1, y.unsqueeze(1), confidence + alpha / K)
dlogp = -true_dist / N
dz = (logp.exp() - true_dist) / N
""", "cc"),
    "one mask or the other": ("multiclass-hinge", """
m = (margin > 0) ^ (F.one_hot(y, K) == 1)
dmargin = m / N
""", "c"),
    "a mask narrowed": ("multiclass-hinge", """
mask = margin > 0
mask &= F.one_hot(y, K) == 0
dmargin = mask / N
""", "c"),
    "flatten shares": ("multiclass-hinge", """
dmargin = (h > 0) / N
ds = dmargin.clone()
flat = ds.flatten()
flat[torch.arange(N) * K + y] -= dmargin.sum(1)
""", "cc"),
    "a function of two values": ("softmax-regression", """
def both(d):
    return x.T @ d, d.sum(0)
dz = (p - y)/N
W1, b1 = both(dz)
dW, db = both(dz)
""", "ccc"),
    "a wrong axis in a function": ("softmax-regression", """
def softmax(v, axis):
    e = np.exp(v)
    return e/e.sum(axis=axis, keepdims=True)
dz = (softmax(z, 0) - y)/N
dW = x.T @ dz
""", "wf"),
    "twice a sigmoid": ("mlp:activation=sigmoid", """
def sigmoid(a):
    return 2/(1 + np.exp(-a))
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1 = dh1*sigmoid(z1)*(1 - sigmoid(z1))
dW1 = x.T @ dz1
""", "ccwf"),
    "a step with a maximum taken off": ("softmax-regression", """
m = z.max(1, keepdim=True).values
e = torch.exp(z - m)
s = e.sum(1)
p = e / s[:, None]
dp = -y / (N * p)
ds = -(dp * e).sum(1) / s**2
de = dp / s[:, None] + ds[:, None]
dz = de * e
dW = x.T @ dz
db = dz.sum(0)
""", "c??ccc"),
    "a step that is computed wrongly": ("softmax-regression", """
z = x @ W - b
p = F.softmax(z, 1)
dz = (p - y)/N
dW = x.T @ dz
""", "wf"),
    "an entry of a gradient of another shape": ("makemore-mlp", """
dnorm_logits[i, k] = (norm_logits[i, k]*0 + probs[i, k] - KroneckerDelta(k, Yb[i]))/n
dlogit_maxes = -dnorm_logits.sum().reshape(-1, 1)
dlogits[i, k] = dnorm_logits[i, k] + dlogit_maxes[i, 0]*KroneckerDelta(ArgMaxOver(logits[i, v], v), k)
""", "cwf"),
    "axes kept": ("layer-norm", """
mu = x.mean(1, keepdim=True)
xc = x - mu
var = (xc**2).mean(1, keepdim=True)
istd = 1/torch.sqrt(var + 1e-5)
xhat = xc*istd
dxhat = dy*gamma
distd = (dxhat*xc).sum(1, keepdim=True)
dvar = distd*-0.5*istd**3
dxc = dxhat*istd + dvar*2*xc/D
dmu = -dxc.sum(1, keepdim=True)
dx = dxc + dmu/D
""", "cccccc"),
    "axes kept, and a sign": ("layer-norm", """
mu = x.mean(1, keepdim=True)
xc = x - mu
var = (xc**2).mean(1, keepdim=True)
istd = 1/torch.sqrt(var + 1e-5)
xhat = xc*istd
dxhat = dy*gamma
distd = (dxhat*xc).sum(1, keepdim=True)
dvar = distd*0.5*istd**3
dxc = dxhat*istd + dvar*2*xc/D
dmu = -dxc.sum(1, keepdim=True)
dx = dxc + dmu/D
""", "ccwfcf"),
    "an upstream gradient that goes on": ("lstm-cell", """
dcn += dhn * o * (1 - t**2)
df = dcn * c
di = dcn * g
dc = dcn * f
""", "ccc"),
    "an upstream gradient that goes on, wrongly": ("lstm-cell", """
dcn = dcn + dhn * o * (1 - t)
df = dcn * c
di = dcn * g
dc = dcn * f
""", "wfff"),
    "an upstream gradient over time": ("rnn:steps=2", """
da2 = dy2 * (1 - h2**2)
dy1 += da2 @ Wh.T
da1 = dy1 * (1 - h1**2)
dWx = x1.T @ da1 + x2.T @ da2
""", "ccc"),
    "a mask in place": ("mlp", """
dy_pred = 2*(y_pred - y)/(N*D2)
dW2 = h1.T @ dy_pred
db2 = dy_pred.sum(0)
dh1 = dy_pred @ W2.T
dh1[h1 <= 0] = 0
dW1 = x.T @ dh1
db1 = dh1.sum(0)
""", "cccccc"),
    "a mask in place, and its name": ("two-layer-net", """
dz2 = np.exp(logp)
dz2[range(N), y] -= 1
dz2 /= N
dW2 = a.T @ dz2 + 2*lam*W2
db2 = dz2.sum(0)
da = dz2 @ W2.T
da *= z1 > 0
dz1 = da
dW1 = X.T @ dz1 + 2*lam*W1
db1 = dz1.sum(0)
""", "ccccccc"),
    "a factor of tanh in place": ("mlp:activation=tanh", """
dy_pred = 2*(y_pred - y)/(N*D2)
dW2 = h1.T @ dy_pred
dh1 = dy_pred @ W2.T
dh1 = dh1*(1 - h1**2)
dW1 = x.T @ dh1
""", "cccc"),
    "a wrong mask in place": ("mlp", """
dy_pred = 2*(y_pred - y)/(N*D2)
dW2 = h1.T @ dy_pred
dh1 = dy_pred @ W2.T
dh1 *= 0.5*(z1 > 0)
dW1 = x.T @ dh1
db1 = dh1.sum(0)
""", "ccwff"),
    "two mistakes in place that cancel": ("mlp", """
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dh1 *= 2*(z1 > 0)
dz1 = dh1/2
dW1 = x.T @ dz1
""", "cwcc"),
    "a cache, taken apart": ("softmax-regression", """
def affine_backward(dout, cache):
    x, w = cache
    dw = x.T @ dout
    db = dout.sum(0)
    return dw, db

dz = (p - y)/N
dW, db = affine_backward(dz, (x, W))
""", "ccc"),
    "a cache with a name": ("softmax-regression", """
def affine_backward(dout, cache):
    x, w = cache
    return 2*x.T @ dout
cache = (x, W)
dz = (p - y)/N
dW = affine_backward(dz, cache)
""", "cw"),
    "a function that nobody calls": ("softmax-regression", """
@torch.no_grad()
def outer(a, b):
    return a.T @ b
dz = (p - y)/N
dW = x.T @ dz
""", "cc"),
    "gradients in a dict": ("softmax-regression", """
dz = (p - y)/N
grads = {}
grads['W'] = x.T @ dz
grads['b'] = dz.sum(0)
""", "ccc"),
    "gradients put into a dict": ("softmax-regression", """
dz = (p - y)/N
dW = x.T @ dz
db = dz.sum(0)
grads = {'W': dW, 'b': db}
""", "ccc"),
    "types, and what stands above": ("softmax-regression", """
import random
from typing import Tuple
device = 'cpu'
dz: torch.Tensor = ((p - y)/N).to(device)
dW = x.T @ dz
db = torch.zeros(K, device=device)
db += dz.sum(0)
""", "ccc"),
    "a list of tuples": ("rnn:steps=2", """
da2 = dy2 * (1 - h2**2)
da1 = (dy1 + da2 @ Wh.T) * (1 - h1**2)
dWx = torch.zeros_like(Wx)
dWh = torch.zeros_like(Wh)
for xt, hp, da in [(x1, h0, da1), (x2, h2, da2)]:
    dWx += xt.T @ da
    dWh += hp.T @ da
""", "cccw"),
    "names with grad behind": ("softmax-regression", """
z_grad = (p - y)/N
dz = z_grad
W_grad = x.T @ z_grad
b_grad = -z_grad.sum(0)
""", "ccw"),
    "a wrong helper in a loop": ("softmax-regression", """
dW = np.zeros_like(W)
db = np.zeros_like(b)
for i in range(N):
    delta = (y[i] - p[i]) / N
    dW += np.outer(x[i], delta)
    db += delta
""", "wf"),
    "a right helper in a loop": ("softmax-regression", """
dW = np.zeros_like(W)
db = np.zeros_like(b)
for i in range(N):
    delta = (p[i] - y[i]) / N
    dW -= np.outer(x[i], delta)
    db += delta
""", "wc"),
    "a right helper in a loop, used wrongly twice": ("softmax-regression", """
dW = np.zeros_like(W)
db = np.zeros_like(b)
for i in range(N):
    delta = (p[i] - y[i]) / N
    dW += 2*np.outer(x[i], delta)
    db -= delta
""", "ww"),
    "CS231n's net": ("two-layer-net", """
num_train = X.shape[0]
params = {}
params['W1'], params['b1'], params['W2'], params['b2'] = W1, b1, W2, b2
W1, b1, W2, b2 = params['W1'], params['b1'], params['W2'], params['b2']
hidden = np.maximum(0, X.dot(W1) + b1)
scores = hidden.dot(W2) + b2
scores -= np.max(scores, axis=1, keepdims=True)
exp_scores = np.exp(scores)
probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
dscores = probs
dscores[range(num_train), y] -= 1
dscores /= num_train
dz2 = dscores.copy()
grads = {}
grads['W2'] = np.dot(hidden.T, dscores)
grads['b2'] = np.sum(dscores, axis=0)
dhidden = np.dot(dscores, W2.T)
dhidden[hidden <= 0] = 0
grads['W1'] = np.dot(X.T, dhidden)
grads['b1'] = np.sum(dhidden, axis=0)
grads['W2'] += 2 * lam * W2
grads['W1'] += 2 * lam * W1
""", "cccccc"),
    "zeros for two at once": ("softmax-regression", """
dW, db = np.zeros_like(W), np.zeros_like(b)
dz = (p - y) / N
dW = x.T @ dz
db = dz.sum(0)
""", "ccc"),
    "zeros for all": ("softmax-regression", """
dW = db = 0
dz = (p - y) / N
dW += x.T @ dz
db = dz.sum(0)
""", "ccc"),
    "zeros alone": ("softmax-regression", """
dW, db = np.zeros_like(W), np.zeros_like(b)
dz = (p - y) / N
dW = x.T @ dz
""", "wcc"),
    "an upstream gradient that is taken away": ("affine", """
dY = 0*dY
dX = dY @ W.T
dW = X.T @ dY
""", "www"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet(name):
    exercise, sheet, verdicts = SHEETS[name]
    report = tutor.check(exercise, sheet)
    assert "".join(LETTERS.get(line.verdict, line.verdict[0]) for line in report.lines) == verdicts, str(report)


LETTERS = {"unreadable": "!", "undecided": "?"}
# numbers are given as such, but for labels; what Python itself cannot run: a function without an end, and indices
INDICES = {"o"}
NOT_PYTHON = {
    "a function that calls itself", "an entry of a gradient of another shape", "a member that is never set",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in SHEETS if name not in NOT_PYTHON])
def test_python_and_autograd_say_the_same(name):
    """The sheet run as it stands, by torch or numpy: what is called correct is autograd's gradient, nothing else is."""
    address, sheet, verdicts = SHEETS[name]
    exercise = tutor.load(address)
    t = sample(exercise, seed=11)
    truth = {f"d{q}": g for q, g in gradients_by_autograd(exercise, t).items()}
    numpys = "np." in sheet and "torch." not in sheet and "F." not in sheet
    known = {name: x.numpy().copy() if numpys else x.clone() for name, x in {**t.leaves, **t.values}.items()}
    numbers = {name: known[name].item() for name in t.leaves if known[name].ndim == 0 and name not in INDICES}
    scope = {"torch": torch, "F": torch.nn.functional, "np": np, "math": math, **t.sizes, **known, **numbers}
    exec(sheet, scope)
    report = tutor.check(exercise, sheet)
    last = {line.quantity: verdict for line, verdict in zip(report.lines, verdicts, strict=True)}
    last = {name: last[name] for name in last if not any(f"on {name} is read as" in note for note in report.notes)}
    told = 0
    for quantity, verdict in last.items():
        if verdict in "cwf" and quantity in truth and quantity in scope:
            value, true = torch.as_tensor(scope[quantity], dtype=torch.float64), truth[quantity]
            same = value.squeeze().shape == true.squeeze().shape and torch.allclose(value.squeeze(), true.squeeze())
            assert same == (verdict == "c"), quantity
            told += 1
    assert told or set(verdicts) <= {"!", "?"}
