"""In a real JupyterLab, in a real browser: mathematics is typeset, nothing overflows, dark is dark, untrusted is plain.

`TUTOR_SCREENSHOTS=FOLDER pytest tests/test_jupyterlab.py` keeps pictures of what was seen.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab")
pytest.importorskip("ipykernel")
pytest.importorskip("selenium")
nbformat = pytest.importorskip("nbformat")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)

PATIENCE = 120  # seconds, for a busy machine
WIDE, NARROW = 1200, 500  # a phone's 380 points beside JupyterLab's own edges
CELLS = [
    "%load_ext tutor\nimport tutor\nex = tutor.load('softmax-regression')\nex",
    "ex.derive()",
    "ex.derive().gradient('z').closed_form",
    "ex.derive().gradient('W')",
    "tutor.verify(ex, seeds=(0,))",
    "%%derive softmax-regression\ndz = p - y\ndW = x.T @ dz\ndb = 2x",
    "%%derive softmax-regression\ndz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)",
    "ex.sample().check(dz=ex.sample().p)",
    "ex.show()",
    "ex.sample()",
    "tutor.compare('linear-regression', 'linear-regression:loss=mae')",
]
TYPESET = (0, 1, 2, 3, 8)  # cells whose output has mathematics


@contextmanager
def jupyterlab(folder: Path, home: Path, dark: bool):
    """A server on this machine alone, with settings of its own; the address, token included."""
    settings = home / "settings" / "@jupyterlab"
    said = {
        "apputils-extension/themes": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in said.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | places | {
        "TUTOR_LANG": "en",
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")])),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
        "--IdentityProvider.token=token", "--ServerApp.port_retries=0", "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(2 * PATIENCE):
                if server.poll() is not None:
                    pytest.fail((home / "log").read_text()[-2000:])
                with socket.socket() as trial:
                    if trial.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.5)
            yield lambda name: f"http://127.0.0.1:{port}/doc/tree/{name}?token=token&reset"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield made
    made.quit()


def opened(browser, address, width=WIDE):
    browser.set_window_size(width, 1400)
    browser.get(address)
    wait(browser, "return document.querySelectorAll('.jp-Notebook .jp-Cell').length > 0")


def wait(browser, question):
    WebDriverWait(browser, PATIENCE, 0.5).until(lambda b: b.execute_script(question))


def run_all(browser):
    """Run every cell, as the menu does."""
    kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
    wait(browser, f"return {kernel}?.status == 'idle'")  # before that, cells count as run without being run
    browser.execute_script("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    wait(
        browser,
        """
        const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.innerText);
        return prompts.length > 0 && prompts.every(p => /\\[\\d+\\]/.test(p));
    """,
    )
    time.sleep(2)


def picture(browser, name):
    """The whole notebook, if pictures are asked for."""
    folder = os.environ.get("TUTOR_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    width = browser.get_window_size()["width"]
    tall = browser.execute_script(
        "return Math.max(...[...document.querySelectorAll('.jp-Notebook, .jp-Notebook *')].map(e => e.scrollHeight))"
    )
    browser.set_window_size(width, min(int(tall) + 200, 9000))
    time.sleep(2)
    browser.save_screenshot(str(Path(folder) / f"{name}.png"))
    browser.set_window_size(width, 1400)


def gallery(folder: Path) -> Path:
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    made.cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    nbformat.write(made, folder / "gallery.ipynb")
    return folder / "gallery.ipynb"


OVERFLOW = """
return [...document.querySelectorAll('.jp-OutputArea-output')].map((o, n) => {
    const room = o.getBoundingClientRect();
    const wide = [...o.querySelectorAll('.tutor.nb .typeset > *')].filter(e =>
        e.getBoundingClientRect().right > room.right + 2 || e.scrollWidth > e.clientWidth + 2
        && !['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
        && getComputedStyle(e).display !== 'inline' && !e.querySelector('.wide, pre') && e.tagName != 'PRE');
    return wide.map(e => n + ': ' + e.outerHTML.slice(0, 80));
}).flat()
"""
MATHS = """
return [...document.querySelectorAll('.jp-CodeCell')].map(cell =>
    [...cell.querySelectorAll('.typeset math')].filter(m => m.getBoundingClientRect().height > 8
        && getComputedStyle(m).display.includes('math')).length)
"""


@pytest.fixture(scope="module", params=["light", "dark"])
def lab(request, browser, tmp_path_factory):
    """The gallery, run in JupyterLab in one of its themes."""
    folder, home = tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("home")
    path = gallery(folder)
    with jupyterlab(folder, home, request.param == "dark") as address:
        opened(browser, address(path.name))
        run_all(browser)
        picture(browser, f"gallery-{request.param}")
        yield request.param, browser


def test_every_output_is_typeset_and_none_is_an_error(lab):
    theme, browser = lab
    errors = browser.find_elements(By.CSS_SELECTOR, '[data-mime-type="application/vnd.jupyter.stderr"]')
    assert not [e.text for e in errors if "Error" in e.text]
    maths = browser.execute_script(MATHS)
    assert len(maths) == len(CELLS) and all((maths[n] > 0) == (n in TYPESET) for n in range(len(CELLS)))
    fractions = browser.execute_script(
        "return [...document.querySelectorAll('mfrac')].filter(f => f.children[1].getBoundingClientRect().top >= "
        "f.children[0].getBoundingClientRect().bottom - 3).length / document.querySelectorAll('mfrac').length"
    )
    assert fractions > 0.95  # numerators stand above denominators
    shown = "return [...document.querySelectorAll('%s')].filter(e => e.offsetHeight > 0).length"
    assert browser.execute_script(shown % ".tutor.nb > .typeset") == len(CELLS)
    assert browser.execute_script(shown % ".tutor.nb > .plain") == 0


def test_colours_are_those_of_the_theme(lab):
    theme, browser = lab
    look = browser.execute_script("""
        const colour = e => getComputedStyle(e).color.match(/\\d+/g).slice(0, 3).map(Number);
        return [colour(document.querySelector('.tutor.nb .bad')), colour(document.querySelector('.tutor.nb h3'))]
    """)
    for red, green, blue in look:
        brightness = (0.3 * red + 0.6 * green + 0.1 * blue) / 255
        assert (brightness > 0.5) == (theme == "dark")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_sticks_out(lab, width):
    theme, browser = lab
    browser.set_window_size(width, 1400)
    time.sleep(1)
    assert browser.execute_script(OVERFLOW) == []
    if width == NARROW:
        picture(browser, f"gallery-{theme}-narrow")


def test_where_styles_are_stripped_the_plain_text_is_shown(browser, tmp_path):
    """Outputs that came from elsewhere: JupyterLab shows no style and no MathML of theirs."""
    import tutor

    path = gallery(tmp_path)
    made = nbformat.read(path, 4)
    result = tutor.load("softmax-regression").derive("z")
    shown = nbformat.v4.new_output("execute_result", data=result._repr_mimebundle_(), execution_count=1)
    made.cells = [nbformat.v4.new_code_cell("d", outputs=[shown], execution_count=1)]
    nbformat.write(made, path)
    (tmp_path / "home").mkdir()
    with jupyterlab(tmp_path, tmp_path / "home", False) as address:
        opened(browser, address(path.name))
        wait(browser, "return !!document.querySelector('.jp-OutputArea-output pre')")
        picture(browser, "untrusted")
        assert browser.execute_script("return document.querySelectorAll('.jp-OutputArea-output math').length") == 0
        seen = browser.find_element(By.CSS_SELECTOR, ".jp-OutputArea-output").text
        assert "∂L/∂z[i,k] = de[i,k]·∂e[i,k]/∂z[i,k]" in seen and seen.count("4. dz") == 1


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """JupyterLab in a folder with the notebooks."""
    folder, home = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("home")
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    with jupyterlab(folder, home, False) as address:
        yield address


NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebooks_open_as_they_are_stored(course, browser, path):
    opened(browser, course(path.name))
    wait(browser, "return document.querySelectorAll('.jp-RenderedMarkdown mjx-container').length > 2")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mime-type$=stderr], .jp-RenderedMarkdown mjx-merror")
    assert browser.execute_script("return document.querySelectorAll('.jp-OutputArea-output pre').length") > 8
    pictures = "return [...document.querySelectorAll('.jp-RenderedImage img')].map(i => i.naturalWidth)"
    assert browser.execute_script(pictures) and min(browser.execute_script(pictures)) > 300
    picture(browser, path.stem)
    browser.set_window_size(NARROW, 1400)
    time.sleep(1)
    assert browser.execute_script(
        "return [...document.querySelectorAll('.jp-RenderedMarkdown p')].filter("
        "p => p.scrollWidth > p.clientWidth + 2 && !p.querySelector('mjx-container')).length"
    ) == 0  # fmt: skip
    picture(browser, f"{path.stem}-narrow")
