r"""Where the mathematics stands in a text: `$$ ... $$`, `\[ ... \]`, equation and align; prose is passed over."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_DISPLAY = "equation|align|aligned|alignat|alignedat|gather|gathered|multline|flalign|eqnarray|displaymath|math|split"
_REGION = re.compile(
    rf"\\begin[ \t]*\{{(?P<env>(?:{_DISPLAY})\*?)\}}(?:\{{\d+\}})?|(?P<open>\\\[)|(?P<inline>\\\()"
    r"|(?P<dollars>\$\$)|(?P<dollar>\$)|(?P<escaped>\\\\[\[(])"
    r"|\\begin[ \t]*\{(?P<verbatim>(?:[vV]erbatim|lstlisting|minted|comment)\*?)\}|%[^\n]*|\\.",
    re.DOTALL,
)
_OPTIONS = re.compile(r"[ \t]*(?:\[(?P<options>(?:[^\[\]]|\[[^\]]*\])*)\])?(?:\{(?P<language>[^{}\n]*)\})?")
_LANGUAGE = re.compile(r"\blanguage[ \t]*=[ \t]*\{?(?:\[[^\]]*\])?([\w+#-]+)")
_BULLET = re.compile(r"[ \t]*(?:[-*+]|\d+[.)]|\\item)?[ \t]*")
_ALONE_AFTER = re.compile(r"[ \t]*(?:[.,;。，；、][ \t]*)?(?:\\\\[ \t]*)?(?:\n|$)")
_EVIDENT = re.compile(
    r"\\[A-Za-z]{2}|\\[,;:!]|[_^]\{|^[ \t]*\$", re.MULTILINE
)  # a command, a space, a braced script, $ first
_EQUALITY = re.compile(
    r"=|[≈≡∝]|\\(?:approx|equiv|propto|ne|neq|doteq|coloneqq|coloneq|triangleq|simeq|leftarrow|gets)\b"
)
_QUOTED = re.compile(r"#[^\n]*|(\"\"\"|\'\'\')(?:.*?\1|.*)", re.DOTALL)


def is_latex(text: str) -> bool:
    r"""Whether a text is evidently LaTeX: `\frac`, `_{` or `$` outside Python's comments and docstrings, and `=`."""
    return (
        ("\\" in text or "{" in text or "$" in text)
        and _EQUALITY.search(text) is not None
        and _EVIDENT.search(_QUOTED.sub("", text)) is not None
    )


class Stretch(NamedTuple):
    """A stretch of a text that is marked as mathematics or code; its marks begin at `begun` and end at `ended`."""

    start: int
    stop: int
    kind: str  # displayed, inline, verbatim, or a comment
    begun: int
    ended: int


def regions(text: str) -> list[tuple[int, int]]:
    """(start, stop) of displayed mathematics; of the whole text where nothing is marked."""
    marked = list(stretches(text))
    if marked or text.find(r"\begin{document}") > 0:
        return [(each.start, each.stop) for each in marked if each.kind == "displayed"]
    return [(_after_header(text), len(text))]


def in_prose(text: str) -> list[tuple[int, int]]:
    """(start, stop) of the formulas that stand in the midst of a sentence."""
    return [(each.start, each.stop) for each in stretches(text) if each.kind == "inline"]


def listings(text: str) -> Iterator[tuple[int, int, str]]:
    r"""(start, stop, language) of what stands in verbatim, lstlisting and minted; no language where none is named."""
    for each in stretches(text):
        if each.kind == "verbatim":
            plain = text.startswith("verbatim", text.find("{", each.begun) + 1)  # takes no options: they would be text
            given = None if plain else _OPTIONS.match(text, each.start, each.stop)
            named = given and (given["language"] or (_LANGUAGE.search(given["options"] or "") or ("", ""))[1])
            yield given.end() if given else each.start, each.stop, (named or "").lower()


