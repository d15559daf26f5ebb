"""Golden cases: a folder is a sheet (`answer.py`) and the whole report it must get (`report.json`).

Figures may differ in their last digits between machines; everything else is compared to the letter. A new case is a
new folder: write `answer.py`, then `python tests/test_cases.py FOLDER` writes the report, which a person reads before
it is committed.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

import tutor
from tutor.checking.sheets import check_sheets

CASES = Path(__file__).parent / "cases"
# every id of the report
IDS = """
sign factor extra-factor wrong-power missing-upstream missing-local-derivative transposed missing-sum wrong-axis
missing-path diagonal-only wrong-point wrong-mask missing-scatter wrong-convention stale-value wrong-shape product-rule
missing-gradient extra-gradient aliasing kink unstable
""".split()
FIGURES = ("max_abs_error", "max_rel_error", "ratio")


def reports(folder: Path) -> list[dict]:
    text = (folder / "answer.py").read_text(encoding="utf-8")
    return [report.to_dict() for report in check_sheets(text)]


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda f: f.name)
def test_case(folder):
    wanted = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    got = json.loads(json.dumps(reports(folder)))
    assert _rounded(got) == _rounded(wanted)


def _rounded(node):
    """Errors to one digit, and the version of torch left out: the verdict does not hang on them."""
    if isinstance(node, dict):
        return {k: _figure(v) if k in FIGURES else _rounded(v) for k, v in node.items() if k != "torch"}
    return [_rounded(v) for v in node] if isinstance(node, list) else node


def _figure(value):
    return value if value is None else f"{value:.1e}" if abs(value) > 1e-9 else "0"


def test_every_mistake_has_two_cases():
    named: dict[str, set[str]] = {}
    for folder in CASES.iterdir():
        for report in json.loads((folder / "report.json").read_text(encoding="utf-8")):
            for line in report["lines"]:
                for mistake in line["mistakes"]:
                    named.setdefault(mistake["id"], set()).add(folder.name)
    thin = sorted(i for i in IDS if len(named.get(i, ())) < 2)
    assert not thin, f"fewer than two cases each: {thin}"


def form(folder: Path) -> str:
    """How a sheet is written: with scalars, with matrices, or with indices."""
    text = (folder / "answer.py").read_text(encoding="utf-8")
    if re.search(r"^d\w+\[[a-z]\w*(,\s*[a-z]\w*)*\] =", text, re.MULTILINE):
        return "index"
    (report, *_) = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return "matrix" if tutor.load(report["exercise"]).size_symbols else "scalar"


def test_every_form_has_right_and_wrong_cases():
    found = Counter(
        (form(folder), report["verdict"])
        for folder in CASES.iterdir()
        for report in json.loads((folder / "report.json").read_text(encoding="utf-8"))
    )
    for written in ("scalar", "matrix", "index"):
        assert found[written, "wrong"] >= 6 and found[written, "correct"] >= 2, found


def test_reports_fit_their_schema():
    schema = json.loads((Path(tutor.__file__).parent / "checking" / "report.schema.json").read_text(encoding="utf-8"))
    for folder in CASES.iterdir():
        for report in json.loads((folder / "report.json").read_text(encoding="utf-8")):
            jsonschema.validate(report, schema)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        folder = Path(name)
        text = json.dumps(reports(folder), indent=1, ensure_ascii=False) + "\n"
        (folder / "report.json").write_text(text, encoding="utf-8")
        print("\n".join(f"{report}\n" for report in check_sheets((folder / "answer.py").read_text(encoding="utf-8"))))
