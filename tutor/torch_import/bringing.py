"""`tutor import`: from what was typed to an exercise, and what is to be said of it."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tutor.errors import ExerciseError, NotFoundError, TutorError, UndecidedError, UsageError, did_you_mean
from tutor.exercise import Exercise
from tutor.language import joined, said
from tutor.numeric.autograd import verify
from tutor.shown import shown_shape
from tutor.torch_import import programs
from tutor.torch_import.importing import from_torch
from tutor.torch_import.spelling import LIKE, REAL, Form, input_form, within
from tutor.torch_import.typed_losses import LOSSES, NONE, function
from tutor.torch_import.whole import parameter_names

MOODS = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)  # train and eval differ


@dataclass(frozen=True)
class Wish:
    """What was typed."""

    where: programs.Address
    inputs: tuple[Form, ...]
    target: Form | None = None
    loss: str | None = None
    steps: str = "standard"
    short: bool = False
    name: str = ""
    title: str = ""
    train: bool | None = None
    seed: int = 0
    verify: bool = True


@dataclass
class Brought:
    """The exercise, where it comes from, and what a user should know of it."""

    exercise: Exercise
    origin: str
    guessed: bool  # the name was not given
    loss: str
    notes: list[str] = field(default_factory=list)
    verification: Any = None


def bring(wish: Wish) -> Brought:
    """The exercise of what the user's file defines, verified if that is wished."""
    check_wish(wish)
    with torch.random.fork_rng(devices=[]), programs.at_home(wish.where):
        torch.manual_seed(wish.seed)
        name, value = programs.named(wish.where, programs.run(wish.where))
        model = _Model(wish, name, programs.built(wish.where, name, value))
        model.prepare()
        made = model.run()
        loss, target, shown = model.loss(made)
        with _silently():
            id = wish.name or _plain(name, model.value, wish.where)
            exercise = from_torch(
                model.value, *model.inputs, *([] if target is None else [target]), loss=loss, steps=wish.steps,
                names="short" if wish.short else (), name=id, title=wish.title or id.replace("-", " "),
                domains=model.domains(),
            )  # fmt: skip
            exercise.statement = exercise.statement or _docstring(model.value)
            brought = Brought(exercise, f"{wish.where.home}:{name}", not wish.where.name, shown, model.notes)
            brought.notes += list(_remarks(brought.exercise, model))
            if wish.verify:
                brought.verification = _verified(exercise)
    return brought


@contextmanager
def _silently() -> Iterator[None]:
    """What the model prints was seen once."""
    with redirect_stdout(io.StringIO()):
        yield


def _verified(exercise: Exercise) -> Any:
    """Raises UndecidedError where a judge disagrees, or none could judge."""
    try:
        found = verify(exercise, seeds=(0,))
    except TutorError as error:
        raise UndecidedError(said(
            "the exercise could not be verified: {reason}\nnothing is written; --no-verify writes it as it is",
            reason=error.says,
        )) from error  # fmt: skip
    if found.agrees:
        return found
    wrong = [row.quantity for row in found.rows if not row.agrees] or found.disputes
    raise UndecidedError(said(
        "our derivation disagrees with torch at {names}: this is our fault, not yours; nothing is written\n"
        "please report it with your file and the command; --no-verify writes it, for 'tutor verify' to show where",
        names=", ".join(f"d{name}" for name in wrong[:5]),
    ))  # fmt: skip


# -- what was typed, looked at before anything is run --------------------------------------------------------------


def check_wish(wish: Wish) -> None:
    """A loss and a target that do not go together."""
    if wish.loss is None:
        return
    name, target = loss_name(wish.loss), wish.target
    row = LOSSES.get(name)
    if row is None and name != NONE:
        if target is not None and wish.loss.lstrip("-").isdigit():
            raise _needless(wish.loss)
        return
    if target is not None and (row is None or not row.targets):
        raise _needless(wish.loss)
    if row is not None and row.targets and target is None:
        example = "index:10" if row.targets == ("index",) else LIKE
        if "index" in row.targets:
            example = "index:10"
        raise UsageError(said("--loss {name} compares with a target: give one, as --target {example}", name=name,
                              example=example))  # fmt: skip
    if row is not None and target is not None and _sort(target) not in row.targets:
        better = said("class indices: --target index:10") if "index" in row.targets else said(
            "real numbers: --target {like}", like=LIKE)  # fmt: skip
        raise UsageError(said("--loss {name} with --target {text}: it compares with {better}", name=name,
                              text=target.text, better=better))  # fmt: skip


