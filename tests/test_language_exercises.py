"""The exercises in Chinese: every text is translated, and says the same formulas, names and numbers.

`python tests/test_language_exercises.py` brings the catalogue up to date with the exercise files: new texts come in
untranslated, those that are gone go out, and what is translated is compiled.
"""

from __future__ import annotations

import gettext
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tutor import language
from tutor.catalogue import entries, find, folder, load, normal_id
from tutor.course import read as read_course
from tutor.paragraphs import is_prose, message, paragraphs, wrapped

babel = pytest.importorskip("babel", reason="the catalogues are made with Babel")

ROOT = Path(__file__).resolve().parent.parent
PO = ROOT / "tutor" / "locale" / "zh" / "LC_MESSAGES" / "exercises.po"
MO = PO.with_suffix(".mo")
HEADER = "# Simplified Chinese for the exercises: titles, statements, hints, tracks.\n#"


def catalogue(path: Path = PO):
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        return read_po(file, locale="zh", domain="exercises")


def template():
    """What Babel finds with the settings that the project ships."""
    from babel.messages.catalog import Catalog
    from babel.messages.extract import extract_from_dir
    from babel.messages.frontend import parse_mapping_cfg

    made = Catalog(project="derivation-tutor", domain="exercises", charset="utf-8")
    with (ROOT / "babel-exercises.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    for name, line, text, comments, _ in extract_from_dir(folder(), methods, options):
        made.add(text, locations=[(f"exercises/{name}", line)], auto_comments=comments)
    return made


def refresh() -> None:
    """Write the .po anew from the files, and the .mo from it."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import write_po

    found = catalogue()
    found.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    found.header_comment = HEADER
    found.msgid_bugs_address = found.last_translator = ""
    for text in found:
        text.flags.discard("python-format")  # m%K in a formula is none
    with PO.open("wb") as file:
        write_po(file, found, width=100, sort_by_file=True, ignore_obsolete=True, include_lineno=False)
    with MO.open("wb") as file:
        write_mo(file, catalogue())


CATALOGUE = {text.id: text.string for text in catalogue() if text.id}
FILES: dict[str, list[str]] = {}  # an exercise file's texts
for _text in template():
    for _path, _ in _text.locations:
        FILES.setdefault(Path(_path).name, []).append(_text.id)
TEXTS = {text for texts in FILES.values() for text in texts}


def pairs(file: str, prose: bool) -> list[tuple[str, str]]:
    """A file's texts with their translations: its prose, or its formulas, tables and lists."""
    return [(text, CATALOGUE.get(text, "")) for text in FILES[file] if is_prose(text) == prose]


# -- complete ---------------------------------------------------------------------------------------------


def test_every_text_is_translated_and_nothing_else():
    missing = [text for text in TEXTS if not CATALOGUE.get(text)]
    assert not missing, "python tests/test_language_exercises.py takes them into the catalogue; translate them there"
    assert set(CATALOGUE) == TEXTS


def test_no_translation_is_fuzzy_or_obsolete():
    found = catalogue()
    assert not found.obsolete
    assert not [text.id for text in found if text.fuzzy and text.id]


def test_what_is_compiled_is_what_is_written():
    with MO.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {text: compiled.gettext(text) for text in CATALOGUE} == CATALOGUE
    assert len(compiled._catalog) == len(CATALOGUE) + 1  # and its header


def test_what_is_extracted_is_all_that_is_shown():
    """Of every exercise, and of every choice of a family: none makes up a text while it is loaded."""
    for address in ADDRESSES:
        ex = loaded(address)
        shown = [ex.title, *map(message, paragraphs(ex.statement)), *ex.hints]
        assert not set(shown) - TEXTS, address
    assert {track.title for track in read_course(folder()).tracks} <= TEXTS


# -- the same formulas, names and numbers -----------------------------------------------------------------

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"`[^`]*`")
INDEXED = re.compile(r"[A-Za-z_]\w*\[[^\]]*\]+")
SHAPE = re.compile(r"\([A-Z0-9][A-Z0-9*+-]*,(?: [A-Z0-9][A-Z0-9*+-]*)*\)", re.IGNORECASE)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])")
CALL = re.compile(r"\w+\(")
SIGN = re.compile(r"(?<![A-Za-z])[-+*/=<>^|@]+|[-+*/=<>^|@]+(?![A-Za-z])|[+*/=<>^|@]")  # no hyphen
WORD = re.compile(r"[A-Za-z_]\w*")


def signed(text: str) -> str:
    """`sum over j of x[j]`, words in English, as the sign that needs none: `Σj x[j]`"""
    text = re.sub(r"sum over (\w+(?:, \w+)*) of (?=[-(\w])", lambda found: f"Σ{found[1].replace(' ', '')} ", text)
    return re.sub(r"max over (\w+) of ", r"max_\1 ", text)


