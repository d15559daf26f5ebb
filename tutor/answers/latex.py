r"""LaTeX -> statements: `\frac{\partial L}{\partial z_{ik}} = \frac{1}{N} (p_{ik} - y_{ik})`, never run.

A text is mathematics as it stands, or a document whose displayed mathematics is read and whose prose is passed over.
Rows of `aligned` that begin with `=` are successive lines of one derivation. One bad line does not hide the others.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lark import Token, Tree

from tutor.answers import language as lang
from tutor.answers import latex_constants as constants
from tutor.answers import latex_functions as functions
from tutor.answers import latex_trees as look
from tutor.answers.latex_grammar import CONDITION, MAX_TOKENS, WHEN, Tokenizer, is_function, parse
from tutor.answers.latex_meaning import Meaning, Unnamed
from tutor.answers.latex_names import CALLED, OWN_FUNCTION, REDUCTIONS, Names, Shape, Value
from tutor.answers.latex_regions import asks_where_zero, basis_vectors, defines_a_function, in_prose, regions
from tutor.answers.python import MAX_DEPTH, MAX_LENGTH, MAX_LINE, MAX_LINES
from tutor.errors import ReadingError
from tutor.language import said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

MAX_CHAIN = 200  # equalities in one chain
MAX_MOVED = 12  # names that are looked for behind a formula, and formulas for which none is found
_OPENING = ("LPAR", "LBRACKET", "LBRACE", "LSET", "LBAR", "LNORM", "LFLOOR", "LANGLE", "CASES")
_CLOSING = ("RPAR", "RBRACKET", "RBRACE", "RSET", "RBAR", "RNORM", "RFLOOR", "RANGLE", "ENDCASES")
_DIVIDERS = ("ROW", "NEWLINE", "SEPARATOR", "QUAD", "COMMA", "AMP", "TEXT", "DOT", "FORALL")
_OF_INDICES = (*_OPENING, *_CLOSING, "NUMBER", "DOTS", "COMMA", "ERROR")
_OF_A_DIFFERENTIAL = ("WORD", "ROMAN", "GREEK")  # `dL`, `\mathrm{d}\ell`
# words right after a formula that change its value; the last ones do so only where a formula follows
_JOINING = ("and", "or", "和", "与", "或", "以及")
_OPERATES = re.compile(
    r"(?:times|plus|minus|divided|multiplied|over|dot|product|mod|modulo|scaled|summed|averaged|less|without|up to)\b"
    r"|(?:and|or)\b"
    r"|再?[加减乘除](?:以|上|去)?|求和|取?平均|以及|和|与|或"
)
# words that begin a remark beside a formula: a reason, or what may be a condition as well
_REASONS = ("since", "because", "as", "by", "using", "note", "recall", "因为", "由于", "根据", "利用")
_ASIDES = (*_REASONS, "where", "with", "for", "when", "其中", "对", "当")
_INTRODUCING = ("where", "with", "其中")
_INSIDE = said("words stand before or after a formula, not inside it")
_LEFT = said(
    r"a line is name = formula, as \frac{\partial L}{\partial W} = x^\top \frac{\partial "
    r"L}{\partial z}"
)


def read(text: str, exercise: Exercise) -> lang.Sheet:
    """The sheet that a text in LaTeX is, in the names of an exercise."""
    reader = Reader(exercise)
    return lang.Sheet(reader.text(text), reader.notes())


@dataclass
class _Line:
    """A left side and what it is said to equal, in a row of the text."""

    left: list[Token]
    links: list[tuple[Token, list[Token]]] = field(default_factory=list)
    row: int = 0
    dotted: bool = False  # \dots was read beside it
    aside: str = ""  # the word that begins a remark beside another one: `\text{since } ...`
    continued: bool = False  # it goes on with one that an aside came after

    @property
    def last(self) -> list[Token]:
        return self.links[-1][1] if self.links else self.left


_MUST_BE = re.compile(r"\\(?:overset|stackrel)\s*\{\s*!\s*\}\s*\{?\s*$")
_PLAIN = ("+", "-", "*", "/", "**")


class Reader:
    """Reads one stretch of LaTeX after another; names given in one are known in the next."""

    def __init__(self, exercise: Exercise):
        self.names = Names(exercise)
        self.only_values = bool(exercise.asked) and all(exercise[name].kind == "value" for name in exercise.asked)
        self.said: list[str] = []
        self.rules: list[tuple[lang.Statement, str]] = []  # chain rules that are stated before their parts are known
        self.passed = ""  # why the last line was passed over that was so as a whole
        self.lines = self.symbols = 0
        self._placed: tuple[str, Callable[[int], tuple[int, int]]] = ("", lambda at: (1, at + 1))

    def notes(self) -> list[str]:
        made = [*self.said, *self.names.notes]
        self.said, self.names.notes = [], []
        return made

    def given(self, statements: Iterable[lang.Statement]) -> None:
        """Lines written in another way, which later formulas may read."""
        for statement in statements:
            for target in lang.targets(statement) if isinstance(statement, lang.Assign) else ():
                name = lang.variable(lang.root(target))
                if name:
                    self.names.define(name, None)

    def text(self, text: str) -> list[lang.Statement]:
        """A whole text, with or without prose around its mathematics."""
        if len(text) > MAX_LENGTH:
            raise ReadingError(
                said(
                    "the text has {count} characters; at most {most} are read: divide it",
                    count=len(text),
                    most=MAX_LENGTH,
                )
            )
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        made: list[lang.Statement] = []
        for start, stop in (*in_prose(text), *regions(text)):
            self.look_ahead(text, start, stop)
        for start, stop in regions(text):
            made += self.region(text, start, stop)
        return made

    def look_ahead(self, text: str, start: int, stop: int) -> None:
        """What a stretch says of spellings, for those before it as well: basis vectors, functions of one's own."""
        self.names.basis |= basis_vectors(text, start, stop)
        if not defines_a_function(text, start, stop):
            return
        said = list(self.said)
        with suppress(ReadingError):
            tokenizer = Tokenizer(text, self._place_in(text, 0), self._known)
            for line in _lines(tokenizer.read(start, stop))[0]:
                function = functions.defined(line.left) if line.links else None
                if function is not None:
                    _One(self, tokenizer, line).defines(function)
        self.said = said

    def region(self, text: str, start: int, stop: int, line: int = 0, demands: bool = False) -> list[lang.Statement]:
        """The statements of one stretch of mathematics; `line` lines come before the text.

        `demands` where the sentence in front says that a gradient is to be 0.
        """
        if not text[start:stop].strip():
            return []
        tokenizer = Tokenizer(text, self._place_in(text, line), self._known)
        tokens = tokenizer.read(start, stop, MAX_TOKENS - self.symbols)
        self.symbols += len(tokens)
        made: list[lang.Statement] = []
        lines, conditions = _lines(tokens)
        ones = _where_needed(_definitions_first([_One(self, tokenizer, row) for row in lines]))
        conditions |= {one.line.row for one in ones if one.governs()}
        solves = False
        for one in ones:
            self.lines += 1
            if self.lines > MAX_LINES:
                first = next(iter(one.line.left), None)
                raise ReadingError(
                    said("more than {most} lines: divide the sheet", most=MAX_LINES),
                    first.line or 1 if first is not None else 1,
                )
            one.demands, one.solves = demands, solves
            made += one.statements(conditional=one.line.row in conditions)
            solves = one.solves
        return made

    def inline(self, text: str, start: int, stop: int, line: int = 0) -> list[lang.Statement] | str:
        """A formula in the midst of a sentence: its statements where it gives a gradient a value, else why not."""

        def against(made: list[lang.Statement], known: Mapping[str, Shape | None]) -> str:
            gradients, others = self._apart(made)
            if gradients and all(self._names_a_formula(statement, known) for statement in others):
                made = gradients  # the others are names for them: \partial L/\partial z = \delta = (p - y)/N
            return next((reason for statement in made if (reason := self._quoted(statement))), "")

        return self._on_trial(text, start, stop, line, against)

    def definition(self, text: str, start: int, stop: int, line: int = 0, new: bool = False) -> list[lang.Statement]:
        r"""A formula in the midst of a sentence that gives a name to a formula; nothing where it is another.

        Of `\delta = \frac{\partial L}{\partial z} = (p - y)/N` the gradient is a line as well.
        """

        def against(made: list[lang.Statement], known: Mapping[str, Shape | None]) -> str:
            gradients, others = self._apart(made)
            if new and any(name in known for statement in others for name in _given(statement)):
                return "another"
            named = {name for statement in others for name in _given(statement)}
            fits = len(named) == 1 and all(self._names_a_formula(statement, known) for statement in others)
            return "" if fits and not any(map(self._quoted, gradients)) else "another"

        made = self._on_trial(text, start, stop, line, against)
        return [] if isinstance(made, str) else made

    def _apart(self, made: list[lang.Statement]) -> tuple[list[lang.Statement], list[lang.Statement]]:
        """The lines that give a gradient, and the others."""
        judged = [any(self.names.is_gradient(name) for name in _given(each)) for each in made]
        gradients = [each for each, is_one in zip(made, judged, strict=True) if is_one]
        return gradients, [each for each, is_one in zip(made, judged, strict=True) if not is_one]

    def _on_trial(
        self,
        text: str,
        start: int,
        stop: int,
        line: int,
        against: Callable[[list[lang.Statement], Mapping[str, Shape | None]], str],
    ) -> list[lang.Statement] | str:
        """Statements, or what is against them; nothing is known of these then. `against` sees what was known before."""
        names, said, unread = self.names, list(self.said), dict(self.names.unread)
        held = dict(names.shapes), set(names.given), set(names.locals), list(names.notes)
        self.passed = ""
        try:
            made = self.region(text, start, stop, line)
            reason = against(made, held[0]) or ("" if made else self.passed)
        except ReadingError as error:
            made, reason = [], error.message
        if made and not reason:
            return made
        names.shapes, names.given, names.locals, names.notes = held
        self.said, names.unread = said, unread
        return reason

    def _names_a_formula(self, statement: lang.Statement, known: Mapping[str, Shape | None]) -> bool:
        if not isinstance(statement, lang.Assign) or isinstance(statement.value, lang.Number):
            return False  # a number is a case that is spoken of
        name = lang.variable(lang.root(statement.targets[0])) or ""
        new = not (name in known or self.names.is_gradient(name) or name in self.names.indices)
        return (
            (new or self._is_another_step(statement, name, known))
            and not self.names.is_called_loss(name)
            and not self.missing(statement.value)
        )

    def _is_another_step(self, statement: lang.Assign, name: str, known: Mapping[str, Shape | None]) -> bool:
        """`Let $r = y - x$`, where the exercise's r may be another: plain arithmetic that makes a whole of its shape.

        What else a sentence says of a step is how the exercise has it, in the words of another course.
        """
        quantity = self.names.exercise.quantities.get(name)
        if quantity is None or quantity.is_leaf or not isinstance(statement.targets[0], lang.Name):
            return False
        plain = all(
            isinstance(node, (lang.Name, lang.Number, lang.Unary))
            or (isinstance(node, lang.Binary) and node.op in _PLAIN)
            for node in lang.walk(statement.value)
        )
        return plain and self.names.shapes.get(name) == known.get(name)

    def _quoted(self, statement: lang.Statement) -> str:
        """Why a statement in prose is no answer: a rule that is quoted, a case that is discussed."""
        if isinstance(statement, lang.Unreadable):
            return statement.reason
        if not isinstance(statement, lang.Assign):
            return said("it gives nothing a value")
        name = lang.variable(lang.root(statement.targets[0])) or ""
        if not self.names.is_gradient(name):
            return said("{name} is no gradient of the exercise", name=name)
        if isinstance(statement.value, lang.Number) and statement.value.value == 0:
            return said("0 alone is read as a case that is discussed")
        missing = self.missing(statement.value)
        return said("{missing} has no line of its own before", missing=missing) if missing else ""

    def missing(self, node: lang.Expression) -> str:
        """A gradient or local derivative that is read and was not given."""
        for part in lang.walk(node):
            name = part.name if isinstance(part, lang.Name) else ""
            if name in self.names.locals and name not in self.names.given:
                return name
            if name not in self.names.given and self.names.is_gradient(name) and not self.only_values:
                return name
        return ""

    def _place_in(self, text: str, line: int) -> Callable[[int], tuple[int, int]]:
        """1-based line and column of a position; the beginnings of lines are found once."""
        if self._placed[0] is not text or line:
            starts = [0, *(found.end() for found in re.finditer("\n", text))]

            def place(at: int) -> tuple[int, int]:
                row = bisect_right(starts, at) - 1
                return line + row + 1, at - starts[row] + 1

            self._placed = (text, place)
        return self._placed[1]

    def _known(self, word: str) -> bool:
        return self.names.known(word) or self.names.known(f"d{word}") or word.lower() in CALLED or word in ("T", "d")


