"""What a teacher sees of a class: counts, and who needs a look. Streaming: only counters are kept of a learner's grade.

Iterator[LearnerGrade] --summary--> ClassReport --views.class_report--> text, a page, JSON
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tutor.checking.report import MISTAKE_IDS
from tutor.grading.assignment import Assignment
from tutor.grading.model import PROBLEMS, LearnerGrade, QuestionGrade

SCHEMA = "tutor.class-report/1"
MOST_LISTED = 200  # learners in a list; how many there are is counted
MOST_NAMES = 200  # quantities of one question that are counted apart: a sheet may name as many as it likes
BINS = 10  # of a distribution
ELSEWHERE = ""  # the quantity of what is beyond MOST_NAMES, or has none
MANY = 5  # attempts, and more


@dataclass
class Scores:
    """Points as a distribution: hundredths of a point are told apart, so that it stays small."""

    most: float = 0.0
    counts: Counter[float] = field(default_factory=Counter)

    def add(self, points: float, most: float) -> None:
        self.most = max(self.most, most)
        self.counts[round(points, 2)] += 1

    @property
    def number(self) -> int:
        return self.counts.total()

    @property
    def mean(self) -> float | None:
        return sum(points * n for points, n in self.counts.items()) / self.number if self.number else None

    @property
    def median(self) -> float | None:
        """The middle one; between two, their mean."""
        if not self.number:
            return None
        return (self._at((self.number - 1) // 2) + self._at(self.number // 2)) / 2

    def _at(self, place: int) -> float:
        for points in sorted(self.counts):
            place -= self.counts[points]
            if place < 0:
                return points
        raise IndexError(place)

    @property
    def full(self) -> int:
        """Who has all points, or more."""
        return sum(n for points, n in self.counts.items() if points >= self.most - 0.005)

    @property
    def none(self) -> int:
        return sum(n for points, n in self.counts.items() if points <= 0)

    @property
    def bins(self) -> tuple[Bin, ...]:
        """Equal parts of what there is to earn, or one for each number of points where there are few."""
        top = max([self.most, *self.counts], default=0.0)
        if self.most == int(self.most) and 0 < top <= BINS and all(points == int(points) for points in self.counts):
            return tuple(Bin(float(n), float(n), self.counts[float(n)]) for n in range(int(top) + 1))
        edges = [self.most * n / BINS for n in range(BINS + 1)]
        found = [0] * BINS
        for points, n in self.counts.items():
            found[min(max(int(points / self.most * BINS + 1e-9), 0), BINS - 1) if self.most else 0] += n
        return tuple(Bin(edges[n], edges[n + 1], found[n]) for n in range(BINS))


@dataclass(frozen=True)
class Bin:
    """How many have from `low` up to `high` points; the last one with `high` itself, and what is beyond."""

    low: float
    high: float
    number: int


@dataclass(frozen=True)
class Look:
    """Something for a person to look at: `why` is `points`, or one of `PROBLEMS`."""

    learner: str
    person: str
    question: str
    file: str
    why: str


@dataclass
class Bounded:
    """A list that keeps its first entries and counts all."""

    entries: list[Any] = field(default_factory=list)
    number: int = 0

    def add(self, entry: Any) -> None:
        self.number += 1
        if len(self.entries) < MOST_LISTED:
            self.entries.append(entry)

    @property
    def left_out(self) -> int:
        return self.number - len(self.entries)


@dataclass
class QuestionSummary:
    """One question over all who handed something in."""

    question: str
    exercise: str
    title: str
    scores: Scores = field(default_factory=Scores)
    answered: int = 0  # a sheet of theirs is for this question
    unanswered: int = 0
    waiting: int = 0  # a person has to look before there are points
    verdicts: Counter[str] = field(default_factory=Counter)  # of the sheet shown
    divergences: Counter[str] = field(default_factory=Counter)  # quantity -> who leaves the path there
    causes: dict[str, Counter[str]] = field(default_factory=dict)  # the same quantity -> likeliest mistake there
    mistakes: Counter[str] = field(default_factory=Counter)  # id -> learners with it on some line
    attempts: Counter[int] = field(default_factory=Counter)  # how many; MANY stands for more, too
    overrides: int = 0


@dataclass
class ClassReport:
    """All that is shown of a class."""

    assignment: str
    title: str
    policy: str
    questions: dict[str, QuestionSummary]
    learners: int = 0
    handed_in: int = 0
    waiting: int = 0  # whose sum is not known yet
    scores: Scores = field(default_factory=Scores)  # of those who handed in and whose sum is known
    problems: Counter[str] = field(default_factory=Counter)
    to_look_at: Bounded = field(default_factory=Bounded)
    absent: Bounded = field(default_factory=Bounded)  # (learner, person)
    unknown: Bounded = field(default_factory=Bounded)
    language: str = "en"

    @property
    def mistakes(self) -> list[tuple[str, int]]:
        """Mistakes over all questions, the most frequent first."""
        totals: Counter[str] = Counter()
        for question in self.questions.values():
            totals.update(question.mistakes)
        return sorted(totals.items(), key=lambda each: (-each[1], MISTAKE_IDS.index(each[0])))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the same bytes for the same grades."""
        return {
            "schema": SCHEMA,
            "assignment": self.assignment,
            "title": self.title,
            "learners": self.learners,
            "handed_in": self.handed_in,
            "waiting": self.waiting,
            "scores": _scores(self.scores),
            "questions": [_question(question) for question in self.questions.values()],
            "mistakes": dict(self.mistakes),
            "problems": {id: self.problems[id] for id in PROBLEMS if self.problems[id]},
            "to_look_at": {"number": self.to_look_at.number, "first": [vars(each) for each in self.to_look_at.entries]},
            "not_handed_in": {"number": self.absent.number, "first": [who for who, _ in self.absent.entries]},
            "unknown_learners": {"number": self.unknown.number, "first": [who for who, _ in self.unknown.entries]},
        }


