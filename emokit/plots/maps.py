"""Figures of geometry: cosines of directions, blocks against blocks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle

from .base import COLOURS, DIVERGING, Array, Figure, sheet


def cosine_map(
    values: Array, labels: Sequence[str], groups: Sequence[str], *, limit: float = 0.6, title: str = ""
) -> Figure:
    """A square map of cosines, diverging about 0, the runs of equal groups framed along the diagonal and named."""
    size = 0.26 * len(labels) + 2
    with sheet(size + 2.6, size - 0.2) as (figure, axis):
        shown = axis.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit)
        start = 0
        for end in range(1, len(groups) + 1):
            if end == len(groups) or groups[end] != groups[start]:
                corner, extent = (start - 0.5, start - 0.5), end - start
                axis.add_patch(Rectangle(corner, extent, extent, fill=False, edgecolor="black", linewidth=1.6))
                axis.annotate(
                    groups[start],
                    (1.01, (start + end - 1) / 2),
                    xycoords=("axes fraction", "data"),
                    fontsize=8,
                    va="center",
                )
                start = end
        axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.grid(False)
        figure.colorbar(shown, ax=axis, label="cosine", location="left", shrink=0.6, extend="both")
        axis.set_title(title)
    return figure


def block_map(values: Array, *, level: float, best: tuple[int, int], names: tuple[str, str], title: str = "") -> Figure:
    """Correlations of every block with every block, light to dark; a line around what lies above the level."""
    rows, columns = values.shape
    with sheet(1.9 + 0.19 * columns, 1.2 + 0.19 * rows) as (figure, axis):
        lowest = min(0.9, np.floor(10 * values.min()) / 10)
        shown = axis.imshow(values, cmap="Blues", vmin=lowest, vmax=1, origin="lower")
        beyond = np.pad(values > level, 1)
        for row, column in zip(*np.nonzero(values > level), strict=True):
            x, y = column + 0.5, row + 0.5
            edges = {(x, x, y - 1, y): beyond[row + 1, column + 2], (x - 1, x - 1, y - 1, y): beyond[row + 1, column],
                     (x - 1, x, y, y): beyond[row + 2, column + 1], (x - 1, x, y - 1, y - 1): beyond[row, column + 1]}  # fmt: skip
            for (left, right, low, high), inside in edges.items():
                if not inside:
                    axis.plot([left, right], [low, high], color=COLOURS[1], linewidth=1.6, solid_capstyle="projecting")
        axis.plot(best[1], best[0], marker="*", markersize=13, color="white", markeredgecolor="black")
        axis.set(
            xlabel=f"{names[1]} (0-based)",
            ylabel=f"{names[0]} (0-based)",
            xlim=(-0.6, columns - 0.4),
            ylim=(-0.6, rows - 0.4),
        )
        axis.grid(False)
        figure.colorbar(shown, ax=axis, label="Spearman's rho of cosines", shrink=0.8)
        note = f"star: best blocks; inside the orange line: above what chance reaches anywhere ({level:.2f})"
        figure.suptitle(textwrap.fill(title, 90) + "\n" + note, fontsize=9, x=0.01, ha="left")
    return figure