# -- tokens -> lines ---------------------------------------------------------------------------------------


@dataclass
class _Piece:
    """What stands between dividers, and the dividers in front of it."""

    before: list[Token]
    tokens: list[Token]

    @property
    def divider(self) -> str:
        """The one that says most: a row, words or a set, else the first; a text begins with a row."""
        kinds = [token.type for token in self.before] or ["ROW"]
        strong = [kind for kind in kinds if kind in ("ROW", "TEXT", "FORALL")]
        return strong[-1] if strong else kinds[0]

    @property
    def begins_row(self) -> bool:
        kinds = [token.type for token in self.before]
        return "ROW" in kinds or ("NEWLINE" in kinds and "SEPARATOR" not in kinds)

    @property
    def aside(self) -> str:
        r"""`since` of `&& \text{since we have } r = x - y`; what begins a row is no remark beside it."""
        words = [token.value.lower().lstrip("(（ ") for token in self.before if token.type == "TEXT"]
        if self.begins_row or not words:
            return ""
        begins = (word for word in _ASIDES if words[-1].startswith(word))
        return next((word for word in begins if not word.isascii() or words[-1].split()[0] == word), "")

    @property
    def applied(self) -> Token | None:
        r"""`\text{diag}` with no space to what follows it: a word that nothing tells from an operation."""
        word = self.before[0] if len(self.before) == 1 else None
        return word if word is not None and word.type == "TEXT" and self.tokens and is_function(word.value) else None

    @property
    def operation(self) -> Token | None:
        r"""`\text{times}`, `\text{plus}` right after a formula: words that change its value."""
        apart = False  # in a column of its own words are a remark, unless a formula follows
        for token in self.before:
            if token.type in ("ROW", "NEWLINE", "AMP"):
                return None
            apart = apart or token.type == "QUAD"
            if token.type == "TEXT" and (found := _OPERATES.match(token.value.lower().lstrip("(（"))):
                joining = apart or found[0] in _JOINING
                return token if not joining or (self.tokens and not self.equal) else None
        return None

    @property
    def like_indices(self) -> bool:
        r"""`k`, `(i, k)`, `\{1, \dots, N\}`, `N \times K`: what follows `\forall i,` or `\in`."""
        return bool(self.tokens) and all(
            token.type in _OF_INDICES or (token.type == "WORD" and len(token) == 1) or str(token) == "times"
            for token in self.tokens
        )

    @property
    def equal(self) -> bool:
        return any(token.type == "EQUALS" for token in self.tokens)

    @property
    def definition(self) -> list[Token]:
        r"""`r := x - y` of `(r := x - y)`, `(r_i = x_i - y_i)` beside a formula; nothing where it is another."""
        signs = [n for n, token in enumerate(self.tokens) if token.type == "DEFINES" or str(token) == "=="]
        beside = self.divider in ("QUAD", "AMP", "TEXT", "SEPARATOR", "COMMA") and self.begins("LPAR")
        if not beside or self.tokens[-1].type != "RPAR" or len(signs) != 1 or signs[0] < 2:
            return []
        given = any(token.type == "BIG" for token in self.tokens[: signs[0]])
        if given or not (self.tokens[signs[0]].type == "DEFINES" or self._is_an_equation):
            return []
        inside = self.tokens[1:-1]
        inside[signs[0] - 1] = Token.new_borrow_pos("EQUALS", "=", inside[signs[0] - 1])
        return inside

    def begins(self, *kinds: str) -> bool:
        return bool(self.tokens) and self.tokens[0].type in kinds

    @property
    def condition(self) -> bool:
        r"""`x_i > 0` beside a formula says when it holds; `1 \le i \le N`, `(i = 1, ...)` what an index runs over."""
        kinds = [token.type for token in self.tokens]
        remark = kinds[:2] in (["NUMBER", "REL"], ["LPAR", "NUMBER"], ["LPAR", "TEXT"]) or "DOTS" in kinds
        return "REL" in kinds and not remark and not self._is_an_equation

    @property
    def _is_an_equation(self) -> bool:
        r"""`(r_i = x_i - y_i)`, `(\sum_k y_k = 1)`: what always holds, and no choice as in `(y_i = 1)`."""
        signs = [n for n, token in enumerate(self.tokens) if token.type == "REL"]
        if len(signs) != 1 or str(self.tokens[signs[0]]) != "==" or self.tokens[-1].type != "RPAR":
            return False
        left, right = self.tokens[1 : signs[0]], self.tokens[signs[0] + 1 : -1]
        if any(token.type in ("PARTIAL", "NABLA") for token in left):
            return False  # a gradient is no remark
        computed = any(token.type in ("SIGN", "OP", "FRAC") for token in right[1:])
        return self.begins("LPAR") and (any(token.type == "BIG" for token in left) or (len(left) > 1 and computed))


