"""The fuzzer's inputs by hypothesis, which shrinks what fails; what it found once; and the fuzzer itself examined."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tutor
from tutor.checking import interpret

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

fuzz = pytest.importorskip("fuzz")
texts = sys.modules["fuzz_texts"]

WATCH = fuzz.Watch()  # an audit hook stays for good
JUDGE = fuzz.BY_NAME["judge: hostile"]


@pytest.fixture
def examiner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interpret, "STRICT", True)
    return fuzz.Examiner(WATCH)


def failed(found):
    """What failed, but for the time: that is for the benchmark to judge."""
    return [f.says for f in found if f.what != "slow"]


@pytest.mark.parametrize("kind", fuzz.KINDS, ids=lambda kind: kind.name)
def test_nothing_fails(examiner, kind):
    @settings(max_examples=25, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        made = fuzz.by_data(data, [kind])
        assert not failed(examiner.examine(*made, "hypothesis", thoroughly=True)), made

    run()


FOUND = [
    ("softmax-regression", "dW = x.T @ (p - y)/N\ndW.zero_()"),
    ("softmax-regression", "dy = W.T\ndy.T.add_(dy)"),
    ("softmax-regression", "dz = p - y\ndz.neg_()"),
    ("embedding", "ix = (0 & ix); dL = torch.einsum('ij', ix, emb) & 1e12 < 10; ix = L & emb; dE = F.one_hot(dL, t)"),
    ("embedding", "for k in range(99999999999999999999999999999):\n    dy /= demb"),
    ("embedding", "dE = 99999999999999999999999999999 - N"),
    ("linear-regression-batch", "N = N / y"),
    ("linear-regression", "dw = where(y > 0, dL, 0)*(1e308 % w)"),
    ("layer-norm", "# sizes: D=2\ndy = (D % N)\ndgamma = dy*(1e5 % x)"),
    ("layer-norm", "a = 2.0\nfor i in range(2000):\n    a = [a, a]\ndistd = a"),
    ("layer-norm", "dxc_dxc = xc"),
    ("sgd-step", "dy_pred_new_dw_new = x\ndL_dw_new = 3\ndw_second_dw = 1\ndy_pred_new_dy_pred_new = y_pred_new"),
    ("softmax-regression", "# sizes: N=300, D=201, K=102\ndp_dz = p/300"),
    ("linear-regression-batch", " = ".join(["dX"] * 100) + " = b"),
    ("mlp", "dy \\\n" * 20_000),
    ("mlp", "a(\n" * 30_000),
    ("embedding", "a = y\nfor i in range(N):\n    a = torch.cat([a, a])\ndL = a\n"
     "for i in range(9999):\n    a = a.clone()"),
    ("layer-norm", '"cells": [\n "a\\n",\n'),
    ("softmax-regression", "dz = 0 if p else 1if y else 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "text"), FOUND)
def test_what_was_found_once(examiner, address, text):
    assert not failed(examiner.examine(JUDGE, address, text, "found", thoroughly=True))


@pytest.mark.parametrize(
    "text",
    ["df2 = f2.add_(-1)", "df2 = f2.T.add_(-1)", "f2 += 1\ndf2 = f2", "for i in range(int(f1.zero_())):\n    df1 = x",
     "df2 = 2*(f2.view(-1)[0]).mul_(3)", "if f1.zero_() > 0:\n    df1 = x", "df2 = f2\ndf2 += 1"],
)  # fmt: skip
def test_what_a_sheet_changes_is_changed_for_nobody_else(examiner, text):
    assert not examiner.unharmed("deep-chain", "before")
    examiner.examine(JUDGE, "deep-chain", text, "in place")
    assert not examiner.unharmed("deep-chain", "after")


# -- the fuzzer can fail -----------------------------------------------------------------------------------------


def slow(exercise, text):
    end = time.process_time() + 1.1
    while time.process_time() < end:
        pass


def large(exercise, text):
    return bytearray(400_000_000) and None


def touching(exercise, text):
    Path(texts.CANARY).touch()


def running(exercise, text):
    exec("1 + 1")  # noqa: S102


def moody(exercise, text, turns=random.Random(0)):  # noqa: B008  one for all calls
    return tutor.check(exercise, f"dw = {turns.random()}")


def raising(exercise, text):
    raise RecursionError


def leaving(exercise, text):
    sys.exit()


@pytest.mark.parametrize(
    ("use", "says"),
    [(slow, "slow"), (large, "memory"), (touching, "runs"), (running, "runs"), (moody, "bytes"),
     (raising, "raises RecursionError"), (leaving, "raises SystemExit")],
)  # fmt: skip
def test_the_fuzzer_can_fail(examiner, use, says):
    kind = fuzz.Kind("planted", 1, texts.raw_text, use)
    found = examiner.examine(kind, "linear-regression", "dw = 1", "planted", thoroughly=True)
    assert any(f.says.startswith(says) for f in found), found


def test_our_own_fault_is_a_failure(examiner, monkeypatch):
    monkeypatch.setattr(interpret, "STRICT", False)
    monkeypatch.setattr(interpret.Run, "assign", lambda self, statement: 1 / 0)
    found = examiner.examine(JUDGE, "linear-regression", "dw = 1*w", "planted")
    assert [f.what for f in found] == ["fault"]


def test_the_same_number_gives_the_same_input():
    inputs = [fuzz.item(7, n) for n in range(60)]
    assert inputs == [fuzz.item(7, n) for n in range(60)]
    assert len({str(made) for _, _, made in inputs}) > 50 and len({kind.name for kind, _, _ in inputs}) > 12
