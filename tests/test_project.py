"""The project as a user meets it: README is true, what is installed is complete, one version everywhere.

`python tests/test_project.py` writes README's quoted output anew.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import tutor
from tutor.catalogue import entries, folder

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CHINESE = ROOT / "README.zh.md"  # the same page, with the same fences
FENCE = re.compile(r"<!-- (\w+)(?:: (.*?))? -->\n```(\w*)\n(.*?)```", re.DOTALL)
PART = re.compile(r'(.*), from "(.*)" until "(.*)"')


def marked(kind: str) -> list[tuple[str, str]]:
    """README's fences after `<!-- kind: what -->`: (what, content)"""
    return [(found[2], found[4]) for found in FENCE.finditer(README.read_text(encoding="utf-8")) if found[1] == kind]


def printed(what: str, place: Path) -> str:
    """What a command prints in a folder that holds README's files; the asked part of it."""
    for name, content in marked("file"):
        (place / name).write_text(content, encoding="utf-8")
    part = PART.fullmatch(what)
    words = shlex.split(part[1] if part else what)
    assert words[0] == "tutor"
    from tutor.cli import main

    out = io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        main(words[1:])
    text = out.getvalue()
    if part:
        text = text[text.index(part[2]) : text.index(part[3])]
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def refresh() -> None:
    """Put what the commands print now into README."""
    import tempfile

    os.environ["TUTOR_LANG"] = "en"
    for page in (README, CHINESE):
        with tempfile.TemporaryDirectory() as place:  # of its own: a class that was graded is not graded again

            def renew(found: re.Match[str], place: str = place) -> str:
                if found[1] != "prints":
                    return found[0]
                return f"<!-- prints: {found[2]} -->\n```text\n{printed(found[2], Path(place))}```"

            page.write_text(FENCE.sub(renew, page.read_text(encoding="utf-8")), encoding="utf-8")


# -- README ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, quoted", marked("prints"), ids=[what for what, _ in marked("prints")])
def test_readme_shows_what_is_printed(what, quoted, tmp_path):
    assert quoted == printed(what, tmp_path), "python tests/test_project.py writes README's output anew"


def test_readme_has_the_two_commands():
    assert dict(marked("runs")) == {
        "main": "pip install . && tutor demo\n",
        "test": "pip install '.[test]' && pytest -n auto\n",
    }


def test_readme_exercise_agrees(tmp_path):
    from tutor.cli import main

    files = {name: content for name, content in marked("file") if content.lstrip().startswith('"""')}
    assert files
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        assert main(["verify", str(tmp_path / name)]) == 0


def test_readme_python_runs(capsys):
    for _, code in marked("python"):
        exec(compile(code, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "dW" in out and "agrees" in out and "incomplete ('dW', 'db')" in out


def test_readme_lists_every_command():
    from tutor.cli import app

    listed = set(re.findall(r"^\| `tutor ([\w-]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == set(app.commands)


def test_readme_is_the_same_page_in_chinese():
    """Its sections, its fences, its tables' first columns, and everything in code."""
    english, chinese = (page.read_text(encoding="utf-8") for page in (README, CHINESE))
    assert FENCE.findall(chinese) == FENCE.findall(english), (
        "python tests/test_project.py writes both pages' output anew"
    )
    english, chinese = (FENCE.sub("", text) for text in (english, chinese))
    assert re.findall(r"^#+ ", chinese, re.MULTILINE) == re.findall(r"^#+ ", english, re.MULTILINE)
    assert re.findall(r"^\| (`.*?`|\d+) \|", chinese, re.M) == re.findall(r"^\| (`.*?`|\d+) \|", english, re.M)
    assert sorted(re.findall(r"`[^`\n]+`", chinese)) == sorted(re.findall(r"`[^`\n]+`", english))
    assert "(README.zh.md)" in english and "(README.md)" in chinese
    unmarked = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    assert unmarked.findall(chinese) == unmarked.findall(english)
    for paragraph in re.split(r"\n\s*\n", unmarked.sub("", chinese)):
        assert not paragraph or re.search(r"[\u4e00-\u9fff]", paragraph) or "[English]" in paragraph, paragraph


def test_links_lead_somewhere():
    for page in ("README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page}: {target}"


# -- what is installed -------------------------------------------------------------------------------------


def config() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    return found


def test_every_folder_of_the_package_is_shipped():
    listed = set(config()["options"]["packages"].split())
    folders = {p.parent for p in (ROOT / "tutor").rglob("*.py") if "__pycache__" not in p.parts}
    assert listed == {".".join(f.relative_to(ROOT).parts) for f in folders} | {"tutor.exercises"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package as a wheel would lay it out, built from a copy."""
    pytest.importorskip("setuptools")
    copy, lib = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("lib")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("tutor", "exercises"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py", "--build-lib", str(lib)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return lib


def test_the_installed_package_has_everything(installed):
    shipped = {p.relative_to(installed).as_posix() for p in installed.rglob("*") if p.is_file()}
    kinds = (".py", ".json", ".typed", ".po", ".mo")
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tutor").rglob("*") if p.suffix in kinds}
    here |= {f"tutor/exercises/{p.name}" for p in (ROOT / "exercises").iterdir() if p.suffix in (".py", ".toml")}
    assert shipped == here


def test_the_installed_package_finds_its_exercises_from_anywhere(installed, tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(installed)}
    code = "from tutor import catalogue, cli; print(catalogue.folder()); raise SystemExit(cli.main(['show', 'mlp']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 0, done.stderr
    place, *shown = done.stdout.splitlines()
    assert Path(place) == installed / "tutor" / "exercises"
    assert shown[0].startswith("mlp ")


def test_a_checkout_finds_its_exercises():
    assert folder().is_dir() and len(entries()) >= 10


def test_metadata_of_an_installation():
    try:
        found = metadata.distribution("derivation-tutor")
    except metadata.PackageNotFoundError:
        pytest.skip("runs from a checkout that is not installed")
    assert found.version == tutor.__version__
    assert [e.value for e in found.entry_points if e.name == "tutor"] == ["tutor.__main__:run"]
    assert "BSD-3-Clause" in (found.metadata.get("License-Expression"), found.metadata.get("License"))


# -- one truth in one place ----------------------------------------------------------------------------------


def test_versions():
    assert re.fullmatch(r"\d+\.\d+\.\d+", tutor.__version__)
    assert f"## {tutor.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_fit_the_dependencies():
    """CI pins what setup.cfg asks for."""
    packaging = pytest.importorskip("packaging.requirements")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    options = config()["options"]["install_requires"].split("\n")
    extras = config()["options.extras_require"]
    for line in filter(None, [*options, *extras["test"].split("\n"), *extras["dev"].split("\n")]):
        wanted = packaging.Requirement(line)
        if wanted.name in pins:
            assert wanted.specifier.contains(pins[wanted.name]), line
    assert {"torch", "sympy"} <= pins.keys()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_ci_script_reads_readme_literally():
    """Its extraction of the two commands agrees with ours."""
    script = (ROOT / ".ci" / "run").read_text()
    function = script[script.index("readme() {") : script.index("\n}\n", script.index("readme() {")) + 3]
    for name, command in marked("runs"):
        done = subprocess.run(["bash", "-c", f"{function}\nreadme {name}"], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == command
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")]).returncode == 0
    assert "set -euo pipefail" in script and os.access(ROOT / ".ci" / "run", os.X_OK)


if __name__ == "__main__":
    refresh()
