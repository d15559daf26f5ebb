"""Finding, listing and loading exercise files: static metadata, addresses, and every error's words."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tutor import catalogue
from tutor.catalogue import entries, find, folder, load, read_entry, split_address
from tutor.errors import ExerciseError, NotFoundError, TutorError, UsageError
from tutor.exercise import Exercise

ENTRIES = entries()
IDS = [entry.id for entry in ENTRIES]

FAMILY = '''
    """A family.

    Its second paragraph.
    """
    from typing import Annotated, Literal
    from tutor import Exercise

    def exercise(
        depth: Annotated[int, range(1, 9)] = 2,
        loss: Literal["mse", "mae"] = "mse",
        rate: float = 0.5,
        bias: bool = False,
        note: str = "none",
        *,
        count: int = 3,
    ) -> Exercise:
        exercise = Exercise("trial", title="A trial", level=7, tags=["one", "two"], requires=["linear-regression"])
        x = exercise.parameter("x")
        exercise.given = dict(depth=depth, loss=loss, rate=rate, bias=bias, note=note, count=count)
        exercise.loss("L", x**depth)
        return exercise
'''
PLAIN = """
    from tutor import Exercise

    exercise = Exercise("plain")
    x = exercise.parameter("x")
    exercise.loss("L", x**2)
