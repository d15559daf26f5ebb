"""Two languages: every sentence is in the catalogue, what is kept speaks both, and no result hangs on either."""

import gettext
import json
import os
import pickle
import re
import subprocess
import sys
from gettext import GNUTranslations
from itertools import product

import click
import pytest
import test_answers as reading
import test_latex as reading_latex
import translations
from test_cases import CASES, _rounded

import tutor
from tutor import language
from tutor.answers.language import Unreadable
from tutor.catalogue import entries
from tutor.checking.sheets import check_sheets
from tutor.cli import app, main
from tutor.errors import TutorError
from tutor.language import Said, joined, listed, nsaid, plain, said, speaking, tr
from tutor.paragraphs import wrapped
from tutor.usage import commands_in, sentences
from tutor.views import html, latex, markdown, text
from tutor.views.colour import coloured
from tutor.views.plain import columns, fitted, padded

ENGLISH = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}")  # three words in a row
FIELDS = re.compile(r"\{(?!\{)[^{}]*\}")
SAMPLE = "# exercise: softmax-regression\ndz = p - y\ndW = x.T @ dz\ndb = dz.sum()\n"
UNREADABLE = (
    "tr(c", "2x", "dz = zz", "dz = 'a'", "dz = p - y)", "while z: dz = 1", "dz = torch.exm(z)", "dz = p.T.T @ p[0, 0]",
    "dz[i] = 1", "dz = lambda: 1", "dz[i, k] = p[i]", "dz[i, k] = Sum(p[i, k])", "dz = p.sum(dim=1.5)", "# sizes: N=0",
)  # fmt: skip
CHINESE = re.compile("[一-鿿]")


@pytest.fixture
def chinese(monkeypatch):
    """The locale is Chinese; nobody chose a language."""
    monkeypatch.setenv("TUTOR_LANG", "zh")
    assert language.current() == "zh"


# -- the catalogue ---------------------------------------------------------------------------------------------


def by_id(catalogue):
    return {message.id: message for message in catalogue if message.id}


@pytest.mark.parametrize("name", translations.LANGUAGES)
def test_the_catalogue_has_every_marked_sentence_and_no_other(name):
    marked, written = by_id(translations.extracted()), by_id(translations.written(name))
    help = "run `python tests/translations.py`, then translate what it names"
    assert not sorted(map(str, marked.keys() - written.keys())), help
    assert not sorted(map(str, written.keys() - marked.keys())), help


BOTH = pytest.mark.parametrize(
    ("name", "domain"), [(name, domain) for name in translations.LANGUAGES for domain in translations.DOMAINS]
)


@BOTH
def test_every_sentence_is_translated(name, domain):
    catalogue = translations.written(name, domain)
    assert not catalogue.obsolete
    assert not [m.id for m in catalogue if m.id and (m.fuzzy or not all(translations.strings(m.string)))]


@pytest.mark.parametrize("name", translations.LANGUAGES)
def test_placeholders_are_kept(name):
    wrong = []
    for message in translations.written(name):
        if message.id:
            *_, english = translations.strings(message.id)
            fields = set(FIELDS.findall(english))
            spoken = translations.strings(message.string)
            wrong += [message.id for each in spoken if set(FIELDS.findall(each)) != fields]
    assert not wrong


@BOTH
def test_the_compiled_catalogue_is_that_of_the_text(name, domain):
    with translations.path(name, "mo", domain).open("rb") as file:
        compiled = GNUTranslations(file)
    for message in translations.written(name, domain):
        if message.id:
            one = translations.strings(message.id)[0]
            assert translations.strings(message.string)[0] == compiled.gettext(one) or isinstance(message.id, tuple)
            if isinstance(message.id, tuple):
                assert compiled.ngettext(*message.id, 2) == message.string[-1]


def test_a_chinese_sentence_is_chinese():
    """What has two words in English has a Chinese letter in Chinese."""
    spoken = ((str(m.id), translations.strings(m.string)[0]) for m in translations.written("zh") if m.id)
    assert not [id for id, chinese in spoken if re.search("[a-z]{4} [a-z]", id) and not CHINESE.search(chinese)]


def test_catalogues_are_installed_with_the_package():
    assert all(translations.path("zh", *which).exists() for which in product(("po", "mo"), translations.DOMAINS))