def parts(text: str) -> dict[str, Counter[str]]:
    rest = CODE.sub(" ", text)
    return {
        "code": Counter(CODE.findall(text)),
        "indexed": Counter(INDEXED.findall(rest)),
        "shapes": Counter(SHAPE.findall(rest)),
        "numbers": Counter(NUMBER.findall(rest)),
        "calls": Counter(CALL.findall(rest)),
        "signs": Counter(SIGN.findall(rest)),
    }


@pytest.mark.parametrize("file", FILES)
def test_prose_has_the_same_formulas(file):
    for english, chinese in pairs(file, prose=True):
        assert parts(chinese) == parts(signed(english)), english


@pytest.mark.parametrize("file", FILES)
def test_no_name_is_made_up(file):
    for english, chinese in pairs(file, prose=True) + pairs(file, prose=False):
        known = {word.lower() for word in WORD.findall(signed(english))}
        known |= {word.removesuffix("s") for word in known}
        assert {word.lower() for word in WORD.findall(chinese)} <= known, english


def bare(text: str) -> str:
    """Part of a line without blanks, brackets and what is Chinese."""
    text = text.replace(", plus ", " + ").replace(", minus ", " - ")
    return re.sub(r"[\s()（），：；、,.;:]", "", CHINESE.sub("", re.sub(r"(?<=[a-z])-(?=[a-z])", "", text)))


def first(line: str) -> str:
    """What a line of a block begins with, before a comment or a condition."""
    return re.split(r" {3,}(?![ =])|,? with |, but |，", line.strip())[0]


def formula(line: str) -> str:
    return bare(first(line))


def inside(short: str, long: str) -> bool:
    """Whether the one is the other with letters left out: `Lv=L`, `Lv=therateofchangeofL`."""
    letters = iter(long)
    return all(letter in letters for letter in short)


@pytest.mark.parametrize("file", FILES)
def test_formulas_and_tables_are_the_same_line_by_line(file):
    for english, chinese in pairs(file, prose=False):
        if english.startswith("* "):  # a list is prose in items
            assert parts(chinese) == parts(english)
        else:
            compare_lines(english.split("\n"), chinese.split("\n"))


def compare_lines(lines: list[str], translated: list[str]) -> None:
    assert len(lines) == len(translated)
    for line, other in zip(map(signed, lines), translated, strict=True):
        assert Counter(CODE.findall(line)) == Counter(CODE.findall(other))
        assert Counter(INDEXED.findall(line)) == Counter(INDEXED.findall(other))
        assert Counter(CALL.findall(line)) == Counter(CALL.findall(other)), other
        said = re.search(r"[a-z]{2,} [a-z]{2,}| is ", first(line))  # a formula with words in it
        assert (
            line.startswith("|") or formula(other) == formula(line) or (said and inside(formula(other), formula(line)))
        )
        for sign in "=*/+-[]|^<>0123456789":
            assert bare(line).count(sign) == bare(other).count(sign), (sign, other)


@pytest.mark.parametrize("address", [entry.id for entry in entries()])
def test_every_name_of_the_exercise_is_kept(address):
    """Names that a text speaks of, gradients included, are spoken of in its translation."""
    ex = loaded(address)
    names = {name for q in ex for name in (q.name, f"d{q.name}") if len(name) > 1}
    for english in (*map(message, paragraphs(ex.statement)), *ex.hints):
        plain = CODE.sub(" ", english)  # what stands in code is compared above
        wanted = {name for name in names - ORDINARY if re.search(rf"\b{name}\b", plain)}
        assert wanted <= set(WORD.findall(CATALOGUE[english])), english


ORDINARY = {"do", "mask", "margin", "loss"}  # names that are English words as well


def test_it_is_chinese_throughout():
    for english, chinese in CATALOGUE.items():
        words = re.findall(r"\b[a-z]{2,}(?: [a-z]{2,}){2,}", CODE.sub(" ", chinese))
        assert not words, chinese
        plain = re.sub(r'`[^`]*`|"[^"]*"|with torch.no_grad\(\)', " ", chinese)
        assert not re.search(r"\b(the|of|is|are|how|each|and|or|with|where)\b", plain), chinese
        if re.search(r"[a-z]{3,} [a-z]{2,}", CODE.sub(" ", english)) and is_prose(english):
            assert CHINESE.search(chinese), english
        assert not re.search(r"[\u4e00-\u9fff][,;:?!]|[,;:?!][\u4e00-\u9fff]", CODE.sub("", chinese)), chinese


# -- as it is shown ---------------------------------------------------------------------------------------


