"""What would give an answer away: every printed form of an exercise's gradients, and what stands inside of them.

A form counts when it is longer than a few characters and stands neither in what the learner wrote nor in what every
learner is handed: the statement and the forward program.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice

import tutor
from tutor.exercise import Exercise
from tutor.symbolic.notation import LatexWriter, Writer
from tutor.views import text
from tutor.views.page import closed_gradients, formula

LEAST = 6  # characters; shorter pieces, `2*dz`, stand in innocent sentences as well
MOST_NODES = 4000  # of one form that are taken apart


def bare(words: str) -> str:
    """Without white space, and without the ways in which views set a formula off."""
    words = words.replace("**", "^").replace("\\\\", "\\")
    return re.sub(r"\s+", "", words)


loaded = cache(tutor.load)  # what is derived of it, and its values, are kept with it


@cache
def forms(address: str) -> tuple[str, ...]:
    """Every piece of every gradient, as torch, with indices, in LaTeX, and of closed forms."""
    exercise = loaded(address)
    derivation = exercise.derive()
    found: dict[str, None] = {}
    for gradient in derivation.needed:
        found.update(dict.fromkeys(_pieces_of_code(gradient.torch or "")))
        found.update(dict.fromkeys(_pieces(gradient.expr, exercise)))
    for gradient in closed_gradients(derivation):
        closed = gradient.closed_form
        found.update(dict.fromkeys(_pieces(closed.expr, exercise)))
        found.update(dict.fromkeys(_pieces_of_code(getattr(closed, "torch", None) or "")))
    for value in exercise.values:
        found.update(dict.fromkeys(_pieces(value.expr, exercise)))
    known = bare(handed_out(exercise))
    return tuple(form for form in dict.fromkeys(map(bare, found)) if len(form) > LEAST and form not in known)


def _pieces(expr: object, exercise: Exercise) -> Iterator[str]:
    from sympy import preorder_traversal

    writers = Writer(exercise), LatexWriter(exercise)
    for node in islice(preorder_traversal(expr), MOST_NODES):
        for writer in writers:
            try:
                yield writer.write(node)
            except Exception:  # limits of a sum, labels: no formula of its own
                continue


def _pieces_of_code(code: str) -> Iterator[str]:
    """The whole, and every expression inside of it, as it is written there."""
    yield code
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            yield ast.get_source_segment(code, node) or ""
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node).removeprefix(ast.unparse(node.func.value))  # `.sum(0)`


def handed_out(exercise: Exercise) -> str:
    """What everybody has: the statement, and the forward program in every spelling."""
    plain, latex = Writer(exercise), LatexWriter(exercise)
    made = [exercise.title, exercise.statement, text.exercise(exercise)]
    for q in exercise.forward:
        made += [formula(q, plain), formula(q, latex)]
    return "\n".join(made)


def found_in(shown: str, address: str, sheet: str) -> list[str]:
    """The forms that a text shows and that its reader did not have."""
    words = bare(_words(shown))
    own = bare(sheet)
    return [form for form in forms(address) if form in words and form not in own]


def _words(page: str) -> str:
    """A page's own text beside the page as it stands, without what escapes it."""
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    body = html.unescape(re.sub(r"<[^>]*>", "", page))
    unmarked = re.sub(r"\\(?=[^A-Za-z\\])", "", page)  # Markdown's backslashes
    return "\n".join([page, html.unescape(page), body, unmarked])


# -- sheets -----------------------------------------------------------------------------------------------------------


def sheets(address: str, most: int = 6) -> Iterator[str]:
    """Answers to an exercise: right ones, and wrong ones in many ways, each short, so that much is left to tell."""
    exercise = loaded(address)
    head = f"# exercise: {address}\n"
    lines = [(g.symbol_name, g.torch) for g in exercise.derive().needed if g.torch]
    yield head + "\n".join(f"{name} = {code}" for name, code in lines) + "\n"  # right
    yield head + "".join(f"{name} = -{code}\n" for name, code in lines[:1]) + "dq = 2x\n"
    yield head  # nothing
    edited = [(name, code) for name, right in lines for code in _edited(right)]
    for name, code in edited[:: max(len(edited) // most, 1)][:most]:
        yield f"{head}{name} = {code}\n"
    yield head + "".join(f"{name} = {code}\n" for name, right in lines for code in islice(_edited(right), 1))
    yield from islice(_planted(address), most)


def _edited(code: str) -> Iterator[str]:
    """The code with one node of it left out, or turned into another."""
    for node in ast.walk(ast.parse(code, mode="eval")):
        if isinstance(node, ast.BinOp):
            yield from (_with(code, node, part) for part in (node.left, node.right))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.expr):
            yield _with(code, node, node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield _with(code, node, node.func.value)
        elif isinstance(node, ast.UnaryOp):
            yield _with(code, node, node.operand)


def _with(code: str, node: ast.expr, instead: ast.expr) -> str:
    part = ast.get_source_segment(code, instead) or ""
    return f"{code[: node.col_offset]}({part}){code[node.end_col_offset :]}"


def _planted(address: str) -> Iterator[str]:
    """One known mistake after the other, in index notation, on one line alone or with what follows from it."""
    from tutor.checking.spoils import spoilt
    from tutor.symbolic.notation import SheetWriter

    exercise = loaded(address)
    writer, seen = SheetWriter(exercise), set()
    for gradient in exercise.derive().needed:
        if exercise[gradient.name].kind in ("loss", "output"):
            continue
        for variant in spoilt(exercise, gradient.name).variants:
            if variant.id in seen:
                continue
            try:
                right = writer.write(variant.expr)
            except Exception:  # what a sheet cannot say
                continue
            seen.add(variant.id)
            left = gradient.symbol_name
            if variant.indices:
                left += f"[{', '.join(index.name for index in variant.indices)}]"
            yield f"# exercise: {address}\n{left} = {right}\n"
