"""The command line: arguments, exit codes, where output goes. It decides nothing.

Exit codes: 0 right or done, 1 an answer is not right or `verify` found a disagreement, 2 usage, 3 not found,
4 unreadable input, 5 undecided or our own fault, 130 interrupted. Results go to stdout, progress and notes to stderr.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from contextvars import copy_context
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from tutor import __version__, language
from tutor.errors import ExerciseError, NotFoundError, ReadingError, TutorError, UsageError, did_you_mean
from tutor.language import said, tr
from tutor.shown import json_text
from tutor.terminal import (
    ascii_only,
    clear,
    complain,
    deliver,
    let_go,
    note,
    patience,
    progress,
    say,
    shows_letters,
    width,
)
from tutor.usage import Spoken

RIGHT, NOT_RIGHT, USAGE, NOT_FOUND, UNREADABLE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
CODES: tuple[tuple[type[TutorError], int], ...] = (
    (UsageError, USAGE),
    (NotFoundError, NOT_FOUND),
    (ReadingError, UNREADABLE),
    (ExerciseError, UNREADABLE),
    (TutorError, UNDECIDED),
)
VERDICTS = {"correct": RIGHT, "wrong": NOT_RIGHT, "incomplete": NOT_RIGHT, "unreadable": UNREADABLE}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF)  # no place for what is printed
FORMATS = ("text", "latex", "markdown", "json", "html")


# -- commands ---------------------------------------------------------------------------------------


class ExerciseName(click.ParamType):
    """An exercise's id, or a file's path, completed by the shell."""

    name = "exercise"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from tutor.catalogue import entries

        found = [entry for entry in entries() if entry.id.startswith(incomplete)]
        ids = [CompletionItem(entry.id, help=language.of_exercise(entry.title)) for entry in found]
        return ids or [CompletionItem(incomplete, type="file")]


EXERCISE = ExerciseName()
SHEET = click.Path(allow_dash=True)  # never looked at here: `documents.read` says what is wrong with it


def _speak(context: click.Context, _: click.Parameter, lang: str | None) -> None:
    if lang is not None and not ascii_only.get():
        language.use(lang)


def _write_ascii(context: click.Context, _: click.Parameter, plain: bool) -> None:
    """ASCII has no other letters, so what is said is English then."""
    if plain:
        ascii_only.set(True)
        language.use(language.ENGLISH)


class Command(Spoken):
    """One of ours: `--ascii` and `--lang` are understood behind its name as well as before it."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.params += _everywhere(hidden=True)


def _everywhere(hidden: bool = False) -> list[click.Parameter]:
    return [
        click.Option(["--lang"], type=click.Choice(language.LANGUAGES), expose_value=False, hidden=hidden,
                     callback=_speak, help="The language of what is said; else the locale's."),
        click.Option(["--ascii"], is_flag=True, expose_value=False, hidden=hidden, callback=_write_ascii,
                     help="Nothing but ASCII, for terminals without mathematics."),
    ]  # fmt: skip


class Commands(Spoken, click.Group):
    command_class = Command

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """As click has it, with the command that is probably meant."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.commands)
            if not hint or not args[0][:1].isalnum():  # it may be an option that is wrong
                raise
            raise click.UsageError(f"{error.message.rstrip('.。')}{hint}", context) from None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.params += _everywhere()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 right or done, 1 not right, 2 usage, 3 not found, 4 unreadable, 5 undecided.",
)
@click.version_option(__version__, prog_name="tutor", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> int:
    """Derive gradients step by step, verify them against torch.autograd, and check your own derivation."""
    if context.invoked_subcommand is None:
        from tutor.desk.standing import standing
        from tutor.views import desk

        stand = standing(Path.cwd())
        say(desk.standing(stand) if stand.begun else desk.beginning(stand))
    return RIGHT


@app.command()
def demo() -> int:
    """A tutorial's example, end to end."""
    from tutor.demo import parts

    for part in parts():
        say(f"{part}\n")
    return RIGHT


@app.command("list")
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


@app.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
def show(exercise: str) -> int:
    """An exercise: statement, shapes, program."""
    from tutor.catalogue import load
    from tutor.views import text

    say(text.exercise(load(exercise), width()))
    return RIGHT


@app.command()
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


@app.command()
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


@app.command()
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
    codes = (_code_of(proof.error) if proof.error else RIGHT if proof.agrees else NOT_RIGHT for proof in done)
    return max(codes, key=_weight, default=RIGHT)


