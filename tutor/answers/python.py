"""Python syntax -> statements, parsed by `ast` and never run.

Line by line, so that one bad line does not hide the others; every limit is checked before it can cost anything.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tutor.answers import language as lang
from tutor.answers.file_names import BESIDE, IMPORTED, FileNames, names_in
from tutor.answers.headers import ID, IN_PYTHON, SIZE, key_of
from tutor.answers.own_functions import MAX_CALLS, OWN_CALLS, Function, function_of
from tutor.answers.touched import changes, in_place, touched
from tutor.errors import ReadingError
from tutor.language import nsaid, said

MAX_LENGTH = 100_000  # characters in a file
MAX_LINE = 4_000  # characters in one line, continued ones joined
MAX_LINES = 500  # lines that say something
MAX_READ = 4 * MAX_LINES  # lines that hold more than a comment
MAX_CONTINUED = 60  # physical lines in one logical line
MAX_NESTING = 40  # brackets in brackets
MAX_DEPTH = 80  # operations in operations
MAX_DIGITS = 30
MAX_BLOCKS = 8  # loops in loops: six of a pooling, and a condition in them
MAX_TARGETS = 8  # names in a = b = c = ...
MAX_SIZE = 1_000_000  # in "# sizes: N=..."

DOTS = "·⋅"  # a product, as on paper: of matrices where only that fits
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_MEANT = {
    **{chr(code): meant for code, meant in _WIDE.items()},
    "−": "-", "–": "-", "‐": "-", "‑": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "∕": "/",
    "^": "**", "≤": "<=", "≥": ">=", "≠": "!=", "²": "**2", "³": "**3", "、": ",", "。": ".",
    "\u00a0": " ", "\u3000": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u202f": " ",
    "ᵀ": ".T", "⊤": ".T",
}  # fmt: skip
# longer signs: how they are written, and what they mean there
_SIGNS: dict[str, tuple[str, Callable[[str], str]]] = {
    "transpose": (r"\^\s*(?:\{\s*[T⊤ᵀ]\s*\}|[T⊤ᵀ](?!\w))", lambda sign: ".T"),
    "partial": (r"∂\w+\s*/\s*∂[^\W\d]\w*", lambda sign: "_".join(re.findall(r"\w+", sign.replace("∂", "d")))),
    "quotient": (
        r"^d\w+\s*/\s*d[^\W\d]\w*(?=\s*(?:\[[^\]]*\]\s*)?=(?!=))",
        lambda sign: "_".join(re.findall(r"\w+", sign)),
    ),
    "sum": (r"(?<!\w)[∑Σ](?=\s*\()", lambda sign: "Sum"),
    "definition": (r"(?<=[\w\]\s]):=(?!=)", lambda sign: "="),
}
_UNUSUAL = re.compile(
    "|".join(f"(?P<{name}>{pattern})" for name, (pattern, _) in _SIGNS.items())
    + "|[" + re.escape("".join(_MEANT)) + "]"
)  # fmt: skip
_COMPARED = re.compile(r"\s*~?\((?:[^()]|\([^()]*\)){0,200}?(?:[<>]|[=!]=)")
_ODD = re.compile(r"[^\x00-\x7f]|\^|:=|^d\w*\s*/\s*d")
_BRACKETS = re.compile(r"""["'#()\[\]{}\\]""")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_DIGITS = re.compile(rf"\d[\d_]{{{MAX_DIGITS},}}")
_GLUED = re.compile(r"(?<![\w.])((?>\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?))([^\W\d]\w*)")
_PRIMED = re.compile(r"[\w)\]](?<!\b[fFrRbBuU])(?<!\b[fFrRbB]{2})$")
_BLOCK = re.compile(r"(for|with|if|while|def|class|try|async|match|elif|else|except|finally)\b")
_DEF = re.compile(r"def[ \t]+([^\W\d]\w*)")
_NOTHING = re.compile(r"(?:^|[:;\s])(?:pass|continue)\s*;?\s*(?:#.*)?$")
_CONTINUE = re.compile(r"(?:^|(?<=[:;]))\s*continue\s*;?$")
_IF, _ELSE = re.compile(r"if\b"), re.compile(r"(elif|else)\b")
_PASSED = re.compile(r"(print|cmp|display|assert|import|from|%|!)(?=\W|$)")
_LEFT = re.compile(r"\s*[^\W\d][\w.]*\s*(\[[^\]]*\]\s*)?")
_STARTS = re.compile(r"\s*[^\W\d][\w.]*(\[[^\]]*\])?\s*(\*\*|//|[-+*/@])?=(?!=)")
_TARGET = re.compile(r"\s*([^\W\d]\w*(?:\.grad)?)\s*(\[[^=]*\])?\s*((\*\*|//|[-+*/@])?={1,2}|:)(?!=)")
_ESCAPE = re.compile(r"\\(?!\n)")
_PASSED_CALLS = ("backward", "step", "zero_grad", "retain_grad", "requires_grad_", "manual_seed", "set_printoptions")


@dataclass
class _Line:
    """One logical line: its code without comments, what the learner typed, and where columns moved."""

    number: int
    indent: int
    code: str
    raw: str
    shifts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    error: tuple[int, int, str] | None = None
    spans: int = 1

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Line and 1-based column in the learner's text, of a row and 0-based column of `code`."""
        moved = sum(min(extra, max(0, column - at)) for at, extra in self.shifts.get(row, ()))
        return self.number + row, column - moved + 1 + (self.indent if row == 0 else 0)


def read(text: str, names: FileNames | None = None) -> list[lang.Sheet]:
    """The sheets of a file: one, unless several `# exercise:` headers divide it.

    `names` are those of the whole file, where the text is a part of one.
    """
    if len(text) > MAX_LENGTH:
        raise ReadingError(
            said(
                "the text has {count} characters; at most {most} are read: divide it", count=len(text), most=MAX_LENGTH
            )
        )
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    names = names_in(text) if names is None else names
    sheets = [_Reader(names).sheet(lines[start:stop], start) for start, stop in _divide(lines)]
    if sum(len(sheet.statements) for sheet in sheets) > MAX_LINES:
        raise ReadingError(said("more than {most} lines: divide the sheet", most=MAX_LINES))
    return sheets


def given_twice(name: str, size: int, other: int) -> str:
    one, two = f"{name}={size}", f"{name}={other}"
    return said("{name} is given twice, as {one} and as {other}: keep one of them", name=name, one=one, other=two)


def read_lines(lines: list[str], before: int, names: FileNames) -> lang.Sheet:
    """A part of a file, above which `before` lines stand."""
    return _Reader(names).sheet(lines, before)


def _divide(lines: list[str]) -> list[tuple[int, int]]:
    starts = [n for n, line in enumerate(lines) if (found := IN_PYTHON.match(line)) and key_of(found) == "exercise"]
    if len(starts) < 2:
        return [(0, len(lines))]
    return list(zip([0, *starts[1:]], [*starts[1:], len(lines)], strict=True))


# -- from characters to logical lines ---------------------------------------------------------------


