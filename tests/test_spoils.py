"""Each known mistake, planted in every exercise where it applies, is found and named; it never equals the truth."""

from __future__ import annotations

import pytest
import torch

import tutor
from tutor.checking.spoils import SPOILS, Observation, explain, spoilt
from tutor.numeric.programs import backward_plan
from tutor.numeric.sample import instances

ADDRESSES = [
    "linear-regression",
    "linear-regression-batch",
    "softmax-regression",
    "mlp:activation=tanh",
    "mlp",
    "layer-norm",
    "attention",
    "embedding",
    "deep-chain",
    "makemore-mlp",
]


def observed(ex):
    """Two draws: everything that is known there, and the sizes."""
    for instance in instances(ex, 0)[:2]:
        known = dict(instance.values)
        known.update(backward_plan(ex).run(known, instance.sizes))
        yield known, instance.sizes


def planted(ex, quantity):
    """(variant, its values at both draws) where they differ from the truth in value."""
    draws = list(observed(ex))
    made = [spoilt(ex, quantity).values(known, sizes) for known, sizes in draws]
    for number, (variant, _) in enumerate(made[0]):
        values = [row[number][1] for row in made]
        true = [known[f"d{quantity}"] for known, _ in draws]
        same = all(v.shape == t.shape and torch.allclose(v, t, rtol=1e-6) for v, t in zip(values, true, strict=True))
        if not same and variant.id != "missing-scatter" and all(bool(torch.isfinite(v).all()) for v in values):
            yield variant, [Observation(v, known, sizes) for v, (known, sizes) in zip(values, draws, strict=True)]


@pytest.mark.parametrize("address", ADDRESSES)
def test_planted_mistakes_are_found(address):
    ex = tutor.load(address)
    planted_ids = set()
    for q in ex.derive().gradients:
        if ex[q].kind in ("loss", "output"):
            continue
        for variant, seen in planted(ex, q):
            if not any(bool(o.given.any()) for o in seen):
                continue  # all zero: says nothing
            found = explain(ex, q, seen)
            # several mistakes can give the same values; more than are named may stand before this one
            assert found, (q, variant.id, variant.message)
            planted_ids.add(variant.id)
    assert planted_ids


def test_every_row_applies_somewhere():
    rows = set()
    for address in ADDRESSES:
        ex = tutor.load(address)
        for q in ex.derive().gradients:
            if ex[q].kind not in ("loss", "output"):
                rows |= {variant.id for variant in spoilt(ex, q).variants}
    assert len(SPOILS) >= 15
    assert rows >= {
        "transposed", "wrong-axis", "missing-sum", "sign", "factor", "wrong-convention", "missing-path", "wrong-point",
        "wrong-mask", "missing-gradient", "extra-gradient", "diagonal-only", "missing-local-derivative",
        "missing-upstream", "wrong-power", "product-rule", "extra-factor", "missing-scatter",
    }  # fmt: skip
