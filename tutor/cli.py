"""The command line: arguments, exit codes, where output goes. It decides nothing.

Exit codes: 0 right or done, 1 an answer is not right or `verify` found a disagreement, 2 usage, 3 not found,
4 unreadable input, 5 undecided or our own fault, 130 interrupted. Results go to stdout, progress and notes to stderr.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

import click

from tutor import __version__
from tutor.errors import ExerciseError, NotFoundError, ReadingError, TutorError, UsageError

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
WELCOME = """\
A tutor for gradients: it derives them step by step, checks them against torch.autograd,
and tells you the first line of your own derivation that is wrong, and why.

  tutor demo                         the whole of it on one example, in a minute
  tutor list                         the exercises
  tutor show linear-regression       one exercise: statement, shapes, forward program
  tutor start linear-regression      a sheet to fill in
  tutor check linear-regression.py   your sheet, judged line by line
  tutor derive "(w*x + b - y)**2"    any formula, derived step by step

'tutor --help' lists all commands, 'tutor COMMAND --help' explains one."""


# -- output ---------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Write a result to stdout, in letters that it can show and lines that fit; a reader who left is no error."""
    from tutor.views.plain import fitted, writable

    try:
        shown = writable(text.removesuffix("\n"), sys.stdout.encoding)
        sys.stdout.write(fitted(shown, _width()) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)


def _width() -> int | None:
    """The terminal's columns; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def deliver(document: str) -> None:
    """Write a document for programs to stdout: UTF-8 whatever the terminal shows, the same bytes everywhere."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        return say(document)
    try:
        sys.stdout.flush()
        buffer.write((document.removesuffix("\n") + "\n").encode("utf-8", "replace"))
        buffer.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)


def note(text: str) -> None:
    """Progress and notes, on stderr."""
    from tutor.views.plain import writable

    try:
        sys.stderr.write(writable(text, sys.stderr.encoding) + "\n")
        sys.stderr.flush()
    except OSError:
        _let_go(sys.stderr)


