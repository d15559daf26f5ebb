"""Pages of reports in a real browser: nothing is fetched, everything is laid out, nothing is wider than the screen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pictures import CASES, WRONG, page_for, page_of

webdriver = pytest.importorskip("selenium.webdriver")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs Chromium and its driver"),
    pytest.mark.xdist_group("browser"),
]

PHONE, DESK = 375, 1280  # CSS pixels
SHEETS = {
    "softmax-regression": WRONG,
    "makemore-mlp": (CASES / "makemore-mlp--overwritten" / "answer.py").read_text(encoding="utf-8"),
    "attention": (CASES / "attention--diagonal-only" / "answer.py").read_text(encoding="utf-8"),
    "linear-regression": "# exercise: linear-regression\ndw = 4\ndb = 2\n",
}
WALKED = ["mlp:layers=8", "lstm-cell", "rnn", "batch-norm", "conv2d", "two-layer-net"]
TABLES = ["activations", "kinks", "index-puzzles"]  # in their statements
OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"
# elements whose right end is beyond the window though nothing around them scrolls: they would be cut off
CUT = """
const wide = document.documentElement.clientWidth;
const scrolls = e => { for (; e; e = e.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) return true; return false; };
return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg') || e.tagName === 'svg')
    .filter(e => e.getBoundingClientRect().right > wide + 1 && !scrolls(e)).map(e => e.outerHTML.slice(0, 120));
"""
# numbers in tables that are laid out on more than one line
BROKEN = """
const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT), broken = [];
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest('table') || node.parentElement.closest('svg, math')) continue;
    for (const found of node.data.matchAll(/(?<![\\w\\])])[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?/g)) {
        const range = document.createRange();
        range.setStart(node, found.index); range.setEnd(node, found.index + found[0].length);
        if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) broken.push(found[0]);
    }
}
return broken;
"""
SIZES = """
return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height]);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    try:
        made = webdriver.Chrome(options=options, service=Service(DRIVER))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start: {error.msg}")
    made.set_page_load_timeout(60)
    yield made
    made.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A file for each exercise, made once."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for id in (*SHEETS, *WALKED, *TABLES):
        page = page_of(SHEETS[id], folder) if id in SHEETS else page_for(id, folder)
        made[id] = folder / f"{id.replace(':', '-')}.html"
        made[id].write_text(page, encoding="utf-8")
    return made


def show(browser: Any, path: Path, width: int = DESK, **media: str) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items() if name != "media"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media.get("media", ""), "features": features})
    browser.get(path.as_uri())