# a sentence that names a case: "if $y_{ik} = 1$ then", "for $x_i > 0$:", "else", in front of a formula
_ENDS_SENTENCE = re.compile(
    r"[.。;；!?！？](?=\s|$)|(?<=[。；！？])|\n[ \t]*\n|\$\$|\\\]|\\end[ \t]*\{|^[ \t]*[-*+][ \t]", re.MULTILINE
)
_ELSE = re.compile(
    r"(?:\b(?:else|otherwise)\b|否则|其他情况下?|其它情况下?)[\s,，:：*_]*(?:then|则|时|有|we have)?[\s,，:：*_]*$",
    re.IGNORECASE,
)
_OPENS_CASE = re.compile(r"\b(?:if|when|whenever|unless|case|for|where)\b|若|如果|当|情况|情形|对|在", re.IGNORECASE)
_SAYS_CASE = re.compile(
    rf"{_OPENS_CASE.pattern}|\b(?:else|otherwise)\b|否则|其他情况|其它情况|\\item(?![A-Za-z])|[$)][ \t*_]*[:：]",
    re.IGNORECASE,
)
_INLINE = re.compile(r"\$([^$\n]+)\$|\\\(([^\n]+?)\\\)")
_RELATED = r"[<>≤≥≠]|\\(?:[lg]eq?(?:slant)?|[lg]t|ne|neq)(?![A-Za-z])"
# a comparison of entries, an index that equals something, an entry that equals a number; no range 1, ..., N
_NAMES_CASE = re.compile(
    rf"^[^=]*_[^=]*(?:{_RELATED})|^[^=]*(?:{_RELATED})[^=]*_|^\s*[a-z]\s*(?:=|{_RELATED})\s*[a-z](?![a-z])"
    r"|^[^=]*_[^=]*=\s*-?[\d.]+\s*$"
    rf"|^\s*(?:\||\\left\s*\||\\lvert\b)[^=]*(?:{_RELATED})"
)
_CONDITIONAL = ("if", "when", "whenever", "unless", "case", "若", "如果", "当", "情况", "情形")
# "Case 1:", "\textbf{Case (ii).}": what is said up to the next formula on a line of its own is said of that case
_CASE_LABEL = re.compile(
    r"\b[Cc]ase[\s~]*(?:\(?\d{1,2}\)?(?!\w)|\(?(?:[ivxIVX]{1,4}|[A-Da-d])\)?(?=\s*[.:,)}*$(]))[.:]?"
    r"|(?:情形|情况)[\s~]*[\d一二三四(（）)]{1,3}[.:：]?"
)
_OF_ALL_CASES = re.compile(
    r"\b(?:both|all|either|every|each|together|general|combined?|combining|overall|summary|unified)\b"
    r"|综合|合并|总之|统一|两种|一般|所有",
    re.IGNORECASE,
)
# after two cases in one paragraph: what follows from both
_CONCLUDES = re.compile(r"[.。]\s*(?:(?:Thus|Hence|Therefore|So|Altogether)\b|因此|所以|综上)[^.。]*$")
_THEN = re.compile(
    r"(?:[\s,，:：*_}]|\\textbf|\b(?:then|so|here|hence|now|there|we|have|get|obtain|find|this|gives|yields|it|follows|that)\b"
    r"|[则有得]|此时|于是|可得|我们)*",
    re.IGNORECASE,
)
_BEGINS_HEADER = re.compile(r"[\s*_#]*(?:\\\w+\{)?(?:If|When|Whenever|Unless|Case|For)\b|[\s*_#]*(?:若|如果|当|对)")
_CLOSES_FORMULA = re.compile(r"\$\$|\\\]|\\end[ \t]*\{")
# a list's item, or a sentence, that is nothing but a comparison: "\item[(i)] $|r_i| \le \delta$: "
_ONLY_A_CASE = re.compile(
    r"(?:^|(?P<item>\\item)[ \t]*(?:\[[^\]\n]*\])?)\s*(?:\(?[ivx]{1,4}\))?"
    r"[\s*_]*(?:\\(?:textbf|emph|textit)\{)?\s*(?:\$(?P<dollar>[^$\n]+)\$|\\\((?P<paren>[^\n]+?)\\\))"
    r"[\s}*_]*(?P<colon>[:：])?[\s}*_]*$"
)
_OPENING_MARK = re.compile(r"(?:\$\$?|\\{1,2}[\[(]|\\begin[ \t]*\{[A-Za-z]+\*?\}(?:\{\d+\})?)\s*$")
# what holds of all entries: \sum_k y_{ik} = 1; A_{ij} \ne A_{ji}, which says that A is any matrix
_COMPARES = re.compile(rf"{_RELATED}|^\s*[a-z]\s*=\s*[a-z](?:_\w)?\s*$")
_ADDS_UP = re.compile(r"^\s*\\sum(?![A-Za-z])[^=<>]*=\s*1\s*$")
_NOT_SYMMETRIC = re.compile(r"^\s*(\w+)_\{?(\w)(\w)\}?\s*(?:≠|\\neq?(?![A-Za-z]))\s*\1_\{?\3\2\}?\s*$")
_TRUE_CLASS = re.compile(
    r"\b(?:true|correct|right|target|wrong|other|positive|negative|active)\b|真实|正确|正类|负类|目标", re.IGNORECASE
)


