"""A notebook's file, format 4.5, from plain data: the same bytes for the same cells, and no package is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tutor.shown import json_text

Cell = dict[str, Any]


def markdown(id: str, source: str, metadata: Mapping[str, Any] | None = None) -> Cell:
    return {"cell_type": "markdown", "id": id, "metadata": dict(metadata or {}), "source": _lines(source)}


def code(id: str, source: str, metadata: Mapping[str, Any] | None = None) -> Cell:
    run: Cell = {"execution_count": None, "outputs": []}
    return {**markdown(id, source, metadata), "cell_type": "code", **run}


def notebook(cells: Iterable[Cell]) -> str:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json_text({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def _lines(source: str) -> list[str]:
    return source.strip("\n").splitlines(keepends=True)
