"""What is printed fits: 60 columns, ASCII alone, Chinese letters; a shell completes; a sign after a second."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import click
import pytest

from tutor import cli, terminal
from tutor.answers.blank import blank
from tutor.catalogue import entries, load
from tutor.commands.params import EXERCISE
from tutor.paragraphs import refilled
from tutor.views.plain import columns, cut, fitted, padded

ROOT = Path(__file__).resolve().parent.parent
IDS = [entry.id for entry in entries()]
RIGHT = "# exercise: linear-regression\ndw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)\n"
WRONG = RIGHT.replace("y_pred - y)*x", "y - y_pred)*x")
SCREENS = [
    (), ("--help",), ("--version",), ("list",), ("demo",), ("progress",), ("help", "syntax"), ("doctor",),
    ("check", "right.py"), ("check", "wrong.py"), ("check", "unreadable.py"), ("check", "nothing.py"),
    ("check", "softmax.py"), ("hint", "wrong.py"), ("hint", "wrong.py"), ("hint", "wrong.py"), ("hint", "wrong.py"),
    ("hint", "right.py"), ("start", "rnn"), ("start", "rnn"), ("drill", "mse", "--seed", "2"), (),
    ("check", "mse.drill-2.py"), ("hint", "mse.drill-2.py"),
    ("derive", "softmax-regression", "--no-verify", "--closed"),
    ("derive", "layer-norm"), ("compare", "linear-regression", "linear-regression:loss=mae"),
    ("compare", "mlp", "image-classifier"), ("show", "regression"), ("derive", "(w*x"), ("nope",), ("derive",),
    ("verify", "linear-regression", "--no-full"), ("reset",), ("reset", "--yes"), ("watch", "nowhere"),
    *((name, "--help") for name in cli.app.commands),
]  # fmt: skip


@pytest.fixture
def screens(tmp_path, monkeypatch, capsys):
    """`screens(*options)`: every screen with what was printed, in a terminal of 60 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    rooms = (sys.modules[f"tutor.commands.{room}"] for room in cli.ROOMS)
    for module in (terminal, *(room for room in rooms if hasattr(room, "width"))):
        monkeypatch.setattr(module, "width", lambda stream=None: 60)

    def walk(*options: str):
        Path("right.py").write_text(RIGHT)
        Path("wrong.py").write_text(WRONG)
        Path("unreadable.py").write_text("# exercise: mse\ndx = 2x\n")
        Path("softmax.py").write_text("# exercise: softmax-regression\ndz = p - y\ndW = x.T @ dz\ndb = dz.sum()\n")
        cli.main(["start", "squared-error"])
        for screen in SCREENS:
            cli.main([*options, *screen])
            captured = capsys.readouterr()
            assert captured.out or captured.err, screen
            yield screen, captured.out + captured.err

    return walk


def carets(lines: list[str]) -> set[int]:
    """Lines of a learner's sheet, which stay whole above their caret."""
    return {n for n, line in enumerate(lines) for m in (n, n + 1) if m < len(lines) and lines[m].strip() == "^"}


def test_every_screen_fits_in_sixty_columns(screens):
    wide = []
    for screen, text in screens():
        lines = text.splitlines()
        whole = carets(lines) | {n for n, line in enumerate(lines) if len(line.split()) == 1}  # a long path
        wide += [(screen, line) for n, line in enumerate(lines) if columns(line) > 60 and n not in whole]
    assert not wide


def test_every_screen_is_ascii_where_that_is_asked_for(screens):
    other = [(screen, letter) for screen, text in screens("--ascii") for letter in text if not letter.isascii()]
    assert not other


def test_ascii_may_stand_behind_the_command_too(screens, capsys):
    assert cli.main(["derive", "softmax-regression", "--no-verify", "--ascii"]) == 0
    assert capsys.readouterr().out.isascii()
    assert cli.main(["derive", "softmax-regression", "--no-verify"]) == 0
    assert not capsys.readouterr().out.isascii(), "the next command is not asked for it"


def test_ascii_is_english(monkeypatch, capsys):
    from tutor import language

    seen = []
    monkeypatch.setattr("tutor.views.desk.standing", lambda s: seen.append(language.current()) or "x")
    monkeypatch.setattr("tutor.views.desk.beginning", lambda s: seen.append(language.current()) or "x")
    for options in (["--lang", "zh"], ["--lang", "zh", "--ascii"], ["--ascii", "--lang", "zh"]):
        assert cli.main(options) == 0
    assert seen == ["zh", "en", "en"]


def words(shown: str, table: bool) -> list[str]:
    """In their order; where there is a table, whose cells may go on below themselves, in any, without its rules."""
    found = [word for word in shown.replace("\\|", "|").split() if not set(word) <= set("|-:")]
    return sorted(found) if table else found


@pytest.mark.parametrize("id", IDS)
def test_every_exercise_fits(id):
    from tutor.views import text

    exercise = load(id)
    shown = fitted(text.exercise(exercise, 60), 60)
    code = {line for line in exercise.statement.split("\n") if line[:1] in (" ", "|")}  # tables and formulas
    assert [line for line in shown.split("\n") if columns(line) > 60 and line not in code] == []
    table = "\n| " in exercise.statement
    assert words(text.exercise(exercise, 60), table) == words(text.exercise(exercise), table), "the same words"
    prose = [line for line in blank(exercise).split("\n") if line[:3].strip("# ") and line[2:3].isalpha()]
    assert prose


