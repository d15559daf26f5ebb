"""The judge's exam: right answers rewritten at random, and wrong ones by random edits, for every exercise.

    python tests/benchmarks/exam.py [--count 10000] [--seed 0] [--exercise ID] [--only wrong:17]

Plain torch says which answers are right and which are wrong (`exam_plain.py`); the judge has to agree. A right line
that is not `correct` is a false "wrong", an edited line that is `correct` or `follows` a false "correct". Exits 1 if
there is either.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import random
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import exam_latex  # noqa: E402
import exam_plain  # noqa: E402
import exam_right  # noqa: E402
import exam_wrong  # noqa: E402
from exam_course import Course, course  # noqa: E402
from exam_plain import target_name  # noqa: E402
from exam_right import Sheet, updates  # noqa: E402

import tutor  # noqa: E402
from tutor.numeric.sample import instances  # noqa: E402

CHUNK = 40  # answers that one process takes at a time
LATEX = 0.25  # of the right answers
SHOWN = 6  # failures of a kind that are shown in full
BAD = ("false wrong", "false correct", "false follow")


# -- what is counted -------------------------------------------------------------------------------------------


@dataclass
class Failure:
    what: str
    address: str
    item: str
    text: str
    says: str


@dataclass
class Tally:
    """Counts of one exercise, or of all."""

    counts: Counter[str] = field(default_factory=Counter)
    right_times: list[float] = field(default_factory=list)  # seconds per right sheet, over its lines
    wrong_times: list[float] = field(default_factory=list)  # seconds per sheet with one fault
    failures: list[Failure] = field(default_factory=list)
    unnamed: Counter[str] = field(default_factory=Counter)  # kinds of edits for which nothing was named

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.right_times += other.right_times
        self.wrong_times += other.wrong_times
        self.failures += other.failures
        self.unnamed += other.unnamed

    def fail(self, what: str, where: Course, item: str, text: str, says: str) -> None:
        self.counts[what] += 1
        self.failures.append(Failure(what, where.address, item, text, says))


def addresses() -> list[str]:
    """Every exercise; of a family its default and, for each parameter, every other choice or one more."""
    made = []
    for entry in tutor.entries():
        made.append(entry.id)
        for p in entry.parameters:
            others = [c for c in p.choices or () if c != p.default]
            if isinstance(p.default, int) and not isinstance(p.default, bool) and not others:
                others = [n for n in (p.default + 1, p.default - 1) if p.accepts(n)][:1]
            made += [f"{entry.id}:{p.name}={other}" for other in others]
    return made


@cache
def ready(address: str) -> Course:
    return course(address)


def dice(address: str, kind: str, seed: int, item: int) -> random.Random:
    return random.Random(f"{address}|{kind}|{seed}|{item}")


# -- right answers ---------------------------------------------------------------------------------------------


def sit_right(address: str, seed: int, item: int, tally: Tally) -> None:
    where, rolled = ready(address), dice(address, "right", seed, item)
    text, latex = right_text(where, rolled)
    report, took = checked(where, text)
    tally.counts["latex"] += latex
    judged = [line for line in report.lines if line.quantity]
    tally.counts["right"] += 1
    tally.counts["right lines"] += len(judged)
    tally.right_times.append(took / max(len(judged), 1))
    for line in report.lines:
        if line.verdict == "correct" and line.sentence.id != "cancelled":
            continue
        what = {"correct": "false wrong", "wrong": "false wrong", "follows": "false wrong"}.get(
            line.verdict, line.verdict
        )
        tally.fail(what, where, f"right:{item}", text, f"line {line.line}: {line.verdict}: {line.reason}")
        return
    if not judged:
        tally.fail("false wrong", where, f"right:{item}", text, "no line is judged")


def right_text(where: Course, rolled: random.Random) -> tuple[str, bool]:
    """A right answer, and whether it is in LaTeX."""
    if where.worked and rolled.random() < 0.1 and (sheet := numbers_sheet(where, rolled)):
        return sheet[0], False
    if rolled.random() < LATEX and (text := exam_latex.latex_sheet(where, rolled)):
        return text, True
    return exam_right.right_sheet(where, rolled).text, False


def checked(where: Course, text: str) -> tuple[Any, float]:
    start = time.perf_counter()
    report = tutor.check(where.exercise, text)
    return report, time.perf_counter() - start


def numbers_sheet(where: Course, rolled: random.Random, spoil: bool = False) -> tuple[str, int] | None:
    """`dw = -8.00`: values of the worked instance, to some digits; one of them off by more than its digits say."""
    assert where.worked is not None
    names = [
        n
        for n in where.order
        if n not in where.given and not where.worked.truth[n].ndim and float(where.worked.truth[n])
    ]
    if not names:
        return None
    picked = rolled.sample(names, min(len(names), 4))
    chosen = [n for n in names if n in picked]
    lines, bad = [f"# exercise: {where.exercise.id}"], rolled.randrange(len(chosen))
    for n, name in enumerate(chosen):
        value, digits = float(where.worked.truth[name]), rolled.choice([3, 4, 6, 9, 15])
        text = f"{value:.{digits}g}"
        if n == bad and spoil:
            value *= rolled.choice([-1, 2, 0.5, 1 + 10.0 ** -rolled.randint(1, 6), 3])
            text = f"{value:.12g}"
            if abs(float(text) - float(where.worked.truth[name])) < 1e-5 * abs(value):
                return None
        lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n", bad + 2


# -- wrong answers ---------------------------------------------------------------------------------------------


@dataclass
class Truth:
    """What plain torch says of a sheet: for each statement whether its quantity is true there."""

    names: list[str]
    judged: list[bool]  # the statement is where its quantity is judged: not updated by the next one of it
    true: list[bool | None]  # None: neither beyond doubt
    refused: list[bool]  # torch has no value


def plain_truth(where: Course, statements: list[ast.stmt], original: list[ast.stmt]) -> Truth:
    names = [target_name(s, where.names) for s in statements]
    verdicts: list[list[bool | None]] = [[] for _ in statements]
    refused, zero = [False] * len(statements), [True] * len(statements)
    for case in where.cases:
        ran, meant = exam_plain.run(statements, case), exam_plain.run(original, case)
        for n, name in enumerate(names):
            value = ran.after[n]
            refused[n] |= ran.errors[n] is not None
            found = exam_plain.as_tensor(value)
            zero[n] &= found is not None and not bool(found.any())
            if name in case.truth:
                equal, different = case.equal(name, value), case.different(name, value)
            else:
                equal, different = compared(value, meant.after[n] if len(original) == len(statements) else None, case)
            verdicts[n].append(False if different or ran.errors[n] else True if equal else None)
    true = [False if False in seen else None if None in seen else True for seen in verdicts]
    judged = []
    for n, name in enumerate(names):
        later = next((s for other, s in zip(names[n + 1 :], statements[n + 1 :], strict=True) if other == name), None)
        start = zero[n] and true[n] is False  # zeros before something else are no answer
        judged.append(later is None or not (updates(where, later, name) or start))
    return Truth(names, judged, true, refused)


def compared(value: Any, meant: Any, case: exam_plain.Case) -> tuple[bool, bool]:
    """A helper or local derivative beside what it was before the edit."""
    a, b = exam_plain.as_tensor(value), exam_plain.as_tensor(meant)
    if a is None or b is None:
        return False, True
    return (
        exam_plain._close(a, b, exam_plain.EQUAL, 1e-12),
        not exam_plain._close(a, b, exam_plain.DIFFERENT, 1e-9),
    )


def sit_wrong(address: str, seed: int, item: int, tally: Tally) -> None:
    where, rolled = ready(address), dice(address, "wrong", seed, item)
    if where.worked and rolled.random() < 0.05 and (spoilt := numbers_sheet(where, rolled, spoil=True)):
        wrong_numbers(where, spoilt, item, tally)
        return
    faults = rolled.choice([1, 1, 1, 2])
    for _ in range(60):
        sheet = exam_right.right_sheet(where, rolled, most=4)
        made = exam_wrong.mutant(sheet, rolled, faults)
        if made is None:
            continue
        truth = plain_truth(where, made.sheet.statements, sheet.statements)
        gradients = [n for n in range(len(truth.names)) if is_gradient(where, truth.names[n])]
        bad = [n for n in gradients if truth.true[n] is False and truth.judged[n]]
        if None in (truth.true[n] for n in gradients) or not bad:
            tally.counts["equivalent"] += 1
            continue
        grade(where, made, truth, bad, item, faults, tally)
        return
    raise exam_plain.Broken(f"{address}: no wrong answer was found")


def is_gradient(where: Course, name: str) -> bool:
    return name in where.order or is_local(where, name)


def is_local(where: Course, name: str) -> bool:
    v, _, u = name.removeprefix("d").partition("_d")
    return v in where.names and u in where.names


class OfNumbers:
    """torch's functions, of numbers as a sheet may have them: torch.sign(-2)."""

    def __getattr__(self, name: str) -> Any:
        import torch

        return lambda *given: float(getattr(torch, name)(*(torch.tensor(float(x)) for x in given)))


