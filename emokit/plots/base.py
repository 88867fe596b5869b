"""What all figures share: their style, size and marks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

Array = np.ndarray

DIVERGING = "PuOr_r"  # its ends stay apart for colour-blind readers (Machado 2009 simulation), unlike red and green
LIMIT = 0.3  # cosine at which the colours of scores end
COLOURS = ("#1b6ca8", "#d95f02", "#6a3d9a", "#4d4d4d", "#0b7a5f", "#b8336a", "#8c6d1f", "#222222")
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vXP*"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "figure.dpi": 100,
}


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure that shows itself in a notebook, though pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return png(self)


@contextmanager
def sheet(
    width: float, height: float, rows: int = 1, columns: int = 1, **subplots: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in emokit's style and its axes; the global style is left alone."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, **subplots)


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes, the same for the same figure."""
    out = BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib's own font draws a box for such a token
        figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def reach(value: float, interval: tuple[float, float]) -> Array:
    """How far an interval reaches below and above a value, as error bars want it."""
    return np.maximum(0, [[value - interval[0]], [interval[1] - value]])


def mark_block(block: int, axis: Any) -> None:
    """Mark the block that was chosen beforehand."""
    axis.axvline(block, color="black", linewidth=1, alpha=0.6)
    place = {"xycoords": ("data", "axes fraction"), "xytext": (4, 3), "textcoords": "offset points"}
    axis.annotate(f"block {block}", (block, 0), **place)


def beside(points: Array, labels: Sequence[str]) -> list[tuple[float, float]]:
    """For each of the points (in points of 1/72 inch) the place beside it where its label covers least of what is there."""
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    chosen = []
    for (x, y), label in zip(points, labels, strict=True):
        width, best = 4.6 * len(label), (np.inf, (0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
        for dx, dy in ((6, 0), (-6, 0), (0, 9), (0, -9), (5, 7), (-5, 7), (5, -7), (-5, -7), (0, 15), (0, -15)):
            left = x + dx - (0 if dx > 0 else width if dx < 0 else width / 2)
            box = (left, y + dy - 5, left + width, y + dy + 5)
            covered = sum(
                max(0, min(box[2], b[2]) - max(box[0], b[0])) * max(0, min(box[3], b[3]) - max(box[1], b[1]))
                for b in taken
            )
            best = min(best, (covered, (dx, dy), box), key=lambda option: option[0])
        taken.append(best[2])
        chosen.append(best[1])
    return chosen
