"""What is handed in, by every way and in every state: whose it is, in which order, and what is said of it."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import random
import socket
import stat
import struct
import sys
import threading
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from grading_class import FAILURES, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutor.errors import NotFoundError, ReadingError
from tutor.grading import places, systems
from tutor.grading.learners import Roster
from tutor.grading.model import NOBODY, PROBLEMS
from tutor.grading.places import natural, shown
from tutor.grading.submissions import collect, of_one

ROSTER = """learner,name,email,canvas,moodle,sid,section
lee,Ann Lee,ann@example.org,4711,12345,S1,A
lee-2,Bo Lee,bo@example.org,4712,12346,S2,A
müller,Dóra Müller,dora@example.org,4713,12347,S3,A
o.neil,Pat O'Neil,pat@example.org,4714,12348,S4,A
twin1,Wei Kim,wei1@example.org,4715,12349,S5,B
twin2,Wei Kim,wei2@example.org,4716,12350,S6,B
4714,Emre Şahin,emre@example.org,4717,12351,S7,C
"""
SHEET = b"dW = x.T @ dz\n"


def roster(text=ROSTER):
    return Roster.parse(text)


def zipped(path, entries):
    """A zip with these entries, (name, content) or (ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def folder(path, entries):
    for name, content in entries:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def brief(source, known=None):
    """(learner, attempt, name, problems) of all that was collected."""
    return [(s.learner, s.attempt, s.name, [p.id for p in s.problems]) for s in collect(source, known)]


def place_of(submission):
    """Where it stands among others."""
    return natural(submission.learner), submission.attempt, [natural(part) for part in submission.name.split("/")]


def info(name, mode=stat.S_IFREG | 0o644, method=zipfile.ZIP_DEFLATED):
    made = zipfile.ZipInfo(name)
    made.external_attr, made.compress_type = mode << 16, method
    return made


# -- the roster ------------------------------------------------------------------------------------------------------

EXPORTS = {
    "canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (123),Current Score\n"
        "    Points Possible,,,,,10,(read only)\n"
        '"Lee, Ann",4711,S1,ann,Lecture,9,90\n'
        '"Müller, Dóra",4713,S3,dora,Lecture,9,90\n'
        '"Student, Test",99,,x,Lecture,,\n',
        {"4711": "Ann Lee", "4713": "Dóra Müller"},
        {"canvas": "4711", "sis": "S1", "login": "ann", "section": "Lecture"},
        ["S1", "ANN", "Ann Lee"],
    ),
    "moodle": (
        '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed"\n'
        '"Participant 12345","Ann Lee",ann@example.org,"Submitted for grading",,10.00,Yes\n',
        {"12345": "Ann Lee"},
        {"moodle": "12345", "identifier": "Participant 12345", "email": "ann@example.org"},
        ["participant 12345", "ann@example.org"],
    ),
    "gradescope": (
        "First Name,Last Name,SID,Email,Role,Section\nAnn,Lee,S1,ann@example.org,Student,1\n"
        "Tea,Cher,S9,tea@example.org,Instructor,\nBo,Lee,,bo@example.org,Student,1\n",
        {"S1": "Ann Lee", "bo@example.org": "Bo Lee"},
        {"sid": "S1", "email": "ann@example.org", "section": "1"},
        ["s1", "Ann Lee"],
    ),
}


@pytest.mark.parametrize("system", EXPORTS)
def test_a_systems_own_export_is_a_roster(system):
    text, learners, aliases, identities = EXPORTS[system]
    made = Roster.parse(text.removeprefix("\ufeff"))
    first = next(iter(learners))
    assert dict(made.learners) == learners
    assert made.aliases(first) == aliases
    assert [made.find(identity) for identity in identities] == [first] * len(identities)


@pytest.mark.parametrize(
    "text",
    [
        "learner,name,email\nlee,Ann Lee,ann@example.org\n",
        "\ufefflearner;name;email\r\nlee;Ann Lee;ann@example.org\r\n",
        "learner\tname\temail\nlee\tAnn Lee\tann@example.org",
        "sep=;\nlearner;name;email\nlee;Ann Lee;ann@example.org\n",
        'learner,name,email\n\n"lee"," Ann Lee ",ann@example.org,,\n\n',
        "login,First name,Surname,E-mail\nlee,Ann,Lee,ann@example.org\n",
        "name,ID,email\nAnn Lee,lee,ann@example.org\n",
    ],
)
def test_a_roster_is_read(tmp_path, text):
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode())
    made = Roster.read(path)
    assert dict(made.learners) == {"lee": "Ann Lee"}
    assert made.aliases("lee") == {"email": "ann@example.org"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no header"),
        ("learner,name\n", 2, "no learner"),
        ("learner,name\nlee,Ann\nbo,Bo\nLEE,Ann\n", 4, '"LEE" is on line 2 as well'),
        ("learner,id\nlee,1\n", 1, '"learner" and "id" could both be the id'),
        ("learner,name,full name\nlee,1,2\n", 1, "could both be the person's name"),
        ("learner,email,e-mail\nlee,1,2\n", 1, 'two columns are called "email"'),
        ("learner,,name\nlee,1,2\n", 1, "column 2 has no name"),
        ("lee,Ann Lee,ann@example.org\n", 1, "no header but a learner"),
        ("learner,name\nlee,Lee, Ann\n", 2, "3 cells where the header names 2"),
        ("learner,name\n,Ann\n", 2, "without an id"),
        ('learner,name\n"a\nb",Ann\n', 2, "invisible"),
        ('learner,name\nlee,"Ann\n', 2, "no valid CSV"),
        ("First name,Last name\nAnn,Lee\n", 1, "no column is an id"),
        ("learner,name\n" + "x" * 201 + ",Ann\n", 2, "more than 200"),
    ],
)
def test_what_is_no_roster_is_refused_with_its_line(text, line, words):
    with pytest.raises(ReadingError) as caught:
        roster(text)
    assert caught.value.line == line
    assert words in caught.value.message


