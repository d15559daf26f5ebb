"""From the index form to a line of torch: `Sum(x[i,j]*dz[i,k], i)` is `x.T @ dz`.

Every piece is a torch expression with the axes it has; pieces are lined up by transposes and `None` axes, contracted
by `@`, summed by `.sum`, and only as the last resort handed to `torch.einsum`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sympy import (
    Add,
    And,
    Basic,
    Expr,
    Idx,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Number,
    Piecewise,
    Pow,
    Product,
    S,
    Sum,
    Symbol,
    floor,
    fraction,
    preorder_traversal,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.numbers import NumberSymbol
from sympy.core.relational import GreaterThan, LessThan, Relational, StrictGreaterThan, StrictLessThan

from tutor.errors import ExerciseError
from tutor.exercise import Exercise
from tutor.symbolic.convolutions import Convolved, convolution, window
from tutor.symbolic.functions import clamp, function_row
from tutor.symbolic.indices import (
    bound_indices,
    bracket_condition,
    free_indices,
    never_negative,
    ordered_indices,
    quantities_in,
    size,
    within,
)
from tutor.symbolic.notation import SheetWriter, common_number
from tutor.symbolic.operations import (
    AmaxOver,
    AminOver,
    ArgMaxOver,
    ArgMinOver,
    Det,
    LogDet,
    MatrixEntry,
    MaxOver,
    MinOver,
)

ADD, PRODUCT, UNARY, POWER, ATOM = range(5)


class NoTorchForm(Exception):
    """Torch has no short way to say this."""


@dataclass(frozen=True)
class Piece:
    """A torch expression, how tightly its text holds together, and the axes of its value in order.

    An axis of one entry that is kept (torch's keepdim) carries no index: None.
    """

    text: str
    holds: int
    axes: tuple[Idx | None, ...]
    # the same with every factor lined up to more axes: `dmu[:, None] / D` rather than `(dmu / D)[:, None]`
    across: Callable[[tuple[Idx, ...]], Piece] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        axes = [axis for axis in self.axes if axis is not None]
        if len(set(axes)) != len(axes):
            raise NoTorchForm  # an index twice is a diagonal, and no axis of its own

    def at(self, tight: int) -> str:
        return self.text if self.holds >= tight else f"({self.text})"


def torch_form(expr: Expr, indices: Sequence[Idx], exercise: Exercise) -> str | None:
    """The right side as torch, its axes in the order of `indices`; None where there is no short way."""
    former = _Former(exercise)
    try:
        tensors = quantities_in(expr) - set(exercise.size_symbols)
        return former.filled(former.form(expr, tuple(indices)), tuple(indices), bool(tensors)).text
    except NoTorchForm:
        return None


def _lined_up(piece: Piece, axes: tuple[Idx, ...]) -> Piece:
    """The piece with its axes in the order of `axes`; missing ones in the middle or at the end become `None`."""
    if _broadcasts(piece, axes):
        return piece
    piece = _squeezed(piece)
    have = tuple(a for a in axes if a in piece.axes)
    if set(piece.axes) - set(axes):
        raise NoTorchForm
    slots = [":" if a in have else "None" for a in axes]
    while slots and slots[0] == "None":
        slots.pop(0)
    if "None" not in slots:
        return _permuted(piece, have)
    if piece.across is not None:
        return piece.across(axes)
    piece = _permuted(piece, have)
    return Piece(f"{piece.at(ATOM)}[{', '.join(slots)}]", ATOM, have)


def _broadcasts(piece: Piece, axes: tuple[Idx | None, ...]) -> bool:
    """Whether a piece with kept axes already lines up with `axes` by torch's rule, from the right."""
    if None not in piece.axes or len(piece.axes) > len(axes):
        return False
    return all(mine is None or mine == other for mine, other in zip(reversed(piece.axes), reversed(axes)))  # noqa: B905


def _squeezed(piece: Piece) -> Piece:
    """Without its kept axes: `s[:, 0]`."""
    if None not in piece.axes:
        return piece
    slots = ["0" if a is None else ":" for a in piece.axes]
    while slots[-1] == ":":
        slots.pop()
    return Piece(f"{piece.at(ATOM)}[{', '.join(slots)}]", ATOM, tuple(a for a in piece.axes if a is not None))


def _permuted(piece: Piece, axes: tuple[Idx, ...]) -> Piece:
    if piece.axes == axes:
        return piece
    if len(axes) == 2:
        return Piece(f"{piece.at(ATOM)}.T", ATOM, axes)
    if len(axes) > 2 and piece.axes[:-2] == axes[:-2]:
        return Piece(f"{piece.at(ATOM)}.mT", ATOM, axes)
    order = [piece.axes.index(a) for a in axes]
    moved = [n for n, place in enumerate(order) if n != place]
    if len(moved) == 2:
        return Piece(f"{piece.at(ATOM)}.transpose({moved[0]}, {moved[1]})", ATOM, axes)
    return Piece(f"{piece.at(ATOM)}.permute({', '.join(map(str, order))})", ATOM, axes)


def _shifted(slot: Expr) -> Idx | None:
    """i for a slot `i` or `i + 1`."""
    if isinstance(slot, Idx):
        return slot
    index = next(iter(free_indices(slot)), None)
    return index if index is not None and (slot - index).is_Integer else None


def _after(one: Idx, other: Idx, order: tuple[Idx, ...]) -> bool:
    return one in order and other in order and order.index(one) > order.index(other)


def _distances(condition: Basic | None) -> set[Expr | None]:
    """What must not be negative for a condition on indices to hold; None for what is no such condition."""
    found: set[Expr | None] = set()
    for part in condition.args if isinstance(condition, And) else (condition,):
        if isinstance(part, (GreaterThan, LessThan)):
            found.add((part.gts - part.lts).expand())
        elif isinstance(part, (StrictGreaterThan, StrictLessThan)):
            found.add((part.gts - part.lts - 1).expand())
        else:
            found.add(None)
    return found


class _Former:
    def __init__(self, exercise: Exercise):
        self.exercise = exercise
        self.writer = SheetWriter(exercise)

    def filled(self, piece: Piece, axes: tuple[Idx, ...], tensors: bool) -> Piece:
        """The piece in its full shape: axes it does not vary over are repeated. Without `tensors` it is a number."""
        lined = _lined_up(piece, axes)
        units = {a for a in axes if size(a) == 1}
        if set(lined.axes) == set(axes) or (
            len(lined.axes) == len(axes) and set(axes) - set(lined.axes) <= units and None in lined.axes
        ):
            return lined
        shape = ", ".join(self.writer.write(size(a)) for a in axes)
        if piece.axes or tensors:
            return Piece(f"{lined.at(ATOM)}.expand({shape})", ATOM, axes)
        if piece.text in ("0", "1"):
            return Piece(f"torch.{'zeros' if piece.text == '0' else 'ones'}({shape})", ATOM, axes)
        return Piece(f"torch.full(({shape}{',' if len(axes) == 1 else ''}), {piece.text})", ATOM, axes)

    def form(self, node: Basic, wanted: tuple[Idx, ...]) -> Piece:
        """A piece for `node`, preferring the axis order `wanted`."""
        for kind, rule in _FORMS.items():
            if isinstance(node, kind):
                return rule(self, node, wanted)
        if isinstance(node, Expr) and node.is_Function:
            return self.function(node, wanted)
        raise NoTorchForm

    # -- leaves ------------------------------------------------------------------------------------

    def number(self, node: Number, wanted: tuple[Idx, ...]) -> Piece:
        text = self.writer.write(node)
        return Piece(text, ATOM if node.is_Integer and node >= 0 else PRODUCT, ())

    def constant(self, node: NumberSymbol, wanted: tuple[Idx, ...]) -> Piece:
        return Piece("pi" if node is S.Pi else "torch.exp(1)", ATOM, ())

    def symbol(self, node: Symbol, wanted: tuple[Idx, ...]) -> Piece:
        return Piece(node.name, ATOM, ())

    def index(self, node: Idx, wanted: tuple[Idx, ...]) -> Piece:
        return Piece(f"torch.arange({self.writer.write(size(node))})", ATOM, (node,))

    def indexed(self, node: Indexed, wanted: tuple[Idx, ...]) -> Piece:
        """Plain axes stay; integers select; one gather by an index tensor goes into the brackets."""
        name, slots = node.base.name, node.indices
        plain = [i for i in slots if isinstance(i, Idx) and size(i) != 1]
        if len(slots) == 2 and len(plain) == 2 and plain[0] == plain[1] and len(set(node.base.shape)) == 1:
            return Piece(f"{name}.diagonal()", ATOM, (plain[0],))
        if len(set(plain)) != len(plain):
            raise NoTorchForm
        if any(self._part_of_axis(i, n) for i, n in zip(slots, node.base.shape, strict=True)):
            return self._sliced(node, wanted)
        turned = self._turned(node, wanted)
        if turned is not None:
            return turned
        inner = [s for s in slots if not isinstance(s, (Idx, Number))]
        if any(within(s, n) != S.true for s, n in zip(slots, node.base.shape, strict=True) if s in inner):
            raise NoTorchForm  # arithmetic that may leave its axis
        if not inner and not any(self._selects(s, node, n) for n, s in enumerate(slots)):
            return Piece(name, ATOM, tuple(i if i in plain else None for i in slots))
        if (
            inner
            and all(self._digits(s, n) for s, n in zip(slots, node.base.shape, strict=True) if s in inner)
            and not any(isinstance(s, Number) for s in slots)
        ):
            axes = [
                a
                for s, n in zip(slots, node.base.shape, strict=True)
                for a in (self._digits(s, n) if s in inner else [s])
            ]
            return Piece(f"{name}.view({', '.join(self.writer.write(size(a)) for a in axes)})", ATOM, tuple(axes))
        windows = self._windows(node, inner)
        if windows is not None:
            return windows
        blocks = self._blocks(node, wanted)
        if blocks is not None:
            return blocks
        if any(isinstance(s, Number) for s in slots) and inner or len(inner) > 1:
            raise NoTorchForm
        gathered = [self.form(s, wanted) if s in inner else None for s in slots]
        shared = set(plain) & {a for piece in gathered if piece for a in piece.axes}
        if shared:
            return self._picked(name, slots, gathered)
        texts, axes = [], []
        for slot, piece in zip(slots, gathered, strict=True):
            if piece is not None:
                texts.append(piece.text)
                axes += piece.axes
            elif isinstance(slot, Number):
                texts.append(str(slot))
            else:
                texts.append(":")
                axes.append(slot)
        while texts[-1] == ":":
            texts.pop()
        return Piece(f"{name}[{', '.join(texts)}]", ATOM, tuple(axes))

    def _turned(self, node: Indexed, wanted: tuple[Idx, ...]) -> Piece | None:
        """`dy[N - 1 - i, j]` is `dy.flip(0)`."""
        slots, turned = list(node.indices), []
        for place, (slot, extent) in enumerate(zip(node.indices, node.base.shape, strict=True)):
            index = next(iter(free_indices(slot)), None)
            if index is not None and size(index) == extent and (extent - 1 - index - slot).expand() == 0:
                slots[place] = index
                turned.append(index)
        if not turned or any(slots.count(index) > 1 for index in turned):
            return None
        piece = self.indexed(Indexed(node.base, *slots), wanted)
        if not set(turned) <= set(piece.axes):
            raise NoTorchForm
        dims = ", ".join(str(piece.axes.index(i)) for i in turned)
        return Piece(f"{piece.at(ATOM)}.flip({dims})", ATOM, piece.axes)

    def _part_of_axis(self, slot: Expr, extent: Expr) -> bool:
        """`x[i]` or `x[i + 1]` where i runs over less than the axis."""
        index = _shifted(slot)
        return index is not None and size(index) != extent

    def _sliced(self, node: Indexed, wanted: tuple[Idx, ...]) -> Piece:
        """`dxp[n, c, i + 1, j + 1]` is `dxp[:, :, 1:-1, 1:-1]`."""
        texts, axes = [], []
        for slot, extent in zip(node.indices, node.base.shape, strict=True):
            index = slot if isinstance(slot, Idx) else _shifted(slot)
            if index is None or index in axes or within(slot, extent) != S.true:
                raise NoTorchForm
            axes.append(index)
            start = (slot - index).expand()
            left = (extent - start - size(index)).expand()
            end = "" if left == 0 else f"-{left}" if left.is_Integer else self.writer.write(start + size(index))
            texts.append(f"{'' if start == 0 else self.writer.write(start)}:{end}")
        while texts[-1] == ":":
            texts.pop()
        return Piece(f"{node.base.name}[{', '.join(texts)}]", ATOM, tuple(axes))

    def _windows(self, node: Indexed, inner: Sequence[Expr]) -> Piece | None:
        """`x[n, 2*o + k]` is `x.unfold(1, K, 2)`, axes n, o, k: the windows side by side, what they hold behind."""
        text, axes, inside = node.base.name, [], []
        for place, (slot, extent) in enumerate(zip(node.indices, node.base.shape, strict=True)):
            if isinstance(slot, Idx):
                axes.append(slot)
                continue
            pair = window(slot, extent)
            if pair is None or slot not in inner:
                return None
            which, within_it, step = pair
            text += f".unfold({place}, {self.writer.write(size(within_it))}, {self.writer.write(step)})"
            axes.append(which)
            inside.append(within_it)
        if not inside or len({*axes, *inside}) != len(axes) + len(inside):
            return None
        return Piece(text, ATOM, (*axes, *inside))

    def _blocks(self, node: Indexed, wanted: tuple[Idx, ...]) -> Piece | None:
        """`d[i // 2, j // 2, 2*(i % 2) + j % 2]`: blocks of an image put back, by view, permute and reshape."""
        digits = self.digits_of(node)
        if digits is None:
            return None
        entry, parts = digits
        if all(isinstance(s, Idx) for s in entry.indices) and not free_indices(entry) & {
            low for _, low in parts.values()
        }:
            made = {high: index for index, (high, _) in parts.items()}
            repeats = "".join(
                f".repeat_interleave({self.writer.write(size(parts[made[s]][1]))}, {n})"
                for n, s in enumerate(entry.indices)
                if s in made
            )
            return Piece(node.base.name + repeats, ATOM, tuple(made.get(s, s) for s in entry.indices))
        pieces = [[s] if isinstance(s, Idx) else self._digits(s, n)
                  for s, n in zip(entry.indices, entry.base.shape, strict=True)]  # fmt: skip
        if not all(pieces):
            return None
        flat = [a for piece in pieces for a in piece]
        axes = tuple(sorted(ordered_indices(node), key=lambda i: wanted.index(i) if i in wanted else len(wanted)))
        order = [a for i in axes for a in parts.get(i, (i,))]
        if len(set(flat)) != len(flat) or set(order) != set(flat):
            return None
        text = node.base.name
        if any(len(piece) > 1 for piece in pieces):
            text += f".view({', '.join(self.writer.write(size(a)) for a in flat)})"
        text = _permuted(Piece(text, ATOM, tuple(flat)), tuple(order)).text
        return Piece(f"{text}.reshape({', '.join(self.writer.write(size(a)) for a in axes)})", ATOM, axes)

    def digits_of(self, node: Indexed) -> tuple[Indexed, dict[Idx, tuple[Idx, Idx]]] | None:
        """The entry with `i // 2` and `i % 2` as indices of their own, and which index each pair makes up."""
        parts: dict[Idx, tuple[Idx, Idx]] = {}
        for part in node.atoms(floor, Mod):
            index, base = part.args if isinstance(part, Mod) else (fraction(part.args[0]))
            extent = size(index) / base if isinstance(index, Idx) else S.Half
            if not isinstance(index, Idx) or fraction(extent.expand())[1] != 1:
                return None
            high, low = Idx(f"{index.name}_high", extent.expand()), Idx(f"{index.name}_low", base)
            if parts.setdefault(index, (high, low)) != (high, low):
                return None
        if not parts:
            return None
        swapped = node.xreplace({floor(i / size(low)): high for i, (high, low) in parts.items()})
        swapped = swapped.xreplace({Mod(i, size(low)): low for i, (high, low) in parts.items()})
        return (swapped, parts) if not swapped.has(floor, Mod) else None

    def _selects(self, slot: Expr, node: Indexed, axis: int) -> bool:
        """A number in an axis with more than one entry."""
        return isinstance(slot, Number) and node.base.shape[axis] != 1

    def _digits(self, slot: Expr, extent: Expr) -> list[Idx]:
        """[t, d] for a slot `t*D + d` with d below D: an axis that `view` takes apart; else []."""
        found: list[Idx] = []
        stride: Expr = S.One
        rest = slot.expand()
        while rest != 0:
            digit = next((i for i in free_indices(rest) if rest.coeff(i) == stride), None)
            if digit is None:
                return []
            found.insert(0, digit)
            rest = (rest - stride * digit).expand()
            stride = stride * size(digit)
        return found if (stride - extent).expand() == 0 else []

    def _picked(self, name: str, slots: Sequence[Expr], gathered: Sequence[Piece | None]) -> Piece:
        """`logp[i, t[i]]` is `logp[range(N), t]`."""
        if len(slots) != 2 or gathered[1] is None or gathered[1].axes != (slots[0],):
            raise NoTorchForm
        extent = self.writer.write(size(slots[0]))
        return Piece(f"{name}[range({extent}), {gathered[1].text}]", ATOM, gathered[1].axes)

    def delta(self, node: KroneckerDelta, wanted: tuple[Idx, ...]) -> Piece:
        """`KroneckerDelta(k, t[i])` is `F.one_hot(t, K)`; of two plain indices, `torch.eye`."""
        sides = sorted(node.args, key=lambda a: not isinstance(a, Idx))
        if all(isinstance(a, Idx) for a in sides):
            if size(sides[0]) != size(sides[1]):
                raise NoTorchForm
            axes = tuple(a for a in wanted if a in sides) or tuple(sides)
            return Piece(f"torch.eye({self.writer.write(size(sides[0]))})", ATOM, axes)
        klass, value = sides
        outside = isinstance(value, Add) and within(value, size(klass)) != S.true
        if not isinstance(klass, Idx) or isinstance(value, Number) or outside:
            raise NoTorchForm  # one_hot takes no class outside of its axis
        piece = self.form(value, wanted)
        return Piece(f"F.one_hot({piece.text}, {self.writer.write(size(klass))})", ATOM, (*piece.axes, klass))

    # -- elementwise -----------------------------------------------------------------------------------

    def _union(self, pieces: Sequence[Piece], wanted: tuple[Idx, ...]) -> tuple[Idx, ...]:
        """Axes of a broadcast: in the wanted order where there is one, else as the largest piece has them."""
        every = {a for piece in pieces for a in piece.axes if a is not None}
        order = [a for a in wanted if a in every]
        for piece in sorted(pieces, key=lambda p: -len(p.axes)):
            order += [a for a in piece.axes if a not in order and a is not None]
        kept = max((p.axes for p in pieces if None in p.axes), key=len, default=())
        if len(kept) > len(order) and all(_broadcasts(Piece("", ATOM, (*p.axes, None)), (*kept, None)) for p in pieces):
            return kept  # every piece lines up with the one that keeps an axis
        largest = max(pieces, key=lambda p: len(p.axes), default=None)
        if largest is not None and len(largest.axes) == len(order) and not set(order) & set(wanted):
            return largest.axes
        return tuple(order)

    def _broadcast(self, pieces: Sequence[Piece], axes: tuple[Idx, ...]) -> list[Piece]:
        return [_lined_up(piece, axes) for piece in pieces]

    def add(self, node: Add, wanted: tuple[Idx, ...]) -> Piece:
        if common_number(node)[0] != 1:
            return self.mul(node, wanted)
        terms = self.writer.terms(node)
        signs = [self.writer.negative(t) for t in terms]
        pieces = [self.form(-t if minus else t, wanted) for t, minus in zip(terms, signs, strict=True)]
        axes = self._union(pieces, wanted)
        text = ""
        for piece, minus in zip(self._broadcast(pieces, axes), signs, strict=True):
            part = piece.at(PRODUCT)
            text += (f" - {part}" if minus else f" + {part}") if text else (f"-{part}" if minus else part)
        return Piece(text, ADD, axes)

    def mul(self, node: Expr, wanted: tuple[Idx, ...]) -> Piece:
        if isinstance(node, Mul) and any(isinstance(f, Mul) for f in node.args):
            node = Mul(*node.args)
        triangle = self._triangle(node, wanted)
        if triangle is not None:
            return triangle
        coefficient, above, below = self.writer.split(node)
        if abs(coefficient.p) != 1 or not above:
            above = [S(abs(coefficient.p)), *above]
        if coefficient.q != 1:
            below = [S(coefficient.q), *below]
        sign = "-" if coefficient < 0 else ""
        top = self._factor_pieces(above, wanted, sign)
        bottom = self._factor_pieces(below, wanted) if below else []

        def across(axes: tuple[Idx, ...]) -> Piece:
            piece, have = self.times(top, axes), self._union([*top, *bottom], axes)
            if bottom:
                text = f"{piece.at(PRODUCT)} / {self.times(bottom, axes).at(UNARY)}"
                piece = Piece(text, PRODUCT, have)
            return Piece(f"{sign}{piece.at(PRODUCT)}", PRODUCT, have) if sign else piece

        piece = across(self._union([*top, *bottom], wanted))
        return replace(piece, across=across) if len(top) + len(bottom) > 1 or sign else piece

    def _triangle(self, node: Expr, wanted: tuple[Idx, ...]) -> Piece | None:
        """`db[n,m]*[m <= n]` is `torch.tril(db)`."""
        for factor in Mul.make_args(node):
            condition = bracket_condition(factor)
            if not isinstance(condition, (GreaterThan, LessThan)):
                continue
            row, column = condition.gts, condition.lts
            rest = Mul(*(f for f in Mul.make_args(node) if f is not factor))
            if not (isinstance(row, Idx) and isinstance(column, Idx) and {row, column} <= free_indices(rest)):
                continue
            lower = not (row in wanted and column in wanted and wanted.index(row) > wanted.index(column))
            last = (row, column) if lower else (column, row)
            axes = (*(a for a in ordered_indices(rest) if a not in last), *last)
            piece = self.form(rest, axes)
            if piece.axes == axes:
                return Piece(f"torch.{'tril' if lower else 'triu'}({piece.text})", ATOM, axes)
        return None

    def _factor_pieces(self, factors: Sequence[Expr], wanted: tuple[Idx, ...], sign: str = "") -> list[Piece]:
        """A mask stands as a plain comparison where it is multiplied with floats: `dh * (z > 0)`; never behind a minus,
        which torch refuses before it."""
        padded = self._padded(factors, wanted)
        if padded is not None:
            piece, rest = padded
            return [piece, *(self._factor_pieces(rest, wanted) if rest else [])]
        written = self.writer.factors(factors)
        floats = [f for f in written if not f.is_number and bracket_condition(f) is None]
        if sign and floats and bracket_condition(written[0]) is not None:
            written = [floats[0], *(f for f in written if f is not floats[0])]
        return [self._mask(f, wanted) if floats else self.form(f, wanted) for f in written]

    def _padded(self, factors: Sequence[Expr], wanted: tuple[Idx, ...]) -> tuple[Piece, list[Expr]] | None:
        """`dy[i - 1]*[i >= 1]` is `F.pad(dy, (1, 0))`: 0 beyond the axis; and what other factors there are."""
        masks = [f for f in factors if bracket_condition(f) is not None]
        for entry in (f for f in factors if isinstance(f, Indexed)):
            places = [
                (place, _shifted(slot), slot)
                for place, (slot, extent) in enumerate(zip(entry.indices, entry.base.shape, strict=True))
                if _shifted(slot) is not None and within(slot, extent) != S.true
            ]
            others = [slot for place, slot in enumerate(entry.indices) if place not in [p for p, _, _ in places]]
            if not places or not all(isinstance(slot, Idx) for slot in others):
                continue
            guards = {g for place, _, slot in places for g in _distances(within(slot, entry.base.shape[place]))}
            about = [m for m in masks if _distances(bracket_condition(m)) <= guards]
            if None in guards or guards != {g for m in about for g in _distances(bracket_condition(m))}:
                continue
            axes = tuple(_shifted(slot) or slot for slot in entry.indices)
            cuts, pads = [":"] * len(axes), [(S.Zero, S.Zero)] * len(axes)
            for place, index, slot in places:
                start, extent = (slot - index).expand(), entry.base.shape[place]
                beyond = (start + size(index) - extent).expand()
                if not start.is_Integer or not (never_negative(beyond) or never_negative(-beyond)):
                    raise NoTorchForm
                first, last = max(start, S.Zero), S.Zero if never_negative(beyond) else beyond
                cuts[place] = f"{first or ''}:{self.writer.write(last) if last != 0 else ''}"
                pads[place] = (max(-start, S.Zero), beyond if never_negative(beyond) else S.Zero)
            while cuts and cuts[-1] == ":":
                cuts.pop()
            while pads[0] == (0, 0):
                pads.pop(0)
            name = f"{entry.base.name}[{', '.join(cuts)}]" if cuts else entry.base.name
            amounts = ", ".join(self.writer.write(n) for pair in reversed(pads) for n in pair)
            return Piece(f"F.pad({name}, ({amounts}))", ATOM, axes), [f for f in factors if f not in (entry, *about)]
        return None

    def _mask(self, factor: Expr, wanted: tuple[Idx, ...]) -> Piece:
        condition = bracket_condition(factor)
        if condition is None:
            return self.form(factor, wanted)
        piece = self.condition(condition, wanted)
        return Piece(f"({piece.text})", ATOM, piece.axes)

    def times(self, pieces: Sequence[Piece], axes: tuple[Idx, ...]) -> Piece:
        """The product, every factor lined up to `axes`."""
        lined = self._broadcast(pieces, axes)
        if len(lined) == 1:
            return lined[0]
        vectors = sorted((p for p in pieces if p.axes), key=lambda p: p.axes != axes[:1])
        if [p.axes for p in vectors] == [axes[:1], axes[1:]] and None not in axes and axes[0] != axes[1]:
            outer = Piece(f"torch.outer({', '.join(p.text for p in vectors)})", ATOM, axes)
            return self.times([*(p for p in pieces if not p.axes), outer], axes)
        text = " * ".join(p.at(UNARY if n else PRODUCT) for n, p in enumerate(lined))
        return Piece(text, PRODUCT, self._union(pieces, axes))

    def power(self, node: Pow, wanted: tuple[Idx, ...]) -> Piece:
        base, exponent = node.args
        if exponent.could_extract_minus_sign() and exponent.is_number:
            below = self.form(base**-exponent, wanted)
            return Piece(f"1 / {below.at(UNARY)}", PRODUCT, below.axes)
        if exponent == S.Half and quantities_in(base) <= set(self.exercise.size_symbols):
            return Piece(f"{self.form(base, wanted).at(ATOM)}**0.5", POWER, ())  # torch.sqrt takes no plain number
        if exponent == S.Half:
            inner = self.form(base, wanted)
            return Piece(f"torch.sqrt({inner.text})", ATOM, inner.axes)
        below, above = self.form(base, wanted), self.form(exponent, wanted)

        def across(axes: tuple[Idx, ...]) -> Piece:
            base, exponent = self._broadcast([below, above], axes)
            return Piece(f"{base.at(ATOM)}**{exponent.at(ATOM)}", POWER, self._union([below, above], axes))

        return replace(across(self._union([below, above], wanted)), across=across)

    def function(self, node: Expr, wanted: tuple[Idx, ...]) -> Piece:
        try:
            row = function_row(node)
        except ExerciseError:
            raise NoTorchForm from None
        inner = self.form(self.writer.turned(node.args[0]) if row.parity == 1 else node.args[0], wanted)
        torch = row.torch.replace("torch.nn.functional", "F")
        return Piece(f"{torch}({inner.text})", ATOM, inner.axes)

    def extremum(self, node: Expr, wanted: tuple[Idx, ...]) -> Piece:
        name = "maximum" if isinstance(node, Max) else "minimum"
        numbers = [a for a in node.args if a.is_number]
        pieces = [self.form(a, wanted) for a in self.writer.arguments(node) if not a.is_number]
        axes = self._union(pieces, wanted)
        lined = self._broadcast(pieces, axes)
        text = lined[0].text
        for piece in lined[1:]:
            text = f"torch.{name}({text}, {piece.text})"
        for value in numbers:
            bound = "min" if isinstance(node, Max) else "max"
            text = f"torch.clamp({text}, {bound}={self.writer.write(value)})"
        return Piece(text, ATOM, axes)

    # -- conditions ------------------------------------------------------------------------------------------

    def condition(self, node: Basic, wanted: tuple[Idx, ...]) -> Piece:
        if isinstance(node, Relational):
            left, sign, right = self.writer.placed(node)
            pieces = [self.form(left, wanted), self.form(right, wanted)]
            axes = self._union(pieces, wanted)
            above, below = self._broadcast(pieces, axes)
            return Piece(f"{above.text} {sign} {below.text}", ADD - 1, axes)
        joint = {"And": " & ", "Or": " | "}.get(type(node).__name__)
        if joint is None:
            raise NoTorchForm
        pieces = [self.condition(a, wanted) for a in node.args]
        axes = self._union(pieces, wanted)
        return Piece(joint.join(f"({p.text})" for p in self._broadcast(pieces, axes)), ADD - 1, axes)

    def piecewise(self, node: Piecewise, wanted: tuple[Idx, ...]) -> Piece:
        condition = bracket_condition(node)
        if condition is not None:
            piece = self.condition(condition, wanted)
            return Piece(f"torch.where({piece.text}, 1.0, 0.0)", ATOM, piece.axes)
        (value, condition), *rest = node.args
        if condition == S.true:
            return self.form(value, wanted)
        other = self.piecewise(Piecewise(*rest, evaluate=False), wanted) if len(rest) > 1 else (
            self.form(rest[0][0], wanted) if rest else Piece("0", ATOM, ())
        )  # fmt: skip
        pieces = [self.condition(condition, wanted), self.form(value, wanted), other]
        axes = self._union(pieces, wanted)
        texts = ", ".join(p.text for p in self._broadcast(pieces, axes))
        return Piece(f"torch.where({texts})", ATOM, axes)

    # -- reductions --------------------------------------------------------------------------------------------

    def sum(self, node: Sum, wanted: tuple[Idx, ...]) -> Piece:
        over = bound_indices(node)
        body = node.args[0]
        if isinstance(body, Add):
            return self.summed(self.form(body, ()), over, wanted)
        coefficient, rest = body.as_coeff_Mul()
        if coefficient != 1:
            piece = self.sum(Sum(rest, *over), wanted)
            return self.times([self.number(coefficient, ()), piece], piece.axes)
        factors = list(Mul.make_args(rest))
        scattered = self._scatter(factors, over, wanted) or self._convolved(factors, over)
        if scattered is not None:
            return scattered
        running = self._running(factors, over)
        if running is not None:
            return running
        pieces = self._absorbed(factors, over, wanted)
        if len(pieces) > 1:
            pieces = [_squeezed(p) for p in pieces]
        if len(pieces) == 1:
            mask = self._mask(rest, ())  # `(z > 0).sum(1)` counts
            return self.summed(mask if bracket_condition(rest) is not None else pieces[0], over, wanted)
        if len(pieces) == 2:
            matrix = self._matmul(pieces[0], pieces[1], over, wanted)
            if matrix is not None:
                return matrix
        return self._einsum(pieces, over, wanted)

    def _running(self, factors: Sequence[Expr], over: Sequence[Idx]) -> Piece | None:
        """`Sum(x[j]*[j <= i], j)` is `x.cumsum(0)`; `Sum(dy[j]*[j >= i], j)` sums from the other end."""
        masks = [f for f in factors if isinstance(bracket_condition(f), (GreaterThan, LessThan))]
        condition = bracket_condition(masks[0]) if len(over) == len(masks) == 1 else None
        if not isinstance(condition, (GreaterThan, LessThan)):
            return None
        low, high = condition.lts, condition.gts
        other = high if low == over[0] else low
        rest = Mul(*(f for f in factors if f is not masks[0]))
        if over[0] not in (low, high) or not isinstance(other, Idx) or size(other) != size(over[0]):
            return None
        if over[0] not in free_indices(rest) or other in free_indices(rest):
            return None
        piece = self.form(rest, ())
        if over[0] not in piece.axes or None in piece.axes:
            return None
        dim = piece.axes.index(over[0])
        back = "" if low == over[0] else f".flip({dim})"
        axes = tuple(other if a == over[0] else a for a in piece.axes)
        return Piece(f"{piece.at(ATOM)}{back}.cumsum({dim}){back}", ATOM, axes)

    def _convolved(self, factors: Sequence[Expr], over: Sequence[Idx]) -> Piece | None:
        """A kernel that moves over an array: `F.conv2d`, `F.conv_transpose2d`."""
        found = convolution(factors, over)
        if found is None:
            return None
        if not (found.batch or found.channel or found.out):
            return self._full(found)
        options = (
            ("stride", found.stride, S.One),
            ("padding", found.padding, S.Zero),
            ("dilation", found.dilation, S.One),
        )
        more = "".join(f", {name}={self._each(given)}" for name, given, usual in options if {*given} != {usual})
        image, kernel = (found.fixed, found.moving) if found.transposed else (found.moving, found.fixed)
        first = self._laid(image, (found.batch, found.channel) if found.batch else (found.channel,), found)
        roles = (found.channel, found.out) if found.transposed else (found.out, found.channel)
        call = f"F.conv{'_transpose' if found.transposed else ''}{len(found.places)}d"
        ends = (found.out, *found.places) if found.batch is None else (found.batch, found.out, *found.places)
        return Piece(f"{call}({first}, {self._laid(kernel, roles, found)}{more})", ATOM, ends)

    def _each(self, given: Sequence[Expr]) -> str:
        texts = [self.writer.write(g) for g in given]
        return texts[0] if len(set(given)) == 1 else f"({', '.join(texts)})"

    def _laid(self, array: Indexed, roles: Sequence[Idx | None], found: Convolved) -> str:
        """The array with its axes in torch's order; for one that is not there it gets a `None`."""
        spatial = found.places if array is found.moving else found.summed
        left = iter(found.places)
        axes = tuple(i if isinstance(i, Idx) else next(left) for i in array.indices)
        have = tuple(r for r in roles if r is not None)
        piece = _permuted(Piece(array.base.name, ATOM, axes), (*have, *spatial))
        slots = ["None" if r is None else ":" for r in roles]
        while slots and slots[-1] == ":":
            slots.pop()
        return f"{piece.at(ATOM)}[{', '.join(slots)}]" if slots else piece.text

    def _full(self, found: Convolved) -> Piece | None:
        """Of two vectors: the full convolution with the flipped kernel, over the padded `dy`."""
        if not found.transposed or (found.stride, found.padding) != ((S.One,), (S.Zero,)):
            return None
        (extent,) = found.moving.base.shape
        taps, around = self.writer.write(extent), self.writer.write(extent - 1)
        padded = f"F.pad({found.fixed.base.name}, ({around}, {around}))"
        return Piece(f"{padded}.unfold(0, {taps}, 1) @ {found.moving.base.name}.flip(0)", PRODUCT, found.places)

    def _absorbed(self, factors: Sequence[Expr], over: Sequence[Idx], wanted: tuple[Idx, ...]) -> list[Piece]:
        """Factors multiplied together where one's axes contain the other's, unless that hides a matrix product."""
        groups: list[list[Expr]] = []
        for factor in sorted(self.writer.factors(factors), key=lambda f: -len(free_indices(f))):
            axes = free_indices(factor)
            hosts = [g for g in groups if axes <= free_indices(g[0])]
            vector = len(axes) == 1 and axes <= set(over) and len(groups) == 1 and len(free_indices(groups[0][0])) == 2
            if hosts and not (vector and self._spare(factors, factor)):
                hosts[0].append(factor)
            else:
                groups.append([factor])
        return [self._group(g, wanted) for g in groups]

    def _spare(self, factors: Sequence[Expr], factor: Expr) -> bool:
        """Whether `factor` is the only one-axis factor over its axis: then `x @ w` says it."""
        return sum(free_indices(f) == free_indices(factor) for f in factors) == 1 and len(factors) == 2

    def _group(self, factors: Sequence[Expr], wanted: tuple[Idx, ...]) -> Piece:
        own = self._own_order(factors)  # `x.T @ (p - y)`, not `(p.T - y.T).T`
        if len(factors) == 1:
            return self.form(factors[0], own)
        product = Mul(*factors)
        natural = self.form(factors[0], own).axes
        return self.mul(product, natural) if isinstance(product, Mul) else self.form(product, natural)

    def _own_order(self, factors: Sequence[Expr]) -> tuple[Idx, ...]:
        """The axes as the first quantity has them that varies over all of them."""
        for factor in factors:
            every = free_indices(factor)
            for part in preorder_traversal(factor):
                if isinstance(part, Indexed) and len(part.indices) == len(every) and set(part.indices) == every:
                    return tuple(part.indices)
        return ()

    def summed(self, piece: Piece, over: Sequence[Idx], wanted: tuple[Idx, ...]) -> Piece:
        here = [a for a in over if a in piece.axes]
        dims = [piece.axes.index(a) for a in here]
        left = tuple(a for a in piece.axes if a not in here)
        if len(dims) == 1 and any(size(a) == 1 for a in wanted):
            kept = Piece(f"{piece.at(ATOM)}.sum({dims[0]}, keepdim=True)", ATOM,
                         tuple(None if a in here else a for a in piece.axes))  # fmt: skip
            if len(kept.axes) == len(wanted) and _broadcasts(kept, wanted):
                return kept
        arguments = "" if not left else str(dims[0]) if len(dims) == 1 else str(tuple(sorted(dims)))
        made = Piece(f"{piece.at(ATOM)}.sum({arguments})", ATOM, left)
        if not left or None in piece.axes:
            return made
        staying = tuple(None if a in here else a for a in piece.axes)

        def across(axes: tuple[Idx, ...]) -> Piece:
            """Where the summed axes are the missing ones, torch keeps them: `.sum(1, keepdim=True)`."""
            if len(axes) == len(staying) and all(a is None or a == b for a, b in zip(staying, axes, strict=True)):
                return Piece(f"{piece.at(ATOM)}.sum({arguments}, keepdim=True)", ATOM, left)
            return _lined_up(made, axes)

        return replace(made, across=across)

    def _matmul(self, a: Piece, b: Piece, over: Sequence[Idx], wanted: tuple[Idx, ...]) -> Piece | None:
        shared = [x for x in over if x in a.axes and x in b.axes]
        if len(shared) != 1 or set(over) != set(shared):
            return None
        contracted = shared[0]
        batch = tuple(x for x in a.axes if x in b.axes and x != contracted)
        rows = [x for x in a.axes if x not in b.axes]
        columns = [x for x in b.axes if x not in a.axes]
        if len(rows) > 1 or len(columns) > 1:
            return self._wide(a, b, contracted, batch, rows, columns, wanted)
        if batch and not (rows and columns):
            return None
        if columns and (not rows or _after(rows[0], columns[0], wanted)):
            a, b, rows, columns = b, a, columns, rows
        left = _permuted(a, (*batch, *rows, contracted))
        right = _permuted(b, (*batch, contracted, *columns))
        return Piece(f"{left.at(UNARY)} @ {right.at(ATOM)}", PRODUCT, (*batch, *rows, *columns))

    def _wide(
        self, a: Piece, b: Piece, contracted: Idx, batch: tuple[Idx, ...], rows: list[Idx], columns: list[Idx],
        wanted: tuple[Idx, ...],
    ) -> Piece | None:  # fmt: skip
        """`x @ W` with leading batch axes in x alone: torch broadcasts the matrix product."""
        if batch or (len(rows) > 1 and len(columns) > 1):
            return None
        if len(columns) > 1:
            a, b, rows, columns = b, a, columns, rows
        if a.axes[-1] != contracted or len(columns) > 1:
            return None
        right = _permuted(b, (contracted, *columns))
        return Piece(f"{a.at(UNARY)} @ {right.at(ATOM)}", PRODUCT, (*rows, *columns))

    def _einsum(self, pieces: Sequence[Piece], over: Sequence[Idx], wanted: tuple[Idx, ...]) -> Piece:
        every = list(dict.fromkeys(a for p in pieces for a in p.axes))
        if len(every) > 26 or any(a not in every for a in over):
            raise NoTorchForm
        letters = _letters(every)
        kept = [a for a in wanted if a in every and a not in over]
        kept += [a for a in every if a not in over and a not in kept]
        left = ",".join("".join(letters[a] for a in p.axes) for p in pieces)
        right = "".join(letters[a] for a in kept)
        arguments = ", ".join(p.text for p in pieces)
        return Piece(f'torch.einsum("{left}->{right}", {arguments})', ATOM, tuple(kept))

    def _scatter(self, factors: list[Expr], over: Sequence[Idx], wanted: tuple[Idx, ...]) -> Piece | None:
        """`Sum(dh[n,d]*KroneckerDelta(t[n], v), n)` is `torch.zeros_like(E).index_add(0, t, dh)`."""
        deltas = [f for f in factors if isinstance(f, KroneckerDelta)]
        if len(deltas) != 1:
            return None
        row, place = sorted(deltas[0].args, key=lambda a: not isinstance(a, Idx))
        if not isinstance(row, Idx) or not isinstance(place, Indexed) or not set(over) >= free_indices(place):
            return None
        where = self.form(place, wanted)
        rest = Mul(*(f for f in factors if f is not deltas[0]))
        inner = tuple(a for a in wanted if a != row and a in free_indices(rest))
        value = self.form(rest, (*where.axes, *inner))
        if set(over) != set(where.axes) or set(value.axes) != {*where.axes, *inner}:
            return None
        value = _permuted(value, (*where.axes, *inner))
        zeros = self._zeros(tuple(size(a) for a in (row, *inner)), rest)
        index, flat = where.text, value.text
        if len(where.axes) > 1:
            index = f"{where.at(ATOM)}.flatten()"
            flat = f"{value.at(ATOM)}.flatten(0, {len(where.axes) - 1})"
        return Piece(f"{zeros}.index_add(0, {index}, {flat})", ATOM, (row, *inner))

    def _zeros(self, shape: tuple[Expr, ...], value: Expr) -> str:
        """`torch.zeros_like(E)` where a quantity has that shape, else `q.new_zeros(V)`: the dtype is their own."""
        floats = {q.name: q.shape for q in self.exercise if q.domain != "index"}
        like = next((name for name, known in floats.items() if known == shape), None)
        if like is not None:
            return f"torch.zeros_like({like})"
        sizes = ", ".join(map(self.writer.write, shape))
        read = quantities_in(value)
        kind = next((name for name in (*floats, *(f"d{name}" for name in floats)) if name in read), None)
        return f"torch.zeros({sizes})" if kind is None else f"{kind}.new_zeros({sizes})"

    def extremum_over(self, node: ExprWithLimits, wanted: tuple[Idx, ...]) -> Piece:
        piece = self.form(node.args[0], wanted)
        over = bound_indices(node)
        if len(over) != 1:
            raise NoTorchForm
        if isinstance(node, (AmaxOver, AminOver)):
            return self.shared_extremum(node, piece)
        name = {"MaxOver": "max", "MinOver": "min"}[type(node).__name__]
        dim = piece.axes.index(over[0])
        return Piece(f"{piece.at(ATOM)}.{name}({dim}).values", ATOM, tuple(a for a in piece.axes if a not in over))

    def shared_extremum(self, node: ExprWithLimits, piece: Piece) -> Piece:
        over = bound_indices(node)
        dims = sorted(piece.axes.index(a) for a in over)
        left = tuple(a for a in piece.axes if a not in over)
        arguments = "" if not left else str(dims[0]) if len(dims) == 1 else str(tuple(dims))
        return Piece(f"{piece.at(ATOM)}.{'amax' if isinstance(node, AmaxOver) else 'amin'}({arguments})", ATOM, left)

    def clamped(self, node: clamp, wanted: tuple[Idx, ...]) -> Piece:
        piece = self.form(node.args[0], wanted)
        bounds = zip(("min", "max"), node.args[1:], strict=True)
        given = ", ".join(f"{name}={self.writer.write(bound)}" for name, bound in bounds if bound.is_finite)
        return Piece(f"torch.clamp({piece.text}, {given})", ATOM, piece.axes)

    def argument_over(self, node: ExprWithLimits, wanted: tuple[Idx, ...]) -> Piece:
        piece = self.form(node.args[0], wanted)
        over = bound_indices(node)
        name = "argmax" if type(node).__name__ == "ArgMaxOver" else "argmin"
        dim = piece.axes.index(over[0])
        return Piece(f"{piece.at(ATOM)}.{name}({dim})", ATOM, tuple(a for a in piece.axes if a not in over))

    def product_over(self, node: Product, wanted: tuple[Idx, ...]) -> Piece:
        piece = self.form(node.args[0], wanted)
        over = bound_indices(node)
        if len(over) != 1:
            raise NoTorchForm
        dim = piece.axes.index(over[0])
        left = tuple(a for a in piece.axes if a not in over)
        return Piece(f"{piece.at(ATOM)}.prod({dim if left else ''})", ATOM, left)

    # -- matrices -------------------------------------------------------------------------------------------------

    def matrix_entry(self, node: MatrixEntry, wanted: tuple[Idx, ...]) -> Piece:
        matrix, *indices = node.args
        if len(set(indices)) != 2 or not all(isinstance(i, Idx) for i in indices):
            raise NoTorchForm
        return Piece(f"torch.linalg.inv({matrix.args[0].name})", ATOM, tuple(indices))

    def log_det(self, node: LogDet, wanted: tuple[Idx, ...]) -> Piece:
        return Piece(f"torch.linalg.slogdet({node.args[0].name}).logabsdet", ATOM, ())

    def det(self, node: Det, wanted: tuple[Idx, ...]) -> Piece:
        return Piece(f"torch.linalg.det({node.args[0].name})", ATOM, ())


def _letters(axes: Sequence[Idx]) -> dict[Idx, str]:
    """An einsum letter for each axis, its own name's first letter where it is free."""
    letters: dict[Idx, str] = {}
    for axis in axes:
        choices = [c for c in axis.name if c.isalpha() and c.isascii()] + list("abcdefghijklmnopqrstuvwxyz")
        letters[axis] = next(c for c in choices if c not in letters.values())
    return letters


_FORMS: dict[type, Callable[[_Former, Basic, tuple[Idx, ...]], Piece]] = {
    Idx: _Former.index,
    Indexed: _Former.indexed,
    KroneckerDelta: _Former.delta,
    Number: _Former.number,
    NumberSymbol: _Former.constant,
    Symbol: _Former.symbol,
    Add: _Former.add,
    Mul: _Former.mul,
    Pow: _Former.power,
    Max: _Former.extremum,
    Min: _Former.extremum,
    clamp: _Former.clamped,
    Piecewise: _Former.piecewise,
    Sum: _Former.sum,
    MaxOver: _Former.extremum_over,
    MinOver: _Former.extremum_over,
    ArgMaxOver: _Former.argument_over,
    ArgMinOver: _Former.argument_over,
    Product: _Former.product_over,
    MatrixEntry: _Former.matrix_entry,
    LogDet: _Former.log_det,
    Det: _Former.det,
}