class _Scanner:
    def __init__(self, lines: list[str], offset: int):
        self.lines, self.offset = lines, offset
        self.meant: dict[tuple[str, str], list[int]] = {}

    def logical(self) -> Iterator[_Line]:
        position = 0
        while position < len(self.lines):
            made = self._one(position)
            position += made.spans
            if made.code or made.error:
                yield made

    def _one(self, start: int) -> _Line:
        """The logical line that begins at `start`; on an error it ends where the error is."""
        pieces: list[str] = []
        open_at: list[tuple[str, int, int]] = []
        made = _Line(self.offset + start + 1, 0, "", "")
        length = 0
        for row, line in enumerate(self.lines[start : start + MAX_CONTINUED]):
            if row and open_at and _STARTS.match(line) and len(line) - len(line.lstrip()) <= made.indent:
                break  # a new statement: the bracket was forgotten
            length += len(line)
            if length > MAX_LINE:
                made.error = (
                    row,
                    0,
                    said("a line of more than {most} characters: use helper variables", most=MAX_LINE),
                )
                made.spans = row + 1
                made.raw = self.lines[start][:80].strip() + " ..."
                return made
            if row == 0:
                stripped = line.lstrip(" \t\u3000\u00a0")
                made.indent = len(line) - len(stripped)
                line = stripped
            code, comment_at, more = self._scan(line, row, open_at, made)
            pieces.append(code)
            made.raw = (made.raw + " " + line[:comment_at].strip()).strip()
            made.spans = row + 1
            if made.error or not (open_at or more):
                made.code = "\n".join(pieces).rstrip()
                return made
        if open_at:
            bracket, row, column = open_at[-1]
            made.error = (row, column, said("{bracket} is never closed", bracket=bracket))
        made.spans = 1
        made.code, made.raw = pieces[0].rstrip(), self.lines[start].strip()
        return made

    def _scan(self, line: str, row: int, open_at: list, made: _Line) -> tuple[str, int, bool]:
        """(code without its comment, where the comment began, whether a backslash continues it)"""
        comment_at = len(line)
        if _ODD.search(line):
            hash_at = line.find("#")
            line = self._as_meant(line if hash_at < 0 else line[:hash_at], row, made)
            comment_at = hash_at if hash_at >= 0 else comment_at
        if not open_at and _closed(line):  # nearly always
            self._limits(line, row, made)
            return line.rstrip(), comment_at, False
        position = 0
        while found := _BRACKETS.search(line, position):
            mark, at = found[0], found.start()
            position = at + 1
            if mark == "#":
                comment_at, line = min(at, comment_at), line[:at]
                break
            if mark in "([{":
                open_at.append((mark, row, at))
                if len(open_at) > MAX_NESTING:
                    made.error = made.error or (
                        row,
                        at,
                        said("more than {most} brackets inside each other", most=MAX_NESTING),
                    )
                    open_at.clear()
                    break
            elif mark in _CLOSES:
                if not open_at or open_at.pop()[0] != _CLOSES[mark]:
                    made.error = made.error or (row, at, said("{mark} closes nothing", mark=mark))
                    open_at.clear()
                    break
            elif mark == "\\":
                if not line[at + 1 :].strip():
                    self._limits(line[:at], row, made)
                    return line[:at] + "\\", comment_at, made.error is None
                made.error = made.error or (row, at, said("\\ is not part of an answer"))
                break
            else:
                position = self._string(line, row, at, made)
                if made.error:
                    break
        self._limits(line, row, made)
        return line.rstrip(), comment_at, False

    def _string(self, line: str, row: int, at: int, made: _Line) -> int:
        quote = line[at]
        if quote == "'" and at and _PRIMED.match(line, at - 1, at):
            made.error = (row, at, said("' is not part of an answer: the transpose is written x.T"))
            return len(line)
        if line.startswith(quote * 3, at):
            made.error = (row, at, said("no strings in an answer; comments begin with #"))
            return len(line)
        end = line.find(quote, at + 1)
        while end > 0 and line[end - 1] == "\\":
            end = line.find(quote, end + 1)
        if end < 0:
            made.error = (row, at, said("{quote} is never closed", quote=quote))
            return len(line)
        return end + 1

    def _limits(self, line: str, row: int, made: _Line) -> None:
        if made.error:
            return
        if control := _CONTROL.search(line):
            name = unicodedata.name(control[0], "").lower() or said("a control character")
            made.error = (
                row,
                control.start(),
                said("an invisible character (U+{code:04X}, {name}): delete it", code=ord(control[0]), name=name),
            )
        elif digits := _DIGITS.search(line):
            made.error = (row, digits.start(), said("a number of more than {most} digits", most=MAX_DIGITS))
        elif "'" not in line and '"' not in line and (glued := _GLUED.search(line)):
            made.error = (row, glued.start(2), _unglued(glued[1], glued[2]))

    def _as_meant(self, line: str, row: int, made: _Line) -> str:
        shifts = made.shifts.setdefault(row, [])
        moved = 0

        def replace(found: re.Match[str]) -> str:
            nonlocal moved
            sign = found[0]
            if found.lastgroup == "definition" and not (
                row == 0 and found.start() == line.find(":=") and _LEFT.fullmatch(line, 0, found.start())
            ):
                return sign
            meant = _SIGNS[found.lastgroup][1](sign) if found.lastgroup else _MEANT[sign]
            # (a > 0) ^ (b > 0) is Python's own: one mask or the other
            masks = sign == "^" and line[: found.start()].rstrip().endswith(")") and _COMPARED.match(line, found.end())
            if not meant.isspace() and not masks:
                shown = "*, @" if sign in DOTS else meant
                numbers = self.meant.setdefault((sign, shown), [])
                if (number := made.number + row) not in numbers:
                    numbers.append(number)
            if meant == ".T" and found.end() < len(line) and (line[found.end()].isalnum() or line[found.end()] == "_"):
                meant = ".T "  # x^Tdz: two things without an operator
            meant = meant.ljust(len(sign))  # so that columns stay
            if len(meant) > len(sign):
                shifts.append((found.start() + moved + len(sign), len(meant) - len(sign)))
                moved += len(meant) - len(sign)
            return meant

        return _UNUSUAL.sub(replace, line)

    def notes(self) -> list[str]:
        return [
            nsaid(
                "line {lines}: {sign} is read as {meant}",
                "lines {lines}: {sign} is read as {meant}",
                len(numbers),
                lines=", ".join(map(str, numbers[:5])),
                sign=sign,
                meant=meant,
            )
            for (sign, meant), numbers in self.meant.items()
        ]


def _closed(line: str) -> bool:
    """Whether all brackets of a line are closed as they were opened, and it has no comment, string or backslash."""
    marks = "".join(_BRACKETS.findall(line))
    if len(marks) > MAX_NESTING:
        return False
    while marks != (fewer := marks.replace("()", "").replace("[]", "").replace("{}", "")):
        marks = fewer
    return not marks


def _unglued(number: str, name: str) -> str:
    if number == "0" and name[0] in "xXoObB":
        return said("numbers are written in decimal")
    if number == "1." and name == "T":  # 1ᵀ
        return said("a vector of ones is written torch.ones(N), and the sum over the rows of A is A.sum(0)")
    return said("{number}{name} is not a product here: write {number}*{name}", number=number, name=name)


