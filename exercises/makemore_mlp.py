"""The whole backward pass of a character MLP with batch normalisation, one named value at a time.

The network predicts the next character from the `T` characters before it:

    emb         = C[Xb]                            (n, T, d)   a row of C for each character
    embcat      = emb.view(n, T*d)                 (n, T*d)
    hprebn      = embcat @ W1 + b1                 (n, H)
    bnmeani     = hprebn.sum(0, keepdim=True)/n    (1, H)
    bndiff      = hprebn - bnmeani                 (n, H)
    bndiff2     = bndiff**2                        (n, H)
    bnvar       = bndiff2.sum(0, keepdim=True)/(n-1)     (1, H)   unbiased: divided by n - 1
    bnvar_inv   = (bnvar + 1e-5)**-0.5             (1, H)
    bnraw       = bndiff*bnvar_inv                 (n, H)
    hpreact     = bngain*bnraw + bnbias            (n, H)
    h           = tanh(hpreact)                    (n, H)
    logits      = h @ W2 + b2                      (n, V)
    logit_maxes = logits.max(1, keepdim=True)      (n, 1)
    norm_logits = logits - logit_maxes             (n, V)
    counts      = norm_logits.exp()                (n, V)
    counts_sum  = counts.sum(1, keepdim=True)      (n, 1)
    counts_sum_inv = counts_sum**-1                (n, 1)
    probs       = counts*counts_sum_inv            (n, V)
    logprobs    = probs.log()                      (n, V)
    loss        = -logprobs[range(n), Yb].mean()

`Xb` (n, T) and `Yb` (n,) hold characters as integers below V. The shapes with a 1 in them are
kept as they are: `bngain`, `bnbias` (1, H).

Derive the gradient of every named value, from `dlogprobs` back to `dC`. Most of them are a line
each; several values are used twice, so their gradients have two parts.

Conventions: the loss is a mean over the n examples. The variance is divided by n - 1; the paper, and
torch's batch norm in training, divide by n. Weights are stored (in, out): `x @ W + b`. Where logits
have their maximum more than once, the gradient of the maximum goes to the first, as in torch. Two
gradients are zero but for rounding, and relative errors say nothing about them: that of
`logit_maxes`, which cancels in the softmax, and that of `b1`, which the mean takes out again.
"""

from sympy import Rational, Sum, exp, log, tanh

from tutor import Exercise
from tutor.operations import MaxOver, Reshape

exercise = Exercise(
    "makemore-mlp",
    title="Character MLP with batch normalisation, all 26 gradients",
    level=7,
    tags=["network", "normalisation", "softmax", "gather", "classification"],
    source="Andrej Karpathy, makemore part 4: becoming a backprop ninja, exercise 1",
    requires=["image-classifier", "layer-norm", "embedding"],
    hints=[
        "Start at the loss: which entries of logprobs does it read, and with which factor?",
        "A value of shape (n, 1) or (1, H) was broadcast: its gradient is summed over the axis where it has a 1.",
        "counts, logits, bndiff and hprebn are used twice. Their second part is added, not written over the first.",
        "dC: two positions with the same character use the same row of C, and both parts count.",
    ],
)
n, T, V, d, H = exercise.sizes("n T V d H")
i, t, v, c, g, m, o = exercise.indices(i=n, t=T, v=V, c=d, g=H, m=T * d, o=1)
k = exercise.indices(k=V)

Xb = exercise.input("Xb", i, t, domain="index", below=V)
Yb = exercise.input("Yb", i, domain="index", below=V)
C = exercise.parameter("C", v, c)
W1 = exercise.parameter("W1", m, g)
b1 = exercise.parameter("b1", g)
W2 = exercise.parameter("W2", g, k)
b2 = exercise.parameter("b2", k)
bngain = exercise.parameter("bngain", o, g)
bnbias = exercise.parameter("bnbias", o, g)

emb = exercise.step("emb", [i, t, c], C[Xb[i, t], c])
embcat = exercise.step("embcat", [i, m], Reshape(emb, (n, T * d))[i, m])
hprebn = exercise.step("hprebn", [i, g], Sum(embcat[i, m] * W1[m, g], m) + b1[g])
bnmeani = exercise.step("bnmeani", [o, g], Sum(hprebn[i, g], i) / n)
bndiff = exercise.step("bndiff", [i, g], hprebn[i, g] - bnmeani[0, g])
bndiff2 = exercise.step("bndiff2", [i, g], bndiff[i, g] ** 2)
bnvar = exercise.step("bnvar", [o, g], Sum(bndiff2[i, g], i) / (n - 1))
bnvar_inv = exercise.step("bnvar_inv", [o, g], (bnvar[0, g] + Rational(1, 10**5)) ** Rational(-1, 2))
bnraw = exercise.step("bnraw", [i, g], bndiff[i, g] * bnvar_inv[0, g])
hpreact = exercise.step("hpreact", [i, g], bngain[0, g] * bnraw[i, g] + bnbias[0, g])
h = exercise.step("h", [i, g], tanh(hpreact[i, g]))
logits = exercise.step("logits", [i, k], Sum(h[i, g] * W2[g, k], g) + b2[k])
logit_maxes = exercise.step("logit_maxes", [i, o], MaxOver(logits[i, k], k))
norm_logits = exercise.step("norm_logits", [i, k], logits[i, k] - logit_maxes[i, 0])
counts = exercise.step("counts", [i, k], exp(norm_logits[i, k]))
counts_sum = exercise.step("counts_sum", [i, o], Sum(counts[i, k], k))
counts_sum_inv = exercise.step("counts_sum_inv", [i, o], 1 / counts_sum[i, 0])
probs = exercise.step("probs", [i, k], counts[i, k] * counts_sum_inv[i, 0])
logprobs = exercise.step("logprobs", [i, k], log(probs[i, k]))
loss = exercise.loss("loss", -Sum(logprobs[i, Yb[i]], i) / n)

ASKED = """
logprobs probs counts counts_sum counts_sum_inv norm_logits logit_maxes logits h W2 b2 hpreact bngain bnbias
bnraw bnvar_inv bnvar bndiff2 bndiff bnmeani hprebn embcat W1 b1 emb C
"""
exercise.ask(*ASKED.split())
exercise.example(n=7, T=3, V=11, d=5, H=13)


@exercise.reference
def forward(s):
    import torch
    import torch.nn.functional as F

    hidden = F.linear(F.embedding(s.Xb, s.C).flatten(1), s.W1.T, s.b1)
    var, mean = torch.var_mean(hidden, 0, keepdim=True)  # unbiased
    normal = (hidden - mean) / torch.sqrt(var + 1e-5)
    return F.cross_entropy(F.linear(torch.tanh(s.bngain * normal + s.bnbias), s.W2.T, s.b2), s.Yb)
