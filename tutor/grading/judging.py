"""One file of a learner's -> what it says to each question. Runs in a worker, which knows no gradebook."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.answers import documents
from tutor.answers import language as lang
from tutor.catalogue import find, split_address
from tutor.errors import ReadingError, TutorError
from tutor.grading.assignment import FORMS, Assignment
from tutor.grading.model import Part, Problem, Result
from tutor.grading.variants import Variant, source_of
from tutor.language import said, speaking

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.exercise import Exercise

MOST_EXERCISES = 64  # kept by a worker, with all that was computed for them
_one_at_a_time = threading.RLock()  # an exercise's cache is not for two threads, and torch's work gains nothing by them


@dataclass(frozen=True)
class Rules:
    """What verdicts hang on beside the sheet and the variant."""

    folder: str  # the assignment's, for exercise files of its own
    seed: int = 0
    lenient_shapes: bool = False
    forms: tuple[str, ...] = FORMS
    language: str = "en"

    @classmethod
    def of(cls, assignment: Assignment) -> Rules:
        forms = tuple(form for form in FORMS if form in assignment.forms)
        folder = str(assignment.path.parent.resolve())
        return cls(folder, assignment.seed, assignment.lenient_shapes, forms, assignment.language)


@dataclass(frozen=True)
class Job:
    """A file to judge: its bytes, its name for the way it is written, and the questions as its learner has them."""

    key: str
    data: bytes
    name: str
    variants: tuple[Variant, ...]


@cache
def engine() -> Mapping[str, str]:
    """The versions that a verdict hangs on."""
    from importlib.metadata import version

    from tutor import __version__

    return {"tutor": __version__, **{name: version(name).split("+")[0] for name in ("sympy", "torch")}}


def key_of(digest: str, name: str, variants: Sequence[Variant], rules: Rules) -> str:
    """A digest of all that a result hangs on: equal files with equal variants have one result."""
    # without a header in the sheet its name may say which question it answers
    named = _named(name, variants) if len(variants) > 1 else []
    of_file = json.dumps([digest, documents.kind_of(name), named])
    return hashlib.sha256(f"{of_file[:-1]}, {_of_all(tuple(variants), rules)}]".encode()).hexdigest()


@lru_cache(maxsize=4096)
def _of_all(variants: tuple[Variant, ...], rules: Rules) -> str:
    """The part of a key that is the same for all files of whoever has these variants."""
    asked = [[*variant.judged_by, _source(variant.address, rules.folder)] for variant in variants]
    how = [rules.seed, rules.lenient_shapes, rules.forms, rules.language, dict(engine())]
    return json.dumps([asked, how], sort_keys=True)[1:-1]


@lru_cache(maxsize=4096)
def _source(address: str, folder: str) -> str:
    return source_of(address, Path(folder))


# -- judging ---------------------------------------------------------------------------------------------------------


def judge(rules: Rules, job: Job) -> Result:
    """What a file says to each question. Never raises for what stands in it; our own faults are `undecided`."""
    with _one_at_a_time, speaking(rules.language):
        try:
            return _judged(rules, job)
        except ReadingError as error:
            return Result(problems=(Problem("unreadable", str(error)),))
        except MemoryError:
            return cut(said("judging it took too much memory"))
        except Exception as error:  # one sheet must never stop the others
            return cut(said("a fault of ours: {error}", error=f"{type(error).__name__}: {error}"[:200]))


def cut(reason: str) -> Result:
    """The result of a file that could not be judged to the end: a person has to look."""
    return Result(problems=(Problem("undecided", str(reason)),), cut=True)


def _judged(rules: Rules, job: Job) -> Result:
    text = documents.decoded(job.data, said("this file"))  # equal files of others have this result too
    if not text.strip():
        return Result(problems=(Problem("empty", said("there is nothing in it")),))
    written = documents.parts(text, documents.kind_of(job.name))
    meant = [_meant(rules, job, part, alone=len(written) == 1) for part in written]
    found = [_part(rules, each) for each in _joined(rules, meant)]
    parts = tuple(part for part, _, _ in found if part is not None)
    problems = tuple(problem for _, problems, _ in found for problem in problems)
    return Result(parts, problems, any(stopped for _, _, stopped in found))


@dataclass
class _Meant:
    """A part of a file with the question that it answers, if there is one."""

    part: documents.Part
    variant: Variant | None
    problems: list[Problem]
    fits: tuple[str, ...] = ()  # questions it could be for, by the names it gives, where it does not say for which


def _joined(rules: Rules, meant: list[_Meant]) -> list[_Meant]:
    """Parts of one question as one, as long as each answers what those before it did not: else it is a further try."""
    count = Counter(each.variant for each in meant)
    last: dict[Variant, tuple[_Meant, set[str]]] = {}
    made = []
    for each in meant:
        if each.variant is None or count[each.variant] == 1:
            made.append(each)
            continue
        names = _answers(each.part, _exercise(replace(each.variant, points=()), rules.folder))
        before, known = last.get(each.variant, (None, set()))
        if before is not None and names and not names & known:
            before.part = before.part.going_on(each.part)
            before.problems += [problem for problem in each.problems if problem not in before.problems]
            last[each.variant] = before, known | names
        else:
            made.append(each)
            last[each.variant] = each, names
    return made


def _answers(part: documents.Part, exercise: Exercise) -> set[str]:
    """The asked names to which a part gives a value, readable or not."""
    named: set[str | None] = set()
    for statement in lang.flat(part.sheet(exercise).statements):
        if isinstance(statement, lang.Unreadable):
            named.add(lang.gradient_name(statement.target or ""))
        named.update(lang.variable(lang.root(target)) for target in lang.targets(statement))
    return {exercise.answer_name(name) for name in exercise.asked} & named


def _part(rules: Rules, meant: _Meant) -> tuple[Part | None, list[Problem], bool]:
    """What one part says: to a question, with problems, and whether the last guard stopped it."""
    part, variant, problems = meant.part, meant.variant, meant.problems
    if variant is None:
        return (Part.unplaced(meant.fits) if meant.fits else None), problems, False
    exercise = _exercise(replace(variant, points=()), rules.folder)
    sheet = part.sheet(exercise)
    if variant.sizes:
        problems += _pinned(sheet, dict(variant.sizes))
    from tutor.checking.check import check_sheet

    report = check_sheet(
        exercise,
        sheet,
        seed=rules.seed,
        lenient_shapes=rules.lenient_shapes,
        repairs=False,
        fixed_sizes=dict(variant.sizes),
    )
    credit = {name: _in_form(name, why, report, sheet, rules.forms) for name, why in report.credit.items()}
    stopped = any(line.sentence.id == "cut" for line in report.lines)
    if stopped:
        problems.append(Problem("undecided", said("a part of it could not be judged to the end")))
    return Part(variant.question, credit, report.to_dict()), problems, stopped


@lru_cache(maxsize=MOST_EXERCISES)
def _exercise(variant: Variant, folder: str) -> Exercise:
    return variant.exercise(Path(folder))


def _pinned(sheet: lang.Sheet, sizes: dict[str, int]) -> list[Problem]:
    """The sheet at the sizes that its learner drew; a problem where it says others."""
    others = {name: extent for name, extent in sheet.sizes.items() if sizes.get(name, extent) != extent}
    sheet.sizes = {**sheet.sizes, **sizes}
    if not others:
        return []
    said_sizes, own = (", ".join(f"{k}={v}" for k, v in sorted(found.items())) for found in (others, sizes))
    return [
        Problem("wrong-exercise", said("it is for {sizes}, and is judged for the learner's own: {own}",
                                       sizes=said_sizes, own=own))
    ]  # fmt: skip


# -- which question ------------------------------------------------------------------------------------------------


def _meant(rules: Rules, job: Job, part: documents.Part, alone: bool) -> _Meant:
    """The question that a part answers: by its header, else by the file's name, else the only one there is."""
    named = [variant for variant in job.variants if alone and variant.question in _named(job.name, job.variants)]
    other = named or list(job.variants)
    fallback = other[0] if len(other) == 1 else None
    if part.exercise is not None:
        return _Meant(part, *_by_header(rules, part.exercise, job.variants, fallback))
    if fallback is not None:
        return _Meant(part, fallback, [])
    why, fits = _without_header(part, job.variants), _fitting(rules, part, job.variants)
    if not fits:
        return _Meant(part, None, [Problem("wrong-exercise", why)])
    look = said(
        "{why}; by what it gives it could be for {names}: the points are open until it says so, "
        "or until 'tutor override' gives them",
        why=why,
        names=", ".join(fits),
    )
    return _Meant(part, None, [Problem("unplaced", look)], fits)