# -- from logical lines to statements -----------------------------------------------------------------


class _Reader:
    def __init__(self, names: FileNames):
        self.names = names

    def sheet(self, lines: list[str], offset: int) -> lang.Sheet:
        sheet = lang.Sheet(line=offset + 1, file_names=self.names)
        self._headers(lines, offset, sheet)
        scanner = _Scanner(self._without_docstrings(lines), offset)
        self.notes = sheet.notes
        logical = list(islice(scanner.logical(), MAX_READ + 1))
        if len(logical) > MAX_READ:
            raise ReadingError(said("more than {most} lines: divide the sheet", most=MAX_READ), logical[-1].number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on `1if x` is not ours
            sheet.statements += self._block(logical, 0)
        sheet.notes[:0] = scanner.notes()
        return sheet

    def _headers(self, lines: list[str], offset: int, sheet: lang.Sheet) -> None:
        for number, line in enumerate(lines, offset + 1):
            found = IN_PYTHON.match(line)
            if not found:
                continue
            if key_of(found) == "exercise":
                if not ID.fullmatch(found["value"]):
                    reason = said(
                        "an exercise is named by its id, as '# exercise: mlp:layers=3'; a file is given by --exercise"
                    )
                    sheet.statements.append(lang.Unreadable(number, 1, line.strip()[:200], 1, reason))
                else:
                    sheet.exercise, sheet.exercise_line = found["value"], number
            else:
                self._sizes(number, line, found["value"], sheet)

    def _sizes(self, number: int, line: str, given: str, sheet: lang.Sheet) -> None:
        position = 0
        while position < len(given):
            found = SIZE.match(given, position)
            if not found or not 1 <= int(found[2]) <= MAX_SIZE:
                reason = said("sizes are written as '# sizes: N=32, K=10', each from 1 to {most}", most=MAX_SIZE)
                column = line.find(given) + position + 1
                sheet.statements.append(lang.Unreadable(number, column, line.strip()[:200], 1, reason))
                return
            name, size = found[1], int(found[2])
            if sheet.sizes.get(name, size) != size:
                column, twice = line.find(given) + found.start(1) + 1, given_twice(name, sheet.sizes[name], size)
                sheet.statements.append(lang.Unreadable(number, column, line.strip()[:200], 1, twice))
                return
            sheet.sizes[name], sheet.sizes_line = size, number
            position = found.end()

    def _without_docstrings(self, lines: list[str]) -> list[str]:
        """Blank out triple-quoted comments that stand on lines of their own."""
        kept, closing = [], ""
        for n, line in enumerate(lines):
            stripped = line.strip()
            if closing:
                kept.append("")
                closing = "" if stripped.endswith(closing) else closing
            elif stripped[:3] in ('"""', "'''"):
                mark = stripped[:3]
                whole = len(stripped) > 5 and stripped.endswith(mark)
                ends = whole or any(later.strip().endswith(mark) for later in lines[n + 1 : n + 1 + MAX_CONTINUED])
                kept.append("" if ends else line)
                closing = mark if ends and not whole else ""
            else:
                kept.append(line)
        return kept

    def _block(self, lines: list[_Line], depth: int, looped: bool = False) -> list[lang.Statement]:
        """The lines of a block; `looped` if they are the rest of a loop's round, which `continue` leaves out."""
        made: list[lang.Statement] = []
        position = 0
        while position < len(lines):
            line = lines[position]
            position += 1
            if line.code.startswith("@") and position < len(lines) and _DEF.match(lines[position].code):
                continue  # @torch.no_grad()
            if not _BLOCK.match(line.code):
                made += self._simple(line)
                continue
            end = _end_of_block(lines, position, line.indent)
            if (own := _DEF.match(line.code)) and self._is_read_elsewhere(own[1], lines[position - 1 : end]):
                position = end
                continue
            branches = [(line, lines[position:end])]
            while _IF.match(line.code) and end < len(lines) and lines[end].indent == line.indent:
                if not _ELSE.match(lines[end].code):
                    break
                begun, end = end, _end_of_block(lines, end + 1, line.indent)
                branches.append((lines[begun], lines[begun + 1 : end]))
            skips = looped and bool(_IF.match(line.code)) and len(branches) == 1 and _ends_in_continue(*branches[0])
            if skips:
                branches, end = _without_continue(*branches[0], lines[end:]), len(lines)
            if _IF.match(line.code):
                made += self._branched(branches, depth, skips)
            else:
                made += self._compound(*branches[0], depth)
            position = end
        return made

    def _is_read_elsewhere(self, name: str, lines: list[_Line]) -> bool:
        """A function of the learner's own that is read where it is called; one that nobody calls and that gives no name
        a value is a remark."""
        if name in self.names.functions:
            return self.names.is_formula(name)
        if any(_STARTS.match(line.code) for line in lines[1:]):
            return False
        made = function_of("\n".join(" " * line.indent + line.code for line in lines))
        if made is None or made.formula is None:
            return False
        line = lines[0]
        self.notes.append(
            said("line {line}: passed over: {text}{advice}", line=line.number, text=line.raw[:60], advice="")
        )
        return True

    def _simple(self, line: _Line) -> list[lang.Statement]:
        return self._guarded(line, lambda: self._converter(line).statements(_parse(line, line.code)))

    def _converter(self, line: _Line) -> _Converter:
        return _Converter(line, self.notes, self.names)

    def _compound(self, line: _Line, body: list[_Line], depth: int) -> list[lang.Statement]:
        def read() -> list[lang.Statement]:
            parsed = _opened(line, line.code, depth)
            converter = self._converter(line)
            head = converter.header(parsed)
            inner = self._inner(line, converter, parsed, body, depth, looped=head is not None)
            if head is None:
                return inner
            rows = {name for given in head.body for t in lang.targets(given) if (name := lang.variable(lang.root(t)))}
            converter.keeps(rows, inner, parsed)
            head.body += inner
            return [head]

        return self._guarded(line, read, body)

    def _inner(
        self, line: _Line, converter: _Converter, parsed: Any, body: list[_Line], depth: int, looped: bool
    ) -> list[lang.Statement]:
        """What stands in a block, on its own line or below it."""
        if not line.code.endswith(":"):
            return converter.statements(parsed.body)
        if not body:
            raise ReadingError(said("the lines of a block stand below it, further to the right"), *line.place(0, 0))
        return self._block(body, depth + 1, looped)

    def _branched(self, branches: list[tuple[_Line, list[_Line]]], depth: int, looped: bool) -> list[lang.Statement]:
        """`if`, `elif`, `else`: one statement, or one that cannot be read; `looped` if `else` is a round's rest."""
        (line, body), *others = branches
        block = [*body, *(each for head, below in others for each in (head, *below))]
        return self._guarded(line, lambda: self._branches(branches, depth, looped), block)

    def _branches(self, branches: list[tuple[_Line, list[_Line]]], depth: int, looped: bool) -> list[lang.Statement]:
        (line, body), *others = branches
        if line.error:
            row, column, reason = line.error
            raise ReadingError(reason, *line.place(row, column))
        last = line.code.startswith("else")
        if last and others:
            raise ReadingError(said("nothing goes on after else"), *others[0][0].place(0, 0))
        code = re.sub("^else", "if 1", re.sub("^elif", "if  ", line.code))  # as long, so that columns stay
        parsed = _opened(line, code, depth)
        converter = self._converter(line)
        inner = self._inner(line, converter, parsed, body, depth, looped and last)
        if last:
            return inner
        other = self._branches(others, depth + (not looped), looped) if others else []
        return [converter.branch(parsed, inner, other)] if inner or other else []

    def _guarded(
        self, line: _Line, read: Callable[[], list[lang.Statement]], body: Sequence[_Line] = ()
    ) -> list[lang.Statement]:
        """What `read` makes, or the line as unreadable, with all that it and its block would have done."""
        if line.error is None:
            try:
                return read()
            except ReadingError as error:
                place, reason = (error.line, error.column), error.message
        else:
            row, column, reason = line.error
            place = line.place(row, column)
        target = _TARGET.match(line.code)
        raw = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.raw)[:200]
        found = touched([(each.indent, each.code) for each in (line, *body)], line.error is None)
        if target and keyword.iskeyword(target[1]):
            target = None  # else:
        if target and all(each.name != target[1] for each in found):
            found.append(lang.Touched(target[1], given=True))  # dW == ..., dW: ...
        name = target[1] if target else next((each.name for each in found if not each.inside), None)
        return [lang.Unreadable(*place, raw, line.indent + 1, reason, name, tuple(found))]


