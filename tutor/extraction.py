"""What a learner reads of exercise files, for Babel: titles, statements paragraph by paragraph, hints, tracks.

Files are read and never run. `pybabel extract -F babel-exercises.cfg` uses it, and so does
`python tests/test_language_exercises.py`, which brings the catalogue up to date.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, BinaryIO

from tutor.paragraphs import message, paragraphs

Found = tuple[int, None, str, list[str]]  # line, function, message, comments: what Babel asks of an extractor


def exercises(file: BinaryIO, keywords: Any = (), comment_tags: Any = (), options: Any = None) -> Iterator[Found]:
    """The texts of one exercise file."""
    tree = ast.parse(file.read())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "Exercise"]
    if calls:  # else a module that stands beside them
        yield from ((line, None, text, ["statement"]) for line, text in _docstring(tree))
    for keyword in (keyword for call in calls for keyword in call.keywords):
        if keyword.arg in ("title", "statement", "hints"):
            yield from ((line, None, text, [keyword.arg]) for line, text in _texts(keyword.value))


def course(file: BinaryIO, keywords: Any = (), comment_tags: Any = (), options: Any = None) -> Iterator[Found]:
    """The titles of a `course.toml`'s tracks."""
    source = file.read().decode()
    for track in tomllib.loads(source).get("track", []):
        yield source[: source.index(track["title"])].count("\n") + 1, None, track["title"], ["track"]


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _docstring(tree: ast.Module) -> Iterator[tuple[int, str]]:
    families = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "exercise"]
    node = tree if ast.get_docstring(tree) or not families else families[-1]
    text = cleandoc(ast.get_docstring(node) or "")
    yield from ((node.body[0].lineno, message(part)) for part in paragraphs(text))


def _texts(value: ast.expr) -> Iterator[tuple[int, str]]:
    """Every text in a keyword's value, `[one, *more]` and `a if choice else b` included.

    Raises ValueError for one with a formatted part, which could not be found again in a catalogue.
    """
    for node in ast.walk(value):
        if isinstance(node, ast.JoinedStr):
            raise ValueError(f"line {node.lineno}: {ast.unparse(node)}: write each text that can come out of it")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, message(part)) for part in paragraphs(node.value))