def test_columns_of_chinese_letters():
    assert columns("dw 的符号") == 9 and columns("é") == columns("é") == 1
    assert padded("符号", 6) == "符号  " and cut("第二行的符号", 9) == "第二行..." and cut("sign", 4) == "sign"
    text = "第二行不对，因子丢失了；" * 6 + " dw = 2*(y_pred - y)*x"
    lines = fitted(text, 60).split("\n")
    assert len(lines) > 1 and all(columns(line) <= 60 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line.lstrip()[0] in "，；" for line in lines)


def test_markdown_keeps_what_is_no_prose():
    text = "one two three\nfour five\n\n    a = b   code\n    c\n\n- a list\n  of it"
    assert refilled(text, 14) == "one two three\nfour five\n\n" + text.split("\n\n", 1)[1]
    assert refilled("one two three\nfour five", 9) == "one two\nthree\nfour five"


# -- a sign that something goes on ---------------------------------------------------------------------------------


class Screen(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setattr(terminal, "PATIENCE", 0.02)
    monkeypatch.setattr(terminal, "TURN", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


@contextmanager
def waiting(screen: Screen) -> Iterator[None]:
    """`patience` before this screen, put up inside of the test: pytest takes stderr for itself when a test begins."""
    with redirect_stderr(screen), terminal.patience("loading torch"):
        yield


def shown_within(shown: Callable[[], object], seconds: float = 20) -> None:
    """Waits, and not for ever."""
    until = time.monotonic() + seconds
    while not shown():
        assert time.monotonic() < until, "nothing was shown"
        time.sleep(0.01)


def test_what_takes_long_shows_a_sign_that_goes_away(screen):
    with waiting(screen):
        shown_within(lambda: "\\" in screen.getvalue())
    assert "| loading torch ..." in screen.getvalue() and screen.getvalue().endswith(terminal.CLEAR_LINE)


def test_what_is_quick_shows_nothing(screen, monkeypatch):
    monkeypatch.setattr(terminal, "PATIENCE", 60)
    with waiting(screen):
        pass
    assert screen.getvalue() == ""


def test_an_error_takes_the_sign_away_too(screen):
    with pytest.raises(KeyboardInterrupt), waiting(screen):
        shown_within(screen.getvalue)
        raise KeyboardInterrupt
    assert screen.getvalue().endswith(terminal.CLEAR_LINE)


def test_a_terminal_that_only_prints_gets_one_line(screen, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with waiting(screen):
        shown_within(screen.getvalue)
    assert screen.getvalue() == "loading torch ...\n"


def test_elsewhere_there_is_no_sign(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    with terminal.patience("loading torch"):
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


# -- completion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell, word", [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")])
def test_every_shell_has_a_script(capsys, shell, word):
    assert cli.main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert f"_TUTOR_COMPLETE={shell}_complete" in out and word in out


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
@pytest.mark.parametrize(
    "words, found",
    [
        ("show linear-r", ["linear-regression", "linear-regression-batch"]),
        ("hi", ["hint"]),
        ("start mse", ["mse"]),
        ("help sy", []),
        ("drill tanh", ["tanh-neuron"]),
        ("check --ex", ["--exercise"]),
        ("completion f", ["fish"]),
    ],
)
def test_bash_completes(tmp_path, words, found):
    command = tmp_path / "tutor"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tutor "$@"\n')
    command.chmod(0o755)
    parts = ["tutor", *words.split()]
    script = (
        'eval "$(tutor completion bash)"\n'
        f"COMP_WORDS=({' '.join(parts)}); COMP_CWORD={len(parts) - 1}\n"
        f'complete -p tutor >/dev/null && _tutor_completion tutor "{parts[-1]}" && printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120)
    assert done.stderr == "" and done.stdout.split() == found


def test_paths_are_completed_where_no_id_fits():
    context = click.Context(cli.app)
    (item,) = EXERCISE.shell_complete(context, cli.app.commands["show"].params[0], "./my")
    assert item.type == "file"


def test_tables_are_aligned():
    table = "| a | what `it` is |\n|---|:-:|\n| long one | 一二 |\n| x \\| y | one two three four five six |\n"
    assert refilled(table, 40).split("\n") == [
        "a          what `it` is",
        "--------   ---------------------------",
        "long one   一二",
        "x | y      one two three four five six",
    ]
    assert refilled(table, 32).split("\n")[-2:] == ["x | y      one two three four", "           five six"]
    wide = "| " + "w" * 50 + " | one two three |\n|---|---|\n| 一 | two |"
    assert refilled(wide, 60).split("\n")[-1] == "一" + " " * 51 + "two", "no room: as wide as it is"
    assert "|" not in refilled(wide, 60)


@pytest.mark.parametrize("id", [entry.id for entry in entries() if "\n| " in entry.statement])
def test_a_started_sheet_has_no_markdown_tables(id):
    text = blank(load(id))
    assert not [line for line in text.splitlines() if line.startswith("# |")] and "# ---" in text