def requests(browser: Any) -> list[str]:
    """The addresses that were asked for since the log was last read; a `data:` address asks nobody."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [url for url in found if not url.startswith("data:")]


@pytest.mark.parametrize("id", [*SHEETS, *WALKED])
def test_nothing_is_fetched_and_nothing_complains(id, browser, pages):
    browser.get("about:blank")
    requests(browser), browser.get_log("browser")
    show(browser, pages[id])
    browser.execute_script(OPEN)
    assert requests(browser) == [pages[id].as_uri()]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_a_fetch_would_be_noticed_and_stopped(browser, pages, tmp_path):
    path = tmp_path / "fetches.html"
    hostile = '<img src="http://127.0.0.1:9/x.png"/><script>document.title = "ran"</script></main>'
    path.write_text(pages["attention"].read_text(encoding="utf-8").replace("</main>", hostile), encoding="utf-8")
    browser.get_log("browser")
    show(browser, path)
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))
    assert browser.title != "ran"


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("id", [*SHEETS, *WALKED])
def test_no_page_is_wider_than_the_screen(id, width, browser, pages):
    show(browser, pages[id], width)
    for unfolded in (False, True):
        if unfolded:
            browser.execute_script(OPEN)
        wide, window = browser.execute_script(
            "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
        )
        assert wide <= window == width
        assert browser.execute_script(CUT) == []


def test_what_is_too_wide_would_be_noticed(browser, pages, tmp_path):
    path = tmp_path / "wide.html"
    wide = '<p style="width: 500px">wide</p></main>'
    path.write_text(pages["attention"].read_text(encoding="utf-8").replace("</main>", wide), encoding="utf-8")
    show(browser, path, PHONE)
    assert len(browser.execute_script(CUT)) == 1


@pytest.mark.parametrize("id", [*SHEETS, *WALKED, *TABLES])
def test_no_number_of_a_table_is_broken(id, browser, pages):
    show(browser, pages[id], PHONE)
    browser.execute_script(OPEN)
    assert browser.execute_script(BROKEN) == []
    assert browser.execute_script(CUT) == []


def test_a_broken_number_would_be_noticed(browser, pages, tmp_path):
    path = tmp_path / "broken.html"
    narrow = "width: 2ch; display: block; overflow-wrap: anywhere"
    number = f'<table><tr><td style="{narrow}">-0.831348</td></tr></table></main>'
    path.write_text(pages["attention"].read_text(encoding="utf-8").replace("</main>", number), encoding="utf-8")
    show(browser, path, PHONE)
    assert browser.execute_script(BROKEN) == ["-0.831348"]


@pytest.mark.parametrize("id", [*SHEETS, *WALKED])
def test_mathematics_and_pictures_are_laid_out(id, browser, pages):
    show(browser, pages[id], PHONE)
    browser.execute_script(OPEN)
    for what, least in (("math", 4), ("svg.tutor-graph", 150), ("svg.tutor-graph .name", 4)):
        sizes = browser.execute_script(SIZES, what)
        assert sizes and all(width >= least and height >= 4 for width, height in sizes), what
    # MathML is mathematics here: the numerator of a fraction stands above its denominator
    above = browser.execute_script(
        "return [...document.querySelectorAll('mfrac')].every(f => f.children[0].getBoundingClientRect().bottom"
        " <= f.children[1].getBoundingClientRect().top + 1)"
    )
    assert above


def test_light_dark_and_paper(browser, pages):
    colours = {}
    ink = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    for name, media in {
        "light": {"prefers_color_scheme": "light"},
        "dark": {"prefers_color_scheme": "dark"},
        "paper": {"prefers_color_scheme": "dark", "media": "print"},
    }.items():
        show(browser, pages["attention"], **media)
        colours[name] = browser.execute_script(ink)
    assert colours["light"] == colours["paper"] != colours["dark"]
    assert colours["light"][0] == "rgb(255, 255, 255)"
    show(browser, pages["attention"])


def test_the_derivation_unfolds_and_a_folded_one_is_not_printed(browser, pages):
    height = "return [...document.querySelectorAll('details')].at(-1).getBoundingClientRect().height"
    show(browser, pages["softmax-regression"])
    folded = browser.execute_script(height)
    browser.execute_script("document.querySelectorAll('details')[1].querySelector('summary').click()")
    assert browser.execute_script(height) > 10 * folded > 0
    show(browser, pages["softmax-regression"], media="print")
    assert browser.execute_script(height) == 0
    show(browser, pages["softmax-regression"])


def test_a_hostile_sheet_does_nothing(browser, tmp_path):
    attack = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
    page = page_of(WRONG + f"# {attack}\ndq = {attack}\n", tmp_path)
    path = tmp_path / "hostile.html"
    path.write_text(page, encoding="utf-8")
    browser.get_log("browser"), requests(browser)
    show(browser, path)
    assert browser.title != "ran" and browser.get_log("browser") == []
    assert requests(browser) == [path.as_uri()]
    assert attack in browser.execute_script("return document.body.textContent")


def test_it_prints(browser, pages):
    import base64

    show(browser, pages["makemore-mlp"])
    data = base64.b64decode(
        browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    )
    assert data.startswith(b"%PDF") and 2 <= data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") <= 12
