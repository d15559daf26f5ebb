"""The learner's desk: progress on disk, where one stands, hints, drills, what the doctor says."""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tutor import cli, course
from tutor.catalogue import entries, folder, load
from tutor.checking.report import MISTAKE_IDS
from tutor.checking.sheets import check_sheets
from tutor.desk import doctor, drill, hints, sheets, topics
from tutor.desk import progress as progress_of
from tutor.desk.standing import standing
from tutor.errors import NotFoundError, UsageError
from tutor.symbolic.notation import Writer, sheet_form
from tutor.views import desk as view

ROOT = Path(__file__).resolve().parent.parent
IDS = [entry.id for entry in entries()]
RIGHT = "# exercise: linear-regression\ndw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)\n"
WRONG = RIGHT.replace("y_pred - y)*x", "y - y_pred)*x")
FILE = f"{progress_of.FOLDER}/{progress_of.FILE}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """`code, out, err = run("list")` in this process, in an empty folder."""

    def call(*args: str) -> tuple[int, str, str]:
        code = cli.main(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def kept(place: Path) -> dict:
    return json.loads((place / FILE).read_text(encoding="utf-8"))


# -- progress on disk -----------------------------------------------------------------------------------------


def test_start_begins_to_keep_progress_and_check_writes_into_it(run, here):
    (here / "sheet.py").write_text(RIGHT)
    assert run("check", "sheet.py")[0] == 0 and not (here / progress_of.FOLDER).exists(), "nothing was begun here"
    run("start", "squared-error")
    assert kept(here)["schema"] == progress_of.SCHEMA and kept(here)["solved"] == {}
    code, out, err = run("check", "sheet.py")
    assert code == 0 and kept(here)["solved"] == {"linear-regression": "sheet.py"}
    assert "tutor check squared-error.py" in err and "tutor check" not in out
    (here / "sheet.py").write_text(WRONG)
    assert run("check", "sheet.py")[0] == 1
    found = kept(here)
    assert found["solved"] == {"linear-regression": "sheet.py"}, "what was solved once stays solved"
    (part,) = found["sheets"]["sheet.py"]["parts"]
    assert (part["verdict"], part["place"], part["quantity"]) == ("wrong", "line 2", "dw")


def test_a_sheet_in_a_folder_below_is_kept_above(run, here):
    run("start", "squared-error")
    (here / "week1").mkdir()
    (here / "week1" / "a.py").write_text(RIGHT)
    run("check", "week1/a.py")
    assert kept(here)["solved"] == {"linear-regression": "week1/a.py"}
    assert not (here / "week1" / progress_of.FOLDER).exists()
    assert standing(here / "week1").solved == ("linear-regression",)


DAMAGED = [
    "",
    "{",
    "[]",
    "null",
    '{"schema": "another/1"}',
    '{"schema": "tutor.progress/1"}',
    '{"schema": "tutor.progress/1", "solved": [], "sheets": {}}',
    '{"schema": "tutor.progress/1", "solved": {"mlp": 1}, "sheets": {}}',
    '{"schema": "tutor.progress/1", "solved": {}, "sheets": {"a": {"text": "", "parts": [], "hints": {"b": 1.5}}}}',
    '{"schema": "tutor.progress/1", "solved": {}, "sheets": {"a": {"text": "", "parts": [{}], "hints": {}}}}',
    '{"schema": "tutor.progress/1", "solved": {}, "sheets": {"a": {"text": "", "hints": {}, "parts":'
    ' [{"exercise": "mlp", "verdict": "wrong", "score": 1e999, "max_score": 1}]}}}',
    "[" * 100_000,
    "\xff",
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_stops_nothing_and_is_left_until_reset(run, here, text):
    (here / progress_of.FOLDER).mkdir()
    (here / FILE).write_bytes(text.encode("latin-1"))
    (here / "sheet.py").write_text(WRONG)
    code, out, err = run("check", "sheet.py")
    assert code == 1 and "linear-regression   wrong" in out and "is damaged: 'tutor reset'" in err
    code, out, _ = run()
    assert code == 0 and "is damaged" in out and "sheet.py" in out
    code, out, _ = run("hint", "sheet.py")
    assert code == 0 and "hint 1 of" in out and "is damaged" in out
    assert (here / FILE).read_bytes() == text.encode("latin-1")
    assert run("reset", "--yes")[0] == 0
    assert (here / progress_of.FOLDER / "progress.damaged-1.json").read_bytes() == text.encode("latin-1")
    assert kept(here)["sheets"] == {}
    assert (here / "sheet.py").read_text() == WRONG


def test_a_file_of_a_newer_tutor_is_left_as_it_is(run, here):
    (here / progress_of.FOLDER).mkdir()
    newer = '{"schema": "tutor.progress/9", "all": "different"}'
    (here / FILE).write_text(newer)
    (here / "sheet.py").write_text(RIGHT)
    code, _, err = run("check", "sheet.py")
    assert code == 0 and "of a newer tutor (tutor.progress/9)" in err
    assert "of a newer tutor" in run("reset", "--yes")[2]
    assert (here / FILE).read_text() == newer


def test_a_write_that_fails_leaves_the_old_file(here, monkeypatch):
    with progress_of.changing(here) as progress:
        progress.solved["mlp"] = "a.py"
    before = (here / FILE).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"), progress_of.changing(here) as progress:
        progress.solved["rnn"] = "b.py"
    assert (here / FILE).read_bytes() == before
    assert sorted(p.name for p in (here / progress_of.FOLDER).iterdir()) == ["lock", "progress.json"]


def test_what_goes_wrong_inside_is_not_taken_for_the_disk(here):
    with pytest.raises(ZeroDivisionError), progress_of.changing(here):
        1 / 0  # noqa: B018
    with progress_of.changing(here) as progress:  # and the lock is free again
        assert progress.sheets == {}


WRITER = """
import sys
from pathlib import Path
from tutor.desk import progress as p
n = 0
print("go", flush=True)
while True:
    n += 1
    with p.changing(Path(sys.argv[1])) as progress:
        for k in range(400):
            progress.solved[f"exercise-{k}"] = f"{n}.py"
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_process_loses_nothing(here):
    for wait in (0.0, 0.013, 0.029, 0.051, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(here)], stdout=subprocess.PIPE, cwd=ROOT)
        assert writer.stdout.readline() == b"go\n"
        while not (here / FILE).exists():
            time.sleep(0.01)
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        found = progress_of.read(here).solved
        assert len(found) == 400 and len(set(found.values())) == 1, "half of one write, half of another"
    with progress_of.changing(here) as progress:  # the lock died with its holder
        progress.solved["last"] = "x.py"
    assert sorted(p.name for p in (here / progress_of.FOLDER).iterdir()) == ["lock", "progress.json"]


