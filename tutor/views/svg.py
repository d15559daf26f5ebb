"""What our pictures have in common: elements, the look in light, dark and on paper, how wide a text is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from unicodedata import east_asian_width

# one set of colours for pages and pictures; text on its ground has a contrast of 4.5 or more in both
LIGHT = {
    "ink": "#1f2328", "soft": "#57606a", "paper": "#ffffff", "ground": "#f6f8fa", "edge": "#d0d7de",
    "back": "#0a58a8", "good": "#17722f", "bad": "#b3261e", "warn": "#8a5a00", "blush": "#ffebe9",
}  # fmt: skip
DARK = {
    "ink": "#e6edf3", "soft": "#9da7b3", "paper": "#0d1117", "ground": "#161b22", "edge": "#3d444d",
    "back": "#79b8ff", "good": "#56d364", "bad": "#ff8f87", "warn": "#e3b341", "blush": "#3a1a1a",
}  # fmt: skip


def colours(where: str) -> str:
    """The custom properties of `where`: light, dark where that is preferred, light again on paper."""
    light, dark = ("".join(f"--{name}:{value};" for name, value in each.items()) for each in (LIGHT, DARK))
    return (
        f"{where}{{{light}color-scheme:light dark}}"
        f"@media (prefers-color-scheme:dark){{{where}{{{dark}}}}}"
        f"@media print{{{where}{{{light}}}}}"
    )


def element(name: str, *inner: str, **attributes: object) -> str:
    """`<name a="1">inner</name>`; an underscore at the end of an attribute's name is left out, others become `-`."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{words}>{''.join(inner)}</{name}>" if inner else f"<{name}{words}/>"


def _number(value: object) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


# what XML 1.0 has no place for at all, not even escaped
_NOWHERE = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_FORBIDDEN = re.compile(f"[{_NOWHERE}]")
_NOT_AS_IT_IS = re.compile(f"[&<>\"'{_NOWHERE}]")


def plain(text: str) -> str:
    """A text inside an element: escaped, and rid of what no XML may contain."""
    text = str(text)  # a kept sentence says itself
    if _NOT_AS_IT_IS.search(text) is None:  # most texts of a page, and a class has many pages
        return text
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))


def picture(
    width: float, height: float, body: Iterable[str], *, title: str, desc: str, key: str, style: str, look: str
) -> str:
    """An `<svg>` of that size with its alternative text. `key` makes its ids its own within a page."""
    return element(
        "svg",
        element("title", plain(title), id=f"{key}-title"),
        element("desc", plain(desc), id=f"{key}-desc"),
        f"<style>{style}</style>",
        *body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(float(width))} {_number(float(height))}",
        width=float(width),
        height=float(height),
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=look,
    )


def breadth(text: str, size: float, fixed: bool = False) -> float:
    """About how many pixels a text takes, on the safe side: a picture that is made without a font cannot know."""
    wide = sum(1.0 if east_asian_width(letter) in "WF" else 0.62 if fixed else 0.58 for letter in text)
    return wide * size
