"""A class that hands in: every format, every way of handing in, every failure, the same for the same seed.

    python tests/grading_class.py FOLDER [LEARNERS] [SEED]

`make` writes `roster.csv` and the same class four times: `submissions/`, a folder with folders, flat files and an
unpacked export of Moodle's; `moodle.zip`; `canvas.zip`; `gradescope.zip`.
"""

from __future__ import annotations

import csv
import json
import os
import random
import stat
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

# exercise -> kind of sheet -> its lines; in a wrong one the last line is, in one that follows the first
SHEETS = {
    "softmax-regression": {
        "right": ["dz = (p - y) / N", "dW = x.T @ dz", "db = dz.sum(0)"],
        "wrong": ["dz = (p - y) / N", "dW = x.T @ dz", "db = -dz.sum(0)"],
        "follows": ["dz = p - y", "dW = x.T @ dz", "db = dz.sum(0)"],
    },
    "linear-regression": {
        "right": ["dy_pred = 2*(y_pred - y)", "dw = dy_pred*x", "db = dy_pred"],
        "wrong": ["dy_pred = 2*(y_pred - y)", "dw = dy_pred*x", "db = -dy_pred"],
        "follows": ["dy_pred = y_pred - y", "dw = dy_pred*x", "db = dy_pred"],
    },
    "mlp": {
        kind: [
            first,
            "dW2 = h1.T @ dy_pred", "db2 = dy_pred.sum(0)", "dz1 = dy_pred @ W2.T * (z1 > 0)", "dW1 = x.T @ dz1",
            last,
        ]
        for kind, first, last in (
            ("right", "dy_pred = 2*(y_pred - y) / (N*D2)", "db1 = dz1.sum(0)"),
            ("wrong", "dy_pred = 2*(y_pred - y) / (N*D2)", "db1 = -dz1.sum(0)"),
            ("follows", "dy_pred = (y_pred - y) / (N*D2)", "db1 = dz1.sum(0)"),
        )
    },
}  # fmt: skip
# problem -> (name of the file, its bytes)
FAILURES: dict[str, tuple[str, bytes]] = {
    "empty": ("empty.py", b""),
    "too-large": ("large.py", b"# a\n" * 200_000),
    "not-a-sheet": ("photo.png", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "archive": ("work.zip", b"PK\3\4" + bytes(60)),
    "binary": ("binary.py", bytes(range(256)) * 8),
    "utf-16": ("wide.txt", "dz = (p - y) / N\n".encode("utf-16")),
}
SUFFIXES = (".py", ".txt", ".md", ".tex", ".ipynb")


@dataclass
class Learner:
    """One of the class: what was handed in, and what must come of it."""

    id: str
    person: str
    number: int  # of the systems
    sheets: dict[str, str] = field(default_factory=dict)  # exercise -> right, wrong, follows
    files: dict[str, bytes] = field(default_factory=dict)  # name -> content; the last attempt's
    earlier: dict[str, bytes] = field(default_factory=dict)  # the attempt before
    failure: str = ""  # of FAILURES


@dataclass
class Class:
    """What `make` made."""

    folder: Path
    learners: list[Learner]
    hostile: dict[str, dict[str, str]] = field(default_factory=dict)  # source -> name of a hostile file -> problem

    @property
    def roster(self) -> Path:
        return self.folder / "roster.csv"

    @property
    def sources(self) -> dict[str, Path]:
        names = ("submissions", "moodle.zip", "canvas.zip", "gradescope.zip")
        return {name: self.folder / name for name in names}


def make(folder: str | Path, learners: int = 200, seed: int = 0) -> Class:
    """Write a class below `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    made = Class(folder, [_learner(n, rng) for n in range(learners)])
    _roster(made)
    _submissions(made)
    _moodle(made)
    _canvas(made)
    _gradescope(made)
    return made


def _learner(n: int, rng: random.Random) -> Learner:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    made = Learner(f"{last.lower().replace(' ', '')[:5]}{n:04}", f"{first} {last}", 40_000 + 7 * n)
    suffix = SUFFIXES[n % len(SUFFIXES)]
    for exercise, kinds in SHEETS.items():
        kind = rng.choice(("right", "right", "wrong", "follows"))
        as_latex = suffix == ".tex" and all(line in LATEX for line in kinds[kind])
        form = ".py" if suffix == ".tex" and not as_latex else suffix
        made.sheets[exercise] = kind
        made.files[f"{exercise}{form}"] = written(exercise, kinds[kind], form, made.id)
    if n % 7 == 0:
        made.earlier = {"linear-regression.py": written("linear-regression", ["dw = x"], ".py", made.id)}
    if n % 5 == 4:
        made.failure = list(FAILURES)[n // 5 % len(FAILURES)]
        name, content = FAILURES[made.failure]
        made.files[name] = content
    return made


def written(exercise: str, lines: list[str], suffix: str, mark: str) -> bytes:
    """A sheet of these lines in the format of a suffix; `mark` makes it different from all others."""
    if suffix == ".ipynb":
        source = [f"# exercise: {exercise}\n", f"# {mark}\n", *(f"{line}\n" for line in lines)]
        cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}).encode()
    if suffix == ".md":
        return "\n".join([f"<!-- exercise: {exercise} -->", f"By {mark}.", "```python", *lines, "```", ""]).encode()
    if suffix == ".tex":
        rows = (f"\\[ {LATEX[line]} \\]" for line in lines)
        return "\n".join([f"% exercise: {exercise}", f"% {mark}", *rows, ""]).encode()
    return "\n".join([f"# exercise: {exercise}", f"# {mark}", *lines, ""]).encode()


# the same lines for those who write LaTeX; an exercise with lines that are not here is handed in as Python
LATEX = {
    "dz = (p - y) / N": r"\frac{\partial L}{\partial z} = \frac{p - y}{N}",
    "dz = p - y": r"\frac{\partial L}{\partial z} = p - y",
    "dW = x.T @ dz": r"\frac{\partial L}{\partial W} = x^\top \frac{\partial L}{\partial z}",
    "db = dz.sum(0)": r"\frac{\partial L}{\partial b_k} = \sum_i \frac{\partial L}{\partial z_{ik}}",
    "db = -dz.sum(0)": r"\frac{\partial L}{\partial b_k} = -\sum_i \frac{\partial L}{\partial z_{ik}}",
    "dy_pred = 2*(y_pred - y)": r"\frac{\partial L}{\partial y_{pred}} = 2 (y_{pred} - y)",
    "dy_pred = y_pred - y": r"\frac{\partial L}{\partial y_{pred}} = y_{pred} - y",
    "dw = dy_pred*x": r"\frac{\partial L}{\partial w} = \frac{\partial L}{\partial y_{pred}} x",
    "db = dy_pred": r"\frac{\partial L}{\partial b} = \frac{\partial L}{\partial y_{pred}}",
    "db = -dy_pred": r"\frac{\partial L}{\partial b} = -\frac{\partial L}{\partial y_{pred}}",
}
FIRST = (
    "Ann Bo Chen Dóra Emre Fatima Gül Hana Iñaki Jo Kåre Lê Mei Noor Olu Pat Quy Rui Søren Tú Uma Vũ Wei Zoë".split()
)
LAST = "Lee Müller O'Neil Nguyễn Smith-Jones García 王 Okafor Şahin Ivanov Kim Patel Sørensen Dubois Haddad".split()


def _roster(made: Class) -> None:
    with made.roster.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["learner", "name", "email", "canvas", "moodle", "sid"])
        for each in made.learners:
            email = f"{each.id}@example.org"
            rows.writerow([each.id, each.person, email, each.number, each.number + 1_000_000, f"S{each.number}"])


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _submissions(made: Class) -> None:
    """Folders, flat files, and an unpacked export of Moodle's side by side, and what a system should never hand out."""
    folder = made.folder / "submissions"
    for n, each in enumerate(made.learners):
        if n % 3 == 0:
            last = f"{each.id}/attempt-2" if each.earlier else each.id
            for name, content in each.earlier.items():
                _put(folder / each.id / "attempt-1" / name, content)
            for name, content in each.files.items():
                _put(folder / last / name, content)
        elif n % 3 == 1:
            for name, content in each.earlier.items():
                _put(folder / f"{each.id}_{Path(name).stem}_attempt1{Path(name).suffix}", content)
            for name, content in each.files.items():
                again = "_attempt2" if each.earlier else ""
                _put(folder / f"{each.id}_{Path(name).stem}{again}{Path(name).suffix}", content)
        else:
            for name, content in each.files.items():
                _put(folder / f"{_plain(each.person)}_{each.number + 1_000_000}_assignsubmission_file" / name, content)
    _put(folder / ".DS_Store", b"")
    made.hostile["submissions"] = _hostile_folder(folder / made.learners[0].id) if made.learners else {}


def _plain(person: str) -> str:
    return person.replace("_", " ").replace("/", "")


def _hostile_folder(folder: Path) -> dict[str, str]:
    """What is put into the first learner's folder beside the sheets, where the system can: name -> problem."""
    expected = {}
    for name, target in (("passwd.py", "/etc/passwd"), ("loop", "."), ("gone.py", "nowhere.py")):
        try:
            (folder / name).symlink_to(target)
            expected[name] = "unsafe"
        except OSError:  # Windows, without the right to make links
            pass
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.py")
        expected["pipe.py"] = "unsafe"
    deep = folder / Path(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "x.py").write_bytes(b"dw = 1\n")
    return expected


class _Zip:
    """A zip whose bytes hang on its content alone."""

    def __init__(self, path: Path):
        self.file = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

    def put(self, name: str, content: bytes, mode: int = 0) -> None:
        info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
        info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.file.writestr(info, content)

    def hostile(self, below: str) -> dict[str, str]:
        """Entries that no system makes, as the first learner's: name -> problem."""
        self.put(f"{below}/../../out.py", b"dw = 1\n")
        self.put("/etc/out.py", b"dw = 1\n")
        self.put("C:/out.py", b"dw = 1\n")
        self.put(f"{below}\\out.py", b"dw = 1\n")
        self.put(f"{below}/link.py", b"/etc/passwd", stat.S_IFLNK | 0o777)
        self.put(f"{below}/bomb.py", bytes(20_000_000))
        self.put(f"{below}/\u202eyp.evil\x1b[2J.py", b"# nothing\n")
        self.file.close()
        return {"link.py": "unsafe", "bomb.py": "unsafe"}


def _moodle(made: Class) -> None:
    archive = _Zip(made.folder / "moodle.zip")
    first = ""
    for n, each in enumerate(made.learners):
        place = f"{_plain(each.person)}_{each.number + 1_000_000}_assignsubmission_file{'_' if n % 2 else ''}"
        first = first or place
        for name, content in each.files.items():
            archive.put(f"{place}/{name}", content)
    made.hostile["moodle.zip"] = archive.hostile(first)


def _canvas(made: Class) -> None:
    archive = _Zip(made.folder / "canvas.zip")
    for n, each in enumerate(made.learners):
        first, _, last = each.person.partition(" ")
        name = "".join(letter for letter in f"{last}{first}".lower() if letter.isalnum())
        late = "LATE_" if n % 11 == 3 else ""
        for m, (file, content) in enumerate(each.files.items()):
            again = "-1" if each.earlier else ""
            stem, suffix = Path(file).stem, Path(file).suffix
            archive.put(f"{name}_{late}{each.number}_{900_000 + 10 * n + m}_{stem}{again}{suffix}", content)
    archive.file.close()


def _gradescope(made: Class) -> None:
    archive = _Zip(made.folder / "gradescope.zip")
    lines: list[str] = []
    for n, each in enumerate(made.learners):
        key = f"submission_{500_000 + n}"
        lines += [f"{key}:", "  :submitters:", f"  - :name: {json.dumps(each.person, ensure_ascii=False)}"]
        lines += [f"    :sid: 'S{each.number}'", f"    :email: {each.id}@example.org"]
        lines += ["  :created_at: 2026-04-26 17:34:00.861687000 Z", "  :score: 2.0"]
        lines += ["  :history:", f"  - :id: {400_000 + n}"] if each.earlier else ["  :history: []"]
        lines += ["  :results:", "    output: |-", "      Final Score: 2.0", "      :submitters:"]
        for name, content in each.files.items():
            archive.put(f"assignment_123_export/{key}/{name}", content)
    archive.put("assignment_123_export/submission_metadata.yml", ("\n".join(lines) + "\n").encode())
    archive.file.close()


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    print(make(where, *map(int, numbers)).folder)