def _end_of_block(lines: list[_Line], position: int, indent: int) -> int:
    while position < len(lines) and lines[position].indent > indent:
        position += 1
    return position


def _ends_in_continue(line: _Line, body: list[_Line]) -> bool:
    """Whether `if a: ...` leaves the rest of the round out."""
    last = body[-1] if body else line
    own = not body or (last.indent == body[0].indent and not _BLOCK.match(last.code))  # not one of an if in it
    return own and last.error is None and bool(_CONTINUE.search(last.code))


def _without_continue(line: _Line, body: list[_Line], rest: list[_Line]) -> list[tuple[_Line, list[_Line]]]:
    """The same branch, and the rest of the round behind an `else`."""
    *others, last = line, *body
    head, *kept = *others, replace(last, code=_CONTINUE.sub("pass", last.code))
    return [(head, kept), *([(replace(rest[0], code="else:", error=None), rest)] if rest else [])]


def _opened(line: _Line, code: str, depth: int) -> Any:
    """The head of a block, with what stands on its own line."""
    if depth >= MAX_BLOCKS:
        raise ReadingError(said("more than {most} blocks inside each other", most=MAX_BLOCKS), *line.place(0, 0))
    return _parse(line, code if not code.endswith(":") else code + " pass")[0]


def _parse(line: _Line, code: str) -> list[ast.stmt]:
    """Python's own parser on one line; what it refuses is a `ReadingError`."""
    if _PASSED.match(code) and not code.startswith(("import", "from")):
        if changes(code):
            raise ReadingError(
                said("what is passed over changes nothing: give this a line of its own"), *line.place(0, 0)
            )
        code = "pass"
    if word := re.match(r"(else|elif|try|except|finally)\b", code):
        raise ReadingError(
            said("{word} is not part of an answer: write name = formula", word=word[0]), *line.place(0, 0)
        )
    if escaped := _ESCAPE.search(code):
        row = code.count("\n", 0, escaped.start())
        column = escaped.start() - code.rfind("\n", 0, escaped.start()) - 1
        raise ReadingError(said("\\ is not part of an answer"), *line.place(row, column))
    try:
        return ast.parse(code).body
    except SyntaxError as error:
        row, column = (error.lineno or 1) - 1, max((error.offset or 1) - 1, 0)
        for n, text in enumerate(code.split("\n")):
            if found := _sum_or_product(text):
                raise ReadingError(found[1], *line.place(n, found[0])) from None
            if chained := _chained(text):
                raise ReadingError(chained[1], *line.place(n, chained[0])) from None
        raise ReadingError(_explain(code, row, column), *line.place(row, column)) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise ReadingError(said("this line cannot be read: write name = formula"), *line.place(0, 0)) from None


_ITEM = r"[^\W\d][\w.]*(?:\[[^\[\]]*\])?|\d+\.?\d*"
_SIDE_BY_SIDE = re.compile(
    rf"(?P<left>(?<![\w.])(?:{_ITEM})|∑_?\{{?\w*\}}?|\([^()]*\)|[)\]])(?:\s+|(?<=[)\]]))(?=(?P<right>{_ITEM}))(?!\s)"
)
_NABLA = re.compile(r"∇_\{?([^\W\d_]\w*)\}?\s*(?:[^\W\d]\w*)?")
_BIG_SUM = re.compile(r"(?:[Σ∑]|sum|Sum)_?\{?([^\W\d_]*)\}?")
_CHARACTERS = {
    "∂": said("the gradient of the loss with respect to z is called dz"),
    "∇": said("the gradient of the loss with respect to z is called dz"),
    "∑": said("a sum is written Sum(x[i, k], i), or x.sum(0)"),
    "√": said("a root is written sqrt(x)"),
    "∞": said("write inf"),
    "⊙": said("the product entry by entry is written *"),
    "∘": said("the product entry by entry is written *"),
    "⊗": said("the outer product is written torch.outer(a, b)"),
}


def _explain(code: str, row: int, column: int) -> str:
    """What is wrong where Python's parser stopped; its own words differ between versions."""
    lines = code.split("\n")
    here = lines[row][column:] if row < len(lines) else ""
    first = re.match(r"\w+", here)
    if first and keyword.iskeyword(first[0]):
        return said("{first} is not part of an answer: write name = formula", first=first[0])
    if here and ord(here[0]) > 127 and not here[0].isidentifier():
        name = unicodedata.name(here[0], "unknown").lower()
        advice = _CHARACTERS.get(here[0], said("write letters, digits and + - * / ** @"))
        return said(
            "the character {sign} ({name}) is not part of an answer: {advice}", sign=here[0], name=name, advice=advice
        )
    return said("this cannot be read: a line is name = formula, with * for every product")


_EQUALS = re.compile(r"[()\[\]{}]|(?<![=<>!+\-*/@%&|^:])=(?!=)")


def _chained(line: str) -> tuple[int, str] | None:
    """Where a formula stands between two equal signs: `dw = A = B` in one line."""
    ends, depth = [], 0
    for found in _EQUALS.finditer(line):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if found[0] == "=" and depth == 0:
            ends.append(found.start())
    for start, stop in zip(ends, ends[1:], strict=False):
        part = line[start + 1 : stop]
        if part.strip() and not _LEFT.fullmatch(part):
            shown, left = part.strip(), line[: ends[0]].strip()
            shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
            at = start + 1 + len(part) - len(part.lstrip())
            return at, said(
                "{shown} is a formula and is given no value: write a line {left} = ... for each formula",
                shown=shown,
                left=left,
            )
    return None


