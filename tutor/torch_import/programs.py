"""The user's own file: found, run, and what in it is meant. It is code, and is executed.

`FILE.py:NAME`, `FILE.py`, `package.module:NAME`. Whatever goes wrong in it is said with the file's line.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tutor.errors import ExerciseError, NotFoundError, TutorError, UsageError, did_you_mean
from tutor.language import joined, said
from tutor.shown import quoted

BUILDERS = (
    "build_model", "make_model", "create_model", "get_model", "build", "model", "net", "network", "loss", "forward",
)  # fmt: skip
LAST = "main"  # it may train for hours: only where there is nothing else
PACKAGES = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
LONGEST = 300  # characters of a message that is not ours


@dataclass(frozen=True)
class Address:
    """What was typed: a file or a module, and a name in it or none."""

    text: str
    file: Path | None
    module: str
    name: str

    @property
    def home(self) -> str:
        """What stands before the colon."""
        return str(self.file) if self.file is not None else self.module


def address(text: str) -> Address:
    """`FILE.py:NAME` or `package.module:NAME`, which is looked up here for files."""
    text = text.strip()
    found = re.fullmatch(r"(.*\.py)(?::(.*))?", text, re.DOTALL)
    if found:
        return Address(text, _existing(found[1]), "", _name(found[2] or ""))
    module, _, name = text.partition(":")
    if re.fullmatch(r"\w+(\.\w+)*", module) and not os.path.exists(module):
        if os.path.exists(f"{module}.py"):
            rest = f":{name}" if name else ""
            raise NotFoundError(said("{module} is no module: the file is called {file}", module=module,
                                     file=f"{module}.py{rest}"))  # fmt: skip
        return Address(text, None, module, _name(name))
    _existing(module)
    raise NotFoundError(said("{path} is no Python file: its name would end in .py", path=module[:200]))


def _name(text: str) -> str:
    name = text.strip()
    if name and not re.fullmatch(r"\w+(\.\w+)*", name):
        raise UsageError(said(
            '"{name}" is no name: write FILE.py:NAME with that of a function or a class, as in my_model.py:build_model',
            name=name[:LONGEST],
        ))  # fmt: skip
    return name


def _existing(text: str) -> Path:
    path = Path(os.path.expanduser(text))
    if os.path.isdir(path):
        raise NotFoundError(said("{path} is a folder: give the path of one Python file in it", path=path))
    if not os.path.exists(path):
        there = sorted(p.name for p in path.parent.glob("*.py")) if os.path.isdir(path.parent) else []
        raise NotFoundError(said(
            "cannot open {path}: there is no such file{hint}", path=text[:200], hint=did_you_mean(path.name, there)
        ))  # fmt: skip
    return path


# -- running it ----------------------------------------------------------------------------------------------------


@contextmanager
def at_home(where: Address) -> Iterator[None]:
    """As if it ran in its own folder: that is importable, the command line is empty, and its output goes to stderr."""
    folder = Path.cwd() if where.file is None else where.file.resolve().parent
    former = sys.path[:], sys.argv[:], dict(sys.modules)
    sys.path[:0] = list(dict.fromkeys(map(str, (folder, _top(folder)))))
    sys.argv[:] = [where.home]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.argv[:] = former[0], former[1]
        for name in sys.modules.keys() - former[2].keys():  # another file may have a helper of the same name
            if name.partition(".")[0] != "tutor" and _lies_in(sys.modules[name], folder):
                del sys.modules[name]


def _lies_in(module: Any, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).is_relative_to(folder) and "site-packages" not in file


def _top(folder: Path) -> Path:
    """Where the package begins in which a folder lies."""
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def run(where: Address) -> ModuleType:
    """The file as a module, or the module."""
    with placed(where):
        if where.file is None:
            return importlib.import_module(where.module)
        path = where.file.resolve()
        top = _top(path.parent)
        dotted = ".".join(path.relative_to(top).with_suffix("").parts)
        if top != path.parent:
            return importlib.import_module(dotted)
        return _executed(where.file, dotted)


def _executed(file: Path, name: str) -> ModuleType:
    try:
        source = file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotFoundError(said("cannot open {path}: {reason}", path=file, reason=reason)) from None
    taken = name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier()
    module = ModuleType(f"imported_{name}" if taken else name)
    module.__file__ = str(file.resolve())
    sys.modules[module.__name__] = module
    linecache.checkcache(str(file))
    exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))
    return module


# -- what goes wrong in it -------------------------------------------------------------------------------------------


@contextmanager
def placed(where: Address) -> Iterator[None]:
    """What the user's code raises is said with its line."""
    try:
        yield
    except TutorError:
        raise
    except (Exception, SystemExit) as error:
        raise _explained(error, where) from error