def is_worked(where: Course, name: str, statement: Any) -> bool:
    """Whether a line without names gives the value of the worked instance: that is right, whatever it was before."""
    value = getattr(statement, "value", None)
    if where.worked is None or value is None:
        return False
    of_numbers = OfNumbers()
    known = {name: getattr(of_numbers, name) for name in exam_plain.ELEMENTWISE}
    known |= {"__builtins__": {}, **dict.fromkeys(("torch", "np", "math"), of_numbers)}
    if any(isinstance(n, ast.Name) and n.id not in known for n in ast.walk(value)):
        return False
    true = where.worked.truth.get(name)
    number = float(eval(compile(ast.Expression(value), "<exam>", "eval"), known))
    return true is not None and not true.ndim and abs(number - float(true)) <= 1e-9 * abs(number)


def wrong_numbers(where: Course, spoilt: tuple[str, int], item: int, tally: Tally) -> None:
    text, bad = spoilt
    report, took = checked(where, text)
    tally.counts["wrong"] += 1
    tally.counts["single"] += 1
    tally.wrong_times.append(took)
    verdicts = {line.line: line for line in report.lines}
    if bad not in verdicts or verdicts[bad].verdict != "wrong":
        tally.fail(
            "false correct", where, f"wrong:{item}", text, f"line {bad} is wrong, and was called {verdicts.get(bad)}"
        )
        return
    for line in report.lines:
        if line.line != bad and line.verdict != "correct":
            tally.fail("false wrong", where, f"wrong:{item}", text, f"line {line.line}: {line.verdict}: {line.reason}")
            return
    tally.counts["placed"] += 1
    name_it(where, verdicts[bad], ["numbers"], [], item, text, tally)


