"""Saved exercises: what a file written by us loads as, and how it reads."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from test_exercises import MANY, MEMBERS

import tutor
from tutor.exercise import Exercise
from tutor.proving import addresses
from tutor.views.source import source

ROOT = Path(__file__).resolve().parent.parent


@cache
def loaded(address: str) -> Exercise:
    return tutor.load(address)


def declared(q) -> tuple:
    return q.name, q.kind, q.indices, q.expr, hash(q.expr), q.domain, q.below


def saved(ex: Exercise, folder: Path) -> Exercise:
    return tutor.load(ex.save(folder / "saved.py"))


def same(again: Exercise, ex: Exercise) -> None:
    """All that an exercise is, but for the path and the id of a family's member."""
    for name in (
        "name", "title", "level", "tags", "source", "requires", "hints", "strict_kinks", "size_symbols", "example_sizes",
        "full_sizes", "instances", "failures", "asked", "facts",
    ):  # fmt: skip
        assert getattr(again, name) == getattr(ex, name), name
    assert list(again.size_symbols) == list(ex.size_symbols)
    own = list(again.index_symbols.items())[: len(ex.index_symbols)]  # bound ones may follow
    assert own == list(ex.index_symbols.items())
    assert list(map(declared, again)) == list(map(declared, ex))
    assert source(again) == source(ex)


# -- the catalogue -----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", MEMBERS)
def test_a_saved_exercise_loads_as_itself(address, tmp_path):
    ex = loaded(address)
    again = saved(ex, tmp_path)
    same(again, ex)
    assert again.statement == ex.statement


@pytest.mark.parametrize("address", [a for a in addresses() if len(loaded(a).quantities) <= MANY])
def test_its_derivation_is_the_same(address, tmp_path):
    ex = loaded(address)
    assert str(saved(ex, tmp_path).derive()) == str(ex.derive()).replace(ex.id, ex.name)


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_saved_files_are_as_ruff_wants_them(tmp_path):
    for n, address in enumerate(MEMBERS):
        loaded(address).save(tmp_path / f"member_{n}.py")
    tidy(tmp_path)


def tidy(folder: Path) -> None:
    ours = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["check", *ours, "--config", f"src = ['{ROOT}']"], ["format", "--diff", *ours]):
        done = subprocess.run(["ruff", *command, str(folder)], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
