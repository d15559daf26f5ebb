r"""Right answers in LaTeX: with indices, `\frac{\partial L}{\partial z_{ik}} = ...`, or with matrices, `x^\top dz`.

A writer of the exam's own, so that nothing of the tutor's notation is taken for granted: it writes the syntax tree of
a line that plain torch found right, in one of several habits, and leaves alone what has no form in LaTeX.
"""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass

import exam_right
from exam_course import Course
from exam_rules import Scene, is_binder, number_of, reduction

GREEK = "alpha beta gamma delta epsilon eta theta lambda mu nu rho sigma tau phi psi omega".split()
COMMANDS = {"exp": r"\exp", "log": r"\log", "sin": r"\sin", "cos": r"\cos", "tanh": r"\tanh", "sinh": r"\sinh",
            "cosh": r"\cosh", "sigmoid": r"\sigma", "sign": r"\operatorname{sign}"}  # fmt: skip
COMPARED = {ast.Gt: ">", ast.Lt: "<", ast.GtE: r"\ge", ast.LtE: r"\le", ast.Eq: "=", ast.NotEq: r"\ne"}
SUM, TERM, FACTOR, ATOM = range(4)  # how tightly a text holds together


class NoForm(Exception):
    """Nobody writes this in LaTeX."""


@dataclass
class Habits:
    """How somebody writes."""

    gradient: str  # frac, d, upright, slash
    times: str  # between factors
    layer: str  # how the 1 of W1 stands: above, below
    hat: bool  # y_pred as \hat y
    sized: bool  # \left( \right)
    over: str  # frac, slash

    @classmethod
    def of(cls, dice: random.Random) -> Habits:
        return cls(dice.choice(["frac", "frac", "d", "upright", "slash"]), dice.choice([r"\cdot", r"\,", ""]),
                   dice.choice(["above", "below"]), dice.random() < 0.5, dice.random() < 0.5,
                   dice.choice(["frac", "frac", "slash"]))  # fmt: skip


def latex_sheet(where: Course, dice: random.Random, most: int = 6) -> str | None:
    """A right answer in LaTeX, or None where none of its forms has one."""
    for _ in range(12):
        statements = exam_right.plan(where, dice, most)
        if not all(isinstance(s, ast.Assign) for s in statements):
            continue
        if not all(exam_right.all_right(where, statements, case) for case in where.cases):
            continue
        writer = Writer(where, Habits.of(dice), dice)
        try:
            lines = [writer.line(s) for s in statements]
        except NoForm:
            continue
        return laid_out(lines, dice)
    return None


def laid_out(lines: list[tuple[str, str]], dice: random.Random) -> str:
    """As bare lines, displays, or one aligned block."""
    how = dice.random()
    if how < 0.4:
        return "\n".join(f"{a} = {b}" for a, b in lines) + "\n"
    if how < 0.7:
        return "\n\n".join(f"$$\n{a} = {b}\n$$" for a, b in lines) + "\n"
    ends = [r" \\"] * (len(lines) - 1) + [""]
    rows = [f"{a} &= {b}{end}" for (a, b), end in zip(lines, ends, strict=True)]
    return "\\begin{align*}\n" + "\n".join(rows) + "\n\\end{align*}\n"