def spans(sheet: Sheet) -> list[range]:
    ends = [*sheet.lines[1:], sheet.text.count("\n") + 2]
    return [range(start, end) for start, end in zip(sheet.lines, ends, strict=True)]


def chain(truth: Truth, n: int) -> list[int]:
    """Statement n and those that build up its quantity after it, up to where it is judged."""
    found = [n]
    while not truth.judged[found[-1]]:
        found.append(next(k for k in range(found[-1] + 1, len(truth.names)) if truth.names[k] == truth.names[n]))
    return found


def grade(
    where: Course, made: exam_wrong.Mutant, truth: Truth, bad: list[int], item: int, faults: int, tally: Tally
) -> None:
    sheet, text = made.sheet, made.sheet.text
    report, took = checked(where, text)
    tally.counts["wrong"] += 1
    single = faults == 1
    lines = spans(sheet)

    def verdicts(statements: Iterable[int]) -> list[Any]:
        return [line for line in report.lines if any(line.line in lines[n] for n in statements)]

    def fail(what: str, says: str) -> None:
        edits = "; ".join(f"line {sheet.lines[n]} was: {o}" for n, o in zip(made.edited, made.originals, strict=False))
        tally.fail(what, where, f"wrong:{item}", text, f"{says}   [{', '.join(made.kinds)}: {edits}]")

    # the edited lines that plain torch finds wrong, and where they may be reported
    edited = [n for n in made.edited if chain(truth, n)[-1] in bad]
    first = min(bad)
    if edited:
        expected = chain(truth, edited[0])
    else:  # an edit that makes two names one tensor leaves its own line right; an update of it is at fault
        expected = sorted({*(m for n in made.edited for m in chain(truth, n)), first})
    helpers = [n for n in made.edited if not is_gradient(where, truth.names[n])]
    if "update" in made.kinds:  # what was one value, built up, is now several, each of which must hold
        expected = [n for n in range(len(truth.names)) if truth.names[n] in {truth.names[k] for k in expected}]
    if helpers:  # what reads one may be refused by torch at any of the lines that build it up
        expected = sorted({*expected, *helpers, *chain_to(truth, first), *chain(truth, first)})
    found = verdicts(expected)
    if not any(line.verdict == "wrong" for line in found):
        # a helper that is, by the edit, a gradient with one known mistake takes the blame for the line that reads it;
        # so does one that torch refuses, by the edit of another that it reads
        read = {name.id for n in expected for name in ast.walk(sheet.statements[n]) if isinstance(name, ast.Name)}
        between = (n for n in range(max(expected)) if n not in expected and truth.names[n] in read)
        blamed = [n for n in between if not is_gradient(where, truth.names[n])]
        if any(line.verdict == "wrong" for line in verdicts(blamed)):
            expected, found = sorted({*blamed, *expected}), verdicts([*blamed, *expected])
    if not any(line.verdict == "wrong" for line in found):
        unclear = next((line.verdict for line in found if line.verdict in ("undecided", "unreadable")), None)
        says = "; ".join(f"line {line.line} {line.quantity}: {line.verdict}: {line.reason}" for line in found)
        if unclear:
            tally.counts[unclear] += 1
            if unclear == "undecided":
                fail("undecided wrong", says)
        elif any(is_worked(where, truth.names[n], sheet.statements[n]) for n in expected if n in bad):
            tally.counts["equivalent"] += 1  # a number, and the right one by chance
        elif unseen(where, made, bad):
            tally.fail("unseen", where, f"wrong:{item}", text, says)
        else:
            fail("false correct", f"wrong at line {sheet.lines[expected[-1]]}, but: {says or 'not reported'}")
        return
    # lines that were not edited
    for n in range(len(truth.names)):
        if (
            not is_gradient(where, truth.names[n])
            or not truth.judged[n]
            or n in expected
            or set(chain_to(truth, n)) & set(made.edited)
        ):
            continue
        for line in verdicts([n]):
            if line.quantity != truth.names[n]:
                continue
            # an edited helper that jumps beside the kink, or a part of a gradient that stands alone now, where a strict
            # exercise asks for the values on it
            jumps = ("perturb" in made.kinds and helpers) or "update" in made.kinds
            beside = where.exercise.strict_kinks and jumps
            if truth.true[n] and line.verdict == "wrong" and unseen(where, made, [n]) and not beside:
                fail("false wrong", f"line {line.line} is right, and was called wrong: {line.reason}")
                return
            again = truth.true[n] is False and line.verdict == "wrong" and single and not helpers
            if again and not weak(where, made, n):
                fail("false follow", f"line {line.line} follows, and was called wrong: {line.reason}")
                return
            if (
                truth.true[n] is False
                and line.verdict == "correct"
                and not is_worked(where, truth.names[n], sheet.statements[n])
            ):
                fail("false correct", f"line {line.line} has not the true value, and was called correct")
                return
    if not single:
        tally.counts["double"] += 1
        return
    tally.counts["single"] += 1
    tally.wrong_times.append(took)
    divergence = report.first_divergence
    if divergence is not None and any(divergence.line in lines[n] for n in expected):
        tally.counts["placed"] += 1
    else:
        fail("misplaced", f"first divergence at {divergence and divergence.line}, not at {sheet.lines[expected[-1]]}")
    name_it(where, divergence, made.kinds, made.originals, item, text, tally)


