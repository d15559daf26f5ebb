"""The language of what people read: gettext catalogues in `tutor/locale`, English where a catalogue has no entry.

Three domains: `tutor`, the sentences of the code, `exercises`, the statements and hints of exercise files, and `click`,
what that library says on our command line. A sentence is marked where it is written, so that Babel finds it:

* `tr("{name} has shape {shape}", name=..., shape=...)` where it is shown at once, as in a view;
* `said("...", ...)` where it is kept in a result, in an error or in a table: a text in English that says itself in the
  language in use when it is printed;
* `N_("...")` for a template that gets its parameters later, from `tr` or `said`.

Formulas, names and ids are never translated, and no result depends on the language: what was kept while one language
was spoken is English to the code, and speaks any other when it is asked. (`_` would be the usual name for `tr`; here it
is a variable unread.)
"""

from __future__ import annotations

import gettext as _gettext
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import Any

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


def in_its_language(view: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A view of something that has a `language`, spoken in that."""

    @wraps(view)
    def shown(made: Any) -> Any:
        with speaking(made.language):
            return view(made)

    return shown


def _known(language: str | None) -> str | None:
    if language is None or language in LANGUAGES:
        return language
    from tutor.errors import UsageError  # errors speak, too

    known = ", ".join(LANGUAGES)
    raise UsageError(said('there is no language "{language}"; there are {known}', language=language, known=known))


@contextmanager
def for_programs() -> Iterator[None]:
    """What programs read is English, whatever the environment says, unless a language was chosen."""
    with speaking(_chosen.get() or ENGLISH):
        yield


@contextmanager
def lent(domain: str) -> Iterator[None]:
    """Inside a `with` block gettext's default domain is one of ours, and its language the one in use.

    For a library that speaks through gettext itself, as click does.
    """
    before = _gettext.textdomain(), os.environ.get("LANGUAGE")
    _gettext.bindtextdomain(domain, str(FOLDER))
    _gettext.textdomain(domain)
    os.environ["LANGUAGE"] = current()
    try:
        yield
    finally:
        _gettext.textdomain(before[0])
        if before[1] is None:
            del os.environ["LANGUAGE"]
        else:
            os.environ["LANGUAGE"] = before[1]


@cache
def _catalogue(language: str, domain: str) -> _gettext.NullTranslations:
    return _gettext.translation(domain, FOLDER, [language], fallback=True)


def tr(message: str, /, **params: Any) -> str:
    """A sentence of ours in the language in use, with `params` put in for its `{names}`; a `Said` says itself."""
    if isinstance(message, Said):
        return str(message)
    language = current()
    said = message if language == ENGLISH or not message else _catalogue(language, "tutor").gettext(message)
    return said.format_map(params) if params else said


def ntr(one: str, many: str, number: int, /, **params: Any) -> str:
    """The sentence for `number` things, with `params` put in; Chinese has one form for all."""
    language = current()
    if language == ENGLISH:
        said = one if number == 1 else many
    else:
        said = _catalogue(language, "tutor").ngettext(one, many, number)
    return said.format_map(params) if params else said


class Said(str):
    """A sentence that is kept: in English as a value, in the language in use when it is printed or put into another.

    `==`, `len` and `join` see the English text; `str()`, `print` and an f-string say it.
    """

    __slots__ = ("many", "message", "number", "params")

    message: str
    many: str | None
    number: int
    params: Mapping[str, Any]

    def __new__(cls, message: str, params: Mapping[str, Any], many: str | None = None, number: int = 1) -> Said:
        template = message if many is None or number == 1 else many
        values = params
        for value in params.values():
            if isinstance(value, Said):
                values = {name: plain(value) for name, value in params.items()}
                break
        self = str.__new__(cls, template.format_map(values) if params else template)
        self.message, self.params, self.many, self.number = message, params, many, number
        return self

    def __str__(self) -> str:
        if current() == ENGLISH:
            return plain(self)
        if self.many is not None:
            return ntr(self.message, self.many, self.number, **self.params)
        return tr(self.message, **self.params)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return Said, (self.message, self.params, self.many, self.number)


def plain(value: Any) -> Any:
    """A kept sentence as the English text that it is to the code; anything else as it is."""
    return str.__str__(value) if isinstance(value, Said) else value


def said(message: str, /, **params: Any) -> Said:
    """A sentence that is kept: in a result, an error or a table."""
    return Said(message, params)


def nsaid(one: str, many: str, number: int, /, **params: Any) -> Said:
    """A kept sentence about `number` things."""
    return Said(one, params, many, number)


class _Clause(Said):
    """A kept sentence up to its first colon or semicolon."""

    __slots__ = ()

    def __new__(cls, sentence: Said) -> _Clause:
        self = str.__new__(cls, _cut(plain(sentence)))
        self.message, self.params, self.many, self.number = sentence.message, sentence.params, sentence.many, 1
        return self

    def __str__(self) -> str:
        return _cut(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        return _Clause, (Said(self.message, self.params, self.many, self.number),)


def first_clause(sentence: str) -> str:
    """A sentence without its advice, in every language."""
    return _Clause(sentence) if isinstance(sentence, Said) else _cut(sentence)


def _cut(sentence: str) -> str:
    return re.split("[:;] |[：；]", sentence)[0]


def listed(parts: Sequence[Any]) -> str:
    """`a`; `a and b`; `a, b and c`"""
    if len(parts) < 2:
        return parts[0] if parts else ""
    first = joined(parts[:-1])
    return said("{first} and {last}", first=first, last=parts[-1])


def joined(parts: Sequence[Any], between: str = ", ") -> str:
    """`between.join(parts)`, where all of them may be kept sentences: they go on speaking every language."""
    if not any(isinstance(part, Said) for part in (*parts, between)):
        return between.join(parts)
    names = [f"p{n}" for n in range(len(parts))]
    template = "{between}".join(f"{{{name}}}" for name in names)
    return Said(template, {"between": between, **dict(zip(names, parts, strict=True))})


def N_(message: str) -> str:
    """Marks a sentence for translation where it is written; it is translated where it is shown."""
    return message


def of_exercise(text: str, width: int | None = None) -> str:
    """A title, hint or statement of an exercise file in the language in use, each paragraph for itself.

    A paragraph that has no translation stays as it stands. With `width`, translated prose is broken into lines.
    """
    language = current()
    return text if language == ENGLISH or not text else "\n\n".join(_paragraphs(text, language, width))


def _paragraphs(text: str, language: str, width: int | None) -> Iterator[str]:
    from tutor.paragraphs import is_prose, message, paragraphs, wrapped

    catalogue = _catalogue(language, "exercises")
    for paragraph in paragraphs(text):
        said = catalogue.gettext(message(paragraph))
        if said == message(paragraph):
            yield paragraph
        else:
            yield wrapped(said, width) if width and is_prose(paragraph) else said


def of_exercise_as_data(text: str) -> str:
    """The same for programs: English whatever the environment says, unless a language was chosen."""
    return of_exercise(text) if _chosen.get() else text
