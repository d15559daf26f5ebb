"""The language of what people read: gettext catalogues in `tutor/locale`, English where a catalogue has no entry.

Two domains: `tutor`, the sentences of the code, and `exercises`, the statements and hints of exercise files. A sentence
is marked where it is written, `tr("{name} has shape {shape}", name=..., shape=...)`, so that Babel finds it; in a table
that is made at import it is marked with `N_` and translated where it is shown. Formulas, names and ids are never
translated, and no result depends on the language. (`_` would be the usual name for `tr`; here it is a variable unread.)
"""

from __future__ import annotations

import gettext as _gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from tutor.errors import UsageError

FOLDER = Path(__file__).parent / "locale"
ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh")
_VARIABLES = ("TUTOR_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides, as POSIX has it

_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def current() -> str:
    """The language in use: the one chosen with `use` or `speaking`, else the environment's, else English."""
    return _chosen.get() or from_environment()


def from_environment() -> str:
    """The language that the environment asks for, English if it asks for one that we do not speak."""
    asked = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    code = asked.replace("-", "_").split("_")[0].split(".")[0].lower()
    return code if code in LANGUAGES else ENGLISH


def use(language: str | None) -> None:
    """Speak `language` ("en", "zh") from now on; None follows the environment again.

    Raises UsageError for a language that there is no catalogue of.
    """
    _chosen.set(_known(language))


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Speak `language` inside a `with` block."""
    token = _chosen.set(_known(language))
    try:
        yield
    finally:
        _chosen.reset(token)


def _known(language: str | None) -> str | None:
    if language is None or language in LANGUAGES:
        return language
    raise UsageError(f'there is no language "{language}"; there are {", ".join(LANGUAGES)}')


@cache
def _catalogue(language: str, domain: str) -> _gettext.NullTranslations:
    return _gettext.translation(domain, FOLDER, [language], fallback=True)


def tr(message: str, /, **params: Any) -> str:
    """A sentence of ours in the language in use, with `params` put in for its `{names}`."""
    language = current()
    said = message if language == ENGLISH else _catalogue(language, "tutor").gettext(message)
    return said.format_map(params) if params else said


def ntr(one: str, many: str, number: int, /, **params: Any) -> str:
    """The sentence for `number` things, with `params` put in; Chinese has one form for all."""
    language = current()
    if language == ENGLISH:
        said = one if number == 1 else many
    else:
        said = _catalogue(language, "tutor").ngettext(one, many, number)
    return said.format_map(params) if params else said


def N_(message: str) -> str:
    """Marks a sentence for translation where it is written; it is translated where it is shown."""
    return message


def of_exercise(text: str) -> str:
    """A title, paragraph or hint of an exercise file in the language in use; as it stands where there is no other."""
    language = current()
    return text if language == ENGLISH or not text else _catalogue(language, "exercises").gettext(text)
