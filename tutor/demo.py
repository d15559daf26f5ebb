"""The demo: one worked example from the derivation to two wrong answers found out. Everything is computed live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tutor.language import N_, tr
from tutor.views.plain import columns, padded

if TYPE_CHECKING:
    from tutor.exercise import Exercise

EXERCISE = "linear-regression"
PRINTED = """\
# exercise: linear-regression
dw = 4
db = 2
"""
FORGOTTEN = """\
# exercise: linear-regression
dy_pred = (y_pred - y)
dw = dy_pred*x
db = dy_pred
"""
NEXT = N_("""\
What now?

  tutor start linear-regression                                a sheet of your own to fill in
  tutor compare linear-regression linear-regression:loss=mae   what another loss changes
  tutor derive softmax-regression --wrt z --closed             from the steps to (p - y) / N
  tutor list                                                   all exercises""")


def parts() -> Iterator[str]:
    """The demo's parts in order, each made when it is asked for."""
    import tutor
    from tutor.views import text

    exercise = tutor.load(EXERCISE)
    yield _headed(tr("1. The exercise"), text.exercise(exercise))
    verification = tutor.verify(exercise)
    yield _headed(
        tr("2. Our derivation, from the loss back"), text.derivation(exercise.derive(), verification=verification)
    )
    yield _headed(tr("3. The same from torch.autograd, at the tutorial's numbers"), worked_example(exercise))
    yield _headed(tr("4. The numbers that the tutorial prints, as a learner's answer"), _judged(exercise, PRINTED))
    yield _headed(tr("5. A derivation with one mistake in it"), _judged(exercise, FORGOTTEN))
    yield tr(NEXT)


def _headed(title: str, body: str) -> str:
    return f"{title}\n{'=' * columns(title)}\n\n{body.rstrip()}\n"


def _judged(exercise: Exercise, sheet: str) -> str:
    import tutor

    shown = "\n".join(f"    {line}" for line in sheet.splitlines())
    return "\n\n".join([tr("The sheet:"), shown, tr("The report:"), str(tutor.check(exercise, sheet))])


def worked_example(exercise: Exercise) -> str:
    """Our gradients at the first worked example, beside those of autograd through the native torch forward."""
    from tutor.numeric.autograd import gradients_by_reference
    from tutor.numeric.sample import worked_instance

    given = exercise.instances[0]
    instance = worked_instance(exercise, given)
    found = gradients_by_reference(exercise, instance)
    autograd = {name: float(found[name]) for name in exercise.asked if exercise[name].kind == "parameter"}
    lines = [tr("with {values}", values=", ".join(f"{name}={value}" for name, value in given.items())), ""]
    steps = [(q.name, f"{float(instance[q.name]):g}") for q in exercise.forward]
    lines += [f"  {name:8} = {value}" for name, value in steps]
    lines += ["", f"  {'':8}   {padded(tr('ours'), 6, right=True)}  {'autograd':>8}"]
    for name, theirs in autograd.items():
        ours = float(instance.after[f"d{name}"])
        lines.append(
            f"  {'d' + name:8} = {ours:>6g}  {theirs:>8g}   {tr('the same') if ours == theirs else tr('DIFFERENT')}"
        )
    return "\n".join(lines)
