"""`tutor import`: a model of the user's own becomes an exercise file; and what is said of each thing that is wrong."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

import tutor
from tutor import cli
from tutor.errors import UsageError
from tutor.torch_import.spelling import input_form, target_form
from tutor.torch_import.typed_losses import LOSSES

NET = '''\
"""A small classifier."""
import torch
from torch import nn


class Net(nn.Module):
    """Seven numbers in, three classes."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 3)

    def forward(self, x):
        return self.fc(x)


def build_model():
    return Net()


if __name__ == "__main__":
    raise RuntimeError("it is no program here")
'''
MORE = """\
import torch
from torch import nn


class Part(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return self.fc(x)


class Other(nn.Module):
    def __init__(self, depth, width=3):
        super().__init__()


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 3)

    def forward(self, x, y):
        made = self.fc(x)
        return {"made": made, "cost": (made * y).sum()}


class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(7, 4)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x):
        h = self.fc1(x).relu()
        return self.fc2(h)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 4)

    def forward(self, ids):
        return self.table(ids)


class Drop(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.fc(x))


act = nn.Tanh()
rectify = nn.ReLU()
number = 3


def pair(width):
    return nn.Linear(width, 2)


def nothing():
    pass


def branch(x, w):
    if (x * w).sum() > 0:
        return x * w
    return x


def sorted_sum(x):
    y, _ = torch.sort(x, dim=0)
    return y


def root(x, w):
    return ((x * x) @ w).sqrt()


def doubled(x):
    print("a word of the model's")
    return 2 * x


def inplace(x, w):
    x *= w
    return x.sum()


def interrupted():
    raise KeyboardInterrupt
"""


@pytest.fixture
def run(capsys):
    """`code, out, err = run("import", ...)`, in this process."""

    def call(*args: str) -> tuple[int, str, str]:
        code = cli.main(["import", *args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with the user's files, where the commands are typed."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "more.py").write_text(MORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


# -- what is made ----------------------------------------------------------------------------------


def test_a_model_becomes_a_file(run):
    code, out, err = run("net.py:build_model", "--input", "6x7", "--target", "index:3", "-o", "mine.py")
    assert (code, err) == (0, "")
    for said in (
        "from net.py:build_model", "2 parameters with 24 entries", "N=6, D=7, K=3", "cross-entropy",
        "dfc_weight (K, D)", "with torch's autograd to", "written: mine.py", "tutor show mine.py",
        "tutor derive mine.py --wrt fc_weight",
        "tutor start mine.py",
    ):  # fmt: skip
        assert said in out, said
    assert Path("mine.py").read_text().startswith('"""Seven numbers in, three classes."""')
    exercise = tutor.load("mine.py")
    assert list(exercise.asked) == ["fc_weight", "fc_bias"]
    assert tutor.verify(exercise, seeds=(0,)).agrees
    dz = "dfc = (torch.softmax(fc, 1) - F.one_hot(target, K)) / N"
    assert tutor.check(exercise, f"{dz}\ndfc_bias = dfc.sum(0)\ndfc_weight = dfc.T @ x").verdict == "correct"


def test_without_a_file_it_goes_to_stdout(run):
    code, out, err = run("net.py", "--input", "6x7", "--no-verify")
    assert code == 0 and "no name was given" in err and "given from above" in err and "autograd" not in err
    written("printed.py", out)
    assert [q.kind for q in tutor.load("printed.py")][-1] == "output"


def test_choices(run):
    sizes = {}
    for steps in (["--coarse"], ["--steps", "coarse"], [], ["--steps=standard"], ["--fine"], ["--steps", "fine"]):
        code, out, _ = run("net.py", "--input", "6x7", "--target", "index:3", "--no-verify", *steps)
        assert code == 0
        sizes.setdefault(out.count("exercise.step"), []).append(steps)
    assert [len(same) for _, same in sorted(sizes.items())] == [2, 2, 2]
    out = run("net.py", "--input", "6x7", "--names", "short", "--name", "own-id", "--title", "Own", "--no-verify")[1]
    assert 'Exercise("own-id", title="Own"' in out and 'parameter("W"' in out


@pytest.mark.parametrize(
    "model, args, said",
    [
        ("more.py:act", ["--input", "4x3"], "it has no parameters that learn: asked is dinput"),
        ("more.py:root", ["--input", "4x3:positive", "--input", "3:positive"], "asked    dx (N, D), dw (D,)"),
        ("more.py:Both", ["--input", "4x5", "--input", "4x3", "--loss", "cost"], "output['cost'], which the model"),
        ("more.py:Both", ["--input", "4x5", "--input", "4x3"], "--loss cost takes that one alone"),
        ("more.py:inplace", ["--input", "4", "--input", "4"], "L, which the model computes itself"),
        ("more.py:Words", ["--input", "4x6:index:11", "--loss", "mean"], "ids (N, T)"),
        ("more.py:Drop", ["--input", "4x5", "--loss", "sum"], "it is in train mode"),
        ("net.py:Net", ["--input", "1x7"], "an axis of 1 stays 1"),
        ("net.py:Net", ["--input", "7", "--target", "index:3"], "target ()"),
        ("net.py:Net", ["--input", "6x7", "--target", "6x3", "--loss", "cross-entropy"], "target (N, K)"),
        ("net.py:Net", ["--input", "6x7", "--target", "like-output", "--loss", "bce-with-logits"], "target (N, H)"),
        ("torch.nn.functional:gelu", ["--input", "4"], "1 step"),
    ],
)
def test_what_is_taken(run, model, args, said):
    code, out, err = run(model, *args, "-o", "mine.py")
    assert (code, err) == (0, "") and said in " ".join(out.split("\n")), out
    tutor.load("mine.py")


def test_eval_has_no_masks(run):
    trained = run("more.py:Drop", "--input", "4x5", "--loss", "sum", "--train", "--no-verify")[1]
    assert 'domain="mask"' in trained
    assert "mask" not in run("more.py:Drop", "--input", "4x5", "--loss", "sum", "--eval", "--no-verify")[1]


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if "index" in row.targets])
def test_classes_lie_on_the_last_axis(run, name):
    softmax = ".log_softmax(-1)" if name == "nll" else ""
    written("deep.py", f"def f(x, w):\n    return (x @ w){softmax}\n")
    code, out, _ = run(
        "deep.py", "--input", "2x3x4", "--input", "4x5", "--target", "index:5", "--loss", name, "-o", "m.py"
    )
    assert code == 0 and "the classes lie on axis 2 of the output (2, 3, 5)" in out
    assert tuple(map(str, tutor.load("m.py")["target"].shape)) == ("N", "T")


def test_the_same_command_gives_the_same_bytes(run):
    args = ("net.py", "--input", "6x7", "--target", "index:3")
    assert run(*args) == run(*args)


def test_what_the_model_prints_is_not_in_the_way(run):
    code, out, err = run("more.py:doubled", "--input", "4")
    assert code == 0 and "a word" not in out and err.count("a word of the model's") == 1


def test_a_package_and_a_helper(run):
    Path("parts/inner").mkdir(parents=True)
    for folder in ("parts", "parts/inner"):
        written(f"{folder}/__init__.py", "")
    written("parts/inner/base.py", "def twice(x):\n    return 2 * x\n")
    written("parts/inner/top.py", "from .base import twice\n\n\ndef f(x):\n    return twice(x)\n")
    written("side.py", "from helper_of_mine import f\n\n\ndef g(x):\n    return f(x)\n")
    written("helper_of_mine.py", "def f(x):\n    return 3 * x\n")
    for model in ("parts/inner/top.py", "parts.inner.top:f", "side.py"):
        assert run(model, "--input", "4", "--no-verify")[0] == 0, model
    assert "helper_of_mine" not in sys.modules and str(Path.cwd()) not in sys.path


# -- what is wrong with what was typed -------------------------------------------------------------

NET_IN = ["net.py", "--input", "6x7"]


@pytest.mark.parametrize(
    "args, code, said",
    [
        (["nett.py", "--input", "6"], 3, 'cannot open nett.py: there is no such file; did you mean "net.py"?'),
        (["net", "--input", "6"], 3, "net is no module: the file is called net.py"),
        (["folder", "--input", "6"], 3, "folder is a folder: give the path of one Python file in it"),
        (["notes.txt", "--input", "6"], 3, "notes.txt is no Python file: its name would end in .py"),
        (["nowhere.at_all:f", "--input", "6"], 3, "there is no module nowhere"),
        (["net.py:build_mode", "--input", "6"], 3, 'there is no "build_mode" in net.py; did you mean "build_model"?'),
        (["net.py:1+1", "--input", "6"], 2, '"1+1" is no name'),
        (["more.py", "--input", "6"], 2, "more.py holds several: Part, Other, Both, Wrong, Words, Drop"),
        (["more.py:number", "--input", "6"], 4, "number in more.py is no model but 3"),
        (["more.py:Other", "--input", "6"], 4, "Other in more.py needs arguments (depth)"),
        (["more.py:pair", "--input", "6"], 4, "if pair builds a model, write a function without arguments"),
        (["more.py:nothing", "--input", "6"], 4, "nothing() in more.py returns None: let it return the model"),
        (["net.py"], 2, "build_model takes x: give an example of each, as --input 64x7"),
        (["more.py:Both", "--input", "4x5"], 2, "Both takes x, y: give an --input for each, in this order (1 given)"),
        (["net.py", "--input", "64*784"], 2, "write the sizes with x between them: --input 64x784"),
        (["net.py", "--input", "64,7:index:3"], 2, "--input 64x7:index:3"),
        (["net.py", "--input", "6x0"], 2, "an axis has at least one entry"),
        (["net.py", "--input", "many"], 2, '"many" is no shape'),
        (["net.py", "--input", "6x7:indx:3"], 2, '"indx" is no kind of entries; did you mean "index"?'),
        (["net.py", "--input", "6x7:index"], 2, "an index needs the number of its values: write 6x7:index:10"),
        (["net.py", "--input", "6x7:float:3"], 2, "only an index has a number behind it: write 6x7:float"),
        (["net.py", "--input", "99999x99999"], 2, "9,999,800,001 entries"),
        ([*NET_IN, "--target", "index"], 2, "an index needs the number of its values: write index:10"),
        ([*NET_IN, "--target", "like-outptu"], 2, 'did you mean "like-output"?'),
        ([*NET_IN, "--target", "index:4"], 2, "(6, 3), without an axis of 4 classes: --target index:3"),
        ([*NET_IN, "--target", "6x2"], 2, "mse compares entry by entry: --target like-output"),
        ([*NET_IN, "--loss", "MSELoss"], 2, "--loss mse compares with a target: give one, as --target like-output"),
        ([*NET_IN, "--loss", "nll"], 2, "as --target index:10"),
        ([*NET_IN, "--loss", "mse", "--target", "index:3"], 2, "it compares with real numbers: --target like-output"),
        ([*NET_IN, "--loss", "nll", "--target", "6x3"], 2, "it compares with class indices: --target index:10"),
        ([*NET_IN, "--loss", "sum", "--target", "6x3"], 2, "compares with nothing: leave --target out"),
        ([*NET_IN, "--loss", "1", "--target", "6x3"], 2, "compares with nothing: leave --target out"),
        ([*NET_IN, "--loss", "cross-entrpy"], 2, 'did you mean "cross-entropy"?'),
        ([*NET_IN, "--loss", "1"], 2, "--loss 1 is no loss"),
        ([*NET_IN, "--loss", "bce", "--target", "6x3"], 4, "logits go with --loss bce-with-logits"),
        (["more.py:Both", "--input", "4x5", "--input", "4x3", "--loss", "made"], 2, "no single number"),
        ([*NET_IN, "--name", "an id"], 2, "--name an id is no id"),
        ([*NET_IN, "-o", "there.py"], 2, "there.py is there already: give another path, or --force to write over it"),
        ([*NET_IN, "-o", "net.py", "--force"], 2, "net.py is your model itself"),
        ([*NET_IN, "-o", "no/mine.py"], 3, "there is no folder no for mine.py: make it, or give another path"),
        ([*NET_IN, "-o", "mine.txt"], 2, "an exercise file ends in .py: --output mine.py"),
        ([*NET_IN, "-o", "folder"], 2, "folder is a folder: give a file's path"),
    ],
)  # fmt: skip
def test_what_was_typed_is_wrong(run, here, args, code, said):
    Path("folder").mkdir()
    written("notes.txt", "no Python")
    written("there.py", "kept")
    before = {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
    assert run(*args)[0] == code
    found, out, err = run(*args)
    assert (found, out) == (code, "") and said in err and err.startswith("error: "), err
    after = {path: path.read_bytes() for path in here.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
    assert after == before, "nothing is written"


def test_force_writes_over_a_file(run):
    written("there.py", "former")
    assert run(*NET_IN, "--no-verify", "-o", "there.py", "--force")[0] == 0
    assert tutor.load("there.py").name == "net"


# -- what is wrong in the user's file --------------------------------------------------------------


@pytest.mark.parametrize(
    "text, said",
    [
        ("def f(x:\n    return x\n", ["own.py, line 1: '(' was never closed", "  def f(x:\n       ^"]),
        ("x = 1\n  y = 2\n", ["own.py, line 2: unexpected indent"]),
        ("\0", ["own.py: source code string cannot contain null bytes"]),
        ("\n\nx = [1][2]\n", ["own.py, line 3: IndexError: list index out of range", "  x = [1][2]"]),
        ("import not_there.part\n", ["own.py, line 1: No module named 'not_there'", "-m pip install not_there"]),
        ("def g():\n    import cv2_not\ng()\n", ["own.py, line 2: No module named 'cv2_not'"]),
        ("from . import sibling\n", ["relative import", "tutor import package.own:NAME"]),
        ("import sys\nsys.exit(0)\n", ["own.py, line 2: it ends the program here", "  sys.exit(0)", "__name__"]),
        ("x = 1\n", ["own.py holds no model"]),
        ("def f(x):\n    return int(x)\n\n\ndef main():\n    pass\n", ["own.py, line 2: ValueError", "  return int"]),
    ],
)  # fmt: skip
def test_the_file_is_wrong(run, text, said):
    written("own.py", text)
    code, out, err = run("own.py", "--input", "4")
    assert code == (3 if "holds no model" in err else 4) and out == ""
    for part in said:
        assert part in err, err


@pytest.mark.parametrize(
    "args, said",
    [
        (["more.py:Wrong", "--input", "6x7"], ["more.py, line 37: RuntimeError: mat1 and mat2 shapes cannot be "
         "multiplied (6x4 and 5x3)", "  return self.fc2(h)", "the example was x (6, 7)"]),
        (["net.py", "--input", "6x5"], ["(6x5 and 7x3)", "x (6, 5); its first layer takes --input 64x7"]),
        (["more.py:Words", "--input", "4x6"], ["indices are given as --input 8x16:index:11"]),
        (["more.py:Words", "--input", "4x6:index:12"], ["index out of range", "the rows of the table (here 11)"]),
        (["more.py:branch", "--input", "4", "--input", "4"], ["depends on the values", "if (x * w).sum() > 0"]),
        (["more.py:sorted_sum", "--input", "4"], ["aten.sort", "y, _ = torch.sort(x, dim=0)"]),
        (["more.py:root", "--input", "4x3", "--input", "3"], ["nan or infinity", "--input 4x3:positive"]),
    ],
)  # fmt: skip
def test_the_model_does_not_take_it(run, args, said):
    code, out, err = run(*args, "-o", "mine.py")
    assert (code, out) == (4, "") and not Path("mine.py").exists()
    for part in said:
        assert part in err, err
    assert err.startswith("error: "), "what torch prints besides is not shown"


def test_interrupted(run):
    assert run("more.py:interrupted", "--input", "4")[0] == 130


def test_a_disagreement_is_our_fault(run, monkeypatch):
    spoilt = partial(tutor.verify, spoil={"fc_weight": 1.001})
    monkeypatch.setattr("tutor.torch_import.bringing.verify", spoilt)
    code, out, err = run(*NET_IN, "--target", "index:3", "-o", "mine.py")
    assert (code, out) == (5, "") and not Path("mine.py").exists()
    assert "disagrees with torch at dfc_weight: this is our fault" in err and "--no-verify" in err
    assert run(*NET_IN, "--no-verify", "-o", "mine.py")[0] == 0


# -- spellings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, shape, kind, count",
    [
        ("64x784", (64, 784), "float", 0),
        ("5", (5,), "float", 0),
        ("64x784:float", (64, 784), "float", 0),
        ("8x16:index:100", (8, 16), "index", 100),
        ("8x16:bool", (8, 16), "bool", 0),
        ("scalar", (), "float", 0),
        ("scalar:index:3", (), "index", 3),
    ],
)
def test_spellings(text, shape, kind, count):
    for read in (input_form, target_form):
        form = read(text)
        assert (form.shape, form.kind, form.count) == (shape, kind, count)


@pytest.mark.parametrize(
    "text", ["", "x", "6x", "x7", "6xx7", "-6x7", "6.5", "6x7:", "6x7:index:0", "6x7:index:a", "٣x7", "6x7:index:3:4"]
)
def test_no_spellings(text):
    for read in (input_form, target_form):
        with pytest.raises(UsageError, match=r"--input|--target"):
            read(text)


def test_help_says_that_the_file_is_executed(run):
    assert "is executed" in run("--help")[1]
