"""`%load_ext tutor`: in a notebook, `%%derive softmax-regression` makes a cell a sheet, and the report is its output.

`%%answer q1` keeps a cell as the sheet of a graded question, and says nothing of what it is worth. Such cells are read
and never run, like every sheet. IPython is imported here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from tutor.errors import TutorError, UsageError
from tutor.exercise import Exercise
from tutor.language import said

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from tutor.checking.report import Report

MAGIC = "%%derive"


def register(shell: InteractiveShell) -> None:
    """Make the magic known to a shell, and exercise ids to its tab key."""
    shell.register_magics(DeriveMagics)
    shell.set_hook("complete_command", _completions, str_key=MAGIC)


@magics_class
class DeriveMagics(Magics):
    """`%%derive`, `%%answer`"""

    @magic_arguments()
    @argument(
        "exercise",
        nargs="?",
        help="an id ('mlp:layers=4' for a member of a family), a file, or a variable that holds an exercise; without "
        "it, the cell begins with '# exercise: ID'",
    )
    @argument("--seed", type=int, default=0, help="of the values at which lines are compared")
    @argument("--lenient-shapes", action="store_true", help="forgive axes of size 1: (N, 1) for (N,)")
    @cell_magic
    def derive(self, line: str, cell: str) -> Report | None:
        """Judge the lines of this cell, which are read and never run, and show the report.

        The report is the cell's value: the next cell finds it as `_`.
        """
        options = parse_argstring(self.derive, line)
        try:
            reports = _judged(options, cell, self.shell.user_ns if self.shell else {})
        except TutorError as error:  # a sentence, not a traceback
            raise IPythonUsageError(str(error)) from None
        if len(reports) == 1:
            return reports[0]
        for report in reports:
            display(report)
        return None

    @magic_arguments()
    @argument("question", help="the question's name, as the notebook's text has it")
    @cell_magic
    def answer(self, line: str, cell: str) -> None:
        """Keep the lines of this cell, which are read and never run, as the answer to a graded question."""
        from tutor.grading.cells import keep

        print(keep(parse_argstring(self.answer, line).question, cell))


def _judged(options: Any, cell: str, variables: Mapping[str, Any]) -> list[Report]:
    from tutor.checking.check import check
    from tutor.checking.sheets import check_sheets

    if not cell.strip():
        raise UsageError(said("the cell is empty: below {magic} stand lines like dz = p - y", magic=MAGIC))
    if options.exercise is None and not re.search(r"exercise\s*[:：]", cell):
        raise UsageError(
            said("name the exercise: '{magic} linear-regression', or begin the cell with '# exercise: ID'", magic=MAGIC)
        )
    cell = "\n" + cell  # lines are counted from the top of the cell, where the magic stands
    how = {"seed": options.seed, "lenient_shapes": options.lenient_shapes}
    if options.exercise is None:
        return check_sheets(cell, **how)
    held = variables.get(options.exercise)
    return [check(held if isinstance(held, Exercise) else _loaded(options.exercise), cell, **how)]


def _loaded(address: str) -> Exercise:
    from tutor.catalogue import load

    return load(address)


def _completions(shell: Any, event: Any) -> list[str]:
    """Ids of exercises on the line of the magic, and its options."""
    if event.line.strip() == MAGIC and not event.line.endswith(" "):
        return []
    from tutor.catalogue import entries

    return [*(entry.id for entry in entries()), "--seed", "--lenient-shapes"]
