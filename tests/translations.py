"""The catalogue of what the code says, taken from the sources; `python tests/translations.py` brings it up to date.

What is new is left empty in `tutor/locale/zh/LC_MESSAGES/tutor.po`; write it there and run this once more, which
compiles it. What is said no longer is dropped.
"""

import ast
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import tutor.language

PACKAGE = Path(tutor.language.__file__).parent
KEYWORDS = {"tr": None, "said": None, "N_": None, "ntr": (1, 2), "nsaid": (1, 2)}
LANGUAGES = [language for language in tutor.language.LANGUAGES if language != tutor.language.ENGLISH]
DATES = ("POT-Creation-Date", "PO-Revision-Date", "Generated-By", "Last-Translator", "Language-Team")


def path(language: str, ending: str = "po") -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"tutor.{ending}"


def marked(file, keywords, comment_tags, options):
    """Babel's own extractor reads tokens, and misses what stands inside an f-string or another call."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in keywords:
            given = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
            if given and isinstance(given[0], str):
                yield node.lineno, node.func.id, given, []


def extracted() -> Catalog:
    """Every sentence that is marked in the package."""
    catalogue = Catalog(charset="utf-8")
    found = extract_from_dir(PACKAGE, [("**.py", marked)], keywords=KEYWORDS)
    for file, _line, message, _comments, _context in sorted(found, key=lambda each: (each[0], each[1])):
        catalogue.add(message, None, [(file, 0)])
    return catalogue


def written(language: str) -> Catalog:
    """The catalogue of a language as it lies in the package."""
    with path(language).open("rb") as file:
        return read_po(file, locale=language, domain="tutor")


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
    with path(language, "mo").open("wb") as file:
        write_mo(file, written(language))
    return [str(message.id) for message in written(language) if message.id and not all(strings(message.string))]


def strings(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


if __name__ == "__main__":
    for each in LANGUAGES:
        missing = update(each)
        print(f"{path(each)}: {len(missing)} to be translated", *missing, sep="\n  ")