def test_a_roster_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(NotFoundError, match="give a CSV file"):
        Roster.read(tmp_path / "none.csv")
    (tmp_path / "wide.csv").write_bytes("learner\nlee\n".encode("utf-16"))
    with pytest.raises(ReadingError, match="save it as CSV UTF-8"):
        Roster.read(tmp_path / "wide.csv")


@pytest.mark.parametrize(
    ("identities", "learner"),
    [
        (["lee"], "lee"),
        ([" LEE "], "lee"),
        (["Ann  Lee"], "lee"),
        (["MÜLLER"], "müller"),
        ([unicodedata.normalize("NFD", "müller")], "müller"),
        (["S3", "dora@example.org", "Dóra Müller"], "müller"),
        (["S3", "ann@example.org"], None),  # two people
        (["Wei Kim"], None),  # two of that name
        (["S5", "Wei Kim"], "twin1"),
        (["4714"], "4714"),  # an id before another's number
        (["A"], None),  # a section
        (["C"], None),
        (["nobody", "S1"], "lee"),
        ([""], None),
        ([], None),
    ],
)
def test_a_learner_is_found(identities, learner):
    assert roster().find(*identities) == learner


# -- layouts -------------------------------------------------------------------------------------------------------

METADATA = b"""submission_1:
  :submitters:
  - :name: Ann Lee
    :sid: S1
    :email: ann@example.org
  - :name: Bo Lee
    :sid: S2
  :created_at: 2026-04-26 17:34:00.861687000 Z
  :history:
  - :id: 7
    :submitters: []
    :score: 1.0
  - :id: 8
    :submitters: []
  :results:
    output: |-
      :submitters:
      - :name: Nobody
submission_2:
  :submitters:
  - :name: Somebody Else
    :sid: '0123'
submission_3:
  :submitters: []
submission_8:
  :submitters: []
"""
X = "assignment_9_export"

