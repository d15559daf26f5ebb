"""Names in typeset formulas: one name is one identifier, a size has its number below it."""

from __future__ import annotations

import re
from html import unescape

import pytest

import tutor
from tutor.catalogue import entries
from tutor.symbolic.notation import LatexWriter
from tutor.views import html, latex, notebook

IDS = [entry.id for entry in entries()]


def identifiers(mathml: str) -> list[str]:
    return [unescape(text) for text in re.findall(r"<mi[^>]*>([^<]*)</mi>", mathml)]


@pytest.mark.parametrize("id", IDS)
def test_a_name_is_one_identifier_and_a_size_has_its_number_below(id):
    exercise = tutor.load(id)
    writer = LatexWriter(exercise)
    for name in exercise.quantities:
        if "_" in name or (len(name) > 1 and name.isalpha() and "\\" not in writer.name(name).replace("\\mathrm", "")):
            assert identifiers(html.mathml(writer.name(name))) == [name]
    for name, size in exercise.size_symbols.items():
        shown = html.mathml(writer.write(size))
        assert "<msup>" not in shown
        if len(name) == 2 and name[1].isdigit():
            assert writer.write(size) == f"{name[0]}_{{{name[1]}}}" and shown.count("<msub>") == 1


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (r"\mathrm{y\_pred}_{i}", ["y_pred", "i"]),
        (r"\mathrm{w2\_new}", ["w2_new"]),
        (r"\mathrm{loss} \, \mathrm{xc}", ["loss", "xc"]),
        (r"\mathrm{a\_b}\mathrm{c\_d}", ["a_b", "c_d"]),
        (r"\mathrm{N} \, x y", ["N", "x", "y"]),
    ],
)
def test_only_the_letters_of_one_name_are_put_together(source, names):
    assert identifiers(html.mathml(source)) == names


def test_a_layer_has_its_number_above_and_a_size_below():
    exercise = tutor.load("mlp")
    document = latex.exercise(exercise)
    assert "W^{(2)}" in document and r"\frac{1}{N \, D_{2}}" in document
    assert "$W^{(2)}$ $(D_{1}, D_{2})$" in document and "D^{(" not in document
    assert "D^{(" not in latex.derivation(exercise.derive())
    assert "y_pred" in identifiers("".join(notebook.exercise(exercise)))
