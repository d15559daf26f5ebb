"""What `tutor doctor` looks at: versions, what is missing for what, the folder, the terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tutor import __version__, language
from tutor.language import N_, tr

DISTRIBUTION = "derivation-tutor"
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
    yield Finding("tutor", __version__)
    required, extras = _requirements()
    for name in required:
        version = _version(name)
        yield Finding(name, version or tr("missing: pip install {name}", name=name), version is not None)
    for extra, names in extras.items():
        lacking = [name for name in names if _version(name) is None]
        found = tr("missing: {names} (pip install '{distribution}[{extra}]')", names=", ".join(lacking),
                   distribution=DISTRIBUTION, extra=extra) if lacking else tr("there")  # fmt: skip
        what = tr(USED_FOR[extra]) if extra in USED_FOR else extra
        yield Finding(f"[{extra}] {what}", found, None if lacking else True)
    yield _writable(folder)
    yield Finding(tr("terminal"), _terminal())
    yield Finding(tr("language"), language.current())


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Distributions that are needed, and those of each extra, as the installed tutor states them."""
    try:
        stated = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return ["click", "latex2mathml", "lark", "sympy", "torch"], {}
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    for requirement in stated:
        condition = requirement.partition(";")[2]
        name = _name(requirement)
        if "extra ==" not in condition:
            required.append(name)
        elif name != DISTRIBUTION:
            extras.setdefault(condition.split("extra ==")[1].strip().strip("\"'"), []).append(name)
    return required, extras


def _name(requirement: str) -> str:
    import re

    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _writable(folder: Path) -> Finding:
    well = os.access(folder, os.W_OK)
    return Finding(tr("this folder"), tr("can be written") if well else tr("cannot be written: go to another"), well)


def _terminal() -> str:
    if not sys.stdout.isatty():
        return tr("none: the output goes elsewhere")
    size = shutil.get_terminal_size()
    colour = tr("no colours") if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else tr("colours")
    return f"{size.columns} x {size.lines}, {sys.stdout.encoding}, {colour}"
