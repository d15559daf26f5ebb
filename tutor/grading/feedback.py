"""What a learner is told about their grade: no more than the assignment's `feedback` releases.

    LearnerGrade --released--> Feedback --views.feedback--> text, Markdown, HTML, JSON

Whatever leaves for a learner (pages, results of an autograder, a cell in a notebook) is made from a `Feedback` and from
nothing else, so that what is held back is held back in one place. A report's sentences hold corrections ("write
dz.sum(0)", "a factor N is lost"), which are the answer: none is passed on. Those here are built anew from verdicts,
lines, names and shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from tutor.checking.report import EARNS, REASONS
from tutor.errors import TutorError
from tutor.grading.assignment import FEEDBACK, Assignment
from tutor.grading.model import Attempt, LearnerGrade, QuestionGrade
from tutor.grading.variants import Variant, entry_of, variant
from tutor.language import N_, current, joined, of_exercise, speaking, tr
from tutor.shown import shown_shape

# -- what is told ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineShown:
    """A line of the learner's own sheet, with what is said of it; nothing where that is not released."""

    line: int
    text: str
    quantity: str | None = None
    verdict: str | None = None  # from "verdicts" on; of an unreadable line always
    reason: str = ""  # of the first that diverges, from "divergence" on; of an unreadable line always
    mistakes: tuple[str, ...] = ()  # from "mistakes" on: what kind of mistake, in words; never the formula in its place
    cell: int | None = None
    diverges: bool = False  # the first that does, from "divergence" on


@dataclass(frozen=True)
class QuestionShown:
    """A question as its learner sees it graded. `points` is None while a person has to look at it."""

    question: str
    title: str
    exercise: str  # the member that the learner has: `mlp:loss=mae`
    points: float | None
    max_points: float
    earned: Mapping[str, float] = field(default_factory=dict)  # asked name (`dW`) -> points
    worth: Mapping[str, float] = field(default_factory=dict)
    attempts: tuple[float | None, ...] = ()  # points of each attempt, in order
    file: str = ""  # of the attempt that is shown
    verdict: str | None = None
    lines: tuple[LineShown, ...] = ()
    missing: tuple[str, ...] = ()
    comment: str = ""  # the teacher's, with an override
    derivation: str = ""  # HTML, once the assignment is due and says so
    reasons: Mapping[str, str] = field(default_factory=dict)  # asked name -> why it has not earned all its points
    notes: tuple[str, ...] = ()  # how the points come about: attempts, the teacher's decision, who looks at it


@dataclass(frozen=True)
class Feedback:
    """All that one learner is told about one assignment."""

    assignment: str
    title: str
    learner: str
    person: str
    points: float | None
    max_points: float
    questions: tuple[QuestionShown, ...]
    problems: tuple[tuple[str, str], ...] = ()  # (file, what is wrong with it, and what to do)
    notes: tuple[str, ...] = ()
    language: str = "en"  # of every sentence here


# a mistake's id -> what it is called, without the formula that belongs in its place
MISTAKES = {
    "sign": N_("a sign is flipped"),
    "factor": N_("a constant factor is lost, or one too much"),
    "extra-factor": N_("something is multiplied in that does not belong there"),
    "wrong-power": N_("an exponent is not the right one"),
    "missing-upstream": N_("it is the local derivative alone: what comes from above is not multiplied in"),
    "missing-local-derivative": N_("a local derivative is left out, as if the step passed its gradient on unchanged"),
    "transposed": N_("a matrix stands the wrong way round"),
    "missing-sum": N_("a sum is missing over an axis along which something was broadcast"),
    "wrong-axis": N_("it sums over another axis than the one that has to go"),
    "missing-path": N_("the quantity is used in more than one place, and the part of one of them is not added"),
    "diagonal-only": N_("it treats a step as elementwise that couples its entries"),
    "wrong-point": N_("a derivative is taken at the wrong values: before the step instead of after it, or the reverse"),
    "wrong-mask": N_("a mask is made from the wrong values, or left out"),
    "missing-scatter": N_("what was picked more than once gets several parts, and they are not added"),
    "wrong-convention": N_("another convention than the exercise's: sum or mean, biased or not, rows or columns"),
    "kink": N_("at a point where the function has no derivative it takes another value than torch"),
    "unstable": N_("computed this way it overflows, or loses its digits, though the algebra is right"),
    "stale-value": N_("it was computed from a value that changed afterwards"),
    "wrong-shape": N_("the values are right, and their shape is not"),
    "product-rule": N_("the derivative of a product is taken as the product of the derivatives"),
    "missing-gradient": N_("a forward value stands where a gradient belongs"),
    "extra-gradient": N_("a gradient stands where a forward value belongs"),
    "aliasing": N_("two names stand for the same tensor, so that changing one changes the other"),
}  # fmt: skip