MAX_LISTED = 10  # formulas that one `let` is said of
_DEFINES = re.compile(
    r"(?:^|\s)(?:let(?: us)?(?: write| define| set| denote)?|set|put|define|denote(?: by)?|write|with|where)"
    r"[\s:]*$|(?:记|令|设|其中|定义)[\s:：]*$",
    re.IGNORECASE,
)
_ALSO = re.compile(r"(?:,|，|、|;|；|\band|和|与|以及)(?:\s*(?:and|let|set))?\s*$")  # `Let $t = ...$ and $g = ...$`
_INTRODUCES = re.compile(
    r"[\s.,;，。；]*(?:\${1,2}|\\\]|\\end\{[A-Za-z]+\*?\})[\s.,;，。；]*(?:where|with|其中)[\s:：,，]*(?:\$|\\\()",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    r"^\s*(?:\\[a-z]+(?:\s*\{\s*|\s+))?\\?([A-Za-z]+)\s*\}?\s*(?:_(?:\w|\{[^{}]*\}))?\s*(?::=|\\coloneqq|=)"
)


_FUNCTION = re.compile(r"'?\s*(?:\\left\s*)?\(\s*\\?[A-Za-z]+\s*(?:\\right\s*)?\)\s*&?\s*(?::?=|\\coloneqq|\\equiv)")


def defines_a_function(text: str, start: int, stop: int) -> bool:
    r"""Whether `g(u) = \sin u + u \cos u` may stand in a formula."""
    return _FUNCTION.search(text, start, stop) is not None


def of_a_definition(text: str, start: int) -> bool:
    """Whether the words right in front of a formula in a sentence say that it gives a name: `Let $r = x - y$`.

    They say it of a second formula as well: `Let $t = ...$ and $g = p - t$`.
    """
    for _ in range(MAX_LISTED):
        if _DEFINES.search(_in_front(text, start)):
            return True
        earlier = named_with(text, start)
        if earlier is None or not defined(text[earlier:start]):
            return False
        start = earlier
    return False


def _in_front(text: str, start: int) -> str:
    """The words right in front of a formula in a sentence."""
    return text[max(0, start - 40) : start].rstrip("$\\( \t\n")


def named_with(text: str, start: int) -> int | None:
    """Where the formula begins that stands in front of an `and` before this one."""
    before = _in_front(text, start)
    also = _ALSO.search(before)
    if also is None:
        return None
    begun = max(0, start - 40) + also.start()
    formula = text[max(0, begun - 300) : begun].rstrip()
    for opening, closing in (("$", "$"), ("\\(", "\\)")):
        if formula.endswith(closing):
            found = formula.rfind(opening, 0, -len(closing))
            return None if found < 0 else max(0, begun - 300) + found + len(opening)
    return None


def introduces(text: str, end: int, start: int) -> bool:
    """Whether only `where` or `with` stands between a display and a formula in the sentence that goes on with it."""
    return start - end <= 60 and _INTRODUCES.fullmatch(text, end, start) is not None