def _pieces(tokens: list[Token]) -> list[_Piece]:
    """What stands between dividers, outside all brackets; the last may be empty, with words in front of it."""
    made: list[_Piece] = []
    current: list[Token] = []
    before: list[Token] = []
    depth_ = 0
    for token in _without_words(tokens):
        depth_ += (token.type in _OPENING) - (token.type in _CLOSING)
        if token.type == "ERROR" and "never closed" in token.value:
            depth_ = 0
        if depth_ <= 0 and token.type in _DIVIDERS:
            if current:
                made.append(_Piece(before, current))
                before, current = [], []
            before.append(token)
        else:
            current.append(token)
    made.append(_Piece(before, current))
    return made


def _without_words(tokens: list[Token]) -> list[Token]:
    r"""`(\text{chain rule})`, `(\because \sum_k y_k = 1)` are remarks; `(\text{if } x > 0)` is a condition."""
    made: list[Token] = []
    opened: list[int] = []  # where the brackets stand that are open
    for token in tokens:
        made.append(token)
        if token.type in _OPENING:
            opened.append(len(made) - 1)
        elif token.type in _CLOSING and opened:
            start = opened.pop()
            if made[start].type == "LPAR" and len(made) > start + 2 and made[start + 1].type in ("TEXT", "SEPARATOR"):
                made[start:] = [_remark_of(made[start + 1 : -1])]
    return made


def _remark_of(tokens: list[Token]) -> Token:
    """One symbol for a remark in parentheses."""
    first, *rest = tokens
    compared = any(token.type == "REL" for token in rest)
    if first.type == "TEXT" and compared and first.value.lower() in WHEN and _Piece([], rest).condition:
        return _error(_Piece([], tokens), CONDITION)
    return Token("TEXT", f"({first.value}", start_pos=first.start_pos, line=first.line, column=first.column,
                 end_pos=tokens[-1].end_pos)  # fmt: skip


def _lines(tokens: list[Token]) -> tuple[list[_Line], set[int]]:
    """Left sides with their chains of equalities, and the rows in which a condition stands."""
    pieces = _pieces(tokens)
    made: list[_Line] = []
    conditions: set[int] = set()
    row, remark = 0, False
    for n, piece in enumerate(pieces):
        following = pieces[n + 1] if n + 1 < len(pieces) else None
        row += piece.begins_row
        line = made[-1] if made else None
        if line is not None and line.links and not remark and (word := piece.operation) is not None:
            line.last.append(_error(_Piece([], [word]), said(
                "{word} is a word that changes the formula before it: write the operation itself", word=word.value[:20]
            )))  # fmt: skip
        if not piece.tokens:
            break
        if line is not None and line.links and (inside := piece.definition):
            made.append(_Line([], row=row, aside="("))
            _extend(made[-1], _Piece([], inside))
            continue
        how = "new" if line is None else _joins(piece, line, following, remark)
        if how == "new":
            made.append(_Line([], row=row, aside=piece.aside if line is not None and line.links else ""))
        elif piece.begins_row and piece.begins("EQUALS") and (main := _before_asides(made)) is not made[-1]:
            made.append(_Line(main.left, row=row, continued=True))
        line = made[-1]
        if line.links and (word := piece.applied) is not None and how != "new":
            line.last.append(_error(_Piece([], [word]), _INSIDE))
        if how != "dropped":
            _extend(line, piece)
        elif line.links and piece.condition:
            line.last.append(_error(piece, CONDITION))
        line.dotted = line.dotted or any(token.type == "DOTS" for token in piece.tokens)
        remark = how == "dropped" or (remark and not piece.equal) or line.dotted
        if any(token.type == "ERROR" and token.value == CONDITION for token in line.last):
            conditions.add(row)
    return made, conditions | _alone(made)


def _before_asides(lines: list[_Line]) -> _Line:
    """The line that remarks stand beside, with which the next row goes on."""
    return next((line for line in reversed(lines) if not line.aside), lines[-1])