# a reason's id -> what is said of it here, also where that is the report's own sentence: one that is reworded there is
# not released by that; its parameters are checked before they are put in (`_SAFE`). A reason that
# has none here, or that is not recognised, becomes what its verdict alone says. {error} loses its advice
TOLD = {
    "true": "", "true-coarse": "", "diagonal": "", "number": "", "general-number": "",  # the verdict says it
    "cancelled": N_("true only because two mistakes cancel: this one and the one on line {line}"),
    "follows": N_("sound, given {names} as it stands on line {line}"),
    "follows-nothing": N_("sound in itself: it reads {names}, which line {line} could not give"),
    "follows-shape": N_("sound in itself: its shapes do not fit {names} as it stands on line {line}"),
    "follows-values": N_("sound, given {names} as you have it"),
    "differs": N_("not the true {what}"),
    "ratio": N_("exactly {ratio} times the true {what}"),
    "ratio-alone": N_("exactly {ratio} times the true {what}"),
    "own-ratio": N_("exactly {ratio} times what your earlier lines lead to"),
    "own-ratio-alone": N_("exactly {ratio} times what your earlier lines lead to"),
    "coincides": N_("the true {what} only where {sizes}: a number stands where a size belongs"),
    "elsewhere": N_("the true {what} at some values, and not in general"),
    "nearly": N_("nearly the true {what}: look for a small constant"),
    "nearly-single": N_("nearly the true {what}: look for a small constant"),
    "differs-number": N_("not the value of the worked instance"),
    "no-value": N_("torch refuses: {error}"),
    "no-value-repair": N_("torch refuses: {error}"),
    "not-finite": N_("is not finite where the true {what} is"),
    "reads-unreadable": N_("reads {name}, which could not be read (line {line})"),
    "reads-nothing": N_("reads {name}, which has no value (line {line})"),
    "rounding": N_("not decided: computed this way it loses all its digits here; look for a form that does not"),
    "unstable-before": N_("right; {name} on line {line} overflows, or loses its digits to cancellation"),
    "unstable": N_("right; computed this way it overflows, or loses its digits to cancellation"),
    "kink": N_("right; at a kink it is another subgradient than torch's"),
    "kink-number": N_("a subgradient at the worked instance, which is on a kink"),
    "kink-undefined": N_("right; at a kink it is not defined"),
    "kink-outside": N_("right except at a kink: there it is no subgradient"),
    "kink-choice": N_("a subgradient at a kink, where torch's choice is asked for"),
    "kink-strict": N_("right except at a kink, where torch's choice is asked for"),
    "no-gradient": N_("{name} holds whole numbers and has no gradient: leave the line out"),
    "of-an-own-value": N_("{name} has another value on line {line} than in the exercise, and so has its gradient"),
    "upstream": N_("{name} is the upstream gradient, which is given: leave the line out"),
    "stale": N_("was computed from {name} before its last update on line {line}"),
    "vain-zero": N_("not the true {what}: {name} is zero on line {line}, and nothing follows from that"),
    "vain-infinite": N_("not the true {what}: {name} is not finite on line {line}, and nothing follows from that"),
    "aliasing": N_("{changed} is the same tensor, so this line changes {name} too"),
    "aliasing-before": N_("{changed} is the same tensor as {name}, so line {line} changes {name} too"),
}  # fmt: skip
# what is said where a reason is not passed on
_PLAIN = {
    "correct": "",
    "follows": N_("sound, given your earlier lines as they stand"),
    "wrong": N_("not the true value"),
    "undecided": N_("could not be decided: nothing is held against you here"),
    "unreadable": N_("could not be read"),
}
_NAME = r"[^\W\d]\w{0,40}"
_SAFE = {
    "line": r"\d{1,6}(?: of cell \d{1,6})?",
    "name": rf"{_NAME}(?:\.grad)?",
    "names": rf"{_NAME}(?:, {_NAME}){{0,20}}",
    "changed": _NAME,
    "ratio": r"[-\w*/() .+]{1,30}",
    "sizes": rf"{_NAME}=\d{{1,9}}(?:, {_NAME}=\d{{1,9}}){{0,12}}",
    "error": r".*",
}
# of what torch refuses, what to write instead
_ADVICE = re.compile(r"[:;：；] ?(?=[^:;：；]*(?:\.[A-Za-z]|\[|\bwrite\b|写))")
_FREE = r"[^\n]*"  # a parameter that is not passed on