def _let_go(stream: Any) -> None:
    """Further output, the interpreter's last flush included, goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        pass


def complain(text: str) -> None:
    """`error: ...`, the word in colour where a terminal shows it."""
    word = click.style("error:", fg="red", bold=True) if _in_colour(sys.stderr) else "error:"
    note(f"{word} {text}")


def _in_colour(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# -- commands ---------------------------------------------------------------------------------------


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 right or done, 1 not right, 2 usage, 3 not found, 4 unreadable, 5 undecided.",
)
@click.version_option(__version__, prog_name="tutor", message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> int:
    """Derive gradients step by step, verify them against torch.autograd, and check your own derivation."""
    if context.invoked_subcommand is None:
        say(f"{WELCOME}\n{_next()}")
    return RIGHT


def _next() -> str:
    """The exercise that follows those begun in this folder."""
    from pathlib import Path

    from tutor import course
    from tutor.catalogue import folder

    begun = course.begun(Path.cwd())
    following = course.read(folder()).after(begun)
    if following is None:
        return ""
    where = "Next in the course, after the sheets in this folder" if begun else "The course begins with"
    return f"\n{where}: {following}   (tutor start {following})"


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
    """The exercises, in course order."""
    from tutor.catalogue import entries
    from tutor.views import listing

    if as_json:
        deliver(listing.as_json(entries()))
    else:
        say(listing.table(entries()))
    return RIGHT


@app.command()
@click.argument("exercise", metavar="ID|FILE")
def show(exercise: str) -> int:
    """An exercise: statement, shapes, program."""
    from tutor.catalogue import load
    from tutor.views import text

    say(text.exercise(load(exercise)))
    return RIGHT


@app.command()
@click.argument("exercise", metavar="ID|FILE|EXPR")
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
        say(view.derivation(derivation, verification=verification, closed=closed, width=_width()))
    else:
        deliver(view.derivation(derivation, verification=verification, closed=closed))
    return RIGHT if verification is None or verification.agrees else NOT_RIGHT


def _verification_for(derivation: Any) -> Any:
    """What stands beside the steps; a derivation is worth printing without it as well."""
    import tutor

    try:
        found = tutor.verify(derivation.exercise, seeds=(0,))
    except TutorError as error:
        note(f"note: not verified: {error}")
        return None
    if not found.agrees:
        note(f"note: {found.exercise} disagrees with a judge: 'tutor verify' shows where")
    return found


@app.command()
@click.argument("first", metavar="ID|FILE")
@click.argument("second", metavar="ID|FILE")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The random values where there is no worked example."
)
def compare(first: str, second: str, seed: int) -> int:
    """Two exercises side by side: what changes."""
    from tutor.catalogue import load

    left, right = load(first), load(second)  # before torch is imported
    from tutor.numeric.contrast import contrast
    from tutor.views import contrast as view

    say(view.contrast(contrast(left, right, seed=seed)))
    return RIGHT


@app.command()
@click.argument("exercises", metavar="[ID|FILE]...", nargs=-1)
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
    with _progress(len(todo)) as progress:
        for proof in proofs(todo, task, jobs=jobs):
            done.append(proof)
            with progress(f"{proof.address}  {proof.seconds:.1f} s"):
                if proof.error is not None:
                    complain(f"{proof.address} is not verified: {proof.error}")
                if as_json:
                    deliver(view.data(proof))
                elif proof.error is None:
                    say(view.rows(proof, todo, certificate) if table else view.detail(proof) + "\n")
    if table:
        say(view.total(done))
    codes = (_code_of(proof.error) if proof.error else RIGHT if proof.agrees else NOT_RIGHT for proof in done)
    return max(codes, key=_weight, default=RIGHT)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """On stderr a bar where it is a terminal, which makes way for what is printed; else a line for each step."""
    bar = click.progressbar(length=total, file=sys.stderr, show_pos=True, item_show_func=lambda label: label)
    numbers = count(1)

    @contextmanager
    def step(label: str) -> Iterator[None]:
        if not sys.stderr.isatty():
            note(f"[{next(numbers)}/{total}] {label}")
            yield
            return
        sys.stderr.write("\r\033[2K")
        sys.stderr.flush()
        yield
        bar.update(1, label)

    if not sys.stderr.isatty():
        yield step
        return
    with bar:
        bar.render_progress()
        yield step


@app.command()
@click.argument("sheet", metavar="SHEET|-")
@click.option("--exercise", metavar="ID|FILE", help="Instead of the '# exercise:' line at the top of the sheet.")
@click.option("--json", "as_json", is_flag=True, help="The report as data, for graders.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
def check(sheet: str, exercise: str | None, as_json: bool, seed: int, lenient_shapes: bool) -> int:
    """Your derivation, judged line by line.

    The sheet is read, never executed; - takes it from stdin. Its first line says which exercise it is about:

    \b
        # exercise: linear-regression

    A sheet with several such lines gets a report for each; as JSON they are a list.
    """
    from tutor.answers import documents
    from tutor.checking.sheets import check_sheets

    kind = documents.kind_of(sheet)
    reports = check_sheets(documents.read(sheet), exercise, kind, seed=seed, lenient_shapes=lenient_shapes)
    if as_json:
        found = [report.to_dict() for report in reports]
        deliver(_dumped(found[0] if len(found) == 1 else found))
    else:
        say("\n\n".join(str(report).rstrip("\n") for report in reports))
    return max((VERDICTS.get(report.verdict, UNDECIDED) for report in reports), key=_weight, default=RIGHT)


def _dumped(document: Any) -> str:
    import json

    return json.dumps(document, indent=2, ensure_ascii=False)


def _weight(code: int) -> int:
    """Of several sheets or exercises the gravest counts: wrong, then what could not be read or found, or decided."""
    return (RIGHT, UNDECIDED, USAGE, NOT_FOUND, UNREADABLE, NOT_RIGHT).index(code)


@app.command()
@click.argument("exercise", metavar="ID|FILE")
@click.argument("path", metavar="[PATH|-]", required=False)
def start(exercise: str, path: str | None) -> int:
    """Write a sheet to fill in.

    Shapes and forward program stand in it as comments, then the names that are asked; - as PATH prints it.
    """
    from tutor.answers.blank import quoted, sheet_of, write_sheet

    if path == "-":
        deliver(sheet_of(exercise))
        return RIGHT
    made = write_sheet(exercise, path)
    say(f"{made}\n\nfill it in, then:   tutor check {quoted(made.path)}{made.option}")
    return RIGHT


# -- from errors to exit codes ---------------------------------------------------------------------------


def _code_of(error: BaseException | None) -> int:
    if error is None:
        return RIGHT
    return next((code for kind, code in CODES if isinstance(error, kind)), UNDECIDED)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `args` default to the command line's."""
    try:
        return app.main(args=None if args is None else list(args), prog_name="tutor", standalone_mode=False) or RIGHT
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("interrupted")
        return INTERRUPTED
    except TutorError as error:
        complain(str(error))
        return _code_of(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            _let_go(sys.stdout)
            complain(f"the output cannot be written: {error.strerror}; make room, or send it elsewhere")
            return UNDECIDED
        if os.environ.get("TUTOR_DEBUG"):
            traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        complain(f"this is our fault, not yours: {said}\nplease report it with the command; TUTOR_DEBUG=1 shows where")
        return UNDECIDED


def run() -> None:
    """The console script, a process of its own: it collects little garbage, and its memory goes back in one piece."""
    gc.set_threshold(100_000)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _let_go(stream)
        except (AttributeError, ValueError):  # there is none
            pass
    if "multiprocessing.synchronize" in sys.modules:
        sys.exit(code)  # processes of ours leave something to clear away
    os._exit(code)  # taking torch and SymPy apart, module by module, costs a quarter of a second
