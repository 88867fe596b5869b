"""A real JupyterLab and a headless Chromium for the boards' browser tests; skipped where there is no Chromium."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
QUIET = "no-sandbox disable-gpu disable-quic disable-background-networking disable-component-update disable-sync"
FLAGS = [f"--{flag}" for flag in QUIET.split()]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
KERNEL = f"{NOTEBOOK}?.sessionContext?.session?.kernel"
THEIRS = (  # what JupyterLab's own parts say now and then, whatever is in the notebook
    "'removeChild' on 'Node'",  # at a change of theme; no board calls removeChild
    "Could not restore the debugger state",  # at a restart of the kernel
)
CLOSE = "import ipywidgets; ipywidgets.Widget.close_all()"
TINY = """\
import os, sys
os.environ["EMOKIT_CACHE"] = {cache!r}
sys.path[:0] = [{root!r}, {tests!r}]
import conftest, emokit
from emokit.stories import Story, StorySet
words = {{"happy": "sun song", "sad": "rain loss", "angry": "slam shout"}}
stories = [Story(e, t, f"{{t}}: {{w}} again, {{w}} at the {{t}}.") for e, w in words.items() for t in ("garden", "office", "school")]
neutral = [Story("neutral", t, f"The {{t}} has a door and some tables.") for t in ("hall", "shed", "yard")]
model = conftest.tiny_model(max_position_embeddings=4096)
model.hf.lm_head.weight.data[list(model.stop_tokens)] = 0  # a reply goes on until it is stopped
vectors = emokit.extract(model, StorySet(tuple(stories), tuple(neutral)))
"""
REAL = """\
import os, sys
os.environ["EMOKIT_CACHE"] = {cache!r}
sys.path[:0] = [{root!r}]
import emokit
model = emokit.load_model(emokit.fetch.NAME)
vectors = emokit.EmotionVectors.load({vectors!r}, model)
"""


def setup(real: str = "") -> str:
    """The first cell: a tiny model, or SmolLM2 with the vectors of the file `real`; the cache is this process's."""
    from emokit.files import cache_dir

    return (REAL if real else TINY).format(
        root=str(TESTS.parent), tests=str(TESTS), vectors=real, cache=str(cache_dir())
    )


class Lab:
    """A JupyterLab server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        token = secrets.token_hex(16)
        self.folder, self.url, self.token = folder / "work", f"http://127.0.0.1:{port}", token
        self.folder.mkdir()
        config = folder / "config"
        config.mkdir()
        # a page that stands still: no news, no look for updates, nothing kept from a former run
        (config / "jupyter_lab_config.py").write_text(
            "c.LabApp.news_url = None\nc.LabApp.check_for_updates_class = 'jupyterlab.NeverCheckForUpdate'\n"
            f"c.LabApp.expose_app_in_browser = True\nc.IdentityProvider.token = {token!r}\n"
            f"c.LabApp.user_settings_dir = {str(folder / 'settings')!r}\n"
            f"c.LabApp.workspaces_dir = {str(folder / 'workspaces')!r}\n",
            encoding="utf-8",
        )
        asks = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
        asks.parent.mkdir(parents=True)
        asks.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
        own = {"JUPYTER_CONFIG_DIR": str(config), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
        own |= {"JUPYTER_DATA_DIR": str(folder / "data"), "IPYTHONDIR": str(folder / "ipython"), "TQDM_DISABLE": "1"}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.folder}"]
        self.log = (folder / "lab.log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            command, env=os.environ | own, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder
        )
        end = time.monotonic() + 300  # a machine may be busy
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/api?token={token}", timeout=2).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"JupyterLab did not start, see {self.log.name}") from None
                time.sleep(0.2)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def write(self, name: str, cells: list[str]) -> str:
        """Put a notebook of code cells into the folder; returns its path there."""
        code = [
            {"cell_type": "code", "id": f"c{i:02}", "metadata": {}, "execution_count": None, "outputs": [], "source": c}
            for i, c in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return f"{name}.ipynb"


class Desk:
    """The page of a JupyterLab: opens notebooks one after the other, in one kernel, since its imports take longest."""

    def __init__(self, lab: Lab, page) -> None:
        self.lab, self.page, self.errors, self.kernel = lab, page, [], None
        page.on("console", lambda m: self.note(f"{m.text} ({m.location['url']})") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.note(str(error)))
        page.set_default_timeout(300_000)  # a machine may be busy
        page.goto(f"{lab.url}/lab?token={lab.token}&reset", wait_until="commit")
        page.wait_for_function("window.jupyterapp?.commands.hasCommand('docmanager:open')")
        page.evaluate("window.jupyterapp.restored")
        self.command("application:toggle-left-area")  # more room

    def note(self, error: str) -> None:
        """Keep what the console or the page said, unless it is JupyterLab's own."""
        if not any(theirs in error for theirs in THEIRS):
            self.errors.append(error)

    def command(self, name: str, **arguments: object) -> None:
        """Run a command of JupyterLab, without waiting for its end."""
        self.page.evaluate("([n, a]) => { window.jupyterapp.commands.execute(n, a) }", [name, arguments])

    def open(self, name: str, cells: list[str]) -> Notebook:
        """A new notebook of these cells, in front."""
        self.errors.clear()
        path = self.lab.write(name, cells)
        self.command("docmanager:open", path=path, **({"kernel": {"id": self.kernel}} if self.kernel else {}))
        self.page.wait_for_function(f"{NOTEBOOK}?.context?.path === {path!r} && {KERNEL}?.status === 'idle'")
        self.kernel = self.page.evaluate(f"{KERNEL}.id")
        return Notebook(self)

    def close(self) -> None:
        """Remove the notebook in front, and all widgets from the kernel."""
        self.page.evaluate(f"{KERNEL}.requestExecute({{ code: {CLOSE!r} }}).done")
        self.page.evaluate(f"{NOTEBOOK}.dispose()")
        self.page.wait_for_function("!document.querySelector('.jp-Notebook')")


class Notebook:
    """A notebook open in the browser: run, look, and the errors of the console."""

    def __init__(self, desk: Desk) -> None:
        self.page, self.errors, self.command = desk.page, desk.errors, desk.command

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def restart(self) -> None:
        """Restart the kernel, with all that it knew gone."""
        self.page.evaluate(f"{NOTEBOOK}.sessionContext.restartKernel()")
        self.page.wait_for_function(f"{KERNEL}.status === 'idle'")

    def theme(self, name: str) -> None:
        """Turn JupyterLab "Light" or "Dark", and wait until its style sheet is there."""
        self.page.evaluate(
            "n => window.jupyterapp.commands.execute('apputils:change-theme', { theme: n })", f"JupyterLab {name}"
        )
        self.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(name == 'Light').lower()}'")

    def output(self, cell: int) -> str:
        """The text that a cell has printed, once there is some."""
        found = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea-output")
        found.first.wait_for()
        return found.inner_text().strip()


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """One JupyterLab and one page for all tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found: install it (Debian: apt-get install chromium) for the browser tests")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with closing(lab), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(
            viewport={"width": 1100, "height": 1300}, permissions=["clipboard-read", "clipboard-write"]
        )
        yield Desk(lab, context.new_page())
        browser.close()


@pytest.fixture
def notebook(desk, request):
    """Open a notebook that sets up a model and then has the given cells; `real=` vectors' file takes SmolLM2."""

    def open_notebook(*cells: str, real: str = "") -> Notebook:
        return desk.open(request.node.name, [setup(real), *cells])

    yield open_notebook
    desk.close()
