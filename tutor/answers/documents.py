"""Files that are sheets: Python, LaTeX, Markdown, notebooks. Code and displayed mathematics count, in their order.

A notebook is read as data and never run. Its lines are numbered through all cells while it is judged; `Sheet.cells`
says where each cell begins.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.answers import language as lang
from tutor.answers import python
from tutor.answers.file_names import FileNames, names_in
from tutor.answers.headers import ANYWHERE, key_of
from tutor.answers.latex_regions import (
    Stretch,
    defined,
    goes_on_with_a_case,
    in_prose,
    introduces,
    is_latex,
    listings,
    named_with,
    of_a_case,
    of_a_definition,
    regions,
    says_zero,
    stretches,
)
from tutor.errors import NotFoundError, ReadingError
from tutor.language import first_clause, said

if TYPE_CHECKING:
    from tutor.answers.latex import Reader
    from tutor.exercise import Exercise

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Windows calls Unicode
MAX_NOTEBOOK = 8_000_000  # bytes of a notebook, with its outputs
MAX_CELLS = 2_000
MAX_PARTS = 50  # each is judged for itself, with an exercise that is derived anew if it is another
MAX_INLINE = 100  # formulas in prose that are looked at
MAX_CASES = 1_000  # formulas whose sentence is asked whether it speaks of a case
MAX_BARE = 5  # notes on lines of code that stand in prose

SUFFIXES = {".md": "markdown", ".markdown": "markdown", ".ipynb": "notebook", ".tex": "latex", ".py": "python"}
_PYTHON = ("", "py", "python", "python3", "torch", "pytorch", "numpy")
_LATEX = ("latex", "tex", "math", "katex")
_FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?P<language>[\w+-]*)[^`\n]*$")
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_LIST = re.compile(r"(?:[-*+]|\d{1,9}[.)]|:|\[\^[^\]]*\]:|!!!|\?\?\?)(?=\s|$|\+)")  # what goes on further to the right
_GIVES = re.compile(r"^[ \t]*[^\W\d][\w.]*[ \t]*(?:\[[^\]\n]*\][ \t]*)?(?:\*\*|//|[-+*/@])?=(?!=)", re.MULTILINE)
_BARE = re.compile(
    r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?`{0,2}(?P<name>[^\W\d][\w.]*)[ \t]*(?:\[[^\]\n]*\])?[ \t]*[-+*/@]?=(?!=)"
)
_FORMULA = re.compile(r"\$|\\[A-Za-z\[(]")
_DOLLARED = re.compile(r"\$`([^`\n]+)`\$")  # GitHub's way of writing mathematics in a sentence
_STRIKE = re.compile(r"(?<![~\\])~~(?!~)|<(?P<end>/?)(?P<tag>del|s|strike)(?:\s[^<>\n]*)?>", re.IGNORECASE)
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^\n]*?(?<!`)\1(?!`)")
WHERE = {
    "markdown": said("code is read between ``` and ```, mathematics between $$ and $$"),
    "latex": said(r"mathematics is read between \[ and \], code in lstlisting, minted and verbatim"),
}
_GRADIENT = re.compile(r"[^=]*(?:\\partial|\\nabla|(?<![A-Za-z])(?:d|grad))[^=]*=")  # what stands left of the first =
_DELTA = re.compile(r"\s*\\delta(?![A-Za-z])")  # begins with a d as well, and is a name that people give
CASE = said("it holds in one case only: say it for all in one formula, with cases or \\mathbb{1}[...]")
_SHELL = re.compile(r"\s*(?:[%!]|\?{1,2}\w|[\w.]+\?{1,2}\s*$)")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_DERIVE = re.compile(r"\s*%%derive\b[ \t]*(?P<id>[^\s-]\S*)?[^\n]*")  # tutor/notebook.py


def read(sheet: str | Path) -> str:
    """The text of a file, or of stdin for `-`; no more of it is read than can be a sheet."""
    limit = most(kind_of(sheet))
    try:
        if sheet == "-":
            source = sys.stdin.buffer.read(limit)
        else:
            with Path(sheet).open("rb") as file:
                source = file.read(limit)
    except FileNotFoundError:
        raise NotFoundError(
            said("no sheet {sheet}: 'tutor start ID' makes one, and - reads from stdin", sheet=sheet)
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotFoundError(
            said("cannot open {sheet}: {reason}; give the path of a sheet, or - for stdin", sheet=sheet, reason=reason)
        ) from None
    return decoded(source, sheet)


@dataclass(frozen=True)
class Row:
    """A line of a file as it stands there; `cell` is the notebook's in which it counts."""

    number: int
    text: str
    cell: int | None = None


def rows(text: str, kind: str | None = None) -> list[list[Row]]:
    """The lines of a file, a list for each part that an `exercise:` header begins; a notebook's are of its cells."""
    made: list[list[Row]] = [[]]
    named = False
    for row in _rows(text, kind or kind_of_text(text)):
        header = ANYWHERE.match(row.text)
        if header and key_of(header) == "exercise":
            if named:
                made.append([])
            named = True
        made[-1].append(row)
    return made