def _fitting(rules: Rules, part: documents.Part, variants: tuple[Variant, ...]) -> tuple[str, ...]:
    """The questions to whose asked names a part gives values. Which of them is meant is never guessed."""
    try:
        exercises = ((variant, _exercise(replace(variant, points=()), rules.folder)) for variant in variants)
        return tuple(variant.question for variant, exercise in exercises if _answers(part, exercise))
    except ReadingError:
        return ()


def _without_header(part: documents.Part, variants: tuple[Variant, ...]) -> str:
    header = part.header
    if header is not None:
        return said("line {line}: {reason}", line=header.line, reason=header.reason)
    return said(
        "it does not say which exercise it is for, with a line '# exercise: ...': the assignment has {names}",
        names=", ".join(variant.question for variant in variants),
    )


def _by_header(
    rules: Rules, header: str, variants: tuple[Variant, ...], fallback: Variant | None
) -> tuple[Variant | None, list[Problem]]:
    """The question whose exercise a header names; of a family's members the learner's own counts.

    `fallback` is what the file's name says, or the only question: it counts where the header names no exercise at all,
    or one that several questions ask.
    """
    ids = [(variant, _exercise(replace(variant, points=()), rules.folder)) for variant in variants]
    given = _as_known(header, [name for v, exercise in ids for name in (exercise.name, v.question)])
    name = split_address(given)[0]
    exact = [v for v, exercise in ids if _same_member(given, exercise.id) or given in (v.address, v.question)]
    near = [v for v, exercise in ids if name in (exercise.name, v.question)]
    if len(exact) == 1 or exact and len({v.judged_by[1:] for v in exact}) == 1:
        return exact[0], []
    found = near[0] if len(near) == 1 else fallback if fallback in near or not near and not _is_known(name) else None
    if found is not None:
        own = next(exercise.id for v, exercise in ids if v is found)
        return found, [
            Problem("wrong-exercise", said("it is for {header}, and is judged as the learner's own {own}",
                                           header=header, own=own))
        ]  # fmt: skip
    there = ", ".join(exercise.id for _, exercise in ids)
    return None, [
        Problem("wrong-exercise", said("it is for {header}, which the assignment does not ask: it has {there}",
                                       header=header, there=there))
    ]  # fmt: skip