# -- what click says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", translations.LANGUAGES)
def test_all_that_click_says_is_translated(name):
    known = {translations.strings(m.id)[0]: m for m in translations.written(name, "click") if m.id}
    said = translations.of_click()
    assert len(said) > 40 and "Usage:" in said and set(said) <= set(known)
    for message in known.values():  # of a plural the parameters of one form are those of the other
        fields = {field for each in translations.strings(message.id) for field in FIELDS.findall(each)}
        assert all(set(FIELDS.findall(each)) <= fields for each in translations.strings(message.string)), message.id


MISUSED = [
    ("nope", "没有命令 'nope'"),
    ("lst", "没有命令 'lst'；你想写的是 \"list\" 吗"),
    ("check --nope", "没有选项"),
    ("check --hea", "你想写的是"),
    ("check a b", "多出了参数 (b)"),
    ("watch a b c", "多出了参数 (b c)"),
    ("show", "缺少参数 'ID|FILE'"),
    ("completion", "缺少参数 '{bash|zsh|fish}'. 可选"),
    ("train mlp", "缺少选项 '--answer'"),
    ("train mlp --answer", "选项 '--answer' 后面要给出值"),
    ("list --json=3", "选项 '--json' 不带值"),
    ("derive mlp --format pdf", "'--format' 的值无效：'pdf' 不在可选之列"),
    ("verify --seed x", "'--seed' 的值无效：'x' 不是可用的数"),
    ("hint --level 0", "'--level' 的值无效：0 不在范围 x>=1 之内"),
]


@pytest.mark.parametrize(("line", "says"), MISUSED)
def test_what_click_finds_wrong_is_said_in_chinese(line, says, capsys):
    name, *rest = line.split()
    for args in (["--lang", "zh", name, *rest], [name, "--lang=zh", *rest]):
        assert main(args) == 2
        said = capsys.readouterr().err
        assert says in " ".join(said.split()), "wherever --lang stands"
        assert not re.search("Usage|Error|Try|Missing|Invalid|[Nn]o such|Got|Choose|mean", said)
    assert main(line.split()) == 2
    assert not CHINESE.search(capsys.readouterr().err), "English again"


def test_what_click_says_of_a_command_is_chinese(capsys, monkeypatch):
    for args in (["--lang", "zh", "--help"], ["check", "--help", "--lang=zh"], ["--lang", "zh", "help", "check"]):
        assert main(args) == 0
        said = capsys.readouterr().out
        assert "用法：" in said and "选项:" in said and "显示这些说明，然后退出" in said and "Options" not in said
    monkeypatch.setenv("TUTOR_LANG", "zh")
    assert main(["--help"]) == 0 and "命令:" in (said := capsys.readouterr().out) and "显示版本，然后退出" in said
    assert main(["--ascii", "--help"]) == 0 and capsys.readouterr().out.isascii()