def _rows(text: str, kind: str) -> Iterator[Row]:
    cells = [(None, text)] if kind != "notebook" else [(n, source) for n, (_, source) in enumerate(_cells(text), 1)]
    for cell, source in cells:
        plain = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
        yield from (Row(number, line, cell) for number, line in enumerate(plain.split("\n"), 1))


def kind_of(name: str | Path) -> str | None:
    """How a file of that name is written; None where its text has to say."""
    return SUFFIXES.get(Path(name).suffix.lower())


def most(kind: str | None) -> int:
    """How many bytes of a file can be a sheet, and one more."""
    return (MAX_NOTEBOOK if kind == "notebook" else 4 * python.MAX_LENGTH) + 1


def decoded(source: bytes, sheet: str | Path) -> str:
    """The text that a file holds, in UTF-8 or with the mark of UTF-16; ReadingError where it is none."""
    try:
        return source.decode("utf-16" if source[:2] in UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        raise ReadingError(said("{sheet} is not text in UTF-8: save it as UTF-8", sheet=sheet), line, column) from None


def kind_of_text(text: str) -> str:
    """A notebook's JSON, Markdown if it has a fence, LaTeX if it evidently is, else Python."""
    if text.lstrip()[:1] == "{" and '"cells"' in text:
        return "notebook"
    if re.search(r"^[ \t>]*(```|~~~)", text, re.MULTILINE):
        return "markdown"
    return "latex" if is_latex(text) else "python"


def parts(text: str, kind: str | None = None) -> list[Part]:
    """What a file says about each exercise: one part, unless several headers divide it."""
    found = _parts(text, kind or kind_of_text(text))
    if len(found) > MAX_PARTS:
        raise ReadingError(
            said("more than {most} lines with '# exercise:': divide the file", most=MAX_PARTS), found[MAX_PARTS].line
        )
    return found


def _parts(text: str, kind: str) -> list[Part]:
    if kind == "python":
        return [Part(sheet.exercise, read_already=sheet, line=sheet.exercise_line) for sheet in python.read(text)]
    if kind == "notebook":
        return _notebook(text)
    if len(text) > python.MAX_LENGTH:
        raise ReadingError(
            said(
                "the text has {count} characters; at most {most} are read: divide it",
                count=len(text),
                most=python.MAX_LENGTH,
            )
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = _markdown(text, 0) if kind == "markdown" else _latex(text)
    return _divided(found, kind=kind)


@dataclass(frozen=True)
class Block:
    """Code or mathematics: whole lines for Python, positions in the text for LaTeX; a header is a block of its own."""

    kind: str  # python, latex, inline (a formula in prose), header, passed, struck (out), bare (code in prose)
    text: str
    line: int  # lines of the file before the text
    start: int = 0
    stop: int = 0
    cell: int | None = None
    case: bool = False  # the sentence in front says that the formula holds in one case only


@dataclass
class Part:
    """What a file says about one exercise. LaTeX needs the exercise's names, so it is read when these are known."""

    exercise: str | None
    blocks: list[Block] = field(default_factory=list)
    cells: list[tuple[int, int]] = field(default_factory=list)
    read_already: lang.Sheet | None = None
    line: int = 0  # where the exercise is named
    kind: str = "notebook"  # or markdown, latex
    names: FileNames = field(default_factory=FileNames)  # what names stand for in the whole file

    @property
    def header(self) -> lang.Unreadable | None:
        """The first header line that cannot be read."""
        if self.read_already is not None:
            statements = self.read_already.statements
        else:
            statements = [
                s for block in self.blocks if block.kind == "header" for s in _lines(block, FileNames()).statements
            ]
        return next((s for s in statements if isinstance(s, lang.Unreadable) and s.text.startswith("#")), None)

    def sheet(self, exercise: Exercise) -> lang.Sheet:
        """The statements of all blocks, in their order."""
        if self.read_already is not None:
            return self.read_already
        return _Assembly(exercise, self).sheet()

    def going_on(self, other: Part) -> Part:
        """This part, and another of the same file that goes on with the same exercise."""
        one, two = self.read_already, other.read_already
        if one is None or two is None:
            return replace(self, blocks=[*self.blocks, *other.blocks])
        joined = replace(
            one,
            statements=[*one.statements, *two.statements],
            notes=[*one.notes, *two.notes],
            sizes={**two.sizes, **one.sizes},
        )
        return replace(self, read_already=joined)


class _Assembly:
    """Blocks in two languages become one sheet; names given in one are known in the next."""

    def __init__(self, exercise: Exercise, part: Part):
        self.exercise, self.part = exercise, part
        self.made = lang.Sheet(exercise=part.exercise, cells=part.cells, file_names=part.names)
        self.latex: Reader | None = None
        self.given: list[lang.Statement] = []
        self.inline: dict[int, Block] = {}  # id of a statement -> its place in prose
        self.definitions: dict[int, Block] = {}  # the same, of names for formulas
        self.in_front: set[int] = set()  # ids of blocks that are looked at in front of a display first
        self.bare: list[tuple[str, Block]] = []  # a gradient, and where prose gives it
        self.looked = 0

    def sheet(self) -> lang.Sheet:
        for cell, blocks in groupby(self._definitions_first(), key=lambda block: block.cell):
            statements = [statement for block in blocks for statement in self._statements(block)]
            self.made.statements += statements if cell is None else self._of_interest(statements)
            if len(self.made.statements) > python.MAX_LINES:
                last = self.made.statements[python.MAX_LINES]
                raise ReadingError(said("more than {most} lines: divide the sheet", most=python.MAX_LINES), last.line)
        self._drop_rules()
        self._drop_remarks()
        self._say_what_is_read()
        if self.part.blocks:
            self.made.line = self.part.blocks[0].line + 1
        return self.made

    def _definitions_first(self) -> list[Block]:
        """`where $g = p - y$` behind a display, in front of it as well: there its name is read."""
        made: list[Block] = []
        display, introduced = -1, None  # where the last display stands, and the last formula that is said of it
        for block in self.part.blocks:
            formula = block.text[block.start : block.stop] if block.kind == "inline" else ""
            if block.kind == "latex":
                display, introduced = len(made), None
            elif formula and display >= 0 and made[display].text is block.text:
                beside = introduces(block.text, made[display].stop, block.start)
                beside = beside or (introduced is not None and named_with(block.text, block.start) == introduced.start)
                own = defined(formula) and (_DELTA.match(formula) or not _GRADIENT.match(formula))
                introduced = block if beside and own else None
                if introduced is not None and not block.case:
                    self.in_front.add(id(block))
                    made.insert(display, block)
                    display += 1
            else:
                introduced = None
            made.append(block)
        return made

    def _statements(self, block: Block) -> list[lang.Statement]:
        if block.kind == "latex":
            return self._mathematics(block)
        if block.kind == "inline":
            return self._in_prose(block)
        if block.kind == "bare":
            self._in_bare_words(block)
            return []
        if block.kind == "struck":
            formula = _clean(" ".join(block.text[block.start : block.stop].split()))[:60]
            self.made.notes.append(
                said("line {line}: passed over: {formula} (struck out)", line=_line_of(block), formula=formula)
            )
            return []
        if block.kind == "passed":
            self.made.notes.append(
                said("line {line}: passed over: {text}", line=block.line + 1, text=_clean(block.text)[:60])
            )
            return []
        read = _lines(block, self.part.names)
        self.made.notes += read.notes
        twice = self._given_twice(read)
        self.made.sizes = {**read.sizes, **self.made.sizes}
        self.made.sizes_line = self.made.sizes_line or read.sizes_line
        if self.latex is not None:
            self.latex.given(read.statements)
        else:
            self.given += read.statements
        return [*twice, *read.statements]

    def _in_bare_words(self, block: Block) -> None:
        """`dz = p - y` in Markdown's prose is no answer, since prose is none; a gradient is worth a note."""
        found = _BARE.match(block.text)
        name = lang.gradient_name(found["name"]) if found else ""
        if self._is_judged(name):
            self.bare.append((name, block))

    def _say_what_is_read(self) -> None:
        """A note on what is no answer as it is written: a file that holds nothing else says nothing by itself."""
        given = {name for statement in self.made.statements for name in _names_given(statement)}
        missed = [block for name, block in self.bare if name not in given]
        for block in missed[:MAX_BARE]:
            line, text = block.line + 1, _clean(block.text)[:60]
            where = WHERE["markdown"]
            self.made.notes.append(
                said("line {line}: passed over: {text} ({where})", line=line, text=text, where=where)
            )
        if not self.made.statements and not missed and self.part.kind in WHERE:
            self.made.notes.append(said("nothing here is read as an answer: {where}", where=WHERE[self.part.kind]))

    def _given_twice(self, read: lang.Sheet) -> list[lang.Statement]:
        """Sizes that an earlier block gave otherwise."""
        line, known = read.sizes_line, self.made.sizes
        text = f"# sizes: {', '.join(f'{name}={size}' for name, size in read.sizes.items())}"
        return [
            lang.Unreadable(line, 1, text, 1, python.given_twice(name, known[name], size))
            for name, size in read.sizes.items()
            if known.get(name, size) != size
        ]

    def _reader(self) -> Reader:
        from tutor.answers.latex import Reader

        if self.latex is None:
            self.latex = Reader(self.exercise)
            self.latex.given(self.given)
            self.latex.names.in_sentences = self._in_sentences()
            for block in self.part.blocks:
                if block.kind in ("latex", "inline"):
                    self.latex.look_ahead(block.text, block.start, block.stop)
        return self.latex

    def _in_sentences(self) -> dict[str, int]:
        """Names that formulas in sentences define, and their lines; the first counts."""
        made: dict[str, int] = {}
        for block in self.part.blocks:
            if block.kind == "inline" and (name := defined(block.text[block.start : block.stop])):
                made.setdefault(name, _line_of(block))
        return made

    def _mathematics(self, block: Block) -> list[lang.Statement]:
        names = self._reader().names
        given = set(names.given)
        demands = says_zero(block.text, block.start)
        statements = self._reader().region(block.text, block.start, block.stop, block.line, demands)
        self.made.notes += self._reader().notes()
        if block.case:
            statements = [self._in_one_case(s, block) for s in statements]
            names.given -= names.locals - given
        return statements

    def _in_one_case(self, statement: lang.Statement, block: Block) -> lang.Statement:
        """A derivative in one case is no answer; it is a remark where another line gives it for all.

        A local one need not be given at all: it is a remark also where no line reads it.
        """
        name = next(iter(_names_given(statement)), "")
        local = name in self._reader().names.locals
        if not isinstance(statement, lang.Assign) or (self.exercise.differentiated(name) is None and not local):
            return statement
        text, start = statement.text, statement.start
        refused = lang.Unreadable(statement.line, statement.column, text, start, CASE, name)
        self.inline[id(refused)] = block
        return refused

    def _in_prose(self, block: Block) -> list[lang.Statement]:
        """A gradient that is given in a sentence; what else a sentence says is no answer, and spoils none."""
        formula = block.text[block.start : block.stop]
        if self.looked >= MAX_INLINE:
            return []
        definition = self._definition(block, formula)
        if definition or not _GRADIENT.match(formula):
            return definition
        self.looked += 1
        if block.case:
            self._remark(block, CASE)
            return []
        made = self._reader().inline(block.text, block.start, block.stop, block.line)
        if isinstance(made, str):
            self._remark(block, made)
            return []
        self.made.notes += self._reader().notes()
        return self._of_a_sentence(made, block)

    def _definition(self, block: Block, formula: str) -> list[lang.Statement]:
        """`Let $r = x - y$` is a line where a later one reads r."""
        if block.case or not defined(formula) or not of_a_definition(block.text, block.start):
            return []
        self.looked += 1
        new = id(block) in self.in_front  # what the exercise calls so is its own in a formula that came before
        self.in_front.discard(id(block))
        made = self._reader().definition(block.text, block.start, block.stop, block.line, new)
        self.made.notes += self._reader().notes()
        return self._of_a_sentence(made, block)

    def _of_a_sentence(self, made: list[lang.Statement], block: Block) -> list[lang.Statement]:
        """A name that nobody reads later is dropped, a gradient only where a line of its own gives it."""
        for statement in made:
            names = list(_names_given(statement))
            judged = any(self.exercise.differentiated(name) for name in names)
            (self.inline if judged or not names else self.definitions)[id(statement)] = block
        return made

    def _remark(self, block: Block, reason: str) -> None:
        line = _line_of(block)
        formula = _clean(" ".join(block.text[block.start : block.stop].split()))[:60]
        self.made.notes.append(
            said(
                "line {line}: passed over: {formula} (in a sentence; {reason})",
                line=line,
                formula=formula,
                reason=first_clause(reason),
            )
        )

    def _drop_rules(self) -> None:
        """The chain rule, stated before its parts have values, is no answer where a later line works it out."""
        rules = {id(rule): missing for rule, missing in self.latex.rules} if self.latex is not None else {}
        statements = self.made.statements
        dropped: set[int] = set()
        for n, statement in enumerate(statements) if rules else ():
            names = set(_names_given(statement)) if id(statement) in rules else set()
            later = [
                other for other in statements[n + 1 :] if id(other) not in rules and isinstance(other, lang.Assign)
            ]
            if any(names & set(_names_given(other)) for other in later):
                dropped.add(id(statement))
                reason = said("{missing} has no line of its own before", missing=rules[id(statement)])
                self.made.notes.append(
                    said(
                        "line {line}: passed over, since a later line works it out: {reason}",
                        line=statement.line,
                        reason=reason,
                    )
                )
        self.made.statements = [statement for statement in statements if id(statement) not in dropped]

    def _drop_remarks(self) -> None:
        """A formula in a sentence is a remark where a line of its own gives the same gradient, and none hangs on it."""
        statements = self.made.statements
        dropped: list[lang.Statement] = []
        owned = [set() if id(s) in self.inline else set(_names_given(s)) for s in statements]
        for n, statement in enumerate(statements) if self.inline else ():
            if id(statement) not in self.inline:
                continue
            names = set(_names_given(statement))
            own = [m for m, given in enumerate(owned) if names & given]
            unread = not any(names & set(_names_read(other)) for other in statements)
            if isinstance(statement, lang.Unreadable) and (own or (unread and self._is_local(names))):  # one case
                dropped.append(statement)
                self._remark(self.inline[id(statement)], CASE)
                continue
            between = statements[n + 1 : own[0]] if own else ()
            if own and (own[0] < n or not any(names & set(_names_read(other)) for other in between)):
                dropped.append(statement)
                self._remark(self.inline[id(statement)], said("a line of its own gives it"))
        for n, statement in enumerate(statements) if self.definitions else ():
            names = set(_names_given(statement))
            if id(statement) in self.definitions and not any(names & set(_names_read(s)) for s in statements[n + 1 :]):
                dropped.append(statement)
        if dropped:
            self.made.statements = [s for s in statements if not any(s is other for other in dropped)]

    def _is_local(self, names: set[str]) -> bool:
        return self.latex is not None and bool(names & self.latex.names.locals)

    def _of_interest(self, statements: list[lang.Statement]) -> list[lang.Statement]:
        """In a notebook, cells that give nothing that is judged may hold other code: plots, training."""
        if any(self._is_judged(name) for statement in statements for name in _names_given(statement)):
            return statements
        for statement in statements:
            if isinstance(statement, lang.Unreadable):
                self.made.notes.append(
                    said("line {line}: passed over: {text}", line=statement.line, text=statement.text[:60])
                )
        return [s for s in statements if not isinstance(s, (lang.Unreadable, lang.If))]

    def _is_judged(self, name: str) -> bool:
        quantity = self.exercise.quantities.get(name)
        known = quantity is not None and quantity.kind == "value"
        return known or self.exercise.differentiated(name) is not None or name.startswith(("dL_d", "grad_"))


def _line_of(block: Block) -> int:
    return block.line + block.text.count("\n", 0, block.start) + 1


def _names_given(statement: lang.Statement) -> Iterator[str]:
    """Names that a statement, or one inside it, gives a value or would have; `dW` for `W.grad`."""
    for inner in lang.flat([statement]):
        if isinstance(inner, lang.Unreadable):
            yield lang.gradient_name(inner.target or "")
            yield from (lang.gradient_name(each.name) for each in inner.touched)
        yield from (name for target in lang.targets(inner) if (name := lang.variable(lang.root(target))))


def _names_read(statement: lang.Statement) -> Iterator[str]:
    """Names on the right side of a statement, or of one inside it."""
    for inner in lang.flat([statement]):
        if isinstance(inner, (lang.Assign, lang.Update)):
            yield from (name for node in lang.walk(inner.value) if (name := lang.variable(node)))


def _lines(block: Block, names: FileNames) -> lang.Sheet:
    return python.read_lines(block.text.split("\n"), block.line, names)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.strip())


# -- headers divide -------------------------------------------------------------------------------------


def _divided(blocks: list[Block], cells: list[tuple[int, int]] | None = None, kind: str = "notebook") -> list[Part]:
    """Parts that begin at `exercise:` headers; what stands before the first belongs to it."""
    names = names_in("\n".join(block.text for block in blocks if block.kind == "python"))
    made = [Part(None, cells=cells or [], kind=kind, names=names)]
    for block in blocks:
        header = ANYWHERE.match(block.text) if block.kind == "header" else None
        if header and key_of(header) == "exercise":
            named = _lines(block, names).exercise
            if made[-1].exercise is not None or made[-1].header is not None:
                made.append(Part(named, cells=cells or [], kind=kind, names=names))
            made[-1].exercise, made[-1].line = named, block.line + 1
        made[-1].blocks.append(block)
    return made


def _with_headers(block: Block) -> Iterator[Block]:
    """A block of Python, with its header lines as blocks of their own."""
    lines = block.text.split("\n")
    begun = 0
    for n, line in enumerate(lines):
        header = ANYWHERE.match(line)
        if header or _SHELL.match(line):
            if any(text.strip() for text in lines[begun:n]):
                yield Block("python", "\n".join(lines[begun:n]), block.line + begun, cell=block.cell)
            shell = Block("passed", line, block.line + n, cell=block.cell)
            yield _header(header, block.line + n, block.cell) if header else shell
            begun = n + 1
    if any(text.strip() for text in lines[begun:]):
        yield Block("python", "\n".join(lines[begun:]), block.line + begun, cell=block.cell)


def _header(found: re.Match[str], line: int, cell: int | None = None) -> Block:
    return Block("header", f"# {found['key']}: {found['value']}", line, cell=cell)


# -- LaTeX and Markdown -------------------------------------------------------------------------------------


def _latex(text: str) -> list[Block]:
    """Headers in comments, displayed mathematics, and listings of code."""
    found = [
        Block(kind, text, 0, start, stop, case=n < MAX_CASES and of_a_case(text, start))
        for kind, places in (("latex", regions(text)), ("inline", in_prose(text)))
        for n, (start, stop) in enumerate(places)
    ]
    found = _with_what_follows(found)
    code = list(listings(text))
    listed = _covered(text, [(start, stop) for start, stop, _ in code])
    placed = [(at, block) for at, block in _headers(text) if not listed[at]]
    for start, stop, language in code:
        if language in _PYTHON and (language or _GIVES.search(text[start:stop])):  # what a program printed is no code
            placed += [(start, block) for block in _with_headers(_code(text, 0, start, stop))]
    return _in_order(text, found, placed)


def _with_what_follows(blocks: list[Block]) -> list[Block]:
    """What follows from a formula that holds in one case, up to the next case, holds in it alone as well."""
    made: list[Block] = []
    before: Block | None = None  # the last display
    for block in blocks:
        if block.kind == "latex":
            if before is not None and before.case and not block.case:
                case = goes_on_with_a_case(block.text, before.stop, block.start, block.stop)
                block = replace(block, case=case)
            before = block
        made.append(block)
    return made


def _code(text: str, line: int, start: int, stop: int, cell: int | None = None) -> Block:
    """A stretch of a text as Python; blanks stand for what is left of it on its first line, so that columns stay."""
    begun = text.rfind("\n", 0, start) + 1
    return Block("python", " " * (start - begun) + text[start:stop], line + text.count("\n", 0, start), cell=cell)


def _headers(text: str, line: int = 0) -> list[tuple[int, Block]]:
    """(position, header) of every header line."""
    made, at = [], 0
    for n, row in enumerate(text.split("\n")):
        header = ANYWHERE.match(row)
        if header:
            made.append((at, _header(header, line + n)))
        at += len(row) + 1
    return made


def _in_order(text: str, blocks: list[Block], others: list[tuple[int, Block]]) -> list[Block]:
    """Mathematics, and headers and code, by position; mathematics is cut where a header stands inside it."""
    placed = list(others)
    headers = [at for at, other in others if other.kind == "header"]
    for block in blocks:
        start = block.start
        for at in headers:
            if start <= at < block.stop:
                placed.append((start, replace(block, start=start, stop=at)))
                end = text.find("\n", at)
                start = block.stop if end < 0 else min(end, block.stop)
        placed.append((start, replace(block, start=start)))
    return [block for _, block in sorted(placed, key=lambda each: each[0])]


def _markdown(text: str, line: int, cell: int | None = None) -> list[Block]:
    """Code and mathematics in order; other fences, code spans and comments are prose; what is struck out is noted."""
    text, margins = _unquoted(text)
    fences = list(_fences(text))
    text = _without_backticks(text, fences)
    apart = [(begun, ended) for begun, ended, *_ in fences]
    apart += _comments(text)
    spans = [found.span() for found in _SPAN.finditer(text)]
    code = list(_indented(text, margins, [*apart, *spans]))
    outside = _blanked(text, [*apart, *code, *spans])
    marked = list(stretches(outside, markdown=True))
    struck = list(_struck(outside, marked))
    crossed = _covered(text, struck)
    kinds = {"displayed": "latex", "inline": "inline"}
    formulas = []
    for n, each in enumerate(marked):
        if each.kind in kinds:
            kind = "struck" if crossed[each.begun] else kinds[each.kind]
            case = kind != "struck" and n < MAX_CASES and of_a_case(outside, each.start)
            formulas.append(Block(kind, text, line, each.start, each.stop, cell, case))
    placed = [(block.start, [block]) for block in _with_what_follows(formulas)]
    inside = _covered(text, [*apart[: len(fences)], *code])
    placed += [(at, [block]) for at, block in _headers(text, line) if not inside[at]]
    for begun, _, language, start, stop in fences:
        blocks = list(_fenced(text, line, language, start, stop, cell))
        gone = [Block("struck", text, line, start, stop, cell)] if blocks and crossed[begun] else []
        placed.append((begun, gone or blocks))
    for start, stop in code:
        gone = [Block("struck", text, line, start, stop, cell)] if crossed[start] else []
        placed.append((start, gone or list(_with_headers(_code(text, line, start, stop, cell)))))
    away = [*apart, *code, *struck, *((each.begun, each.ended) for each in marked if each.kind == "displayed")]
    placed += [(at, [block]) for at, block in _bare(text, line, away, cell)]
    return [block for _, several in sorted(placed, key=lambda each: each[0]) for block in several]


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with blanks for some of it; its lines stay."""
    made = list(text)
    for start, stop in spans:
        made[start:stop] = ["\n" if c == "\n" else " " for c in text[start:stop]]
    return "".join(made)


def _covered(text: str, spans: list[tuple[int, int]]) -> bytearray:
    """For each position whether one of the spans holds it."""
    made = bytearray(len(text) + 1)
    for start, stop in spans:
        made[start:stop] = b"\1" * (stop - start)
    return made


def _unquoted(text: str) -> tuple[str, dict[int, int]]:
    """The text with blanks for the marks of quotes, `> `, and how wide they are at which beginnings of lines."""
    margins: dict[int, int] = {}
    if ">" not in text:
        return text, margins
    begun = {found.start() for found in _QUOTE.finditer(text)}
    fences = [(start, stop) for start, stop, *_ in _fences(text)]
    outside = _blanked(text, fences)
    # a > that begins a line of mathematics or code compares, unless the mathematics begins in a quote
    own = [
        (each.begun, each.ended)
        for each in stretches(outside, markdown=True)
        if each.kind == "displayed" and text.rfind("\n", 0, each.begun) + 1 not in begun
    ]
    held = _covered(text, [*fences, *own])

    def blank(found: re.Match[str]) -> str:
        if held[found.start()]:
            return found[0]
        margins[found.start()] = len(found[0])
        return " " * len(found[0])

    return _QUOTE.sub(blank, text), margins


def _without_backticks(text: str, fences: list[tuple[int, int, str, int, int]]) -> str:
    """`$x$` for GitHub's way to write it, with backticks inside the dollars; as long, so that columns stay."""
    if "$`" not in text:
        return text
    held = _covered(text, [(start, stop) for start, stop, *_ in fences])
    return _DOLLARED.sub(lambda found: found[0] if held[found.start()] else f" ${found[1]}$ ", text)


def _indented(text: str, margins: dict[int, int], apart: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(start, end) of every block of code that is indented by four, as Markdown has it, and gives a name a value."""
    found = [
        (start, stop)
        for start, stop in _indented_blocks(text, margins, _covered(text, apart))
        if _GIVES.search(text, start, stop) and not _FORMULA.search(text, start, stop)
    ]
    if found:  # it may be mathematics whose marks stand above and below
        marked = stretches(_blanked(text, apart), markdown=True)
        held = _covered(text, [(each.begun, each.ended) for each in marked if each.kind == "displayed"])
        yield from ((start, stop) for start, stop in found if not held[start])


def _indented_blocks(text: str, margins: dict[int, int], held: bytearray) -> Iterator[tuple[int, int]]:
    """What is indented in a list belongs to its item, and what follows a paragraph without an empty line to that."""
    run: tuple[int, int] | None = None
    listed, free = False, True  # whether a list is open, and whether such a block may begin
    for at, row in [*_rows_of(text), (len(text), "end")]:
        plain = row[margins.get(at, 0) :].expandtabs(4)
        if not plain.strip() and not held[at]:
            free = True
            continue
        width = len(plain) - len(plain.lstrip(" "))
        if width >= 4 and not held[at] and (run or (free and not listed)):
            run = (run[0] if run else at, at + len(row))
            continue
        if run:
            yield run
        heading = plain.startswith("#")
        if width < 4 and _LIST.match(plain, width):
            listed = True
        elif width == 0 and (free or heading) and not held[at]:
            listed = False
        run, free = None, heading or bool(held[at])


def _rows_of(text: str) -> Iterator[tuple[int, str]]:
    """Every line with its position."""
    at = 0
    for row in text.split("\n"):
        yield at, row
        at += len(row) + 1


def _struck(text: str, marked: list[Stretch]) -> Iterator[tuple[int, int]]:
    """(start, end) of what is struck out, `~~...~~` or `<del>...</del>`; in mathematics ~ is a space."""
    held = _covered(text, [(each.begun, each.ended) for each in marked])
    opened: dict[str, re.Match[str]] = {}
    for mark in _STRIKE.finditer(text):
        if held[mark.start()]:
            continue
        tag = (mark["tag"] or "").lower()
        if tag in opened and _closes(text, opened[tag], mark):
            yield opened.pop(tag).start(), mark.end()
        elif not mark["end"]:
            opened[tag] = mark


def _closes(text: str, opened: re.Match[str], mark: re.Match[str]) -> bool:
    """Whether two marks belong together: in one paragraph, close to what they strike out, or on lines of their own."""
    if mark["tag"]:
        return bool(mark["end"])
    if all(_alone(text, each) for each in (opened, mark)):
        return True
    close = not text[opened.end()].isspace() and not text[mark.start() - 1].isspace()
    return close and re.search(r"\n[ \t]*\n", text[opened.end() : mark.start()]) is None


def _alone(text: str, mark: re.Match[str]) -> bool:
    end = text.find("\n", mark.end())
    line = text[text.rfind("\n", 0, mark.start()) + 1 : len(text) if end < 0 else end]
    return line.strip() == mark[0]


def _bare(text: str, line: int, away: list[tuple[int, int]], cell: int | None) -> Iterator[tuple[int, Block]]:
    """(position, line) of what looks like code in prose."""
    held = _covered(text, away)
    for number, (at, row) in enumerate(_rows_of(text)):
        if "=" in row and not held[at] and _BARE.match(row):
            yield at, Block("bare", row, line + number, cell=cell)


def _comments(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every HTML comment."""
    end = 0
    while (start := text.find("<!--", end)) >= 0 and (end := text.find("-->", start)) >= 0:
        yield start, end + 3


def _fences(text: str) -> Iterator[tuple[int, int, str, int, int]]:
    """(start, end, language, start and end of the content) of every fenced block."""
    at, open_at = 0, None
    for row in text.split("\n"):
        found = _FENCE.match(row)
        if open_at is None and found:
            open_at = (at, found["mark"], found["language"].lower(), at + len(row) + 1)
        elif open_at and found and found["mark"].startswith(open_at[1]) and not row.strip().strip(open_at[1][0]):
            yield open_at[0], at + len(row), open_at[2], open_at[3], max(at - 1, open_at[3])
            open_at = None
        at += len(row) + 1
    if open_at:
        yield open_at[0], len(text), open_at[2], min(open_at[3], len(text)), len(text)


def _fenced(text: str, line: int, language: str, start: int, stop: int, cell: int | None) -> Iterator[Block]:
    before = line + text.count("\n", 0, start)
    if language in _LATEX:
        content = text[start:stop]
        blocks = [Block("latex", text, line, start + a, start + b, cell) for a, b in regions(content)]
        yield from _in_order(text, blocks, [(start + at, block) for at, block in _headers(content, before)])
    elif language in _PYTHON:
        yield from _with_headers(Block("python", text[start:stop], before, cell=cell))


# -- notebooks ----------------------------------------------------------------------------------------------


def _notebook(text: str) -> list[Part]:
    """Code cells are Python, Markdown cells give their blocks; outputs do not count."""
    blocks: list[Block] = []
    derived: list[list[Block]] = []
    cells: list[tuple[int, int]] = []
    line = length = 0
    for number, (kind, source) in enumerate(_cells(text), 1):
        length += len(source)
        if length > python.MAX_LENGTH:
            raise ReadingError(
                said("the cells have more than {most} characters: divide the notebook", most=python.MAX_LENGTH)
            )
        source = source.replace("\r\n", "\n").replace("\r", "\n")
        cells.append((line, number))
        if kind == "code" and (magic := _DERIVE.match(source)):
            derived.append(_derive_cell(source, magic, line, number))
        elif kind == "code":
            blocks += _code_cell(source, line, number)
        elif kind == "markdown":
            blocks += _markdown(source, line, number)
        line += source.count("\n") + 1
    made = _divided(blocks, cells)
    return _with_derived(made, [part for each in derived for part in _divided(each, cells)]) if derived else made


def _derive_cell(source: str, magic: re.Match[str], line: int, number: int) -> list[Block]:
    """A sheet of its own; the magic's line is its header."""
    rest = "\n" * source.count("\n", 0, magic.end()) + source[magic.end() :]
    named = magic["id"]
    header = [Block("header", f"# exercise: {named}", line, cell=number)] if named else []
    return [*header, *_with_headers(Block("python", rest, line, cell=number))]


def _with_derived(others: list[Part], derived: list[Part]) -> list[Part]:
    """Where a notebook has such cells, they are its sheet; of several tries at one exercise the last counts."""
    made = [part for part in others if part.exercise is not None or part.header is not None]
    last = {part.exercise: part for part in derived}
    for part in derived:
        final = last[part.exercise]
        if part is final or part.exercise is None:
            made.append(part)
        elif part.blocks:
            text = said("an earlier try at {exercise}", exercise=part.exercise)
            final.blocks.append(Block("passed", text, part.blocks[0].line, cell=part.blocks[0].cell))
    return made


def _code_cell(source: str, line: int, number: int) -> list[Block]:
    magic = _CELL_MAGIC.match(source)
    if magic and magic[1] == "latex":
        start = source.find("\n") + 1 or len(source)
        return [Block("latex", source, line, start + a, start + b, number) for a, b in regions(source[start:])]
    if magic and magic[1] not in ("time", "timeit", "capture", "prun"):
        return [Block("passed", source.strip().split("\n")[0], line, cell=number)]
    return list(_with_headers(Block("python", source, line, cell=number)))


def _cells(text: str) -> list[tuple[str, str]]:
    """(kind, source) of the cells of a notebook in format 4."""
    if len(text) > MAX_NOTEBOOK:
        raise ReadingError(
            said(
                "the notebook has {count} characters; at most {most} are read: clear its outputs",
                count=len(text),
                most=MAX_NOTEBOOK,
            )
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ReadingError(
            said("this is not a notebook: its JSON cannot be read; save it again"), line, getattr(error, "colno", 1)
        ) from None
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise ReadingError(
            said("this is not a notebook in format 4, which has a list of cells: save it with a current Jupyter")
        )
    if len(cells) > MAX_CELLS:
        raise ReadingError(said("more than {most} cells: divide the notebook", most=MAX_CELLS))
    return [_cell(cell, number) for number, cell in enumerate(cells, 1)]


def _cell(cell: Any, number: int) -> tuple[str, str]:
    source = cell.get("source") if isinstance(cell, dict) else None
    if isinstance(source, list) and all(isinstance(piece, str) for piece in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise ReadingError(
            said("cell {number} of the notebook has no text as its source: save it again with Jupyter", number=number)
        )
    return str(cell.get("cell_type")), source