# files, with a roster, what they are: (learner, attempt, name)
LAYOUTS = {
    "a folder each": (
        ["lee/b.py", "lee/a.py", "o.neil/sub/c.md"],
        True,
        [("lee", 1, "lee/a.py"), ("lee", 1, "lee/b.py"), ("o.neil", 1, "o.neil/sub/c.md")],
    ),
    "folders by other names": (
        ["Ann Lee/a.py", "bo@example.org/a.py", "S3/a.py"],
        True,
        [("lee", 1, "Ann Lee/a.py"), ("lee-2", 1, "bo@example.org/a.py"), ("müller", 1, "S3/a.py")],
    ),
    "attempts": (
        ["lee/attempt-10/a.py", "lee/attempt-2/a.py", "lee/a.py"],
        True,
        [("lee", 1, "lee/a.py"), ("lee", 2, "lee/attempt-2/a.py"), ("lee", 3, "lee/attempt-10/a.py")],
    ),
    "attempts in a folder": (
        ["lee/hw 1/try1/a.py", "lee/hw 1/try2/q/a.py"],
        False,
        [("lee", 1, "lee/hw 1/try1/a.py"), ("lee", 2, "lee/hw 1/try2/q/a.py")],
    ),
    "one numbered folder": (["lee/hw3/a.py"], False, [("lee", 1, "lee/hw3/a.py")]),
    "days": (
        ["lee/2026-11-02/a.py", "lee/2026-02-10/a.py"],
        False,
        [("lee", 1, "lee/2026-02-10/a.py"), ("lee", 2, "lee/2026-11-02/a.py")],
    ),
    "flat, the longest id wins": (
        ["lee-2.md", "lee-2_q1.py", "lee_q2.py", "lee.py", "o.neil.py", "o.neil.v2.py", "ann@example.org_q1.py"],
        True,
        [
            ("lee", 1, "ann@example.org_q1.py"),
            ("lee", 1, "lee.py"),
            ("lee", 1, "lee_q2.py"),
            ("lee-2", 1, "lee-2.md"),
            ("lee-2", 1, "lee-2_q1.py"),
            ("o.neil", 1, "o.neil.py"),
            ("o.neil", 2, "o.neil.v2.py"),
        ],
    ),
    "flat, without a roster": (
        ["lee-2.md", "lee_q10.py", "lee_q2.py", "lee_q2_attempt3.py", "_x.py"],
        False,
        [
            ("_x", 1, "_x.py"),
            ("lee", 1, "lee_q2.py"),
            ("lee", 1, "lee_q10.py"),
            ("lee", 3, "lee_q2_attempt3.py"),
            ("lee-2", 1, "lee-2.md"),
        ],
    ),
    "moodle": (
        [
            "Ann Lee_12345_assignsubmission_file_/x.py",
            "Bo Lee_12346_assignsubmission_file/sub/attempt-2/x.py",
            "Wei Kim_12350_assignsubmission_file/x.py",
            "Participant_12347_assignsubmission_file_x.py",
        ],
        True,
        [
            ("lee", 1, "Ann Lee_12345_assignsubmission_file_/x.py"),
            ("lee-2", 1, "Bo Lee_12346_assignsubmission_file/sub/attempt-2/x.py"),
            ("müller", 1, "Participant_12347_assignsubmission_file_x.py"),
            ("twin2", 1, "Wei Kim_12350_assignsubmission_file/x.py"),
        ],
    ),
    "moodle, without a roster": (
        ["HW-1/Ann Lee_12345_assignsubmission_file/x.py"],
        False,
        [("12345", 1, "Ann Lee_12345_assignsubmission_file/x.py")],
    ),
    "canvas": (
        [
            "leeann_4711_8801_x.py",
            "leebo_LATE_4712_8802_x-2.py",
            "kimwei_4715_8803_a_1_2_b.py",
            "anon_aB12c_8805_x.py",
        ],
        False,
        [
            ("4711", 1, "leeann_4711_8801_x.py"),
            ("4712", 3, "leebo_LATE_4712_8802_x-2.py"),
            ("4715", 1, "kimwei_4715_8803_a_1_2_b.py"),
            ("anon_aB12c", 1, "anon_aB12c_8805_x.py"),
        ],
    ),
    # 4714 is another's id; the column called canvas says whose number it is
    "canvas, with a roster": (
        ["oneilpat_4714_8801_x.py", "müllerdóra_9_8802_x.py", "sub/x.py"],
        True,
        [("müller", 1, "müllerdóra_9_8802_x.py"), ("o.neil", 1, "oneilpat_4714_8801_x.py"), ("sub", 1, "sub/x.py")],
    ),
    "gradescope": (
        [f"{X}/submission_1/x.py", f"{X}/submission_2/x.py", f"{X}/submission_3/x.py", f"{X}/submission_8/x.py"],
        True,
        [
            ("lee", 2, "submission_8/x.py"),
            ("lee", 3, "submission_1/x.py"),
            ("lee-2", 2, "submission_8/x.py"),
            ("lee-2", 3, "submission_1/x.py"),
            ("0123", 1, "submission_2/x.py"),
            ("submission_3", 1, "submission_3/x.py"),
        ],
    ),
    "a folder around": (
        ["submissions 2026/lee/x.py", "submissions 2026/bo/x.py"],
        False,
        [("bo", 1, "bo/x.py"), ("lee", 1, "lee/x.py")],
    ),
    "a folder around, by the roster": (
        ["hw/lee/x.py", "hw/lee-2/x.py"],
        True,
        [("lee", 1, "lee/x.py"), ("lee-2", 1, "lee-2/x.py")],
    ),
    "passed over": (
        [
            "lee/x.py",
            "lee/.DS_Store",
            "__MACOSX/lee/._x.py",
            "lee/.git/config",
            "lee/__pycache__/x.pyc",
            "lee/Thumbs.db",
        ],
        False,
        [("lee", 1, "lee/x.py")],
    ),
    "ours": (["lee/x.py", "lee/README.md", "lee/statement.html", "README.md"], False, [("lee", 1, "lee/x.py")]),
    "ours alone": (["lee/statement.md"], False, [("lee", 1, "lee/statement.md")]),
}


def contents(names):
    if any(name.startswith(X) for name in names):
        yield f"{X}/submission_metadata.yml", METADATA
    for name in names:
        yield name, b"Read this.\n" if Path(name).stem in ("README", "statement") else f"# {name}\n".encode()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_layouts(tmp_path, layout, packed):
    names, known, expected = LAYOUTS[layout]
    entries = list(contents(names))
    random.Random(layout).shuffle(entries)
    source = zipped(tmp_path / "s.zip", entries) if packed else folder(tmp_path / "s", entries)
    found = list(collect(source, roster() if known else None))
    key = sorted if known else list  # strangers stand where their name does
    assert key((s.learner, s.attempt, s.name) for s in found) == key(expected)
    assert found == sorted(
        found, key=lambda s: (natural(s.learner), s.attempt, [natural(p) for p in s.name.split("/")])
    )
    # folders around everything are no part of a name
    assert all(s.data in [body for name, body in entries if f"/{name}".endswith(f"/{s.name}")] for s in found)
    strangers = {s.learner for s in found if "unknown-learner" in [p.id for p in s.problems]}
    assert strangers == ({s.learner for s in found} - set(roster().learners) if known else set())


def test_one_file_is_one_learners(tmp_path):
    folder(tmp_path, [("lee_q1.py", SHEET), ("notes.pdf", b"%PDF")])
    assert brief(tmp_path / "lee_q1.py") == [("lee", 1, "lee_q1.py", [])]
    assert brief(tmp_path / "lee_q1.py", roster()) == [("lee", 1, "lee_q1.py", [])]
    assert brief(tmp_path / "notes.pdf") == [("notes", 1, "notes.pdf", ["not-a-sheet"])]
    (tmp_path / "link.py").symlink_to("lee_q1.py")
    assert brief(tmp_path / "link.py") == [("link", 1, "link.py", [])]  # the teacher's own


def test_a_folder_that_is_one_learners(tmp_path):
    """However its files are called, they are one attempt; what is no sheet is said, and a link not followed."""
    names = ["bob_q1.py", "attempt-2/q.py", "photo.png", ".git/config"]
    made = folder(tmp_path / "in", [(name, SHEET) for name in names])
    (made / "link.py").symlink_to(made / "bob_q1.py")
    found = {each.name: [p.id for p in each.problems] for each in of_one(made, "ann")}
    assert found == {"attempt-2/q.py": [], "bob_q1.py": [], "link.py": ["unsafe"], "photo.png": ["not-a-sheet"]}
    assert {(each.learner, each.attempt) for each in of_one(made, "ann")} == {("ann", 1)}


