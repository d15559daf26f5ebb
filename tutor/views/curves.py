"""The losses of a training run: for a terminal, and through matplotlib as SVG or PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tutor.errors import UsageError
from tutor.language import N_, ntr, said, tr
from tutor.views.plain import columns, padded

if TYPE_CHECKING:
    from tutor.pictures.training import Curve, Training

WIDTH, HEIGHT = 60, 14  # letters
YOURS, TRUE, BOTH = "o", ".", "*"
BEYOND = 100.0  # times the largest loss of autograd's: what rises further leaves the picture
BOTTOMLESS = 1e6  # times where it began, below zero
DECADES = 10  # that a logarithmic picture reaches down at most
WIDE_SPREAD = 30.0  # largest by least loss, from which on the picture is logarithmic
COURSES = {
    "falls": N_("falls"),
    "rises": N_("rises"),
    "stays": N_("stays"),
    "lost": N_("not a finite number from step {step} on"),
}
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "SimHei", "Arial Unicode MS")


def training(t: Training) -> str:
    """The plot, both courses in words, and what they were made with."""
    blocks = [head(t), "\n".join(_plot(t)), "\n".join(_courses(t)), comparison(t), _judged(t)]
    return "\n\n".join([*blocks, *([_notes(t)] if _notes(t) else [])])


def head(t: Training) -> str:
    steps = ntr("{steps} step of gradient descent", "{steps} steps of gradient descent", t.steps, steps=t.steps)
    rate = tr("learning rate {rate}", rate=f"{t.rate:g}")
    return f"{t.exercise}   {tr('{steps}, {rate}', steps=steps, rate=rate)}"


def _courses(t: Training) -> list[str]:
    names = tr("yours"), tr("autograd")
    wide = max(map(columns, names))
    return [
        f"  {mark} {padded(name, wide)}   {_number(curve.start)} -> {_number(curve.end)}   {course(curve)}"
        for mark, name, curve in zip((YOURS, TRUE), names, (t.yours, t.true), strict=True)
    ]


def course(curve: Curve) -> str:
    return tr(COURSES[curve.course], step=curve.lost)


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}"  # -0 is 0


def comparison(t: Training) -> str:
    """In words, what the two curves have to do with one another."""
    if t.true.lost is not None:
        return tr("autograd's own loss is lost as well: give a smaller --rate, such as {rate}", rate=f"{t.rate / 10:g}")
    if t.parted is None:
        return tr("the same curve: your gradients train as autograd's do")
    said = ntr("the curves part after {step} step", "the curves part after {step} steps", t.parted, step=t.parted)
    if t.yours.lost is not None:
        return said + tr("; with your gradients the training diverges")
    if t.yours.course == "rises":
        return said + tr("; your gradients lead uphill")
    return said


def _judged(t: Training) -> str:
    first = t.report.first_divergence
    if first is None:
        return tr("the sheet is judged {verdict}", verdict=tr(t.report.verdict))
    where = {"verdict": tr(t.report.verdict), "place": first.named, "name": first.quantity or ""}
    return tr("the sheet is judged {verdict}: {place} ({name})", **where)


def _notes(t: Training) -> str:
    made = [tr("trained: {names}", names=", ".join(t.trained))]
    if t.point is not None:
        values = ", ".join(f"{name}={value}" for name, value in t.point.items())
        made.append(tr("it starts at the worked example {values}", values=values))
    else:
        made.append(tr("it starts at random values (seed {seed})", seed=t.seed))
    if t.chosen:
        made.append(
            tr("the learning rate is the largest of 1, 0.3, 0.1, ... with which autograd's loss only goes down")
        )
    if t.true.end < -BOTTOMLESS * max(abs(t.true.start), 1.0):
        made.append(tr("this loss goes down without end: it is made for derivatives, not for training"))
    if t.targets:
        names = ", ".join(t.targets)
        made.append(tr("a layer has no loss: {names} is trained towards its values at another draw", names=names))
    return "\n".join(tr("note: {note}", note=note) for note in [*made, *t.notes])


# -- letters ------------------------------------------------------------------------------------------------------


def _plot(t: Training) -> list[str]:
    """`o` for yours, `.` for autograd's, `*` where both are."""
    scale = _Scale([*t.yours.losses, *t.true.losses], t.true.losses)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, curve in ((TRUE, t.true), (YOURS, t.yours)):
        for column, value in _columns(curve.losses, t.steps):
            row = scale.row(value)
            held = grid[row][column]
            grid[row][column] = mark if held in (" ", mark) else BOTH
    labels = {0: _number(scale.high), HEIGHT - 1: _number(scale.low)}
    wide = max(map(len, labels.values()))
    lines = [f"  {labels.get(n, '').rjust(wide)} |{''.join(row).rstrip()}" for n, row in enumerate(grid)]
    foot = f"0{str(t.steps).rjust(WIDTH - 1)}"
    axis = tr("loss, logarithmic; steps") if scale.logarithmic else tr("loss; steps")
    blank = "  " + " " * wide
    return [*lines, f"{blank} +{'-' * WIDTH}", f"{blank}  {foot}", f"{blank}  {axis}"]