def _sort(form: Form) -> str:
    return "float" if form.kind in REAL else form.kind


def _needless(loss: str) -> UsageError:
    return UsageError(said("--loss {name} compares with nothing: leave --target out", name=loss))


def loss_name(typed: str) -> str:
    """`mse` for `MSELoss`, `nn.MSELoss` and `mse_loss`; what it does not know as it stands."""
    bare = typed.rpartition(".")[2].lower().replace("_", "").replace("-", "")
    compact = {name.replace("-", ""): name for name in (*LOSSES, NONE)}
    more = {"ce": "cross-entropy", "mae": "l1", "binarycrossentropy": "bce", "negativeloglikelihood": "nll"}
    for spelled in (bare, bare.removesuffix("loss"), bare.removesuffix("div")):
        if found := compact.get(spelled) or more.get(spelled):
            return found
    return "kl-div" if bare in ("kl", "kldivloss") else typed


# -- the model, run once as it is ------------------------------------------------------------------------------------


class _Model:
    """The user's module or function with its example inputs."""

    def __init__(self, wish: Wish, name: str, value: Any):
        self.wish, self.name, self.value = wish, name, value
        self.notes: list[str] = []
        self.source = torch.Generator().manual_seed(wish.seed)
        self.inputs: list[Tensor] = []

    @property
    def where(self) -> programs.Address:
        return self.wish.where

    @property
    def called(self) -> Callable[..., Any]:
        return self.value.forward if isinstance(self.value, nn.Module) else self.value

    def prepare(self) -> None:
        """Mode, device and numbers; and whether there is an example for each input."""
        if isinstance(self.value, nn.Module):
            if self.wish.train is not None:
                self.value.train(self.wish.train)
            parameters = [p for p in self.value.parameters() if not isinstance(p, nn.parameter.UninitializedParameter)]
            if any(p.device.type != "cpu" for p in parameters):
                self.value.cpu()
            if any(p.is_floating_point() and p.dtype.itemsize < 4 for p in parameters):
                self.value.float()  # derivations are of real numbers
        self.inputs = [form.tensor(self.source, self.dtype) for form in self.wish.inputs]
        self._check_count()

    @property
    def dtype(self) -> torch.dtype:
        held = self.value.parameters() if isinstance(self.value, nn.Module) else ()
        return next((p.dtype for p in held if p.is_floating_point()), torch.get_default_dtype())

    def _check_count(self) -> None:
        needed = programs.required(self.called)
        try:
            signature = inspect.signature(self.called)
        except (TypeError, ValueError):
            return
        if self.inputs:
            try:
                signature.bind(*self.inputs)
                return
            except TypeError:
                pass
        elif not needed and not signature.parameters:
            raise ExerciseError(said("{name} takes no tensor, so there is nothing to derive", name=self.name))
        names = ", ".join(needed or parameter_names(self.called, 1))
        example = self.example() or "--input 64x784"
        if not self.inputs:
            raise UsageError(said("{name} takes {names}: give an example of each, as {example}", name=self.name,
                                  names=names, example=example))  # fmt: skip
        raise UsageError(said(
            "{name} takes {names}: give an --input for each, in this order ({count} given)", name=self.name,
            names=names, count=len(self.inputs),
        ))  # fmt: skip

    def example(self) -> str:
        """What its first layer would take."""
        for layer in self.layers():
            for kind, form in LAYERS.items():
                if isinstance(layer, kind):
                    return "--input " + form.format(**vars(layer))
        return ""

    def layers(self) -> list[nn.Module]:
        return list(self.value.modules()) if isinstance(self.value, nn.Module) else []

    def run(self) -> Any:
        """What it returns at the example; its buffers are as before."""
        kept = {}
        if isinstance(self.value, nn.Module):
            kept = {n: b.detach().clone() for n, b in self.value.named_buffers() if type(b) is Tensor}
        try:
            with torch.no_grad():
                made = self.value(*(x.clone() for x in self.inputs))
        except TutorError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failed(error) from error
        self._check_finite(made)
        for name, buffer in kept.items():
            self.value.get_buffer(name).copy_(buffer)
        if isinstance(made, nn.Module):
            names = ", ".join(programs.required(self.called))
            raise ExerciseError(said(
                "{name} in {home} needs arguments ({needed}): write a function without any that calls it, and name it",
                name=self.name, home=self.where.home, needed=names,
            ))  # fmt: skip
        return made

    def _check_finite(self, made: Any) -> None:
        real = [x for x in _tensors(made) if x.is_floating_point()]
        if all(bool(x.isfinite().all()) for x in real):
            return
        raise ExerciseError(said(
            "{name} gives nan or infinity at the example, where nothing can be derived: its numbers are of both signs; "
            "--input {text}:positive has them above 0, :fraction between 0 and 1, :probability with the sum 1",
            name=self.name, text=next((f.text for f in self.wish.inputs if f.kind == "float"), "16"),
        ))  # fmt: skip

    def domains(self) -> dict[str, str]:
        """Inputs of which it was said where they lie."""
        names = parameter_names(self.value, len(self.inputs))
        return {n: f.kind for n, f in zip(names, self.wish.inputs, strict=True) if f.kind in REAL[1:]}

    def _failed(self, error: BaseException) -> TutorError:
        """Torch's own words, the user's line, and what the inputs were."""
        at, code = programs.line_of(error, self.where)
        names = parameter_names(self.value, len(self.inputs))
        given = ", ".join(f"{n} {shown_shape(x.shape)}" for n, x in zip(names, self.inputs, strict=True))
        return ExerciseError(said(
            "{at}: {kind}: {message}{code}\nthe example was {given}{hint}", at=at, kind=type(error).__name__,
            message=programs.message_of(error), code=code, given=given, hint=self._hint(error),
        ))  # fmt: skip

    def _hint(self, error: BaseException) -> str:
        text, example = str(error), self.example()
        if _builds(self.value):
            return said("; if {name} builds a model, write a function without arguments that calls it, and name that",
                        name=self.name)  # fmt: skip
        if "Long" in text and ("indices" in text or "scalar type" in text) or "must be tensor of integers" in text:
            return said("; indices are given as {example}", example=_index_example(example))
        if "index out of range" in text:
            rows = [str(m.num_embeddings) for m in self.layers() if isinstance(m, nn.Embedding)]
            known = said(" (here {rows})", rows=", ".join(dict.fromkeys(rows))) if rows else ""
            return said("; the count behind index: is at most the rows of the table{known}", known=known)
        if example and not isinstance(error, SystemExit) and not self._fits(example):
            return said("; its first layer takes {example}", example=example)
        return ""

    def _fits(self, example: str) -> bool:
        """Whether the first input is already what the first layer takes: only its channels or features count."""
        form, given = input_form(example.removeprefix("--input ")), self.inputs[0]
        axis = 1 if "28" in example or form.text.endswith("x32") else -1
        if form.kind == "index" or given.dim() < 2:
            return form.kind == self.wish.inputs[0].kind
        return form.shape is not None and given.shape[axis] == form.shape[axis]

    # -- the loss ----------------------------------------------------------------------------------------------

    def loss(self, made: Any) -> tuple[Any, Tensor | None, str]:
        """What `from_torch` takes for it, the target, and what it is called."""
        typed, target = self.wish.loss, self.wish.target
        if typed is not None and (place := self._place(typed, made)) is not None:
            return place, None, said("output[{place}], which the model computes itself", place=repr(place))
        name = loss_name(typed) if typed is not None else NONE if target is None else _usual(target)
        if name == NONE:
            self._remark_on_several(made)
            return None, None, NONE
        pick, output = self._output(made)
        if not LOSSES[name].targets:
            return function(name, pick), None, name
        assert target is not None
        axis, wanted = self._target(target, name, output)
        loss = function(name, pick, axis)
        try:
            loss(made, wanted)
        except Exception as error:
            hint = said("; logits go with --loss bce-with-logits") if name == "bce" else ""
            raise ExerciseError(said(
                "the loss {name}: {kind}: {message}\nthe output has shape {output}, the target {target}{hint}",
                name=name, kind=type(error).__name__, message=programs.message_of(error),
                output=shown_shape(output.shape), target=shown_shape(wanted.shape), hint=hint,
            )) from error  # fmt: skip
        return loss, wanted, name

    def _place(self, typed: str, made: Any) -> int | str | None:
        """The position or the key of the loss; None where a loss is named."""
        keys = list(made) if isinstance(made, Mapping) else list(range(len(made))) if _is_sequence(made) else []
        key: int | str = int(typed) if typed.lstrip("-").isdigit() else typed
        if key in keys or (isinstance(key, int) and keys and _is_sequence(made) and -len(keys) <= key < 0):
            value = made[key]
            if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
                if self.wish.target is not None:
                    raise _needless(typed)
                return key
            shape = shown_shape(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UsageError(said("--loss {typed}: {name} returns {shape} there, no single number", typed=typed,
                                  name=self.name, shape=shape))  # fmt: skip
        if isinstance(key, str) and loss_name(typed) in (*LOSSES, NONE):
            return None
        known = [*LOSSES, NONE, *map(str, keys)]
        what = said("it returns {what}", what=_described(made))
        raise UsageError(said('--loss {typed} is no loss{hint}; there are {known}; {what}', typed=typed,
                              hint=did_you_mean(typed, known), known=", ".join(known), what=what))  # fmt: skip

    def _output(self, made: Any) -> tuple[Callable[[Any], Any], Tensor]:
        """The tensor that the loss is of: the only one, or the first."""
        if isinstance(made, Tensor):
            return lambda made: made, made
        keys = list(made) if isinstance(made, Mapping) else list(range(len(made))) if _is_sequence(made) else []
        real = [key for key in keys if isinstance(made[key], Tensor) and made[key].is_floating_point()]
        if not real:
            raise ExerciseError(said("{name} returns {what}: no tensor of real numbers to take a loss of",
                                     name=self.name, what=_described(made)))  # fmt: skip
        key = "logits" if "logits" in real else real[0]
        self.notes.append(said("it returns {what}: the loss is of output[{key}]", what=_described(made), key=repr(key)))
        return lambda made: made[key], made[key]

    def _target(self, target: Form, name: str, output: Tensor) -> tuple[int | None, Tensor]:
        shape, classes = tuple(output.shape), max(output.dim() - 1, 0)
        axis = classes if name in ("cross-entropy", "nll") else None
        if target.kind == "index":
            axis, wanted = self._classes(target, output)
            form = Form(target.text, target.shape if target.shape is not None else wanted, "index", target.count)
            return axis, form.tensor(self.source)
        if target.shape is not None and target.shape != shape:
            raise UsageError(said(
                "--target {text}: the output has shape {shape}, and {loss} compares entry by entry: --target {better}",
                text=target.text, shape=shown_shape(shape), loss=name, better=LIKE,
            ))  # fmt: skip
        x = Form(target.text, shape, target.kind).tensor(self.source, output.dtype)
        return axis, within(LOSSES[name].domain, x) if target.kind == "float" else x

    def _classes(self, target: Form, output: Tensor) -> tuple[int, tuple[int, ...]]:
        """The axis of the classes, and the shape that is left without it."""
        shape = tuple(output.shape)
        places = [
            d for d in dict.fromkeys((len(shape) - 1, min(1, len(shape) - 1))) if d >= 0 and shape[d] == target.count
        ]
        if target.shape is not None:
            places = [d for d in places if shape[:d] + shape[d + 1 :] == target.shape] or places
        if not places:
            better = str(shape[-1]) if shape else "10"
            raise UsageError(said(
                "--target {text}: the output has shape {shape}, without an axis of {count} classes: --target {better}",
                text=target.text, shape=shown_shape(shape), count=target.count, better=f"index:{better}",
            ))  # fmt: skip
        axis = places[0]
        if len(shape) > 2:
            self.notes.append(said("the classes lie on axis {axis} of the output {shape}", axis=axis,
                                   shape=shown_shape(shape)))  # fmt: skip
        return axis, shape[:axis] + shape[axis + 1 :]

    def _remark_on_several(self, made: Any) -> None:
        if _is_sequence(made) or isinstance(made, Mapping):
            keys = list(made) if isinstance(made, Mapping) else list(range(len(made)))
            single = [
                k for k in keys if isinstance(made[k], Tensor) and made[k].numel() == 1 and made[k].is_floating_point()
            ]
            if single and len(keys) > 1:
                self.notes.append(said("it returns {what}: --loss {key} takes that one alone, as the loss",
                                       what=_described(made), key=single[-1]))  # fmt: skip


LAYERS: dict[Any, str] = {
    nn.Linear: "64x{in_features}", nn.Embedding: "8x16:index:{num_embeddings}", nn.Conv1d: "8x{in_channels}x32",
    nn.Conv2d: "8x{in_channels}x28x28", nn.LSTM: "16x8x{input_size}", nn.GRU: "16x8x{input_size}",
    nn.RNN: "16x8x{input_size}", nn.BatchNorm1d: "64x{num_features}", nn.Bilinear: "64x{in1_features}",
}  # fmt: skip


def _index_example(example: str) -> str:
    return example if ":index:" in example else "--input 8x16:index:100"


def _usual(target: Form) -> str:
    return "cross-entropy" if target.kind == "index" else "mse"


def _builds(value: Any) -> bool:
    """Whether a function speaks of layers."""
    code, known = getattr(value, "__code__", None), getattr(value, "__globals__", {})
    named = [known.get(name) for name in code.co_names] if code is not None else []
    return any(x is nn or isinstance(x, type) and issubclass(x, nn.Module) for x in named)


def _is_sequence(made: Any) -> bool:
    return isinstance(made, (list, tuple))


def _tensors(made: Any) -> Iterator[Tensor]:
    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, Mapping) or _is_sequence(made):
        for part in made.values() if isinstance(made, Mapping) else made:
            yield from _tensors(part)


