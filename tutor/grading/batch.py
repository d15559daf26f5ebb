"""A class graded: take in what was handed in, judge what has no result yet, reckon the grades, write them out.

    submissions --take in--> gradebook --what has no result--> executor --as they arrive--> gradebook --> results folder

Every step can be repeated: what was taken in or judged is there after any interruption, and the next run goes on from
it and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.errors import ExerciseError, NotFoundError, UsageError
from tutor.grading import workers
from tutor.grading.assignment import Assignment
from tutor.grading.gradebook import Entry, Gradebook, Version, url_of
from tutor.grading.grades import assignment_of, known_worths, of_version
from tutor.grading.judging import Job, Rules, engine, key_of
from tutor.grading.model import LearnerGrade, Packed, QuestionGrade, Submission
from tutor.grading.variants import source_of, variants
from tutor.grading.workers import Judges
from tutor.language import N_, said
from tutor.shown import quoted

if TYPE_CHECKING:
    from tutor.grading.learners import Roster

TAKEN_AT_ONCE = 200  # submissions of one transaction
LOOKED_UP_AT_ONCE = 256  # entries whose results are looked for
HELD_AT_ONCE = 64  # sheets that are read together
Step = Callable[[int, int], None]  # how many of how many are done


@dataclass
class Outcome:
    """What a run did, in numbers."""

    judged: int = 0  # sheets that were judged in this run
    known: int = 0  # that had a result already, or the same text as another
    cut: int = 0  # that could not be judged to the end
    changed_since: int | None = None  # the version before, where the assignment has changed


def grade(
    assignment: Assignment,
    submissions: Iterable[Submission],
    folder: Path,
    *,
    url: str | None = None,
    roster: Roster | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    step: Step | None = None,
) -> tuple[Version, Outcome]:
    """Grade what was handed in; the gradebook in `folder` (or at `url`) has it all afterwards."""
    with _alone(folder), Gradebook(url_of(folder, url)) as book, Judges(jobs, scheduler) as judges:
        before = book.known_versions()
        version = _version(book, assignment)
        outcome = Outcome()
        if before and before[-1].digest != version.digest:
            outcome.changed_since = before[-1].number
        if roster is not None:
            book.enrol((id, person, roster.aliases(id)) for id, person in roster.learners.items())
        for some in _grouped(submissions, TAKEN_AT_ONCE):
            book.take_in(some)
            if next(book.to_judge(version.number), None) is not None:
                judges.start()
        _judge_all(book, version, assignment, outcome, judges, step)
    return version, outcome


def judge_again(
    assignment: Assignment, folder: Path, *, url: str | None = None, jobs: int | None = None,
    scheduler: str | None = None, step: Step | None = None,
) -> tuple[Version | None, Version, Outcome]:  # fmt: skip
    """Judge all that the gradebook holds under what the assignment and the exercises are now: (before, now, ...)."""
    with _alone(folder), Gradebook(url_of(folder, url)) as book, Judges(jobs, scheduler) as judges:
        before = book.newest()
        version = _version(book, assignment)
        outcome = Outcome()
        _judge_all(book, version, assignment, outcome, judges, step)
    return (None if before.digest == version.digest else before), version, outcome


def _version(book: Gradebook, assignment: Assignment) -> Version:
    """The version of all that grades hang on: the assignment, the exercises' files, and the engine."""
    with _pointing_to_lint(assignment):
        sources = [source_of(question.exercise, assignment.path.parent) for question in assignment.questions]
    made_of = json.dumps([assignment.version, sources, dict(engine())], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    return book.version(digest, str(assignment.path.resolve()), assignment.text, engine())


@contextmanager
def _pointing_to_lint(assignment: Assignment) -> Iterator[None]:
    """What is wrong with an exercise of the assignment, and the command that shows it with its line."""
    try:
        yield
    except (ExerciseError, NotFoundError, UsageError) as error:
        kind = next(kind for kind in (ExerciseError, NotFoundError, UsageError) if isinstance(error, kind))
        raise kind(
            said("{reason}; 'tutor assignment lint {path}' shows all that is wrong", reason=error.says,
                 path=quoted(assignment.path))
        ) from None  # fmt: skip


def _judge_all(
    book: Gradebook, version: Version, assignment: Assignment, outcome: Outcome, judges: Judges, step: Step | None
) -> None:
    """Judge what has no result; what cost a worker, or was stopped by the last guard, is tried anew."""
    learners = (variants(assignment, learner) for learner, *_ in book.people())
    with _pointing_to_lint(assignment):
        worths = known_worths((v for own in learners for v in own), assignment.path.parent)
    book.put_worths(version.number, worths)
    total = book.count_to_judge(version.number)
    if total:
        queue = _Queue(book, version, assignment, outcome)
        for results in workers.judged(judges.start(), queue.rules, queue.jobs(), count=total):
            queue.keep(results)
            if step is not None and results:
                step(queue.done, total)


class _Queue:
    """What is to be judged, equal files with equal variants once; each result is kept as it arrives."""

    def __init__(self, book: Gradebook, version: Version, assignment: Assignment, outcome: Outcome):
        self.book, self.version, self.assignment, self.outcome = book, version.number, assignment, outcome
        self.rules = Rules.of(assignment)
        self.done = 0  # entries
        self._waiting: dict[str, list[Entry]] = {}  # entries whose result is on its way

    def jobs(self) -> Iterator[Job]:
        """A job for each result that is not there yet."""
        entries = self.book.to_judge(self.version)
        while some := list(islice(entries, LOOKED_UP_AT_ONCE)):
            yield from self._jobs([(entry, self._job(entry)) for entry in some])

    def _job(self, entry: Entry) -> Job:
        """Without the file's bytes."""
        asked = variants(self.assignment, entry.learner)
        return Job(key_of(str(entry.digest), entry.name, asked, self.rules), b"", entry.name, asked)

    def _jobs(self, made: list[tuple[Entry, Job]]) -> Iterator[Job]:
        known = self.book.known(job.key for _, job in made)
        self._account([(job.key, None, [entry]) for entry, job in made if job.key in known])
        new: dict[str, tuple[Entry, Job]] = {}
        for entry, job in made:
            if job.key not in known:
                if job.key not in self._waiting:
                    new[job.key] = entry, job
                self._waiting.setdefault(job.key, []).append(entry)
        todo = iter(new.values())
        while some := list(islice(todo, HELD_AT_ONCE)):
            bodies = self.book.bodies(str(entry.digest) for entry, _ in some)
            yield from (replace(job, data=bodies[str(entry.digest)]) for entry, job in some)

    def keep(self, results: list[tuple[Job, Packed]]) -> None:
        """Results that arrived together, with all entries that have them."""
        self._account([(job.key, result, self._waiting.pop(job.key)) for job, result in results])

    def _account(self, found: list[tuple[str, Packed | None, list[Entry]]]) -> None:
        if not found:
            return
        self.book.record(self.version, found)
        made = [result for _, result, _ in found if result is not None]
        entries = sum(len(of) for _, _, of in found)
        self.outcome.judged += len(made)
        self.outcome.known += entries - len(made)
        self.outcome.cut += sum(result.cut for result in made)
        self.done += entries


def _grouped(submissions: Iterable[Submission], size: int) -> Iterator[list[Submission]]:
    """Lists of so many, or of fewer where they are large: no more is held than a few megabytes."""
    some: list[Submission] = []
    held = 0
    for submission in submissions:
        some.append(submission)
        held += len(submission.data or b"")
        if len(some) == size or held > 8_000_000:
            yield some
            some, held = [], 0
    if some:
        yield some


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No two runs write one results folder."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(
            said("another run is grading into {folder}: wait for it, or give another folder", folder=folder)
        ) from None
    except OSError as error:
        raise UsageError(
            said("cannot write into {folder}: {reason}", folder=folder, reason=error.strerror or error)
        ) from None
    try:
        yield
    finally:
        lock.release()