def at_the_judges(where: Course, made: exam_wrong.Mutant) -> list[tuple[exam_plain.Case, exam_plain.Ran]]:
    """The answer in plain torch at the judge's own draws."""
    drawn = [exam_plain.Case(where.exercise, instance) for instance in instances(where.exercise, 0)]
    return [(case, exam_plain.run(made.sheet.statements, case)) for case in drawn]


def unseen(where: Course, made: exam_wrong.Mutant, bad: list[int]) -> bool:
    """Whether plain torch too finds nothing at the judge's own draws: an edit beside a kink may flip nothing there."""
    names = [(n, made.sheet.quantity(n)) for n in bad]
    return all(
        name in case.truth and case.equal(name, ran.after[n])
        for case, ran in at_the_judges(where, made)
        for n, name in names
    )


def weak(where: Course, made: exam_wrong.Mutant, reader: int) -> bool:
    """Whether nothing follows for a line: at a draw of the judge's an edited one is zero, or one before not finite."""
    for _, ran in at_the_judges(where, made):
        for n in sorted({*made.edited, *range(reader)}):
            found = exam_plain.as_tensor(ran.after[n])
            if found is None:
                if n in made.edited:
                    return True
            elif not bool(found.isfinite().all()) or (n in made.edited and not bool(found.any())):
                return True
    return False