# why an asked name has not earned its points, for `model.CREDITS`; those of `_OPEN` are said at every level
UNEARNED = {
    "wrong": N_("a line for it is wrong"),
    "charged": N_("right in itself; it follows from {place}, and that mistake is charged here"),
    "charged-before": N_("right in itself; it follows from a wrong line, and that mistake is charged here"),
    "unreadable": N_("a line for it could not be read"),
    "undecided": N_("it reads a line that could not be read"),
    "missing": N_("it is not in your sheet"),
    "excused": N_("it could not be decided, and nothing is held against you"),
    "follows": N_("it follows from an earlier mistake, and earns a part of its points"),
    "form": N_("right, and written in a way that this assignment does not take: write it in {forms}"),
}
_OPEN = ("unreadable", "undecided", "missing", "excused", "form")
_FORMS = {"torch": N_("torch's spelling"), "index": N_("index notation"), "latex": N_("LaTeX")}
_POLICY = {
    "best": N_("of your {number} attempts the best counts; shown is attempt {shown}"),
    "last": N_("of your {number} attempts the last counts; shown is attempt {shown}"),
    "average": N_("your {number} attempts count on average; shown is attempt {shown}"),
}

# a problem with a file, by its id: what it means for the learner, and what to do
PROBLEMS = {
    "unknown-learner": N_("you are not on the list of this course: ask your teacher to add you"),
    "duplicate": N_("there was more than one sheet for a question: the further one counts as another attempt"),
    "wrong-exercise": N_("it is for no exercise of this assignment, or not for your own variant: look at its header"),
    "unplaced": N_("it does not say which question it is for: begin it with '# exercise: ...' and hand it in again"),
    "unreadable": N_("it could not be read: hand it in again as plain text, LaTeX, Markdown or a notebook"),
    "empty": N_("there is nothing in it: hand it in again"),
    "too-large": N_("it is too large: hand in the sheet alone"),
    "not-a-sheet": N_("it is not a sheet: hand it in as plain text, LaTeX, Markdown or a notebook"),
    "unsafe": N_("it was not opened, because its name or its archive is not safe: hand in the sheet alone"),
    "undecided": N_("it could not be judged to the end: a person will look at it, and nothing is held against you"),
}

Derived = Callable[[Variant, Path], str]  # a variant's derivation as HTML


def released(grade: LearnerGrade, assignment: Assignment, due: bool, derivation: Derived | None = None) -> Feedback:
    """What the assignment's `feedback` releases of a grade; all sentences in the assignment's language.

    `due` is whether the due date has passed; `derivation` makes the HTML of a derivation, by default each once.
    """
    with speaking(assignment.language):
        questions = tuple(
            _question(question, grade, assignment, due, derivation or _derivation) for question in grade.questions
        )
        return Feedback(
            assignment.id,
            assignment.title or assignment.id,
            grade.learner,
            grade.person,
            grade.points,
            grade.max_points,
            questions,
            tuple((name, _problem(problem.id)) for name, problem in grade.problems),
            tuple(_about(grade)),
            assignment.language,
        )


_LEVELS = {level: number for number, level in enumerate(FEEDBACK)}


def _says(assignment: Assignment, level: str) -> bool:
    return _LEVELS[assignment.feedback] >= _LEVELS[level]


def _problem(id: str) -> str:
    """In our own words: a message may quote what another file, or another learner's, says."""
    return tr(PROBLEMS.get(id, N_("something is wrong with it: ask your teacher")))


def _about(grade: LearnerGrade) -> Iterable[str]:
    if not grade.handed_in:
        yield tr("nothing of yours was handed in")
    elif grade.points is None:
        yield tr("a person will look at a part of it: the sum is not known yet")
    if not grade.known:
        yield _problem("unknown-learner")


# -- a question ------------------------------------------------------------------------------------------------------