def _explained(error: BaseException, where: Address) -> TutorError:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{where.module}.".startswith(f"{error.name}."):
        return _no_module(error.name)
    if isinstance(error, SyntaxError):
        return _syntax_error(error, where)
    at, code = line_of(error, where)
    if isinstance(error, SystemExit):
        return ExerciseError(said(
            "{at}: it ends the program here{code}\nput what is only for running it as a program under "
            'if __name__ == "__main__":', at=at, code=code,
        ))  # fmt: skip
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        install = f"{quoted(sys.executable)} -m pip install {PACKAGES.get(top, top)}"
        return ExerciseError(said(
            "{at}: {message}{code}\ninstall it where the tutor is installed:\n\n  {install}\n\n"
            "or, if {name} is a file of yours, put it beside {file}",
            at=at, message=message_of(error), code=code, install=install, name=f"{top}.py", file=where.home,
        ))  # fmt: skip
    if isinstance(error, ImportError) and "relative import" in str(error):
        return ExerciseError(said(
            "{at}: {message}{code}\nname it as part of its package, from the folder above: "
            "tutor import package.{module}:NAME", at=at, message=message_of(error), code=code,
            module=Path(where.home).stem,
        ))  # fmt: skip
    return ExerciseError(said("{at}: {kind}: {message}{code}", at=at, kind=type(error).__name__,
                              message=message_of(error), code=code.rstrip("\n")))  # fmt: skip


def _no_module(missing: str) -> NotFoundError:
    parent, _, last = missing.rpartition(".")
    folder = Path(*parent.split(".")) if parent else Path()
    there = [p.stem for p in folder.iterdir() if p.suffix == ".py" or p.is_dir()] if folder.is_dir() else []
    return NotFoundError(said(
        "there is no module {name}{hint}; modules are looked up from this folder on, a file is named with its .py",
        name=missing, hint=did_you_mean(last, there),
    ))  # fmt: skip


def _syntax_error(error: SyntaxError, where: Address) -> ExerciseError:
    """File, line, and a caret below the place."""
    file = shown_file(error.filename) if error.filename else where.home
    at = said("{file}, line {line}", file=file, line=error.lineno) if error.lineno else file
    text = (error.text or "").rstrip("\n")
    if not text.strip():
        return ExerciseError(joined([at, error.msg], ": "))
    bare = text.lstrip()
    column = max((error.offset or 1) - 1 - (len(text) - len(bare)), 0)
    return ExerciseError(joined([at, f"{error.msg}\n\n  {bare}\n  {' ' * column}^"], ": "))


def message_of(error: Any) -> str:
    """The error's own words on one line, without the advice of libraries to turn on switches of theirs."""
    text = re.split(r"\n\s*\n|\nThe above exception|\nException raised from", str(error))[0]
    text = " ".join(text.split()) or said("without a message")
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def line_of(error: BaseException, where: Address) -> tuple[str, str]:
    """`net.py, line 9`, and `x = 1 / 0` as a paragraph: the last of the user's own lines; else the file."""
    from tutor.torch_import.places import place_of_error

    place = place_of_error(error)
    if place is None:
        return where.home, ""
    at = said("{file}, line {line}", file=shown_file(place.file), line=place.line)
    return at, f"\n\n  {place.text}\n" if place.text else ""


