"""`dy` for dy_pred: read as what the lines after take it for, and as nothing else."""

import re

import pytest

import tutor
from tutor.catalogue import entries, load

SHEET = "dy = {dy}\ndW2 = h1.T @ dy\ndb2 = dy.sum(0)"
RIGHT = "2*(y_pred - y)/(N*D2)"


def pairs():
    """(exercise, input, step): an input that is not asked for, the only step of its shape read together with it."""
    for entry in entries():
        exercise = load(entry.id)
        for y in (q for q in exercise.leaves if q.kind == "input"):
            if y.name in exercise.asked or not y.differentiable:
                continue
            together = {
                q.name for v in exercise.forward if y.name in v.reads for q in exercise.forward if q.name in v.reads
            }
            beside = [
                q.name for q in exercise.forward if q.name in together and q.kind == "step" and q.shape == y.shape
            ]
            if len(beside) == 1 and beside[0] not in exercise.asked:
                yield entry.id, y.name, beside[0]


@pytest.mark.parametrize(("id", "y", "s"), list(pairs()), ids=lambda value: value)
def test_the_true_derivation_under_the_wrong_name_has_all_its_points(id, y, s):
    exercise = load(id)
    derived = exercise.derive()
    lines = [f"d{q} = {g.torch}" for q, g in derived.gradients.items() if q != y and g.torch]
    sheet = "\n".join(lines)
    own = tutor.check(exercise, sheet)
    renamed = tutor.check(exercise, re.sub(rf"\bd{s}\b", f"d{y}", sheet))
    assert renamed.score == own.score and renamed.verdict in (own.verdict, "wrong")
    if renamed.verdict != own.verdict:  # nothing reads it
        assert renamed.line(f"d{y}").verdict == "wrong" and not any(f"read as d{s}" in n for n in renamed.notes)


def check(dy, lines=SHEET):
    return tutor.check("mlp", lines.format(dy=dy))


def test_one_mistake_in_it_costs_once():
    report = check("2*(y_pred - y)/N")
    assert [line.verdict for line in report] == ["wrong", "follows", "follows"]
    assert report.line("dy").ratio == pytest.approx(load("mlp").sample().D2)
    assert [m.id for m in report.line("dy").mistakes][0] == "factor"


@pytest.mark.parametrize("lines", ["dy = {dy}\ndW2 = -h1.T @ dy", "dy = {dy}\ndy_pred = -dy\ndW2 = h1.T @ dy_pred"])
def test_who_means_the_target_is_taken_at_their_word(lines):
    right, wrong = check(f"-{RIGHT}", lines), check(RIGHT, lines)
    assert {line.verdict for line in right} == {"correct"} and not right.notes
    assert wrong.line("dy").verdict == "wrong" and "sign" in [m.id for m in wrong.line("dy").mistakes]
    assert not any("read as" in note for note in wrong.notes)


def test_before_anything_reads_it_the_other_name_is_offered():
    report = tutor.check("mlp", f"dy = {RIGHT}")
    assert report.verdict == "wrong" and "dy_pred" in report.notes[0]
    assert not tutor.check("mlp", f"dy = -{RIGHT}").notes