def choices(name: str) -> list[str]:
    """The family's default, and each choice of one parameter."""
    entry = find(name)
    values = {p.name: p.default for p in entry.parameters}
    made = [values] + [{**values, p.name: choice} for p in entry.parameters for choice in p.choices]
    return list(dict.fromkeys(normal_id(entry, each) for each in made))


ADDRESSES = [address for entry in entries() for address in choices(entry.id)]


@cache
def loaded(address: str):
    return load(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_show_has_no_untranslated_paragraph(address):
    from tutor.views import text

    ex = loaded(address)
    with language.speaking("zh"):
        shown = text.exercise(ex)
        said = language.of_exercise(ex.statement.strip(), text.STATEMENT)
        title = language.of_exercise(ex.title)
    assert said in shown and f"   {title}   " in shown.split("\n")[0]
    for paragraph in paragraphs(said):
        assert CHINESE.search(paragraph) or not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]", paragraph), paragraph
        assert CHINESE.search(paragraph) or not is_prose(paragraph), paragraph
    with language.speaking("en"):
        assert ex.title in text.exercise(ex).split("\n")[0] and ex.statement.strip() in text.exercise(ex)


def test_the_command_line_speaks_it(capsys):
    from tutor.cli import main

    assert main(["--lang", "zh", "show", "linear-regression"]) == 0
    out = capsys.readouterr().out
    assert "单个点上的线性回归" in out and "y_pred = w*x + b             预测值" in out
    assert main(["--lang", "zh", "list"]) == 0
    out = capsys.readouterr().out
    assert "标量与链式法则" in out and "单个点上的线性回归" in out
    assert main(["--lang", "zh", "start", "linear-regression", "-"]) == 0
    assert "# 所有量都是标量。求损失对权重 `w` 和偏置 `b` 的梯度。" in capsys.readouterr().out


@pytest.mark.parametrize(
    "asked, title", [([], "Linear regression on one point"), (["--lang", "zh"], "单个点上的线性回归")]
)
def test_data_is_english_unless_a_language_is_asked_for(asked, title, capsys, monkeypatch):
    import json

    from tutor.cli import main

    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert main([*asked, "list", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["exercises"][0]
    assert (first["id"], first["title"]) == ("linear-regression", title)


def test_the_list_needs_neither_sympy_nor_torch():
    code = "import sys; from tutor.cli import main; main(['--lang', 'zh', 'list']); "
    code += "print({'sympy', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT, timeout=60)
    assert "标量与链式法则" in done.stdout and done.stdout.splitlines()[-1] == "set()", done.stderr


@pytest.mark.parametrize("form", ["text", "markdown", "html", "latex"])
def test_every_view_shows_the_title(form):
    from importlib import import_module

    view = import_module(f"tutor.views.{form}")
    with language.speaking("zh"):
        assert "单个点上的线性回归" in view.exercise(loaded("linear-regression"))
        derivation = view.derivation(loaded("linear-regression").derive())
        assert form == "text" or "单个点上的线性回归" in derivation  # text has the id there


def test_a_file_of_ones_own_is_shown_as_it_stands(tmp_path):
    from tutor.views import text

    path = tmp_path / "own.py"
    path.write_text(
        '"""A square.\n\nIts two\nlines."""\nfrom tutor import Exercise\n\nexercise = Exercise("own", title="Own")\n'
        'x = exercise.parameter("x")\nexercise.loss("L", x**2)\n'
    )
    with language.speaking("zh"):
        assert "A square.\n\nIts two\nlines." in text.exercise(load(path))


# -- paragraphs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20, 40, 80])
def test_lines_are_no_wider_and_nothing_is_lost(width):
    from unicodedata import east_asian_width

    for text in filter(is_prose, CATALOGUE.values()):
        lines = wrapped(text, width).split("\n")
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert not [line for line in lines if line[0] in "，。；：、）？！" or line != line.strip()]
        for line in lines:
            cells = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line)
            assert cells <= width or len(re.findall(r"[\u4e00-\u9fff]", line)) < 2 or " " not in line, line


def test_a_text_with_a_formatted_part_is_refused():
    import io

    from tutor.extraction import exercises

    source = 'exercise = Exercise("a", hints=[f"Look at {name}."])\n'
    with pytest.raises(ValueError, match="line 1: .*write each text that can come out of it"):
        list(exercises(io.BytesIO(source.encode())))


def test_either_choice_is_extracted():
    import io

    from tutor.extraction import exercises

    source = '"""One.\n\nTwo\nlines."""\nexercise = Exercise("a", hints=["h", "yes" if much else "no"])\n'
    found = {text for _, _, text, _ in exercises(io.BytesIO(source.encode()))}
    assert found == {"One.", "Two lines.", "h", "yes", "no"}


if __name__ == "__main__":
    refresh()
