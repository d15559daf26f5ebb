"""Right answers, rewritten at random: reordered, expanded, factored, spelt otherwise, with helpers, steps skipped.

Lines are rewritten by the rules of `exam_rules.py`, whole sheets by tricks on their statements; plain torch confirms
each.
"""

from __future__ import annotations

import ast
import copy
import random
import re
from dataclasses import dataclass, field

import torch
from exam_course import Course, Expr, parsed, reads, statement, where_equal
from exam_plain import Case, as_tensor, reads_gradient, run, target_name
from exam_rules import (
    RULES,
    Scene,
    _Substitute,
    clone,
    is_op,
    mentions,
    put_in,
    reduction,
    replaced,
    rewritable,
    substituted,
    untransposed,
)

# -- one line --------------------------------------------------------------------------------------------------


class Rewriter:
    """Rewrites right sides, each rewriting confirmed by plain torch."""

    def __init__(self, where: Course, dice: random.Random):
        self.where, self.dice = where, dice
        self.tried = self.broken = 0

    def line(self, name: str, value: Expr, style: str, times: int) -> ast.stmt:
        line = statement(self.where, name, value, style)
        for _ in range(times):
            changed = self.once(line.value, style)
            if changed is None:
                continue
            new = statement(self.where, name, changed, style)
            text = ast.unparse(new)
            if len(text) > 700:
                break
            self.tried += 1
            new = ast.parse(text).body[0]
            new.style = style
            if all(where_equal(self.where, case, new) for case in self.where.cases[:2]):
                line = new
            else:
                self.broken += 1
        return line

    def once(self, value: Expr, style: str) -> Expr | None:
        scene = Scene(self.where, self.dice, style)
        scene.tree = value
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


# -- whole sheets ----------------------------------------------------------------------------------------------


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
        if all(all_right(where, statements, case) for case in (*where.cases, *where.tied)):
            return Sheet(where, statements).shown(dice)
    raise AssertionError(f"{where.address}: no right sheet was found")


def all_right(where: Course, statements: list[ast.stmt], case: Case) -> bool:
    """Every gradient true at its last line and at the end, and at each line that does not build it up."""
    ran = run(statements, case)
    if any(ran.errors):
        return False
    given = [target_name(s, where.names) for s in statements]
    for n, (name, value) in enumerate(zip(given, ran.after, strict=True)):
        rest = zip(given[n + 1 :], statements[n + 1 :], strict=True)
        later = next((statement for other, statement in rest if other == name), None)
        building = later is not None and updates(where, later, name)  # else it is given anew, and had to be right
        if name in case.truth and not building and not case.equal(name, value):
            return False
    return all(case.equal(name, ran.names.get(name)) for name in set(given) & set(case.truth))


def updates(where: Course, statement: ast.stmt, name: str) -> bool:
    """Whether a statement builds up what its name holds, and does not give it anew."""
    if isinstance(statement, ast.Assign):
        indexed = isinstance(statement.targets[0], ast.Subscript) and getattr(statement, "style", "") == "torch"
        return indexed or reads_gradient(statement.value, name, where.names)
    return True


def plan(where: Course, dice: random.Random, most: int) -> list[ast.stmt]:
    """Which gradients are given, in which form, and which steps are skipped."""
    everything = [
        n for n in where.order if n not in where.given and (where.forms["torch", n] or where.forms["index", n])
    ]
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
    scene.tree = value
    if not any(
        isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == inner for n in ast.walk(value)
    ):
        return substituted(value, {inner: form})
    for _ in range(6):
        node = next(
            (
                n
                for n in ast.walk(value)
                if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == inner
            ),
            None,
        )
        if node is None:
            return value
        value = replaced(value, node, put_in(scene, inner, node, form))
        scene.tree = value
    return None


# -- statements ------------------------------------------------------------------------------------------------


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
        if all(all_right(where, tried, case) for case in (*where.cases[:2], *where.tied)):
            statements = tried
    return aliased(where, statements, dice)


def _with_style(new: ast.stmt, old: ast.stmt) -> ast.stmt:
    new.style = getattr(old, "style", "torch")
    return new


def made_of(text: str, style: str = "torch") -> list[ast.stmt]:
    found = ast.parse(text).body
    for s in found:
        s.style = style
    return found


def plain_line(s: ast.stmt, style: str = "torch") -> bool:
    return isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name) and getattr(s, "style", "torch") == style


def helper_name(where: Course, statements: list[ast.stmt], dice: random.Random) -> str:
    used = (
        {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}
        | where.names
        | set(where.cases[0].sizes)
    )
    used |= {f"d{n}" for n in where.names} | set(where.exercise.index_symbols)
    free = [
        n
        for n in ("tmp", "t1", "t2", "res", "g", "delta", "diff", "aux", "h_", "common", "u1", "scale")
        if n not in used
    ]
    return dice.choice(free)


