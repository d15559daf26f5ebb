"""What the tests of pictures share: sheets for every exercise, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import tutor
from tutor.exercise import Exercise
from tutor.pictures.page import report_page
from tutor.views import html

CASES = Path(__file__).parent / "cases"
WRONG = """\
# exercise: softmax-regression
dz = p - y
dW = x.T @ dz
db = dz.sum(0)
"""
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


def sheet_of(exercise: Exercise) -> str:
    """A long sheet: every gradient in torch's spelling, the first one doubled, so that it is wrong."""
    lines = [f"{g.symbol_name} = {g.torch}" for g in exercise.derive().needed if g.torch]
    if lines:
        name, _, right = lines[0].partition(" = ")
        lines[0] = f"{name} = 2*({right})"
    return "\n".join([f"# exercise: {exercise.id}", *lines]) + "\n"


def page_of(text: str, folder: Path, suffix: str = ".py", **options: object) -> str:
    path = folder / f"sheet{suffix}"
    path.write_text(text, encoding="utf-8")
    return html.report_page(report_page(str(path), **options))  # type: ignore[arg-type]


def page_for(address: str, folder: Path, **options: object) -> str:
    return page_of(sheet_of(tutor.load(address)), folder, **options)


def tree_of(page: str) -> ElementTree.Element:
    """The page as XML: a tag that is not closed, or an `&` that is none, raises."""
    head, _, rest = page.partition("\n")
    assert head == "<!DOCTYPE html>"
    return ElementTree.fromstring(rest)


class Tags(HTMLParser):
    """What a browser makes of a page: tags with attributes, and the text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def named(self, *names: str) -> list[tuple[str, dict[str, str | None]]]:
        return [(tag, attributes) for tag, attributes in self.tags if tag in names]
