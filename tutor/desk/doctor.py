"""What `tutor doctor` looks at: versions, what is missing for what, the folder, the terminal."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from tutor import __version__, language
from tutor.desk import progress as progress_of
from tutor.errors import UsageError
from tutor.language import N_, tr

DISTRIBUTION = "derivation-tutor"
NEEDED = {  # as setup.cfg says, for a checkout that is not installed
    "alembic": "1.13",
    "click": "8.1",
    "filelock": "3.12",
    "igraph": "1.0",
    "latex2mathml": "3.77",
    "lark": "1.1.9",
    "markdown-it-py": "3",
    "pebble": "5.0.7",
    "pydantic": "2.7",
    "pyyaml": "6",
    "rich": "13.7",
    "sqlalchemy": "2",
    "sympy": "1.13",
    "torch": "2.5",
    "watchfiles": "0.22",
}
USED_FOR = {  # an extra, and what it is for
    "test": N_("the tests"),
    "dev": N_("developing"),
    "plot": N_("curves as pictures"),
    "notebook": N_("notebooks in JupyterLab"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `well` is None for what may be missing."""

    what: str
    found: str
    well: bool | None = True


def findings(folder: Path) -> Iterator[Finding]:
    """Everything, the needed things first."""
    yield Finding("Python", platform.python_version(), sys.version_info >= (3, 11))
    yield Finding("tutor", f"{__version__}, {Path(__file__).parent.parent}")
    required, extras = _requirements()
    yield from (_imported(name, least) for name, least in required)
    for extra, names in extras.items():
        lacking = [name for name in names if _version(name) is None]
        found = tr("missing: {names} (pip install '{distribution}[{extra}]')", names=", ".join(lacking),
                   distribution=DISTRIBUTION, extra=extra) if lacking else tr("there")  # fmt: skip
        what = f"[{extra}] {tr(USED_FOR[extra])}" if extra in USED_FOR else f"[{extra}]"
        yield Finding(what, found, None if lacking else True)
    yield _writable(folder)
    yield _progress(folder)
    yield Finding(tr("terminal"), _terminal())
    yield Finding(tr("language"), language.current())


def _imported(name: str, least: str) -> Finding:
    """A distribution that is needed: there, new enough, and in working order."""
    version = _version(name)
    if version is None:
        return Finding(name, tr("missing: pip install {name}", name=name), False)
    if _numbers(version) < _numbers(least):
        return Finding(name, tr("{version} is too old: pip install '{name}>={least}'", version=version, name=name,
                                least=least), False)  # fmt: skip
    try:
        import_module(_module(name))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return Finding(name, tr("{version} cannot be imported: {reason}", version=version, reason=reason), False)
    return Finding(name, version)


def _module(name: str) -> str:
    """What a distribution is imported as: `markdown_it` of markdown-it-py."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return name
    packages = [file.parts[0] for file in files if len(file.parts) == 2 and file.parts[1] == "__init__.py"]
    return name if name in packages or not packages else packages[0]


def _numbers(version: str) -> list[int]:
    """`2.13.0+cpu` as [2, 13, 0]"""
    return [int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number]  # type: ignore[index]


def _requirements() -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Distributions that are needed, with their least version, and those of each extra, as the tutor states them."""
    try:
        stated = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return list(NEEDED.items()), {}
    required: list[tuple[str, str]] = []
    extras: dict[str, list[str]] = {}
    for requirement in stated:
        wanted, _, condition = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*[\"']([\w-]+)", condition)
        name, _, least = wanted.strip().partition(">=")
        name = re.split(r"[^\w.-]", name.strip(), maxsplit=1)[0]
        if extra is None:
            required.append((name, least.strip()))
        elif name != DISTRIBUTION:
            extras.setdefault(extra[1], []).append(name)
    return required, extras


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _writable(folder: Path) -> Finding:
    well = os.access(folder, os.W_OK)
    return Finding(tr("this folder"), tr("can be written") if well else tr("cannot be written: go to another"), well)


def _progress(folder: Path) -> Finding:
    """The progress file of a folder, or of one above it."""
    home = progress_of.home(folder)
    if home is None:
        return Finding(tr("progress"), tr("none is kept here: 'tutor start ID' begins"), None)
    try:
        kept = progress_of.read(home)
    except UsageError as error:
        return Finding(tr("progress"), str(error), False)
    return Finding(tr("progress"), tr("{count} solved, kept in {folder}", count=len(kept.solved),
                                      folder=home / progress_of.FOLDER))  # fmt: skip


def _terminal() -> str:
    if not sys.stdout.isatty():
        return tr("none: the output goes elsewhere")
    size = shutil.get_terminal_size()
    colour = tr("no colours") if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else tr("colours")
    return f"{size.columns} x {size.lines}, {sys.stdout.encoding}, {colour}"
