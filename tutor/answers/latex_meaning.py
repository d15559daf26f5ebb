r"""A tree of LaTeX -> the expressions of `language.py`, in the exercise's names.

`z_{ik}` is one entry, `z` the whole tensor; `dz`, `\partial L/\partial z` and `\nabla_z L` are the gradient. Factors
side by side are a product: of numbers where everything has its indices, of matrices where the names stand alone.
Where a text has two readings and no textbook convention chooses, it is refused with both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from lark import Token, Tree

from tutor.answers import language as lang
from tutor.answers import latex_constants as constants
from tutor.answers import latex_trees as look
from tutor.answers.latex_names import (
    ACCENTS,
    AT_A_BAR,
    GREEK,
    LOOSE,
    MAX_INSIDE,
    OPERATION,
    TOO_MANY,
    Found,
    Names,
    Shape,
    Value,
)
from tutor.answers.latex_terms import Chain
from tutor.answers.python import MAX_DEPTH, MAX_DIGITS
from tutor.errors import ReadingError
from tutor.language import joined, nsaid, said


class Unnamed(ReadingError):
    """The derivative of a formula, which is nobody's name: nothing that could be judged."""


class Meaning:
    """One side of an equation."""

    def __init__(
        self, names: Names, place: Callable[[int], tuple[int, int]], spaced: Callable[[int], bool], left: bool = False
    ):
        self.names, self.place, self.spaced, self.left = names, place, spaced, left
        self.indexing = 0  # inside a subscript
        self.comparing = 0  # inside a condition
        self.shifts: set[tuple[str, float]] = set()  # (i, 1) where an entry with the index i - 1 stands
        self.depth = 0
        self.barred: tuple[str, ReadingError] | None = None  # a bar above a name on the left
        self.entry_by_entry = False  # how \cdot between two vectors is read
        self.dots: list[ReadingError] = []  # what is said of each, where nothing decides between its readings
        self.one_hot = False  # how e_o in plain type is read, of which no sentence speaks
        self.entries_of_e: list[ReadingError] = []  # what is said of each, where it may be one or the other
        self.differentials: list[str] = []  # gradients that are spelled with a d in front, and not as a derivative
        self.from_one: set[str] = set()  # indices of sums that are said to begin at 1

    # -- places and refusals --

    def at(self, tree: Tree | Token | Sequence[Any]) -> tuple[int, int, int]:
        first, last = (tree[0], tree[-1]) if isinstance(tree, (list, tuple)) else (tree, tree)
        line, column = self.place(start := look.start_of(first))
        end = max(look.end_of(last), start)
        last_line, last_column = self.place(end)
        return line, column, last_column if last_line == line else 0

    def refuse(self, tree: Any, reason: str) -> ReadingError:
        line, column, _ = self.at(tree)
        return ReadingError(reason, line, column)

    def two_ways(self, tree: Any, what: str, readings: Iterable[str], write: str = "") -> ReadingError:
        shown = list(dict.fromkeys(readings))
        return self.refuse(
            tree,
            said(
                "{what} can be read as {readings}: {write}",
                what=what,
                readings=joined(shown[:3], said(" or as ")),
                write=write or said("write the one that is meant"),
            ),
        )

    def name(self, tree: Any, name: str) -> lang.Name:
        return lang.Name(*self.at(tree), name)

    def call(self, tree: Any, name: str, *arguments: lang.Expression) -> lang.Call:
        return lang.Call(*self.at(tree), self.name(tree, name), arguments, ())

    def sized(self, tree: Any, value: Value) -> Value:
        """The value, which must not be a constant that has no size yet."""
        if value.unsized:
            raise constants.refused(self, tree, value)
        return value

    def number(self, tree: Any, value: int) -> lang.Number:
        return lang.Number(*self.at(tree), value, str(value))

    # -- sums and comparisons --

    def side(self, tree: Tree) -> Value:
        """A whole side: one formula."""
        if len(look.trees(tree)) > 1:
            raise self.refuse(
                look.trees(tree)[1], said("a comma stands between indices, or the arguments of \\max, only")
            )
        return self.either(look.trees(tree)[0])

    def either(self, tree: Tree) -> Value:
        value = self.relation(look.trees(tree)[0])
        for sign, part in look.pairs(tree):
            value = self.entrywise(tree, str(sign), value, self.relation(part))
        return value

    def relation(self, tree: Tree) -> Value:
        parts = look.trees(tree)
        if len(parts) == 1:
            return self.sum(parts[0])
        self.comparing += 1
        values = [self.sum(part) for part in parts]
        self.comparing -= 1
        numbers = {n for v in values if (n := look.constant(v.node) or 0) > 0}
        indices = [v.node.name for v in values if self._is_index(v) and isinstance(v.node, lang.Name)]
        guarded = all((index, n) in self.shifts for index in indices for n in numbers)
        if indices and numbers and not guarded:
            raise self._counted(tree)  # `x_{i-1} [i >= 1]` can only be counted from 0
        signs = [str(token) for token in tree.children if isinstance(token, Token)]
        made = [self.entrywise(tree, sign, a, b) for sign, a, b in zip(signs, values, values[1:], strict=False)]
        whole = made[0]
        for more in made[1:]:
            whole = self.entrywise(tree, "&", whole, more)
        return whole

    def _is_index(self, value: Value) -> bool:
        return (
            isinstance(value.node, lang.Name)
            and not self.names.known(value.node.name)
            and value.node.name not in ("pi", "inf")
        )

    def sum(self, tree: Tree) -> Value:
        made: Value | None = None
        if len(tree.children) > 2 * MAX_DEPTH:
            raise self.refuse(tree, TOO_MANY)
        sign, signs = "+", 0
        children = list(tree.children)
        while children:
            child = children.pop(0)
            if isinstance(child, Token):
                sign = "-" if (sign == "-") != (str(child) == "-") else "+"
                signs += 1
                continue
            if sign == "-" and len(child.children) == 1 and look.loose(child.children[0]):
                raise self.refuse(child, LOOSE)
            term = self._term(child, children)
            if made is None:
                made = self.negative(tree, term) if sign == "-" else term
            else:
                made = self.entrywise(tree, sign, made, term)
            sign, signs = "+", 0
        assert made is not None
        if self.indexing and isinstance(made.node, lang.Binary) and made.node.op == "-":
            name, shift = made.node.left, look.constant(made.node.right)
            if isinstance(name, lang.Name) and shift is not None:
                self.shifts.add((name.name, shift))
        return made

    def _term(self, tree: Tree, rest: list[Any]) -> Value:
        r"""A term; `\sum_i -x_i` goes on over the sign, since a sum needs something to add up."""
        parts = list(tree.children)
        if rest and isinstance(rest[0], Token) and look.big(parts[-1]):
            sign = "+"
            while rest and isinstance(rest[0], Token):
                sign = "-" if (sign == "-") != (str(rest.pop(0)) == "-") else "+"
            return Chain(self, [*parts, *rest.pop(0).children], minus=len(parts) if sign == "-" else None).value()
        return Chain(self, parts).value()

    def negative(self, tree: Any, value: Value) -> Value:
        return Value(lang.Unary(*self.at(tree), "-", value.node), value.shape, value.row, value.unsized)

    def entrywise(self, tree: Any, op: str, left: Value, right: Value) -> Value:
        """An operation entry by entry; a vector beside a matrix goes along its last axis, as a bias does."""
        shape: Shape | None = None
        if left.unsized or right.unsized:
            return constants.entrywise(self, tree, op, left, right)
        if left.shape is not None and right.shape is not None:
            long, short = sorted((left.shape, right.shape), key=len, reverse=True)
            if len(short) == 1 and len(long) == 2 and short[0] == long[0] != long[1]:
                which = said("an axis ({short},) beside ({names})", short=short[0], names=", ".join(long))
                raise self.refuse(
                    tree, said("a row or a column is not told apart here: {which}; write the indices", which=which)
                )
            shape = long
        return Value(lang.Binary(*self.at(tree), op, left.node, right.node), shape, left.row and right.row)

    # -- one unit: an atom with what stands below and above it --

    def unit(self, tree: Tree) -> Value:
        """A factor that stands for itself."""
        self.depth += 1
        if self.depth > MAX_INSIDE:
            raise self.refuse(tree, said("too many things inside each other: use a helper of your own"))
        made = self._unit(tree)
        self.depth -= 1
        return made

    def _unit(self, tree: Tree) -> Value:
        if any(script.data == "at" for script in tree.children[1:]):
            return self._evaluated(tree)
        atom, below, above, primes = self.scripts(tree)
        bases = self.spellings(atom)
        if bases is not None:
            return self._named(tree, bases, atom, below, above, primes)
        if primes:
            raise self.refuse(tree, said("a prime stands at a function, as \\sigma'(z), or at an index, as k'"))
        if atom.data == "leaf" and look.token_of(atom).type == "NUMBER":
            return self._numeral(tree, atom, below, above)
        if atom.data == "norm":
            value = self._norm(atom, below)
            return self.raised(tree, value, above) if above is not None else value
        return self.scripted(tree, self.atom(atom), below, above)

    def _evaluated(self, tree: Tree) -> Value:
        r"""`\left. dw \right|_{w=1, x=2}` is read where these are the values of the worked example."""
        *inner, at = tree.children
        within = at.children[-1]
        if at.data != "at" or within.data != "brace" or any(script.data == "at" for script in inner[1:]):
            raise self.refuse(at, AT_A_BAR)
        for either in look.trees(look.trees(within)[0]):
            relation = look.trees(either)[0]
            signs = [str(token) for token in relation.children if isinstance(token, Token)]
            if len(look.trees(either)) != 1 or signs != ["=="]:
                raise self.refuse(at, AT_A_BAR)
            lefts, rights = (self._listed(side) for side in look.trees(relation))
            if len(lefts) != len(rights):
                raise self.refuse(at, AT_A_BAR)
            for left, right in zip(lefts, rights, strict=True):
                name, value = left.name if isinstance(left, lang.Name) else "", look.constant(right)
                if value is None or not any(each.get(name) == value for each in self.names.exercise.instances):
                    raise self.refuse(at, AT_A_BAR)
        return self.unit(Tree("unit", inner))

    def _listed(self, tree: Tree) -> list[lang.Expression]:
        """`w`, or the entries of `(w, b)`."""
        term = look.trees(tree)[0]
        part = term.children[0]
        group = part.children[0] if isinstance(part, Tree) and len(part.children) == 1 else None
        if len(tree.children) == len(term.children) == 1 and isinstance(group, Tree) and group.data == "group":
            return [self.either(each).node for each in look.trees(look.trees(group)[0])]
        return [self.sum(tree).node]

    def scripted(self, tree: Tree, value: Value, below: Tree | None, above: Tree | None) -> Value:
        if below is not None:
            value = self.indexed(tree, value, below)
        return self.raised(tree, value, above) if above is not None else value

    def indexed(self, tree: Tree, value: Value, below: Tree) -> Value:
        r"""`\left(A^\top B\right)_{ij}`"""
        if value.shape == ():
            raise self.refuse(below, said("one number has no indices"))
        self.sized(tree, value)
        items = self.index_nodes(self.sub_items(below), None if value.shape is None else len(value.shape))[0]
        return Value(lang.Subscript(*self.at(tree), value.node, tuple(items)), ())

    def scripts(self, tree: Tree) -> tuple[Tree, Tree | None, Tree | None, int]:
        """The atom, its subscript, its superscript, and how many primes it has."""
        atom, *more = tree.children
        if any(s.data == "at" for s in more):
            raise self.refuse(more[-1], AT_A_BAR)
        below = [s.children[-1] for s in more if s.data == "below"]
        above = [s.children[-1] for s in more if s.data == "above"]
        primes = sum(s.data == "prime" for s in more)
        if above and look.leaf(above[0], "PRIMED"):
            above.pop(0)
            primes += 1
        if len(below) > 1 or len(above) > 1:
            raise self.refuse(more[-1], said("two scripts at one place: put them into one pair of braces, x_{ik}"))
        return atom, below[0] if below else None, above[0] if above else None, primes

    def spellings(self, atom: Tree) -> list[str] | None:
        """The names that an atom may stand for; None if it is no name."""
        if atom.data == "leaf":
            token = look.token_of(atom)
            if token.type in ("WORD", "ROMAN"):
                return [str(token)]
            if token.type == "GREEK":
                return list(GREEK.get(str(token), (str(token),)))
            return None
        if atom.data == "accent":
            inner = self.spellings(atom.children[1])
            return None if inner is None else self._accented(atom, inner)
        if atom.data == "brace":
            unit = look.only_unit(atom)
            return self.spellings(unit.children[0]) if unit is not None and len(unit.children) == 1 else None
        return None

    def _accented(self, atom: Tree, inner: list[str]) -> list[str]:
        accent = str(atom.children[0])
        made = [f"{base}{glue}{mark}" for base in inner for mark in ACCENTS[accent] for glue in ("", "_")]
        made = [name for name in made if not name.endswith("pred") or "_pred" in name]
        known = [name for name in made if self.names.known(name) or self.names.known(f"d{name}")]
        if known and known[0].endswith("_pred"):
            note = said("{inner} with a hat is read as {known}", inner=inner[0], known=known[0])
            if note not in self.names.notes:
                self.names.notes.append(note)
        if not known and accent == "bar" and any(self.names.known(base) for base in inner):
            readings = (
                said("the gradient \\partial L/\\partial {inner}", inner=inner[0]),
                said("the mean of {inner}", inner=inner[0]),
            )
            error = self.two_ways(atom, said("\\bar {inner}", inner=inner[0]), readings)
            if not self.left:
                raise error
            base = next(base for base in inner if self.names.known(base))
            self.barred = (base, error)  # what is said to be equal may settle it
        if not known and accent == "dot":
            raise self.refuse(atom, said("a dot above a name is not part of an answer"))
        return known or made[:1]

    # -- names --

    def _named(
        self, tree: Tree, bases: list[str], atom: Tree, below: Tree | None, above: Tree | None, primes: int
    ) -> Value:
        if self.indexing:
            return self._index_value(tree, bases, atom, below, above, primes)
        if primes:
            if all(not self.names.known(base) for base in bases) and below is None and above is None:
                return Value(self.name(tree, bases[0] + "'" * primes))
            raise self.refuse(tree, said("a prime stands at a function, as \\sigma'(z), or at an index, as k'"))
        if self._is_variance(bases, above):
            bases, above = ["var"], None
        special = self._special(tree, bases, below, above) or self._basis_vector(tree, bases, atom, below, above)
        if special is not None:
            return special
        found = self.resolve(tree, bases, look.leaf(atom, "WORD"), below, above)
        return self.built(tree, found)

    def _special(self, tree: Tree, bases: list[str], below: Tree | None, above: Tree | None) -> Value | None:
        """delta, e, pi and inf, where they are nobody's name."""
        base = bases[0]
        if any(self.names.known(b) for b in bases) and base != "e" and not self._is_a_number(base):
            return None
        if base == "delta" and below is not None and above is None and not self.left:
            below_it = self.sub_items(below)
            if any(self.names.known(f"{base}{suffix}") for suffix, _ in self._suffixes(below_it)):
                return None  # \delta_2, a name of the learner's
            items, numbered = self.index_nodes(below_it, 2)
            if len(items) == 2:
                if numbered:
                    raise self._counted(tree)
                return Value(self.call(tree, "KroneckerDelta", *items))
        if base == "pi" and below is None and not self.left:
            value = Value(self.name(tree, "pi"))
            return self.raised(tree, value, above) if above is not None else value
        if base == "e" and below is None and not self.left:
            return self._power_of_e(tree, above)
        return None

    def _basis_vector(
        self, tree: Tree, bases: list[str], atom: Tree, below: Tree | None, above: Tree | None
    ) -> Value | None:
        r"""`e_o`, where a sentence calls it one-hot; without one it may be an entry of the exercise's e as well."""
        if bases != ["e"] or below is None or self.left:
            return None
        try:
            nodes, _ = self.index_nodes(self.sub_items(below), 1)
        except ReadingError:
            return None
        if len(nodes) != 1 or isinstance(nodes[0], lang.Number):
            return None
        bold = not look.leaf(atom, "WORD")
        [node] = nodes
        value: Value | None = None
        if self.names.is_basis_vector(bold, look.text(node)):
            value = constants.one_hot(self, tree, node)
        elif self.names.is_entry_of_e() and self._may_be_a_basis_vector(bold, node):
            error = self._vector_or_entry(tree, bold, look.text(node))
            if bold and "e" not in self.names.given:
                raise error
            self.entries_of_e.append(error)
            value = constants.one_hot(self, tree, node) if self.one_hot else None
        if value is None:
            return None
        return self.raised(tree, value, above) if above is not None else value

    def _vector_or_entry(self, tree: Tree, bold: bool, index: str) -> ReadingError:
        shown = rf"\mathbf{{e}}_{index}" if bold else f"e_{index}"
        entry = said(r"the entry {index} of the exercise's e", index=index)
        if not self.names.holds_classes(index):
            letter = "j" if index == "k" else "k"
            write = said(
                r"write one entry of the vector, \delta_{{{letter}{index}}}, or e_{index} in plain type for that of e",
                letter=letter,
                index=index,
            )
            return self.two_ways(tree, shown, (said("a basis vector"), entry), write)
        vector = said(r"a one-hot vector, \mathbf{{1}}_{index}", index=index)
        write = said(r"write \mathbf{{1}}_{index} for the vector, or the formula of the entry", index=index)
        return self.two_ways(tree, shown, (vector, entry), write)

    def _may_be_a_basis_vector(self, bold: bool, index: lang.Expression) -> bool:
        """In plain type where the index holds a class; in bold everywhere, unless a line gives the exercise's e."""
        return self.names.holds_classes(look.text(index)) or (bold and "e" not in self.names.given)

    def _is_variance(self, bases: list[str], above: Tree | None) -> bool:
        r"""`\sigma_j^2` is the exercise's var, where nothing is called sigma."""
        names = self.names
        return bases == ["sigma"] and look.digits(above) == "2" and names.is_forward("var") and not names.known("sigma")

    def _is_a_number(self, base: str) -> bool:
        r"""The exercise's own delta, which takes no indices: \delta_{ik} is Kronecker's all the same."""
        return base == "delta" and base in self.names.exercise.quantities and self.names.shapes[base] == ()

    def _power_of_e(self, tree: Tree, above: Tree | None) -> Value | None:
        """e^x is exp(x), unless e is a quantity to which a power can belong."""
        known, shape = self.names.known("e"), self.names.shapes.get("e")
        if above is None and not known:
            raise self.refuse(tree, said("e alone has no value yet; Euler's number stands with its power, e^{x}"))
        if above is None:
            return None
        if known and look.transposes(above):
            return None
        exponent = self.sized(tree, self.inner(above))
        if not known or (shape and (exponent.shape != () or look.has_entries(exponent.node))):
            return Value(self.call(tree, "exp", exponent.node), exponent.shape, exponent.row)
        if isinstance(exponent.node, lang.Number) and not shape:
            return None
        raise self.two_ways(
            tree,
            "e^{...}",
            (said(r"the exponential function, \exp(...)"), said("a power of the exercise's e, (e)^{...}")),
        )

    def inner(self, tree: Tree) -> Value:
        """What stands in braces, or a single small thing."""
        if tree.data == "empty":
            raise self.refuse(tree, said("nothing stands in these braces"))
        if tree.data == "brace":
            return self.side(look.trees(tree)[0])
        return self.unit(look.as_unit(tree))

    def resolve(
        self, tree: Tree, bases: list[str], word: bool, below: Tree | None, above: Tree | None, prefix: str = ""
    ) -> Found:
        r"""The quantity that a base with its scripts names: `W^{(1)}`, `W_1`, `y_{\text{pred}}`, `z_{ik}`."""
        found: list[Found] = []
        for base in bases:
            for before, rest in self._divisions(base) if word and not prefix else [([], base)]:
                for candidate in self._candidates(prefix + rest, below, above):
                    candidate.before = before
                    found.append(candidate)
        fitting = [f for f in found if self._fits(f)]
        plain = [f for f in fitting if not f.numbered] or fitting
        chosen = self._chosen(tree, plain or sorted(found, key=self._misses)[:1])
        if chosen is None:
            return self._unknown(tree, prefix + bases[0], below, above)
        if chosen.numbered:
            raise self._counted(tree)
        if not self._fits(chosen):
            raise self.refuse(tree, self._misfit(chosen))
        return chosen

    def _counted(self, tree: Any) -> ReadingError:
        return self.two_ways(
            tree,
            said("an index that is a number"),
            (said("counted from 0"), said("counted from 1")),
            said("write a letter"),
        )

    def _misfit(self, found: Found) -> str:
        shape, count = self.names.shapes[found.name] or (), len(found.items)
        n = len(shape)
        have = nsaid("{count} axis", "{count} axes", n, count=n) if shape else said("no axes")
        more = ""
        if 0 < count < n:
            own = "".join(index.name for index in self.names.indices_of(found.name)) or "ijkl"[:n]
            more = said(
                "; a part of a name's indices is not read: write all of them, in braces, as {example}",
                example=f"{found.name}_{{{own}}}",
            )
        return said(
            "{name} has {have}, and {given} here{more}",
            name=found.name,
            have=have,
            given=nsaid("{count} index", "{count} indices", count, count=count),
            more=more,
        )

    def _divisions(self, word: str) -> Iterator[tuple[list[str], str]]:
        """The word as one name, or as known names in front of a last one: `xy` is x times y."""
        yield [], word
        if self.left or len(word) < 2:
            return
        ways: dict[int, list[list[str]]] = {0: [[]]}
        for stop in range(1, len(word)):
            for start in range(stop):
                piece = word[start:stop]
                if (
                    start in ways
                    and self.names.is_value(piece)
                    or self.names.known(piece)
                    and piece in self.names.given
                    and start in ways
                ):
                    ways.setdefault(stop, []).extend([*way, piece] for way in ways[start][:3])
        for stop, several in sorted(ways.items()):
            if stop:
                for way in several[:3]:
                    yield way, word[stop:]

    def _candidates(self, base: str, below: Tree | None, above: Tree | None) -> Iterator[Found]:
        layer, sample, rest = self._above(above)
        items = self.sub_items(below) if below is not None else []
        suffixes: list[tuple[str, list[Any]]] = [("", items)] if layer is None else [(layer, items)]
        if layer is None:
            suffixes += self._suffixes(items)
            digit = look.digits(above)
            if digit and not self.names.known(base) and not self.names.is_learners(base):
                suffixes.append((digit, items))
        for suffix, remaining in suffixes:
            for name in (base + suffix, f"{base}_{suffix}") if suffix else (base,):
                if not self.names.known(name):
                    continue
                shape = self.names.shapes[name]
                wanted = None if shape is None else len(shape)
                nodes, numbered = self.index_nodes(remaining, None if wanted is None else wanted - len(sample))
                consumed = suffix and layer is None and suffix == look.digits(above) and remaining is items
                yield Found(name, [*sample, *nodes], None if consumed else rest, numbered)

    def _suffixes(self, items: list[Any]) -> Iterator[tuple[str, list[Any]]]:
        """A name's second part at the head of a subscript: `W_1`, `W_{1,ij}`, `y_{pred}`, `y_{pred,i}`."""
        if not items or not isinstance(items[0], list):
            return
        head, *more = items[0]
        if not isinstance(head, Tree) or len(head.children) != 1:
            return
        leaf = head.children[0]
        if look.leaf(leaf, "NUMBER") or look.leaf(leaf, "ROMAN") or look.leaf(leaf, "WORD"):
            yield str(leaf.children[0]), [more, *items[1:]] if more else items[1:]

    def _misses(self, found: Found) -> int:
        return abs(len(found.items) - len(self.names.shapes[found.name] or ()))

    def _fits(self, found: Found) -> bool:
        shape = self.names.shapes[found.name]
        return not found.items or shape is None or len(found.items) == len(shape)

    def _chosen(self, tree: Tree, found: list[Found]) -> Found | None:
        if not found:
            return None
        distinct = {f.shown(): f for f in found}
        if len(distinct) > 1:
            gradient = next((f for f in found if not f.before and self.names.is_gradient(f.name)), None)
            if gradient is not None and all(f is gradient or f.before[:1] == ["d"] for f in distinct.values()):
                return gradient  # in an answer d<name> is the gradient, also where d is a size
            raise self.two_ways(
                tree,
                said("this"),
                distinct,
                said(r"write \frac{\partial L}{\partial ...} for a gradient, \cdot between factors"),
            )
        return found[0]

    def _unknown(self, tree: Tree, base: str, below: Tree | None, above: Tree | None) -> Found:
        """A name of the learner's own: letters below are its indices, a number or a word is part of its name."""
        layer, sample, rest = self._above(above)
        if layer is not None and self.names.known(base):
            raise self.refuse(
                tree,
                said(
                    "{base}^{{({layer})}} would be called {base}{layer} here, and the exercise has none; for "
                    "a power write {base}^{layer}",
                    base=base,
                    layer=layer,
                ),
            )
        items = self.sub_items(below) if below is not None else []
        name = base + (layer or "")
        if layer is None:
            for suffix, remaining in self._suffixes(items):
                roman = look.leaf(items[0][0].children[0], "ROMAN")
                if suffix.isdigit() or roman:
                    name, items = base + ("" if suffix.isdigit() else "_") + suffix, remaining
        nodes, numbered = self.index_nodes(items, None)
        return Found(name, [*sample, *nodes], rest, numbered)

    def built(self, tree: Tree, found: Found) -> Value:
        """The expression for a name with indices and an exponent."""
        shape = self.names.shapes.get(found.name)
        node: lang.Expression = self.name(tree, found.name)
        if self.names.is_gradient(found.name):
            self.differentials.append(found.name)
        index = found.name in self.names.indices and not found.items
        if found.name not in self.names.shapes and not self.left and not self.indexing and not index:
            raise self.refuse(tree, self.names.unknown(found.name))
        if found.items:
            node, shape = lang.Subscript(*self.at(tree), node, tuple(found.items)), ()
        elif found.name not in self.names.shapes:
            shape = () if found.name in self.names.indices else None
            if shape == () and not (self.comparing or self.left or self.indexing):
                readings = (said("the number of an entry counted from 0"), said("counted from 1"))
                raise self.two_ways(
                    tree,
                    said("the index {name} as a factor", name=found.name),
                    readings,
                    said("write it out in torch's spelling"),
                )
        value = Value(node, shape)
        if found.above is not None:
            value = self.raised(tree, value, found.above)
        for name in reversed(found.before):
            value = self.product(tree, Value(self.name(tree, name), self.names.shapes[name]), value)
        return value

    # -- what stands above --

    def _above(self, above: Tree | None) -> tuple[str | None, list[lang.Expression], Tree | list[Tree] | None]:
        r"""(layer, index of a sample, the rest) of a superscript: `^{(2)\top}` is layer 2, transposed."""
        if above is None:
            return None, [], None
        parts = look.parts(above)
        if not parts or not isinstance(parts[0], Tree) or parts[0].data != "unit" or len(parts[0].children) != 1:
            return None, [], above
        group = parts[0].children[0]
        inside = look.only_unit(group) if group.data in ("group", "bracket") else None
        if inside is None or len(inside.children) != 1:
            return None, [], above
        rest = [p for p in parts[1:] if isinstance(p, Tree)] or None
        leaf = inside.children[0]
        if look.leaf(leaf, "NUMBER") and str(leaf.children[0]).isdigit():
            return str(leaf.children[0]), [], rest
        if (
            look.leaf(leaf, "WORD")
            and len(str(leaf.children[0])) == 1
            and not self.names.is_value(str(leaf.children[0]))
        ):
            return None, [self.name(leaf, str(leaf.children[0]))], rest
        return None, [], above

    def raised(self, tree: Tree, value: Value, above: Tree | list[Tree]) -> Value:
        """A power, a transpose, an inverse."""
        parts = look.parts(above) if isinstance(above, Tree) else above
        if look.transposes(above, bare=value.shape != ()):
            return self._transposed(tree, value)
        self.sized(tree, value)
        matrix = value.shape is None or len(value.shape) == 2
        if matrix and look.inverts_transposed(above):
            return self._transposed(tree, Value(self.call(tree, "inv", value.node), value.shape))
        if isinstance(above, list):
            if len(above) != 1:
                raise self.refuse(above, said("this exponent cannot be read"))
            exponent = self.unit(above[0])
        elif parts and isinstance(parts[0], Token):
            if str(parts[0]) != "odot" or len(parts) < 2:
                raise self.refuse(
                    above, said("^{{{sign}}} is not part of an answer", sign=OPERATION.get(str(parts[0]), parts[0]))
                )
            exponent = Chain(self, parts[1:]).value()  # A^{\odot 2}
            return Value(lang.Binary(*self.at(tree), "**", value.node, exponent.node), value.shape, value.row)
        else:
            exponent = self.inner(above)
        return self._power(tree, value, exponent)

    def _transposed(self, tree: Tree, value: Value) -> Value:
        if value.shape == ():
            if not isinstance(value.node, lang.Subscript):
                return value  # a number is its own transpose
            raise self.refuse(tree, said("one entry has no transpose: leave the indices out, or the \\top"))
        if value.unsized or (value.shape is not None and len(value.shape) == 1):
            return Value(value.node, value.shape, not value.row, value.unsized)
        shape = None if value.shape is None else value.shape[::-1]
        return Value(lang.Attribute(*self.at(tree), value.node, "T"), shape)

    def _power(self, tree: Tree, value: Value, exponent: Value) -> Value:
        if value.shape is not None and len(value.shape) == 2:
            number = look.constant(exponent.node)
            if number == -1 and value.shape[0] == value.shape[1]:
                return Value(self.call(tree, "inv", value.node), value.shape)
            if value.shape[0] == value.shape[1] or number is None:
                readings = (said("a product of matrices"), said("a power of each entry"))
                raise self.two_ways(tree, said("a power of a whole matrix"), readings, said(r"write A A, or A \odot A"))
        if value.shape is None and look.constant(exponent.node) == -1:
            raise self.two_ways(
                tree,
                "^{-1}",
                (said("an inverse matrix"), said("one over each entry")),
                said(r"write \frac{1}{...}, or the indices"),
            )
        if exponent.shape not in ((), None) or exponent.unsized:
            raise self.refuse(tree, said("an exponent is one number"))
        return Value(lang.Binary(*self.at(tree), "**", value.node, exponent.node), value.shape, value.row)

    # -- indices --

    def sub_items(self, below: Tree) -> list[Any]:
        """What stands below, divided at commas: a list of units where they only stand side by side, else a tree."""
        made: list[Any] = []
        if below.data == "empty":
            return made
        for either in look.trees(look.trees(below)[0]) if below.data == "brace" else [None]:
            if either is None:
                made.append([look.as_unit(below)])
                continue
            term = look.only_term(either)
            plain = term is not None and all(isinstance(part, Tree) for part in term.children)
            made.append(list(term.children) if plain and term is not None else either)
        return made

    def index_nodes(self, items: list[Any], axes: int | None) -> tuple[list[lang.Expression], bool]:
        """The indices, and whether a number other than 0 is among them."""
        self.indexing += 1
        try:
            apart = [node for item in items for node in self._exploded(item)]
            if (
                axes is not None
                and len(apart) != axes
                and len(items) == axes
                and any(look.has_number(item) for item in items)
            ):
                apart = [self._index_expression(item) for item in items]  # x_{2i}
            elif axes is not None and len(apart) != axes == len(items) > 1 and all(map(self._is_product, items)):
                apart = [self._index_expression(item) for item in items]  # W_{dt+c, g}, W_{d t, g}
        finally:
            self.indexing -= 1
        return apart, any(isinstance(n, lang.Number) and n.value != 0 for n in apart)

    def _is_product(self, item: Any) -> bool:
        """Whether letters side by side below are all known, so that `dt` can be d times t."""
        if not isinstance(item, list) or (len(item) == 1 and len(str(item[0].children[0].children[0])) == 1):
            return True
        letters = [c for unit in item for token in unit.scan_values(lambda t: t.type == "WORD") for c in str(token)]
        return all(c in self.names.indices or self.names.is_value(c) for c in letters)

    def _index_expression(self, item: Any) -> lang.Expression:
        return Chain(self, item).value().node if isinstance(item, list) else self.either(item).node

    def _exploded(self, item: Any) -> Iterator[lang.Expression]:
        """`ik` is i and k; `t_n d` is t[n] and d."""
        if not isinstance(item, list):
            yield self.either(item).node
            return
        position = 0
        while position < len(item):
            unit = item[position]
            function = look.leaf(unit.children[0], "FUNCTION") or look.leaf(unit.children[0], "BIG")
            if function:  # \arg\max_k z_{ik} takes what follows
                yield Chain(self, item[position:]).value().node
                return
            yield from self._index_letters(unit)
            position += 1

    def _index_letters(self, unit: Tree) -> Iterator[lang.Expression]:
        atom = unit.children[0]
        if look.leaf(atom, "WORD"):
            *front, _ = letters = self._letters(str(atom.children[0]))
            for letter in front:
                yield self.name(unit, letter)
            yield self._index_value(unit, [letters[-1]], atom, *self.scripts(unit)[1:]).node
        elif look.leaf(atom, "NUMBER") and set(str(atom.children[0])) == {"0"} and len(unit.children) == 1:
            for _ in str(atom.children[0]):
                yield self.number(unit, 0)
        else:
            yield self.unit(unit).node

    def _letters(self, word: str) -> list[str]:
        """A word below is letters, unless the exercise has that word as a name."""
        if word in self.names.indices or (len(word) > 1 and self.names.known(word)):
            return [word]
        return list(word)

    def _index_value(
        self, tree: Tree, bases: list[str], atom: Tree, below: Tree | None, above: Tree | None, primes: int
    ) -> Value:
        """A name inside a subscript: an index, a size, or integers such as t_n."""
        base = next((b for b in bases if b in self.names.indices or self.names.known(b)), bases[0])
        if len(base) > 1 and look.leaf(atom, "WORD") and base not in self.names.indices and not self.names.known(base):
            chain = [Value(self.name(tree, letter)) for letter in base]
            value = chain[0]
            for more in chain[1:]:
                value = Value(lang.Binary(*self.at(tree), "*", value.node, more.node))
            return value
        if self.names.is_value(base) and not primes:
            return self.built(tree, self._only(tree, base, below, above))
        digits = look.digits(below)
        if below is not None and not digits:
            raise self.refuse(
                below, said("{base} is an index: below it stands a number at most, as i_{{1}}", base=base)
            )
        value = Value(self.name(tree, base + (digits or "") + "'" * primes))
        return self.raised(tree, value, above) if above is not None else value

    def _only(self, tree: Tree, base: str, below: Tree | None, above: Tree | None) -> Found:
        found = list(self._candidates(base, below, above))
        return next((f for f in found if self._fits(f)), found[0] if found else Found(base, [], above))

    # -- atoms that are no names --

    def atom(self, atom: Tree) -> Value:
        method: Callable[[Tree], Value] | None = getattr(self, f"_{atom.data}", None)
        if method is None:
            raise self.refuse(atom, said("this cannot be read here"))
        return method(atom)

    def _leaf(self, atom: Tree) -> Value:
        token = look.token_of(atom)
        if token.type == "CONST":
            return Value(self.name(atom, str(token)))
        if token.type == "ONE":
            return constants.ones(self, atom, None) if str(token) == "1" else constants.identity(self, atom, None)
        reasons = {
            "TOP": said("^\\top stands above a matrix"),
            "PARTIAL": said("\\partial stands in a derivative: \\frac{\\partial L}{\\partial W}"),
            "NABLA": said("\\nabla says of what, and with respect to what: \\nabla_W L"),
            "BIG": said("\\{big} stands before what it runs over", big="sum" if str(token) == "Sum" else "prod"),
            "FUNCTION": said("\\{token} stands before its argument", token=token),
            "PRIMED": said("\\prime stands above an index or a function"),
        }
        raise self.refuse(atom, reasons.get(token.type, said("this cannot be read here")))

    def _numeral(self, tree: Tree, atom: Tree, below: Tree | None, above: Tree | None) -> Value:
        text = str(atom.children[0])
        if below is not None:
            if text == "1" and above is None and look.is_relation(below):
                return self.indicator(tree, look.trees(below)[0])
            raise self.refuse(below, said("a number has no indices"))
        if len(text) > MAX_DIGITS:
            raise self.refuse(atom, said("a number of more than {most} digits", most=MAX_DIGITS))
        value = Value(lang.Number(*self.at(atom), int(text) if text.isdigit() else float(text), text))
        return self.raised(tree, value, above) if above is not None else value

    def _frac(self, atom: Tree) -> Value:
        top, bottom = look.trees(atom)
        derivative = self.derivative(atom, look.parts(top), look.parts(bottom))
        if derivative is not None:
            return derivative
        return self.divided(atom, self.inner(top), self.inner(bottom))

    def _sqrt(self, atom: Tree) -> Value:
        parts = look.trees(atom)
        value = self.sized(atom, self.inner(parts[-1]))
        if len(parts) == 1:
            return Value(self.call(atom, "sqrt", value.node), value.shape, value.row)
        root = self.side(parts[0])
        power = lang.Binary(*self.at(atom), "/", self.number(atom, 1), root.node)
        return Value(lang.Binary(*self.at(atom), "**", value.node, power), value.shape, value.row)

    def _accent(self, atom: Tree) -> Value:
        raise self.refuse(atom, said("a hat, a bar or a tilde stands above a name"))

    def _brace(self, atom: Tree) -> Value:
        return self.side(look.trees(atom)[0])

    def _empty(self, atom: Tree) -> Value:
        raise self.refuse(atom, said("nothing stands in these braces"))

    def _group(self, atom: Tree) -> Value:
        return self.side(look.trees(atom)[0])

    def _set(self, atom: Tree) -> Value:
        return self.side(look.trees(atom)[0])

    def _bracket(self, atom: Tree) -> Value:
        if look.is_relation(atom):
            return self.indicator(atom, look.trees(atom)[0])
        return self.side(look.trees(atom)[0])

    def _bars(self, atom: Tree) -> Value:
        value = self.sized(atom, self.side(look.trees(atom)[0]))
        if value.shape is not None and len(value.shape) == 2:
            raise self.two_ways(
                atom,
                said("|A| of a matrix"),
                (said("its determinant"), said("the absolute value of each entry")),
                said("write the indices"),
            )
        return Value(self.call(atom, "abs", value.node), value.shape, value.row)

    def _norm(self, atom: Tree, below: Tree | None = None) -> Value:
        r"""`\| x \|`, `\| x \|_2` of a vector, `\| A \|_F` of a matrix: the root of the sum of squares."""
        value = self.side(look.trees(atom)[0])
        axes = None if value.shape is None else len(value.shape)
        if axes == 2 and (below is None or look.digits(below) == "2"):
            readings = (said(r"the root of the sum of squares, \|A\|_F"), said("the largest singular value"))
            raise self.two_ways(atom, said(r"\|A\| of a matrix"), readings)
        if not (axes == 1 and (below is None or look.digits(below) == "2")) and not (
            axes == 2 and look.letter(below) == "F"
        ):
            raise self.refuse(
                atom,
                said(
                    r"\| \| is the length of a vector, \|x\|_2, or of a matrix, \|A\|_F: write other norms out, as "
                    r"\sum_i |x_i|"
                ),
            )
        square = lang.Binary(*self.at(atom), "*", value.node, value.node)
        total = lang.Call(*self.at(atom), lang.Attribute(*self.at(atom), square, "sum"), (), ())
        return Value(self.call(atom, "sqrt", total), ())

    def _angle(self, atom: Tree) -> Value:
        r"""`\langle a, b \rangle` of two vectors, or of two matrices entry by entry."""
        values = [self.either(each) for each in look.trees(look.trees(atom)[0])]
        shapes = {value.shape for value in values}
        if len(values) != 2 or len(shapes) != 1 or not values[0].shape:
            raise self.refuse(atom, said(r"\langle a, b \rangle stands for two whole vectors: write \sum_i a_i b_i"))
        product = lang.Binary(*self.at(atom), "*", values[0].node, values[1].node)
        return Value(lang.Call(*self.at(atom), lang.Attribute(*self.at(atom), product, "sum"), (), ()), ())

    def _floor(self, atom: Tree) -> Value:
        value = self.sized(atom, self.side(look.trees(atom)[0]))
        node = value.node
        if isinstance(node, lang.Binary) and node.op == "/":
            return Value(lang.Binary(node.line, node.column, node.end, "//", node.left, node.right), value.shape)
        return Value(self.call(atom, "floor", node), value.shape)

    def _cases(self, atom: Tree) -> Value:
        """Branch by branch; where none holds there is no value."""
        made: lang.Expression = lang.Binary(*self.at(atom), "-", self.name(atom, "inf"), self.name(atom, "inf"))
        shape: Shape | None = ()
        for row in reversed(look.trees(atom)):
            value = self.sized(row, self.side(look.trees(row)[0]))
            shape = value.shape if shape == () else shape
            condition = row.children[-1]
            if isinstance(condition.children[0], Token):  # otherwise
                made = value.node
                continue
            if not look.is_relation(condition):
                raise self.refuse(condition, said("a case has its condition on the right: & \\text{if } z > 0"))
            made = self.call(row, "where", self.side(condition.children[0]).node, value.node, made)
        return Value(made, shape)

    def indicator(self, tree: Any, condition: Tree) -> Value:
        value = self.side(condition)
        return Value(
            self.call(tree, "where", value.node, self.number(tree, 1), self.number(tree, 0)), value.shape, value.row
        )

    # -- derivatives --

    def derivative(self, tree: Any, top: list[Any], bottom: list[Any]) -> Value | None:
        r"""`\frac{\partial L}{\partial z_{ik}}` is dz[i,k]; `\frac{\partial p}{\partial e}` is dp_de, a local one."""
        if self._is_of_a_formula(top):
            line, column, _ = self.at(tree)
            raise Unnamed(
                said(
                    r"the derivative of a formula is not judged: after \partial stands one name of the exercise, as "
                    r"\partial z_{ik}"
                ),
                line,
                column,
            )
        above, below = self._differential(top), self._differential(bottom)
        if below is None:
            return None
        if above is None:
            if top and look.unit_of(top[0], "PARTIAL"):
                raise self.refuse(tree, said(r"\frac{\partial}{\partial W} L: write \frac{\partial L}{\partial W}"))
            return None
        wrt = self._quantity(below)
        name = self._bare(above)
        if name is not None and self.names.is_loss(name):
            return self._gradient(tree, wrt)
        return self._local(tree, self._quantity(above), wrt)

    def _differential(self, parts: list[Any]) -> Tree | None:
        r"""The unit after the d of `\partial z`, `dz`, `\mathrm{d} z`."""
        if not parts or not all(isinstance(p, Tree) for p in parts):
            return None
        first = parts[0]
        if look.unit_of(first, "PARTIAL"):
            if len(first.children) > 1:
                raise self.refuse(first, said("only first derivatives are part of an answer"))
            if len(parts) == 1:
                return None
            if len(parts) == 2 or self._of_arguments(parts):
                return parts[1]
            raise self.refuse(parts, said(r"after \partial stands one name: give a product a name of its own"))
        atom = first.children[0]
        if not (look.leaf(atom, "WORD") or look.leaf(atom, "ROMAN")):
            return None
        word = str(atom.children[0])
        if word == "d" and len(parts) == 2 and len(first.children) == 1:
            return parts[1]
        if word.startswith("d") and len(word) > 1 and len(parts) == 1 and not self.names.is_value(word):
            token = look.token_of(atom)
            inner = Token(
                "WORD" if token.type == "WORD" else "ROMAN", word[1:], start_pos=token.start_pos, end_pos=token.end_pos
            )
            made = Tree("unit", [Tree("leaf", [inner]), *first.children[1:]])
            return made if self.names.known(word[1:]) or self.names.is_loss(word[1:]) or self._layered(made) else None
        return None

    def _of_arguments(self, parts: list[Any]) -> bool:
        r"""`\partial L(W, b)` names what the loss depends on."""
        if len(parts) != 3 or self._bare(parts[1]) is None or len(parts[2].children) != 1:
            return False
        group = parts[2].children[0]
        terms = [look.only_term(each) for each in look.trees(look.trees(group)[0])] if group.data == "group" else []
        return bool(terms) and all(
            term is not None and len(term.children) == 1 and self._is_named(term.children[0]) for term in terms
        )

    def _is_named(self, part: Any) -> bool:
        return isinstance(part, Tree) and self.spellings(part.children[0]) is not None

    def _is_of_a_formula(self, top: list[Any]) -> bool:
        r"""`\partial \log p_{il}`, `\partial (x^\top A x)`: what is derived has no name."""
        if len(top) < 2 or not look.unit_of(top[0], "PARTIAL") or len(top[0].children) > 1:
            return False
        if any(look.unit_of(part, "PARTIAL") for part in top[1:]):
            return False  # a derivative that is divided by something
        return not self._is_named(top[1]) or (len(top) > 2 and not self._of_arguments(top))

    def _layered(self, unit: Tree) -> bool:
        atom, below, above, _ = self.scripts(unit)
        return any(True for base in self.spellings(atom) or () for _ in self._candidates(base, below, above))

    def _bare(self, unit: Tree) -> str | None:
        bases = self.spellings(unit.children[0])
        return next((b for b in bases if self.names.is_loss(b)), None) if bases and len(unit.children) == 1 else None

    def _quantity(self, unit: Tree) -> Found:
        """What stands after a d: a quantity of the exercise, or of the learner."""
        atom, below, above, primes = self.scripts(unit)
        bases = self.spellings(atom)
        if bases is None or primes:
            raise self.refuse(unit, said(r"after \partial stands a name, as \partial z_{ik}"))
        if self._is_variance(bases, above):
            bases, above = ["var"], None
        found = self.resolve(unit, bases, False, below, above)
        if found.above is not None:
            raise self.refuse(unit, said(r"after \partial stands a name without an exponent; a transpose goes outside"))
        return found

    def _gradient(self, tree: Any, wrt: Found) -> Value:
        name = f"d{wrt.name}"
        node: lang.Expression = self.name(tree, name)
        if wrt.items:
            return Value(lang.Subscript(*self.at(tree), node, tuple(wrt.items)), ())
        return Value(node, self.names.shapes.get(wrt.name))

    def _local(self, tree: Any, of: Found, wrt: Found) -> Value:
        """d<v>_d<u>: shape of v, then shape of u; with the same indices on both, entry by entry."""
        quantities = self.names.exercise.quantities
        if of.name not in quantities or wrt.name not in quantities or quantities[of.name].is_leaf:
            loss = self.names.losses[0] if self.names.losses else "L"
            raise self.refuse(
                tree,
                said(
                    "{name} is neither the loss {loss} nor a step of the exercise: its derivative is not known here",
                    name=of.name,
                    loss=loss,
                ),
            )
        name = f"d{of.name}_d{wrt.name}"
        self.names.locals.add(name)
        node: lang.Expression = self.name(tree, name)
        if not of.items and not wrt.items:
            whole = self.names.shapes[of.name], self.names.shapes[wrt.name]
            return Value(node, () if whole == ((), ()) else None)
        for part in (of, wrt):
            if len(part.items) != len(self.names.shapes[part.name] or ()):
                raise self.refuse(
                    tree, said("{name} stands without its indices here: give all of them, or none", name=part.name)
                )
        same = [look.text(a) for a in of.items] == [look.text(b) for b in wrt.items]
        items = of.items if same else [*of.items, *wrt.items]
        return Value(lang.Subscript(*self.at(tree), node, tuple(items)), ())

    # -- products --

    def product(self, tree: Any, left: Value, right: Value) -> Value:
        """Side by side: numbers multiply; whole tensors as matrices do."""
        return (
            self._matrix(tree, left, right)
            if left.shape != () and right.shape != ()
            else self._times(tree, left, right)
        )

    def _times(self, tree: Any, left: Value, right: Value) -> Value:
        other = right if left.shape == () else left
        return Value(lang.Binary(*self.at(tree), "*", left.node, right.node), other.shape, other.row, other.unsized)

    def _matrix(self, tree: Any, left: Value, right: Value) -> Value:
        if left.unsized or right.unsized:
            return constants.product(self, tree, left, right)
        if left.shape is None or right.shape is None:
            raise self.refuse(
                tree,
                said(
                    r"what stands side by side here is not known to be numbers or matrices: write \odot or "
                    "the indices"
                ),
            )
        kinds = (len(left.shape), left.row), (len(right.shape), right.row)
        at = self.at(tree)
        matmul = lang.Binary(*at, "@", left.node, right.node)
        if kinds[0][0] == 1 and kinds[1][0] == 1:
            if left.row and not right.row:
                return Value(matmul, ())
            if not left.row and right.row:
                return Value(self.call(tree, "outer", left.node, right.node), (left.shape[0], right.shape[0]))
            inner, outer = said(r"an inner product, a^\top b"), said(r"an outer product, a b^\top")
            entrywise = said(r"a product entry by entry, a \odot b")
            raise self.two_ways(tree, said("two vectors side by side"), (inner, outer, entrywise))
        if left.shape == right.shape and len(left.shape) == 2 and left.shape[0] != left.shape[1]:
            raise self.refuse(
                tree,
                said(
                    "two matrices of shape ({names}) have no matrix product; entry by entry it is \\odot",
                    names=", ".join(left.shape),
                ),
            )
        if kinds[1] == (1, True) or kinds[0] == (1, False):
            raise self.refuse(
                tree,
                said("a vector and a matrix in this order have no product: write \\odot, a transpose, or the indices"),
            )
        if len(left.shape) == 2 and len(right.shape) == 2:
            return Value(matmul, (left.shape[0], right.shape[1]))
        if len(left.shape) == 2 and len(right.shape) == 1:
            return Value(matmul, left.shape[:1])
        if len(left.shape) == 1 and len(right.shape) == 2:
            return Value(matmul, right.shape[1:], row=True)
        raise self.refuse(tree, said("tensors with more than two axes have no matrix product: write the indices"))

    def operated(self, tree: Any, op: str, left: Value, right: Value) -> Value:
        """A product or quotient whose operator is written."""
        if op == "/":
            return self.divided(tree, left, right)
        if op == "mod":
            return Value(lang.Binary(*self.at(tree), "%", left.node, right.node), left.shape)
        if op in ("odot", "oslash"):
            return self.entrywise(tree, "*" if op == "odot" else "/", left, right)
        if op == "otimes":
            if left.shape and right.shape and len(left.shape) == len(right.shape) == 1:
                return Value(self.call(tree, "outer", left.node, right.node), left.shape + right.shape)
            raise self.refuse(tree, said(r"\otimes stands between two vectors; entry by entry it is \odot"))
        if left.shape == () or right.shape == ():
            return self._times(tree, left, right)
        if op in ("dot", "times") and self._only_as_matrices(left, right):
            return self._matrix(tree, left, right)
        if op == "dot" and left.shape and right.shape and len(left.shape) == len(right.shape) == 1:
            if right.row and not left.row:
                return self._matrix(tree, left, right)  # a column and a row: x \cdot x^\top
            return self._dot(tree, left, right)
        readings = (said("a matrix product, A B"), said(r"a product entry by entry, A \odot B"))
        raise self.two_ways(tree, said("{operation} between whole tensors", operation=OPERATION[op]), readings)

    def _dot(self, tree: Any, left: Value, right: Value) -> Value:
        r"""`a \cdot b` of two vectors: an inner product, or entry by entry. What the whole should be decides it."""
        readings = said(r"an inner product, a^\top b"), said(r"a product entry by entry, a \odot b")
        self.dots.append(self.two_ways(tree, said(r"\cdot between two vectors"), readings))
        if self.entry_by_entry:
            return self.entrywise(tree, "*", left, right)
        return Value(lang.Binary(*self.at(tree), "@", left.node, right.node), ())

    def _only_as_matrices(self, left: Value, right: Value) -> bool:
        r"""`x^\top \cdot dz`: the shapes fit a matrix product and nothing else."""
        if not left.shape or not right.shape or len(left.shape) != 2 or left.shape == right.shape:
            return False
        known = not any(size.startswith("?") for size in (*left.shape, *right.shape))
        return known and len(right.shape) == 2 and left.shape[1] == right.shape[0]

    def divided(self, tree: Any, left: Value, right: Value) -> Value:
        return self.entrywise(tree, "/", left, right)
