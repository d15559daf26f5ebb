"""`tutor watch`: real files, real events, polling, and a real terminal with keys."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from tutor import cli
from tutor.desk import watch
from tutor.desk.keys import letters
from tutor.desk.standing import existing
from tutor.desk.watch import Desk
from tutor.errors import NotFoundError, UsageError

ROOT = Path(__file__).resolve().parent.parent
RIGHT = "# exercise: linear-regression\ndw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)\n"
WRONG = RIGHT.replace("y_pred - y)*x", "y - y_pred)*x")
SECOND = RIGHT.replace("linear-regression", "linear-regression:loss=mse")


def heard(queue: SimpleQueue, name: str) -> None:
    """Wait for the save of a file; the one before it may be heard of twice, made and written."""
    while True:
        what, path = queue.get(timeout=60)
        assert what == "saved"
        if path.name == name:
            return


# -- saves -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poll", [False, True])
def test_every_way_in_which_editors_save_is_heard(tmp_path, poll):
    (tmp_path / "old.py").write_text("# exercise: mlp\n")
    queue: SimpleQueue = SimpleQueue()
    with watch.saves(queue, tmp_path, poll) as polling:
        assert polling or not poll
        (tmp_path / "new.py").write_text("1")
        heard(queue, "new.py")
        (tmp_path / "beside.tmp").write_text("a longer text")  # written beside it, then put in its place
        (tmp_path / "beside.tmp").replace(tmp_path / "old.py")
        heard(queue, "old.py")
        (tmp_path / "notes.txt").write_text("a")
        heard(queue, "notes.txt")


def test_what_is_no_sheet_is_not_heard(tmp_path):
    queue: SimpleQueue = SimpleQueue()
    with watch.saves(queue, tmp_path):
        for name in (".hidden.py", "#emacs.py", "~lock.py", "data.csv", "a.pyc", ".a.py.swp"):
            (tmp_path / name).write_text("x")
        (tmp_path / "sheet.py").write_text("x")
        assert queue.get(timeout=60)[1].name == "sheet.py"
    assert not (tmp_path / watch.PROBE).exists()


def test_polling_sees_two_saves_in_one_second(tmp_path):
    sheet = tmp_path / "a.py"
    queue: SimpleQueue = SimpleQueue()
    with watch.saves(queue, tmp_path, True):
        for text in ("one", "two", "six"):
            sheet.write_text(text)
            heard(queue, "a.py")


def test_a_report_does_not_depend_on_those_before_it(desk, tmp_path):
    import tutor

    (tmp_path / "a.py").write_text(WRONG)
    for _ in range(3):
        desk.saved(Path("a.py"))
        assert str(desk.made.reports[0]) == str(tutor.check(tutor.load("linear-regression"), Path("a.py")))
        assert desk.made.reports[0].to_dict() == tutor.check(tutor.load("linear-regression"), Path("a.py")).to_dict()


def test_where_no_events_arrive_the_folder_is_looked_at_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(watch._Watcher, "hears", lambda self: False)
    queue: SimpleQueue = SimpleQueue()
    with watch.saves(queue, tmp_path) as polling:
        assert polling
        (tmp_path / "sheet.py").write_text("x")
        heard(queue, "sheet.py")


def test_a_folder_that_goes_is_said(tmp_path):
    place = tmp_path / "sheets"
    place.mkdir()
    queue: SimpleQueue = SimpleQueue()
    with watch.saves(queue, place):
        shutil.rmtree(place)
        assert queue.get(timeout=20)[0] == "lost"
    queue.put(("lost", "it is gone"))
    with pytest.raises(UsageError, match="cannot be watched: it is gone"):
        watch.run(Desk(place, print, print), queue, lambda: None)
    with pytest.raises(NotFoundError, match="there is no folder"):
        existing(str(place))


# -- the desk, key by key ----------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A desk over an empty folder; `desk.said` is what it said, reports by their verdict."""
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    made = Desk(Path("."), said.append, lambda reports: said.append(" ".join(r.verdict for r in reports)))
    made.__dict__["said"] = said
    return made


def test_a_save_is_judged_and_it_does_not_advance_by_itself(desk, tmp_path):
    (tmp_path / "a.py").write_text(WRONG)
    desk.saved(Path("a.py"))
    (tmp_path / "a.py").write_text(RIGHT)
    desk.saved(Path("a.py"))
    assert desk.said == ["wrong", "correct"] and desk.path == Path("a.py")
    assert sorted(p.name for p in tmp_path.glob("*.py")) == ["a.py"]