@pytest.mark.parametrize("args", [["--help"], ["check", "--help"], ["help", "check"], ["nope"], ["show"]])
def test_where_no_chinese_can_be_written_click_speaks_english(args):
    run = [sys.executable, "-m", "tutor", "--lang", "zh", *args]
    done = subprocess.run(run, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == (0 if "check" in args or "--help" in args else 2) and b"Usage:" in said and said.isascii()


def test_what_click_is_lent_is_given_back(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "fr")
    before = gettext.textdomain()
    main(["--lang", "zh", "show"])
    assert (gettext.textdomain(), os.environ["LANGUAGE"]) == (before, "fr")
    monkeypatch.delenv("LANGUAGE")
    main(["--lang", "zh", "show"])
    assert "LANGUAGE" not in os.environ


# -- what the commands say of themselves -----------------------------------------------------------------------


SAME = re.compile(r" {6}\S.*|  -\S+ \S+")  # code, and an option whose words stand below it
NAMES = re.compile("^  -.*?(?=  |$)")  # of an option
COMMANDS = dict(commands_in(app))


def helps(capsys, *options):
    """What `--help` prints, by the command's name."""
    shown = {}
    for name in COMMANDS:
        assert main([*options, *name, "--help"]) == 0
        shown[name] = capsys.readouterr().out
    return shown


@pytest.mark.parametrize("width", [60, 66, 80, 100])
def test_help_is_chinese_and_fits(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for name, shown in helps(capsys, "--lang", "zh").items():
        assert main([*name, "--help"]) == 0
        english = capsys.readouterr().out.splitlines()
        ours = [line for line in shown.splitlines()[1:] if line not in english]
        same = [line for line in shown.splitlines()[1:] if line.strip() and line in english]
        assert not [line for line in same if not SAME.fullmatch(line)], name
        assert not english_in(QUIET.sub(" ", "\n".join(NAMES.sub("", line) for line in ours)))
        assert all(columns(line) <= width and not line.endswith(("[", "（")) for line in shown.splitlines()), name


def test_help_says_all_that_is_translated(capsys, monkeypatch):
    """Wherever a line is broken, and not one sentence cut short at 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = "".join("".join(helps(capsys, "--lang", "zh").values()).split())
    written = by_id(translations.written("zh"))
    said = {sentence for command in COMMANDS.values() for sentence in sentences(command)}
    assert len(said) > 60 and not [id for id in said if "".join(written[id].string.split()) not in shown]
    listed = shown[: shown.index("用法：", 3)]
    first = {name: written[next(sentences(command))].string for name, command in app.commands.items()}
    assert not [name for name, text in first.items() if name + "".join(text.split("。")[0].split()) not in listed]


def test_english_help_is_what_click_makes_of_it(capsys, monkeypatch):
    """To the byte, and after Chinese as before it."""
    monkeypatch.setenv("COLUMNS", "80")
    before, _, after = helps(capsys), helps(capsys, "--lang", "zh"), helps(capsys)
    contexts: dict[tuple[str, ...], click.Context] = {}
    for name, command in COMMANDS.items():
        settings = {} if name else app.context_settings
        contexts[name] = context = click.Context(command, contexts.get(name[:-1]), ("tutor", *name)[-1], **settings)
        kind = click.Group if isinstance(command, click.Group) else click.Command
        formatter = click.HelpFormatter(max_width=100)
        kind.format_help(command, context, formatter)
        assert before[name] == after[name] == formatter.getvalue()
        assert command.get_short_help_str() == click.Command.get_short_help_str(command)


def test_help_on_a_command_is_its_help_in_chinese_too(capsys):
    for name, shown in helps(capsys, "--lang", "zh").items():
        assert main(["--lang", "zh", "help", *name]) == 0 and capsys.readouterr().out == shown


def test_a_shell_completes_with_chinese_words(chinese):
    top = app.make_context("tutor", [], resilient_parsing=True)
    with language.lent("click"):
        found = {item.value: item.help for item in app.shell_complete(top, "")}
        for name, command in COMMANDS.items():
            context = command.make_context(("tutor", *name)[-1], [], top, resilient_parsing=True)
            options = command.shell_complete(context, "--")
            assert options and all(item.help is None or CHINESE.search(item.help) for item in options), name
    assert found.keys() == app.commands.keys() and all(CHINESE.search(help) for help in found.values())
    with speaking("en"):
        assert not [item for item in app.shell_complete(top, "") if CHINESE.search(item.help)]


def test_a_long_first_sentence_is_cut_by_columns(chinese):
    for command in COMMANDS.values():
        assert all(columns(command.get_short_help_str(limit)) <= limit for limit in (10, 20, 41))


# -- sentences that are kept -----------------------------------------------------------------------------------


def test_a_kept_sentence_is_english_as_a_value_and_speaks_when_it_is_printed():
    sentence = said("line {number}", number=3)
    with speaking("zh"):
        assert sentence == "line 3" and str(sentence) == f"{sentence}" == tr(sentence) == "第 3 行"
        kept = said("rewrite {unreadable}", unreadable=sentence)
        assert kept == "rewrite line 3" and str(kept) == "请重写第 3 行"
    assert str(kept) == "rewrite line 3" and str(sentence) == "line 3"


def test_what_holds_kept_sentences_speaks_as_they_do():
    both = listed([said("line {number}", number=n) for n in (1, 2, 3)])
    several = joined(["i", "j"], said(" and "))
    axes = nsaid("{count} axis", "{count} axes", 2, count=2)
    assert (both, several, axes) == ("line 1, line 2 and line 3", "i and j", "2 axes")
    with speaking("zh"):
        assert (str(both), str(several), str(axes)) == ("第 1 行, 第 2 行 和 第 3 行", "i 和 j", "2 个轴")
    assert type(listed(["a"])) is str and joined(["a", "b"]) == "a, b"


def test_a_kept_sentence_survives_a_pipe():
    sentence = nsaid("{count} axis", "{count} axes", 1, count=said("this"))
    again = pickle.loads(pickle.dumps(sentence))
    assert type(again) is Said and again == sentence == "this axis"
    with speaking("zh"):
        assert str(again) == str(sentence) == "这里 个轴"


# -- nothing hangs on the language ------------------------------------------------------------------------------


def english_in(shown: str, quoted: str = "") -> list[str]:
    """Runs of English words in what is said; what is quoted is the learner's own."""
    lines = [line for line in shown.splitlines() if ENGLISH.search(line)]
    return [line for line in lines if not any(part.strip() and part.strip() in line for part in quoted.splitlines())]


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda f: f.name)
def test_a_case_is_judged_in_chinese(folder, chinese):
    """The same report for programs, and not one English sentence for the learner."""
    sheet = (folder / "answer.py").read_text(encoding="utf-8")
    found = list(check_sheets(sheet))
    wanted = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert _rounded([report.to_dict() for report in found]) == _rounded(wanted)
    for report in found:
        assert not english_in(str(report), sheet)


def test_what_was_said_in_one_language_is_said_in_the_other():
    """Both orders in one process: nothing that is cached keeps a language."""
    folder = CASES / "deep-chain--missing-path"
    sheet = (folder / "answer.py").read_text(encoding="utf-8")
    shown = {}
    for order in (("zh", "en"), ("en", "zh")):
        for name in order:
            with speaking(name):
                shown.setdefault(name, set()).add(str(next(iter(check_sheets(sheet)))))
    assert {name: len(texts) for name, texts in shown.items()} == {"zh": 1, "en": 1}
    report = next(iter(check_sheets(sheet)))
    with speaking("zh"):
        assert str(report) in shown["zh"]
    assert str(report) in shown["en"]


def test_json_is_english_unless_a_language_is_chosen(chinese):
    (report,) = check_sheets(SAMPLE)
    said_by_locale = report.to_dict()["lines"][0]["reason"]
    with speaking("zh"):
        chosen = report.to_dict()["lines"][0]
    assert said_by_locale == "exactly N times the true gradient: the factor 1/N is lost"
    assert chosen["reason"] == "恰好是正确的梯度的 N 倍：漏掉了因子 1/N" and chosen["verdict"] == "wrong"


def test_json_of_the_command_line(tmp_path):
    sheet = tmp_path / "sheet.py"
    sheet.write_text("# exercise: linear-regression\ndw = 4\n", encoding="utf-8")

    def run(*options):
        command = [sys.executable, "-m", "tutor", *options, str(sheet), "--json"]
        environment = {**os.environ, "TUTOR_LANG": "zh", "PYTHONIOENCODING": "utf-8"}
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=False).stdout)

    assert run("check")["lines"][0]["reason"].startswith("exactly -1/2 times")
    assert run("--lang", "zh", "check")["lines"][0]["reason"].startswith("恰好是")


