"""What is wrong, or unwise, in an assignment that can be read: every finding with its line and key.

Errors would be met by a learner or a grader: an exercise that does not load, a name that is not asked, numbers at which
nothing is defined. Warnings are for what a teacher hardly means: a draw with one choice, a square size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tutor.answers.headers import ID
from tutor.catalogue import Entry, spelled, split_address
from tutor.errors import TutorError, did_you_mean
from tutor.grading.assignment import Assignment, Question, key_of, line_of
from tutor.grading.variants import Variant, count, entry_of, looked_at
from tutor.language import N_, joined, nsaid, said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

MOST = 256  # variants of a question that are looked at
SHORT = 16  # letters of a secret that can be guessed
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RANK = {"error": 0, "warning": 1, "note": 2}

Where = tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """One thing to mend or to know; `severity` is error, warning or note."""

    severity: str
    line: int
    key: str  # questions[2].points.W
    message: str

    def to_dict(self) -> dict[str, Any]:
        return {"severity": self.severity, "line": self.line, "key": self.key, "message": str(self.message)}


@dataclass(frozen=True)
class _Found:
    severity: str
    where: Where
    message: str


def findings(assignment: Assignment, now: datetime | None = None, most: int = MOST) -> list[Finding]:
    """All that is found, in the order of the file; of a question at most so many variants are looked at."""
    found = [*_of_the_whole(assignment, now or datetime.now(UTC))]
    members: dict[str, set[str]] = {}
    for n, question in enumerate(assignment.questions):
        made = _Question(assignment, question, ("questions", n), most)
        found += made.findings()
        members[question.name] = made.ids
    found += _told_apart(members)
    lines: dict[Where, int] = {}
    for each in found:
        lines.setdefault(each.where, line_of(assignment.text, each.where))
    wrong = {f.where for f in found if f.severity == "error"}  # what is unwise about them can wait
    placed = [
        Finding(f.severity, lines[f.where], key_of(f.where), f.message)
        for f in dict.fromkeys(found)
        if f.severity != "warning" or f.where not in wrong
    ]
    return sorted(placed, key=lambda f: (f.line, RANK[f.severity], f.key, f.message))


def errors(found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if each.severity == "error"]


# -- the file as a whole -------------------------------------------------------------------------------------------


def _of_the_whole(assignment: Assignment, now: datetime) -> Iterator[_Found]:
    if assignment.varies and len(assignment.secret) < SHORT:
        yield _Found(
            "warning", ("secret",),
            said("a secret of {count} letters can be guessed, and with it who gets what: 'tutor assignment new' makes "
                 "one of 64", count=len(assignment.secret)),
        )  # fmt: skip
    if assignment.is_due(now):
        yield _Found("note", ("due",), said("this is in the past: what needs the due date happens at once"))
    if assignment.feedback == "derivation" and assignment.due is None:
        yield _Found("warning", ("feedback",), said("without a due date the derivation is never shown: give due"))
    if assignment.roster is not None:
        yield from _roster(assignment)
    yield from _names(assignment)


def _names(assignment: Assignment) -> Iterator[_Found]:
    """A question's name is part of a file's, and of columns in other systems."""
    seen: dict[str, str] = {}
    for n, question in enumerate(assignment.questions):
        name = question.name
        other = seen.setdefault(name.casefold(), name)
        if not NAME.fullmatch(name):
            yield _Found(
                "error", ("questions", n, "exercise"),
                said("the question is called {name} after its exercise: give it an id of letters, digits, . - and _",
                     name=name),
            )  # fmt: skip
        elif other != name:
            yield _Found(
                "error", ("questions", n, "id"),
                said("{first} and {second} differ in capitals alone, and are one file on many computers: give one "
                     "another id", first=other, second=name),
            )  # fmt: skip


def _roster(assignment: Assignment) -> Iterator[_Found]:
    from tutor.grading.learners import roster_of

    try:
        roster_of(assignment)
    except TutorError as error:
        yield _Found("error", ("roster",), error.says)


def _told_apart(members: Mapping[str, set[str]]) -> Iterator[_Found]:
    """A sheet says its exercise and not its question."""
    seen: dict[str, str] = {}
    for n, (name, ids) in enumerate(members.items()):
        for id in sorted(ids):
            other = seen.setdefault(id, name)
            if other != name:
                yield _Found(
                    "warning", ("questions", n, "exercise"),
                    said("{first} and {second} both ask {exercise}, and a sheet's header does not tell them apart: ask "
                         "for all of it in one question", first=other, second=name, exercise=id),
                )  # fmt: skip
                break


# -- a question ----------------------------------------------------------------------------------------------------


class _Question:
    """Walks through a question: what is declared, then its variants."""

    def __init__(self, assignment: Assignment, question: Question, where: Where, most: int):
        self.assignment, self.question, self.where, self.most = assignment, question, where, most
        self.folder = assignment.path.parent
        self.ids: set[str] = set()

    def findings(self) -> Iterator[_Found]:
        try:
            entry = entry_of(self.question.exercise, self.folder)
        except TutorError as error:
            yield self._error(error.says, "exercise")
            return
        declared = [*self._parameters(entry), *self._repeats()]
        yield from declared
        if any(f.severity == "error" for f in declared):
            return
        yield from self._variants()

    def _error(self, message: str, *where: Any) -> _Found:
        return _Found("error", (*self.where, *where), message)

    def _warning(self, message: str, *where: Any) -> _Found:
        return _Found("warning", (*self.where, *where), message)

    # -- what is declared

    def _parameters(self, entry: Entry) -> Iterator[_Found]:
        """Names and choices of a family's parameters."""
        drawn = self.question.draw.parameters
        known = {p.name: p for p in entry.parameters}
        fixed = {part.partition("=")[0].strip() for part in (split_address(self.question.exercise)[1] or "").split(",")}
        for name, choices in drawn.items():
            place = ("draw", "parameters", name)
            if name not in known:
                has = joined([p.says for p in entry.parameters], "; ") or said("none")
                hint = did_you_mean(name, known)
                yield self._error(
                    said("{exercise} has no parameter {name}{hint}: it has {has}", exercise=entry.id, name=name,
                         hint=hint, has=has), *place,
                )  # fmt: skip
                continue
            if name in fixed:
                says = said("{name} is drawn, and {exercise} says it already: leave it out of one of them",
                            name=name, exercise=self.question.exercise)  # fmt: skip
                yield self._error(says, *place)
            for choice in choices:
                try:
                    known[name].read(spelled(choice))
                except ValueError:
                    says = said("{name}={value} is not {allowed}", name=name, value=spelled(choice),
                                allowed=known[name].allowed)  # fmt: skip
                    yield self._error(says, *place)

    def _repeats(self) -> Iterator[_Found]:
        """A draw in which nothing varies, or not as it seems."""
        draw = self.question.draw
        for kind, table in (("parameters", draw.parameters), ("sizes", draw.sizes), ("instance", draw.instance)):
            choices: list[Any]
            for name, choices in table.items():
                different = {(type(choice) is bool, choice) for choice in choices}
                if len(different) == 1:
                    says = said("{name} is drawn from one choice: everybody gets the same", name=name)
                    yield self._warning(says, "draw", kind, name)
                elif len(different) < len(choices):
                    says = said("a choice for {name} stands here twice: it is drawn twice as often", name=name)
                    yield self._warning(says, "draw", kind, name)

    # -- every variant

    def _variants(self) -> Iterator[_Found]:
        variants = looked_at(self.question, self.most)
        total = count(self.question)
        if total > len(variants):
            yield _Found(
                "note", (*self.where, "draw"),
                said("{looked} of {total} variants were looked at", looked=len(variants), total=total),
            )  # fmt: skip
        by_address: dict[str, list[Variant]] = {}
        for variant in variants:
            by_address.setdefault(variant.address, []).append(variant)
        for address, same in by_address.items():
            yield from self._member(address, same)

    def _member(self, address: str, variants: Sequence[Variant]) -> Iterator[_Found]:
        """One exercise, with all sizes and numbers that are drawn for it."""
        try:
            plain = Variant(self.question.name, address).exercise(self.folder)
        except TutorError as error:
            yield self._error(error.says, "exercise")
            return
        self.ids.add(plain.id)
        if not ID.fullmatch(plain.id):
            says = said("a sheet's header cannot name the exercise {id}: letters, digits, - and _ only", id=plain.id)
            yield self._error(says, "exercise")
        names = [*self._asked(plain), *self._points(plain), *self._sizes(plain), *self._numbers(plain)]
        yield from names
        if any(f.severity == "error" for f in names):
            return
        try:
            made = variants[0].exercise(self.folder)
            made.derive()
        except TutorError as error:
            yield self._error(error.says)
            return
        if sum(made.asked.values()) <= 0:
            yield self._error(said("nothing in this question is worth a point"), "points")
        yield from self._drawn_sizes(made, dict.fromkeys(v.sizes for v in variants if v.sizes))
        yield from self._drawn_numbers(address, dict.fromkeys(v.instance for v in variants if v.instance))

    def _asked(self, exercise: Exercise) -> Iterator[_Found]:
        """Each name exists and has a gradient of its own to ask for."""
        asked = self.question.ask or ()
        for n, name in enumerate(asked):
            problem = _not_askable(exercise, name)
            if problem:
                yield self._error(problem, "ask", n)
            elif name in asked[:n]:
                yield self._error(said("{name} is asked twice", name=name), "ask", n)

    def _points(self, exercise: Exercise) -> Iterator[_Found]:
        asked = self.question.ask or list(exercise.asked)
        for name in self.question.points:
            if name not in asked:
                says = said("{name} is not asked{hint}: asked are {names}", name=name, hint=_meant(name, asked),
                            names=", ".join(asked))  # fmt: skip
                yield self._error(says, "points", name)
        for name in asked:
            if self.question.points.get(name) == 0:
                yield self._warning(said("{name} is asked and worth nothing", name=name), "points", name)

    def _sizes(self, exercise: Exercise) -> Iterator[_Found]:
        for name, choices in self.question.draw.sizes.items():
            place = ("draw", "sizes", name)
            if name not in exercise.size_symbols:
                known = ", ".join(exercise.size_symbols) or said("none")
                says = said("{exercise} has no size {name}{hint}: it has {known}", exercise=exercise.id, name=name,
                            hint=did_you_mean(name, exercise.size_symbols), known=known)  # fmt: skip
                yield self._error(says, *place)
            elif 1 in choices:
                says = said("size 1 hides a forgotten sum over {name}: draw from 2 up", name=name)
                yield self._warning(says, *place)

    def _numbers(self, exercise: Exercise) -> Iterator[_Found]:
        """Numbers are drawn for scalars that the worked instance gives."""
        drawn = self.question.draw.instance
        for name in drawn:
            place = ("draw", "instance", name)
            q = exercise.quantities.get(name)
            leaves = [leaf.name for leaf in exercise.leaves]
            if q is None or not q.is_leaf:
                says = said("{name} is no input or parameter of {exercise}{hint}: it has {names}", name=name,
                            exercise=exercise.id, hint=did_you_mean(name, leaves), names=", ".join(leaves))  # fmt: skip
                yield self._error(says, *place)
            elif q.indices:
                axes = nsaid("1 axis", "{count} axes", len(q.indices), count=len(q.indices))
                says = said("{name} has {axes}: only single numbers are drawn", name=name, axes=axes)
                yield self._error(says, *place)
        if drawn and not exercise.instances:
            missing = [leaf.name for leaf in exercise.leaves if leaf.name not in drawn]
            if missing:
                says = said("{exercise} has no worked instance, so {names} must be drawn as well",
                            exercise=exercise.id, names=", ".join(missing))  # fmt: skip
                yield self._error(says, "draw", "instance")

    # -- what was drawn

    def _drawn_sizes(self, exercise: Exercise, choices: Mapping[tuple[tuple[str, int], ...], None]) -> Iterator[_Found]:
        """They can be computed with, and no two axes are of one length by chance."""
        from tutor.answers import language as lang

        if not choices:
            return
        from tutor.checking.premises import with_sizes_checked
        from tutor.numeric.sample import default_sizes

        usual = default_sizes(exercise)
        for chosen in choices:
            sizes = dict(chosen)
            refused = with_sizes_checked(exercise, lang.Sheet([], sizes=sizes)).statements
            for each in refused:
                yield self._error(getattr(each, "reason", ""), "draw", "sizes")
            if not refused:
                yield from self._equal({**usual, **sizes}, sizes)

    def _equal(self, all_sizes: Mapping[str, int], drawn: Mapping[str, int]) -> Iterator[_Found]:
        for name, extent in drawn.items():
            others = [other for other, its in all_sizes.items() if its == extent and other != name]
            for other in others:
                if other not in drawn or name < other:
                    says = said("{name}={extent} equals {other}: a square hides a forgotten transpose", name=name,
                                extent=extent, other=other)  # fmt: skip
                    yield self._warning(says, "draw", "sizes", name)

    def _drawn_numbers(self, address: str, choices: Mapping[tuple[tuple[str, float], ...], None]) -> Iterator[_Found]:
        """The worked instance has finite values and gradients, on no kink."""
        for chosen in choices:
            written = ", ".join(f"{name}={value:g}" for name, value in chosen)
            try:
                severity, problem = _at(Variant(self.question.name, address, instance=chosen).exercise(self.folder))
            except TutorError as error:
                severity, problem = "error", error.says
            if problem:
                says = said("{exercise} with {numbers}: {problem}", exercise=address, numbers=written, problem=problem)
                yield _Found(severity, (*self.where, "draw", "instance"), says)


def _not_askable(exercise: Exercise, name: str) -> str:
    """Why a gradient, or a value, cannot be asked for; nothing if it can."""
    if name not in exercise.quantities:
        has = ", ".join(exercise.quantities)
        hint = _meant(name, exercise.quantities)
        return said("{exercise} has no quantity {name}{hint}: it has {has}", exercise=exercise.id, name=name,
                    hint=hint, has=has)  # fmt: skip
    q = exercise[name]
    if q.domain == "index":
        return said("{name} holds integers, which have no gradient", name=name)
    if q.kind == "loss":
        return said("{name} is the loss, whose gradient is 1: ask for what it depends on", name=name)
    if q.kind == "output":
        return said("{name} is an output, whose gradient is given from above: ask for what it depends on", name=name)
    return ""


def _meant(name: str, known: Any) -> str:
    """`dW` is how a sheet writes the gradient of W; here its own name stands."""
    if name[:1] == "d" and name[1:] in known:
        return said('; did you mean "{name}"?', name=name[1:])
    return did_you_mean(name, known)


DOMAINS: dict[str, tuple[Callable[[float], bool], str]] = {
    "positive": (lambda x: x > 0, N_("has to be positive")),
    "fraction": (lambda x: 0 < x < 1, N_("has to lie between 0 and 1")),
    "mask": (lambda x: x in (0, 1), N_("has to be 0 or 1")),
    "constant": (lambda x: x > 0, N_("has to be positive")),
    "sign": (lambda x: x in (1, -1), N_("has to be 1 or -1")),
    "index": (lambda x: x >= 0 and x == int(x), N_("has to be a whole number from 0 up")),
}


def _at(exercise: Exercise) -> tuple[str, str]:
    """How grave it is and what is wrong with the worked instance; nothing if it is fit to be asked about."""
    import torch

    from tutor.numeric.kinks import hit
    from tutor.numeric.sample import worked

    instance = worked(exercise)
    for q in exercise.leaves:
        fits, says = DOMAINS.get(q.domain, (None, ""))
        if fits is not None and not q.indices and not fits(instance.values[q.name].item()):
            return "error", joined([q.name, said(says)], " ")
    for name, value in (*instance.values.items(), *instance.after.items()):
        if not bool(torch.isfinite(value).all()):
            return "error", said("{name} is not finite", name=name)
    if hit(exercise, instance.values, instance.sizes) and not exercise.strict_kinks:
        return "warning", said("it lies on a kink, where every subgradient is right")
    return "", ""