def _term(line: str, start: int) -> str:
    """A term from there on, to the next sign outside of all brackets."""
    depth = 0
    for at in range(start, len(line)):
        depth += (line[at] in "([{") - (line[at] in ")]}")
        if depth < 0 or (depth == 0 and line[at] in "+-,;=<>" and line[:at].rstrip()[-1:] not in "*/@("):
            return line[start:at].rstrip()
    return line[start:].rstrip()


def _sum_or_product(line: str) -> tuple[int, str] | None:
    """Where two things stand side by side, and how the product, or the sum `sum_i x[i]`, is written."""
    if nabla := _NABLA.search(line):
        return nabla.start(), said("the gradient of the loss with respect to {name} is called d{name}", name=nabla[1])
    for found in _SIDE_BY_SIDE.finditer(line):
        left, right = found["left"], found["right"]
        if keyword.iskeyword(left) or keyword.iskeyword(right):
            continue
        if big := _BIG_SUM.fullmatch(left):
            return found.start("left"), said(
                "a sum is written Sum({right}, {big}), with its index last",
                right=_term(line, found.start("right")),
                big=big[1] or "i",
            )
        if big := re.fullmatch(r"[Σ∑]_?(\w*)", right):
            return found.start("right"), said(
                "a sum is written Sum(x[i, k], {big}), with its index last", big=big[1] or "i"
            )
        at = found.start("right")
        if left[0] in ")]" or (left[0] == "(" and re.search(r"\w\s*$", line[: found.start("left")])):
            return at, said("an operator is missing between two things: write a*b, not a b")
        if not re.match(r"[\d.]+$", left) and (left.endswith(".T") or "." in right):
            return at, said(
                "an operator is missing between two things: write {left} @ {right} or {left}*{right}",
                left=left,
                right=right,
            )
        return at, said("an operator is missing between two things: write {left}*{right}", left=left, right=right)
    return None


# -- from Python's tree to ours --------------------------------------------------------------------------

_OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Eq: "==", ast.NotEq: "!=", ast.USub: "-", ast.UAdd: "+", ast.Invert: "~",
}  # fmt: skip
_REFUSED: dict[type, str] = {
    ast.Lambda: said("lambda is not part of an answer: write the formula itself"),
    ast.ListComp: said("a comprehension is not part of an answer: write a for loop over range(...)"),
    ast.SetComp: said("a comprehension is not part of an answer: write a for loop over range(...)"),
    ast.DictComp: said("a comprehension is not part of an answer: write a for loop over range(...)"),
    ast.GeneratorExp: said("a comprehension is not part of an answer: write a for loop over range(...)"),
    ast.BoolOp: said("and, or are not part of an answer: write (a) & (b), (a) | (b)"),
    ast.NamedExpr: said(":= is not part of an answer: give the helper a line of its own"),
    ast.JoinedStr: said("no strings in an answer"),
    ast.Dict: said("a dict is not part of an answer: give each value a name of its own"),
    ast.Set: said("{...} is not part of an answer: parts of a formula are held together by ( )"),
    ast.Starred: said("* before an argument is not part of an answer: write the arguments out"),
    ast.Await: said("await is not part of an answer"),
    ast.Yield: said("yield is not part of an answer"),
    ast.YieldFrom: said("yield is not part of an answer"),
    ast.If: said("if is not part of an answer: write torch.where(condition, a, b), or a mask"),
    ast.While: said("while is not part of an answer: write for i in range(n)"),
    ast.FunctionDef: said("def is not part of an answer: write the lines of its body"),
    ast.AsyncFunctionDef: said("def is not part of an answer: write the lines of its body"),
    ast.ClassDef: said("class is not part of an answer: write the lines themselves"),
    ast.Delete: said("del is not part of an answer: leave the line out"),
    ast.Continue: said(
        "continue is read at the end of an if right in a loop, without an else: turn the condition round, and put "
        "under it what continue would leave out"
    ),
    ast.Break: said("break is not part of an answer: write for i in range(n) with as many rounds as there are"),
    ast.Return: said("return is not part of an answer: leave the line out"),
}  # fmt: skip
_CONDITION = said("a condition beside a formula is not read: write a*(z > 0), or torch.where(condition, a, b)")
_ALLOWED = said("write name = formula, with names, numbers, + - * / ** @, and functions such as torch.exp")