@app.command()
@click.argument("sheet", metavar="[SHEET|-]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", help="Instead of the '# exercise:' line at the top of the sheet.")
@click.option("--json", "as_json", is_flag=True, help="The report as data, for graders.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
@click.option("--heat", is_flag=True, help="Also show which entries of a wrong tensor are off, and how far.")
def check(sheet: str | None, exercise: str | None, as_json: bool, seed: int, lenient_shapes: bool, heat: bool) -> int:
    """Your derivation, judged line by line.

    The sheet is read, never executed; - takes it from stdin, and the only one in a folder needs no name. Its first
    line says which exercise it is about:

    \b
        # exercise: linear-regression

    A sheet with several such lines gets a report for each; as JSON they are a list.
    """
    from tutor.desk.sheets import judged
    from tutor.desk.standing import standing
    from tutor.views import desk

    sheet = _the_sheet(sheet)
    with patience(tr("loading torch and checking")) if sheet != "-" else nullcontext():
        made = judged(sheet, exercise, seed=seed, lenient_shapes=lenient_shapes)
    if as_json:
        found = [report.to_dict() for report in made.reports]
        deliver(json_text(found[0] if len(found) == 1 else found))
    else:
        say(_shown(made.reports, heat))
    if made.problem:
        note(tr("note: {problem}", problem=made.problem))
    elif made.kept and all(report.correct for report in made.reports):
        note("\n" + desk.following(standing(Path(sheet).parent)))
    return max((VERDICTS.get(report.verdict, UNDECIDED) for report in made.reports), key=_weight, default=RIGHT)


def _the_sheet(named: str | None) -> str:
    """The sheet that was named, or the only one here, which is said then."""
    from tutor.desk.standing import only_sheet

    if named is None:
        named = only_sheet(Path())
        note(tr("the sheet here: {sheet}", sheet=named) + "\n")
    return named


def _shown(reports: Sequence[Any], heat: bool = False) -> str:
    from tutor.views.heat import report as with_heat

    show = with_heat if heat else str
    return "\n\n".join(show(report).rstrip("\n") for report in reports)


def _weight(code: int) -> int:
    """Of several sheets or exercises the gravest counts: wrong, then what could not be read or found, or decided."""
    return (RIGHT, UNDECIDED, USAGE, NOT_FOUND, UNREADABLE, NOT_RIGHT).index(code)


@app.command()
@click.argument("sheet", metavar="[SHEET|-]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", help="Instead of the '# exercise:' line at the top of the sheet.")
@click.option("-o", "--output", metavar="FILE", help="The page's file; else it goes to stdout.")
@click.option("--derivation/--no-derivation", default=True, help="With the true derivation, folded; or without it.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
def report(
    sheet: str | None, exercise: str | None, output: str | None, derivation: bool, seed: int, lenient_shapes: bool
) -> int:
    """A page about your sheet, to read or to print.

    One HTML file that needs nothing else: your lines with marks, the first that diverges explained, where that is in
    the computation graph, where its entries are off, the exercise, and the true derivation. Exit codes as for check.
    """
    from tutor.pictures.page import report_page
    from tutor.views import html

    sheet = _the_sheet(sheet)
    made = report_page(sheet, exercise, derivation=derivation, seed=seed, lenient_shapes=lenient_shapes)
    _handed_over(html.report_page(made), output)
    return max((VERDICTS.get(part.report.verdict, UNDECIDED) for part in made.parts), key=_weight, default=RIGHT)


def _handed_over(content: str | bytes, output: str | None) -> None:
    """To the file, whose name is then said, or to stdout."""
    from tutor.pictures.files import save

    if output is not None:
        save(output, content)
        note(tr("written: {path}", path=output))
    elif isinstance(content, str):
        deliver(content)


@app.command()
@click.argument("exercise", metavar="ID|FILE|EXPR", type=EXERCISE)
@click.option("-o", "--output", metavar="FILE", help="A .svg, .dot, .mmd or .txt file; else it goes to stdout.")
@click.option("--format", "form", type=click.Choice(("text", "svg", "dot", "mermaid")), help="Instead of by suffix.")
def graph(exercise: str, output: str | None, form: str | None) -> int:
    """The computation graph, and the way of the gradients.

    \b
        tutor graph attention -o attention.svg
    """
    from tutor.adhoc import exercise_from
    from tutor.pictures.files import GRAPHS, form_of
    from tutor.pictures.graph import graph as made
    from tutor.views.graph import FORMS

    form = form_of(output, form, GRAPHS, "text")
    shown = FORMS[form](made(exercise_from(exercise)))
    if output is None and form == "text":
        say(shown)
    else:
        _handed_over(shown, output)
    return RIGHT


@app.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
@click.option("--answer", "sheet", metavar="SHEET|-", type=SHEET, required=True, help="The sheet with your gradients.")
@click.option("--steps", type=int, default=100, show_default=True)
@click.option("--rate", type=float, help="The learning rate; else the largest with which the true gradients go down.")
@click.option("--seed", type=int, help="Start at random values; else at the worked example, if there is one.")
@click.option("-o", "--output", metavar="FILE", help="The curves as .svg or .png (with matplotlib), beside the text.")
def train(exercise: str, sheet: str, steps: int, rate: float | None, seed: int | None, output: str | None) -> int:
    """Train with your gradients, and with autograd's.

    Gradient descent from one point, twice: where the two losses part, the gradients differ. The sheet is read at every
    step and never executed.
    """
    from tutor.pictures.files import CURVES, form_of

    form = form_of(output, None, CURVES, "")
    from tutor.pictures.training import train_sheet
    from tutor.views.curves import drawn

    made = train_sheet(exercise, sheet, steps=steps, rate=rate, seed=seed)
    say(str(made))
    if output is not None:
        _handed_over(drawn(made, form), output)
    return RIGHT


@app.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
@click.argument("path", metavar="[PATH|-]", required=False)
@click.option("--force", is_flag=True, help="Write over a sheet that is there.")
def start(exercise: str, path: str | None, force: bool) -> int:
    """Write a sheet to fill in.

    Statement, shapes and forward program stand in it as comments, then the names that are asked; - as PATH prints it.
    """
    from tutor.answers.blank import sheet_of, write_sheet
    from tutor.desk.sheets import begin
    from tutor.shown import quoted

    if path == "-":
        deliver(sheet_of(exercise))
        return RIGHT
    made = write_sheet(exercise, path, force=force)
    if problem := begin(made.path):
        note(tr("note: {problem}", problem=problem))
    say(tr("{path}\n\nfill it in, then:\n\n  tutor check {path}{option}", path=quoted(made.path), option=made.option))
    return RIGHT


@app.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path())
@click.option("--poll", is_flag=True, help="Look at the files again and again, where no events arrive.")
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
def watch(folder: str, poll: bool, lenient_shapes: bool) -> int:
    """Check sheets whenever they are saved.

    Keys: n next sheet, h hint, d derivation (of what is solved, or pressed twice), l list, q quit.
    """
    from queue import SimpleQueue

    from tutor.desk import watch as desk_of
    from tutor.desk.keys import keys
    from tutor.desk.standing import existing
    from tutor.views import desk as view

    def show(reports: Sequence[Any]) -> None:
        clear()
        say(_shown(reports))

    def tell(text: str) -> None:
        say(f"\n{text}")

    def ready() -> None:
        if listening:
            note("\n" + tr(view.KEYS))

    queue: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    desk = desk_of.Desk(existing(folder), tell, show, patience, width, {"lenient_shapes": lenient_shapes})
    with desk_of.saves(queue, desk.folder, poll) as polling, keys(queue) as listening:
        desk.open()
        note(desk.opened(polling))
        desk_of.run(desk, queue, ready)
    return RIGHT


@app.command()
@click.argument("sheet", metavar="[SHEET]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", type=EXERCISE, help="Instead of the '# exercise:' line of the sheet.")
@click.option("--level", type=click.IntRange(1), help="This hint, instead of the next one.")
def hint(sheet: str | None, exercise: str | None, level: int | None) -> int:
    """The next hint for where a sheet diverges.

    From where to look, over the rules, to the chain rule written out; asked again, it says more.
    """
    from tutor.desk.sheets import hint_for

    sheet = _the_sheet(sheet)
    with patience(tr("loading torch and checking")):
        given = hint_for(sheet, exercise, level)
    say(str(given))
    return RIGHT


@app.command("progress")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path())
def progress_(folder: str) -> int:
    """What is solved, track by track."""
    from tutor import course
    from tutor.catalogue import folder as exercises
    from tutor.desk.standing import existing, standing
    from tutor.views import desk

    say(desk.progress(standing(existing(folder)), course.read(exercises()), width()))
    return RIGHT


