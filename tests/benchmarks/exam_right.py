"""Right answers, rewritten at random: reordered, expanded, factored, in other spellings, with helpers, steps skipped.

A rule looks at one node of a line's syntax tree and offers other ways to write it. A rule may be sloppy about when it
holds: each rewriting is kept only if plain torch gives the same values before and after it.
"""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from exam_plain import BINDERS, Case, as_tensor, cases, run, target_name, worked
from torch import Tensor

import tutor
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


# -- what there is to rewrite -----------------------------------------------------------------------------------


@dataclass
class Course:
    """One exercise, ready: forms of every gradient, forward formulas, and instances for plain torch."""

    address: str
    exercise: Any
    cases: list[Case]
    worked: Case | None
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
    made = Course(address, ex, cases(ex), worked(ex), names={q.name for q in ex})
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
    made.value = value  # type: ignore[attr-defined]
    made.style = style  # type: ignore[attr-defined]
    return ast.fix_missing_locations(made)


class Told:
    """A case in which every gradient is given: one line alone can be run."""

    def __init__(self, case: Case):
        self.exercise, self.sizes, self.truth = case.exercise, case.sizes, case.truth
        self.forward = {**case.truth, **case.forward}


def told(case: Case) -> Any:
    if not hasattr(case, "_told"):
        case._told = Told(case)  # type: ignore[attr-defined]
    return case._told  # type: ignore[attr-defined]


def where_equal(where: Course, case: Case, line: ast.stmt) -> bool:
    ran = run([line], told(case))
    return ran.errors[0] is None and case.equal(target_name(line, where.names), ran.after[0])


def reads(where: Course, node: ast.AST) -> list[str]:
    """Gradients and values that an expression reads and that a sheet must have given before."""
    return [n for n in where.order if n not in where.given and any(isinstance(k, ast.Name) and k.id == n for k in ast.walk(node))]


# -- rules --------------------------------------------------------------------------------------------------------

Rule = Callable[["Scene", Any], Iterator[Any]]
RULES: dict[type, list[tuple[str, Rule]]] = {}  # node type -> (style it is for, rule)


def rule(kind: type, style: str = "both") -> Callable[[Rule], Rule]:
    def listed(function: Rule) -> Rule:
        RULES.setdefault(kind, []).append((style, function))
        return function

    return listed


@dataclass
class Scene:
    """Where a rule is applied: the exercise, the dice, and shapes of subexpressions by plain torch."""

    where: Course
    dice: random.Random
    style: str

    def value(self, node: Expr) -> Any:
        line = ast.fix_missing_locations(ast.Assign([ast.Name("probe", ast.Store())], clone(node)))
        line.style = "torch"  # type: ignore[attr-defined]
        return run([line], told(self.where.cases[0])).after[0]

    def rank(self, node: Expr) -> int:
        found = as_tensor(self.value(node))
        return -1 if found is None else found.ndim

    def sized(self, length: int) -> str | None:
        """A way to write a size: N, or the shape of something that has it."""
        case = self.where.cases[0]
        ways = [n for n, extent in case.sizes.items() if extent == length]
        ways += [f"{n}.shape[{a}]" for n, x in case.forward.items() for a, extent in enumerate(x.shape) if extent == length]
        return self.dice.choice(ways) if ways else None

    def fresh(self, tree: ast.AST) -> str:
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | self.where.names | set(self.where.cases[0].sizes)
        free = [n for n in ("i", "j", "k", "l", "m", "a", "b", "c", "q", "u", "i_", "j2", "kk", "alpha") if n not in used]
        return self.dice.choice([n for n in free if n not in self.where.exercise.index_symbols] or ["zz"])


def clone(node: Any) -> Any:
    """A copy of a syntax tree, quicker than `deepcopy`."""
    made = type(node)()
    made.__dict__.update({name: getattr(node, name) for name in node._attributes if hasattr(node, name)})
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            value = [clone(v) if isinstance(v, ast.AST) else v for v in value]
        setattr(made, name, clone(value) if isinstance(value, ast.AST) else value)
    return made


def op(left: Any, sign: str, right: Any) -> Expr:
    kinds = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "**": ast.Pow, "@": ast.MatMult, ">": ast.Gt}
    left, right = (n if isinstance(n, ast.expr) else parsed(str(n)) for n in (left, right))
    return ast.BinOp(left, kinds[sign](), right)


def negated(node: Expr) -> Expr:
    return ast.UnaryOp(ast.USub(), node)


def call(name: str, *arguments: Any, **named: Any) -> Expr:
    made = [n if isinstance(n, ast.expr) else parsed(str(n)) for n in arguments]
    return ast.Call(parsed(name), made, [ast.keyword(k, parsed(str(v))) for k, v in named.items()])


def method(node: Expr, name: str, *arguments: Any, **named: Any) -> Expr:
    made = call("f", *arguments, **named)
    made.func = ast.Attribute(node, name)  # type: ignore[attr-defined]
    return made


def is_op(node: Any, *signs: type) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, signs)


def same(a: ast.AST, b: ast.AST) -> bool:
    return ast.dump(a) == ast.dump(b)


def number_of(node: Any) -> Any:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool) else None


