"""Figures of any numbers: bars, boxes, lines, points, values by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from .base import COLOURS, DIVERGING, MARKERS, STYLES, Array, Figure, beside, mark_block, sheet
from .tokens import _luminance


def null_histogram(null: Array, observed: float, *, xlabel: str, title: str = "") -> Figure:
    """A statistic's distribution under a null, with the observed value marked."""
    with sheet(8, 2.8) as (figure, axis):
        values, counts = np.unique(null, return_counts=True)
        axis.bar(values, counts / len(null), color="#bbbbbb", edgecolor="#777777", label="permuted emotion labels")
        axis.axvline(observed, color=COLOURS[1], linewidth=2.5, label=f"observed: {observed:g}")
        axis.set(xlabel=xlabel, ylabel="share of permutations", title=title)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars(labels: Sequence[str], groups: Mapping[str, Sequence[float]], *, ylabel: str, title: str = "") -> Figure:
    """Grouped bars, one group a label, the groups told apart by colour and hatch, with a line at 0."""
    width = 0.8 / len(groups)
    with sheet(max(6, 0.9 * len(labels) * max(1, len(groups) / 2)), 3.4) as (figure, axis):
        for i, (name, values) in enumerate(groups.items()):
            at = np.arange(len(labels)) + (i - (len(groups) - 1) / 2) * width
            axis.bar(
                at,
                values,
                width,
                label=name,
                color=COLOURS[i % 8],
                hatch=("", "//", "..", "xx")[i % 4],
                edgecolor="white",
            )
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(labels)), labels)
        axis.set(ylabel=ylabel, title=title)
        if len(groups) > 1:
            axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def boxes(
    groups: Mapping[str, Sequence[float]], *, ylabel: str, limits: tuple[float, float] | None = None, title: str = ""
) -> Figure:
    """A box per group: median, quartiles and range."""
    with sheet(max(6, 0.42 * len(groups)), 3.4) as (figure, axis):
        for at, values in enumerate(groups.values(), 1):
            low, quarter, middle, three, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
            axis.vlines(at, low, high, color="#555555")
            axis.bar(at, three - quarter, 0.6, bottom=quarter, color="#dddddd", edgecolor="#555555")
            axis.hlines(middle, at - 0.3, at + 0.3, color=COLOURS[1], linewidth=2)
        axis.set_xticks(range(1, len(groups) + 1), list(groups), rotation=60, ha="right")
        axis.set(ylabel=ylabel, title=title, ylim=limits)
    return figure


def grid(values: Array, labels: Sequence[str], *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """A square table of shares from 0 to 1, sequential from light to dark, the numbers of the darker cells written in."""
    size = 0.34 * len(labels) + 1.6
    with sheet(size, size - 0.3) as (figure, axis):
        axis.imshow(values, cmap="Blues", vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(values >= 0.25), strict=True):
            ink = "black" if _luminance(matplotlib.colormaps["Blues"](values[row, column])) > 0.18 else "white"
            axis.text(column, row, f"{100 * values[row, column]:.0f}", ha="center", va="center", fontsize=7, color=ink)
        axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.grid(False)
        axis.set(xlabel=xlabel, ylabel=ylabel)
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def by_block(
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: int,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    level: tuple[float, str] | None = None,
    title: str = "",
) -> Figure:
    """A value at every block, a line per name, with the block chosen beforehand and a named level marked."""
    with sheet(8, 3.2) as (figure, axis):
        for i, (name, values) in enumerate(curves.items()):
            axis.plot(values, label=name, color=COLOURS[i], linestyle=STYLES[i], marker=MARKERS[i], markersize=4)
        if level:
            axis.axhline(level[0], color="#555555", linestyle=":", label=level[1])
        axis.set(xlabel="block (0-based)", ylabel=ylabel, ylim=limits, title=title)
        mark_block(chosen, axis)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def line(x: Sequence[float], y: Sequence[float], *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """One curve with its points."""
    with sheet(6, 3) as (figure, axis):
        axis.plot(x, y, color=COLOURS[0], marker="o")
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def scatter(
    points: Array, labels: Sequence[str], *, colour: Array, xlabel: str, ylabel: str, colour_label: str, title: str = ""
) -> Figure:
    """Labelled points [labels, 2] on axes of one scale, coloured about 0 by a value; where it is NaN, an empty ring."""
    known = np.isfinite(colour)
    limit = float(np.abs(colour[known]).max()) if known.any() else 1.0
    with sheet(7.4, 5.8) as (figure, axis):
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.axvline(0, color="#bbbbbb", linewidth=0.8)
        axis.scatter(*points[~known].T, s=60, facecolors="white", edgecolors="#555555", label="not rated")
        shown = axis.scatter(
            *points[known].T, s=60, c=colour[known], cmap=DIVERGING, vmin=-limit, vmax=limit, edgecolors="#555555"
        )
        figure.colorbar(shown, ax=axis, label=colour_label, shrink=0.7)
        if (~known).any():
            # above the plot: within, it looks like one more point
            axis.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, borderaxespad=0.2)
        reach = 1.18 * float(np.abs(points).max())
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel=xlabel, ylabel=ylabel, title=title)
        axis.set_aspect("equal")
        for (x, y), label, (dx, dy) in zip(points, labels, beside(points / reach * 190, labels), strict=True):
            place = {"ha": "left" if dx > 0 else "right" if dx < 0 else "center", "va": "center"}
            axis.annotate(label, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=8, **place)
    return figure


def pairs(x: Array, y: Array, *, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """Points of two like quantities on axes of one scale, with the line on which they agree."""
    low, high = min(x.min(), y.min()) - 0.05, max(x.max(), y.max()) + 0.05
    with sheet(5.6, 5.2) as (figure, axis):
        axis.plot([low, high], [low, high], color="#555555", linestyle=":", label="the same on both sides")
        axis.scatter(
            x, y, s=26 if len(x) < 1000 else 6, color=COLOURS[0], alpha=0.5 if len(x) < 1000 else 0.2, linewidths=0
        )
        axis.set(xlim=(low, high), ylim=(low, high), xlabel=xlabel, ylabel=ylabel)
        axis.set_aspect("equal")
        axis.legend(loc="upper left", fontsize=8)
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure
