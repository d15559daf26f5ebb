"""Lines that mean one of two things: the sheet is judged in both readings, and the lines that read them tell.

`b = np.zeros(K)` may be data, and the lines after it are meant for all data; or b is a vector of the learner's own. It
is data where more is right without it. That is no gift: the sheet without the line may be handed in as well. Nor is it
a second guess: what is right for all data has to be right with these, or a line tells the one from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from typing import Any

from torch import Tensor

from tutor.answers import language as lang
from tutor.checking.judge import as_tensor
from tutor.checking.lines import MANY_MISTAKES, SheetJudge
from tutor.checking.outline import Names, names_of, owner
from tutor.checking.premises import prepared
from tutor.checking.report import NOTES, Report, Sentence
from tutor.checking.rounds import with_one_round
from tutor.checking.set_up import gives_leaf, may_be_data
from tutor.checking.sheet_runs import MANY_STEPS
from tutor.checking.truth import Point
from tutor.errors import TutorError
from tutor.exercise import Exercise
from tutor.numeric.compare import alike
from tutor.numeric.sample import worked_instance

MANY_TRIED = 8  # readings of one sheet, beside the plain one
MANY_LINES = 60  # that may be data; beyond them each means what it says
MANY_STATEMENTS = 100  # of a sheet, the same
MANY_JUDGED = 50  # lines in all readings together
MANY_WRONG = 15  # lines: such a sheet says too little
DRAWS = 2  # of both sizes, at which lines are judged with the data of the sheet


def judged(
    exercise: Exercise,
    sheet: lang.Sheet,
    seed: int,
    lenient: bool = False,
    repairs: bool = True,
    fixed: Mapping[str, int] | None = None,
) -> Report:
    """The report on a sheet in the reading that is meant."""
    reading = _as_meant(exercise, sheet, seed, lenient, fixed)
    if reading is not None and reading.verdicts <= {"correct"}:
        return reading.report  # there is no cause to look for
    meant = sheet if reading is None else reading.sheet
    return SheetJudge(exercise, meant, seed, lenient, repairs, fixed).report()


def as_read(exercise: Exercise, sheet: lang.Sheet, seed: int) -> lang.Sheet:
    """The sheet without the lines that turn out to be data, and with gradients that turn out to go on."""
    reading = _as_meant(exercise, sheet, seed)
    return sheet if reading is None else reading.sheet


def _as_meant(
    exercise: Exercise,
    sheet: lang.Sheet,
    seed: int,
    lenient: bool = False,
    fixed: Mapping[str, int] | None = None,
) -> Reading | None:
    """The best reading of a sheet; None where it has but one."""

    def read(other: lang.Sheet, causes: bool = False) -> Reading:
        judge = SheetJudge(exercise, other, seed, lenient, repairs=False, fixed=fixed)
        judge.diagnosed = 0 if causes else MANY_MISTAKES
        return Reading(judge, other)

    if len(list(islice(lang.flat(sheet.statements), MANY_STATEMENTS + 1))) > MANY_STATEMENTS:
        return None
    found = _without_data(exercise, sheet, read)
    gone_on = _going_on(exercise, sheet if found is None else found.sheet, read)
    return gone_on or found


Place = tuple[int, int, str | None]  # of a line, and its quantity
Read = Callable[..., "Reading"]  # of a sheet, with or without the causes of what is wrong


def _without_data(exercise: Exercise, sheet: lang.Sheet, read: Read) -> Reading | None:
    if not any(gives_leaf(exercise, each) for each in lang.flat(sheet.statements)):
        return None
    of_one_round = with_one_round(exercise, sheet)
    lines = list(may_be_data(exercise, prepared(exercise, of_one_round)))
    if not lines or len(lines) > MANY_LINES:
        return None if of_one_round is sheet else read(of_one_round)
    best = plain = read(of_one_round, causes=True)
    for chosen in islice(_choices(lines), plain.affords if plain.wrong else 0):
        other = read(_without(of_one_round, chosen), causes=True)
        better = other.is_better_than(plain) and (best is plain or len(other.right) > len(best.right))
        if better and other.holds_with(plain.data(chosen)):
            best = other
        if best.verdicts <= {"correct"}:
            break
    return best


def _going_on(exercise: Exercise, sheet: lang.Sheet, read: Read) -> Reading | None:
    """`dcn += dhn*o*(1 - t**2)`, `dh[h <= 0] = 0`: a gradient that was given, or is right, goes on under its own name,
    as that of another path or step.

    It is a helper from there on, where nothing that was right is lost by that, and more is sound or what reads it is
    right.
    """
    names = names_of(exercise)
    losses = {f"d{loss}" for loss in names.losses}
    upstream = {f"d{end}" for end in names.ends} - losses
    asked = {f"d{name}" for name in exercise.asked} | losses
    first: dict[str, int] = {}
    given: set[str] = set()
    own: set[str] = set()  # the learner's quantities, which may have a gradient as well: `hidden`
    for n, each in enumerate(sheet.statements):
        name = _changed(each, names)
        if name is None:
            continue
        kind = names.meaning(name).kind
        of_own = kind == "helper" and name[0] == "d" and name[1:] in own
        if name in asked or not (kind == "gradient" or of_own):
            own.add(name)
            continue
        if name in upstream or name in given and not _is_new(each, names, name):
            first.setdefault(name, n)
        given.add(name)
    if not first:
        return None
    plain = read(sheet)
    for name, n in islice(first.items(), plain.affords):
        is_wrong = any(quantity == name for _, _, quantity in plain.wrong)
        other_one = plain.gradient_that_is(name) if is_wrong else None
        if other_one is None and not (is_wrong and name in upstream):
            continue  # what a mistake in it does may be undone by another one later
        note = Sentence("goes-on" if other_one else "goes-on-upstream", {"name": name, "other": other_one or ""})
        other = read(_with_own_name(plain.sheet, n, name, names, note))
        gains = len(other.sound) > len(plain.sound) or other.is_right_where_it_reads(_own_name(name))
        if gains and other.right >= plain.right and len(other.wrong) < len(plain.wrong):
            plain = other
    return plain


def _changed(statement: lang.Statement, names: Names) -> str | None:
    """The one name whose value, or part of it, a statement gives or changes."""
    targets = [lang.root(target) for target in lang.targets(statement)]
    if isinstance(statement, lang.Effect) and isinstance(statement.call.function, lang.Attribute):
        targets = [lang.root(owner(statement.call.function.value))]
    return names.read(targets[0]) if len(targets) == 1 else None


def _is_new(statement: lang.Statement, names: Names, name: str) -> bool:
    """`dh = ...` that reads no dh"""
    if not isinstance(statement, lang.Assign) or isinstance(statement.targets[0], lang.Subscript):
        return False
    return all(names.read(node) != name for node in lang.walk(statement.value))


def _own_name(name: str) -> str:
    return f"{name}'"


def _with_own_name(sheet: lang.Sheet, n: int, name: str, names: Names, note: Sentence) -> lang.Sheet:
    """The sheet, in which a name is another one from statement n on, with a note that says so."""
    own = _own_name(name)

    def renamed(part: Any) -> Any:
        if isinstance(part, (list, tuple)):
            return type(part)(map(renamed, part))
        if not isinstance(part, (lang.Expression, lang.Statement)):
            return part
        if isinstance(part, lang.Expression) and names.read(part) == name:
            return lang.Name(part.line, part.column, part.end, own)
        return replace(part, **{each.name: renamed(getattr(part, each.name)) for each in fields(part)})

    statement, after = sheet.statements[n], sheet.statements[n + 1 :]
    at = statement.line, statement.column, statement.text, statement.start
    place = statement.line, statement.column, statement.column
    if isinstance(statement, lang.Assign) and isinstance(statement.targets[0], lang.Name):
        first = [lang.Assign(*at, (renamed(statement.targets[0]),), statement.value)]
    else:
        copied = lang.Call(*place, lang.Attribute(*place, lang.Name(*place, name), "clone"), (), ())
        first = [lang.Assign(*at, (lang.Name(*place, own),), copied), renamed(statement)]
    note = replace(note, params={**note.params, "line": statement.line})
    statements = [*sheet.statements[:n], *first, *map(renamed, after)]
    return replace(sheet, statements=statements, notes=[*sheet.notes, note.render(NOTES)])


def _choices(lines: Sequence[lang.Statement]) -> Iterator[Sequence[lang.Statement]]:
    """All of them, all but one, and each alone."""
    yield lines
    if len(lines) > 2:
        yield from ([*lines[:n], *lines[n + 1 :]] for n in range(len(lines)))
    if len(lines) > 1:
        yield from ([line] for line in lines)


class Reading:
    """What a reading of the sheet makes of its lines."""

    def __init__(self, judge: SheetJudge, sheet: lang.Sheet):
        self.judge, self.sheet = judge, sheet
        self.report = judge.report()
        self.verdicts = {line.verdict for line in self.report}
        self.wrong = {*self._at("wrong")}
        self.right = {*self._at("correct"), *self._forward_steps()}  # places of lines
        self.sound = self.right | {*self._at("follows")}
        self.explained = sum(bool(line.mistakes) for line in self.report if line.verdict == "wrong")

    @property
    def affords(self) -> int:
        """How many other readings of this sheet may be judged."""
        if len(self.wrong) > MANY_WRONG:
            return 0
        judged, cost = max(len(self.report.lines), 1), max(self.judge.cost, 1)
        return min(MANY_TRIED, max(min(MANY_STEPS // cost, MANY_JUDGED // judged), 1))

    def _at(self, verdict: str) -> Iterator[Place]:
        yield from ((line.line, line.column, line.quantity) for line in self.report if line.verdict == verdict)

    def _forward_steps(self) -> Iterator[Place]:
        """The lines that give a step of the forward pass the value that it has in the exercise."""
        judge = self.judge
        for state in judge.states:
            segment, meaning = state.segment, judge.meaning(state.segment)
            if meaning.kind != "forward" or judge.exercise[meaning.name].is_leaf:
                continue
            pairs = zip(judge.values_of(segment), judge.points, strict=True)
            if all(value is not None and alike(value, point.values[meaning.name]) for value, point in pairs):
                yield segment.statement.line, segment.statement.column, meaning.name

    def is_better_than(self, other: Reading) -> bool:
        """Whether more is right and all that was right stays so; or nothing changes but that more is explained."""
        if self.right > other.right:
            return True
        return self.right == other.right and self.sound >= other.sound and self.explained > other.explained

    def is_right_where_it_reads(self, name: str) -> bool:
        """Whether a line that reads a name is right."""
        for state in self.judge.states:
            segment, statement = state.segment, state.segment.statement
            reads = any(name in self.judge.outline.units[unit].reads for unit in segment.units)
            if reads and (statement.line, statement.column, self.judge.meaning(segment).name) in self.right:
                return True
        return False

    def gradient_that_is(self, name: str) -> str | None:
        """The gradient of another quantity that a name is in the end."""
        judge = self.judge
        drawn = list(zip(judge.values_of(judge.states_of(name)[-1].segment), judge.points, strict=True))
        others = [other for other in judge.points[0].gradients if other != name]
        return next(
            (each for each in others if all(v is not None and alike(v, at.gradients[each]) for v, at in drawn)), None
        )

    def data(self, lines: Sequence[lang.Statement]) -> list[dict[str, Tensor | None]]:
        """What these lines give, at the first draws."""
        judge = self.judge
        units = [unit for unit in judge.outline.units if any(unit.statement is line for line in lines)]
        given = [(touch.name, unit.position) for unit in units for touch in unit.touches]
        runs = (judge.runs[n] for n in range(min(DRAWS, len(judge.points))))
        return [{name: as_tensor(run.values.get((name, unit))) for name, unit in given} for run in runs]

    def holds_with(self, data: list[dict[str, Tensor | None]]) -> bool:
        """Whether the lines that are right are so with these data too: in `where(b == 0, p, p - y)` one half is no
        proof of the other."""
        try:
            return all(self._holds_at(_with(*at)) for at in zip(self.judge.points, data, strict=False))
        except TutorError:
            return False  # the exercise has no such data

    def _holds_at(self, point: Point) -> bool:
        judge = self.judge
        run = judge.run_at(point, judge.pinned)
        for state in judge.states:
            segment, meaning = state.segment, judge.meaning(state.segment)
            right = state.judgement is not None and state.judgement.verdict == "correct"
            if not right or state.number is not None or meaning.name in judge.extra:
                continue
            value = judge.value(run, segment)
            if value is None:
                return False
            told = judge.same(meaning, value, point) not in ("equal", "unknown")
            if told and judge.sides(meaning, value, point) != "subgradient":
                return False
        return True


def _with(point: Point, data: Mapping[str, Tensor | None]) -> Point:
    """The point with other data."""
    exercise = point.exercise
    values = {q.name: point.instance.values[q.name] for q in exercise.leaves}
    given = {name: value if value is None else _as_large(value, values[name]) for name, value in data.items()}
    return Point(exercise, worked_instance(exercise, {**values, **given}, point.sizes))


def _as_large(value: Tensor, like: Tensor) -> Tensor | None:
    """0 and (1, K) for a b of (K,); None for what has other axes."""
    for each in (value, value.squeeze()):
        try:
            whole = each.reshape(like.shape) if each.numel() == like.numel() else each.expand(like.shape)
        except RuntimeError:
            continue
        return whole.to(like.dtype)
    return None


def _without(sheet: lang.Sheet, data: Sequence[lang.Statement]) -> lang.Sheet:
    kept = [statement for statement in sheet.statements if not any(statement is each for each in data)]
    given = ", ".join(dict.fromkeys(statement.text.strip()[:60] for statement in data[:6]))
    note = Sentence("data", {"line": data[0].line, "given": given}).render(NOTES)
    return replace(sheet, statements=kept, notes=[*sheet.notes, note])