class _Converter:
    def __init__(self, line: _Line, notes: list[str], names: FileNames):
        self.source, self.notes, self.names = line, notes, names
        self.calls, self.called = 0, 0  # of functions of the learner's own: inside each other, and all of the line
        self.rows = line.code.split("\n")
        self.plain = [row.isascii() and not line.shifts.get(n) for n, row in enumerate(self.rows)]
        self.first = line.indent + 1 if self.plain == [True] else 0  # the column of Python's column 0
        self.depth = 0

    def place(self, node: Any) -> tuple[int, int]:
        return self.source.place(node.lineno - 1, self._column(node.lineno, node.col_offset))

    def _column(self, lineno: int, offset: int) -> int:
        """Python counts UTF-8 bytes."""
        row = self.rows[lineno - 1] if lineno <= len(self.rows) else ""
        return offset if row.isascii() else len(row.encode()[:offset].decode(errors="ignore"))

    def at(self, node: Any) -> tuple[int, int, int]:
        if self.first:  # nearly always
            return self.source.number, node.col_offset + self.first, node.end_col_offset + self.first
        row = node.lineno - 1
        if node.end_lineno == node.lineno and row < len(self.plain) and self.plain[row]:
            first = 1 + (self.source.indent if row == 0 else 0)
            return self.source.number + row, node.col_offset + first, node.end_col_offset + first
        line, column = self.place(node)
        if node.end_lineno != node.lineno:
            return line, column, 0
        return line, column, self.source.place(node.lineno - 1, self._column(node.lineno, node.end_col_offset))[1]

    def refuse(self, node: Any, reason: str) -> ReadingError:
        return ReadingError(reason, *self.place(node))

    # -- statements --

    def statements(self, parsed: list[ast.stmt]) -> list[lang.Statement]:
        return [made for node in parsed if (made := self.statement(node)) is not None]

    def statement(self, node: ast.stmt) -> lang.Statement | None:
        kind = getattr(self, f"_{type(node).__name__.lower()}", None) if type(node) in _STATEMENTS else None
        if kind is None:
            raise self.refuse(
                node, _REFUSED.get(type(node), said("this is not part of an answer: {allowed}", allowed=_ALLOWED))
            )
        return kind(node)

    def _start(self, node: ast.stmt) -> tuple[int, int, str, int]:
        return (*self.place(node), self.source.raw, self.source.indent + 1)

    def _assign(self, node: ast.Assign) -> lang.Statement | None:
        if all(isinstance(target, ast.Attribute) and target.attr == "requires_grad" for target in node.targets):
            self._pass(node)
            return None
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        blank = bool(values) and all(isinstance(v, ast.Constant) and v.value in (None, ...) for v in values)
        if blank and not isinstance(node.targets[0], ast.Attribute):  # w.grad = None zeroes a gradient
            self.notes.append(
                said("line {line}: still to be given: {raw}", line=self.source.number, raw=self.source.raw[:60])
            )
            return None
        name = node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""
        if name in self.names.modules or name == "device" or _says_again(name, node.value):  # la = torch.linalg
            self._pass(node)
            return None
        own = node.targets[0] if isinstance(node.value, ast.Lambda) else None
        if isinstance(own, ast.Name) and self.names.is_formula(own.id):
            return None  # read where it is called
        if len(node.targets) > MAX_TARGETS:
            raise self.refuse(
                node, said("more than {most} names for one value: give them lines of their own", most=MAX_TARGETS)
            )
        if isinstance(node.value, ast.Tuple):
            condition = next((part for part in node.value.elts if isinstance(part, ast.Compare)), None)
            if condition is not None:  # dz = dh, z > 0
                raise self.refuse(condition, _CONDITION)
        targets = tuple(self.target(target) for target in node.targets)
        made = lang.Assign(*self._start(node), targets, self.expression(node.value))
        itself = all(lang.variable(target) == _name_of(value) for target, value in lang.pairs(made))
        kept = any(isinstance(part, ast.Subscript) for side in (*node.targets, node.value) for part in ast.walk(side))
        return None if itself and kept else made  # W, b = params["W"], params["b"]

    def _augassign(self, node: ast.AugAssign) -> lang.Statement:
        op = _OPERATORS.get(type(node.op))
        if op not in ("+", "-", "*", "/", "**", "@", "&", "|"):
            raise self.refuse(node, said("only += -= *= /= **= @= &= |= change a value in place"))
        return lang.Update(*self._start(node), op, self.target(node.target), self.expression(node.value))

    def _expr(self, node: ast.Expr) -> lang.Statement | None:
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            name = value.func.attr
            if name in _PASSED_CALLS:
                self._pass(node)
                return None
            if (name.endswith("_") and not name.endswith("__")) or name == "at":
                call = self.expression(value)
                assert isinstance(call, lang.Call)
                return lang.Effect(*self._start(node), call)
            if isinstance(value.func.value, ast.Name) and value.func.value.id in self.names.lists:
                return self._list_changed(node, value, value.func.value)
            if in_place(name):
                raise self.refuse(node, said("{name} changes a tensor on the way: write name = formula", name=name))
        if isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.Eq):
            raise self.refuse(
                node,
                said(
                    "== compares: write {left} = {right}",
                    left=self._half(value.left),
                    right=self._half(value.comparators[0]),
                ),
            )
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("Eq", "Equality"):
            sides = " = ".join(map(self._half, value.args)) if len(value.args) == 2 else "name = formula"
            raise self.refuse(node, said("a line is name = formula: write {sides}", sides=sides))
        self.expression(value)  # what is passed over is in the language all the same
        self._pass(node, said(" (an answer is written name = formula)") if isinstance(value, ast.BinOp) else "")
        return None

    def _list_changed(self, node: ast.Expr, call: ast.Call, owner: ast.Name) -> lang.Statement:
        """`grads.append(dx)` is `grads += [dx]`; the list is another one then, as numbers are."""
        at, start, name = self.at(call), self._start(node), self.expression(owner)
        method = getattr(call.func, "attr", "")
        given = [self.expression(each) for each in call.args]

        def from_to(*ends: int | None) -> lang.Expression:
            numbers = (None if n is None else lang.Number(*at, n, str(n)) for n in ends)
            return lang.Subscript(*at, name, (lang.Slice(*at, *numbers),))

        first = isinstance(given[0], lang.Number) and given[0].value == 0 if given else False
        match method, len(given):
            case "append", 1:
                return lang.Update(*start, "+", name, lang.Sequence(*at, (given[0],)))
            case "extend", 1:
                return lang.Update(*start, "+", name, given[0])
            case "insert", 2 if first:
                made: lang.Expression = lang.Binary(*at, "+", lang.Sequence(*at, (given[1],)), name)
            case "reverse", 0:
                made = from_to(None, None, -1)
            case "pop", 0:
                made = from_to(None, -1, None)
            case "pop", 1 if first:
                made = from_to(1, None, None)
            case _:
                raise self.refuse(node, said(".{name}(...) of a list is not part of an answer", name=method))
        return lang.Assign(*start, (name,), made)

    def _half(self, node: ast.expr) -> str:
        """A side of an equation, as the learner wrote it where it is short."""
        text = ast.get_source_segment(self.source.code, node) or ""
        return text if 0 < len(text) <= 40 else "..."

    def _annassign(self, node: ast.AnnAssign) -> lang.Statement | None:
        """`db: torch.Tensor = dz.sum(0)`; `db: dz.sum(0)` is none."""
        if node.value is not None and _dotted(node.annotation) in _TYPES:
            return self._assign(ast.copy_location(ast.Assign([node.target], node.value), node))
        right = self._half(node.value or node.annotation)
        raise self.refuse(
            node,
            said(
                ": gives a type, and is not part of an answer: write {target} = {right}",
                target=self._half(node.target),
                right=right,
            ),
        )

    def _import(self, node: ast.Import) -> None:
        for module in node.names:
            if module.name.split(".")[0] not in (*IMPORTED, *BESIDE):
                raise self.refuse(
                    node, said("import {name} is not part of an answer; torch needs no import", name=module.name)
                )
        self._pass(node)

    def _importfrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] not in (*IMPORTED, *BESIDE) or node.level:
            raise self.refuse(node, said("this import is not part of an answer; torch needs no import"))
        self._pass(node)

    def _pass(self, node: ast.stmt, advice: str = "") -> None:
        if not _NOTHING.search(self.source.raw):
            self.notes.append(
                said(
                    "line {line}: passed over: {text}{advice}",
                    line=self.source.number,
                    text=self.source.raw[:60],
                    advice=advice,
                )
            )

    def header(self, node: ast.stmt) -> lang.Loop | None:
        """A loop without its body; None for `with torch.no_grad():`, whose body stands for itself."""
        if isinstance(node, ast.With):
            if len(node.items) == 1 and node.items[0].optional_vars is None:
                written = _dotted(node.items[0].context_expr)
                if written in ("torch.no_grad", "torch.inference_mode", "no_grad"):
                    return None
            raise self.refuse(node, said("only with torch.no_grad(): is part of an answer"))
        if not isinstance(node, ast.For):
            raise self.refuse(
                node, _REFUSED.get(type(node), said("this is not part of an answer: {allowed}", allowed=_ALLOWED))
            )
        if node.orelse:
            raise self.refuse(node, said("a loop is written as for i in range(n):"))
        if isinstance(node.target, ast.Name) and isinstance(node.iter, ast.Call) and _dotted(node.iter) != "zip":
            return lang.Loop(*self._start(node), node.target.id, self.expression(node.iter), [])
        return self._over_rows(node)

    def branch(self, node: ast.If, body: list[lang.Statement], other: list[lang.Statement]) -> lang.If:
        return lang.If(*self._start(node), "", self.expression(node.test), body, other)

    # -- loops over the rows of a tensor --

    def _over_rows(self, node: ast.For) -> lang.Loop:
        """`for i, (v, g) in enumerate(zip(t, demb)):` is a loop over range(len(t)), in which v = t[i], g = demb[i]."""
        target, rows = node.target, node.iter
        label = f"row {self.source.number}"  # no name that a learner can write
        if self._calls(rows, "enumerate") and len(rows.args) == 1:  # type: ignore[attr-defined]
            if not (isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(target.elts[0], ast.Name)):
                raise self.refuse(node, said("write for i, v in enumerate(x):"))
            label, target, rows = target.elts[0].id, target.elts[1], rows.args[0]  # type: ignore[attr-defined]
        made = list(self._rows(node, target, _columns(target, rows), label))
        at = self.at(node.iter)
        length = lang.Call(*at, lang.Name(*at, lang.COMMON_LENGTH), tuple(tensor for _, tensor in made), ())
        over = lang.Call(*at, lang.Name(*at, "range"), (length,), ())
        entry = [lang.Subscript(*at, tensor, (lang.Name(*at, label),)) for _, tensor in made]
        start = self._start(node)
        body: list[lang.Statement] = [
            lang.Assign(*start, (name,), row) for (name, _), row in zip(made, entry, strict=True)
        ]
        return lang.Loop(*start, label, over, body)

    def _rows(
        self, node: ast.For, target: ast.expr, rows: ast.expr, label: str
    ) -> Iterator[tuple[lang.Expression, lang.Expression]]:
        """(name, tensor) of each that is gone through."""
        if self._calls(rows, "zip"):
            tensors = rows.args  # type: ignore[attr-defined]
            if not isinstance(target, ast.Tuple) or len(target.elts) != len(tensors) or not tensors:
                raise self.refuse(node, said("zip(a, b) gives as many names as it has tensors"))
            for name, tensor in zip(target.elts, tensors, strict=True):
                yield from self._rows(node, name, tensor, label)
            return
        if not isinstance(target, ast.Name) or self._calls(rows, "enumerate"):
            raise self.refuse(node, said("a loop is written as for i in range(n):"))
        yield self.expression(target), self.expression(rows)

    def _calls(self, node: ast.expr, name: str) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name

    def keeps(self, rows: set[str], body: list[lang.Statement], node: ast.stmt) -> None:
        """A row that is changed changes the tensor it is taken from, under a name that is not the tensor's."""
        for statement in lang.flat(body):
            owner = statement.call.function if isinstance(statement, lang.Effect) else None
            changed = [lang.variable(lang.root(target)) for target in lang.targets(statement)]
            if isinstance(owner, lang.Attribute):
                changed += [lang.variable(part) for part in lang.walk(statement.call)]  # type: ignore[attr-defined]
            if name := next((name for name in changed if name in rows), None):
                raise self.refuse(
                    node, said("the loop changes {name}, a row of a tensor: write x[i] for it", name=name)
                )

    def target(self, node: ast.expr) -> lang.Expression:
        made = self.expression(node)
        names = made.items if isinstance(made, lang.Sequence) else (made,)
        for part in names:
            base = lang.root(part)
            if isinstance(base, lang.Attribute) and isinstance(base.value, lang.Name):
                base = base.value
            if not isinstance(base, lang.Name) or (len(names) > 1 and not isinstance(part, lang.Name)):
                raise self.refuse(node, said("the left side is a name, as dW, W.grad or dW[i, j]"))
        return made

    # -- expressions --

    def expression(self, node: ast.expr) -> lang.Expression:
        convert = _CONVERT.get(type(node))
        if convert is None:
            raise self.refuse(
                node, _REFUSED.get(type(node), said("this is not part of an answer: {allowed}", allowed=_ALLOWED))
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refuse(
                node, said("more than {most} operations inside each other: use a helper variable", most=MAX_DEPTH)
            )
        made = convert(self, node)
        self.depth -= 1
        return made

    def optional(self, node: ast.expr | None) -> lang.Expression | None:
        return None if node is None else self.expression(node)

    def constant(self, node: ast.Constant) -> lang.Expression:
        value = node.value
        if value is None or isinstance(value, bool) or value is Ellipsis:
            return lang.Constant(*self.at(node), value)
        if isinstance(value, int) or (isinstance(value, float) and value - value == 0):
            return lang.Number(*self.at(node), value, self._text(node))
        if isinstance(value, str):
            return lang.Text(*self.at(node), value)
        raise self.refuse(node, said("only finite real numbers are part of an answer"))

    def _text(self, node: ast.Constant) -> str:
        if hasattr(node, "written"):  # in a function of the learner's own
            return node.written
        row = self.rows[node.lineno - 1]
        return row.encode()[node.col_offset : node.end_col_offset].decode(errors="ignore")

    def _power_of_a_function(self, node: ast.Constant) -> str:
        """The function in front of the `**2` of `tanh**2(n)`; empty where none is."""
        before = self.rows[node.lineno - 1].encode()[: node.col_offset].decode(errors="ignore")
        found = re.search(r"([\w.]*[^\W\d][\w.]*)\s*\*\*\s*$", before)
        from tutor.symbolic.functions import FUNCTIONS

        known = {spelling for row in FUNCTIONS.values() for spelling in (row.name, *row.spellings)}
        return found[1] if found and found[1].rpartition(".")[2] in known else ""

    def name(self, node: ast.Name) -> lang.Expression:
        if node.id.startswith("__"):
            raise self.refuse(node, said("{id} is not part of an answer", id=node.id))
        return lang.Name(*self.at(node), node.id)

    def unary(self, node: ast.UnaryOp) -> lang.Expression:
        op = _OPERATORS.get(type(node.op))
        if op is None:
            raise self.refuse(node, said("not is not part of an answer: write ~mask"))
        return lang.Unary(*self.at(node), op, self.operand(node.operand))

    def operand(self, node: ast.expr) -> lang.Expression:
        """`[p - y]/N`: a list has no arithmetic, so the brackets around one formula are parentheses."""
        if isinstance(node, ast.List) and len(node.elts) == 1 and not isinstance(node.elts[0], _LISTABLE):
            note = said("line {line}: [ ] around a part of a formula is read as ( )", line=self.place(node)[0])
            if note not in self.notes:
                self.notes.append(note)
            return self.operand(node.elts[0])
        return self.expression(node)

    def binary(self, node: ast.BinOp) -> lang.Expression:
        op = _OPERATORS.get(type(node.op))
        if op is None:
            raise self.refuse(node, said("this operator is not part of an answer: use + - * / ** @"))
        shapes = op == "+" and all(isinstance(side, (ast.List, ast.Tuple)) for side in (node.left, node.right))
        side = self.expression if shapes else self.operand  # [N*D] + [K] is a shape
        return lang.Binary(*self.at(node), op, side(node.left), side(node.right))

    def compare(self, node: ast.Compare) -> lang.Expression:
        op = _OPERATORS.get(type(node.ops[0]))
        if len(node.ops) > 1 or op is None:
            raise self.refuse(node, said("compare two things at a time: (a < b) & (b < c)"))
        return lang.Binary(*self.at(node), op, self.expression(node.left), self.expression(node.comparators[0]))

    def choice(self, node: ast.IfExp) -> lang.Expression:
        """`a if c else b` is where(c, a, b), entry by entry."""
        at = self.at(node)
        where = lang.Attribute(*at, lang.Name(*at, "torch"), "where")
        return lang.Call(*at, where, tuple(map(self.expression, (node.test, node.body, node.orelse))), ())

    def call(self, node: ast.Call) -> lang.Expression:
        if isinstance(node.func, ast.Constant):
            text = self._text(node.func)
            if not hasattr(node.func, "written") and (power := self._power_of_a_function(node.func)):
                raise self.refuse(
                    node,
                    said(
                        "the power of a function stands behind its parentheses: {name}(x)**{text}",
                        name=power,
                        text=text,
                    ),
                )
            raise self.refuse(node, said("{text}(...) is not a product here: write {text}*(...)", text=text))
        if not isinstance(node.func, (ast.Name, ast.Attribute)):
            raise self.refuse(node, said("only a named function is called; a product needs its *: (a)*(b)"))
        own = self.names.functions.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if own is not None:
            return self._own_call(node, own)
        for given in node.keywords:
            if given.arg is None:
                raise self.refuse(node, said("** before an argument is not part of an answer: write the arguments out"))
            if given.arg == "inplace" and getattr(given.value, "value", True):
                raise self.refuse(
                    given,
                    said("inplace= is not part of an answer: write name = {dotted}(...)", dotted=_dotted(node.func)),
                )
            if given.arg == "out":
                call = f"{_dotted(node.func)}(...)"
                written = said("write {name} = {call}", name=self._half(given.value), call=call)
                raise self.refuse(given, said("out= is not part of an answer: {written}", written=written))
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr == "to"
            and list(map(_dotted, node.args)) == ["device"]
        ):
            return self.operand(node.func.value)
        kept = [given for given in node.keywords if given.arg != "device" or _dotted(given.value) != "device"]
        named = tuple((given.arg or "", self.argument(given.value)) for given in kept)
        arguments = tuple(map(self.argument, node.args))
        if isinstance(node.func, ast.Name) and node.func.id in _RELATIONS and len(arguments) == 2 and not named:
            return lang.Binary(*self.at(node), _RELATIONS[node.func.id], *arguments)  # SymPy's Eq(i, k)
        return lang.Call(*self.at(node), self.expression(node.func), arguments, named)

    def argument(self, node: ast.expr) -> lang.Expression:
        """Of a call: there `[K - 1]*4` repeats a list, which elsewhere is a formula in brackets."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.List):
            return lang.Binary(*self.at(node), "*", self.expression(node.left), self.expression(node.right))
        return self.expression(node)

    def _own_call(self, node: ast.Call, own: Function) -> lang.Expression:
        """A function of the learner's own, as its formula."""
        self.calls, self.called = self.calls + 1, self.called + 1
        try:
            if self.calls > MAX_CALLS or self.called > OWN_CALLS:
                raise ReadingError(said("functions of your own call one another too often: write their formulas out"))
            made = own.called(node)
        except ReadingError as error:
            raise self.refuse(node, error.message) from None
        read = self.expression(made)
        self.calls -= 1
        return read

    def attribute(self, node: ast.Attribute) -> lang.Expression:
        if node.attr.startswith("_"):
            raise self.refuse(node, said(".{attr} is not part of an answer", attr=node.attr))
        if isinstance(node.value, ast.Name) and node.value.id in self.names.modules:
            return lang.Attribute(*self.at(node), self._module(node.value), node.attr)
        return lang.Attribute(*self.at(node), self.operand(node.value), node.attr)

    def _module(self, node: ast.Name) -> lang.Expression:
        """What a name stands for that the file gives to a module."""
        root, *parts = self.names.modules[node.id].split(".")
        at = self.at(node)
        made: lang.Expression = lang.Name(*at, root)
        for part in parts:
            made = lang.Attribute(*at, made, part)
        return made

    def subscript(self, node: ast.Subscript) -> lang.Expression:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str) and key.isidentifier():
            owner = _dotted(node.value).removeprefix("self.")
            if owner not in _DICTS:
                raise self.refuse(node, said("a dict is not part of an answer: write {key} itself", key=key))
            return lang.Name(*self.at(node), _DICTS[owner] + key)
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return lang.Subscript(*self.at(node), self.expression(node.value), tuple(map(self.expression, items)))

    def slice(self, node: ast.Slice) -> lang.Expression:
        ends = (self.optional(node.lower), self.optional(node.upper), self.optional(node.step))
        return lang.Slice(*self.at(node), *ends)

    def sequence(self, node: ast.Tuple | ast.List) -> lang.Expression:
        return lang.Sequence(*self.at(node), tuple(map(self.expression, node.elts)))


