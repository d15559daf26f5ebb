"""Example inputs as they are typed: `64x784`, `8x16:index:100`, `scalar`; and the tensors that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from tutor.errors import UsageError, did_you_mean
from tutor.language import said

REAL = ("float", "positive", "fraction", "probability")
KINDS = (*REAL, "index", "bool")
SCALAR, LIKE = "scalar", "like-output"
MOST = 10**8  # entries of an example


@dataclass(frozen=True)
class Form:
    """`8x16:index:100`; the shape is None where it follows from the output."""

    text: str
    shape: tuple[int, ...] | None
    kind: str = "float"
    count: int = 0  # indices are below it

    def tensor(self, source: Any, dtype: Any = None) -> Any:
        """Random entries; of indices the last is the largest, so that a table that is too short is noticed."""
        import torch

        assert self.shape is not None
        if self.kind == "bool":
            return torch.rand(self.shape, generator=source) < 0.5
        if self.kind in REAL:
            x = torch.randn(self.shape, generator=source, dtype=dtype or torch.get_default_dtype())
            return within(self.kind, x)
        made = torch.randint(self.count, self.shape, generator=source)
        made.reshape(-1)[-1] = self.count - 1
        return made


def within(domain: str, x: Any) -> Any:
    """Random numbers moved to where they are wanted."""
    moved = {"positive": lambda: x.abs() + 0.1, "fraction": x.sigmoid}
    moved["probability"] = lambda: x.softmax(-1) if x.dim() else x.sigmoid()
    return moved[domain]() if domain in moved else x


def input_form(text: str, option: str = "--input") -> Form:
    """What `--input` was given."""
    written, *more = (part.strip() for part in text.split(":"))
    kind, count = _kind(text, option, more)
    shape = () if written == SCALAR else _shape(text, option, written)
    if prod(shape) > MOST:
        raise UsageError(said(
            "{option} {text} has {count:,} entries: an example may be small, since its sizes stay symbols",
            option=option, text=text, count=prod(shape),
        ))  # fmt: skip
    return Form(text, shape, kind, count)


def target_form(text: str) -> Form:
    """What `--target` was given: `index:10` and `like-output` have the shape of the output."""
    words = text.replace("_", "-").strip()
    if words == LIKE:
        return Form(text, None)
    if words.partition(":")[0] == "index":
        _, count = _kind(text, "--target", words.split(":"))
        return Form(text, None, "index", count)
    if re.fullmatch("[a-z-]+", words) and words != SCALAR:
        hint = did_you_mean(words, (LIKE, "index:10", SCALAR))
        raise UsageError(said(
            "--target {text} is none{hint}: write index:10 for class indices, 64x10 for real numbers, or like-output",
            text=text, hint=hint,
        ))  # fmt: skip
    return input_form(text, "--target")


def _kind(text: str, option: str, parts: list[str]) -> tuple[str, int]:
    name, *numbers = parts or ["float"]
    if name not in KINDS:
        hint = did_you_mean(name, KINDS)
        raise UsageError(said(
            '{option} {text}: "{name}" is no kind of entries{hint}; there are {known}', option=option, text=text,
            name=name, hint=hint, known=", ".join(KINDS),
        ))  # fmt: skip
    shape = "" if parts and text.strip().startswith("index") else text.partition(":")[0] + ":"
    if name == "index" and not (len(numbers) == 1 and re.fullmatch("0*[1-9][0-9]{0,17}", numbers[0])):
        raise UsageError(said(
            "{option} {text}: an index needs the number of its values: write {shape}index:10 for 0 to 9",
            option=option, text=text, shape=shape,
        ))  # fmt: skip
    if name != "index" and numbers:
        raise UsageError(said(
            "{option} {text}: only an index has a number behind it: write {shape}{name}", option=option, text=text,
            shape=shape, name=name,
        ))  # fmt: skip
    return name, int(numbers[0]) if numbers else 0


def _shape(text: str, option: str, written: str) -> tuple[int, ...]:
    if re.fullmatch("[1-9][0-9]{0,17}(x[1-9][0-9]{0,17})*", written):
        return tuple(map(int, written.split("x")))
    numbers = re.findall("[0-9]+", written)
    if "0" in numbers:
        raise UsageError(said("{option} {text}: an axis has at least one entry", option=option, text=text))
    if re.fullmatch(r"[\[(]?[0-9]+([^0-9a-zA-Z.]+[0-9]+)*[\])]?|[0-9]+([xX*×, ]+[0-9]+)*", written):
        rest = text[len(text.partition(":")[0]) :]
        better = "x".join(numbers) + rest
        raise UsageError(said(
            "{option} {text}: write the sizes with x between them: {option} {better}", option=option, text=text,
            better=better,
        ))  # fmt: skip
    hint = did_you_mean(written, (SCALAR,)) if written.isalpha() else ""
    raise UsageError(said(
        '{option} {text}: "{written}" is no shape{hint}: write sizes with x between them, as in 64x784, or scalar',
        option=option, text=text, written=written, hint=hint,
    ))  # fmt: skip
