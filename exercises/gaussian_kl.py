"""The loss of a small variational autoencoder: a sample, a reconstruction, a KL divergence.

    sd[i,j] = exp(logvar[i,j]/2)                       the standard deviation
    z[i,j]  = mu[i,j] + sd[i,j]*eps[i,j]               a sample, as a function of mu and sd
    L       = (sum over i, j of (z[i,j] - x[i,j])**2) / 2                           reconstruction
            + (sum over i, j of mu[i,j]**2 + exp(logvar[i,j]) - logvar[i,j] - 1) / 2      KL

The second line is the Kullback-Leibler divergence from the normal distribution with mean `mu` and
variance exp(`logvar`) to the standard normal one. The decoder is left out: `z` itself should look
like `x`.

Shapes: `mu`, `logvar`, `sd`, `z`, `x`, `eps` (N, D). The noise `eps` was drawn once and is given.

Derive the gradients of `z`, `mu` and `logvar`. Both parameters reach the loss by two paths:
through the sample, and through the divergence directly.

Conventions: `logvar` is the logarithm of the *variance*, not of the standard deviation. All terms
are summed over the batch and all dimensions; many programs take the mean over the batch. `eps` is
a constant, without a gradient.
"""

from sympy import Sum, exp

from tutor import Exercise

exercise = Exercise(
    "gaussian-kl",
    title="Gaussian KL and the reparameterisation",
    level=4,
    tags=["loss", "probability", "generative"],
    source="CS231n assignment 3, variational autoencoder",
    requires=["mse"],
    hints=[
        "dz comes from the reconstruction alone: a square with a factor 1/2.",
        "Two paths, two terms. What each parameter gets from the divergence does not contain x or eps.",
        "logvar moves z through sd = exp(logvar/2): the inner derivative is 1/2, and eps stays as a factor.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

mu = exercise.parameter("mu", i, j)
logvar = exercise.parameter("logvar", i, j)
eps = exercise.input("eps", i, j)
x = exercise.input("x", i, j)
sd = exercise.step("sd", [i, j], exp(logvar[i, j] / 2))
z = exercise.step("z", [i, j], mu[i, j] + sd[i, j] * eps[i, j])
misfit = Sum((z[i, j] - x[i, j]) ** 2, i, j) / 2
divergence = Sum(mu[i, j] ** 2 + exp(logvar[i, j]) - logvar[i, j] - 1, i, j) / 2
L = exercise.loss("L", misfit + divergence)

exercise.ask("z", "mu", "logvar")
exercise.points(logvar=2)
exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch
    from torch.distributions import Normal, kl_divergence

    scale = torch.sqrt(torch.exp(t.logvar))
    divergence = kl_divergence(Normal(t.mu, scale), Normal(0.0, 1.0)).sum()
    sample = torch.addcmul(t.mu, scale, t.eps)
    return torch.nn.functional.mse_loss(sample, t.x, reduction="sum") / 2 + divergence
