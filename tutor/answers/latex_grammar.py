r"""LaTeX mathematics -> tokens -> a tree of what stands on, under and beside what.

Nothing is expanded and nothing is run: only the commands listed here exist. The tree knows no exercise; what
`p(1-p)` or `\delta_{ik}` mean is decided in `latex_names.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Tree, UnexpectedInput
from lark.lexer import Lexer

from tutor.answers.python import MAX_DIGITS, MAX_LINE, MAX_NESTING
from tutor.errors import ReadingError, did_you_mean
from tutor.language import said

MAX_TREE = 400  # levels of a tree: what MAX_NESTING brackets can need
MAX_WORD = 40  # letters in a row
MAX_TOKENS = 15_000  # symbols in a text

GRAMMAR = r"""
list: either (COMMA either)*
either: relation ((AND | OR) relation)*
relation: sum (REL sum)*
sum: SIGN* term (SIGN+ term)*
term: part+
?part: OP | unit
unit: atom script*
script: EVAL SUB small -> at | SUB small -> below | SUP small -> above | PRIME -> prime
?atom: small | LPAR list RPAR -> group | LBRACKET list RBRACKET -> bracket | LSET list RSET -> set
     | LBAR list RBAR -> bars | LNORM list RNORM -> norm | LFLOOR list RFLOOR -> floor
     | LANGLE list RANGLE -> angle | CASES row (ROW row)* ENDCASES -> cases
?small: (WORD | ROMAN | GREEK | NUMBER | ONE | FUNCTION | BIG | PARTIAL | NABLA | TOP | CONST | PRIMED) -> leaf
     | FRAC small small -> frac | ACCENT small -> accent
     | SQRT small -> sqrt | SQRT LBRACKET list RBRACKET small -> sqrt
     | LBRACE list RBRACE -> brace | LBRACE RBRACE -> empty
