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
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import click

from tutor import __version__, language
from tutor.commands.codes import INTERRUPTED, RIGHT, UNDECIDED, code_of
from tutor.commands.group import Commands
from tutor.errors import TutorError
from tutor.language import tr
from tutor.terminal import complain, let_go, note, say, shows_letters

ROOMS = (  # the modules of `tutor/commands/` that have commands, in the order in which these are told
    "exercises",
    "importing",
    "sheets",
    "pictures",
    "desk",
    "assignment",
    "grading",
    "exports",
    "about",
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF)  # no place for what is printed


@click.group(
    cls=Commands,
    top=True,
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


for _room in ROOMS:
    app.commands |= import_module(f"tutor.commands.{_room}").room.commands


# -- from errors to exit codes ---------------------------------------------------------------------------


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
        return code_of(error)
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
