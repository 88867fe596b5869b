"""The table of results/benchmarks: what was aimed at beside what was measured, and all rows, of every model measured there.

Usage: table.py      writes results/benchmarks/README.md from the JSON files beside it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent.parent / "results" / "benchmarks"
OWN, BARE = "emokit", "bare sorted pass"
CORE, MIXED = "core stories", "25 to 250 tokens"
COLUMNS = {
    "reading": ("what", "depth", "name", "tokens a second", "of the limit", "emokit is faster by", "from", "to", "cosine with emokit"),
    "decoding": ("what", "name", "tokens a second", "of the limit", "times one unsteered reply", "from", "to"),
    "step": ("layers of", "what", "ms", "share"),
    "memory": ("stories", "array MB", "peak MB", "seconds", "a story"),
    "starting": ("what", "seconds"),
    "slider": ("what", "median ms", "from", "to"),
}  # fmt: skip


class Target(NamedTuple):
    """Something aimed at, what was measured, and the most that is possible where it is known."""

    what: str
    aim: str
    measured: str
    reached: bool
    most: str = ""


def targets(rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    """What was aimed at and what the rows say of it; what was not measured is left out."""
    found = []

    def times(what: str, value: float, least: float, note: str = "", most: str = "") -> None:
        found.append(Target(what, f"at least {least:g}", f"{value:.3g}{note}", value >= least, most))

    read = [row for row in rows if row["part"] == "reading"]
    for row in read:
        if row["name"] == BARE and row["depth"] == "all blocks":
            times(f"{row['what']}: speed of a bare sorted pass", row["emokit is faster by"], 0.95)
    for what, aims in ((CORE, (1.2, 1.85)), (MIXED, (2.2, 3.2))):
        for depth, aim in zip(dict.fromkeys(row["depth"] for row in read), aims, strict=False):
            peers = [r for r in read if (r["what"], r["depth"]) == (what, depth) and r["name"] not in (OWN, BARE)]
            if peers:
                best = min(peers, key=lambda row: row["emokit is faster by"])
                measured, most = best["emokit is faster by"], f"{1 / best['of the limit']:.2f}"
                times(f"{what}, {depth}: against the best peer", measured, aim, f" ({best['name']})", most)
    decoded = {row["name"]: row for row in rows if row["part"] == "decoding"}
    if "emokit, steered" in decoded:
        times("steered generation against unsteered", 1 / decoded["emokit, steered"]["times one unsteered reply"], 0.97)
        eight = decoded["emokit, eight strengths at once"]["times one unsteered reply"]
        found.append(Target("eight strengths against one", "at most 2", f"{eight:.3g}", eight <= 2))
    seconds = {row["what"]: row["seconds"] for row in rows if row["part"] == "starting"}
    if "extract again, from the cache" in seconds:
        again = seconds["extract the core stories"] / seconds["extract again, from the cache"]
        times("a repeated extraction, from the cache", again, 50)
        load = seconds["load again, from the converted copy"]
        found.append(Target("load from the converted copy", "under 2 s", f"{load:.2g} s", load < 2))
    beyond = [row["peak MB"] - row["array MB"] for row in rows if row["part"] == "memory"]
    if beyond:
        text = ", ".join(f"{value:.0f}" for value in beyond)
        flat = beyond[-1] <= max(beyond[:-1]) + 0.1 * max(map(abs, beyond))
        found.append(Target("memory beyond the array, by number of stories", "flat", f"{text} MB", flat))
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
        aims = []
        for target in targets(found["rows"]):
            beyond = target.most and float(target.most) < float(target.aim.split()[-1])
            no = "**no**, and beyond the machine's limit" if beyond else "**no**"
            aims.append(target._asdict() | {"reached": "yes" if target.reached else no})
        lines += markdown(("what", "aim", "measured", "most", "reached"), aims)
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