row: list AMP condition
condition: list | OTHERWISE
"""
_NAMED = sorted(set(re.findall(r"\b[A-Z]{2,}\b", GRAMMAR)))

# -- commands -----------------------------------------------------------------------------------------

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega varepsilon vartheta varphi varrho varsigma ell"
).split()
_FUNCTIONS = (
    "exp log ln sin cos tan sec csc cot coth sinh cosh tanh arctan arcsin arccos max min argmax argmin det".split()
)
_RELATIONS = {
    "lt": "<", "gt": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "ne": "!=", "neq": "!=",
}  # fmt: skip
_EQUALS = ("coloneqq", "triangleq", "equiv", "doteq", "leftarrow", "gets", "approx", "coloneq", "simeq")
_OPERATORS = {
    "cdot": "dot", "times": "times", "ast": "star", "odot": "odot", "circ": "odot", "div": "/", "otimes": "otimes",
    "bmod": "mod", "mod": "mod", "bullet": "dot", "oslash": "oslash",
}  # fmt: skip
_ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde", "widetilde": "tilde",
            "dot": "dot", "ddot": "ddot"}  # fmt: skip
COMMANDS: dict[str, tuple[str, str]] = {
    **{name: ("GREEK", name) for name in _GREEK},
    **{name: ("FUNCTION", name) for name in _FUNCTIONS},
    **{name: ("REL", sign) for name, sign in _RELATIONS.items()},
    **{name: ("EQUALS", "=") for name in _EQUALS},
    **{name: ("OP", sign) for name, sign in _OPERATORS.items()},
    **{name: ("ACCENT", sign) for name, sign in _ACCENTS.items()},
    **dict.fromkeys(("frac", "tfrac", "dfrac", "cfrac", "nicefrac", "sfrac"), ("FRAC", "frac")),
    **dict.fromkeys(("land", "wedge"), ("AND", "&")), **dict.fromkeys(("lor", "vee"), ("OR", "|")),
    **dict.fromkeys(("top", "intercal"), ("TOP", "T")), **dict.fromkeys(("quad", "qquad"), ("QUAD", "")),
    **dict.fromkeys(("ldots", "dots", "cdots", "dotsc", "dotsb"), ("DOTS", "...")),
    **dict.fromkeys(("implies", "Rightarrow", "Longrightarrow", "iff", "Leftrightarrow", "therefore", "because",
                     "rightarrow", "to", "Longleftrightarrow"), ("SEPARATOR", "")),
    "sum": ("BIG", "Sum"), "prod": ("BIG", "Product"), "sqrt": ("SQRT", "sqrt"), "partial": ("PARTIAL", "d"),
    "nabla": ("NABLA", "d"), "infty": ("CONST", "inf"), "prime": ("PRIMED", "'"), 
    "forall": ("FORALL", ""), "in": ("FORALL", ""),
    "lbrace": ("LSET", "{"), "{": ("LSET", "{"), "rbrace": ("RSET", "}"), "}": ("RSET", "}"),
    "lvert": ("LBAR", "|"), "rvert": ("RBAR", "|"), "vert": ("BAR", "|"), "mid": ("BAR", "|"),
    "lVert": ("LNORM", "|"), "rVert": ("RNORM", "|"), "Vert": ("NORM", "|"), "|": ("NORM", "|"),
    "langle": ("LANGLE", ""), "rangle": ("RANGLE", ""),
    "lfloor": ("LFLOOR", ""), "rfloor": ("RFLOOR", ""), "lbrack": ("LBRACKET", "["), "rbrack": ("RBRACKET", "]"),
    "llbracket": ("LBRACKET", "["), "rrbracket": ("RBRACKET", "]"),
    "lparen": ("LPAR", "("), "rparen": ("RPAR", ")"), "colon": (":", ":"),
}  # fmt: skip
_SKIPPED = set(
    ", ; : ! > / - displaystyle textstyle scriptstyle limits nolimits nonumber notag hfill hfil strut mathstrut "
    "big Big bigg Bigg middle allowbreak break noindent rm bf it boldmath left right mathstrut smallskip medskip "
    "bigskip centering relax negthinspace thinspace medspace thickspace enspace nobreakspace null item"
    .split()
) | {" ", "\n", "\t"}  # fmt: skip
_SKIPPED_ARGUMENT = (
    "label tag hspace vspace phantom hphantom vphantom color intertext shortintertext ref eqref cite".split()
)
_PROVED = ("qed", "qedhere", "qedsymbol")  # the sign at the end of a proof
_SQUARES = ("square", "blacksquare", "Box", "∎", "■", "□")  # the same, but a blank to be filled where more follows
_NOTHING_MORE = re.compile(r"(?:[\s.。$]|\\(?:q?quad|hfill|nonumber|notag|[,;:! ])|\\end\{[^{}]*\})*")
# how many arguments stand before what is shown; `fitted` is in the preamble of what `tutor derive` writes
_FRAMES = {"boxed": 0, "resizebox": 2, "scalebox": 1, "fitted": 1, "textcolor": 1, "colorbox": 1,
           "smash": 0, "mathrel": 0, "mathbin": 0, "ensuremath": 0}  # fmt: skip
_BRACES = ("underbrace", "overbrace", "underbracket", "overbracket")  # a remark stands below or above what they hold
_OVER = ("overset", "stackrel", "underset")  # a remark, and then what it stands at
_CHANGES = re.compile(r"\s*(?:\\(?:cdot|sim|to|rightarrow|circ|smile|frown|ast|star|bullet)\b|[-*^~.'])\s*")
_NO_GROUP = re.compile(
    r"\s*\{\s*(?::?=|\\(?:" + "|".join((*_EQUALS, "Rightarrow", "implies", "to", "rightarrow")) + r")\b)"
)
_REDUCES = re.compile(r"\s*\{\s*\\(?:sum|prod|max|min|arg|operatorname|mathop|lim)(?![a-z])")
_STRUCK = ("cancel", "bcancel", "xcancel", "cancelto", "sout")
_BESIDE = ("rlap", "llap", "clap", "mathrlap", "mathllap", "mathclap", "parbox", "footnote", "marginpar")
_STYLES = (
    "mathbf boldsymbol bm mathit mathsf mathtt mathcal mathscr mathfrak mathbb mathbbm mathnormal vec underline mathds"
).split()
_ROMAN = "mathrm operatorname text textrm textit textbf texttt textsf mathup textnormal mbox hbox".split()
_INSIDE = ("aligned", "align", "alignat", "alignedat", "gather", "gathered", "equation", "split", "multline", "flalign",
           "eqnarray", "math", "displaymath")  # fmt: skip
_CASES = ("cases", "dcases", "rcases")
_DANGEROUS = (
    "input include write immediate openin openout read catcode def edef gdef xdef let newcommand "
    "renewcommand providecommand csname expandafter loop usepackage special directlua includegraphics "
    "DeclareMathOperator newenvironment"
).split()

_CHARACTERS = {
    "+": ("SIGN", "+"), "-": ("SIGN", "-"), "*": ("OP", "star"), "/": ("OP", "/"), "<": ("REL", "<"), ">": ("REL", ">"),
    "=": ("EQUALS", "="), "(": ("LPAR", "("), ")": ("RPAR", ")"), "[": ("LBRACKET", "["), "]": ("RBRACKET", "]"),
    "{": ("LBRACE", "{"), "}": ("RBRACE", "}"), ",": ("COMMA", ","), ";": ("SEPARATOR", ";"), "&": ("AMP", "&"),
    "_": ("SUB", "_"), "^": ("SUP", "^"), "'": ("PRIME", "'"), "|": ("BAR", "|"),
    "−": ("SIGN", "-"), "–": ("SIGN", "-"), "×": ("OP", "times"), "·": ("OP", "dot"), "⋅": ("OP", "dot"),
    "∘": ("OP", "odot"), "⊙": ("OP", "odot"), "⊘": ("OP", "oslash"),
    "≤": ("REL", "<="), "≥": ("REL", ">="), "≠": ("REL", "!="),
    "∂": ("PARTIAL", "d"), "∇": ("NABLA", "d"), "∑": ("BIG", "Sum"), "∏": ("BIG", "Product"), "⊤": ("TOP", "T"),
    "∞": ("CONST", "inf"), "√": ("SQRT", "sqrt"), "（": ("LPAR", "("), "）": ("RPAR", ")"), "，": ("COMMA", ","),
    "＝": ("EQUALS", "="), "＋": ("SIGN", "+"), "－": ("SIGN", "-"), "＊": ("OP", "star"), "／": ("OP", "/"),
    "′": ("PRIME", "'"), "¬": ("NOT", "~"), "；": ("SEPARATOR", ";"), "、": ("COMMA", ","), "∈": ("FORALL", ""),
    "∀": ("FORALL", ""), "…": ("DOTS", "..."), "⋯": ("DOTS", "..."), "⇒": ("SEPARATOR", ""), "→": ("SEPARATOR", ""),
    "∵": ("SEPARATOR", ""), "∴": ("SEPARATOR", ""), "≈": ("EQUALS", "="), "≡": ("EQUALS", "="), "：": (":", ":"),
}  # fmt: skip
_OPENS = {"LPAR": "RPAR", "LBRACKET": "RBRACKET", "LBRACE": "RBRACE", "LSET": "RSET", "LBAR": "RBAR", "LNORM": "RNORM",
          "LFLOOR": "RFLOOR", "LANGLE": "RANGLE", "CASES": "ENDCASES"}  # fmt: skip
_CLOSES = {close: opened for opened, close in _OPENS.items()}
_SIGNS = {"LPAR": "(", "RPAR": ")", "LBRACKET": "[", "RBRACKET": "]", "LBRACE": "{", "RBRACE": "}", "LSET": r"\{",
          "RSET": r"\}", "LBAR": "|", "RBAR": "|", "LNORM": r"\|", "RNORM": r"\|", "LFLOOR": r"\lfloor",
          "RFLOOR": r"\rfloor", "LANGLE": r"\langle", "RANGLE": r"\rangle", "CASES": r"\begin{cases}",
          "ENDCASES": r"\end{cases}"}  # fmt: skip
_ENDS_OPERAND = {"WORD", "NUMBER", "GREEK", "ROMAN", "ONE", "TOP", "CONST", "PRIME", "PRIMED", "FUNCTION", *_CLOSES}
_WANTS = {"FRAC": 2, "SQRT": 1, "ACCENT": 1, "SUB": 1, "SUP": 1}
CONDITION = said(r"a condition beside a formula is not read: write \mathbb{1}[...] as a factor, or cases")
_SAYS_WHEN = re.compile(r"(?:if|iff|when|whenever|unless)\b|若|如果|当")
_RESTRICTS = re.compile(
    r"(?:only (?:for|if|when|where|at|in)|except|unless|but not)\b|仅(?:在|对|当)|只(?:有|在|对)|除(?:了|非)"
)
_COMPARED = re.compile(r"[<>=≤≥≠]|\\(?:[lg]eq?|ne|neq|[lg]t)\b")
WHEN = ("if", "for", "when", "where", "若", "如果", "当", "在")  # before the condition of a case
_JOINED = {"and": "AND", "且": "AND", "并且": "AND", "or": "OR", "或": "OR", "或者": "OR"}
# one word in front of a bracket that is no function's name
_PROSE = set(
    "again also and are as because but by chain def definition eq eqn equation for from given hence here if is let "
    "note now only or recall rule see since so that then there therefore thus using when where which with".split()
)
_OTHERWISE = re.compile(r"(?:otherwise|else|否则|其他|其它|其余)(?:\s*[(（].*)?$")

_MASTER = re.compile(
    r"(?P<space>[ \t\r~\u00a0\u3000\u2000-\u200a]+)|(?P<newline>\n)|(?P<comment>%[^\n]*)"
    r"|(?P<environment>\\(?:begin|end)[ \t]*\{[A-Za-z]{1,20}\*?\})"
    r"|(?P<row>\\\\\*?(?:[ \t]*\[[ \t]*-?[\d.]+[ \t]*(?:pt|em|ex|mm|cm|in)[ \t]*\])?)"
    r"|(?P<command>\\(?:[A-Za-z]+|.|\n|$))|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<word>[A-Za-z]+(?:\\_[A-Za-z0-9]+)*)|(?P<other>.)",
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:(?:\\_|_)[A-Za-z0-9]+)*")
_SCIENTIFIC = re.compile(r"[eE][+-]?\d")
_RAW = re.compile(r"\s*\{")
_FORMULA = re.compile(r"[-+=*/^_\d]|\\[A-Za-z]")
_AS_WORDS = re.compile(r"\\(?:text|parbox|mbox|hbox)")
_DOTS = re.compile(r"\.\.+")
_SINGLE = re.compile(r"\s*(?:\\[A-Za-z]+|\S)")
_SUBSCRIPT = re.compile(r"\s*_")
_ARGUMENT = re.compile(r"(?:\s|\\!)*(?:\\left|\\[Bb]igg?l?)?\s*[(\[]")
_SCRIPT = re.compile(r"\s*[_^]")
_GIVEN = re.compile(r"\s*&?\s*:?=")
_GOES_ON = re.compile(
    r"(?:\s|&|\\(?:nonumber|notag|q?quad|[,;:! ]|h(?:space|phantom)\{[^{}]*\}))*"
    r"(?=[-+]|\\(?:cdot|times|odot|circ)\b|\\left\s*\.)"
)
_RIGHT_OPEN = re.compile(
    r"(?:\s|&|\\(?:nonumber|notag|q?quad|[,;:! ])|\\\\(?:\[[^\]]*\])?)*(?P<sign>[-+]?)"
    r"(?:\s|\\(?:q?quad|[,;:! ]))*\\left\s*\.[ \t]*"
)
_CLOSE_SYSTEM = re.compile(r"\s*\\right\s*\.")
_SPACES_AND_COLUMNS = re.compile(r"(?:\s|&|\\(?:q?quad|[,;:! ]))*")
_LEFT_BRACE = re.compile(r"\\left\s*\\(?:\{|lbrace)\s*$")
_EQUATION = re.compile(r"(?:(?!\\\\|\\end)[^&=])*(?:&\s*)?=")
_APART = ("NEWLINE", "ROW", "TEXT", "SEPARATOR", "QUAD", "COMMA", "DOT", "AMP")
_SLICED = re.compile(r"\s*[,}\]]")
# a line that begins like this is a statement of its own, even if a brace is still open above it
_STATEMENT = re.compile(
    r"[ \t]*&?[ \t]*(?:\\[dt]?frac[ \t]*\{[ \t]*(?:\\partial|d|\\mathrm)|\\partial|\\nabla|d[A-Za-z\\]|\\mathrm\{d)"
    r"[^=\n{}]*"
    r"(?:\{[^={}\n]*(?:\{[^={}\n]*\}[^={}\n]*)*\}[^={}\n]*)*=(?!=)"
)


class Tokenizer:
    """One stretch of mathematics as tokens; those outside all brackets get the types that divide statements."""

    def __init__(
        self, text: str, place: Callable[[int], tuple[int, int]], known: Callable[[str], bool] = lambda word: False
    ):
        self.text, self.place, self.known = text, place, known
        self.tokens: list[Token] = []
        self.stack: list[tuple[str, int, int]] = []  # (opening type, arguments wanted outside, position)
        self.want = 0  # arguments that a command still takes
        self.boxes: list[int] = []  # depths at which the braces of \boxed stand
        self.most = MAX_TOKENS
        self.divided = 0  # lines so far
        self.spaced: set[int] = set()  # positions after an explicit space such as \,
        self.remarked: list[int] = []  # depths at which the braces of \underbrace stand
        self.evaluated: list[int] = []  # depths at which a \left. stands
        self.systems: list[tuple[str, bool, bool]] = []  # environments: their name, whether a choice, after \left\{
        self.stacked = 0  # how many boxes there are inside \substack
        self.skip_to = 0  # what comes before is read

    def read(self, start: int, stop: int, most: int = MAX_TOKENS) -> list[Token]:
        """All tokens from start to stop; what cannot be read is a token ERROR with the reason."""
        self.most = most
        self._scan(start, stop)
        self._unclosed(stop)
        return self.tokens

    def _scan(self, start: int, stop: int) -> None:
        at, begun, count = start, start, -1
        while at < stop:
            if count != self.divided:
                begun, count = at, self.divided
            if at - begun > MAX_LINE or len(self.tokens) > self.most:
                at = self._too_long(begun, at, stop)
                continue
            found = _MASTER.match(self.text, at, stop)
            assert found is not None
            kind = found.lastgroup or ""
            at = max(getattr(self, f"_{kind}")(found, stop), self.skip_to)

    def _too_long(self, begun: int, at: int, stop: int) -> int:
        """Skip to the end of a line that is too long, or to the end of a text that is."""
        if len(self.tokens) > self.most:
            raise ReadingError(said("more than {most} symbols: divide the text", most=MAX_TOKENS), *self.place(at))
        self._unclosed(at)
        self._error(begun, said("a line of more than {most} characters: use a helper of your own", most=MAX_LINE))
        self.divided += 1
        end = re.compile(r"\n|\\\\").search(self.text, at, stop)
        return end.start() if end else stop

    # -- one kind of match each; all return where to go on --

    def _space(self, found: re.Match[str], stop: int) -> int:
        return found.end()

    _comment = _space

    def _newline(self, found: re.Match[str], stop: int) -> int:
        at = found.end()
        blank = re.compile(r"[ \t]*\n").match(self.text, at, stop)
        if self.stack and (blank or _STATEMENT.match(self.text, at, stop)) and not self._in_cases():
            self._unclosed(found.start())
        if not self.stack:
            self._add("NEWLINE", "\n", found.start(), at)
            self.divided += 1
        return at

    def _in_cases(self) -> bool:
        return any(kind == "CASES" for kind, *_ in self.stack)

    def _row(self, found: re.Match[str], stop: int) -> int:
        if self.stacked:
            self._add("COMMA", ",", *found.span())
            return found.end()
        if self.stack and self.stack[-1][0] in ("LPAR", "LBRACKET", "LSET"):  # a formula that is broken inside
            goes_on = _GOES_ON.match(self.text, found.end(), stop)
            if goes_on or self.tokens[-1].type in ("SIGN", "OP"):
                return goes_on.end() if goes_on else self._after_amp(found.end(), stop)
        if self.stack and self.stack[-1][0] != "CASES":
            self._unclosed(found.start())
        elif self.stack:
            self._end_case()
        self._add("ROW", "", *found.span())
        self.divided += not self.stack
        return found.end()

    def _environment(self, found: re.Match[str], stop: int) -> int:
        name = found[0][found[0].index("{") + 1 : -1].rstrip("*")
        if found[0].startswith("\\begin") and (
            name == "array" or name in _CASES or self._after_left_brace(found.start())
        ):
            return self._begin_rows(name, found, stop)
        if self.systems and self.systems[-1][0] == name:
            return self._end_rows(found, stop)
        if name in _CASES:
            self._bracket("ENDCASES", *found.span())
        elif name not in _INSIDE:
            self._error(found.start(), _foreign(name))
        elif name.startswith("aligna") or name == "alignedat":
            return self._after_argument(found.end(), stop) if found[0].startswith("\\begin") else found.end()
        return found.end()

    def _after_amp(self, at: int, stop: int) -> int:
        found = _SPACES_AND_COLUMNS.match(self.text, at, stop)
        return found.end() if found else at

    def _after_left_brace(self, at: int) -> bool:
        opened = bool(self.tokens) and bool(self.stack) and self.tokens[-1].type == "LSET" == self.stack[-1][0]
        return opened and _LEFT_BRACE.search(self.text, max(0, at - 30), at) is not None

    def _begin_rows(self, name: str, found: re.Match[str], stop: int) -> int:
        r"""`\left\{ \begin{array}{ll}` is a choice, or a system of equations where its first row begins with one."""
        braced = self._after_left_brace(found.start())
        if braced:
            self.tokens.pop()
            self.want = self.stack.pop()[1]
        end = self._after_argument(found.end(), stop) if name == "array" else found.end()
        before = [token.type for token in self.tokens if token.type not in ("NEWLINE", "AMP", "ROW")][-1:]
        own = not self.stack and not ({*before} & {"EQUALS", "OP", "SIGN"})
        system = own and (not self.tokens or self.tokens[-1].type in _APART) and _EQUATION.match(self.text, end, stop)
        choice = not system and (braced or name in _CASES)
        if choice:
            self._bracket("CASES", *found.span())
        elif self.stack or not (system or own):
            self._error(found.start(), _foreign(name))
        self.systems.append((name, choice, braced))
        return end

    def _end_rows(self, found: re.Match[str], stop: int) -> int:
        _, choice, braced = self.systems.pop()
        if choice:
            self._bracket("ENDCASES", *found.span())
        closed = _CLOSE_SYSTEM.match(self.text, found.end(), stop) if braced else None
        return closed.end() if closed else found.end()

    def _number(self, found: re.Match[str], stop: int) -> int:
        text = found[0][:1] if self.want else found[0]
        if not self.want and (scientific := _SCIENTIFIC.match(self.text, found.end(), stop)):
            self._error(found.start(), said("a power of ten is written 10^{-5}"))
            return scientific.end()
        if text == ".":  # of x^.5 LaTeX raises the point alone
            self._error(found.start(), said("a number stands in braces: ^{.5}"))
            return found.end()
        last = self.tokens[-1] if self.tokens else None
        if last is not None and last.type == "WORD" and last.end_pos == found.start() and self.known(f"{last}{text}"):
            self.tokens.pop()  # W1 is the name W1
            self._add("WORD", f"{last}{text}", last.start_pos or 0, found.start() + len(text), wants=False)
            return found.start() + len(text)
        if len(text) > MAX_DIGITS:
            self._error(found.start(), said("a number of more than {most} digits", most=MAX_DIGITS))
            return found.end()
        self._add("NUMBER", text, found.start(), found.start() + len(text))
        return found.start() + len(text)

    def _word(self, found: re.Match[str], stop: int) -> int:
        text = found[0][:1] if self.want else found[0]
        if len(text) > MAX_WORD:
            self._error(found.start(), said("more than {most} letters in a row: put the factors apart", most=MAX_WORD))
            return found.end()
        self._add("WORD", text.replace("\\_", "_"), found.start(), found.start() + len(text))
        return found.start() + len(text)

    def _other(self, found: re.Match[str], stop: int) -> int:
        character, at = found[0], found.start()
        if character == "." and (dots := _DOTS.match(self.text, at, stop)):
            self._add("DOTS", "...", *dots.span())
            return dots.end()
        if character in ".。．" and (not self.stack or self.stack[-1][0] == "CASES"):
            self._add("DOT", ".", *found.span())
        elif character in ":：" and self.text.startswith("=", at + 1):
            return at + 1
        elif character in ":：":
            self._colon(at, found.end(), stop)
        elif character == "$" or self._ends_a_proof(character, found.end(), stop):
            pass
        elif character in _CHARACTERS:
            self._plain(*_CHARACTERS[character], at, found.end())
        elif (name := _greek_letter(character)) is not None:
            self._add("GREEK", name, *found.span())
        elif (accented := _accented_letter(character)) is not None:
            self._add("ACCENT", accented[0], *found.span())
            self._add("WORD", accented[1], *found.span())
        else:
            self._error(at, _strange(character))
        return found.end()

    def _colon(self, at: int, end: int, stop: int) -> None:
        """`n: t_n = v` under a sum; `x_{i,:}` is refused; outside all brackets it divides."""
        if not self.stack:
            self._add("SEPARATOR", ":", at, end)
        elif self.tokens[-1].type in ("COMMA", "LBRACE", "LBRACKET") or _SLICED.match(self.text, end, stop):
            says = said(
                r"a slice : is not read here: write a letter in its place, on both sides, as in db_k = \sum_i dz_{ik}, "
                "or the name without any index"
            )
            self._error(at, says)
        else:
            self._add("COMMA", ",", at, end)

    def _command(self, found: re.Match[str], stop: int) -> int:
        name, at, end = found[0][1:], found.start(), found.end()
        if name in ("left", "right", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr"):
            return self._sized(name, end, stop)
        if name in _ROMAN:
            return self._roman(name, at, end, stop)
        if name in _STYLES:
            return self._styled(name, at, end, stop)
        if name in _SKIPPED or name in _PROVED or self._ends_a_proof(name, end, stop):
            self.spaced.add(len(self.tokens))
            return end
        if name in _SKIPPED_ARGUMENT:
            return self._after_argument(end + self.text.startswith("*", end, stop), stop)  # \tag*
        if name in _BRACES:
            opened = _RAW.match(self.text, end, stop)
            if opened:
                self._bracket("LBRACE", opened.end() - 1, opened.end(), "remarked")
                self.remarked.append(len(self.stack))
                return opened.end()
            return end
        if name in _OVER:
            return self._under_remark(name, at, end, stop)
        if name == "substack" and (opened := _RAW.match(self.text, end, stop)):
            self.boxes.append(len(self.stack))
            self.stacked = len(self.boxes)
            return opened.end()
        if name in _STRUCK:
            self._error(at, said("what is struck out is not read: write the line again without it"))
            return end
        if name in _BESIDE:
            raw = self._raw(end, stop)
            if raw and "lap" in name and _FORMULA.search(raw[0]) and not _AS_WORDS.search(raw[0]):
                self._error(at, said(r"what \{name} holds is passed over, and must be words: \text{{...}}", name=name))
            else:
                self._add("TEXT", name, at, end)
            return self._after_argument(end, stop)
        if name in _FRAMES:
            for _ in range(_FRAMES[name]):
                end = self._after_argument(end, stop)
            opened = _RAW.match(self.text, end, stop)
            if opened:
                self.boxes.append(len(self.stack))
                return opened.end()
            return end
        if name == "arg":
            follows = re.compile(r"(?:\\[,!;: ]|\s)*\\(max|min)(?![A-Za-z])").match(self.text, end, stop)
            if follows:
                self._add("FUNCTION", f"arg{follows[1]}", at, follows.end())
                return follows.end()
        if name in COMMANDS:
            self._plain(*COMMANDS[name], at, end)
        else:
            bare = (
                said("{name} is a name and has no backslash", name=name)
                if self.known(name) and len(name) > 1
                else _unknown(name)
            )
            self._error(at, bare)
        return end

    def _ends_a_proof(self, sign: str, end: int, stop: int) -> bool:
        """Whether a square stands behind a whole formula: in the midst of one, or as a right side, it is a blank."""
        if sign not in _SQUARES or self.stack or not self.tokens:
            return False
        whole = self.tokens[-1].type not in ("EQUALS", "OP", "SIGN", "BIG", "REL", "SUB", "SUP")
        return whole and _NOTHING_MORE.fullmatch(self.text, end, stop) is not None

    def _under_remark(self, name: str, at: int, end: int, stop: int) -> int:
        r"""`\overset{(1)}{=}` is =, `\underset{D \times K}{W}` is W; a mark such as \cdot makes another name of it."""
        remark = self._raw(end, stop)
        if remark is None or _CHANGES.fullmatch(remark[0]) or _REDUCES.match(self.text, remark[2], stop):
            self._error(
                at,
                said(
                    r"\{name} is read with a remark only; the index of a \sum or \max stands below it: \sum_{{i}}",
                    name=name,
                ),
            )
            return end
        opened = _RAW.match(self.text, remark[2], stop)
        if opened and _NO_GROUP.match(self.text, remark[2], stop):
            self.boxes.append(len(self.stack))
            return opened.end()
        return remark[2]

    def _sized(self, name: str, end: int, stop: int) -> int:
        r"""`\left(`: the delimiter after it, whose side is known."""
        found = _MASTER.match(self.text, re.compile(r"\s*").match(self.text, end, stop).end(), stop)  # type: ignore[union-attr]
        if found is None:
            return end
        kind, value = (
            _CHARACTERS.get(found[0], (None, "")) if found[0][:1] != "\\" else COMMANDS.get(found[0][1:], (None, ""))
        )
        left = name in ("left",) or name.endswith("l")
        if kind in ("BAR", "NORM"):
            kind = {"BAR": ("RBAR", "LBAR"), "NORM": ("RNORM", "LNORM")}[kind][left]
        if found[0].startswith("."):
            if (after := self._open_side(name, found.start(), stop)) is not None:
                return after
            self._error(found.start(), said(r"\{name}. leaves a bracket open on one side: write both", name=name))
            return found.start() + 1
        if kind == "RBAR" and self._evaluates(name, found.start(), found.end(), stop):
            return found.end()
        if kind not in _OPENS and kind not in _CLOSES:
            self._error(
                found.start(), said(r"\{name} is followed by a bracket: ( [ \{{ | or its closing one", name=name)
            )
            return found.start() if name in ("left", "right") else end
        self._bracket(kind, found.start(), found.end())
        return found.end()

    def _open_side(self, name: str, at: int, stop: int) -> int | None:
        r"""`\left( a \right. \\ & \left. + b \right)` is one pair; `\left. a \right|_{x = 2}` is an evaluation."""
        if name == "left":
            self._bracket("LBRACE", at, at + 1)
            self.evaluated.append(len(self.stack))
            return at + 1
        if self.evaluated and self.evaluated[-1] == len(self.stack):
            self.evaluated.pop()
            self._bracket("RBRACE", at, at + 1)
            return at + 1
        goes_on = _RIGHT_OPEN.match(self.text, at + 1, stop)
        if not self.stack or goes_on is None:
            return None
        if goes_on["sign"]:
            self._add("SIGN", goes_on["sign"], *goes_on.span("sign"))
        return goes_on.end()

    def _evaluates(self, name: str, at: int, end: int, stop: int) -> bool:
        """Whether a bar on the right says where something is taken: it closes no bars, and a subscript follows."""
        if self.stack and self.stack[-1][0] == "LBAR":
            return False
        if name == "right" and self.evaluated and self.evaluated[-1] == len(self.stack):
            self.evaluated.pop()
            self._bracket("RBRACE", at, at)
        if not _SUBSCRIPT.match(self.text, end, stop):
            return False
        self._add("EVAL", "|", at, end)
        return True

    def _raw(self, at: int, stop: int) -> tuple[str, int, int] | None:
        """Content, its start and the end of a braced argument without looking into it."""
        opened = _RAW.match(self.text, at, stop)
        if not opened:
            return None
        depth, position = 1, opened.end()
        for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(
            self.text, opened.end(), min(stop, opened.end() + 1000)
        ):
            depth += {"{": 1, "}": -1}.get(found[0], 0)
            if depth == 0:
                return self.text[opened.end() : found.start()], opened.end(), found.end()
            position = found.end()
        return self.text[opened.end() : position], opened.end(), position

    def _after_argument(self, at: int, stop: int) -> int:
        raw = self._raw(at, stop)
        return raw[2] if raw else at

    def _roman(self, name: str, at: int, end: int, stop: int) -> int:
        if self.text.startswith("*", end):
            end += 1
        raw = self._raw(end, stop)
        if raw is None:  # \mathrm d
            found = re.compile(r"\s*([A-Za-z])").match(self.text, end, stop)
            if not found:
                return end
            self._add("ROMAN", found[1], at, found.end())
            return found.end()
        content, inner, after = raw
        word = re.sub(r"\\[,!;: ]|\s+", " ", content).strip(" .,;:")
        if name == "operatorname" and self.known(word.replace("-", "_")):
            word = word.replace("-", "_")  # one-hot
        says_when = _SAYS_WHEN.match(word.lower())
        restricts = says_when and (says_when.end() == len(word) or _COMPARED.search(word))
        if not self.stack and (restricts or _RESTRICTS.match(word.lower().lstrip("(（"))):
            self._error(at, CONDITION)
            return after
        if self._says(word, at, after):
            return after
        text_command = self.text.startswith(r"\text", at) or self.text.startswith((r"\mbox", r"\hbox"), at)
        if word.replace(" ", "") in ("argmax", "argmin", "max", "min"):
            self._add("FUNCTION", word.replace(" ", ""), at, after)
        elif not _NAME.fullmatch(word):
            if text_command and not (self._in_cases() and "$" in content):
                self._add("TEXT", word, at, after)
            elif text_command:
                self._case_in_words(content, inner, at)
            else:
                self._error(at, said("{word} is not a name: write letters, digits and \\_", word=word[:20]))
        elif (
            text_command
            and not (self._in_script() or self._is_the_loss(word, after))
            and len(word) > 1
            and not self.known(word.replace("\\_", "_"))
        ):
            applied = content == word and is_function(word) and _ARGUMENT.match(self.text, after, stop)
            self._add("ROMAN" if applied else "TEXT", word.replace("\\_", "_") if applied else word, at, after)
        else:
            self._add("ROMAN", word.replace("\\_", "_"), at, after)
        return after

    def _says(self, word: str, at: int, after: int) -> bool:
        """The words of a choice: what they mean inside cases, words to divide a line outside of all brackets."""
        small = word.lower()
        inside = bool(self.stack) and self.stack[-1][0] == "CASES"
        if _OTHERWISE.match(small):
            if inside and not self._case_divided():
                self._add("AMP", "", at, at)
            self._add("OTHERWISE", word, at, after)
        elif inside and small in _JOINED:
            self._add(_JOINED[small], {"AND": "&", "OR": "|"}[_JOINED[small]], at, after)
        elif inside and small in WHEN:
            if not self._case_divided():
                self._add("AMP", "", at, at)
        elif small in WHEN or small in _JOINED or small == "for all":
            self._add("TEXT", word, at, after)
        else:
            return False
        return True

    def _case_in_words(self, content: str, inner: int, at: int) -> None:
        r"""`\text{if $z > 0$ and $z < 1$}`: no other word may stand there, since none is read."""
        end = inner
        for piece in re.finditer(r"([^$]*)\$([^$]*)\$|([^$]+)$", content):
            word = (piece[1] or piece[3] or "").strip(" ,.;")
            if word and not self._says(word, end, end):
                self._error(
                    at, said("{word} beside a condition is not read: write the comparison alone", word=word[:20])
                )
                return
            if piece[2] is not None:
                end = inner + piece.end(2)
                self._scan(inner + piece.start(2), end)

    def _case_row(self) -> Iterator[int]:
        """Where the symbols of this row of cases are that stand in no further brackets, from the last to the first."""
        depth = 0
        for n in range(len(self.tokens) - 1, -1, -1):
            kind = self.tokens[n].type
            if depth == 0 and kind in ("ROW", "CASES"):
                return
            depth += (kind in _CLOSES) - (kind in _OPENS)
            if depth == 0 and kind not in _OPENS:
                yield n

    def _case_divided(self) -> bool:
        return any(self.tokens[n].type == "AMP" for n in self._case_row())

    def _end_case(self) -> None:
        """`a, & z > 0;`, `a & , z > 0.` and `a, z > 0`: punctuation at the ends of a row, or in place of its &."""
        while self.tokens[-1].type in ("COMMA", "SEPARATOR", "DOT"):
            self.tokens.pop()
        row = list(self._case_row())
        commas = [n for n in row if self.tokens[n].type == "COMMA"]
        divider = next((n for n in row if self.tokens[n].type == "AMP"), None)
        if divider is not None and divider + 1 in commas:
            del self.tokens[divider + 1]
        elif divider is None and len(commas) == 1:
            comma = self.tokens[commas[0]]
            self.tokens[commas[0]] = Token.new_borrow_pos("AMP", "", comma)

    def _is_the_loss(self, word: str, after: int) -> bool:
        r"""`\partial \text{loss}`, `\nabla_w \text{loss}`, `\text{loss} =`: a name, and no remark."""
        if word.lower() != "loss":
            return False
        kinds = [token.type for token in self.tokens[-12:]]
        below = kinds[len(kinds) - kinds[::-1].index("NABLA") :] if "NABLA" in kinds else []
        nabla = below[:1] == ["SUB"] and (len(below) == 2 or (below[1] == "LBRACE" and below[-1] == "RBRACE"))
        upright = bool(kinds) and kinds[-1] in ("WORD", "ROMAN") and str(self.tokens[-1]) == "d"
        return kinds[-1:] == ["PARTIAL"] or nabla or upright or _GIVEN.match(self.text, after) is not None

    def _in_script(self) -> bool:
        """Right after _ or ^, or the brace that follows it."""
        types = [token.type for token in self.tokens[-2:]]
        return self.want > 0 or types[-1:] == ["SUB"] or (types[-1:] == ["LBRACE"] and types[0] in ("SUB", "SUP"))

    def _styled(self, name: str, at: int, end: int, stop: int) -> int:
        r"""`\mathbf{W}` is W; `\mathbb{1}` the indicator; `\boldsymbol{\gamma}` is gamma."""
        found = re.compile(r"\s*(?:\{\s*([A-Za-z1][\w\\]*)\s*\}|([A-Za-z1]))").match(self.text, end, stop)
        if not found or not (_NAME.fullmatch(word := found[1] or found[2]) or word == "1"):
            return end  # its argument is read as if it stood alone
        if word == "1" or (name in ("mathbb", "mathbbm", "mathds") and word == "I"):
            self._add("ONE", word, at, found.end())
        elif name in ("mathbb", "mathbbm", "mathds"):
            self._error(
                at,
                said(
                    r"\{name}{{{word}}} is not part of an answer: only the indicator \mathbb{{1}} is",
                    name=name,
                    word=word,
                ),
            )
        else:
            self._add("ROMAN", word.replace("\\_", "_"), at, found.end())
        return found.end()

    # -- adding --

    def _plain(self, kind: str, value: str, at: int, end: int) -> None:
        if kind == "BAR" and self._evaluates("", at, end, len(self.text)):
            return
        if kind in ("BAR", "NORM"):
            left, right = ("LBAR", "RBAR") if kind == "BAR" else ("LNORM", "RNORM")
            closing = self.stack and self.stack[-1][0] == left and self._after_operand()
            kind = right if closing else left
        if kind == "QUAD" and self.stack:
            self.spaced.add(len(self.tokens))
        elif kind in _OPENS or kind in _CLOSES:
            self._bracket(kind, at, end)
        elif (
            self.stack
            and self.stack[-1][0] == "LPAR"
            and kind == "EQUALS"
            and (self.text[at - 1 : at] == ":" or "colon" in self.text[at:end])
        ):
            self._add("DEFINES", ":=", at, end)
        elif self.stack and kind == "EQUALS":
            self._add("REL", "==", at, end)
        elif kind == "SUB" and self.text.startswith("_", end):
            self._error(at, said("two subscripts at one place: write x_{ik}"))
        else:
            self._add(kind, value, at, end)

    def _after_operand(self) -> bool:
        return bool(self.tokens) and self.tokens[-1].type in _ENDS_OPERAND

    def _bracket(self, kind: str, at: int, end: int, value: str = "") -> None:
        if kind in _OPENS:
            if len(self.stack) >= MAX_NESTING:
                self._error(at, said("more than {most} brackets inside each other", most=MAX_NESTING))
                return
            self._add(kind, value, at, end, wants=False)
            self.stack.append((kind, max(self.want - 1, 0), at))
            self.want = 0
            return
        if kind == "RBRACE" and self.boxes and self.boxes[-1] == len(self.stack):
            self.boxes.pop()
            self.stacked = min(self.stacked, len(self.boxes))
            return
        if kind == "RBRACE" and self.remarked and self.remarked[-1] == len(self.stack):
            self.remarked.pop()
            script = _SCRIPT.match(self.text, end)
            raw = self._raw(script.end(), len(self.text)) if script else None
            single = _SINGLE.match(self.text, script.end()) if script else None
            self.skip_to = raw[2] if raw else single.end() if single else end
        if not self.stack or self.stack[-1][0] != _CLOSES[kind]:
            self._error(at, said("{signs} closes nothing", signs=_SIGNS[kind]))
            return
        if kind == "ENDCASES" and self.tokens[-1].type == "ROW":
            self.tokens.pop()
        elif kind == "ENDCASES":
            self._end_case()
        self.want = 0
        self._add(kind, "", at, end, wants=False)
        self.want = self.stack.pop()[1]

    def _add(self, kind: str, value: str, at: int, end: int, wants: bool = True) -> None:
        line, column = self.place(at)
        if kind in ("AMP", "ROW", "ENDCASES") and self._in_cases() and self.tokens[-1].type == "COMMA":
            self.tokens.pop()  # `a, & z > 0, \\\\`
        if wants:
            self.want = max(self.want - 1, 0) + _WANTS.get(kind, 0)
        self.tokens.append(Token(kind, value, start_pos=at, line=line, column=column, end_pos=end))

    def _error(self, at: int, reason: str) -> None:
        self._add("ERROR", reason, at, at + 1)

    def _unclosed(self, at: int) -> None:
        if self.stack:
            kind, _, opened = self.stack[-1]
            self._error(opened, said("{signs} is never closed", signs=_SIGNS[kind]))
        self.stack.clear()
        self.boxes.clear()
        self.want = 0


def is_function(word: str) -> bool:
    """Whether one word in front of a formula names an operation: `diag`, and not `since`."""
    return _NAME.fullmatch(word) is not None and word.lower() not in _PROSE


def _greek_letter(character: str) -> str | None:
    name = unicodedata.name(character, "").split()
    if len(name) == 4 and name[0] == "GREEK" and name[2] == "LETTER":
        word = {"lamda": "lambda", "final": "sigma"}.get(name[3].lower(), name[3].lower())
        word = word if name[1] == "SMALL" else word.capitalize()
        return word if word in _GREEK else None
    return None


def _foreign(name: str) -> str:
    return said("the environment {name} is not part of an answer: write aligned, or cases", name=name)


def _accented_letter(character: str) -> tuple[str, str] | None:
    """ŷ is y with a hat."""
    parts = unicodedata.normalize("NFD", character)
    mark = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot"}.get(parts[1:])
    return (mark, parts[0]) if mark and parts[0].isascii() else None


def _strange(character: str) -> str:
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    name = unicodedata.name(character, "").lower() or said("a control character")
    return said("the character {shown} ({name}) is not part of an answer in LaTeX", shown=shown, name=name)


def _unknown(name: str) -> str:
    if not name:
        return said(r"\ stands alone")
    if name in _DANGEROUS:
        return said(
            r"\{name} is not part of an answer: nothing is run or defined here, write the formula "
            "itself",
            name=name,
        )
    if name == "propto":
        return said(r"\propto leaves a factor open: write = and the factor")
    if name in ("over", "choose", "atop"):
        return said(r"\{name} is not part of an answer: write \frac{{a}}{{b}}", name=name)
    known = [*COMMANDS, *_ROMAN, *_STYLES]
    return said(
        r"\{name} is not part of an answer{hint}; write macros of your own out",
        name=name,
        hint=did_you_mean(name, known),
    )


# -- tokens -> tree ----------------------------------------------------------------------------------------


class _Given(Lexer):
    """The tokens are there already."""

    def __init__(self, conf: Any):
        pass

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[Token]:
        yield from lexer_state


@lru_cache(maxsize=1)
def _parser() -> Lark:
    declared = f"%declare {' '.join(_NAMED)}\n"
    return Lark(GRAMMAR + declared, start="list", parser="lalr", lexer=_Given, maybe_placeholders=False)


_EXPECTED = {
    "OP": said("an operator without anything on its left: write a \\cdot b"),
    "REL": said("a comparison stands inside \\mathbb{1}[...] or cases only"),
    "EQUALS": said("a second = here: divide the line"),
    "DEFINES": said("a second = here: divide the line"),
    "RBRACE": said("nothing stands before }"),
    "RPAR": said("nothing stands before )"),
    "RBRACKET": said("nothing stands before ]"),
    "AMP": said("& stands between the columns of aligned and cases only"),
    "COMMA": said("a comma stands between indices, or the arguments of \\max, only"),
    "TEXT": said("words stand before or after a formula, not inside it"),
    "DOTS": said("\\dots is not part of an answer: write a \\sum with its index"),
    "SUB": said("nothing stands before _"),
    "SUP": said("nothing stands before ^"),
    "OTHERWISE": said("otherwise stands in cases only"),
    "FORALL": said("a set is not part of an answer: write a condition under the sum, as j \\ne i"),
    "NOT": said("a negation is not part of an answer: write the opposite comparison"),
}


def parse(tokens: list[Token]) -> Tree:
    """The tree of one side of an equation; `ReadingError` where it is none."""
    for token in tokens:
        if token.type == "ERROR":
            raise ReadingError(token.value, token.line or 1, token.column or 1)
        if token.type not in _NAMED:
            raise ReadingError(
                _EXPECTED.get(token.type, said("{token} is not part of a formula", token=token)),
                token.line or 1,
                token.column or 1,
            )
    try:
        tree = _parser().parse(tokens)
    except UnexpectedInput as error:
        found = getattr(error, "token", None)
        if found is None or found.type == "$END":
            last = tokens[-1] if tokens else Token("WORD", "", line=1, column=1)
            raise ReadingError(said("the formula ends too early"), last.line or 1, last.column or 1) from None
        reason = _EXPECTED.get(
            found.type, said("this cannot be read here: a side is a formula such as \\frac{1}{N} (p_{ik} - y_{ik})")
        )
        raise ReadingError(reason, found.line or 1, found.column or 1) from None
    _check_depth(tree)
    return tree


def _check_depth(tree: Tree) -> None:
    level = [tree]
    for _ in range(MAX_TREE):
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
        if not level:
            return
    token = next(tree.scan_values(lambda value: True))
    raise ReadingError(said("too many things inside each other: use a helper of your own"), token.line, token.column)