def _alone(lines: list[_Line]) -> set[int]:
    r"""Rows that a comparison governs: `x > 0 \Rightarrow dx = dy`; alone in its row it governs the next."""
    rows = {line.row for line in lines if line.links}
    governing = {line.row for line in lines if not line.links and _condition(line.left)}
    return {row if row in rows else row + 1 for row in governing}


def _condition(tokens: list[Token]) -> bool:
    """Whether a comparison stands alone, and all of it can be read."""
    return _Piece([], tokens).condition and not any(token.type == "ERROR" for token in tokens)


def _extend(line: _Line, piece: _Piece) -> None:
    if piece.divider in ("COMMA", "DOT") and line.last and not piece.equal:
        line.last.append(_misplaced(piece))
    given = False  # a condition has begun: `\text{if } y_i = 1` has an equality of its own
    for token in piece.tokens:
        given = given or (token.type == "ERROR" and token.value == CONDITION)
        if token.type == "EQUALS" and not given:
            line.links.append((token, []))
        else:
            line.last.append(token)


def _misplaced(piece: _Piece) -> Token:
    if piece.condition:
        return _error(piece, CONDITION)
    if piece.divider == "DOT":
        return _error(piece, said("a full stop ends a formula"))
    return _error(piece, said("a comma ends a formula, or divides two of them"))


def _error(piece: _Piece, reason: str) -> Token:
    first = piece.tokens[0]
    return Token(
        "ERROR", reason, start_pos=first.start_pos, line=first.line, column=first.column, end_pos=first.end_pos
    )


def _joins(piece: _Piece, line: _Line, following: _Piece | None, remark: bool) -> str:
    """Whether a piece goes on with the line, begins a new one, or is a remark (`remark`: one stands before it)."""
    if piece.begins("EQUALS"):
        return "joined"
    if piece.divider not in ("ROW", "NEWLINE", "AMP") and piece.like_indices:
        ranges = following is not None and following.divider == "FORALL"  # `k \in`
        if remark or (ranges and line.links and line.last):
            return "dropped"
    if piece.divider in ("ROW", "NEWLINE") and piece.equal and any(token.type == "ERROR" for token in line.left):
        return "new"
    open_end = not line.last or line.last[-1].type in ("OP", "SIGN", "BIG")
    left_side = (
        following is not None and following.divider == "AMP" and following.begins("EQUALS") and line.links and line.last
    )
    if open_end and line.links and not piece.equal:
        return "joined"
    if left_side or (piece.equal and (line.links or piece.divider not in ("AMP", "NEWLINE"))):
        return "new"
    if piece.begins("SIGN", "OP") and piece.divider in ("AMP", "ROW", "NEWLINE"):
        return "joined"
    if piece.divider == "SEPARATOR" and not piece.condition and "DOTS" not in [t.type for t in piece.tokens]:
        return "new"  # `\Rightarrow 8` says something, and not what
    if piece.divider in ("TEXT", "FORALL", "SEPARATOR") or (piece.divider in ("QUAD", "AMP") and _remark(piece)):
        return "dropped"
    if piece.divider in ("QUAD", "AMP") and piece.begins("LPAR"):
        line.last.append(_error(piece, said(
            r"parentheses after a wide space are a factor or a remark: write \cdot before a factor, \text{...} in a "
            "remark"
        )))  # fmt: skip
        return "dropped"
    if piece.divider == "COMMA" and any(token.type == "DOTS" for token in [*piece.tokens, *line.last]):
        return "dropped"
    return "new" if piece.divider == "ROW" else "joined"


def _remark(piece: _Piece) -> bool:
    r"""`(i = 1, \dots, N)`, `(2)`, `(N \times K)`; other parentheses may be a factor."""
    kinds = [token.type for token in piece.tokens]
    if any(kind in ("REL", "DOTS", "TEXT") for kind in kinds) or kinds in (
        ["LPAR", k, "RPAR"] for k in ("NUMBER", "OP")
    ):
        return True
    return piece.begins("LPAR") and piece.like_indices and len(kinds) > 3


# -- one line -> statements -----------------------------------------------------------------------------------