def test_keys(desk, tmp_path):
    for key in "hd":
        assert desk.pressed(key)
        assert "save a sheet first" in desk.said[-1]
    (tmp_path / "a.py").write_text(WRONG)
    desk.saved(Path("a.py"))
    desk.pressed("h")
    desk.pressed("H")
    assert "hint 1 of" in desk.said[-2] and "hint 2 of" in desk.said[-1]
    desk.pressed("d")
    assert "is not solved: press d again" in desk.said[-1]
    desk.pressed("l")
    assert "a.py   wrong" in desk.said[-1] and "next:" not in desk.said[-1]
    desk.pressed("d")
    assert "press d again" in desk.said[-1], "another key came between"
    desk.pressed("d")
    assert "1. dy_pred" in desk.said[-1]
    (tmp_path / "a.py").write_text(RIGHT)
    desk.saved(Path("a.py"))
    desk.pressed("d")
    assert "1. dy_pred" in desk.said[-1], "what is solved is shown at once"
    desk.pressed("h")
    assert "needs no hint" in desk.said[-1]
    before = list(desk.said)
    assert desk.pressed("x") and desk.said == before
    assert not desk.pressed("q") and not desk.pressed("Q") and not desk.pressed("\x04")


def test_n_goes_through_what_is_open_and_then_on(desk, tmp_path):
    (tmp_path / "a.py").write_text(RIGHT)
    desk.saved(Path("a.py"))
    desk.pressed("n")
    assert "squared-error.py" in desk.said[-1] and (tmp_path / "squared-error.py").exists()
    count = len(desk.said)
    desk.saved(Path("squared-error.py"))
    assert len(desk.said) == count, "its own writing is no save"
    desk.saved(Path("squared-error.py"))
    assert desk.said[-1] == "incomplete"
    desk.pressed("h")
    assert "hint 1 of" in desk.said[-1], "the sheet in hand is the new one"
    desk.pressed("n")
    assert "affine-half-square.py" in desk.said[-1], "one may be passed over"
    for expected in ("squared-error.py", "affine-half-square.py", "squared-error.py"):
        desk.pressed("n")
        assert expected in desk.said[-1], "no pile of sheets that nobody looks at"
    assert len(list(tmp_path.glob("*.py"))) == 3


def test_what_cannot_be_judged_is_said_and_the_watch_goes_on(desk, tmp_path):
    cases = {
        b"\x00\xff\xfe" * 100: "not text in UTF-8",
        b"dw = 1\n": "does not say which exercise",
        b"# exercise: nope\n": 'no exercise "nope"',
    }
    for content, says in cases.items():
        (tmp_path / "a.py").write_bytes(content)
        desk.saved(Path("a.py"))
        assert says in desk.said[-1]
        desk.pressed("h")
        assert "save a sheet first" in desk.said[-1]
    count = len(desk.said)
    (tmp_path / "a.py").unlink()
    desk.saved(Path("a.py"))
    desk.pressed("n")
    assert len(desk.said) == count + 1 and "linear-regression.py" in desk.said[-1]


