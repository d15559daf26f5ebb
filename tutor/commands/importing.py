"""Bring your own PyTorch: a model becomes an exercise file."""

from __future__ import annotations

from typing import Any

import click

from tutor.commands.codes import RIGHT
from tutor.commands.group import Commands
from tutor.errors import UsageError
from tutor.language import said, tr
from tutor.terminal import deliver, note, patience, say
from tutor.torch_import.spelling import input_form, target_form
from tutor.torch_import.table import STEPS
from tutor.torch_import.typed_losses import LOSSES, NONE

room = Commands()


class Typed(click.ParamType):
    """Completed by the shell: files, or the words that there are."""

    def __init__(self, name: str, words: tuple[str, ...] = ()):
        self.name, self.words = name, words

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(word) for word in self.words if word.startswith(incomplete)]
        return found if self.words else [CompletionItem(incomplete, type="file")]


@room.command("import")
@click.argument("model", metavar="FILE.py[:NAME]|MODULE:NAME", type=Typed("file"))
@click.option(
    "--input", "inputs", metavar="SHAPE", multiple=True, help="An example input, as 64x784; again for the next."
)
@click.option("--target", metavar="SHAPE|index:K|like-output", type=Typed("target", ("index:", "like-output")),
              help="What the loss compares with: K classes, or real numbers.")  # fmt: skip
@click.option("--loss", metavar="NAME", type=Typed("loss", (*LOSSES, NONE)),
              help="mse, cross-entropy, ...; or where it stands in what the model returns: 1, or a key.")  # fmt: skip
@click.option("--steps", type=click.Choice(STEPS), default="standard", show_default=True, help="How small they are.")
@click.option("--coarse", "steps", flag_value="coarse", help="One step for each operation.")
@click.option("--fine", "steps", flag_value="fine", help="The smallest steps.")
@click.option("--names", type=click.Choice(("module", "short")), default="module", show_default=True,
              help="Parameters as fc1_weight, or as W1.")  # fmt: skip
@click.option("--name", metavar="ID", default="", help="The exercise's id; else the class's or function's name.")
@click.option("--title", default="", help="Its title.")
@click.option("--train/--eval", default=None, help="The model's mode; else as it is built, which is train.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the example's random numbers.")
@click.option("-o", "--output", metavar="FILE.py", help="The exercise's file; else it goes to stdout.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--verify/--no-verify", default=True, help="Compare with torch's autograd before anything is written.")
def import_(
    model: str, inputs: tuple[str, ...], target: str | None, loss: str | None, steps: str, names: str, name: str,
    title: str, train: bool | None, seed: int, output: str | None, force: bool, verify: bool,
) -> int:  # fmt: skip
    """A PyTorch model of your own, as an exercise.

    NAME is a function that builds the model, a class of nn.Module, a module, or a function on tensors; it may be left
    out where the file holds one. Your file is code and is executed: import only what you trust.

    \b
        tutor import net.py --input 64x784 --target index:10
        tutor import gpt.py:GPT --input 8x16:index:65 -o ex.py
        tutor import formulas.py:norm --input 8x16 --input 16

    \b
    SHAPE    64x784            real numbers
             8x16:index:100    integers from 0 to 99
             8x16:bool         true or false
             8x16:positive     above 0
             8x16:fraction     between 0 and 1
             8x16:probability  rows that sum to 1
             scalar            a single number

    The sizes become symbols, the batch N, so the example may be small. Without a target the output stands for itself:
    a layer with an upstream gradient, or the model's own loss.
    """  # fmt: skip
    forms = tuple(map(input_form, inputs))
    wanted = None if target is None else target_form(target)
    if name and not _is_id(name):
        raise UsageError(said("--name {name} is no id: write small letters, digits and -, as in my-model", name=name))
    from tutor.torch_import import programs

    where = programs.address(model)
    with patience(tr("loading torch and importing")):
        from tutor.torch_import import bringing
        from tutor.views import imported, source

        path = bringing.output_path(output, where, force)
        wish = bringing.Wish(where, forms, wanted, loss, steps, names == "short", name, title, train, seed, verify)
        made = bringing.bring(wish)
    if path is None:
        note(imported.summary(made, None))
        deliver(source.source(made.exercise))
    else:
        made.exercise.save(path, overwrite=force)
        say(imported.summary(made, path))
    return RIGHT


def _is_id(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum() and name.isascii()