class Writer:
    """One sheet's writer."""

    def __init__(self, where: Course, habits: Habits, dice: random.Random):
        self.where, self.habits, self.dice = where, habits, dice
        self.sizes = set(where.exercise.size_symbols)
        losses = [q.name for q in where.exercise.ends if q.kind == "loss"]
        self.loss = losses[0] if losses else "L"
        self.indexed = False
        self.scene = Scene(where, dice, "torch")

    def line(self, s: ast.Assign) -> tuple[str, str]:
        self.indexed = getattr(s, "style", "torch") == "index"
        self.scene.tree = s.value
        return self.write(s.targets[0]), self.write(s.value)

    # -- names --

    def name(self, name: str, below: str = "") -> str:
        if name not in self.where.names and name not in self.sizes and name[:1] == "d" and name[1:] in self.where.names:
            return self.gradient(self.quantity(name[1:], below))
        if self.indexed and name not in self.where.names and name not in self.sizes:
            return self.label(ast.Name(name))  # an index among values, as in a condition
        return self.quantity(name, below)

    def gradient(self, inner: str) -> str:
        how = self.habits.gradient
        if how == "frac":
            return rf"\frac{{\partial {self.loss}}}{{\partial {inner}}}"
        if how == "slash":
            return rf"\partial {self.loss} / \partial {inner}"
        return rf"d{inner}" if how == "d" and inner[0] != "\\" else rf"\mathrm{{d}}{inner}"

    def quantity(self, name: str, below: str) -> str:
        under = f"_{{{below}}}" if below else ""
        if name == "y_pred" and self.habits.hat:
            return rf"\hat y{under}" if below else r"\hat y"
        if name.endswith("hat") and len(name) == 4:
            return rf"\hat{{{name[0]}}}{under}"
        found = re.fullmatch(r"([A-Za-z]|[a-z]+)(\d)", name)
        if found and (len(found[1]) == 1):
            if below or self.habits.layer == "above":
                return f"{found[1]}^{{({found[2]})}}{under}"
            return f"{found[1]}_{found[2]}"
        return (f"\\{name}" if name in GREEK else name if len(name) == 1 else self.word(name)) + under

    def word(self, name: str) -> str:
        escaped = name.replace("_", r"\_")
        return rf"\mathrm{{{escaped}}}"

    def label(self, node: ast.AST) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return str(node.value)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self.quantity(node.value.id, self.labels(node.slice))
        if not isinstance(node, ast.Name) or not re.fullmatch(r"[A-Za-z]\d?", node.id):
            raise NoForm
        return node.id if len(node.id) == 1 else f"{node.id[0]}_{node.id[1]}"

    def labels(self, node: ast.AST) -> str:
        items = node.elts if isinstance(node, ast.Tuple) else [node]
        made = [self.label(item) for item in items]
        together = all(len(label) == 1 for label in made) and self.dice.random() < 0.7
        return ("" if together else ", ").join(made)

    # -- expressions --

    def write(self, node: ast.AST, tight: int = SUM) -> str:
        made, own = self.formula(node)
        return made if own >= tight else self.grouped(made)

    def grouped(self, text: str) -> str:
        return rf"\left({text}\right)" if self.habits.sized else f"({text})"

    def formula(self, node: ast.AST) -> tuple[str, int]:
        """The text, and how tightly it holds together."""
        if (value := number_of(node)) is not None:
            if "e" in repr(value):
                raise NoForm
            return repr(value), ATOM if value >= 0 else SUM
        if isinstance(node, ast.Name):
            return self.name(node.id), FACTOR if self.habits.gradient == "slash" and node.id[0] == "d" else ATOM
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"-{self.write(node.operand, TERM)}", SUM
        if isinstance(node, ast.Subscript):
            return self.entry(node)
        if isinstance(node, ast.BinOp):
            return self.operation(node)
        if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
            return self.transposed(node.value)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise NoForm

    def entry(self, node: ast.Subscript) -> tuple[str, int]:
        if not self.indexed or not isinstance(node.value, ast.Name):
            raise NoForm
        return self.name(node.value.id, self.labels(node.slice)), FACTOR if self.habits.gradient == "slash" else ATOM

    def rank(self, node: ast.AST) -> int:
        return 0 if self.indexed else self.scene.rank(node)

    def operation(self, node: ast.BinOp) -> tuple[str, int]:
        a, b = node.left, node.right
        ranks = self.rank(a), self.rank(b)
        if min(ranks) < 0 or max(ranks) > 2:
            raise NoForm
        if isinstance(node.op, (ast.Add, ast.Sub)):
            sign = "+" if isinstance(node.op, ast.Add) else "-"
            return f"{self.write(a)} {sign} {self.write(b, TERM)}", SUM
        if isinstance(node.op, ast.Mult):
            return self.product(a, b, r"\odot" if min(ranks) else self.habits.times), TERM
        if isinstance(node.op, ast.MatMult):
            return self.matrix_product(a, b, ranks), TERM
        if isinstance(node.op, ast.Div):
            return self.quotient(a, b)
        if isinstance(node.op, ast.Pow) and (number_of(b) is not None or isinstance(b, ast.UnaryOp)):
            base = self.write(a, ATOM)
            bare = re.fullmatch(r"\w|\d+", base) or base.endswith(")")
            return f"{base if bare else self.grouped(base)}^{{{self.write(b)}}}", FACTOR
        raise NoForm

    def product(self, a: ast.AST, b: ast.AST, sign: str) -> str:
        left = self.write(a, TERM)
        right = self.write(b, FACTOR)
        over = isinstance(a, ast.BinOp) and isinstance(a.op, ast.Div) and self.habits.over == "slash"
        if self.open_ended(a) or over:  # a / b c could be read in two ways
            left = self.grouped(left)
        if right[0].isdigit() and not sign.strip(r"\,"):
            sign = r"\cdot"
        return f"{left} {sign} {right}".replace("  ", " ")

    def open_ended(self, node: ast.AST) -> bool:
        r"""A sum whose body goes on to the right, `\sum_i x_i`."""
        while isinstance(node, (ast.BinOp, ast.UnaryOp)):
            node = node.operand if isinstance(node, ast.UnaryOp) else node.right
        return is_binder(node)

    def matrix_product(self, a: ast.AST, b: ast.AST, ranks: tuple[int, int]) -> str:
        if ranks[0] == 1:
            raise NoForm  # a row or a column: people differ
        return f"{self.write(a, FACTOR)} {self.write(b, FACTOR)}"

    def quotient(self, a: ast.AST, b: ast.AST) -> tuple[str, int]:
        if self.rank(b) and self.rank(a) != self.rank(b) and self.rank(a):
            raise NoForm
        if self.habits.over == "frac":
            return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", FACTOR
        top = self.write(a, TERM)
        top = self.grouped(top) if self.open_ended(a) else top
        return f"{top} / {self.write(b, ATOM)}", TERM

    def transposed(self, node: ast.AST) -> tuple[str, int]:
        if self.rank(node) != 2:
            raise NoForm
        inner = self.write(node, ATOM)
        alone = re.fullmatch(r"[A-Za-z]", inner) or inner.endswith(")")
        return (f"{inner if alone else '{' + inner + '}'}^\\top", FACTOR)

    def call(self, node: ast.Call) -> tuple[str, int]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if is_binder(node):
            return self.binder(node, name)
        found = reduction(node)
        if found is not None and not self.indexed:
            return self.summed(*found, name)
        plain = isinstance(node.func, ast.Name) or isinstance(node.func.value, ast.Name)
        if plain and not node.keywords and name in COMMANDS and len(node.args) == 1:
            return f"{COMMANDS[name]}{self.grouped(self.write(node.args[0]))}", FACTOR
        if plain and name == "sqrt" and len(node.args) == 1:
            return rf"\sqrt{{{self.write(node.args[0])}}}", FACTOR
        if plain and name in ("abs", "Abs") and len(node.args) == 1:
            return rf"\left|{self.write(node.args[0])}\right|", FACTOR
        if name == "KroneckerDelta":
            return rf"\delta_{{{self.label(node.args[0])}, {self.label(node.args[1])}}}", ATOM
        if name == "where" and len(node.args) == 3:
            return self.cases(*node.args)
        raise NoForm

    def binder(self, node: ast.Call, name: str) -> tuple[str, int]:
        labels = ", ".join(self.label(label) for label in node.args[1:])
        if name != "Sum":
            raise NoForm
        return rf"\sum_{{{labels}}} {self.write(node.args[0], TERM)}", TERM

    def summed(self, x: ast.AST, dim: int | None, keep: bool, name: str) -> tuple[str, int]:
        """Column sums and row sums, with a vector of ones."""
        if name != "sum" or keep or self.rank(x) != 2 or dim not in (0, 1):
            raise NoForm
        inner = self.write(x, FACTOR)
        return (rf"\mathbf{{1}}^\top {inner}" if dim == 0 else rf"{inner} \mathbf{{1}}"), TERM

    def cases(self, condition: ast.AST, yes: ast.AST, no: ast.AST) -> tuple[str, int]:
        if not isinstance(condition, ast.Compare) or type(condition.ops[0]) not in COMPARED:
            raise NoForm
        sign = COMPARED[type(condition.ops[0])]
        asked = f"{self.write(condition.left)} {sign} {self.write(condition.comparators[0])}"
        if number_of(yes) == 1 and number_of(no) == 0:
            return rf"\mathbb{{1}}[{asked}]", FACTOR
        if not self.indexed:
            raise NoForm
        rows = rf"{self.write(yes)} & \text{{if }} {asked} \\ {self.write(no)} & \text{{otherwise}}"
        return self.grouped(rf"\begin{{cases}} {rows} \end{{cases}}"), ATOM