@pytest.mark.parametrize("id", [entry.id for entry in entries()])
def test_derivations_are_chinese(id, chinese):
    derivation = tutor.load(id).derive()
    assert not english_in(text.derivation(derivation))
    for view in (latex, markdown):
        shown = re.sub(r"(?m)^(?:\\section|## ).*$", "", view.derivation(derivation))  # the title is the exercise's
        shown = re.sub(r"\$[^$]*\$|`[^`]*`|\\(?:begin|end|use\w+|document\w+)\S*", "", shown)
        assert not english_in(shown), view.__name__
    assert "用于" in html.derivation(derivation) or not derivation.exercise.forward


@pytest.mark.parametrize("line", UNREADABLE)
def test_errors_of_reading_are_chinese(line, chinese):
    (report,) = check_sheets(f"# exercise: softmax-regression\n{line}\n")
    assert not english_in(str(report), line)
    assert CHINESE.search(str(report.lines[0].reason))
    assert not CHINESE.search(report.to_dict()["lines"][0]["reason"])


def test_a_notebook_is_spoken_of_by_its_cells(tmp_path, chinese):
    code = ["# exercise: softmax-regression\nprint(3)\ndz = p - y", "dW = x.T @ dz"]
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": c} for c in code]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}), encoding="utf-8")
    shown = str(tutor.check("softmax-regression", path))
    for words in (
        "单元格 1，第 3 行",
        "以第 1 号单元格第 3 行的 dz 为前提",
        "注：第 1 号单元格第 2 行：已跳过：print(3)",
    ):
        assert words in shown
    assert not english_in(shown)


def rows(test):
    """What another test is parametrized with."""
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    return mark.args[1]


def reasons():
    """What the readers and the interpreter say of the texts that their tests refuse."""
    for test in (reading.test_what_is_refused_has_a_place_and_says_what_is_allowed,
                 reading.test_what_people_write_is_refused_with_the_right_spelling):  # fmt: skip
        for line, *_ in rows(test):
            yield from ((line, reason) for *_, reason in reading.refusals(line))
    for test in (reading.test_what_the_language_has_not_is_refused_before_it_costs,
                 reading.test_what_torch_refuses_is_told_apart):  # fmt: skip
        for line, *_ in rows(test):
            yield from ((line, failure.reason) for failure in reading.run(line).failures.values())
    for exercise, line, *_ in reading_latex.REFUSED:
        for statement in reading_latex.statements(line, exercise):
            if isinstance(statement, Unreadable):
                yield line, statement.reason