class _One:
    """One left side with its chain."""

    def __init__(self, reader: Reader, tokenizer: Tokenizer, line: _Line):
        self.reader, self.names, self.tokenizer, self.line = reader, reader.names, tokenizer, line
        self.target: lang.Expression | None = None
        self.barred: tuple[str, ReadingError] | None = None  # a name with a bar that nothing settled yet
        self.demands = False  # the sentence in front of it says that a gradient is to be 0
        self.solves = False  # a gradient was to be 0: what is solved for then is no answer

    def statements(self, conditional: bool = False) -> list[lang.Statement]:
        """What the line says; `conditional` where a condition stands in its row."""
        line = self.line
        if self._binds_an_index() or (conditional and not line.links and _condition(line.left)):
            return []
        if line.aside == "(" and not self.new_name():
            return []  # it says again what is known
        if line.aside in _REASONS and (self.chooses() or self._equates_indices()):
            return []
        if not line.links:
            return self._without_equals()
        function = functions.defined(line.left)
        if function is not None and self.defines(function):
            return []
        if self._is_a_total_differential() or self._is_the_differential_of_a_step():
            return self._as_a_total_differential()
        demanded = self._demanded()
        if demanded:
            self.solves = True
            whole = demanded == len(line.links)
            says = said("a condition, which says where a gradient is 0 and not what it is")
            self._pass_over(says, self._shown(self._all()) if whole else "= 0")
            if whole:
                return []
            line.links.pop()
        elif self.solves and self._is_of_the_exercise():
            self._pass_over(said("it follows from a condition"), self._shown(self._all()))
            return []
        self._turn_round()
        try:
            self.target, shape, factor = self._left()
        except Unnamed as error:
            self.reader.passed = error.message
            self.reader.said.append(said("line {line}: passed over: {reason}", line=error.line, reason=error.message))
            return []
        except ReadingError as error:
            return self._passed(line.links[0][0], error.message) if self._is_a_fact() else [
                self._unreadable(self._all(), error)
            ]  # fmt: skip
        if conditional and self.chooses():
            return []
        if conditional and not any(token.type == "ERROR" for token in self._all()):
            first = self._all()[0]
            return [self._unreadable(self._all(), ReadingError(CONDITION, first.line or 1, first.column or 1))]
        items = self.target.items if isinstance(self.target, lang.Subscript) else ()
        made: list[lang.Statement] = []
        called: list[tuple[int, lang.Expression]] = []
        with self.names.binding(item.name for item in items if isinstance(item, lang.Name)):
            for n, (sign, _) in enumerate(line.links):
                if n >= MAX_CHAIN:
                    says = said("more than {most} equalities in one chain: begin a new line", most=MAX_CHAIN)
                    return [*made, self._unreadable([sign], ReadingError(says, sign.line or 1))]
                also = self._also_called(n) if factor is None else None
                if also is not None:
                    called.append((n, also))
                else:
                    made += self._link(n, shape, factor)
            if any(isinstance(statement, lang.Assign) for statement in made):
                made += [self._called(n, also, shape) for n, also in called]
            else:
                made += [statement for n, _ in called for statement in self._link(n, shape, factor)]
        return made

    def defines(self, function: functions.Defined) -> bool:
        r"""Whether `\sigma(u) = ...` says what a function is; one that is not the known one is the learner's own."""
        names = self.names
        if names.known(function.name) or names.is_loss(function.name) or names.is_gradient(function.name):
            return False
        own = not names.known(function.letter) and function.letter not in names.indices
        if function.primes and not (function.known or own):
            return False  # f'(w) = 2w may be an answer
        held = dict(names.shapes)
        names.shapes[function.letter] = ()
        value = self._node(self.line.links[-1][1])
        names.shapes = held
        formula = self._shown(self._all())
        known = functions.is_the_known(function, value)
        if known is None:
            return False
        if known:
            self._pass_over(said("the function that is known by this name"), formula)
        else:
            names.functions.add(function.name)
            self._pass_over(said("a function of your own; {hint}", hint=OWN_FUNCTION), formula)
        self.reader.passed = OWN_FUNCTION
        return True

    def _demanded(self) -> int:
        r"""How many equalities say no more than `\overset{!}{=} 0`, or `= 0` after "Setting this to zero"."""
        sign, tokens = self.line.links[-1]
        if [str(token) for token in tokens if token.type not in ("LBRACE", "RBRACE")] != ["0"]:
            return 0
        at = sign.start_pos or 0
        text = self.tokenizer.text
        told = len(self.line.links) > 1 and asks_where_zero(text, at)
        if not (self.demands or told or _MUST_BE.search(text[max(0, at - 40) : at])):
            return 0
        node = self._named()
        base = lang.root(node) if node is not None else None
        if not isinstance(base, lang.Name):  # 2(wx + b - y)x = 0
            return len(self.line.links)
        return 1 if self.names.is_gradient(base.name) else 0

    def _is_of_the_exercise(self) -> bool:
        r"""`\implies w = (y - b)/x`: a value of what the exercise gives."""
        node = self._named()
        base = lang.root(node) if node is not None else None
        quantity = self.names.exercise.quantities.get(base.name) if isinstance(base, lang.Name) else None
        return quantity is not None and quantity.is_leaf

    def _pass_over(self, reason: str, formula: str) -> None:
        line = self._all()[0].line
        self.reader.said.append(
            said("line {line}: passed over: {formula} ({reason})", line=line, formula=formula[:60], reason=reason)
        )

    def _is_a_total_differential(self) -> bool:
        r"""`dL = \frac{\partial L}{\partial w}\,dw`: a gradient of L with respect to itself hangs on no other."""
        left = self.line.left
        if any(token.type not in _OF_A_DIFFERENTIAL for token in left):
            return False
        node = self._node(left, left=True)
        name = node.name if isinstance(node, lang.Name) else ""
        if not name.startswith("d") or self.names.is_value(name) or not self.names.is_loss(name[1:]):
            return False
        return any(self._holds_a_differential(tokens) for _, tokens in self.line.links)

    def _is_the_differential_of_a_step(self) -> bool:
        r"""`dY = dX\,W + X\,dW + \mathbf 1\,db^\top`: each term has the change of something that Y is computed from."""
        left = self.line.left
        if len(self.line.links) != 1 or any(token.type in ("PARTIAL", "NABLA", "FRAC", "ERROR") for token in left):
            return False
        node = self._node(left, left=True)
        base = lang.root(node) if node is not None else None
        name = base.name if isinstance(base, lang.Name) else ""
        changed = self.names.exercise.differentiated(name)
        if changed is None or not name.startswith("d") or self.names.is_value(name):
            return False
        inputs = {f"d{each}" for each in self.names.computed_from(changed)} - self.names.given
        terms = _terms(self.line.links[0][1])
        return bool(terms) and all(self._has_one_of(term, inputs) for term in terms)

    def _has_one_of(self, tokens: list[Token], inputs: set[str]) -> bool:
        r"""Whether a term holds one such d, also in a sum in parentheses, and no other gradient."""
        meaning = self._meaning()
        with suppress(ReadingError):  # \mathbf 1 db^\top has no size
            meaning.side(parse(tokens))
        found = meaning.differentials
        grouped = any(token.type in ("LPAR", "LBRACKET") for token in tokens)
        gradient = any(token.type in ("PARTIAL", "NABLA") for token in tokens)
        return set(found) <= inputs and (len(found) == 1 or (grouped and len(found) > 1)) and not gradient

    def _holds_a_differential(self, tokens: list[Token]) -> bool:
        r"""`dw` as it stands, and not below a derivative's line; also where a part of the formula is in no language."""
        meaning = self._meaning()
        try:
            meaning.side(parse(tokens))
            readable = True
        except ReadingError:
            readable = False
        found = [name for name in meaning.differentials if not self.names.is_loss(name[1:])]
        if not self.names.losses:  # dL may be the learner's name for a gradient that is given
            return any(name not in self.names.given for name in found)
        if found:
            return True
        return not readable and any(self._looks_like_a_differential(tokens, n) for n in range(len(tokens)))

    def _looks_like_a_differential(self, tokens: list[Token], n: int) -> bool:
        token, before = tokens[n], [each.type for each in tokens[max(0, n - 2) : n]]
        below = before == ["RBRACE", "LBRACE"] or (n > 0 and str(tokens[n - 1]) == "/")
        if token.type not in ("WORD", "ROMAN") or below or before[-1:] == ["PARTIAL"]:
            return False
        word, following = str(token), tokens[n + 1] if n + 1 < len(tokens) else None
        if word == "d":
            of_what = following is not None and following.type in (*_OF_A_DIFFERENTIAL, "LPAR", "ACCENT")
            return of_what and not self.names.known("d") and not self.names.is_loss(str(following))
        ends = (word[k:] for k in range(len(word) - 1) if word[k] == "d")  # rxdw
        return any(self.names.is_gradient(end) and not self.names.is_loss(end[1:]) for end in ends)

    def _as_a_total_differential(self) -> list[lang.Statement]:
        self.reader.passed = said("a total differential")
        formula = self._shown(self._all())[:60]
        line = self._all()[0].line
        self.reader.said.append(
            said("line {line}: passed over: {formula} (a total differential)", line=line, formula=formula)
        )
        return []

    def _turn_round(self) -> None:
        r"""`\delta := \frac{\partial L}{\partial z} = ...` gives the gradient, and a name of the learner's to it."""
        line = self.line
        if len(line.links) < 2 or any(token.type in ("PARTIAL", "NABLA", "ERROR") for token in line.left):
            return
        (sign, tokens), *more = line.links
        own, named = (self._node(each, left=True) for each in (line.left, tokens))
        base, gradient = (lang.root(node) if node is not None else None for node in (own, named))
        if not isinstance(base, lang.Name) or not isinstance(gradient, lang.Name):
            return
        new = not (self.names.known(base.name) or self.names.is_gradient(base.name))
        whole = isinstance(named, (lang.Name, lang.Subscript)) and isinstance(own, (lang.Name, lang.Subscript))
        if new and whole and self.names.is_gradient(gradient.name) and gradient.name not in self.names.given:
            self.line = replace(line, left=tokens, links=[(sign, line.left), *more])

    def _also_called(self, n: int) -> lang.Expression | None:
        r"""`dz = \delta = (p - y)/N`: a new name that stands alone in a chain is one of the learner's for the whole."""
        tokens = self.line.links[n][1]
        if len(self.line.links) < 2 or any(token.type in ("PARTIAL", "NABLA", "ERROR") for token in tokens):
            return None
        node = self._node(tokens, left=True)
        if node is None:
            return None
        base = lang.root(node)
        if not isinstance(node, (lang.Name, lang.Subscript)) or not isinstance(base, lang.Name):
            return None
        names = self.names
        new = not (names.known(base.name) or names.is_gradient(base.name) or base.name in names.indices)
        return node if new and base.name not in ("pi", "inf", "e") and not names.is_called_loss(base.name) else None

    def _called(self, n: int, also: lang.Expression, shape: object) -> lang.Statement:
        sign, tokens = self.line.links[n]
        assert self.target is not None
        several = isinstance(also, lang.Subscript)
        axes = tuple(f"?{n}" for n in range(len(also.items))) if several else shape  # type: ignore[attr-defined]
        self.names.define(lang.root(also).name, axes)  # type: ignore[attr-defined, arg-type]
        return lang.Assign(*self._start([sign, *tokens]), (also,), self.target, latex=True)

    def _node(self, tokens: list[Token], left: bool = False) -> lang.Expression | None:
        """What these symbols stand for, or None where they cannot be read."""
        try:
            return self._meaning(left=left).side(parse(tokens)).node
        except ReadingError:
            return None

    def new_name(self) -> str:
        """The name on the left, where nothing had it so far; else empty."""
        node = self._named()
        name = lang.root(node).name if node is not None else ""  # type: ignore[attr-defined]
        names = self.names
        own = name in names.indices or names.known(name) or names.is_gradient(name) or names.is_loss(name)
        return "" if own else name

    def _named(self) -> lang.Name | lang.Subscript | None:
        node = self._node(self.line.left, left=True) if self.line.left and self.line.links else None
        named = isinstance(node, (lang.Name, lang.Subscript)) and isinstance(lang.root(node), lang.Name)
        return node if named else None  # type: ignore[return-value]

    def gives_a_formula(self) -> bool:
        """Whether what is said to be equal to the name on the left can be read as it stands, before its formula."""
        node = self._named()
        items = node.items if isinstance(node, lang.Subscript) else ()
        tokens = self.line.links[-1][1]
        with self.names.binding(item.name for item in items if isinstance(item, lang.Name)):
            value = self._node(tokens) if tokens else None
        return value is not None and not self.reader.missing(value)

    def can_be_read(self) -> bool:
        """Whether each of its right sides can be read with the names that are known; a left side alone is no reason."""
        node = self._named()
        items = node.items if isinstance(node, lang.Subscript) else ()
        with self.names.binding(item.name for item in items if isinstance(item, lang.Name)):
            return all(self._node(tokens) is not None for _, tokens in self.line.links if tokens)

    def give(self) -> bool:
        """Its new name is known from here on, with the axes of its value; False where that cannot be read."""
        name, shape = self.new_name(), self.shape_given()
        if not name or not self.gives_a_formula():
            return False
        self.names.shapes[name] = shape if shape is not None else self._shape(self.line.links[-1][1])
        return True

    def _shape(self, tokens: list[Token]) -> Shape | None:
        try:
            return self._meaning().side(parse(tokens)).shape
        except ReadingError:
            return None

    def shape_given(self) -> Shape | None:
        """The axes of a name that is given entry by entry."""
        node = self._named()
        return tuple(f"?{n}" for n in range(len(node.items))) if isinstance(node, lang.Subscript) else None

    def governs(self) -> bool:
        """Whether its row holds for some entries alone; a reason is none to think so."""
        return self.line.aside not in _REASONS and self.chooses()

    def chooses(self) -> bool:
        r"""`k = y_i`, `y_{ik} = 1` beside a formula say which entries it is for."""
        left, links = self.line.left, self.line.links
        if len(left) == 1 and left[0].type == "WORD" and len(links) == 1:
            return str(left[0]) in self.names.indices and not self._binds_an_index()
        numeral = [[token.type for token in tokens if token.type != "SIGN"] for _, tokens in links] == [["NUMBER"]]
        if not numeral or not any(token.type == "SUB" for token in left):
            return False
        node = self._node(left, left=True)
        if node is None:
            return False
        base = lang.root(node)
        return isinstance(node, lang.Subscript) and isinstance(base, lang.Name) and self.names.is_forward(base.name)

    def _equates_indices(self) -> bool:
        """`j = i`, as a reason why a sum has one term."""
        sides = [self.line.left, *(tokens for _, tokens in self.line.links)]
        letters = [str(side[0]) for side in sides if len(side) == 1 and side[0].type == "WORD" and len(side[0]) == 1]
        return len(letters) == len(sides) and any(letter in self.names.indices for letter in letters)

    def _is_a_fact(self) -> bool:
        r"""`\sum_k y_{ik} = 1`: no gradient is in it, and none is given."""
        for tokens in (self.line.left, *(tokens for _, tokens in self.line.links)):
            if not tokens or any(token.type in ("PARTIAL", "NABLA", "ERROR") for token in tokens):
                return False
            node = self._node(tokens)
            if node is None:
                return False
            names = [part.name for part in lang.walk(node) if isinstance(part, lang.Name)]
            if any(self.names.is_gradient(name) or name in self.names.locals for name in names):
                return False
        return True

    def _without_equals(self) -> list[lang.Statement]:
        """A formula that gives nothing a value is passed over where it is commentary, else refused."""
        first = self.line.left[0]
        error = next((t for t in self.line.left if t.type == "ERROR"), None)
        reason, at = (error.value, error) if error is not None else (_LEFT, first)
        return [self._unreadable(self.line.left, ReadingError(reason, at.line or 1, at.column or 1))]

    def _all(self) -> list[Token]:
        return [*self.line.left, *(token for sign, tokens in self.line.links for token in (sign, *tokens))]

    def _binds_an_index(self) -> bool:
        r"""`i = 1, \dots, N` says what an index runs over."""
        left = self.line.left
        if len(left) != 1 or left[0].type != "WORD":
            return False
        links = [[token.type for token in tokens] for _, tokens in self.line.links]
        return any("DOTS" in kinds for kinds in links) or (self.line.dotted and links == [["NUMBER"]])

    def _meaning(self, left: bool = False) -> Meaning:
        tokenizer = self.tokenizer
        spaced = {tokenizer.tokens[n].start_pos for n in tokenizer.spaced if n < len(tokenizer.tokens)}
        return Meaning(self.names, tokenizer.place, spaced.__contains__, left)

    def _checked(self, tokens: list[Token]) -> list[Token]:
        first, last = tokens[0], tokens[-1]
        if (last.end_pos or 0) - (first.start_pos or 0) > MAX_LINE:
            raise ReadingError(
                said("a line of more than {most} characters: use a helper of your own", most=MAX_LINE),
                first.line or 1,
                first.column or 1,
            )
        return tokens

    def _left(self) -> tuple[lang.Expression, object, lang.Expression | None]:
        if not self.line.left:
            sign = self.line.links[0][0]
            raise ReadingError(said("nothing stands on the left: {left}", left=_LEFT), sign.line or 1, sign.column or 1)
        tree = parse(self._checked(self.line.left))
        meaning = self._meaning(left=True)
        value = meaning.side(tree)
        node = value.node
        base = lang.root(node)
        if (
            not isinstance(base, lang.Name)
            or not isinstance(node, (lang.Name, lang.Subscript))
            or base.name in ("pi", "inf")
        ):
            bare = re.search(r"_[A-Za-z]{2}", self._shown(self.line.left))
            hint = said("; more than one letter below stands in braces, x_{ik}") if bare else ""
            raise meaning.refuse(tree, said("on the left stands one name: {left}{hint}", left=_LEFT, hint=hint))
        self.barred = meaning.barred if base.name not in self.names.shapes else None
        node, factor = self._diagonal(node)
        return node, value.shape, factor

    def _settle_bar(self, value: Value) -> None:
        r"""`\bar g_i = \frac{1}{D} \sum_j g_{ij}` gives a name of the learner's: no gradient of g has that shape."""
        assert self.barred is not None
        base, error = self.barred
        of, target = self.names.shapes[base] or (), self.target
        if isinstance(target, lang.Subscript):
            other = len(target.items) != len(of)
        else:
            other = value.shape is not None and value.shape != of
        if not other or not any(isinstance(part, lang.Name) and part.name == base for part in lang.walk(value.node)):
            raise error
        self.barred = None

    def _diagonal(self, node: lang.Expression) -> tuple[lang.Expression, lang.Expression | None]:
        r"""`\partial p_{ik}/\partial z_{ij}` is given where both i agree, and 0 elsewhere."""
        if not isinstance(node, lang.Subscript) or lang.root(node).name not in self.names.locals:  # type: ignore[attr-defined]
            return node, None
        items: list[lang.Expression] = []
        factor: lang.Expression | None = None
        shifted = next((item for item in node.items if not isinstance(item, (lang.Name, lang.Number))), None)
        if shifted is not None:
            says = said(
                r"below a local derivative on the left stand single letters: write \partial y_o / \partial x_i, and on "
                r"the right which entries are not 0, as \mathbb{1}[...]"
            )
            raise ReadingError(says, shifted.line, shifted.column)
        for item in node.items:
            at = item.line, item.column, item.end
            if isinstance(item, lang.Name) and any(isinstance(i, lang.Name) and i.name == item.name for i in items):
                other = lang.Name(*at, item.name + "'")
                delta = lang.Call(*at, lang.Name(*at, "KroneckerDelta"), (other, item), ())
                factor = delta if factor is None else lang.Binary(*at, "*", factor, delta)
                item = other
            items.append(item)
        return lang.Subscript(node.line, node.column, node.end, node.value, tuple(items)), factor

    def _link(self, n: int, shape: object, factor: lang.Expression | None) -> list[lang.Statement]:
        """One equality of the chain."""
        sign, tokens = self.line.links[n]
        whole = [*self.line.left, sign, *tokens] if n == 0 and not self.line.continued else [sign, *tokens]
        meaning = self._meaning()
        try:
            value = self._right(meaning, whole, tokens)
            if self.barred is not None:
                self._settle_bar(value)
        except ReadingError as error:
            stated = any(token.type in ("PARTIAL", "NABLA") for token in tokens)
            if stated and n + 1 < len(self.line.links) and not any(token.type == "ERROR" for token in tokens):
                return self._passed(sign, error.message)
            return [self._unreadable(whole, error)]
        missing = self.reader.missing(value.node)
        if missing and n + 1 < len(self.line.links):
            return self._passed(sign, said("{missing} has no line of its own before", missing=missing))
        assert self.target is not None
        node = value.node
        if factor is not None:
            node = lang.Binary(node.line, node.column, node.end, "*", node, factor)
        self._define(value)
        made = lang.Assign(*self._start(whole), (self.target,), node, latex=True)
        if missing:
            self.reader.rules.append((made, missing))
        return [made]

    def _right(self, meaning: Meaning, whole: list[Token], tokens: list[Token]) -> Value:
        self._checked(whole)
        if not tokens:
            raise ReadingError(said("nothing stands on the right"), whole[-1].line or 1, whole[-1].column or 1)
        tree = parse(self._without_shape(tokens))
        self._check_comparison(meaning, tree)
        value = self._side(meaning, tree)
        if value.unsized:
            value = constants.whole(meaning, tree, value, self._shape_on_the_left())
        if look.depth(value.node) > MAX_DEPTH:
            raise meaning.refuse(
                tree, said("more than {most} operations inside each other: use a helper of your own", most=MAX_DEPTH)
            )
        self._check_sums(meaning, tree, value.node)
        self._check_counting(meaning, tree, value.node)
        return value

    def _check_comparison(self, meaning: Meaning, tree: Tree) -> None:
        r"""A mask may be given a name; what is `\ne` something else is no gradient."""
        assert self.target is not None
        base = lang.root(self.target).name  # type: ignore[attr-defined]
        sign = next((token for token in look.trees(look.trees(tree)[0])[0].children if isinstance(token, Token)), None)
        if sign is not None and (self.names.is_gradient(base) or base in self.names.locals):
            raise meaning.refuse(sign, said("a comparison stands inside \\mathbb{1}[...] or cases only"))

    def _side(self, meaning: Meaning, tree: Tree) -> Value:
        r"""A side, in which `e_o` is an entry of the exercise's e, if a one-hot vector cannot stand there."""
        error: ReadingError | None = None
        try:
            value = self._side_with_dots(meaning, tree)
        except ReadingError as refused:
            error = refused
        if meaning.entries_of_e and self._can_be_one_hot(tree):
            error = meaning.entries_of_e[0]
        if error is not None:
            raise error
        return value

    def _can_be_one_hot(self, tree: Tree) -> bool:
        """Whether the side is of the right shape where each such e is a one-hot vector."""
        other = self._meaning()
        other.one_hot = True
        try:
            shape = self._side_with_dots(other, tree).shape
        except ReadingError:
            return False
        expected = () if isinstance(self.target, lang.Subscript) else self._shape_on_the_left()
        return shape is None or expected is None or shape == expected

    def _side_with_dots(self, meaning: Meaning, tree: Tree) -> Value:
        r"""A side, with `\cdot` between two vectors in the one reading that makes what stands on the left."""
        made: list[Value] = []
        error: ReadingError | None = None
        for each in (meaning, self._meaning()):
            each.entry_by_entry, each.one_hot = each is not meaning, meaning.one_hot
            try:
                made.append(each.side(tree))
            except ReadingError as refused:
                error = error or refused
            if not meaning.dots:
                break
        if meaning.dots:
            shape = () if isinstance(self.target, lang.Subscript) else self._shape_on_the_left()
            made = [value for value in made if shape is not None and value.shape == shape]
            error = meaning.dots[0]
        if len(made) != 1:
            assert error is not None
            raise error
        return made[0]

    def _shape_on_the_left(self) -> Shape | None:
        """The shape that the whole left side is known to have."""
        return self.names.shapes.get(self.target.name) if isinstance(self.target, lang.Name) else None

    def _without_shape(self, tokens: list[Token]) -> list[Token]:
        r"""`x^\top dz \ (D \times K)` says which shape it has; without the space it may be a factor."""
        opened = max((n for n, token in enumerate(tokens) if token.type == "LPAR"), default=0)
        inside = tokens[opened + 1 : -1]
        sizes = self.names.exercise.size_symbols
        if not opened or tokens[-1].type != "RPAR" or len(inside) % 2 == 0 or len(inside) < 3:
            return tokens
        if not all(str(token) == "times" if n % 2 else str(token) in sizes for n, token in enumerate(inside)):
            return tokens
        tokenizer = self.tokenizer
        if any(n < len(tokenizer.tokens) and tokenizer.tokens[n] is tokens[opened] for n in tokenizer.spaced):
            return tokens[:opened]
        shown = self._shown(tokens[opened:])
        says = said(
            r"{shown} can be a factor or the shape: write \cdot before a factor, \text{{...}} around a shape",
            shown=shown,
        )
        raise ReadingError(says, tokens[opened].line or 1, tokens[opened].column or 1)

    def _check_sums(self, meaning: Meaning, tree: object, node: lang.Expression) -> None:
        r"""In `\sum_i a_i + b_i` the sum ends before the +; its index after that is somebody else's."""
        assert self.target is not None
        own = {part.name for part in lang.walk(self.target) if isinstance(part, lang.Name)}
        bound = {name for part in lang.walk(node) for name in _bound(part)}
        for name in sorted(bound - own):
            stray = next(_free(node, name), None)
            if stray is not None and name not in self.names.shapes:
                line, column = stray.line, stray.column
                shown = rf"\sum_{{{name}}}"
                raise ReadingError(said(
"{name} stands outside its sum: {shown} ends before the next + or -; write {shown} "
"\\left(a + b\\right) if both belong to it"
, name=name, shown=shown), line, column)  # fmt: skip

    def _check_counting(self, meaning: Meaning, tree: Tree, node: lang.Expression) -> None:
        r"""`\sum_{k=1}^{K} x_{i+k-1}` is counted from 1, and what the exercise says of its entries from 0."""
        for part in lang.walk(node):
            for item in part.items if isinstance(part, lang.Subscript) else ():
                names = {each.name for each in lang.walk(item) if isinstance(each, lang.Name)}
                moved = any(isinstance(each, lang.Number) for each in lang.walk(item))
                if moved and (found := sorted(names & meaning.from_one)):
                    readings = said("counted from 0"), said("counted from 1")
                    write = said(r"count from 0, and write \sum_{{{name}}} without limits", name=found[0])
                    raise meaning.two_ways(tree, said("an index that is moved by a number"), readings, write)

    def _define(self, value: Value) -> None:
        assert self.target is not None
        name = lang.root(self.target).name  # type: ignore[attr-defined]
        shape = value.shape
        if isinstance(self.target, lang.Subscript):
            shape = tuple(f"?{name}{n}" for n in range(len(self.target.items)))
        self.names.define(name, shape)

    def _passed(self, sign: Token, reason: str) -> list[lang.Statement]:
        self.reader.said.append(
            said("line {line}: passed over, since the chain goes on: {reason}", line=sign.line, reason=reason)
        )
        return []

    # -- the learner's text --

    def _start(self, tokens: list[Token]) -> tuple[int, int, str, int]:
        first = tokens[0]
        line, column = self.tokenizer.place(first.start_pos or 0)
        return line, column, self._shown(tokens), column

    def _shown(self, tokens: list[Token]) -> str:
        text = self.tokenizer.text[tokens[0].start_pos : tokens[-1].end_pos]
        text = " ".join(part.strip() for part in text.splitlines())
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

    def _unreadable(self, tokens: list[Token], error: ReadingError) -> lang.Unreadable:
        text = self._shown(tokens)
        _, column = self.tokenizer.place(tokens[0].start_pos or 0)
        base = lang.root(self.target) if self.target is not None else None
        target = base.name if isinstance(base, lang.Name) else None
        if target is not None and not self.names.known(target) and not self.names.is_gradient(target):
            self.names.unread.setdefault(target, error.line)
        return lang.Unreadable(error.line, error.column, text[:200], column, error.message, target)


