"""`docs/torch.md`: what `tutor.from_torch` does, the table of operations, the table of configurations.

`python tests/test_torch_docs.py` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from test_torch_configurations import DERIVED, REFUSED, refusal
from torch_configurations import CONFIGURATIONS, Configuration

from tutor.torch_import import places
from tutor.torch_import.table import GROUPS, Row, rows

PAGE = Path(__file__).resolve().parent.parent / "docs" / "torch.md"
INTRODUCTION = """\
# Bring your own PyTorch

<!-- written by `python tests/test_torch_docs.py` from the table of operations and the table of
configurations: edit these -->

`tutor.from_torch` makes an exercise from a module or a function: its forward pass as named steps in index notation,
its gradients to be derived, checked and drilled as those of any other exercise.

```python
import torch
from torch import nn

import tutor

model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
x, target = torch.randn(5, 4), torch.tensor([0, 2, 1, 1, 0])

exercise = tutor.from_torch(model, x, target, loss=nn.CrossEntropyLoss())
print(exercise.derive())
print(exercise.verify())  # against autograd: of our formulas, and of the model itself


def head(x, W, b):
    return torch.tanh(x @ W + b)


exercise = tutor.from_torch(head, torch.randn(5, 4), torch.randn(4, 6), torch.randn(6))
```

* **The graph is torch's own** (`torch.export`). Each operation becomes the steps that a textbook has for it: the
  tables below say which. A view, a slice or a transpose is no step; it says where to look.
* **The inputs are examples.** They say how many axes there are and where values lie. Sizes stay symbols: two axes have
  one size where the program says so (a product sums over both), not because they happen to be equal; the batch is `N`.
  A number in a slice or a view (`x[:, :2]`, `x.view(-1, 3, 8)`) is a size too: at other sizes the exercise is the
  program with other such numbers. What Python makes of a size stays what it is: of an input's, where torch lets it
  (`x.sum() / x.shape[0]` is a division by `N`), else the axis is a number in the exercise (`len(x)`, a loop over
  `range(x.shape[1])`); of a width that the weights have, as in `1 / math.sqrt(d)`, the number is kept.
* **Names** are the module's (`fc1.weight` is `fc1_weight`) and those of your variables (`h = torch.tanh(...)` is `h`).
  `names="short"` gives `W1`, `b1`, `W2`; `names={"fc1.weight": "W1"}` one of them; `names="x, y"` the inputs.
* **What is asked**: parameters that learn, and inputs that require a gradient; where there are neither, all real
  inputs. Tied weights are one quantity, and so is a module that is called twice: its gradients add.
* **`loss=`** is a function of the output and the last input, as above; or, where the module computes its loss itself,
  its place or key in what the module returns: `loss=1`, `loss="loss"`.
* **`steps=`** is `"standard"`, `"coarse"` (one step for each operation) or `"fine"` (the smallest).
* **Train or eval** is as the module stands. The mask of a dropout is an input of the exercise, and batch norm in
  training takes the statistics of the batch.
* **`verify`** compares our gradients with autograd at several sizes: that of our formulas, that of the same graph as
  torch code, and, at its own sizes, that of your module, with its own weights and with random ones.
* **`exercise.save("my_model.py")`** writes the exercise as a file to edit and keep. Its reference is the graph as torch
  code: your module, and its weights, stay with the exercise in memory.

## What is refused, and what to do

Formulas in index notation say one fixed sequence of operations on real numbers. What is none is refused with an
error that names the operation and your line, never approximated:

* **A path that depends on values**: `if y.sum() > 0`, a `while` loop, `.item()`. Write `torch.where`, or import each
  branch by itself. Loops over a fixed number of steps are fine.
* **Shapes that depend on values**: `x[x > 0]`, `torch.nonzero`. Keep all entries and write zero for the others.
* **A gradient that is cut**: `detach()`, `torch.no_grad()`. Compute it outside, and give it as an input.
* **Chance**: `torch.rand_like` and the like. Draw the numbers outside, and give them as an input.
* **Complex numbers**, and an **operation without a row** in the table.

To finish by hand, import what stands before and after the step that is refused, or write the exercise with
`exercise.step`: README, *Write an exercise*.
"""


def page() -> str:
    """The introduction, the table of operations, the table of configurations."""
    return "\n".join([INTRODUCTION, *operations(), *outcomes()])


def operations() -> Iterator[str]:
    yield "## Operations\n"
    for group, title in GROUPS.items():
        found: dict[Any, list[Row]] = {}
        for row in rows().values():
            if row.group == group:
                found.setdefault(row.build, []).append(row)
        if not found:
            continue
        yield f"### {title}\n\n| operation | as | becomes |\n|---|---|---|"
        for same in sorted(found.values(), key=lambda entries: entries[0].name):
            names = ", ".join(f"`{row.name}`" for row in same)
            yield f"| {names} | `{cell(same[0].torch)}` | {cell(same[0].says)} |"
        yield ""


def outcomes() -> Iterator[str]:
    yield (
        f"## Configurations\n\n{len(CONFIGURATIONS)} configurations are imported by the tests: {len(DERIVED)} are "
        f"derived, and every gradient equals autograd's; {len(REFUSED)} are refused.\n"
    )
    for group in dict.fromkeys(row.group for row in CONFIGURATIONS):
        yield f"### {group}\n\n| configuration | outcome |\n|---|---|"
        for row in CONFIGURATIONS:
            if row.group == group:
                yield f"| `{cell(row.name)}` | {'derived' if row.expected == 'derived' else cell(reason(row))} |"
        yield ""


def reason(row: Configuration) -> str:
    """Why it is refused, without the line of the table."""
    with mock.patch.object(places.Place, "says", "HERE"):
        return f"refused: {refusal(row)}".replace(" (HERE)", "")


def cell(text: str) -> str:
    """As one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*" if "`" not in text else "*")


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/test_torch_docs.py writes it anew"


def test_how_users_call_it_exists() -> None:
    """`F.relu`, `torch.linalg.norm`, `nn.LSTM`"""
    known = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "x": torch.Tensor}
    for row in rows().values():
        found = re.fullmatch(r"(torch|F|nn|x)((?:\.\w+)+)(\(.*\))?", row.torch)
        place: Any = known[found[1]] if found else None
        for part in found[2][1:].split(".") if found else ():
            assert hasattr(place, part), row.torch
            place = getattr(place, part)


def test_the_page_runs() -> None:
    code = INTRODUCTION.partition("```python\n")[2].partition("```")[0]
    with mock.patch("builtins.print"):
        exec(compile(code, "docs/torch.md", "exec"), {})


if __name__ == "__main__":
    import os

    os.environ["TUTOR_LANG"] = "en"
    PAGE.write_text(page(), encoding="utf-8")