def test_two_processes_take_turns(here):
    code = (
        "import sys\nfrom pathlib import Path\nfrom tutor.desk import progress as p\n"
        "for n in range(25):\n"
        "    with p.changing(Path(sys.argv[1])) as progress:\n"
        "        progress.solved[f'{sys.argv[2]}-{n}'] = 'a.py'\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(here), name], cwd=ROOT) for name in "ab"]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(progress_of.read(here).solved) == 50


def test_where_progress_cannot_be_kept_everything_else_works(run, here):
    (here / progress_of.FOLDER).write_text("a file")
    code, out, err = run("start", "linear-regression")
    assert code == 0 and "progress cannot be kept" in err and (here / "linear-regression.py").exists()
    assert run("check", "linear-regression.py")[0] == 1
    code, out, _ = run("hint", "linear-regression.py")
    assert code == 0 and "hint 1 of" in out and "progress cannot be kept" in out
    assert "hint 2 of" in run("hint", "linear-regression.py", "--level", "2")[1]


def test_reset_forgets_one_or_all(run, here):
    run("start", "squared-error")
    (here / "a.py").write_text(RIGHT)
    (here / "b.py").write_text(RIGHT.replace("linear-regression", "linear-regression:loss=mae"))
    run("check", "a.py")
    run("check", "b.py")
    run("hint", "b.py")
    assert "there was nothing" in run("reset", "rnn", "--yes")[1]
    code, out, _ = run("reset", "linear-regression", "--yes")
    assert code == 0 and "forgotten: linear-regression" in out
    assert kept(here)["solved"] == {} and not kept(here)["sheets"].get("b.py", {}).get("hints")
    assert "forgotten: all exercises" in run("reset", "--yes")[1]
    assert kept(here)["sheets"] == {} and (here / "a.py").exists()
    code, _, err = run("reset")
    assert code == 2 and "give --yes" in err, "nothing is asked without a terminal"


# -- where one stands -----------------------------------------------------------------------------------------


def test_alone_says_where_one_stands_and_what_to_type(run, here):
    assert "next: tutor start linear-regression" in run()[1]
    run("start", "linear-regression")
    out = run()[1]
    assert "linear-regression.py   not checked" in out and "next: tutor check linear-regression.py" in out
    sheet = here / "linear-regression.py"
    sheet.write_text(WRONG)
    run("check", str(sheet))
    out = run()[1]
    assert "wrong   1 of 2 points, look at line 2" in out and "stuck:  tutor hint linear-regression.py" in out
    sheet.write_text(WRONG + "# edited\n")
    assert "not checked" in run()[1]
    sheet.write_text(RIGHT)
    run("check", str(sheet))
    out = run()[1]
    assert "You have solved 1 of" in out and "next: tutor start squared-error" in out and "open" not in out
    sheet.unlink()
    assert "You have solved 1 of" in run()[1]


def test_the_sheet_worked_on_last_comes_first(here):
    for n, id in enumerate(("rnn", "mlp", "mse")):
        (here / f"{id}.py").write_text(f"# exercise: {id}\n")
        os.utime(here / f"{id}.py", (n, n))
    assert [each.path for each in standing(here).open] == ["mse.py", "mlp.py", "rnn.py"]


def test_who_began_at_the_end_is_led_to_the_beginning(here):
    (here / "last.py").write_text(f"# exercise: {IDS[-1]}\n")
    assert standing(here).following == IDS[0]
    for id in IDS:
        (here / f"{id}.py").write_text(f"# exercise: {id}\n")
    assert standing(here).following is None
    shown = view.standing(standing(here))
    assert f"and {len(IDS) + 1 - view.MOST} more" in shown and len(shown.splitlines()) < 20


def test_a_sheet_with_two_exercises_is_open_until_both_are_solved(run, here):
    run("start", "squared-error")
    (here / "two.py").write_text(RIGHT + WRONG.replace("regression", "regression:loss=mae"))
    run("check", "two.py")
    stand = standing(here)
    assert [(o.path, o.exercise) for o in stand.open if o.verdict] == [("two.py", "linear-regression:loss=mae")]
    assert stand.solved == ("linear-regression",)


def test_solved_and_open_exercises_are_marked_in_the_list(run, here):
    assert "done" not in run("list")[1]
    run("start", "squared-error")
    (here / "a.py").write_text(RIGHT)
    run("check", "a.py")
    out = run("list")[1]
    assert re.search(r"^ +1  done  linear-regression  ", out, re.MULTILINE)
    assert re.search(r"^ +1  open  squared-error  ", out, re.MULTILINE)
    assert re.search(r"^ +1        add-mul-gate  ", out, re.MULTILINE)
    found = {e["id"]: (e["done"], e["open"]) for e in json.loads(run("list", "--json")[1])["exercises"]}
    assert found["linear-regression"] == (True, False) and found["squared-error"] == (False, True)
    assert found["mlp"] == (False, False)


def test_progress_shows_a_bar_for_each_track(run, here):
    run("start", "squared-error")
    (here / "a.py").write_text(RIGHT)
    run("check", "a.py")
    out = run("progress")[1]
    rows = [line for line in out.splitlines() if "[" in line]
    assert len(rows) == len(course.read(folder()).tracks)
    assert re.search(r"\[#\.+\] +1/\d+$", rows[0]) and all(re.search(r"\[\.+\] +0/\d+$", row) for row in rows[1:])


def test_two_thousand_sheets_and_files_that_are_none(run, here):
    for n in range(2000):
        (here / f"s{n}.py").write_text("# exercise: mlp\n")
    (here / "binary.py").write_bytes(bytes(range(256)) * 100)
    (here / "folder.py").mkdir()
    code, out, _ = run()
    assert code == 0 and "more" in out and len(out.splitlines()) < 20


# -- hints ----------------------------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def answers(exercise, gradient) -> set[str]:
    """The right side as the tutor would print it; a lone name is none, since the chain rule has to name it."""
    forms = (gradient.torch or "", Writer(exercise).write(gradient.expr), sheet_form(gradient.expr, exercise))
    return {squeezed(form) for form in forms if not re.fullmatch(r"\w*(\[[\w,]*\])?", form)}


@pytest.mark.parametrize("id", IDS)
def test_every_gradient_has_hints_and_none_is_the_answer(id):
    exercise = load(id)
    for gradient in exercise.derive().needed:
        rungs = hints.ladder(exercise, gradient.symbol_name)
        assert len(rungs) >= 2 and len(set(rungs)) == len(rungs)
        for text in rungs[1:]:  # the first shows a line of the forward program
            for answer in answers(exercise, gradient):
                # followed by a derivative that is still to be taken, it is not the answer
                told = re.search(rf"(?<![\w·*/.]){re.escape(answer)}(?![\w·*/.\[(])", squeezed(text))
                assert told is None, f"{gradient.symbol_name}: {text}"
    for name in exercise.asked:
        assert hints.ladder(exercise, exercise.answer_name(name))


def test_the_test_of_hints_finds_an_answer():
    exercise = load("softmax-regression")
    gradient = exercise.derive().gradients["dW" if "dW" in exercise.derive().gradients else "W"]
    for text in ("write x.T @ dz", "dW = Σi dz[i,k]·x[i,j]"):
        assert any(re.search(rf"(?<![\w·*/.]){re.escape(a)}(?![\w·*/.\[(])", squeezed(text).removeprefix("write"))
                   for a in answers(exercise, gradient)), text  # fmt: skip


def test_hints_say_more_each_time_and_begin_anew_elsewhere(run, here):
    (here / "s.py").write_text(WRONG)
    shown = [run("hint", "s.py")[1] for _ in range(6)]
    levels = [re.search(r"hint (\d) of (\d)", text).groups() for text in shown]
    assert [int(n) for n, _ in levels] == [1, 2, 3, 4, 5, 5] and {of for _, of in levels} == {"5"}
    assert "line 2: dw" in shown[0] and "says more" in shown[0] and "last hint" in shown[-1]
    (here / "s.py").write_text(RIGHT.replace("db = 2*", "db = "))
    assert "line 3: db   (hint 1" in run("hint", "s.py")[1]
    (here / "s.py").write_text(WRONG)
    assert "hint 5 of 5" in run("hint", "s.py")[1], "what was said once stays said"


@pytest.mark.parametrize(
    ("id", "text", "line", "forward", "looks", "chinese"),
    [
        (
            "linear-regression",
            "dy_pred = 2*(y_pred - y)\ndw = -dy_pred*x",
            3,
            "y_pred = w·x + b",
            "its signs",
            "正负号",
        ),
        ("softmax-regression", "dz = p - y", 2, "e[i,k] = exp(z[i,k])", "its constant factors", "它的常数因子"),
        (
            "softmax-regression",
            "dz = (p - y)/N\ndW = dz.T @ x",
            3,
            "z[i,k] = Σj x[i,j]·W[j,k] + b[k]",
            "its axes",
            "它的轴",
        ),
        ("layer-norm", "dgamma = dy*xhat", 2, "y[i,j] = gamma[j]·xhat[i,j]", "what it sums over", "对哪些轴求和"),
        ("sgd-step", "dw = 2*(y_pred - y)*x\nw_new = w + eta*dw", 3, "", "its signs", "请看它的正负号"),
        ("sgd-step", "dw = 2*(y_pred - y)*x\nw_new = w - eta*dw/2", 3, "", "each of its factors", "请看它的每个因子"),
    ],
)
def test_the_first_hint_is_about_the_line_that_diverges(run, here, id, text, line, forward, looks, chinese):
    (here / "s.py").write_text(f"# exercise: {id}\n{text}\n")
    said = run("hint", "s.py")[1]
    place = "it goes back through" if forward else "look at"
    assert f"line {line} is the first that diverges; {place}" in said and looks in said and forward in said
    first = judged((here / "s.py").read_text()).first_divergence
    told = [str(mistake.message) for mistake in first.mistakes] + [first.repair.new] * (first.repair is not None)
    assert not any(len(each) > 1 and each in said for each in told), "where to look, and not what is there"
    assert f"第 {line} 行是第一处偏离的地方" in (said := run("--lang", "zh", "hint", "s.py", "--level", "1")[1])
    assert chinese in said and forward in said
    assert looks not in run("hint", "s.py")[1], "the hints of the exercise come after it"


def test_every_mistake_has_something_to_look_at():
    assert set(hints.LOOKS) == set(MISTAKE_IDS)


def test_where_there_is_no_hint_it_says_why(run, here):
    (here / "s.py").write_text(RIGHT)
    code, out, _ = run("hint", "s.py")
    assert code == 0 and "is solved: it needs no hint" in out
    (here / "s.py").write_text(RIGHT.replace("2*(y_pred - y)*x", "2x"))
    code, out, _ = run("hint", "s.py")
    assert code == 0 and "cannot be judged yet: line 2" in out
    assert run("hint", "-")[0] == 2
    assert run("hint", "nothing.py")[0] == 3


def test_an_empty_sheet_is_helped_from_the_loss_on(run, here):
    run("start", "softmax-regression")
    assert "dp   (hint 1" in run("hint", "softmax-regression.py")[1]
    (here / "softmax-regression.py").write_text("# exercise: softmax-regression\ndp = -y/(N*p)\n")
    assert "ds   (hint 1" in run("hint", "softmax-regression.py")[1]


# -- drills -----------------------------------------------------------------------------------------------------


def judged(text: str, address: str | None = None):
    (report,) = drill.graded(text, check_sheets(text, address), address)
    return report


def truth(id: str, notation: str) -> dict[str, str]:
    return drill._lines(load(id), notation)


def with_line(made: drill.Drill, line: str) -> str:
    lines = made.text.split("\n")
    lines[made.line - 1] = line
    return "\n".join(lines)


def naming(text: str, said: str) -> str:
    return text.replace("# wrong line: ...", f"# wrong line: {said}")


@pytest.mark.parametrize("id", IDS)
def test_every_exercise_has_a_drill_that_is_graded_in_all_its_states(id):
    made = drill.drill(id, seed=1)
    lines = made.text.splitlines()[made.lines[0] - 1 :]
    spoilt = [n for n, (line, true) in enumerate(zip(lines, truth(id, "torch").values(), strict=True)) if line != true]
    assert spoilt == [made.line - made.lines[0]], "one line is another than in the true derivation"
    right = with_line(made, truth(id, "torch")[made.quantity])
    fresh = judged(made.text)
    assert (fresh.verdict, fresh.score, fresh.lines) == ("incomplete", 0, ()), "the verdicts would name the line"
    assert judged(right).verdict == "incomplete", "mended, and not named"
    named = judged(naming(made.text, made.quantity))
    assert (named.verdict, named.first_divergence.line) == ("wrong", made.line)
    done = judged(naming(right, str(made.line)))
    assert done.verdict == "correct" and done.score == done.max_score > 0
    assert any("as you said" in note for note in done.notes)
    assert drill.made_again(made.text, id) == made


def test_a_drill_is_the_same_in_another_process_and_later():
    code = (
        "import sys\nfrom tutor.desk.drill import drill\nfrom tutor.symbolic import indices\n"
        "for _ in range(int(sys.argv[1])): next(indices._serial)\n"
        "for id in ('conv1d', 'attention'):\n    for form in ('torch', 'index'):\n"
        "        print(drill(id, 4, form).text)"
    )
    command = [sys.executable, "-c", code]
    found = [
        subprocess.run([*command, n], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": n})
        for n in ("0", "7907")
    ]
    assert found[0].stdout == found[1].stdout != ""


def test_other_seeds_give_other_mistakes():
    assert len({drill.drill("softmax-regression", seed).text.split("\n", 8)[-1] for seed in range(6)}) >= 4


@pytest.mark.parametrize("said, right", [
    ("{line}", True), ("line {line}", True), ("Line {line}.", True), ("{q}", True), ("d{q}", True), ("dL_d{q}", True),
    ("d{q}[i,k] = ...", True), ("第 {line} 行", True), ("line {line}, the sum", True),
    ("{line}, {other}", False), ("{other}", False), ("{line}{line}", False), ("d{q}2", False), ("no idea", False),
])  # fmt: skip
def test_how_the_wrong_line_may_be_named(said, right):
    made = drill.drill("softmax-regression", 2)
    q, other = made.quantity[1:], made.lines[0] if made.line != made.lines[0] else made.lines[1]
    text = naming(made.text, said.format(line=made.line, other=other, q=q))
    report = judged(text)
    assert (report.verdict == "wrong") == right
    if not right:
        assert report.lines == () and "look again" in report.notes[0]


def test_the_number_may_be_that_of_the_line_as_it_stands_now():
    made = drill.drill("softmax-regression", 2)
    text = made.text.replace("\n\n", "\n\n# a comment\n\n", 1)
    assert judged(naming(text, str(made.line + 2))).verdict == "wrong"
    assert judged(naming(text, str(made.line))).verdict == "wrong"


def test_what_cannot_be_read_is_said_before_the_line_is_named():
    made = drill.drill("softmax-regression", 2)
    report = judged(made.text + "dq = 2x\n")
    assert report.verdict == "unreadable" and len(report.lines) == 1


def test_a_header_that_no_drill_has_is_judged_like_any_sheet():
    made = drill.drill("linear-regression", 2)
    other = re.sub(r"-[0-9a-f]{6}$", "-000000", made.text, count=1, flags=re.MULTILINE)
    report = judged(other)
    assert report.verdict == "wrong" and any("no drill of this tutor" in note for note in report.notes)


def test_a_drill_is_written_as_the_learner_writes(run, here):
    (here / "mine.py").write_text("# exercise: softmax-regression\ndW[j,k] = Sum(x[i,j]*dz[i,k], i)\n")
    assert "index, " in run("drill", "softmax-regression", "-", "--seed", "3")[1]
    assert "torch, " in run("drill", "softmax-regression", "-", "--seed", "3", "--notation", "torch")[1]
    (here / "mine.py").write_text("# exercise: softmax-regression\ndW = x.T @ dz\n")
    assert "torch, " in run("drill", "softmax-regression", "-", "--seed", "3")[1]


def test_a_drill_is_a_file_that_is_never_written_over(run, here):
    code, out, _ = run("drill", "mse", "--seed", "3")
    (path,) = here.glob("*.py")
    assert code == 0 and f"tutor check {path.name}" in out
    before = path.read_text()
    path.write_text("mine")
    code, _, err = run("drill", "mse", "--seed", "3")
    assert code == 2 and "left as it is" in err and path.read_text() == "mine"
    assert run("drill", "mse", "--seed", "3", "--force")[0] == 0 and path.read_text() == before
    assert run("check", path.name)[0] == 1
    assert standing(here).open == (), "a drill is no exercise that is open"
    assert "seed" in run("drill", "mse", "--seed", "99999999")[2]


def test_without_an_exercise_the_drill_is_about_a_solved_one(run, here):
    code, _, err = run("drill")
    assert code == 2 and "no exercise is solved here" in err
    run("start", "squared-error")
    (here / "a.py").write_text(RIGHT)
    run("check", "a.py")
    assert "linear-regression.drill-" in run("drill")[1]
    made = next(here.glob("*.drill-*"))
    made.write_text(naming(made.read_text(), "1"))
    run("check", made.name)
    assert set(kept(here)["solved"]) == {"linear-regression"}


def test_a_drill_of_an_exercise_of_ones_own(run, here):
    (here / "half.py").write_text(
        '"""Half a square."""\nfrom tutor import Exercise\nexercise = Exercise("half", title="Half a square")\n'
        'v = exercise.parameter("v")\nr = exercise.step("r", [], 3*v)\nexercise.loss("L", r**2 / 2)\n'
    )
    code, out, _ = run("drill", "half.py", "--seed", "1")
    path = next(here.glob("*.drill-*"))
    assert code == 0 and f"tutor check {path.name} --exercise half.py" in out
    assert "# exercise:" not in path.read_text()
    code, out, _ = run("check", path.name, "--exercise", "half.py")
    assert code == 1 and "missing: the wrong line" in out


def test_hints_of_a_drill_narrow_it_down(run, here):
    made = drill.drill("layer-norm", 5)
    (here / "d.py").write_text(made.text)
    rungs = drill.ladder(made)
    assert made.mistake not in drill.KINDS or drill.KINDS[made.mistake] in rungs[0]
    spans = [tuple(map(int, re.findall(r"\d+", rung))) for rung in rungs[1:]]
    assert spans and all(first <= made.line <= last and first < last for first, last in spans)
    assert "this kind" in run("hint", "d.py")[1]
    (here / "d.py").write_text(naming(made.text, made.quantity))
    assert f"{made.quantity}   (hint 1" in run("hint", "d.py")[1]


def test_every_kind_of_planted_mistake_has_words():
    seen = {drill.drill(id, 1).mistake for id in IDS}
    assert seen <= drill.KINDS.keys()


# -- help, the doctor -------------------------------------------------------------------------------------------


def test_the_examples_of_syntax_are_read_as_they_stand():
    from tutor.answers import language, python

    for _, example in topics.SYNTAX:
        for part in re.split(r";? {3}", example):
            text = part if "=" in part or part.startswith("#") else f"q = {part}"
            (sheet,) = python.read(f"# exercise: mlp\n{text}\n")
            bad = [s.reason for s in sheet.statements if isinstance(s, language.Unreadable)]
            assert not bad, f"{part}: {bad}"


def test_help_is_one_screen(run):
    code, out, _ = run("help", "syntax")
    assert code == 0 and len(out.splitlines()) <= 24 and max(map(len, out.splitlines())) <= 100
    assert run("help")[1] == run("--help")[1]
    for name in cli.app.commands:
        assert run("help", name)[1] == run(name, "--help")[1]
    code, _, err = run("help", "sintax")
    assert code == 3 and 'did you mean "syntax"' in err


def test_the_doctor_knows_what_is_needed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    stated = dict(line.split(">=") for line in config["options"]["install_requires"].split("\n") if line)
    assert stated == doctor.NEEDED


def test_the_doctor_finds_what_is_missing_old_or_broken(run, monkeypatch):
    assert run("doctor")[0] == 0
    monkeypatch.setattr(doctor, "_requirements", lambda: ([("sympy", "1.13"), ("lark", "99"), ("nope", "1")], {}))
    code, out, _ = run("doctor")
    assert code == 1 and "missing: pip install nope" in out and "too old: pip install 'lark>=99'" in out

    def broken(name: str) -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(doctor, "import_module", broken)
    assert "cannot be imported: ImportError: libgomp" in run("doctor")[1]


def test_the_doctor_imports_what_a_distribution_is_called_in_python():
    assert [doctor._module(name) for name in ("markdown-it-py", "torch", "nope")] == ["markdown_it", "torch", "nope"]
    assert all(doctor._imported(name, least).well for name, least in doctor.NEEDED.items())


def test_the_doctor_reads_requirements(monkeypatch):
    stated = ["torch>=2.5", 'pexpect>=4.9; sys_platform != "win32" and extra == "test"', 'ruff>=0.9; extra == "dev"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: stated)
    assert doctor._requirements() == ([("torch", "2.5")], {"test": ["pexpect"], "dev": ["ruff"]})
    assert doctor._numbers("2.13.0+cpu") > doctor._numbers("2.5")


def test_a_topic_that_does_not_exist():
    with pytest.raises(NotFoundError, match="there is syntax"):
        topics.topic("x")


def test_there_is_nothing_to_forget_where_nothing_was_kept(here):
    assert sheets.forget(None) is False


def test_the_only_sheet_of_a_folder_needs_no_name(run, here):
    code, _, said = run("check")
    assert code == 2 and "tutor start" in said
    (here / "mine.py").write_text(WRONG)
    for command in ("check", "hint"):
        _, out, said = run(command)
        assert "the sheet here: mine.py" in said and "line 2" in out
    code, out, said = run("report")
    assert code == 1 and "the sheet here: mine.py" in said and out.startswith("<!DOCTYPE html>") and "dw" in out
    (here / "drill.py").write_text(drill.drill("layer-norm", 5).text)
    assert "the sheet here: mine.py" in run("check")[2], "a drill beside the only sheet is no second one"
    (here / "other.py").write_text(RIGHT)
    for command in ("check", "report"):
        code, out, said = run(command)
        assert code == 2 and not out and "mine.py" in said and "other.py" in said and "drill.py" not in said


def test_a_drill_that_is_alone_needs_no_name(run, here):
    for command in ("check", "hint", "report"):
        assert run(command)[0] == 2, "there is nothing"
    made = drill.drill("layer-norm", 5)
    (here / "d.py").write_text(made.text)
    for command in ("check", "hint", "report"):
        code, out, said = run(command)
        assert "the sheet here: d.py" in said and out and code == (0 if command == "hint" else 1)
    (here / "e.py").write_text(made.text)
    code, _, said = run("check")
    assert code == 2 and "d.py" in said and "e.py" in said


def test_what_is_not_there_is_not_found(run, here):
    assert run("progress", str(here / "nope"))[0] == 3
    code, _, said = run("reset", "linear-regresion", "--yes")
    assert code == 3 and "linear-regression" in said
    assert run("reset", "linear-regression", "--yes")[0] == 0


@pytest.mark.parametrize(("command", "meant"), [("chek", "check"), ("verfy", "verify"), ("lst", "list")])
def test_a_misspelt_command_names_the_one_that_is_meant(run, command, meant):
    code, _, said = run(command)
    assert code == 2 and f'did you mean "{meant}"?' in said


def test_a_report_says_where_its_numbers_are_from(run, here):
    (here / "mine.py").write_text("# exercise: linear-regression\ndw = 4\n")
    assert "(at the worked instance: w=1, b=0, x=2, y=4)" in run("check", "mine.py")[1]
    (here / "mine.py").write_text("# exercise: softmax-regression\ndz = p - y\n")
    assert "(values drawn at random, seed 3, for N=" in run("check", "mine.py", "--seed", "3")[1]


@pytest.mark.parametrize("id", ["softmax-regression", "attention", "linear-regression"])
def test_a_drill_has_the_forward_program_as_a_started_sheet_has(id):
    from tutor import language
    from tutor.answers.blank import blank

    made = drill.drill(id, 3)
    rows = [line for line in blank(load(id)).splitlines() if re.match(r"# \w+(\[[\w,]+\])? = ", line)]
    assert rows and set(rows) <= set(made.text.splitlines())
    assert drill.notation_of(made.text) == "torch", "sums in comments are no lines of the learner's"
    with language.speaking("zh"):
        text = drill._written(load(id), id, 3, "torch", drill._planted(id, 3, "torch")).text
    prose = [line for line in text.splitlines() if re.search("[\u4e00-\u9fff]{8}", line)]
    wide = [sum(2 if ord(letter) > 0x2E7F else 1 for letter in line) for line in prose]
    assert max(wide) > 70 and max(wide) <= 78, "filled up to the width, a Chinese letter counted as two"