def _terms(tokens: list[Token]) -> list[list[Token]]:
    """What stands between the signs that are outside all brackets."""
    made: list[list[Token]] = []
    depth = 0
    for token in tokens:
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
        sign = token.type == "SIGN" and depth == 0
        if sign or not made:
            made.append([])
        if not sign:
            made[-1].append(token)
    return [term for term in made if term]


def _definitions_first(ones: list[_One]) -> list[_One]:
    r"""`dz = g/N \quad\text{with}\quad g = p - y`: the name is given before the formula that it stands beside."""
    made: list[_One] = []
    beside: list[_One] = []
    main = 0  # where the last line of its own stands
    for one in ones:
        goes_on = bool(beside) and not one.line.aside and beside[-1].line.row == one.line.row
        if made and (one.line.aside in (*_INTRODUCING, "(") or goes_on) and one.new_name():
            beside.append(one)
            continue
        made[main:] = _with_names(made[main:], beside)
        beside = []
        if not one.line.aside:
            main = len(made)
        made.append(one)
    return [*made[:main], *_with_names(made[main:], beside)]


def _with_names(lines: list[_One], beside: list[_One]) -> list[_One]:
    """Lines with the definitions beside them, of which those that can be read by now come first, in their order."""
    first: list[_One] = []
    if beside:
        names = beside[0].names
        held = dict(names.shapes)
        while found := next((one for one in beside if one not in first and one.gives_a_formula()), None):
            first.append(found)
            names.shapes[found.new_name()] = found.shape_given()
        names.shapes = held
    return [*first, *lines, *(one for one in beside if one not in first)]