def test_no_source(tmp_path):
    with pytest.raises(NotFoundError, match="give a folder, a zip, or a sheet"):
        collect(tmp_path / "none")


def test_an_empty_source_has_nothing(tmp_path):
    assert brief(tmp_path) == []
    assert brief(zipped(tmp_path / "s.zip", [])) == []


def test_what_is_known_of_a_learner_comes_along(tmp_path):
    source = folder(tmp_path / "s", [("Ann Lee_12345_assignsubmission_file/x.py", SHEET)])
    (plain,), (known,) = collect(source), collect(source, roster())
    assert (plain.learner, plain.person, plain.aliases) == ("12345", "Ann Lee", {"moodle": "12345"})
    assert (known.learner, known.person, known.aliases["email"]) == ("lee", "Ann Lee", "ann@example.org")
    assert pickle.loads(pickle.dumps([plain, known])) == [plain, known]  # they go to other processes


def test_a_stranger_never_has_the_id_of_another(tmp_path):
    """Moodle's 4714 is not the learner 4714, whose name is another; neither of two people of one name."""
    names = ["Tú Tran_4714_assignsubmission_file/x.py", "Wei Kim_1_assignsubmission_file/x.py"]
    found = list(collect(folder(tmp_path / "s", [(name, SHEET) for name in names]), roster()))
    assert [(s.learner, s.person, [p.id for p in s.problems]) for s in found] == [
        ("1", "Wei Kim", ["unknown-learner"]),
        ("4714 ?", "Tú Tran", ["unknown-learner"]),
    ]
    assert all(s.data == SHEET for s in found)


TYPED = {
    "moodle": (
        "Ann Lee_12345_assignsubmission_onlinetext/onlinetext.html",
        '<!DOCTYPE html><html><head><meta charset="UTF-8"></head><body><p>dz = (p&nbsp;- y) / N<br>dW = x.T @ dz</p>'
        "<p>q = r<sup>2</sup> &lt; 3</p><script>alert(1)</script></body></html>",
        "dz = (p - y) / N\ndW = x.T @ dz\nq = r^(2) < 3\n",
    ),
    "canvas": (
        "leeann_4711_text.html",
        "<html><head><title>HW 1: Ann Lee</title></head><body><h1>HW 1: Ann Lee</h1><div><pre>for i in range(3):\n"
        '    dW = 0</pre><img data-equation-content="\\frac{\\partial L}{\\partial z}=p" alt="LaTeX"></div></body>',
        "for i in range(3):\n    dW = 0\n$$\\frac{\\partial L}{\\partial z}=p$$\n",
    ),
}


@pytest.mark.parametrize("system", TYPED)
def test_what_was_typed_in_is_read_as_lines(tmp_path, system):
    name, page, lines = TYPED[system]
    (found,) = collect(folder(tmp_path / "s", [(name, page.encode())]))
    assert (found.data.decode(), found.problems) == (lines, ())
    (found,) = collect(folder(tmp_path / "e", [(name, b"<html><body> <p>&nbsp;</p></body></html>")]))
    assert [p.id for p in found.problems] == ["empty"]


def test_a_page_that_was_not_typed_in_is_no_sheet(tmp_path):
    names = ["leeann_4711_link.html", "leebo_4712_88_x.html"]
    found = brief(folder(tmp_path / "s", [(name, b"<p>dW = 1</p>") for name in names]))
    assert [problems for *_, problems in found] == [["not-a-sheet"]] * 2


@pytest.mark.parametrize(
    "answer", [b"dW = x.T @ dz", b'   "dW = x.T @ dz\\n",', rb"$$\frac{\partial L}{\partial W} = 2$$"]
)
def test_a_statement_with_an_answer_is_a_sheet(tmp_path, answer):
    entries = [("lee/x.py", SHEET), ("lee/statement.ipynb", b"z = x @ W\n" + answer + b"\n")]
    assert [name for _, _, name, _ in brief(folder(tmp_path / "s", entries))] == ["lee/statement.ipynb", "lee/x.py"]
    blank = [("lee/x.py", SHEET), ("lee/statement.ipynb", b"z = x @ W\ndW = ...\n")]
    assert [name for _, _, name, _ in brief(zipped(tmp_path / "b.zip", blank))] == ["lee/x.py"]


# -- hostile files -------------------------------------------------------------------------------------------------