def _described(made: Any) -> str:
    """`(tensor (4, 8, 65), None)`"""
    if isinstance(made, Tensor):
        return said("a tensor {shape}", shape=shown_shape(made.shape))
    if isinstance(made, Mapping):
        return joined(["{", joined([joined([repr(k), _described(v)], ": ") for k, v in made.items()]), "}"], "")
    if _is_sequence(made):
        return joined(["(", joined([_described(v) for v in made]), ")"], "")
    return "None" if made is None else type(made).__name__


# -- the exercise ----------------------------------------------------------------------------------------------------


def _plain(name: str, value: Any, where: programs.Address) -> str:
    """The exercise's name: the class's own (""), else the function's, else the file's where that says nothing."""
    if isinstance(value, nn.Module) and not type(value).__module__.startswith("torch."):
        return ""
    last = name.rpartition(".")[2]
    if last in programs.BUILDERS or last == programs.LAST:
        last = where.file.stem if where.file is not None else where.module.rpartition(".")[2]
    return "-".join(last.replace("_", "-").lower().strip("-").split())


def _docstring(value: Any) -> str:
    """What the user's own class or function says of itself."""
    kind = type(value) if isinstance(value, nn.Module) else value
    if (getattr(kind, "__module__", None) or "torch").partition(".")[0] == "torch":
        return ""
    return inspect.cleandoc(vars(kind).get("__doc__") or "" if isinstance(kind, type) else kind.__doc__ or "")