"""
HAS = (
    r"trial has depth: int, 1 to 8, default 2; loss: mse\|mae, default mse; rate: float, default 0.5; "
    r"bias: true\|false, default false; note: str, default none; count: int, default 3"
)


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "trial.py") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


# -- the list -------------------------------------------------------------------------------


def test_the_folder_is_the_one_in_the_checkout_or_the_package():
    assert folder().is_dir() and folder().name == "exercises"
    assert len(IDS) == len(set(IDS)) == len([f for f in folder().glob("*.py") if not f.name.startswith("_")])


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_what_the_list_says_is_what_loading_gives(entry):
    loaded = load(entry.id)
    assert (loaded.id, loaded.name, loaded.title, loaded.level) == (entry.id, entry.id, entry.title, entry.level)
    assert (loaded.tags, loaded.requires, loaded.source) == (entry.tags, entry.requires, entry.source)
    assert (loaded.statement, loaded.path) == (entry.statement, entry.path)
    assert entry.path.stem.replace("_", "-") == entry.id


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.is_family], ids=lambda e: e.id)
def test_the_parameters_in_the_list_are_those_of_the_function(entry):
    namespace: dict = {"__name__": "trial"}
    exec(compile(entry.path.read_text(), str(entry.path), "exec"), namespace)
    signature = inspect.signature(namespace["exercise"])
    assert [(p.name, p.default) for p in entry.parameters] == [
        (p.name, p.default) for p in signature.parameters.values()
    ]
    for mine, true in zip(entry.parameters, signature.parameters.values(), strict=True):
        if mine.choices:
            assert true.annotation.__args__ == mine.choices
        elif mine.kind == "bool":
            assert true.annotation is bool
        else:
            assert true.annotation.__metadata__ == (range(mine.low, mine.high + 1),)


def test_an_entry_is_plain_data():
    for entry in ENTRIES:
        assert json.loads(json.dumps(entry.to_dict()))["id"] == entry.id


def run_python(code: str) -> str:
    root = str(Path(catalogue.__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": root}
    )
    return done.stdout.strip()


def test_listing_imports_neither_sympy_nor_torch():
    code = """
        import sys, tutor, tutor.catalogue
        tutor.catalogue.entries()
        tutor.catalogue.find("mlp")
        print([m for m in ("sympy", "torch", "tutor.exercise") if m in sys.modules])
    """
    assert run_python(dedent(code)) == "[]"


def test_loading_does_not_import_torch():
    code = """
        import sys, tutor
        for entry in tutor.entries():
            tutor.load(entry.id)
        print("sympy" in sys.modules, "torch" in sys.modules)
    """
    assert run_python(dedent(code)) == "True False"


def test_a_broken_file_does_not_hide_the_others(write, tmp_path):
    write(PLAIN, "plain.py")
    write("x = = 1", "broken_file.py")
    write("raise RuntimeError('never run by the list')", "other.py")
    (tmp_path / "__init__.py").write_text("raise RuntimeError")
    found = entries(tmp_path)
    assert [e.id for e in found] == ["other", "plain", "broken-file"]
    assert "line 1: invalid syntax: x = = 1" in found[-1].title


# -- static reading -------------------------------------------------------------------------


def test_a_familys_metadata_is_read_without_running_it(write):
    entry = read_entry(write(FAMILY))
    assert (entry.id, entry.title, entry.level) == ("trial", "A trial", 7)
    assert entry.tags == ("one", "two") and entry.requires == ("linear-regression",)
    assert entry.statement == "A family.\n\nIts second paragraph."
    kinds = {p.name: (p.kind, p.default, p.choices, p.low, p.high) for p in entry.parameters}
    assert kinds == {
        "depth": ("int", 2, (), 1, 8),
        "loss": ("choice", "mse", ("mse", "mae"), None, None),
        "rate": ("float", 0.5, (), None, None),
        "bias": ("bool", False, (), None, None),
        "note": ("str", "none", (), None, None),
        "count": ("int", 3, (), None, None),
    }


@pytest.mark.parametrize(
    "annotation, default, allowed",
    [
        ("int", "2", "int"),
        ("'int'", "2", "int"),
        ("float", "2", "float"),
        ("bool", "True", "true|false"),
        ("Annotated[int, range(5)]", "0", "int, 0 to 4"),
        ("typing.Annotated[int, range(-3, 5)]", "-3", "int, -3 to 4"),
        ("typing.Literal['a']", "'a'", "a"),
        ("Literal[1, 2]", "2", "1|2"),
        ("Literal[True, 'auto']", "True", "true|auto"),
    ],
)
def test_annotations_that_are_understood(write, annotation, default, allowed):
    (parameter,) = read_entry(write(f"def exercise(q: {annotation} = {default}): ...")).parameters
    assert parameter.allowed == allowed
    assert parameter.read(catalogue.spelled(parameter.default)) == parameter.default


@pytest.mark.parametrize(
    "signature, words",
    [
        ("q: int", r"line 1: the parameter q has no default: give it one"),
        ("q=1", r"the parameter q has the type none: write int, float, bool, str, Literal"),
        ("q: list = 1", r"the parameter q has the type list: write int"),
        ("q: Annotated[int, 3] = 1", r"the parameter q has the type Annotated\[int, 3\]: write"),
        ("q: Annotated[int, range(3, 3)] = 3", r"the parameter q has the type Annotated\[int, range\(3, 3\)\]"),
        ("q: Annotated[int, range(0, 9, 2)] = 3", r"the parameter q has the type Annotated"),
        ("q: Annotated[float, range(3)] = 1.0", r"the parameter q has the type Annotated"),
        ("q: Literal[1.5] = 1.5", r"the parameter q has the type Literal"),
        ("q: 'int(' = 1", r"the parameter q has the type"),
        ("q: int = 1.5", r"the parameter q has the default 1.5, which is not int"),
        ("q: int = True", r"the parameter q has the default True, which is not int"),
        ("q: Literal['a', 'b'] = 'c'", r"the parameter q has the default 'c', which is not a\|b"),
        ("q: Literal[1, 2] = True", r"the parameter q has the default True, which is not 1\|2"),
        ("q: Annotated[int, range(1, 4)] = 4", r"the parameter q has the default 4, which is not int, 1 to 3"),
        ("q: int = two", r"the parameter q has the default two: write a plain number"),
        ("*q", r"a family has named parameters only, each with a default"),
        ("**q", r"a family has named parameters only"),
        ("q: int = 1, /", r"a family has named parameters only"),
    ],
)
def test_signatures_that_are_refused(write, signature, words):
    path = write(f"def exercise({signature}): ...")
    with pytest.raises(ExerciseError, match=words):
        read_entry(path)


# -- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address, parts",
    [
        ("mlp", ("mlp", None)),
        (" mlp ", ("mlp", None)),
        ("mlp:layers=4,loss=mae", ("mlp", "layers=4,loss=mae")),
        ("mlp:", ("mlp", "")),
        ("file.py", ("file.py", None)),
        ("a/b.py:layers=4", ("a/b.py", "layers=4")),
        ("C:\\a\\b.py", ("C:\\a\\b.py", None)),
        ("C:/a/b.py:n=2", ("C:/a/b.py", "n=2")),
        (Path("a") / "b.py", (str(Path("a") / "b.py"), None)),
    ],
)
def test_splitting(address, parts):
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "given, normal",
    [
        ("", ""),
        (":depth=2", ""),
        (":depth=4", ":depth=4"),
        (":depth=+4", ":depth=4"),
        (":loss=mae,depth=4", ":depth=4,loss=mae"),
        (": depth = 4 , loss = mse ", ":depth=4"),
        (":bias=TRUE,rate=1", ":rate=1.0,bias=true"),
        (":rate=1e-3", ":rate=0.001"),
        (":rate=0.50", ""),
        (":note=a b", ":note=a b"),
        (":count=-7", ":count=-7"),
    ],
)
def test_the_id_is_normal(write, given, normal):
    path = write(FAMILY)
    loaded = load(f"{path}{given}")
    assert loaded.id == f"trial{normal}"
    assert loaded.path == path
    assert load(f"{path}{loaded.id.removeprefix('trial')}").given == loaded.given


def test_values_reach_the_family_with_their_types(write):
    loaded = load(f"{write(FAMILY)}:depth=8,loss=mae,rate=2,bias=true,note=x,count=10")
    assert loaded.given == {"depth": 8, "loss": "mae", "rate": 2.0, "bias": True, "note": "x", "count": 10}
    assert {k: type(v) for k, v in loaded.given.items()}["rate"] is float


@pytest.mark.parametrize(
    "given, words",
    [
        ("depth=9", r"depth=9 is not int, 1 to 8. " + HAS),
        ("depth=0", r"depth=0 is not int, 1 to 8"),
        ("depth=2.0", r"depth=2.0 is not int, 1 to 8"),
        ("depth=two", r"depth=two is not int, 1 to 8"),
        ("depth=1_0", r"depth=1_0 is not int, 1 to 8"),
        ("depth=٣", r"is not int, 1 to 8"),
        ("count=" + "9" * 5000, r"^count=999999999999.{,30}\.\.\. is not int\. trial has"),
        ("rate=nan", r"rate=nan is not float"),
        ("rate=inf", r"rate=inf is not float"),
        ("rate=", r"rate= is not float"),
        ("bias=1", r"bias=1 is not true\|false"),
        ("loss=maee", r'loss=maee is not mse\|mae. did you mean "mae"\? trial has depth'),
        ("loss=xyz", r"loss=xyz is not mse\|mae. trial has depth"),
        ("dept=3", r'trial has no parameter "dept"; did you mean "depth"\? ' + HAS),
        ("zzz=3", r'trial has no parameter "zzz"; trial has depth'),
        ("depth", r'"depth" is not a parameter: write trial:depth=2. trial has depth'),
        ("depth=3,", r'"" is not a parameter: write trial:depth=2'),
        ("", r'"" is not a parameter: write trial:depth=2'),
        ("=3", r'"=3" is not a parameter'),
        ("depth=3,depth=3", r'"trial:depth=3,depth=3" gives depth twice: give it once'),
    ],
)
def test_bad_parameters(write, given, words):
    path = write(FAMILY)
    with pytest.raises(UsageError, match=words):
        load(f"{path}:{given}")


def test_parameters_for_what_is_no_family(write):
    with pytest.raises(UsageError, match='plain has no parameters: write "plain" without ":layers=4"'):
        load(f"{write(PLAIN, 'plain.py')}:layers=4")
    with pytest.raises(UsageError, match='softmax-regression has no parameters: write "softmax-regression"'):
        load("softmax-regression:layers=4")


@pytest.mark.parametrize(
    "address, words",
    [
        ("softmax_regresion", r'no exercise "softmax_regresion"; did you mean "softmax-regression"\? \'tutor list\''),
        ("MLP", r'no exercise "MLP"; did you mean "mlp"\? \'tutor list\' shows all'),
        ("zzzzzz", r"no exercise \"zzzzzz\"; 'tutor list' shows all"),
        ("", r"no exercise \"\"; 'tutor list' shows all"),
        ("nowhere/file.py", r"cannot open nowhere/file.py: there is no such file; give the path of an exercise file"),
        ("file.py:layers=3", r"cannot open file.py: there is no such file"),
        ("nowhere/at/all", r"cannot open nowhere/at/all: there is no such file"),
        ("regression", r'no exercise "regression"; did you mean "linear-regression"\?'),
        (Path("mlp"), r"cannot open mlp: there is no such file"),
        (".." + os.sep, r"\.\. is a folder: give the path of one exercise file in it"),
    ],
)
def test_not_found(address, words):
    with pytest.raises(NotFoundError, match=words):
        load(address)


def test_a_file_beside_is_pointed_at(write, tmp_path, monkeypatch):
    write(PLAIN, "mine.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r'the file mine.py is here: to use it, write "mine.py"'):
        load("mine")
    assert load("mine.py").id == "plain"


# -- running a file ---------------------------------------------------------------------------


def test_every_load_gives_a_fresh_exercise(write):
    path = write(PLAIN)
    before = set(sys.modules)
    first, second = load(path), load(str(path))
    assert first is not second and isinstance(first, Exercise)
    assert set(sys.modules) - before == set()
    path.write_text(path.read_text().replace("x**2", "x**3"))
    assert str(load(path)["L"].expr) == "x**3"


def test_a_statement_given_to_the_exercise_comes_before_the_docstring(write):
    path = write('"""Doc."""\n' + dedent(PLAIN).replace('"plain"', '"plain", statement="Given."'))
    assert read_entry(path).statement == load(path).statement == "Given."


def test_a_dataclass_and_future_annotations_in_an_exercise_file(write):
    text = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import Annotated, ClassVar
        from tutor import Exercise

        @dataclass
        class Shape:
            kind: ClassVar[str] = "scalar"
            n: int = 2

        def exercise(n: Annotated[int, range(1, 4)] = 2) -> Exercise:
            exercise = Exercise("future")
            x = exercise.parameter("x")
            exercise.loss("L", x ** Shape(n).n)
            return exercise
    """
    assert load(f"{write(text)}:n=3").id == "future:n=3"