def chain_to(truth: Truth, n: int) -> list[int]:
    """Statements of the same quantity that lead up to n."""
    found = [n]
    for k in range(n - 1, -1, -1):
        if truth.names[k] == truth.names[n]:
            if truth.judged[k]:
                break
            found.append(k)
    return found


def name_it(
    where: Course, line: Any, kinds: list[str], originals: list[str], item: int, text: str, tally: Tally
) -> None:
    """Whether a cause or a repair is named, and whether the first one is what was done."""
    kind = kinds[0]
    tally.counts[f"kind {kind}"] += 1
    tally.counts["repaired"] += line.repair is not None
    tally.counts["caused"] += bool(line.mistakes)
    if not line.mistakes and line.repair is None:
        tally.unnamed[kind] += 1
        if len([f for f in tally.failures if f.what == "not named"]) < 3:
            tally.failures.append(
                Failure(
                    "not named", where.address, f"wrong:{item}", text, f"line {line.line} [{kind}] was: {originals}"
                )
            )
        return
    tally.counts["named"] += 1
    undone = line.repair is not None and originals and undoes(line, originals[0], text)
    fits = line.mistakes and line.mistakes[0].id in exam_wrong.NAMED.get(kind, {"factor", "sign"})
    tally.counts["named first"] += bool(undone or fits)


def undoes(line: Any, original: str, text: str) -> bool:
    """Whether the repair, put into the line, gives back the line before the edit."""
    repair, written = line.repair, line.text
    if repair.line is not None:
        written, start = text.split("\n")[repair.line - 1], 1
    else:
        start = line.start or line.column
    at = repair.column - start
    repaired = written[:at] + repair.new + written[at + len(repair.old) :]
    try:
        return ast.dump(ast.parse(repaired.strip())) == ast.dump(ast.parse(original))
    except SyntaxError:
        return False


# -- the whole -------------------------------------------------------------------------------------------------