_TYPES = ("torch.Tensor", "Tensor", "torch.FloatTensor", "np.ndarray", "np.array", "ndarray", "float", "int")

_DICTS = {
    **dict.fromkeys(("grads", "grad", "gradients", "dgrads"), "d"),  # grads["W"] is dW
    **dict.fromkeys(("params", "parameters"), ""),
}
_LISTABLE = (ast.Constant, ast.Name, ast.List, ast.Tuple, ast.Starred)
_RELATIONS = {"Eq": "==", "Ne": "!=", "Lt": "<", "Le": "<=", "Gt": ">", "Ge": ">=",
              "Equality": "==", "Unequality": "!="}  # fmt: skip
_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Import, ast.ImportFrom, ast.Pass)
_CONVERT: dict[type, Callable[[_Converter, Any], lang.Expression]] = {
    ast.Constant: _Converter.constant,
    ast.Name: _Converter.name,
    ast.UnaryOp: _Converter.unary,
    ast.BinOp: _Converter.binary,
    ast.Compare: _Converter.compare,
    ast.IfExp: _Converter.choice,
    ast.Call: _Converter.call,
    ast.Attribute: _Converter.attribute,
    ast.Subscript: _Converter.subscript,
    ast.Slice: _Converter.slice,
    ast.Tuple: _Converter.sequence,
    ast.List: _Converter.sequence,
}