BODY = "from tutor import Exercise\nexercise = Exercise('trial')\nx = exercise.parameter('x')\n"
BROKEN = {
    "syntax": ("a = 1\nb = = 2\n", r"trial.py, line 2: invalid syntax: b = = 2"),
    "a null byte": ("a = 1\0\n", r"trial.py.*null byte"),
    "nesting": ("a = " + "(" * 3000 + ")" * 3000, r"trial.py.*: (too many nested parentheses|.*nested)"),
    "an exception": ("a = 1\nb = a / 0\n", r"trial.py, line 2: ZeroDivisionError: division by zero"),
    "in a function": (
        "def f():\n    return [][3]\n\nf()\n",
        r"trial.py, line 2: IndexError: list index out of range",
    ),
    "an import": (
        "import no_such_module\n",
        r"trial.py, line 1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "an exit": ("import sys\nsys.exit(3)\n", r"trial.py, line 2: SystemExit: 3"),
    "our own error": (
        BODY + "exercise.loss('L', x + undefined)\n",
        r"trial.py, line 4: NameError: name 'undefined' is not defined",
    ),
    "a definition that is not sound": (
        BODY + "\nexercise.input('x')\n",
        r"trial.py, line 5: exercise trial: x is already a quantity",
    ),
    "a program that is not sound": (BODY, r"trial.py: exercise trial: there is no loss and no output"),
    "an unknown name": (
        BODY + "exercise.loss('L', x)\nexercise.ask('w')\n",
        r'trial.py: exercise trial has no quantity "w"',
    ),
    "no exercise": (
        "a = 1\n",
        r'trial.py defines no "exercise": write exercise = Exercise\("name", ...\), or a family',
    ),
    "an empty file": ("", r'trial.py defines no "exercise"'),
    "something else": ("exercise = 3\n", r'"exercise" is a value of type int: write exercise = Exercise'),
    "a family without return": (
        "def exercise():\n    pass\n",
        r"exercise\(...\) returns None: end it with `return exercise`",
    ),
    "a family of something else": ("def exercise():\n    return 3\n", r"exercise\(...\) returns a value of type int"),
    "a family that fails": (
        "def exercise(n: int = 2):\n    return 1 / 0\n",
        r"trial.py, line 2: ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_file_that_does_not_run(write, wrong):
    text, words = BROKEN[wrong]
    path = write("")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExerciseError, match=words):
        load(path)
    assert not [name for name in sys.modules if name.startswith("tutor_exercise_")]


def test_an_interrupt_is_not_swallowed(write):
    with pytest.raises(KeyboardInterrupt):
        load(write("raise KeyboardInterrupt\n"))


def test_an_unreadable_file(write):
    path = write(PLAIN)
    path.write_bytes(b"a = '\xff'\n")
    with pytest.raises(ExerciseError, match=r"trial.py"):
        load(path)


@pytest.mark.parametrize(
    "name",
    [
        "mlp",
        "nowhere.py",
        "",
        ":",
        "a/b",
        "~nobody/x.py",
        "\0",
        "x.py\0",
        "a" * 5000,
        "/" * 5000 + "x.py",
        "~nowhere/x.py",
    ],
)
@pytest.mark.parametrize("given", [":", ":x", ":x=1", "::", ":=,", ":\0"])
def test_every_error_is_one_of_ours(name, given):
    with pytest.raises(TutorError):
        load(name + given)


def test_find_gives_the_entry_of_an_id():
    assert find("mlp").parameters[0].name == "layers"


def test_a_file_that_is_no_python_is_never_run(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("raise SystemExit('executed')")
    with pytest.raises(NotFoundError, match="notes.txt is no exercise file: its name would end in .py"):
        load(str(path))


def test_a_file_without_a_slash_is_pointed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(NotFoundError, match="the file notes.md is here, but exercise files end in .py"):
        load("notes.md")


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("Sum(a*x)", r"Sum\(a\*x\) names no index to sum over: write Sum\(a\*x, i\)"),
        ("Sum(x**2)", r"a Sum names no index to sum over: write Sum\(x\[i\], i\)"),
    ],
)
def test_a_sum_without_an_index_says_how_it_is_written(tmp_path, loss, says):
    path = tmp_path / "own.py"
    text = (
        dedent(PLAIN)
        .replace('"L", x**2', f'"L", {loss}')
        .replace("import Exercise", "import Exercise\nfrom sympy import Sum")
    )
    path.write_text(text.replace("exercise.loss", 'a = exercise.parameter("a")\nexercise.loss'))
    with pytest.raises(ExerciseError, match=f"line 8: {says}"):
        load(path)
