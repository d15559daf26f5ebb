"""One source, two languages: `python notebooks/build.py` writes every notebook anew, executed.

A source in `notebooks/source` is Markdown: `<!-- en -->` and `<!-- zh -->` begin a text cell in that language, a fence
of `python` is a code cell of both. Outputs are stored as plain text and pictures: they read well wherever a notebook is
shown, differ in a line where a line differs, and need no trust; run a cell, and it shows typeset mathematics.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LANGUAGES = ("en", "zh")
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
_PART = re.compile(r"^<!-- (en|zh) -->\n|^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_BREAK = re.compile(
    r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])\n(?=[\u2018-\u201d\u4e00-\u9fff])"
)  # shown as a space
KEPT = ("text/plain", "image/png")  # of an output's forms


def cells(source: str, language: str) -> list[tuple[str, str]]:
    """("markdown" or "code", text) of every cell in a language; `LANG` in code stands for the language's code."""
    made: list[tuple[str, str]] = []
    parts = list(_PART.finditer(source))
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        text = source[part.end() : after.start() if after else len(source)].strip()
        if part[1] == language:
            made.append(("markdown", _BREAK.sub("", text)))
        elif part[1] is None:
            assert not text, f"text belongs to a language: {text[:60]!r}"
            made.append(("code", part[2].rstrip("\n").replace("LANG", language)))
    return made


def sources() -> list[Path]:
    return sorted((HERE / "source").glob("*.md"))


def path(source: Path, language: str) -> Path:
    """`backprop-by-hand.en.ipynb`"""
    return HERE / f"{source.stem}.{language}.ipynb"


def notebook(source: Path, language: str) -> Any:
    """The notebook, not executed; the same bytes for the same source."""
    from nbformat import v4

    made = v4.new_notebook(metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for n, (kind, text) in enumerate(cells(source.read_text(encoding="utf-8"), language), 1):
        new = v4.new_markdown_cell if kind == "markdown" else v4.new_code_cell
        made.cells.append(new(text, id=f"{kind}-{n}"))
    return made


def executed(made: Any) -> Any:
    """The notebook with its outputs, in the forms that are stored; an error in a cell is raised."""
    from nbclient import NotebookClient

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in one order: the same digits on every machine
    NotebookClient(made, timeout=600, kernel_name=KERNEL["name"], resources={"metadata": {"path": str(HERE)}}).execute()
    made.metadata["language_info"] = {"name": "python"}
    for cell in made.cells:
        cell.metadata.clear()  # when it ran
        for output in cell.get("outputs", []):
            if "data" in output:
                output["data"] = {form: value for form, value in output["data"].items() if form in KEPT}
                output["metadata"] = {}
    return made


def shown(made: Any) -> list[list[str]]:
    """What every cell prints: its text outputs."""
    found = []
    for cell in made.cells:
        outputs = cell.get("outputs", [])
        found.append([o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs])
    return found


def main() -> None:
    import nbformat

    for source in sources():
        for language in LANGUAGES:
            target, began = path(source, language), time.monotonic()
            nbformat.write(executed(notebook(source, language)), target)
            print(f"{target.name}   {time.monotonic() - began:.0f} s, {target.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