@rule(ast.BinOp)
def sums(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a + b, a - b: the other order, the other sign, the other grouping."""
    a, b = n.left, n.right
    if is_op(n, ast.Add):
        yield op(b, "+", a)
        yield op(a, "-", negated(b))
        yield negated(op(negated(a), "-", b))
        if is_op(a, ast.Add):
            yield op(a.left, "+", op(a.right, "+", b))  # type: ignore[attr-defined]
            yield op(op(a.left, "+", b), "+", a.right)  # type: ignore[attr-defined]
        if is_op(a, ast.Mult, ast.Div) and is_op(b, ast.Mult, ast.Div):
            yield from common(a, b, "+")  # type: ignore[arg-type]
    if is_op(n, ast.Sub):
        yield op(a, "+", negated(b))
        yield negated(op(b, "-", a))
        yield op(negated(b), "+", a)
        yield op(op(-1, "*", op(b, "-", a)), "*", 1)
        if is_op(b, ast.Add):
            yield op(op(a, "-", b.left), "-", b.right)  # type: ignore[attr-defined]
        if is_op(a, ast.Mult, ast.Div) and is_op(b, ast.Mult, ast.Div):
            yield from common(a, b, "-")  # type: ignore[arg-type]
        if number_of(a) == 1 and is_op(b, ast.Pow) and number_of(b.right) == 2:  # type: ignore[attr-defined]
            yield op(op(1, "-", b.left), "*", op(1, "+", b.left))  # type: ignore[attr-defined]
            yield op(op(b.left, "+", 1), "*", op(1.0, "-", b.left))  # type: ignore[attr-defined]
        if is_op(a, ast.Pow) and is_op(b, ast.Pow) and number_of(a.right) == number_of(b.right) == 2:  # type: ignore[attr-defined]
            yield op(op(a.left, "-", b.left), "*", op(a.left, "+", b.left))  # type: ignore[attr-defined]
    if same(a, b) and is_op(n, ast.Add):
        yield op(2, "*", a)


def common(a: ast.BinOp, b: ast.BinOp, sign: str) -> Iterator[Expr]:
    """a*c + b*c = (a + b)*c; a/c + b/c = (a + b)/c."""
    if type(a.op) is not type(b.op):
        return
    how = "*" if is_op(a, ast.Mult) else "/"
    if same(a.right, b.right):
        yield op(op(a.left, sign, b.left), how, a.right)
    if how == "*":
        for x, rest in ((a.left, a.right), (a.right, a.left)):
            for y, other in ((b.left, b.right), (b.right, b.left)):
                if same(x, y):
                    yield op(x, "*", op(rest, sign, other))


@rule(ast.BinOp)
def products(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a*b, a/b: the other order and grouping, expanded, with powers of -1."""
    a, b = n.left, n.right
    if is_op(n, ast.Mult):
        yield op(b, "*", a)
        if is_op(a, ast.Mult):
            yield op(a.left, "*", op(a.right, "*", b))  # type: ignore[attr-defined]
            yield op(op(a.left, "*", b), "*", a.right)  # type: ignore[attr-defined]
        if is_op(a, ast.Div):
            yield op(op(a.left, "*", b), "/", a.right)  # type: ignore[attr-defined]
        if is_op(b, ast.Div):
            yield op(op(a, "*", b.left), "/", b.right)  # type: ignore[attr-defined]
        for x, y in ((a, b), (b, a)):
            if is_op(y, ast.Add, ast.Sub):
                sign = "+" if is_op(y, ast.Add) else "-"
                yield op(op(x, "*", y.left), sign, op(x, "*", y.right))  # type: ignore[attr-defined]
                yield op(op(y.left, "*", x), sign, op(y.right, "*", x))  # type: ignore[attr-defined]
        if number_of(a) == 2:
            yield op(b, "+", clone(b))
        if same(a, b):
            yield op(a, "**", 2)
        yield negated(op(negated(a), "*", b))
        if s.style == "torch":
            yield call(s.dice.choice(["torch.mul", "torch.multiply", "np.multiply"]), a, b)
    if is_op(n, ast.Div):
        yield op(a, "*", op(b, "**", -1))
        yield op(a, "*", op(1, "/", b))
        yield op(op(1.0, "/", b), "*", a)
        yield op(op(b, "**", -1), "*", a)
        yield negated(op(a, "/", negated(b)))
        if is_op(b, ast.Mult):
            yield op(op(a, "/", b.left), "/", b.right)  # type: ignore[attr-defined]
            yield op(op(a, "/", b.right), "/", b.left)  # type: ignore[attr-defined]
        if is_op(a, ast.Div):
            yield op(a.left, "/", op(a.right, "*", b))  # type: ignore[attr-defined]
        if is_op(a, ast.Mult):
            yield op(a.left, "*", op(a.right, "/", b))  # type: ignore[attr-defined]
            yield op(op(a.left, "/", b), "*", a.right)  # type: ignore[attr-defined]
        if is_op(a, ast.Add, ast.Sub):
            sign = "+" if is_op(a, ast.Add) else "-"
            yield op(op(a.left, "/", b), sign, op(a.right, "/", b))  # type: ignore[attr-defined]
        if number_of(b) == 2:
            yield op(0.5, "*", a)
            yield op(a, "*", call("Rational", 1, 2) if s.style == "index" else op(1, "/", 2))


@rule(ast.UnaryOp)
def signs(s: Scene, n: ast.UnaryOp) -> Iterator[Expr]:
    if not isinstance(n.op, ast.USub):
        return
    a = n.operand
    yield op(-1, "*", a)
    yield op(0, "-", a)
    if is_op(a, ast.Sub):
        yield op(a.right, "-", a.left)  # type: ignore[attr-defined]
    if is_op(a, ast.Add):
        yield op(negated(a.left), "-", a.right)  # type: ignore[attr-defined]
    if is_op(a, ast.Mult, ast.Div, ast.MatMult):
        how = {ast.Mult: "*", ast.Div: "/", ast.MatMult: "@"}[type(a.op)]  # type: ignore[attr-defined]
        yield op(negated(a.left), how, a.right)  # type: ignore[attr-defined]
        yield op(a.left, how, negated(a.right))  # type: ignore[attr-defined]
    if isinstance(a, ast.UnaryOp) and isinstance(a.op, ast.USub):
        yield a.operand


@rule(ast.BinOp)
def powers(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    if not is_op(n, ast.Pow):
        return
    a, power = n.left, n.right
    p = number_of(power)
    torchlike = s.style == "torch" and s.rank(a) >= 0
    if p == 2:
        yield op(a, "*", clone(a))
    if p == 3:
        yield op(op(a, "**", 2), "*", a)
        yield op(op(a, "*", a), "*", a)
    if p is not None and torchlike and isinstance(s.value(a), Tensor):
        yield method(a, "pow", power)
        yield call(s.dice.choice(["torch.pow", "np.power"]), a, power)
        if p == 2:
            yield call("torch.square", a)
            yield method(a, "square")
    if p == 0.5:
        yield call("sqrt", a)
        yield call("np.sqrt", a)
        yield op(a, "**", op(1, "/", 2))
        yield op(a, "/", op(a, "**", 0.5))
    if isinstance(power, ast.UnaryOp) and number_of(power.operand) == 1:
        yield op(1, "/", a)


@rule(ast.Constant)
def numbers(s: Scene, n: ast.Constant) -> Iterator[Expr]:
    value = number_of(n)
    if value is None:
        return
    if isinstance(value, int):
        yield ast.Constant(float(value))
        if value > 1:
            yield op(value + 1, "-", 1)
    elif value == 0.5:
        yield op(1, "/", 2)
        yield parsed("1/2.0")
        if s.style == "index":
            yield parsed("Rational(1, 2)")
    if value == 1e-5 or value == 100000:
        yield ast.Constant(1e-5 if value == 1e-5 else 1e5)


@rule(ast.BinOp, "torch")
def matrix_products(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """a @ b: as a call, transposed, as einsum, as a sum."""
    if not is_op(n, ast.MatMult):
        return
    a, b = n.left, n.right
    ranks = s.rank(a), s.rank(b)
    yield call("torch.matmul", a, b)
    yield method(a, "matmul", b)
    yield call("np.dot", a, b)
    if ranks == (2, 2):
        yield call("torch.mm", a, b)
        yield method(a, "mm", b)
        yield transposed(s, op(transposed(s, b), "@", transposed(s, a)))
        yield call("torch.einsum", "'ij,jk->ik'", a, b)
        yield call("torch.einsum", "'ab,bc'", a, b)
        yield parsed(f"(({ast.unparse(a)})[:, :, None] * ({ast.unparse(b)})[None, :, :]).sum(1)")
        if (base := untransposed(a)) is not None:
            yield call("torch.einsum", "'ni,nj->ij'", base, b)
            yield parsed(f"(({ast.unparse(base)})[:, :, None] * ({ast.unparse(b)})[:, None, :]).sum(0)")
        if (base := untransposed(b)) is not None:
            yield call("torch.einsum", "'ni,ji->nj'", a, base)
    if ranks == (2, 1):
        yield call("torch.mv", a, b)
        yield call("torch.einsum", "'ij,j->i'", a, b)
        yield op(b, "@", transposed(s, a))
        yield method(op(a, "*", b), "sum", 1)
        if (base := untransposed(a)) is not None:
            yield parsed(f"(({ast.unparse(base)}) * ({ast.unparse(b)})[:, None]).sum(0)")
    for x, y, left in ((a, b, True), (b, a, False)):
        if is_op(x, ast.Mult, ast.Div) and s.rank(x.right) == 0:  # type: ignore[attr-defined]
            inner = op(x.left, "@", y) if left else op(y, "@", x.left)  # type: ignore[attr-defined]
            yield op(inner, "*" if is_op(x, ast.Mult) else "/", x.right)  # type: ignore[attr-defined]
    if is_op(a, ast.MatMult):
        yield op(a.left, "@", op(a.right, "@", b))  # type: ignore[attr-defined]
    if is_op(a, ast.Sub, ast.Add):
        yield op(op(a.left, "@", b), "-" if is_op(a, ast.Sub) else "+", op(a.right, "@", b))  # type: ignore[attr-defined]


def untransposed(node: Expr) -> Expr | None:
    return node.value if isinstance(node, ast.Attribute) and node.attr in ("T", "mT") else None


def transposed(s: Scene, node: Expr) -> Expr:
    if (base := untransposed(node)) is not None:
        return base
    return ast.Attribute(node, s.dice.choice(["T", "T", "mT"]))


@rule(ast.Attribute, "torch")
def transposes(s: Scene, n: ast.Attribute) -> Iterator[Expr]:
    if n.attr in ("T", "mT"):
        yield method(n.value, "t")
        yield method(n.value, "transpose", 0, 1)
        yield method(n.value, "transpose", -1, -2)
        yield method(n.value, "permute", 1, 0)
        yield call("torch.transpose", n.value, 0, 1)
        yield call("np.transpose", n.value)
        yield call("torch.t", n.value)
        yield ast.Attribute(n.value, "mT" if n.attr == "T" else "T")
        if is_op(n.value, ast.MatMult):
            a, b = n.value.left, n.value.right  # type: ignore[attr-defined]
            yield op(ast.Attribute(b, "T"), "@", ast.Attribute(a, "T"))


def reduction(n: ast.Call) -> tuple[Expr, int | None, bool] | None:
    """(x, dim, keepdim) of x.sum(0), torch.sum(x, dim=0)."""
    if not isinstance(n.func, ast.Attribute) or n.func.attr != "sum":
        return None
    given = list(n.args)
    module = isinstance(n.func.value, ast.Name) and n.func.value.id in ("torch", "np")
    x = given.pop(0) if module else n.func.value
    named = {k.arg: k.value for k in n.keywords}
    dim = given[0] if given else named.get("dim", named.get("axis"))
    if isinstance(dim, ast.UnaryOp):
        return None
    keep = named.get("keepdim", named.get("keepdims"))
    axis = number_of(dim) if dim is not None else None
    return (x, axis, isinstance(keep, ast.Constant) and bool(keep.value)) if dim is None or axis is not None else None


@rule(ast.Call, "torch")
def reductions(s: Scene, n: ast.Call) -> Iterator[Expr]:
    """x.sum(0): every spelling, as a product with ones, as einsum, as a mean."""
    found = reduction(n)
    if found is None:
        return
    x, dim, keep = found
    rank = s.rank(x)
    if dim is None:
        yield call("torch.sum", x)
        yield call("np.sum", x)
        yield method(x, "sum")
        yield method(method(x, "flatten"), "sum")
        yield method(method(x, "reshape", -1), "sum")
        if rank == 2:
            yield method(method(x, "sum", 1), "sum", 0)
        if rank == 1:
            yield op(method(x, "mean"), "*", s.sized(s.value(x).shape[0]) or 1)
        if is_op(x, ast.Mult) and rank == 1:
            yield op(x.left, "@", x.right)  # type: ignore[attr-defined]
            yield call("torch.dot", x.left, x.right)  # type: ignore[attr-defined]
        return
    kept = {"keepdim": True} if keep else {}
    numpy_kept = {"keepdims": True} if keep else {}
    yield method(x, "sum", dim, **kept)
    yield method(x, "sum", dim=dim, **kept)
    yield method(x, "sum", axis=dim, **kept)
    yield method(x, "sum", dim - rank, **kept)
    yield method(x, "sum", f"({dim},)", **kept)
    yield call("torch.sum", x, dim, **kept)
    yield call("torch.sum", x, dim=dim, **kept)
    yield call("torch.sum", x, axis=dim, **kept)
    yield call("np.sum", x, axis=dim, **numpy_kept)
    value = s.value(x)
    if isinstance(value, Tensor) and (length := s.sized(value.shape[dim])):
        yield op(method(x, "mean", dim, **kept), "*", length)
        yield op(call("torch.mean", x, dim=dim, **kept), "*", length)
        if rank == 2 and dim == 0 and not keep:
            yield op(call("torch.ones", length), "@", x)
    if keep:
        yield method(method(x, "sum", dim), "unsqueeze", dim)
        if rank == 2:
            yield ast.Subscript(method(x, "sum", dim), parsed("a[:, None]" if dim else "a[None, :]").slice)  # type: ignore[attr-defined]
            yield method(method(x, "sum", dim), "reshape", *((-1, 1) if dim else (1, -1)))
    else:
        yield method(method(x, "sum", dim, keepdim=True), "squeeze", dim)
        if rank == 2:
            yield method(transposed(s, x), "sum", 1 - dim)
            out = "j" if dim == 0 else "i"
            yield call("torch.einsum", f"'ij->{out}'", x)
            if is_op(x, ast.Mult) and s.rank(x.left) == s.rank(x.right) == 2:  # type: ignore[attr-defined]
                yield call("torch.einsum", f"'ij,ij->{out}'", x.left, x.right)  # type: ignore[attr-defined]
    if is_op(x, ast.Mult, ast.Div) and s.rank(x.right) == 0:  # type: ignore[attr-defined]
        yield op(method(x.left, "sum", dim, **kept), "*" if is_op(x, ast.Mult) else "/", x.right)  # type: ignore[attr-defined]
    if is_op(x, ast.Add, ast.Sub):
        sign = "+" if is_op(x, ast.Add) else "-"
        yield op(method(x.left, "sum", dim, **kept), sign, method(x.right, "sum", dim, **kept))  # type: ignore[attr-defined]


@rule(ast.Subscript, "torch")
def new_axes(s: Scene, n: ast.Subscript) -> Iterator[Expr]:
    """s[:, None]: unsqueeze, view, keepdim."""
    if ast.unparse(n.slice) not in (":, None", "(slice(None, None, None), None)"):
        return
    x = n.value
    yield method(x, "unsqueeze", 1)
    yield method(x, "unsqueeze", -1)
    yield method(x, "unsqueeze", dim=1)
    yield method(x, "view", -1, 1)
    yield method(x, "reshape", -1, 1)
    yield call("np.expand_dims", x, 1)
    yield call("torch.unsqueeze", x, 1)
    yield ast.Subscript(x, parsed("a[..., None]").slice)  # type: ignore[attr-defined]
    yield ast.Subscript(x, parsed("a[:, np.newaxis]").slice)  # type: ignore[attr-defined]
    if isinstance(x, ast.Call) and (found := reduction(x)) and found[1] == 1 and not found[2]:
        yield method(found[0], "sum", 1, keepdim=True)
        yield call("torch.sum", found[0], 1, keepdim=True)
    if is_op(x, ast.Mult, ast.Div, ast.Add, ast.Sub):
        def axis(part: Expr) -> Expr:
            return ast.Subscript(part, n.slice) if s.rank(part) == 1 else part

        yield ast.BinOp(axis(x.left), x.op, axis(x.right))  # type: ignore[attr-defined]


FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tanh", "cosh", "sinh", "sigmoid", "sign")


@rule(ast.Call)
def functions(s: Scene, n: ast.Call) -> Iterator[Expr]:
    name = n.func.attr if isinstance(n.func, ast.Attribute) else n.func.id if isinstance(n.func, ast.Name) else ""
    module = isinstance(n.func, ast.Name) or (isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
                                              and n.func.value.id in ("torch", "np"))  # fmt: skip
    if name not in FUNCTIONS or not module or len(n.args) != 1:
        return
    x = n.args[0]
    yield call(name, x)
    yield call(f"torch.{name}", x)
    if name not in ("sigmoid",):
        yield call(f"np.{name}", x)
    if s.style == "torch":
        yield method(x, name)
    if name == "exp" and isinstance(x, ast.UnaryOp):
        yield op(1, "/", call("exp", x.operand))
    if name == "tanh":
        yield op(call("sinh", x), "/", call("cosh", x))
    if name == "sqrt":
        yield op(x, "**", 0.5)


@rule(ast.Call, "torch")
def one_hots(s: Scene, n: ast.Call) -> Iterator[Expr]:
    if ast.unparse(n.func) in ("F.one_hot", "torch.nn.functional.one_hot") and len(n.args) == 2:
        t, k = n.args
        yield call("torch.nn.functional.one_hot", t, k)
        yield ast.Call(n.func, [t], [ast.keyword("num_classes", k)])
        yield method(n, "double")
        yield method(n, "float")
        if s.rank(t) == 1:
            yield ast.Subscript(call("torch.eye", k), t)
            yield parsed(f"({ast.unparse(t)}[:, None] == torch.arange({ast.unparse(k)}))")


@rule(ast.Compare)
def masks(s: Scene, n: ast.Compare) -> Iterator[Expr]:
    flip = {ast.Gt: ast.Lt, ast.Lt: ast.Gt}.get(type(n.ops[0]))
    if flip:
        yield ast.Compare(n.comparators[0], [flip()], [n.left])
        if s.style == "torch":
            yield method(n, "double")
            yield method(n, "float")
            yield call("torch.where", n, 1.0, 0.0)
            yield op(op(call("torch.sign", op(n.left, "-", n.comparators[0])), "+", 1), "/", 2)


@rule(ast.BinOp, "torch")
def masked(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    """d*(z > 0) = torch.where(z > 0, d, 0)."""
    if is_op(n, ast.Mult) and isinstance(n.right, ast.Compare):
        yield call("torch.where", n.right, n.left, 0.0)
        yield call("np.where", n.right, n.left, 0)
        yield call("torch.where", n.right, n.left, call("torch.zeros_like", n.left))


@rule(ast.Name)
def names(s: Scene, n: ast.Name) -> Iterator[Expr]:
    """A size as a shape; a forward value as its formula; nothing added, nothing multiplied."""
    case = s.where.cases[0]
    if n.id in case.sizes and s.style == "torch":
        for q in s.where.exercise:
            for axis, extent in enumerate(q.shape):
                if str(extent) == n.id:
                    yield parsed(f"{q.name}.shape[{axis}]")
                    if axis == 0:
                        yield call("len", q.name)
                    yield parsed(f"{q.name}.size({axis})")
    if s.style == "torch" and ("torch", n.id) in s.where.forward:
        yield parsed(s.where.forward["torch", n.id])
    if s.dice.random() < 0.1 and s.style == "torch" and (n.id in s.where.names or n.id in s.where.order):
        yield op(1, "*", n)
        yield op(n, "+", 0)
        yield op(op(n, "*", 2), "/", 2)


@rule(ast.Subscript, "index")
def unfolded(s: Scene, n: ast.Subscript) -> Iterator[Expr]:
    """z[i,k] as its formula, with the indices put in."""
    name = n.value.id if isinstance(n.value, ast.Name) else ""
    if ("index", name) in s.where.forward:
        yield put_in(s, name, n, parsed(s.where.forward["index", name]))


def put_in(s: Scene, name: str, at: ast.Subscript, formula: Expr) -> Expr:
    """The formula of `name` at the indices of `at`; bound indices get names of their own."""
    labels = [index.name for index in s.where.exercise[name.removeprefix("d") if name in s.where.order else name].indices]
    items = list(at.slice.elts) if isinstance(at.slice, ast.Tuple) else [at.slice]
    tree = ast.Module([ast.Expr(clone(formula)), ast.Expr(at), s.tree if hasattr(s, "tree") else ast.Pass()], [])  # type: ignore[attr-defined]
    formula = renamed_bound(s, clone(formula), tree)
    return substituted(formula, dict(zip(labels, items, strict=True)))


class _Substitute(ast.NodeTransformer):
    def __init__(self, to: dict[str, Expr]):
        self.to = to

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return clone(self.to.get(node.id, node))


def substituted(node: Expr, to: dict[str, Expr]) -> Expr:
    return _Substitute(to).visit(clone(node))


def renamed_bound(s: Scene, formula: Expr, tree: ast.AST) -> Expr:
    for found in [n for n in ast.walk(formula) if is_binder(n)]:
        for argument in list(found.args[1:]):  # type: ignore[attr-defined]
            label = argument.id
            fresh = s.fresh(ast.Module([ast.Expr(formula), tree], []))
            found.args = [substituted(a, {label: ast.Name(fresh, ast.Load())}) for a in found.args]  # type: ignore[attr-defined]
    return formula


def is_binder(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BINDERS


def mentions(node: ast.AST, label: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == label for n in ast.walk(node))


@rule(ast.Call, "index")
def index_sums(s: Scene, n: ast.Call) -> Iterator[Expr]:
    """Sum: split, nested, with factors pulled in and out, over another letter."""
    if not (is_binder(n) and n.func.id == "Sum"):  # type: ignore[attr-defined]
        return
    body, labels = n.args[0], n.args[1:]
    ranged = [label.id for label in labels if label.id not in s.where.exercise.index_symbols]  # type: ignore[attr-defined]
    if is_op(body, ast.Add, ast.Sub) and all(mentions(p, a) for p in (body.left, body.right) for a in ranged):  # type: ignore[attr-defined]
        yield ast.BinOp(call("Sum", body.left, *labels), body.op, call("Sum", body.right, *labels))  # type: ignore[attr-defined]
    if is_op(body, ast.Mult, ast.Div) and not any(mentions(body.right, a.id) for a in labels):  # type: ignore[attr-defined]
        yield ast.BinOp(call("Sum", body.left, *labels), body.op, body.right)  # type: ignore[attr-defined]
    if is_op(body, ast.Mult) and not any(mentions(body.left, a.id) for a in labels):  # type: ignore[attr-defined]
        yield op(body.left, "*", call("Sum", body.right, *labels))  # type: ignore[attr-defined]
    if isinstance(body, ast.UnaryOp):
        yield negated(call("Sum", body.operand, *labels))
    if len(labels) > 1:
        yield call("Sum", call("Sum", body, labels[0]), *labels[1:])
        yield call("Sum", body, *reversed(labels))
    fresh = ast.Name(s.fresh(s.tree), ast.Load())  # type: ignore[attr-defined]
    yield call("Sum", substituted(body, {labels[0].id: fresh}), fresh, *labels[1:])  # type: ignore[attr-defined]


@rule(ast.BinOp, "index")
def into_sums(s: Scene, n: ast.BinOp) -> Iterator[Expr]:
    for x, y in ((n.left, n.right), (n.right, n.left)):
        if is_op(n, ast.Mult) and is_binder(x) and x.func.id == "Sum":  # type: ignore[attr-defined]
            if not any(mentions(y, a.id) for a in x.args[1:]):  # type: ignore[attr-defined]
                yield call("Sum", op(x.args[0], "*", y), *x.args[1:])  # type: ignore[attr-defined]
    if is_op(n, ast.Div) and is_binder(n.left) and n.left.func.id == "Sum":  # type: ignore[attr-defined]
        yield call("Sum", op(n.left.args[0], "/", n.right), *n.left.args[1:])  # type: ignore[attr-defined]


@rule(ast.Call, "index")
def deltas(s: Scene, n: ast.Call) -> Iterator[Expr]:
    if isinstance(n.func, ast.Name) and n.func.id == "KroneckerDelta":
        yield call("KroneckerDelta", *reversed(n.args))
    if isinstance(n.func, ast.Name) and n.func.id == "where":
        yield parsed(f"Piecewise(({ast.unparse(n.args[1])}, {ast.unparse(n.args[0])}), ({ast.unparse(n.args[2])}, True))")


# -- one line ------------------------------------------------------------------------------------------------------------


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def replaced(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """A copy of the tree in which the node `old` is `new`."""
    path = list(ast.walk(tree)).index(old)
    made = clone(tree)
    made = _Replace(list(ast.walk(made))[path], clone(new)).visit(made)
    return ast.fix_missing_locations(made)


def rewritable(tree: ast.AST) -> list[ast.AST]:
    """Nodes that stand for a value: no dimensions, no labels, no names of functions."""
    found: list[ast.AST] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            found.append(node)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F", "np", "math")):
                walk(node.func.value)
            inside = node.args[:1] if is_binder(node) else [] if ast.unparse(node.func) == "torch.einsum" else node.args
            inside = node.args[1:] if ast.unparse(node.func) == "torch.einsum" else inside
            if isinstance(node.func, ast.Attribute) and node.func.attr in _PLAIN_ARGUMENTS and inside:
                inside = inside[:1] if ast.unparse(node.func).startswith(("torch.", "np.")) else []
            for argument in inside:
                walk(argument)
        elif isinstance(node, ast.Subscript):
            if not isinstance(node.value, ast.Name):
                walk(node.value)
        elif isinstance(node, ast.Attribute):
            if node.attr not in ("shape",):
                walk(node.value)
        elif isinstance(node, ast.BinOp):
            walk(node.left)
            walk(node.right)
        elif isinstance(node, ast.UnaryOp):
            walk(node.operand)
        elif isinstance(node, ast.Compare):
            walk(node.left)

    walk(tree)
    return found


_PLAIN_ARGUMENTS = ("sum", "mean", "unsqueeze", "squeeze", "view", "reshape", "expand", "transpose", "permute", "one_hot", "argmax",
                    "index_add", "flatten", "eye", "arange", "ones", "expand_dims", "pow", "max", "size", "zeros_like")  # fmt: skip


class Rewriter:
    """Rewrites right sides, each rewriting confirmed by plain torch."""

    def __init__(self, where: Course, dice: random.Random):
        self.where, self.dice = where, dice
        self.tried = self.broken = 0

    def line(self, name: str, value: Expr, style: str, times: int) -> ast.stmt:
        line = statement(self.where, name, value, style)
        for _ in range(times):
            changed = self.once(line.value, style)  # type: ignore[attr-defined]
            if changed is None:
                continue
            new = statement(self.where, name, changed, style)
            text = ast.unparse(new)
            if len(text) > 700:
                break
            self.tried += 1
            new = ast.parse(text).body[0]
            new.style = style  # type: ignore[attr-defined]
            if all(where_equal(self.where, case, new) for case in self.where.cases[:2]):
                line = new
            else:
                self.broken += 1
        return line

    def once(self, value: Expr, style: str) -> Expr | None:
        scene = Scene(self.where, self.dice, style)
        scene.tree = value  # type: ignore[attr-defined]
        nodes = rewritable(value)
        self.dice.shuffle(nodes)
        for node in nodes[:6]:
            rules = [r for kind, r in RULES.get(type(node), []) if kind in ("both", style)]
            self.dice.shuffle(rules)
            for found in rules:
                offers = list(found(scene, node))
                if offers:
                    return replaced(value, node, self.dice.choice(offers))
        return None


# -- whole sheets ----------------------------------------------------------------------------------------------------------


@dataclass
class Sheet:
    """An answer: its statements, and the text that shows them."""

    where: Course
    statements: list[ast.stmt]
    text: str = ""
    lines: list[int] = field(default_factory=list)  # the first line of each statement in the text

    def quantity(self, n: int) -> str:
        return target_name(self.statements[n], self.where.names)

    def shown(self, dice: random.Random | None = None) -> Sheet:
        self.text, self.lines = show(self.where, self.statements, dice)
        return self


def right_sheet(where: Course, dice: random.Random, most: int = 6) -> Sheet:
    """A random right answer."""
    for _ in range(20):
        statements = plan(where, dice, most)
        statements = restyle(where, statements, dice)
        if all(all_right(where, statements, case) for case in where.cases):
            return Sheet(where, statements).shown(dice)
    raise AssertionError(f"{where.address}: no right sheet was found")


def all_right(where: Course, statements: list[ast.stmt], case: Case) -> bool:
    """Every gradient true at its last line and at the end, and at each line that does not build it up."""
    ran = run(statements, case)
    if any(ran.errors):
        return False
    given = [target_name(s, where.names) for s in statements]
    for n, (name, value) in enumerate(zip(given, ran.after, strict=True)):
        building = any(other == name and updates(later, name) for other, later in zip(given[n + 1 :], statements[n + 1 :], strict=True))
        if name in case.truth and not building and not case.equal(name, value):
            return False
    return all(case.equal(name, ran.names.get(name)) for name in set(given) & set(case.truth))


def updates(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, ast.Assign):
        indexed = isinstance(statement.targets[0], ast.Subscript) and getattr(statement, "style", "") == "torch"
        return indexed or mentions(statement.value, name)
    return True


def plan(where: Course, dice: random.Random, most: int) -> list[ast.stmt]:
    """Which gradients are given, in which form, and which steps are skipped."""
    everything = [n for n in where.order if n not in where.given and (where.forms["torch", n] or where.forms["index", n])]
    count = dice.randint(1, most)
    chosen = set(dice.sample(where.asked, min(len(where.asked), max(1, count // 2)))) if where.asked else set()
    chosen |= set(dice.sample(everything, min(len(everything), max(1, count - len(chosen)))))
    rewriter = Rewriter(where, dice)
    taste = dice.choice(["torch", "torch", "index", "mixed"])
    made: list[ast.stmt] = []
    times = dice.choice([0, 2, 4, 8])
    for name in reversed(everything):
        if name not in chosen:
            continue
        style = dice.choice(["torch", "index"]) if taste == "mixed" else taste
        if not where.forms[style, name]:
            style = "torch" if style == "index" else "index"
        value = parsed(dice.choice(where.forms[style, name]))
        for _ in range(8):
            missing = [r for r in reads(where, value) if r not in chosen]
            if not missing:
                break
            inner = missing[-1]
            unfolded_value = inlined(where, value, inner, style, dice) if dice.random() < 0.5 else None
            if unfolded_value is None or len(ast.unparse(unfolded_value)) > 300:
                chosen.add(inner)
            else:
                value = unfolded_value
        chosen |= set(reads(where, value))
        made.insert(0, rewriter.line(name, value, style, dice.randint(0, times)))
    return made


def inlined(where: Course, value: Expr, inner: str, style: str, dice: random.Random) -> Expr | None:
    """A step skipped: the gradient `inner` replaced by its own right side."""
    if not where.forms[style, inner]:
        return None
    form = parsed(dice.choice(where.forms[style, inner]))
    if style == "torch":
        return substituted(value, {inner: form})
    scene = Scene(where, dice, style)
    scene.tree = value  # type: ignore[attr-defined]
    if not any(isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == inner for n in ast.walk(value)):
        return substituted(value, {inner: form})
    for _ in range(6):
        node = next((n for n in ast.walk(value) if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == inner), None)
        if node is None:
            return value
        value = replaced(value, node, put_in(scene, inner, node, form))
        scene.tree = value  # type: ignore[attr-defined]
    return None


# -- statements ---------------------------------------------------------------------------------------------------------------


def restyle(where: Course, statements: list[ast.stmt], dice: random.Random) -> list[ast.stmt]:
    """Helpers, values built up in place, loops, several lines for one gradient, other names for it."""
    tricks = [helper, build_up, loop, twice, local_derivative, own_letters, scaled_afterwards, forward_helper]
    for _ in range(dice.choice([0, 0, 1, 2, 3])):
        trick = dice.choice(tricks)
        at = dice.randrange(len(statements))
        made = trick(where, statements, at, dice)
        if made is None:
            continue
        made = [_with_style(ast.parse(ast.unparse(s)).body[0], s) for s in made]
        tried = statements[:at] + made + statements[at + 1 :]
        if all(all_right(where, tried, case) for case in where.cases[:2]):
            statements = tried
    return aliased(where, statements, dice)


def _with_style(new: ast.stmt, old: ast.stmt) -> ast.stmt:
    new.style = getattr(old, "style", "torch")  # type: ignore[attr-defined]
    return new


def made_of(text: str, style: str = "torch") -> list[ast.stmt]:
    found = ast.parse(text).body
    for s in found:
        s.style = style  # type: ignore[attr-defined]
    return found


def plain_line(s: ast.stmt, style: str = "torch") -> bool:
    return isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name) and getattr(s, "style", "torch") == style


def helper_name(where: Course, statements: list[ast.stmt], dice: random.Random) -> str:
    used = {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)} | where.names | set(where.cases[0].sizes)
    used |= {f"d{n}" for n in where.names} | set(where.exercise.index_symbols)
    free = [n for n in ("tmp", "t1", "t2", "res", "g", "delta", "diff", "aux", "h_", "common", "u1", "scale") if n not in used]
    return dice.choice(free)


def helper(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """t1 = part; dz = ... t1 ..."""
    s = statements[at]
    if not plain_line(s):
        return None
    parts = [n for n in rewritable(s.value) if n is not s.value and not isinstance(n, (ast.Name, ast.Constant))]  # type: ignore[attr-defined]
    if not parts:
        return None
    part = dice.choice(parts)
    name = helper_name(where, statements, dice)
    first = made_of(f"{name} = {ast.unparse(part)}")
    second = copy.copy(s)
    second.value = replaced(s.value, part, ast.Name(name, ast.Load()))  # type: ignore[attr-defined]
    return [*first, _with_style(made_of(ast.unparse(second))[0], s)]


def forward_helper(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """A forward value computed once more, under a name of the learner's."""
    s = statements[at]
    names_ = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and ("torch", n.id) in where.forward]
    if not plain_line(s) or not names_:
        return None
    name, own = dice.choice(names_), helper_name(where, statements, dice)
    value = substituted(s.value, {name: ast.Name(own, ast.Load())})  # type: ignore[attr-defined]
    return made_of(f"{own} = {where.forward['torch', name]}\n{ast.unparse(s.targets[0])} = {ast.unparse(value)}")  # type: ignore[attr-defined]


def build_up(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dz = zeros_like(z); dz += a; dz += b"""
    s = statements[at]
    if not plain_line(s):
        return None
    name = s.targets[0].id  # type: ignore[attr-defined]
    base = name[1:] if name[1:] in where.names and name not in where.names else name
    value = s.value  # type: ignore[attr-defined]
    held = as_tensor(Scene(where, dice, "torch").value(value))
    if mentions(value, name) or (held is not None and not bool(held.any())):  # built up already, or nothing to add
        return None
    a, b, sign = (value.left, value.right, "+" if is_op(value, ast.Add) else "-") if is_op(value, ast.Add, ast.Sub) else (value, None, "")
    first, second = ast.unparse(a), ast.unparse(b) if b is not None else ""
    start = dice.choice([f"{name} = torch.zeros_like({base})", f"{name} = np.zeros_like({base})", f"{name} = 0*{base}"])
    if b is None:
        ways = [f"{start}\n{name} += {first}", f"{start}\n{name} -= -({first})", f"{start}\n{name} = {name} + {first}"]
    else:
        ways = [
            f"{start}\n{name} += {first}\n{name} {sign}= {second}",
            f"{name} = 1*({first})\n{name} {sign}= {second}",
            f"{name} = {first}\n{name} = {name} {sign} ({second})",
            f"{name} = ({first}).clone()\n{name} {sign}= {second}",
        ]
    return made_of(dice.choice(ways))


def scaled_afterwards(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dz = p - y; dz /= N"""
    s = statements[at]
    if not plain_line(s) or not is_op(s.value, ast.Mult, ast.Div):  # type: ignore[attr-defined]
        return None
    name = s.targets[0].id  # type: ignore[attr-defined]
    a, b, sign = ast.unparse(s.value.left), ast.unparse(s.value.right), "*" if is_op(s.value, ast.Mult) else "/"  # type: ignore[attr-defined]
    ways = [f"{name} = ({a}) + 0\n{name} {sign}= {b}", f"{name} = {a}\n{name} = {name} {sign} ({b})"]
    return made_of(dice.choice(ways))


def loop(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """for n in range(N): dW += torch.outer(x[n], dz[n])"""
    s = statements[at]
    if not plain_line(s):
        return None
    name, value = s.targets[0].id, s.value  # type: ignore[attr-defined]
    base = name[1:] if name[1:] in where.names and name not in where.names else name
    scene = Scene(where, dice, "torch")
    turn = next(t for t in ("row", "n_", "step") if t not in where.names)
    if is_op(value, ast.MatMult) and (left := untransposed(value.left)) is not None:
        rows = f"({ast.unparse(left)})[{turn}]", f"({ast.unparse(value.right)})[{turn}]"
        found = as_tensor(scene.value(left))
        product = f"torch.outer({rows[0]}, {rows[1]})" if scene.rank(value.right) == 2 else f"{rows[0]} * {rows[1]}"
        if dice.random() < 0.3 and scene.rank(value.right) == 2:
            product = f"{rows[0]}[:, None] * {rows[1]}[None, :]"
    elif isinstance(value, ast.Call) and (reduced := reduction(value)) and reduced[1] == 0 and not reduced[2]:
        found = as_tensor(scene.value(reduced[0]))
        product = f"({ast.unparse(reduced[0])})[{turn}]"
    elif "index_add" in ast.unparse(value) and isinstance(value, ast.Call) and len(value.args) == 3:
        index, source = map(ast.unparse, value.args[1:])
        found = as_tensor(scene.value(value.args[1]))
        if dice.random() < 0.5 or found is None:
            return made_of(f"{name} = torch.zeros_like({base})\n{name}.index_add_(0, {index}, {source})")
        if not (length := scene.sized(found.shape[0])):
            return None
        body = f"{name}[({index})[{turn}]] += ({source})[{turn}]"
        return made_of(f"{name} = torch.zeros_like({base})\nfor {turn} in range({length}):\n    {body}")
    else:
        return None
    if found is None or not found.ndim or not (length := scene.sized(found.shape[0])):
        return None
    return made_of(f"{name} = torch.zeros_like({base})\nfor {turn} in range({length}):\n    {name} += {product}")


def twice(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """Two successive lines of the derivation of one gradient."""
    s = statements[at]
    name = target_name(s, where.names)
    style = dice.choice(["torch", "index"])
    earlier = {target_name(k, where.names) for k in statements[:at]} | where.given
    forms = [f for f in where.forms.get((style, name), []) if set(reads(where, parsed(f))) <= earlier]
    if not isinstance(s, ast.Assign) or not forms:
        return None
    return [Rewriter(where, dice).line(name, parsed(dice.choice(forms)), style, 3), s]


def local_derivative(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dh_dz = 1 - h**2; dz = dh*dh_dz, where v is the only one that uses u and entry by entry"""
    s = statements[at]
    if not plain_line(s) or not is_op(s.value, ast.Mult):  # type: ignore[attr-defined]
        return None
    name = s.targets[0].id  # type: ignore[attr-defined]
    u = name[1:]
    for given, rest in ((s.value.left, s.value.right), (s.value.right, s.value.left)):  # type: ignore[attr-defined]
        v = given.id[1:] if isinstance(given, ast.Name) else ""
        users = [q for q in where.exercise.forward if u in q.reads]
        if v in where.names and u in where.names and [q.name for q in users] == [v]:
            if users[0].indices != where.exercise[u].indices:
                continue
            rest_value = as_tensor(Scene(where, dice, "torch").value(rest))
            if rest_value is None or rest_value.shape != where.cases[0].forward[v].shape:
                continue
            own = f"d{v}_d{u}"
            return made_of(f"{own} = {ast.unparse(rest)}\n{name} = {ast.unparse(given)} * {own}")
    return None


def own_letters(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dz[a,b] = ...: dummies of the learner's own."""
    s = statements[at]
    if getattr(s, "style", "") != "index" or not isinstance(s.targets[0], ast.Subscript):  # type: ignore[attr-defined]
        return None
    items = s.targets[0].slice.elts if isinstance(s.targets[0].slice, ast.Tuple) else [s.targets[0].slice]  # type: ignore[attr-defined]
    scene, made = Scene(where, dice, "index"), s
    for item in items:
        if isinstance(item, ast.Name):
            made = _Substitute({item.id: ast.Name(scene.fresh(made), ast.Load())}).visit(clone(made))
    return [_with_style(made, s)]


def aliased(where: Course, statements: list[ast.stmt], dice: random.Random) -> list[ast.stmt]:
    """dW as dL_dW, grad_W or W.grad."""
    if dice.random() > 0.3:
        return statements
    swaps: dict[str, str] = {}
    for name in where.order:
        if name not in where.names and dice.random() < 0.4:
            base = name[1:]
            forms = [f"dL_d{base}", f"grad_{base}"] + ([f"{base}.grad"] if where.exercise[base].kind in ("parameter", "input") else [])
            swaps[name] = dice.choice(forms)
    indexed = any(getattr(s, "style", "") == "index" for s in statements)
    if indexed:
        swaps = {n: a for n, a in swaps.items() if not a.endswith(".grad")}
    made = []
    for s in statements:
        text = ast.unparse(s)
        for name, alias in swaps.items():
            text = re.sub(rf"(?<![\w.]){re.escape(name)}\b", alias, text)
        made.append(_with_style(ast.parse(text).body[0], s))
    return made


# -- how it is written ------------------------------------------------------------------------------------------------------------


def show(where: Course, statements: list[ast.stmt], dice: random.Random | None) -> tuple[str, list[int]]:
    """The sheet's text, and the line on which each statement begins."""
    lines: list[str] = [f"# exercise: {where.exercise.id}"]
    if dice and dice.random() < 0.1:
        lines.append(dice.choice(["import torch", "import torch.nn.functional as F", "import numpy as np"]))
    starts = []
    for s in statements:
        if dice and dice.random() < 0.1:
            lines.append(dice.choice(["", "# next", "   # chain rule: dW = dz*x", "#"]))
        text = ast.unparse(s)
        if dice:
            text = spaced(text, dice) if "\n" not in text else text
            if "\n" not in text and dice.random() < 0.1:
                text += dice.choice(["   # the chain rule", "  # shape (N,)", "  #"])
            if dice.random() < 0.04 and not isinstance(s, ast.For):
                lines.append("with torch.no_grad():")
                text = "    " + text
        starts.append(len(lines) + 1)
        lines += text.split("\n")
    return "\n".join(lines) + "\n", starts


def spaced(text: str, dice: random.Random) -> str:
    """Other spaces, `^` for powers."""
    how = dice.random()
    if how < 0.5:
        return text
    if how < 0.75:
        return re.sub(r" ([-+*/@]|\*\*) ", lambda m: m[1] if dice.random() < 0.7 else f"  {m[1]} ", text).replace("**", "^" if dice.random() < 0.2 else "**")
    if how < 0.85:
        return re.sub(r", ", ",", text)
    if how < 0.9 and "'" not in text:
        return text.replace("-", "\N{MINUS SIGN}").replace(" * ", " × ") if dice.random() < 0.5 else text
    return re.sub(r"\(", "( ", re.sub(r"\)", " )", text)) if dice.random() < 0.5 else text
