"""LaTeX: a document that compiles, with one aligned block per gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.symbolic.notation import LatexWriter, Writer, shape_text
from tutor.views.page import Line, Section, closed_lines, formula, page, sentences

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

HEAD = "\n".join((
    r"\documentclass{article}",
    r"\usepackage[utf8]{inputenc}",
    r"\usepackage{amsmath,amssymb}",
    r"\usepackage[margin=2.5cm]{geometry}",
    r"\usepackage{graphicx}",
    r"\allowdisplaybreaks",
    r"\newsavebox{\wide}",
    r"% a formula that would leave the page is made smaller: #1 is the room there is",
    r"\newcommand{\fitted}[2]{\sbox{\wide}{$\displaystyle #2$}%",
    r"  \ifdim\wd\wide>#1\linewidth\resizebox{#1\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}",
    r"\newcommand{\why}[2]{\parbox{#1\linewidth}{\raggedright\small\strut #2\strut}}",
    r"\begin{document}",
    r"\raggedright",
))  # fmt: skip
TAIL = r"\end{document}"
LONG = 44  # letters of a formula in plain text; the reason of a longer one goes below it


def escape(text: str) -> str:
    for special in "\\{}&%$#_":
        text = text.replace(special, r"\textbackslash{}" if special == "\\" else "\\" + special)
    return text.replace("^", r"\^{}").replace("~", r"\~{}")


def document(title: str, body: Sequence[str]) -> str:
    return "\n\n".join([HEAD, rf"\section*{{{escape(title)}}}", *body, TAIL]) + "\n"


def math(text: str) -> str:
    return f"${text}$"


def aligned(lines: Sequence[Line], writer: LatexWriter) -> str:
    r"""`left &= right && \text{reason} \\` for each line."""
    rows = []
    for line in lines:
        left = writer.write(line.left) if line.left is not None else ""
        reason = sentences(line.reasons, writer, math)
        rows.append(f"{left} &= {writer.write(line.right)}" + (rf" && \text{{{reason}}}" if reason else ""))
    return " \\\\\n".join(rows)


def printed(lines: Sequence[Line], writer: LatexWriter) -> str:
    """The same for a page: nothing leaves it, and the reasons stand below where a formula of the block is long."""
    plain = Writer(writer.exercise)
    below = any(len(plain.write(line.right)) > LONG for line in lines)
    rows = []
    for line in lines:
        left = writer.write(line.left) if line.left is not None else ""
        reason = sentences(line.reasons, writer, math)
        rows.append(rf"{left} &= \fitted{{{0.76 if below else 0.48}}}{{{writer.write(line.right)}}}")
        if below and reason:
            rows.append(rf" &\quad\why{{0.72}}{{{reason}}}")
        elif reason:
            rows[-1] += rf" && \why{{0.34}}{{{reason}}}"
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def _section(s: Section, writer: LatexWriter) -> str:
    uses = [rf"${writer.name(s.gradient.name)}$ is used by ${formula(v, writer)}$" for v in s.consumers]
    parts = [rf"\paragraph{{{s.number}.}} " + "; ".join(uses) + "."]
    parts.append(printed(s.lines, writer))
    if s.torch:
        parts.append(rf"In torch: \texttt{{{escape(s.torch)}}}, shape {math(escape(s.shape))}.")
    return "\n".join(parts)


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    content = page(d)
    writer = LatexWriter(d.exercise)
    body = [*_program(d.exercise, writer), escape(content.headline[0].upper() + content.headline[1:]) + "."]
    body += [_section(s, writer) for s in content.sections]
    for q in content.values:
        body.append(rf"\[ \fitted{{1}}{{{formula(q, writer)}}} \]")
    if closed:
        body += [_closed(d.gradient(name), writer) for name in d.wrt if name in d.gradients]
    return document(d.exercise.title, body)


def _closed(g: Gradient, writer: LatexWriter) -> str:
    name = writer.gradient_name(g.symbol_name)
    return rf"\paragraph{{Closed form of ${name}$.}}" + f"\n{printed(closed_lines(g), writer)}"


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    return g.latex


def exercise(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    asked = ", ".join(
        f"${writer.gradient_name('d' + n) if ex[n].kind != 'value' else writer.name(n)}$" for n in ex.asked
    )
    return document(ex.title, [*_program(ex, writer), f"Asked: {asked}."])


def _program(ex: Exercise, writer: LatexWriter) -> list[str]:
    """What is given, with shapes, and the forward program."""
    rows = [rf"{writer.write(q.entry)} &= \fitted{{0.85}}{{{writer.write(q.expr)}}}" for q in ex.forward]
    shapes = ", ".join(
        f"${writer.name(q.name)}$" + (f" {math(escape(shape_text(q.shape)))}" if q.shape else "") for q in ex.leaves
    )
    return [f"Given: {shapes}.", "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"]
