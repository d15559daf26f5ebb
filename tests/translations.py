"""The catalogue of what the code says, taken from the sources; `python tests/translations.py` brings it up to date.

What is new is left empty in `tutor/locale/zh/LC_MESSAGES/tutor.po`; write it there and run this once more, which
compiles it. What is said no longer is dropped. `click.po` beside it, what click itself says on our command line, is
written by hand for every click that we work with, and compiled as well.
"""

import ast
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import tutor.cli
import tutor.language
import tutor.usage

PACKAGE = Path(tutor.language.__file__).parent
KEYWORDS = {"tr": None, "said": None, "N_": None, "ntr": (1, 2), "nsaid": (1, 2)}
DOMAINS = ("tutor", "click")
CLICK = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types")  # its modules that speak
OF_CLICK = {"_": None, "ngettext": (1, 2)}
FOR_AUTHORS = {  # of a command line, not for those who use it
    "%(prog)s, version %(version)s",
    "(Deprecated) {text}",
    "Arguments take exactly one parameter declaration, got {length}: {decls}.",
    "Boolean option {decl!r} cannot use the same flag for true/false.",
    "Choice({choices})",
    "Could not determine name for option with declarations {decls!r}",
    "DeprecationWarning: The command {name!r} is deprecated.",
    "DeprecationWarning: The command {name!r} is deprecated.{extra_message}",
    "DeprecationWarning: The {param_type} {name!r} is deprecated.{extra_message}",
    "Invalid start character for option ({option})",
    "Name '{name}' defined twice",
    "No options defined but a name was passed ({name}). Did you mean to declare an argument instead? Did you mean to "
    "pass '--{name}'?",
    "Unknown color {colour!r}",
    "Value must be an iterable.",
    "deprecated",
    "{text} {deprecated_message}",
}
LANGUAGES = [language for language in tutor.language.LANGUAGES if language != tutor.language.ENGLISH]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DATES = ("POT-Creation-Date", "PO-Revision-Date", "Generated-By", "Last-Translator", "Language-Team")


def path(language: str, ending: str = "po", domain: str = "tutor") -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"{domain}.{ending}"


def marked(file, keywords, comment_tags, options):
    """Babel's own extractor reads tokens, and misses what stands inside an f-string or another call."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in keywords:
            given = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
            if given and isinstance(given[0], str):
                yield node.lineno, node.func.id, given, []


def extracted() -> Catalog:
    """Every sentence that is marked in the package, and what the commands say of themselves."""
    catalogue = Catalog(charset="utf-8")
    found = extract_from_dir(PACKAGE, [("**.py", marked)], keywords=KEYWORDS)
    for file, _line, message, _comments, _context in sorted(found, key=lambda each: (each[0], each[1])):
        catalogue.add(message, None, [(file, 0)])
    for _, command in tutor.usage.commands_in(tutor.cli.app):
        for message in tutor.usage.sentences(command):
            catalogue.add(message, None, [(module(command), 0)])
    return catalogue


def module(command: click.Command) -> str:
    """The file that a command's function stands in, from the package on."""
    return "/".join(command.callback.__module__.split(".")[1:]) + ".py"


def of_click() -> list[str]:
    """What click, as it is installed, says where a command line is read and explained; a plural by its singular."""
    files = [Path(click.__file__).with_name(f"{name}.py") for name in CLICK]
    found = (message for file in files for message in extract_from_file(marked, file, keywords=OF_CLICK))
    ids = (message[0] if isinstance(message, tuple) else message for _, message, _, _ in found)
    return sorted(dict.fromkeys(id for id in ids if id not in FOR_AUTHORS))


def written(language: str, domain: str = "tutor") -> Catalog:
    """A catalogue of a language as it lies in the package."""
    with path(language, domain=domain).open("rb") as file:
        return read_po(file, locale=language, domain=domain)


def update(language: str) -> list[str]:
    """Write the catalogue anew from the sources, and compile it; what is not translated yet comes back."""
    made = Catalog(locale=language, domain="tutor", project="derivation-tutor", charset="utf-8", fuzzy=False)
    known = {message.id: message.string for message in written(language)} if path(language).exists() else {}
    for message in extracted():
        if message.id:
            empty = ("",) * made.num_plurals if isinstance(message.id, tuple) else ""
            made.add(message.id, known.get(message.id) or empty, message.locations, auto_comments=[])
    text = BytesIO()
    write_po(text, made, width=100, include_lineno=False, ignore_obsolete=True)
    lines = text.getvalue().decode().splitlines(keepends=True)
    head = next(n for n, line in enumerate(lines) if line.startswith("msgid"))
    kept = [line for line in lines[head:] if not line.startswith(tuple(f'"{date}' for date in DATES))]
    path(language).parent.mkdir(parents=True, exist_ok=True)
    path(language).write_text("".join(kept), encoding="utf-8")
    for domain in DOMAINS:
        with path(language, "mo", domain).open("wb") as file:
            made = written(language, domain)
            made.creation_date = EPOCH  # the same sentences give the same bytes
            write_mo(file, made)
    return [str(message.id) for message in written(language) if message.id and not all(strings(message.string))]


def strings(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


if __name__ == "__main__":
    for each in LANGUAGES:
        missing = update(each)
        print(f"{path(each)}: {len(missing)} to be translated", *missing, sep="\n  ")
