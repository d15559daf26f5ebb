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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.errors import UsageError
from tutor.grading import workers
from tutor.grading.assignment import Assignment
from tutor.grading.gradebook import Entry, Gradebook, Version, url_of
from tutor.grading.grades import known_worths, of_version
from tutor.grading.judging import Job, Rules, engine, key_of
from tutor.grading.model import LearnerGrade, Submission
from tutor.grading.variants import source_of, variants
from tutor.language import said

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tutor.grading.learners import Roster

TAKEN_AT_ONCE = 200  # submissions of one transaction
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
    with _alone(folder), Gradebook(url_of(folder, url)) as book:
        before = book.known_versions()
        version = _version(book, assignment)
        outcome = Outcome()
        if before and before[-1].digest != version.digest:
            outcome.changed_since = before[-1].number
        if roster is not None:
            book.enrol((id, person, roster.aliases(id)) for id, person in roster.learners.items())
        for some in _grouped(submissions, TAKEN_AT_ONCE):
            book.take_in(some)
        _judge_all(book, version, assignment, outcome, jobs, scheduler, step)
    return version, outcome


def judge_again(
    assignment: Assignment, folder: Path, *, url: str | None = None, jobs: int | None = None,
    scheduler: str | None = None, step: Step | None = None,
) -> tuple[Version | None, Version, Outcome]:  # fmt: skip
    """Judge all that the gradebook holds under what the assignment and the exercises are now: (before, now, ...)."""
    with _alone(folder), Gradebook(url_of(folder, url)) as book:
        before = book.newest()
        version = _version(book, assignment)
        outcome = Outcome()
        _judge_all(book, version, assignment, outcome, jobs, scheduler, step)
    return (None if before.digest == version.digest else before), version, outcome


def _version(book: Gradebook, assignment: Assignment) -> Version:
    """The version of all that grades hang on: the assignment, the exercises' files, and the engine."""
    sources = [source_of(question.exercise, assignment.path.parent) for question in assignment.questions]
    made_of = json.dumps([assignment.version, sources, dict(engine())], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    return book.version(digest, str(assignment.path.resolve()), assignment.text, engine())


def _judge_all(
    book: Gradebook, version: Version, assignment: Assignment, outcome: Outcome, jobs: int | None,
    scheduler: str | None, step: Step | None,
) -> None:  # fmt: skip
    """Judge what has no result; what cost a worker, or was stopped by the last guard, is tried anew."""
    learners = (variants(assignment, learner) for learner, *_ in book.people())
    book.put_worths(version.number, known_worths((v for own in learners for v in own), assignment.path.parent))
    total = book.count_to_judge(version.number)
    if total:
        with workers.executor(jobs if jobs is None else min(jobs, total), scheduler) as executor:
            _judge(book, version, assignment, outcome, executor, total, step)


def _judge(
    book: Gradebook, version: Version, assignment: Assignment, outcome: Outcome, executor: Executor, total: int,
    step: Step | None,
) -> None:  # fmt: skip
    """Equal files with equal variants are judged once; each result is kept as it arrives."""
    rules, done = Rules.of(assignment), 0
    waiting: dict[str, list[Entry]] = {}  # entries whose result is on its way

    def todo() -> Iterator[Job]:
        nonlocal done
        for entry in book.to_judge(version.number):
            assert entry.digest is not None
            own = variants(assignment, entry.learner)
            key = key_of(entry.digest, entry.name, own, rules)
            if key in waiting:
                waiting[key].append(entry)
            elif book.has(key):
                book.record(version.number, key, None, [entry])
                outcome.known += 1
                done += 1
            else:
                waiting[key] = [entry]
                yield Job(key, book.sheet(entry.digest), entry.name, own)

    for job, result in workers.judged(executor, rules, todo()):
        same = waiting.pop(job.key)
        book.record(version.number, job.key, result, same)
        outcome.judged += 1
        outcome.known += len(same) - 1
        outcome.cut += result.cut
        done += len(same)
        if step is not None:
            step(done, total)


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
    for old, new in zip(of_version(book, before), of_version(book, now), strict=True):
        yield from _changes(old, new)


def _changes(old: LearnerGrade, new: LearnerGrade) -> Iterator[Change]:
    known = {question.question: question for question in old.questions}
    for question in new.questions:
        was = known.pop(question.question, None)
        if was is None:
            yield Change(new.learner, question.question, None, question.points, (said("the question is new"),))
        elif was.points != question.points:
            yield Change(new.learner, question.question, was.points, question.points, _why(was, question))
    for name, was in known.items():
        yield Change(new.learner, name, was.points, None, (said("the question is no longer asked"),))


def _why(was: Any, now: Any) -> tuple[str, ...]:
    """Which asked names are judged in another way, or are worth other points."""
    if was.attempt is None or now.attempt is None:
        return ()
    old, new = was.attempt, now.attempt
    reasons = [
        said("{name} was {old} and is {new}", name=name, old=old.part.credit.get(name, "-"), new=credit)
        for name, credit in new.part.credit.items()
        if old.part.credit.get(name) != credit
    ]
    if old.name != new.name:
        reasons.append(said("{name} counts instead of {other}", name=new.name, other=old.name))
    if not reasons and was.max_points != now.max_points:
        reasons.append(
            said("it is worth {now} points instead of {was}", now=f"{now.max_points:g}", was=f"{was.max_points:g}")
        )
    return tuple(reasons) or (said("the assignment reckons its points in another way"),)