# -- what changes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One question of one learner, before and now, and why."""

    learner: str
    question: str
    before: float | None
    now: float | None
    why: tuple[str, ...]


def changes(book: Gradebook, before: Version, now: Version) -> Iterator[Change]:
    """Whose points are others under the newer version."""
    rules = _rules(assignment_of(before), assignment_of(now))
    for old, new in zip(of_version(book, before), of_version(book, now), strict=True):
        yield from _changes(old, new, rules)


def _rules(before: Assignment, now: Assignment) -> tuple[str, ...]:
    """How points are reckoned in another way than before, whatever the sheets say."""
    found = []
    if before.follow_through != now.follow_through:
        was, share = f"{before.follow_through:g}", f"{now.follow_through:g}"
        found.append(said("what follows from a mistake earns {now} of its points instead of {was}", now=share, was=was))
    if before.attempts != now.attempts:
        found.append(
            said('of several attempts "{now}" counts instead of "{was}"', now=now.attempts, was=before.attempts)
        )
    return tuple(found)


def _changes(old: LearnerGrade, new: LearnerGrade, rules: tuple[str, ...]) -> Iterator[Change]:
    known = {question.question: question for question in old.questions}
    for question in new.questions:
        was = known.pop(question.question, None)
        if was is None:
            yield Change(new.learner, question.question, None, question.points, (said("the question is new"),))
        elif was.points != question.points:
            yield Change(new.learner, question.question, was.points, question.points, _why(was, question, rules))
    for name, was in known.items():
        yield Change(new.learner, name, was.points, None, (said("the question is no longer asked"),))


def _why(was: QuestionGrade, now: QuestionGrade, rules: tuple[str, ...]) -> tuple[str, ...]:
    """Which asked names are judged in another way, or are worth other points."""
    if was.attempt is None or now.attempt is None:
        return ()
    old, new = was.attempt, now.attempt
    reasons = [
        said(
            "{name} was {old} and is {new}", name=name, old=_in_words(old.part.credit.get(name)), new=_in_words(credit)
        )
        for name, credit in new.part.credit.items()
        if old.part.credit.get(name) != credit
    ]
    if old.name != new.name:
        reasons.append(said("{name} counts instead of {other}", name=new.name, other=old.name))
    if not reasons and was.max_points != now.max_points:
        reasons.append(
            said("it is worth {now} points instead of {was}", now=f"{now.max_points:g}", was=f"{was.max_points:g}")
        )
    return (*reasons, *rules)


CREDITS = {  # as `Part.credit` has them
    "correct": N_("right"),
    "follows": N_("sound, given an earlier mistake"),
    "wrong": N_("wrong"),
    "charged": N_("charged for an earlier mistake"),
    "unreadable": N_("unreadable"),
    "undecided": N_("hanging on an unreadable line"),
    "excused": N_("undecided"),
    "missing": N_("missing"),
    "form": N_("right in a form that is not taken"),
}


def _in_words(credit: str | None) -> str:
    return said(CREDITS[credit or "missing"])