def summary(grades: Iterable[LearnerGrade], assignment: Assignment) -> ClassReport:
    """What a class comes to, read once and kept as counts."""
    report = ClassReport(
        assignment.id,
        assignment.title or assignment.id,
        assignment.attempts,
        {q.name: QuestionSummary(q.name, q.exercise, q.title or _title(assignment, q.exercise) or q.name)
         for q in assignment.questions},
        language=assignment.language,
    )  # fmt: skip
    for grade in grades:
        _add(report, grade)
    return report


def _title(assignment: Assignment, exercise: str) -> str:
    from tutor.grading.feedback import title_of
    from tutor.language import speaking

    with speaking(assignment.language):
        return title_of(exercise, assignment.path.parent)


def _add(report: ClassReport, grade: LearnerGrade) -> None:
    report.learners += 1
    if not grade.known:
        report.unknown.add((grade.learner, grade.person))
    for look in _looks(grade):
        report.to_look_at.add(look)
    for _, problem in grade.problems:
        report.problems[problem.id] += 1
    if not grade.handed_in:
        report.absent.add((grade.learner, grade.person))
        return
    report.handed_in += 1
    points = grade.points
    if points is None:
        report.waiting += 1
    else:
        report.scores.add(points, grade.max_points)
    for question in grade.questions:
        if question.question in report.questions:
            _add_question(report.questions[question.question], question)


def _add_question(made: QuestionSummary, grade: QuestionGrade) -> None:
    made.overrides += grade.override is not None
    made.waiting += grade.points is None
    if grade.points is not None:
        made.scores.add(grade.points, grade.max_points)
    if grade.attempt is None:
        made.unanswered += not grade.attempts
        made.answered += bool(grade.attempts)
        return
    made.answered += 1
    made.attempts[min(len(grade.attempts), MANY)] += 1
    report = grade.attempt.part.report
    made.verdicts[report["verdict"]] += 1
    wrong = [line for line in report["lines"] if line["verdict"] == "wrong"]
    found = {line["mistakes"][0]["id"] for line in wrong if line["mistakes"]}  # the likeliest comes first
    made.mistakes.update(sorted(found & set(MISTAKE_IDS)))
    if wrong:
        quantity = _counted(made.divergences, wrong[0]["quantity"])
        cause = wrong[0]["mistakes"][0]["id"] if wrong[0]["mistakes"] else ""
        made.causes.setdefault(quantity, Counter())[cause if cause in MISTAKE_IDS else ""] += 1


def _counted(counts: Counter[str], name: str | None) -> str:
    """The name under which one more is counted."""
    name = name or ELSEWHERE
    if name not in counts and len(counts) >= MOST_NAMES:
        name = ELSEWHERE
    counts[name] += 1
    return name


_BY_HAND = ("undecided", "unreadable")


def _looks(grade: LearnerGrade) -> Iterator[Look]:
    """What of a learner's a person has to look at, each file and question once for each reason."""
    for file, problem in grade.problems:
        if problem.id in (*_BY_HAND, "unplaced"):
            yield Look(grade.learner, grade.person, "", file, problem.id)
    files = {file for file, problem in grade.problems if problem.id in _BY_HAND}
    for question in grade.questions:
        attempt = question.attempt or (question.attempts[-1] if question.attempts else None)
        lines: Iterable[Mapping[str, Any]] = attempt.part.report["lines"] if attempt else ()
        found = {line["verdict"] for line in lines}
        why = [verdict for verdict in _BY_HAND if verdict in found]
        if question.points is None and not why and (attempt is None or attempt.name not in files):
            why = ["points"]
        for each in why:
            yield Look(grade.learner, grade.person, question.question, attempt.name if attempt else "", each)


def ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first; the rest, which has no name, last."""
    return sorted(counts.items(), key=lambda each: (each[0] == ELSEWHERE, -each[1], each[0]))


def _scores(scores: Scores) -> dict[str, Any]:
    figures = {"mean": scores.mean, "median": scores.median}
    return {
        "number": scores.number,
        "most": scores.most,
        **{name: None if value is None else round(value, 4) for name, value in figures.items()},
        "full": scores.full,
        "none": scores.none,
        "bins": [vars(each) for each in scores.bins],
    }


def _question(q: QuestionSummary) -> dict[str, Any]:
    return {
        "question": q.question,
        "exercise": q.exercise,
        "title": q.title,
        "answered": q.answered,
        "unanswered": q.unanswered,
        "waiting": q.waiting,
        "overrides": q.overrides,
        "scores": _scores(q.scores),
        "verdicts": dict(sorted(q.verdicts.items())),
        "divergences": [
            {"quantity": name, "learners": n, "mistakes": dict(ordered(q.causes[name]))}
            for name, n in ordered(q.divergences)
        ],
        "mistakes": {id: q.mistakes[id] for id in MISTAKE_IDS if q.mistakes[id]},
        "attempts": {str(n): q.attempts[n] for n in sorted(q.attempts)},
    }
