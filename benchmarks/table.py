"""The table of results/benchmarks: what was aimed at beside what was measured, and all rows, of every model measured there.

Usage: table.py      writes results/benchmarks/README.md from the JSON files beside it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).parent.parent / "results" / "benchmarks"
OWN, BARE = "emokit", "bare sorted pass"
CORE, MIXED = "core stories", "25 to 250 tokens"
COLUMNS = {
    "reading": ("what", "depth", "name", "tokens a second", "of the limit", "emokit is faster by", "from", "to", "cosine with emokit"),
    "decoding": ("what", "name", "tokens a second", "of the limit", "times one unsteered reply", "from", "to"),
    "step": ("layers of", "what", "ms", "share"),
    "memory": ("stories", "array MB", "peak MB", "seconds", "a story"),
    "starting": ("what", "seconds", "from", "to"),
    "slider": ("what", "median ms", "from", "to"),
}  # fmt: skip


class Target(NamedTuple):
    """Something aimed at, what was measured, the most that is possible where it is known, and whether it was reached."""

    what: str
    aim: str
    measured: str
    most: str
    reached: str


def targets(rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    """What was aimed at and what the rows say of it; what was not measured is left out."""
    found = []

    def times(what: str, value: float, least: float, note: str = "", most: float = np.inf, to: float = 0) -> None:
        no = "**no**" + (
            ", but within the spread" if to >= least else ", and beyond the machine's limit" if most < least else ""
        )
        limit = f"{most:.2f}" if most < np.inf else ""
        found.append(Target(what, f"at least {least:g}", f"{value:.3g}{note}", limit, "yes" if value >= least else no))

    def under(what: str, aim: str, measured: str, reached: bool) -> None:
        found.append(Target(what, aim, measured, "", "yes" if reached else "**no**"))

    read = [row for row in rows if row["part"] == "reading"]
    for row in read:
        if row["name"] == BARE and row["depth"] == "all blocks":
            times(f"{row['what']}: speed of a bare sorted pass", row["emokit is faster by"], 0.95, to=row["to"])
    for what, aims in ((CORE, (1.2, 1.85)), (MIXED, (2.2, 3.2))):
        for depth, aim in zip(dict.fromkeys(row["depth"] for row in read), aims, strict=False):
            peers = [r for r in read if (r["what"], r["depth"]) == (what, depth) and r["name"] not in (OWN, BARE)]
            if peers:
                best = min(peers, key=lambda row: row["emokit is faster by"])
                note, most = f" ({best['name']})", 1 / best["of the limit"]
                times(
                    f"{what}, {depth}: against the best peer", best["emokit is faster by"], aim, note, most, best["to"]
                )
    decoded = {row["name"]: row for row in rows if row["part"] == "decoding"}
    if "emokit, steered" in decoded:
        steered, eight = (
            decoded["emokit, steered"],
            decoded["emokit, eight strengths at once"]["times one unsteered reply"],
        )
        value, to = 1 / steered["times one unsteered reply"], 1 / steered["from"]
        times("steered generation against unsteered", value, 0.97, to=to)
        under("eight strengths against one", "at most 2", f"{eight:.3g}", eight <= 2)
    started = {row["what"]: row for row in rows if row["part"] == "starting"}
    if again := started.get("extract again, from the cache"):
        once = started["extract the core stories"]["seconds"]
        times("a repeated extraction, from the cache", once / again["seconds"], 50, to=once / again["from"])
        load = started["load again, from the converted copy"]["seconds"]
        under("load from the converted copy", "under 2 s", f"{load:.2g} s", load < 2)
    beyond = [row["peak MB"] - row["array MB"] for row in rows if row["part"] == "memory"]
    if beyond:
        text = ", ".join(f"{value:.0f}" for value in beyond)
        flat = beyond[-1] <= max(beyond[:-1]) + 0.1 * max(map(abs, beyond))
        under("memory beyond the array, by number of stories", "flat", f"{text} MB", flat)
    return found


def markdown(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table's lines."""
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    for row in rows:
        cells = [row.get(column) for column in columns]
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return [*lines, ""]


def write(folder: Path = RESULTS) -> None:
    """Write README.md of all models in a folder."""
    lines = ["# Benchmarks", "", "By `make bench`; `benchmarks/README.md` tells what each contender computes.", ""]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        lines += [f"## {found['model']['name']}", ""]
        lines += [
            "**Aimed at, and measured**: medians of ratios within a round; *most*: if emokit ran at the machine's limit",
            "",
        ]
        lines += markdown(Target._fields, [target._asdict() for target in targets(found["rows"])])
        if path.with_suffix(".png").exists():
            lines += [f"![how long each takes to read, emokit = 1]({path.stem}.png)", ""]
        for part, columns in COLUMNS.items():
            rows = [row for row in found["rows"] if row["part"] == part]
            if rows:
                about = found["parts"][part]
                limits = ", ".join(f"{value} {what}" for what, value in about["limits"].items())
                when = f"{about['date'][:10]}, {about['machine']['cores']} cores, {limits}"
                lines += [f"**{part}** ({when}; `{about['command']}`)", "", *markdown(columns, rows)]
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    write()
