"""The roster: who is in the class, and by which names each system knows them. A CSV file with a header.

    learner,name,email,canvas
    lee01,Ann Lee,ann@example.org,4711

The first column, or the one called learner or id, is the id; name, or first and last name, the person; every other
column is an alias. What Canvas, Moodle and Gradescope export is read as it is, see `SYSTEMS`.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.errors import NotFoundError, ReadingError, UsageError
from tutor.language import said

if TYPE_CHECKING:
    from tutor.grading.assignment import Assignment

MOST_BYTES = 200_000_000
MOST_CHARACTERS = 200  # of an id
MOST_WORDS = 10  # of a name, with which it may begin
DELIMITERS = ",;\t"

_IDS = ("learner", "id", "learner id", "student id")
_NAMES = ("name", "full name", "fullname", "learner name", "student name")
_FIRST = ("first name", "firstname", "given name")
_LAST = ("last name", "lastname", "surname", "family name")
_SAME = {"e-mail": "email", "email address": "email", "e-mail address": "email", "mail": "email"}

Row = tuple[int, list[str]]  # the line on which it begins, and its cells


def key(text: str) -> str:
    """What is compared: no spaces around, small letters, one way of writing an accent (a Mac's files have another)."""
    return unicodedata.normalize("NFC", " ".join(text.split())).casefold()


def turned(name: str) -> str:
    """`Lee, Ann` as `Ann Lee`"""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma else name


def squashed(name: str) -> str:
    """`Lee, Ann-Marie` as `leeannmarie`, which is how Canvas puts it into the name of a file."""
    return "".join(letter for letter in key(name) if letter.isalnum())


@dataclass(frozen=True)
class Roster:
    """Learners in the order of the file; `rows` are their further cells, under `headers`."""

    learners: Mapping[str, str]  # id -> person
    headers: tuple[str, ...] = ()
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> Roster:
        """The roster in a file; NotFoundError, or ReadingError with the line, where there is none."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotFoundError(
                said("cannot open the roster {path}: {reason}; give a CSV file of the class", path=path, reason=reason)
            ) from None
        if len(data) > MOST_BYTES:
            raise UsageError(said("{path} is too large for a roster: give a CSV file of the class", path=path))
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise RosterError(path, said("not text in UTF-8: save it as CSV UTF-8"), line) from None
        try:
            return cls.parse(text)
        except ReadingError as error:
            raise RosterError(path, error.message, error.line) from None

    @classmethod
    def parse(cls, text: str) -> Roster:
        """The roster that a text is; ReadingError with the line where it is none."""
        rows = _rows(text)
        line, cells = next(rows, (1, []))
        headers = _headers(line, cells)
        read = next((read for is_its, read in SYSTEMS if is_its(headers)), _plain)
        return cls._of(read(headers, rows))

    @classmethod
    def _of(cls, table: Table) -> Roster:
        learners: dict[str, str] = {}
        rows: dict[str, tuple[str, ...]] = {}
        lines: dict[str, int] = {}
        for line, learner, person, others in table.rows:
            _sound(line, learner)
            first = lines.setdefault(key(learner), line)
            if first != line:
                raise ReadingError(
                    said(
                        '"{learner}" is on line {first} as well: an id stands for one learner, in capitals or not',
                        learner=learner, first=first,
                    ),
                    line,
                )  # fmt: skip
            learners[learner], rows[learner] = person, others
        if not learners:
            raise ReadingError(said("no learner below the header: give each a line"), 2)
        return cls(learners, table.headers, rows)

    def aliases(self, learner: str) -> dict[str, str]:
        """What else the learner is called: `{"email": ..., "canvas": ...}`, without empty cells."""
        cells = self.rows.get(learner, ())
        return {header: cell for header, cell in zip(self.headers, cells, strict=False) if cell}

    def find(self, *identities: str) -> str | None:
        """The one learner whom all identities that are known mean; None where that is nobody, or not one.

        An id comes before any other cell. A column in which most cells are shared, as a section is, means nobody.
        """
        left: set[str] | None = None
        for identity in identities:
            found = self._meant(identity)
            if found:
                left = found if left is None else left & found
        return next(iter(left)) if left is not None and len(left) == 1 else None

    def find_id(self, identity: str) -> str | None:
        """The learner who has this as their id."""
        return self._ids.get(key(identity))

    def find_in(self, header: str, identity: str) -> str | None:
        """The one learner who has this in that column."""
        if header not in self._columns:
            cells = ((cells[n], learner) for n in self._at(header) for learner, cells in self.rows.items())
            self._columns[header] = _index(cells)
        return _one(self._columns[header].get(key(identity)))

    def find_squashed(self, name: str) -> str | None:
        """The one learner whose name is written `leeann` or `annlee`."""
        return _one(self._squashed.get(squashed(name)))

    def may_be(self, learner: str, name: str) -> bool:
        """Whether a name has a word of the learner's own in it; yes, where one of both is not known."""
        words = [word for word in re.split(r"[\W_]+", key(self.learners.get(learner, ""))) if len(word) > 1]
        given = squashed(name)
        return not words or not given or any(word in given for word in words)

    @cached_property
    def longest(self) -> int:
        """How many characters the longest id or alias has."""
        return max(len(text) for index in (self._ids, self._cells) for text in (*index, ""))

    def _meant(self, identity: str) -> set[str]:
        wanted = key(identity)
        found = self._ids.get(wanted) or self._cells.get(wanted, set())
        return {found} if isinstance(found, str) else found

    def _at(self, header: str) -> list[int]:
        return [n for n, each in enumerate(self.headers) if each == header]

    @cached_property
    def _ids(self) -> dict[str, str]:
        return {key(learner): learner for learner in self.learners}

    @cached_property
    def _cells(self) -> Index:
        """Learners by name, and by every cell of the columns that tell learners apart."""
        columns = [n for n in range(len(self.headers)) if self._tells_apart(n)]
        cells = ((cells[n], learner) for n in columns for learner, cells in self.rows.items())
        return _index(chain(((person, learner) for learner, person in self.learners.items()), cells))

    def _tells_apart(self, n: int) -> bool:
        filled = [cells[n] for cells in self.rows.values() if cells[n]]
        return 2 * len(set(filled)) > len(filled)

    @cached_property
    def _columns(self) -> dict[str, Index]:
        return {}

    @cached_property
    def _squashed(self) -> Index:
        """Learners by `annmarielee`, `marieleeann`, `leeannmarie`: a name may begin with any of its words."""

        def turned(person: str) -> Iterator[str]:
            words = re.split(r"[\s,]+", person.strip())
            return (squashed("".join(words[n:] + words[:n])) for n in range(min(len(words), MOST_WORDS)))

        return _index((name, learner) for learner, person in self.learners.items() for name in turned(person))


Index = dict[str, "str | set[str]"]  # a learner, or several


def _index(cells: Iterable[tuple[str, str]]) -> Index:
    made: Index = {}
    for cell, learner in cells:
        wanted = key(cell)
        found = made.setdefault(wanted, learner) if wanted else learner
        if found != learner:
            made[wanted] = {found, learner} if isinstance(found, str) else found | {learner}
    return made


def _one(found: str | set[str] | None) -> str | None:
    return found if isinstance(found, str) else None


class RosterError(ReadingError):
    """The file is no roster: where, and why."""

    def __init__(self, path: Path, message: str, line: int):
        super().__init__(message, line)
        self.path = path

    @property
    def says(self) -> str:
        return said("{path}, line {line}: {message}", path=self.path, line=self.line, message=self.message)


def _sound(line: int, learner: str) -> None:
    if not learner:
        raise ReadingError(said("a learner without an id: fill the first column, or leave the line out"), line)
    if len(learner) > MOST_CHARACTERS:
        raise ReadingError(said("an id of more than {most} characters: shorten it", most=MOST_CHARACTERS), line)
    if not learner.isprintable():
        raise ReadingError(said("an id with an invisible character: delete it"), line)


# -- rows --------------------------------------------------------------------------------------------------------


def _rows(text: str) -> Iterator[Row]:
    """Rows that are not empty, each with the line on which it begins; cells are trimmed."""
    skipped = 0
    if re.match(r"sep=[,;\t]\r?\n", text):  # Excel's own first line
        text, skipped = text.partition("\n")[2], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1 + skipped
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1 + skipped
    except csv.Error as error:
        raise ReadingError(said("no valid CSV: {reason}; save it anew", reason=str(error)), line) from None


def _delimiter(text: str) -> str:
    """The one under which the header has the most columns: a comma where none has more."""

    def columns(delimiter: str) -> int:
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            return len(next((row for row in rows if any(cell.strip() for cell in row)), []))
        except csv.Error:
            return 0

    return max(DELIMITERS, key=columns)


def _headers(line: int, cells: list[str]) -> list[str]:
    """The columns' names in small letters; empty ones at the end do not count."""
    while cells and not cells[-1]:
        cells.pop()
    if not cells:
        raise ReadingError(said("no header: the first line has to name the columns, as in learner,name,email"), line)
    for number, cell in enumerate(cells, 1):
        if not cell:
            raise ReadingError(said("column {number} has no name: give it one", number=number), line)
        if "@" in cell or (number == 1 and re.fullmatch(r"\d+", cell)):
            raise ReadingError(
                said("this is no header but a learner: begin with a line such as learner,name,email"), line
            )
    return [_SAME.get(name, name) for name in (re.sub(r"[\s_]+", " ", key(cell)) for cell in cells)]


# -- tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """What a file says, whichever system wrote it: (line, id, person, further cells)."""

    headers: tuple[str, ...]
    rows: Iterable[tuple[int, str, str, tuple[str, ...]]]


def _plain(headers: list[str], rows: Iterator[Row]) -> Table:
    twice = next((name for name in headers if headers.count(name) > 1), None)
    if twice is not None:
        raise ReadingError(said('two columns are called "{name}": name one of them otherwise', name=twice))
    at = _only(headers, _IDS, said("the id"))
    if at is None:
        at = 0
        if headers[0] in (*_FIRST, *_LAST):
            raise ReadingError(said("no column is an id: add one, and call it learner"))
    person = _only(headers, _NAMES, said("the person's name"))
    halves = [n for names in (_FIRST, _LAST) for n, name in enumerate(headers) if name in names]
    people = [person] if person is not None else halves
    others = [n for n in range(len(headers)) if n != at and n not in people]

    def made() -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
        for line, cells in rows:
            row = _fitted(line, cells, len(headers))
            yield line, row[at], " ".join(filter(None, (row[n] for n in people))), tuple(row[n] for n in others)

    return Table(tuple(headers[n] for n in others), made())


def _only(headers: list[str], names: tuple[str, ...], what: str) -> int | None:
    """Where the one column with such a name is."""
    found = [n for n, name in enumerate(headers) if name in names]
    if len(found) > 1:
        raise ReadingError(
            said(
                '"{first}" and "{second}" could both be {what}: name one of them otherwise',
                first=headers[found[0]], second=headers[found[1]], what=what,
            )
        )  # fmt: skip
    return found[0] if found else None


def _fitted(line: int, cells: list[str], width: int) -> list[str]:
    if any(cells[width:]):
        raise ReadingError(
            said(
                "{count} cells where the header names {width}: quote a cell that has a separator in it",
                count=len(cells), width=width,
            ),
            line,
        )  # fmt: skip
    return cells[:width] + [""] * (width - len(cells))


def _chosen(headers: list[str], rows: Iterator[Row], names: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """The cells of these columns, empty where there is no such column; an export has many more."""
    at = [headers.index(name) if name in headers else None for name in names]
    for line, cells in rows:
        yield line, [cells[n] if n is not None and n < len(cells) else "" for n in at]


def _canvas(headers: list[str], rows: Iterator[Row]) -> Table:
    """Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (123),...; then `Points Possible`, and perhaps more.

    https://nemogb-dev.github.io/nemogb-r/articles/detailed-canvas-export-info.html: the ID is Canvas's own, on which
    all else hangs. Rows without one are Canvas's; Student, Test is what a teacher sees the course as.
    """

    def made() -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
        wanted = ("student", "id", "sis user id", "sis login id", "section")
        for line, (student, number, sis, login, section) in _chosen(headers, rows, wanted):
            if number and not (student == "Student, Test" and not sis):
                yield line, number, turned(student), (number, sis, login, section)

    return Table(("canvas", "sis", "login", "section"), made())


def _moodle(headers: list[str], rows: Iterator[Row]) -> Table:
    """Identifier,Full name,Email address,Status,Grade,...: the grading worksheet of one assignment.

    `Participant 12345` has the number that Moodle puts into the names of what it exports: both are
    `get_uniqueid_for_user`, in mod/assign/classes/downloader.php and mod/assign/gradingtable.php of moodle/moodle.
    """

    def made() -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
        wanted = ("identifier", "full name", "email", "id number", "username")
        for line, (participant, person, email, sid, login) in _chosen(headers, rows, wanted):
            number = re.fullmatch(r"\D*(\d+)", participant)
            learner = number[1] if number else participant
            yield line, learner, person, (learner, participant, email, sid, login)

    return Table(("moodle", "identifier", "email", "sid", "login"), made())


def _gradescope(headers: list[str], rows: Iterator[Row]) -> Table:
    """First Name,Last Name,SID,Email,Role,Section: staff are left out; who has no SID goes by email.

    https://guides.gradescope.com/hc/en-us/articles/21926598776333: names in one column or in two, roles Student,
    Instructor, TA and Reader.
    """

    def made() -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
        wanted = ("first name", "last name", "name", "sid", "email", "role", "section")
        for line, (first, last, name, sid, email, role, section) in _chosen(headers, rows, wanted):
            if key(role) in ("", "student"):
                yield line, sid or email, name or " ".join(filter(None, (first, last))), (sid, email, section)

    return Table(("sid", "email", "section"), made())


# how an export is known by its header, and read
SYSTEMS: tuple[tuple[Callable[[list[str]], bool], Callable[[list[str], Iterator[Row]], Table]], ...] = (
    (lambda headers: headers[:2] == ["student", "id"], _canvas),
    (lambda headers: headers[0] == "identifier" and "grade can be changed" in headers, _moodle),
    (lambda headers: {"sid", "email"} <= set(headers) and not set(_IDS) & set(headers), _gradescope),
)


def roster_of(assignment: Assignment) -> Roster | None:
    """The roster that an assignment names, a file beside it."""
    return None if assignment.roster is None else Roster.read(assignment.path.parent / assignment.roster)


def people_of(assignment: Assignment) -> Mapping[str, str] | None:
    """Everybody on the assignment's roster, id -> name, in the order of the file; None where there is no roster."""
    roster = roster_of(assignment)
    return None if roster is None else roster.learners
