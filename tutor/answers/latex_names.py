"""The names of an exercise as LaTeX spells them, and what a formula stands for while it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lark import Tree
from sympy import Number

from tutor.answers import language as lang
from tutor.answers.latex_trees import text
from tutor.answers.python import MAX_DEPTH
from tutor.errors import did_you_mean
from tutor.language import said
from tutor.symbolic.functions import FUNCTIONS

if TYPE_CHECKING:
    from sympy import Idx

    from tutor.exercise import Exercise

SMALL = 1e-3  # what is added so that nothing is divided by 0 is below
MAX_INSIDE = 100  # factors inside factors: what MAX_NESTING brackets need, and far from Python's own limit
Shape = tuple[str, ...]  # sizes as text; "?..." where only the number of axes is known
ONES_VECTOR, IDENTITY = "a vector of ones", "the identity matrix"  # what can stand without its size

LOSSES = ("L", "l", "ell", "loss", "J", "E", "C")  # what a loss is called where the exercise leaves it open
ALSO_THE_LOSS = ("L", "J", "ell", "loss", "Loss")  # also where the exercise calls its one loss otherwise
GREEK = {"varepsilon": ("epsilon", "eps"), "epsilon": ("epsilon", "eps"), "varphi": ("phi",), "vartheta": ("theta",),
         "varrho": ("rho",), "varsigma": ("sigma",), "lambda": ("lam", "lambda_", "lmbda"),
         "ell": ("ell", "l")}  # fmt: skip
ACCENTS = {"hat": ("hat", "pred"), "bar": ("bar",), "tilde": ("tilde",), "dot": ("dot",)}
SEVERAL = {"max": "Max", "min": "Min"}
REDUCTIONS = {
    "max": "MaxOver",
    "min": "MinOver",
    "argmax": "ArgMaxOver",
    "argmin": "ArgMinOver",
    "Sum": "Sum",
    "Product": "Product",
}
WHOLE = ("softmax", "log_softmax")  # along the last axis
CALLED = {
    **{name.lower(): row.name for row in FUNCTIONS.values() for name in (row.name, *row.spellings)},
    "logistic": "sigmoid", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "logsoftmax": "log_softmax",
    "softmax": "softmax", "log_softmax": "log_softmax", "argmax": "argmax", "argmin": "argmin",
    "clamp": "clamp", "clip": "clamp", "onehot": "one_hot", "one_hot": "one_hot",
    **{name: name for name in ("sec", "csc", "cot", "sech", "csch", "coth")},
}  # fmt: skip
OF_A_WHOLE = {"sum": "sum", "mean": "mean", "diag": "diag", "tr": "trace", "trace": "trace", "Tr": "trace"}
LOOSE = said(
    r"\underbrace is no parenthesis: write \underbrace{(a + b)}_{...} if a factor or a minus belongs to the sum"
)
AT_A_BAR = said(
    "what stands at a bar is not put in: write the formula with it; "
    "only the values of the worked example may stand there"
)
TOO_MANY = said("more than {most} operations inside each other: use a helper of your own", most=MAX_DEPTH)
OWN_FUNCTION = said("functions of one's own are read in code only: write the formula out where it is used")
OPERATION = {
    "dot": r"\cdot",
    "times": r"\times",
    "star": "*",
    "odot": r"\odot",
    "oslash": r"\oslash",
    "/": "/",
    "otimes": r"\otimes",
    "mod": r"\bmod",
}


@dataclass(frozen=True)
class Value:
    """An expression with the shape of its value: () for one number, None where nobody knows; a vector may be a row.

    Ones and an identity whose size is not written take it from what stands beside them; till then `node` is a factor.
    """

    node: lang.Expression
    shape: Shape | None = ()
    row: bool = False
    unsized: str = ""  # ONES_VECTOR, IDENTITY


@dataclass
class Found:
    """A quantity that was named, with its indices and what else stands above it."""

    name: str
    items: list[lang.Expression]
    above: Tree | list[Tree] | None
    numbered: bool = False  # an index is a number other than 0
    before: list[str] = field(default_factory=list)  # names in front of it in one word: `xW` is x times W

    def shown(self) -> str:
        parts = [text(item) for item in self.items]
        entry = self.name + (f"[{', '.join(parts)}]" if parts else "")
        return " times ".join([*self.before, entry])


class Names:
    """What the exercise, and the lines before, give a name to."""

    def __init__(self, exercise: Exercise):
        self.exercise = exercise
        self.indices = set(exercise.index_symbols)
        self.losses = [q.name for q in exercise.ends if q.kind == "loss"]
        self.shapes: dict[str, Shape | None] = dict.fromkeys(exercise.size_symbols, ())
        for q in exercise.quantities.values():
            self.shapes[q.name] = tuple(str(size) for size in q.shape)
            if q.kind != "value" and q.domain != "index":
                self.shapes[f"d{q.name}"] = self.shapes[q.name]
        self.given: set[str] = {f"d{q.name}" for q in exercise.ends}  # gradients that have a value
        self.locals: set[str] = set()
        self.notes: list[str] = []
        self.in_sentences: dict[str, int] = {}  # names that a formula in a sentence defines -> its line
        self.functions: set[str] = set()  # functions that a formula of the learner's defines, and not as they are known
        self.unread: dict[str, int] = {}  # names of the learner's whose formula could not be read -> its line
        self.basis: set[tuple[bool, str]] = set()  # each e_o that a sentence calls one-hot: whether bold, its index

    def known(self, name: str) -> bool:
        return name in self.shapes

    def is_gradient(self, name: str) -> bool:
        return self.exercise.differentiated(name) is not None

    def is_value(self, name: str) -> bool:
        return name in self.shapes and not self.is_gradient(name)

    def is_forward(self, name: str) -> bool:
        """A quantity of the exercise's own program, and no gradient."""
        return name in self.exercise.quantities and self.exercise[name].kind != "value"

    def is_loss(self, name: str) -> bool:
        r"""What `\partial J` and `\nabla J` are of: the loss, under its own name or another one that people give it."""
        if self.is_called_loss(name):
            return True
        own = name in self.exercise.quantities or name in self.exercise.size_symbols or name in self.indices
        return len(self.losses) == 1 and name in ALSO_THE_LOSS and not own and self.shapes.get(name, ()) == ()

    def is_called_loss(self, name: str) -> bool:
        """The loss under a name that no line may give to something else."""
        if name in self.losses:
            return True
        return name in (LOSSES[:1] if self.losses else LOSSES) and not self.known(name)

    def computed_from(self, name: str) -> set[str]:
        """The quantities that a step of the exercise reads, directly or by other steps."""
        quantities = self.exercise.quantities
        found: set[str] = set()
        unseen = [name]
        while unseen:
            quantity = quantities.get(unseen.pop())
            more = quantity.reads - found if quantity is not None and not quantity.is_leaf else set()
            found |= more
            unseen += more
        return found

    def holds_classes(self, name: str) -> bool:
        """An index quantity, which picks entries of others: `o` of `p_o`."""
        quantity = self.exercise.quantities.get(name)
        return quantity is not None and quantity.below is not None

    def is_basis_vector(self, bold: bool, index: str) -> bool:
        r"""Whether a sentence says that e with this index is one-hot; `e_k` of any k says it of every index."""
        return any(
            said_bold <= bold and (said_index == index or said_bold or not self.holds_classes(said_index))
            for said_bold, said_index in self.basis
        )

    def is_entry_of_e(self) -> bool:
        """Whether e with one index can be an entry of the exercise's e."""
        return "e" in self.exercise.quantities and len(self.shapes["e"] or ()) == 1

    def indices_of(self, name: str) -> tuple[Idx, ...]:
        """Those of a quantity, which its gradient has as well; none for a name of the learner's."""
        quantity = self.exercise.quantities.get(self.exercise.differentiated(name) or name)
        return () if quantity is None else tuple(quantity.indices)

    def unknown(self, name: str) -> str:
        """Why a name cannot be read, and which one may be meant."""
        if self.exercise.differentiated(name) or name in self.locals:
            return said("{name} has no value yet: give its line first", name=name)
        if name.rstrip("'") in self.functions:
            return OWN_FUNCTION
        for reason in (
            self._not_read(name),
            self._in_a_sentence(name),
            self._small_constant(name),
            self._numbered(name),
        ):
            if reason:
                return reason
        hint = next((said('; did you mean "{k}"?', k=k) for k in self.shapes if k.lower() == name.lower()), None)
        return said(
            "{name} is not a name of the exercise and has no value yet{hint}",
            name=name,
            hint=hint or did_you_mean(name, self.shapes),
        )

    def is_learners(self, name: str) -> bool:
        """A name that the sheet gives a formula, which is not read: in a sentence, or on a line that cannot be."""
        return not self.known(name) and (name in self.unread or self._line_of_sentence(name) is not None)

    def _not_read(self, name: str) -> str:
        if name not in self.unread:
            return ""
        return said(
            "{name} has no value: line {line}, which gives it, could not be read", name=name, line=self.unread[name]
        )

    def _line_of_sentence(self, name: str) -> int | None:
        spelled = [name, *(word for word, names in GREEK.items() if name in names)]
        return next((self.in_sentences[each] for each in spelled if each in self.in_sentences), None)

    def _in_a_sentence(self, name: str) -> str:
        line = self._line_of_sentence(name)
        if line is None:
            return ""
        return said(
            "{name} has no value yet: line {line} defines it in a sentence; put that in a display of its own, before "
            "it is used",
            name=name,
            line=line,
        )

    def _small_constant(self, name: str) -> str:
        """An epsilon, where the exercise has a number in its place."""
        if name not in ("epsilon", "eps"):
            return ""
        formulas = [q.expr for q in self.exercise.forward if q.expr is not None]
        found = {number for formula in formulas for number in formula.atoms(Number) if 0 < number < SMALL}
        if len(found) != 1:
            return ""
        return said(
            "{name} is not a name of the exercise, which has the number {number} there: write the number",
            name=name,
            number=_as_power(found.pop()),
        )

    def _numbered(self, name: str) -> str:
        """x where the exercise has x1, x2, ...: no index runs over those."""
        pattern = re.compile(re.escape(name) + r"_?(\d+)")
        found = [known for known in self.exercise.quantities if pattern.fullmatch(known)]
        if len(found) < 2:
            return ""
        if any(known.lower() == name.lower() for known in self.shapes):
            return ""
        return said(
            "{name} is not a name of the exercise, but {first} to {last} are: write them one by one, also in a sum",
            name=name,
            first=found[0],
            last=found[-1],
        )

    @contextmanager
    def binding(self, letters: Iterable[str]) -> Iterator[None]:
        """Letters that a left side or a sum makes indices, for as long as it goes: `1[k >= i]` is read then."""
        own = {letter for letter in letters if not self.known(letter)} - self.indices
        self.indices |= own
        try:
            yield
        finally:
            self.indices -= own

    def define(self, name: str, shape: Shape | None) -> None:
        """A line gave this name a value."""
        if name not in self.shapes:
            self.shapes[name] = shape
        self.given.add(name)


def _as_power(number: Number) -> str:
    """10^{-5} for 1/100000, any other number as it is."""
    mantissa, power = f"{float(number):e}".split("e")
    return f"10^{{{int(power)}}}" if float(mantissa) == 1 else f"{float(number):.15g}"