def shown_file(file: str) -> str:
    """Relative to this folder where it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else file


# -- what in it is meant -----------------------------------------------------------------------------------------------


def named(where: Address, module: ModuleType) -> tuple[str, Any]:
    """The name and what it is: the one that was given, or the only candidate."""
    if not where.name:
        return _obvious(where, module)
    value: Any = module
    for part in where.name.split("."):
        if not hasattr(value, part):
            there = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
            shown = ", ".join(_candidates(module)) or said("nothing that is a model")
            raise NotFoundError(said(
                'there is no "{name}" in {home}{hint}; there is {there}', name=part, home=where.home,
                hint=did_you_mean(part, there), there=shown,
            ))  # fmt: skip
        value = getattr(value, part)
    return where.name, value


def _obvious(where: Address, module: ModuleType) -> tuple[str, Any]:
    found = _candidates(module)
    if len(found) > 1:
        without = [name for name, value in found.items() if not required(value)]
        usual = [name for name in BUILDERS if name in found]
        instances = [name for name, value in found.items() if _is_module(value)]
        classes = [name for name, value in found.items() if isinstance(value, type)]
        ready = [name for name in classes if name in without]
        sure = usual[:1] or next((each for each in (instances, classes, ready) if len(each) == 1), [])
        if not sure:
            names = list(found)
            raise UsageError(said(
                "{home} holds several: {names}; say which, as in {example}", home=where.home, names=", ".join(names),
                example=f"{where.home}:{(ready or classes or names)[-1]}",
            ))  # fmt: skip
        found = {sure[0]: found[sure[0]]}
    if not found and callable(vars(module).get(LAST)):
        found = {LAST: vars(module)[LAST]}
    if not found:
        raise NotFoundError(said(
            "{home} holds no model: no nn.Module class, no module, no function; write def build_model(): return ...",
            home=where.home,
        ))  # fmt: skip
    return next(iter(found.items()))


def _candidates(module: ModuleType) -> dict[str, Any]:
    """Modules, classes of modules and functions that the file defines, in its order."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and _serves(value, module)
            and name != LAST}  # fmt: skip


def _serves(value: Any, module: ModuleType) -> bool:
    from torch import nn
    from torch.nn.modules.loss import _Loss

    if isinstance(value, nn.Module):
        return not isinstance(value, _Loss)
    own = getattr(value, "__module__", None) == module.__name__
    return own and (issubclass(value, nn.Module) if isinstance(value, type) else inspect.isfunction(value))


def _is_module(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def required(value: Any) -> list[str]:
    """The arguments that a function or class must be given."""
    if _is_module(value) or not callable(value):
        return []
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # of the functions that are written in C
        return ["input"]
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def built(where: Address, name: str, value: Any) -> Any:
    """The module, or the function on tensors."""
    if _is_module(value):
        return value
    if not callable(value):
        raise ExerciseError(said(
            "{name} in {home} is no model but {value}: name a function that builds one, a class, a module, or a "
            "function on tensors", name=name, home=where.home, value=message_of(repr(value)),
        ))  # fmt: skip
    needed = required(value)
    if isinstance(value, type):
        return _instance(where, name, value, needed)
    if needed or _takes_only_tensors(value):
        return value
    with placed(where):
        made = value()
    if _is_module(made) or (callable(made) and not isinstance(made, type)):
        return made
    raise ExerciseError(said(
        "{name}() in {home} returns {kind}: let it return the model", name=name, home=where.home,
        kind="None" if made is None else said("a value of type {name}", name=type(made).__name__),
    ))  # fmt: skip


def _takes_only_tensors(value: Any) -> bool:
    """`def f(*tensors)`"""
    try:
        return any(p.kind == p.VAR_POSITIONAL for p in inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return True


def _instance(where: Address, name: str, kind: type, needed: list[str]) -> Any:
    from torch import nn

    if not issubclass(kind, nn.Module):
        raise ExerciseError(said(
            "{name} in {home} is a class, but no nn.Module: name a module, or a function on tensors", name=name,
            home=where.home,
        ))  # fmt: skip
    if needed:
        values = ", ".join(f"{argument}=..." for argument in needed)
        raise ExerciseError(said(
            "{name} in {home} needs arguments ({needed}): write a function that gives them and name that:\n\n"
            "  def build_model():\n      return {name}({values})\n\n  tutor import {own}:build_model ...",
            name=name, home=where.home, needed=", ".join(needed), values=values, own=where.file or "my_model.py",
        ))  # fmt: skip
    with placed(where):
        return kind()
