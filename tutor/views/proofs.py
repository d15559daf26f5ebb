"""Verifications of many exercises: a line each, and in full what disagrees."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tutor.views import json as as_json
from tutor.views import text

if TYPE_CHECKING:
    from tutor.proving import Proof

JUDGES = ("autograd", "reference", "differences")
FULL = " (full size)"


def head(todo: Sequence[str]) -> str:
    """The table's first line, wide enough for all that is to come."""
    return _cells("exercise", ("rows", "autograd", "native torch", "differences", ""), _width(todo))


def _width(todo: Sequence[str]) -> int:
    return max(map(len, todo), default=0) + len(FULL)


def rows(proof: Proof, todo: Sequence[str]) -> str:
    """One line for each verification of a proof; below it the whole table if it disagrees."""
    lines = []
    for v, name in zip(proof.verifications, (proof.address, proof.address + FULL), strict=False):
        errors = [_shown(getattr(row, judge) for row in v.rows) for judge in JUDGES]
        cells = (str(len(v.rows)), *errors, "ok" if v.agrees else "DISAGREES")
        lines.append(_cells(name, cells, _width(todo)))
        if not v.agrees:
            lines += [f"    {line}" for line in text.verification(v).splitlines()]
    return "\n".join(lines)


def total(done: Sequence[Proof]) -> str:
    """The table's last line."""
    not_so = [proof.address for proof in done if not proof.agrees]
    if not_so:
        return f"{len(not_so)} of {len(done)} do not agree: {', '.join(not_so)}"
    return f"all {len(done)} agree: rows are gradients and values, figures the largest relative error of any"


def _cells(name: str, cells: Iterable[str], wide: int) -> str:
    rows, *errors, verdict = cells
    return f"{name.ljust(wide)}  {rows:>4}  {'  '.join(f'{e:>12}' for e in errors)}  {verdict}".rstrip()


def _shown(errors: Iterable[float | None]) -> str:
    """The largest error; one that is not a number is the worst."""
    known = [e for e in errors if e is not None]
    if not known:
        return "-"
    return f"{max(known, key=lambda e: math.inf if math.isnan(e) else e):.1e}"


def detail(proof: Proof) -> str:
    """A row for every quantity."""
    blocks = [text.verification(proof.verification)]
    if proof.full is not None:
        at = "; ".join(", ".join(f"{n}={extent}" for n, extent in sizes.items()) for sizes in proof.full.sizes)
        blocks.append(f"at full size, {at}:\n{text.verification(proof.full)}")
    return "\n\n".join(blocks)


def data(proof: Proof) -> str:
    """One line of JSON for each verification."""
    if proof.error is not None:
        document: dict[str, Any] = {"schema": "tutor.verification/1", "exercise": proof.address, "agrees": False}
        return json.dumps({**document, "error": str(proof.error)})
    found = [json.loads(as_json.verification(v)) | {"sizes": v.sizes} for v in proof.verifications]
    return "\n".join(json.dumps(document) for document in found)