def _question(
    grade: QuestionGrade, learner: LearnerGrade, assignment: Assignment, due: bool, derivation: Derived
) -> QuestionShown:
    question = assignment.question(grade.question)
    own, folder = variant(assignment, question, learner.learner), assignment.path.parent
    attempt = grade.attempt
    worth = _worth(own, folder, grade)
    return QuestionShown(
        question=grade.question,
        title=question.title or title_of(own.address, folder) or grade.question,
        exercise=own.address,
        points=grade.points,
        max_points=grade.max_points,
        worth=worth,
        attempts=tuple(each.points for each in grade.attempts),
        comment=grade.override.comment if grade.override else "",
        derivation=derivation(own, folder) if due and assignment.feedback == "derivation" else "",
        notes=tuple(_notes(grade, learner, assignment)),
        **({} if attempt is None else _of_attempt(attempt, worth, assignment)),
    )


def _of_attempt(attempt: Attempt, worth: Mapping[str, float], assignment: Assignment) -> dict[str, Any]:
    report, credit = attempt.part.report, attempt.part.credit
    reasons = {name: why for name in credit if (why := _unearned(name, worth, attempt, assignment))}
    return {
        "earned": dict(attempt.earned),
        "file": attempt.name,
        "verdict": _verdict(report) if _says(assignment, "verdicts") else None,
        "lines": tuple(_lines(report.get("lines", ()), assignment)),
        "missing": tuple(name for name, why in credit.items() if why == "missing"),
        "reasons": reasons,
    }


def _verdict(report: Mapping[str, Any]) -> str | None:
    found = report.get("verdict")
    return found if found in (*_PLAIN, "incomplete") else None


def _notes(grade: QuestionGrade, learner: LearnerGrade, assignment: Assignment) -> Iterable[str]:
    if grade.override is not None:
        yield tr("your teacher has set these points")
    elif not grade.attempts:
        if grade.points is None and any(problem.id == "unplaced" for _, problem in learner.problems):
            yield tr("a sheet of yours could be for this question and does not say so: its points are not known yet")
        elif grade.points is None:
            yield tr("a person will look at this: its points are not known yet")
        elif learner.handed_in:
            yield tr("no sheet of yours is for this question")
    elif grade.points is None:
        yield tr("a person will look at this: its points are not known yet")
    number = len(grade.attempts)
    if number > 1 and grade.counts is not None:
        yield tr(_POLICY[assignment.attempts], number=number, shown=grade.attempts[grade.counts].number)


def _unearned(name: str, worth: Mapping[str, float], attempt: Attempt, assignment: Assignment) -> str:
    """Why an asked name has not earned all it is worth; nothing where it has, or where that is not released."""
    why = attempt.part.credit[name]
    if why in EARNS and attempt.earned.get(name, 0.0) >= worth.get(name, 0.0):
        return ""
    if why not in UNEARNED or not (why in _OPEN or _says(assignment, "verdicts")):
        return ""
    if why == "charged":
        return _charged(attempt)
    return tr(UNEARNED[why], forms=joined([tr(_FORMS[form]) for form in assignment.forms], tr(" or ")))


def _charged(attempt: Attempt) -> str:
    """With the wrong line on a quantity that is not asked, where there is one alone."""
    lines = attempt.part.report.get("lines", ())
    found = [each for each in lines if each["verdict"] == "wrong" and each["quantity"] not in attempt.part.credit]
    if len({(each.get("cell"), each["line"]) for each in found}) != 1:
        return tr(UNEARNED["charged-before"])
    return tr(UNEARNED["charged"], place=place(found[0]["line"], found[0].get("cell")))


def place(line: int, cell: int | None) -> str:
    """`line 3`, or `line 3 of cell 2`."""
    if cell is None:
        return tr("line {number}", number=line)
    return tr("line {line} of cell {cell}", line=line, cell=cell)


# -- lines -----------------------------------------------------------------------------------------------------------


def _lines(lines: Sequence[Mapping[str, Any]], assignment: Assignment) -> Iterable[LineShown]:
    first = next((each for each in lines if each["verdict"] == "wrong"), None)
    for each in lines:
        if each["verdict"] == "unreadable" or _says(assignment, "verdicts"):
            yield _line(each, each is first, assignment)


def _line(line: Mapping[str, Any], first: bool, assignment: Assignment) -> LineShown:
    verdict = line["verdict"] if line["verdict"] in _PLAIN else "undecided"
    diverges = first and _says(assignment, "divergence")
    told = diverges or verdict == "unreadable" or _says(assignment, "mistakes")
    told = told or verdict != "wrong" and _says(assignment, "divergence")
    mistakes = line["mistakes"] if verdict == "wrong" and _says(assignment, "mistakes") else ()
    return LineShown(
        line["line"],
        line["text"],
        line["quantity"],
        verdict,
        _reason(line, verdict) if told else _unjudged(verdict),
        tuple(dict.fromkeys(tr(MISTAKES[each["id"]]) for each in mistakes if each["id"] in MISTAKES)),
        line.get("cell"),
        diverges,
    )


