"""One exercise made ready for the exam: forms of every gradient, forward formulas, and instances for plain torch."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from exam_plain import Case, cases, run, target_name, worked

import tutor
from tutor.numeric.sample import on_kinks
from tutor.symbolic.notation import sheet_form
from tutor.symbolic.torch_form import torch_form

Expr = ast.expr

# what people write by hand and no printer would: exercise, quantity -> right sides; for a member of a family those
# that plain torch confirms are taken
BY_HAND: dict[str, dict[str, list[str]]] = {
    "linear-regression": {
        "dy_pred": ["2*(w*x + b - y)", "-2*(y - y_pred)", "2*y_pred - 2*y", "(y_pred - y) + (y_pred - y)",
            "torch.sign(y_pred - y)", "(y_pred - y)/abs(y_pred - y)", "-torch.sign(y - y_pred)",
            "torch.where(y_pred > y, 1.0, -1.0)", "((y_pred > y)*2.0 - 1)", "np.sign(w*x + b - y)",
            "torch.tanh(y_pred - y)", "torch.sinh(y_pred - y)/torch.cosh(y_pred - y)",
            "2*torch.sigmoid(2*(y_pred - y)) - 1", "1 - 2/(torch.exp(2*(y_pred - y)) + 1)",
            "torch.where(abs(y_pred - y) <= 1, y_pred - y, torch.sign(y_pred - y))",
            "torch.clamp(y_pred - y, -1, 1)", "(y_pred - y).clamp(min=-1, max=1)",
            "torch.maximum(torch.minimum(y_pred - y, torch.tensor(1.0)), torch.tensor(-1.0))"],
        "dw": ["2*(y_pred - y)*x", "-2*x*(y - w*x - b)", "2*x*y_pred - 2*x*y", "2*x*(x*w + b) - 2*x*y",
            "x*torch.sign(y_pred - y)"],
        "db": ["2*(y_pred - y)", "2*(w*x + b) - 2*y"],
    },
    "linear-regression-batch": {
        "dr": ["r/N", "(y_pred - y)/N", "(X @ w + b - y)/X.shape[0]", "r/len(r)"],
        "dw": ["X.T @ r/N", "r @ X/N", "(X*r[:, None]).mean(0)", "X.T @ (X @ w + b - y)/N",
            "(X.T @ X @ w + b*X.sum(0) - X.T @ y)/N"],
        "db": ["r.mean()", "r.sum()/N", "y_pred.mean() - y.mean()"],
    },
    "softmax-regression": {
        "dz": ["(p - y)/N", "(torch.softmax(z, 1) - y)/N", "(F.softmax(x @ W + b, dim=1) - y)/x.shape[0]",
            "p/N - y/N", "(e/e.sum(1, keepdim=True) - y)/N",
            "(torch.exp(z - torch.logsumexp(z, 1, keepdim=True)) - y)/N"],
        "dW": ["x.T @ (p - y)/N", "(x.T @ p - x.T @ y)/N"],
        "db": ["(p - y).mean(0)", "(p - y).sum(0)/N", "(p.sum(0) - y.sum(0))/N"],
        "ds": ["1/(N*s)", "(y.sum(1)/s)/N"],
    },
    "image-classifier": {
        "dlogp": ["-F.one_hot(y, K)/N", "-torch.eye(K)[y]/N", "-(y[:, None] == torch.arange(K))/N"],
        "dz": ["(torch.softmax(z, 1) - F.one_hot(y, K))/N", "(e/s[:, None] - torch.eye(K)[y])/N",
            "(torch.exp(logp) - F.one_hot(y, K))/N", "(logp.exp() - F.one_hot(y, num_classes=K))/len(y)"],
        "dW": ["((torch.softmax(z, 1) - F.one_hot(y, K))/N).T @ x"],
    },
    "embedding": {
        "demb": ["2*(emb - y)/(N*D)", "2/(N*D)*(E[t] - y)", "2*(emb - y)/emb.numel()"],
        "dE": ["F.one_hot(t, V).double().T @ demb", "(t == torch.arange(V)[:, None]).double() @ demb",
            "torch.eye(V)[t].T @ demb", "torch.einsum('nv,nd->vd', torch.eye(V)[t], demb)"],
    },
    "mlp": {
        "dz1": ["dh1*(h1 > 0)", "torch.where(z1 > 0, dh1, 0.0)", "dh1*(torch.sign(z1) + 1)/2",
            "torch.where(h1 > 0, dh1, torch.zeros_like(dh1))", "dh1*(z1 > 0).float()", "dh1*torch.sign(h1)",
            "dh1*(1 - h1**2)", "dh1*(1 - torch.tanh(z1)**2)", "dh1/torch.cosh(z1)**2", "dh1 - dh1*h1*h1",
            "dh1*h1*(1 - h1)", "dh1*torch.sigmoid(z1)*torch.sigmoid(-z1)", "dh1*(h1 - h1**2)",
            "dh1*torch.exp(-z1)/(1 + torch.exp(-z1))**2", "dh1*(1 - torch.tanh(z1/2)**2)/4"],
        "dy_pred": ["2*(y_pred - y)/y.numel()", "2/(N*D2)*(h1 @ W2 + b2 - y)", "torch.sign(y_pred - y)/(N*D2)",
            "((y_pred > y)*2.0 - 1)/(N*D2)"],
        "dz2": ["dh2*(1 - h2)*(1 + h2)", "(1 - h2*h2)*dh2", "dh2*(1 - torch.tanh(z2).pow(2))"],
    },
    "attention": {
        "da": ["P*(dP - (P*dP).sum(1, keepdim=True))", "P*dP - P*(P*dP).sum(-1)[:, None]",
            "P*(dP - torch.einsum('nm,nm->n', P, dP).unsqueeze(1))", "P*(dP - (dO*O).sum(1, keepdim=True))",
            "torch.softmax(Q @ K.T/D**0.5, dim=-1)*(dP - (dO*O).sum(-1, keepdim=True))"],
        "dQ": ["da @ K/D**0.5", "da @ (K/sqrt(D))", "D**-0.5*(da @ K)", "da.matmul(K)/math.sqrt(K.shape[1])"],
        "dK": ["da.T @ Q/D**0.5", "(Q.T @ da).T/sqrt(D)"],
    },
    "layer-norm": {
        "dx": ["istd[:, None]*(dxhat - dxhat.mean(1, keepdim=True) - xhat*(dxhat*xhat).mean(1, keepdim=True))",
            "istd[:, None]/D*(D*dy*gamma - (dy*gamma).sum(1)[:, None] - xhat*(dy*gamma*xhat).sum(1)[:, None])",
            "(dxhat - dxhat.mean(-1, True) - xhat*(dxhat*xhat).mean(-1, True))*istd.unsqueeze(-1)"],
        "dgamma": ["(dy*xhat).sum(0)", "torch.einsum('ij,ij->j', dy, xhat)"],
        "dvar": ["-0.5*distd*istd**3", "distd*(-1/2)*(var + 1e-5)**-1.5", "-distd/(2*(var + 1e-5)**1.5)"],
        "dmu": ["-dxc.sum(1)", "-(dxhat*istd[:, None]).sum(1) - 2*dvar*xc.mean(1)", "-(dxhat*istd[:, None]).sum(1)"],
    },
    "makemore-mlp": {
        "dlogits": ["(F.softmax(logits, 1) - F.one_hot(Yb, V))/n", "(probs - F.one_hot(Yb, V))/n"],
        "dhpreact": ["(1.0 - h**2)*dh", "dh - h*h*dh"],
        "dbnvar": ["(-0.5*(bnvar + 1e-5)**-1.5)*dbnvar_inv"],
        "dbndiff2": ["(1.0/(n - 1))*torch.ones_like(bndiff2)*dbnvar"],
        "dprobs": ["(1.0/probs)*dlogprobs"],
        "dcounts_sum": ["(-counts_sum**-2)*dcounts_sum_inv"],
        "dhprebn": ["bngain*bnvar_inv/n*(n*dhpreact - dhpreact.sum(0) - n/(n - 1)*bnraw*(dhpreact*bnraw).sum(0))"],
        "dembcat": ["dhprebn @ W1.T"],
        "demb": ["dembcat.view(emb.shape)", "dembcat.reshape(n, T, d)"],
    },
}  # fmt: skip
SMALL = 18  # gradients of an exercise all of whose closed forms are taken


def parsed(text: str) -> Expr:
    return ast.parse(text, mode="eval").body


# -- what there is to rewrite ----------------------------------------------------------------------------------


@dataclass
class Course:
    """One exercise, ready: forms of every gradient, forward formulas, and instances for plain torch."""

    address: str
    exercise: Any
    cases: list[Case]
    worked: Case | None
    tied: list[Case]  # a draw on kinks, where the exercise asks for torch's choice there
    order: list[str] = field(default_factory=list)  # dW, ..., and values, as they can be computed
    forms: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (style, dW) -> right sides
    left: dict[str, str] = field(default_factory=dict)  # dW -> dW[j,k]
    forward: dict[tuple[str, str], str] = field(default_factory=dict)  # (style, z) -> its formula
    asked: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)  # upstream gradients
    names: set[str] = field(default_factory=set)

    @property
    def indices(self) -> dict[str, tuple[Any, ...]]:
        return {q.name: q.indices for q in self.exercise}


def course(address: str) -> Course:
    ex = tutor.load(address)
    kinked = on_kinks(ex, 0) if ex.strict_kinks else None
    tied = [] if kinked is None else [Case(ex, kinked)]
    made = Course(address, ex, cases(ex), worked(ex), tied, names={q.name for q in ex})
    ends = {q.name for q in ex.ends}
    by_hand = BY_HAND.get(address.split(":")[0], {})
    gradients = [g for g in ex.derive().gradients.values() if g.name not in ends]
    for n, g in enumerate(gradients):
        name = g.symbol_name
        made.order.append(name)
        made.left[name] = sheet_form(g.entry, ex)
        torch_forms, index_forms = [g.torch, *by_hand.get(name, [])], [sheet_form(g.expr, ex)]
        if len(gradients) <= SMALL or n < SMALL // 2:  # closed forms far from the loss of a deep network fill pages
            torch_forms.append(torch_form(g.closed, g.indices, ex))
            index_forms.append(sheet_form(g.closed, ex))
        for style, offered in (("torch", torch_forms), ("index", index_forms)):
            fitting = [form for form in offered if form and len(form) < 300]
            made.forms[style, name] = [form for form in fitting if _is_right(made, name, form, style)]
    for q in ex.values:
        made.order.append(q.name)
        made.left[q.name] = sheet_form(q.entry, ex)
        made.forms["torch", q.name] = [torch_form(q.expr, q.indices, ex)]
        made.forms["index", q.name] = [sheet_form(q.expr, ex)]
    for q in ex.forward:
        if q.name not in ends:
            if torch_text := torch_form(q.expr, q.indices, ex):
                made.forward["torch", q.name] = torch_text
            made.forward["index", q.name] = sheet_form(q.expr, ex)
    made.asked = [n if ex[n].kind == "value" else f"d{n}" for n in ex.asked]
    made.given = {f"d{q.name}" for q in ex.ends if q.kind == "output"}
    return made


def _is_right(where: Course, name: str, form: str, style: str) -> bool:
    line = statement(where, name, parsed(form), style)
    return all(where_equal(where, case, line) for case in where.cases)


def statement(where: Course, name: str, value: Expr, style: str) -> ast.stmt:
    left = where.left[name] if style == "index" else name
    made = ast.parse(f"{left} = 0").body[0]
    made.value = value
    made.style = style
    return ast.fix_missing_locations(made)


class Told:
    """A case in which every gradient is given: one line alone can be run."""

    def __init__(self, case: Case):
        self.exercise, self.sizes, self.truth = case.exercise, case.sizes, case.truth
        self.forward = {**case.truth, **case.forward}


def told(case: Case) -> Any:
    if not hasattr(case, "_told"):
        case._told = Told(case)
    return case._told


def where_equal(where: Course, case: Case, line: ast.stmt) -> bool:
    ran = run([line], told(case))
    return ran.errors[0] is None and case.equal(target_name(line, where.names), ran.after[0])


def reads(where: Course, node: ast.AST) -> list[str]:
    """Gradients and values that an expression reads and that a sheet must have given before."""
    return [
        n
        for n in where.order
        if n not in where.given and any(isinstance(k, ast.Name) and k.id == n for k in ast.walk(node))
    ]