def sit(task: tuple[str, str, int, int, int]) -> tuple[str, Tally]:
    """One chunk of answers, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torch's own, on what the random lines do
    address, kind, seed, start, stop = task
    tally = Tally()
    for item in range(start, stop):
        (sit_right if kind == "right" else sit_wrong)(address, seed, item, tally)
    return address, tally


def tasks(chosen: list[str], count: int, seed: int) -> list[tuple[str, str, int, int, int]]:
    made = []
    for n, address in enumerate(chosen):
        own = count // len(chosen) + (n < count % len(chosen))
        for start in range(0, own, CHUNK):
            made += [(address, kind, seed, start, min(start + CHUNK, own)) for kind in ("right", "wrong")]
    return made


def exam(chosen: list[str], count: int, seed: int, processes: int = 2) -> dict[str, Tally]:
    """The tallies by exercise."""
    results: dict[str, Tally] = {address: Tally() for address in chosen}
    todo = tasks(chosen, count, seed)
    if processes > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for address, tally in pool.imap_unordered(sit, todo):
                results[address].add(tally)
    else:
        for task in todo:
            address, tally = sit(task)
            results[address].add(tally)
    return results


COLUMNS = {
    "right": 6, "false wrong": 11, "wrong": 6, "false correct": 13, "false follow": 12, "undecided": 9,
    "unreadable": 10, "single": 6, "placed": 13, "named": 13, "named first": 13,
}  # fmt: skip


def row(name: str, tally: Tally) -> str:
    c = tally.counts
    cells = []
    for column in COLUMNS:
        whole = c["single"] if column in ("placed", "named", "named first") else 0
        cells.append(f"{c[column]}" + (f" {100 * c[column] / whole:.1f}%" if whole else ""))
    ms = [f"{statistics.median(t) * 1e3:.2f}" if t else "" for t in (tally.right_times, tally.wrong_times)]
    worst = f"{max(tally.wrong_times) * 1e3:.0f}" if tally.wrong_times else ""
    return (
        f"{name:<42}"
        + " ".join(f"{cell:>{w}}" for cell, w in zip(cells, COLUMNS.values(), strict=True))
        + f" {ms[0]:>9} {ms[1]:>9} {worst:>7}"
    )


def heading() -> str:
    shown = " ".join(f"{c:>{w}}" for c, w in COLUMNS.items())
    return f"{'exercise':<42}{shown} {'ms/right':>9} {'ms/wrong':>9} {'most':>7}"


def show(results: dict[str, Tally]) -> Tally:
    whole = Tally()
    print(heading())
    for address, tally in results.items():
        print(row(address, tally))
        whole.add(tally)
    print(row("all", whole))
    print(f"\n{whole.counts['right lines']} right lines; {whole.counts['equivalent']} edits that changed nothing were "
          f"dropped; {whole.counts['double']} answers with two faults; "
          f"{whole.counts['unseen']} edits that change nothing at the judge's own draws")  # fmt: skip
    single, right = max(whole.counts["single"], 1), max(whole.counts["right"], 1)
    print(f"{100 * whole.counts['latex'] / right:.1f}% of the right answers are in LaTeX; of the single faults "
          f"{100 * whole.counts['repaired'] / single:.1f}% got a repair, {100 * whole.counts['caused'] / single:.1f}% "
          f"a cause by name, {100 * whole.counts['named first'] / single:.1f}% named first what was done")  # fmt: skip
    kinds = {k.removeprefix("kind "): n for k, n in whole.counts.items() if k.startswith("kind ")}
    print("single faults by kind, and how many of them went unnamed:")
    print("  " + ", ".join(f"{k} {n} ({whole.unnamed[k]})" for k, n in sorted(kinds.items(), key=lambda kn: -kn[1])))
    return whole


def show_failures(whole: Tally, seed: int, most: int) -> None:
    by_what: dict[str, list[Failure]] = {}
    for failure in whole.failures:
        by_what.setdefault(failure.what, []).append(failure)
    for what, found in by_what.items():
        print(f"\n== {what}: {len(found)}" + (f", the first {most}" if len(found) > most else ""))
        for f in found[:most]:
            print(f"\n-- python tests/benchmarks/exam.py --exercise {f.address} --seed {seed} --only {f.item}")
            print(f"   {f.says}\n")
            print("\n".join(f"    {line}" for line in f.text.rstrip().split("\n")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="right answers, and as many wrong ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exercise", action="append", help="only this one; may be repeated")
    parser.add_argument("--only", help="one answer, as right:17 or wrong:17, with its whole report")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shown", type=int, default=SHOWN, help="failures of a kind that are shown")
    given = parser.parse_args()
    chosen = given.exercise or addresses()
    if given.only:
        return only(chosen[0], given.only, given.seed)
    start = time.perf_counter()
    whole = show(exam(chosen, given.count, given.seed, given.processes))
    show_failures(whole, given.seed, given.shown)
    false = sum(whole.counts[what] for what in BAD)
    print(f"\n{time.perf_counter() - start:.0f} s; false verdicts: {false}")
    return 1 if false else 0


def only(address: str, item: str, seed: int) -> int:
    kind, _, number = item.partition(":")
    tally = Tally()
    original, texts = tutor.check, []

    def seen(exercise: Any, text: str) -> Any:
        texts.append(text)
        return original(exercise, text)

    tutor.check = seen
    (sit_right if kind == "right" else sit_wrong)(address, seed, int(number), tally)
    print(texts[-1])
    print(original(ready(address).exercise, texts[-1]))
    for failure in tally.failures:
        print(f"\n{failure.what}: {failure.says}")
    return 1 if any(tally.counts[what] for what in BAD) else 0


if __name__ == "__main__":
    sys.exit(main())
