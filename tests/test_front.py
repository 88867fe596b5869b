"""The front ends: their pure functions by `node --test`, and that each is one module without a network address."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emokit import widgets
from emokit.widgets.board import STATIC, Board, front

NODE = shutil.which("node")
TESTS = sorted((Path(__file__).parent / "front").glob("*.test.mjs"))
BOARDS = sorted(path.stem for path in STATIC.glob("*.mjs") if path.stem != "common")
needs_node = pytest.mark.skipif(
    NODE is None, reason="no node found: install Node 18 or newer for the front ends' tests"
)


@needs_node
@pytest.mark.parametrize("path", TESTS, ids=lambda p: p.name)
def test_by_node(path):
    done = subprocess.run([NODE, "--test", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_node
@pytest.mark.parametrize("name", BOARDS)
def test_the_joined_module_parses_and_has_a_view(name, tmp_path):
    path = tmp_path / "joined.mjs"
    path.write_text(front(name), encoding="utf-8")
    code = (
        f"import({str(path)!r}).then(m => {{ if (typeof m.default.render !== 'function') throw Error('no render') }})"
    )
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_a_front_end_stands_alone(name):
    source = front(name)
    assert not re.findall(r"https?://|^import |\bimport\(|\beval\(|innerHTML|insertAdjacentHTML", source, flags=re.M)
    assert source.count("export default") == 1


def test_every_board_has_its_front_end():
    boards = [kind for kind in vars(widgets).values() if isinstance(kind, type) and issubclass(kind, Board)]
    own = {str(kind._esm) for kind in boards if kind is not Board}
    assert own == {front(name) for name in BOARDS}


def test_styles_touch_nothing_but_the_boards():
    css = re.sub(r"/\*.*?\*/", "", (STATIC / "boards.css").read_text(encoding="utf-8"), flags=re.S)
    rules = re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{", "", css))
    assert rules
    for selectors in rules:
        for selector in selectors.split(","):
            assert ".emokit-" in selector, selector
    assert "http" not in css
    assert "@import" not in css
