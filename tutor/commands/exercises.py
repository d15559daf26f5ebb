"""Exercises: finding and showing them, their gradients, and whether those hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tutor.commands.codes import NOT_RIGHT, RIGHT, code_of, weight
from tutor.commands.group import Commands
from tutor.commands.params import EXERCISE
from tutor.errors import TutorError
from tutor.language import tr
from tutor.terminal import complain, deliver, note, patience, progress, say, width

room = Commands()
FORMATS = ("text", "latex", "markdown", "json", "html")


@room.command()
def demo() -> int:
    """A tutorial's example, end to end."""
    from tutor.demo import parts

    for part in parts():
        say(f"{part}\n")
    return RIGHT


@room.command("list")
@click.option("--json", "as_json", is_flag=True, help="As data, for programs.")
def list_(as_json: bool) -> int:
    """The exercises, in course order.

    What is solved or open in this folder is marked.
    """
    from tutor.catalogue import entries
    from tutor.desk.standing import standing
    from tutor.views import listing

    found, stand = entries(), standing(Path.cwd())
    states = {entry.id: stand.state(entry.id) for entry in found}
    if as_json:
        deliver(listing.as_json(found, states))
    else:
        say(listing.table(found, states, width()))
    if stand.problem:
        note(tr("note: {problem}", problem=stand.problem))
    return RIGHT


@room.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
def show(exercise: str) -> int:
    """An exercise: statement, shapes, program."""
    from tutor.catalogue import load
    from tutor.views import text

    say(text.exercise(load(exercise), width()))
    return RIGHT


@room.command()
@click.argument("exercise", metavar="ID|FILE|EXPR", type=EXERCISE)
@click.option("--wrt", metavar="NAME", help="Only the gradient of this quantity, and what it needs.")
@click.option("--closed", is_flag=True, help="Put the steps into one another, down to one formula.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--verify/--no-verify", default=True, help="In text, say how well each gradient agrees.")
def derive(exercise: str, wrt: str | None, closed: bool, form: str, verify: bool) -> int:
    """The gradients of an exercise or a formula, step by step.

    EXPR is a formula of scalars, or with indices as in Sum(x[i]*w[i], i); put it in quotes, and -- before one that
    begins with -:

    \b
        tutor derive "(w*x + b - y)**2" --wrt w
    """
    from importlib import import_module

    from tutor.adhoc import exercise_from

    derivation = exercise_from(exercise).derive(wrt)
    verification = _verification_for(derivation) if verify and form == "text" else None
    view = import_module(f"tutor.views.{form}")
    if form == "text":
        say(view.derivation(derivation, verification=verification, closed=closed, width=width()))
    else:
        deliver(view.derivation(derivation, verification=verification, closed=closed))
    return RIGHT if verification is None or verification.agrees else NOT_RIGHT


def _verification_for(derivation: Any) -> Any:
    """What stands beside the steps; a derivation is worth printing without it as well."""
    import tutor

    try:
        with patience(tr("loading torch and verifying")):
            found = tutor.verify(derivation.exercise, seeds=(0,))
    except TutorError as error:
        note(tr("note: not verified: {reason}", reason=error))
        return None
    if not found.agrees:
        note(tr("note: {exercise} disagrees with a judge: 'tutor verify' shows where", exercise=found.exercise))
    return found


@room.command()
@click.argument("first", metavar="ID|FILE", type=EXERCISE)
@click.argument("second", metavar="ID|FILE", type=EXERCISE)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The random values where there is no worked example."
)
def compare(first: str, second: str, seed: int) -> int:
    """Two exercises side by side: what changes."""
    from tutor.catalogue import load

    left, right = load(first), load(second)  # before torch is imported
    with patience(tr("loading torch and comparing")):
        from tutor.numeric.contrast import contrast
        from tutor.views import contrast as view

        found = contrast(left, right, seed=seed)
    say(view.contrast(found, width()))
    return RIGHT


@room.command()
@click.argument("exercises", metavar="[ID|FILE]...", nargs=-1, type=EXERCISE)
@click.option("--full/--no-full", default=True, help="Also at the real sizes of exercises that have them.")
@click.option("--certificate", is_flag=True, help="Also plant every known mistake, and mark the true answer.")
@click.option("--device", default="cpu", show_default=True, help="Where torch computes: cpu, cuda, ...")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), help="Processes; as many as there are processors unless given.")
@click.option("--json", "as_json", is_flag=True, help="As data, for programs: one line for each table.")
def verify(
    exercises: tuple[str, ...], full: bool, certificate: bool, device: str, seed: int, jobs: int | None, as_json: bool
) -> int:
    """Our gradients against autograd and others.

    The others are native torch and central finite differences. Without arguments: all exercises, a line each. A family
    is verified at its default, and at every choice and bound of one parameter.
    """
    from tutor.proving import Task, addresses, proofs
    from tutor.views import proofs as view

    todo = addresses(exercises)
    task = Task(full=full, certificate=certificate, device=device, seed=seed)
    table = not (exercises or as_json)
    if table:
        say(view.head(todo, certificate))
    done = []
    with progress(len(todo)) as shown:
        for proof in proofs(todo, task, jobs=jobs):
            done.append(proof)
            with shown(f"{proof.address}  {proof.seconds:.1f} s"):
                if proof.error is not None:
                    complain(tr("{exercise} is not verified: {reason}", exercise=proof.address, reason=proof.error))
                if as_json:
                    deliver(view.data(proof))
                elif proof.error is None:
                    say(view.rows(proof, todo, certificate) if table else view.detail(proof) + "\n")
    if table:
        say(view.total(done))
    codes = (code_of(proof.error) if proof.error else RIGHT if proof.agrees else NOT_RIGHT for proof in done)
    return max(codes, key=weight, default=RIGHT)