_E = (
    r"(?P<style>\\(?:mathbf|boldsymbol|bm|mathrm|vec|mathsf)\s*\{?\s*)?(?<![A-Za-z])(?<!\\)e\s*\}?\s*_\s*"
    r"(?:\{(?P<braced>(?:[^{}]|\{[^{}]*\})+)\}|(?P<single>\w))"
)
_BASIS = (
    r"(?:one[- ]?hot|(?:standard|canonical|natural|unit)(?:[- ](?:basis|coordinate))?[- ]vectors?\b"
    r"|(?:standard|canonical) basis|basis vectors?\b|indicator vectors?\b|独热|标准基|单位向量|基向量|指示向量)"
)
_ENDS_FORMULA = r"\s*(?:\\in\b[^$\n]{1,40})?(?:\$|\\\)|\\text\s*\{)"
_IS = (
    r"(?>\s+|\$[^$\n]{1,20}\$-?(?:th\b)?|\\\([^\n]{1,20}?\\\)-?(?:th\b)?|[,:，：]"
    r"|(?:is|be|are|denotes?|denoting|being|for|as|means|the|a|an|its|our|again|usual|corresponding)\b"
    r"|表示|代表|[是为即第个的])*"
)
_OF_WHAT = (
    r"(?:[- ]?(?:encoded|encoding|vectors?|label|向量))*(?:\s+(?:of|for)(?:\s+[a-z-]+){0,4}(?:\s*\$[^$\n]{1,20}\$)?"
    r"\s+(?:by|as))?\s*(?:\$|\\\()\s*"
)
_SAYS_BASIS = re.compile(rf"{_E}{_ENDS_FORMULA}{_IS}{_BASIS}", re.IGNORECASE)
_BASIS_SAID = re.compile(rf"{_BASIS}{_OF_WHAT}{_E}", re.IGNORECASE)


def basis_vectors(text: str, start: int, stop: int) -> set[tuple[bool, str]]:
    r"""(whether in bold, index) of every e that words around a formula call a one-hot or a basis vector.

    `Let $e_o$ be the one-hot vector of $o$`, `with the standard basis vectors $\mathbf e_k$`.
    """
    if re.search(r"e\s*\}?\s*_", text[start:stop]) is None:
        return set()
    before = max(0, start - 120)
    found = [
        *_SAYS_BASIS.finditer(text, before, min(len(text), stop + 200)),
        *_BASIS_SAID.finditer(text, before, min(len(text), stop + 1)),
    ]
    return {
        (bool(each["style"]), (each["braced"] or each["single"]).replace(" ", ""))
        for each in found
        if start <= each.start("braced" if each["braced"] else "single") < stop
    }


def defined(formula: str) -> str:
    """The name that a formula `name = ...` gives a value, as a word; empty where it has another form."""
    found = _DEFINED.match(formula)
    return found[1] if found else ""


def of_a_case(text: str, start: int) -> bool:
    """Whether the sentence in front of a formula says that it holds in one case only."""
    openers = _case_words(text)
    near = bisect_right(openers, start - 400)
    if near == len(openers) or openers[near] > start:
        return False
    before = _OPENING_MARK.sub("", text[max(0, start - 400) : start]).rstrip()
    begun = max((found.end() for found in _CLOSES_FORMULA.finditer(before)), default=0)
    before = before[begun:]  # since the last formula on a line of its own
    labels = list(_CASE_LABEL.finditer(before))
    if labels and not (len(labels) > 1 and _CONCLUDES.search(before)) and _of_a_label(before, labels[-1]):
        return True
    sentences = _ENDS_SENTENCE.split(before)
    if _says_case(sentences[-1]):
        return True
    header = next((each for each in reversed(sentences) if not _THEN.fullmatch(each)), "")
    return header is not sentences[-1] and _is_a_header(header)


