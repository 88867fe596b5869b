"""Figures of the dose lab."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .base import COLOURS, MARKERS, STYLES, Figure, sheet


def dose_panels(panels: Sequence[Mapping[str, Any]], *, limit: float | None = None, title: str = "") -> Figure:
    """Change of the score since the first value, a small plot per panel, all with one scale of -limit ... limit.

    Each panel has a title, labels, scores {emotion: [values]} and expect {emotion: "up" | "down"}; it may have a band (low,
    high), the range of random directions.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    changes = [{e: np.asarray(s) - s[0] for e, s in p["scores"].items()} for p in panels]
    drawn = [c for group in changes for c in group.values()] + [c for p in panels for c in p.get("band", ())]
    limit = limit or 1.25 * max([1e-9, *(float(np.abs(c).max()) for c in drawn)])
    kinds = {e: i for i, e in enumerate(dict.fromkeys(e for group in changes for e in group))}
    with sheet(4 * columns, 2.7 * rows + 0.7, rows, columns, squeeze=False, sharey=True) as (figure, axes):
        for axis, panel, group in zip(axes.flat, panels, changes, strict=False):
            axis.axhline(0, color="black", linewidth=0.8)
            if "band" in panel:
                low, high = panel["band"]
                axis.fill_between(
                    range(len(low)), low, high, color="#dddddd", linewidth=0, label="random directions, 5-95 %"
                )
            for emotion, change in group.items():
                i = kinds[emotion]
                arrow = {"up": " ↑", "down": " ↓"}.get(panel["expect"].get(emotion, ""), "")
                axis.plot(
                    change, color=COLOURS[i % 8], linestyle=STYLES[i % 4], marker=MARKERS[i % 8], markersize=5,
                    linewidth=2.4 if arrow else 1, alpha=1 if arrow else 0.5, label=emotion + arrow,
                )  # fmt: skip
            labels = [str(v) for v in panel["labels"]]
            axis.set_xticks(range(len(labels)), labels, fontsize=8, rotation=25 if max(map(len, labels)) > 6 else 0)
            axis.set_title(textwrap.fill(panel["title"], 56), fontsize=9, parse_math=False)
            axis.set_ylim(-limit, limit)
            if group or "band" in panel:
                axis.legend(fontsize=8, loc="upper left", ncols=2, handlelength=2.6)
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("change of the score")
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def dose_effects(
    labels: Sequence[str], groups: Mapping[str, Sequence[tuple[float, float, float]]], *, title: str = ""
) -> Figure:
    """A row per expected sign: each group's effect (value, low, high), positive as expected; NaN is left out.

    Unit is the sd of random directions, whose middle 90 % are shaded.
    """
    with sheet(8.4, 1.5 + 0.42 * len(labels)) as (figure, axis):
        axis.axvspan(-1.645, 1.645, color="#e4e4e4", linewidth=0, label="random directions, 90 %")
        axis.axvline(0, color="black", linewidth=0.8)
        for i, (name, rows) in enumerate(groups.items()):
            values, low, high = np.array(rows, float).T
            if np.isnan(values).all():
                continue
            y = np.arange(len(labels)) + 0.24 * (i - (len(groups) - 1) / 2)
            axis.hlines(y, low, high, color=COLOURS[i], linewidth=1.6)
            axis.plot(values, y, MARKERS[i], color=COLOURS[i], markersize=7 if i == 0 else 5.5, label=name)
        axis.set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels])
        axis.set_ylim(len(labels) - 0.5, -0.5)
        axis.set_xlabel("effect in the expected direction (sd of random directions); lines: 95 % over topics")
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
        figure.suptitle(title, fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure
