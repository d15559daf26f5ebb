"""What is found in an assignment's file, for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tutor.language import N_, for_programs, ntr, tr
from tutor.shown import json_text

if TYPE_CHECKING:
    from tutor.grading.lint import Finding

SCHEMA = "tutor.assignment-lint/1"
WORDS = {"error": N_("error"), "warning": N_("warning"), "note": N_("note")}


def text(file: str, found: Sequence[Finding]) -> str:
    if not found:
        return tr("{file}: nothing to mend", file=file)
    rows = [
        tr("{file}, line {line}, {key}: {word}: {message}", file=file, line=f.line, key=f.key,
           word=tr(WORDS[f.severity]), message=f.message)
        for f in found
    ]  # fmt: skip
    wrong, warned = (sum(f.severity == severity for f in found) for severity in ("error", "warning"))
    counts = [ntr("{count} error", "{count} errors", wrong, count=wrong),
              ntr("{count} warning", "{count} warnings", warned, count=warned)]  # fmt: skip
    return "\n".join([*rows, "", ", ".join(counts)])


@for_programs()
def json(file: str, found: Sequence[Finding]) -> str:
    return json_text({"schema": SCHEMA, "file": file, "findings": [f.to_dict() for f in found]})
