"""From results to grades: points, follow-through, attempts, a teacher's own decisions. Nothing is judged here.

points of a part = sum over the asked names of worth * (follow_through if it follows, 1 if it earns, else 0)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from tutor.checking.report import EARNS, VERDICTS
from tutor.grading.assignment import Assignment, parse
from tutor.grading.gradebook import Entry, Gradebook, Version, opened
from tutor.grading.model import Attempt, LearnerGrade, Override, Part, Problem, QuestionGrade
from tutor.grading.variants import Variant, variants
from tutor.language import said

Worth = Mapping[str, float]  # asked name -> points
Found = tuple[Entry, Part, bool]  # what a file says to a question, and whether the last guard stopped it


def grades(results: str | Path, url: str | None = None) -> Iterator[LearnerGrade]:
    """Every learner's grade in a results folder, under the newest version, in the order of their ids."""
    with opened(results, url) as book:
        yield from of_version(book, book.newest())


def assignment(results: str | Path, url: str | None = None) -> Assignment:
    """The assignment under which a results folder's grades count."""
    with opened(results, url) as book:
        return assignment_of(book.newest())


def assignment_of(version: Version) -> Assignment:
    """The assignment as it was under a version."""
    return parse(version.assignment, version.path)


def of_version(book: Gradebook, version: Version) -> Iterator[LearnerGrade]:
    """Every learner's grade under a version; learners are read one by one, and none is kept."""
    assignment = assignment_of(version)
    worths, overrides = book.get_worths(version.number), book.overrides()
    handed_in = groupby(book.entries(version.number), key=lambda entry: entry.learner)
    learner, entries = next(handed_in, (None, iter(())))
    for id, person, aliases, known in book.people():
        while learner is not None and learner < id:  # nobody's
            learner, entries = next(handed_in, (None, iter(())))
        own = list(entries) if learner == id else []
        asked = variants(assignment, id)
        worth = {variant.question: worths.get(signature(variant), {}) for variant in asked}
        yield grade(assignment, id, person, own, worth, overrides, aliases, known)


def signature(variant: Variant) -> str:
    """Under which the gradebook keeps what a variant is worth."""
    return repr((*variant.judged_by, variant.points))


def grade(
    assignment: Assignment,
    learner: str,
    person: str,
    entries: list[Entry],
    worth: Mapping[str, Worth],
    overrides: Mapping[tuple[str, str], Override],
    aliases: Mapping[str, str] | None = None,
    known: bool = True,
) -> LearnerGrade:
    """A learner's grade from what was judged; `entries` in the order of attempts."""
    parts: dict[str, list[Found]] = {name: [] for name in worth}
    problems: list[tuple[str, Problem]] = []
    for entry in entries:
        problems += [(entry.name, problem) for problem in entry.problems]
        if entry.result is None:
            continue
        told = {problem.id for problem in entry.problems}
        problems += [(entry.name, problem) for problem in entry.result.problems if problem.id not in told]
        for part in entry.result.parts:
            if part.question in parts:
                parts[part.question] += [(entry, part, entry.result.cut)]
    parts = {name: _together(_answering(found)) for name, found in parts.items()}
    problems += _duplicates(parts)
    unplaced = [(e.attempt, name) for e in entries if e.result for part in e.result.parts for name in part.fits]
    lost = any(e.result is not None and e.result.cut and not e.result.parts for e in entries)
    questions = tuple(
        _question(
            assignment, name, parts[name], worth[name], overrides.get((learner, name)),
            lost or _may_be_answered(parts[name], {n for n, other in unplaced if other == name}),
        )
        for name in worth
    )  # fmt: skip
    return LearnerGrade(learner, person, questions, tuple(problems), dict(aliases or {}), known, bool(entries))


def _answering(found: list[Found]) -> list[Found]:
    """Without what is no attempt beside one that is: a sheet left blank, notes that come with it, the same file twice.

    The same file has two names where a class was graded from its folder and then from what a system exported.
    """
    first: dict[tuple[int, str], str] = {}
    found = [each for each in found if first.setdefault(_text_of(each[0]), each[0].name) == each[0].name]
    answers = [stopped or any(why != "missing" for why in part.credit.values()) for _, part, stopped in found]
    numbers = {entry.attempt for (entry, _, _), said in zip(found, answers, strict=True) if said}
    return [
        (entry, part, stopped)
        for (entry, part, stopped), said in zip(found, answers, strict=True)
        if said or not numbers or part.report.get("lines") and entry.attempt not in numbers
    ]