def _as_known(header: str, names: Iterable[str]) -> str:
    """A header with its name as it is spelt here: `Softmax_Regression` means `softmax-regression`."""
    name, given = split_address(header)
    known = next((each for each in names if _plain(each) == _plain(name)), name)
    return known if given is None else f"{known}:{given}"


def _plain(name: str) -> str:
    """A name in small letters, its words joined in one way."""
    return re.sub(r"[\s_-]+", "-", name.casefold())


def _is_known(name: str) -> bool:
    """Whether there is an exercise of that name, asked or not."""
    try:
        return bool(find(_plain(name)))
    except TutorError:
        return False


def _same_member(header: str, id: str) -> bool:
    """`mlp:loss=mse` is `mlp` where mse is the default."""
    if header == id:
        return True
    name, given = split_address(header)
    if given is None or split_address(id)[0] != name:
        return False
    from tutor.catalogue import family_values, normal_id

    try:
        entry = find(name)
        return normal_id(entry, family_values(entry, given)) == id
    except TutorError:
        return False


def _named(name: str, variants: Iterable[Variant]) -> list[str]:
    """The questions that a file's name names: `q-softmax.py`, `Q1 (final).ipynb`; of `mlp` and `mlp-2` the longer."""
    stem = _plain(name.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    found = {
        (said.start(), said.end()): variant.question
        for variant in variants
        for said in re.finditer(rf"(?<![a-z0-9]){re.escape(_plain(variant.question))}(?![a-z0-9])", stem)
    }
    within = {one for one in found for other in found if one != other and other[0] <= one[0] and one[1] <= other[1]}
    return list(dict.fromkeys(question for place, question in found.items() if place not in within))


# -- ways of writing ------------------------------------------------------------------------------------------------


def _in_form(name: str, credit: str, report: Report, sheet: lang.Sheet, forms: tuple[str, ...]) -> str:
    """`form` for a right answer in a way of writing that the assignment does not take."""
    if credit not in ("correct", "follows") or len(forms) == len(FORMS):
        return credit
    own = [line for line in report.lines if line.quantity == name]
    if own and own[-1].expected_shape == () and "index" in forms:  # without an axis both ways are written alike
        forms = (*forms, "torch")
    last = max((line.line for line in own), default=0)
    cells = {start: number for start, number in sheet.cells}
    if cells:  # a report counts in cells, a sheet through all of them
        return credit if _last_form(sheet, name) in forms else "form"
    found = {form_of(s) for s in lang.flat(sheet.statements) if s.line == last}
    return credit if not found or found & set(forms) else "form"


def _last_form(sheet: lang.Sheet, name: str) -> str:
    found = "torch"
    for statement in lang.flat(sheet.statements):
        if any(lang.variable(lang.root(target)) == name for target in lang.targets(statement)):
            found = form_of(statement)
    return found


def form_of(statement: lang.Statement) -> str:
    """How a line is written: latex, index (`dz[i, k] = ...`) or torch."""
    if isinstance(statement, lang.Assign) and statement.latex:
        return "latex"
    labels = [item for target in lang.targets(statement) if isinstance(target, lang.Subscript) for item in target.items]
    bare = [item for item in labels if isinstance(item, lang.Name)]
    return "index" if bare and len(bare) == len(labels) else "torch"
