"""nbval checks nothing on a cell that was not run, so these tests check that every cell was, and is fit to be checked."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code(notebook):
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def text(cell):
    return "".join(cell["source"])


def test_there_are_notebooks():
    assert {p.name[:2] for p in NOTEBOOKS} >= {"01", "02", "03", "04", "05", "06", "10"}


def test_notebooks_match_their_sources():
    done = subprocess.run([sys.executable, ROOT / "tools" / "notebooks.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def test_every_code_cell_was_run_in_order_without_error(self, path):
        cells = code(load(path))
        assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
        assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]

    def test_most_cells_are_checked_strictly(self, path):
        cells = code(load(path))
        loose = [c for c in cells if "nbval-ignore-output" in c["metadata"].get("tags", [])]
        assert len(loose) <= len(cells) / 3
        assert not [c for c in cells if "NBVAL" in text(c) or "nbval-skip" in c["metadata"].get("tags", [])]
        assert sum(bool(c["outputs"]) for c in cells if c not in loose) >= 5

    def test_it_is_in_the_first_form(self, path):
        cells = load(path)["cells"]
        first = text(cells[0])
        assert re.match(r"# \d+ · .+\?\n", first)
        assert "By the end you will have shown" in first
        assert "⏱" in first
        whole = "\n".join(map(text, cells))
        assert whole.count("You should see") >= 2
        assert "## What you showed" in whole
        assert "## What this does not show" in whole

    def test_it_is_in_the_teaching_form(self, path):
        cells = load(path)["cells"]
        prose = "\n".join(text(c) for c in cells if c["cell_type"] == "markdown")
        asked = len(re.findall(r"^> \*\*Predict\*\* ", prose, re.M))
        assert asked >= 1
        assert asked == prose.count("<details><summary>What came out</summary>\n\n")
        assert prose.count("<details>") == prose.count("</details>")
        assert len(re.sub(r"<details>.*?</details>", "", prose, flags=re.S).split()) <= 1500
        assert len(code(load(path))) <= 40
        checks = [c for c in code(load(path)) if re.search(r"^check\(", text(c), re.M)]
        assert len(checks) >= 2
        for cell in checks:  # what is committed is what a student finds: nothing done yet
            (shown,) = cell["outputs"]
            assert re.fullmatch(r"⏳ Exercise \d+\.\d+: not done yet\n", "".join(shown["text"]))

    def test_cells_are_short(self, path):
        assert max(len(text(c).splitlines()) for c in code(load(path))) <= 18

    def test_it_holds_no_state_no_paths_and_no_fragile_widgets(self, path):
        notebook = load(path)
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"
        assert "widgets" not in notebook["metadata"]
        raw = path.read_text(encoding="utf-8")
        assert len(raw) < 1_000_000
        assert not re.search(r"/(home|root|tmp|work|Users)/", raw)
        for cell in code(notebook):
            assert not re.search(r"\bOutput\(|\binteract\(|clear_output|%matplotlib", text(cell))
            assert not [o for o in cell["outputs"] if o.get("name") == "stderr"]
            assert not re.search(r"object at 0x[0-9a-f]+", json.dumps(cell["outputs"]))

    def test_it_never_says_that_a_model_feels(self, path):
        prose = "\n".join(text(c) for c in load(path)["cells"] if c["cell_type"] == "markdown")
        for sentence in re.split(r"(?<=[.!?])\s", prose):
            if re.search(r"\bmodel feels\b|\bmodel is (afraid|happy|sad|angry)\b", sentence):
                assert re.search(r"\bnot\b|\bnothing\b|\bnor\b|what any model feels|That the model feels", sentence), (
                    sentence
                )
