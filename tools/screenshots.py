"""Pictures of the boards in JupyterLab's light and dark themes, for docs/img. Needs Chromium; uses the tests' own JupyterLab.

python tools/screenshots.py [board ...]
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
VECTORS = ROOT / "outputs" / "vectors.safetensors"
READY = "(() => { const b = document.querySelector('.emokit-board'); return b && !b.classList.contains('emokit-busy') && (%s) })()"
BOARDS = {  # the cell, and what is there once it is ready
    "token_reader": (
        'text = "My dog did not come home last night. I looked everywhere. This morning she stood at the door, wet and wagging!"\n'
        "board = emokit.widgets.TokenReader(model, vectors, text, emotion='sad')\nboard",
        "document.querySelector('.emokit-token')",
    ),
    "live_monitor": (
        'board = emokit.widgets.LiveMonitor(model, vectors, "My dog is missing.", emotion="sad", max_new_tokens=50)\n'
        "board.run()\nboard",
        "document.querySelectorAll('.emokit-token').length > 20",
    ),
    "steering_console": (
        'board = emokit.widgets.SteeringConsole(model, vectors, "Tell me about your day.", max_new_tokens=32)\n'
        "board.set(happy=0.2, control=True, asked=True)\nboard.wait()\nboard.sweep('sad')\nboard",
        "document.querySelector('.emokit-of-strip .emokit-token')",
    ),
    "dose_lab": (
        "board = emokit.widgets.DoseLab(model, vectors, 'tylenol', stories=emokit.load_stories())\nboard",
        "document.querySelector('.emokit-status').textContent.endsWith('at block 19')",
    ),
    "vector_explorer": (
        "board = emokit.widgets.VectorExplorer(model, vectors, emotion='afraid', stories=emokit.load_stories(),\n"
        "    text='I read the letter twice, then I had to sit down on the stairs.')\nboard",
        "document.querySelector('.emokit-status').textContent.endsWith('at block 18') && document.querySelector('.emokit-landing').textContent.includes('(p ')",
    ),
    "story_browser": (
        "board = emokit.widgets.StoryBrowser(emokit.load_stories(), emotion='sad')\n"
        "place = board.found[2]\nboard.edit(place, text=board.edited[place].text + ' It was very sad.')\nboard.set(at=place)\nboard",
        "document.querySelector('.emokit-findings')?.textContent.includes('emotion word')",
    ),
}


def act(name: str, page: Any) -> None:
    """Bring a board into the state to be shown."""
    if name == "token_reader":
        page.get_by_role("listbox").press("Home")
        for _ in range(6):
            page.keyboard.press("ArrowRight")
    if name == "dose_lab":
        page.get_by_role("slider", name="the numbers: choose a value").focus()
        page.keyboard.press("End")


def vectors() -> str:
    """The file of the default vectors, made once."""
    import emokit

    if not VECTORS.exists():
        VECTORS.parent.mkdir(exist_ok=True)
        emokit.extract(emokit.load_model(emokit.fetch.NAME), emokit.load_stories()).save(VECTORS)
    return str(VECTORS)


def shrunk(path: Path) -> int:
    """Write a picture again with 256 colours of its own, which the eye takes for the same; returns its kilobytes."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size // 1024


def main(names: list[str]) -> None:
    """Take the pictures of the named boards, or of all."""
    from browser import lab as labs
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(labs.Lab(Path(folder))) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=labs.CHROMIUM, args=labs.FLAGS)
        desk = labs.Desk(lab, browser.new_page(viewport={"width": 1040, "height": 2400}))
        page = desk.page
        for name in names or list(BOARDS):
            cell, ready = BOARDS[name]
            book = desk.open(name, [labs.setup(vectors()), cell])
            book.run_all()
            page.wait_for_function(READY % ready, timeout=900_000)
            for theme in ("Dark", "Light"):
                book.theme(theme)
                act(name, page)
                path = ROOT / "docs" / "img" / f"{name}_{theme.lower()}.png"
                page.locator(".emokit-board").first.screenshot(path=str(path))
                print(path.relative_to(ROOT), shrunk(path), "kB", book.errors, flush=True)
            desk.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