# name, content, problem (None: taken as it is)
FILES = [
    ("x.pdf", b"%PDF", "not-a-sheet"),
    ("x.zip", b"PK\3\4", "not-a-sheet"),
    ("x", b"dW = 1", "not-a-sheet"),
    (".py", b"dW = 1", "not-a-sheet"),
    ("x.PY", b"dW = 1", None),
    ("x.markdown", b"dW = 1", None),
    ("empty.py", b"", "empty"),
    ("blank.py", b"\xef\xbb\xbf \n\n", "empty"),
    ("binary.py", bytes(range(256)), None),  # whoever reads it says that it is no text
    ("wide.txt", "dW = 1".encode("utf-16"), None),
    ("nul.py", b"dW\0 = 1", None),
    ("large.py", b"x" * 400_001, "too-large"),
    ("fits.py", b"x" * 400_000, None),
    ("large.ipynb", random.Random(0).randbytes(8_000_001), "too-large"),
    ("new\nline.py", b"dW = 1", None),
    ("\u202egnp.py", b"dW = 1", None),
    ("\x1b[2J.py", b"dW = 1", None),
    ("=1+1.py", b"dW = 1", None),
    ("<b>.py", b"dW = 1", None),
    ("$(touch x).py", b"dW = 1", None),
    ("n" * 251 + ".py", b"dW = 1", None),
]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(("name", "content", "problem"), FILES, ids=[shown(name)[:12] for name, *_ in FILES])
def test_files(tmp_path, name, content, problem, packed):
    entries = [(f"lee/{name}", content)]
    source = zipped(tmp_path / "s.zip", entries) if packed else folder(tmp_path / "s", entries)
    (found,) = collect(source)
    assert [p.id for p in found.problems] == ([problem] if problem else [])
    assert found.data == (content if problem in (None, "empty") else None)
    assert found.name == f"lee/{shown(name)}"
    assert found.name.isprintable() and len(found.name) < 300
    assert all(p.id in PROBLEMS and (":" in p.message or ";" in p.message) for p in found.problems)


def test_a_bomb_is_not_unpacked(tmp_path):
    """A gigabyte of zeros in a megabyte, and what says less than it holds."""
    path = tmp_path / "s.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("lee/big.py", "w", force_zip64=True) as file:
            for _ in range(100):
                file.write(bytes(1_000_000))
        archive.writestr("lee/lies.py", b"dW = 1\n" * 20_000)
        archive.writestr("lee/x.py", SHEET)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"lee/lies.py") - 46  # in the list at the end: it says that it has 10 bytes
    assert data[at : at + 4] == b"PK\1\2"
    struct.pack_into("<L", data, at + 24, 10)
    path.write_bytes(data)
    assert brief(path) == [
        ("lee", 1, "lee/big.py", ["unsafe"]),
        ("lee", 1, "lee/lies.py", ["unsafe"]),
        ("lee", 1, "lee/x.py", []),
    ]


def test_entries_that_share_their_bytes_are_a_bomb(tmp_path):
    """https://www.bamsoftware.com/hacks/zipbomb/: many entries of one content."""
    path = zipped(tmp_path / "s.zip", [("lee/a.py", SHEET), ("lee/b.py", SHEET), ("bo/x.py", SHEET)])
    data = bytearray(path.read_bytes())
    first, second = (data.rfind(name) - 46 for name in (b"lee/a.py", b"lee/b.py"))
    data[second + 42 : second + 46] = data[first + 42 : first + 46]  # where the file begins
    path.write_bytes(data)
    found = brief(path)
    assert found[0] == ("bo", 1, "bo/x.py", [])
    assert [problems for *_, problems in found[1:]] == [["unsafe"], ["unsafe"]]


LEADING_OUT = ["../x.py", "lee/../../x.py", "/x.py", "//x.py", "C:/x.py", "c:x.py", "lee\\x.py", "..\\x.py", "\\x.py"]


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_path_that_leads_out_is_refused_by_name(tmp_path, name):
    found = brief(zipped(tmp_path / "s.zip", [(info(name), SHEET), ("lee/x.py", SHEET)]))
    assert found == [(NOBODY, 1, shown(name), ["unsafe"]), ("lee", 1, "lee/x.py", [])]


def test_a_name_with_a_nul_is_not_cut(tmp_path):
    path = zipped(tmp_path / "s.zip", [("lee/x.py#/../z", SHEET)])
    path.write_bytes(path.read_bytes().replace(b"x.py#", b"x.py\0"))
    assert [(learner, name, problems) for learner, _, name, problems in brief(path)] == [
        (NOBODY, shown("lee/x.py\0/../z"), ["unsafe"])
    ]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_an_entry_that_is_no_file_is_refused(tmp_path, kind):
    path = zipped(tmp_path / "s.zip", [(info("lee/x.py", kind | 0o777), b"/etc/passwd")])
    assert brief(path) == [("lee", 1, "lee/x.py", ["unsafe"])]


@pytest.mark.parametrize(("at", "value", "problem"), [(8, 1, "unreadable"), (10, 14, "unreadable")])
def test_encrypted_and_oddly_packed_entries(tmp_path, at, value, problem):
    path = zipped(tmp_path / "s.zip", [("lee/x.py", SHEET)])
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.rfind(b"lee/x.py") - 46 + at, value)
    path.write_bytes(data)
    assert brief(path) == [("lee", 1, "lee/x.py", [problem])]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_an_archive_has_twice(tmp_path):
    path = zipped(tmp_path / "s.zip", [("lee/x.py", b"a = 1"), ("lee/x.py", b"b = 1"), ("lee//./x.py", b"c = 1")])
    found = list(collect(path))
    assert [(s.name, s.data, [p.id for p in s.problems]) for s in found] == [
        ("lee/x.py", b"a = 1", []),
        ("lee/x (2).py", b"b = 1", ["duplicate"]),
        ("lee/x (3).py", b"c = 1", ["duplicate"]),
    ]


def test_a_damaged_entry_costs_itself(tmp_path):
    path = zipped(tmp_path / "s.zip", [(info("a/x.py", method=zipfile.ZIP_STORED), SHEET), ("b/x.py", SHEET)])
    path.write_bytes(path.read_bytes().replace(SHEET, SHEET.replace(b"x.T", b"y.T"), 1))
    assert brief(path) == [("a", 1, "a/x.py", ["unreadable"]), ("b", 1, "b/x.py", [])]


