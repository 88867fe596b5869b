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
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
QUIET = (
    "headless no-sandbox disable-gpu disable-quic disable-background-networking disable-component-update disable-sync"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
TINY = """\
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import conftest, emokit
from emokit.stories import Story, StorySet
words = {{"happy": "sun song", "sad": "rain loss", "angry": "slam shout"}}
stories = [Story(e, t, f"{{t}}: {{w}} again, {{w}} at the {{t}}.") for e, w in words.items() for t in ("garden", "office", "school")]
neutral = [Story("neutral", t, f"The {{t}} has a door and some tables.") for t in ("hall", "shed", "yard")]
model = conftest.tiny_model(max_position_embeddings=4096)
vectors = emokit.extract(model, StorySet(tuple(stories), tuple(neutral)))
"""
REAL = """\
import sys
sys.path[:0] = [{root!r}]
import emokit
model = emokit.load_model(emokit.fetch.NAME)
vectors = emokit.EmotionVectors.load({vectors!r}, model)
"""


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
        """A notebook of code cells; returns its address."""
        code = [
            {"cell_type": "code", "id": f"c{i:02}", "metadata": {}, "execution_count": None, "outputs": [], "source": c}
            for i, c in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return f"{self.url}/lab/tree/{name}.ipynb?token={self.token}&reset"


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium found: install it (Debian: apt-get install chromium) for the browser tests")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def browser(lab, tmp_path_factory):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, headless=True, args=[f"--{flag}" for flag in QUIET.split()],
            viewport={"width": 1100, "height": 1300}, permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        yield context
        context.close()


class Notebook:
    """A notebook open in the browser: run, look, and the errors of the console."""

    def __init__(self, page, url: str) -> None:
        self.page, self.errors = page, []
        page.on(
            "console", lambda m: self.errors.append(f"{m.text} ({m.location['url']})") if m.type == "error" else None
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(300_000)  # a machine may be busy
        page.goto(url, wait_until="commit")
        page.wait_for_function(IDLE)

    def command(self, name: str, **arguments: object) -> None:
        """Run a command of JupyterLab, without waiting for its end."""
        self.page.evaluate("([n, a]) => { window.jupyterapp.commands.execute(n, a) }", [name, arguments])

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def restart(self) -> None:
        """Restart the kernel, with all that it knew gone."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.page.wait_for_function(IDLE)

    def theme(self, name: str) -> None:
        self.command("apputils:change-theme", theme=f"JupyterLab {name}")
        self.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(name == 'Light').lower()}'")

    def output(self, cell: int) -> str:
        """The text that a cell has printed, once there is some."""
        found = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea-output")
        found.first.wait_for()
        return found.inner_text().strip()


@pytest.fixture
def notebook(lab, browser, request):
    """Open a notebook that sets up a model and then has the given cells; `real=` vectors' file takes SmolLM2."""
    pages = []

    def open_notebook(*cells: str, real: str = "") -> Notebook:
        setup = (REAL if real else TINY).format(root=str(TESTS.parent), tests=str(TESTS), vectors=real)
        page = browser.new_page()
        pages.append(page)
        return Notebook(page, lab.write(f"{request.node.name}".replace("[", "_").replace("]", ""), [setup, *cells]))

    yield open_notebook
    for page in pages:
        page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()