def _remarks(exercise: Exercise, model: _Model) -> Iterator[str]:
    value = model.value
    if isinstance(value, nn.Module):
        if model.wish.train is None and value.training and any(isinstance(m, MOODS) for m in value.modules()):
            yield said(
                "it is in train mode: masks of dropout are inputs, batch norm uses the batch; --eval is the other"
            )
        if not any(q.kind == "parameter" for q in exercise):
            asked = ", ".join(f"d{name}" for name in exercise.asked)
            yield said("it has no parameters that learn: asked is {asked}", asked=asked)
    for form, x in zip(model.wish.inputs, model.inputs, strict=True):
        if 1 in x.shape:
            yield said(
                "an axis of 1 stays 1: in --input {text} a larger one would become a size of its own", text=form.text
            )
    names = parameter_names(value, len(model.inputs))
    unused = [name for name in names if name not in exercise.quantities]
    if unused and len([q for q in exercise if q.kind == "input"]) < len(names):
        yield said("what it returns does not depend on {names}", names=", ".join(unused))


def output_path(output: str | None, where: programs.Address, force: bool) -> Path | None:
    """Where the exercise goes; whatever is wrong with that is said before the user's file is run."""
    if output is None or output == "-":
        return None
    path = Path(output).expanduser()
    if path.is_dir():
        raise UsageError(said("{path} is a folder: give a file's path, as {better}", path=output,
                              better=path / "my_model.py"))  # fmt: skip
    if path.suffix != ".py":
        raise UsageError(said("an exercise file ends in .py: --output {path}", path=path.with_suffix(".py")))
    if not path.parent.is_dir():
        raise NotFoundError(said("there is no folder {folder} for {path}: make it, or give another path",
                                 folder=path.parent, path=path.name))  # fmt: skip
    if where.file is not None and path.resolve() == where.file.resolve():
        raise UsageError(said("{path} is your model itself: give the exercise another name", path=output))
    if path.exists() and not force:
        raise UsageError(said("{path} is there already: give another path, or --force to write over it", path=output))
    return path