def test_every_reason_of_a_refusal_is_chinese(chinese):
    wrong, count = [], 0
    for line, reason in reasons():
        shown = re.sub("（U[+].*?）", "", str(reason))  # names of Unicode
        count += 1
        if (
            not isinstance(reason, Said)
            or not CHINESE.search(shown)
            or CHINESE.search(plain(reason))
            or ENGLISH.search(shown)
        ):
            wrong.append((line, shown))
    assert count > 200 and not wrong


@pytest.mark.parametrize("address", "mes mlp:layers=40 mlp:depth=2 no/such/file.py softmax-regression:a=1".split())
def test_errors_of_the_catalogue_are_chinese(address, chinese):
    with pytest.raises(TutorError) as caught:
        tutor.load(address)
    assert CHINESE.search(str(caught.value)) and not english_in(str(caught.value))
    with speaking("en"):
        assert not CHINESE.search(str(caught.value))


DESK = (  # the sheet of the learner is sheet.py; the exit code
    ("", 0), ("list", 0), ("help syntax", 0), ("start mse", 0), ("check sheet.py --heat", 1), ("hint sheet.py", 0),
    ("progress", 0), ("graph softmax-regression", 0), ("report sheet.py", 1), ("train mse --answer sheet.py", 2),
    ("train softmax-regression --answer sheet.py --steps 3", 0), ("drill linear-regression - --seed 3", 0),
    ("show mes", 3), ("graph mse -o mse.doc", 2), ("help nothing", 3), ("watch nowhere", 3), ("reset", 2),
)  # fmt: skip
# markup, headers, and commands to be typed
QUIET = re.compile(
    r"<style.*?</style>|<[^>]*>|(?m:# (?:exercise|drill|wrong line):.*$)"
    r"|tutor [\w.-]+(?: [\w./:=\"(*+-]+)*|有 syntax.*",
    re.DOTALL,
)


@pytest.mark.parametrize(("command", "code"), DESK)
def test_the_desk_speaks_the_language_that_is_asked_for(command, code, tmp_path, monkeypatch, capfd):
    """To the last word: an error is shown when the command is over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTOR_LANG", "en")
    (tmp_path / "sheet.py").write_text(SAMPLE, encoding="utf-8")
    assert main(["--lang", "zh", *command.split()]) == code
    done = capfd.readouterr()
    shown = done.out + done.err
    assert CHINESE.search(shown) and not english_in(QUIET.sub(" ", shown), SAMPLE)
    assert language.current() == "en"


# -- in the cells of a terminal ---------------------------------------------------------------------------------


def test_a_chinese_letter_takes_two_cells():
    assert [columns(text) for text in ("dW", "形状", "∂L/∂s²", "第 3 行")] == [2, 4, 6, 7]
    assert padded("形状", 6) == "形状  " and padded("形状", 6, right=True) == "  形状"


def test_columns_of_a_chinese_report_stand_below_one_another(chinese):
    (report,) = check_sheets(SAMPLE)
    rows = [line for line in str(report).splitlines() if re.match("  [✓✗~] ", line)]
    assert len({columns(row[: row.index(name)]) for row, name in zip(rows, ("dz", "dW", "db"), strict=True)}) == 1
    assert len({columns(row[: row.index("第")]) for row in rows}) == 1


def test_long_chinese_lines_are_broken_between_letters():
    line = "  ~ 承前   dW   " + "第一行没能给出它的值，" * 8
    shown = fitted(line, 60).split("\n")
    assert "".join(part.strip() for part in shown).replace(" ", "") == line.replace(" ", "")
    assert len(shown) > 2 and all(columns(part) <= 61 and not part.strip().startswith("，") for part in shown)


def test_a_bracket_stays_with_what_it_opens():
    assert wrapped("进程数 [默认：0]", 8) == "进程数\n[默认：\n0]"


def test_colours_know_the_words_of_the_language(chinese):
    pytest.importorskip("rich")
    (report,) = check_sheets(SAMPLE)
    shown = coloured(str(report))
    assert "\x1b[1;31m错误\x1b[0m" in shown and "\x1b[1m下一步：\x1b[0m" in shown
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == str(report)
