"""LaTeX: a document that compiles, with one aligned block per gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sympy import Add, Expr

from tutor.language import ENGLISH, current, of_exercise, tr
from tutor.symbolic.notation import PRODUCT, LatexWriter, Writer, common_number, shape_text
from tutor.views.page import Line, Section, closed_gradients, closed_lines, formula, page, sentences, used_by

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

HEAD = "\n".join((
    r"\documentclass[fleqn]{article}",
    r"\usepackage[utf8]{inputenc}",
    r"\usepackage{amsmath,amssymb}",
    r"\usepackage[margin=2.5cm]{geometry}",
    r"\usepackage{graphicx}",
    r"\allowdisplaybreaks",
    r"\setlength{\mathindent}{1.5em}",
    r"\newsavebox{\wide}",
    # a formula that would leave the page is made smaller: #1 is the room there is
    r"\newcommand{\fitted}[2]{\sbox{\wide}{$\displaystyle #2$}%",
    r"  \ifdim\wd\wide>#1\linewidth\resizebox{#1\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}",
    r"\begin{document}",
    r"\raggedright",
))  # fmt: skip
CHINESE_HEAD = HEAD.replace("{article}", "{ctexart}").replace("\\usepackage[utf8]{inputenc}\n", "")  # by XeLaTeX
TAIL = r"\end{document}"
WIDTH = 88  # letters of the text form that fit beside one another on the page
LONG = 66  # letters of a formula that may be too wide for the page
ROOM = 0.78  # of the page, beside a left side


def escape(text: str) -> str:
    for special in "\\{}&%$#_":
        text = text.replace(special, r"\textbackslash{}" if special == "\\" else "\\" + special)
    return text.replace("^", r"\^{}").replace("~", r"\~{}")


def document(title: str, body: Sequence[str]) -> str:
    head = HEAD if current() == ENGLISH else CHINESE_HEAD
    return "\n\n".join([head, rf"\section*{{{escape(title)}}}", *body, TAIL]) + "\n"


def math(text: str) -> str:
    return f"${text}$"


def aligned(lines: Sequence[Line], writer: LatexWriter, page: bool = False) -> str:
    r"""`left &= right && \text{reason} \\` for each line.

    On a `page` what would run over its edge goes below: a long reason under its formula, a long sum in several lines.
    """
    rows = []
    gap = r"\qquad" if page else ""
    lengths = [_length(line, writer) for line in lines]
    column = max([f for f, _ in lengths], default=0)  # reasons stand behind the widest formula, or below their own
    for line, (length, reason_length) in zip(lines, lengths, strict=True):
        left = writer.write(line.left) if line.left is not None else ""
        first, *more = _broken(line.right, writer) if page and length > WIDTH else [writer.write(line.right)]
        if page and length > LONG:
            first, *more = (_fitted(part) for part in (first, *more))
        reason = sentences(line.reasons, writer, math, escape)
        beside = not page or column + reason_length <= WIDTH
        rows.append(f"{left} &= {first}" + (rf" &&{gap} \text{{{reason}}}" if reason and beside else ""))
        rows += [rf" &\quad {part}" for part in more]
        if reason and not beside:
            rows.append(rf" &\quad \rlap{{\parbox[t]{{0.75\linewidth}}{{\raggedright {reason}}}}}")
    return " \\\\\n".join(rows)


def _fitted(formula: str, room: float = ROOM) -> str:
    return rf"\fitted{{{room}}}{{{formula}}}"


def _length(line: Line, writer: LatexWriter) -> tuple[int, int]:
    """About how wide a formula and its reason are: in letters, as the text form writes them."""
    plain = Writer(writer.exercise)
    left = plain.write(line.left) if line.left is not None else ""
    return len(f"{left} = {plain.write(line.right)}"), len(sentences(line.reasons, plain))


def _broken(node: Expr, writer: LatexWriter) -> list[str]:
    """A long sum in lines, each after the first with its sign in front."""
    plain = Writer(writer.exercise)
    if not isinstance(node, Add) or common_number(node)[0] != 1:
        return [writer.write(node)]
    made: list[str] = []
    room = 0
    for term in writer.terms(node):
        negative = writer.negative(term)
        text = writer.write(-term if negative else term, PRODUCT)
        sign = "- " if negative else "+ " if made else ""
        length = len(plain.write(term))
        if made and length <= room:
            made[-1] += f" {sign}{text}"
        else:
            made.append(f"{sign}{text}")
            room = WIDTH
        room -= length
    return made


def _section(s: Section, writer: LatexWriter) -> str:
    uses = [used_by(math(writer.name(s.gradient.name)), math(formula(v, writer))) for v in s.consumers]
    parts = [rf"\paragraph{{{s.number}.}} " + tr("; ").join(uses) + tr(".")]
    parts.append("\\begin{alignat*}{2}\n" + aligned(s.lines, writer, page=True) + "\n\\end{alignat*}")
    if s.torch:
        code = rf"\texttt{{{escape(s.torch)}}}"
        shape = math(shape_text(s.gradient.shape, writer))
        parts.append(tr("In torch: {code}, shape {shape}.", code=code, shape=shape))
    return "\n".join(parts)


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    content = page(d)
    writer = LatexWriter(d.exercise)
    body = [*_program(d.exercise, writer), escape(content.headline[0].upper() + content.headline[1:]) + tr(".")]
    body += [_section(s, writer) for s in content.sections]
    for q in content.values:
        body.append(rf"\[ {_fitted(formula(q, writer), 1)} \]")
    if closed:
        body += [_closed(g, writer) for g in closed_gradients(d)]
    return document(of_exercise(d.exercise.title), body)


def _closed(g: Gradient, writer: LatexWriter) -> str:
    lines = aligned(closed_lines(g), writer, page=True)
    head = tr("Closed form of {name}", name=math(writer.gradient_name(g.symbol_name)))
    return rf"\paragraph{{{head}{tr('.')}}}" + (f"\n\\begin{{alignat*}}{{2}}\n{lines}\n\\end{{alignat*}}")


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    return g.latex


def exercise(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    asked = ", ".join(
        f"${writer.gradient_name('d' + n) if ex[n].kind != 'value' else writer.name(n)}$" for n in ex.asked
    )
    return document(of_exercise(ex.title), [*_program(ex, writer), tr("Asked: {names}", names=asked) + tr(".")])


def _program(ex: Exercise, writer: LatexWriter) -> list[str]:
    """What is given, with shapes, and the forward program."""
    rows = [f"{writer.write(q.entry)} &= {_fitted(writer.write(q.expr), 0.85)}" for q in ex.forward]
    shapes = ", ".join(
        f"${writer.name(q.name)}$" + (f" {math(shape_text(q.shape, writer))}" if q.shape else "") for q in ex.leaves
    )
    given = tr("Given: {shapes}", shapes=shapes) + tr(".")
    return [given, "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"]