def _columns(losses: Sequence[float], steps: int) -> list[tuple[int, float]]:
    """Every loss in its column; between two that lie apart a line."""
    made = []
    for column in range(WIDTH):
        at = column * steps / (WIDTH - 1)
        low = math.floor(at)
        if low >= len(losses) or not math.isfinite(losses[low]):
            break
        high = min(low + 1, len(losses) - 1)
        after = losses[high] if math.isfinite(losses[high]) else losses[low]
        made.append((column, losses[low] + (after - losses[low]) * (at - low)))
    return made


class _Scale:
    """From losses to rows. What rises far above autograd's curve runs along the top."""

    def __init__(self, losses: Sequence[float], true: Sequence[float]):
        finite = [x for x in losses if math.isfinite(x)] or [0.0]
        roof = BEYOND * max(abs(x) for x in true if math.isfinite(x)) if any(map(math.isfinite, true)) else max(finite)
        self.high, self.low = min(max(finite), max(roof, min(finite))), min(finite)
        floor = max(self.low, self.high / 10**DECADES)
        self.logarithmic = 0 <= self.low < self.high and self.high / floor > WIDE_SPREAD
        self.low = floor if self.logarithmic else self.low

    @property
    def limits(self) -> tuple[float, float]:
        """With some room below and above."""
        if self.logarithmic:
            room = (self.high / self.low) ** 0.05
            return self.low / room, self.high * room
        room = 0.05 * (self.high - self.low) or 1.0
        return self.low - room, self.high + room

    def row(self, value: float) -> int:
        value = min(max(value, self.low), self.high)
        low, high = self._measure(self.low), self._measure(self.high)
        share = (self._measure(value) - low) / (high - low) if high > low else 0.0
        return round((1 - share) * (HEIGHT - 1))

    def _measure(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


# -- through matplotlib -------------------------------------------------------------------------------------------


def drawn(t: Training, form: str) -> bytes:
    """The curves as `svg` or `png`; the same bytes for the same curves."""
    figure_of, context = _matplotlib()
    with context:
        figure = figure_of(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        scale = _Scale([*t.yours.losses, *t.true.losses], t.true.losses)
        axes.plot(_shown(t.true.losses, scale), color="#0a58a8", linestyle="--", linewidth=2.2, label=tr("autograd"))
        label = f"{tr('yours')}{tr(': ')}{course(t.yours)}"
        axes.plot(_shown(t.yours.losses, scale), color="#b3261e", linewidth=1.6, marker="o", markersize=3, label=label,
                  markevery=max(t.steps // 25, 1))  # fmt: skip
        if scale.logarithmic:
            axes.set_yscale("log")
        room = (scale.high / scale.low) ** 0.05 if scale.logarithmic else 0.05 * (scale.high - scale.low) or 1.0
        axes.set_ylim(
            *((scale.low / room, scale.high * room) if scale.logarithmic else (scale.low - room, scale.high + room))
        )
        axes.set_xlim(0, t.steps)
        axes.set(title=head(t).replace("   ", ": "), xlabel=tr("step"), ylabel=tr("loss"))
        axes.grid(alpha=0.25)
        axes.legend()
        target = BytesIO()
        about = {"Title": head(t), "Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(target, format=form, dpi=150, metadata=about)
    return target.getvalue()


def _shown(losses: Sequence[float], scale: _Scale) -> list[float]:
    """A loss beyond the picture leaves it at the top."""
    return [min(loss, 10 * scale.limits[1]) if math.isfinite(loss) else math.nan for loss in losses]


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib import font_manager, rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            said("a picture of the curves needs matplotlib: pip install 'derivation-tutor[plot]'; without -o they are "
               "drawn in letters")
        ) from None  # fmt: skip
    known = set(font_manager.fontManager.get_font_names())
    fonts = [name for name in _FONTS if name in known]
    look: Any = {"svg.hashsalt": "derivation-tutor", "svg.fonttype": "none", "font.sans-serif": fonts or ["sans-serif"]}
    return Figure, rc_context(look)
