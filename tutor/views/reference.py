"""The body of `def forward(t):` for a saved exercise: as it was given, or from the reference's own file."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any

from tutor.exercise import Exercise


def reference_body(exercise: Exercise) -> str:
    """The lines of a reference that stands alone, dedented; "" where there is none."""
    given = textwrap.dedent(exercise.reference_source).strip("\n")
    if given or exercise.reference_function is None:
        return given
    return _body_of(exercise.reference_function)


def _body_of(function: Callable[[Any], Any]) -> str:
    """The function's own lines, where it reads nothing of its file and the lines still say what it does."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_freevars or code.co_varnames[: code.co_argcount] != ("t",):
        return ""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        found = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return ""
    if not isinstance(found, ast.FunctionDef) or found.body[0].lineno == found.lineno:
        return ""
    body = textwrap.dedent("\n".join(text.split("\n")[found.lineno : found.end_lineno]))
    return body if _is_code_of(body, code) and _reads_nothing(function) else ""


def _is_code_of(body: str, code: CodeType) -> bool:
    """Whether the lines make this very function: its file may have changed since."""
    text = f"def {code.co_name}(t):\n{textwrap.indent(body, '    ')}\n"
    try:
        made = next(c for c in compile(text, "<reference>", "exec").co_consts if isinstance(c, CodeType))
    except SyntaxError:  # its head goes over several lines
        return False
    return _gist(made) == _gist(code)


def _gist(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_gist(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


def _reads_nothing(function: Callable[[Any], Any]) -> bool:
    """Whether every global that the function reads is Python's own."""
    names = set(_global_names(function.__code__))
    return all(hasattr(builtins, name) for name in names)


def _global_names(code: CodeType) -> set[str]:
    import dis

    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_global_names(c) for c in code.co_consts if isinstance(c, CodeType)))