def _says_again(name: str, value: ast.expr) -> bool:
    """`grads = {}`, `grads = {"W": dW, "b": db}`: nothing but what the members are called anyway."""
    if name not in _DICTS or not isinstance(value, ast.Dict):
        return False
    members = zip(value.keys, value.values, strict=True)
    return all(
        isinstance(key, ast.Constant) and isinstance(key.value, str) and _dotted(each) == _DICTS[name] + key.value
        for key, each in members
    )


def _name_of(value: lang.Expression | None) -> str:
    return value.name if isinstance(value, lang.Name) else ""


def _columns(target: ast.expr, rows: ast.expr) -> ast.expr:
    """`zip([a, c], [b, d])` for `[(a, b), (c, d)]`"""
    width = len(target.elts) if isinstance(target, ast.Tuple) else 0
    members = rows.elts if isinstance(rows, (ast.List, ast.Tuple)) else []
    given = [each.elts for each in members if isinstance(each, (ast.List, ast.Tuple)) and len(each.elts) == width]
    if not width or not given or len(given) < len(members):
        return rows
    columns: list[ast.expr] = [
        ast.copy_location(ast.List(list(column), ast.Load()), rows) for column in zip(*given, strict=True)
    ]
    return ast.copy_location(ast.Call(ast.copy_location(ast.Name("zip", ast.Load()), rows), columns, []), rows)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