@pytest.mark.parametrize("part", [0.0, 0.5, 0.98])
def test_a_part_of_an_archive_is_refused_as_a_whole(tmp_path, part):
    path = zipped(tmp_path / "s.zip", [(f"l{n}/x.py", SHEET) for n in range(50)])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert brief(path) == [(NOBODY, 1, "s.zip", ["unreadable"])]


def test_a_list_of_a_million_entries_is_not_held(tmp_path):
    path = zipped(tmp_path / "s.zip", [("lee/x.py", SHEET)])
    end = bytearray(path.read_bytes())
    at = end.rfind(b"PK\5\6")
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, 60_000_000, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    struct.pack_into("<HHLL", end, at + 8, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    path.write_bytes(bytes(end[:at]) + wide + locator + bytes(end[at:]))
    (found,) = collect(path)
    assert [p.id for p in found.problems] == ["unsafe"]
    assert "500,000" in found.problems[0].message


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_spoilt_archive_never_stops_the_batch(tmp_path, data):
    path = zipped(tmp_path / "s.zip", [(f"l{n}/x.py", SHEET * n) for n in range(4)] + [("_metadata/x.yml", METADATA)])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for found in collect(path, roster()):
        assert found.name.isprintable() and (found.learner or found.data is None)
        assert found.data is not None or found.problems


def test_names_of_another_encoding(tmp_path):
    """UTF-8 that does not say so, as a Mac has it, and bytes that are nothing."""
    name = "müller/x.py".encode()
    path = zipped(tmp_path / "s.zip", [("m@@ller/x.py", SHEET)])
    path.write_bytes(path.read_bytes().replace(b"m@@ller/x.py", name))
    assert brief(path, roster()) == [("müller", 1, "müller/x.py", [])]
    path.write_bytes(path.read_bytes().replace(name, b"m\xff\xfeller/x.py"))
    ((learner, _, shown_name, problems),) = brief(path, roster())
    assert (problems, learner.isprintable(), shown_name.isprintable()) == (["unknown-learner"], True, True)


def test_depth(tmp_path):
    deep = "/".join(["d"] * 1_000)
    path = zipped(tmp_path / "s.zip", [(f"lee/{deep}/x.py", SHEET), ("lee/a.py", SHEET)])
    assert [problems for *_, problems in brief(path)] == [[], ["unsafe"]]
    place = folder(tmp_path / "s", [("lee/a.py", SHEET)])
    os.makedirs(place / "lee" / "/".join(["d"] * 500))
    assert [problems for *_, problems in brief(place)] == [[], ["unsafe"]]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_learner_with_too_many_files(tmp_path, packed, monkeypatch):
    monkeypatch.setattr(places, "MOST_FILES", 5)
    entries = [(f"lee/{n}.py", SHEET) for n in range(20)] + [("zoe/x.py", SHEET)]
    source = zipped(tmp_path / "s.zip", entries) if packed else folder(tmp_path / "s", entries)
    found = brief(source)
    assert [name for _, _, name, _ in found] == ["lee/...", *(f"lee/{n}.py" for n in range(5)), "zoe/x.py"]
    assert found[0][3] == ["too-large"]


# -- hostile folders -------------------------------------------------------------------------------------------------


def test_links_pipes_and_sockets_are_not_opened(tmp_path):
    place = folder(tmp_path / "s", [("lee/x.py", SHEET), ("bo/x.py", SHEET)])
    bad = place / "lee"
    for name, target in {
        "a.py": "/etc/passwd", "b.py": "../bo/x.py", "c": "..", "d": ".", "e.py": "e.py", "f.py": "no", "g.pdf": "x.py",
    }.items():  # fmt: skip
        (bad / name).symlink_to(target)
    (place / "zoe").symlink_to("bo")
    (place / "zoe.py").symlink_to("bo/x.py")
    os.mkfifo(bad / "pipe.py")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(bad)  # the name of a socket is short
    try:
        server.bind("socket.py")
    finally:
        os.chdir(here)
    found = brief(place)
    server.close()
    assert Counter(tuple(problems) for *_, problems in found) == {("unsafe",): 11, (): 2}
    assert {name for _, _, name, problems in found if not problems} == {"lee/x.py", "bo/x.py"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(tmp_path):
    place = folder(tmp_path / "s", [("lee/x.py", SHEET)])
    try:
        os.mknod(place / "lee" / "zero.py", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except OSError:
        pytest.skip("no devices here")
    assert brief(place) == [("lee", 1, "lee/x.py", []), ("lee", 1, "lee/zero.py", ["unsafe"])]


@pytest.mark.parametrize("code", ["EACCES", "ENOENT", "EIO", "EMFILE"])
def test_what_may_not_be_opened_costs_itself(tmp_path, monkeypatch, code):
    """Root may open everything, so the system's answer is played."""
    import errno

    number, opened = getattr(errno, code), os.open

    def refusing(path, *args, **kwargs):
        if str(path) in ("locked.py", "locked"):
            raise OSError(number, os.strerror(number))
        return opened(path, *args, **kwargs)

    place = folder(tmp_path / "s", [("lee/locked.py", SHEET), ("lee/locked/x.py", SHEET), ("zoe/x.py", SHEET)])
    monkeypatch.setattr(os, "open", refusing)
    assert brief(place) == [
        ("lee", 1, "lee/locked", ["unreadable"]),
        ("lee", 1, "lee/locked.py", ["unreadable"]),
        ("zoe", 1, "zoe/x.py", []),
    ]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    names = ("a/1.py", "a/2.py", "a/3.py", "grown/x.py", "link/x.py", "z/x.py")
    place = folder(tmp_path / "s", [(name, SHEET) for name in names])
    found = collect(place)
    assert next(found).name == "a/1.py"
    (place / "a" / "2.py").unlink()
    (place / "a" / "3.py").unlink()
    (place / "a" / "3.py").symlink_to("1.py")
    with (place / "grown" / "x.py").open("ab") as file:
        file.truncate(2_000_000_000)  # sparse: it takes no room, and is not read
    (place / "link").rename(place / "moved")
    (place / "link").symlink_to("moved")
    assert [(s.name, [p.id for p in s.problems]) for s in found] == [
        ("a/2.py", ["unreadable"]),
        ("a/3.py", ["unsafe"]),
        ("grown/x.py", ["too-large"]),
        ("link", ["unsafe"]),
        ("z/x.py", []),
    ]


def test_a_file_that_says_to_be_small_is_read_to_the_limit_alone(tmp_path, monkeypatch):
    """As one that grows, or one of a system that makes its files as they are read."""
    place = folder(tmp_path / "s", [("lee/x.py", b"x" * 3_000_000)])
    small, stated = (place / "lee").stat(), os.fstat
    plain = os.stat_result((stat.S_IFREG | 0o644, *small[1:6], 10, *small[7:]))
    monkeypatch.setattr(os, "fstat", lambda handle: plain if stat.S_ISREG(stated(handle).st_mode) else stated(handle))
    assert brief(place) == [("lee", 1, "lee/x.py", ["too-large"])]


def test_a_gigabyte_is_not_read(tmp_path):
    place = folder(tmp_path / "s", [("lee/x.py", SHEET)])
    with (place / "lee" / "large.ipynb").open("wb") as file:
        file.truncate(1 << 30)
    assert brief(place) == [("lee", 1, "lee/large.ipynb", ["too-large"]), ("lee", 1, "lee/x.py", [])]


def test_bytes_as_names(tmp_path):
    place = folder(tmp_path / "s", [("lee/x.py", SHEET)])
    try:
        with open(os.fsencode(place) + b"/lee/\xff\n.py", "wb") as file:
            file.write(SHEET)
    except OSError:
        pytest.skip("names have to be UTF-8 here")
    assert brief(place) == [("lee", 1, "lee/x.py", []), ("lee", 1, "lee/\\xff\\x0a.py", [])]


# -- Gradescope's list -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a\n- b\n",
        b"[" * 5_000,
        b"{" * 5_000,
        b"a: &a [1]\nb: *a\n? [x]\n: y\n",
        b"a: !!python/object/apply:os.system ['touch owned']\n",
        b"submission_1:\n  :submitters:\n  - :name: \xff\xfe\n",
        b"submission_1: {:submitters: [{:sid: x}], :history: 3}\n",
        b"&a submission_1: &b\n  :submitters: [*a, *b, {<<: *b}]\n",
        b"\0\1\2",
    ],
)
def test_a_list_that_is_none(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = folder(tmp_path / "s", [("submission_metadata.yml", text), ("submission_1/x.py", SHEET)])
    (found,) = collect(place)
    assert (found.name, found.data, found.problems) == ("submission_1/x.py", SHEET, ())
    assert os.listdir(tmp_path) == ["s"]


def test_references_do_not_multiply():
    """A billion laughs, as YAML has them: what refers is not followed."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    found = systems.gradescope(io.BytesIO("\n".join(lines).encode()))
    assert all(each == systems.Exported(()) for each in found.values())


# -- properties --------------------------------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="/\0")
NAMES = st.text(LETTERS, min_size=1, max_size=40).filter(lambda name: name not in (".", "..")) | st.sampled_from(
    [
        "x.py",
        "lee",
        "lee_x.py",
        ".DS_Store",
        "__MACOSX",
        "README.md",
        "Ann Lee_12345_assignsubmission_file",
        "a_1_2_x.py",
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def is_passed_over(path):
    """The documented list, written once more."""
    tools = {".ds_store", "__macosx", "thumbs.db", "desktop.ini", ".git", "__pycache__", ".ipynb_checkpoints"}
    parts = path.split("/")
    return (
        any(part.lower() in tools or part.casefold() in tools or part.startswith("._") for part in parts)
        or os.path.splitext(parts[-1])[0].lower() in ("readme", "statement")
        or os.path.splitext(parts[-1])[0].lower().endswith(("_readme", "_statement"))
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.lists(PATHS, min_size=1, max_size=8, unique=True), known=st.booleans())
def test_no_file_is_lost(tmp_path_factory, paths, known):
    """Every file gives one submission, or is on the list of what is passed over."""
    path = tmp_path_factory.mktemp("p") / "s.zip"
    entries = {name: f"# {n}\n".encode() for n, name in enumerate(paths)}
    zipped(path, entries.items())
    found = list(collect(path, roster() if known else None))
    names = [s.name for s in found]
    assert len(set((s.learner, s.attempt, s.name) for s in found)) == len(found)
    expected = {"/".join(map(shown, name.split("/"))) for name in paths if not is_passed_over(name)}
    odd = {shown(name) for name in paths if "\\" in name or name[1:2] == ":"}
    plain = [name.split("/") for name in expected if "\\\\" not in name and name[1:2] != ":"]
    around = max((n for n in range(4) if len({tuple(parts[:n]) for parts in plain}) == 1), default=0)
    assert any({"/".join(parts[n:]) for parts in plain} <= set(names) for n in range(around + 1))
    assert len(names) <= len(paths)
    assert odd <= set(names)
    for each in found:
        assert each.name.isprintable() and each.learner.isprintable() and each.person.isprintable()
        assert each.learner or each.data is None
        assert each.data is not None or each.problems


@given(st.text(max_size=300), st.text(max_size=300))
def test_shown_names_are_safe_and_stay_two(one, other):
    assert shown(one).isprintable()
    assert len(shown(one)) <= max(places.MOST_NAME, 0)
    assert (shown(one) == shown(other)) == (one == other)


@given(st.lists(st.text(max_size=12)))
def test_the_natural_order_is_one_order(names):
    assert sorted(names, key=natural) == sorted(reversed(names), key=natural)


def test_the_natural_order():
    names = ["x10", "x2", "X2", "x02", "y1", "x", "x2b", "x2a10", "x2a9", "9" * 5_000, "1" * 5_001]
    assert sorted(names, key=natural) == [
        "9" * 5_000, "1" * 5_001, "x", "X2", "x02", "x2", "x2a9", "x2a10", "x2b", "x10", "y1",
    ]  # fmt: skip


def test_the_order_hangs_on_names_alone(tmp_path):
    entries = [(f"l{n}/{m}.py", SHEET) for n in range(12) for m in range(3)]
    orders = []
    for seed in range(3):
        random.Random(seed).shuffle(entries)
        orders.append(brief(folder(tmp_path / str(seed) / "s", entries)))
        orders.append(brief(zipped(tmp_path / str(seed) / "s.zip", entries)))
    assert all(order == orders[0] for order in orders)
    assert [learner for learner, *_ in orders[0]][::3] == [f"l{n}" for n in range(12)]


# -- nothing is touched, nothing is run ----------------------------------------------------------------------------


def tree(folder):
    return sorted((str(p), p.lstat().st_mtime_ns, p.is_symlink()) for p in folder.rglob("*"))


def test_nothing_is_written_and_nothing_outside_is_opened(tmp_path, monkeypatch):
    made = make(tmp_path / "class", learners=24, seed=1)
    before = tree(tmp_path)
    opened = []

    def hook(event, args):
        if event == "open" and threading.current_thread() is threading.main_thread() and watching:
            opened.append((args[0], args[2]))
        if watching and event in (
            "exec",
            "compile",
            "import",
            "os.system",
            "subprocess.Popen",
            "os.exec",
            "marshal.loads",
        ):
            opened.append((event, None))

    watching = False
    list(collect(made.folder / "gradescope.zip"))  # what is imported late is imported
    sys.addaudithook(hook)  # it stays for good, and is silent afterwards
    known = Roster.read(made.roster)
    watching = True
    for source in made.sources.values():
        list(collect(source, known))
    watching = False
    assert tree(tmp_path) == before
    events = [name for name, flags in opened if flags is None]
    assert events == []
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    assert opened and not [name for name, flags in opened if flags & writing]
    for name, _ in opened:  # relative to the folder's handle, one step at a time
        path = str(name)
        assert not path.startswith("/") and "/" not in path or path.startswith(str(tmp_path)) or isinstance(name, int)
    assert not hasattr(builtins, "owned")


# -- a class -----------------------------------------------------------------------------------------------------------


def test_a_class_is_the_same_for_the_same_seed(tmp_path):
    one, other, third = (make(tmp_path / name, 12, seed) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    for name in ("roster.csv", "moodle.zip", "canvas.zip", "gradescope.zip"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
        assert (one.folder / name).read_bytes() != (third.folder / name).read_bytes()


@pytest.mark.parametrize("source", ["submissions", "moodle.zip", "canvas.zip", "gradescope.zip"])
def test_a_whole_class_by_every_way(tmp_path, source):
    """Every sheet of every learner arrives as it was handed in, under the learner's id; what fails is said to."""
    made = make(tmp_path, learners=200, seed=0)
    found = list(collect(made.sources[source], Roster.read(made.roster)))
    failing = {name for name, _ in FAILURES.values()}
    by_learner: dict[str, list] = {}
    for each in found:
        by_learner.setdefault(each.learner, []).append(each)
    for learner in made.learners:
        own = by_learner[learner.id]
        sheets = Counter(each.data for each in own if each.data is not None and not each.problems)
        for name, content in learner.files.items():
            if name not in failing:
                assert sheets[content] == 1, (learner.id, name)
        problems = {p.id for each in own for p in each.problems}
        expected = {"archive": "not-a-sheet", "binary": None, "utf-16": None}.get(learner.failure, learner.failure)
        if learner is not made.learners[0]:
            again = bool(learner.earlier) and source in ("canvas.zip", "gradescope.zip")
            earlier = any(each.data in learner.earlier.values() for each in own)
            assert max(each.attempt for each in own) == 1 + (again or earlier)
            assert problems == ({expected} if expected else set())
    strangers = set(by_learner) - {learner.id for learner in made.learners}
    assert strangers <= {NOBODY}
    hostile = {Path(each.name).name: [p.id for p in each.problems] for each in by_learner[made.learners[0].id]}
    assert {name: hostile[name] for name in made.hostile.get(source, {})} == {
        name: [problem] for name, problem in made.hostile.get(source, {}).items()
    }