@app.command()
@click.argument("exercise", metavar="[ID]", required=False, type=EXERCISE)
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(exercise: str | None, yes: bool) -> int:
    """Forget the progress in this folder, or that of one exercise. Sheets stay."""
    from tutor.desk.sheets import forget

    what = exercise or tr("all exercises")
    if not yes and not sys.stdin.isatty():
        raise UsageError(said("nothing is asked without a terminal: give --yes"))
    if not yes and not click.confirm(tr("Forget the progress with {what}? Your sheets stay.", what=what), err=True):
        return NOT_RIGHT
    say(tr("forgotten: {what}", what=what) if forget(exercise) else tr("there was nothing to forget"))
    return RIGHT


@app.command()
@click.argument("exercise", metavar="[ID|FILE]", required=False, type=EXERCISE)
@click.argument("path", metavar="[PATH|-]", required=False)
@click.option("--seed", type=click.IntRange(0), help="Which mistake; the same seed gives the same drill.")
@click.option("--notation", type=click.Choice(["torch", "index"]), help="Instead of the one in which your sheets are.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def drill(exercise: str | None, path: str | None, seed: int | None, notation: str | None, force: bool) -> int:
    """A derivation with one mistake: find the line, and mend it.

    Name the line in the file and mend it; 'tutor check' says whether both are right. Without ID the drill is about an
    exercise that is solved here.
    """
    from tutor.desk.sheets import write_drill
    from tutor.shown import quoted

    with patience(tr("planting a mistake")):
        made = write_drill(exercise, path, seed, notation, force=force)
    if path == "-":
        deliver(made.text)
        return RIGHT
    said = tr("{path}\n\nname its wrong line, mend it, then:\n\n  tutor check {path}{option}", path=quoted(made.path),
              option=made.option)  # fmt: skip
    say(said)
    return RIGHT


@app.command("help")
@click.argument("topic", metavar="[TOPIC]", required=False)
@click.pass_context
def help_(context: click.Context, topic: str | None) -> int:
    """Help on a command, or a topic: syntax."""
    from tutor.desk import topics

    command = app.get_command(context, topic) if topic else app
    if topic in topics.TOPICS or command is None:
        say(topics.topic(topic or "", app.commands))
    else:
        above = context.find_root()
        own = above if command is app else command.context_class(command, parent=above, info_name=topic)
        say(command.get_help(own))
    return RIGHT


@app.command()
def doctor() -> int:
    """Versions, what is missing, the terminal."""
    from tutor.desk.doctor import findings
    from tutor.views import desk

    with patience(tr("looking")):
        found = list(findings(Path.cwd()))
    say(desk.findings(found))
    return NOT_RIGHT if any(each.well is False for each in found) else RIGHT


@app.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """What makes a shell complete commands and ids.

    \b
    in ~/.bashrc (in ~/.zshrc with zsh):
        eval "$(tutor completion bash)"
    in ~/.config/fish/config.fish:
        tutor completion fish | source
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(said("this click has no completion for {shell}", shell=shell))
    deliver(kind(app, {}, "tutor", "_TUTOR_COMPLETE").source())
    return RIGHT


# -- from errors to exit codes ---------------------------------------------------------------------------


def _code_of(error: BaseException | None) -> int:
    if error is None:
        return RIGHT
    return next((code for kind, code in CODES if isinstance(error, kind)), UNDECIDED)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `args` default to the command line's."""
    return copy_context().run(_main, args)  # `--lang` and `--ascii` hold until the last word, and no longer


def _main(args: Sequence[str] | None) -> int:
    given = sys.argv[1:] if args is None else list(args)
    if asked := _asked(given):
        language.use(asked)
    with language.lent("click") if shows_letters() else nullcontext():
        return _run(given)


def _asked(args: Sequence[str]) -> str | None:
    """The language that is chosen somewhere: what is wrong before click comes to it is said in that, too."""
    if "--ascii" in args:
        return language.ENGLISH
    named = [value for option, value in pairwise(args) if option == "--lang"]
    named += [arg.removeprefix("--lang=") for arg in args if arg.startswith("--lang=")]
    return next((name for name in named if name in language.LANGUAGES), None)


def _run(args: list[str]) -> int:
    try:
        return app.main(args=args, prog_name="tutor", standalone_mode=False) or RIGHT
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        note(tr("interrupted"))
        return INTERRUPTED
    except TutorError as error:
        complain(str(error))
        return _code_of(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            let_go(sys.stdout)
            complain(
                tr("the output cannot be written: {reason}; make room, or send it elsewhere", reason=error.strerror)
            )
            return UNDECIDED
        if os.environ.get("TUTOR_DEBUG"):
            traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        complain(
            tr("this is our fault, not yours: {said}\nplease report it with the command; TUTOR_DEBUG=1 shows where",
               said=said)
        )  # fmt: skip
        return UNDECIDED


def run() -> None:
    """The console script, a process of its own: it collects little garbage, and its memory goes back in one piece."""
    gc.set_threshold(100_000)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            let_go(stream)
        except (AttributeError, ValueError):  # there is none
            pass
    if "multiprocessing.synchronize" in sys.modules:
        sys.exit(code)  # processes of ours leave something to clear away
    os._exit(code)  # taking torch and SymPy apart, module by module, costs a quarter of a second