def test_a_fault_of_ours_ends_one_check_and_not_the_watch(desk, tmp_path, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("broken\nin two")

    monkeypatch.setattr(watch.sheets, "judged", broken)
    (tmp_path / "a.py").write_text(WRONG)
    queue: SimpleQueue = SimpleQueue()
    for event in (("saved", Path("a.py")), ("key", "l"), ("key", "q")):
        queue.put(event)
    watch.run(desk, queue, lambda: None)
    assert "our fault, not yours: RuntimeError: broken in two" in desk.said[0] and "a.py" in desk.said[1]
    assert "wrong" not in desk.said[0]


def test_arrows_and_other_keys_are_no_letters():
    assert letters("q") == ["q"]
    assert letters("\x1b[A\x1b[1;5Dn\x1bOP\x1b") == ["n"]
    assert letters("\x1bq") == []


# -- in a terminal -----------------------------------------------------------------------------------------------

pexpect = pytest.importorskip("pexpect") if sys.platform != "win32" else None
terminal = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


def spawn(place: Path, *args: str, **env: str):
    """`tutor ...` in a terminal of 80 columns."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1", **env}
    environment = {name: value for name, value in environment.items() if value}
    return pexpect.spawn(
        sys.executable, ["-m", "tutor", *args], cwd=str(place), env=environment, encoding="utf-8", timeout=240,
        dimensions=(40, 80),
    )  # fmt: skip


def modes(process) -> list:
    import termios

    return termios.tcgetattr(process.child_fd)[:4]


@terminal
@pytest.mark.parametrize("options", [(), ("--poll",)])
def test_a_session(tmp_path, options):
    (tmp_path / "a.py").write_text(WRONG)
    process = spawn(tmp_path, "watch", *options)
    before = modes(process)
    process.expect("wrong")
    process.expect("watching")
    process.expect("q quit")
    assert modes(process) != before
    (tmp_path / "a.py").write_text(RIGHT)
    process.expect("correct")
    process.expect("q quit")
    process.send("\x1b[A")  # an arrow does nothing
    process.send("n")
    process.expect("written: squared-error.py")
    process.send("l")
    process.expect("You have solved 1 of")
    process.send("h")
    process.expect("hint 1 of")
    process.send("d")
    process.expect("press d again")
    process.send("d")
    process.expect("1. dr")
    process.send("q")
    process.expect(pexpect.EOF)
    process.wait()
    assert process.exitstatus == 0 and modes(process) == before


@terminal
@pytest.mark.parametrize("end, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_is_left_as_it_was_found(tmp_path, end, code):
    process = spawn(tmp_path, "watch")
    before = modes(process)
    process.expect("q quit")
    if end == signal.SIGINT:
        process.send("\x03")
    else:
        process.kill(end)
    process.expect(pexpect.EOF)
    process.wait()
    assert process.exitstatus == code and modes(process) == before and "Traceback" not in process.before


@terminal
def test_a_folder_that_is_deleted_ends_the_watch(tmp_path):
    place = tmp_path / "sheets"
    place.mkdir()
    process = spawn(tmp_path, "watch", "sheets")
    process.expect("q quit")
    shutil.rmtree(place)
    process.expect("cannot be watched")
    process.expect(pexpect.EOF)
    process.wait()
    assert process.exitstatus == 2


@terminal
def test_a_terminal_that_only_prints(tmp_path):
    (tmp_path / "a.py").write_text(WRONG)
    process = spawn(tmp_path, "watch", TERM="dumb")
    process.expect("q quit")
    process.send("q")
    shown = process.before + process.read()
    assert "\x1b" not in shown and "wrong" in shown


def test_without_a_terminal_it_prints_and_takes_no_keys(tmp_path):
    (tmp_path / "a.py").write_text(WRONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "tutor", "watch", str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    while "watching" not in process.stderr.readline():
        pass
    (tmp_path / "a.py").write_text(RIGHT)
    seen = ""
    while "correct" not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "quit" not in err and "\x1b" not in seen + out


def test_a_folder_that_does_not_exist(capsys):
    assert cli.main(["watch", "/nowhere/at/all"]) == 3
    assert "there is no folder /nowhere/at/all" in capsys.readouterr().err


# -- what a terminal shows ------------------------------------------------------------------------------------------

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def shown(place: Path, *args: str, **env: str) -> str:
    process = spawn(place, *args, **env)
    text = process.read()
    process.wait()
    return text.replace("\r\n", "\n")


@terminal
def test_colours_say_nothing_that_the_words_do_not(tmp_path):
    (tmp_path / "a.py").write_text(WRONG)
    coloured = shown(tmp_path, "check", "a.py", NO_COLOR="")
    plain = shown(tmp_path, "check", "a.py", NO_COLOR="1")
    drop = re.compile(r"\r[-|/\\] [^\r]*|\r\x1b\[2K")  # the sign that something goes on
    coloured, plain = drop.sub("", coloured), drop.sub("", plain)
    assert ESCAPES.search(coloured) and not ESCAPES.search(plain)
    assert ESCAPES.sub("", coloured) == plain
    assert not re.search(r"\x1b\[[0-9;]*3[346]\b", coloured), "yellow, blue and cyan are lost on some grounds"
    assert "\x1b" not in shown(tmp_path, "check", "a.py", TERM="dumb")


@terminal
def test_reset_asks_in_a_terminal(tmp_path):
    shown(tmp_path, "start", "squared-error")
    process = spawn(tmp_path, "reset")
    process.expect("Forget the progress with all exercises")
    process.sendline("n")
    process.expect(pexpect.EOF)
    process.wait()
    assert process.exitstatus == 1
    process = spawn(tmp_path, "reset")
    process.expect("Forget")
    process.send("\x03")
    process.expect(pexpect.EOF)
    process.wait()
    assert process.exitstatus == 130
    assert (tmp_path / "squared-error.py").exists()
