"""LaTeX: a document that compiles, with one aligned block per gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.symbolic.notation import LatexWriter, shape_text
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
    r"\allowdisplaybreaks",
    r"\begin{document}",
))  # fmt: skip
TAIL = r"\end{document}"


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


def _section(s: Section, writer: LatexWriter) -> str:
    uses = [rf"${writer.name(s.gradient.name)}$ is used by ${formula(v, writer)}$" for v in s.consumers]
    parts = [rf"\paragraph{{{s.number}.}} " + "; ".join(uses) + "."]
    parts.append("\\begin{align*}\n" + aligned(s.lines, writer) + "\n\\end{align*}")
    if s.torch:
        parts.append(rf"In torch: \texttt{{{escape(s.torch)}}}, shape {math(escape(s.shape))}.")
    return "\n".join(parts)


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    content = page(d)
    writer = LatexWriter(d.exercise)
    body = [escape(content.headline[0].upper() + content.headline[1:]) + "."]
    body += [_section(s, writer) for s in content.sections]
    for q in content.values:
        body.append(rf"\[ {formula(q, writer)} \]")
    if closed:
        body += [_closed(d.gradient(name), writer) for name in d.wrt if name in d.gradients]
    return document(d.exercise.title, body)


def _closed(g: Gradient, writer: LatexWriter) -> str:
    lines = aligned(closed_lines(g), writer)
    return rf"\paragraph{{Closed form of ${writer.gradient_name(g.symbol_name)}$.}}" + (
        f"\n\\begin{{align*}}\n{lines}\n\\end{{align*}}"
    )


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    return g.latex


def exercise(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    rows = [formula(q, writer).replace(" = ", " &= ", 1) for q in ex.forward]
    asked = ", ".join(
        f"${writer.gradient_name('d' + n) if ex[n].kind != 'value' else writer.name(n)}$" for n in ex.asked
    )
    shapes = ", ".join(f"${writer.name(q.name)}$ {math(escape(shape_text(q.shape)))}" for q in ex.leaves)
    body = [f"Given: {shapes}.", "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}", f"Asked: {asked}."]
    return document(ex.title, body)