def _where_needed(ones: list[_One]) -> list[_One]:
    r"""`dw = 2rx, \quad db = 2r, \quad r = p - y`: a name that is given once comes before the first that reads it."""
    named = [one.new_name() if one.line.aside in ("", "(", *_INTRODUCING) else "" for one in ones]
    once = {id(one) for one, name in zip(ones, named, strict=True) if name and named.count(name) == 1}
    if not any(id(one) in once for one in ones[1:]):
        return ones
    names = ones[0].names
    held = dict(names.shapes)
    made: list[_One] = []
    rest = list(ones)
    tries = MAX_MOVED
    while rest:
        one = rest.pop(0)
        later = [each for each in rest if id(each) in once][:MAX_MOVED] if tries else []
        if later and not one.can_be_read():
            before = dict(names.shapes)
            first = [each for each in _with_names([], later) if each.give()]
            if one.can_be_read():
                made += first
                rest = [each for each in rest if each not in first]
            else:
                names.shapes = before
                tries -= 1
        made.append(one)
        one.give()
    names.shapes = held
    return made


def _given(statement: lang.Statement) -> Iterator[str]:
    """The names that a statement gives a value."""
    yield from (name for target in lang.targets(statement) if (name := lang.variable(lang.root(target))))


def _bound(node: lang.Expression) -> Iterator[str]:
    """The indices that a node binds, where it is a sum."""
    function = node.function if isinstance(node, lang.Call) else None
    if isinstance(function, lang.Name) and function.name in REDUCTIONS.values():
        assert isinstance(node, lang.Call)
        yield from (index.name for index in lang.bound(node))


def _free(node: lang.Expression, name: str) -> Iterator[lang.Expression]:
    """Where an index stands outside the sums that bind it."""
    if isinstance(node, lang.Name) and node.name == name:
        yield node
    if name in _bound(node):
        assert isinstance(node, lang.Call)
        for argument in node.arguments[1:]:
            if isinstance(argument, lang.Sequence):
                for part in argument.items[1:]:
                    yield from _free(part, name)
        return
    for part in lang.parts(node):
        yield from _free(part, name)
