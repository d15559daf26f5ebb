"""Verifications of many exercises: a line each, and in full what disagrees."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tutor.language import N_, for_programs, tr
from tutor.views import text
from tutor.views.json import certificate_data, verification_data
from tutor.views.plain import columns, padded

if TYPE_CHECKING:
    from tutor.certificate import Certificate
    from tutor.proving import Proof

JUDGES = ("autograd", "reference", "differences")
FULL = N_(" (full size)")
CERTIFICATE = (N_("mistakes"), N_("least change"), N_("answers"), N_("empty"))


def head(todo: Sequence[str], certificate: bool = False) -> str:
    """The table's first line, wide enough for all that is to come."""
    more = CERTIFICATE if certificate else ()
    heads = (N_("rows"), "autograd", N_("native torch"), N_("differences"), *more, "")
    return _cells(tr("exercise"), map(tr, heads), _width(todo))


def _width(todo: Sequence[str]) -> int:
    return max(map(len, todo), default=0) + columns(tr(FULL))


def rows(proof: Proof, todo: Sequence[str], certificate: bool = False) -> str:
    """One line for each verification of a proof; below it the whole table if it disagrees.

    A certificate's figures stand in the first: mistakes told apart, the smallest change one of them makes, points of
    the true answer, printed in three forms, and of an empty sheet.
    """
    lines: list[str] = []
    c = proof.certificate
    for v, name in zip(proof.verifications, (proof.address, proof.address + tr(FULL)), strict=False):
        errors = [_shown(getattr(row, judge) for row in v.rows) for judge in JUDGES]
        more = _certificate(c) if c is not None and not lines else ("",) * len(CERTIFICATE) if certificate else ()
        refused = c is not None and not lines and not c.agrees
        verdict = tr("DISAGREES") if not v.agrees else tr("REFUSED") if refused else "ok"
        lines.append(_cells(name, (str(len(v.rows)), *errors, *more, verdict), _width(todo)))
        if not v.agrees:
            lines += [f"    {line}" for line in text.verification(v).splitlines()]
        if refused:
            lines += [f"    {reason}" for reason in c.refusals]
    return "\n".join(lines)


def _certificate(c: Certificate) -> tuple[str, ...]:
    """`149  3.5e-01  2/2  0`: in three forms the true answer earns the same, or each its own"""
    least = "-" if c.least is None else f"{c.least:.1e}"
    earned = dict.fromkeys(f"{score:g}/{c.points:g}" for score in c.scores.values())
    return str(len(c.told)), least, " ".join(earned), f"{c.empty:g}"


def total(done: Sequence[Proof]) -> str:
    """The table's last line."""
    not_so = [proof.address for proof in done if not proof.agrees]
    if not_so:
        return tr("{count} of {all} do not agree: {names}", count=len(not_so), all=len(done), names=", ".join(not_so))
    agreed = tr(
        "all {all} agree: rows are gradients and values, figures the largest relative error of any", all=len(done)
    )
    if all(proof.certificate is None for proof in done):
        return agreed
    told = sum(len(proof.certificate.told) for proof in done)
    more = tr(
        "{told} planted mistakes told apart; answers: points of the true answer as torch, index, LaTeX", told=told
    )
    return f"{agreed}\n{more}"


def _cells(name: str, cells: Iterable[str], wide: int) -> str:
    rows, *others, verdict = cells
    figures = "  ".join(padded(e, 12, right=True) for e in others)
    return f"{padded(name, wide)}  {padded(rows, 4, right=True)}  {figures}  {verdict}".rstrip()


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
        blocks.append(tr("at full size, {sizes}:", sizes=at) + f"\n{text.verification(proof.full)}")
    if proof.certificate is not None:
        blocks.append(text.certificate(proof.certificate))
    return "\n\n".join(blocks)


def data(proof: Proof) -> str:
    """One line of JSON for each verification."""
    return "\n".join(map(json.dumps, _documents(proof)))


def _documents(proof: Proof) -> list[dict[str, Any]]:
    if proof.error is not None:
        with for_programs():
            error = str(proof.error)
        return [{"schema": "tutor.verification/1", "exercise": proof.address, "agrees": False, "error": error}]
    found = [verification_data(v) | {"sizes": v.sizes} for v in proof.verifications]
    return found if proof.certificate is None else [*found, certificate_data(proof.certificate)]
