"""A CSV file of another system with some cells filled in, and every other byte as it was.

The text is cut into cells as they are written, quotation marks included, so that what is not touched is not written
anew: delimiter, byte order mark, line endings, quoting and the order of columns stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutor.errors import NotFoundError, ReadingError, UsageError, did_you_mean
from tutor.grading.exports.people import Unclear
from tutor.grading.model import LearnerGrade
from tutor.language import said, tr

MARK = "\ufeff"
DELIMITERS = ",;\t"


@dataclass
class Row:
    """The cells of a row as they are written, and what ends the row."""

    cells: list[str]
    end: str

    def value(self, column: int | None) -> str:
        """A cell's value; nothing where the row has no such cell."""
        if column is None or column >= len(self.cells):
            return ""
        written = self.cells[column]
        return written[1:-1].replace('""', '"') if written[:1] == '"' and len(written) > 1 else written

    def put(self, column: int, value: str, delimiter: str) -> None:
        """Write a value, in quotation marks where it needs them or its cell had them."""
        self.cells += [""] * (column + 1 - len(self.cells))
        if self.cells[column][:1] == '"' or re.search(rf'["\r\n{re.escape(delimiter)}]', value):
            value = '"' + value.replace('"', '""') + '"'
        self.cells[column] = value


@dataclass
class Table:
    """A file's rows; the first is its header."""

    rows: list[Row]
    delimiter: str
    mark: str = ""

    @property
    def header(self) -> list[str]:
        return [self.rows[0].value(n).strip() for n in range(len(self.rows[0].cells))]

    def column(self, *names: str) -> int | None:
        """The column that has one of these names."""
        header = [name.casefold() for name in self.header]
        return next((header.index(name.casefold()) for name in names if name.casefold() in header), None)

    def text(self) -> str:
        return self.mark + "".join(self.delimiter.join(row.cells) + row.end for row in self.rows)

    def data(self) -> bytes:
        return self.text().encode("utf-8")


@dataclass
class Filled:
    """A table that was filled in: for whom, and which rows and learners were left alone, and why."""

    table: Table
    written: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, who: str, why: str) -> None:
        self.left.append((who, why))


def read(path: Path) -> Table:
    """The table in a file, which is UTF-8 as Canvas and Moodle write it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFoundError(said("cannot open {path}: {reason}", path=path, reason=error.strerror or error)) from None
    try:
        return parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ReadingError(
            said("{path} is not UTF-8: give the file as it was exported, not saved by a spreadsheet", path=path), line
        ) from None


def parse(text: str) -> Table:
    mark = MARK if text.startswith(MARK) else ""
    text = text[len(mark) :]
    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    delimiter = max(DELIMITERS, key=first.count)
    rows = _rows(text, delimiter)
    if not rows:
        raise ReadingError(said("the file is empty: give it as it was exported"))
    return Table(rows, delimiter, mark)


def _rows(text: str, delimiter: str) -> list[Row]:
    """Cells are quoted or not; a quotation mark within an unquoted cell is a letter, as readers have it."""
    mark = re.escape(delimiter)
    cell = re.compile(rf'(?P<cell>"(?:[^"]|"")*"(?=[\r\n]|{mark}|\Z)|[^\r\n{mark}]*)(?P<end>{mark}|\r\n|\r|\n|\Z)')
    rows: list[Row] = []
    cells: list[str] = []
    place = 0
    while place < len(text):
        found = cell.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise ReadingError(said("a cell is not closed: give the file as it was exported"), line)
        cells.append(found["cell"])
        place = found.end()
        if found["end"] == delimiter:
            if place == len(text):
                rows.append(Row([*cells, ""], ""))
        else:
            rows.append(Row(cells, found["end"]))
            cells = []
    return rows


# -- columns, numbers ------------------------------------------------------------------------------------------------


def named(table: Table, wanted: str, matches: Sequence[int], option: str = "--column") -> int:
    """The one column that is meant; UsageError with all that there are."""
    if len(matches) == 1:
        return matches[0]
    there = "\n".join(f"    {name}" for name in table.header)
    if matches:
        which = ", ".join(table.header[n] for n in matches)
        raise UsageError(
            said("several columns may be meant by \"{wanted}\": {which}; name one with {option}. There are:\n{there}",
                 wanted=wanted, which=which, option=option, there=there)
        )  # fmt: skip
    raise UsageError(
        said('no column is called "{wanted}"{hint}; name one with {option}. There are:\n{there}',
             wanted=wanted, hint=did_you_mean(wanted, table.header), option=option, there=there)
    )  # fmt: skip


def as_number(cell: str) -> float | None:
    """`10.00` or `10,00`; None where it is no number."""
    try:
        return float(cell.strip().replace(",", ".")) if cell.strip() else None
    except ValueError:
        return None


def in_scale(points: float, ours: float, theirs: float | None, scaled: bool) -> float:
    """Points as the other system counts them. Another scale is taken only if that is wanted: it changes every grade."""
    if not theirs or not ours or abs(theirs - ours) < 1e-9:
        return points
    if not scaled:
        raise UsageError(
            said(
                "the column is out of {theirs} points, and the assignment of {ours}: change one, or convert with "
                "--scale",
                theirs=format(theirs, "g"), ours=format(ours, "g"),
            )
        )  # fmt: skip
    return points * theirs / ours


def written(points: float, like: str, digits: int = 5) -> str:
    """A number with a comma where the file's own have one."""
    text = format(round(points, digits) + 0.0, ".12g")
    return text.replace(".", ",") if "," in like else text


# -- rows ------------------------------------------------------------------------------------------------------------


def fill(
    table: Table,
    rows: Iterable[Row],
    known: Mapping[str, LearnerGrade],
    *,
    who: Callable[[Row], str],
    find: Callable[[Row], str | None],
    put: Callable[[Row, LearnerGrade], str],
    zeros: bool = False,
) -> Filled:
    """Put each learner's grade into the one row that is theirs.

    `who` names a row for people, `find` gives its learner, `put` writes a grade into it or says why it does not. A row
    that may be several learners', and a learner whom several rows claim, are left alone.
    """
    made = Filled(table)
    owners: dict[str, list[Row]] = {}
    doubted: set[str] = set()
    for row in rows:
        try:
            learner = find(row)
        except Unclear as unclear:
            made.leave(who(row), str(unclear))
            doubted |= unclear.learners
            continue
        if learner is None:
            made.leave(who(row), tr("nobody of that id or name was graded"))
        else:
            owners.setdefault(learner, []).append(row)
    for learner, own in owners.items():
        grade = known[learner]
        if len(own) > 1:
            why = tr("several rows are {learner}", learner=learner)
        else:
            why = _not_given(grade, zeros) or put(own[0], grade)
        if not why:
            made.written += 1
        for row in own if why else ():
            made.leave(who(row), why)
    for learner in sorted(known.keys() - owners.keys() - doubted):
        made.leave(known[learner].person or learner, tr("has no row here"))
    return made


def _not_given(grade: LearnerGrade, zeros: bool) -> str:
    if grade.points is None:
        return tr("not graded yet: a person has to look")
    return "" if grade.handed_in or zeros else tr("handed in nothing")
