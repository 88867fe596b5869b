"""Build the notebooks from their percent-format sources, or check that they are not stale.

Usage: notebooks.py [--check] [NN ...]      NN: only the notebooks whose name begins so

notebooks/src/NN_name.py is the source: `# %% [markdown]` and `# %%` begin a cell, tags follow as `tags=["..."]`.
The notebook is executed in its folder and keeps its outputs; it never holds widget state, times or paths.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

os.environ["TQDM_DISABLE"] = "1"  # bars come by time, and would differ from run to run
FOLDER = Path(__file__).parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def cells(source: str) -> list[Any]:
    """The cells of a percent-format source, not executed."""
    made = []
    for number, part in enumerate(re.split(r"^# %%", source, flags=re.M)[1:]):
        header, _, body = part.partition("\n")
        tags = re.search(r"tags=\[(.*)\]", header)
        metadata = {"tags": re.findall(r'"([^"]+)"', tags[1])} if tags else {}
        if "[markdown]" in header:
            text = "\n".join(re.sub(r"^# ?", "", line) for line in body.strip().split("\n"))
            made.append(new_markdown_cell(text, id=f"c{number:02}", metadata=metadata))
        else:
            made.append(new_code_cell(body.strip(), id=f"c{number:02}", metadata=metadata))
    return made


def build(source: Path) -> None:
    """Execute a source and write its notebook."""
    notebook = new_notebook(cells=cells(source.read_text(encoding="utf-8")), metadata={"kernelspec": KERNEL})
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3", store_widget_state=False, record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )  # fmt: skip
    client.execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nbformat.validate(notebook)
    target = FOLDER / f"{source.stem}.ipynb"
    nbformat.write(notebook, target)
    print(f"built {target.name}: {target.stat().st_size / 1000:.0f} kB")


def stale(source: Path) -> str:
    """Why a notebook does not match its source; an empty string if it does."""
    target = FOLDER / f"{source.stem}.ipynb"
    if not target.exists():
        return f"{target.name} is not built"
    have = [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in nbformat.read(target, as_version=4).cells]
    want = [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in cells(source.read_text(encoding="utf-8"))]
    return "" if have == want else f"{target.name} differs from {source.name}; run `make notebooks`"


def main(arguments: list[str]) -> int:
    """Build or check the chosen notebooks; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="what their names begin with, such as 03; all without it")
    parser.add_argument("--check", action="store_true", help="only say which notebooks do not match their sources")
    chosen = parser.parse_args(arguments)
    sources = [s for s in sorted((FOLDER / "src").glob("*.py")) if s.name.startswith(tuple(chosen.names) or "")]
    if not sources:
        parser.error(f"no such notebook: {' '.join(chosen.names)}")
    if not chosen.check:
        for source in sources:
            build(source)
        return 0
    problems = [problem for problem in map(stale, sources) if problem]
    unknown = {p.stem for p in FOLDER.glob("*.ipynb")} - {s.stem for s in (FOLDER / "src").glob("*.py")}
    problems += [f"{name}.ipynb has no source" for name in sorted(unknown)]
    print(*(problems or [f"{len(sources)} notebooks match their sources"]), sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