def helper(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """t1 = part; dz = ... t1 ..."""
    s = statements[at]
    if not plain_line(s):
        return None
    parts = [n for n in rewritable(s.value) if n is not s.value and not isinstance(n, (ast.Name, ast.Constant))]
    if not parts:
        return None
    part = dice.choice(parts)
    name = helper_name(where, statements, dice)
    first = made_of(f"{name} = {ast.unparse(part)}")
    second = copy.copy(s)
    second.value = replaced(s.value, part, ast.Name(name, ast.Load()))
    return [*first, _with_style(made_of(ast.unparse(second))[0], s)]


def forward_helper(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """A forward value computed once more, under a name of the learner's."""
    s = statements[at]
    names_ = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and ("torch", n.id) in where.forward]
    if not plain_line(s) or not names_:
        return None
    name, own = dice.choice(names_), helper_name(where, statements, dice)
    value = substituted(s.value, {name: ast.Name(own, ast.Load())})
    return made_of(f"{own} = {where.forward['torch', name]}\n{ast.unparse(s.targets[0])} = {ast.unparse(value)}")


def build_up(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dz = zeros_like(z); dz += a; dz += b"""
    s = statements[at]
    if not plain_line(s):
        return None
    name = s.targets[0].id
    base = name[1:] if name[1:] in where.names and name not in where.names else name
    value = s.value
    held = as_tensor(Scene(where, dice, "torch").value(value))
    if mentions(value, name) or (held is not None and not bool(held.any())):  # built up already, or nothing to add
        return None
    a, b, sign = (
        (value.left, value.right, "+" if is_op(value, ast.Add) else "-")
        if is_op(value, ast.Add, ast.Sub)
        else (value, None, "")
    )
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
    if not plain_line(s) or not is_op(s.value, ast.Mult, ast.Div):
        return None
    name = s.targets[0].id
    a, b, sign = ast.unparse(s.value.left), ast.unparse(s.value.right), "*" if is_op(s.value, ast.Mult) else "/"
    ways = [f"{name} = ({a}) + 0\n{name} {sign}= {b}", f"{name} = {a}\n{name} = {name} {sign} ({b})"]
    return made_of(dice.choice(ways))


def loop(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """for n in range(N): dW += torch.outer(x[n], dz[n])"""
    s = statements[at]
    if not plain_line(s):
        return None
    name, value = s.targets[0].id, s.value
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
    if not plain_line(s) or not is_op(s.value, ast.Mult):
        return None
    name = s.targets[0].id
    u = name[1:]
    for given, rest in ((s.value.left, s.value.right), (s.value.right, s.value.left)):
        v = given.id[1:] if isinstance(given, ast.Name) else ""
        users = [q for q in where.exercise.forward if u in q.reads]
        if v in where.names and u in where.names and [q.name for q in users] == [v]:
            if users[0].indices != where.exercise[u].indices:
                continue
            rest_value = as_tensor(Scene(where, dice, "torch").value(rest))
            if rest_value is None or rest_value.shape != where.cases[0].forward[v].shape:
                continue
            whole = as_tensor(Scene(where, dice, "torch").value(s.value))
            if whole is None or not torch.allclose(whole, where.cases[0].truth[name], rtol=1e-9):
                continue  # a part that a later line completes: what is left of it is no local derivative
            own = f"d{v}_d{u}"
            return made_of(f"{own} = {ast.unparse(rest)}\n{name} = {ast.unparse(given)} * {own}")
    return None


def own_letters(where: Course, statements: list[ast.stmt], at: int, dice: random.Random) -> list[ast.stmt] | None:
    """dz[a,b] = ...: dummies of the learner's own."""
    s = statements[at]
    if getattr(s, "style", "") != "index" or not isinstance(s.targets[0], ast.Subscript):
        return None
    items = s.targets[0].slice.elts if isinstance(s.targets[0].slice, ast.Tuple) else [s.targets[0].slice]
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
            forms = [f"dL_d{base}", f"grad_{base}"] + (
                [f"{base}.grad"] if where.exercise[base].kind in ("parameter", "input") else []
            )
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


# -- how it is written -----------------------------------------------------------------------------------------


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
        return re.sub(r" ([-+*/@]|\*\*) ", lambda m: m[1] if dice.random() < 0.7 else f"  {m[1]} ", text).replace(
            "**", "^" if dice.random() < 0.2 else "**"
        )
    if how < 0.85:
        return re.sub(r", ", ",", text)
    if how < 0.9 and "'" not in text:
        return text.replace("-", "\N{MINUS SIGN}").replace(" * ", " × ") if dice.random() < 0.5 else text
    return re.sub(r"\(", "( ", re.sub(r"\)", " )", text)) if dice.random() < 0.5 else text
