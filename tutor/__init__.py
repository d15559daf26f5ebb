"""Derive gradients step by step, verify them against autograd, and read a learner's derivation.

    import tutor
    ex = tutor.load("softmax-regression")
    print(ex.derive())                    # every step with its rule
    tutor.verify(ex)                      # against torch.autograd and finite differences
    tutor.check(ex, "dz = (p - y) / N")   # a learner's lines, judged

Names are imported when first used: `import tutor` alone loads neither sympy nor torch.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tutor.catalogue import entries, load
    from tutor.checking.check import check
    from tutor.exercise import Exercise
    from tutor.numeric.autograd import verify
    from tutor.numeric.contrast import contrast as compare
    from tutor.numeric.sample import sample
    from tutor.pictures.graph import graph
    from tutor.pictures.training import train
    from tutor.symbolic.derive import derive
    from tutor.torch_import.importing import from_torch

__version__ = "0.1.0"

# torch warns of a missing numpy when it is imported; nothing here needs numpy
warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)

_HOME = {
    "Exercise": "tutor.exercise:Exercise",
    "TutorError": "tutor.errors:TutorError",
    "ExerciseError": "tutor.errors:ExerciseError",
    "NotFoundError": "tutor.errors:NotFoundError",
    "ReadingError": "tutor.errors:ReadingError",
    "check": "tutor.checking.check:check",
    "compare": "tutor.numeric.contrast:contrast",
    "derive": "tutor.symbolic.derive:derive",
    "entries": "tutor.catalogue:entries",
    "from_torch": "tutor.torch_import.importing:from_torch",
    "graph": "tutor.pictures.graph:graph",
    "load": "tutor.catalogue:load",
    "sample": "tutor.numeric.sample:sample",
    "train": "tutor.pictures.training:train",
    "verify": "tutor.numeric.autograd:verify",
}

__all__ = [
    "Exercise",
    "ExerciseError",
    "NotFoundError",
    "ReadingError",
    "TutorError",
    "check",
    "compare",
    "derive",
    "entries",
    "from_torch",
    "graph",
    "load",
    "sample",
    "train",
    "verify",
]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext tutor`: the cell magic `%%derive ID` (see `tutor.notebook`)."""
    from tutor.notebook import register

    register(shell)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tutor' has no attribute {name!r}")
    module, attribute = _HOME[name].split(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
