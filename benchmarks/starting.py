"""Time what a user waits for, in a cache folder of its own: loading, an extraction and its repetition, a notebook's first figure.

Usage: starting.py MODEL      the last line printed is JSON
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LOAD = "m = emokit.load_model({name!r})"
EXTRACT = "emokit.extract(m, emokit.load_stories())"
AGAIN = 5  # times, each in a new process, of what can be repeated
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "src" / "02_vectors.py"


def timed(work: str, before: str) -> float:
    """Seconds of some work in a new process, behind the imports and what comes `before`."""
    code = "import emokit, time\n" + before + "\nt = time.perf_counter()\n" + work + "\nprint(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def first_figure() -> str:
    """The code of notebook 02 up to its first figure, its picture drawn."""
    cells = [
        part
        for part in NOTEBOOK.read_text(encoding="utf-8").split("# %%")[1:]
        if "[markdown]" not in part.partition("\n")[0]
    ]
    setup, figure = (cell.partition("\n")[2].strip() for cell in cells[:2])
    return f"{setup}\nfigure = {figure}\nemokit.plots.png(figure.plot())"


name = sys.argv[1]
load = LOAD.format(name=name)
rows = []
with tempfile.TemporaryDirectory() as folder:
    os.environ |= {"EMOKIT_CACHE": folder, "EMOKIT_MODEL": name}  # for the processes below
    for what, work, before, times in (
        ("load for the first time: fetch and convert", load, "", 1),
        ("load in a new process, torch and transformers imported on the way", load, "", AGAIN),
        ("load again, from the converted copy", load, load, AGAIN),
        ("extract the core stories", EXTRACT, load, 1),
        ("extract again, from the cache", EXTRACT, load, AGAIN),
        ("notebook 02 to its first figure, all cached", first_figure(), "", AGAIN),
    ):
        found = sorted(round(timed(work, before), 2) for _ in range(times))
        row = {"seconds": statistics.median(found)} | ({"from": found[0], "to": found[-1]} if times > 1 else {})
        rows.append({"what": what} | row)
        print(rows[-1], file=sys.stderr)
print(json.dumps({"rows": rows}))
