r"""Where the mathematics stands in a text: `$$ ... $$`, `\[ ... \]`, equation and align; prose is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator

_DISPLAY = "equation|align|aligned|alignat|alignedat|gather|gathered|multline|flalign|eqnarray|displaymath|math|split"
_REGION = re.compile(
    rf"\\begin[ \t]*\{{(?P<env>(?:{_DISPLAY})\*?)\}}(?:\{{\d+\}})?|(?P<open>\\\[)|(?P<inline>\\\()"
    r"|(?P<dollars>\$\$)|(?P<dollar>\$)"
    r"|\\begin[ \t]*\{(?P<verbatim>verbatim|lstlisting|minted|comment)\*?\}|%[^\n]*|\\.",
    re.DOTALL,
)
_BULLET = re.compile(r"[ \t]*(?:[-*+]|\d+[.)]|\\item)?[ \t]*")
_ALONE_AFTER = re.compile(r"[ \t]*[.,;。，；、]?[ \t]*(?:\\\\)?[ \t]*(?:\n|$)")
_EVIDENT = re.compile(
    r"\\[A-Za-z]{2}|\\[,;:!]|[_^]\{|^[ \t]*\$", re.MULTILINE
)  # a command, a space, a braced script, $ first
_QUOTED = re.compile(r"#[^\n]*|(\"\"\"|\'\'\')(?:.*?\1|.*)", re.DOTALL)


def is_latex(text: str) -> bool:
    r"""Whether a text is evidently LaTeX: `\frac`, `_{` or `$` outside Python's comments and docstrings, and `=`."""
    return (
        ("\\" in text or "{" in text or "$" in text)
        and "=" in text
        and _EVIDENT.search(_QUOTED.sub("", text)) is not None
    )


def regions(text: str, whole: bool = True) -> list[tuple[int, int]]:
    """(start, stop) of displayed mathematics; of the whole text where nothing is marked (`whole`)."""
    marked = list(_marked(text))
    if marked or not whole or text.find(r"\begin{document}") > 0:
        return [(start, stop) for start, stop, kind in marked if kind == "displayed"]
    return [(_after_header(text), len(text))]


def in_prose(text: str) -> list[tuple[int, int]]:
    """(start, stop) of the formulas that stand in the midst of a sentence."""
    return [(start, stop) for start, stop, kind in _marked(text) if kind == "inline"]


def _marked(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, stop, kind) of what is marked as mathematics: displayed, inline, or verbatim."""
    at = max(text.find(r"\begin{document}"), 0)
    while (mark := _REGION.search(text, at)) is not None:
        at = mark.end()
        closing = _closing(mark)
        if closing is None:
            continue
        end = text.find(closing, mark.end())
        end, after = (len(text), len(text)) if end < 0 else (end, end + len(closing))
        inline = mark["inline"] or mark["dollar"]
        if inline and text.find("\n\n", mark.end(), end) >= 0:
            continue  # a lone dollar sign
        alone = not inline or (_begins_line(text, mark.start()) and _ALONE_AFTER.match(text, after))
        yield mark.end(), end, "verbatim" if mark["verbatim"] else "displayed" if alone else "inline"
        at = after


def _closing(mark: re.Match[str]) -> str | None:
    environment = mark["env"] or mark["verbatim"]
    if environment:
        return rf"\end{{{environment}}}"
    return {"open": r"\]", "inline": r"\)", "dollars": "$$", "dollar": "$"}.get(mark.lastgroup or "")


def _begins_line(text: str, at: int) -> bool:
    """Whether nothing but a bullet stands before it on its line: `$dW = ...$` in the midst of prose is a remark."""
    before = text[max(0, at - 40) : at]
    start = before.rfind("\n") + 1
    return (start > 0 or at <= 40) and _BULLET.fullmatch(before, start) is not None


def _after_header(text: str) -> int:
    """Header lines of a sheet (`# exercise: ...`) are no mathematics."""
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith(("#", "%")):
            break
        at += len(line)
    return at