def _together(found: list[Found]) -> list[Found]:
    """Files of one attempt that answer different names of a question are one answer: dW in one, db in another."""
    made: list[Found] = []
    for entry, part, stopped in found:
        last = made[-1] if made else None
        if last is None or last[0].attempt != entry.attempt or _answered(last[1]) & _answered(part):
            made.append((entry, part, stopped))
        else:
            name = f"{last[0].name}, {entry.name}"
            made[-1] = (replace(entry, name=name), _joined(last[1], part), stopped or last[2])
    return made


def _answered(part: Part) -> set[str]:
    return {name for name, credit in part.credit.items() if credit != "missing"}


def _joined(first: Part, second: Part) -> Part:
    credit = {name: second.credit[name] if why == "missing" else why for name, why in first.credit.items()}
    lines = [*first.report["lines"], *second.report["lines"]]
    missing = [name for name in first.report["missing"] if name in second.report["missing"]]
    verdicts = {line["verdict"] for line in lines} | ({"incomplete"} if missing else set())
    return Part(first.question, credit, {
        **first.report,
        "verdict": next((verdict for verdict in VERDICTS if verdict in verdicts), "correct"),
        "score": first.report["score"] + second.report["score"],
        "first_divergence": first.report["first_divergence"] or second.report["first_divergence"],
        "missing": missing,
        "lines": lines,
        "notes": [*first.report["notes"], *second.report["notes"]],
    })  # fmt: skip


def _text_of(entry: Entry) -> tuple[int, str]:
    return entry.attempt, entry.digest or entry.name


def _may_be_answered(found: list[Found], unplaced: set[int]) -> bool:
    """Whether a sheet that does not say which question it is for could answer one that has no answer since.

    `unplaced` are the attempts of such sheets. None is judged as an answer; nor is its question called missing.
    """
    return max(unplaced, default=0) > max((entry.attempt for entry, _, _ in found), default=0)


def _question(
    assignment: Assignment,
    name: str,
    found: list[Found],
    worth: Worth,
    override: Override | None,
    lost: bool,
) -> QuestionGrade:
    """`lost` says that a sheet could not be judged, or placed, which may have answered this question."""
    attempts = tuple(_attempt(assignment, entry, part, stopped, worth) for entry, part, stopped in found)
    full = float(sum(worth.values()))
    points, counts = _counted(assignment.attempts, attempts, full)
    if lost and not (assignment.attempts == "best" and points == full):
        points = None
    if override is not None:
        points = override.points
    return QuestionGrade(name, points, full, attempts, counts, override)


def _attempt(assignment: Assignment, entry: Entry, part: Part, stopped: bool, worth: Worth) -> Attempt:
    rate = {**dict.fromkeys(EARNS, 1.0), "follows": assignment.follow_through}
    earned = {name: points * rate.get(part.credit.get(name, "missing"), 0.0) for name, points in worth.items()}
    points = None if stopped else float(sum(earned.values()))
    return Attempt(entry.attempt, entry.name, points, earned, part)


def _counted(how: str, attempts: tuple[Attempt, ...], full: float) -> tuple[float | None, int | None]:
    """The points that count, and the attempt that is shown; one that could not be judged leaves them open.

    Unless it cannot matter: where the best counts, and another attempt has all points there are.
    """
    if not attempts:
        return 0.0, None
    last = len(attempts) - 1
    known = [attempt.points for attempt in attempts if attempt.points is not None]
    if how == "last":
        return attempts[last].points, last
    if len(known) < len(attempts) and not (how == "best" and max(known, default=-1.0) >= full):
        return None, next(n for n, attempt in enumerate(attempts) if attempt.points is None)
    if how == "average":
        return sum(known) / len(known), last
    best = max(range(len(attempts)), key=lambda n: (-1.0 if attempts[n].points is None else attempts[n].points, n))
    return attempts[best].points, best


def _duplicates(parts: Mapping[str, list[Found]]) -> Iterator[tuple[str, Problem]]:
    """Further answers to a question within one attempt: they count as attempts after the first."""
    for name, found in parts.items():
        first: dict[int, str] = {}
        for entry, _, _ in found:
            before = first.get(entry.attempt)
            first.setdefault(entry.attempt, entry.name)
            if before is not None:
                sentence = said(
                    "it answers {question}, as {first} does: it counts as a further attempt",
                    question=name,
                    first=before,
                )
                yield entry.name, Problem("duplicate", sentence)


def known_worths(all_variants: Iterable[Variant], folder: Path) -> dict[str, dict[str, float]]:
    """What the asked names of each variant are worth: the exercise's points, and the assignment's over them."""
    found: dict[str, dict[str, float]] = {}
    for variant in all_variants:
        key = signature(variant)
        if key not in found:
            found[key] = variant.exercise(folder).worth
    return found