def _unjudged(verdict: str) -> str:
    """Of a line on which nothing is decided that is said at every level."""
    return tr(_PLAIN["undecided"]) if verdict == "undecided" else ""


def _reason(line: Mapping[str, Any], verdict: str) -> str:
    """Why a line is what it is, as far as it gives nothing away."""
    shape, expected = line["shape"], line["expected_shape"]
    if verdict == "wrong" and shape is not None and expected is not None and shape != expected:
        return tr("{given}, but {name} {expected}", given=_has(shape), name=line["quantity"], expected=_has(expected))
    return _passed_on(line["reason"], verdict, current())


def _has(shape: Sequence[int]) -> str:
    return tr("has shape {shape}", shape=shown_shape(shape)) if shape else tr("is a number")


@lru_cache(maxsize=65536)
def _passed_on(reason: str, verdict: str, language: str) -> str:
    """The reason as it is said here; `language` is the one in use, in which reports are kept as well."""
    for id, template, names in _templates(language):
        if found := template.fullmatch(reason):
            told = TOLD[id]
            given = {name: found[name] for name in names}
            if not told:
                return ""
            if "error" in given:
                given["error"] = _ADVICE.split(given["error"])[0]
            return tr(told, **given)
    # what cannot be read is told in words about the learner's own text alone
    return reason if verdict == "unreadable" else tr(_PLAIN[verdict])


@cache
def _templates(language: str) -> list[tuple[str, re.Pattern[str], tuple[str, ...]]]:
    """How each reason reads, most particular first: with the names of the parameters that are passed on."""
    made = []
    with speaking(language):
        whats = "|".join(re.escape(tr(what)) for what in ("gradient", "local derivative", "value"))
        for id, told in TOLD.items():
            for sentence in dict.fromkeys((tr(REASONS[id]), REASONS[id])):
                pattern = _pattern(sentence, {**_SAFE, "what": f"{whats}|gradient|local derivative|value"}, told)
                made.append((id, re.compile(pattern), tuple(re.findall(r"\{(\w+)\}", told))))
    return sorted(made, key=lambda row: -len(re.sub(r"\(.*?\)", "", row[1].pattern)))


def _pattern(sentence: str, safe: Mapping[str, str], told: str) -> str:
    """A template as a pattern: parameters that are passed on are strict, the others may be anything."""
    made, seen = "", set()
    for text, name in re.findall(r"([^{]*)(?:\{(\w+)\})?", sentence):
        made += re.escape(text)
        if name:
            inner = safe[name] if f"{{{name}}}" in told else _FREE
            made += f"(?P={name})" if name in seen else f"(?P<{name}>{inner})"
            seen.add(name)
    return made


# -- of a variant, each once -------------------------------------------------------------------------------------------


def title_of(address: str, folder: Path) -> str:
    """The exercise's title in the language in use; nothing where its file cannot be read."""
    return of_exercise(_title(address, folder))


@lru_cache(maxsize=4096)
def _title(address: str, folder: Path) -> str:
    try:
        return entry_of(address, folder).title
    except TutorError:
        return ""


def _worth(own: Variant, folder: Path, grade: QuestionGrade) -> Mapping[str, float]:
    """Asked name -> points. Where the assignment says them all, the exercise need not be run."""
    asked = grade.attempts[0].part.credit if grade.attempts else {}
    given = dict(own.points)
    said = {name: given.get(name, given.get(name.removeprefix("d"))) for name in asked}
    if said and all(worth is not None for worth in said.values()):
        return {name: worth for name, worth in said.items() if worth is not None}
    return _worth_of(Variant(own.question, own.address, ask=own.ask, points=own.points), folder)


@lru_cache(maxsize=1024)
def _worth_of(own: Variant, folder: Path) -> Mapping[str, float]:
    try:
        return own.exercise(folder).worth
    except TutorError:
        return {}


def _derivation(own: Variant, folder: Path) -> str:
    return _derived(own.address, own.ask, folder, current())


@lru_cache(maxsize=1024)
def _derived(address: str, ask: tuple[str, ...], folder: Path, language: str) -> str:
    from tutor.views.html import steps

    exercise = Variant("", address, ask=ask).exercise(folder)
    return "".join(steps(exercise.derive(), closed=True))
