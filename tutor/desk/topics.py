"""What `tutor help TOPIC` prints: one screen each. The examples of `syntax` are read by the tests as they stand."""

from __future__ import annotations

from collections.abc import Iterable

from tutor.errors import NotFoundError, did_you_mean
from tutor.language import N_, said, tr

SYNTAX = (
    (N_("a gradient, in torch's spelling"), "dz = (p - y) / N"),
    (N_("or with indices"), "dW[j,k] = Sum(x[i,j]*dz[i,k], i)"),
    (N_("products, transposes, sums"), "dW = x.T @ dz;   db = dz.sum(0)"),
    (N_("an axis that is kept, or added"), "z.sum(1, keepdim=True);   s[:, None]"),
    (N_("functions"), "torch.exp(z)   np.exp(z)   exp(z)   sigmoid(z)"),
    (N_("conditions and masks"), "dz = dh * (z > 0);   torch.where(z > 0, dh, 0)"),
    (N_("local derivatives"), "do_dn = 1 - o**2;   dn = do * do_dn"),
    (N_("helpers of your own"), "r = y_pred - y"),
    (N_("parts that are added up"), "dx = dxhat * istd;   dx += dmu / D"),
    (N_("rows that an index picks"), "dE[t] += demb;   F.one_hot(y, K)"),
    (N_("loops"), "for i in range(N): dE[t[i]] += demb[i]"),
    (N_("numbers at the worked example"), "dw = -8"),
    (N_("pinned sizes, for pasted code"), "# sizes: N=32, K=10"),
)


def syntax() -> str:
    """What a sheet may contain, by example."""
    rows = [(tr(what), example) for what, example in SYNTAX]
    from tutor.views.plain import columns

    wide = max(columns(what) for what, _ in rows)
    head = tr("A sheet is text: the exercise, then a line for each thing you derive. It is never executed.")
    lines = [head, "", "  # exercise: softmax-regression"]
    lines += [f"  {what}{' ' * (wide - columns(what))}   {example}" for what, example in rows]
    lines += [
        "",
        tr("dz is the gradient of the loss with respect to z; dL_dz, grad_z and z.grad are the same."),
        tr("LaTeX is read too (.tex), and Markdown and notebooks with formulas in blocks (.md, .ipynb)."),
        tr("^ is read as **; a product always has its * or @; a second line for dz must hold as well."),
    ]
    return "\n".join(lines)


TOPICS = {"syntax": syntax}


def topic(name: str, commands: Iterable[str] = ()) -> str:
    """The text of a topic. Raises NotFoundError, naming what there is, `commands` included."""
    if name not in TOPICS:
        there = [*TOPICS, *commands]
        raise NotFoundError(
            said('there is no help on "{name}"{hint}: there is {topics}', name=name, hint=did_you_mean(name, there),
               topics=", ".join(there))
        )  # fmt: skip
    return TOPICS[name]()