_AT_A_POINT = r"\b(?:stationarity|first[- ]order|optimality) condition|设为零|最小值|最优|极小|极值|驻点"
_SAYS_ZERO = re.compile(
    r"\bset(?:ting|s)?\b(?! of\b)|\bequat(?:e|ing)\b"
    r"|\b(?:at|for|in) (?:the|a|an|any|every|its)\b[^.$]{0,30}\b(?:minim|maxim|optim|extrem|stationary|critical|saddle)"
    rf"|\b(?:require|demand|must vanish|has to vanish|to zero|solve|solving)\b|{_AT_A_POINT}|令|等于零",
    re.IGNORECASE,
)


def says_zero(text: str, start: int) -> bool:
    """Whether the sentence in front of a formula asks where it is 0: `Setting this to zero`, `At the minimum`."""
    before = _OPENING_MARK.sub("", text[max(0, start - 200) : start])
    return _SAYS_ZERO.search(_ENDS_SENTENCE.split(before.rstrip())[-1]) is not None


_BETWEEN = re.compile(
    r"(?:[\s,.，。:：]|\b(?:and|so|that|thus|hence|therefore|then|consequently|which|also|gives|yields|implies|we|have|get)\b"
    r"|[则故]|因此|所以|从而|于是)*",
    re.IGNORECASE,
)
_CLOSING_MARK = re.compile(r"[\s.,;]*(?:\$\$?|\\{1,2}[\])]|\\end[ \t]*\{[A-Za-z]+\*?\})")
_NEXT_CASE = re.compile(
    r"[\s.,;*_#]*(?:\\(?:textbf|emph|textit|paragraph)\*?\{)?\s*(?:\\item|(?:and\s+)?(?:if|for|when|otherwise|else|case)\b"
    r"|否则|情形|情况|若|如果|当)",
    re.IGNORECASE,
)


def goes_on_with_a_case(text: str, earlier: int, start: int, stop: int) -> bool:
    """Whether a formula follows from one that holds in one case, before the sentence that names the next case."""
    closed, following = _CLOSING_MARK.match(text, earlier), _CLOSING_MARK.match(text, stop)
    if closed is None or following is None or start - closed.end() > 60:
        return False
    between = _OPENING_MARK.sub("", text[closed.end() : start])
    return _BETWEEN.fullmatch(between) is not None and _NEXT_CASE.match(text, following.end()) is not None


_ASKS_WHERE = re.compile(
    r"\b(?:minim|maxim|optim|extrem)(?:um|a|al|i[sz]e\w*|i[sz]ing)\b|\b(?:stationary|critical) points?\b"
    rf"|\b(?:set|setting|equate|equating)\b[^.$]{{0,40}}\b(?:zero|0)\b|{_AT_A_POINT}",
    re.IGNORECASE,
)


def asks_where_zero(text: str, start: int) -> bool:
    """Whether what is told in front of a formula is where it is 0: its `= 2(wx - y)x = 0` is no value then."""
    return _ASKS_WHERE.search(text, max(0, start - 600), start) is not None


def _of_a_label(before: str, label: re.Match[str]) -> bool:
    """Whether what follows `Case 1:` is still said of that case, and says which it is."""
    after = before[label.end() :]
    words = _INLINE.sub(" ", after)
    formulas = [found[1] or found[2] for found in _INLINE.finditer(after)]
    names = any(_COMPARES.search(formula) or _names_case(formula, True) for formula in formulas)
    names = names or _ELSE.search(words.split(".")[0]) is not None or _TRUE_CLASS.search(words) is not None
    return names and _OF_ALL_CASES.search(words) is None


def _is_a_header(sentence: str) -> bool:
    """`If $k = l$.`, with nothing behind the condition: what follows it is said of that case."""
    begins = _BEGINS_HEADER.match(sentence)  # `for $k \ne l$.` in the midst of a sentence is said of what came before
    last = next(reversed(list(_INLINE.finditer(sentence))), None)
    if begins is None or last is None or sentence[last.end() :].strip(" \t\n:,*_}."):
        return False
    return _COMPARES.search(last[1] or last[2]) is not None and _says_case(sentence)


