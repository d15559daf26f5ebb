"""A learner's id as the name of a file or a folder, with which no learner can choose a path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container

LONGEST = 64
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # without a dot, so that it cannot be one with a digest
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)  # by Windows


def file_name(learner: str, alike: Container[str] = ()) -> str:
    """A plain id is its own name; any other, and one of those that differ in capitals alone, gets a digest.

    `alike` are the ids, in small letters, that several learners have in different capitals.
    """
    plain = _PLAIN.fullmatch(learner) and len(learner) <= LONGEST and not _RESERVED.fullmatch(learner)
    if plain and learner.casefold() not in alike:
        return learner
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", learner).strip("-")[:24] or "learner"
    return f"{stem.lower()}.{hashlib.sha256(learner.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