def _says_case(sentence: str) -> bool:
    """Whether a sentence, or what there is of it, names a case."""
    if _ELSE.search(sentence):
        return True
    if (alone := _ONLY_A_CASE.search(sentence)) and (alone["colon"] or alone["item"]):
        return _COMPARES.search(alone["dollar"] or alone["paren"]) is not None
    opened = _OPENS_CASE.search(_INLINE.sub(lambda found: " " * len(found[0]), sentence))
    if not opened:
        return False
    formulas = [found[1] or found[2] for found in _INLINE.finditer(sentence, opened.start())]
    conditional = opened[0].lower() in _CONDITIONAL
    if any(_names_case(formula, conditional) for formula in formulas):
        return True
    words = _INLINE.sub(" ", sentence[opened.start() :])
    return (
        bool(formulas)
        and opened[0].lower() in ("if", "when", "若", "如果", "当")
        and _TRUE_CLASS.search(words) is not None
    )


@lru_cache(maxsize=4)
def _case_words(text: str) -> list[int]:
    """Where each word ends that may open a case, in order: a text with thousands of formulas is searched once."""
    return [found.end() for found in _SAYS_CASE.finditer(text)]


@lru_cache(maxsize=1024)
def _names_case(formula: str, conditional: bool) -> bool:
    """Whether a formula in a sentence says which entries are spoken of; after an `if` it may be what is assumed."""
    if "dots" in formula or _NOT_SYMMETRIC.match(formula) or (_ADDS_UP.match(formula) and not conditional):
        return False
    return _NAMES_CASE.search(formula) is not None


def stretches(text: str, markdown: bool = False) -> Iterator[Stretch]:
    r"""All that is marked, in order; in Markdown `\\[ ... \\]` is too: in LaTeX's prose `\\` breaks the line."""
    at = max(text.find(r"\begin{document}"), 0)
    known: dict[str, int] = {}

    def following(sought: str, start: int) -> int:
        """Where a text stands next, behind the end where nowhere; looked for anew once what was found is passed."""
        if known.get(sought, -1) < start:
            found = text.find(sought, start)
            known[sought] = len(text) + 1 if found < 0 else found
        return known[sought]

    while (mark := _REGION.search(text, at)) is not None:
        at = mark.end()
        closing = _closing(mark)
        if closing is None:
            continue
        if mark["escaped"] and not markdown:
            continue
        end = following(closing, at)
        if mark["escaped"] and end > len(text):
            continue
        end, after = (len(text), len(text)) if end > len(text) else (end, end + len(closing))
        inline = mark["inline"] or mark["dollar"] or mark["escaped"] == r"\\("
        if (inline or mark["escaped"]) and following("\n\n", at) + 2 <= end:
            continue  # a lone dollar sign
        alone = not inline or (_begins_line(text, mark.start()) and _ALONE_AFTER.match(text, after))
        kind = "displayed" if alone else "inline"
        if mark["verbatim"]:
            kind = "comment" if mark["verbatim"].startswith("comment") else "verbatim"
        yield Stretch(mark.end(), end, kind, mark.start(), after)
        at = after


def _closing(mark: re.Match[str]) -> str | None:
    environment = mark["env"] or mark["verbatim"]
    if environment:
        return rf"\end{{{environment}}}"
    if mark["escaped"]:
        return r"\\]" if mark["escaped"].endswith("[") else r"\\)"
    return {"open": r"\]", "inline": r"\)", "dollars": "$$", "dollar": "$"}.get(mark.lastgroup or "")


def _begins_line(text: str, at: int) -> bool:
    """Whether nothing but a bullet stands before it on its line: `$dW = ...$` in the midst of prose is a remark."""
    before = text[max(0, at - 40) : at]
    start = before.rfind("\n") + 1
    return (start > 0 or at <= 40) and _BULLET.fullmatch(before, start) is not None


def _after_header(text: str) -> int:
    """Header lines of a sheet (`# exercise: ...`) are no mathematics."""
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith(("#", "%")):
            break
        at += len(line)
    return at
